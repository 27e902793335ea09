package vtl

import (
	"strconv"
	"strings"
	"unicode/utf16"
)

// The functions here read small parts at p.pos. The meaning of a character depends on what
// is being read, so there is no stream of tokens.

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// peek returns the byte that is ahead bytes after the position, or 0.
func (p *parser) peek(ahead int) byte {
	if i := p.pos + ahead; i < len(p.text) {
		return p.text[i]
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.peek(0) != c || p.pos == len(p.text) {
		return false
	}
	p.pos++
	return true
}

// expect reads c or fails.
func (p *parser) expect(c byte, where string) {
	if !p.take(c) {
		p.fail(p.pos, "expected "+strconv.Quote(string(c))+" "+where)
	}
}

// takeText reads the text if it is next.
func (p *parser) takeText(text string) bool {
	if !strings.HasPrefix(p.text[p.pos:], text) {
		return false
	}
	p.pos += len(text)
	return true
}

func (p *parser) space() {
	for isSpace(p.peek(0)) {
		p.pos++
	}
}

// lineEnd reads blanks and the newline after them. If there is no newline, it reads
// nothing.
func (p *parser) lineEnd() {
	i := p.pos
	for i < len(p.text) && isBlank(p.text[i]) {
		i++
	}
	switch rest := p.text[i:]; {
	case strings.HasPrefix(rest, "\r\n"):
		p.pos = i + 2
	case strings.HasPrefix(rest, "\n"), strings.HasPrefix(rest, "\r"):
		p.pos = i + 1
	}
}

// nameAt returns the length of the name of a reference at offset i, or 0.
func (p *parser) nameAt(i int) int {
	start := i
	for ; i < len(p.text); i++ {
		c := p.text[i]
		if !isLetter(c) && c != '_' && (i == start || !isDigit(c) && c != '-') {
			break
		}
	}
	return i - start
}

// wordAt returns the length of the word at offset i, such as a directive's name,
// or 0.
func (p *parser) wordAt(i int) int {
	start := i
	for ; i < len(p.text); i++ {
		c := p.text[i]
		if !isLetter(c) && c != '_' && c != '@' && (i == start || !isDigit(c)) {
			break
		}
	}
	return i - start
}

// name reads the name of a reference, a property or a method.
func (p *parser) name() string {
	n := p.nameAt(p.pos)
	name := p.text[p.pos : p.pos+n]
	if name == "" || name == "true" || name == "false" {
		p.fail(p.pos, "expected a name")
		return ""
	}
	p.pos += n
	return name
}

// number reads an integer or a floating-point number. There must be a digit, or a "-" or
// "." with a digit after it.
func (p *parser) number() literal {
	start := p.pos
	p.take('-')
	p.digits()
	float := false
	if p.peek(0) == '.' && p.peek(1) != '.' {
		float = true
		p.pos++
		p.digits()
	}
	if c := p.peek(0); c == 'e' || c == 'E' {
		sign := 0
		if c := p.peek(1); c == '+' || c == '-' {
			sign = 1
		}
		if isDigit(p.peek(1 + sign)) {
			float = true
			p.pos += 1 + sign
			p.digits()
		}
	}
	text := p.text[start:p.pos]
	if float {
		f, _ := strconv.ParseFloat(text, 64) // out of range is infinite, as in Java
		return literal{constant: f, source: text}
	}
	return literal{constant: integer(text), source: text}
}

// integer returns the value of an integer's text.
func integer(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	return bigNumber(text)
}

func (p *parser) digits() {
	for isDigit(p.peek(0)) {
		p.pos++
	}
}

// atNumber reports whether a number is next.
func (p *parser) atNumber() bool {
	ahead := 0
	if p.peek(0) == '-' {
		ahead = 1
	}
	if p.peek(ahead) == '.' {
		ahead++
	}
	return isDigit(p.peek(ahead))
}

// str reads a string. In double quotes references and directives are evaluated.
func (p *parser) str() expr {
	start := p.pos
	quote := p.text[p.pos]
	double := string([]byte{quote, quote})
	for p.pos++; p.pos < len(p.text); p.pos++ {
		if p.text[p.pos] != quote {
			continue
		}
		if p.peek(1) != quote {
			break
		}
		p.pos++
	}
	if p.pos >= len(p.text) {
		p.fail(start, "the string is not closed")
		return literal{}
	}
	content := p.text[start+1 : p.pos]
	p.pos++
	source := p.text[start:p.pos]
	interpolate := quote == '"' && strings.ContainsAny(content, "$#")
	if quote == '"' {
		content = p.unescape(start, content)
	}
	content = strings.ReplaceAll(content, double, string(quote))
	if !interpolate {
		return literal{constant: content, source: source}
	}
	return p.interpolated(start, content, source)
}

// interpolated parses the content of a string as a template.
func (p *parser) interpolated(start int, content, source string) expr {
	at := p.offset(start)
	inner := &parser{text: content, fixedAt: at, depth: p.depth, symbols: p.symbols}
	if !inner.enter(start) {
		p.adopt(inner)
		return literal{}
	}
	nodes := inner.template()
	p.adopt(inner)
	return &interpolation{nodes: nodes, source: source, at: at}
}

// adopt copies the error of the parser of a string.
func (p *parser) adopt(inner *parser) {
	if inner.err != nil {
		p.fail(p.pos, inner.err.reason)
		p.err.offset = inner.err.offset
	}
}

// unescape resolves \uXXXX, the only escape of a string.
func (p *parser) unescape(at int, s string) string {
	i := strings.Index(s, `\u`)
	if i < 0 {
		return s
	}
	var out strings.Builder
	for ; i >= 0; i = strings.Index(s, `\u`) {
		out.WriteString(s[:i])
		s = s[i:]
		var units []uint16
		for strings.HasPrefix(s, `\u`) {
			unit, err := strconv.ParseUint(s[2:min(6, len(s))], 16, 16)
			if err != nil || len(s) < 6 {
				p.fail(at, `"\u" in a string needs four hexadecimal digits`)
				return ""
			}
			units = append(units, uint16(unit))
			s = s[6:]
		}
		out.WriteString(string(utf16.Decode(units)))
	}
	out.WriteString(s)
	return out.String()
}
