"""The guide's table of symptoms: each appears in the log, and the saved query finds it."""

import json
import re
import time
import unittest

from emulated import Logging, answering
from saved_queries import finds, query
from support import ROOT


class Symptoms(unittest.TestCase):
    """Each method before `CAUSES` causes the symptom of one row of the table, in its order."""

    def taken(self):
        function = Logging(self)
        function.stack("Create", "First", "taken")
        function.stack("Create", "Second", "taken")
        return function

    def taken_by_nobodys(self):
        function = Logging(self)
        function.plant("taken")
        function.stack("Create", "Second", "taken")
        return function

    def adopting_what_differs(self):
        function = Logging(self)
        function.plant("taken")
        params = {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}}
        properties = {"OnConflict": "Adopt", "ActionParams": params}
        function.stack("Create", "Second", "taken", properties=properties)
        return function

    def updating_anothers(self):
        function = Logging(self)
        function.stack("Create", "First", "taken")
        function.stack("Update", "Second", "taken", PhysicalResourceId="taken")
        return function

    def role_that_is_not_there(self):
        service = answering(self, 403, "AccessDeniedException")
        function = Logging(self, AWS_ENDPOINT_URL_IOT=service, ROLE_PROPAGATION_SECONDS="1")
        function.stack("Create", "Role", "role")
        return function

    def service_that_is_down(self):
        function = Logging(
            self, AWS_ENDPOINT_URL_IOT=answering(self, 500, "InternalFailureException")
        )
        function.stack("Create", "Down", "down", properties={"ServiceTimeout": "2"})
        return function

    def service_that_is_not_there(self):
        function = Logging(self, AWS_ENDPOINT_URL_IOT="http://127.0.0.1:1")
        function.stack("Create", "Refused", "refused", properties={"ServiceTimeout": "2"})
        return function

    def service_without_tls(self):
        plain = answering(self, 500, "InternalFailureException")
        function = Logging(self, AWS_ENDPOINT_URL_IOT=plain.replace("http:", "https:"))
        function.stack("Create", "Plain", "plain", properties={"ServiceTimeout": "2"})
        return function

    def late_request(self):
        function = Logging(self)
        arn = function.stack("Create", "Late", "late")["Data"]["ActionArn"]
        later = f"{int(time.time()) + 30}/0123456789ABCDEF/Update"
        tags = [{"Key": "mitigation-action-provider:claimed", "Value": later}]
        function.iot.tag_resource(resourceArn=arn, tags=tags)
        properties = {"Tags": [{"Key": "team", "Value": "iot"}]}
        function.stack("Update", "Late", "late", properties=properties, PhysicalResourceId="late")
        return function

    def stack_elsewhere(self):
        function = Logging(self)
        function.stack("Create", "Elsewhere", "elsewhere", region="us-east-1")
        return function

    def misspelt_property(self):
        function = Logging(self)
        function.stack("Create", "Misspelt", "misspelt", properties={"OnConflicts": "Adopt"})
        return function

    def owner_tag_taken_off(self):
        function = Logging(self)
        arn = function.stack("Create", "Tag", "tag")["Data"]["ActionArn"]
        function.iot.untag_resource(resourceArn=arn, tagKeys=["mitigation-action-provider:owner"])
        function.stack("Update", "Tag", "tag", PhysicalResourceId="tag")
        return function

    def action_deleted_by_hand(self):
        function = Logging(self)
        function.stack("Create", "Gone", "gone")
        function.iot.delete_mitigation_action(actionName="gone")
        function.stack("Update", "Gone", "gone", PhysicalResourceId="gone")
        return function

    def made_up_request(self):
        function = Logging(self)
        function.stack("Create", "Made", "made", url="https://example.com/")
        return function

    def request_hours_late(self):
        function = Logging(self)
        url = f"{function.aws}/response/late?X-Amz-Date=20200101T000000Z&X-Amz-Expires=7200"
        function.stack("Create", "Late", "late", url=url)
        return function

    def response_refused(self):
        function = Logging(self)
        function.stack("Create", "Refused", "refused", url=answering(self, 403, "AccessDenied"))
        return function

    def result_bus_gone(self):
        bus = answering(self, 400, "ResourceNotFoundException")
        function = Logging(self, AWS_ENDPOINT_URL_EVENTBRIDGE=bus, RESULT_EVENT_BUS="results")
        function.invoke(json.loads((ROOT / "events" / "event-create.json").read_text()))
        return function

    def message_that_is_no_request(self):
        function = Logging(self)
        record = {"messageId": "a-message", "body": "hello", "eventSource": "aws:sqs"}
        function.invoke({"Records": [record]})
        return function

    def stacks_request_in_a_queue(self):
        function = Logging(self)
        body = (ROOT / "events" / "delete.json").read_text()
        record = {"messageId": "a-message", "body": body, "eventSource": "aws:sqs"}
        function.invoke({"Records": [record]})
        return function

    def message_behind_a_failed_one(self):
        function = Logging(self)
        body = json.dumps({"operation": "UpdateMitigationAction", "actionName": "gone"})
        record = {"messageId": "a-message", "body": body, "eventSource": "aws:sqs"}
        function.invoke({"Records": [record, {**record, "messageId": "another"}]})
        return function

    def bad_setting(self):
        function = Logging(self, ROLE_PROPAGATION_SECONDS="soon")
        function.stack("Create", "Setting", "setting")
        return function

    CAUSES = [
        taken,
        taken_by_nobodys,
        adopting_what_differs,
        updating_anothers,
        role_that_is_not_there,
        service_that_is_down,
        service_that_is_not_there,
        service_without_tls,
        late_request,
        stack_elsewhere,
        misspelt_property,
        owner_tag_taken_off,
        action_deleted_by_hand,
        made_up_request,
        request_hours_late,
        response_refused,
        result_bus_gone,
        message_that_is_no_request,
        stacks_request_in_a_queue,
        message_behind_a_failed_one,
        bad_setting,
    ]

    @classmethod
    def lines_of_each(cls, test):
        return [cause(test).lines() for cause in cls.CAUSES]

    def test_each_is_in_the_guide_and_the_saved_query_finds_it(self):
        guide = (ROOT / "docs" / "operating.md").read_text()
        table = guide.split("## Symptoms")[1].split("\n## ")[0]
        symptoms = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
        self.assertEqual(len(symptoms), len(self.CAUSES))
        for symptom, lines in zip(symptoms, self.lines_of_each(self), strict=True):
            with self.subTest(symptom=symptom):
                pattern = ".*".join(re.escape(part.strip()) for part in symptom.split("…"))
                found = [json.dumps(line) for line in lines if finds(query("FailuresQuery"), line)]
                found = "\n".join(found).replace('\\"', '"')
                self.assertRegex(found, re.compile(pattern, re.DOTALL))

    def test_a_successful_request_is_not_found_at_any_level(self):
        for level in "INFO", "WARN", "ERROR":
            with self.subTest(level=level):
                function = Logging(
                    self, AWS_LAMBDA_LOG_LEVEL=level, AWS_LAMBDA_FUNCTION_NAME="provider"
                )
                function.stack("Create", "Quarantine", "fleet-quarantine")
                lines = function.lines()
                self.assertTrue(lines)
                found = [line for line in lines if finds(query("FailuresQuery"), line)]
                self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main()
