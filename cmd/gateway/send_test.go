package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
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

// A signal closes the connection as a client should, and fewer messages than were asked for are a
// failure.
func TestSend_stopped(t *testing.T) {
	t.Parallel()
	codes := make(chan string, 1)
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { codes <- r.Header.Get("X-Code") }))
	defer backend.Close()
	p := serve(t, withRoutes(`
  gone: {http: {uri: "`+backend.URL+`", requestParameters: {integration.request.header.X-Code: context.disconnectStatusCode}}}
routes: {$default: {integration: one, routeResponse: true}, $disconnect: {integration: gone}}
`))
	for name, tc := range map[string]struct {
		count string
		code  int
		log   string
	}{
		"enough":  {"0", 0, ""},
		"too few": {"2", 1, "gateway: 1 of 2 messages came before it was stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, "send", "--wait", "1h", "--count", tc.count, "ws://"+p.address("clients", 1)+"/prod", "x")
			var log bytes.Buffer
			cmd.Stderr = &log
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "one\n", line)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			_ = cmd.Wait()
			require.Equal(t, tc.code, cmd.ProcessState.ExitCode(), log.String())
			require.Contains(t, log.String(), tc.log)
			require.Equal(t, "1000", <-codes)
		})
	}
}

// With --binary the arguments are base64, and binary messages are always printed so.
func TestSend_Binary(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	}))
	defer backend.Close()
	p := serve(t, withRoutes(`
  b: {http: {uri: "`+backend.URL+`"}}
routes: {$default: {integration: b, routeResponse: true}}
`)+"binaryMessages: true\n")
	url := "ws://" + p.address("clients", 1) + "/prod"
	code, out, log := run1(t, "", "send", "--binary", "--count", "2", url, "AP8=", "aGVsbG8=")
	require.Equal(t, 0, code, log)
	require.Equal(t, "binary: AP8=\nbinary: aGVsbG8=\n", out)
	code, _, log = run1(t, "", "send", "--binary", url, "%")
	require.Equal(t, 1, code)
	require.Contains(t, log, `--binary: "%" is not base64`)
}

// The query of the URL is not printed, because it often has a token.
func TestSend_QueryIsSecret(t *testing.T) {
	t.Parallel()
	p := serve(t, withRoutes("routes: {$default: {integration: one, routeResponse: true}}\n"))
	url := "ws://" + p.address("clients", 1) + "/prod"
	code, _, log := run1(t, "", "send", "--count", "1", url+"?token=secret", "x")
	require.Equal(t, 0, code, log)
	require.Contains(t, log, "connected to "+url+"?…\n")
	_, _, refused := run1(t, "", "send", "ws://127.0.0.1:1/prod?token=secret", "x")
	require.Contains(t, refused, "cannot connect to ws://127.0.0.1:1/prod?…")
	require.NotContains(t, log+refused, "secret")
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
	compressing := "ws://" + serve(t, withRoutes("compression: {}\nroutes: {$default: {integration: one, routeResponse: true}}\n")).address("clients", 1) + "/prod"
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
		"compressed":         {"", []string{"--compress", "--count", "1", compressing, strings.Repeat("x", 1000)}, 0, "one\n", "compression: permessage-deflate; "},
		"not compressed":     {"", []string{"--compress", "--count", "1", url, `{"action":"one"}`}, 0, "one\n", "compression: the server has not agreed"},
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
