package deflate

import (
	"strconv"
	"strings"
)

// Extension is the name of the extension in Sec-WebSocket-Extensions.
const Extension = "permessage-deflate"

// MaxWindowBits stands for the window of compress/flate, 32 KiB. It is also the window
// when an offer does not say another one.
const MaxWindowBits = 15

const minWindowBits = 8

// Agreement is an offer that was accepted. Neither side uses context takeover.
type Agreement struct {
	// WindowBits is the binary logarithm of the window that the client has for what we
	// send: 8 to 15.
	WindowBits int
	limited    bool // the client has limited the window, so the answer has to repeat it
}

// String returns the value of Sec-WebSocket-Extensions for the answer.
func (a Agreement) String() string {
	const answer = Extension + "; server_no_context_takeover; client_no_context_takeover"
	if a.limited {
		return answer + "; server_max_window_bits=" + strconv.Itoa(a.WindowBits)
	}
	return answer
}

// Negotiate accepts the first acceptable offer among the values of
// Sec-WebSocket-Extensions of a request. As RFC 7692, section 7, demands, it declines an
// offer with a parameter that is unknown, repeated, or has a wrong value. It skips other
// extensions. If a value breaks the grammar of RFC 6455, section 9.1, Negotiate accepts
// nothing.
func Negotiate(values []string) (Agreement, bool) {
	var accepted Agreement
	found := false
	for _, value := range values {
		p := parser{rest: value}
		for p.more() {
			a, ok := p.offer()
			if p.broken {
				return Agreement{}, false
			}
			if ok && !found {
				accepted, found = a, true
			}
		}
	}
	return accepted, found
}

// parser reads a value of Sec-WebSocket-Extensions.
type parser struct {
	rest   string
	broken bool // the value does not follow the grammar
}

// more skips blanks and commas, because a list may have empty elements. It reports
// whether an extension follows.
func (p *parser) more() bool {
	p.rest = strings.TrimLeft(p.rest, " \t,")
	return p.rest != ""
}

// offer reads an extension with its parameters, up to the comma behind it.
func (p *parser) offer() (Agreement, bool) {
	a := Agreement{WindowBits: MaxWindowBits}
	good := strings.EqualFold(p.token(), Extension)
	var seen parameters
	for p.skip(';') {
		name := p.token()
		value, has := "", p.skip('=')
		if has {
			value = p.value()
		}
		good = good && seen.add(name, value, has, &a)
	}
	if p.rest != "" && p.rest[0] != ',' {
		p.broken = true
	}
	return a, good && !p.broken
}

// skip skips c and the blanks around it, if it comes next.
func (p *parser) skip(c byte) bool {
	rest := strings.TrimLeft(p.rest, " \t")
	if rest == "" || rest[0] != c {
		p.rest = rest
		return false
	}
	p.rest = strings.TrimLeft(rest[1:], " \t")
	return true
}

// token reads a token, which is not empty.
func (p *parser) token() string {
	n := 0
	for n < len(p.rest) && isTokenByte(p.rest[n]) {
		n++
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	p.broken = p.broken || n == 0
	return token
}

// value reads the value of a parameter: a token, or a token in quotes.
func (p *parser) value() string {
	if p.rest == "" || p.rest[0] != '"' {
		return p.token()
	}
	var token []byte
	for n := 1; n < len(p.rest); n++ {
		c := p.rest[n]
		if c == '"' {
			p.rest = p.rest[n+1:]
			p.broken = p.broken || len(token) == 0
			return string(token)
		}
		if c == '\\' && n+1 < len(p.rest) {
			n++
			c = p.rest[n]
		}
		if !isTokenByte(c) { // RFC 6455, section 9.1: without its quotes it has to be a token
			break
		}
		token = append(token, c)
	}
	p.broken = true
	return ""
}

// isTokenByte reports whether a token may have c (RFC 9110, section 5.6.2).
func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// parameters says which parameters of an offer have been read.
type parameters struct{ serverTakeover, clientTakeover, serverBits, clientBits bool }

// add takes a parameter into the agreement. It reports whether the offer can still be
// accepted. (RFC 7692, section 7.1.)
func (s *parameters) add(name, value string, has bool, a *Agreement) bool {
	first := func(seen *bool) bool {
		again := *seen
		*seen = true
		return !again
	}
	switch strings.ToLower(name) {
	case "server_no_context_takeover":
		return first(&s.serverTakeover) && !has
	case "client_no_context_takeover":
		return first(&s.clientTakeover) && !has
	case "client_max_window_bits": // a smaller window is no use to us, and inflating works with every window
		_, ok := windowBits(value)
		return first(&s.clientBits) && (ok || !has)
	case "server_max_window_bits":
		bits, ok := windowBits(value)
		a.WindowBits, a.limited = bits, true
		return first(&s.serverBits) && ok
	}
	return false
}

// windowBits reads a number from 8 to 15, without leading zeros.
func windowBits(value string) (int, bool) {
	for bits := minWindowBits; bits <= MaxWindowBits; bits++ {
		if value == strconv.Itoa(bits) {
			return bits, true
		}
	}
	return 0, false
}
