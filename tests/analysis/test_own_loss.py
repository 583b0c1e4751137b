"""Ablation judged by the loss of any task: against hooks and a loss by hand, against the measure of classes, and against a planted unit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import neural_microscope as nm

LAYER = "1.hook_out"


def network(outputs: int) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, outputs))


def inputs(count: int = 40) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(5))


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def weighted(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs().sum(1).mean() * 3


X = inputs()
TASKS = {
    "regression": (nm.data.examples(X, targets=X.sum(1)), 1, lambda out: squared(out[:, 0], X.sum(1)), None),
    "several numbers": (nm.data.examples(X, targets=X[:, :3]), 3, lambda out: squared(out, X[:, :3]), None),
    "multi-label": (
        nm.data.examples(X, targets=X[:, :2] > 0, task="multi-label"),
        2,
        lambda out: functional.binary_cross_entropy_with_logits(out, (X[:, :2] > 0).float()),
        None,
    ),
    "reconstruction": (nm.data.examples(X, task="reconstruction"), 6, lambda out: squared(out, X), None),
    "a loss of one's own": (nm.data.examples(X, targets=X[:, :2]), 2, lambda out: weighted(out, X[:, :2]), weighted),
}


@pytest.mark.parametrize("task", TASKS)
def test_each_units_effect_is_that_of_two_passes_and_a_hook(task: str) -> None:
    images, outputs, loss, own = TASKS[task]
    model = network(outputs)
    found = nm.analysis.causal.ablate_loss(model, images, LAYER, own, draws=5)
    lens = nm.hooked(model)
    with torch.no_grad():
        whole = loss(lens(X))
        for unit in range(8):
            with lens.hooks([(LAYER, nm.interventions.zero(unit=unit))]):
                expected = float(loss(lens(X)) - whole)
            assert float(found["loss_increase"][unit]) == pytest.approx(expected, abs=1e-5)
    assert found["loss_increase"].values == pytest.approx(found["loss_change"].mean("example").values)


def test_of_classes_it_is_the_other_measures_effect_and_null() -> None:
    labels = (X.sum(1) > 0).long() + (X[:, 0] > 1).long()
    images, model = nm.data.examples(X, labels), network(3)
    found = nm.analysis.causal.ablate_loss(model, images, LAYER, draws=30)
    known = nm.analysis.causal.ablate_all(model, images, LAYER, draws=30)
    for end in ("", "_low", "_high", "_null_low", "_null_high", "_p", "_q"):
        name = f"loss_increase{end}"
        assert found[name].values == pytest.approx(known[name].values, abs=1e-6), name


def test_channels_of_maps() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1))
    pictures = torch.rand(20, 1, 6, 6)
    images = nm.data.examples(pictures, targets=pictures.mean((1, 2, 3)))
    found = nm.analysis.causal.ablate_loss(model, images, "1.hook_out", draws=5)
    lens = nm.hooked(model)
    with torch.no_grad(), lens.hooks([("1.hook_out", nm.interventions.zero(channel=2))]):
        cut = squared(lens(pictures)[:, 0], pictures.mean((1, 2, 3)))
    with torch.no_grad():
        whole = squared(lens(pictures)[:, 0], pictures.mean((1, 2, 3)))
    assert found["loss_increase"].dims == ("channel",)
    assert float(found["loss_increase"][2]) == pytest.approx(float(cut - whole), abs=1e-6)


def test_a_unit_that_alone_carries_the_target_is_shown_and_a_dead_one_changes_nothing() -> None:
    model = network(1)
    weights = model.state_dict()
    weights["0.bias"][7] = -100.0  # dead
    weights["2.weight"].mul_(0.01)[0, 0] = 5.0
    with torch.no_grad():
        images = nm.data.examples(X, targets=model(X))
    found = nm.analysis.causal.ablate_loss(model, images, LAYER, draws=199)
    assert found["loss_increase_shown"].values.tolist() == [True] + 7 * [False]
    assert float(found["loss_increase"][7]) == 0.0
    assert float(found["loss_increase_p"][7]) == 1.0


def test_what_it_cannot_judge_is_refused() -> None:
    effects = nm.analysis.causal.ablate_loss
    with pytest.raises(nm.errors.DataError, match=r"neither targets nor labels.*nm\.data\.examples"):
        effects(network(1), nm.data.examples(X), LAYER)
    images = nm.data.examples(X, targets=X[:, 0])
    with pytest.raises(nm.errors.DataError, match="for each example alone"):
        effects(network(1), images, LAYER, lambda out, target: squared(out[:, 0], target) * out.sum().item())
    with pytest.raises(nm.errors.DataError, match="the loss gave a tensor of shape"):
        effects(network(2), images, LAYER, lambda out, target: out - target[:, None])
    with pytest.raises(nm.errors.UnknownName, match=LAYER):
        effects(network(1), images, "1.hook_ouf")
    with pytest.raises(nm.errors.DataError, match="both hold as many numbers"):
        effects(network(2), images, LAYER)
