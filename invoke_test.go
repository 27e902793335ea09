package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

func TestUpgrade_ConnectRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		resp   gateway.Response
		status int
		body   string
		fields []string // some of the answer's fields
	}{
		{"300", gateway.Response{StatusCode: 300}, 300, "", nil},
		{
			"302 with a Location",
			gateway.Response{StatusCode: 302, Header: http.Header{"Location": {"https://example.com/login"}}},
			302, "",
			[]string{"Location: https://example.com/login"},
		},
		{"304, which has no body", gateway.Response{StatusCode: 304, Body: []byte("dropped")}, 304, "", nil},
		{
			"400 with a body that is JSON for all we know",
			gateway.Response{StatusCode: 400, Body: []byte("no subprotocol")},
			400, "no subprotocol",
			[]string{"Content-Type: application/json"},
		},
		{
			"401 with headers",
			gateway.Response{StatusCode: 401, Body: []byte("<p>who?"), Header: http.Header{
				"Content-Type": {"text/html"}, "www-authenticate": {"Basic", "Bearer"}, "X-Empty": {""},
			}},
			401, "<p>who?",
			[]string{"Content-Type: text/html", "Www-Authenticate: Basic", "Www-Authenticate: Bearer", "X-Empty: "},
		},
		{"418", gateway.Response{StatusCode: 418}, 418, "", nil},
		{"499, which has no text", gateway.Response{StatusCode: 499, Body: []byte("x")}, 499, "x", nil},
		{"500", gateway.Response{StatusCode: 500, Body: []byte(`{"why":"none"}`)}, 500, `{"why":"none"}`, nil},
		{"599", gateway.Response{StatusCode: 599}, 599, "", nil},
		{"a large body", gateway.Response{StatusCode: 403, Body: []byte(strings.Repeat("x", 70_000))}, 403, strings.Repeat("x", 70_000), nil},
		{
			"hop-by-hop headers are dropped, however they are spelt",
			gateway.Response{StatusCode: 403, Body: []byte("no"), Header: http.Header{
				"Connection": {"close"}, "keep-alive": {"timeout=5"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"},
				"Trailer": {"X"}, "TE": {"trailers"}, "Proxy-Connection": {"close"}, "content-length": {"77"}, "X-Kept": {"1"},
			}},
			403, "no",
			[]string{"X-Kept: 1", "Content-Length: 2"},
		},
		{
			"line breaks in a value split nothing",
			gateway.Response{StatusCode: 403, Header: http.Header{"X-A": {"1\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK"}, "X-B: 1\r\nX-Evil": {"1"}}},
			403, "",
			[]string{"X-A: 1  X-Evil: 1    HTTP/1.1 200 OK"},
		},
		{
			"the request ID is ours",
			gateway.Response{StatusCode: 403, Header: http.Header{"X-Amz-Apigw-Id": {"theirs"}, "x-amz-apigw-id": {"theirs"}}},
			403, "", nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			option, rejected, opened := refusals()
			srv := gatewaytest.New(t, option)
			srv.Handle("$connect", respond(&tc.resp))
			srv.HandleFunc("$disconnect", answerNothing)
			w := wiretest.Dial(t, srv.HTTPClient())
			for range 2 { // the socket stays open for another try
				r := w.MustAsk(wiretest.Upgrade("/test"))
				require.Equal(t, tc.status, r.Status)
				require.Equal(t, tc.body, r.Body)
				requireErrorHeaders(t, r)
				if tc.status != 304 {
					require.Len(t, r.Values("Content-Type"), 1)
				}
				require.Empty(t, r.Values("X-Evil"))
				require.Subset(t, r.Fields, tc.fields)
				for _, name := range []string{"Connection", "Upgrade", "Keep-Alive", "Trailer", "Te", "Proxy-Connection", "Sec-WebSocket-Accept"} {
					require.Empty(t, r.Values(name), name)
				}
				e := srv.Events()[len(srv.Events())-1]
				require.Equal(t, e.RequestID, r.Get("x-amz-apigw-id"), "the ID that the integration saw")
				got := <-rejected
				require.Equal(t, tc.status, got.status)
				require.NoError(t, got.err, "it is the integration's own choice")
			}
			require.Empty(t, opened)
			require.Empty(t, connectionIDs(srv.Gateway))
			require.Len(t, srv.Events(), 2, "no $disconnect")
		})
	}
}

func TestUpgrade_ConnectFails(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret detail")
	obeys := func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("asking the database: %w", ctx.Err())
	}
	ignores := func(context.Context, *gateway.Request) (*gateway.Response, error) {
		time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
		return nil, nil
	}
	status := func(code int) gateway.IntegrationFunc {
		return respond(&gateway.Response{StatusCode: code, Body: []byte("secret detail")})
	}
	for _, tc := range []struct {
		name    string
		connect gateway.IntegrationFunc
		quotas  gateway.Quotas
		status  int
		text    string
		after   time.Duration
		is      error // what the observer's error wraps
	}{
		{"an error", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, cause }, gateway.Quotas{}, 502, "Internal server error", 0, cause},
		{"an error beside a response", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{StatusCode: 401, Body: []byte("secret detail")}, cause
		}, gateway.Quotas{}, 502, "Internal server error", 0, cause},
		{"a panic", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic(cause) }, gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"a panic that net/http knows", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic(http.ErrAbortHandler) }, gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"a goroutine that ends", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			runtime.Goexit()
			return nil, nil
		}, gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"a timeout that the integration obeys", obeys, gateway.Quotas{}, 504, "Endpoint request timed out", 29 * time.Second, context.DeadlineExceeded},
		{"a timeout that it ignores", ignores, gateway.Quotas{}, 504, "Endpoint request timed out", 29 * time.Second, context.DeadlineExceeded},
		{"another timeout", obeys, gateway.Quotas{IntegrationTimeout: 50 * time.Millisecond}, 504, "Endpoint request timed out", 50 * time.Millisecond, context.DeadlineExceeded},
		{"a timeout of its own is an ordinary error", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, context.DeadlineExceeded
		}, gateway.Quotas{}, 502, "Internal server error", 0, context.DeadlineExceeded},
		{"status 101", status(101), gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"status 42", status(42), gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"status 199", status(199), gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"status 600", status(600), gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"status 999", status(999), gateway.Quotas{}, 502, "Internal server error", 0, nil},
		{"status -1", status(-1), gateway.Quotas{}, 502, "Internal server error", 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				option, rejected, opened := refusals()
				srv := gatewaytest.New(t, option, gateway.WithQuotas(tc.quotas))
				requests := make(chan gateway.Request, 1)
				srv.HandleFunc("$connect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					requests <- *req
					return tc.connect(ctx, req)
				})
				srv.HandleFunc("$disconnect", answerNothing)
				start := time.Now()
				r := wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test"))
				require.Equal(t, tc.after, time.Since(start))
				requireOwnError(t, r, tc.status, tc.text)
				seen := <-requests
				require.Equal(t, errorFrame(tc.text, seen.ConnectionID, seen.RequestID), r.Body, "an error frame's bytes")
				got := <-rejected
				require.Equal(t, tc.status, got.status)
				require.Error(t, got.err)
				if tc.is != nil {
					require.ErrorIs(t, got.err, tc.is)
				}
				time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble: an answer that comes too late is dropped
				require.Empty(t, opened)
				require.Empty(t, connectionIDs(srv.Gateway))
				require.Len(t, srv.Events(), 1, "no $disconnect")
			})
		})
	}
}

// The error that a driver returns when its context ends may not wrap the context's
// error.
func TestUpgrade_TimeoutWithAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	obeys := func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done()
		return &gateway.Response{}, errors.New("driver: canceling query due to user request")
	}
	t.Run("of $connect is 504, always", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			srv.HandleFunc("$connect", obeys)
			for range 30 {
				requireOwnError(t, wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test")), 504, "Endpoint request timed out")
			}
		})
	})
	t.Run("of a message is a timed out frame, always", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			srv := gatewaytest.New(t)
			srv.HandleFunc("$default", obeys)
			c := srv.Dial(t)
			for range 30 {
				c.Send("x")
				require.Contains(t, c.Receive(), `{"message": "Endpoint request timed out", `)
			}
		})
	})
}

func TestUpgrade_ConnectAccepts(t *testing.T) {
	t.Parallel()
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for _, tc := range []struct {
		name     string
		resp     *gateway.Response
		offered  string
		protocol string
	}{
		{"no response", nil, "", ""},
		{"the zero response", &gateway.Response{}, "", ""},
		{"200", &gateway.Response{StatusCode: 200}, "", ""},
		{"299", &gateway.Response{StatusCode: 299}, "", ""},
		{"204, whose body and headers are dropped", &gateway.Response{
			StatusCode: 204, Body: []byte("dropped"), Header: http.Header{"X-Dropped": {"1"}, "Set-Cookie": {"a=1"}, "Content-Type": {"text/x"}},
		}, "", ""},
		{"a subprotocol that was offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "b")}, "a, b", "b"},
		{"one that was not offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "c")}, "a, b", "c"},
		{"one, where none was offered", &gateway.Response{Header: header("Sec-Websocket-Protocol", "c")}, "", "c"},
		{"none returned, though some were offered", &gateway.Response{}, "a, b", ""},
		{"an empty one", &gateway.Response{Header: header("Sec-Websocket-Protocol", "")}, "a", ""},
		{"its header in lower case", &gateway.Response{Header: header("sec-websocket-protocol", "a")}, "a", "a"},
		{"its header as the RFC writes it", &gateway.Response{Header: header("Sec-WebSocket-Protocol", "a")}, "a", "a"},
		{"a line break in it splits nothing", &gateway.Response{
			Header: header("Sec-Websocket-Protocol", "a\r\nX-Evil: 1\r\n\r\nbody"),
		}, "a", "a  X-Evil: 1    body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			srv.Handle("$connect", respond(tc.resp))
			srv.HandleFunc("$default", answer("on"), gateway.WithRouteResponse())
			w := wiretest.Dial(t, srv.HTTPClient())
			var lines []string
			if tc.offered != "" {
				lines = append(lines, "Sec-WebSocket-Protocol: "+tc.offered)
			}
			r := w.MustAsk(wiretest.Upgrade("/test", lines...))
			require.Equal(t, 101, r.Status, "%v", r)
			want := []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Date"}
			if tc.protocol != "" {
				want = append(want, "Sec-Websocket-Protocol")
			}
			require.ElementsMatch(t, want, r.Names(), "no other header of the integration's reaches the client")
			require.Equal(t, tc.protocol, r.Get("Sec-Websocket-Protocol"))
			w.MustSend(wiretest.Text, "x")
			require.Equal(t, "on", w.Receive(), "the stream goes on with frames")
		})
	}
}
