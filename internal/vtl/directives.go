package vtl

import (
	"strings"
)

// hash reads the "#" at the position and the text that belongs to it.
func (b *builder) hash() ending {
	p := b.p
	start := p.pos
	switch c := p.peek(1); {
	case c == '#':
		p.lineComment()
		return endOfText
	case c == '*':
		p.pos = past(p.text, p.pos+2, "*#")
		return endOfText
	case c == '[' && p.peek(2) == '[':
		b.unparsed()
		return endOfText
	}
	word, size, _ := p.directiveWord()
	p.pos += max(size, 1)
	switch word {
	case "":
		b.loneHash(start)
	case "end":
		p.lineEnd()
		return endEnd
	case "else":
		p.lineEnd()
		return endElse
	case "elseif":
		return endElseif
	case "if":
		b.add(p.ifDirective(start))
	default:
		b.add(p.directive(start, word))
	}
	return endOfText
}

// loneHash reads a "#" that does not begin a directive. A number after it is separate text.
// Before a #set the "#" is lost.
func (b *builder) loneHash(start int) {
	p := b.p
	switch {
	case p.setAhead():
		b.drop(start)
		return
	case p.atNumber():
		p.number()
	default:
		b.link(start, p.pos)
	}
	b.text(start, p.pos)
}

// past returns the offset after the next end at or after from, or the length of the text.
func past(text string, from int, end string) int {
	if from > len(text) {
		return len(text)
	}
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}

// lineComment reads a comment and the newline that ends it.
func (p *parser) lineComment() {
	for p.pos < len(p.text) {
		p.pos++
		if c := p.text[p.pos-1]; c == '\n' || c == '\r' {
			if c == '\r' {
				p.take('\n')
			}
			return
		}
	}
}

// unparsed reads #[[ … ]]#.
func (b *builder) unparsed() {
	p := b.p
	start := p.pos
	end := strings.Index(p.text[start+3:], "]]#")
	if end < 0 {
		p.fail(start, `"#[[" has no "]]#"`)
		return
	}
	b.text(start+3, start+3+end)
	p.pos = start + 3 + end + 3
}

// setAhead reports whether blanks, #set and a "(" are next.
func (p *parser) setAhead() bool {
	i := p.pos
	for i < len(p.text) && isBlank(p.text[i]) {
		i++
	}
	rest, ok := strings.CutPrefix(p.text[i:], "#set")
	if !ok {
		rest, ok = strings.CutPrefix(p.text[i:], "#{set}")
	}
	if !ok {
		return false
	}
	return strings.HasPrefix(strings.TrimLeft(rest, " "), "(")
}

// set parses #set with the blanks before it.
func (p *parser) set() node {
	start := p.pos
	p.pos = strings.IndexByte(p.text[start:], '(') + start + 1
	p.space()
	n := &setDirective{at: p.offset(start)}
	if n.target = p.plainReference(); n.target == nil {
		return nil
	}
	n.target.target = true
	if len(n.target.steps) == 0 {
		p.assigned[n.target.slot] = true
	}
	p.space()
	if p.peek(1) == '=' {
		p.fail(p.pos, `expected "=" in #set`)
	}
	p.expect('=', "in #set")
	n.value = p.expression()
	p.closeDirective("#set")
	return n
}

// closeDirective reads the ")" of a directive and the rest of the line if that is blank.
func (p *parser) closeDirective(name string) {
	p.space()
	p.expect(')', "at the end of "+name)
	p.lineEnd()
}

// openDirective reads the "(" of a directive. White space may precede it.
func (p *parser) openDirective() bool {
	i := p.pos
	for i < len(p.text) && isSpace(p.text[i]) {
		i++
	}
	if i == len(p.text) || p.text[i] != '(' {
		return false
	}
	p.pos = i + 1
	return true
}

// ifDirective parses the text after "#if".
func (p *parser) ifDirective(start int) node {
	if !p.enter(start) {
		return nil
	}
	defer func() { p.depth-- }()
	n := &ifDirective{}
	for end := endElseif; end != endEnd; {
		var condition expr
		if end == endElseif {
			condition = p.condition()
		}
		nodes, stop, next := p.block()
		n.branches = append(n.branches, branch{condition: condition, nodes: nodes})
		switch {
		case next == endOfText:
			p.fail(start, "#if has no #end")
			return nil
		case end == endElse && next != endEnd:
			p.fail(stop, "#else or #elseif after an #else")
			return nil
		}
		end = next
	}
	return n
}

func (p *parser) condition() expr {
	if !p.openDirective() {
		p.fail(p.pos, `expected "(" after #if or #elseif`)
		return nil
	}
	e := p.expression()
	p.closeDirective("#if")
	return e
}

// directive parses the text after a word that is neither #if nor one of its parts.
func (p *parser) directive(start int, word string) node {
	switch word {
	case "include", "parse", "evaluate", "define":
		p.fail(start, "#"+word+" is not available in mapping templates")
		return nil
	case "foreach":
		return p.foreach(start)
	case "macro":
		p.macroDefinition(start)
		return nil
	case "literal":
		return p.literalBlock(start)
	case "break":
		return p.breakDirective(start)
	case "stop":
		p.arguments()
		return stopDirective{}
	default:
		return p.macroCall(start, word)
	}
}

// argument is an argument of a directive: a word or a value.
type argument struct {
	word  string
	value expr
	at    int
}

// arguments parses the arguments of a directive, if it has any. They are separated by
// white space, a comma or nothing.
func (p *parser) arguments() (list []argument, found bool) {
	if !p.openDirective() {
		return nil, false
	}
	for {
		p.space()
		if len(list) > 0 || p.peek(0) == ',' {
			p.take(',')
			p.space()
		}
		if p.pos == len(p.text) || p.peek(0) == ')' {
			p.closeDirective("the arguments")
			return list, true
		}
		arg := argument{at: p.pos}
		if n := p.wordAt(p.pos); n > 0 {
			arg.word = p.text[p.pos : p.pos+n]
			p.pos += n
		}
		switch arg.word {
		case "":
			arg.value = p.parameter()
		case "true", "false":
			arg.value, arg.word = literal{constant: arg.word == "true", source: arg.word}, ""
		}
		list = append(list, arg)
	}
}

func (p *parser) foreach(start int) node {
	args, _ := p.arguments()
	n := &foreachDirective{
		at: p.offset(start), counter: p.slot("velocityCount"), hasNext: p.slot("velocityHasNext"),
		status: p.slot("foreach"),
	}
	if len(args) < 3 || args[1].word == "" || args[2].value == nil {
		p.fail(start, "#foreach has the form #foreach($item in $list)")
		return nil
	}
	item, ok := args[0].value.(*reference)
	if !ok {
		p.fail(args[0].at, "the first argument of #foreach is a reference")
		return nil
	}
	n.item, n.list = item.slot, args[2].value
	for _, slot := range [...]int{n.item, n.counter, n.hasNext, n.status} {
		p.assigned[slot] = true
	}
	n.nodes = p.endBlock(start, "foreach")
	return n
}

// macroDefinition parses a macro and adds it to the symbols. If several macros have the
// same name, the first one counts.
func (p *parser) macroDefinition(start int) {
	args, _ := p.arguments()
	if len(args) == 0 || args[0].word == "" {
		p.fail(start, "#macro has the form #macro(name $argument …)")
		return
	}
	m := &macro{}
	for _, arg := range args[1:] {
		ref, ok := arg.value.(*reference)
		if !ok || ref.formal || ref.quiet || len(ref.steps) > 0 {
			p.fail(arg.at, "a macro's arguments are named as $name")
			return
		}
		m.args = append(m.args, ref.slot)
		p.assigned[ref.slot] = true
	}
	m.nodes = p.endBlock(start, "macro")
	if name := args[0].word; p.macros[name] == nil {
		p.macros[name] = m
	}
}

func (p *parser) literalBlock(start int) node {
	if _, ok := p.arguments(); !ok {
		p.fail(start, `expected "(" after #literal`)
		return nil
	}
	if !p.enter(start) {
		return nil
	}
	defer func() { p.depth-- }()
	from, refs, calls := p.pos, len(p.refs), len(p.calls)
	_, stop, end := p.block()
	p.refs, p.calls = p.refs[:refs], p.calls[:calls] // the block is text
	if end != endEnd {
		p.fail(start, "#literal has no #end")
		return nil
	}
	return text(p.text[from:stop])
}

func (p *parser) breakDirective(start int) node {
	args, _ := p.arguments()
	n := &breakDirective{at: p.offset(start)}
	switch {
	case len(args) > 1 || len(args) == 1 && args[0].value == nil:
		p.fail(start, "#break has at most one argument, such as $foreach.parent")
	case len(args) == 1:
		n.loop = args[0].value
	}
	return n
}

// macroCall parses the call of a macro, which may be defined later in the template, or text
// that looks like a call.
func (p *parser) macroCall(start int, word string) node {
	n := &macroCall{name: word, at: p.offset(start), body: p.slot("bodyContent")}
	args, called := p.arguments()
	for _, arg := range args {
		if arg.word != "" {
			n.badArgument = arg.word
			continue
		}
		n.args = append(n.args, arg.value)
	}
	n.source = p.text[start:p.pos]
	if name, ok := strings.CutPrefix(word, "@"); ok && called {
		n.name = name
		n.nodes = &body{nodes: p.endBlock(start, word)}
		n.source = p.text[start:p.pos]
		p.assigned[n.body] = true
	}
	if called {
		p.calls = append(p.calls, n)
	}
	return n
}
