package models

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on what an error says about a message. Without them the sender of the message
// would choose the size.
const (
	maxProblems    = 10   // in a ValidationError
	maxCollected   = 100  // problems that are sorted before most are dropped
	maxErrorText   = 1024 // bytes of the problems in ValidationError.Error
	maxPointerText = 256  // bytes of a Problem.Pointer
	maxNameText    = 64   // bytes of a property's name
	maxWantText    = 200  // bytes of an expectation
)

// ValidationError describes why a body does not fit a model.
type ValidationError struct {
	// Problems are the first ten, sorted by Pointer and Keyword. There is at least one.
	Problems []Problem
	// More is the number of further problems that were found before the steps of the
	// validation were used up.
	More int
}

// Problem is a place in a body that does not fit. It contains no value of the body.
// Names of properties are shortened, and escaped if they have special characters.
type Problem struct {
	// Pointer is the JSON pointer to the value, "" for the whole body. A long one is
	// cut and ends in "…".
	Pointer string
	// Keyword is the keyword of the schema that the value does not satisfy, such as
	// "required". It is "" for a body that is not JSON or takes too long to check.
	Keyword string
	// Text is what the schema wants and, for "type", the type of the value.
	Text string
}

// Error lists the problems on one line of about a kilobyte at most, as in
//
//	/: missing property "data"; /count: want integer, got string; and 3 more
func (e *ValidationError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		text := p.String()
		if i > 0 {
			if b.Len()+len(text) > maxErrorText {
				return fmt.Sprintf("%s; and %d more", b.String(), len(e.Problems)-i+e.More)
			}
			b.WriteString("; ")
		}
		b.WriteString(text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "; and %d more", e.More)
	}
	return b.String()
}

// String returns the pointer, or / for the whole body, and the text.
func (p Problem) String() string {
	switch {
	case p.Keyword == "":
		return p.Text
	case p.Pointer == "":
		return "/: " + p.Text
	default:
		return p.Pointer + ": " + p.Text
	}
}

// path is a place in the body, as a list of steps back to the root.
type path struct {
	parent *path
	name   string // of the property
	index  int    // of the item, -1 for a property
}

// pointer writes the JSON pointer of p.
func (p *path) pointer() string {
	var steps []*path
	for ; p != nil; p = p.parent {
		steps = append(steps, p)
	}
	var b []byte
	for _, step := range slices.Backward(steps) {
		b = append(b, '/')
		if step.index >= 0 {
			b = strconv.AppendInt(b, int64(step.index), 10)
		} else {
			b = append(b, pointerToken(step.name)...)
		}
		if len(b) > maxPointerText {
			return clip(string(b), maxPointerText)
		}
	}
	return string(b)
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1") //nolint:gochecknoglobals // never changes

// pointerToken writes a property's name for a pointer, on one line.
func pointerToken(name string) string {
	quoted := quote(name)
	return pointerEscapes.Replace(quoted[1 : len(quoted)-1])
}

// quote quotes a property's name, shortened.
func quote(name string) string {
	return strconv.Quote(clip(name, maxNameText))
}

// clip shortens s to at most n bytes and says so by a "…".
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// fail records a problem. Its text costs some steps. It returns false if the check can
// end, because one problem is enough or because no steps are left.
func (c *checker) fail(at *path, keyword, text string) (proceed bool) {
	c.failures++
	switch {
	case !c.collect, c.exhausted:
		return false
	case len(c.problems) < maxCollected:
		c.problems = append(c.problems, Problem{at.pointer(), keyword, text})
	default:
		c.more++
	}
	return c.spend(4)
}

// err makes an error from the recorded problems. The order in which they were found
// depends on schema and body only, so that the first problems are always the same.
func (c *checker) err() *ValidationError {
	slices.SortFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Keyword, b.Keyword), strings.Compare(a.Text, b.Text))
	})
	problems := slices.Compact(c.problems)
	shown := min(len(problems), maxProblems)
	return &ValidationError{Problems: slices.Clone(problems[:shown]), More: len(problems) - shown + c.more}
}
