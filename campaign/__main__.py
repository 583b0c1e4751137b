"""``python -m campaign``: damages every document that the package reads, kills every command that writes, and writes docs/reliability.md.

A case is a document and a seed; ``--case 'run.json:12'`` tries that one again and says what came of it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from . import workers
from .documents import DOCUMENTS
from .workers import BATCH, Tally


def main() -> int:
    """Prints what failed; the exit code is 1 where something did."""
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="mutations in all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first case of each document")
    parser.add_argument("--only", default="", help="documents whose name begins so")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", default="", help="one case, DOCUMENT:SEED")
    asked = parser.parse_args()
    begun = time.monotonic()
    if asked.case:
        name, _, seed = asked.case.rpartition(":")
        for tally in workers.campaign([(name, int(seed), 1)]).values():
            print(tally.failures[0])
        return bool(tally.counts["failed"])
    tallies = workers.campaign(tasks(asked.count, asked.seed, asked.only), asked.workers)
    for line in summary(tallies):
        print(line)
    print(f"{time.monotonic() - begun:.0f} s with {asked.workers} workers")
    return any(tally.failures for tally in tallies.values())


def tasks(count: int, seed: int, only: str = "") -> list[tuple[str, int, int]]:
    """``count`` cases over the documents by their shares, in batches (document, first seed, seeds)."""
    chosen = {name: document.share for name, document in DOCUMENTS.items() if name.startswith(only)}
    whole = sum(chosen.values())
    found = []
    for name, share in chosen.items():
        number = max(1, round(count * share / whole))
        found += [(name, first, min(BATCH, seed + number - first)) for first in range(seed, seed + number, BATCH)]
    return found


def summary(tallies: dict[str, Tally]) -> list[str]:
    """A line a document, and each kind of failure with its first case."""
    lines = []
    for name, tally in tallies.items():
        counts = ", ".join(f"{tally.counts[one]} {one}" for one in ("equal", "error", "other", "failed"))
        lines.append(f"{name}: {sum(tally.counts.values())} cases: {counts}; slowest {tally.slowest:.2f} s")
        kinds = Counter(_kind(failure) for failure in tally.failures)
        first = {_kind(failure): failure for failure in reversed(tally.failures)}
        lines += [f"  {number} x {first[kind]}" for kind, number in kinds.most_common()]
    return lines


def _kind(failure: workers.Failure) -> str:
    """What failures have in common: their kind and, of a traceback, its type and place."""
    said = failure.what.split(": ", 3)
    return f"{failure.kind} {said[2] if failure.kind == 'traceback' else ''}"


if __name__ == "__main__":
    sys.exit(main())
