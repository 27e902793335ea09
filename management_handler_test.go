package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/connid"
	"example.com/gateway/internal/suites/wiretest"
)

// managementText is a management call as an AWS SDK sends it.
func managementText(method, connectionID, body string, lines ...string) string {
	lines = append([]string{"Host: gateway.test", fmt.Sprintf("Content-Length: %d", len(body))}, lines...)
	return wiretest.Request(method+" /prod/@connections/"+url.QueryEscape(connectionID)+" HTTP/1.1", lines...) + body
}

// call makes a management call on a new HTTP connection.
func call(tb testing.TB, srv *gatewaytest.Server, method, connectionID, body string) wiretest.Answer {
	tb.Helper()
	return wiretest.Dial(tb, srv.HTTPClient()).MustAsk(managementText(method, connectionID, body))
}

// operations are the methods of the three calls.
func operations() []string { return []string{http.MethodPost, http.MethodGet, http.MethodDelete} }

const (
	uuidPattern    = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	requestPattern = `^[A-Za-z0-9_-]{15}=$`
)

// requireManagement checks what all answers except the bare 413 have in common.
func requireManagement(t *testing.T, r wiretest.Answer, status int, name, body string) {
	t.Helper()
	require.Equal(t, status, r.Status, "%v", r)
	require.Equal(t, body, r.Body)
	require.Equal(t, name, r.Get("x-amzn-ErrorType"))
	require.Equal(t, "application/json", r.Get("Content-Type"))
	require.Regexp(t, uuidPattern, r.Get("x-amzn-RequestId"))
	require.Regexp(t, requestPattern, r.Get("x-amz-apigw-id"))
	require.Len(t, r.Values("Date"), 1)
	names := []string{"Date", "Content-Type", "x-amzn-RequestId", "x-amz-apigw-id"}
	if status != 204 {
		names = append(names, "Content-Length")
		require.Equal(t, fmt.Sprint(len(body)), r.Get("Content-Length"))
	}
	if name != "" {
		names = append(names, "x-amzn-ErrorType")
	}
	if status == 200 || status == 204 || status == 410 || status == 429 {
		names = append(names, "X-Amzn-Trace-Id")
		require.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`, r.Get("X-Amzn-Trace-Id"))
	}
	require.ElementsMatch(t, names, r.Names(), "these, spelt so, and no other")
}

func requireGone(t *testing.T, r wiretest.Answer) {
	t.Helper()
	requireManagement(t, r, 410, "GoneException", "")
}

func requireBare413(t *testing.T, r wiretest.Answer) {
	t.Helper()
	require.Equal(t, 413, r.Status)
	require.Empty(t, r.Body)
	require.Equal(t, "0", r.Get("Content-Length"))
	for _, name := range []string{"x-amzn-RequestId", "x-amz-apigw-id", "x-amzn-ErrorType", "X-Amzn-Trace-Id", "Content-Type"} {
		require.Empty(t, r.Values(name), name)
	}
}

func TestManagement_ThreeCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$disconnect", answerNothing)
		c := srv.Dial(t, gatewaytest.SourceIP("192.0.2.1"), gatewaytest.Header("User-Agent", `agent "1" <x>`))
		id := c.ConnectionID()
		time.Sleep(9761 * time.Millisecond) //nolint:forbidigo // in a synctest bubble

		post := call(t, srv, "POST", id, "hello")
		requireManagement(t, post, 200, "", "")
		require.Equal(t, "hello", c.Receive())
		require.True(t, strings.HasPrefix(post.Get("X-Amzn-Trace-Id"), fmt.Sprintf("Root=1-%08x-", time.Now().Unix())))

		get := call(t, srv, "GET", id, "")
		requireManagement(t, get, 200, "", get.Body)
		var v any
		require.NoError(t, json.Unmarshal([]byte(get.Body), &v))
		require.Equal(t, map[string]any{
			"connectedAt":  "2000-01-01T00:00:00.000Z",
			"lastActiveAt": "2000-01-01T00:00:09.761Z",
			"identity":     map[string]any{"sourceIp": "192.0.2.1", "userAgent": `agent "1" <x>`},
		}, v)
		require.NotEqual(t, post.Get("x-amzn-RequestId"), get.Get("x-amzn-RequestId"))
		require.NotEqual(t, post.Get("x-amz-apigw-id"), get.Get("x-amz-apigw-id"))

		requireManagement(t, call(t, srv, "DELETE", id, ""), 204, "", "")
		for _, method := range operations() {
			requireGone(t, call(t, srv, method, id, "")) // at once, before the client has answered
		}
		code, reason := c.ReceiveClose()
		require.Equal(t, 1000, code)
		require.Equal(t, "Connection Closed Normally", reason)
		e := srv.WaitDisconnect(id)
		require.Equal(t, 1000, e.DisconnectStatusCode)
		require.Equal(t, "Connection Closed Normally", e.DisconnectReason)
		for _, method := range operations() {
			requireGone(t, call(t, srv, method, id, ""))
		}
	})
}

func TestManagement_GoneOnceItHasClosed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *gatewaytest.Client){
		"by the client":   func(c *gatewaytest.Client) { c.Close(1000, "bye") },
		"by the network":  func(c *gatewaytest.Client) { c.Drop() },
		"by idleness":     func(c *gatewaytest.Client) { c.ReceiveClose() },
		"by a violation":  func(c *gatewaytest.Client) { c.SendBinary([]byte("x")); c.ReceiveClose() },
		"by its own call": func(c *gatewaytest.Client) { c.Send(`{"action":"leave"}`); c.ReceiveClose() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t)
				during := make(chan error, 1)
				srv.HandleFunc("leave", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					return nil, srv.DeleteConnection(ctx, req.ConnectionID)
				})
				srv.HandleFunc("$disconnect", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
					during <- srv.PostToConnection(ctx, req.ConnectionID, nil)
					return nil, nil
				})
				c := srv.Dial(t)
				end(c)
				srv.WaitDisconnect(c.ConnectionID())
				require.ErrorIs(t, <-during, gateway.ErrGone, "during $disconnect too")
				for _, method := range operations() {
					requireGone(t, call(t, srv, method, c.ConnectionID(), ""))
				}
			})
		})
	}
}

// invented returns id with its character at n replaced by another one of the
// alphabet.
func invented(id string, n int) string {
	b := []byte(id)
	if b[n]++; b[n] == '{' || b[n] == '[' || b[n] == ':' || b[n] == '`' || b[n] == '.' {
		b[n] = 'A'
	}
	return string(b)
}

func TestManagement_InventedIDs(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	ids := []string{"x", "cjy8i76bx002884le6n17d49b", "AAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAA==", id[:18], id[:19], id + "=", " " + id, id + "\n", "a/b", "ü", `"<&>`, strings.ToUpper(id) + "x"}
	for n := range len(id) - 2 {
		ids = append(ids, invented(id, n))
	}
	for _, id := range ids {
		for _, method := range operations() {
			w := wiretest.Dial(t, srv.HTTPClient())
			w.MustWriteString(wiretest.Request(method+" /prod/@connections/"+url.PathEscape(id)+" HTTP/1.1", "Host: x", "Content-Length: 0"))
			r := w.MustReadAnswer()
			require.Equal(t, 400, r.Status, "%s %q", method, id)
			requireManagement(t, r, 400, "BadRequestException", r.Body)
			var message map[string]string
			require.NoError(t, json.Unmarshal([]byte(r.Body), &message))
			require.Equal(t, map[string]string{"message": "Invalid connectionId: " + id}, message)
		}
	}
	require.Equal(t, `{"message":"Invalid connectionId: AAAAAAAAAAAAAAA="}`, call(t, srv, "GET", "AAAAAAAAAAAAAAA=", "").Body)
	requireManagement(t, call(t, srv, "POST", id, ""), 200, "", "")
}

func TestManagement_Paths(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	raw := strings.TrimSuffix(id, "==")
	server := httptest.NewServer(srv.ManagementHandler()) // the handler itself, without a mux in front of it
	t.Cleanup(server.Close)
	const missing = "MissingAuthenticationTokenException"
	for _, tc := range []struct {
		name, path string
		status     int
		errorType  string
	}{
		{"as the SDKs send it", "/prod/@connections/" + raw + "%3D%3D", 200, ""},
		{"as the guide tells to type it", "/prod/%40connections/" + raw + "%3D%3D", 200, ""},
		{"as one types it", "/prod/@connections/" + raw + "==", 200, ""},
		{"after an endpoint that ends in a slash", "/prod//@connections/" + raw + "%3D%3D", 200, ""},
		{"in lower-case escapes", "/prod/@connections/" + raw + "%3d%3d", 200, ""},
		{"with more escapes than needed", "/prod/%40%63onnections/" + fmt.Sprintf("%%%02X", raw[0]) + raw[1:] + "==", 200, ""},
		{"without a stage", "/@connections/" + raw + "==", 200, ""},
		{"without a stage, after a slash", "//@connections/" + raw + "==", 200, ""},
		{"through another stage", "/other/@connections/" + raw + "==", 200, ""},
		{"below a base path", "/a/b/c/@connections/" + raw + "==", 200, ""},
		{"with a query, which means nothing", "/prod/@connections/" + raw + "==?a=b", 200, ""},
		{"@connections twice: the last counts", "/@connections/@connections/" + raw + "==", 200, ""},
		{"%40Connections is another name", "/prod/%40Connections/" + raw + "==", 403, missing},
		{"connections without @", "/prod/connections/" + raw + "==", 403, missing},
		{"no slash before it", "/prod@connections/" + raw + "==", 403, missing},
		{"an escaped slash before the ID", "/prod/@connections%2F" + raw + "==", 403, missing},
		{"an empty ID", "/prod/@connections/", 403, missing},
		{"no ID", "/prod/@connections", 403, missing},
		{"two segments", "/prod/@connections/" + raw + "==/x", 403, missing},
		{"a slash at the end", "/prod/@connections/" + raw + "==/", 403, missing},
		{"dots are no way to another path", "/prod/@connections/x/../" + raw + "==", 403, missing},
		{"the root", "/", 403, missing},
		{"trailing junk", "/prod/@connections/" + raw + "==x", 400, "BadRequestException"},
		{"an escaped slash in the ID", "/prod/@connections/" + raw + "==%2Fx", 400, "BadRequestException"},
		{"a plus is no blank", "/prod/@connections/+" + raw + "==", 400, "BadRequestException"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, method := range []string{"GET", "POST"} {
				req, err := http.NewRequest(method, server.URL, nil)
				require.NoError(t, err)
				path, query, _ := strings.Cut(tc.path, "?")
				req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+path, query // so that it is sent unchanged
				resp, err := server.Client().Transport.RoundTrip(req)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, tc.status, resp.StatusCode, "%s %s", method, body)
				require.Equal(t, tc.errorType, resp.Header.Get("x-amzn-ErrorType"))
				if tc.errorType == missing {
					require.Equal(t, `{"message":"Missing Authentication Token"}`, string(body))
				}
			}
		})
	}
}

func TestManagement_OtherMethods(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	for _, method := range []string{"PUT", "PATCH", "OPTIONS", "TRACE", "post", "get", "FOO"} {
		requireManagement(t, call(t, srv, method, c.ConnectionID(), ""), 403,
			"MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`)
	}
	resp, err := srv.HTTPClient().Head(srv.ManagementURL() + "/@connections/" + url.PathEscape(c.ConnectionID()))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 403, resp.StatusCode)
	require.Equal(t, "MissingAuthenticationTokenException", resp.Header.Get("x-amzn-ErrorType"))
}

func TestManagement_Identity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		w := wiretest.Dial(t, srv.HTTPClient()) // this client sends no User-Agent
		require.Equal(t, 101, w.MustAsk(wiretest.Upgrade("/test", "X-Forwarded-For: 198.51.100.1")).Status)
		id := connectionIDs(srv.Gateway)[0]
		r := call(t, srv, "GET", id, "")
		require.JSONEq(t, `{"connectedAt":"2000-01-01T00:00:00.000Z","lastActiveAt":"2000-01-01T00:00:00.000Z",
			"identity":{"sourceIp":"127.0.0.1"}}`, r.Body, "userAgent is absent, not empty")
	})
}

func TestManagement_LastActiveAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$default", answerNothing)
		c := srv.Dial(t)
		id := c.ConnectionID()
		step := func(what string, moves bool, do func()) {
			t.Helper()
			get := func() gateway.Connection {
				got, err := srv.Management().GetConnection(t.Context(), id)
				require.NoError(t, err)
				return got
			}
			before := get()
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			do()
			synctest.Wait()
			after := get()
			require.Equal(t, before.ConnectedAt, after.ConnectedAt)
			if moves {
				require.True(t, after.LastActiveAt.Equal(time.Now()), what)
			} else {
				require.Equal(t, before.LastActiveAt, after.LastActiveAt, what)
			}
		}
		step("a message from the client", true, func() { c.Send("x") })
		step("a post", true, func() { requireManagement(t, call(t, srv, "POST", id, "x"), 200, "", "") })
		step("an empty post", true, func() { requireManagement(t, call(t, srv, "POST", id, ""), 200, "", "") })
		step("a post in process", true, func() { require.NoError(t, srv.PostToConnection(t.Context(), id, []byte("x"))) })
		step("a GET", false, func() { requireManagement(t, call(t, srv, "GET", id, ""), 200, "", call(t, srv, "GET", id, "").Body) })
		step("a post that is too large", false, func() { requireBare413(t, call(t, srv, "POST", id, strings.Repeat("x", 131073))) })
		step("a post to another", false, func() {
			require.Equal(t, 400, call(t, srv, "POST", invented(id, 3), "x").Status)
		})
		step("a ping of the client", false, c.Ping)
		step("nothing", false, func() {})
	})
}

func TestManagement_LastActiveAtBeforeTheFirstMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			time.Sleep(20 * time.Second) //nolint:forbidigo // in a synctest bubble
			return nil, nil
		})
		c := srv.Dial(t)
		synctest.Wait()
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.Equal(t, "00:00:00", got.ConnectedAt.UTC().Format(time.TimeOnly), "the instant of the CONNECT event")
		require.Equal(t, "00:00:00", got.LastActiveAt.UTC().Format(time.TimeOnly), "Connection.LastActiveAt: ConnectedAt before the first")
	})
}

func TestManagement_Payloads(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, want string }{
		{"an empty body is an empty message", "", ""},
		{"JSON is not looked at", `{"message": "x"}`, `{"message": "x"}`},
		{"every character", "a\x00\r\n\u2028ü€😀", "a\x00\r\n\u2028ü€😀"},
		{"a byte that is no UTF-8", "a\xffb", "a\uFFFDb"},
		{"each byte of a run that is none", "\xff\xfe\x80", "\uFFFD\uFFFD\uFFFD"},
		{"each byte of a character that is cut off", "ab\xe2\x82", "ab\uFFFD\uFFFD"},
		{"only bad bytes, which the client gets as 131070 bytes", strings.Repeat("\xff", 43690), strings.Repeat("\uFFFD", 43690)},
		{"good and bad bytes, which the client gets as 131072 bytes", strings.Repeat("\xff", 43690) + "ab", strings.Repeat("\uFFFD", 43690) + "ab"},
		{"32768 bytes", strings.Repeat("x", 32768), strings.Repeat("x", 32768)},
		{"32769 bytes", strings.Repeat("x", 32769), strings.Repeat("x", 32769)},
		{"131072 bytes, with more than one byte to a character", strings.Repeat("ü€abc", 16384), strings.Repeat("ü€abc", 16384)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			c := srv.Dial(t)
			requireManagement(t, call(t, srv, "POST", c.ConnectionID(), tc.body), 200, "", "")
			got := c.Receive()
			require.Len(t, got, len(tc.want))
			require.Equal(t, tc.want, got)
		})
	}
}

func TestManagement_TooLarge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		lines []string
		body  string
	}{
		{"one byte too many", []string{"Content-Length: 131073"}, strings.Repeat("x", 131073)},
		{"chunks", []string{"Transfer-Encoding: chunked"}, fmt.Sprintf("10000\r\n%s\r\n10001\r\n%s\r\n0\r\n\r\n", strings.Repeat("x", 0x10000), strings.Repeat("x", 0x10001))},
		{"much too many", []string{"Content-Length: 200000"}, strings.Repeat("x", 200_000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // so that LastActiveAt is exact
				srv := gatewaytest.New(t)
				c := srv.Dial(t)
				before, err := srv.GetConnection(t.Context(), c.ConnectionID())
				require.NoError(t, err)
				w := wiretest.Dial(t, srv.HTTPClient())
				request := wiretest.Request("POST /test/@connections/"+c.ConnectionID()+" HTTP/1.1", append([]string{"Host: x"}, tc.lines...)...) + tc.body
				go func() { _, _ = w.Write([]byte(request)) }() // the rest may never be read
				requireBare413(t, w.MustReadAnswer())
				after, err := srv.GetConnection(t.Context(), c.ConnectionID())
				require.NoError(t, err)
				require.Equal(t, before, after, "the connection is unaffected")
				requireManagement(t, call(t, srv, "POST", c.ConnectionID(), "next"), 200, "", "")
				require.Equal(t, "next", c.Receive())
				_ = w.Close()
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble: net/http waits before it closes
			})
		})
	}
}

func TestManagement_Requests(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		lines []string
		body  string
	}{
		{"no content type", []string{"Content-Length: 5"}, "hello"},
		{"octet stream", []string{"Content-Length: 5", "Content-Type: application/octet-stream"}, "hello"},
		{"a form, which is not parsed", []string{"Content-Length: 5", "Content-Type: application/x-www-form-urlencoded"}, "hello"},
		{"a content type that is none", []string{"Content-Length: 5", "Content-Type: ;;"}, "hello"},
		{"in chunks", []string{"Transfer-Encoding: chunked"}, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"},
		{"with headers that are not ours", []string{"Content-Length: 5", "amz-sdk-request: attempt=1", "Authorization: x", "Upgrade: h2c"}, "hello"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			c := srv.Dial(t)
			w := wiretest.Dial(t, srv.HTTPClient())
			for range 2 { // on one connection, which stays open
				r := w.MustAsk(wiretest.Request("POST /prod/@connections/"+c.ConnectionID()+" HTTP/1.1", append([]string{"Host: x"}, tc.lines...)...) + tc.body)
				requireManagement(t, r, 200, "", "")
				require.Equal(t, "hello", c.Receive())
			}
		})
	}
}

func TestManagement_SequentialPostsStayInOrder(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.NewTCP(t)
	c := srv.Dial(t)
	w := wiretest.Dial(t, srv.HTTPClient())
	for n := range 200 {
		var err error
		if n%2 == 0 {
			requireManagement(t, w.MustAsk(managementText("POST", c.ConnectionID(), fmt.Sprint(n))), 200, "", "")
		} else {
			err = srv.PostToConnection(t.Context(), c.ConnectionID(), []byte(fmt.Sprint(n)))
		}
		require.NoError(t, err)
	}
	for n := range 200 {
		require.Equal(t, fmt.Sprint(n), c.Receive())
	}
}

// The largest message to a client is measured as the client gets it: a byte that is not
// valid UTF-8 counts as the 3 bytes of U+FFFD. The observers count the same way.
func TestManagement_TooLargeOnceReplaced(t *testing.T) {
	t.Parallel()
	var sent, failed []int
	var failures []error
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}), gateway.WithObserver(&gateway.Observer{
		MessageSent: func(_ context.Context, _ string, bytes int) { sent = append(sent, bytes) },
		PostFailed: func(_ context.Context, _ string, bytes int, err error) {
			failed, failures = append(failed, bytes), append(failures, err)
		},
	}))
	c := srv.Dial(t)
	ids := []string{c.ConnectionID(), c.ConnectionID()}
	fits, tooLarge := []byte("\xff\xff\xffx"), []byte("\xff\xff\xffxy")
	require.Nil(t, srv.PostToConnections(t.Context(), ids, fits))
	for _, err := range srv.PostToConnections(t.Context(), ids, tooLarge) {
		require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
		require.ErrorContains(t, err, "11 bytes, quota 10")
	}
	require.NoError(t, srv.PostToConnection(t.Context(), ids[0], fits))
	require.ErrorIs(t, srv.PostToConnection(t.Context(), ids[0], tooLarge), gateway.ErrPayloadTooLarge)
	require.Equal(t, 413, call(t, srv, "POST", ids[0], string(tooLarge)).Status)
	require.Equal(t, []int{10, 10, 10}, sent)
	require.Equal(t, []int{11, 11, 11, 11}, failed)
	for _, err := range failures {
		require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
	}
	for range sent {
		require.Equal(t, "\uFFFD\uFFFD\uFFFDx", c.Receive())
	}
}

func TestManagement_SlowClient(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		quotas   gateway.Quotas
		bytes    int
		accepted int
	}{
		{"by messages", gateway.Quotas{SendBufferMessages: 3}, 10, 3},
		{"by bytes", gateway.Quotas{SendBufferBytes: 25_000}, 10_000, 2},
		{"by bytes, but one message always has room", gateway.Quotas{SendBufferBytes: 1}, 10_000, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				type refused struct {
					id    string
					bytes int
				}
				refusals := make(chan refused, 10)
				srv := gatewaytest.New(t, gateway.WithQuotas(tc.quotas), gateway.WithObserver(&gateway.Observer{
					PostFailed: func(_ context.Context, id string, bytes int, err error) {
						if err != nil {
							refusals <- refused{id, bytes}
						}
					},
				}))
				slow, quick := srv.Dial(t), srv.Dial(t)
				slow.Pause()
				start := time.Now()
				body := func(n int) string { return fmt.Sprint(n) + strings.Repeat("x", tc.bytes-1) }
				for n := range tc.accepted {
					require.Equal(t, 200, call(t, srv, "POST", slow.ConnectionID(), body(n)).Status)
					synctest.Wait()
				}
				for range 2 {
					requireManagement(t, call(t, srv, "POST", slow.ConnectionID(), body(9)), 429, "LimitExceededException", "")
					require.Equal(t, refused{slow.ConnectionID(), tc.bytes}, <-refusals)
				}
				require.ErrorIs(t, srv.PostToConnection(t.Context(), slow.ConnectionID(), []byte(body(9))), gateway.ErrLimitExceeded)

				require.Equal(t, 200, call(t, srv, "POST", quick.ConnectionID(), "quick").Status)
				require.Equal(t, "quick", quick.Receive())
				require.Equal(t, 200, call(t, srv, "GET", slow.ConnectionID(), "").Status)
				require.Equal(t, start, time.Now(), "nobody waited")

				slow.Resume()
				for n := range tc.accepted {
					require.Equal(t, body(n), slow.Receive())
				}
				require.Equal(t, 200, call(t, srv, "POST", slow.ConnectionID(), "again").Status)
				require.Equal(t, "again", slow.Receive(), "what was refused never comes")
			})
		})
	}
}

func TestManagement_RefusedPostIsNoActivity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 1}))
		c := srv.Dial(t)
		c.Pause()
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("waits")))
		synctest.Wait()
		last := time.Now()
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 429, call(t, srv, http.MethodPost, c.ConnectionID(), "x").Status)
		got, err := srv.GetConnection(t.Context(), c.ConnectionID())
		require.NoError(t, err)
		require.True(t, got.LastActiveAt.Equal(last))
		c.Resume()
	})
}

// FuzzManagement calls the management handler with any body and any target, in which
// ID stands for the ID of an open connection. Only the last two segments of the path
// count, nothing happens without permission, and every answer is one of the
// service's.
func FuzzManagement(f *testing.F) {
	for _, target := range []string{
		"/prod/@connections/ID", "/prod/%40connections/ID?a=b", "//@connections/ID", "/@connections/x/@connections/ID", "/@connections/ID/", "/@connections/ID/x", "/@connections/x/ID", "/@connections/", "/@connections%2FID",
		"/@connections/x/../ID", "/@connections/ID%2F", "/@connections/+ID", "/@connections/IDx", "http://evil.example/@connections/ID", "/@connections/AAAAAAAAAAAAAAA%3D", "/@Connections/ID", "/@connections/%zz", "*", "?", "/@connections/ID#x", "/@connections/%0d%0aID",
	} {
		for n, method := range append(operations(), "PUT") {
			f.Add(method, target, strings.Repeat("\xffhi", n), n != 2)
		}
	}
	f.Fuzz(func(t *testing.T, method, target, body string, admit bool) {
		asked := 0
		srv := gatewaytest.New(t, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			got := call.Body
			asked++
			require.Equal(t, body, string(got))
			if admit {
				return nil
			}
			return gateway.ErrForbidden
		})))
		c := srv.Dial(t)
		id := c.ConnectionID()
		target = strings.ReplaceAll(target, "ID", url.PathEscape(id))
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body))))
		if err != nil || r.ContentLength != int64(len(body)) {
			return
		}
		w := httptest.NewRecorder()
		srv.ManagementHandler().ServeHTTP(w, r)

		meant, named := meantConnection(r.URL.EscapedPath())
		known := r.Method == "POST" || r.Method == "GET" || r.Method == "DELETE"
		_, issued := connid.Parse(meant)
		want := map[string]int{"POST": 200, "GET": 200, "DELETE": 204}[r.Method]
		switch {
		case !named || !known:
			want = 403
		case !issued:
			want = 400
		case !admit:
			want = 403
		case meant != id:
			want = 410
		}
		require.Equal(t, want, w.Code, "%s %q", r.Method, target)
		require.Equal(t, named && known && issued, asked == 1, "permission is asked for once")
		if w.Body.Len() > 0 {
			require.True(t, json.Valid(w.Body.Bytes()), w.Body.String())
		}
		if want == 400 {
			message, err := json.Marshal(map[string]string{"message": "Invalid connectionId: " + meant})
			require.NoError(t, err)
			require.JSONEq(t, string(message), w.Body.String())
		}
		for name, values := range w.Header() {
			require.NotContains(t, name+strings.Join(values, ""), "\n")
		}
		done := want == 200 || want == 204
		if done && r.Method == "POST" {
			require.Equal(t, string([]rune(body)), c.Receive())
		}
		err = srv.PostToConnection(t.Context(), id, []byte("end"))
		if done && r.Method == "DELETE" {
			require.ErrorIs(t, err, gateway.ErrGone)
			return
		}
		require.NoError(t, err, "nothing else closes it")
		require.Equal(t, "end", c.Receive(), "nothing else was sent")
	})
}

// meantConnection returns the connection that a path names: the last segment, if the
// one before it is @connections.
func meantConnection(path string) (id string, ok bool) {
	segments := strings.Split(path, "/")
	if len(segments) < 3 {
		return "", false
	}
	name, err := url.PathUnescape(segments[len(segments)-2])
	if err != nil || name != "@connections" {
		return "", false
	}
	id, err = url.PathUnescape(segments[len(segments)-1])
	return id, err == nil && id != ""
}
