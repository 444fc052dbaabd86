"""The alarms and the dashboard: their metrics exist, and the guide describes each."""

import json
import re
import unittest

from emulated import Stack
from sam_template import alternatives, transformed
from support import ROOT, anchors, moto  # tools/ is on the path by it

import render_dashboard


def counted():
    """Returns the names of the metrics that the function emits."""
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    block = re.search(r"enum Metric \{(.*?)\n\s*\}", source, re.DOTALL)[1]
    return {"Duration", *re.findall(r' = "(\w+)",', block)}


def served():
    """Returns the names of the triggers that the function serves."""
    source = (ROOT / "src" / "trigger.rs").read_text()
    block = re.search(r"enum TriggerName \{(.*?)\n\s*\}", source, re.DOTALL)[1]
    return set(re.findall(r' = "(\w+)"', block)) - {"unrecognized"}


def metrics_of(alarm):
    """Yields each metric that an alarm watches, with its dimensions."""
    for query in alarm.get("Metrics", [{"MetricStat": {"Metric": alarm}}]):
        if "MetricStat" in query:
            yield query["MetricStat"]["Metric"]


class Alarms(unittest.TestCase):
    # From "AWS services that publish CloudWatch metrics" in the Amazon CloudWatch User Guide.
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

    def test_each_watches_an_existing_metric_of_this_deployment_only(self):
        resources = transformed()["Resources"]
        for name, alarm in self.alarms().items():
            for metric in metrics_of(alarm):
                dimensions = {item["Name"]: item["Value"] for item in metric["Dimensions"]}
                namespace = metric["Namespace"]
                if namespace == "MitigationActionProvider":
                    # tests/contract/metrics.rs checks when the function emits each.
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
        # For a rule of the default bus, the metric has no EventBusName, and the ARN has no bus.
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

    def test_every_alarm_notifies_at_its_start_and_end_and_one_does_not_page(self):
        for name, alarm in self.alarms().items():
            topic = "NoticeTopic" if name == "FailedResultsAlarm" else "AlarmTopic"
            self.assertEqual(alarm["AlarmActions"], [{"Ref": topic}], name)
            self.assertEqual(alarm["OKActions"], [{"Ref": topic}], name)

    def test_errors_that_are_callers_mistakes_do_not_count(self):
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

    def test_failures_without_a_dead_letter_have_one_too(self):
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

    def test_the_dead_letter_alarm_fires_after_the_maximum_receive_count(self):
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

    def test_each_description_links_to_its_section_of_the_guide(self):
        guide = transformed()["Parameters"]["GuideUrl"]["Default"]
        headings = anchors((ROOT / guide).read_text())
        for name, alarm in self.alarms().items():
            found = re.search(r"\. See \$\{GuideUrl\}#(\S+)$", alarm["AlarmDescription"]["Fn::Sub"])
            self.assertEqual(found[1], name.lower())
            self.assertIn(found[1], headings)

    def test_the_guide_has_a_section_for_exactly_these_alarms(self):
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

    def test_the_dashboard_shows_the_functions_metrics_and_its_picture_is_current(self):
        shown = set()
        for widget in render_dashboard.body()["widgets"]:
            for names, _ in render_dashboard.metrics(widget):
                if names[0] == "MitigationActionProvider":
                    self.assertIn(names[1], counted())
                    self.assertEqual(names[2:4], ["FunctionName", "${Function}"])
                    if "Trigger" in names:
                        shown.add(names[5])
        self.assertGreaterEqual(len(shown), 5)
        self.assertEqual(shown, served())
        self.assertEqual((ROOT / "docs" / "dashboard.svg").read_text(), render_dashboard.picture())


if __name__ == "__main__":
    unittest.main()
