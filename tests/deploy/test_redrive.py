"""tools/redrive: shows dead letters without their URLs, sends those it can, and deletes them."""

import json
import subprocess
import unittest
from types import SimpleNamespace

import deployer_calls
import test_policies
from evaluator import Call, denied
from recording import Recorder
from sam_template import transformed
from support import ENVIRONMENT, ROOT, TOOLS, moto

SECRET = "X-Amz-Signature=0123456789abcdef"


def sample(name):
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


class Redrive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        fixture = SimpleNamespace(addCleanup=cls.addClassCleanup)
        address, boto = moto(fixture)
        cls.boto = staticmethod(boto)
        cls.recorder = Recorder(fixture, address)
        cls.address = cls.recorder.url

    def setUp(self):
        self.sqs, stack = self.boto("sqs"), self.boto("cloudformation")
        self.stack = f"provider-{self.id().split('.')[-1].replace('_', '-')}"
        # The queues of the template with their logical ids; the tests need no more of it.
        queues = {
            name: {"Type": resource["Type"]}
            for name, resource in transformed()["Resources"].items()
            if resource["Type"] == "AWS::SQS::Queue"
        }
        stack.create_stack(StackName=self.stack, TemplateBody=json.dumps({"Resources": queues}))
        found = stack.describe_stack_resources(StackName=self.stack)["StackResources"]
        self.urls = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}

    def dead_letter(self, queue, body, **attributes):
        body = body if isinstance(body, str) else json.dumps(body)
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        }
        return self.sqs.send_message(
            QueueUrl=self.urls[queue], MessageBody=body, MessageAttributes=attributes
        )

    def invocation(self, payload, **error):
        """Returns what Lambda sends to an on-failure destination."""
        return {
            "version": "1.0",
            "requestContext": {"requestId": "lambda-request", "condition": "RetriesExhausted"},
            "requestPayload": payload,
            "responsePayload": error or None,
        }

    def redrive(self, *arguments):
        environment = {
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": self.address,
        }
        command = [
            TOOLS / "aws" / "bin" / "python",
            ROOT / "tools" / "redrive",
            self.stack,
            *arguments,
        ]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def bodies(self, queue):
        received = self.sqs.receive_message(
            QueueUrl=self.urls[queue], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [message["Body"] for message in received.get("Messages", [])]

    def test_it_shows_why_an_event_failed_and_changes_nothing(self):
        self.dead_letter("RuleDeadLetters", sample("event-create"), ERROR_CODE="NO_PERMISSIONS")
        for _ in range(2):
            code, [shown], said = self.redrive("events")
            self.assertEqual((code, said), (0, "1 shown, 1 left\n"))
            self.assertEqual(shown["ERROR_CODE"], "NO_PERMISSIONS")
            self.assertEqual(shown["log id"], sample("event-create")["id"])
            self.assertEqual(shown["actionName"], "device-quarantine")
        self.assertEqual(len(self.bodies("RuleDeadLetters")), 1)
        self.assertEqual(self.bodies("RequestQueue"), [])

    def test_it_sends_every_event_as_it_is_and_deletes_it(self):
        for number in range(23):
            self.dead_letter("RuleDeadLetters", sample("event-create") | {"id": f"event-{number}"})
        code, shown, said = self.redrive("events", "--send")
        self.assertEqual((code, len(shown), said), (0, 23, "23 sent, 0 left\n"))
        self.assertEqual(self.bodies("RuleDeadLetters"), [])
        for body in self.bodies("RequestQueue"):
            self.assertEqual(json.loads(body)["detail"], sample("event-create")["detail"])

    def test_it_sends_requests_and_keeps_other_messages(self):
        self.dead_letter("RequestDeadLetters", {"actionName": "a", "requestId": "mine"})
        self.dead_letter("RequestDeadLetters", {"actionName": "b"})
        for body in ["hello", "[]", "{}", '{"requestPayload": 1}']:
            self.dead_letter("RequestDeadLetters", body)
        code, shown, said = self.redrive("requests", "--send")
        self.assertEqual((code, len(shown)), (1, 6))
        self.assertEqual(said.count("it is not a request"), 4)
        sent = [json.loads(body)["actionName"] for body in self.bodies("RequestQueue")]
        self.assertEqual(sorted(sent), ["a", "b"])
        self.assertEqual(said.count("has no id of its own"), 1)

    def test_it_shows_the_id_that_the_log_has(self):
        plain = {"actionName": "a"}
        for queue, body, expected in [
            ("requests", sample("event-create"), sample("event-create")["id"]),
            ("requests", plain | {"requestId": "mine"}, "mine"),
            ("requests", {"RequestType": "Create", "RequestId": "stacks"}, "stacks"),
            ("requests", self.notification(plain), "notification"),
            ("requests", self.notification(plain | {"requestId": "mine"}), "mine"),
            ("invocations", self.invocation(plain), "lambda-request"),
            ("invocations", self.invocation(sample("event-create")), sample("event-create")["id"]),
        ]:
            logical_id = {"requests": "RequestDeadLetters", "invocations": "InvocationDeadLetters"}
            self.dead_letter(logical_id[queue], body)
            _, [shown], _ = self.redrive(queue)
            self.assertEqual(shown["log id"], expected)
            self.redrive(queue, "--delete")
        for body in plain, self.notification("hello"):
            sent = self.dead_letter("RequestDeadLetters", body)
            _, [shown], _ = self.redrive("requests")
            self.assertEqual(shown["log id"], sent["MessageId"])
            self.redrive("requests", "--delete")

    @staticmethod
    def notification(message):
        return {
            "Type": "Notification",
            "MessageId": "notification",
            "Message": json.dumps(message),
        }

    def test_a_stacks_request_is_shown_without_its_url_and_never_sent(self):
        request = sample("create-add-things-to-thing-group")
        request["ResponseURL"] = f"https://bucket.example/?{SECRET}"
        notification = {"Type": "Notification", "MessageId": "m", "Message": json.dumps(request)}
        for dead_letter in [
            self.invocation(request, errorType="UndeliverableResponse", errorMessage="refused"),
            self.invocation({"Records": [{"EventSource": "aws:sns", "Sns": notification}]}),
            notification,
        ]:
            self.dead_letter("InvocationDeadLetters", dead_letter)
        for arguments in [["invocations"], ["invocations", "--send"], ["invocations", "--delete"]]:
            code, shown, said = self.redrive(*arguments)
            self.assertNotIn(SECRET, json.dumps(shown) + said)
            self.assertEqual(code, int("--send" in arguments))
            self.assertEqual(len(shown), 3)
            for line in shown:
                self.assertEqual(line["StackId"], request["StackId"])
                self.assertEqual(line["LogicalResourceId"], request["LogicalResourceId"])
            self.assertIn("UndeliverableResponse", [line.get("errorType") for line in shown])
        self.assertEqual(self.bodies("RequestQueue"), [])
        self.assertEqual(self.bodies("InvocationDeadLetters"), [])

    def test_the_event_of_a_failed_invocation_is_sent_to_the_queue(self):
        self.dead_letter("InvocationDeadLetters", self.invocation(sample("event-create")))
        record = {"EventSource": "aws:sns", "Sns": {"Type": "Notification", "MessageId": "m"}}
        record["Sns"]["Message"] = json.dumps({"actionName": "a"})
        self.dead_letter("InvocationDeadLetters", self.invocation({"Records": [record]}))
        code, _, said = self.redrive("invocations", "--send")
        self.assertEqual((code, said), (0, "2 sent, 0 left\n"))
        sent = [json.loads(body) for body in self.bodies("RequestQueue")]
        self.assertCountEqual(sent, [sample("event-create"), record["Sns"]])

    def test_the_break_glass_role_allows_exactly_the_calls_of_the_tool(self):
        queues = {
            "requests": "RequestDeadLetters",
            "events": "RuleDeadLetters",
            "invocations": "InvocationDeadLetters",
        }
        del self.recorder.calls[:]
        for name, queue in queues.items():
            self.dead_letter(queue, sample("event-create"))
            for option in ([], ["--send"]):
                self.assertEqual(self.redrive(name, *option)[0], 0)
            self.dead_letter(queue, sample("event-create"))
            self.assertEqual(self.redrive(name, "--delete")[0], 0)
        made = {str(call): call for call in map(self.as_iam_sees, self.recorder.calls)}
        role = test_policies.BreakGlass
        self.assertEqual(denied(made.values(), identity=[role.policy]), [])
        self.assertEqual(made.keys(), {str(call) for call in role.of_redrive()})

    def as_iam_sees(self, call):
        """Returns the call with the names of the deployment in test_policies."""
        if call.service == "cloudformation":
            self.assertEqual(call.parameters["StackName"], self.stack)
            stack = deployer_calls.stack(test_policies.STACK)
            return Call(f"cloudformation:{call.operation}", stack)
        [queue] = [name for name, url in self.urls.items() if url == call.parameters["QueueUrl"]]
        return Call(f"sqs:{call.operation}", test_policies.FULL.arn(queue))

    def test_an_aws_error_is_reported_in_one_line(self):
        environment = {
            "AWS_ENDPOINT_URL": self.address,
        }
        command = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "redrive", "no", "events"]
        done = subprocess.run(
            command, env=ENVIRONMENT | environment, check=False, capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
