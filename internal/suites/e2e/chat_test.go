//go:build unix

package e2e

import (
	"encoding/json"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// chatServer is a running examples/chat, or one of the examples with the same chat
// and another backend.
type chatServer struct {
	*process
	binary string
	args   []string
	addr   string // host:port
}

func (s *chatServer) page() string    { return "http://" + s.addr + "/" }
func (s *chatServer) sockets() string { return "ws://" + s.addr + "/chat" }

// startChat builds an example, and starts it with args on a free port.
func startChat(t *testing.T, example string, args ...string) *chatServer {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "chat")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "example.com/gateway/examples/"+example)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return startBinary(t, binary, "127.0.0.1:0", args)
}

// restart starts the same program again on the same address.
func (s *chatServer) restart(t *testing.T) *chatServer {
	t.Helper()
	return startBinary(t, s.binary, s.addr, s.args)
}

func startBinary(t *testing.T, binary, addr string, args []string) *chatServer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"-addr", addr}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	s := &chatServer{process: start(t, cmd), binary: binary, args: args}
	_, page, _ := strings.Cut(s.stdout.contains(t, "page: "), "page: ")
	u, err := url.Parse(page)
	require.NoError(t, err)
	s.addr = u.Host
	return s
}

// socket is a wscat that holds a connection open.
type socket struct {
	*process
	connectionID string
}

// dial opens a connection with wscat. wscat sends frames, and prints each message
// that it receives as a line. The first frame asks for the connection ID.
func (s *chatServer) dial(t *testing.T, frames ...string) *socket {
	t.Helper()
	node := findTool(t, "install Node.js 20 or newer", "node")
	args := []string{findModule(t, "wscat/bin/wscat"), "--connect", s.sockets(), "--wait", "-1"}
	for _, f := range append([]string{`{"action":"whoami"}`}, frames...) {
		args = append(args, "--execute", f)
	}
	cmd := exec.CommandContext(t.Context(), node, args...)
	stdin, err := cmd.StdinPipe() // wscat ends when its stdin does
	require.NoError(t, err)
	cmd.Cancel = stdin.Close
	c := &socket{process: start(t, cmd)}
	var help struct {
		Type         string `json:"type"`
		ConnectionID string `json:"connectionId"`
	}
	c.message(t, 0, &help)
	require.Equal(t, "help", help.Type)
	require.NotEmpty(t, help.ConnectionID)
	c.connectionID = help.ConnectionID
	return c
}

// message decodes the message of the given index, counted from 0.
func (c *socket) message(t *testing.T, index int, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(c.line(t, index)), v))
}
