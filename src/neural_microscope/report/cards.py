"""Two minutes: the strongest findings as cards, and, as equals, what was looked for and not shown."""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Sequence

from ..analysis.findings import bands, strength
from ..analysis.findings.summary import CHOSEN, GENERAL, STRENGTH
from ..claim import ALPHA, Claim, count, significant
from .html import escape, folded, heading, told
from .page import Page, quantity, short

NULLS = {"shuffled": "shuffled labels", "untrained": "same rank, untrained networks"}
"""A claim's further nulls in words, by their kind; the first words of what it is compared with name the other."""


def found(page: Page) -> str:
    """The findings that are told first, the strongest first."""
    cards = "".join(_card(page, [claim], whole=True) for claim in page.first)
    unit = f" {CHOSEN}" if any(claim.unit is not None for claim in page.first) else ""
    rank = folded("How strength is measured", f'<p data-claim="{_ids(page.first)}">{escape(STRENGTH + unit)}</p>')
    ranked = {GENERAL, *(claim.rule for claim in page.first)}
    others = {c.rule: c for c in page.claims if c.shown and c.unit is None and c.rule not in ranked}
    links = ", ".join(f'<a href="#{page.row(claim)}">{escape(page.question(claim))}</a>' for claim in others.values())
    asked = len(page.first) + len(others)
    number = len(page.first)
    parts = (
        [f"{number} on cards below, the strongest first" if number > 1 else f"{number} on a card below"]
        if cards
        else []
    )
    parts += [f"in the atlas {links}"] if others else []
    besides = "besides test accuracy, " if any(c.rule == GENERAL for c in page.claims) else ""
    intro = (
        f"{besides}{count(asked, 'questions')} {'has' if asked == 1 else 'have'} something shown: {'; '.join(parts)}"
    )
    nothing = "No result lies beyond its nulls."
    ids = _ids([*page.first, *others.values()])
    body = f'<div class="cards">{cards}</div>{rank}' if cards else ""
    return f'{heading(2, "found", "Shown")}<p data-claim="{ids}">{intro[:1].upper() + intro[1:] if asked else nothing}</p>{body}'


def not_shown(page: Page) -> str:
    """Every question of which something was looked for and not shown."""
    missed = [c for c in page.claims if c.unit is None and not (c.shown or c.describes)]
    asked = [
        [c for c in missed if c.rule == rule]
        for rule in (*page.rules, *sorted({c.rule for c in missed} - {*page.rules}))
    ]
    asked = [claims for claims in asked if claims]
    named = Counter(_named(claims[0]) for claims in asked if bands(claims[0])).most_common(1)
    usual = named[0][0] if named else ""
    cards = "".join(_card(page, claims, usual=usual) for claims in asked)
    beyond = "Shown means beyond every band, also after correction."
    gray = f" {usual}, unless a card names others; each holds 95% of its null. {beyond}" if usual else ""
    about = _ids([claims[0] for claims in asked if bands(claims[0]) and _named(claims[0]) == usual])
    intro = f'<p data-claim="{about}">An effect that is not shown may still exist.{escape(gray)}</p>'
    return (
        f'{heading(2, "not-shown", "Looked for and not shown")}{intro}<div class="cards">{cards}</div>' if cards else ""
    )


def _card(page: Page, claims: Sequence[Claim], *, whole: bool = False, usual: str = "") -> str:
    """One question: its claims, each as a picture with its null, the evidence, the definition, and the way to more. As a ``whole`` it tells
    one claim; else all those that were not shown, in short, with the names of their gray bands where those are not the ``usual`` ones.
    """
    claim, key = claims[0], page.row(claims[0])
    size = f" Strength {significant(strength(claim))}." if whole else ""
    links = f'<p class="links">{page.explore(claim)} <a href="#{key}">Atlas</a>{size}</p>'
    said = told(claim, "p", whole=True) if whole else ""
    evidence = "" if whole else folded("Evidence", "".join(told(c, "p", whole=True) for c in claims))
    strips = _strip(claim) if whole else _strips(claims)
    named = "" if whole or not bands(claim) else _named(claim)
    nulls = f'<p class="quiet">{escape(named)}.</p>' if named not in ("", usual) else ""
    nearly = [] if whole else [c for c in claims if c.p < ALPHA <= c.corrected]
    if nearly:
        where = ", ".join(c.where for c in nearly)
        nulls += f'<p class="quiet" data-claim="{_ids(nearly)}">Beyond its nulls only before the correction: {escape(where)}.</p>'
    title = heading(3, f"{'finding' if whole else 'missed'}-{key}", page.question(claim))
    elsewhere = "" if whole else _elsewhere(page, claim)
    inside = f"{title}{said}{strips}{elsewhere}{nulls}{evidence}{_definition(page, claim)}{links}"
    return f'<article class="card" data-claim="{_ids(claims)}">{inside}</article>'


def _elsewhere(page: Page, claim: Claim) -> str:
    """A line that names the places in which the same question has something shown."""
    shown = [c for c in page.claims if c.rule == claim.rule and c.unit is None and c.shown]
    places = {
        network: ", ".join(c.hook_point.removesuffix(".hook_post") for c in shown if c.network == network)
        for network in dict.fromkeys(c.network for c in shown)
    }
    words = "; ".join(f"{network} {layers}".strip() for network, layers in places.items())
    return f'<p class="quiet" data-claim="{_ids(shown)}">Shown: {escape(words)}.</p>' if shown else ""


Scale = tuple[float, float]
"""The meaning of a track's ends."""


def _scale(claims: Sequence[Claim]) -> Scale:
    """From the lowest to the highest of what the claims' pictures show."""
    known = [float(c.numbers[c.effect]) for c in claims] + [
        end for c in claims for pair in (*bands(c).values(), _interval(c)) for end in pair
    ]
    known = [value for value in known if math.isfinite(value)] or [0.0, 1.0]
    return min(known), max(known)


def _interval(claim: Claim) -> Scale:
    low, high = (float(claim.numbers.get(f"{claim.effect}_{end}", math.nan)) for end in ("low", "high"))
    return low, high


def _track(claim: Claim, scale: Scale, nulls: Sequence[Scale], *, value: bool = True) -> str:
    """The effect as a dot, its interval as a line, its nulls as gray bands below each other. Without its ``value`` the bands with a thin
    line where it lies.
    """
    percent = 92 / ((scale[1] - scale[0]) or 1.0)

    def left(value: float) -> str:
        return f"left:{4 + percent * (value - scale[0]):.1f}%"

    def span(kind: str, low: float, high: float, lane: str = "") -> str:
        return f'<i class="{kind}" style="{left(low)};width:{percent * (high - low):.1f}%{lane}"></i>'

    lanes = [f";top:{100 * n / len(nulls):.0f}%;height:{92 / len(nulls):.0f}%" for n in range(len(nulls))]
    marks = "".join(span("null", *ends, lane) for ends, lane in zip(nulls, lanes, strict=True))
    if value and all(map(math.isfinite, _interval(claim))):
        marks += span("interval", *_interval(claim))
    effect = float(claim.numbers[claim.effect])
    dot = f'<b{"" if value else " class=at"} style="{left(effect)}"></b>' if math.isfinite(effect) else ""
    return f'<span class="track">{marks}{dot}</span>'


def _strip(claim: Claim) -> str:
    """The effect, and below it the range of each of its nulls, on one scale."""
    ranges, scale = bands(claim), _scale([claim])
    if not ranges:
        return ""
    effect = claim.amount(float(claim.numbers[claim.effect]))
    rows = f"<span>{escape(quantity(claim))}</span>{_track(claim, scale, [])}<b>{effect}</b>"
    rows += "".join(
        f"<span>{escape(_null(claim, kind))}</span>{_track(claim, scale, [ends], value=False)}"
        for kind, ends in ranges.items()
    )
    rows += _axis(claim, scale)
    return f'<div class="strip" data-claim="{escape(claim.id)}" role="img" aria-label="{escape(_spoken(claim))}">{rows}</div>'


def _axis(claim: Claim, scale: Scale) -> str:
    """The values at the ends of a track."""
    ends = dict.fromkeys(claim.amount(end) for end in scale)  # one value where they agree to its digits
    return f'<span class="ends">{"".join(f"<span>{end}</span>" for end in ends)}</span>'


def _strips(claims: Sequence[Claim]) -> str:
    """Several claims in short, on one scale."""
    scale, drawn = _scale(claims), [claim for claim in claims if bands(claim)]
    axis = (
        f'<div class="strip short" data-claim="{_ids(drawn)}" aria-hidden="true">{_axis(drawn[0], scale)}</div>'
        if drawn
        else ""
    )
    return f'<div class="strips">{"".join(_short(claim, scale) for claim in claims)}{axis}</div>'


def _short(claim: Claim, scale: Scale) -> str:
    """One of several claims that are not shown: where, and its effect over all its nulls."""
    track, kind, value = "", " plain", short(claim)
    if ranges := bands(claim):
        kind, value = "", claim.amount(float(claim.numbers[claim.effect]))
        track = (
            f'<span role="img" aria-label="{escape(_spoken(claim))}">{_track(claim, scale, [*ranges.values()])}</span>'
        )
    name = f'<span class="where">{escape(claim.where)}</span>'
    return f'<div class="strip short{kind}" data-claim="{escape(claim.id)}">{name}{track}<b>{value}</b></div>'


def _spoken(claim: Claim) -> str:
    """The picture of a claim in words."""
    nulls = (
        f"{_null(claim, kind)} {' to '.join(dict.fromkeys([claim.amount(low), claim.amount(high)]))}"
        for kind, (low, high) in bands(claim).items()
    )
    return "; ".join([f"Effect {claim.amount(float(claim.numbers[claim.effect]))}", *nulls])


def _named(claim: Claim) -> str:
    """A line that names the gray bands of its short picture."""
    names = [_null(claim, kind) for kind in bands(claim)]
    return f"Gray bands, the upper first: {', '.join(names)}" if len(names) > 1 else f"Gray band: {names[0]}"


def _null(claim: Claim, kind: str) -> str:
    """A null in a few words."""
    return NULLS.get(kind) or re.split(r"; |, | \(| for each| of the same", claim.null)[0]


def _definition(page: Page, claim: Claim) -> str:
    """The statistic of the question, its null, and the call that reproduces it."""
    measure, rule = page.rules.get(claim.rule, (None, None))
    doc = " ".join((inspect.getdoc(rule.claims) or "").split("\n\n")[0].split()) if rule else ""
    parts = [
        doc,
        f"Compared with: {claim.null}.",
        f"Source: {measure.source}." if measure and measure.source else "",
    ]
    call = f"<p><code>{escape(claim.call)}</code></p>" if claim.call else ""
    return folded("Definition", "".join(f"<p>{escape(part)}</p>" for part in parts if part) + call)


def _ids(claims: Sequence[Claim]) -> str:
    return escape(" ".join(c.id for c in claims))
