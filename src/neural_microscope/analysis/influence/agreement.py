"""The agreement of an estimated influence with networks that were retrained."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import null_band, p_values, shown
from . import ranks


@measure(
    "influence",
    title="Agreement of estimated influence with retraining",
    null="{draws} permutations of the sets",
    replicates="set of images",
    interval="95%, {resamples} bootstrap resamples of sets and targets",
    source="linear datamodeling score, Park et al. 2023",
    units="1",
)
def agreement(
    estimate: xr.DataArray, truth: xr.DataArray, *, draws: int = 999, resamples: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Rank correlation over sets between the estimated and the measured effect of leaving a set out, -1..1.

    For each target by itself, then the mean over targets. The null permutes the estimate's sets, for all targets alike,
    because one set's effects on several targets are not independent.

    Args:
        estimate: Estimated effects, [set, target].
        truth: Measured effects, [set, target], or [set, seed, target], of which the mean over seeds is taken.
        draws: Number of draws of the null.
        resamples: Number of resamples for the interval.
        seed: Seed of the null's draws and of the resamples.

    Returns:
        ``agreement`` with ``_low``, ``_high``, ``_null_low``, ``_null_high``, ``_p`` (one-sided) and ``_shown``;
        ``by_target`` [target]. Targets with equal effects for all sets, measured or estimated, are NaN and left out;
        NaN if none is left.

    Raises:
        DataError: Fewer than 6 sets, sides of other sets or targets, other axes, or values that are not finite.

    >>> import xarray as xr
    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(24, 5)), dims=("set", "target"))
    >>> round(float(nm.analysis.influence.agreement(truth, truth)["agreement"]), 6)
    1.0
    """
    truth = truth.mean("seed") if "seed" in truth.dims else truth
    x, y = named.values(estimate, "set", "target"), named.values(truth, "set", "target")
    if x.shape != y.shape or len(x) < ranks.FEWEST:
        raise DataError(
            f"the estimate is of {x.shape[0]} sets and {x.shape[1]} targets, the truth of {y.shape[0]} and {y.shape[1]}; give both "
            f"for the same, at least {ranks.FEWEST} sets"
        )
    a, b = ranks.standard(x), ranks.standard(y)
    each = ranks.correlation(a, b)
    value = ranks.mean(each)
    rng = np.random.default_rng(seed)
    null = np.array([ranks.mean(ranks.correlation(a[rng.permutation(len(a))], b)) for _ in range(draws)])
    low, high = null_band(ranks.resampled(a[:, None], b[:, None], resamples, seed))
    null_low, null_high = null_band(null)
    p = p_values(np.array(value), null)
    found: dict[str, Any] = {
        "agreement": value,
        "agreement_low": low,
        "agreement_high": high,
        "agreement_null_low": null_low,
        "agreement_null_high": null_high,
    }
    table = xr.Dataset({name: ((), float(one), {"units": "1"}) for name, one in found.items()})
    return table.assign(
        agreement_p=float(p), agreement_shown=bool(shown(p)), by_target=("target", each, {"units": "1"})
    ).assign_attrs(n_sets=len(x), n_targets=x.shape[1])


WITH_TRUTH = 0.5
"""Linear correlation of the phantom's estimate with the truth."""


@of(agreement).calibrated_on(
    "an estimate with a known correlation with the truth",
    float(6 / np.pi * np.arcsin(WITH_TRUTH / 2)),
    0.05,
    empty="an estimate of other sets, whose targets share noise; p < 0.05",
    read="agreement",
    alarm="agreement_shown",
    name="agreement with retraining",
    draws=39,
    resamples=20,
)
def _estimated(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    """Effects on targets that go together: without the same permutation for all, empty ones would alarm too often."""
    rng = np.random.default_rng(seed)
    n = 300 if planted else 16
    truth, other = (rng.standard_normal((n, 12)) + rng.standard_normal((n, 1)) for _ in range(2))
    estimate = WITH_TRUTH * truth + np.sqrt(1 - WITH_TRUTH**2) * other if planted else other
    first, second = (xr.DataArray(one, dims=("set", "target")) for one in (estimate, truth))
    return first, second
