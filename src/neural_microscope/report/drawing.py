"""The pictures of a page, from the register: each measure's form, with its caption."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .. import plots
from ..analysis.findings.descriptions import PICTURED
from ..analysis.look import FirstLook, LayerLook, Pair, Unmeasured, unpictured
from ..doors import door
from ..measure import Measure, Picture, on_pages
from ..plots.dynamics import classified
from ..plots.overview import few, some_of
from ..plots.style import classes_called, has_band
from ..processes import Steps
from ..wording import count
from .html import escape, image

COMPARED: Mapping[str, tuple[str, ...]] = {"clusters_over_time": ("controls.untrained_networks",)}
"""Further results of each layer that forms of all layers take: those with which the page's claims compare."""
TESTED: Mapping[str, Mapping[str, str]] = {"selectivity": {"by": "auc"}}
"""Options of forms that could draw several measures: the one that the claims of a page are about."""
REMARKS: Mapping[str, str] = {
    "basis_comparison": "The trained network alone: its claim compares the gap between units and rotated axes with that of untrained "
    "networks, so a dot beyond the gray is not enough.",
    "clusters_over_time": "Last panel: the comparison of the claim, which also corrects for the number of tests.",
}
"""Captions of forms whose measures give none, or what they leave out."""
NULLS: Mapping[str, str] = {
    "drift": "the images of one side shuffled; for the angle, two halves of the images at one snapshot",
    "selectivity": "random groups of as many images as the class has (median over units); the band is two-sided, the test one-sided",
}
"""The null of forms that draw only some of what their measure's null describes."""
OVERVIEW = ("overview", 0, "")
"""The key of the picture of a network at the top of a page."""

Drawn = Mapping[tuple[str, int, str], str]
"""Image and caption by measure, number of its picture, and hook point (empty: the whole network)."""


@door
def drawing(look: FirstLook | Pair) -> Steps:
    """The pictures of a network, its layers, or a pair, in steps that can be done in parallel.

    Args:
        look: Result of `analysis.look.first_look`, or a pair of networks.
    """
    places: list[Any] = [look, *(look.layers if isinstance(look, FirstLook) else ())]
    drawn = yield [partial(_drawn, at, len(places)) for at in places]
    return {key: figure for one in drawn for key, figure in one.items()}


def _drawn(at: FirstLook | LayerLook | Pair, total: int, tell: Callable[..., None]) -> Drawn:
    with classes_called(at.run.probe.class_names if not isinstance(at, Pair) else ()):
        found = _all_drawn(at)
    tell("drawing", 1, total)  # one more
    return found


def _all_drawn(at: Any) -> dict[tuple[str, int, str], str]:
    found = {
        (measure.name, number, getattr(at, "hook_point", "")): figure
        for measure in on_pages()
        for number, picture in enumerate(measure.pictures)
        if (picture.scope or measure.scope) == at.scope
        and not (picture.form == "weights" and at.run.probe.image_channels > 1)  # a unit has a picture for each channel
        and (figure := draw(measure, picture, _given(measure, picture, at), axis=getattr(at, "axis", "unit")))
    }
    if isinstance(at, FirstLook):
        found[OVERVIEW] = _overview(at)
    return found


def _given(measure: Measure, picture: Picture, at: Any) -> tuple[Any, ...] | Mapping[str, Any]:
    """The arguments of the picture's form; empty if something was not measured."""
    if measure.name == PICTURED and picture.form == "weights" and at.scope == "network" and unpictured(at.run):
        return ()
    try:
        return (*_default(measure, at), *_compared(picture, at)) if picture.takes is None else picture.takes(at)
    except Unmeasured:
        return ()


def _overview(look: FirstLook) -> str:
    """The learning curve, and the images before and after in the last hidden layer, as far as they were measured."""
    curve = look.get("dynamics.learning_curve")
    if curve is None:
        return ""
    last = look.layers[-1] if look.layers else None
    maps = [] if last is None else [last.get(f"geometry.pca{end}") for end in ("/untrained", "")]
    maps = [one for one in maps if one is not None]
    where = ""
    if last and len(maps) == 2:
        total = maps[1].sizes["example"]
        some = len(range(total)[some_of(total)])
        images = f"{some:,}{f' of {total:,}' if some < total else ''} probe images"
        name = plots.style.short(last.hook_point)
        name = last.hook_point if name.isdigit() else name  # of a module without names of its own
        size = count(last.size, f"{last.axis}s")
        means = "; digits: class means, moved apart;" if few(maps[1]["label"].values) else ","
        where = f"Dots: {images}{means} on two principal components of {name} ({size})."
    caption = escape(where) or f"Test {'accuracy' if classified(curve) else 'loss'} over training."
    return image(partial(plots.overview, curve, *(maps if len(maps) == 2 else [])), lambda plot: caption, both=True)


def _default(measure: Measure, at: Any) -> tuple[Any, ...]:
    if measure.scope == at.scope:
        own = at.get(measure.name)
        return (own if own is None or at.scope != "layer" else own.assign_attrs(axis=at.axis),)
    return (_of_layers(measure.name, at) or None,)


def _compared(picture: Picture, at: Any) -> list[dict[str, Any]]:
    """The further results of `COMPARED`, those that all layers have."""
    found = [_of_layers(name, at) for name in COMPARED.get(str(picture.form), ())]
    return [one for one in found if all(value is not None for value in one.values())]


def _of_layers(name: str, at: Any) -> dict[str, Any]:
    return {layer.hook_point: layer.get(name) for layer in at.layers}


def _channel(unit: re.Match[str]) -> str:
    return "Channel" if unit[1] == "U" else "channel"


def draw(measure: Measure, picture: Picture, given: tuple[Any, ...] | Mapping[str, Any], *, axis: str = "unit") -> str:
    """A picture with its caption: what to look at, the null, and on how many images; empty where something is not there to be drawn.
    ``axis``: ``channel`` for a layer of channels, which the caption then names so.
    """
    every = list(given.values() if isinstance(given, Mapping) else given)
    results = [value for each in every for value in (each.values() if isinstance(each, dict) else [each])]
    if not results or any(value is None for value in results):
        return ""
    form = getattr(plots, picture.form) if isinstance(picture.form, str) else picture.form
    args, options = ((), given) if isinstance(given, Mapping) else (given, {})
    attrs: Mapping[str, Any] = next(
        (value.attrs for value in results if "n_examples" in getattr(value, "attrs", {})), {}
    )
    name = str(picture.form)
    null = NULLS.get(name, str(attrs.get("null", "")))

    def caption(plot: plots.Plot) -> str:
        parts = [
            picture.caption,
            REMARKS.get(name, ""),
            "" if not null or null.startswith("none") else f"Null{' (gray)' * has_band(plot)}: {null}.",
            f"{count(attrs['n_examples'], 'images')}." if attrs.get("n_examples", 0) > 0 else "",
        ]
        words = " ".join(part for part in parts if part)
        return escape(re.sub(r"\b([Uu])nit(?=s?\b)", _channel, words) if axis == "channel" else words)

    if isinstance(picture.form, str):  # one of ours, which can be drawn for a column
        options = {**options, "narrow": True, **TESTED.get(picture.form, {})}
    return image(partial(form, *args, **options), caption)
