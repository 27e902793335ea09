package dev

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/controlplane"
	"example.com/gateway/definition"
	"example.com/gateway/internal/testutil"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

type fake string

func (fake) InvokeFunction(context.Context, []byte) ([]byte, error) { return nil, nil }

// A panic while a definition is read is an error: what runs goes on.
func TestServer_loadPanics(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "serverless.yml")
	require.NoError(t, os.WriteFile(file, []byte("service: ${env:NAME}\nprovider: {name: aws}\n"), 0o600))
	s := &server{log: slog.New(slog.DiscardHandler), o: Options{File: file}}
	s.o.Definition.Getenv = func(string) (string, bool) { panic("a mistake") }
	err := s.read(t.Context())
	require.ErrorAs(t, err, new(*FileError))
	require.ErrorContains(t, err, "please report it: a mistake")
}

func TestLocalHosts(t *testing.T) {
	t.Parallel()
	d := &definition.Definition{APIs: []definition.API{{Document: definition.Document{ID: "abc"}}, {Document: definition.Document{ID: "xyz"}}}}
	for text, want := range map[string]string{
		"https://abc.execute-api.us-east-1.amazonaws.com/prod":                  "https://localhost:4568/abc/prod",
		"wss://xyz.execute-api.cn-north-1.amazonaws.com.cn":                     "wss://localhost:4568/xyz",
		"abc.execute-api.eu-west-1.amazonaws.com":                               "localhost:4568/abc",
		"https://other.execute-api.us-east-1.amazonaws.com/prod":                "https://other.execute-api.us-east-1.amazonaws.com/prod",
		"https://zabc.execute-api.us-east-1.amazonaws.com/prod":                 "https://zabc.execute-api.us-east-1.amazonaws.com/prod",
		"abc.execute-api.x and https://sqs.us-east-1.amazonaws.com/":            "abc.execute-api.x and https://sqs.us-east-1.amazonaws.com/",
		"a=abc.execute-api.r-1.amazonaws.com,abc.execute-api.r-2.amazonaws.com": "a=localhost:4568/abc,localhost:4568/abc",
		"nothing": "nothing",
	} {
		require.Equal(t, want, localHosts(text, d, "localhost:4568"), text)
	}
}

// A function that was replaced, and still has events, does not look for changed files: one
// change is told once.
func TestFunctions_retiredWatchNot(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("GATEWAY_E2E") == "1" {
			t.Fatal("python3 is not installed")
		}
		t.Skip("python3 is not installed")
	}
	dir := t.TempDir()
	write := func(answer string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "app.py"), []byte("def handler(event, context):\n    return "+answer+"\n"), 0o600))
	}
	write("1")
	var log testutil.LockedBuffer
	fs := &functions{log: slog.New(slog.NewTextHandler(&log, nil))}
	defer fs.close()
	c := process.Config{Name: "chat", Dir: dir, Handler: "app.handler", Runtime: "python3.12"}
	var last *function
	for range 5 {
		f := fs.start(c)
		f.running.Add(1) // an event that has not ended
		defer f.running.Done()
		last = f
		fs.swap(func(map[string]*function) map[string]*function { return map[string]*function{"chat": f} })
		_, err := f.fn.InvokeFunction(t.Context(), []byte(`{}`))
		require.NoError(t, err)
	}
	write("22222")
	require.Eventually(t, func() bool {
		answer, err := last.fn.InvokeFunction(context.WithoutCancel(t.Context()), []byte(`{}`))
		return err == nil && string(answer) == "22222"
	}, 30*time.Second, 10*time.Millisecond)
	for f := range fs.all { // each has ended its watch, and told all that it has seen
		require.NoError(t, f.fn.Close())
	}
	require.Equal(t, 1, strings.Count(log.String(), "function code changed"))
}

// The first place that knows a function counts. Who gets the error knows no Go.
func TestResolvers(t *testing.T) {
	t.Parallel()
	one, two, three := fake("one"), fake("two"), fake("three")
	all := resolvers{controlplane.Functions{"a": one}, controlplane.Functions{"a": two, "b": three}}
	for uri, want := range map[string]lambda.Invoker{"a": one, "arn:aws:lambda:us-east-1:123456789012:function:b": three} {
		got, err := all.ResolveFunction(uri)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := all.ResolveFunction("arn:aws:lambda:us-east-1:123456789012:function:c")
	require.EqualError(t, err, `there is no function "c": create it, or start "gateway dev" with a definition that has it`)
	_, err = all.ResolveFunction("http://nothing")
	require.ErrorContains(t, err, "names no function")
}
