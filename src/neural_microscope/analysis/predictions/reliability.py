"""Calibration error: confidence compared with accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside, bootstrap_mean
from .logits import checked
from .planted import planted_logits


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
    values, labels = checked(logits)
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
    return planted_logits(sharpened * values, labels)


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
    return {"logits": planted_logits(np.tile(np.log([0.9, 0.1]), (100, 1)), labels), "bins": 1, "draws": 1}


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
