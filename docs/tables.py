"""Writes the tables of measures.md and of the concepts' pages from the register, one line a measure, and those of calibrate.md from the
release's record. Run by hand after a measure changed or was calibrated; a test compares.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import xarray as xr

from neural_microscope import analysis
from neural_microscope.glossary import TERMS
from neural_microscope.measure import EMPTY_KINDS, every, rules
from neural_microscope.phantoms import open_record

HERE = Path(__file__).parent
PAGES = [HERE / "measures.md", *sorted((HERE / "concepts").glob("*.md"))]
CALIBRATION = HERE / "how-to" / "calibrate.md"
GLOSSARY = HERE / "glossary.md"
RULES = "| claim | rests on | false by construction on | why not on others |\n|---|---|---|---|"
HEADS = {
    "measures": "| measure | null | unit of replication | interval | family |\n|---|---|---|---|---|",
    "nulls": "| measure | null | unit of replication |\n|---|---|---|",
}
"""Of a table of measures: all that the register says, or its first columns."""


def filled(page: str) -> str:
    """The page with every table made again."""
    for name in analysis.__all__:
        importlib.import_module(f"{analysis.__name__}.{name}")

    def table(match: re.Match[str]) -> str:
        head = HEADS[match[1]]
        width = head.partition("\n")[0].count("|")
        rows = ["|".join(one.row().split("|")[:width]) + "|" for one in every() if one.area in match[2].split(", ")]
        return f"<!-- {match[1]}: {match[2]} -->\n" + "\n".join([head, *rows]) + "\n<!-- end -->"

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
    return re.sub(r"<!-- (measures|nulls): ([\w, ]+) -->\n.*?<!-- end -->", table, page, flags=re.S)


def calibrated(page: str) -> str:
    """The page with what the release's calibration found: claims that are false there, and planted units that were found."""
    record = open_record()
    if "kind" not in record.dims:
        return page
    pages = record["pages"].sel(kind=list(EMPTY_KINDS)).values
    rows = ["| claim | " + " | ".join(EMPTY_KINDS) + " |", "|---|" + "---|" * len(EMPTY_KINDS)]
    rows.append("| **pages with any false claim** | " + " | ".join(_of(record["pages_false"], pages)) + " |")
    for rule in record["rule"].values:
        here = record.sel(rule=rule, kind=list(EMPTY_KINDS))
        counts = zip(_of(here["alone"], pages), here["false_here"].values, strict=True)
        rows.append(f"| {rule} | " + " | ".join(count if false else "–" for count, false in counts) + " |")
    power = ["| claim: units planted | found | mean effect |", "|---|---|---|"]
    for name in record["plant"].values:
        one = record.sel(plant=name)
        found = f"{int(one['planted_found'])} of {int(one['planted_units'])}"
        power.append(f"| {name} | {found} | {round(float(one['planted_effect']), 2) + 0.0:.2f} |")
    made = "\n".join(["<!-- record -->", *rows, "", *power, "<!-- end -->"])
    return re.sub(r"<!-- record -->.*?<!-- end -->", lambda _: made, page, flags=re.S)


def _of(counts: xr.DataArray, pages: np.ndarray) -> list[str]:
    found = counts.sel(kind=list(EMPTY_KINDS)) if "kind" in counts.dims else counts
    return [f"{int(count)} of {int(n)}" for count, n in zip(found.values, pages, strict=True)]


def glossary() -> str:
    """The glossary page."""
    return "\n\n".join(["# Glossary", *(f"**{one.term}** {one.gloss} {one.more}".strip() for one in TERMS)]) + "\n"


if __name__ == "__main__":
    GLOSSARY.write_text(glossary(), "utf-8")
    CALIBRATION.write_text(calibrated(CALIBRATION.read_text("utf-8")), "utf-8")
    for made in PAGES:
        made.write_text(filled(made.read_text("utf-8")), "utf-8")
