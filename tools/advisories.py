#!/usr/bin/env python3
"""Checks the dependencies for known vulnerabilities. Run by `make advisories`.

It skips dependencies whose database cannot be reached or whose tool is not installed, and says so;
that is not a failure. A vulnerability is.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, folder=ROOT):
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def crates():
    """Returns the vulnerabilities of the crates, or None if they cannot be checked."""
    if run("cargo", "deny", "fetch", "db").returncode != 0:
        return None
    done = run("cargo", "deny", "--offline", "check", "advisories")
    return done.stderr if done.returncode else ""


def packages_of_node(folder):
    done = run("npm", "audit", "--json", "--audit-level=high", "--package-lock-only", folder=folder)
    report = json.loads(done.stdout or "{}")
    if "vulnerabilities" not in report:
        return None
    return "\n".join(report["vulnerabilities"]) if done.returncode else ""


def packages_of_python(requirements):
    """Uses pip-audit, which asks the package registry about each package."""
    if not shutil.which("pip-audit"):
        return None
    done = run("pip-audit", "--disable-pip", "--require-hashes", "--requirement", requirements)
    if done.returncode and "vulnerabilit" not in done.stderr:
        return None
    return done.stdout if done.returncode else ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    checks = {"Rust crates": crates}
    locks = [*sorted(ROOT.glob("*/package-lock.json")), *sorted(ROOT.glob("*/*/package-lock.json"))]
    for folder in [lock.parent for lock in locks]:
        what = f"{folder.relative_to(ROOT)} (Node)"
        checks[what] = lambda folder=folder: packages_of_node(folder)
    for file in sorted(ROOT.glob("tools/*.txt")):
        checks[f"{file.relative_to(ROOT)} (Python)"] = lambda file=file: packages_of_python(file)
    failed = False
    for what, check in checks.items():
        found = check()
        failed |= bool(found)
        print(f"{what}: {'skipped' if found is None else found or 'no known vulnerability'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
