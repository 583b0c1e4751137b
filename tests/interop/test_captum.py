"""Side by side with captum: the same attributions, on the same weights, of the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from others import LeNet

import neural_microscope as nm
from neural_microscope.analysis import attribution, causal

pytestmark = pytest.mark.interop
captum = pytest.importorskip("captum.attr", reason="make test-interop has it")


@pytest.fixture(params=["mlp", "cnn"])
def model(request: pytest.FixtureRequest) -> nm.hooks.HookedModel:
    if request.param == "mlp":
        return nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(24, 16)), seed=0).double().eval()
    return nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 6), head=(12,)), seed=0).double().eval()


@pytest.fixture(scope="module")
def digits() -> nm.data.ImageSet:
    return nm.data.load("digits").test.subset(slice(12))


def both(digits: nm.data.ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    return digits.tensor().double(), digits.label_tensor()


def same(ours: Any, theirs: torch.Tensor, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(ours["attribution"], theirs.detach()[:, 0], atol=atol)


def test_saliency_is_theirs(model: nm.MLP, digits: nm.data.ImageSet) -> None:
    pixels, labels = both(digits)
    method = captum.Saliency(model)
    same(attribution.saliency(model, digits), method.attribute(pixels.requires_grad_(), labels, abs=False))


def test_gradient_times_input_is_theirs(model: nm.MLP, digits: nm.data.ImageSet) -> None:
    pixels, labels = both(digits)
    theirs = captum.InputXGradient(model).attribute(pixels.requires_grad_(), labels)
    same(attribution.gradient_times_input(model, digits), theirs)


@pytest.mark.parametrize("baseline", [0.0, 0.5])
def test_integrated_gradients_and_their_completeness_error_are_theirs(
    model: nm.MLP, digits: nm.data.ImageSet, baseline: float
) -> None:
    pixels, labels = both(digits)
    theirs, delta = captum.IntegratedGradients(model).attribute(
        pixels, baseline, labels, n_steps=50, return_convergence_delta=True
    )
    ours = attribution.integrated_gradients(model, digits, baseline=baseline)
    same(ours, theirs, atol=1e-8)  # their points on the path are float32
    np.testing.assert_allclose(ours["completeness_error"], delta, atol=1e-8)


def test_smooth_grad_without_clipping_noise_is_theirs_within_chance(model: nm.MLP, digits: nm.data.ImageSet) -> None:
    gray = digits.tensor().double() * 0.2 + 0.4  # noise of 0.05 then stays within 0..1
    torch.manual_seed(0)
    theirs = captum.NoiseTunnel(captum.Saliency(model)).attribute(
        gray, nt_type="smoothgrad", nt_samples=200, stdevs=0.05, target=3, abs=False
    )
    ours = attribution.smooth_grad(model, gray, target=3, noise=0.05, n=200)
    error = np.sqrt(2) * ours["standard_error"].values
    moving = error > 1e-9
    z = (ours["attribution"].values - theirs.detach()[:, 0].numpy())[moving] / error[moving]
    assert (z**2).mean() == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (2, 2), (3, 2)])
def test_occlusion_is_theirs(model: nm.MLP, digits: nm.data.ImageSet, patch: int, stride: int) -> None:
    pixels, labels = both(digits)
    theirs = captum.Occlusion(model).attribute(pixels, (1, patch, patch), (1, stride, stride), 0.25, labels)
    same(attribution.occlusion(model, digits, patch=patch, stride=stride, baseline=0.25), theirs)


def test_grad_cam_is_theirs(digits: nm.data.ImageSet) -> None:
    model = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 6), head=(12,)), seed=0).double().eval()
    pixels, labels = both(digits)
    for point in ("layers.0.hook_post", "layers.1.hook_post"):
        cam = captum.LayerGradCam(model, model.hook_points[point])
        theirs = cam.attribute(pixels, labels, relu_attributions=True)
        same(attribution.grad_cam(model, digits, point, upsample=False), theirs)
        large = captum.LayerAttribution.interpolate(theirs, (8, 8), "bilinear")
        same(attribution.grad_cam(model, digits, point), large)


def test_a_unit_as_target_is_their_neuron_gradient(model: nm.MLP, digits: nm.data.ImageSet) -> None:
    point = "layers.0.hook_pre"
    pixels, _ = both(digits)
    chosen = (2, 3, 4) if isinstance(model, nm.CNN) else 2
    ours = attribution.saliency(model, digits, target=(point, 2))
    if isinstance(model, nm.CNN):  # ours explains the mean of the map: theirs, summed over its places
        places = [(2, row, col) for row in range(8) for col in range(8)]
        method = captum.NeuronGradient(model, model.hook_points[point])
        same(ours, sum(method.attribute(pixels.clone().requires_grad_(), place) for place in places) / 64)
    else:
        method = captum.NeuronGradient(model, model.hook_points[point])
        same(ours, method.attribute(pixels.requires_grad_(), chosen))


@pytest.mark.parametrize("point", ["layers.0.hook_post", "layers.1.hook_post"])
def test_cutting_out_each_unit_is_their_layer_ablation(model: nm.MLP, digits: nm.data.ImageSet, point: str) -> None:
    pixels, labels = both(digits)

    def loss(images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(images), labels, reduction="none")

    effects = causal.ablate_all(model.float(), digits, point)["loss_change"].values
    model.double()
    _, cache = model.run_with_cache(pixels)
    shape = cache[point].shape[1:]
    whole = torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1)).expand(shape)[None]
    ablation = captum.LayerFeatureAblation(loss, model.hook_points[point])
    theirs = ablation.attribute(pixels, layer_baselines=0.0, layer_mask=whole.contiguous())
    one = theirs if theirs.ndim == 2 else theirs[:, :, 0, 0]
    np.testing.assert_allclose(effects, -one.detach().T, atol=2e-5)


def test_a_hooked_module_works_under_layer_and_neuron_methods() -> None:
    torch.manual_seed(0)
    lens = nm.hooked(LeNet().double().eval())
    pixels = torch.rand(4, 1, 28, 28, dtype=torch.float64)
    _, cache = lens.run_with_cache(pixels, incl_bwd=True, loss=lambda out: out[:, 2].sum())
    layer = lens.module.fc1
    torch.testing.assert_close(captum.LayerActivation(lens, layer).attribute(pixels), cache["fc1.hook_out"])
    product = captum.LayerGradientXActivation(lens, layer).attribute(pixels, target=2)
    torch.testing.assert_close(product, cache["fc1.hook_out"] * cache["fc1.hook_out_grad"])
    neuron = captum.NeuronGradient(lens, layer).attribute(pixels.clone().requires_grad_(), 5)
    given = pixels.clone().requires_grad_()
    one = lens.run_with_cache(given, names_filter="fc1.hook_out", incl_bwd=False, stop_at="fc1.hook_out")[0]
    torch.testing.assert_close(neuron, torch.autograd.grad(one[:, 5].sum(), given)[0])
