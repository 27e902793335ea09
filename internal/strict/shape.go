package strict

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// shape is what JSON has to look like for a Go type.
type shape struct {
	kind   kind
	goType reflect.Type      // nil: its value is written in a string
	fields map[string]*field // of an object
	names  []*field          // the same in the order of the type
	elem   *shape            // of a list or a map
	length int               // of an array of Go; -1: no limit
}

type field struct {
	name  string
	index int // in names
	shape *shape
}

// kind says which values fit.
type kind uint8

const (
	anything kind = iota // or what the type itself takes
	boolean
	text
	integer
	number
	list
	mapping
	object
)

// want says which values of JSON fit.
func (k kind) want() string {
	return [...]string{"", "boolean", "string", "integer", "number", "array", "object", "object"}[k]
}

// maxPointers is how many pointers may stand before a type.
const maxPointers = 16

// examiner makes shapes.
type examiner struct {
	shapes map[reflect.Type]*shape
	decode bool // else encode
}

func (e *examiner) shape(t reflect.Type) (*shape, error) {
	for n := 0; t.Kind() == reflect.Pointer && !e.ownMethods(t); n++ {
		if t = t.Elem(); n == maxPointers {
			return nil, fmt.Errorf("the type %s points to itself: use another one", t)
		}
	}
	if s := e.shapes[t]; s != nil {
		return s, nil
	}
	s := &shape{goType: t, length: -1}
	e.shapes[t] = s // before its parts: a type may contain itself
	if e.ownMethods(t) {
		return s, nil
	}
	var err error
	switch t.Kind() {
	case reflect.Bool:
		s.kind = boolean
	case reflect.String:
		s.kind = text
		if t == reflect.TypeFor[json.Number]() {
			s.kind = anything
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		s.kind = integer
	case reflect.Float32, reflect.Float64:
		s.kind = number
	case reflect.Slice, reflect.Array:
		err = e.list(s)
	case reflect.Map:
		s.kind = mapping
		s.elem, err = e.shape(t.Elem())
	case reflect.Struct:
		s.kind = object
		err = e.object(s)
	case reflect.Interface:
		if e.decode && t.NumMethod() > 0 {
			return nil, fmt.Errorf("JSON cannot be decoded into the interface %s: use a type that implements it", t)
		}
	default:
		return nil, fmt.Errorf("the type %s has no form in JSON: remove it, or hide its field with the tag `json:\"-\"`", t)
	}
	return s, err
}

// ownMethods reports whether t reads, or writes, JSON itself.
func (e *examiner) ownMethods(t reflect.Type) bool {
	if e.decode {
		p := reflect.PointerTo(t)
		return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	}
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

func (e *examiner) list(s *shape) (err error) {
	if s.goType.Kind() == reflect.Slice && s.goType.Elem().Kind() == reflect.Uint8 {
		return nil // base64, which encoding/json checks
	}
	s.kind = list
	if s.goType.Kind() == reflect.Array {
		s.length = s.goType.Len()
	}
	s.elem, err = e.shape(s.goType.Elem())
	return err
}

// object finds the fields that encoding/json knows: of the fields with the same name that of
// the outermost struct, then the one with a tag; if there are still several, none.
func (e *examiner) object(s *shape) error {
	candidates := candidatesOf(s.goType, 0, nil)
	slices.SortStableFunc(candidates, func(a, b candidate) int { return a.depth - b.depth })
	byName := map[string][]candidate{}
	var order []string
	for _, c := range candidates {
		if byName[c.name] == nil {
			order = append(order, c.name)
		}
		byName[c.name] = append(byName[c.name], c)
	}
	s.fields = make(map[string]*field, len(order))
	for _, name := range order {
		c, ok := dominant(byName[name])
		if !ok {
			continue
		}
		f := &field{name: name, index: len(s.names), shape: &shape{length: -1}}
		if !c.quoted { // else a string with the value in it, which encoding/json checks
			var err error
			if f.shape, err = e.shape(c.goType); err != nil {
				return fmt.Errorf("field %q of %s: %w", name, s.goType, err)
			}
		}
		s.fields[name], s.names = f, append(s.names, f)
	}
	return nil
}

// candidate is a field of a struct, or of a struct that is embedded in it.
type candidate struct {
	name           string
	goType         reflect.Type
	depth          int
	tagged, quoted bool
}

// dominant returns the field that counts among those with the same name, which are sorted by
// their depth.
func dominant(same []candidate) (c candidate, ok bool) {
	var best []candidate
	for _, c := range same {
		if c.depth == same[0].depth {
			best = append(best, c)
		}
	}
	if tagged := slices.DeleteFunc(slices.Clone(best), func(c candidate) bool { return !c.tagged }); len(tagged) > 0 {
		best = tagged
	}
	return best[0], len(best) == 1
}

// candidatesOf returns the fields of the struct t. within are the structs that it is embedded
// in.
func candidatesOf(t reflect.Type, depth int, within []reflect.Type) (found []candidate) {
	if slices.Contains(within, t) {
		return nil
	}
	within = append(within, t)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if tag == "-" {
			continue
		}
		if !validName(name) {
			name = ""
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer && inner.Name() == "" {
			inner = inner.Elem()
		}
		switch {
		case f.Anonymous && inner.Kind() == reflect.Struct && name == "":
			found = append(found, candidatesOf(inner, depth+1, within)...)
			continue
		case !f.IsExported():
			continue
		}
		c := candidate{name: name, goType: f.Type, depth: depth, tagged: name != ""}
		if name == "" {
			c.name = f.Name
		}
		c.quoted = slices.Contains(strings.Split(options, ","), "string") && quotable(inner.Kind())
		found = append(found, c)
	}
	return found
}

// quotable reports whether the option string has an effect on values of this kind.
func quotable(k reflect.Kind) bool {
	return k == reflect.Bool || k == reflect.String || k >= reflect.Int && k <= reflect.Float64
}

// validName reports whether encoding/json takes the name of a tag.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r == '"' || r == '\\' || r == ',' || r == '\'' || r == '`'
	})
}
