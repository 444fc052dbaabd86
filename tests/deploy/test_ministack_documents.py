"""The README and the pages of docs on MiniStack: the tests run their commands as they are written.
test_operations_ministack.py does so for the operating guide."""

import ast
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from ministack import ROLE, Stack, aws, described
from support import ROOT, TOOLS, run

PAGES = ["README.md", "docs/deploying.md", "docs/events.md", "docs/reference.md", "cdk/README.md"]
# Commands that are not run here, and why.
NOT_RUN = {
    "make run": "test_documents.py compares its output with the README",
    "make serve": "test_serve.py runs what it prints",
    "make deploy-tools": "it has installed the tools of these tests",
    "sam build": "the tests use the package that is already built",
    "sam deploy --region eu-west-1 --parameter-overrides": "local_aws.py deploys the provider",
    "aws s3 cp mitigation-action-provider": "test_release.py deploys release files",
    "aws cloudformation deploy --stack-name mitigation-action-provider": "the same",
    "ResultBus=default ProviderAccount=": "MiniStack has no AWS::Events::EventBusPolicy",
    "npm ci": "it has installed the modules of these tests",
    "cd YOUR-APP": "the test has a folder of its own",
}


def setUpModule():
    aws()


def commands(page):
    """Returns each command in a page's code blocks that are indented."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^ {4,}[^ \n|].*(?:\n {4,}.*)*", without_fences(text), re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(line.split("  #")[0].split()) for line in lines]


def without_fences(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def environment():
    """Returns a shell's environment with the tools, as `make serve` prints it."""
    inherited = aws().environment()
    path = os.pathsep.join([str(ROOT / "tools" / "local"), inherited["PATH"]])
    return inherited | {"PATH": path}


def play(test, page, *fragments, **replaced):
    """Runs the page's commands that contain the fragments in one shell; returns the output."""
    known, script = commands(page), []
    for fragment in fragments:
        found = [command for command in known if fragment in command]
        test.assertTrue(found, fragment)
        script.append(found[0])
    script = "\n".join(script)
    for name, value in replaced.items():
        script = script.replace(name, value)
    options = {"env": environment(), "cwd": ROOT, "capture_output": True, "text": True}
    done = subprocess.run(["bash", "-euc", script], **options)
    test.assertEqual(done.returncode, 0, f"{script}: {done.stdout} {done.stderr}")
    return done.stdout


class Commands(unittest.TestCase):
    def test_every_command_is_run_here_or_listed_as_not_run(self):
        tree = ast.walk(ast.parse(pathlib.Path(__file__).read_text()))
        texts = [node.value for node in tree if isinstance(node, ast.Constant)]
        named = [text for text in texts if isinstance(text, str) and len(text) >= 6]
        every = [command for page in PAGES for command in commands(page)]
        self.assertGreaterEqual(len(every), 25)
        for command in every:
            self.assertTrue(any(fragment in command for fragment in named), command)
        for fragment in NOT_RUN:
            self.assertTrue(any(fragment in command for command in every), fragment)

    def test_every_make_target_exists(self):
        targets = {c.split()[1] for p in PAGES for c in commands(p) if c.startswith("make ")}
        self.assertGreaterEqual(len(targets), 3)
        for target in targets:
            run(["make", "--dry-run", target, "PORT=1", "STAND_INS_PORT=2"])


class Readme(unittest.TestCase):
    def test_its_stack_is_deployed_after_the_provider(self):
        fleet = Stack(self, "fleet")
        play(self, "README.md", 'export PATH="$PWD/.tools/sam/bin', "--stack-name fleet")
        [arn] = fleet.outputs().values()
        self.assertTrue(arn.endswith(":mitigationaction/fleet-quarantine"))
        role = described("fleet-quarantine")["roleArn"]
        granted = [c for c in commands("README.md") if "ActionRoleArns=" in c]
        self.assertEqual([c.split("ActionRoleArns=")[1] for c in granted], [role])

    def test_its_lint_command_checks_the_users_own_template(self):
        [command] = [c for c in commands("README.md") if "cfn-lint --append-rules" in c]
        self.assertIn(command, commands("docs/reference.md"))
        template = {
            "Resources": {
                "Quarantine": {
                    "Type": "Custom::IoTMitigationAction",
                    "Properties": {
                        "ServiceToken": {"Fn::ImportValue": "provider-ServiceToken"},
                        "RoleArn": ROLE,
                        "ActionParams": {"UpdateCACertificateParams": {"Action": "DEACTIVATE"}},
                    },
                }
            }
        }
        with tempfile.TemporaryDirectory() as folder:
            own = pathlib.Path(folder, "own.json")
            for params, code in [({}, 0), ({"OnConflict": "Adopted"}, 2)]:
                template["Resources"]["Quarantine"]["Properties"] |= params
                own.write_text(json.dumps(template))
                words = shlex.split(
                    command.replace("PATH/TO", str(ROOT)).replace("YOUR.yaml", str(own))
                )
                done = subprocess.run(
                    [TOOLS / "aws" / "bin" / words[0], *words[1:]],
                    cwd=folder,
                    env=aws().environment(),
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(done.returncode, code, done.stdout)
                self.assertEqual("Adopted" in done.stdout, code != 0)


class Deploying(unittest.TestCase):
    def test_the_template_is_validated(self):
        output = play(self, "docs/deploying.md", 'export PATH="$PWD/.tools', "sam validate --lint")
        self.assertIn("is a valid SAM Template", output)


class Events(unittest.TestCase):
    def setUp(self):
        self.addCleanup(
            aws().client("iot").delete_mitigation_action, actionName="device-quarantine"
        )

    def test_a_request_is_sent_and_its_result_received(self):
        results = Stack(self, "fleet-results")
        result = play(
            self,
            "docs/events.md",
            "--region eu-west-1 --no-confirm-changeset",
            "queue=$(aws cloudformation describe-stacks",
            "id=$(examples/send-event.sh",
            'examples/receive-result.sh "$queue" "$id"',
        )
        event = json.loads(result[result.index("\n{\n") :])
        self.assertEqual(event["detail"]["outcome"], "CREATED")
        self.assertEqual(event["detail"]["requestSource"], "com.example.fleet")
        attributes = aws().client("sqs").get_queue_attributes(
            QueueUrl=results.outputs()["QueueUrl"], AttributeNames=["All"]
        )["Attributes"]
        waiting = [attributes[f"ApproximateNumberOfMessages{n}"] for n in ["", "NotVisible"]]
        self.assertEqual(waiting, ["0", "0"], "what was read is deleted")

    def test_the_results_of_other_requests_stay(self):
        results = Stack(self, "fleet-results")
        play(self, "docs/events.md", "--region eu-west-1 --no-confirm-changeset")
        queue = results.outputs()["QueueUrl"]
        send = "examples/send-event.sh mitigation-action-provider-requests"
        first, second = [play(self, "docs/events.md", send).strip() for _ in range(2)]
        # The second create is another event's, so its result is a failure.
        for request, detail_type in [(second, "Failed"), (first, "Succeeded")]:
            receive = [ROOT / "examples" / "receive-result.sh", queue, request]
            event = json.loads(run(receive, environment()))
            self.assertEqual(event["detail-type"], f"Mitigation Action Request {detail_type}")

    def test_the_bus_admits_another_account_and_takes_its_arn(self):
        play(self, "docs/events.md", "aws events put-permission")
        arn = aws().outputs()["RequestBusArn"]
        [command] = [c for c in commands("docs/events.md") if "event-bus/mitigation" in c]
        self.assertEqual(command, f"examples/send-event.sh {arn}")
        play(self, "docs/events.md", "examples/send-event.sh arn:aws:events")

    def test_results_are_sent_to_the_bus_of_another_account(self):
        share = Stack(self, "fleet-share")
        play(self, "docs/events.md", "SenderBusArn=arn:aws:events")
        events = aws().client("events")
        bus = {"EventBusName": "mitigation-action-provider-results"}
        names = [rule["Name"] for rule in events.list_rules(**bus)["Rules"]]
        [name] = [name for name in names if name.startswith("fleet-share-")]
        [target] = events.list_targets_by_rule(Rule=name, **bus)["Targets"]
        self.assertEqual(target["Arn"].split(":")[4], "210987654321")
        self.assertTrue(target["RoleArn"])
        self.assertIsNotNone(share)


class Construct(unittest.TestCase):
    def test_an_app_installs_the_archive(self):
        with tempfile.TemporaryDirectory() as folder:
            app = pathlib.Path(folder, "app")
            app.mkdir()
            run(["bash", "-euc", self.command("npm pack", folder)], cwd=ROOT / "cdk")
            install = self.command("npm install", folder)
            # Without the CDK, which an app has.
            run(["bash", "-euc", f"{install} --legacy-peer-deps --offline"], cwd=app)
            package = app / "node_modules" / "mitigation-action-provider-cdk"
            self.assertTrue((package / "lib" / "problems.js").is_file())

    def command(self, start, folder):
        [command] = [c for c in commands("cdk/README.md") if c.startswith(start)]
        return command.replace("/tmp", folder)


if __name__ == "__main__":
    unittest.main()
