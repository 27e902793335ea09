package jsonpath

import "regexp"

// condition is the condition of a filter.
type condition interface {
	// holds reports whether node n meets the condition.
	holds(e *evaluation, n int32) bool
}

type (
	// anyOf holds if one of its conditions holds: "||".
	anyOf []condition
	// allOf holds if all its conditions hold: "&&".
	allOf []condition
	// not holds if its condition does not hold.
	not struct{ condition condition }
	// exists holds if its path leads to a value.
	exists struct{ path operand }
	// comparison holds if its operator is true for its operands.
	comparison struct {
		left     operand
		operator string
		right    operand
	}
	// match holds if a whole text matches: "=~".
	match struct {
		left    operand
		pattern *regexp.Regexp
	}
)

// operand is a literal, or a path that begins at the tested value or, if it is
// absolute, at the root of the document.
type operand struct {
	literal  Value
	path     *Path
	absolute bool
}

func (c anyOf) holds(e *evaluation, n int32) bool {
	for _, condition := range c {
		if condition.holds(e, n) {
			return true
		}
	}
	return false
}

func (c allOf) holds(e *evaluation, n int32) bool {
	for _, condition := range c {
		if !condition.holds(e, n) {
			return false
		}
	}
	return true
}

func (c not) holds(e *evaluation, n int32) bool { return !c.condition.holds(e, n) }

func (c exists) holds(e *evaluation, n int32) bool {
	if path := c.path.path; !c.path.absolute && !path.Definite() {
		found := false
		e.walk(path.steps, n, func(int32) bool { found = true; return false })
		return found
	}
	value := e.lookup(&c.path, n)
	if c.path.path.Definite() {
		return value.Kind != Missing
	}
	return string(value.Raw) != "[]"
}

func (c *comparison) holds(e *evaluation, n int32) bool {
	left, right := e.lookup(&c.left, n), e.lookup(&c.right, n)
	switch c.operator {
	case "==":
		return e.equal(left, right)
	case "!=":
		return !e.equal(left, right)
	}
	order, ok := e.compare(left, right)
	switch {
	case !ok:
		return false
	case c.operator == "<":
		return order < 0
	case c.operator == "<=":
		return order <= 0
	case c.operator == ">":
		return order > 0
	default:
		return order >= 0
	}
}

func (c *match) holds(e *evaluation, n int32) bool {
	value := e.lookup(&c.left, n)
	if value.Kind != Array {
		return c.matches(e, value)
	}
	s := scanner{json: value.Raw, pos: 1}
	for s.more() {
		if c.matches(e, valueOf(s.value())) {
			return true
		}
	}
	return false
}

func (c *match) matches(e *evaluation, v Value) bool {
	switch v.Kind {
	case String, Number, Bool:
		return e.spend(1+len(v.Raw)/4) && c.pattern.Match(v.Text(nil))
	case Missing, Null, Array, Object:
		return false
	default:
		return false
	}
}

// equal reports whether two values have the same kind and are equal. A missing value is
// equal to no value.
func (e *evaluation) equal(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Missing:
		return false
	case Null:
		return true
	case Bool:
		return a.Raw[0] == b.Raw[0]
	case Number, String:
		order, ok := e.compare(a, b)
		return ok && order == 0
	case Array, Object:
		return e.equalContainers(a, b)
	default:
		return false
	}
}

// compare orders two numbers or two strings. It returns false for anything else.
func (e *evaluation) compare(a, b Value) (order int, ok bool) {
	switch {
	case a.Kind != b.Kind || !e.spend(1+(len(a.Raw)+len(b.Raw))/32):
		return 0, false
	case a.Kind == Number:
		return compareNumbers(a.Raw, b.Raw), true
	case a.Kind == String:
		return compareStrings(a.Raw, b.Raw), true
	default:
		return 0, false
	}
}

func (e *evaluation) equalContainers(a, b Value) bool {
	if !e.spend(1 + (len(a.Raw)+len(b.Raw))/4) {
		return false
	}
	var left, right tree
	if !left.parse(a.Raw) || !right.parse(b.Raw) {
		e.visits = -1
		return false
	}
	return e.equalNodes(&left, &right, root, root)
}

// equalNodes recurses as deep as the values are nested, which valid JSON bounds.
func (e *evaluation) equalNodes(left, right *tree, m, n int32) bool {
	a, b := left.value(m), right.value(n)
	switch {
	case a.Kind != b.Kind || !e.spend(1):
		return false
	case a.Kind == Array:
		return e.equalArrays(left, right, m, n)
	case a.Kind == Object:
		return left.members(m) == right.members(n) && e.equalMembers(left, right, m, n)
	default:
		return e.equal(a, b)
	}
}

func (e *evaluation) equalArrays(left, right *tree, m, n int32) bool {
	endM, endN := left.nodes[m].next, right.nodes[n].next
	m, n = m+1, n+1
	for m < endM && n < endN {
		if !e.equalNodes(left, right, m, n) {
			return false
		}
		m, n = left.nodes[m].next, right.nodes[n].next
	}
	return m == endM && n == endN
}

// equalMembers reports whether n has all members of m.
func (e *evaluation) equalMembers(left, right *tree, m, n int32) bool {
	for c := m + 1; c < left.nodes[m].next; c = left.nodes[c].next {
		if left.nodes[c].hidden {
			continue
		}
		other := e.namesake(right, n, left.key(c))
		if other < 0 || !e.equalNodes(left, right, c, other) {
			return false
		}
	}
	return true
}

// namesake returns the member of object with the given key, or -1.
func (e *evaluation) namesake(t *tree, object int32, key []byte) int32 {
	for c := object + 1; c < t.nodes[object].next && e.spend(1); c = t.nodes[c].next {
		if !t.nodes[c].hidden && compareStrings(t.key(c), key) == 0 {
			return c
		}
	}
	return -1
}
