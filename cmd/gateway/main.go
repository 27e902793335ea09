// Command gateway serves WebSocket APIs as Amazon API Gateway does. "gateway help" lists its
// commands, and docs/serve.md in the repository describes its configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"example.com/gateway/cmd/gateway/internal/config"
	"example.com/gateway/cmd/gateway/internal/dev"
)

// The exit codes.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitConfiguration
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) //nolint:forbidigo // this is main
}

// run runs one command and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, log io.Writer) int {
	root := newRoot() //nolint:contextcheck // each command has the context of ExecuteContext
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(log)
	err := root.ExecuteContext(ctx)
	var problems config.Error
	var file *dev.FileError
	var failed failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &problems):
		_, _ = fmt.Fprintln(log, problems)
		return exitConfiguration
	case errors.As(err, &file):
		_, _ = fmt.Fprintln(log, file)
		return exitConfiguration
	case errors.As(err, &failed):
		_, _ = fmt.Fprintln(log, "gateway:", failed.error)
		return exitFailed
	default: // cobra's own: an unknown command, a wrong flag
		_, _ = fmt.Fprintf(log, "gateway: %v\nRun \"gateway help\" for the commands and their flags.\n", err)
		return exitUsage
	}
}

// failure is an error of a command that was used as it should be.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gateway",
		Short: "Serve WebSocket APIs as Amazon API Gateway does",
		Long: `Serve WebSocket APIs as Amazon API Gateway does.

  gateway dev template.yaml                                 run the API and the functions of a definition here
  gateway serve gateway.yaml                                serve an API
  gateway validate gateway.yaml                             check its configuration
  gateway send ws://localhost:8080/prod '{"action":"echo"}' try it`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.Version = version()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newDev(), newServe(), newValidate(), newSend(), newVersion())
	return root
}
