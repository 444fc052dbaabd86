"""Verifies in an AWS account what the tests can only assume. Run by `make verify-aws`.

It deploys the provider with SAM under a name of its own, so that no alarm of another deployment
watches it. It then checks what CloudFormation sends, each assumption about AWS IoT, each row of the
life-cycle table, a stack with all kinds of actions, a canceled rename, and an event's way through
the request bus, the queue and the result bus. It applies an action to the finding of an audit.
Finally it removes everything that it created, even after an error, except SAM's bucket and its
stack aws-sam-cli-managed-default. It changes nothing that it did not create: all its names begin
with verify-. It takes about half an hour; an audit of a large account takes longer.

It prints a report in Markdown, without account numbers, and writes it to target/verify-aws.md. You
can paste it into an issue. A check that the caller may not make is "not allowed", not false.

docs/verifying.md says what it needs: the permissions of a deployer and those of
tools/verify_aws/caller.json; a role for the actions, which tools/verify_aws/role.yaml creates; and,
to apply an action, the audit check IOT_POLICY_OVERLY_PERMISSIVE_CHECK.

With --fill-quota it also creates actions until AWS IoT rejects more. For some seconds, nobody else
can create an action.

Its authors have not run it against AWS, because they had no access. The tests run it against
MiniStack and the stand-in for AWS IoT, and what those lack against a model.
"""

import argparse
import datetime
import pathlib
import sys
import tomllib

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if not __package__:  # run as a folder: `python tools/verify_aws`
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

from verify_aws.checks import DENIED, FALSE
from verify_aws.cloudformation_checks import CloudFormationChecks
from verify_aws.deployment_checks import DeploymentChecks
from verify_aws.function_checks import FunctionChecks
from verify_aws.provider import Provider
from verify_aws.report import report

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse_arguments():
    options = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--region", required=True)
    options.add_argument("--role", required=True, help="the ARN of a role for the actions")
    options.add_argument(
        "--fill-quota", action="store_true", help="also measure what needs all 100 actions"
    )
    return options.parse_args()


def locate(session):
    """Returns the partition, the region and the account of a session."""
    try:
        identity = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"missing: expected credentials of an AWS account ({error})")
    return {
        "partition": identity["Arn"].split(":")[1],
        "region": session.region_name,
        "account": identity["Account"],
    }


def publish(rows, location, options):
    """Prints the report and writes it to a file."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    facts = {
        "version": version,
        "region": location["region"],
        "partition": location["partition"],
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "role": options.role,
    }
    page = report(rows, "Verification of mitigation-action-provider on AWS", facts)
    print(page)
    path = ROOT / "target" / "verify-aws.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(page)
    print(f"The report is in {path}", file=sys.stderr)


def exit_code(rows):
    return 1 if any(row.verdict in (DENIED, FALSE) for row in rows) else 0


def main():
    options = parse_arguments()
    session = boto3.session.Session(region_name=options.region)
    location = locate(session)
    provider = Provider(session, location, options.role)
    rows = []
    try:
        rows += CloudFormationChecks(session.client, location).all()
        provider.deploy()
        function = FunctionChecks(
            session.client("iot"), provider.invoke, provider.response_url, location, options.role
        )
        if options.fill_quota:
            function.CHECKS = [*function.CHECKS, function.FILLING]
        deployment = DeploymentChecks(session.client, provider.stack, options.role)
        rows += function.all()
        rows += deployment.all()
    finally:
        what = "everything that was created, except SAM's bucket and its stack"
        print(f"Removing {what}", file=sys.stderr)
        try:
            provider.remove()
        finally:
            publish(rows, location, options)
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
