"""Pairs of units against a loop of full forward passes with hooks, and against closed forms."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope import plots
from neural_microscope.analysis import causal
from neural_microscope.errors import HookError
from neural_microscope.models import Network, build
from neural_microscope.plots import style

DIGITS = nm.data.load("digits").test.subset(slice(0, 60))
SMALL = {"image_shape": (8, 8), "classes": 10, "init_scale": 2.0}
NETS = {
    "one layer after": nm.MLPConfig(hidden=(6, 5), **SMALL),
    "two after": nm.MLPConfig(hidden=(6, 5, 4), **SMALL),
    "tanh": nm.MLPConfig(hidden=(6, 5), activation="tanh", bias=False, dropout=0.3, **SMALL),
    "normed": nm.MLPConfig(hidden=(6, 5), norm="layer", **SMALL),
    "cnn": nm.CNNConfig(channels=(3, 4), head=(5,), **SMALL),
    "average": nm.CNNConfig(channels=(3, 4), head=(), pool="average", kernel=5, **SMALL),
}
LAYERS = ("layers.0.hook_post", "layers.1.hook_post")
ENDS = ("", "_low", "_high", "_null_low", "_null_high", "_p", "_q")


def losses_without(model: Network, layer: str, *units: int) -> np.ndarray:
    """Every image's loss with these units at 0: a whole forward pass."""

    def cut(tensor: Tensor, hook: object) -> Tensor:
        tensor[:, list(units)] = 0
        return tensor

    with torch.no_grad(), model.hooks([(layer, cut)]):
        logits = model(DIGITS.tensor().to(next(model.parameters())))
    return nn.functional.cross_entropy(logits, DIGITS.label_tensor(), reduction="none").numpy()


def by_hooks(model: Network, layer: str, units: int) -> np.ndarray:
    """The interaction of all pairs for each image, [unit, unit, example], a pass for each."""
    found = np.full((units, units, len(DIGITS)), np.nan)
    base = losses_without(model, layer)
    single = [losses_without(model, layer, u) for u in range(units)]
    for a, b in combinations(range(units), 2):
        found[a, b] = found[b, a] = losses_without(model, layer, a, b) - single[a] - single[b] + base
    return found


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("net", NETS)
def test_every_pair_is_what_a_loop_over_forward_passes_gives(net: str, layer: str) -> None:
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-13)):
        table = causal.interactions(build(NETS[net], 3).eval().to(dtype), DIGITS, layer)
        each = by_hooks(build(NETS[net], 3).eval().double(), layer, len(table["interaction"]))
        np.testing.assert_allclose(table["interaction"], each.mean(2), atol=tolerance)
        assert np.nanmax(np.abs(table["interaction"])) > 10 * tolerance
        wide = 2.0010 * each.std(2, ddof=1) / np.sqrt(60)  # t of 59 degrees of freedom
        np.testing.assert_allclose(table["interaction_high"] - table["interaction"], wide, rtol=1e-4, atol=tolerance)


def test_a_matrix_of_pairs_is_symmetric_with_nothing_on_the_diagonal_and_exact_zeros_for_the_dead() -> None:
    model = build(NETS["one layer after"], 3).eval()
    with torch.no_grad():
        model.layers[0].linear.weight[2] = 0
        model.layers[0].linear.bias[2] = -1
    table = causal.interactions(model, DIGITS, LAYERS[0])
    for end in ENDS:
        matrix = table[f"interaction{end}"].values
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(np.diag(matrix)).all()
        assert np.isfinite(matrix[~np.eye(6, dtype=bool)]).all()
    others = [0, 1, 3, 4, 5]
    for end in ("", "_low", "_high", "_null_low", "_null_high"):
        assert (table[f"interaction{end}"].values[2, others] == 0).all()
    assert (table["interaction_p"].values[2, others] == 1).all()
    assert float(table["loss_increase"][2]) == 0


def test_a_unit_alone_costs_what_ablate_all_says() -> None:
    model = build(NETS["cnn"], 3).eval()
    alone = causal.ablate_all(model, DIGITS, LAYERS[0], draws=1)
    np.testing.assert_allclose(
        causal.interactions(model, DIGITS, LAYERS[0])["loss_increase"], alone["loss_increase"], atol=1e-7
    )


def test_more_images_than_a_batch_are_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build(NETS["one layer after"], 3).eval().double()
    whole = causal.interactions(model, DIGITS, LAYERS[0])
    monkeypatch.setattr("neural_microscope.analysis.causal.downstream.BATCH", 17)
    parts = causal.interactions(model, DIGITS, LAYERS[0])
    for name in whole.data_vars:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-14)


def test_a_pair_is_claimed_where_it_leaves_its_null() -> None:
    table = causal.interactions(build(NETS["one layer after"], 3).eval(), DIGITS, LAYERS[0])
    outside = np.abs(table["interaction"]) > table["interaction_null_high"]
    assert 0 < int(outside.sum()) < 30
    np.testing.assert_array_equal(outside, table["interaction_p"] < 0.05)


def test_a_layer_of_one_unit_has_no_pairs_and_what_has_no_units_is_refused() -> None:
    one = nm.MLP(nm.MLPConfig(hidden=(1, 4), **SMALL)).eval()
    table = causal.interactions(one, DIGITS, LAYERS[0])
    for end in ENDS:
        assert table[f"interaction{end}"].isnull().all()
    assert "no pairs" in plots.interactions(table).axes[0].get_title(loc="left")
    with pytest.raises(HookError, match="class"):
        causal.interactions(one, DIGITS, "logits")


def test_any_module_has_pairs() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(inplace=True), nn.Linear(4, 10)).double().eval()
    table = causal.interactions(net, DIGITS, "2.hook_out")
    with torch.no_grad():
        acts = net[:3](DIGITS.tensor().double())

        def loss(*units: int) -> Tensor:
            kept = acts.clone()
            kept[:, list(units)] = 0
            return nn.functional.cross_entropy(net[3](kept), DIGITS.label_tensor())

        expected = float(loss(0, 3) - loss(0) - loss(3) + loss())
    assert float(table["interaction"][0, 3]) == pytest.approx(expected, abs=1e-13)


def test_the_picture_colors_what_the_table_claims_and_names_only_that() -> None:
    table = causal.interactions(build(NETS["one layer after"], 3).eval(), DIGITS, LAYERS[0])
    value, q = (table[name].values[np.triu_indices(6, 1)] for name in ("interaction", "interaction_q"))
    for theme in ("light", "dark"):
        figure = plots.interactions(table, theme=theme)
        within, above, below = figure.axes[1].lines[:3]
        assert len(within.get_ydata()) == (q >= 0.05).sum()
        for line, sign in ((above, 1), (below, -1)):
            assert sorted(line.get_ydata()) == sorted(value[(q < 0.05) & (sign * value > 0)])
        drawn = {round(float(y), 12) for line in figure.axes[1].lines[:3] for y in line.get_ydata()}
        assert drawn == {round(float(v), 12) for v in value}
        assert style.as_svg(figure)
    nothing = table.assign(interaction_shown=table["interaction_shown"] & False)
    figure = plots.interactions(nothing)
    assert not any("," in text.get_text() for text in figure.axes[1].texts)
    assert "strongest" not in figure.alt
