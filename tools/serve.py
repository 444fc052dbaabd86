#!/usr/bin/env python3
"""Runs MiniStack, an emulator of AWS, on this machine until Ctrl-C. The provider is deployed to it
by `sam deploy`, and a stand-in takes the place of AWS IoT. `make serve` builds what it needs."""

import argparse
import signal
import socket
import sys

from botocore.exceptions import BotoCoreError, ClientError

import doctor
from local_aws import ACCOUNT, PACKAGE, REGION, RESULTS, STACK, STAND_INS, TOOLS, LocalAws

NEXT = """
MiniStack runs at {url}, and a stand-in for AWS IoT at {iot_url}.
The provider is deployed as the stack {stack}. Its result events go to the
queue {results_name}. Ctrl-C stops everything; nothing is kept. Roles are not checked here: on AWS
they have to exist, to trust AWS IoT, and to be in ActionRoleArns. In another terminal, in this
folder, with AWS CLI 1:

# First, set the path of the tools (tools/local/aws keeps `aws sqs` on this machine, too), and the
# endpoints that they use
export PATH="$PWD/tools/local:$PWD/.tools/sam/bin:$PATH" SAM_CLI_TELEMETRY=0
export AWS_ENDPOINT_URL={url} AWS_ENDPOINT_URL_IOT={iot_url}
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION={region}

# Deploy a template: this one, or your own
sam deploy --template-file examples/minimal.yaml --stack-name fleet --region {region} \\
  --no-confirm-changeset --capabilities CAPABILITY_NAMED_IAM

# Show the values of !GetAtt, and the action that was created
aws cloudformation describe-stacks --stack-name fleet --query 'Stacks[0].Outputs'
aws iot describe-mitigation-action --action-name fleet-quarantine

# Put a request event on the bus, and wait for its result event
id=$(examples/send-event.sh {bus})
examples/receive-result.sh {results} "$id"

# Send a plain request to the queue, and wait for its result event
id=$(aws sqs send-message --query MessageId --output text \\
  --queue-url {requests} \\
  --message-body '{{"operation": "DescribeMitigationAction", "actionName": "device-quarantine"}}')
examples/receive-result.sh {results} "$id"

# Call the function directly
aws lambda invoke --function-name {function} \\
  --payload fileb://events/direct-create.json /tmp/returned.json
cat /tmp/returned.json; echo

# Read the outcomes, the warnings and the errors in the function's log
aws logs filter-log-events --log-group-name {log} \\
  --output text --query "events[?contains(message, ' INFO ') || contains(message, ' WARN ') \\
  || contains(message, 'ERROR ')].[message]"

# Delete the stack, and with it the action
aws cloudformation delete-stack --stack-name fleet
"""


def tools_are_there():
    for program in [STAND_INS[0], TOOLS / "ministack" / "bin" / "ministack"]:
        if not program.is_file():
            print(f"{program.name} is missing: run `make serve` to build and install it")
            return False
    if problem := doctor.package(PACKAGE / "bootstrap"):
        print(problem)
        return False
    return True


def bridge():
    """Returns the address at which containers reach this machine, if Docker has a bridge."""
    try:
        socket.create_server((doctor.BRIDGE, 0)).close()
        return [doctor.BRIDGE]
    except OSError:
        return []


def announce(aws):
    outputs = aws.outputs()
    print(
        NEXT.format(
            url=aws.url,
            iot_url=aws.iot_url,
            region=REGION,
            stack=STACK,
            bus=outputs["RequestBusName"],
            log=aws.log_group(),
            results_name=RESULTS,
            results=f"{aws.url}/{ACCOUNT}/{RESULTS}",
            requests=outputs["RequestQueueUrl"],
            function=outputs["ServiceToken"].split(":")[-1],
        ),
        flush=True,
    )


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=doctor.MINISTACK, help="the port of MiniStack")
    parser.add_argument(
        "--stand-ins-port", type=int, default=doctor.STAND_INS, help="the port of the stand-ins"
    )
    options = parser.parse_args()
    if not tools_are_there():
        return 1
    if problem := doctor.ports(f"{options.port},{options.stand_ins_port}"):
        print(problem)
        return 1
    for name in [signal.SIGINT, signal.SIGTERM]:
        signal.signal(name, interrupt)
    hosts = ["127.0.0.1", *bridge()]
    aws = None
    try:
        aws = LocalAws(options.port, options.stand_ins_port, hosts)
        print("sam deploy (ten seconds)", flush=True)
        aws.deploy_provider()
        announce(aws)
        if len(hosts) > 1:
            chosen = options.stand_ins_port
            port = "" if chosen == doctor.STAND_INS else f" STAND_INS_PORT={chosen}"
            print(f"`make local EVENT=...{port}` in another terminal uses the same stand-ins.")
            sys.stdout.flush()
        aws.wait()
    except KeyboardInterrupt:
        print("\nStopped; nothing is kept")
        return 0
    except (RuntimeError, BotoCoreError, ClientError) as error:
        print(error)
        return 1
    finally:
        if aws:
            aws.stop()


if __name__ == "__main__":
    sys.exit(main())
