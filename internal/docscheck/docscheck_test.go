package docscheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is that of the repository.
const root = "../.."

const (
	fidelity = "docs/fidelity"

	header = "| Rule | Source | Here | Proof |"
	none   = "–" // in the column Proof
)

var (
	// proof is a link whose text is a test, as in [`TestA/its_subtest`](../a_test.go).
	proof = regexp.MustCompile("\\[`((?:Test|Fuzz)[^/`]+)((?:/[^`]+)?)`\\]\\(([^)]+_test\\.go)\\)")
	link  = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`)
	// machinePath is a path that only some machine has.
	machinePath = regexp.MustCompile(`(?:^|[^\w./:~-])(?:(?:/(?:home|Users|root|work|tmp|mnt|var|opt)|[A-Za-z]:\\Users)[/\\][\w.-]|file://)`)
)

// Every rule of every topic has its four cells, and what it claims is proven.
func TestFidelity(t *testing.T) {
	t.Parallel()
	index, rows := read(t, filepath.Join(fidelity, "README.md")), 0
	for _, file := range topics(t) {
		found := rules(t, file)
		for _, r := range found {
			require.Regexp(t, `^(same\b|differs: \S|not yet\b|no\b)`, r.here, r.at)
			proofs := proof.FindAllString(r.proof, -1)
			if strings.HasPrefix(r.here, "same") || strings.HasPrefix(r.here, "differs") {
				require.NotEmpty(t, proofs, "%s: a test has to prove it", r.at)
			}
			rest := strings.Trim(proof.ReplaceAllString(r.proof, ""), ", ")
			require.Contains(t, []string{"", none}, rest, "%s: only tests are proof", r.at)
		}
		line := fmt.Sprintf("](%s) | %d |", filepath.Base(file), len(found))
		require.Contains(t, index, line, "the index names the topic and counts its rows")
		rows += len(found)
	}
	require.Greater(t, rows, 100, "the tables have been found")
}

// rule is a row of a topic.
type rule struct{ at, rule, source, here, proof string }

// topics returns the files under docs/fidelity, without the index.
func topics(t *testing.T) (files []string) {
	t.Helper()
	for _, file := range markdown(t) {
		if filepath.Dir(file) == fidelity && filepath.Base(file) != "README.md" {
			files = append(files, file)
		}
	}
	return files
}

// rules returns the rows of all tables of a topic.
func rules(t *testing.T, file string) (found []rule) {
	t.Helper()
	inTable := false
	for n, line := range strings.Split(read(t, file), "\n") {
		at := fmt.Sprintf("%s:%d", file, n+1)
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
			continue
		case !inTable:
			require.Equal(t, header, line, "%s: every table has these columns", at)
			inTable = true
			continue
		case strings.HasPrefix(line, "|---"):
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		require.Len(t, cells, 4, at)
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
			require.NotEmpty(t, cells[i], at)
		}
		found = append(found, rule{at, cells[0], cells[1], cells[2], cells[3]})
	}
	return found
}

// Every test that a document names is there.
func TestProofs(t *testing.T) {
	t.Parallel()
	tests := map[string]testFile{} // by file
	for _, file := range markdown(t) {
		for n, line := range strings.Split(read(t, file), "\n") {
			for _, p := range proof.FindAllStringSubmatch(line, -1) {
				name, subtests, target := p[1], strings.Split(p[2], "/")[1:], filepath.Join(filepath.Dir(file), p[3])
				if _, ok := tests[target]; !ok {
					tests[target] = parse(t, target)
				}
				require.True(t, tests[target].funcs[name], "%s:%d: there is no %s in %s", file, n+1, name, target)
				for _, s := range subtests {
					require.True(t, tests[target].names[s], "%s:%d: no subtest of %s in %s is called %q", file, n+1, name, target, s)
				}
			}
		}
	}
	require.Greater(t, len(tests), 20, "the proofs have been found")
}

// testFile is what a Go file declares and says.
type testFile struct {
	funcs map[string]bool
	names map[string]bool // its string literals, as names of subtests
}

func parse(t *testing.T, file string) testFile {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	found := testFile{map[string]bool{}, map[string]bool{}}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			found.funcs[n.Name.Name] = n.Recv == nil
		case *ast.BasicLit:
			if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				found.names[strings.ReplaceAll(s, " ", "_")] = true
			}
		}
		return true
	})
	return found
}

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, file := range markdown(t) {
		text := read(t, file)
		require.Empty(t, machinePath.FindString(text), "%s has a path of some machine", file)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			require.False(t, filepath.IsAbs(target), "%s links to %s", file, target)
			_, err := os.Stat(filepath.Join(root, filepath.Dir(file), target))
			require.NoError(t, err, "%s links to it", file)
		}
	}
}

// markdown returns the Markdown files of the repository, without those of others
// and of tools.
func markdown(t *testing.T) (files []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			files = append(files, path)
		}
		return nil
	}))
	require.NotEmpty(t, files)
	return files
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	return string(b)
}
