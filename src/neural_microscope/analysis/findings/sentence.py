"""A finding, and how its numbers are put into words."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import xarray as xr


@dataclass(frozen=True)
class Finding:
    """A claim that a person can check: what it says, what speaks for it, and on how many seeds it holds."""

    claim: str
    """The answer, in one plain sentence; it says so where nothing is shown."""
    evidence: str
    """Its numbers, each beside its null."""
    call: str
    """What gives the numbers again, of a ``run``."""
    holds: bool
    """Whether it beats its null, and on most of the seeds. What does not is not called a finding."""
    where: str
    """Network and layer."""
    null: str = ""
    """What it was compared with."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What the evidence says, the headline first; of the first network."""
    replicated: str = ""
    """On how many seeds it holds, in words."""
    seeds: tuple[int | None, ...] = ()
    """Seeds of the networks that were asked."""
    held: int = 0
    """In how many of them it holds."""

    @property
    def text(self) -> str:
        """All of it in one paragraph."""
        return " ".join(part for part in (f"{self.where}: {self.claim}", self.evidence, self.replicated) if part)


def number(value: float, digits: int = 2) -> str:
    """A number for prose: a fixed number of decimals and a true minus sign; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus before a zero


def significant(value: float) -> str:
    """Three significant digits: ``0.00912``, ``96.7``."""
    return "–" if math.isnan(value) else f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def probability(p: float) -> str:
    """``p = 0.012``, ``p < 0.001``, or that there is none."""
    if math.isnan(p):
        return "not defined"
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3)}"


def band(table: xr.Dataset, name: str, digits: int = 2, times: float = 1) -> str:
    """The null band of a scalar variable: ``0.12 to 0.34``."""
    low, high = (times * float(table[f"{name}_null_{end}"]) for end in ("low", "high"))
    return "not defined" if math.isnan(low) else f"{number(low, digits)} to {number(high, digits)}"


def at_step(step: float) -> str:
    return f"step {int(step):,}"
