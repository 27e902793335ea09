package jsonpath

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser turns the text of a path into steps.
type parser struct {
	text  string
	pos   int
	steps []step
}

func (p *parser) parse() error {
	if p.text == "" {
		return p.errorAt(0, "the path is empty")
	}
	if !utf8.ValidString(p.text) {
		return p.errorAt(invalidUTF8(p.text), "not valid UTF-8")
	}
	rooted := p.take('$')
	if !rooted && p.peek() != '.' && p.peek() != '[' {
		if err := p.name(); err != nil {
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

// step parses ".name", "[...]" or ".[...]".
func (p *parser) step() error {
	if p.take('.') && p.peek() != '[' {
		return p.name()
	}
	if !p.take('[') {
		return p.errorAt(p.pos, `expected "." or "["`)
	}
	return p.bracket()
}

// name parses a name that stands without brackets.
func (p *parser) name() error {
	start := p.pos
	for p.pos < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.pos:])
		if r == '.' || r == '[' {
			break
		}
		if err := p.checkNameRune(r); err != nil {
			return err
		}
		p.pos += size
	}
	if p.pos == start {
		if p.peek() == '.' {
			return p.errorAt(start, `recursive descent ("..") is not supported`)
		}
		return p.errorAt(start, "expected a name")
	}
	p.steps = append(p.steps, step{kind: stepMember, name: p.text[start:p.pos]})
	return nil
}

func (p *parser) checkNameRune(r rune) error {
	switch {
	case r == '*':
		return p.errorAt(p.pos, `wildcards ("*") are not supported; a name that holds a "*" is written ['name']`)
	case r == '(' || r == ')':
		return p.errorAt(p.pos, "functions are not supported; a name that holds a parenthesis is written ['name']")
	case strings.ContainsRune(`?]{}$,'"\`, r) || unicode.IsSpace(r) || unicode.IsControl(r):
		return p.errorAt(p.pos, "a name that holds "+strconv.QuoteRune(r)+" is written ['name']")
	default:
		return nil
	}
}

// bracket parses what follows a "[" up to and including its "]".
func (p *parser) bracket() error {
	p.blanks()
	var err error
	switch c := p.peek(); {
	case c == '\'' || c == '"':
		err = p.quoted(c)
	case c == '-' || '0' <= c && c <= '9':
		err = p.index()
	default:
		return p.errorAt(p.pos, bracketReason(c))
	}
	if err != nil {
		return err
	}
	p.blanks()
	if !p.take(']') {
		return p.errorAt(p.pos, closingReason(p.peek()))
	}
	return nil
}

// bracketReason says why c, or the end of the text where c is 0, cannot follow
// a "[".
func bracketReason(c byte) string {
	switch c {
	case '*':
		return `wildcards ("[*]") are not supported`
	case '?':
		return `filters ("[?…]") are not supported`
	case '(':
		return `scripts ("[(…)]") are not supported`
	case ':':
		return `slices ("[from:to]") are not supported`
	default:
		return "expected an index or a name in quotes, such as [0] or ['name']"
	}
}

// closingReason says why c, or the end of the text where c is 0, cannot follow
// a quoted name or an index.
func closingReason(c byte) string {
	switch c {
	case ',':
		return `unions ("[a,b]") are not supported`
	case ':':
		return `slices ("[from:to]") are not supported`
	default:
		return `expected "]"`
	}
}

func (p *parser) index() error {
	start := p.pos
	p.take('-')
	digits := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	text := p.text[start:p.pos]
	if text == "-" || text == "-0" || p.pos-digits > 1 && p.text[digits] == '0' {
		return p.errorAt(start, "an index is 0, or digits without a leading 0, or such digits after a -")
	}
	index, err := strconv.Atoi(text)
	if err != nil {
		return p.errorAt(start, "the index is too large")
	}
	p.steps = append(p.steps, step{kind: stepIndex, index: index})
	return nil
}

// quoted parses a name in quotes of the given kind.
func (p *parser) quoted(quote byte) error {
	start := p.pos
	p.pos++
	var name []byte
	for {
		switch c := p.peek(); {
		case p.pos == len(p.text):
			return p.errorAt(start, "the quoted name is not closed")
		case c == quote:
			p.pos++
			p.steps = append(p.steps, step{kind: stepMember, name: string(name)})
			return nil
		case c == '\\':
			r, size := p.escape()
			if size == 0 {
				return p.errorAt(p.pos, `unknown escape; known are \\ \' \" \/ \b \f \n \r \t \uXXXX`)
			}
			name = utf8.AppendRune(name, r)
			p.pos += size
		case c < ' ':
			return p.errorAt(p.pos, "a control character in a quoted name is written as an escape")
		default:
			name = append(name, c)
			p.pos++
		}
	}
}

// escape decodes the escape at p.pos. The size is 0 where there is none.
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
