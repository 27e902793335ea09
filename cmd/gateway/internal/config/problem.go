package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong in a configuration, or probably wrong.
type Problem struct {
	File         string
	Line, Column int    // 0: about the whole file
	Text         string // what is wrong, where, and what to do
}

// String is the problem as compilers print it: file:line:column: text.
func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Text)
}

// Error is everything that is wrong in a configuration, sorted by line.
type Error []Problem

// Error has a line for each problem.
func (e Error) Error() string { return join(e) }

func join(problems []Problem) string {
	lines := make([]string, len(problems))
	for n, p := range problems {
		lines[n] = p.String()
	}
	return strings.Join(lines, "\n")
}

func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(problems)
}
