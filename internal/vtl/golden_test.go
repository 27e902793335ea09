package vtl_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/vtl"
)

// refused is the answer for a template that Velocity refuses, or that fails when it runs.
const refused = "!error"

// different lists the cases in which our output differs from that of Velocity 1.7 on
// purpose, with the reason.
var different = map[string]struct{ want, reason string }{
	"numbers/beyond 64 bits": {
		want:   "$x99999999999999999999",
		reason: "a result beyond 64 bits is null, where Velocity makes a BigInteger",
	},
	"quirks/keys of other types": {
		want:   "{1=a, b=2.5, true=[]} a a a true",
		reason: "the keys of a map are strings, as in JSON",
	},
	"quirks/literal": {
		want:   "a $b #if(1) #end #* c *# d e",
		reason: "#literal keeps comments too",
	},
	"references/surplus argument": {
		want:   "$s.length(1)",
		reason: "Velocity takes one argument too many for a variable argument and lets Java throw",
	},
}

// TestGolden runs the cases of testdata/golden, whose answers are Velocity's.
func TestGolden(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob(goldenGlob())
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		cases, answers := sections(t, file), sections(t, strings.TrimSuffix(file, ".cases")+".golden")
		require.Len(t, answers, len(cases), "%s is out of date", file)
		for i, c := range cases {
			want := answers[i]
			require.Equal(t, want.name, c.name, "%s is out of date", file)
			name := strings.TrimSuffix(filepath.Base(file), ".cases") + "/" + c.name
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				got := goldenRun(t, c.text)
				if d, ok := different[name]; ok {
					require.NotEqual(t, want.text, got, "no longer different: %s", d.reason)
					require.Equal(t, d.want, got, "%q: %s", c.text, d.reason)
					return
				}
				require.Equal(t, want.text, got, "%s", c.text)
			})
		}
	}
}

func goldenGlob() string {
	if glob := os.Getenv("VTL_CASES"); glob != "" {
		return glob
	}
	return filepath.Join("testdata", "golden", "*.cases")
}

type section struct{ name, text string }

// sections reads a file in the format of testdata/oracle/Oracle.java.
func sections(t testing.TB, file string) []section {
	t.Helper()

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var list []section
	for part := range strings.SplitSeq("\n"+string(data), "\n=== ") {
		if part == "" || part[0] == '\n' {
			continue
		}
		name, text, _ := strings.Cut(part, "\n")
		list = append(list, section{name: name, text: text})
	}
	if n := len(list); n > 0 {
		list[n-1].text = strings.TrimSuffix(list[n-1].text, "\n")
	}
	return list
}

// goldenRun runs a case. $util.parseJson makes variables from its model.
func goldenRun(t *testing.T, text string) string {
	t.Helper()

	template := text
	if rest, ok := strings.CutPrefix(text, "model: "); ok {
		model, rest, _ := strings.Cut(rest, "\n")
		var variables map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(model), &variables))
		template = rest
		for name, value := range variables {
			value := strings.ReplaceAll(string(value), "'", "''")
			template = "#set($" + name + " = $util.parseJson('" + value + "'))\n" + template
		}
	}
	parsed, err := vtl.Parse(template)
	if err != nil {
		var syntax *vtl.SyntaxError
		require.ErrorAs(t, err, &syntax)
		return refused
	}
	out, err := parsed.Append(nil, &vtl.Env{})
	if err != nil {
		var failed *vtl.RunError
		require.ErrorAs(t, err, &failed)
		return refused
	}
	return string(out)
}
