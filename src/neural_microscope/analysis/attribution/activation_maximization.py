"""Activation maximization: an input optimized for a unit, with the strongest images and random directions for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...errors import DataError
from ...measure import measure, of
from ...models import MLP
from ...statistics import beside, random_directions
from .planted import POINT, first, network, random_images
from .random_weights import random_networks
from .target import Images, Subject, by_unit, subject


@measure(
    "attribution",
    title="Activation maximization",
    null="the same ascent for {draws} random directions of the hook point; the unit of a random network",
    replicates="direction",
    interval="none",
    source="Erhan et al. 2009; L2, total variation and jitter as in Olah et al. 2017",
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
    seeds: Sequence[int] = (0, 1, 2),
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """Images that maximize a unit's activation (of a channel: the mean of its map), by gradient ascent.

    Adam climbs a(x) / sd - ``l2`` mean(x²) - ``tv`` mean|differences of neighboring pixels|, a the activation, sd its
    standard deviation over the images. The image is shifted at each step, and clipped to 0..1 after each. A unit that
    is off for the starting noise has no gradient and stays there: use ``hook_pre``.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        unit: Index of a unit or channel.
        steps: Number of steps of the ascent.
        learning_rate: Learning rate of Adam.
        l2: Weight of the mean squared pixel.
        tv: Weight of the mean absolute difference of neighboring pixels (total variation).
        jitter: Largest shift of the image at a step, in pixels.
        seeds: Seeds of the starting noise, one picture for each.
        draws: Number of draws of the null (random directions of the hook point).
        seed: Seed of the null's draws, of the shifts and of the random network.

    Returns:
        Pictures, and their activations compared with the data.

        * ``picture`` [seed, row, col], ``reached`` [seed]: a(picture).
        * ``best``, ``best_example``: the highest activation over the images, and where.
        * ``percentile`` [seed]: the percentage of the images below ``reached``.
        * ``reach`` [seed] = (reached - mean) / (best - mean): 1 as high as the best image; NaN for a unit that is
          constant on the images (a dead one). Its null is the same ascent for random directions, each from noise of its
          own: ``reach_null_low``, ``reach_null_high``, ``reach_p``, ``reach_shown`` [seed] (one-sided: the probability
          that a random direction reaches as far), ``null_reach`` [draw], ``null_picture`` [draw, row, col].
        * ``untrained_picture`` [seed, row, col], ``untrained_reach`` [seed]: the same unit of one network with random
          weights.

    Raises:
        UnknownName: A hook point that does not exist.
        HookError: A unit that does not exist.
        DataError: Invalid images, no steps, seeds or draws, or activations that are not finite.
    """
    if min(steps, len(seeds), draws) < 1:
        raise DataError(f"steps is {steps}, seeds {seeds!r}, draws {draws}; at least one of each is needed")
    ascend = partial(_ascend, steps=steps, rate=learning_rate, l2=l2, tv=tv, jitter=jitter, seed=seed)
    explained = subject(model, images, (hook_point, unit))
    acts, n = _activations(explained), len(seeds)
    own = np.eye(acts.shape[1])[[unit] * n]
    directions = np.concatenate([own, random_directions(draws, acts.shape[1], seed)])
    noise = [*seeds, *np.random.default_rng(seed).integers(2**31, 2**32, size=draws)]
    pictures, reached, reach = _climb(explained, acts, directions, noise, ascend)
    (random,) = (subject(net, images, (hook_point, unit)) for net in random_networks(model, 1, seed))
    untrained = _climb(random, _activations(random), own, seeds, ascend)
    data = acts[:, unit]
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
        attrs={"n_examples": len(data), "unit": unit},
    )


def _activations(explained: Subject) -> np.ndarray:
    """Activations of the images at the hook point, [example, unit]."""
    with torch.no_grad():
        found = [_read(explained, some) for some, _ in explained.batches()]
    acts = torch.cat(found).double().cpu().numpy()
    if not np.isfinite(acts).all():
        raise DataError(
            f"{explained.hook_point}: not all values are finite; the network has diverged. Take earlier snapshots"
        )
    return acts


def _read(explained: Subject, pixels: Tensor) -> Tensor:
    return by_unit(explained.output(pixels), explained.hook_point)


def _climb(
    explained: Subject, acts: np.ndarray, directions: np.ndarray, seeds: Sequence[int], ascend: Callable[..., Tensor]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pictures, values reached, the same on the scale mean 0 to best 1) of each of ``directions`` [n, unit]."""
    pixels = explained.pixels
    noise = [0.2 * torch.rand(pixels.shape[1:], generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
    along = torch.from_numpy(directions).to(pixels)
    data = acts @ directions.T
    mean, best, sd = data.mean(0), data.max(0), data.std(0)
    scale = torch.from_numpy(np.where(sd > 0, sd, 1)).to(pixels)
    found = ascend(lambda x: (_read(explained, x) * along).sum(1) / scale, torch.stack(noise).to(pixels))
    with torch.no_grad():
        reached = (_read(explained, found).double().cpu().numpy() * directions).sum(1)
    reach = (reached - mean) / np.where(best > mean, best - mean, np.nan)
    return found[:, 0].cpu().numpy(), reached, reach


def _ascend(
    score: Callable[[Tensor], Tensor], x: Tensor, steps: int, rate: float, l2: float, tv: float, jitter: int, seed: int
) -> Tensor:
    """Independently optimized images [n, 1, row, col] that start at ``x``; ``score`` is [n]."""
    x = x.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=rate)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        shift = rng.integers(-jitter, jitter + 1, 2).tolist()
        value = score(torch.roll(x, shift, (2, 3))) - l2 * (x**2).mean((1, 2, 3)) - tv * _variation(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        x.grad = -gradient
        adam.step()
        with torch.no_grad():
            x.clip_(0, 1)
    return x.detach()


def _variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighboring pixels, [n]."""
    return (x.diff(dim=2).abs().sum((1, 2, 3)) + x.diff(dim=3).abs().sum((1, 2, 3))) / x[0].numel()


# Its phantom.


def _whitest(model: MLP, images: Tensor, hook_point: str, unit: int, *settings: Any) -> float:
    """The highest possible activation of a linear unit."""
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
