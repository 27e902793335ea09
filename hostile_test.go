package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// TestUpgrade_Hostile is the table of docs/handshakes.md: what an upgrade gets
// that no honest client sends. Whatever it gets, the gateway serves the next one.
func TestUpgrade_Hostile(t *testing.T) {
	t.Parallel()
	const get = "GET /test HTTP/1.1"
	with := func(lines ...string) string { return wiretest.Upgrade("/test", lines...) }
	// sized returns an upgrade request whose headers have n bytes on the wire.
	sized := func(n int) string {
		text := with("X-Pad: ")
		text = strings.Replace(text, "X-Pad: ", "X-Pad: "+strings.Repeat("x", n-(len(text)-len(get+"\r\n")-len("\r\n"))), 1)
		return text
	}
	urlOf := func(n int) string {
		return strings.Replace(with(), "/test", "/test?"+strings.Repeat("x", n-len("/test?")), 1)
	}
	for _, tt := range []struct {
		name   string
		text   string
		status int
		own    string // the message of our own answer; "": net/http's, or none
	}{
		{"two Authorization headers", with("Authorization: a", "Authorization: b"), 400, ""},
		{"two Host headers", with("Host: evil.example"), 400, ""},
		{"two Upgrade headers, one of something else", with("Upgrade: h2c"), 101, ""},
		{"two versions", with("Sec-WebSocket-Version: 8"), 101, ""},
		{"two keys", with("Sec-WebSocket-Key: " + wiretest.SampleKey), 400, "Bad Request"},
		{"headers of 10,240 bytes", sized(10_240), 101, ""},
		{"headers of one byte more", sized(10_241), 431, "Request Header Fields Too Large"},
		{"headers above net/http's bound", sized(2 << 20), 431, ""},
		{"a thousand headers", with(strings.Split(strings.Repeat("X-A: 1234567890|", 1000)+"X-B: 1", "|")...), 431, "Request Header Fields Too Large"},
		{"a URL of 4,096 bytes", urlOf(4096), 101, ""},
		{"a URL of one byte more", urlOf(4097), 414, "Request URI Too Long"},
		{"a body", with("Content-Length: 5") + "hello", 400, "Bad Request"},
		{"a body in chunks", with("Transfer-Encoding: chunked") + "0\r\n\r\n", 400, "Bad Request"},
		{"a length and chunks", with("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", 400, "Bad Request"},
		{"two lengths that differ", with("Content-Length: 0", "Content-Length: 5") + "hello", 400, ""},
		{"a negative length", with("Content-Length: -1"), 400, ""},
		{"a transfer coding of its own", with("Transfer-Encoding: gzip, chunked"), 501, ""},
		{"a blank before a colon", with("X-A : 1"), 400, ""},
		{"a line break within a header", with("X-A: 1\rX-B: 2"), 400, ""},
		{"a zero byte in a header", with("X-A: 1\x002"), 400, ""},
		{"a folded header", with("X-A: 1", "\tX-B: 2"), 101, ""},
		{"bytes that are not UTF-8 in a header", with("X-A: \xff\xfe"), 101, ""},
		{"an absolute URL of another host", strings.Replace(with(), "/test", "http://evil.example/test", 1), 101, ""},
		{"a path that climbs", strings.Replace(with(), "/test", "/a/../test", 1), 101, ""},
		{"a path that climbs, escaped", strings.Replace(with(), "/test", "/%2e%2e/%2e%2e/test", 1), 101, ""},
		{"a path with an empty segment", strings.Replace(with(), "/test", "//test", 1), 101, ""},
		{"a path with a zero byte", strings.Replace(with(), "/test", "/test%00", 1), 101, ""},
		{"a path that is not escaped well", strings.Replace(with(), "/test", "/%zz", 1), 400, ""},
		{"a query that is not escaped well", strings.Replace(with(), "/test", "/test?room=100%", 1), 400, "Bad Request"},
		{"a query with half an escape", strings.Replace(with(), "/test", "/test?a=1&b=%2", 1), 400, "Bad Request"},
		{"a query with an escape of another kind", strings.Replace(with(), "/test", "/test?b=%u0041;a=1", 1), 400, "Bad Request"},
		{"a query with semicolons", strings.Replace(with(), "/test", "/test?a=1;b=2;;", 1), 101, ""},
		{"the method CONNECT", strings.Replace(with(), "GET", "CONNECT", 1), 405, "Method Not Allowed"},
		{"the method get", strings.Replace(with(), "GET", "get", 1), 405, "Method Not Allowed"},
		{"HTTP/1.0", strings.Replace(with(), "HTTP/1.1", "HTTP/1.0", 1), 426, "Upgrade Required"},
		{"HTTP/2 over it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""},
		{"version 12", strings.Replace(with(), "Version: 13", "Version: 12", 1), 426, "Upgrade Required"},
		{"version 013", strings.Replace(with(), "Version: 13", "Version: 013", 1), 426, "Upgrade Required"},
		{"an offer of extensions", with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99, x-evil"), 101, ""},
		{"a subprotocol that is no token", with("Sec-WebSocket-Protocol: a b\"c"), 101, ""},
		{"a page of another origin", with("Origin: https://evil.example"), 403, "Forbidden"},
		{"two origins", with("Origin: http://gateway.test", "Origin: https://evil.example"), 400, "Bad Request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			var integrations int
			gw.HandleFunc(gateway.RouteKeyConnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
				integrations++
				return nil, nil
			})
			w := wiretest.Serve(t, gw.Handler())
			w.MustWriteString(tt.text)
			head, err := w.ReadHead()
			require.NoError(t, err)
			require.Contains(t, head.Line, " "+http.StatusText(tt.status))
			switch {
			case tt.status == http.StatusSwitchingProtocols:
				require.Equal(t, 1, integrations)
				return
			case tt.own != "":
				rest := make([]byte, 4<<10)
				n, _ := w.Read(rest)
				require.Contains(t, string(rest[:n]), `{"message": "`+tt.own+`", "connectionId":"`)
			}
			require.Zero(t, integrations, "no integration is asked")
		})
	}
}

// The answer of the service's front end is HTML, and comes before all else.
func TestUpgrade_TwoAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	handleAuthorized(srv, gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return nil, gateway.ErrUnauthorized
	}))
	_, refused := srv.TryDial(t, gatewaytest.Header("Authorization", "a"), gatewaytest.Header("Authorization", "b"))
	require.Equal(t, http.StatusBadRequest, refused.StatusCode)
	require.Equal(t, "text/html", refused.Header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(refused.Body, "<html>"))
}

// Who a client says it is changes nothing: not its identity, nor its count.
func TestUpgrade_ForgedForwardedFor(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{ConnectionsPerSourceIP: 1}))
	handleAuthorized(srv, &gateway.RequestAuthorizer{
		IdentitySource: []string{"context.identity.sourceIp"},
		Authorizer: gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{PrincipalID: req.Identity.SourceIP}, nil
		}),
	})
	for n, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP"} {
		ip := fmt.Sprintf("198.51.100.%d", n)
		c := srv.Dial(t, gatewaytest.SourceIP(ip), gatewaytest.Header(name, "127.0.0.1"))
		e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.ConnectionID == c.ConnectionID() })
		require.Equal(t, ip, e.Identity.SourceIP)
		require.Equal(t, ip, e.Authorizer["principalId"])
		requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, gatewaytest.SourceIP(ip), gatewaytest.Header(name, "192.0.2.77"))
	}
}

// Quotas of the request can be raised, and dropped.
func TestQuotas_OfTheUpgradeRequest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 20_000)
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{HeaderBytes: -1, URLBytes: -1}))
	srv.Dial(t, gatewaytest.Header("Cookie", long), gatewaytest.Query("q", long))
	srv = gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{HeaderBytes: 30_000, URLBytes: 100}))
	srv.Dial(t, gatewaytest.Header("Cookie", long))
	requireRefused(t, srv, http.StatusRequestURITooLong, `"Request URI Too Long"`, gatewaytest.Query("q", long))
	requireRefused(t, srv, http.StatusRequestHeaderFieldsTooLarge, `"Request Header Fields Too Large"`, gatewaytest.Header("Cookie", long+long))
}
