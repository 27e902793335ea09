package load

import (
	"context"
	"time"

	"example.com/gateway/benchmarks/server"
)

// Joined measures what it adds to an idle connection that it is in the group.
func Joined(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	return more(ctx, p, plan, p.Dialect.Join)
}

// Remembered measures what it adds to an idle connection that it has a state.
func Remembered(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	return more(ctx, p, plan, p.Dialect.Remember)
}

// more measures what these messages add to the memory of a connection that is idle before
// and after them.
func more(ctx context.Context, p *server.Process, plan Plan, lines []string) (Figures, error) {
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	before, err := settled(ctx, p, plan)
	if err != nil {
		return nil, err
	}
	if err := cs.greet(lines); err != nil {
		return nil, err
	}
	after, err := settled(ctx, p, plan)
	if err != nil {
		return nil, err
	}
	return Figures{More: plan.each(before.HeapAlloc+before.StackInuse, after.HeapAlloc+after.StackInuse)}, nil
}

// Rejoin lets connections leave the group and join it again, on the server, and measures
// what that costs.
func Rejoin(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	cs, err := connect(ctx, p, plan.Clients)
	if err != nil {
		return nil, err
	}
	defer cs.close()
	if err := cs.greet(p.Dialect.Join); err != nil {
		return nil, err
	}
	for _, c := range cs {
		go c.discard() // some servers tell them of each change
	}
	if _, err := p.Rejoin(plan.WarmUp); err != nil {
		return nil, err
	}
	var m meter
	var c *server.Changes
	if _, _, err := m.between(p, plan, func() (err error) {
		c, err = p.Rejoin(plan.Duration)
		return err
	}); err != nil {
		return nil, err
	}
	each := func(d time.Duration) float64 { return float64(d) / float64(c.Count) }
	return Figures{JoinTime: each(c.Join), LeaveTime: each(c.Leave), JoinBytes: float64(c.Bytes) / float64(c.Count)}, nil
}

// discard reads until the connection ends.
func (c *conn) discard() {
	scratch := make([]byte, 1024)
	for {
		if _, err := c.Read(scratch); err != nil {
			return
		}
	}
}
