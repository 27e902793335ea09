package definition

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxProduced is how many bytes of text the functions of one template may make.
const maxProduced = 16 << 20

// functionNames returns the functions that a template may use, in their long form.
func functionNames() []string {
	return []string{
		"Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::If", "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not",
		"Fn::FindInMap", "Fn::ImportValue", "Fn::Base64", "Fn::GetAZs", "Fn::Length", "Fn::ToJsonString",
		"Fn::Cidr", "Fn::Transform", "Fn::ForEach", "Fn::Contains", "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll", "Fn::EachMemberEquals", "Fn::EachMemberIn",
	}
}

// eval returns a node with its functions replaced by their values. What is AWS::NoValue is
// removed from lists and maps.
func (t *template) eval(n *node) (*node, *problem) {
	if t.depth++; t.depth > 5*maxDepth {
		return nil, problemAt(n.at, "this value refers to other values more than %d deep", 5*maxDepth)
	}
	defer func() { t.depth-- }()
	if name, argument := n.intrinsic(); name != "" {
		return t.call(n.keyAt[0], name, argument)
	}
	switch n.kind {
	case listKind:
		list := &node{kind: listKind, at: n.at}
		for _, item := range n.items {
			value, p := t.eval(item)
			if p != nil {
				return nil, p
			}
			if value.kind != noValueKind {
				list.items = append(list.items, value)
			}
		}
		list.weigh()
		return list, t.spend(n.at, list.size)
	case mapKind:
		m := &node{kind: mapKind, at: n.at}
		for i, item := range n.items {
			value, p := t.eval(item)
			if p != nil {
				return nil, p
			}
			if value.kind != noValueKind {
				m.keys, m.keyAt, m.items = append(m.keys, n.keys[i]), append(m.keyAt, n.keyAt[i]), append(m.items, value)
			}
		}
		m.weigh()
		return m, t.spend(n.at, m.size)
	default:
		return n, nil
	}
}

// spend counts what the evaluation makes, so that a small template cannot make endless text.
func (t *template) spend(at position, amount int) *problem {
	if t.produced += amount; t.produced > maxProduced {
		return problemAt(at, "the functions of this template make more than %d MiB of text", maxProduced>>20)
	}
	return nil
}

func (t *template) made(at position, text string) (*node, *problem) {
	return textNode(at, text), t.spend(at, len(text))
}

// call evaluates one function.
func (t *template) call(at position, name string, argument *node) (*node, *problem) {
	switch name {
	case "Ref":
		return t.callRef(at, argument)
	case "Fn::GetAtt":
		return t.callGetAtt(at, argument)
	case "Fn::Sub":
		return t.callSub(at, argument)
	case "Fn::Join":
		return t.callJoin(at, argument)
	case "Fn::Select":
		return t.callSelect(at, argument)
	case "Fn::Split":
		return t.callSplit(at, argument)
	case "Fn::If":
		return t.callIf(at, argument)
	case "Fn::FindInMap":
		return t.callFindInMap(at, argument)
	case "Fn::ImportValue":
		return t.callImportValue(at, argument)
	case "Fn::Base64":
		text, p := t.textOf(name, argument)
		if p != nil {
			return nil, p
		}
		return t.made(at, base64.StdEncoding.EncodeToString([]byte(text)))
	case "Fn::GetAZs":
		return t.callGetAZs(at, argument)
	case "Fn::Cidr":
		return t.callCidr(at, argument)
	case "Fn::Length", "Fn::ToJsonString":
		return t.callExtension(at, name, argument)
	case "Condition", "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		// A map whose only key is "Condition" is a policy statement's part as often as it is a condition.
		if name == "Condition" && argument.kind != textKind {
			value, p := t.eval(argument)
			if p != nil {
				return nil, p
			}
			return mapNode(at, name, value), nil
		}
		holds, p := t.holds(mapNode(at, name, argument))
		if p != nil {
			return nil, p
		}
		return &node{kind: boolKind, text: strconv.FormatBool(holds), at: at, size: 1}, nil
	default:
		return nil, unsupported(at, name)
	}
}

func unsupported(at position, name string) *problem {
	for _, known := range functionNames() {
		if name == known || strings.HasPrefix(name, known+"::") {
			return problemAt(at, "%s is not supported here: write its result instead, or run the tool that replaces it first", name)
		}
	}
	return problemAt(at, "%s is not a function of CloudFormation%s", name, didYouMean(name, functionNames()))
}

// textOf evaluates an argument that has to be a text; a number or a boolean counts as one.
func (t *template) textOf(name string, n *node) (string, *problem) {
	value, p := t.eval(n)
	if p != nil {
		return "", p
	}
	text, ok := value.scalar()
	if !ok {
		return "", problemAt(n.at, "%s needs a text, but has %s", name, value.kind)
	}
	return text, nil
}

// argumentsOf returns the arguments of a function, which has to be a list of so many.
func argumentsOf(at position, name, form string, n *node, least, most int) ([]*node, *problem) {
	if n.kind != listKind || len(n.items) < least || len(n.items) > most {
		return nil, problemAt(at, "%s is written %s", name, form)
	}
	return n.items, nil
}

func (t *template) callJoin(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::Join", "[delimiter, [values]]", n, 2, 2)
	if p != nil {
		return nil, p
	}
	delimiter, p := t.textOf("Fn::Join", args[0])
	if p != nil {
		return nil, p
	}
	values, p := t.eval(args[1])
	if p != nil {
		return nil, p
	}
	if values.kind != listKind {
		return nil, problemAt(at, "Fn::Join needs a list of values, but has %s", values.kind)
	}
	texts := make([]string, len(values.items))
	for i, item := range values.items {
		text, ok := item.scalar()
		if !ok {
			return nil, problemAt(item.at, "Fn::Join needs texts, but value %d is %s", i+1, item.kind)
		}
		texts[i] = text
	}
	if p := t.spend(at, len(delimiter)*len(texts)); p != nil {
		return nil, p
	}
	return t.made(at, strings.Join(texts, delimiter))
}

func (t *template) callSelect(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::Select", "[index, [values]]", n, 2, 2)
	if p != nil {
		return nil, p
	}
	text, p := t.textOf("Fn::Select", args[0])
	if p != nil {
		return nil, p
	}
	values, p := t.eval(args[1])
	if p != nil {
		return nil, p
	}
	index, err := strconv.Atoi(text)
	if err != nil || values.kind != listKind || index < 0 || index >= len(values.items) {
		return nil, problemAt(at, "Fn::Select has no value with the index %q: the index is a number from 0, and there are %d values", text, len(values.items))
	}
	return values.items[index], nil
}

func (t *template) callSplit(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::Split", "[delimiter, text]", n, 2, 2)
	if p != nil {
		return nil, p
	}
	delimiter, p := t.textOf("Fn::Split", args[0])
	if p != nil {
		return nil, p
	}
	text, p := t.textOf("Fn::Split", args[1])
	if p != nil {
		return nil, p
	}
	if delimiter == "" {
		return nil, problemAt(at, "Fn::Split needs a delimiter, but it is empty")
	}
	if p := t.spend(at, len(text)*8); p != nil {
		return nil, p
	}
	list := &node{kind: listKind, at: at}
	for part := range strings.SplitSeq(text, delimiter) {
		list.items = append(list.items, textNode(at, part))
	}
	list.weigh()
	return list, nil
}

func (t *template) callIf(at position, n *node) (*node, *problem) {
	branch, p := t.branch(at, n)
	if p != nil {
		return nil, p
	}
	return t.eval(branch)
}

// branch returns the branch of an Fn::If that counts.
func (t *template) branch(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::If", "[condition name, value if true, value if false]", n, 3, 3)
	if p != nil {
		return nil, p
	}
	name, ok := args[0].scalar()
	if !ok {
		return nil, problemAt(args[0].at, "Fn::If needs the name of a condition, but has %s", args[0].kind)
	}
	holds, p := t.condition(args[0].at, name)
	if p != nil {
		return nil, p
	}
	if holds {
		return args[1], nil
	}
	return args[2], nil
}

func (t *template) callFindInMap(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::FindInMap", "[map name, first key, second key]", n, 3, 4)
	if p != nil {
		return nil, p
	}
	keys := make([]string, 3)
	for i := range keys {
		if keys[i], p = t.textOf("Fn::FindInMap", args[i]); p != nil {
			return nil, p
		}
	}
	found := t.root.get("Mappings")
	for _, key := range keys {
		next := found.get(key)
		if next == nil && len(args) == 4 && args[3].get("DefaultValue") != nil {
			t.needsExtensions(at, "the DefaultValue of Fn::FindInMap")
			return t.eval(args[3].get("DefaultValue"))
		}
		if next == nil {
			return nil, problemAt(at, "Fn::FindInMap finds no %q in the mapping %s%s", key, keys[0], t.didYouMean(key, found.names))
		}
		found = next
	}
	return t.eval(found)
}

func (t *template) callImportValue(at position, n *node) (*node, *problem) {
	name, p := t.textOf("Fn::ImportValue", n)
	if p != nil {
		return nil, p
	}
	if value, ok := t.opts.Imports[name]; ok {
		return t.made(at, value)
	}
	value, p := t.imported(at, name)
	if value == nil && p == nil {
		return nil, problemAt(at, "another stack exports %q, which is not known here: give its value in the file of imported values", name)
	}
	return value, p
}

func (t *template) callGetAZs(at position, n *node) (*node, *problem) {
	region, p := t.textOf("Fn::GetAZs", n)
	if p != nil {
		return nil, p
	}
	if region == "" {
		region = t.opts.Region
	}
	return listNode(at, textNode(at, region+"a"), textNode(at, region+"b"), textNode(at, region+"c")), nil
}

// callCidr divides a block of addresses into smaller ones.
func (t *template) callCidr(at position, n *node) (*node, *problem) {
	args, p := argumentsOf(at, "Fn::Cidr", "[block, count, bits]", n, 2, 3)
	if p != nil {
		return nil, p
	}
	texts := []string{"", "", "8"}
	for i, arg := range args {
		if texts[i], p = t.textOf("Fn::Cidr", arg); p != nil {
			return nil, p
		}
	}
	block, err := netip.ParsePrefix(texts[0])
	count, err2 := strconv.Atoi(texts[1])
	bits, err3 := strconv.Atoi(texts[2])
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, problemAt(at, "Fn::Cidr needs a block as 10.0.0.0/16, a count and a number of bits: %v", err)
	}
	address := block.Masked().Addr()
	length := address.BitLen() - bits
	free := length - block.Bits()
	if count < 1 || count > 256 || bits < 1 || free < 0 || free < 8 && count > 1<<free {
		return nil, problemAt(at, "Fn::Cidr cannot divide %s into %d blocks with %d bits each", texts[0], count, bits)
	}
	list := &node{kind: listKind, at: at}
	for range count {
		list.items = append(list.items, textNode(at, netip.PrefixFrom(address, length).String()))
		address = after(address, bits)
	}
	list.weigh()
	return list, t.spend(at, list.size*bytesPerUnit)
}

// after returns the address that is 2 to the power of bits behind another.
func after(address netip.Addr, bits int) netip.Addr {
	raw := address.AsSlice()
	for i := len(raw) - 1 - bits/8; i >= 0; i-- {
		step := byte(1)
		if i == len(raw)-1-bits/8 {
			step = 1 << (bits % 8)
		}
		before := raw[i]
		if raw[i] += step; raw[i] >= before {
			break
		}
	}
	next, _ := netip.AddrFromSlice(raw) // the length is that of an address
	return next
}

// callExtension evaluates the functions of the transform AWS::LanguageExtensions.
func (t *template) callExtension(at position, name string, n *node) (*node, *problem) {
	t.needsExtensions(at, name)
	value, p := t.eval(n)
	if p != nil {
		return nil, p
	}
	if name == "Fn::ToJsonString" {
		if p := t.spend(at, value.size*bytesPerUnit); p != nil {
			return nil, p
		}
		return t.made(at, value.json())
	}
	if value.kind != listKind {
		return nil, problemAt(at, "Fn::Length needs a list, but has %s", value.kind)
	}
	return &node{kind: numberKind, text: strconv.Itoa(len(value.items)), at: at, size: 1}, nil
}

// subPart is a part of a text for Fn::Sub: either text as it is, or the name of a variable.
type subPart struct {
	text, variable string
}

// splitSub splits a text at its variables: "${Name}", "${Resource.Attribute}". "${!Name}"
// stands for the text "${Name}".
func splitSub(text string) []subPart {
	var parts []subPart
	for {
		begin := strings.Index(text, "${")
		if begin < 0 {
			break
		}
		end := strings.IndexByte(text[begin:], '}')
		if end < 0 {
			break
		}
		end += begin
		name := text[begin+2 : end]
		parts = append(parts, subPart{text: text[:begin]})
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			parts = append(parts, subPart{text: "${" + literal + "}"})
		} else {
			parts = append(parts, subPart{variable: strings.TrimSpace(name)})
		}
		text = text[end+1:]
	}
	return append(parts, subPart{text: text})
}

// subArguments returns the text and the variables of an Fn::Sub in either of its forms.
func subArguments(at position, n *node) (string, *node, *problem) {
	if text, ok := n.scalar(); ok {
		return text, nil, nil
	}
	args, p := argumentsOf(at, "Fn::Sub", "as a text, or as [text, {variable: value}]", n, 2, 2)
	if p != nil {
		return "", nil, p
	}
	text, ok := args[0].scalar()
	if !ok || args[1].kind != mapKind {
		return "", nil, problemAt(at, "Fn::Sub is written as a text, or as [text, {variable: value}]")
	}
	return text, args[1], nil
}

func (t *template) callSub(at position, n *node) (*node, *problem) {
	text, variables, p := subArguments(at, n)
	if p != nil {
		return nil, p
	}
	var b strings.Builder
	for _, part := range splitSub(text) {
		value := part.text
		if part.variable != "" {
			if value, p = t.subVariable(at, part.variable, variables); p != nil {
				return nil, p
			}
		}
		b.WriteString(value)
		if p := t.spend(at, len(value)); p != nil {
			return nil, p
		}
	}
	return textNode(at, b.String()), nil
}

func (t *template) subVariable(at position, name string, variables *node) (string, *problem) {
	if value := variables.get(name); value != nil {
		return t.textOf("Fn::Sub", value)
	}
	var value *node
	var p *problem
	if logicalID, attribute, dotted := strings.Cut(name, "."); dotted && t.alias(name) == name {
		value, p = t.getAtt(at, logicalID, attribute)
	} else {
		value, p = t.ref(at, name)
	}
	if p != nil {
		return "", p
	}
	text, ok := value.scalar()
	if !ok {
		return "", problemAt(at, "Fn::Sub cannot put ${%s} into a text: it is %s", name, value.kind)
	}
	return text, nil
}

// condition returns whether a condition of the template holds.
func (t *template) condition(at position, name string) (bool, *problem) {
	if state := t.conditions[name]; state == conditionTrue || state == conditionFalse {
		return state == conditionTrue, nil
	}
	body := t.root.get("Conditions", name)
	if body == nil {
		return false, problemAt(at, "the template has no condition %q%s", name, t.didYouMean(name, t.root.get("Conditions").names))
	}
	if t.conditions[name] == conditionOpen {
		return false, problemAt(body.at, "the condition %q refers to itself", name)
	}
	t.conditions[name] = conditionOpen
	holds, p := t.holds(body)
	if t.conditions[name] = conditionFalse; holds {
		t.conditions[name] = conditionTrue
	}
	return holds, p
}

type conditionState int

const (
	conditionUnknown conditionState = iota
	conditionOpen                   // its evaluation has begun
	conditionTrue
	conditionFalse
)

// holds evaluates a condition's function.
func (t *template) holds(n *node) (bool, *problem) {
	if t.depth++; t.depth > 5*maxDepth {
		return false, problemAt(n.at, "this condition refers to other conditions more than %d deep", 5*maxDepth)
	}
	defer func() { t.depth-- }()
	name, argument := n.intrinsic()
	switch name {
	case "Condition":
		text, ok := argument.scalar()
		if !ok {
			return false, problemAt(n.at, "Condition needs the name of a condition, but has %s", argument.kind)
		}
		return t.condition(n.keyAt[0], text)
	case "Fn::Equals":
		return t.equal(n.keyAt[0], argument)
	case "Fn::Not":
		args, p := argumentsOf(n.keyAt[0], name, "[condition]", argument, 1, 1)
		if p != nil {
			return false, p
		}
		holds, p := t.holds(args[0])
		return !holds, p
	case "Fn::And", "Fn::Or":
		args, p := argumentsOf(n.keyAt[0], name, "[condition, condition, …] with 2 to 10 conditions", argument, 1, 10)
		if p != nil {
			return false, p
		}
		for _, arg := range args {
			holds, p := t.holds(arg)
			if p != nil || holds == (name == "Fn::Or") {
				return holds, p
			}
		}
		return name == "Fn::And", nil
	default:
		return false, problemAt(n.at, "a condition needs Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition")
	}
}

func (t *template) equal(at position, n *node) (bool, *problem) {
	args, p := argumentsOf(at, "Fn::Equals", "[value, value]", n, 2, 2)
	if p != nil {
		return false, p
	}
	var values [2]*node
	for i := range values {
		if values[i], p = t.eval(args[i]); p != nil {
			return false, p
		}
	}
	return same(values[0], values[1]), nil
}

// same reports whether two values are equal; "1" and 1 are.
func same(a, b *node) bool {
	if x, ok := a.scalar(); ok {
		y, ok := b.scalar()
		return ok && x == y
	}
	return a.kind == b.kind && slices.EqualFunc(a.items, b.items, same) && slices.Equal(a.keys, b.keys)
}
