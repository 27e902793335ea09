package vtl

import "math"

// expr is a part of a template that has a value.
type expr interface {
	value(r *run) any
	// truth returns whether the value is true for #if. In Velocity true is the only
	// literal that is true.
	truth(r *run) bool
	// text returns the source.
	text() string
}

// never is the truth of an expression that is always false in Velocity.
type never struct{}

func (never) truth(*run) bool { return false }

// literal is a number, a boolean or a string without references.
type literal struct {
	constant any
	source   string
}

func (n literal) value(*run) any { return n.constant }

func (n literal) truth(*run) bool { return n.constant == true }

func (n literal) text() string { return n.source }

// interpolation is a string with references or directives.
type interpolation struct {
	never
	nodes  []node
	source string
	at     int
}

func (n *interpolation) text() string { return n.source }

func (n *interpolation) value(r *run) any {
	r.step(n.at, 1)
	return r.capture(func() { r.block(n.nodes) })
}

// listLiteral is [a, b].
type listLiteral struct {
	never
	items  []expr
	source string
	at     int
}

func (n *listLiteral) text() string { return n.source }

func (n *listLiteral) value(r *run) any {
	r.step(n.at, 1)
	if !r.grow(itemBytes * (1 + len(n.items))) {
		return nil
	}
	l := &list{items: make([]any, len(n.items))}
	for i, item := range n.items {
		l.items[i] = plain(item.value(r))
	}
	return l
}

// rangeLiteral is [from..to].
type rangeLiteral struct {
	never
	first, last expr
	source      string
	at          int
}

func (n *rangeLiteral) text() string { return n.source }

func (n *rangeLiteral) value(r *run) any {
	r.step(n.at, 1)
	first, ok1 := whole(n.first.value(r))
	last, ok2 := whole(n.last.value(r))
	if !ok1 || !ok2 || r.halted() {
		return nil
	}
	delta, count := int64(1), uint64(last)-uint64(first)
	if first > last {
		delta, count = -1, uint64(first)-uint64(last)
	}
	if count >= maxRangeItems {
		r.fail(n.at, "the range has more than 10000 items")
		return nil
	}
	if !r.grow(itemBytes * int(count+2)) {
		return nil
	}
	l := &list{items: make([]any, count+1)}
	for i := range l.items {
		l.items[i] = first + delta*int64(i)
	}
	return l
}

// mapLiteral is {"key": value}.
type mapLiteral struct {
	never
	keys, values []expr
	source       string
	at           int
}

func (n *mapLiteral) text() string { return n.source }

func (n *mapLiteral) value(r *run) any {
	r.step(n.at, 1)
	o := &object{}
	for i := range n.keys {
		key := r.text(n.keys[i].value(r))
		value := plain(n.values[i].value(r))
		if r.halted() {
			return nil
		}
		r.put(o, key, value)
	}
	return o
}

// negation is !x.
type negation struct {
	operand expr
	source  string
}

func (n *negation) text() string { return n.source }

func (n *negation) truth(r *run) bool { return !n.operand.truth(r) }

func (n *negation) value(r *run) any { return n.truth(r) }

// operator is an operator between two operands.
type operator uint8

const (
	opNone operator = iota
	opOr
	opAnd
	opEqual
	opNotEqual
	opLess
	opGreater
	opLessEqual
	opGreaterEqual
	opAdd
	opSubtract
	opMultiply
	opDivide
	opModulo
)

const operatorLevels = 6

// level returns the precedence of the operator.
func (op operator) level() int {
	switch {
	case op <= opNone:
		return -1
	case op <= opAnd:
		return int(op - opOr)
	case op <= opNotEqual:
		return 2
	case op <= opGreaterEqual:
		return 3
	case op <= opSubtract:
		return 4
	default:
		return 5
	}
}

type operation struct {
	op          operator
	left, right expr
	source      string
	at          int
}

func (n *operation) text() string { return n.source }

func (n *operation) truth(r *run) bool {
	r.step(n.at, 1)
	switch n.op {
	case opOr:
		return n.left.truth(r) || n.right.truth(r)
	case opAnd:
		return n.left.truth(r) && n.right.truth(r)
	case opAdd, opSubtract, opMultiply, opDivide, opModulo:
		return false
	default:
		return n.compare(r)
	}
}

// compare returns the result of == to >=.
func (n *operation) compare(r *run) bool {
	left, right := plain(n.left.value(r)), plain(n.right.value(r))
	if r.halted() {
		return false
	}
	order, ok := compareNumbers(left, right)
	switch n.op {
	case opEqual:
		return r.same(left, right)
	case opNotEqual:
		return !r.same(left, right)
	case opLess:
		return ok && order < 0
	case opGreater:
		return ok && order > 0
	case opLessEqual:
		return ok && order <= 0
	default:
		return ok && order >= 0
	}
}

func (n *operation) value(r *run) any {
	if n.op < opAdd {
		return n.truth(r)
	}
	r.step(n.at, 1)
	left, right := plain(n.left.value(r)), plain(n.right.value(r))
	if r.halted() {
		return nil
	}
	if n.op == opAdd && (isString(left) || isString(right)) {
		return n.concatenate(r, left, right)
	}
	if a, ok := left.(int64); ok {
		if b, ok := right.(int64); ok {
			return integerResult(n.op, a, b)
		}
	}
	a, ok1 := float(left)
	b, ok2 := float(right)
	if !ok1 || !ok2 {
		return nil
	}
	return floatResult(n.op, a, b)
}

// concatenate is + with a string on one side. For null it uses the source of the operand.
func (n *operation) concatenate(r *run, left, right any) any {
	if left == nil {
		left = n.left.text()
	}
	if right == nil {
		right = n.right.text()
	}
	a, b := r.text(left), r.text(right)
	if r.halted() || !r.grow(len(a)+len(b)) {
		return nil
	}
	return a + b
}

// integerResult returns null if the result exceeds 64 bits or b divides by 0.
func integerResult(op operator, a, b int64) any {
	switch op {
	case opAdd:
		if c := a + b; (c > a) == (b > 0) {
			return c
		}
	case opSubtract:
		if c := a - b; (c < a) == (b > 0) {
			return c
		}
	case opMultiply:
		if a == 0 || b == 0 {
			return int64(0)
		}
		if c := a * b; c/b == a && (a != math.MinInt64 || b != -1) && (b != math.MinInt64 || a != -1) {
			return c
		}
	case opDivide:
		if b != 0 && (a != math.MinInt64 || b != -1) {
			return a / b
		}
	default:
		if b != 0 {
			return a % b
		}
	}
	return nil
}

func floatResult(op operator, a, b float64) any {
	switch op {
	case opAdd:
		return a + b
	case opSubtract:
		return a - b
	case opMultiply:
		return a * b
	case opDivide:
		if b != 0 {
			return a / b
		}
	default:
		if b != 0 {
			return math.Mod(a, b)
		}
	}
	return nil
}
