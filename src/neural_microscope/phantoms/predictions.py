"""Planted answers: logits of known margins, images learnt and forgotten on a day, confidence that is right as often as set."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ..analysis import predictions
from .instrument import Instrument

STEPS = np.array([0, 1, 4, 16, 64])


def _logits(values: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    coords: dict[str, Any] = {"label": ("example", labels)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", STEPS[: len(values)])
    return xr.DataArray(values, dims=("snapshot", "example", "class")[-values.ndim :], coords=coords, name="logits")


def _said(said: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    """Logits of a network that says these classes, [snapshot, example]."""
    return _logits(np.eye(int(max(labels.max(), said.max())) + 1)[said], labels)


def _margins(seed: int, margin: float) -> xr.Dataset:
    labels = np.random.default_rng(seed).integers(0, 5, 40)
    return predictions.margins(_logits(margin * np.eye(5)[labels] + 3.0, labels))


def margin_alarm(seed: int, margin: float = 0.0) -> bool:
    """Whether a preference is seen in logits of this margin."""
    return bool((_margins(seed, margin)["margin"] != 0).any())


def _confused(seed: int, count: int) -> xr.Dataset:
    """A network that reads ten of each of five classes rightly, but for some of class 3, read as 1."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(5), 10))
    said = labels.copy()
    said[np.flatnonzero(labels == 3)[:count]] = 1
    return predictions.confusion_over_time(_said(said[None], labels))


def confusion_alarm(seed: int, count: int = 0) -> bool:
    """Whether a confusion is seen where this many images are confused."""
    counts = _confused(seed, count)["images"][0].values
    return bool(counts.sum() - np.trace(counts))


def _lapses(seed: int, lapses: int) -> xr.Dataset:
    """Images that are learnt and stay so, but for some that are wrong again at one later snapshot."""
    rng = np.random.default_rng(seed)
    labels, learnt = rng.integers(0, 2, 50), rng.integers(0, 3, 50)
    right = np.arange(5)[:, None] >= learnt
    right[3, :lapses] = False
    return predictions.learning_order(_said(np.where(right, labels, 1 - labels), labels), draws=1)


def forgetting_alarm(seed: int, lapses: int = 0) -> bool:
    """Whether an image is said to be forgotten where this many were."""
    return bool(_lapses(seed, lapses)["forgotten"].any())


def _order(seed: int, later: int, draws: int = 59) -> xr.Dataset:
    """Two classes whose images are learnt at random snapshots, those of class 1 so many snapshots later."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 60)
    learnt = rng.integers(0, 5 - later, 60) + later * labels
    right = np.arange(5)[:, None] >= learnt
    return predictions.learning_order(_said(np.where(right, labels, 1 - labels), labels), draws=draws, seed=seed)


def between_alarm(seed: int, later: int = 0) -> bool:
    """Whether two classes are said to be learnt at different times, one being learnt so many snapshots later."""
    return bool(_order(seed, later)["between_p"] < 0.05)


def order_alarm(seed: int, later: int = 0) -> bool:
    """Whether any class is said to be learnt sooner or later than chance allows."""
    return bool((_order(seed, later)["class_order_q"] < 0.05).any())


def _confident(seed: int, images: int, sharpened: float) -> xr.DataArray:
    """Logits whose labels are drawn from their own probabilities, then sharpened by a factor."""
    rng = np.random.default_rng(seed)
    values = 1.5 * rng.standard_normal((images, 4))
    chances = np.exp(values) / np.exp(values).sum(1, keepdims=True)
    labels = (rng.random((images, 1)) > chances.cumsum(1)[:, :-1]).sum(1)
    return _logits(sharpened * values, labels)


def calibration_alarm(seed: int, sharpened: float = 1.0) -> bool:
    """Whether a network, perfectly calibrated but for this factor on its logits, is called miscalibrated."""
    table = predictions.calibration_error(_confident(seed, 120, sharpened), bins=5, draws=59, seed=seed)
    return bool(table["ece_p"] < 0.05)


def brier_alarm(seed: int, sharpened: float = 1.0) -> bool:
    """Whether its Brier score is said to be another than its own probabilities ask for."""
    table = predictions.calibration_error(_confident(seed, 120, sharpened), bins=5, draws=99, seed=seed)
    return bool(table["brier_p"] < 0.05)


def _read_place(seed: int) -> tuple[float, float]:
    """All of class 1 come after all of class 0: its mean place is 1 less half its share."""
    table = _order(seed, 4, 1)
    return float(1 - (table["label"] == 1).mean() / 2), float(table["class_order"][1])


def _read_calibration(seed: int) -> tuple[float, float]:
    """A network that always says 0.9 and is right on exactly 60 of 100 images."""
    labels = np.random.default_rng(seed).permutation(np.repeat([0, 1], [60, 40]))
    sure = np.tile(np.log([0.9, 0.1]), (100, 1))
    return 0.3, float(predictions.calibration_error(_logits(sure, labels), bins=1, draws=1)["ece"])


def _read_brier(seed: int) -> tuple[float, float]:
    """Labels drawn from the probabilities p have a mean score of 1 - sum of p²."""
    logits = _confident(seed, 4000, 1.0)
    chances = np.exp(logits.values) / np.exp(logits.values).sum(1, keepdims=True)
    return float(1 - (chances**2).sum(1).mean()), float(predictions.calibration_error(logits, draws=1)["brier"])


INSTRUMENTS = [
    Instrument(
        "margin",
        "predictions.margins",
        "true logits 2.5 above the others",
        "all logits equal; alarm: a margin is not 0",
        lambda seed: (2.5, float(_margins(seed, 2.5)["margin"].mean())),
        1e-12,
        margin_alarm,
        "logit",
    ),
    Instrument(
        "confusions",
        "predictions.confusion_over_time",
        "7 images of class 3 read as 1",
        "every image is read rightly; alarm: a confusion",
        lambda seed: (7.0, float(_confused(seed, 7)["images"][0, 3, 1])),
        0.0,
        confusion_alarm,
        "images",
    ),
    Instrument(
        "forgetting events",
        "predictions.learning_order",
        "9 of 50 images are wrong again once",
        "images once learnt stay learnt; alarm: one is said to be forgotten",
        lambda seed: (9.0, float(_lapses(seed, 9)["forgotten"].sum())),
        0.0,
        forgetting_alarm,
        "events",
    ),
    Instrument(
        "classes learnt at different times",
        "predictions.learning_order",
        "one class learnt at one snapshot, the other at a later one: all spread lies between them",
        "images learnt at times that have nothing to do with the class; alarm: p < 0.05",
        lambda seed: (1.0, float(_order(seed, 4, 1)["between"])),
        1e-12,
        between_alarm,
    ),
    Instrument(
        "place of a class in the order",
        "predictions.learning_order",
        "the mean place of the later of two classes, known from their sizes",
        "images learnt at times that have nothing to do with the class; alarm: q < 0.05 for any class",
        _read_place,
        1e-12,
        order_alarm,
    ),
    Instrument(
        "calibration error",
        "predictions.calibration_error",
        "says 0.9, is right on 60 of 100 images",
        "labels drawn from the network's own probabilities; alarm: p < 0.05",
        _read_calibration,
        1e-12,
        calibration_alarm,
    ),
    Instrument(
        "Brier score",
        "predictions.calibration_error",
        "labels drawn from the probabilities p, score 1 - sum of p²",
        "labels drawn from the network's own probabilities; alarm: p < 0.05",
        _read_brier,
        0.03,
        brier_alarm,
    ),
]
