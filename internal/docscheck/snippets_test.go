package docscheck

import (
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// snippet is a fenced block of code. from is the file that a comment above the fence
// names, as in <!-- from examples/quickstart/main.go -->.
type snippet struct {
	language, from, code string
	line                 int
}

var fromComment = regexp.MustCompile(`^<!-- from (\S+) -->$`)

func snippetsOf(text string) []snippet {
	var found []snippet
	var open *snippet
	from := ""
	for n, line := range strings.Split(text, "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &snippet{language: language, from: from, line: n + 1}
		case fence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.code += line + "\n"
		default:
			from = ""
			if m := fromComment.FindStringSubmatch(line); m != nil {
				from = m[1]
			}
		}
	}
	return found
}

// Each program in the README is part of a file that is compiled and run. A program in
// another document must be so, too, if it names its file.
func TestSnippets(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, file := range markdown(t) {
		for _, s := range snippetsOf(read(t, file)) {
			program := s.language == "go" || s.language == "python"
			if file == "README.md" && program {
				require.NotEmpty(t, s.from, "%s:%d: a comment above the snippet must name its file: <!-- from FILE -->", file, s.line)
			}
			if s.from == "" {
				continue
			}
			checked++
			source := read(t, s.from)
			code := s.code
			if s.language == "go" && !strings.HasPrefix(code, "package ") {
				code = checkImports(t, s, source)
			}
			require.Contains(t, dedented(source), dedented(code), "%s:%d: the snippet is not in %s as it stands here", file, s.line, s.from)
		}
	}
	require.Greater(t, checked, 10)
}

// checkImports requires that the file imports what the snippet imports at its start.
// It returns the rest of the snippet.
func checkImports(t *testing.T, s snippet, source string) string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path.Base(s.from), source, parser.ImportsOnly)
	require.NoError(t, err)
	imported := map[string]bool{}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		imported[name] = true
	}
	code := s.code
	for {
		line, rest, _ := strings.Cut(code, "\n")
		quoted, ok := strings.CutPrefix(line, "// import ")
		if !ok {
			return strings.TrimPrefix(code, "\n")
		}
		name, err := strconv.Unquote(quoted)
		require.NoError(t, err, "line %d", s.line)
		require.True(t, imported[name], "line %d: %s does not import %s", s.line, s.from, name)
		code = rest
	}
}

// dedented removes the blanks at the start of each line of text, so that the
// indentation of a snippet in its file does not matter.
func dedented(text string) string {
	lines := strings.Split(text, "\n")
	for n := range lines {
		lines[n] = strings.TrimLeft(lines[n], " \t")
	}
	return strings.Join(lines, "\n")
}

func TestSnippetsOf(t *testing.T) {
	t.Parallel()
	text := "a\n<!-- from x.go -->\n```go\nfunc f() {\n}\n```\n\n```sh\nls\n```\n"
	require.Equal(t, []snippet{
		{language: "go", from: "x.go", code: "func f() {\n}\n", line: 3},
		{language: "sh", code: "ls\n", line: 8},
	}, snippetsOf(text))
}
