package jsonpath

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is the greatest number of nested arrays and objects. RFC 8259, section 9,
// leaves it to the implementation; this is the limit of encoding/json.
const maxDepth = 10_000

// Valid reports whether json is a JSON text of RFC 8259 that is encoded in UTF-8 (section
// 8.1) and has at most 10,000 nested levels. encoding/json accepts the same texts, and also
// texts with invalid UTF-8.
//
// gjson accepts invalid UTF-8 too, and any number of levels. Its validator recurses, so
// that one message of 128 KiB would grow a goroutine's stack to 16 MiB (gjson v1.20.0).
// With 10,000 levels the stack has 1 MiB.
func Valid(json []byte) bool {
	return depthWithin(json, maxDepth) && gjson.ValidBytes(json) && utf8.Valid(json)
}

// depthWithin reports whether json has at most limit nested levels. In invalid JSON it is
// exact up to the first error; a validator does not go further.
func depthWithin(json []byte, limit int) bool {
	// Most texts have fewer brackets than that, and to count them is much cheaper than to
	// find out which of them are in strings.
	if bytes.Count(json, []byte{'['})+bytes.Count(json, []byte{'{'}) <= limit {
		return true
	}
	depth := 0
	for i := 0; i < len(json); i++ {
		switch json[i] {
		case '"':
			i = stringEnd(json, i) - 1
		case '[', '{':
			depth++
			if depth > limit {
				return false
			}
		case ']', '}':
			depth--
		}
	}
	return true
}

// scanner splits a valid JSON text into values. It splits other bytes somewhere, but it
// always advances, and never reads outside the text.
type scanner struct {
	json []byte
	pos  int
}

// more reports whether another value follows in the array or object that the
// scanner is in.
func (s *scanner) more() bool {
	s.separators()
	return s.pos < len(s.json) && s.json[s.pos] != ']' && s.json[s.pos] != '}'
}

// value returns the text of the next value or key.
func (s *scanner) value() []byte {
	s.separators()
	start := s.pos
	if start == len(s.json) {
		return nil
	}
	switch s.json[start] {
	case '"':
		s.pos = stringEnd(s.json, start)
	case '[', '{':
		s.pos = containerEnd(s.json, start)
	default:
		s.pos = scalarEnd(s.json, start)
	}
	// The capacity is limited, so that an append cannot write into the input.
	return s.json[start:s.pos:s.pos]
}

// separators skips white space, commas and colons.
func (s *scanner) separators() {
	for s.pos < len(s.json) && (isSpace(s.json[s.pos]) || s.json[s.pos] == ',' || s.json[s.pos] == ':') {
		s.pos++
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// trimSpace removes the white space at both ends, and limits the capacity.
func trimSpace(json []byte) []byte {
	start, end := 0, len(json)
	for start < end && isSpace(json[start]) {
		start++
	}
	for start < end && isSpace(json[end-1]) {
		end--
	}
	return json[start:end:end]
}

// stringEnd returns the offset after the closing quote of the string that begins at start.
func stringEnd(json []byte, start int) int {
	i := start + 1
	for {
		quote := bytes.IndexByte(json[i:], '"')
		if quote < 0 {
			return len(json)
		}
		quote += i
		// A quote after an odd number of backslashes is escaped. The search backwards
		// ends at i, where the last quote was, so that each byte is read at most twice.
		backslashes := 0
		for quote-backslashes > i && json[quote-backslashes-1] == '\\' {
			backslashes++
		}
		i = quote + 1
		if backslashes%2 == 0 {
			return i
		}
	}
}

// containerEnd returns the offset after the array or object that begins at start. It does
// not recurse.
func containerEnd(json []byte, start int) int {
	depth := 0
	for i := start; i < len(json); i++ {
		switch json[i] {
		case '"':
			i = stringEnd(json, i) - 1
		case '[', '{':
			depth++
		case ']', '}':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(json)
}

func scalarEnd(json []byte, start int) int {
	i := start + 1
	for i < len(json) && !isSpace(json[i]) && json[i] != ',' && json[i] != ']' && json[i] != '}' {
		i++
	}
	return i
}

// keyIs reports whether a key, given as its text with the quotes, decodes to name.
func keyIs(key []byte, name string) bool {
	content := unquote(key)
	if len(content) < len(name) {
		return false // no character is longer decoded than encoded
	}
	if bytes.IndexByte(content, '\\') < 0 {
		return string(content) == name
	}
	var buf [utf8.UTFMax]byte
	for len(content) > 0 {
		char := content[:1]
		size := 1
		if content[0] == '\\' {
			var r rune
			r, size = decodeEscape(content)
			size = max(size, 1)
			char = utf8.AppendRune(buf[:0], r)
		}
		if len(name) < len(char) || name[:len(char)] != string(char) {
			return false
		}
		content, name = content[size:], name[len(char):]
	}
	return name == ""
}

// unquote strips the quotes.
func unquote(text []byte) []byte {
	if len(text) < 2 {
		return nil
	}
	end := len(text) - 1
	return text[1:end:end]
}

// appendUnescaped appends what content, the text between the quotes of a JSON
// string, decodes to.
func appendUnescaped(dst, content []byte) []byte {
	for {
		plain := bytes.IndexByte(content, '\\')
		if plain < 0 {
			return append(dst, content...)
		}
		dst = append(dst, content[:plain]...)
		content = content[plain:]
		r, size := decodeEscape(content)
		if size > 0 {
			dst = utf8.AppendRune(dst, r)
		}
		content = content[max(size, 1):]
	}
}

// decodeEscape decodes the escape at the start of s. The size is 0 if JSON has no such
// escape. Half a surrogate pair gives U+FFFD, and the text after it is read on its own, as
// in encoding/json.
func decodeEscape[T []byte | string](s T) (r rune, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return decodeUnicode(s)
	default:
		return 0, 0
	}
}

func decodeUnicode[T []byte | string](s T) (r rune, size int) {
	r = hex4(s)
	switch {
	case r < 0:
		return 0, 0
	case !utf16.IsSurrogate(r):
		return r, 6
	}
	if pair := utf16.DecodeRune(r, hex4(s[6:])); pair != utf8.RuneError {
		return pair, 12
	}
	return utf8.RuneError, 6
}

// hex4 decodes \uXXXX at the start of s, or returns -1.
func hex4[T []byte | string](s T) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	r := rune(0)
	for i := 2; i < 6; i++ {
		c := rune(s[i])
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | c
	}
	return r
}
