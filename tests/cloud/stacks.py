#!/usr/bin/env python3
"""stacks.py SCENARIO…: scenarios of setting up a cloud, driven by botocore against the test cloud of the environment; see the functions.

Nothing waits for a fixed time: what takes a while is asked for until it is there, or a minute is over."""

import copy
import json
import os
import re
import sys
import time
import urllib.request

import botocore.session
from botocore.exceptions import ClientError

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "setup.json"), encoding="utf-8") as template_file:
    TEMPLATE = json.load(template_file)
CONTROL = os.environ["LLAMA_CLOUD_CONTROL"]
ENDS = re.compile(r".*(_COMPLETE|_FAILED)$")
IAM = ["CAPABILITY_IAM"]


def client(service):
    return botocore.session.get_session().create_client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")


stacks, s3, ecr, functions, logs = (client(name) for name in ("cloudformation", "s3", "ecr", "lambda", "logs"))


def control(path, value=None, method=None):
    body = None if value is None else json.dumps(value).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{CONTROL}/{path}", body, method=method)) as answer:
        return json.load(answer)


def refused(code, words, call, **arguments):
    """The call fails so."""
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert words in error.response["Error"]["Message"], error
        return error.response
    raise AssertionError(f"{call.__name__} should have failed with {code}")


def ended(stack):
    for _ in range(600):
        about = stacks.describe_stacks(StackName=stack)["Stacks"][0]
        if ENDS.match(about["StackStatus"]) and not about["StackStatus"].endswith("CLEANUP_IN_PROGRESS"):
            return about
        time.sleep(0.1)
    raise AssertionError(f"{stack} is still {about['StackStatus']}")


def create(name, template=None, **more):
    more.setdefault("Capabilities", IAM)
    stack = stacks.create_stack(StackName=name, TemplateBody=json.dumps(template or TEMPLATE), **more)["StackId"]
    return stack, ended(stack)


def update(name, template=None, **more):
    stacks.update_stack(StackName=name, TemplateBody=json.dumps(template or TEMPLATE), Capabilities=IAM, **more)
    return ended(name)


def delete(stack, **more):
    stacks.delete_stack(StackName=stack, **more)
    return ended(stack)


def events(stack):
    pages = [page["StackEvents"] for page in stacks.get_paginator("describe_stack_events").paginate(StackName=stack)]
    every = [event for page in pages for event in page]
    assert len({event["EventId"] for event in every}) == len(every)
    assert [event["Timestamp"] for event in every] == sorted((event["Timestamp"] for event in every), reverse=True)
    return every, len(pages)


def outputs(about):
    return {output["OutputKey"]: output["OutputValue"] for output in about["Outputs"]}


def changed(**properties):
    """The template, with some properties of some resources changed: Bucket={"BucketName": "b"}."""
    template = copy.deepcopy(TEMPLATE)
    for name, values in properties.items():
        template["Resources"][name].setdefault("Properties", {}).update(values)
    return template


def nothing_is_left():
    left = control("resources")
    assert not any(left.values()), left


def whole_life():
    refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]", create, name="s", Capabilities=[])
    refused("ValidationError", "Stack with id s does not exist", stacks.describe_stacks, StackName="s")
    stack, about = create("s", Tags=[{"Key": "k", "Value": "v"}], ClientRequestToken="once")
    assert about["StackStatus"] == "CREATE_COMPLETE" and about["Tags"] == [{"Key": "k", "Value": "v"}], about
    assert create("s", ClientRequestToken="once")[0] == stack
    refused("AlreadyExistsException", "Stack [s] already exists", create, name="s")

    bucket = outputs(about)["Bucket"]
    assert bucket.startswith("s-bucket-") and outputs(about)["Repository"].endswith("/s-image")
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"] == {"Days": 30}
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Resource"] == f"arn:aws:s3:::{bucket}/*"

    refused("ValidationError", "No updates are to be performed.", update, name="s")
    about = update("s", Parameters=[{"ParameterKey": "Days", "ParameterValue": "90"}])
    assert about["StackStatus"] == "UPDATE_COMPLETE" and outputs(about)["Bucket"] == bucket, about
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["Expiration"] == {"Days": 90}
    assert control("resources")["log_groups"] == ["a-log"]
    refused("ValidationError", "No updates", update, name="s", Parameters=[{"ParameterKey": "Days", "UsePreviousValue": True}])
    refused("ValidationError", "No updates", stacks.update_stack, StackName="s", UsePreviousTemplate=True, Capabilities=IAM,
            Parameters=[{"ParameterKey": "Days", "ParameterValue": "90"}])
    about = update("s")
    assert control("resources")["log_groups"] == []

    # Another name is another bucket; the old one goes.
    about = update("s", changed(Bucket={"BucketName": "another"}))
    assert outputs(about)["Bucket"] == "another" and control("resources")["buckets"] == ["another"]

    assert delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    refused("ValidationError", "Stack with id s does not exist", stacks.describe_stacks, StackName="s")
    stacks.delete_stack(StackName="s")  # of none is no error
    every, _ = events(stack)
    assert every[0]["ResourceStatus"] == "DELETE_COMPLETE" and every[-1]["ResourceStatusReason"] == "User Initiated"
    control("settings", {"events-page": 7})
    again, pages = events(stack)
    assert again == every and pages == -(-len(every) // 7), pages
    nothing_is_left()


def failures():
    control("faults", ["cloudformation.Role.resource-fail=1000:quota exceeded"])
    stack, about = create("s")
    assert about["StackStatus"] == "ROLLBACK_COMPLETE", about
    causes = [(e["LogicalResourceId"], e["ResourceStatusReason"]) for e in reversed(events(stack)[0]) if e["ResourceStatus"].endswith("_FAILED")]
    assert causes == [("Role", "quota exceeded")], causes
    refused("ValidationError", "is in ROLLBACK_COMPLETE state and can not be updated", update, name="s")
    assert delete(stack)["StackStatus"] == "DELETE_COMPLETE"
    stack, about = create("s", OnFailure="DELETE")
    while about["StackStatus"] in ("CREATE_FAILED", "DELETE_IN_PROGRESS"):  # the first isn't its end
        time.sleep(0.1)
        about = stacks.describe_stacks(StackName=stack)["Stacks"][0]
    assert about["StackStatus"] == "DELETE_COMPLETE"
    nothing_is_left()
    stack, about = create("s", OnFailure="DO_NOTHING")
    assert about["StackStatus"] == "CREATE_FAILED" and control("resources")["repositories"]
    control("faults", method="DELETE")
    delete(stack)
    nothing_is_left()

    # An update that fails leaves what there was.
    stack, about = create("s")
    bucket = outputs(about)["Bucket"]
    control("faults", ["cloudformation.Role.resource-fail=1000"])
    template = changed(Role={"Description": "d"}, Bucket={"BucketName": "another"})
    assert update("s", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert control("resources")["buckets"] == [bucket] and s3.get_bucket_policy(Bucket=bucket)
    control("faults", method="DELETE")
    assert update("s", template)["StackStatus"] == "UPDATE_COMPLETE"

    # Names that are taken; properties that there aren't; what isn't empty.
    other, about = create("t", changed(Bucket={"BucketName": "another"}))
    reasons = [event.get("ResourceStatusReason", "") for event in events(other)[0]]
    assert any("another already exists" in reason and "HandlerErrorCode: AlreadyExists" in reason for reason in reasons), reasons
    other, about = create("u", changed(Role={"Color": "red"}))
    assert any("extraneous key [Color] is not permitted" in event.get("ResourceStatusReason", "") for event in events(other)[0])
    s3.put_object(Bucket="another", Key="k", Body=b"")
    about = delete(stack)
    assert about["StackStatus"] == "DELETE_FAILED" and "[Bucket]" in about["StackStatusReason"], about
    assert any("The bucket you tried to delete is not empty" in event.get("ResourceStatusReason", "") for event in events(stack)[0])
    s3.delete_objects(Bucket="another", Delete={"Objects": [{"Key": "k"}]})
    control("faults", ["cloudformation.Bucket.delete-fail=1000:busy"])
    assert delete(stack)["StackStatus"] == "DELETE_FAILED"
    assert delete(stack, RetainResources=["Bucket"])["StackStatus"] == "DELETE_COMPLETE"
    control("faults", method="DELETE")
    s3.delete_bucket(Bucket="another")
    stacks.delete_stack(StackName="t")
    stacks.delete_stack(StackName="u")
    assert ended(other)["StackStatus"] == "DELETE_COMPLETE"

    # What is being created can be deleted, and is then gone.
    control("settings", {"resource-ms": 60000})
    stack = stacks.create_stack(StackName="v", TemplateBody=json.dumps(TEMPLATE), Capabilities=IAM)["StackId"]
    assert stacks.describe_stacks(StackName="v")["Stacks"][0]["StackStatus"] == "CREATE_IN_PROGRESS"
    control("settings", {"resource-ms": 0})
    stacks.delete_stack(StackName="v")
    refused("ValidationError", "does not exist", stacks.describe_stack_events, StackName="w")


def denied():
    """Each service refuses in its own way."""
    control("faults", [f"{rule}=1000" for rule in ("s3.ListBucket.deny", "lambda.GetFunction.deny", "ecr.DescribeRepositories.deny",
                                                  "logs.*.deny", "cloudformation.CreateStack.deny", "iam.PassRole.deny")])
    words = "User: arn:aws:iam::000000000000:user/builder is not authorized to perform: "
    s3.create_bucket(Bucket="bucket")
    assert refused("AccessDenied", words + "s3:ListBucket on resource: \"arn:aws:s3:::bucket\"", s3.list_objects_v2,
                   Bucket="bucket")["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused("AccessDeniedException", words + "lambda:GetFunction", functions.get_function,
                   FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert refused("AccessDeniedException", words + "ecr:DescribeRepositories", ecr.describe_repositories)["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused("AccessDeniedException", words + "logs:DescribeLogGroups", logs.describe_log_groups)
    refused("AccessDenied", words + "cloudformation:CreateStack on resource: arn:aws:cloudformation:us-east-1:000000000000:stack/s/*", create, name="s")
    refused("AccessDeniedException", words + "iam:PassRole", functions.create_function, FunctionName="f", PackageType="Image",
            Code={"ImageUri": "oci:/none"}, Role="arn:aws:iam::000000000000:role/any")
    control("faults", ["cloudformation.CreateStack.deny=0", "iam.CreateRole.deny=1000"])
    stack, about = create("s")
    assert about["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any(words + "iam:CreateRole" in event.get("ResourceStatusReason", "") for event in events(stack)[0])


def roles():
    """A role that is too new, gone, or another service's is none for a function."""
    def try_role(role):
        refused("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.", functions.create_function,
                FunctionName="f", PackageType="Image", Code={"ImageUri": "oci:/none"}, Role=role)
    control("settings", {"role-delay-ms": 3600000})
    stack, about = create("s")
    role = outputs(about)["Role"]
    try_role(role)
    control("settings", {"role-delay-ms": 0})
    refused("InvalidParameterValueException", "Source image oci:/none does not exist", functions.create_function, FunctionName="f",
            PackageType="Image", Code={"ImageUri": "oci:/none"}, Role=role)
    control("settings", {"memory-limit-mb": 3008})
    refused("InvalidParameterValueException", "less than or equal to 3008", functions.create_function, FunctionName="f", MemorySize=4096,
            PackageType="Image", Code={"ImageUri": "oci:/none"}, Role=role)
    delete(stack)
    try_role(role)
    control("settings", {"strict-roles": 1})
    try_role("arn:aws:iam::000000000000:role/any")


def main():
    for name in sys.argv[1:]:
        globals()[name]()
        print(f"{name}: as on AWS")


if __name__ == "__main__":
    main()
