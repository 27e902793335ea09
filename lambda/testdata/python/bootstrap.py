"""The loop of a runtime: takes events from Lambda's runtime API, gives them to
the handler, and returns what it answers."""

import json
import os
import urllib.error
import urllib.request

from app import handler

BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def post(path, value):
    urllib.request.urlopen(urllib.request.Request(BASE + path, json.dumps(value).encode(), method="POST")).close()


while True:
    try:
        with urllib.request.urlopen(BASE + "/next") as response:
            request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.load(response)
    except (urllib.error.URLError, ConnectionError):
        break
    try:
        post(f"/{request_id}/response", handler(event, None))
    except Exception as error:  # whatever the handler raises
        post(f"/{request_id}/error", {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []})
