"""The targets that people run: `make serve`, whose commands work as pasted and which leaves nothing
behind, `make doctor`, `make local`, and the last lines of `make test`."""

import pathlib
import signal
import subprocess
import tempfile
import unittest

from support import ENVIRONMENT, ROOT, TOOLS, free_port


class Serve(unittest.TestCase):
    def start(self, *ports):
        """Starts tools/serve.py; returns the process and its output until it waits for Ctrl-C."""
        program = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "serve.py"]
        process = subprocess.Popen(
            [*program, f"--port={ports[0]}", f"--stand-ins-port={ports[1]}"],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        printed = ""
        for line in process.stdout:
            printed += line
            if line.startswith("aws cloudformation delete-stack"):
                break
        return process, printed

    def test_the_printed_commands_work_and_ctrl_c_stops_everything(self):
        ports = free_port(), free_port()
        process, printed = self.start(*ports)
        commands = printed[printed.index("# First") :]
        pasted = subprocess.run(
            ["sh", "-e"],
            input=commands,
            env={"PATH": ENVIRONMENT["PATH"].split(":", 1)[1], "HOME": ENVIRONMENT["HOME"]},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertEqual(pasted.returncode, 0, pasted.stdout + pasted.stderr)
        for expected in [
            r"Successfully created/updated stack - fleet",
            r'"OutputValue": "arn:aws:iot:[^"]+:mitigationaction/fleet-quarantine"',
            r'"actionType": "ADD_THINGS_TO_THING_GROUP"',
            r'"detail-type": ?"Mitigation Action Request Succeeded"',
            r'"outcome": ?"CREATED"',
            r"trigger",
        ]:
            self.assertRegex(pasted.stdout, expected)

        second, message = self.start(*ports)
        self.assertEqual(second.wait(), 1)
        self.assertRegex(message, rf"^port {ports[0]} is in use: [^\n]+\n$")

        process.send_signal(signal.SIGINT)
        self.assertIn("nothing is kept", process.stdout.read())
        self.assertEqual(process.wait(), 0)
        started = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        for port in ports:
            self.assertNotRegex(started, rf"\b{port}\b")


class Doctor(unittest.TestCase):
    def doctor(self, *checks, **environment):
        program = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "doctor.py", *checks]
        options = {"env": {**ENVIRONMENT, **environment}, "capture_output": True, "text": True}
        return subprocess.run(program, cwd=ROOT, **options)

    def test_a_passing_check_prints_nothing(self):
        done = self.doctor("rust", "python", "event=events/delete.json")
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_each_problem_is_one_line_with_its_remedy(self):
        checks = ["rust", "compiler", "node", "docker", "busybox", "event=", "event=events/no.json"]
        done = self.doctor(*checks, PATH="/nowhere")
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines], [c.split("=")[0] for c in checks])
        for line in lines:
            self.assertRegex(line, r"^[a-z]+: .+: .+")

    def test_without_names_it_runs_every_check(self):
        names = [line.split(":")[0] for line in self.doctor().stdout.splitlines()]
        self.assertEqual(
            names, ["rust", "compiler", "python", "node", "docker", "busybox", "serve"]
        )


class Make(unittest.TestCase):
    def test_local_without_an_event_file_fails_with_a_message(self):
        for event in [[], ["EVENT=events/no.json"]]:
            done = subprocess.run(
                ["make", "local", *event], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
            )
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"(?m)^event: .*expected ")
            self.assertNotIn("sam", done.stdout)


class Test(unittest.TestCase):
    CARGO = """#!/bin/sh
[ "$2" != --quiet ] || echo 'test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured'
"""
    MAKE = """#!/bin/sh
case "$2" in
cdk-test) printf '# pass 3\\n# fail 0\\n# skipped 0\\n' ;;
deploy-tests)
    echo 'skipped: test_package.Container: no Docker engine is running'
    printf 'Ran 5 tests in 1.0s\\n\\nFAILED (failures=1, skipped=2)\\n'
    exit 1
    ;;
package) exit "$PACKAGE_EXIT" ;;
esac
"""

    def play(self, package_exit):
        """Runs the steps with programs that print the totals of cargo, node and unittest."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in [("cargo", self.CARGO), ("make", self.MAKE)]:
                program = pathlib.Path(folder, name)
                program.write_text(text)
                program.chmod(0o755)
            path = f"{folder}:{ENVIRONMENT['PATH']}"
            environment = {**ENVIRONMENT, "PATH": path, "PACKAGE_EXIT": package_exit}
            program = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "test.py"]
            return subprocess.run(program, env=environment, capture_output=True, text=True)

    def test_it_ends_with_the_totals_and_the_reason_for_each_skip(self):
        done = self.play("0")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^== step 1 of \d+: ")
        reason, counts = done.stdout.splitlines()[-2:]
        self.assertEqual(reason, "skipped: test_package.Container: no Docker engine is running")
        self.assertEqual(counts, "12 passed, 1 failed, 3 skipped")

    def test_no_test_runs_after_a_failed_build(self):
        done = self.play("1")
        self.assertEqual(done.returncode, 1)
        reason, counts = done.stdout.splitlines()[-2:]
        self.assertRegex(reason, r"^skipped: build the tests, .*, because step 2 failed$")
        self.assertEqual(counts, "0 passed, 1 failed, 0 skipped")


if __name__ == "__main__":
    unittest.main()
