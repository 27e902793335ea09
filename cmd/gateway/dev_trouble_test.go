package main

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// Stages of the state do not miss functions that the definition has.
func TestDev_StateKnowsFunctions(t *testing.T) {
	t.Parallel()
	state, file := filepath.Join(t.TempDir(), "state"), project(t, template())
	for range 2 {
		p := runDev(t, nil, "--state", state, file)
		dial(t, p.url(), wsconn.DialOptions{})
		require.NotContains(t, p.text(), "until there is the function")
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.Equal(t, 0, p.exit())
	}
}
