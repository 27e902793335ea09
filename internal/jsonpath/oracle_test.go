package jsonpath_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

// TestPath_Lookup_agreesWithEncodingJSON looks up random paths, about half of
// which lead somewhere, in random documents with duplicate keys, all kinds of
// escapes, half surrogate pairs and white space.
func TestPath_Lookup_agreesWithEncodingJSON(t *testing.T) {
	t.Parallel()

	found := 0
	for seed := range uint64(1_000) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 10))}
		g.space()
		g.list(3, "{["[seed%2], "}]"[seed%2])
		g.space()
		doc := g.buf.Bytes()
		require.True(t, json.Valid(doc), "seed %d: the generator wrote %q", seed, doc)
		require.True(t, jsonpath.Valid(doc), "seed %d: %q", seed, doc)
		for range 8 {
			steps := g.path(doc)
			path := render(g.Rand, steps)
			compiled, err := jsonpath.Compile(path)
			require.NoError(t, err, "seed %d: path %q", seed, path)
			want, exists := oracleLookup(doc, steps)
			if exists {
				found++
			}
			value := compiled.Lookup(doc)
			require.Equal(t, exists, value.Kind != jsonpath.Missing, "seed %d: path %q in %q", seed, path, doc)
			require.Equal(t, string(want), string(value.Raw), "seed %d: path %q in %q", seed, path, doc)
			text := oracleString(want, true)
			require.Equal(t, text, string(value.AppendString(nil)), "seed %d: path %q in %q", seed, path, doc)
			require.Equal(t, text, string(value.Text(nil)), "seed %d: path %q in %q", seed, path, doc)
		}
	}
	require.Greater(t, found, 3_000, "too few paths led somewhere")
}

func FuzzJSONPath(f *testing.F) {
	f.Add("$.action", `{"action":"join"}`)
	f.Add("items[-1]['ty\\u0070e']", `{"items":[1,{"type":null,"t\u0079pe":[1,"a",{"b" : 1}]}]}`)
	f.Add(`["a\"b"].x`, `{"a\"b":{"x":"\ud83d\ud83d\ude00"},"a":1}`)
	f.Add("$..a[*]", `[[[[{}]]]]`)
	f.Add(".a[?(@.b)]", `{"a`)
	f.Fuzz(func(t *testing.T, path, doc string) {
		text := []byte(doc)
		require.Equal(t, json.Valid(text) && utf8.Valid(text), jsonpath.Valid(text))
		compiled, err := jsonpath.Compile(path)
		if err != nil {
			var syntax *jsonpath.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, path, syntax.Path)
			require.LessOrEqual(t, 0, syntax.Position)
			require.LessOrEqual(t, syntax.Position, len(path))
			return
		}
		value := compiled.Lookup(text) // must not panic, whatever the text
		got := string(value.AppendString(nil))
		require.Equal(t, got, string(value.Text(nil)))
		require.Equal(t, doc, string(text), "the text was changed")
		if !jsonpath.Valid(text) {
			return
		}
		want, exists := oracleLookup(text, oracleSteps(t, path))
		require.Equal(t, exists, value.Kind != jsonpath.Missing)
		require.Equal(t, string(want), string(value.Raw))
		require.Equal(t, oracleString(want, true), got)
	})
}

// oracleLookup follows steps, strings and ints, by means of encoding/json.
func oracleLookup(doc []byte, steps []any) (raw []byte, ok bool) {
	raw = bytes.Trim(doc, " \t\r\n")
	for _, step := range steps {
		var next json.RawMessage
		switch step := step.(type) {
		case string:
			var object map[string]json.RawMessage
			if raw[0] != '{' || json.Unmarshal(raw, &object) != nil {
				return nil, false
			}
			next, ok = object[step]
		case int:
			var array []json.RawMessage
			if raw[0] != '[' || json.Unmarshal(raw, &array) != nil {
				return nil, false
			}
			if step < 0 {
				step += len(array)
			}
			if ok = step >= 0 && step < len(array); ok {
				next = array[step]
			}
		}
		if !ok {
			return nil, false
		}
		raw = next
	}
	return raw, true
}

// oracleString writes a value by means of encoding/json.
func oracleString(raw []byte, top bool) string {
	switch {
	case len(raw) == 0, top && string(raw) == "null":
		return ""
	case raw[0] == '"':
		var s string
		mustDo(json.Unmarshal(raw, &s))
		return s
	case raw[0] == '{':
		var buf bytes.Buffer
		mustDo(json.Compact(&buf, raw))
		return buf.String()
	case raw[0] == '[':
		var array []json.RawMessage
		mustDo(json.Unmarshal(raw, &array))
		items := make([]string, len(array))
		for i := range array {
			items[i] = oracleString(array[i], false)
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return string(raw)
	}
}

// The grammar once more, for the oracle: steps of a path, and what a quoted name
// has that a JSON string has not.
var (
	oracleToken = regexp.MustCompile(`(?s)^(?:` +
		`\.?\[ *(-?\d+) *\]|` +
		`\.?\[ *('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*") *\]|` +
		`\.?([^.\[]+))`)
	oracleEscape = regexp.MustCompile(`(?s)\\.|"`)
)

// oracleSteps reads a path that Compile accepted.
func oracleSteps(tb testing.TB, path string) []any {
	tb.Helper()
	steps := []any{}
	for rest := strings.TrimPrefix(path, "$"); rest != ""; {
		m := oracleToken.FindStringSubmatch(rest)
		require.NotNil(tb, m, "path %q at %q", path, rest)
		rest = rest[len(m[0]):]
		switch {
		case m[1] != "":
			index, err := strconv.Atoi(m[1])
			require.NoError(tb, err)
			steps = append(steps, index)
		case m[2] != "":
			steps = append(steps, oracleUnquote(tb, m[2]))
		default:
			steps = append(steps, m[3])
		}
	}
	return steps
}

// oracleUnquote decodes a quoted name by making a JSON string of it.
func oracleUnquote(tb testing.TB, quoted string) string {
	tb.Helper()
	inner := quoted[1 : len(quoted)-1]
	inner = oracleEscape.ReplaceAllStringFunc(inner, func(s string) string {
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

func mustDo(err error) {
	if err != nil {
		panic(err)
	}
}

// generator writes random JSON.
type generator struct {
	*rand.Rand
	buf bytes.Buffer
}

// key returns one of few keys, so that objects have duplicates.
func (g *generator) key() string {
	keys := []string{
		"a", "b", "action", "", "a.b", "*", "#", "@this", "|", "!", "größe", "ключ", "😀", `q"q`, `'`, `\`, "\n", "\uFFFD", "]", " ", "$",
	}
	return keys[g.IntN(len(keys))]
}

func (g *generator) value(depth int) {
	kind := g.IntN(10)
	if depth == 0 {
		kind = g.IntN(5)
	}
	switch kind {
	case 0:
		g.pick("true", "false", "null")
	case 1:
		g.pick("0", "-0", "1.50", "-1E+10", "1e999", "12345678901234567890")
	case 2, 3, 4:
		g.str(g.key() + g.key())
	case 5, 6, 7:
		g.list(depth, '{', '}')
	default:
		g.list(depth, '[', ']')
	}
}

func (g *generator) list(depth int, open, end byte) {
	g.buf.WriteByte(open)
	g.space()
	for i := range g.IntN(7) {
		if i > 0 {
			g.buf.WriteByte(',')
			g.space()
		}
		if open == '{' {
			g.str(g.key())
			g.space()
			g.buf.WriteByte(':')
			g.space()
		}
		g.value(depth - 1)
		g.space()
	}
	g.buf.WriteByte(end)
}

// str writes s with as many escapes as chance has it.
func (g *generator) str(s string) {
	g.buf.WriteByte('"')
	for _, r := range s {
		switch {
		case r == utf8.RuneError && g.IntN(2) == 0:
			g.pick(`\ud83d`, `\uDE00`) // half a pair
		case r > 0xFFFF && g.IntN(2) == 0:
			r -= 0x10000
			fmt.Fprintf(&g.buf, `\u%04x\u%04X`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		case r < 0x10000 && g.IntN(3) == 0:
			fmt.Fprintf(&g.buf, `\u%04x`, r)
		case r == '"' || r == '\\' || r == '/':
			g.buf.WriteByte('\\')
			g.buf.WriteRune(r)
		case r == '\n':
			g.buf.WriteString(`\n`)
		default:
			g.buf.WriteRune(r)
		}
	}
	g.buf.WriteByte('"')
}

func (g *generator) space() {
	if g.IntN(4) == 0 {
		g.pick(" ", "\n\t", "\r\n  ")
	}
}

func (g *generator) pick(texts ...string) { g.buf.WriteString(texts[g.IntN(len(texts))]) }

// path walks into doc, and now and then beside it.
func (g *generator) path(doc []byte) []any {
	steps := []any{}
	for range 1 + g.IntN(3) {
		raw, _ := oracleLookup(doc, steps)
		var array []json.RawMessage
		var object map[string]json.RawMessage
		switch {
		case g.IntN(8) > 0 && json.Unmarshal(raw, &object) == nil && len(object) > 0:
			keys := slices.Sorted(maps.Keys(object))
			steps = append(steps, keys[g.IntN(len(keys))])
		case g.IntN(8) > 0 && json.Unmarshal(raw, &array) == nil && len(array) > 0:
			steps = append(steps, g.IntN(2*len(array))-len(array))
		case g.IntN(2) == 0:
			steps = append(steps, g.key())
		default:
			steps = append(steps, g.IntN(5)-2)
		}
	}
	return steps
}

// render writes steps in one of the spellings that mean the same.
func render(r *rand.Rand, steps []any) string {
	path := "$"
	for _, step := range steps {
		name, isName := step.(string)
		switch {
		case !isName:
			path += fmt.Sprintf("[%d]", step)
		case name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz@#!|öß") == "" && r.IntN(2) == 0:
			path += "." + name
		case r.IntN(2) == 0:
			path += "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(name) + "']"
		default:
			quoted, err := json.Marshal(name)
			mustDo(err)
			path += "[" + string(quoted) + "]"
		}
	}
	return path
}
