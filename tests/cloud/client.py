#!/usr/bin/env python3
"""client.py METHOD TARGET [NAME:VALUE]… [@FILE]: a request to the test cloud, signed by botocore, whose status and body are
printed. A target that begins with a date is Lambda's, else S3's. Also a module for the tests of signatures: what was
signed can be changed before it is sent."""

import http.client
import os
import re
import ssl
import sys
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")
HOST = urlsplit(ENDPOINT).netloc


def sign(method, target, headers=(), body=b"", service="s3", credentials=None, region=None, trailer=False):
    """[(name, value)…] of all headers to be sent. `headers` may be a dictionary or pairs; `target` is encoded.
    With `trailer`, the body is in aws-chunked encoding, unsigned."""
    keys = credentials or Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    request = AWSRequest(method=method, url=ENDPOINT + target, data=body, headers=dict(headers))
    if trailer:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, region or os.environ["AWS_REGION"])
    signer.add_auth(request)
    return [("Host", HOST), *request.headers.items()]


class Connection:
    """One that is kept, over TLS; plain where the endpoint is."""

    def __init__(self, endpoint=ENDPOINT):
        parts = urlsplit(endpoint)
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
            self.http = http.client.HTTPSConnection(parts.hostname, parts.port, context=context, timeout=30)
        else:
            self.http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def send(self, method, target, headers, body=b""):
        """(status, headers, body) of a request sent exactly so."""
        self.http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.http.putheader(name, value)
        if body or method in ("PUT", "POST"):
            self.http.putheader("Content-Length", str(len(body)))
        self.http.endheaders(body or None)
        response = self.http.getresponse()
        return response.status, response.headers, response.read()


def main():
    method, target, *rest = sys.argv[1:]
    body = b""
    headers = {}
    for word in rest:
        if word.startswith("@"):
            with open(word[1:], "rb") as file:
                body = file.read()
        else:
            name, value = word.split(":", 1)
            headers[name] = value
    service = "lambda" if re.match(r"/\d{4}-\d\d-\d\d/", target) else "s3"
    status, _, answer = Connection().send(method, target, sign(method, target, headers, body, service), body)
    print(status, answer.decode(errors="replace"))


if __name__ == "__main__":
    main()
