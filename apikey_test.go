package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/suites/wiretest"
	"example.com/gateway/usageplan"
)

const (
	annsKey = "anns-key-0123456789abcdef"
	bobsKey = "bobs-key-0123456789abcdef"
)

// keyed starts a server whose $connect requires an API key of a plan.
func keyed(t *testing.T, plan usageplan.Plan, opts ...gateway.Option) (*gatewaytest.Server, *usageplan.Store) {
	t.Helper()
	plan.ID, plan.APIKeys = "gold", map[string]string{"ann": annsKey, "bob": bobsKey}
	plans, err := usageplan.New(plan)
	require.NoError(t, err)
	srv := gatewaytest.New(t, append(opts, gateway.WithUsageStore(plans))...)
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
	echoRoutes(srv, "m", "other")
	return srv, plans
}

func apiKey(value string) gatewaytest.DialOption { return gatewaytest.Header("x-api-key", value) }

func TestAPIKey_OfTheHeader(t *testing.T) {
	t.Parallel()
	srv, plans := keyed(t, usageplan.Plan{})
	c := srv.Dial(t, apiKey(annsKey))
	require.Equal(t, "ann", srv.Events()[0].Identity.APIKeyID)
	c.Send(`{"action":"m"}`)
	c.Receive()
	require.Equal(t, "ann", srv.Events()[1].Identity.APIKeyID, "in every event")
	for name, opts := range map[string][]gatewaytest.DialOption{
		"no key":            nil,
		"an empty key":      {apiKey("")},
		"an unknown key":    {apiKey(strings.ToUpper(annsKey))},
		"a key's beginning": {apiKey(annsKey[:20])},
		"too short":         {apiKey("anns-key")},
		"too long":          {apiKey(strings.Repeat("x", 129))},
		"in the query":      {gatewaytest.Query("x-api-key", annsKey)},
	} {
		t.Run(name, func(t *testing.T) { requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, opts...) })
	}
	require.NoError(t, plans.Replace(usageplan.Plan{ID: "gold", APIKeys: map[string]string{"bob": bobsKey}}))
	requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(annsKey))
	srv.Dial(t, apiKey(bobsKey))
	c.Send(`{"action":"m"}`)
	require.Equal(t, "served", c.Receive(), "who is in stays")
}

// A browser cannot set a header, so the authorizer names the key. Then the header is
// ignored.
func TestAPIKey_OfTheAuthorizer(t *testing.T) {
	t.Parallel()
	plans, err := usageplan.New(usageplan.Plan{ID: "gold", APIKeys: map[string]string{"ann": annsKey}})
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithUsageStore(plans), gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey"))
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired(), gateway.WithAuthorizer(
		gateway.AuthorizerFunc(func(_ context.Context, req *gateway.Request) (*gateway.Authorization, error) {
			return &gateway.Authorization{UsageIdentifierKey: req.Upgrade.URL.Query().Get("key")}, nil
		})))
	srv.Dial(t, gatewaytest.Query("key", annsKey))
	e := srv.Events()[0]
	require.Equal(t, "ann", e.Identity.APIKeyID)
	require.NotContains(t, fmt.Sprint(e.Authorizer), annsKey)
	requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(annsKey))
	_, err = gateway.New(gateway.WithAPIKeySelectionExpression("$request.querystring.key"))
	require.ErrorIs(t, err, gateway.ErrInvalidOption)
}

func TestAPIKey_ContextVariables(t *testing.T) {
	t.Parallel()
	srv, _ := keyed(t, usageplan.Plan{})
	srv.Handle("who", &gateway.MockIntegration{Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"statusCode":200}`},
		Responses: map[string]gateway.IntegrationResponse{"$default": {ResponseTemplates: map[string]string{
			"$default": "$context.identity.apiKeyId $context.identity.apiKey",
		}}},
	}}, gateway.WithRouteResponse())
	c := srv.Dial(t, apiKey(annsKey))
	c.Send(`{"action":"who"}`)
	require.Equal(t, "ann "+annsKey, c.Receive())
}

// Each key has its own share, for all its connections together.
func TestUsagePlan_Throttle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := keyed(t, usageplan.Plan{
			Throttle:       gateway.Throttle{RateLimit: 2, BurstLimit: 10},
			RouteThrottles: map[string]gateway.Throttle{"m": {RateLimit: 1, BurstLimit: 4}},
		})
		a1, a2, b := srv.Dial(t, apiKey(annsKey)), srv.Dial(t, apiKey(annsKey)), srv.Dial(t, apiKey(bobsKey))
		require.Equal(t, 3, served(t, a1, "m", 3))
		require.Equal(t, 1, served(t, a2, "m", 2), "four for the route")
		require.Equal(t, 4, served(t, a2, "other", 9), "ten in all, two of them connects")
		requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, apiKey(annsKey))
		require.Equal(t, 4, served(t, b, "m", 5), "bob has his own")
		for _, c := range []*gatewaytest.Client{a1, a2} {
			c.Close(1000, "")
		}
		synctest.Wait()
		requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, apiKey(annsKey)) // leaving does not refill a bucket
		time.Sleep(time.Second)                                                                    //nolint:forbidigo // virtual time
		srv.Dial(t, apiKey(annsKey))
	})
}

// A key that nobody uses is forgotten as soon as its buckets are full.
func TestUsagePlan_ManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const atOnce = 300
		keys := map[string]string{}
		key := func(n int) string { return fmt.Sprintf("%020d", n) }
		for n := range 4 * atOnce {
			keys[fmt.Sprint(n)] = key(n)
		}
		plans, err := usageplan.New(usageplan.Plan{ID: "p", Throttle: gateway.Throttle{RateLimit: 0.01, BurstLimit: 1}, APIKeys: keys})
		require.NoError(t, err)
		srv := gatewaytest.New(t, gateway.WithUsageStore(plans))
		srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
		for round := range 4 {
			for n := round * atOnce; n < (round+1)*atOnce; n++ {
				srv.Dial(t, apiKey(key(n))).Close(1000, "")
				_, refused := srv.TryDial(t, apiKey(key(n)))
				require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
			}
			time.Sleep(100 * time.Second) //nolint:forbidigo // virtual time
		}
		require.LessOrEqual(t, srv.KeysHeld(), 2*atOnce)
	})
}

func TestUsagePlan_Quota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins on Saturday, 2000-01-01
		srv, plans := keyed(t, usageplan.Plan{Quota: usageplan.Quota{Limit: 4, Period: usageplan.Day}})
		c := srv.Dial(t, apiKey(annsKey))
		require.Equal(t, 3, served(t, c, "m", 9))
		c.Send(`{"action":"m"}`)
		require.Regexp(t, `^\{"message": "Limit Exceeded", `, c.Receive())
		requireRefused(t, srv, http.StatusTooManyRequests, `"Limit Exceeded"`, apiKey(annsKey))
		require.Equal(t, 4, plans.Used("gold", "ann", time.Now().UTC().Truncate(24*time.Hour)))
		srv.Dial(t, apiKey(bobsKey))
		time.Sleep(24 * time.Hour) //nolint:forbidigo // virtual time
		srv.Dial(t, apiKey(annsKey))
	})
}

// A request that is throttled does not count against the quota.
func TestUsagePlan_QuotaIsAskedLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, plans := keyed(t, usageplan.Plan{
			Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: 3}, Quota: usageplan.Quota{Limit: 100, Period: usageplan.Day},
		})
		c := srv.Dial(t, apiKey(annsKey))
		require.Equal(t, 2, served(t, c, "m", 20))
		require.Equal(t, 3, plans.Used("gold", "ann", time.Now().UTC().Truncate(24*time.Hour)))
	})
}

// Two headers with a key are refused: otherwise the gateway would take one of them,
// and an integration the other.
func TestAPIKey_TwoHeaders(t *testing.T) {
	t.Parallel()
	srv, _ := keyed(t, usageplan.Plan{})
	for _, second := range []string{bobsKey, annsKey, ""} {
		w := wiretest.Dial(t, srv.HTTPClient())
		r := w.MustAsk(wiretest.Upgrade("/test", "x-api-key: "+annsKey, "X-API-Key: "+second))
		requireOwnError(t, r, 403, "Forbidden")
	}
	require.Empty(t, srv.Events())
	require.Equal(t, 101, wiretest.Dial(t, srv.HTTPClient()).MustAsk(wiretest.Upgrade("/test", "x-api-key: "+annsKey)).Status)
}

// store is a UsageStore that several gateways share.
type store struct {
	mu    sync.Mutex // guards the fields below
	asked int
	key   gateway.APIKey // of ann, without the quota
	// nameless: it does not set APIKey.ID.
	nameless bool
	limit    int // requests a month
	find     error
	count    error
	used     map[time.Time]int
}

func (s *store) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	key := s.key
	if !s.nameless {
		key.ID = "ann"
	}
	if s.limit > 0 {
		key.CountRequest = s.countRequest
	}
	return key, s.find
}

func (s *store) countRequest(_ context.Context, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := usageplan.Quota{Limit: s.limit, Period: usageplan.Month}.Begin(now)
	s.used[begin]++
	return s.used[begin] <= s.limit, s.count
}

// Several nodes can share a store. If the store fails, nobody gets in.
func TestUsageStore(t *testing.T) {
	t.Parallel()
	key := gateway.APIKey{UsagePlanID: "p"}
	broken := gateway.Throttle{RateLimit: -1}
	for _, tt := range []struct {
		name    string
		store   *store
		status  int
		message string
	}{
		{"it cannot look", &store{key: key, find: errors.New("secret")}, 500, `"Internal server error"`},
		{"it knows no such key", &store{find: fmt.Errorf("x: %w", gateway.ErrForbidden)}, 403, `"Forbidden"`},
		{"it knows no plan", &store{}, 403, `"Forbidden"`},
		{"it gives no ID", &store{key: key, nameless: true}, 500, `"Internal server error"`},
		{"its throttle makes no sense", &store{key: gateway.APIKey{UsagePlanID: "p", Throttle: broken}}, 500, `"Internal server error"`},
		{"a throttle of a route makes no sense", &store{key: gateway.APIKey{
			UsagePlanID: "p", RouteThrottles: map[string]gateway.Throttle{"m": broken},
		}}, 500, `"Internal server error"`},
		{"it cannot count", &store{key: key, limit: 3, count: errors.New("secret")}, 500, `"Internal server error"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			tt.store.used = map[time.Time]int{}
			srv := gatewaytest.New(t, gateway.WithUsageStore(tt.store), gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
			requireRefused(t, srv, tt.status, tt.message, apiKey(annsKey))
			require.Equal(t, tt.status == 500, strings.Contains(log.String(), "level=ERROR"), log.String())
			require.NotContains(t, log.String(), annsKey)
		})
	}
	t.Run("it is not asked for what cannot be a key", func(t *testing.T) {
		t.Parallel()
		s := &store{key: key}
		srv := gatewaytest.New(t, gateway.WithUsageStore(s))
		srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
		for _, value := range []string{"", "short", strings.Repeat("x", 129)} {
			requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(value))
		}
		require.Zero(t, s.asked)
	})
	t.Run("two nodes count together", func(t *testing.T) {
		t.Parallel()
		shared := &store{key: key, limit: 3, used: map[time.Time]int{}}
		var clients []*gatewaytest.Client
		for range 2 {
			srv := gatewaytest.New(t, gateway.WithUsageStore(shared))
			srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
			echoRoutes(srv, "m")
			clients = append(clients, srv.Dial(t, apiKey(annsKey)))
		}
		require.Equal(t, 1, served(t, clients[0], "m", 1))
		require.Zero(t, served(t, clients[1], "m", 1))
		shared.mu.Lock()
		shared.count = errors.New("secret")
		shared.mu.Unlock()
		clients[0].Send(`{"action":"m"}`)
		require.Contains(t, clients[0].Receive(), `{"message": "Internal server error"`)
	})
}

// A value that cannot be a key is refused for its length. The log says so, but not the value.
func TestAPIKey_Length(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"key":                    "the API key has 3 characters: 20 to 128 are valid",
		strings.Repeat("k", 129): "the API key has 129 characters: 20 to 128 are valid",
		strings.Repeat("k", 20):  "the API key is not valid for this stage",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			option, log := newLogged()
			srv := gatewaytest.New(t, option, gateway.WithUsageStore(&store{find: gateway.ErrForbidden}))
			srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
			requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(value))
			require.Contains(t, log.String(), want+`"`)
			require.NotContains(t, log.String(), `"`+value)
		})
	}
}
