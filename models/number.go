package models

import (
	"math/big"
	"strconv"
	"strings"
)

// decimal is an exact JSON number. The zeros of its exponent are never written out, so
// that 1e999999999 costs no more than 1. The zero value is 0.
type decimal struct {
	negative bool
	digits   string // without zeros at either end; "" is zero
	exponent int    // digits is multiplied by this power of ten
}

// maxExponent is the greatest exponent. Greater ones are all treated as equal.
const maxExponent = 1 << 40

// parseDecimal reads a number that follows JSON's grammar.
func parseDecimal(text string) (d decimal) {
	text, d.negative = strings.CutPrefix(text, "-")
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		exponent, _ := strconv.ParseInt(text[e+1:], 10, 64) // if out of range, it is the nearest number
		d.exponent = int(min(max(exponent, -maxExponent), maxExponent))
		text = text[:e]
	}
	if whole, fraction, ok := strings.Cut(text, "."); ok {
		fraction = strings.TrimRight(fraction, "0")
		d.exponent -= len(fraction)
		text = whole + fraction
	}
	d.digits = strings.TrimRight(text, "0")
	d.exponent += len(text) - len(d.digits)
	d.digits = strings.TrimLeft(d.digits, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

// ratDecimal converts a bound of a schema, which is a finite decimal.
func ratDecimal(r *big.Rat) decimal {
	places, _ := r.FloatPrec()
	return parseDecimal(r.FloatString(places))
}

// isInteger reports whether d is an integer, as 1.0 and 1e3 are.
func (d decimal) isInteger() bool { return d.exponent >= 0 }

// compare returns the sign of d-e.
func (d decimal) compare(e decimal) int {
	switch {
	case d.negative != e.negative:
		return d.sign() - e.sign()
	case d.negative:
		return e.compareMagnitude(d)
	default:
		return d.compareMagnitude(e)
	}
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	default:
		return 1
	}
}

func (d decimal) compareMagnitude(e decimal) int {
	if d.digits == "" || e.digits == "" {
		return len(d.digits) - len(e.digits)
	}
	if most := len(d.digits) + d.exponent - len(e.digits) - e.exponent; most != 0 {
		return most
	}
	return strings.Compare(d.digits, e.digits) // there are no zeros at the end, so a prefix is less
}

// isMultipleOf reports whether d divided by e, which is not zero, is an integer.
func (d decimal) isMultipleOf(e decimal) bool {
	if d.digits == "" {
		return true
	}
	shift := d.exponent - e.exponent
	if shift < 0 {
		return false // d's digits would have to end in zeros
	}
	dividend, _ := new(big.Int).SetString(d.digits, 10)
	divisor, _ := new(big.Int).SetString(e.digits, 10)
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(shift)), divisor)
	dividend.Mul(dividend.Mod(dividend, divisor), power)
	return dividend.Mod(dividend, divisor).Sign() == 0
}

// String writes d as schemas do: without an exponent if that is short.
func (d decimal) String() string {
	sign := ""
	if d.negative {
		sign = "-"
	}
	switch whole := len(d.digits) + d.exponent; {
	case d.digits == "":
		return "0"
	case d.exponent >= 0 && whole <= 21:
		return sign + d.digits + strings.Repeat("0", d.exponent)
	case d.exponent < 0 && whole > 0:
		return sign + d.digits[:whole] + "." + d.digits[whole:]
	case d.exponent < 0 && whole > -6:
		return sign + "0." + strings.Repeat("0", -whole) + d.digits
	default:
		return sign + d.digits + "e" + strconv.Itoa(d.exponent)
	}
}

// append writes d so that equal numbers give equal bytes.
func (d decimal) append(b []byte) []byte {
	if d.negative {
		b = append(b, '-')
	}
	b = append(b, d.digits...)
	b = append(b, 'e')
	return strconv.AppendInt(b, int64(d.exponent), 10)
}
