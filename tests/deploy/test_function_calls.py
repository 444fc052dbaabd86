"""The calls that the function makes for the samples, each evaluated against its role."""

import unittest

import test_policies
from deployment import ACCOUNT, REGION, Deployment
from emulated import answering
from evaluator import Call, denied
from recording import Recorder
from support import STORY, emulator, outcome, sample, stand_ins
from test_policies import FULL, role_policy


def as_iam_sees(call):
    """Returns the calls that IAM decides about for one request of the function."""
    parameters = call.parameters
    if call.operation == "PutEvents":
        [bus] = {entry["EventBusName"] for entry in parameters["Entries"]}
        if bus != FULL.physical_name("ResultEventBus"):
            raise AssertionError(f"events are put on {bus}")
        sources = [entry["Source"] for entry in parameters["Entries"]]
        return [Call("events:PutEvents", FULL.arn("ResultEventBus"), {"events:source": sources})]
    name = parameters.get("actionName")
    arn = parameters.get("resourceArn") or f"arn:aws:iot:{REGION}:{ACCOUNT}:mitigationaction/{name}"
    keys = [tag["Key"] for tag in parameters.get("tags", [])] + parameters.get("tagKeys", [])
    calls = [Call(f"iot:{call.operation}", arn, {"aws:TagKeys": keys} if keys else {})]
    if "roleArn" in parameters:
        passed = {"iam:PassedToService": "iot.amazonaws.com"}
        calls.append(Call("iam:PassRole", parameters["roleArn"], passed))
    return calls


class Recorded(unittest.TestCase):
    def test_the_function_makes_exactly_these_calls(self):
        port = stand_ins(self)
        recorder = Recorder(self, f"http://127.0.0.1:{port}")
        invoke = emulator(
            self,
            {
                "AWS_ENDPOINT_URL": recorder.url,
                "RESPONSE_URL_ALLOWED_HOSTS": "127.0.0.1",
                "RESULT_EVENT_BUS": FULL.physical_name("ResultEventBus"),
                "ROLE_PROPAGATION_SECONDS": "0",
            },
        )
        for name, _ in STORY:
            invoke(sample(name, f"127.0.0.1:{port}"))
        made = [seen for call in recorder.calls for seen in as_iam_sees(call)]
        roles = {call.resource for call in made if call.action == "iam:PassRole"}
        deployment = Deployment(ActionRoleArns=",".join(roles))
        distinct = {str(call): call for call in made}.values()
        self.assertEqual(denied(distinct, identity=[role_policy(deployment, "Role")]), [])
        listed = {call.action for call in test_policies.Function.calls(FULL)[0]}
        own = {action for action in listed if action.split(":")[0] in ("iot", "iam", "events")}
        self.assertEqual({call.action for call in made}, own)

    def test_the_function_uses_no_proxy(self):
        port, proxy = stand_ins(self), answering(self, 502, "ProxyWasAsked")
        variables = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        variables |= {spelled: proxy for name in names for spelled in (name, name.lower())}
        invoke = emulator(self, variables)
        self.assertEqual(outcome(invoke(sample("direct-create"))), "CREATED")


if __name__ == "__main__":
    unittest.main()
