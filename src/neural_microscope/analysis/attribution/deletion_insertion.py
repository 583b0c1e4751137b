"""Deletion and insertion: the output as pixels are removed, or restored, in the order of an attribution map."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.integrate import trapezoid
from torch import Tensor, nn

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import ONE_NETWORK, Side, beside, bootstrap_mean
from .gradients import gradient_times_input
from .planted import POINT, SIDE, network, random_images
from .target import BATCH, Baseline, Images, Subject, Target, absent, subject


@measure(
    "attribution",
    title="Deletion and insertion",
    null="{draws} random orders of each image's pixels, or given maps of random networks",
    replicates="order or network",
    interval=f"bootstrap: {ONE_NETWORK}",
    source="Petsiuk et al. 2018 (RISE): areas under deletion and insertion curves",
)
def deletion_insertion(
    model: nn.Module,
    images: Images,
    attribution: xr.DataArray,
    *,
    target: Target = None,
    baseline: Baseline = "black",
    steps: int = 14,
    null: xr.DataArray | None = None,
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """The output as the pixels that a map ranks highest are deleted, and as they are inserted.

    Pixels go in order of attribution, ties in random order, to the baseline (deletion) or from it back to the image
    (insertion), in shares of 0, 1 / ``steps``, …, 1. The output is the probability (softmax) of the target's class, or
    the activation itself for a unit. Black is real background on MNIST, and a digit half deleted may be another digit:
    compare ``"mean"`` and ``"blur"``. The nulls are ours.

    Args:
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        attribution: Map [example, row, col] of the same images; a constant map is a random order.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        baseline: Values of absent pixels: ``black``, ``mean`` of the images, ``blur``, a brightness, or an image
            [row, col].
        steps: Number of steps from no pixel to all.
        null: Maps [draw, example, row, col] to compare with instead of random orders: those that `against_untrained`
            returns as ``untrained`` are stricter, since a map of the ink alone beats any random order. None: random
            orders.
        draws: Number of draws of the null (random orders of each image's pixels).
        seed: Seed of the null's draws, of the order of ties and of the bootstrap.

    Returns:
        Curves at the coordinate ``share``, and areas under them.

        * ``deletion``, ``insertion`` [bin]: means over images; ``…_low``, ``…_high``: bootstrap over images;
          ``…_null_low``, ``…_null_high``: the band of the same means under the null.
        * ``deletion_auc``, ``insertion_auc`` [example]: mean height of each image's curve (trapezoids), with
          ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided: the probability that the null's deletion is as low, its
          insertion as high), ``…_q`` over the images and ``…_shown``.
        * ``deletion_mean``, ``insertion_mean``: over all images, with interval, band and ``…_p``.

    Raises:
        DataError: Maps of a different size, fewer than 1 step or draw; otherwise as `saliency`.
    """
    if steps < 1 or draws < 1:
        raise DataError(f"steps is {steps} and draws {draws}; both must be at least 1")
    explained = subject(model, images, target)
    rng = np.random.default_rng(seed)
    maps = [_checked(attribution, explained)]
    maps += [0 * maps[0]] * draws if null is None else [_checked(one, explained) for one in null.transpose("draw", ...)]
    shares = np.linspace(0, 1, steps + 1)
    start = absent(baseline, explained.pixels)
    at_once = max(1, BATCH // (len(explained) * len(shares)))  # orders in one pass
    curves = np.concatenate(
        [
            _curves(explained, start, np.stack([_places(one, rng) for one in maps[i : i + at_once]]), shares)
            for i in range(0, len(maps), at_once)
        ],
        1,
    )
    areas = trapezoid(curves, shares, axis=-1)
    answer = "activation" if explained.hook_point else "probability"
    tables = _tables("deletion", curves[0], areas[0], "below", answer, seed)
    tables |= _tables("insertion", curves[1], areas[1], "above", answer, seed)
    return xr.Dataset(
        tables,
        coords={"share": ("bin", shares), **explained.coords()},
        attrs={
            **explained.about,
            "baseline": baseline if isinstance(baseline, str) else "given",
            "null": f"{draws} random orders of each image's pixels" if null is None else f"{len(maps) - 1} given maps",
        },
    )


def _curves(explained: Subject, start: Tensor, places: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Outputs [way, order, example, bin] as pixels change in the orders ``places`` [order, example, pixel]."""
    pixels, size = explained.pixels, (*places.shape[:2], len(shares))
    counts = np.round(shares * places.shape[2])
    first = torch.from_numpy(places[:, :, None] < counts[:, None]).to(pixels.device)  # [order, example, bin, pixel]
    first = first.view(*size, 1, *pixels.shape[2:])
    which = explained.everyone[None, :, None].expand(size).flatten()
    mixed = (torch.where(gone, start[:, None], pixels[:, None]).flatten(0, 2) for gone in (first, ~first))
    answers = (explained.values(some, which, probability=not explained.hook_point) for some in mixed)
    return np.stack([answer.view(size).cpu().numpy() for answer in answers]).astype(np.float64)


def _checked(attribution: xr.DataArray, explained: Subject) -> np.ndarray:
    """The map, checked, as [example, pixel]."""
    if not isinstance(attribution, xr.DataArray):
        raise DataError(f'attribution must be a DataArray, the result["attribution"]; got {type(attribution).__name__}')
    maps = named.values(attribution, "example", "row", "col")
    size = [len(explained), *explained.pixels.shape[2:]]
    if list(maps.shape) != size:
        raise DataError(f"the attribution has shape {list(maps.shape)}, the images {size}; give maps of these images")
    if explained.labels is not None and "label" in attribution.coords:
        named.same_examples(attribution, xr.DataArray(maps, dims=("example", "row", "col"), coords=explained.coords()))
    return maps.reshape(len(maps), -1)


def _places(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rank of each pixel, highest attribution first, ties in random order, [example, pixel]."""
    return np.lexsort((rng.random(maps.shape), -maps)).argsort(-1)


def _tables(
    way: str, curves: np.ndarray, areas: np.ndarray, side: Side, units: str, seed: int
) -> dict[str, tuple[Any, ...]]:
    """Curves and areas of one way; ``curves`` [order, example, bin], ``areas`` [order, example], the map's own order first."""
    set_beside = partial(beside, side=side, units=units)
    mean, of_images = areas.mean(1), bootstrap_mean(areas[0], seed=seed)
    curve = set_beside(
        way, curves[0].mean(0), curves[1:].mean(1), "bin", interval=bootstrap_mean(curves[0].T, seed=seed), family=False
    )
    return {
        **{name: values for name, values in curve.items() if not name.endswith(("_p", "_shown"))},
        **set_beside(f"{way}_auc", areas[0], areas[1:], "example"),
        **set_beside(f"{way}_mean", mean[0], mean[1:], interval=of_images, family=False),
    }


# Phantoms.


def _reads(way: str) -> Any:
    def area(model: nn.Module, images: Tensor, parts: xr.DataArray, target: Target, steps: int) -> float:
        """The area in closed form as the terms of a linear unit are removed, or restored, the largest first."""
        value = float(gradient_times_input(model, images, target=target)["value"][0])
        gone = np.append(0, -np.sort(-parts.values.flatten()).cumsum())
        left = value + (gone - gone[-1] if way == "insertion" else -gone)
        return float((left[1:] + left[:-1]).mean() / 2)

    return of(deletion_insertion).calibrated_on(
        "a linear unit: sums of its sorted terms",
        area,
        1e-12,
        empty="a random map; alarm: p < 0.05 against random orders",
        name=f"{way} curve (area)",
        unit="activation",
        read=f"{way}_mean",
    )


@_reads("insertion")
@_reads("deletion")
def _parts(seed: int, planted: bool) -> dict[str, Any]:
    if planted:
        model, x, target = network(seed, 3), random_images(seed, 1), (POINT, 0)
        parts = gradient_times_input(model, x, target=target)["attribution"]
        return {"model": model, "images": x, "attribution": parts, "target": target, "steps": SIDE**2}
    noise = np.random.default_rng([seed, 1]).normal(size=(2, 4, 4))
    return {
        "model": network(seed, side=4),
        "images": random_images(seed, 2, 4),
        "attribution": xr.DataArray(noise, dims=("example", "row", "col")),
        "target": 0,
        "steps": 6,
    }
