package jsonpath

// step leads from one value to values inside it.
type step struct {
	descend   bool // the selectors apply to the value and to everything inside it
	selectors []selector
}

// definite reports whether the step leads to one value at most.
func (s *step) definite() bool {
	kind := s.selectors[0].kind
	return !s.descend && len(s.selectors) == 1 && (kind == selectMember || kind == selectElement)
}

// selector is a part of a union, or the only part of a step.
type selector struct {
	kind   selectorKind
	name   string    // selectMember: the decoded key
	index  int       // selectElement, and where selectSlice begins: below zero counts from the end
	to     int       // selectSlice: the first index that is not selected, likewise
	by     int       // selectSlice: above zero
	filter condition // selectFilter
}

// selectorKind says what a selector selects.
type selectorKind uint8

const (
	selectMember selectorKind = iota
	selectElement
	selectAll
	selectSlice
	selectFilter
)

// apply is for selectMember and selectElement. It reads the text itself.
func (s *selector) apply(v Value) Value {
	switch {
	case s.kind == selectMember && v.Kind == Object:
		return member(v.Raw, s.name)
	case s.kind == selectElement && v.Kind == Array:
		return element(v.Raw, s.index)
	default:
		return Value{}
	}
}

// bounds returns the indices of a slice in an array of the given length.
func (s *selector) bounds(length int) (from, to int) {
	clamp := func(i int) int {
		if i < 0 {
			return max(i+length, 0)
		}
		return min(i, length)
	}
	return clamp(s.index), clamp(s.to)
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
