package jsonpath_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

// The document of Goessner's article, "JSONPath - XPath for JSON" (2007).
const bookstore = `{ "store": {
	"book": [
		{ "category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95 },
		{ "category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99 },
		{ "category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99 },
		{ "category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99 }
	],
	"bicycle": { "color": "red", "price": 19.95 }
} }`

func TestPath_Lookup_bookstore(t *testing.T) {
	t.Parallel()

	tests := []struct{ name, path, want string }{
		{"the authors of all books", "$.store.book[*].author", "[Nigel Rees, Evelyn Waugh, Herman Melville, J. R. R. Tolkien]"},
		{"all authors", "$..author", "[Nigel Rees, Evelyn Waugh, Herman Melville, J. R. R. Tolkien]"},
		{"the price of everything", "$.store..price", "[8.95, 12.99, 8.99, 22.99, 19.95]"},
		{"the third book", "$..book[2].title", "[Moby Dick]"},
		{"the last book by its index", "$..book[-1].title", "[The Lord of the Rings]"},
		{"the last book by a slice", "$..book[-1:].title", "[The Lord of the Rings]"},
		{"the first two books by a union", "$..book[0,1].title", "[Sayings of the Century, Sword of Honour]"},
		{"the first two books by a slice", "$..book[:2].title", "[Sayings of the Century, Sword of Honour]"},
		{"the books with an ISBN", "$..book[?(@.isbn)].title", "[Moby Dick, The Lord of the Rings]"},
		{"the books without an ISBN", "$..book[?(!@.isbn)].title", "[Sayings of the Century, Sword of Honour]"},
		{"the books cheaper than 10", "$..book[?(@.price<10)].title", "[Sayings of the Century, Moby Dick]"},
		{"the books between two prices", "$..book[?(@.price > 8.95 && @.price <= 12.99)].title", "[Sword of Honour, Moby Dick]"},
		{"the books that the bicycle outprices", "$.store.book[?(@.price > $.store.bicycle.price)].title", "[The Lord of the Rings]"},
		{"the books of one category", "$..book[?(@.category == 'reference')].title", "[Sayings of the Century]"},
		{"the books by a pattern", "$..book[?(@.author =~ /.*REES/i)].title", "[Sayings of the Century]"},
		{"whatever has an ISBN", "$..[?(@.isbn)].price", "[8.99, 22.99]"},
		{"a union of names", "$.store.book[0]['title','price']", "[Sayings of the Century, 8.95]"},
		{"all colors", "$.store.*.color", "[red]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := compile(t, tt.path)
			require.False(t, path.Definite())
			require.Equal(t, tt.want, string(path.Lookup([]byte(bookstore)).Text(nil)))
			requireOracle(t, path, []byte(bookstore))
		})
	}

	members := 0
	require.NoError(t, compile(t, "$..*").Each([]byte(bookstore), func(jsonpath.Value) bool {
		members++
		return true
	}))
	require.Equal(t, 27, members, "all members and elements, $ not among them")
	require.True(t, jsonpath.Valid(compile(t, "$..*").Lookup([]byte(bookstore)).Raw))
}

// Many of these documents and paths are from public comparisons of JSONPath
// implementations.
func TestPath_Lookup_matches(t *testing.T) {
	t.Parallel()

	const letters = `["a","b","c","d","e"]`
	tests := []struct{ name, path, json, want string }{
		{"a wildcard gives the elements", "$[*]", `["s", 42, {"k": 1}, [0]]`, `["s",42,{"k": 1},[0]]`},
		{"a wildcard gives the values of members in their order", "$.*", `{"b":1,"a":{"c":2}}`, `[1,{"c":2}]`},
		{"a wildcard keeps null", "$[*]", `[40, null]`, `[40,null]`},
		{"a wildcard in a scalar gives nothing", "$.a.*", `{"a":"text"}`, `[]`},
		{"a wildcard in nothing gives nothing", "$.x.*", `{"a":1}`, `[]`},
		{"a wildcard is a path alone", "*", `[1,2]`, `[1,2]`},
		{"of duplicate keys the last counts, in its place", "$.*", `{"a":1,"b":2,"\u0061":3}`, `[2,3]`},
		{"of many duplicate keys too", "$.*", `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"\u0062":0}`, `[1,3,4,5,6,7,8,9,0]`},
		{"nothing inside a duplicate that does not count is found", "$..x", `{"a":{"x":1},"a":{"x":2}}`, `[2]`},
		{"wildcards nest", "$.*.*", `[[1,2],{"a":3},4]`, `[1,2,3]`},
		{"members that are missing are left out", "$[*].a", `[{"a":1},{"b":2},3]`, `[1]`},

		{"a slice has a start and an end", "$[1:3]", letters, `["b","c"]`},
		{"a slice may begin at the start", "$[:2]", letters, `["a","b"]`},
		{"a slice may go on to the end", "$[3:]", letters, `["d","e"]`},
		{"a slice may be everything", "$[:]", letters, letters},
		{"a slice may begin before the end", "$[-2:]", letters, `["d","e"]`},
		{"a slice may begin before the start", "$[-9:2]", letters, `["a","b"]`},
		{"a slice that begins before the start counts its step from there", "$[-9::3]", letters, `["a","d"]`},
		{"a slice may end behind the end", "$[3:99]", letters, `["d","e"]`},
		{"a slice may end before the end", "$[3:-1]", letters, `["d"]`},
		{"a slice may go from one end to the other", "$[-4:3]", letters, `["b","c"]`},
		{"a slice may be empty", "$[2:1]", letters, `[]`},
		{"a slice has a step", "$[0:6:2]", letters, `["a","c","e"]`},
		{"a slice counts its step from its start", "$[ 1 : : 3 ]", letters, `["b","e"]`},
		{"a slice may have an empty step", "$[1:3:]", letters, `["b","c"]`},
		{"the step of a slice may be huge", "$[1::9223372036854775807]", letters, `["b"]`},
		{"a slice of an object is empty", "$[1:3]", `{"1:3":1}`, `[]`},
		{"a path goes on behind a slice", "$[0:2].k", `[{"k":1},{"k":2},{"k":3}]`, `[1,2]`},

		{"a union of indices gives its parts in their order", "$[4,1]", letters, `["e","b"]`},
		{"a union may repeat itself", "$[0,0]", letters, `["a","a"]`},
		{"a union may count from the end", "$[ -1 , 0 , 9 ]", letters, `["e","a"]`},
		{"a union of names gives an array", "$['a','c']", `{"a":1,"b":2,"c":3}`, `[1,3]`},
		{"a union leaves out what is missing", "$['x','a']", `{"a":1}`, `[1]`},
		{"a union may mix its parts", "$[3:,0,?(@ == 'b')]", letters, `["d","e","a","b"]`},
		{"a path goes on behind a union", "$['a','c'].k", `{"a":{"k":1},"c":{"k":2}}`, `[1,2]`},

		{"recursive descent finds a name at any depth", "$..k", `{"o":{"k":1,"l":[{"k":2}]},"k":{"k":3}}`, `[{"k":3},1,2,3]`},
		{"recursive descent finds an index at any depth", "$..[0]", `["f",{"k":["n",{"m":[{"x":["d","s"]}]}]}]`, `["f","n",{"x":["d","s"]},"d"]`},
		{"recursive descent gives a value before those inside it", "$..*", `{"a":{"b":[1]},"c":2}`, `[{"b":[1]},2,[1],1]`},
		{"recursive descent in brackets is the same", "$..[*]", `[[0],[1]]`, `[[0],[1],0,1]`},
		{"recursive descent in a scalar gives nothing", "$..*", `42`, `[]`},
		{"recursive descent finds names in quotes", `$..["a.b"]`, `[{"a.b":1}]`, `[1]`},
		{"recursive descent finds unions", "$..['c','d']", `[{"c":1,"d":2},{"e":{"d":3}}]`, `[1,2,3]`},
		{"recursive descent begins where it stands", "$.a..k", `{"a":[{"k":1}],"k":2}`, `[1]`},
		{"recursive descents nest", "$..a..b", `{"a":{"a":{"b":1}}}`, `[1,1]`},
		{"recursive descent needs no root", "..k", `[{"k":1}]`, `[1]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := compile(t, tt.path)
			require.False(t, path.Definite())
			require.Equal(t, jsonpath.Array, path.Lookup([]byte(tt.json)).Kind)
			require.Equal(t, tt.want, string(path.Lookup([]byte(tt.json)).Raw))
			requireOracle(t, path, []byte(tt.json))
		})
	}
}

func TestPath_Definite(t *testing.T) {
	t.Parallel()

	for path, want := range map[string]bool{
		"$": true, "a": true, "$.a['b'][0][-1]": true, "[ 0 ]": true,
		"*": false, "a[*]": false, "a..b": false, "a[0:1]": false, "a[0,1]": false, "a['b','c']": false,
		"a[?(@.b)]": false, "a.*.b": false, "..[0]": false, "a[0,0]": false,
	} {
		require.Equal(t, want, compile(t, path).Definite(), path)
	}
}

func TestPath_Each(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, path string
		stop       int // after so many matches
		want       string
	}{
		{"every match is seen", "$.a[*].b", 9, "1 2 3"},
		{"no is an answer", "$.a[*].b", 2, "1 2"},
		{"no is an answer in a descent", "$..b", 1, "1"},
		{"no is an answer in a slice", "$.a[0:2].b", 1, "1"},
		{"no is an answer in a filter", "$.a[?(@.b > 1)].b", 1, "2"},
		{"a definite path has one match", "$.a[1].b", 9, "2"},
		{"a definite path may have none", "$.a[7].b", 9, ""},
		{"there may be none", "$.x[*]", 9, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			err := compile(t, tt.path).Each([]byte(`{"a":[{"b":1},{"b":2},{"b":3}]}`), func(v jsonpath.Value) bool {
				got = append(got, string(v.Text(nil)))
				return len(got) < tt.stop
			})
			require.NoError(t, err)
			require.Equal(t, tt.want, strings.Join(got, " "))
		})
	}
}
