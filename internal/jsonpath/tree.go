package jsonpath

import (
	"bytes"
	"math"
)

// tree is a JSON text split into its values, so that a search down and up again does not
// read it once more. The nodes are in the order of the text: a value comes before the
// values inside it.
type tree struct {
	json  []byte
	nodes []node
}

// node is a value. Offsets are into the tree's text.
type node struct {
	start, end     int32
	key, keyEnd    int32 // of a member, quotes included; zero for anything else
	next           int32 // the first node that is not inside this one
	hidden         bool  // a later member of the same object has the same key
	object, inside bool  // it is an object; while parsing: its end has not been read
}

// root is the node of the whole text.
const root int32 = 0

// few is the greatest number of members that are compared one by one.
const few = 8

// parse splits json, which may be empty, into nodes. It returns false if json is nested
// too deep, which valid JSON is not, or too large for the offsets.
func (t *tree) parse(json []byte) bool {
	if len(json) > math.MaxInt32 {
		return false
	}
	t.json = json
	s := scanner{json: json}
	var open []int32 // the containers around s.pos
	for s.pos < len(json) {
		if len(open) > 0 && !s.more() {
			s.pos = min(s.pos+1, len(json))
			t.close(open[len(open)-1], s.pos)
			open = open[:len(open)-1]
		} else {
			n := t.add(&s, len(open) > 0 && t.nodes[open[len(open)-1]].object)
			if t.nodes[n].inside {
				open = append(open, n)
			}
		}
		if len(open) == 0 || len(open) > maxDepth {
			break
		}
	}
	for i := len(open) - 1; i >= 0; i-- { // only if json is not valid
		t.close(open[i], len(json))
	}
	return len(open) <= maxDepth
}

// add reads a scalar, or the opening bracket of a container, and the key before
// it if there is one.
func (t *tree) add(s *scanner, keyed bool) int32 {
	var n node
	if keyed {
		key := s.value()
		n.key, n.keyEnd = int32(s.pos-len(key)), int32(s.pos)
		s.separators()
	}
	n.start = int32(s.pos)
	if s.pos < len(s.json) && (s.json[s.pos] == '[' || s.json[s.pos] == '{') {
		n.inside, n.object = true, s.json[s.pos] == '{'
		s.pos++
	} else {
		s.value()
	}
	n.end = int32(s.pos)
	n.next = int32(len(t.nodes) + 1)
	t.nodes = append(t.nodes, n)
	return n.next - 1
}

func (t *tree) close(n int32, end int) {
	t.nodes[n].inside = false
	t.nodes[n].end = int32(end)
	t.nodes[n].next = int32(len(t.nodes))
	if t.nodes[n].object {
		t.hideDuplicates(n)
	}
}

// hideDuplicates hides the members of an object if a later member has the same key.
func (t *tree) hideDuplicates(object int32) {
	end := t.nodes[object].next
	count := 0
	for c := object + 1; c < end; c = t.nodes[c].next {
		count++
	}
	if count > few {
		t.hideDuplicatesOfMany(object, count)
		return
	}
	for c := object + 1; c < end; c = t.nodes[c].next {
		for later := t.nodes[c].next; later < end && !t.nodes[c].hidden; later = t.nodes[later].next {
			t.nodes[c].hidden = compareStrings(t.key(c), t.key(later)) == 0
		}
	}
}

func (t *tree) hideDuplicatesOfMany(object int32, count int) {
	last := make(map[string]int32, count)
	for c := object + 1; c < t.nodes[object].next; c = t.nodes[c].next {
		key := unquote(t.key(c))
		if bytes.IndexByte(key, '\\') >= 0 {
			key = appendUnescaped(nil, key)
		}
		if earlier, ok := last[string(key)]; ok {
			t.nodes[earlier].hidden = true
		}
		last[string(key)] = c
	}
}

func (t *tree) key(n int32) []byte { return t.json[t.nodes[n].key:t.nodes[n].keyEnd] }

// text returns the text of a value.
func (t *tree) text(n int32) []byte {
	start, end := t.nodes[n].start, t.nodes[n].end
	return t.json[start:end:end]
}

func (t *tree) value(n int32) Value { return valueOf(t.text(n)) }

// members returns the number of members of an object.
func (t *tree) members(object int32) int {
	count := 0
	for c := object + 1; c < t.nodes[object].next; c = t.nodes[c].next {
		if !t.nodes[c].hidden {
			count++
		}
	}
	return count
}

// isArray reports whether a node is an array.
func (t *tree) isArray(n int32) bool {
	return t.nodes[n].start < t.nodes[n].end && t.json[t.nodes[n].start] == '['
}
