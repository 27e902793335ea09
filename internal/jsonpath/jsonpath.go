// Package jsonpath finds values in a JSON text by a JSONPath. The syntax is Goessner's,
// which API Gateway's selection expressions and mapping templates use:
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
//	..name ..* ..[0]        the same for the value and for everything inside it
//	[?(@.price < 10)]       the values that meet a condition
//
// A condition compares two operands with == != < <= > or >=. An operand is @ (the value
// that is tested) or $, both with steps after them, a string in quotes, a number, true,
// false or null. =~ /re/ compares the first operand with a regular expression, which has
// the syntax of RE2 and the flags i, m and s, and must match the whole string. A path
// alone is true if it leads to a value. !, && and || join conditions, in this order of
// precedence, and parentheses group them. Functions, scripts and Jayway's other operators
// are refused with a [SyntaxError]: API Gateway documents none of them, and a path must
// not give another value than its author meant.
//
// # Matches
//
// A path that consists of members and elements only is definite: it leads to one value or
// to none. Any other path leads to an array of all its matches, which may be empty. The
// matches are in the order of the text. Only a union gives its parts in the order in which
// they are written, and ".." gives the matches of a value before those inside it.
//
// The service names Jayway JsonPath as its reference. Therefore a filter after an object
// tests the object itself, not its members. The package differs from Jayway 2.9 in these
// points, of which the first three follow Goessner's article:
//
//   - A slice has a step, and may run from one end to the other, as in [-3:2].
//   - A union of names gives an array of values; in Jayway it gives an object
//     if nothing follows.
//   - A path that is not definite gives an empty array for a parent that is
//     missing; Jayway raises an error.
//   - A string is not equal to a number, as Jayway's own documentation says.
//   - A path that is alone in a condition and not definite needs at least one match.
//   - Neither null nor a missing value nor an object matches any =~.
//
// Names are compared with the decoded keys, byte for byte and without Unicode
// normalization, and strings in the order of their code points. Numbers are
// compared exactly. If a key occurs twice in an object, the last one counts, as in
// encoding/json and most other parsers, and the others are ignored. If the first one
// counted, a client could send a message that is routed as one action and that the
// integration reads as another.
//
// # Bounds
//
// A path has at most 256 parts (steps, selectors, conditions) and 32 levels of
// parentheses and filters. For a document of n bytes an evaluation ends with [ErrLimit]
// before it
//
//   - visits more than 2^20 + 4n values, where a comparison counts as many values as its
//     strings are long;
//   - finds more than 2^16 + n matches;
//   - writes an array of more than 1 MiB + 2n bytes.
//
// One ".." with a few steps after it never reaches the first two bounds. Only several "..",
// filters that search, and unions of very many parts reach them, on hostile documents.
//
// Only this package imports github.com/tidwall/gjson. It validates with gjson, and reads
// the validated text itself, because in gjson v1.20.0 Get returns the first of duplicate
// keys, and Result.ForEach decodes every sibling on its way (two allocations of 128 KiB for
// a message of 128 KiB with one escape). No type of gjson is part of the API.
package jsonpath

import (
	"errors"
	"fmt"
)

// ErrLimit is the error of [Path.Each] if an evaluation would exceed one of the bounds in
// the package comment.
var ErrLimit = errors.New("jsonpath: the path needs too much work in this document")

// Path is a compiled JSONPath. It is immutable and safe for concurrent use.
type Path struct {
	text  string
	steps []step
	lone  int // the number of steps at the start that lead to one value each
}

// Compile parses text. A leading "$", "$." or "." is optional; "$" alone is the
// whole document. The error is always a [*SyntaxError].
//
// Without brackets, a name ends at the next "." or "[". It may contain everything except
// white space, control characters and the characters *?()]{}$,'"\ for which there is the
// bracket form. In a filter a name also ends at each of !=<>~&| and must not contain +/% so
// that nobody takes it for arithmetic. In quotes the escapes of JSON strings and \' are
// decoded. As in Jayway JsonPath, blanks are allowed inside brackets, and a "." before a
// bracket.
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

// Definite reports whether the path leads to at most one value, because it consists of
// members and elements only.
func (p *Path) Definite() bool { return p.lone == len(p.steps) }

// Lookup returns the value in json to which a definite path leads. If there is none, it
// returns the zero Value, whose Kind is [Missing]: there is no such key or index, or a name
// is applied to a value that is not an object, or an index to a value that is not an array.
// The result shares memory with json, which must not change while the result is used.
// Nothing is allocated.
//
// For any other path Lookup returns an [Array] of all matches, which is empty if there are
// none. Its Raw is new memory. It returns the zero Value only if [Path.Each] would return
// [ErrLimit], or if the array would be too large.
//
// json must be valid: see [Valid]. For other bytes the result is unspecified, but Lookup
// does not panic.
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

// Each calls yield with one match after the other, until there are no more or yield
// returns false. A definite path has at most one match. As in [Path.Lookup], the values
// share memory with json.
//
// It returns [ErrLimit] if it stopped at one of the bounds. The matches until then are
// right, but there may be more.
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

// Names returns the names at the start of the path, up to a step that is no name: a and b for
// $.a.b[0].c. It returns nil if the path does not begin with a name.
func (p *Path) Names() []string {
	var names []string
	for i := range p.lone {
		s := &p.steps[i].selectors[0]
		if s.kind != selectMember {
			break
		}
		names = append(names, s.name)
	}
	return names
}

// start follows the steps that lead to one value each. It reads the text directly, and
// allocates nothing.
func (p *Path) start(json []byte) Value {
	value := valueOf(trimSpace(json)) // the end of the only value is known
	for i := range p.lone {
		value = p.steps[i].selectors[0].apply(value)
	}
	return value
}

// SyntaxError describes why and where [Compile] refused a path.
type SyntaxError struct {
	Path     string // the text given to Compile
	Position int    // byte offset into Path; len(Path) if something is missing at the end
	Reason   string // without the path and the position
}

// Error returns the path, the position and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSONPath %q: position %d: %s", e.Path, e.Position, e.Reason)
}
