"""What a forward pass left behind: the activation cache."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from .. import axes
from ..errors import HookError, UnknownName, unknown

Key = str | tuple[str, int]


class ActivationCache(Mapping[str, Tensor]):
    """Activations by hook point, in the order in which the forward pass made them.

    A key is a hook point's name, or a pair: ``cache["post", 0]`` is ``layers.0.hook_post`` and ``cache["post", -1]`` that of
    the model's last layer that has one (an error where that one was not cached, never another layer's). Gradients end
    in ``_grad``: ``cache["post_grad", -1]``. Where a module ran twice there is ``name@0`` and ``name@1``, and the bare name is
    an error that says so. The tensors are detached; those of `MLP` and `CNN` share memory with what the
    forward pass made, ``input`` with the images themselves.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], hook_points: tuple[str, ...] = (), training: bool = False
    ) -> None:
        self._tensors = dict(tensors)
        self.hook_points = tuple(hook_points) or tuple(self._tensors)
        self.training = training
        """Whether the model was in training mode, where dropout and batch statistics make a pass irreproducible."""

    def __getitem__(self, key: Key) -> Tensor:
        name = key if isinstance(key, str) else self._resolve(*key)
        if name in self._tensors:
            return self._tensors[name]
        repeats = [n for n in self._tensors if n.startswith(f"{name}@")]
        if repeats:
            raise UnknownName(f"{name!r} ran {len(repeats)} times; say which: {', '.join(repeats)}")
        if name.removesuffix("_grad") in self.hook_points:
            raise UnknownName(f"{name!r} is not in this cache; it holds {', '.join(self._tensors)}")
        raise unknown("cached activation", name, self._tensors)

    def _resolve(self, kind: str, layer: int) -> str:
        kind, grad, _ = kind.partition("_grad")
        pattern = re.compile(rf"(?:^|\.)(\d+)\.(?:.*\.)?hook_{re.escape(kind)}$")
        found = [(name, int(match[1])) for name in self.hook_points if (match := pattern.search(name))]
        if not found:
            kinds = sorted({n.rpartition("hook_")[2] for n in self.hook_points if "hook_" in n})
            raise unknown("kind of hook point", kind, kinds)
        if layer < 0:
            if -layer > len(found):
                raise UnknownName(f"layer {layer}: only {len(found)} layers have hook_{kind}")
            return found[layer][0] + grad
        for name, number in found:
            if number == layer:
                return name + grad
        raise UnknownName(f"layer {layer} has no hook_{kind}; layers {', '.join(str(n) for _, n in found)} have")

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, key: object) -> bool:
        try:
            self[key]  # type: ignore[index]
        except (KeyError, TypeError):
            return False
        return True

    def __repr__(self) -> str:
        lines = [f"  {name}: {list(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in self.items()]
        mode = " (training mode)" if self.training else ""
        return f"ActivationCache of {len(self)}{mode}:\n" + "\n".join(lines)

    def _map(self, function: Callable[[Tensor], Tensor]) -> ActivationCache:
        return ActivationCache({n: function(t) for n, t in self.items()}, self.hook_points, self.training)

    def to(self, *args: Any, **kwargs: Any) -> ActivationCache:
        """A cache on another device or in another dtype; the arguments are those of ``Tensor.to``."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def apply_slice_to_batch_dim(self, which: int | slice | list[int] | Tensor) -> ActivationCache:
        """A cache of some examples: an int (the example axis goes), a slice, indices or a boolean mask."""
        return self._map(lambda tensor: tensor[which])

    def to_xarray(self) -> xr.Dataset:
        """Named arrays: [example, unit_<hook point>] or [example, channel_…, row_…, col_…], as in a run's log."""
        arrays = {}
        for name, tensor in self.items():
            dims = axes.of_activation(tuple(tensor.shape), name)
            arrays[name] = xr.DataArray(tensor.numpy(force=True), dims=[axes.in_log(d, name) for d in dims])
        return xr.Dataset(arrays, attrs={"training_mode": int(self.training)})

    def save(self, path: str | Path) -> None:
        """Writes the tensors, and nothing of the model, as one safetensors file."""
        about = {"hook_points": self.hook_points, "training": self.training, "order": list(self)}
        tensors = {name: tensor.detach().clone().contiguous() for name, tensor in self.items()}
        save_file(tensors, str(path), metadata={"neural_microscope_cache": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> ActivationCache:
        """What `save` wrote. Any other file is a HookError that names it."""
        with safe_open(str(path), framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("neural_microscope_cache", "null"))
            if about is None:
                raise HookError(f"{path} is a safetensors file but not a saved ActivationCache")
            tensors = {name: file.get_tensor(name) for name in about["order"]}
        return cls(tensors, tuple(about["hook_points"]), bool(about["training"]))


def flatten_calls(found: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    """``name`` for what ran once; ``name@0``, ``name@1``, … for what ran more often."""
    flat: dict[str, Tensor] = {}
    for name, tensors in found.items():
        if len(tensors) == 1:
            flat[name] = tensors[0]
        else:
            flat |= {f"{name}@{call}": tensor for call, tensor in enumerate(tensors)}
    return flat
