package forward

import (
	"net/http"
	"strings"

	"example.com/gateway/internal/command"
)

// HopByHop reports whether a header is about the connection that it is sent on, or is
// one that the server or client writes itself. (RFC 9110, section 7.6.1.)
func HopByHop(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}

// Reserved reports whether a header is about one connection or frames its request, so
// that it is neither passed on nor mapped. (RFC 9110, sections 7.6.1 and 10.1.1; API
// Gateway: "Transform API requests and responses for HTTP APIs", reserved headers.)
func Reserved(name string) bool {
	name = dashed(name)
	return HopByHop(name) || strings.EqualFold(name, "Expect")
}

// NamedInConnection reports whether the Connection header lists the header name. A listed
// header is only for the next hop. (RFC 9110, section 7.6.1.)
func NamedInConnection(headers http.Header, name string) bool {
	for _, line := range headers["Connection"] {
		for option := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(option), name) {
				return true
			}
		}
	}
	return false
}

// dashed replaces "_" by "-". Some backends do not tell these two apart: those that pass
// headers on in environment variables. (RFC 3875, section 4.1.18.)
func dashed(name string) string { return strings.ReplaceAll(name, "_", "-") }

// ofFrontEnd reports whether the service's front end adds the header to every upgrade
// request.
func ofFrontEnd(name string) bool {
	switch name {
	case "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto":
		return true
	}
	return false
}

// passesOn reports whether a header of the upgrade request goes to the endpoint.
func (c *Call) passesOn(name string) bool {
	switch canonical := http.CanonicalHeaderKey(dashed(name)); canonical {
	case "Host", "Accept-Encoding": // net/http writes them
		return false
	case "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto": // the front end's, in another spelling
		return false
	case "Proxy-Authorization", "Http2-Settings": // for the hop to us (RFC 9110, sections 7.6.1 and 11.7.2)
		return false
	case "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since": // about the answer to the upgrade
		return false
	case "Content-Encoding", "Content-Range": // of a body that is not sent
		return false
	case command.State, command.Groups, command.OfGroup, command.Omitted, command.Principal: // the gateway's own: an endpoint must not take a client's for them
		return false
	case "Sec-Websocket-Protocol":
		return true
	default:
		return !Reserved(canonical) && (c.UpgradeHeaders || !strings.HasPrefix(canonical, "Sec-Websocket-"))
	}
}

// set sets a header in this spelling. It replaces the header that the client sent, even one
// whose name has "_" in place of "-". Without values the header is left out.
func set(headers http.Header, name string, values ...string) {
	for other := range headers {
		if strings.EqualFold(dashed(other), dashed(name)) {
			delete(headers, other)
		}
	}
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case "User-Agent", "Accept-Encoding", "Range", "Authorization": // net/http looks for these, and may add them
		name = canonical
	}
	if len(values) > 0 {
		headers[name] = values
	}
}

// clean turns a client's values into values that a header can hold. A control
// character would make the call fail. So it becomes a blank, as in the answers of
// net/http. Blanks at the ends, which HTTP/2 does not allow, are left out.
func clean(values []string) []string {
	cleaned := make([]string, len(values))
	for n, v := range values {
		cleaned[n] = strings.Trim(strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return ' '
			}
			return r
		}, v), " \t")
	}
	return cleaned
}
