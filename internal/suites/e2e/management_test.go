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
)

// The lines of docs/management.md do what the page says, with curl.
func TestManagement_Curl(t *testing.T) {
	outside(t)
	findTool(t, "apt-get install curl", "curl")
	srv := gatewaytest.NewTCP(t, gateway.WithManagementExtensions())
	c := srv.Dial(t)
	script, err := filepath.Abs("management.sh")
	require.NoError(t, err)
	dir := t.TempDir()
	batch := `{"to":{"id":"` + c.ConnectionID() + `"},"data":"one"}` + "\n" + `{"to":{"group":"room-1"},"data":"two"}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "messages.ndjson"), []byte(batch), 0o600))
	cmd := exec.CommandContext(t.Context(), "sh", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "API="+srv.ManagementURL(), "ID="+url.QueryEscape(c.ConnectionID()))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	for _, want := range []string{"hello", "one", "two"} {
		require.Equal(t, want, c.Receive())
	}
	code, reason := c.ReceiveClose()
	require.Equal(t, 4001, code)
	require.Equal(t, "closed", reason)
	answer := string(out)
	require.Contains(t, answer, `"connectionId":"`+c.ConnectionID()+`"`)
	require.Contains(t, answer, `"groups":["room-1"]`)
	require.Contains(t, answer, `{"count":1}`)
	require.Equal(t, 4, strings.Count(answer, `"accepted":1`))
}
