"""Two minutes: the strongest findings as cards, and, as equals, what was looked for and not shown."""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..analysis.findings import bands, strength
from ..analysis.findings.summary import CHOSEN, GENERAL, STRENGTH, UNRANKED
from ..claim import ALPHA, Claim
from ..wording import count, fill, significant
from .html import escape, folded, heading, naming, told, with_names
from .page import Page, quantity, short

NULLS = {
    "shuffled": "shuffled labels",
    "untrained": "untrained counterpart",
    "random images in place of the class": "random images",
    "labels drawn from the network's own probabilities": "a calibrated network",
}
"""A claim's further nulls in a few words, by their kind; the first words of what it is compared with name the other, or these."""
BEYOND = "Shown means beyond every band, also after correction."
"""The meaning of the bands of short pictures."""
LEGEND = (
    "Dot: the result (line: its 95% interval). Gray: where 95% of results without the effect lie (the null); of several nulls, p is the "
    "largest. AUC: how well a unit alone tells a class from the others (0.5: chance)."
)
"""A key to the cards."""
LISTED = 5
"""Places that a line of a card names at most; the atlas has all."""
FEWER = "Untrained networks are compared on {compared:,} of the {probed:#image}, to be quick; most pictures show all."
"""The reason for numbers on fewer images than the picture beside them has."""


def found(page: Page) -> str:
    """The findings that are told first, the strongest first."""
    cards = "".join(_finding(page, claim) for claim in page.first)
    unit = f" {CHOSEN}" if any(claim.unit is not None for claim in page.first) else ""
    rank = folded("How strength is measured", f"<p{naming(page.first)}>{escape(STRENGTH + unit)}</p>")
    ranked = {GENERAL, *(claim.rule for claim in page.first)}
    others = {c.rule: c for c in page.claims if c.shown and c.unit is None and c.rule not in ranked}
    asked, number = len(page.first) + len(others), len(page.first)
    parts = [f"{number} on cards, the clearest first" if number > 1 else f"{number} on a card"] * bool(cards)
    for usual, where in ((False, "in the atlas"), (True, "usual in any network, so only in the atlas")):
        here = [c for c in others.values() if (c.rule in UNRANKED) == usual]
        links = ", ".join(f'<a href="#{page.row(claim)}">{escape(page.question(claim))}</a>' for claim in here)
        parts += [f"{len(here)} {where}: {links}"] * bool(here)
    besides = "besides test accuracy, " if any(c.rule == GENERAL and c.shown for c in page.claims) else ""
    intro = f"{besides}{count(asked, 'questions')} {'show' if asked > 1 else 'shows'} an effect: {'; '.join(parts)}"
    nothing = "No result lies beyond its nulls."
    ids = naming([*page.first, *others.values()])
    body = f'{_key(page)}{rank}<div class="cards">{cards}</div>' if cards else ""
    return f"{heading(2, 'found', 'Shown')}<p{ids}>{intro[:1].upper() + intro[1:] if asked else nothing}</p>{body}"


def not_shown(page: Page) -> str:
    """Every question of which something was looked for and not shown; of those that have a card among the findings, the way there."""
    missed = {
        rule: claims
        for rule in (*page.rules, *sorted({c.rule for c in page.claims} - {*page.rules}))
        if (claims := page.missed(rule))
    }
    above = [claim.rule for claim in page.first if claim.rule in missed]
    asked = [claims for rule, claims in missed.items() if rule not in above]
    cards = "".join(_missed(page, claims) for claims in asked)
    if not missed:
        return ""
    beyond = f" {BEYOND}" if any(bands(claims[0]) for claims in asked) else ""
    partly = naming([claim for rule in above for claim in missed[rule]])
    told_above = "{cards:#card} under Shown also {cards:names|name} places without a shown effect."
    also = f"<span{partly}> {fill(told_above, {'cards': len(above)})}</span>" if above else ""
    intro = f"<p>An effect that is not shown may still exist.{beyond}{also}</p>{'' if page.first else _key(page)}"
    return f'{heading(2, "not-shown", "Looked for and not shown")}{intro}<div class="cards">{cards}</div>'


def _usual(page: Page) -> str:
    """The names of the gray bands of most short pictures."""
    first = (claims[0] for rule in page.rules if (claims := page.missed(rule)) and bands(claims[0]))
    named = Counter(map(_named, first)).most_common(1)
    return named[0][0] if named else ""


def _key(page: Page) -> str:
    """A key to the cards: `LEGEND`, the names of the usual bands, and why some claims are about fewer images than others."""
    usual = _usual(page)
    about = [c for rule in page.rules for c in page.missed(rule) if bands(c) and _named(c) == usual]
    some = (c for c in page.claims if "compared" in c.numbers)
    part = [c for c in some if float(c.numbers["compared"]) < float(c.numbers["probed"])][:1]
    fewer = "".join(f" {fill(FEWER, claim.numbers)}" for claim in part)
    return f'<p class="legend"{naming([*about, *part])}>{LEGEND}{f" {escape(usual)}." if usual else ""}{fewer}</p>'


def _finding(page: Page, claim: Claim) -> str:
    """A question that has something shown: its strongest claim as a picture with its nulls and its p; where else it is shown, and where
    it is not.
    """
    size = f' <span class="strength">Strength {significant(strength(claim))}</span>'
    evidence = f"<p{naming([claim])}>{escape(with_names(fill(claim.evidence, claim.numbers)))}</p>"
    missed = page.missed(claim.rule)
    axis = _Axis.of([claim, *filter(bands, missed)])
    others = f'<p class="quiet">Not shown:</p>{_answers(page, missed, axis)}' if missed else ""
    content = told(claim, "p") + _odds(claim) + _strip(claim, axis) + _elsewhere(page, claim, "Also shown") + others
    return _card(page, "finding", [claim, *missed], content, evidence + _evidence(missed), size)


def _missed(page: Page, claims: Sequence[Claim]) -> str:
    """A question's claims that are not shown, in short."""
    content = _answers(page, claims, _Axis.of(claims)) + _elsewhere(page, claims[0], "Shown")
    return _card(page, "missed", claims, content, _evidence(claims))


def _card(page: Page, kind: str, claims: Sequence[Claim], content: str, evidence: str, size: str = "") -> str:
    """One question: its answers, the evidence, the definition, and the way to more."""
    claim, key = claims[0], page.row(claims[0])
    title = heading(3, f"{kind}-{key}", page.question(claim))
    links = f'<p class="links">{page.explore(claim)} <a href="#{key}">Atlas</a>{size}</p>'
    inside = f"{title}{content}{folded('Evidence', evidence)}{_definition(page, claim)}{links}"
    return f'<article class="card"{naming(claims)}>{inside}</article>'


def _evidence(claims: Sequence[Claim]) -> str:
    """The whole claims."""
    return "".join(told(claim, "p", whole=True) for claim in claims)


def _answers(page: Page, claims: Sequence[Claim], axis: _Axis) -> str:
    """Claims that are not shown as short pictures; below them the names of their bands where those are not the usual ones, the claims that
    are nearly shown, and those that could not have been.
    """
    named = _named(claims[0]) if bands(claims[0]) else ""
    nulls = f'<p class="quiet">{escape(named)}.</p>' if named not in ("", _usual(page)) else ""
    notes = {
        "Beyond its bands, but not after correction": [c for c in claims if c.p < ALPHA <= c.corrected],
        "This test could not have shown any effect in": [c for c in claims if math.isinf(c.least) and bands(c)],
        "Beyond its bands, but the test asks for more": [c for c in claims if c.p >= ALPHA and _beyond(c)],
    }
    told_of = "".join(
        f'<p class="quiet"{naming(own)}>{note}: {escape(_listed([c.where for c in own], ", "))}.</p>'
        for note, own in notes.items()
        if own
    )
    return _strips(claims, axis) + nulls + told_of


def _beyond(claim: Claim) -> bool:
    """True if the effect lies outside of every null's range."""
    value, ranges = float(claim.numbers[claim.effect]), bands(claim).values()
    return bool(ranges) and all(value < low or value > high for low, high in ranges)


def _odds(claim: Claim) -> str:
    """Its p, the images, and the seeds if there are several; the end of its reasons, without the numbers that are drawn."""
    odds = claim.reasons.removeprefix(fill(claim.evidence, claim.numbers)).strip()
    seeds = claim.replicated if len(claim.seeds) > 1 else ""
    return f'<p class="odds quiet"{naming([claim])}>{escape(f"{odds} {seeds}".strip())}</p>'


def _elsewhere(page: Page, claim: Claim, words: str) -> str:
    """A line that names the other places in which the same question has something shown; of units every place, with their number."""
    units = claim.unit is not None
    shown = [c for c in page.claims if c.rule == claim.rule and c.unit is None and c.shown]
    shown = [c for c in shown if units or c.where != claim.where]
    places = {
        network: ", ".join(
            f"{c.hook_point.removesuffix('.hook_post')}{f' ({short(c)})' * units}"
            for c in shown
            if c.network == network
        )
        for network in dict.fromkeys(c.network for c in shown)
    }
    where = _listed([f"{network} {layers}".strip() for network, layers in places.items()], "; ")
    words = "Shown, of judged units" if units else words
    return f'<p class="quiet"{naming(shown)}>{words}: {escape(where)}.</p>' if shown else ""


def _listed(names: Sequence[str], between: str) -> str:
    """The names; of many the first, and how many more there are."""
    return between.join(names if len(names) <= LISTED else [*names[: LISTED - 1], f"{len(names) - LISTED + 1} more"])


Ends = tuple[float, float]

LOGARITHMIC = ("tr Sw / tr Sb",)
"""Units of effects that are ratios of variances: what halves and what doubles them are equally far on their axis."""
REFERENCES = {"confidence differs from accuracy": ("sure", "mean confidence")}
"""A number of a claim that its effect is read beside, with its name, by the rule."""


@dataclass(frozen=True)
class _Axis:
    """A track's axis: round values at its ends, and all that is drawn between them."""

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def of(cls, claims: Sequence[Claim]) -> _Axis:
        """Room for all that the claims' pictures show."""
        known = [float(c.numbers[name]) for c in claims for name in {c.effect, _reference(c) or c.effect}]
        known += [end for c in claims for pair in (*bands(c).values(), _interval(c)) for end in pair]
        known = [value for value in known if math.isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        if claims[0].units in LOGARITHMIC and low > 0:
            return cls(_round(low, math.floor), _round(high, math.ceil), logarithmic=True)
        largest = max(abs(low), abs(high)) or 1.0
        step = _round(
            max((high - low) / 4, 10.0 ** (math.floor(math.log10(largest)) - 2)), math.ceil
        )  # of three digits
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        return cls(first * step, max(last, first + 1) * step, logarithmic=False)

    def at(self, value: float) -> float:
        """A value's place, from 0 to 1."""
        low, high, value = (math.log(x) if self.logarithmic else x for x in (self.low, self.high, value))
        return (value - low) / (high - low)


def _round(value: float, way: Callable[[float], int]) -> float:
    """The nearest 1, 2 or 5 times a power of 10, that ``way``."""
    power = 10.0 ** math.floor(math.log10(value) + 1e-12)
    steps = [power * one for one in (1, 2, 5, 10)]
    if way is math.floor:
        return max(one for one in steps if one <= value * (1 + 1e-9))
    return min(one for one in steps if one >= value * (1 - 1e-9))


def _reference(claim: Claim) -> str:
    """The number that a claim's effect is read beside; empty if there is none."""
    name, _ = REFERENCES.get(claim.rule, ("", ""))
    return name if name in claim.numbers else ""


def _interval(claim: Claim) -> Ends:
    low, high = (float(claim.numbers.get(f"{claim.effect}_{end}", math.nan)) for end in ("low", "high"))
    return low, high


def _track(claim: Claim, axis: _Axis, nulls: Sequence[Ends], *, beside: str = "") -> str:
    """The effect as a dot, its interval as a line, its nulls as gray bands below each other. ``beside``: the number at which there is a
    thin line.
    """

    def left(value: float) -> str:
        return f"left:{4 + 92 * axis.at(value):.1f}%"

    def span(kind: str, low: float, high: float, lane: str = "") -> str:
        return f'<i class="{kind}" style="{left(low)};width:{92 * (axis.at(high) - axis.at(low)):.1f}%{lane}"></i>'

    lanes = [f";top:{100 * n / len(nulls):.0f}%;height:{92 / len(nulls):.0f}%" for n in range(len(nulls))]
    marks = "".join(span("null", *ends, lane) for ends, lane in zip(nulls, lanes, strict=True))
    if all(map(math.isfinite, _interval(claim))):
        marks += span("interval", *_interval(claim))
    effect = float(claim.numbers[claim.effect])
    dot = f'<b style="{left(effect)}"></b>' if math.isfinite(effect) else ""
    line = f'<b class=at style="{left(float(claim.numbers[beside]))}"></b>' if beside else ""
    return f'<span class="track">{marks}{line}{dot}</span>'


def _strip(claim: Claim, axis: _Axis) -> str:
    """The effect over the range of each of its nulls, and what it is read beside, on one axis."""
    ranges = bands(claim)
    if not ranges:
        return ""
    effect = claim.amount(float(claim.numbers[claim.effect]))
    name = quantity(claim) + " (logarithmic axis)" * axis.logarithmic
    rows = f'<span class="quantity">{escape(name)}</span><b>{effect}</b>'
    if beside := _reference(claim):
        amount = claim.amount(float(claim.numbers[beside]))
        rows += f'<span class="quantity">{REFERENCES[claim.rule][1]} (line)</span><b>{amount}</b>'
    rows += "".join(
        f"<span>{escape(_null(claim, kind))}</span>{_track(claim, axis, [ends], beside=beside)}"
        for kind, ends in ranges.items()
    )
    rows += _ends(claim, axis)
    return f'<div class="strip"{naming([claim])} role="img" aria-label="{escape(_spoken(claim))}">{rows}</div>'


def _ends(claim: Claim, axis: _Axis) -> str:
    """The values at the ends of an axis."""
    percent = claim.amount(0.5).endswith("%")
    low, high = (f"{significant(100 * end)}%" if percent else significant(end) for end in (axis.low, axis.high))
    return f'<span class="ends"><span>{low}</span><span>{high}</span></span>'


def _strips(claims: Sequence[Claim], axis: _Axis) -> str:
    """Several claims in short, on one axis, which says what it measures."""
    drawn, below = [claim for claim in claims if bands(claim)], ""
    if drawn:
        name = quantity(drawn[0]) + " (logarithmic axis)" * axis.logarithmic
        name += f" (line: {REFERENCES[drawn[0].rule][1]})" if _reference(drawn[0]) else ""
        name = f'<span class="where">{escape(name)}</span>'
        below = f'<div class="strip short axis"{naming(drawn)} aria-hidden="true">{_ends(drawn[0], axis)}{name}</div>'
    return f'<div class="strips">{"".join(_short(claim, axis) for claim in claims)}{below}</div>'


def _short(claim: Claim, axis: _Axis) -> str:
    """One of several claims that are not shown: where, and its effect over all its nulls."""
    track, kind, value = "", " plain", short(claim)
    if ranges := bands(claim):
        effect = float(claim.numbers[claim.effect])
        kind, value = "", claim.amount(effect) if math.isfinite(effect) else short(claim)
        track = (
            f'<span role="img" aria-label="{escape(_spoken(claim))}">'
            f"{_track(claim, axis, [*ranges.values()], beside=_reference(claim))}</span>"
        )
    name = f'<span class="where">{escape(claim.where)}</span>'
    return f'<div class="strip short{kind}"{naming([claim])}>{name}{track}<b>{value}</b></div>'


def _spoken(claim: Claim) -> str:
    """The picture of a claim in words."""
    nulls = (
        f"{_null(claim, kind)} {' to '.join(dict.fromkeys([claim.amount(low), claim.amount(high)]))}"
        for kind, (low, high) in bands(claim).items()
    )
    beside = _reference(claim)
    other = [f"{REFERENCES[claim.rule][1]} {claim.amount(float(claim.numbers[beside]))}"] if beside else []
    return "; ".join([f"Effect {claim.amount(float(claim.numbers[claim.effect]))}", *other, *nulls])


def _named(claim: Claim) -> str:
    """A line that names the gray bands of its short picture."""
    names = [_null(claim, kind) for kind in bands(claim)]
    return f"Half bands: upper, {'; lower, '.join(names)}" if len(names) == 2 else f"Gray: {names[0]}"


def _null(claim: Claim, kind: str) -> str:
    """A null in a few words."""
    first = re.split(r"; |, | \(| for each| of the same", claim.null)[0]
    return NULLS.get(kind) or NULLS.get(first, first)


def _definition(page: Page, claim: Claim) -> str:
    """The statistic of the question, its null, and the call that reproduces it."""
    measure, rule = page.rules.get(claim.rule, (None, None))
    doc = " ".join((inspect.getdoc(rule.claims) or "").split("\n\n")[0].split()) if rule else ""
    parts = [
        doc,
        f"Compared with: {claim.null}.",
        f"Source: {measure.source}." if measure and measure.source else "",
    ]
    call = f"<p>Python: <code>{escape(claim.call)}</code></p>" if claim.call else ""
    return folded("Definition", "".join(f"<p>{escape(part)}</p>" for part in parts if part) + call)
