package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"example.com/gateway/benchmarks/host"
	"example.com/gateway/benchmarks/load"
	"example.com/gateway/benchmarks/server"
)

// report is the result of the benchmark, before it is formatted.
type report struct {
	setting  []string // sentences that say where and how it was measured
	verdicts []verdict
	tables   []table
	tunings  []string // one for each variant
	bars     []group
}

// table has a row for each entry of a work in one size.
type table struct {
	title, about string
	head         []string
	rows         [][]string
}

// group is a part of the chart: how many times better our variant is than each other
// one.
type group struct {
	title string
	bars  []bar
}

type bar struct {
	label string
	times float64
}

func (b *bench) report() *report {
	r := &report{setting: b.setting()}
	for _, m := range b.measured {
		r.verdicts = append(r.verdicts, m.judge()...)
		growing := group{title: join(m.name, string(m.metrics[0])+", against the fewest connections")}
		for _, c := range m.cases {
			r.tables = append(r.tables, c.table(m))
			if g := c.group(m); len(g.bars) > 0 {
				r.bars = append(r.bars, g)
			}
			if us, first := c.find(ours), m.cases[0].find(ours); us != nil && us != first && m.grows() {
				growing.bars = append(growing.bars, bar{c.actual(), better(us, first, m.metrics[0])})
			}
		}
		if len(growing.bars) > 0 {
			r.bars = append(r.bars, growing)
		}
	}
	worstFirst(r.verdicts)
	versions := moduleVersions()
	for _, v := range server.Variants() {
		name := v.Name
		if v.Module != "" {
			name += " (" + strings.TrimSpace(v.Module+" "+versions[v.Module]) + ")"
		}
		r.tunings = append(r.tunings, name+": "+v.Tuning+".")
	}
	return r
}

// grows reports whether targets compare sizes with each other.
func (m *measured) grows() bool {
	return slices.ContainsFunc(m.targets, func(t target) bool { return t.againstSize != "" })
}

func (b *bench) setting() []string {
	sentences := []string{
		fmt.Sprintf("%s, %s/%s, %d cores (%s); %s.", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), host.CPU(), b.pinned),
		fmt.Sprintf("Medians of %d rounds of %v each, after %v to warm up; a ratio is the median of those of the rounds.", b.rounds, b.duration, b.warmUp),
	}
	for _, n := range b.notes {
		sentences = append(sentences, n+".")
	}
	if idle, all := b.disturbed(); idle > 0 {
		sentences = append(sentences, fmt.Sprintf("The machine had other work: in %d of %d measurements that should take all of a core, "+
			"neither the server nor the clients did.", idle, all))
	}
	return sentences
}

// disturbed counts the measurements with an unlimited load, and those of them in
// which neither the server nor the clients had a core to themselves.
func (b *bench) disturbed() (idle, all int) {
	const full = 85 // percent
	for _, m := range b.measured {
		for _, c := range m.cases {
			if c.plan.Rate > 0 || !slices.Contains(m.metrics, load.LoadBusy) {
				continue
			}
			for _, r := range c.rows {
				for _, f := range r.rounds {
					all++
					if f[load.Busy] < full && f[load.LoadBusy] < full {
						idle++
					}
				}
			}
		}
	}
	return idle, all
}

func (c *measuredCase) table(m *measured) table {
	t := table{title: join(m.name, c.actual()), about: m.about, head: []string{"variant"}}
	for _, metric := range m.metrics {
		t.head = append(t.head, string(metric))
	}
	us := c.find(ours)
	if us != nil && len(c.rows) > 1 {
		t.head = append(t.head, "gateway is better by")
	}
	for _, r := range c.rows {
		cells := []string{r.label}
		for _, metric := range m.metrics {
			cells = append(cells, figure(r.median(metric)))
		}
		switch {
		case us != nil && r.variant != ours:
			cells = append(cells, fmt.Sprintf("%.2f×", better(us, r, m.metrics[0])))
		case len(c.rows) > 1:
			cells = append(cells, "")
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

func (c *measuredCase) group(m *measured) group {
	g := group{title: join(join(m.name, c.actual()), string(m.metrics[0]))}
	us := c.find(ours)
	for _, r := range c.rows {
		if us != nil && r.variant != ours {
			g.bars = append(g.bars, bar{r.label, better(us, r, m.metrics[0])})
		}
	}
	return g
}

// better returns how many times better a is than b.
func better(a, b *row, m load.Metric) float64 {
	if m.Less() {
		return ratio(b, a, m)
	}
	return ratio(a, b, m)
}

// figure writes a number with about three digits, but never without a digit before
// the point.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.Abs(v) < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case math.Abs(v) < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for n := len(digits) - 3; n > 0 && digits[n-1] != '-'; n -= 3 {
		digits = digits[:n] + "," + digits[n:]
	}
	return digits
}

// moduleVersions returns the versions of the modules in this program.
func moduleVersions() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, m := range info.Deps {
		if m.Version != "(devel)" && m.Version != "v0.0.0" {
			versions[m.Path] = m.Version
		}
	}
	return versions
}
