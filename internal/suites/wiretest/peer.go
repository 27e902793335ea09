package wiretest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Peer is a Conn whose methods fail the test on an error. Use it on the test's own
// goroutine.
type Peer struct {
	*Conn

	tb testing.TB
}

// New returns a client on nc. nc is closed at the end of the test.
func New(tb testing.TB, nc net.Conn) *Peer {
	tb.Helper()
	tb.Cleanup(func() { _ = nc.Close() })
	return &Peer{NewConn(nc), tb}
}

// Dial connects to the server behind client, which sends all requests to one server,
// such as gatewaytest.Server.HTTPClient; with or without a network.
func Dial(tb testing.TB, client *http.Client) *Peer {
	tb.Helper()
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		tb.Fatalf("the client's transport is a %T", client.Transport)
	}
	nc, err := transport.DialContext(tb.Context(), "tcp", "gateway.test:80")
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	return New(tb, nc)
}

// Serve connects to h over TCP.
func Serve(tb testing.TB, h http.Handler) *Peer {
	tb.Helper()
	return Sockets()["tcp"](tb, h)
}

// patience bounds every wait of a client over a network.
const patience = time.Minute

// Sockets are the kinds of transport. The gateway writes to each in a different way.
// Each func serves a handler and connects to it.
func Sockets() map[string]func(testing.TB, http.Handler) *Peer {
	return map[string]func(testing.TB, http.Handler) *Peer{
		"tcp": func(tb testing.TB, h http.Handler) *Peer {
			tb.Helper()
			srv := httptest.NewServer(h)
			tb.Cleanup(srv.Close)
			return dial(tb, new(net.Dialer), srv.Listener.Addr())
		},
		"tls": func(tb testing.TB, h http.Handler) *Peer {
			tb.Helper()
			srv := httptest.NewTLSServer(h)
			tb.Cleanup(srv.Close)
			return dial(tb, &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}, srv.Listener.Addr()) //nolint:gosec // the server is the test's own
		},
		"unix": func(tb testing.TB, h http.Handler) *Peer {
			tb.Helper()
			srv := httptest.NewUnstartedServer(h)
			_ = srv.Listener.Close()
			var err error
			if srv.Listener, err = new(net.ListenConfig).Listen(tb.Context(), "unix", tb.TempDir()+"/s"); err != nil {
				tb.Fatalf("listen: %v", err)
			}
			srv.Start()
			tb.Cleanup(srv.Close)
			return dial(tb, new(net.Dialer), srv.Listener.Addr())
		},
	}
}

// dialer is a net.Dialer or a tls.Dialer.
type dialer interface {
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

func dial(tb testing.TB, d dialer, addr net.Addr) *Peer {
	tb.Helper()
	nc, err := d.DialContext(tb.Context(), addr.Network(), addr.String())
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	p := New(tb, nc)
	p.check(nc.SetDeadline(time.Now().Add(patience)))
	return p
}

func (p *Peer) check(err error) {
	p.tb.Helper()
	if err != nil {
		p.tb.Fatal(err)
	}
}

// MustOpen upgrades at /test, with additional header lines, and returns the 101.
func (p *Peer) MustOpen(fields ...string) Answer {
	p.tb.Helper()
	a := p.MustAsk(Upgrade("/test", fields...))
	if accept := a.Get("Sec-Websocket-Accept"); a.Status != http.StatusSwitchingProtocols || accept != SampleAccept {
		p.tb.Fatalf("the upgrade is answered with %q and accept key %q", a.Line, accept)
	}
	return a
}

// MustAsk sends a request and returns the answer.
func (p *Peer) MustAsk(request string) Answer {
	p.tb.Helper()
	p.MustWriteString(request)
	return p.MustReadAnswer()
}

// MustReadAnswer returns the answer to a request.
func (p *Peer) MustReadAnswer() Answer {
	p.tb.Helper()
	a, err := p.ReadAnswer()
	p.check(err)
	return a
}

// MustWrite writes bytes.
func (p *Peer) MustWrite(b []byte) {
	p.tb.Helper()
	_, err := p.Write(b)
	p.check(err)
}

// MustWriteString writes text, such as a request with a frame behind it.
func (p *Peer) MustWriteString(s string) {
	p.tb.Helper()
	p.MustWrite([]byte(s))
}

// MustSend writes a frame.
func (p *Peer) MustSend(first byte, payload string) {
	p.tb.Helper()
	p.check(p.Send(first, payload))
}

// Receive returns the next message. It fails the test if something else comes first.
func (p *Peer) Receive() string {
	p.tb.Helper()
	m := p.ReceiveAny()
	if m.Op != OpText {
		p.tb.Fatalf("instead of a message: %v", m)
	}
	return m.Payload
}

// ReceiveAny returns the next message or control frame.
func (p *Peer) ReceiveAny() Message {
	p.tb.Helper()
	m, err := p.ReadMessage()
	p.check(err)
	return m
}

// Expect requires that this message or control frame comes next.
func (p *Peer) Expect(op byte, payload string) {
	p.tb.Helper()
	if m := p.ReceiveAny(); m.Op != op || m.Payload != payload {
		p.tb.Fatalf("%v, want opcode %#x: %q", m, op, payload)
	}
}

// ReceiveClose returns the code and reason of the Close frame that must come next.
func (p *Peer) ReceiveClose() (code int, reason string) {
	p.tb.Helper()
	m := p.ReceiveAny()
	if m.Op != OpClose {
		p.tb.Fatalf("instead of a Close frame: %v", m)
	}
	return ParseClose(m.Payload)
}

// ExpectClose requires that this Close frame comes next.
func (p *Peer) ExpectClose(code int, reason string) {
	p.tb.Helper()
	if got, why := p.ReceiveClose(); got != code || why != reason {
		p.tb.Fatalf("closed with %d %q, want %d %q", got, why, code, reason)
	}
}

// ExpectEnd requires that the server ends the stream.
func (p *Peer) ExpectEnd() {
	p.tb.Helper()
	p.check(p.ReadEnd())
}
