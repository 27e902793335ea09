package vtl

import "strings"

// reference parses a reference in the text of a template. slashes is the number of
// backslashes before the "$" at the position.
func (p *parser) reference(slashes int) node {
	ref := p.plainReference()
	if ref == nil {
		return nil
	}
	ref.slashes, ref.escaped, ref.printed = slashes/2, slashes%2 != 0, true
	return ref
}

// plainReference parses a reference. On failure it returns nil.
func (p *parser) plainReference() *reference {
	start := p.pos
	if !p.enter(start) {
		return nil
	}
	defer func() { p.depth-- }()
	p.expect('$', "before a name")
	ref := &reference{at: p.offset(start)}
	ref.quiet = p.take('!')
	ref.formal = p.take('{')
	ref.name = p.name()
	ref.slot = p.slot(ref.name)
	p.indexes(ref)
	for p.peek(0) == '.' && isLetter(p.peek(1)) {
		p.pos++
		at := p.pos
		s := step{kind: stepProperty, name: p.name(), at: p.offset(at)}
		if p.methodAhead() {
			p.pos++
			s.kind = stepMethod
			s.args = p.list(')')
			s.compile()
		}
		ref.steps = append(ref.steps, s)
		p.indexes(ref)
	}
	if ref.formal {
		p.expect('}', `at the end of "${"`)
	}
	if p.err != nil {
		return nil
	}
	ref.source = p.text[start:p.pos]
	p.refs = append(p.refs, ref)
	return ref
}

// methodAhead reports whether the next character is a "(" that is followed by an argument
// or by a ")". If anything else follows, the "(" is text.
func (p *parser) methodAhead() bool {
	if p.peek(0) != '(' {
		return false
	}
	c := p.peek(1)
	word := p.text[p.pos+1 : p.pos+1+p.nameAt(p.pos+1)]
	at := parser{text: p.text, pos: p.pos + 1}
	return c == 0 || c == ')' || isSpace(c) || strings.IndexByte("$'\"[{", c) >= 0 || at.atNumber() ||
		word == "true" || word == "false"
}

// indexes parses any number of [index].
func (p *parser) indexes(ref *reference) {
	for p.peek(0) == '[' {
		s := step{kind: stepIndex, at: p.offset(p.pos)}
		p.pos++
		p.space()
		switch c := p.peek(0); {
		case c == '$' || c == '\'' || c == '"' || c == 't' || c == 'f' || p.atNumber():
			s.args = []expr{p.parameter()}
		default:
			p.fail(p.pos, "an index is an integer, a string, a boolean or a reference")
		}
		p.space()
		p.expect(']', "behind the index")
		ref.steps = append(ref.steps, s)
	}
}

// list parses values with commas between them up to the closing bracket.
func (p *parser) list(closing byte) []expr {
	var list []expr
	if p.take(closing) {
		return nil
	}
	for p.err == nil {
		p.space()
		list = append(list, p.parameter())
		p.space()
		if !p.take(',') {
			break
		}
	}
	p.expect(closing, `or ","`)
	return list
}

// parameter parses a value that is not an expression with operators.
func (p *parser) parameter() expr {
	start := p.pos
	if !p.enter(start) {
		return literal{}
	}
	defer func() { p.depth-- }()
	switch c := p.peek(0); {
	case c == '$':
		if ref := p.plainReference(); ref != nil {
			return ref
		}
		return literal{}
	case c == '\'' || c == '"':
		return p.str()
	case c == '[':
		return p.listOrRange()
	case c == '{':
		return p.mapLiteral()
	case p.atNumber():
		return p.number()
	}
	switch word := p.text[p.pos : p.pos+p.wordAt(p.pos)]; word {
	case "true", "false":
		p.pos += len(word)
		return literal{constant: word == "true", source: word}
	default:
		p.fail(start, "expected a value")
		return literal{}
	}
}

func (p *parser) listOrRange() expr {
	start := p.pos
	p.pos++
	if p.take(']') {
		return &listLiteral{at: p.offset(start), source: "[]"}
	}
	p.space()
	first := p.parameter()
	p.space()
	if p.takeText("..") {
		p.space()
		last := p.parameter()
		p.space()
		p.expect(']', "at the end of the range")
		if !isBound(first) || !isBound(last) {
			p.fail(start, "a range goes from an integer or reference to another")
		}
		return &rangeLiteral{first: first, last: last, at: p.offset(start), source: p.text[start:p.pos]}
	}
	items := []expr{first}
	if p.take(',') {
		items = append(items, p.list(']')...)
		if len(items) == 1 {
			p.fail(p.pos, "expected a value")
		}
	} else {
		p.expect(']', "at the end of the list")
	}
	return &listLiteral{items: items, at: p.offset(start), source: p.text[start:p.pos]}
}

// isBound reports whether e may be a bound of a range.
func isBound(e expr) bool {
	switch e := e.(type) {
	case *reference:
		return true
	case literal:
		_, ok := e.constant.(int64)
		return ok
	default:
		return false
	}
}

func (p *parser) mapLiteral() expr {
	start := p.pos
	n := &mapLiteral{at: p.offset(start)}
	p.pos++
	p.space()
	for p.err == nil && p.peek(0) != '}' || len(n.keys) > 0 {
		p.space()
		n.keys = append(n.keys, p.parameter())
		p.space()
		p.expect(':', "behind the key")
		p.space()
		n.values = append(n.values, p.parameter())
		p.space()
		if !p.take(',') {
			break
		}
	}
	p.expect('}', "at the end of the map")
	n.source = p.text[start:p.pos]
	return n
}

// expression parses an expression with operators.
func (p *parser) expression() expr {
	if !p.enter(p.pos) {
		return literal{}
	}
	defer func() { p.depth-- }()
	return p.binary(0)
}

// binary parses operands with operators of at least the given level between them. The
// operators associate to the left.
func (p *parser) binary(level int) expr {
	if level == operatorLevels {
		return p.unary()
	}
	p.space()
	start := p.pos
	left := p.binary(level + 1)
	for p.err == nil {
		end := p.pos
		p.space()
		op, size := p.operator()
		if size == 0 || op.level() != level {
			p.pos = end
			return left
		}
		at := p.pos
		p.pos += size
		right := p.binary(level + 1)
		left = &operation{op: op, left: left, right: right, at: p.offset(at), source: p.text[start:p.pos]}
	}
	return left
}

func (p *parser) unary() expr {
	if !p.enter(p.pos) {
		return literal{}
	}
	defer func() { p.depth-- }()
	p.space()
	start := p.pos
	switch {
	case p.peek(0) == '!' && p.peek(1) != '=':
		p.pos++
		return &negation{operand: p.unary(), source: p.text[start:p.pos]}
	case p.wordAt(p.pos) == 3 && p.takeText("not"):
		return &negation{operand: p.unary(), source: p.text[start:p.pos]}
	case p.take('('):
		e := p.expression()
		p.space()
		p.expect(')', "at the end of the expression")
		return e
	default:
		return p.parameter()
	}
}

// operator returns the operator at the position, and its size or 0. A "-" before
// a digit belongs to the number.
func (p *parser) operator() (operator, int) {
	if p.peek(0) == '-' && p.atNumber() {
		return opNone, 0
	}
	if n := p.wordAt(p.pos); n > 0 {
		return operatorOf(p.text[p.pos : p.pos+n]), n
	}
	for size := min(2, len(p.text)-p.pos); size > 0; size-- {
		if op := operatorOf(p.text[p.pos : p.pos+size]); op != opNone {
			return op, size
		}
	}
	return opNone, 0
}

func operatorOf(text string) operator {
	switch text {
	case "||", "or":
		return opOr
	case "&&", "and":
		return opAnd
	case "==", "eq":
		return opEqual
	case "!=", "ne":
		return opNotEqual
	case "<", "lt":
		return opLess
	case ">", "gt":
		return opGreater
	case "<=", "le":
		return opLessEqual
	case ">=", "ge":
		return opGreaterEqual
	case "+":
		return opAdd
	case "-":
		return opSubtract
	case "*":
		return opMultiply
	case "/":
		return opDivide
	case "%":
		return opModulo
	default:
		return opNone
	}
}
