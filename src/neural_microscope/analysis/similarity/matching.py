"""Matching of units between networks, one to one, and whether matches exceed those expected from a shared space."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy import linalg
from scipy.optimize import linear_sum_assignment

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure, of
from ...statistics import TIE, Law, beside, false_discovery, halves, networks, null_band, p_values
from . import pairs
from .planted import as_acts, normal, turned

ROTATED = (
    "units matched again to a random rotation of the second side's centered units, each with the values of one of its units: the same "
    "space and the same shape of activations without its units; and beyond matches among the units of one network"
)
SHUFFLED = "units matched again to the second side with its examples shuffled: nothing in common"
REASON = "NaN: a dead unit, or one left without a partner"
SOURCE = "Li et al. 2016 (units matched by correlation); Kuhn 1955 (one-to-one assignment)"


@measure(
    "similarity",
    title="Units matched across networks",
    null="b rotated at random, with its units' own values by rank, and a network's other units: both are used; images shuffled (weak)",
    replicates="unit, matched on one half, judged on the other",
    interval="none",
    family="units of a layer",
    source="Kuhn 1955; Li et al. 2016",
)
def match_units(
    a: xr.DataArray, b: xr.DataArray, *, absolute: bool = False, draws: int = 400, seed: int = 0
) -> xr.Dataset:
    """The unit of b matched to each unit of a, one to one, and their correlation on held-out images; [unit].

    The assignment with the highest sum of correlations is found on one half of the examples and judged on the other.

    Two nulls decide together. *The same space:* a random rotation of b's centered units, each rotated unit then given,
    by rank, the sorted values of one of b's units, so zeros and skew remain those of a ReLU; matched again on the
    choosing half, judged on the other. This keeps whatever the networks share as a space, such as ten classes. *The
    same kind of unit:* units of the wider network (of both, where equally wide) are matched to its other units in the
    same way; a match must exceed the prediction from these for one more (Student's prediction, of Fisher's z). Any two
    units of a kind correlate this much. Where units hardly differ (means of a first convolution's maps) few can be
    distinguished.

    Args:
        a: Activations [example, unit] (or channel); of several snapshots the last.
        b: Activations of the same examples, as ``a``; widths may differ.
        absolute: Match by the magnitudes of correlations; the correlation is then times the sign on the choosing half.
        draws: Number of draws of the null (random rotations, and as many shuffles). The least p is 1 / (1 + draws);
            with n units q < 0.05 needs at least 20 n / (1 + draws) such units.
        seed: Seed of the null's draws and of the halves.

    Returns:
        NaN for a dead unit, or one left without a partner.

        * ``matched``: the unit's number in b (-1: none, a dead unit or more units than b has).
        * ``correlation``, -1..1, on the judging half. ``correlation_p`` is the larger of the two nulls' (one-sided),
          ``correlation_q`` its q over the layer, ``correlation_shown`` the verdict, ``correlation_null_low``,
          ``_null_high`` the higher end of either band.
        * The weak null: ``correlation_shuffled_low``, ``_shuffled_high``, ``_shuffled_q``, examples shuffled; on digits
          nearly every unit passes it, in an untrained network too.

    Raises:
        DataError: Fewer than 8 examples, or not the same examples.
    """
    pair, rng = _Pair(a, b, absolute, seed), np.random.default_rng(seed)
    variables = pair.matched(draws, rng)
    shuffled = pair.shuffled(draws, rng)
    low, high = null_band(shuffled)
    weak = {"low": low, "high": high, "q": false_discovery(_p(variables["correlation"][1], shuffled))}
    variables |= {f"correlation_shuffled_{end}": (pair.axis, one, {"units": "1"}) for end, one in weak.items()}
    attrs = {"seed": seed, "n_judged": len(pair.parts[1]), "absolute": absolute, "source": SOURCE}
    words = {"null": ROTATED, "null_shuffled": SHUFFLED, "reason": REASON}
    return pairs.table(variables, a, b, **attrs, **words)


@measure(
    "similarity",
    title="Units that recur on other seeds",
    null=f"{ROTATED}; q < {{alpha}} within each network",
    replicates="network",
    interval="none: a count, k of n",
    family="units of a layer",
    source=SOURCE,
)
def replication(
    acts: Mapping[str, xr.DataArray] | Sequence[xr.DataArray],
    *,
    absolute: bool = False,
    draws: int = 400,
    alpha: float = 0.05,
    seed: int = 0,
) -> xr.Dataset:
    """The number of other networks in which each unit of the first recurs, [unit].

    Networks are the unit of replication.

    Args:
        acts: One layer's activations [example, unit] (or channel) of the same examples in networks of several seeds, by
            name or in a list; the first is the reference.
        absolute: Match by the magnitudes of correlations, as in `match_units`.
        draws: Number of draws of the null (random rotations), as in `match_units`.
        alpha: A unit recurs in a network where its q is below this.
        seed: Seed of the null's draws and of the halves.

    Returns:
        Counts of networks, and each network's match.

        * ``replicated``: the number of the others in which `match_units` gives ``correlation_q`` < ``alpha`` (higher
          than in a rotated basis); NaN for a dead unit. ``of``: the number of others with a result.
        * ``replicated_by_chance``: the expected number if no unit recurs, at most ``alpha`` of the others.
        * ``correlation``, ``correlation_null_high``, ``correlation_q``, ``matched`` [seed, unit]: per network.

    Raises:
        DataError: One network alone; otherwise as `match_units`.

    >>> seeds = [acts.isel(snapshot=-1), acts.isel(snapshot=-1)]
    >>> nm.analysis.similarity.replication(seeds, draws=4)["correlation"].dims
    ('seed', 'unit')
    """
    networks = dict(acts) if isinstance(acts, Mapping) else {str(i): one for i, one in enumerate(acts)}
    if len(networks) < 2:
        raise DataError("one network; replication needs the same layer of two or more (one seed is not replicated)")
    (_, first), *others = networks.items()
    tables = []
    for _, one in others:
        matched = _Pair(first, one, absolute, seed).matched(draws, np.random.default_rng(seed))
        tables.append(pairs.table(matched, first, one))
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
    about = {"n_examples": first.sizes["example"], "hook_point": str(first.name or ""), "reason": REASON}
    return result.assign_attrs(n_seeds=len(networks), **about)


class _Pair:
    """Two networks' units, matched on one half of the examples and judged on the other."""

    def __init__(self, a: xr.DataArray, b: xr.DataArray, absolute: bool, seed: int) -> None:
        named.same_examples(a, b)
        x, y = named.matrix(a), named.matrix(b)
        if len(x) < 2 * pairs.FEWEST:
            raise DataError(f"{len(x)} examples; matching needs {2 * pairs.FEWEST} or more")
        self.absolute, self.axis, self.size = absolute, unit_axis(a.dims), x.shape[1]
        self.parts = halves(pairs.classes(a, b), seed)
        self.alive, self.alive_b = (np.flatnonzero(_varies(side, *self.parts)) for side in (x, y))
        self.both = bool(len(self.alive) and len(self.alive_b))
        self.u, self.v = (
            np.ascontiguousarray(one.T) for one in (x[:, self.alive], y[:, self.alive_b])
        )  # [unit, example]
        self.halved = [_standard(self.u[:, part]) for part in self.parts]

    def assigned(self, other: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """`_assigned` to units with these activations on the two halves, [unit, example] each."""
        products = (one @ _standard(side).T for one, side in zip(self.halved, other, strict=True))
        return _assigned(*products, absolute=self.absolute)

    def matched(self, draws: int, rng: np.random.Generator) -> pairs.Variables:
        """The match of every unit and its correlation, compared with rotations and with matches within one network."""
        matched, value = np.full(self.size, -1), np.full(self.size, np.nan)
        rotated, among = np.full((draws, self.size), np.nan), np.full(3, np.nan)
        if self.both:
            partner, value[self.alive] = self.assigned(self.v[:, part] for part in self.parts)
            matched[self.alive] = np.where(partner >= 0, self.alive_b[partner], -1)
            rotation = _Rotations(self.v)
            for draw in range(draws):
                turned = rotation.drawn(rng)
                rotated[draw, self.alive] = self.assigned(turned[:, part] for part in self.parts)[1]
            among = _among(self.u, self.v, self.parts, rng, absolute=self.absolute)
        kind = networks(_fisher(value), np.broadcast_to(_fisher(among)[:, None], (len(among), len(value))))
        low, high = null_band(rotated)
        p = np.fmax(_p(value, rotated), kind.p)
        law = Law(np.fmax(low, np.tanh(kind.low)), np.fmax(high, np.tanh(kind.high)), p)
        found = {"matched": (self.axis, matched, {"units": "1"}), **beside("correlation", value, law, self.axis)}
        found["correlation_p"][2].update(draws=draws, floor=1 / (1 + draws))
        return found

    def shuffled(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """The correlation with the best partner where the second side's examples are shuffled, [draw, unit]."""
        found = np.full((draws, self.size), np.nan)
        if self.both:
            other = [_standard(self.v[:, part]) for part in self.parts]
            for draw in range(draws):
                mixed = (
                    one @ side[:, rng.permutation(side.shape[1])].T
                    for one, side in zip(self.halved, other, strict=True)
                )
                found[draw, self.alive] = _assigned(*mixed, absolute=self.absolute)[1]
        return found


def _varies(x: np.ndarray, *parts: np.ndarray) -> np.ndarray:
    """True for units [example, unit] that vary in every part of the examples, [unit]."""
    return np.all([np.ptp(x[part], axis=0) > 0 for part in parts], axis=0)


def _standard(x: np.ndarray) -> np.ndarray:
    """Each unit [unit, example] minus its mean, scaled to norm 1; a constant one becomes 0."""
    centered = x - x.mean(1, keepdims=True)
    size, whole = (np.sqrt(np.einsum("ue,ue->u", one, one)) for one in (centered, x))
    varies = size > TIE * whole
    return centered * np.divide(1, size, out=np.zeros_like(size), where=varies)[:, None]


def _assigned(chosen_on: np.ndarray, judged_on: np.ndarray, *, absolute: bool) -> tuple[np.ndarray, np.ndarray]:
    """(partner [unit], correlation [unit]) from the correlations [unit, unit_b] on the choosing and the judging half."""
    rows, columns = linear_sum_assignment(np.abs(chosen_on) if absolute else chosen_on, maximize=True)
    partner, value = np.full(len(chosen_on), -1), np.full(len(chosen_on), np.nan)
    sign = np.where(chosen_on[rows, columns] < 0, -1, 1) if absolute else 1
    partner[rows], value[rows] = columns, sign * judged_on[rows, columns]
    return partner, value


class _Rotations:
    """Random rotations of the units [unit, example], each rotated unit with the sorted values of one of them, by rank."""

    def __init__(self, v: np.ndarray) -> None:
        # Of a rotated unit only the order of its examples is used: single precision is enough, and twice as fast.
        self.centered, self.values = (v - v.mean(1, keepdims=True)).astype(np.float32), np.sort(v, axis=1)
        ties = len(np.unique(v, axis=1).T) < v.shape[1]
        self.kind: Literal["stable"] | None = "stable" if ties else None

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        width = len(self.centered)
        turn, corner = np.linalg.qr(rng.standard_normal((width, width), np.float32))
        turn *= np.sign(np.diag(corner))  # LAPACK's signs are not random: a single unit would always be flipped
        order = (turn.T @ self.centered).argsort(1, kind=self.kind)
        found = np.empty_like(self.values)
        np.put_along_axis(found, order, self.values[rng.permutation(width)], 1)
        return found


def _among(
    u: np.ndarray, v: np.ndarray, parts: Sequence[np.ndarray], rng: np.random.Generator, *, absolute: bool
) -> np.ndarray:
    """Correlations of the units [unit, example] of one network with their best partners among its others, as many against as many as
    here; NaN at the beginning, for a network of one unit has no others.
    """
    most, found = max(len(u), len(v)), [np.full(3, np.nan)]
    for x in (side for side in (u, v) if len(side) == most):
        rows, columns = (np.sort(rng.permutation(most)[: len(side)]) for side in (u, v))
        chosen, judged = (_standard(x[rows][:, part]) @ _standard(x[columns][:, part]).T for part in parts)
        itself = rows[:, None] == columns
        partner, value = _assigned(np.where(itself, 0 if absolute else -2, chosen), judged, absolute=absolute)
        kept = (partner >= 0) & ~itself[np.arange(len(rows)), partner]
        found.append(value[kept])
    return np.concatenate(found)


def _fisher(correlation: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(correlation, -1 + 1e-9, 1 - 1e-9))


def _p(value: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p of an equally good partner; a draw without a partner has none."""
    return p_values(value, np.nan_to_num(null, nan=-2.0))


# Phantoms.


def _sparse(seed: int, n: int, size: int = 10) -> np.ndarray:
    """Units with distinct sparse responses, so their axes can be distinguished from others of the same space."""
    return np.maximum(normal(seed, n, size) - 0.5, 0)


def _same_space(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """The same space with no unit in common."""
    x = _sparse(seed, 80, 6)
    return as_acts(x), as_acts((x / x.std(0)) @ turned(seed + 1, 6))


@of(match_units).calibrated_on(
    "a permutation with noise: share of units matched correctly",
    1,
    0,
    empty="the same space rotated; any unit with q < 0.05",
    read=lambda found: (found["correlation_shown"] & (found["matched"] == range(9, -1, -1))).mean(),
    alarm="correlation_shown",
    name="units matched",
)
def _reversed(seed: int, planted: bool) -> dict[str, Any]:
    if not planted:
        return dict(zip("ab", _same_space(seed), strict=True), draws=119)
    x = _sparse(seed, 120)
    return {"a": as_acts(x), "b": as_acts(x[:, ::-1] + 0.1 * normal(seed + 1, *x.shape)), "draws": 300}


@of(replication).calibrated_on(
    "6 of 10 units in both other networks",
    6,
    0,
    empty="two rotations of the same space; any unit in both",
    read=lambda found: (found["replicated"] == 2).sum(),
    alarm=lambda found: (found["replicated"] == 2).any(),
    name="units replicated",
    unit="units",
)
def _six_of_ten(seed: int, planted: bool) -> dict[str, Any]:
    """Six of ten units in both other networks, the rest only as a space."""
    if not planted:
        a, b = _same_space(seed)
        return {"acts": [a, b, as_acts(b.values @ turned(seed + 7, 6))], "draws": 119}
    x = _sparse(seed, 200)
    networks = [as_acts(x)]
    for number in (1, 2):
        mix = linalg.block_diag(np.eye(6), turned(seed + number, 4))
        networks.append(as_acts(x @ mix + 0.1 * normal(seed + 10 + number, *x.shape)))
    return {"acts": networks, "draws": 300}
