package jsonpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Extent returns how many bytes at the start of text belong to a path, beginning
// with a name, that stands in other text with nothing to mark its end, as in
// "$request.body.items[0].type/x" behind the "$". It goes on over letters,
// digits, "_", "-" and brackets, whatever these hold, and over a "." or ".." that
// one of these or a "*" follows. Any other "." or "*" is not part of the path:
// "a.*/b" ends behind the "*", and "a*" before it. Extent does not check the path,
// so that "a.*b" is all of it and none that [Compile] accepts; an open bracket
// takes the rest of text.
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
// or the length of text. Brackets in quotes and in regular expressions do not
// count.
func bracketEnd(text string, start int) int {
	depth := 0
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '\'', '"':
			i = quoteEnd(text, i) - 1
		case '~':
			i = patternEnd(text, i) - 1
		case '[':
			depth++
		case ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

// quoteEnd returns the offset behind the quote that closes the one at start, or
// the length of text.
func quoteEnd(text string, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[start]:
			return i + 1
		}
	}
	return len(text)
}

// patternEnd returns the offset behind the "~" at start and the regular
// expression that belongs to it, if it is the end of a "=~", or the length of
// text.
func patternEnd(text string, start int) int {
	behind := len(text) - len(strings.TrimLeft(text[start+1:], " "))
	if start == 0 || text[start-1] != '=' || behind == len(text) || text[behind] != '/' {
		return start + 1
	}
	if end := regexpEnd(text, behind); end >= 0 {
		return end
	}
	return len(text)
}
