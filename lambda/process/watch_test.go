//go:build linux || darwin

package process

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// No process reads the code before the first look at it: a change after it would not be seen.
func TestFunction_LooksFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, err := New(Config{Dir: t.TempDir(), Command: []string{"sh"}})
		require.NoError(t, err)
		var command []string
		ready := make(chan error, 1)
		go func() {
			var err error
			command, err = f.command(t.Context(), f.code)
			ready <- err
		}()
		synctest.Wait()
		require.Empty(t, ready)
		close(f.looked)
		require.NoError(t, <-ready)
		require.Equal(t, []string{"sh"}, command)
		require.NoError(t, f.Close())
	})
}

// A file that becomes executable is a change, and so is one of a file that a link leads to.
// Links to folders are not followed: they may lead anywhere.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	put := func(path, text string) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	code, shared := filepath.Join(dir, "bootstrap"), filepath.Join(elsewhere, "shared")
	put(code, "")
	put(shared, "")
	for name, target := range map[string]string{"link": shared, "folder": elsewhere, "none": filepath.Join(elsewhere, "none"), "round": "round"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	before := fingerprint(dir, nil)
	require.Equal(t, before, fingerprint(dir, nil))
	changed := func(want bool, what string) {
		now := fingerprint(dir, nil)
		require.Equal(t, want, now != before, what)
		before = now
	}
	require.NoError(t, os.Chmod(code, 0o700)) //nolint:gosec // it is a program
	changed(true, "mode")
	put(shared, "more")
	changed(true, "the target of a link")
	put(filepath.Join(elsewhere, "other"), "")
	changed(false, "the target of a link to a folder")
	put(filepath.Join(elsewhere, "none"), "")
	changed(true, "a target that is there now")
}
