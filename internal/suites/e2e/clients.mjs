// Calls @connections with the AWS SDK for JavaScript v3. Reads one call a line from
// stdin and writes one outcome a line to stdout, both as JSON, like connections.py.

import { createInterface } from "node:readline";
import * as api from "@aws-sdk/client-apigatewaymanagementapi";

const commands = {
  post: api.PostToConnectionCommand,
  get: api.GetConnectionCommand,
  delete: api.DeleteConnectionCommand,
};

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const client = new api.ApiGatewayManagementApiClient({
    endpoint: call.endpoint,
    region: "us-east-1",
    credentials: {
      accessKeyId: call.accessKeyId,
      secretAccessKey: call.secretAccessKey,
      sessionToken: call.sessionToken || undefined,
    },
    ...(call.unsigned && { signer: { sign: async (request) => request } }),
  });
  const input = { ConnectionId: call.connectionId };
  if (call.operation === "post") input.Data = Buffer.from(call.data ?? "", "base64");
  let outcome;
  try {
    const answer = await client.send(new commands[call.operation](input));
    outcome = { status: answer.$metadata.httpStatusCode };
    if (call.operation === "get") {
      outcome.connection = {
        connectedAt: answer.ConnectedAt,
        lastActiveAt: answer.LastActiveAt,
        identity: { sourceIp: answer.Identity.SourceIp, userAgent: answer.Identity.UserAgent },
      };
    }
  } catch (error) {
    outcome = {
      status: error.$metadata?.httpStatusCode,
      class: error.constructor.name,
      code: error.name,
      message: error.message,
    };
  }
  client.destroy();
  console.log(JSON.stringify(outcome));
}
