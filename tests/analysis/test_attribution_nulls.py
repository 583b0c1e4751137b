"""Tests of maps against the network: randomized weights, deleted pixels, and images made for a unit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.analysis import attribution
from neural_microscope.analysis.attribution import random_weights
from neural_microscope.errors import DataError

SIDE = 6
PIXELS = torch.rand(5, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def mlp(seed: int = 1, **settings: Any) -> nm.MLP:
    config = nm.MLPConfig(**{"image_shape": (SIDE, SIDE), "classes": 3, "hidden": (12, 8), **settings})
    return nm.MLP(config, seed=seed).double()


def cnn() -> nm.CNN:
    config = nm.CNNConfig(image_shape=(SIDE, SIDE), classes=3, channels=(4, 6), head=(7,))
    return nm.CNN(config, seed=1).double()


def plain() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * SIDE**2, 3))
    return nn.Sequential(*layers).double()


def ink(model: nn.Module, images: Tensor, *, target: Any = None) -> xr.Dataset:
    """A map that asks no network: the image itself."""
    found = attribution.saliency(model, images, target=target)
    return found.assign(attribution=(("example", "row", "col"), images[:, 0].numpy()))


@pytest.fixture(scope="module")
def trained() -> tuple[nm.MLP, nm.data.ImageSet]:
    digits = nm.data.load("digits")
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(32, 16)), seed=0)
    nm.train(model, digits, nm.TrainConfig(epochs=12, learning_rate=0.005, seed=0))
    return model, digits.test.subset(slice(12))


@pytest.mark.parametrize("make", [mlp, cnn, plain])
def test_a_fresh_network_has_other_weights_by_its_seed_alone_and_the_model_keeps_its_own(make: Any) -> None:
    model = make()
    before = copy.deepcopy(model.state_dict())
    one, two, other = (random_weights.fresh(model, seed) for seed in (5, 5, 6))
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name])
        assert torch.equal(one.get_parameter(name), two.get_parameter(name))
        if name.endswith("weight") and value.ndim > 1:
            assert not torch.equal(one.get_parameter(name), other.get_parameter(name))
            assert float(one.get_parameter(name).detach().std()) == pytest.approx(float(value.detach().std()), rel=0.3)
    assert one(PIXELS).dtype == torch.float64


def test_a_network_that_cannot_be_drawn_again_is_refused() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(SIDE**2, 3, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ self.weight

    with pytest.raises(DataError, match="reset_parameters"):
        attribution.sanity_check(attribution.saliency, nn.Sequential(Own()), PIXELS, target=0)


def test_weights_are_randomized_from_the_top_down() -> None:
    model, seen = mlp(), []

    def method(net: nn.Module, images: Tensor, *, target: Any) -> xr.Dataset:
        seen.append({name: torch.equal(p, model.get_parameter(name)) for name, p in net.named_parameters()})
        return attribution.saliency(net, images, target=target)

    result = attribution.sanity_check(method, model, PIXELS, target=0, draws=1)
    assert result["layer"].values.tolist() == ["output", "layers.1.linear", "layers.0.linear"]
    kept = [{name.rpartition(".")[0] for name, same in stage.items() if same} for stage in seen]
    below = ["output", "layers.1.linear", "layers.0.linear"]
    assert kept == [set(below[stage:]) for stage in range(4)]


def test_of_a_linear_network_the_similarity_is_that_of_two_weight_vectors() -> None:
    model = mlp(hidden=())
    result = attribution.sanity_check(attribution.saliency, model, PIXELS, target=1, draws=3, seed=2)
    others = [net.output.weight[1].detach() for net in random_weights.random_networks(model, 3, 2)]
    weight = model.output.weight[1].detach()
    expected = [stats.spearmanr(weight, other).statistic for other in others]
    assert float(result["similarity"][0]) == pytest.approx(np.mean(expected))
    expected = [stats.spearmanr(abs(weight), abs(other)).statistic for other in others]
    assert float(result["similarity_abs"][0]) == pytest.approx(np.mean(expected))
    assert float(result["similarity_abs_null_high"]) == pytest.approx(np.percentile(expected, 97.5))


def test_a_map_that_asks_no_network_is_flagged_and_claims_nothing() -> None:
    for make in (mlp, cnn, plain):
        result = attribution.sanity_check(ink, make(), PIXELS, target=0, draws=5)
        np.testing.assert_allclose(result["similarity"], 1)
        assert result["insensitive"]
        assert result["insensitive_abs"]
        assert not (result["similarity_q"] < 1).any()
        np.testing.assert_allclose(result["like_image"], 1)


@pytest.mark.parametrize("draws", [10, 19, 39, 60])
def test_a_map_that_asks_no_network_claims_nothing_by_rounding(draws: int) -> None:
    """The mean of equal similarities may lie a bit above each of them."""
    for count in range(1, 6):
        result = attribution.sanity_check(ink, mlp(), PIXELS[:count], target=0, draws=draws)
        assert (result["similarity_q"][:-1] == 1).all()


def test_what_the_lower_layers_give_is_seen_in_a_trained_network(trained: Any) -> None:
    model, images = trained
    result = attribution.sanity_check(attribution.saliency, model, images, draws=39)
    assert not result["insensitive"]
    assert float(result["similarity_abs_q"][0]) < 0.05
    assert float(result["similarity_abs"][0]) > float(result["similarity_abs_null_high"])
    low, high = float(result["similarity_abs_null_low"]), float(result["similarity_abs_null_high"])
    assert low < float(result["similarity_abs"][-1]) < high
    assert np.isnan(result["similarity_q"][-1])


def test_gradient_times_input_without_its_sign_is_mostly_the_ink(trained: Any) -> None:
    result = attribution.sanity_check(attribution.gradient_times_input, *trained, draws=5)
    assert float(result["similarity_abs"][-1]) > 0.8
    assert float(result["like_image"]) > 0.8
    assert abs(float(result["similarity"][-1])) < 0.2


def test_constant_maps_have_no_similarity_and_give_no_warning() -> None:
    model = mlp()
    with torch.no_grad():
        model.layers[0].linear.bias[3] = -1000

    def one_off(net: nn.Module, images: Tensor, *, target: Any) -> xr.Dataset:
        return attribution.saliency(model, images, target=("layers.0.hook_post", 3))

    result = attribution.sanity_check(one_off, model, PIXELS, target=0, draws=2)
    assert np.isnan(result["similarity"]).all()
    assert np.isnan(result["similarity_low"]).all()
    assert not result["insensitive"]


def test_maps_of_another_size_than_the_images_are_refused() -> None:
    def small(model: nn.Module, images: Tensor, *, target: Any) -> xr.Dataset:
        return attribution.grad_cam(model, images, "layers.1.hook_post", target=target, upsample=False)

    with pytest.raises(DataError, match="compared with the images"):
        attribution.sanity_check(small, cnn(), PIXELS, target=0)
    with pytest.raises(DataError, match="at least 1"):
        attribution.sanity_check(ink, mlp(), PIXELS, target=0, draws=0)


def test_shares_outside_are_the_loop_over_pixels_written_out() -> None:
    model = mlp()
    result = attribution.against_untrained(attribution.gradient_times_input, model, PIXELS, target=0, draws=7)
    stack = np.concatenate([result["attribution"].values[None], result["untrained"].values])
    np.testing.assert_allclose((stack**2).sum((2, 3)), 1)
    for example in range(5):
        maps = stack[:, example].reshape(8, -1)
        outside = [sum(m[i] > np.delete(m, i).max() or m[i] < np.delete(m, i).min() for m in maps.T) for i in range(8)]
        shares = np.array(outside) / SIDE**2
        assert float(result["share_outside"][example]) == pytest.approx(shares[0])
        assert float(result["share_outside_p"][example]) == (1 + (shares[1:] >= shares[0]).sum()) / 8


def test_a_network_unlike_random_ones_is_told_from_them_and_a_random_one_is_not() -> None:
    model = mlp(hidden=())
    with torch.no_grad():
        model.output.weight[:] = torch.linspace(0, 1, SIDE**2) ** 3
    found = attribution.against_untrained(attribution.saliency, model, PIXELS, target=0)
    assert float(found["mean_outside_p"]) == 1 / 40
    assert (found["share_outside_q"] < 0.05).all()
    p = [
        float(
            attribution.against_untrained(attribution.saliency, mlp(s, hidden=()), PIXELS[:1], target=0, seed=s)[
                "mean_outside_p"
            ]
        )
        for s in range(10, 30)
    ]
    assert np.mean(np.array(p) < 0.05) <= 0.2
    assert 0.25 < np.mean(p) < 0.85
    ignored = attribution.against_untrained(ink, model, PIXELS, target=0, draws=5)
    assert not ignored["share_outside"].any()
    assert (ignored["share_outside_p"] == 1).all()


def test_of_a_linear_unit_the_curves_are_sums_of_its_parts() -> None:
    model = mlp()
    target = ("layers.0.hook_pre", 2)
    parts = attribution.gradient_times_input(model, PIXELS, target=target)["attribution"]
    result = attribution.deletion_insertion(model, PIXELS, parts, target=target, steps=SIDE**2, draws=3)
    ordered = -np.sort(-parts.values.reshape(5, -1), 1)
    bias = float(model.layers[0].linear.bias[2].detach())
    left = bias + np.concatenate([ordered.sum(1)[:, None], ordered.sum(1)[:, None] - ordered.cumsum(1)], 1)
    back = bias + np.concatenate([np.zeros((5, 1)), ordered.cumsum(1)], 1)
    np.testing.assert_allclose(result["deletion"], left.mean(0), atol=1e-14)
    np.testing.assert_allclose(result["insertion"], back.mean(0), atol=1e-14)
    np.testing.assert_allclose(result["deletion_auc"], np.trapezoid(left, dx=1 / SIDE**2, axis=1), atol=1e-14)
    np.testing.assert_allclose(result["share"], np.arange(SIDE**2 + 1) / SIDE**2)


@pytest.mark.parametrize("baseline", ["black", "mean", "blur", 0.5])
def test_of_a_linear_unit_deletion_and_insertion_add_up_to_both_ends(baseline: Any) -> None:
    model, target = cnn(), ("layers.0.hook_pre", 2)
    noise = xr.DataArray(np.random.default_rng(0).normal(size=(5, SIDE, SIDE)), dims=("example", "row", "col"))
    result = attribution.deletion_insertion(model, PIXELS, noise, target=target, baseline=baseline, draws=2)
    both = result["deletion"] + result["insertion"]
    np.testing.assert_allclose(both, float(both[0]), atol=1e-14)


def test_a_true_map_beats_random_orders_and_its_opposite_does_not() -> None:
    model = mlp(hidden=())
    parts = attribution.gradient_times_input(model, PIXELS, target=1)["attribution"]
    good = attribution.deletion_insertion(model, PIXELS, parts, target=1)
    bad = attribution.deletion_insertion(model, PIXELS, -parts, target=1)
    for way in ("deletion", "insertion"):
        assert float(good[f"{way}_mean_p"]) == 1 / 40
        assert float(bad[f"{way}_mean_p"]) == 1
        assert (good[f"{way}_auc_q"] < 0.05).all()
        assert float(good[f"{way}_null_low"][7]) < float(good[f"{way}_null_high"][7])
    assert float(good["deletion_mean"]) < float(good["deletion_mean_null_low"])
    assert float(good["deletion"][0]) == pytest.approx(float(model(PIXELS).softmax(1)[:, 1].mean().detach()))


def test_a_constant_map_is_a_random_order() -> None:
    model = mlp(hidden=())
    flat = xr.DataArray(np.zeros((5, SIDE, SIDE)), dims=("example", "row", "col"))
    areas = [
        float(attribution.deletion_insertion(model, PIXELS, flat, target=1, draws=1, seed=s)["deletion_mean"])
        for s in range(20)
    ]
    null = attribution.deletion_insertion(model, PIXELS, flat, target=1, draws=200)
    assert np.std(areas) > 0
    inside = (areas > null["deletion_mean_null_low"].values) & (areas < null["deletion_mean_null_high"].values)
    assert inside.mean() > 0.7


def test_maps_of_random_networks_can_be_the_null(trained: Any) -> None:
    model, images = trained
    beside = attribution.against_untrained(attribution.gradient_times_input, model, images, draws=39)
    result = attribution.deletion_insertion(model, images, beside["attribution"], null=beside["untrained"])
    assert float(result["deletion_mean_p"]) == 1 / 40
    assert result.attrs["null"] == "39 given maps"
    same = attribution.deletion_insertion(model, images, beside["untrained"][0], null=beside["untrained"][1:])
    assert float(same["deletion_mean_p"]) > 1 / 39


def test_maps_of_other_images_are_refused() -> None:
    model, images = mlp().float(), nm.data.ImageSet(np.zeros((3, SIDE, SIDE), np.uint8), np.array([0, 1, 2]), 3)
    good = attribution.saliency(model, images)["attribution"]
    for wrong, words in (
        (good.isel(example=slice(2)), "the attribution has"),
        (good.isel(row=slice(2)), "the attribution has"),
        (good.isel(example=[1, 0, 2]), "different labels"),
        (good.values, "DataArray"),
        (good.rename(row="x"), "axes"),
    ):
        with pytest.raises(DataError, match=words):
            attribution.deletion_insertion(model, images, wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least 1"):
        attribution.deletion_insertion(model, images, good, steps=0)


def test_the_image_made_for_a_linear_unit_is_white_where_its_weights_are_positive() -> None:
    model = mlp()
    result = attribution.activation_maximization(model, PIXELS, "layers.0.hook_pre", 3, l2=0, tv=0, jitter=0, draws=5)
    weight = model.layers[0].linear.weight[3].detach().reshape(SIDE, SIDE)
    np.testing.assert_allclose(result["picture"], np.broadcast_to((weight > 0).double(), (3, SIDE, SIDE)), atol=1e-12)
    _, cache = model.run_with_cache(PIXELS)
    data = cache["layers.0.hook_pre"][:, 3].numpy()
    top = float(weight.clip(0).sum() + model.layers[0].linear.bias[3].detach())
    np.testing.assert_allclose(result["reached"], top)
    np.testing.assert_allclose(result["reach"], (top - data.mean()) / (data.max() - data.mean()))
    assert float(result["best"]) == data.max()
    assert int(result["best_example"]) == data.argmax()
    assert (result["percentile"] == 100).all()


@pytest.mark.parametrize(("make", "point"), [(mlp, "logits"), (cnn, "layers.1.hook_post"), (plain, "0.hook_out")])
def test_made_images_stay_images_and_depend_on_their_own_seed_alone(make: Any, point: str) -> None:
    settings: dict[str, Any] = {"steps": 40, "l2": 0, "tv": 0, "draws": 4}
    model = make()
    several = attribution.activation_maximization(model, PIXELS, point, 1, seeds=(3, 4), **settings)
    alone = attribution.activation_maximization(model, PIXELS, point, 1, seeds=(4,), **settings)
    np.testing.assert_allclose(several["picture"].sel(seed=4), alone["picture"][0], atol=1e-9)
    for name in ("picture", "null_picture", "untrained_picture"):
        assert several[name].min() >= 0
        assert several[name].max() <= 1
    assert several["null_picture"].shape == (4, SIDE, SIDE)
    assert (several["reach"] > 0).all()


def test_penalties_make_images_darker_and_smoother() -> None:
    model = mlp()
    free, dark, smooth = (
        attribution.activation_maximization(model, PIXELS, "logits", 0, l2=l2, tv=tv, jitter=0, seeds=(0,), draws=1)[
            "picture"
        ][0]
        for l2, tv in ((0, 0), (60, 0), (0, 20))
    )
    rough = [float(abs(x.diff("row")).mean() + abs(x.diff("col")).mean()) for x in (free, smooth)]
    assert float(dark.mean()) < 0.7 * float(free.mean())
    assert rough[1] < 0.5 * rough[0]


def test_a_unit_favored_by_construction_goes_further_than_random_directions() -> None:
    model = mlp(hidden=(40,))
    with torch.no_grad():
        model.layers[0].linear.weight[7] = torch.eye(SIDE**2, dtype=torch.float64)[:3].sum(0)
        low = PIXELS.clone()
        low[:, 0, 0, :3] *= 0.1  # on the data its three pixels are almost dark
    result = attribution.activation_maximization(model, low, "layers.0.hook_pre", 7, seeds=(0,))
    assert float(result["reach_p"][0]) == 1 / 40
    assert float(result["reach"][0]) > float(result["reach_null_high"][0])


def test_a_dead_unit_has_no_reach() -> None:
    model = mlp()
    with torch.no_grad():
        model.layers[0].linear.bias[3] = -1000
    result = attribution.activation_maximization(model, PIXELS, "layers.0.hook_post", 3, steps=5, draws=2)
    assert not result["reached"].any()
    assert np.isnan(result["reach"]).all()
    assert np.isnan(result["reach_p"]).all()


def test_an_image_needs_a_seed() -> None:
    with pytest.raises(DataError, match="at least one"):
        attribution.activation_maximization(mlp(), PIXELS, "logits", 0, seeds=())
