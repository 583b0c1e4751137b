"""Sanity checks of attribution methods: the same method on networks with random weights, fully or from the top down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import sobel
from scipy.stats import rankdata, spearmanr
from torch import Tensor, nn

from ...errors import DataError
from ...measure import measure, of
from ...statistics import ONE_NETWORK, beside, bootstrap_mean, null_band
from .gradients import saliency
from .planted import PATCH, SIDE, network, random_images
from .random_weights import cascade, fresh, layers, random_networks
from .target import Images, Target, subject

Method = Callable[..., xr.Dataset]
"""A function of this package that is called ``method(model, images, target=…)``; settings through ``functools.partial``."""

INSENSITIVE = 0.99
"""Maps whose mean rank correlation with those of random networks reaches this value do not depend on the network."""


@measure(
    "attribution",
    title="Maps against untrained networks",
    null="the same method on {draws} networks of the same architecture with random weights",
    replicates="random network",
    interval="none",
    family="images",
    source="Adebayo et al. 2018, as a permutation test over networks",
)
def against_untrained(
    method: Method, model: nn.Module, images: Images, *, target: Target = None, draws: int = 39, seed: int = 0
) -> xr.Dataset:
    """Each image's map against the maps of networks of the same architecture with random weights.

    Maps are scaled to length 1, since random networks respond more weakly; an all-zero map stays zero.

    Args:
        method: Function called as ``method(model, images, target=…)``, such as `saliency`; settings through
            ``functools.partial``.
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        draws: Number of draws of the null (random networks).
        seed: Seed of the null's draws.

    Returns:
        The map, its band, and the share of its pixels beyond all the random networks'.

        * ``attribution`` [example, row, col], with the band ``attribution_null_low``, ``attribution_null_high``.
        * ``untrained`` [draw, example, row, col]: the maps of the random networks (pass them to `deletion_insertion` as
          ``null``).
        * ``share_outside`` [example]: share of the pixels where the network's map is strictly higher, or lower, than
          all the others'; by chance 2 / (draws + 1) on average, less where maps tie. Its null is the same share of each
          random network among the others: ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided; exact, because networks
          are exchangeable under the null) and ``…_q`` over the images. A map that does not depend on the weights has
          share 0 and p 1.
        * ``mean_outside``, with the same except ``…_q``: over all images.

    Raises:
        DataError: No networks, or a model that can't be given new random weights; otherwise as the method.

    >>> maps = nm.analysis.attribution.gradient_times_input
    >>> table = nm.analysis.attribution.against_untrained(maps, model, digits.test.subset(range(6)), draws=9)
    >>> table["untrained"].sizes["draw"]
    9
    """
    found = method(model, images, target=target)
    maps = [found["attribution"].values]
    maps += [method(net, images, target=target)["attribution"].values for net in random_networks(model, draws, seed)]
    stacked = np.stack([_unit_length(one) for one in maps])
    count, pixels = _outside(stacked), stacked[0, 0].size
    share, mean = count / pixels, count.sum(1) / count.shape[1] / pixels
    low, high = null_band(stacked[1:])
    axes, unit = ("example", "row", "col"), {"units": "1, each map of length 1"}
    return xr.Dataset(
        {
            "attribution": (axes, stacked[0], unit),
            "attribution_null_low": (axes, low, unit),
            "attribution_null_high": (axes, high, unit),
            "untrained": (("draw", *axes), stacked[1:], unit),
            **beside("share_outside", share[0], share[1:], "example"),
            **beside("mean_outside", mean[0], mean[1:], family=False),
        },
        coords=dict(found.coords),
        attrs=_of_method(found),
    )


def _of_method(found: xr.Dataset) -> dict[str, Any]:
    """A map's attributes, its source as ``method``, without the null and interval, which it does not have."""
    said = {word: value for word, value in found.attrs.items() if word not in ("null", "interval", "source", "seed")}
    return said | {"method": found.attrs.get("source", "")}


def _outside(maps: np.ndarray) -> np.ndarray:
    """The number of pixels at which each is the only highest or the only lowest of ``maps`` [network, …]: [network, example]."""
    count = np.zeros(maps.shape[:2], int)  # whole numbers, so that equal shares are ties
    for sign in (1, -1):
        second, first = np.partition(sign * maps, -2, 0)[-2:]
        winner = np.where(first > second, (sign * maps).argmax(0), -1)
        count += (winner == np.arange(len(maps))[:, None, None, None]).sum((2, 3))
    return count


@measure(
    "attribution",
    title="Sanity check of a method",
    null="maps of {draws} fully random networks; the image itself and its edges as controls",
    replicates="random network and image",
    interval=f"bootstrap: {ONE_NETWORK}",
    family="layers",
    source="Adebayo et al. 2018, cascading randomization",
)
def sanity_check(
    method: Method, model: nn.Module, images: Images, *, target: Target = None, draws: int = 39, seed: int = 0
) -> xr.Dataset:
    """Similarity of a method's maps to the original as the weights are randomized layer by layer, from the top down.

    At each layer, all layers from the top to it hold random weights, drawn as at initialization; at the last of them
    the network is fully random. A layer above the null's band means that the map still depends on the layers below it.

    Args:
        method: Function called as ``method(model, images, target=…)``, such as `saliency`; settings through
            ``functools.partial``.
        model: Network, or any torch module.
        images: Images [example, 1, row, col] in 0..1, as a tensor or an ImageSet.
        target: Class whose logit is explained, a class for each image, or ``(hook point, unit)``; None: each image's
            label.
        draws: Number of draws of the null (cascades, each ending in a fully random network).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Rank correlations at each layer, NaN where a map is constant; the coordinate ``layer`` holds the modules with
        weights, the last one first.

        * ``similarity`` [layer]: Spearman correlation over pixels of the randomized network's map with the original,
          mean over the draws and all images; ``similarity_abs``: the same of ``|maps|``. For both: ``…_low``,
          ``…_high`` (bootstrap over images), ``…_null_low``, ``…_null_high`` (band over the fully random networks) and
          ``…_q``: the probability that a fully random network's map is as similar to the original, controlled over the
          layers; NaN for the last, which is the null.
        * ``similarity_by_image`` [layer, example].
        * ``like_image``, ``like_edges``, controls: Spearman correlation of ``|original map|`` with the image and with
          its edges (Sobel), mean over images, with intervals: maps that need no network. An edge detector keeps
          similarity 1 through all layers.
        * ``insensitive``, ``insensitive_abs``: true if the fully random networks' similarity is 0.99 or more on
          average: such maps do not depend on the network (gradient x input without its sign shows where the ink is).

    Raises:
        DataError: No draws, maps of a size other than the image's, or a network that can't be given new random weights;
            otherwise as the method.

    >>> maps = nm.analysis.attribution.gradient_times_input
    >>> table = nm.analysis.attribution.sanity_check(maps, model, digits.test.subset(range(6)), draws=3)
    >>> table["layer"].values.tolist()
    ['output', 'layers.1.linear', 'layers.0.linear']
    """
    pixels = subject(model, images, target).pixels[:, 0].cpu().numpy()
    found = method(model, images, target=target)
    original = found["attribution"].values
    if original.shape != pixels.shape:
        raise DataError(
            f"the maps have shape {list(original.shape)}; to be compared with the images they need {list(pixels.shape)}"
        )
    names = layers(model)[::-1]
    ranks, ranks_abs = _ranks(original), _ranks(abs(original))
    likeness = np.zeros((2, draws, len(names), len(original)))
    for draw, net in enumerate(random_networks(model, draws, seed)):
        for layer, randomised in enumerate(cascade(model, net, names)):
            new = method(randomised, images, target=target)["attribution"].values
            likeness[:, draw, layer] = _correlation(ranks, _ranks(new)), _correlation(ranks_abs, _ranks(abs(new)))
    edges = np.hypot(sobel(pixels, 1), sobel(pixels, 2))
    return xr.Dataset(
        {
            **_left("similarity", likeness[0], seed),
            **_left("similarity_abs", likeness[1], seed),
            "similarity_by_image": (("layer", "example"), _mean(likeness[0], 0), {"units": "1"}),
            **_control("like_image", _correlation(ranks_abs, _ranks(pixels)), seed),
            **_control("like_edges", _correlation(ranks_abs, _ranks(edges)), seed),
            "insensitive": ((), _insensitive(likeness[0])),
            "insensitive_abs": ((), _insensitive(likeness[1])),
        },
        coords={"layer": names, **found.coords},
        attrs=_of_method(found),
    )


def _left(name: str, likeness: np.ndarray, seed: int) -> dict[str, tuple[Any, ...]]:
    """The similarity of each layer, ``likeness`` [draw, layer, example], its interval, band and q."""
    by_draw = _mean(likeness)  # [draw, layer]
    null = np.repeat(by_draw[:, -1:], by_draw.shape[1], 1)
    null[:, -1] = np.nan  # the last layer is the null itself
    interval = _interval(_mean(likeness, 0), seed)
    # differences by rounding count as ties
    table = beside(name, _mean(by_draw, 0), null, "layer", interval=interval, rounding=1e-9)
    low, high = null_band(by_draw[:, -1])
    table |= {f"{name}_null_low": ((), low, {"units": "1"}), f"{name}_null_high": ((), high, {"units": "1"})}
    return {key: values for key, values in table.items() if key != f"{name}_p"}


def _insensitive(likeness: np.ndarray) -> bool:
    """True if fully random networks reproduce the original map, ``likeness`` [draw, layer, example]."""
    return bool(_mean(likeness[:, -1].flatten()) >= INSENSITIVE)


def _control(name: str, likeness: np.ndarray, seed: int) -> dict[str, tuple[Any, ...]]:
    found = {name: _mean(likeness)} | {
        f"{name}_{end}": value[0] for end, value in zip(("low", "high"), _interval(likeness[None], seed), strict=True)
    }
    return {key: ((), value, {"units": "1"}) for key, value in found.items()}


def _interval(values: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap interval of the mean over images, NaN left out."""
    known = ~np.isnan(values).any(0)
    if not known.any():
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    return bootstrap_mean(values[:, known], seed=seed)


def _mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis) / np.where(known.any(axis), known.sum(axis), np.nan)


def _unit_length(maps: np.ndarray) -> np.ndarray:
    length = np.sqrt((maps.astype(np.float64) ** 2).sum((1, 2), keepdims=True))
    return maps / np.where(length > 0, length, 1)


def _ranks(maps: np.ndarray) -> np.ndarray:
    """Centered ranks of length 1, [example, pixel]; NaN for a constant map."""
    ranks = rankdata(maps.reshape(len(maps), -1), axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    length = np.sqrt((ranks**2).sum(1, keepdims=True))
    return ranks / np.where(length > 0, length, np.nan)


def _correlation(ranks: np.ndarray, others: np.ndarray) -> np.ndarray:
    return (ranks * others).sum(1)


# Phantoms.


def _weights(model: nn.Module, target: int = 0) -> np.ndarray:
    """A linear network's weights on the pixels."""
    (weights,) = (parameter for name, parameter in model.named_parameters() if name.endswith("weight"))
    return weights[target].numpy(force=True)


def _weights_as_map(model: nn.Module, images: Tensor, *, target: int) -> xr.Dataset:
    """The gradient of a linear network's logit, read off its weights."""
    maps = np.broadcast_to(_weights(model, target).reshape(images.shape[2:]), images[:, 0].shape)
    return xr.Dataset({"attribution": (("example", "row", "col"), maps)})


def _ink(model: nn.Module, images: Tensor, *, target: int) -> xr.Dataset:
    """A map that does not use the network."""
    return xr.Dataset({"attribution": (("example", "row", "col"), images[:, 0].numpy())})


@of(against_untrained).calibrated_on(
    "a linear network that reads 4 of 36 pixels",
    4 / SIDE**2,
    1e-12,
    empty="a network with random weights; alarm: p < 0.05",
    name="map against random networks (share outside)",
    read="mean_outside",
    target=0,
)
def _of_patch(seed: int, planted: bool) -> tuple[Method, nn.Module, Tensor]:
    if not planted:  # PyTorch's own initialization, quick to copy
        model = fresh(nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 2)), seed).double()
        return _weights_as_map, model, random_images(seed, 1)
    linear = network(seed)
    with torch.no_grad():
        linear.output.weight[:] = 0
        linear.output.weight.view(2, SIDE, SIDE)[(slice(None), *PATCH)] = 1
    return _weights_as_map, linear, random_images(seed)


def _likeness(method: Method, model: nn.Module, images: Tensor, draws: int, seed: int) -> float:
    """The rank correlation of a linear network's weights and a random one's."""
    (other,) = random_networks(model, draws, seed)
    return float(spearmanr(_weights(model), _weights(other)).statistic)


@of(sanity_check).calibrated_on(
    "two linear networks: the rank correlation of their weights",
    _likeness,
    1e-12,
    empty="a map of the image alone; alarm: found to depend on the weights",
    name="cascading randomization",
    read="similarity",
    alarm=lambda found: not found["insensitive"],
    target=0,
)
def _of_weights(seed: int, planted: bool) -> dict[str, Any]:
    if planted:
        return {"method": saliency, "model": network(seed), "images": random_images(seed), "draws": 1, "seed": seed}
    return {"method": _ink, "model": network(seed, side=4), "images": random_images(seed, 2, 4), "draws": 3}
