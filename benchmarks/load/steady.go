package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"example.com/gateway/benchmarks/host"
	"example.com/gateway/benchmarks/server"
)

// meter is shared by the workers of a steady load.
type meter struct {
	count   atomic.Int64
	stopped atomic.Bool
}

// steady runs workers until the meter stops them, and measures the server after the
// warm-up.
func steady(ctx context.Context, p *server.Process, plan Plan, workers int, work func(n int, m *meter) error) (Figures, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var m meter
	var running sync.WaitGroup
	for n := range workers {
		running.Go(func() {
			if err := work(n, &m); err != nil && !m.stopped.Load() {
				cancel(err)
			}
		})
	}
	figures, err := m.measure(ctx, p, plan)
	m.stopped.Store(true)
	if err != nil {
		p.Stop() // the workers may wait for a server that does not answer
	}
	running.Wait()
	if failed := context.Cause(ctx); failed != nil {
		return nil, failed
	}
	return figures, err
}

// sample holds what has been counted up to a time.
type sample struct {
	at    time.Time
	count int64
	cpu   time.Duration // of the server
	own   time.Duration // of the clients
}

func (m *meter) sample(p *server.Process) (sample, error) {
	r, err := p.Usage()
	return sample{time.Now(), m.count.Load(), r.CPU, host.Used()}, err
}

// between returns the samples before and after work. If the plan says so, it also has
// the server write a CPU profile of work.
func (m *meter) between(p *server.Process, plan Plan, work func() error) (before, after sample, err error) {
	if plan.Profile != "" {
		if err := p.Profile(plan.Profile + ".cpu"); err != nil {
			return before, after, err
		}
	}
	if before, err = m.sample(p); err == nil {
		if err = work(); err == nil {
			after, err = m.sample(p)
		}
	}
	if plan.Profile != "" && err == nil {
		err = p.Profiled()
	}
	return before, after, err
}

func (m *meter) measure(ctx context.Context, p *server.Process, plan Plan) (Figures, error) {
	if err := wait(ctx, plan.WarmUp); err != nil {
		return nil, err
	}
	before, after, err := m.between(p, plan, func() error { return m.work(ctx, plan.Duration) })
	if err != nil {
		return nil, err
	}
	return rates(before, after)
}

// work lets the workers work for d. If they have counted nothing in this time, as on a
// busy machine with a short d, it waits for the first, but not for ever.
func (m *meter) work(ctx context.Context, d time.Duration) error {
	const (
		longest = 30 * time.Second
		look    = 10 * time.Millisecond
	)
	began, count := time.Now(), m.count.Load()
	if err := wait(ctx, d); err != nil {
		return err
	}
	for m.count.Load() == count && time.Since(began) < d+longest {
		if err := wait(ctx, look); err != nil {
			return err
		}
	}
	return nil
}

var errNothing = errors.New("nothing happened while it was measured")

func rates(before, after sample) (Figures, error) {
	count, cpu, took := float64(after.count-before.count), after.cpu-before.cpu, after.at.Sub(before.at)
	if count == 0 {
		return nil, errNothing
	}
	f := Figures{
		PerSecond: count / took.Seconds(),
		CPUEach:   float64(cpu) / float64(time.Microsecond) / count,
		Busy:      100 * cpu.Seconds() / took.Seconds(),
		LoadBusy:  100 * (after.own - before.own).Seconds() / took.Seconds(),
	}
	if cpu > 0 {
		f[PerCore] = count / cpu.Seconds()
	}
	return f, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
