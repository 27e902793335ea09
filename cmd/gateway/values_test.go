package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Values come from the command line and from files; those of the command line win.
func TestValuesOf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "samconfig.toml")
	require.NoError(t, os.WriteFile(file, []byte("[default.deploy.parameters]\nparameter_overrides = \"Stage=prod Size=5\"\n"), 0o600))
	got, err := valuesOf("parameter", []string{"Stage=dev", "@" + file, "Url=a=b"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Stage": "dev", "Size": "5", "Url": "a=b"}, got)
	for text, want := range map[string]string{"=x": "has no value: write it as NAME=value", "@nowhere.yaml": "no such file"} {
		_, err := valuesOf("parameter", []string{text})
		require.ErrorContains(t, err, want)
	}
}
