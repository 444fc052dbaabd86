#!/usr/bin/env python3
"""Runs all tests, step by step (`make test`). Prints each step and how long it took, and at the end
how many tests passed, failed and were skipped, and why."""

import argparse
import os
import re
import subprocess
import sys
import time

CARGO = os.environ.get("CARGO", "cargo")
MAKE = ["make", "--no-print-directory"]
# Each step: what it does, its command, and whether the next step can run if it fails.
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
SKIPPED = re.compile(r"skipped: .+")


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.reasons = []

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
            self.reasons.append(line)

    def add(self, passed, failed, skipped):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def duration(seconds):
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s" if seconds >= 60 else f"{seconds:.1f} s"


def play(command, counts):
    """Runs a command, prints its output and counts its tests; returns whether it succeeded."""
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
                rest = ", ".join(what for what, _, _ in STEPS[number:])
                counts.reasons.append(f"skipped: {rest}, because step {number} failed")
                break
    print(f"\n== {'FAILED: ' + ', '.join(failed) if failed else 'all steps done'}", end=" ")
    print(f"in {duration(time.monotonic() - begun)}")
    for reason in counts.reasons:
        print(reason)
    # A step that fails without a failed test counts as one failed test.
    total = max(counts.failed, len(failed))
    print(f"{counts.passed} passed, {total} failed, {counts.skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
