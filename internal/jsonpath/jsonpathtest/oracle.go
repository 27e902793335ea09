// Package jsonpathtest evaluates a JSONPath in the plainest way, so that tests can compare
// results with it. It builds a tree with encoding/json, has no bounds, and takes every
// path that jsonpath.Compile accepts.
package jsonpathtest

import (
	"bytes"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
)

// Lookup follows path in doc, which is valid JSON. It returns the text of the
// value, or the array of all matches if the path is not definite.
func Lookup(doc []byte, path string) (raw []byte, ok bool) {
	path = strings.TrimPrefix(path, "$")
	if path != "" && path[0] != '.' && path[0] != '[' {
		path = "." + path
	}
	p := parser{text: path}
	follow, _ := p.path()
	root := newNode(bytes.Trim(doc, " \t\r\n"))
	if found := follow(root, root); found != nil {
		return found.raw, true
	}
	return nil, false
}

// String writes a value as a selection expression does. nil is a missing value.
func String(raw []byte) string {
	if string(raw) == "null" {
		return ""
	}
	return item(raw)
}

func item(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	switch n := newNode(raw); n.kind {
	case '"':
		return n.text
	case '{':
		var compact bytes.Buffer
		must(json.Compact(&compact, raw))
		return compact.String()
	case '[':
		var items []string
		for _, child := range n.children {
			items = append(items, item(child.raw))
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		return string(raw)
	}
}

// node is a value.
type node struct {
	kind     byte // the first of its text, but '0' for every number
	raw      []byte
	text     string   // of a string
	keys     []string // of an object: those of its children
	children []*node
}

func newNode(raw []byte) *node {
	n := &node{kind: raw[0], raw: raw}
	d := json.NewDecoder(bytes.NewReader(raw))
	switch n.kind {
	case '"':
		must(d.Decode(&n.text))
	case '[', '{':
		_, err := d.Token()
		must(err)
		for d.More() {
			if n.kind == '{' {
				key, err := d.Token()
				must(err)
				n.remove(key.(string))
				n.keys = append(n.keys, key.(string))
			}
			var child json.RawMessage
			must(d.Decode(&child))
			n.children = append(n.children, newNode(child))
		}
	case 't', 'f', 'n':
	default:
		n.kind = '0'
	}
	return n
}

// remove removes a member, because a later one has the same key.
func (n *node) remove(key string) {
	if i := slices.Index(n.keys, key); i >= 0 {
		n.keys = slices.Delete(n.keys, i, i+1)
		n.children = slices.Delete(n.children, i, i+1)
	}
}

// arrayOf makes an array of values from other places.
func arrayOf(nodes []*node) *node {
	var texts [][]byte
	for _, n := range nodes {
		texts = append(texts, n.raw)
	}
	return newNode(slices.Concat([]byte("["), bytes.Join(texts, []byte(",")), []byte("]")))
}

// descendants returns n and everything inside it.
func (n *node) descendants() []*node {
	all := []*node{n}
	for _, child := range n.children {
		all = append(all, child.descendants()...)
	}
	return all
}

// compare orders numbers and strings.
func compare(a, b *node) (order int, ok bool) {
	switch {
	case a == nil || b == nil || a.kind != b.kind:
		return 0, false
	case a.kind == '0':
		x, _ := new(big.Rat).SetString(string(a.raw))
		y, _ := new(big.Rat).SetString(string(b.raw))
		return x.Cmp(y), true
	case a.kind == '"':
		return strings.Compare(a.text, b.text), true
	default:
		return 0, false
	}
}

func equal(a, b *node) bool {
	if a == nil || b == nil || a.kind != b.kind || len(a.children) != len(b.children) {
		return false
	}
	if order, ok := compare(a, b); ok {
		return order == 0
	}
	for i, child := range a.children {
		other := i
		if a.kind == '{' {
			other = slices.Index(b.keys, a.keys[i])
		}
		if other < 0 || !equal(child, b.children[other]) {
			return false
		}
	}
	return true
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
