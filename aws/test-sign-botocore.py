#!/usr/bin/env python3
"""Holds our signatures against those of botocore, the signer of AWS's own tools, on generated requests.

    test-sign-botocore.py TEST_SIGN_LINES [COUNT [SEED]]

Paths, queries and headers are as odd as we can think of. Compared are the URL and every header; presigned ones as URLs. Exits 77
(skipped) where there is no botocore."""
import datetime, json, random, subprocess, sys
from urllib.parse import quote, urlsplit

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    print("botocore is not here (package python3-botocore)")
    sys.exit(77)

PIECES = ["a", "Z", "0", "key", "x y", "%", "%41", "%2F", "+", "=", "==", "~", "-_.", "&", "?", "#", ";", ":", "@", "$", ",", "!", "*",
          "'", "(", ")", "[", "]", "{", "}", "|", "\\", "^", "`", "\"", "<", ">", "é", "日本語", "\u00a0", "😀", "\x7f", "\t", ".h", "..x", "..."]
SEGMENTS = ["", ".", "..", "%2e%2e", " "]
SERVICES = ["s3", "s3", "s3", "lambda", "sts", "iam", "ecr", "cloudformation", "logs"]
HOSTS = ["bucket.s3.eu-west-1.amazonaws.com", "lambda.us-east-1.amazonaws.com", "localhost:9000", "127.0.0.1:4566", "[::1]:8443"]


def text(r, most=4):
    return "".join(r.choice(PIECES) for _ in range(r.randint(0, most)))


def path(r):
    count = r.choice([0, 1, 1, 2, 3, 5, 8])
    return "/" + "/".join(r.choice(SEGMENTS) if r.random() < 0.25 else text(r) for _ in range(count)) + r.choice(["", "", "/"])


def query(r):
    names = [text(r, 2) or "n" for _ in range(r.randint(1, 4))] + ["prefix", "list-type", "X-Amz-Meta", "a", "a-", "a~"]
    return [[r.choice(names), r.choice([None, "", text(r), str(r.randint(-5, 99999))])] for _ in range(r.choice([0, 0, 1, 2, 5, 9]))]


def value(r):
    words = ["bytes=0-9", "text/plain;  charset=utf-8", "a,b", "\"x  y\"", "é", "=", "", "W/\"1\"", "*"]
    blank = lambda: r.choice(["", "", " ", "   ", "\t", " \t "])  # ASCII's: Python takes U+00A0 for a space as well
    return blank() + blank().join(r.choice(words) for _ in range(r.randint(0, 4))) + blank()


def headers(r):
    names = ["Range", "If-None-Match", "Content-Type", "x-amz-meta-a", "X-AMZ-META-A", "x-amz-meta-b", "X-Amz-Target", "User-Agent", "Expect",
             "X-Amzn-Trace-Id", "Content-MD5", "Cache-Control", "x-amz-meta-a-b", "x-amz-meta-a1", "accept"]
    return [[r.choice(names), r.choice([value(r), value(r), None])] for _ in range(r.choice([0, 1, 2, 4, 8]))]


def request(r):
    service = r.choice(SERVICES)
    host = r.choice(HOSTS)
    expires = r.choice([0, 0, 0, 60, 604800])
    made = {"service": service, "region": r.choice(["us-east-1", "eu-central-1", "cn-north-1", "garage"]), "host": host,
            "method": r.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), "path": path(r), "query": query(r), "headers": headers(r),
            "body": r.choice(["", "", text(r, 30), "x" * 5000]), "unsigned_payload": service == "s3" and not expires and r.random() < 0.3,
            "now": r.randint(0, 4102444800), "access_key": "AKIA" + str(r.randint(0, 10**12)), "secret_key": text(r, 12) or "secret",
            "session_token": r.choice([None, "token" + text(r, 40).translate({ord("\t"): None, 0xa0: None})]), "expires": expires}
    if expires:  # botocore keeps one of doubled names there, and lets a content type go
        made["query"] = list({name: [name, value] for name, value in made["query"]}.values())
    return made


class Moment(datetime.datetime):
    """The module of a signer asks this for the time."""
    now_s = 0

    @classmethod
    def utcnow(cls):
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=cls.now_s)

    @classmethod
    def now(cls, tz=None):
        return cls.utcnow().replace(tzinfo=tz)


def by_botocore(made):
    """(URL after the host, headers) as botocore signs it."""
    Moment.now_s = made["now"]
    keys = Credentials(made["access_key"], made["secret_key"], made["session_token"])
    encoded = [(quote(name, safe="-_.~"), quote(value or "", safe="-_.~")) for name, value in made["query"]]
    url = "https://" + made["host"] + quote(made["path"], safe="/-_.~")
    if encoded:
        url += "?" + "&".join("=".join(pair) for pair in sorted(encoded))
    asked = AWSRequest(method=made["method"], url=url, data=made["body"].encode())
    for name, value in made["headers"]:
        asked.headers.add_header(name, value or "")
    s3 = made["service"] == "s3"
    where = made["service"], made["region"]
    if made["expires"]:
        asked.data = ""  # botocore would read it as more of the query
        kind = botocore.auth.S3SigV4QueryAuth if s3 else botocore.auth.SigV4QueryAuth
        kind(keys, *where, expires=made["expires"]).add_auth(asked)
    else:
        signer = (botocore.auth.S3SigV4Auth if s3 else botocore.auth.SigV4Auth)(keys, *where)
        if s3:
            signer._should_sha256_sign_payload = lambda _: not made["unsigned_payload"]
        signer.add_auth(asked)
    parts = urlsplit(asked.url)
    return parts.path + ("?" + parts.query if parts.query else ""), [[name.lower(), value] for name, value in asked.headers.items()]


def comparable(made, target, pairs):
    """Headers without order but that of equals; a presigned query without order."""
    path, _, query = target.partition("?")
    if made["expires"]:
        query = "&".join(sorted(query.split("&")))
    return path, query, sorted(([name.lower(), value or ""] for name, value in pairs), key=lambda pair: pair[0])


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1500
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20130524
    print(f"botocore {botocore.__version__}, {count} requests of seed {seed}", flush=True)
    botocore.auth.datetime = type("datetime", (), {"datetime": Moment, "timedelta": datetime.timedelta, "timezone": datetime.timezone})
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: Moment.utcnow()
    r = random.Random(seed)
    requests = [request(r) for _ in range(count)]
    for made in requests:
        if made["expires"]:
            made["body"] = ""
            made["headers"] = [pair for pair in made["headers"] if pair[0].lower() != "content-type"]
    lines = "".join(json.dumps(made) + "\n" for made in requests)
    done = subprocess.run([program], input=lines, stdout=subprocess.PIPE, text=True, timeout=240, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == count, f"{len(answers)} answers to {count} requests"
    wrong = 0
    for number, (made, answer) in enumerate(zip(requests, answers)):
        ours = comparable(made, answer["target"], answer["headers"])
        theirs = comparable(made, *by_botocore(made))
        if ours != theirs:
            wrong += 1
            if wrong <= 10:
                print(f"request {number}: {json.dumps(made)}\n  ours   {ours}\n  theirs {theirs}")
    kinds = {kind: sum(1 for made in requests if made["service"] == kind) for kind in sorted(set(SERVICES))}
    print(f"{count - wrong} agree, {wrong} differ; {kinds}, {sum(1 for made in requests if made['expires'])} presigned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
