"""The Logs Insights queries that the template saves, and what they find."""

import json
import re

from sam_template import transformed


def query(name):
    return transformed()["Resources"][name]["Properties"]["QueryString"]


def finds(text, line):
    """Returns whether a line matches each `filter` of a query."""
    clauses = re.split(r"\n\|\s*", text.strip())
    filters = [clause.removeprefix("filter ") for clause in clauses if clause.startswith("filter ")]
    return all(any(holds(term.strip(), line) for term in one.split(" or ")) for one in filters)


def holds(term, line):
    """Returns whether one of four kinds of terms holds for a line."""
    if present := re.fullmatch(r"(not )?ispresent\((\w+)\)", term):
        return (present[2] in line) != bool(present[1])
    if equal := re.fullmatch(r'(\w+) = "(.*)"', term):
        return line.get(equal[1]) == equal[2]
    field, values = re.fullmatch(r"(\w+) in (\[.*\])", term).groups()
    return line.get(field) in json.loads(values)
