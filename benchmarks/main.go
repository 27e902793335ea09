// Command benchmarks compares gateway with the alternatives that its users have. Each
// variant is a server process on one core, and all have the same clients.
//
//	go run ./benchmarks
//	go run ./benchmarks -work reply,idle -variants gateway,gws -rounds 1
//
// It prints a table for each work, and the ratios that the project aims for, worst
// first. With -out it also writes the results to table.md and chart.svg in that folder.
// Machines are noisy: trust the ratios of a run, not its figures.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/gateway/benchmarks/host"
	"example.com/gateway/benchmarks/server"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // this is main
	defer cancel()
	err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

func run(ctx context.Context) error {
	if name := os.Getenv(server.ProcessEnv); name != "" {
		return server.Run(ctx, name, host.Stdin(), os.Stdout)
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		return err
	}
	return o.benchmark(ctx, os.Stdout, os.Stderr)
}

// options are the values of the flags.
type options struct {
	works, variants  []string // empty: all
	rounds           int
	duration, warmUp time.Duration
	out, profile     string
	quick            bool
}

func parse(args []string, usage io.Writer) (*options, error) {
	var o options
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(usage)
	names := func(into *[]string) func(string) error {
		return func(list string) error {
			*into = strings.Split(list, ",")
			return nil
		}
	}
	flags.Func("work", "works to do, separated by commas: "+strings.Join(workNames(), ", ")+" (default all)", names(&o.works))
	flags.Func("variants", "variants to measure, separated by commas: "+strings.Join(variantNames(), ", ")+" (default all)", names(&o.variants))
	flags.IntVar(&o.rounds, "rounds", 5, "rounds, in each of which every variant is measured")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "length of a measurement, after a quarter of it to warm up")
	flags.StringVar(&o.out, "out", filepath.Join("benchmarks", "results"), "folder for table.md and chart.svg; none if empty")
	flags.StringVar(&o.profile, "profile", "", "folder for profiles of the servers, which slow them down; none if empty")
	flags.BoolVar(&o.quick, "quick", false, "one short round with a few connections, to see that everything works")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.rounds, o.duration = 1, 50*time.Millisecond
	}
	o.warmUp = o.duration / 4
	return &o, o.check()
}

func (o *options) check() error {
	for _, name := range o.works {
		if !slices.Contains(workNames(), name) {
			return fmt.Errorf("unknown work %q", name)
		}
	}
	for _, name := range o.variants {
		if !slices.Contains(variantNames(), name) {
			return fmt.Errorf("unknown variant %q", name)
		}
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: use at least 1", o.rounds)
	}
	return nil
}

func variantNames() []string {
	var names []string
	for _, v := range server.Variants() {
		names = append(names, v.Name)
	}
	return names
}

func workNames() []string {
	var names []string
	for _, w := range works() {
		names = append(names, w.name)
	}
	return names
}

// benchmark measures, and writes the results to out and the progress to progress.
func (o *options) benchmark(ctx context.Context, out, progress io.Writer) error {
	b := newBench(o, progress)
	for _, w := range works() {
		if len(o.works) > 0 && !slices.Contains(o.works, w.name) {
			continue
		}
		if err := b.do(ctx, w); err != nil {
			return err
		}
	}
	r := b.report()
	if err := r.writeText(out); err != nil || o.out == "" {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(o.out, "table.md"), r.writeMarkdown); err != nil {
		return err
	}
	return writeFile(filepath.Join(o.out, "chart.svg"), r.writeChart)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
