package jsonpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Extent returns the number of bytes at the start of text that belong to a path. The path
// begins with a name and stands in other text without a mark at its end, as after the "$"
// of "$request.body.items[0].type/x".
//
// Part of the path are letters, digits, "_" and "-", brackets with everything in them, and
// a "." or ".." if one of these or a "*" follows. Any other "." or "*" ends the path:
// "a.*/b" ends after the "*", and "a*" before it. Extent does not check the path: all of
// "a.*b" is part of it, although [Compile] does not accept that. A bracket that is not
// closed takes the rest of text.
func Extent(text string) int {
	pos := nameSize(text)
	for size := pos; size > 0; pos += size {
		size = extentSize(text[pos:])
	}
	return pos
}

// extentSize returns the number of bytes at the start of text that continue a path.
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

// nameSize returns the size of the character at the start of text if it may be in a name,
// and otherwise 0.
func nameSize(text string) int {
	r, size := utf8.DecodeRuneInString(text)
	// A mark, such as a combining accent, is part of the letter before it.
	if r == '_' || r == '-' || unicode.In(r, unicode.L, unicode.Nd, unicode.M) {
		return size
	}
	return 0
}

// IndexClose returns the offset of the first closing byte in text that is outside the
// brackets of the path, or -1. For text after a "${" that is the "}".
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

// bracketEnd returns the offset after the bracket that closes the one at start, or the
// length of text. Brackets in quotes and in regular expressions are ignored.
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

// quoteEnd returns the offset after the quote that closes the one at start, or the length
// of text.
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

// patternEnd returns the offset after the "~" at start. If the "~" ends a "=~", it returns
// the offset after the regular expression that follows, or the length of text.
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
