"""Confusion between classes, at one snapshot or over training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...claim import Claim, say
from ...measure import measure, of
from ...wording import NAMED
from .logits import checked
from .planted import predicting


@measure(
    "predictions",
    title="Confusion matrix",
    null="none: a count; the page's rule relabels the classes at random",
    replicates="image",
    interval="none",
    source="counts of (label, class of the highest logit)",
    place=40,
)
def confusion(logits: xr.DataArray) -> xr.Dataset:
    """Confusion matrix: true class (rows) against predicted class (columns), in images.

    Args:
        logits: Logits [example, class] with labels; of several snapshots the last.

    Returns:
        ``images`` [class, predicted], integers. Rows sum to the class's number of examples; of equal logits the first
        class is predicted.

    Raises:
        DataError: Logits that are not all finite (the highest of several NaN would silently be class 0), or labels
            beyond their classes.

    >>> table = nm.analysis.predictions.confusion(run.activations("logits"))
    >>> int(table["images"].sum()) == len(run.probe)
    True
    """
    values, labels = checked(named.last(logits))
    count = _counts(values[0], labels)
    images = (("class", "predicted"), count, {"units": "images"})
    return xr.Dataset({"images": images}, attrs={"n_right": int(np.trace(count))})


def _counts(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Confusion counts [class, predicted] of logits [example, class]."""
    classes = values.shape[1]
    return np.bincount(labels * classes + values.argmax(1), minlength=classes**2).reshape(classes, classes)


of(confusion).on("network")(lambda at: confusion(at.logits))


@of(confusion).describe("network")
def _confused(at: Any) -> Iterator[Claim]:
    counts = at["predictions.confusion"]["images"].values
    wrong = counts - np.diag(np.diag(counts))
    most = int(wrong.max())
    pairs = np.argwhere(wrong == most) if most else np.zeros((1, 2), int)
    true, predicted = map(int, pairs[0])
    single = "most often class {true:,} is misclassified as {predicted:,}: {most:,} of its {size:#image}."
    few = "most often misclassified: {pairs} ({most:#image} each)."
    many = "{ties:,} pairs of classes are confused most often ({most:#image} each)."
    yield say(
        "the most frequent confusion",
        ("no probe image is misclassified." if not most else single)
        if len(pairs) == 1
        else few
        if len(pairs) <= NAMED
        else many,
        true=true,
        predicted=predicted,
        pairs=", ".join(f"{a} as {b}" for a, b in pairs[:NAMED]),
        ties=len(pairs),
        most=most,
        size=int(counts[true].sum()),
    )


of(confusion).picture(
    "confusion",
    "Rows: the true class; columns: the predicted one. Correct predictions are gray, so that errors stand out.",
)


@measure(
    "predictions",
    title="Confusion matrix over training",
    null="none: a description, shown with step 0",
    replicates="image",
    interval="none",
    source="counts of (label, class of the highest logit)",
)
def confusion_over_time(logits: xr.DataArray) -> xr.Dataset:
    """Confusion matrix and accuracy at every snapshot.

    Args:
        logits: Logits [snapshot, example, class] with labels, or without snapshots.

    Returns:
        ``images`` [snapshot, class, predicted], integers, and ``accuracy`` [snapshot]. Each row sums to its class's
        number of examples, so rows of the difference between two snapshots sum to 0.

    Raises:
        DataError: As `confusion`.
    """
    values, labels = checked(logits)
    counts = np.stack([_counts(moment, labels) for moment in values])
    right = np.trace(counts, axis1=1, axis2=2)
    return xr.Dataset(
        {
            "images": (("snapshot", "class", "predicted"), counts, {"units": "images"}),
            "accuracy": ("snapshot", right / len(labels), {"units": "1"}),
        },
        coords=named.kept(logits, "step", "epoch"),
    )


of(confusion_over_time).on("network")(lambda at: confusion_over_time(at.logits))


@of(confusion_over_time).calibrated_on(
    "7 images of class 3 misclassified as 1",
    7,
    0,
    empty="every image is classified correctly; alarm: a confusion",
    read=lambda found: found["images"][0, 3, 1],
    alarm=lambda found: found["images"].sum() > np.trace(found["images"][0]),
    name="confusions",
    unit="images",
)
def _misread(seed: int, planted: bool) -> xr.DataArray:
    """Logits of a network that classifies ten images of each of five classes correctly, except for some of class 3, predicted as 1."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(5), 10))
    said = labels.copy()
    said[np.flatnonzero(labels == 3)[: 7 * planted]] = 1
    return predicting(said[None], labels)
