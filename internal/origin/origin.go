// Package origin decides by the Origin header of a request whether a page may open a
// WebSocket. (RFC 6454; RFC 6455, section 10.2.)
package origin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// Patterns are the origins that are allowed in addition to the server's own. The zero
// value has none. It is safe for concurrent use as long as it is not changed.
type Patterns []Pattern

// Pattern is one origin, or a set of origins. Make it with [Parse].
type Pattern struct {
	every  bool   // "*"
	opaque string // the whole text of an origin without a host: "null" or "file://"

	scheme string // "": any
	host   string // as hostOf returns it; "*" stands for any text
	port   string // "": any; never "" with a scheme that has a default port
}

// The two origins without a host that a pattern can name. Pages in a sandboxed frame and
// pages of data: URLs have the first. Files and Electron programs have the second.
const (
	opaqueNull = "null"
	opaqueFile = "file://"
)

// wildcard stands for every origin, every host or every port.
const wildcard = "*"

// Parse reads a pattern:
//
//	"*"                              every origin
//	"null", "file://"                that origin, which has no host
//	["scheme://"] host [":" port]    the origins with that host
//
// The host is a name, an IPv4 address or an IPv6 address in brackets. In a name
// "*" stands for any text, dots included. Without a scheme each scheme matches, and
// without a port each port. After a scheme the pattern is one full origin: no port
// means the default port of the scheme. The port "*" means each port.
func Parse(text string) (Pattern, error) {
	rest := strings.ToLower(text)
	switch {
	case rest == "":
		return Pattern{}, errors.New(`it is empty: leave it out, or write "*" to allow every page`)
	case rest != strings.TrimSpace(rest):
		return Pattern{}, errors.New("it has a blank at its beginning or end: remove the blank")
	case rest == wildcard:
		return Pattern{every: true}, nil
	case rest == opaqueNull, rest == opaqueFile:
		return Pattern{opaque: rest}, nil
	}
	var p Pattern
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		switch {
		case scheme == "ws", scheme == "wss":
			return Pattern{}, fmt.Errorf("an origin is that of the page, which is never at %s: write http or https", scheme)
		case !isScheme(scheme):
			return Pattern{}, fmt.Errorf("%q is not a scheme: write it like https, or leave it out to allow each scheme", scheme)
		}
		p.scheme, rest = scheme, after
	}
	if strings.ContainsAny(rest, "/?#@") {
		return Pattern{}, fmt.Errorf("%q is more than an origin: remove everything but scheme, host and port", text)
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return Pattern{}, err
	}
	if p.host, err = parseHost(host); err != nil {
		return Pattern{}, err
	}
	if p.port, err = parsePort(port); err != nil {
		return Pattern{}, err
	}
	switch p.port {
	case wildcard:
		p.port = ""
	case "":
		p.port = defaultPort(p.scheme)
	}
	return p, nil
}

// splitPort splits "host:port" and "[address]:port". It leaves a colon without a port to
// parsePort.
func splitPort(text string) (host, port string, err error) {
	if end := strings.LastIndexByte(text, ']'); strings.HasPrefix(text, "[") && end > 0 {
		if host, port = text[:end+1], text[end+1:]; port != "" && port[0] != ':' {
			return "", "", fmt.Errorf("%q follows the address: want a colon and the port", port)
		}
		return host, port, nil
	}
	colon := strings.IndexByte(text, ':')
	switch {
	case colon < 0:
		return text, "", nil
	case strings.Count(text, ":") > 1:
		return "", "", errors.New("it has more than one colon: write an IPv6 address in brackets, like [::1]:3000")
	}
	return text[:colon], text[colon:], nil
}

// parsePort reads "", ":*", or ":" with a number.
func parsePort(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	text = text[1:]
	if text == wildcard {
		return wildcard, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf(`%q is not a port: want 1 to 65535, or "*" for each port`, text)
	}
	return strconv.FormatUint(n, 10), nil
}

func parseHost(text string) (string, error) {
	if address, ok := strings.CutPrefix(text, "["); ok {
		address, ok = strings.CutSuffix(address, "]")
		addr, err := netip.ParseAddr(address)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("%q is not an IPv6 address in brackets, like [::1]", text)
		}
		return hostOf(address), nil
	}
	switch at := strings.IndexFunc(text, func(r rune) bool { return !isNameCharacter(r) }); {
	case text == "":
		return "", errors.New("it has no host: write it like https://app.example.com")
	case at >= 0 && text[at] >= 0x80:
		return "", fmt.Errorf("%q is not ASCII: write the name as browsers send it, in Punycode (xn--…)", text)
	case at >= 0:
		return "", fmt.Errorf("the host %q has the character %q: use letters, digits, \"-\", \"_\", \".\" and \"*\", one pattern for each argument", text, text[at])
	case text == ".": // as in app://., the origin of Electron programs with their own scheme
	case text[0] == '.' || strings.Contains(text, ".."):
		return "", fmt.Errorf("the host %q has an empty part: for all subdomains write \"*.example.com\"", text)
	}
	return text, nil
}

func isNameCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' || r == '*'
}

// isScheme follows RFC 3986, section 3.1. The text is in lower case.
func isScheme(text string) bool {
	return text != "" && text[0] >= 'a' && text[0] <= 'z' && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '+' && r != '-' && r != '.'
	})
}

// matches reports whether p allows an origin. text is the whole origin, and o its parts as
// far as they could be read.
func (p *Pattern) matches(text string, o *site) bool {
	switch {
	case p.every:
		return true
	case p.opaque != "":
		return strings.EqualFold(p.opaque, text)
	case o.host == "", p.scheme != "" && p.scheme != o.scheme, p.port != "" && p.port != o.port:
		return false
	}
	matched, err := path.Match(p.host, o.host) // "*" is its only special character, and no host has a slash
	return err == nil && matched
}

// site is an origin with a host.
type site struct{ scheme, host, port string }

// siteOf reads the text of an Origin header. It returns the zero site if the text has no
// host, and false if it is not a URL.
func siteOf(text string) (s site, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return site{}, false
	}
	if u.Hostname() == "" {
		return site{}, true
	}
	s = site{scheme: strings.ToLower(u.Scheme), host: hostOf(u.Hostname()), port: u.Port()}
	if s.port == "" {
		s.port = defaultPort(s.scheme)
	}
	return s, true
}

// hostOf returns a host in a form in which hosts can be compared.
func hostOf(name string) string {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.String()
	}
	return strings.ToLower(name)
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// Allowed reports whether a request may open a WebSocket. That is so if it has no Origin
// header, because then no browser sent it; if its origin has the host of the request
// itself; or if its origin matches a pattern. Schemes are not compared, because behind a
// proxy the server does not know its own.
func (patterns Patterns) Allowed(r *http.Request) bool {
	text := r.Header.Get("Origin")
	if text == "" {
		return true
	}
	o, ok := siteOf(text)
	switch {
	case !ok:
		return false
	case o.host != "" && o.isOf(r.Host):
		return true
	}
	for i := range patterns {
		if patterns[i].matches(text, &o) {
			return true
		}
	}
	return false
}

// isOf reports whether o has the host and the port of a Host header. If the header has no
// port, it means the default port of o's scheme.
func (o *site) isOf(host string) bool {
	own := url.URL{Host: host}
	port := own.Port()
	if port == "" {
		port = defaultPort(o.scheme)
	}
	return o.host == hostOf(own.Hostname()) && o.port == port
}
