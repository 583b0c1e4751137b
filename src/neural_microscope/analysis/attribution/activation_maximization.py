"""What a unit would like to see: an image made for it, beside how far data and random directions go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ...errors import DataError, HookError
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...models import MLP
from ...statistics import beside, random_directions
from .planted import POINT, first, network, random_images
from .random_weights import random_networks
from .target import BATCH, Images, by_unit, tensor

BLUR_EVERY = 10
"""Steps between two blurs."""


@measure(
    "attribution",
    title="Activation maximization",
    null="random directions of the layer; a unit of a random network",
    replicates="direction",
    interval="none",
    family="units",
    source="Erhan et al. 2009; Olah et al. 2017",
)
def activation_maximization(
    model: nn.Module,
    images: Images,
    hook_point: str,
    unit: int,
    *,
    steps: int = 128,
    learning_rate: float = 0.05,
    l2: float = 10.0,
    tv: float = 10.0,
    jitter: int = 1,
    blur: float = 0.0,
    seeds: Sequence[int] = (0, 1, 2),
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """Images with pixels in 0..1 that drive a unit (of a channel: the mean of its map) as high as gradient ascent gets.

    Adam climbs a(x) / sd - ``l2`` mean(x²) - ``tv`` mean|differences of neighbours|, a the activation, sd its standard
    deviation over ``images``; the image is shifted by up to ``jitter`` pixels at each step and, with ``blur`` above 0,
    blurred with that standard deviation (pixels) every tenth step; clipped to 0..1 after each. ``picture`` [seed, row,
    col]: one for each of ``seeds``, the seed of the noise it starts from; ``reached`` [seed]: a(picture).

    Beside it the data: ``best``, ``best_example``: the highest over ``images`` and where; ``percentile`` [seed]: per cent
    of the images that lie below; ``reach`` [seed] = (reached - mean) / (best - mean): 1 as high as the best image;
    NaN for a unit that is constant on the images (a dead one). Its null: the same ascent for ``draws`` random
    directions of the hook point, each from noise of its own: ``reach_null_low``, ``reach_null_high``, ``reach_p``, ``reach_shown`` [seed]
    (one-sided: how likely one gets as far), ``null_reach`` [draw], ``null_picture`` [draw, row, col]; and the same unit of one network with
    random weights: ``untrained_picture`` [seed, row, col], ``untrained_reach`` [seed]. A unit that is off on the
    starting noise has no gradient and stays there: take ``hook_pre``.

    Errors: UnknownName for a wrong hook point, HookError for a wrong unit, DataError for images that can't be, no steps,
    seeds or draws. Source: Erhan et al. 2009; regularisers as in Olah et al. 2017.
    """
    if min(steps, len(seeds), draws) < 1:
        raise DataError(f"steps is {steps}, seeds {seeds!r}, draws {draws}; at least one of each is needed")
    ascent = _Ascent(steps, learning_rate, l2, tv, jitter, blur, seed)
    layer = _Layer(model, hook_point, tensor(images))
    wide = layer.acts.shape[1]
    if not 0 <= unit < wide:
        raise HookError(f"{hook_point!r} has units 0 to {wide - 1}; there is no unit {unit}")
    own = np.eye(wide)[[unit] * len(seeds)]
    directions = np.concatenate([own, random_directions(draws, wide, seed)])
    noise = [*seeds, *np.random.default_rng(seed).integers(2**31, 2**32, size=draws)]
    pictures, reached, reach = layer.climb(directions, noise, ascent)
    (random,) = random_networks(model, 1, seed)
    untrained = _Layer(random, hook_point, tensor(images)).climb(own, list(seeds), ascent)
    data, n = layer.acts[:, unit], len(seeds)
    return xr.Dataset(
        {
            "picture": (("seed", "row", "col"), pictures[:n], {"units": "brightness"}),
            "reached": ("seed", reached[:n], {"units": "activation"}),
            "percentile": ("seed", 100 * (data < reached[:n, None]).mean(1), {"units": "%"}),
            **beside("reach", reach[:n], np.repeat(reach[n:, None], n, 1), "seed", family=False),
            "best": ((), data.max(), {"units": "activation"}),
            "best_example": ((), int(data.argmax())),
            "null_picture": (("draw", "row", "col"), pictures[n:], {"units": "brightness"}),
            "null_reach": ("draw", reach[n:], {"units": "1"}),
            "untrained_picture": (("seed", "row", "col"), untrained[0], {"units": "brightness"}),
            "untrained_reach": ("seed", untrained[2], {"units": "1"}),
        },
        coords={"seed": list(seeds)},
        attrs={
            "n_examples": len(data),
            "hook_point": hook_point,
            "unit": unit,
            "null": f"the same ascent for {draws} random directions of the hook point; the unit of a random network",
            "interval": "none; the unit of replication is a direction",
            "seed": seed,
            "source": "Erhan et al. 2009; L2, total variation, jitter and blur as in Olah et al. 2017",
        },
    )


@dataclass(frozen=True)
class _Ascent:
    """The settings of a climb."""

    steps: int
    learning_rate: float
    l2: float
    tv: float
    jitter: int
    blur: float
    seed: int

    def climb(self, score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Images [n, 1, row, col] that started at ``x``, none of which knows of the others; ``score`` is [n]."""
        x = x.clone().requires_grad_()
        adam = torch.optim.Adam([x], lr=self.learning_rate)
        rng = np.random.default_rng(self.seed)
        for step in range(self.steps):
            shift = rng.integers(-self.jitter, self.jitter + 1, 2).tolist()
            adam.zero_grad()
            value = score(torch.roll(x, shift, (2, 3))) - self.l2 * (x**2).mean((1, 2, 3)) - self.tv * _variation(x)
            (x.grad,) = torch.autograd.grad(value.sum(), x)
            x.grad.neg_()
            adam.step()
            with torch.no_grad():
                if self.blur and step % BLUR_EVERY == BLUR_EVERY - 1:
                    blurred = gaussian_filter(x.cpu().numpy(), (0, 0, self.blur, self.blur), mode="constant")
                    x.copy_(torch.from_numpy(blurred))
                x.clip_(0, 1)
        return x.detach()


def _variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, [n]."""
    return (x.diff(dim=2).abs().sum((1, 2, 3)) + x.diff(dim=3).abs().sum((1, 2, 3))) / x[0].numel()


class _Layer:
    """A hook point of a model, and what the images do there."""

    def __init__(self, model: nn.Module, hook_point: str, images: Tensor) -> None:
        parameter = next((p for p in model.parameters() if p.is_floating_point()), images)
        self.lens, self.name = hooked(model), hook_point
        self.pixels = images.to(parameter.device, parameter.dtype)
        with torch.no_grad(), evaluation(self.lens):
            acts = torch.cat([self.read(some) for some in self.pixels.split(BATCH)]).double().cpu().numpy()
        if not np.isfinite(acts).all():
            raise DataError(
                f"{hook_point}: not all values are finite; the network has diverged. Take earlier snapshots"
            )
        self.acts = acts

    def read(self, pixels: Tensor) -> Tensor:
        return by_unit(self.lens.run_with_hooks(pixels, stop_at=self.name), self.name)

    def climb(
        self, directions: np.ndarray, seeds: Sequence[int], ascent: _Ascent
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pictures, what they reach, the same on the scale mean 0 to best 1) of each of ``directions`` [n, unit]."""
        shape = self.pixels.shape[1:]
        noise = [0.2 * torch.rand(shape, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        along = torch.from_numpy(directions).to(self.pixels)
        data = self.acts @ directions.T
        mean, best, sd = data.mean(0), data.max(0), data.std(0)
        scale = torch.from_numpy(np.where(sd > 0, sd, 1)).to(self.pixels)
        with evaluation(self.lens):
            found = ascent.climb(lambda x: (self.read(x) * along).sum(1) / scale, torch.stack(noise).to(self.pixels))
        with torch.no_grad(), evaluation(self.lens):
            reached = (self.read(found).double().cpu().numpy() * directions).sum(1)
        reach = (reached - mean) / np.where(best > mean, best - mean, np.nan)
        return found[:, 0].cpu().numpy(), reached, reach


# Its phantom.


def _whitest(model: MLP, images: Tensor, hook_point: str, unit: int, *settings: Any) -> float:
    """The highest that a linear unit can be."""
    weight, bias = first(model)
    return float((weight[unit].clip(0).sum() + bias[unit]).detach())


@of(activation_maximization).calibrated_on(
    "a linear unit: the sum of its positive weights",
    _whitest,
    1e-9,
    empty="a unit that is a random direction; alarm: p < 0.05",
    name="activation maximization",
    unit="activation",
    read="reached",
    alarm="reach_shown",
    l2=0,
    tv=0,
    jitter=0,
)
def _unit(seed: int, planted: bool) -> dict[str, Any]:
    """A linear unit; or one with Gaussian weights, so that units are random directions themselves."""
    if planted:
        given = {"model": network(seed, 3), "images": random_images(seed), "hook_point": POINT, "unit": 1}
        return given | {"seeds": (seed,), "steps": 32, "draws": 1}
    model = network(seed, 12, side=4)
    with torch.no_grad():
        weight = first(model)[0]
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)))
    given = {"model": model, "images": random_images(seed, 12, 4), "hook_point": POINT, "unit": 0}
    return given | {"seeds": (seed,), "steps": 2, "learning_rate": 0.5}
