"""Activations of a whole data set, in memory or on disk, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from .. import axes, devices, files
from ..data import ImageSet
from ..doors import told
from ..errors import DataError, HookError
from .attach import Attachment, attached
from .point import Site
from .select import NamesFilter, select
from .wrap import hooked


class _Arrays:
    """Preallocated arrays, one for each call of each site, made when the first batch shows their shapes."""

    def __init__(self, length: int, folder: Path | None) -> None:
        self.length, self.folder = length, folder
        self.batch = slice(0)
        self.found: dict[tuple[Site, int], np.ndarray] = {}
        self.rows: Counter[tuple[Site, int]] = Counter()

    def put(self, at: Attachment, output: Any) -> None:
        """What is named must be a tensor [example, …] of one shape; of the rest, what is none is left out."""
        size, key = self.batch.stop - self.batch.start, (at.site, at.call)
        if isinstance(output, Tensor) and output.shape[:1] == (size,):
            if key not in self.found:
                self.rows[key] = 0
                self.found[key] = self._make(key, output)
            if self.found[key].shape[1:] == output.shape[1:]:
                torch.from_numpy(self.found[key][self.batch]).copy_(output)
                self.rows[key] += size
                return
        if at.site.named:
            shape = list(at.site.tensor(output).shape)
            raise HookError(
                f"{at.site.label!r} held {shape} for a batch of {size}: no array [example, …] can hold all batches"
            )

    def _make(self, key: tuple[Site, int], value: Tensor) -> np.ndarray:
        shape = (self.length, *value.shape[1:])
        dtype = torch.float32 if value.dtype == torch.bfloat16 else value.dtype  # numpy has no bfloat16
        if self.folder is None:
            return torch.empty(shape, dtype=dtype).numpy()
        return np.lib.format.open_memmap(self._part(key), "w+", torch.empty(0, dtype=dtype).numpy().dtype, shape)

    def _part(self, key: tuple[Site, int]) -> Path:
        assert self.folder is not None
        return self.folder / f"{key[0].label}@{key[1]}.part"

    def finish(self) -> dict[str, np.ndarray]:
        """The arrays by name, under their final file names; only those that every image filled."""
        for key, rows in self.rows.items():
            if rows < self.length:
                if key[0].named:
                    raise HookError(f"{key[0].label!r} was reached for only {rows} of {self.length} images")
                del self.found[key]
        calls = Counter(site for site, _ in self.found)
        names = {(s, k): s.label if calls[s] == 1 or s.call is not None else f"{s.label}@{k}" for s, k in self.found}
        if not names:
            raise HookError("there is nothing to keep: no module that was reached returned a tensor [example, …]")
        if self.folder is None:
            return {names[key]: array for key, array in self.found.items()}
        self.found.clear()
        paths = {name: self._part(key).rename(self.folder / f"{name}.npy") for key, name in names.items()}
        return {name: np.load(path, mmap_mode="r+") for name, path in paths.items()}

    def discard(self) -> None:
        """Removes what is unfinished on disk."""
        for key in self.rows if self.folder else ():
            self._part(key).unlink(missing_ok=True)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode while the block lasts; every submodule gets back the mode it had."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@told
def activations(
    model: nn.Module,
    images: ImageSet | Tensor,
    names_filter: NamesFilter = None,
    *,
    batch_size: int = 1024,
    folder: str | Path | None = None,
) -> dict[str, xr.DataArray]:
    """Activations of all images by hook point: DataArrays [example, unit] or [example, channel, row, col].

    ``images``: an ImageSet (its labels become the coordinate ``label``) or a tensor [example, …]. The model runs in
    evaluation mode without gradients, ``batch_size`` images at a time, and is left in the mode it was in. With
    ``folder``, each array is a memory-mapped ``<hook point>.npy`` file there, for data larger than memory; a folder that
    holds such files already is refused. A module that runs twice gives ``name@0`` and ``name@1``. A model that is no
    HookedModel is wrapped by `hooked`. No images, a filter that matches nothing, and a named hook point that some images
    do not reach or that holds no tensor [example, …] are errors; what nobody named is then left out.
    """
    lens = hooked(model)
    tensor = images.tensor() if isinstance(images, ImageSet) else images
    if not isinstance(tensor, Tensor):
        raise DataError(f"activations takes an ImageSet or a torch tensor of images; got {type(images).__name__}")
    if tensor.ndim == 0 or len(tensor) == 0:
        raise HookError(f"no images came (shape {list(tensor.shape)}); activations need at least one")
    if batch_size < 1:
        raise HookError(f"batch_size is {batch_size}; it is 1 or more")
    sites = select(lens._sites(), names_filter)
    arrays = _Arrays(len(tensor), _empty_folder(folder))
    put = arrays.put
    try:
        with torch.no_grad(), evaluation(lens), attached(lens._root(), [(site, put) for site in sites]) as scope:
            for start in range(0, len(tensor), batch_size):
                arrays.batch = slice(start, min(start + batch_size, len(tensor)))
                lens(devices.like(model, tensor[arrays.batch]))
            scope.check()
        found = arrays.finish()
    finally:
        arrays.discard()
    labels = images.labels if isinstance(images, ImageSet) else None
    return {name: _named(name, array, labels) for name, array in found.items()}


def _empty_folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    folder = files.place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    taken = sorted(path.name for path in folder.glob("*.npy"))
    if taken:
        raise HookError(f"{folder} already holds {taken[0]}; give an empty folder, nothing is overwritten")
    return folder


def _named(name: str, array: np.ndarray, labels: np.ndarray | None) -> xr.DataArray:
    dims = axes.of_activation(array.shape, name)
    coords = {} if labels is None else {"label": ("example", labels)}
    return xr.DataArray(array, dims=dims, coords=coords, name=name, attrs={"units": "1", "hook_point": name})
