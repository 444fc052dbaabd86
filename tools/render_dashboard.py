#!/usr/bin/env python3
"""Draws the template's dashboard as docs/dashboard.svg: where each widget is and what it shows."""

import argparse
import html
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNIT = 44


def body():
    """Returns the dashboard's JSON, with the queries that the template substitutes."""
    text = (ROOT / "template.yaml").read_text()
    block = re.search(r"DashboardBody: !Sub\n {8}- \|\n((?: {10}.*\n)+)((?: {8}.*\n)+)", text)
    body = block[1]
    for name, query in re.findall(r"(\w+): !Sub >-\n((?: {12}.*\n)+)", block[2]):
        body = body.replace(f"${{{name}}}", " ".join(query.split()))
    return json.loads(body)


def metrics(widget):
    """Yields each metric of a widget, without CloudWatch's shorthand, and its label."""
    last = []
    for metric in widget["properties"].get("metrics", []):
        names = [part for part in metric if isinstance(part, str)]
        if names[0] == "...":
            names = last[: 1 + len(last) - len(names)] + names[1:]
        names = [old if new == "." else new for new, old in zip(names, last + names[len(last) :])]
        last = names
        label = next(
            (part["label"] for part in metric if isinstance(part, dict) and "label" in part), None
        )
        yield names, label


def lines_of(widget):
    if widget["type"] == "log":
        return [line.strip() for line in widget["properties"]["query"].split("|")[1:]]
    return [
        label or (names[-1] if names[-2] == "Trigger" else names[1])
        for names, label in metrics(widget)
    ]


def text(x, y, words, attributes):
    return f'<text x="{x}" y="{y}" {attributes}>{html.escape(words)}</text>'


def picture():
    widgets = body()["widgets"]
    width = max(w["x"] + w["width"] for w in widgets) * UNIT
    height = max(w["y"] + w["height"] for w in widgets) * UNIT // 2
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
        f'<rect {size} fill="#f2f3f3"/>',
    ]
    for w in widgets:
        x, y = w["x"] * UNIT + 6, w["y"] * UNIT // 2 + 6
        size = f'width="{w["width"] * UNIT - 12}" height="{w["height"] * UNIT // 2 - 12}"'
        parts.append(f'<rect x="{x}" y="{y}" {size} fill="#fff" stroke="#aab7b8"/>')
        title = w["properties"]["title"]
        parts.append(text(x + 10, y + 20, title, 'font-size="13" font-weight="bold"'))
        for number, line in enumerate(lines_of(w)[:8]):
            small = 'font-size="10" fill="#545b64"'
            parts.append(text(x + 14, y + 36 + number * 11, line[:52], small))
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    (ROOT / "docs" / "dashboard.svg").write_text(picture())
