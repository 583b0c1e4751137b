"""Activations of a whole data set, in memory or on disk, batch by batch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from .. import devices, files
from ..axes import Token, of_tokens, tokens_as_examples
from ..data import ImageSet, advice
from ..doors import told
from ..errors import DataError, HookError, unknown
from .attach import Attachment, attached
from .modes import evaluation
from .order import ask, axes_of, numbered
from .parts import name_of, parts
from .point import Site
from .rows import some
from .select import NamesFilter, select
from .wrap import hooked


class _Arrays:
    """Preallocated arrays, one for each call of each site, created when the first batch shows their shapes."""

    def __init__(self, length: int, size: int, folder: Path | None, token: Token | None = None) -> None:
        self.length, self.size, self.folder, self.token = length, size, folder, token
        self.batch = slice(0)
        self.found: dict[tuple[Site, int], np.ndarray] = {}
        self.rows: Counter[tuple[Site, int]] = Counter()
        self.inside: dict[tuple[Site, str], Site] = {}
        """Parts of outputs that are no tensors, by name."""
        self.dims: dict[tuple[Site, int], tuple[str, ...]] = {}
        """The axes of each array."""
        self.doubtful: set[tuple[Site, int]] = set()
        """Sites whose first axis may not count the examples: a foreign module's output may be a weight, and of two axes of one length
        either
        may count them."""

    def put(self, at: Attachment, output: Any) -> None:
        """Named sites must yield tensors [example, …] of one shape; of others, all parts that do are kept."""
        if isinstance(output, Tensor) or at.site.named:
            self._keep(at.site, at.call, output)
            return
        for path, part in parts(output):
            name = name_of(path)
            site = replace(at.site, name=f"{at.site.name}.{name}", part=name)
            self._keep(self.inside.setdefault((at.site, name), site), at.call, part)

    def _keep(self, site: Site, call: int, output: Any) -> None:
        size, key = self.batch.stop - self.batch.start, (site, call)
        if isinstance(output, Tensor):
            output, dims = self._arranged(site, output)
        if isinstance(output, Tensor) and output.shape[:1] == (size,):
            if key not in self.found:
                self.rows[key] = 0
                self.found[key], self.dims[key] = self._make(key, output), dims
                if site.copy or output.shape[1:2] == (size,):
                    self.doubtful.add(key)
            if self.found[key].shape[1:] == output.shape[1:]:
                torch.from_numpy(self.found[key][self.batch]).copy_(output)
                self.rows[key] += size
                return
        if site.named:
            shape = list(site.tensor(output).shape)
            raise HookError(
                f"{site.label!r} held {shape} for a batch of {size}: no array [example, …] can hold all batches. If another "
                f'axis counts the examples, say so: nm.hooked(model, axes={{"{site.name}": ("token", "example", "unit")}})'
            )

    def _arranged(self, site: Site, output: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """(the value with its examples first, reduced to a token if one is asked for; its axes)."""
        axes = axes_of(site, output.shape)
        if "example" in axes:
            output = output.movedim(axes.index("example"), 0)
        dims = ("example", *(axis for axis in axes if axis != "example"))
        if self.token is None or "token" not in dims:
            if self.token is not None and site.named:
                raise (
                    ask(site, output.shape)
                    if numbered(axes)
                    else HookError(
                        f"{site.label!r} holds [{', '.join(dims)}], of which none counts tokens: leave token out"
                    )
                )
            return output, dims
        return of_tokens(output, dims, self.token)

    def _make(self, key: tuple[Site, int], value: Tensor) -> np.ndarray:
        shape = (self.length, *value.shape[1:])
        dtype = torch.float32 if value.dtype == torch.bfloat16 else value.dtype  # numpy has no bfloat16
        if self.folder is None:
            return torch.empty(shape, dtype=dtype).numpy()
        return np.lib.format.open_memmap(self._part(key), "w+", torch.empty(0, dtype=dtype).numpy().dtype, shape)

    def _part(self, key: tuple[Site, int]) -> Path:
        assert self.folder is not None
        return self.folder / f"{_file_name(key[0].label)}@{key[1]}.part"

    def again(self, at: Attachment, output: Any) -> None:
        """Checks a batch of another size: a site whose first axis does not count its examples is refused, or skipped."""
        key, size = (at.site, at.call), self.batch.stop - self.batch.start
        if isinstance(output, Tensor):
            output, _ = self._arranged(at.site, output)
        if key in self.doubtful and isinstance(output, Tensor) and output.shape[:1] != (size,):
            if key[0].named:
                raise HookError(
                    f"{at.site.label!r} holds {list(output.shape)} for {size} images: its first axis does not count them; "
                    f'if another one does, say so: nm.hooked(model, axes={{"{at.site.name}": ("token", "example", "unit")}})'
                )
            self.rows[key] = 0

    def finish(self) -> dict[tuple[tuple[Site, int], str], np.ndarray]:
        """The arrays by site, call and name, under their final file names; only those filled by every image."""
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
            return {(key, names[key]): array for key, array in self.found.items()}
        self.found.clear()
        paths = {key: self._part(key).rename(self.folder / f"{_file_name(name)}.npy") for key, name in names.items()}
        return {(key, names[key]): np.load(path, mmap_mode="r+") for key, path in paths.items()}

    def discard(self) -> None:
        """Removes unfinished files."""
        for key in self.rows if self.folder else ():
            self._part(key).unlink(missing_ok=True)


@told
def activations(
    model: nn.Module,
    images: ImageSet | Tensor,
    names_filter: NamesFilter = None,
    *,
    batch_size: int = 1024,
    folder: str | Path | None = None,
    axes: Sequence[str] | None = None,
    token: Token | None = None,
) -> dict[str, xr.DataArray]:
    """Activations of all images by hook point.

    The model runs in evaluation mode without gradients, and is returned to its previous mode. A map of a layer that
    mixes its last axis, such as ``nn.Linear``, is [example, row, col, channel]; where no layer implies the order,
    channels are assumed to come first, unless the sizes contradict that.

    Args:
        model: Any torch module; one that is not a HookedModel is wrapped by `hooked`.
        images: An ImageSet, whose labels become the coordinate ``label``, or a tensor [example, …] of finite numbers.
        names_filter: Hook points to read: a name, names or a predicate; None: all that hold a tensor [example, …].
        batch_size: Images per forward pass.
        folder: Folder for a memory-mapped ``<hook point>.npy`` file each (a ``/`` in the name is ``%2F``), for data
            larger than memory; None: in memory.
        axes: Name of each axis, the first ``example``; None: those given to `hooked`, or that the layers imply.
        token: Of a sequence [example, token, unit], one token (below 0 from the end), their ``mean``, the highest (``max``),
            or ``all`` as examples of their own, the tokens of an example one after the other; None: the whole sequence.

    Returns:
        DataArrays [example, unit], [example, channel, row, col] or [example, token, unit] by name; ``name@0`` and
        ``name@1`` for a module that runs twice.

    Raises:
        HookError: No images, a named hook point that some images do not reach or that holds no tensor [example, …], or
            a ``folder`` that holds such files already.
        UnknownName: A name that is no hook point, or a filter that matches none.
        DataError: Images that are neither an ImageSet nor a tensor, or not finite.

    >>> nm.activations(model, digits.test, "layers.1.hook_post")["layers.1.hook_post"].sizes
    Frozen({'example': 360, 'unit': 16})
    """
    lens = hooked(model)
    tensor = images.tensor() if isinstance(images, ImageSet) else images
    if not isinstance(tensor, Tensor):
        raise DataError(f"activations takes an ImageSet or a torch tensor of images; got {type(images).__name__}")
    if tensor.ndim == 0 or len(tensor) == 0:
        raise HookError(f"there are no images (shape {list(tensor.shape)}); activations need at least one")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise DataError(advice.not_finite(tensor))
    if batch_size < 1:
        raise HookError(f"batch_size is {batch_size}; it must be at least 1")
    sites = select(lens._sites(), names_filter)
    if isinstance(token, str) and token not in ("mean", "max", "all"):
        raise unknown("token", token, ("mean", "max", "all"))
    arrays = _Arrays(len(tensor), batch_size, _empty_folder(folder), token)
    put = arrays.put
    try:
        with torch.no_grad(), evaluation(lens), attached(lens._root(), [(site, put) for site in sites]) as scope:
            for start in range(0, len(tensor), batch_size):
                arrays.batch = slice(start, min(start + batch_size, len(tensor)))
                lens(devices.like(model, tensor[arrays.batch]))
            scope.check()
        _look_again(lens, model, tensor, arrays)
        found = arrays.finish()
    finally:
        arrays.discard()
    labels = images.labels if isinstance(images, ImageSet) else None
    named = {
        name: _named(key[0], name, array, labels, axes or arrays.dims[key]) for (key, name), array in found.items()
    }
    return {name: tokens_as_examples(one) if token == "all" else one for name, one in named.items()}


def _look_again(lens: Any, model: nn.Module, images: Tensor, arrays: _Arrays) -> None:
    """Tests, with another number of examples, sites whose first axis may not count the examples."""
    if not arrays.doubtful:
        return
    few = devices.like(model, some(images, min(len(images), arrays.size)))
    arrays.batch = slice(0, len(few))
    sites = {site for site, _ in arrays.doubtful}
    alone = torch.random.fork_rng(devices=[few.device] if few.device.type == "cuda" else [])
    with alone, torch.no_grad(), evaluation(lens), attached(lens._root(), [(site, arrays.again) for site in sites]):
        lens(few)


def _file_name(hook_point: str) -> str:
    """A hook point's name as a file name: characters special in paths are escaped as in a URL, ``/`` as ``%2F``."""
    return re.sub(r'[/\\:*?"<>|%\x00-\x1f]', lambda match: f"%{ord(match[0]):02X}", hook_point)


def _empty_folder(folder: str | Path | None) -> Path | None:
    if folder is None:
        return None
    folder = files.place(folder)
    if folder.exists() and not folder.is_dir():
        raise HookError(f"{folder} is a file; give a folder")
    folder.mkdir(parents=True, exist_ok=True)
    taken = sorted(path.name for path in folder.glob("*.npy"))
    if taken:
        raise HookError(f"{folder} already holds {taken[0]}; give an empty folder, nothing is overwritten")
    return folder


def _named(site: Site, name: str, array: np.ndarray, labels: np.ndarray | None, dims: Sequence[str]) -> xr.DataArray:
    if isinstance(dims, str) or len(dims) != array.ndim or dims[0] != "example":
        raise HookError(f"axes is {dims!r}; {name!r} holds {list(array.shape)}: name each axis, the first 'example'")
    if site.named and numbered(dims) and array.ndim == 4:
        raise ask(site, array.shape)
    coords = {} if labels is None else {"label": ("example", labels.copy())}
    return xr.DataArray(array, dims=dims, coords=coords, name=name, attrs={"units": "1", "hook_point": name})
