#!/usr/bin/env python3
"""Runs all tests, step by step (`make test`). Says what each step is, how long it took, and at the
end how many tests passed, failed and were left out, and why."""

import argparse
import os
import re
import subprocess
import sys
import time

CARGO = os.environ.get("CARGO", "cargo")
MAKE = ["make", "--no-print-directory"]
# Each step: what it is, its command, and whether the next one can do without it.
STEPS = [
    ("install the tools", [*MAKE, "tools"], False),
    ("build the package", [*MAKE, "package"], False),
    ("build the tests", [CARGO, "test", "--workspace", "--no-run"], False),
    (
        "test the binary against the stand-ins",
        [CARGO, "test", "--quiet", "--workspace", "--", "--test-threads", "16"],
        True,
    ),
    ("test the CDK construct", [*MAKE, "cdk-test"], True),
    ("test the package, the template and the documents", [*MAKE, "deploy-tests"], True),
]
RUST = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
NODE = re.compile(r"# (pass|fail|skipped) (\d+)")
RAN = re.compile(r"Ran (\d+) tests? in")
UNITTEST = re.compile(r"(?:FAILED|OK) \((.+)\)")
LEFT_OUT = re.compile(r"left out: .+")


class Counts:
    def __init__(self):
        self.passed = self.failed = self.left_out = 0
        self.reasons = []

    def read(self, line):
        """Takes what cargo, node and unittest say at their end."""
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
            left_out = int(numbers.get("skipped", 0))
            self.add(-failed - left_out, failed, left_out)
        elif LEFT_OUT.match(line):
            self.reasons.append(line)

    def add(self, passed, failed, left_out):
        self.passed += passed
        self.failed += failed
        self.left_out += left_out


def duration(seconds):
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.1f} s"


def play(command, counts):
    """Runs a command, passes on what it prints, and counts; returns whether it succeeded."""
    environment = {**os.environ, "RUST_BACKTRACE": "0"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            counts.read(line.strip())
    return process.returncode == 0


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    counts, failed, begun = Counts(), [], time.monotonic()
    for number, (what, command, dispensable) in enumerate(STEPS, 1):
        started = time.monotonic()
        print(f"\n== step {number} of {len(STEPS)}: {what}", flush=True)
        succeeded = play(command, counts)
        taken = duration(time.monotonic() - started)
        print(f"== step {number}: {'done' if succeeded else 'FAILED'} in {taken}", flush=True)
        if not succeeded:
            failed.append(what)
            if not dispensable:
                left = ", ".join(what for what, _, _ in STEPS[number:])
                counts.reasons.append(f"left out: {left}, because step {number} failed")
                break
    print(f"\n== {'FAILED: ' + ', '.join(failed) if failed else 'all steps done'}", end=" ")
    print(f"in {duration(time.monotonic() - begun)}")
    for reason in counts.reasons:
        print(reason)
    # A step that fails without a failed test counts as one.
    total = max(counts.failed, len(failed))
    print(f"{counts.passed} passed, {total} failed, {counts.left_out} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
