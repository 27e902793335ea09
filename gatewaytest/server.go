// Package gatewaytest tests WebSocket backends in process: a [gateway.Gateway]
// on a server in memory, clients that dial it, a management client, and a record
// of every event that an integration got.
//
//	func TestEcho(t *testing.T) {
//		srv := gatewaytest.New(t)
//		srv.HandleFunc("echo", echo, gateway.WithRouteResponse())
//		c := srv.Dial(t)
//		c.Send(`{"action":"echo"}`)
//		require.Equal(t, "…", c.Receive())
//	}
//
// Nothing has to be closed: the test's cleanup does. Within a bubble of
// [testing/synctest] a server in memory runs on virtual time, so that ten idle
// minutes or two hours pass in milliseconds:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := gatewaytest.New(t)
//		c := srv.Dial(t)
//		code, reason := c.ReceiveClose() // 1001, "Going away", ten minutes later
//	})
//
// [NewTCP] is the same on a real listener of the loopback interface.
//
// The funcs and methods that take or hold a [testing.TB] fail the test with
// Fatalf when something goes wrong: call them on the test's own goroutine.
package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/gateway"
)

// Timeout is how long a client or the server waits for something that a test
// expects before it fails the test. In a synctest bubble it passes at once, and
// is long enough for the two hours of a connection.
const Timeout = 3 * time.Hour

// realTimeout is Timeout on real time.
const realTimeout = 10 * time.Second

// Server is a [gateway.Gateway] behind an HTTP server. Its sockets are at URL,
// its management API at ManagementURL.
type Server struct {
	*gateway.Gateway

	tb       testing.TB
	timeout  time.Duration
	listener net.Listener
	pipes    *pipeListener // nil over TCP
	mux      http.Handler

	mu     sync.Mutex        // guards the fields below
	ids    map[string]string // connection ID by the client's address
	events []Event
	more   chan struct{} // closed and replaced with each event
	ports  uint16
}

// Event is one invocation of an integration, behind all middleware.
type Event struct {
	// Request is what the integration got; its Body is a copy, and Upgrade is nil.
	gateway.Request
	Response *gateway.Response // what it returned
	Err      error
}

// New returns a server in memory with a new Gateway. The management API is open
// to every caller, unless opts say otherwise. New connections are not throttled,
// unless opts bring quotas.
func New(tb testing.TB, opts ...gateway.Option) *Server {
	tb.Helper()
	pipes := newPipeListener()
	s := start(tb, pipes, opts)
	s.pipes = pipes
	return s
}

// NewTCP is [New] on 127.0.0.1 with a free port. In a synctest bubble use New:
// virtual time stands still while anybody waits for the network, for ever if
// what one waits for is a timeout.
func NewTCP(tb testing.TB, opts ...gateway.Option) *Server {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("gatewaytest: %v", err)
	}
	return start(tb, l, opts)
}

func start(tb testing.TB, l net.Listener, opts []gateway.Option) *Server {
	tb.Helper()
	s := &Server{tb: tb, listener: l, ids: map[string]string{}, more: make(chan struct{}), timeout: realTimeout}
	if inBubble() {
		s.timeout = Timeout
	}
	opts = append([]gateway.Option{
		gateway.WithoutManagementAuth(),
		gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}),
		gateway.WithObserver(&gateway.Observer{ConnectionOpened: s.opened}),
	}, opts...)
	opts = append(opts, gateway.WithMiddleware(s.record)) // the innermost: it sees what the integration does
	gw, err := gateway.New(opts...)
	if err != nil {
		tb.Fatalf("gatewaytest: %v", err)
	}
	s.Gateway = gw
	upgrades, management := gw.Handler(), gw.ManagementHandler()
	s.mux = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/@connections/") {
			management.ServeHTTP(w, r)
			return
		}
		upgrades.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), addrKey{}, r.RemoteAddr)))
	})
	server := &http.Server{Handler: s.mux, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }() // ends with Close in the cleanup, which waits
	tb.Cleanup(func() {
		if err := gw.Close(); err != nil {
			tb.Errorf("gatewaytest: %v", err)
		}
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("gatewaytest: server: %v", err)
		}
	})
	return s
}

// inBubble reports whether it runs in a synctest bubble, where time starts at
// midnight UTC 2000-01-01.
func inBubble() bool { return time.Now().Year() < 2020 }

// URL returns where the sockets are: ws://…/test.
func (s *Server) URL() string { return "ws://" + s.host() + "/test" }

// ManagementURL returns the endpoint for an AWS client: http://…/test, without
// /@connections. Over TCP any client reaches it, in memory only [Server.HTTPClient].
func (s *Server) ManagementURL() string { return "http://" + s.host() + "/test" }

func (s *Server) host() string {
	if s.pipes != nil {
		return "gateway.test"
	}
	return s.listener.Addr().String()
}

// HTTPClient returns a client whose requests all go to the server.
func (s *Server) HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, netip.Addr{}) },
		DisableKeepAlives: true,
	}}
}

// dial connects to the server from source, the zero Addr being any.
func (s *Server) dial(ctx context.Context, source netip.Addr) (net.Conn, error) {
	if s.pipes == nil {
		d := net.Dialer{}
		if source.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		}
		return d.DialContext(ctx, "tcp", s.listener.Addr().String())
	}
	if !source.IsValid() {
		source = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	s.mu.Lock()
	s.ports++
	port := s.ports
	s.mu.Unlock()
	return s.pipes.dial(ctx, net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, port)))
}

type addrKey struct{}

// opened notes which client a connection belongs to.
func (s *Server) opened(ctx context.Context, c gateway.Connection) {
	addr, _ := ctx.Value(addrKey{}).(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[addr] = c.ID
}

func (s *Server) idOf(addr string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ids[addr]
}

// record is the middleware that notes every invocation.
func (s *Server) record(next gateway.Integration) gateway.Integration {
	return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
		e := Event{Request: *req}
		e.Body = append([]byte(nil), req.Body...)
		e.Upgrade = nil
		defer func() { // also when next panics
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
			close(s.more)
			s.more = make(chan struct{})
		}()
		e.Err = errors.New("gatewaytest: the integration did not return")
		e.Response, e.Err = next.Invoke(ctx, req)
		return e.Response, e.Err
	})
}

// Events returns the invocations that have ended so far, in the order of their
// end. A message, or an end of a connection, that met no integration, or that a
// middleware answered itself, leaves none.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// WaitEvent waits for the first event that match accepts, among those that have
// been and those to come.
func (s *Server) WaitEvent(match func(Event) bool) Event {
	s.tb.Helper()
	timeout := time.NewTimer(s.timeout)
	defer timeout.Stop()
	for seen := 0; ; {
		s.mu.Lock()
		events, more := s.events, s.more
		s.mu.Unlock()
		for ; seen < len(events); seen++ {
			if match(events[seen]) {
				return events[seen]
			}
		}
		select {
		case <-more:
		case <-timeout.C:
			s.tb.Fatalf("gatewaytest: no such event within %v; there were %s", s.timeout, describe(events))
		}
	}
}

// WaitDisconnect waits for the DISCONNECT event of a connection.
func (s *Server) WaitDisconnect(connectionID string) Event {
	s.tb.Helper()
	return s.WaitEvent(func(e Event) bool {
		return e.EventType == gateway.EventDisconnect && e.ConnectionID == connectionID
	})
}

func describe(events []Event) string {
	if len(events) == 0 {
		return "none"
	}
	var b strings.Builder
	for n, e := range events {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s of %s", e.RouteKey, e.ConnectionID)
	}
	return b.String()
}
