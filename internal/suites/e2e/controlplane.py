"""Calls the control plane, @connections and the Lambda API with boto3. Reads one call a line from stdin and writes one outcome a line to stdout, both as JSON.

A call is {"service": "apigatewayv2", "endpoint": "...", "operation": "CreateApi", "arguments": {...}}.
Its outcome is {"status", "answer"}, or {"status", "class", "code", "message"} for an error.
Bytes are {"$bytes": "base64"}, in both.
"""

import base64
import json
import sys

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

clients = {}


def decode(value):
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {name: decode(inner) for name, inner in value.items()}
    return value


def encode(value):
    if hasattr(value, "read"):
        return {"$bytes": base64.b64encode(value.read()).decode()}
    return str(value)


for line in sys.stdin:
    call = json.loads(line)
    key = call["service"], call["endpoint"]
    if key not in clients:
        clients[key] = boto3.client(call["service"], endpoint_url=call["endpoint"])
    try:
        answer = getattr(clients[key], xform_name(call["operation"]))(**decode(call["arguments"]))
        outcome = {"status": answer.pop("ResponseMetadata")["HTTPStatusCode"], "answer": answer}
    except ClientError as e:
        error = e.response.get("Error", {})
        outcome = {
            "status": e.response["ResponseMetadata"]["HTTPStatusCode"],
            "class": type(e).__name__,
            "code": error.get("Code"),
            "message": error.get("Message"),
        }
    print(json.dumps(outcome, default=encode), flush=True)
