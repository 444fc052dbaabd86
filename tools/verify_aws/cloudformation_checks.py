"""Questions to CloudFormation that the life cycle builds on: what it sends, when, and where to.

These stacks' service token is a topic whose messages this program receives from a queue. So it sees
each request as it is, and responds when it likes. No provider takes part.
"""

import json
import re
import time
import urllib.request
from urllib.parse import parse_qs, urlsplit

from verify_aws.checks import Checks, Measured, NotChecked, OnlyAws, pause, wait_until_deleted

# How long this program may keep a request waiting.
SERVICE_TIMEOUT = 300


def put(url, body):
    """Sends a response as a custom resource does: without a content type."""
    headers = {"Content-Type": ""}
    request = urllib.request.Request(url, body, headers, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


def is_accepted(host, region):
    """Returns whether the function accepts a host of a ResponseURL in its region."""
    bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
    service = "|".join(["s3", rf"s3[.-]{region}", rf"s3\.dualstack\.{region}"])
    return bool(re.fullmatch(rf"{bucket}\.(?:{service})\.amazonaws\.com(?:\.cn)?", host))


class Request(dict):
    """A request of CloudFormation."""

    @property
    def kind(self):
        return self["RequestType"]

    @property
    def logical_id(self):
        return self["LogicalResourceId"]

    @property
    def host(self):
        return urlsplit(self["ResponseURL"]).hostname

    @property
    def sent(self):
        """When it was sent, as its URL says; empty if it does not."""
        return parse_qs(urlsplit(self["ResponseURL"]).query).get("X-Amz-Date", [""])[0]

    def described(self, names):
        """Returns the operation, the physical id and the old and new names, for a report."""
        known = {value: key for key, value in names.items()}
        id = self.get("PhysicalResourceId")
        text = f"{self.kind} {self.logical_id}"
        if id is not None:
            text += f" of {known.get(id, f'the invented id {id!r}')}"
        old = self.get("OldResourceProperties", {}).get("Name")
        new = self["ResourceProperties"].get("Name")
        return text + (f" ({old} to {new})" if old is not None else f" ({new})")


class CloudFormationChecks(Checks):
    """Checks of CloudFormation alone. `client` returns a client of a service."""

    def __init__(self, client, location, put=put):
        super().__init__()
        self.client, self.location, self.put = client, location, put
        self.cloudformation = client("cloudformation")
        self.stacks, self.topic, self.queue, self.seen = [], None, None, set()
        self.lifetime = []  # the requests of a resource, from its Create to its Delete

    def inbox(self):
        """Creates the topic and its queue, once; returns the topic's ARN."""
        if self.topic:
            return self.topic
        if "amazonaws.com" not in self.cloudformation.meta.endpoint_url:
            raise OnlyAws("the emulator does not send requests to a topic")
        sns, sqs = self.client("sns"), self.client("sqs")
        topic = sns.create_topic(Name=self.name("requests"))["TopicArn"]
        self.queue = sqs.create_queue(QueueName=self.name("requests"))["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        queue = attributes["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": policy})
        raw = {"RawMessageDelivery": "true"}
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
        self.topic = topic
        return topic

    def template(self, **names):
        """Returns a template with one resource for each logical id, with the `Name` given."""
        return json.dumps(
            {
                "Resources": {
                    logical_id: {
                        "Type": "Custom::Verify",
                        "Properties": {
                            "ServiceToken": self.inbox(),
                            "ServiceTimeout": SERVICE_TIMEOUT,
                            "Name": name,
                        },
                    }
                    for logical_id, name in names.items()
                }
            }
        )

    def receive(self):
        """Returns the requests that have arrived; each once, as topics and queues repeat some."""
        sqs, requests = self.client("sqs"), []
        received = sqs.receive_message(
            QueueUrl=self.queue, WaitTimeSeconds=2, MaxNumberOfMessages=10
        )
        for message in received.get("Messages", []):
            sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            request = Request(json.loads(message["Body"]))
            key = request["StackId"], request["RequestId"], request.logical_id
            if key not in self.seen:
                self.seen.add(key)
                requests.append(request)
        return requests

    def respond(self, request, status="SUCCESS"):
        """Responds; the physical id is the name at the time of the Create."""
        body = {key: request[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
        body["PhysicalResourceId"] = request.get(
            "PhysicalResourceId", request["ResourceProperties"]["Name"]
        )
        body |= {"Status": status, "Reason": "as verify-aws has it"}
        self.put(request["ResponseURL"], json.dumps(body).encode())

    def play(self, stack, expected, decide=lambda request: "SUCCESS", seconds=900):
        """Serves the requests of an operation until the stack has the status `expected`; returns
        them. `decide` returns the status of a response, or None to let the request wait."""
        requests, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            for request in self.receive():
                requests.append(request)
                if status := decide(request):
                    self.respond(request, status)
            found = self.cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            status = found["StackStatus"]
            if status == expected:
                return requests
            if not status.endswith("_IN_PROGRESS"):
                raise AssertionError(f"{status}: {self.reasons(stack)}")
            pause()
        raise AssertionError(f"{stack} is not {expected} after {seconds} s")

    def reasons(self, stack):
        events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return "; ".join(event.get("ResourceStatusReason", "") for event in failed)

    def create(self, what, decide=lambda request: "SUCCESS", expected="CREATE_COMPLETE", **names):
        """Creates a stack; returns its id and the requests."""
        created = self.cloudformation.create_stack(
            StackName=self.name(what), TemplateBody=self.template(**names)
        )
        self.stacks.append(created["StackId"])
        return created["StackId"], self.play(created["StackId"], expected, decide)

    def update(self, stack, expected="UPDATE_COMPLETE", decide=lambda request: "SUCCESS", **names):
        self.cloudformation.update_stack(StackName=stack, TemplateBody=self.template(**names))
        return self.play(stack, expected, decide)

    def delete(self, stack):
        self.cloudformation.delete_stack(StackName=stack)
        requests = self.play(stack, "DELETE_COMPLETE")
        self.stacks.remove(stack)
        return requests

    # The checks.

    def sent_times(self):
        """Checks that successive requests of a resource say that they were sent later and later."""
        stack, requests = self.create("sent", Made="a")
        requests += self.update(stack, Made="b")
        requests += self.update(stack, Made="c")
        requests += self.delete(stack)
        self.lifetime = requests
        sent = [request.sent for request in requests]
        kinds = [request.kind for request in requests]
        if kinds != ["Create", "Update", "Update", "Delete"]:
            return f"these requests were sent: {', '.join(kinds)}"
        rises = all(sent) and all(one < other for one, other in zip(sent, sent[1:]))
        return rises or f"X-Amz-Date was {', '.join(sent)}"

    def response_bucket(self):
        """Checks the URL that each request gives for the response."""
        self.inbox()
        if not self.lifetime:
            raise NotChecked("no resource came to its end")
        hosts = {request.host for request in self.lifetime}
        wrong = [host for host in hosts if not is_accepted(host, self.location["region"])]
        if wrong:
            return f"the function would reject {', '.join(wrong)}"
        url = self.lifetime[0]["ResponseURL"]
        query = parse_qs(urlsplit(url).query)
        signed = {key: query.get(key) for key in ("X-Amz-Expires", "X-Amz-SignedHeaders")}
        expected = {"X-Amz-Expires": ["7200"], "X-Amz-SignedHeaders": ["host"]}
        return signed == expected or json.dumps(signed)

    def canceled_create(self):
        """Finds out what CloudFormation sends for a Create that it cancels: the id above all."""
        names = {"Slow": "slow", "Broken": "broken"}

        def decide(request):
            if request.kind == "Delete":
                return "SUCCESS"
            return "FAILED" if request.logical_id == "Broken" else None

        stack, requests = self.create("create", decide, "ROLLBACK_COMPLETE", **names)
        self.delete(stack)
        creates = [request for request in requests if request.kind == "Create"]
        deletes = [r for r in requests if r.kind == "Delete" and r.logical_id == "Slow"]
        if len(deletes) != 1:
            return f"{len(deletes)} Deletes were sent for the Create that was canceled"
        [delete] = deletes
        [create] = [request for request in creates if request.logical_id == "Slow"]
        if delete.sent < create.sent:
            return f"the Create was sent at {create.sent}, its Delete at {delete.sent}"
        return Measured(f"{delete.described(names)}, sent {create.sent} and {delete.sent}")

    def canceled_rename(self):
        """Finds out what CloudFormation sends for an Update that it cancels."""
        names = {"Slow": "slow", "Broken": "broken"}
        stack, _ = self.create("rename", **names)
        changed = {"Slow": "slow-2", "Broken": "broken-2"}

        def decide(request):
            is_change = request["ResourceProperties"]["Name"] in changed.values()
            if request.kind == "Update" and is_change:
                return "FAILED" if request.logical_id == "Broken" else None
            return "SUCCESS"

        requests = self.update(stack, "UPDATE_ROLLBACK_COMPLETE", decide, **changed)
        self.delete(stack)
        slow = [request for request in requests if request.logical_id == "Slow"]
        sent = [request.sent for request in slow]
        if sent != sorted(sent):
            return f"X-Amz-Date was {', '.join(sent)}"
        return Measured("; ".join(request.described(names) for request in slow))

    CHECKS = [
        ("successive requests of a resource are sent later and later (X-Amz-Date)", sent_times),
        ("the URL of a response is one that the function accepts", response_bucket),
        ("what is sent for a Create that is canceled, and with which id", canceled_create),
        ("what is sent for an Update that is canceled", canceled_rename),
    ]

    def clean_up(self):
        for stack in list(self.stacks):
            self.cloudformation.delete_stack(StackName=stack)
            self.play(stack, "DELETE_COMPLETE")
            wait_until_deleted(self.cloudformation, stack)
        if self.topic:
            self.client("sns").delete_topic(TopicArn=self.topic)
        if self.queue:
            self.client("sqs").delete_queue(QueueUrl=self.queue)
