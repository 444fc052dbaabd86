"""The template: it is valid, passes the linters, and grants exactly what the code calls."""

import json
import re
import unittest

from sam_template import alternatives, transformed
from support import ROOT, TOOLS, run

# Resolves the architecture as `sam build` does, before any parameter of a deployment is known.
BUILT_FOR = """
import sys
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
overrides = dict(pair.split("=") for pair in sys.argv[1:])
stacks, _ = SamLocalStackProvider.get_stacks("template.yaml", parameter_overrides=overrides)
print(SamFunctionProvider(stacks).get("Function").architectures)
"""

# Parameters that make every condition of the template true.
EVERYTHING = {
    "FunctionName": "provider",
    "CreateTopic": "true",
    "DeadLetterReaderArns": "arn:aws:iam::123456789012:role/on-call",
    "BreakGlassPrincipalArns": "arn:aws:iam::123456789012:role/on-call",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
    "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d",
    "AlarmTopic": "arn:aws:sns:eu-west-1:123456789012:alarms",
    "NoticeTopic": "arn:aws:sns:eu-west-1:123456789012:notices",
    "Tracing": "Active",
}

ROLE = "arn:aws:iam::123456789012:role/"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:"
BUS = "arn:aws:events:eu-west-1:123456789012:event-bus/"
# Values that match the pattern of each parameter, and values that do not.
PATTERNS = {
    "ActionRoleArns": (
        [ROLE + "a", ROLE + "b/*", "arn:aws-cn:iam::123456789012:role/a"],
        ["", "*", "a", ROLE, TOPIC + "a"],
    ),
    "FunctionName": (["", "a" * 64], ["a" * 65, "a b"]),
    "RequestBus": (["", "default", "fleet.events"], [BUS + "a", "a b"]),
    "ResultBus": (["", BUS + "results"], ["results", TOPIC + "a"]),
    "DeadLetterReaderArns": (
        ["", ROLE + "a", ROLE + "aws-reserved/sso.amazonaws.com/*"],
        ["a", "arn:aws:sts::123456789012:assumed-role/a/b"],
    ),
    "BreakGlassPrincipalArns": (
        ["", ROLE + "a", "arn:aws:iam::123456789012:root"],
        ["a", ROLE + "*"],
    ),
    "PermissionsBoundary": (
        ["", "arn:aws:iam::aws:policy/a", "arn:aws:iam::123456789012:policy/a/b"],
        ["a", ROLE + "a"],
    ),
    "RolePath": (["/", "/a/b/"], ["", "a", "/a"]),
    "KmsKeyArn": (
        ["", "arn:aws:kms:eu-west-1:123456789012:key/0a-1b"],
        ["alias/a", "0a-1b"],
    ),
    "AlarmTopic": (["", TOPIC + "a"], ["a", ROLE + "a"]),
    "NoticeTopic": (["", TOPIC + "a"], ["a", ROLE + "a"]),
    "IotEndpointUrl": (
        ["", "https://iot-fips.us-east-1.amazonaws.com", "https://a.example:8443/"],
        ["iot.us-east-1.amazonaws.com", "http://a.example", "https://a.example/path"],
    ),
}


class Template(unittest.TestCase):
    def test_sam_validates_it(self):
        self.assertIn("is a valid SAM Template", run(["sam", "validate", "--lint"]))

    def test_cfn_lint_is_clean(self):
        run(["cfn-lint", "template.yaml"])

    def test_checkov_is_clean(self):
        self.checkov(ROOT / "template.yaml")

    def test_checkov_is_clean_if_every_condition_is_true(self):
        text = (ROOT / "template.yaml").read_text()
        for name, value in EVERYTHING.items():
            declared = re.search(rf"(?ms)^  {name}:\n.*?^    Default: (.*?)$", text)
            text = text[: declared.start(1)] + f'"{value}"' + text[declared.end(1) :]
        path = ROOT / "target" / "everything.yaml"
        path.write_text(text)
        run(["cfn-lint", path])
        self.checkov(path)

    def checkov(self, path):
        checkov = TOOLS / "checkov" / "bin" / "checkov"
        run([checkov, "--config-file", "tools/checkov.yaml", "--file", path])

    def test_these_parameters_make_every_condition_true(self):
        names = {name for name, _ in self.conditions()}
        # Those that are true by default, or for a name instead of an ARN.
        names -= {"CreatesRequestBus", "CreatesResultBus", "ResultBusIsHere", "UsesDefaultBus"}
        for name, condition in self.conditions():
            used = set(re.findall(r'"Ref": "(\w+)"', json.dumps(condition)))
            if name in names:
                self.assertTrue(used & EVERYTHING.keys(), name)

    @staticmethod
    def conditions():
        return transformed()["Conditions"].items()

    def test_sam_builds_for_the_given_architecture(self):
        python = TOOLS / "sam" / "bin" / "python"
        self.assertIn("x86_64", run([python, "-c", BUILT_FOR]))
        self.assertIn("arm64", run([python, "-c", BUILT_FOR, "Architecture=arm64"]))

    def test_the_guide_passes_the_architecture_to_both_build_and_deploy(self):
        guide = (ROOT / "docs" / "deploying.md").read_text()
        commands = re.findall(
            r"^    (sam (?:build|deploy).*Architecture=arm64.*)$", guide, re.MULTILINE
        )
        self.assertEqual([command.split()[1] for command in commands], ["build", "deploy"])

    def test_the_only_roles_are_the_functions_and_the_optional_break_glass_role(self):
        roles = self.of_type("AWS::IAM::Role")
        self.assertEqual(
            {name: role.get("Condition") for name, role in roles.items()},
            {"Role": None, "BreakGlassRole": "BreaksGlass"},
        )
        for role in roles.values():
            self.assertNotIn("ManagedPolicyArns", role["Properties"])
            self.assertEqual(role["Properties"]["Path"], {"Ref": "RolePath"})
            self.assertEqual(
                alternatives(role["Properties"]["PermissionsBoundary"]),
                {"Ref": "PermissionsBoundary"},
            )

    @staticmethod
    def of_type(kind):
        resources = transformed()["Resources"]
        return {name: resource for name, resource in resources.items() if resource["Type"] == kind}

    def test_everything_that_supports_a_key_uses_the_given_one(self):
        key = {"Ref": "KmsKeyArn"}
        names = {
            "AWS::SQS::Queue": "KmsMasterKeyId",
            "AWS::SNS::Topic": "KmsMasterKeyId",
            "AWS::Logs::LogGroup": "KmsKeyId",
        }
        names["AWS::Lambda::Function"] = "KmsKeyArn"
        for kind, member in names.items():
            for name, resource in self.of_type(kind).items():
                given = resource["Properties"][member]["Fn::If"]
                self.assertEqual(given[:2], ["HasKey", key], name)

    def test_only_the_log_and_the_dead_letters_outlive_the_stack(self):
        kept = {
            name
            for name, r in transformed()["Resources"].items()
            if "Retain" in r.get("DeletionPolicy", "Delete")
        }
        dead = {name for name in self.of_type("AWS::SQS::Queue") if name.endswith("DeadLetters")}
        self.assertEqual(kept, dead | {"LogGroup", "InvocationDeadLettersPolicy"})

    def test_the_function_has_the_stacks_name_or_the_given_one(self):
        function = transformed()["Resources"]["Function"]["Properties"]
        named = {"Fn::If": ["NamesFunction", {"Ref": "FunctionName"}, {"Ref": "AWS::StackName"}]}
        self.assertEqual(function["FunctionName"], named)

    def test_parameters_reject_invalid_values(self):
        parameters = transformed()["Parameters"]
        self.assertEqual(
            PATTERNS.keys(), {name for name, p in parameters.items() if "AllowedPattern" in p}
        )
        for name, (taken, refused) in PATTERNS.items():
            pattern = re.compile(parameters[name]["AllowedPattern"])
            for value in taken:
                self.assertTrue(pattern.fullmatch(value), f"{name}: {value!r}")
            for value in refused:
                self.assertFalse(pattern.fullmatch(value), f"{name}: {value!r}")
        self.assertNotIn("Default", parameters["ActionRoleArns"])

    def test_the_guide_lists_the_outputs_and_which_are_exported(self):
        exported = {name for name, output in transformed()["Outputs"].items() if "Export" in output}
        guide = (ROOT / "docs" / "operating.md").read_text()
        listed = guide.split("### Outputs")[1].split("\n#")[0]
        exports = re.findall(r"^\| `(\w+)` \| yes \|", listed, re.MULTILINE)
        others = re.findall(r"^\| `(\w+)` \| no \|", listed, re.MULTILINE)
        self.assertEqual(set(exports), exported)
        self.assertEqual(set(others), transformed()["Outputs"].keys() - exported)

    def test_the_rule_matches_every_request_and_no_result(self):
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        program = """
import json, sys
from moto.events.models import EventPattern
pattern = EventPattern.load(sys.argv[1])
print(json.dumps({name: pattern.matches_event(json.load(open(name))) for name in sys.argv[2:]}))
"""
        names = sorted(str(path) for path in (ROOT / "events").glob("event-*.json"))
        matched = json.loads(
            run([TOOLS / "aws" / "bin" / "python", "-c", program, json.dumps(pattern), *names])
        )
        self.assertGreaterEqual(len(matched), 7)
        for name, matches in matched.items():
            self.assertEqual(matches, "event-result" not in name, name)
        own = json.loads((ROOT / "events" / "event-create.json").read_text()) | {
            "source": "mitigation-action-provider"
        }
        path = ROOT / "target" / "own-request.json"
        path.write_text(json.dumps(own))
        matched = json.loads(
            run([TOOLS / "aws" / "bin" / "python", "-c", program, json.dumps(pattern), str(path)])
        )
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
        declared = set(
            transformed()["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        )
        settings = (ROOT / "src" / "settings.rs").read_text()
        for name in declared:
            self.assertIn(f'"{name}"', settings)
        local = json.loads((ROOT / "local" / "env.json").read_text())["Parameters"]
        self.assertLessEqual(set(local), declared)

    def test_every_parameter_is_used_and_in_the_reference(self):
        text = (ROOT / "template.yaml").read_text()
        reference = (ROOT / "docs" / "reference.md").read_text()
        for name in transformed()["Parameters"]:
            self.assertRegex(text, rf"!Ref {name}\b|\$\{{{name}\}}")
            self.assertIn(f"`{name}`", reference)


if __name__ == "__main__":
    unittest.main()
