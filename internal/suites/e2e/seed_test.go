//go:build unix

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
	"example.com/gateway/internal/wsconn"
)

// startDev builds the command, and runs "gateway dev" on ports of its own. It returns the
// base URL of everything.
func startDev(t *testing.T, args ...string) (p *process, url string) {
	t.Helper()
	return startDevWith(t, nil, args...)
}

// startDevWith is startDev with further variables of the environment.
func startDevWith(t *testing.T, env []string, args ...string) (p *process, url string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "gateway")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".")
	build.Dir = "../../../cmd/gateway" // a module of its own
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"dev", "--port", "0", "--tls-port", "0"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	p = start(t, cmd)
	_, ready, found := strings.Cut(p.stdout.contains(t, "ready in ", " ms "), "http://")
	require.True(t, found, p.stdout)
	address, _, _ := strings.Cut(ready, ",")
	return p, "http://" + address
}

// runSeed runs the example with boto3.
func runSeed(t *testing.T, url string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), findBoto3(t), "../../../examples/boto3/create_api.py")
	cmd.Env = append(keyEnvironment(t), "GATEWAY_URL="+url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The script makes no stage. A client that connects then gets 403, as on AWS, and the log
// says the command that is missing. After it, the client talks to the functions, which post
// back as on AWS.
func TestSeed_boto3(t *testing.T) {
	outside(t)
	gateway, url := startDev(t, "../../../examples/boto3/functions.yaml")
	output, err := runSeed(t, url)
	require.NoError(t, err, output)
	words := strings.Fields(output)
	require.Len(t, words, 3)
	api, deployment, endpoint := words[0], words[1], words[2]
	gateway.stdout.contains(t, "the service refuses this payloadFormatVersion for WebSocket APIs")

	_, answer, err := wsconn.Dial(t.Context(), endpoint+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	_, advice, _ := strings.Cut(gateway.stdout.contains(t, "a client got 403", "do="), "do=aws ")
	require.Equal(t, "apigatewayv2 create-stage --api-id "+api+" --stage-name prod --deployment-id "+deployment, advice)

	cmd := exec.CommandContext(t.Context(), findCLI(t), append(strings.Fields(advice), "--endpoint-url", url)...)
	cmd.Env = keyEnvironment(t)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	ws := dialEcho(t, endpoint+"/prod")
	require.Equal(t, "hello", ws.say("hello"))
	require.NoError(t, ws.Close(1000, ""))
	gateway.stdout.contains(t, "disconnect_lambda", "goodbye")
	gateway.stdout.contains(t, "$disconnect", " 200 ")
}

func dialEcho(t *testing.T, address string) *peer {
	t.Helper()
	ws, _, err := wsconn.Dial(t.Context(), address, wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	t.Cleanup(ws.CloseNow)
	return &peer{Client: ws, t: t}
}

// With --strict, the script is refused as on AWS.
func TestSeed_Strict(t *testing.T) {
	outside(t)
	_, url := startDev(t, "--strict")
	output, err := runSeed(t, url)
	require.Error(t, err)
	require.Contains(t, output, "BadRequestException")
	require.Contains(t, output, "Invalid PayloadFormatVersion specified: 2.0. Must be 1.0 for WEBSOCKET protocol Apis.")
}

// The Terraform example, in which only the endpoint is not that for AWS: one plan makes the
// functions and the API, and a second one is empty. New code is used with the next event.
func TestSeed_Terraform(t *testing.T) {
	testutil.NeedsLong(t)
	outside(t)
	gateway, url := startDev(t)
	tf := newTerraform(t, "../../../examples/terraform")
	tf.edit("local_override.tf", "http://127.0.0.1:4567", url)
	tf.zip("functions", "functions.zip")
	tf.apply()
	gateway.stdout.contains(t, "the service refuses this payloadFormatVersion for WebSocket APIs")
	ws := dialEcho(t, tf.output("address"))
	require.Equal(t, "hello", ws.say("hello"))

	tf.edit("functions/default.py", `event["body"]`, `event["body"].upper()`)
	tf.zip("functions", "functions.zip")
	tf.apply()
	require.Equal(t, "HELLO", ws.say("hello"))

	tf.run(slices.Concat([]string{"destroy", "-input=false", "-auto-approve"}, tf.vars)...)
	_, _, err := ws.Read(t.Context())
	closed, _, _ := wsconn.ReceivedClose(err)
	require.Equal(t, 1001, closed)
}
