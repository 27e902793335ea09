package docscheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const records = "docs/adr"

var (
	recordTitle = regexp.MustCompile(`^# (\d+)\. (.+)\n`)
	rootFile    = regexp.MustCompile("(?m)^\\| `([^`]+\\.go)` \\|")
)

// The index of the decision records lists each record with its title.
func TestRecords(t *testing.T) {
	t.Parallel()
	text := read(t, filepath.Join(records, "README.md"))
	found := 0
	for _, file := range markdown(t) {
		if filepath.Dir(file) != records || filepath.Base(file) == "README.md" {
			continue
		}
		title := recordTitle.FindStringSubmatch(read(t, file))
		require.NotNil(t, title, `%s has to begin with "# number. decision"`, file)
		row := fmt.Sprintf("| [%s](%s) | %s |", title[1], filepath.Base(file), title[2])
		if !strings.Contains(text, row+"\n") {
			t.Errorf("%s/README.md lacks the line\n%s", records, row)
		}
		found++
	}
	require.Greater(t, found, 20, "the records have been found")
}

// The index of the decision records says how many Go files the root package has, and
// what each of them is for. So a new file needs a reason.
func TestRecords_rootFiles(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	var files, named []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".go" && !strings.HasSuffix(e.Name(), "_test.go") {
			files = append(files, e.Name())
		}
	}
	text := read(t, filepath.Join(records, "README.md"))
	for _, m := range rootFile.FindAllStringSubmatch(text, -1) {
		named = append(named, m[1])
	}
	for _, file := range files {
		if !slices.Contains(named, file) {
			t.Errorf("%s/README.md: the last table has to say why %s is in the root package", records, file)
		}
	}
	for _, file := range named {
		if !slices.Contains(files, file) {
			t.Errorf("%s/README.md: the last table names %s, which is not in the root package", records, file)
		}
	}
	count := fmt.Sprintf("The root package has %d Go files, without tests.", len(files))
	if !strings.Contains(text, count) {
		t.Errorf("%s/README.md has to say: %s", records, count)
	}
}
