"""The activation cache: the values at hook points from one forward pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import xarray as xr
from msgspec import Struct
from torch import Tensor

from .. import axes, documents, files
from ..doors import door
from ..errors import HookError, UnknownName, unknown

Key = str | tuple[str, int]
_ABOUT = "neural_microscope_cache"
_FOREIGN = re.compile(r"(^|\.)hook_(in|out)(\.|@|$)")
_CALL = re.compile(r"@\d+(?=(?:_grad)?$)")


class ActivationCache(Mapping[str, Tensor]):
    """Activations by hook point, in the order of the forward pass.

    A key is a hook point's name, or a pair: ``cache["post", 0]`` is ``layers.0.hook_post`` and ``cache["post", -1]``
    that of the model's last layer that has one (an error where that one was not cached, never another layer's).
    Gradients end in ``_grad``: ``cache["post_grad", -1]``. Where a module ran twice there is ``name@0`` and ``name@1``,
    and the bare name is an error. The tensors are detached; those of `MLP` and `CNN` share memory with what the forward
    pass computed, ``input`` with the images themselves.

    Args:
        tensors: Values by hook point, in the order of the forward pass; gradients as ``<name>_grad``.
        hook_points: Names of all hook points of the model, for pairs as keys; empty: those of ``tensors``.
        training: True if the model was in training mode.
        has_batch_dim: True if the first axis counts examples.

    Raises:
        UnknownName: A key that was not cached, or that stands for several calls or several hook points.

    >>> _, cache = model.run_with_cache(images)
    >>> cache["post", 0] is cache["layers.0.hook_post"]
    True
    """

    @door
    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        hook_points: tuple[str, ...] = (),
        training: bool = False,
        has_batch_dim: bool = True,
    ) -> None:
        self._tensors = dict(tensors)
        self.hook_points = tuple(hook_points) or tuple(self._tensors)
        self.training = training
        """True if the model was in training mode, where dropout and batch statistics make a pass irreproducible."""
        self.has_batch_dim = has_batch_dim
        """True if the first axis counts examples; False after a single example was selected."""

    def __getitem__(self, key: Key) -> Tensor:
        name = key if isinstance(key, str) else self._resolve(key)
        if name in self._tensors:
            return self._tensors[name]
        base = name.removesuffix("_grad")
        calls = [n for n in self._tensors if _CALL.sub("", n) == name]
        if calls:
            raise UnknownName(f"{name!r} was cached for several calls; choose one of: {', '.join(calls)}")
        if base in self.hook_points:
            raise UnknownName(f"{name!r} is not in this cache; it holds {', '.join(self._tensors)}")
        raise unknown("cached activation", name, self._tensors)

    def _resolve(self, key: Any) -> str:
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], str) and isinstance(key[1], int)):
            raise UnknownName(f"a key is a name, or a pair like ('post', 0) or ('post', -1); got {key!r}")
        kind, layer = key[0].removesuffix("_grad"), key[1]
        pattern = re.compile(rf"(?:^|\.)(\d+)\.(?:.*\.)?hook_{re.escape(kind)}$")
        found = [(name, int(match[1])) for name in self.hook_points if (match := pattern.search(name))]
        if not found:
            kinds = sorted({n.rpartition("hook_")[2] for n in self.hook_points if "hook_" in n})
            raise unknown("kind of hook point", kind, kinds)
        numbers = list(dict.fromkeys(number for _, number in found))
        if not (-len(numbers) <= layer < 0 or layer in numbers):
            raise UnknownName(f"layer {layer} has no hook_{kind}; layers {', '.join(map(str, numbers))} have")
        number = numbers[layer] if layer < 0 else layer
        names = [name for name, its in found if its == number]
        if len(names) > 1:
            raise UnknownName(f"{key!r} may mean {' or '.join(names)}; give the name")
        return names[0] + ("_grad" if key[0].endswith("_grad") else "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except KeyError:
            return False
        return True

    def __repr__(self) -> str:
        lines = [f"  {name}: {list(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in self.items()]
        mode = " (training mode)" if self.training else ""
        return f"ActivationCache of {len(self)}{mode}:\n" + "\n".join(lines)

    def _map(self, function: Callable[[Tensor], Tensor]) -> ActivationCache:
        tensors = {name: function(tensor) for name, tensor in self.items()}
        return ActivationCache(tensors, self.hook_points, self.training, self.has_batch_dim)

    def to(self, *args: Any, **kwargs: Any) -> ActivationCache:
        """A cache on another device or in another dtype.

        Args:
            *args: Arguments of ``Tensor.to``.
            **kwargs: Keyword arguments of ``Tensor.to``.
        """
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    @door
    def apply_slice_to_batch_dim(self, which: int | slice | list[int] | Tensor) -> ActivationCache:
        """A cache of some examples.

        Args:
            which: An int (the example axis goes), a slice, indices or a boolean mask.

        Raises:
            HookError: The cache holds a single example, without an example axis.
        """
        if not self.has_batch_dim:
            raise HookError("this cache holds a single example: there is no example axis left to slice")
        cache = self._map(lambda tensor: tensor[which])
        cache.has_batch_dim = all(
            after.ndim == before.ndim for after, before in zip(cache.values(), self.values(), strict=True)
        )
        return cache

    def to_xarray(self) -> xr.Dataset:
        """Named arrays: ``[example, unit_<hook point>]`` or ``[example, channel_…, row_…, col_…]``, as in a run's log.

        The axes of a foreign module's maps are numbered, because channels may come second or last; `activations` names
        them where a layer tells. A gradient has the axes of its activation. bfloat16, which numpy lacks, becomes float32.
        """
        return xr.Dataset({n: self._named(n, t) for n, t in self.items()}, attrs={"training_mode": int(self.training)})

    def _named(self, name: str, tensor: Tensor) -> xr.DataArray:
        of = name.removesuffix("_grad")
        shape = tuple(tensor.shape) if self.has_batch_dim else (1, *tensor.shape)
        dims = axes.of_activation(shape, _CALL.sub("", of))
        if len(shape) > 2 and _FOREIGN.search(of):
            dims = ("example", *(f"axis_{place}" for place in range(1, len(shape))))
        dims = dims[len(shape) - tensor.ndim :][: tensor.ndim]
        values = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return xr.DataArray(values.numpy(force=True).copy(), dims=[axes.in_log(dim, of) for dim in dims])

    @door
    def save(self, path: str | Path) -> None:
        """Writes the tensors, without the model, as one safetensors file, whole or not at all.

        Args:
            path: File to write; an existing one is replaced.

        >>> _, cache = model.run_with_cache(images)
        >>> cache.save("cache.safetensors")
        >>> nm.ActivationCache.load("cache.safetensors")["logits"].equal(cache["logits"])
        True
        """
        about: dict[str, Any] = {"sha256": documents.UNSEALED, "order": list(self)}
        about |= {name: getattr(self, name) for name in ("hook_points", "training", "has_batch_dim")}
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in self.items()}
        content = safetensors.torch.save(tensors, {_ABOUT: json.dumps(about)})
        with files.whole(path) as partial:
            partial.write_bytes(documents.sealed(content))

    @classmethod
    def load(cls, path: str | Path) -> ActivationCache:
        """The cache written by `save`, bitwise equal.

        Args:
            path: File to read.

        Raises:
            HookError: Any other file, by name.
            FileError: Not a file.
        """
        content = files.read(path)
        header = documents.header(content, path, HookError)
        if _ABOUT not in header.metadata:
            raise HookError(
                f"{path} is not an ActivationCache written by save(); it holds {', '.join(header.tensors)[:200]}"
            )
        about = documents.decode(header.metadata[_ABOUT].encode(), _About, f"the metadata of {path}", HookError)
        if sorted(about.order) != sorted(header.tensors):
            raise HookError(f"{path} is not an ActivationCache written by save(): its tensors do not match its list")
        documents.check_seal(content, about.sha256, path, HookError)
        tensors = safetensors.torch.load(content)
        return cls(
            {name: tensors[name] for name in about.order}, about.hook_points, about.training, about.has_batch_dim
        )


class _About(Struct, forbid_unknown_fields=True):
    """The metadata of a cache's file."""

    order: list[documents.Text]
    hook_points: tuple[documents.Text, ...]
    training: bool
    has_batch_dim: bool
    sha256: documents.Digest | None = None


def flatten_calls(found: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    """``name`` for a module that ran once; ``name@0``, ``name@1``, … for one that ran several times."""
    return {
        f"{name}@{call}" if len(tensors) > 1 else name: tensor
        for name, tensors in found.items()
        for call, tensor in enumerate(tensors)
    }
