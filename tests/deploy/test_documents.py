"""The documents: what they show is what is printed, links lead somewhere, lines fit."""

import json
import re
import subprocess
import unittest

from support import ENVIRONMENT, PACKAGE, ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cdk/*.md")]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def anchors(text):
    """The anchors of a page's headings, as the public host makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


class Documents(unittest.TestCase):
    def test_the_readme_shows_what_make_run_prints(self):
        shown = blocks((ROOT / "README.md").read_text(), "text")
        self.assertEqual(len(shown), 1)
        command = [ROOT / "target" / "debug" / "stand-ins", "run", PACKAGE / "bootstrap"]
        run = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertIn(shown[0], run.stdout)
        self.assertRegex(run.stdout, r"All \d+ responses are the expected ones")
        self.assertLessEqual(max(map(len, run.stdout.splitlines()[4:])), 100)

    def test_every_link_leads_to_a_file_and_a_heading(self):
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
        free = re.compile(r"\||    |.*https?://\S+$|\S+$|!\[|```")
        for document in DOCUMENTS:
            for number, line in enumerate(document.read_text().splitlines(), 1):
                if not free.match(line):
                    self.assertLessEqual(len(line), 100, f"{document.name}:{number}")

    def test_every_setting_and_error_code_is_in_the_reference(self):
        reference = (ROOT / "docs" / "reference.md").read_text()
        source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
        settings = re.findall(r'"((?:AWS|RESULT|ROLE|RESPONSE|SSL)_[A-Z_]+)"', source)
        errors = re.findall(r'error_type: "(\w+)"', source)
        codes = re.findall(r' = "(\w+Exception|InvalidSetting)"', source)
        self.assertGreater(len(codes), 6)
        for name in {*settings, *errors, *codes} - {"AWS_LAMBDA_RUNTIME_API"}:
            self.assertIn(f"`{name}`", reference)


if __name__ == "__main__":
    unittest.main()
