"""The content of the page: each measure's place, claims and pictures come from the register."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import xarray as xr

from ..analysis.findings import strongest
from ..analysis.look import FirstLook, Pair
from ..claim import Claim
from ..measure import Measure, Rule, on_pages, rules
from ..wording import count, fill
from .drawing import Drawn
from .html import escape, slug
from .links import Explorer
from .replayed import Told

PARTS = {"training": "Training and predictions", "layers": "Layers", "units": "Units", "side": "Side by side"}

QUANTITIES = {
    "selective units matter together": "mean accuracy while units are ablated",
    "confidence differs from accuracy": "accuracy on the probe images",
    "the network generalizes": "test accuracy",
    "classes are learned at different times": "variance explained by class",
    "single units differ from random directions": "difference in mean AUC",
    "learning makes units class-selective": "mean AUC",
    "same-class neighbor purity rises": "neighbors of the same class",
    "within-class variability shrinks": "variance within / between classes",
    "a unit prefers a class": "units shown, of those judged",
    "geometry is present at initialization": "share of the final geometry (without its first principal component)",
}
"""The effects that their units alone don't name, by the rule."""
QUESTIONS = {"units recur on other seeds": "Do units recur on other seeds?"}
"""The questions of claims that no measure's rule makes, by the rule."""
SHORT = {
    "the network generalizes": "{accuracy:2%}",
    "confidence differs from accuracy": "{right:1%} at confidence {sure:1%}",
    "geometry is present at initialization": "{present:1%} ({apart:1%})",
}
"""The numbers of a claim in short, where the effect alone does not answer the question, by the rule."""


def quantity(claim: Claim) -> str:
    """The name of a claim's effect, with its unit."""
    if claim.effect == "loss":
        return f"loss increase ({claim.units})"
    if claim.effect == "shown" and claim.rule not in QUANTITIES:
        return f"number of {claim.axis}s"
    if claim.unit is not None:
        return claim.units
    return QUANTITIES.get(claim.rule) or (claim.effect if claim.units == "1" else claim.units)


def short(claim: Claim) -> str:
    """A claim's numbers in a few characters."""
    some = "{shown:,} of {asked:,}" if claim.numbers.get("shown") else "none of {asked:,}"
    if claim.effect == "shown" and not claim.shown and math.isinf(claim.least):
        some = "not testable"
    words = SHORT.get(claim.rule) or (some if claim.effect == "shown" else "")
    effect = float(claim.numbers[claim.effect])
    return fill(words, claim.numbers) if words else claim.amount(effect) if math.isfinite(effect) else "not defined"


@dataclass(frozen=True, eq=False)
class Page:
    """The content of the page."""

    groups: Sequence[Sequence[FirstLook]]
    """The networks, each with those that differ in their seeds only; shown is the first."""
    side: Sequence[Pair]
    claims: Sequence[Claim]
    images: Mapping[str, Drawn]
    """Of each network and pair, by name."""
    calibration: xr.Dataset | None
    explorer: Explorer | None = None
    """The one that lies beside the page."""
    forked: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    """The replays of each network's run with their claims, by its name."""

    @cached_property
    def looks(self) -> list[FirstLook]:
        return [group[0] for group in self.groups]

    @property
    def title(self) -> str:
        names = [f"the {look.name}" for look in self.looks]
        return f"What happens inside {' and '.join(names) if len(names) < 4 else count(len(names), 'networks')}"

    @cached_property
    def first(self) -> list[Claim]:
        """The findings that are told first."""
        return strongest(self.claims)

    @cached_property
    def _by_measure(self) -> dict[tuple[str, str], list[Claim]]:
        found: dict[tuple[str, str], list[Claim]] = {}
        for claim in self.claims:
            if claim.unit is None and claim.rule != "verdict":
                found.setdefault((claim.measure, claim.network), []).append(claim)
        return found

    def of(self, measure: Measure, network: str, hook_point: str | None = None) -> list[Claim]:
        """The claims of a measure about a network, or a layer of it, but not about its single units."""
        return [c for c in self._by_measure.get((measure.name, network), []) if hook_point in (None, c.hook_point)]

    def part(self, key: str) -> list[Measure]:
        """The measures with claims or pictures in a part of the page."""
        names = [at.name for at in (self.side if key == "side" else self.looks)]
        default = {"network": "training", "layer": "layers"}
        return [
            measure
            for measure in on_pages()
            if (key == "side" or key == (measure.part or default.get(measure.scope or "layer")))
            and any(self.of(measure, name) for name in names)
        ]

    def missed(self, rule: str) -> list[Claim]:
        """A rule's claims about networks and layers that are not shown."""
        return [c for c in self.claims if c.rule == rule and c.unit is None and not (c.shown or c.describes)]

    @cached_property
    def rules(self) -> dict[str, tuple[Measure, Rule]]:
        """Every rule by its name, with its measure, in the order of the page."""
        places = {measure.name: place for place, measure in enumerate(on_pages())}
        return {rule.name: (one, rule) for one, rule in sorted(rules(), key=lambda pair: places[pair[0].name])}

    def question(self, claim: Claim) -> str:
        """The question that a claim answers."""
        return self.rules[claim.rule][1].question if claim.rule in self.rules else QUESTIONS.get(claim.rule, claim.rule)

    def row(self, claim: Claim) -> str:
        """The address of the atlas's row about a claim."""
        return slug(claim.rule if claim.rule in self.rules else claim.measure)

    def explore(self, claim: Claim) -> str:
        """A link to exactly what the claim is about, in the explorer beside the page."""
        address = "" if self.explorer is None else self.explorer.claim(claim, self.claims)
        state = f", {claim.axis}{'s' * (claim.unit is None)} ablated" if re.search("[#&]c=", address) else ""
        return f'<a href="{escape(address)}">Explorer{state}</a>' if address else ""
