// Package caller looks at who sends a request to one of the local APIs: from which
// machine, by which name of the server, and whether a page of another origin does. All
// local APIs decide by it whom they answer.
package caller

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"example.com/gateway/internal/proxy"
)

// Hostname returns a host without its port and its brackets, in lower case.
func Hostname(hostport string) string {
	name := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// IsLocalName reports whether a name from [Hostname] always means this machine: localhost
// and a loopback address. Any other name could be one that a hostile page has made point
// to this machine.
func IsLocalName(name string) bool {
	if name == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// IsBelowLocalhost reports whether a name from [Hostname] ends in .localhost, which is
// reserved for this machine. (RFC 6761, section 6.3.)
func IsBelowLocalhost(name string) bool { return strings.HasSuffix(name, ".localhost") }

// Names returns host names in the form of [Hostname], as a set.
func Names(hosts []string) map[string]bool {
	names := map[string]bool{}
	for _, host := range hosts {
		names[Hostname(host)] = true
	}
	return names
}

// Barred returns why a request to change or read something must not be answered, or "" if it
// may: it has a name that is none of the server's, as after DNS rebinding, or a page of
// another origin sends it, or, unless something else decides who may call, another machine
// does. ours says whether its Host header is a name of the server.
func Barred(r *http.Request, ours, decided bool) string {
	switch {
	case !ours:
		const most = 256
		return fmt.Sprintf("The Host header %q is no name of this server: call it as localhost, or add the name to its hosts", r.Host[:min(len(r.Host), most)])
	case !SameOrigin(r):
		return "The request comes from a page of another origin"
	case !decided && !IsHere(r):
		return "The request comes from another machine, and nothing decides whether it may call this server"
	}
	return ""
}

// IsHere reports whether a request comes from this machine. A proxy on this machine passes on
// requests of others, too. So if a request has a header in which proxies write whom they
// serve, every address there has to be one of this machine, and it must not have Forwarded.
// A proxy that writes no such header cannot be noticed.
func IsHere(r *http.Request) bool {
	peer := r.RemoteAddr
	if c := proxy.Of(r); c != nil { // then RemoteAddr is what a proxy has told
		peer = c.Peer
	}
	from, err := netip.ParseAddrPort(peer)
	if err != nil || !from.Addr().Unmap().IsLoopback() || len(r.Header["Forwarded"]) > 0 {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip"} {
		for _, line := range r.Header[name] {
			for text := range strings.SplitSeq(line, ",") {
				address, err := netip.ParseAddr(strings.TrimSpace(text))
				if err != nil || !address.Unmap().IsLoopback() {
					return false
				}
			}
		}
	}
	return true
}

// SameOrigin reports whether no page, or a page of this host, sends the request. Browsers
// send Origin with everything that can change something, and Sec-Fetch-Site with the
// rest.
func SameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	for _, value := range r.Header["Origin"] {
		origin, err := url.Parse(value)
		if err != nil || origin.Host == "" || !strings.EqualFold(origin.Host, r.Host) {
			return false
		}
	}
	return true
}

// Refusal returns what a caller gets for an error of a ManagementAuth: the code and the
// message that the error has for it, if it has some. Whatever else it wraps, the call is
// forbidden. unauthorized is the error that makes it a 401.
func Refusal(err, unauthorized error) (status int, name, message string) {
	var public interface{ PublicError() (code, message string) }
	if !errors.As(err, &public) {
		return http.StatusForbidden, "AccessDeniedException", "User is not authorized to perform this action"
	}
	status = http.StatusForbidden
	if errors.Is(err, unauthorized) {
		status = http.StatusUnauthorized
	}
	name, message = public.PublicError()
	return status, name, message
}
