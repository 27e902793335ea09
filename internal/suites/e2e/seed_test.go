//go:build unix

package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/lambda"
)

// seedFunctions are the functions that the example names. They tell what they were called
// for.
func seedFunctions() (functions controlplane.Functions, called func() []string) {
	var mu sync.Mutex // guards routes
	var routes []string
	f := lambda.NewInvoker(func(req lambda.WebsocketRequest) (lambda.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		routes = append(routes, req.RequestContext.RouteKey+" "+req.Body)
		return lambda.Response{StatusCode: http.StatusOK}, nil
	})
	return controlplane.Functions{"connect_lambda": f, "disconnect_lambda": f, "default_lambda": f}, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, routes...)
	}
}

// runSeed runs the example with boto3.
func runSeed(t *testing.T, server *controlServer) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), findBoto3(t), "../../../examples/boto3/create_api.py")
	cmd.Env = append(keyEnvironment(t), "GATEWAY_URL="+server.url)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The script makes no stage. A client that connects then gets 403, as on AWS, and the log
// says the command that is missing. With a stage it talks to the functions.
func TestSeed_boto3(t *testing.T) {
	outside(t)
	functions, called := seedFunctions()
	server := startControlPlane(t, controlplane.Config{Functions: functions})
	output, err := runSeed(t, server)
	require.NoError(t, err, output)
	words := strings.Fields(output)
	require.Len(t, words, 3)
	api, deployment, endpoint := words[0], words[1], words[2]
	require.Contains(t, server.log.String(), "the service refuses this payloadFormatVersion for WebSocket APIs")

	_, answer, err := wsconn.Dial(t.Context(), endpoint+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.Error(t, err)
	require.Equal(t, http.StatusForbidden, answer.StatusCode)
	_, advice, found := strings.Cut(server.log.String(), `do="aws `)
	require.True(t, found, server.log)
	advice, _, _ = strings.Cut(advice, `"`)
	require.Equal(t, "apigatewayv2 create-stage --api-id "+api+" --stage-name prod --deployment-id "+deployment, advice)

	cmd := exec.CommandContext(t.Context(), findCLI(t), append(strings.Fields(advice), "--endpoint-url", server.url)...)
	cmd.Env = keyEnvironment(t)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	ws, _, err := wsconn.Dial(t.Context(), endpoint+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	require.NoError(t, ws.Write(t.Context(), []byte("hello"), true))
	require.Eventually(t, func() bool { return len(called()) == 2 }, patience, patience/1000)
	require.NoError(t, ws.Close(1000, ""))
	require.Eventually(t, func() bool { return len(called()) == 3 }, patience, patience/1000)
	require.Equal(t, []string{"$connect ", "$default hello", "$disconnect "}, called())
}

// Strict refuses what the service refuses.
func TestSeed_Strict(t *testing.T) {
	outside(t)
	output, err := runSeed(t, startControlPlane(t, controlplane.Config{Strict: true}))
	require.Error(t, err)
	require.Contains(t, output, "BadRequestException")
	require.Contains(t, output, "Invalid PayloadFormatVersion specified: 2.0. Must be 1.0 for WEBSOCKET protocol Apis.")
}
