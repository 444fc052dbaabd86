"""The package under Lambda's emulator, with the stand-ins for AWS behind it."""

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

from support import emulator, get, stand_ins

ROLE = "arn:aws:iam::123456789012:role/mitigation-actions/quarantine-things"
DEVICE = {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}


class Answering(BaseHTTPRequestHandler):
    """Responds to every request with the server's `status` and `error`."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.server.status)
        body = json.dumps({"__type": self.server.error, "message": "no"}).encode()
        self.send_header("x-amzn-errortype", self.server.error)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_POST

    def log_message(self, *_):
        pass


def answering(test, status, error):
    """Starts a service that responds with `status` and `error`; returns its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.status, server.error = status, error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    test.addCleanup(server.server_close)
    test.addCleanup(server.shutdown)
    return f"http://127.0.0.1:{server.server_port}"


class Logging:
    """The package under the emulator, with its log."""

    def __init__(self, test, **variables):
        self.port = stand_ins(test)
        self.aws = f"http://127.0.0.1:{self.port}"
        self.output = tempfile.NamedTemporaryFile("r", suffix=".log")
        test.addCleanup(self.output.close)
        settings = {
            "AWS_ENDPOINT_URL": self.aws,
            "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
            "ROLE_PROPAGATION_SECONDS": "0",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
        }
        with open(self.output.name, "w") as output:
            self.emulated = emulator(test, settings | variables, stdout=output)
        options = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        self.iot = boto3.client("iot", endpoint_url=self.aws, **options)

    def invoke(self, event):
        return self.emulated(json.dumps(event))

    def stack(self, kind, logical_id, name, url=None, region="eu-west-1", **more):
        """Sends a request as CloudFormation does."""
        properties = {"ActionName": name, "RoleArn": ROLE, "ActionParams": DEVICE}
        event = {
            "RequestType": kind,
            "ResponseURL": url or f"{self.aws}/response/{kind}",
            "StackId": f"arn:aws:cloudformation:{region}:123456789012:stack/fleet/0a1b",
            "RequestId": f"{kind}-{logical_id}",
            "LogicalResourceId": logical_id,
            "ResourceProperties": properties | more.pop("properties", {}),
        }
        return self.invoke(event | more)

    def plant(self, name, action="DEACTIVATE"):
        params = {"updateDeviceCertificateParams": {"action": action}}
        return self.iot.create_mitigation_action(actionName=name, roleArn=ROLE, actionParams=params)

    def lines(self):
        """Returns the log so far, without the emulator's own lines."""
        self.output.seek(0)
        parsed = [json.loads(line) for line in self.output if line.startswith("{")]
        return [line for line in parsed if "level" in line or "_aws" in line]


class Stack:
    """Sends requests as CloudFormation does to the package under the emulator."""

    def __init__(self, test):
        self.port = stand_ins(test)
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
        }
        self.emulated = emulator(test, {**variables, "ROLE_PROPAGATION_SECONDS": "0"})
        options = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
        }
        self.iot = boto3.client("iot", endpoint_url=f"http://127.0.0.1:{self.port}", **options)
        self.requests = 0

    def invoke(self, event):
        return self.emulated(json.dumps(event))

    def response_url(self):
        self.requests += 1
        url = f"http://127.0.0.1:{self.port}/response/{self.requests}"
        return url, lambda: get(url)

    def play(self, kind, logical_id, properties, **more):
        url, read = self.response_url()
        event = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/fleet/0a1b",
            "RequestId": str(self.requests),
            "LogicalResourceId": logical_id,
            "ResourceProperties": properties,
        }
        self.invoke(event | more)
        return read()
