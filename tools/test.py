#!/usr/bin/env python3
"""Runs all tests (`make test`). A step starts as soon as the steps that it needs are done, so that
the package is built while the tools are installed and the first tests run. Prints how long each
step took, and at the end which tests failed, which were skipped and why, and how many passed."""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

CARGO = os.environ.get("CARGO", "cargo")
MAKE = ["make", "--no-print-directory"]


@dataclass(frozen=True)
class Step:
    """A command, and the names of the steps that have to succeed before it starts."""

    name: str
    what: str
    command: list
    needs: tuple = ()
    # Names of the steps that have to end before it starts, whether they succeed or not.
    after: tuple = ()


STEPS = [
    Step("sam", "install the SAM CLI and cargo-lambda", [*MAKE, "deploy-tools"]),
    Step(
        "build",
        "build the tests and the stand-ins",
        [CARGO, "build", "--workspace", "--bins", "--tests", "--examples"],
    ),
    # It needs the most time of all, mostly on one core: the others go first where they compete.
    Step("package", "build the package", ["nice", *MAKE, "package"], needs=("sam",)),
    Step("tools", "install the other tools", [*MAKE, "tools"], needs=("sam",)),
    Step(
        "contract",
        "test the binary against the stand-ins",
        [CARGO, "test", "--quiet", "--workspace", "--", "--test-threads", "16"],
        needs=("build",),
        # Their processes slow tests of deadlines down. On CI nothing else runs meanwhile.
        after=("tools", "package") if "CI" in os.environ else ("tools",),
    ),
    Step(
        "cdk",
        "test the CDK construct",
        [*MAKE, "cdk-test"],
        needs=("tools",),
    ),
    Step(
        "deploy",
        "test the package, the template and the documents",
        [*MAKE, "deploy-tests"],
        needs=("package", "build", "tools"),
        # It replaces the binary that the contract tests start, by `make run` and others.
        after=("contract", "cdk"),
    ),
]
RUST = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
NODE = re.compile(r"# (pass|fail|skipped) (\d+)")
RAN = re.compile(r"Ran (\d+) tests? in")
UNITTEST = re.compile(r"(?:FAILED|OK) \((.+)\)")
SKIPPED = re.compile(r"skipped: .+")
# How cargo, node and unittest (in `tests/deploy`) name a test that failed.
FAILED = re.compile(r"---- (\S+) stdout ----|not ok \d+ - (.+)|FAILED +\S+ s  (\S+)")


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def read(self, line):
        """Adds the totals that cargo, node and unittest print at their end."""
        if found := RUST.match(line):
            passed, failed, ignored = map(int, found.groups())
            self.add(passed, failed, ignored)
        elif found := NODE.fullmatch(line):
            self.add(*(int(found[2]) * (found[1] == what) for what in ("pass", "fail", "skipped")))
        elif found := RAN.match(line):
            self.passed += int(found[1])
        elif found := UNITTEST.match(line):
            numbers = dict(part.split("=") for part in found[1].split(", "))
            failed = int(numbers.get("failures", 0)) + int(numbers.get("errors", 0))
            skipped = int(numbers.get("skipped", 0))
            self.add(-failed - skipped, failed, skipped)
        elif SKIPPED.match(line):
            self.notes.append(line)
        elif found := FAILED.fullmatch(line):
            self.notes.append(f"failed: {next(filter(None, found.groups()))}")

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def duration(seconds):
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.1f} s"


class Run:
    """The steps that have ended, and how."""

    def __init__(self):
        self.counts = Counts()
        self.ended = {}
        self.changed = threading.Condition()

    def say(self, line):
        with self.changed:
            print(line, flush=True)

    def play(self, step):
        """Runs a step, prints its output after its name, and counts its tests."""
        started = time.monotonic()
        self.say(f"== {step.name}: {step.what}")
        environment = {**os.environ, "RUST_BACKTRACE": "0"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(step.command, env=environment, **pipes) as process:
            for line in process.stdout:
                with self.changed:
                    print(f"{step.name:<8} | {line}", end="", flush=True)
                    self.counts.read(line.strip())
        succeeded = process.returncode == 0
        taken = duration(time.monotonic() - started)
        with self.changed:
            print(f"== {step.name}: {'done' if succeeded else 'FAILED'} in {taken}", flush=True)
            self.ended[step.name] = succeeded
            self.changed.notify_all()

    def skip(self, step):
        broken = ", ".join(name for name in step.needs if not self.ended[name])
        self.counts.notes.append(f"skipped: {step.what}, because {broken} failed")
        self.ended[step.name] = False

    def play_all(self):
        """Starts each step when what it needs has ended; returns the names of those that failed."""
        waiting, threads, skipped = list(STEPS), [], set()
        with self.changed:
            while waiting:
                ready = [s for s in waiting if {*s.needs, *s.after} <= self.ended.keys()]
                for step in ready:
                    waiting.remove(step)
                    if all(self.ended[name] for name in step.needs):
                        threads.append(threading.Thread(target=self.play, args=(step,)))
                        threads[-1].start()
                    else:
                        self.skip(step)
                        skipped.add(step.name)
                if not ready:
                    self.changed.wait()
        for thread in threads:
            thread.join()
        return [s.name for s in STEPS if not self.ended[s.name] and s.name not in skipped]


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    begun, run = time.monotonic(), Run()
    failed, counts = run.play_all(), run.counts
    print(f"\n== {'FAILED: ' + ', '.join(failed) if failed else 'all steps done'}", end=" ")
    print(f"in {duration(time.monotonic() - begun)}")
    for note in counts.notes:
        print(note)
    # A step that fails without a failed test counts as one failed test.
    total = max(counts.failed, len(failed))
    print(f"{counts.passed} passed, {total} failed, {counts.skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
