package load

import (
	"context"
	"sync"

	"example.com/gateway/benchmarks/server"
)

// dialersAtOnce fits into the backlog of any listener.
const dialersAtOnce = 64

// clients are the open connections to a server.
type clients []*conn

// connect opens n connections, spread over the addresses of the server, and waits for
// the answer to a first request on each.
func connect(ctx context.Context, p *server.Process, n int) (clients, error) {
	cs := make(clients, n)
	want := answersOf(p.Dialect, p.Dialect.Reply, 1)
	request := p.Dialect.AppendRequest(nil, p.Dialect.Request)
	err := inShares(n, dialersAtOnce, func(from, to int) error {
		scratch := make([]byte, scratchBytes)
		for i := from; i < to; i++ {
			c, err := dial(ctx, p.Addresses[i%len(p.Addresses)], p.Dialect)
			if err != nil {
				return err
			}
			cs[i] = c
			if _, err := c.Write(request); err != nil {
				return err
			}
			if err := c.expect(want, scratch); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		cs.close()
		return nil, err
	}
	return cs, nil
}

// greet sends the lines on each connection: see [conn.greet].
func (cs clients) greet(lines []string) error {
	return inShares(len(cs), dialersAtOnce, func(from, to int) error {
		for _, c := range cs[from:to] {
			if err := c.greet(lines); err != nil {
				return err
			}
		}
		return nil
	})
}

func (cs clients) close() {
	for _, c := range cs {
		if c != nil {
			_ = c.Close()
		}
	}
}

// inShares splits 0 to n into shares of about the same size and does them at the same
// time. It returns the first error.
func inShares(n, shares int, do func(from, to int) error) error {
	shares = min(shares, n)
	errs := make(chan error, shares)
	var running sync.WaitGroup
	for s := range shares {
		running.Go(func() {
			if err := do(s*n/shares, (s+1)*n/shares); err != nil {
				errs <- err
			}
		})
	}
	running.Wait()
	close(errs)
	return <-errs
}
