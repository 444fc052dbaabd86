#!/usr/bin/env python3
"""Proves against a real AWS account what the tests can only assume. Run by `make verify-aws REGION=... ROLE=...`.

Deploys the provider with SAM, makes a bucket for the answers, tries each assumption about AWS IoT that nobody had tried and
each row of the contract's life-cycle table, prints a table, and removes all that it made, whatever happens. It changes
nothing but what it makes: its actions are named verify-... It needs credentials that may do what the README says a
deployer does, and iot:*MitigationAction*, iot:*Tag*, s3:* on its bucket, lambda:UpdateFunctionConfiguration.

It has not been run against AWS by its authors, who could reach none; its checks are tested against the stand-ins.
"""

import argparse
import json
import subprocess
import sys
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

OWNER = "mitigation-action-provider:owner"
DEVICE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
CA = {"updateCACertificateParams": {"action": "DEACTIVATE"}}


class Verification:
    """The checks. `invoke` sends a payload to the function and returns what it returns; `answer_url` makes a URL for a
    response and a function that reads what was put there."""

    def __init__(self, iot, invoke, answer_url, place, role):
        self.iot, self.invoke, self.answer_url, self.place, self.role = iot, invoke, answer_url, place, role
        self.run = uuid.uuid4().hex[:8]
        self.rows = []

    # What the checks are made of.

    def name(self, what):
        return f"verify-{self.run}-{what}"

    def arn(self, name):
        return f"arn:{self.place['partition']}:iot:{self.place['region']}:{self.place['account']}:mitigationaction/{name}"

    def plant(self, name, params=DEVICE, **tags):
        tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        return self.iot.create_mitigation_action(actionName=name, roleArn=self.role, actionParams=params, tags=tags)

    def tags(self, name):
        pages = self.iot.get_paginator("list_tags_for_resource").paginate(resourceArn=self.arn(name))
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}

    def exists(self, name):
        try:
            return bool(self.iot.describe_mitigation_action(actionName=name))
        except self.iot.exceptions.ResourceNotFoundException:
            return False

    def request(self, kind, logical_id, name, physical_id=None, old=None, **properties):
        """Plays one request as CloudFormation does; returns the document that was put."""
        place = self.place
        stack = f"arn:{place['partition']}:cloudformation:{place['region']}:{place['account']}:stack/verify/{self.run}"
        url, read = self.answer_url()
        declared = {"ActionName": name, "RoleArn": self.role, "ActionParams": {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}}
        event = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": stack,
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": declared | properties,
        }
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        if old:
            event["OldResourceProperties"] = old
        self.invoke(event)
        return read()

    def check(self, what, test):
        try:
            fault = test()
            self.rows.append((what, "holds" if fault in (None, True) else f"does not hold: {fault}"))
        except Exception as error:  # a check that cannot be made is a finding, and the next one is made all the same
            self.rows.append((what, f"does not hold: {type(error).__name__}: {error}"))

    @staticmethod
    def expect(document, status, contains=""):
        if document.get("Status") != status or contains not in document.get("Reason", ""):
            raise AssertionError(json.dumps(document))

    # The assumptions of facts.md that were not tried.

    def identical_create_is_a_replay(self):
        name = self.name("replay")
        return self.plant(name, a="b")["actionId"] == self.plant(name, a="b")["actionId"]

    def create_with_another_tag_is_a_conflict(self):
        name = self.name("replay")
        try:
            self.plant(name, a="c")
        except self.iot.exceptions.ResourceAlreadyExistsException:
            return True
        return "the service took it"

    def update_takes_another_type(self):
        name = self.name("type")
        self.plant(name)
        self.iot.update_mitigation_action(actionName=name, actionParams=CA)
        return self.iot.describe_mitigation_action(actionName=name)["actionType"] == "UPDATE_CA_CERTIFICATE"

    def delete_of_what_is_absent_succeeds(self):
        self.iot.delete_mitigation_action(actionName=self.name("absent"))

    def tags_of_what_is_absent_are_not_found(self):
        try:
            self.tags(self.name("absent"))
        except self.iot.exceptions.ResourceNotFoundException:
            return True
        return "the service listed them"

    def disabled_logging_is_refused(self):
        params = {"enableIoTLoggingParams": {"logLevel": "DISABLED", "roleArnForLogging": self.role}}
        try:
            self.plant(self.name("disabled"), params)
        except self.iot.exceptions.InvalidRequestException:
            return True
        return "the service took it"

    def fifty_tags_are_the_most(self):
        name = self.name("tags")
        self.plant(name, **{f"k{n}": "v" for n in range(50)})
        try:
            self.iot.tag_resource(resourceArn=self.arn(name), tags=[{"Key": "one-more", "Value": "v"}])
        except ClientError:
            return True
        return "the service took 51"

    # The rows of the life-cycle table.

    def life(self):
        name, logical = self.name("life"), "Life"
        created = self.request("Create", logical, name)
        self.expect(created, "SUCCESS")
        again = self.request("Create", logical, name)
        if again["Data"] != created["Data"]:
            raise AssertionError("a replay answers otherwise")
        tags = [{"Key": "team", "Value": "x"}]
        self.expect(self.request("Update", logical, name, name, {"ActionName": name}, Tags=tags), "SUCCESS")
        if self.tags(name).get("team") != "x":
            raise AssertionError("the tag was not set")
        self.iot.delete_mitigation_action(actionName=name)
        self.expect(self.request("Update", logical, name, name, {"ActionName": name}), "SUCCESS")
        renamed = self.name("renamed")
        self.expect(self.request("Update", logical, renamed, name, {"ActionName": name}), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        if self.exists(name) or not self.exists(renamed):
            raise AssertionError("the old action is there, or the new one is not")
        self.expect(self.request("Delete", logical, renamed, renamed), "SUCCESS")
        return not self.exists(renamed)

    def conflict(self):
        name = self.name("conflict")
        self.plant(name, theirs="stays")
        failed = self.request("Create", "Conflict", name)
        self.expect(failed, "FAILED", "ResourceAlreadyExistsException")
        self.expect(self.request("Delete", "Conflict", name, failed["PhysicalResourceId"]), "SUCCESS")
        return self.exists(name)

    def adoption(self):
        name = self.name("conflict")
        self.expect(self.request("Create", "Adopted", name, OnConflict="Adopt"), "SUCCESS")
        if not self.tags(name).get(OWNER, "").startswith("adopted/"):
            raise AssertionError("it is not tagged as adopted")
        self.expect(self.request("Delete", "Adopted", name, name), "SUCCESS")
        return self.exists(name) and OWNER not in self.tags(name)

    def overwriting(self):
        name = self.name("type")
        self.expect(self.request("Create", "Overwritten", name, OnConflict="Overwrite"), "SUCCESS")
        self.expect(self.request("Delete", "Overwritten", name, name), "SUCCESS")
        return not self.exists(name)

    def invalid(self):
        self.expect(self.request("Create", "Invalid", "a b", Tagz=[]), "FAILED", "InvalidRequestException: 2 problems")

    CHECKS = [
        ("an identical create, tags included, is taken as a replay", identical_create_is_a_replay),
        ("a create that differs in a tag is a conflict", create_with_another_tag_is_a_conflict),
        ("an update takes another action type", update_takes_another_type),
        ("a delete of what is absent succeeds", delete_of_what_is_absent_succeeds),
        ("the tags of what is absent are ResourceNotFoundException", tags_of_what_is_absent_are_not_found),
        ("logLevel DISABLED is refused", disabled_logging_is_refused),
        ("fifty tags are the most", fifty_tags_are_the_most),
        ("create, replay, update, gone, rename, delete, delete again", life),
        ("a conflict fails, and the Delete after it touches nothing", conflict),
        ("Adopt takes what is the same, and Delete leaves it", adoption),
        ("Overwrite takes what differs, and Delete deletes it", overwriting),
        ("all problems are named at once", invalid),
    ]

    def all(self):
        try:
            for what, test in self.CHECKS:
                self.check(what, lambda test=test: test(self))
        finally:
            self.clean_up()
        return self.rows

    def clean_up(self):
        pages = self.iot.get_paginator("list_mitigation_actions").paginate()
        for name in [action["actionName"] for page in pages for action in page["actionIdentifiers"]]:
            if name.startswith(f"verify-{self.run}-"):
                self.iot.delete_mitigation_action(actionName=name)


def print_table(rows):
    width = max(len(what) for what, _ in rows)
    for what, result in rows:
        print(f"{what:<{width}}  {result}")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--region", required=True)
    options.add_argument("--role", required=True, help="the ARN of a role that actions may take on")
    options = options.parse_args()
    session = boto3.session.Session(region_name=options.region)
    identity = session.client("sts").get_caller_identity()
    place = {"partition": identity["Arn"].split(":")[1], "region": options.region, "account": identity["Account"]}
    suffix = uuid.uuid4().hex[:8]
    stack, bucket = f"verify-mitigation-{suffix}", f"verify-mitigation-{suffix}-{place['account']}"
    s3 = session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
    aws_lambda, cloudformation = session.client("lambda"), session.client("cloudformation")

    def answer_url():
        key = uuid.uuid4().hex
        url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=900)
        return url, lambda: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    try:
        location = {} if options.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": options.region}}
        s3.create_bucket(Bucket=bucket, **location)
        deploy = ["sam", "deploy", "--stack-name", stack, "--region", options.region, "--no-confirm-changeset", "--resolve-s3"]
        deploy += ["--capabilities", "CAPABILITY_IAM", "--parameter-overrides", f"ActionRoleArns={options.role}"]
        subprocess.run(deploy, check=True)
        function = cloudformation.describe_stack_resource(StackName=stack, LogicalResourceId="Function")
        function = function["StackResourceDetail"]["PhysicalResourceId"]
        variables = aws_lambda.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
        variables["RESPONSE_URL_ALLOWED_HOSTS"] = answer_url()[0].split("/")[2]
        aws_lambda.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
        aws_lambda.get_waiter("function_updated_v2").wait(FunctionName=function)

        def invoke(event):
            answer = aws_lambda.invoke(FunctionName=function, Payload=json.dumps(event).encode())
            return json.loads(answer["Payload"].read())

        rows = Verification(session.client("iot"), invoke, answer_url, place, options.role).all()
        print_table(rows)
        return 0 if all(result == "holds" for _, result in rows) else 1
    finally:
        print("removing the stack and the bucket")
        cloudformation.delete_stack(StackName=stack)
        for _ in range(3):
            try:
                for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                    s3.delete_object(Bucket=bucket, Key=item["Key"])
                s3.delete_bucket(Bucket=bucket)
                break
            except ClientError as error:
                print(f"the bucket {bucket} could not be removed yet: {error}", file=sys.stderr)
                time.sleep(2)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)


if __name__ == "__main__":
    sys.exit(main())
