"""What a person who runs this relies on: examples, alarms, dashboard, documents, verification."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import boto3

from support import ENVIRONMENT, ROOT, TOOLS, emulator, get, moto, run, stand_ins
from test_template import alternatives, transformed

sys.path.insert(0, str(ROOT / "tools"))
import render_dashboard
from verify_aws.function_checks import FunctionChecks

LOCATION = {"partition": "aws", "region": "eu-west-1", "account": "123456789012"}
RESOLVED = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "Provider": "mitigation-action-provider",
}


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
        name, _ = (
            value["Fn::GetAtt"]
            if isinstance(value["Fn::GetAtt"], list)
            else value["Fn::GetAtt"].split(".")
        )
        return (
            f"arn:aws:iam::123456789012:role{resources[name]['Properties'].get('Path', '/')}{name}"
        )
    return {key: resolved(item, resources) for key, item in value.items()}


class Stack:
    """Plays the custom resources of a template against the package under the emulator."""

    def __init__(self, test):
        self.port = stand_ins(test)
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
        }
        self.emulated = emulator(test, {**variables, "ROLE_PROPAGATION_SECONDS": "0"})
        options = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        self.iot = boto3.client("iot", endpoint_url=f"http://127.0.0.1:{self.port}", **options)
        self.requests = 0

    def invoke(self, event):
        return self.emulated(json.dumps(event))

    def response_url(self):
        self.requests += 1
        url = f"http://127.0.0.1:{self.port}/response/{self.requests}"
        return url, lambda: get(url)

    def play(self, kind, logical_id, properties, **more):
        url, read = self.response_url()
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
                    granted |= set(
                        [statement["Action"]]
                        if isinstance(statement["Action"], str)
                        else statement["Action"]
                    )
            self.assertEqual(granted, self.LEAST[kind])
            [trust] = role["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(trust["Principal"], {"Service": "iot.amazonaws.com"})
            self.assertIn("aws:SourceAccount", trust["Condition"]["StringEquals"])
            self.assertIn(
                resource["Properties"]["ActionName"],
                json.dumps(trust["Condition"]["ArnLike"]["aws:SourceArn"]),
            )

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
                actionParams={
                    "addThingsToThingGroupParams": {
                        "thingGroupNames": params["ThingGroupNames"],
                        "overrideDynamicGroups": True,
                    }
                },
            )
            properties = resolved(custom["Properties"], second)
            answer = stack.play("Create", "FleetQuarantine", properties)
            self.assertEqual(answer["Status"], "SUCCESS", answer)
            # Then CloudFormation deletes the native resource's action, unless it is retained.
            self.assertEqual(native["DeletionPolicy"], "Retain")
            if not retains:
                stack.iot.delete_mitigation_action(actionName=declared["ActionName"])
                with self.assertRaises(stack.iot.exceptions.ResourceNotFoundException):
                    stack.iot.describe_mitigation_action(actionName=declared["ActionName"])
                continue
            arn = answer["Data"]["ActionArn"]
            tags = {
                tag["Key"]: tag["Value"]
                for tag in stack.iot.list_tags_for_resource(resourceArn=arn)["tags"]
            }
            self.assertTrue(tags["mitigation-action-provider:owner"].startswith("adopted/"))

    def test_the_sender_sends_what_the_function_takes(self):
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

    def test_the_sender_says_when_the_bus_did_not_take_the_event(self):
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


def counted():
    """The names of the metrics that the function counts."""
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    block = re.search(r"enum Metric \{(.*?)\n\s*\}", source, re.DOTALL)[1]
    return set(re.findall(r"^\s+([A-Z]\w+)(?:,| =)", block, re.MULTILINE))


def metrics_of(alarm):
    """Each metric that an alarm looks at, with its dimensions."""
    for query in alarm.get("Metrics", [{"MetricStat": {"Metric": alarm}}]):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


class Alarms(unittest.TestCase):
    FUNCTION = {"FunctionName": {"Ref": "Function"}}
    # What each service publishes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/aws-services-cloudwatch-metrics.html
    PUBLISHED = {
        "AWS/SQS": {
            "ApproximateNumberOfMessagesVisible",
            "ApproximateAgeOfOldestMessage",
            "NumberOfMessagesSent",
        },
        "AWS/Lambda": {
            "Errors",
            "Throttles",
            "Duration",
            "AsyncEventsDropped",
            "DestinationDeliveryFailures",
        },
        "AWS/Events": {"InvocationsFailedToBeSentToDlq"},
        "AWS/SNS": {"NumberOfNotificationsFailedToRedriveToDlq"},
    }

    @staticmethod
    def alarms():
        return {
            name: alternatives(resource["Properties"])
            for name, resource in transformed()["Resources"].items()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }

    def test_each_looks_at_a_metric_that_there_is_and_at_this_deployment_alone(self):
        resources = transformed()["Resources"]
        for name, alarm in self.alarms().items():
            for metric in metrics_of(alarm):
                dimensions = {item["Name"]: item["Value"] for item in metric["Dimensions"]}
                namespace = metric["Namespace"]
                if namespace == "MitigationActionProvider":
                    # That each is counted when its time comes is in tests/contract/metrics.rs.
                    self.assertIn(metric["MetricName"], counted(), name)
                    self.assertLessEqual(dimensions.keys(), {"FunctionName", "Trigger"}, name)
                else:
                    self.assertIn(metric["MetricName"], self.PUBLISHED[namespace], name)
                match namespace:
                    case "MitigationActionProvider" | "AWS/Lambda":
                        self.assertEqual(dimensions["FunctionName"], {"Ref": "Function"}, name)
                    case "AWS/SQS":
                        queue, attribute = dimensions["QueueName"]["Fn::GetAtt"]
                        self.assertEqual(resources[queue]["Type"], "AWS::SQS::Queue", name)
                        self.assertEqual(attribute, "QueueName")
                    case "AWS/Events":
                        self.assertIn("RuleName", dimensions)
                    case "AWS/SNS":
                        self.assertEqual(
                            dimensions, {"TopicName": {"Fn::GetAtt": ["Topic", "TopicName"]}}
                        )
            self.assertEqual(alarm["TreatMissingData"], "notBreaching", name)

    def test_the_metric_of_the_rule_has_the_dimensions_of_its_bus(self):
        # Metrics of rules of the default bus have no EventBusName, and no bus in their ARNs.
        alarm = transformed()["Resources"]["EventsLostAlarm"]["Properties"]
        condition, default, other = alarm["Dimensions"]["Fn::If"]
        self.assertEqual(condition, "UsesDefaultBus")
        self.assertEqual([item["Name"] for item in default], ["RuleName"])
        self.assertEqual([item["Name"] for item in other], ["EventBusName", "RuleName"])
        arns = {"rule/a": default[0], "rule/bus/a": other[1]}
        for arn, item in arns.items():
            index, split = item["Value"]["Fn::Select"]
            self.assertEqual(split, {"Fn::Split": ["/", {"Fn::GetAtt": ["Rule", "Arn"]}]})
            self.assertEqual(
                f"arn:aws:events:eu-west-1:123456789012:{arn}".split("/")[int(index)], "a"
            )

    def test_everybody_told_of_an_alarm_is_told_of_its_end_and_one_alarm_does_not_page(self):
        for name, alarm in self.alarms().items():
            topic = "NoticeTopic" if name == "FailedResultsAlarm" else "AlarmTopic"
            self.assertEqual(alarm["AlarmActions"], [{"Ref": topic}], name)
            self.assertEqual(alarm["OKActions"], [{"Ref": topic}], name)

    def test_errors_that_are_their_callers_mistake_do_not_count(self):
        alarm = self.alarms()["ErrorsAlarm"]
        [expression] = [query for query in alarm["Metrics"] if "Expression" in query]
        ids = {
            query["Id"]: query["MetricStat"]["Metric"]
            for query in alarm["Metrics"]
            if "MetricStat" in query
        }
        self.assertEqual(
            expression["Expression"], "errors - FILL(direct, 0) - FILL(unrecognized, 0)"
        )
        self.assertEqual(ids["errors"]["MetricName"], "Errors")
        for trigger in ["direct", "unrecognized"]:
            self.assertEqual(ids[trigger]["MetricName"], "CallerMistakes")
            self.assertIn({"Name": "Trigger", "Value": trigger}, ids[trigger]["Dimensions"])

    def test_each_dead_letter_queue_has_one(self):
        resources = transformed()["Resources"]
        watched = {
            json.dumps(metric["Dimensions"][0]["Value"])
            for alarm in self.alarms().values()
            for metric in metrics_of(alarm)
            if metric["MetricName"] == "ApproximateNumberOfMessagesVisible"
        }
        for name in resources:
            if name.endswith("DeadLetters"):
                self.assertIn(json.dumps({"Fn::GetAtt": [name, "QueueName"]}), watched)

    def test_what_can_fail_without_a_dead_letter_has_one_too(self):
        watched = {
            metric["MetricName"] for alarm in self.alarms().values() for metric in metrics_of(alarm)
        }
        silent = {
            "AsyncEventsDropped",
            "DestinationDeliveryFailures",
            "InvocationsFailedToBeSentToDlq",
        }
        self.assertLessEqual(silent | {"NumberOfNotificationsFailedToRedriveToDlq"}, watched)
        subscription = transformed()["Resources"]["TopicSubscription"]["Properties"]
        self.assertIn("InvocationDeadLetters", json.dumps(subscription["RedrivePolicy"]))

    def test_a_failed_result_reaches_the_queue_whose_alarm_does_not_page(self):
        resources = transformed()["Resources"]
        _, boto = moto(self)
        events, sqs = boto("events"), boto("sqs")
        queue = sqs.create_queue(QueueName="failed")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        events.create_event_bus(Name="results")
        pattern = json.dumps(resources["FailedResultsRule"]["Properties"]["EventPattern"])
        events.put_rule(Name="rule", EventBusName="results", EventPattern=pattern)
        events.put_targets(
            Rule="rule", EventBusName="results", Targets=[{"Id": "queue", "Arn": arn}]
        )
        for name in ["event-result", "event-result-failed", "event-create"]:
            event = json.loads((ROOT / "events" / f"{name}.json").read_text())
            entry = {
                "EventBusName": "results",
                "Source": event["source"],
                "DetailType": event["detail-type"],
            }
            events.put_events(Entries=[entry | {"Detail": json.dumps(event["detail"])}])
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        self.assertEqual([json.loads(m["Body"])["detail"]["status"] for m in received], ["FAILED"])

    def test_dead_letters_fire_when_a_message_was_given_back_as_often_as_the_template_lets_it(self):
        resources = transformed()["Resources"]
        _, boto = moto(self)
        sqs = boto("sqs")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        most = resources["RequestQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": most})
        queue = sqs.create_queue(
            QueueName="requests", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"}
        )["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody="not a request")
        stack, received = Stack(self), 0
        while messages := sqs.receive_message(QueueUrl=queue, AttributeNames=["All"]).get(
            "Messages"
        ):
            received += 1
            [message] = messages
            record = {
                "messageId": message["MessageId"],
                "body": message["Body"],
                "eventSource": "aws:sqs",
            }
            failures = stack.invoke({"Records": [record]})["batchItemFailures"]
            self.assertEqual(failures, [{"itemIdentifier": message["MessageId"]}])
        self.assertEqual(received, most)
        visible = sqs.get_queue_attributes(
            QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        alarm = self.alarms()["RequestDeadLettersAlarm"]
        self.assertGreaterEqual(int(visible["ApproximateNumberOfMessages"]), alarm["Threshold"])
        self.assertEqual(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold")

    def test_each_description_leads_to_its_section_of_the_guide(self):
        guide = transformed()["Parameters"]["GuideUrl"]["Default"]
        anchors = anchors_of(ROOT / guide)
        for name, alarm in self.alarms().items():
            found = re.search(r"see \$\{GuideUrl\}#(\S+)$", alarm["AlarmDescription"]["Fn::Sub"])
            self.assertEqual(found[1], name.lower())
            self.assertIn(found[1], anchors)

    def test_the_guide_has_no_section_of_an_alarm_that_is_not_there(self):
        guide = (ROOT / "docs" / "operating.md").read_text()
        self.assertEqual(
            set(re.findall(r"^### (\w+Alarm)$", guide, re.MULTILINE)), self.alarms().keys()
        )

    def test_the_cost_of_the_alarms_is_counted(self):
        alarms = {
            n: a for n, a in self.alarms().items() if n != "NotificationsLostAlarm"
        }  # of the topic
        metrics = sum(len(list(metrics_of(alarm))) for alarm in alarms.values())
        guide = (ROOT / "docs" / "operating.md").read_text()
        self.assertIn(f"| {metrics} metrics of {len(alarms)} alarms | {metrics / 10:.2f} |", guide)

    def test_the_dashboard_shows_what_the_function_counts_and_its_picture_is_its_own(self):
        triggers = {"cloudformation", "sns", "eventbridge", "sqs", "direct"}
        for widget in render_dashboard.body()["widgets"]:
            for names, _ in render_dashboard.metrics(widget):
                if names[0] == "MitigationActionProvider":
                    self.assertIn(names[1], counted())
                    self.assertEqual(names[2:4], ["FunctionName", "${Function}"])
                    if "Trigger" in names:
                        triggers.discard(names[5])
        self.assertEqual(triggers, set())
        self.assertEqual((ROOT / "docs" / "dashboard.svg").read_text(), render_dashboard.picture())


def anchors_of(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Documents(unittest.TestCase):
    DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

    def test_every_answer_to_a_threat_is_held_by_what_is_named(self):
        table = (ROOT / "SECURITY.md").read_text().split("| Where it is held to that |")[1]
        tests = " ".join(path.read_text() for path in (ROOT / "tests").rglob("*.[rp][sy]"))
        template = (ROOT / "template.yaml").read_text()
        rows = [row.split("|")[3] for row in table.splitlines() if row.startswith("| ")]
        self.assertGreaterEqual(len(rows), 10)
        for row in rows:
            names = re.findall(r"`([^`]+)`", row)
            self.assertTrue(names, row)
            for name in names:
                held = (
                    re.search(rf"(fn|def) {name}\b", tests)
                    or f"\n  {name}:" in template
                    or (ROOT / name).is_file()
                )
                self.assertTrue(held, name)

    def test_every_file_and_section_that_a_document_links_to_is_there(self):
        for document in self.DOCUMENTS:
            for target, anchor in re.findall(
                r"\]\(((?!http)[^)#]*)(?:#([^)]*))?\)", document.read_text()
            ):
                path = document.parent / target if target else document
                self.assertTrue(path.exists(), f"{document.name} links to {target}")
                if anchor:
                    self.assertIn(
                        anchor, anchors_of(path), f"{document.name} links to {target}#{anchor}"
                    )

    def test_every_target_that_a_document_names_is_in_the_makefile(self):
        makefile = (ROOT / "Makefile").read_text()
        for document in self.DOCUMENTS:
            for target in re.findall(r"`make ([a-z-]+)", document.read_text()):
                self.assertRegex(makefile, rf"(?m)^{target}:", document.name)


class VerifyAws(unittest.TestCase):
    """The checks of `make verify-aws`, made against the stand-ins."""

    def verification(self):
        stack = Stack(self)
        role = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
        return stack, FunctionChecks(stack.iot, stack.invoke, stack.response_url, LOCATION, role)

    def test_each_holds_here_and_nothing_is_left(self):
        stack, verification = self.verification()
        verification.CHECKS = [*verification.CHECKS, verification.FILLING]
        rows = verification.all()
        failed = [row for row in rows if row[1].startswith("does not hold")]
        self.assertEqual(failed, [])
        self.assertEqual(len(rows), len(verification.CHECKS))
        measured = dict(rows)
        lag = r"^after a create \d+ ms, after tagging \d+ ms at most$"
        self.assertRegex(measured["how long tags take to be listed"], lag)
        errors = ["LimitExceededException", "ResourceAlreadyExistsException"]
        self.assertIn(measured[verification.FILLING[0]], errors)
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_what_does_not_hold_is_said_and_what_was_made_is_removed(self):
        stack, verification = self.verification()
        verification.invoke = lambda event: None  # a function that does nothing
        results = dict(verification.all())
        adopting = results["Adopt takes an identical action, and Delete keeps it"]
        self.assertTrue(adopting.startswith("does not hold"))
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_missing_credentials_are_said_in_a_line(self):
        environment = {name: v for name, v in ENVIRONMENT.items() if "KEY" not in name}
        environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        command = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "verify_aws"]
        command += ["--region", "eu-west-1", "--role", "arn:aws:iam::123456789012:role/a"]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Amissing: expected credentials of an AWS account .*\n\Z")


if __name__ == "__main__":
    unittest.main()
