"""A model of CloudFormation for custom resources whose service token is a topic.

It works on the resources of a stack at once and cancels those that still run when one fails, which
MiniStack does not.
"""

import itertools
import json
import types


class Model:
    """Stands in for boto3's client of CloudFormation. `publish` takes the text of each request;
    `put` is where responses go."""

    HOST = "cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com"

    def __init__(self, publish, seconds=1):
        self.publish, self.seconds = publish, seconds
        self.meta = types.SimpleNamespace(
            endpoint_url="https://cloudformation.eu-west-1.amazonaws.com"
        )
        self.stacks, self.open, self.count = {}, {}, itertools.count(1)

    # The client's methods.

    def create_stack(self, StackName, TemplateBody):
        id = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{StackName}/0a1b"
        stack = types.SimpleNamespace(id=id, status="CREATE_IN_PROGRESS", ids={}, failed=[])
        stack.old, stack.new = {}, self._names(TemplateBody)
        self.stacks[id] = stack
        for logical_id in stack.new:
            self._send(stack, "Create", logical_id)
        return {"StackId": id}

    def update_stack(self, StackName, TemplateBody):
        stack = self.stacks[StackName]
        stack.status = "UPDATE_IN_PROGRESS"
        stack.old, stack.new = stack.new, self._names(TemplateBody)
        for logical_id in stack.new:
            self._send(stack, "Update", logical_id)

    def delete_stack(self, StackName):
        stack = self.stacks[StackName]
        stack.status = "DELETE_IN_PROGRESS"
        self._delete_all(stack)

    def describe_stacks(self, StackName):
        return {"Stacks": [{"StackStatus": self.stacks[StackName].status}]}

    def describe_stack_events(self, StackName):
        failed = self.stacks[StackName].failed
        events = [{"ResourceStatus": "FAILED", "ResourceStatusReason": why} for why in failed]
        return {"StackEvents": events}

    # Responses.

    def put(self, url, body):
        stack, kind, logical_id = self.open.pop(url)
        response = json.loads(body)
        if kind == "Delete":
            del stack.ids[logical_id]
        elif response["Status"] == "FAILED":
            stack.failed.append(response["Reason"])
            stack.ids.setdefault(logical_id, response["PhysicalResourceId"])
            self._roll_back(stack)
            return
        else:
            stack.ids[logical_id] = response["PhysicalResourceId"]
        if not any(waiting is stack for waiting, _, _ in self.open.values()):
            self._end(stack)

    # How it works.

    @staticmethod
    def _names(template):
        resources = json.loads(template)["Resources"]
        return {name: resource["Properties"] for name, resource in resources.items()}

    def _send(self, stack, kind, logical_id):
        number = next(self.count)
        date = f"20261128T1200{number * self.seconds:02d}Z"
        query = f"X-Amz-Date={date}&X-Amz-Expires=7200&X-Amz-SignedHeaders=host&n={number}"
        url = f"https://{self.HOST}/response?{query}"
        self.open[url] = stack, kind, logical_id
        request = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": stack.id,
            "RequestId": str(number),
            "LogicalResourceId": logical_id,
            "ResourceProperties": stack.new[logical_id],
        }
        if kind != "Create":
            request["PhysicalResourceId"] = stack.ids[logical_id]
        if kind == "Update":
            request["OldResourceProperties"] = stack.old[logical_id]
        self.publish(json.dumps(request))

    def _roll_back(self, stack):
        running = [url for url, (waiting, _, _) in self.open.items() if waiting is stack]
        for url in running:
            _, _, logical_id = self.open.pop(url)
            stack.ids.setdefault(logical_id, f"stack-{logical_id}-INVENTED")
        if stack.status == "CREATE_IN_PROGRESS":
            stack.status = "ROLLBACK_IN_PROGRESS"
            self._delete_all(stack)
        else:
            stack.status = "UPDATE_ROLLBACK_IN_PROGRESS"
            stack.old, stack.new = stack.new, stack.old
            for logical_id in stack.new:
                self._send(stack, "Update", logical_id)

    def _delete_all(self, stack):
        for logical_id in stack.ids:
            self._send(stack, "Delete", logical_id)
        if not stack.ids:
            self._end(stack)

    @staticmethod
    def _end(stack):
        stack.status = stack.status.replace("_IN_PROGRESS", "_COMPLETE")
