//go:build linux

package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/internal/wsconn"
	"example.com/gateway/sigv4"
)

// ownAddress returns an address of this machine that no other test uses: on Linux all
// of 127.0.0.0/8 is the loopback interface.
func ownAddress() string {
	return fmt.Sprintf("127.%d.%d.%d:8080", 1+rand.IntN(254), rand.IntN(255), 1+rand.IntN(254))
}

// The first program of the README does what the README says, and shuts down in the
// right order: every client gets a Close frame.
func TestREADME_FirstProgram(t *testing.T) {
	outside(t)
	binary := filepath.Join(t.TempDir(), "quickstart")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "example.com/gateway/examples/quickstart").CombinedOutput()
	require.NoError(t, err, "%s", out)
	addr := ownAddress()
	cmd := exec.CommandContext(t.Context(), binary, "-addr", addr)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	program := start(t, cmd)
	program.stderr.contains(t, "open http://"+addr+"/")

	page := getRetrying(t, "http://"+addr+"/")
	require.Equal(t, "The WebSocket API is at ws://"+addr+"/prod\n", page)
	pageOrigin := wsconn.DialOptions{Header: http.Header{"Origin": {"http://" + addr}}}
	ann, _, err := wsconn.Dial(t.Context(), "ws://"+addr+"/prod", pageOrigin) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	defer ann.CloseNow()
	bob, _, err := wsconn.Dial(t.Context(), "ws://"+addr+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	defer bob.CloseNow()

	const message = `{"action":"sendmessage","text":"hello"}`
	require.NoError(t, ann.Write(t.Context(), []byte(message), true))
	for _, client := range []*wsconn.Client{ann, bob} {
		got, _, err := client.Read(t.Context())
		require.NoError(t, err)
		require.Equal(t, message, string(got))
	}

	require.NoError(t, program.cmd.Process.Signal(syscall.SIGINT))
	for _, client := range []*wsconn.Client{ann, bob} {
		_, _, err := client.Read(t.Context())
		code, reason, _ := wsconn.ReceivedClose(err)
		require.Equal(t, 1001, code)
		require.Equal(t, "Going away", reason)
	}
	require.Zero(t, program.waitEnd(t))
}

// getRetrying returns the body of a page whose server may still be starting.
func getRetrying(t *testing.T, url string) string {
	t.Helper()
	var body string
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		body = string(data)
		return err == nil
	}, patience, patience/1000)
	return body
}

// The Python snippet of the README works unchanged. Its endpoint is localhost:8080,
// so the test makes its server the client's proxy.
func TestREADME_Python(t *testing.T) {
	outside(t)
	python := findBoto3(t)
	gw, err := gateway.New(gateway.WithManagementAuth(&sigv4.Verifier{
		Service: "execute-api", Region: "us-east-1",
		Keys: sigv4.StaticKeys(map[string]sigv4.Key{allowed: {SecretAccessKey: awsSecret}}),
	}))
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/prod", gw.Handler())
	mux.Handle("/prod/@connections/", gw.ManagementHandler())
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		_ = gw.Close()
		server.Close()
	})
	client, _, err := wsconn.Dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/prod", wsconn.DialOptions{}) //nolint:bodyclose // the body is in memory
	require.NoError(t, err)
	defer client.CloseNow()
	var id string
	for c := range gw.Connections() {
		id = c.ID
	}

	cmd := exec.CommandContext(t.Context(), python, "readme.py", id)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+allowed, "AWS_SECRET_ACCESS_KEY="+awsSecret, "AWS_SESSION_TOKEN=",
		"http_proxy="+server.URL, "HTTP_PROXY="+server.URL, "no_proxy=", "NO_PROXY=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	got, _, err := client.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hi", string(got))
}
