"""Runs a handler for Python: asks the Lambda runtime API for events, gives them to the
handler, and returns what it answers. The handler is loaded and called as AWS documents it
("Define Lambda function handler in Python"). This program arrives on the standard input,
so that a handler that reads it finds its end."""

import sys

if sys.path and sys.path[0] == "":
    del sys.path[0]  # the modules of the function must not replace those used here

import decimal
import http.client
import importlib
import json
import logging
import math
import os
import time
import traceback


class CognitoIdentity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class LambdaContext:
    """What a handler gets as its second argument."""

    def __init__(self, headers):
        env = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = env.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = env.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = env.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.client_context = None
        self.identity = CognitoIdentity()
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)


class Failure(Exception):
    """An error of the runtime, with a name of its own."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.trace = list(trace)


class Encoder(json.JSONEncoder):
    """Writes what a handler returns. A Decimal, as DynamoDB returns it, is a number."""

    def default(self, value):
        if not isinstance(value, decimal.Decimal):
            return super().default(value)
        if value.is_nan():
            return math.nan
        return int(value) if value == value.to_integral_value() else float(value)


class Logging(logging.Handler):
    """The handler of the root logger: prints the level, the time, the request ID and the
    text, separated by tabs."""

    request_id = ""

    def __init__(self):
        super().__init__()
        self.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"))
        self.formatter.converter = time.gmtime

    def emit(self, record):
        record.request_id = self.request_id
        print(self.format(record))


def report(error, request_id=""):
    if isinstance(error, Failure):
        return {"errorMessage": str(error), "errorType": error.kind, "requestId": request_id, "stackTrace": error.trace}
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename not in ("<stdin>", importlib.__file__) and "importlib._bootstrap" not in f.filename]
    return {"errorMessage": str(error), "errorType": type(error).__name__, "requestId": request_id, "stackTrace": traceback.format_list(frames)}


def load(name):
    module, dot, function = name.rpartition(".")
    if not dot or not module or not function:
        raise Failure("Runtime.MalformedHandlerName", "Bad handler '%s': it is not MODULE.FUNCTION" % name)
    if module.split(".")[0] in sys.builtin_module_names:
        raise Failure("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module)
    try:
        loaded = importlib.import_module(module.replace("/", "."))
    except ImportError as error:
        text = "Unable to import module '%s': %s" % (module, error)
        if (error.name or "").split(".")[0] in ("boto3", "botocore"):
            text += ": Lambda brings it, and here the python3 on the PATH needs it: python3 -m pip install boto3, in a virtual environment"
        raise Failure("Runtime.ImportModuleError", text)
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Failure("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, error), trace)
    handler = getattr(loaded, function, None)
    if handler is None:
        raise Failure("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module))
    return handler


def answer(handler, body, headers):
    """Returns the outcome of an event, response or error, its JSON, and the type of an error."""
    try:
        try:
            event = json.loads(body)
        except ValueError as error:
            raise Failure("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handler(event, LambdaContext(headers))
        if isinstance(result, bytes):
            return "response", result, None
        try:
            return "response", json.dumps(result, cls=Encoder).encode(), None
        except (TypeError, ValueError, OverflowError) as error:
            raise Failure("Runtime.MarshalError", "Unable to marshal response: %s" % error)
    except Exception as error:  # whatever the handler raises
        told = report(error, headers["Lambda-Runtime-Aws-Request-Id"])
        return "error", json.dumps(told).encode(), told["errorType"]


def main():
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(method, target, body=None, kind=None):
        headers = {"Content-Type": "application/json", "User-Agent": "python/%d.%d.%d" % sys.version_info[:3]}
        if kind:  # also for a report that is too large
            headers["Lambda-Runtime-Function-Error-Type"] = kind.encode("ascii", "backslashreplace").decode()
        try:
            connection.request(method, "/2018-06-01/runtime/" + target, body, headers)
            response = connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            sys.exit(0)  # the runtime API is gone

    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    logs = Logging()
    logging.getLogger().addHandler(logs)
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        told = report(error)
        call("POST", "init/error", json.dumps(told).encode(), told["errorType"])
        sys.exit(1)
    response, event = call("GET", "invocation/next")
    while response.status == 200:
        os.environ["_X_AMZN_TRACE_ID"] = response.headers.get("Lambda-Runtime-Trace-Id", "")
        logs.request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
        outcome, body, kind = answer(handler, event, response.headers)
        sys.stdout.flush()
        response, event = call("POST", "invocation/%s/%s?next" % (logs.request_id, outcome), body, kind)


main()
