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
	if err := cs.greet(p.Dialect.Subscribe); err != nil {
		return nil, err
	}
	return cs.fanouts(p, plan, server.Everyone)
}

// GroupFanout sends messages to the group, of which only plan.Members of the clients are
// members.
func GroupFanout(to server.Audience) func(context.Context, *server.Process, Plan) (Figures, error) {
	return func(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
		cs, err := connect(ctx, p, plan.Clients)
		if err != nil {
			return nil, err
		}
		defer cs.close()
		members := cs[:plan.Members]
		if err := members.greet(p.Dialect.Join); err != nil {
			return nil, err
		}
		return members.fanouts(p, plan, to)
	}
}

// fanouts sends messages to an audience of the server, which is these clients.
func (cs clients) fanouts(p *server.Process, plan Plan, to server.Audience) (Figures, error) {
	number := 0
	once := func() (time.Duration, error) {
		number++
		return cs.fanout(p, to, number)
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
func (cs clients) fanout(p *server.Process, to server.Audience, n int) (time.Duration, error) {
	message := wire.Message(n)
	arrives := message
	if p.Dialect.Pushed != nil {
		arrives = p.Dialect.Pushed(message)
	}
	want := answersOf(p.Dialect, arrives, 1)
	sent := make(chan error, 1)
	began := time.Now()
	go func() { sent <- p.Broadcast(to, message) }() // waited for below
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
