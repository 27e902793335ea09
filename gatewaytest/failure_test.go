package gatewaytest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
)

// fakeTB is a test that may fail.
type fakeTB struct {
	testing.TB

	cleanups []func()
	log      lockedBuffer
	failures []string
}

func (tb *fakeTB) Helper()           {}
func (tb *fakeTB) Cleanup(f func())  { tb.cleanups = append(tb.cleanups, f) }
func (tb *fakeTB) Output() io.Writer { return &tb.log }

func (tb *fakeTB) Errorf(format string, args ...any) {
	tb.failures = append(tb.failures, fmt.Sprintf(format, args...))
}

func (tb *fakeTB) Fatalf(format string, args ...any) {
	tb.Errorf(format, args...)
	runtime.Goexit()
}

// end does what is done at the end of a test.
func (tb *fakeTB) end() {
	for n := len(tb.cleanups) - 1; n >= 0; n-- {
		tb.cleanups[n]()
	}
}

type lockedBuffer struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run runs a test that may fail, with its cleanups, and returns its failures.
func run(t *testing.T, test func(tb *fakeTB)) (failures []string, log *lockedBuffer) {
	t.Helper()
	tb := &fakeTB{TB: t}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer tb.end()
		test(tb)
	}()
	<-over
	return tb.failures, &tb.log
}

// A wait that fails says what came instead.
func TestFailures_SayWhatWasSeen(t *testing.T) {
	t.Parallel()
	hangs := func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, tc := range map[string]struct {
		test func(tb *fakeTB)
		want []string
	}{
		"a message that does not come": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.HandleFunc("echo", echo, gateway.WithRouteResponse())
			c := srv.Dial(tb)
			c.Send(`{"action":"echo"}`)
			c.Receive()
			srv.SetTimeout(time.Minute)
			c.Receive()
		}, []string{"no message within 1m0s", `messages received last: "{\"action\":\"echo\"}"`, "not yet received: none", "\nevents of the connection: 1\n\techo of "}},
		"a message when the connection has closed": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb).Receive()
		}, []string{`no message: the server closed the connection with 1001 "Going away"`, "messages received last: none", "events of the connection: none"}},
		"a message when the connection has broken off": {func(tb *fakeTB) {
			c := gatewaytest.New(tb).Dial(tb)
			c.Drop()
			c.Receive()
		}, []string{"no message: the connection broke off: "}},
		"a close that does not come": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			c := srv.Dial(tb)
			for n := range 5 {
				_ = srv.PostToConnection(tb.Context(), c.ConnectionID(), []byte(strings.Repeat(string(rune('a'+n)), 300)))
			}
			srv.SetTimeout(time.Minute)
			c.ReceiveClose()
		}, []string{"did not end within 1m0s", `not yet received: "` + strings.Repeat("c", 200) + `…", "` + strings.Repeat("d", 200) + `…", "`}},
		"an event that does not come": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.HandleFunc("fail", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return nil, errors.New("no database")
			})
			c := srv.Dial(tb)
			c.Send(`{"action":"fail"}`)
			c.Receive()
			for range 12 {
				c.Send(`{"action":"nothing"}`)
				c.Receive()
			}
			srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "nothing" })
		}, []string{"no such event within 3h0m0s\nevents: 13, the last 10 of them\n\tmessage \"{\\\"action\\\":\\\"nothing\\\"}\" of ", "==: rejected with 403: no route matches the message and there is no $default route: the value of the route selection expression is \"nothing\""}},
		"a message that is not JSON": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.SetTimeout(time.Minute)
			c := srv.Dial(tb)
			c.Send("nothing")
			c.Receive()
			c.Receive()
		}, []string{"rejected with 403: no route matches the message and there is no $default route: the message is not JSON, so that only $default could take it"}},
		"a group that is not valid": {func(tb *fakeTB) {
			gatewaytest.New(tb).Group("").Members()
		}, []string{`gatewaytest: Group("").Members: gateway: invalid argument: group: the name is empty`}},
		"the state of a connection that is not open": {func(tb *fakeTB) {
			gatewaytest.New(tb).State("nobody")
		}, []string{`gatewaytest: State of connection "nobody": gateway: connection is gone`}},
		"a failed event": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.HandleFunc("$connect", echo)
			srv.HandleFunc("fail", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return nil, errors.New("no database")
			})
			c := srv.Dial(tb)
			c.Send(`{"action":"fail"}`)
			c.Receive()
			c.Receive()
		}, []string{"\nevents of the connection: 2\n\t$connect of ", "\n\tfail of ", "==: failed: no database"}},
		"the $disconnect of nobody": {func(tb *fakeTB) {
			gatewaytest.New(tb).WaitDisconnect("nobody")
		}, []string{"no $disconnect of connection \"nobody\" within 3h0m0s: no client of this server has had a connection with this ID\nevents of the connection: none"}},
		"the $disconnect of an open connection": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.SetTimeout(time.Minute)
			srv.WaitDisconnect(srv.Dial(tb).ConnectionID())
		}, []string{"the connection has not closed"}},
		"a $disconnect that hangs": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.SetTimeout(20 * time.Second)
			srv.HandleFunc("$disconnect", hangs)
			c := srv.Dial(tb)
			c.Close(1000, "bye")
			srv.WaitDisconnect(c.ConnectionID())
		}, []string{`the connection has closed with 1000 "bye", but the integration of $disconnect has not returned`}},
		"an upgrade that a handler refuses": {func(tb *fakeTB) {
			gatewaytest.ServeHandler(tb, newService(tb)).Dial(tb, gatewaytest.Path("/ws?room=1"))
		}, []string{
			"the upgrade to ws://gateway.test/ws?room=1 was refused before it came to a Gateway: is Gateway.Handler mounted at that path",
			"\n401 Unauthorized\n", "\nWww-Authenticate: Cookie\n", "\n\nlog in first\n",
		}},
		"an upgrade that the gateway refuses": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Header("Origin", "https://evil.example"))
		}, []string{"the upgrade to ws://gateway.test/test was refused by the Gateway: the origin of the page ", "\n403 Forbidden", `{"message": "Forbidden"`}},
		"an upgrade that $connect refuses": {func(tb *fakeTB) {
			srv := gatewaytest.New(tb)
			srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{StatusCode: http.StatusConflict}, nil
			})
			srv.Dial(tb)
		}, []string{"was refused by the Gateway: the integration of $connect has returned this\n409 Conflict\n"}},
		"a path that is none": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Path("ws"))
		}, []string{`Path("ws"): a path begins with a slash`}},
		"a path with a fragment": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Path("/ws#1"), gatewaytest.Query("room", "1"))
		}, []string{`Path("/ws#1"): no client sends what begins with "#": leave it out, or write %23 for a "#" of the path`}},
		"a cookie that would be changed": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Cookie("s", `a"b`))
		}, []string{`the cookie "s" with the value "a\"b" has a character that no cookie can have`}},
		"a cookie that would be cut": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Cookie("s", "a;b"))
		}, []string{`the cookie "s" with the value "a;b" has a character`}},
		"a cookie that is not ASCII": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Cookie("s", "ü"))
		}, []string{`the cookie "s" with the value "ü" has a character`}},
		"a cookie with a wrong name": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Cookie("a b", "x"))
		}, []string{`the cookie "a b" with the value "x" has a character`}},
		"a cookie that is nil": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, gatewaytest.Cookies(&http.Cookie{Name: "a", Value: "b"}, nil))
		}, []string{"Cookies: cookie 1 is nil: leave it out"}},
		"an option that is nil": {func(tb *fakeTB) {
			gatewaytest.New(tb).Dial(tb, nil)
		}, []string{"DialOption 0 is nil: leave it out"}},
		"a gateway behind a new context": {func(tb *fakeTB) {
			srv := gatewaytest.ServeHandler(tb, newContext(tb))
			c := srv.Dial(tb)
			srv.SetTimeout(time.Minute)
			srv.WaitDisconnect(c.ConnectionID())
		}, []string{"this client has no connection ID: either a handler", "because a middleware or a reverse proxy replaces it: pass the Gateway to Serve"}},
		"a client behind a new context": {func(tb *fakeTB) {
			gatewaytest.ServeHandler(tb, newContext(tb)).Dial(tb).Receive()
		}, []string{"events of the connection: this client has no connection ID"}},
		"TCP in a bubble": {func(tb *fakeTB) { gatewaytest.NewTCP(tb) }, []string{"NewTCP does not work in a synctest bubble: use New"}},
		"no gateway":      {func(tb *fakeTB) { gatewaytest.Serve(tb, nil) }, []string{"Serve: the Gateway is nil"}},
		"no handler":      {func(tb *fakeTB) { gatewaytest.ServeHandler(tb, nil) }, []string{"ServeHandler: the handler is nil"}},
		"a nil func": {func(tb *fakeTB) {
			gatewaytest.ServeHandler(tb, http.HandlerFunc(nil))
		}, []string{"ServeHandler: the handler is nil: http.HandlerFunc"}},
		"a nil mux": {func(tb *fakeTB) {
			gatewaytest.ServeHandler(tb, (*http.ServeMux)(nil))
		}, []string{"ServeHandler: the handler is nil: *http.ServeMux"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				failures, _ := run(t, tc.test)
				require.Len(t, failures, 1)
				for _, want := range tc.want {
					require.Contains(t, failures[0], want)
				}
			})
		})
	}
}

// newContext is a service whose middleware hides the gateway from the test.
func newContext(tb testing.TB) http.Handler {
	tb.Helper()
	gw, err := gateway.New()
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = gw.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.Handler().ServeHTTP(w, r.WithContext(context.Background()))
	})
}

// A bubble stays one, however much time passes in it.
func TestServer_OldBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		time.Sleep(30 * 365 * 24 * time.Hour) //nolint:forbidigo // in a synctest bubble
		srv.Dial(t).Ping()
		gatewaytest.New(t).Dial(t).Ping()
	})
}

// What was made on real time and is used on virtual time says so, and does not hang.
func TestFailures_WrongBubble(t *testing.T) {
	t.Parallel()
	others := &fakeTB{TB: t} // of what is made here
	outside := gatewaytest.New(others)
	client := outside.Dial(others)
	gw, err := gateway.New()
	require.NoError(t, err)
	handler := newService(t)
	const server, gatewayOutside = "the server was made outside the synctest bubble that uses it: make it in the func of synctest.Test",
		"a Gateway that was made outside the synctest bubble is used inside: call gateway.New in the func of synctest.Test"
	for name, tc := range map[string]struct {
		test func(tb *fakeTB)
		want string
	}{
		"a server that is dialled": {func(tb *fakeTB) { outside.Dial(tb) }, server},
		"a server that waits":      {func(*fakeTB) { outside.WaitDisconnect("x") }, server},
		"a client that sends":      {func(*fakeTB) { client.Ping() }, server},
		"a client that receives":   {func(*fakeTB) { client.Receive() }, server},
		"a client that waits":      {func(*fakeTB) { client.ReceiveClose() }, server},
		"a gateway":                {func(tb *fakeTB) { gatewaytest.Serve(tb, gw).Dial(tb) }, gatewayOutside},
		"a gateway in a handler": {func(tb *fakeTB) {
			gatewaytest.ServeHandler(tb, handler).Dial(tb, gatewaytest.Path("/ws"), gatewaytest.Cookie("session", "ann"))
		}, gatewayOutside},
	} {
		synctest.Test(t, func(t *testing.T) {
			failures, _ := run(t, tc.test)
			failures, others.failures = append(failures, others.failures...), nil
			require.Equal(t, []string{"gatewaytest: " + tc.want}, failures, name)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := outside.HTTPClient().Get(outside.HTTPURL())
		require.ErrorContains(t, err, server)
	})
	others.end()
}

// The log of the gateway and of the HTTP server is that of the test, as long as it runs.
func TestLogger(t *testing.T) {
	t.Parallel()
	var late *slog.Logger
	failures, log := run(t, func(tb *fakeTB) {
		srv := gatewaytest.New(tb)
		srv.HandleFunc("$connect", func(context.Context, *gateway.Request) (*gateway.Response, error) {
			return nil, errors.New("no database")
		})
		srv.TryDial(tb)
		panics := gatewaytest.ServeHandler(tb, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("in the handler") }))
		_, err := panics.HTTPClient().Get(panics.HTTPURL())
		require.Error(t, err)
		late = gatewaytest.Logger(tb, slog.LevelInfo)
		late.Debug("too little")
		late.Info("enough")
	})
	require.Empty(t, failures)
	require.Contains(t, log.String(), "level=ERROR msg=\"integration failed\"")
	require.Contains(t, log.String(), "no database")
	require.Contains(t, log.String(), "panic serving 127.0.0.1:1: in the handler")
	require.Contains(t, log.String(), "level=INFO msg=enough\n")
	require.NotContains(t, log.String(), "too little")
	require.NotContains(t, log.String(), "shutting down", "it is below warn")
	before := log.String()
	late.Error("after the end")
	require.Equal(t, before, log.String(), "a test that has ended must not be written to")
}

// An option replaces the logger of New.
func TestNew_OwnLogger(t *testing.T) {
	t.Parallel()
	var own lockedBuffer
	_, log := run(t, func(tb *fakeTB) {
		srv := gatewaytest.New(tb, gateway.WithLogger(slog.New(slog.NewTextHandler(&own, nil))))
		srv.TryDial(tb, gatewaytest.Header("Origin", "https://evil.example"))
	})
	require.Contains(t, own.String(), "upgrade rejected")
	require.Empty(t, log.String())
}
