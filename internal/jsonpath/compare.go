package jsonpath

import (
	"bytes"
	"cmp"
	"unicode/utf8"
)

// compareStrings orders two JSON strings by the code points they decode to. It stops
// reading at the first difference.
func compareStrings(a, b []byte) int {
	a, b = unquote(a), unquote(b)
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return bytes.Compare(a, b)
	}
	for len(a) > 0 && len(b) > 0 {
		r, sizeA := decodeChar(a)
		s, sizeB := decodeChar(b)
		if r != s {
			return cmp.Compare(r, s)
		}
		a, b = a[sizeA:], b[sizeB:]
	}
	return cmp.Compare(len(a), len(b))
}

// decodeChar decodes the first character between the quotes of a string.
func decodeChar(s []byte) (r rune, size int) {
	if s[0] != '\\' {
		return utf8.DecodeRune(s)
	}
	r, size = decodeEscape(s)
	return r, max(size, 1)
}

// compareNumbers orders two JSON numbers by their exact values. Only exponents beyond
// ±10^15 are all treated as equal.
func compareNumbers(a, b []byte) int {
	x, y := parseDecimal(a), parseDecimal(b)
	switch {
	case x.sign != y.sign:
		return cmp.Compare(x.sign, y.sign)
	case x.exponent != y.exponent:
		return x.sign * cmp.Compare(x.exponent, y.exponent)
	}
	for i := range max(x.digits(), y.digits()) {
		if c := cmp.Compare(x.digit(i), y.digit(i)); c != 0 {
			return x.sign * c
		}
	}
	return 0
}

// decimal is sign × 0.d1d2… × 10^exponent, where d1 is not zero. The number zero has the
// sign 0 and the exponent 0.
type decimal struct {
	sign            int
	whole, fraction []byte // d1d2…, cut where the point was
	exponent        int64
}

func parseDecimal(text []byte) decimal {
	d := decimal{sign: 1}
	if len(text) > 0 && text[0] == '-' {
		d.sign, text = -1, text[1:]
	}
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		d.exponent, text = parseExponent(text[i+1:]), text[:i]
	}
	d.whole, d.fraction, _ = bytes.Cut(text, []byte{'.'})
	d.whole = bytes.TrimLeft(d.whole, "0")
	if len(d.whole) == 0 {
		fraction := bytes.TrimLeft(d.fraction, "0")
		d.exponent -= int64(len(d.fraction) - len(fraction))
		d.fraction = fraction
	}
	if len(d.whole)+len(d.fraction) == 0 {
		return decimal{}
	}
	d.exponent += int64(len(d.whole))
	return d
}

func parseExponent(text []byte) int64 {
	const limit = 1_000_000_000_000_000
	exponent := int64(0)
	for _, c := range text {
		if '0' <= c && c <= '9' {
			exponent = min(exponent*10+int64(c-'0'), limit)
		}
	}
	if len(text) > 0 && text[0] == '-' {
		return -exponent
	}
	return exponent
}

func (d *decimal) digits() int { return len(d.whole) + len(d.fraction) }

// digit returns the digit at i, as a character.
func (d *decimal) digit(i int) byte {
	switch {
	case i < len(d.whole):
		return d.whole[i]
	case i < d.digits():
		return d.fraction[i-len(d.whole)]
	default:
		return '0'
	}
}
