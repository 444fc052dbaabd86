"""The loop of Lambda's Runtime API. It is smaller than the client in Lambda's own images."""

import http.client
import json
import os
import time

import function


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.log_stream_name = "local"
        self._deadline = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)


runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", "/2018-06-01/runtime/invocation/next")
    try:
        event = runtime.getresponse()
    except OSError:
        os._exit(0)
    context = Context(event.headers)
    result = function.handler(json.loads(event.read()), context)
    path = f"/2018-06-01/runtime/invocation/{context.aws_request_id}/response"
    runtime.request("POST", path, json.dumps(result))
    runtime.getresponse().read()
