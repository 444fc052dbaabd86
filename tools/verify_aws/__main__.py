"""Verifies in an AWS account what the tests can only assume. Run by `make verify-aws`.

It deploys the provider with SAM under a name of its own, so that no alarm of another deployment
watches it. It then checks each assumption about AWS IoT, each row of the life-cycle table, a stack
with all kinds of actions, and an event's way through the request bus, the queue and the result
bus. It measures what only AWS can tell and prints a table. Finally it removes everything that it
created, even after an error, except SAM's bucket and its stack aws-sam-cli-managed-default. It
changes nothing that it did not create: all its names begin with verify-.

It needs the credentials of a deployer (examples/policies/deployer.json, for stacks verify-*), and
iot:*MitigationAction*, iot:*Tag*, s3:* on its bucket, and SQS, EventBridge and CloudWatch. With
--fill-quota it also creates actions until AWS IoT rejects more. For some seconds, nobody else can
create an action.

Its authors have not run it against AWS, because they had no access. The tests run it against
MiniStack and the stand-in for AWS IoT.
"""

import argparse
import pathlib
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if not __package__:  # run as a folder: `python tools/verify_aws`
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])

from verify_aws.deployment_checks import DeploymentChecks
from verify_aws.function_checks import FunctionChecks
from verify_aws.provider import Provider


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


def print_table(rows):
    width = max(len(what) for what, _ in rows)
    for what, result in rows:
        print(f"{what:<{width}}  {result}")


def main():
    options = parse_arguments()
    session = boto3.session.Session(region_name=options.region)
    location = locate(session)
    provider = Provider(session, location, options.role)
    try:
        provider.deploy()
        function = FunctionChecks(
            session.client("iot"), provider.invoke, provider.response_url, location, options.role
        )
        if options.fill_quota:
            function.CHECKS = [*function.CHECKS, function.FILLING]
        deployment = DeploymentChecks(session.client, provider.stack, options.role)
        rows = function.all() + deployment.all()
        print_table(rows)
        return 1 if any(result.startswith("does not hold") for _, result in rows) else 0
    finally:
        print("Removing everything that was created, except SAM's bucket and its stack")
        provider.remove()


if __name__ == "__main__":
    sys.exit(main())
