"""Pictures of interventions show what the tables say, in both themes, and say it in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr

import neural_microscope as nm
from neural_microscope import plots
from neural_microscope.analysis import causal
from neural_microscope.plots import style
from neural_microscope.plots.causal import TALL

LAYER = "layers.0.hook_post"
IMAGES = nm.data.load("digits").test.subset(slice(0, 60))
PAIRS = [IMAGES.subset(np.flatnonzero(IMAGES.labels == c)[:4]) for c in (1, 8)]
MLP = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)), seed=1)
CNN = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 3), head=(5,)), seed=1)
ZERO = [(LAYER, nm.interventions.zero(unit=1))]
TABLES: dict[str, Callable[[], xr.Dataset]] = {
    "ablation": lambda: causal.ablate_all(MLP, IMAGES, LAYER, draws=20),
    "ablation of channels": lambda: causal.ablate_all(CNN, IMAGES, LAYER, draws=20),
    "dose_response": lambda: causal.dose_response(MLP, IMAGES, LAYER, 1),
    "dose_response of a layer": lambda: causal.dose_response(MLP, IMAGES, LAYER, range(12)),
    "patching": lambda: causal.patch_between(MLP, *PAIRS, LAYER, draws=20),
    "patching nothing": lambda: causal.patch_between(MLP, PAIRS[0], PAIRS[0], LAYER, draws=20),
    "attribution_vs_patching": lambda: causal.attribution_patching(CNN, *PAIRS, LAYER, draws=20),
    "attribution_vs_patching nothing": lambda: causal.attribution_patching(CNN, PAIRS[0], PAIRS[0], LAYER, draws=20),
    "cumulative_ablation": lambda: causal.cumulative_ablation(MLP, IMAGES, LAYER, {"as they are": np.arange(12)}),
    "cumulative_ablation by chance": lambda: causal.cumulative_ablation(MLP, IMAGES, LAYER),
    "confusion_shift": lambda: causal.confusion_shift(MLP, IMAGES, ZERO),
    "confusion_shift without null": lambda: causal.confusion_shift(
        MLP, IMAGES, [(lambda name: name == LAYER, ZERO[0][1])]
    ),
    "interactions": lambda: causal.interactions(MLP, IMAGES, LAYER),
    "interactions of channels": lambda: causal.interactions(CNN, IMAGES, LAYER),
    "direct_logit_attribution": lambda: causal.direct_logit_attribution(MLP, IMAGES, draws=20),
    "direct_logit_attribution of channels": lambda: causal.direct_logit_attribution(CNN, IMAGES, LAYER, draws=20),
}


def draw(name: str, theme: style.ThemeName = "light") -> plots.Plot:
    function = getattr(plots, name.split()[0])
    more = {"example": 3} if name.startswith("direct_logit_attribution") else {}
    return function(TABLES[name](), **more, theme=theme)


PICTURES: dict[str, Callable[..., plots.Plot]] = {name: partial(draw, name) for name in TABLES}


def test_units_are_drawn_by_cost_with_their_band_behind() -> None:
    table = TABLES["ablation"]()
    axes = plots.ablation(table).axes[0]
    drawn = next(line for line in axes.lines if line.get_marker() == "o").get_ydata()
    np.testing.assert_allclose(drawn, np.sort(table["loss_increase"].values)[::-1])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    reach, high = (float(table[f"loss_increase{end}_high"].max()) for end in ("_null", ""))
    assert band.max() == pytest.approx(min(reach, TALL * high))


def test_a_null_that_would_press_the_values_flat_is_cut_off_and_says_how_far_it_reaches() -> None:
    table = TABLES["ablation"]()
    high = float(table["loss_increase_high"].max())
    for factor, cut in ((1.2, False), (10.0, True)):
        table["loss_increase_null_high"] = table["loss_increase_null_high"].clip(max=high)
        table["loss_increase_null_high"][1] = factor * high
        axes = plots.ablation(table).axes[0]
        assert axes.get_ylim()[0] < float(table["loss_increase_low"].min())
        assert high < axes.get_ylim()[1]
        assert (axes.get_ylim()[1] < factor * high) == cut
        assert (f"the gray goes on, up to {style.told(factor * high)}" in axes.get_xlabel()) == cut
        assert any(line.get_marker() == "^" for line in axes.lines) == cut


def test_a_title_claims_nothing_whatever_beats_the_null() -> None:
    table = TABLES["ablation"]()
    titles = set()
    for units in (0, 3):
        table["loss_increase_q"] = ("unit", np.where(np.arange(12) < units, 0.01, 0.5))
        titles.add(plots.ablation(table).axes[0].get_title("left"))
    assert titles == {"Loss increase from ablating each unit, and along random directions"}


def test_the_bars_of_both_classes_add_up_to_their_logits() -> None:
    table = TABLES["direct_logit_attribution"]()
    figure = plots.direct_logit_attribution(table, 3, (2, 7))
    for axes, label in zip(figure.axes, (2, 7), strict=True):
        assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(float(table["logits"][3, label]), abs=1e-6)


def test_numbers_of_a_shift_are_bold_only_where_random_units_do_not_reach() -> None:
    table = TABLES["confusion_shift"]()
    shift = np.zeros((10, 10), int)
    shift[2, 2], shift[2, 5], shift[3, 3], shift[3, 4] = -6, 6, -1, 1
    table["shift"] = (("class", "predicted"), shift)
    for end, value in (("low", -2.0), ("high", 2.0)):
        table[f"shift_null_{end}"] = (("class", "predicted"), np.full((10, 10), value))
    shift[7, 7], shift[7, 8] = -5, 5
    table["shift_null_high"][7, 8], table["shift_null_low"][7, 7] = 9.0, -9.0
    texts = {(text.get_text(), text.get_weight()) for text in plots.confusion_shift(table).axes[0].texts}
    assert texts == {("−6", "bold"), ("+6", "bold"), ("−5", "normal"), ("+5", "normal")}


def test_the_random_orders_are_the_band_of_the_curve() -> None:
    table = TABLES["cumulative_ablation"]()
    axes = plots.cumulative_ablation(table).axes[0]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 100 * table["accuracy"][0])
    assert "6 random orders" in axes.get_legend().get_texts()[0].get_text()
    assert axes.get_xlabel() == f"share of the {table.attrs['units']} units ablated (%)"
    table.attrs["null"] = "6 random orders, each with the same share of every layer"
    assert plots.cumulative_ablation(table).axes[0].get_xlabel() == "share of each layer's units ablated (%)"
    assert torch.is_grad_enabled()
