"""Gradient-based attribution: the sensitivity of an output to each pixel, and each pixel's contribution to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...errors import DataError
from ...measure import of
from .planted import READS_NOTHING, network, random_images, reader, reads_the_patch, seen
from .target import BATCH, Baseline, Images, Target, absent, of_pixels, subject


@of_pixels(title="Saliency", source="Simonyan et al. 2014: df/dx")
def saliency(model: nn.Module, images: Images, *, target: Target = None) -> xr.Dataset:
    """Gradient of the target with respect to each pixel.

    Of a linear model it is its weights, whatever the image. All zero where the target does not depend on the pixels (a
    unit that is off).

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.

    Returns:
        ``attribution`` [example, row, col] = df/dx, ``magnitude`` = ``|df/dx|``, and ``value`` [example] = f(x), the
        target itself, a logit or an activation.

    Raises:
        UnknownName: A hook point that does not exist.
        HookError: A unit that does not exist.
        DataError: Invalid images, labels or classes, or a map that is not finite (a diverged network).

    >>> few = digits.test.subset(range(6))
    >>> nm.analysis.attribution.saliency(model, few, target=("layers.1.hook_post", 3))["attribution"].sizes
    Frozen({'example': 6, 'row': 8, 'col': 8})
    """
    explained = subject(model, images, target)
    found = [explained.gradient(*batch) for batch in explained.batches()]
    gradient, value = (torch.cat(part) for part in zip(*found, strict=True))
    units = f"{explained.unit} per unit of brightness"
    result = explained.table(gradient, value, units)
    result["magnitude"] = abs(result["attribution"]).assign_attrs(units=units)
    return result


@of_pixels(title="Gradient times input", source="Shrikumar et al. 2016: x df/dx")
def gradient_times_input(model: nn.Module, images: Images, *, target: Target = None) -> xr.Dataset:
    """Each pixel's first-order part of the target: the pixel times the gradient with respect to it.

    In a ReLU network without biases the parts of an image sum to the target exactly (Euler's theorem); otherwise the
    remainder is due to the biases. 0 wherever the image is black.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.

    Returns:
        ``attribution`` [example, row, col] = x df/dx and ``value`` [example] = f(x), in the target's unit.

    Raises:
        DataError: As `saliency`.

    >>> maps = nm.analysis.attribution.gradient_times_input(model, digits.test)["attribution"]
    >>> float(abs(maps.values[digits.test.images == 0]).max())
    0.0
    """
    explained = subject(model, images, target)
    found = [(pixels, *explained.gradient(pixels, which)) for pixels, which in explained.batches()]
    maps, value = torch.cat([x * g for x, g, _ in found]), torch.cat([v for _, _, v in found])
    return explained.table(maps, value, explained.unit)


@of_pixels(
    title="Integrated gradients",
    interval="its completeness error",
    source="Sundararajan et al. 2017: (x - b) times the mean of df/dx on the path from b to x",
)
def integrated_gradients(
    model: nn.Module,
    images: Images,
    *,
    target: Target = None,
    baseline: Baseline = "black",
    steps: int = 50,
) -> xr.Dataset:
    """The pixel's distance from a baseline times the mean gradient on the straight path from the baseline to the image.

    Of a linear model the map is w (x - b) exactly. On MNIST a black baseline is real background: black pixels get 0 by
    definition, so compare with ``"mean"``.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        baseline: Values of absent pixels: ``black``, ``mean`` of the images, ``blur``, a brightness, or an image
            [row, col].
        steps: Number of points of Gauss-Legendre quadrature.

    Returns:
        Maps in the target's unit, x the image and b the baseline.

        * ``attribution`` [example, row, col]: (x - b) times the mean of df/dx.
        * ``value`` = f(x), ``baseline_value`` = f(b) [example].
        * ``completeness_error`` [example]: sum of the attributions minus (f(x) - f(b)). It is 0 for the exact integral;
          a ReLU network changes its gradient in jumps, so the error shrinks like 1 / ``steps``: check it before
          trusting the map.

    Raises:
        DataError: Fewer than 1 step; otherwise as `saliency`.
    """
    if steps < 1:
        raise DataError(f"steps is {steps}; it must be at least 1")
    points, weights = np.polynomial.legendre.leggauss(steps)
    explained = subject(model, images, target)
    start = absent(baseline, explained.pixels)
    maps = []
    for (pixels, which), begin in zip(explained.batches(), start.split(BATCH), strict=True):
        mean = torch.zeros_like(pixels)
        for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            mean += weight * explained.gradient(begin + point * (pixels - begin), which)[0]
        maps.append((pixels - begin) * mean)
    value = explained.values(explained.pixels, explained.everyone)
    base = explained.values(start, explained.everyone)
    found = torch.cat(maps)
    result = explained.table(found, value, explained.unit, steps=steps, baseline=_words(baseline))
    error = found.double().sum((1, 2, 3)) - (value.double() - base.double())
    result["baseline_value"] = ("example", base.cpu().numpy(), {"units": explained.unit})
    result["completeness_error"] = ("example", error.cpu().numpy(), {"units": explained.unit})
    return result


@of_pixels(
    title="SmoothGrad",
    replicates="noisy copy",
    interval="standard error over the copies",
    source="Smilkov et al. 2017: mean of df/dx over noisy copies",
)
def smooth_grad(
    model: nn.Module, images: Images, *, target: Target = None, noise: float = 0.15, n: int = 25, seed: int = 0
) -> xr.Dataset:
    """Mean gradient of the target over noisy copies of each image.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        noise: Standard deviation of the Gaussian noise, in brightness (0..1); noisy pixels are clipped to 0..1, the
            models' range. With 0 the map is that of `saliency`.
        n: Number of noisy copies.
        seed: Seed of the noise.

    Returns:
        ``attribution`` [example, row, col], the mean of df/dx; ``standard_error`` [example, row, col] of that mean,
        over the copies (NaN for one copy); and ``value`` [example], f(x).

    Raises:
        DataError: A negative noise, or no copies; otherwise as `saliency`.
    """
    if n < 1 or not noise >= 0:
        raise DataError(f"n is {n} and noise {noise}; n must be at least 1 and noise at least 0")
    explained = subject(model, images, target)
    generator = torch.Generator().manual_seed(seed)
    total, square = torch.zeros_like(explained.pixels), torch.zeros_like(explained.pixels)
    for _ in range(n):
        drawn = noise * torch.randn(explained.pixels.shape, generator=generator)
        noisy = (explained.pixels + drawn.to(explained.pixels)).clip(0, 1) if noise else explained.pixels
        found = torch.cat([explained.gradient(noisy[which], which)[0] for _, which in explained.batches()])
        total, square = total + found, square + found**2
    mean, units = total / n, f"{explained.unit} per unit of brightness"
    value = explained.values(explained.pixels, explained.everyone)
    result = explained.table(mean, value, units, n_copies=n, noise=noise)
    spread = ((square / n - mean**2).clip(0) / (n - 1)).sqrt() if n > 1 else torch.full_like(mean, torch.nan)
    result["standard_error"] = (("example", "row", "col"), spread[:, 0].cpu().numpy(), {"units": units})
    return result


def _words(baseline: Baseline) -> str:
    return baseline if isinstance(baseline, str) else "an image" if np.ndim(baseline) else f"{float(baseline):g}"


# Phantoms.


reads_the_patch(saliency, "saliency")
reads_the_patch(smooth_grad, "SmoothGrad", n=5, seed=0)


def _rise(model: nn.Module, images: Tensor) -> float:
    """f(x) - f(black)."""
    with torch.no_grad():
        return float(model(images)[0, 0] - model(0 * images)[0, 0])


def _adds_up(method: Callable[..., xr.Dataset], name: str, planted: str, tolerance: float) -> Any:
    return of(method).calibrated_on(
        planted,
        _rise,
        tolerance,
        empty=READS_NOTHING,
        name=f"{name} (sum)",
        unit="logit",
        read=lambda found: found["attribution"].sum(),
        alarm=seen,
        target=0,
    )


@_adds_up(gradient_times_input, "gradient × input", "a ReLU network without biases, where the sum is the logit", 1e-12)
def _without_biases(seed: int, planted: bool) -> tuple[nn.Module, Tensor]:
    return (network(seed, 8, bias=False), random_images(seed, 1)) if planted else reader(seed, planted)


@_adds_up(integrated_gradients, "integrated gradients", "a tanh network, where the sum is f(x) - f(black)", 1e-9)
def _smooth(seed: int, planted: bool) -> tuple[nn.Module, Tensor]:
    """A smooth network, where the quadrature converges fast."""
    return (network(seed, 8, activation="tanh"), random_images(seed, 1)) if planted else reader(seed, planted)
