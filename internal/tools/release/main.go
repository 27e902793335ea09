// Command release prepares a release, and tries it. Run it in the root of the repository:
//
//	go run ./internal/tools/release -try               # would a release work?
//	go run ./internal/tools/release -version v0.1.0    # writes the version into the go.mod files
//
// A nested module such as jwtauthorizer requires the root module. In the repository, a
// replace directive and go.work replace the required version by the root folder, so it
// does not matter. A program that imports the nested module gets the required version.
// So -version writes the version, and prints the tags to set.
//
// With -try the command does the same in a copy of the repository. It puts every released
// module into a module proxy made of files, and uses each in a new module, with go get
// and without replace, as a user would.
// modules.txt says which modules are released. docs/releasing.md has all steps of a
// release.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt) //nolint:forbidigo // this is main
	defer cancel()
	err := run(ctx, ".", os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// run prepares or tries a release of the repository whose root is dir.
func run(ctx context.Context, dir string, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(usage)
	version := flags.String("version", "", "the `version` of the release, as in v0.1.0 (with -try: v0.0.1 if there is none)")
	trying := flags.Bool("try", false, "try the release in a copy, and change nothing here")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("argument %q is not understood: write -version %[1]s", flags.Arg(0))
	}
	if *trying {
		if *version == "" {
			*version = "v0.0.1"
		}
		return try(ctx, dir, *version, os.Environ(), out)
	}
	r, err := load(dir)
	if err != nil {
		return err
	}
	if err := r.prepare(*version, out); err != nil {
		return err
	}
	r.printTags(*version, out)
	return nil
}
