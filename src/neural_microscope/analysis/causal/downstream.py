"""What a network says when a hook point holds something else: exact, and without running what comes before it again.

Replacing the values of one unit changes what the next map gives by that map's column (dense) or kernel (convolution) times
the change, and by nothing else. Where such a map follows, only the rest of the network runs again; where something else
comes between (a normalisation, a module nobody wrote for this), the pass starts at the hook point, or at the images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ... import interventions, named
from ...axes import of_activation
from ...data import ImageSet
from ...errors import DataError, HookError
from ...hooks import hooked
from ...models import Network

BATCH = 250
"""Images held at a time."""

AT_ONCE = 2**19
"""Numbers that the rest of the network is given at a time, at least one batch of images: more leave the processor's cache."""


@dataclass(frozen=True)
class Downstream:
    """A network from a hook point on, for one batch of images."""

    axis: str
    """``unit`` or ``channel``."""
    acts: Tensor
    """What stands at the hook point: [example, unit] or [example, channel, row, col]."""
    base: Tensor
    """What stands where changes are added: [example, …]."""
    entering: Callable[[Tensor], Tensor]
    """What enters the next map of (some units of) the hook point: the same, or pooled."""
    change: Callable[[Tensor, Any], Tensor]
    """(a change of what enters, the units it belongs to) -> the change of ``base``; linear."""
    finish: Callable[[Tensor], Tensor]
    """Logits [k × example, class] of k × the examples at ``base``'s place."""
    logits: Tensor
    """Those of ``finish(base)``."""

    @property
    def units(self) -> int:
        return self.acts.shape[1]

    def move(self, units: Any, values: Tensor) -> Tensor:
        """How much what enters the next map changes where ``units`` hold ``values`` [example, unit, …]."""
        return self.entering(values) - self.entering(self.acts[:, units])

    def replaced(self, units: Sequence[int], values: Tensor) -> Tensor:
        """Logits where ``units`` (different ones, together) hold ``values`` [example, unit, …]."""
        units = list(units)
        return self.finish(self.base + self.change(self.move(units, values), units))

    def each_unit(self, values: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Every unit in turn holds its ``values`` [example, unit, …], the others stay: (units, logits [unit, example,
        class], norm of the change [unit, example]). An image that nothing changes for keeps its logits bit for bit.
        """
        step = max(1, AT_ONCE // self.base.numel())
        for start in range(0, self.units, step):
            units = range(start, min(start + step, self.units))
            moves = [self.move([u], values[:, [u]]) for u in units]
            norms = torch.stack([m.flatten(1).norm(dim=1) for m in moves])
            at = torch.cat([self.base + self.change(m, [u]) for u, m in zip(units, moves, strict=True)])
            logits = self.finish(at).unflatten(0, (len(units), -1))
            yield slice(start, units.stop), torch.where(norms[..., None] > 0, logits, self.logits), norms

    def along(self, directions: Tensor, strengths: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Each direction [draw, …] is added to what enters, each example moved by its ``strengths`` [strength, example]:
        (draws, logits [draw, strength, example, class]).
        """
        added = self.change(directions, slice(None))
        steps = strengths.reshape(*strengths.shape, *(1,) * (self.base.ndim - 1))
        per = AT_ONCE // (self.base.numel() * len(steps))
        if not per:  # large maps, one at a time: they stay in the processor's cache and keep their order in memory
            for draw in range(len(added)):
                logits = [self.finish(self.base + step * added[draw : draw + 1]) for step in steps]
                yield slice(draw, draw + 1), torch.stack(logits)[None]
            return
        for start in range(0, len(added), per):
            at = self.base + steps * added[start : start + per, None, None]
            logits = self.finish(at.flatten(0, 2)).unflatten(0, at.shape[:3])
            yield slice(start, start + len(at)), logits


def downstream(model: nn.Module, pixels: Tensor, layer: str, labels: Tensor | None = None) -> Downstream:
    """A network from ``layer`` on, in the mode it is in. ``layer`` holds units or channels; otherwise a HookError. An
    UnknownName offers the nearest name; values that are not finite, and a model that has no class for one of the
    ``labels``, are DataErrors.
    """
    lens = hooked(model)
    after = _next_map(lens, layer)
    output, cache = lens.run_with_cache(pixels, names_filter=[layer] if after is None else [layer, after[0]])
    acts = cache[layer]
    axis = _axis(acts, layer)
    refuse_diverged(acts, layer)
    logits_of(output, labels)
    if after is not None and isinstance(lens, Network):
        point, weights = after
        here, kind = lens.layers[int(layer.split(".")[1])], layer.split(".")[2]

        def finish(tensor: Tensor) -> Tensor:
            return lens.run_from(point, tensor)

        return _made(axis, acts, cache[point], lambda x: here(x, kind), _through(weights, acts.shape[1]), finish)
    return _made(axis, acts, acts, lambda x: x, _in_place(acts), _from_the_point(lens, pixels, layer))


def refuse_diverged(tensor: Tensor, hook_point: str) -> None:
    """A DataError that names the hook point where not all values are finite."""
    named.finite(xr.DataArray(numbers(tensor), dims=of_activation(tuple(tensor.shape), hook_point), name=hook_point))


def logits_of(output: Any, labels: Tensor | None = None) -> Tensor:
    """What a model returned, if it is logits [example, class], finite and with a class for each of ``labels``; otherwise
    a DataError.
    """
    if not isinstance(output, Tensor) or output.ndim != 2:
        came = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise DataError(f"the model gave {came}; needed are logits [example, class]")
    if labels is not None and int(labels.max()) >= output.shape[1]:
        raise DataError(
            f"the model tells {output.shape[1]} classes apart; the labels go to {int(labels.max())}. Both are of one task"
        )
    refuse_diverged(output, "logits")
    return output


def batches(model: nn.Module, images: ImageSet, layer: str) -> Iterator[tuple[slice, Downstream, Tensor]]:
    """(which images, the network from ``layer`` on for them, their labels), batch by batch; no gradients."""
    pixels, labels = tensors(model, images)
    for start in range(0, len(labels), BATCH):
        some = slice(start, min(start + BATCH, len(labels)))
        yield some, downstream(model, pixels[some], layer, labels[some]), labels[some]


def tensors(model: nn.Module, images: ImageSet) -> tuple[Tensor, Tensor]:
    """Pixels and labels on the model's device, pixels in its precision."""
    pixels, labels = images.tensor(), images.label_tensor()
    one = next((p for p in model.parameters() if p.is_floating_point()), pixels)
    return pixels.to(one), labels.to(one.device)


def unit_values(model: nn.Module, images: ImageSet, layer: str) -> Tensor:
    """What stands at ``layer`` for all images, [example, unit, …]."""
    found = []
    pixels = tensors(model, images)[0]
    for some in pixels.split(BATCH):
        out, _ = hooked(model).run_with_cache(some, names_filter=layer, stop_at=layer)
        found.append(out)
    _axis(found[0], layer)
    return torch.cat(found)


def _axis(acts: Tensor, layer: str) -> str:
    axis = {2: "unit", 4: "channel"}.get(acts.ndim)
    dims = of_activation(tuple(acts.shape), layer)
    if axis is None or axis not in dims:
        raise HookError(f"{layer!r} holds [{', '.join(dims)}]; units or channels can be changed, nothing else")
    return axis


def _made(axis: str, acts: Tensor, base: Tensor, entering: Any, change: Any, finish: Any) -> Downstream:
    return Downstream(axis, acts, base, entering, change, finish, finish(base))


def _next_map(lens: nn.Module, layer: str) -> tuple[str, nn.Module] | None:
    """(hook point after it, map) of the linear map that receives ``layer``, at most pooled; None where something else comes
    first, where hooks are attached that should see the whole, or where the forward pass is not the package's own.
    """
    if not isinstance(lens, Network) or type(lens).forward is not Network.forward or _watched(lens):
        return None
    if layer not in lens.hook_points or not layer.endswith(("hook_post", "hook_norm", "hook_pool")):
        return None
    _, number, point = layer.split(".")
    here: Any = lens.layers[int(number)]
    following = int(number) + 1
    if point == "hook_post" and here.hook_norm is not None:
        return None
    if following == len(lens.layers):
        return "logits", lens.output
    after: Any = lens.layers[following]
    if after.norm is not None and after.norm_first:
        return None
    return f"layers.{following}.hook_pre", after.weights


def _watched(lens: Network) -> bool:
    return any(p.attached for p in lens.hook_points.values()) or any(
        m._forward_hooks or m._forward_pre_hooks for m in lens.modules()
    )


def _through(weights: nn.Module, units: int) -> Callable[[Tensor, Any], Tensor]:
    """The map without its bias, of the inputs that belong to some units."""
    if isinstance(weights, nn.Conv2d):
        conv = weights

        def convolve(moved: Tensor, chosen: Any) -> Tensor:
            out = nn.functional.conv2d(moved, conv.weight[:, chosen], None, conv.stride, conv.padding, conv.dilation)
            return out.contiguous(memory_format=torch.channels_last)  # as the network's own: sums of both are fast

        return convolve
    assert isinstance(weights, nn.Linear)
    columns = weights.weight.unflatten(1, (units, -1))
    return lambda moved, chosen: moved.flatten(1) @ columns[:, chosen].flatten(1).T


def _in_place(acts: Tensor) -> Callable[[Tensor, Any], Tensor]:
    def put(moved: Tensor, chosen: Any) -> Tensor:
        whole = acts.new_zeros(len(moved), *acts.shape[1:])
        whole[:, chosen] = moved
        return whole

    return put


def _from_the_point(lens: Any, pixels: Tensor, layer: str) -> Callable[[Tensor], Tensor]:
    if isinstance(lens, Network) and type(lens).forward is Network.forward and not _watched(lens):
        return lambda tensor: lens.run_from(layer, tensor)

    def again(tensor: Tensor) -> Tensor:
        answers = []
        for part in tensor.split(len(pixels)):
            with lens.hooks([(layer, interventions.patch(part))]):
                answers.append(lens(pixels))
        return torch.cat(answers)

    return again


def numbers(tensor: Tensor) -> np.ndarray:
    """As float64 in numpy."""
    return tensor.detach().cpu().double().numpy()
