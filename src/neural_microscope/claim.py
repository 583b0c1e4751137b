"""Claims: a sentence about a result, with its numbers, null and verdict, decided once and shown everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy import stats

from .statistics import ALPHA, family_wise
from .wording import Numbers, count, fill, probability


@dataclass(frozen=True)
class Claim:
    """One sentence about one result. Only `judge` gives it its verdict.

    A sentence is a template and the numbers that fill it (`fill`), so a page's text can be reproduced from stored values.
    """

    rule: str
    """The rule that makes it, which is its family: "a unit matters"."""
    measure: str
    """The measure it rests on: "causal.ablate_all"."""
    network: str
    yes: str
    """The sentence if it is shown."""
    no: str
    """The sentence if it is not shown."""
    numbers: Numbers
    """Every number in the sentences and the evidence, by name."""
    effect: str
    """The name of the effect among the numbers. It may have an interval, ``…_low`` and ``…_high``, and a null, ``…_null_low``,
    ``…_null_high``.
    """
    evidence: str
    """The evidence, also a template."""
    null: str
    """The null in words."""
    p: float
    """Before any correction; NaN if there is nothing to test, or for a description. Of several nulls the largest."""
    n: int
    of: str = "images"
    units: str = "1"
    hook_point: str = ""
    axis: str = "unit"
    unit: int | None = None
    floor: float = 0.0
    """The smallest p that the draws can give; 0 if the null's law is known."""
    draws: int = 0
    call: str = ""
    """The call that reproduces the numbers, with ``run``."""
    critical: Callable[[float], float | tuple[float, float]] | None = field(default=None, compare=False, repr=False)
    """The effect at which p falls to a level, of a two-sided test first that on its own side of the null, then the other's;
    used and dropped by `judge`.
    """
    place: int | None = None
    """Its position in a fixed sequence of tests of its rule and hook point, an order found on other images; None: no sequence."""
    describes: bool = False
    """A description: a count or a size, without a test."""
    decisive: str = ""
    """Of several nulls the one that gives p, the largest, in words: "labels at random"; empty for a single null."""
    corrected: float = math.nan
    """p after the page's correction."""
    least: float = math.nan
    """The smallest effect that would have been shown; infinite if none would have been, NaN if unknown."""
    opposite: float = math.nan
    """The same on the other side of the null; NaN if one-sided, or if no effect on that side would have been shown."""
    tests: int = 1
    """The number of tests in its family."""
    shown: bool = False
    seeds: tuple[int | None, ...] = ()
    """Seeds of the networks compared."""
    held: int = 0
    """The number of them in which it is shown; for a unit, the number of other networks with a matching unit."""

    @property
    def id(self) -> str:
        """Its identifier: ``MLP/layers.0/unit-19/a-unit-matters``."""
        parts = [self.network, self.hook_point.removesuffix(".hook_post")]
        parts += [f"{self.axis}-{self.unit}"] if self.unit is not None else []
        return "/".join(part for part in [*parts, self.rule] if part).replace(" ", "-")

    @property
    def where(self) -> str:
        """Network and layer, in words."""
        return f"{self.network} {self.hook_point.removesuffix('.hook_post')}".strip()

    @property
    def verdict(self) -> str:
        """``shown``, ``not shown`` or ``description``."""
        return "description" if self.describes else "shown" if self.shown else "not shown"

    @property
    def sentence(self) -> str:
        """The sentence for its verdict; a network's other seeds can only withdraw a verdict."""
        return fill(self.yes if self.shown or self.describes else self.no, self.numbers)

    @property
    def reasons(self) -> str:
        """The evidence in words: effect, interval, null, p, n, and the smallest effect that would have been shown."""
        parts = [fill(self.evidence, self.numbers)] if self.evidence else []
        if not self.describes:
            parts.append(
                f"{self.odds.replace('nothing', 'Nothing')}; {f'{self.n:,} of ' if 'probed' in self.numbers else ''}"
                f"{count(int(self.numbers.get('probed', self.n)), self.of)}."
            )
        if not self.shown and self.p < ALPHA <= self.corrected:
            parts.append("p is below 0.05 before the correction, not after it.")
        if math.isfinite(self.least) and not self.shown:
            parts.append(self._power())
        elif math.isinf(self.least) and not self.shown:
            parts.append("This test could not have shown any effect: the null reaches too far, or has too few draws.")
        return " ".join(parts)

    def _power(self) -> str:
        """The effect that would have been shown; for a fixed sequence, whose other tests `least` leaves out, the one that is necessary."""
        size = self._sized(self.least)
        if self.place is not None:
            return (
                f"{f'Alone it would have to exceed {size}. ' * (self.unit is not None and float(self.numbers[self.effect]) < self.least)}"
                f"The {self.axis}s of a layer are tested in the order of their effect on one half of the images, until one fails; "
                "those after it count as not shown."
            )
        start = float(self.numbers.get(f"{self.effect}_null_low", -math.inf))
        ends = sorted(end for end in (self.least, self.opposite) if not math.isnan(end))
        sides = [
            f"at {self.amount(end)}{' nats' if self.units == 'nats' else ''} or {'below' if end < start else 'above'}"
            for end in ends
        ]
        return f"It would have been shown {', or '.join(sides)}{'' if self.units in ('1', 'nats') else f' ({self.units})'}."

    def _sized(self, value: float) -> str:
        return self.amount(value) + {"1": "", "nats": " nats"}.get(self.units, f" ({self.units})")

    def amount(self, value: float) -> str:
        """A value of the effect with the digits that the sentence or the evidence gives it.

        Args:
            value: The effect, or an end of its interval or null.
        """
        digits = re.search(rf"{{{self.effect}:([^}}|,]+)}}", self.yes + self.evidence)
        return fill(f"{{x:{digits[1] if digits else 'g'}}}", {"x": value})

    @property
    def odds(self) -> str:
        """p, of several nulls against the one that decides, and p corrected for the page; a p at its floor is a bound."""
        if math.isnan(self.p):
            return "nothing to test"
        return (
            f"{probability(self.p, self.floor, self.draws)}{f' against {self.decisive}' if self.decisive else ''}, "
            f"corrected {probability(self.corrected)}"
        )

    @property
    def replicated(self) -> str:
        """The number of seeds on which it is shown, and the number expected from its rate of false claims."""
        n = len(self.seeds)
        if n < 2:
            return "One seed, not replicated."
        if self.unit is not None:
            return f"A matching {self.axis} exists in {self.held} of {n - 1} other seeds."
        return f"Shown on {self.held} of {n} seeds; with nothing to find, on at most {by_rate(n)} (in 95% of cases)."

    @property
    def text(self) -> str:
        """The full claim in one paragraph."""
        return f"{self.where}: {self.sentence} {self.reasons} {self.replicated}"

    def to_json(self) -> dict[str, Any]:
        """All fields needed to print it again: plain values, NaN as None."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("critical", "place")}
        found |= {name: getattr(self, name) for name in ("id", "verdict", "sentence", "reasons", "replicated")}
        return _plain(found)


def tested(**words: Any) -> Claim:
    """A claim that is tested, without rule, measure, network and layer, which the caller of the rule fills in.

    Args:
        **words: The other fields of `Claim`. ``p`` may be the p of each of several nulls, by the null's words.
    """
    if isinstance(each := words["p"], Mapping):
        largest = max(each, key=lambda null: math.inf if math.isnan(each[null]) else each[null])
        words |= {"p": float(each[largest]), "decisive": largest}
    return Claim("", "", "", **words)


def say(name: str, yes: str, **numbers: Any) -> Claim:
    """A description: a template and its numbers, without a test. The caller adds network and layer.

    Args:
        name: Name of the description.
        yes: Template of the sentence, see `fill`.
        **numbers: Numbers in the sentence.
    """
    words = {"yes": yes, "no": yes, "evidence": "", "null": "", "effect": next(iter(numbers), "")}
    return Claim(name, "", "", numbers=numbers, p=math.nan, n=0, describes=True, **words)  # type: ignore[arg-type]


def judge(claims: Iterable[Claim], families: int) -> list[Claim]:
    """The claims about one network with their verdicts, after the correction of a page.

    Bonferroni over the rules, whether or not each applies, so a verdict does not depend on the page. Within a rule,
    Holm; for claims with a ``place``, each hook point's are tested one after the other until one fails (fixed
    sequence), with Bonferroni over the hook points. The probability of any false claim among all of them is then below
    5% (family-wise, under any dependence).

    Args:
        claims: Claims without verdicts.
        families: Number of rules.

    Source: Maurer et al. 1995 (fixed sequence).
    """
    given = list(claims)
    found: list[Claim] = []
    corrected, tests = np.full(len(given), np.nan), np.ones(len(given), int)
    for rule in {claim.rule for claim in given}:
        places = [i for i, claim in enumerate(given) if claim.rule == rule]
        corrected[places], tests[places] = _within([given[i] for i in places])
    corrected = np.minimum(families * corrected, 1)
    for claim, q, n in zip(given, corrected, tests, strict=True):
        level = ALPHA / families / n
        least, opposite = _limits(claim, level)
        shown = bool(q < ALPHA)
        found.append(
            replace(
                claim,
                corrected=float(q),
                least=least,
                opposite=opposite,
                tests=int(n),
                shown=shown,
                held=int(shown),
                critical=None,
            )
        )
    return found


def _limits(claim: Claim, level: float) -> tuple[float, float]:
    """(`Claim.least`, `Claim.opposite`) at a level."""
    if claim.critical is None:
        return math.nan, math.nan
    if level < claim.floor:
        return math.inf, math.nan
    found = claim.critical(level)
    ends = found if isinstance(found, tuple) else (found,)
    reached = [float(end) for end in ends if not math.isinf(end)] or [math.inf]
    return reached[0], reached[1] if len(reached) > 1 else math.nan


def _within(claims: list[Claim]) -> tuple[np.ndarray, np.ndarray]:
    """(p corrected within one rule, the number of tests that a claim's level is divided by), each [claim]."""
    p = np.array([claim.p for claim in claims])
    if all(claim.place is None for claim in claims):
        return family_wise(p), np.full(len(p), max(1, (~np.isnan(p)).sum()))
    hook_points = [claim.hook_point for claim in claims]
    several = len(set(hook_points))
    for hook_point in set(hook_points):
        here = [i for i, name in enumerate(hook_points) if name == hook_point]
        here.sort(key=lambda i: claims[i].place or 0)
        p[here] = np.maximum.accumulate(np.nan_to_num(p[here], nan=1.0))
    return np.minimum(several * p, 1), np.full(len(p), several)


def by_rate(n: int) -> int:
    """The number of seeds on which a rule would show something by its declared rate of false claims, at most (95%).

    Args:
        n: Number of seeds.
    """
    return int(stats.binom.ppf(1 - ALPHA, n, ALPHA))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
