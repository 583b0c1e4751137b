"""The page in reading order: ten seconds, two minutes, the atlas; then how it was calibrated, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable

from .. import __version__
from ..analysis.look import FirstLook
from ..phantoms.calibration import RATE
from . import tables
from .atlas import atlas
from .cards import found, not_shown
from .drawing import OVERVIEW
from .html import escape, filters, folded, heading, scrolling, slug, stored, told, worded
from .links import NAME
from .page import PARTS, Page
from .paper import bibtex, methods

DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}
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


def body(page: Page) -> str:
    """All of it."""
    parts = "".join([found(page), not_shown(page), atlas(page), calibrated(page), about(page)])
    return f"{filters()}{contents(page, parts)}{head(page)}<main>{parts}{stored(page.claims)}</main>"


def head(page: Page) -> str:
    """The first screen: each network's verdict, how it learned, its images before and after; how far the page can be trusted."""
    names = [look.name for look in page.looks]
    data = page.looks[0].run.description["data"]
    notes = sorted({look.run.description["data"]["note"] for look in page.looks} - {""})
    loud = "".join(f'<p class="loud">{escape(note[:1].upper() + note[1:])}</p>' for note in notes)
    trust = [c for c in page.claims if c.rule == RATE] + [c for c in page.claims if c.rule == "seeds" and not c.network]
    link = f'<p><a class="button" href="{NAME}">Open the explorer</a></p>' if page.explorer else ""
    return (
        f'<header id="top"><h1>What happens inside {escape(" and ".join("the " + n for n in names))}</h1>'
        f"<p>Trained on {escape(DATA.get(data['name'], data['name']))} and recorded from initialization on.</p>{loud}"
        f'<div class="networks">{"".join(_network(page, look) for look in page.looks)}</div>'
        f'<div class="trust"><ul class="claims">{"".join(told(c, where=False) for c in trust)}</ul>{link}</div></header>'
    )


def _network(page: Page, look: FirstLook) -> str:
    """One network of the first screen."""
    own = [c for c in page.claims if c.network == look.name and not c.hook_point and c.unit is None]
    said = [c for c in own if c.rule in ("verdict", "seeds")]
    title = f"How the {look.name} learned"
    figure = ""
    if drawn := page.images[look.name].get(OVERVIEW, ""):
        told_of = [*said, *(c for c in own if c.rule == "the training")]
        ids = escape(" ".join(c.id for c in told_of))
        figure = f'<figure data-claim="{ids}">{worded(drawn, told_of, title)}</figure>'
    claims = "".join(told(c, "p", where=False) for c in said)
    return f'<section class="network">{heading(2, f"network-{slug(look.name)}", look.name)}{claims}{figure}</section>'


def contents(page: Page, parts: str) -> str:
    """The list of contents, which stays in sight."""
    every = {
        "top": "Overview",
        "found": "Shown",
        "not-shown": "Not shown",
        "atlas": "Atlas",
        **PARTS,
        "calibration": "Calibration",
        "about": "About",
    }
    links = "".join(
        f'<li{" class=part" if key in PARTS else ""}><a href="#{key}">{escape(text)}</a></li>'
        for key, text in every.items()
        if key == "top" or f'id="{key}"' in parts
    )
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>'


def calibrated(page: Page) -> str:
    """How the instruments did on planted truth and on empty phantoms."""
    record = page.calibration
    if record is None:
        return ""
    claims = [c for c in page.claims if c.network == "calibration"]
    wanted = ("planted", "truth", "measured", "error", "tolerance", "false_alarms", "recovered", "silent")
    names = [n for n in wanted if n in record]
    instruments: Iterable[object] = record["instrument"].values if "instrument" in record else ()
    rows = [(str(name), *(record[n].values[place].item() for n in names)) for place, name in enumerate(instruments)]
    text = tables.aligned(["instrument", *(n.replace("_", " ") for n in names)], rows)
    ids = escape(" ".join(c.id for c in claims))
    pre = f'<pre tabindex="0" role="region" aria-label="Every instrument on its phantom and on empty ones">{escape(text)}</pre>'
    return (
        f'{heading(2, "calibration", "Calibration")}<ul class="claims">{"".join(told(c, where=False) for c in claims)}</ul>'
        "<p><code>microscope calibrate</code> measures this again.</p>"
        + folded("All instruments", pre, attributes=f' class="numbers" data-claim="{ids}"')
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
    table = scrolling(tables.table(heads, rows, "The runs"), "The runs")
    paper = f"<p>{escape(methods([look for group in page.groups for look in group]))}</p><pre>{escape(bibtex())}</pre>"
    return (
        f'<section id="about">{heading(2, "about-this-page", "About this page")}{folded("The runs", table)}'
        f"{folded('Methods and citation', paper)}"
        f'{folded("Words", f"<dl>{glossary}</dl>")}<p class="quiet">Made by neural-microscope {escape(__version__)}. The file holds all it '
        "shows and asks for nothing from elsewhere.</p></section>"
    )
