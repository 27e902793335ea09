package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/usageplan"
)

func TestOptions_Invalid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		option gateway.Option
		says   []string // parts of the error: what is wrong, and what would be right
	}{
		{"an option that is nil", nil, []string{"New: Option 1 is nil"}},
		{"a selection expression with a mistake", gateway.WithRouteSelectionExpression("$request.header.x"), []string{"$request."}},
		{"an empty selection expression", gateway.WithRouteSelectionExpression(""), []string{"is empty"}},
		{"a selection expression without a variable", gateway.WithRouteSelectionExpression("action"), []string{"RouteSelectionExpression", "no variable", "like $request.body.action"}},
		{"a selection expression that is a dollar sign and text", gateway.WithRouteSelectionExpression(`\$default`), []string{"no variable"}},
		{"an API key selection expression with a mistake", gateway.WithAPIKeySelectionExpression("x"), []string{"APIKeySelectionExpression", "must be $request.header.x-api-key"}},
		{"an empty stage name", gateway.WithStage("", nil), []string{`""`, "1 to 128 letters, digits, - or _"}},
		{"a stage name with a slash", gateway.WithStage("a/b", nil), []string{`"a/b"`, "1 to 128"}},
		{"a stage name with a line break", gateway.WithStage("a\n", nil), []string{`"a\n"`, "1 to 128"}},
		{"a stage name of 129", gateway.WithStage(strings.Repeat("a", 129), nil), []string{"1 to 128"}},
		{"a frame above the message", gateway.WithQuotas(gateway.Quotas{FrameBytes: 11, MessageBytes: 10}), []string{"FrameBytes 11", "MessageBytes 10"}},
		{"a time without its unit", gateway.WithQuotas(gateway.Quotas{IdleTimeout: 30}), []string{"Quotas.IdleTimeout is 30ns", "30 * time.Second"}},
		{"an interval without its unit", gateway.WithQuotas(gateway.Quotas{PingInterval: 25_000}), []string{"Quotas.PingInterval is 25µs"}},
		{"a negative burst of new connections", gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{BurstLimit: -1}}), []string{"Quotas.NewConnections: BurstLimit -1 is negative: leave it 0"}},
		{"a huge burst of new connections", gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{BurstLimit: math.MaxInt}}), []string{"Quotas.NewConnections: BurstLimit"}},
		{"a burst of new connections without a quota", gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1, BurstLimit: 5}}), []string{"Quotas.NewConnections: BurstLimit is 5"}},
		{"a negative burst of the stage", gateway.WithDefaultThrottle(1, -1), []string{"WithDefaultThrottle: BurstLimit -1 is negative"}},
		{"a burst of the stage without a rate", gateway.WithDefaultThrottle(0, 5), []string{"WithDefaultThrottle", "set RateLimit"}},
		{"an API ID that is a domain name", gateway.WithAPI("api.example.com", "a1b2c3"), []string{`WithAPI: API ID "api.example.com"`}},
		{"an API ID of an ARN", gateway.WithAPI("arn:aws:x/*", ""), []string{"API ID"}},
		{"a domain name that is a URL", gateway.WithAPI("a1b2c3", "wss://api.example.com"), []string{"wss://api.example.com", "the host alone", "like api.example.com"}},
		{"a domain name with a path", gateway.WithAPI("a1b2c3", "api.example.com/prod"), []string{"the host alone"}},
		{"a domain name with a blank", gateway.WithAPI("a1b2c3", "api.example.com "), []string{"the host alone"}},
		{"a domain name with a line break", gateway.WithAPI("a1b2c3", "api.example.com\n"), []string{"the host alone"}},
		{"a domain name with a user", gateway.WithAPI("a1b2c3", "me@api.example.com"), []string{"the host alone"}},
		{"a domain name with a query", gateway.WithAPI("a1b2c3", "api.example.com?x"), []string{"the host alone"}},
		{"a port without a host", gateway.WithAPI("a1b2c3", ":8080"), []string{"the host alone"}},
		{"a port that is none", gateway.WithAPI("a1b2c3", "localhost:http"), []string{"the host alone"}},
		{"a nil AccountThrottle", gateway.WithAccountThrottle(nil), []string{"WithAccountThrottle", "NewAccountThrottle"}},
		{"a ManagementAuth that is a nil func", gateway.WithManagementAuth(gateway.ManagementAuthFunc(nil)), []string{"WithoutManagementAuth"}},
		{"a rate of new connections that is not a number", gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: math.NaN()}}), []string{"Quotas.NewConnections"}},
		{"a nil UsageStore", gateway.WithUsageStore(nil), []string{"UsageStore is nil"}},
		{"a UsageStore that is a nil pointer", gateway.WithUsageStore((*usageplan.Store)(nil)), []string{"UsageStore is nil"}},
		{"an origin pattern with a mistake", gateway.WithOriginPatterns("ok", "[a"), []string{`"[a"`}},
		{"an empty origin pattern, of a variable that is not set", gateway.WithOriginPatterns(strings.Split("", ",")...), []string{`origin pattern "": it is empty`}},
		{"an origin pattern with a path", gateway.WithOriginPatterns("https://app.example.com/"), []string{`"https://app.example.com/"`, "remove everything but scheme, host and port"}},
		{"a nil logger", gateway.WithLogger(nil), []string{"leave WithLogger out"}},
		{"a logger that slog.New has not made", gateway.WithLogger(&slog.Logger{}), []string{"has no handler", "slog.New"}},
		{"a nil observer", gateway.WithObserver(nil), []string{"observer is nil"}},
		{"a nil ManagementAuth", gateway.WithManagementAuth(nil), []string{"WithoutManagementAuth"}},
		{"a ManagementAuth that is a nil pointer", gateway.WithManagementAuth((*strict)(nil)), []string{"WithoutManagementAuth"}},
		{"a ManagementAuth with a mistake", gateway.WithManagementAuth(&strict{}), []string{"WithManagementAuth: strict.Name is empty"}},
		{"a nil middleware", gateway.WithMiddleware(nil), []string{"iddleware"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			gw, err := gateway.New(gateway.WithStage("ok", nil), tc.option)
			require.Nil(t, gw)
			requireInvalid(t, err, tc.says...)
		})
	}
}

// requireInvalid checks an error that reports a mistake: its prefix, which it has
// only once, and its other parts.
func requireInvalid(t *testing.T, err error, says ...string) {
	t.Helper()
	require.ErrorIs(t, err, gateway.ErrInvalidOption)
	require.True(t, strings.HasPrefix(err.Error(), "gateway: invalid option: "), err.Error())
	require.Equal(t, 1, strings.Count(err.Error(), "gateway: "), err.Error())
	for _, text := range says {
		require.ErrorContains(t, err, text)
	}
}

// A domain name that is accepted can be put into a URL, and changes nothing else in it.
func FuzzWithAPI(f *testing.F) {
	for _, name := range []string{"api.example.com", "localhost:8080", "[::1]:8080", "a b", "a/b", "a@b", "a?b", "a#b", "a:b", "%41", "[fe80::1%25en0]", "\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		gw, err := gateway.New(gateway.WithAPI("", name))
		if err != nil {
			requireInvalid(t, err, "WithAPI: domain name")
			return
		}
		defer gw.Close()
		if name == "" {
			return
		}
		u, err := url.Parse("https://" + name + "/prod/@connections/x?y")
		require.NoError(t, err)
		require.Equal(t, []any{name, "/prod/@connections/x", "y"}, []any{u.Host, u.Path, u.RawQuery})
		require.Nil(t, u.User)
	})
}

func TestOptions_Valid(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]gateway.Option{
		"a stage name of 128":             gateway.WithStage(strings.Repeat("a", 128), nil),
		"every character of a stage name": gateway.WithStage("azAZ09-_", map[string]string{}),
		"no frame quota, a small message": gateway.WithQuotas(gateway.Quotas{FrameBytes: -1, MessageBytes: 10}),
		"no message quota, a large frame": gateway.WithQuotas(gateway.Quotas{FrameBytes: 1 << 30, MessageBytes: -1}),
		"a frame as large as a message":   gateway.WithQuotas(gateway.Quotas{FrameBytes: 10, MessageBytes: 10}),
		"a small message, frames too":     gateway.WithQuotas(gateway.Quotas{MessageBytes: 10}),
		"no origin pattern":               gateway.WithOriginPatterns(),
		"no middleware":                   gateway.WithMiddleware(),
		"an observer of nothing":          gateway.WithObserver(&gateway.Observer{}),
		"empty API ID and domain":         gateway.WithAPI("", ""),
		"a domain with a port":            gateway.WithAPI("a1b2c3d4e5", "localhost:8080"),
		"an IPv6 address with a port":     gateway.WithAPI("", "[::1]:8080"),
		"a time of a millisecond":         gateway.WithQuotas(gateway.Quotas{IdleTimeout: time.Millisecond}),
		"a largest burst":                 gateway.WithDefaultThrottle(0.1, math.MaxInt32),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newGateway(t, option)
		})
	}
}

// plain undoes the quotas of gatewaytest: it sets those of New.
func plain() gateway.Option { return gateway.WithQuotas(gateway.Quotas{}) }

func TestOptions_Defaults(t *testing.T) {
	t.Parallel()
	bubble := func(name string, test func(t *testing.T, srv *gatewaytest.Server)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, plain())
				srv.HandleFunc("$disconnect", answerNothing)
				test(t, srv)
			})
		})
	}
	bubble("the route selection expression is $request.body.action", func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("a", answer("routed"), gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send(`{"action":"a"}`)
		require.Equal(t, "routed", c.Receive())
	})
	bubble("a frame has 32 KiB", func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("$default", answer("ok"), gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send(strings.Repeat("x", 32<<10))
		require.Equal(t, "ok", c.Receive())
		c.Send(strings.Repeat("x", 32<<10+1))
		code, _ := c.ReceiveClose()
		require.Equal(t, 1009, code)
	})
	bubble("a message has 128 KiB, in and out", func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("$default", answer("ok"), gateway.WithRouteResponse())
		c := srv.Dial(t)
		frame := strings.Repeat("x", 32<<10)
		c.SendFragments(frame, frame, frame, frame)
		require.Equal(t, "ok", c.Receive())
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), make([]byte, 128<<10)))
		require.ErrorIs(t, srv.PostToConnection(t.Context(), c.ConnectionID(), make([]byte, 128<<10+1)), gateway.ErrPayloadTooLarge)
		c.Receive()
		c.SendFragments(frame, frame, frame, frame, "x")
		code, _ := c.ReceiveClose()
		require.Equal(t, 1009, code)
	})
	bubble("idle for 10 minutes", func(t *testing.T, srv *gatewaytest.Server) {
		start := time.Now()
		code, _ := srv.Dial(t).ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, 10*time.Minute, time.Since(start))
	})
	bubble("2 hours for a connection, however busy", func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("$default", answerNothing)
		start := time.Now()
		c := srv.Dial(t)
		for range 23 {
			time.Sleep(5 * time.Minute) //nolint:forbidigo // in a synctest bubble
			c.Send("x")
		}
		code, _ := c.ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, 2*time.Hour, time.Since(start))
	})
	bubble("10 seconds for a write", func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		c.Pause()
		start := time.Now()
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("x")))
		e := srv.WaitDisconnect(c.ConnectionID())
		require.Equal(t, 1006, e.DisconnectStatusCode)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
	bubble("256 messages wait for a client", func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		c.Pause()
		require.Equal(t, 256, fill(t, srv, c, 1))
		c.Resume()
	})
	bubble("1 MiB waits for a client", func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		c.Pause()
		n := fill(t, srv, c, 100_000)
		require.Equal(t, 1<<20/100_000, n)
		c.Resume()
	})
	bubble("one message of a connection at a time", func(t *testing.T, srv *gatewaytest.Server) {
		require.Equal(t, 1, atOnce(t, srv, 5))
	})
	bubble("no pings", func(t *testing.T, srv *gatewaytest.Server) {
		w := wiretest.Dial(t, srv.HTTPClient())
		w.MustOpen()
		w.ExpectClose(1001, "Going away") // the first frame is the Close frame of the idle timeout
		require.Equal(t, 10*time.Minute, time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
		require.NoError(t, w.Close())
	})
	bubble("500 new connections at once, and 500 a second", func(t *testing.T, srv *gatewaytest.Server) {
		require.Equal(t, 500, admitted(t, srv, 510))
		time.Sleep(100 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 50, admitted(t, srv, 60))
	})
	bubble("pings of the client do not count as activity", func(t *testing.T, srv *gatewaytest.Server) {
		start := time.Now()
		c := srv.Dial(t)
		time.Sleep(9 * time.Minute) //nolint:forbidigo // in a synctest bubble
		c.Ping()
		c.ReceiveClose()
		require.Equal(t, 10*time.Minute, time.Since(start))
	})
	t.Run("nothing is logged, and the management handler is closed", func(t *testing.T) {
		t.Parallel()
		w := httptest.NewRecorder()
		newGateway(t).ManagementHandler().ServeHTTP(w, httptest.NewRequest("GET", "/@connections/x", nil))
		require.Equal(t, 403, w.Code)
	})
}

// fill posts until the send buffer is full and returns how many were accepted.
func fill(t *testing.T, srv *gatewaytest.Server, c *gatewaytest.Client, bytes int) int {
	t.Helper()
	for n := range 5000 {
		if err := srv.PostToConnection(t.Context(), c.ConnectionID(), make([]byte, bytes)); err != nil {
			require.ErrorIs(t, err, gateway.ErrLimitExceeded)
			return n
		}
	}
	return 5000
}

// atOnce sends n messages and returns how many integrations ran at once.
func atOnce(t *testing.T, srv *gatewaytest.Server, n int) int {
	t.Helper()
	var running, most atomic.Int32
	srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
		return &gateway.Response{Body: []byte("done")}, nil
	}, gateway.WithRouteResponse())
	c := srv.Dial(t)
	for range n {
		c.Send("x")
	}
	for range n {
		c.Receive()
	}
	return int(most.Load())
}

// admitted tries n upgrades and returns how many were accepted.
func admitted(t *testing.T, srv *gatewaytest.Server, n int) (accepted int) {
	t.Helper()
	for range n {
		c, refused := srv.TryDial(t)
		if refused != nil {
			require.Equal(t, 429, refused.StatusCode)
			continue
		}
		c.Drop()
		accepted++
	}
	return accepted
}

func TestOptions_NegativeIsNone(t *testing.T) {
	t.Parallel()
	bubble := func(name string, q gateway.Quotas, test func(t *testing.T, srv *gatewaytest.Server)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, gatewaytest.New(t, gateway.WithQuotas(q))) })
		})
	}
	bubble("FrameBytes", gateway.Quotas{FrameBytes: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("$default", answer("ok"), gateway.WithRouteResponse())
		c := srv.Dial(t)
		c.Send(strings.Repeat("x", 128<<10))
		require.Equal(t, "ok", c.Receive())
	})
	bubble("MessageBytes", gateway.Quotas{FrameBytes: -1, MessageBytes: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		srv.HandleFunc("$default", func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			return &gateway.Response{Body: req.Body}, nil
		}, gateway.WithRouteResponse())
		c := srv.Dial(t)
		large := strings.Repeat("x", 900_000)
		c.Send(large)
		require.Len(t, c.Receive(), len(large))
		synctest.Wait() // until the reply has left the send buffer, which has no room for two
		requireManagement(t, call(t, srv, "POST", c.ConnectionID(), large), 200, "", "")
		require.Len(t, c.Receive(), len(large))
	})
	bubble("IdleTimeout", gateway.Quotas{IdleTimeout: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		start := time.Now()
		srv.Dial(t).ReceiveClose()
		require.Equal(t, 2*time.Hour, time.Since(start))
	})
	bubble("ConnectionDuration", gateway.Quotas{ConnectionDuration: -1, IdleTimeout: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		time.Sleep(100 * time.Hour) //nolint:forbidigo // in a synctest bubble
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("x")))
		require.Equal(t, "x", c.Receive())
	})
	bubble("IntegrationTimeout", gateway.Quotas{IntegrationTimeout: -1, IdleTimeout: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		slow := func(ctx context.Context, _ *gateway.Request) (*gateway.Response, error) {
			time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
			_, bounded := ctx.Deadline()
			return &gateway.Response{Body: fmt.Append(nil, bounded)}, ctx.Err()
		}
		srv.HandleFunc("$connect", slow)
		srv.HandleFunc("$default", slow, gateway.WithRouteResponse())
		w := wiretest.Dial(t, srv.HTTPClient())
		w.MustOpen()
		w.MustSend(wiretest.Text, "x")
		require.Equal(t, "false", w.Receive())
		require.Equal(t, "false", string(srv.Events()[0].Response.Body))
	})
	bubble("WriteTimeout", gateway.Quotas{WriteTimeout: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		c.Pause()
		require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("x")))
		time.Sleep(9 * time.Minute) //nolint:forbidigo // in a synctest bubble
		c.Resume()
		require.Equal(t, "x", c.Receive())
	})
	bubble("SendBufferBytes and SendBufferMessages", gateway.Quotas{SendBufferBytes: -1, SendBufferMessages: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		c := srv.Dial(t)
		c.Pause()
		require.Equal(t, 5000, fill(t, srv, c, 1000))
		c.Resume()
	})
	bubble("InFlight", gateway.Quotas{InFlight: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		require.Equal(t, 100, atOnce(t, srv, 100))
	})
	bubble("PingInterval", gateway.Quotas{PingInterval: -1}, func(t *testing.T, srv *gatewaytest.Server) {
		start := time.Now()
		code, _ := srv.Dial(t).ReceiveClose()
		require.Equal(t, 1001, code)
		require.Equal(t, 10*time.Minute, time.Since(start))
	})
	bubble("NewConnections.RateLimit", gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}, func(t *testing.T, srv *gatewaytest.Server) {
		require.Equal(t, 1200, admitted(t, srv, 1200))
	})
}

func TestOptions_Throttle(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		throttle gateway.Throttle
		burst    int
	}{
		{"the burst is the rate unless it is set", gateway.Throttle{RateLimit: 7}, 7},
		{"it is one at least", gateway.Throttle{RateLimit: 0.5}, 1},
		{"a burst alone keeps the rate", gateway.Throttle{BurstLimit: 3}, 3},
		{"both", gateway.Throttle{RateLimit: 1, BurstLimit: 4}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{NewConnections: tc.throttle}))
				require.Equal(t, tc.burst, admitted(t, srv, 20))
			})
		})
	}
}

func TestOptions_TheLastOneWins(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	refuse := gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error { return gateway.ErrForbidden })
	srv := gatewaytest.New(t,
		gateway.WithStage("one", map[string]string{"a": "1"}), gateway.WithStage("two", map[string]string{"b": "2"}),
		gateway.WithAPI("api1", "one.example"), gateway.WithAPI("api2", ""),
		gateway.WithRouteSelectionExpression("$request.body.one"), gateway.WithRouteSelectionExpression("$request.body.two"),
		gateway.WithQuotas(gateway.Quotas{MessageBytes: 40_000}), gateway.WithQuotas(gateway.Quotas{SendBufferMessages: 2}),
		gateway.WithLogger(slog.New(slog.NewTextHandler(&first, nil))), gateway.WithLogger(slog.New(slog.NewTextHandler(&second, nil))),
		gateway.WithoutManagementAuth(), gateway.WithManagementAuth(refuse),
		gateway.WithOriginPatterns("one.example"), gateway.WithOriginPatterns("two.example"),
	)
	srv.HandleFunc("x", answerNothing)
	c := srv.Dial(t, gatewaytest.Header("Origin", "https://one.example"))
	srv.Dial(t, gatewaytest.Header("Origin", "https://two.example")) // patterns of several options are combined
	c.Send(`{"one":"y","two":"x"}`)
	e := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == "x" })
	require.Equal(t, "two", e.Stage)
	require.Equal(t, map[string]string{"b": "2"}, e.StageVariables)
	require.Equal(t, "api2", e.APIID)
	require.Equal(t, "gateway.test", e.DomainName)
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), make([]byte, 128<<10)), "the quotas as a whole")
	require.Equal(t, 403, call(t, srv, "GET", c.ConnectionID(), "").Status)
	require.NoError(t, srv.Shutdown(t.Context()))
	require.Empty(t, first.String())
	require.Contains(t, second.String(), "shutting down")
}

func TestOptions_ObserversAndMiddlewareAddUp(t *testing.T) {
	t.Parallel()
	order := make(chan string, 100)
	middleware := func(name string) gateway.Middleware {
		return func(next gateway.Integration) gateway.Integration {
			return gateway.IntegrationFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				order <- name + " " + req.RouteKey
				return next.Invoke(ctx, req)
			})
		}
	}
	observer := func(name string) *gateway.Observer {
		return &gateway.Observer{
			ConnectionOpened: func(context.Context, gateway.Connection) { order <- name + " opened" },
			ConnectionClosed: func(context.Context, gateway.Connection, int, string) { order <- name + " closed" },
			IntegrationDone: func(context.Context, *gateway.Request, *gateway.Response, time.Duration, error) {
				order <- name + " done"
			},
			MessageSent: func(_ context.Context, _ string, n int) { order <- fmt.Sprint(name, " sent ", n) },
			PostFailed:  func(_ context.Context, _ string, n int, _ error) { order <- fmt.Sprint(name, " refused ", n) },
		}
	}
	srv := gatewaytest.New(t, gateway.WithMiddleware(middleware("m1"), middleware("m2")), gateway.WithObserver(observer("o1")),
		gateway.WithObserver(&gateway.Observer{}), gateway.WithMiddleware(middleware("m3")), gateway.WithObserver(observer("o2")))
	for _, key := range []string{"$connect", "$default", "$disconnect"} {
		srv.HandleFunc(key, answer("four"), gateway.WithRouteResponse())
	}
	requireOrder := func(want ...string) {
		t.Helper()
		for _, w := range want {
			require.Equal(t, w, <-order)
		}
	}
	c := srv.Dial(t)
	requireOrder("m1 $connect", "m2 $connect", "m3 $connect", "o1 done", "o2 done", "o1 opened", "o2 opened")
	c.Send("x")
	require.Equal(t, "four", c.Receive())
	requireOrder("m1 $default", "m2 $default", "m3 $default", "o1 done", "o2 done", "o1 sent 4", "o2 sent 4")
	require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("12345")))
	require.ErrorIs(t, srv.PostToConnection(t.Context(), "x", []byte("123")), gateway.ErrGone)
	requireOrder("o1 sent 5", "o2 sent 5", "o1 refused 3", "o2 refused 3")
	c.Close(1000, "")
	requireOrder("o1 closed", "o2 closed", "m1 $disconnect", "m2 $disconnect", "m3 $disconnect", "o1 done", "o2 done")
}

func TestOptions_CopyWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	opened := make(chan string, 2)
	variables := map[string]string{"v": "given"}
	observer := &gateway.Observer{ConnectionOpened: func(context.Context, gateway.Connection) { opened <- "given" }}
	patterns := []string{"given.example"}
	middleware := []gateway.Middleware{func(next gateway.Integration) gateway.Integration { return next }}
	srv := gatewaytest.New(t, gateway.WithStage("s", variables), gateway.WithObserver(observer),
		gateway.WithOriginPatterns(patterns...), gateway.WithMiddleware(middleware...))
	variables["v"], variables["w"] = "changed", "added"
	observer.ConnectionOpened = func(context.Context, gateway.Connection) { opened <- "changed" }
	patterns[0] = "changed.example"
	middleware[0] = func(gateway.Integration) gateway.Integration { return &gateway.MockIntegration{StatusCode: 500} }
	srv.HandleFunc("$connect", answerNothing)

	c, refused := srv.TryDial(t, gatewaytest.Header("Origin", "https://given.example"))
	require.Nil(t, refused)
	require.NotNil(t, c)
	require.Equal(t, "given", <-opened)
	require.Equal(t, map[string]string{"v": "given"}, srv.Events()[0].StageVariables)
	_, refused = srv.TryDial(t, gatewaytest.Header("Origin", "https://changed.example"))
	require.Equal(t, 403, refused.StatusCode)
}
