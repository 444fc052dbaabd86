"""The provider on MiniStack, deployed once for each process, and helpers for the tests."""

import atexit
import functools
import json
import time

from botocore.exceptions import ClientError

from support import free_port, local_aws

ROLE = f"arn:aws:iam::{local_aws.ACCOUNT}:role/mitigation-actions/quarantine-things"
OWNER = "mitigation-action-provider:owner"
DEACTIVATE = {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}


@functools.cache
def aws():
    """Starts MiniStack and deploys the provider with `sam deploy`, once for each process."""
    local = local_aws.LocalAws(free_port(), free_port())
    atexit.register(local.stop)
    local.deploy_provider()
    return local


def wait_until(read, what):
    """Polls `read()` and returns its first true value."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        value = read()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} has not happened within 60 seconds")


class Stack:
    """A stack that is deleted when its test ends."""

    def __init__(self, test, name):
        self.name, self.id = name, name
        self.cloudformation = aws().client("cloudformation")
        test.addCleanup(self.delete)

    def create(self, template, **parameters):
        """Creates the stack; returns its final status."""
        self.id = self.cloudformation.create_stack(**self._options(template, parameters))["StackId"]
        return self._end()

    def update(self, template, **parameters):
        self.cloudformation.update_stack(**self._options(template, parameters))
        return self._end()

    def delete(self):
        try:
            self.cloudformation.delete_stack(StackName=self.id)
            return self._end()
        except ClientError as error:
            if "does not exist" in str(error):
                return "DELETE_COMPLETE"
            raise

    def _options(self, template, parameters):
        pairs = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        return {
            "StackName": self.name,
            "TemplateBody": json.dumps(template),
            "Parameters": pairs,
            "Capabilities": ["CAPABILITY_IAM"],
        }

    def _describe(self):
        return self.cloudformation.describe_stacks(StackName=self.id)["Stacks"][0]

    def _end(self):
        def status():
            status = self._describe()["StackStatus"]
            return None if status.endswith("IN_PROGRESS") else status

        return wait_until(status, f"the end of {self.name}")

    def outputs(self):
        outputs = self._describe().get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def physical_id(self, logical_id):
        resource = self.cloudformation.describe_stack_resource(
            StackName=self.id, LogicalResourceId=logical_id
        )
        return resource["StackResourceDetail"]["PhysicalResourceId"]

    def reasons(self, logical_id):
        """Returns the reason of each failure of the resource, the latest first."""
        events = self.cloudformation.describe_stack_events(StackName=self.id)["StackEvents"]
        return [
            event.get("ResourceStatusReason", "")
            for event in events
            if event["LogicalResourceId"] == logical_id
            and event["ResourceStatus"].endswith("FAILED")
        ]


def provider_stack(test, name, iot_endpoint=None):
    """Deploys another provider from the same template, for a test that changes or breaks it."""
    cloudformation = aws().client("cloudformation")
    template = cloudformation.get_template(StackName=local_aws.STACK, TemplateStage="Processed")
    template = template["TemplateBody"]
    if iot_endpoint:
        variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        variables["AWS_ENDPOINT_URL_IOT"] = iot_endpoint
    [deployed] = cloudformation.describe_stacks(StackName=local_aws.STACK)["Stacks"]
    stack = Stack(test, name)
    parameters = {p["ParameterKey"]: p["ParameterValue"] for p in deployed["Parameters"]}
    test.assertEqual(stack.create(template, **parameters), "CREATE_COMPLETE")
    return stack


def action(name=None, params=DEACTIVATE, provider=local_aws.STACK, **properties):
    """Returns a resource that declares an action; `after` names a resource it depends on."""
    after = properties.pop("after", None)
    declared = {
        "ServiceToken": {"Fn::ImportValue": f"{provider}-ServiceToken"},
        "ServiceTimeout": 60,
        "RoleArn": ROLE,
        "ActionParams": params,
        **({"ActionName": name} if name else {}),
        **properties,
    }
    depends = {"DependsOn": after} if after else {}
    return {"Type": "Custom::IoTMitigationAction", "Properties": declared, **depends}


def stack_of(outputs=None, **resources):
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    if outputs:
        template["Outputs"] = {key: {"Value": value} for key, value in outputs.items()}
    return template


def described(name):
    """Returns the action, or None if it does not exist."""
    iot = aws().client("iot")
    try:
        found = iot.describe_mitigation_action(actionName=name)
    except iot.exceptions.ResourceNotFoundException:
        return None
    del found["ResponseMetadata"]
    return found


def arn(name):
    return f"arn:aws:iot:{local_aws.REGION}:{local_aws.ACCOUNT}:mitigationaction/{name}"


def tags(name):
    paginator = aws().client("iot").get_paginator("list_tags_for_resource")
    pages = paginator.paginate(resourceArn=arn(name))
    return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}


def log():
    """Returns the messages in the log of the deployed function."""
    events = aws().client("logs").get_paginator("filter_log_events")
    pages = events.paginate(logGroupName=aws().log_group())
    return [event["message"] for page in pages for event in page["events"]]


def plant(test, name, params, role=ROLE):
    """Creates an action as someone else does: without tags."""
    iot = aws().client("iot")
    iot.create_mitigation_action(actionName=name, roleArn=role, actionParams=params)
    test.addCleanup(iot.delete_mitigation_action, actionName=name)


class Queue:
    """A queue, given by its ARN."""

    def __init__(self, arn):
        self.sqs = aws().client("sqs")
        self.url = self.sqs.get_queue_url(QueueName=arn.split(":")[-1])["QueueUrl"]

    def receive(self, expected=lambda body: True):
        """Returns the first message that is as expected; the others go back to the queue."""
        end, found, others = time.monotonic() + 60, None, []
        options = {"QueueUrl": self.url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 90}
        while found is None and time.monotonic() < end:
            received = self.sqs.receive_message(WaitTimeSeconds=20, **options)
            for message in received.get("Messages", []):
                handle = {"QueueUrl": self.url, "ReceiptHandle": message["ReceiptHandle"]}
                if found is None and expected(message["Body"]):
                    found = message["Body"]
                    self.sqs.delete_message(**handle)
                else:
                    others.append(handle)
        for handle in others:
            self.sqs.change_message_visibility(VisibilityTimeout=0, **handle)
        if found is None:
            raise AssertionError(f"no such message has reached {self.url} within 60 seconds")
        return found
