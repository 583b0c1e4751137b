"""docs/reliability.md, from what the parts of the campaign left in .campaign."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".campaign"
PAGE = ROOT / "docs" / "reliability.md"


def code() -> str:
    """SHA-256 of the package's Python, in the order of its paths."""
    found = hashlib.sha256()
    package = ROOT / "src" / "neural_microscope"
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def keep(part: str, result: dict[str, Any], code: str) -> None:
    """Keeps the figures of a part that was tried on the package whose hash is ``code``."""
    KEPT.mkdir(exist_ok=True)
    about = {"code": code, "date": datetime.now(UTC).date().isoformat(), "python": platform.python_version()}
    (KEPT / f"{part}.json").write_text(json.dumps(result | about, indent=1), "utf-8")


def write() -> None:
    """Writes the page; a part that was not run yet is left out."""
    parts = [json.loads(path.read_text("utf-8")) | {"part": path.stem} for path in sorted(KEPT.glob("*.json"))]
    mutations = [part for part in parts if "documents" in part]
    kills = [part for part in parts if "commands" in part]
    problems = list(dict.fromkeys(line for part in parts for line in part["problems"]))
    lines = [HEAD.format(tried=_tried(mutations), killed=_killed(kills), outcome=_outcome(problems))]
    lines += ["## Damaged documents\n", DAMAGE, *_documents(mutations), ""] * bool(mutations)
    lines += ["## Kills\n", KILLS, *_commands(kills), ""] * bool(kills)
    for part in parts:
        if part["part"] == "disk":
            lines += ["## A full disk\n", DISK.format(**part), ""]
        elif part["part"] == "bytes":
            lines += ["## Every byte\n", BYTES.format(**part, lost=len(part["missed"])), ""]
    lines += ["## What failed\n", *[f"* `{' '.join(line.split())}`" for line in problems], ""] * bool(problems)
    lines += [PROMISES, "## Made from\n", *_sources(parts), ""]
    PAGE.write_text("\n".join(lines), "utf-8")


def _tried(parts: list[dict[str, Any]]) -> int:
    return sum(_cases(one) for part in parts for one in part["documents"].values())


def _cases(one: dict[str, Any]) -> int:
    return sum(one.get(verdict, 0) for verdict in ("equal", "error", "other", "failed"))


def _killed(parts: list[dict[str, Any]]) -> int:
    return sum(one["random"] + one["events"] for part in parts for one in part["commands"].values())


def _outcome(problems: list[str]) -> str:
    if problems:
        return f"Failures of {len(problems)} kinds came up; they are listed below."
    return "None of them lost a committed byte, gave other data in silence, hung, started a program or touched a file outside."


def _documents(parts: list[dict[str, Any]]) -> list[str]:
    rows = [
        "| document | mutations | equal data | one error that names the file | other data, as it should be | failed | slowest |"
    ]
    rows.append("|---|--:|--:|--:|--:|--:|--:|")
    found: dict[str, dict[str, float]] = {}
    for part in parts:
        for name, one in part["documents"].items():
            so_far = found.setdefault(name, {"slowest": 0.0})
            found[name] = {
                key: so_far.get(key, 0) + value for key, value in {**dict.fromkeys(so_far, 0), **one}.items()
            }
            found[name]["slowest"] = max(so_far["slowest"], one["slowest"])
    for name, one in found.items():
        counts = " | ".join(f"{one.get(verdict, 0):,}" for verdict in ("equal", "error", "other", "failed"))
        rows.append(f"| {name} | {_cases(one):,} | {counts} | {one['slowest']:.2f} s |")
    return rows


def _commands(parts: list[dict[str, Any]]) -> list[str]:
    rows = [
        "| command | at random times | at file events | bytes lost | different end | started over by hand | left partial files |"
    ]
    rows.append("|---|--:|--:|--:|--:|--:|--:|")
    for part in parts:
        for name, one in part["commands"].items():
            events = f"{one['events']} (every {one['every']})" if one["every"] > 1 else f"{one['events']} (each)"
            rest = " | ".join(str(one[key]) for key in ("lost", "unequal", "by_hand", "strays"))
            rows.append(f"| {name} | {one['random']} | {events} | {rest} |")
    return rows


def _sources(parts: list[dict[str, Any]]) -> list[str]:
    rows = ["| part | date | seed | seconds | Python | SHA-256 of the package's code |", "|---|---|--:|--:|---|---|"]
    about = (f"{p['part']} | {p['date']} | {p['seed']} | {p['seconds']} | {p['python']} | `{p['code']}`" for p in parts)
    return rows + [f"| {one} |" for one in about]


HEAD = """# Reliability

Tests that try to make the package lose or confuse data: methods, counts, machines and results. `make campaign` makes this
page; its numbers are those of the last run.

**{tried:,} damaged documents were read, and writers were killed {killed:,} times.** {outcome}
"""

DAMAGE = """Each case damages a small valid example: flipped bytes, truncations, insertions, swapped files; links, FIFOs, devices,
folders and sparse files in a file's place; values of JSON and headers of safetensors, IDX and PNG files that stay
well-formed but change. *Resealed* means that every hash, and the chain of the commit record, was recomputed, as an
attacker would. A case passes if the data are equal, or if one `MicroscopeError` names the file or its folder,
within 2 s of processor time (a whole page: 60 s) and 1 GiB of memory. *Other data, as it should be*: the content of a
resealed folder; of a plain IDX file or picture, which has no checksum; the beginning of a run whose last lines are
missing. IDX files are compared with a second reader. An audit hook watches the process: starting a program, writing, moving
or deleting a file outside, or reading one outside through a link, is a failure.

`python -m campaign --case 'DOCUMENT:SEED'` repeats one case.
"""

KILLS = """`SIGKILL` of a process that trains, resumes, trains a population, does the jobs of a sweep, or writes a report, an
explorer or a demo of small networks: at random times, and at file events (a file opened for writing, still empty,
written, moved, deleted; a folder created). After each, every committed file is compared with its hash and with the
undisturbed run, `verify` may name partial files only, and the command again (or `resume`, where the command says so)
must end with the same bytes, except times of day. The jobs of a sweep and of a demo run in one process here, and the
analysis of the pages, which writes nothing, is done once.
"""

DISK = """Training on {disks} {how}: {filled} filled up. After each, nothing committed was damaged, and on a larger disk the run
was finished with the bytes of an undisturbed one. Problems: {problems}.
"""

BYTES = """One bit of every byte of all {files} files of a run was flipped, {flips:,} in all: each was found by the check of the
file that `verify` and reading use, and for {whole:,} of them, evenly spread, `verify` as a whole named the file.
Missed: {lost}.
"""

PROMISES = """## What is not promised

* A power cut on a disk that says "written" before it is. Files are flushed by `fsync` before they count; what the disk
  does then is its own.
* That a resealed folder is authentic: hashes find damage, not forgery. It is read as it is, or refused.
* That changed data are noticed if the format has no checksum: a flipped pixel in a plain IDX file, a BMP or a PGM is
  a different pixel.
* Platforms other than the one used here (Linux), and file systems without atomic renaming.
* A killed process may leave `.partial` files, which `verify` lists and `resume` removes; those next to a page remain.
"""
