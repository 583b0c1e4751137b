"""Every instrument on its phantom and on empty ones: truth, reading, error, false alarms."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import xarray as xr

from .. import files
from ..errors import DataError
from .instrument import ALLOWED, DECLARED, Instrument


def _instruments() -> list[Instrument]:
    """Those that the modules of this package list under INSTRUMENTS, module by module."""
    package = __name__.rpartition(".")[0]
    names = sorted(m.name for m in pkgutil.iter_modules(importlib.import_module(package).__path__))
    found = [importlib.import_module(f"{package}.{n}") for n in names if n not in ("calibration", "instrument")]
    return [instrument for module in found for instrument in module.INSTRUMENTS]


INSTRUMENTS: list[Instrument] = _instruments()


def calibrate(
    instruments: Sequence[Instrument] | None = None,
    *,
    empties: int = 200,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> xr.Dataset:
    """Reads each instrument's phantom once and ``empties`` empty ones, seeded from ``seed`` on: [instrument].

    ``truth``, ``measured`` and ``error`` (measured - truth) in the instrument's own unit; ``tolerance``; ``recovered``:
    the error is within it; ``false_alarms``: share of empty phantoms (0..1) in which something was claimed, 0.05 being
    declared; ``silent``: at most 0.08 of them. ``progress(name, done, total)`` counts instruments.
    """
    chosen = INSTRUMENTS if instruments is None else list(instruments)
    readings, alarms = [], []
    for done, instrument in enumerate(chosen):
        readings.append(instrument.read(seed))
        alarms.append(np.mean([bool(instrument.alarm(seed + i)) for i in range(empties)]) if empties else np.nan)
        if progress:
            progress("instruments", done + 1, len(chosen))
    truth, measured = np.array(readings, float).reshape(-1, 2).T
    tolerance, rate = np.array([i.tolerance for i in chosen], float), np.array(alarms, float)
    columns = {
        "truth": truth,
        "measured": measured,
        "error": measured - truth,
        "tolerance": tolerance,
        "recovered": np.abs(measured - truth) <= tolerance,
        "false_alarms": rate,
        "silent": rate <= ALLOWED,
    }
    words = {
        word: ("instrument", [getattr(i, word) for i in chosen]) for word in ("measure", "planted", "empty", "unit")
    }
    return xr.Dataset(
        {name: ("instrument", column) for name, column in columns.items()},
        coords={"instrument": [i.name for i in chosen], **words},
        attrs={"n_empty": empties, "seed": seed, "declared": DECLARED, "allowed": ALLOWED},
    )


def save(result: xr.Dataset, path: str | Path) -> Path:
    """Writes a calibration as JSON, whole or not at all; returns the path."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(result.to_dict(), indent=1) + "\n", "utf-8")
    os.replace(partial, path)
    return path


def open_record(path: str | Path | None = None) -> xr.Dataset:
    """A calibration that `save` wrote; by default the one this release was made with."""
    text = resources.files(__package__).joinpath("record.json").read_bytes() if path is None else files.read(path)
    try:
        return xr.Dataset.from_dict(json.loads(text))
    except ValueError as error:
        raise DataError(
            f"{path} is no calibration; `microscope calibrate --output FILE` writes one ({error})"
        ) from error
