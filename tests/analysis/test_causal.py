"""Ablation against edits made by hand in plain torch, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.errors import HookError, UnknownName


@pytest.fixture(scope="module")
def digits() -> nm.data.ImageSet:
    return nm.data.load("digits").test


@pytest.fixture(scope="module")
def mlp() -> nm.MLP:
    return nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)), seed=1)


def test_every_unit_is_cut_out_as_if_its_outgoing_weights_were_zero(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    effects = causal.ablate_all(mlp, digits, "layers.0.hook_post")
    x, y = digits.tensor(), digits.label_tensor()
    with torch.no_grad():
        base = torch.nn.functional.cross_entropy(mlp(x), y, reduction="none")
        for unit in range(12):
            twin = nm.MLP(mlp.config, seed=1)
            twin.layers[1].linear.weight[:, unit] = 0
            logits = twin(x)
            expected = torch.nn.functional.cross_entropy(logits, y, reduction="none") - base
            np.testing.assert_allclose(effects["loss_change"][unit], expected, atol=1e-5)
            lost = float((mlp(x).argmax(1) == y).double().mean() - (logits.argmax(1) == y).double().mean())
            assert float(effects["accuracy_drop"][unit]) == pytest.approx(lost)


def test_a_channel_is_cut_out_as_if_its_outgoing_kernels_were_zero(digits: nm.data.ImageSet) -> None:
    config = nm.CNNConfig(image_shape=(8, 8), channels=(4, 5), head=(6,))
    cnn, x, y = nm.CNN(config, seed=0), digits.tensor(), digits.label_tensor()
    effects = causal.ablate_all(cnn, digits, "layers.0.hook_post")
    assert effects["loss_change"].dims == ("channel", "example")
    twin = nm.CNN(config, seed=0)
    with torch.no_grad():
        twin.layers[1].conv.weight[:, 2] = 0
        change = [torch.nn.functional.cross_entropy(net(x), y, reduction="none") for net in (twin, cnn)]
    np.testing.assert_allclose(effects["loss_change"][2], change[0] - change[1], atol=1e-5)


def test_a_dead_unit_changes_exactly_nothing(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    dead = nm.MLP(mlp.config, seed=1)
    with torch.no_grad():
        dead.layers[1].linear.weight[3] = 0
        dead.layers[1].linear.bias[3] = -1
    effects = causal.ablate_all(dead, digits, "layers.1.hook_post")
    assert (effects["loss_change"][3] == 0).all()
    assert float(effects["accuracy_drop_q"][3]) == 1


def test_classes_add_up_to_the_whole(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    effects = causal.ablate_all(mlp, digits, "layers.1.hook_post")
    weights = np.bincount(digits.labels) / len(digits)
    np.testing.assert_allclose(
        (effects["accuracy_drop_by_class"] * weights).sum("class"), effects["accuracy_drop"], atol=1e-12
    )
    assert (effects["accuracy_drop_low"] <= effects["accuracy_drop"]).all()
    assert (effects["accuracy_drop"] <= effects["accuracy_drop_high"]).all()


def test_the_sign_test_is_scipys_and_controlled_over_the_layer(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    from scipy.stats import binomtest, false_discovery_control

    effects = causal.ablate_all(mlp, digits, "layers.0.hook_post")
    p = []
    for row in effects["right_change"].values:
        lost, won = int((row < 0).sum()), int((row > 0).sum())
        p.append(binomtest(lost, lost + won, alternative="greater").pvalue if lost + won else 1.0)
    np.testing.assert_allclose(effects["accuracy_drop_q"], false_discovery_control(p))


def test_any_module_can_be_cut(digits: nm.data.ImageSet) -> None:
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 5), torch.nn.ReLU(inplace=True), torch.nn.Linear(5, 10)
    )
    effects = causal.ablate_all(net, digits, "2.hook_out")
    assert effects.sizes["unit"] == 5
    assert not net[2]._forward_hooks


def test_progress_counts_and_what_has_no_units_is_refused(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    seen: list[tuple[int, int]] = []
    causal.ablate_all(mlp, digits, "layers.1.hook_post", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, 6) for i in range(6)]
    with pytest.raises(HookError, match="class"):
        causal.ablate_all(mlp, digits, "logits")
    with pytest.raises(UnknownName, match="did you mean"):
        causal.ablate_all(mlp, digits, "layers.0.hook_pots")
