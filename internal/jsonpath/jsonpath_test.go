package jsonpath_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

func TestPath_Lookup(t *testing.T) {
	t.Parallel()

	const doc = ` {
		"action": "join", "n": 1.50, "yes": true, "no": false, "nil": null,
		"data": {"room": "room1234", "": "empty key", "deep": [[1, {"x": "y"}], 2]},
		"items": ["a", {"type": "b"}, "c"],
		".*#@|!": "special", "it's": "quote", "say \"hi\"": "double", "back\\slash": "b",
		"\u0061ction2": "escaped key", "\ud83d\ude00": "pair", "größe": "L",
		"twice": {"a": 1}, "twice": {"b": 2}, "dup": "first", "d\u0075p": "last"
	} `
	tests := []struct {
		name, path string
		kind       jsonpath.Kind
		want       string
	}{
		{"a leading $. is optional", "$.action", jsonpath.String, "join"},
		{"a leading dot is optional", ".action", jsonpath.String, "join"},
		{"a bare name is a path", "action", jsonpath.String, "join"},
		{"a leading $ goes before a bracket", "$['action']", jsonpath.String, "join"},
		{"a leading bracket is a path", `["action"]`, jsonpath.String, "join"},
		{"a dot before a bracket is ignored", "$.['data'].['room']", jsonpath.String, "room1234"},
		{"blanks are allowed inside brackets", "$[ 'items' ][ 0 ]", jsonpath.String, "a"},
		{"names nest", "data.room", jsonpath.String, "room1234"},
		{"the empty name is a key like any other", "data['']", jsonpath.String, "empty key"},
		{"an index selects an element", "items[0]", jsonpath.String, "a"},
		{"a path goes on behind an index", "items[1].type", jsonpath.String, "b"},
		{"a negative index counts from the end", "items[-1]", jsonpath.String, "c"},
		{"a negative index may reach the first element", "items[-3]", jsonpath.String, "a"},
		{"a negative index before the first is missing", "items[-4]", jsonpath.Missing, ""},
		{"an index behind the last is missing", "items[3]", jsonpath.Missing, ""},
		{"indices nest", "data.deep[0][1].x", jsonpath.String, "y"},
		{"characters special to gjson are plain in quotes", "['.*#@|!']", jsonpath.String, "special"},
		{"a quote is escaped by a backslash", `['it\'s']`, jsonpath.String, "quote"},
		{"the other quote needs no escape", `["it's"]`, jsonpath.String, "quote"},
		{"double quotes are escaped too", `["say \"hi\""]`, jsonpath.String, "double"},
		{"a backslash is escaped by a backslash", `['back\\slash']`, jsonpath.String, "b"},
		{"an escaped key is decoded before it is compared", "action2", jsonpath.String, "escaped key"},
		{"an escaped name is decoded before it is compared", `['\u0061ction']`, jsonpath.String, "join"},
		{"surrogate pairs are one character in keys", "['😀']", jsonpath.String, "pair"},
		{"surrogate pairs are one character in names", `['\uD83D\uDE00']`, jsonpath.String, "pair"},
		{"letters beyond ASCII need no quotes", "größe", jsonpath.String, "L"},
		{"of duplicate keys the last wins", "dup", jsonpath.String, "last"},
		{"a duplicate replaces and does not merge", "twice.a", jsonpath.Missing, ""},
		{"a path goes on in the last duplicate", "twice.b", jsonpath.Number, "2"},
		{"a key is compared as a whole", "act", jsonpath.Missing, ""},
		{"a number keeps its text", "n", jsonpath.Number, "1.50"},
		{"true is a boolean", "yes", jsonpath.Bool, "true"},
		{"false is a boolean", "no", jsonpath.Bool, "false"},
		{"null is found and has no text", "nil", jsonpath.Null, ""},
		{"a name in a string is missing", "action.x", jsonpath.Missing, ""},
		{"a name in null is missing", "nil.x", jsonpath.Missing, ""},
		{"a name in an array is missing", "items.type", jsonpath.Missing, ""},
		{"a number as a name is not an index", "items.0", jsonpath.Missing, ""},
		{"an index in an object is missing", "data[0]", jsonpath.Missing, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, err := jsonpath.Compile(tt.path)
			require.NoError(t, err)
			require.Equal(t, tt.path, path.String())
			value := path.Lookup([]byte(doc))
			require.Equal(t, tt.kind, value.Kind, value.Kind.String())
			require.Equal(t, tt.want, string(value.AppendString(nil)))
		})
	}
}

func TestPath_Lookup_root(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, path, json string
		kind             jsonpath.Kind
		raw              string
	}{
		{"$ is the document without the space around it", "$", " {\"a\":\t1}\n", jsonpath.Object, "{\"a\":\t1}"},
		{"a root that is no object has no members", "$.a", `[{"a":1}]`, jsonpath.Missing, ""},
		{"a root array has elements", "$[0].a", `[{"a":1}]`, jsonpath.Number, "1"},
		{"a root string has no members", "$.a", `"a"`, jsonpath.Missing, ""},
		{"a root number has no elements", "$[0]", `12`, jsonpath.Missing, ""},
		{"an empty object has no members", "$.a", `{}`, jsonpath.Missing, ""},
		{"an empty array has no elements", "$[-1]", `[ ]`, jsonpath.Missing, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			value := compile(t, tt.path).Lookup([]byte(tt.json))
			require.Equal(t, tt.kind, value.Kind)
			require.Equal(t, tt.raw, string(value.Raw))
		})
	}
}

func TestPath_Lookup_invalidJSON(t *testing.T) {
	t.Parallel()

	for _, json := range []string{
		"", " ", "{", "[", `{"`, `{"a`, `{"a\`, `{"a"`, `{"a":`, `{"a":"`, `{"a":"\`, `{"a":"\u12`, "]", "}", ",", ":",
		`{"a":{"b":[`, `{]`, `[}`, `{{{`, `"\`, `{a:1}`, "\x00", "\xff",
	} {
		for _, path := range []string{"a", "$", "[0]", "[-1]", "a.b", "a[0]"} {
			require.NotPanics(t, func() {
				value := compile(t, path).Lookup([]byte(json))
				value.AppendString(nil)
				value.Text(nil)
			}, "path %q in %q", path, json)
		}
	}
}

func TestValue_AppendString(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, json, want string
	}{
		{"a string stands for itself", `"join"`, "join"},
		{"the empty string is empty", `""`, ""},
		{"escapes are decoded", `"a\"b\\c\/d\b\f\n\r\t\u00e9"`, "a\"b\\c/d\b\f\n\r\té"},
		{"a surrogate pair is one character", `"\ud83d\ude00"`, "😀"},
		{"half a pair becomes U+FFFD", `"\ud83d"`, "\uFFFD"},
		{"half a pair leaves what follows alone", `"\ud83d\u0041"`, "\uFFFDA"},
		{"the wrong half becomes U+FFFD", `"\ude00\ud83d\ude00"`, "\uFFFD😀"},
		{"a number is the text as sent", `1.50`, "1.50"},
		{"an exponent is kept", `-1E+10`, "-1E+10"},
		{"a large integer is kept", `12345678901234567890`, "12345678901234567890"},
		{"true is true", `true`, "true"},
		{"false is false", `false`, "false"},
		{"null is nothing", `null`, ""},
		{"an object is compact JSON", `{ "a" : [ 1 , "x y" ] }`, `{"a":[1,"x y"]}`},
		{"escapes in an object stay", `{"\u0061":"\n"}`, `{"\u0061":"\n"}`},
		{"an array has brackets, commas and spaces", `["item1","item2"]`, "[item1, item2]"},
		{"white space in an array is not kept", "[ \"item1\" ,\n\t\"item 2\" ]", "[item1, item 2]"},
		{"an empty array is two brackets", `[ ]`, "[]"},
		{"strings in an array are decoded", `["a\"b","\u00e9"]`, `[a"b, é]`},
		{"arrays nest", `[1,[2,["x"]],[]]`, "[1, [2, [x]], []]"},
		{"a null in an array is null", `[null,true,1.0]`, "[null, true, 1.0]"},
		{"an object in an array is compact JSON", `[{ "a": [1, 2] }, "x"]`, `[{"a":[1,2]}, x]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.True(t, jsonpath.Valid([]byte(tt.json)))
			value := compile(t, "$").Lookup([]byte(tt.json))
			require.Equal(t, "x"+tt.want, string(value.AppendString([]byte("x"))))
			require.Equal(t, tt.want, string(value.Text([]byte("overwritten"))))
		})
	}
}

func TestValue_zero(t *testing.T) {
	t.Parallel()

	var value jsonpath.Value
	require.Equal(t, jsonpath.Missing, value.Kind)
	require.Nil(t, value.Raw)
	require.Equal(t, "x", string(value.AppendString([]byte("x"))))
	require.Empty(t, value.Text(nil))
}

func TestValue_Text_leavesTheInputAlone(t *testing.T) {
	t.Parallel()

	json := []byte(`{"a":"join","b":1} `)
	for _, path := range []string{"a", "b", "$"} {
		text := compile(t, path).Lookup(json).Text(nil)
		_ = append(text, '!')
		raw := compile(t, path).Lookup(json).Raw
		_ = append(raw, '!')
		require.JSONEq(t, `{"a":"join","b":1}`, string(json), path)
	}
}

func TestKind_String(t *testing.T) {
	t.Parallel()

	names := make([]string, 0, 8)
	for kind := jsonpath.Missing; kind <= jsonpath.Object+1; kind++ {
		names = append(names, kind.String())
	}
	require.Equal(t, "missing null boolean number string array object unknown", strings.Join(names, " "))
}

func compile(tb testing.TB, path string) *jsonpath.Path {
	tb.Helper()
	compiled, err := jsonpath.Compile(path)
	require.NoError(tb, err)
	return compiled
}
