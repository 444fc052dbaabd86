"""Upgrades: each version recognizes the actions of earlier versions by their tags.

`tags-0.1.json` holds the tags that version 0.1 put on an action at each trigger, and the request
that created the action. Do not change it: a version with other tags gets a file of its own.
"""

import json
import unittest

from emulated import ROLE, Logging
from support import ROOT

OWNER = "mitigation-action-provider:owner"
CLAIMED = "mitigation-action-provider:claimed"
PARAMS = {"updateDeviceCertificateParams": {"action": "DEACTIVATE"}}
KEPT = {
    case["what"]: case
    for path in sorted((ROOT / "tests" / "deploy").glob("tags-*.json"))
    for case in json.loads(path.read_text())
}


class Kept:
    """An action as an earlier version left it."""

    def __init__(self, test, what):
        self.case = KEPT[what]
        self.name, self.kept = self.case["action"], self.case["tags"]
        self.function = Logging(test, RESULT_EVENT_BUS="results")
        tags = [{"Key": key, "Value": value} for key, value in self.kept.items()]
        made = self.function.iot.create_mitigation_action(
            actionName=self.name, roleArn=ROLE, actionParams=PARAMS, tags=tags
        )
        self.arn = made["actionArn"]

    def send(self, **changed):
        """Sends the original request, or a changed one; returns the result and the outcome."""
        text = json.dumps(self.case["request"] | changed)
        url = f"{self.function.aws}/response/kept"
        returned = self.function.invoke(json.loads(text.replace("RESPONSE-URL", url)))
        [line] = [line for line in self.function.lines() if line.get("subject")][-1:]
        return returned, line["outcome"]

    def tags(self):
        pages = self.function.iot.get_paginator("list_tags_for_resource")
        pages = pages.paginate(resourceArn=self.arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["tags"]}

    def exists(self):
        actions = self.function.iot.list_mitigation_actions()["actionIdentifiers"]
        return self.name in [action["actionName"] for action in actions]


class Upgrade(unittest.TestCase):
    def test_a_replay_of_the_original_request_adds_at_most_its_record(self):
        self.assertGreaterEqual(len(KEPT), 6)
        for what in KEPT:
            with self.subTest(what=what):
                kept = Kept(self, what)
                returned, outcome = kept.send()
                self.assertEqual(outcome, "CREATED", returned)
                tags = kept.tags()
                # Version 0.1 left no record of the request, so the replay claims the action.
                self.assertEqual(CLAIMED in tags, "stack" in what)
                tags.pop(CLAIMED, None)
                self.assertEqual(tags, kept.kept)

    def test_a_stack_updates_and_deletes_what_it_created(self):
        kept = Kept(self, "of a stack")
        changed = kept.case["request"]["ResourceProperties"] | {
            "Tags": [{"Key": "a", "Value": "b"}]
        }
        own = {"PhysicalResourceId": kept.name, "RequestId": "later", "ResourceProperties": changed}
        returned, _ = kept.send(RequestType="Update", **own)
        self.assertEqual((returned["Status"], kept.tags()["a"]), ("SUCCESS", "b"))
        returned, outcome = kept.send(RequestType="Delete", **own)
        self.assertEqual((returned["Status"], outcome), ("SUCCESS", "DELETED"))
        self.assertFalse(kept.exists())

    def test_an_adopted_one_is_released_and_stays(self):
        kept = Kept(self, "adopted by a stack")
        kept.send(RequestType="Delete", PhysicalResourceId=kept.name, RequestId="later")
        self.assertTrue(kept.exists())
        self.assertNotIn(OWNER, kept.tags())

    def test_a_direct_invocation_deletes_what_events_and_messages_created(self):
        for what in KEPT:
            if "stack" not in what:
                kept = Kept(self, what)
                delete = {"operation": "DeleteMitigationAction", "actionName": kept.name}
                self.assertEqual(kept.function.invoke(delete)["outcome"], "DELETED", what)
                self.assertFalse(kept.exists())

    def test_no_other_stack_takes_it_over(self):
        kept = Kept(self, "of a stack")
        returned, _ = kept.send(LogicalResourceId="Another", RequestId="another")
        self.assertEqual(returned["Status"], "FAILED")
        self.assertEqual(kept.tags(), kept.kept)


if __name__ == "__main__":
    unittest.main()
