"""Calls the control plane and @connections with boto3. Reads one call a line from stdin and writes one outcome a line to stdout, both as JSON.

A call is {"client": "apigatewayv2", "endpoint": "...", "operation": "create_api", "arguments": {...}}.
Its outcome is {"status", "answer"}, or {"status", "code", "message"} for an error.
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

for line in sys.stdin:
    call = json.loads(line)
    client = boto3.client(
        call["client"],
        endpoint_url=call["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    try:
        answer = getattr(client, call["operation"])(**call["arguments"])
        outcome = {"status": answer.pop("ResponseMetadata")["HTTPStatusCode"], "answer": answer}
    except ClientError as e:
        error = e.response.get("Error", {})
        outcome = {"status": e.response["ResponseMetadata"]["HTTPStatusCode"], "code": error.get("Code"), "message": error.get("Message")}
    print(json.dumps(outcome, default=str), flush=True)
