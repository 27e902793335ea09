package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"example.com/gateway/benchmarks/host"
	"example.com/gateway/benchmarks/load"
	"example.com/gateway/benchmarks/server"
)

// bench runs works and keeps the measurements.
type bench struct {
	*options
	progress io.Writer
	core     int    // the server's core; negative: any
	pinned   string // how processes are pinned, as text for the reader
	measured []*measured
	notes    []string
}

// measured is a work and its measurements.
type measured struct {
	work
	cases []*measuredCase
}

type measuredCase struct {
	scenario
	rows []*row
}

// row is an entry with its figures for each round.
type row struct {
	entry
	rounds []load.Figures
}

func newBench(o *options, progress io.Writer) *bench {
	b := &bench{options: o, progress: progress, core: -1, pinned: "not pinned: server and clients share the cores"}
	debug.SetGCPercent(400) // for the clients: their GC pauses would disturb the measurement
	cores := host.Cores()
	if len(cores) > 1 && host.Pin(cores[1:]) {
		b.core = cores[0]
		b.pinned = fmt.Sprintf("the server pinned to one core, the clients to %d other", len(cores)-1)
	}
	return b
}

// do measures a work. Each round measures all its sizes and variants, so that changes
// on the machine affect all of them.
func (b *bench) do(ctx context.Context, w work) error {
	m := &measured{work: w}
	for _, s := range w.cases {
		if c, ok := b.prepare(w, s); ok {
			m.cases = append(m.cases, c)
		}
	}
	b.measured = append(b.measured, m)
	for round := range b.rounds {
		for _, c := range m.cases {
			for n := range c.rows {
				r := c.rows[(n+round)%len(c.rows)] // so that no variant is always the first
				if err := b.measure(ctx, m, c, r); err != nil {
					return fmt.Errorf("%s of %s: %w", join(m.name, c.name), r.label, err)
				}
			}
		}
	}
	return nil
}

// prepare sets the size of a scenario and leaves out variants that were not asked
// for.
func (b *bench) prepare(w work, s scenario) (*measuredCase, bool) {
	s.plan.WarmUp, s.plan.Duration = b.warmUp, b.duration
	if b.quick {
		s.plan.Clients = max(4, s.plan.Clients/500)
		s.plan.Members /= 500
		s.plan.Rate /= 100
	} else if s.large {
		fits, reason := load.Fit(s.plan.Clients)
		if reason != "" {
			b.note(w.name + ": " + reason)
		}
		if fits == 0 {
			return nil, false
		}
		s.plan.Clients, s.plan.Members = fits, min(s.plan.Members, fits)
	}
	c := &measuredCase{scenario: s}
	for _, e := range s.entries {
		if len(b.variants) == 0 || slices.Contains(b.variants, e.variant) {
			c.rows = append(c.rows, &row{entry: e})
		}
	}
	return c, len(c.rows) > 0
}

func (b *bench) note(text string) {
	b.notes = append(b.notes, text)
	_, _ = fmt.Fprintln(b.progress, text)
}

// measure runs a variant once, in a new process.
func (b *bench) measure(ctx context.Context, m *measured, c *measuredCase, r *row) error {
	v, ok := server.Find(r.variant)
	if !ok {
		return fmt.Errorf("unknown variant %q", r.variant)
	}
	p, err := server.Start(ctx, v, b.core)
	if err != nil {
		return err
	}
	defer p.Stop()
	plan := c.plan
	if b.profile != "" {
		name := fmt.Sprintf("%s-%d-%s", m.name, plan.Clients, r.label)
		plan.Profile = filepath.Join(b.profile, strings.NewReplacer(", ", "-", " ", "-").Replace(name))
	}
	figures, err := r.drive(ctx, p, plan)
	if err != nil {
		return err
	}
	r.rounds = append(r.rounds, figures)
	_, _ = fmt.Fprintf(b.progress, "%s, round %d, %s: %s %s\n",
		join(m.name, c.name), len(r.rounds), r.label, figure(figures[m.metrics[0]]), m.metrics[0])
	return nil
}

func (m *measured) find(size string) *measuredCase {
	for _, c := range m.cases {
		if c.name == size {
			return c
		}
	}
	return nil
}

// actual returns the name of the size that was measured, if it differs from the
// wanted one.
func (c *measuredCase) actual() string {
	if c.name != "" && c.large {
		return fmt.Sprintf("%d connections", c.plan.Clients)
	}
	return c.name
}

// find returns the row with this label, or nil.
func (c *measuredCase) find(label string) *row {
	if c == nil {
		return nil
	}
	for _, r := range c.rows {
		if r.label == label {
			return r
		}
	}
	return nil
}

func (r *row) median(m load.Metric) float64 {
	var values []float64
	for _, figures := range r.rounds {
		values = append(values, figures[m])
	}
	return median(values)
}

func join(work, size string) string {
	if size == "" {
		return work
	}
	return work + ", " + size
}
