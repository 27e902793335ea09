package gateway_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
)

// A mapping cannot set a header that frames the request or belongs to the connection,
// in whatever case it is written.
func TestHTTPIntegration_ReservedHeaders(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Content-Length", "content-length", "Content-length", "Transfer-Encoding", "transfer-encoding", "connection", "Upgrade", "te", "TE",
		"trailer", "expect", "keep-alive", "proxy-connection", "Content_Length", "transfer_encoding",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := newGateway(t).Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "m", Integration: &gateway.HTTPIntegration{
				URI: "http://x", RequestParameters: map[string]string{"integration.request.header." + name: "'1'"},
			}}}})
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, "integration.request.header."+name)
		})
	}
}

// wireEndpoint is an HTTP backend that sees each header line as it arrived.
func wireEndpoint(t *testing.T) (url string, lines <-chan []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	requests := make(chan []string, 1)
	done := make(chan struct{})
	go func() { // ends with the listener, at the end of the test
		defer close(done)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			var request []string
			r := textproto.NewReader(bufio.NewReader(nc))
			for line, err := r.ReadLine(); err == nil && line != ""; line, err = r.ReadLine() {
				request = append(request, line)
			}
			requests <- request
			_, _ = nc.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			_ = nc.Close()
		}
	}()
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	return "http://" + l.Addr().String(), requests
}

func named(lines []string, name string) (values []string) {
	for _, line := range lines[1:] {
		if n, value, _ := strings.Cut(line, ": "); strings.EqualFold(n, name) {
			values = append(values, n+"="+value)
		}
	}
	return values
}

// On the wire a mapped header appears once, also if net/http would add it.
func TestHTTPIntegration_MappedHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	address, requests := wireEndpoint(t)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: address, Client: &http.Client{}, RequestParameters: map[string]string{
		"integration.request.header.user-agent": "'mine'", "integration.request.header.accept-encoding": "'br'", "integration.request.header.connectionid": "'id'",
		"integration.request.header.sec-websocket-protocol": "'mapped'", "integration.request.header.host": "'h.test'", "integration.request.header.x-Own": "'own'",
	}, CallbackURL: "http://gateway.internal"})
	srv.Dial(t, gatewaytest.Header("X-OWN", "forged"), gatewaytest.Subprotocols("offered"), gatewaytest.Header("Connectionid", "forged"))
	lines := <-requests
	require.Equal(t, []string{"User-Agent=mine"}, named(lines, "User-Agent"))
	require.Equal(t, []string{"Accept-Encoding=br"}, named(lines, "Accept-Encoding"))
	require.Equal(t, []string{"connectionid=id"}, named(lines, "connectionId"))
	require.Equal(t, []string{"sec-websocket-protocol=mapped"}, named(lines, "Sec-WebSocket-Protocol"))
	require.Equal(t, []string{"Host=h.test"}, named(lines, "Host"))
	require.Equal(t, []string{"x-Own=own"}, named(lines, "X-Own"))
	require.Len(t, named(lines, "Content-Length"), 1)
	require.Empty(t, named(lines, "Transfer-Encoding"))
}

// Headers for the connection to the gateway, or about the answer to the upgrade, are
// not passed on. If a client names a header of the front end in Connection, that
// header is passed on all the same.
func TestHTTPIntegration_HeadersNotPassedOn(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL})
	w := wiretest.Dial(t, srv.HTTPClient())
	w.MustWriteString(wiretest.Upgrade("/test", "Connection: X-Hop, x-forwarded-for, X-Forwarded-Proto", "X-Hop: 1", "Connection: X-Hop-Too", "X-Hop-Too: 1", "Proxy-Authorization: Basic x", "Expect: ",
		"Range: bytes=0-1", "If-None-Match: *", "If-Match: x", "If-Modified-Since: x", "If-Unmodified-Since: x", "If-Range: x", "Content-Encoding: gzip",
		"Content-Range: bytes 0-1/2", "HTTP2-Settings: x", "TE: trailers", "Keep-Alive: 1", "Proxy-Connection: close", "Accept-Encoding: br", "X-Kept: 1"))
	head, err := w.ReadHead()
	require.NoError(t, err)
	require.Contains(t, head.Line, "101")
	header := e.Last(t).Header
	for _, name := range []string{
		"X-Hop", "X-Hop-Too", "Proxy-Authorization", "Expect", "Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range",
		"Content-Encoding", "Content-Range", "Http2-Settings", "Te", "Keep-Alive", "Proxy-Connection", "Accept-Encoding", "Connection", "Upgrade",
	} {
		require.NotContains(t, header, name)
	}
	require.Equal(t, "1", header.Get("X-Kept"))
	require.NotEmpty(t, header.Get("X-Forwarded-For"))
	require.Equal(t, "http", header.Get("X-Forwarded-Proto"))
	require.NotEmpty(t, header.Get("X-Amzn-Trace-Id"))
}

// Through a proxy a Host header chooses the server. So a request with a mapped Host,
// which may be the client's, does not go through a proxy.
func TestHTTPIntegration_MappedHostAndProxy(t *testing.T) {
	t.Parallel()
	proxy := testutil.NewBackend(t, says("from the proxy"))
	through, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	backend := testutil.NewBackend(t, says("from the backend"))
	host := strings.TrimPrefix(backend.URL, "http://")
	client := &http.Client{Transport: &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Path == "/direct" {
			return nil, nil
		}
		return through, nil
	}}}
	t.Cleanup(client.CloseIdleConnections)
	const failed = `{"message": "Internal server error"`
	for _, tt := range []struct{ path, message, want string }{
		{"/", `{"host":"evil.example"}`, failed},
		{"/", `{"host":"` + host + `"}`, "from the proxy"},
		{"/", `{}`, "from the proxy"},
		{"/direct", `{"host":"other.example"}`, "from the backend"},
	} {
		ask, _ := twoWay(t, &gateway.HTTPIntegration{URI: backend.URL + tt.path, Client: client, RequestParameters: map[string]string{
			"integration.request.header.host": "route.request.body.host",
		}})
		require.Contains(t, ask(tt.message), tt.want, tt)
	}
	require.Equal(t, 2, proxy.Count())
	require.Equal(t, host, proxy.Last(t).Host)
	require.Equal(t, "other.example", backend.Last(t).Host)
}

// Many backends read "_" in the name of a header as "-". With such a name, a client
// cannot set what the gateway or a mapping sets, and cannot frame the request.
func TestHTTPIntegration_UnderscoresInHeaders(t *testing.T) {
	t.Parallel()
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, CallbackURL: "http://gateway.internal", RequestParameters: map[string]string{
		"integration.request.header.X-User-Id": "context.connectionId", "integration.request.header.x-absent": "stageVariables.none", "integration.request.header.x_own_name": "'own'",
	}})
	w := wiretest.Dial(t, srv.HTTPClient())
	w.MustWriteString(wiretest.Upgrade("/test", "X_User_Id: admin", "X-User_id: admin", "X_ABSENT: 1", "X-Own-Name: forged", "X_Forwarded_For: 198.51.100.1", "X-Forwarded_Proto: https", "User_Agent: x",
		"X_Amzn_Apigateway_Api_Id: x", "X_Amzn_Trace_Id: x", "Transfer_Encoding: chunked", "Content_Length: 7", "Accept_Encoding: br", "X_Kept: 1"))
	head, err := w.ReadHead()
	require.NoError(t, err)
	require.Contains(t, head.Line, "101")
	for name := range e.Last(t).Header {
		if strings.Contains(name, "_") {
			require.Contains(t, []string{"X_kept", "X_own_name"}, name)
		}
	}
	require.Equal(t, []string{"own"}, e.Last(t).Header["X_own_name"])
	require.NotContains(t, e.Last(t).Header, "X-Own-Name")
	require.Equal(t, []string{"1"}, e.Last(t).Header["X_kept"])
}

// For a mapped Host the last value counts, and it must be a valid host: otherwise
// net/http would leave it out, and the endpoint would serve its default site.
func TestHTTPIntegration_MappedHost(t *testing.T) {
	t.Parallel()
	const failed = ""
	for value, want := range map[string]string{
		"a.example": "a.example", "a.example:8080": "a.example:8080", "[::1]:80": "[::1]:80", "é.example": "xn--9ca.example",
		"a b": failed, "a/b": failed, "a?b": failed, "a#b": failed, "user@b": failed, "a\r\nX-Evil: 1": failed, "a\x00": failed, ":80": failed, "a:x": failed, "a%20": failed, "[::1": failed,
	} {
		e := testutil.NewBackend(t, says("served"))
		ask, _ := twoWay(t, &gateway.HTTPIntegration{URI: e.URL, RequestParameters: map[string]string{"integration.request.header.host": "route.request.body.host"}})
		message, err := json.Marshal(map[string]string{"host": value})
		require.NoError(t, err)
		got := ask(string(message))
		if want == failed {
			require.Contains(t, got, `{"message": "Internal server error"`, "%q", value)
			require.Zero(t, e.Count(), "%q", value)
			continue
		}
		require.Equal(t, "served", got, "%q", value)
		require.Equal(t, want, e.Last(t).Host)
	}
	e := testutil.NewBackend(t, testutil.OK)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL, RequestParameters: map[string]string{"integration.request.header.host": "route.request.multivalueheader.X-Host"}})
	srv.Dial(t, gatewaytest.Header("X-Host", "a.example"), gatewaytest.Header("X-Host", "b.example"))
	require.Equal(t, "b.example", e.Last(t).Host)
}

// HTTP/2 does not allow blanks at the ends of a value (RFC 9113, section 8.2.1);
// HTTP/1.1 removes them.
func TestHTTPIntegration_HTTP2(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	e := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	e.EnableHTTP2 = true
	e.StartTLS()
	t.Cleanup(e.Close)
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL + "/x?own=1", Client: e.Client(), RequestParameters: map[string]string{
		"integration.request.header.X-Mapped": "route.request.querystring.x", "integration.request.header.host": "'h.test'",
	}})
	srv.Dial(t, gatewaytest.Query("x", "\r\n a\tb \n"), gatewaytest.Header("TE", "trailers"), gatewaytest.Header("Keep-Alive", "1"), gatewaytest.Header("X-Client", "1"))
	require.Equal(t, 2, seen.ProtoMajor)
	require.Equal(t, "h.test", seen.Host)
	require.Equal(t, []string{"a\tb"}, seen.Header["X-Mapped"])
	require.Equal(t, []string{"1"}, seen.Header["X-Client"])
	require.NotContains(t, seen.Header, "Te")
	require.NotContains(t, seen.Header, "Keep-Alive")
}

// A client's value in the URI of an HTTP integration stays in the place that the URI
// gives it. If a value cannot stay there, the integration fails, and nothing is sent.
func TestHTTPIntegration_ClientValueInURI(t *testing.T) {
	t.Parallel()
	const failed = "" // no path: the endpoint is not called
	for _, tt := range []struct {
		name, uri, message string
		path               string
		query              url.Values
	}{
		{"a segment", "/users/{id}/x", `{"id":"7"}`, "/users/7/x", url.Values{}},
		{"an escape of the client's", "/users/{id}/x", `{"id":"%2e%2e"}`, "/users/%2e%2e/x", url.Values{}},
		{"dots", "/users/{id}/x", `{"id":".."}`, failed, nil},
		{"a dot", "/users/{id}/x", `{"id":"."}`, failed, nil},
		{"a climb", "/users/{id}/x", `{"id":"../admin"}`, failed, nil},
		{"a slash", "/users/{id}/x", `{"id":"7/x"}`, failed, nil},
		{"a backslash", "/users/{id}/x", `{"id":"..\\admin"}`, failed, nil},
		{"a line of its own", "/users/{id}/x", `{"id":"7\r\nX-Evil: 1"}`, failed, nil},
		{"a line in the query", "/?user={id}", `{"id":"7\r\nX-Evil: 1"}`, "/", url.Values{"user": {"7\r\nX-Evil: 1"}}},
		{"two values that are dots together", "/{id}{id}/x", `{"id":"."}`, failed, nil},
		{"dots together with the URI", "/.{id}/x", `{"id":"."}`, failed, nil},
		{"a missing value", "/items/{id}", `{}`, failed, nil},
		{"a null", "/items/{id}", `{"id":null}`, failed, nil},
		{"an empty value", "/items/{id}", `{"id":""}`, failed, nil},
		{"no JSON", "/items/{id}", `7`, failed, nil},
		{"a value in the query", "/?user={id}&role=user", `{"id":"7"}`, "/", url.Values{"user": {"7"}, "role": {"user"}}},
		{"a parameter in the query", "/?user={id}&role=user", `{"id":"1&role=admin"}`, "/", url.Values{"user": {"1&role=admin"}, "role": {"user"}}},
		{"the other separator", "/?user={id}", `{"id":"1;role=admin"}`, "/", url.Values{"user": {"1;role=admin"}}},
		{"a new parameter", "/?user={id}", `{"id":"&admin=1"}`, "/", url.Values{"user": {"&admin=1"}}},
		{"a plus sign in the query", "/?user={id}", `{"id":"a+b %41"}`, "/", url.Values{"user": {"a+b %41"}}},
		{"a fragment in the query", "/?user={id}", `{"id":"#x?y/.."}`, "/", url.Values{"user": {"#x?y/.."}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := testutil.NewBackend(t, says("served"))
			ask, _ := twoWay(t, &gateway.HTTPIntegration{
				URI: e.URL + tt.uri, RequestParameters: map[string]string{"integration.request.path.id": "route.request.body.id"},
			})
			got := ask(tt.message)
			if tt.path == failed {
				require.Contains(t, got, `{"message": "Internal server error"`)
				require.Zero(t, e.Count())
				return
			}
			require.Equal(t, "served", got)
			require.Equal(t, tt.path, e.Last(t).URL.Path)
			require.Equal(t, tt.query, e.Last(t).URL.Query())
		})
	}
	t.Run("on $connect it is 500", func(t *testing.T) {
		t.Parallel()
		e := testutil.NewBackend(t, testutil.OK)
		srv := gatewaytest.New(t)
		srv.Handle("$connect", &gateway.HTTPIntegration{
			URI: e.URL + "/items/{id}", Method: http.MethodDelete,
			RequestParameters: map[string]string{"integration.request.path.id": "route.request.querystring.id"},
		})
		requireRefused(t, srv, 500, `"Internal server error"`)
		requireRefused(t, srv, 500, `"Internal server error"`, gatewaytest.Query("id", ".."))
		require.Zero(t, e.Count())
	})
}

// A client cannot change what the URI itself says: neither the parameters of its
// query, however they are separated and escaped, nor its credentials.
func TestHTTPIntegration_URISaysItself(t *testing.T) {
	t.Parallel()
	t.Run("parameters", func(t *testing.T) {
		t.Parallel()
		e := testutil.NewBackend(t, testutil.OK)
		srv := gatewaytest.New(t)
		srv.Handle("$connect", &gateway.HTTPIntegration{URI: e.URL + "/?role=user;internal&rate=100%25"})
		srv.Dial(t, gatewaytest.Query("role", "admin"), gatewaytest.Query("internal", "no"), gatewaytest.Query("rate", "0"), gatewaytest.Query("room", "7"))
		require.Equal(t, url.Values{"role": {"user"}, "internal": {""}, "rate": {"100%"}, "room": {"7"}}, e.Last(t).URL.Query())
	})
	for _, tt := range []struct {
		name, user string
		parameters map[string]string
		want       []string
	}{
		{"credentials", "service:secret@", nil, []string{"Basic c2VydmljZTpzZWNyZXQ="}},
		{"credentials without a password", "service@", nil, []string{"Basic c2VydmljZTo="}},
		{"credentials that are escaped", "a%40b:c%3Ad@", nil, []string{"Basic YUBiOmM6ZA=="}},
		{"a mapping goes before them", "service:secret@", map[string]string{"integration.request.header.authorization": "'mapped'"}, []string{"mapped"}},
		{"a mapping without a value", "service:secret@", map[string]string{"integration.request.header.Authorization": "stageVariables.none"}, nil},
		{"no credentials", "", nil, []string{"of the client"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := testutil.NewBackend(t, testutil.OK)
			srv := gatewaytest.New(t)
			srv.Handle("$connect", &gateway.HTTPIntegration{URI: "http://" + tt.user + e.Listener.Addr().String(), RequestParameters: tt.parameters})
			srv.Dial(t, gatewaytest.Header("Authorization", "of the client"))
			require.Equal(t, tt.want, e.Last(t).Header["Authorization"])
		})
	}
}
