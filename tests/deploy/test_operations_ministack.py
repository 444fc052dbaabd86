"""The operating guide on MiniStack: the tests run its commands as they are written."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from ministack import (
    DEACTIVATE,
    OWNER,
    ROLE,
    Queue,
    Stack,
    action,
    aws,
    described,
    provider_stack,
    stack_of,
    tags,
    wait_until,
)
from support import ROOT, TOOLS, local_aws

GUIDE = (ROOT / "docs" / "operating.md").read_text()
# Commands that are not run, and why.
NOT_RUN = {
    "git checkout v0.2.0": "there is no release yet",
    "sam build": "the tests use the package that is already built",
    "sam deploy": "it makes the deployment that all these tests use",
    "change-set-create-complete": "it waits for changes, and MiniStack finds no drift",
    "execute-change-set": "the change set before it is empty",
    "delete-stack --stack-name mitigation-action-provider": "test_deployment.py runs it",
    "wait stack-delete-complete --stack-name": "test_deployment.py runs it",
    "cancel-update-stack": "MiniStack ends an update before it can be canceled",
}


def setUpModule():
    aws()


def commands():
    """Returns each command in the guide's code blocks and in its table of ways out."""
    blocks = re.findall(r"^ {4,}[^ \n|].*(?:\n {4,}.*)*", GUIDE, re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"^ *\|.*\| `(aws [^`]+)` \|$", GUIDE, re.MULTILINE)
    return [" ".join(line.split()) for line in lines] + inline


def environment(test):
    """Returns a shell's environment; version 1 of the AWS CLI gets the endpoint of SQS."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    wrapper = pathlib.Path(folder.name) / "aws"
    real = TOOLS / "aws" / "bin" / "aws"
    wrapper.write_text(
        '#!/bin/sh\n[ "$1" != sqs ] || set -- --endpoint-url "$AWS_ENDPOINT_URL" "$@"\n'
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    inherited = aws().environment()
    return inherited | {"PATH": os.pathsep.join([folder.name, inherited["PATH"]])}


def guide(test, *fragments):
    """Runs the guide's commands that contain the fragments in one shell; returns the output."""
    known, script = commands(), []
    for fragment in fragments:
        found = [command for command in known if fragment in command]
        test.assertTrue(found, fragment)
        script.append(found[0])
    shell = ["bash", "-euc", "\n".join(script)]
    done = subprocess.run(
        shell, env=environment(test), cwd=ROOT, check=False, capture_output=True, text=True
    )
    test.assertEqual(done.returncode, 0, f"{script}: {done.stderr}")
    return done.stdout + done.stderr


class Commands(unittest.TestCase):
    def test_every_command_in_the_guide_is_run_here_or_listed_as_not_run(self):
        named = re.findall(r'"([^"\n]{8,})"', pathlib.Path(__file__).read_text())
        self.assertGreaterEqual(len(commands()), 20)
        for command in commands():
            self.assertTrue(any(fragment in command for fragment in named), command)
        for fragment in NOT_RUN:
            self.assertTrue(any(fragment in command for command in commands()), fragment)

    def test_the_log_and_the_stack_events_lead_to_the_action(self):
        stack = Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=action("fleet-quarantine")))
        log = guide(
            self, "group=$(aws cloudformation describe-stacks", "aws logs filter-log-events"
        )
        self.assertIn("fleet-quarantine", log)
        self.assertIn("CREATE_COMPLETE", guide(self, "describe-stack-events --stack-name"))

    def test_actions_are_counted_and_their_owner_is_found(self):
        stack = Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=action("fleet-quarantine")))
        listed = aws().client("iot").list_mitigation_actions()["actionIdentifiers"]
        self.assertEqual(int(guide(self, "aws iot list-mitigation-actions")), len(listed))
        self.assertIn("stack/fleet-security/", guide(self, "aws iot list-tags-for-resource"))

    def test_an_action_without_its_owner_tag_outlives_its_stack(self):
        stack = Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=action("fleet-quarantine")))
        guide(self, "aws iot untag-resource --tag-keys mitigation-action-provider:owner")
        self.assertNotIn(OWNER, tags("fleet-quarantine"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("fleet-quarantine"))
        aws().client("iot").delete_mitigation_action(actionName="fleet-quarantine")

    def test_a_break_glass_principal_assumes_the_role(self):
        caller = guide(
            self, "role=$(aws cloudformation", "aws sts assume-role", "aws sts get-caller-identity"
        )
        self.assertIn("BreakGlassRole", json.loads(caller)["Arn"])

    def test_drift_is_checked_and_nothing_reverted(self):
        self.assertIn("StackDriftDetectionId", guide(self, "detect-stack-drift --stack-name"))
        drifts = guide(self, "describe-stack-resource-drifts --stack-name")
        self.assertEqual(json.loads(drifts)["StackResourceDrifts"], [])
        guide(self, "parameters=$(aws cloudformation", "--deployment-mode REVERT_DRIFT")
        cloudformation = aws().client("cloudformation")
        options = {"StackName": local_aws.STACK, "ChangeSetName": "set-back"}

        def ended():
            found = cloudformation.describe_change_set(**options)
            return found if found["Status"] == "FAILED" else None

        reason = wait_until(ended, "the change set")["StatusReason"]
        self.assertIn("didn't contain changes", reason)
        cloudformation.delete_change_set(**options)


class Stuck(unittest.TestCase):
    def test_a_rollback_that_failed_is_continued_and_at_worst_skips_the_resource(self):
        stack = Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=action("fleet-quarantine")))
        self.give_to("event/somebody/else", "fleet-quarantine")
        tagged = action("fleet-quarantine", Tags=[{"Key": "team", "Value": "iot"}])
        self.assertEqual(stack.update(stack_of(Quarantine=tagged)), "UPDATE_ROLLBACK_FAILED")
        guide(self, "continue-update-rollback --stack-name fleet-security")
        self.assertEqual(stack._end(), "UPDATE_ROLLBACK_FAILED")
        guide(self, "--resources-to-skip Quarantine")
        self.assertEqual(stack._end(), "UPDATE_ROLLBACK_COMPLETE")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("fleet-quarantine"), "another's action stays")
        guide(self, "aws iot delete-mitigation-action --action-name fleet-quarantine")
        self.assertIsNone(described("fleet-quarantine"))

    def give_to(self, owner, name):
        arn = described(name)["actionArn"]
        aws().client("iot").tag_resource(resourceArn=arn, tags=[{"Key": OWNER, "Value": owner}])

    def test_a_stack_whose_provider_is_gone_is_deleted_without_its_resource(self):
        provider, stack = self.provider(), Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=self.by_arn(provider)))
        provider.delete()
        self.assertEqual(stack.delete(), "DELETE_FAILED")
        guide(self, "delete-stack --stack-name fleet-security --retain-resources")
        self.assertEqual(stack._end(), "DELETE_COMPLETE")
        guide(self, "aws iot delete-mitigation-action --action-name fleet-quarantine")

    def test_a_provider_that_is_deployed_again_under_its_name_finds_its_actions(self):
        provider, stack = self.provider(), Stack(self, "fleet-security")
        stack.create(stack_of(Quarantine=self.by_arn(provider)))
        provider.delete()
        self.provider()
        tagged = self.by_arn(provider, Tags=[{"Key": "team", "Value": "iot"}])
        self.assertEqual(stack.update(stack_of(Quarantine=tagged)), "UPDATE_COMPLETE")
        self.assertEqual(tags("fleet-quarantine")["team"], "iot")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNone(described("fleet-quarantine"))

    def provider(self):
        return provider_stack(self, "provider-that-is-deleted")

    @staticmethod
    def by_arn(provider, **properties):
        # By its ARN: an import would keep CloudFormation from deleting the provider.
        arn = f"arn:aws:lambda:{local_aws.REGION}:{local_aws.ACCOUNT}:function:{provider.name}"
        return action("fleet-quarantine", ServiceToken=arn, **properties)


class Removed(unittest.TestCase):
    def test_the_log_and_the_dead_letters_stay_when_the_provider_goes(self):
        provider = provider_stack(self, "provider-that-goes")
        self.assertEqual(provider.delete(), "DELETE_COMPLETE")
        sqs, logs = aws().client("sqs"), aws().client("logs")
        urls = sqs.list_queues(QueueNamePrefix=provider.name)["QueueUrls"]
        for url in urls:
            self.addCleanup(sqs.delete_queue, QueueUrl=url)
        kept = {re.search(rf"{provider.name}-(\w+)-", url)[1] for url in urls}
        self.assertEqual(kept, {"RequestDeadLetters", "RuleDeadLetters", "InvocationDeadLetters"})
        self.assertIn(provider.name, json.dumps(logs.describe_log_groups()["logGroups"]))


class DeadLetters(unittest.TestCase):
    def output(self, name):
        [stack] = (
            aws().client("cloudformation").describe_stacks(StackName=local_aws.STACK)["Stacks"]
        )
        return {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}[name]

    def test_an_event_that_did_not_reach_the_queue_is_redriven(self):
        self.addCleanup(
            aws().client("iot").delete_mitigation_action, actionName="device-quarantine"
        )
        event = (ROOT / "events" / "event-create.json").read_text()
        queue = Queue(self.output("RuleDeadLettersArn"))
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=event)
        self.assertIn(
            "device-quarantine", guide(self, "tools/redrive mitigation-action-provider events")
        )
        guide(self, "tools/redrive mitigation-action-provider events --send")
        wait_until(lambda: described("device-quarantine"), "the work")
        empty = guide(self, "tools/redrive mitigation-action-provider events")
        self.assertEqual(empty, "0 shown, 0 left\n")

    def test_a_request_in_the_dead_letter_queue_is_redriven(self):
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName="redriven")
        params = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
        request = {"actionName": "redriven", "roleArn": ROLE, "actionParams": params}
        queue = Queue(self.output("RequestDeadLettersArn"))
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(request))
        self.assertIn("redriven", guide(self, "tools/redrive mitigation-action-provider requests"))
        guide(self, "tools/redrive mitigation-action-provider requests --send")
        wait_until(lambda: described("redriven"), "the work")

    def test_the_stack_of_a_failed_invocation_is_found_and_the_message_is_cleared(self):
        stack = f"arn:aws:cloudformation:{local_aws.REGION}:{local_aws.ACCOUNT}:stack/stuck/1"
        request = {
            "RequestType": "Create",
            "ResponseURL": "https://not-cloudformation.example/?X-Amz-Signature=0123456789",
            "StackId": stack,
            "RequestId": "1",
            "LogicalResourceId": "Quarantine",
            "ResourceProperties": {"RoleArn": ROLE, "ActionParams": DEACTIVATE},
        }
        options = {"FunctionName": self.output("FunctionName"), "InvocationType": "Event"}
        aws().client("lambda").invoke(Payload=json.dumps(request), **options)
        shown = wait_until(lambda: self.shown_with(stack), "the dead letter")
        self.assertIn("ForbiddenResponseUrl", shown)
        self.assertNotIn("0123456789", shown)
        guide(self, "tools/redrive mitigation-action-provider invocations --delete")
        self.assertIsNone(self.shown_with(stack))

    def shown_with(self, stack):
        shown = guide(self, "tools/redrive mitigation-action-provider invocations")
        return shown if stack in shown else None


class FailedResults(unittest.TestCase):
    def test_a_permanent_failure_reaches_the_queue_of_the_alarm_at_once(self):
        cloudformation = aws().client("cloudformation")
        found = cloudformation.describe_stack_resource(
            StackName=local_aws.STACK, LogicalResourceId="FailedResults"
        )
        url = found["StackResourceDetail"]["PhysicalResourceId"]
        [stack] = cloudformation.describe_stacks(StackName=local_aws.STACK)["Stacks"]
        outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        entry = {"EventBusName": outputs["RequestBusName"], "Source": "com.example.fleet"}
        entry |= {
            "DetailType": "Mitigation Action Requested",
            "Detail": '{"actionName": "not legal"}',
        }
        [sent] = aws().client("events").put_events(Entries=[entry])["Entries"]
        queue = Queue(f"::::{url.rsplit('/', 1)[1]}")
        result = json.loads(queue.receive(lambda body: sent["EventId"] in body))
        self.assertEqual(result["detail"]["error"]["code"], "InvalidRequestException")


if __name__ == "__main__":
    unittest.main()
