//go:build linux || darwin

package process_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

func TestPython_Handlers(t *testing.T) {
	t.Parallel()
	const hi = "def handler(event, context):\n    return 'hi ' + event\n"
	for _, tt := range []struct {
		name, handler string
		files         files
		want          string
	}{
		{"a module", "app.handler", files{"app.py": hi}, `"hi x"`},
		{"a module of a package", "chat.app.handler", files{"chat/__init__.py": "", "chat/app.py": hi}, `"hi x"`},
		{"a folder", "src/app.handler", files{"src/app.py": hi}, `"hi x"`},
		{"a package that imports its own", "chat.app.handler", files{
			"chat/__init__.py": "", "chat/names.py": "word = 'hi '", "chat/app.py": "from .names import word\ndef handler(e, c):\n    return word + e\n",
		}, `"hi x"`},
		{"a module beside it", "app.handler", files{"names.py": "word = 'hi '", "app.py": "import names\ndef handler(e, c):\n    return names.word + e\n"}, `"hi x"`},
		{"an object that can be called", "app.handler", files{"app.py": "class H:\n    def __call__(self, e, c):\n        return 'hi ' + e\nhandler = H()\n"}, `"hi x"`},
		{"a name that the bootstrap has", "app.answer", files{"app.py": "def answer(e, c):\n    return 'hi ' + e\n"}, `"hi x"`},
		{"modules with the names of others", "app.handler", files{
			"http.py": "", "json.py": "", "logging.py": "", "time.py": "", "app.py": hi,
		}, `"hi x"`},
		{"numbers of DynamoDB", "app.handler", files{
			"app.py": "from decimal import Decimal\ndef handler(e, c):\n    return [Decimal('1'), Decimal('2.50'), Decimal(10) ** 20]\n",
		}, `[1, 2.5, 100000000000000000000]`},
		{"bytes are the answer", "app.handler", files{"app.py": "def handler(e, c):\n    return b'{\"a\":1}'\n"}, `{"a":1}`},
		{"no answer", "app.handler", files{"app.py": "def handler(e, c):\n    pass\n"}, `null`},
		{"a program that is also a handler", "app.handler", files{"app.py": "import sys\n" + hi + "if __name__ == '__main__':\n    sys.exit(1)\n"}, `"hi x"`},
		{"a thread that goes on", "app.handler", files{"app.py": "import threading, time\ndef handler(e, c):\n    threading.Thread(target=time.sleep, args=(600,)).start()\n    return 'hi ' + e\n"}, `"hi x"`},
		{"reads standard input", "app.handler", files{"app.py": "import sys\ndef handler(e, c):\n    return len(sys.stdin.read())\n"}, `0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "python", Handler: tt.handler}, tt.files)
			require.Equal(t, tt.want, f.call(t, `"x"`))
			require.Equal(t, tt.want, f.call(t, `"x"`), "a second event")
		})
	}
}

func TestPython_Raises(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, handler, kind, message string }{
		{"an exception", "raise ValueError('no room')", "ValueError", "no room"},
		{"an answer that is no JSON", "return {1, 2}", "Runtime.MarshalError", "Unable to marshal response: Object of type set is not JSON serializable"},
		{"it exits", "import sys; sys.exit(3)", "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 3"},
		{"it exits without an error", "import os; os._exit(0)", "Runtime.ExitError", "RequestId: ID Error: Runtime exited without providing a reason"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := python(t, "def handler(event, context):\n    if event:\n        return 'alive'\n    "+tt.handler+"\n")
			raised := f.raises(t, `null`)
			require.Equal(t, tt.kind, raised.Type)
			require.Equal(t, tt.message, withoutID(raised.Message))
			if tt.kind == "ValueError" {
				require.Len(t, raised.Trace, 1, "the bootstrap is not in it: %q", raised.Trace)
				require.Contains(t, raised.Trace[0], `app.py", line 4, in handler`)
				require.Regexp(t, `^{"errorMessage": "no room", "errorType": "ValueError", "requestId": "[0-9a-f-]{36}", "stackTrace": \[".*"\]}$`, string(raised.Report()))
			}
			require.Equal(t, `"alive"`, f.call(t, `1`), "the next event finds a process")
		})
	}
}

func TestPython_DoesNotStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, handler, app, kind, message string }{
		{"no module", "chat.handler", ``, "Runtime.ImportModuleError", "Unable to import module 'chat': No module named 'chat'"},
		{"no function", "app.other", ``, "Runtime.HandlerNotFound", "Handler 'other' missing on module 'app'"},
		{"a missing module", "app.handler", `import no_such_module`, "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'no_such_module'"},
		{"the SDK", "app.handler", "error = ModuleNotFoundError(\"No module named 'boto3'\", name='boto3.session')\nraise error", "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'boto3': Lambda brings it, and here the python3 on the PATH needs it: python3 -m pip install boto3, in a virtual environment"},
		{"a syntax error", "app.handler", `def handler(`, "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': '(' was never closed (app.py, line 1)"},
		{"a module of Python itself", "sys.exit", ``, "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"},
		{"it raises", "app.handler", `raise KeyError("TABLE")`, "KeyError", "'TABLE'"},
		{"it exits", "app.handler", "print('no table')\nraise SystemExit(4)", "Runtime.ExitError", "Runtime exited with error: exit status 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "python", Handler: tt.handler}, files{"app.py": tt.app})
			for range 2 {
				raised := f.raises(t, `{}`)
				require.Equal(t, tt.kind, raised.Type)
				require.Equal(t, tt.message, raised.Message)
			}
			require.Equal(t, 1, countLines(f.log.String(), "function does not start"), "it is told once")
			if tt.name == "it exits" {
				require.Contains(t, f.log.String(), `last_lines="[no table]"`)
			}
		})
	}
}

func TestPython_Context(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "python", Handler: "app.handler", MemoryMB: 256}, files{"app.py": `
def handler(event, c):
    return [c.function_name, c.function_version, c.memory_limit_in_mb, c.invoked_function_arn, c.log_group_name,
            c.client_context, c.identity.cognito_identity_id, len(c.aws_request_id), 50000 < c.get_remaining_time_in_millis() <= 60000]
`})
	require.JSONEq(t, `["chat","$LATEST","256","arn:aws:lambda:us-east-1:123456789012:function:chat","/aws/lambda/chat",null,null,36,true]`, f.call(t, `{}`))
}

// The root logger prints as in Lambda, from the level that the handler sets.
func TestPython_Logging(t *testing.T) {
	t.Parallel()
	f := python(t, `
import logging
log = logging.getLogger()
log.setLevel(logging.INFO)
def handler(event, context):
    log.debug("nothing")
    log.info("hello %s", event)
    return context.aws_request_id
`)
	var id string
	decode(t, f.call(t, `"ann"`), &id)
	require.NoError(t, f.Close())
	require.Regexp(t, `request_id=`+id+` line="\[INFO\]\\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\\t`+id+`\\thello ann"`, f.log.String())
	require.NotContains(t, f.log.String(), "nothing")
}

// Version managers put programs on the PATH that fail unless their version is chosen.
func TestPython_VersionThatDoesNotRun(t *testing.T) {
	need(t, "python3")
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "python3.99"), []byte("#!/bin/sh\nexit 127\n"), 0o700)) //nolint:gosec // a program
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	f := start(t, process.Config{Runtime: "python3.99", Handler: "app.handler"}, files{"app.py": `
def handler(event, context):
    return event
`})
	require.JSONEq(t, `7`, f.call(t, `7`))
	require.Contains(t, f.log.String(), "function runs on another version than its runtime says")
}

// A report that is too large, and a name that no header can have, keep their type.
func TestPython_LargeError(t *testing.T) {
	t.Parallel()
	f := python(t, `
class Größe(Exception):
    pass
def handler(event, context):
    if event == "large":
        raise LookupError("x" * (7 << 20))
    if event == "name":
        raise Größe("no room")
    return event
`)
	require.Equal(t, "LookupError", f.raises(t, `"large"`).Type)
	require.Equal(t, "Größe", f.raises(t, `"name"`).Type)
	require.Equal(t, `1`, f.call(t, `1`), "the next event finds a process")
}
