"""Reliability, agreement and harm: against scipy and closed forms, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import spearmanr
from torch import nn

import neural_microscope as nm
from neural_microscope.analysis.influence import agreement, harm, reliability
from neural_microscope.analysis.influence.reliability import _splits, extended
from neural_microscope.analysis.influence.tangents import margin, product, tangents
from neural_microscope.errors import DataError

RNG = np.random.default_rng


def sets(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("set", "seed", "target") if values.ndim == 3 else ("set", "target"))


def test_the_agreement_is_the_mean_of_scipys_rank_correlations() -> None:
    a, b = RNG(0).normal(size=(2, 20, 4)).round(1)  # with ties
    found = agreement(sets(a), sets(b), draws=9)
    each = [spearmanr(a[:, i], b[:, i]).statistic for i in range(4)]
    np.testing.assert_allclose(found["by_target"], each, rtol=1e-12)
    assert float(found["agreement"]) == pytest.approx(np.mean(each), rel=1e-12)
    with_seeds = sets(np.stack([b - 1, b + 1], axis=1))
    assert float(agreement(sets(a), with_seeds, draws=9)["agreement"]) == pytest.approx(np.mean(each), rel=1e-9)


def test_a_target_without_differences_is_left_out() -> None:
    a = RNG(0).normal(size=(20, 2))
    b = a.copy()
    b[:, 1] = 3.0
    found = agreement(sets(a), sets(b), draws=9)
    assert np.isnan(found["by_target"][1])
    assert float(found["agreement"]) == pytest.approx(1)
    nothing = agreement(sets(a), sets(np.ones((20, 2))), draws=9)
    assert np.isnan(nothing["agreement"])
    assert not nothing["agreement_shown"]


def test_the_reliability_is_spearmans_and_browns_of_the_halves() -> None:
    x = RNG(1).normal(size=(30, 4, 3)) + RNG(2).normal(size=(30, 1, 3))
    found = reliability(sets(x), draws=9)
    halves = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    each = [
        spearmanr(x[:, list(a), t].mean(1), x[:, list(b), t].mean(1)).statistic for a, b in halves for t in range(3)
    ]
    r = np.mean(each)
    assert float(found["between_halves"]) == pytest.approx(r, rel=1e-12)
    assert float(found["reliability"]) == pytest.approx(2 * r / (1 + r), rel=1e-12)
    assert float(found["ceiling"]) == pytest.approx(np.sqrt(2 * r / (1 + r)), rel=1e-12)
    pairs = [spearmanr(x[:, i, t], x[:, j, t]).statistic for i in range(4) for j in range(i) for t in range(3)]
    assert float(found["between_seeds"]) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert found["reliability_low"] < found["reliability"] < found["reliability_high"]


@pytest.mark.parametrize(("seeds", "count"), [(2, 1), (3, 3), (4, 3), (5, 15), (6, 10), (8, 20), (12, 20)])
def test_each_split_is_taken_once_and_has_equal_halves(seeds: int, count: int) -> None:
    found = _splits(seeds, RNG(0))
    assert len(found) == count
    assert all(len(a) == len(b) == seeds // 2 and not {*a} & {*b} for a, b in found)
    if seeds < 8:
        assert len({frozenset([frozenset(a), frozenset(b)]) for a, b in found}) == count


def test_a_negative_correlation_is_not_extended() -> None:
    np.testing.assert_allclose(extended(np.array([-0.5, 0, 0.5]), 2), [-0.5, 0, 2 / 3])


def test_an_estimate_that_is_the_truth_without_noise_reaches_the_ceiling_and_no_more() -> None:
    """The ceiling is the square root of the reliability, not the reliability."""
    truth = RNG(0).normal(size=(400, 1, 20))
    noisy = sets(truth + 1.5 * RNG(1).normal(size=(400, 6, 20)))
    found, best = reliability(noisy, draws=9, resamples=20), agreement(sets(truth[:, 0]), noisy, draws=9, resamples=20)
    assert float(best["agreement"]) == pytest.approx(float(found["ceiling"]), abs=0.015)
    assert abs(float(best["agreement"]) - float(found["reliability"])) > 0.05


@pytest.mark.parametrize(
    "call",
    [
        lambda: reliability(sets(np.zeros((5, 3, 2)))),
        lambda: reliability(sets(np.zeros((9, 1, 2)))),
        lambda: agreement(sets(np.zeros((5, 2))), sets(np.zeros((5, 2)))),
        lambda: agreement(sets(np.zeros((9, 2))), sets(np.zeros((8, 2)))),
    ],
)
def test_too_little_is_refused_with_numbers(call: Any) -> None:
    with pytest.raises(DataError, match=r"\d sets"):
        call()


def test_harm_is_the_auc_of_the_marked_images() -> None:
    x = RNG(0).normal(size=(3, 30))
    marks = RNG(1).random((3, 30)) < 0.3
    marks[2] = False
    found = harm(xr.DataArray(x, dims=("target", "example")), xr.DataArray(marks, dims=("target", "example")), draws=19)
    for row in range(2):
        pairs = x[row][marks[row]][:, None] < x[row][~marks[row]]
        assert float(found["by_target"][row]) == pytest.approx(pairs.mean())
    assert np.isnan(found["by_target"][2])
    assert float(found["found"]) == np.mean([marks[row, x[row].argmin()] for row in range(2)])


def test_the_null_of_harm_keeps_the_labels() -> None:
    """Images of a label that harms every target are no find where all of that label are marked alike."""
    labels = np.arange(40) % 2
    x = np.where(labels == 1, -1.0, 1.0) + 0.01 * RNG(0).normal(size=(5, 40))
    influence = xr.DataArray(x, {"label": ("example", labels)}, ("target", "example"))
    marked = xr.DataArray((labels == 1) & (RNG(1).random(40) < 0.4), dims="example")
    assert not harm(influence, marked)["harm_shown"]
    assert harm(influence.drop_vars("label"), marked)["harm_shown"]


def test_marks_of_other_images_are_an_error() -> None:
    influence = xr.DataArray(np.zeros((2, 5)), dims=("target", "example"))
    for shape, dims in (((4,), ("example",)), ((3, 5), ("target", "example"))):
        with pytest.raises(DataError, match="give one for each"):
            harm(influence, xr.DataArray(np.zeros(shape, bool), dims=dims))


NETWORKS = [
    nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7, 5), activation="gelu", pixel_mean=0.2, pixel_std=0.5),
    nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(6,), activation="tanh", bias=False, dropout=0.3),
    nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=()),
    nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,)),
    nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), pool="none", head=(), bias=False),
]


@pytest.mark.parametrize("config", NETWORKS)
def test_products_of_gradients_are_those_of_autograd(config: Any) -> None:
    model = (nm.MLP if isinstance(config, nm.MLPConfig) else nm.CNN)(config, seed=1).double().eval()
    images = torch.rand(6, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    formed = []
    for image, label in zip(images, labels, strict=True):
        p = torch.softmax(model(image[None])[0], 0)[label]
        gradients = torch.autograd.grad(torch.log(p / (1 - p)), [*model.parameters()])
        formed.append(torch.cat([one.flatten() for one in gradients]))
    expected = torch.stack(formed) @ torch.stack(formed).T
    found = tangents(model, images, lambda logits, at: margin(logits, labels[at]))
    torch.testing.assert_close(product(found, found).double(), expected, rtol=1e-5, atol=1e-7)
    assert all(not module._forward_hooks for module in model.modules())


def test_a_hidden_unit_depends_on_no_later_weights() -> None:
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7, 5)), seed=1).eval()
    images = torch.rand(1500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = tangents(model, images, lambda acts, at: acts[:, 2], "layers.0.hook_post")
    assert not found[1].slopes.any()
    assert not found[2].slopes.any()
    one = tangents(model, images[1400:1401], lambda acts, at: acts[:, 2], "layers.0.hook_post")
    torch.testing.assert_close(found[0].slopes[1400:1401], one[0].slopes)
    assert len(found[0].slopes) == 1500


def test_a_network_with_other_weights_is_refused_by_their_name() -> None:
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7,), norm="layer"))
    with pytest.raises(DataError, match=r"also has layers\.0\.norm\.weight"):
        tangents(model, torch.rand(2, 1, 4, 4), lambda logits, at: logits[:, 0])


def test_hooks_are_detached_after_an_error() -> None:
    model = nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(7,)))

    def fails(logits: torch.Tensor, at: slice) -> torch.Tensor:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        tangents(model, torch.rand(2, 1, 4, 4), fails)
    assert not any(module._forward_hooks for module in model.modules() if isinstance(module, nn.Linear))
