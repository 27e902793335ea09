package gatewaytest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"example.com/gateway"
)

// Server is a [gateway.Gateway] that is served at /test. Its routes can be set, and
// its connections posted to, by the methods of the Gateway. [Service] has the methods
// for tests.
type Server struct {
	*gateway.Gateway
	*Service
}

// New makes a Gateway and serves it in memory. The management API is open to every
// caller, new connections are not throttled, and the log goes to that of the test:
// see [Logger]. Options in opts come after these settings, and so replace them.
func New(tb testing.TB, opts ...gateway.Option) *Server {
	tb.Helper()
	return newServer(tb, newService(tb, newPipeListener()), opts)
}

// NewTCP is [New] on a free port of 127.0.0.1. It fails in a synctest bubble, since
// virtual time stands still while a goroutine waits for the network.
func NewTCP(tb testing.TB, opts ...gateway.Option) *Server {
	tb.Helper()
	if inBubble() {
		tb.Fatalf("gatewaytest: NewTCP does not work in a synctest bubble: use New")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("gatewaytest: %v", err)
	}
	return newServer(tb, newService(tb, l), opts)
}

// Serve serves a Gateway in memory that your own code has made. All its settings
// hold: [Server.Management] gets ErrForbidden, for example, unless the Gateway has
// [gateway.WithoutManagementAuth], and what it logs goes where its logger writes.
// When the test ends, the Gateway is closed.
func Serve(tb testing.TB, gw *gateway.Gateway) *Server {
	tb.Helper()
	if gw == nil {
		tb.Fatalf("gatewaytest: Serve: the Gateway is nil")
	}
	return serveGateway(tb, newService(tb, newPipeListener()), gw)
}

func newServer(tb testing.TB, s *Service, opts []gateway.Option) *Server {
	tb.Helper()
	opts = append([]gateway.Option{
		gateway.WithoutManagementAuth(),
		gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}),
		gateway.WithLogger(Logger(tb, slog.LevelWarn)),
	}, opts...)
	opts = append(opts, gateway.WithMiddleware(s.recorder.middleware)) // the innermost: it sees what the integration does
	s.recorder.innermost = true
	gw, err := gateway.New(opts...)
	if err != nil {
		tb.Fatalf("gatewaytest: %v", err)
	}
	return serveGateway(tb, s, gw)
}

func serveGateway(tb testing.TB, s *Service, gw *gateway.Gateway) *Server {
	tb.Helper()
	s.path = "/test"
	upgrades, management := gw.Handler(), gw.ManagementHandler()
	s.start(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path+"/", "/@connections/") {
			management.ServeHTTP(w, r)
			return
		}
		upgrades.ServeHTTP(w, r)
	}), gw)
	return &Server{Gateway: gw, Service: s}
}
