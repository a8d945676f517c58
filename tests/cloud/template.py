#!/usr/bin/env python3
"""template.py BUILD: the CloudFormation template of `llama bootstrap` before judges that nobody here wrote, cfn-lint and moto, in a Python environment of their own
(a temporary one; $LLAMA_TEMPLATE_VENV names one that is kept); and its policies before rules of our own. Ends with "N passed, N failed"; a judge that isn't to be had
is a skip with the reason."""

import json
import os
import subprocess
import sys
import tempfile

# Where AWS has no finer grain; docs/LAMBDA.md explains each.
ANY_RESOURCE = {"lambda:GetAccountSettings"}
ANY_ACTION_DENIED = {"NothingWithoutTls"}

MOTO = r"""
import json, sys
import boto3
from moto import mock_aws

template = open(sys.argv[1]).read()
with mock_aws():
    region = {"region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    clouds = boto3.client("cloudformation", **region)
    clouds.create_stack(StackName="llama", TemplateBody=template, Capabilities=["CAPABILITY_IAM"],
                        Tags=[{"Key": "llama:environment", "Value": "llama"}])
    stack = clouds.describe_stacks(StackName="llama")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert set(outputs) == {"Bucket", "FunctionRole", "Repository", "BuilderPolicy", "Version"}, outputs
    s3 = boto3.client("s3", **region)
    bucket = outputs["Bucket"]
    # Of the bucket's policy and its public access moto's CloudFormation makes nothing; cfn-lint knows their shapes.
    assert s3.get_bucket_encryption(Bucket=bucket)
    assert boto3.client("ecr", **region).describe_repositories()["repositories"][0]["repositoryName"] == "llama"
    roles = boto3.client("iam", **region).list_roles()["Roles"]
    assert [role["Arn"] for role in roles] == [outputs["FunctionRole"]], roles
    groups = boto3.client("logs", **region).describe_log_groups()["logGroups"]
    assert [(group["logGroupName"], group["retentionInDays"]) for group in groups] == [("/aws/lambda/llama", 14)], groups
    clouds.delete_stack(StackName="llama")
    assert not s3.list_buckets()["Buckets"]
"""

counts = {"passed": 0, "failed": 0, "skipped": 0}


def tell(name, problems):
    """No problem: passed. A string: why it is skipped."""
    if isinstance(problems, str):
        counts["skipped"] += 1
        print(f"skipped {name}: {problems}")
        return
    counts["failed" if problems else "passed"] += 1
    if problems:
        print(f"FAILED {name}")
        print("\n".join("    " + problem for problem in problems))


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(template):
    """(where, statement) of every policy in it."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        policies = [properties.get(key) for key in ("PolicyDocument", "AssumeRolePolicyDocument", "RepositoryPolicyText")]
        policies += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for policy in filter(None, policies):
            for statement in policy["Statement"]:
                yield f"{name}.{statement.get('Sid', '')}", statement


def broad(template):
    for where, statement in statements(template):
        actions = listed(statement["Action"])
        if any("*" in action for action in actions) and not (
                statement["Effect"] == "Deny" and statement.get("Sid") in ANY_ACTION_DENIED):
            yield f"{where}: actions {actions}"
        if "*" in listed(statement.get("Resource", [])) and not set(actions) <= ANY_RESOURCE:
            yield f"{where}: any resource for {actions}"
        if statement["Effect"] == "Allow" and statement.get("Principal") == "*":
            yield f"{where}: anybody"


def run(command, timeout=600):
    """What it says when it fails."""
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    return [] if result.returncode == 0 else (result.stdout + result.stderr).splitlines()[-20:] or ["without a word"]


def install(directory):
    """The Python with the judges, and why there is none."""
    python = os.path.join(directory, "bin/python")
    if not os.path.exists(python):
        problem = run([sys.executable, "-m", "venv", directory])
        problem = problem or run([python, "-m", "pip", "install", "--quiet", "cfn-lint", "moto[cloudformation,ecr,iam,s3]"])
        if problem:
            return python, "cfn-lint and moto can't be installed: " + " ".join(problem)[-300:]
    return python, None


def judge(directory, template):
    python, problem = install(os.environ.get("LLAMA_TEMPLATE_VENV") or os.path.join(directory, "venv"))
    # Warnings are failures, too.
    tell("cfn-lint", problem or run([os.path.join(os.path.dirname(python), "cfn-lint"), "--", template]))
    tell("moto", problem or run([python, "-W", "ignore", "-c", MOTO, template]))


def main():
    text = subprocess.run([os.path.join(sys.argv[1], "llama"), "bootstrap", "--template"], check=True, capture_output=True, text=True).stdout
    tell("policies", list(broad(json.loads(text))))
    with tempfile.TemporaryDirectory(prefix="llama-template-") as directory:
        path = os.path.join(directory, "template.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        judge(directory, path)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
