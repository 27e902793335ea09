package docscheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The section "The parts" of the architecture names each file of the root package and
// each folder of internal/ once, and nothing that does not exist.
func TestArchitecture_parts(t *testing.T) {
	t.Parallel()
	const file = "docs/architecture.md"
	_, section, found := strings.Cut(read(t, file), "\n## The parts\n")
	require.True(t, found, "%s has no section \"The parts\"", file)
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]int{}
	for _, m := range regexp.MustCompile("`((?:internal/)?[a-z_]+(?:\\.go)?)`").FindAllStringSubmatch(section, -1) {
		named[m[1]]++
	}
	parts := map[string]bool{}
	for _, file := range rootFiles(t) {
		parts[file] = true
	}
	folders, err := os.ReadDir(filepath.Join(root, "internal"))
	require.NoError(t, err)
	for _, folder := range folders {
		parts["internal/"+folder.Name()] = true
	}
	for part := range parts {
		if n := named[part]; n != 1 {
			t.Errorf("%s names `%s` %d times in \"The parts\": name it once", file, part, n)
		}
	}
	for name := range named {
		if (strings.HasSuffix(name, ".go") || strings.Contains(name, "/")) && !parts[name] {
			t.Errorf("%s names `%s`, which does not exist", file, name)
		}
	}
}

// The page about reliability gives the numbers of the conformance suite.
func TestReliability_conformance(t *testing.T) {
	t.Parallel()
	const results, file = "internal/suites/conformance/RESULTS.md", "docs/reliability.md"
	all := regexp.MustCompile(`(?m)^\|  \| all \| (\d+) \| \d+ \| (\d+) \| 0 \| (\d+) \|$`).FindStringSubmatch(read(t, results))
	require.NotNil(t, all, "%s has a line with the sums, and no case has failed", results)
	text := strings.Join(strings.Fields(read(t, file)), " ")
	for _, want := range []string{
		fmt.Sprintf("%s cases test RFC 6455", all[1]),
		fmt.Sprintf("in %s runs", thousands(all[3])),
		fmt.Sprintf("%s cases differ from the RFC", all[2]),
	} {
		require.Contains(t, text, want, "%s has to agree with %s", file, results)
	}
}

// thousands returns a number of up to six digits as the documents write it.
func thousands(digits string) string {
	if n := len(digits); n > 3 {
		return digits[:n-3] + "," + digits[n-3:]
	}
	return digits
}
