package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
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

// echoRoutes sets two-way routes that answer "served".
func echoRoutes(srv *gatewaytest.Server, keys ...string) {
	for _, key := range keys {
		srv.HandleFunc(key, serve, gateway.WithRouteResponse())
	}
}

func serve(context.Context, *gateway.Request) (*gateway.Response, error) {
	return &gateway.Response{Body: []byte("served")}, nil
}

// served sends n messages to a route and counts those that were served. The others
// must have been refused in the documented way.
func served(t *testing.T, c *gatewaytest.Client, action string, n int) int {
	t.Helper()
	count := 0
	for range n {
		c.Send(`{"action":"` + action + `"}`)
		switch got := c.Receive(); {
		case got == "served":
			count++
		case strings.HasPrefix(got, `{"message": "Limit Exceeded", "connectionId":"`+c.ConnectionID()+`"`):
		default:
			require.True(t, strings.HasPrefix(got, `{"message": "Too Many Requests", "connectionId":"`+c.ConnectionID()+`"`), got)
		}
	}
	return count
}

// In the first second, burst plus rate messages are admitted, then rate messages in
// each further second.
func TestThrottle_Message(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		opts  []gateway.Option
		route gateway.RouteOption
	}{
		{"of the route", nil, gateway.WithThrottle(5, 10)},
		{"of the stage", []gateway.Option{gateway.WithDefaultThrottle(5, 11)}, nil}, // one of them for the connect
		{"of the account", []gateway.Option{gateway.WithAccountThrottle(gateway.NewAccountThrottle(5, 11))}, nil},
		{"the narrowest of all", []gateway.Option{gateway.WithDefaultThrottle(1, 1), gateway.WithAccountThrottle(gateway.NewAccountThrottle(100, 100))}, gateway.WithThrottle(5, 10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opts...)
				var opts []gateway.RouteOption
				if tt.route != nil {
					opts = append(opts, tt.route)
				}
				srv.HandleFunc("m", serve, append(opts, gateway.WithRouteResponse())...)
				c := srv.Dial(t)
				require.Equal(t, 10, served(t, c, "m", 30))
				time.Sleep(time.Second) //nolint:forbidigo // virtual time
				require.Equal(t, 5, served(t, c, "m", 30))
				time.Sleep(200 * time.Millisecond) //nolint:forbidigo // virtual time
				require.Equal(t, 1, served(t, c, "m", 3))
				time.Sleep(time.Hour) //nolint:forbidigo // virtual time; the idle connection has ended
				require.Equal(t, 10, min(10, served(t, srv.Dial(t), "m", 12)))
			})
		})
	}
}

// The throttles are asked from the narrowest to the widest: if all are used up, the
// narrowest refuses the message.
func TestThrottle_Order(t *testing.T) {
	t.Parallel()
	const forRoute, ofPlan, ofRoute, ofStage, ofAccount = "APIKey.RouteThrottles", "APIKey.Throttle", "Route.Throttle", "WithDefaultThrottle", "WithAccountThrottle"
	for _, usedUp := range [][]string{
		{forRoute, ofPlan, ofRoute, ofAccount},
		{ofPlan, ofRoute, ofAccount},
		{ofRoute, ofAccount},
		{forRoute, ofPlan, ofStage, ofAccount},
		{ofPlan, ofStage, ofAccount},
		{ofStage, ofAccount},
		{ofAccount},
	} {
		t.Run(strings.Join(usedUp, ", "), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				plan, rejected := usageplan.Plan{}, make(chan error, 1)
				routeOptions := []gateway.RouteOption{gateway.WithRouteResponse()}
				options := []gateway.Option{gateway.WithObserver(&gateway.Observer{
					MessageRejected: func(_ context.Context, _ *gateway.Request, _ int, err error) { rejected <- err },
				})}
				for _, throttle := range usedUp { // connect and first message take what there is
					switch throttle {
					case forRoute:
						plan.RouteThrottles = map[string]gateway.Throttle{"own": {RateLimit: 0.001, BurstLimit: 1}}
					case ofPlan:
						plan.Throttle = gateway.Throttle{RateLimit: 0.001, BurstLimit: 2}
					case ofRoute:
						routeOptions = append(routeOptions, gateway.WithThrottle(0.001, 1))
					case ofStage:
						options = append(options, gateway.WithDefaultThrottle(0.001, 2))
					case ofAccount:
						options = append(options, gateway.WithAccountThrottle(gateway.NewAccountThrottle(0.001, 2)))
					}
				}
				srv, _ := keyed(t, plan, options...)
				srv.HandleFunc("own", serve, routeOptions...)
				c := srv.Dial(t, apiKey(annsKey))
				require.Equal(t, 1, served(t, c, "own", 2))
				require.ErrorContains(t, <-rejected, usedUp[0])
			})
		})
	}
}

// A route has its own throttle or shares the stage's. Both keep their state in a
// deployment that does not change them.
func TestThrottle_Levels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		route := func(key string, own gateway.Throttle) gateway.Route {
			return gateway.Route{RouteKey: key, Integration: gateway.IntegrationFunc(serve), RouteResponse: true, Throttle: own}
		}
		deployment := gateway.Deployment{
			DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: 6},
			Routes:          []gateway.Route{route("a", gateway.Throttle{}), route("b", gateway.Throttle{}), route("own", gateway.Throttle{RateLimit: 1, BurstLimit: 20})},
		}
		require.NoError(t, srv.Deploy(deployment))
		c := srv.Dial(t) // this takes one
		require.Equal(t, 3, served(t, c, "a", 3))
		require.Equal(t, 2, served(t, c, "b", 9), "they share the stage's")
		require.Equal(t, 15, served(t, c, "own", 15), "it has its own throttle")
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 0, served(t, c, "b", 3), "the bucket is as empty as it was")
		require.Equal(t, 5, served(t, c, "own", 9))
		deployment.DefaultThrottle.BurstLimit = 2
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 2, served(t, c, "a", 3), "another throttle has another bucket")
		deployment.DefaultThrottle = gateway.Throttle{}
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 50, served(t, c, "a", 50), "the gateway's, which is none")
	})
}

func TestThrottle_Upgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []gateway.Option
		own  gateway.Throttle
	}{
		{"of the route", nil, gateway.Throttle{RateLimit: 1, BurstLimit: 2}},
		{"of the stage", []gateway.Option{gateway.WithDefaultThrottle(1, 2)}, gateway.Throttle{}},
		{"of the account", []gateway.Option{gateway.WithAccountThrottle(gateway.NewAccountThrottle(1, 2))}, gateway.Throttle{}},
		{"of new connections", []gateway.Option{gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: 1, BurstLimit: 2}})}, gateway.Throttle{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opts...)
				require.NoError(t, srv.Deploy(gateway.Deployment{Routes: []gateway.Route{
					{RouteKey: gateway.RouteKeyConnect, Integration: &gateway.MockIntegration{}, Throttle: tt.own},
				}}))
				srv.Dial(t)
				srv.Dial(t)
				requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`)
				require.Len(t, srv.Events(), 2, "the integration is not asked")
				time.Sleep(time.Second) //nolint:forbidigo // virtual time
				srv.Dial(t)
			})
		})
	}
}

// The gateways of an account share its throttle. It also counts upgrades, even if there is
// no $connect route.
func TestThrottle_Account(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		account := gateway.NewAccountThrottle(1, 4)
		one, two := gatewaytest.New(t, gateway.WithAccountThrottle(account)), gatewaytest.New(t, gateway.WithAccountThrottle(account))
		echoRoutes(one, "m")
		echoRoutes(two, "m")
		a, b := one.Dial(t), two.Dial(t)
		require.Equal(t, 1, served(t, a, "m", 1))
		require.Equal(t, 1, served(t, b, "m", 2))
		require.Zero(t, served(t, a, "m", 1))
		requireRefused(t, two, http.StatusTooManyRequests, `"Too Many Requests"`)
	})
}

// Calls of @connections are throttled as well, after the check who may call. The
// methods of Gateway are not throttled.
func TestThrottle_Management(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		opt   gateway.Option
		calls int // how many calls are served at once
	}{
		{"by the stage, apart from clients", gateway.WithDefaultThrottle(1, 3), 3},
		{"by the account, with the connect", gateway.WithAccountThrottle(gateway.NewAccountThrottle(1, 3)), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opt)
				c := srv.Dial(t)
				for range tt.calls {
					require.Equal(t, http.StatusOK, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
				}
				refused := call(t, srv, http.MethodPost, c.ConnectionID(), "x")
				require.Equal(t, http.StatusTooManyRequests, refused.Status)
				require.Equal(t, "TooManyRequestsException", refused.Get("x-amzn-ErrorType"))
				require.JSONEq(t, `{"message":"Too Many Requests"}`, refused.Body)
				invented := call(t, srv, http.MethodGet, "AAAAAAAAAAAAAAAAAA==", "")
				require.Equal(t, http.StatusBadRequest, invented.Status, "an ID that was never issued is refused first, and costs nothing")
				require.NoError(t, srv.PostToConnection(t.Context(), c.ConnectionID(), []byte("in process")))
				time.Sleep(time.Second) //nolint:forbidigo // virtual time
				require.Equal(t, http.StatusOK, call(t, srv, http.MethodGet, c.ConnectionID(), "").Status)
			})
		})
	}
}

// A client that sends much does not silence the backend, and a busy backend does not
// silence clients: they have separate buckets, which keep their state in a
// deployment.
func TestThrottle_ManagementApartFromClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t)
		deployment := gateway.Deployment{
			DefaultThrottle: gateway.Throttle{RateLimit: 1, BurstLimit: 5},
			Routes:          []gateway.Route{{RouteKey: "m", Integration: gateway.IntegrationFunc(serve), RouteResponse: true}},
		}
		require.NoError(t, srv.Deploy(deployment))
		posted := func(c *gatewaytest.Client, n int) (ok int) {
			for range n {
				if call(t, srv, http.MethodGet, c.ConnectionID(), "").Status == http.StatusOK {
					ok++
				}
			}
			return ok
		}
		c := srv.Dial(t)
		require.Equal(t, 4, served(t, c, "m", 20))
		require.Equal(t, 3, posted(c, 3), "the clients' bucket is empty")
		require.NoError(t, srv.Deploy(deployment))
		require.Equal(t, 2, posted(c, 20), "the bucket is as full as it was")
		time.Sleep(2 * time.Second) //nolint:forbidigo // virtual time
		require.Equal(t, 2, posted(c, 20))
		require.Equal(t, 2, served(t, c, "m", 20), "the backend's bucket is empty")
	})
}

// A message that matches no route counts like any other message.
func TestThrottle_UnroutableMessages(t *testing.T) {
	t.Parallel()
	plans, err := usageplan.New(
		usageplan.Plan{ID: "throttled", Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: 11}, APIKeys: map[string]string{"ann": annsKey}},
		usageplan.Plan{ID: "counted", Quota: usageplan.Quota{Limit: 11, Period: usageplan.Day}, APIKeys: map[string]string{"bob": bobsKey}},
	)
	require.NoError(t, err)
	for _, tt := range []struct {
		name    string
		opt     gateway.Option
		key     string
		refused string
	}{
		{"the stage's", gateway.WithDefaultThrottle(1, 11), "", "Too Many Requests"},
		{"the account's", gateway.WithAccountThrottle(gateway.NewAccountThrottle(1, 11)), "", "Too Many Requests"},
		{"the plan's", gateway.WithUsageStore(plans), annsKey, "Too Many Requests"},
		{"the quota", gateway.WithUsageStore(plans), bobsKey, "Limit Exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opt)
				var opts []gatewaytest.DialOption
				if tt.key != "" {
					srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
					opts = append(opts, apiKey(tt.key))
				}
				c := srv.Dial(t, opts...)
				got := map[string]int{}
				for n := range 200 {
					c.Send([]string{`{"action":"nothing"}`, `no JSON`, `{"action":"$disconnect"}`, ``}[n%4])
					text, _, _ := strings.Cut(strings.TrimPrefix(c.Receive(), `{"message": "`), `"`)
					got[text]++
				}
				require.Equal(t, map[string]int{"Forbidden": 10, tt.refused: 190}, got)
				if tt.key == bobsKey {
					require.Equal(t, 11, plans.Used("counted", "bob", time.Now().UTC().Truncate(24*time.Hour)))
				}
			})
		})
	}
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

// A request may ask its throttle late, because an authorizer or a slow body delayed
// it. That does not set the clock of the bucket back: no time adds tokens twice.
func TestThrottle_LateRequests(t *testing.T) {
	t.Parallel()
	const rate, burst, rounds = 10, 20, 5
	slow := gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		if req.Upgrade.URL.Query().Has("slow") {
			time.Sleep(time.Second) //nolint:forbidigo // virtual time
		}
		return &gateway.Authorization{}, nil
	})
	key := gateway.AuthorizerFunc(func(ctx context.Context, req *gateway.Request) (*gateway.Authorization, error) {
		a, err := slow(ctx, req)
		a.UsageIdentifierKey = annsKey
		return a, err
	})
	plans, err := usageplan.New(usageplan.Plan{ID: "p", Throttle: gateway.Throttle{RateLimit: rate, BurstLimit: burst}, APIKeys: map[string]string{"ann": annsKey}})
	require.NoError(t, err)
	for _, tt := range []struct {
		name       string
		opts       []gateway.Option
		authorizer gateway.Authorizer
		keyed      bool
	}{
		{"of the stage", []gateway.Option{gateway.WithDefaultThrottle(rate, burst)}, slow, false},
		{"of the account", []gateway.Option{gateway.WithAccountThrottle(gateway.NewAccountThrottle(rate, burst))}, slow, false},
		{"of a plan", []gateway.Option{gateway.WithUsageStore(plans), gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey")}, key, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := gatewaytest.New(t, tt.opts...)
				echoRoutes(srv, "m")
				opts := []gateway.RouteOption{gateway.WithAuthorizer(tt.authorizer)}
				if tt.keyed {
					opts = append(opts, gateway.WithAPIKeyRequired())
				}
				srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, opts...)
				c := srv.Dial(t)
				start, total := time.Now(), 1
				for range rounds {
					go srv.TryDial(t, gatewaytest.Query("slow", ""))
					time.Sleep(999 * time.Millisecond) //nolint:forbidigo // virtual time
					total += served(t, c, "m", 8)
					time.Sleep(time.Millisecond) //nolint:forbidigo // virtual time
					synctest.Wait()
					total += served(t, c, "m", 40)
				}
				require.LessOrEqual(t, total, burst+int(rate*time.Since(start).Seconds()))
			})
		})
	}
}

// $disconnect is never throttled, because otherwise state would remain.
func TestThrottle_NotDisconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithDefaultThrottle(0.001, 5))
		srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{}, gateway.WithThrottle(0.001, 1))
		for range 5 {
			c := srv.Dial(t)
			c.Close(1000, "")
			srv.WaitDisconnect(c.ConnectionID())
		}
	})
}

func TestQuotas_Connections(t *testing.T) {
	t.Parallel()
	from := gatewaytest.SourceIP
	for _, tt := range []struct {
		name   string
		quotas gateway.Quotas
		in     []string // in this order
		out    []string
	}{
		{"in all", gateway.Quotas{Connections: 2}, []string{"192.0.2.1", "192.0.2.2"}, []string{"192.0.2.3", "192.0.2.1"}},
		{"of a source", gateway.Quotas{ConnectionsPerSourceIP: 2}, []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"}, []string{"192.0.2.1"}},
		{"both", gateway.Quotas{ConnectionsPerSourceIP: 1, Connections: 2}, []string{"192.0.2.1", "192.0.2.2"}, []string{"192.0.2.2", "192.0.2.3"}},
		{"of an IPv6 network", gateway.Quotas{ConnectionsPerSourceIP: 1}, []string{"2001:db8::1", "2001:db8:0:1::1"}, []string{"2001:db8::2:3"}},
		{"of an IPv4 address in IPv6", gateway.Quotas{ConnectionsPerSourceIP: 1}, []string{"192.0.2.1", "::ffff:192.0.2.2"}, []string{"::ffff:192.0.2.1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tt.quotas.NewConnections.RateLimit = -1
				srv := gatewaytest.New(t, gateway.WithQuotas(tt.quotas))
				srv.Handle(gateway.RouteKeyDisconnect, &gateway.MockIntegration{})
				var clients []*gatewaytest.Client
				for _, ip := range tt.in {
					clients = append(clients, srv.Dial(t, from(ip)))
				}
				for _, ip := range append(tt.out, tt.out...) {
					requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, from(ip))
				}
				for _, c := range clients {
					c.Close(1000, "")
					srv.WaitDisconnect(c.ConnectionID())
				}
				for _, ip := range tt.in { // there is room again
					srv.Dial(t, from(ip))
				}
			})
		})
	}
}

// An authorizer and an integration may change the upgrade request that they get. The
// place of its source is released all the same, and the connection keeps what the
// client sent.
func TestQuotas_ConnectionsOfChangedRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{Connections: 1, ConnectionsPerSourceIP: 1}))
		change := func(req *gateway.Request) {
			req.Upgrade.RemoteAddr, req.Upgrade.Host = "203.0.113.7:1", "evil.example"
			req.Upgrade.Header.Set("User-Agent", "evil")
		}
		srv.HandleFunc(gateway.RouteKeyConnect, func(_ context.Context, req *gateway.Request) (*gateway.Response, error) {
			change(req)
			if req.Upgrade.URL.RawQuery != "" {
				return &gateway.Response{StatusCode: http.StatusForbidden}, nil
			}
			return nil, nil
		}, gateway.WithAuthorizer(gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			change(req)
			return &gateway.Authorization{}, nil
		})))
		srv.HandleFunc(gateway.RouteKeyDisconnect, answerNothing)
		from, agent := gatewaytest.SourceIP("192.0.2.1"), gatewaytest.Header("User-Agent", "agent")
		for range 3 {
			_, refused := srv.TryDial(t, from, agent, gatewaytest.Query("no", "1"))
			require.Equal(t, http.StatusForbidden, refused.StatusCode)
		}
		for range 3 {
			c := srv.Dial(t, from, agent)
			got, err := srv.GetConnection(t.Context(), c.ConnectionID())
			require.NoError(t, err)
			require.Equal(t, gateway.Identity{SourceIP: "192.0.2.1", UserAgent: "agent"}, got.Identity)
			c.Close(1000, "")
			e := srv.WaitDisconnect(c.ConnectionID())
			require.Equal(t, got.Identity, e.Identity)
			require.Equal(t, "gateway.test", e.DomainName)
			synctest.Wait()
		}
	})
}

// Upgrades that are refused release their place.
func TestQuotas_ConnectionsOfRefusedUpgrades(t *testing.T) {
	t.Parallel()
	srv := gatewaytest.New(t, gateway.WithQuotas(gateway.Quotas{Connections: 1, ConnectionsPerSourceIP: 1}))
	refuse := true
	srv.HandleFunc(gateway.RouteKeyConnect, func(context.Context, *gateway.Request) (*gateway.Response, error) {
		if refuse {
			return &gateway.Response{StatusCode: 403}, nil
		}
		return nil, nil
	})
	for range 3 {
		_, refused := srv.TryDial(t)
		require.Equal(t, http.StatusForbidden, refused.StatusCode)
	}
	refuse = false
	srv.Dial(t)
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
