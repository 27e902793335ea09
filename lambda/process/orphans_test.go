//go:build linux || darwin

package process_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// orphanEnv makes the test program a parent that TestFunction_NoOrphans kills: it has the
// folder of the function.
const orphanEnv = "GATEWAY_TEST_ORPHANS_OF"

// TestFunction_OrphansParent is the parent, not a test.
func TestFunction_OrphansParent(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(orphanEnv)
	if dir == "" {
		t.Skip("it is run by TestFunction_NoOrphans")
	}
	c := process.Config{Dir: dir, Runtime: "python", Handler: "app.handler", Timeout: time.Hour}
	if _, err := os.Stat(dir + "/bootstrap"); err == nil {
		c.Runtime = "provided"
	}
	f, err := process.New(c)
	require.NoError(t, err)
	for _, event := range []string{`"busy"`, `"idle"`} {
		go func() { _, _ = f.InvokeFunction(context.Background(), []byte(event)) }()
	}
	select {} // until it is killed
}

// When this program is killed with SIGKILL, no process of a function stays: neither one that
// is busy for ever, nor one without an event, nor their children.
func TestFunction_NoOrphans(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	dir := t.TempDir()
	mark := "86400." + fmt.Sprint(os.Getpid())
	write(t, dir, files{"app.py": `
import os, subprocess
def handler(event, context):
    subprocess.Popen(["sleep", "` + mark + `"])
    open(os.path.join(os.environ["LAMBDA_TASK_ROOT"], ".pid-" + event), "w").write(str(os.getpid()) + "\n")
    while event == "busy":
        pass
`})
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFunction_OrphansParent$", "-test.v")
	parent.Env = append(os.Environ(), orphanEnv+"="+dir)
	require.NoError(t, parent.Start())
	var groups []int
	for _, event := range []string{"busy", "idle"} {
		var pid int
		require.Eventually(t, func() bool {
			text, err := os.ReadFile(dir + "/.pid-" + event)
			if err != nil {
				return false
			}
			n, _ := fmt.Fscan(bufio.NewReader(strings.NewReader(string(text))), &pid)
			return n == 1
		}, 30*time.Second, 5*time.Millisecond)
		groups = append(groups, pid)
		require.NotEmpty(t, running(t, pid))
	}
	require.Eventually(t, func() bool { return len(marked(t, mark)) == 2 }, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	requireGone(t, groups...)
	requireNoOrphans(t, mark)
	requireNoOrphans(t, dir)
}

// A program that is killed while its function starts leaves nothing: here, the function
// itself kills it with its first command.
func TestFunction_NoOrphansOfAStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mark := "86399." + fmt.Sprint(os.Getpid())
	write(t, dir, files{"bootstrap": "#!/bin/sh\nkill -9 $PPID\nsleep " + mark + " &\nexec sleep " + mark + "\n"})
	require.NoError(t, os.Chmod(dir+"/bootstrap", 0o700)) //nolint:gosec // it is a program
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestFunction_OrphansParent$", "-test.v")
	parent.Env = append(os.Environ(), orphanEnv+"="+dir)
	require.ErrorContains(t, parent.Run(), "killed")
	requireNoOrphans(t, mark)
	requireNoOrphans(t, dir)
}

// The warden is there before its process, which is in its group, and ends with it. A signal
// for the group does not end it.
func TestFunction_Warden(t *testing.T) {
	t.Parallel()
	f := python(t, `
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def handler(event, context):
    os.killpg(0, signal.SIGTERM)
    return os.getpgrp()
`)
	group := f.number(t, `{}`)
	require.Equal(t, []int{group}, process.Wardens(f.Function))
	require.Len(t, running(t, group), 2, "the warden and python")
	require.NoError(t, f.Close())
	requireGone(t, group)
}

// A process that leaves its group is ended nevertheless.
func TestFunction_OwnSession(t *testing.T) {
	t.Parallel()
	f := python(t, `
import os
os.setsid()
def handler(event, context):
    return os.getpgrp()
`)
	group := f.number(t, `{}`)
	require.NotEqual(t, []int{group}, process.Wardens(f.Function))
	require.NotEmpty(t, running(t, group))
	require.NoError(t, f.Close())
	requireGone(t, group)
}
