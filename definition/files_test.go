//go:build unix

package definition_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/definition"
)

// A pipe, a device or a folder in the place of a file is refused, and nothing waits for it.
func TestLoad_noFile(t *testing.T) {
	t.Parallel()
	const framework = "service: chat\nuseDotenv: true\nprovider: {name: aws, runtime: nodejs22.x}\nfunctions: {f: {handler: src/app.f, environment: {X: \"${file(values.yml), 'none'}\"}}}\n"
	for name, c := range map[string]struct {
		texts map[string]string
		make  func(dir string) error
		want  string
	}{
		"pipe":           {nil, pipeAt("template.yaml"), "template.yaml: this is a pipe that no program writes and closes within 2s: give the path of a file"},
		"device":         {nil, linkAt("template.yaml", "/dev/zero"), "template.yaml: this is no file: give the path of a file"},
		"folder":         {map[string]string{"template.yaml/a": ""}, nil, "template.yaml: this is no file"},
		"pipe of values": {map[string]string{"serverless.yml": framework}, pipeAt("values.yml"), "values.yml: this is a pipe"},
		"pipe of env":    {map[string]string{"serverless.yml": framework}, pipeAt(".env"), ""},
		"pipe as code":   {map[string]string{"template.yaml": function("Code: f.zip")}, pipeAt("f.zip"), "f.zip is no folder, no zip file and no jar file"},
		"device as code": {map[string]string{"template.yaml": function("Code: f.zip")}, linkAt("f.zip", "/dev/zero"), "f.zip is no folder, no zip file and no jar file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, c.texts)
			if c.make != nil {
				require.NoError(t, c.make(dir))
			}
			_, err := definition.Load(dir, definition.Options{WorkDir: t.TempDir()})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func pipeAt(name string) func(string) error {
	return func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, name), 0o600) }
}

func linkAt(name, target string) func(string) error {
	return func(dir string) error { return os.Symlink(target, filepath.Join(dir, name)) }
}

// What a program writes into a pipe is read, as with "gateway validate <(…)".
func TestLoad_pipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, pipeAt("template.yaml")(dir))
	path := filepath.Join(dir, "template.yaml")
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte("Resources: {Q: {Type: AWS::SQS::Queue}}\n"), 0o600) }()
	d, err := definition.Load(path, definition.Options{})
	require.NoError(t, err)
	require.NoError(t, <-written)
	require.NotEmpty(t, notes(d, definition.NotRun))
}
