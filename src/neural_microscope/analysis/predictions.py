"""Measures of predictions: confusion between classes, margins, learning order and forgetting, calibration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import rankdata

from .. import named
from ..claim import NAMED, Claim, say
from ..errors import DataError
from ..measure import measure, of
from ..statistics import INTERVAL, beside, bootstrap_mean, shuffles

STEPS = {"units": "optimizer step"}


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
    values, labels = _checked(named.last(logits))
    count = _counts(values[0], labels)
    images = (("class", "predicted"), count, {"units": "images"})
    return xr.Dataset({"images": images}, attrs={"n_right": int(np.trace(count))})


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
    values, labels = _checked(logits)
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
    return _saying(said[None], labels)


def _planted(values: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    """Logits [snapshot, example, class], or [example, class]."""
    coords: dict[str, Any] = {"label": ("example", labels)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", np.array([0, 1, 4, 16, 64])[: len(values)])
    return xr.DataArray(values, dims=("snapshot", "example", "class")[-values.ndim :], coords=coords, name="logits")


def _saying(said: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    """Logits of a network that predicts these classes, [snapshot, example]."""
    return _planted(np.eye(int(max(labels.max(), said.max())) + 1)[said], labels)


@measure(
    "predictions",
    title="Margins",
    null="none: a description, shown with step 0",
    replicates="image",
    interval="none",
    source="softmax cross-entropy; the true class's logit minus the highest other",
)
def margins(logits: xr.DataArray) -> xr.Dataset:
    """Margin, probability, loss and correctness of each image, at each snapshot.

    Args:
        logits: Logits [snapshot, example, class] with labels, or without snapshots.

    Returns:
        Values [snapshot, example], or [example].

        * ``margin``: the true class's logit minus the highest of the others; above 0 where the image is classified
          correctly.
        * ``probability``: softmax of the true class, 0..1.
        * ``loss``: its cross-entropy, nats, at least 0.
        * ``right``: the highest logit is the true class's; of equal logits the first class counts as the highest.

    Raises:
        DataError: As `confusion`.

    >>> table = nm.analysis.predictions.margins(run.activations("logits"))
    >>> np.allclose(table["probability"], np.exp(-table["loss"]))
    True
    """
    values, labels = _checked(logits)
    each = np.arange(len(labels))
    true = values[:, each, labels]
    others = values.copy()
    others[:, each, labels] = -np.inf
    loss = logsumexp(values - true[..., None], axis=2)
    found = {
        "margin": (true - others.max(2), "logit"),
        "probability": (np.exp(-loss), "1"),
        "loss": (loss.clip(0), "nats"),
        "right": (values.argmax(2) == labels, "1"),
    }
    over_time = "snapshot" in logits.dims
    dims = ("snapshot", "example") if over_time else ("example",)
    return xr.Dataset(
        {name: (dims, v if over_time else v[0], {"units": unit}) for name, (v, unit) in found.items()},
        coords=named.kept(logits, "step", "epoch", "label"),
    )


@of(margins).calibrated_on(
    "true logits 2.5 above the others",
    2.5,
    1e-12,
    empty="all logits equal; alarm: a margin is not 0",
    read=lambda found: found["margin"].mean(),
    alarm="margin",
    name="margin",
    unit="logit",
)
def _apart(seed: int, planted: bool) -> xr.DataArray:
    labels = np.random.default_rng(seed).integers(0, 5, 40)
    return _planted(2.5 * planted * np.eye(5)[labels] + 3.0, labels)


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
    values, labels = _checked(logits)
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
    return _saying(np.where(right, labels, 1 - labels), labels)


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
    return {"logits": _saying(np.where(right, labels, 1 - labels), labels), "draws": 1 if planted else 59}


@measure(
    "predictions",
    title="Calibration error",
    null="{draws} draws of the labels from the network's own probabilities",
    replicates="image",
    interval="95% bootstrap over images for Brier; none for ECE, whose bootstrap is biased upwards; one network",
    source="Naeini et al. 2015 with groups of equal count; Brier 1950; Bröcker & Smith 2007",
    place=50,
)
def calibration_error(logits: xr.DataArray, *, bins: int = 15, draws: int = 200, seed: int = 0) -> xr.Dataset:
    """Confidence against accuracy, compared with a perfectly calibrated network of the same confidence.

    The images are sorted by the highest probability and divided into groups of equal count, least confident first. The
    null has the same probabilities and labels drawn from them (consistency resampling, Bröcker & Smith 2007). With few
    images a calibrated network's error is well above 0: compare it with its null.

    Args:
        logits: Logits [snapshot, example, class] with labels, or without snapshots.
        bins: Number of groups, 1 to the number of images.
        draws: Number of draws of the null (labels from the probabilities), and of the bootstrap.
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Values at every snapshot, if there are any; of those with a null ``…_null_low``, ``…_null_high``, ``…_p`` and
        ``…_shown``.

        * ``confidence`` [bin]: the group's mean highest probability; ``images`` [bin]: its size.
        * ``accuracy`` [bin]: the share classified correctly; with a null, two-sided, ``accuracy_q`` over the bins.
        * ``ece``: mean over all images of ``|accuracy - confidence|`` of their group (expected calibration error,
          0..1); with a null, one-sided (more miscalibrated than the null). It has no interval, as resampling a mean of
          absolute values is biased upwards.
        * ``brier``: mean squared distance between probabilities and the one-hot truth, 0..2; with a null, two-sided,
          and ``brier_low``, ``brier_high``, a bootstrap over images.

    Raises:
        DataError: ``bins`` out of range; otherwise as `confusion`.

    >>> table = nm.analysis.predictions.calibration_error(run.activations("logits"), bins=5, draws=20)
    >>> table["ece"].dims, table["accuracy"].dims
    (('snapshot',), ('snapshot', 'bin'))
    """
    values, labels = _checked(logits)
    if not 1 <= bins <= len(labels):
        raise DataError(f"bins is {bins}; with {len(labels)} examples it must be 1 to {len(labels)}")
    rng = np.random.default_rng(seed)
    over_time = "snapshot" in logits.dims
    rows = [_calibration(moment, labels, bins, draws, rng) for moment in values]
    found, null = (
        {name: np.stack([row[i][name] for row in rows], i) if over_time else rows[0][i][name] for name in rows[0][i]}
        for i in range(2)
    )  # [snapshot, ...], followed by the draws
    dims = ("snapshot",)[:over_time]
    interval = bootstrap_mean(found["brier"], draws, int(rng.integers(2**31)))
    found["brier"] = found["brier"].mean(-1)
    of_bins: dict[str, Any] = {"dims": (*dims, "bin"), "side": "both", "family": "bin"}
    return xr.Dataset(
        {
            **{name: ((*dims, "bin"), found[name], {"units": "1"}) for name in ("confidence", "images")},
            **beside("accuracy", found["accuracy"], null["accuracy"], **of_bins),
            **beside("ece", found["ece"], null["ece"], dims, family=False),
            **beside("brier", found["brier"], null["brier"], dims, side="both", family=False, interval=interval),
        },
        coords=named.kept(logits, "step", "epoch"),
    )


def _calibration(
    logits: np.ndarray, labels: np.ndarray, bins: int, draws: int, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(one snapshot's row, scalars and arrays [bin], of the Brier score each image's; the draws of the variables that have a null)."""
    chances = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    said, highest = chances.argmax(1), chances.max(1)
    order = np.argsort(highest, kind="stable")
    starts = np.array([part[0] for part in np.array_split(np.arange(len(labels)), bins)])
    sizes = np.diff(np.append(starts, len(labels)))
    confidence = np.add.reduceat(highest[order], starts) / sizes
    # a uniform number falls into the true class's interval of the cumulative probabilities with the predicted probability
    uniform = rng.random((draws, len(labels)))
    drawn = np.add.reduce([uniform > edge for edge in chances.cumsum(1).T[:-1]], dtype=np.intp)

    def scores(truth: np.ndarray) -> tuple[np.ndarray, ...]:
        """(accuracy [.., bin], ece, Brier score of each image) for labels [.., example]."""
        accuracy = np.add.reduceat((truth == said)[..., order], starts, axis=-1) / sizes
        gap = np.abs(accuracy - confidence)
        brier = (chances**2).sum(1) - 2 * chances[np.arange(len(labels)), truth] + 1
        return accuracy, gap @ sizes / len(labels), brier

    accuracy, ece, brier = scores(labels)
    null = dict(zip(("accuracy", "ece", "brier"), scores(drawn), strict=True))
    null["brier"] = null["brier"].mean(-1)
    return {"confidence": confidence, "images": sizes, "accuracy": accuracy, "ece": ece, "brier": brier}, null


def _checked(logits: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """(logits [snapshot, example, class] in float64, one snapshot if there is no such axis; labels [example])."""
    labels = named.labels(logits)
    over_time = "snapshot" in logits.dims
    values = named.values(logits, *(["snapshot"] if over_time else []), "example", "class")
    values = values if over_time else values[None]
    classes = values.shape[2]
    if classes < 2 or labels.max() >= classes:
        raise DataError(
            f"the logits have {classes} classes; the labels go up to {labels.max()}. Both must belong to one task"
        )
    return values, labels


def _counts(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Confusion counts [class, predicted] of logits [example, class]."""
    classes = values.shape[1]
    return np.bincount(labels * classes + values.argmax(1), minlength=classes**2).reshape(classes, classes)


of(calibration_error).on("network")(lambda at: calibration_error(at.logits))
of(calibration_error).picture(
    "reliability", "Images in groups of equal count, the least confident first; and the error at each snapshot."
)


def _confident(seed: int, images: int = 120, sharpened: float = 1.0) -> xr.DataArray:
    """Logits whose labels are drawn from their own probabilities, then sharpened by a factor."""
    rng = np.random.default_rng(seed)
    values = 1.5 * rng.standard_normal((images, 4))
    chances = np.exp(values) / np.exp(values).sum(1, keepdims=True)
    labels = (rng.random((images, 1)) > chances.cumsum(1)[:, :-1]).sum(1)
    return _planted(sharpened * values, labels)


@of(calibration_error).calibrated_on(
    "confidence 0.9, accuracy 60 of 100 images",
    0.3,
    1e-12,
    empty="labels drawn from the network's own probabilities; alarm: p < 0.05",
    read="ece",
    name="calibration error",
)
def _sure(seed: int, planted: bool) -> dict[str, Any]:
    if not planted:
        return {"logits": _confident(seed), "bins": 5, "draws": 59}
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 1], [60, 40]))
    return {"logits": _planted(np.tile(np.log([0.9, 0.1]), (100, 1)), labels), "bins": 1, "draws": 1}


def _expected_brier(logits: xr.DataArray, draws: int) -> float:
    """With labels drawn from the probabilities p the mean score is 1 - sum of p²."""
    chances = np.exp(logits.values) / np.exp(logits.values).sum(1, keepdims=True)
    return float(1 - (chances**2).sum(1).mean())


@of(calibration_error).calibrated_on(
    "labels drawn from the probabilities p, score 1 - sum of p²",
    _expected_brier,
    0.03,
    empty="labels drawn from the network's own probabilities; alarm: p < 0.05",
    read="brier",
    name="Brier score",
)
def _drawn(seed: int, planted: bool) -> dict[str, Any]:
    if planted:
        return {"logits": _confident(seed, 4000), "draws": 1}
    return {"logits": _confident(seed), "bins": 5, "draws": 99}
