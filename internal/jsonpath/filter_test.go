package jsonpath_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPath_Lookup_filters(t *testing.T) {
	t.Parallel()

	const kinds = `[{},{"k":0},{"k":42},{"k":"42"},{"k":42.0},{"k":4.2e1},{"k":true},{"k":false},{"k":null},{"k":[]},{"k":{}}]`
	const numbers = `[-1, 0, 41, 42, 43, "42", "z", null, true, [42], {"a":42}]`
	const names = `["hello world", "HELLO", "yes hello", "a\/b", "it's]", 42, true, null, ["x", "hello"], {"hello":1}]`
	tests := []struct{ name, path, json, want string }{
		{"a path asks whether there is anything", "$[?(@.k)]", `[{"j":1},{"k":null},{"k":false},{"k":[]},1]`, `[{"k":null},{"k":false},{"k":[]}]`},
		{"a negated path asks whether there is nothing", "$[?(!@.k)]", `[{"j":1},{"k":null}]`, `[{"j":1}]`},
		{"two negations are none", "$[?(!!@.k)]", `[{"j":1},{"k":null}]`, `[{"k":null}]`},
		{"the tested value is always there", "$[?(@)]", `[null,false,0]`, `[null,false,0]`},
		{"a path with several matches has to have one", "$[?(@..c)]", `[{"a":[{"c":1}]},{"a":[{}]}]`, `[{"a":[{"c":1}]}]`},
		{"a root path asks for the document", "$.a[?($.b)]", `{"a":[1],"b":0}`, `[1]`},
		{"a root path with several matches has to have one", "$.a[?($.b[*])]", `{"a":[1],"b":[]}`, `[]`},

		{"a filter behind an object tests the object", "$[?(@.k == 1)]", `{"k":1,"o":{"k":1}}`, `[{"k":1,"o":{"k":1}}]`},
		{"a filter behind a member that is an object tests that", "$.*[?(@.k)].k", `{"a":{"k":1},"b":{},"c":[{"k":2},[{"k":3}]]}`, `[1,2]`},
		{"a filter behind a scalar gives nothing", "$.a[?(@ == 1)]", `{"a":1}`, `[]`},
		{"a filter in a descent gives every value once", "$..[?(@.id == 2)].n", `{"id":2,"n":0,"m":[{"id":2,"n":1},{"o":{"id":2,"n":2}},[{"id":2,"n":3}]]}`, `[0,1,2,3]`},
		{"a filter in a descent tests elements that are no objects", "$..[?(@ > 1)]", `{"a":[1,2,[3,{"b":4}]]}`, `[2,3]`},
		{"filters nest", "$[?(@.a[?(@.p > 10)])].n", `[{"n":1,"a":[{"p":1}]},{"n":2,"a":[{"p":8},{"p":12}]}]`, `[2]`},

		{"a number is equal to the same number", "$[?(@.k == 42)]", kinds, `[{"k":42},{"k":42.0},{"k":4.2e1}]`},
		{"a string is equal to the same string", "$[?(@.k == '42')]", kinds, `[{"k":"42"}]`},
		{"a string may be in double quotes", `$[?(@.k=="\u0034\u0032")]`, kinds, `[{"k":"42"}]`},
		{"true is equal to true", "$[?(@.k == true)]", kinds, `[{"k":true}]`},
		{"null is equal to null and not to nothing", "$[?(@.k == null)]", kinds, `[{"k":null}]`},
		{"what is missing is unequal to everything", "$[?(@.k != 42)]", `[{"k":42},{"k":43},{}]`, `[{"k":43},{}]`},
		{"what is missing is unequal to what is missing", "$[?(@.a == @.b)]", `[{},{"a":null,"b":null},{"a":1}]`, `[{"a":null,"b":null}]`},
		{"a literal may be on the left", "$[?(42 == @.k)]", `[{"k":42},{"k":1}]`, `[{"k":42}]`},
		{"two literals may be compared", "$[?(1==1)]", `[1,"x"]`, `[1,"x"]`},
		{"an array is equal element by element", "$.a[?(@ == $.b)]", `{"a":[[1, "\u0061"],["a",1],[1,"a",2],[1]],"b":[1.0,"a"]}`, `[[1, "\u0061"]]`},
		{"an object is equal in any order", "$.a[?(@ == $.b)]", `{"a":[{"y":[2],"x":1},{"x":1},{"x":1,"y":[3]},{"x":9,"y":[2],"x":1}],"b":{"x":1,"y":[2]}}`, `[{"y":[2],"x":1},{"x":9,"y":[2],"x":1}]`},
		{"several matches are compared as an array", "$.a[?(@.* == $.b)]", `{"a":[[1,2],[2,1]],"b":[1,2]}`, `[[1,2]]`},
		{"several matches are not compared one by one", "$[?(@[*] == 2)]", `[[2],[1,2]]`, `[]`},

		{"numbers are less", "$[?(@ < 42)]", numbers, `[-1,0,41]`},
		{"numbers are less or equal", "$[?(@ <= 42)]", numbers, `[-1,0,41,42]`},
		{"numbers are greater", "$[?(@>42)]", numbers, `[43]`},
		{"numbers are greater or equal", "$[?(@>=42.00)]", numbers, `[42,43]`},
		{"strings are ordered by code point", "$[?(@ > '42')]", numbers, `["z"]`},
		{"null, booleans, arrays and objects have no order", "$[?(@ >= null || @ >= true || @ >= $[9] || @ <= $[10])]", numbers, `[]`},
		{"large numbers are exact", "$[?(@ == 12345678901234567890)]", `[12345678901234567890,12345678901234567891]`, `[12345678901234567890]`},
		{"small differences are exact", "$[?(@ > 0.1)]", `[0.1,0.10000000000000000000001,1e-1,-5]`, `[0.10000000000000000000001]`},
		{"numbers may be huge and tiny", "$[?(@ > 1e999999999999)]", `[1e9999999999999,1e-5,-1e9999999999999]`, `[1e9999999999999]`},
		{"negative numbers are less the larger they are", "$[?(@ < -10)]", `[-9,-11,-100,-1e1]`, `[-11,-100]`},
		{"zeros are equal", "$[?(@ == 0)]", `[0,-0,0.0,0e5,-0.00E-7,1e-9]`, `[0,-0,0.0,0e5,-0.00E-7]`},

		{"a regular expression matches the whole string", "$[?(@ =~ /hello.*/)]", names, `["hello world",["x", "hello"]]`},
		{"a regular expression may ignore case", "$[?(@ =~ /hello/i)]", names, `["HELLO",["x", "hello"]]`},
		{"alternatives match the whole string too", "$[?(@=~/hello|HELLO/)]", names, `["HELLO",["x", "hello"]]`},
		{"a slash in a regular expression is escaped", `$[?(@ =~ /a\/b/)]`, names, `["a\/b"]`},
		{"quotes and brackets in a regular expression are plain", `$[?(@ =~ /it's\]/)]`, names, `["it's]"]`},
		{"numbers and booleans match by their text", `$[?(@ =~ /4\d|tr.e/)]`, names, `[42,true]`},
		{"null and objects match nothing", "$[?(@ =~ /.*/ && !(@ =~ /.+/))]", names, `[]`},
		{"what is missing matches nothing", "$[?(@.x =~ /.*/)]", names, `[]`},
		{"a dot matches a line feed by a flag", "$[?(@ =~ /a.b/s)]", `["a\nb","axb"]`, `["a\nb","axb"]`},
		{"lines have ends by a flag", "$[?(@ =~ /a$\\sb/m)]", `["a\nb","a b"]`, `["a\nb"]`},

		{"both may be asked for", "$[?(@.a && @.b)]", `[{"a":1},{"a":1,"b":1},{"b":1}]`, `[{"a":1,"b":1}]`},
		{"either may be asked for", "$[?(@.a||@.b)]", `[{"a":1},{"c":1},{"b":1}]`, `[{"a":1},{"b":1}]`},
		{"and goes before or", "$[?(@.a && @.b || @.c)].n", `[{"n":1,"a":1},{"n":2,"c":1},{"n":3,"a":1,"b":1}]`, `[2,3]`},
		{"or goes before or not with and", "$[?(@.c || @.a && @.b)].n", `[{"n":1,"b":1},{"n":2,"c":1},{"n":3,"a":1,"b":1}]`, `[2,3]`},
		{"parentheses go first", "$[?(@.a && (@.b || @.c))].n", `[{"n":1,"a":1},{"n":2,"c":1},{"n":3,"a":1,"c":1}]`, `[3]`},
		{"a comparison is negated in parentheses", "$[?( ! ( @.k == 42 ) )]", `[{"k":42},{"k":1},{}]`, `[{"k":1},{}]`},
		{"a hyphen belongs to a name", "$[?(@.a-b == 1)]", `[{"a-b":1},{"a":2}]`, `[{"a-b":1}]`},
		{"names in filters may be in quotes", "$[?(@['a+b)'] == 1)]", `[{"a+b)":1}]`, `[{"a+b)":1}]`},
		{"an equals sign behind a filter belongs to a name", "$[?(@.a)].b=c", `[{"a":1,"b=c":2}]`, `[2]`},
		{"operators need no blanks", "$[?(@.a==1&&@.b!=@.a||@.a>=9)]", `[{"a":1,"b":1},{"a":1,"b":2},{"a":10}]`, `[{"a":1,"b":2},{"a":10}]`},
		{"indices and names may follow the tested value", "$[?(@[-1].x == @[0].x)]", `[[{"x":1},{"x":1}],[{"x":1},{"x":2}]]`, `[[{"x":1},{"x":1}]]`},
		{"length is a name", "$[?(@.length == 4)]", `[[1,2,3,4],{"length":4}]`, `[{"length":4}]`},
		{"a closing parenthesis in a string is plain", `$[?(@ == ')]' || @ == "\"")]`, `[")]","\"","x"]`, `[")]","\""]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := compile(t, tt.path)
			require.Equal(t, tt.want, string(path.Lookup([]byte(tt.json)).Raw))
			if !tooMuch.MatchString(tt.json) {
				requireOracle(t, path, []byte(tt.json))
			}
		})
	}
}

// TestPath_Lookup_ordersNumbers compares random numbers, which are often close to each
// other, and checks the result with math/big.
func TestPath_Lookup_ordersNumbers(t *testing.T) {
	t.Parallel()

	r := rand.New(rand.NewPCG(1, 2))
	digits := func() string { return strings.TrimLeft(fmt.Sprint(r.IntN(3), r.IntN(2), r.IntN(3)*r.IntN(100)), "0 ") }
	number := func() string {
		text := []string{"", "-"}[r.IntN(2)] + "0"
		if whole := strings.ReplaceAll(digits(), " ", ""); whole != "" {
			text = strings.TrimSuffix(text, "0") + whole
		}
		if r.IntN(2) == 0 {
			text += "." + []string{"", "0", "00"}[r.IntN(3)] + fmt.Sprint(r.IntN(3)*100)
		}
		if r.IntN(3) == 0 {
			text += []string{"e", "E+", "e-", "e-0"}[r.IntN(4)] + fmt.Sprint(r.IntN(5))
		}
		return text
	}
	var pairs []string
	for range 3_000 {
		pairs = append(pairs, "["+number()+","+number()+"]")
	}
	doc := []byte("[" + strings.Join(pairs, ",") + "]")
	for _, operator := range []string{"==", "!=", "<", "<=", ">", ">="} {
		path := compile(t, "$[?(@[0] "+operator+" @[1])]")
		require.Greater(t, len(path.Lookup(doc).Raw), 100)
		requireOracle(t, path, doc)
	}
}
