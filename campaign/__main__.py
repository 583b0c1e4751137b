"""``python -m campaign``: damages every document that the package reads, kills every command that writes, and writes docs/reliability.md.

A case is a document and a seed; ``--case 'run.json:12'`` tries that one again and prints the result.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import page, workers
from .documents import DOCUMENTS
from .workers import BATCH, Tally

PARTS = ("mutations", "kills", "disk", "bytes")


def main() -> int:
    """Prints what failed; the exit code is 1 where something did."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="mutations in all")
    parser.add_argument(
        "--kills", type=int, default=25, help="kills of each command at random times, besides those at file events"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case of each document, and of the kills")
    parser.add_argument("--only", default="", help="documents, or commands, whose name begins so")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="for mutations; what was tried until then counts"
    )
    parser.add_argument("--case", default="", help="one case, DOCUMENT:SEED")
    asked = parser.parse_args()
    if asked.case:
        name, _, seed = asked.case.rpartition(":")
        (tally,) = workers.campaign([(name, int(seed), 1)]).values()
        print(tally.said or tally.failures[0])
        return bool(tally.counts["failed"])
    wrong, code = False, page.code()
    for part in asked.parts:
        begun = time.monotonic()
        result = done(part, asked)
        wrong |= bool(result["problems"])
        print(f"{part}: {time.monotonic() - begun:.0f} s", flush=True)
        page.keep(
            f"{part} {asked.only}".strip(),
            result | {"seed": asked.seed, "seconds": round(time.monotonic() - begun)},
            code,
        )
    page.write()
    return wrong


def done(part: str, asked: argparse.Namespace) -> dict[str, Any]:
    """One part: its figures, and its ``problems`` in words."""
    if part == "mutations":
        tallies = workers.campaign(
            tasks(asked.count, asked.seed, asked.only), asked.workers, seconds=60 * asked.minutes
        )
        print("\n".join(summary(tallies)), flush=True)
        documents = {name: {**tally.counts, "slowest": round(tally.slowest, 2)} for name, tally in tallies.items()}
        problems = [line for line in summary(tallies) if line.startswith("  ")]
        return {"documents": documents, "problems": problems, "workers": asked.workers}
    from . import disks, kills

    memory = Path("/dev/shm")
    base = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None, prefix="campaign-"))
    try:
        if part == "kills":
            found = dict(kills.kill(base, asked.kills, asked.seed, lambda line: print(line, flush=True), asked.only))
            problems = [problem for outcome in found.values() for problem in outcome.problems]
            return {"commands": {name: asdict(outcome) for name, outcome in found.items()}, "problems": problems}
        if part == "disk":
            return asdict(disks.fill(base))
        flips = asdict(disks.flip_every_byte(base, asked.seed))
        return flips | {"problems": flips["missed"]}
    finally:
        shutil.rmtree(base, ignore_errors=True)


def tasks(count: int, seed: int, only: str = "") -> list[tuple[str, int, int]]:
    """``count`` cases over the documents by their shares, in batches (document, first seed, seeds)."""
    chosen = {name: document.share for name, document in DOCUMENTS.items() if name.startswith(only)}
    whole = sum(chosen.values())
    found = []
    for name, share in chosen.items():
        number = math.ceil(count * share / whole)
        found += [(name, first, min(BATCH, seed + number - first)) for first in range(seed, seed + number, BATCH)]
    return sorted(found, key=lambda task: task[1])  # every document's turn comes again and again


def summary(tallies: dict[str, Tally]) -> list[str]:
    """A line a document, and each kind of failure with its first case."""
    lines = []
    for name, tally in tallies.items():
        counts = ", ".join(f"{tally.counts[one]} {one}" for one in ("equal", "error", "other", "failed"))
        lines.append(f"{name}: {sum(tally.counts.values())} cases: {counts}; slowest {tally.slowest:.2f} s")
        kinds = Counter(_kind(failure) for failure in tally.failures)
        first = {_kind(failure): failure for failure in reversed(tally.failures)}
        lines += [f"  {number} x {' '.join(str(first[kind]).split())}" for kind, number in kinds.most_common()]
    return lines


def _kind(failure: workers.Failure) -> str:
    """The common part of failures: their kind and, of a traceback, its type and place."""
    said = failure.what.split(": ", 3)
    return f"{failure.kind} {said[2] if failure.kind == 'traceback' else ''}"


if __name__ == "__main__":
    sys.exit(main())
