#!/usr/bin/env python3
"""Proves against a real AWS account what the tests can only assume. Run by `make verify-aws`.

Deploys the provider with SAM under a name of its own, so that no alarm of another deployment looks
at it. Then it tries each assumption about AWS IoT, each row of the contract's life cycle, a stack
with all kinds of actions, and an event on its way through bus, queue and result bus; it measures
what only AWS can answer; it prints a table. It removes all that it made, whatever happens, but for
the bucket of SAM and its stack aws-sam-cli-managed-default. It changes nothing that it did not
make: its names begin with verify-.

It needs the credentials of a deployer (examples/policies/deployer.json, for stacks verify-*), and
iot:*MitigationAction*, iot:*Tag*, s3:* on its bucket, and SQS, EventBridge and CloudWatch. With
--fill-quota it also creates actions until AWS IoT takes no more, for some seconds, in which nobody
else can create one.

It has not been run against AWS by its authors, who could reach none. The tests run it against
MiniStack and the stand-in for AWS IoT.
"""

import argparse
import json
import re
import subprocess
import sys
import time
import uuid

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

OWNER = "mitigation-action-provider:owner"
DEVICE = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
CA = {"updateCACertificateParams": {"action": "DEACTIVATE"}}
CA_PARAMS = "UpdateCACertificateParams"
PAUSE = 2  # seconds between looks at what takes a while


def wait_for(read, what, seconds=300):
    """Returns the first value of `read()` that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := read():
            return value
        time.sleep(PAUSE)
    raise AssertionError(f"{what} has not happened within {seconds} s")


def wait_until_deleted(cloudformation, stack):
    def is_gone():
        try:
            [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        except ClientError as error:
            return "does not exist" in str(error)
        if found["StackStatus"] == "DELETE_FAILED":
            raise AssertionError(f"{stack}: DELETE_FAILED")
        return found["StackStatus"] == "DELETE_COMPLETE"

    wait_for(is_gone, f"the end of {stack}", 1200)


def arn(place, service, resource):
    return f"arn:{place['partition']}:{service}:{place['region']}:{place['account']}:{resource}"


class Checks:
    """Checks with their results, as rows of a table."""

    def __init__(self):
        self.run = uuid.uuid4().hex[:8]
        self.rows = []

    def name(self, what):
        return f"verify-{self.run}-{what}"

    def check(self, what, test):
        """`test` returns None or True where it holds, else what is so instead; or `Measured`."""
        try:
            result = test()
        except Exception as error:  # a finding, and the next check is made all the same
            result = f"{type(error).__name__}: {error}"
        if isinstance(result, Measured):
            self.rows.append((what, str(result)))
        else:
            held = result in (None, True)
            self.rows.append((what, "holds" if held else f"does not hold: {result}"))

    def all(self):
        try:
            for what, test in self.CHECKS:
                self.check(what, lambda test=test: test(self))
        finally:
            self.clean_up()
        return self.rows


class Measured(str):
    """The answer to a question, which no expectation is about."""


class Verification(Checks):
    """The function and AWS IoT. `invoke` sends a payload to the function and returns what it
    returns; `answer_url` makes a URL for a response, and a function that reads what was put there.
    """

    def __init__(self, iot, invoke, answer_url, place, role):
        super().__init__()
        self.iot, self.invoke, self.answer_url = iot, invoke, answer_url
        self.place, self.role = place, role

    # What the checks are made of.

    def arn(self, name):
        return arn(self.place, "iot", f"mitigationaction/{name}")

    def plant(self, name, params=DEVICE, **tags):
        tags = [{"Key": key, "Value": value} for key, value in tags.items()]
        return self.iot.create_mitigation_action(
            actionName=name, roleArn=self.role, actionParams=params, tags=tags
        )

    def tags(self, name):
        pages = self.iot.get_paginator("list_tags_for_resource").paginate(
            resourceArn=self.arn(name)
        )
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}

    def exists(self, name):
        try:
            return bool(self.iot.describe_mitigation_action(actionName=name))
        except self.iot.exceptions.ResourceNotFoundException:
            return False

    def request(self, kind, logical_id, name, physical_id=None, old=None, **properties):
        """Plays one request as CloudFormation does; returns the document that was put."""
        stack = arn(self.place, "cloudformation", f"stack/verify/{self.run}")
        url, read = self.answer_url()
        declared = {
            "ActionName": name,
            "RoleArn": self.role,
            "ActionParams": {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}},
        }
        event = {
            "RequestType": kind,
            "ResponseURL": url,
            "StackId": stack,
            "RequestId": str(uuid.uuid4()),
            "LogicalResourceId": logical_id,
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": declared | properties,
        }
        if physical_id:
            event["PhysicalResourceId"] = physical_id
        if old:
            event["OldResourceProperties"] = old
        self.invoke(event)
        return read()

    @staticmethod
    def expect(document, status, contains=""):
        if document.get("Status") != status or contains not in document.get("Reason", ""):
            raise AssertionError(json.dumps(document))

    # The assumptions of facts.md that were not tried.

    def identical_create_is_a_replay(self):
        name = self.name("replay")
        return self.plant(name, a="b")["actionId"] == self.plant(name, a="b")["actionId"]

    def create_with_another_tag_is_a_conflict(self):
        name = self.name("replay")
        try:
            self.plant(name, a="c")
        except self.iot.exceptions.ResourceAlreadyExistsException:
            return True
        return "the service took it"

    def update_takes_another_type(self):
        name = self.name("type")
        self.plant(name)
        self.iot.update_mitigation_action(actionName=name, actionParams=CA)
        return (
            self.iot.describe_mitigation_action(actionName=name)["actionType"]
            == "UPDATE_CA_CERTIFICATE"
        )

    def delete_of_what_is_absent_succeeds(self):
        self.iot.delete_mitigation_action(actionName=self.name("absent"))

    def tags_of_what_is_absent_are_not_found(self):
        try:
            self.tags(self.name("absent"))
        except self.iot.exceptions.ResourceNotFoundException:
            return True
        return "the service listed them"

    def disabled_logging_is_refused(self):
        params = {
            "enableIoTLoggingParams": {"logLevel": "DISABLED", "roleArnForLogging": self.role}
        }
        try:
            self.plant(self.name("disabled"), params)
        except self.iot.exceptions.InvalidRequestException:
            return True
        return "the service took it"

    def fifty_tags_are_the_most(self):
        name = self.name("tags")
        self.plant(name, **{f"k{n}": "v" for n in range(50)})
        try:
            self.iot.tag_resource(
                resourceArn=self.arn(name), tags=[{"Key": "one-more", "Value": "v"}]
            )
        except ClientError:
            return True
        return "the service took 51"

    # What only AWS can answer.

    def lag_of_tags(self):
        """How long tags take to be listed, after the create that brings them, and after a call."""
        after_create, after_tagging = [], []
        for number in range(5):
            name = self.name(f"lag-{number}")
            self.plant(name, a="1")
            after_create.append(self.time_until(lambda: self.tags(name).get("a") == "1"))
            self.iot.tag_resource(resourceArn=self.arn(name), tags=[{"Key": "b", "Value": "2"}])
            after_tagging.append(self.time_until(lambda: self.tags(name).get("b") == "2"))
        return Measured(f"create {max(after_create)} ms, tagging {max(after_tagging)} ms at most")

    def time_until(self, is_so):
        begun = time.monotonic()
        while not self.quietly(is_so):
            if time.monotonic() - begun > 60:
                raise AssertionError("not within 60 s")
        return round((time.monotonic() - begun) * 1000)

    def quietly(self, is_so):
        try:
            return is_so()
        except self.iot.exceptions.ResourceNotFoundException:
            return False

    def limit_before_name(self):
        """Which error a create gets that meets both a taken name and the limit."""
        for number in range(101):
            try:
                self.plant(self.name(f"full-{number}"))
            except self.iot.exceptions.LimitExceededException:
                break
        else:
            return "101 actions were taken"
        try:
            self.plant(self.name("full-0"), CA)
        except self.iot.exceptions.LimitExceededException:
            return Measured("the limit")
        except self.iot.exceptions.ResourceAlreadyExistsException:
            return Measured("the name")
        return "the service took it"

    # The rows of the life-cycle table.

    def life(self):
        name, logical = self.name("life"), "Life"
        created = self.request("Create", logical, name)
        self.expect(created, "SUCCESS")
        again = self.request("Create", logical, name)
        if again["Data"] != created["Data"]:
            raise AssertionError("a replay gets another response")
        tags = [{"Key": "team", "Value": "x"}]
        self.expect(
            self.request("Update", logical, name, name, {"ActionName": name}, Tags=tags), "SUCCESS"
        )
        if self.tags(name).get("team") != "x":
            raise AssertionError("the tag was not set")
        self.iot.delete_mitigation_action(actionName=name)
        self.expect(self.request("Update", logical, name, name, {"ActionName": name}), "SUCCESS")
        renamed = self.name("renamed")
        self.expect(self.request("Update", logical, renamed, name, {"ActionName": name}), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        self.expect(self.request("Delete", logical, name, name), "SUCCESS")
        if self.exists(name) or not self.exists(renamed):
            raise AssertionError("the old action is there, or the new one is not")
        self.expect(self.request("Delete", logical, renamed, renamed), "SUCCESS")
        return not self.exists(renamed)

    def conflict(self):
        name = self.name("conflict")
        self.plant(name, theirs="stays")
        failed = self.request("Create", "Conflict", name)
        self.expect(failed, "FAILED", "ResourceAlreadyExistsException")
        self.expect(
            self.request("Delete", "Conflict", name, failed["PhysicalResourceId"]), "SUCCESS"
        )
        return self.exists(name)

    def adoption(self):
        name = self.name("conflict")
        self.expect(self.request("Create", "Adopted", name, OnConflict="Adopt"), "SUCCESS")
        if not self.tags(name).get(OWNER, "").startswith("adopted/"):
            raise AssertionError("it is not tagged as adopted")
        self.expect(self.request("Delete", "Adopted", name, name), "SUCCESS")
        return self.exists(name) and OWNER not in self.tags(name)

    def overwriting(self):
        name = self.name("type")
        self.expect(self.request("Create", "Overwritten", name, OnConflict="Overwrite"), "SUCCESS")
        self.expect(self.request("Delete", "Overwritten", name, name), "SUCCESS")
        return not self.exists(name)

    def invalid(self):
        self.expect(
            self.request("Create", "Invalid", "a b", Tagz=[]),
            "FAILED",
            "InvalidRequestException: 2 problems",
        )

    CHECKS = [
        ("an identical create, tags included, is taken as a replay", identical_create_is_a_replay),
        ("a create that differs in a tag is a conflict", create_with_another_tag_is_a_conflict),
        ("an update takes another action type", update_takes_another_type),
        ("a delete of what is absent succeeds", delete_of_what_is_absent_succeeds),
        (
            "the tags of what is absent are ResourceNotFoundException",
            tags_of_what_is_absent_are_not_found,
        ),
        ("logLevel DISABLED is refused", disabled_logging_is_refused),
        ("fifty tags are the most", fifty_tags_are_the_most),
        ("how far tags lag", lag_of_tags),
        ("create, replay, update, gone, rename, delete, delete again", life),
        ("a conflict fails, and the Delete after it touches nothing", conflict),
        ("Adopt takes what is the same, and Delete leaves it", adoption),
        ("Overwrite takes what differs, and Delete deletes it", overwriting),
        ("all problems are named at once", invalid),
    ]

    FILLING = ("which a create at the limit meets first, the limit or the name", limit_before_name)

    def clean_up(self):
        pages = self.iot.get_paginator("list_mitigation_actions").paginate()
        for name in [
            action["actionName"] for page in pages for action in page["actionIdentifiers"]
        ]:
            if name.startswith(f"verify-{self.run}-"):
                self.iot.delete_mitigation_action(actionName=name)


class Deployment(Checks):
    """A deployed provider, whose stack is `provider`: stacks and events. `client` makes a client of
    a service."""

    def __init__(self, client, provider, place, role):
        super().__init__()
        self.client, self.provider, self.place, self.role = client, provider, place, role
        self.cloudformation, self.iot = client("cloudformation"), client("iot")
        self.outputs = self.outputs_of(provider)
        self.stack = self.name("stack")

    # What the checks are made of.

    def outputs_of(self, stack):
        [found] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def action(self, what, params, **properties):
        declared = {
            "ServiceToken": self.outputs["ServiceToken"],
            "ServiceTimeout": 60,
            "ActionName": self.name(what),
            "RoleArn": self.role,
            "ActionParams": params,
        }
        return {"Type": "Custom::IoTMitigationAction", "Properties": declared | properties}

    def template(self, **changed):
        """A stack with an action of each kind, and the ARN of one as an output."""
        resources = {
            "Things": self.action(
                "things", {"AddThingsToThingGroupParams": {"ThingGroupNames": ["verify"]}}
            ),
            "Logging": self.action(
                "logging",
                {"EnableIoTLoggingParams": {"LogLevel": "WARN", "RoleArnForLogging": self.role}},
            ),
            "Finding": self.action(
                "finding", {"PublishFindingToSnsParams": {"TopicArn": {"Ref": "Topic"}}}
            ),
            "Policy": self.action(
                "policy", {"ReplaceDefaultPolicyVersionParams": {"TemplateName": "BLANK_POLICY"}}
            ),
            "Ca": self.action("ca", {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}}),
            "Device": self.action(
                "device", {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}
            ),
            "Topic": {"Type": "AWS::SNS::Topic"},
        }
        for name, properties in changed.items():
            resources[name]["Properties"] |= properties
        output = {"Arn": {"Value": {"Fn::GetAtt": ["Device", "ActionArn"]}}}
        return json.dumps({"Resources": resources, "Outputs": output})

    def end_of(self, stack):
        """The status in which an operation on a stack ends."""

        def status():
            [found] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
            status = found["StackStatus"]
            return None if status.endswith("_IN_PROGRESS") else status

        return wait_for(status, f"the end of {stack}", 1200)

    def expect_end(self, expected, stack=None):
        status = self.end_of(stack or self.stack)
        if status != expected:
            raise AssertionError(f"{status}: {self.reasons(stack or self.stack)}")

    def reasons(self, stack):
        events = self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
        return "; ".join(event.get("ResourceStatusReason", "") for event in failed)

    def own_actions(self):
        pages = self.iot.get_paginator("list_mitigation_actions").paginate()
        names = [action["actionName"] for page in pages for action in page["actionIdentifiers"]]
        return {name for name in names if name.startswith(f"verify-{self.run}-")}

    def tags(self, arn):
        pages = self.iot.get_paginator("list_tags_for_resource").paginate(resourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}

    # The life of a stack.

    def create(self):
        self.cloudformation.create_stack(StackName=self.stack, TemplateBody=self.template())
        self.expect_end("CREATE_COMPLETE")
        if len(self.own_actions()) != 6:
            return f"there are {sorted(self.own_actions())}"
        arn = self.iot.describe_mitigation_action(actionName=self.name("device"))["actionArn"]
        return self.outputs_of(self.stack) == {"Arn": arn}

    def update(self):
        tagged = {"Tags": [{"Key": "team", "Value": "verify"}]}
        body = self.template(Device=tagged)
        self.cloudformation.update_stack(StackName=self.stack, TemplateBody=body)
        self.expect_end("UPDATE_COMPLETE")
        return self.tags(self.outputs_of(self.stack)["Arn"]).get("team") == "verify"

    def break_and_roll_back(self):
        tagged = {"Tags": [{"Key": "team", "Value": "broken"}]}
        wrong = {"ActionParams": {"UpdateCACertificateParams": {"Action": "REVOKE"}}}
        body = self.template(Device=tagged, Ca=wrong)
        self.cloudformation.update_stack(StackName=self.stack, TemplateBody=body)
        self.expect_end("UPDATE_ROLLBACK_COMPLETE")
        if "InvalidRequestException" not in self.reasons(self.stack):
            return f"the stack's events do not say why: {self.reasons(self.stack)}"
        return self.tags(self.outputs_of(self.stack)["Arn"]).get("team") == "verify"

    def delete(self):
        self.cloudformation.delete_stack(StackName=self.stack)
        wait_until_deleted(self.cloudformation, self.stack)
        return True if not self.own_actions() else f"{sorted(self.own_actions())} stayed"

    # Events.

    def event(self):
        """An event comes back on the result bus with the ARN and its own id."""
        queue = self.result_queue()
        name = self.name("event")
        request = {"actionName": name, "roleArn": self.role, "actionParams": DEVICE}
        made = self.request(queue, request)
        if made["detail"]["status"] != "SUCCEEDED":
            return json.dumps(made["detail"])
        if made["resources"] != [self.iot.describe_mitigation_action(actionName=name)["actionArn"]]:
            return json.dumps(made["resources"])
        failed = self.request(queue, request)
        if failed["detail"].get("error", {}).get("code") != "ResourceAlreadyExistsException":
            return json.dumps(failed["detail"])
        deleted = self.request(queue, {"operation": "DeleteMitigationAction", "actionName": name})
        return deleted["detail"].get("outcome") == "DELETED" or json.dumps(deleted["detail"])

    def result_bus(self):
        return self.outputs["ResultBusArn"].split(":event-bus/")[1]

    def result_queue(self):
        """A queue that gets every result event."""
        sqs, events, name = self.client("sqs"), self.client("events"), self.name("results")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn, bus = attributes["Attributes"]["QueueArn"], self.result_bus()
        pattern = json.dumps({"source": ["mitigation-action-provider"]})
        rule = events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)["RuleArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def request(self, queue, detail):
        """Puts a request on the bus; returns its result event."""
        entry = {
            "EventBusName": self.outputs["RequestBusName"],
            "Source": "verify",
            "DetailType": "Mitigation Action Requested",
            "Detail": json.dumps(detail),
        }
        [entry] = self.client("events").put_events(Entries=[entry])["Entries"]
        sqs = self.client("sqs")

        def result():
            received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)
            for message in received.get("Messages", []):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                event = json.loads(message["Body"])
                if event["detail"]["requestId"] == entry["EventId"]:
                    return event
            return None

        return wait_for(result, f"the result of {entry['EventId']}")

    # What only AWS can answer.

    def passed_to_service(self):
        """The function may pass a role only where iam:PassedToService says iot.amazonaws.com."""
        name = self.name("passed")
        payload = {"actionName": name, "roleArn": self.role, "actionParams": DEVICE}
        options = {"FunctionName": self.outputs["FunctionName"], "Payload": json.dumps(payload)}
        answer = json.loads(self.client("lambda").invoke(**options)["Payload"].read())
        return answer.get("outcome") == "CREATED" or json.dumps(answer)

    def order_of_the_retry(self):
        """What CloudFormation sends for a resource that failed and is deployed again."""
        stack = self.name("retry")
        wrong, right = [
            json.dumps({"Resources": {"Retried": self.action("retried", {CA_PARAMS: given})}})
            for given in [{"Action": "REVOKE"}, {"Action": "DEACTIVATE"}]
        ]
        create, update = self.cloudformation.create_stack, self.cloudformation.update_stack
        try:
            create(StackName=stack, TemplateBody=wrong, OnFailure="DO_NOTHING")
            self.expect_end("CREATE_FAILED", stack)
            update(StackName=stack, TemplateBody=right, DisableRollback=True)
            self.expect_end("UPDATE_COMPLETE", stack)
            return Measured(", then ".join(self.operations_on("Retried")))
        except ClientError as error:
            if "cannot be updated" in str(error):
                return Measured("left out: a stack that failed cannot be updated here")
            raise
        finally:
            self.cloudformation.delete_stack(StackName=stack)
            wait_until_deleted(self.cloudformation, stack)

    def operations_on(self, logical_id):
        """What the log says was done for a resource, in order: three operations, or what a minute
        brings."""
        logs, group = self.client("logs"), self.outputs["LogGroupName"]
        end, found = time.monotonic() + 60, []
        while len(found) < 3 and time.monotonic() < end:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            events = [event for page in pages for event in page["events"]]
            lines = [event["message"] for event in sorted(events, key=lambda e: e["timestamp"])]
            lines = [line for line in lines if f'"{logical_id}"' in line and "outcome" in line]
            found = [re.search(r'operation"?[:=] ?"(\w+)"', line)[1] for line in lines]
            time.sleep(PAUSE)
        return found

    def alarm_of_errors(self):
        """The expression of the alarm has a value where nobody has made a mistake yet."""
        alarms = self.client("cloudwatch")
        try:
            found = self.cloudformation.describe_stack_resource(
                StackName=self.provider, LogicalResourceId="ErrorsAlarm"
            )
        except ClientError:
            return Measured("left out: there is no such alarm here")
        name = found["StackResourceDetail"]["PhysicalResourceId"]
        [alarm] = alarms.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        queries = [
            query | {"ReturnData": query["Id"] in ("faults", "errors")}
            for query in alarm["Metrics"]
        ]

        def values():
            now = time.time()
            options = {"MetricDataQueries": queries, "StartTime": now - 3600, "EndTime": now + 300}
            results = alarms.get_metric_data(**options)["MetricDataResults"]
            found = {result["Id"]: result["Values"] for result in results}
            return found if found.get("errors") else None

        found = wait_for(values, "the metric of errors", 600)
        return len(found["faults"]) == len(found["errors"]) or json.dumps(found)

    CHECKS = [
        ("a stack creates an action of each kind, and finds the ARN", create),
        ("a stack updates in place", update),
        (
            "an update that fails is rolled back, and the stack's events say why",
            break_and_roll_back,
        ),
        ("a stack is deleted, and nothing stays", delete),
        ("an event comes back on the result bus with the ARN and its id", event),
        ("iam:PassedToService is given: a role is passed", passed_to_service),
        ("what is sent for a resource that failed, when it is deployed again", order_of_the_retry),
        ("the alarm of errors has a value where no mistake was counted", alarm_of_errors),
    ]

    def clean_up(self):
        self.cloudformation.delete_stack(StackName=self.stack)
        wait_until_deleted(self.cloudformation, self.stack)
        events, name, bus = self.client("events"), self.name("results"), self.result_bus()
        for remove in [
            lambda: events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"]),
            lambda: events.delete_rule(Name=name, EventBusName=bus),
            lambda: self.delete_queue(name),
        ]:
            try:
                remove()
            except ClientError:
                pass  # it was not made
        for action in self.own_actions():
            self.iot.delete_mitigation_action(actionName=action)

    def delete_queue(self, name):
        sqs = self.client("sqs")
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


class Provider:
    """The provider's stack and a bucket for responses, from `deploy` until `remove`."""

    def __init__(self, session, place, role):
        self.session, self.place, self.role = session, place, role
        suffix = uuid.uuid4().hex[:8]
        self.stack = f"verify-mitigation-{suffix}"
        self.bucket = f"verify-mitigation-{suffix}-{place['account']}"
        config = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
        self.s3 = session.client("s3", config=config)
        self.cloudformation = session.client("cloudformation")

    def deploy(self):
        region = self.place["region"]
        location = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3.create_bucket(Bucket=self.bucket, **({} if region == "us-east-1" else location))
        host = self.response_url()[0].split("/")[2]
        deploy = ["sam", "deploy", "--stack-name", self.stack, "--region", region, "--resolve-s3"]
        deploy += ["--no-confirm-changeset", "--capabilities", "CAPABILITY_IAM"]
        deploy += [
            "--parameter-overrides",
            f"ActionRoleArns={self.role}",
            f"ResponseUrlAllowedHosts={host}",
        ]
        subprocess.run(deploy, check=True)

    def response_url(self):
        """A URL for a response, and a function that reads what was put there."""
        place = {"Bucket": self.bucket, "Key": uuid.uuid4().hex}
        url = self.s3.generate_presigned_url("put_object", Params=place, ExpiresIn=900)
        return url, lambda: json.loads(self.s3.get_object(**place)["Body"].read())

    def invoke(self, event):
        options = {"FunctionName": self.stack, "Payload": json.dumps(event).encode()}
        return json.loads(self.session.client("lambda").invoke(**options)["Payload"].read())

    def remove(self):
        """Removes the stack, what its template retains (dead letters, the log), and the bucket."""
        resources = self.resources()
        self.cloudformation.delete_stack(StackName=self.stack)
        wait_until_deleted(self.cloudformation, self.stack)
        sqs, logs = self.session.client("sqs"), self.session.client("logs")
        for resource in resources:
            name, kind = resource["PhysicalResourceId"], resource["ResourceType"]
            if kind == "AWS::SQS::Queue" and resource["LogicalResourceId"].endswith("DeadLetters"):
                sqs.delete_queue(QueueUrl=name)
            if kind == "AWS::Logs::LogGroup":
                logs.delete_log_group(logGroupName=name)
        for item in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=item["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)

    def resources(self):
        pages = self.cloudformation.get_paginator("list_stack_resources")
        try:
            pages = list(pages.paginate(StackName=self.stack))
        except ClientError:  # it was never made
            return []
        found = [resource for page in pages for resource in page["StackResourceSummaries"]]
        return [resource for resource in found if "PhysicalResourceId" in resource]


def print_table(rows):
    width = max(len(what) for what, _ in rows)
    for what, result in rows:
        print(f"{what:<{width}}  {result}")


def arguments():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--region", required=True)
    options.add_argument("--role", required=True, help="the ARN of a role that actions may use")
    options.add_argument(
        "--fill-quota", action="store_true", help="measure what takes all 100 actions"
    )
    return options.parse_args()


def main():
    options = arguments()
    session = boto3.session.Session(region_name=options.region)
    try:
        identity = session.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"missing: expected credentials of an AWS account ({error})")
    place = {
        "partition": identity["Arn"].split(":")[1],
        "region": options.region,
        "account": identity["Account"],
    }
    provider = Provider(session, place, options.role)
    try:
        provider.deploy()
        iot = session.client("iot")
        calls = Verification(iot, provider.invoke, provider.response_url, place, options.role)
        if options.fill_quota:
            calls.CHECKS = [*calls.CHECKS, calls.FILLING]
        rows = calls.all() + Deployment(session.client, provider.stack, place, options.role).all()
        print_table(rows)
        return 1 if any(result.startswith("does not hold") for _, result in rows) else 0
    finally:
        print("removing what was made; the bucket of SAM and its stack stay")
        provider.remove()


if __name__ == "__main__":
    sys.exit(main())
