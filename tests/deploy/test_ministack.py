"""The provider deployed by `sam deploy` to a CloudFormation that this project did not write."""

import json
import pathlib
import shutil
import socket
import tempfile
import unittest
import uuid

from botocore.exceptions import ClientError

from ministack import (
    DEACTIVATE,
    OWNER,
    ROLE,
    Queue,
    Stack,
    action,
    aws,
    described,
    provider_stack,
    stack_of,
    tags,
    wait_until,
)
from support import ROOT, get, local_aws, run

CA = {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}}
ATTRIBUTES = ["ActionArn", "ActionId", "MitigationActionArn", "MitigationActionId"]
ATTRIBUTES += ["ActionName", "ActionType"]


def setUpModule():
    aws()


def arn(name):
    return f"arn:aws:iot:{local_aws.REGION}:{local_aws.ACCOUNT}:mitigationaction/{name}"


def log():
    """Returns the messages in the log of the deployed function."""
    events = aws().client("logs").get_paginator("filter_log_events")
    pages = events.paginate(logGroupName=aws().log_group())
    return [event["message"] for page in pages for event in page["events"]]


def plant(test, name, params, role=ROLE):
    """Makes an action as somebody else does, who does not tag it."""
    iot = aws().client("iot")
    iot.create_mitigation_action(actionName=name, roleArn=role, actionParams=params)
    test.addCleanup(iot.delete_mitigation_action, actionName=name)


class Template(unittest.TestCase):
    def test_only_what_ministack_needs_is_changed(self):
        original = local_aws.load("template.yaml")
        changed = local_aws.template("http://127.0.0.1:1", "http://127.0.0.1:2")
        for name, resource in list(original["Resources"].items()):
            if local_aws.is_refused(resource):
                del original["Resources"][name]
        for template in [original, changed]:
            function = template["Resources"]["Function"]
            function["Metadata"].pop("BuildMethod", None)
            del function["Properties"]["CodeUri"]
            variables = function["Properties"]["Environment"]["Variables"]
            del variables["AWS_ENDPOINT_URL_IOT"], variables["AWS_ENDPOINT_URL_EVENTBRIDGE"]
        self.assertEqual(changed, original)


class Stacks(unittest.TestCase):
    def test_all_six_kinds_are_made_and_deleted(self):
        template = local_aws.load("examples/all-kinds.yaml")
        stack = Stack(self, "all-kinds")
        self.assertEqual(stack.create(template), "CREATE_COMPLETE")
        made = {value.split("/")[1] for value in stack.outputs().values()}
        self.assertEqual(len({described(name)["actionType"] for name in made}), 6)
        roles = {described(name)["roleArn"] for name in made}
        self.assertEqual(len(roles), 6, "each has the role of its own")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual([name for name in made if described(name)], [])

    def test_ref_is_the_name_and_getatt_finds_every_attribute(self):
        found = {name: {"Fn::GetAtt": ["Made", name]} for name in ATTRIBUTES}
        stack = Stack(self, "attributes")
        template = stack_of({"Ref": {"Ref": "Made"}, **found}, Made=action("attributes"))
        self.assertEqual(stack.create(template), "CREATE_COMPLETE")
        made = described("attributes")
        expected = {
            "Ref": "attributes",
            "ActionArn": made["actionArn"],
            "ActionId": made["actionId"],
            "MitigationActionArn": made["actionArn"],
            "MitigationActionId": made["actionId"],
            "ActionName": "attributes",
            "ActionType": "UPDATE_DEVICE_CERTIFICATE",
        }
        self.assertEqual(stack.outputs(), expected)
        self.assertEqual(stack.physical_id("Made"), "attributes")

    def test_an_action_without_a_name_is_named_after_its_stack(self):
        stack = Stack(self, "unnamed")
        self.assertEqual(stack.create(stack_of(Made=action())), "CREATE_COMPLETE")
        name = stack.physical_id("Made")
        self.assertRegex(name, r"^unnamed-Made-[A-Z0-9]{12}$")
        self.assertIsNotNone(described(name))

    def test_an_update_in_place_changes_the_definition_and_the_tags_and_keeps_the_action(self):
        stack = Stack(self, "in-place")
        before = [{"Key": "team", "Value": "iot"}, {"Key": "phase", "Value": "1"}]
        stack.create(stack_of(Made=action("in-place", Tags=before)))
        made = described("in-place")
        things = {"ThingGroupNames": ["a", "b"], "OverrideDynamicGroups": True}
        after = [{"Key": "team", "Value": "security"}]
        changed = action("in-place", {"AddThingsToThingGroupParams": things}, Tags=after)
        self.assertEqual(stack.update(stack_of(Made=changed)), "UPDATE_COMPLETE")
        now = described("in-place")
        self.assertEqual(now["actionId"], made["actionId"])
        params = now["actionParams"]["addThingsToThingGroupParams"]
        self.assertEqual(params, {"thingGroupNames": ["a", "b"], "overrideDynamicGroups": True})
        kept = {key: value for key, value in tags("in-place").items() if ":" not in key}
        self.assertEqual(kept, {"team": "security"})

    def test_a_new_name_is_a_replacement(self):
        stack = Stack(self, "rename")
        output = {"Arn": {"Fn::GetAtt": ["Made", "ActionArn"]}}
        stack.create(stack_of(output, Made=action("rename-old")))
        update = stack.update(stack_of(output, Made=action("rename-new")))
        self.assertEqual(update, "UPDATE_COMPLETE")
        self.assertEqual(stack.physical_id("Made"), "rename-new")
        self.assertEqual(stack.outputs(), {"Arn": arn("rename-new")})
        self.assertIsNone(described("rename-old"))
        self.assertIsNotNone(described("rename-new"))

    def test_a_bad_update_is_rolled_back_with_the_reason_in_the_events_of_the_stack(self):
        stack = Stack(self, "bad-update")
        stack.create(stack_of(Made=action("bad-update")))
        bad = action("bad-update", {"UpdateDeviceCertificateParams": {"Action": "REVOKE"}})
        self.assertEqual(stack.update(stack_of(Made=bad)), "UPDATE_ROLLBACK_COMPLETE")
        [reason] = stack.reasons("Made")
        self.assertIn("InvalidRequestException", reason)
        self.assertIn("ActionParams.UpdateDeviceCertificateParams.Action", reason)
        params = described("bad-update")["actionParams"]
        self.assertEqual(params, {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})

    def test_a_later_resource_that_fails_takes_a_create_back(self):
        stack = Stack(self, "later-create")
        bad = action("not legal", after="Made")
        status = stack.create(stack_of(Made=action("later-create"), Bad=bad))
        self.assertEqual(status, "ROLLBACK_COMPLETE")
        self.assertIn("ActionName", stack.reasons("Bad")[0])
        self.assertIsNone(described("later-create"))

    def test_a_later_resource_that_fails_takes_an_update_back(self):
        stack = Stack(self, "later-update")
        stack.create(stack_of(Made=action("later-update")))
        changed, bad = action("later-update", CA), action("not legal", after="Made")
        status = stack.update(stack_of(Made=changed, Bad=bad))
        self.assertEqual(status, "UPDATE_ROLLBACK_COMPLETE")
        params = described("later-update")["actionParams"]
        self.assertEqual(params, {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})

    def test_a_rename_that_a_later_resource_takes_back_leaves_the_old_action_alone(self):
        stack = Stack(self, "later-rename")
        stack.create(stack_of(Made=action("later-rename-old")))
        renamed, bad = action("later-rename-new"), action("not legal", after="Made")
        status = stack.update(stack_of(Made=renamed, Bad=bad))
        self.assertEqual(status, "UPDATE_ROLLBACK_COMPLETE")
        self.assertIsNotNone(described("later-rename-old"))
        self.assertIsNone(described("later-rename-new"))

    def test_of_two_stacks_with_one_name_the_second_fails_and_touches_nothing(self):
        first, second = Stack(self, "name-first"), Stack(self, "name-second")
        first.create(stack_of(Made=action("one-name")))
        made, owner = described("one-name"), tags("one-name")[OWNER]
        status = second.create(stack_of(Made=action("one-name", CA)))
        self.assertEqual(status, "ROLLBACK_COMPLETE")
        [reason] = second.reasons("Made")
        self.assertIn("ResourceAlreadyExistsException", reason)
        self.assertIn("name-first", reason)
        self.assertEqual(second.delete(), "DELETE_COMPLETE")
        self.assertEqual(described("one-name"), made)
        self.assertEqual(tags("one-name")[OWNER], owner)

    def test_an_identical_action_is_adopted_and_stays_when_its_stack_is_deleted(self):
        plant(self, "adopted", {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}})
        stack = Stack(self, "adopt")
        status = stack.create(stack_of(Made=action("adopted", OnConflict="Adopt")))
        self.assertEqual(status, "CREATE_COMPLETE")
        self.assertTrue(tags("adopted")[OWNER].startswith("adopted/adopt/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("adopted"))
        self.assertEqual(tags("adopted"), {})

    def test_an_overwritten_action_gets_the_definition_of_its_stack_and_is_deleted_with_it(self):
        plant(self, "overwritten", {"updateCACertificateParams": {"action": "DEACTIVATE"}})
        stack = Stack(self, "overwrite")
        status = stack.create(stack_of(Made=action("overwritten", OnConflict="Overwrite")))
        self.assertEqual(status, "CREATE_COMPLETE")
        self.assertEqual(described("overwritten")["actionType"], "UPDATE_DEVICE_CERTIFICATE")
        self.assertTrue(tags("overwritten")[OWNER].startswith("stack/overwrite/"))
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNone(described("overwritten"))

    def test_an_action_moves_over_from_the_native_resource(self):
        # What the first template has made: MiniStack has no AWS::IoT::MitigationAction.
        native = local_aws.load("examples/move-over-1.yaml")["Resources"]["Quarantine"]
        declared = native["Properties"]
        self.assertEqual(native["DeletionPolicy"], "Retain")
        role = f"arn:aws:iam::{local_aws.ACCOUNT}:role/mitigation-actions/quarantine-things"
        things = declared["ActionParams"]["AddThingsToThingGroupParams"]
        params = {
            "thingGroupNames": things["ThingGroupNames"],
            "overrideDynamicGroups": things["OverrideDynamicGroups"],
        }
        name = declared["ActionName"]
        plant(self, name, {"addThingsToThingGroupParams": params}, role)
        made = described(name)
        stack = Stack(self, "move-over")
        second = local_aws.load("examples/move-over-2.yaml")
        self.assertEqual(stack.create(second), "CREATE_COMPLETE")
        self.assertEqual(described(name), made)
        self.assertTrue(tags(name)[OWNER].startswith("adopted/move-over/"))

    def test_the_inputs_of_the_native_types_own_contract_tests(self):
        # The members of inputs_1_create, inputs_1_update and inputs_1_invalid.json in
        # aws-cloudformation/aws-cloudformation-resource-providers-iot.
        topic = f"arn:aws:sns:{local_aws.REGION}:{local_aws.ACCOUNT}:myTopic"
        publish = lambda topic: {"PublishFindingToSnsParams": {"TopicArn": topic}}
        pair = [{"Key": "testTagKey", "Value": "tagValue"}]
        stack = Stack(self, "native-inputs")
        create = action("CfnContractTest", publish(topic + ".fifo"), Tags=pair)
        self.assertEqual(stack.create(stack_of(Made=create)), "CREATE_COMPLETE")
        self.assertEqual(tags("CfnContractTest")["testTagKey"], "tagValue")
        update = action("CfnContractTest", publish(topic))
        self.assertEqual(stack.update(stack_of(Made=update)), "UPDATE_COMPLETE")
        params = described("CfnContractTest")["actionParams"]
        self.assertEqual(params, {"publishFindingToSnsParams": {"topicArn": topic}})
        self.assertNotIn("testTagKey", tags("CfnContractTest"))
        read_only = {"MitigationActionId": "This is a read only property"}
        invalid = action("CfnContractTest", publish(topic), **read_only)
        self.assertEqual(stack.update(stack_of(Made=invalid)), "UPDATE_ROLLBACK_COMPLETE")
        self.assertIn("MitigationActionId", stack.reasons("Made")[0])

    def test_a_stack_is_answered_before_its_service_timeout_where_aws_iot_hangs(self):
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        provider_stack(self, "provider-that-hangs", iot_endpoint=address)
        stack = Stack(self, "service-timeout")
        hanging = action("service-timeout", provider="provider-that-hangs", ServiceTimeout=3)
        self.assertEqual(stack.create(stack_of(Made=hanging)), "ROLLBACK_COMPLETE")
        [reason] = stack.reasons("Made")
        self.assertIn("InternalFailureException", reason)
        self.assertIn("time ran out", reason)

    def test_a_provider_stays_as_long_as_a_stack_imports_its_service_token(self):
        provider = provider_stack(self, "provider-that-is-imported")
        stack = Stack(self, "importer")
        made = action("imported", provider="provider-that-is-imported")
        self.assertEqual(stack.create(stack_of(Made=made)), "CREATE_COMPLETE")
        with self.assertRaisesRegex(ClientError, "importer"):
            provider.delete()
        changed = action("imported", CA, provider="provider-that-is-imported")
        self.assertEqual(stack.update(stack_of(Made=changed)), "UPDATE_COMPLETE")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertEqual(provider.delete(), "DELETE_COMPLETE")


class Events(unittest.TestCase):
    def send(self, detail, source="com.example.fleet"):
        entry = {
            "EventBusName": aws().outputs()["RequestBusName"],
            "Source": source,
            "DetailType": "Mitigation Action Requested",
            "Detail": json.dumps(detail),
        }
        [entry] = aws().client("events").put_events(Entries=[entry])["Entries"]
        return entry["EventId"]

    def result(self, request_id):
        queue = Queue(f"arn:aws:sqs:{local_aws.REGION}:{local_aws.ACCOUNT}:{local_aws.RESULTS}")
        matches = lambda body: json.loads(body)["detail"]["requestId"] == request_id
        return json.loads(queue.receive(matches))

    def delete_later(self, name):
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName=name)

    def request(self, name, **members):
        params = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
        return {"actionName": name, "roleArn": ROLE, "actionParams": params, **members}

    def test_an_event_comes_back_on_the_result_bus_with_the_arn_and_its_id(self):
        self.delete_later("event-made")
        result = self.result(self.send(self.request("event-made")))
        self.assertEqual(result["detail-type"], "Mitigation Action Request Succeeded")
        self.assertEqual(result["resources"], [arn("event-made")])
        detail = result["detail"]
        self.assertEqual(detail["actionArn"], arn("event-made"))
        self.assertEqual((detail["status"], detail["outcome"]), ("SUCCEEDED", "CREATED"))
        self.assertEqual(detail["requestSource"], "com.example.fleet")

    def test_a_failure_comes_back_on_the_result_bus_and_is_not_a_dead_letter(self):
        result = self.result(self.send(self.request("not legal")))
        self.assertEqual(result["detail-type"], "Mitigation Action Request Failed")
        error = result["detail"]["error"]
        self.assertEqual((error["code"], error["retryable"]), ("InvalidRequestException", False))

    def test_what_the_provider_itself_sends_is_not_taken_by_the_rule(self):
        # A rule sends in the order of the events: the second result comes without the first.
        self.delete_later("event-second")
        own = self.send(self.request("event-own"), source="mitigation-action-provider")
        self.result(self.send(self.request("event-second")))
        self.assertIsNone(described("event-own"), own)

    def test_a_plain_message_on_the_queue_is_worked(self):
        self.delete_later("message-made")
        sqs = aws().client("sqs")
        body = json.dumps(self.request("message-made"))
        sent = sqs.send_message(QueueUrl=aws().outputs()["RequestQueueUrl"], MessageBody=body)
        detail = self.result(sent["MessageId"])["detail"]
        self.assertEqual((detail["outcome"], detail["requestSource"]), ("CREATED", "aws:sqs"))

    def test_the_sender_of_the_examples_sends_what_the_provider_takes(self):
        self.delete_later("device-quarantine")
        sender = [ROOT / "examples" / "send-event.sh", aws().outputs()["RequestBusName"]]
        event_id = run(sender, aws().environment()).strip()
        self.assertEqual(self.result(event_id)["detail"]["outcome"], "CREATED")

    def test_the_topic_takes_a_request_of_a_stack(self):
        self.delete_later("topic-made")
        key = str(uuid.uuid4())
        url = f"{aws().iot_url}/response/{key}"
        request = {
            "RequestType": "Create",
            "ResponseURL": url,
            "StackId": f"arn:aws:cloudformation:{local_aws.REGION}:{local_aws.ACCOUNT}:stack/t/1",
            "RequestId": key,
            "LogicalResourceId": "Made",
            "ResourceType": "Custom::IoTMitigationAction",
            "ResourceProperties": {
                "ServiceToken": aws().outputs()["TopicServiceToken"],
                "ActionName": "topic-made",
                "RoleArn": ROLE,
                "ActionParams": DEACTIVATE,
            },
        }
        topic = aws().outputs()["TopicServiceToken"]
        aws().client("sns").publish(TopicArn=topic, Message=json.dumps(request))

        def response():
            try:
                return get(url)
            except OSError:  # not there yet
                return None

        self.assertEqual(wait_until(response, "the response")["Status"], "SUCCESS")
        self.assertIsNotNone(described("topic-made"))


class Calls(unittest.TestCase):
    def invoke(self, payload):
        options = {"FunctionName": aws().outputs()["ServiceToken"], "Payload": json.dumps(payload)}
        returned = aws().client("lambda").invoke(**options)
        return returned.get("FunctionError"), json.load(returned["Payload"])

    def test_the_samples_of_direct_calls_are_worked(self):
        for name, expected in [
            ("direct-create", "CREATED"),
            ("direct-update", "UPDATED"),
            ("direct-describe", "DESCRIBED"),
            ("direct-delete", "DELETED"),
        ]:
            event = json.loads((ROOT / "events" / f"{name}.json").read_text())
            self.assertEqual(self.invoke(event)[1].get("outcome"), expected, name)

    def test_what_is_no_request_is_a_function_error(self):
        for payload in [
            local_aws.load("examples/all-kinds.yaml"),
            action("bare")["Properties"],
            {"ActionName": "pascal", "RoleArn": ROLE, "Operation": "CreateMitigationAction"},
            {"Source": "s", "DetailType": "Mitigation Action Requested", "Detail": "{}"},
        ]:
            error, returned = self.invoke(payload)
            self.assertEqual((error, returned["errorType"]), ("Unhandled", "UnrecognizedEvent"))


class DeadLetters(unittest.TestCase):
    """Each of these has a provider of its own, whose queues no other test uses."""

    def test_a_message_that_is_no_request_reaches_the_dead_letters_of_the_queue(self):
        found = provider_stack(self, "provider-of-dead-requests").outputs()
        sqs = aws().client("sqs")
        # The template's time between two deliveries is six minutes.
        attributes = {"VisibilityTimeout": "0"}
        sqs.set_queue_attributes(QueueUrl=found["RequestQueueUrl"], Attributes=attributes)
        sqs.send_message(QueueUrl=found["RequestQueueUrl"], MessageBody="not a request")
        self.assertEqual(Queue(found["RequestDeadLettersArn"]).receive(), "not a request")

    def test_an_invocation_that_fails_three_times_reaches_the_dead_letters_of_the_function(self):
        found = provider_stack(self, "provider-of-dead-invocations").outputs()
        options = {"FunctionName": found["ServiceToken"], "InvocationType": "Event"}
        aws().client("lambda").invoke(Payload=json.dumps({"not": "a request"}), **options)
        letter = json.loads(Queue(found["InvocationDeadLettersArn"]).receive())
        self.assertEqual(letter["requestPayload"], {"not": "a request"})
        self.assertEqual(letter["requestContext"]["approximateInvokeCount"], 3)
        self.assertEqual(letter["responsePayload"]["errorType"], "UnrecognizedEvent")


class Alarms(unittest.TestCase):
    def alarms(self, namespace):
        pages = aws().client("cloudwatch").get_paginator("describe_alarms").paginate()
        return [
            alarm
            for page in pages
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"].startswith(f"{local_aws.STACK}-")
            and alarm["Namespace"] == namespace
        ]

    @staticmethod
    def dimensions(alarm):
        return {item["Name"]: item["Value"] for item in alarm.get("Dimensions", [])}

    def embedded_metrics(self):
        """Returns the metrics in the log, each as (namespace, name, dimensions)."""
        for message in log():
            line = json.loads(message) if message.startswith("{") else {}
            for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
                for names in directive["Dimensions"]:
                    dimensions = {name: line[name] for name in names}
                    for metric in directive["Metrics"]:
                        yield directive["Namespace"], metric["Name"], dimensions

    def test_the_alarm_on_skipped_deletes_looks_at_the_metric_that_the_function_writes(self):
        stack = Stack(self, "skipped-delete")
        stack.create(stack_of(Made=action("skipped-delete")))
        iot = aws().client("iot")
        self.addCleanup(iot.delete_mitigation_action, actionName="skipped-delete")
        iot.untag_resource(resourceArn=arn("skipped-delete"), tagKeys=[OWNER])
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        self.assertIsNotNone(described("skipped-delete"))
        [alarm] = [
            alarm
            for alarm in self.alarms("MitigationActionProvider")
            if alarm["MetricName"] == "DeletesSkipped"
        ]
        expected = (alarm["Namespace"], alarm["MetricName"], self.dimensions(alarm))
        self.assertIn(expected, list(self.embedded_metrics()))

    def test_the_alarms_on_the_function_look_at_the_metrics_of_the_deployed_function(self):
        options = {"FunctionName": aws().outputs()["ServiceToken"], "Payload": "{}"}
        aws().client("lambda").invoke(**options)
        listed = aws().client("cloudwatch").list_metrics(Namespace="AWS/Lambda")["Metrics"]
        known = [(metric["MetricName"], self.dimensions(metric)) for metric in listed]
        function = {"FunctionName": aws().outputs()["FunctionName"]}
        # MiniStack does not count what becomes of asynchronous invocations.
        known += [("AsyncEventsDropped", function), ("DestinationDeliveryFailures", function)]
        alarms = self.alarms("AWS/Lambda")
        self.assertGreaterEqual(len(alarms), 3)
        for alarm in alarms:
            self.assertIn((alarm["MetricName"], self.dimensions(alarm)), known)

    def test_the_alarms_on_queues_look_at_queues_that_are_there(self):
        alarms = self.alarms("AWS/SQS")
        self.assertGreaterEqual(len(alarms), 4)
        for alarm in alarms:
            aws().client("sqs").get_queue_url(**self.dimensions(alarm))


class Cdk(unittest.TestCase):
    def test_the_example_is_deployed_and_destroyed(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        environment = {"CDK_OUTDIR": str(folder / "out"), "CDK_DISABLE_CLI_TELEMETRY": "true"}
        environment |= aws().environment()
        options = {"environment": environment, "cwd": ROOT / "examples" / "cdk"}
        cdk = [ROOT / "tools" / "node_modules" / ".bin" / "cdk", "--app", "node app.js"]
        found = folder / "outputs.json"
        run([*cdk, "bootstrap"], **options)
        deploy = ["deploy", "--all", "--require-approval", "never", "--outputs-file", found]
        run([*cdk, *deploy], **options)
        arns = [arn for stack in json.loads(found.read_text()).values() for arn in stack.values()]
        names = [arn.split(":mitigationaction/")[1] for arn in arns]
        self.assertTrue(names)
        self.assertEqual([name for name in names if not described(name)], [])
        run([*cdk, "destroy", "--all", "--force"], **options)
        self.assertEqual([name for name in names if described(name)], [])


class DifferencesFromAws(unittest.TestCase):
    """Differences that tools/local_aws.py lists. Take one off the list when its test fails."""

    def refused(self, name, resource):
        stack = Stack(self, name)
        try:
            return stack.create(stack_of(Refused=resource)) != "CREATE_COMPLETE"
        except ClientError:  # before anything is made
            return True

    def test_a_saved_query_is_refused(self):
        query = {"Name": "saved-query", "QueryString": "fields @message"}
        resource = {"Type": "AWS::Logs::QueryDefinition", "Properties": query}
        self.assertTrue(self.refused("saved-query", resource))

    def test_the_native_type_is_refused(self):
        properties = {"ActionName": "native", "RoleArn": ROLE, "ActionParams": DEACTIVATE}
        resource = {"Type": "AWS::IoT::MitigationAction", "Properties": properties}
        self.assertTrue(self.refused("native", resource))

    def test_a_topic_is_refused_as_service_token(self):
        topic = {"ServiceToken": aws().outputs()["TopicServiceToken"]}
        self.assertTrue(self.refused("topic-token", action("topic-token", **topic)))

    def test_no_delete_follows_a_failed_create(self):
        stack = Stack(self, "failed-create")
        bad = stack_of(FailsAndIsNotDeleted=action("not legal"))
        self.assertEqual(stack.create(bad), "ROLLBACK_COMPLETE")
        self.assertEqual(stack.delete(), "DELETE_COMPLETE")
        lines = [line for line in log() if "FailsAndIsNotDeleted" in line]
        self.assertEqual(len(lines), 1, lines)

    def test_the_dead_letters_of_a_rule_stay_empty(self):
        found = provider_stack(self, "provider-of-lost-events").outputs()
        sqs = aws().client("sqs")
        sqs.delete_queue(QueueUrl=found["RequestQueueUrl"])
        entry = {"EventBusName": found["RequestBusName"], "Source": "com.example.fleet"}
        entry |= {"DetailType": "Mitigation Action Requested", "Detail": "{}"}
        aws().client("events").put_events(Entries=[entry])
        received = sqs.receive_message(QueueUrl=Queue(found["RuleDeadLettersArn"]).url)
        self.assertNotIn("Messages", received)


if __name__ == "__main__":
    unittest.main()
