"""The differences between MiniStack and AWS that tools/local_aws.py lists."""

import unittest

from botocore.exceptions import ClientError

from ministack import DEACTIVATE, ROLE, Queue, Stack, action, aws, log, provider_stack, stack_of
from support import local_aws


def setUpModule():
    aws()


class Template(unittest.TestCase):
    def test_only_what_ministack_needs_is_changed(self):
        original = local_aws.load("template.yaml")
        changed = local_aws.template("http://127.0.0.1:1", "http://127.0.0.1:2")
        for name, resource in list(original["Resources"].items()):
            if local_aws.is_refused(resource):
                del original["Resources"][name]
        for template in [original, changed]:
            function = template["Resources"]["Function"]
            function["Metadata"].pop("BuildMethod", None)
            del function["Properties"]["CodeUri"]
            variables = function["Properties"]["Environment"]["Variables"]
            del variables["AWS_ENDPOINT_URL_IOT"], variables["AWS_ENDPOINT_URL_EVENTBRIDGE"]
        self.assertEqual(changed, original)


class DifferencesFromAws(unittest.TestCase):
    """When one of these tests fails, remove the difference from the list."""

    def refused(self, name, resource):
        stack = Stack(self, name)
        try:
            return stack.create(stack_of(Refused=resource)) != "CREATE_COMPLETE"
        except ClientError:  # before anything is created
            return True

    def test_a_saved_query_is_rejected(self):
        query = {"Name": "saved-query", "QueryString": "fields @message"}
        resource = {"Type": "AWS::Logs::QueryDefinition", "Properties": query}
        self.assertTrue(self.refused("saved-query", resource))

    def test_the_native_type_is_rejected(self):
        properties = {"ActionName": "native", "RoleArn": ROLE, "ActionParams": DEACTIVATE}
        resource = {"Type": "AWS::IoT::MitigationAction", "Properties": properties}
        self.assertTrue(self.refused("native", resource))

    def test_a_topic_is_rejected_as_service_token(self):
        topic = {"ServiceToken": aws().outputs()["TopicServiceToken"]}
        self.assertTrue(self.refused("topic-token", action("topic-token", **topic)))

    def test_no_delete_follows_a_failed_create(self):
        stack = Stack(self, "failed-create")
        bad = stack_of(FailsAndIsNotDeleted=action("not legal"))
        self.assertEqual(stack.create(bad), "ROLLBACK_COMPLETE")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        lines = [line for line in log() if "FailsAndIsNotDeleted" in line]
        self.assertEqual(len(lines), 1, lines)

    def test_the_dead_letters_of_a_rule_stay_empty(self):
        found = provider_stack(self, "provider-of-lost-events").outputs()
        sqs = aws().client("sqs")
        sqs.delete_queue(QueueUrl=found["RequestQueueUrl"])
        entry = {"EventBusName": found["RequestBusName"], "Source": "com.example.fleet"}
        entry |= {"DetailType": "Mitigation Action Requested", "Detail": "{}"}
        aws().client("events").put_events(Entries=[entry])
        received = sqs.receive_message(QueueUrl=Queue(found["RuleDeadLettersArn"]).url)
        self.assertNotIn("Messages", received)


if __name__ == "__main__":
    unittest.main()
