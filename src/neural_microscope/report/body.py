"""The page in reading order: ten seconds, two minutes, the atlas; then how it was calibrated, and what it is made of."""

from __future__ import annotations

from .. import __version__
from ..analysis.look import FirstLook
from ..data.published import written
from ..glossary import glosses
from ..phantoms.calibration import RATE
from ..run import Run
from . import tables
from .atlas import atlas
from .cards import found, not_shown
from .drawing import OVERVIEW
from .html import escape, filters, folded, heading, naming, scrolling, slug, stored, told, worded
from .links import NAME
from .page import PARTS, Page
from .paper import bibtex, described
from .replayed import section
from .tasks import about as about_task

NAMED = ' id="words"'
"""The address of the terms."""
WORDS = (
    "shown, not shown",
    "null",
    "corrected p",
    "probe images",
    "snapshot",
    "unit, channel",
    "dead",
    "AUC",
    "selectivity index",
    "silhouette, neighbor purity",
    "calibration error",
    "learned at",
    "gated unit",
    "nats",
    "ablate",
    "random direction",
    "interval",
    "neural collapse",
    "tr Sw / tr Sb",
    "CKA",
    "Procrustes distance",
    "CCA, SVCCA, PWCCA",
    "participation ratio, effective rank",
    "TwoNN",
)
"""The terms that the page explains."""


def body(page: Page) -> str:
    """All of it."""
    parts = "".join([found(page), not_shown(page), atlas(page), section(page.forked), calibrated(page), about(page)])
    forked = [claim for every in page.forked.values() for _, claims, _ in every for claim in claims]
    return f"{filters()}{contents(page, parts)}{head(page)}<main>{parts}{stored([*page.claims, *forked])}</main>"


def head(page: Page) -> str:
    """The first screen: each network's verdict, how it learned, its images before and after; how far the page can be trusted."""
    data = page.looks[0].run.description["data"]
    notes = sorted({look.run.description["data"]["note"] for look in page.looks} - {""})
    notes += sorted({_reduced(look.run) for look in page.looks} - {""})
    loud = "".join(f'<p class="loud">{escape(note[:1].upper() + note[1:])}</p>' for note in notes)
    trust = [c for c in page.claims if c.rule == RATE] + [c for c in page.claims if c.rule == "seeds" and not c.network]
    known = any(layer.short == "layers.0" for look in page.looks for layer in look.layers)
    words = f'{" layers.0 is the first hidden layer." if known else ""} <a href="#words">Terms</a>'
    link = f'<p><a class="button" href="{NAME}">Open the explorer</a></p>' if page.explorer else ""
    return (
        f'<header id="top"><h1>{escape(page.title)}</h1>'
        f"<p>Trained on {escape(written(data['name']))}, recorded from initialization on; measured on part of the test "
        f"images (the probe images).{words}</p>{loud}"
        f'<div class="networks">{"".join(_network(page, look) for look in page.looks)}</div>'
        f'<div class="trust"><ul class="claims">{"".join(told(c, where=False) for c in trust)}</ul>{link}</div></header>'
    )


def _reduced(run: Run) -> str:
    """One line on the reduction of sequences to a number for each unit and image; empty where no layer gives any."""
    names = [name for name, dims in run.axes.items() if "token" in dims]
    if not names:
        return ""
    tokens = run.description["record"].get("tokens", "mean")
    what = f"the activation at token {tokens}" if isinstance(tokens, int) else "the mean over the tokens"
    where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more layers"
    return f"of sequences ({where}) a unit's activation is {what}."


def _network(page: Page, look: FirstLook) -> str:
    """One network of the first screen."""
    own = [c for c in page.claims if c.network == look.name and not c.hook_point and c.unit is None]
    said = [c for c in own if c.rule in ("verdict", "seeds")]
    title = f"How the {look.name} learned"
    figure = ""
    if drawn := page.images[look.name].get(OVERVIEW, ""):
        told_of = [*said, *(c for c in own if c.rule == "the training")]
        figure = f"<figure{naming(told_of)}>{worded(drawn, told_of, title)}</figure>"
    claims = "".join(told(c, "p", where=False) for c in said)
    task = f"<p>{escape(about_task(look))}</p>" if look.run.task != "classification" else ""
    return f'<section class="network">{heading(2, f"network-{slug(look.name)}", look.name)}{task}{claims}{figure}</section>'


def contents(page: Page, parts: str) -> str:
    """The list of contents, which stays in sight."""
    every = {
        "top": "Overview",
        "found": "Shown",
        "not-shown": "Not shown",
        "atlas": "Atlas",
        **PARTS,
        "replays": "Trained otherwise",
        "calibration": "Check of the method",
        "about": "About",
    }
    links = "".join(
        f'<li{" class=part" if key in PARTS else ""}><a href="#{key}">{escape(text)}</a></li>'
        for key, text in every.items()
        if key == "top" or f'id="{key}"' in parts
    )
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def calibrated(page: Page) -> str:
    """The instruments' results on planted truth and on empty phantoms."""
    record = page.calibration
    claims = [c for c in page.claims if c.network == "calibration" and c.rule != RATE]  # which the first screen tells
    if record is None or not claims:
        return ""
    text = tables.of_instruments(record)
    pre = f'<pre tabindex="0" role="region" aria-label="Every instrument on its phantom and on empty ones">{escape(text)}</pre>'
    again = "<p><code>microscope calibrate</code> measures this again.</p>"
    return (
        f'{heading(2, "calibration", "Check of the method")}<ul class="claims">{"".join(told(c, where=False) for c in claims)}</ul>'
        + folded("All instruments", again + pre, attributes=f' class="numbers"{naming(claims)}')
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
    glossary = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in glosses(WORDS).items())
    heads = ("network", "status", "seed of the weights", "seed of the data order", "torch", "threads", "machine")
    table = scrolling(tables.table(heads, rows, "The runs"), "The runs")
    citation = f'<pre tabindex="0" role="region" aria-label="Citation">{escape(bibtex())}</pre>'
    parts = described([look for group in page.groups for look in group], page.claims)
    paper = "".join(
        f"<{tag}>{''.join(f'<li>{escape(one)}</li>' for one in part)}</{tag}>"
        for tag, part in zip(("ul", "ol", "ul"), parts, strict=True)
    )
    return (
        f'<section id="about">{heading(2, "about-this-page", "About this page")}{folded("The runs", table)}'
        f"{folded('Methods and citation', paper + citation)}"
        f"{folded('Terms', f'<dl>{glossary}</dl>', attributes=NAMED)}"
        f'<p class="quiet">Made by neural-microscope {escape(__version__)}. Self-contained: '
        "loads nothing from the web.</p></section>"
    )
