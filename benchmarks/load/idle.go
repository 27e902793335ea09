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
	after, err := settled(ctx, p, plan)
	if err != nil {
		return nil, err
	}
	if plan.Profile != "" {
		if err := p.Heap(plan.Profile + ".heap"); err != nil {
			return nil, err
		}
	}
	return Figures{
		HeapStacks: plan.each(before.HeapAlloc+before.StackInuse, after.HeapAlloc+after.StackInuse),
		Stacks:     plan.each(before.StackInuse, after.StackInuse),
		RSS:        plan.each(before.RSS, after.RSS),
		Goroutines: max(0, plan.each(uint64(before.Goroutines), uint64(after.Goroutines))), // not negative: some of the goroutines before may have ended
	}, nil
}

// settled returns the memory of a server whose connections have become idle.
func settled(ctx context.Context, p *server.Process, plan Plan) (*server.Memory, error) {
	const settle = 4 * time.Second // a connection is idle if it has sent nothing for some seconds
	if err := wait(ctx, min(settle, 4*plan.Duration)); err != nil {
		return nil, err
	}
	return p.Memory()
}

// each returns how much was added for each client.
func (plan Plan) each(before, after uint64) float64 {
	return (float64(after) - float64(before)) / float64(plan.Clients)
}
