package dev

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Damaged files of the authority are named, and what the error says mends it.
func TestNewCertificates_Damaged(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	_, err := newCertificates(other, "us-east-1")
	require.NoError(t, err)
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(other, name))
		require.NoError(t, err)
		return content
	}
	for name, damage := range map[string]struct {
		file    string
		content []byte
	}{
		"empty certificate":      {"ca.pem", nil},
		"empty key":              {"ca-key.pem", nil},
		"cut certificate":        {"ca.pem", read("ca.pem")[:100]},
		"key of another":         {"ca-key.pem", read("ca-key.pem")},
		"certificate of another": {"ca.pem", read("ca.pem")},
		"key as the certificate": {"ca.pem", read("ca-key.pem")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := newCertificates(dir, "us-east-1")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, damage.file), damage.content, 0o600))
			_, err = newCertificates(dir, "us-east-1")
			require.ErrorContains(t, err, filepath.Join(dir, "ca.pem")+" and "+filepath.Join(dir, "ca-key.pem")+" cannot be used: ")
			require.ErrorContains(t, err, ": remove both files, and the next start makes new ones")
			require.NoError(t, os.Remove(filepath.Join(dir, "ca.pem")))
			require.NoError(t, os.Remove(filepath.Join(dir, "ca-key.pem")))
			_, err = newCertificates(dir, "us-east-1")
			require.NoError(t, err)
		})
	}
}

// A start that was cut short between the two files makes both again, and leaves no other files.
func TestNewCertificates_CutShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		_, err := newCertificates(dir, "us-east-1")
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(dir, "ca.pem")))
	}
	_, err := newCertificates(dir, "us-east-1")
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}
