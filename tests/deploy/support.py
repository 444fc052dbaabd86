"""Helpers that the deploy tests share: paths, processes, the stand-ins, and every example event in
a meaningful order."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import local_aws
from local_aws import PACKAGE, ROOT, TOOLS, wait_for_port

# Nothing of this machine's own configuration: the tools get only what they need.
ENVIRONMENT = {
    "PATH": f"{TOOLS}/sam/bin:{os.environ['PATH']}",
    "HOME": os.environ.get("HOME", "/root"),
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEACCESSKEY",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIexampleSECRETkeyEXAMPLE12345",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_TELEMETRY": "0",
}

# Each example event with its outcome: the Status for CloudFormation, the result, or the error.
STORY = [
    ("create-add-things-to-thing-group", "SUCCESS"),
    ("update", "SUCCESS"),
    ("rename", "SUCCESS"),
    ("delete", "SUCCESS"),
    ("create-enable-iot-logging", "SUCCESS"),
    ("create-publish-finding-to-sns", "SUCCESS"),
    ("create-replace-default-policy-version", "SUCCESS"),
    ("create-update-ca-certificate", "SUCCESS"),
    ("create-update-device-certificate", "SUCCESS"),
    ("create-without-name", "SUCCESS"),
    ("create-adopt", "SUCCESS"),
    ("create-invalid", "FAILED"),
    ("notification", "SUCCESS"),
    ("event-create", "CREATED"),
    ("event-update", "UPDATED"),
    ("event-describe", "DESCRIBED"),
    ("event-delete", "DELETED"),
    ("event-invalid", "FAILED"),
    ("event-result", "IGNORED"),
    ("event-result-failed", "IGNORED"),
    ("direct-create", "CREATED"),
    ("direct-update", "UPDATED"),
    ("direct-describe", "DESCRIBED"),
    ("direct-delete", "DELETED"),
    ("direct-invalid", "InvalidRequestException"),
    ("batch", ["19dd0b57-b21e-4ac1-bd88-01bbb068cb74"]),
]


def sample(name, address="127.0.0.1:9010"):
    """Returns the text of an example event whose response goes to the stand-ins at `address`."""
    return (ROOT / "events" / f"{name}.json").read_text().replace("127.0.0.1:9010", address)


def outcome(result):
    """Returns the outcome that a result of the function states."""
    if "batchItemFailures" in result:
        return [failure["itemIdentifier"] for failure in result["batchItemFailures"]]
    return (
        result.get("errorType")
        or result.get("outcome")
        or result.get("Status")
        or result.get("status")
    )


def check_story(test, invoke):
    """Checks the outcome of every example event; `invoke` takes a name and returns the result."""
    names = {path.stem for path in (ROOT / "events").glob("*.json")}
    test.assertEqual(names, {name for name, _ in STORY}, "every example event is sent")
    for name, expected in STORY:
        with test.subTest(event=name):
            test.assertEqual(outcome(invoke(name)), expected)


def anchors(text):
    """Returns the anchors of a page's headings, as GitHub derives them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def post(url, body, headers=None):
    request = urllib.request.Request(url, body.encode(), headers or {}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


class Running:
    """A process that ends with the test."""

    def __init__(self, test, arguments, **options):
        self.process = local_aws.start(arguments, **options)
        test.addCleanup(local_aws.stop, self.process)


def stand_ins(test, hosts=("127.0.0.1",)):
    """Starts the stand-ins for AWS; returns their port."""
    port = free_port()
    running = Running(test, [*local_aws.STAND_INS, *(f"{host}:{port}" for host in hosts)])
    wait_for_port(port, running.process)
    return port


def moto(test):
    """Starts the moto server; returns its address and a function that creates a client."""
    import boto3

    port = free_port()
    server = Running(
        test, [TOOLS / "aws" / "bin" / "moto_server", "-p", str(port)], env=ENVIRONMENT
    )
    wait_for_port(port, server.process)
    address = f"http://127.0.0.1:{port}"
    options = {"region_name": "eu-west-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    return address, lambda service: boto3.client(service, endpoint_url=address, **options)


def run(arguments, environment=None, **options):
    """Runs a tool and returns its output. If the tool fails, the error contains the output."""
    environment = {**ENVIRONMENT, **(environment or {})}
    options = {"cwd": ROOT, "capture_output": True, "text": True, **options}
    done = subprocess.run(arguments, env=environment, **options)
    if done.returncode != 0:
        raise AssertionError(
            f"{arguments} has failed with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def emulator(test, variables, stdout=subprocess.DEVNULL, bootstrap=PACKAGE / "bootstrap"):
    """Starts the package, or another program, under the Lambda runtime interface emulator; returns
    a function that invokes it."""
    port, runtime = free_port(), free_port()
    rapid = next(
        (TOOLS / "sam").glob("lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64")
    )
    addresses = [
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{runtime}",
    ]
    rapid.chmod(0o755)
    running = Running(
        test,
        [rapid, *addresses, bootstrap],
        stdout=stdout,
        env={**ENVIRONMENT, **variables},
    )
    wait_for_port(port, running.process)
    return lambda body: post(
        f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations", body
    )


def check_samples(test, bootstrap):
    """Checks the result, the response and the result events of every example event with a program
    under the emulator."""
    port = stand_ins(test)
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
        "RESULT_EVENT_BUS": "results",
        "ROLE_PROPAGATION_SECONDS": "0",
    }
    invoke = emulator(test, variables, bootstrap=bootstrap)

    def play(name):
        get(f"http://127.0.0.1:{port}/local/events")
        result = invoke(sample(name, f"127.0.0.1:{port}"))
        if "Status" in result:
            response = get(f"http://127.0.0.1:{port}/response/{name}")
            test.assertEqual(response, result, "the response to CloudFormation")
        events = get(f"http://127.0.0.1:{port}/local/events")
        single = int(name.startswith("event-") and "result" not in name)
        test.assertEqual(len(events), 3 if name == "batch" else single, "result events")
        return result

    check_story(test, play)
