//go:build linux || darwin

package process_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// The runtime API answers no page of a browser, and nobody who reached its port by another
// name.
func TestRuntimeAPI_IsClosed(t *testing.T) {
	t.Parallel()
	f := node(t, `exports.handler = async () => "hi"`)
	f.call(t, `{}`)
	address := process.Address(f.Function)
	const next = "/2018-06-01/runtime/invocation/next"
	for name, tt := range map[string]struct {
		path, host string
		header     http.Header
		want       int
	}{
		"a page":          {next, address, http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		"an image":        {next, address, http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"another name":    {next, "evil.example", nil, http.StatusForbidden},
		"no runtime":      {"/", address, nil, http.StatusNotFound},
		"another version": {"/2020-01-01/runtime/invocation/next", address, nil, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+tt.path, nil)
			require.NoError(t, err)
			req.Host = tt.host
			for key, values := range tt.header {
				req.Header[key] = values
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, tt.want, resp.StatusCode)
		})
	}
}

// Another user of the machine cannot take an event.
func TestRuntimeAPI_OtherUsers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root can act as another user, and only Linux says who opens a connection")
	}
	need(t, "bash")
	f := node(t, `exports.handler = async () => "hi"`)
	f.call(t, `{}`)
	address := process.Address(f.Function)
	host, port, _ := strings.Cut(address, ":")
	script := fmt.Sprintf(`exec 3<>/dev/tcp/%s/%s; printf 'GET /2018-06-01/runtime/invocation/x HTTP/1.0\r\nHost: %s\r\n\r\n' >&3; head -1 <&3`, host, port, address)
	for uid, want := range map[uint32]string{0: "404 Not Found", 65534: "403 Forbidden"} {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, "HTTP/1.0 "+want, strings.TrimSpace(string(out)))
	}
	require.Equal(t, `"hi"`, f.call(t, `{}`))
}

// A runtime that does everything wrong harms only its own events, and each of them ends.
func TestRuntimeAPI_Misuse(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	const id = "00000000-0000-4000-8000-000000000000"
	for name, tt := range map[string]struct {
		does string // has the request ID in own
		kind string // of the error; "": the answer is "mine"
		says string // output, or a text of the error
	}{
		"answers twice":                    {`print(post(own + "/response", '"mine"'), post(own + "/response", '"other"'))`, "", "202 400"},
		"answers for another event":        {`print(post("` + id + `/response", '"other"'), post(own + "/response", '"mine"'))`, "", "400 202"},
		"raises for another event":         {`print(post("` + id + `/error", '{}'), post(own + "/response", '"mine"'))`, "", "400 202"},
		"answers, then raises":             {`print(post(own + "/response", '"mine"'), post(own + "/error", '{"errorType":"E"}'))`, "", "202 400"},
		"fails to start after its start":   {`print(post("../init/error", '{}'), post(own + "/response", '"mine"'))`, "", "403 202"},
		"writes half an answer":            {`c = half(); time.sleep(600)`, "Sandbox.Timedout", "timed out after 1.00 seconds"},
		"writes half an answer and closes": {`half().close(); time.sleep(600)`, "Runtime.TruncatedResponse", "a part of its answer"},
		"writes half an answer and exits":  {`c = half(); os._exit(0)`, "Runtime.", ""},
		"answers with too much":            {`print(post(own + "/response", "x" * (7 << 20)))`, "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload size"},
		"answers with no end":              {`forever()`, "Function.ResponseSizeTooLarge", "exceeded maximum allowed payload size"},
		"closes its output":                {`os.closerange(0, 3); post(own + "/response", '"mine"')`, "", ""},
		"ignores all signals and hangs":    {`ignore(); print("deaf"); time.sleep(600)`, "Sandbox.Timedout", "timed out"},
		"never asks again":                 {`post(own + "/response", '"mine"'); time.sleep(600)`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Command: []string{"python3", "-u", "loop.py"}, Timeout: 1e9, Concurrency: 1}, files{"loop.py": misuse + "    " + tt.does + "\n"})
			for range 2 {
				if tt.kind == "" {
					require.Equal(t, `"mine"`, f.call(t, `{}`))
				} else {
					raised := f.raises(t, `{}`)
					require.Contains(t, raised.Type, tt.kind)
					require.Contains(t, raised.Message, tt.says)
				}
			}
			require.NoError(t, f.Close())
			if tt.kind == "" {
				require.Contains(t, f.log.String(), tt.says)
			}
		})
	}
}

const misuse = `
import http.client, os, signal, socket, sys, time
address = os.environ["AWS_LAMBDA_RUNTIME_API"]
base = "/2018-06-01/runtime/invocation/"
def ask(method, path, body=None):
    c = http.client.HTTPConnection(address)
    c.request(method, base + path, body)
    r = c.getresponse()
    r.text = r.read()
    return r
def post(path, body):
    if path.startswith("../"):
        c = http.client.HTTPConnection(address)
        c.request("POST", "/2018-06-01/runtime/" + path[3:], body)
        return c.getresponse().status
    return ask("POST", path, body).status
def half():
    c = socket.create_connection(address.split(":"))
    c.sendall(("POST %s%s/response HTTP/1.1\r\nHost: %s\r\nContent-Length: 100\r\n\r\n{\"half\":" % (base, own, address)).encode())
    return c
def forever():
    c = socket.create_connection(address.split(":"))
    c.sendall(("POST %s%s/response HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % (base, own, address)).encode())
    while True:
        c.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
def ignore():
    for s in range(1, 32):
        try:
            signal.signal(s, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
while True:
    r = ask("GET", "next")
    own = r.headers["Lambda-Runtime-Aws-Request-Id"]
`
