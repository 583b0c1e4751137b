"""The pieces a page is made of: claims, figures in both themes, text. Everything that comes from a run is escaped."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Iterable
from importlib.resources import files

import numpy as np
from PIL import Image

from ..claim import Claim
from ..files import shown
from ..plots import TOKENS, Plot
from ..plots.style import as_svg, has_pixels, html_page

escape = html.escape
DERIVED = ("sentence", "reasons", "replicated")
"""What a page prints of a claim and need not store: it follows from the rest."""


def verdict(claim: Claim) -> str:
    """The verdict in words, marked for its color."""
    return f'<span class="verdict {claim.verdict.replace(" ", "-")}">{claim.verdict}</span>'


def sentence(claim: Claim) -> str:
    """The claim's sentence as a page prints it: escaped, with a capital letter first."""
    return escape(claim.sentence[:1].upper() + claim.sentence[1:])


def told(claim: Claim, tag: str = "li", *, whole: bool = False, where: bool = True) -> str:
    """A claim as an element that names it: where, the sentence, the verdict; as a ``whole`` also its evidence and its seeds."""
    place = f'<span class="where">{escape(claim.where)}:</span> ' if where and claim.where else ""
    reasons = " ".join([claim.reasons] + ([claim.replicated] if len(claim.seeds) > 1 else [])) if whole else ""
    small = f' <span class="reasons quiet">{escape(reasons)}</span>' if reasons else ""
    mark = "" if claim.describes else f" {verdict(claim)}"
    return f'<{tag} data-claim="{escape(claim.id)}">{place}<strong class="sentence">{sentence(claim)}</strong>{mark}{small}</{tag}>'


def stored(claims: Iterable[Claim]) -> str:
    """The claims' values, for whoever reads the page with a program. Nothing in them can end the element; no script runs."""
    values = [{key: v for key, v in claim.to_json().items() if key not in DERIVED} for claim in claims]
    plain = json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="claims">{plain}</script>'


def image(draw: Callable[..., Plot]) -> str:
    """A figure's image. Shapes are drawn once, in the page's own colors; pixels twice, for light and dark."""
    light = draw(theme="light")
    alt = escape(light.alt)
    if has_pixels(light):
        (data, width, height), (night, _, _) = _encode(light), _encode(draw(theme="dark"))
        drawn = (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/webp;base64,{night}">'
            f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{alt}"></picture>'
        )
    else:
        drawn = as_svg(light).replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
    narrow = light.get_figwidth() < TOKENS["widths"]["wide"]
    return scrolling(f'<div class="middle">{drawn}</div>' if narrow else drawn, "Figure")


def folded(summary: str, content: str, *, attributes: str = "") -> str:
    """What opens at a click or a key; ``summary`` is HTML already."""
    return f"<details{attributes}><summary>{summary}</summary>{content}</details>"


def scrolling(content: str, name: str) -> str:
    """Something wide that scrolls sideways on a narrow screen, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(name)}">{content}</div>'


def _encode(plot: Plot) -> tuple[str, int, int]:
    """(lossless WebP in base64, width, height)."""
    plot.set_dpi(132)
    plot.canvas.draw()
    image = Image.fromarray(np.asarray(plot.canvas.buffer_rgba())).convert("RGB")
    few = image.quantize(
        128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )  # a third smaller; looks the same
    out = io.BytesIO()
    few.convert("RGB").save(out, "WEBP", lossless=True, method=2)
    return base64.b64encode(out.getvalue()).decode(), image.width, image.height


def page(title: str, body: str) -> str:
    """A whole self-contained document. It asks for nothing outside itself, and its policy forbids it to."""
    css = files(__package__).joinpath("page.css").read_text("utf-8")
    return html_page(title, css, shown(body), "default-src 'none'; img-src data:; style-src 'unsafe-inline'")
