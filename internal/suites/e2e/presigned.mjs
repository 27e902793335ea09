// Opens a WebSocket with a URL or headers that a published signer made. Reads one
// call a line from stdin and writes one outcome a line to stdout, both as JSON.

import { createInterface } from "node:readline";
import { Signer } from "@aws-amplify/core/internals/utils";
import aws4 from "aws4";
import { AwsV4Signer } from "aws4fetch";
import WebSocket from "ws";

const scope = { service: "execute-api", region: "us-east-1" };

// Each signer returns what to open.
const signers = {
  "aws4fetch, query": async (call) => {
    const signed = await new AwsV4Signer({ ...call, ...scope, signQuery: true }).sign();
    return { url: signed.url.toString() };
  },
  "aws4fetch, headers": async (call) => {
    const signed = await new AwsV4Signer({ ...call, ...scope }).sign();
    return { url: signed.url.toString(), headers: Object.fromEntries(signed.headers) };
  },
  "aws4, query": async (call) => {
    const url = new URL(call.url);
    const { path } = aws4.sign({ ...scope, host: url.host, path: url.pathname + url.search, signQuery: true }, call);
    return { url: url.origin + path };
  },
  "aws4, headers": async (call) => {
    const url = new URL(call.url);
    const { headers } = aws4.sign({ ...scope, host: url.host, path: url.pathname + url.search }, call);
    return { url: call.url, headers };
  },
  "Amplify, query": async (call) => ({
    url: Signer.signUrl(
      call.url,
      { access_key: call.accessKeyId, secret_key: call.secretAccessKey, session_token: call.sessionToken },
      scope,
    ),
  }),
};

function open({ url, headers }) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { headers });
    socket.on("open", () => socket.send(JSON.stringify({ action: "room" })));
    socket.on("message", (data) => {
      resolve({ url, status: 101, reply: data.toString() });
      socket.close();
    });
    socket.on("unexpected-response", (request, response) => {
      resolve({ url, status: response.statusCode });
      request.destroy();
    });
    socket.on("error", (error) => resolve({ url, error: error.message }));
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const signed = await signers[call.signer](call);
  console.log(JSON.stringify(await open(signed)));
}
