"""The log: Lambda's level filter, the saved queries, and the fields that the guide describes."""

import json
import re
import unittest
from datetime import datetime

import test_symptoms
from emulated import ROLE, Logging
from sam_template import transformed
from saved_queries import finds, query
from support import ROOT

LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]


def passes(line, minimum):
    """Returns whether a line of the application passes Lambda's log-level filter. See
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html"""
    level, timestamp = line.get("level"), line.get("timestamp", "")
    try:
        datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    except ValueError:
        level = None
    if level not in LEVELS:
        level = "INFO"
    return LEVELS.index(level) >= LEVELS.index(minimum)


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
    # From the Lambda Developer Guide.
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
    def test_mistakes_that_are_function_errors_count_under_the_triggers_of_the_alarm(self):
        function = Logging(self, RESULT_EVENT_BUS="results", AWS_LAMBDA_FUNCTION_NAME="a")
        invalid = {"actionName": "not legal", "roleArn": ROLE, "actionParams": {}}
        event = json.loads((ROOT / "events" / "event-invalid.json").read_text())
        errors = []
        for mistake in [invalid, {"hello": "world"}, event]:
            if "errorType" in function.invoke(mistake):
                metrics = [line for line in function.lines() if "_aws" in line]
                errors.append(metrics[-1]["Trigger"])
        function.stack("Create", "Invalid", "not legal")
        counted = [line for line in function.lines() if "_aws" in line and "CallerMistakes" in line]
        self.assertEqual(len(counted), 4)
        alarm = transformed()["Resources"]["ErrorsAlarm"]["Properties"]["Metrics"]
        subtracted = set(re.findall(r'"Trigger", "Value": "(\w+)"', json.dumps(alarm)))
        self.assertEqual(set(errors), subtracted)
        self.assertLessEqual(subtracted, {line["Trigger"] for line in counted})


class Queries(unittest.TestCase):
    QUERIES = [name for name in transformed()["Resources"] if name.endswith("Query")]

    def test_the_guide_lists_exactly_the_saved_queries(self):
        guide = " ".join((ROOT / "docs" / "operating.md").read_text().split())
        saved = {self.title(name) for name in self.QUERIES}
        self.assertEqual(len(saved), 6)
        listed = guide.split("queries saved under the stack's name: ")[1].split(". ")[0]
        self.assertEqual(set(re.findall(r"\*([^*]+)\*", listed)), saved)

    @staticmethod
    def title(name):
        return transformed()["Resources"][name]["Properties"]["Name"]["Fn::Sub"].split("/")[1]

    def test_each_query_uses_fields_that_log_lines_have(self):
        function = Logging(self)
        function.stack("Create", "Quarantine", "fleet-quarantine")
        function.stack("Create", "Other", "fleet-quarantine")
        function.stack("Create", "Elsewhere", "elsewhere", url="https://example.com/")
        function.iot.delete_mitigation_action(actionName="fleet-quarantine")
        function.stack(
            "Update", "Quarantine", "fleet-quarantine", PhysicalResourceId="fleet-quarantine"
        )
        later = {"CheckNames": ["A_CHECK_THAT_AWS_ADDS_LATER"]}
        function.stack("Create", "Later", "later", properties=later)
        lines = [line for line in function.lines() if "_aws" not in line]
        fields = {field for line in lines for field in line}
        fields |= {"xray_trace_id", "location"}  # with X-Ray; of a panic
        given = {"LOGICAL-ID-OR-NAME": "Quarantine", "REQUEST-ID": "Create-Quarantine"}
        for name in self.QUERIES:
            if name == "InvocationsQuery":  # it reads Lambda's own lines
                continue
            text = query(name)
            for placeholder, value in given.items():
                text = text.replace(f"REPLACE-WITH-{placeholder}", value)
            self.assertTrue(any(finds(text, line) for line in lines), name)
            if "coalesce" in text:
                reasons = re.findall(r"\w+", re.search(r"coalesce\((.*?)\) as", text, re.DOTALL)[1])
                for line in lines:
                    self.assertTrue(not finds(text, line) or line.keys() & set(reasons), line)
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

    def test_each_outcome_is_one_line_with_every_field_in_the_guide(self):
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
        for lines in test_symptoms.Symptoms.lines_of_each(self):
            for line in lines:
                # Lines of libraries do not have the id, nor does a line before the first request.
                if line.get("target", "").startswith("mitigation_action_provider"):
                    self.assertTrue(line.get("id"), line)


if __name__ == "__main__":
    unittest.main()
