package jsonpath_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

func TestValid(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, json string
		want       bool
	}{
		{"an object is valid", `{"a": [1, 2.5e-3, true, false, null, "x"]}`, true},
		{"a lone string is valid", `"x"`, true},
		{"a lone number is valid", ` -0.0E+1 `, true},
		{"nothing is invalid", ``, false},
		{"white space alone is invalid", " \n", false},
		{"two values are invalid", `{} {}`, false},
		{"an unquoted key is invalid", `{"action":"sendMessage", body:"hello"}`, false},
		{"single quotes are invalid", `{'a':1}`, false},
		{"a trailing comma in an object is invalid", `{"a":1,}`, false},
		{"a trailing comma in an array is invalid", `[1,]`, false},
		{"a leading comma is invalid", `[,1]`, false},
		{"a missing comma is invalid", `[1 2]`, false},
		{"a missing value is invalid", `{"a":}`, false},
		{"a comment is invalid", `{} // x`, false},
		{"a leading zero is invalid", `01`, false},
		{"a leading plus is invalid", `+1`, false},
		{"a bare point is invalid", `1.`, false},
		{"a point first is invalid", `.5`, false},
		{"NaN is invalid", `NaN`, false},
		{"Infinity is invalid", `-Infinity`, false},
		{"capital True is invalid", `True`, false},
		{"half a literal is invalid", `tru`, false},
		{"a control character in a string is invalid", "\"a\nb\"", false},
		{"an unknown escape is invalid", `"\x41"`, false},
		{"a short Unicode escape is invalid", `"\u12"`, false},
		{"half a surrogate pair is valid, as the grammar has it", `"\ud83d"`, true},
		{"an open string is invalid", `"a`, false},
		{"an open object is invalid", `{"a":1`, false},
		{"mismatched brackets are invalid", `{"a":[1}]`, false},
		{"a byte order mark is invalid", "\uFEFF{}", false},
		{"vertical tab is not white space", "\v{}", false},
		{"a no-break space is not white space", "\u00a0{}", false},
		{"a NUL is invalid", "{}\x00", false},
		{"invalid UTF-8 is invalid", "\"\xff\"", false},
		{"an encoded surrogate is invalid", "\"\xed\xa0\x80\"", false},
		{"an overlong encoding is invalid", "\"\xc0\xaf\"", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, jsonpath.Valid([]byte(tt.json)))
			if utf8.ValidString(tt.json) {
				require.Equal(t, tt.want, json.Valid([]byte(tt.json)), "encoding/json differs")
			}
		})
	}
}

func TestValid_depth(t *testing.T) {
	t.Parallel()

	nest := func(levels int, open, inner, end string) string {
		return strings.Repeat(open, levels) + inner + strings.Repeat(end, levels)
	}
	tests := []struct {
		name, json string
		want       bool
	}{
		{"10,000 arrays are within the limit", nest(10_000, "[", "", "]"), true},
		{"10,001 arrays are not", nest(10_001, "[", "", "]"), false},
		{"10,000 objects are within the limit", nest(10_000, `{"a":`, "1", "}"), true},
		{"10,001 objects are not", nest(10_001, `{"a":`, "1", "}"), false},
		{"brackets in strings do not count", `["` + nest(50_000, "[", `\"`, "{") + `"]`, true},
		{"brackets side by side do not count", "[" + strings.Repeat("[],{},", 20_000) + "1]", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, jsonpath.Valid([]byte(tt.json)))
			require.Equal(t, tt.want, json.Valid([]byte(tt.json)), "encoding/json differs")
		})
	}
}

// The slowest of these took 10 ms when it was written, 50 ms under the race
// detector; quadratic work would take many seconds.
// Work in quadratic time, or a stack as deep as the text, would exceed the timeout of the
// test.
func TestHostileInput(t *testing.T) {
	t.Parallel()

	const size = 128 << 10
	tests := []struct{ name, json string }{
		{"arrays 65,536 deep", strings.Repeat("[", size/2) + strings.Repeat("]", size/2)},
		{"arrays never closed", strings.Repeat("[", size)},
		{"objects never closed", strings.Repeat(`{"a":`, size/5)},
		{"arrays in an object", `{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}"},
		{"objects in arrays", `{"a":` + strings.Repeat(`[{"a":`, 4_900) + "1" + strings.Repeat("}]", 4_900) + "}"},
		{"duplicate keys", "{" + strings.Repeat(`"a":"x",`, size/8) + `"a":1}`},
		{"escaped quotes", `{"a":"` + strings.Repeat(`\"`, size/2) + `"}`},
		{"escaped backslashes", `{"a":"` + strings.Repeat(`\\`, size/2) + `"}`},
		{"a string never closed", `{"a":"` + strings.Repeat(`\"`, size/2)},
		{"half pairs", `{"a":"` + strings.Repeat(`\ud83d`, size/6) + `"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := []byte(tt.json)
			require.Equal(t, json.Valid(text), jsonpath.Valid(text))
			for _, path := range []string{"$", "a", "a[-1]", "a[0]"} {
				compile(t, path).Lookup(text).AppendString(nil)
			}
		})
	}
}
