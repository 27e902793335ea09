// Runs a handler for Node.js: asks the Lambda runtime API for events, gives them to the
// handler, and returns what it answers. The handler is loaded and called as AWS documents
// it ("Define Lambda function handler in Node.js"). This program arrives on the standard
// input, so that a handler that reads it finds its end.
import fs from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const env = process.env;
const [, host, port, secret] = /^(.*?):(\d+)(.*)$/.exec(env.AWS_LAMBDA_RUNTIME_API);
const agent = new http.Agent({ keepAlive: true });
let loaded = false;
let current; // the request ID of the running event

// call asks the runtime API. Its connection does not keep the event loop alive while the
// handler runs.
function call(method, target, body, headers = {}) {
  return new Promise((resolve, reject) => {
    if (body !== undefined) headers["Content-Length"] = Buffer.byteLength(body);
    headers["User-Agent"] = `node/${process.versions.node}`;
    const options = { agent, host, port, method, path: `${secret}/2018-06-01/runtime/${target}`, headers };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, status: response.statusCode, body: Buffer.concat(chunks) }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

// gone ends the process when the runtime API does not answer any more.
const gone = () => process.exit(0);

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}

function report(error) {
  if (!(error instanceof Error) && !(error?.name && error?.message && error?.stack)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return { errorType: String(error.name), errorMessage: String(error.message), trace: String(error.stack ?? "").split("\n") };
}

function sendError(target, error) {
  const r = report(error);
  return call("POST", target, JSON.stringify(r), { "Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": encodeURI(r.errorType) });
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
  return require(require.resolve(name, { paths: [root, path.join(root, folder)] }));
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
    if (error?.code === "MODULE_NOT_FOUND") throw named("Runtime.ImportModuleError", String(error));
    if (error instanceof SyntaxError) throw named("Runtime.UserCodeSyntaxError", String(error));
    throw error;
  }
  for (const key of parts[2].split(".")) value = value?.[key];
  if (!value) throw named("Runtime.HandlerNotFound", `${handler} is undefined or not exported`);
  if (typeof value !== "function") throw named("Runtime.HandlerNotFound", `${handler} is not a function`);
  return value;
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

// run gives an event to the handler, and returns when its answer is sent. The answer is
// what its promise has, or what it gave to the callback: an error at once, a value when
// the event loop is empty, or also at once without context.callbackWaitsForEmptyEventLoop.
// If the event loop is empty and there is no answer, that of an async function is an
// error, and that of any other null.
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
      send().then(done, gone);
    };
    const fail = (error) => answer(() => sendError(`invocation/${current}/error`, error));
    const succeed = (value) => {
      let body;
      try {
        body = JSON.stringify(value) ?? "null";
      } catch {
        fail(new Error("Unable to stringify response body"));
        return;
      }
      answer(() => call("POST", `invocation/${current}/response`, body, { "Content-Type": "application/json" }));
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
      const result = handler(JSON.parse(event.body.toString("utf8")), context, callback);
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
    await sendError("init/error", error).catch(gone);
    process.exit(1);
  }
  loaded = true;
  for (;;) {
    const event = await call("GET", "invocation/next").catch(gone);
    if (event.status !== 200) gone();
    current = event.headers["lambda-runtime-aws-request-id"];
    env._X_AMZN_TRACE_ID = event.headers["lambda-runtime-trace-id"];
    await run(handler, event);
    current = undefined;
  }
}

main();
