"""What all checks share: a list of checks that yields the rows of a table, and waiting."""

import time
import uuid

from botocore.exceptions import ClientError

DEVICE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
CA = {"updateCACertificateParams": {"action": "DEACTIVATE"}}
PAUSE = 2  # seconds between polls


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
            return "does not exist" in str(error)
        if found["StackStatus"] == "DELETE_FAILED":
            raise AssertionError(f"{stack}: DELETE_FAILED")
        return found["StackStatus"] == "DELETE_COMPLETE"

    wait_for(is_gone, f"the deletion of {stack}", 1200)


def arn(location, service, resource):
    partition, region, account = (location[key] for key in ("partition", "region", "account"))
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


class Measured(str):
    """The result of a check that measures and has no expectation."""


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
        except Exception as error:  # is a result too, and the next check runs all the same
            result = f"{type(error).__name__}: {error}"
        if isinstance(result, Measured):
            self.rows.append((what, str(result)))
        else:
            held = result in (None, True)
            self.rows.append((what, "holds" if held else f"does not hold: {result}"))

    def all(self):
        """Runs all checks, cleans up, and returns the rows."""
        try:
            for what, test in self.CHECKS:
                self.check(what, lambda test=test: test(self))
        finally:
            self.clean_up()
        return self.rows
