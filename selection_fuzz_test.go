package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzSelection(f *testing.F) {
	f.Add("$request.body.action", `{"action":"join"}`)
	f.Add("${request.body.service}/${request.body['a\\'}b'].x[-1]}", `{"service":["a",null,{"b" : 1}],"a'}b":{"x":[1.50]}}`)
	f.Add(`\$default.\a$request.body.a.b. c`, `{"a":{"b":"\ud83d"},"\u0061":{"b":"\ud83d\ude00"}}`)
	f.Add("$request.body..a[*]${", `[1]`)
	f.Add("größe$request.body.größe", `{"gr\u00f6\u00dfe":"L"`)
	f.Fuzz(func(t *testing.T, expression, body string) {
		e, err := compileSelection(selectRoute, expression)
		if err != nil {
			var selection *SelectionExpressionError
			require.ErrorAs(t, err, &selection)
			require.Equal(t, expression, selection.Expression)
			require.LessOrEqual(t, 0, selection.Position)
			require.LessOrEqual(t, selection.Position, len(expression))
			return
		}
		text := []byte(body)
		key, ok := e.route(text, nil)
		require.Equal(t, json.Valid(text) && utf8.Valid(text), ok)
		require.Equal(t, body, string(text), "the body was changed")
		if ok {
			require.Equal(t, oracleSelection(t, expression, text), string(key))
			require.Equal(t, string(key), string(e.append(nil, &selectionInput{body: text, bodyValid: true})))
		}
	})
}

// TestSelectionExpression_agreesWithEncodingJSON evaluates random expressions
// over random messages with duplicate members, escapes and nesting.
func TestSelectionExpression_agreesWithEncodingJSON(t *testing.T) {
	t.Parallel()

	found := 0
	for seed := range uint64(2_500) {
		r := rand.New(rand.NewPCG(seed, 21))
		pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
		body := randomObject(pick, 3)
		expression := ""
		for range 1 + r.IntN(3) {
			path := ""
			for range 1 + r.IntN(3) {
				path += pick(".a", ".b", ".b", ".größe", "['a']", `["\u0061"]`, `['x.y']`, "[0]", "[-1]", "[1]")
			}
			expression += pick("${request.body"+path+"}", "$request.body"+path) + pick("", "/", " ", ".", `\$`, `\`, "}", ", x")
		}
		e, err := compileSelection(selectRoute, expression)
		require.NoError(t, err, "seed %d: %q", seed, expression)
		want := oracleSelection(t, expression, []byte(body))
		if strings.ContainsAny(want, "0123456789") {
			found++
		}
		key, ok := e.route([]byte(body), nil)
		require.True(t, ok, "seed %d: %q", seed, body)
		require.Equal(t, want, string(key), "seed %d: %q over %q", seed, expression, body)
	}
	require.Greater(t, found, 500, "too few expressions found something")
}

func randomObject(pick func(...string) string, depth int) string {
	var members []string
	for range len(pick("", ".", "..", "....", "......")) {
		members = append(members, pick(`"a"`, `"b"`, `"\u0061"`, `"größe"`, `"gr\u00F6\u00dfe"`, `"x.y"`)+pick(":", " :\n")+randomValue(pick, depth-1))
	}
	return "{" + strings.Join(members, pick(",", " , ")) + "}"
}

func randomValue(pick func(...string) string, depth int) string {
	switch kind := pick("scalar", "object", "object", "array"); {
	case depth == 0 || kind == "scalar":
		return pick(`"x1"`, `"\ud83d1"`, `"\ud83d\ude002"`, `"a\"b\\3"`, "1.50", "-1E+2", "true", "false", "null", `""`)
	case kind == "object":
		return randomObject(pick, depth)
	default:
		return "[" + randomValue(pick, depth-1) + pick(",", " ,\t") + randomValue(pick, depth-1) + "]"
	}
}

// The grammar once more, for the oracle: pieces of an expression, steps of a
// path, and what a quoted name has that a JSON string has not.
var (
	oraclePiece = regexp.MustCompile(fmt.Sprintf(
		`(?s)^(?:(\\\$)|\$\{request\.body((?:[^}\[]|%[2]s)*)\}|\$request\.body((?:%[1]s|%[2]s|\.%[1]s|\.%[2]s)+)|(.))`,
		`[\pL\p{Nd}\pM_-]`, `\[(?:[^\]'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*\]`))
	oracleStep   = regexp.MustCompile(`(?s)^(?:\.?\[ *(-?\d+) *\]|\.?\[ *('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*") *\]|\.([^.\[]+))`)
	oracleEscape = regexp.MustCompile(`(?s)\\.|"`)
)

// oracleSelection evaluates an expression that was compiled, the naive way.
func oracleSelection(tb testing.TB, expression string, body []byte) string {
	tb.Helper()
	result := ""
	for rest := expression; rest != ""; {
		m := oraclePiece.FindStringSubmatch(rest)
		if m == nil { // a byte that is not UTF-8
			m = []string{rest[:1], "", "", "", rest[:1]}
		}
		switch {
		case m[1] != "":
			result += "$"
		case m[4] != "":
			result += m[0]
		default:
			result += oracleString(oracleLookup(tb, body, m[2]+m[3]), true)
		}
		rest = rest[len(m[0]):]
	}
	return result
}

// oracleLookup follows a path that was compiled, by means of encoding/json.
func oracleLookup(tb testing.TB, raw []byte, path string) []byte {
	tb.Helper()
	raw = bytes.Trim(raw, " \t\r\n")
	for len(path) > 0 && len(raw) > 0 {
		m := oracleStep.FindStringSubmatch(path)
		require.NotNil(tb, m, "path %q", path)
		path = path[len(m[0]):]
		name := m[3]
		if m[2] != "" {
			name = oracleName(tb, m[2])
		}
		var next json.RawMessage
		if index, err := strconv.Atoi(m[1]); err == nil {
			var array []json.RawMessage
			if json.Unmarshal(raw, &array) == nil {
				if index < 0 {
					index += len(array)
				}
				if 0 <= index && index < len(array) {
					next = array[index]
				}
			}
		} else {
			var object map[string]json.RawMessage
			if json.Unmarshal(raw, &object) == nil {
				next = object[name]
			}
		}
		raw = next
	}
	return raw
}

// oracleName decodes a quoted name by making a JSON string of it.
func oracleName(tb testing.TB, quoted string) string {
	tb.Helper()
	inner := oracleEscape.ReplaceAllStringFunc(quoted[1:len(quoted)-1], func(s string) string {
		switch s {
		case `\'`:
			return `'`
		case `"`:
			return `\"`
		default:
			return s
		}
	})
	var name string
	require.NoError(tb, json.Unmarshal([]byte(`"`+inner+`"`), &name), "name %q", quoted)
	return name
}

func oracleString(raw []byte, top bool) string {
	var text string
	var items []json.RawMessage
	switch {
	case len(raw) == 0, top && string(raw) == "null":
		return ""
	case raw[0] == '{':
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return err.Error()
		}
		return compact.String()
	case raw[0] == '"' && json.Unmarshal(raw, &text) == nil:
		return text
	case raw[0] == '[' && json.Unmarshal(raw, &items) == nil:
		list := make([]string, len(items))
		for i := range items {
			list[i] = oracleString(items[i], false)
		}
		return "[" + strings.Join(list, ", ") + "]"
	default:
		return string(raw)
	}
}
