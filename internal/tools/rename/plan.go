package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"example.com/gateway/internal/tools/tree"
)

// plan is everything that a renaming changes. It is complete before anything is
// changed.
type plan struct {
	dir, from, to string
	root          string // the name of the root package, "" if it has no Go file
	edits         []edit
	left          []string // file:line: text of the places that look like from but are something else
}

type edit struct {
	name          string // the path of the file, relative to the root
	perm          fs.FileMode
	places        int
	before, after []byte
}

// newPlan plans to move the repository in dir from one module path to another. If
// from is empty, newPlan uses the path in the root's go.mod.
func newPlan(dir, from, to string) (*plan, error) {
	if err := checkTo(to); err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("read the root module: %w: run the command in the root of the repository", err)
	}
	if from == "" {
		if from = modfile.ModulePath(mod); from == "" {
			return nil, errors.New("go.mod has no module line: name the present path with -from")
		}
	}
	if err := module.CheckPath(from); err != nil {
		return nil, fmt.Errorf("-from %q is not a module path (%w): write it as go.mod has it", from, err)
	}
	if from == to {
		return nil, fmt.Errorf("-to %q is the module path already: there is nothing to change", to)
	}
	p := &plan{dir: dir, from: from, to: to}
	files, err := tree.Files(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := p.add(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(p.edits) == 0 {
		return nil, fmt.Errorf("no file names the module path %q: name the present path with -from", from)
	}
	return p, nil
}

// add plans the changes in a file.
func (p *plan) add(name string) error {
	file := filepath.Join(p.dir, name)
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if bytes.IndexByte(before, 0) >= 0 {
		return nil // not a text file
	}
	if p.root == "" && path.Dir(name) == "." && path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") {
		if parsed, err := parser.ParseFile(token.NewFileSet(), name, before, parser.PackageClauseOnly); err == nil {
			p.root = parsed.Name.Name
		}
	}
	after, places, left := replace(before, p.from, p.to)
	after, escaped, leftEscaped := replace(after, regexp.QuoteMeta(p.from), regexp.QuoteMeta(p.to)) // as in a regular expression
	places += escaped
	left = append(left, leftEscaped...)
	slices.Sort(left)
	for _, line := range slices.Compact(left) {
		p.left = append(p.left, fmt.Sprintf("%s:%d: %s", name, line, textOf(before, line)))
	}
	if places == 0 {
		return nil
	}
	if after, err = tidy(name, before, after); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	p.edits = append(p.edits, edit{name, info.Mode().Perm(), places, before, after})
	return nil
}

// replace replaces the module path from in a text, and counts the places. It leaves a
// place alone if the letters of from are the host of a URL or a part of a longer
// name; left has the lines of these places.
func replace(text []byte, from, to string) (out []byte, places int, left []int) {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(from))
		if i < 0 {
			return append(out, text[at:]...), places, left
		}
		start, end := at+i, at+i+len(from)
		out = append(out, text[at:start]...)
		if isPath(text[:start], text[end:]) {
			out = append(out, to...)
			places++
		} else {
			out = append(out, from...)
			left = append(left, 1+bytes.Count(text[:start], []byte("\n")))
		}
		at = end
	}
}

var (
	urlBefore    = regexp.MustCompile(`://$`)
	escapeBefore = regexp.MustCompile(`(?:^|[^\\])\\[abfnrtv]$`) // as "\t" in a string of Go
	nameBefore   = regexp.MustCompile(`[\w.~@-]$`)
	nameAfter    = regexp.MustCompile(`^[\w~-]`)
)

// isPath reports whether the text between before and after is a whole module path. It
// may begin the path of a package, but must not be a part of a host or of a longer
// name.
func isPath(before, after []byte) bool {
	before = before[max(0, len(before)-3):]
	switch {
	case nameAfter.Match(after), urlBefore.Match(before):
		return false
	case escapeBefore.Match(before):
		return true
	default:
		return !nameBefore.Match(before)
	}
}

func textOf(text []byte, line int) string {
	return string(bytes.TrimSpace(bytes.Split(text, []byte("\n"))[line-1]))
}

// tidy restores the order that the tools require after a change of the path: the
// alignment and the imports of a Go file, and the requirements of a go.mod.
func tidy(name string, before, after []byte) ([]byte, error) {
	switch {
	case path.Ext(name) == ".go":
		if formatted, _ := format.Source(before); bytes.Equal(formatted, before) {
			return format.Source(after)
		} // else it was not in order before; a test may need that
	case path.Base(name) == "go.mod":
		f, err := modfile.Parse(name, after, nil)
		if err != nil {
			return nil, err
		}
		f.SortBlocks()
		formatted, err := f.Format()
		if bytes.Contains(before, []byte("\r\n")) {
			formatted = bytes.ReplaceAll(formatted, []byte("\n"), []byte("\r\n")) // Format drops them
		}
		return formatted, err
	}
	return after, nil
}

// apply writes the files. If it cannot write one, it restores those that it has
// written.
func (p *plan) apply(write func(file string, data []byte, perm fs.FileMode) error) error {
	for i, e := range p.edits {
		err := write(filepath.Join(p.dir, e.name), e.after, e.perm)
		if err == nil {
			continue
		}
		err = fmt.Errorf("write %s: %w: nothing was renamed", e.name, err)
		for _, done := range p.edits[:i+1] {
			if back := write(filepath.Join(p.dir, done.name), done.before, done.perm); back != nil && done.name != e.name {
				err = errors.Join(err, fmt.Errorf("give %s its old text back: %w", done.name, back))
			}
		}
		return err
	}
	return nil
}
