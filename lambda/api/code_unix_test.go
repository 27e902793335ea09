//go:build linux || darwin

package api_test

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda/api"
)

// leftEnv makes the test program the one of TestCode_CannotBeRemoved: it has the folder.
const leftEnv = "GATEWAY_TEST_LEFT_CODE"

// Code that cannot be removed keeps no server from its start, and is not taken for code. Here, it
// is a tree that is deeper than a program may open files.
func TestCode_CannotBeRemoved(t *testing.T) {
	t.Parallel()
	if os.Getenv(leftEnv) != "" {
		t.Skip("this is the program that TestCode_CannotBeRemoved runs")
	}
	script := `ulimit -n 128 && exec "$0" -test.run '^TestCode_CannotBeRemovedProgram$' -test.v`
	program := exec.CommandContext(t.Context(), "/bin/sh", "-c", script, os.Args[0])
	program.Env = append(os.Environ(), leftEnv+"="+t.TempDir())
	output, err := program.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "--- PASS: TestCode_CannotBeRemovedProgram")
}

// TestCode_CannotBeRemovedProgram is the program, not a test.
func TestCode_CannotBeRemovedProgram(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(leftEnv)
	if dir == "" {
		t.Skip("it is run by TestCode_CannotBeRemoved")
	}
	store := controlplane.NewMemory()
	c := newClient(t, api.Config{Store: store, Dir: dir})
	c.create(nil)
	require.NoError(t, c.server.Close())
	zips, err := filepath.Glob(filepath.Join(dir, "code", "*.zip"))
	require.NoError(t, err)
	require.Len(t, zips, 1)
	hash := strings.TrimSuffix(filepath.Base(zips[0]), ".zip")
	for _, name := range []string{hash, strings.Repeat("a", 64), ".unfinished-1"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "unpacked", name, strings.Repeat("a/", 300)), 0o700))
	}
	for range 2 {
		var log testutil.LockedBuffer
		c = newClient(t, api.Config{Store: store, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.Equal(t, "one", c.invoke("chat", event{}).Code)
		require.Equal(t, 3, strings.Count(log.String(), "old code of functions could not be removed"))
		require.NoError(t, c.server.Close())
	}
}
