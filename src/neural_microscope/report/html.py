"""The pieces a page is made of: claims, figures in both themes, text. Everything that comes from a run is escaped."""

from __future__ import annotations

import base64
import gc
import hashlib
import html
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from ..claim import Claim
from ..files import shown
from ..plots import TOKENS, Plot
from ..plots.style import as_image, as_svg, fix, has_pixels, html_page, with_names

escape = html.escape
DERIVED = ("sentence", "reasons", "replicated")
"""Fields of a claim that a page prints but need not store: they follow from the others."""


def verdict(claim: Claim) -> str:
    """The verdict in words, marked for its color."""
    return f'<span class="verdict {claim.verdict.replace(" ", "-")}">{claim.verdict}</span>'


def sentence(claim: Claim) -> str:
    """The claim's sentence as a page prints it: escaped, with a capital letter first."""
    return escape(with_names(claim.sentence[:1].upper() + claim.sentence[1:]))


def told(claim: Claim, tag: str = "li", *, whole: bool = False, where: bool = True) -> str:
    """A claim as an element that names it: where, the sentence, the verdict; as a ``whole`` also its evidence and its seeds."""
    place = f'<span class="where">{escape(claim.where)}:</span> ' if where and claim.where else ""
    reasons = " ".join([claim.reasons] + ([claim.replicated] if len(claim.seeds) > 1 else [])) if whole else ""
    small = f' <span class="reasons quiet">{escape(with_names(reasons))}</span>' if reasons else ""
    strong, mark = ("span", "") if claim.describes else ("strong", f" {verdict(claim)}")
    said = f'<{strong} class="sentence">{sentence(claim)}</{strong}>{mark}'
    return f"<{tag}{naming([claim])}>{place}{said}{small}</{tag}>"


def naming(claims: Iterable[Claim]) -> str:
    """The attribute by which an element names its claims; empty without any."""
    ids = escape(" ".join(claim.id for claim in claims))
    return f' data-claim="{ids}"' if ids else ""


def slug(text: str) -> str:
    """Words as a name that an address can end on."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def heading(level: int, key: str, text: str) -> str:
    """A heading that has an address of its own, and the link to it."""
    return f'<h{level} id="{key}">{escape(text)}&nbsp;{deep(key, text)}</h{level}>'


def deep(key: str, text: str) -> str:
    """The link to a heading."""
    return f'<a class="deep" href="#{key}" aria-label="Link to: {escape(text)}">#</a>'


def row(key: str, text: str, cells: str, content: str, *, quantity: str = "", attributes: str = "") -> str:
    """A row that opens, with the link to it beside it: a link inside of what opens could not be told from it. ``quantity``: the meaning
    of the numbers in its cells.
    """
    small = f' <small class="where">{escape(quantity)}</small>' if quantity else ""
    summary = f'<summary class="row"><h4>{escape(text)}{small}</h4>{cells}</summary>'
    return f'<div class="question" id="{key}">{deep(key, text)}<details{attributes}>{summary}{content}</details></div>'


def stored(claims: Iterable[Claim]) -> str:
    """The claims' values, for whoever reads the page with a program: their JSON, deflated (zlib) and in base64, as a JSON string."""
    values = [
        {key: v for key, v in claim.to_json().items() if key not in DERIVED}
        | ({} if claim.place is None else {"place": claim.place})
        for claim in claims
    ]
    plain = json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(shown(plain).encode(), 9)).decode()
    return f'<script type="application/json" id="claims">"{packed}"</script>'


DPI = 104
COLORS = 64
"""Of a picture of pixels: as many as the eye tells apart in it, and a page is a third smaller for it."""


@contextmanager
def _collected() -> Iterator[None]:
    """Collects what was made meanwhile, of which figures are full of cycles, at the end; Python would search all memory again and again."""
    automatic = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)
        if automatic:
            gc.enable()


@_collected()
def image(draw: Callable[..., Plot], caption: Callable[[Plot], str], *, both: bool = False) -> str:
    """A figure's image and caption, with what it draws in words; `worded` adds its claims. It is drawn once, in the light theme: shapes
    have the page's own colors, and the colors of pixels are turned by a filter of the page (`filters`) where it is dark; only those of
    classes, which no filter keeps, are drawn for either. ``both``: a picture that has a narrow form too, for narrow windows.
    """
    light = draw(theme="light")
    width, height = (round(DPI * inches) for inches in light.get_size_inches())
    source, kind = "", ""
    if has_pixels(light):
        data, width, height = _encode(light)
        data = f"data:image/webp;base64,{data}"
        if "classes" in light.theme.used:
            night = _encode(draw(theme="dark"))[0]
            source = f'<source media="(prefers-color-scheme: dark)" srcset="data:image/webp;base64,{night}">'
        else:
            kind = f' class="{"signed" if "signed" in light.theme.used else "amount"}"'
    else:
        data = as_image(as_svg(light))
        source = (
            f'<source media="(max-width: 30rem)" srcset="{_one_word(as_image(as_svg(draw(narrow=True))))}">'
            if both
            else ""
        )
    img = f'<img{kind} src="{data}" width="{width}" height="{height}" alt="{escape(light.alt)}">'
    return f"{f'<picture>{source}{img}</picture>' if source else img}<figcaption>{caption(light)}</figcaption>"


SHOWN = {"amount": ("amount",), "signed": ("negative", "positive")}
"""The colors of pixel pictures besides ink and grays."""


def _one_word(address: str) -> str:
    """Without blanks, which end an address in ``srcset``."""
    return address.replace(" ", "%20")


def filters() -> str:
    """The filters that turn a light picture's colors into the dark theme's, the paper's exactly and the others' as near as one can."""
    made = ""
    for kind, colors in SHOWN.items():
        weights = {"paper": 30, "ink": 3, **dict.fromkeys(colors, 3), "quiet": 1, "absent": 1, "null": 1}
        light, dark = (np.array([(*to_rgb(TOKENS[theme][name]), 1) for name in weights]) for theme in ("light", "dark"))
        weigh, small = (
            np.array([*weights.values()])[:, None],
            0.1 * np.eye(4)[:3],
        )  # small: so that rounding is not made large
        rows = np.linalg.lstsq(np.vstack([light * weigh, small]), np.vstack([dark * weigh, 0 * small]), rcond=None)[0].T
        values = " ".join(f"{r:.3f} {g:.3f} {b:.3f} 0 {plus:.3f}" for r, g, b, plus in rows[:3]) + " 0 0 0 1 0"
        made += f'<filter id="{kind}" color-interpolation-filters="sRGB"><feColorMatrix type="matrix" values="{values}"/></filter>'
    return f'<svg width="0" height="0" aria-hidden="true" focusable="false" class="filters">{made}</svg>'


def worded(drawn: str, claims: Iterable[Claim], title: str) -> str:
    """A drawn figure with its whole text alternative: its title, what its claims say, and what it draws."""
    told = " ".join(
        f"{c.where}: {c.sentence}{'' if c.describes else f' ({c.verdict})'}" for c in claims if c.unit is None
    )
    return drawn.replace('alt="', f'alt="{escape(f"{title}. {told}")} ', 1)


def folded(summary: str, content: str, *, attributes: str = "") -> str:
    """A block that opens at a click or a key; ``summary`` is HTML already."""
    return f"<details{attributes}><summary>{summary}</summary>{content}</details>"


def scrolling(content: str, name: str) -> str:
    """Something wide that scrolls sideways on a narrow screen, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(name)}">{content}</div>'


def _encode(plot: Plot) -> tuple[str, int, int]:
    """(lossless WebP in base64, width, height)."""
    plot.set_dpi(DPI)
    fix(plot)
    plot.canvas.draw()
    image = Image.fromarray(np.asarray(plot.canvas.buffer_rgba())).convert("RGB")
    few = image.quantize(COLORS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = np.reshape(few.getpalette() or [], (-1, 3))
    palette[np.asarray(few)[0, 0]] = image.getpixel((0, 0))  # exactly the page's own
    few.putpalette(palette.ravel().tolist())
    out = io.BytesIO()
    few.convert("RGB").save(out, "WEBP", lossless=True, method=1)
    return base64.b64encode(out.getvalue()).decode(), image.width, image.height


def page(title: str, body: str) -> str:
    """A whole self-contained document. It asks for nothing outside itself, and its policy forbids it to; of scripts it runs one, known
    by its hash, without which it can be read as well.
    """
    css, script = (files(__package__).joinpath(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return html_page(title, css, f"{shown(body)}<script>{script}</script>", policy)
