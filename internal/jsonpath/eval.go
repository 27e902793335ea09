package jsonpath

// evaluation finds the matches of one path in one document.
type evaluation struct {
	tree              // of the value at which the path stops being definite
	doc      []byte   // the value of "$" in a filter
	visits   int      // visits that are left; below zero: a bound was exceeded
	matches  int      // likewise for matches
	written  int      // likewise for bytes
	absolute []rooted // the results of the paths in filters that begin with "$"
}

// rooted is the result of a path that is the same everywhere in the document.
type rooted struct {
	path  *Path
	value Value
}

func newEvaluation(doc []byte) *evaluation {
	return &evaluation{
		doc:     doc,
		visits:  1<<20 + 4*len(doc),
		matches: 1<<16 + len(doc),
		written: 1<<20 + 2*len(doc),
	}
}

// exceeded reports whether a bound was exceeded.
func (e *evaluation) exceeded() bool { return e.visits < 0 || e.matches < 0 || e.written < 0 }

// spend counts n values as visited. It returns false if that is too many.
func (e *evaluation) spend(n int) bool {
	e.visits -= n
	return e.visits >= 0
}

// countMatch counts a match. It returns false if that is one too many.
func (e *evaluation) countMatch() bool {
	e.matches--
	return e.matches >= 0
}

// array returns the matches of steps as an array. The array is incomplete if a bound is
// exceeded.
func (e *evaluation) array(steps []step, from int32) Value {
	raw := []byte{'['}
	e.walk(steps, from, func(n int32) bool {
		text := e.text(n)
		e.written -= len(text) + len(",")
		if !e.countMatch() || e.written < 0 {
			return false
		}
		if len(raw) > len("[") {
			raw = append(raw, ',')
		}
		raw = append(raw, text...)
		return true
	})
	raw = append(raw, ']')
	return Value{Kind: Array, Raw: raw[:len(raw):len(raw)]}
}

// walk calls emit with each match of steps, beginning at node n. It returns false if emit
// returned false or a bound was exceeded.
func (e *evaluation) walk(steps []step, n int32, emit func(int32) bool) bool {
	if len(e.nodes) == 0 { // the definite part led nowhere
		return true
	}
	if e.exceeded() {
		return false
	}
	if len(steps) == 0 {
		return emit(n)
	}
	first, rest := &steps[0], steps[1:]
	if !first.descend {
		return e.step(first, rest, n, emit)
	}
	for end := e.nodes[n].next; n < end; {
		switch {
		case e.nodes[n].hidden:
			n = e.nodes[n].next
		case !e.spend(1) || !e.step(first, rest, n, emit):
			return false
		default:
			n++
		}
	}
	return true
}

// step applies the selectors of s to n, and the rest to what they select.
func (e *evaluation) step(s *step, rest []step, n int32, emit func(int32) bool) bool {
	for i := range s.selectors {
		ok := true
		switch selector := &s.selectors[i]; selector.kind {
		case selectMember, selectElement:
			if found := e.find(selector, n); found >= 0 {
				ok = e.walk(rest, found, emit)
			}
		case selectAll:
			ok = e.children(n, func(c int32) bool { return e.walk(rest, c, emit) })
		case selectSlice:
			ok = e.slice(selector, n, func(c int32) bool { return e.walk(rest, c, emit) })
		case selectFilter:
			ok = e.filter(selector.filter, s.descend, n, func(c int32) bool { return e.walk(rest, c, emit) })
		}
		if !ok {
			return false
		}
	}
	return true
}

// children calls visit with the members or elements of n until visit returns false. It
// returns the result of the last call.
func (e *evaluation) children(n int32, visit func(int32) bool) bool {
	end := e.nodes[n].next
	for c := n + 1; c < end; c = e.nodes[c].next {
		if !e.spend(1) || !e.nodes[c].hidden && !visit(c) {
			return false
		}
	}
	return true
}

// find returns the node that selectMember or selectElement selects, or -1.
func (e *evaluation) find(s *selector, n int32) int32 {
	end := e.nodes[n].next
	switch {
	case s.kind == selectMember && e.nodes[n].object:
		for c := n + 1; c < end && e.spend(1); c = e.nodes[c].next {
			if !e.nodes[c].hidden && keyIs(e.key(c), s.name) {
				return c
			}
		}
	case s.kind == selectElement && e.isArray(n):
		index := s.index
		if index < 0 {
			index += e.length(n)
		}
		for c := n + 1; c < end && index >= 0 && e.spend(1); c = e.nodes[c].next {
			if index == 0 {
				return c
			}
			index--
		}
	}
	return -1
}

// follow follows the steps of a definite path. It returns -1 if they lead to no value.
func (e *evaluation) follow(steps []step, n int32) int32 {
	for i := 0; i < len(steps) && n >= 0; i++ {
		n = e.find(&steps[i].selectors[0], n)
	}
	return n
}

func (e *evaluation) length(array int32) int {
	length := 0
	e.children(array, func(int32) bool { length++; return true })
	return length
}

func (e *evaluation) slice(s *selector, n int32, visit func(int32) bool) bool {
	if !e.isArray(n) {
		return true
	}
	from, to := s.bounds(e.length(n))
	i := -1
	return e.children(n, func(c int32) bool {
		i++
		return i < from || i >= to || (i-from)%s.by != 0 || visit(c)
	})
}

// filter visits n if n is an object that meets the condition. If n is an array, it visits
// the elements that meet the condition. In a descent it leaves out elements that are
// objects, because the descent visits them later.
func (e *evaluation) filter(c condition, descend bool, n int32, visit func(int32) bool) bool {
	switch {
	case e.nodes[n].object:
		return !c.holds(e, n) || visit(n)
	case e.isArray(n):
		return e.children(n, func(element int32) bool {
			return descend && e.nodes[element].object || !c.holds(e, element) || visit(element)
		})
	default:
		return true
	}
}

// lookup returns the value of a path in a filter for node n.
func (e *evaluation) lookup(o *operand, n int32) Value {
	switch {
	case o.path == nil:
		return o.literal
	case o.absolute:
		return e.lookupAbsolute(o.path)
	case !o.path.Definite():
		return e.array(o.path.steps, n)
	default:
		if n = e.follow(o.path.steps, n); n < 0 {
			return Value{}
		}
		return e.value(n)
	}
}

// lookupAbsolute looks up a path in the whole document, once.
func (e *evaluation) lookupAbsolute(path *Path) Value {
	for i := range e.absolute {
		if e.absolute[i].path == path {
			return e.absolute[i].value
		}
	}
	value := path.Lookup(e.doc)
	if !path.Definite() && value.Kind == Missing {
		e.visits = -1 // a bound was exceeded
	}
	e.absolute = append(e.absolute, rooted{path, value})
	return value
}
