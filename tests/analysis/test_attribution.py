"""Attribution against closed forms, autograd and loops written out."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import special
from torch import nn

import neural_microscope as nm
from neural_microscope.analysis import attribution
from neural_microscope.errors import DataError, HookError, UnknownName
from small_runs import images as made_up

SIDE = 6
PIXELS = torch.rand(5, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = np.arange(5) % 3
METHODS = {
    "saliency": attribution.saliency,
    "gradient_times_input": attribution.gradient_times_input,
    "integrated_gradients": attribution.integrated_gradients,
    "smooth_grad": attribution.smooth_grad,
    "occlusion": attribution.occlusion,
}


def mlp(**settings: Any) -> nm.MLP:
    config = nm.MLPConfig(**{"image_shape": (SIDE, SIDE), "classes": 3, "hidden": (12, 8), **settings})
    return nm.MLP(config, seed=1).double()


def cnn(**settings: Any) -> nm.CNN:
    config = nm.CNNConfig(**{"image_shape": (SIDE, SIDE), "classes": 3, "channels": (4, 6), "head": (7,), **settings})
    return nm.CNN(config, seed=1).double()


def plain() -> nn.Module:
    """A plain ``nn.Module``, not built by this package."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * SIDE**2, 3))
    return nn.Sequential(*layers).double()


def maps(result: xr.Dataset, name: str = "attribution") -> np.ndarray:
    return result[name].values


@pytest.mark.parametrize("make", [mlp, cnn, plain])
def test_saliency_is_autograds_gradient(make: Any) -> None:
    model = make()
    x = PIXELS.clone().requires_grad_()
    model(x)[range(5), LABELS].sum().backward()
    result = attribution.saliency(model, PIXELS, target=LABELS)
    np.testing.assert_allclose(maps(result), x.grad[:, 0], atol=1e-15)
    np.testing.assert_array_equal(maps(result, "magnitude"), abs(maps(result)))
    np.testing.assert_allclose(result["value"], model(PIXELS)[range(5), LABELS].detach())
    assert result["attribution"].dims == ("example", "row", "col")


def test_of_a_linear_model_every_method_is_its_closed_form() -> None:
    model = mlp(hidden=())
    weight = model.output.weight.detach()[2].reshape(SIDE, SIDE).numpy()
    x, base = PIXELS[:, 0].numpy(), 0.3
    found = {name: maps(method(model, PIXELS, target=2)) for name, method in METHODS.items() if name != "occlusion"}
    np.testing.assert_allclose(found["saliency"], np.broadcast_to(weight, x.shape), atol=1e-15)
    np.testing.assert_allclose(found["smooth_grad"], np.broadcast_to(weight, x.shape), atol=1e-15)
    np.testing.assert_allclose(found["gradient_times_input"], weight * x, atol=1e-15)
    np.testing.assert_allclose(found["integrated_gradients"], weight * x, atol=1e-14)
    shifted = attribution.integrated_gradients(model, PIXELS, target=2, baseline=base, steps=1)
    np.testing.assert_allclose(maps(shifted), weight * (x - base), atol=1e-15)
    assert abs(shifted["completeness_error"]).max() < 1e-14
    covered = attribution.occlusion(model, PIXELS, target=2, patch=1, baseline=base)
    np.testing.assert_allclose(maps(covered), weight * (x - base), atol=1e-14)


def test_without_biases_gradient_times_input_sums_to_the_logit() -> None:
    for model in (mlp(bias=False), cnn(bias=False)):
        result = attribution.gradient_times_input(model, PIXELS, target=LABELS)
        np.testing.assert_allclose(result["attribution"].sum(("row", "col")), result["value"], atol=7e-15)


def test_the_completeness_error_is_told_and_shrinks_with_the_steps() -> None:
    model = mlp(init_scale=3)
    errors = []
    for steps in (16, 64, 256, 1024):
        result = attribution.integrated_gradients(model, PIXELS, target=LABELS, steps=steps)
        gap = result["attribution"].sum(("row", "col")) - (result["value"] - result["baseline_value"])
        np.testing.assert_allclose(result["completeness_error"], gap, atol=1e-13)
        errors.append(float(abs(gap).max()))
    assert errors[-1] < errors[0] / 15  # 1 / m would be 64 times; kinks come as they come
    np.testing.assert_allclose(result["baseline_value"], model(torch.zeros_like(PIXELS))[0, LABELS].detach())


def test_of_a_smooth_network_integrated_gradients_are_complete_to_rounding() -> None:
    result = attribution.integrated_gradients(mlp(activation="tanh"), PIXELS, target=LABELS)
    assert abs(result["completeness_error"]).max() < 1e-14


def test_integrated_gradients_are_the_sum_over_the_path_written_out() -> None:
    model, start = cnn(), PIXELS.mean(0, keepdim=True)
    total = torch.zeros_like(PIXELS)
    for point, weight in zip(*special.roots_legendre(8), strict=True):  # on -1..1
        x = (start + (point + 1) / 2 * (PIXELS - start)).requires_grad_()
        (gradient,) = torch.autograd.grad(model(x)[:, 1].sum(), x)
        total += gradient * weight / 2
    result = attribution.integrated_gradients(model, PIXELS, target=1, baseline="mean", steps=8)
    np.testing.assert_allclose(maps(result), (total * (PIXELS - start))[:, 0], atol=1e-14)


def test_smooth_grad_without_noise_is_saliency_and_with_it_depends_on_the_seed_alone() -> None:
    model = mlp()
    same = attribution.smooth_grad(model, PIXELS, target=0, noise=0, n=3)
    np.testing.assert_allclose(maps(same), maps(attribution.saliency(model, PIXELS, target=0)), atol=1e-15)
    np.testing.assert_allclose(same["standard_error"], 0, atol=1e-8)
    one, two, other = (attribution.smooth_grad(model, PIXELS, target=0, seed=seed) for seed in (4, 4, 5))
    xr.testing.assert_identical(one, two)
    assert abs(one - other)["attribution"].max() > 1e-6
    assert other.attrs["seed"] == 5


def test_the_standard_error_of_smooth_grad_is_that_of_repeated_runs() -> None:
    model = mlp()
    runs = [attribution.smooth_grad(model, PIXELS[:1], target=0, n=20, seed=seed) for seed in range(60)]
    spread = np.std([maps(run) for run in runs], axis=0, ddof=1)
    stated = np.mean([maps(run, "standard_error") for run in runs], axis=0)
    assert np.median(spread / stated) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (3, 2), (2, 2), (4, 3)])
def test_occlusion_is_the_loop_over_patches_written_out(patch: int, stride: int) -> None:
    model = cnn()
    total, times = np.zeros((5, SIDE, SIDE)), np.zeros((SIDE, SIDE))
    value = model(PIXELS)[:, 1].detach().numpy()
    for top in range(0, SIDE - patch + stride, stride):
        for left in range(0, SIDE - patch + stride, stride):
            covered = PIXELS.clone()
            covered[:, 0, top : top + patch, left : left + patch] = 0.25
            total[:, top : top + patch, left : left + patch] += (value - model(covered)[:, 1].detach().numpy())[
                :, None, None
            ]
            times[top : top + patch, left : left + patch] += 1
    result = attribution.occlusion(model, PIXELS, target=1, patch=patch, stride=stride, baseline=0.25)
    np.testing.assert_allclose(maps(result), total / times, atol=1e-14)


def test_grad_cam_is_cam_with_global_average_pooling() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
    )
    model = model.double()
    held = model[1](model[0](PIXELS)).detach()
    cam = torch.einsum("k,ekrc->erc", model[4].weight[2].detach(), held).relu() / SIDE**2
    result = attribution.grad_cam(model, PIXELS, "1.hook_out", target=2, upsample=False)
    np.testing.assert_allclose(maps(result), cam, atol=1e-15)
    np.testing.assert_allclose(result["value"], model(PIXELS)[:, 2].detach())


def test_grad_cam_is_brought_to_the_images_size_and_never_below_0() -> None:
    model = cnn()
    small = attribution.grad_cam(model, PIXELS, "layers.1.hook_post", target=LABELS, upsample=False)
    large = attribution.grad_cam(model, PIXELS, "layers.1.hook_post", target=LABELS)
    assert maps(small).shape == (5, 3, 3)
    assert maps(large).shape == (5, SIDE, SIDE)
    assert maps(large).min() >= 0
    expected = nn.functional.interpolate(torch.from_numpy(maps(small))[:, None], (SIDE, SIDE), mode="bilinear")
    np.testing.assert_allclose(maps(large), expected[:, 0], atol=1e-14)


def test_grad_cam_of_a_layer_without_maps_is_refused() -> None:
    with pytest.raises(HookError, match="convolutional"):
        attribution.grad_cam(cnn(), PIXELS, "layers.2.hook_post", target=0)


def test_a_unit_of_a_hook_point_can_be_the_target() -> None:
    model = mlp()
    x = PIXELS.clone().requires_grad_()
    _, cache = model.run_with_cache(PIXELS)
    pre = model.layers[0].linear(x.flatten(1))
    pre[:, 4].sum().backward()
    result = attribution.saliency(model, PIXELS, target=("layers.0.hook_pre", 4))
    np.testing.assert_allclose(maps(result), x.grad[:, 0], atol=1e-15)
    np.testing.assert_allclose(result["value"], cache["layers.0.hook_pre"][:, 4])
    assert result.attrs["hook_point"] == "layers.0.hook_pre"


def test_of_a_channel_the_mean_of_its_map_is_explained() -> None:
    model = cnn()
    _, cache = model.run_with_cache(PIXELS)
    for method in METHODS.values():
        result = method(model, PIXELS, target=("layers.0.hook_post", 2))
        np.testing.assert_allclose(result["value"], cache["layers.0.hook_post"][:, 2].mean((1, 2)))
    later = attribution.grad_cam(model, PIXELS, "layers.0.hook_post", target=("layers.1.hook_pre", 2))
    assert later.attrs["target"] == "layers.1.hook_pre unit 2"


def test_a_dead_unit_has_an_all_zero_map() -> None:
    model = mlp()
    with torch.no_grad():
        model.layers[0].linear.bias[3] = -1000
    for method in METHODS.values():
        assert not maps(method(model, PIXELS, target=("layers.0.hook_post", 3))).any()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("make", [mlp, cnn])
def test_the_labels_logits_are_the_default_and_stand_beside_the_maps(method: Any, make: Any) -> None:
    images = made_up(7, seed=0, side=SIDE)
    model = make().float()
    result, same = method(model, images), method(model, images.tensor(), target=images.labels)
    np.testing.assert_array_equal(maps(result), maps(same))
    np.testing.assert_array_equal(result["label"], images.labels)
    assert result.attrs["n_examples"] == 7
    assert result["attribution"].attrs["units"].startswith("logit")


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_results_do_not_depend_on_how_images_are_batched(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = cnn()
    whole = maps(method(model, PIXELS, target=LABELS))
    for module in ("target", "gradients", "occlusion"):
        monkeypatch.setattr(importlib.import_module(f"neural_microscope.analysis.attribution.{module}"), "BATCH", 2)
    np.testing.assert_allclose(maps(method(model, PIXELS, target=LABELS)), whole, atol=1e-14)


def test_single_pixels_are_answered_one_at_a_time() -> None:
    model = mlp(pixel_mean=0.1, pixel_std=0.5)
    result = attribution.single_pixels(model, "layers.1.hook_post")
    for row, col in ((0, 0), (2, 3), (5, 5)):
        image = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
        image[0, 0, row, col] = 1
        _, cache = model.run_with_cache(image)
        np.testing.assert_allclose(result["response"][:, row, col], cache["layers.1.hook_post"][0], atol=1e-15)
    product = model.layers[1].linear.weight @ model.layers[0].linear.weight / 0.5
    np.testing.assert_allclose(maps(result, "path_product").reshape(8, -1), product.detach(), atol=1e-15)


def test_with_every_relu_open_response_slope_and_path_product_are_one() -> None:
    model = mlp(bias=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_()
    result = attribution.single_pixels(model, "layers.1.hook_pre")
    np.testing.assert_allclose(result["response"], result["path_product"], atol=1e-15)
    assert not result["black"].any()
    open_ = attribution.single_pixels(mlp(activation="tanh", bias=False), "layers.0.hook_post")
    np.testing.assert_allclose(open_["slope"], open_["path_product"], atol=1e-15)


def test_single_pixels_of_channels_and_of_foreign_modules_have_no_path_product() -> None:
    for model, point in ((cnn(), "layers.0.hook_post"), (plain(), "1.hook_out")):
        result = attribution.single_pixels(model, point, image_shape=(SIDE, SIDE))
        assert result["response"].shape == (4, SIDE, SIDE)
        assert "path_product" not in result
    with pytest.raises(DataError, match="image_shape"):
        attribution.single_pixels(plain(), "1.hook_out")


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (None, DataError, "give target="),
        (3, DataError, "classes 0 to 2; there is no class 3"),
        ([0, 1], DataError, "5 classes"),
        ("logits", DataError, "a pair"),
        (0.5, DataError, "a pair"),
        (("layers.0.hook_post", 12), HookError, "no unit 12"),
        (("layers.0.hook_posts", 1), UnknownName, "did you mean 'layers.0.hook_post'"),
    ],
)
def test_a_target_that_cannot_be_is_refused(target: Any, error: Any, words: str) -> None:
    for method in METHODS.values():
        with pytest.raises(error, match=words):
            method(mlp(), PIXELS, target=target)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (PIXELS[:0], "at least one"),
        (PIXELS[:, 0], "example, 1, row, col"),
        ((255 * PIXELS).to(torch.uint8), "uint8"),
        (PIXELS.numpy(), "ndarray"),
        (PIXELS * torch.nan, "finite"),
        (255 * PIXELS, "0..1"),
    ],
)
def test_images_that_cannot_be_are_refused(images: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        attribution.saliency(mlp(), images, target=0)


def test_settings_that_cannot_be_are_refused() -> None:
    model = mlp()
    for call in (
        lambda: attribution.integrated_gradients(model, PIXELS, target=0, steps=0),
        lambda: attribution.integrated_gradients(model, PIXELS, target=0, baseline=torch.zeros(2, 2)),
        lambda: attribution.integrated_gradients(model, PIXELS, target=0, baseline=float("nan")),
        lambda: attribution.smooth_grad(model, PIXELS, target=0, n=0),
        lambda: attribution.smooth_grad(model, PIXELS, target=0, noise=-1),
        lambda: attribution.occlusion(model, PIXELS, target=0, patch=2, stride=3),
        lambda: attribution.occlusion(model, PIXELS, target=0, patch=7),
    ):
        with pytest.raises(DataError):
            call()
    with pytest.raises(UnknownName, match="did you mean 'black'"):
        attribution.occlusion(model, PIXELS, target=0, baseline="blck")
