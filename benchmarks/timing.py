"""Variants measured in turn, over and over, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import functools
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

import neural_microscope as nm

T = TypeVar("T")
Variants = Mapping[str, Callable[[], object]]
Times = dict[str, list[float]]
"""Seconds of every repeat, by variant."""


@dataclass(frozen=True)
class Form:
    """The amount of work that is measured: everything, or so little that only the harness is tried."""

    quick: bool = False

    def pick(self, full: T, quick: T) -> T:
        return quick if self.quick else full

    @functools.cached_property
    def data(self) -> nm.data.Dataset:
        """MNIST; in the quick form a few digits, enlarged to images of the same size."""
        if not self.quick:
            return nm.data.load("mnist")
        digits = nm.data.load("digits")
        train, test = (_enlarged(part.subset(slice(0, 400))) for part in (digits.train, digits.test))
        return nm.data.Dataset("digits, enlarged", train, test)


def _enlarged(digits: nm.data.ImageSet) -> nm.data.ImageSet:
    images = np.kron(digits.images, np.ones((1, 3, 3), np.uint8))
    return nm.data.ImageSet(np.pad(images, ((0, 0), (2, 2), (2, 2))), digits.labels)


def interleaved(
    variants: Variants, rounds: int, *, warm: bool = True, clock: Callable[[], float] = time.process_time
) -> Times:
    """Seconds of ``clock`` (CPU time of this process) for each variant, ``rounds`` times, with ``warm`` after one unmeasured round.

    A single round, of the quick form, is only tried, so nothing comes before it.
    """
    times: Times = {name: [] for name in variants}
    for turn in range(0 if warm and rounds > 1 else 1, rounds + 1):
        for name, call in variants.items():
            start = clock()
            call()
            if turn:
                times[name].append(clock() - start)
    return times


def medians(times: Times) -> dict[str, float]:
    return {name: median(values) for name, values in times.items()}


def peak_memory() -> float:
    """The most memory that this process has held so far, MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says there begins with the peak of the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def table(
    title: str, times: Times, base: str, aims: dict[str, str], limit: str | None = None, *, clock: str = "CPU"
) -> str:
    """A Markdown table: n, median and range of every variant, its ratio to ``base`` and to ``limit``, and its aim."""
    middle = medians(times)
    bases = [base] if limit is None else [base, limit]
    heads = ["variant", "n", f"{clock} ms", "range", *(f"÷ {name}" for name in bases), "aim"]
    rows = []
    for name, values in times.items():
        ratios = [digits(middle[name] / middle[other]) for other in bases]
        rows.append([name, str(len(values)), *told(values, 1000), *ratios, aims.get(name, "")])
    return markdown(title, heads, rows)


def markdown(title: str, heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join([f"\n### {title}\n", *(f"| {' | '.join(cells)} |" for cells in lines)])


def told(values: list[float], scale: float = 1) -> tuple[str, str]:
    """(median, range)."""
    return digits(scale * median(values)), f"{digits(scale * min(values))} to {digits(scale * max(values))}"


def digits(value: float) -> str:
    """About three of them."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
