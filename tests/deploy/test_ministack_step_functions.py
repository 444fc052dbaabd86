"""The example of Step Functions on MiniStack."""

import json
import re
import unittest

from ministack import ROLE, aws, described, wait_until
from support import local_aws, run


class StateMachine(unittest.TestCase):
    """examples/step-functions.yaml, deployed by the command in its description, and run."""

    @classmethod
    def setUpClass(cls):
        description = local_aws.load("examples/step-functions.yaml")["Description"]
        [command] = re.findall(r"sam deploy .*", description)
        run(["bash", "-c", command], environment=aws().environment())
        cloudformation = aws().client("cloudformation")
        cls.addClassCleanup(cloudformation.delete_stack, StackName="create-action")
        [stack] = cloudformation.describe_stacks(StackName="create-action")["Stacks"]
        [cls.arn] = [output["OutputValue"] for output in stack["Outputs"]]

    def execute(self, execution, **members):
        topic = f"arn:aws:sns:{local_aws.REGION}:{local_aws.ACCOUNT}:findings"
        given = {"name": "from-states", "role": ROLE, "topic": topic} | members
        states = aws().client("stepfunctions")
        options = {"stateMachineArn": self.arn, "name": execution, "input": json.dumps(given)}
        arn = states.start_execution(**options)["executionArn"]

        def ended():
            found = states.describe_execution(executionArn=arn)
            return None if found["status"] == "RUNNING" else found

        return wait_until(ended, execution)

    def test_it_creates_an_action_and_names_each_failure(self):
        self.addCleanup(aws().client("iot").delete_mitigation_action, actionName="from-states")
        made = self.execute("first")
        self.assertEqual(made["status"], "SUCCEEDED")
        arn = described("from-states")["actionArn"]
        self.assertEqual(json.loads(made["output"]), {"arn": arn})
        self.assertEqual(self.execute("second")["error"], "NameIsTaken")
        wrong = self.execute("third", name="from states")
        self.assertEqual(wrong["error"], "RequestIsWrong")
        self.assertIn("actionName", wrong["cause"])


if __name__ == "__main__":
    unittest.main()
