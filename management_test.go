package gateway_test

import (
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
)

// managementText is a management call as an AWS SDK sends it.
func managementText(method, connectionID, body string, lines ...string) string {
	lines = append([]string{"Host: gateway.test", fmt.Sprintf("Content-Length: %d", len(body))}, lines...)
	return httpText(method+" /prod/@connections/"+url.QueryEscape(connectionID)+" HTTP/1.1", lines...) + body
}

// call makes a management call on a connection of its own.
func call(tb testing.TB, srv *gatewaytest.Server, method, connectionID, body string) reply {
	tb.Helper()
	return wireTo(tb, srv).ask(managementText(method, connectionID, body))
}

// operations are the methods of the three calls.
func operations() []string { return []string{http.MethodPost, http.MethodGet, http.MethodDelete} }

const (
	uuidPattern    = `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`
	requestPattern = `^[A-Za-z0-9_-]{15}=$`
)

// requireManagement checks what all answers but the bare 413 have in common.
func requireManagement(t *testing.T, r reply, status int, name, body string) {
	t.Helper()
	require.Equal(t, status, r.status, "%v", r)
	require.Equal(t, body, r.body)
	require.Equal(t, name, r.get("x-amzn-ErrorType"))
	require.Equal(t, "application/json", r.get("Content-Type"))
	require.Regexp(t, uuidPattern, r.get("x-amzn-RequestId"))
	require.Regexp(t, requestPattern, r.get("x-amz-apigw-id"))
	require.Equal(t, 1, r.count("Date"))
	names := []string{"Date", "Content-Type", "x-amzn-RequestId", "x-amz-apigw-id"}
	if status != 204 {
		names = append(names, "Content-Length")
		require.Equal(t, fmt.Sprint(len(body)), r.get("Content-Length"))
	}
	if name != "" {
		names = append(names, "x-amzn-ErrorType")
	}
	if status == 200 || status == 204 || status == 410 || status == 429 {
		names = append(names, "X-Amzn-Trace-Id")
		require.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`, r.get("X-Amzn-Trace-Id"))
	}
	require.ElementsMatch(t, names, r.names(), "these, spelt so, and no other")
}

func requireGone(t *testing.T, r reply) {
	t.Helper()
	requireManagement(t, r, 410, "GoneException", "")
}

func requireBare413(t *testing.T, r reply) {
	t.Helper()
	require.Equal(t, 413, r.status)
	require.Empty(t, r.body)
	require.Equal(t, "0", r.get("Content-Length"))
	for _, name := range []string{"x-amzn-RequestId", "x-amz-apigw-id", "x-amzn-ErrorType", "X-Amzn-Trace-Id", "Content-Type"} {
		require.Zero(t, r.count(name), name)
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
		require.True(t, strings.HasPrefix(post.get("X-Amzn-Trace-Id"), fmt.Sprintf("Root=1-%08x-", time.Now().Unix())))

		get := call(t, srv, "GET", id, "")
		requireManagement(t, get, 200, "", get.body)
		var v any
		require.NoError(t, json.Unmarshal([]byte(get.body), &v))
		require.Equal(t, map[string]any{
			"connectedAt":  "2000-01-01T00:00:00.000Z",
			"lastActiveAt": "2000-01-01T00:00:09.761Z",
			"identity":     map[string]any{"sourceIp": "192.0.2.1", "userAgent": `agent "1" <x>`},
		}, v)
		require.NotEqual(t, post.get("x-amzn-RequestId"), get.get("x-amzn-RequestId"))
		require.NotEqual(t, post.get("x-amz-apigw-id"), get.get("x-amz-apigw-id"))

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

// invented returns id with the character at n changed into another of the
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
			w := wireTo(t, srv)
			w.send(httpText(method+" /prod/@connections/"+url.PathEscape(id)+" HTTP/1.1", "Host: x", "Content-Length: 0"))
			r := w.reply()
			require.Equal(t, 400, r.status, "%s %q", method, id)
			requireManagement(t, r, 400, "BadRequestException", r.body)
			var message map[string]string
			require.NoError(t, json.Unmarshal([]byte(r.body), &message))
			require.Equal(t, map[string]string{"message": "Invalid connectionId: " + id}, message)
		}
	}
	require.Equal(t, `{"message":"Invalid connectionId: AAAAAAAAAAAAAAA="}`, call(t, srv, "GET", "AAAAAAAAAAAAAAA=", "").body)
	requireManagement(t, call(t, srv, "POST", id, ""), 200, "", "")
}

func TestManagement_Paths(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	id := srv.Dial(t).ConnectionID()
	raw := strings.TrimSuffix(id, "==")
	server := httptest.NewServer(srv.ManagementHandler()) // itself, without a mux before it
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
				req.URL.Opaque, req.URL.RawQuery = "//"+req.URL.Host+path, query // sent as it is
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
		w := wireTo(t, srv) // sends no User-Agent
		require.Equal(t, 101, w.ask(upgradeText("X-Forwarded-For: 198.51.100.1")).status)
		id := connectionIDs(srv.Gateway)[0]
		r := call(t, srv, "GET", id, "")
		require.JSONEq(t, `{"connectedAt":"2000-01-01T00:00:00.000Z","lastActiveAt":"2000-01-01T00:00:00.000Z",
			"identity":{"sourceIp":"127.0.0.1"}}`, r.body, "userAgent is absent, not empty")
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
		step("a GET", false, func() { requireManagement(t, call(t, srv, "GET", id, ""), 200, "", call(t, srv, "GET", id, "").body) })
		step("a post that is too large", false, func() { requireBare413(t, call(t, srv, "POST", id, strings.Repeat("x", 131073))) })
		step("a post to another", false, func() {
			require.Equal(t, 400, call(t, srv, "POST", invented(id, 3), "x").status)
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
