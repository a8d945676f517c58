#!/usr/bin/env python3
"""actions.py WORKFLOW.md WORKSPACE TEMPORARY NAME=VALUE…: run the steps of the workflow that a document has, as a runner of GitHub Actions does.

Of the document's blocks of YAML the one with `jobs` is the workflow; NAME=VALUE are the repository's variables (`vars.NAME`). Steps that use an action and
the one that installs Llama are left out: the workspace and the programs are there. GitHub's token endpoint is a server of our own. Prints what the steps
print; exits with 1 if one fails, after those that run always."""

import base64
import http.server
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time

import yaml


def workflow_of(document):
    blocks = re.findall(r"^```yaml\n(.*?)^```", document, re.MULTILINE | re.DOTALL)
    found = [block for block in blocks if re.search(r"^jobs:", block, re.MULTILINE)]
    if len(found) != 1:
        sys.exit(f"actions.py: {len(found)} workflows in the document")
    return yaml.safe_load(found[0])


def web_token(repository):
    """A token with the claims that GitHub's have. Its signature nobody here can judge."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    now = int(time.time())
    return ".".join([part({"alg": "RS256", "typ": "JWT"}), part({
        "iss": "https://token.actions.githubusercontent.com", "aud": "sts.amazonaws.com", "sub": f"repo:{repository}:ref:refs/heads/main",
        "repository": repository, "iat": now, "nbf": now, "exp": now + 300}), secrets.token_urlsafe(32)])


class TokenServer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = (self.headers.get("Authorization") == f"bearer {self.server.secret}" and self.path.endswith("?api-version=2.0&audience=sts.amazonaws.com"))
        body = json.dumps({"count": 1, "value": web_token("me/project")} if good else {"message": "no"}).encode()
        self.send_response(200 if good else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    document, workspace, temporary, *settings = sys.argv[1:]
    with open(document, encoding="utf-8") as file:
        (job,) = workflow_of(file.read())["jobs"].values()
    values = {"github.workspace": workspace, **{f"vars.{name}": value for name, _, value in (setting.partition("=") for setting in settings)}}

    def expand(text):
        return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda match: values[match.group(1)], str(text))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), TokenServer)
    server.secret = secrets.token_hex(16)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    added = os.path.join(temporary, "added")
    environment = {**os.environ, **{name: expand(value) for name, value in job["env"].items()}, "CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ENV": added,
                   "GITHUB_RUN_ID": "1", "GITHUB_WORKSPACE": workspace, "RUNNER_TEMP": temporary}
    if job["permissions"].get("id-token") == "write" and "NO_TOKEN" not in values.get("vars.RUN", ""):
        environment["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2.0"
        environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = server.secret
    failed = False
    for step in job["steps"]:
        if "uses" in step or step["name"] == "Install Llama" or (failed and step.get("if") != "always()"):
            continue
        print(f"## {step['name']}", flush=True)
        open(added, "w").close()
        script = os.path.join(temporary, "step.sh")
        with open(script, "w", encoding="utf-8") as file:
            file.write(expand(step["run"]))
        failed |= subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script], cwd=workspace, env=environment, check=False).returncode != 0
        with open(added, encoding="utf-8") as file:
            environment.update(line.split("=", 1) for line in file.read().splitlines())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
