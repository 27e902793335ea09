//go:build linux || darwin

package process_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/gateway/lambda/process"
)

// Every way to write, to export and to name a handler.
func TestNode_Handlers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, handler string
		files         files
		want          string
	}{
		{"CommonJS", "index.handler", files{"index.js": `exports.handler = async (e) => "hi " + e`}, `"hi x"`},
		{"CommonJS by its extension", "index.handler", files{"index.cjs": `exports.handler = async (e) => "hi " + e`}, `"hi x"`},
		{"an ES module by its extension", "index.handler", files{"index.mjs": `export const handler = async (e) => "hi " + e`}, `"hi x"`},
		{"an ES module by package.json", "src/index.handler", files{
			"package.json": `{"type":"module"}`, "src/index.js": `import os from "node:os"; export const handler = async (e) => typeof os.cpus + e`,
		}, `"functionx"`},
		{"an ES module that waits", "index.handler", files{"index.mjs": `const hi = await Promise.resolve("hi "); export const handler = async (e) => hi + e`}, `"hi x"`},
		{"in a folder", "src/chat/app.run", files{"src/chat/app.js": `exports.run = async (e) => "hi " + e`}, `"hi x"`},
		{"a module of node_modules by its name", "app.run", files{"node_modules/app/index.js": `exports.run = async (e) => "hi " + e`}, `"hi x"`},
		{"deep in an object", "index.api.run", files{"index.js": `exports.api = { run: async (e) => "hi " + e }`}, `"hi x"`},
		{"a module of node_modules", "index.handler", files{
			"index.js": `const greet = require("greet"); exports.handler = async (e) => greet(e)`, "node_modules/greet/index.js": `module.exports = (e) => "hi " + e`,
		}, `"hi x"`},
		{"a callback", "index.handler", files{"index.js": `exports.handler = (e, c, done) => { setTimeout(() => done(null, "hi " + e), 5) }`}, `"hi x"`},
		{"a callback at once", "index.handler", files{"index.js": `exports.handler = (e, c, done) => done(undefined, "hi " + e)`}, `"hi x"`},
		{"a callback waits until the event loop is empty", "index.handler", files{
			"index.js": `exports.handler = (e, c, done) => { const answer = { n: 1 }; setTimeout(() => { answer.n = 2 }, 20); done(null, answer) }`,
		}, `{"n":2}`},
		{"a callback does not wait", "index.handler", files{
			"index.js": `exports.handler = (e, c, done) => { c.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); done(null, "hi " + e) }`,
		}, `"hi x"`},
		{"a promise does not wait", "index.handler", files{"index.js": `exports.handler = async (e) => { setInterval(() => {}, 1000); return "hi " + e }`}, `"hi x"`},
		{"context.succeed", "index.handler", files{"index.js": `exports.handler = (e, c) => c.succeed("hi " + e)`}, `"hi x"`},
		{"no answer", "index.handler", files{"index.js": `exports.handler = async () => {}`}, `null`},
		{"neither a promise nor a callback", "index.handler", files{"index.js": `exports.handler = () => "lost"`}, `null`},
		{"a promise that nobody keeps", "index.handler", files{"index.js": `exports.handler = () => new Promise(() => {})`}, `null`},
		{"two answers", "index.handler", files{"index.js": `exports.handler = (e, c, done) => { done(null, 1); done(null, 2); c.succeed(3) }`}, `1`},
		{"a stream", "index.handler", files{"index.mjs": `export const handler = awslambda.streamifyResponse(async (e, stream, c) => { stream.write("[1,"); setTimeout(() => stream.end("\"" + e + "\"]"), 5) })`}, `[1,"x"]`},
		{"a stream with metadata", "index.handler", files{
			"index.mjs": `export const handler = awslambda.streamifyResponse(async (e, s) => { s = awslambda.HttpResponseStream.from(s, { statusCode: 200 }); s.setContentType("text/plain"); s.end(e) })`,
		}, "{\"statusCode\":200}\x00\x00\x00\x00\x00\x00\x00\x00x"},
		{"a package that is a module, from CommonJS", "index.handler", files{
			"index.js":                        `exports.handler = async (e) => (await import("greet")).default(e)`,
			"node_modules/greet/package.json": `{"type":"module","exports":"./main.js"}`, "node_modules/greet/main.js": `export default (e) => "hi " + e`,
		}, `"hi x"`},
		{"reads standard input", "index.handler", files{"index.js": `exports.handler = async (e) => require("fs").readFileSync(0).length`}, `0`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "nodejs", Handler: tt.handler}, tt.files)
			require.Equal(t, tt.want, f.call(t, `"x"`))
			require.Equal(t, tt.want, f.call(t, `"x"`), "a second event")
		})
	}
}

// What a handler throws becomes the error that Lambda makes of it.
func TestNode_Raises(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, handler, kind, message string }{
		{"an error of a promise", `async () => { throw new TypeError("no room") }`, "TypeError", "no room"},
		{"an error that is thrown", `() => { throw new Error("no room") }`, "Error", "no room"},
		{"an error for the callback", `(e, c, done) => done(new RangeError("no room"))`, "RangeError", "no room"},
		{"context.fail", `(e, c) => c.fail(new Error("no room"))`, "Error", "no room"},
		{"text", `async () => { throw "no room" }`, "string", "no room"},
		{"an error after the handler returned", `(e, c, done) => { setTimeout(() => { throw new Error("no room") }, 5) }`, "Error", "no room"},
		{"a promise that nobody waits for", `(e, c, done) => { Promise.reject(new Error("no room")); setTimeout(done, 1000) }`, "Runtime.UnhandledPromiseRejection", "Error: no room"},
		{"an answer that is no JSON", `async () => 1n`, "Error", "Unable to stringify response body"},
		{"an error for the callback does not wait", `(e, c, done) => { setInterval(() => {}, 1000); done(new Error("no room")) }`, "Error", "no room"},
		{"it exits", `async () => process.exit(3)`, "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: exit status 3"},
		{"it exits without an error", `async () => process.exit(0)`, "Runtime.ExitError", "RequestId: ID Error: Runtime exited without providing a reason"},
		{"it kills itself", `async () => { process.kill(process.pid, "SIGKILL"); await new Promise(() => setTimeout(() => {}, 9e6)) }`, "Runtime.ExitError", "RequestId: ID Error: Runtime exited with error: signal: killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := node(t, `const h = `+tt.handler+`; exports.handler = (e, c, done) => e ? c.succeed("alive") : h(e, c, done)`)
			raised := f.raises(t, `null`)
			require.Equal(t, tt.kind, raised.Type)
			require.Equal(t, tt.message, withoutID(raised.Message))
			require.Equal(t, `"alive"`, f.call(t, `1`), "the next event finds a process")
		})
	}
	t.Run("a stream", func(t *testing.T) {
		t.Parallel()
		f := node(t, `exports.handler = awslambda.streamifyResponse(async (e, stream) => { stream.write("half"); if (e === 1) throw new TypeError("no room"); if (e === 2) await new Promise(() => {}); stream.end() })`)
		require.Equal(t, "TypeError", f.raises(t, `1`).Type)
		require.Equal(t, "Runtime.NodeJsExit", f.raises(t, `2`).Type)
		require.Equal(t, `half`, f.call(t, `0`))
	})
	t.Run("the report is the function's own", func(t *testing.T) {
		t.Parallel()
		f := node(t, `exports.handler = async () => { const e = new RangeError("no room"); e.stack = "at home\nat work"; throw e }`)
		require.JSONEq(t, `{"errorType":"RangeError","errorMessage":"no room","trace":["at home","at work"]}`, string(f.raises(t, `1`).Report()))
	})
	t.Run("a promise that is never settled", func(t *testing.T) {
		t.Parallel()
		f := node(t, `exports.handler = async (e) => { if (!e) await new Promise(() => {}); return 1 }`)
		require.Equal(t, "Runtime.NodeJsExit", f.raises(t, `0`).Type)
		require.Equal(t, `1`, f.call(t, `1`))
	})
	t.Run("the trace says where", func(t *testing.T) {
		t.Parallel()
		f := node(t, "exports.handler = async () => {\n  throw new Error('no room');\n}")
		raised := f.raises(t, `{}`)
		require.Equal(t, "Error: no room", raised.Trace[0])
		require.Contains(t, raised.Trace[1], "index.js:2:9")
		require.NoError(t, f.Close())
		require.Contains(t, f.log.String(), "index.js:2:9")
	})
}

// A handler that cannot be loaded is told in one line, and with Lambda's words.
func TestNode_DoesNotStart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, handler, index string
		kind, message        string
	}{
		{"no file", "app.handler", ``, "Runtime.ImportModuleError", "Error: Cannot find module 'app'"},
		{"no export", "index.other", `exports.handler = 1`, "Runtime.HandlerNotFound", "index.other is undefined or not exported"},
		{"no function", "index.handler", `exports.handler = 1`, "Runtime.HandlerNotFound", "index.handler is not a function"},
		{"a missing module", "index.handler", `require("@aws-sdk/no-such-module")`, "Runtime.ImportModuleError", "Error: Cannot find module '@aws-sdk/no-such-module'"},
		{"a syntax error", "index.handler", `exports.handler = (`, "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected end of input"},
		{"it throws", "index.handler", `throw new Error("no table")`, "Error", "no table"},
		{"above its folder", "../index.handler", ``, "Runtime.MalformedHandlerName", "'../index.handler' is not a valid handler name"},
		{"it exits", "index.handler", `console.log("no table"); process.exit(4)`, "Runtime.ExitError", "Runtime exited with error: exit status 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "nodejs", Handler: tt.handler}, files{"index.js": tt.index})
			for range 2 {
				raised := f.raises(t, `{}`)
				require.Equal(t, tt.kind, raised.Type)
				require.Contains(t, raised.Message, tt.message)
			}
			require.Equal(t, 1, countLines(f.log.String(), "function does not start"), "it is told once")
			require.Contains(t, f.log.String(), firstLine(tt.message))
			if tt.name == "it exits" {
				require.Contains(t, f.log.String(), `last_lines="[no table]"`)
				require.Equal(t, []string{"no table"}, f.raises(t, `{}`).Trace)
			}
		})
	}
}

// An error of the code says where it is, and a module that only Lambda has says what to do.
func TestNode_SaysWhere(t *testing.T) {
	t.Parallel()
	const broken = "export const a = 1;\nconst b = ;\n"
	for _, tt := range []struct {
		name    string
		files   files
		message string
	}{
		{"CommonJS", files{"index.js": "const a = 1;\nconst b = ;\n"}, "SyntaxError: Unexpected token ';' (index.js:2)"},
		{"CommonJS, required", files{"index.js": `require("./lib/b")`, "lib/b.js": "\nconst b = ;\n"}, "SyntaxError: Unexpected token ';' (lib/b.js:2)"},
		{"an ES module", files{"index.mjs": broken}, "SyntaxError: Unexpected token ';' (index.mjs:2)"},
		{"an ES module, imported", files{"index.mjs": `import { c } from "./lib/c.mjs"; export const handler = c`, "lib/c.mjs": `export * from "./b.mjs"`, "lib/b.mjs": broken}, "SyntaxError: Unexpected token ';' (lib/b.mjs:2)"},
		{"JSON", files{"index.js": "\nJSON.parse('{')"}, "(index.js:2)"},
		{"an SDK", files{"index.js": `require("@aws-sdk/client-none/x")`}, "Error: Cannot find module '@aws-sdk/client-none/x': Lambda brings it, and here your project has to: npm install --save-dev @aws-sdk/client-none\nRequire stack:\n- DIR/index.js"},
		{"an SDK, imported", files{"index.mjs": `import "@aws-sdk/client-none"`}, "Cannot find package '@aws-sdk/client-none' imported from DIR/index.mjs: Lambda brings it, and here your project has to: npm install --save-dev @aws-sdk/client-none"},
		{"no invented file", files{"index.cjs": `require("none")`}, "Error: Cannot find module 'none'\nRequire stack:\n- DIR/index.cjs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, process.Config{Runtime: "nodejs", Handler: "index.handler"}, tt.files)
			raised := f.raises(t, `{}`)
			require.Contains(t, strings.ReplaceAll(raised.Message, f.dir, "DIR"), tt.message)
			require.Contains(t, f.log.String(), firstLine(strings.ReplaceAll(tt.message, "DIR", f.dir)))
			if tt.name == "no invented file" {
				require.NotContains(t, raised.Message, "index.js")
			}
		})
	}
	t.Run("a cause", func(t *testing.T) {
		t.Parallel()
		f := node(t, `exports.handler = async () => { const cause = Object.assign(new Error(""), { code: "ECONNREFUSED" }); throw new TypeError("fetch failed", { cause: new Error("no route", { cause }) }) }`)
		trace := f.raises(t, `{}`).Trace
		require.Equal(t, []string{"caused by Error: no route", "caused by Error: ECONNREFUSED"}, trace[len(trace)-2:])
		require.NoError(t, f.Close())
		require.Contains(t, f.log.String(), "caused by Error: ECONNREFUSED")
	})
}

// TypeScript is refused with what to do, where Node.js does not run it.
func TestNode_TypeScript(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{Runtime: "nodejs", Handler: "src/app.handler"}, files{"src/app.ts": `export const handler = async (e: string): Promise<string> => "hi " + e`})
	answer, err := f.InvokeFunction(t.Context(), []byte(`"x"`))
	if err == nil {
		require.Equal(t, `"hi x"`, string(answer), "Node.js 24 runs it")
		return
	}
	raised := f.raises(t, `"x"`)
	require.Equal(t, "Runtime.ImportModuleError", raised.Type)
	require.Regexp(t, `^src/app\.ts is TypeScript, which Node\.js \d+\.\d+\.\d+ does not run: compile it, for example with esbuild, and give the folder and the handler of the result$`, raised.Message)
}

// The context has what Lambda's has.
func TestNode_Context(t *testing.T) {
	t.Parallel()
	f := start(t, process.Config{
		Runtime: "nodejs", Handler: "index.handler", MemoryMB: 512, ARN: "arn:aws:lambda:eu-west-1:111122223333:function:chat",
	}, files{"index.js": `exports.handler = async (e, c) => ({ ...c, left: c.getRemainingTimeInMillis(), trace: process.env._X_AMZN_TRACE_ID, region: process.env.AWS_REGION })`})
	var got struct {
		FunctionName, FunctionVersion, MemoryLimitInMB, InvokedFunctionArn, AwsRequestID, LogGroupName, LogStreamName, Trace, Region string
		CallbackWaitsForEmptyEventLoop                                                                                               bool
		Left                                                                                                                         int
	}
	decode(t, f.call(t, `{}`), &got)
	require.Equal(t, []string{"chat", "$LATEST", "512", "arn:aws:lambda:eu-west-1:111122223333:function:chat", "/aws/lambda/chat", "eu-west-1"},
		[]string{got.FunctionName, got.FunctionVersion, got.MemoryLimitInMB, got.InvokedFunctionArn, got.LogGroupName, got.Region})
	require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, got.AwsRequestID)
	require.Regexp(t, `^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`, got.LogStreamName)
	require.Regexp(t, `^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$`, got.Trace)
	require.True(t, got.CallbackWaitsForEmptyEventLoop)
	require.InDelta(t, 55_000, got.Left, 5_000)
}

// The example does what it says.
func TestExampleNew(t *testing.T) {
	t.Parallel()
	need(t, "node")
	answer, err := greet()
	require.NoError(t, err)
	require.Equal(t, "200 hello, R1kmxc2VNjMCFIA=", answer)
}
