"""The summary of a page: a verdict for each network, and the findings with the largest standardized effect."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ...claim import Claim, say
from ...doors import door

GENERAL = "the network generalizes"
"""The rule that opens a page."""
UNRANKED = (GENERAL, "geometry is present at initialization")
"""Rules whose null any network exceeds, trained or not, or any trained one: their claims are not ranked as findings."""
MOST = 7
"""The number of findings in a summary, at most one for each question."""
STRENGTH = (
    "Strength: how far an effect lies beyond its null, not how large it is. It is the distance from the middle of the null's 95% range, in "
    "half-widths (1 is the edge); of several nulls, the smallest. It ranks how clearly results stand out, not how much they matter."
)
"""The standardized effect in words, printed with a ranking."""
CHOSEN = (
    "The unit of a layer is the one that ranks first on one half of the images, so another may be stronger; its strength is from the other "
    "half, its effect from all images."
)
"""An addition to a ranking that holds a claim about a unit."""


@door
def bands(claim: Claim) -> dict[str, tuple[float, float]]:
    """The 95% ranges of a claim's nulls, by the kind of null in the names of its numbers: null, shuffled, untrained.

    Args:
        claim: A claim with its numbers.
    """
    found = {}
    for name, low in claim.numbers.items():
        if (
            kind := re.fullmatch(f"{claim.effect}_(\\w+)_low", name)
        ) and f"{claim.effect}_{kind[1]}_high" in claim.numbers:
            ends = float(low), float(claim.numbers[f"{claim.effect}_{kind[1]}_high"])
            if all(map(math.isfinite, ends)):
                found[kind[1]] = ends
    return found


@door
def strength(claim: Claim) -> float:
    """The standardized effect of a claim: `STRENGTH`. NaN if it has no null of known width.

    Args:
        claim: A claim with its numbers.
    """
    value = float(claim.numbers.get(f"{claim.effect}_judged", claim.numbers.get(claim.effect, math.nan)))
    distances = [abs(2 * value - low - high) / (high - low) for low, high in bands(claim).values() if high > low]
    return min(distances, default=math.nan)


@door
def strongest(claims: Iterable[Claim], most: int = MOST) -> list[Claim]:
    """The findings of a summary: for each rule the claim with the greatest `strength`, the strongest rule first.

    A layer's units are represented by the one that ranks first on the half of the images on which it is not judged, so
    the best of many is not exaggerated.

    Args:
        claims: Claims, as `findings` returns them.
        most: Number of claims at most.
    """
    best: dict[str, tuple[float, Claim]] = {}
    for claim in _candidates(claims):
        size = strength(claim)
        if claim.shown and size > best.get(claim.rule, (-math.inf, claim))[0]:
            best[claim.rule] = size, claim
    return [claim for _, claim in sorted(best.values(), key=lambda pair: -pair[0])][:most]


def _clearest(claims: Sequence[Claim], network: str) -> str:
    """The strongest finding about a network, as the end of a sentence."""
    first = strongest([claim for claim in claims if claim.network == network], 1)
    if not first:
        return ""
    where = first[0].where.removeprefix(network).strip()
    said = first[0].sentence.removesuffix(".").replace("{", "{{").replace("}", "}}")
    return f", most clearly that {f'in {where}, ' * bool(where)}{said}"


def _candidates(claims: Iterable[Claim]) -> Iterator[Claim]:
    units: dict[tuple[str, str, str], Claim] = {}
    for claim in claims:
        place = claim.network, claim.hook_point, claim.rule
        if claim.unit is None:
            yield from [] if claim.describes or claim.rule in UNRANKED else [claim]
        elif place not in units or _chosen(claim) > _chosen(units[place]):
            units[place] = claim
    yield from units.values()


def _chosen(claim: Claim) -> float:
    """A unit's rank value on the half on which it is not judged; higher is better."""
    if claim.place is not None:
        return -claim.place
    return float(claim.numbers.get(f"{claim.effect}_chosen", math.nan))


@door
def verdicts(claims: Sequence[Claim]) -> list[Claim]:
    """Each network's test accuracy, and the number of other questions about it with something shown, in one sentence that ends with the
    strongest finding.

    Args:
        claims: Claims, as `findings` returns them.
    """
    found = []
    for network in dict.fromkeys(claim.network for claim in claims if claim.network):
        own = [c for c in claims if c.network == network and c.unit is None and not c.describes]
        general = next((c for c in own if c.rule == GENERAL), None)
        shown = {c.rule: False for c in own if c is not general}
        shown |= {c.rule: True for c in own if c.shown and c is not general}
        first = ""
        if general is not None:  # that it is above chance goes without saying
            first = "test accuracy {accuracy:2%}; " if general.shown else f"{general.no.removesuffix('.')}; "
        rest, further = "no other question was asked.", "other " * bool(general)
        if shown:
            some = (
                f"{{answers:,}} of {{asked:,}} {further}{{asked:question|questions}} {{answers:shows|show}} an effect"
                if any(shown.values())
                else f"no effect is shown for {{asked:,}} {further}{{asked:question|questions}}"
            )
            rest = f"{some}{_clearest(claims, network)}."
        numbers = {
            **({} if general is None else {"accuracy": general.numbers["accuracy"]}),
            "answers": sum(shown.values()),
        }
        verdict = say("verdict", first + rest, **numbers, asked=len(shown))
        found.append(replace(verdict, network=network, measure="" if general is None else general.measure))
    return found
