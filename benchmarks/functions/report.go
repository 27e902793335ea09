package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"example.com/gateway/benchmarks/host"
)

// figures are what was measured in a round, by their names.
type figures map[string]float64

// The names of figures that do not depend on the number of connections.
const (
	ready       = "ready, ms"
	firstAnswer = "first answer of a function, ms"
	memoryFirst = "memory after the first answer, MB"
	memoryLoad  = "memory after the load, MB"
	processes   = "processes after the load"
)

func perSecond(connections int) string { return named(connections, "messages a second") }
func p50(connections int) string       { return named(connections, "p50, ms") }
func p99(connections int) string       { return named(connections, "p99, ms") }
func cpuEach(connections int) string   { return named(connections, "CPU of a message, µs") }

func named(connections int, what string) string {
	if connections == 1 {
		return "1 connection: " + what
	}
	return strconv.Itoa(connections) + " connections: " + what
}

// measure runs a contender once.
func (o *options) measure(ctx context.Context, c *contender) (figures, error) {
	r, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	f := figures{ready: milliseconds(r.ready)}
	if f[firstAnswer], err = r.first(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.output())
	}
	f[memoryFirst] = usageOf(r.cmd.Process.Pid).memory / (1 << 20)
	for _, n := range o.connections {
		before := usageOf(r.cmd.Process.Pid).cpu
		got, err := measure(ctx, r.url, n, o.duration/3, o.duration)
		if err != nil {
			return nil, fmt.Errorf("%d connections: %w", n, err)
		}
		used := usageOf(r.cmd.Process.Pid).cpu - before
		f[perSecond(n)] = got.perSecond
		f[p50(n)], f[p99(n)] = milliseconds(got.p50), milliseconds(got.p99)
		f[cpuEach(n)] = float64(used.Microseconds()) / float64(got.all)
	}
	u := usageOf(r.cmd.Process.Pid)
	f[memoryLoad], f[processes] = u.memory/(1<<20), float64(u.processes)
	return f, nil
}

// first returns how long the first client waits from its first byte to its first answer,
// for which the function has to start.
func (r *running) first(ctx context.Context) (float64, error) {
	began := time.Now()
	c, err := connect(ctx, r.url)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.conn.Close(websocket.StatusNormalClosure, "") }()
	err = c.say(ctx)
	return milliseconds(time.Since(began)), err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// report prints a table in Markdown: the medians of the rounds, and how many times better
// ours is, as the median of the ratios of the rounds.
func (o *options) report(out io.Writer, all []*contender) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s/%s, %d cores (%s); nothing is pinned. Medians of %d rounds of %s for each number of connections; a ratio is the median of those of the rounds.",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), host.CPU(), o.rounds, o.duration)
	for _, c := range all {
		if c.version != "" {
			fmt.Fprintf(&b, " %s is %s.", c.name, c.version)
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(load), " ")
		fmt.Fprintf(&b, " At the end, %s tasks ran or wanted to run on this machine.", one)
	}
	b.WriteString("\n\n| |")
	for _, c := range all {
		fmt.Fprintf(&b, " %s |", c.name)
	}
	b.WriteString(" gateway is better by |\n|---|" + strings.Repeat("--:|", len(all)+1) + "\n")
	for _, name := range o.names() {
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range all {
			fmt.Fprintf(&b, " %s |", figure(median(c.values(name))))
		}
		fmt.Fprintf(&b, " %s |\n", better(name, all))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// names returns the figures in their order.
func (o *options) names() []string {
	names := []string{ready, firstAnswer}
	for _, n := range o.connections {
		names = append(names, perSecond(n), p50(n), p99(n), cpuEach(n))
	}
	return append(names, memoryFirst, memoryLoad, processes)
}

func (c *contender) values(name string) []float64 {
	var values []float64
	for _, f := range c.rounds {
		values = append(values, f[name])
	}
	return values
}

// better compares ours with the other contender, if both are there.
func better(name string, all []*contender) string {
	us := slices.IndexFunc(all, func(c *contender) bool { return c.name == ours })
	them := slices.IndexFunc(all, func(c *contender) bool { return c.name != ours })
	if us < 0 || them < 0 || name == processes {
		return ""
	}
	var ratios []float64
	for n, a := range all[us].values(name) {
		b := all[them].values(name)[n]
		if strings.HasSuffix(name, "a second") {
			a, b = b, a
		}
		ratios = append(ratios, b/a)
	}
	return strconv.FormatFloat(median(ratios), 'f', 1, 64) + "×"
}

// median returns the median, or NaN of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// figure formats a value with three digits or more.
func figure(v float64) string {
	digits := 0
	switch {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v):
	case math.Abs(v) < 10:
		digits = 2
	case math.Abs(v) < 100:
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if v >= 1000 {
		text = text[:len(text)-3] + "," + text[len(text)-3:]
	}
	return text
}
