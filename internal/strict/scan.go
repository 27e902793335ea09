package strict

import (
	"bytes"
	"encoding/json"
)

// enter goes behind the bracket at the position.
func (w *walker) enter() { w.pos++ }

// more goes to the next member or item, and reports whether there is one. If not, it goes
// behind the closing bracket, end.
func (w *walker) more(end byte) bool {
	w.space()
	if w.text[w.pos] == ',' {
		w.pos++
		w.space()
	}
	if w.text[w.pos] == end {
		w.pos++
		return false
	}
	return true
}

// name returns the name of a member, decoded, and goes to its value. The name shares the
// memory of the text, unless it has escapes. It is not nil.
func (w *walker) name() []byte {
	start := w.pos
	w.skip()
	name := w.text[start+1 : w.pos-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var decoded string
		_ = json.Unmarshal(w.text[start:w.pos], &decoded) // the text is valid
		name = append(make([]byte, 0, len(decoded)), decoded...)
	}
	w.space()
	w.pos++ // the colon
	w.space()
	return name
}

func (w *walker) space() {
	for w.pos < len(w.text) {
		switch w.text[w.pos] {
		case ' ', '\n', '\t', '\r':
			w.pos++
		default:
			return
		}
	}
}

// skip goes behind the value at the position. It does not recurse.
func (w *walker) skip() {
	switch w.text[w.pos] {
	case '"':
		w.pos = stringEnd(w.text, w.pos)
	case '{', '[':
		depth := 0
		for {
			switch w.text[w.pos] {
			case '"':
				w.pos = stringEnd(w.text, w.pos)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if w.pos++; depth == 0 {
				return
			}
		}
	default:
		for w.pos < len(w.text) && bytes.IndexByte([]byte(",]} \n\t\r"), w.text[w.pos]) < 0 {
			w.pos++
		}
	}
}

// stringEnd returns the offset behind the string that begins at start.
func stringEnd(text []byte, start int) int {
	for i := start + 1; ; i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}
