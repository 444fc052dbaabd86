"""The provider's own stack in the account, and the bucket that takes the responses."""

import json
import subprocess
import sys
import uuid

from botocore.config import Config
from botocore.exceptions import ClientError

from verify_aws.checks import wait_until_deleted


class Provider:
    """The provider's stack and a bucket for responses, from `deploy` until `remove`."""

    def __init__(self, session, location, role):
        self.session, self.location, self.role = session, location, role
        suffix = uuid.uuid4().hex[:8]
        self.stack = f"verify-mitigation-{suffix}"
        self.bucket = f"verify-mitigation-{suffix}-{location['account']}"
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        self.s3 = session.client("s3", config=config)
        self.cloudformation = session.client("cloudformation")

    def deploy(self):
        region = self.location["region"]
        constraint = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3.create_bucket(Bucket=self.bucket, **({} if region == "us-east-1" else constraint))
        host = self.response_url()[0].split("/")[2]
        deploy = ["sam", "deploy", "--stack-name", self.stack, "--region", region, "--resolve-s3"]
        deploy += ["--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM"]
        deploy += [
            "--parameter-overrides",
            f"ActionRoleArns={self.role}",
            f"ResponseUrlAllowedHosts={host}",
        ]
        subprocess.run(deploy, check=True, stdout=sys.stderr)  # stdout is the report's

    def response_url(self):
        """Returns a URL for a response, and a function that reads the response."""
        place = {"Bucket": self.bucket, "Key": uuid.uuid4().hex}
        url = self.s3.generate_presigned_url("put_object", Params=place, ExpiresIn=900)
        return url, lambda: json.loads(self.s3.get_object(**place)["Body"].read())

    def invoke(self, event):
        options = {"FunctionName": self.stack, "Payload": json.dumps(event).encode()}
        return json.loads(self.session.client("lambda").invoke(**options)["Payload"].read())

    def remove(self):
        """Deletes the stack, what its template retains (dead letters, the log), and the bucket."""
        resources = self.resources()
        self.cloudformation.delete_stack(StackName=self.stack)
        wait_until_deleted(self.cloudformation, self.stack)
        sqs, logs = self.session.client("sqs"), self.session.client("logs")
        for resource in resources:
            name, kind = resource["PhysicalResourceId"], resource["ResourceType"]
            if kind == "AWS::SQS::Queue" and resource["LogicalResourceId"].endswith("DeadLetters"):
                sqs.delete_queue(QueueUrl=name)
            if kind == "AWS::Logs::LogGroup":
                logs.delete_log_group(logGroupName=name)
        try:
            items = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        except self.s3.exceptions.NoSuchBucket:
            return
        for item in items:
            self.s3.delete_object(Bucket=self.bucket, Key=item["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources")
        try:
            pages = list(pages.paginate(StackName=self.stack))
        except ClientError:  # the stack was never created
            return []
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return [resource for resource in found if "PhysicalResourceId" in resource]
