//go:build linux || darwin

package process_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// published returns the folder of one of AWS's own runtimes, which GATEWAY_LAMBDA_RIC has as
// PACKAGE beside others. They are built from C++, for which few machines have the tools, so
// that the test is skipped without them, also in CI.
func published(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("GATEWAY_LAMBDA_RIC")
	if dir == "" {
		t.Skip("GATEWAY_LAMBDA_RIC is not set: it is the folder where aws-lambda-ric and awslambdaric are installed")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skip(path + " is not there")
	}
	return path
}

// AWS's own runtime for Node.js, as it is on npm, runs a handler, and its errors of every kind
// arrive with the names that our own bootstrap gives them.
func TestRuntimes_NodeOfAWS(t *testing.T) {
	t.Parallel()
	ric := published(t, "aws-lambda-ric")
	need(t, "node")
	source := files{"index.js": `
exports.handler = async (e, c) => {
  if (e === "throw") throw new TypeError("no room");
  if (e === "exit") process.exit(3);
  if (e === "reject") { Promise.reject(new Error("lost")); await new Promise((r) => setTimeout(r, 5000)); }
  if (e === "hang") await new Promise((r) => setTimeout(r, 60000));
  if (e === "circle") { const o = {}; o.o = o; return o; }
  if (e === "large") return "x".repeat(7 << 20);
  return [e, c.functionName, c.invokedFunctionArn, c.memoryLimitInMB, c.getRemainingTimeInMillis() > 500];
};
exports.later = (e, c, callback) => { c.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); callback(null, "called " + e) };
exports.stream = global.awslambda?.streamifyResponse(async (e, stream) => { stream.write("[1,"); stream.write("2]"); stream.end() });
`, "broken.js": `throw new RangeError("no table")`}
	commands := func(handler string) map[string]process.Config {
		return map[string]process.Config{
			"AWS's":   {Command: []string{"node", filepath.Join(ric, "bin", "index.mjs"), handler}, Timeout: 2 * time.Second},
			"our own": {Runtime: "nodejs", Handler: handler, Timeout: 2 * time.Second},
		}
	}
	for name, c := range commands("index.handler") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, c, source)
			require.JSONEq(t, `["ünï",`+`"chat","arn:aws:lambda:us-east-1:123456789012:function:chat","128",true]`, f.call(t, `"ünï"`))
			for event, want := range map[string][2]string{
				"throw":  {"TypeError", "no room"},
				"exit":   {"Runtime.ExitError", "Runtime exited with error: exit status 3"},
				"reject": {"Runtime.UnhandledPromiseRejection", "Error: lost"},
				"circle": {"Error", "Unable to stringify response body"},
				"hang":   {"Sandbox.Timedout", "Task timed out after 2.00 seconds"},
				"large":  {"Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes)."},
			} {
				raised := f.raises(t, `"`+event+`"`)
				require.Equal(t, want[0], raised.Type, event)
				require.Contains(t, raised.Message, want[1], event)
			}
			require.Contains(t, f.call(t, `1`), `chat`, "the next event finds a process")
		})
	}
	for handler, want := range map[string]string{"index.later": `"called 1"`, "index.stream": `[1,2]`} {
		for name, c := range commands(handler) {
			t.Run(handler+", "+name, func(t *testing.T) {
				t.Parallel()
				f := start(t, c, source)
				require.JSONEq(t, want, f.call(t, `1`))
				require.JSONEq(t, want, f.call(t, `1`))
			})
		}
	}
	for handler, want := range map[string]string{"index.other": "Runtime.HandlerNotFound", "nothing.handler": "Runtime.ImportModuleError", "broken.handler": "RangeError", "handler": "Runtime.MalformedHandlerName"} {
		for name, c := range commands(handler) {
			t.Run(handler+", "+name, func(t *testing.T) {
				t.Parallel()
				if handler == "handler" && c.Runtime != "" {
					return // New refuses it: TestNew_Misuse
				}
				require.Equal(t, want, start(t, c, source).raises(t, `1`).Type)
			})
		}
	}
}

// A runtime in the shell, as in AWS's tutorial about custom runtimes.
func TestRuntimes_Shell(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	need(t, "curl")
	f := start(t, process.Config{Runtime: "provided.al2023", Handler: "function.handler"}, files{"bootstrap": `#!/bin/bash
set -euo pipefail
source "$LAMBDA_TASK_ROOT/$(echo "$_HANDLER" | cut -d. -f1).sh"
while true; do
  HEADERS="$(mktemp)"
  EVENT_DATA=$(curl -sS -LD "$HEADERS" "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/next")
  REQUEST_ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)
  RESPONSE=$($(echo "$_HANDLER" | cut -d. -f2) "$EVENT_DATA")
  curl -sS "http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation/$REQUEST_ID/response" -d "$RESPONSE" >/dev/null
  rm "$HEADERS"
done
`, "function.sh": `function handler () { echo "$1" 1>&2; echo "{\"echo\":$1}"; }
`})
	require.NoError(t, os.Chmod(filepath.Join(f.dir, "bootstrap"), 0o700))
	for range 3 {
		require.JSONEq(t, `{"echo":{"a":"ü"}}`, f.call(t, `{"a":"ü"}`))
	}
}
