"""Ablation against edits made by hand in plain torch, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.analysis.causal.ablation import ROUNDING
from neural_microscope.analysis.causal.downstream import BATCH, downstream
from neural_microscope.errors import DataError, HookError, UnknownName
from neural_microscope.models import Network, build


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
    assert float(effects["loss_increase_p"][3]) == 1
    assert float(effects["loss_increase_null_high"][3]) == 0
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
    np.testing.assert_allclose(effects["accuracy_drop_p"], p)
    np.testing.assert_allclose(effects["accuracy_drop_q"], false_discovery_control(p))
    signs = np.random.default_rng(0).choice([-1, 1], (4000, len(digits)))
    flipped = signs @ np.abs(effects["right_change"].values.T) / len(digits)  # [draw, unit]
    for end, percentile in (("low", 2.5), ("high", 97.5)):
        expected = np.percentile(flipped, percentile, axis=0)
        np.testing.assert_allclose(effects[f"accuracy_drop_null_{end}"], expected, atol=2.01 / len(digits))


def test_a_verdict_is_the_q_below_the_declared_rate(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    effects = causal.ablate_all(mlp, digits, "layers.1.hook_post", draws=99)
    for name in ("loss_increase", "accuracy_drop"):
        np.testing.assert_array_equal(effects[f"{name}_shown"], effects[f"{name}_q"] < 0.05)
    assert effects["loss_increase_p"].attrs["floor"] == 1 / 100


def test_any_module_can_be_cut(digits: nm.data.ImageSet) -> None:
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 5), torch.nn.ReLU(inplace=True), torch.nn.Linear(5, 10)
    )
    effects = causal.ablate_all(net, digits, "2.hook_out")
    assert effects.sizes["unit"] == 5
    assert not net[2]._forward_hooks


def test_what_has_no_units_is_refused(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    with pytest.raises(HookError, match="class"):
        causal.ablate_all(mlp, digits, "logits")
    with pytest.raises(UnknownName, match="did you mean"):
        causal.ablate_all(mlp, digits, "layers.0.hook_pots")
    with pytest.raises(UnknownName, match="did you mean 'resample'"):
        causal.ablate_all(mlp, digits, "layers.0.hook_post", method="resampled")  # type: ignore[arg-type]
    broken = nm.MLP(mlp.config, seed=1)
    torch.nn.init.constant_(broken.layers[0].linear.bias, torch.nan)
    with pytest.raises(DataError, match=r"layers\.0\.hook_post: not all values are finite"):
        causal.ablate_all(broken, digits, "layers.0.hook_post")


SMALL = {"image_shape": (8, 8), "classes": 10}
NETS = {
    "mlp": nm.MLPConfig(hidden=(6, 5), **SMALL),
    "tanh": nm.MLPConfig(hidden=(6, 5), activation="tanh", pixel_mean=0.3, pixel_std=0.4, **SMALL),
    "normed": nm.MLPConfig(hidden=(6, 5), norm="layer", **SMALL),
    "normed after": nm.MLPConfig(hidden=(6, 5), norm="batch", norm_position="after", dropout=0.3, **SMALL),
    "cnn": nm.CNNConfig(channels=(3, 4), head=(5,), **SMALL),
    "average": nm.CNNConfig(channels=(3, 4), head=(), pool="average", bias=False, **SMALL),
    "no pool": nm.CNNConfig(channels=(3, 4), head=(5,), pool="none", kernel=5, activation="gelu", **SMALL),
    "normed cnn": nm.CNNConfig(channels=(3, 4), head=(5,), norm="batch", norm_position="after", **SMALL),
}


def by_hooks(model: Network, images: nm.data.ImageSet, layer: str, values: torch.Tensor | None) -> np.ndarray:
    """The change of every image's loss, one full forward pass with a hook for each unit."""
    x, y = images.tensor(), images.label_tensor()
    changes = []
    with torch.no_grad():
        base = torch.nn.functional.cross_entropy(model(x), y, reduction="none")
        _, cache = model.run_with_cache(x, names_filter=layer)
        for unit in range(cache[layer].shape[1]):

            def cut(tensor: torch.Tensor, hook: object, unit: int = unit) -> torch.Tensor:
                tensor[:, unit] = 0 if values is None else values[:, unit]
                return tensor

            logits = model.run_with_hooks(x, fwd_hooks=[(layer, cut)])
            changes.append(torch.nn.functional.cross_entropy(logits, y, reduction="none") - base)
    return torch.stack(changes).numpy()


@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
@pytest.mark.parametrize("net", NETS)
def test_the_short_way_is_the_loop_over_forward_passes(net: str, method: str, digits: nm.data.ImageSet) -> None:
    images, model = digits.subset(slice(0, 40)), build(NETS[net], seed=3).eval()
    _, cache = model.run_with_cache(images.tensor())
    names = [name for name in model.hook_points if name != "logits"]
    for layer in names if method == "zero" else [n for n in names if n.endswith("hook_post")]:
        effects = causal.ablate_all(model, images, layer, method=method, draws=2, resamples=3, seed=5)  # type: ignore[arg-type]
        acts = cache[layer]
        if method == "resample":
            picks = np.random.default_rng(5).integers(40, size=(3, 40))
            expected = np.mean([by_hooks(model, images, layer, acts[torch.from_numpy(p)]) for p in picks], 0)
        else:
            expected = by_hooks(model, images, layer, None if method == "zero" else acts.mean(0).expand_as(acts))
        np.testing.assert_allclose(effects["loss_change"], expected, atol=1e-5, err_msg=layer)


def test_cutting_a_unit_of_the_last_layer_takes_away_its_column(digits: nm.data.ImageSet) -> None:
    model = nm.MLP(NETS["mlp"], seed=2).double()
    with torch.no_grad():
        _, cache = model.run_with_cache(digits.tensor().double())
        acts, weight = cache["layers.1.hook_post"], model.output.weight
        expected = cache["logits"] - acts.T[:, :, None] * weight.T[:, None]
        run = downstream(model, digits.tensor().double(), "layers.1.hook_post")
        got = torch.cat([logits for _, logits, _ in run.each_unit(torch.zeros_like(acts))])
    assert float((got - expected).abs().max()) < 4e-15


def test_a_model_that_others_have_hooked_is_run_as_they_left_it(digits: nm.data.ImageSet) -> None:
    images, model = digits.subset(slice(0, 30)), build(NETS["mlp"], seed=3).eval()
    model.add_hook("layers.1.hook_pre", lambda tensor, hook: tensor + 3)
    effects = causal.ablate_all(model, images, "layers.0.hook_post", draws=2)
    np.testing.assert_allclose(effects["loss_change"], by_hooks(model, images, "layers.0.hook_post", None), atol=1e-5)
    alone = causal.ablate_all(nm.MLP(model.config, 3), images, "layers.0.hook_post", draws=2)
    assert np.abs(effects["loss_change"] - alone["loss_change"]).max() > 1e-3


def test_the_mean_may_come_from_other_images_and_more_images_come_in_batches(
    mlp: nm.MLP,
) -> None:
    digits = nm.data.load("digits").train
    layer, other = "layers.0.hook_post", digits.subset(slice(0, 7))
    assert len(digits) > 2 * BATCH
    effects = causal.ablate_all(mlp, digits, layer, method="mean", reference=other, draws=2)
    average = nm.activations(mlp, other, layer)[layer].values.mean(0)
    expected = by_hooks(mlp, digits, layer, torch.from_numpy(average).expand(len(digits), -1))
    np.testing.assert_allclose(effects["loss_change"], expected, atol=1e-5)
    assert "7 other images" in effects.attrs["intervention"]


@pytest.mark.parametrize("net", ["mlp", "normed"])
def test_a_random_direction_goes_as_far_as_the_unit_it_stands_beside(net: str, digits: nm.data.ImageSet) -> None:
    images, model, layer = digits.subset(slice(0, 60)), build(NETS[net], seed=3).eval(), "layers.0.hook_post"
    x, y = images.tensor(), images.label_tensor()
    table = causal.ablate_directions(model, images, layer, draws=5, seed=4)
    with torch.no_grad():
        acts = model.run_with_cache(x)[1][layer]
        drawn = np.random.default_rng(4).standard_normal((5, acts[0].numel()))
        base = torch.nn.functional.cross_entropy(model(x), y)
        for number, draw in enumerate(drawn / np.linalg.norm(drawn, axis=1, keepdims=True)):
            way = torch.from_numpy(draw).float().reshape(acts[:1].shape)
            expected = []
            for unit in range(acts.shape[1]):
                moved = acts + acts[:, [unit]].abs() * way
                logits = model.run_with_hooks(x, fwd_hooks=[(layer, nm.interventions.patch(moved))])
                expected.append(float(torch.nn.functional.cross_entropy(logits, y) - base))
            found = table["loss_increase"].values[number]
            np.testing.assert_allclose(found, expected, atol=0.1 * table["loss_increase"].values.std())


def test_the_null_of_an_ablation_is_what_random_directions_do(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    effects = causal.ablate_all(mlp, digits, "layers.0.hook_post", draws=50, seed=4)
    drawn = causal.ablate_directions(mlp, digits, "layers.0.hook_post", draws=50, seed=4)["loss_increase"].values
    np.testing.assert_allclose(effects["loss_increase_null_low"], np.percentile(drawn, 2.5, axis=0))
    np.testing.assert_allclose(effects["loss_increase_null_high"], np.percentile(drawn, 97.5, axis=0))
    expected = (1 + (drawn >= effects["loss_increase"].values - ROUNDING).sum(0)) / 51
    np.testing.assert_allclose(effects["loss_increase_p"], expected)


def test_a_units_own_direction_does_what_cutting_it_out_does(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    own = causal.ablate_directions(mlp, digits, "layers.0.hook_post", directions=-3 * np.eye(12))[
        "loss_increase"
    ].values
    effects = causal.ablate_all(mlp, digits, "layers.0.hook_post", draws=1)["loss_increase"].values
    np.testing.assert_allclose(np.diag(own), effects, atol=0.02 * np.abs(effects).max())
    for wrong in ({"draws": 0}, {"directions": np.ones((2, 5))}, {"directions": np.zeros((2, 12))}):
        with pytest.raises(DataError):
            causal.ablate_directions(mlp, digits, "layers.0.hook_post", **wrong)  # type: ignore[arg-type]


def test_the_spread_over_resamples_is_that_of_single_ones(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    images = digits.subset(slice(0, 50))
    effects = causal.ablate_all(mlp, images, "layers.1.hook_post", method="resample", resamples=4, draws=1, seed=2)
    acts = nm.activations(mlp, images, "layers.1.hook_post")["layers.1.hook_post"].values
    picks = np.random.default_rng(2).integers(50, size=(4, 50))
    single = [by_hooks(mlp, images, "layers.1.hook_post", torch.from_numpy(acts[p])).mean(1) for p in picks]
    np.testing.assert_allclose(effects["loss_increase_sd"], np.std(single, 0, ddof=1), atol=1e-5)
    with pytest.raises(DataError, match="at least 2"):
        causal.ablate_all(mlp, images, "layers.1.hook_post", method="resample", resamples=1)
