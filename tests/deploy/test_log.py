"""The log: what passes Lambda's filter, and what the saved queries and the guide find in it."""

import json
import re
import tempfile
import threading
import unittest
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

from support import ROOT, emulator, stand_ins
from test_template import transformed

LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
ROLE = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
DEVICE = {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}


class Answering(BaseHTTPRequestHandler):
    """Answers each request with the server's `status` and `error`, whatever it asks for."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.server.status)
        body = json.dumps({"__type": self.server.error, "message": "no"}).encode()
        self.send_header("x-amzn-errortype", self.server.error)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

    def log_message(self, *_):
        pass


def answering(test, status, error):
    """The address of a service that answers so."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.status, server.error = status, error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


class Logging:
    """The package under the emulator, with what it prints."""

    def __init__(self, test, **variables):
        self.port = stand_ins(test)
        self.aws = f"http://127.0.0.1:{self.port}"
        self.output = tempfile.NamedTemporaryFile("r", suffix=".log")
        test.addCleanup(self.output.close)
        settings = {
            "AWS_ENDPOINT_URL": self.aws,
            "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
            "ROLE_PROPAGATION_SECONDS": "0",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
        with open(self.output.name, "w") as output:
            self.emulated = emulator(test, settings | variables, stdout=output)
        options = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        self.iot = boto3.client("iot", endpoint_url=self.aws, **options)

    def invoke(self, event):
        return self.emulated(json.dumps(event))

    def stack(self, kind, logical_id, name, url=None, region="eu-west-1", **more):
        """Plays a request as CloudFormation does."""
        properties = {"ActionName": name, "RoleArn": ROLE, "ActionParams": DEVICE}
        event = {
            "RequestType": kind,
            "ResponseURL": url or f"{self.aws}/response/{kind}",
            "StackId": f"arn:aws:cloudformation:{region}:123456789012:stack/fleet/0a1b",
            "RequestId": f"{kind}-{logical_id}",
            "LogicalResourceId": logical_id,
            "ResourceProperties": properties | more.pop("properties", {}),
        }
        return self.invoke(event | more)

    def plant(self, name, action="DEACTIVATE"):
        params = {"updateDeviceCertificateParams": {"action": action}}
        return self.iot.create_mitigation_action(actionName=name, roleArn=ROLE, actionParams=params)

    def lines(self):
        """What it has printed so far, but for the emulator's own lines."""
        self.output.seek(0)
        parsed = [json.loads(line) for line in self.output if line.startswith("{")]
        return [line for line in parsed if "level" in line or "_aws" in line]


def passes(line, minimum):
    """Whether Lambda's filter lets an application's line through, as its documentation says:
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html"""
    level, timestamp = line.get("level"), line.get("timestamp", "")
    try:
        datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        level = None
    if level not in LEVELS:
        level = "INFO"
    return LEVELS.index(level) >= LEVELS.index(minimum)


def query(name):
    return transformed()["Resources"][name]["Properties"]["QueryString"]


def finds(text, line):
    """Whether the `filter` of a query takes a line: an `or` of the three forms that there are."""
    for term in re.fullmatch(r"filter (.*?)\n\|.*", text.strip(), re.DOTALL)[1].split(" or "):
        if present := re.fullmatch(r"ispresent\((\w+)\)", term.strip()):
            taken = present[1] in line
        elif equal := re.fullmatch(r'(\w+) = "(.*)"', term.strip()):
            taken = line.get(equal[1]) == equal[2]
        else:
            field, values = re.fullmatch(r"(\w+) in (\[.*\])", term.strip()).groups()
            taken = line.get(field) in json.loads(values)
        if taken:
            return True
    return False


class Levels(unittest.TestCase):
    def test_the_metrics_pass_the_filter_at_every_level_that_the_template_offers(self):
        for level in transformed()["Parameters"]["LogLevel"]["AllowedValues"]:
            with self.subTest(level=level):
                function = Logging(self, AWS_LAMBDA_LOG_LEVEL=level, AWS_LAMBDA_FUNCTION_NAME="a")
                function.stack("Create", "Level", "level")
                [metrics] = [line for line in function.lines() if "Requests" in line]
                self.assertTrue(passes(metrics, level), metrics)
                for directive in metrics["_aws"]["CloudWatchMetrics"]:
                    self.assertEqual(
                        directive["Dimensions"], [["FunctionName"], ["FunctionName", "Trigger"]]
                    )
                self.assertEqual(metrics["FunctionName"], "a")


class Platform(unittest.TestCase):
    # As Lambda's documentation has it.
    REPORT = {
        "time": "2026-11-22T10:00:00.000Z",
        "type": "platform.report",
        "record": {
            "requestId": "6d67e385-053d-4622-a56f-b25bcef23083",
            "metrics": {
                "durationMs": 48.2,
                "billedDurationMs": 49,
                "memorySizeMB": 128,
                "maxMemoryUsedMB": 17,
                "initDurationMs": 21.4,
            },
            "status": "success",
        },
    }

    def test_reports_are_logged_and_the_saved_query_reads_them(self):
        resources = transformed()["Resources"]
        logging = resources["Function"]["Properties"]["LoggingConfig"]
        self.assertEqual((logging["SystemLogLevel"], logging["LogFormat"]), ("INFO", "JSON"))
        self.assertTrue(finds(query("InvocationsQuery"), self.REPORT))
        metrics = set(re.findall(r"record\.metrics\.(\w+)", query("InvocationsQuery")))
        self.assertLessEqual({"initDurationMs", "maxMemoryUsedMB", "durationMs"}, metrics)
        self.assertLessEqual(metrics, self.REPORT["record"]["metrics"].keys())


class Mistakes(unittest.TestCase):
    def test_those_that_are_function_errors_are_counted_by_the_triggers_that_the_alarm_names(self):
        function = Logging(self, RESULT_EVENT_BUS="results", AWS_LAMBDA_FUNCTION_NAME="a")
        invalid = {"actionName": "not legal", "roleArn": ROLE, "actionParams": {}}
        event = json.loads((ROOT / "events" / "event-invalid.json").read_text())
        for mistake in [invalid, {"hello": "world"}, event]:
            function.invoke(mistake)
        function.stack("Create", "Invalid", "not legal")
        errors = [line["trigger"] for line in function.lines() if "error_type" in line]
        counted = [line for line in function.lines() if "_aws" in line and "CallerMistakes" in line]
        self.assertEqual(len(counted), 4)
        alarm = transformed()["Resources"]["ErrorsAlarm"]["Properties"]["Metrics"]
        subtracted = set(re.findall(r'"Trigger", "Value": "(\w+)"', json.dumps(alarm)))
        self.assertEqual(set(errors), subtracted)
        self.assertLessEqual(subtracted, {line["Trigger"] for line in counted})


class Queries(unittest.TestCase):
    QUERIES = [name for name in transformed()["Resources"] if name.endswith("Query")]

    def test_the_guide_names_each_and_no_other(self):
        guide = " ".join((ROOT / "docs" / "operating.md").read_text().split())
        saved = {self.title(name) for name in self.QUERIES}
        self.assertEqual(len(saved), 6)
        listed = guide.split("queries saved under the stack's name: ")[1].split(". ")[0]
        self.assertEqual(set(re.findall(r"\*([^*]+)\*", listed)), saved)

    @staticmethod
    def title(name):
        return transformed()["Resources"][name]["Properties"]["Name"]["Fn::Sub"].split("/")[1]

    def test_each_finds_its_lines_by_fields_that_lines_have(self):
        function = Logging(self)
        function.stack("Create", "Quarantine", "fleet-quarantine")
        function.stack("Create", "Other", "fleet-quarantine")
        function.stack("Create", "Elsewhere", "elsewhere", url="https://example.com/")
        function.iot.delete_mitigation_action(actionName="fleet-quarantine")
        function.stack(
            "Update", "Quarantine", "fleet-quarantine", PhysicalResourceId="fleet-quarantine"
        )
        lines = [line for line in function.lines() if "_aws" not in line]
        fields = {field for line in lines for field in line} | {"xray_trace_id"}
        given = {"LOGICAL-ID-OR-NAME": "Quarantine", "REQUEST-ID": "Create-Quarantine"}
        for name in self.QUERIES:
            if name == "InvocationsQuery":  # reads Lambda's own lines
                continue
            text = query(name)
            for placeholder, value in given.items():
                text = text.replace(f"REPLACE-WITH-{placeholder}", value)
            self.assertTrue(any(finds(text, line) for line in lines), name)
            for clause in re.findall(r"^\| fields (.*?)(?=\n\|)", text, re.MULTILINE | re.DOTALL):
                plain = re.sub(r'"[^"]*"', "", clause)
                plain = re.sub(r"\bas \w+", "", plain)
                used = set(re.findall(r"@?\b[a-z_]+\b(?!\()", plain)) - {"timestamp"}
                self.assertLessEqual(used - {"@timestamp"}, fields, name)


class Lines(unittest.TestCase):
    OUTCOME = [
        "trigger",
        "operation",
        "subject",
        "id",
        "outcome",
        "calls",
        "throttles",
        "milliseconds",
    ]

    def test_each_outcome_is_one_line_with_all_that_the_guide_says(self):
        function = Logging(self)
        function.stack("Create", "Quarantine", "fleet-quarantine")
        function.stack("Create", "Other", "fleet-quarantine")
        made, failed = [line for line in function.lines() if "outcome" in line]
        for line in made, failed:
            for field in [*self.OUTCOME, "request_id"]:
                self.assertIn(field, line)
        self.assertEqual((made["action"], made["id"]), ("fleet-quarantine", "Create-Quarantine"))
        self.assertIn("ResourceAlreadyExistsException", failed["reason"])

    def test_every_line_about_a_request_has_its_id(self):
        for lines in Symptoms.lines_of_each(self):
            for line in lines:
                # Lines of libraries do not know it, nor does one before the first request.
                if line.get("target", "").startswith("mitigation_action_provider"):
                    self.assertTrue(line.get("id"), line)


class Symptoms(unittest.TestCase):
    """Each row of the guide's table of symptoms: what causes it, and the lines that come of it."""

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
        stack_elsewhere,
        misspelt_property,
        owner_tag_taken_off,
        action_deleted_by_hand,
        made_up_request,
        request_hours_late,
        response_refused,
        result_bus_gone,
        message_that_is_no_request,
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

    def test_a_request_without_trouble_is_not_found(self):
        function = Logging(self)
        function.stack("Create", "Quarantine", "fleet-quarantine")
        self.assertEqual(
            [line for line in function.lines() if finds(query("FailuresQuery"), line)], []
        )


if __name__ == "__main__":
    unittest.main()
