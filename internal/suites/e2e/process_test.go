//go:build unix

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for each single thing that it expects.
const patience = 15 * time.Second

// missing ends the test because a tool is missing: with a failure if all tools must
// be there, else with a skip that says how to install the tool.
func missing(t *testing.T, tool, install string) {
	t.Helper()
	if os.Getenv("GATEWAY_E2E") == "1" {
		t.Fatalf("%s is missing, GATEWAY_E2E=1 wants it: %s", tool, install)
	}
	t.Skipf("%s is missing: %s", tool, install)
}

// outside marks a test that starts programs that are not ours. With -short such a
// test is skipped, unless GATEWAY_E2E=1 asks for all tests.
func outside(t *testing.T) {
	t.Helper()
	if testing.Short() && os.Getenv("GATEWAY_E2E") != "1" {
		t.Skip("drives programs outside this repository: run without -short")
	}
	t.Parallel()
}

// findTool returns the first of candidates that exists, as a path or on PATH.
func findTool(t *testing.T, install string, candidates ...string) string {
	t.Helper()
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			return path
		}
	}
	missing(t, candidates[0], install)
	return ""
}

// findModule returns the path of a file that npm has installed beside this file.
func findModule(t *testing.T, file string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("node_modules", file))
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		missing(t, path, "npm --prefix internal/suites/e2e install")
	}
	return path
}

// process is a program that runs until it is stopped or the test ends.
type process struct {
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	ended  chan struct{} // closed when the program has ended and been waited for
}

// start runs cmd. At the end of the test, cmd.Cancel asks the program to end; if it
// does not, it is killed. Then start's cleanup waits for it.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	var wg sync.WaitGroup
	wg.Go(func() { // until the program ends, at the latest with the test
		defer close(p.ended)
		_ = cmd.Wait() // the exit status is in cmd.ProcessState
		p.stdout.end()
		p.stderr.end()
	})
	t.Cleanup(func() { // the test's context, and so cmd's, has ended by now
		wg.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s%s", filepath.Base(cmd.Path), p.stdout, p.stderr)
		}
	})
	return p
}

// waitEnd waits for the program to end by itself and returns its exit status.
func (p *process) waitEnd(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		require.FailNow(t, "the program did not end", "%s", p.cmd)
	}
	return p.cmd.ProcessState.ExitCode()
}

// line waits for the line of the given index, counted from 0, of stdout.
func (p *process) line(t *testing.T, index int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found string
	err := p.stdout.wait(ctx, func(lines []string) bool {
		if len(lines) > index {
			found = lines[index]
		}
		return len(lines) > index
	})
	require.NoError(t, err, "line %d of %s; stderr: %s", index, p.cmd, p.stderr)
	return found
}

// next returns the line of stdout after those that were read, and counts it as read.
func (p *process) next(t *testing.T, read *int) string {
	t.Helper()
	*read++
	return p.line(t, *read-1)
}

// terminate asks the program to end and returns its exit status.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.waitEnd(t)
}

// output keeps what a program writes. Tests can wait for a line in it.
type output struct {
	mu      sync.Mutex // guards the fields below
	data    bytes.Buffer
	ended   bool
	changed chan struct{} // closed and replaced on every change
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.String()
}

// contains waits for a line that contains all of parts and returns it.
func (o *output) contains(t *testing.T, parts ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found string
	err := o.wait(ctx, func(lines []string) bool {
		for _, line := range lines {
			if containsAll(line, parts) {
				found = line
				return true
			}
		}
		return false
	})
	require.NoError(t, err, "no line with %q in:\n%s", parts, o)
	return found
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// wait returns when done is true for the complete lines written so far.
func (o *output) wait(ctx context.Context, done func(lines []string) bool) error {
	for {
		o.mu.Lock()
		lines := strings.Split(o.data.String(), "\n")
		ended, changed := o.ended, o.changed
		o.mu.Unlock()
		if done(lines[:len(lines)-1]) {
			return nil
		}
		if ended {
			return fmt.Errorf("the program has ended")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
