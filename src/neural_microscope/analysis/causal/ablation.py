"""Single-unit ablation: ablate every unit of a layer in turn and measure the change in loss and predictions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import Tensor, nn

from ...config import CNNConfig
from ...data import ImageSet
from ...errors import DataError, unknown
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...models import CNN
from ...statistics import INTERVAL, Law, beside, bootstrap_mean
from .directions import Directions, Within, losses, losses_of, right
from .downstream import Downstream, batches, by_class, numbers, unit_values
from .planted import FEW, LAST, LAYER, UNITS, coded, dead, dies, images, reader

Method = Literal["zero", "mean", "resample"]
METHODS = ("zero", "mean", "resample")
ROUNDING = 1e-6
"""Differences in a float32 loss due to rounding, nats: a smaller difference between direction and unit is a tie."""


@measure(
    "causal",
    title="Ablation effects",
    null="loss: random directions of the same norm on each image (of feature maps: each a mix of the channels with the channel's "
    "own map), one-sided; accuracy: images newly wrong against newly right (exact sign test)",
    replicates="image",
    interval="95% bootstrap over images of one network",
    family="units of a layer",
    source="unit ablation, L(a_n := v) - L: Morcos et al. 2018; sign test: McNemar 1947",
    unit="loss_increase",
    also=("accuracy_drop",),
    place=180,
)
def ablate_all(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
    *,
    method: Method = "zero",
    reference: ImageSet | None = None,
    resamples: int = 10,
    draws: int | None = None,
    within: Within = "space",
    seed: int = 0,
) -> xr.Dataset:
    """Change of loss and predictions when a unit (or channel) is ablated, for each unit of a hook point in turn.

    Exact: if only pooling lies between hook point and next map, the change passes that map as one column or kernel;
    otherwise the pass is repeated from the hook point, and for other modules from the images.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        method: Replacement of a unit: ``zero``, its ``mean`` over ``reference`` (each position of a map its own), or
            ``resample``, its value on an image drawn from ``reference``.
        reference: Images for ``mean`` and ``resample``; None: the same images.
        resamples: Number of draws of ``resample``, which are averaged; at least 2.
        draws: Number of draws of the null (random directions); None: as in `ablate_directions`. From 149 on the tail of
            p is fitted (`statistics.tail_p`); with fewer, k such units among n can't have a q below n / (k (1 +
            draws)).
        within: Region of the random directions, see `ablate_directions`.
        seed: Seed of the null's draws, of the resamples and of the bootstrap.

    Returns:
        Values for each unit, exactly 0 (and p 1) for a dead one. The attributes ``accuracy`` and ``loss`` (nats) are the
        network's own.

        * ``loss_change`` [unit, example]: change of the image's cross-entropy (nats).
        * ``right_change`` [unit, example]: +1 where an image is newly right, -1 where it is newly wrong; with
          ``resample`` the mean.
        * ``accuracy_drop`` [unit]: the fall in accuracy (-1..1), with ``…_low``, ``…_high``, a bootstrap interval over
          images, and an exact sign test (McNemar 1947: of the images that change, as many are expected to become right
          as wrong): ``…_null_low``, ``…_null_high``, ``…_p``, ``…_q`` over the layer, ``…_shown``.
        * ``accuracy_drop_by_class`` [unit, class]: NaN for a class without images.
        * ``loss_increase`` [unit]: in nats, with its interval, and compared with random directions of equal norm
          (`ablate_directions`): ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided: a unit whose ablation raises the
          loss more than a random direction), ``…_q``, ``…_shown``.
        * ``loss_increase_sd`` [unit]: over the draws of ``resample``.

    Raises:
        UnknownName: A hook point, method or region that does not exist; the message suggests the nearest name.
        HookError: The hook point's values have no units or channels.
        DataError: Values that are not finite, an output that is not logits [example, class] with a class for each
            label, fewer than 2 ``resamples``, or fewer than 1 of ``draws``.

    >>> effects = nm.analysis.causal.ablate_all(model, digits.test, "layers.1.hook_post")
    >>> effects["loss_increase"].dims, effects["loss_change"].dims
    (('unit',), ('unit', 'example'))
    """
    if method not in METHODS:
        raise unknown("ablation method", method, METHODS)
    if resamples < 2 and method == "resample":
        raise DataError(f"resamples is {resamples}; a mean and its spread need at least 2")
    directions = Directions(len(images), seed, draws, within)
    parts, null, spread = [], [], []
    with torch.no_grad(), evaluation(hooked(model)):
        source = None if method == "zero" else unit_values(model, reference or images, hook_point)
        for some, down, labels in batches(model, images, hook_point):
            values = partial(_values, method, down, source, some, len(images), resamples, seed)
            loss, right, norms = (np.stack(x) for x in zip(*_cut(down, labels, values()), strict=True))
            own = numbers(losses(labels)(down.logits[None]))[0]
            parts.append((loss.mean(0), right.mean(0), numbers(down.logits.argmax(1) == labels), own))
            spread.append(loss.sum(2))
            norm = np.sqrt((norms**2).mean(0))
            null.append(directions.sums(down, values(), loss.mean(0), norm, losses_of(labels)))
    loss, right, before, own = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
    table = _table(loss, right, np.sum(null, axis=0) / len(images), images, down.axis, seed)
    others = "the same images" if reference is None else f"{len(reference)} other images"
    if method == "resample":
        sd = (sum(spread) / len(images)).std(0, ddof=1)
        table["loss_increase_sd"] = (down.axis, sd, {"units": "nats"})
    return table.assign_attrs(
        accuracy=float(before.mean()),
        loss=float(own.mean()),
        intervention=method if method == "zero" else f"{method} of {others}",
        null=directions.words(down),
    )


def _values(
    method: str, down: Downstream, source: Tensor | None, some: slice, n: int, resamples: int, seed: int
) -> Iterator[Tensor]:
    """Replacement values of the units, [example, unit, …], once or for each draw."""
    if source is None:
        yield torch.zeros_like(down.acts)
    elif method == "mean":
        yield source.mean(0).expand_as(down.acts)
    else:
        drawn = np.random.default_rng(seed).integers(len(source), size=(resamples, n))[:, some]
        for pick in drawn:
            yield source[torch.from_numpy(pick).to(source.device)]


def _cut(
    down: Downstream, labels: Tensor, values: Iterator[Tensor]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(loss change, right change, norm of the change), each [unit, example], for each set of values."""
    loss, reads = losses(labels), right(labels)
    base, before = loss(down.logits[None]), reads(down.logits[None]).int()
    for instead in values:
        found = [(loss(at) - base, reads(at).int() - before, norms) for _, at, norms in down.each_unit(instead)]
        yield tuple(numbers(torch.cat(one)) for one in zip(*found, strict=True))  # type: ignore[misc]


def _table(
    losses: np.ndarray, right: np.ndarray, null: np.ndarray, images: ImageSet, axis: str, seed: int
) -> xr.Dataset:
    nat, share = "nats", "share of images"
    both = np.stack([-right, losses])
    (drop_low, loss_low), (drop_high, loss_high) = bootstrap_mean(both, seed=seed)  # the same resamples for both
    variables: dict[str, Any] = {
        "loss_change": ((axis, "example"), losses, {"units": nat}),
        "right_change": ((axis, "example"), right, {"units": "1"}),
        **beside("accuracy_drop", both[0].mean(1), _signs(right), axis, units=share, interval=(drop_low, drop_high)),
        "accuracy_drop_by_class": ((axis, "class"), -by_class(right, images), {"units": share}),
        **beside(
            "loss_increase",
            both[1].mean(1),
            null,
            axis,
            units=nat,
            interval=(loss_low, loss_high),
            tail=True,
            rounding=ROUNDING,
        ),
    }
    return xr.Dataset(variables, coords={"label": ("example", images.labels)})


def _signs(right: np.ndarray) -> Law:
    """Exact sign test: a changed prediction is equally likely to become right or wrong. The band has the root mean square."""
    lost, won = (right < 0).sum(1), (right > 0).sum(1)
    n = lost + won
    step = np.sqrt((right**2).sum(1) / np.maximum(n, 1)) / right.shape[1]
    low, high = (step * (2 * stats.binom.ppf(end / 100, n, 0.5) - n) for end in INTERVAL)
    return Law(low, high, stats.binom.sf(lost - 1, n, 0.5))


@of(ablate_all).on("layer")
def _effects(at: Any) -> xr.Dataset:
    return ablate_all(at.model, at.run.probe, at.hook_point)


of(ablate_all).picture(
    "ablation",
    "The loss increase from ablating each unit alone, with 95% intervals over images. Which of them are shown to matter is in the table: "
    "it takes more than exceeding the gray.",
    part="units",
)

# Phantoms.


@of(ablate_all).calibrated_on(
    "a unit that alone separates two classes; its loss increase in closed form",
    (dies(-6) - dies(6)) / 2,
    1e-12,
    empty="a layer of dead units; alarm: any change that is not 0",
    alarm="loss_change",
    name="ablation (loss increase)",
    exact=True,
    unit="nats",
    draws=1,
)
def _cost(seed: int, planted: bool) -> tuple[Any, ...]:
    """Without unit 0 every image gets the logits 3 and -3: class 1 is then misclassified, class 0 as before."""
    return reader(seed, planted) if planted else dead(seed)


def _reads(name: str, planted: str, empty: str, unit: str, **settings: Any) -> Any:
    return of(ablate_all).calibrated_on(
        f"a {planted}",
        1,
        0,
        empty=f"{empty}; alarm: q < 0.05 for a {unit}",
        read=lambda found: found["loss_increase_shown"].sum(),
        name=name,
        unit=f"{unit.split()[0]}s",
        draws=199,
        **settings,
    )


READER, ISOTROPIC = "unit, one of eight, that alone separates two classes", "isotropic random weights and labels"


@_reads("ablation against random directions", READER, ISOTROPIC, "unit")
@_reads("ablation against directions within the orthant", READER, ISOTROPIC, "unit", within="orthant")
@of(ablate_all).calibrated_on(
    "a unit whose ablation misclassifies one of two classes",
    0.5,
    0,
    empty=f"{ISOTROPIC}; alarm: q < 0.05 for a unit",
    read="accuracy_drop",
    name="ablation (accuracy drop)",
    unit="share of images",
    draws=1,
)
def _reader(seed: int, planted: bool) -> tuple[Any, ...]:
    return reader(seed, planted)


@_reads(
    "ablation of channels against random mixes of channels",
    "channel, one of four with the same map, that alone separates two classes",
    "an untrained network of two convolutions",
    "channel of the second",
)
def _channels(seed: int, planted: bool) -> tuple[Any, ...]:
    """Every channel holds the image, and channel 0 alone reaches the logits: ± 6 * (pixel 0 - 1/2)."""
    pixels, channels = (UNITS, (FEW,)) if planted else (2 * UNITS, (FEW, FEW))
    model = CNN(CNNConfig(image_shape=(1, pixels), classes=2, channels=channels, pool="none", head=()), seed=seed)
    if not planted:
        return model, images(seed, pixels), LAST
    for parameter in model.double().parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        model.get_parameter("layers.0.conv.weight")[:, 0, 1, 1] = 1
        model.get_parameter("output.weight")[:, 0] = torch.tensor([-6, 6])
        model.get_parameter("output.bias").copy_(torch.tensor([3, -3]))
    return model, coded(seed), LAYER
