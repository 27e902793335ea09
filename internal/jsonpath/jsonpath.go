// Package jsonpath reads one value out of a JSON text by a JSONPath in
// Goessner's spelling, as API Gateway's selection expressions and mapping
// templates write it:
//
//	path, err := jsonpath.Compile("$.items[-1]['type']")
//	value := path.Lookup(body)
//	key := value.Text(nil)
//
// [Compile] understands member names (".name", "['name']", `["name"]`) and
// array indices ("[0]", and "[-1]" counting from the end). Wildcards, slices,
// unions, recursive descent, filters, scripts and functions are refused with a
// [SyntaxError] that says so, so that a path never yields a value other than
// the one its author meant.
//
// Names are compared with the decoded keys, byte for byte and without Unicode
// normalization. Of duplicate keys the last one counts, as in encoding/json
// and most other parsers: if the first one counted, a client could have a
// message routed as one action and read by the integration as another.
//
// The package is the only importer of github.com/tidwall/gjson. It uses gjson
// to validate and walks the validated text itself: gjson v1.20.0 takes the
// first of duplicate keys in Get, and its Result.ForEach decodes every sibling
// on the way (two allocations of 128 KiB each for a message of 128 KiB with one
// escape in it). No type of gjson crosses the boundary.
package jsonpath

import "fmt"

// Path is a compiled JSONPath. It is immutable and safe for concurrent use.
type Path struct {
	text  string
	steps []step
}

// step leads from one value to a value inside it.
type step struct {
	kind  stepKind
	name  string // stepMember: the decoded key
	index int    // stepIndex: below zero counts from the end
}

// stepKind tells what a step does. A kind that yields several values, such as a
// wildcard, would be added here and in step.apply.
type stepKind uint8

const (
	stepMember stepKind = iota
	stepIndex
)

// Compile parses text. A leading "$", "$." or "." is optional; "$" alone is the
// whole document. The error is always a [*SyntaxError].
//
// Without brackets a name runs to the next "." or "[" and may hold anything but
// white space, control characters and any of the characters *?()]{}$,'"\ for
// which there is the bracket form. Inside quotes the escapes of JSON
// strings are understood, and \' too. Blanks are allowed inside brackets, and a
// "." before a bracket, as Jayway JsonPath does.
func Compile(text string) (*Path, error) {
	p := parser{text: text}
	if err := p.parse(); err != nil {
		return nil, err
	}
	return &Path{text: text, steps: p.steps}, nil
}

// Lookup returns the value that the path leads to in json, or the zero Value,
// whose Kind is [Missing], where it leads nowhere: no such key or index, a name
// applied to something other than an object, an index to something other than
// an array.
//
// json must be valid, see [Valid]; for other bytes the result is unspecified,
// but Lookup does not panic. The result aliases json, which must not change as
// long as the result is used. Lookup does not allocate.
func (p *Path) Lookup(json []byte) Value {
	value := valueOf(trimSpace(json)) // no need to look for the end of the only value
	for i := range p.steps {
		value = p.steps[i].apply(value)
	}
	return value
}

// String returns the text the path was compiled from.
func (p *Path) String() string { return p.text }

func (s *step) apply(v Value) Value {
	switch {
	case s.kind == stepMember && v.Kind == Object:
		return member(v.Raw, s.name)
	case s.kind == stepIndex && v.Kind == Array:
		return element(v.Raw, s.index)
	default:
		return Value{}
	}
}

// member returns the value of the last member called name.
func member(object []byte, name string) Value {
	var found []byte
	s := scanner{json: object, pos: 1}
	for s.more() {
		key := s.value()
		value := s.value()
		if keyIs(key, name) {
			found = value
		}
	}
	return valueOf(found)
}

func element(array []byte, index int) Value {
	if index < 0 {
		index += length(array)
	}
	s := scanner{json: array, pos: 1}
	for i := 0; index >= 0 && s.more(); i++ {
		if value := s.value(); i == index {
			return valueOf(value)
		}
	}
	return Value{}
}

func length(array []byte) int {
	n := 0
	s := scanner{json: array, pos: 1}
	for ; s.more(); n++ {
		s.value()
	}
	return n
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
