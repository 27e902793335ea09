//go:build linux || darwin

package process_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

type files map[string]string

func write(tb testing.TB, dir string, all files) {
	tb.Helper()
	for name, text := range all {
		path := filepath.Join(dir, name)
		require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	}
}

// need skips a test if a program is missing.
func need(tb testing.TB, program string) {
	tb.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("GATEWAY_E2E") == "1" {
			tb.Fatalf("%s is not installed", program)
		}
		tb.Skipf("%s is not installed", program)
	}
}

// fn is a function under test, with its log.
type fn struct {
	*process.Function

	dir string
	log *testutil.LockedBuffer
}

// start makes a function of files. At the end of the test it is closed.
func start(tb testing.TB, c process.Config, all files) *fn {
	tb.Helper()
	switch {
	case strings.HasPrefix(c.Runtime, "nodejs"):
		need(tb, "node")
	case strings.HasPrefix(c.Runtime, "python"):
		need(tb, "python3")
	}
	f := &fn{dir: tb.TempDir(), log: &testutil.LockedBuffer{}}
	write(tb, f.dir, all)
	if c.Dir == "" {
		c.Dir = f.dir
	}
	if c.Name == "" {
		c.Name = "chat"
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	c.Logger = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	f.Function, err = process.New(c)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, f.Close())
		if tb.Failed() {
			tb.Log(f.log.String())
		}
	})
	return f
}

func node(tb testing.TB, index string) *fn {
	tb.Helper()
	return start(tb, process.Config{Runtime: "nodejs", Handler: "index.handler"}, files{"index.js": index})
}

func python(tb testing.TB, app string) *fn {
	tb.Helper()
	return start(tb, process.Config{Runtime: "python", Handler: "app.handler"}, files{"app.py": app})
}

// call gives an event to the function and returns its answer.
func (f *fn) call(tb testing.TB, event string) string {
	tb.Helper()
	answer, err := f.InvokeFunction(tb.Context(), []byte(event))
	require.NoError(tb, err)
	return string(answer)
}

// raises gives an event to the function and returns the error that it raises.
func (f *fn) raises(tb testing.TB, event string) *lambda.FunctionError {
	tb.Helper()
	answer, err := f.InvokeFunction(tb.Context(), []byte(event))
	var raised *lambda.FunctionError
	require.ErrorAs(tb, err, &raised, "%s", answer)
	require.Equal(tb, "chat", raised.Function)
	return raised
}

func (f *fn) number(tb testing.TB, event string) int {
	tb.Helper()
	n, err := strconv.Atoi(f.call(tb, event))
	require.NoError(tb, err)
	return n
}

// requireNoOrphans waits until no process runs that has this mark in its arguments.
func requireNoOrphans(tb testing.TB, mark string) {
	tb.Helper()
	require.Eventually(tb, func() bool { return len(marked(tb, mark)) == 0 }, 30*time.Second, 10*time.Millisecond, "%v", marked(tb, mark))
}

// marked returns the processes that have a mark in their arguments.
func marked(tb testing.TB, mark string) (found []string) {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), "ps", "-A", "-o", "pid=,state=,args=").Output()
	require.NoError(tb, err)
	for _, line := range strings.Split(string(out), "\n") {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] != "Z" && strings.Contains(line, mark) {
			found = append(found, line)
		}
	}
	return found
}

// groupOf returns the process group of a process that runs.
func groupOf(tb testing.TB, pid int) int {
	tb.Helper()
	group, err := syscall.Getpgid(pid)
	require.NoError(tb, err)
	return group
}

// requireGone waits until no process with these numbers, or of these process groups, runs.
// One that has ended and that nobody has waited for does not count.
func requireGone(tb testing.TB, groups ...int) {
	tb.Helper()
	for _, group := range groups {
		require.Greater(tb, group, 1)
		require.Eventually(tb, func() bool { return len(running(tb, group)) == 0 }, 30*time.Second, 10*time.Millisecond, "group %d: %v", group, running(tb, group))
	}
}

// running returns the process with a number, and those of the process group with it.
func running(tb testing.TB, group int) []string {
	tb.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(tb, err)
	if len(stats) == 0 { // macOS
		if syscall.Kill(-group, 0) == nil || syscall.Kill(group, 0) == nil {
			return []string{"some"}
		}
		return nil
	}
	var found []string
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		number, rest, _ := strings.Cut(string(text), ") ")
		number, _, _ = strings.Cut(number, " ")
		var state string
		var parent, pgrp int
		if n, _ := fmt.Sscan(rest, &state, &parent, &pgrp); n == 3 && (pgrp == group || number == strconv.Itoa(group)) && state != "Z" {
			found = append(found, string(text))
		}
	}
	return found
}

// decode decodes JSON.
func decode(tb testing.TB, text string, v any) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal([]byte(text), v), text)
}
