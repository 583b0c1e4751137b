"""The pieces a page is made of: figures in both themes, tables, text. Everything that comes from a run is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Sequence
from importlib.resources import files

import numpy as np
from PIL import Image

from ..plots import TOKENS, Plot
from ..plots.style import as_svg, has_pixels

escape = html.escape
ONE = "One seed."
"""Beside every picture; the page says once what it means."""
TILE = 28
"""Pixels of a thumbnail's side on the page."""


def picture(draw: Callable[..., Plot], caption: str, *, table: str = "", middle: bool = False) -> str:
    """A figure with its caption and its table folded below. Shapes are drawn once, in the page's own colours; pixels twice, for
    light and dark.
    """
    light = draw(theme="light")
    alt = escape(light.alt)
    if has_pixels(light):
        (data, width, height), (night, _, _) = _encode(light), _encode(draw(theme="dark"))
        image = (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/webp;base64,{night}">'
            f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{alt}"></picture>'
        )
    else:
        image = as_svg(light).replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)
    numbers = folded("The numbers", scrolling(table, "Table"))
    kind = ' class="middle"' if middle else ""
    return f"<figure{kind}>{scrolling(image, 'Figure')}<figcaption>{caption}</figcaption>{numbers if table else ''}</figure>"


def folded(summary: str, content: str) -> str:
    """What opens at a click or a key."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def scrolling(content: str, name: str) -> str:
    """Something wide that scrolls sideways on a narrow screen, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{name}">{content}</div>'


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


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table; numbers get three significant digits, NaN a dash."""
    header = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><caption><span>{escape(caption)}</span></caption><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def folding(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str, name: str, shown: int = 10) -> str:
    """A long table: its first rows, and all of them folded below."""
    if len(rows) <= shown + 2:
        return scrolling(table(head, rows, caption), name)
    first = scrolling(table(head, rows[:shown], f"{caption}; the first {shown} of {len(rows)}"), name)
    whole = scrolling(table(head, rows, caption), f"{name}, all rows")
    return first + folded(f"All {len(rows)} rows", whole)


class Markup(str):
    """Text that is HTML already; everything else is escaped."""


def tiles(pictures: np.ndarray) -> tuple[str, Callable[[int, str], Markup]]:
    """Thumbnails [tile, row, col], ink from 0 to 1, as one sheet: (the style that carries it, for an element around all of
    them; a function that gives the tile of a number, with its words). Ink turns light in dark mode.
    """
    count, height, width = pictures.shape
    ink = (15 * np.nan_to_num(pictures).clip(0, 1)).round().astype(np.uint8) * 17
    ink = ink.transpose(1, 0, 2).reshape(height, count * width)
    out = io.BytesIO()
    Image.merge("LA", (Image.new("L", (count * width, height)), Image.fromarray(ink))).save(out, "PNG", optimize=True)
    sheet = f"--sheet:url(data:image/png;base64,{base64.b64encode(out.getvalue()).decode()})"

    def tile(number: int, words: str) -> Markup:
        place = f"background-position:-{number * TILE}px 0;background-size:{count * TILE}px {TILE}px"
        return Markup(f'<span class="tile" role="img" aria-label="{escape(words)}" style="{place}"></span>')

    return sheet, tile


def cell(value: object) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, bool | np.bool_):
        return "yes" if value else ""
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.3g}".replace("-", "−")
    return escape(str(value))


def page(title: str, body: str) -> str:
    """A whole self-contained document. It asks for nothing outside itself, and its policy forbids it to."""
    css = files(__package__).joinpath("page.css").read_text("utf-8")
    names = {"light": _variables(TOKENS["light"]), "dark": _variables(TOKENS["dark"])}
    sans = ", ".join(f"'{name}'" if " " in name else name for name in ("system-ui", *TOKENS["fonts"], "sans-serif"))
    style = (
        f":root{{color-scheme:light dark;--sans:{sans};{names['light']}}}"
        f"@media (prefers-color-scheme: dark){{:root{{{names['dark']}}}}}{css}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{body}</body></html>\n"
    )


def _variables(tokens: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in tokens.items())


def anchor(name: str) -> str:
    """Where the page's part about a network begins."""
    return "net-" + "".join(c if c.isalnum() else "-" for c in name.lower())
