"""The report: a page in Markdown that can be published, as in an issue."""

import re

from verify_aws.checks import DENIED, FALSE, HOLDS, MEASURED, NOT_CHECKED, ONLY_AWS

SECTIONS = [
    (FALSE, "What does not hold"),
    (DENIED, "What the caller was not allowed to do"),
    (MEASURED, "What was measured"),
    (HOLDS, "What holds"),
    (NOT_CHECKED, "What was not checked"),
    (ONLY_AWS, "What only AWS can tell"),
]
HINT = "Grant what `tools/verify_aws/caller.json` lists, and run it again."


def published(text):
    """Returns a text without account numbers, signatures and what would break a table."""
    text = re.sub(r"\b\d{12}\b", "123456789012", text)
    text = re.sub(r"([?&](?:X-Amz-\w+|Signature|AWSAccessKeyId)=)[^&\s\"]+", r"\1…", text)
    return " ".join(text.split()).replace("|", "\\|")


def report(rows, title, facts):
    """Returns the page: a title, facts by name, and the rows by their verdict."""
    lines = [f"# {title}", ""]
    lines += [f"- {name}: {published(str(value))}" for name, value in facts.items()]
    counts = [(sum(row.verdict == verdict for row in rows), verdict) for verdict, _ in SECTIONS]
    lines += ["- result: " + ", ".join(f"{count} {what}" for count, what in counts if count)]
    for verdict, heading in SECTIONS:
        found = [row for row in rows if row.verdict == verdict]
        if not found:
            continue
        lines += ["", f"## {heading}", ""]
        if verdict == DENIED:
            lines += [HINT, ""]
        if any(row.found for row in found):
            lines += ["| Assumption | Found |", "|---|---|"]
            lines += [f"| {published(row.what)} | {published(row.found)} |" for row in found]
        else:
            lines += [f"- {published(row.what)}" for row in found]
    return "\n".join(lines) + "\n"
