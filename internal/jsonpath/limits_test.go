package jsonpath_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

// Linear work exceeds no bound, however hostile the document is. A path that needs more
// work ends with ErrLimit. Without a bound, quadratic work would exceed the timeout of the
// test.
func TestPath_bounds(t *testing.T) {
	t.Parallel()

	const size = 128 << 10
	nest := func(levels int, open, inner, end string) string {
		return strings.Repeat(open, levels) + inner + strings.Repeat(end, levels)
	}
	arrays := nest(10_000, "[", "", "]")
	objects := nest(10_000, `{"a":`, "1", "}")
	flat := "[" + strings.Repeat("0,", size/2-2) + "0]"
	var members strings.Builder
	for i := range size / 10 {
		fmt.Fprintf(&members, `"%04x":0,`, i)
	}
	wide := "{" + members.String() + members.String() + `"a":1}`
	long := `{"s":"` + strings.Repeat("\\u0061", size/12) + `","a":[` + strings.Repeat(`"a",`, size/12) + `"a"]}`
	deep := `{"x":` + nest(4_000, "[", "", "]") + `,"a":[` + strings.Repeat(nest(50, "[", "", "]")+",", 500) + `0]}`

	pair := "[[0" + strings.Repeat(",0", 16_000) + "],[1" + strings.Repeat(",0", 16_000) + "]" + strings.Repeat(",0", 16_000) + "]"

	tests := []struct {
		name, path, json string
		lookup, each     bool // within the bounds
	}{
		{"a descent in arrays", "$..a", arrays, true, true},
		{"a descent in objects", "$..b", objects, true, true},
		{"a descent by index", "$..[-1].a", arrays, true, true},
		{"a descent with a filter", "$..[?(@.a == 1)]", objects, true, true},
		{"a descent over many elements", "$..*", flat, true, true},
		{"a descent over many members", "$..a", wide, true, true},
		{"a wildcard over many duplicates", "$.*", wide, true, true},
		{"a filter over many elements", "$[?(@ > 0 || @ < 0 || @ != 0)]", flat, true, true},
		{"a filter that asks the document for each element", "$[?(@ == $[-1])]", flat, true, true},
		{"a filter that searches the document for each element", "$[?($..a)]", flat, true, true},
		{"two short descents", "$..a..b", bookstore, true, true},

		{"values in values are too long together", "$..*", arrays, false, true},
		{"members in members are too long together", "$..a", objects, false, true},
		{"a union repeats the document", "$[" + strings.Repeat("*,", 20) + "*]", flat, false, false},
		{"two descents", "$..*..*", arrays, false, false},
		{"two descents for nothing", "$..a..b", objects, false, false},
		{"many descents in few values", "$" + strings.Repeat("..*", 30), nest(30, "[", "", "]"), false, false},
		{"a filter that searches", "$..[?(@..b)]", objects, false, false},
		{"a filter that counts from the end", "$[?($..[?(@..b)])]", `[` + objects[:60_000] + `]`, false, false},
		{"a filter that searches the document for too long", "$..[?($..*..*)]", arrays, false, false},
		{"a long string for each element", "$.a[?($.s == $.s)]", long, false, false},
		{"a long match for each element", "$.a[?($.s =~ /(a|b)*/)]", long, false, false},
		{"a deep array for each element", "$.a[?($.x == $.x)]", deep, false, false},
		{"two long arrays for each element", "$[?($[0] == $[1])]", pair, false, false},
		{"an array for each element", "$..[?(@..* == 1)]", arrays, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path, json := compile(t, tt.path), []byte(tt.json)
			want := jsonpath.Missing
			if tt.lookup {
				want = jsonpath.Array
			}
			require.Equal(t, want, path.Lookup(json).Kind)
			err := path.Each(json, func(jsonpath.Value) bool { return true })
			if tt.each {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, jsonpath.ErrLimit)
			}
		})
	}
}

func TestPath_Lookup_manyOfInvalidJSON(t *testing.T) {
	t.Parallel()

	texts := []string{
		"", " ", "{", "[", `{"`, `{"a`, `{"a\`, `{"a"`, `{"a":`, `{"a":"`, `{"a":"\`, `{"a":"\u12`, "]", "}", ",", ":",
		`{"a":{"b":[`, `{]`, `[}`, `{{{`, `"\`, `{a:1}`, "\x00", "\xff", `{"a" "b"}`, `{"a":1 "a"}`, `{[1]:2}`, "[1]]", "[1][2]",
		`[-,+,e,1e,.,"\u12"]`, "[" + strings.Repeat(`{"\`, 9) + "]", strings.Repeat("[", 20_000), strings.Repeat(`{"a":`, 20_000),
	}
	for _, json := range texts {
		for _, path := range []string{
			"*", "$..*", "..a", "[0:2]", "[-1,0]", "a[*]", "[?(@.a)]", "..[?(@ == $)]", "[?(@ < 1 || @ > 'a')]", "..[?(@ =~ /x/)]", "$[?(@..a)]",
		} {
			require.NotPanics(t, func() {
				value := compile(t, path).Lookup([]byte(json))
				value.AppendString(nil)
				value.Text(nil)
			}, "path %q in %.50q", path, json)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	var items []string
	for i := range 1_000 {
		items = append(items, fmt.Sprintf(`{"id":%d,"type":"t%d","text":"some \"text\" of an item","tags":["a","b"],"at":{"x":1.5}}`, i, i%10))
	}
	body := []byte(`{"action":"send","items":[` + strings.Join(items, ",") + `]}`)
	small := []byte(`{"action":"send","items":[` + strings.Join(items[:3], ",") + `]}`)
	for _, path := range []struct{ name, text string }{
		{"definite", "$.action"},
		{"wildcard", "$.items[*].id"},
		{"filter", "$.items[?(@.type == 't3' && @.id < 500)].id"},
		{"regexp", "$.items[?(@.type =~ /t[35]/)].id"},
		{"descent", "$..x"},
	} {
		for _, doc := range []struct {
			name string
			json []byte
		}{{"3", small}, {"1000", body}} {
			b.Run("path="+path.name+"/items="+doc.name, func(b *testing.B) {
				compiled := compile(b, path.text)
				b.ReportAllocs()
				b.SetBytes(int64(len(doc.json)))
				for b.Loop() {
					if compiled.Lookup(doc.json).Kind == jsonpath.Missing {
						b.Fatal("missing")
					}
				}
			})
		}
	}
}
