#!/usr/bin/env python3
"""Draws the layout of the template's dashboard, from its JSON, as docs/dashboard.svg: what stands where, under which title."""

import html
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNIT = 44


def body():
    text = (ROOT / "template.yaml").read_text()
    block = re.search(r"DashboardBody: !Sub \|\n((?: {8}.*\n|\n)+)", text)
    return json.loads(block[1])


def lines_of(widget):
    properties = widget["properties"]
    if widget["type"] == "log":
        return [line.strip() for line in properties["query"].split("|")[1:]]
    lines, last = [], []
    for metric in properties["metrics"]:
        names = [part for part in metric if isinstance(part, str)]
        label = next((part["label"] for part in metric if isinstance(part, dict) and "label" in part), None)
        names = last[: 1 + len(last) - len(names)] + names[1:] if names[0] == "..." else names
        last = names
        lines.append(label or (names[3] if len(names) > 3 and names[2] == "Trigger" else names[1]))
    return lines


def picture():
    widgets = body()["widgets"]
    width = max(w["x"] + w["width"] for w in widgets) * UNIT
    height = max(w["y"] + w["height"] for w in widgets) * UNIT // 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif">']
    parts.append(f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>')
    for w in widgets:
        x, y = w["x"] * UNIT + 6, w["y"] * UNIT // 2 + 6
        parts.append(
            f'<rect x="{x}" y="{y}" width="{w["width"] * UNIT - 12}" height="{w["height"] * UNIT // 2 - 12}" fill="#fff" stroke="#aab7b8"/>'
        )
        parts.append(f'<text x="{x + 10}" y="{y + 20}" font-size="13" font-weight="bold">{html.escape(w["properties"]["title"])}</text>')
        for number, line in enumerate(lines_of(w)[:6]):
            parts.append(f'<text x="{x + 14}" y="{y + 38 + number * 14}" font-size="11" fill="#545b64">{html.escape(line[:52])}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    (ROOT / "docs" / "dashboard.svg").write_text(picture())
