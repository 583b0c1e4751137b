"""The part of the page about one network: its training, its layers, its units, in the order of a guided reading."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..analysis.look import FirstLook
from ..processes import Steps
from . import layers, life, units
from .html import anchor, escape


def drawing(look: FirstLook, name: str) -> Steps:
    """The part of the page in steps: its sections can be drawn side by side."""
    head = f'<h2 id="{anchor(name)}">Inside the {escape(name)}</h2>'
    if not look.layers:
        return head + "<p>This network has no hidden layer.</p>" + life.life(look)
    by_layer = [partial(units.units, place=place) for place in range(len(look.layers))]
    sections: list[Callable[[FirstLook], str]] = [life.life, layers.layers, *by_layer, units.together]
    drawn = yield [partial(_drawn, section, look, len(sections)) for section in sections]
    return (
        f"{head}<p>First how it learnt, then what its layers make of the images, then its {look.layers[0].axis}s one by one.</p>"
        f"{''.join(drawn)}"
    )


def _drawn(section: Callable[[FirstLook], str], look: FirstLook, total: int, tell: Callable[..., None]) -> str:
    found = section(look)
    tell("drawing", 1, total)  # one more
    return found
