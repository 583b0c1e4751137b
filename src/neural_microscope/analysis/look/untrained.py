"""The control for every claim about learning: the same statistics of untrained networks of the same architecture, and of the
network itself with shuffled labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.special import logit
from torch import nn

from ... import named
from ...axes import of_activation, unit_axis
from ...data import ImageSet
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...statistics import canonical_order, shuffles, spearman
from ..attribution.random_weights import random_networks
from ..causal.downstream import batches
from ..causal.logits import with_and_without
from ..selectivity.basis import Rotated
from ..selectivity.judging import gated
from ..selectivity.preference import Preference

NETWORKS = 20
"""Untrained networks compared with the trained one."""
SHUFFLES = 40
"""Shuffles of the labels compared with the true ones."""
IMAGES = 300
"""Probe images for these comparisons, balanced over the classes."""
SEED = 20_000
K = 10
"""Neighbors of an image."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A layer as a control sees it, with given labels."""

    acts: xr.DataArray
    """[example, unit], with the coordinate label."""
    base: np.ndarray
    """Logits of the same images, [example, class]."""
    ablated: np.ndarray
    """Logits without each unit, [unit, example, class]."""

    @property
    def labels(self) -> np.ndarray:
        return self.acts["label"].values

    @cached_property
    def matrix(self) -> np.ndarray:
        """[example, unit]"""
        return named.matrix(self.acts)

    @cached_property
    def unlabeled(self) -> np.ndarray:
        """The canonical order, labels aside."""
        return canonical_order(np.zeros(len(self.matrix)), self.matrix)

    @cached_property
    def order(self) -> np.ndarray:
        """The canonical order of the examples."""
        return self.unlabeled[np.argsort(self.labels[self.unlabeled], kind="stable")]

    @cached_property
    def neighbors(self) -> np.ndarray:
        """The 10 nearest neighbors of each image, as in `geometry.clusters`, [example, rank]."""
        sizes = (self.matrix**2).sum(1)
        distances = (
            sizes - 2 * self.matrix @ self.matrix.T
        )  # squared, less each image's own size: the same order, far faster
        np.fill_diagonal(distances, np.inf)
        return np.argpartition(distances, K, axis=1)[:, :K]

    @cached_property
    def rotated(self) -> Rotated | None:
        """Units and random axes, sorted for `selectivity.basis.auc_gap`."""
        return Rotated.of(self.acts)

    @cached_property
    def normalization(self) -> np.ndarray:
        """The change in the softmax's log normalization under each unit's ablation, [unit, example]."""
        return _log_sum_exp(self.ablated) - _log_sum_exp(self.base)

    def relabeled(self, labels: np.ndarray) -> Seen:
        """The same with other labels; values independent of the labels are kept."""
        other = Seen(self.acts.assign_coords(label=("example", labels)), self.base, self.ablated)
        kept = ("matrix", "unlabeled", "rotated", "neighbors", "normalization")
        other.__dict__.update({name: getattr(self, name) for name in kept})
        return other

    @cached_property
    def loss_increase(self) -> np.ndarray:
        """Loss that ablating each unit adds, nats, [unit]."""
        each = np.arange(len(self.labels))
        loss = self.normalization - self.ablated[:, each, self.labels] + self.base[each, self.labels]
        return loss.mean(1)

    @cached_property
    def auc(self) -> np.ndarray:
        """AUC of each unit's preferred class, [unit]; NaN where it fires too rarely to be judged."""
        found = Preference.of(self.matrix[self.order], self.labels[self.order], 0)
        return np.where(gated(self.matrix), np.nan, found.auc)


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    """log Σ exp over the last axis; several times as fast as scipy's, which takes any axis, weights and signs."""
    highest = logits.max(-1)
    return highest + np.log(np.exp(logits - highest[..., None]).sum(-1))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def _gap(seen: Seen) -> float:
    """Mean AUC of the units less that of the axes of random rotations."""
    return np.nan if seen.rotated is None else seen.rotated.gap(seen.labels, seen.order)


def _spread(seen: Seen) -> float:
    """log (tr Sw / tr Sb), as in `geometry.neural_collapse`: classes have equal weight."""
    x, of = seen.matrix, np.unique(seen.labels, return_inverse=True)[1]
    shares = np.eye(of.max() + 1)[of] / np.bincount(of)  # [example, class]
    means = shares.T @ x
    between = ((means - means.mean(0)) ** 2).sum()
    return float(np.log((shares.max(1) * ((x - means[of]) ** 2).sum(1)).sum() / between)) if between > 0 else np.nan


SCALARS: dict[str, Callable[[Seen], float]] = {
    "mean_auc": lambda seen: _mean(seen.auc),
    "auc_gap": _gap,
    "purity": lambda seen: float((seen.labels[seen.neighbors] == seen.labels[:, None]).mean()),
    "log_spread": _spread,
    "accuracy": lambda seen: float((seen.base.argmax(1) == seen.labels).mean()),
    "link": lambda seen: spearman(seen.auc, seen.loss_increase, draws=0)[0],
}
"""Statistics of a layer that are compared with untrained networks and with shuffled labels."""

RANKED: dict[str, Callable[[Seen], np.ndarray]] = {
    "auc": lambda seen: logit(np.clip(seen.auc, 1 / len(seen.labels), 1 - 1 / len(seen.labels))),
    "loss": lambda seen: np.log(np.maximum(seen.loss_increase, FAINT)),
}
"""Statistics of units, on a scale on which networks spread evenly: compared with units of the same rank in untrained networks."""

FAINT = 1e-6
"""Losses below it count as zero, nats."""


@measure(
    "controls",
    title="Untrained networks and shuffled labels",
    null=f"{{networks}} untrained networks of the same architecture; {SHUFFLES} shuffles of the labels "
    f"(p from Student's t fitted to either; on at most {IMAGES} images, to be quick)",
    replicates="network, shuffle",
    interval="Student's prediction interval over networks",
    source="an untrained network as the control: Adebayo et al. 2018; Saxe et al. 2011",
)
def untrained_networks(
    model: nn.Module, images: ImageSet, hook_point: str, *, networks: int = NETWORKS, seed: int = SEED
) -> xr.Dataset:
    """Statistics of a layer with those of ``networks`` untrained networks of its architecture and of shuffled labels.

    Scalars (`SCALARS`): ``x`` of the network itself, ``x_untrained`` [network], ``x_shuffled`` [draw]: NaN where it is not
    defined. Of units
    (`RANKED`): ``x`` [unit], ``x_rank`` [unit] (0 for the highest) and ``x_untrained`` [network, rank]: the value of the unit of that
    rank has there.
    All on ``images``. Equal seeds give equal networks, so an untrained network is exchangeable with them.
    """
    own = _seen(model, images, hook_point)
    others = [_seen(net, images, hook_point) for net in random_networks(model, networks, seed)]
    fakes = [own.relabeled(labels) for labels in shuffles(own.labels, SHUFFLES, seed)]
    axis = unit_axis(own.acts.dims)
    table: dict[str, Any] = {}
    for name, statistic in SCALARS.items():
        table[name] = ((), statistic(own))
        table[f"{name}_untrained"] = ("network", np.array([statistic(one) for one in others]))
        table[f"{name}_shuffled"] = ("draw", np.array([statistic(one) for one in fakes]))
    for name, ranked in RANKED.items():
        value = ranked(own)
        table[name] = (axis, value)
        order = np.argsort(-np.nan_to_num(value, nan=-np.inf), kind="stable")
        table[f"{name}_rank"] = (axis, np.argsort(order, kind="stable"))
        there = [-np.sort(-np.nan_to_num(ranked(one), nan=-np.inf)) for one in others]
        table[f"{name}_untrained"] = (("network", "rank"), np.where(np.isfinite(there), there, np.nan))
    return xr.Dataset(table)


def _seen(model: nn.Module, images: ImageSet, hook_point: str) -> Seen:
    with torch.no_grad(), evaluation(hooked(model)):
        found = [(down.acts, *with_and_without(down)) for _, down, _ in batches(model, images, hook_point)]
    batched, base, ablated = zip(*found, strict=True)
    held = torch.cat(batched).cpu().contiguous()
    held = held if held.dtype == torch.float64 else held.float()
    acts = xr.DataArray(held.numpy(), dims=of_activation(tuple(held.shape), hook_point), name=hook_point)
    acts = acts.assign_coords(label=("example", images.labels))
    if "row" in acts.dims:
        acts = acts.mean(("row", "col"))
    return Seen(acts, np.concatenate(base), np.concatenate(ablated, axis=1))


@of(untrained_networks).on("layer")
def _untrained(at: Any) -> xr.Dataset:
    """Separate networks for each seed: otherwise one chance result would recur on every seed."""
    probe, seed = at.run.probe, SEED + (at.run.description["model"].get("seed") or 0)
    return untrained_networks(at.model, probe.balanced(min(IMAGES, probe.most_balanced)), at.hook_point, seed=seed)
