package jsonpath

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a path.
const (
	maxParts  = 256 // steps, selectors and conditions
	maxLevels = 32  // of parentheses and filters
)

// parser turns the text of a path into steps.
type parser struct {
	text   string
	pos    int
	steps  []step
	parts  int
	levels int // open levels at pos; above zero inside a filter
}

func (p *parser) parse() error {
	if p.text == "" {
		return p.errorAt(0, "the path is empty")
	}
	if !utf8.ValidString(p.text) {
		return p.errorAt(invalidUTF8(p.text), "not valid UTF-8")
	}
	if !p.take('$') && p.peek() != '.' && p.peek() != '[' {
		if err := p.name(false); err != nil {
			return err
		}
	}
	for p.pos < len(p.text) {
		if err := p.step(); err != nil {
			return err
		}
	}
	return nil
}

// step parses ".name", ".*", "[...]" or ".[...]". One more dot may stand before it.
func (p *parser) step() error {
	start := p.pos
	dots := 0
	for dots < 2 && p.take('.') {
		dots++
	}
	switch {
	case p.peek() == '[':
		return p.bracket(dots == 2)
	case dots > 0:
		return p.name(dots == 2)
	default:
		return p.errorAt(start, `expected "." or "["`)
	}
}

func (p *parser) addStep(position int, descend bool, selectors ...selector) error {
	p.steps = append(p.steps, step{descend: descend, selectors: selectors})
	return p.countPart(position)
}

func (p *parser) countPart(position int) error {
	p.parts++
	if p.parts > maxParts {
		return p.errorAt(position, "the path has more than "+strconv.Itoa(maxParts)+" parts")
	}
	return nil
}

// name parses a name or a "*" that stands without brackets.
func (p *parser) name(descend bool) error {
	start := p.pos
	if p.take('*') {
		if p.pos < len(p.text) && !p.atNameEnd(rune(p.peek())) {
			return p.errorAt(p.pos, `expected "." or "[" behind a "*"; a name that holds a "*" is written ['name']`)
		}
		return p.addStep(start, descend, selector{kind: selectAll})
	}
	for p.pos < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.pos:])
		if p.atNameEnd(r) {
			break
		}
		if err := p.checkNameRune(r); err != nil {
			return err
		}
		p.pos += size
	}
	if p.pos == start {
		return p.errorAt(start, "expected a name")
	}
	return p.addStep(start, descend, selector{kind: selectMember, name: p.text[start:p.pos]})
}

// atNameEnd reports whether r ends a name. r is 0 at the end of the text.
func (p *parser) atNameEnd(r rune) bool {
	if r == '.' || r == '[' {
		return true
	}
	return p.levels > 0 && strings.ContainsRune(" )=!<>~&|", r)
}

func (p *parser) checkNameRune(r rune) error {
	switch {
	case r == '*':
		return p.errorAt(p.pos, `a wildcard ("*") stands alone; a name that holds a "*" is written ['name']`)
	case r == '(' || r == ')':
		return p.errorAt(p.pos, "functions are not supported, only members, elements, slices, wildcards and filters; "+
			"a name that holds a parenthesis is written ['name']")
	case p.levels > 0 && strings.ContainsRune("+/%", r):
		return p.errorAt(p.pos, "arithmetic is not supported; a name that holds "+strconv.QuoteRune(r)+" is written ['name']")
	case strings.ContainsRune(`?]{}$,'"\`, r) || unicode.IsSpace(r) || unicode.IsControl(r):
		return p.errorAt(p.pos, "a name that holds "+strconv.QuoteRune(r)+" is written ['name']")
	default:
		return nil
	}
}

// bracket parses "[", selectors with commas between them, and "]".
func (p *parser) bracket(descend bool) error {
	start := p.pos
	p.pos++
	var selectors []selector
	for {
		p.blanks()
		s, err := p.selector()
		if err != nil {
			return err
		}
		if err := p.countPart(p.pos); err != nil {
			return err
		}
		selectors = append(selectors, s)
		p.blanks()
		switch {
		case p.take(','):
		case p.take(']'):
			return p.addStep(start, descend, selectors...)
		default:
			return p.errorAt(p.pos, `expected "]" or ","`)
		}
	}
}

func (p *parser) selector() (selector, error) {
	switch c := p.peek(); {
	case c == '\'' || c == '"':
		name, err := p.quoted(c)
		return selector{kind: selectMember, name: name}, err
	case c == '-' || c == ':' || '0' <= c && c <= '9':
		return p.indices()
	case c == '*':
		p.pos++
		return selector{kind: selectAll}, nil
	case c == '?':
		filter, err := p.filter()
		return selector{kind: selectFilter, filter: filter}, err
	case c == '(':
		return selector{}, p.errorAt(p.pos, `scripts ("[(…)]") are not supported; [-1] is the last element`)
	default:
		return selector{}, p.errorAt(p.pos,
			`expected an index, a slice, "*", "?(" or a name in quotes, such as [0], [1:3] or ['name']`)
	}
}

// indices parses an index or a slice.
func (p *parser) indices() (s selector, err error) {
	s = selector{kind: selectElement, to: math.MaxInt, by: 1}
	if p.peek() != ':' {
		if s.index, err = p.integer(); err != nil {
			return s, err
		}
	}
	if !p.colon() {
		return s, nil
	}
	s.kind = selectSlice
	if p.atInteger() {
		if s.to, err = p.integer(); err != nil {
			return s, err
		}
	}
	if !p.colon() || !p.atInteger() {
		return s, nil
	}
	start := p.pos
	if s.by, err = p.integer(); err == nil && s.by < 1 {
		err = p.errorAt(start, "the step of a slice is above zero")
	}
	return s, err
}

// colon reads a colon and the blanks around it.
func (p *parser) colon() bool {
	p.blanks()
	found := p.take(':')
	p.blanks()
	return found
}

func (p *parser) atInteger() bool {
	c := p.peek()
	return c == '-' || '0' <= c && c <= '9'
}

func (p *parser) integer() (int, error) {
	start := p.pos
	p.take('-')
	digits := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	text := p.text[start:p.pos]
	if text == "-" || text == "-0" || p.pos-digits > 1 && p.text[digits] == '0' {
		return 0, p.errorAt(start, "an index is 0, or digits without a leading 0, or such digits after a -")
	}
	index, err := strconv.Atoi(text)
	if err != nil {
		return 0, p.errorAt(start, "the index is too large")
	}
	return index, nil
}

// quoted parses a name, or a string in a filter, in quotes of the given kind.
func (p *parser) quoted(quote byte) (string, error) {
	start := p.pos
	p.pos++
	var name []byte
	for {
		switch c := p.peek(); {
		case p.pos == len(p.text):
			return "", p.errorAt(start, "the quoted name is not closed")
		case c == quote:
			p.pos++
			return string(name), nil
		case c == '\\':
			r, size := p.escape()
			if size == 0 {
				return "", p.errorAt(p.pos, `unknown escape; known are \\ \' \" \/ \b \f \n \r \t \uXXXX`)
			}
			name = utf8.AppendRune(name, r)
			p.pos += size
		case c < ' ':
			return "", p.errorAt(p.pos, "a control character in a quoted name is written as an escape")
		default:
			name = append(name, c)
			p.pos++
		}
	}
}

// escape decodes the escape at p.pos. The size is 0 if there is none.
func (p *parser) escape() (r rune, size int) {
	rest := p.text[p.pos:]
	if strings.HasPrefix(rest, `\'`) {
		return '\'', 2
	}
	return decodeEscape(rest)
}

func (p *parser) blanks() {
	for p.peek() == ' ' {
		p.pos++
	}
}

// peek returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.pos == len(p.text) {
		return 0
	}
	return p.text[p.pos]
}

func (p *parser) take(c byte) bool {
	if p.pos == len(p.text) || p.text[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) errorAt(position int, reason string) error {
	return &SyntaxError{Path: p.text, Position: position, Reason: reason}
}

func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return len(s)
}
