"""Calls the management API with boto3: one call a line on stdin, one outcome a line on stdout.

    python3 connections.py <endpoint>

A call is {"operation": "post_to_connection", "connectionId": "...", "data": "..."}. Its outcome is
boto3's answer as JSON; of a failure the error's, with the name of the exception as "Class".
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client("apigatewaymanagementapi", endpoint_url=sys.argv[1])
for line in sys.stdin:
    call = json.loads(line)
    arguments = {"ConnectionId": call["connectionId"]}
    if "data" in call:
        arguments["Data"] = call["data"].encode()
    try:
        outcome = getattr(client, call["operation"])(**arguments)
    except ClientError as error:
        outcome = {**error.response, "Class": type(error).__name__}
    print(json.dumps(outcome, default=lambda value: value.isoformat()), flush=True)
