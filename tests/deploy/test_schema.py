"""The cfn-lint rules find, before a deployment, what the provider would reject during it."""

import functools
import json
import pathlib
import subprocess
import tempfile
import unittest

import cfnlint.api
from cfnlint.core import get_rules
from support import ENVIRONMENT, ROOT, TOOLS, local_aws, run  # tools/ is on the path by it

import registry_schema

PROVIDER = {"Fn::ImportValue": "mitigation-action-provider-ServiceToken"}
UNUSED = ["W2001", "W8001"]  # a parameter and a condition that only some templates use
# W1030: an allowed value of a parameter violates the schema.
RULES = ("E9001", "E9002", "E9003", "W1030")
VALID = {
    "ServiceToken": PROVIDER,
    "RoleArn": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/quarantine"},
    "ActionParams": {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}},
}


@functools.cache
def rules():
    """Returns cfn-lint's rules and this project's; loaded once, which takes most of the time."""
    return get_rules([str(ROOT / "schemas")], [], [])


def lint(template, *ignored):
    """Returns the rules' findings, as pairs of a path within `Properties` and a message."""
    matches = cfnlint.api.lint(template, rules=rules(), regions=["eu-west-1"])
    matches = [match for match in matches if match.rule.id not in ignored]
    others = [match for match in matches if match.rule.id not in RULES]
    if others:
        raise AssertionError(others)
    path = lambda match: ".".join(str(step) for step in match.path[3:])
    return {(path(match), match.message) for match in matches}


class Registry(unittest.TestCase):
    def test_it_is_the_schema_of_the_properties_and_the_attributes(self):
        written = json.loads(registry_schema.REGISTRY.read_text())
        self.assertEqual(written, registry_schema.registry_schema())
        properties = json.loads((ROOT / "schemas" / "properties.json").read_text())["properties"]
        added = written["properties"].keys() - properties.keys()
        pointers = {f"/properties/{name}" for name in added}
        self.assertEqual(pointers, {*written["readOnlyProperties"]})

    def test_its_attributes_are_those_of_the_reference(self):
        reference = (ROOT / "docs" / "reference.md").read_text()
        returned = reference.split("`!GetAtt` returns", 1)[1].split("\n\n", 1)[0]
        for name in registry_schema.ATTRIBUTES:
            self.assertIn(f"`{name}`", returned)

    def test_cfn_lint_loads_it_as_the_schema_of_the_type(self):
        program = """
import sys
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER as manager
manager.load_registry_schemas(sys.argv[1])
print(*manager.get_resource_schema("eu-west-1", sys.argv[2]).schema["readOnlyProperties"])
"""
        python, folder = TOOLS / "aws" / "bin" / "python", registry_schema.REGISTRY.parent
        names = run([python, "-c", program, folder, "Custom::IoTMitigationAction"])
        expected = {f"/properties/{name}" for name in registry_schema.ATTRIBUTES}
        self.assertEqual({*names.split()}, expected)


class Rule(unittest.TestCase):
    def problems(self, **properties):
        resource = {"Type": "Custom::IoTMitigationAction", "Properties": {**VALID, **properties}}
        parameters = {"Level": {"Type": "String", "AllowedValues": ["INFO", "DISABLED"]}}
        conditions = {"Adopts": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-west-1"]}}
        template = {"Parameters": parameters, "Conditions": conditions}
        template["Resources"] = {"Action": resource}
        return lint(json.dumps(template), *UNUSED)

    def test_the_examples_are_clean(self):
        examples = ROOT / "examples"
        templates = [*examples.glob("*.yaml"), *examples.glob("*/template.yaml")]
        self.assertGreaterEqual(len(templates), 4)
        for template in templates:
            self.assertEqual(lint(template.read_text()), set(), template)

    def test_intrinsic_functions_are_resolved_or_not_checked(self):
        resolved = {
            "ActionName": {"Fn::Sub": "${AWS::StackName}-quarantine"},
            "OnConflict": {"Fn::If": ["Adopts", "Adopt", "Fail"]},
            "Tags": [{"Fn::If": ["Adopts", {"Key": "k", "Value": 7}, {"Ref": "AWS::NoValue"}]}],
        }
        self.assertEqual(self.problems(**resolved), set())

    def test_a_value_within_an_intrinsic_function_is_checked(self):
        [(path, message)] = self.problems(OnConflict={"Fn::If": ["Adopts", "Adopted", "Fail"]})
        self.assertTrue(path.startswith("OnConflict"), path)
        self.assertIn("'Adopted' is not one of ['Fail', 'Adopt', 'Overwrite']", message)

    def test_every_problem_is_named_with_its_path(self):
        properties = {
            "ActionName": "fleet:quarantine",
            "RoleArn": "arn:aws:iam::123456789012:user/somebody",
            "ServiceTimeout": 3601,
            "Tags": [{"Key": "Aws:team", "Value": "x"}, {"Key": "team"}],
            "Onconflict": "Adopt",
        }
        paths = {path for path, _ in self.problems(**properties)}
        expected = {"ActionName", "RoleArn", "ServiceTimeout", "Tags.0.Key", "Tags.1", "Onconflict"}
        self.assertEqual(paths, expected)

    def test_an_allowed_value_that_the_provider_rejects_is_found(self):
        logging = {"LogLevel": {"Ref": "Level"}, "RoleArnForLogging": VALID["RoleArn"]}
        problems = self.problems(ActionParams={"EnableIoTLoggingParams": logging})
        self.assertEqual(len(problems), 1, problems)
        self.assertTrue(all("'Level'} is not one of" in message for _, message in problems))

    def test_a_check_must_fit_the_kind_of_action(self):
        self.assertEqual(self.problems(CheckNames=["DEVICE_CERTIFICATE_SHARED_CHECK"]), set())
        problems = self.problems(CheckNames=["LOGGING_DISABLED_CHECK"])
        self.assertEqual({path for path, _ in problems}, {"CheckNames.0"})

    def test_an_attribute_that_the_provider_does_not_return_is_found(self):
        template = {"Resources": {"Action": {"Type": "Custom::IoTMitigationAction"}}}
        template["Resources"]["Action"]["Properties"] = VALID
        attributes = ["ActionArn", "MitigationActionId", "ActionName", "Arn", "ActionARN"]
        uses = [{"Fn::GetAtt": ["Action", name]} for name in attributes]
        uses += [{"Fn::Sub": f"${{Action.{name}}}"} for name in attributes]
        template["Outputs"] = {f"O{n}": {"Value": use} for n, use in enumerate(uses)}
        messages = sorted(message.split(":")[0] for _, message in lint(json.dumps(template)))
        self.assertEqual(messages, ["Action.ActionARN"] * 2 + ["Action.Arn"] * 2)

    def test_a_ref_of_a_role_is_its_name(self):
        template = local_aws.load("examples/minimal.yaml")
        template = {"Resources": {"Role": template["Resources"]["QuarantineRole"]}}
        logging = {"LogLevel": "INFO", "RoleArnForLogging": {"Ref": "Role"}}
        action = VALID | {"RoleArn": {"Ref": "Role"}}
        action["ActionParams"] = {"EnableIoTLoggingParams": logging}
        arn = VALID | {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
        for name, properties in [("Name", action), ("Arn", arn)]:
            declared = {"Type": "Custom::IoTMitigationAction", "Properties": properties}
            template["Resources"][name] = declared
        problems = lint(json.dumps(template))
        expected = {"RoleArn.Ref", "ActionParams.EnableIoTLoggingParams.RoleArnForLogging.Ref"}
        self.assertEqual({path for path, _ in problems}, expected)
        for _, message in problems:
            self.assertIn("expected !GetAtt Role.Arn", message)

    def test_a_read_only_attribute_is_no_property(self):
        [(path, _)] = self.problems(ActionArn="arn:aws:iot:r:1:mitigationaction/x")
        self.assertEqual(path, "ActionArn")

    def test_an_editor_that_runs_cfn_lint_in_the_folder_of_a_template_uses_the_rules(self):
        with tempfile.TemporaryDirectory() as folder:
            template = {"Resources": {"Action": {"Type": "Custom::IoTMitigationAction"}}}
            template["Resources"]["Action"]["Properties"] = {**VALID, "OnConflict": "Adopted"}
            pathlib.Path(folder, "own.json").write_text(json.dumps(template))
            settings = f"append_rules: [{ROOT / 'schemas'}]\n"
            pathlib.Path(folder, ".cfnlintrc").write_text(settings)
            command = [TOOLS / "aws" / "bin" / "cfn-lint", "own.json"]
            options = {"env": ENVIRONMENT, "cwd": folder, "capture_output": True, "text": True}
            done = subprocess.run(command, **options)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout, "E9001 'Adopted' is not one of")

    def test_an_unknown_check_is_allowed(self):
        self.assertEqual(self.problems(CheckNames=["A_CHECK_THAT_AWS_ADDS_LATER"]), set())

    def test_other_custom_resources_are_ignored(self):
        other = {"Type": "Custom::Other", "Properties": {"ServiceToken": PROVIDER, "Any": "x"}}
        self.assertEqual(lint(json.dumps({"Resources": {"Other": other}})), set())


if __name__ == "__main__":
    unittest.main()
