package load

import (
	"context"
	"slices"
	"time"

	"example.com/gateway/benchmarks/server"
	"example.com/gateway/benchmarks/wire"
)

// Fanout sends messages to all clients. It sends the next when the one before has
// reached all of them.
func Fanout(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if err := inShares(len(cs), dialersAtOnce, func(from, to int) error {
		for _, c := range cs[from:to] {
			if err := c.greet(p.Dialect.Subscribe); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}

	number := 0
	once := func() (time.Duration, error) {
		number++
		return cs.fanout(p, number)
	}
	for began := time.Now(); number == 0 || time.Since(began) < plan.WarmUp; {
		if _, err := once(); err != nil {
			return nil, err
		}
	}
	var m meter
	var took []time.Duration
	before, after, err := m.between(p, plan, func() error {
		for began := time.Now(); len(took) < 3 || time.Since(began) < plan.Duration; {
			t, err := once()
			if err != nil {
				return err
			}
			took = append(took, t)
			m.count.Add(int64(len(cs)))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	figures, err := rates(before, after)
	if err != nil {
		return nil, err
	}
	slices.Sort(took)
	figures[UntilAll] = took[len(took)/2].Seconds() * 1e3
	return figures, nil
}

// readersAtOnce is how many goroutines read, each from its share of the clients.
const readersAtOnce = 8

// fanout sends the n-th message and returns how long it took until every client had
// it.
func (cs clients) fanout(p *server.Process, n int) (time.Duration, error) {
	message := wire.Message(n)
	arrives := message
	if p.Dialect.Pushed != nil {
		arrives = p.Dialect.Pushed(message)
	}
	want := answersOf(p.Dialect, arrives, 1)
	sent := make(chan error, 1)
	began := time.Now()
	go func() { sent <- p.Broadcast(message) }() // waited for below
	err := inShares(len(cs), readersAtOnce, func(from, to int) error {
		scratch := make([]byte, 1024)
		for _, c := range cs[from:to] {
			if err := c.expect(want, scratch); err != nil {
				return err
			}
		}
		return nil
	})
	took := time.Since(began)
	if err != nil {
		p.Stop() // it may be waiting for clients that no longer read
	}
	if failed := <-sent; err == nil {
		err = failed
	}
	return took, err
}
