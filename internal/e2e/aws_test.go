//go:build unix

package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// neverIssued returns an ID that differs from an issued one in its first character.
func neverIssued(connectionID string) string {
	if connectionID[0] == 'A' {
		return "B" + connectionID[1:]
	}
	return "A" + connectionID[1:]
}

// awsEnvironment keeps the clients from any configuration and network but ours.
func awsEnvironment(t *testing.T) []string {
	t.Helper()
	empty := t.TempDir() + "/none"
	return append(os.Environ(),
		"AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", "AWS_SESSION_TOKEN=",
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+empty, "AWS_SHARED_CREDENTIALS_FILE="+empty, "AWS_PAGER=",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
}

// connectionJSON is what get-connection shows.
type connectionJSON struct {
	ConnectedAt  time.Time `json:"connectedAt"`
	LastActiveAt time.Time `json:"lastActiveAt"`
	Identity     struct {
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	} `json:"identity"`
}

func (c connectionJSON) require(t *testing.T, since time.Time) {
	t.Helper()
	require.Equal(t, "127.0.0.1", c.Identity.SourceIP)
	require.WithinRange(t, c.ConnectedAt, since.Truncate(time.Millisecond), time.Now())
	require.WithinRange(t, c.LastActiveAt, c.ConnectedAt, time.Now())
}

func TestAWSCLI(t *testing.T) {
	outside(t)
	const install = "apt-get install awscli (version 2)"
	aws := findTool(t, install, "/usr/bin/aws", "aws")
	environment := awsEnvironment(t)
	version := exec.CommandContext(t.Context(), aws, "--version")
	version.Env = environment
	out, err := version.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if !strings.HasPrefix(string(out), "aws-cli/2.") {
		missing(t, "AWS CLI version 2", install)
	}
	since := time.Now()
	chat := startChat(t, "chat")
	c := chat.dial(t)

	// call returns the exit status, stdout and stderr of one call.
	call := func(operation, connectionID string, more ...string) (int, string, string) {
		args := append([]string{
			"apigatewaymanagementapi", operation, "--endpoint-url", chat.endpoint(),
			"--connection-id=" + connectionID, "--output", "json", // with "=": an ID may begin with "-"
		}, more...)
		cmd := exec.CommandContext(t.Context(), aws, args...)
		cmd.Env = environment
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
		}
		return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	}
	post := []string{"--cli-binary-format", "raw-in-base64-out", "--data", "hello from the AWS CLI"}

	status, stdout, stderr := call("post-to-connection", c.connectionID, post...)
	require.Zero(t, status, stderr)
	require.Empty(t, stdout)
	require.Equal(t, "hello from the AWS CLI", c.line(t, 1))

	status, stdout, stderr = call("get-connection", c.connectionID)
	require.Zero(t, status, stderr)
	var got connectionJSON
	require.NoError(t, json.Unmarshal([]byte(stdout), &got), stdout)
	got.require(t, since)

	status, stdout, stderr = call("delete-connection", c.connectionID)
	require.Zero(t, status, stderr)
	require.Empty(t, stdout)
	c.waitEnd(t)
	chat.stderr.contains(t, "disconnected", c.connectionID, "status=1000")

	status, stdout, stderr = call("post-to-connection", c.connectionID, post...)
	require.Equal(t, 254, status, "a service error")
	require.Empty(t, stdout)
	require.Contains(t, stderr, "(GoneException)")

	invented := neverIssued(c.connectionID)
	status, stdout, stderr = call("get-connection", invented)
	require.Equal(t, 254, status, "a service error")
	require.Empty(t, stdout)
	require.Contains(t, stderr, "(BadRequestException)")
	require.Contains(t, stderr, "Invalid connectionId: "+invented)
}

func TestBoto3(t *testing.T) {
	outside(t)
	python := findTool(t, "apt-get install python3", "/usr/bin/python3", "python3")
	if err := exec.CommandContext(t.Context(), python, "-c", "import boto3").Run(); err != nil {
		missing(t, "boto3", "apt-get install python3-boto3")
	}
	since := time.Now()
	chat := startChat(t, "chat")
	c := chat.dial(t)
	client := startBoto3(t, python, chat.endpoint())

	posted := client.call(t, boto3Call{"post_to_connection", c.connectionID, "hello from boto3"})
	require.Equal(t, 200, posted.ResponseMetadata.HTTPStatusCode)
	require.Equal(t, "hello from boto3", c.line(t, 1))

	got := client.call(t, boto3Call{"get_connection", c.connectionID, ""})
	require.Equal(t, 200, got.ResponseMetadata.HTTPStatusCode)
	got.require(t, since)

	deleted := client.call(t, boto3Call{"delete_connection", c.connectionID, ""})
	require.Equal(t, 204, deleted.ResponseMetadata.HTTPStatusCode)
	c.waitEnd(t)
	chat.stderr.contains(t, "disconnected", c.connectionID, "status=1000")

	invented := neverIssued(c.connectionID)
	for operation, data := range map[string]string{"post_to_connection": "too late", "get_connection": "", "delete_connection": ""} {
		gone := client.call(t, boto3Call{operation, c.connectionID, data})
		require.Equal(t, 410, gone.ResponseMetadata.HTTPStatusCode, operation)
		require.Equal(t, "GoneException", gone.Class, operation)

		invalid := client.call(t, boto3Call{operation, invented, data})
		require.Equal(t, 400, invalid.ResponseMetadata.HTTPStatusCode, operation)
		require.Equal(t, "BadRequestException", invalid.Error.Code, operation)
		require.Equal(t, "Invalid connectionId: "+invented, invalid.Error.Message, operation)
	}
}

// boto3Client is a boto3 behind connections.py.
type boto3Client struct {
	*process
	stdin    io.Writer
	outcomes int // how many have been read
}

type boto3Call struct {
	Operation    string `json:"operation"`
	ConnectionID string `json:"connectionId"`
	Data         string `json:"data,omitempty"`
}

type boto3Outcome struct {
	connectionJSON
	Class            string // of the exception
	Error            struct{ Code, Message string }
	ResponseMetadata struct {
		HTTPStatusCode, RetryAttempts int
		RequestID                     string `json:"RequestId"`
	}
}

func startBoto3(t *testing.T, python, endpoint string) *boto3Client {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "connections.py", endpoint)
	cmd.Env = awsEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	return &boto3Client{process: start(t, cmd), stdin: stdin}
}

func (b *boto3Client) call(t *testing.T, c boto3Call) (o boto3Outcome) {
	t.Helper()
	require.NoError(t, json.NewEncoder(b.stdin).Encode(c))
	require.NoError(t, json.Unmarshal([]byte(b.next(t, &b.outcomes)), &o))
	require.Zero(t, o.ResponseMetadata.RetryAttempts, "%+v", c)
	require.NotEmpty(t, o.ResponseMetadata.RequestID, "%+v", c)
	return o
}
