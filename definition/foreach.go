package definition

import (
	"strings"
)

const forEach = "Fn::ForEach::"

// repeat replaces each Fn::ForEach of the sections where it may stand, as the transform
// AWS::LanguageExtensions does before all others.
func (t *template) repeat() {
	root := &node{kind: mapKind, at: t.root.at, size: t.root.size}
	changed := false
	for i, section := range t.root.keys {
		value := t.root.items[i]
		if section == "Resources" || section == "Conditions" || section == "Outputs" {
			repeated, p := t.repeatIn(value)
			if p != nil {
				t.fail("", p)
				repeated = value
			}
			changed, value = changed || repeated != value, repeated
		}
		root.keys, root.keyAt, root.items = append(root.keys, section), append(root.keyAt, t.root.keyAt[i]), append(root.items, value)
	}
	if changed {
		root.weigh()
		t.root = root
		t.needsExtensions(root.at, "Fn::ForEach")
	}
}

// needsExtensions warns of what works on AWS only with the transform.
func (t *template) needsExtensions(at position, name string) {
	n := t.root.get("Transform")
	if n.str() == languageExtensions {
		return
	}
	if n != nil {
		for _, item := range n.items {
			if item.str() == languageExtensions {
				return
			}
		}
	}
	t.notef(Warning, at, "", "%s works on AWS only with the transform %s: add it to Transform, before all others", name, languageExtensions)
}

const languageExtensions = "AWS::LanguageExtensions"

// repeatIn returns a node without loops. It returns the node itself if there are none.
func (t *template) repeatIn(n *node) (*node, *problem) {
	if n.kind != mapKind && n.kind != listKind {
		return n, nil
	}
	made := &node{kind: n.kind, at: n.at}
	changed := false
	for i, item := range n.items {
		if n.kind == mapKind && strings.HasPrefix(n.keys[i], forEach) {
			changed = true
			if p := t.loop(made, n.keyAt[i], n.keys[i], item); p != nil {
				return nil, p
			}
			continue
		}
		value, p := t.repeatIn(item)
		if p != nil {
			return nil, p
		}
		changed = changed || value != item
		made.items = append(made.items, value)
		if n.kind == mapKind {
			made.keys, made.keyAt = append(made.keys, n.keys[i]), append(made.keyAt, n.keyAt[i])
		}
	}
	if !changed {
		return n, nil
	}
	made.weigh()
	return made, nil
}

// loop adds what one Fn::ForEach makes to a map.
func (t *template) loop(to *node, at position, name string, n *node) *problem {
	args, p := argumentsOf(at, name, "[identifier, [values], {key with ${identifier}: value}]", n, 3, 3)
	if p != nil {
		return p
	}
	identifier, ok := args[0].scalar()
	if !ok || identifier == "" || !args[2].isMap() {
		return problemAt(at, "%s is written [identifier, [values], {key with ${identifier}: value}]", name)
	}
	if t.parameters[identifier] != nil {
		return problemAt(at, "the identifier %s of %s is a parameter, too: give it another name", identifier, name)
	}
	values, p := t.eval(args[1])
	if p != nil {
		return p
	}
	if values.kind != listKind {
		return problemAt(at, "%s needs a list of values, but has %s", name, values.kind)
	}
	if p := t.spend(at, len(to.keys)); p != nil {
		return p
	}
	for _, item := range values.items {
		value, ok := item.scalar()
		if !ok {
			return problemAt(item.at, "%s needs texts as values, but has %s", name, item.kind)
		}
		if p := t.spend(at, args[2].size*bytesPerUnit); p != nil {
			return p
		}
		body, p := t.replaced(args[2], identifier, value)
		if p == nil {
			body, p = t.repeatIn(body)
		}
		if p != nil {
			return p
		}
		for i, key := range body.keys {
			if to.get(key) != nil {
				return problemAt(body.keyAt[i], "%s makes %s twice: its key needs ${%s}", name, key, identifier)
			}
			to.set(key, body.keyAt[i], body.items[i])
		}
	}
	return nil
}

// replaced returns a copy of a node in which an identifier has its value: in Ref, in
// "${identifier}", and without anything but letters and digits in "&{identifier}".
func (t *template) replaced(n *node, identifier, value string) (*node, *problem) {
	switch n.kind {
	case textKind:
		text, p := t.replacedIn(n.at, n.text, identifier, value)
		return textNode(n.at, text), p
	case listKind, mapKind:
		if name, argument := n.intrinsic(); name == "Ref" && argument.str() == identifier {
			return textNode(n.at, value), nil
		}
		made := &node{kind: n.kind, at: n.at, keyAt: n.keyAt}
		for i, item := range n.items {
			copied, p := t.replaced(item, identifier, value)
			if p != nil {
				return nil, p
			}
			made.items = append(made.items, copied)
			if n.kind == mapKind {
				key, p := t.replacedIn(n.keyAt[i], n.keys[i], identifier, value)
				if p != nil {
					return nil, p
				}
				made.keys = append(made.keys, key)
			}
		}
		made.weigh()
		return made, nil
	default:
		return n, nil
	}
}

func (t *template) replacedIn(at position, text, identifier, value string) (string, *problem) {
	found := strings.Count(text, "{"+identifier+"}")
	if found == 0 {
		return text, nil
	}
	if p := t.spend(at, len(text)+found*len(value)); p != nil {
		return "", p
	}
	plain := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, value)
	return strings.NewReplacer("${"+identifier+"}", value, "&{"+identifier+"}", plain).Replace(text), nil
}
