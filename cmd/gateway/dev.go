package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/gateway/cmd/gateway/internal/dev"
)

const devHelp = `Run a local API Gateway, with the APIs and functions of a definition.

FILE is a CloudFormation or SAM template, a serverless.yml, the output of
"cdk synth" or "sls package", or the folder of one of these. Its APIs are made,
and its functions run as processes of this machine: Node.js, Python, Go, and
other programs that speak the Lambda runtime API. When FILE changes, it is read
again, and when code changes, the next event gets the new code. Clients stay
connected.

Without FILE there is no API yet. Make it with an AWS SDK, the AWS CLI or
Terraform: what is printed at the start says how these reach this program.

Control plane, stages and @connections share one port. The second port serves
the same with TLS, for handlers that call https://{domainName}/{stage}: local
functions trust its certificate.

Only this machine can connect, unless --listen says otherwise. Then the calls of
the control plane and of @connections must be signed, as with
--verify-signatures: with the key pair in the environment variables
GATEWAY_ACCESS_KEY_ID and GATEWAY_SECRET_ACCESS_KEY, or else with one that is
made and printed at the start.

  SIGINT, SIGTERM, SIGHUP
                   stop: close the connections with 1001, run $disconnect, end
                   the functions. A second signal ends it at once.

Exit codes: 0 all is well, 1 it failed, 2 the command line is wrong, 3 FILE is wrong.`

func newDev() *cobra.Command {
	var o dev.Options
	var reading definitionFlags
	var autoResponses []string
	cmd := &cobra.Command{
		Use:   "dev [FILE]",
		Short: "Run a local API Gateway, with the APIs and functions of a definition",
		Long:  devHelp,
		Example: `  gateway dev                                  # an empty API Gateway for boto3, the CLI, Terraform
  gateway dev template.yaml                    # SAM or CloudFormation
  gateway dev cdk.out/ChatStack.template.json  # after "cdk synth"
  gateway dev serverless.yml --stage dev --env TABLE=local
  gateway dev . --state .gateway --parameter LogLevel=debug`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("%s: name one file, as in \"gateway dev template.yaml\"", cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.File = args[0]
			}
			return serveDev(cmd, o, &reading, autoResponses)
		},
	}
	addDevFlags(cmd.Flags(), &o, &reading, &autoResponses)
	return cmd
}

func serveDev(cmd *cobra.Command, o dev.Options, reading *definitionFlags, autoResponses []string) error {
	flags := cmd.Flags()
	o.FixedPort, o.FixedTLSPort = flags.Changed("port") && o.Port != 0, flags.Changed("tls-port") && o.TLSPort != 0
	if err := reading.read(&o); err != nil {
		return err
	}
	if _, err := pairs("env", o.Env); err != nil {
		return err
	}
	var err error
	if o.AutoResponses, err = pairs("auto-response", autoResponses); err != nil {
		return err
	}
	if o.Out = cmd.OutOrStdout(); o.Out == os.Stdout {
		o.Out = dev.Stdout()
	}
	o.Color = isTerminal(o.Out)
	return failed(dev.Run(cmd.Context(), o))
}

func addDevFlags(flags *pflag.FlagSet, o *dev.Options, reading *definitionFlags, autoResponses *[]string) {
	flags.SortFlags = false
	flags.IntVar(&o.Port, "port", dev.DefaultPort, "the `port` for everything; 0 for any free one. If the default is in use, another one is taken")
	flags.IntVar(&o.TLSPort, "tls-port", dev.DefaultTLSPort, "the `port` with TLS")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1", "listen on this `address`, too; with one that others reach, calls must be signed")
	flags.StringArrayVar(&o.Hosts, "host", nil, "a further `name` of this server, which a Host header may have; may be repeated")
	flags.StringArrayVar(&o.Origins, "origin", nil, "let pages of this `origin` connect, too, such as https://app.example.com, or *; may be repeated. Pages of localhost may")
	flags.StringArrayVar(&o.APIKeys, "api-key", nil, "a `value` for routes that require an API key, 20 to 128 characters; may be repeated")
	flags.StringVar(&o.State, "state", "", "keep APIs, certificate and code in this `folder` (default: in memory until the end)")
	flags.StringArrayVar(&o.Env, "env", nil, "set `NAME=value` in the environment of all functions, over what FILE says; may be repeated")
	flags.StringArrayVar(&o.PassEnv, "pass-env", nil, "give functions the variable `NAME` of your environment, such as AWS_PROFILE; may be repeated")
	reading.add(flags, o)
	flags.BoolVar(&o.VerifySignatures, "verify-signatures", false, "refuse calls of the control plane and of @connections without a right AWS signature")
	flags.BoolVar(&o.AnswerCommands, "answer-commands", false, "let the headers of answers change connections, and post: Gateway-Join, Gateway-Leave, Gateway-State, Gateway-Post, Gateway-Close")
	flags.BoolVar(&o.ManagementExtensions, "management-extensions", false, "open the calls of @connections that AWS does not have: lists, audiences, batches, groups, state")
	flags.BoolVar(&o.BinaryMessages, "binary-messages", false, "let clients send bytes, too, which AWS refuses")
	flags.BoolVar(&o.Compression, "compression", false, "let clients agree on permessage-deflate, which AWS does not have")
	flags.StringArrayVar(autoResponses, "auto-response", nil, "answer the message text at once, without a route, as `text=answer`; may be repeated")
	flags.BoolVar(&o.Quiet, "quiet", false, "print no lines for events and calls that went well")
	flags.BoolVar(&o.ShowBodies, "show-bodies", false, "print messages and answers, too: they may have secrets")
	flags.BoolVar(&o.Debug, "debug", false, "print what else happens inside")
}

// isTerminal reports whether w is a terminal that wants colors: see no-color.org.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
