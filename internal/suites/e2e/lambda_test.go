//go:build unix

package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/lambda/api"
)

// Functions by boto3: they are made from zip files, an API calls them, and new code answers
// on the open connection.
func TestLambdaAPI_boto3(t *testing.T) {
	outside(t)
	python := findBoto3(t)
	findTool(t, "install Node.js", "node")
	store := controlplane.NewMemory()
	functions, err := api.New(api.Config{Store: store, Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, functions.Close()) })
	srv := httptest.NewUnstartedServer(nil)
	plane, err := controlplane.New(controlplane.Config{Store: store, Endpoint: "ws://" + srv.Listener.Addr().String(), Functions: functions})
	require.NoError(t, err)
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if api.Owns(r) {
			functions.ServeHTTP(w, r)
			return
		}
		plane.ServeHTTP(w, r)
	})
	srv.Start()
	t.Cleanup(srv.Close)
	t.Cleanup(func() { require.NoError(t, plane.Shutdown(context.WithoutCancel(t.Context()))) })

	cmd := exec.CommandContext(t.Context(), python, "functions.py", srv.URL)
	cmd.Env = awsEnvironment(t)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	read := 0
	p := start(t, cmd)
	ws, _, err := wsconn.Dial(t.Context(), p.next(t, &read), wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	defer ws.CloseNow()
	say := func(message string) string {
		t.Helper()
		require.NoError(t, ws.Write(t.Context(), []byte(message), true))
		text, _, err := ws.Read(t.Context())
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, `python says {"action":"python"}`, say(`{"action":"python"}`))
	require.Equal(t, `node says {"action":"node"}`, say(`{"action":"node"}`))
	_, err = io.WriteString(stdin, "new code says\n")
	require.NoError(t, err)
	require.Len(t, p.next(t, &read), 44, "the hash of the code")
	require.Equal(t, `new code says {"action":"python"}`, say(`{"action":"python"}`))
}
