// Package clip shortens text that others have written, for errors and logs.
package clip

import "unicode/utf8"

// To returns text that has at most so many bytes, and "…" after it if something was cut off.
// It does not cut within a character.
func To(text string, most int) string {
	if cut := Cut(text, most); cut != text {
		return cut + "…"
	}
	return text
}

// Cut is To without the "…".
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for n := most; n > most-utf8.UTFMax && n >= 0; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n]
		}
	}
	return text[:most] // it is no UTF-8
}
