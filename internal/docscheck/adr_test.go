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
	status      = regexp.MustCompile(`(?s)\n\nStatus: (.+?)\n\n`)
	amends      = regexp.MustCompile(`(?:changes|replaces|adds to)[^;]*`)
	linked      = regexp.MustCompile(`\[[^\]]+\]\([^)]+\)`)
	number      = regexp.MustCompile(`\d+`)
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

// A record that a later one changes or replaces names the later one in its status line.
func TestRecords_status(t *testing.T) {
	t.Parallel()
	statuses := map[string]string{} // by number
	files := map[string]string{}
	for _, file := range markdown(t) {
		if filepath.Dir(file) != records || filepath.Base(file) == "README.md" {
			continue
		}
		text := read(t, file)
		m := status.FindStringSubmatch(text)
		require.NotNil(t, m, "%s has no status line", file)
		n := recordTitle.FindStringSubmatch(text)[1]
		statuses[n], files[n] = m[1], filepath.Base(file)
	}
	for later, text := range statuses {
		for _, part := range amends.FindAllString(linked.ReplaceAllString(text, ""), -1) { // links lead to later records
			for _, earlier := range number.FindAllString(part, -1) {
				require.Contains(t, statuses[earlier], "("+files[later]+")", "%s: the status line has to name record %s, which changes it", files[earlier], later)
			}
		}
	}
}

// The index of the decision records says how many Go files the root package has, and
// what each of them is for. So a new file needs a reason.
func TestRecords_rootFiles(t *testing.T) {
	t.Parallel()
	files, named := rootFiles(t), []string(nil)
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

// rootFiles returns the Go files of the root package, without its tests.
func rootFiles(t *testing.T) (files []string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".go" && !strings.HasSuffix(e.Name(), "_test.go") {
			files = append(files, e.Name())
		}
	}
	return files
}
