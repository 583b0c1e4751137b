"""The price of an edit: its gain, and its cost elsewhere, beside random edits of equal size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import log_softmax

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import Side, beside, mean_interval

PerImage = Callable[[np.ndarray], np.ndarray]
"""Logits [..., example, class] -> a number for each image that counts, [..., example]."""


@measure(
    "edits",
    title="Price of an edit",
    null="random edits of equal size (they gain less; they raise the loss more)",
    replicates="image",
    interval="95% over images of one network (t)",
    source="shares of images and mean cross-entropy, before and after",
)
def edit_price(logits: xr.DataArray, edited: xr.DataArray, goal: Any, random: xr.DataArray | None = None) -> xr.Dataset:
    """The gain of an edit on the images that it is about, and its cost on all others.

    Args:
        logits: Logits [example, class] before the edit, with the coordinate ``label``; of several snapshots the last.
        edited: Logits [example, class] of the same images after it.
        goal: For each image the class that the edit is to make rarer there, [example]; below 0: an image that the edit
            is not about.
        random: Logits [draw, example, class] after random edits of equal size, the null; None: no null.

    Returns:
        Scalars, NaN where there are no such images.

        * ``gain``: the fall of the share of images predicted as their ``goal``, from ``share_before`` to ``share``, with
          its interval, and the band and p of random edits (one-sided: they gain less).
        * ``net_gain``: gain minus ``accuracy_drop``, with the band and p of random edits (one-sided: they have less). An
          edit that destroys the network gains as well, but has none.
        * ``accuracy_drop``: the fall of the accuracy on all other images, from ``accuracy_before`` to ``accuracy``, with
          its interval, and the band and p of random edits (one-sided: they lower it more).
        * ``loss_increase``: the rise of the mean cross-entropy on them in nats, from ``loss_before`` to ``loss``, likewise
          (one-sided: they raise it more).

    Raises:
        DataError: ``goal`` is not a whole number for each image; not the same images or classes; no labels.

    >>> import xarray as xr
    >>> logits = run.activations("logits")[-1]
    >>> never = logits - 100.0 * xr.DataArray(np.arange(10) == 7, dims="class")
    >>> table = nm.analysis.edits.edit_price(logits, never, np.where(logits["label"] == 7, 7, -1))
    >>> float(table["share"])
    0.0
    """
    labels, goals = named.labels(logits), np.asarray(goal)
    named.same_examples(logits, edited)
    before, after = (named.values(named.last(one), "example", "class") for one in (logits, edited))
    classes = before.shape[1]
    if goals.shape != labels.shape or goals.dtype.kind not in "iu" or goals.max(initial=-1) >= classes:
        raise DataError(
            f"goal must be the number of a class, or -1, for each of {len(labels)} images; got {goals.dtype} {list(goals.shape)}"
        )
    if after.shape != before.shape or labels.max(initial=0) >= classes:
        raise DataError(
            f"logits of {classes} and {after.shape[1]} classes, and labels up to {labels.max(initial=0)}: they must agree"
        )
    drawn = np.zeros((0, *before.shape)) if random is None else named.values(random, "draw", "example", "class")
    if drawn.shape[1:] != before.shape:
        raise DataError(f"logits of random edits are {list(drawn.shape[1:])}; they must be {list(before.shape)}")
    about, rest = np.flatnonzero(goals >= 0), np.flatnonzero(goals < 0)
    shares = "share of images"
    gain = _Change.of(partial(_hits, about, goals[about]), before, after, drawn, -1)
    drop = _Change.of(partial(_hits, rest, labels[rest]), before, after, drawn, -1)
    loss = _Change.of(partial(_losses, rest, labels[rest]), before, after, drawn, 1)
    net, null = gain.value - drop.value, gain.null - drop.null
    found = gain.variables("share", "gain", "above", shares) | drop.variables(
        "accuracy", "accuracy_drop", "below", shares
    )
    found |= loss.variables("loss", "loss_increase", "below", "nats")
    found |= beside("net_gain", net, null, side="above", units=shares, family=False)
    return xr.Dataset(found, attrs={"n_about": len(about), "n_examples": len(labels)})


class _Change(NamedTuple):
    """A mean over images before and after an edit."""

    before: float
    after: float
    value: float
    """Their difference; of a share its fall."""
    null: np.ndarray
    """The same for random edits, [draw]."""
    interval: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, per_image: PerImage, before: np.ndarray, after: np.ndarray, drawn: np.ndarray, sign: int) -> _Change:
        old, new = per_image(before), per_image(after)
        moved = sign * (new - old)
        null = np.array([_mean(sign * (per_image(one) - old)) for one in drawn])
        interval = mean_interval(np.array(moved.sum()), np.array((moved**2).sum()), len(moved))
        return cls(_mean(old), _mean(new), _mean(moved), null, interval)

    def variables(self, value: str, change: str, side: Side, units: str) -> dict[str, tuple[Any, ...]]:
        ends = {f"{value}_before": self.before, value: self.after}
        found: dict[str, tuple[Any, ...]] = {name: ((), one, {"units": units}) for name, one in ends.items()}
        return found | beside(
            change, self.value, self.null, side=side, units=units, interval=self.interval, family=False
        )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def _hits(chosen: np.ndarray, classes: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return (logits[chosen].argmax(1) == classes).astype(float)


def _losses(chosen: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return -log_softmax(logits[chosen], axis=1)[np.arange(len(chosen)), labels]


# Phantoms.

_LABELS = np.arange(80) % 4


def _made(rng: np.random.Generator, moved: np.ndarray) -> np.ndarray:
    """Logits [example, class] of a network that is sure of each label, and on the images ``moved`` of the next class."""
    sure = 6 * np.eye(4)[_LABELS] + rng.standard_normal((80, 4))
    sure[moved] = np.roll(sure[moved], 1, axis=1)
    return sure


@of(edit_price).calibrated_on(
    "an edit that moves 10 of the 20 images of a class, and nothing else: a gain of 0.5",
    0.5,
    0,
    empty="one of 40 random edits; a larger net gain with p < 0.05",
    read="gain",
    alarm="net_gain_shown",
    name="gain of an edit",
)
def _class_moved(seed: int, planted: bool) -> tuple[Any, ...]:
    return _edit(seed, planted, np.arange(10) * 4, 12)


@of(edit_price).calibrated_on(
    "an edit that moves 6 of the 60 images of the other classes: accuracy falls by 0.1",
    0.1,
    0,
    empty="one of 40 random edits; a smaller loss increase with p < 0.05",
    read="accuracy_drop",
    alarm="loss_increase_shown",
    name="cost of an edit",
)
def _others_moved(seed: int, planted: bool) -> tuple[Any, ...]:
    return _edit(seed, planted, np.arange(6) * 4 + 1, 24)


def _edit(seed: int, planted: bool, moved: np.ndarray, at_random: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    first, *rest = [_made(rng, rng.choice(80, at_random, replace=False)) for _ in range(40)]
    edited = _made(rng, moved) if planted else first
    arrays = [
        xr.DataArray(one, dims=("example", "class"), coords={"label": ("example", _LABELS)})
        for one in (_made(rng, moved[:0]), edited)
    ]
    return *arrays, np.where(_LABELS == 0, 0, -1), xr.DataArray(np.stack(rest), dims=("draw", "example", "class"))
