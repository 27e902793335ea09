package e2e

import (
	"encoding/json"
	"log/slog"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
)

// Backends in Python and Node.js, with the HTTP servers of their standard libraries, read
// state and groups of any characters, and change them by their answers. What such a server
// writes in another encoding is refused.
func TestAnswerCommands(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]func(t *testing.T) []string{
		"Python": func(t *testing.T) []string {
			t.Helper()
			return []string{findTool(t, "apt-get install python3", "/usr/bin/python3", "python3"), "answers.py"}
		},
		"Node.js": func(t *testing.T) []string {
			t.Helper()
			return []string{findTool(t, "install Node.js 20 or newer", "node"), "answers.mjs"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := command(t)
			cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
			stdin, err := cmd.StdinPipe()
			require.NoError(t, err)
			cmd.Cancel = stdin.Close
			p, lines := start(t, cmd), 0
			url := p.next(t, &lines)

			log := new(testutil.LockedBuffer)
			srv := gatewaytest.New(t, gateway.WithAnswerCommands(), gateway.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
			srv.Handle("$default", &gateway.HTTPIntegration{URI: url}, gateway.WithRouteResponse())
			c := srv.Dial(t)
			known := func(message any) string {
				c.SendJSON(message)
				return c.Receive()
			}
			type object = map[string]any
			require.JSONEq(t, `{"state":null,"groups":[]}`, known(object{}))
			state := object{"name": "José 𝄞 50%25", "lines": "a\r\nb", "n": 7.5}
			groups := []string{"Räume, 1", `a;b "c"`, "100%", "x'(y)*!~"}
			known(object{"set": state, "join": groups})
			want, err := json.Marshal(object{"state": state, "groups": groups})
			require.NoError(t, err)
			require.JSONEq(t, string(want), known(object{}))

			require.Contains(t, known(object{"raw": "é"}), "Internal server error")
			require.Contains(t, log.String(), "many servers write ISO 8859-1 into headers")
			require.JSONEq(t, string(want), known(object{}), "nothing has changed")

			known(object{"bye": "tschüß, 100%"})
			code, reason := c.ReceiveClose()
			require.Equal(t, 4001, code)
			require.Equal(t, "tschüß, 100%", reason)
		})
	}
}
