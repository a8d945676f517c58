#!/usr/bin/env python3
"""signatures.py: the cloud takes whatever botocore signs, however odd, and nothing that is changed in one character behind its back. Prints how many of both."""

import random
import re
import sys
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import client

ODD = "abz019-_.~ /+=&%?#@!$'()*,:;[]\"<>|\\^`{}äß€\U0001f999\x01\x7f"
SERVICES = ("s3", "iam")  # the second is none that the cloud has: 404 once the signature is right
TAKEN = {"s3": (200, 404), "iam": (404,)}


def odd_text(chance, limit=12):
    return "".join(chance.choice(ODD) for _ in range(chance.randrange(limit)))


def odd_request(chance, service):
    """(method, target, headers, body), encoded as they travel."""
    path = "/" + "/".join(filter(None, ("bucket", *(odd_text(chance).replace("/", "//") for _ in range(chance.randrange(3))))))
    path = quote(path, safe="/~")
    if service != "s3":
        path = re.sub("/+", "/", path)  # botocore normalises what it signs, but sends it as it was
        path = re.sub(r"/\.{1,2}(?=/|$)", "/x", path)
    pairs = [(odd_text(chance) or "a", odd_text(chance)) for _ in range(chance.randrange(4))]
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    headers = {f"x-amz-meta-{i}": re.sub(r"[^ -~]", "", odd_text(chance, 30)).strip() for i in range(chance.randrange(4))}
    if chance.random() < 0.3:
        headers["Range"] = "bytes=0-1"
    return "GET", path + ("?" + query if query else ""), headers, b"" if chance.random() < 0.8 else odd_text(chance).encode()


def check_odd(connection, chance, n):
    for i in range(n):
        service = SERVICES[i % 2]
        method, target, headers, body = odd_request(chance, service)
        signed = client.sign(method, target, headers, body, service)
        if body:
            signed.append(("Content-Length", str(len(body))))
        status, _, answer = connection.send(method, target, signed, body)
        if status not in (*TAKEN[service], 501, 400) or b"Signature" in answer or b"Authorization" in answer:
            sys.exit(f"refused what botocore signed: {status} {answer}\n{method} {target} {signed} {body}")
    return n


def other(chance, character):
    """Another character of the same kind, so that the syntax holds."""
    for kind in ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if character in kind:
            return chance.choice([c for c in kind if c != character])
    return None


def changed(chance, text):
    """`text` with each character changed that can be."""
    for i, character in enumerate(text):
        new = other(chance, character)
        # Escapes may be written in small letters: the canonical form is the same.
        if new and text[max(i - 2, 0):i].find("%") < 0:
            yield text[:i] + new + text[i + 1:]


def check_changes(connection, chance):
    """Each letter and digit of a request, one at a time. The payload's hash and its body are checked behind the signature."""
    body = b"what is to be kept"
    headers = {"x-amz-meta-owner": "some one", "Content-Type": "text/plain", "x-amz-storage-class": "STANDARD"}
    method, target = "PUT", "/bucket/some%20key?x-id=PutObject"
    signed = client.sign(method, target, headers, body)
    expect(connection.send(method, target, signed, body)[0] == 200, "the request itself was refused")
    n = 0

    def refused(what, *request):
        nonlocal n
        n += 1
        status, _, answer = connection.send(*request)
        expect(status == 403 or (status == 400 and re.search(rb"AuthorizationHeaderMalformed|XAmzContentSHA256Mismatch|MissingSecurityHeader", answer)),
               f"{what}: {status} {answer!r}")

    for new in ("POST", "GET", "DELETE"):
        refused("another method", new, target, signed, body)
    for new in changed(chance, target):
        refused(f"target {new}", method, new, signed, body)
    for new in (target + "&a=b", target + "&a", target.replace("?", "?a=b&"), target.replace("some", "some/"), target.split("?", maxsplit=1)[0]):
        refused(f"target {new}", method, new, signed, body)
    for i, (name, value) in enumerate(signed):
        for new in changed(chance, value):
            refused(f"{name}: {new}", method, target, [*signed[:i], (name, new), *signed[i + 1:]], body)
        if name != "Authorization":
            refused(f"{name} twice", method, target, [*signed, (name, value)], body)
        refused(f"no {name}", method, target, signed[:i] + signed[i + 1:], body)
    refused("another x-amz header", method, target, [*signed, ("x-amz-acl", "private")], body)
    for i in range(len(body)):
        refused(f"body changed at {i}", method, target, signed, body[:i] + bytes([body[i] ^ 1]) + body[i + 1:])
    return n


def check_presigned(connection, chance):
    keys = Credentials("AKIALLAMATESTCLOUD01", "TestCloudSecret/+notreallyasecret0000001")
    request = AWSRequest(method="GET", url=client.ENDPOINT + "/bucket/some%20key")
    S3SigV4QueryAuth(keys, "s3", "us-east-1", expires=60).add_auth(request)
    target = request.url[len(client.ENDPOINT):]
    host = [("Host", client.HOST)]
    expect(connection.send("GET", target, host)[0] == 200, "the URL itself was refused")
    n = 0
    for new in changed(chance, target):
        n += 1
        status, _, answer = connection.send("GET", new, host)
        expect(status in (400, 403), f"GET {new}: {status} {answer!r}")
    return n


def check_keys(connection):
    """The cloud's three keys, in all combinations with their tokens."""
    secret = "TestCloudSecret/+notreallyasecret000000"
    valid, expired = "TestCloudToken+/==", "TestCloudTokenThatHasExpired=="
    for key, n, token, code in (("AKIALLAMATESTCLOUD01", 1, None, None), ("AKIALLAMATESTCLOUD01", 2, None, "SignatureDoesNotMatch"),
                                ("AKIALLAMATESTCLOUD01", 1, valid, "InvalidToken"), ("AKIALLAMATESTCLOUD99", 1, None, "InvalidAccessKeyId"),
                                ("ASIALLAMATESTCLOUD02", 2, None, "InvalidToken"), ("ASIALLAMATESTCLOUD02", 2, valid, None),
                                ("ASIALLAMATESTCLOUD02", 2, expired, "InvalidToken"), ("ASIALLAMATESTCLOUD03", 3, expired, "ExpiredToken")):
        keys = Credentials(key, secret + str(n), token)
        status, _, answer = connection.send("GET", "/", client.sign("GET", "/", credentials=keys))
        expect(status == 200 if not code else b"<Code>" + code.encode() in answer, f"{key} {n} {token}: {status} {answer!r}")
    for region, status in (("us-east-1", 200), ("eu-west-1", 400)):
        expect(connection.send("GET", "/", client.sign("GET", "/", region=region))[0] == status, region)


def expect(condition, message):
    if not condition:
        sys.exit(message)


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    connection = client.Connection()
    expect(connection.send("PUT", "/bucket", client.sign("PUT", "/bucket"))[0] == 200, "no bucket")
    print(check_odd(connection, chance, 600), "odd requests taken")
    print(check_changes(connection, chance), "changed requests refused")
    print(check_presigned(connection, chance), "changed URLs refused")
    check_keys(connection)


if __name__ == "__main__":
    main()
