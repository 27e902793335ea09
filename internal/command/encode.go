package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// The most bytes of the values of [State], [Groups] and [Principal] in a request. Many servers
// take 8 KiB of headers in all, and refuse a request with more before any program sees it.
const (
	maxState     = 4 << 10
	maxGroups    = 2 << 10
	maxPrincipal = 512
)

// ForRequest returns the headers that tell a backend of the principal, the state and the
// groups of a connection. What is too long for a header is left out as a whole, and named in [Omitted]:
// a backend would take a part for all.
func ForRequest(principal string, state []byte, groups []string) map[string]string {
	if len(principal)+len(state)+len(groups) == 0 {
		return nil
	}
	headers, omitted := map[string]string{}, []string{}
	add := func(name, value string, most int) {
		if len(value) > most {
			omitted = append(omitted, name)
		} else {
			headers[name] = value
		}
	}
	if principal != "" {
		add(Principal, percent(principal, "%"), maxPrincipal)
	}
	if len(state) > 0 {
		add(State, EncodeState(state), maxState)
	}
	if len(groups) > 0 {
		add(Groups, EncodeGroups(groups), maxGroups)
	}
	if len(omitted) > 0 {
		headers[Omitted] = strings.Join(omitted, ", ")
	}
	return headers
}

// EncodeState returns a state as a header can hold it, whatever it has: printable ASCII
// without blanks at the ends. JSON stays JSON: other characters become \u escapes. Any
// other text is percent-encoded, but only where it has to be. It is what an answer may have
// as [State].
func EncodeState(state []byte) string {
	if json.Valid(state) {
		return asciiJSON(state)
	}
	text := percent(string(state), "%")
	if json.Valid([]byte(text)) { // it would be read as JSON
		text = fmt.Sprintf("%%%02X%s", text[0], text[1:])
	}
	return text
}

// EncodeGroups returns the names of groups as a list in a header.
func EncodeGroups(groups []string) string {
	encoded := make([]string, len(groups))
	for n, group := range groups {
		encoded[n] = percent(group, "% \",;")
	}
	return strings.Join(encoded, ", ")
}

// asciiJSON returns JSON in printable ASCII, with blanks for other white space. In JSON,
// other characters than ASCII are only in strings, and control characters only between
// values.
func asciiJSON(state []byte) string {
	var b strings.Builder
	for _, r := range strings.Trim(string(state), " \t\r\n") {
		switch {
		case r < ' ':
			b.WriteByte(' ')
		case r < 0x7f:
			b.WriteByte(byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// percent encodes the bytes of text that are not printable ASCII, those of special, and
// blanks at the ends.
func percent(text, special string) string {
	begin := len(text) - len(strings.TrimLeft(text, " "))
	end := len(strings.TrimRight(text, " "))
	var b strings.Builder
	for n := range len(text) {
		c := text[n]
		if c < ' ' || c >= 0x7f || n < begin || n >= end || strings.IndexByte(special, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
