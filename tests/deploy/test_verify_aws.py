"""`make verify-aws`, run against the stand-ins, and its report. The checks that need a deployment
are in test_ministack_verify_aws.py."""

import argparse
import contextlib
import io
import json
import subprocess
import unittest

from emulated import Stack
from support import ENVIRONMENT, ROOT, TOOLS  # tools/ is on the path by it

from botocore.exceptions import ClientError
from verify_aws.checks import (
    DENIED,
    FALSE,
    HOLDS,
    MEASURED,
    NOT_CHECKED,
    ONLY_AWS,
    Checks,
    Measured,
    NotChecked,
    OnlyAws,
    Row,
)
from verify_aws.cloudformation_checks import is_accepted
from verify_aws.function_checks import FunctionChecks
from verify_aws.__main__ import publish
from verify_aws.report import report

LOCATION = {"partition": "aws", "region": "eu-west-1", "account": "123456789012"}


class VerifyAws(unittest.TestCase):
    """The checks of `make verify-aws` that need no deployment, and its errors."""

    def verification(self):
        stack = Stack(self)
        role = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
        return stack, FunctionChecks(stack.iot, stack.invoke, stack.response_url, LOCATION, role)

    def test_each_assumption_holds_here_and_nothing_is_left(self):
        stack, verification = self.verification()
        verification.CHECKS = [*verification.CHECKS, verification.FILLING]
        calls = set()
        record = lambda model, **_: calls.add(f"iot:{model.name}")
        stack.iot.meta.events.register("before-parameter-build", record)
        rows = verification.all()
        self.assertEqual([row for row in rows if row.verdict not in (HOLDS, MEASURED)], [])
        self.assertEqual(len(rows), len(verification.CHECKS))
        lag, error = [row.found for row in rows if row.verdict == MEASURED]
        expected = r"^the first look saw the tags of \d of 5 new actions; "
        self.assertRegex(lag, expected + r"after a create \d+ ms, after tagging \d+ ms at most$")
        self.assertIn(error, ["LimitExceededException", "ResourceAlreadyExistsException"])
        policy = json.loads((ROOT / "tools" / "verify_aws" / "caller.json").read_text())
        allowed = {action for item in policy["Statement"] for action in item["Action"]}
        self.assertGreater(len(calls), 5)
        self.assertEqual(calls - allowed, set())
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_a_failed_assumption_is_reported_and_everything_is_removed(self):
        stack, verification = self.verification()
        verification.invoke = lambda event: None  # the function does nothing
        verdicts = {row.what: row.verdict for row in verification.all()}
        adopting = verdicts["Adopt takes an identical action, and Delete keeps it"]
        self.assertEqual(adopting, FALSE)
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_missing_credentials_are_reported_in_one_line(self):
        environment = {name: v for name, v in ENVIRONMENT.items() if "KEY" not in name}
        environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        command = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "verify_aws"]
        command += ["--region", "eu-west-1", "--role", "arn:aws:iam::123456789012:role/a"]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Amissing: expected credentials of an AWS account .*\n\Z")


def client_error(code, message="no"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateQueue")


def raising(error):
    def test():
        raise error

    return test


class Verdicts(unittest.TestCase):
    """A denial of the caller is neither true nor false; what else fails is false."""

    CALLER = "User: arn:aws:iam::123456789012:user/me is not authorized to perform: "
    FUNCTION = "User: arn:aws:sts::123456789012:assumed-role/verify-mitigation-1-Role-2/f is not "

    def verdict(self, test):
        checks = Checks()
        checks.check("it", test)
        [row] = checks.rows
        return row.verdict, row.found

    def test_each_result_of_a_check_has_its_verdict(self):
        self.assertEqual(self.verdict(lambda: None), (HOLDS, ""))
        self.assertEqual(self.verdict(lambda: True), (HOLDS, ""))
        self.assertEqual(self.verdict(lambda: "two"), (FALSE, "two"))
        self.assertEqual(self.verdict(lambda: False), (FALSE, "False"))
        self.assertEqual(self.verdict(lambda: Measured("5 ms")), (MEASURED, "5 ms"))
        self.assertEqual(self.verdict(raising(NotChecked("why"))), (NOT_CHECKED, "why"))
        self.assertEqual(self.verdict(raising(OnlyAws("why"))), (ONLY_AWS, "why"))
        self.assertEqual(self.verdict(raising(KeyError("a"))), (FALSE, "KeyError: 'a'"))

    def test_a_denial_is_not_allowed_and_not_false(self):
        for code in ["AccessDenied", "AccessDeniedException", "AuthorizationError"]:
            self.assertEqual(self.verdict(raising(client_error(code))), (DENIED, "CreateQueue"))
        named = client_error("AccessDenied", f"{self.CALLER}sqs:CreateQueue on resource: x")
        self.assertEqual(self.verdict(raising(named)), (DENIED, "sqs:CreateQueue"))
        throttled = client_error("Throttling")
        self.assertEqual(self.verdict(raising(throttled))[0], FALSE)

    def test_a_denial_in_the_events_of_a_stack_is_the_callers(self):
        events = AssertionError(f"ROLLBACK_COMPLETE: {self.CALLER}lambda:InvokeFunction on x")
        self.assertEqual(self.verdict(raising(events)), (DENIED, "lambda:InvokeFunction"))

    def test_a_denial_of_the_functions_role_is_false_because_the_template_grants_it(self):
        reason = f"AccessDeniedException: {self.FUNCTION}authorized to perform: iam:PassRole on x"
        self.assertEqual(self.verdict(raising(AssertionError(reason)))[0], FALSE)
        self.assertEqual(self.verdict(lambda: reason)[0], FALSE)


class Report(unittest.TestCase):
    ROWS = [
        Row("one", HOLDS),
        Row("two", FALSE, "a | b\nof 111122223333"),
        Row("three", DENIED, "sqs:CreateQueue"),
        Row("four", MEASURED, "https://h/k?X-Amz-Signature=abc&X-Amz-Date=1"),
    ]

    def page(self):
        return report(self.ROWS, "Title", {"role": "arn:aws:iam::111122223333:role/a"})

    def test_it_has_a_section_for_each_verdict_that_occurs(self):
        headings = [line for line in self.page().splitlines() if line.startswith("#")]
        self.assertEqual(headings[0], "# Title")
        self.assertEqual(headings[1], "## What does not hold")
        self.assertEqual(len(headings), 5)
        self.assertIn("1 does not hold, 1 not allowed, 1 measured, 1 holds", self.page())
        self.assertIn("| two | a \\| b of 123456789012 |", self.page())

    def test_it_can_be_published(self):
        self.assertNotIn("111122223333", self.page())
        self.assertNotIn("abc", self.page())

    def test_it_is_printed_and_kept_in_a_file(self):
        options = argparse.Namespace(role="arn:aws:iam::111122223333:role/a")
        printed, progress = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(progress):
            publish(self.ROWS, LOCATION | {"account": "111122223333"}, options)
        page = (ROOT / "target" / "verify-aws.md").read_text()
        self.assertEqual(printed.getvalue().strip(), page.strip())
        self.assertTrue(page.startswith("# Verification of mitigation-action-provider on AWS"))
        self.assertIn("- region: eu-west-1", page)

    def test_it_says_what_a_caller_who_was_denied_needs(self):
        self.assertIn("tools/verify_aws/caller.json", self.page())


class ResponseUrls(unittest.TestCase):
    def test_hosts_are_accepted_by_the_functions_rule(self):
        bucket = "cloudformation-custom-resource-response"
        for region, host in [
            ("us-east-1", f"{bucket}-useast1.s3.amazonaws.com"),
            ("eu-south-1", f"{bucket}-eusouth1.s3.eu-south-1.amazonaws.com"),
            ("us-west-2", f"{bucket}-uswest2.s3-us-west-2.amazonaws.com"),
            ("cn-north-1", f"{bucket}-cnnorth1.s3.cn-north-1.amazonaws.com.cn"),
        ]:
            self.assertTrue(is_accepted(host, region), host)
        for host in [
            f"{bucket}-useast1.s3.amazonaws.com",
            f"{bucket}-euwest1.s3.us-east-1.amazonaws.com",
            f"{bucket}-euwest1.example.com",
            f"x{bucket}-euwest1.s3.amazonaws.com",
        ]:
            self.assertFalse(is_accepted(host, "eu-west-1"), host)


if __name__ == "__main__":
    unittest.main()
