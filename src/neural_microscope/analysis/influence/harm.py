"""Suspected training images among those that harm their targets most."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import xarray as xr
from scipy.stats import rankdata

from ... import named
from ...config import MLPConfig, TrainConfig
from ...data import Dataset, ImageSet
from ...errors import DataError
from ...measure import measure, of
from ...models import MLP
from ...statistics import null_band, p_values, shown
from ...training import train
from .tangents import Tangents, margin, product, tangents


@measure(
    "influence",
    title="Harm of suspected images",
    null="{draws} random sets of as many images, of the same labels where these are given",
    replicates="training image",
    source="area under the ROC curve, Mann & Whitney 1947",
    units="1",
)
def harm(influence: xr.DataArray, marked: xr.DataArray, *, draws: int = 199, seed: int = 0) -> xr.Dataset:
    """AUC of marked training images: the chance that one has a lower influence than another image, 0..1, 0.5 at random.

    1 if every marked image harms its target more than every other image does. The mean over the targets that have
    marked images.

    Args:
        influence: Influence of each training image, [target, example], perhaps with the coordinate ``label``.
        marked: True for the suspected images of each target, [target, example], or of all targets, [example].
        draws: Number of draws of the null: the marks moved to random images, by one permutation for all targets.
        seed: Seed of the null's draws.

    Returns:
        ``harm`` with ``_null_low``, ``_null_high``, ``_p`` (one-sided) and ``_shown``; ``by_target`` [target], NaN for
        a target without marked images, or with no others; ``found``, the share of targets whose most harmful image is
        marked. NaN if no target has marked and other images.

    Raises:
        DataError: Marks of other images or targets, other axes, or values that are not finite.

    >>> import xarray as xr
    >>> influence = xr.DataArray([[-3.0, 1.0, 0.5, 2.0]], dims=("target", "example"))
    >>> marked = xr.DataArray([True, False, False, False], dims="example")
    >>> float(nm.analysis.influence.harm(influence, marked)["harm"])
    1.0
    """
    x = named.values(influence, "target", "example")
    marks = named.values(marked, *(("target", "example") if "target" in marked.dims else ("example",))) > 0
    if marks.shape[-1] != x.shape[1] or (marks.ndim == 2 and len(marks) != len(x)):
        raise DataError(
            f"marks of shape {list(marks.shape)} for influences of shape {list(x.shape)}; give one for each"
        )
    marks = np.broadcast_to(marks, x.shape)
    below = rankdata(-x, axis=1)  # 1: the most helpful; the last: the most harmful
    each = _auc(below, marks)
    labels = named.labels(influence) if "label" in influence.coords else np.zeros(x.shape[1], int)
    rng = np.random.default_rng(seed)
    null = np.array([_mean(_auc(below, marks[:, _within(labels, rng)])) for _ in range(draws)])
    value = _mean(each)
    low, high = null_band(null)
    p = p_values(np.array(value), null)
    some = marks.any(1)
    found = {
        "harm": value,
        "harm_null_low": float(low),
        "harm_null_high": float(high),
        "found": float(marks[np.arange(len(x)), x.argmin(1)][some].mean()) if some.any() else np.nan,
    }
    table = xr.Dataset({name: ((), one, {"units": "1"}) for name, one in found.items()})
    return table.assign(harm_p=float(p), harm_shown=bool(shown(p)), by_target=("target", each, {"units": "1"}))


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _auc(below: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """The share of pairs (marked, other) in which the marked one ranks higher, [target]; NaN without pairs."""
    count = marks.sum(1)
    pairs = count * (marks.shape[1] - count)
    over = (below * marks).sum(1) - count * (count + 1) / 2
    return np.divide(over, pairs, out=np.full(len(marks), np.nan), where=pairs > 0)


def _within(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the examples that keeps each label where it is."""
    order = np.arange(len(labels))
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        order[here] = rng.permutation(here)
    return order


TEST, TRAIN = 6, 60
"""Test images of the phantom, each with a mislabelled duplicate among the training images, and the other training images."""


@of(harm).calibrated_on(
    "mislabelled duplicates of test images, among the images that a network was trained on; influence by its kernel",
    1.0,
    0.1,
    empty="random images of the same labels are marked instead; p < 0.05",
    read="found",
    alarm="harm_shown",
    name="harm of mislabelled images",
    draws=39,
)
def _mislabeled(seed: int, planted: bool) -> dict[str, xr.DataArray]:
    """The most harmful image of every test image is its duplicate with another label."""
    influence, marked = _trained(seed)
    if not planted:
        rng = np.random.default_rng(seed)
        marked = marked[:, _within(influence["label"].values, rng)]
    return {"influence": influence, "marked": marked}


def _of_margins(model: MLP, images: ImageSet) -> Tangents:
    labels = images.label_tensor()
    return tangents(model, images.tensor(), lambda logits, at: margin(logits, labels[at]))


@cache
def _trained(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """(influence on the margins of the test images, which training images are their duplicates)."""
    rng = np.random.default_rng(seed)
    classes, side = 3, 4
    patterns = rng.integers(0, 256, (classes, side, side))

    def drawn(labels: np.ndarray) -> np.ndarray:
        noise = rng.integers(0, 256, (len(labels), side, side))
        return ((patterns[labels] + noise) // 2).astype(np.uint8)

    test_labels, labels = np.arange(TEST) % classes, np.arange(TRAIN) % classes
    test = ImageSet(drawn(test_labels), test_labels, classes, "phantom")
    pictures = np.concatenate([drawn(labels), test.images])
    labels = np.concatenate([labels, (test_labels + 1) % classes])
    data = Dataset("phantom", ImageSet(pictures, labels, classes, "phantom"), test)
    config = TrainConfig(epochs=12, batch_size=11, learning_rate=0.02, seed=seed)
    model = MLP(MLPConfig(image_shape=(side, side), classes=classes, hidden=(12,)), seed=seed)
    train(model, data, config)
    model.eval()
    of_test, of_train = _of_margins(model, data.test), _of_margins(model, data.train)
    with torch.no_grad():
        wrong = torch.sigmoid(-margin(model(data.train.tensor()), data.train.label_tensor()))
    kernel = product(of_train, of_train).double()
    solved = torch.linalg.solve(
        kernel + 0.1 * kernel.diagonal().mean() * torch.eye(len(kernel), dtype=torch.float64),
        product(of_train, of_test).double(),
    )
    found = (solved * wrong[:, None].double()).T.numpy()
    marked = np.arange(TRAIN + TEST) == TRAIN + np.arange(TEST)[:, None]
    of_images = {"label": ("example", data.train.labels)}
    return (
        xr.DataArray(found, of_images, ("target", "example"), "influence"),
        xr.DataArray(marked, dims=("target", "example")),
    )
