"""The parts of the page, in reading order; each measure's place, claims and pictures come from the register."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import xarray as xr

from .. import __version__
from ..analysis.findings import headlines
from ..analysis.look import FirstLook, LayerLook, Pair
from ..claim import Claim, fill
from ..measure import Measure, on_pages, rules
from ..phantoms.calibration import RATE
from . import tables
from .drawing import Drawn, draw
from .html import escape, folded, scrolling, sentence, stored, told, verdict

FIRST = {"found": "Shown", "not-shown": "Looked for and not shown"}
PARTS = {"training": "Training and predictions", "layers": "Layers", "units": "Units", "side": "Side by side"}
DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}
GENERAL = "the network generalizes"
"""The rule whose claims open the page."""
WORDS = {
    "shown, not shown": "Shown: the result lies beyond all its nulls after the correction for everything that this page asks of a network. "
    "Not shown: it does not, which is no evidence that there is nothing.",
    "description": "A count or a size, said as it is; nothing was tested.",
    "null": "What the measure gives where there is nothing to find: shuffled labels or images, random directions, untrained networks. Grey "
    "in every picture.",
    "corrected p": "The probability of such a result where there is nothing to find, multiplied for the number of questions asked.",
    "probe images": "A fixed, class-balanced part of the test images whose activations were recorded at every snapshot.",
    "snapshot": "The network as it was at one step of training; the first is the initialization.",
    "unit, channel": "One number of a layer for each image; in a convolutional layer, one whole map.",
    "dead": "Above zero for no probe image.",
    "AUC": "The probability that an image of a class activates the unit more than an image of another; one half is none.",
    "ablate": "Set the unit's activation to zero for every image, and run the rest of the network again.",
    "random direction": "A direction in a layer's space that no unit owns, moved along as far as ablating the unit moves each image.",
    "interval": "From new draws of the images (bootstrap). Another seed would differ by more than other images do.",
}


@dataclass(frozen=True, eq=False)
class Page:
    """What stands on the page."""

    groups: Sequence[Sequence[FirstLook]]
    """The networks, each with those that differ in their seeds only; shown is the first."""
    side: Sequence[Pair]
    claims: Sequence[Claim]
    images: Mapping[str, Drawn]
    """Of each network and pair, by name."""
    calibration: xr.Dataset | None

    @cached_property
    def looks(self) -> list[FirstLook]:
        return [group[0] for group in self.groups]

    def of(self, measure: Measure, network: str, hook_point: str | None = None) -> list[Claim]:
        """The claims of a measure about a network, or a layer of it, but not about its single units."""
        return [
            c
            for c in self.claims
            if (c.measure, c.network, c.unit) == (measure.name, network, None) and hook_point in (None, c.hook_point)
        ]

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


def body(page: Page) -> str:
    """All of it."""
    parts = [found(page), not_shown(page), *(part(page, key) for key in PARTS), calibrated(page), about(page)]
    return f"{head(page)}<main>{''.join(parts)}{stored(page.claims)}</main>"


def head(page: Page) -> str:
    names = [look.name for look in page.looks]
    data = page.looks[0].run.description["data"]
    notes = sorted({look.run.description["data"]["note"] for look in page.looks} - {""})
    loud = "".join(f'<p class="loud">{escape(note[:1].upper() + note[1:])}</p>' for note in notes)
    first = [c for c in page.claims if c.rule in (GENERAL, "seeds")]
    rate = [c for c in page.claims if c.rule == RATE]
    sections = FIRST | {k: v for k, v in PARTS.items() if page.part(k)}
    links = {**sections, **({} if page.calibration is None else {"calibration": "Calibration"}), "about": "About"}
    nav = "".join(f'<li><a href="#{link}">{escape(text)}</a></li>' for link, text in links.items())
    return (
        f"<header><h1>What happens inside {escape(' and '.join('the ' + n for n in names))}</h1>"
        f"<p>Trained on {escape(DATA.get(data['name'], data['name']))} and recorded from initialization on. Every sentence is a claim with "
        "its null and its verdict, or a description. Gray small print names what it is compared with.</p>"
        f'<ul class="claims">{"".join(told(c) for c in first)}{"".join(told(c, where=False) for c in rate)}</ul>'
        f'{loud}<nav aria-label="Contents"><ol>{nav}</ol></nav></header>'
    )


def found(page: Page) -> str:
    """What is shown, and all layers side by side."""
    shown = [c for c in headlines(page.claims) if c.shown]
    nothing = "<p>Nothing that was asked came out beyond its null.</p>"
    calls = "".join(
        f'<li data-claim="{escape(c.id)}">{escape(c.where)}: {sentence(c)} <code>{escape(c.call)}</code></li>'
        for c in headlines(page.claims)
        if c.call
    )
    return (
        f'<h2 id="found">{FIRST["found"]}</h2>{_listed(page, shown) if shown else nothing}{_glance(page)}'
        f"{folded('The calls that give these numbers again', f'<ul>{calls}</ul>')}"
    )


def not_shown(page: Page) -> str:
    rest = [c for c in headlines(page.claims) if not (c.shown or c.describes)]
    return (
        f'<h2 id="not-shown">{FIRST["not-shown"]}</h2><p>What was asked and not shown may still be there: each says, where it is known, '
        f"the smallest effect that would have been shown.</p>{_listed(page, rest)}"
    )


def _listed(page: Page, claims: Sequence[Claim]) -> str:
    """Claims under the network or layer that they are about, in the order of the page."""
    places = {measure.name: place for place, measure in enumerate(on_pages())}
    claims = sorted(claims, key=lambda c: places.get(c.measure, -1))
    names = [look.name for look in page.looks]
    wheres = sorted({c.where: c for c in claims}.values(), key=lambda c: (names.index(c.network), c.hook_point))
    return "".join(
        f'<h3 class="where">{escape(at.where)}</h3><ul class="claims">'
        f"{''.join(told(c, whole=True, where=False) for c in claims if c.where == at.where)}</ul>"
        for at in wheres
    )


def _glance(page: Page) -> str:
    """The claims about layers, a column each: the effect and its verdict."""
    layers = [(look.name, layer) for look in page.looks for layer in look.layers]
    asked = {rule.name for _, rule in rules() if rule.scope == "layer"}
    known = {(c.network, c.hook_point, c.rule): c for c in page.claims if c.unit is None and c.rule in asked}
    if not known:
        return ""
    head = "".join(f'<th scope="col" class="where">{escape(f"{name} {layer.short}")}</th>' for name, layer in layers)
    rows = "".join(
        f'<tr><th scope="row">{escape(rule)}</th>'
        + "".join(_effect(known.get((name, layer.hook_point, rule))) for name, layer in layers)
        + "</tr>"
        for rule in dict.fromkeys(rule for _, _, rule in known)
    )
    caption = "Each layer's effects, and whether they are shown"
    header = f'<tr><th scope="col">claim</th>{head}</tr>'
    table = f'<table class="glance"><caption><span>{caption}</span></caption><thead>{header}</thead><tbody>{rows}</tbody></table>'
    return scrolling(table, "Layers at a glance")


def _effect(claim: Claim | None) -> str:
    if claim is None:
        return "<td>–</td>"
    return (
        f'<td data-claim="{escape(claim.id)}">{fill("{x:g}", {"x": claim.numbers[claim.effect]})} {verdict(claim)}</td>'
    )


def part(page: Page, key: str) -> str:
    """One part: its measures, each for all networks."""
    blocks = "".join(_measure(page, measure, page.side if key == "side" else page.looks) for measure in page.part(key))
    if key == "side" and len(page.looks) > 1 and not page.side:
        blocks = "<p>The networks were probed with different images, or have no hidden layers, so these are not compared.</p>"
    if key == "units":
        blocks = "".join(_units(page, look, layer) for look in page.looks for layer in look.layers) + blocks
    return f'<h2 id="{key}">{PARTS[key]}</h2>{blocks}' if blocks else ""


def _measure(page: Page, measure: Measure, ats: Sequence[FirstLook | Pair]) -> str:
    """Its title, its claims about every network and layer, its pictures, its numbers."""
    claims = [c for at in ats for c in page.of(measure, at.name)]
    figures: list[str] = []
    more: list[str] = []
    for number, picture in enumerate(measure.pictures):
        if picture.scope == "page" and isinstance(ats[0], FirstLook):
            results = {at.name: at.get(measure.name) for at in ats}
            figures.append(_figure(draw(measure, picture, (results,)), claims))
        for at in ats:
            for hook_point in ("", *(layer.hook_point for layer in getattr(at, "layers", ()))):
                drawn = page.images[at.name].get((measure.name, number, hook_point))
                if drawn:
                    own = page.of(measure, at.name, hook_point or None)
                    where = f"{at.name} {hook_point.removesuffix('.hook_post')}".strip()
                    figure, summary = _figure(drawn, own, where), f"{escape(measure.title)}, {escape(where)}"
                    more += [folded(summary, figure, attributes=_ids(own))] if picture.more else []
                    figures += [] if picture.more else [figure]
    numbers = "".join(_numbers(measure, at, page.of(measure, at.name)) for at in ats)
    name = measure.name.replace(".", "-")
    return (
        f'<section id="{ats[0].scope}-{escape(name)}"><h3{_ids(claims)}>{escape(measure.title)}</h3>'
        f'<ul class="claims">{"".join(told(c) for c in claims)}</ul>{"".join(figures + more)}{numbers}</section>'
    )


def _figure(drawn: str, claims: Iterable[Claim], where: str = "") -> str:
    caption = f'<figcaption><span class="where">{escape(where)}:</span> ' if where else "<figcaption>"
    return f"<figure{_ids(claims)}>{drawn.replace('<figcaption>', caption)}</figure>" if drawn else ""


def _ids(claims: Iterable[Claim]) -> str:
    return f' data-claim="{escape(" ".join(c.id for c in claims))}"'


def _numbers(measure: Measure, at: FirstLook | Pair, claims: Sequence[Claim]) -> str:
    """A table of a measure's results about one network, folded."""
    if isinstance(at, Pair):
        results = {v: at.get(f"{measure.name}/{v}") for v, asked in measure.asked.items() if asked.scope == "pair"}
    elif measure.scope == "network":
        results = {"": at.get(measure.name)}
    else:
        results = {layer.short: layer.get(measure.name) for layer in at.layers if measure.scope == "layer"}
    table = tables.of_results(results, at.scope if isinstance(at, Pair) else "layer", f"{measure.title}, {at.name}")
    if not table:
        return ""
    return folded(
        f"The numbers: {escape(at.name)}", scrolling(table, f"The numbers: {at.name}"), attributes=_ids(claims)
    )


def _units(page: Page, look: FirstLook, layer: LayerLook) -> str:
    claims = [
        c for c in page.claims if (c.network, c.hook_point) == (look.name, layer.hook_point) and c.unit is not None
    ]
    where = f"{look.name} {layer.short}"
    caption = f"Every {layer.axis} of {where}, those for which most is shown first"
    table = tables.of_units(claims, [rule for _, rule in rules()], caption)
    summary = f'<span class="where">{escape(where)}</span>: every {layer.axis}'
    return folded(summary, scrolling(table, caption), attributes=_ids(claims[:1])) if table else ""


def calibrated(page: Page) -> str:
    """How the instruments did on planted truth and on empty phantoms."""
    record = page.calibration
    if record is None:
        return ""
    claims = [c for c in page.claims if c.network == "calibration"]
    names = [
        n
        for n in ("planted", "truth", "measured", "error", "tolerance", "false_alarms", "recovered", "silent")
        if n in record
    ]
    rows = (
        [
            (str(name), *(record[n].values[place].item() for n in names))
            for place, name in enumerate(record["instrument"].values)
        ]
        if "instrument" in record
        else []
    )
    table = tables.table(
        ["instrument", *(n.replace("_", " ") for n in names)], rows, "Each instrument on its phantom and on empty ones"
    )
    return (
        f'<h2 id="calibration">Calibration</h2><ul class="claims">{"".join(told(c, where=False) for c in claims)}</ul>'
        "<p><code>microscope calibrate</code> measures this again.</p>"
        + folded("All instruments", scrolling(table, "Calibration"), attributes=_ids(claims))
    )


def about(page: Page) -> str:
    """Every run behind the page, those of other seeds too, and the words that it uses."""
    rows = []
    for look in (look for group in page.groups for look in group):
        d = look.run.description
        m = d["machine"]
        seeds = str(d["model"].get("seed", "–")), str(d["train"]["seed"])
        machine = f"{m['processor']}, {m['cores']} cores"
        rows.append((look.name, look.run.status, *seeds, d["versions"]["torch"], m["threads"], machine))
    glossary = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in WORDS.items())
    heads = ("network", "status", "weights' seed", "order's seed", "torch", "threads", "machine")
    return (
        f'<section id="about"><h2>About this page</h2>{scrolling(tables.table(heads, rows, "The runs"), "The runs")}<h3>Words</h3>'
        f'<dl>{glossary}</dl><p class="quiet">Made by neural-microscope {escape(__version__)}. The file holds all it shows and asks '
        "for nothing from elsewhere.</p></section>"
    )
