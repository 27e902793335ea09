package definition

import (
	"fmt"
	"slices"
	"strings"

	"example.com/gateway/internal/nearest"
)

// maxProblems is how many problems one Error tells.
const maxProblems = 25

// problem is an error with its place.
type problem struct {
	at        position
	logicalID string
	text      string
}

func (p *problem) Error() string { return p.text }

func problemAt(at position, format string, args ...any) *problem {
	return &problem{at: at, text: fmt.Sprintf(format, args...)}
}

// report collects what is told about a file.
type report struct {
	problems []Note
	notes    []Note
	told     map[Note]bool   // all of them
	texts    map[string]bool // of the notes
	hints    int
	copied   int // see mayMerge
}

// first reports whether a note has not been told before.
func (r *report) first(n Note) bool {
	if r.told[n] {
		return false
	}
	if r.told == nil {
		r.told, r.texts = map[Note]bool{}, map[string]bool{}
	}
	r.told[n] = true
	return true
}

// maxHints is how many times a name is compared with all names of a file.
const maxHints = 100

// didYouMean is like the function, for names of which a file may have very many.
func (r *report) didYouMean(name string, known func() []string) string {
	if r.hints++; r.hints > maxHints {
		return ""
	}
	return didYouMean(name, known())
}

// fail records a problem of a resource.
func (r *report) fail(logicalID string, p *problem) {
	if p.logicalID != "" {
		logicalID = p.logicalID
	}
	n := Note{File: p.at.file, Line: p.at.line, LogicalID: logicalID, Text: p.text}
	if r.first(n) {
		r.problems = append(r.problems, n)
	}
}

func (r *report) failf(at position, logicalID, format string, args ...any) {
	r.fail(logicalID, problemAt(at, format, args...))
}

func (r *report) notef(kind NoteKind, at position, logicalID, format string, args ...any) {
	n := Note{Kind: kind, File: at.file, Line: at.line, LogicalID: logicalID, Text: fmt.Sprintf(format, args...)}
	if r.first(n) {
		r.notes, r.texts[n.Text] = append(r.notes, n), true
	}
}

// noteOnce adds a note unless there is one with the same text.
func (r *report) noteOnce(kind NoteKind, at position, text string) {
	if !r.texts[text] {
		r.notef(kind, at, "", "%s", text)
	}
}

// err returns the problems as an error, or nil if there are none.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	found := slices.Clone(r.problems)
	slices.SortStableFunc(found, func(a, b Note) int {
		if a.File != b.File {
			return 0
		}
		return a.Line - b.Line
	})
	if more := len(found) - maxProblems; more > 0 {
		last := found[maxProblems-1]
		found = append(found[:maxProblems], Note{
			File: last.File, Line: last.Line, Text: fmt.Sprintf("and %d more problems: mend these first", more),
		})
	}
	return &Error{Problems: found}
}

// didYouMean returns a question for the end of an error text, or "".
func didYouMean(name string, known []string) string {
	if found := nearest.To(name, known); found != "" && found != name {
		return fmt.Sprintf(": did you mean %q?", found)
	}
	return ""
}

// listed returns names as a list in a text, shortened if there are many.
func listed(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
