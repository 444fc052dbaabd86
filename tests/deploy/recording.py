"""A proxy in front of an AWS that records each request as the API operation and its parameters."""

import functools
import http.client
import json
import re
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import botocore.session


class Recorded(NamedTuple):
    service: str
    operation: str
    parameters: dict


class Recorder:
    """Forwards to `url` until the test ends; `calls` has every signed request."""

    def __init__(self, test, url):
        self.target = urllib.parse.urlsplit(url)
        self.calls = []
        handler = type("Handler", (Forwarding,), {"recorder": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"


class Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        target = self.recorder.target
        call = recorded(self.command, self.path, self.headers, body)
        if call:
            self.recorder.calls.append(call)
        upstream = http.client.HTTPConnection(target.hostname, target.port, timeout=120)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        upstream.request(self.command, self.path, body, headers)
        response = upstream.getresponse()
        content = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = response.getheader("content-length") if self.command == "HEAD" else len(content)
        self.send_header("content-length", str(length or 0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        upstream.close()

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = forward

    def log_message(self, *_):
        pass


def recorded(method, path, headers, body):
    """Returns the call in a request, or nothing if the request is not signed."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
    if scope is None:
        return None
    service = scope[1]
    if "x-amz-target" in headers:
        operation = headers["x-amz-target"].split(".")[-1]
        return Recorded(service, operation, json.loads(body or b"{}"))
    form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
    if "Action" in form:
        parameters = {name: values[0] for name, values in form.items()}
        return Recorded(service, form["Action"][0], parameters)
    return rest_call(service, method, path, headers, body)


@functools.cache
def model_of(service):
    return botocore.session.get_session().get_service_model(service)


def rest_call(service, method, path, headers, body):
    """Returns the call in a REST request: the operation with the most that this request has."""
    address = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(address.query, keep_blank_values=True)
    found, most = None, -1
    for name in model_of(service).operation_names:
        operation = model_of(service).operation_model(name)
        template = urllib.parse.urlsplit(operation.http["requestUri"])
        fixed = urllib.parse.parse_qs(template.query, keep_blank_values=True)
        pattern = re.sub(r"\\{(\w+)(\\\+)?\\}", named_group, re.escape(template.path))
        matched = re.fullmatch(pattern, address.path)
        if operation.http["method"] != method or not matched or not fixed.items() <= query.items():
            continue
        required = list(members(operation, "querystring")) + list(members(operation, "header"))
        given = [name for name in required if name in query or name in headers]
        if len(given) == len(required) and len(fixed) + len(given) > most:
            found, most = (name, matched.groupdict()), len(fixed) + len(given)
    if found is None:
        raise ValueError(f"no operation of {service} for {method} {path}")
    parameters = {name: urllib.parse.unquote(value) for name, value in found[1].items()}
    parameters |= {name: values[0] for name, values in query.items()}
    if service != "s3" and body:
        parameters |= json.loads(body)
    return Recorded(service, found[0], parameters)


def members(operation, location):
    """Yields the names on the wire of the required members at a location of the request."""
    shape = operation.input_shape
    for name in shape.required_members if shape else []:
        given = shape.members[name].serialization
        if given.get("location") == location:
            yield given["name"]


def named_group(found):
    return f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})"
