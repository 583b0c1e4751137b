"""Pictures of attribution draw what they were given, in both themes, with words for those who can't see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

import neural_microscope as nm
from neural_microscope import plots
from neural_microscope.analysis import attribution
from neural_microscope.plots import style
from small_runs import images, mlp

IMAGES, MODEL, RANDOM = images(4, seed=0), mlp(hidden=(6, 5)), mlp(seed=9, hidden=(6, 5))
MAPS = attribution.saliency(MODEL, IMAGES)
POINT = "layers.0.hook_post"


def dead() -> nm.MLP:
    model = mlp(hidden=(6, 5))
    model.layers[0].linear.bias.data[2] = -1000
    return model


def sanity(**settings: Any) -> plots.Plot:
    result = attribution.sanity_check(attribution.saliency, MODEL, IMAGES, draws=3)
    return plots.sanity({"saliency": result, "again": result}, **settings)


PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "attributions": lambda **k: plots.attributions(IMAGES.images, {"saliency": MAPS}, **k),
    "attributions_null": lambda **k: plots.attributions(
        IMAGES.images, {"saliency": MAPS}, {"saliency": attribution.saliency(RANDOM, IMAGES)}, **k
    ),
    "sanity": lambda **k: sanity(**k),
    "single_pixels": lambda **k: plots.single_pixels(
        attribution.single_pixels(dead(), POINT), attribution.single_pixels(RANDOM, POINT), **k
    ),
}


def test_no_part_of_a_curve_lies_below_its_panel() -> None:
    for axes in PICTURES["sanity"]().axes:
        assert all(np.nanmin(line.get_ydata()) > axes.get_ylim()[0] for line in axes.lines)


def test_no_part_of_a_null_band_lies_below_its_panel() -> None:
    result = attribution.sanity_check(attribution.saliency, MODEL, IMAGES, draws=3)
    (axes,) = plots.sanity(
        {"saliency": result.assign(similarity_null_low=result["similarity_null_low"] * 0 - 0.8)}
    ).axes
    assert axes.get_ylim()[0] < -0.8


def test_the_printed_range_is_that_of_the_map() -> None:
    figure = PICTURES["attributions"]()
    limit = float(abs(MAPS["attribution"]).max())
    assert figure.axes[1].get_ylabel() == f"saliency\n± {limit:.2g}"


def test_maps_that_are_never_below_0_have_no_blue_pixels_in_their_words() -> None:
    heat = abs(MAPS["attribution"])
    figure = plots.attributions(IMAGES.images, {"heat": heat})
    assert figure.axes[1].get_ylabel() == f"heat\n0 to {float(heat.max()):.2g}"
    assert "blue" not in figure.alt


def test_a_unit_that_answers_to_no_pixel_is_marked_as_absent() -> None:
    figure = PICTURES["single_pixels"]()
    sheet = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(sheet[1, 13, :3], to_rgb(style.Theme.named("light").absent), atol=1e-6)
