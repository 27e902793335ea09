package gateway_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/lambda"
)

// proxied returns a gateway that trusts 10.0.0.0/8 and this machine.
func proxied(opts ...gateway.Option) []gateway.Option {
	return append(opts, gateway.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")))
}

// The address that the proxies have told counts everywhere: in events, for identity sources
// and for the quota of a source.
func TestTrustedProxies_SourceIP(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, proxied(gateway.WithQuotas(gateway.Quotas{ConnectionsPerSourceIP: 1}))...)
	handleAuthorized(srv, &gateway.RequestAuthorizer{
		IdentitySource: []string{"context.identity.sourceIp"},
		Authorizer: gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: req.Identity.SourceIP}, nil
		}),
	})
	through := gatewaytest.ThroughProxies("10.0.0.1", "10.0.0.2")
	c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), through)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.ConnectionID == c.ConnectionID() })
	require.Equal(t, "203.0.113.7", e.Identity.SourceIP)
	require.Equal(t, "203.0.113.7", e.Authorizer["principalId"])
	requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, gatewaytest.SourceIP("203.0.113.7"), through, gatewaytest.Header("X-Forwarded-For", "192.0.2.1"))
	srv.Dial(t, gatewaytest.SourceIP("203.0.113.8"), through)

	// The same, told by a stranger.
	stranger := gatewaytest.ThroughProxies("198.51.100.1")
	c = srv.Dial(t, gatewaytest.SourceIP("203.0.113.9"), stranger)
	e = srv.WaitEvent(func(e gatewaytest.Event) bool { return e.ConnectionID == c.ConnectionID() })
	require.Equal(t, "198.51.100.1", e.Identity.SourceIP)
}

// The quota of a source counts down again when a connection behind a proxy ends.
func TestTrustedProxies_SourceIsReleased(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, proxied(gateway.WithQuotas(gateway.Quotas{ConnectionsPerSourceIP: 1}))...)
	srv.HandleFunc(gateway.RouteKeyDisconnect, func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, nil })
	opts := []gatewaytest.DialOption{gatewaytest.SourceIP("203.0.113.7"), gatewaytest.ThroughProxies("10.0.0.1")}
	for range 3 {
		c := srv.Dial(t, opts...)
		c.Close(1000, "")
		srv.WaitEvent(func(e gatewaytest.Event) bool {
			return e.EventType == gateway.EventDisconnect && e.ConnectionID == c.ConnectionID()
		})
	}
}

// Two headers that contradict each other are refused, before anything else runs.
func TestTrustedProxies_Contradiction(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, proxied()...)
	through := gatewaytest.ThroughProxies("10.0.0.1")
	requireRefused(t, srv, http.StatusBadRequest, `"Bad Request"`, gatewaytest.SourceIP("203.0.113.7"), through, gatewaytest.Header("Forwarded", "for=192.0.2.1"))
	srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), through, gatewaytest.Header("Forwarded", "for=203.0.113.7"))
	srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.Header("X-Forwarded-For", "1.2.3.4"), gatewaytest.Header("Forwarded", "for=192.0.2.1"))
}

// A page may connect if it has the host that its browser used. Only a trusted proxy can tell
// another host than the Host header.
func TestTrustedProxies_Origin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers [][2]string
		peer    string
		status  int
		domain  string
	}{
		"the forwarded host":               {[][2]string{{"X-Forwarded-Host", "chat.example.com"}}, "10.0.0.1", 101, "chat.example.com"},
		"the forwarded host, a stranger":   {[][2]string{{"X-Forwarded-Host", "chat.example.com"}}, "198.51.100.1", 403, ""},
		"another forwarded host":           {[][2]string{{"X-Forwarded-Host", "other.example.com"}}, "10.0.0.1", 403, ""},
		"no forwarded host":                {nil, "10.0.0.1", 403, ""},
		"Host, and another forwarded host": {[][2]string{{"Host", "chat.example.com"}, {"X-Forwarded-Host", "other.example.com"}}, "10.0.0.1", 403, ""},
		"Host":                             {[][2]string{{"Host", "chat.example.com"}}, "10.0.0.1", 101, "chat.example.com"},
		"Host, a stranger":                 {[][2]string{{"Host", "chat.example.com"}, {"X-Forwarded-Host", "other.example.com"}}, "198.51.100.1", 101, "chat.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t, proxied()...)
			domains := make(chan string, 1)
			srv.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				domains <- req.DomainName
				return nil, nil
			})
			opts := []gatewaytest.DialOption{gatewaytest.SourceIP("203.0.113.7"), gatewaytest.ThroughProxies(tt.peer), gatewaytest.Header("Origin", "https://chat.example.com")}
			for _, h := range tt.headers {
				opts = append(opts, gatewaytest.Header(h[0], h[1]))
			}
			_, refused := srv.TryDial(t, opts...)
			if tt.status == 101 {
				require.Nil(t, refused)
				require.Equal(t, tt.domain, <-domains)
				return
			}
			require.NotNil(t, refused)
			require.Equal(t, tt.status, refused.StatusCode)
		})
	}
}

// Functions and endpoints see how the client has reached the first proxy. X-Forwarded-For ends
// with the client's address, as without a proxy.
func TestTrustedProxies_Event(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		headers     [][2]string
		forwarded   string
		proto, port string
		host        string
	}{
		"nothing":      {nil, "203.0.113.7", "http", "80", "gateway.test"},
		"https":        {[][2]string{{"X-Forwarded-Proto", "https"}}, "203.0.113.7", "https", "443", "gateway.test"},
		"a port":       {[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "chat.example.com"}, {"X-Forwarded-Port", "8443"}}, "203.0.113.7", "https", "8443", "chat.example.com"},
		"a host's":     {[][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Host", "chat.example.com:9443"}}, "203.0.113.7", "https", "9443", "chat.example.com:9443"},
		"a forged one": {[][2]string{{"X-Forwarded-For", "127.0.0.1"}}, "127.0.0.1, 203.0.113.7", "http", "80", "gateway.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := make(chan map[string]any, 1)
			srv := gatewaytest.New(t, proxied()...)
			srv.Handle(gateway.RouteKeyConnect, lambda.Wrap(func(_ context.Context, event json.RawMessage) (any, error) {
				var e struct{ Headers map[string]any }
				err := json.Unmarshal(event, &e)
				events <- e.Headers
				return map[string]any{"statusCode": 200}, err
			}))
			opts := []gatewaytest.DialOption{gatewaytest.SourceIP("203.0.113.7"), gatewaytest.ThroughProxies("10.0.0.1", "10.0.0.2"), gatewaytest.Path("/"), gatewaytest.Header("Host", "gateway.test")}
			for _, h := range tt.headers {
				opts = append(opts, gatewaytest.Header(h[0], h[1]))
			}
			srv.Dial(t, opts...)
			got := <-events
			require.Equal(t, tt.forwarded, got["X-Forwarded-For"])
			require.Equal(t, []any{tt.proto, tt.port, tt.host}, []any{got["X-Forwarded-Proto"], got["X-Forwarded-Port"], got["Host"]})
		})
	}
}

// A ManagementAuth sees the caller behind the proxy, and the host that it has called.
func TestTrustedProxies_Management(t *testing.T) {
	t.Parallel()
	type seen struct{ address, host string }
	calls := make(chan seen, 1)
	srv := gatewaytest.New(t, proxied(gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
		calls <- seen{call.Request.RemoteAddr, call.Request.Host}
		return nil
	})))...)
	c := srv.Dial(t)
	call := func(remote string, header http.Header) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://inner.test/prod/@connections/"+c.ConnectionID(), nil)
		require.NoError(t, err)
		r.RemoteAddr, r.Header = remote, header
		w := httptest.NewRecorder()
		srv.ManagementHandler().ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 200, call("10.0.0.1:5", http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Host": {"chat.example.com"}}))
	require.Equal(t, seen{"203.0.113.7:0", "chat.example.com"}, <-calls)
	require.Equal(t, 200, call("198.51.100.1:5", http.Header{"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Host": {"chat.example.com"}}))
	require.Equal(t, seen{"198.51.100.1:5", "inner.test"}, <-calls)
	require.Equal(t, 400, call("10.0.0.1:5", http.Header{"X-Forwarded-For": {"203.0.113.7"}, "Forwarded": {"for=203.0.113.8"}}))
	require.Empty(t, calls, "nobody was asked")
}

// A proxy may call the gateway on a Unix socket.
func TestTrustedProxies_UnixSocket(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		network, want string
	}{
		"this machine is trusted": {"127.0.0.1/32", "203.0.113.7"},
		"it is not":               {"10.0.0.0/8", "@"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New(gateway.WithTrustedProxies(netip.MustParsePrefix(tt.network)), gateway.WithLogger(gatewaytest.Logger(t, 0)))
			require.NoError(t, err)
			sources := make(chan string, 1)
			gw.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
				sources <- req.Identity.SourceIP
				return nil, nil
			})
			path := filepath.Join(t.TempDir(), "g.sock")
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
			require.NoError(t, err)
			server := &http.Server{Handler: gw.Handler()} //nolint:gosec // a test
			done := make(chan error, 1)
			go func() { done <- server.Serve(l) }()
			ws, _, err := wsconn.Dial(t.Context(), "ws://chat.example.com/", wsconn.DialOptions{ //nolint:bodyclose // a 101 has no body
				Header: http.Header{"X-Forwarded-For": {"203.0.113.7"}},
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, "unix", path)
				},
			})
			require.NoError(t, err)
			require.Equal(t, tt.want, <-sources)
			_ = ws.Close(1000, "")
			require.NoError(t, gw.Close())
			require.NoError(t, server.Close())
			require.ErrorIs(t, <-done, http.ErrServerClosed)
		})
	}
}

func TestTrustedProxies_Misuse(t *testing.T) {
	t.Parallel()
	for network, want := range map[netip.Prefix]string{
		{}:                                 "WithTrustedProxies: network 0 is not valid",
		netip.MustParsePrefix("0.0.0.0/0"): "WithTrustedProxies: network 0.0.0.0/0 is everybody",
	} {
		_, err := gateway.New(gateway.WithTrustedProxies(network))
		require.ErrorIs(t, err, gateway.ErrInvalidOption)
		require.ErrorContains(t, err, want)
	}
	// Given twice, it adds; without networks it trusts nobody.
	srv := gatewaytest.New(t, gateway.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8")), gateway.WithTrustedProxies(netip.MustParsePrefix("fd00::/8")), gateway.WithTrustedProxies())
	for _, peer := range []string{"10.0.0.1", "fd00::1"} {
		c := srv.Dial(t, gatewaytest.SourceIP("203.0.113.7"), gatewaytest.ThroughProxies(peer))
		conn, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, "203.0.113.7", conn.Identity.SourceIP)
	}
}

// The refusal says which headers contradict each other, and what to do.
func TestTrustedProxies_Observed(t *testing.T) {
	t.Parallel()
	refused := make(chan error, 1)
	srv := gatewaytest.New(t, proxied(gateway.WithObserver(&gateway.Observer{
		UpgradeRejected: func(_ context.Context, _ *gateway.Request, _ int, err error) { refused <- err },
	}))...)
	_, answer := srv.TryDial(t, gatewaytest.ThroughProxies("10.0.0.1"), gatewaytest.Header("Forwarded", "for=192.0.2.1"))
	require.NotNil(t, answer)
	require.ErrorContains(t, <-refused, "let the proxy remove the header that it does not write")
}
