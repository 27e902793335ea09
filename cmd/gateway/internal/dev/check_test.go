package dev

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A definition is known by its sections, also behind a byte order mark and comments.
func TestIsDefinition(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"template":               {"# mine\nResources: {}\n", true},
		"serverless":             {"service: chat\nprovider:\n  name: aws\n", true},
		"byte order mark":        {"\xef\xbb\xbfResources: {}\n", true},
		"UTF-16":                 {"\xff\xfeR\x00e\x00s\x00o\x00u\x00r\x00c\x00e\x00s\x00:\x00", true},
		"UTF-16 of another kind": {"\xfe\xff\x00R\x00e\x00s\x00o\x00u\x00r\x00c\x00e\x00s\x00:", true},
		"JSON":                   {"\n{\"Resources\": {}}", true},
		"JSON with comments":     {"// mine\n/* or\nyours */ {\n  // here\n  \"Resources\" : {}}", true},
		"JSON and a mark":        {"\xef\xbb\xbf{\"Resources\": {}}", true},
		"configuration":          {"stage: prod\nroutes:\n  - key: a\n    service: x\n", false},
		"configuration in JSON":  {`{"stage": "prod"}`, false},
		"nothing":                {"", false},
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		require.Equal(t, c.want, IsDefinition(path), name)
	}
	require.True(t, IsDefinition(dir))
	require.True(t, IsDefinition(os.DevNull), "the definition refuses a device")
	require.False(t, IsDefinition(filepath.Join(dir, "missing")))
}
