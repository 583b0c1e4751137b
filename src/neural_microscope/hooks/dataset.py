"""Activations of a whole data set, in memory or on disk, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from .. import axes
from ..data import ImageSet
from ..errors import HookError
from .attach import Action, Pass, attached, check_fired
from .cache import flatten_calls
from .point import Site
from .select import NamesFilter, select
from .wrap import hooked


class _Arrays:
    """Preallocated arrays, one for each call of each hook point, made when the first batch shows their shapes."""

    def __init__(self, length: int, folder: Path | None) -> None:
        self.length, self.folder = length, folder
        self.found: dict[str, list[Tensor]] = {}
        self.start = 0

    def put(self, name: str, call: int, value: Tensor) -> None:
        calls = self.found.setdefault(name, [])
        if call == len(calls):
            calls.append(self._make(f"{name}@{call}" if call else name, value))
        calls[call][self.start : self.start + len(value)].copy_(value)

    def _make(self, name: str, value: Tensor) -> Tensor:
        shape = (self.length, *value.shape[1:])
        if self.folder is None:
            return torch.empty(shape, dtype=value.dtype)
        dtype = torch.empty(0, dtype=value.dtype).numpy().dtype
        return torch.from_numpy(np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", dtype, shape))


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


def activations(
    model: nn.Module,
    images: ImageSet | Tensor,
    names_filter: NamesFilter = None,
    *,
    batch_size: int = 1024,
    folder: str | Path | None = None,
) -> dict[str, xr.DataArray]:
    """Activations of all images by hook point: DataArrays [example, unit] or [example, channel, row, col].

    ``images``: an ImageSet (its labels become the coordinate ``label``) or a tensor [example, …]. The model runs in evaluation mode
    without gradients, ``batch_size`` images at a time, and is left in the mode it was in. With ``folder``, each array is a memory-mapped
    ``<hook point>.npy`` file there, for data larger than memory; a folder that holds such files already is refused.
    A model that is no HookedModel is wrapped by `hooked`. No images, or a filter that matches nothing, is an error.
    """
    lens = hooked(model)
    tensor = images.tensor() if isinstance(images, ImageSet) else images
    if len(tensor) == 0:
        raise HookError("no images came; activations need at least one")
    if batch_size < 1:
        raise HookError(f"batch_size is {batch_size}; it is 1 or more")
    sites = select(lens._sites(), names_filter)
    arrays = _Arrays(len(tensor), _empty_folder(folder))
    actions = [(site, _put(arrays, names_filter is None)) for site in sites]
    device = next((p.device for p in model.parameters()), tensor.device)
    with torch.no_grad(), evaluation(lens), attached(lens._root(), actions) as scope:
        for arrays.start in range(0, len(tensor), batch_size):
            lens(tensor[arrays.start : arrays.start + batch_size].to(device))
        if names_filter is not None and not callable(names_filter):
            check_fired(scope, sites)
    labels = images.labels if isinstance(images, ImageSet) else None
    return {name: _named(name, tensor, labels) for name, tensor in flatten_calls(arrays.found).items()}


def _put(arrays: _Arrays, lenient: bool) -> Action:
    def action(site: Site, scope: Pass, output: Any, call: int) -> None:
        if lenient and not isinstance(output, Tensor):
            return
        if site.call is None:
            arrays.put(site.name, call, site.tensor(output))
        else:
            arrays.put(f"{site.name}@{site.call}", 0, site.tensor(output))

    return action


def _empty_folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    taken = sorted(path.name for path in folder.glob("*.npy"))
    if taken:
        raise HookError(f"{folder} already holds {taken[0]}; give an empty folder, nothing is overwritten")
    return folder


def _named(name: str, tensor: Tensor, labels: np.ndarray | None) -> xr.DataArray:
    dims = axes.of_activation(tuple(tensor.shape), name)
    coords = {} if labels is None else {"label": ("example", labels)}
    return xr.DataArray(tensor.numpy(), dims=dims, coords=coords, name=name, attrs={"units": "1", "hook_point": name})
