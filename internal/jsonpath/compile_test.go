package jsonpath_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

func TestCompile_errors(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, path string
		position   int
		reason     string
	}{
		{"an empty path is refused", "", 0, "the path is empty"},
		{"a lone dot is refused", ".", 1, "expected a name"},
		{"a trailing dot is refused", "a.", 2, "expected a name"},
		{"a dot behind the root is refused", "$.", 2, "expected a name"},
		{"a name right behind the root is refused", "$a", 1, `expected "." or "["`},
		{"a name right behind a bracket is refused", "a[0]b", 4, `expected "." or "["`},
		{"three dots are refused", "$...a", 3, "expected a name"},
		{"recursive descent needs something behind it", "$..", 3, "expected a name"},
		{"recursive descent at the end is refused", "a..", 3, "expected a name"},
		{"a wildcard in a name is refused", "$.a*", 3, "stands alone"},
		{"a wildcard before a name is refused", "$.*a", 3, `expected "." or "["`},
		{"two wildcards are refused", "$..**", 4, `expected "." or "["`},
		{"the step of a slice is not zero", "a[0:2:0]", 6, "above zero"},
		{"the step of a slice is not negative", "a[::-1]", 4, "above zero"},
		{"a slice has three parts at most", "a[1:2:3:4]", 7, `expected "]" or ","`},
		{"a slice is made of indices", "a[1:b]", 4, `expected "]" or ","`},
		{"a slice has no leading zero", "a[0:010]", 4, "leading 0"},
		{"a huge slice is refused", "a[0:99999999999999999999]", 4, "too large"},
		{"a union needs its last part", "a[0,]", 4, "expected an index"},
		{"a union needs its first part", "a[,0]", 2, "expected an index"},
		{"an index into a name is refused", "['a' 'b']", 5, `expected "]" or ","`},
		{"scripts are not supported", "a[(@.length-1)]", 2, "scripts"},
		{"functions are not supported", "a.length()", 8, "functions are not supported, only members, elements"},
		{"functions behind several matches are not supported", "a..b.min()", 8, "functions"},
		{"functions in filters are not supported", "a[?(@.length() == 4)]", 12, "functions"},
		{"functions around paths are not supported", "a[?(length(@) == 4)]", 4, "expected a path"},

		{"a filter needs parentheses", "a[?@.b==1]", 3, "[?(…)]"},
		{"a filter needs a condition", "a[?()]", 4, "expected a path"},
		{"a filter must be closed by a parenthesis", "a[?(@.b]", 7, "is written ['name']"},
		{"a filter at the end must be closed", "a[?(@.b", 7, `expected ")"`},
		{"a filter must be closed by a bracket", "a[?(@.b)", 8, `expected "]"`},
		{"a filter has one pair of parentheses", "a[?(@.b))]", 8, `expected "]"`},
		{"a literal alone is no condition", "a[?(true)]", 4, "no condition"},
		{"a literal joined to a condition is none either", "a[?(@.b && 'x')]", 11, "no condition"},
		{"a single equals sign is refused", "a[?(@.b=1)]", 7, "operators == != < <= > >= =~ && ||"},
		{"three equals signs are refused", "a[?(@.b===1)]", 9, "expected a path"},
		{"in is not supported", "a[?(@.b in [1,2])]", 8, "operators == !="},
		{"size is not supported", "a[?(@.b size 2)]", 8, "operators == !="},
		{"a comparison needs its right side", "a[?(@.b== )]", 10, "expected a path"},
		{"comparisons do not chain", "a[?(1<@.b<3)]", 9, "operators"},
		{"a comparison is no operand", "a[?((@.b<44)==false)]", 12, "operators"},
		{"an array is no literal", "a[?(@.b==[1])]", 9, "expected a path"},
		{"an object is no literal", `a[?(@.b=={"c":1})]`, 9, "expected a path"},
		{"a number is one of JSON", "a[?(@.b==010)]", 9, "expected a path"},
		{"a name without an at sign is refused", "a[?(b==1)]", 4, "expected a path"},
		{"a string must be closed", "a[?(@.b=='x)]", 9, "not closed"},
		{"an exclamation mark before a comparison is refused", "a[?(!@.b == 1)]", 9, "needs parentheses"},
		{"addition is not supported", "a[?(@.b+1==2)]", 7, "arithmetic"},
		{"division is not supported", "a[?(@.b/2==2)]", 7, "arithmetic"},
		{"multiplication is not supported", "a[?(@.b*2==2)]", 7, "stands alone"},
		{"a regular expression stands behind its operator", "a[?(@.b == /x/)]", 11, "behind =~"},
		{"a regular expression on the left is refused", "a[?(/x/ =~ @.b)]", 4, "behind =~"},
		{"a string is no regular expression", "a[?(@.b =~ 'x')]", 11, "between slashes"},
		{"a regular expression must be closed", `a[?(@.b =~ /x\/)]`, 11, "not closed"},
		{"a regular expression must be valid", "a[?(@.b =~ /x)(y/)]", 11, "unexpected )"},
		{"look-ahead is not RE2", "a[?(@.b =~ /(?=x)/)]", 11, "invalid"},
		{"unknown flags are refused", "a[?(@.b =~ /x/ix)]", 15, "i, m and s"},
		{"what is wrong inside a filter is pointed at", "a[?(@.b[x] == 1)]", 8, "expected an index"},
		{"what is wrong in a filter in a filter is pointed at", "a[?(@.b[?(@.c = 1)])]", 14, "operators"},
		{"a path has no more parts than 256", "a" + strings.Repeat(".b", 256), 513 - 1, "256 parts"},
		{"a filter counts for its conditions", "[?(@" + strings.Repeat(" && @", 256) + ")]", 4 + 5*256 - 1, "256 parts"},
		{"a union counts for its selectors", "[0" + strings.Repeat(",0", 256) + "]", 2 + 2*256, "256 parts"},
		{"parentheses nest no deeper than 32 levels", "[?" + strings.Repeat("(", 33) + "@", 34, "32 levels"},
		{"filters nest no deeper than 32 levels", strings.Repeat("[?(@", 33), 4*33 - 2, "32 levels"},
		{"a name in brackets needs quotes", "[a]", 1, "in quotes"},
		{"brackets must not be empty", "a[]", 2, "expected an index"},
		{"an open bracket is refused", "a[", 2, "expected an index"},
		{"an index must be closed", "a[0", 3, `expected "]"`},
		{"a quoted name must be closed by a bracket", "['a'", 4, `expected "]"`},
		{"a quoted name must be closed by its quote", `a['b"]`, 2, "not closed"},
		{"a lone backslash does not close a quoted name", `['a\`, 3, "unknown escape"},
		{"unknown escapes are refused", `['a\x']`, 3, "unknown escape"},
		{"short Unicode escapes are refused", `['\u12']`, 2, "unknown escape"},
		{"control characters are written as escapes", "['a\n']", 3, "control character"},
		{"an index has no leading zero", "a[01]", 2, "leading 0"},
		{"an index is not minus zero", "a[-0]", 2, "leading 0"},
		{"a minus needs digits", "a[-]", 2, "digits"},
		{"a huge index is refused", "a[99999999999999999999]", 2, "too large"},
		{"a fraction is no index", "a[1.5]", 3, `expected "]"`},
		{"blanks in names need quotes", "a b", 1, "['name']"},
		{"a dollar sign in a name needs quotes", "a.$b", 2, "['name']"},
		{"a closing bracket in a name needs quotes", "a]", 1, "['name']"},
		{"invalid UTF-8 is refused", "a\xff", 1, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := jsonpath.Compile(tt.path)
			var syntax *jsonpath.SyntaxError
			require.ErrorAs(t, err, &syntax)
			require.Equal(t, tt.path, syntax.Path)
			require.Equal(t, tt.position, syntax.Position, syntax.Reason)
			require.Contains(t, syntax.Reason, tt.reason)
			require.Contains(t, err.Error(), syntax.Reason)
		})
	}
}
