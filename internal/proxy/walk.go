package proxy

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// This file reads the entries of the headers, from right to left.

// walk is what a header tells about the client.
type walk struct {
	address     netip.Addr // of the client; invalid if the header tells none
	host, proto string     // of the same entry of Forwarded
	hops        int        // how many entries right of the client's are those of proxies
	before      string     // what is left of the client's entry
}

// walkList reads the lines of X-Forwarded-For. It ends at the first address that is not
// trusted, and before an entry that is no address: then the last address counts.
func (t *Trusted) walkList(lines []string) (w walk) {
	rest := entriesOf(lines, lastComma)
	unread := *rest
	for range most {
		text, ok := rest.next()
		address := addressOf(text)
		if !ok || !address.IsValid() {
			break
		}
		if w.address.IsValid() {
			w.hops++
		}
		w.address, unread = address, *rest
		if !t.trusts(address) {
			break
		}
	}
	w.before = unread.String()
	return w
}

// walkForwarded reads the lines of Forwarded in the same way.
func (t *Trusted) walkForwarded(lines []string) (w walk) {
	rest := entriesOf(lines, lastCommaOutside)
	for range most {
		text, _ := rest.next()
		said, ok := elementOf(text)
		if !ok {
			break
		}
		w.address, w.host, w.proto = said.address, said.host, said.proto
		if !t.trusts(said.address) {
			break
		}
	}
	return w
}

// entries gives the entries of a header from right to left, without empty ones: RFC 9110,
// section 5.6.1, lets a list have some.
type entries struct {
	lines []string // not read yet
	left  string   // what is not read of the line after them
	cut   func(text string) int
}

// entriesOf returns the entries of the lines of a header. cut returns where the last entry
// of a text is split off, or -1 if there is no other.
func entriesOf(lines []string, cut func(text string) int) *entries {
	return &entries{lines: lines, cut: cut}
}

// next returns the next entry. It is false at the end, and after many empty entries.
func (e *entries) next() (text string, ok bool) {
	for range most {
		if e.left == "" {
			if len(e.lines) == 0 {
				return "", false
			}
			last := len(e.lines) - 1
			e.lines, e.left = e.lines[:last], e.lines[last]
		}
		at := e.cut(e.left)
		text, e.left = strings.Trim(e.left[at+1:], " \t"), strings.TrimRight(e.left[:max(at, 0)], " \t")
		if text != "" {
			return text, true
		}
	}
	return "", false
}

// String returns what is not read yet.
func (e *entries) String() string {
	all := strings.Join(e.lines, ", ")
	if all != "" && e.left != "" {
		all += ", "
	}
	return all + e.left
}

func lastComma(text string) int { return strings.LastIndexByte(text, ',') }

// lastCommaOutside returns the last comma that is outside of a quoted text, seen from the
// right: what a client has written further left cannot change that.
func lastCommaOutside(text string) int {
	quoted := false
	for n := len(text) - 1; n >= 0; n-- {
		switch text[n] {
		case '"':
			if !quoted || !escaped(text, n) {
				quoted = !quoted
			}
		case ',':
			if !quoted {
				return n
			}
		}
	}
	return -1
}

// escaped reports whether an odd number of backslashes is before the character at n.
func escaped(text string, n int) bool {
	slashes := 0
	for n--; n >= 0 && text[n] == '\\'; n-- {
		slashes++
	}
	return slashes%2 == 1
}

// element is an entry of Forwarded.
type element struct {
	address     netip.Addr
	host, proto string
}

// elementOf reads an entry of Forwarded. It is false if the entry breaks a rule of RFC 7239,
// or has no address: "unknown" and hidden names, such as _gazonk, are none.
func elementOf(text string) (e element, ok bool) {
	seen := map[string]bool{}
	for text != "" && len(seen) < most {
		name, rest, found := strings.Cut(text, "=")
		value, rest, valid := valueOf(rest)
		name = strings.ToLower(strings.Trim(name, " \t"))
		if !found || !valid || name == "" || seen[name] {
			return element{}, false
		}
		seen[name] = true
		switch name {
		case "for":
			e.address = addressOf(value)
		case "host":
			e.host = hostText(value)
		case "proto":
			e.proto = protoText(value)
		}
		text = rest
	}
	return e, text == "" && e.address.IsValid()
}

// valueOf reads the value at the beginning of text, a token or a quoted text, and the
// semicolon after it.
func valueOf(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ";")
		value = strings.TrimRight(value, " \t")
		return value, rest, value != "" && !strings.ContainsAny(value, "\" \t,")
	}
	var b strings.Builder
	for n := 1; n < len(text); n++ {
		switch text[n] {
		case '\\':
			n++
			if n == len(text) {
				return "", "", false
			}
			b.WriteByte(text[n])
		case '"':
			rest = strings.TrimLeft(text[n+1:], " \t")
			after, semicolon := strings.CutPrefix(rest, ";")
			return b.String(), after, semicolon || rest == ""
		default:
			b.WriteByte(text[n])
		}
	}
	return "", "", false
}

// longest is the longest text of an address with a port.
const longest = len("[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535")

// addressOf reads an address, which may have a port, and brackets if it is one of IPv6. It is
// invalid if the text is anything else. A zone means something only on the machine that has
// written it, so an address with a zone is none.
func addressOf(text string) netip.Addr {
	if len(text) > longest {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		inside, bracket := strings.CutPrefix(text, "[")
		inside, closed := strings.CutSuffix(inside, "]")
		if bracket && closed {
			address, err = netip.ParseAddr(inside)
			if err == nil && !address.Is6() {
				return netip.Addr{}
			}
		} else {
			var port netip.AddrPort
			port, err = netip.ParseAddrPort(text)
			address = port.Addr()
		}
	}
	if err != nil || address.Zone() != "" {
		return netip.Addr{}
	}
	return address.Unmap()
}

// entry returns the entry of a header that belongs to the client: the one before those of
// the proxies, or the leftmost one if there are fewer.
func entry(lines []string, hops int) (text string) {
	rest := entriesOf(lines, lastComma)
	for range hops + 1 {
		said, ok := rest.next()
		if !ok {
			break
		}
		text = said
	}
	return text
}

// hostText returns a host that may have a port, or "" if the text is none.
func hostText(text string) string {
	const longestHost = 255 + len(":65535")
	if len(text) > longestHost || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" || strings.HasSuffix(text, ":") || u.Port() != "" && portText(u.Port()) == "" {
		return ""
	}
	return text
}

// protoText returns the scheme that a text means, or "".
func protoText(text string) string {
	switch strings.ToLower(text) {
	case "https", "wss":
		return "https"
	case "http", "ws":
		return "http"
	}
	return ""
}

// portText returns the text if it is a port, or "".
func portText(text string) string {
	if n, err := strconv.ParseUint(text, 10, 16); err != nil || n == 0 {
		return ""
	}
	return text
}
