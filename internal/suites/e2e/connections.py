"""Calls @connections with boto3. Reads one call a line from stdin and writes one outcome a line to stdout, both as JSON.

A call is {"operation": "post", "connectionId": "...", "data": "base64", "endpoint": "...", "accessKeyId": ...}.
Its outcome is {"status", "class", "code", "message", "connection"}: what the caller sees.
"""

import base64
import json
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

operations = {"post": "post_to_connection", "get": "get_connection", "delete": "delete_connection"}

for line in sys.stdin:
    call = json.loads(line)
    client = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=call["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=call["accessKeyId"],
        aws_secret_access_key=call["secretAccessKey"],
        aws_session_token=call["sessionToken"] or None,
        config=Config(signature_version=UNSIGNED) if call["unsigned"] else None,
    )
    arguments = {"ConnectionId": call["connectionId"]}
    if call["operation"] == "post":
        arguments["Data"] = base64.b64decode(call["data"] or "")
    try:
        answer = getattr(client, operations[call["operation"]])(**arguments)
        outcome = {"status": answer["ResponseMetadata"]["HTTPStatusCode"]}
        if call["operation"] == "get":
            identity = answer["Identity"]
            outcome["connection"] = {
                "connectedAt": answer["ConnectedAt"].isoformat(),
                "lastActiveAt": answer["LastActiveAt"].isoformat(),
                "identity": {"sourceIp": identity["SourceIp"], "userAgent": identity.get("UserAgent", "")},
            }
    except ClientError as error:
        outcome = {
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "class": type(error).__name__,
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
        }
    print(json.dumps(outcome), flush=True)
