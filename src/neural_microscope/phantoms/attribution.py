"""Networks that read a planted patch, or weights known in closed form, for maps, their checks and images made for units."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import Tensor, nn

from ..analysis import attribution
from ..analysis.attribution import random_weights
from ..config import MLPConfig
from ..models import MLP
from .instrument import Instrument

SIDE = 6
PATCH = (slice(1, 3), slice(2, 4))
"""The four pixels that a reader reads."""
POINT = "layers.0.hook_pre"


def pixels(seed: int, n: int = 2, side: int = SIDE) -> Tensor:
    """``n`` images of uniform noise, [example, 1, row, col] in float64."""
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(seed: int, *hidden: int, side: int = SIDE, **settings: Any) -> MLP:
    return MLP(MLPConfig(image_shape=(side, side), classes=2, hidden=hidden, **settings), seed=seed).double()


def reader(seed: int, planted: bool = True) -> MLP:
    """A network that reads nothing outside the patch; with nothing planted it reads no pixel at all."""
    model, mask = network(seed, 8), torch.zeros(SIDE, SIDE, dtype=torch.float64)
    mask[PATCH] = float(planted)
    with torch.no_grad():
        first(model)[0].mul_(mask.flatten())
    return model


def first(model: MLP) -> tuple[Tensor, Tensor]:
    """Weight and bias of the first layer."""
    return model.get_parameter("layers.0.linear.weight"), model.get_parameter("layers.0.linear.bias")


def mass_inside(result: xr.Dataset) -> float:
    """Share of |attribution| that lies in the patch."""
    size = abs(result["attribution"].values)
    return float(size[(slice(None), *PATCH)].sum() / size.sum())


def sees(method: Callable[..., xr.Dataset], model: nn.Module, seed: int) -> bool:
    """Whether a map says that any pixel matters."""
    return bool(method(model, pixels(seed, 1), target=0)["attribution"].any())


def of_patch(method: Callable[..., xr.Dataset], name: str, words: str) -> Instrument:
    return Instrument(
        f"{words} (mass inside the patch)",
        f"attribution.{name}",
        "a ReLU network that reads 4 of 36 pixels",
        "a network that reads no pixel; alarm: any attribution that is not 0",
        lambda seed: (1.0, mass_inside(method(reader(seed), pixels(seed), target=0))),
        1e-12,
        lambda seed: sees(method, reader(seed, planted=False), seed),
    )


def one_pixel(model: nn.Module, images: Tensor, *, target: int) -> xr.Dataset:
    """Occlusion of single pixels; larger patches would smear over the patch's edge."""
    return attribution.occlusion(model, images, target=target, patch=1)


def completeness(seed: int) -> tuple[float, float]:
    """(f(x) - f(black), the sum of integrated gradients) of a smooth network, where the quadrature converges fast."""
    model, x = network(seed, 8, activation="tanh"), pixels(seed, 1)
    with torch.no_grad():
        change = model(x)[0, 0] - model(0 * x)[0, 0]
    return float(change), float(attribution.integrated_gradients(model, x, target=0)["attribution"].sum())


def euler(seed: int) -> tuple[float, float]:
    """(a logit, the sum of gradient x input) of a ReLU network without biases."""
    result = attribution.gradient_times_input(network(seed, 8, bias=False), pixels(seed, 1), target=0)
    return float(result["value"][0]), float(result["attribution"].sum())


class Pooled(nn.Sequential):
    """Convolution, ReLU, global average pooling, one linear layer; with nothing planted the last reads nothing."""

    def __init__(self, seed: int, planted: bool = True) -> None:
        super().__init__(
            nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
        )
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            head = self.get_parameter("4.weight")
            head.copy_(head.abs() * planted)
        self.double()


def activation_map(seed: int) -> tuple[float, float]:
    """(The class activation map's highest value over the number of places, Grad-CAM's)."""
    model, x = Pooled(seed), pixels(seed, 1)
    with torch.no_grad():
        cam = torch.einsum("k,ekrc->erc", model.get_parameter("4.weight")[0], model[1](model[0](x))).relu() / SIDE**2
    found = attribution.grad_cam(model, x, "1.hook_out", target=0, upsample=False)
    return float(cam.max()), float(found["attribution"].max())


def lit(seed: int, planted: bool = True) -> tuple[float, float]:
    """(W2 W1 at a pixel, the unit's response to it) without biases and with weights above 0; or with every first unit off."""
    model = network(seed, 4, 3, bias=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parameter.abs() if name.endswith("weight") else torch.zeros_like(parameter))
        if not planted:
            first(model)[1].fill_(-1000)
        weights = [parameter for name, parameter in model.named_parameters() if name.endswith("weight")]
        truth = (weights[1] @ weights[0])[1, 8] * planted
    result = attribution.single_pixels(model, "layers.1.hook_post")
    change = (result["response"] - result["black"])[1].values.flatten()
    return float(truth), float(change[8]) if planted else float(abs(change).max())


def area(way: str, seed: int) -> tuple[float, float]:
    """(The area in closed form, the measured one) as the parts of a linear unit go, or come back, the largest first."""
    model, x = network(seed, 3), pixels(seed, 1)
    parts = attribution.gradient_times_input(model, x, target=(POINT, 0))
    ordered = -np.sort(-parts["attribution"].values.flatten())
    gone = np.append(0, ordered.cumsum())
    left = float(parts["value"][0]) + (gone - gone[-1] if way == "insertion" else -gone)
    result = attribution.deletion_insertion(model, x, parts["attribution"], target=(POINT, 0), steps=SIDE**2, draws=1)
    return float((left[1:] + left[:-1]).mean() / 2), float(result[f"{way}_mean"])


def beats_random_order(way: str, seed: int, map_of: Callable[..., np.ndarray]) -> bool:
    """Whether a map is said to point at pixels that matter, by p below 0.05."""
    model, x = network(seed, side=4), pixels(seed, 2, 4)
    maps = xr.DataArray(map_of(model, x), dims=("example", "row", "col"))
    result = attribution.deletion_insertion(model, x, maps, target=0, steps=6, seed=seed)
    return float(result[f"{way}_mean_p"]) < 0.05


def noise(seed: int) -> Callable[..., np.ndarray]:
    return lambda model, x: np.random.default_rng([seed, 1]).normal(size=x[:, 0].shape)


def likeness(seed: int) -> tuple[float, float]:
    """(The rank correlation of two weight vectors, that of the maps of a linear network and a random one)."""
    model, x = network(seed), pixels(seed)
    (other,) = random_weights.random_networks(model, 1, seed)
    own, new = (weights_as_map(net, x, target=0)["attribution"].values[0].flatten() for net in (model, other))
    truth = stats.spearmanr(own, new).statistic
    result = attribution.sanity_check(attribution.saliency, model, x, target=0, draws=1, seed=seed)
    return float(truth), float(result["similarity"][0])


def weights_as_map(model: nn.Module, images: Tensor, *, target: int) -> xr.Dataset:
    """The gradient of a linear network's logit, read off its weights."""
    side = images.shape[-1]
    (weights,) = (parameter for name, parameter in model.named_parameters() if name.endswith("weight"))
    tile = weights[target].detach().reshape(side, side).numpy()
    return xr.Dataset({"attribution": (("example", "row", "col"), np.stack([tile] * len(images)))})


def ink(model: nn.Module, images: Tensor, *, target: int) -> xr.Dataset:
    """A map that asks no network."""
    return xr.Dataset({"attribution": (("example", "row", "col"), images[:, 0].numpy())})


def depends_on_weights(method: Callable[..., xr.Dataset], seed: int) -> bool:
    """Whether a method is said to show the network."""
    result = attribution.sanity_check(method, network(seed, side=4), pixels(seed, 2, 4), target=0, draws=3, seed=seed)
    return not bool(result["insensitive"])


def outside(seed: int) -> tuple[float, float]:
    """(The share of the pixels in the patch, the share found beyond all random networks)."""
    model = network(seed)
    with torch.no_grad():
        model.output.weight[:] = 0
        model.output.weight.view(2, SIDE, SIDE)[(slice(None), *PATCH)] = 1
    found = attribution.against_untrained(weights_as_map, model, pixels(seed), target=0, seed=seed)
    return 4 / SIDE**2, float(found["mean_outside"])


def linear(seed: int) -> nn.Module:
    """A linear network with PyTorch's initialisation, quick to copy."""
    return random_weights.fresh(nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 2)), seed).double()


def unlike_random(model: nn.Module, seed: int) -> bool:
    """Whether a network's map is said to differ from random networks'."""
    result = attribution.against_untrained(weights_as_map, model, pixels(seed, 1), target=0, seed=seed)
    return float(result["mean_outside_p"]) < 0.05


def whitest(seed: int) -> tuple[float, float]:
    """(The highest that a linear unit can be, what the ascent reaches)."""
    model = network(seed, 3)
    with torch.no_grad():
        weight, bias = first(model)
        top = float(weight[1].clip(0).sum() + bias[1])
    result = attribution.activation_maximization(
        model, pixels(seed), POINT, 1, steps=32, l2=0, tv=0, jitter=0, seeds=(seed,), draws=1
    )
    return top, float(result["reached"][0])


def goes_further(seed: int, planted: bool = False) -> bool:
    """Whether a unit is said to go further beyond the data than random directions. Weights are Gaussian, so that units are
    random directions themselves; a planted unit reads only pixels that are dark in the data.
    """
    model, x = network(seed, 12, side=4), pixels(seed, 12, 4)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = first(model)[0]
        weight.copy_(torch.randn(weight.shape, generator=generator))
        if planted:
            weight[0] = torch.eye(16, dtype=torch.float64)[0]
            x[:, 0, 0, 0] *= 0.05
    result = attribution.activation_maximization(
        model, x, POINT, 0, steps=2, learning_rate=0.5, l2=0, tv=0, jitter=0, seeds=(seed,), seed=seed
    )
    return float(result["reach_p"][0]) < 0.05


INSTRUMENTS: list[Instrument] = [
    of_patch(attribution.saliency, "saliency", "saliency"),
    of_patch(functools.partial(attribution.smooth_grad, n=5), "smooth_grad", "SmoothGrad"),
    of_patch(one_pixel, "occlusion", "occlusion"),
    Instrument(
        "gradient × input (sum)",
        "attribution.gradient_times_input",
        "a ReLU network without biases, where the sum is the logit",
        "a network that reads no pixel; alarm: any attribution that is not 0",
        euler,
        1e-12,
        lambda seed: sees(attribution.gradient_times_input, reader(seed, planted=False), seed),
        "logit",
    ),
    Instrument(
        "integrated gradients (sum)",
        "attribution.integrated_gradients",
        "a tanh network, where the sum is f(x) - f(black)",
        "a network that reads no pixel; alarm: any attribution that is not 0",
        completeness,
        1e-9,
        lambda seed: sees(
            functools.partial(attribution.integrated_gradients, steps=5), reader(seed, planted=False), seed
        ),
        "logit",
    ),
    Instrument(
        "Grad-CAM",
        "attribution.grad_cam",
        "convolution, global average pooling, linear: the class activation map",
        "a network whose last layer reads nothing; alarm: a map that is not 0",
        activation_map,
        1e-12,
        lambda seed: bool(
            attribution.grad_cam(Pooled(seed, planted=False), pixels(seed), "1.hook_out", target=0)["attribution"].any()
        ),
    ),
    Instrument(
        "single lit pixels",
        "attribution.single_pixels",
        "a network with every ReLU open: W2 W1",
        "a network with every unit off; alarm: any response",
        lit,
        1e-12,
        lambda seed: lit(seed, planted=False)[1] > 0,
        "activation",
    ),
    Instrument(
        "deletion curve (area)",
        "attribution.deletion_insertion",
        "a linear unit: sums of its sorted parts",
        "a random map; alarm: p < 0.05 against random orders",
        lambda seed: area("deletion", seed),
        1e-12,
        lambda seed: beats_random_order("deletion", seed, noise(seed)),
        "activation",
    ),
    Instrument(
        "insertion curve (area)",
        "attribution.deletion_insertion",
        "a linear unit: sums of its sorted parts",
        "a random map; alarm: p < 0.05 against random orders",
        lambda seed: area("insertion", seed),
        1e-12,
        lambda seed: beats_random_order("insertion", seed, noise(seed)),
        "activation",
    ),
    Instrument(
        "cascading randomisation",
        "attribution.sanity_check",
        "two linear networks: the rank correlation of their weights",
        "a map of the image alone; alarm: said to depend on the weights",
        likeness,
        1e-12,
        lambda seed: depends_on_weights(ink, seed),
    ),
    Instrument(
        "map against random networks (share outside)",
        "attribution.against_untrained",
        "a linear network that reads 4 of 36 pixels",
        "a network with random weights; alarm: p < 0.05",
        outside,
        1e-12,
        lambda seed: unlike_random(linear(seed), seed),
    ),
    Instrument(
        "activation maximization",
        "attribution.activation_maximization",
        "a linear unit: the sum of its positive weights",
        "a unit that is a random direction; alarm: p < 0.05",
        whitest,
        1e-9,
        goes_further,
        "activation",
    ),
]
