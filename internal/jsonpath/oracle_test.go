package jsonpath_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
	"example.com/gateway/internal/jsonpath/jsonpathtest"
)

// TestPath_Lookup_agreesWithEncodingJSON looks up random paths, of which about half lead to
// a value, in random documents with duplicate keys, all kinds of escapes, half surrogate
// pairs and white space.
func TestPath_Lookup_agreesWithEncodingJSON(t *testing.T) {
	t.Parallel()

	definite, several := 0, 0
	for seed := range uint64(300) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 10))}
		g.space()
		g.list(3, "{["[seed%2], "}]"[seed%2])
		g.space()
		doc := g.buf.Bytes()
		require.True(t, json.Valid(doc), "seed %d: the generator wrote %q", seed, doc)
		require.True(t, jsonpath.Valid(doc), "seed %d: %q", seed, doc)
		for i := range 16 {
			text := g.path(doc, i%2 == 0)
			path, err := jsonpath.Compile(text)
			require.NoError(t, err, "seed %d: path %q", seed, text)
			requireOracle(t, path, doc)
			switch value := path.Lookup(doc); {
			case path.Definite() && value.Kind != jsonpath.Missing:
				definite++
			case !path.Definite() && len(value.Raw) > len("[]"):
				several++
			}
		}
	}
	require.Greater(t, definite, 900, "too few definite paths led somewhere")
	require.Greater(t, several, 300, "too few other paths led somewhere")
}

// requireOracle compares all results of a path in valid JSON.
func requireOracle(tb testing.TB, path *jsonpath.Path, doc []byte) {
	tb.Helper()
	value := path.Lookup(doc)
	if !path.Definite() && value.Kind == jsonpath.Missing {
		return // a bound was passed, which is tested elsewhere
	}
	want, exists := jsonpathtest.Lookup(doc, path.String())
	require.Equal(tb, exists, value.Kind != jsonpath.Missing, "path %q in %q", path, doc)
	require.Equal(tb, string(want), string(value.Raw), "path %q in %q", path, doc)
	text := jsonpathtest.String(want)
	require.Equal(tb, text, string(value.AppendString(nil)), "path %q in %q", path, doc)
	require.Equal(tb, text, string(value.Text(nil)), "path %q in %q", path, doc)

	var each []string
	require.NoError(tb, path.Each(doc, func(v jsonpath.Value) bool {
		each = append(each, string(v.Raw))
		return true
	}))
	got := strings.Join(each, ",")
	if !path.Definite() {
		got = "[" + got + "]"
	}
	require.Equal(tb, string(want), got, "each of path %q in %q", path, doc)
}

// tooMuch reports whether the oracle would take too long, because of exponents or of
// several descents.
var tooMuch = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{3}|\.\..*\.\..*\.\.`)

func FuzzJSONPath(f *testing.F) {
	f.Add("$.action", `{"action":"join"}`)
	f.Add("items[-1]['ty\\u0070e']", `{"items":[1,{"type":null,"t\u0079pe":[1,"a",{"b" : 1}]}]}`)
	f.Add(`["a\"b"].x`, `{"a\"b":{"x":"\ud83d\ud83d\ude00"},"a":1}`)
	f.Add("$..a[*]", `[[[[{}]]],{"a":[1,{"a":[2]}]}]`)
	f.Add(".a[?(@.b)]", `{"a`)
	f.Add("$.a[?(@.b >= 1.0 && !(@.c == 'x\\n' || @['d']) || @ =~ /x|\\/y/i)].b", `{"a":[{"b":1},{"b":2e0,"c":"x\n"},"X","/y"]}`)
	f.Add("$..[?(@.a == $.b[::2])]['a',0]", `{"b":[1,2,{"c":3,"\u0063":4}],"x":{"a":[1,{"c":4}]}}`)
	f.Add("$.*[-2:9,*,0,?(@ != null)]..*", `{"a":[1,[2],null],"a":[3,{"b":4}],"c":{}}`)
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
		require.Equal(t, string(value.AppendString(nil)), string(value.Text(nil)))
		require.Equal(t, doc, string(text), "the text was changed")
		if jsonpath.Valid(text) && len(doc) < 1<<10 && !tooMuch.MatchString(path) && !tooMuch.MatchString(doc) {
			requireOracle(t, compiled, text)
		}
	})
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

// str writes s with a random number of escapes.
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

// path makes a path into doc, which sometimes leads to no value. If definite is true, it
// uses only names and indices.
func (g *generator) path(doc []byte, definite bool) string {
	path := "$"
	for range 1 + g.IntN(3) {
		raw, _ := jsonpathtest.Lookup(doc, path)
		if !isDefinite(path) {
			var matches []json.RawMessage
			if json.Unmarshal(raw, &matches) == nil && len(matches) > 0 {
				raw = matches[0]
			}
		}
		if !definite && g.IntN(2) == 0 {
			path += g.several(raw)
		} else {
			path += g.step(raw)
		}
	}
	return path
}

func isDefinite(text string) bool {
	path, err := jsonpath.Compile(text)
	return err == nil && path.Definite()
}

// step returns a member or an element, which usually exists.
func (g *generator) step(raw []byte) string {
	var array []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case g.IntN(8) > 0 && json.Unmarshal(raw, &object) == nil && len(object) > 0:
		keys := slices.Sorted(maps.Keys(object))
		return g.member(keys[g.IntN(len(keys))])
	case g.IntN(8) > 0 && json.Unmarshal(raw, &array) == nil && len(array) > 0:
		return fmt.Sprintf("[%d]", g.IntN(2*len(array))-len(array))
	case g.IntN(2) == 0:
		return g.member(g.key())
	default:
		return fmt.Sprintf("[%d]", g.IntN(5)-2)
	}
}

// several returns a step that may have several matches in a value.
func (g *generator) several(raw []byte) string {
	one, other := g.step(raw), g.step(raw)
	below := ".." + strings.TrimPrefix(one, ".")
	steps := []string{
		".*", "[*]", "[ * ]", "..*", "..[*]", "..a", "..[0]", "..[-1]", below, below + ".*",
		"[1:3]", "[:2]", "[-2:]", "[0:6:2]", "[::3]", "[-3:2]", "[3:-1]", "[:]", "[0,2]", "[ -1 , 0 ]", "['a','b']",
		`["action", 0, 1:, *]`, "[0,0]", "..['a','b']", "[?(@" + one + ")]", "[?(@" + one + " == @" + other + ")]",
		"[?(!@" + one + ")]", "[?(@" + one + " || @" + other + " && !(@.a))]", "[?(@ == 1.5)]", "[?(@.a < 2)]",
		"[?(@ >= 'a')]", "[?(@.* )]", "[?(@..a)]", "[?(@ != $[0])]", "[?(@" + one + " == $" + below + ")]",
		"[?(@ == $" + one + " || @" + other + " == $[0].b)]", "[?(@ =~ /[a-c]*/)]", "[?(@.* =~ /TRUE|.*B/i)]",
		"..[?(@.a)]", "..[?(@ > 0)]", "..[?(@" + one + ")]", "..[?(@" + one + " != null)]", "[?(@.a[?(@.b)])]",
		"[?(null == @)]", "[?(@ <= -0)]", "[?(@[0] != @[1])]", "..[?(@" + one + " >= @" + other + ")]",
	}
	return steps[g.IntN(len(steps))]
}

// member writes the step to a name in one of its equivalent spellings.
func (g *generator) member(name string) string {
	switch {
	case name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz@#öß") == "" && g.IntN(2) == 0:
		return "." + name
	case g.IntN(2) == 0:
		return "['" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(name) + "']"
	default:
		quoted, err := json.Marshal(name)
		if err != nil {
			panic(err)
		}
		return "[" + string(quoted) + "]"
	}
}
