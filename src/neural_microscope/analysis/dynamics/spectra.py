"""The singular values of weight matrices while a network learns, beside those of shuffled entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from ...errors import DataError
from ...measure import measure
from ...statistics import null_band, p_values


@measure(
    "dynamics",
    title="Weight spectra",
    null="the matrix's entries shuffled; the untrained matrix",
    replicates="matrix",
    interval="none: weights are known exactly",
    family="none: one test a matrix",
    source="Marchenko & Pastur 1967; Rudelson & Vershynin 2007",
)
def weight_spectra(
    states: Iterable[Mapping[str, Any]], steps: Sequence[int], *, draws: int = 39, seed: int = 0
) -> xr.Dataset:
    """Singular values of every weight matrix at every snapshot, beside those of the same entries in random places.

    ``states``: a state dict for each of ``steps`` (``(run.weights(s) for s in run.steps)``), tensors or arrays; what
    has fewer than two axes is passed over, kernels are flattened to [out, in · rows · cols]. Parameters come in the order
    of their names.

    ``singular_value`` [snapshot, parameter, rank], largest first, NaN beyond a matrix's own rank. ``top`` [snapshot,
    parameter]: the largest. ``stable_rank``: ||W||_F² / ||W||_2², 1..min(shape); NaN for a matrix of zeros. The null
    shuffles a matrix's entries, which keeps their values and hence ||W||_F and takes their arrangement away:
    ``top_null_low``, ``top_null_high``, ``stable_rank_null_low``, ``stable_rank_null_high`` (2.5 and 97.5 percentiles),
    ``top_p`` (one-sided, for each matrix alone), and, for the whole spectrum of the last snapshot,
    ``singular_value_null_low``, ``singular_value_null_high`` [parameter, rank]. ``outliers``: singular values above
    ``top_null_high``. ``edge``: where Marchenko & Pastur's law ends, sd(W) · (sqrt(out) + sqrt(in)), for entries of
    mean 0; entries that share a mean keep a large ``top`` when shuffled. The first snapshot, where it is step 0, is the
    untrained network. Weights that are not finite are a DataError.
    """
    matrices = _matrices(states, steps)
    nulls = [_null([state[name] for state in matrices], draws, seed) for name in matrices[0]]
    variables: dict[str, list[list[Any]]] = {}
    for number, state in enumerate(matrices):
        for name, row in _row(list(state.values()), [null[number] for null in nulls]).items():
            variables.setdefault(name, []).append(row)
    bands = zip(("low", "high"), zip(*(null_band(null[-1]) for null in nulls), strict=True), strict=True)
    found = {
        name: np.array([_padded(row) if name == "singular_value" else row for row in rows])
        for name, rows in variables.items()
    }
    last = {f"singular_value_null_{end}": _padded(list(band)) for end, band in bands}
    return xr.Dataset(
        {
            **{name: (("snapshot", "parameter", "rank")[: v.ndim], v, {"units": "1"}) for name, v in found.items()},
            **{name: (("parameter", "rank"), v, {"units": "1"}) for name, v in last.items()},
        },
        coords={"step": ("snapshot", np.asarray(steps)), "parameter": list(matrices[0])},
        attrs={
            "null": f"{draws} shuffles of a matrix's entries; and the untrained network's matrix, at step 0",
            "seed": seed,
            "hook_point": "",
            "interval": "none: the weights are known exactly; another seed has others",
            "source": "Marchenko & Pastur 1967; stable rank: Rudelson & Vershynin 2007",
        },
    )


def _row(matrices: list[np.ndarray], nulls: list[np.ndarray]) -> dict[str, list[Any]]:
    """One snapshot's entry for every variable, parameter by parameter; ``nulls``: spectra [draw, rank] of each."""
    row: dict[str, list[Any]] = {}
    for matrix, null in zip(matrices, nulls, strict=True):
        values = np.linalg.svd(matrix, compute_uv=False)
        energy = float((matrix**2).sum())
        low, high = (float(end) for end in null_band(null[:, 0]))
        entries = {
            "singular_value": values,
            "top": values[0],
            "top_null_low": low,
            "top_null_high": high,
            # the same arithmetic on both sides, so that equal entries give equal values to the last bit
            "top_p": float(p_values(_spectrum(matrix)[0], null[:, 0])),
            "stable_rank": _ratio(energy, values[0]),
            "stable_rank_null_low": _ratio(energy, high),
            "stable_rank_null_high": _ratio(energy, low),
            "outliers": int((values > high).sum()),
            "edge": matrix.std() * (np.sqrt(matrix.shape[0]) + np.sqrt(matrix.shape[1])),
        }
        for name, entry in entries.items():
            row.setdefault(name, []).append(entry)
    return row


def _ratio(energy: float, top: float) -> float:
    return energy / top**2 if top > 0 else np.nan


def _spectrum(matrix: np.ndarray) -> np.ndarray:
    """Singular values through the smaller Gram matrix: several times as fast as exact ones, and good to 1e-7 of the
    largest.
    """
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return np.sqrt(np.linalg.eigvalsh(small @ small.T)[::-1].clip(0))


def _null(matrices: list[np.ndarray], draws: int, seed: int) -> np.ndarray:
    """Spectra [snapshot, draw, rank] of the same entries in random places; a draw uses the same places at every snapshot."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        places = rng.permutation(matrices[0].size)
        drawn.append([_spectrum(matrix.ravel()[places].reshape(matrix.shape)) for matrix in matrices])
    return np.array(drawn).swapaxes(0, 1)


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """[parameter, rank], NaN beyond a matrix's own rank."""
    table = np.full((len(rows), max(map(len, rows))), np.nan)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


def _matrices(states: Iterable[Mapping[str, Any]], steps: Sequence[int]) -> list[dict[str, np.ndarray]]:
    """The matrices of every state, float64 [out, in]; the same names and shapes in each, all values finite."""
    found = []
    for state, step in zip(states, steps, strict=False):
        # by name: a file that weights were read from may hold them in any order, and in another at each snapshot
        matrices = {name: _matrix(state[name]) for name in sorted(state, key=_number) if len(state[name].shape) >= 2}
        for name, matrix in matrices.items():
            if not np.isfinite(matrix).all():
                raise DataError(f"{name} at step {step}: not all weights are finite; the network has diverged there")
        found.append(matrices)
    shapes = [{name: matrix.shape for name, matrix in state.items()} for state in found]
    if len(found) != len(steps) or not found:
        raise DataError(f"{len(found)} states came for {len(steps)} steps; give a state dict for each step")
    if not shapes[0] or any(shape != shapes[0] for shape in shapes):
        raise DataError("the states hold no matrix, or not the same ones; give state dicts of one network over time")
    return found


def _number(name: str) -> list[tuple[int, str]]:
    """layers.2 before layers.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _matrix(value: Any) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return array.reshape(len(array), -1).astype(np.float64)
