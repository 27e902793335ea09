//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway/internal/wsconn"
)

// needNode skips a test where Node.js is missing.
func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("GATEWAY_E2E") == "1" {
			t.Fatal("node is not installed")
		}
		t.Skip("node is not installed")
	}
}

// A function runs as a process: it answers, authorizes and logs, it stays over a reload that
// does not change it, it ends after its event when it is removed, and nothing is left of it
// at the end.
func TestServe_Process(t *testing.T) {
	t.Parallel()
	needNode(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.mjs"), []byte(`
export const handler = async (event) => {
  if (event.type === "REQUEST") {
    const Statement = [{ Effect: event.queryStringParameters?.user ? "Allow" : "Deny", Action: "execute-api:Invoke", Resource: event.methodArn }];
    return { principalId: "x", policyDocument: { Version: "2012-10-17", Statement } };
  }
  console.log("got", event.body);
  const ms = Number(event.body) || 0;
  await new Promise((r) => setTimeout(r, ms));
  return { statusCode: 200, body: [process.env.WORD, process.env.KEY, process.env.HIDDEN, process.pid].join(" ") };
};
`), 0o600))
	with := func(word, routes string) string {
		return withRoutes(`
  chat: {process: {dir: "` + dir + `", runtime: nodejs, handler: index.handler, timeout: 20s, env: {WORD: ` + word + `, KEY: {environment: KEY_OF_TEST}}}}
  who: {process: {dir: "` + dir + `", runtime: nodejs, handler: index.handler, timeout: 20s}}
authorizers: {who: {lambda: {integration: who}}}
routes:
  $connect: {integration: one, authorizer: who}
  ` + routes)
	}
	const routes = "$default: {integration: chat, routeResponse: true}"
	p := serve(t, with("hi", routes), "KEY_OF_TEST=k3y", "HIDDEN=x")
	url := "ws://" + p.address("clients", 1) + "/prod"
	c := dial(t, url+"?user=ann", wsconn.DialOptions{})
	say := func(text string) (words string, pid int) {
		t.Helper()
		c.send(text)
		answer := c.receive()
		cut := strings.LastIndexByte(answer, ' ')
		pid, err := strconv.Atoi(answer[cut+1:])
		require.NoError(t, err, answer)
		return answer[:cut], pid
	}
	words, first := say("hello")
	require.Equal(t, "hi k3y ", words)
	require.Equal(t, "chat", p.await("function output", 1)["function"])
	p.reload(with("hi", routes+"\nthrottle: {rate: 1000, burst: 1000}"), "reloaded", 1)
	_, again := say("hello")
	require.Equal(t, first, again)

	// An event that runs ends on the process that it has begun on.
	c.send("700")
	p.await("function output", 3)
	p.reload(with("bye", routes), "reloaded", 2)
	require.Equal(t, "hi k3y  "+strconv.Itoa(first), c.receive())
	requireGone(t, first)
	words, second := say("hello")
	require.Equal(t, "bye k3y ", words)

	p.reload(withRoutes("routes: {$default: {integration: one, routeResponse: true}}"), "reloaded", 3)
	requireGone(t, second)
	c.send("x")
	require.Equal(t, "one", c.receive())

	p.reload(with("end", routes), "reloaded", 4)
	_, third := say("hello")
	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.exit())
	requireGone(t, third)
}

// requireGone waits until a process has ended.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, patience, 5*time.Millisecond)
}

// The first message of docs/serve.md needs nothing but the file.
func TestServe_FirstExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/examples/hello.yaml")
	require.NoError(t, err)
	p := serve(t, strings.Replace(string(text), "127.0.0.1:8080", "127.0.0.1:0", 1))
	c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
	c.send(`{"action":"ping"}`)
	require.Equal(t, "pong", c.receive())
}

// A function has a key pair, without which no SDK sends a call, unless the configuration says
// who it is.
func TestServe_ProcessIdentity(t *testing.T) {
	t.Parallel()
	needNode(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.mjs"), []byte(`
const names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"];
export const handler = async () => ({ statusCode: 200, body: names.map((name) => process.env[name] ?? "-").join(" ") });
`), 0o600))
	for name, test := range map[string]struct{ process, management, want string }{
		"none":         {"", "", "test test - us-east-1 us-east-1"},
		"region":       {"", "management: {access: open, region: eu-west-1}\n", "test test - eu-west-1 eu-west-1"},
		"own region":   {", env: {AWS_REGION: eu-west-2}", "management: {access: open, region: eu-west-1}\n", "test test - eu-west-2 us-east-1"},
		"own pair":     {", env: {AWS_ACCESS_KEY_ID: a, AWS_SECRET_ACCESS_KEY: {environment: KEY_OF_TEST}}", "", "a k3y - us-east-1 us-east-1"},
		"passed":       {", passEnv: [AWS_PROFILE]", "", "- - work us-east-1 us-east-1"},
		"of a machine": {", env: {AWS_ACCESS_KEY_ID: ''}", "", " - - us-east-1 us-east-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, withRoutes(`
  who: {process: {dir: "`+dir+`", runtime: nodejs, handler: index.handler, timeout: 20s`+test.process+`}}
`+test.management+`routes: {$default: {integration: who, routeResponse: true}}`), "KEY_OF_TEST=k3y", "AWS_PROFILE=work")
			c := dial(t, "ws://"+p.address("clients", 1)+"/prod", wsconn.DialOptions{})
			c.send("x")
			require.Equal(t, test.want, c.receive())
		})
	}
}
