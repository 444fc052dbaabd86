"""`make verify-aws` on MiniStack, and what MiniStack lacks against models of AWS."""

import contextlib
import io
import json
import re
import sys
import types
import unittest
from unittest import mock

from cloudformation_model import Model
from ministack import ROLE, aws, provider_stack
from support import ROOT, local_aws, run  # tools/ is on the path by it

from verify_aws import __main__ as program
from verify_aws import checks
from verify_aws.checks import FALSE, HOLDS, MEASURED, NOT_CHECKED, ONLY_AWS
from verify_aws.cloudformation_checks import CloudFormationChecks
from verify_aws.deployment_checks import AUDITED, DeploymentChecks
from verify_aws.provider import Provider
from verify_aws.report import SECTIONS

LOCATION = {"partition": "aws", "region": local_aws.REGION, "account": local_aws.ACCOUNT}


def setUpModule():
    checks.PAUSE = 0.05


class Recorder:
    """Returns clients and records the IAM action of each call that they make."""

    # The operations whose action has another name.
    ACTIONS = {
        "lambda:Invoke": "lambda:InvokeFunction",
        "s3:ListObjectsV2": "s3:ListBucket",
    }
    PREFIXES = {"monitoring": "cloudwatch"}

    def __init__(self):
        self.actions = set()

    def __call__(self, service, config=None):
        client = aws().client(service)
        client.meta.events.register("before-parameter-build", self.record)
        return client

    def record(self, model, **_):
        prefix = model.service_model.signing_name
        action = f"{self.PREFIXES.get(prefix, prefix)}:{model.name}"
        self.actions.add(self.ACTIONS.get(action, action))


class Deployed(unittest.TestCase):
    """The checks that need a deployment."""

    ONLY_AWS = {
        "metrics pass Lambda's log filter at the level ERROR",
        "AWS IoT applies an action with its role",
        "the errors alarm has a value before any caller made a mistake",
        "what is sent when a failed resource is deployed again",
    }

    @classmethod
    def setUpClass(cls):
        aws()
        cls.recorder = Recorder()
        cls.verification = DeploymentChecks(cls.recorder, local_aws.STACK, ROLE)
        cls.rows = cls.verification.all()

    def test_each_assumption_holds_here_or_only_aws_can_tell(self):
        verdicts = {row.what: row.verdict for row in self.rows}
        self.assertEqual(len(self.rows), len(self.verification.CHECKS))
        failed = [row for row in self.rows if row.verdict not in (HOLDS, MEASURED, ONLY_AWS)]
        self.assertEqual(failed, [])
        only_aws = {what for what, verdict in verdicts.items() if verdict == ONLY_AWS}
        self.assertEqual(only_aws, self.ONLY_AWS)

    def test_nothing_is_left(self):
        self.assertEqual(self.verification.own_actions(), set())
        queues = aws().client("sqs").list_queues().get("QueueUrls", [])
        self.assertEqual([url for url in queues if "verify-" in url], [])

    def test_the_callers_policy_allows_each_call(self):
        self.assertGreater(len(self.recorder.actions), 20)
        self.assertEqual(self.recorder.actions - allowed(), set())


def allowed():
    """Returns the actions that the documented policy of the caller allows."""
    policy = json.loads((ROOT / "tools" / "verify_aws" / "caller.json").read_text())
    return {action for statement in policy["Statement"] for action in statement["Action"]}


class CallersPolicy(unittest.TestCase):
    # What CloudFormation, a presigned URL and the responses do with the caller's permissions.
    IMPLIED = {"iam:PassRole", "lambda:InvokeFunction", "s3:PutObject", "sns:Publish"}
    # What CloudFormation needs for the topic of a stack, by the schema of its type.
    IMPLIED |= {"sns:GetDataProtectionPolicy", "sns:GetTopicAttributes"}
    IMPLIED |= {"sns:ListSubscriptionsByTopic", "sns:ListTagsForResource", "sns:TagResource"}

    def test_it_allows_what_happens_on_behalf_of_the_caller(self):
        self.assertLessEqual(self.IMPLIED, allowed())

    def test_it_allows_no_action_that_the_program_does_not_name(self):
        folder = ROOT / "tools" / "verify_aws"
        program = "".join(path.read_text() for path in folder.glob("*.py"))
        snake = lambda name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
        for action in allowed() - self.IMPLIED - {"s3:ListBucket"}:
            self.assertIn(snake(action.split(":")[1]), program, action)


class Filtered:
    """Stands in for the clients of Lambda, CloudWatch and its logs, with a filter of the log."""

    def __init__(self, leaks=False):
        self.level, self.levels, self.lines, self.leaks = "INFO", [], [], leaks

    def __call__(self, service):
        return self

    def get_function_configuration(self, FunctionName):
        return {"LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": self.level}}

    def update_function_configuration(self, FunctionName, LoggingConfig):
        self.level = LoggingConfig["ApplicationLogLevel"]
        self.levels.append(self.level)

    def get_waiter(self, _):
        return types.SimpleNamespace(wait=lambda FunctionName: None)

    def get_paginator(self, _):
        events = [{"events": [{"message": line} for line in self.lines]}]
        return types.SimpleNamespace(paginate=lambda **_: events)

    def get_metric_statistics(self, MetricName, **_):
        return {"Datapoints": [line for line in self.lines if MetricName in line]}

    def invoke(self, payload):
        if self.level == "INFO" or self.leaks:
            self.lines.append('{"level": "INFO", "outcome": "ABSENT"}')
        self.lines.append('{"level": "ERROR", "_aws": {}, "Absent": 1}')


class Metrics(unittest.TestCase):
    def row(self, filtered):
        verification = DeploymentChecks(aws().client, local_aws.STACK, ROLE)
        verification.is_aws, verification.client = True, filtered
        verification.invoke = filtered.invoke
        verification.check("it", verification.metrics_under_the_filter)
        self.assertEqual(filtered.levels, ["ERROR", "INFO"], "the level is set back")
        return verification.rows[0]

    def test_lines_of_metrics_pass_the_filter_and_reach_cloudwatch(self):
        self.assertEqual(self.row(Filtered()).verdict, HOLDS)

    def test_a_filter_that_lets_other_lines_through_is_reported_as_false(self):
        row = self.row(Filtered(leaks=True))
        self.assertEqual(row.verdict, FALSE)
        self.assertIn("lines of the level INFO", row.found)


class AlreadyDeployed(Provider):
    """The provider of these tests, and a bucket of MiniStack's, whose name stands in the path."""

    def __init__(self, session, location, role):
        super().__init__(session, location, role)
        self.bucket_name, self.stack = self.stack, local_aws.STACK

    def deploy(self):
        location = {"LocationConstraint": local_aws.REGION}
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration=location)

    def remove(self):
        self.stack = self.bucket_name  # a stack that does not exist
        super().remove()


class Program(unittest.TestCase):
    def test_it_prints_a_report_in_which_nothing_is_false(self):
        arguments = ["verify_aws", "--region", local_aws.REGION, "--role", ROLE]
        session = types.SimpleNamespace(client=Recorder(), region_name=local_aws.REGION)
        printed = io.StringIO()
        with (
            mock.patch.object(sys, "argv", arguments),
            mock.patch.object(program, "Provider", AlreadyDeployed),
            mock.patch.object(program.boto3.session, "Session", lambda region_name: session),
            contextlib.redirect_stdout(printed),
        ):
            aws()
            self.assertEqual(program.main(), 0, printed.getvalue())
        page = printed.getvalue()
        verdicts = re.findall(r"^## (.*)$", page, re.M)
        self.assertEqual(verdicts, ["What was measured", "What holds", "What only AWS can tell"])
        self.assertIn("- Adopt takes an identical action, and Delete keeps it", page)
        actions = session.client.actions - {"sts:GetCallerIdentity"}  # always allowed
        self.assertEqual(actions - allowed(), set())

    def test_a_denial_ends_it_with_an_error(self):
        rows = [checks.Row("it", checks.DENIED, "sqs:CreateQueue")]
        self.assertEqual(program.exit_code(rows), 1)
        self.assertEqual(program.exit_code([checks.Row("it", ONLY_AWS)]), 0)


class Guide(unittest.TestCase):
    """docs/verifying.md."""

    TEXT = (ROOT / "docs" / "verifying.md").read_text()

    def test_it_lists_what_only_aws_can_tell(self):
        listed = re.findall(r"^- (.*)$", self.TEXT.split("## What only AWS can tell")[1], re.M)
        questions = {what for what, _ in CloudFormationChecks.CHECKS}
        self.assertEqual(set(listed), questions | Deployed.ONLY_AWS)

    def test_it_explains_every_verdict(self):
        explained = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", self.TEXT, re.M)
        self.assertEqual(set(explained) - {"Verdict"}, {verdict for verdict, _ in SECTIONS})

    def test_its_command_creates_the_role(self):
        run(["cfn-lint", "tools/verify_aws/role.yaml"])
        [command] = re.findall(r"aws cloudformation deploy .*\\\n.*", self.TEXT)
        run(["bash", "-euc", command], environment=aws().environment())
        stack = {"StackName": "verify-role"}
        self.addCleanup(aws().client("cloudformation").delete_stack, **stack)
        [made] = aws().client("cloudformation").describe_stacks(**stack)["Stacks"]
        [output] = made["Outputs"]
        self.assertIn(":role/mitigation-actions/", output["OutputValue"])


class Provisioning(unittest.TestCase):
    def test_what_the_template_retains_is_removed_too(self):
        session = types.SimpleNamespace(client=Recorder())
        provider = Provider(session, LOCATION, ROLE)
        self.create_bucket(provider)
        provider_stack(self, provider.stack)
        sqs, logs = aws().client("sqs"), aws().client("logs")

        def everything():
            return json.dumps([sqs.list_queues(), logs.describe_log_groups()])

        self.assertIn(provider.stack, everything())
        provider.remove()
        self.assertNotIn(provider.stack, everything())
        self.create_bucket(provider)
        provider.remove()  # as after a deployment that failed before it created a stack
        provider.remove()  # as before a deployment
        self.assertEqual(session.client.actions - allowed(), set())

    def create_bucket(self, provider):
        location = {"LocationConstraint": local_aws.REGION}
        provider.s3.create_bucket(Bucket=provider.bucket, CreateBucketConfiguration=location)


class CloudFormation(unittest.TestCase):
    """The questions to CloudFormation, with the topic and the queue of MiniStack."""

    def verification(self, **options):
        aws()
        recorder = Recorder()
        sns, topics = aws().client("sns"), []
        publish = lambda text: sns.publish(TopicArn=topics[0], Message=text)
        model = Model(publish, **options)
        client = lambda service: model if service == "cloudformation" else recorder(service)
        verification = CloudFormationChecks(client, LOCATION, model.put)
        inbox = verification.inbox
        verification.inbox = lambda: topics.append(inbox()) or topics[0]
        return verification, recorder

    def test_what_is_sent_is_reported_and_nothing_is_left(self):
        verification, recorder = self.verification()
        times, bucket, create, rename = verification.all()
        self.assertEqual(times[1:], (HOLDS, ""))
        self.assertEqual(bucket[1:], (HOLDS, ""))
        self.assertEqual(create.verdict, MEASURED)
        self.assertIn("Delete Slow of the invented id 'stack-Slow-INVENTED'", create.found)
        self.assertEqual(rename.verdict, MEASURED)
        expected = "Update Slow of Slow (slow to slow-2); Update Slow of Slow (slow-2 to slow)"
        self.assertEqual(rename.found, expected)
        self.assertEqual(verification.stacks, [])
        topics = aws().client("sns").list_topics()["Topics"]
        self.assertNotIn(verification.topic, [topic["TopicArn"] for topic in topics])
        self.assertEqual(recorder.actions - allowed(), set())

    def test_equal_times_are_reported_as_false(self):
        verification, _ = self.verification(seconds=0)
        times = verification.all()[0]
        self.assertEqual(times.verdict, FALSE)
        self.assertIn("X-Amz-Date was 20261128T120000Z, 20261128T120000Z", times.found)

    def test_a_host_that_the_function_would_reject_is_reported_as_false(self):
        verification, _ = self.verification()
        verification.cloudformation.HOST = "responses.example.com"
        bucket = verification.all()[1]
        self.assertEqual(bucket.verdict, FALSE)
        self.assertIn("the function would reject responses.example.com", bucket.found)

    def test_an_emulator_without_topics_cannot_tell(self):
        verification = CloudFormationChecks(aws().client, LOCATION)
        self.assertEqual({row.verdict for row in verification.all()}, {ONLY_AWS})


class Audits:
    """Stands in for boto3's client of AWS IoT where it has audits."""

    def __init__(self, enabled=True, execution=None, document="{}"):
        self.enabled, self.execution, self.document = enabled, execution, document
        self.policies = {}

    def describe_account_audit_configuration(self):
        return {"auditCheckConfigurations": {AUDITED: {"enabled": self.enabled}}}

    def create_policy(self, policyName, policyDocument):
        self.policies[policyName] = policyDocument

    def start_on_demand_audit_task(self, targetCheckNames):
        return {"taskId": "audit"}

    def describe_audit_task(self, taskId):
        return {"taskStatus": "COMPLETED"}

    def get_paginator(self, _):
        found = [
            {
                "findingId": f"about-{policy}",
                "nonCompliantResource": {
                    "resourceIdentifier": {"policyVersionIdentifier": {"policyName": policy}}
                },
            }
            for policy in ["another", *self.policies]
        ]
        return types.SimpleNamespace(paginate=lambda taskId: [{"findings": found}])

    def start_audit_mitigation_actions_task(self, taskId, target, **_):
        [finding] = target["findingIds"]
        if self.execution is None:
            self.policies[finding.removeprefix("about-")] = self.document

    def describe_audit_mitigation_actions_task(self, taskId):
        return {"taskStatus": "COMPLETED"}

    def list_audit_mitigation_actions_executions(self, taskId, findingId):
        return {"actionsExecutions": [self.execution or {"status": "COMPLETED"}]}

    def get_policy(self, policyName):
        return {"policyDocument": self.policies[policyName]}

    def list_policy_versions(self, policyName):
        return {"policyVersions": [{"versionId": "1", "isDefaultVersion": True}]}

    def delete_policy(self, policyName):
        del self.policies[policyName]


class Applied(unittest.TestCase):
    def row(self, audits):
        verification = DeploymentChecks(aws().client, local_aws.STACK, ROLE)
        verification.is_aws, verification.iot = True, audits
        verification.invoke = lambda payload: {"outcome": "CREATED"}
        verification.trust = lambda: '{"ArnLike": "wrong"}'
        verification.check("it", verification.applied)
        self.assertEqual(audits.policies, {})
        return verification.rows[0]

    def test_a_policy_that_was_replaced_is_an_action_that_was_applied(self):
        self.assertEqual(self.row(Audits()).verdict, HOLDS)

    def test_an_action_that_failed_is_reported_with_the_trust_policy(self):
        failed = {"status": "FAILED", "errorCode": "ACCESS_DENIED", "message": "no"}
        row = self.row(Audits(execution=failed))
        self.assertEqual(row.verdict, FALSE)
        self.assertIn("ACCESS_DENIED", row.found)
        self.assertIn("wrong", row.found)

    def test_nothing_is_changed_unless_the_account_audits(self):
        row = self.row(Audits(enabled=False))
        self.assertEqual(row.verdict, NOT_CHECKED)
        self.assertIn(f"enable the audit check {AUDITED}", row.found)


if __name__ == "__main__":
    unittest.main()
