package jsonpathtest

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type (
	// operand returns a value, or nil, for the tested one and the root.
	operand func(n, root *node) *node
	// condition tests a value.
	condition func(n, root *node) bool
	// selector returns what a selector selects in n.
	selector func(n, root *node, descend bool) []*node
)

// The tokens of the grammar.
var (
	blanksToken       = regexp.MustCompile(`(?s)^ *`)
	sliceToken        = regexp.MustCompile(`(?s)^(-?\d+)? *: *(-?\d+)?(?: *: *(-?\d+)?)?`)
	indexToken        = regexp.MustCompile(`(?s)^-?\d+`)
	starToken         = regexp.MustCompile(`(?s)^\*`)
	filterOpenToken   = regexp.MustCompile(`(?s)^\? *\(`)
	groupCloseToken   = regexp.MustCompile(`(?s)^\)`)
	commaToken        = regexp.MustCompile(`(?s)^,`)
	bracketCloseToken = regexp.MustCompile(`(?s)^\]`)
	quotedToken       = regexp.MustCompile(`(?s)^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")`)
	orToken           = regexp.MustCompile(`(?s)^ *\|\|`)
	andToken          = regexp.MustCompile(`(?s)^ *&&`)
	bangToken         = regexp.MustCompile(`(?s)^ *!`)
	groupOpenToken    = regexp.MustCompile(`(?s)^ *\(`)
	operatorToken     = regexp.MustCompile(`(?s)^ *(==|!=|<=|>=|=~|<|>) *`)
	regexToken        = regexp.MustCompile(`(?s)^/((?:[^/\\]|\\.)*)/([ims]*)`)
	startToken        = regexp.MustCompile(`(?s)^[@$]`)
	literalToken      = regexp.MustCompile(`(?s)^[^ )=!<>~&|]+`)
	stepToken         = regexp.MustCompile(`(?s)^(\.?\.?)(?:(\[)|(\*)|([^.\[]+))`)
	filterStepToken   = regexp.MustCompile(`(?s)^(\.?\.?)(?:(\[)|(\*)|([^.\[ )=!<>~&|]+))`)
	escape            = regexp.MustCompile(`(?s)\\.|"`)
)

// parser reads a path that jsonpath.Compile accepted.
type parser struct {
	text   string
	filter int // the number of filters around the position
}

// cut removes the match of token from the start of the text. It returns its submatches, or
// nil if there is no match.
func (p *parser) cut(token *regexp.Regexp) []string {
	m := token.FindStringSubmatch(p.text)
	if m != nil {
		p.text = p.text[len(m[0]):]
	}
	return m
}

// path reads steps up to the end of the path.
func (p *parser) path() (value operand, definite bool) {
	token := stepToken
	if p.filter > 0 {
		token = filterStepToken
	}
	definite = true
	var steps []func(nodes []*node, root *node) []*node
	for {
		var selectors []selector
		m := p.cut(token)
		switch {
		case m == nil:
			return follow(steps, definite), definite
		case m[2] != "":
			var lone bool
			selectors, lone = p.bracket()
			definite = definite && lone
		case m[3] != "":
			selectors, definite = []selector{all}, false
		default:
			selectors = []selector{member(m[4])}
		}
		descend := m[1] == ".."
		definite = definite && !descend
		steps = append(steps, func(nodes []*node, root *node) []*node {
			var found []*node
			for _, n := range nodes {
				starts := []*node{n}
				if descend {
					starts = n.descendants()
				}
				for _, start := range starts {
					for _, s := range selectors {
						found = append(found, s(start, root, descend)...)
					}
				}
			}
			return found
		})
	}
}

func follow(steps []func([]*node, *node) []*node, definite bool) operand {
	return func(n, root *node) *node {
		nodes := []*node{n}
		for _, step := range steps {
			nodes = step(nodes, root)
		}
		switch {
		case !definite:
			return arrayOf(nodes)
		case len(nodes) == 0:
			return nil
		default:
			return nodes[0]
		}
	}
}

// bracket reads the text after a "[". It reports whether that is one name or one index.
func (p *parser) bracket() (selectors []selector, lone bool) {
	lone = true
	for {
		p.cut(blanksToken)
		if name, ok := p.quoted(); ok {
			selectors = append(selectors, member(name))
		} else if m := p.cut(sliceToken); m != nil {
			lone = false
			selectors = append(selectors, slice(number(m[1], 0), number(m[2], math.MaxInt), number(m[3], 1)))
		} else if m := p.cut(indexToken); m != nil {
			selectors = append(selectors, element(number(m[0], 0)))
		} else if p.cut(starToken) != nil {
			lone = false
			selectors = append(selectors, all)
		} else {
			lone = false
			p.cut(filterOpenToken)
			p.filter++
			selectors = append(selectors, filter(p.disjunction()))
			p.filter--
			p.cut(groupCloseToken)
		}
		p.cut(blanksToken)
		if p.cut(commaToken) == nil {
			p.cut(bracketCloseToken)
			return selectors, lone && len(selectors) == 1
		}
	}
}

func number(text string, missing int) int {
	if text == "" {
		return missing
	}
	n, err := strconv.Atoi(text)
	must(err)
	return n
}

// quoted decodes a name or a string by making a JSON string of it.
func (p *parser) quoted() (string, bool) {
	m := p.cut(quotedToken)
	if m == nil {
		return "", false
	}
	inner := m[0][1 : len(m[0])-1]
	inner = escape.ReplaceAllStringFunc(inner, func(s string) string {
		switch s {
		case `\'`:
			return `'`
		case `"`:
			return `\"`
		default:
			return s
		}
	})
	var text string
	must(json.Unmarshal([]byte(`"`+inner+`"`), &text))
	return text, true
}

func (p *parser) disjunction() condition {
	conditions := []condition{p.conjunction()}
	for p.cut(orToken) != nil {
		conditions = append(conditions, p.conjunction())
	}
	return func(n, root *node) bool {
		return slices.ContainsFunc(conditions, func(c condition) bool { return c(n, root) })
	}
}

func (p *parser) conjunction() condition {
	conditions := []condition{p.negation()}
	for p.cut(andToken) != nil {
		conditions = append(conditions, p.negation())
	}
	p.cut(blanksToken)
	return func(n, root *node) bool {
		return !slices.ContainsFunc(conditions, func(c condition) bool { return !c(n, root) })
	}
}

func (p *parser) negation() condition {
	if p.cut(bangToken) != nil {
		c := p.negation()
		return func(n, root *node) bool { return !c(n, root) }
	}
	if p.cut(groupOpenToken) != nil {
		c := p.disjunction()
		p.cut(groupCloseToken)
		return c
	}
	return p.relation()
}

func (p *parser) relation() condition {
	left, definite := p.operand()
	operator := p.cut(operatorToken)
	if operator == nil {
		return func(n, root *node) bool {
			found := left(n, root)
			return found != nil && (definite || len(found.children) > 0)
		}
	}
	if operator[1] == "=~" {
		return matches(left, p.cut(regexToken))
	}
	right, _ := p.operand()
	return func(n, root *node) bool {
		a, b := left(n, root), right(n, root)
		order, ok := compare(a, b)
		switch operator[1] {
		case "==":
			return equal(a, b)
		case "!=":
			return !equal(a, b)
		case "<":
			return ok && order < 0
		case "<=":
			return ok && order <= 0
		case ">":
			return ok && order > 0
		default:
			return ok && order >= 0
		}
	}
}

func matches(left operand, m []string) condition {
	pattern := regexp.MustCompile(`(?` + m[2] + `)\A(?:` + m[1] + `)\z`)
	return func(n, root *node) bool {
		value := left(n, root)
		if value == nil {
			return false
		}
		values := []*node{value}
		if value.kind == '[' {
			values = value.children
		}
		return slices.ContainsFunc(values, func(v *node) bool {
			switch v.kind {
			case '"':
				return pattern.MatchString(v.text)
			case '[', '{', 'n':
				return false
			default:
				return pattern.Match(v.raw)
			}
		})
	}
}

func (p *parser) operand() (value operand, definite bool) {
	p.cut(blanksToken)
	if m := p.cut(startToken); m != nil {
		path, definite := p.path()
		if m[0] == "$" {
			return func(_, root *node) *node { return path(root, root) }, definite
		}
		return path, definite
	}
	var literal *node
	if text, ok := p.quoted(); ok {
		literal = &node{kind: '"', text: text}
	} else {
		literal = newNode([]byte(strings.TrimSpace(p.cut(literalToken)[0])))
	}
	return func(_, _ *node) *node { return literal }, true
}

func member(name string) selector {
	return func(n, _ *node, _ bool) []*node {
		if i := slices.Index(n.keys, name); i >= 0 {
			return n.children[i : i+1]
		}
		return nil
	}
}

func element(index int) selector {
	return func(n, _ *node, _ bool) []*node {
		i := index
		if i < 0 {
			i += len(n.children)
		}
		if n.kind != '[' || i < 0 || i >= len(n.children) {
			return nil
		}
		return n.children[i : i+1]
	}
}

func all(n, _ *node, _ bool) []*node { return n.children }

func slice(from, to, by int) selector {
	return func(n, _ *node, _ bool) []*node {
		if n.kind != '[' {
			return nil
		}
		length := len(n.children)
		first, last := from, to
		if first < 0 {
			first = max(first+length, 0)
		}
		if last < 0 {
			last += length
		}
		var found []*node
		for i := first; i >= 0 && i < min(last, length); i += by {
			found = append(found, n.children[i])
		}
		return found
	}
}

func filter(c condition) selector {
	return func(n, root *node, descend bool) []*node {
		candidates := n.children
		switch n.kind {
		case '{':
			candidates = []*node{n}
		case '[':
		default:
			return nil
		}
		var found []*node
		for _, candidate := range candidates {
			if descend && n.kind == '[' && candidate.kind == '{' {
				continue // the descent visits it later
			}
			if c(candidate, root) {
				found = append(found, candidate)
			}
		}
		return found
	}
}
