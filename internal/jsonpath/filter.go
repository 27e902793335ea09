package jsonpath

import (
	"regexp"
	"strconv"
	"strings"
)

// filter parses "?(", a condition and ")".
func (p *parser) filter() (condition, error) {
	p.pos++
	p.blanks()
	if p.peek() != '(' {
		return nil, p.errorAt(p.pos, `a filter is written [?(…)], with its condition in parentheses`)
	}
	return p.group()
}

// group parses a condition in parentheses.
func (p *parser) group() (condition, error) {
	start := p.pos
	p.pos++
	p.levels++
	if p.levels > maxLevels {
		return nil, p.errorAt(start, "filters and parentheses nest deeper than "+strconv.Itoa(maxLevels)+" levels")
	}
	c, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	p.levels--
	if !p.take(')') {
		return nil, p.errorAt(p.pos, `expected ")" or one of the operators == != < <= > >= =~ && ||`)
	}
	return c, nil
}

// disjunction parses conditions with "||" between them, and the blanks around them.
func (p *parser) disjunction() (condition, error) {
	var conditions anyOf
	for {
		c, err := p.conjunction()
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
		if !p.takeAll("||") {
			break
		}
	}
	if len(conditions) == 1 {
		return conditions[0], nil
	}
	return conditions, nil
}

func (p *parser) conjunction() (condition, error) {
	var conditions allOf
	for {
		c, err := p.negation()
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, c)
		p.blanks()
		if !p.takeAll("&&") {
			break
		}
	}
	if len(conditions) == 1 {
		return conditions[0], nil
	}
	return conditions, nil
}

// negation parses a condition that may have any number of "!" before it.
func (p *parser) negation() (condition, error) {
	negative := false
	p.blanks()
	start := p.pos
	for p.take('!') {
		negative = !negative
		p.blanks()
	}
	marked := p.pos > start
	if err := p.countPart(start); err != nil {
		return nil, err
	}
	var c condition
	var err error
	if p.peek() == '(' {
		c, err = p.group()
	} else {
		c, err = p.relation(marked)
	}
	if err != nil {
		return nil, err
	}
	if negative {
		c = not{c}
	}
	return c, nil
}

// relation parses a path, or two operands with an operator between them. It refuses two
// operands after a "!", because that looks as if it applied to the first operand alone.
func (p *parser) relation(negated bool) (condition, error) {
	start := p.pos
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	p.blanks()
	position := p.pos
	operator := p.operator()
	switch {
	case operator == "" && left.path == nil:
		return nil, p.errorAt(start, "a literal alone is no condition; compare it by one of == != < <= > >=")
	case operator == "":
		return exists{left}, nil
	case negated:
		return nil, p.errorAt(position, `a "!" before a comparison needs parentheses: !(…)`)
	}
	p.blanks()
	if operator == "=~" {
		pattern, err := p.pattern()
		return &match{left, pattern}, err
	}
	right, err := p.operand()
	return &comparison{left, operator, right}, err
}

// operator reads an operator. If there is none that is supported, it reads nothing.
func (p *parser) operator() string {
	for _, operator := range []string{"==", "!=", "<=", ">=", "=~", "<", ">"} {
		if p.takeAll(operator) {
			return operator
		}
	}
	return ""
}

func (p *parser) operand() (operand, error) {
	start := p.pos
	switch c := p.peek(); c {
	case '@', '$':
		return p.operandPath()
	case '\'', '"':
		text, err := p.quoted(c)
		return operand{literal: valueOf(quote(text))}, err
	case '/':
		return operand{}, p.errorAt(start, "a regular expression stands behind =~")
	}
	for p.pos < len(p.text) && !strings.ContainsRune(" )]=!<>~&|,", rune(p.peek())) {
		p.pos++
	}
	literal := p.text[start:p.pos]
	value := valueOf([]byte(literal))
	if value.Kind == Missing || value.Kind == Array || value.Kind == Object || !Valid(value.Raw) {
		return operand{}, p.errorAt(start,
			`expected a path that begins with "@" or "$", a string in quotes, a number, true, false or null`)
	}
	return operand{literal: value}, nil
}

// operandPath parses a path that begins with "@" or "$".
func (p *parser) operandPath() (operand, error) {
	start := p.pos
	outer := p.steps
	p.steps = nil
	p.pos++
	for p.peek() == '.' || p.peek() == '[' {
		if err := p.step(); err != nil {
			return operand{}, err
		}
	}
	path := newPath(p.text[start:p.pos], p.steps)
	p.steps = outer
	return operand{path: path, absolute: p.text[start] == '$'}, nil
}

// pattern parses a regular expression between slashes and its flags.
func (p *parser) pattern() (*regexp.Regexp, error) {
	start := p.pos
	if p.peek() != '/' {
		return nil, p.errorAt(start, "expected a regular expression between slashes: =~ /…/")
	}
	end := regexpEnd(p.text, start)
	if end < 0 {
		return nil, p.errorAt(start, `the regular expression is not closed by "/"`)
	}
	p.pos = end
	for p.pos < len(p.text) && !strings.ContainsRune(" )&|]", rune(p.peek())) {
		if !strings.ContainsRune("ims", rune(p.peek())) {
			return nil, p.errorAt(p.pos, "the flags of a regular expression are i, m and s")
		}
		p.pos++
	}
	group := "(?" + p.text[end:p.pos] + ":"
	// First compile it alone, so that a wrong parenthesis cannot close the group.
	if _, err := regexp.Compile(p.text[start+1 : end-1]); err != nil {
		return nil, p.errorAt(start, err.Error())
	}
	pattern, err := regexp.Compile(`\A` + group + p.text[start+1:end-1] + `)\z`)
	if err != nil {
		return nil, p.errorAt(start, err.Error())
	}
	return pattern, nil
}

// regexpEnd returns the offset after the slash that closes the regular expression whose
// opening slash is at start, or -1.
func regexpEnd(text string, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '/':
			return i + 1
		}
	}
	return -1
}

// takeAll reads all of token or nothing.
func (p *parser) takeAll(token string) bool {
	if !strings.HasPrefix(p.text[p.pos:], token) {
		return false
	}
	p.pos += len(token)
	return true
}

// quote writes text as a JSON string.
func quote(text string) []byte {
	const hex = "0123456789abcdef"
	json := []byte{'"'}
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			json = append(json, '\\', c)
		case c < ' ':
			json = append(json, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			json = append(json, c)
		}
	}
	return append(json, '"')
}
