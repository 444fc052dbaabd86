"""The targets that people run: `make serve`, whose commands work as pasted and which leaves nothing
behind, `make help`, `make doctor`, `make local`, and the order and the last lines of `make test`.
"""

import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from support import ENVIRONMENT, PACKAGE, ROOT, TOOLS, free_port


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
            r'"outcome": ?"DESCRIBED"',
            r'"actionName": ?"publish-to-security"',
        ]:
            self.assertRegex(pasted.stdout, expected)
        logged = [line for line in pasted.stdout.splitlines() if "trigger=" in line]
        self.assertEqual(len(logged), 4, pasted.stdout)
        self.assertNotIn("CloudWatchMetrics", pasted.stdout)

        second, message = self.start(*ports)
        self.assertEqual(second.wait(), 1)
        self.assertRegex(
            message,
            rf"^port {ports[0]} is in use by process \d+, [^\n]*ministack[^\n]*: end it, "
            rf"or choose another port \(make serve PORT={ports[0] + 1}\)\n$",
        )

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
        checks = ["rust", "compiler", "node", "docker", "busybox", "valgrind", "nightly"]
        checks += ["package=/nowhere", "event=", "event=events/no.json"]
        done = self.doctor(*checks, PATH="/nowhere")
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines], [c.split("=")[0] for c in checks])
        for line in lines:
            self.assertRegex(line, r"^[a-z]+: .+: .+")

    def test_without_names_it_says_which_targets_need_what(self):
        lines = self.doctor().stdout.splitlines()
        parts = [line for line in lines if not line.startswith(" ")]
        self.assertEqual([line.split()[0] for line in parts], ["Required"] * 3 + ["Optional:"])
        for target in ["run", "package", "serve", "test"]:
            self.assertRegex("\n".join(parts), rf"make {target}\b")
        names = [line.split()[0] for line in lines if re.match(r"  [a-z]", line)]
        required = ["rust", "compiler", "python", "linux", "serve", "node"]
        self.assertEqual(names, [*required, "docker", "busybox", "valgrind", "nightly"])

    def test_it_says_what_is_left_out_and_does_not_fail_without_what_is_optional(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ["cargo", "cc", "node", "npm"]:
                pathlib.Path(folder, name).symlink_to("/bin/true")
            done = self.doctor(PATH=folder)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertRegex(done.stdout, r"docker +no Docker: .*\n +without it, make local")
            pathlib.Path(folder, "cc").unlink()
            done = self.doctor(PATH=folder)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, r"compiler +no C compiler: ")

    def test_a_busy_port_names_its_process_and_the_option_that_chooses_another(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.doctor(f"ports={free_port()},{port}")
        self.assertRegex(done.stdout, rf"^ports: port {port} is in use by process \d+, .*python")
        self.assertIn(f"STAND_INS_PORT={port + 1}", done.stdout)

    def test_a_package_of_another_architecture_is_a_problem(self):
        self.assertEqual(self.doctor(f"package={PACKAGE / 'bootstrap'}").stdout, "")
        binary = bytearray((PACKAGE / "bootstrap").read_bytes()[:64])
        binary[18] = 183 if binary[18] == 62 else 62
        with tempfile.NamedTemporaryFile() as file:
            file.write(binary)
            file.flush()
            done = self.doctor(f"package={file.name}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"the package is for \w+, and this machine is \w+: run")


class LocalCli(unittest.TestCase):
    def test_every_sqs_command_goes_to_the_local_endpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            real = pathlib.Path(folder, ".tools/aws/bin/aws")
            real.parent.mkdir(parents=True)
            real.write_text('#!/bin/sh\necho "$@"\n')
            real.chmod(0o755)
            wrapper = pathlib.Path(folder, "tools/local/aws")
            wrapper.parent.mkdir(parents=True)
            wrapper.write_text((ROOT / "tools/local/aws").read_text())
            for command, expected in [
                (["sqs", "list-queues"], "--endpoint-url http://local sqs list-queues\n"),
                (["iot", "list-things"], "iot list-things\n"),
            ]:
                environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": "http://local"}
                done = subprocess.run(
                    ["sh", wrapper, *command], env=environment, capture_output=True, text=True
                )
                self.assertEqual(done.stdout, expected)


class Make(unittest.TestCase):
    def make(self, *arguments):
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)

    def test_help_has_two_groups_of_aligned_lines_that_fit_a_terminal(self):
        lines = self.make("help").stdout.splitlines()
        groups = [line for line in lines if not line.startswith("  make ")]
        self.assertEqual(groups, ["To try, build and deploy it:", "To work on it:"])
        texts = {re.match(r"  make [a-z-]+ +", line).end() for line in lines if line not in groups}
        self.assertEqual(len(texts), 1)
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertGreaterEqual(len(lines), 20)

    def test_serve_uses_the_ports_that_are_chosen(self):
        commands = self.make("--dry-run", "serve", "PORT=4570", "STAND_INS_PORT=9020").stdout
        self.assertIn("tools/doctor.py ports=4570,9020\n", commands)
        self.assertIn("tools/serve.py --port 4570 --stand-ins-port 9020\n", commands)

    def test_local_without_an_event_file_fails_with_a_message(self):
        for event in [[], ["EVENT=events/no.json"]]:
            done = self.make("local", *event)
            self.assertNotEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"(?m)^event: .*expected ")
            self.assertNotIn("sam", done.stdout)


class Test(unittest.TestCase):
    CARGO = """#!/bin/sh
[ "$1" = test ] || exit 0
echo 'test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured'
"""
    MAKE = """#!/bin/sh
case "$2" in
cdk-test) printf '# pass 3\\n# fail 0\\n# skipped 0\\n' ;;
deploy-tests)
    echo 'skipped: test_package.Container: no Docker engine is running'
    echo 'FAILED   0.1 s  test_log.Log.test_a_line_is_short'
    printf 'Ran 5 tests in 1.0s\\n\\nFAILED (failures=1, skipped=2)\\n'
    exit 1
    ;;
package) exit "$PACKAGE_EXIT" ;;
esac
"""

    def play(self, package_exit, **variables):
        """Runs the steps with programs that print the totals of cargo, node and unittest."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in [("cargo", self.CARGO), ("make", self.MAKE)]:
                program = pathlib.Path(folder, name)
                program.write_text(text)
                program.chmod(0o755)
            path = f"{folder}:{ENVIRONMENT['PATH']}"
            environment = {**ENVIRONMENT, "PATH": path, "PACKAGE_EXIT": package_exit, **variables}
            program = [TOOLS / "aws" / "bin" / "python", ROOT / "tools" / "test.py"]
            return subprocess.run(program, env=environment, capture_output=True, text=True)

    def test_it_ends_with_the_failed_tests_the_reason_for_each_skip_and_the_totals(self):
        done = self.play("0")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^== contract: done in \d")
        reason, failed, counts = done.stdout.splitlines()[-3:]
        self.assertEqual(reason, "skipped: test_package.Container: no Docker engine is running")
        self.assertEqual(failed, "failed: test_log.Log.test_a_line_is_short")
        self.assertEqual(counts, "12 passed, 1 failed, 3 skipped")

    def test_a_step_starts_when_the_steps_that_it_needs_or_would_slow_are_done(self):
        always = [
            ("package", "sam"),
            ("contract", "build"),
            ("cdk", "tools"),
            ("deploy", "package"),
            ("deploy", "contract"),
        ]
        on_ci = [*always, ("contract", "package")]
        for variables, order in [({}, always), ({"CI": "true"}, on_ci)]:
            lines = self.play("0", **variables).stdout.splitlines()
            begun, ended = {}, {}
            for number, line in enumerate(lines):
                if found := re.match(r"== (\w+): (done in|FAILED in)?", line):
                    (ended if found[2] else begun).setdefault(found[1], number)
            for step, needed in order:
                self.assertLess(ended[needed], begun[step], f"{step} {needed}")

    def test_a_failed_build_skips_only_what_needs_it(self):
        done = self.play("1")
        self.assertEqual(done.returncode, 1)
        reason, counts = done.stdout.splitlines()[-2:]
        expected = "the package, the template and the documents, because package failed"
        self.assertEqual(reason, f"skipped: test {expected}")
        self.assertEqual(counts, "10 passed, 1 failed, 1 skipped")


if __name__ == "__main__":
    unittest.main()
