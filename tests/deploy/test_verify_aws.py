"""`make verify-aws`, run against the stand-ins."""

import subprocess
import unittest

from emulated import Stack
from support import ENVIRONMENT, ROOT, TOOLS  # tools/ is on the path by it

from verify_aws.function_checks import FunctionChecks

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
        rows = verification.all()
        failed = [row for row in rows if row[1].startswith("does not hold")]
        self.assertEqual(failed, [])
        self.assertEqual(len(rows), len(verification.CHECKS))
        measured = dict(rows)
        lag = r"^after a create \d+ ms, after tagging \d+ ms at most$"
        self.assertRegex(measured["how long tags take to be listed"], lag)
        errors = ["LimitExceededException", "ResourceAlreadyExistsException"]
        self.assertIn(measured[verification.FILLING[0]], errors)
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_a_failed_assumption_is_reported_and_everything_is_removed(self):
        stack, verification = self.verification()
        verification.invoke = lambda event: None  # the function does nothing
        results = dict(verification.all())
        adopting = results["Adopt takes an identical action, and Delete keeps it"]
        self.assertTrue(adopting.startswith("does not hold"))
        self.assertEqual(stack.iot.list_mitigation_actions()["actionIdentifiers"], [])

    def test_missing_credentials_are_reported_in_one_line(self):
        environment = {name: v for name, v in ENVIRONMENT.items() if "KEY" not in name}
        environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
        command = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "verify_aws"]
        command += ["--region", "eu-west-1", "--role", "arn:aws:iam::123456789012:role/a"]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, r"\Amissing: expected credentials of an AWS account .*\n\Z")


if __name__ == "__main__":
    unittest.main()
