// Runs a handler for Node.js: asks the Lambda runtime API for events, gives them to the
// handler, and returns what it answers. The handler is loaded and called as AWS documents
// it ("Define Lambda function handler in Node.js"). This program arrives on the standard
// input, so that a handler that reads it finds its end.
import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";

const env = process.env;
const [host, port] = env.AWS_LAMBDA_RUNTIME_API.split(":");
let loaded = false;
let current; // the request ID of the running event

// The connection to the runtime API. HTTP is written and read here by hand: node:http takes
// as long for it as the rest of an event does.
const socket = net.connect(port, host).setNoDelay(true);
const waiting = []; // who waits for an answer, in the order of the requests
let chunks = []; // of an answer
let size = 0; // of the chunks
let want = 0; // how many bytes the answer has, or may have

// gone ends the process when the runtime API does not answer any more.
const gone = () => process.exit(0);

socket.on("error", () => {}); // close follows
socket.on("close", () => waiting.length > 0 && gone());
socket.on("data", (chunk) => {
  chunks.push(chunk);
  size += chunk.length;
  if (size >= want) takeAnswer(chunks.length === 1 ? chunk : Buffer.concat(chunks));
});

// takeAnswer reads an answer, or says in want how many bytes there must be to try again.
function takeAnswer(bytes) {
  chunks = [bytes];
  const end = bytes.indexOf("\r\n\r\n") + 4;
  want = size + 1;
  if (end < 4) return;
  const head = bytes.toString("latin1", 0, end);
  const headers = {};
  for (const [, name, value] of head.matchAll(/^([^:\r\n]+): *(.*)\r$/gm)) headers[name.toLowerCase()] = value;
  want = end + Number(headers["content-length"] ?? 0);
  if (size < want) return;
  chunks = [];
  size = want = 0;
  const taken = waiting.shift();
  if (waiting.length === 0) socket.unref();
  taken({ headers, status: Number(head.slice(9, 12)), body: bytes.toString("utf8", end) });
}

// call asks the runtime API. While the handler runs, nothing is asked, and the connection
// does not keep the event loop alive.
function call(method, target, body = "", headers = "") {
  if (socket.destroyed) gone();
  socket.ref();
  socket.write(
    `${method} /2018-06-01/runtime/${target} HTTP/1.1\r\nHost: ${host}:${port}\r\nUser-Agent: node/${process.versions.node}\r\n` +
      `Content-Type: application/json\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return new Promise((resolve) => waiting.push(resolve));
}

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}

function report(error) {
  if (!(error instanceof Error) && !(error?.name && error?.message && error?.stack)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  const trace = String(error.stack ?? "").split("\n");
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    trace.push(`caused by ${cause.name}: ${cause.message || cause.code || "no message"}`);
  }
  return { errorType: String(error.name), errorMessage: String(error.message), trace };
}

function sendError(target, error) {
  const r = report(error);
  return call("POST", target, JSON.stringify(r), `Lambda-Runtime-Function-Error-Type: ${encodeURI(r.errorType)}\r\n`);
}

// crash reports an error that nothing caught, and ends the process.
function crash(error, code) {
  const end = () => process.exit(code);
  if (loaded && current === undefined) {
    console.error(error);
    end();
  }
  sendError(loaded ? `invocation/${current}/error` : "init/error", error).then(end, end);
}

// isModule tells whether a .js or .ts file is an ES module: the nearest package.json says
// so.
function isModule(folder) {
  for (;;) {
    try {
      return JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")).type === "module";
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ENOTDIR") return false;
    }
    const above = path.dirname(folder);
    if (above === folder || path.basename(folder) === "node_modules") return false;
    folder = above;
  }
}

async function loadFile(root, folder, name) {
  const file = path.resolve(root, folder, name);
  const require = createRequire(path.join(root, "index.js"));
  const module = isModule(path.dirname(file));
  const kinds = [[".js", module], [".mjs", true], [".cjs", false]];
  if (parseInt(process.versions.node, 10) >= 24) kinds.push([".ts", module], [".mts", true], [".cts", false]);
  for (const [extension, imported] of kinds) {
    const full = file + extension;
    if (fs.existsSync(full)) return imported ? import(pathToFileURL(full)) : require(full);
  }
  for (const extension of [".ts", ".mts", ".cts", ".tsx"]) {
    if (!fs.existsSync(file + extension)) continue;
    const text = `${folder}${name}${extension} is TypeScript, which Node.js ${process.versions.node} does not run: compile it, for example with esbuild, and give the folder and the handler of the result`;
    throw named("Runtime.ImportModuleError", text);
  }
  return require(require.resolve(name, { paths: [root, path.join(root, folder)] }));
}

// checked returns what Node.js says about the syntax of a file, "" if it is right.
async function checked(file) {
  const { spawnSync } = await import("node:child_process"); // here, because it takes time at the start
  return spawnSync(process.execPath, ["--check", file], { encoding: "utf8", timeout: 5000 }).stderr ?? "";
}

// placeOf returns the file and the line of an error: the stack begins with them, or has them
// in a frame. The stack of a syntax error in an ES module has neither: then the files that
// the handler imports are checked one by one.
async function placeOf(error, entry) {
  const stack = String(error.stack);
  const first = /^(?:file:\/\/)?(\/.*:\d+)\n/.exec(stack) ?? /(?:\(|at )(?:file:\/\/)?(\/.*:\d+):\d+\)?$/m.exec(stack);
  if (first) return decodeURI(first[1]);
  const files = entry ? [entry] : [];
  for (let n = 0; n < files.length && n < 20; n++) {
    const wrong = /^(?:file:\/\/)?(\/.*:\d+)\n/.exec(await checked(files[n]));
    if (wrong) return decodeURI(wrong[1]);
    for (const [, name] of fs.readFileSync(files[n], "utf8").matchAll(/(?:from|import)\s*\(?\s*["'](\.[^"']+)["']/g)) {
      const next = fileURLToPath(new URL(name, pathToFileURL(files[n])));
      if (!files.includes(next) && fs.existsSync(next)) files.push(next);
    }
  }
  return "";
}

// missing returns the text about a module that is not there. "index.js" in the folder, with
// which this program looks for modules, need not be a file.
function missing(root, error) {
  const own = `- ${path.join(root, "index.js")}`;
  let text = String(error.message)
    .split("\n")
    .filter((line) => line !== own || fs.existsSync(line.slice(2)))
    .join("\n");
  text = text.replace(/\nRequire stack:$/, "");
  const name = /'((?:@aws-sdk|@smithy)\/[^/']+|aws-sdk)/.exec(text)?.[1];
  return name ? text.replace(/\n|$/, `: Lambda brings it, and here your project has to: npm install --save-dev ${name}$&`) : text;
}

async function load(root, handler) {
  const base = path.basename(handler);
  const parts = /^([^.]*)\.(.+)$/.exec(base);
  if (!parts || handler.includes("..")) {
    throw named("Runtime.MalformedHandlerName", `'${handler}' is not a valid handler name: write FILE.EXPORT, and no "..".`);
  }
  let value;
  try {
    value = await loadFile(root, handler.slice(0, -base.length), parts[1]);
  } catch (error) {
    if (error?.code === "MODULE_NOT_FOUND") throw named("Runtime.ImportModuleError", `${error.name}: ${missing(root, error)}`);
    if (error?.code === "ERR_MODULE_NOT_FOUND") error.message = missing(root, error);
    if (!(error instanceof SyntaxError)) throw error;
    const entry = [".mjs", ".js", ".mts", ".ts"].map((end) => path.resolve(root, handler.slice(0, -base.length), parts[1]) + end).find(fs.existsSync);
    const place = await placeOf(error, entry);
    throw named("Runtime.UserCodeSyntaxError", String(error) + (place && ` (${path.relative(fs.realpathSync(root), place)})`));
  }
  for (const key of parts[2].split(".")) value = value?.[key];
  if (!value) throw named("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof value !== "function") throw named("Runtime.HandlerNotFound", `${handler} is not a function`);
  return value;
}

// streamed has the handlers that write their answer to a stream. It is sent as a whole when
// they have ended the stream, as in Lambda for a caller that does not read a stream.
const streamed = new WeakSet();

globalThis.awslambda = {
  streamifyResponse(handler) {
    streamed.add(handler);
    return handler;
  },
  HttpResponseStream: {
    from(stream, head) {
      stream.write(JSON.stringify(head) + "\0".repeat(8));
      return stream;
    },
  },
};

// openStream returns a stream, and gives done its text when it has ended.
function openStream(done, fail) {
  const parts = [];
  const stream = new Writable({
    write(chunk, _, next) {
      parts.push(chunk);
      next();
    },
    final(next) {
      done(Buffer.concat(parts).toString("utf8"));
      next();
    },
  });
  stream.setContentType = () => {};
  return stream.on("error", fail);
}

function contextOf(headers) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

// run gives an event to the handler, sends its answer, and returns the next event, which is
// what the runtime API answers. The answer of the handler is what its promise has, or what
// it gave to the callback: an error at once, a value when the event loop is empty, or also
// at once without context.callbackWaitsForEmptyEventLoop. If the event loop is empty and
// there is no answer, that of an async function is an error, and that of any other null.
function run(handler, event) {
  return new Promise((done) => {
    const context = contextOf(event.headers);
    let answered = false;
    let called = false;
    let settle; // sends what the callback was given
    const answer = (send) => {
      if (answered) return;
      answered = true;
      process.off("beforeExit", whenEmpty);
      done(send());
      current = undefined;
    };
    const fail = (error) => answer(() => sendError(`invocation/${current}/error?next`, error));
    const send = (body) => answer(() => call("POST", `invocation/${current}/response?next`, body));
    const succeed = (value) => {
      let body;
      try {
        body = JSON.stringify(value) ?? "null";
      } catch {
        fail(new Error("Unable to stringify response body"));
        return;
      }
      send(body);
    };
    const whenEmpty = () => {
      if (settle) settle();
      else if (handler.constructor?.name !== "AsyncFunction") succeed(null);
      else fail(named("Runtime.NodeJsExit", "The event loop is empty, but the promise of the handler is not settled"));
    };
    const finish = (error, value, wait) => {
      if (called) return;
      called = true;
      if (error !== undefined && error !== null) fail(error);
      else if (wait) settle = () => succeed(value);
      else succeed(value);
    };
    const callback = (error, value) => finish(error, value, context.callbackWaitsForEmptyEventLoop);
    context.done = (error, value) => finish(error, value, false);
    context.succeed = (value) => context.done(null, value);
    context.fail = (error) => context.done(error ?? "handled");
    process.on("beforeExit", whenEmpty);
    try {
      const value = JSON.parse(event.body);
      if (streamed.has(handler)) {
        Promise.resolve(handler(value, openStream(send, fail), context)).catch(fail);
        return;
      }
      const result = handler(value, context, callback);
      if (typeof result?.then === "function") result.then(context.succeed, context.fail);
    } catch (error) {
      callback(error);
    }
  });
}

async function main() {
  process.on("uncaughtException", (error) => crash(error, 129));
  process.on("unhandledRejection", (reason) => {
    const error = named("Runtime.UnhandledPromiseRejection", String(reason));
    if (reason instanceof Error) error.stack = reason.stack;
    crash(error, 128);
  });
  let handler;
  try {
    handler = await load(env.LAMBDA_TASK_ROOT, env._HANDLER);
  } catch (error) {
    await sendError("init/error", error);
    process.exit(1);
  }
  loaded = true;
  for (let event = await call("GET", "invocation/next"); event.status === 200; event = await run(handler, event)) {
    current = event.headers["lambda-runtime-aws-request-id"];
    env._X_AMZN_TRACE_ID = event.headers["lambda-runtime-trace-id"];
  }
  gone();
}

main();
