"""The calls that a deployer makes: those of CloudFormation's handlers with the deployer's
credentials, and those of the SAM CLI and the AWS CLI."""

import fnmatch
import functools
import json

from deployment import ACCOUNT, HERE, REGION, STACK, Deployment
from evaluator import Call, fitting, resource_types
from support import TOOLS, run

# What each handler of a resource type may call, from the registry schemas in cfn-lint.
HANDLERS = """
import json, pathlib, sys
import cfnlint
folder = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
needed = {}
for path in folder.glob("*.json"):
    schema = json.loads(path.read_text())
    if schema.get("typeName") in sys.argv[1:]:
        handlers = schema.get("handlers", {})
        verbs = [handlers.get(verb, {}) for verb in ["create", "read", "update", "delete"]]
        names = [name for verb in verbs for name in verb.get("permissions", [])]
        needed[schema["typeName"]] = sorted(set(names))
print(json.dumps(needed))
"""

# Calls of the handlers for properties that the template does not set.
NOT_USED = {
    "AWS::Events::EventBus": {
        "events:*Permission": "a policy",
        "kms:*": "a key",
    },
    "AWS::Events::Rule": {"iam:PassRole": "a target that needs a role"},
    "AWS::IAM::Role": {"iam:*tachRolePolicy": "managed policies"},
    "AWS::Lambda::EventSourceMapping": {"kms:*": "encrypted filter criteria"},
    "AWS::Lambda::Function": {
        "ec2:*": "a VPC",
        "elasticfilesystem:*": "a file system",
        "s3files:*": "a file system",
        "lambda:*FunctionConcurrency": "reserved concurrency",
        "lambda:GetCodeSigningConfig": "code signing",
        "lambda:PutFunctionCodeSigningConfig": "code signing",
        "lambda:DeleteFunctionCodeSigningConfig": "code signing",
        "lambda:GetLayerVersion": "layers",
        "lambda:PutRuntimeManagementConfig": "a runtime version",
        "lambda:PutFunctionRecursionConfig": "recursion",
        "lambda:PutFunctionScalingConfig": "a capacity provider",
        "lambda:PassCapacityProvider": "a capacity provider",
        "lambda:AssociateRuntimeAlias": "a runtime alias",
        "lambda:PublishVersion": "versions",
        "s3:GetObjectVersion": "a version of the package",
    },
    "AWS::Logs::LogGroup": {
        "firehose:*": "log deliveries",
        "logs:CreateLogDelivery": "log deliveries",
        "s3:REST.PUT.OBJECT": "log deliveries",
        "logs:DeleteRetentionPolicy": "a log that is kept forever",
        "logs:PutDataProtectionPolicy": "a data protection policy",
        "logs:DeleteDataProtectionPolicy": "a data protection policy",
        "logs:PutIndexPolicy": "field indexes",
        "logs:DeleteIndexPolicy": "field indexes",
        "logs:PutResourcePolicy": "a resource policy",
        "logs:DeleteResourcePolicy": "a resource policy",
        "logs:PutLogGroupDeletionProtection": "deletion protection",
        "logs:PutBearerTokenAuthentication": "bearer tokens",
    },
    "AWS::SNS::Subscription": {"iam:*Role": "a subscription of Firehose"},
    "AWS::SNS::Topic": {
        "iam:*Role": "a log of deliveries",
        "sns:PutDataProtectionPolicy": "a data protection policy",
    },
}

KEY = f"arn:aws:kms:{HERE}:key/0a1b2c3d-0000-4000-8000-000000000001"
SAM_BUCKET = "arn:aws:s3:::aws-sam-cli-managed-default-samclisourcebucket-0a1b2c3d"
PACKAGE = f"{SAM_BUCKET}/0a1b2c3d"
TRANSFORM = f"arn:aws:cloudformation:{REGION}:aws:transform/Serverless-2016-10-31"


@functools.cache
def handler_permissions():
    """Returns the calls of the handlers of each type in the template, used or not."""
    kinds = set()
    for deployment in deployments():
        kinds |= {deployment.kind(name) for name in deployment.declared}
    return json.loads(run([TOOLS / "aws" / "bin" / "python", "-c", HANDLERS, *sorted(kinds)]))


def pattern_of_unused(kind, action):
    """Returns the entry of NOT_USED that the action of the type's handlers matches, if any."""
    patterns = NOT_USED.get(kind, {})
    return next((p for p in patterns if fnmatch.fnmatchcase(action, p)), None)


@functools.cache
def deployments():
    """Returns deployments that together have every resource, in every place that a parameter can
    put it under the names of `deployer.json`."""
    everything = {
        "CreateTopic": "true",
        "BreakGlassPrincipalArns": f"arn:aws:iam::{ACCOUNT}:role/on-call",
        "PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
        "KmsKeyArn": KEY,
        "Tracing": "Active",
    }
    bus = f"arn:aws:events:{HERE}:event-bus/fleet"
    return [
        Deployment(),
        Deployment(**everything),
        Deployment(RequestBus="fleet", ResultBus=bus),
        Deployment(RequestBus="default"),
    ]


def arns(deployment, name):
    """Returns the ARNs that the calls of a resource's handlers can be about."""
    kind, properties = deployment.kind(name), deployment.properties(name)
    named = {deployment.physical_name(other): other for other in deployment.declared}
    if kind == "AWS::SQS::QueuePolicy":
        return [deployment.arn(named[queue]) for queue in properties["Queues"]]
    if kind == "AWS::SNS::TopicPolicy":
        return properties["Topics"]
    if kind == "AWS::SNS::Subscription":
        return [properties["TopicArn"]]
    if kind in ("AWS::Lambda::Permission", "AWS::Lambda::EventInvokeConfig"):
        return [deployment.arn("Function")]
    if kind == "AWS::Logs::QueryDefinition":
        return []
    if kind == "AWS::Lambda::Function":
        key = [properties["KmsKeyArn"]] if "KmsKeyArn" in properties else []
        return [deployment.arn(name), deployment.arn("Role"), PACKAGE, *key]
    if kind == "AWS::Logs::LogGroup":
        # IAM sees it with this suffix, except in calls about tags.
        return [deployment.arn(name), f"{deployment.arn(name)}:log-stream:"]
    return [deployment.arn(name)]


def context(deployment, action):
    if action == "iam:PassRole":
        return {"iam:PassedToService": "lambda.amazonaws.com"}
    if action in ("lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"):
        return {"lambda:FunctionArn": deployment.arn("Function")}
    if action in ("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"):
        return {"lambda:FunctionArn": deployment.arn("Function")}
    return {}


def of_handlers(deployment):
    """Returns the calls of the handlers of a deployment's resources."""
    used = [
        (name, action)
        for name in deployment.declared
        for action in handler_permissions()[deployment.kind(name)]
        if not pattern_of_unused(deployment.kind(name), action)
        and (not action.startswith("kms:") or "KmsKeyArn" in deployment.properties(name))
    ]
    types = resource_types(*sorted({action for _, action in used}))
    calls = []
    for name, action in used:
        resources = fitting(types[action], arns(deployment, name))
        if not resources:
            raise AssertionError(f"{name} has no resource for {action}")
        if action in BOTH_READINGS:
            resources = [*resources, "*"]
        calls += [Call(action, arn, context(deployment, action)) for arn in resources]
    return calls


# AWS's service authorization reference says of one day that these take a topic, of another that
# they take no resource, which only `*` grants.
BOTH_READINGS = {
    "sns:GetSubscriptionAttributes",
    "sns:SetSubscriptionAttributes",
    "sns:Unsubscribe",
}


def stack(name):
    return f"arn:aws:cloudformation:{HERE}:stack/{name}/0a1b2c3d"


def of_cli(action, *resources):
    return [Call(action, resource) for resource in resources]


# What the SAM CLI and the AWS CLI call themselves. tests/deploy/test_deployment.py records them.
CLI = [
    *of_cli("cloudformation:CreateChangeSet", stack(STACK), TRANSFORM),
    *of_cli("cloudformation:DeleteStack", stack(STACK)),
    *of_cli("cloudformation:DescribeChangeSet", stack(STACK)),
    *of_cli("cloudformation:DescribeStackEvents", stack(STACK)),
    *of_cli(
        "cloudformation:DescribeStacks",
        stack(STACK),
        stack("aws-sam-cli-managed-default"),
        stack(f"{STACK}-0a8de930-CompanionStack"),
        stack(f"{STACK}-0a8de930-WebFunctionCode"),
    ),
    *of_cli("cloudformation:ExecuteChangeSet", stack(STACK)),
    *of_cli("cloudformation:GetTemplate", stack(STACK)),
    *of_cli("cloudformation:GetTemplateSummary", stack(STACK)),
    *of_cli("s3:DeleteObject", PACKAGE),
    *of_cli("s3:GetObject", PACKAGE),  # HeadObject, and CloudFormation reads template and package
    *of_cli("s3:ListBucket", SAM_BUCKET),  # for a 404 instead of a 403
    *of_cli("s3:PutObject", PACKAGE),
]
