"""Error barriers: whether networks that were trained apart from a fork on are still linearly connected."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside
from .branches import over_orders


@measure(
    "development",
    title="Error barrier",
    null="the barriers of the latest fork, swapped within pairs, {draws} draws",
    replicates="pair of networks",
    interval="95% t over pairs",
    family="forks",
    source="largest error on the line between two networks' weights above the line between their errors; Frankle et al. 2020",
)
def barrier(errors: xr.DataArray, *, draws: int = 999, seed: int = 0) -> xr.Dataset:
    """The error barrier between pairs of networks that were forked at a step and trained apart, [fork].

    Where the outcome of a training is decided, networks trained on from there with different orders of the batches stay
    linearly connected: on the straight line between their weights the error is no higher than at its ends. The barrier
    is the largest rise of the error above the straight line between the errors at the ends; 0 or more.

    Args:
        errors: Errors of networks on the line between two, [fork, pair, share], the share of the way from the first
            (0) to the second (1). Its coordinate ``share`` is otherwise evenly spaced, and the coordinate ``step`` of a
            fork its number. A pair is the same at all forks: the same original network and the same two orders.
        draws: Number of draws of the null.
        seed: Seed of the null's draws.

    Returns:
        Values at each fork, in the unit of the errors.

        * ``barrier``: mean over pairs, with ``…_low``, ``…_high``, a 95% t interval over pairs;
          ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided): the same with the barriers of a pair at this fork and at
          the latest one swapped at random; ``…_q`` over the forks. The latest fork's own p is 1.
        * ``excess``: mean over pairs of the barrier above that of the latest fork, with ``…_low``, ``…_high``.

        The attribute ``decided`` is the first fork after the last one at which ``barrier_shown``, as a step: NaN if no
        barrier is shown. Networks forked later have less training left in which to move apart.

    Raises:
        DataError: Fewer than two forks, two pairs or three shares; other axes; errors that are not finite.

    >>> import xarray as xr
    >>> share = np.linspace(0, 1, 5)
    >>> bump = np.multiply.outer([[0.3] * 6, [0.0] * 6], 4 * share * (1 - share))
    >>> errors = xr.DataArray(bump, dims=("fork", "pair", "share"), coords={"step": ("fork", [0, 60])})
    >>> found = nm.analysis.development.barrier(errors)
    >>> found["barrier"].values.round(3), found.attrs["decided"]
    (array([0.3, 0. ]), 60)
    """
    x = named.values(errors, "fork", "pair", "share")
    few = [f"{size} {dim}s" for dim, size, least in zip(errors.dims, x.shape, (2, 2, 3), strict=True) if size < least]
    if few:
        raise DataError(f"the errors have {' and '.join(few)}; two forks, two pairs and three shares are needed")
    share = errors["share"].values if "share" in errors.coords else np.linspace(0, 1, x.shape[2])
    steps = errors["step"].values if "step" in errors.coords else np.arange(len(x))
    height = (x - x[..., :1] * (1 - share) - x[..., -1:] * share).max(-1)  # [fork, pair]
    swapped = np.random.default_rng(seed).random((draws, 1, height.shape[1])) < 0.5
    null = np.where(swapped, height[-1], height).mean(-1)
    excess = (height - height[-1]).T
    low, high = over_orders(excess)
    units = str(errors.attrs.get("units", "1"))
    table = beside("barrier", height.mean(1), null, "fork", interval=over_orders(height.T), rounding=1e-12, units=units)
    last = np.flatnonzero(table["barrier_shown"][1])
    return xr.Dataset(
        {
            **table,
            "excess": ("fork", excess.mean(0), {"units": units}),
            "excess_low": ("fork", low, {"units": units}),
            "excess_high": ("fork", high, {"units": units}),
        },
        coords={"step": ("fork", steps)},
        attrs={"decided": int(steps[last[-1] + 1]) if len(last) else np.nan, "pairs": x.shape[1], "hook_point": ""},
    )


# Phantoms.


@of(barrier).calibrated_on(
    "barriers of 0.3 at the first of two forks, in the mean of 400 pairs",
    0.3,
    0.02,
    empty="barriers of 8 pairs from one distribution at both forks; q < 0.05",
    read="barrier",
    name="error barrier",
    draws=199,
)
def _bumps(seed: int, planted: bool) -> xr.DataArray:
    random, share = np.random.default_rng(seed), np.linspace(0, 1, 11)
    heights = random.uniform(0.2, 0.4, (2, 400 if planted else 8))
    heights[1] *= 0.1 if planted else 1
    ends = random.normal(0.1, 0.01, (2, *heights.shape, 1))
    line = ends[0] * (1 - share) + ends[1] * share
    return xr.DataArray(line + heights[..., None] * 4 * share * (1 - share), dims=("fork", "pair", "share"))
