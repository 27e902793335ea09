"""The signed call of docs/management.md: python3 signed.py, with API and ID from the test."""

import os
from urllib.parse import quote

API, ID = os.environ["API"], os.environ["ID"]

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

def call(method, url, body=b"", headers=None):
    request = AWSRequest(method, url, headers=headers, data=body)
    SigV4Auth(botocore.session.Session().get_credentials(), "execute-api", "us-east-1").add_auth(request)
    return URLLib3Session().send(request.prepare())

call("PUT", f"{API}/@connections/{quote(ID, safe='')}/groups/{quote('room 1', safe='')}")
print(call("POST", f"{API}/@connections?group=room%201", b"hello").text)
