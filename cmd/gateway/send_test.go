package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run1 runs the program to its end.
func run1(t *testing.T, in string, args ...string) (code int, out, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func TestSend(t *testing.T) {
	t.Parallel()
	p := serve(t, withRoutes(`
routes:
  one: {integration: one, routeResponse: true}
  two: {integration: two, routeResponse: true}
  quiet: {integration: one}
origins: ["https://app.example.com"]
quotas: {messageBytes: 1000, frameBytes: 1000}
`))
	url := "ws://" + p.address("clients", 1) + "/prod"
	for name, tc := range map[string]struct {
		in       string
		args     []string
		code     int
		out, log string
	}{
		"two messages":       {"", []string{"--count", "2", url, `{"action":"one"}`, `{"action":"two"}`}, 0, "one\ntwo\n", "connected to " + url},
		"from the input":     {"{\"action\":\"two\"}\n{\"action\":\"one\"}\n", []string{"--count", "2", url, "-"}, 0, "two\none\n", ""},
		"all within a time":  {"", []string{"--wait", "300ms", url, `{"action":"one"}`}, 0, "one\n", ""},
		"nothing to wait":    {"", []string{"--wait", "50ms", url}, 0, "", "connected"},
		"too few":            {"", []string{"--count", "2", "--wait", "100ms", url, `{"action":"one"}`}, 1, "one\n", "gateway: 1 of 2 messages came within 100ms after the last one was sent"},
		"no answer":          {"", []string{"--count", "1", "--wait", "50ms", url, `{"action":"quiet"}`}, 1, "", "0 of 1 messages"},
		"good origin":        {"", []string{"--origin", "https://app.example.com", "--count", "1", url, `{"action":"one"}`}, 0, "one\n", ""},
		"bad origin":         {"", []string{"--origin", "https://evil.example", url}, 1, "", "gateway: the server refused the connection: 403 Forbidden"},
		"origin as a header": {"", []string{"-H", "Origin: https://evil.example", url}, 1, "", "403 Forbidden"},
		"closed by server":   {"", []string{url, strings.Repeat("x", 1001)}, 1, "", "gateway: closed by the server: 1009"},
		"no such path":       {"", []string{url + "2"}, 1, "", `the server refused the connection: 404 Not Found {"message":"Not Found"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, log := run1(t, tc.in, append([]string{"send"}, tc.args...)...)
			require.Equal(t, tc.code, code, log)
			require.Equal(t, tc.out, out)
			require.Contains(t, log, tc.log)
		})
	}
}
