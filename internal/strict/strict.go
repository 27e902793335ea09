// Package strict decodes JSON into a Go type, and refuses what the type has no place for.
//
// It decodes with encoding/json, whose tags and methods a type uses as always. On top of
// that, the following is refused:
//
//   - a member that no field of a struct has. Names are compared exactly; encoding/json also
//     takes "ITEM" for a field item.
//   - more items than an array of Go has. encoding/json drops the rest.
//   - null in place of the whole, where the type is a struct or a pointer. encoding/json
//     leaves the value as it is.
//
// A name that occurs twice in an object has its last value, as everywhere in the gateway.
// encoding/json merges the two values, if they are objects or arrays.
//
// A type that reads JSON itself (UnmarshalJSON, UnmarshalText) decides itself what fits, and
// so does the type any.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"example.com/gateway/internal/clip"
)

// Problem is a place in a text that does not fit.
type Problem struct {
	// Pointer is the JSON pointer to the value, "" for the whole. A long one is cut and ends
	// in "…".
	Pointer string
	// Text says what is wanted there. It has no value of the text.
	Text string
}

// Members are names that objects may have, although the type has no such field: of the
// outermost object, and below each name of the object that is its value. A name that the type
// has is not affected.
type Members map[string]Members

// Type is a Go type that JSON is decoded into. It is safe for concurrent use.
type Type struct {
	root   *shape
	noNull bool // in place of the whole
}

// Of examines the type t, once for all texts. The error names the part of t that JSON cannot
// be decoded into.
func Of(t reflect.Type) (*Type, error) {
	root, err := (&examiner{shapes: map[reflect.Type]*shape{}, decode: true}).shape(t)
	if err != nil {
		return nil, err
	}
	noNull := root.kind != anything && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Struct)
	return &Type{root, noNull}, nil
}

// CheckEncoding returns an error that names the part of t that cannot become JSON.
func CheckEncoding(t reflect.Type) error {
	_, err := (&examiner{shapes: map[reflect.Type]*shape{}}).shape(t)
	return err
}

// Decode decodes text, whatever it is, into the value that into points to, which has the type
// and is zero. It returns nil, or what does not fit: the first ten problems. It neither keeps
// nor changes text, nor extra.
func (t *Type) Decode(text []byte, into any, extra Members) []Problem {
	err := json.Unmarshal(text, into)
	if err != nil && !json.Valid(text) {
		return []Problem{{Text: "not valid JSON"}}
	}
	w := walker{text: text, failed: err != nil}
	fits := w.document(t, extra)
	if w.repeated {
		text = lastOnly(text)
		reflect.ValueOf(into).Elem().SetZero()
		err = json.Unmarshal(text, into)
		w = walker{text: text, failed: err != nil}
		fits = w.document(t, extra)
	}
	if err == nil && fits {
		return nil
	}
	w = walker{text: text, failed: err != nil, thorough: true}
	w.document(t, extra)
	if len(w.problems) == 0 {
		return []Problem{unnamed(err)}
	}
	return w.problems
}

// unnamed is the problem of an error of encoding/json for which the walker found no place.
func unnamed(err error) Problem {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return Problem{Pointer: clip.To("/"+strings.ReplaceAll(wrong.Field, ".", "/"), maxPointerText), Text: "does not fit"}
	}
	return Problem{Text: "does not fit"}
}

// lastOnly returns text, which is valid JSON, without the members of objects that a later
// member with the same name replaces.
func lastOnly(text []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil { // it is valid: cannot happen
		return text
	}
	once, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return once
}
