"""IAM policies, evaluated as AWS documents the evaluation, with tools/evaluate_policies.mjs."""

import atexit
import functools
import json
import re
import subprocess
from dataclasses import dataclass, field

from support import ENVIRONMENT, ROOT

ACCOUNT, REGION = "123456789012", "eu-west-1"
ALLOWED, IMPLICIT, EXPLICIT = "Allowed", "ImplicitlyDenied", "ExplicitlyDenied"


@dataclass(frozen=True)
class Call:
    """One call that a principal makes, as IAM sees it."""

    action: str
    resource: str
    context: dict = field(default_factory=dict, hash=False)
    account: str = ACCOUNT  # the resource's
    principal: str = f"arn:aws:iam::{ACCOUNT}:role/example"

    def __str__(self):
        return f"{self.action} on {self.resource} {self.context or ''}".rstrip()


@functools.cache
def node():
    """Starts the evaluator, once for each process."""
    script = ROOT / "tools" / "evaluate_policies.mjs"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(["node", script], env=ENVIRONMENT, **pipes)
    atexit.register(process.communicate)
    return process


def ask(**request):
    process = node()
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise AssertionError("the evaluator has failed: see its error above")
    return json.loads(answer)


def decide(calls, identity=(), resource_policy=None, service_control=()):
    """Returns a decision for each call under the same policies."""
    policies = {
        "identity": list(identity),
        "serviceControl": list(service_control),
        "resourcePolicy": resource_policy,
    }
    return decide_each([(call, policies) for call in calls])


def decide_each(pairs):
    """Returns a decision for each pair of a call and its policies."""
    requests = [
        {
            "principal": call.principal,
            "action": call.action,
            "resource": call.resource,
            "account": call.account,
            "context": call.context,
            "identity": [],
            **policies,
        }
        for call, policies in pairs
    ]
    return ask(requests=requests)


def denied(calls, **policies):
    """Returns what is wrong with each call that is not allowed."""
    calls = list(calls)
    decisions = decide(calls, **policies)
    return [f"{call}: {d}" for call, d in zip(calls, decisions, strict=True) if d != ALLOWED]


@functools.cache
def resource_types(*actions):
    """Returns the ARN formats of the resource types of each action, as patterns."""
    return {
        action: [re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(arn)) for arn in arns]
        for action, arns in zip(actions, ask(actions=actions), strict=True)
    }


def fitting(patterns, arns):
    """Returns those of the ARNs that match a resource type, or `*` if there is no such type."""
    if not patterns:
        return ["*"]
    return [arn for arn in arns if any(re.fullmatch(pattern, arn) for pattern in patterns)]


def as_list(value):
    return value if isinstance(value, list) else [value]


def parts(policy):
    """Yields each action on each resource that an identity policy allows, as a policy of its own,
    with the statement's name."""
    for index, statement in enumerate(policy["Statement"]):
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                part = {**statement, "Action": action, "Resource": resource}
                yield statement.get("Sid", str(index)), part


def unneeded(policy, calls, resource_policy=None):
    """Returns the actions and resources in the statements of an identity policy without which
    every call would still be allowed."""
    calls, using = list(calls), []
    for call in calls:
        for name, part in parts(policy):
            if part["Action"] == call.action:
                using.append((call, name, part))
    pairs = [
        (call, {"identity": [policy | {"Statement": [part]}], "resourcePolicy": resource_policy})
        for call, _, part in using
    ]
    allowing = {call: set() for call in calls}
    for (call, name, part), decision in zip(using, decide_each(pairs), strict=True):
        if decision == ALLOWED:
            allowing[call].add((name, part["Action"], part["Resource"]))
    needed = set()
    for ways in allowing.values():
        for member in (1, 2):
            values = {(way[0], way[member]) for way in ways}
            needed |= values if len(values) == 1 else set()
    granted = {
        (name, part[member]) for name, part in parts(policy) for member in ("Action", "Resource")
    }
    return sorted(f"{name}: {value}" for name, value in granted - needed)
