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
)

const (
	annsKey = "anns-key-0123456789abcdef"
	bobsKey = "bobs-key-0123456789abcdef"
)

// keyed starts a server whose $connect requires an API key of a plan.
func keyed(t *testing.T, plan gateway.UsagePlan) (*gatewaytest.Server, *gateway.UsagePlans) {
	t.Helper()
	plan.ID, plan.APIKeys = "gold", map[string]string{"ann": annsKey, "bob": bobsKey}
	plans, err := gateway.NewUsagePlans(plan)
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithUsagePlans(plans))
	srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
	echoRoutes(srv, "m", "other")
	return srv, plans
}

func apiKey(value string) gatewaytest.DialOption { return gatewaytest.Header("x-api-key", value) }

func TestAPIKey_OfTheHeader(t *testing.T) {
	t.Parallel()
	srv, plans := keyed(t, gateway.UsagePlan{})
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
	require.NoError(t, plans.Replace(gateway.UsagePlan{ID: "gold", APIKeys: map[string]string{"bob": bobsKey}}))
	requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(annsKey))
	srv.Dial(t, apiKey(bobsKey))
	c.Send(`{"action":"m"}`)
	require.Equal(t, "served", c.Receive(), "who is in stays")
}

// A browser cannot set a header, so that the authorizer names the key. Then the
// header counts for nothing.
func TestAPIKey_OfTheAuthorizer(t *testing.T) {
	t.Parallel()
	plans, err := gateway.NewUsagePlans(gateway.UsagePlan{ID: "gold", APIKeys: map[string]string{"ann": annsKey}})
	require.NoError(t, err)
	srv := gatewaytest.New(t, gateway.WithUsagePlans(plans), gateway.WithAPIKeySelectionExpression("$context.authorizer.usageIdentifierKey"))
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
	srv, _ := keyed(t, gateway.UsagePlan{})
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

// Each key has its own share, over all its connections.
func TestUsagePlan_Throttle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv, _ := keyed(t, gateway.UsagePlan{
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
		requireRefused(t, srv, http.StatusTooManyRequests, `"Too Many Requests"`, apiKey(annsKey)) // leaving fills no bucket
		time.Sleep(time.Second)                                                                    //nolint:forbidigo // virtual time
		srv.Dial(t, apiKey(annsKey))
	})
}

// A key that nobody uses is forgotten when its buckets are full, not before.
func TestUsagePlan_ManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const atOnce = 300
		keys := map[string]string{}
		key := func(n int) string { return fmt.Sprintf("%020d", n) }
		for n := range 4 * atOnce {
			keys[fmt.Sprint(n)] = key(n)
		}
		plans, err := gateway.NewUsagePlans(gateway.UsagePlan{ID: "p", Throttle: gateway.Throttle{RateLimit: 0.01, BurstLimit: 1}, APIKeys: keys})
		require.NoError(t, err)
		srv := gatewaytest.New(t, gateway.WithUsagePlans(plans))
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
	synctest.Test(t, func(t *testing.T) { // begins on Saturday, 2000-01-01
		srv, plans := keyed(t, gateway.UsagePlan{Quota: gateway.UsageQuota{Limit: 4, Period: gateway.UsagePeriodDay}})
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
		srv, plans := keyed(t, gateway.UsagePlan{
			Throttle: gateway.Throttle{RateLimit: 1, BurstLimit: 3}, Quota: gateway.UsageQuota{Limit: 100, Period: gateway.UsagePeriodDay},
		})
		c := srv.Dial(t, apiKey(annsKey))
		require.Equal(t, 2, served(t, c, "m", 20))
		require.Equal(t, 3, plans.Used("gold", "ann", time.Now().UTC().Truncate(24*time.Hour)))
	})
}

// Counting takes the same time however many keys there are, also when a period begins.
func TestUsagePlans_ManyKeysCountFast(t *testing.T) {
	t.Parallel()
	const many = 50_000
	plans, err := gateway.NewUsagePlans()
	require.NoError(t, err)
	plan := &gateway.UsagePlan{ID: "p", Quota: gateway.UsageQuota{Limit: 1, Period: gateway.UsagePeriodDay}}
	start := time.Now()
	for day := range 3 {
		begin := time.Date(2026, 11, 1+day, 0, 0, 0, 0, time.UTC)
		for n := range many {
			key := gateway.APIKey{ID: fmt.Sprint(n), Plan: plan}
			for _, want := range []bool{true, false} {
				ok, err := plans.CountRequest(t.Context(), key, begin)
				require.NoError(t, err)
				if ok != want { // require would take most of the time
					require.Equal(t, want, ok)
				}
			}
		}
	}
	require.Less(t, time.Since(start), 5*time.Second, "it took minutes when each first request of a period looked at all keys")
}

// A period that is over does not begin anew.
func TestUsagePlans_LateRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01
		plans, err := gateway.NewUsagePlans()
		require.NoError(t, err)
		plan := &gateway.UsagePlan{ID: "p", Quota: gateway.UsageQuota{Limit: 3, Period: gateway.UsagePeriodDay}}
		count := func(begin time.Time) bool {
			ok, err := plans.CountRequest(t.Context(), gateway.APIKey{ID: "ann", Plan: plan}, begin)
			require.NoError(t, err)
			return ok
		}
		used := func(begin time.Time) int { return plans.Used("p", "ann", begin) }
		day := 24 * time.Hour
		yesterday := time.Now().Truncate(day)
		require.True(t, count(yesterday))
		require.True(t, count(yesterday))
		time.Sleep(day) //nolint:forbidigo // virtual time
		today := yesterday.Add(day)
		require.True(t, count(today))
		require.True(t, count(yesterday), "it came at midnight")
		require.True(t, count(today))
		require.False(t, count(yesterday))
		require.False(t, count(today))
		require.Equal(t, 3, used(today))
		require.Zero(t, used(yesterday))

		ahead := today.Add(3650 * day) // the clock was wrong for a moment
		require.True(t, count(ahead))
		require.True(t, count(today))
		require.Equal(t, 2, used(today), "what was counted meanwhile stays counted")
		require.True(t, count(today))
		require.False(t, count(today))
		require.True(t, count(today.Add(day)), "and the next day is a new one")
	})
}

// Keys that come and go leave no counts behind: those of periods that are long over
// are forgotten. One that comes back within its period finds its own.
func TestUsagePlans_ReplaceForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plans, err := gateway.NewUsagePlans()
		require.NoError(t, err)
		plan := &gateway.UsagePlan{ID: "p", Quota: gateway.UsageQuota{Limit: 3, Period: gateway.UsagePeriodMonth}}
		begin := plan.Quota.Begin(time.Now())
		for n := range 100 {
			_, err := plans.CountRequest(t.Context(), gateway.APIKey{ID: fmt.Sprint(n), Plan: plan}, begin)
			require.NoError(t, err)
		}
		require.NoError(t, plans.Replace())
		require.Equal(t, 100, plans.Counts())
		require.Equal(t, 1, plans.Used("p", "7", begin))
		time.Sleep(40 * 24 * time.Hour) //nolint:forbidigo // virtual time
		require.NoError(t, plans.Replace())
		require.Zero(t, plans.Counts())
	})
}

// Two keys are none: the gateway would take one, and an integration the other.
func TestAPIKey_TwoHeaders(t *testing.T) {
	t.Parallel()
	srv, _ := keyed(t, gateway.UsagePlan{})
	for _, second := range []string{bobsKey, annsKey, ""} {
		w := wireTo(t, srv)
		r := w.ask(upgradeText("x-api-key: "+annsKey, "X-API-Key: "+second))
		requireOwnError(t, r, 403, "Forbidden")
	}
	require.Empty(t, srv.Events())
	require.Equal(t, 101, wireTo(t, srv).ask(upgradeText("x-api-key: "+annsKey)).status)
}

func TestUsageQuota_Begin(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		v, err := time.Parse(time.DateTime, text)
		require.NoError(t, err)
		return v
	}
	for _, tt := range []struct {
		period gateway.UsagePeriod
		offset int
		now    string
		want   string
	}{
		{"DAY", 0, "2026-11-21 00:00:00", "2026-11-21 00:00:00"},
		{"DAY", 0, "2026-11-21 23:59:59", "2026-11-21 00:00:00"},
		{"WEEK", 0, "2026-11-21 12:00:00", "2026-11-15 00:00:00"}, // a Saturday
		{"WEEK", 0, "2026-11-22 00:00:00", "2026-11-22 00:00:00"},
		{"WEEK", 1, "2026-11-22 12:00:00", "2026-11-16 00:00:00"},
		{"WEEK", 6, "2026-11-21 12:00:00", "2026-11-21 00:00:00"},
		{"WEEK", 3, "2026-03-01 12:00:00", "2026-02-25 00:00:00"},
		{"MONTH", 0, "2026-11-21 12:00:00", "2026-11-01 00:00:00"},
		{"MONTH", 20, "2026-11-21 00:00:00", "2026-11-21 00:00:00"},
		{"MONTH", 20, "2026-11-20 23:59:59", "2026-10-21 00:00:00"},
		{"MONTH", 27, "2026-01-05 12:00:00", "2025-12-28 00:00:00"},
	} {
		q := gateway.UsageQuota{Limit: 1, Period: tt.period, Offset: tt.offset}
		require.Equal(t, at(tt.want), q.Begin(at(tt.now)), "%+v", tt)
		require.Equal(t, at(tt.want), q.Begin(at(tt.now).In(time.FixedZone("", -7*3600))), "in UTC, whatever the zone: %+v", tt)
	}
}

func TestNewUsagePlans_Mistakes(t *testing.T) {
	t.Parallel()
	key := map[string]string{"ann": annsKey}
	for _, tt := range []struct {
		name  string
		plans []gateway.UsagePlan
		says  string
	}{
		{"no ID", []gateway.UsagePlan{{}}, "has no ID"},
		{"a negative rate", []gateway.UsagePlan{{ID: "p", Throttle: gateway.Throttle{RateLimit: -1}}}, `usage plan "p"`},
		{"a negative rate of a route", []gateway.UsagePlan{{ID: "p", RouteThrottles: map[string]gateway.Throttle{"m": {RateLimit: -1}}}}, `route "m"`},
		{"a quota of nothing", []gateway.UsagePlan{{ID: "p", Quota: gateway.UsageQuota{Period: "DAY"}}}, "at least 1"},
		{"a quota of no period", []gateway.UsagePlan{{ID: "p", Quota: gateway.UsageQuota{Limit: 1, Period: "YEAR"}}}, "DAY, WEEK or MONTH"},
		{"an offset beyond the week", []gateway.UsagePlan{{ID: "p", Quota: gateway.UsageQuota{Limit: 1, Period: "WEEK", Offset: 7}}}, "want 0 to 6"},
		{"a key without ID", []gateway.UsagePlan{{ID: "p", APIKeys: map[string]string{"": annsKey}}}, "has no ID"},
		{"a key that is short", []gateway.UsagePlan{{ID: "p", APIKeys: map[string]string{"ann": "short"}}}, "want 20 to 128"},
		{"a key in two plans", []gateway.UsagePlan{{ID: "p", APIKeys: key}, {ID: "q", APIKeys: key}}, "one plan"},
		{"a key of a file, with its line break", []gateway.UsagePlan{{ID: "p", APIKeys: map[string]string{"ann": annsKey + "\n"}}}, "a blank or a line break"},
		{"a key with a blank before it", []gateway.UsagePlan{{ID: "p", APIKeys: map[string]string{"ann": " " + annsKey}}}, "a blank or a line break"},
		{"two plans of one ID", []gateway.UsagePlan{{ID: "p"}, {ID: "p"}}, "another plan has this ID"},
		{"two keys alike", []gateway.UsagePlan{{ID: "p", APIKeys: map[string]string{"ann": annsKey, "bob": annsKey}}}, "the value of another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.NewUsagePlans(tt.plans...)
			require.ErrorIs(t, err, gateway.ErrInvalidOption)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), annsKey, "a secret")
		})
	}
}

// store is a shared UsageStore.
type store struct {
	mu    sync.Mutex // guards the fields below
	asked int
	plan  *gateway.UsagePlan
	find  error
	count error
	used  map[time.Time]int
}

func (s *store) FindAPIKey(context.Context, string) (gateway.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return gateway.APIKey{ID: "ann", Plan: s.plan}, s.find
}

func (s *store) CountRequest(_ context.Context, key gateway.APIKey, begin time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[begin]++
	return s.used[begin] <= key.Plan.Quota.Limit, s.count
}

// Several nodes can share a store. Where it fails, nobody gets in.
func TestUsageStore(t *testing.T) {
	t.Parallel()
	plan := &gateway.UsagePlan{ID: "p", Quota: gateway.UsageQuota{Limit: 3, Period: gateway.UsagePeriodMonth}}
	for _, tt := range []struct {
		name    string
		store   *store
		status  int
		message string
	}{
		{"it cannot look", &store{plan: plan, find: errors.New("secret")}, 500, `"Internal server error"`},
		{"it knows no such key", &store{find: fmt.Errorf("x: %w", gateway.ErrForbidden)}, 403, `"Forbidden"`},
		{"it knows no plan", &store{}, 403, `"Forbidden"`},
		{"its plan makes no sense", &store{plan: &gateway.UsagePlan{}}, 500, `"Internal server error"`},
		{"it cannot count", &store{plan: plan, count: errors.New("secret")}, 500, `"Internal server error"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			tt.store.used = map[time.Time]int{}
			srv := gatewaytest.New(t, gateway.WithUsagePlans(tt.store), gateway.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
			srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
			requireRefused(t, srv, tt.status, tt.message, apiKey(annsKey))
			require.Equal(t, tt.status == 500, strings.Contains(log.String(), "level=ERROR"), log.String())
			require.NotContains(t, log.String(), annsKey)
		})
	}
	t.Run("it is not asked for what cannot be a key", func(t *testing.T) {
		t.Parallel()
		s := &store{plan: plan}
		srv := gatewaytest.New(t, gateway.WithUsagePlans(s))
		srv.Handle(gateway.RouteKeyConnect, &gateway.MockIntegration{}, gateway.WithAPIKeyRequired())
		for _, value := range []string{"", "short", strings.Repeat("x", 129)} {
			requireRefused(t, srv, http.StatusForbidden, `"Forbidden"`, apiKey(value))
		}
		require.Zero(t, s.asked)
	})
	t.Run("two nodes count together", func(t *testing.T) {
		t.Parallel()
		shared := &store{plan: plan, used: map[time.Time]int{}}
		var clients []*gatewaytest.Client
		for range 2 {
			srv := gatewaytest.New(t, gateway.WithUsagePlans(shared))
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
