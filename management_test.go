package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
)

// field returns the only value of the field whose name is spelled exactly so.
func field(w *httptest.ResponseRecorder, name string) string {
	if values := w.Header()[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// unreadable fails the test if somebody reads it.
type unreadable struct{ tb testing.TB }

func (u unreadable) Read([]byte) (int, error) {
	u.tb.Error("the body was read")
	return 0, io.EOF
}

func TestManagement_ClosedByDefault(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	gw := newGateway(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	const id = "gbgHN0-zjQAYKEjhgA=="
	for _, target := range []string{"/prod/@connections/" + id + "?X-Amz-Signature=secret", "/other"} {
		for _, method := range append(operations(), "PUT") {
			log.Reset()
			r := httptest.NewRequest(method, target, unreadable{t})
			r.Header.Set("Authorization", "secret")
			w := httptest.NewRecorder()
			gw.ManagementHandler().ServeHTTP(w, r)
			require.Equal(t, 403, w.Code)
			require.Equal(t, `{"message":"Forbidden"}`, w.Body.String())
			require.Equal(t, "ForbiddenException", field(w, "x-amzn-ErrorType"))
			require.Equal(t, 1, strings.Count(log.String(), "\n"), "one line")
			require.Contains(t, log.String(), "WithManagementAuth")
			require.Regexp(t, requestPattern, field(w, "x-amz-apigw-id"))
			require.Contains(t, log.String(), field(w, "x-amz-apigw-id"))
			require.NotContains(t, log.String(), "secret")
			require.NotContains(t, log.String(), id)
		}
	}
}

func TestManagement_Auth(t *testing.T) {
	t.Parallel()
	type seen struct{ method, uri, header, body string }
	var calls []seen
	var log bytes.Buffer
	verdict := error(nil)
	srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(_ context.Context, call *gateway.ManagementCall) error {
			r, body := call.Request, call.Body
			calls = append(calls, seen{r.Method, r.RequestURI, r.Header.Get("Authorization"), string(body)})
			return verdict
		})))
	c := srv.Dial(t)
	id := c.ConnectionID()
	handler := http.StripPrefix("/base", srv.ManagementHandler())
	ask := func(method, target, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "AWS4")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}

	target := "/base/prod//%40connections/" + strings.TrimSuffix(id, "==") + "%3d=?b=2&a=%20"
	require.Equal(t, 200, ask("POST", target, "hello").Code)
	require.Equal(t, 200, ask("GET", target, "").Code)
	require.Equal(t, []seen{{"POST", target, "AWS4", "hello"}, {"GET", target, "AWS4", ""}}, calls, "the request's target as it was sent")
	require.Equal(t, "hello", c.Receive())

	calls, verdict = nil, errors.New("secret reason")
	for _, method := range operations() {
		w := ask(method, target, "never sent")
		require.Equal(t, 403, w.Code)
		require.Equal(t, `{"message":"Forbidden"}`, w.Body.String(), "the reason stays with us")
		require.Equal(t, "ForbiddenException", field(w, "x-amzn-ErrorType"))
		require.Empty(t, w.Header()["X-Amzn-Trace-Id"], "absent on 403")
	}
	require.Len(t, calls, 3)
	require.Contains(t, log.String(), "secret reason", "the operator sees it")
	require.NotContains(t, log.String(), "never sent")

	verdict = nil
	require.Equal(t, 204, ask("DELETE", target, "").Code, "a refused DELETE has closed nothing")
	c.ReceiveClose() // so "never sent" has not arrived
}

// A ManagementAuth is told the action, the API, the stage and the connection of a
// call, whatever path the caller has chosen.
func TestManagement_Call(t *testing.T) {
	t.Parallel()
	var calls []gateway.ManagementCall
	srv := gatewaytest.New(t, gateway.WithAPI("a1b2c3", "api.example.com"), gateway.WithStage("prod", nil),
		gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(ctx context.Context, call *gateway.ManagementCall) error {
			require.Equal(t, "value", ctx.Value(requestKey{}))
			calls = append(calls, *call)
			*call = gateway.ManagementCall{Action: gateway.ActionDeleteConnection} // this must not change the call
			return nil
		})))
	c := srv.Dial(t)
	for _, tc := range [...]struct {
		method string
		action gateway.ManagementAction
	}{
		{"POST", gateway.ActionPostToConnection},
		{"GET", gateway.ActionGetConnection},
		{"DELETE", gateway.ActionDeleteConnection},
	} {
		calls = nil
		method, action := tc.method, tc.action
		r := httptest.NewRequest(method, "/dev/@connections/"+url.PathEscape(c.ConnectionID()), strings.NewReader(method))
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, "value"))
		srv.ManagementHandler().ServeHTTP(httptest.NewRecorder(), r)
		require.Len(t, calls, 1)
		require.Same(t, r, calls[0].Request)
		calls[0].Request = nil
		require.Equal(t, gateway.ManagementCall{
			Action: action, APIID: "a1b2c3", Stage: "prod", ConnectionID: c.ConnectionID(), Body: []byte(method),
		}, calls[0])
		if method == "POST" {
			require.Equal(t, "POST", c.Receive())
		}
	}
}

type requestKey struct{}

func TestManagement_OrderOfChecks(t *testing.T) {
	t.Parallel()
	var asked int
	admit := true
	srv := gatewaytest.New(t, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error {
		asked++
		if admit {
			return nil
		}
		return errors.New("no")
	})))
	closed := srv.Dial(t).ConnectionID()
	open := srv.Dial(t).ConnectionID()
	require.NoError(t, srv.DeleteConnection(t.Context(), closed))
	large := strings.Repeat("x", 131073)
	for _, tc := range []struct {
		name   string
		admit  bool
		id     string
		body   string
		status int
		asked  int
	}{
		{"size before the form of the ID", false, invented(open, 0), large, 413, 0},
		{"size before permission", false, open, large, 413, 0},
		{"size before existence", true, closed, large, 413, 0},
		{"the form of the ID before permission", false, invented(open, 0), "", 400, 0},
		{"permission before existence", false, closed, "", 403, 1},
		{"existence last", true, closed, "", 410, 1},
		{"nothing amiss", true, open, "", 200, 1},
	} {
		admit, asked = tc.admit, 0
		require.Equal(t, tc.status, call(t, srv, "POST", tc.id, tc.body).Status, tc.name)
		require.Equal(t, tc.asked, asked, tc.name)
	}
}

func TestManagement_BodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	r := httptest.NewRequest("POST", "/prod/@connections/"+c.ConnectionID(), io.MultiReader(strings.NewReader("half"), errorReader{errors.New("secret detail")}))
	w := httptest.NewRecorder()
	srv.ManagementHandler().ServeHTTP(w, r)
	require.GreaterOrEqual(t, w.Code, 400)
	require.NotContains(t, w.Body.String(), "secret")
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("whole")))
	require.Equal(t, "whole", c.Receive(), "a part of a message is not delivered")
}

// If a body breaks a rule of HTTP, that is the sender's mistake, and a client library
// must not send it again.
func TestManagement_BodyThatIsMalformed(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a chunk without a size":              "zz\r\nhello\r\n0\r\n\r\n",
		"a chunk that is longer than it says": "5\r\nhello!\r\n0\r\n\r\n",
		"a size that no chunk has":            "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"a good chunk, then a bad one":        "5\r\nhello\r\n-1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			c := srv.Dial(t)
			w := wiretest.Dial(t, srv.HTTPClient())
			text := wiretest.Request("POST /test/@connections/"+c.ConnectionID()+" HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") + body
			go func() { _, _ = w.Write([]byte(text)) }() // the rest may never be read
			r := w.MustReadAnswer()
			require.Equal(t, 400, r.Status)
			require.Equal(t, "BadRequestException", r.Get("x-amzn-ErrorType"))
			require.Equal(t, `{"message":"The request body cannot be read"}`, r.Body)
			require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("next")))
			require.Equal(t, "next", c.Receive(), "nothing of it was sent")
		})
	}
}

// If a body took longer than the server allows, the sender may send it again.
func TestManagement_BodyThatTakesTooLong(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	err := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	r := httptest.NewRequest("POST", "/prod/@connections/"+c.ConnectionID(), io.MultiReader(strings.NewReader("half"), errorReader{err}))
	w := httptest.NewRecorder()
	srv.ManagementHandler().ServeHTTP(w, r)
	require.Equal(t, 500, w.Code)
	require.Equal(t, "InternalServerErrorException", field(w, "x-amzn-ErrorType"))
}

// A request that was made by [http.NewRequest], as in tests and adapters, has no body
// at all; net/http's server would give it an empty one.
func TestManagement_NoBodyAtAll(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	c := srv.Dial(t)
	for n, method := range operations() {
		r, err := http.NewRequest(method, "http://gateway.test/prod/@connections/"+c.ConnectionID(), nil)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		srv.ManagementHandler().ServeHTTP(w, r)
		require.Equal(t, []int{200, 200, 204}[n], w.Code, method)
	}
	require.Empty(t, c.Receive())
}

// publicError is a [gateway.PublicError] that wraps another error.
type publicError struct{ error }

func (e publicError) Unwrap() error                     { return e.error }
func (publicError) PublicError() (code, message string) { return "SomeException", "You may not." }

// Whatever a PublicError of a ManagementAuth wraps, the call is refused with its
// words. In particular it does not succeed, and is not answered with 410.
func TestManagement_AuthErrorsThatWrap(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"nothing":                  nil,
		"ErrGone":                  gateway.ErrGone,
		"ErrForbidden":             gateway.ErrForbidden,
		"ErrLimitExceeded":         gateway.ErrLimitExceeded,
		"ErrPayloadTooLarge":       gateway.ErrPayloadTooLarge,
		"an integration's success": &gateway.IntegrationError{StatusCode: 200, Err: errors.New("x")},
		"an integration's failure": &gateway.IntegrationError{StatusCode: 502, Err: gateway.ErrGone},
		"a model's verdict":        &gateway.ValidationError{Err: errors.New("x")},
	} {
		for _, err := range []error{publicError{cause}, fmt.Errorf("asking: %w", publicError{cause})} {
			srv := gatewaytest.New(t, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error { return err })))
			c := srv.Dial(t)
			for _, method := range operations() {
				requireManagement(t, call(t, srv, method, c.ConnectionID(), ""), 403, "SomeException", `{"message":"You may not."}`)
			}
			require.Len(t, connectionIDs(srv.Gateway), 1, name)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestConnectionsAPI_InProcess(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		of   func(srv *gatewaytest.Server) gateway.ConnectionsAPI
	}{
		{"the gateway", func(srv *gatewaytest.Server) gateway.ConnectionsAPI { return srv.Gateway }},
		{"the management client", func(srv *gatewaytest.Server) gateway.ConnectionsAPI { return srv.Management() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gatewaytest.New(t)
			api := tc.of(srv)
			c := srv.Dial(t, gatewaytest.Header("User-Agent", "agent"))
			ctx, id := t.Context(), c.ConnectionID()

			data := []byte("hello")
			require.NoError(t, api.PostToConnection(ctx, id, data))
			copy(data, "XXXXX")
			require.Equal(t, "hello", c.Receive(), "the data is copied")
			require.NoError(t, api.PostToConnection(ctx, id, nil))
			require.Empty(t, c.Receive())
			require.ErrorIs(t, api.PostToConnection(ctx, id, make([]byte, 131073)), gateway.ErrPayloadTooLarge)
			got, err := api.GetConnection(ctx, id)
			require.NoError(t, err)
			require.Equal(t, id, got.ID)
			require.Equal(t, gateway.Identity{SourceIP: "127.0.0.1", UserAgent: "agent"}, got.Identity)
			require.False(t, got.LastActiveAt.Before(got.ConnectedAt))

			canceled, cancel := context.WithCancel(ctx)
			cancel()
			require.ErrorIs(t, api.PostToConnection(canceled, id, []byte("never")), context.Canceled)
			require.NoError(t, api.PostToConnection(ctx, id, []byte("next")))
			require.Equal(t, "next", c.Receive(), "a call that has ended already sends nothing")

			other := srv.Dial(t)
			require.Nil(t, api.PostToConnections(ctx, []string{id, other.ConnectionID()}, []byte("all")))
			require.Equal(t, []string{"all", "all"}, []string{c.Receive(), other.Receive()})
			require.NoError(t, api.DeleteConnection(ctx, other.ConnectionID()))
			errs := api.PostToConnections(ctx, []string{other.ConnectionID(), id}, []byte("rest"))
			require.Len(t, errs, 2)
			require.ErrorIs(t, errs[0], gateway.ErrGone)
			require.NoError(t, errs[1])
			require.Equal(t, "rest", c.Receive())

			require.NoError(t, api.DeleteConnection(ctx, id))
			code, reason := c.ReceiveClose()
			require.Equal(t, 1000, code)
			require.Equal(t, "Connection Closed Normally", reason)
			_, err = api.GetConnection(ctx, id)
			require.ErrorIs(t, err, gateway.ErrGone)
			require.ErrorIs(t, api.PostToConnection(ctx, id, nil), gateway.ErrGone)
			require.ErrorIs(t, api.DeleteConnection(ctx, id), gateway.ErrGone)
		})
	}
	t.Run("an invented ID is gone, in process", func(t *testing.T) {
		t.Parallel()
		gw := newGateway(t)
		_, err := gw.GetConnection(t.Context(), "x")
		require.ErrorIs(t, err, gateway.ErrGone)
		require.ErrorIs(t, gw.PostToConnection(t.Context(), "", nil), gateway.ErrGone)
		require.ErrorIs(t, gw.DeleteConnection(t.Context(), "x"), gateway.ErrGone)
	})
}

func TestGateway_Len(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		left, leave := make(chan struct{}), make(chan struct{})
		srv.HandleFunc("$disconnect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			left <- struct{}{}
			<-leave
			return &gateway.Response{}, nil
		})
		require.Zero(t, srv.Len())
		a := srv.Dial(t)
		srv.Dial(t)
		require.Equal(t, 2, srv.Len())
		a.Close(1000, "")
		<-left
		require.Equal(t, 2, srv.Len(), "its $disconnect runs")
		require.Len(t, connectionIDs(srv.Gateway), 1)
		close(leave)
		synctest.Wait()
		require.Equal(t, 1, srv.Len())
		go func() { <-left }()
	})
}

func TestConnectionsAPI_Connections(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t)
	require.Empty(t, connectionIDs(srv.Gateway))
	want := map[string]*gatewaytest.Client{}
	var ids []string
	for range 100 {
		c := srv.Dial(t)
		want[c.ConnectionID()] = c
		ids = append(ids, c.ConnectionID())
	}
	require.ElementsMatch(t, ids, connectionIDs(srv.Gateway))
	seen := 0
	for c := range srv.Connections() {
		got, err := srv.GetConnection(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, got, c)
		if seen++; seen == 7 {
			break
		}
	}
	require.Equal(t, 7, seen)
	deleted := 0
	for c := range srv.Connections() { // the loop's body may call any method
		require.NoError(t, srv.PostToConnection(t.Context(), c.ID, []byte("bye")))
		require.NoError(t, srv.DeleteConnection(t.Context(), c.ID))
		deleted++
	}
	require.Equal(t, 100, deleted)
	require.Empty(t, connectionIDs(srv.Gateway), "what closes is not among them")
	for _, c := range want {
		require.Equal(t, "bye", c.Receive())
		code, _ := c.ReceiveClose()
		require.Equal(t, 1000, code)
	}
}

// A broadcast reaches every connection that it can, in order with other posts, and
// reports an error for each connection that it did not reach.
func TestPostToConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent, refused int
		srv := gatewaytest.New(t,
			gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 3}),
			gateway.WithObserver(&gateway.Observer{
				MessageSent: func(context.Context, string, int) { sent++ },
				PostFailed:  func(context.Context, string, int, error) { refused++ },
			}))
		ann, bob, slow, left := srv.Dial(t), srv.Dial(t), srv.Dial(t), srv.Dial(t)
		left.Close(1000, "")
		slow.Pause()
		synctest.Wait()
		ids := []string{ann.ConnectionID(), "never issued", bob.ConnectionID(), slow.ConnectionID(), left.ConnectionID()}
		text := strings.Repeat("x", 1000)
		for range 3 { // one is being written, two wait
			srv.PostToConnections(t.Context(), ids[3:4], []byte(text))
		}
		sent, refused = 0, 0
		require.NoError(t, srv.PostToConnection(t.Context(), ann.ConnectionID(), []byte("first")))
		errs := srv.PostToConnections(t.Context(), ids, []byte(text))
		require.NoError(t, srv.PostToConnection(t.Context(), ann.ConnectionID(), []byte("last")))
		require.Len(t, errs, len(ids))
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], gateway.ErrGone)
		require.NoError(t, errs[2])
		require.ErrorIs(t, errs[3], gateway.ErrLimitExceeded)
		require.ErrorIs(t, errs[4], gateway.ErrGone)
		require.Equal(t, [2]int{4, 3}, [2]int{sent, refused})
		for _, want := range []string{"first", text, "last"} {
			require.Equal(t, want, ann.Receive())
		}
		require.Equal(t, text, bob.Receive())
		require.Nil(t, srv.PostToConnections(t.Context(), ids[:1], []byte("all is well")))

		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range srv.PostToConnections(canceled, ids, nil) {
			require.ErrorIs(t, err, context.Canceled)
		}
		for _, err := range srv.PostToConnections(t.Context(), ids, make([]byte, 131_073)) {
			require.ErrorIs(t, err, gateway.ErrPayloadTooLarge)
		}
		require.Nil(t, srv.PostToConnections(t.Context(), nil, []byte("nobody")))
	})
}
