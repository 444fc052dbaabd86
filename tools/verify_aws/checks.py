"""What all checks share: a list of checks that yields the rows of a table, and waiting."""

import re
import time
import uuid
from typing import NamedTuple

from botocore.exceptions import ClientError

DEVICE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
CA = {"updateCACertificateParams": {"action": "DEACTIVATE"}}
PAUSE = 2  # seconds between polls

# The verdicts of a check.
HOLDS = "holds"
FALSE = "does not hold"
DENIED = "not allowed"  # the caller lacks a permission, so the assumption is neither true nor false
MEASURED = "measured"
NOT_CHECKED = "not checked"  # the account lacks something that the check needs
ONLY_AWS = "only AWS can tell"  # an emulator lacks what the check is about

DENIALS = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedException"}
DENIALS |= {"AuthorizationErrorException", "UnauthorizedOperation", "403"}
UNAUTHORIZED = re.compile(r"(?:User: (\S+) )?is not authorized to perform:? ([a-z0-9-]+:\w+)")


class Row(NamedTuple):
    """A check, its verdict, and what it found."""

    what: str
    verdict: str
    found: str = ""


class Measured(str):
    """The result of a check that measures and has no expectation."""


class NotChecked(Exception):
    """Ends a check that needs something that the account lacks."""


class OnlyAws(Exception):
    """Ends a check that an emulator cannot play."""


def pause():
    time.sleep(PAUSE)


def wait_for(read, what, seconds=300):
    """Polls `read()` and returns its first true value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := read():
            return value
        pause()
    raise AssertionError(f"{what} has not happened within {seconds} s")


def wait_until_deleted(cloudformation, stack):
    def is_gone():
        try:
            [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return True
            raise
        if found["StackStatus"] == "DELETE_FAILED":
            raise AssertionError(f"{stack}: DELETE_FAILED")
        return found["StackStatus"] == "DELETE_COMPLETE"

    wait_for(is_gone, f"the deletion of {stack}", 1200)


def arn(location, service, resource):
    partition, region, account = (location[key] for key in ("partition", "region", "account"))
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


def denied(error):
    """Returns what the caller was not allowed to do, or None if an error is no such denial.

    CloudFormation acts for the caller, so a denial may stand in a stack's events. A denial of the
    function's own role is no such denial: its policy is an assumption, too.
    """
    found = UNAUTHORIZED.search(str(error))
    if found:
        user, action = found.groups()
        return None if ":assumed-role/verify-mitigation-" in (user or "") else action
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in DENIALS:
        return error.operation_name
    return None


class Checks:
    """Checks and their results, as the rows of a table."""

    def __init__(self):
        self.run = uuid.uuid4().hex[:8]
        self.rows = []

    def name(self, what):
        return f"verify-{self.run}-{what}"

    def check(self, what, test):
        """Runs one check and adds its row.

        `test` returns None or True if the assumption holds, `Measured` if it measures, and
        otherwise what it found instead.
        """
        try:
            result = test()
        except NotChecked as reason:
            self.rows.append(Row(what, NOT_CHECKED, str(reason)))
        except OnlyAws as reason:
            self.rows.append(Row(what, ONLY_AWS, str(reason)))
        except Exception as error:  # is a result too, and the next check runs all the same
            if action := denied(error):
                self.rows.append(Row(what, DENIED, action))
            else:
                self.rows.append(Row(what, FALSE, f"{type(error).__name__}: {error}"))
        else:
            self.rows.append(self.row(what, result))

    @staticmethod
    def row(what, result):
        if isinstance(result, Measured):
            return Row(what, MEASURED, str(result))
        if result in (None, True):
            return Row(what, HOLDS)
        if action := denied(result):
            return Row(what, DENIED, action)
        return Row(what, FALSE, str(result))

    def all(self):
        """Runs all checks, cleans up, and returns the rows."""
        try:
            for what, test in self.CHECKS:
                self.check(what, lambda test=test: test(self))
        finally:
            self.clean_up()
        return self.rows
