"""Writes the tables of measures.md from the register: one line a measure. Run by hand after a measure changed; a test compares."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from neural_microscope import analysis
from neural_microscope.measure import every, rules

PAGE = Path(__file__).with_name("measures.md")
RULES = "| claim | rests on | false by construction on | why not on others |\n|---|---|---|---|"
HEAD = "| measure | null | unit of replication | interval | family |\n|---|---|---|---|---|"


def filled(page: str) -> str:
    """The page with every table made anew."""
    for name in analysis.__all__:
        importlib.import_module(f"{analysis.__name__}.{name}")

    def table(match: re.Match[str]) -> str:
        rows = [one.row() for one in every() if one.area in match[1].split(", ")]
        return f"<!-- measures: {match[1]} -->\n" + "\n".join([HEAD, *rows]) + "\n<!-- end -->"

    claims = [
        f"| {rule.name} | `{one.name}` | {', '.join(rule.false_on) or 'none'} | {rule.why or '–'} |"
        for one, rule in rules()
    ]
    page = re.sub(
        r"<!-- rules -->.*?<!-- end -->",
        "\n".join(["<!-- rules -->", RULES, *claims, "<!-- end -->"]),
        page,
        flags=re.S,
    )
    return re.sub(r"<!-- measures: ([\w, ]+) -->\n.*?<!-- end -->", table, page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
