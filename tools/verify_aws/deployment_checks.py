"""Checks of a deployed provider: the lifecycle of a stack, an event, and questions to AWS."""

import json
import re
import time

from botocore.exceptions import ClientError

from verify_aws.checks import (
    DEVICE,
    Checks,
    Measured,
    NotChecked,
    OnlyAws,
    pause,
    wait_for,
    wait_until_deleted,
)

NAMESPACE = "MitigationActionProvider"
AUDITED = "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"
PERMISSIVE = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}


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
        self.is_aws = "amazonaws.com" in self.cloudformation.meta.endpoint_url
        self.queue = None

    # Helpers.

    def outputs_of(self, stack):
        [found] = self.cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}

    def action(self, what, params, **properties):
        declared = {
            "ServiceToken": self.outputs["ServiceToken"],
            "ServiceTimeout": 360,
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

    def invoke(self, payload):
        options = {"FunctionName": self.outputs["FunctionName"], "Payload": json.dumps(payload)}
        return json.loads(self.client("lambda").invoke(**options)["Payload"].read())

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

    def canceled_rename(self):
        """Checks that a rename that CloudFormation cancels while it waits leaves nothing behind.

        It waits because the function may not pass the new role, which it takes for a role that is
        new. Meanwhile another resource fails.
        """
        old, new, other = self.name("cancel-old"), self.name("cancel-new"), self.name("cancel-2")
        device = {"UpdateDeviceCertificateParams": {"Action": "DEACTIVATE"}}

        def template(name, other_action, **properties):
            waits = self.action("", device, **{"ActionName": name, **properties})
            fails = {"UpdateDeviceCertificateParams": {"Action": other_action}}
            fails = self.action("", fails, ActionName=other)
            return json.dumps({"Resources": {"Waits": waits, "Fails": fails}})

        stack = self.name("cancel")
        self.cloudformation.create_stack(
            StackName=stack, TemplateBody=template(old, "DEACTIVATE")
        )
        try:
            self.expect_end("CREATE_COMPLETE", stack)
            before = self.iot.describe_mitigation_action(actionName=old)
            forbidden = re.sub("role/.*", f"role/{self.name('absent')}", self.role)
            body = template(new, "REVOKE", RoleArn=forbidden)
            self.cloudformation.update_stack(StackName=stack, TemplateBody=body)
            self.expect_end("UPDATE_ROLLBACK_COMPLETE", stack)
            after = self.iot.describe_mitigation_action(actionName=old)
            reasons = self.reasons(stack)
            left = {name for name in self.own_actions() if "-cancel-" in name}
        finally:
            self.cloudformation.delete_stack(StackName=stack)
            wait_until_deleted(self.cloudformation, stack)
        if left != {old, other}:
            return f"after the rollback these exist: {sorted(left)}"
        if any(before[key] != after[key] for key in ("actionId", "roleArn", "actionParams")):
            return "the rollback left another definition"
        if self.is_aws and "cancel" not in reasons.lower():
            raise NotChecked(f"CloudFormation did not cancel the rename: {reasons}")
        still = {name for name in self.own_actions() if "-cancel-" in name}
        return True if not still else f"still there: {sorted(still)}"

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

    def two_results(self):
        """Checks that the results of two messages of a batch can be published with one call."""
        ids = [self.name("batch-1"), self.name("batch-2")]
        queue = self.outputs["RequestQueueArn"]
        records = [
            {
                "messageId": id,
                "receiptHandle": "none",
                "body": json.dumps({"operation": "DescribeMitigationAction", "actionName": id}),
                "attributes": {"SentTimestamp": str(int(time.time() * 1000))},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": queue,
                "awsRegion": queue.split(":")[3],
            }
            for id in ids
        ]
        url, found = self.result_queue(), set()
        result = self.invoke({"Records": records})
        if result != {"batchItemFailures": []}:
            return json.dumps(result)

        def both():
            received = self.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=5)
            for message in received.get("Messages", []):
                handle = message["ReceiptHandle"]
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=handle)
                found.add(json.loads(message["Body"])["detail"]["requestId"])
            return found >= set(ids)

        wait_for(both, "the arrival of both results")

    def result_bus(self):
        return self.outputs["ResultBusArn"].split(":event-bus/")[1]

    def result_queue(self):
        """Creates a queue that receives every result event, once; returns its URL."""
        if self.queue:
            return self.queue
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
        self.queue = url
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
        result = self.invoke({"actionName": name, "roleArn": self.role, "actionParams": DEVICE})
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
                raise OnlyAws("a failed stack cannot be updated here") from error
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
        except ClientError as error:
            if self.is_aws:
                raise
            raise OnlyAws("the emulator has no alarms with metric math") from error
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

    def metrics_under_the_filter(self):
        """Checks that Lambda's filter lets the line of metrics through at the level ERROR."""
        if not self.is_aws:
            raise OnlyAws("the emulator neither filters the log nor extracts metrics")
        functions, name = self.client("lambda"), self.outputs["FunctionName"]

        def set_level(level):
            logging = functions.get_function_configuration(FunctionName=name)["LoggingConfig"]
            functions.update_function_configuration(
                FunctionName=name, LoggingConfig=logging | {"ApplicationLogLevel": level}
            )
            functions.get_waiter("function_updated").wait(FunctionName=name)

        set_level("ERROR")
        try:
            begun = int(time.time() * 1000)
            absent = {"operation": "DeleteMitigationAction", "actionName": self.name("filter")}
            for _ in range(3):
                self.invoke(absent)
            metrics = lambda: self.log_since(begun, '"_aws"')
            lines = wait_for(metrics, "a line of metrics in the log")
            outcomes = [line for line in self.log_since(begun, '"outcome"') if line not in lines]
            if outcomes:
                return f"the filter let {len(outcomes)} lines of the level INFO through"
            if not any("Absent" in line for line in lines):
                return "the lines of metrics lack the metric Absent"
            self.wait_for_metric("Absent", begun)
        finally:
            set_level("INFO")

    def log_since(self, begun, text):
        logs, group = self.client("logs"), self.outputs["LogGroupName"]
        options = {"logGroupName": group, "startTime": begun}
        pages = logs.get_paginator("filter_log_events").paginate(**options)
        lines = [event["message"] for page in pages for event in page["events"]]
        return [line for line in lines if text in line]

    def wait_for_metric(self, metric, begun):
        """Waits for a data point of a metric of the function since `begun`, in milliseconds."""
        dimensions = [{"Name": "FunctionName", "Value": self.outputs["FunctionName"]}]

        def points():
            found = self.client("cloudwatch").get_metric_statistics(
                Namespace=NAMESPACE,
                MetricName=metric,
                Dimensions=dimensions,
                StartTime=begun / 1000 - 60,
                EndTime=time.time() + 60,
                Period=60,
                Statistics=["Sum"],
            )
            return found["Datapoints"]

        wait_for(points, f"a data point of the metric {metric}", 900)

    def applied(self):
        """Checks that AWS IoT can apply an action with the role: it assumes it only now.

        It audits a policy that allows everything, and replaces it by a blank one.
        """
        if not self.is_aws:
            raise OnlyAws("the emulator has no audits")
        enabled = self.iot.describe_account_audit_configuration()["auditCheckConfigurations"]
        if not enabled.get(AUDITED, {}).get("enabled"):
            raise NotChecked(f"enable the audit check {AUDITED} in this account and region first")
        policy, action = self.name("policy"), self.name("apply")
        document = json.dumps({"Version": "2012-10-17", "Statement": [PERMISSIVE]})
        self.iot.create_policy(policyName=policy, policyDocument=document)
        try:
            blank = {"replaceDefaultPolicyVersionParams": {"templateName": "BLANK_POLICY"}}
            made = {"actionName": action, "roleArn": self.role, "actionParams": blank}
            result = self.invoke(made)
            if result.get("outcome") != "CREATED":
                return json.dumps(result)
            finding = self.finding_about(policy)
            task = self.name("task")
            self.iot.start_audit_mitigation_actions_task(
                taskId=task,
                target={"findingIds": [finding]},
                auditCheckToActionsMapping={AUDITED: [action]},
                clientRequestToken=task,
            )
            describe = self.iot.describe_audit_mitigation_actions_task
            wait_for(
                lambda: describe(taskId=task)["taskStatus"] != "IN_PROGRESS",
                "the end of the task that applies the action",
                1200,
            )
            listed = self.iot.list_audit_mitigation_actions_executions(
                taskId=task, findingId=finding
            )
            [execution] = listed["actionsExecutions"]
            if execution["status"] != "COMPLETED":
                found = {key: execution.get(key) for key in ("status", "errorCode", "message")}
                return f"{json.dumps(found)}, with the trust policy {self.trust()}"
            now = self.iot.get_policy(policyName=policy)["policyDocument"]
            return True if json.loads(now) != json.loads(document) else "the policy is unchanged"
        finally:
            self.delete_policy(policy)

    def finding_about(self, policy):
        """Audits the account's policies; returns the id of the finding about one."""
        task = self.iot.start_on_demand_audit_task(targetCheckNames=[AUDITED])["taskId"]
        describe = self.iot.describe_audit_task
        ended = lambda: describe(taskId=task)["taskStatus"] != "IN_PROGRESS"
        wait_for(ended, "the end of the audit", 3600)
        pages = self.iot.get_paginator("list_audit_findings").paginate(taskId=task)
        for page in pages:
            for finding in page["findings"]:
                audited = finding["nonCompliantResource"]["resourceIdentifier"]
                if audited.get("policyVersionIdentifier", {}).get("policyName") == policy:
                    return finding["findingId"]
        raise NotChecked("the audit found nothing about the policy that allows everything")

    def trust(self):
        """Returns the conditions under which the role may be assumed."""
        name = self.role.rsplit("/", 1)[1]
        document = self.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
        return json.dumps([statement.get("Condition") for statement in document["Statement"]])

    def delete_policy(self, policy):
        for version in self.iot.list_policy_versions(policyName=policy)["policyVersions"]:
            if not version["isDefaultVersion"]:
                id = version["versionId"]
                self.iot.delete_policy_version(policyName=policy, policyVersionId=id)
        self.iot.delete_policy(policyName=policy)

    CHECKS = [
        ("a stack creates an action of each kind and gets the ARN", create),
        ("a stack updates in place", update),
        (
            "a failed update is rolled back, and the stack events give the reason",
            break_and_roll_back,
        ),
        ("a stack is deleted with all its actions", delete),
        ("a rename that is canceled while it waits leaves nothing behind", canceled_rename),
        ("a result event carries the ARN and the id of its request", event),
        ("the results of two messages of a batch are published", two_results),
        ("a role can be passed under the condition iam:PassedToService", passed_to_service),
        ("what is sent when a failed resource is deployed again", requests_of_a_retry),
        ("the errors alarm has a value before any caller made a mistake", alarm_of_errors),
        ("metrics pass Lambda's log filter at the level ERROR", metrics_under_the_filter),
        ("AWS IoT applies an action with its role", applied),
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
