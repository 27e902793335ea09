package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/usageplan"
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

// Each line goes to the logger that is the default at that time, with its level. Not
// parallel: it sets the default logger of the whole process.
func TestLog_Default(t *testing.T) {
	original, writer, flags := slog.Default(), log.Writer(), log.Flags() //nolint:forbidigo // SetDefault changes package log, too
	t.Cleanup(func() {
		slog.SetDefault(original)
		log.SetOutput(writer) //nolint:forbidigo // see above
		log.SetFlags(flags)   //nolint:forbidigo // see above
	})
	afterNew := newGateway(t) // its default logger is the one that package slog begins with
	for name, gw := range map[string]func() *gateway.Gateway{
		"SetDefault after New":  func() *gateway.Gateway { return afterNew },
		"SetDefault before New": func() *gateway.Gateway { return newGateway(t) },
	} {
		buffer := &testutil.LockedBuffer{}
		slog.SetDefault(slog.New(slog.NewTextHandler(buffer, &slog.HandlerOptions{Level: slog.LevelDebug})))
		gw := gw()
		require.NoError(t, gw.Deploy(gateway.Deployment{}))
		require.Empty(t, buffer.String(), "info is not given to it")
		require.Equal(t, http.StatusUpgradeRequired, ask(gw.Handler(), http.MethodGet, "/").Code)
		require.Contains(t, buffer.String(), `level=WARN msg="upgrade rejected"`, name)
		require.Equal(t, 500, ask(gw.Handler(), http.MethodGet, "/", handshake()...).Code)
		require.Contains(t, buffer.String(), `level=ERROR msg="upgrade rejected"`, name)
	}
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

// A body that the client does not get is logged once for each route of a deployment.
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
		require.Eventually(t, func() bool { return srv.Len() == 0 }, 10*time.Second, time.Millisecond)
		const line = ` msg="the integration returned a body, but the route sends none to the client"`
		require.Equal(t, 4*deployment, strings.Count(log.String(), line), "%s", log)
		for route, fix := range map[string]string{
			"one-way": "pass WithRouteResponse() to Handle", "other": "pass WithRouteResponse() to Handle",
			"$connect": "the connection is not open before $connect has returned: to greet the client, post from Observer.ConnectionOpened", "$disconnect": "return no body: the client has left",
		} {
			level := "level=WARN"
			if strings.HasPrefix(route, "$") {
				level = "level=INFO"
			}
			require.Equal(t, deployment, strings.Count(log.String(), level+line+" route_key="+route+` stage=local fix="`+fix))
		}
	}
	require.NotContains(t, log.String(), "served", "no body is logged")
}

// What $connect returns to refuse the client is not dropped.
func TestLog_BodyOfARefusal(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option)
	srv.Handle("$connect", &gateway.MockIntegration{StatusCode: 409, Body: []byte("served")})
	_, refused := srv.TryDial(t)
	require.Equal(t, "served", refused.Body)
	require.NotContains(t, log.String(), "level=WARN")
}

// A $connect that fails because it posts to its own connection is told what to do.
func TestLog_GreetingInConnect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		route string
		err   func(*gatewaytest.Server, *gateway.Request) error
		fix   bool
	}{
		"in process": {"$connect", func(srv *gatewaytest.Server, req *gateway.Request) error {
			return srv.PostToConnection(context.Background(), req.ConnectionID, []byte("hello"))
		}, true},
		"over @connections": {"$connect", func(srv *gatewaytest.Server, req *gateway.Request) error {
			return fmt.Errorf("greeting: %w", srv.Management().PostToConnection(context.Background(), req.ConnectionID, []byte("hello")))
		}, true},
		"another error":    {"$connect", func(*gatewaytest.Server, *gateway.Request) error { return gateway.ErrForbidden }, false},
		"an error's panic": {"$connect", func(*gatewaytest.Server, *gateway.Request) error { return rogue{} }, false},
		"another route":    {"$default", func(*gatewaytest.Server, *gateway.Request) error { return gateway.ErrGone }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			srv := gatewaytest.New(t, option)
			srv.HandleFunc(tt.route, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) { return nil, tt.err(srv, req) })
			c, refused := srv.TryDial(t)
			if refused == nil {
				c.Send("x")
				c.Receive()
			} else {
				require.Equal(t, http.StatusBadGateway, refused.StatusCode)
			}
			require.Contains(t, log.String(), `level=ERROR msg="integration failed"`)
			require.Equal(t, tt.fix, strings.Contains(log.String(), `fix="the connection is not open before $connect has returned: to greet the client, post from Observer.ConnectionOpened, or pass WithAnswerCommands to New and answer with the header Gateway-Post: self"`), log)
		})
	}
}

// rogue is an error whose Is panics.
type rogue struct{}

func (rogue) Error() string { return "rogue" }
func (rogue) Is(error) bool { panic("rogue") }

// The log says how to see why no route was selected, but not the value, which is a part of
// the body.
func TestLog_NoRoute(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option)
	c := srv.Dial(t)
	c.Send(`{"action":"s3cr3t"}`)
	require.Contains(t, c.Receive(), `{"message": "Forbidden"`)
	require.Regexp(t, `level=WARN msg="message rejected" .* error="no route matches the message and there is no \$default route" .* fix="add the route, or a \$default route; .*Request.SelectionValue in Observer.MessageRejected"`, log.String())
	require.NotContains(t, log.String(), "s3cr3t")
}

// withUser is a log handler that adds the user in the context to each line.
type withUser struct{ slog.Handler }

type userKey struct{}

func (h withUser) Handle(ctx context.Context, r slog.Record) error {
	if user, ok := ctx.Value(userKey{}).(string); ok {
		r.AddAttrs(slog.String("request_id", user))
	}
	return h.Handler.Handle(ctx, r)
}

// Every line of a connection, and of an upgrade that is refused, is logged with the values
// of the upgrade's context. A group keeps the gateway's own attributes apart.
func TestLog_ContextOfTheUpgrade(t *testing.T) {
	t.Parallel()
	log := &testutil.LockedBuffer{}
	handler := slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})
	gw, err := gateway.New(gateway.WithLogger(slog.New(withUser{handler})))
	require.NoError(t, err)
	srv := gatewaytest.ServeHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.Handler().ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "ann")))
	}))
	srv.TryDial(t, gatewaytest.Header("Origin", "https://evil.example"))
	c := srv.Dial(t)
	c.Send("x")
	c.Receive()
	gw.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic("no") })
	c.Send("x")
	c.Receive()
	c.SendBinary(nil)
	require.Eventually(t, func() bool { return gw.Len() == 0 }, 10*time.Second, time.Millisecond)
	for _, message := range []string{"upgrade rejected", "connection opened", "message rejected", "integration failed", "client broke a rule of the protocol", "connection closed"} {
		require.Regexp(t, `(?m)msg="`+message+`" .* request_id=ann$`, log.String())
	}

	grouped := &testutil.LockedBuffer{}
	own := slog.New(slog.NewTextHandler(grouped, nil)).With("request_id", "mine").WithGroup("ws")
	ask(newGateway(t, gateway.WithLogger(own)).Handler(), http.MethodGet, "/")
	require.Regexp(t, ` request_id=mine ws.connection_id="\S+" ws.request_id=\S+ ws.stage=local ws.status=426 `, grouped.String())
}

// The debug records of a connection say what happened, and nothing else.
func TestLog_OpenedAndClosed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end    func(c *gatewaytest.Client)
		closed string
	}{
		"a normal close": {func(c *gatewaytest.Client) { c.Close(1000, "") }, `close_code=1000`},
		"a broken one":   {func(c *gatewaytest.Client) { c.Drop() }, `close_code=1006 error=.+`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			srv := gatewaytest.New(t, option)
			c := srv.Dial(t)
			tt.end(c)
			require.Eventually(t, func() bool { return srv.Len() == 0 }, 10*time.Second, time.Millisecond)
			require.Regexp(t, `(?m)level=DEBUG msg="connection opened" connection_id="\S+" stage=local$`, log.String())
			require.Regexp(t, `(?m)level=DEBUG msg="connection closed" connection_id="\S+" stage=local `+tt.closed+`$`, log.String())
		})
	}
}

// A reply that comes after the gateway has closed the connection politely is lost. The log
// says why. If the client has left, that is no warning.
func TestLog_ReplyLost(t *testing.T) {
	t.Parallel()
	shutdown := func(srv *gatewaytest.Server, _ *gatewaytest.Client) {
		go func() { _ = srv.Shutdown(context.Background()) }()
	}
	nothing := func(*gatewaytest.Server, *gatewaytest.Client) {}
	for name, tt := range map[string]struct {
		quotas gateway.Quotas
		end    func(*gatewaytest.Server, *gatewaytest.Client)
		takes  time.Duration // of the integration
		by     string        // "": no warning
	}{
		"a shutdown":          {gateway.Quotas{}, shutdown, 6 * time.Second, "a shutdown"},
		"idle":                {gateway.Quotas{IdleTimeout: time.Second}, nothing, 7 * time.Second, "Quotas.IdleTimeout"},
		"too old":             {gateway.Quotas{ConnectionDuration: time.Second}, nothing, 7 * time.Second, "Quotas.ConnectionDuration"},
		"in time":             {gateway.Quotas{}, shutdown, 4 * time.Second, ""},
		"the client has left": {gateway.Quotas{}, func(_ *gatewaytest.Server, c *gatewaytest.Client) { c.Drop() }, 6 * time.Second, ""},
		"it leaves in between": {gateway.Quotas{}, func(srv *gatewaytest.Server, c *gatewaytest.Client) {
			shutdown(srv, c)
			time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
			c.Drop()
		}, 7 * time.Second, ""},
		"the program has closed": {gateway.Quotas{}, func(srv *gatewaytest.Server, c *gatewaytest.Client) {
			_ = srv.DeleteConnection(context.Background(), c.ConnectionID())
		}, 6 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				option, log := newLogged()
				srv := gatewaytest.New(t, option, gateway.WithQuotas(tt.quotas))
				srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
					time.Sleep(tt.takes) //nolint:forbidigo // in a synctest bubble
					return &gateway.Response{Body: []byte("served")}, nil
				}, gateway.WithRouteResponse())
				c := srv.Dial(t)
				c.Send("x")
				synctest.Wait()
				tt.end(srv, c)
				time.Sleep(time.Minute) //nolint:forbidigo // in a synctest bubble
				const line = `level=WARN msg="reply lost"`
				if tt.by == "" {
					require.NotContains(t, log.String(), line)
					return
				}
				require.Equal(t, 1, strings.Count(log.String(), line), log)
				require.Regexp(t, line+` connection_id="`+c.ConnectionID()+`" route_key=\$default request_id=\S+ stage=local error="the reply was not ready 5s after `+tt.by+` had begun to close the connection" took=`+tt.takes.String(), log.String())
				require.NotContains(t, log.String(), "served")
				code, _ := c.ReceiveClose()
				require.Equal(t, 1001, code)
			})
		})
	}
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
			require.Contains(t, log.String(), `level=WARN msg="management call rejected"`)
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

// forUser is a log handler whose level depends on the user in the context: it is WARN for
// ann, and ERROR for everybody else.
type forUser struct{ slog.Handler }

func (h forUser) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || level >= slog.LevelWarn && ctx.Value(userKey{}) == "ann"
}

// The level of a line is asked for with the context of that line.
func TestLog_LevelByContext(t *testing.T) {
	t.Parallel()
	log := &testutil.LockedBuffer{}
	gw := newGateway(t, gateway.WithLogger(slog.New(forUser{slog.NewTextHandler(log, nil)})))
	for _, user := range []string{"ann", "bob"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		gw.Handler().ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	}
	require.Equal(t, 1, strings.Count(log.String(), `level=WARN msg="upgrade rejected"`), "%s", log)
}

// The line about a panic of an observer or a ManagementAuth says whose it was.
func TestLog_CallbackPanics(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	gw := newGateway(t, gateway.WithStage("prod", nil), option, gateway.WithObserver(&gateway.Observer{
		UpgradeRejected: func(context.Context, *gateway.Request, int, error) { panic("no") },
	}))
	ask(gw.Handler(), http.MethodGet, "/")
	require.Regexp(t, `level=ERROR msg="a callback panicked" callback=Observer.UpgradeRejected stage=prod panics=1 error="panic: no" stack=`, log.String())
}

// Nor can a client fill the log with a message that makes an integration, a template
// or a model fail.
func TestFailures_DoNotFillTheLog(t *testing.T) {
	t.Parallel()
	const times, most = 1000, 105
	for name, handle := range map[string]func(srv *gatewaytest.Server){
		"an integration that fails": func(srv *gatewaytest.Server) {
			srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) { return nil, errors.New("no") })
		},
		"an integration that panics": func(srv *gatewaytest.Server) {
			srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) { panic("no") })
		},
		"a value that a URI cannot take": func(srv *gatewaytest.Server) {
			srv.Handle("$default", &gateway.HTTPIntegration{URI: "http://127.0.0.1:1/{v}", RequestParameters: map[string]string{"integration.request.path.v": "route.request.body.v"}})
		},
		"a payload that may not pass": func(srv *gatewaytest.Server) {
			srv.Handle("$default", &gateway.MockIntegration{Transform: &gateway.Transform{PassthroughBehavior: gateway.PassthroughNever}})
		},
		"a reply that is too large": func(srv *gatewaytest.Server) {
			srv.HandleFunc("$default", func(context.Context, *gateway.Request) (*gateway.Response, error) {
				return &gateway.Response{Body: make([]byte, 1<<20)}, nil
			}, gateway.WithRouteResponse())
		},
		"a model that panics": func(srv *gatewaytest.Server) {
			srv.HandleFunc("$default", serve, gateway.WithRequestModels(`\$default`, map[string]gateway.Model{"$default": modelFunc(func([]byte) error { panic("no") })}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &testutil.LockedBuffer{}
				srv := gatewaytest.New(t, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
				handle(srv)
				c := srv.Dial(t)
				for range times {
					c.Send(`{"v":".."}`)
					require.Contains(t, c.Receive(), `"message"`)
				}
				lines := strings.Count(log.String(), "level=ERROR")
				require.Positive(t, lines, "a few failures are logged")
				require.LessOrEqual(t, lines, most)
			})
		})
	}
}

// Clients and callers cannot fill the log, whatever they do wrong.
func TestRefusals_DoNotFillTheLog(t *testing.T) {
	t.Parallel()
	const times, most = 1000, 105
	for _, tt := range []struct {
		name string
		opts []gateway.Option
		do   func(t *testing.T, srv *gatewaytest.Server)
	}{
		{"messages without a route", nil, func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t)
			for range times {
				c.Send("x")
				require.Contains(t, c.Receive(), "Forbidden")
			}
		}},
		{"messages that fit no model", nil, func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t)
			for range times {
				c.Send(`{"action":"model"}`)
				require.Contains(t, c.Receive(), "Invalid request body")
			}
		}},
		{"messages above a throttle", []gateway.Option{gateway.WithDefaultThrottle(1, 1)}, func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t)
			for range times {
				c.Send("x")
				require.Contains(t, c.Receive(), "Too Many Requests")
			}
		}},
		{"upgrades from a foreign page", nil, func(t *testing.T, srv *gatewaytest.Server) {
			for range times {
				requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, gatewaytest.Header("Origin", "https://evil.example"))
			}
		}},
		{"broken rules of the protocol", []gateway.Option{gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}})}, func(t *testing.T, srv *gatewaytest.Server) {
			for range times {
				c := srv.Dial(t)
				c.SendBinary([]byte("x"))
				code, _ := c.ReceiveClose()
				require.Equal(t, 1003, code)
			}
		}},
		{"subprotocols that were not offered", []gateway.Option{gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}})}, func(t *testing.T, srv *gatewaytest.Server) {
			require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{{RouteKey: "$connect", Integration: respond(&gateway.Response{Header: http.Header{"Sec-Websocket-Protocol": {"chat"}}})}}}))
			for range times {
				require.Equal(t, 101, wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test")).Status)
			}
		}},
		{"upgrades above a throttle", []gateway.Option{gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 0.001, BurstLimit: 1}})}, func(t *testing.T, srv *gatewaytest.Server) {
			srv.Dial(t)
			for range times {
				requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`)
			}
		}},
		{"bodies that nobody gets", nil, func(t *testing.T, srv *gatewaytest.Server) {
			routes := make([]gateway.Route, times)
			for n := range routes {
				routes[n] = gateway.Route{RouteKey: fmt.Sprint("route", n), Integration: gateway.IntegrationFunc(serve)}
			}
			require.NoError(t, srv.Deploy(gateway.Deployment{Routes: routes})) // each deployment says it again
			c := srv.Dial(t)
			for _, r := range routes {
				c.Send(`{"action":"` + r.RouteKey + `"}`)
			}
			c.Send("x")
			require.Contains(t, c.Receive(), "Forbidden")
		}},
		{"management calls of nobody", []gateway.Option{gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error { return gateway.ErrForbidden }))}, func(t *testing.T, srv *gatewaytest.Server) {
			c := srv.Dial(t)
			for range times {
				require.Equal(t, http.StatusForbidden, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &testutil.LockedBuffer{}
				srv := gatewaytest.New(t, append(tt.opts, gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))...)
				srv.HandleFunc("model", serve, gateway.WithRequestModels(`\$default`, map[string]gateway.Model{"$default": modelFunc(func([]byte) error { return errors.New("it does not fit") })}))
				tt.do(t, srv)
				lines := strings.Count(log.String(), "level=WARN")
				require.LessOrEqual(t, lines, most)
				if strings.Contains(tt.name, "above a throttle") {
					require.Zero(t, lines, "refusals by a throttle are normal, so they are no warnings")
				} else {
					require.Contains(t, log.String(), "level=WARN", "a few failures are logged")
					time.Sleep(10 * time.Second) //nolint:forbidigo // virtual time
					tt.do(t, srv)
					require.Equal(t, lines+10, strings.Count(log.String(), "level=WARN"), "one a second")
				}
			})
		})
	}
}

// Junk calls of @connections do not hide from the log what clients do wrong.
func TestRefusals_CallsHaveTheirOwnLimit(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option)
	for range 200 {
		require.Equal(t, http.StatusForbidden, ask(srv.ManagementHandler(), http.MethodGet, "/junk").Code)
	}
	require.Equal(t, 100, strings.Count(log.String(), `level=WARN msg="management call rejected"`))
	requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, gatewaytest.Header("Origin", "https://evil.example"))
	require.Contains(t, log.String(), `level=WARN msg="upgrade rejected"`)
}

// A ManagementAuth that panics is one error in the log.
func TestLog_PanicOfManagementAuth(t *testing.T) {
	t.Parallel()
	option, log := newLogged()
	srv := gatewaytest.New(t, option, gateway.WithManagementAuth(gateway.ManagementAuthFunc(func(context.Context, *gateway.ManagementCall) error { panic("no") })))
	c := srv.Dial(t)
	require.Equal(t, http.StatusInternalServerError, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "%s", log)
	require.Contains(t, log.String(), `level=ERROR msg="a callback panicked" callback=ManagementAuth`)
}

// The log says which throttle has refused a request.
func TestThrottle_NamedInTheLog(t *testing.T) {
	t.Parallel()
	plans := func(p usageplan.Plan) gateway.Option {
		p.ID, p.APIKeys = "p", map[string]string{"ann": annsKey}
		store, err := usageplan.New(p)
		require.NoError(t, err)
		return gateway.WithUsageStore(store)
	}
	one := gateway.Throttle{RateLimit: 0.001, BurstLimit: 2}
	for name, tt := range map[string]struct {
		opt   gateway.Option
		route []gateway.RouteOption
		want  string
	}{
		"route":        {gateway.WithAPI("a", ""), []gateway.RouteOption{gateway.WithThrottle(0.001, 1)}, "throttled: above the throttle of the route, Route.Throttle"},
		"stage":        {gateway.WithDefaultThrottle(0.001, 2), nil, "throttled: above the default throttle of the stage, WithDefaultThrottle or Deployment.DefaultThrottle"},
		"account":      {gateway.WithAccountThrottle(gateway.NewAccountThrottle(0.001, 2)), nil, "throttled: above the throttle of the account, WithAccountThrottle"},
		"plan":         {plans(usageplan.Plan{Throttle: one}), nil, "throttled: above the throttle of the API key's usage plan, APIKey.Throttle"},
		"plan's route": {plans(usageplan.Plan{RouteThrottles: map[string]gateway.Throttle{"m": one}}), nil, "throttled: above the throttle for this route of the API key's usage plan, APIKey.RouteThrottles"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			srv := gatewaytest.New(t, option, tt.opt)
			if strings.HasPrefix(name, "plan") {
				srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
			}
			srv.HandleFunc("m", serve, append(tt.route, gateway.WithRouteResponse())...)
			c := srv.Dial(t, apiKey(annsKey))
			require.Less(t, served(t, c, "m", 3), 3)
			require.Contains(t, log.String(), `msg="message rejected" connection_id="`+c.ConnectionID()+`" route_key=m `)
			require.Contains(t, log.String(), `error="`+tt.want+`"`)
		})
	}
	t.Run("calls of @connections", func(t *testing.T) {
		t.Parallel()
		option, log := newLogged()
		srv := gatewaytest.New(t, option, gateway.WithDefaultThrottle(0.001, 1))
		c := srv.Dial(t)
		for range 2 {
			_, _ = srv.Management().GetConnection(t.Context(), c.ConnectionID())
		}
		require.Contains(t, log.String(), `msg="management call rejected"`)
		require.Contains(t, log.String(), "above the default throttle of the stage")
	})
}
