"""Checks of a deployed provider: the lifecycle of a stack, an event, and questions to AWS."""

import json
import re
import time

from botocore.exceptions import ClientError

from verify_aws.checks import DEVICE, Checks, Measured, pause, wait_for, wait_until_deleted


class DeploymentChecks(Checks):
    """Checks of a deployed provider with stacks and events.

    `client` returns a client of a service; `provider` is the name of the provider's stack.
    """

    def __init__(self, client, provider, role):
        super().__init__()
        self.client, self.provider, self.role = client, provider, role
        self.cloudformation, self.iot = client("cloudformation"), client("iot")
        self.outputs = self.outputs_of(provider)
        self.stack = self.name("stack")

    # Helpers.

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
        """Returns a template with an action of each kind and the ARN of one as an output."""
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
        """Waits for an operation on a stack; returns the final status."""

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

    # The lifecycle of a stack.

    def create(self):
        self.cloudformation.create_stack(StackName=self.stack, TemplateBody=self.template())
        self.expect_end("CREATE_COMPLETE")
        if len(self.own_actions()) != 6:
            return f"found {sorted(self.own_actions())}"
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
            return f"the stack events do not give the reason: {self.reasons(self.stack)}"
        return self.tags(self.outputs_of(self.stack)["Arn"]).get("team") == "verify"

    def delete(self):
        self.cloudformation.delete_stack(StackName=self.stack)
        wait_until_deleted(self.cloudformation, self.stack)
        return True if not self.own_actions() else f"still there: {sorted(self.own_actions())}"

    # Events.

    def event(self):
        """Checks that the result event of a request carries the ARN and the id of its request."""
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
        """Creates a queue that receives every result event; returns its URL."""
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
        """Puts a request on the request bus; returns its result event."""
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

    # What only AWS can tell.

    def passed_to_service(self):
        """Checks that IAM sets iam:PassedToService to iot.amazonaws.com when a role is passed."""
        name = self.name("passed")
        payload = {"actionName": name, "roleArn": self.role, "actionParams": DEVICE}
        options = {"FunctionName": self.outputs["FunctionName"], "Payload": json.dumps(payload)}
        result = json.loads(self.client("lambda").invoke(**options)["Payload"].read())
        return result.get("outcome") == "CREATED" or json.dumps(result)

    def requests_of_a_retry(self):
        """Finds out what CloudFormation sends when a failed resource is deployed again."""
        stack = self.name("retry")
        wrong, right = [
            self.action("retried", {"UpdateCACertificateParams": {"Action": value}})
            for value in ["REVOKE", "DEACTIVATE"]
        ]
        wrong, right = [json.dumps({"Resources": {"Retried": item}}) for item in (wrong, right)]
        create, update = self.cloudformation.create_stack, self.cloudformation.update_stack
        try:
            create(StackName=stack, TemplateBody=wrong, OnFailure="DO_NOTHING")
            self.expect_end("CREATE_FAILED", stack)
            update(StackName=stack, TemplateBody=right, DisableRollback=True)
            self.expect_end("UPDATE_COMPLETE", stack)
            return Measured(", then ".join(self.operations_on("Retried")))
        except ClientError as error:
            if "cannot be updated" in str(error):
                return Measured("skipped: a failed stack cannot be updated here")
            raise
        finally:
            self.cloudformation.delete_stack(StackName=stack)
            wait_until_deleted(self.cloudformation, stack)

    def operations_on(self, logical_id):
        """Returns the operations that the log has for a resource, in order. Waits for three, at
        most for a minute."""
        logs, group = self.client("logs"), self.outputs["LogGroupName"]
        end, found = time.monotonic() + 60, []
        while len(found) < 3 and time.monotonic() < end:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
            events = [event for page in pages for event in page["events"]]
            lines = [event["message"] for event in sorted(events, key=lambda e: e["timestamp"])]
            lines = [line for line in lines if f'"{logical_id}"' in line and "outcome" in line]
            found = [re.search(r'operation"?[:=] ?"(\w+)"', line)[1] for line in lines]
            pause()
        return found

    def alarm_of_errors(self):
        """Checks that the alarm's expression has a value before any caller made a mistake."""
        alarms = self.client("cloudwatch")
        try:
            found = self.cloudformation.describe_stack_resource(
                StackName=self.provider, LogicalResourceId="ErrorsAlarm"
            )
        except ClientError:
            return Measured("skipped: there is no such alarm here")
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

        found = wait_for(values, "a data point of the Errors metric", 600)
        return len(found["faults"]) == len(found["errors"]) or json.dumps(found)

    CHECKS = [
        ("a stack creates an action of each kind and gets the ARN", create),
        ("a stack updates in place", update),
        (
            "a failed update is rolled back, and the stack events give the reason",
            break_and_roll_back,
        ),
        ("a stack is deleted with all its actions", delete),
        ("a result event carries the ARN and the id of its request", event),
        ("a role can be passed under the condition iam:PassedToService", passed_to_service),
        ("what is sent when a failed resource is deployed again", requests_of_a_retry),
        ("the errors alarm has a value before any caller made a mistake", alarm_of_errors),
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
                pass  # it was never created
        for action in self.own_actions():
            self.iot.delete_mitigation_action(actionName=action)

    def delete_queue(self, name):
        sqs = self.client("sqs")
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
