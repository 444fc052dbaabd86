#!/usr/bin/env python3
"""Checks the dependencies against known vulnerabilities. Run by `make advisories`.

Says which it left out, as their database cannot be reached or their tool is not installed; that is
no failure. A vulnerability is.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, folder=ROOT):
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def crates():
    """What is wrong with the crates; None where that cannot be found out."""
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
    """With pip-audit, which asks the package registry about each package."""
    if not shutil.which("pip-audit"):
        return None
    done = run("pip-audit", "--disable-pip", "--require-hashes", "--requirement", requirements)
    if done.returncode and "vulnerabilit" not in done.stderr:
        return None
    return done.stdout if done.returncode else ""


def main():
    checks = {"Rust crates": crates}
    for lock in sorted(ROOT.glob("*/package-lock.json")) + sorted(
        ROOT.glob("*/*/package-lock.json")
    ):
        folder = lock.parent
        checks[f"{folder.relative_to(ROOT)} (Node)"] = lambda folder=folder: packages_of_node(
            folder
        )
    for file in sorted(ROOT.glob("tools/*.txt")):
        checks[f"{file.relative_to(ROOT)} (Python)"] = lambda file=file: packages_of_python(file)
    failed = False
    for what, check in checks.items():
        found = check()
        failed |= bool(found)
        print(f"{what}: {'left out' if found is None else found or 'no known vulnerability'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
