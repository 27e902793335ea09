// Command functions compares "gateway dev" with serverless-offline, on the same
// serverless.yml and the same handler for Node.js, which returns each message.
//
//	npm --prefix benchmarks/functions install
//	go run ./benchmarks/functions
//
// In each round both run, one after the other. Nothing is pinned: server, function and
// clients share all cores, as on the machine of a developer. Trust the ratios of a run,
// not its figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // this is main
	defer cancel()
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = o.run(ctx, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "functions:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// options are the values of the flags.
type options struct {
	gateway, npm string
	contenders   []string
	connections  []int
	rounds       int
	duration     time.Duration
}

func parse(args []string, usage io.Writer) (*options, error) {
	o := &options{contenders: []string{ours, peer}, connections: []int{1, 10, 50}}
	flags := flag.NewFlagSet("functions", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.gateway, "gateway", "", "the gateway program; it is built if empty")
	flags.StringVar(&o.npm, "npm", filepath.Join("benchmarks", "functions"), "folder with the node_modules that have serverless and serverless-offline")
	flags.Func("contenders", "who is measured, separated by commas (default all: "+strings.Join(o.contenders, ",")+")", func(list string) error {
		o.contenders = strings.Split(list, ",")
		return nil
	})
	flags.Func("connections", "how many, separated by commas (default 1,10,50)", func(list string) (err error) {
		o.connections = nil
		for text := range strings.SplitSeq(list, ",") {
			n, parsed := strconv.Atoi(text)
			if n < 1 {
				err = errors.Join(parsed, fmt.Errorf("%q is no number of connections", text))
			}
			o.connections = append(o.connections, n)
		}
		return err
	})
	flags.IntVar(&o.rounds, "rounds", 5, "rounds, in each of which all are measured")
	flags.DurationVar(&o.duration, "duration", 3*time.Second, "length of a measurement, after a third of it to warm up")
	quick := flags.Bool("quick", false, "one short round, to see that everything works")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if *quick {
		o.rounds, o.duration = 1, 100*time.Millisecond
	}
	return o, nil
}

// run measures, and writes the table to out and the progress to progress.
func (o *options) run(ctx context.Context, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "gateway-functions-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var all []*contender
	for _, name := range o.contenders {
		c, err := o.contender(ctx, name, dir)
		if err != nil {
			return err
		}
		all = append(all, c)
	}
	for round := range o.rounds {
		for n := range all {
			c := all[(n+round)%len(all)] // so that none is always the first
			f, err := o.measure(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rounds = append(c.rounds, f)
			_, _ = fmt.Fprintf(progress, "round %d, %s: first answer after %s ms, %s messages/s\n",
				round+1, c.name, figure(f[firstAnswer]), figure(f[perSecond(o.connections[len(o.connections)-1])]))
		}
	}
	return o.report(out, all)
}

// build builds the gateway, unless there is one.
func (o *options) build(ctx context.Context, dir string) (string, error) {
	if o.gateway != "" {
		return filepath.Abs(o.gateway)
	}
	program := filepath.Join(dir, "gateway")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "example.com/gateway/cmd/gateway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, text)
	}
	return program, nil
}
