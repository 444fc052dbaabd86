"""The template: valid, linted, and granting exactly what the code calls."""

import json
import re
import unittest

from support import ROOT, TOOLS, run

TRANSFORM = """
import json, sys, yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
template = yaml_parse(open("template.yaml").read())
template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/key"
class Policies:
    def load(self): return {}
print(json.dumps(transform(template, {"ActionRoleArns": "arn:aws:iam::123456789012:role/quarantine-things", "ResultBus": "x"}, Policies())))
"""


def transformed():
    return json.loads(run([TOOLS / "sam" / "bin" / "python", "-c", TRANSFORM]))


def statements(role):
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


class Template(unittest.TestCase):
    def test_sam_validates_it(self):
        self.assertIn("is a valid SAM Template", run(["sam", "validate", "--lint"]))

    def test_cfn_lint_is_clean(self):
        run(["cfn-lint", "template.yaml"])

    def test_checkov_is_clean(self):
        run([TOOLS / "checkov" / "bin" / "checkov", "--config-file", "tools/checkov.yaml", "--file", "template.yaml"])

    def test_the_role_grants_the_calls_that_the_code_makes_and_no_other(self):
        source = (ROOT / "src" / "iot.rs").read_text()
        called = {f"iot:{name}" for name in re.findall(r'self\.call\("(\w+)"', source)}
        self.assertEqual(len(called), 7)
        self.assertIn("put_events()", (ROOT / "src" / "bus.rs").read_text())
        called |= {"events:PutEvents"}
        called |= {"iam:PassRole"}  # of Create and Update: https://docs.aws.amazon.com/iot/latest/developerguide/
        lambdas = {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
        lambdas |= {"sqs:SendMessage", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
        role = transformed()["Resources"]["Role"]
        granted = set()
        for statement in statements(role):
            self.assertEqual(statement["Effect"], "Allow")
            actions = statement["Action"]
            granted |= set([actions] if isinstance(actions, str) else actions)
            if not str(actions).startswith("['xray:"):
                self.assertNotEqual(statement["Resource"], "*")
        self.assertEqual(granted, called | lambdas)
        self.assertNotIn("ManagedPolicyArns", role["Properties"])

    def test_roles_are_passed_to_iot_alone_and_only_those_given(self):
        passing = [s for s in statements(transformed()["Resources"]["Role"]) if s["Action"] == "iam:PassRole"]
        self.assertEqual([s["Condition"] for s in passing], [{"StringEquals": {"iam:PassedToService": "iot.amazonaws.com"}}])
        self.assertEqual([s["Resource"] for s in passing], [{"Ref": "ActionRoleArns"}])

    def test_nothing_but_the_role_of_the_template_is_made(self):
        roles = [name for name, resource in transformed()["Resources"].items() if resource["Type"] == "AWS::IAM::Role"]
        self.assertEqual(roles, ["Role"])

    def test_the_rule_takes_every_request_and_refuses_every_result(self):
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        program = """
import json, sys
from moto.events.models import EventPattern
pattern = EventPattern.load(sys.argv[1])
print(json.dumps({name: pattern.matches_event(json.load(open(name))) for name in sys.argv[2:]}))
"""
        names = sorted(str(path) for path in (ROOT / "events").glob("event-*.json"))
        matched = json.loads(run([TOOLS / "aws" / "bin" / "python", "-c", program, json.dumps(pattern), *names]))
        self.assertGreaterEqual(len(matched), 7)
        for name, matches in matched.items():
            self.assertEqual(matches, "event-result" not in name, name)
        own = json.loads((ROOT / "events" / "event-create.json").read_text()) | {"source": "mitigation-action-provider"}
        path = ROOT / "target" / "own-request.json"
        path.write_text(json.dumps(own))
        matched = json.loads(run([TOOLS / "aws" / "bin" / "python", "-c", program, json.dumps(pattern), str(path)]))
        self.assertEqual(list(matched.values()), [False])

    def test_the_queue_fits_the_function(self):
        resources = transformed()["Resources"]
        timeout = resources["Function"]["Properties"]["Timeout"]
        queue = resources["RequestQueue"]["Properties"]
        self.assertEqual(queue["VisibilityTimeout"], 6 * timeout)
        self.assertGreaterEqual(queue["RedrivePolicy"]["maxReceiveCount"], 10)
        mapping = resources["FunctionRequests"]["Properties"]
        self.assertEqual(mapping["BatchSize"], 10)
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.assertEqual(mapping["ScalingConfig"], {"MaximumConcurrency": 2})

    def test_every_variable_of_the_template_is_a_setting_and_local_sets_only_those(self):
        declared = set(transformed()["Resources"]["Function"]["Properties"]["Environment"]["Variables"])
        settings = (ROOT / "src" / "settings.rs").read_text()
        for name in declared:
            self.assertIn(f'"{name}"', settings)
        local = json.loads((ROOT / "local" / "env.json").read_text())["Parameters"]
        self.assertLessEqual(set(local), declared)

    def test_every_parameter_is_used_and_in_the_readme(self):
        text = (ROOT / "template.yaml").read_text()
        readme = (ROOT / "README.md").read_text()
        for name in transformed()["Parameters"]:
            self.assertRegex(text, rf"(!Ref {name}\b)")
            self.assertIn(f"`{name}`", readme)


if __name__ == "__main__":
    unittest.main()
