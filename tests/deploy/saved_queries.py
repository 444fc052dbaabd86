"""The Logs Insights queries that the template saves, and what they find."""

import json
import re

from sam_template import transformed


def query(name):
    return transformed()["Resources"][name]["Properties"]["QueryString"]


def finds(text, line):
    """Returns whether a line matches the `filter` of a query: an `or` of three kinds of terms."""
    for term in re.fullmatch(r"filter (.*?)\n\|.*", text.strip(), re.DOTALL)[1].split(" or "):
        if present := re.fullmatch(r"ispresent\((\w+)\)", term.strip()):
            taken = present[1] in line
        elif equal := re.fullmatch(r'(\w+) = "(.*)"', term.strip()):
            taken = line.get(equal[1]) == equal[2]
        else:
            field, values = re.fullmatch(r"(\w+) in (\[.*\])", term.strip()).groups()
            taken = line.get(field) in json.loads(values)
        if taken:
            return True
    return False
