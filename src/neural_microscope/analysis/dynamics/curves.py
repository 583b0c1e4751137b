"""Training curves: loss and errors, accuracy of each class, gradients and updates."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from ...claim import Claim, say
from ...config import LoopConfig
from ...errors import DataError
from ...measure import measure, of
from ...statistics import INTERVAL, Law, beside
from ...wording import tied

RULE_OF_THUMB = 1e-3
"""An update of about this share of the weights is often quoted as healthy (Karpathy, CS231n notes). It is not a null."""


@measure(
    "dynamics",
    title="Learning curve",
    null="none: a record that begins with the untrained network at step 0",
    replicates="run",
    interval="none",
    source="the run's loss and accuracy of each step, test_loss and test_accuracy of each snapshot",
    place=10,
)
def learning_curve(training: xr.Dataset, log: xr.Dataset, *, per_octave: int = 4) -> xr.Dataset:
    """Loss and error during training, from a run's recorded steps and snapshots.

    Args:
        training: ``run.training``, loss and accuracy of each step.
        log: ``run.log``, test loss and test accuracy of each snapshot.
        per_octave: Number of bins while the step doubles.

    Returns:
        Losses in nats, errors as shares, 0..1.

        * ``train_loss``, ``train_error`` [bin]: means over log-spaced stretches of steps (coordinate ``at``: their
          geometric middle), of batches as they were trained on, before each update.
        * ``test_loss``, ``test_error`` [snapshot]: on all test images.

    >>> curve = nm.analysis.dynamics.learning_curve(run.training, run.log)
    >>> bool(curve["test_loss"][-1] < curve["test_loss"][0])
    True
    """
    place, at = _stretches(training["step"].values, per_octave)
    loss, accuracy = (np.bincount(place, training[name].values) / np.bincount(place) for name in ("loss", "accuracy"))
    return xr.Dataset(
        {
            "train_loss": ("bin", loss, {"units": "nats"}),
            "train_error": ("bin", 1 - accuracy, {"units": "1"}),
            "test_loss": log["test_loss"].assign_attrs(units="nats"),
            "test_error": (1 - log["test_accuracy"]).assign_attrs(units="1"),
        },
        coords={"at": ("bin", at)},
        attrs={"hook_point": "logits"},
    )


@measure(
    "dynamics",
    title="Gradient flow",
    null=f"none; {RULE_OF_THUMB:g} is a rule of thumb",
    replicates="step",
    interval="none; the band, 2.5 and 97.5 percentiles of the steps in a bin, is the spread between batches of one network",
    source="Karpathy, CS231n notes: ||update|| / ||weights||",
    place=60,
)
def gradient_flow(gradients: xr.Dataset, *, per_octave: int = 2) -> xr.Dataset:
    """Norms of gradients and updates during training, from a run's recorded norms.

    A ratio near 0.001 is a rule of thumb (Karpathy, CS231n), not a null.

    Args:
        gradients: ``run.gradients``, norms [step, parameter].
        per_octave: Number of bins while the step doubles.

    Returns:
        Medians over log-spaced bins of steps, [bin, parameter]; NaN for a parameter without gradient, or of norm 0.

        * ``grad_norm``: L2 norm of a parameter's gradient; ``update_ratio``: norm of the update over norm of the
          parameter.
        * Of both ``…_low`` and ``…_high``, the 2.5 and 97.5 percentiles of those steps. The band is the spread between
          batches, not an interval of the median.
        * ``steps`` [bin]: the number of recorded steps in a bin; ``at``: their geometric middle.

    Raises:
        DataError: No recorded gradients.

    >>> nm.analysis.dynamics.gradient_flow(run.gradients)["update_ratio"].dims
    ('bin', 'parameter')
    """
    if not gradients.sizes.get("step"):
        raise DataError("there are no recorded gradients; record with RecordConfig(norms_every=10)")
    place, at = _stretches(gradients["step"].values, per_octave)
    found = {}
    for name in ("grad_norm", "update_ratio"):
        values = gradients[name].transpose("step", "parameter").values
        with warnings.catch_warnings():  # a parameter that is never updated is NaN at every step
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            bands = [np.nanpercentile(values[place == b], (50, *INTERVAL), axis=0) for b in range(len(at))]
        for end, band in zip(("", "_low", "_high"), np.stack(bands, 1), strict=True):
            found[name + end] = (("bin", "parameter"), band, {"units": "1"})
    return xr.Dataset(
        {**found, "steps": ("bin", np.bincount(place))},
        coords={"at": ("bin", at), "parameter": gradients["parameter"].values},
        attrs={"rule_of_thumb": RULE_OF_THUMB},
    )


@measure(
    "dynamics",
    title="Accuracy per class",
    null="every class as accurate as all classes together (binomial; with `counts`)",
    replicates="test image",
    interval="95% over images of one network (Wilson 1927; with `counts`)",
    family="classes at one snapshot",
    source="the run's test_accuracy_by_class; Wilson 1927",
    place=20,
)
def learning_by_class(log: xr.Dataset, *, threshold: float = 0.9, counts: np.ndarray | None = None) -> xr.Dataset:
    """Accuracy of each class at each snapshot, and the step from which it stays above a threshold.

    Args:
        log: ``run.log``, test accuracy by class of each snapshot.
        threshold: Accuracy at which a class counts as learned, 0..1.
        counts: Number of test images of each class [class] (``np.bincount(data.test.labels)``); None: neither interval
            nor null.

    Returns:
        Accuracies 0..1, and steps.

        * ``accuracy`` [snapshot, class]: share of the class's test images classified correctly, NaN for a class without
          images. With ``counts``, ``accuracy_low``, ``accuracy_high``, Wilson's 95% interval over images, and
          ``accuracy_null_low``, ``accuracy_null_high``, the 2.5 and 97.5 percentiles (binomial) if every class had
          the accuracy of all of them together; ``accuracy_p`` two-sided, ``accuracy_q`` and ``accuracy_shown``
          over a snapshot's classes.
        * ``reached_at`` [class]: the step of the first snapshot from which it stays at ``threshold`` or above to the
          end; NaN where it ends below.

    Raises:
        DataError: ``counts`` of another number of classes.

    >>> counts = np.bincount(digits.test.labels)
    >>> nm.analysis.dynamics.learning_by_class(run.log, counts=counts)["accuracy"].dims
    ('snapshot', 'class')
    """
    accuracy = log["test_accuracy_by_class"].transpose("snapshot", "class").values.astype(np.float64)
    steps = log["step"].values
    dims = ("snapshot", "class")
    found: dict[str, tuple[Any, ...]] = {"accuracy": (dims, accuracy, {"units": "1"})}
    without = "none without counts="
    said: dict[str, Any] = {"n_examples": -1, "null": without, "interval": without}
    if counts is not None:
        said = {"n_examples": int(np.sum(counts))}
        interval, law = _binomial(accuracy, np.asarray(counts))
        found = beside("accuracy", accuracy, law, dims, side="both", interval=interval, family="class")
    lasts = np.logical_and.accumulate(accuracy[::-1] >= threshold, 0)[::-1]  # true from here to the end
    reached = np.append(steps, np.nan)[len(steps) - lasts.sum(0)]
    return xr.Dataset(
        {**found, "reached_at": ("class", reached, {"units": "optimizer step"})},
        coords={name: ("snapshot", log[name].values) for name in ("step", "epoch") if name in log.coords},
        attrs={**said, "threshold": threshold, "hook_point": "logits"},
    )


def _binomial(accuracy: np.ndarray, counts: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], Law]:
    """(Wilson's interval of each class's accuracy, [snapshot, class]; the null that all classes have one accuracy)."""
    if counts.shape != accuracy.shape[1:]:
        raise DataError(f"counts has {counts.size} entries; the log has {accuracy.shape[1]} classes, each with a count")
    n = np.where(counts > 0, counts, 1)
    z = stats.norm.ppf(0.975)
    middle = (accuracy + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(accuracy * (1 - accuracy) / n + z**2 / (4 * n**2))
    overall = np.nansum(accuracy * counts, 1, keepdims=True) / counts.sum()
    low, high = (stats.binom.ppf(p / 100, n, overall) / n for p in INTERVAL)
    right = np.nan_to_num(np.rint(accuracy * n))
    tail = np.minimum(stats.binom.cdf(right, n, overall), stats.binom.sf(right - 1, n, overall))
    interval = middle - half, middle + half
    return interval, Law(low, high, np.minimum(2 * tail, 1))


def _stretches(steps: np.ndarray, per_octave: int) -> tuple[np.ndarray, np.ndarray]:
    """(the log-spaced bin of each step, numbered without gaps; the geometric middle of each bin)."""
    steps = np.maximum(steps, 1)
    place = np.unique(np.floor(np.log2(steps) * per_octave).astype(int), return_inverse=True)[1]
    return place, np.exp(np.bincount(place, np.log(steps)) / np.bincount(place))


# On a page.


@of(learning_curve).on("network")
def _asked_curve(at: Any) -> xr.Dataset:
    return learning_curve(at.run.training, at.run.log)


@of(learning_curve).describe("network")
def _training(at: Any) -> Iterator[Claim]:
    config, curve = at.run.train_config, at["dynamics.learning_curve"]
    if isinstance(config, LoopConfig):
        yield say(
            "the training",
            "trained for {steps:#step} by a loop of its own; test loss {loss:3} nats, test error {error:2%} at {last:step}.",
            steps=len(at.run.training["step"]),
            loss=float(curve["test_loss"][-1]),
            error=float(curve["test_error"][-1]),
            last=int(curve["step"][-1]),
        )
        return
    trained = "trained for {epochs:#epoch} of {steps:#step} with {optimizer}, learning rate {rate:g} ({schedule}); "
    yield say(
        "the training",
        (trained if config.epochs else "not trained; ")
        + "test loss {loss:3} nats, test error {error:2%} at {last:step}.",
        epochs=config.epochs,
        steps=int(at.run.description["steps_per_epoch"]),
        optimizer=config.optimizer,
        rate=config.learning_rate,
        schedule=config.schedule,
        loss=float(curve["test_loss"][-1]),
        error=float(curve["test_error"][-1]),
        last=int(curve["step"][-1]),
    )


of(learning_curve).picture(
    "learning_curves",
    "Both axes are logarithmic. Strong lines: all test images; faint: the batches trained on, means over bins of steps.",
    scope="page",
)


@of(gradient_flow).on("network")
def _asked_gradients(at: Any) -> xr.Dataset | None:
    there = at.run.description["record"]["norms_every"] and at.run.training.sizes["step"] > 0
    return gradient_flow(at.run.gradients) if there else None


@of(gradient_flow).describe("network")
def _changes(at: Any) -> Iterator[Claim]:
    table = at["dynamics.gradient_flow"]
    ratio = table["update_ratio"].values if table is not None else np.zeros(0)
    if np.isfinite(ratio).any():
        yield say(
            "the size of an update",
            "an update changes the weights by {ratio:2%} of their norm (median over parameters and bins of steps).",
            ratio=float(np.nanmedian(ratio)),
        )


of(gradient_flow).picture(
    "gradient_flow",
    "Medians over log-spaced stretches of steps; the band is the spread between batches. The dotted line is an often recommended ratio of "
    "update to weights, not a null.",
    more=True,
)


@of(learning_by_class).on("network")
def _asked_classes(at: Any) -> xr.Dataset:
    return learning_by_class(at.run.log)


@of(learning_by_class).describe("network")
def _of_classes(at: Any) -> Iterator[Claim]:
    end = at["dynamics.learning_by_class"]["accuracy"].transpose("snapshot", "class").values[-1]
    known = np.flatnonzero(np.isfinite(end))
    if len(known):
        worst, best = (int(known[pick(end[known])]) for pick in (np.argmin, np.argmax))
        lowest, highest = (known[end[known] == end[place]] for place in (worst, best))
        yield say(
            "accuracy of the classes",
            "at the last snapshot {lowest} {lowest_ties:has|have} the lowest test accuracy ({low:1%}), {highest} the highest ({high:1%})."
            if end[worst] < end[best]
            else "at the last snapshot all classes have the same test accuracy ({low:1%}).",
            lowest=tied(lowest),
            lowest_ties=len(lowest),
            highest=tied(highest),
            worst=worst,
            low=float(end[worst]),
            best=best,
            high=float(end[best]),
        )


of(learning_by_class).picture(
    "class_learning",
    "All test images at each snapshot. A network that predicts one class for every image, as many do before training, has accuracy 100% on "
    "that class. Whether classes are learned at different times is tested by a claim of the learning order.",
)


# Phantoms.


@of(gradient_flow).calibrated_on(
    "101 steps with ratios around 0.002 (median)",
    2e-3,
    3e-4,
    empty="no gradient and no update; alarm: one is seen",
    name="update-to-weight ratio",
    read="update_ratio",
    alarm=lambda found: ((found["grad_norm"] > 0) | (found["update_ratio"] > 0)).any(),
    per_octave=1,
)
def _updates(seed: int, planted: bool) -> xr.Dataset:
    ratios = 2e-3 * planted * np.exp(np.random.default_rng(seed).normal(0, 0.3, (101, 1)))
    recorded = {name: (("step", "parameter"), ratios) for name in ("grad_norm", "update_ratio")}
    return xr.Dataset(recorded, coords={"step": np.arange(101) + 64, "parameter": ["weight"]})


@of(learning_by_class).calibrated_on(
    "a class above 90% from step 4 on",
    4,
    0,
    empty="all classes around 50%; alarm: one counts as learned",
    name="step at which a class is learned",
    unit="step",
    read=lambda found: found["reached_at"][7],
    alarm=lambda found: found["reached_at"].notnull().any(),
)
def _classes(seed: int, planted: bool) -> xr.Dataset:
    """Ten classes around 50%, of which class 7 is above 90% from a snapshot on."""
    accuracy = np.random.default_rng(seed).uniform(0.4, 0.6, (5, 10))
    accuracy[2 if planted else 5 :, 7] = 0.95
    log = {"test_accuracy_by_class": (("snapshot", "class"), accuracy)}
    return xr.Dataset(log, coords={"step": ("snapshot", [0, 1, 4, 16, 64])})
