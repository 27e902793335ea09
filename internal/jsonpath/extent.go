package jsonpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Extent returns how many bytes at the start of text belong to a path, beginning
// with a name, that stands in other text with nothing to mark its end, as in
// "$request.body.items[0].type/x" behind the "$". It goes on over letters,
// digits, "_", "-" and brackets, and over a "." or ".." that one of these or a
// "*" follows: ".." and "*" are no path that [Compile] accepts today, but as
// plain text they would change their meaning once it does. Any other "." is not
// part of the path. Extent does not check the path; an open bracket takes the
// rest of text.
func Extent(text string) int {
	pos := nameSize(text)
	for size := pos; size > 0; pos += size {
		size = extentSize(text[pos:])
	}
	return pos
}

// extentSize returns how many bytes at the start of text go on with a path.
func extentSize(text string) int {
	switch {
	case strings.HasPrefix(text, "["):
		return bracketEnd(text, 0)
	case !strings.HasPrefix(text, "."):
		return nameSize(text)
	}
	next := strings.TrimPrefix(text[1:], ".")
	switch {
	case nameSize(next) > 0, strings.HasPrefix(next, "["):
		return len(text) - len(next)
	case strings.HasPrefix(next, "*"):
		return len(text) - len(next) + len("*")
	default:
		return 0
	}
}

// nameSize returns the size of the name character that text begins with, or 0.
func nameSize(text string) int {
	r, size := utf8.DecodeRuneInString(text)
	// A mark, such as a combining accent, is a part of the letter before it.
	if r == '_' || r == '-' || unicode.In(r, unicode.L, unicode.Nd, unicode.M) {
		return size
	}
	return 0
}

// IndexClose returns the offset of the first closing byte in text that stands
// outside of the path's brackets, or -1: the "}" for text behind a "${".
func IndexClose(text string, closing byte) int {
	for i := 0; i < len(text); {
		switch text[i] {
		case closing:
			return i
		case '[':
			i = bracketEnd(text, i)
		default:
			i++
		}
	}
	return -1
}

// bracketEnd returns the offset behind the bracket that closes the one at start,
// or the length of text. Brackets in quotes do not count.
func bracketEnd(text string, start int) int {
	depth, quote := 0, byte(0)
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}
