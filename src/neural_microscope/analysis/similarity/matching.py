"""The same unit in another network: units matched one to one, and whether that is more than a shared space gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure
from ...statistics import false_discovery, halves, null_band
from . import pairs

ROTATED = (
    "units matched anew to a random rotation of the second side's standardized units: the same space without its units"
)
SHUFFLED = "units matched anew to the second side with its examples shuffled: nothing in common"
SOURCE = "Li et al. 2016 (units matched by correlation); Kuhn 1955 (one-to-one assignment)"


@measure(
    "similarity",
    title="Units matched across networks",
    null="see its docstring (decides); images shuffled (weak)",
    replicates="unit, matched on one half, judged on the other",
    interval="none",
    family="units of a layer",
    source="Kuhn 1955; Li et al. 2016",
)
def match_units(
    a: xr.DataArray, b: xr.DataArray, *, absolute: bool = False, draws: int = 400, seed: int = 0
) -> xr.Dataset:
    """The unit of b that each unit of a is, one to one, and how well it holds on images the choice never saw; [unit].

    ``a``, ``b`` [example, unit] (or channel), of the same examples; widths may differ. The assignment with the highest
    sum of correlations (``absolute``: of their magnitudes) is found on one half of the examples and judged on the
    other: ``matched`` [unit], the unit's number in b (-1: none, a dead unit or more units than b has);
    ``correlation`` [unit], -1..1, on the judging half (``absolute``: times the sign on the choosing half).

    Two nulls, in both of which the assignment is made anew on the choosing half and judged on the other. The one that
    decides: ``correlation_null_low``, ``_null_high``, ``_p``, ``_q`` (one-sided; false discovery over the layer), a
    random rotation of b's standardized units. Whatever the two networks share as a space, such as ten classes, a
    rotation keeps, so a unit that is matched no better than this is not found again *as a unit*. The weak one:
    ``correlation_shuffled_low``, ``_shuffled_high``, ``_shuffled_q``, examples shuffled; on digits nearly every unit
    passes it, in an untrained network too. The least p is 1 / (1 + draws); with n units q < 0.05 needs at least
    20 n / (1 + draws) such units.
    """
    named.same_examples(a, b)
    x, y, axis = named.matrix(a), named.matrix(b), unit_axis(a.dims)
    if len(x) < 2 * pairs.FEWEST:
        raise DataError(f"{len(x)} examples; matching needs {2 * pairs.FEWEST} or more to choose on one half")
    choose, judge = halves(pairs.classes(a, b), seed)
    alive, alive_b = (np.flatnonzero(_varies(side, choose, judge)) for side in (x, y))
    matched, value = np.full(x.shape[1], -1), np.full(x.shape[1], np.nan)
    rotated, shuffled = np.full((2, draws, x.shape[1]), np.nan)
    if len(alive) and len(alive_b):
        u, v = (_standard(side[:, units]) for side, units in ((x, alive), (y, alive_b)))
        halved = [(_standard(u[part]), _standard(v[part])) for part in (choose, judge)]
        partner, value[alive] = _assigned(*(one.T @ other for one, other in halved), absolute=absolute)
        matched[alive] = np.where(partner >= 0, alive_b[partner], -1)
        rng = np.random.default_rng(seed)
        for draw in range(draws):
            mixed = (one.T @ other[rng.permutation(len(other))] for one, other in halved)
            shuffled[draw, alive] = _assigned(*mixed, absolute=absolute)[1]
        products = [_products(one, v[part]) for (one, _), part in zip(halved, (choose, judge), strict=True)]
        for draw in range(draws):
            rotated[draw, alive] = _assigned(*_rotated(products, rng), absolute=absolute)[1]
    p, p_shuffled = _p(value, rotated), _p(value, shuffled)
    low, high = null_band(rotated)
    shuffled_low, shuffled_high = null_band(shuffled)
    values = {
        "matched": matched,
        "correlation": value,
        "correlation_null_low": low,
        "correlation_null_high": high,
        "correlation_p": p,
        "correlation_q": false_discovery(p),
        "correlation_shuffled_low": shuffled_low,
        "correlation_shuffled_high": shuffled_high,
        "correlation_shuffled_q": false_discovery(p_shuffled),
    }
    attrs = {"seed": seed, "n_judged": len(judge), "absolute": absolute, "source": SOURCE}
    words = {"null": ROTATED, "null_shuffled": SHUFFLED, "reason": "NaN: a dead unit, or one left without a partner"}
    variables: pairs.Variables = {name: (axis, value, {"units": "1"}) for name, value in values.items()}
    return pairs.table(variables, a, b, **attrs, **words)


@measure(
    "similarity",
    title="Units found again on other seeds",
    null="as `match_units`, in each network",
    replicates="network",
    interval="none: a count, k of n",
    family="units of a layer",
    source="Li et al. 2016",
)
def replication(
    acts: Mapping[str, xr.DataArray] | Sequence[xr.DataArray],
    *,
    absolute: bool = False,
    draws: int = 400,
    alpha: float = 0.05,
    seed: int = 0,
) -> xr.Dataset:
    """In how many other networks each unit of the first is found again, [unit].

    ``acts``: one layer's activations of the same examples in networks of several seeds, by name or in a list; the first
    is the one asked about. ``replicated`` [unit]: the number of the others in which `match_units` gives
    ``correlation_q`` < ``alpha`` (better than in a rotated basis); NaN for a dead unit. ``of`` [unit]: how many others
    there are. ``replicated_by_chance`` [unit]: what that test itself would give where nothing is a unit, ``alpha`` of
    the others at most. Per network: ``correlation``, ``correlation_null_high``, ``correlation_q``, ``matched``
    [seed, unit]. Networks are the unit of replication. One network alone is a DataError.
    """
    networks = dict(acts) if isinstance(acts, Mapping) else {str(i): one for i, one in enumerate(acts)}
    if len(networks) < 2:
        raise DataError("one network; replication needs the same layer of two or more (one seed is not replicated)")
    (_, first), *others = networks.items()
    tables = [match_units(first, one, absolute=absolute, draws=draws, seed=seed) for _, one in others]
    per_seed = ["correlation", "correlation_null_high", "correlation_q", "matched"]
    together = xr.concat([table[per_seed] for table in tables], "seed", combine_attrs="override")
    axis = unit_axis(first.dims)
    dead = np.ptp(named.matrix(first), axis=0) == 0
    found = np.where(dead, np.nan, (together["correlation_q"] < alpha).sum("seed"))
    counts = {
        "replicated": found,
        "of": np.full(len(found), len(others)),
        "replicated_by_chance": np.where(dead, np.nan, alpha * len(others)),
    }
    variables = {name: (axis, value, {"units": "networks"}) for name, value in counts.items()}
    result = together.assign(variables).assign_coords(seed=[name for name, _ in others])
    words = {"null": f"{ROTATED}; q < {alpha} within each network", "interval": "none: a count of networks"}
    kept = {key: tables[0].attrs[key] for key in ("n_examples", "hook_point", "seed", "source", "reason")}
    return result.assign_attrs(kept | words | {"n_seeds": len(networks)})


def _varies(x: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    """Which units vary in every part of the examples, [unit]."""
    return np.all([np.ptp(x[part], axis=0) > 0 for part in parts], axis=0)


def _standard(x: np.ndarray) -> np.ndarray:
    """Each unit less its mean, at norm 1."""
    centred = x - x.mean(0)
    return centred / np.linalg.norm(centred, axis=0)


def _assigned(chosen_on: np.ndarray, judged_on: np.ndarray, *, absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    """(partner [unit], correlation [unit]) from the correlations [unit, unit_b] on the choosing and the judging half."""
    rows, columns = linear_sum_assignment(np.abs(chosen_on) if absolute else chosen_on, maximize=True)
    partner, value = np.full(len(chosen_on), -1), np.full(len(chosen_on), np.nan)
    sign = np.where(chosen_on[rows, columns] < 0, -1, 1) if absolute else 1
    partner[rows], value[rows] = columns, sign * judged_on[rows, columns]
    return partner, value


def _products(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(u'v, v'v) of one half, v less its mean: all that a rotation of v needs to know of the examples."""
    v = v - v.mean(0)
    return u.T @ v, v.T @ v


def _rotated(products: Sequence[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The correlations [unit, unit_b] on each half with the second side turned by one random rotation."""
    width = len(products[0][1])
    turn, corner = np.linalg.qr(rng.standard_normal((width, width)))
    turn *= np.sign(np.diag(corner))  # LAPACK's own signs are not random: a single unit would always be turned round
    for cross, own in products:
        yield (cross @ turn) / np.sqrt((turn * (own @ turn)).sum(0))


def _p(value: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p of each unit over the draws in which it found a partner; NaN stays NaN."""
    p = (1 + (null >= value - 1e-12).sum(0)) / (1 + np.isfinite(null).sum(0))  # what differs by rounding ties
    return np.where(np.isnan(value), np.nan, p)
