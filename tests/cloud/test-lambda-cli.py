#!/usr/bin/env python3
"""test-lambda-cli.py CLOUD RUNTIME: the AWS CLI, which nobody here wrote, drives the test cloud's Lambda with no flag but the endpoint."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from layout import make_layout                          # noqa: E402

ROLE = "arn:aws:iam::000000000000:role/llama"
SKIP = 77


class Cli:
    def __init__(self, environment, directory):
        self.environment = environment
        self.directory = directory

    def run(self, *args):
        # Named as a flag too: versions before 2.13, such as Debian 12's, don't know the variable.
        return subprocess.run(["aws", "--endpoint-url", self.environment["AWS_ENDPOINT_URL"], "lambda", *args], env=self.environment, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False)

    def ok(self, *args):
        done = self.run(*args)
        assert done.returncode == 0, f"aws lambda {' '.join(args)}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def refused(self, error, *args):
        done = self.run(*args)
        assert done.returncode != 0 and f"({error})" in done.stderr, f"aws lambda {' '.join(args)}: wanted {error}: {done.stdout}{done.stderr}"

    def payload(self, text):
        """As a file of bytes, which both major versions of the CLI take as it is."""
        with open(os.path.join(self.directory, "payload.json"), "w", encoding="utf-8") as file:
            file.write(text)
        return "fileb://payload.json"

    def invoke(self, payload, *args):
        answer = self.ok("invoke", "--function-name", "f", "--payload", self.payload(payload), *args, "answer.json")
        with open(os.path.join(self.directory, "answer.json"), encoding="utf-8") as file:
            return answer, file.read()


def check(cli, directory, runtime):
    for name in ("image", "image2"):
        make_layout(os.path.join(directory, name), runtime, env=["WHICH=" + name])
    image, image2 = (f"ImageUri=oci:{directory}/{name}" for name in ("image", "image2"))
    limits = cli.ok("get-account-settings")
    assert limits["AccountLimit"]["ConcurrentExecutions"] == 7

    cli.refused("ResourceNotFoundException", "get-function", "--function-name", "f")
    cli.refused("InvalidParameterValueException", "create-function", "--function-name", "f", "--package-type", "Image", "--code",
                "ImageUri=oci:/nowhere", "--role", ROLE)
    create = ["create-function", "--function-name", "f", "--package-type", "Image", "--code", image, "--role", ROLE, "--timeout", "30"]
    made = cli.ok(*create)
    assert made["State"] == "Pending" and made["PackageType"] == "Image", made
    cli.refused("ResourceConflictException", *create)
    cli.ok("wait", "function-active-v2", "--function-name", "f")
    got = cli.ok("get-function", "--function-name", made["FunctionArn"])
    assert got["Configuration"]["State"] == "Active" and got["Code"]["ResolvedImageUri"].endswith(made["CodeSha256"]), got

    answer, payload = cli.invoke('{"do": "echo"}', "--log-type", "Tail")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and json.loads(payload) == {"do": "echo"}, (answer, payload)
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "said by the function" in log and "Init Duration:" in log and "Memory Size: 128 MB" in log, log
    answer, payload = cli.invoke('{"do": "exit"}')
    assert answer["FunctionError"] == "Unhandled" and json.loads(payload)["errorType"] == "Runtime.ExitError", (answer, payload)
    answer, _ = cli.invoke('{"do": "echo"}', "--invocation-type", "DryRun")
    assert answer["StatusCode"] == 204
    answer, _ = cli.invoke('{"do": "echo"}', "--invocation-type", "Event")
    assert answer["StatusCode"] == 202
    cli.refused("InvalidRequestContentException", "invoke", "--function-name", "f", "--payload", cli.payload("{oh"), "answer.json")

    updated = cli.ok("update-function-configuration", "--function-name", "f", "--memory-size", "256", "--environment", "Variables={WHO=configured}")
    assert updated["LastUpdateStatus"] == "InProgress", updated
    cli.ok("wait", "function-updated-v2", "--function-name", "f")
    _, payload = cli.invoke('{"do": "env"}')
    assert {"WHO=configured", "WHICH=image", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256"} <= set(json.loads(payload)), payload
    cli.ok("update-function-code", "--function-name", "f", "--image-uri", f"oci:{directory}/image2")
    cli.ok("wait", "function-updated-v2", "--function-name", "f")
    _, payload = cli.invoke('{"do": "env"}')
    assert "WHICH=image2" in json.loads(payload) and image2, payload
    assert [f["FunctionName"] for f in cli.ok("list-functions")["Functions"]] == ["f"]
    cli.ok("delete-function", "--function-name", "f")
    cli.refused("ResourceNotFoundException", "get-function-configuration", "--function-name", "f")


def main():
    cloud, runtime = sys.argv[1:]
    if not shutil.which("aws"):
        print("skipped: no AWS CLI (package awscli)")
        return SKIP
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode != 0:
        print("skipped: this system allows no user namespaces")
        return SKIP
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with subprocess.Popen([cloud, "--state=" + os.path.join(directory, "state"), "--concurrency=7"], stdout=subprocess.PIPE, text=True) as process:
            try:
                environment = {"PATH": os.environ["PATH"], "HOME": directory, "AWS_PAGER": ""}
                for line in process.stdout:
                    if line.startswith("export "):
                        name, value = line[len("export "):].rstrip("\n").split("=", 1)
                        environment[name] = value.strip("'")
                    if line.startswith("export LLAMA_CLOUD_CONTROL"):
                        break
                check(Cli(environment, directory), directory, runtime)
            finally:
                process.terminate()
        assert process.returncode == 0, f"the cloud ended with {process.returncode}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
