package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/usageplan"
)

func TestUpgrade_NewConnectionsQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		option, rejected, _ := refusals()
		srv := gatewaytest.New(t, option, gateway.WithQuotas(gateway.Quotas{
			NewConnections: gateway.Throttle{RateLimit: 2, BurstLimit: 3},
		}))
		srv.HandleFunc("$connect", answerNothing)
		upgrade := func() wiretest.Answer { return wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test")) }
		for range 5 {
			require.Equal(t, 426, wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Request("GET / HTTP/1.1", "Host: x")).Status)
			<-rejected
		}
		for range 3 { // requests that are not an upgrade have taken no token
			require.Equal(t, 101, upgrade().Status)
		}
		requireOwnError(t, upgrade(), 429, "Too Many Requests")
		got := <-rejected
		require.Equal(t, 429, got.status)
		require.Error(t, got.err)
		time.Sleep(499 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 429, upgrade().Status)
		time.Sleep(time.Millisecond) //nolint:forbidigo // in a synctest bubble
		require.Equal(t, 101, upgrade().Status, "two a second")
		require.Equal(t, 429, upgrade().Status)
		time.Sleep(time.Hour) //nolint:forbidigo // in a synctest bubble
		for range 3 {
			require.Equal(t, 101, upgrade().Status)
		}
		require.Equal(t, 429, upgrade().Status, "the bucket holds no more than the burst")
		require.Len(t, srv.Events(), 7, "$connect runs for none that is refused")
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
