// Package jsonpath reads values out of a JSON text by a JSONPath in Goessner's
// spelling, as API Gateway's selection expressions and mapping templates write
// it:
//
//	path, err := jsonpath.Compile("$.items[-1]['type']")
//	value := path.Lookup(body)
//	key := value.Text(nil)
//
// # Paths
//
//	$                       the document; optional at the start
//	.name ['name'] ["name"] a member
//	[0] [-1]                an element, from the start or from the end
//	.* [*]                  all members, or all elements
//	[1:3] [:2] [-2:] [::2]  elements from, to (exclusive) and by a step above 0
//	[0,2] ['a','b']         a union of any of the above that stand in brackets
//	..name ..* ..[0]        the same of the value and of everything inside it
//	[?(@.price < 10)]       what meets a condition
//
// A condition compares two of @ (the value that is tested) and $ with steps
// behind it, strings in quotes, numbers, true, false and null, by == != < <= >
// >=, or the first with a regular expression by =~ /re/ with the flags i, m and
// s (RE2, over the whole string). A path alone asks whether there is anything.
// !, && and || join conditions, in this order of precedence, and parentheses
// group them. Functions, scripts and Jayway's other operators are refused with a
// [SyntaxError]: API Gateway documents none of them, and a path never yields a
// value other than the one its author meant.
//
// # Matches
//
// A path of members and elements alone is definite, and leads to one value or to
// none. Any other leads to an array of all its matches, which may be empty. They
// come in the order of the text, except that a union gives its parts in the
// order written, and ".." gives the matches of a value before those inside it.
//
// The service names Jayway JsonPath as its reference, so that a filter behind an
// object tests the object itself, not its members. We depart from Jayway 2.9 as
// follows. Goessner's article decides for the first three:
//
//   - A slice has a step, and may run from one end to the other, as in [-3:2].
//   - A union of names gives an array of values; in Jayway it gives an object
//     if nothing follows.
//   - A path that is not definite gives an empty array for a parent that is
//     missing; Jayway raises an error.
//   - A string is not equal to a number, as Jayway's own documentation says.
//   - A path with several matches, alone in a condition, has to have one.
//   - Neither null nor a missing value nor an object matches any =~.
//
// Names are compared with the decoded keys, byte for byte and without Unicode
// normalization, and strings in the order of their code points. Numbers are
// compared exactly. Of duplicate keys the last one counts, as in encoding/json
// and most other parsers, and the others are not there: if the first one
// counted, a client could have a message routed as one action and read by the
// integration as another.
//
// # Bounds
//
// A path has at most 256 parts (steps, selectors, conditions) and 32 levels of
// parentheses and filters. An evaluation ends with [ErrLimit] before it visits
// more than 2^20 values and four for each byte of the document, or finds more
// than 2^16 matches and one for each byte, or writes an array of more than 1 MiB
// and two bytes for each byte; a comparison counts for as many values as its
// strings are long. One ".." with a few steps behind it is always within the
// first two: only several of them, filters that search, or unions of very many
// parts, over hostile documents, are not.
//
// The package is the only importer of github.com/tidwall/gjson. It uses gjson
// to validate and walks the validated text itself: gjson v1.20.0 takes the
// first of duplicate keys in Get, and its Result.ForEach decodes every sibling
// on the way (two allocations of 128 KiB each for a message of 128 KiB with one
// escape in it). No type of gjson crosses the boundary.
package jsonpath

import (
	"errors"
	"fmt"
)

// ErrLimit is the error of [Path.Each] where an evaluation would pass one of the
// bounds in the package comment.
var ErrLimit = errors.New("jsonpath: the document takes too much work")

// Path is a compiled JSONPath. It is immutable and safe for concurrent use.
type Path struct {
	text  string
	steps []step
	lone  int // so many steps at the start lead to one value each
}

// Compile parses text. A leading "$", "$." or "." is optional; "$" alone is the
// whole document. The error is always a [*SyntaxError].
//
// Without brackets a name runs to the next "." or "[" and may hold anything but
// white space, control characters and any of the characters *?()]{}$,'"\ for
// which there is the bracket form; in a filter it ends at any of !=<>~&| too,
// and holds none of +/% either, lest it be taken for arithmetic. Inside quotes
// the escapes of JSON strings are understood, and \' too. Blanks are allowed
// inside brackets, and a "." before a bracket, as Jayway JsonPath does.
func Compile(text string) (*Path, error) {
	p := parser{text: text}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return newPath(text, p.steps), nil
}

func newPath(text string, steps []step) *Path {
	lone := 0
	for lone < len(steps) && steps[lone].definite() {
		lone++
	}
	return &Path{text: text, steps: steps, lone: lone}
}

// Definite reports whether the path leads to one value at most: whether it is
// made of members and elements alone.
func (p *Path) Definite() bool { return p.lone == len(p.steps) }

// Lookup returns the value that a definite path leads to in json, or the zero
// Value, whose Kind is [Missing], where it leads nowhere: no such key or index, a
// name applied to something other than an object, an index to something other
// than an array. It aliases json, which must not change as long as the result is
// used, and nothing is allocated.
//
// For a path that is not definite Lookup returns an [Array] of all matches, whose
// Raw is newly built, and which is empty if there are none. It is the zero Value
// only where [Path.Each] returns [ErrLimit], or the array would be too large.
//
// json must be valid, see [Valid]; for other bytes the result is unspecified,
// but Lookup does not panic.
func (p *Path) Lookup(json []byte) Value {
	value := p.start(json)
	if p.Definite() {
		return value
	}
	e := newEvaluation(json)
	if !e.parse(value.Raw) {
		return Value{}
	}
	value = e.array(p.steps[p.lone:], root)
	if e.exceeded() {
		return Value{}
	}
	return value
}

// Each calls yield with one match after the other, until there are no more or
// yield returns false. A definite path has one match or none. The values alias
// json, as those of [Path.Lookup] do.
//
// It returns [ErrLimit] if it stopped for one of the bounds; the matches until
// then are good, but may not be all.
func (p *Path) Each(json []byte, yield func(Value) bool) error {
	value := p.start(json)
	if p.Definite() {
		if value.Kind != Missing {
			yield(value)
		}
		return nil
	}
	e := newEvaluation(json)
	if !e.parse(value.Raw) {
		return ErrLimit
	}
	e.walk(p.steps[p.lone:], root, func(n int32) bool {
		return e.countMatch() && yield(e.value(n))
	})
	if e.exceeded() {
		return ErrLimit
	}
	return nil
}

// String returns the text the path was compiled from.
func (p *Path) String() string { return p.text }

// start goes along the steps that lead to one value each. It reads the text as
// it stands, which allocates nothing.
func (p *Path) start(json []byte) Value {
	value := valueOf(trimSpace(json)) // no need to look for the end of the only value
	for i := range p.lone {
		value = p.steps[i].selectors[0].apply(value)
	}
	return value
}

// SyntaxError tells why and where [Compile] refused a path.
type SyntaxError struct {
	Path     string // the text given to Compile
	Position int    // byte offset into Path; len(Path) where something is missing at the end
	Reason   string // without the path and the position
}

// Error returns the path, the position and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSONPath %q: position %d: %s", e.Path, e.Position, e.Reason)
}
