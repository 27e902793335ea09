package event

import "bytes"

// scanner reads the members of a JSON object or the elements of an array, one after the
// other. The text must be valid JSON: it does not check it.
type scanner struct {
	rest   []byte
	object bool
	name   []byte // of an object's member, as quoted
	value  []byte // without blanks around it
}

// newScanner returns a scanner for text, an object or array without blanks
// around it.
func newScanner(text []byte) scanner {
	return scanner{rest: text[1 : len(text)-1], object: text[0] == '{'}
}

// next steps to the first or next member.
func (s *scanner) next() bool {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n,")
	if len(s.rest) == 0 {
		return false
	}
	if s.object {
		n := extent(s.rest)
		s.name = s.rest[:n]
		s.rest = bytes.TrimLeft(s.rest[n:], " \t\r\n:")
	}
	n := extent(s.rest)
	s.value, s.rest = s.rest[:n], s.rest[n:]
	return true
}

// key returns the member's name.
func (s *scanner) key() []byte { return unquote(s.name) }

// extent returns the length of the value at the beginning of text.
func extent(text []byte) int {
	switch text[0] {
	case '"':
		return stringExtent(text)
	case '{', '[':
		depth := 0
		for n := 0; ; n++ {
			switch text[n] {
			case '"':
				n += stringExtent(text[n:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return n + 1
				}
			}
		}
	}
	if n := bytes.IndexAny(text, " \t\r\n,]}"); n >= 0 {
		return n
	}
	return len(text)
}

func stringExtent(text []byte) int {
	for n := 1; ; n++ {
		switch text[n] {
		case '\\':
			n++
		case '"':
			return n + 1
		}
	}
}
