"""The log of a run as one NetCDF file, for tools that read no Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from .. import files
from ..doors import door
from ..run import Run
from .needed import needed


@door
def to_netcdf(run: Run, path: str | Path) -> Path:
    """Writes everything that a run logged into one compressed NetCDF file; returns its path.

    The root group has the snapshot axis, ``training`` and ``gradients`` the step axis. The numbers are the same to the
    bit. ``xarray.open_datatree(path)`` opens all, ``xarray.open_dataset(path, group="training")`` one group.

    Args:
        run: A run.
        path: File to write; an existing one is replaced.

    Raises:
        MicroscopeError: h5netcdf or h5py is not installed.
        FileError: The path can't be written.

    >>> nm.interop.to_netcdf(run, "log.nc").name  # doctest: +SKIP
    'log.nc'
    """
    path = files.writable(path)
    for module in ("h5netcdf", "h5py"):  # which may be there without the other
        needed(module, "'neural-microscope[netcdf]'")
    groups = {"/": run.log, "/training": run.training, "/gradients": run.gradients}
    tree = xr.DataTree.from_dict({name: _plain(dataset) for name, dataset in groups.items()})
    packed = {
        name: {variable: {"zlib": True, "complevel": 1} for variable in dataset.data_vars}
        for name, dataset in groups.items()
    }
    with files.whole(path) as partial:
        tree.to_netcdf(partial, engine="h5netcdf", encoding=packed)
    return path


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Without Zarr's own encoding, and with attributes that NetCDF can hold."""
    found: Any = dataset.drop_encoding().load()
    for thing in (found, *found.variables.values()):
        thing.attrs = {
            name: value if isinstance(value, str | int | float) else str(value) for name, value in thing.attrs.items()
        }
    return found
