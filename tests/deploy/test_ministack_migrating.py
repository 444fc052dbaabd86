"""docs/migrating.md on MiniStack: from a custom resource of somebody else, whose function is
replaced by this provider under the same name."""

import unittest

from ministack import (
    DEACTIVATE,
    OWNER,
    ROLE,
    Stack,
    aws,
    described,
    plant,
    provider_stack,
    stack_of,
    tags,
)
from support import local_aws

# A function as many have it: cfn-response's `send`, which uses the name of the log stream for an
# id, and a handler that creates and deletes an action by its name.
CODE = """
import json, os, urllib.request, uuid
import boto3

def send(event, status, data, physical_id):
    body = {"Status": status, "Reason": "see the log", "Data": data, "NoEcho": False,
            "PhysicalResourceId": physical_id, "StackId": event["StackId"],
            "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"]}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(body).encode(), method="PUT")
    urllib.request.urlopen(request)

def handler(event, context):
    iot = boto3.client("iot", endpoint_url=os.environ["IOT"], region_name="eu-west-1",
                       aws_access_key_id="x", aws_secret_access_key="x")
    name = event["ResourceProperties"]["ActionName"]
    stream = "2026/11/28/[$LATEST]" + uuid.uuid4().hex
    if event["RequestType"] == "Create":
        iot.create_mitigation_action(
            actionName=name, roleArn=event["ResourceProperties"]["RoleArn"],
            actionParams={"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})
    if event["RequestType"] == "Delete":
        iot.delete_mitigation_action(actionName=name)
    send(event, "SUCCESS", {}, event.get("PhysicalResourceId", stream))
"""


def arn_of(function):
    return f"arn:aws:lambda:{local_aws.REGION}:{local_aws.ACCOUNT}:function:{function}"


def exporting(value, name, **resources):
    """Returns a template that exports a service token."""
    template = stack_of({"Token": value}, **resources)
    template["Outputs"]["Token"]["Export"] = {"Name": f"{name}-token"}
    return template


def function(name):
    """Returns the template of the old function, and the one that keeps only the export."""
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        },
    }
    properties = {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": CODE},
        "Environment": {"Variables": {"IOT": aws().iot_url}},
    }
    function = {"Type": "AWS::Lambda::Function", "Properties": properties}
    arn = {"Fn::GetAtt": ["Function", "Arn"]}
    return (
        exporting(arn, name, Role=role, Function=function),
        exporting(arn_of(name), name, Role=role),
    )


def action(token, name, **properties):
    declared = {"ServiceToken": token, "ServiceTimeout": 30, "ActionName": name, "RoleArn": ROLE}
    declared |= {"ActionParams": DEACTIVATE} | properties
    return {"Type": "Custom::IoTMitigationAction", "Properties": declared}


def imported(function):
    return {"Fn::ImportValue": f"{function}-token"}


class AnotherCustomResource(unittest.TestCase):
    def replaced(self, name):
        """Creates a stack of the old function, then replaces the function; returns the stack."""
        old = Stack(self, f"{name}-of-somebody-else")
        with_function, without_function = function(name)
        self.assertEqual(old.create(with_function), "CREATE_COMPLETE")
        stack = Stack(self, f"uses-{name}")
        made = action(imported(name), name)
        self.assertEqual(stack.create(stack_of(Made=made)), "CREATE_COMPLETE")
        self.assertTrue(stack.physical_id("Made").startswith("2026/11/28/[$LATEST]"))
        self.assertEqual(old.update(without_function), "UPDATE_COMPLETE")
        provider_stack(self, name)
        return stack

    def test_an_overwritten_action_keeps_its_id_and_is_deleted_with_its_stack(self):
        stack = self.replaced("old-overwritten")
        before = described("old-overwritten")
        taken = action(imported("old-overwritten"), "old-overwritten", OnConflict="Overwrite")
        self.assertEqual(stack.update(stack_of(Made=taken)), "UPDATE_COMPLETE")
        self.assertEqual(stack.physical_id("Made"), "old-overwritten")
        self.assertEqual(described("old-overwritten")["actionId"], before["actionId"])
        self.assertTrue(tags("old-overwritten")[OWNER].startswith("stack/uses-old-overwritten/"))
        renamed = action(imported("old-overwritten"), "old-renamed", OnConflict="Overwrite")
        self.assertEqual(stack.update(stack_of(Made=renamed)), "UPDATE_COMPLETE")
        self.assertIsNone(described("old-overwritten"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNone(described("old-renamed"))

    def test_an_adopted_action_is_unchanged_and_stays_when_its_stack_is_deleted(self):
        stack = self.replaced("old-adopted")
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName="old-adopted")
        before = described("old-adopted")
        taken = action(imported("old-adopted"), "old-adopted", OnConflict="Adopt")
        self.assertEqual(stack.update(stack_of(Made=taken)), "UPDATE_COMPLETE")
        self.assertEqual(described("old-adopted"), before)
        self.assertTrue(tags("old-adopted")[OWNER].startswith("adopted/uses-old-adopted/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual(described("old-adopted"), before)
        self.assertEqual(tags("old-adopted"), {})

    def test_without_a_decision_the_update_fails_and_the_action_stays(self):
        stack = self.replaced("old-undecided")
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName="old-undecided")
        before = described("old-undecided")
        team = [{"Key": "team", "Value": "iot"}]
        tagged = action(imported("old-undecided"), "old-undecided", Tags=team)
        self.assertIn("ROLLBACK", stack.update(stack_of(Made=tagged)))
        self.assertIn("ResourceAlreadyExistsException", " ".join(stack.reasons("Made")))
        self.assertEqual(described("old-undecided"), before)
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual(described("old-undecided"), before)
        self.assertEqual(tags("old-undecided"), {})


class NativeResource(unittest.TestCase):
    def test_an_action_that_lost_its_owner_tag_is_tagged_again_by_the_next_update(self):
        # What an update of the native resource does: it removes every tag that its template lacks.
        params = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
        plant(self, "stripped", params)
        stack = Stack(self, "strips")
        adopted = action(arn_of(local_aws.STACK), "stripped", OnConflict="Adopt")
        self.assertEqual(stack.create(stack_of(Made=adopted)), "CREATE_COMPLETE")
        arn = described("stripped")["actionArn"]
        iot = aws().client("iot")
        iot.untag_resource(resourceArn=arn, tagKeys=list(tags("stripped")))
        tagged = [{"Key": "team", "Value": "iot"}]
        changed = action(arn_of(local_aws.STACK), "stripped", OnConflict="Adopt", Tags=tagged)
        self.assertEqual(stack.update(stack_of(Made=changed)), "UPDATE_COMPLETE")
        self.assertTrue(tags("stripped")[OWNER].startswith("adopted/strips/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("stripped"))


if __name__ == "__main__":
    unittest.main()
