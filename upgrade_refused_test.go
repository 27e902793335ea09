package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// rejection is one call of Observer.UpgradeRejected.
type rejection struct {
	req    *gateway.Request
	status int
	err    error
}

// refusals returns an option that records the rejections, and any connection that
// opens although its upgrade was refused.
func refusals() (option gateway.Option, rejected <-chan rejection, opened <-chan string) {
	r, o := make(chan rejection, 100), make(chan string, 100)
	return gateway.WithObserver(&gateway.Observer{
		UpgradeRejected:  func(_ context.Context, req *gateway.Request, status int, err error) { r <- rejection{req, status, err} },
		ConnectionOpened: func(_ context.Context, c gateway.Connection) { o <- c.ID },
	}), r, o
}

// requireOwnError checks an answer that the gateway itself writes, byte by byte.
func requireOwnError(t *testing.T, r wiretest.Answer, status int, text string) {
	t.Helper()
	require.Equal(t, status, r.Status, "%v", r)
	require.Regexp(t, `^\{"message": "`+text+`", "connectionId":"[A-Za-z0-9_-]{18}==", "requestId":"[A-Za-z0-9_-]{15}="\}$`, r.Body)
	require.Equal(t, "application/json", r.Get("Content-Type"))
	require.Contains(t, r.Body, `"requestId":"`+r.Get("x-amz-apigw-id")+`"}`)
	requireErrorHeaders(t, r)
}

func requireErrorHeaders(t *testing.T, r wiretest.Answer) {
	t.Helper()
	require.Len(t, r.Values("x-amz-apigw-id"), 1)
	require.Contains(t, r.Names(), "x-amz-apigw-id", "spelt so")
	require.Len(t, r.Values("Date"), 1)
	require.Empty(t, r.Values("x-amzn-RequestId"))
	require.Empty(t, r.Values("x-amzn-ErrorType"))
}

// fieldsWithout returns the header lines of a valid upgrade request, without those in
// names, and with more.
func fieldsWithout(names []string, more ...string) []string {
	var kept []string
	for _, f := range []string{
		"Host: gateway.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + wiretest.SampleKey,
	} {
		drop := false
		for _, name := range names {
			drop = drop || strings.HasPrefix(f, name+":")
		}
		if !drop {
			kept = append(kept, f)
		}
	}
	return append(kept, more...)
}

func TestUpgrade_NoUpgrade(t *testing.T) {
	t.Parallel()
	const get = "GET /test HTTP/1.1"
	upgrade := []string{"Upgrade: websocket", "Connection: Upgrade"}
	for _, tc := range []struct {
		name   string
		text   string
		status int
		text2  string // the text of the message
		fields []string
	}{
		{"a plain GET", wiretest.Request(get, "Host: x"), 426, "Upgrade Required", upgrade},
		{"a GET that upgrades to something else", wiretest.Request(get, fieldsWithout([]string{"Upgrade"}, "Upgrade: h2c")...), 426, "Upgrade Required", upgrade},
		{"HTTP/1.0", wiretest.Request("GET /test HTTP/1.0", fieldsWithout(nil)...), 426, "Upgrade Required", upgrade[:1]},
		{"no Connection: Upgrade", wiretest.Request(get, fieldsWithout([]string{"Connection"})...), 426, "Upgrade Required", upgrade},
		{"a plain POST", wiretest.Request("POST /test HTTP/1.1", "Host: x", "Content-Length: 0"), 426, "Upgrade Required", upgrade},
		{"a plain POST with a body", wiretest.Request("POST /test HTTP/1.1", "Host: x", "Content-Length: 5") + "hello", 426, "Upgrade Required", upgrade},
		{"a plain PUT with a chunked body", wiretest.Request("PUT /test HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 426, "Upgrade Required", upgrade},
		{"a POST that upgrades, with a body", wiretest.Request("POST /test HTTP/1.1", fieldsWithout(nil, "Content-Length: 5")...) + "hello", 405, "Method Not Allowed", []string{"Allow: GET"}},
		{"version 8 with a body", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Version"}, "Sec-WebSocket-Version: 8", "Content-Length: 5")...) + "hello", 426, "Upgrade Required", []string{"Sec-Websocket-Version: 13"}},
		{"a POST that upgrades", wiretest.Request("POST /test HTTP/1.1", fieldsWithout(nil, "Content-Length: 0")...), 405, "Method Not Allowed", []string{"Allow: GET"}},
		{"a body", wiretest.Request(get, fieldsWithout(nil, "Content-Length: 5")...) + "hello", 400, "Bad Request", nil},
		{"a chunked body", wiretest.Request(get, fieldsWithout(nil, "Transfer-Encoding: chunked")...) + "5\r\nhello\r\n0\r\n\r\n", 400, "Bad Request", nil},
		{"version 8", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Version"}, "Sec-WebSocket-Version: 8")...), 426, "Upgrade Required", []string{"Sec-Websocket-Version: 13"}},
		{"no version", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Version"})...), 426, "Upgrade Required", []string{"Sec-Websocket-Version: 13"}},
		{"no key", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Key"})...), 400, "Bad Request", nil},
		{"a key that is not 16 bytes", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Key"}, "Sec-WebSocket-Key: c2hvcnQ=")...), 400, "Bad Request", nil},
		{"a key that is not base64", wiretest.Request(get, fieldsWithout([]string{"Sec-WebSocket-Key"}, "Sec-WebSocket-Key: %%%%%%%%%%%%%%%%%%%%%%%%")...), 400, "Bad Request", nil},
		{"two keys", wiretest.Request(get, fieldsWithout(nil, "Sec-WebSocket-Key: "+wiretest.SampleKey)...), 400, "Bad Request", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			option, rejected, opened := refusals()
			srv := gatewaytest.New(t, option)
			srv.HandleFunc("$connect", answerNothing)
			r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(tc.text)
			requireOwnError(t, r, tc.status, tc.text2)
			require.Subset(t, r.Fields, tc.fields)
			got := <-rejected
			require.Equal(t, tc.status, got.status)
			require.Error(t, got.err)
			require.Empty(t, opened)
			require.Empty(t, srv.Events(), "$connect does not run")
		})
	}
}

// Code in front of the handler, such as a framework, may have set a Content-Type for
// pages. A refusal sets its own.
func TestUpgrade_ContentTypeOfARefusal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		request string
		connect gateway.Response
		want    string
	}{
		{"of our own", wiretest.Request("GET /test HTTP/1.1", "Host: x"), gateway.Response{}, "application/json"},
		{"of the front end", wiretest.Upgrade("/test", "Authorization: a", "Authorization: b"), gateway.Response{}, "text/html"},
		{"of an integration that says nothing", wiretest.Upgrade("/test"), gateway.Response{StatusCode: 403}, "application/json"},
		{"of an integration that says it", wiretest.Upgrade("/test"), gateway.Response{StatusCode: 403, Header: http.Header{"content-type": {"text/plain"}}}, "text/plain"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gw := newGateway(t)
			gw.Handle(gateway.RouteKeyConnect, respond(&tc.connect))
			r := wiretest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("X-Outer", "1")
				gw.Handler().ServeHTTP(w, r)
			})).MustAsk(tc.request)
			require.GreaterOrEqual(t, r.Status, 400)
			require.Len(t, r.Values("Content-Type"), 1)
			require.Equal(t, tc.want, r.Get("Content-Type"))
			require.Equal(t, "1", r.Get("X-Outer"), "another header of theirs stays")
		})
	}
}

func TestUpgrade_Origin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		patterns []string
		origin   string // "": the request has no Origin
		ok       bool
	}{
		{"no Origin", nil, "", true},
		{"the same host", nil, "http://gateway.test", true},
		{"the same host by another scheme", nil, "https://gateway.test", true},
		{"the same host in other case", nil, "http://Gateway.Test", true},
		{"another host", nil, "https://evil.example", false},
		{"a host that begins alike", nil, "http://gateway.test.evil.example", false},
		{"a subdomain", nil, "http://sub.gateway.test", false},
		{"another port", nil, "http://gateway.test:8080", false},
		{"the null origin", nil, "null", false},
		{"no URL", nil, "http://[", false},
		{"a pattern that matches", []string{"*.example.com"}, "https://app.example.com", true},
		{"whatever the case", []string{"*.Example.com"}, "https://APP.example.COM", true},
		{"one of several patterns", []string{"a.example", "b.example"}, "https://b.example", true},
		{"a pattern that does not match", []string{"*.example.com"}, "https://example.com", false},
		{"a pattern is of the whole host", []string{"example.com"}, "https://example.com.evil.example", false},
		{"the same host, beside patterns", []string{"*.example.com"}, "http://gateway.test", true},
		{"every page", []string{"*"}, "https://evil.example", true},
		{"every page, with a port", []string{"*"}, "https://evil.example:8443", true},
		{"every page, the null origin too", []string{"*"}, "null", true},
		{"a pattern without a port, a page with one", []string{"localhost"}, "http://localhost:3000", true},
		{"a pattern that is a full origin", []string{"https://app.example.com"}, "https://app.example.com", true},
		{"an IPv6 address with a port", []string{"[::1]:3000"}, "http://[::1]:3000", true},
		{"the same host with its default port", nil, "http://gateway.test:80", true},
		{"a file, which a pattern names", []string{"file://"}, "file://", true},
		{"a data: URL, where a pattern names files", []string{"file://", "null"}, "data:", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			option, rejected, opened := refusals()
			srv := gatewaytest.New(t, option, gateway.WithOriginPatterns(tc.patterns...))
			srv.HandleFunc("$connect", answerNothing)
			var lines []string
			if tc.origin != "" {
				lines = append(lines, "Origin: "+tc.origin)
			}
			r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test", lines...))
			if tc.ok {
				require.Equal(t, 101, r.Status)
				return
			}
			requireOwnError(t, r, 403, "Forbidden")
			require.Equal(t, 403, (<-rejected).status)
			require.Empty(t, opened)
			require.Empty(t, srv.Events(), "$connect does not run")
		})
	}
}

// A request without a host does not come from a page of that host: two missing hosts
// are not the same host.
func TestUpgrade_OriginWithoutHost(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"null", "file://", "data:x", "https://", "https://:443", "about:blank", "https://gateway.test"} {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", answerNothing)
		text := strings.Replace(wiretest.Upgrade("/test", "Origin: "+origin), "Host: gateway.test", "Host: ", 1)
		require.Contains(t, text, "Host: \r\n")
		requireOwnError(t, wiretest.Dial(t, srv.HTTPClient()).MustAsk(text), 403, "Forbidden")
		require.Empty(t, srv.Events(), "$connect does not run")
	}
}

// An observer learns which request was refused, whatever step refused it. If an
// authorizer or an integration still has the request, the observer gets it without
// Upgrade. The $context variables tell of the answer, and of the call of the integration if
// there was one.
func TestUpgrade_RejectedRequest(t *testing.T) {
	t.Parallel()
	ann := gateway.AuthorizerFunc(func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
		return &gateway.Authorization{PrincipalID: "ann"}, nil
	})
	tooLate := func() { <-time.After(29500 * time.Millisecond) }
	for _, tc := range []struct {
		name       string
		lines      []string // of the upgrade request
		authorizer gateway.AuthorizerFunc
		connect    gateway.IntegrationFunc
		status     int
		principal  any
		lent       bool
		message    string    // $context.error.message
		called     [2]string // $context.integration.status and .latency
	}{
		{name: "by its origin", lines: []string{"Origin: https://evil.example"}, authorizer: ann, connect: answerNothing, status: 403},
		{name: "by the authorizer", authorizer: func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
			return nil, gateway.ErrUnauthorized
		}, connect: answerNothing, status: 401, message: "Unauthorized"},
		{name: "by the authorizer's timeout", authorizer: func(context.Context, *gateway.Request) (*gateway.Authorization, error) {
			tooLate()
			return &gateway.Authorization{PrincipalID: "ann"}, nil
		}, connect: answerNothing, status: 500, lent: true, message: "Internal server error"},
		{name: "by the integration", authorizer: ann, connect: func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{StatusCode: 418}, nil
		}, status: 418, principal: "ann", called: [2]string{"418", "0"}},
		{name: "by an integration that forgets its request", authorizer: ann, connect: func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			*req = gateway.Request{}
			return &gateway.Response{StatusCode: 418}, nil
		}, status: 418, principal: "ann", called: [2]string{"418", "0"}},
		{name: "by the integration's failure", authorizer: ann, connect: func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, errors.New("broken")
		}, status: 502, principal: "ann", message: "Internal server error", called: [2]string{"", "0"}},
		{name: "by the integration's timeout", authorizer: ann, connect: func(context.Context, *gateway.Request) (*gateway.Response, error) {
			tooLate()
			return &gateway.Response{}, nil
		}, status: 504, principal: "ann", lent: true, message: "Endpoint request timed out", called: [2]string{"", "29000"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				option, rejected, _ := refusals()
				srv := gatewaytest.New(t, option)
				srv.Handle("$connect", tc.connect, gateway.WithAuthorizer(tc.authorizer))
				r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test", append(tc.lines, "User-Agent: test", "X-Tenant: blue")...))
				require.Equal(t, tc.status, r.Status)
				got := <-rejected
				require.Equal(t, tc.status, got.status)
				require.Equal(t, []any{"$connect", gateway.EventConnect, "local", "local", "gateway.test"},
					[]any{got.req.RouteKey, got.req.EventType, got.req.Stage, got.req.APIID, got.req.DomainName})
				require.Equal(t, r.Get("x-amz-apigw-id"), got.req.RequestID)
				require.Regexp(t, "==$", got.req.ConnectionID)
				require.Equal(t, "test", got.req.Identity.UserAgent)
				require.NotEmpty(t, got.req.Identity.SourceIP)
				require.Equal(t, tc.principal, got.req.Authorizer["principalId"])
				require.Equal(t, strconv.Itoa(tc.status), gateway.ContextValue(got.req, "status"))
				require.Equal(t, tc.message, gateway.ContextValue(got.req, "error.message"))
				require.Equal(t, tc.called[0], gateway.ContextValue(got.req, "integration.status"))
				require.Equal(t, tc.called[1], gateway.ContextValue(got.req, "integration.latency"))
				if tc.lent {
					require.Nil(t, got.req.Upgrade)
					return
				}
				require.Equal(t, "blue", got.req.Upgrade.Header.Get("X-Tenant"))
			})
		})
	}
}

// TestUpgrade_Hostile is the table of docs/handshakes.md: upgrade requests that no
// honest client sends, and their answers. After each, the gateway serves the next
// upgrade.
func TestUpgrade_Hostile(t *testing.T) {
	t.Parallel()
	const get = "GET /test HTTP/1.1"
	with := func(lines ...string) string { return wiretest.Upgrade("/test", lines...) }
	// sized returns an upgrade request whose headers take n bytes on the wire.
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
		own    string // the message of our own answer; "": the answer is net/http's, or there is none
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
			require.Zero(t, integrations, "no integration is called")
		})
	}
}

// The answer of the service's front end is HTML. It comes before all other checks.
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

// A client cannot choose who it is: neither its identity nor the count of its
// connections changes.
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

// The quotas of the upgrade request can be raised and switched off.
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
