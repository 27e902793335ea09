package jsonpath_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/jsonpath"
)

func TestExtent(t *testing.T) {
	t.Parallel()

	tests := []struct{ name, path, rest string }{
		{"letters, digits, underscores and hyphens belong to a path", "Aa0_-9", " x"},
		{"letters beyond ASCII belong to a path", "größe", "/"},
		{"combining marks belong to a path", "gro\u0308ße", "/"},
		{"dots before names belong to a path", "a.b.c", "/x"},
		{"a trailing dot does not", "a", "."},
		{"a dot before a space does not", "a", ". b"},
		{"two trailing dots do not", "a", ".."},
		{"recursive descent does", "a..b", "/"},
		{"recursive descent to a bracket does", "a..[0]", "/"},
		{"recursive descent to a wildcard does", "a..*", "/"},
		{"three dots do not", "a", "...b"},
		{"a wildcard does", "a.*", "/"},
		{"a path goes on behind a wildcard", "a.*.b[*].c", "."},
		{"a name behind a wildcard does, to be refused", "a.*-b", "/"},
		{"two asterisks are one too many", "a.*", "*"},
		{"an asterisk without a dot does not", "a", "*"},
		{"brackets belong to a path", "a[0][-1]['b'].c", ","},
		{"a dot before a bracket belongs to a path", "a.['b']", "}"},
		{"closing brackets in quotes do not count", `a['x]\']y']`, "]"},
		{"brackets nest", "a[?(@.b[0])]", "]"},
		{"a filter belongs to a path", "a[?(@.b == ']' && @.c < 1)].d", " ]"},
		{"closing brackets in a regular expression do not count", `a[?(@ =~ /x]\/']/i)]`, "]'"},
		{"a regular expression may follow at once", "a[?(@=~/]/)]", "/]"},
		{"a slash without its operator opens nothing", "a[?(@.b == /]", "/)]"},
		{"a tilde alone opens nothing", "a[?(@.b ~ /]", "/)]"},
		{"an open regular expression takes everything", "a[?(@ =~ /])] b", ""},
		{"an open bracket takes everything", "a[0 b", ""},
		{"nothing begins with a dot", "", ".a"},
		{"nothing begins with a bracket", "", "[0]"},
		{"nothing is in nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, len(tt.path), jsonpath.Extent(tt.path+tt.rest))
		})
	}
}

func TestIndexClose(t *testing.T) {
	t.Parallel()

	tests := []struct {
		name, text string
		want       int
	}{
		{"the first one counts", "a}b}", 1},
		{"one in a quoted name does not", "a['}']}", 6},
		{"one in brackets without quotes does not", "a[}]}", 4},
		{"one in a filter does not", "a[?(@.b == '}')]}", 16},
		{"one in a regular expression does not", "a[?(@ =~ /]}/)]}", 15},
		{"there may be none", "a", -1},
		{"an open bracket hides the rest", "a[0}", -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, jsonpath.IndexClose(tt.text, '}'))
		})
	}
}
