package soak_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// planEnv makes the test binary run as the client process. It holds a plan.
const planEnv = "GATEWAY_SOAK_PLAN"

// plan is what the client process must do.
type plan struct {
	Program     string // a key of the map that programs returns
	Addr        string // of the server
	Connections int
	Seed        uint64
	Rate        int // actions a second, of all clients together
}

// programs are the programs that a client process can run. Each ends when its clients
// have ended.
func programs() map[string]func(p plan) error {
	return map[string]func(p plan) error{
		"idle":   func(p plan) error { return runClients(p.Addr) },
		"random": runRandomClients,
		"busy":   runBusyClients,
		"cut":    runBusyClients,
	}
}

func runProgram(text string) error {
	var p plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	program, ok := programs()[p.Program]
	if !ok {
		return fmt.Errorf("no program %q", p.Program)
	}
	return program(p)
}

// clientProcess is the process of the clients. It is separate, so that the test
// counts only the server's memory and descriptors.
type clientProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin *os.File
	lines *bufio.Scanner
}

func startClients(t *testing.T, p plan) *clientProcess {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), planEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdin = read
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	require.NoError(t, read.Close())
	clients := &clientProcess{t: t, cmd: cmd, stdin: write, lines: bufio.NewScanner(stdout)}
	t.Cleanup(clients.stop)
	return clients
}

// stop ends the process if it still runs.
func (p *clientProcess) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *clientProcess) say(word string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.stdin, word)
	require.NoError(p.t, err)
}

func (p *clientProcess) expect(word string) {
	p.t.Helper()
	require.True(p.t, p.lines.Scan(), "the clients have ended")
	require.Equal(p.t, word, p.lines.Text())
}
