package gatewaytest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/gateway"
	"example.com/gateway/internal/tap"
)

// Timeout is how long each wait of a test lasts at most in a synctest bubble, where
// it takes no real time. It is long enough for the two hours of a connection. Outside
// a bubble a wait lasts 10 seconds. [Service.SetTimeout] changes both.
const Timeout = 3 * time.Hour

// realTimeout is Timeout on real time.
const realTimeout = 10 * time.Second

// Service is an [http.Handler] that is served, with the Gateways inside. Its methods are
// safe for concurrent use. Those that can fail the test must be called on the goroutine
// of the test.
type Service struct {
	tb       testing.TB
	listener net.Listener
	pipes    *pipeListener // nil over TCP
	path     string        // where Dial goes by default
	bubble   bool          // it was made in one
	timeout  atomic.Int64  // of each wait
	recorder recorder

	mu       sync.Mutex // guards the fields below
	gateways map[tapped]bool
	answered map[string]bool // by the client's address: a Gateway got its upgrade
	misuse   string          // of a Gateway, what to do about it
	drops    []string        // IDs of the connections that clients have dropped at the end of their tests
	ports    uint16
}

// tapped is a Gateway in the handler.
type tapped = tap.Gateway[*gateway.Observer]

// ServeHandler serves h in memory: your own mux, with your middleware, and one or more
// Gateways at any depth. [Path] says where in it a client dials. [Service.HTTPClient]
// makes plain requests to it.
//
// A Gateway is found when the first upgrade reaches it. From then on its events are
// recorded, and when the test ends it is closed. Nothing else of h is closed.
//
// The Gateway is found by the context of the request. If a middleware gives the request a
// context that does not come from the old one, or a reverse proxy makes another request,
// the clients of that Gateway have no connection ID and no events, and it is not closed.
// Pass such a Gateway to [Serve].
func ServeHandler(tb testing.TB, h http.Handler) *Service {
	tb.Helper()
	if v := reflect.ValueOf(h); !v.IsValid() || (v.Kind() == reflect.Func || v.Kind() == reflect.Pointer) && v.IsNil() {
		tb.Fatalf("gatewaytest: ServeHandler: the handler is nil: %T", h)
	}
	s := newService(tb, newPipeListener())
	s.start(tb, h)
	return s
}

func newService(tb testing.TB, l net.Listener) *Service {
	s := &Service{
		tb: tb, listener: l, bubble: inBubble(),
		gateways: map[tapped]bool{}, answered: map[string]bool{},
	}
	s.pipes, _ = l.(*pipeListener)
	s.recorder.init()
	s.timeout.Store(int64(realTimeout))
	if s.bubble {
		s.timeout.Store(int64(Timeout))
	}
	return s
}

// start serves h until the test ends. Then it closes the Gateways: those of own, and
// those that were found.
func (s *Service) start(tb testing.TB, h http.Handler, own ...*gateway.Gateway) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(Logger(tb, slog.LevelWarn).Handler(), slog.LevelWarn),
		ConnContext:       s.connContext,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }() // ends with Close in the cleanup, which waits
	tb.Cleanup(func() {
		s.closeGateways(tb, own)
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("gatewaytest: server: %v", err)
		}
	})
}

// dropped notes that the client of a connection has dropped it, because its test has ended.
func (s *Service) dropped(connectionID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drops = append(s.drops, connectionID)
}

// closeGateways closes the Gateways. Before that, each gets to know which clients have
// dropped their connections: otherwise chance would decide which of both it notices first.
func (s *Service) closeGateways(tb testing.TB, own []*gateway.Gateway) {
	tb.Helper()
	s.mu.Lock()
	var closing []interface{ Close() error }
	for g := range s.gateways {
		closing = append(closing, g)
		for _, id := range s.drops {
			g.Dropped(id)
		}
	}
	misuse := s.misuse
	s.mu.Unlock()
	for _, gw := range own {
		if misuse == "" { // else it belongs to another bubble
			closing = append(closing, gw)
		}
	}
	for _, g := range closing { // a Gateway can be closed twice
		if err := g.Close(); err != nil {
			tb.Errorf("gatewaytest: %v", err)
		}
	}
}

// addrKey is that of the client's address in the context of a request.
type addrKey struct{ s *Service }

// connContext lets the Gateways in the handler find s, and s the client of an event.
func (s *Service) connContext(ctx context.Context, nc net.Conn) context.Context {
	addr := nc.RemoteAddr().String()
	ctx = context.WithValue(ctx, addrKey{s}, addr)
	return tap.NewContext(ctx, func(g tapped) { s.reached(addr, g) })
}

// reached is called when the upgrade of the client at addr has reached g.
func (s *Service) reached(addr string, g tapped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered[addr] = true
	if s.gateways[g] {
		return
	}
	if made := virtual(g.Made()); made != s.bubble {
		s.misuse = "a Gateway that was made outside the synctest bubble is used inside: call gateway.New in the func of synctest.Test"
		if made {
			s.misuse = "a Gateway that was made in a synctest bubble is used outside"
		}
		panic(http.ErrAbortHandler) // in a handler: it ends the request
	}
	s.gateways[g] = true
	g.Observe(s.recorder.observer(func(ctx context.Context) string {
		addr, _ := ctx.Value(addrKey{s}).(string)
		return addr
	}, g.HasDisconnect))
}

// inBubble reports whether it runs in a synctest bubble.
func inBubble() bool { return virtual(time.Now()) }

// virtual reports whether t is of a synctest bubble. There time starts at midnight UTC
// 2000-01-01, and has no monotonic clock reading, which Round removes.
func virtual(t time.Time) bool {
	return t.Year() < 2020 || t == t.Round(0) //nolint:staticcheck // Equal ignores that reading
}

// wrongBubble says what is wrong when s is used where its time is not that of the
// caller, which would hang. It is "" when all is well.
func (s *Service) wrongBubble() string {
	switch here := inBubble(); {
	case here == s.bubble:
		return ""
	case here:
		return "the server was made outside the synctest bubble that uses it: make it in the func of synctest.Test"
	}
	return "the server was made in a synctest bubble and is used outside: use it in the func of synctest.Test"
}

// SetTimeout sets how long a wait of s or of one of its clients lasts at most, if it
// begins after this call. See Timeouts in the package's description.
func (s *Service) SetTimeout(d time.Duration) { s.timeout.Store(int64(d)) }

func (s *Service) wait() time.Duration { return time.Duration(s.timeout.Load()) }

// URL returns where a client dials by default: ws://gateway.test/test, and of
// [ServeHandler] ws://gateway.test. Over TCP the host is 127.0.0.1 with its port.
func (s *Service) URL() string { return "ws://" + s.host() + s.path }

// HTTPURL returns the root of the server for plain requests, without a slash at its
// end: http://gateway.test. In memory only [Service.HTTPClient] reaches it.
func (s *Service) HTTPURL() string { return "http://" + s.host() }

func (s *Service) host() string {
	if s.pipes != nil {
		return "gateway.test"
	}
	return s.listener.Addr().String()
}

// HTTPClient returns a client whose requests all go to the server, whatever their
// host. It follows redirects. It keeps no cookies unless it is given a Jar.
//
// It speaks http only, and so a Jar never sends a cookie that is Secure. Pass such cookies
// on yourself: to an upgrade with [Cookies], which takes resp.Cookies() as they are.
func (s *Service) HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, netip.Addr{}) },
		DisableKeepAlives: true,
	}}
}

// dial connects to the server from source, the zero Addr being any.
func (s *Service) dial(ctx context.Context, source netip.Addr) (net.Conn, error) {
	if wrong := s.wrongBubble(); wrong != "" {
		return nil, errors.New("gatewaytest: " + wrong)
	}
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
