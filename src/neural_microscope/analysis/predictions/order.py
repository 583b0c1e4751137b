"""The order in which images are learned, and forgetting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ... import named
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...statistics import INTERVAL, beside, bootstrap_mean, shuffles
from .logits import checked
from .planted import predicting

STEPS = {"units": "optimizer step"}


@measure(
    "predictions",
    title="Learning order",
    null="{draws} shuffles of the labels between the images",
    replicates="image",
    interval="95% bootstrap over a class's images, for its place; one network",
    family="classes",
    source="Toneva et al. 2019, between snapshots; Kruskal & Wallis 1952, by permutation",
    place=30,
)
def learning_order(logits: xr.DataArray, *, draws: int = 200, seed: int = 0) -> xr.Dataset:
    """The step at which each image was learned, how often it was forgotten, and the order of the classes.

    The null shuffles the labels between the images, each keeping its own history. A class that the untrained network
    happens to predict for every image counts as learned at step 0. Toneva et al. (2019) count every presentation of a
    training image; changes between two snapshots are not seen here.

    Args:
        logits: Logits [snapshot, example, class] with labels and ``step``.
        draws: Number of draws of the null (shuffles of the labels), and of the bootstrap.
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Steps, and a test of classes that are learned at different times.

        * ``right`` [snapshot, example], and ``said`` [snapshot, example], the predicted class.
        * ``first_right`` [example]: the step of the first snapshot that classifies the image correctly; ``learned_at``
          [example]: the step from which it stays correct to the end; both NaN for never.
        * ``forgotten`` [example]: forgetting events, correct at one snapshot and wrong at the next.
        * ``class_learned_at`` [class]: the step by which half of the class's images are learned (NaN: less than half
          ever are, or it has no images), with ``…_null_low``, ``…_null_high`` (NaN: beyond the end).
        * ``class_order`` [class]: the position of its images when all are ranked by ``learned_at``, never last, ties in
          the middle: mean rank as a share, 0 first, 1 last, 0.5 by chance; with ``…_low``, ``…_high``, a bootstrap
          interval over images, ``…_null_low``, ``…_null_high``, ``…_p`` two-sided and ``…_q`` over the classes.
        * ``between``: the share of the ranks' variance that lies between the classes, 0..1 (Kruskal & Wallis's H / (n -
          1)); NaN where all images are learned at one snapshot; with ``…_null_low``, ``…_null_high`` and ``…_p``
          one-sided.

    Raises:
        DataError: No snapshots with steps; otherwise as `confusion`.

    >>> order = nm.analysis.predictions.learning_order(run.activations("logits"), draws=20)
    >>> order["learned_at"].dims, order["class_order"].dims
    (('example',), ('class',))
    """
    values, labels = checked(logits)
    if "snapshot" not in logits.dims or "step" not in logits.coords:
        raise DataError(
            "learning_order needs the axis 'snapshot' with the coordinate 'step'; use run.activations('logits')"
        )
    steps = logits["step"].values
    said = values.argmax(2)
    right = said == labels
    learnt = len(right) - np.logical_and.accumulate(right[::-1], 0).sum(0)  # snapshot; their count for never
    first = np.where(right.any(0), right.argmax(0), len(right))
    return xr.Dataset(
        {
            "right": (("snapshot", "example"), right),
            "said": (("snapshot", "example"), said),
            "first_right": ("example", _step_of(steps, first), STEPS),
            "learned_at": ("example", _step_of(steps, learnt), STEPS),
            "forgotten": ("example", (right[:-1] & ~right[1:]).sum(0), {"units": "1"}),
            **_between_classes(learnt, labels, values.shape[2], steps, draws, seed),
        },
        coords=named.kept(logits, "step", "epoch", "label"),
    )


def _between_classes(
    learnt: np.ndarray, labels: np.ndarray, classes: int, steps: np.ndarray, draws: int, seed: int
) -> dict[str, tuple[Any, ...]]:
    """The variables of `learning_order` about classes, with nulls."""
    place = (rankdata(learnt) - 0.5) / len(labels)
    median, order, between = _by_class(learnt, place, labels, classes)
    null = [_by_class(learnt, place, fake, classes) for fake in shuffles(labels, draws, seed)]
    medians, orders, betweens = (np.stack([n[i] for n in null]) for i in range(3))
    groups = [place[labels == c] for c in range(classes)]
    ends = [bootstrap_mean(group, draws, seed) if len(group) else (np.nan, np.nan) for group in groups]
    low, high = np.array(ends, float).T
    times = {  # existing snapshots, not between two
        "": median,
        "_null_low": np.percentile(medians, INTERVAL[0], axis=0, method="lower"),
        "_null_high": np.percentile(medians, INTERVAL[1], axis=0, method="higher"),
    }
    return {
        **{f"class_learned_at{end}": ("class", _step_of(steps, found), STEPS) for end, found in times.items()},
        **beside("class_order", order, orders, "class", side="both", interval=(low, high)),
        **beside("between", between, betweens, family=False),
    }


def _by_class(learnt: np.ndarray, place: np.ndarray, labels: np.ndarray, classes: int) -> Any:
    """(the snapshot by which half of a class is learned, the class's mean place, share of the variance between classes)."""
    counts = np.bincount(labels, minlength=classes)
    order = np.lexsort((learnt, labels))
    middle = np.cumsum(counts) - counts + (counts - 1) // 2
    medians = np.where(counts > 0, learnt[order][np.where(counts > 0, middle, 0)], learnt.max(initial=0) + 1)
    with np.errstate(invalid="ignore"):  # an empty class has no mean
        means = np.bincount(labels, place, minlength=classes) / np.where(counts, counts, np.nan)
    total = ((place - 0.5) ** 2).sum()
    spread = np.nansum(counts * (means - 0.5) ** 2)
    return medians, means, spread / total if total > 0 else np.nan


def _step_of(steps: np.ndarray, snapshot: np.ndarray) -> np.ndarray:
    """The step of each snapshot number; NaN for numbers beyond the last."""
    return np.where(snapshot < len(steps), steps[np.minimum(snapshot, len(steps) - 1)], np.nan)


of(learning_order).on("network")(lambda at: learning_order(at.logits))


@of(learning_order).describe("network")
def _images(at: Any) -> Iterator[Claim]:
    table = at["predictions.learning_order"]
    yield say(
        "misclassified and forgotten images",
        "{wrong:,} of {size:#probe image} are misclassified at the last snapshot; {forgotten:,} are classified correctly at one "
        "snapshot and misclassified at a later one.",
        wrong=int(np.isnan(table["learned_at"].values).sum()),
        size=len(at.run.probe),
        forgotten=int((table["forgotten"] > 0).sum()),
    )


of(learning_order).picture(
    "image_lives",
    "Top: each row is a probe image, which the network was not trained on; correct and then misclassified again: forgotten. Changes "
    "between two snapshots are missed. Middle: the true class, and the class predicted at the last snapshot if it is another. Bottom: "
    "the mean position of a class's images in the order in which they are learned.",
    takes=lambda at: {"table": at["predictions.learning_order"], "images": at.run.probe.images},
)


@of(learning_order).calibrated_on(
    "9 of 50 images are misclassified again once",
    9,
    0,
    empty="images once learned stay learned; alarm: one counts as forgotten",
    read=lambda found: found["forgotten"].sum(),
    alarm="forgotten",
    name="forgetting events",
    unit="events",
    draws=1,
)
def _lapses(seed: int, planted: bool) -> xr.DataArray:
    """Images that are learned and stay so, except for some that are misclassified again at one later snapshot."""
    rng = np.random.default_rng(seed)
    labels, learnt = rng.integers(0, 2, 50), rng.integers(0, 3, 50)
    right = np.arange(5)[:, None] >= learnt
    right[3, : 9 * planted] = False
    return predicting(np.where(right, labels, 1 - labels), labels)


@of(learning_order).calibrated_on(
    "one class learned at one snapshot, the other at a later one: all variance lies between them",
    1,
    1e-12,
    empty="images learned at times independent of the class; alarm: p < 0.05",
    read="between",
    name="classes learned at different times",
)
@of(learning_order).calibrated_on(
    "the mean rank of the later of two classes, known from their sizes",
    lambda logits, draws: 1 - (logits["label"] == 1).mean() / 2,
    1e-12,
    empty="images learned at times independent of the class; alarm: q < 0.05 for any class",
    read=lambda found: found["class_order"][1],
    alarm="class_order_shown",
    name="rank of a class in the learning order",
)
def _later(seed: int, planted: bool) -> dict[str, Any]:
    """Two classes whose images are learned at random snapshots, those of class 1 four snapshots later."""
    rng, later = np.random.default_rng(seed), 4 * planted
    labels = rng.integers(0, 2, 60)
    learnt = rng.integers(0, 5 - later, 60) + later * labels
    right = np.arange(5)[:, None] >= learnt
    return {"logits": predicting(np.where(right, labels, 1 - labels), labels), "draws": 1 if planted else 59}
