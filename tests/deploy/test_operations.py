"""What a person who runs this relies on: examples, alarms, the dashboard, the tables of the documents, the verification."""

import json
import re
import subprocess
import sys
import unittest

import boto3

from support import ENVIRONMENT, ROOT, TOOLS, Running, emulator, free_port, get, run, stand_ins, wait_for_port
from test_template import transformed

sys.path.insert(0, str(ROOT / "tools"))
import render_dashboard
import verify_aws

PLACE = {"partition": "aws", "region": "eu-west-1", "account": "123456789012"}
RESOLVED = {"AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::AccountId": "123456789012", "Provider": "mitigation-action-provider"}


def load(name):
    from cfnlint.decode import cfn_yaml

    return json.loads(json.dumps(cfn_yaml.load(str(ROOT / "examples" / name))))


def resolved(value, resources):
    """As CloudFormation does: intrinsic functions resolved, scalars made strings."""
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
        name, _ = value["Fn::GetAtt"] if isinstance(value["Fn::GetAtt"], list) else value["Fn::GetAtt"].split(".")
        return f"arn:aws:iam::123456789012:role{resources[name]['Properties'].get('Path', '/')}{name}"
    return {key: resolved(item, resources) for key, item in value.items()}


class Stack:
    """Plays the custom resources of a template against the package under the emulator."""

    def __init__(self, test):
        self.port = stand_ins(test)
        variables = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1"}
        self.emulated = emulator(test, {**variables, "ROLE_PROPAGATION_SECONDS": "0"})
        options = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        self.iot = boto3.client("iot", endpoint_url=f"http://127.0.0.1:{self.port}", **options)
        self.requests = 0

    def invoke(self, event):
        return self.emulated(json.dumps(event))

    def answer_url(self):
        self.requests += 1
        url = f"http://127.0.0.1:{self.port}/response/{self.requests}"
        return url, lambda: get(url)

    def play(self, kind, logical_id, properties, **more):
        url, read = self.answer_url()
        event = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/fleet/0a1b",
            "RequestId": str(self.requests),
            "LogicalResourceId": logical_id,
            "ResourceProperties": properties,
        }
        self.invoke(event | more)
        return read()


class Examples(unittest.TestCase):
    # What each kind's role needs, of the facts.
    LEAST = {
        "AddThingsToThingGroupParams": {"iot:ListPrincipalThings", "iot:AddThingToThingGroup"},
        "EnableIoTLoggingParams": {"iot:SetV2LoggingOptions", "iam:PassRole"},
        "PublishFindingToSnsParams": {"sns:Publish"},
        "ReplaceDefaultPolicyVersionParams": {"iot:CreatePolicyVersion"},
        "UpdateCACertificateParams": {"iot:UpdateCACertificate"},
        "UpdateDeviceCertificateParams": {"iot:UpdateCertificate"},
    }

    def test_every_template_passes_cfn_lint(self):
        templates = sorted(str(path) for path in (ROOT / "examples").glob("*.yaml"))
        self.assertGreaterEqual(len(templates), 3)
        run(["cfn-lint", "--regions", "eu-west-1", "--", *templates])

    def test_all_kinds_are_made_and_their_arns_found(self):
        template, stack = load("all-kinds.yaml"), Stack(self)
        resources, made = template["Resources"], {}
        for name, resource in resources.items():
            if resource["Type"] == "Custom::IoTMitigationAction":
                answer = stack.play("Create", name, resolved(resource["Properties"], resources))
                self.assertEqual(answer["Status"], "SUCCESS", answer)
                made[name] = answer["Data"]
        self.assertEqual(len({data["ActionType"] for data in made.values()}), 6)
        for output in template["Outputs"].values():
            name, attribute = output["Value"]["Fn::GetAtt"]
            self.assertTrue(made[name][attribute].startswith("arn:aws:iot:"))

    def test_each_kind_has_the_least_role_and_trust(self):
        resources = load("all-kinds.yaml")["Resources"]
        for resource in resources.values():
            if resource["Type"] != "Custom::IoTMitigationAction":
                continue
            [kind] = resource["Properties"]["ActionParams"]
            role = resources[resource["Properties"]["RoleArn"]["Fn::GetAtt"][0]]["Properties"]
            granted = set()
            for policy in role["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    granted |= set([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
            self.assertEqual(granted, self.LEAST[kind])
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(trust["Principal"], {"Service": "iot.amazonaws.com"})
            self.assertIn("aws:SourceAccount", trust["Condition"]["StringEquals"])
            self.assertIn(resource["Properties"]["ActionName"], json.dumps(trust["Condition"]["ArnLike"]["aws:SourceArn"]))

    def test_an_action_is_moved_over_from_the_native_resource(self):
        first, second = load("move-over-1.yaml")["Resources"], load("move-over-2.yaml")["Resources"]
        native, custom = first["Quarantine"], second["FleetQuarantine"]
        declared = resolved(native["Properties"], first)
        for retains in [True, False]:
            stack = Stack(self)
            params = declared["ActionParams"]["AddThingsToThingGroupParams"]
            stack.iot.create_mitigation_action(
                actionName=declared["ActionName"],
                roleArn=declared["RoleArn"],
                actionParams={"addThingsToThingGroupParams": {"thingGroupNames": params["ThingGroupNames"], "overrideDynamicGroups": True}},
            )
            properties = resolved(custom["Properties"], second)
            answer = stack.play("Create", "FleetQuarantine", properties)
            self.assertEqual(answer["Status"], "SUCCESS", answer)
            # Then CloudFormation takes the native resource out, and deletes its action, unless it is retained.
            self.assertEqual(native["DeletionPolicy"], "Retain")
            if not retains:
                stack.iot.delete_mitigation_action(actionName=declared["ActionName"])
                with self.assertRaises(stack.iot.exceptions.ResourceNotFoundException):
                    stack.iot.describe_mitigation_action(actionName=declared["ActionName"])
                continue
            arn = answer["Data"]["ActionArn"]
            tags = {tag["Key"]: tag["Value"] for tag in stack.iot.list_tags_for_resource(resourceArn=arn)["tags"]}
            self.assertTrue(tags["mitigation-action-provider:owner"].startswith("adopted/"))

    def test_the_sender_sends_what_the_function_takes(self):
        port = free_port()
        moto = f"http://127.0.0.1:{port}"
        server = Running(self, [TOOLS / "aws" / "bin" / "moto_server", "-p", str(port)], env=ENVIRONMENT)
        wait_for_port(port, server.process)
        options = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x", "endpoint_url": moto}
        events, sqs = boto3.client("events", **options), boto3.client("sqs", **options)
        queue = sqs.create_queue(QueueName="requests")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        events.create_event_bus(Name="requests")
        events.put_rule(Name="rule", EventBusName="requests", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="rule", EventBusName="requests", Targets=[{"Id": "queue", "Arn": arn}])
        path = f"{TOOLS}/aws/bin:{ENVIRONMENT['PATH']}"
        run([ROOT / "examples" / "send-event.sh", "requests"], {"PATH": path, "AWS_ENDPOINT_URL": moto})
        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        self.assertEqual(Stack(self).invoke(json.loads(message["Body"]))["outcome"], "CREATED")


class Alarms(unittest.TestCase):
    def alarms(self):
        resources = transformed()["Resources"]
        return {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"}, resources

    def test_each_fires_on_a_metric_or_queue_that_the_product_has(self):
        alarms, resources = self.alarms()
        counted = set(re.findall(r"^    (\w+),$", (ROOT / "src" / "telemetry.rs").read_text(), re.MULTILINE))
        for name, alarm in alarms.items():
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])}
            match alarm["Namespace"]:
                case "MitigationActionProvider":
                    # That each is counted when its time comes is in tests/contract/metrics.rs; without dimensions is for all triggers.
                    self.assertIn(alarm["MetricName"], counted)
                    self.assertEqual(dimensions, {})
                case "AWS/SQS":
                    self.assertIn(alarm["MetricName"], {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"})
                    queue, attribute = dimensions["QueueName"]["Fn::GetAtt"]
                    self.assertEqual((resources[queue]["Type"], attribute), ("AWS::SQS::Queue", "QueueName"))
                case "AWS/Lambda":
                    self.assertIn(alarm["MetricName"], {"Errors", "Throttles", "Duration"})
                    self.assertEqual(dimensions, {"FunctionName": {"Ref": "Function"}})
                case other:
                    self.fail(f"{name} looks at {other}")
            self.assertEqual(alarm["TreatMissingData"], "notBreaching")

    def test_each_dead_letter_queue_has_one(self):
        alarms, resources = self.alarms()
        watched = {str(a["Dimensions"][0]["Value"]) for a in alarms.values() if a["MetricName"] == "ApproximateNumberOfMessagesVisible"}
        for name in resources:
            if name.endswith("DeadLetters"):
                self.assertIn(str({"Fn::GetAtt": [name, "QueueName"]}), watched)

    def test_dead_letters_fire_when_the_function_gives_a_message_back_as_often_as_the_template_lets_it(self):
        alarms, resources = self.alarms()
        port = free_port()
        server = Running(self, [TOOLS / "aws" / "bin" / "moto_server", "-p", str(port)], env=ENVIRONMENT)
        wait_for_port(port, server.process)
        options = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
        sqs = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{port}", **options)
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        most = resources["RequestQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": most})
        queue = sqs.create_queue(QueueName="requests", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody="not a request")
        stack, received = Stack(self), 0
        while messages := sqs.receive_message(QueueUrl=queue, AttributeNames=["All"]).get("Messages"):
            received += 1
            [message] = messages
            record = {"messageId": message["MessageId"], "body": message["Body"], "eventSource": "aws:sqs"}
            failures = stack.invoke({"Records": [record]})["batchItemFailures"]
            self.assertEqual(failures, [{"itemIdentifier": message["MessageId"]}])
        self.assertEqual(received, most)
        visible = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        alarm = alarms["RequestDeadLettersAlarm"]
        self.assertGreaterEqual(int(visible["ApproximateNumberOfMessages"]), alarm["Threshold"])
        self.assertEqual(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold")

    def test_each_is_in_the_guide_with_what_to_do(self):
        guide = (ROOT / "docs" / "operating.md").read_text()
        for name in self.alarms()[0]:
            self.assertIn(f"| `{name}` |", guide)

    def test_the_dashboard_shows_what_the_product_counts_and_its_picture_is_its_own(self):
        counted = set(re.findall(r"^    (\w+),$", (ROOT / "src" / "telemetry.rs").read_text(), re.MULTILINE))
        triggers = set(re.findall(r'=> "(\w+)",', (ROOT / "src" / "trigger.rs").read_text()))
        for widget in render_dashboard.body()["widgets"]:
            for metric in widget["properties"].get("metrics", []):
                if metric[0] == "MitigationActionProvider":
                    self.assertIn(metric[1], counted)
                    if "Trigger" in metric:
                        self.assertIn(metric[3], triggers)
        self.assertEqual((ROOT / "docs" / "dashboard.svg").read_text(), render_dashboard.picture())


class Documents(unittest.TestCase):
    def test_every_message_in_the_table_of_symptoms_is_the_codes_own(self):
        guide = (ROOT / "docs" / "operating.md").read_text()
        table = guide.split("## Symptom, cause, cure")[1].split("\n## ")[0]
        source = " ".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
        source = re.sub(r"\\\n\s+", "", source)
        symptoms = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
        self.assertGreaterEqual(len(symptoms), 10)
        for symptom in symptoms:
            for fragment in symptom.split("…"):
                self.assertIn(fragment.strip(), source, symptom)

    def test_every_answer_to_a_threat_is_held_by_what_is_named(self):
        table = (ROOT / "SECURITY.md").read_text().split("|---|---|---|")[1]
        tests = " ".join(path.read_text() for path in (ROOT / "tests").rglob("*.[rp][sy]"))
        template = (ROOT / "template.yaml").read_text()
        rows = [row.split("|")[3] for row in table.splitlines() if row.startswith("| ")]
        self.assertGreaterEqual(len(rows), 10)
        for row in rows:
            names = re.findall(r"`([^`]+)`", row)
            self.assertTrue(names, row)
            for name in names:
                held = re.search(rf"(fn|def) {name}\b", tests) or f"\n  {name}:" in template or (ROOT / name).is_file()
                self.assertTrue(held, name)

    def test_every_file_that_a_document_links_to_is_there(self):
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
            for target in re.findall(r"\]\(((?!http|#)[^)#]+)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document.name} links to {target}")

    def test_every_target_that_a_document_names_is_in_the_makefile(self):
        makefile = (ROOT / "Makefile").read_text()
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
            for target in re.findall(r"`make ([a-z-]+)", document.read_text()):
                self.assertRegex(makefile, rf"(?m)^{target}:", document.name)


class VerifyAws(unittest.TestCase):
    """The checks of `make verify-aws`, made against the stand-ins."""

    def verification(self):
        stack = Stack(self)
        role = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
        return stack, verify_aws.Verification(stack.iot, stack.invoke, stack.answer_url, PLACE, role)

    def test_each_holds_here_and_nothing_is_left(self):
        stack, verification = self.verification()
        rows = verification.all()
        self.assertEqual([row for row in rows if row[1] != "holds"], [])
        self.assertEqual(len(rows), len(verify_aws.Verification.CHECKS))
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_what_does_not_hold_is_said_and_what_was_made_is_removed(self):
        stack, verification = self.verification()
        verification.invoke = lambda event: None  # a function that does nothing
        results = dict(verification.all())
        self.assertTrue(results["Adopt takes what is the same, and Delete leaves it"].startswith("does not hold"))
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])


if __name__ == "__main__":
    unittest.main()
