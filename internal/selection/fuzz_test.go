package selection_test

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath/jsonpathtest"
	"example.com/gateway/internal/selection"
)

// oracleTooMuch matches texts for which the oracle would take too long: those with large
// exponents, or with several descents.
var oracleTooMuch = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{3}|\.\..*\.\..*\.\.`)

func FuzzSelection(f *testing.F) {
	f.Add("$request.body.action", `{"action":"join"}`)
	f.Add("${request.body.service}/${request.body['a\\'}b'].x[-1]}", `{"service":["a",null,{"b" : 1}],"a'}b":{"x":[1.50]}}`)
	f.Add(`\$default.\a$request.body.a.b. c`, `{"a":{"b":"\ud83d"},"\u0061":{"b":"\ud83d\ude00"}}`)
	f.Add("$request.body..a[*]${", `[1]`)
	f.Add("$request.body.a[?(@.b[0] == ']' || @ =~ /[}']/)].c.*./${request.body..a[1:]}", `{"a":[{"b":["]"],"c":[1]},"}"]}`)
	f.Add("größe$request.body.größe", `{"gr\u00f6\u00dfe":"L"`)
	f.Fuzz(func(t *testing.T, expression, body string) {
		e, err := selection.Compile(selection.Route, expression)
		if err != nil {
			var wrong *selection.Error
			require.ErrorAs(t, err, &wrong)
			require.Equal(t, expression, wrong.Expression)
			require.LessOrEqual(t, 0, wrong.Position)
			require.LessOrEqual(t, wrong.Position, len(expression))
			return
		}
		text := []byte(body)
		key, ok := e.Route(text, nil)
		require.Equal(t, json.Valid(text) && utf8.Valid(text), ok)
		require.Equal(t, body, string(text), "the body was changed")
		if ok && len(body) < 1<<10 && !oracleTooMuch.MatchString(expression) && !oracleTooMuch.MatchString(body) {
			require.Equal(t, oracleSelection(t, expression, text), string(key))
			require.Equal(t, string(key), string(e.Append(nil, &selection.Input{Body: text, BodyValid: true})))
		}
	})
}

// TestExpression_agreesWithEncodingJSON evaluates random expressions
// over random messages with duplicate members, escapes and nesting.
func TestExpression_agreesWithEncodingJSON(t *testing.T) {
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
				path += pick(".a", ".b", ".b", ".größe", "['a']", `["\u0061"]`, `['x.y']`, "[0]", "[-1]", "[1]",
					".*", "[*]", "..a", "..*", "..[0]", "[0:2]", "[1,0]", "['a','größe']", "[?(@.a || @ == '}]')]", `[?(@ =~ /[}'"x].*/)]`)
			}
			expression += pick("${request.body"+path+"}", "$request.body"+path) + pick("", "/", " ", ".", `\$`, `\`, "}", ", x")
		}
		e, err := selection.Compile(selection.Route, expression)
		require.NoError(t, err, "seed %d: %q", seed, expression)
		want := oracleSelection(t, expression, []byte(body))
		if strings.ContainsAny(want, "0123456789") {
			found++
		}
		key, ok := e.Route([]byte(body), nil)
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

// The grammar, written a second time for the oracle: what a bracket of a path may hold, and
// what else a variable without braces may consist of.
var (
	oracleInBracket = regexp.MustCompile(`(?s)^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|=~ */(?:[^/\\]|\\.)*/|.)`)
	oracleBare      = regexp.MustCompile(`^(?:[\pL\p{Nd}\pM_-]+|\.?\.\*|\.?\.[\pL\p{Nd}\pM_-]|\.?\.?\[)`)
)

// oracleSelection evaluates an expression that was compiled, the naive way.
func oracleSelection(tb testing.TB, expression string, body []byte) string {
	tb.Helper()
	result := ""
	for rest := expression; rest != ""; {
		path, size := "", 1
		switch braced, ok := strings.CutPrefix(rest, "${request.body"); {
		case ok:
			path = braced[:oracleExtent(tb, braced, true)]
			size = len("${request.body}") + len(path)
		case rest[0] == '$':
			path = rest[len("$request.body"):]
			path = path[:oracleExtent(tb, path, false)]
			size = len("$request.body") + len(path)
		case strings.HasPrefix(rest, `\$`):
			result, size = result+"$", 2
		default:
			result += rest[:1]
		}
		if path != "" {
			raw, _ := jsonpathtest.Lookup(body, path)
			result += jsonpathtest.String(raw)
		}
		rest = rest[size:]
	}
	return result
}

// oracleExtent returns how long the path at the start of text is.
func oracleExtent(tb testing.TB, text string, braced bool) int {
	tb.Helper()
	depth, size := 0, 0
	for {
		rest := text[size:]
		token := oracleInBracket.FindString(rest)
		switch {
		case depth == 0 && !braced:
			if token = oracleBare.FindString(rest); token == "" {
				return size
			}
			depth += strings.Count(token, "[")
		case depth == 0 && rest[0] == '}':
			return size
		case depth == 0 && rest[0] != '[':
			token = rest[:1]
		case token == "[":
			depth++
		case token == "]":
			depth--
		}
		require.NotEmpty(tb, token, "%q", text)
		size += len(token)
	}
}
