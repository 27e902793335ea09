package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/benchmarks/server"
)

// Growth sends requests at plan.Rate, spread over all connections, and measures how
// long each reply takes.
func Growth(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	g := &growth{
		clients: make([]paced, len(cs)),
		request: p.Dialect.AppendRequest(nil, p.Dialect.Request),
		want:    answersOf(p.Dialect, p.Dialect.Reply, 1),
		rate:    plan.Rate,
	}
	var readers sync.WaitGroup
	defer func() {
		cs.close()
		readers.Wait()
	}()
	var stopping atomic.Bool
	broken := make(chan error, 1)
	for n := range g.clients {
		c := &g.clients[n]
		c.conn = cs[n]
		readers.Go(func() {
			if err := g.read(c); !stopping.Load() {
				select {
				case broken <- err:
				default:
				}
			}
		})
	}
	defer stopping.Store(true)
	figures, err := steady(ctx, p, plan, 1, func(_ int, m *meter) error {
		began := time.Now().Add(plan.WarmUp)
		g.measureFrom.Store(&began)
		g.count = &m.count
		return g.send(m, broken)
	})
	if err != nil {
		return nil, err
	}
	g.quantiles(figures)
	return figures, nil
}

type growth struct {
	clients []paced
	request []byte
	want    *answers
	rate    int

	measureFrom atomic.Pointer[time.Time]
	count       *atomic.Int64 // set before the first request

	mu   sync.Mutex // guards the field below
	took []time.Duration
}

// paced is a client with at most one unanswered request.
type paced struct {
	*conn
	sent atomic.Int64 // when the unanswered request was sent, in Unix nanoseconds; 0: there is none
}

// send writes to one client after another, at the rate, until the meter stops it. It
// skips clients that still wait for a reply.
func (g *growth) send(m *meter, broken <-chan error) error {
	const tick = time.Millisecond
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	began, sent, next := time.Now(), 0, 0
	for !m.stopped.Load() {
		select {
		case err := <-broken:
			return err
		case <-ticks.C:
		}
		due := int(time.Since(began).Seconds() * float64(g.rate))
		for tried := 0; sent < due && tried < len(g.clients); tried++ {
			c := &g.clients[next]
			next = (next + 1) % len(g.clients)
			if c.sent.Load() != 0 {
				continue
			}
			c.sent.Store(time.Now().UnixNano())
			if _, err := c.Write(g.request); err != nil {
				return err
			}
			sent++
		}
	}
	return nil
}

// read records replies until the connection ends, and returns the reason.
func (g *growth) read(c *paced) error {
	scratch := make([]byte, len(g.want.frames))
	for {
		if err := c.expect(g.want, scratch); err != nil {
			return err
		}
		now := time.Now()
		took := time.Duration(now.UnixNano() - c.sent.Swap(0))
		g.count.Add(1)
		if now.Before(*g.measureFrom.Load()) {
			continue
		}
		g.mu.Lock()
		g.took = append(g.took, took)
		g.mu.Unlock()
	}
}

// quantiles adds the quantiles of the latency to f.
func (g *growth) quantiles(f Figures) {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.took)
	at := func(q float64) float64 {
		if len(g.took) == 0 {
			return 0
		}
		return float64(g.took[int(q*float64(len(g.took)-1))]) / float64(time.Microsecond)
	}
	f[P50], f[P99] = at(0.50), at(0.99)
}
