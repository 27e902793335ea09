//go:build linux || darwin

package process_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/gateway"
	"example.com/gateway/gatewaytest"
	"example.com/gateway/lambda"
	"example.com/gateway/lambda/process"
)

func withoutID(message string) string {
	return regexp.MustCompile(`^RequestId: [0-9a-f-]{36} `).ReplaceAllString(message, "RequestId: ID ")
}

func countLines(log, text string) int { return strings.Count(log, text) }

func firstLine(text string) string { return strings.SplitN(text, "\n", 2)[0] }

// A function of each language answers on a gateway, authorizes, and stands behind
// templates.
func TestFunction_OnAGateway(t *testing.T) {
	t.Parallel()
	chat := node(t, `exports.handler = async (e) => ({ statusCode: 200, body: e.requestContext.authorizer.principalId + ": " + e.body })`)
	allow := python(t, `
def handler(event, context):
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {"principalId": event["queryStringParameters"]["user"], "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}}
`)
	item := python(t, "def handler(event, context):\n    raise KeyError(event['item'])\n")
	for _, f := range []*fn{chat, allow, item} {
		require.NotEmpty(t, f.raises(t, `{}`).Type) // now their processes run
	}
	srv := gatewaytest.New(t)
	srv.Handle("$connect", &gateway.MockIntegration{}, gateway.WithAuthorizer(lambda.NewAuthorizer(allow)))
	srv.Handle("$default", lambda.NewIntegration(chat), gateway.WithRouteResponse())
	srv.Handle("item", &gateway.CustomIntegration{Backend: lambda.NewBackend(item), Transform: &gateway.Transform{
		RequestTemplates: map[string]string{"$default": `{"item":$input.json('$.item')}`},
		Responses:        map[string]gateway.IntegrationResponse{"$default": {}},
	}}, gateway.WithRouteResponse())
	c := srv.Dial(t, gatewaytest.Query("user", "ann"))
	c.Send("ünï 😀")
	require.Equal(t, "ann: ünï 😀", c.Receive())
	c.Send(`{"action":"item","item":"tea"}`)
	require.Contains(t, c.Receive(), `{"errorMessage": "'tea'", "errorType": "KeyError", "requestId": "`)
}

// What goes in comes out, whatever its bytes, up to Lambda's bounds.
func TestFunction_Payloads(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for name, f := range map[string]*fn{
		"node": start(t, process.Config{Runtime: "nodejs", Handler: "index.handler", Concurrency: 1}, files{
			"index.js": `let grown = 0; exports.handler = async (e) => e.grow ? "x".repeat(e.grow, grown++) : e.grown ? grown : e`,
		}),
		"python": start(t, process.Config{Runtime: "python", Handler: "app.handler", Concurrency: 1}, files{"app.py": `
grown = 0
def handler(e, c):
    global grown
    if 'grow' in e:
        grown += 1
        return 'x' * e['grow']
    return grown if 'grown' in e else e
`}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, value := range []string{"", "ünï 😀 \u2028\x00\x7f", "<b>&", base64.StdEncoding.EncodeToString([]byte{0, 0xff, 0xfe, 0x80}), strings.Repeat("é", mb), strings.Repeat("x", 6*mb-100)} {
				event, err := json.Marshal(map[string]string{"body": value})
				require.NoError(t, err)
				if name == "python" && len(value) == 2*mb {
					continue // \u00e9 is six bytes there
				}
				var got struct{ Body string }
				decode(t, f.call(t, string(event)), &got)
				require.True(t, value == got.Body, "%.20q", value) //nolint:testifylint // megabytes are not for a message
			}
			_, err := f.InvokeFunction(t.Context(), make([]byte, 6*mb+1))
			var refused *lambda.InvokeError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, http.StatusRequestEntityTooLarge, refused.StatusCode)
			require.Equal(t, "RequestTooLargeException", refused.Type)
			raised := f.raises(t, fmt.Sprintf(`{"grow":%d}`, 7*mb))
			require.Equal(t, "Function.ResponseSizeTooLarge", raised.Type)
			require.Equal(t, "Response payload size exceeded maximum allowed payload size (6291556 bytes).", raised.Message)
			require.Equal(t, `1`, f.call(t, `{"grown":true}`), "the process goes on")
		})
	}
}

// A hundred events at a time run in four processes, one event at a time each.
func TestFunction_Concurrency(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs", Handler: "index.handler", Concurrency: 4}, files{"index.js": `
let running = 0;
exports.handler = async (e) => {
  running++;
  const most = running;
  await new Promise((r) => setTimeout(r, 5));
  running--;
  return { pid: process.pid, most, n: e };
};`})
	var all sync.WaitGroup
	var mu sync.Mutex
	pids := map[int]int{}
	for n := range 100 {
		all.Go(func() {
			var got struct{ Pid, Most, N int }
			answer, err := f.InvokeFunction(t.Context(), fmt.Append(nil, n))
			if err != nil || json.Unmarshal(answer, &got) != nil || got.N != n || got.Most != 1 {
				t.Errorf("event %d: %s, %v", n, answer, err)
			}
			mu.Lock()
			defer mu.Unlock()
			pids[got.Pid]++
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(pids), 4)
	require.Greater(t, len(pids), 1)
	var groups []int
	for pid := range pids {
		require.Len(t, running(t, pid), 1)
		groups = append(groups, groupOf(t, pid))
	}
	require.NoError(t, f.Close())
	requireGone(t, groups...)
}

// After the timeout the function and its children are dead, and the caller has Lambda's
// error. The next event starts anew.
func TestFunction_Timeout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		config process.Config
		files  files
	}{
		"node that waits": {process.Config{Runtime: "nodejs", Handler: "index.handler"}, files{"index.js": `
const { spawn } = require("child_process");
exports.handler = async (e) => {
  if (!e) return process.pid;
  const child = spawn("sleep", ["600"], { stdio: "inherit" });
  await new Promise(() => setInterval(() => {}, 1000));
}`}},
		"node that is busy": {process.Config{Runtime: "nodejs", Handler: "index.handler"}, files{"index.js": `exports.handler = async (e) => { while (e); return process.pid }`}},
		"python that forks": {process.Config{Runtime: "python", Handler: "app.handler"}, files{"app.py": `
import os, time
def handler(event, context):
    if event:
        os.fork()
        time.sleep(600)
    return os.getpid()
`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.config.Timeout = 1500 * time.Millisecond
			f := start(t, tt.config, tt.files)
			first := f.number(t, `0`)
			group := groupOf(t, first)
			began := time.Now()
			raised := f.raises(t, `1`)
			require.WithinRange(t, time.Now(), began.Add(1500*time.Millisecond), began.Add(20*time.Second))
			require.Equal(t, "Sandbox.Timedout", raised.Type)
			require.Equal(t, "RequestId: ID Error: Task timed out after 1.50 seconds", withoutID(raised.Message))
			requireGone(t, group)
			require.NotEqual(t, first, f.number(t, `0`))
		})
	}
}

// A process that does not ask for an event is killed, and the event fails.
func TestFunction_SlowStart(t *testing.T) {
	t.Parallel()
	f := python(t, "import time\ntime.sleep(600)\n")
	process.SetStartup(f.Function, 300*time.Millisecond)
	raised := f.raises(t, `{}`)
	require.Equal(t, "Sandbox.Timedout", raised.Type)
	require.Equal(t, "Init phase timed out after 0.30 seconds", raised.Message)
	require.Zero(t, process.Processes(f.Function))
}

// A caller that gives up does not end the function.
func TestFunction_CallerGivesUp(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs", Handler: "index.handler", Concurrency: 1}, files{
		"index.js": `let n = 0; exports.handler = async (e) => { n++; await new Promise((r) => setTimeout(r, e)); return n }`,
	})
	require.Equal(t, `1`, f.call(t, `0`))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := f.InvokeFunction(ctx, []byte(`300`))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	waiting, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = f.InvokeFunction(waiting, []byte(`0`))
	require.ErrorIs(t, err, context.DeadlineExceeded, "it waits for the process, and is taken back")
	require.Equal(t, `3`, f.call(t, `0`))
	require.Equal(t, 1, process.Processes(f.Function))
}

// A process that somebody kills is replaced: an event that it had not got yet goes to
// another one.
func TestFunction_KillNine(t *testing.T) {
	t.Parallel()
	f := node(t, `exports.handler = async () => process.pid`)
	for range 5 {
		pid := f.number(t, `{}`)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		answer, err := f.InvokeFunction(t.Context(), []byte(`{}`))
		if err != nil { // it got the event just before it died
			var raised *lambda.FunctionError
			require.ErrorAs(t, err, &raised)
			require.Equal(t, "Runtime.ExitError", raised.Type)
			continue
		}
		require.NotEqual(t, fmt.Sprint(pid), string(answer))
	}
}

// The output goes to the log line by line, with the request ID, and no more than a bound.
func TestFunction_Output(t *testing.T) {
	t.Parallel()
	t.Run("lines", func(t *testing.T) {
		t.Parallel()
		f := node(t, `console.log("loaded"); exports.handler = async (e, c) => { console.log("one " + c.awsRequestId); console.error("two\nthree"); process.stdout.write("end"); return c.awsRequestId }`)
		var first, second string
		decode(t, f.call(t, `{}`), &first)
		decode(t, f.call(t, `{}`), &second)
		require.NoError(t, f.Close())
		log := f.log.String()
		require.Contains(t, log, `level=INFO msg="function output" function=chat line=loaded`)
		for _, id := range []string{first, second} {
			for _, line := range []string{`"one ` + id + `"`, "two", "three", "end"} {
				require.Equal(t, 1, countLines(log, `msg="function output" function=chat request_id=`+id+` line=`+line+"\n"), line)
			}
		}
	})
	t.Run("100 MB", func(t *testing.T) {
		t.Parallel()
		f := python(t, `
import sys
def handler(event, context):
    for _ in range(1000):
        sys.stdout.write(("x" * 99 + "\n") * 1000)
    sys.stdout.write("y" * 1000000)
    return "done"
`)
		require.Equal(t, `"done"`, f.call(t, `{}`))
		require.NoError(t, f.Close())
		require.Less(t, len(f.log.String()), 4<<20)
		dropped := regexp.MustCompile(`function printed too much: the rest is dropped" function=chat request_id=\S+ bytes=(\d+)`).FindAllStringSubmatch(f.log.String(), -1)
		require.NotEmpty(t, dropped)
	})
	t.Run("bytes that are no text", func(t *testing.T) {
		t.Parallel()
		f := python(t, "import os\ndef handler(event, context):\n    os.write(1, b'a\\xff\\x00b\\r\\n')\n")
		f.call(t, `{}`)
		require.NoError(t, f.Close())
		require.Contains(t, f.log.String(), "line=\"a\uFFFD\\x00b\"")
	})
}

// A changed file is in use for the next events, and events that run end on the old code.
func TestFunction_Reload(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs", Handler: "index.handler", Concurrency: 4}, files{"index.js": `exports.handler = async (e) => { console.log("begun", e); await new Promise((r) => setTimeout(r, e)); return 0 }`})
	require.Equal(t, `0`, f.call(t, `0`))
	var running sync.WaitGroup
	running.Go(func() {
		answer, err := f.InvokeFunction(t.Context(), []byte(`1500`))
		if err != nil || string(answer) != `0` {
			t.Errorf("the event that ran: %s, %v", answer, err)
		}
	})
	require.Eventually(t, func() bool { return strings.Contains(f.log.String(), "begun 1500") }, 30*time.Second, time.Millisecond)
	var stop atomic.Bool
	for range 3 { // load
		running.Go(func() {
			for !stop.Load() {
				if answer, err := f.InvokeFunction(t.Context(), []byte(`1`)); err != nil || !bytes.Contains([]byte(`01`), answer) {
					t.Errorf("an event: %s, %v", answer, err)
					return
				}
			}
		})
	}
	write(t, f.dir, files{"index.js": `exports.handler = async () => 1`})
	require.Eventually(t, func() bool { return f.call(t, `0`) == `1` }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, `1`, f.call(t, `0`), "it stays new")
	stop.Store(true)
	running.Wait()
	require.Contains(t, f.log.String(), "function code changed")
}

// Changes before a process has the code are not worth a line.
func TestFunction_ReloadUnseen(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "provided.al2023"}, files{"bootstrap": "#!/bin/sh\n"})
	process.Reload(f.Function, t.Context())
	require.NotContains(t, f.log.String(), "function code changed")
}

// Files and folders that are not code do not count, by whatever name they are reached.
func TestFunction_Unwatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, files{"index.js": "", "notes": "", "state/db": ""})
	var unwatched []fs.FileInfo
	for _, name := range []string{"notes", "state"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		unwatched = append(unwatched, info)
	}
	before := process.Fingerprint(dir, unwatched)
	write(t, dir, files{"notes": "more", "state/db": "more", "state/other": "more"})
	require.Equal(t, before, process.Fingerprint(dir, unwatched))
	write(t, dir, files{"index.js": "more"})
	require.NotEqual(t, before, process.Fingerprint(dir, unwatched))
}

// After a mistake in the code, and its correction, the function runs again.
func TestFunction_ReloadAfterAMistake(t *testing.T) {
	t.Parallel()
	f := python(t, "def handler(e, c):\n    return 0\n")
	require.Equal(t, `0`, f.call(t, `{}`))
	write(t, f.dir, files{"app.py": "def handler(e, c)"})
	require.Eventually(t, func() bool {
		_, err := f.InvokeFunction(t.Context(), []byte(`{}`))
		return err != nil && strings.Contains(err.Error(), "Runtime.UserCodeSyntaxError")
	}, 30*time.Second, 10*time.Millisecond)
	write(t, f.dir, files{"app.py": "def handler(e, c):\n    return 1\n"})
	require.Eventually(t, func() bool {
		answer, err := f.InvokeFunction(t.Context(), []byte(`{}`))
		return err == nil && string(answer) == `1`
	}, 30*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return countLines(f.log.String(), "function code changed") >= 2 }, 30*time.Second, 10*time.Millisecond)
	before := process.Look(f.Function)
	write(t, f.dir, files{"node_modules/x/index.js": "", ".git/HEAD": "", "__pycache__/app.pyc": ""})
	require.Equal(t, before, process.Look(f.Function), "these folders are not watched")
	write(t, f.dir, files{".app.py.swp": "", ".#app.py": "", "app.py~": "", "x/out.log": "", "y.tmp": "", "app.swp": ""})
	require.Equal(t, before, process.Look(f.Function), "these files are not watched")
	for _, name := range []string{"other.py", ".env", ".env.local", "words.txt"} {
		write(t, f.dir, files{name: ""})
		now := process.Look(f.Function)
		require.NotEqual(t, before, now, name)
		before = now
	}
}

// An idle process ends, and the next event starts another one.
func TestFunction_Idle(t *testing.T) {
	t.Parallel()
	f := node(t, `exports.handler = async () => process.pid`)
	process.SetIdle(f.Function, 50*time.Millisecond)
	pid := f.number(t, `{}`)
	wardens := process.Wardens(f.Function)
	requireGone(t, append(wardens, pid)...)
	require.Eventually(t, func() bool { return process.Processes(f.Function) == 0 }, 30*time.Second, 5*time.Millisecond)
	require.NotEqual(t, pid, f.number(t, `{}`))
	require.NotContains(t, f.log.String(), "level=WARN")
}

// A function sees Lambda's variables and its own, and nothing of this program's.
func TestFunction_Environment(t *testing.T) {
	t.Setenv("GATEWAY_TEST_SECRET", "s3cret")
	t.Setenv("GATEWAY_TEST_PASSED", "yes")
	f := start(t, process.Config{
		Runtime: "nodejs", Handler: "index.handler", PassEnv: []string{"GATEWAY_TEST_PASSED"},
		Env: []string{"TABLE=connections", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_LAMBDA_RUNTIME_API=x"},
	}, files{"index.js": `const seen = { ...process.env }; exports.handler = async () => ({ ...seen, cwd: process.cwd() })`})
	var got map[string]string
	decode(t, f.call(t, `{}`), &got)
	for name, value := range map[string]string{
		"TABLE": "connections", "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
		"GATEWAY_TEST_PASSED": "yes", "AWS_LAMBDA_FUNCTION_NAME": "chat", "AWS_EXECUTION_ENV": "AWS_Lambda_nodejs",
		"LAMBDA_TASK_ROOT": f.dir, "_HANDLER": "index.handler", "PATH": os.Getenv("PATH"), "TZ": ":UTC",
	} {
		require.Equal(t, value, got[name], name)
	}
	require.NotContains(t, got, "GATEWAY_TEST_SECRET")
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, got["AWS_LAMBDA_RUNTIME_API"])
	dir, err := filepath.EvalSymlinks(f.dir)
	require.NoError(t, err)
	require.Equal(t, dir, got["cwd"])
	allowed := regexp.MustCompile(`^(AWS_.*|PATH|HOME|LANG|TMPDIR|TZ|LAMBDA_TASK_ROOT|_HANDLER|TABLE|GATEWAY_TEST_PASSED|cwd)$`)
	for name := range got {
		require.Regexp(t, allowed, name)
	}
}

// A version that differs from the runtime's name is a warning, once.
func TestFunction_Version(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs10.x", Handler: "index.handler"}, files{"index.js": `exports.handler = async () => process.exit(1)`})
	for range 2 {
		require.Equal(t, "Runtime.ExitError", f.raises(t, `{}`).Type)
	}
	require.Equal(t, 1, countLines(f.log.String(), `msg="function runs on another version than its runtime says" function=chat runtime=nodejs10.x program=node version=`))
	exact := exec.Command("node", "-p", "process.versions.node.split('.')[0]")
	version, err := exact.Output()
	require.NoError(t, err)
	same := start(t, process.Config{Runtime: "nodejs" + strings.TrimSpace(string(version)) + ".x", Handler: "index.handler"}, files{"index.js": `exports.handler = async () => 1`})
	same.call(t, `{}`)
	require.NotContains(t, same.log.String(), "another version")
}

// After Retire processes end when they have no event, and events are still served.
func TestFunction_Retire(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs", Handler: "index.handler"}, files{
		"index.js": `exports.handler = async (e) => { console.log("begun"); await new Promise((r) => setTimeout(r, e)); return process.pid }`,
	})
	idle := f.number(t, `0`)
	running := make(chan string, 1)
	go func() {
		answer, _ := f.InvokeFunction(t.Context(), []byte(`300`))
		running <- string(answer)
	}()
	require.Eventually(t, func() bool { return countLines(f.log.String(), "line=begun") == 2 }, 30*time.Second, time.Millisecond)
	f.Retire()
	f.Retire()
	require.Equal(t, fmt.Sprint(idle), <-running)
	requireGone(t, idle)
	late := f.number(t, `0`)
	require.NotEqual(t, idle, late)
	requireGone(t, late)
	require.NotContains(t, f.log.String(), "level=WARN")
}

// A function whose files stay as they are, or that gets no more events, does not look for
// changes: another one has its place.
func TestFunction_WatchesNot(t *testing.T) {
	t.Parallel()
	const changed = "function code changed"
	for name, tt := range map[string]struct {
		unchanging bool
		end        func(*fn)
		want       int
	}{
		"usual":      {false, func(*fn) {}, 1},
		"unchanging": {true, func(*fn) {}, 0},
		"retired":    {false, func(f *fn) { f.Retire() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "python", Handler: "app.handler", Unchanging: tt.unchanging}, files{"app.py": "def handler(event, context):\n    return 1\n"})
			other := start(t, process.Config{Runtime: "python", Handler: "app.handler", Dir: f.dir}, nil)
			for _, f := range []*fn{f, other} {
				f.call(t, `{}`)
			}
			tt.end(f)
			write(t, f.dir, files{"app.py": "def handler(event, context):\n    return 2222\n"})
			require.Eventually(t, func() bool { return other.number(t, `{}`) == 2222 }, 30*time.Second, 10*time.Millisecond)
			if tt.want > 0 {
				require.Eventually(t, func() bool { return countLines(f.log.String(), changed) == tt.want }, 30*time.Second, 10*time.Millisecond)
			}
			require.NoError(t, f.Close())
			require.Equal(t, tt.want, countLines(f.log.String(), changed))
		})
	}
}

// The methods of an empty Function do nothing.
func TestFunction_Empty(t *testing.T) {
	t.Parallel()
	for _, f := range []*process.Function{nil, {}} {
		f.Prepare()
		f.Retire()
		require.NoError(t, f.Shutdown(t.Context()))
		require.NoError(t, f.Close())
		_, err := f.InvokeFunction(t.Context(), nil)
		require.ErrorIs(t, err, process.ErrConfig)
	}
}

// Several calls of Close at a time end the function once, and all wait for it.
func TestFunction_CloseTwice(t *testing.T) {
	t.Parallel()
	f := python(t, "import os\ndef handler(event, context):\n    return os.getpid()\n")
	group := groupOf(t, f.number(t, `{}`))
	var wait sync.WaitGroup
	left := make(chan int, 8)
	for range cap(left) {
		wait.Go(func() {
			_ = f.Close()
			left <- process.Processes(f.Function)
		})
	}
	wait.Wait()
	for range cap(left) {
		require.Zero(t, <-left)
	}
	requireGone(t, group)
}

// After Close nothing of the function runs, whatever it was doing, and events fail.
func TestFunction_Close(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "python", Handler: "app.handler", Concurrency: 2}, files{"app.py": `
import os, subprocess, time
def handler(event, context):
    child = subprocess.Popen(["sleep", "600"])
    with open(os.path.join(event, str(os.getpid())), "w") as f:
        f.write(str(child.pid))
    time.sleep(600)
`})
	notes := t.TempDir()
	event, err := json.Marshal(notes)
	require.NoError(t, err)
	var waiting sync.WaitGroup
	errs := make(chan error, 5)
	for range cap(errs) {
		waiting.Go(func() {
			_, err := f.InvokeFunction(context.WithoutCancel(t.Context()), event)
			errs <- err
		})
	}
	var pids []int
	require.Eventually(t, func() bool {
		entries, err := os.ReadDir(notes)
		require.NoError(t, err)
		pids = nil
		for _, e := range entries {
			var pid int
			_, err := fmt.Sscan(e.Name(), &pid)
			require.NoError(t, err)
			pids = append(pids, pid)
		}
		return len(pids) == 2
	}, 30*time.Second, 10*time.Millisecond)
	var groups []int
	for _, pid := range pids {
		groups = append(groups, groupOf(t, pid))
		require.Len(t, running(t, groupOf(t, pid)), 3, "the warden, python and its child")
	}
	require.NoError(t, f.Close())
	requireGone(t, append(groups, pids...)...)
	waiting.Wait()
	close(errs)
	for err := range errs {
		require.ErrorContains(t, err, "the function is closed")
	}
	_, err = f.InvokeFunction(t.Context(), []byte(`{}`))
	var refused *lambda.InvokeError
	require.ErrorAs(t, err, &refused)
	require.NoError(t, f.Close())
}

// Close ends a function that starts, and one that was never used.
func TestFunction_CloseEarly(t *testing.T) {
	t.Parallel()
	f := python(t, "import time\ntime.sleep(600)\n")
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := f.InvokeFunction(t.Context(), []byte(`{}`)); err == nil {
			t.Error("no error")
		}
	})
	require.Eventually(t, func() bool { return process.Processes(f.Function) == 1 }, 30*time.Second, time.Millisecond)
	require.NoError(t, f.Close())
	waiting.Wait()
	require.NoError(t, python(t, "").Close())
	require.NoError(t, (*process.Function)(nil).Close())
}

// A program of one's own is run in Dir, with its arguments.
func TestFunction_Command(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	f := start(t, process.Config{Command: []string{"python3", "loop.py", "hi"}}, files{"loop.py": `
import os, sys, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as r:
        event, id = r.read(), r.headers["Lambda-Runtime-Aws-Request-Id"]
    if event == b'"skip"':
        continue
    urllib.request.urlopen(base + id + "/response", b'"' + sys.argv[1].encode() + b'"').close()
`})
	require.Equal(t, `"hi"`, f.call(t, `{}`))
	require.Equal(t, "Runtime.InvalidState", f.raises(t, `"skip"`).Type)
	require.Equal(t, `"hi"`, f.call(t, `{}`))
}

func TestNew_Misuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		config process.Config
		says   string
	}{
		{"no folder", process.Config{}, "Dir is empty"},
		{"a folder that is not there", process.Config{Dir: filepath.Join(dir, "x")}, "is not a folder"},
		{"a wrong name of a runtime", process.Config{Dir: dir, Runtime: "nodejs20", Handler: "index.handler"}, `there is no runtime "nodejs20": write nodejs20.x`},
		{"no runtime", process.Config{Dir: dir}, "neither a Runtime nor a Command"},
		{"an unknown runtime", process.Config{Dir: dir, Runtime: "java21", Handler: "a.B"}, `no bootstrap for the runtime "java21"`},
		{"no handler", process.Config{Dir: dir, Runtime: "nodejs20.x"}, `the Handler "" is not FILE.FUNCTION`},
		{"a handler without a function", process.Config{Dir: dir, Runtime: "python3.12", Handler: "app"}, `the Handler "app" is not FILE.FUNCTION`},
		{"go1.x without a handler", process.Config{Dir: dir, Runtime: "go1.x"}, "the Handler is empty"},
		{"a command that is not there", process.Config{Dir: dir, Command: []string{"no-such-program"}}, "no-such-program is not on the PATH"},
		{"a file that is not there", process.Config{Dir: dir, Command: []string{"./run"}}, "run is not an executable file"},
		{"a negative timeout", process.Config{Dir: dir, Timeout: -1}, "Timeout -1ns is negative"},
		{"a negative memory", process.Config{Dir: dir, MemoryMB: -1}, "MemoryMB -1 is negative"},
		{"a negative concurrency", process.Config{Dir: dir, Concurrency: -1}, "Concurrency -1 is negative"},
		{"a variable without a value", process.Config{Dir: dir, Env: []string{"TABLE"}}, "not NAME=value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := process.New(tt.config)
			require.ErrorIs(t, err, process.ErrConfig)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	t.Run("a function that New has not made", func(t *testing.T) {
		t.Parallel()
		require.ErrorContains(t, new(process.Function).Validate(), "make it with New")
		_, err := new(process.Function).InvokeFunction(t.Context(), nil)
		require.ErrorIs(t, err, process.ErrConfig)
	})
}

// A missing interpreter is one line that says what to do.
func TestNew_NoInterpreter(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for runtime, program := range map[string]string{"nodejs20.x": "node", "python3.12": "python3"} {
		_, err := process.New(process.Config{Name: "chat", Dir: t.TempDir(), Runtime: runtime, Handler: "a.b"})
		require.ErrorIs(t, err, exec.ErrNotFound)
		require.EqualError(t, err, `process: invalid configuration: function "chat": the runtime `+runtime+` needs `+program+`, which is not on the PATH: install it, or set Command`)
	}
}

// An executable that is missing, or cannot run, is one line as well.
func TestFunction_NoExecutable(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "provided.al2023"}, nil)
	_, err := f.InvokeFunction(t.Context(), []byte(`{}`))
	var refused *lambda.InvokeError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Message, "bootstrap is not an executable file, and "+f.dir+" has no Go program to build")
	require.Contains(t, f.log.String(), "function does not start")
	write(t, f.dir, files{"bootstrap": "#!/no/such/interpreter\n"})
	require.NoError(t, os.Chmod(filepath.Join(f.dir, "bootstrap"), 0o700))
	process.Reload(f.Function, t.Context())
	_, err = f.InvokeFunction(t.Context(), []byte(`{}`))
	require.ErrorAs(t, err, &refused)
	require.NotContains(t, refused.Message, "\n")
	write(t, f.dir, files{"bootstrap": "#!/bin/sh\necho no table\nexit 7\n"})
	process.Reload(f.Function, t.Context())
	raised := f.raises(t, `{}`)
	require.Equal(t, "Runtime exited with error: exit status 7", raised.Message)
	require.Equal(t, []string{"no table"}, raised.Trace)
}
