package strict

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"example.com/gateway/internal/clip"
)

// Bounds on what is said about a text. Without them its sender would choose the size.
const (
	maxProblems    = 10
	maxPointerText = 256 // bytes
	maxNameText    = 64  // bytes of the name of a member
)

// walker goes through a text that is valid JSON, once. encoding/json has bounded its levels.
type walker struct {
	text     []byte
	pos      int
	failed   bool // encoding/json could not decode it
	thorough bool // collect problems; else only report whether there are any
	repeated bool // a struct's member occurs twice
	path     []step
	problems []Problem
}

// step leads to a member or an item. A walker has steps only if it is thorough.
type step struct {
	name  string
	index int // -1: a member
}

// document checks the whole text.
func (w *walker) document(t *Type, extra Members) bool {
	w.space()
	if t.noNull && w.text[w.pos] == 'n' {
		return w.problem("want " + t.root.kind.want() + ", got null")
	}
	return w.value(t.root, extra)
}

// value checks the value at the position, and goes behind it.
func (w *walker) value(s *shape, extra Members) bool {
	start := w.pos
	switch c := w.text[w.pos]; {
	case c == '{' && s.kind == object:
		return w.object(s, extra)
	case c == '{' && s.kind == mapping:
		return w.mapping(s)
	case c == '[' && s.kind == list:
		return w.list(s)
	}
	w.skip()
	if !w.thorough { // encoding/json has taken it, or the next walker finds out
		return true
	}
	return w.scalar(s, w.text[start:w.pos])
}

// object checks the members of a struct.
func (w *walker) object(s *shape, extra Members) bool {
	fits := true
	var seen fieldSet
	next := 0
	for w.enter(); w.more('}'); {
		name := w.name()
		f := s.find(name, next)
		var below Members
		allowed := false
		if len(extra) > 0 {
			below, allowed = extra[string(name)]
		}
		w.push(name, 0)
		switch {
		case f != nil:
			w.repeated = seen.add(f.index, len(s.names)) || w.repeated
			next = f.index + 1
			fits = w.value(f.shape, below) && fits
		case allowed:
			w.skip()
		default:
			w.skip()
			fits = w.problem("unknown field")
		}
		w.pop()
	}
	return fits
}

// find returns the field with this name, or nil. next is the one that comes next, if the
// sender keeps the order of the type.
func (s *shape) find(name []byte, next int) *field {
	if next < len(s.names) && s.names[next].name == string(name) {
		return s.names[next]
	}
	return s.fields[string(name)]
}

// fieldSet has the fields of one struct that were seen.
type fieldSet struct {
	few  uint64
	many []uint64
}

// add adds the field i of so many. It reports whether the set had it already.
func (s *fieldSet) add(i, of int) (had bool) {
	bits := &s.few
	if i >= 64 {
		if s.many == nil {
			s.many = make([]uint64, of/64)
		}
		bits = &s.many[i/64-1]
	}
	bit := uint64(1) << (i % 64)
	had = *bits&bit != 0
	*bits |= bit
	return had
}

// mapping checks the values of a map.
func (w *walker) mapping(s *shape) bool {
	fits := true
	for w.enter(); w.more('}'); {
		w.push(w.name(), 0)
		fits = w.value(s.elem, nil) && fits
		w.pop()
	}
	return fits
}

// list checks the items of a slice or an array.
func (w *walker) list(s *shape) bool {
	fits := true
	n := 0
	for w.enter(); w.more(']'); n++ {
		w.push(nil, n)
		fits = w.value(s.elem, nil) && fits
		w.pop()
	}
	if s.length >= 0 && n > s.length {
		fits = w.problem("want at most " + strconv.Itoa(s.length) + " items")
	}
	return fits
}

// scalar checks raw, a value that is no object or array, or not the one that is wanted. null
// stands for a value that is not there.
func (w *walker) scalar(s *shape, raw []byte) bool {
	got := kindOf(raw)
	switch {
	case got == "null":
		return true
	case s.kind == anything:
		return w.own(s, raw)
	case s.kind == integer && got == "number":
		if want := wrongInteger(s.goType, raw); want != "" {
			return w.problem("want " + want)
		}
		return true
	case got != s.kind.want():
		return w.problem("want " + s.kind.want() + ", got " + got)
	case s.kind == number:
		if _, err := strconv.ParseFloat(string(raw), s.goType.Bits()); err != nil {
			return w.problem("want a smaller number")
		}
	}
	return true
}

// own lets a type that reads JSON itself read raw.
func (w *walker) own(s *shape, raw []byte) bool {
	switch {
	case !w.failed:
	case s.goType == nil:
		if raw[0] != '"' {
			return w.problem("want string, got " + kindOf(raw))
		}
	case json.Unmarshal(raw, reflect.New(s.goType).Interface()) == nil:
	case s.goType.Kind() == reflect.Slice && s.goType.Name() == "":
		return w.problem("want base64 text")
	case s.goType.Name() == "":
		return w.problem("does not fit")
	default:
		name, _, _ := strings.Cut(s.goType.Name(), "[") // without type arguments
		return w.problem("not a valid " + name)
	}
	return true
}

// wrongInteger returns "" if raw is a number that the type t takes, and else what it wants.
func wrongInteger(t reflect.Type, raw []byte) string {
	if bytes.ContainsAny(raw, ".eE") {
		return "integer, got number"
	}
	bits := t.Bits()
	if t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uintptr {
		if _, err := strconv.ParseUint(string(raw), 10, bits); err != nil {
			return "an integer from 0 to " + strconv.FormatUint(1<<bits-1, 10)
		}
		return ""
	}
	if _, err := strconv.ParseInt(string(raw), 10, bits); err != nil {
		most := int64(1)<<(bits-1) - 1
		return "an integer from " + strconv.FormatInt(-most-1, 10) + " to " + strconv.FormatInt(most, 10)
	}
	return ""
}

// kindOf says what JSON calls the value raw.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// problem notes a problem at the present path. It returns false.
func (w *walker) problem(text string) bool {
	if w.thorough && len(w.problems) < maxProblems {
		w.problems = append(w.problems, Problem{pointer(w.path), text})
	}
	return false
}

func (w *walker) push(name []byte, index int) {
	switch {
	case !w.thorough:
	case name == nil:
		w.path = append(w.path, step{index: index})
	default:
		w.path = append(w.path, step{name: string(name), index: -1})
	}
}

func (w *walker) pop() {
	if w.thorough {
		w.path = w.path[:len(w.path)-1]
	}
}

// pointer writes the JSON pointer of a path.
func pointer(path []step) string {
	var b []byte
	for _, s := range path {
		b = append(b, '/')
		if s.index >= 0 {
			b = strconv.AppendInt(b, int64(s.index), 10)
		} else {
			quoted := strconv.Quote(clip.To(s.name, maxNameText)) // on one line
			b = append(b, pointerEscapes.Replace(quoted[1:len(quoted)-1])...)
		}
		if len(b) > maxPointerText {
			break
		}
	}
	return clip.To(string(b), maxPointerText)
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1") //nolint:gochecknoglobals // never changes
