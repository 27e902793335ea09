package limit_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/limit"
)

func TestBucket_Rates(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		rate        limit.Rate
		now, second int // how many are allowed of 100 requests at once, and of 100 more a second later
	}{
		{limit.Rate{}, 100, 100},
		{limit.Rate{PerSecond: -1, Burst: 1}, 100, 100},
		{limit.Rate{PerSecond: math.NaN(), Burst: 1}, 100, 100},
		{limit.Rate{PerSecond: math.Inf(1), Burst: 1}, 100, 100},
		{limit.Rate{PerSecond: 5, Burst: 10}, 10, 5},
		{limit.Rate{PerSecond: 2.5}, 3, 2},
		{limit.Rate{PerSecond: 0.5}, 1, 0},
		{limit.Rate{PerSecond: 1e-300, Burst: 3}, 3, 0},
		{limit.Rate{PerSecond: math.SmallestNonzeroFloat64, Burst: 3}, 3, 0},
		{limit.Rate{PerSecond: 1e300, Burst: 2}, 100, 100}, // more than one token a nanosecond
		{limit.Rate{PerSecond: 1e300}, 100, 100},
		{limit.Rate{PerSecond: 1, Burst: math.MaxInt}, 100, 100},
		{limit.Rate{PerSecond: 1, Burst: limit.None}, 0, 0},
		{limit.Rate{Burst: limit.None}, 0, 0},
	} {
		b := limit.NewBucket(tt.rate)
		require.True(t, b.Full(at), "%+v", tt.rate)
		for n, want := range []int{tt.now, tt.second} {
			got := 0
			for range 100 {
				if b.Allow(at.Add(time.Duration(n) * time.Second)) {
					got++
				}
			}
			require.Equal(t, want, got, "%+v", tt.rate)
		}
		require.True(t, b.Full(at.Add(time.Hour)) || tt.rate.PerSecond < 1, "%+v", tt.rate)
		require.Same(t, b, b.Keep(tt.rate), "%+v", tt.rate)
		require.NotSame(t, b, b.Keep(limit.Rate{PerSecond: 7, Burst: 7}))
	}
}

func TestRate_Check(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rate limit.Rate
		says string // "": nothing is wrong
	}{
		{limit.Rate{}, ""},
		{limit.Rate{PerSecond: 0.1}, ""},
		{limit.Rate{PerSecond: 1, Burst: math.MaxInt32}, ""},
		{limit.Rate{PerSecond: math.Inf(1)}, ""},
		{limit.Rate{PerSecond: math.NaN()}, "RateLimit is not a number"},
		{limit.Rate{PerSecond: -1}, "RateLimit -1 is negative"},
		{limit.Rate{PerSecond: 1, Burst: -2}, "BurstLimit -2 is negative"},
		{limit.Rate{PerSecond: 1, Burst: math.MaxInt32 + 1}, "BurstLimit 2147483648 is above 2147483647"},
		{limit.Rate{Burst: 5}, "BurstLimit is 5, but RateLimit is 0: set RateLimit too"},
	} {
		if err := tt.rate.Check(); tt.says == "" {
			require.NoError(t, err, "%+v", tt.rate)
		} else {
			require.ErrorContains(t, err, tt.says)
		}
	}
}

// In whatever order requests with whatever times come, a bucket gives no more tokens
// than it held at first plus those of the time that passed.
func TestBucket_GivesNoMoreThanTimeBrings(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		r := limit.Rate{PerSecond: float64(1 + random.IntN(1000)), Burst: 1 + random.IntN(50)}
		b := limit.NewBucket(r)
		begin := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
		var latest time.Duration
		given := 0
		for range 200 {
			after := time.Duration(random.IntN(2000)) * time.Millisecond
			latest = max(latest, after)
			if b.Allow(begin.Add(after)) {
				given++
			}
			require.LessOrEqual(t, float64(given), float64(r.Burst)+r.PerSecond*latest.Seconds()+1e-6, "%+v", r)
		}
	}
}

func TestBucket_Concurrent(t *testing.T) {
	t.Parallel()
	b := limit.NewBucket(limit.Rate{PerSecond: 0.001, Burst: 500})
	now := time.Now()
	var given atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if b.Allow(now) {
					given.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 500, given.Load())
}

func TestSources(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		all, perSource int
		in             []string
		refused        map[string]error
	}{
		{"no limit", 0, 0, []string{"192.0.2.1", "192.0.2.1", "192.0.2.1"}, nil},
		{"of all", 2, 0, []string{"192.0.2.1", "192.0.2.1"}, map[string]error{"192.0.2.2": limit.ErrAll}},
		{"of a source", 0, 1, []string{"192.0.2.1", "192.0.2.2"}, map[string]error{"192.0.2.1": limit.ErrSource, "::ffff:192.0.2.2": limit.ErrSource}},
		{"of an IPv6 network", 0, 1, []string{"2001:db8::1", "2001:db8:0:1::1"}, map[string]error{"2001:db8::ffff": limit.ErrSource, "2001:db8::1%eth0": limit.ErrSource}},
		{"of what is no address", 0, 1, []string{"a socket"}, map[string]error{"another": limit.ErrSource, "": limit.ErrSource}},
		{"of all before a source", 1, 1, []string{"192.0.2.1"}, map[string]error{"192.0.2.1": limit.ErrAll}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := limit.NewSources(tt.all, tt.perSource)
			for range 2 {
				for _, address := range tt.in {
					require.NoError(t, s.Add(address), address)
				}
				for address, want := range tt.refused {
					require.ErrorIs(t, s.Add(address), want, address)
				}
				for _, address := range tt.in {
					s.Remove(address)
				}
			}
		})
	}
}
