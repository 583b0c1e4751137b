"""The atlas: every question that was asked, with every network's answer beside the others', and all pictures and numbers behind it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..analysis.findings import headlines
from ..analysis.look import FirstLook, LayerLook, Pair
from ..claim import Claim
from ..measure import Measure, Rule, rules
from .drawing import draw
from .html import escape, folded, heading, naming, row, scrolling, slug, told, verdict, worded
from .page import PARTS, Page, quantity, short
from .tables import OF_UNITS, meanings, of_results, of_units

At = FirstLook | Pair


def atlas(page: Page) -> str:
    """A matrix of questions and networks; each row opens."""
    names = "".join(f"<span>{escape(look.name)}</span>" for look in page.looks)
    parts = "".join(_part(page, key) for key in PARTS)
    top = f'<div class="row top" aria-hidden="true"><span>Question</span>{names}</div>'
    intro = (
        '<p>All questions, all networks. <span class="on-screen">A row opens to claims, pictures, numbers.</span>'
        '<span class="on-paper">Tables of numbers, that of all instruments too, are on the page only.</span></p>'
    )
    columns = min(len(page.looks), 3)
    kind = "one" if columns == 1 else "many" if len(page.looks) > 3 else "few"
    return f'{heading(2, "atlas", "Atlas")}{intro}<div class="atlas {kind}" style="--networks:{columns}">{top}{parts}</div>'


def _part(page: Page, key: str) -> str:
    """One part: its questions, then the measures that only describe, and of units the tables of all."""
    ats: Sequence[At] = page.side if key == "side" else page.looks
    lead, more = "", ""
    for measure in page.part(key):
        asked = [
            rule for rule in measure.rules if any(c.rule == rule.name for at in ats for c in page.of(measure, at.name))
        ]
        rows = "".join(_row(page, measure, rule, ats, first=number == 0) for number, rule in enumerate(asked))
        section = f'<section id="{ats[0].scope}-{measure.name.replace(".", "-")}">{rows or _row(page, measure, None, ats)}</section>'
        lead, more = (lead + section, more) if asked or key == "side" else (lead, more + section)
    if key == "side" and len(page.looks) > 1 and not page.side:
        lead = "<p>The networks were probed with different images, or have no hidden layers, so these are not compared.</p>"
    if key == "units":
        every = "".join(_units(page, look, layer) for look in page.looks for layer in look.layers)
        lead += every and row("every-unit", "Claims about every unit", "", every + _columns(every))
    more = more and folded(f"More measures: {PARTS[key].lower()}", more, attributes=' class="more"')
    return f"{heading(3, key, PARTS[key])}{lead}{more}" if lead or more else ""


def _row(page: Page, measure: Measure, rule: Rule | None, ats: Sequence[At], *, first: bool = True) -> str:
    """A question, each network's answer in short, and what opens: all claims, and with the first question the pictures and numbers."""
    own = {
        at.name: [c for c in page.of(measure, at.name) if rule is None or c.describes or c.rule == rule.name]
        for at in ats
    }
    own = {name: claims if first else [c for c in claims if not c.describes] for name, claims in own.items()}
    cells = "".join(f'<span class="cell">{"".join(map(_chip, _in_short(own[at.name])))}</span>' for at in ats)
    title = rule.question if rule else measure.title
    key = slug(rule.name) if rule else ("side-" if isinstance(ats[0], Pair) else "") + slug(measure.name)
    inside = "".join(
        f'<div class="side"{_named(at) * (len(ats) > 1)}>{_claims(page, claims)}{_pictures(page, measure, at) if first else ""}</div>'
        for at, claims in zip(ats, own.values(), strict=True)
    )
    shared = _together(page, measure, ats) if first else ""
    numbers = "".join(_numbers(measure, at, own[at.name]) for at in ats) if first else ""
    numbers += numbers and _meanings(measure, ats)
    content = f'{shared}<div class="sides">{inside}</div>{numbers}'
    tested = [claim for claims in own.values() for claim in _in_short(claims)]
    meaning = quantity(tested[0]) if tested else ""
    return row(
        key, title, cells, content, quantity=meaning, attributes=naming(c for claims in own.values() for c in claims)
    )


def _named(at: At) -> str:
    """The network's name on its answers, for paper, where answers do not stand below the names."""
    return f' data-network="{escape(at.name)}"'


def _in_short(claims: Sequence[Claim]) -> list[Claim]:
    """The tested claims; where nothing is tested, none: the row says what is described when it opens."""
    return [c for c in claims if not c.describes]


def _chip(claim: Claim) -> str:
    """A claim as its effect and its verdict."""
    layer = claim.hook_point.removesuffix(".hook_post")
    where = f'<span class="where"><span class="network">{escape(claim.network)} </span>{escape(layer)}</span> '
    return f'<span class="chip"{naming([claim])}>{where}{short(claim)} {verdict(claim)}</span>'


def _claims(page: Page, claims: Sequence[Claim]) -> str:
    """The claims with their evidence; of units those that are told first."""
    rule = next((c.rule for c in claims if not c.describes), "")
    networks = {c.network for c in claims}
    listed = [*page.first, *(c for c in headlines(page.claims) if c not in page.first)]  # first the one that has a card
    units = [c for c in listed if c.unit is not None and c.rule == rule and c.network in networks]
    said = "".join(
        f"{told(c, whole=True)[: -len('</li>')]} {page.explore(c)}</li>" if not c.describes else told(c, whole=True)
        for c in (*claims, *units)
    )
    return f'<ul class="claims">{said}</ul>'


def _together(page: Page, measure: Measure, ats: Sequence[At]) -> str:
    """The pictures that show all networks on the same axes."""
    claims = [c for at in ats for c in page.of(measure, at.name)]
    return "".join(
        _figure(draw(measure, picture, ({at.name: at.get(measure.name) for at in ats},)), claims, measure.title)
        for picture in measure.pictures
        if picture.scope == "page" and isinstance(ats[0], FirstLook)
    )


def _pictures(page: Page, measure: Measure, at: At) -> str:
    """Of one network: a layer's first two pictures, the rest behind them."""
    seen: dict[str, int] = {}
    lead, more = "", ""
    for number, picture in enumerate(measure.pictures):
        for hook_point in ("", *(layer.hook_point for layer in getattr(at, "layers", ()))):
            if not (drawn := page.images[at.name].get((measure.name, number, hook_point))):
                continue
            own = page.of(measure, at.name, hook_point or None)
            where = f"{at.name} {hook_point.removesuffix('.hook_post')}".strip()
            figure = _figure(drawn, own, f"{measure.title}, {where}", where)
            seen[hook_point] = seen.get(hook_point, 0) + 1
            first = seen[hook_point] == 1 or (seen[hook_point] == 2 and not picture.more)
            lead, more = (lead + figure, more) if first else (lead, more + figure)
    return lead + (more and folded("More pictures", more))


def _figure(drawn: str, claims: Iterable[Claim], title: str, where: str = "") -> str:
    claims = list(claims)
    caption = f'<figcaption><span class="where">{escape(where)}:</span> ' if where else "<figcaption>"
    return (
        f"<figure{naming(claims)}>{worded(drawn.replace('<figcaption>', caption), claims, title)}</figure>"
        if drawn
        else ""
    )


def _results(measure: Measure, at: At) -> dict[str, Any]:
    """A measure's results about one network, by layer or variant."""
    if isinstance(at, Pair):
        return {v: at.get(f"{measure.name}/{v}") for v, asked in measure.asked.items() if asked.scope == "pair"}
    if measure.scope == "network":
        return {"": at.get(measure.name)}
    return {layer.short: layer.get(measure.name) for layer in at.layers if measure.scope == "layer"}


def _meanings(measure: Measure, ats: Sequence[At]) -> str:
    """The meaning of the columns of a measure's results, folded."""
    results = [one for at in ats for one in _results(measure, at).values()]
    lines = meanings(inspect.getdoc(measure.function) or "", results, measure.name)
    lines += ["The Python call gives each p and q."] if any(re.search(r"\bits [pq]\b", line) for line in lines) else []
    text = "\n".join(line[:1].upper() + line[1:] for line in lines)
    return folded("The columns", f'<p class="lines">{escape(text)}</p>', attributes=' class="numbers"') if text else ""


def _columns(tables: str) -> str:
    """The meaning of the columns of the units' tables, folded."""
    heads = [head for head in OF_UNITS if f">{head}</th>" in tables]
    lines = "\n".join(f"{head[:1].upper()}{head[1:]}: {OF_UNITS[head]}." for head in heads)
    return folded("The columns", f'<p class="lines">{escape(lines)}</p>') if lines else ""


def _numbers(measure: Measure, at: At, claims: Sequence[Claim]) -> str:
    """A measure's results about one network, folded."""
    results = _results(measure, at)
    steps = {float(c.numbers[name]) for c in claims for name in re.findall(r"{(\w+):step}", c.yes + c.evidence)}
    text = of_results(results, at.scope if isinstance(at, Pair) else "layer", measure.name, steps)
    name = f"{measure.title}, {at.name}"
    pre = f'<pre tabindex="0" role="region" aria-label="{escape(name)}">{escape(text)}</pre>'
    return (
        folded(f"The numbers: {escape(at.name)}", pre, attributes=f' class="numbers"{naming(claims)}') if text else ""
    )


def _units(page: Page, look: FirstLook, layer: LayerLook) -> str:
    claims = [
        c for c in page.claims if (c.network, c.hook_point) == (look.name, layer.hook_point) and c.unit is not None
    ]
    where = f"{look.name} {layer.short}"
    caption = f"Every {layer.axis} of {where}, initially sorted by the number of claims shown, then by AUC"

    def address(unit: int) -> str:
        return "" if page.explorer is None else page.explorer.unit(look.name, layer.hook_point, unit)

    table = of_units(claims, [rule for _, rule in rules()], caption, address)
    summary = f'<span id="units-{slug(where)}" class="where">{escape(where)}</span>: every {layer.axis}'
    return folded(summary, scrolling(table, caption), attributes=naming(claims[:1])) if table else ""
