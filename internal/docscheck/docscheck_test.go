package docscheck

import (
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

// root is the root of the repository.
const root = "../.."

var (
	// proof matches a link whose text is a test, as in
	// [`TestA/its_subtest`](../a_test.go).
	proof = regexp.MustCompile("\\[`((?:Test|Fuzz)[^/`]+)((?:/[^`]+)?)`\\]\\(([^)]+_test\\.go)\\)")
	// link matches the target of a link: [text](target), [text]: target, or in HTML.
	link = regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)|(?m:^ {0,3}\[[^\]\s]+\]:[ \t]+<?([^\s>]+))|<(?:a|img|source)\s[^>]*?(?:href|src|srcset)="([^"\s]+)`)
	// named matches a test in backquotes, declared matches its declaration.
	named    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)[`/]")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	heading  = regexp.MustCompile(`^#{1,6} +`)
	anchor   = regexp.MustCompile(`<a id="([^"]+)"`)
	// notInAnchor matches the characters that GitHub leaves out of the anchor of a
	// heading.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	// machinePath matches a path that exists on some machine only.
	machinePath = regexp.MustCompile(`(?:^|[^\w./:~-])(?:(?:/(?:home|Users|root|work|tmp|mnt|var|opt)|[A-Za-z]:\\Users)[/\\][\w.-]|file://)`)
)

// Every test that a document names exists.
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

// A test that a document names without a link exists, too. Only the changelog may
// name tests that no longer exist.
func TestProofs_withoutLinks(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, file := range filesWith(t, "_test.go") {
		for _, m := range declared.FindAllStringSubmatch(read(t, file), -1) {
			there[m[1]] = true
		}
	}
	for _, file := range markdown(t) {
		if file == "CHANGELOG.md" {
			continue
		}
		for _, m := range named.FindAllStringSubmatch(read(t, file), -1) {
			require.True(t, there[m[1]], "%s: there is no test %s", file, m[1])
		}
	}
}

// testFile holds what TestProofs needs to know of a Go file: the tests that it
// declares, and the names that subtests may have.
type testFile struct {
	funcs map[string]bool
	names map[string]bool // its string literals, written as names of subtests
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

// Every link leads to a file that exists, and to an anchor in it.
func TestLinks(t *testing.T) {
	t.Parallel()
	places := map[string]map[string]bool{} // by file
	for _, file := range markdown(t) {
		text := read(t, file)
		require.Empty(t, machinePath.FindString(text), "%s has a path of some machine", file)
		for _, to := range targets(text) {
			path, place, _ := strings.Cut(to, "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			require.False(t, filepath.IsAbs(path), "%s links to %s", file, to)
			target := filepath.Join(filepath.Dir(file), path)
			if path == "" {
				target = file
			}
			_, err := os.Stat(filepath.Join(root, target))
			require.NoError(t, err, "%s links to %s", file, to)
			if place == "" || filepath.Ext(target) != ".md" {
				continue
			}
			if places[target] == nil {
				places[target] = anchors(read(t, target))
			}
			require.True(t, places[target][place], "%s links to %s: there is no such heading or row", file, to)
		}
	}
}

// targets returns where the links of a document lead.
func targets(text string) (found []string) {
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1]+m[2]+m[3]) // only one of them is not empty
	}
	return found
}

func TestTargets(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a.md#x", "b.md", "c.md", "d.md", "e.svg", "f.png", "g.md"}, targets(
		"See [a](a.md#x \"title\"), [b] and [c].\n\n[b]: b.md\n  [c]: <c.md> 'title'\n"+
			`<p><a class="x" href="d.md">d</a> <picture><source srcset="e.svg 2x"><img src="f.png"></picture>`+"\n[g](g.md)\n"))
}

// anchors returns the anchors of a document: its headings, as GitHub names them, and
// its <a id="…">.
func anchors(text string) map[string]bool {
	found, fenced := map[string]bool{}, false
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case !fenced && heading.MatchString(line):
			title := strings.ToLower(heading.ReplaceAllString(line, ""))
			found[strings.ReplaceAll(notInAnchor.ReplaceAllString(title, ""), " ", "-")] = true
		}
	}
	for _, m := range anchor.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

func markdown(t *testing.T) []string {
	t.Helper()
	return filesWith(t, ".md")
}

// filesWith returns the files of the repository whose names have this ending, except
// those of dependencies and tools.
func filesWith(t *testing.T, end string) (files []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, end):
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
