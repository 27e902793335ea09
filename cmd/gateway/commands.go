package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/gateway/cmd/gateway/internal/client"
	"example.com/gateway/cmd/gateway/internal/config"
	"example.com/gateway/cmd/gateway/internal/dev"
	"example.com/gateway/cmd/gateway/internal/server"
)

const exitCodes = `

Exit codes: 0 all is well, 1 it failed, 2 the command line is wrong, 3 the configuration is wrong.`

func newServe() *cobra.Command {
	return &cobra.Command{
		Use:   "serve CONFIG",
		Short: "Serve the API that a configuration describes",
		Long: `Serve the API that a configuration describes.

The whole configuration is checked before a port opens: each mistake is printed
with its file, its line and what to do. docs/serve.md describes all keys.

  SIGTERM, SIGINT  stop: refuse new connections, close the open ones with 1001,
                   wait for $disconnect. A second signal stops at once.
  SIGHUP           read the configuration and the certificates again. Open
                   connections stay open. What needs a restart is logged.` + exitCodes,
		Example: "  gateway serve /etc/gateway/gateway.yaml",
		Args:    oneFile,

		ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dev.IsDefinition(args[0]) {
				return fmt.Errorf("%s is a definition, and no configuration of a server: run it with \"gateway dev %[1]s\"", args[0])
			}
			return failed(server.Run(cmd.Context(), args[0], cmd.ErrOrStderr()))
		},
	}
}

func newValidate() *cobra.Command {
	var options config.Options
	var o dev.Options
	var reading definitionFlags
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration or a definition without running it",
		Long: `Check a configuration or a definition without running it.

FILE is a configuration of "gateway serve", or a definition that "gateway dev"
reads: a template of CloudFormation or SAM, a serverless.yml, or a folder.

Mistakes are printed with file, line and what to do: in a configuration all of
them, in a definition those of the first step that finds any. Warnings are
about what is allowed but probably a mistake; they do not change the exit code.` + exitCodes,
		Example: `  gateway validate gateway.yaml
  gateway validate --without-secrets gateway.yaml   # in CI
  gateway validate template.yaml --strict`,
		Args: oneFile,

		ValidArgsFunction: completeYAML,
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := "", reading.read(&o)
			if err != nil {
				return err
			}
			definition := dev.IsDefinition(args[0])
			if _, missing := os.Stat(args[0]); missing == nil {
				if err := fitting(cmd, definition); err != nil {
					return err
				}
			}
			if definition {
				o.File = args[0]
				summary, err = dev.Check(cmd.Context(), o, cmd.ErrOrStderr())
			} else {
				summary, err = validateConfiguration(cmd, args[0], options)
			}
			if err == nil {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), summary)
			}
			return failed(err)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&options.WithoutSecrets, withoutSecrets, false, "do not read the environment variables and files that have secrets and certificates")
	reading.add(flags, &o)
	return cmd
}

// withoutSecrets is the only flag of validate that is not for definitions.
const withoutSecrets = "without-secrets"

// fitting refuses flags that have no meaning for the kind of FILE.
func fitting(cmd *cobra.Command, definition bool) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case err != nil || f.Name == "help" || (f.Name == withoutSecrets) != definition:
		case definition:
			err = fmt.Errorf("--%s is for a configuration of \"gateway serve\", and FILE is a definition: remove the flag", f.Name)
		default:
			err = fmt.Errorf("--%s is for definitions, and FILE seems to be a configuration of \"gateway serve\", because it has no Resources and no service: remove the flag", f.Name)
		}
	})
	return err
}

func validateConfiguration(cmd *cobra.Command, file string, options config.Options) (summary string, err error) {
	built, warnings, err := config.Load(file, options, &config.Builder{})
	if err != nil {
		return "", err
	}
	for _, w := range warnings {
		cmd.PrintErrln(w.String() + " (a warning)")
	}
	return fmt.Sprintf("%s is valid: stage %s, %d routes", file, built.Stage, len(built.Deployment.Routes)), nil
}

// oneFile wants one argument.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s: name one file, as in \"%s\"", cmd.CommandPath(), cmd.UseLine())
	}
	return nil
}

// completeYAML completes the argument with the names of YAML files.
func completeYAML(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

func newSend() *cobra.Command {
	o := client.Options{}
	cmd := &cobra.Command{
		Use:   "send URL [MESSAGE]...",
		Short: "Connect as a client, send messages, print what comes",
		Long: `Connect as a client, send messages, and print what comes, one line each.

A MESSAGE of - stands for the lines of the standard input. What happens to the
connection is printed to the standard error. A binary message that comes is
printed in base64, behind "binary: ".

The exit code is 0 if the connection was accepted and then closed by this
command or with 1000; it is 1 if it was refused, if it broke off, or if fewer
messages than --count came.`,
		Example: `  gateway send ws://localhost:8080/prod '{"action":"echo","text":"hello"}'
  gateway send --count 1 --wait 5s -H 'Authorization: Bearer …' wss://api.example.com/prod '{"action":"ping"}'
  tail -f events.jsonl | gateway send ws://localhost:8080/prod -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s: name the URL, as in \"gateway send ws://localhost:8080/prod\"", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.URL, o.Messages = args[0], args[1:]
			o.In, o.Out, o.Log = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			err := client.Run(cmd.Context(), o)
			if errors.Is(err, client.ErrUsage) {
				return err
			}
			return failed(err)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Binary, "binary", false, "send binary messages: each MESSAGE, or line, is its base64")
	flags.StringArrayVarP(&o.Header, "header", "H", nil, "add a header to the upgrade, as \"Name: value\"; may be repeated")
	flags.StringVar(&o.Origin, "origin", "", "connect as a page of this `origin`, such as https://app.example.com")
	flags.StringArrayVar(&o.Subprotocol, "subprotocol", nil, "offer a subprotocol; may be repeated")
	flags.BoolVar(&o.Compress, "compress", false, "offer to compress messages, and say what the server answers")
	flags.DurationVar(&o.Wait, "wait", 2*time.Second, "how long to wait for messages after the last one was sent")
	flags.IntVar(&o.Count, "count", 0, "end after this many messages; fewer are a failure (default: all that come within --wait)")
	flags.DurationVar(&o.Connect, "connect-timeout", 10*time.Second, "how long connecting may take")
	flags.StringVar(&o.CA, "ca", "", "trust the certificates in this PEM `file`, too")
	flags.BoolVar(&o.Insecure, "insecure", false, "trust any certificate: only for tests")
	return cmd
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return failed(err)
		},
	}
}

// version is what "gateway version" and "gateway --version" print.
func version() string {
	version, revision := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = ", commit " + s.Value
			}
		}
	}
	return fmt.Sprintf("gateway %s%s, %s, %s/%s", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// failed marks an error as no mistake in the command line, unless it is one.
func failed(err error) error {
	if err == nil || errors.As(err, new(*dev.UsageError)) {
		return err
	}
	return failure{err}
}
