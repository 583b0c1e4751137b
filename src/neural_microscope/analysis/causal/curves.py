"""Cumulative ablation: accuracy against the share of units removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError
from ...hooks import HookedModel, evaluation, hooked
from ...interventions import zero
from ...measure import measure, of
from ...models import Network
from ...statistics import beside, halves, null_band
from .downstream import BATCH, logits_of, numbers, tensors, unit_values
from .planted import UNITS, reader

SHARES = tuple(np.linspace(0, 1, 11).tolist())

JUDGED, JUDGED_AT, ORDERS = 150, (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0), 41
"""In the default analysis: images, shares and random orders, which make several hundred forward passes."""


@measure(
    "causal",
    title="Cumulative ablation",
    null="{draws} random orders",
    replicates="order",
    interval="null band only",
    family="orders",
    source="accuracy against the share of units set to 0: Morcos et al. 2018",
    place=270,
)
def cumulative_ablation(
    model: nn.Module,
    images: ImageSet,
    hook_points: str | Sequence[str],
    orders: Mapping[str, Any] | None = None,
    *,
    shares: Sequence[float] = SHARES,
    by_layer: bool = False,
    draws: int = 6,
    seed: int = 0,
) -> xr.Dataset:
    """Accuracy as the units of hook points are set to 0 one after the other, compared with random orders.

    An order over several layers also orders the layers: if one layer's units come first, its loss is compared with that of
    random orders, which take some of every layer. ``by_layer`` compares units with others of their own layer only.

    One forward pass for each order and share: ``draws`` + orders times the number of shares, without the two ends.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_points: Name of a hook point, such as ``layers.1.hook_post``, or several names.
        orders: Name of an order -> every unit once, in order of removal; units are numbered across the layers (128 + 64
            units: 0 to 191). None: random orders alone.
        shares: Shares of all units that are ablated, rising from 0 to 1.
        by_layer: True: at each share, that share of every hook point's units is ablated, in the sequence in which an order
            names them; in random orders too.
        draws: Number of draws of the null (random orders; 40 are needed for p < 0.05).
        seed: Seed of the null's draws.

    Returns:
        Curves with the coordinate ``share`` on bin, and the areas under them.

        * ``accuracy`` [order, bin], with ``accuracy_null_low``, ``accuracy_null_high`` [bin].
        * ``auc`` [order]: area under the accuracy (trapezoids, 0..1), with ``auc_null_low``, ``auc_null_high``;
          ``auc_p``, two-sided among the random orders, ``auc_q`` over the orders.
        * ``random_accuracy`` [draw, bin], ``random_auc`` [draw]: the same for each random order.

    Raises:
        DataError: An invalid order, shares that do not rise from 0 to 1, or no draws; otherwise as `ablate_all`.

    >>> falling = {"last first": np.arange(16)[::-1]}
    >>> curve = nm.analysis.causal.cumulative_ablation(model, digits.test, "layers.1.hook_post", falling, draws=2)
    >>> curve["accuracy"].dims
    ('order', 'bin')
    """
    names = [hook_points] if isinstance(hook_points, str) else list(hook_points)
    at = np.asarray(shares, float)
    if len(at) < 2 or at[0] != 0 or at[-1] != 1 or (np.diff(at) <= 0).any() or draws < 1:
        raise DataError(
            f"shares {at.tolist()} with {draws} random orders: shares must rise from 0 to 1, draws must be at least 1"
        )
    lens = hooked(model)
    with torch.no_grad(), evaluation(lens):
        shapes = {name: unit_values(model, images.subset([0]), name).shape[1:] for name in names}
        units = sum(shape[0] for shape in shapes.values())
        named = {name: _order(name, order, units) for name, order in (orders or {}).items()}
        rng = np.random.default_rng(seed)
        every = [*named.values(), *(rng.permutation(units) for _ in range(draws))]
        sizes = [shape[0] for shape in shapes.values()] if by_layer else [units]
        gone = _places(every, sizes)[:, None] < np.round(at[:, None] * np.repeat(sizes, sizes))
        cases, which = np.unique(gone.reshape(-1, units), axis=0, return_inverse=True)
        rest = _Rest.of(lens, *tensors(model, images), names)
        found = np.array([_accuracy(rest, shapes, torch.from_numpy(case)) for case in cases])
    curves = found[which.reshape(len(every), len(at))]
    alike = {"null": f"{draws} random orders, each with the same share of every layer"} if by_layer else {}
    return _table(curves, at, list(named)).assign_attrs(hook_point=", ".join(names), units=units, **alike)


def _order(name: str, order: Any, units: int) -> np.ndarray:
    order = np.asarray(order)
    if order.shape != (units,) or not np.array_equal(np.sort(order), np.arange(units)):
        raise DataError(
            f"the order {name!r} has shape {order.shape}; it must name each of the units 0 to {units - 1} once"
        )
    return order.astype(int)


def _places(orders: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """A unit's position in each order among the units of its part, [order, unit]; the parts have these sizes."""
    places = np.split(np.argsort(orders, axis=1), np.cumsum(sizes)[:-1], axis=1)
    return np.concatenate([np.argsort(np.argsort(part, axis=1), axis=1) for part in places], axis=1)


@dataclass(frozen=True)
class _Rest:
    """A network evaluated repeatedly with different units ablated, from the earliest point that they can change."""

    lens: HookedModel
    labels: Tensor
    batches: Sequence[Tensor]
    """Images, or the values at ``start``."""
    first: str = ""
    """The hook point whose units are at ``start``."""
    start: str = ""
    run: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(cls, lens: HookedModel, pixels: Tensor, labels: Tensor, names: Sequence[str]) -> _Rest:
        """From the first of these hook points on, or from after its pooling, for an MLP or a CNN; for another module from the images."""
        images = pixels.split(BATCH)
        if not isinstance(lens, Network) or not all(name.endswith(".hook_post") for name in names):
            return cls(lens, labels, images)
        first = min(names, key=list(lens.hook_points).index)
        layer = first.removesuffix(".hook_post")
        pooled = f"{layer}.hook_pool"  # for rectified maps: 0 where the channel is 0
        start = pooled if pooled in lens.hook_points and f"{layer}.hook_norm" not in lens.hook_points else first
        cached = [lens.run_with_cache(some, names_filter=[start])[1][start] for some in images]
        return cls(lens, labels, cached, first, start, partial(lens.run_from, start))

    def logits(self, masks: Mapping[str, Tensor]) -> Tensor:
        """Logits without the units that the masks [unit, …] of hook points ablate, [example, class]."""
        hooks = [(name, zero(mask=mask)) for name, mask in masks.items() if name != self.first]
        with self.lens.hooks(hooks):
            found = []
            for x, y in zip(self.batches, self.labels.split(BATCH), strict=True):
                here = x if self.run is None else torch.where(masks[self.first], 0.0, x)
                found.append(logits_of((self.run or self.lens)(here), y))
        return torch.cat(found)


def _accuracy(rest: _Rest, shapes: dict[str, Any], gone: Tensor) -> float:
    """The accuracy without the units that are ``gone`` [unit], of hook points of these shapes [unit, …]."""
    parts = zip(shapes.items(), gone.split([shape[0] for shape in shapes.values()]), strict=True)
    masks = {name: part.reshape(-1, *[1] * (len(shape) - 1)) for (name, shape), part in parts}
    return float(numbers(rest.logits(masks).argmax(1) == rest.labels).mean())


def _table(curves: np.ndarray, at: np.ndarray, names: list[str]) -> xr.Dataset:
    auc = np.trapezoid(curves, at, axis=1)
    given, drawn = slice(len(names)), slice(len(names), None)
    share, one = {"units": "share of images"}, {"units": "1"}
    table = xr.Dataset(
        {
            **beside("auc", auc[given], auc[drawn, None], "order", side="both"),
            "accuracy": (("order", "bin"), curves[given], share),
            "random_accuracy": (("draw", "bin"), curves[drawn], share),
            "random_auc": ("draw", auc[drawn], one),
        },
        coords={"order": names, "share": ("bin", at)},
    )
    bands = zip(("low", "high"), null_band(curves[drawn]), null_band(auc[drawn]), strict=True)
    return table.assign(
        {
            name: band
            for end, curve, area in bands
            for name, band in ((f"accuracy_null_{end}", ("bin", curve, share)), (f"auc_null_{end}", ((), area, one)))
        }
    )


@of(cumulative_ablation).on("network")
def _cumulative(at: Any) -> xr.Dataset | None:
    """Units ablated one after the other, the same share of every hidden layer: the highest AUC first, the largest loss increase
    first, or at random.
    """
    if not at.layers:
        return None
    tables = [layer["selectivity.class_selectivity"] for layer in at.layers]
    selective = np.concatenate([np.nan_to_num(table["auc"].values, nan=-np.inf) for table in tables])
    choose, judge = halves(at.run.probe.labels)
    costly = np.concatenate(
        [layer["causal.ablate_all"]["loss_change"].values[:, choose].mean(1) for layer in at.layers]
    )
    orders = {
        "highest AUC first": np.argsort(-selective, kind="stable"),
        "lowest AUC first": np.argsort(selective, kind="stable"),
        "largest loss increase first": np.argsort(-costly, kind="stable"),
    }
    judged = at.run.probe.subset(judge)  # images not used to choose an order
    images = judged.balanced(min(JUDGED, judged.most_balanced))
    names = [layer.hook_point for layer in at.layers]
    return cumulative_ablation(at.model, images, names, orders, shares=JUDGED_AT, by_layer=True, draws=ORDERS)


of(cumulative_ablation).picture(
    "cumulative_ablation",
    "All hidden layers together, the same share of each, on images not used to choose an order.",
    part="units",
)


@of(cumulative_ablation).calibrated_on(
    "accuracy that falls only when the last of eight units is ablated",
    1 - 0.25 / 4,
    1e-12,
    empty="a random order; alarm: q < 0.05 among 59 random orders",
    read="auc",
    name="cumulative ablation",
    unit="area",
    draws=59,
)
def _reader_last(seed: int, planted: bool) -> dict[str, Any]:
    """Accuracy 1 until the reader is ablated; then 0.5, one class of two."""
    order = np.arange(UNITS)[::-1] if planted else np.random.default_rng(seed + 999).permutation(UNITS)
    model, images, layer = reader(seed, planted)
    shares = (0, 0.5, 0.75, 1) if planted else (0, 0.25, 0.5, 1)
    return {"model": model, "images": images, "hook_points": layer, "orders": {"it": order}, "shares": shares}
