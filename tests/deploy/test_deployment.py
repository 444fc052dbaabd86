"""`sam deploy`, an update of every parameter, and deletion, on MiniStack. Every call that SAM and
the AWS CLI make is recorded and held against the deployer's policy."""

import json
import re
import subprocess
import unittest

import deployer_calls
from deployment import ACCOUNT, HERE, REGION, STACK
from evaluator import Call, denied
from recording import Recorder
from sam_template import transformed
from support import ROOT, free_port, local_aws

DEPLOYER = json.loads((ROOT / "examples" / "policies" / "deployer.json").read_text())
SAM_STACK = "aws-sam-cli-managed-default"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
TOPIC = f"arn:aws:sns:{HERE}"
ROLES = {"ActionRoleArns": f"{ROLE}/mitigation-actions/quarantine-things"}

# A value for every parameter that is not its default. MiniStack gives the key's ARN.
CHANGED = {
    "ActionRoleArns": f"{ROLE}/mitigation-actions/other",
    "Architecture": "arm64",
    "FunctionName": "named-function",
    "RequestBus": "fleet-requests",
    "ResultBus": f"arn:aws:events:{HERE}:event-bus/fleet-results",
    "CreateTopic": "true",
    "DeadLetterReaderArns": f"{ROLE}/on-call",
    "BreakGlassPrincipalArns": f"{ROLE}/administrator",
    "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
    "RolePath": "/providers/",
    "KmsKeyArn": None,
    "RolePropagationSeconds": "37",
    "LogLevel": "WARN",
    "LogRetentionDays": "731",
    "AlarmTopic": f"{TOPIC}:alarms",
    "NoticeTopic": f"{TOPIC}:notices",
    "GuideUrl": "https://guide.example/",
    "ResponseUrlAllowedHosts": "responses.example",
    "IotEndpointUrl": "https://iot-fips.us-east-1.amazonaws.com",
    "Tracing": "Active",
}
QUOTES = '""'  # SAM does not accept nothing after the `=`
# Values that are too short to be recognized, and what shows them.
SHOWN_BY = {
    "CreateTopic": "TopicSubscription",
    "RolePropagationSeconds": '"ROLE_PROPAGATION_SECONDS": "37"',
    "LogRetentionDays": '"retentionInDays": 731',
    "Tracing": '"Mode": "Active"',
}
NOT_SHOWN = {"PermissionsBoundary"}  # MiniStack does not change it


def guide_commands(*fragments):
    """Returns the guide's commands for the removal of the stack."""
    lines = (ROOT / "docs" / "operating.md").read_text().splitlines()
    return [
        next(line.split() for line in lines if fragment in line and line.startswith("  "))
        for fragment in fragments
    ]


def as_iam_sees(call):
    """Returns the call that IAM decides about, with the names that deployer_calls uses."""
    if call.service == "cloudformation":
        name = re.sub(r"^arn:.*:stack/([^/]+)/.*", r"\1", call.parameters["StackName"])
        return Call(f"cloudformation:{call.operation}", deployer_calls.stack(name))
    if call.service == "s3":
        action = {"HeadObject": "GetObject"}.get(call.operation, call.operation)
        return Call(f"s3:{action}", deployer_calls.PACKAGE)
    raise AssertionError(call)


class Deployed(unittest.TestCase):
    def setUp(self):
        self.aws = local_aws.LocalAws(free_port(), free_port())
        self.addCleanup(self.aws.stop)
        self.recorder = Recorder(self, self.aws.url)
        template = local_aws.template(self.aws.iot_url, self.aws.url)
        variables = template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
        variables["AWS_ENDPOINT_URL_IOT"] = {"Ref": "IotEndpointUrl"}
        # MiniStack cannot resolve this one. Each bus of this test is in the same account.
        template["Conditions"]["ResultBusIsHere"] = {"Fn::Equals": ["here", "here"]}
        self.template = self.aws.folder / "template.json"
        self.template.write_text(json.dumps(template))

    def command(self, *arguments, succeeds=True):
        environment = self.aws.environment() | {"AWS_ENDPOINT_URL": self.recorder.url}
        done = subprocess.run(
            [str(argument) for argument in arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode == 0, succeeds, f"{done.stdout}\n{done.stderr}")
        return done.stdout + done.stderr

    def sam_deploy(self, parameters):
        pairs = [f'{name}={value or QUOTES}' for name, value in parameters.items()]
        options = ["--template-file", self.template, "--stack-name", STACK, "--resolve-s3"]
        options += ["--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM"]
        self.command("sam", "deploy", *options, "--parameter-overrides", *pairs)
        self.assertEqual(self.given(), self.defaults() | parameters)

    def given(self):
        [stack] = self.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}

    @staticmethod
    def defaults():
        parameters = transformed()["Parameters"].items()
        return {name: str(p["Default"]) for name, p in parameters if "Default" in p}

    def packages(self):
        s3 = self.aws.client("s3")
        [bucket] = [b["Name"] for b in s3.list_buckets()["Buckets"]]
        return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def observed(self):
        """Returns what AWS says of the deployment, in which each parameter can be recognized."""
        cloudformation = self.aws.client("cloudformation")
        found = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
        ids = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}
        iam, sqs = self.aws.client("iam"), self.aws.client("sqs")
        roles = [
            [iam.get_role(RoleName=ids[name])["Role"]]
            + [
                iam.get_role_policy(RoleName=ids[name], PolicyName=policy)["PolicyDocument"]
                for policy in iam.list_role_policies(RoleName=ids[name])["PolicyNames"]
            ]
            for name in ("Role", "BreakGlassRole")
            if name in ids
        ]
        function = self.aws.client("lambda").get_function(FunctionName=ids["Function"])
        logs = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=ids["LogGroup"])
        queue = ids["InvocationDeadLetters"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
        rules = self.aws.client("events").list_rules(EventBusName="fleet-requests")
        alarms = self.aws.client("cloudwatch").describe_alarms()
        seen = [ids, roles, function, logs, attributes, rules, alarms]
        return json.dumps(seen, default=str)

    def prepare(self):
        """Creates what the changed parameters name; returns their values."""
        key = self.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        for bus in ("fleet-requests", "fleet-results"):
            self.aws.client("events").create_event_bus(Name=bus)
        self.aws.client("iam").create_policy(
            PolicyName="boundary", PolicyDocument=json.dumps(DEPLOYER)
        )
        return CHANGED | {"KmsKeyArn": key}

    def test_every_call_that_sam_makes_is_allowed_to_the_deployer(self):
        self.sam_deploy(ROLES)
        self.as_an_administrator_did()
        self.a_refused_sam_delete_has_deleted_the_package()
        self.every_parameter_can_be_changed_and_changed_back()
        self.command("sam", "delete", "--stack-name", STACK, "--no-prompts", "--region", REGION)
        self.assertEqual(self.packages(), [])
        self.the_stack_is_gone()
        self.deployed_and_deleted_with_the_aws_cli()
        made = {str(call): call for call in map(as_iam_sees, self.recorder.calls)}
        self.assertEqual(denied(made.values(), identity=[DEPLOYER]), [])
        listed = {str(call) for call in deployer_calls.CLI}
        # IAM decides about these; no request names them.
        unseen = [*deployer_calls.of_cli("s3:ListBucket", deployer_calls.SAM_BUCKET)]
        unseen += deployer_calls.of_cli("cloudformation:CreateChangeSet", deployer_calls.TRANSFORM)
        self.assertEqual(made.keys(), listed - {str(call) for call in unseen})

    def as_an_administrator_did(self):
        """Forgets the calls that create SAM's bucket, once for an account and region."""
        creating = {"CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet"}
        created = [
            call
            for call in self.recorder.calls
            if call.operation in creating and call.parameters["StackName"] == SAM_STACK
        ]
        self.assertEqual({call.operation for call in created}, creating)
        for call in created:
            self.recorder.calls.remove(call)

    def a_refused_sam_delete_has_deleted_the_package(self):
        cloudformation = self.aws.client("cloudformation")
        token = {"Fn::ImportValue": f"{STACK}-ServiceToken"}
        user = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": token}}
        body = json.dumps({"Resources": {"User": user}})
        cloudformation.create_stack(StackName="user", TemplateBody=body)
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="user", WaiterConfig={"Delay": 1}
        )
        self.assertGreater(len(self.packages()), 1)
        arguments = ["sam", "delete", "--stack-name", STACK, "--no-prompts", "--region", REGION]
        self.command(*arguments, succeeds=False)
        self.assertEqual(self.packages(), [])
        self.assertEqual(self.given(), self.defaults() | ROLES)
        cloudformation.delete_stack(StackName="user")
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName="user", WaiterConfig={"Delay": 1}
        )

    def every_parameter_can_be_changed_and_changed_back(self):
        changed = self.prepare()
        self.assertEqual(changed.keys(), transformed()["Parameters"].keys())
        for name, value in changed.items():
            self.assertNotEqual(value, (self.defaults() | ROLES)[name], name)
        self.sam_deploy(changed)
        self.assertEqual(self.shown(changed), changed.keys() - NOT_SHOWN)
        self.sam_deploy(self.defaults() | ROLES)
        self.assertEqual(self.shown(changed), set())

    def shown(self, parameters):
        observed = self.observed()
        values = {name: SHOWN_BY.get(name, value) for name, value in parameters.items()}
        return {name for name, value in values.items() if value in observed}

    def deployed_and_deleted_with_the_aws_cli(self):
        [bucket] = [b["Name"] for b in self.aws.client("s3").list_buckets()["Buckets"]]
        packaged = self.aws.folder / "packaged.json"
        template = ["--template-file", self.template, "--output-template-file", packaged]
        self.command("sam", "package", *template, "--use-json", "--s3-bucket", bucket)
        self.command(
            *("aws", "cloudformation", "deploy", "--stack-name", STACK, "--s3-bucket", bucket),
            *("--template-file", packaged, "--capabilities", "CAPABILITY_IAM"),
            *("CAPABILITY_AUTO_EXPAND", "--parameter-overrides"),
            *(f"{name}={value}" for name, value in ROLES.items()),
        )
        for command in guide_commands(f"delete-stack --stack-name {STACK}", "wait stack-delete"):
            self.command(*command)
        self.the_stack_is_gone()
        self.assertGreater(len(self.packages()), 0)

    def the_stack_is_gone(self):
        found = self.aws.client("cloudformation").list_stacks()["StackSummaries"]
        alive = {s["StackName"] for s in found if s["StackStatus"] != "DELETE_COMPLETE"}
        self.assertEqual(alive, {SAM_STACK})


if __name__ == "__main__":
    unittest.main()
