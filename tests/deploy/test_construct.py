"""The CDK construct names a problem during synthesis in the words in which the provider does during
a deployment."""

import json
import unittest

from emulated import Stack
from support import ROOT, run

ROLE = "arn:aws:iam::123456789012:role/quarantine"
PROBLEMS = """
const { problemsOf } = require("./lib/problems.js");
console.log(JSON.stringify(problemsOf(JSON.parse(process.argv[1]))));
"""
# Each has properties with problems.
INVALID = [
    {
        "ActionName": "fleet quarantine",
        "RoleArn": "arn:aws:iam::123456789012:user/" + "u" * 90,
        "OnConflict": "adopt",
        "CheckNames": ["", "CA_CERTIFICATE_EXPIRING_CHECK"],
    },
    {
        "ActionParams": {
            "AddThingsToThingGroupParams": {"ThingGroupNames": ["a", "b c", ""]},
        },
        "Tags": [
            {"Key": "Aws:team", "Value": "v" * 257},
            {"Key": "Mitigation-Action-Provider:owner", "Value": ""},
            {"Key": "a#b", "Value": 'quoted "text"'},
        ],
    },
    {"ActionParams": {"AddThingsToThingGroupParams": {"ThingGroupNames": []}}},
    {"ActionParams": {"PublishFindingToSnsParams": {"TopicArn": "arn:aws:sqs:r:1:queue"}}},
    {
        "ActionParams": {
            "EnableIoTLoggingParams": {
                "LogLevel": "DISABLED",
                "RoleArnForLogging": "arn:aws:iam::1234:role/logs",
            }
        },
    },
]


class Words(unittest.TestCase):
    def test_the_construct_and_the_provider_name_the_same_problems(self):
        stack = Stack(self)
        for invalid in INVALID:
            properties = {
                "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:provider",
                "RoleArn": ROLE,
                "ActionParams": {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}},
                "Tags": [],
                **invalid,
            }
            found = run(["node", "-e", PROBLEMS, json.dumps(properties)], cwd=ROOT / "cdk")
            reason = stack.play("Create", "Quarantine", properties)["Reason"]
            code, named = reason.split(": ", 1)
            self.assertEqual(code, "InvalidRequestException")
            if " problems: " in named:
                named = named.split(" problems: ")[1]
            self.assertEqual(sorted(json.loads(found)), sorted(named.split("; ")))


if __name__ == "__main__":
    unittest.main()
