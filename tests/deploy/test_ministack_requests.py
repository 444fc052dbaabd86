"""The other triggers on MiniStack: events, messages and direct invocations, their dead-letter
queues, and the alarms."""

import json
import unittest
import uuid

from ministack import (
    DEACTIVATE,
    OWNER,
    ROLE,
    Queue,
    Stack,
    action,
    arn,
    aws,
    described,
    log,
    provider_stack,
    stack_of,
    wait_until,
)
from support import ROOT, get, local_aws, run


def setUpModule():
    aws()


class Events(unittest.TestCase):
    def send(self, detail, source="com.example.fleet"):
        entry = {
            "EventBusName": aws().outputs()["RequestBusName"],
            "Source": source,
            "DetailType": "Mitigation Action Requested",
            "Detail": json.dumps(detail),
        }
        [entry] = aws().client("events").put_events(Entries=[entry])["Entries"]
        return entry["EventId"]

    def result(self, request_id):
        queue = Queue(f"arn:aws:sqs:{local_aws.REGION}:{local_aws.ACCOUNT}:{local_aws.RESULTS}")
        matches = lambda body: json.loads(body)["detail"]["requestId"] == request_id
        return json.loads(queue.receive(matches))

    def delete_later(self, name):
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName=name)

    def request(self, name, **members):
        params = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
        return {"actionName": name, "roleArn": ROLE, "actionParams": params, **members}

    def test_the_result_event_has_the_arn_and_the_id_of_its_request(self):
        self.delete_later("event-made")
        result = self.result(self.send(self.request("event-made")))
        self.assertEqual(result["detail-type"], "Mitigation Action Request Succeeded")
        self.assertEqual(result["resources"], [arn("event-made")])
        detail = result["detail"]
        self.assertEqual(detail["actionArn"], arn("event-made"))
        self.assertEqual((detail["status"], detail["outcome"]), ("SUCCEEDED", "CREATED"))
        self.assertEqual(detail["requestSource"], "com.example.fleet")

    def test_a_permanent_failure_is_published_and_is_not_a_dead_letter(self):
        result = self.result(self.send(self.request("not legal")))
        self.assertEqual(result["detail-type"], "Mitigation Action Request Failed")
        error = result["detail"]["error"]
        self.assertEqual((error["code"], error["retryable"]), ("InvalidRequestException", False))

    def test_the_rule_does_not_match_the_providers_own_events(self):
        # A rule keeps the order of the events, so the second result would come after the first.
        self.delete_later("event-second")
        own = self.send(self.request("event-own"), source="mitigation-action-provider")
        self.result(self.send(self.request("event-second")))
        self.assertIsNone(described("event-own"), own)

    def test_a_plain_message_on_the_queue_is_executed(self):
        self.delete_later("message-made")
        sqs = aws().client("sqs")
        body = json.dumps(self.request("message-made"))
        sent = sqs.send_message(QueueUrl=aws().outputs()["RequestQueueUrl"], MessageBody=body)
        detail = self.result(sent["MessageId"])["detail"]
        self.assertEqual((detail["outcome"], detail["requestSource"]), ("CREATED", "aws:sqs"))

    def test_the_sender_of_the_examples_sends_what_the_provider_accepts(self):
        self.delete_later("device-quarantine")
        sender = [ROOT / "examples" / "send-event.sh", aws().outputs()["RequestBusName"]]
        event_id = run(sender, aws().environment()).strip()
        self.assertEqual(self.result(event_id)["detail"]["outcome"], "CREATED")

    def test_a_stacks_request_through_the_topic_gets_a_response(self):
        self.delete_later("topic-made")
        key = str(uuid.uuid4())
        url = f"{aws().iot_url}/response/{key}"
        request = {
            "RequestType": "Create",
            "ResponseURL": url,
            "StackId": f"arn:aws:cloudformation:{local_aws.REGION}:{local_aws.ACCOUNT}:stack/t/1",
            "RequestId": key,
            "LogicalResourceId": "Made",
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": {
                "ServiceToken": aws().outputs()["TopicServiceToken"],
                "ActionName": "topic-made",
                "RoleArn": ROLE,
                "ActionParams": DEACTIVATE,
            },
        }
        topic = aws().outputs()["TopicServiceToken"]
        aws().client("sns").publish(TopicArn=topic, Message=json.dumps(request))

        def response():
            try:
                return get(url)
            except OSError:  # not received yet
                return None

        self.assertEqual(wait_until(response, "the response")["Status"], "SUCCESS")
        self.assertIsNotNone(described("topic-made"))


class Calls(unittest.TestCase):
    def invoke(self, payload):
        options = {"FunctionName": aws().outputs()["ServiceToken"], "Payload": json.dumps(payload)}
        returned = aws().client("lambda").invoke(**options)
        return returned.get("FunctionError"), json.load(returned["Payload"])

    def test_the_samples_of_direct_invocations_are_executed(self):
        for name, expected in [
            ("direct-create", "CREATED"),
            ("direct-update", "UPDATED"),
            ("direct-describe", "DESCRIBED"),
            ("direct-delete", "DELETED"),
        ]:
            event = json.loads((ROOT / "events" / f"{name}.json").read_text())
            self.assertEqual(self.invoke(event)[1].get("outcome"), expected, name)

    def test_an_unrecognized_payload_is_a_function_error(self):
        for payload in [
            local_aws.load("examples/all-kinds.yaml"),
            action("bare")["Properties"],
            {"ActionName": "pascal", "RoleArn": ROLE, "Operation": "CreateMitigationAction"},
            {"Source": "s", "DetailType": "Mitigation Action Requested", "Detail": "{}"},
        ]:
            error, returned = self.invoke(payload)
            self.assertEqual((error, returned["errorType"]), ("Unhandled", "UnrecognizedEvent"))


class DeadLetters(unittest.TestCase):
    """Each test has a provider of its own, so that no other test uses its queues."""

    def test_an_unrecognized_message_reaches_the_dead_letter_queue(self):
        found = provider_stack(self, "provider-of-dead-requests").outputs()
        sqs = aws().client("sqs")
        # The template's visibility timeout is six minutes.
        attributes = {"VisibilityTimeout": "0"}
        sqs.set_queue_attributes(QueueUrl=found["RequestQueueUrl"], Attributes=attributes)
        sqs.send_message(QueueUrl=found["RequestQueueUrl"], MessageBody="not a request")
        self.assertEqual(Queue(found["RequestDeadLettersArn"]).receive(), "not a request")

    def test_an_invocation_that_fails_three_times_reaches_its_dead_letter_queue(self):
        found = provider_stack(self, "provider-of-dead-invocations").outputs()
        options = {"FunctionName": found["ServiceToken"], "InvocationType": "Event"}
        aws().client("lambda").invoke(Payload=json.dumps({"not": "a request"}), **options)
        dead_letter = json.loads(Queue(found["InvocationDeadLettersArn"]).receive())
        self.assertEqual(dead_letter["requestPayload"], {"not": "a request"})
        self.assertEqual(dead_letter["requestContext"]["approximateInvokeCount"], 3)
        self.assertEqual(dead_letter["responsePayload"]["errorType"], "UnrecognizedEvent")


class Alarms(unittest.TestCase):
    def alarms(self, namespace):
        pages = aws().client("cloudwatch").get_paginator("describe_alarms").paginate()
        return [
            alarm
            for page in pages
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"].startswith(f"{local_aws.STACK}-")
            and alarm["Namespace"] == namespace
        ]

    @staticmethod
    def dimensions(alarm):
        return {item["Name"]: item["Value"] for item in alarm.get("Dimensions", [])}

    def embedded_metrics(self):
        """Returns the metrics in the log, each as (namespace, name, dimensions)."""
        for message in log():
            line = json.loads(message) if message.startswith("{") else {}
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                for names in directive["Dimensions"]:
                    dimensions = {name: line[name] for name in names}
                    for metric in directive["Metrics"]:
                        yield directive["Namespace"], metric["Name"], dimensions

    def test_the_alarm_on_skipped_deletes_watches_the_functions_metric(self):
        stack = Stack(self, "skipped-delete")
        stack.create(stack_of(Made=action("skipped-delete")))
        iot = aws().client("iot")
        self.addCleanup(iot.delete_mitigation_action, actionName="skipped-delete")
        iot.untag_resource(resourceArn=arn("skipped-delete"), tagKeys=[OWNER])
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("skipped-delete"))
        [alarm] = [
            alarm
            for alarm in self.alarms("MitigationActionProvider")
            if alarm["MetricName"] == "DeletesSkipped"
        ]
        expected = (alarm["Namespace"], alarm["MetricName"], self.dimensions(alarm))
        self.assertIn(expected, list(self.embedded_metrics()))

    def test_the_alarms_on_the_function_watch_the_metrics_of_the_deployed_function(self):
        options = {"FunctionName": aws().outputs()["ServiceToken"], "Payload": "{}"}
        aws().client("lambda").invoke(**options)
        listed = aws().client("cloudwatch").list_metrics(Namespace="AWS/Lambda")["Metrics"]
        known = [(metric["MetricName"], self.dimensions(metric)) for metric in listed]
        function = {"FunctionName": aws().outputs()["FunctionName"]}
        # MiniStack does not emit the metrics of asynchronous invocations.
        known += [("AsyncEventsDropped", function), ("DestinationDeliveryFailures", function)]
        alarms = self.alarms("AWS/Lambda")
        self.assertGreaterEqual(len(alarms), 3)
        for alarm in alarms:
            self.assertIn((alarm["MetricName"], self.dimensions(alarm)), known)

    def test_the_alarms_on_queues_watch_existing_queues(self):
        alarms = self.alarms("AWS/SQS")
        self.assertGreaterEqual(len(alarms), 4)
        for alarm in alarms:
            aws().client("sqs").get_queue_url(**self.dimensions(alarm))


if __name__ == "__main__":
    unittest.main()
