"""The package that `sam build` builds, under the Lambda emulator and in a container."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

from support import (
    ENVIRONMENT,
    PACKAGE,
    ROOT,
    TOOLS,
    Running,
    check_samples,
    check_story,
    emulator,
    free_port,
    get,
    post,
    run,
    sample,
    stand_ins,
    wait_for_port,
)

NEWEST_GLIBC = (2, 34)  # of provided.al2023


class Package(unittest.TestCase):
    def test_it_holds_the_binary_and_nothing_else(self):
        self.assertEqual([path.name for path in PACKAGE.iterdir()], ["bootstrap"])

    def test_it_runs_on_the_glibc_of_the_runtime(self):
        symbols = re.findall(rb"GLIBC_(\d+)\.(\d+)", (PACKAGE / "bootstrap").read_bytes())
        needed = max((int(major), int(minor)) for major, minor in symbols)
        self.assertLessEqual(needed, NEWEST_GLIBC)


class Emulator(unittest.TestCase):
    def test_it_handles_every_sample_in_the_runtime_interface_emulator(self):
        check_samples(self, PACKAGE / "bootstrap")


class Presigned(unittest.TestCase):
    """A server that verifies presigned signatures accepts the response."""

    PROGRAM = """
const S3rver = require("s3rver");
const [port, directory] = process.argv.slice(1);
new S3rver({ port: Number(port), address: "127.0.0.1", directory, silent: true,
  allowMismatchedSignatures: false, vhostBuckets: false,
  configureBuckets: [{ name: "responses" }] }).run();
"""
    SIGN = """
import sys, boto3
from botocore.config import Config
config = Config(signature_version=sys.argv[2], s3={"addressing_style": "path"})
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="eu-west-1", config=config,
    aws_access_key_id="S3RVER", aws_secret_access_key="S3RVER")
params = {"Bucket": "responses", "Key": "response"}
print(client.generate_presigned_url("put_object", Params=params, ExpiresIn=7200))
"""

    def test_the_response_is_stored(self):
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        bucket, port = free_port(), stand_ins(self)
        environment = {**ENVIRONMENT, "NODE_PATH": str(ROOT / "tools" / "node_modules")}
        server = Running(
            self, ["node", "-e", self.PROGRAM, str(bucket), directory], env=environment
        )
        wait_for_port(bucket, server.process)
        python = TOOLS / "aws" / "bin" / "python"
        url = run([python, "-c", self.SIGN, f"http://127.0.0.1:{bucket}", "s3"]).strip()

        # The server is strict: a Content-Type changes the signature.
        typed = urllib.request.Request(
            url, b"{}", {"Content-Type": "application/json"}, method="PUT"
        )
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(typed)
        self.assertEqual(refused.exception.code, 403)

        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
        }
        invoke = emulator(self, variables)
        event = json.loads(sample("create-publish-finding-to-sns")) | {"ResponseURL": url}
        self.assertEqual(invoke(json.dumps(event))["Status"], "SUCCESS")
        forged = invoke(
            json.dumps(event | {"ResponseURL": url.replace("Signature=", "Signature=x")})
        )
        self.assertEqual(forged["errorType"], "UndeliverableResponse")


ROLE = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
CREATE = {
    "command": "create-mitigation-action",
    "action_name": "a",
    "role_arn": ROLE,
    "action_params": '{"updateDeviceCertificateParams":{"action":"DEACTIVATE"}}',
}
DISABLED = {"enableIoTLoggingParams": {"logLevel": "DISABLED", "roleArnForLogging": ROLE}}
# Each makes the command above invalid.
INVALID = [
    {"action_name": "b", "action_params": json.dumps(DISABLED)},
    {"action_name": "a b"},
]


class CommandLine(unittest.TestCase):
    """The stand-ins respond to the AWS CLI as the service model says."""

    def setUp(self):
        self.port = stand_ins(self)

    def aws(self, command, **options):
        """Runs a command of `aws iot`; returns its output as JSON, or what it wrote to stderr."""
        arguments = [TOOLS / "aws" / "bin" / "aws", "--output", "json"]
        arguments += ["--endpoint-url", f"http://127.0.0.1:{self.port}", "iot", command]
        for name, value in options.items():
            values = [value] if isinstance(value, str) else value
            arguments += [f"--{name.replace('_', '-')}", *values]
        done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True)
        return json.loads(done.stdout or "{}") if done.returncode == 0 else done.stderr

    def test_valid_and_invalid_commands(self):
        made = self.aws(**CREATE)
        arn = made["actionArn"]
        self.assertEqual(self.aws(**CREATE), made, "an identical create is a replay")
        error = self.aws(**CREATE, tags="Key=k,Value=v")
        self.assertIn("ResourceAlreadyExistsException", error)
        described = self.aws("describe-mitigation-action", action_name="a")
        self.assertEqual(described["actionType"], "UPDATE_DEVICE_CERTIFICATE")
        tags = [f"Key=k{n},Value=v" for n in range(5)]
        self.assertEqual(self.aws("tag-resource", resource_arn=arn, tags=tags), {})
        listed = self.aws("list-tags-for-resource", resource_arn=arn)["tags"]
        self.assertEqual(len(listed), 5, "all pages")
        self.assertEqual(self.aws("untag-resource", resource_arn=arn, tag_keys="k0"), {})
        update = {"command": "update-mitigation-action", "action_name": "a"}
        self.assertEqual(self.aws(**update, role_arn=f"{ROLE}2")["actionArn"], arn)
        listed = self.aws("list-mitigation-actions")["actionIdentifiers"]
        self.assertEqual([action["actionName"] for action in listed], ["a"])
        delete = {"command": "delete-mitigation-action", "action_name": "a"}
        self.assertEqual(self.aws(**delete), {})
        self.assertEqual(self.aws(**delete), {}, "a missing action is no error")
        error = self.aws("describe-mitigation-action", action_name="a")
        self.assertIn("ResourceNotFoundException", error)
        error = self.aws("list-tags-for-resource", resource_arn=arn)
        self.assertIn("ResourceNotFoundException", error)
        for changed in INVALID:
            self.assertIn("InvalidRequestException", self.aws(**CREATE | changed), changed)


def docker_runs():
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "info"], capture_output=True).returncode == 0


@unittest.skipUnless(
    docker_runs() or os.environ.get("CI"),
    "no Docker engine is running",
)
class Container(unittest.TestCase):
    """The package in a container of `sam local`, reaching the stand-ins on the host."""

    HOST = "host.docker.internal"

    @classmethod
    def setUpClass(cls):
        run([ROOT / "tools" / "base-image"])
        bridge = [
            "docker",
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ]
        cls.gateway = run(bridge).strip() or "172.17.0.1"

    def environment_file(self, port):
        local = json.loads((ROOT / "local" / "env.json").read_text())
        text = json.dumps(local).replace(":9010", f":{port}")
        file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
        self.addCleanup(os.unlink, file.name)
        file.write(text)
        file.close()
        return file.name

    def options(self, port):
        host = f"{self.HOST}:{self.gateway}"
        return ["--skip-pull-image", "--env-vars", self.environment_file(port), "--add-host", host]

    def test_it_handles_every_sample_in_a_container(self):
        port = stand_ins(self, ["127.0.0.1", self.gateway])
        api = free_port()
        server = [
            "sam",
            "local",
            "start-lambda",
            "--port",
            str(api),
            "--warm-containers",
            "EAGER",
            *self.options(port),
        ]
        running = Running(self, server, env=ENVIRONMENT, cwd=ROOT)
        wait_for_port(api, running.process)
        url = f"http://127.0.0.1:{api}/2015-03-31/functions/Function/invocations"

        def play(name):
            return post(url, sample(name, f"{self.HOST}:{port}"))

        check_story(self, play)

    def test_sam_local_invoke_responds_as_the_readme_shows(self):
        port = stand_ins(self, ["127.0.0.1", self.gateway])
        name = "create-add-things-to-thing-group"
        invoke = ["sam", "local", "invoke", "Function", "--event", "-", *self.options(port)]
        returned = json.loads(run(invoke, input=sample(name, f"{self.HOST}:{port}")))
        self.assertEqual(returned["Status"], "SUCCESS")
        self.assertEqual(get(f"http://127.0.0.1:{port}/response/{name}"), returned)


if __name__ == "__main__":
    unittest.main()
