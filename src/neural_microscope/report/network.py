"""The part of the page about one network: its training, its layers, its units, in the order of a guided reading."""

from __future__ import annotations

from ..analysis.look import FirstLook
from . import layers, life, units
from .html import anchor, escape


def network(look: FirstLook, name: str) -> str:
    head = f'<h2 id="{anchor(name)}">Inside the {escape(name)}</h2>'
    if not look.layers:
        return head + "<p>This network has no hidden layer.</p>" + life.life(look)
    return (
        f"{head}<p>First how it learnt, then what its layers make of the images, then its {look.layers[0].axis}s one by one.</p>"
        f"{life.life(look)}{layers.layers(look)}{units.units(look)}"
    )
