package soak_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
)

// The load: for ten seconds, clients send messages to one route at three times its
// throttle, while other clients use a route without a throttle.
const (
	loadFor   = 10 * time.Second
	loadRate  = 500 // the rate of the throttle
	loadBurst = 500 // large enough that no token is lost when a busy machine pauses
	loaders   = 8
	others    = 2
)

// loadResult has the sums of a run.
type loadResult struct {
	took                       time.Duration
	offered, admitted, refused int64
	others                     int64 // replies to the other clients, which ask as fast as they get answers
}

// TestThrottle_Load checks that a throttle admits under load what it should. It also
// prints how many replies the other clients got, compared with the same load without
// a throttle. It has no limit for that, because machines are noisy.
func TestThrottle_Load(t *testing.T) {
	testutil.NeedsLong(t)
	throttled := runLoad(t, gateway.WithThrottle(loadRate, loadBurst))
	free := runLoad(t, func(*gateway.Route) {})
	t.Logf("throttled: %+v", throttled)
	t.Logf("free:      %+v", free)
	perSecond := func(r loadResult) float64 { return float64(r.others) / r.took.Seconds() }
	t.Logf("the others get %.0f replies a second beside a throttled route, %.0f beside a free one: ratio %.2f",
		perSecond(throttled), perSecond(free), perSecond(throttled)/perSecond(free))

	want := loadRate*throttled.took.Seconds() + loadBurst
	require.Greater(t, float64(throttled.offered), 2*want, "the load was one")
	require.InEpsilon(t, want, float64(throttled.admitted), 0.05)
	require.Equal(t, throttled.offered, throttled.admitted+throttled.refused, "everybody was answered")
	require.Zero(t, free.refused)
	require.Equal(t, free.offered, free.admitted)
}

func runLoad(t *testing.T, limit gateway.RouteOption) (r loadResult) {
	t.Helper()
	gw, err := gateway.New(gateway.WithQuotas(gateway.Quotas{NewConnections: gateway.Throttle{RateLimit: -1}}))
	require.NoError(t, err)
	server := httptest.NewServer(gw.Handler())
	defer server.Close()
	defer gw.Close()
	ok := func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return &gateway.Response{Body: []byte("ok")}, nil
	}
	gw.HandleFunc("limited", ok, gateway.WithRouteResponse(), limit)
	gw.HandleFunc("free", ok, gateway.WithRouteResponse())
	var wg sync.WaitGroup
	over := make(chan struct{})
	clients := make([]*wsconn.Client, loaders+others)
	for n := range clients {
		clients[n], _, err = wsconn.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
		require.NoError(t, err)
		defer clients[n].CloseNow()
	}
	failed := make(chan error, len(clients))
	start := time.Now()
	for _, c := range clients[:loaders] {
		wg.Go(func() { failed <- load(c, start, over, &r) })
	}
	for _, c := range clients[loaders:] {
		wg.Go(func() { failed <- other(c, over, &r) })
	}
	end := time.NewTimer(loadFor)
	defer end.Stop()
	<-end.C
	close(over)
	wg.Wait()
	r.took = time.Since(start)
	for range clients {
		require.NoError(t, <-failed)
	}
	return r
}

// load sends its share of three times the throttle until over is closed. If it is
// late, it catches up.
func load(c *wsconn.Client, start time.Time, over <-chan struct{}, r *loadResult) error {
	const every = time.Second * loaders / (3 * loadRate)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := time.Duration(1); ; n++ {
		select {
		case <-over:
			return nil
		case <-timer.C:
		}
		atomic.AddInt64(&r.offered, 1)
		switch got, err := ask(c, `{"action":"limited"}`); {
		case err != nil:
			return err
		case got == "ok":
			atomic.AddInt64(&r.admitted, 1)
		case strings.HasPrefix(got, `{"message": "Too Many Requests", "connectionId":"`):
			atomic.AddInt64(&r.refused, 1)
		default:
			return errors.New(got)
		}
		timer.Reset(time.Until(start.Add(n * every)))
	}
}

// other asks as fast as it gets answers.
func other(c *wsconn.Client, over <-chan struct{}, r *loadResult) error {
	for {
		select {
		case <-over:
			return nil
		default:
		}
		if got, err := ask(c, `{"action":"free"}`); err != nil || got != "ok" {
			return errors.Join(err, errors.New(got))
		}
		atomic.AddInt64(&r.others, 1)
	}
}

func ask(c *wsconn.Client, message string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Write(ctx, []byte(message), true); err != nil {
		return "", err
	}
	reply, _, err := c.Read(ctx)
	return string(reply), err
}
