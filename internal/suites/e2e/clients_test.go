//go:build unix

package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// awsCall is one call of @connections, for any of the clients.
type awsCall struct {
	Endpoint        string `json:"endpoint"`
	Operation       string `json:"operation"` // post, get or delete
	ConnectionID    string `json:"connectionId"`
	Data            []byte `json:"data"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
	Unsigned        bool   `json:"unsigned"`
}

// awsOutcome is what the caller sees.
type awsOutcome struct {
	Status     int             `json:"status"` // 0: the client does not report it
	Class      string          `json:"class"`  // of the error, in the client's language
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	Connection *connectionJSON `json:"connection"`
}

// awsClient calls one of the published clients, unmodified.
type awsClient func(t *testing.T, c awsCall) awsOutcome

// awsClients returns how to start each of them.
func awsClients() map[string]func(t *testing.T) awsClient {
	return map[string]func(t *testing.T) awsClient{
		"AWS CLI":            startCLI,
		"boto3":              startBoto3,
		"AWS SDK for Go":     startSDKForGo,
		"AWS SDK for JS, v3": startSDKForJS,
	}
}

// awsEnvironment returns an environment that keeps the clients from using any other
// configuration or network.
func awsEnvironment(t *testing.T, more ...string) []string {
	t.Helper()
	empty := t.TempDir() + "/none"
	return append(append(os.Environ(),
		"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_SESSION_TOKEN=",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+empty, "AWS_SHARED_CREDENTIALS_FILE="+empty, "AWS_PAGER=",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"), more...)
}

func startBoto3(t *testing.T) awsClient {
	t.Helper()
	return startDriver(t, exec.CommandContext(t.Context(), findBoto3(t), "connections.py"))
}

// findBoto3 returns the Python that has boto3.
func findBoto3(t *testing.T) string {
	t.Helper()
	python := findTool(t, "apt-get install python3", "/usr/bin/python3", "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		missing(t, "boto3", "apt-get install python3-boto3")
	}
	return python
}

func startSDKForJS(t *testing.T) awsClient {
	t.Helper()
	findModule(t, "@aws-sdk/client-apigatewaymanagementapi/package.json")
	return startDriver(t, exec.CommandContext(t.Context(), findTool(t, "install Node.js 20 or newer", "node"), "clients.mjs"))
}

func startSDKForGo(t *testing.T) awsClient {
	t.Helper()
	return startDriver(t, exec.CommandContext(t.Context(), buildAWSClient(t, ".")))
}

// startDriver starts a program that reads one call from each line and writes one outcome for
// each.
func startDriver(t *testing.T, cmd *exec.Cmd) awsClient {
	t.Helper()
	cmd.Env = awsEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	p, outcomes := start(t, cmd), 0
	return func(t *testing.T, c awsCall) (o awsOutcome) {
		t.Helper()
		require.NoError(t, json.NewEncoder(stdin).Encode(c))
		require.NoError(t, json.Unmarshal([]byte(p.next(t, &outcomes)), &o))
		return o
	}
}

// cliError matches the AWS CLI's output for an error of a service.
var cliError = regexp.MustCompile(`An error occurred \(([^)]+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: ?(?s)(.*)`)

// findCLI returns the AWS CLI.
func findCLI(t *testing.T) string {
	t.Helper()
	const install = "apt-get install awscli (version 2)"
	aws := findTool(t, install, "/usr/bin/aws", "aws")
	version := exec.CommandContext(t.Context(), aws, "--version")
	version.Env = awsEnvironment(t)
	out, err := version.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if !strings.HasPrefix(string(out), "aws-cli/2.") {
		missing(t, "AWS CLI version 2", install)
	}
	return aws
}

// startCLI returns the AWS CLI, which is started for each call.
func startCLI(t *testing.T) awsClient {
	t.Helper()
	aws := findCLI(t)
	return func(t *testing.T, c awsCall) (o awsOutcome) {
		t.Helper()
		operation := map[string]string{"post": "post-to-connection", "get": "get-connection", "delete": "delete-connection"}[c.Operation]
		args := []string{
			"apigatewaymanagementapi", operation, "--endpoint-url", c.Endpoint, "--output", "json",
			"--connection-id=" + c.ConnectionID, // with "=": an ID may begin with "-"
		}
		if c.Operation == "post" {
			data := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.WriteFile(data, c.Data, 0o600))
			args = append(args, "--data", "fileb://"+data)
		}
		if c.Unsigned {
			args = append(args, "--no-sign-request")
		}
		cmd := exec.CommandContext(t.Context(), aws, args...)
		cmd.Env = awsEnvironment(t, "AWS_ACCESS_KEY_ID="+c.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey)
		if c.SessionToken != "" {
			cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+c.SessionToken)
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err == nil {
			if c.Operation == "get" {
				require.NoError(t, json.Unmarshal(stdout.Bytes(), &o.Connection), stdout.String())
			}
			return o
		}
		require.Equal(t, 254, cmd.ProcessState.ExitCode(), "a service error; %s", stderr.String())
		require.Empty(t, stdout.String())
		said := cliError.FindStringSubmatch(stderr.String())
		require.NotNil(t, said, stderr.String())
		o.Code, o.Message = said[1], strings.TrimSpace(said[2])
		return o
	}
}
