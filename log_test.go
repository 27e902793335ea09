package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// newLogged returns an option that logs all levels, and the log.
func newLogged() (gateway.Option, *testutil.LockedBuffer) {
	log := &testutil.LockedBuffer{}
	return gateway.WithLogger(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))), log
}

// ask sends a request to a handler without a network.
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// handshake returns the headers of an upgrade.
func handshake(more ...string) []string {
	return append([]string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", wiretest.SampleKey,
	}, more...)
}

// Not parallel: it sets the default logger of the whole process.
func TestLog_Default(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	first, second := &testutil.LockedBuffer{}, &testutil.LockedBuffer{}
	everything := &slog.HandlerOptions{Level: slog.LevelDebug}
	slog.SetDefault(slog.New(slog.NewTextHandler(first, everything)))
	gw := newGateway(t)
	slog.SetDefault(slog.New(slog.NewTextHandler(second, everything)))

	require.NoError(t, gw.Deploy(gateway.Deployment{}))
	require.Empty(t, first.String(), "info is not given to it")
	require.Equal(t, http.StatusUpgradeRequired, ask(gw.Handler(), http.MethodGet, "/").Code)
	require.Contains(t, first.String(), `level=WARN msg="upgrade refused"`)
	require.Equal(t, 500, ask(gw.Handler(), http.MethodGet, "/", handshake()...).Code)
	require.Contains(t, first.String(), `level=ERROR msg="upgrade refused"`)
	require.Empty(t, second.String(), "it is the default logger at the time of New")
}

func TestLog_WithLoggerGetsAllLevels(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option)
	srv.HandleFunc("$disconnect", answerNothing)
	c := srv.Dial(t)
	require.Contains(t, log.String(), `level=DEBUG msg="connection opened"`)
	require.NoError(t, srv.Deploy(gateway.Deployment{}))
	require.Contains(t, log.String(), `level=INFO msg=deployed`)
	c.Close(1000, "")
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Contains(t, log.String(), `level=INFO msg="shutting down"`)
	require.Contains(t, log.String(), `level=DEBUG msg="connection closed"`)
	require.Equal(t, http.StatusServiceUnavailable, ask(srv.Handler(), http.MethodGet, "/", handshake()...).Code)
	require.NotContains(t, log.String(), "level=WARN", "nobody did anything wrong")
}

func TestLog_RefusedOrigin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ origin, want string }{
		"an origin":                       {"https://app.example", `\"https://app.example\"`},
		"one that would end the line":     {"https://a\u2028\"b", `\"https://a\\u2028\\\"b\"`},
		"one that is longer than allowed": {"https://" + strings.Repeat("x", 1000), `\"https://` + strings.Repeat("x", 120) + `\"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			gw := newGateway(t, option)
			require.Equal(t, http.StatusForbidden, ask(gw.Handler(), http.MethodGet, "/", handshake("Origin", tt.origin)...).Code)
			require.Contains(t, log.String(), "level=WARN")
			require.Contains(t, log.String(), tt.want)
			require.Contains(t, log.String(), "WithOriginPatterns")
			require.Less(t, len(log.String()), 600)
		})
	}
}

// A body that no route response sends is logged once for each route of a deployment.
func TestLog_BodyDropped(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option)
	routes := []gateway.Route{
		{RouteKey: "one-way", Integration: gateway.IntegrationFunc(serve)},
		{RouteKey: "other", Integration: gateway.IntegrationFunc(serve)},
		{RouteKey: "silent", Integration: gateway.IntegrationFunc(answerNothing)},
		{RouteKey: "two-way", Integration: gateway.IntegrationFunc(serve), RouteResponse: true},
		{RouteKey: "$connect", Integration: gateway.IntegrationFunc(serve)},
		{RouteKey: "$disconnect", Integration: gateway.IntegrationFunc(serve)},
	}
	for deployment := 1; deployment <= 2; deployment++ {
		require.NoError(t, srv.Deploy(gateway.Deployment{Routes: routes}))
		c := srv.Dial(t)
		for range 3 {
			for _, action := range []string{"one-way", "other", "silent"} {
				c.Send(`{"action":"` + action + `"}`)
			}
		}
		c.Send(`{"action":"two-way"}`)
		require.Equal(t, "served", c.Receive())
		c.Close(1000, "")
		srv.WaitDisconnect(c.ConnectionID())
		const line = `level=WARN msg="the integration returned a body, but the route sends none to the client"`
		require.Equal(t, 2*deployment, strings.Count(log.String(), line), "%s", log)
		for _, route := range []string{"one-way", "other"} {
			require.Equal(t, deployment, strings.Count(log.String(), line+" route_key="+route+" "))
		}
	}
	require.Contains(t, log.String(), "WithRouteResponse")
	require.NotContains(t, log.String(), "served", "no body is logged")
}

// If a call is not a valid call of @connections, the log says what a valid call looks
// like. The service's answer does not say that.
func TestLog_ManagementCall(t *testing.T) {
	t.Parallel()
	const id = "/@connections/gbgHN0-zjQAYKEjhgA%3D%3D"
	for _, tt := range []struct {
		method, target string
		status         int
		want           []string
	}{
		{"POST", "/prod/connections/x", 403, []string{`the path \"/prod/connections/x\"`, "/@connections/{connectionId}"}},
		{"POST", "/prod/@connections/", 403, []string{`the path \"/prod/@connections/\"`}},
		{"POST", "/prod/@connections/a/b", 403, []string{"the ID as one escaped segment"}},
		{"POST", "/" + strings.Repeat("x", 4000), 403, []string{"/@connections/{connectionId}"}},
		{"PUT", id, 403, []string{`the method is \"PUT\"`, "POST", "GET", "DELETE"}},
		{"GET", "/@connections/made-up", 400, []string{"no gateway has issued this connection ID", "escape it"}},
	} {
		t.Run(tt.method+" "+tt.target[:min(len(tt.target), 30)], func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			gw := newGateway(t, option, gateway.WithoutManagementAuth())
			require.Equal(t, tt.status, ask(gw.ManagementHandler(), tt.method, tt.target).Code)
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "one line")
			require.Contains(t, log.String(), `level=WARN msg="management call refused"`)
			require.Less(t, len(log.String()), 500)
			for _, want := range tt.want {
				require.Contains(t, log.String(), want)
			}
		})
	}
}

// If middleware hides http.Hijacker, every upgrade fails. The log says what to do.
func TestLog_HiddenHijacker(t *testing.T) {
	t.Parallel()
	for name, around := range map[string]func(http.Handler) http.Handler{
		"a middleware": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
			})
		},
		"http.TimeoutHandler": func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			gw := newGateway(t, option)
			gw.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return nil, fmt.Errorf("$connect ran")
			})
			server := httptest.NewServer(around(gw.Handler()))
			t.Cleanup(server.Close)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			require.NoError(t, err)
			for n := 0; n < len(handshake()); n += 2 {
				r.Header.Set(handshake()[n], handshake()[n+1])
			}
			resp, err := server.Client().Do(r)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusInternalServerError, resp.StatusCode)
			require.Contains(t, log.String(), "level=ERROR")
			require.Contains(t, log.String(), "http.Hijacker")
			require.Contains(t, log.String(), "Unwrap")
			require.Contains(t, log.String(), "http.TimeoutHandler")
			require.NotContains(t, log.String(), "$connect ran")
		})
	}
}
