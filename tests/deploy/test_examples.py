"""The examples: the templates are valid and create what they describe; the sender works."""

import json
import pathlib
import re
import tempfile
import unittest

from emulated import Stack
from sam_template import transformed
from support import ENVIRONMENT, ROOT, TOOLS, local_aws, moto, run

RESOLVED = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "Provider": "mitigation-action-provider",
}

# An attempt of a minute, a retry one minute after it and another two minutes after that.
LAST_RETRY_ENDS = 60 + 60 + 60 + 120 + 60


def templates():
    """Returns the path and the resources of each example's template."""
    folder = ROOT / "examples"
    paths = sorted([*folder.glob("*.yaml"), *folder.glob("*/template.yaml")])
    return [(path, local_aws.load(path)["Resources"]) for path in paths]


def resolved(value, resources):
    """Resolves intrinsic functions and turns scalars into strings, as CloudFormation does."""
    if isinstance(value, list):
        return [resolved(item, resources) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, dict):
        return str(value)
    if list(value) == ["Ref"]:
        return RESOLVED.get(value["Ref"]) or f"arn:aws:sns:eu-west-1:123456789012:{value['Ref']}"
    if list(value) == ["Fn::Sub"]:
        return re.sub(r"\$\{([^}]+)\}", lambda name: RESOLVED[name[1]], value["Fn::Sub"])
    if list(value) == ["Fn::ImportValue"]:
        return f"imported:{resolved(value['Fn::ImportValue'], resources)}"
    if list(value) == ["Fn::GetAtt"]:
        name, _ = (
            value["Fn::GetAtt"]
            if isinstance(value["Fn::GetAtt"], list)
            else value["Fn::GetAtt"].split(".")
        )
        return (
            f"arn:aws:iam::123456789012:role{resources[name]['Properties'].get('Path', '/')}{name}"
        )
    return {key: resolved(item, resources) for key, item in value.items()}


class Examples(unittest.TestCase):
    # The permissions that each kind of action needs.
    LEAST = {
        "AddThingsToThingGroupParams": {"iot:ListPrincipalThings", "iot:AddThingToThingGroup"},
        "EnableIoTLoggingParams": {"iot:SetV2LoggingOptions", "iam:PassRole"},
        "PublishFindingToSnsParams": {"sns:Publish"},
        "ReplaceDefaultPolicyVersionParams": {"iot:CreatePolicyVersion"},
        "UpdateCACertificateParams": {"iot:UpdateCACertificate"},
        "UpdateDeviceCertificateParams": {"iot:UpdateCertificate"},
    }

    def test_every_template_passes_cfn_lint(self):
        paths = [str(path) for path, _ in templates()]
        self.assertGreaterEqual(len(paths), 6)
        run(["cfn-lint", "--regions", "eu-west-1", "--", *paths])

    def test_all_kinds_are_created_and_their_arns_are_found(self):
        template, stack = local_aws.load("examples/all-kinds.yaml"), Stack(self)
        resources, made = template["Resources"], {}
        for name, resource in resources.items():
            if resource["Type"] == "Custom::IoTMitigationAction":
                response = stack.play("Create", name, resolved(resource["Properties"], resources))
                self.assertEqual(response["Status"], "SUCCESS", response)
                made[name] = response["Data"]
        schema = json.loads((ROOT / "schemas" / "request-succeeded.json").read_text())
        self.assertEqual(
            {data["ActionType"] for data in made.values()},
            set(schema["properties"]["actionType"]["enum"]),
        )
        for output in template["Outputs"].values():
            name, attribute = output["Value"]["Fn::GetAtt"]
            self.assertTrue(made[name][attribute].startswith("arn:aws:iot:"))

    def test_each_kind_has_the_least_role_and_trust(self):
        resources = local_aws.load("examples/all-kinds.yaml")["Resources"]
        for resource in resources.values():
            if resource["Type"] != "Custom::IoTMitigationAction":
                continue
            [kind] = resource["Properties"]["ActionParams"]
            role = resources[resource["Properties"]["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
            granted = set()
            for policy in role["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    granted |= set(
                        [statement["Action"]]
                        if isinstance(statement["Action"], str)
                        else statement["Action"]
                    )
            self.assertEqual(granted, self.LEAST[kind])

    # AWS's pages give two forms of aws:SourceArn for mitigation actions, and a third for audits.
    def test_aws_iot_may_assume_each_role_whatever_source_arn_it_states(self):
        for path, resources in templates():
            for name, resource in resources.items():
                if resource["Type"] != "AWS::IAM::Role":
                    continue
                [trust] = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
                if trust["Principal"] == {"Service": "iot.amazonaws.com"}:
                    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
                    expected = {"StringEquals": account}
                    self.assertEqual(trust["Condition"], expected, f"{path}: {name}")

    def test_each_action_leaves_time_for_both_retries_of_lambda(self):
        found = 0
        for path, resources in templates():
            for name, resource in resources.items():
                if resource["Type"] == "Custom::IoTMitigationAction":
                    timeout = resource["Properties"]["ServiceTimeout"]
                    self.assertEqual(timeout, LAST_RETRY_ENDS, f"{path}: {name}")
                    found += 1
        self.assertGreaterEqual(found, 10)

    def test_an_action_is_moved_over_from_the_native_resource(self):
        first = local_aws.load("examples/move-over-1.yaml")["Resources"]
        second = local_aws.load("examples/move-over-2.yaml")["Resources"]
        native, custom = first["Quarantine"], second["FleetQuarantine"]
        declared = resolved(native["Properties"], first)
        for retains in [True, False]:
            stack = Stack(self)
            params = declared["ActionParams"]["AddThingsToThingGroupParams"]
            stack.iot.create_mitigation_action(
                actionName=declared["ActionName"],
                roleArn=declared["RoleArn"],
                actionParams={
                    "addThingsToThingGroupParams": {
                        "thingGroupNames": params["ThingGroupNames"],
                        "overrideDynamicGroups": True,
                    }
                },
            )
            properties = resolved(custom["Properties"], second)
            response = stack.play("Create", "FleetQuarantine", properties)
            self.assertEqual(response["Status"], "SUCCESS", response)
            # CloudFormation then deletes the native resource's action, unless it is retained.
            self.assertEqual(native["DeletionPolicy"], "Retain")
            if not retains:
                stack.iot.delete_mitigation_action(actionName=declared["ActionName"])
                with self.assertRaises(stack.iot.exceptions.ResourceNotFoundException):
                    stack.iot.describe_mitigation_action(actionName=declared["ActionName"])
                continue
            arn = response["Data"]["ActionArn"]
            tags = {
                tag["Key"]: tag["Value"]
                for tag in stack.iot.list_tags_for_resource(resourceArn=arn)["tags"]
            }
            self.assertTrue(tags["mitigation-action-provider:owner"].startswith("adopted/"))

    def test_the_sender_sends_what_the_function_accepts(self):
        address, boto = moto(self)
        events, sqs = boto("events"), boto("sqs")
        queue = sqs.create_queue(QueueName="requests")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        events.create_event_bus(Name="requests")
        events.put_rule(Name="rule", EventBusName="requests", EventPattern=json.dumps(pattern))
        events.put_targets(
            Rule="rule", EventBusName="requests", Targets=[{"Id": "queue", "Arn": arn}]
        )
        path = f"{TOOLS}/aws/bin:{ENVIRONMENT['PATH']}"
        run(
            [ROOT / "examples" / "send-event.sh", "requests"],
            {"PATH": path, "AWS_ENDPOINT_URL": address},
        )
        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        self.assertEqual(Stack(self).invoke(json.loads(message["Body"]))["outcome"], "CREATED")

    def test_the_sender_reports_an_event_that_the_bus_rejects(self):
        refused = {
            "FailedEntryCount": 1,
            "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "later"}],
        }
        with tempfile.TemporaryDirectory() as folder:
            command = pathlib.Path(folder) / "aws"
            command.write_text(f"#!/bin/sh\necho '{json.dumps(refused)}'\n")
            command.chmod(0o755)
            with self.assertRaisesRegex(AssertionError, "not sent: InternalFailure: later"):
                run(
                    [ROOT / "examples" / "send-event.sh", "requests"],
                    {"PATH": f"{folder}:{ENVIRONMENT['PATH']}"},
                )

    def test_the_state_machine_catches_every_error_and_retries_the_transient_ones(self):
        definition = json.loads((ROOT / "examples" / "step-functions.asl.json").read_text())
        task = definition["States"]["CreateAction"]
        caught = [name for catch in task["Catch"] for name in catch["ErrorEquals"]]
        retried = {name for retry in task["Retry"] for name in retry["ErrorEquals"]}
        schema = (ROOT / "schemas" / "request-failed.json").read_text()
        codes = set(re.findall(r'"(\w+Exception)"', schema))
        self.assertGreaterEqual(len(codes), 7)
        self.assertLessEqual(codes | {"InvalidSetting", "UnrecognizedEvent"}, set(caught) | retried)
        self.assertLessEqual({"ThrottlingException", "InternalFailureException"}, retried)
        self.assertEqual(caught[-1], "States.ALL")
        for catch in task["Catch"]:
            self.assertEqual(definition["States"][catch["Next"]]["Type"], "Fail")


if __name__ == "__main__":
    unittest.main()
