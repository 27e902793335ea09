package load

import (
	"context"
	"time"

	"example.com/gateway/benchmarks/server"
)

// Idle measures the cost of connections on which one request was answered.
func Idle(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	first, err := connect(ctx, p, min(plan.Clients, 10)) // so that what a server makes only once does not count
	if err != nil {
		return nil, err
	}
	defer first.close()
	before, err := p.Memory()
	if err != nil {
		return nil, err
	}
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	const settle = 4 * time.Second // a connection is idle if it has sent nothing for some seconds
	if err := wait(ctx, min(settle, 4*plan.Duration)); err != nil {
		return nil, err
	}
	after, err := p.Memory()
	if err != nil {
		return nil, err
	}
	if plan.Profile != "" {
		if err := p.Heap(plan.Profile + ".heap"); err != nil {
			return nil, err
		}
	}
	each := func(before, after uint64) float64 {
		return (float64(after) - float64(before)) / float64(plan.Clients)
	}
	return Figures{
		HeapStacks: each(before.HeapAlloc+before.StackInuse, after.HeapAlloc+after.StackInuse),
		Stacks:     each(before.StackInuse, after.StackInuse),
		RSS:        each(before.RSS, after.RSS),
		Goroutines: max(0, each(uint64(before.Goroutines), uint64(after.Goroutines))), // not negative: some of the goroutines before may have ended
	}, nil
}
