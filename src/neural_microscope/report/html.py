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

escape = html.escape
SEED = "One network, one seed: not replicated."


def picture(draw: Callable[..., Plot], caption: str, *, table: str = "", middle: bool = False) -> str:
    """A figure with its caption and its table folded below; drawn twice, for light and dark."""
    light, dark = draw(theme="light"), draw(theme="dark")
    data, width, height = _encode(light)
    night, _, _ = _encode(dark)
    numbers = f"<details><summary>The numbers</summary>{scrolling(table, 'Table')}</details>"
    image = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="data:image/webp;base64,{night}">'
        f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{escape(light.alt)}"></picture>'
    )
    kind = ' class="middle"' if middle else ""
    return f"<figure{kind}>{scrolling(image, 'Figure')}<figcaption>{caption}</figcaption>{numbers if table else ''}</figure>"


def scrolling(content: str, name: str) -> str:
    """Something wide that scrolls sideways on a narrow screen, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{name}">{content}</div>'


def _encode(plot: Plot) -> tuple[str, int, int]:
    """(lossless WebP in base64, width, height)."""
    plot.set_dpi(132)
    plot.canvas.draw()
    image = Image.fromarray(np.asarray(plot.canvas.buffer_rgba())).convert("RGB")
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True, method=2)
    return base64.b64encode(out.getvalue()).decode(), image.width, image.height


def table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> str:
    """A table; numbers get three significant digits, NaN a dash."""
    header = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{cell(v)}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def cell(value: object) -> str:
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
