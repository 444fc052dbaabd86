"""The documents: their output is what the programs print, their links work, their lines fit."""

import json
import re
import subprocess
import unittest

from support import ENVIRONMENT, PACKAGE, ROOT, anchors

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cdk/*.md")]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Documents(unittest.TestCase):
    def test_the_readme_shows_what_make_run_prints(self):
        shown = blocks((ROOT / "README.md").read_text(), "text")
        self.assertEqual(len(shown), 1)
        command = [ROOT / "target" / "debug" / "stand-ins", "run", PACKAGE / "bootstrap"]
        run = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertIn(shown[0], run.stdout)
        [last] = re.findall(r"`(All \d+ responses[^`]+)`", (ROOT / "README.md").read_text())
        self.assertIn(f"\n{last}\n", run.stdout)
        self.assertLessEqual(max(map(len, run.stdout.splitlines()[2:])), 80)

    def test_the_readme_names_the_last_command_that_make_serve_prints(self):
        [last] = re.findall(r"^`(aws [^`]+)`\.$", (ROOT / "README.md").read_text(), re.MULTILINE)
        printed = (ROOT / "tools" / "serve.py").read_text().split('NEXT = """')[1].split('"""')[0]
        self.assertEqual(printed.strip().splitlines()[-1], last)

    def test_the_readme_fits_a_few_screens_and_says_first_what_has_not_been_tried(self):
        lines = (ROOT / "README.md").read_text().splitlines()
        self.assertLessEqual(len(lines), 160)
        state = r"Version \d+\.\d+\.\d+, source only.* not run on AWS"
        self.assertRegex("\n".join(lines[:15]), state)

    def test_no_deploy_command_grants_a_wildcard_of_roles(self):
        for document in [*DOCUMENTS, ROOT / "examples" / "minimal.yaml"]:
            for roles in re.findall(r"ActionRoleArns=(\S+)", document.read_text()):
                self.assertNotIn("*", roles, document.name)

    def test_every_link_has_an_existing_target(self):
        for document in DOCUMENTS:
            for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
                if link.startswith("http"):
                    continue
                with self.subTest(document=document.name, link=link):
                    path, _, anchor = link.partition("#")
                    target = (document.parent / path).resolve() if path else document
                    self.assertTrue(target.exists())
                    if anchor:
                        self.assertIn(anchor, anchors(target.read_text()))

    def test_every_sample_of_json_is_json(self):
        for document in DOCUMENTS:
            for sample in blocks(document.read_text(), "json"):
                with self.subTest(document=document.name):
                    json.loads(sample)

    def test_lines_fit_a_hundred_columns(self):
        free = re.compile(r"\s*\||    |.*https?://\S+$|\S+$|!\[|```")
        for document in DOCUMENTS:
            for number, line in enumerate(document.read_text().splitlines(), 1):
                with self.subTest(document=document.name, line=number):
                    self.assertTrue(len(line) <= 100 or free.match(line))

    def test_every_setting_and_error_code_is_in_the_reference(self):
        reference = (ROOT / "docs" / "reference.md").read_text()
        source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
        settings = re.findall(r'"((?:AWS|RESULT|ROLE|RESPONSE|SSL)_[A-Z_]+)"', source)
        errors = re.findall(r' => "(\w+(?:Event|Url|Response|Result))"', source)
        self.assertEqual(len(errors), 4)
        codes = re.findall(r' = "(\w+Exception|InvalidSetting)"', source)
        self.assertGreater(len(codes), 6)
        for name in {*settings, *errors, *codes} - {"AWS_LAMBDA_RUNTIME_API"}:
            self.assertIn(f"`{name}`", reference)

    def test_every_mitigation_of_a_threat_names_what_verifies_it(self):
        table = (ROOT / "SECURITY.md").read_text().split("| Verified by |")[1]
        folders = ["tests", "custom-resource/src", "custom-resource/tests"]
        files = [path for folder in folders for path in (ROOT / folder).rglob("*.[rp][sy]")]
        tests = " ".join(path.read_text() for path in files)
        template = (ROOT / "template.yaml").read_text()
        rows = [row.split("|")[3] for row in table.splitlines() if row.startswith("| ")]
        self.assertGreaterEqual(len(rows), 10)
        for row in rows:
            names = re.findall(r"`([^`]+)`", row)
            self.assertTrue(names, row)
            for name in names:
                held = (
                    re.search(rf"(fn|def) {name}\b", tests)
                    or f"\n  {name}:" in template
                    or (ROOT / name).is_file()
                )
                self.assertTrue(held, name)

    def test_every_make_target_in_a_document_exists(self):
        makefile = (ROOT / "Makefile").read_text()
        for document in DOCUMENTS:
            for target in re.findall(r"`make ([a-z-]+)", document.read_text()):
                self.assertRegex(makefile, rf"(?m)^{target}:", document.name)


if __name__ == "__main__":
    unittest.main()
