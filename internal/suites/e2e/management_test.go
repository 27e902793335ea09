//go:build unix

package e2e

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/sigv4"
)

// The lines of docs/management.md do what the page says, with curl.
func TestManagement_Curl(t *testing.T) {
	outside(t)
	findTool(t, "apt-get install curl", "curl")
	srv := gatewaytest.NewTCP(t, gateway.WithManagementExtensions(), gateway.WithBinaryMessages())
	c := srv.Dial(t)
	script, err := filepath.Abs("management.sh")
	require.NoError(t, err)
	dir := t.TempDir()
	batch := `{"to":{"id":"` + c.ConnectionID() + `"},"data":"one"}` + "\n" + `{"to":{"group":"room-1"},"data":"two"}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "messages.ndjson"), []byte(batch), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "picture.png"), []byte("\x89PNG\xff"), 0o600))
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "API="+srv.ManagementURL(), "ID="+url.QueryEscape(c.ConnectionID()))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	require.Equal(t, "hello", c.Receive())
	require.Equal(t, "\x89PNG\xff", string(c.ReceiveBinary()))
	for _, want := range []string{"one", "two"} {
		require.Equal(t, want, c.Receive())
	}
	code, reason := c.ReceiveClose()
	require.Equal(t, 4001, code)
	require.Equal(t, "closed", reason)
	answer := string(out)
	require.Contains(t, answer, `"connectionId":"`+c.ConnectionID()+`"`)
	require.Contains(t, answer, `"groups":["room-1"]`)
	require.Contains(t, answer, `{"count":1}`)
	require.Contains(t, answer, `{"seen":3}`)
	require.Equal(t, 5, strings.Count(answer, `"accepted":1`))
}

// The call of docs/management.md that botocore signs is for an audience, which no SDK knows.
func TestManagement_Signed(t *testing.T) {
	outside(t)
	python := findBoto3(t)
	srv := gatewaytest.NewTCP(t, gateway.WithManagementExtensions(), gateway.WithManagementAuth(&sigv4.Verifier{
		Service: "execute-api", Region: "us-east-1",
		Keys: sigv4.StaticKeys(map[string]sigv4.Key{allowed: {SecretAccessKey: awsSecret}}),
	}))
	c := srv.Dial(t)
	cmd := exec.CommandContext(t.Context(), python, "signed.py")
	cmd.Env = append(os.Environ(), "API="+srv.ManagementURL(), "ID="+c.ConnectionID(),
		"AWS_ACCESS_KEY_ID="+allowed, "AWS_SECRET_ACCESS_KEY="+awsSecret, "AWS_SESSION_TOKEN=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), `"accepted":1`)
	require.Equal(t, "hello", c.Receive())
}
