package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// pipe makes a named pipe in the place of a file.
func pipe(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, syscall.Mkfifo(path+".pipe", 0o600))
	require.NoError(t, os.Rename(path+".pipe", path))
}

// A signal ends the program while it reads a file that does not end.
func TestDev_StopWhileReading(t *testing.T) {
	t.Parallel()
	t.Run("start", func(t *testing.T) {
		t.Parallel()
		temporary := t.TempDir()
		file := filepath.Join(t.TempDir(), "template.yaml")
		pipe(t, file)
		p := startDev(t, []string{"TMPDIR=" + temporary}, file)
		f, err := os.OpenFile(file, os.O_WRONLY, 0) // waits until the program reads
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT))
		require.Equal(t, 0, p.exit(), p.text())
		require.Empty(t, p.text())
		left, err := os.ReadDir(temporary)
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("reload", func(t *testing.T) {
		t.Parallel()
		file := project(t, template())
		p := runDev(t, nil, file)
		pipe(t, file)
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
		require.Equal(t, 0, p.exit(), p.text())
		require.NotContains(t, p.text(), "not reloaded")
	})
}
