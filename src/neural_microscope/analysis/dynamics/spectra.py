"""Singular values of weight matrices over training, compared with those of shuffled entries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
import xarray as xr

from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside, null_band
from ...wording import goes


@measure(
    "dynamics",
    title="Weight spectra",
    null="{draws} shuffles of a matrix's entries; shown with the untrained network's matrix at step 0",
    replicates="matrix",
    interval="none: the weights are known exactly; another seed has different ones",
    family="none: one test a matrix",
    source="Marchenko & Pastur 1967; stable rank: Rudelson & Vershynin 2007",
    place=70,
)
def weight_spectra(
    states: Iterable[Mapping[str, Any]], steps: Sequence[int], *, draws: int = 39, seed: int = 0
) -> xr.Dataset:
    """Singular values of every weight matrix at every snapshot, compared with those of the same entries shuffled.

    The null shuffles a matrix's entries, which keeps their values and so ||W||_F, and removes their arrangement.
    Entries with a nonzero mean keep a large top value when shuffled. The first snapshot, where it is step 0, is the
    untrained network.

    Args:
        states: A state dict for each step (``(run.weights(s) for s in run.steps)``), tensors or arrays; values with
            fewer than two axes are skipped, kernels are flattened to [out, in · rows · cols].
        steps: Step of each state.
        draws: Number of draws of the null (shuffles of a matrix's entries).
        seed: Seed of the null's draws.

    Returns:
        Values [snapshot, parameter], the parameters in the order of their names.

        * ``singular_value`` [snapshot, parameter, rank]: largest first, NaN beyond a matrix's own rank; of the last
          snapshot also ``singular_value_null_low``, ``singular_value_null_high`` [parameter, rank].
        * ``top``: the largest, with ``top_null_low``, ``top_null_high`` (2.5 and 97.5 percentiles) and ``top_p``
          (one-sided, for each matrix alone).
        * ``stable_rank``: ||W||_F² / ||W||_2², 1..min(shape), NaN for a matrix of zeros; with ``stable_rank_null_low``,
          ``stable_rank_null_high``.
        * ``outliers``: the number of singular values above ``top_null_high``.
        * ``edge``: where Marchenko & Pastur's law ends, sd(W) · (sqrt(out) + sqrt(in)), for entries of mean 0.

    Raises:
        DataError: Weights that are not finite, or states that do not hold the same matrices, one state for each step.

    >>> states = (run.weights(step) for step in run.steps)
    >>> nm.analysis.dynamics.weight_spectra(states, run.steps, draws=5)["top"].dims
    ('snapshot', 'parameter')
    """
    matrices = _matrices(states, steps)
    stacked = [np.stack([state[name] for state in matrices]) for name in matrices[0]]
    tops, spectra = zip(*(_null(one, draws, seed) for one in stacked), strict=True)
    values = [[np.linalg.svd(matrix, compute_uv=False) for matrix in state.values()] for state in matrices]
    # the same arithmetic as for the null, so equal entries give bitwise equal values
    tested = np.stack([_spectra(one)[:, 0] for one in stacked], axis=-1)
    top = beside("top", tested, np.stack(tops, axis=-1), DIMS, family=False)
    low, high = top["top_null_low"][1], top["top_null_high"][1]
    energy = np.array([[float((matrix**2).sum()) for matrix in state.values()] for state in matrices])
    largest = np.array([[one[0] for one in row] for row in values])
    above = [[(one > end).sum() for one, end in zip(*row, strict=True)] for row in zip(values, high, strict=True)]
    found = {
        "top": largest,
        "stable_rank": _ratio(energy, largest),
        "stable_rank_null_low": _ratio(energy, high),
        "stable_rank_null_high": _ratio(energy, low),
        "outliers": np.array(above),
        "edge": np.array([[_edge(matrix) for matrix in state.values()] for state in matrices]),
    }
    bands = zip(("low", "high"), zip(*map(null_band, spectra), strict=True), strict=True)
    last = {f"singular_value_null_{end}": _padded(list(band)) for end, band in bands}
    return xr.Dataset(
        {
            "singular_value": ((*DIMS, "rank"), np.array([_padded(row) for row in values]), {"units": "1"}),
            **top,
            **{name: (DIMS, one, {"units": "1"}) for name, one in found.items()},
            **{name: (("parameter", "rank"), one, {"units": "1"}) for name, one in last.items()},
        },
        coords={"step": ("snapshot", np.asarray(steps)), "parameter": list(matrices[0])},
    )


DIMS = ("snapshot", "parameter")


def _edge(matrix: np.ndarray) -> float:
    return float(matrix.std() * (np.sqrt(matrix.shape[0]) + np.sqrt(matrix.shape[1])))


def _ratio(energy: np.ndarray, top: np.ndarray) -> np.ndarray:
    return np.divide(energy, top**2, out=np.full(energy.shape, np.nan), where=top > 0)


def _spectra(matrices: np.ndarray) -> np.ndarray:
    """Singular values [snapshot, rank], largest first, from the smaller Gram matrix: several times as fast as an exact SVD, accurate to
    1e-7 of the largest. In torch, which is faster than numpy.
    """
    x = torch.from_numpy(matrices)
    small = x if x.shape[1] <= x.shape[2] else x.mT
    return torch.linalg.eigvalsh(small @ small.mT).flip(-1).clip(0).sqrt().numpy()


def _null(matrices: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the same entries in random positions, at every snapshot the same in a draw: the largest singular value [draw, snapshot], and all
    of the last snapshot [draw, rank].
    """
    rng, flat = np.random.default_rng(seed), matrices.reshape(len(matrices), -1)
    found = [_spectra(flat.take(rng.permutation(flat.shape[1]), axis=1).reshape(matrices.shape)) for _ in range(draws)]
    return np.array([one[:, 0] for one in found]), np.array([one[-1] for one in found])


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """[parameter, rank], NaN beyond a matrix's own rank."""
    return np.array(list(zip_longest(*rows, fillvalue=np.nan))).T


def _matrices(states: Iterable[Mapping[str, Any]], steps: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """The matrices of every state, float64 [out, in]; the same names and shapes in each, all values finite."""
    found = []
    for state, step in zip(states, steps, strict=False):
        # by name: a weight file may hold them in any order, and in a different one at each snapshot
        matrices = {name: _matrix(state[name]) for name in sorted(state, key=_number) if len(state[name].shape) >= 2}
        for name, matrix in matrices.items():
            if not np.isfinite(matrix).all():
                raise DataError(
                    f"{name} at step {step}: not all weights are finite; the network has diverged at that step"
                )
        found.append(matrices)
    shapes = [{name: matrix.shape for name, matrix in state.items()} for state in found]
    if len(found) != len(steps) or not found:
        raise DataError(f"there are {len(found)} states for {len(steps)} steps; give a state dict for each step")
    if not shapes[0] or any(shape != shapes[0] for shape in shapes):
        raise DataError(
            "the states hold no matrix, or not the same ones; give state dicts of one network over training"
        )
    return found


def _number(name: str) -> list[tuple[int, str]]:
    """layers.2 before layers.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _matrix(value: Any) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return array.reshape(len(array), -1).astype(np.float64)


# On a page.


@of(weight_spectra).on("network")
def _asked(at: Any) -> xr.Dataset:
    steps = at.layers[0].points["step"].values.tolist() if at.layers else at.run.steps  # as for the curves of a layer
    return weight_spectra((at.run.weights(step) for step in steps), steps)


def _first_weights(at: Any) -> dict[str, Any]:
    """The first layer's weights as pictures [unit, row, col], trained and untrained, and the pixels that never change."""
    run = at.run
    end, start = run.weights(), run.weights(0)
    name = next(name for name in run.description["parameters"] if end[name].ndim in (2, 4))
    trained, untrained = end[name].numpy(), start[name].numpy()
    constant, shape = None, trained.shape[2:]
    if trained.ndim == 2:
        shape = run.probe.image_shape
        constant = np.zeros(shape, bool)
        constant.reshape(-1)[run.description["constant_pixels"]] = True
    pictures = {"trained": trained.reshape(-1, *shape), "untrained": untrained.reshape(-1, *shape)}
    return pictures | {"constant": constant}


@of(weight_spectra).describe("network")
def _first(at: Any) -> Iterator[Claim]:
    table = at["dynamics.weight_spectra"].isel(parameter=0)
    went, ends = goes(table["stable_rank"].values)
    pictures = _first_weights(at)
    both = (pictures[name] for name in ("trained", "untrained"))
    end, start = (np.linalg.norm(one.reshape(len(one), -1), axis=1) for one in both)
    grew = np.median(end[start > 0] / start[start > 0]) if start.any() else math.nan
    yield say(
        "the first layer's weights",
        f"the first weight matrix's stable rank {went} (its entries shuffled: {{low:g}} to {{high:g}}); at the last snapshot "
        "the norm of a unit's incoming weights is {grew:2} times that at initialization (median unit).",
        grew=float(grew),
        low=float(table["stable_rank_null_low"][-1]),
        high=float(table["stable_rank_null_high"][-1]),
        **ends,
    )


of(weight_spectra).picture(
    "weights",
    "Incoming weights of the first layer's first units, at most 16: orange raises a unit's activation, blue lowers it, on one scale for "
    "all. A blank picture: weights near 0. Gray pixels are 0 on every training image: the data never change their weights, only weight "
    "decay does.",
    takes=lambda at: (
        {k: w if k == "constant" else w[:16] for k, w in _first_weights(at).items()} if at.layers else {"": None}
    ),
)
of(weight_spectra).picture(
    "weight_spectra",
    "Stable rank: the sum of the squared singular values divided by the largest squared one; 1 if one direction holds all.",
    more=True,
)


# Phantoms.

SPIKE, SHAPE = 25.0, (12, 30)
"""Strength of the planted direction, against noise of sd 1, and the matrix it is in."""
PLANTED = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
"""Singular values."""


@of(weight_spectra).calibrated_on(
    "one direction of strength 25 in noise",
    np.sqrt((SPIKE**2 + SHAPE[0]) * (SPIKE**2 + SHAPE[1])) / SPIKE,  # Benaych-Georges & Nadakuditi 2012
    2.5,
    empty="independent entries; alarm: p < 0.05 against their shuffles",
    name="top singular value of weights",
    read="top",
)
def _spiked(seed: int, planted: bool) -> tuple[list[dict[str, np.ndarray]], list[int]]:
    rng = np.random.default_rng(seed)
    left, right = (rng.standard_normal(k) for k in SHAPE)
    direction = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
    return [{"weight": rng.standard_normal(SHAPE) + SPIKE * planted * direction}], [0]


@of(weight_spectra).calibrated_on(
    "six known singular values",
    (PLANTED**2).sum() / PLANTED[0] ** 2,
    1e-9,
    empty="independent entries; alarm: below the null's band",
    name="stable rank of weights",
    read="stable_rank",
    alarm=lambda found: (found["stable_rank"] < found["stable_rank_null_low"]).any(),
    draws=59,
)
def _of_rank(seed: int, planted: bool) -> tuple[list[dict[str, np.ndarray]], list[int]]:
    if not planted:
        return _spiked(seed, planted)
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((k, len(PLANTED))))[0] for k in SHAPE)
    return [{"weight": left * PLANTED @ right.T}], [0]
