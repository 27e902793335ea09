package load

import (
	"bytes"
	"context"

	"example.com/gateway/benchmarks/server"
)

// Exchange sends requests and waits for their replies. On each connection it sends
// plan.Outstanding requests in one write. A worker has several connections and writes
// to all of them before it reads. That keeps the server busy at half the cost of a
// goroutine for each connection, because most replies have arrived when the worker
// looks for them.
func Exchange(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	d := p.Dialect
	requests := bytes.Repeat(d.AppendRequest(nil, d.Request), plan.Outstanding)
	want := answersOf(d, d.Reply, plan.Outstanding)
	const each = 10 // connections of a worker, at least
	workers := min(max(1, len(cs)/each), 10)
	return steady(ctx, p, plan, workers, func(n int, m *meter) error {
		own := cs[n*len(cs)/workers : (n+1)*len(cs)/workers]
		scratch := make([]byte, scratchBytes)
		for !m.stopped.Load() {
			for _, c := range own {
				if _, err := c.Write(requests); err != nil {
					return err
				}
			}
			for _, c := range own {
				if err := c.expect(want, scratch); err != nil {
					return err
				}
				m.count.Add(int64(want.n))
			}
		}
		return nil
	})
}
