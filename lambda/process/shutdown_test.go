//go:build linux || darwin

package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

const waitsForFile = `
import os, time
def handler(event, context):
    open(event["began"], "w").close()
    while not os.path.exists(event["go"]):
        time.sleep(0.01)
    return "done"
`

// waitingEvent returns an event for waitsForFile, and the files of it.
func waitingEvent(dir string) (event, began, goOn string) {
	began, goOn = filepath.Join(dir, "began"), filepath.Join(dir, "go")
	return `{"began":"` + began + `","go":"` + goOn + `"}`, began, goOn
}

func requireFile(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := os.Stat(path); return err == nil }, 30*time.Second, 10*time.Millisecond)
}

// Shutdown lets an event end, although its caller has given up, and takes no others.
func TestFunction_Shutdown(t *testing.T) {
	t.Parallel()
	f := python(t, waitsForFile)
	event, began, goOn := waitingEvent(t.TempDir())
	var wait sync.WaitGroup
	answers := make(chan string, 1)
	wait.Go(func() {
		answer, err := f.InvokeFunction(context.WithoutCancel(t.Context()), []byte(event))
		if err == nil {
			answers <- string(answer)
		}
	})
	requireFile(t, began)
	down := make(chan error, 1)
	wait.Go(func() { down <- f.Shutdown(context.WithoutCancel(t.Context())) })
	require.Eventually(t, func() bool {
		_, err := f.InvokeFunction(t.Context(), []byte(`{"began":"`+began+`2","go":"`+began+`"}`))
		var refused *lambda.InvokeError
		return errors.As(err, &refused)
	}, 30*time.Second, time.Millisecond)
	require.Empty(t, down)
	require.NoError(t, os.WriteFile(goOn, nil, 0o600))
	wait.Wait()
	require.NoError(t, <-down)
	require.Equal(t, `"done"`, <-answers)
	require.NoError(t, f.Shutdown(t.Context()), "again")
}

// Shutdown does not wait longer than its context.
func TestFunction_ShutdownInTime(t *testing.T) {
	t.Parallel()
	f := python(t, waitsForFile)
	event, began, _ := waitingEvent(t.TempDir())
	var wait sync.WaitGroup
	errs := make(chan error, 1)
	wait.Go(func() {
		_, err := f.InvokeFunction(context.WithoutCancel(t.Context()), []byte(event))
		errs <- err
	})
	requireFile(t, began)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.Shutdown(ctx), context.Canceled)
	wait.Wait()
	require.ErrorContains(t, <-errs, "the function is closed")
}

// What a function prints before it answers is told before the caller has the answer.
func TestFunction_InvokeOutput(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	lines := map[string][]string{}
	f := start(t, process.Config{
		Runtime: "python", Handler: "app.handler",
		Output: func(id, line string) {
			mu.Lock()
			defer mu.Unlock()
			lines[id] = append(lines[id], line)
		},
	}, files{"app.py": "print('loaded')\ndef handler(event, context):\n    print('got', event)\n    return context.aws_request_id\n"})
	for n, id := range []string{"6f7b4a8e-0000-4000-8000-000000000001", "6f7b4a8e-0000-4000-8000-000000000002"} {
		answer, err := f.Invoke(t.Context(), id, []byte{'1' + byte(n)})
		require.NoError(t, err)
		require.Equal(t, `"`+id+`"`, string(answer))
		mu.Lock()
		require.Equal(t, []string{"got " + string('1'+rune(n))}, lines[id])
		mu.Unlock()
	}
	require.Equal(t, []string{"loaded"}, lines[""])
}
