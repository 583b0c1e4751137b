"""Variants measured in turn, over and over, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

Variants = dict[str, Callable[[], object]]


def interleaved(variants: Variants, rounds: int) -> dict[str, float]:
    """Median CPU seconds of this process for each variant, after one unmeasured round."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, call in variants.items():
            start = time.process_time()
            call()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, medians: dict[str, float], base: str, aims: dict[str, str]) -> str:
    """Lines of a Markdown table: variant, CPU time, ratio to ``base``, aim."""
    rows = [f"\n### {title}\n", "| variant | CPU ms | ratio | aim |", "|---|---|---|---|"]
    for name, seconds in medians.items():
        rows.append(f"| {name} | {1000 * seconds:.2f} | {seconds / medians[base]:.2f} | {aims.get(name, '')} |")
    return "\n".join(rows)
