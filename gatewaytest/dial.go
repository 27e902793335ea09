package gatewaytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"example.com/gateway/internal/wsconn"
)

// DialOption changes a [Service.Dial].
type DialOption func(*dialing)

type dialing struct {
	path         string // with a query, maybe; "": that of URL
	host         string
	header       http.Header
	query        url.Values
	subprotocols []string
	source       netip.Addr
	proxies      []netip.Addr
	compress     bool
	misuse       string // of an option
}

// Path sets the path that the client dials, and may have a query: "/ws?room=1". The
// default is that of [Service.URL].
func Path(path string) DialOption {
	return func(d *dialing) { d.path = path }
}

// Header adds a header to the upgrade request. The name Host sets the host that the
// server sees; the default is that of [Service.URL]. The headers of the handshake itself
// cannot be changed: Connection, Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version.
func Header(name, value string) DialOption {
	if http.CanonicalHeaderKey(name) == "Host" {
		return func(d *dialing) { d.host = value }
	}
	return func(d *dialing) { d.header.Add(name, value) }
}

// Cookie adds a cookie to the upgrade request. If a header cannot have its name or its
// value as they are, Dial fails the test.
func Cookie(name, value string) DialOption { return Cookies(&http.Cookie{Name: name, Value: value}) }

// Cookies adds the names and values of cookies to the upgrade request, such as those
// that an earlier response has set: Cookies(resp.Cookies()...).
func Cookies(cookies ...*http.Cookie) DialOption {
	return func(d *dialing) {
		for n, c := range cookies {
			if c == nil {
				d.misuse = fmt.Sprintf("Cookies: cookie %d is nil: leave it out", n)
				return
			}
			alone := http.Request{Header: http.Header{}}
			alone.AddCookie(c) // it drops what a header cannot have
			if sent := alone.Cookies(); len(sent) != 1 || sent[0].Name != c.Name || sent[0].Value != c.Value {
				d.misuse = fmt.Sprintf("the cookie %q with the value %q has a character that no cookie can have: encode it, as the server does", c.Name, c.Value)
				return
			}
			d.header.Set("Cookie", strings.Join(append(d.header.Values("Cookie"), alone.Header.Get("Cookie")), "; "))
		}
	}
}

// Query adds a query parameter to the upgrade request, after those of [Path].
func Query(name, value string) DialOption {
	return func(d *dialing) { d.query.Add(name, value) }
}

// Subprotocols offers subprotocols, in this order.
func Subprotocols(names ...string) DialOption {
	return func(d *dialing) { d.subprotocols = append(d.subprotocols, names...) }
}

// Compression offers permessage-deflate, as browsers do. If the gateway has
// [gateway.WithCompression], messages may then be compressed in both directions; the client
// compresses those of 512 bytes and more. See [Client.ReceiveCompressed].
func Compression() DialOption {
	return func(d *dialing) { d.compress = true }
}

// SourceIP sets the client's address, as the server sees it. Over TCP it has to be an
// address of this machine, such as any of 127.0.0.0/8. The default is 127.0.0.1. SourceIP
// panics when ip is no address.
func SourceIP(ip string) DialOption {
	addr := netip.MustParseAddr(ip)
	return func(d *dialing) { d.source = addr }
}

// ThroughProxies lets the client connect through proxies, from the one that it calls to the
// one that calls the server. Each adds the address of its caller to X-Forwarded-For, after
// what a [Header] of the client has there. The server sees the address of the last one as
// that of its peer. They change nothing else: for X-Forwarded-Host and the like use Header.
// What the gateway believes of it is decided by [gateway.WithTrustedProxies]. ThroughProxies panics
// when an ip is no address.
func ThroughProxies(ips ...string) DialOption {
	var proxies []netip.Addr
	for _, ip := range ips {
		proxies = append(proxies, netip.MustParseAddr(ip))
	}
	return func(d *dialing) { d.proxies = proxies }
}

// passThrough changes d as its proxies do.
func (d *dialing) passThrough() {
	if len(d.proxies) > 0 && !d.source.IsValid() {
		d.source = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	for _, proxy := range d.proxies {
		d.header.Set("X-Forwarded-For", strings.Join(append(d.header.Values("X-Forwarded-For"), d.source.String()), ", "))
		d.source = proxy
	}
}

// Refused is the answer to an upgrade that was not accepted, by a Gateway or by the
// handler around it. A redirect is such an answer, and is not followed.
type Refused struct {
	StatusCode int
	Header     http.Header
	Body       string // up to 1 KiB of it
}

// Dial connects a client. If the upgrade is refused, it fails the test with the whole
// answer, and says who refused and why. When the test tb ends, the client drops its
// connection.
func (s *Service) Dial(tb testing.TB, opts ...DialOption) *Client {
	tb.Helper()
	c, refused, target := s.tryDial(tb, opts)
	if refused == nil {
		return c
	}
	var answer strings.Builder
	fmt.Fprintf(&answer, "%d %s\n", refused.StatusCode, http.StatusText(refused.StatusCode))
	_ = refused.Header.Write(&answer)
	fmt.Fprintf(&answer, "\r\n%s", refused.Body)
	tb.Fatalf("gatewaytest: the upgrade to %s was refused %s\n%s", target, refused.by, strings.ReplaceAll(answer.String(), "\r\n", "\n"))
	return nil
}

// TryDial is [Service.Dial] for an upgrade that may be refused. It returns either the
// client or the refusal; the other one is nil.
func (s *Service) TryDial(tb testing.TB, opts ...DialOption) (*Client, *Refused) {
	tb.Helper()
	c, refused, _ := s.tryDial(tb, opts)
	if refused == nil {
		return c, nil
	}
	return nil, &refused.Refused
}

// refusal is a Refused, and who has refused.
type refusal struct {
	Refused
	by string
}

// whoRefused tells of the upgrade of the client at addr.
func (s *Service) whoRefused(addr string) string {
	s.mu.Lock()
	answered := s.answered[addr]
	s.mu.Unlock()
	switch err := s.recorder.refusal(addr); {
	case !answered:
		return "before it came to a Gateway: is Gateway.Handler mounted at that path, and does all in front of it let the request pass, with its context?"
	case err != nil:
		return fmt.Sprintf("by the Gateway: %v", err)
	}
	return "after it came to a Gateway"
}

// dialingOf is what the options ask for.
func dialingOf(tb testing.TB, opts []DialOption) *dialing {
	tb.Helper()
	d := &dialing{header: http.Header{}, query: url.Values{}}
	for n, o := range opts {
		if o == nil {
			tb.Fatalf("gatewaytest: DialOption %d is nil: leave it out", n)
		}
		o(d)
	}
	if d.misuse != "" {
		tb.Fatalf("gatewaytest: %s", d.misuse)
	}
	d.passThrough()
	return d
}

func (s *Service) tryDial(tb testing.TB, opts []DialOption) (_ *Client, _ *refusal, target string) {
	tb.Helper()
	mustBeHere(tb, s)
	d := dialingOf(tb, opts)
	target = s.target(tb, d)
	ctx, cancel := context.WithTimeout(context.Background(), s.wait())
	defer cancel()
	var nc *gate
	ws, resp, err := wsconn.Dial(ctx, target, wsconn.DialOptions{
		Host:         d.host,
		Header:       d.header,
		Subprotocols: d.subprotocols,
		Compress:     d.compress,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := s.dial(ctx, d.source)
			if err != nil {
				return nil, err
			}
			nc = newGate(conn)
			if d.compress {
				nc.wire = new(wire)
			}
			return nc, nil
		},
	})
	if err == nil {
		return newClient(tb, s, ws, nc, resp.Header), nil, target
	}
	s.mu.Lock()
	misuse := s.misuse
	s.mu.Unlock()
	switch {
	case misuse != "":
		tb.Fatalf("gatewaytest: %s", misuse)
	case resp == nil || resp.StatusCode == http.StatusSwitchingProtocols:
		tb.Fatalf("gatewaytest: dial %s: %v", target, err)
	}
	body, _ := io.ReadAll(resp.Body)
	refused := Refused{StatusCode: resp.StatusCode, Header: resp.Header, Body: string(body)}
	return nil, &refusal{refused, s.whoRefused(nc.LocalAddr().String())}, target
}

// target returns the URL to dial.
func (s *Service) target(tb testing.TB, d *dialing) string {
	tb.Helper()
	target := s.URL()
	if d.path != "" {
		if !strings.HasPrefix(d.path, "/") {
			tb.Fatalf("gatewaytest: Path(%q): a path begins with a slash", d.path)
		}
		if strings.Contains(d.path, "#") {
			tb.Fatalf(`gatewaytest: Path(%q): no client sends what begins with "#": leave it out, or write %%23 for a "#" of the path`, d.path)
		}
		target = "ws://" + s.host() + d.path
	}
	if len(d.query) == 0 {
		return target
	}
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	return target + separator + d.query.Encode()
}
