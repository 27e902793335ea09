package definition

import (
	"encoding/json"
	"slices"
	"strings"
)

type kind int

const (
	nullKind kind = iota
	textKind
	numberKind
	boolKind
	listKind
	mapKind
	noValueKind // AWS::NoValue, only in evaluated nodes
)

// String returns the kind in the words of an error text.
func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "a boolean", "a list", "a map", "AWS::NoValue"}[k]
}

// position is a place in a file.
type position struct {
	file string
	line int
}

// node is a value of a file. A node is never changed once it is made, because an anchor of
// YAML or a variable may use it in several places.
type node struct {
	kind  kind
	text  string     // of a text; a number and a boolean as written
	items []*node    // of a list or a map
	keys  []string   // of a map, one for each item
	keyAt []position // where the keys are
	index *keyIndex  // of the keys, once there are many: see find
	at    position
	size  int // how much work a walk is: see weigh
}

func textNode(at position, text string) *node {
	return &node{kind: textKind, text: text, at: at, size: 1 + len(text)/bytesPerUnit}
}

func listNode(at position, items ...*node) *node {
	n := &node{kind: listKind, at: at, items: items}
	n.weigh()
	return n
}

// mapNode makes a map of keys and values in turn: "Ref", node, "Type", node.
func mapNode(at position, keysAndValues ...any) *node {
	n := &node{kind: mapKind, at: at}
	for i := 0; i < len(keysAndValues); i += 2 {
		if value := keysAndValues[i+1].(*node); value != nil {
			n.set(keysAndValues[i].(string), at, value)
		}
	}
	n.weigh()
	return n
}

func refNode(at position, logicalID string) *node {
	return mapNode(at, "Ref", textNode(at, logicalID))
}

func getAttNode(at position, logicalID, attribute string) *node {
	return mapNode(at, "Fn::GetAtt", listNode(at, textNode(at, logicalID), textNode(at, attribute)))
}

// set adds a key to a map under construction, or replaces its value.
func (n *node) set(key string, at position, value *node) {
	if i := n.find(key); i >= 0 {
		n.items[i], n.keyAt[i] = value, at
		return
	}
	n.keys, n.keyAt, n.items = append(n.keys, key), append(n.keyAt, at), append(n.items, value)
}

const (
	maxSize      = 4_000_000 // units of an expanded file
	bytesPerUnit = 16
)

// weigh sets the size of a node whose items have theirs: the number of its nodes, and
// more for long texts, with everything that is used several times counted each time.
func (n *node) weigh() {
	n.size = 1 + len(n.text)/bytesPerUnit
	for _, key := range n.keys {
		n.size = min(n.size+len(key)/bytesPerUnit, maxSize+1)
	}
	for _, item := range n.items {
		n.size = min(n.size+item.size, maxSize+1)
	}
}

// find returns the index of a key, or -1. The keys of a map under construction may grow.
func (n *node) find(key string) int {
	const few = 16
	if len(n.keys) <= few {
		return slices.Index(n.keys, key)
	}
	if n.index == nil {
		n.index = &keyIndex{at: make(map[string]int, len(n.keys))}
	}
	for x := n.index; x.done < len(n.keys); x.done++ {
		if k := n.keys[x.done]; !x.has(k) {
			x.at[k] = x.done
		}
	}
	if !n.index.has(key) {
		return -1
	}
	return n.index.at[key]
}

// keyIndex has the indexes of the first done keys of a map.
type keyIndex struct {
	at   map[string]int
	done int
}

func (x *keyIndex) has(key string) bool {
	_, known := x.at[key]
	return known
}

// get returns the value of a key, or nil. A nil node and a node that is no map have no keys.
func (n *node) get(path ...string) *node {
	for _, key := range path {
		found := (*node)(nil)
		if n != nil && n.kind == mapKind {
			if i := n.find(key); i >= 0 {
				found = n.items[i]
			}
		}
		n = found
	}
	return n
}

// lineOf returns the place of a key, or of the node if it has no such key.
func (n *node) lineOf(key string) position {
	if i := n.find(key); i >= 0 {
		return n.keyAt[i]
	}
	return n.at
}

// names returns the keys of a map, and none of anything else.
func (n *node) names() []string {
	if !n.isMap() {
		return nil
	}
	return n.keys
}

func (n *node) isMap() bool { return n != nil && n.kind == mapKind }

// absent reports whether a property counts as not given.
func (n *node) absent() bool { return n == nil || n.kind == nullKind || n.kind == noValueKind }

// scalar returns the text of a text, a number or a boolean.
func (n *node) scalar() (string, bool) {
	if n == nil {
		return "", false
	}
	switch n.kind {
	case textKind, numberKind, boolKind:
		return n.text, true
	default:
		return "", false
	}
}

// str returns the text of a scalar, or "".
func (n *node) str() string {
	text, _ := n.scalar()
	return text
}

// intrinsic returns the name and the argument of a map that is a function call: "Ref",
// "Condition" or "Fn::…" as its only key.
func (n *node) intrinsic() (string, *node) {
	if n == nil || n.kind != mapKind || len(n.keys) != 1 {
		return "", nil
	}
	if name := n.keys[0]; name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
		return name, n.items[0]
	}
	return "", nil
}

// value returns the node as Go values: string, json.Number, bool, []any and map[string]any.
// What is nothing is left out.
func (n *node) value() any {
	switch n.kind {
	case textKind:
		return n.text
	case numberKind:
		return json.Number(n.text)
	case boolKind:
		return n.text == "true"
	case listKind:
		list := []any{}
		for _, item := range n.items {
			if !item.absent() {
				list = append(list, item.value())
			}
		}
		return list
	case mapKind:
		m := map[string]any{}
		for i, item := range n.items {
			if !item.absent() {
				m[n.keys[i]] = item.value()
			}
		}
		return m
	default:
		return nil
	}
}

// json returns the node as JSON text, with the keys in the order of the file.
func (n *node) json() string {
	var b strings.Builder
	n.writeJSON(&b)
	return b.String()
}

func (n *node) writeJSON(b *strings.Builder) {
	switch n.kind {
	case numberKind, boolKind:
		b.WriteString(n.text)
	case textKind:
		b.WriteString(quote(n.text))
	case listKind, mapKind:
		begin, end := "[", "]"
		if n.kind == mapKind {
			begin, end = "{", "}"
		}
		b.WriteString(begin)
		first := true
		for i, item := range n.items {
			if item.kind == noValueKind {
				continue
			}
			if !first {
				b.WriteByte(',')
			}
			first = false
			if n.kind == mapKind {
				b.WriteString(quote(n.keys[i]) + ":")
			}
			item.writeJSON(b)
		}
		b.WriteString(end)
	default:
		b.WriteString("null")
	}
}

func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string and a strings.Builder never fail
	return strings.TrimSuffix(b.String(), "\n")
}
