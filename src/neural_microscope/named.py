"""Named arrays in, plain float64 out: the requirements of every measure on its activations, checked once and by name."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from .axes import unit_axis
from .errors import DataError, NoLabels, unknown


def values(acts: xr.DataArray, *order: str) -> np.ndarray:
    """The array as float64 in the given order of axes.

    Args:
        acts: Activations, or another array with named axes.
        *order: Names of its axes in the order of the result.

    Raises:
        DataError: A missing or extra axis, an empty one, or values that are not finite, with the hook point and the
            first step where the network has diverged.
    """
    dims = [str(dim) for dim in acts.dims]
    if set(dims) != set(order):
        raise DataError(f"{_name(acts)}: the axes are [{', '.join(dims)}]; they must be [{', '.join(order)}]")
    empty = [dim for dim in order if not acts.sizes[dim]]
    if empty:
        raise DataError(f"{_name(acts)}: the axis {empty[0]!r} is empty; there is nothing to measure")
    array = acts.transpose(*order).values.astype(np.float64)
    finite(acts)
    return array


def matrix(acts: xr.DataArray) -> np.ndarray:
    """[example, unit] (or channel) in float64; of several snapshots, the last.

    Args:
        acts: Activations [snapshot, example, unit] (or without snapshots).

    Raises:
        DataError: Feature maps, with a way to reduce them; otherwise as `values`.

    >>> from neural_microscope import named
    >>> named.matrix(acts).shape == (acts.sizes["example"], acts.sizes["unit"])
    True
    """
    acts = last(acts)
    if "row" in acts.dims:
        raise DataError(
            f"{_name(acts)} holds whole maps; reduce them to a number for each channel, "
            'with acts.mean(("row", "col")) or run.activations(name, "max")'
        )
    if "token" in acts.dims:
        raise DataError(
            f'{_name(acts)} holds whole sequences; give token=, a token or "mean" or "all", to nm.activations or run.activations'
        )
    return values(acts, "example", unit_axis(acts.dims))


def flat(acts: xr.DataArray) -> np.ndarray:
    """[example, feature] in float64, feature maps flattened; of several snapshots the last.

    Args:
        acts: Activations [snapshot, example, …] (or without snapshots).
    """
    acts = last(acts)
    rest = [str(dim) for dim in acts.dims if dim != "example"]
    return values(acts, "example", *rest).reshape(acts.sizes["example"], -1)


def last(acts: xr.DataArray) -> xr.DataArray:
    """The last snapshot, or everything if there is no such axis.

    Args:
        acts: Activations [snapshot, example, …] (or without snapshots).
    """
    return acts.isel(snapshot=-1) if "snapshot" in acts.dims else acts


def snapshots(acts: xr.DataArray, at: Iterable[int] | int | None) -> np.ndarray:
    """The numbers of the snapshots recorded at the steps ``at``, ascending, each once.

    Steps are those of the coordinate ``step``; without it a snapshot's step is its number.

    Args:
        acts: Activations [snapshot, example, …].
        at: One step or several; below 0 they count from the end: -1 is the last snapshot. None: all.

    Raises:
        UnknownName: A step that was not recorded; the message lists those that were.
    """
    count = acts.sizes.get("snapshot", 1)
    steps = np.atleast_1d(acts["step"].values if "step" in acts.coords else np.arange(count)).tolist()
    if at is None:
        return np.arange(count)
    found = set()
    for step in [at] if isinstance(at, (int, np.integer)) else at:
        if step not in steps and not -count <= step < 0:
            raise unknown("snapshot at step", step, map(str, steps))
        found.add(step % count if step < 0 else steps.index(step))
    return np.array(sorted(found), int)


def labels(acts: xr.DataArray | xr.Dataset) -> np.ndarray:
    """The examples' classes, integers from 0, [example].

    Args:
        acts: An array or a table with the coordinate ``label``.

    Raises:
        NoLabels: The coordinate ``label`` is missing.
        DataError: It is not integer or below 0.

    >>> from neural_microscope import named
    >>> named.labels(acts).shape == (acts.sizes["example"],)
    True
    """
    if "example" not in acts.dims:
        axes = ", ".join(map(str, acts.dims))
        raise DataError(f"{_name(acts)} has the axes {axes}; the axis 'example' with the coordinate 'label' is needed")
    if "label" not in acts.coords or acts["label"].dims != ("example",):
        raise NoLabels(
            f"{_name(acts)} (no coordinate 'label', which activations of a run or an ImageSet with labels have)"
        )
    found = np.asarray(acts["label"].values)
    if found.dtype.kind not in "iu" or found.min(initial=0) < 0:
        begin = f" from {found.min()}" if found.dtype.kind in "if" and found.size else ""
        raise DataError(f"{_name(acts)}: the labels are {found.dtype}{begin}; they must be integers from 0")
    return found


def same_examples(a: xr.DataArray, b: xr.DataArray) -> None:
    """A DataError unless both hold the same number of examples.

    If both have labels, they must be the same in the same order.

    Args:
        a: Activations [example, …].
        b: Activations [example, …].
    """
    if a.sizes.get("example") != b.sizes.get("example"):
        raise DataError(
            f"{_name(a)} holds {a.sizes.get('example')} examples, {_name(b)} {b.sizes.get('example')}; "
            "give activations of the same images"
        )
    if "label" in a.coords and "label" in b.coords and not np.array_equal(a["label"].values, b["label"].values):
        raise DataError(
            f"{_name(a)} and {_name(b)} have different labels: they must come from the same images in the same order"
        )


def finite(acts: xr.DataArray) -> None:
    """A DataError if a value is not finite.

    It names the hook point, the first step where a value is not finite, how many are not, and the first of them.

    Args:
        acts: Activations, or another array with named axes.
    """
    good = np.isfinite(acts.values)
    if good.all():
        return
    where = ""
    if "snapshot" in acts.dims:
        begun = int(np.flatnonzero(~good.all(tuple(i for i, d in enumerate(acts.dims) if d != "snapshot")))[0])
        where = f" at snapshot {begun}"
        if "step" in acts.coords and acts["step"].dims == ("snapshot",):
            where = f" at step {int(acts['step'][begun])}"
    if "step" in acts.coords and acts["step"].ndim == 0:
        where = f" at step {int(acts['step'])}"
    first = ", ".join(f"{dim} {index}" for dim, index in zip(acts.dims, np.argwhere(~good)[0].tolist(), strict=True))
    bad = f"{(~good).sum()} of {good.size} are not, the first at {first}" if first else "it is one"
    raise DataError(
        f"{_name(acts)}{where}: not all values are finite ({bad}); "
        "the network has diverged at that step. Use earlier snapshots"
    )


def kept(acts: xr.DataArray, *names: str) -> dict[str, xr.DataArray]:
    """Those of the named coordinates that exist, for a result.

    Args:
        acts: Activations, or another array with named axes.
        *names: Names of coordinates.
    """
    return {name: acts[name] for name in names if name in acts.coords}


def _name(acts: xr.DataArray | xr.Dataset) -> str:
    return str(getattr(acts, "name", None) or "the activations")
