// Command rename moves the whole repository to another module path: every
// module, import, document, script and test. Run it in the root of the
// repository:
//
//	go run ./internal/tools/rename -to host/owner/gateway
//	go run ./internal/tools/rename -n -to host/owner/gateway   # only says what it would change
//
// It prints how often each file was changed, and the places that it left alone.
// On an error it changes nothing. docs/releasing.md says what to do afterwards.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
)

func main() {
	err := run(".", os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rename:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// run renames the repository whose root is dir.
func run(dir string, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("rename", flag.ContinueOnError)
	flags.SetOutput(usage)
	to := flags.String("to", "", "the new module `path` of the root module, as in github.com/owner/gateway")
	from := flags.String("from", "", "the present module `path` (default: that of the root's go.mod)")
	dryRun := flags.Bool("n", false, "change nothing, only say what would be changed")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q is not understood: write -to %[1]s", flags.Arg(0))
	}
	p, err := newPlan(dir, *from, *to)
	if err != nil {
		return err
	}
	if !*dryRun {
		if err := p.apply(os.WriteFile); err != nil {
			return err
		}
	}
	p.report(out, *dryRun)
	return nil
}

// report prints what the plan changes and what it leaves alone.
func (p *plan) report(out io.Writer, dryRun bool) {
	places := 0
	for _, e := range p.edits {
		_, _ = fmt.Fprintf(out, "%5d  %s\n", e.places, e.name)
		places += e.places
	}
	verb := "moved"
	if dryRun {
		verb = "would move"
	}
	_, _ = fmt.Fprintf(out, "%s %s to %s: %d places in %d files\n", verb, p.from, p.to, places, len(p.edits))
	if len(p.left) > 0 {
		_, _ = fmt.Fprintf(out, "left alone, because a URL names a host and a longer name is another path; look at them:\n")
		for _, l := range p.left {
			_, _ = fmt.Fprintf(out, "       %s\n", l)
		}
	}
	if base := path.Base(p.to); p.root != "" && base != p.root {
		_, _ = fmt.Fprintf(out, "the root package keeps its name, %s: users write it although the path ends in %s\n", p.root, base)
	}
}
