// Calls the control plane, @connections and the Lambda API with the AWS SDK for
// JavaScript v3. Calls and outcomes are those of controlplane.py.

import { createInterface } from "node:readline";
import * as apigatewayv2 from "@aws-sdk/client-apigatewayv2";
import * as apigatewaymanagementapi from "@aws-sdk/client-apigatewaymanagementapi";
import * as lambda from "@aws-sdk/client-lambda";

const services = {
  apigatewayv2: [apigatewayv2, apigatewayv2.ApiGatewayV2Client],
  apigatewaymanagementapi: [apigatewaymanagementapi, apigatewaymanagementapi.ApiGatewayManagementApiClient],
  lambda: [lambda, lambda.LambdaClient],
};

function decode(name, value) {
  return value?.$bytes === undefined ? value : Buffer.from(value.$bytes, "base64");
}

function encode(name, value) {
  return this[name] instanceof Uint8Array ? { $bytes: Buffer.from(this[name]).toString("base64") } : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line, decode);
  const [commands, Client] = services[call.service];
  const client = new Client({
    endpoint: call.endpoint,
    region: process.env.AWS_REGION,
    credentials: {
      accessKeyId: process.env.AWS_ACCESS_KEY_ID,
      secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
    },
  });
  let outcome;
  try {
    const { $metadata, ...answer } = await client.send(new commands[call.operation + "Command"](call.arguments));
    outcome = { status: $metadata.httpStatusCode, answer };
  } catch (error) {
    outcome = {
      status: error.$metadata?.httpStatusCode,
      class: error.constructor.name,
      code: error.name,
      message: error.message,
    };
  }
  client.destroy();
  console.log(JSON.stringify(outcome, encode));
}
