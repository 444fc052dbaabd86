"""examples/apply-to-findings on MiniStack. MiniStack has no audits, so the tests mock the responses
of Device Defender as in Step Functions Local. MiniStack does not poll a queue for a pipe either, so
the tests start each execution with the message that the pipe would receive from the queue."""

import atexit
import functools
import json
import re
import unittest

from botocore.validate import ParamValidator

from ministack import wait_until
from support import ENVIRONMENT, ROOT, TOOLS, free_port, local_aws, run

FOLDER = ROOT / "examples" / "apply-to-findings"
AUDIT = json.loads((FOLDER / "audit-notification.json").read_text())
STACK = "apply-to-findings"

STATISTICS = {"DEVICE_CERTIFICATE_SHARED_CHECK": {"TotalFindingsCount": 1}}
STARTED = {"Return": {}}
RUNNING = {"Return": {"TaskStatus": "IN_PROGRESS"}}
COMPLETED = {"Return": {"TaskStatus": "COMPLETED", "TaskStatistics": STATISTICS}}
CANCELED = {"Return": {"TaskStatus": "CANCELED", "TaskStatistics": {}}}


def throws(error):
    return {"Throw": {"Error": f"Iot.{error}", "Cause": "mocked"}}


# The responses of Device Defender to the calls that start and describe a task, in each case.
CASES = {
    "Completed": ([STARTED], [RUNNING, RUNNING, COMPLETED]),
    "Canceled": ([STARTED], [CANCELED]),
    "Repeated": ([throws("TaskAlreadyExistsException")], [COMPLETED]),
    "Refused": ([throws("InvalidRequestException")], []),
}


def mocks():
    """Returns the cases in the configuration format of Step Functions Local."""
    cases, responses = {}, {}
    for case, outcomes in CASES.items():
        states = {"StartTask": f"{case}Start", "DescribeTask": f"{case}Describe"}
        cases[case] = states
        for response, calls in zip(states.values(), outcomes):
            responses[response] = {str(number): outcome for number, outcome in enumerate(calls)}
    return {"StateMachines": {"Mocked": {"TestCases": cases}}, "MockedResponses": responses}


class MockedAws(local_aws.LocalAws):
    def _settings(self, port):
        path = self.folder / "mocks.json"
        path.write_text(json.dumps(mocks()))
        return super()._settings(port) | {"SFN_MOCK_CONFIG": str(path), "SFN_WAIT_SCALE": "0"}


@functools.cache
def aws():
    """Starts MiniStack and deploys the provider and the example with `sam deploy`, once."""
    local = MockedAws(free_port(), free_port())
    atexit.register(local.stop)
    local.deploy_provider()
    shell(command("sam deploy"), environment=local.environment())
    return local


def command(beginning):
    """Returns the command of the README that begins so."""
    text = (FOLDER / "README.md").read_text()
    [found] = re.findall(rf"^ {{7}}({beginning} .*(?:\n {{9,}}.*)*)", text, re.MULTILINE)
    return found


def shell(script, **options):
    return run(["bash", "-euc", script], cwd=FOLDER, **options)


@functools.cache
def outputs():
    [stack] = aws().client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@functools.cache
def definition():
    """Returns the definition of the deployed state machine."""
    machine = aws().client("stepfunctions")
    return machine.describe_state_machine(stateMachineArn=outputs()["StateMachineArn"])


@functools.cache
def mocked():
    """Copies the state machine to the name that has mocks."""
    copied = {key: definition()[key] for key in ("definition", "roleArn")}
    return aws().client("stepfunctions").create_state_machine(name="Mocked", **copied)


def resource(logical_id):
    resources = local_aws.load("examples/apply-to-findings/template.yaml")["Resources"]
    return resources[logical_id]["Properties"]


class Execution:
    """A finished execution for an audit."""

    def __init__(self, case, audit=AUDIT):
        client = aws().client("stepfunctions")
        started = client.start_execution(
            stateMachineArn=f"{mocked()['stateMachineArn']}#{case}",
            input=json.dumps([{"body": json.dumps(audit)}]),
        )
        arn = {"executionArn": started["executionArn"]}

        def ended():
            described = client.describe_execution(**arn)
            return None if described["status"] == "RUNNING" else described

        self.result = wait_until(ended, f"the end of {case}")
        self.status = self.result["status"]
        pages = client.get_paginator("get_execution_history").paginate(**arn)
        entered = "stateEnteredEventDetails"
        events = [event for page in pages for event in page["events"]]
        self.states = [event[entered]["name"] for event in events if entered in event]
        exited = [event.get("stateExitedEventDetails", {}) for event in events]
        self.outputs = {state["name"]: state.get("output") for state in exited if "name" in state}


class Files(unittest.TestCase):
    def test_a_linter_of_state_machines_accepts_it(self):
        text = (FOLDER / "state-machine.asl.json").read_text().replace("${Partition}", "aws")
        linter = ROOT / "tools" / "node_modules" / ".bin" / "asl-validator"
        self.assertIn("is valid", run([linter, "--json-definition", text]))

    def test_each_action_is_meant_for_the_checks_that_it_is_applied_to(self):
        machine = json.loads((FOLDER / "state-machine.asl.json").read_text())
        applied = {}
        for check, names in machine["States"]["ReadNotification"]["Assign"]["actions"].items():
            self.assertLessEqual(len(names), 5)
            for name in names:
                applied.setdefault(name.strip("${}"), set()).add(check)
        meant = {name: set(resource(name)["CheckNames"]) for name in applied}
        self.assertEqual(applied, meant)
        substituted = resource("StateMachine")["DefinitionSubstitutions"]
        for name in applied:
            self.assertEqual(substituted[name], {"Ref": name})

    # Device Defender skips the actions after one that failed.
    def test_a_finding_is_published_before_anything_else_is_done_about_it(self):
        machine = json.loads((FOLDER / "state-machine.asl.json").read_text())
        published = 0
        for names in machine["States"]["ReadNotification"]["Assign"]["actions"].values():
            if "${PublishFinding}" in names:
                self.assertEqual(names[0], "${PublishFinding}")
                published += 1
        self.assertEqual(published, 2)

    # MiniStack cannot mock a call that fails and succeeds on retry.
    def test_transient_errors_of_each_call_to_aws_iot_are_retried(self):
        states = json.loads((FOLDER / "state-machine.asl.json").read_text())["States"]
        calls = [state for state in states.values() if ":iot:" in state.get("Resource", "")]
        self.assertEqual(len(calls), 2)
        for call in calls:
            expected = ["Iot.ThrottlingException", "Iot.InternalFailureException"]
            self.assertEqual(call["Retry"][0]["ErrorEquals"], expected)

    def test_a_task_beyond_the_ten_that_run_at_once_is_started_minutes_later(self):
        states = json.loads((FOLDER / "state-machine.asl.json").read_text())["States"]
        _, retry = states["StartTask"]["Retry"]
        self.assertEqual(retry["ErrorEquals"], ["Iot.LimitExceededException"])
        self.assertEqual((retry["IntervalSeconds"], retry["BackoffRate"]), (300, 1))

    def test_the_cli_accepts_the_commands_that_configure_audits(self):
        machine = json.loads((FOLDER / "state-machine.asl.json").read_text())
        checks = set(machine["States"]["ReadNotification"]["Assign"]["actions"])
        for beginning in ["aws iot update-account-audit-config", "aws iot create-scheduled-audit"]:
            text = command(rf"{beginning}\w*")
            self.assertEqual(set(re.findall(r"\w+_CHECK", text)), checks)
            path = {"PATH": f"{TOOLS}/aws/bin:{ENVIRONMENT['PATH']}"}
            shell(f"{text} --generate-cli-skeleton output", environment=path)
            with self.assertRaisesRegex(AssertionError, "Unknown parameter|required: --frequency"):
                wrong = text.replace("enabled", "enable").replace("frequency", "often")
                shell(f"{wrong} --generate-cli-skeleton output", environment=path)

    def test_the_first_audit_configuration_has_a_role_and_a_check(self):
        text = command("aws iot update-account-audit-configuration")
        outputs = local_aws.load("examples/apply-to-findings/template.yaml")["Outputs"]
        roles = re.findall(r"role/(\w+)", text)
        self.assertEqual(roles, ["AuditRoleArn", "AuditNotificationRoleArn"])
        self.assertLessEqual({*roles, "AuditNotificationTopicArn"}, set(outputs))
        self.assertIn('{"enabled": true}', text)

    def test_the_role_allows_exactly_the_calls_of_the_state_machine(self):
        text = (FOLDER / "state-machine.asl.json").read_text()
        called = set()
        for service, action in re.findall(r":::(?:aws-sdk:)?(\w+):(\w+)", text):
            called.add(f"{service}:{action[0].upper()}{action[1:]}")
        [policy] = resource("StateMachineRole")["Policies"]
        allowed = set()
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            allowed |= set([actions] if isinstance(actions, str) else actions)
        self.assertEqual(allowed, called)


class Deployed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sqs, cls.sns = aws().client("sqs"), aws().client("sns")

    def queue(self, topic):
        """Subscribes a new queue to a topic; returns the URL of the queue."""
        name = self.id().split(".")[-1][-60:].strip("_")
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        subscribed = self.sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
        )
        self.addCleanup(self.sqs.delete_queue, QueueUrl=url)
        self.addCleanup(self.sns.unsubscribe, SubscriptionArn=subscribed["SubscriptionArn"])
        return url

    def receive(self, url):
        received = self.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
        return received["Messages"][0]["Body"]

    def plan(self, **changed):
        """Returns the request that starts a task for an audit, or None if there is none."""
        output = Execution("Completed", AUDIT | changed).outputs.get("PlanTask")
        return output and json.loads(output)

    def test_the_actions_exist(self):
        planned = self.plan()["AuditCheckToActionsMapping"]["DEVICE_CERTIFICATE_SHARED_CHECK"]
        iot = aws().client("iot")
        types = {iot.describe_mitigation_action(actionName=name)["actionType"] for name in planned}
        self.assertEqual(types, {"ADD_THINGS_TO_THING_GROUP", "PUBLISH_FINDING_TO_SNS"})

    def test_only_completed_audits_reach_the_queue_unchanged(self):
        topic = outputs()["AuditNotificationTopicArn"]
        for status in ["CANCELED", "COMPLETED"]:
            message = json.dumps(AUDIT | {"taskStatus": status})
            self.sns.publish(TopicArn=topic, Message=message)
        found = aws().client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId="Audits"
        )
        url = found["StackResourceDetail"]["PhysicalResourceId"]
        self.assertEqual(json.loads(self.receive(url)), AUDIT)

    def test_only_checks_that_found_something_and_have_actions_are_in_the_task(self):
        planned = self.plan()["AuditCheckToActionsMapping"]
        self.assertEqual(list(planned), ["DEVICE_CERTIFICATE_SHARED_CHECK"])

    def test_a_single_check_has_a_list_of_actions(self):
        details = {"checkRunStatus": "COMPLETED_NON_COMPLIANT"}
        check = "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK"
        planned = self.plan(auditDetails=[{"checkName": check, **details}])
        self.assertEqual(len(planned["AuditCheckToActionsMapping"][check]), 1)

    def test_the_request_is_valid_by_the_service_model(self):
        iot = aws().client("iot")
        operation = iot.meta.service_model.operation_model("StartAuditMitigationActionsTask")
        members = {name.lower(): name for name in operation.input_shape.members}
        request = {members[name.lower()]: value for name, value in self.plan().items()}
        request["target"] = {"auditTaskId": request["target"]["AuditTaskId"]}
        report = ParamValidator().validate(request, operation.input_shape)
        self.assertFalse(report.has_errors(), report.generate_report())
        self.assertEqual(request["target"], {"auditTaskId": AUDIT["taskId"]})

    def test_an_audit_of_the_longest_id_fits(self):
        planned = self.plan(taskId="a" * 40)
        self.assertRegex(planned["ClientRequestToken"], r"^[a-zA-Z0-9_-]{1,64}$")

    def test_the_execution_waits_for_its_task_and_reports_it(self):
        reports = self.queue(outputs()["ReportTopicArn"])
        execution = Execution("Completed")
        self.assertEqual(execution.status, "SUCCEEDED")
        self.assertEqual(execution.states.count("DescribeTask"), 3)
        envelope = json.loads(self.receive(reports))
        self.assertEqual(envelope["Subject"], "Mitigation actions: COMPLETED")
        expected = {
            "auditTaskId": AUDIT["taskId"],
            "taskId": f"apply-{AUDIT['taskId']}",
            "taskStatus": "COMPLETED",
            "taskStatistics": STATISTICS,
        }
        self.assertEqual(json.loads(envelope["Message"]), expected)

    def test_a_task_that_was_canceled_is_reported_and_fails_the_execution(self):
        reports = self.queue(outputs()["ReportTopicArn"])
        execution = Execution("Canceled")
        self.assertEqual(execution.result["error"], "NotApplied")
        self.assertIn("CANCELED", json.loads(self.receive(reports))["Subject"])

    def test_a_duplicate_notification_waits_for_the_task_of_the_first(self):
        self.assertEqual(Execution("Repeated").status, "SUCCEEDED")

    def test_a_rejected_request_fails_the_execution(self):
        execution = Execution("Refused")
        self.assertEqual(execution.result["error"], "Iot.InvalidRequestException")

    def test_an_audit_without_findings_starts_no_task(self):
        for details in [[], AUDIT["auditDetails"][1:]]:
            execution = Execution("Refused", AUDIT | {"auditDetails": details})
            self.assertEqual(execution.status, "SUCCEEDED")
            self.assertNotIn("StartTask", execution.states)


if __name__ == "__main__":
    unittest.main()
