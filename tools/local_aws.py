"""AWS on this machine: MiniStack, with the provider deployed to it by the SAM CLI.

`make serve` and the tests in tests/deploy share this module. MiniStack has no mitigation actions,
so this project's stand-in takes the place of AWS IoT.

Where MiniStack differs from AWS (tests/deploy/test_ministack_differences.py checks some of these):

- It rejects AWS::Logs::QueryDefinition and alarms with metric math, so `template` removes them. It
  rejects AWS::IoT::MitigationAction, too.
- It resolves neither Fn::Sub nor Fn::Split in Conditions, so it does not recognize a bus in
  `ResultBus` as one of the same account.
- It invokes a custom resource synchronously and once, where CloudFormation invokes it
  asynchronously and Lambda retries.
- It sends no Delete after a failed Create. After a rename that is rolled back because a later
  resource failed, it sends the Delete of the new id and no reverse Update.
- It creates the resources of a stack one after another.
- Its ResponseURL is plain HTTP, without a signature or an expiry.
- It rejects a topic as a service token.
- It does not support the dead-letter queue of an EventBridge target.
- It writes the log as text, and extracts no metrics from the embedded metric format.
- It retries an asynchronous invocation after seconds, not minutes (here a tenth of a second).
- It enforces no IAM policies. With AUTH=true it denies events:PutEvents, because it does not
  support the condition key events:source.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import boto3
from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
PACKAGE = ROOT / ".aws-sam" / "build" / "Function"
STAND_INS = [ROOT / "target" / "debug" / "stand-ins", "listen"]

ACCOUNT = "123456789012"
REGION = "eu-west-1"
STACK = "mitigation-action-provider"
RESULTS = "results"  # the name of a queue that receives every result event, and of its rule


def load(path):
    """Returns a template of the project as JSON, with the full form of intrinsic functions."""
    return json.loads(json.dumps(cfn_yaml.load(str(ROOT / path))))


def template(iot_endpoint, eventbridge_endpoint):
    """Returns the project's template with only the changes that MiniStack needs."""
    changed = load("template.yaml")
    resources = changed["Resources"]
    function = resources["Function"]
    del function["Metadata"]["BuildMethod"]
    function["Properties"]["CodeUri"] = str(PACKAGE)
    variables = function["Properties"]["Environment"]["Variables"]
    variables["AWS_ENDPOINT_URL_IOT"] = iot_endpoint
    variables["AWS_ENDPOINT_URL_EVENTBRIDGE"] = eventbridge_endpoint
    for name, resource in list(resources.items()):
        if is_refused(resource):
            del resources[name]
    return changed


def is_refused(resource):
    """Returns whether MiniStack rejects a resource: a saved query, or an alarm with metric math."""
    saved_query = resource["Type"] == "AWS::Logs::QueryDefinition"
    return saved_query or "Metrics" in resource.get("Properties", {})


def start(arguments, **options):
    """Starts a process that does not receive Ctrl-C; the caller has to stop it."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    return subprocess.Popen(arguments, start_new_session=True, **{**quiet, **options})


def stop(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_port(port, process, host="127.0.0.1"):
    """Waits until something listens on the port; raises an error if the process has exited."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} exited with code {process.returncode}")
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on {host}:{port}")


class LocalAws:
    """MiniStack and the stand-ins, running from construction until `stop`. Nothing is kept."""

    def __init__(self, port, stand_ins_port, stand_ins_hosts=("127.0.0.1",)):
        self.url = f"http://127.0.0.1:{port}"
        self.iot_url = f"http://127.0.0.1:{stand_ins_port}"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ministack-"))
        self.processes = []
        addresses = [f"{host}:{stand_ins_port}" for host in stand_ins_hosts]
        try:
            self._start(stand_ins_port, [*STAND_INS, *addresses])
            ministack = [TOOLS / "ministack" / "bin" / "ministack"]
            with open(self.folder / "ministack.log", "wb") as log:
                self._start(port, ministack, env=self._settings(port), stdout=log)
        except BaseException:
            self.stop()
            raise

    def _start(self, port, arguments, **options):
        process = start(arguments, **options)
        self.processes.append(process)
        wait_for_port(port, process)

    def _settings(self, port):
        return {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(self.folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
        }

    def wait(self):
        """Waits until a process exits by itself, which is an error."""
        while True:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args[0]} exited with {process.returncode}")
            time.sleep(0.5)

    def stop(self):
        for process in reversed(self.processes):
            stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """Returns an environment in which tools use this AWS and no settings of the machine."""
        return {
            "PATH": os.pathsep.join([f"{TOOLS}/sam/bin", f"{TOOLS}/aws/bin", os.environ["PATH"]]),
            "HOME": os.environ.get("HOME", "/root"),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_IOT": self.iot_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service):
        endpoint = self.iot_url if service == "iot" else self.url
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def deploy_provider(self):
        """Deploys the provider with `sam deploy`; the queue `RESULTS` gets its result events."""
        path = self.folder / "template.json"
        path.write_text(json.dumps(template(self.iot_url, self.url)))
        parameters = [
            f"ActionRoleArns=arn:aws:iam::{ACCOUNT}:role/mitigation-actions/*",
            "CreateTopic=true",
            f"BreakGlassPrincipalArns=arn:aws:iam::{ACCOUNT}:root",
            "RolePropagationSeconds=0",
            "ResponseUrlAllowedHosts=127.0.0.1",
        ]
        deploy = ["sam", "deploy", "--template-file", path, "--stack-name", STACK, "--resolve-s3"]
        deploy += ["--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM"]
        deploy += ["--parameter-overrides", *parameters]
        done = subprocess.run(
            deploy, env=self.environment(), cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"sam deploy failed:\n{done.stdout}\n{done.stderr}")
        self._make_result_queue(f"{STACK}-results")

    def outputs(self):
        """Returns the outputs of the provider's stack."""
        [stack] = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def log_group(self):
        """Returns the name of the log group of the deployed function."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId="LogGroup"
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def _make_result_queue(self, bus):
        sqs, events = self.client("sqs"), self.client("events")
        queue = sqs.create_queue(QueueName=RESULTS)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        target = {"Id": "queue", "Arn": attributes["Attributes"]["QueueArn"]}
        pattern = json.dumps({"source": ["mitigation-action-provider"]})
        events.put_rule(Name=RESULTS, EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule=RESULTS, EventBusName=bus, Targets=[target])
