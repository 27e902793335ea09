package definition

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxBytes   = 16 << 20 // of one file
	maxDepth   = 100      // of values in values
	maxPieces  = 1 << 20  // lines and commas of a YAML file, before the parser takes memory for them
	maxEntries = 20_000   // keys of one map of YAML: the time of the parser grows with their square
)

// yamlReader makes nodes of YAML.
type yamlReader struct {
	file    string
	anchors map[string]*node
	merged  int // keys that << has copied
}

// readYAML reads the only document of a YAML file.
func readYAML(file string, content []byte) (n *node, failed *problem) {
	text := string(content)
	if strings.Count(text, "\n")+strings.Count(text, ",") > maxPieces {
		return nil, problemAt(position{file, 1}, "the file has more than %d lines and commas: split it, or write it as JSON", maxPieces)
	}
	if p := checkIndents(file, text); p != nil {
		return nil, p
	}
	defer func() {
		if v := recover(); v != nil { // the parser is not ours
			n, failed = nil, problemAt(position{file, 1}, "this is no YAML that can be read: %v", v)
		}
	}()
	tokens := lexer.Tokenize(quoteColons(text))
	if p := checkNesting(file, tokens); p != nil {
		return nil, p
	}
	if p := checkEntries(file, tokens); p != nil {
		return nil, p
	}
	parsed, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntaxProblem(file, err)
	}
	var body ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return nil, problemAt(position{file, lineOf(doc.Body)}, "a second document begins here: put each into a file of its own")
		}
		body = doc.Body
	}
	if body == nil {
		return nil, problemAt(position{file, 1}, "the file is empty")
	}
	r := &yamlReader{file: file, anchors: map[string]*node{}}
	n, failed = r.read(body, 0)
	if failed == nil && n.size > maxSize {
		return nil, problemAt(position{file, 1}, "the file is too large once its anchors are expanded: it may have about %d values", maxSize)
	}
	return n, failed
}

var (
	flowFunction = regexp.MustCompile(`[{,]\s*(Fn::[A-Za-z]+):\s`)
	flowTagged   = regexp.MustCompile(`![A-Za-z]+\s+([A-Za-z0-9_$][^\s,\[\]{}'"#]*:[^\s,\[\]{}'"#]*)\s*[,\]}]`)
	blockScalar  = regexp.MustCompile(`[:\-\w]\s+[|>][+-]?[0-9]?[+-]?\s*(#.*)?$`)
)

// quoteColons puts quotes around texts with colons within braces and brackets, which the
// parser misunderstands: the key of {Fn::GetAtt: [Table, Arn]} and the value of
// {Name: !Ref AWS::StackName}.
func quoteColons(text string) string {
	if !flowFunction.MatchString(text) && !flowTagged.MatchString(text) {
		return text
	}
	var b strings.Builder
	literal := -1 // the indent of the key whose text block the lines belong to
	for line := range strings.Lines(text) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if literal >= 0 && (indent > literal || strings.TrimSpace(line) == "") {
			b.WriteString(line)
			continue
		}
		literal = -1
		if blockScalar.MatchString(strings.TrimRight(line, "\r\n")) {
			literal = indent
		}
		b.WriteString(quoteMatches(quoteMatches(line, flowFunction), flowTagged))
	}
	return b.String()
}

// quoteMatches puts quotes around the first group of each match that is not within quotes.
func quoteMatches(line string, pattern *regexp.Regexp) string {
	var b strings.Builder
	begin, counted, double, single := 0, 0, 0, 0
	for _, m := range pattern.FindAllStringSubmatchIndex(line, -1) {
		double += strings.Count(line[counted:m[0]], `"`)
		single += strings.Count(line[counted:m[0]], `'`)
		counted = m[0]
		if double%2 == 1 || single%2 == 1 {
			continue // within a text
		}
		b.WriteString(line[begin:m[2]] + `"` + line[m[2]:m[3]] + `"`)
		begin = m[3]
	}
	b.WriteString(line[begin:])
	return b.String()
}

func syntaxProblem(file string, err error) *problem {
	at := position{file, 1}
	var e yaml.Error
	text := ""
	if errors.As(err, &e) {
		text = e.GetMessage() // Error would print the source, which takes long in a large file
		if t := e.GetToken(); t != nil && t.Position != nil {
			at.line = t.Position.Line
		}
	} else {
		text = err.Error()
	}
	return problemAt(at, "this is not YAML: %s", strings.TrimSpace(text))
}

// checkIndents refuses blocks in blocks that are too deep, before any other work.
func checkIndents(file, text string) *problem {
	var stack []int
	line := 0
	for l := range strings.Lines(text) {
		line++
		trimmed := strings.TrimLeft(l, " ")
		if strings.TrimSpace(trimmed) == "" {
			continue
		}
		indent := len(l) - len(trimmed)
		for len(stack) > 0 && stack[len(stack)-1] >= indent {
			stack = stack[:len(stack)-1]
		}
		if stack = append(stack, indent); len(stack) > maxDepth {
			return tooDeep(position{file, line})
		}
	}
	return nil
}

// checkNesting refuses lists, maps, tags and anchors that are nested too deep in one line.
func checkNesting(file string, tokens token.Tokens) *problem {
	depth, run := 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.MappingValueType:
			run++
			if run > 2*maxDepth {
				return tooDeep(position{file, t.Position.Line})
			}
			continue
		case token.StringType, token.CommentType, token.AliasType, token.NullType, token.ImplicitNullType:
			if t.PreviousType() == token.AnchorType {
				continue // the anchor's name
			}
		default:
		}
		if t.Type != token.CommentType {
			run = 0
		}
		if depth > maxDepth {
			return tooDeep(position{file, t.Position.Line})
		}
	}
	return nil
}

// checkEntries refuses blocks with very many keys.
func checkEntries(file string, tokens token.Tokens) *problem {
	type block struct{ column, keys int }
	var open []block
	flow := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			for len(open) > 0 && open[len(open)-1].column > t.Position.Column {
				open = open[:len(open)-1]
			}
		case token.MappingValueType:
			if flow > 0 || t.Prev == nil {
				continue
			}
			column := t.Prev.Position.Column
			for len(open) > 0 && open[len(open)-1].column > column {
				open = open[:len(open)-1]
			}
			if len(open) == 0 || open[len(open)-1].column < column {
				open = append(open, block{column: column})
			}
			if open[len(open)-1].keys++; open[len(open)-1].keys > maxEntries {
				return problemAt(position{file, t.Position.Line}, "a map has more than %d keys: split it, or write the file as JSON", maxEntries)
			}
		default:
		}
	}
	return nil
}

func tooDeep(at position) *problem {
	return problemAt(at, "values are nested more than %d deep: no template needs this", maxDepth)
}

func lineOf(n ast.Node) int {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return lineOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		return lineOf(n.Key)
	default:
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func (r *yamlReader) at(n ast.Node) position { return position{r.file, lineOf(n)} }

func (r *yamlReader) read(n ast.Node, depth int) (*node, *problem) {
	if depth > maxDepth {
		return nil, tooDeep(r.at(n))
	}
	at := r.at(n)
	switch n := n.(type) {
	case *ast.NullNode:
		return &node{kind: nullKind, at: at, size: 1}, nil
	case *ast.StringNode:
		return textNode(at, n.Value), nil
	case *ast.LiteralNode:
		return textNode(at, n.Value.Value), nil
	case *ast.BoolNode:
		return &node{kind: boolKind, text: strconv.FormatBool(n.Value), at: at, size: 1}, nil
	case *ast.IntegerNode:
		return integerNode(at, n.Token.Value), nil
	case *ast.FloatNode:
		return &node{kind: numberKind, text: floatText(n.Token.Value, n.Value), at: at, size: 1}, nil
	case *ast.MappingNode:
		return r.readMap(at, n.Values, depth)
	case *ast.MappingValueNode:
		return r.readMap(at, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		return r.readList(at, n, depth)
	case *ast.TagNode:
		return r.readTag(n, depth)
	case *ast.AnchorNode:
		value, p := r.read(n.Value, depth+1)
		if p == nil {
			r.anchors[nameOf(n.Name)] = value
		}
		return value, p
	case *ast.AliasNode:
		if value := r.anchors[nameOf(n.Value)]; value != nil {
			return value, nil
		}
		return nil, problemAt(at, "the alias *%s has no anchor &%s before it", nameOf(n.Value), nameOf(n.Value))
	case nil:
		return nil, problemAt(at, "a value is missing here")
	default:
		return nil, problemAt(at, "this value (%s) has no place in a template", n.GetToken().Value)
	}
}

func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// integerNode returns an integer as JSON writes it. Digits with a zero in front stay the text
// that they are in the file, because account numbers are written so.
func integerNode(at position, written string) *node {
	if len(written) > 1 && written[0] == '0' && strings.Trim(written, "0123456789") == "" {
		return textNode(at, written)
	}
	const longest = 100 // characters
	if len(written) <= longest {
		if v, ok := new(big.Int).SetString(strings.ReplaceAll(written, "_", ""), 0); ok {
			return &node{kind: numberKind, text: v.String(), at: at, size: 1}
		}
	}
	return textNode(at, written)
}

func floatText(written string, value float64) string {
	if _, err := strconv.ParseFloat(written, 64); err == nil && strings.Trim(written, "0123456789.") == "" &&
		!strings.HasPrefix(written, ".") && !strings.HasSuffix(written, ".") {
		return written
	}
	return strconv.FormatFloat(value, 'g', -1, 64)
}

func (r *yamlReader) readList(at position, n *ast.SequenceNode, depth int) (*node, *problem) {
	list := &node{kind: listKind, at: at}
	for _, v := range n.Values {
		item, p := r.read(v, depth+1)
		if p != nil {
			return nil, p
		}
		list.items = append(list.items, item)
	}
	list.weigh()
	return list, nil
}

func (r *yamlReader) readMap(at position, values []*ast.MappingValueNode, depth int) (*node, *problem) {
	m := &node{kind: mapKind, at: at}
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		value, p := r.read(v.Value, depth+1)
		if p != nil {
			return nil, p
		}
		keyAt := r.at(v.Key)
		if v.Key.IsMergeKey() {
			if p := r.merge(m, value, seen, keyAt); p != nil {
				return nil, p
			}
			continue
		}
		key, p := r.key(v.Key)
		if p != nil {
			return nil, p
		}
		if seen[key] {
			m.set(key, keyAt, value) // it came from a merge before, which the map's own keys override
			continue
		}
		seen[key] = true
		m.keys, m.keyAt, m.items = append(m.keys, key), append(m.keyAt, keyAt), append(m.items, value)
	}
	m.weigh()
	return m, nil
}

func (r *yamlReader) key(k ast.MapKeyNode) (string, *problem) {
	var n ast.Node = k
	if explicit, ok := k.(*ast.MappingKeyNode); ok {
		n = explicit.Value
	}
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode, *ast.NullNode:
		return n.GetToken().Value, nil
	default:
		return "", problemAt(r.at(k), "a key has to be a text")
	}
}

// merge adds the keys of one map, or of a list of maps, for the merge key "<<" of YAML.
func (r *yamlReader) merge(m, value *node, seen map[string]bool, at position) *problem {
	if r.merged += 1 + len(value.keys); r.merged > maxMerged {
		return problemAt(at, "<< copies more than %d keys in this file: write what is common to many once", maxMerged)
	}
	if value.kind == listKind {
		for _, item := range value.items {
			if p := r.merge(m, item, seen, at); p != nil {
				return p
			}
		}
		return nil
	}
	if value.kind != mapKind {
		return problemAt(at, "<< needs a map, but has %s", value.kind)
	}
	for i, key := range value.keys {
		if !seen[key] {
			seen[key] = true
			m.keys, m.keyAt, m.items = append(m.keys, key), append(m.keyAt, value.keyAt[i]), append(m.items, value.items[i])
		}
	}
	return nil
}

// readTag turns a short form of CloudFormation into its long form: "!Ref X" into {Ref: X}.
func (r *yamlReader) readTag(n *ast.TagNode, depth int) (*node, *problem) {
	at := position{r.file, n.Start.Position.Line}
	tag := n.Start.Value
	if n.Value == nil || !belongs(n) {
		return nil, problemAt(at, "%s has no value: write it behind the tag", tag)
	}
	value, p := r.read(n.Value, depth+1)
	if p != nil {
		return nil, p
	}
	name, short := strings.CutPrefix(tag, "!")
	switch {
	case value.kind == nullKind:
		return nil, problemAt(at, "%s has no value: write it behind the tag", tag)
	case strings.HasPrefix(name, "!"):
		if s, ok := value.scalar(); ok && name == "!str" {
			return textNode(at, s), nil
		}
		return value, nil
	case !short || name == "":
		return nil, problemAt(at, "the tag %s has no meaning in a template", tag)
	case name == "Ref" || name == "Condition":
		return mapNode(at, name, value), nil
	case name == "GetAtt":
		if text, ok := value.scalar(); ok {
			logicalID, attribute, _ := strings.Cut(text, ".")
			value = listNode(at, textNode(at, logicalID), textNode(at, attribute))
		}
	}
	for _, known := range functionNames() {
		if known == "Fn::"+name {
			return mapNode(at, known, value), nil
		}
	}
	return nil, problemAt(at, "%s is not a function of CloudFormation%s", tag, didYouMean("Fn::"+name, functionNames()))
}

// belongs reports whether the value of a tag stands behind or below the tag. The parser also
// takes the next key of the map around it for the value of a tag that has none.
func belongs(n *ast.TagNode) bool {
	m, ok := n.Value.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) == 0 {
		return true
	}
	key := m.Values[0].Key.GetToken().Position
	if key.Line == n.Start.Position.Line {
		return true
	}
	for before := n.Start.Prev; before != nil && before.Position.Line == n.Start.Position.Line; before = before.Prev {
		if before.Type != token.MappingValueType || before.Prev == nil {
			continue
		}
		return key.Column > before.Prev.Position.Column
	}
	return true
}

var errTrailing = errors.New("something follows the end of the value")

// describe returns a short text for an error of a reader.
func describe(err error) string { return strings.TrimSpace(fmt.Sprint(err)) }
