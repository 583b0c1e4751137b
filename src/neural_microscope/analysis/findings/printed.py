"""Claims with nulls in the range of their measure, as everything prints them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import wraps

import numpy as np

from ...claim import Claim
from ...run import Run
from ..look import FirstLook, Progress
from . import population


@wraps(population.findings)
def findings(runs: Run | FirstLook | Iterable[Run | FirstLook], progress: Progress | None = None) -> list[Claim]:
    return [within(claim) for claim in population.findings(runs, progress)]


def within(claim: Claim) -> Claim:
    """The claim with the ends of its nulls cut to what its effect can be: Student's law has no bounds."""
    signed = claim.units == "rank correlation" or claim.effect == "auc_gap"
    if not (signed or claim.units in ("AUC", "accuracy") or claim.units.startswith("share")):
        return claim
    ends = {
        name: float(np.clip(value, -1.0 if signed else 0.0, 1.0))
        for name, value in claim.numbers.items()
        if re.fullmatch(f"{claim.effect}_.*(low|high)", name)
    }
    return replace(claim, numbers={**claim.numbers, **ends})
