"""The results of a sweep's networks, read on demand from their folders."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from ..doors import door
from ..errors import MicroscopeError, RunError
from ..run import log
from .destination import contents, endings, place, read
from .jobs import plan, word

CHUNK = 100
"""The number of runs read by one task."""


@door
def table(folder: str | Path) -> xr.Dataset:
    """One row per planned run, [run], with its settings and seed as coordinates.

    All variables are Dask arrays, read when they are computed, on the cluster if a client is connected. A setting that
    is a list of widths is text, "128-64".

    Args:
        folder: A local path or any fsspec URL of a sweep.

    Returns:
        ``status`` (finished, diverged or missing), and at the end ``test_accuracy`` (0..1) and ``test_loss`` (nats),
        NaN for unfinished runs.

    Raises:
        RunError: No sweep; when computed, a file that is missing or was altered.

    >>> place = nm.sweep.claim(nm.sweep.Sweep(nm.MLPConfig(), seeds=range(2)), "sweeps/seeds")
    >>> nm.sweep.table("sweeps/seeds")["status"].values.tolist()
    ['missing', 'missing']
    """
    try:
        import dask.array as da
    except ImportError:
        raise MicroscopeError("the table of a sweep needs Dask: pip install 'neural-microscope[sweep]'") from None
    system, root = place(folder)
    rows = [(job, seed) for job in plan(read(folder)) for seed in job.seeds]
    names = np.array([job.name(seed) for job, seed in rows])
    coords: dict[str, Any] = {"run": names, "seed": ("run", [seed for _, seed in rows])}
    for name in rows[0][0].settings:
        values = [job.settings[name] for job, _ in rows]
        coords[name] = "run", [word(v) for v in values] if isinstance(values[0], tuple) else values
    url, blocks = system.unstrip_protocol(root), da.from_array(names, chunks=CHUNK)

    def lazy(about: str, units: str, function: Callable[..., np.ndarray], dtype: str = "float64", **which: str) -> Any:
        array = blocks.map_blocks(function, folder=url, **which, dtype=dtype, meta=np.empty(0, dtype))
        return ("run",), array, {"long_name": about, "units": units}

    right = "share of all test images classified correctly at the end"
    found = {
        "status": lazy("finished, diverged or missing", "1", _statuses, "U8"),
        "test_accuracy": lazy(right, "1", _scores, number="test_accuracy"),
        "test_loss": lazy("mean cross-entropy on all test images at the end", "nats", _scores, number="test_loss"),
    }
    return xr.Dataset(found, coords)


def _statuses(names: np.ndarray, folder: str) -> np.ndarray:
    ended = endings(*place(folder), names.tolist())
    return np.array([ended[name].status.split()[0] if name in ended else "missing" for name in names.tolist()], "U8")


def _scores(names: np.ndarray, folder: str, number: str) -> np.ndarray:
    """The last number of an array of each run's log, [run]."""
    system, root = place(folder)
    ended = endings(system, root, names.tolist())
    found = np.full(len(names), np.nan)
    rows = [i for i, run in enumerate(names.tolist()) if run in ended and ended[run].status == "finished"]
    chunks = [f"log.zarr/{number}/c.{ended[names[i]].snapshots - 1}" for i in rows]
    paths = [f"{root}/runs/{names[i]}/{chunk}" for i, chunk in zip(rows, chunks, strict=True)]
    for i, chunk, path, content in zip(rows, chunks, paths, contents(system, root, paths), strict=True):
        if content is None or sha256(content).hexdigest() != ended[names[i]].files.get(chunk):
            raise RunError(f"{path} is {'missing' if content is None else 'not what was written'}; `microscope verify`")
        found[i] = log.scalar(content, path)
    return found
