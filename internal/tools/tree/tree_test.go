package tree_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/tools/tree"
)

func TestCopy(t *testing.T) {
	t.Parallel()
	src, dst := t.TempDir(), t.TempDir()
	for _, name := range []string{
		".ci/run", ".git/config", "a/.git", "a/go.mod", "a/testdata/m/go.mod", "e2e/node_modules/x/index.js", "go.mod",
	} {
		file := filepath.Join(src, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(name), 0o755))
	}
	require.NoError(t, tree.Copy(dst, src))

	files, err := tree.Files(dst)
	require.NoError(t, err)
	require.Equal(t, []string{".ci/run", "a/go.mod", "a/testdata/m/go.mod", "go.mod"}, files)
	require.NoFileExists(t, filepath.Join(dst, "e2e/node_modules/x/index.js"))
	require.Equal(t, []string{"a/go.mod", "go.mod"}, tree.GoMods(files))
	text, err := os.ReadFile(filepath.Join(dst, ".ci/run"))
	require.NoError(t, err)
	require.Equal(t, ".ci/run", string(text))
	info, err := os.Stat(filepath.Join(dst, ".ci/run"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm(), "a script stays executable")
}

func TestFiles_NoFolder(t *testing.T) {
	t.Parallel()
	_, err := tree.Files(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
