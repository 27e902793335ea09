package event

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/internal/proxy"
	"example.com/gateway/internal/query"
)

// Upgrade is the client's upgrade request.
type Upgrade struct {
	// Host is the Host of the request. "" means the domain name.
	Host string
	// Header has canonical names, as in net/http.
	Header map[string][]string
	Query  map[string][]string
	// Proto and Port say how the client connected: "https", "443".
	Proto, Port string
	// Client is who has sent the request through trusted proxies; nil if there are none.
	Client *proxy.Client
	// TraceID is the X-Amzn-Trace-Id. It is not used if the client sent one itself.
	TraceID string
}

// UpgradeOf returns the data about an upgrade request for events, templates, mappings,
// identity sources and HTTP endpoints. r is nil in a request that a program made by hand.
func UpgradeOf(r *http.Request, traceID string) Upgrade {
	up := Upgrade{Proto: "http", Port: "80", TraceID: traceID}
	if r == nil {
		return up
	}
	up.Host, up.Header, up.Query = r.Host, r.Header, query.Of(r.URL)
	if r.TLS != nil {
		up.Proto, up.Port = "https", "443"
	}
	up.Client = proxy.Of(r)
	if up.Client != nil && up.Client.Proto != "" {
		up.Proto, up.Port = up.Client.Proto, map[string]string{"http": "80", "https": "443"}[up.Client.Proto]
	}
	if _, port, err := net.SplitHostPort(r.Host); err == nil && isPort(port) {
		up.Port = port
	}
	if up.Client != nil && up.Client.Port != "" {
		up.Port = up.Client.Port
	}
	return up
}

// isPort reports whether text is a port. net/http lets a client write other characters
// than digits after the host.
func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// Header is a header of the upgrade request, in the spelling of the service.
type Header struct {
	Name   string
	Values []string // at least one
}

// Headers are the headers of an upgrade request with those that the service's front end
// adds, sorted by name.
type Headers []Header

// Values returns the values of a header. Upper and lower case of its name are the same.
func (h Headers) Values(name string) []string {
	for _, header := range h {
		if strings.EqualFold(header.Name, name) {
			return header.Values
		}
	}
	return nil
}

// Headers returns the headers for the integration of $connect: those of the client,
// except those about its connection, and those of the front end. X-Forwarded-For ends with
// the client's address, whatever the client sent.
func (e *Event) Headers() Headers {
	up := &e.Upgrade
	headers := make(Headers, 0, len(up.Header)+5)
	for name, values := range up.Header {
		switch canonical(name) {
		case "Connection", "Upgrade", "Content-Length", "Host", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Amzn-Trace-Id":
			continue
		}
		if len(values) > 0 {
			headers = append(headers, Header{spelling(name), values})
		}
	}
	host, forwarded, trace := up.Host, e.SourceIP, up.TraceID
	if host == "" {
		host = e.DomainName
	}
	before := strings.Join(up.Header["X-Forwarded-For"], ", ")
	if up.Client != nil { // else it would have the client's address twice, and those of the proxies
		before = up.Client.Before
	}
	if strings.Trim(before, ", \t") != "" {
		forwarded = before + ", " + forwarded
	}
	if sent := up.Header["X-Amzn-Trace-Id"]; len(sent) > 0 && sent[len(sent)-1] != "" {
		trace = sent[len(sent)-1]
	}
	return sorted(append(headers,
		Header{"Host", []string{host}},
		Header{"X-Amzn-Trace-Id", []string{trace}},
		Header{"X-Forwarded-For", []string{forwarded}},
		Header{"X-Forwarded-Port", []string{up.Port}},
		Header{"X-Forwarded-Proto", []string{up.Proto}},
	))
}

// AuthorizerHeaders returns the headers for an authorizer: those for the integration, and
// those about the connection as the service's front end changes them.
func (e *Event) AuthorizerHeaders() Headers {
	return sorted(append(e.Headers(),
		Header{"Connection", []string{"upgrade"}},
		Header{"content-length", []string{"0"}},
		Header{"Upgrade", []string{"websocket"}},
	))
}

func sorted(headers Headers) Headers {
	slices.SortFunc(headers, func(a, b Header) int { return compareFold(a.Name, b.Name) })
	return headers
}

// compareFold orders header names as the service does, without regard to case.
func compareFold(a, b string) int {
	for n := range min(len(a), len(b)) {
		if x, y := lower(a[n]), lower(b[n]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// spelling returns a name that begins with Sec-Websocket in its usual spelling, which
// net/http has changed. The client's own spelling of other names is lost.
func spelling(name string) string {
	if rest, ok := strings.CutPrefix(name, "Sec-Websocket-"); ok {
		return "Sec-WebSocket-" + rest
	}
	return name
}
