package lambdatest

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

// A function with AWS's own runtime for Go runs as a process: built from its source, or
// as the executable file of either runtime.
func TestProcess_Go(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("testdata/function")
	require.NoError(t, err)
	built := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(built, "bootstrap"), ".")
	build.Dir = source
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	for name, c := range map[string]process.Config{
		"source, provided":          {Dir: source, Runtime: "provided.al2023"},
		"source, go1.x":             {Dir: filepath.Dir(source), Runtime: "go1.x", Handler: "function"},
		"executable file, provided": {Dir: built, Runtime: "provided.al2023"},
		"executable file, go1.x":    {Dir: built, Runtime: "go1.x", Handler: "bootstrap"},
		"a command":                 {Dir: built, Command: []string{"./bootstrap"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &testutil.LockedBuffer{}
			c.Name, c.Timeout, c.Logger = "chat", 2*time.Second, slog.New(slog.NewTextHandler(log, nil))
			f, err := process.New(c)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, f.Close()) })
			srv := gatewaytest.New(t)
			for _, key := range []string{"say", "fail", "panic", "exit", "hang"} {
				srv.Handle(key, lambda.NewIntegration(f), gateway.WithRouteResponse())
			}
			client := srv.Dial(t)
			say := func() {
				t.Helper()
				client.Send(`{"action":"say"}`)
				require.Equal(t, `chat arn:aws:lambda:us-east-1:123456789012:function:chat {"action":"say"} true true`, client.Receive())
			}
			say()
			for _, tt := range []struct{ key, kind, message string }{
				{"fail", "errorString", "no database"},
				{"panic", "string", "no database"},
				{"exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"},
				{"hang", "Sandbox.Timedout", "Task timed out after 2.00 seconds"},
			} {
				client.Send(`{"action":"` + tt.key + `"}`)
				require.Contains(t, client.Receive(), `{"message": "Internal server error"`)
				failed := srv.WaitEvent(func(e gatewaytest.Event) bool { return e.RouteKey == tt.key })
				var raised *lambda.FunctionError
				require.ErrorAs(t, failed.Err, &raised)
				require.Equal(t, tt.kind, raised.Type)
				require.Contains(t, raised.Message, tt.message)
				say()
			}
			require.NoError(t, f.Close())
			require.Regexp(t, `msg="function output" function=chat request_id=[0-9a-f-]{36} line="event say"`, log.String())
		})
	}
}

// Prepare builds a Go program before the first event, and again after a change, and tells
// what is wrong with it.
func TestProcess_Prepare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("go.mod", "module x\n")
	write("main.go", "package main\n\nfunc main() { return 1 }\n")
	log := &testutil.LockedBuffer{}
	f, err := process.New(process.Config{Name: "chat", Dir: dir, Runtime: "provided.al2023", Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	f.Prepare()
	f.Prepare()
	told := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Count(log.String(), text) == 1 }, time.Minute, 5*time.Millisecond, log)
	}
	told("have (number); ")
	write("main.go", "package main\n\nfunc main() { return 'x', 2 }\n")
	told("have (number, number); ")
	require.NoError(t, f.Close())
	f.Prepare()
}

// A Go program that does not compile is told in one line.
func TestProcess_GoDoesNotCompile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module x\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { return 1 }\n"), 0o600))
	var log bytes.Buffer
	f, err := process.New(process.Config{Name: "chat", Dir: dir, Runtime: "provided.al2023", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	_, err = f.InvokeFunction(t.Context(), []byte(`{}`))
	var refused *lambda.InvokeError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Message, "main.go:3:22: too many return values")
	require.NotContains(t, refused.Message, "\n")
	require.NoError(t, f.Close())
	require.Contains(t, log.String(), "main.go:3:22")
}
