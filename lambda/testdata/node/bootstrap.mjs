// The loop of a runtime: takes events from Lambda's runtime API, gives them to
// the handler, and returns what it answers.
import { handler } from "./index.mjs";

const base = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const next = await fetch(`${base}/next`);
  if (!next.ok) break;
  const id = next.headers.get("Lambda-Runtime-Aws-Request-Id");
  try {
    const answer = await handler(await next.json(), { awsRequestId: id });
    await fetch(`${base}/${id}/response`, { method: "POST", body: JSON.stringify(answer ?? null) });
  } catch (error) {
    const report = { errorMessage: error.message, errorType: error.name, trace: error.stack.split("\n") };
    await fetch(`${base}/${id}/error`, { method: "POST", body: JSON.stringify(report) });
  }
}
