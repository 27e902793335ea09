package vtl

import (
	"strings"
)

// parser makes nodes from the text of a template.
//
// After a failure err is set, and the position is the end of the text, so that every loop
// ends.
type parser struct {
	text    string
	pos     int
	fixedAt int // if text is inside a string, the offset of the string's quote; otherwise -1
	depth   int
	err     *parseError
	*symbols
}

// symbols has the names that a template shares with the strings in it.
type symbols struct {
	slots  map[string]int // a place for each variable
	macros map[string]*macro

	// For Doubts.
	refs     []*reference
	calls    []*macroCall
	assigned map[int]bool // the slots that the template gives a value
}

type parseError struct {
	offset int
	reason string
}

func (e *parseError) at(text string) *SyntaxError {
	line, column := position(text, e.offset)
	return &SyntaxError{Line: line, Column: column, Reason: e.reason}
}

func (s *symbols) slot(name string) int {
	slot, ok := s.slots[name]
	if !ok {
		slot = len(s.slots)
		s.slots[name] = slot
	}
	return slot
}

// fail records the first error.
func (p *parser) fail(at int, reason string) {
	if p.err == nil {
		p.err = &parseError{offset: p.offset(at), reason: reason}
	}
	p.pos = len(p.text)
}

// offset returns the offset of at in the template.
func (p *parser) offset(at int) int {
	if p.fixedAt >= 0 {
		return p.fixedAt
	}
	return at
}

// enter counts a level of nesting. The caller ends it with p.depth--.
func (p *parser) enter(at int) bool {
	p.depth++
	if p.depth > maxNesting {
		p.fail(at, "nested too deeply")
		return false
	}
	return true
}

// ending says what ended a block.
type ending uint8

const (
	endOfText ending = iota
	endEnd
	endElse
	endElseif
)

// template parses the whole text.
func (p *parser) template() []node {
	nodes, _, end := p.block()
	if end != endOfText {
		p.fail(p.pos, "#end, #else or #elseif without an #if or #foreach before it")
	}
	return nodes
}

// block parses up to and including the word that ends a block. stop is the offset of that
// word.
func (p *parser) block() (nodes []node, stop int, end ending) {
	b := builder{p: p, chain: -1}
	for p.pos < len(p.text) && end == endOfText {
		stop = p.pos
		switch n := p.slashes(); {
		case p.setAhead():
			b.add(p.set())
		case p.text[p.pos] == '\\' && p.peek(n) == '#':
			b.escapedHash(n)
		case p.text[p.pos] == '$' || p.text[p.pos] == '\\' && p.peek(n) == '$':
			b.dollar(n)
		case p.text[p.pos] == '#':
			end = b.hash()
		default:
			b.plain(n)
		}
	}
	if end == endOfText {
		stop = p.pos
	}
	return b.done(), stop, end
}

// endBlock parses a block that only #end may end.
func (p *parser) endBlock(at int, name string) []node {
	if !p.enter(at) {
		return nil
	}
	defer func() { p.depth-- }()
	nodes, stop, end := p.block()
	switch {
	case end == endOfText:
		p.fail(at, "#"+name+" has no #end")
	case end != endEnd:
		p.fail(stop, "#else or #elseif in a #"+name)
	}
	return nodes
}

// slashes returns the number of backslashes at the position.
func (p *parser) slashes() int {
	n := 0
	for p.peek(n) == '\\' {
		n++
	}
	return n
}

// builder collects the nodes of a block. Text that is contiguous in the source becomes one
// node.
type builder struct {
	p        *parser
	nodes    []node
	from, to int // text that is not in nodes yet

	// The end and the beginning of a lone "$" or "#", or of several in a row. Backslashes
	// after them are plain text.
	chain, chainFrom int
}

func (b *builder) text(from, to int) {
	if from == to {
		return
	}
	if from != b.to {
		b.flush()
		b.from = from
	}
	b.to = to
}

func (b *builder) flush() {
	if b.from < b.to {
		b.nodes = append(b.nodes, text(b.p.text[b.from:b.to]))
	}
	b.from, b.to = 0, 0
}

func (b *builder) add(n node) {
	if n != nil {
		b.flush()
		b.nodes = append(b.nodes, n)
	}
}

func (b *builder) done() []node {
	b.flush()
	return b.nodes
}

// plain reads n backslashes, or the text up to the next special character.
func (b *builder) plain(n int) {
	p := b.p
	start := p.pos
	if n == 0 {
		n = strings.IndexAny(p.text[p.pos:], `$#\`)
		if n < 0 {
			n = len(p.text) - p.pos
		}
	}
	p.pos += n
	b.text(start, p.pos)
}

// escapedHash reads n backslashes with a "#" after them and, if they escape a word, that
// word too.
func (b *builder) escapedHash(n int) {
	p := b.p
	start := p.pos
	p.pos += n
	word, size, bracketed := p.directiveWord()
	switch {
	case n%2 == 0:
		if isControl(word) || !bracketed && p.isDirective(word) {
			n /= 2
		}
		b.text(p.pos-n, p.pos)
	case word != "" && (word == "set" || isControl(word) || p.isDirective(word)):
		b.text(p.pos-(n-1)/2, p.pos+size)
		p.pos += size
	default:
		b.text(start, p.pos+size)
		p.pos += size
	}
}

// directiveWord returns the word after the "#" at the position, and the size of the whole
// with "#" and braces. Without a word it returns "" and 0.
func (p *parser) directiveWord() (word string, size int, bracketed bool) {
	if n := p.wordAt(p.pos + 1); n > 0 {
		return p.text[p.pos+1 : p.pos+1+n], 1 + n, false
	}
	if p.peek(1) == '{' && p.peek(2) != '@' {
		if n := p.wordAt(p.pos + 2); n > 0 && p.peek(2+n) == '}' {
			return p.text[p.pos+2 : p.pos+2+n], n + 3, true
		}
	}
	return "", 0, false
}

func isControl(word string) bool {
	return word == "if" || word == "else" || word == "elseif" || word == "end"
}

// isDirective reports whether word is a directive or a macro that is already defined.
func (p *parser) isDirective(word string) bool {
	switch word {
	case "foreach", "macro", "break", "stop", "literal", "include", "parse", "evaluate", "define":
		return true
	default:
		return p.macros[word] != nil
	}
}

// dollar reads n backslashes, and the "$" after them with its reference.
func (b *builder) dollar(n int) {
	p := b.p
	start := p.pos
	if b.chain == start {
		b.text(start, start+n)
		start, n = start+n, 0
	}
	p.pos = start + n
	i := p.pos + 1
	bang := 0
	for i+bang < len(p.text) && p.text[i+bang] == '\\' {
		bang++
	}
	switch {
	case i+bang >= len(p.text) || p.text[i+bang] != '!':
		bang = 0
	case bang > 0 && p.nameAt(i+bang+1) > 0: // $\!name is text, with one backslash less
		b.text(start, i)
		b.text(i+1, i+bang+1)
		p.pos = i + bang + 1
		return
	default:
		bang++
	}
	i += bang
	if p.nameAt(i) > 0 || i < len(p.text) && p.text[i] == '{' && p.nameAt(i+1) > 0 {
		b.add(p.reference(n))
		if i < len(p.text) && p.text[i] != '{' {
			b.afterBare()
		}
		return
	}
	b.loneDollar(start, i, bang)
}

// loneDollar reads the text from start to i, which is a "$" with or without a "!" and
// without a name. Velocity's lexer loses the "!" before most text, and both before a
// comment and before directives that print nothing themselves.
func (b *builder) loneDollar(start, i, bang int) {
	p := b.p
	p.pos = i
	next := p.peek(0)
	word := ""
	if next == '#' {
		word, _, _ = p.directiveWord()
	}
	switch {
	case next == '{' || next == '}' || next == '[' || next == '.' && bang == 0:
		p.pos++
		b.text(start, p.pos)
	case next == '$' || next == '\\' && p.peek(p.slashes()) == '$':
		b.text(start, i)
		b.link(start, i)
	case p.setAhead() || next == '.' && isLetter(p.peek(1)) || p.losesText(word):
		b.drop(start)
	case next == '#' && (p.peek(1) == '#' || word != ""):
		b.text(start, i)
	default:
		b.text(start, i-bang)
	}
}

// losesText reports whether a comment, an #if or one of its parts, or an escape is next.
// word is the word of the directive.
func (p *parser) losesText(word string) bool {
	switch p.peek(0) {
	case '#':
		return p.peek(1) == '*' || isControl(word)
	case '\\':
		return p.slashes() > 1 || p.peek(1) == '#' && (p.wordAt(p.pos+2) > 0 || p.peek(2) == '{')
	default:
		return false
	}
}

// link records that the text from start to end, a lone "$" or "#", belongs to the text
// after it.
func (b *builder) link(start, end int) {
	if b.chain != start {
		b.chainFrom = start
	}
	b.chain = end
}

// drop removes the chain that ends at start.
func (b *builder) drop(start int) {
	if b.chain == start && b.from <= b.chainFrom {
		b.to = b.chainFrom
	}
}

// afterBare reads the braces after a reference that has none itself. They are text, but
// blanks after them may belong to a #set.
func (b *builder) afterBare() {
	p := b.p
	start := p.pos
	for p.take('{') {
	}
	p.take('}')
	b.text(start, p.pos)
}
