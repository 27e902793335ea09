package flood_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/suites/wiretest"
)

// The polite clients wait for each reply before they ask again.
const (
	polite = 20
	turns  = 3
)

// roundTrips is how many messages each polite client sends in a turn.
func roundTrips() int { return 500 / tenth }

// A client that sends as fast as it can does not starve clients that wait for their
// replies. The test prints how much slower the flood makes them, with client and
// server on the same machine. It has no limit for that, because machines are noisy.
func TestFairness(t *testing.T) {
	over := make(chan struct{})
	after := func(d time.Duration) func(context.Context, *gateway.Request) (*gateway.Response, error) {
		return func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
			if d > 0 {
				timer := time.NewTimer(d)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-over:
				}
			}
			return &gateway.Response{Body: req.Body}, nil
		}
	}
	for _, tt := range []struct {
		name   string
		quotas gateway.Quotas
		takes  time.Duration // how long the integration of the flood takes
		opts   []gateway.RouteOption
		unread bool // the flooding client reads no replies
	}{
		{name: "a quick integration"},
		{name: "a quick integration with replies", opts: []gateway.RouteOption{gateway.WithRouteResponse()}},
		{name: "replies that nobody reads", opts: []gateway.RouteOption{gateway.WithRouteResponse()}, unread: true},
		{name: "a slow integration", takes: time.Millisecond},
		{name: "a slow integration, 64 at a time", takes: time.Millisecond, quotas: gateway.Quotas{InFlight: 64}},
		{name: "an integration that never ends", takes: time.Hour},
		{name: "an integration that never ends, 64 at a time", takes: time.Hour, quotas: gateway.Quotas{InFlight: 64}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.quotas.WriteTimeout = -1
			tt.quotas.IntegrationTimeout = -1
			s := start(t, tt.quotas)
			over = make(chan struct{})
			var begun atomic.Int64
			flooded := after(tt.takes)
			s.HandleFunc("flood", func(ctx context.Context, req *gateway.Request) (*gateway.Response, error) {
				begun.Add(1)
				return flooded(ctx, req)
			}, tt.opts...)
			s.HandleFunc("polite", after(0), gateway.WithRouteResponse())
			var peers []*peer
			for n := range polite {
				peers = append(peers, s.connect(fmt.Sprint("polite", n)))
			}
			var alone, beside []time.Duration // the times of round trips
			var aloneTook, besideTook time.Duration
			for turn := range turns {
				begin := time.Now()
				alone = append(alone, trips(t, peers)...)
				aloneTook += time.Since(begin)
				flooder, before := s.connect(fmt.Sprint("flooder", turn)), begun.Load()
				ended := make(chan struct{}, 2)
				go func() { // ends with the connection, which is closed below
					_ = flooder.flood(repeat(wiretest.Frame(wiretest.Text, `{"action":"flood"}`), 1000), 0)
					ended <- struct{}{}
				}()
				go func() { // likewise
					for !tt.unread {
						if _, _, err := flooder.ReadFrame(); err != nil {
							break
						}
					}
					ended <- struct{}{}
				}()
				for begun.Load() == before { // wait until the flood runs
					_, err := peers[0].ask(`{"action":"polite"}`)
					require.NoError(t, err)
				}
				begin = time.Now()
				beside = append(beside, trips(t, peers)...)
				besideTook += time.Since(begin)
				require.Contains(t, s.openIDs(), s.id(fmt.Sprint("flooder", turn)), "the flood went on")
				require.NoError(t, flooder.Close())
				<-ended
				<-ended
			}
			served := begun.Load()
			close(over)
			perSecond := func(d time.Duration) float64 { return float64(len(alone)) / d.Seconds() }
			t.Logf("%.0f round trips a second alone, %.0f beside the flood: ratio %.2f", perSecond(aloneTook), perSecond(besideTook), perSecond(besideTook)/perSecond(aloneTook))
			t.Logf("median %v alone, %v beside the flood, 99 of 100 within %v and %v; %d messages of the flood",
				percentile(alone, 50), percentile(beside, 50), percentile(alone, 99), percentile(beside, 99), served)
			require.Len(t, beside, turns*polite*roundTrips(), "every client got every reply")
		})
	}
}

func (s *server) openIDs() (ids []string) {
	for c := range s.Connections() {
		ids = append(ids, c.ID)
	}
	return ids
}

// trips makes all peers ask at the same time, until each has all its replies.
func trips(t *testing.T, peers []*peer) (took []time.Duration) {
	t.Helper()
	type result struct {
		took []time.Duration
		err  error
	}
	results := make(chan result, len(peers))
	const message = `{"action":"polite"}`
	for _, p := range peers {
		go func() { // ends after its round trips; waited for below
			var r result
			for range roundTrips() {
				begin := time.Now()
				got, err := p.ask(message)
				if err == nil && got != message {
					err = fmt.Errorf("got %q", got)
				}
				if r.err = err; err != nil {
					break
				}
				r.took = append(r.took, time.Since(begin))
			}
			results <- r
		}()
	}
	for range peers {
		r := <-results
		require.NoError(t, r.err)
		took = append(took, r.took...)
	}
	return took
}

func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*p/100].Round(time.Microsecond)
}
