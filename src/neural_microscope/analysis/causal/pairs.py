"""Pairs of images, and metrics of their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError
from ...statistics import INTERVAL, beside
from .downstream import BATCH, numbers, slices, tensors

SHARE = "share of the difference"

Metric = Callable[[Tensor], Tensor]
"""logits [example, class] -> one number for each image."""


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs: the same number of clean and of corrupted images, pair by pair."""

    clean: Tensor
    corrupted: Tensor
    labels: Tensor | None
    """The classes that the metric reads, if it is ours; a metric of the caller's sees only example and class."""
    metric: Metric

    def total(self, logits: Tensor) -> Tensor:
        return self.metric(logits).sum()

    @cached_property
    def score(self) -> Metric:
        """The metric of logits [k, example, class]: [k, example]."""
        if self.labels is None:
            return lambda logits: torch.stack([self.metric(one) for one in logits])
        return self.metric

    def of(self, index: Tensor) -> Metric:
        """`score` of some of the pairs; of all of them if the metric is the caller's."""
        if self.labels is None:
            return self.score
        return logit_difference(*(labels[index] for labels in self.labels.chunk(2)))


def pairs(model: nn.Module, clean: ImageSet, corrupted: ImageSet, metric: Metric | None) -> Iterator[Pairs]:
    """The pairs in batches. Without a metric: the logit of the clean image's class minus that of the corrupted one's."""
    if len(clean) != len(corrupted):
        raise DataError(f"{len(clean)} clean images and {len(corrupted)} corrupted ones; they must be pairs")
    (x, y), (x_b, y_b) = tensors(model, clean), tensors(model, corrupted)
    for some in slices(len(y), BATCH):
        labels = None if metric else torch.cat([y[some], y_b[some]])
        own = metric or logit_difference(y[some], y_b[some])
        yield Pairs(x[some], x_b[some], labels, own)


def logit_difference(label: Tensor, other: Tensor) -> Metric:
    """The logit of one class minus that of another, image by image."""
    rows = torch.arange(len(label), device=label.device)
    return lambda logits: logits[..., rows, label] - logits[..., rows, other]


def share_of(change: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``change`` [..., example] as a share of ``whole`` [example], both summed over the pairs; NaN where that is 0."""
    total = whole.sum(-1)
    return change.sum(-1) / np.where(total == 0, np.nan, total)


def share_interval(change: np.ndarray, whole: np.ndarray, seed: int, draws: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """The bootstrap interval of `share_of`, pairs drawn with replacement; NaN where all pairs are equal."""
    n = len(whole)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).T  # [example, draw]
    total = whole @ weights
    if not whole.any():
        return (np.full(len(change), np.nan),) * 2
    low, high = np.nanpercentile(change @ weights / np.where(total == 0, np.nan, total), INTERVAL, axis=1)
    return low, high


def by_pair(change: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``change`` [unit, example] as a share of ``whole`` [example] pair by pair; NaN where clean and corrupted are equal."""
    return change / np.where(whole == 0, np.nan, whole)


def beside_pairs(
    name: str, change: np.ndarray, whole: np.ndarray, drawn: np.ndarray, axis: str, seed: int, start: float = 0.0
) -> dict[str, Any]:
    """``change`` [unit, example] as a share of ``whole`` [example], with the null ``drawn`` [draw, unit], sums over pairs; and by pair."""
    interval, null = share_interval(change, whole, seed), share_of(drawn[..., None], whole)
    return {
        **beside(name, share_of(change, whole), null, axis, side="both", units=SHARE, interval=interval, start=start),
        f"{name}_by_pair": ((axis, "example"), start + by_pair(change, whole), {"units": SHARE}),
    }


def joined(parts: Sequence[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Batches joined along the examples, the last axis."""
    return [np.concatenate(x, axis=-1) for x in zip(*parts, strict=True)]


def per_unit(tensor: Tensor) -> np.ndarray:
    """[example, unit, …] summed over a channel's positions: [unit, example]."""
    return numbers(tensor.reshape(*tensor.shape[:2], -1).sum(2)).T
