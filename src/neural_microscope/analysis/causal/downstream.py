"""Exact logits after changing one hook point, without rerunning the layers before it.

Replacing the values of one unit changes the next map's output by that map's column (dense) or kernel (convolution) times
the change, and by nothing else. If such a map follows, only the rest of the network is rerun; if another module
lies between (a normalization, a foreign module), the pass starts at the hook point, or at the images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ... import interventions, named
from ...axes import of_activation
from ...data import ImageSet
from ...errors import DataError, HookError
from ...hooks import HookedModel, hooked
from ...models import Network
from .dense import Dense, dense_rest

BATCH = 500
"""Images processed at a time."""

AT_ONCE = 2**20
"""Numbers passed to the rest of the network at a time, if it takes any amount: more exceed the processor's cache."""


@dataclass(frozen=True)
class Downstream:
    """A network after a hook point, for one batch of images."""

    axis: str
    """``unit`` or ``channel``."""
    acts: Tensor
    """The value at the hook point: [example, unit] or [example, channel, row, col]."""
    base: Tensor
    """The value where changes are added: [example, …]."""
    entering: Callable[[Tensor], Tensor]
    """The input to the next map from (some units of) the hook point: the same, or pooled."""
    change: Callable[[Tensor, Any], Tensor]
    """(a change of the input, the units it belongs to) -> the change of ``base``; linear. A floating-point mix of all units
    [unit] in place of units makes one map enter each unit's position times its number.
    """
    add: Callable[[Tensor, Tensor], Callable[[Any], Tensor]]
    """(``base`` of some examples, a change of one unit's input) -> (that unit, or a mix) -> the changed ``base``."""
    finish: Callable[[Tensor], Tensor]
    """Logits [k × example, class] of k × the examples at ``base``'s place."""
    logits: Tensor
    """Logits of ``finish(base)``."""
    part: int
    """The number of examples to pass to ``finish`` at a time."""
    some: Callable[[Tensor], Downstream]
    """The same for some of the examples, by their indices."""
    dense: Dense | None = None
    """The same network if only dense layers follow: the fast path. Without it ``finish`` is used."""

    @property
    def units(self) -> int:
        return self.acts.shape[1]

    def move(self, units: Any, values: Tensor) -> Tensor:
        """The change of the input to the next map when ``units`` hold ``values`` [example, unit, …]."""
        return self.entering(values) - self.entering(self.acts[:, units])

    def finished(self, at: Callable[[slice], Tensor]) -> Tensor:
        """``finish`` of all examples, part by part, ``at`` giving the value [k × example, …] for some of them: logits
        [k, example, class].
        """
        parts = slices(len(self.base), self.part)
        return torch.cat([self.finish(at(some)).unflatten(0, (-1, some.stop - some.start)) for some in parts], dim=1)

    def replaced(self, units: Sequence[int], values: Tensor) -> Tensor:
        """Logits when ``units`` (different ones, together) hold ``values`` [example, unit, …]."""
        units = list(units)
        return self.finish(self.base + self.change(self.move(units, values), units))

    def scaled(self, units: Sequence[int], factors: Sequence[float]) -> Tensor:
        """Logits [factor, example, class] when ``units`` are multiplied together by each of ``factors``. By 1, and for an image
        on which they are silent, logits are bitwise unchanged.
        """
        units = list(units)
        values = self.acts[:, units]
        if min(factors) < 0:  # max pooling would take a minimum instead
            return torch.stack([self.replaced(units, values * factor) for factor in factors])
        own = self.change(self.entering(values), units)
        loud = own.flatten(1).any(1)[:, None]

        def at(factor: float) -> Tensor:
            if factor == 1:
                return self.logits
            logits = self.finished(lambda some: self.base[some] + (factor - 1) * own[some])[0]
            return torch.where(loud, logits, self.logits)

        return torch.stack([at(factor) for factor in factors])

    def changed(self, unit: int, values: Tensor) -> Downstream:
        """The same network with one unit already holding its ``values`` [example, …]; further changes add to it."""
        at = self.base + self.change(self.move([unit], values[:, None]), [unit])
        dense = None if self.dense is None else replace(self.dense, base=at.T.contiguous())
        return replace(self, base=at, logits=self.finish(at), dense=dense)

    def each_unit(self, values: Tensor, first: int = 0) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Logits with each unit from ``first`` on in turn holding its ``values`` [example, unit, …], others unchanged: (units, logits
        [unit, example, class], norm of the change [unit, example]). An image without a change keeps its logits bitwise.
        """
        if self.dense is not None:
            yield from self._each_column(self.dense, values, first)
            return
        moves = self.move(slice(None), values)[:, first:]
        norms = lengths(moves)
        for units, logits in self.entered(moves, [slice(unit, unit + 1) for unit in range(first, self.units)]):
            yield slice(first + units.start, first + units.stop), logits, norms[units]

    def effects(self, values: Tensor, score: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """For every unit in turn holding its ``values``: (change of ``score``, norm of its own change), both [unit, example].
        ``score``: logits [k, example, class] -> [k, example].
        """
        base = score(self.logits[None])
        found = [(score(logits) - base, norms) for _, logits, norms in self.each_unit(values)]
        change, norms = (numbers(torch.cat(one)) for one in zip(*found, strict=True))
        return change, norms

    def entered(self, moves: Tensor, ways: Sequence[Any] | Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Logits as moves enter in turn as each of ``ways``: (ways, logits [way, example, class]). Either ``moves`` [example, unit, …]
        and as many
        units, or the move of one unit [example, 1, …] and mixes [way, unit]. An image that is not moved keeps its logits bitwise.
        """
        loud, mixed = (lengths(moves) > 0)[..., None], isinstance(ways, Tensor)
        once = {
            part.start: self.add(self.base[part], moves[part]) for part in slices(len(self.base), self.part) if mixed
        }
        moves = moves.expand(-1, len(ways), *moves.shape[2:])
        for some in slices(len(ways), max(1, AT_ONCE // max(1, self.base.numel()))):
            here = loud if mixed else loud[some]
            if mixed and self.base.ndim == 2:  # one product for many
                at = self.base + self.change(moves[:, :1], ways[some])
                logits = self.finish(at.flatten(0, 1)).unflatten(0, at.shape[:2])
                yield some, torch.where(here, logits, self.logits)
                continue

            def moved(part: slice, some: slice = some) -> Tensor:
                found = [
                    (once[part.start] if mixed else self.add(self.base[part], moves[part, n : n + 1]))(ways[n])
                    for n in range(some.start, some.stop)
                ]
                return torch.cat(found) if len(found) > 1 else found[0]

            yield some, torch.where(here, self.finished(moved), self.logits)

    def _each_column(self, dense: Dense, values: Tensor, first: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
        moves = self.move(slice(None), values).T.contiguous()
        norms = moves.abs()
        for units in slices(self.units, dense.at_once, first):
            logits = dense.logits(dense.columns[units], moves[units])
            torch.where(norms[units, None] > 0, logits, self.logits.T, out=logits)
            yield units, logits.transpose(1, 2), norms[units]

    def along(self, directions: Tensor, strengths: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Each direction [draw, unit] added to the next map's input, each example moved by its ``strengths`` [strength, example]:
        (draws, logits [draw, strength, example, class]).
        """
        added, count = self.change(directions, slice(None)), len(strengths)
        at_once = AT_ONCE // max(1, self.base.numel()) if self.dense is None else self.dense.at_once
        for draws in slices(len(added), max(1, at_once // count)):
            if self.dense is None:
                at = self.base + strengths[..., None] * added[draws, None, None]
                yield draws, self.finish(at.flatten(0, 2)).unflatten(0, at.shape[:3])
            else:
                columns = added[draws].repeat_interleave(count, dim=0)
                logits = self.dense.logits(columns, strengths.repeat(len(columns) // count, 1))
                yield draws, logits.transpose(1, 2).unflatten(0, (-1, count))


def lengths(moves: Tensor) -> Tensor:
    """Norms [unit, example] of moves [example, unit, …]."""
    return moves.flatten(2).norm(dim=2).T if moves.ndim > 2 else moves.T.abs()


def slices(total: int, size: int, first: int = 0) -> Iterator[slice]:
    """``first`` to ``total`` in pieces of ``size``."""
    for start in range(first, total, size):
        yield slice(start, min(start + size, total))


def downstream(model: nn.Module, pixels: Tensor, layer: str, labels: Tensor | None = None) -> Downstream:
    """A network after ``layer``, in its current mode. ``layer`` holds units or channels; otherwise a HookError. An
    UnknownName suggests the nearest name; values that are not finite, and a model without a class for one of the
    ``labels``, are DataErrors.
    """
    lens: Any = hooked(model)
    after = _next_map(lens, layer)
    output, cache = lens.run_with_cache(pixels, names_filter=[layer] if after is None else [layer, after[0]])
    acts = cache[layer]

    def some(index: Tensor) -> Downstream:
        return downstream(model, pixels[index], layer)

    axis = axis_of(acts, layer)
    refuse_diverged(acts, layer)
    logits_of(output, labels)
    if after is not None:
        point, weights = after
        _, number, kind = layer.split(".")
        base, finish = cache[point], partial(lens.run_from, point)
        change = _through(weights, acts.shape[1])
        add, dense = _adding(change, weights), dense_rest(lens, point, base, weights) if acts.ndim == 2 else None
        part = max(1, AT_ONCE // base[:1].numel())
        return Downstream(
            axis,
            acts,
            base,
            lambda x: lens.layers[int(number)](x, kind),
            change,
            add,
            finish,
            finish(base),
            part,
            some,
            dense,
        )
    change, rest = _in_place(acts), _from_the_point(lens, pixels, layer)
    return Downstream(axis, acts, acts, lambda x: x, change, _adding(change), rest, rest(acts), len(acts), some)


def refuse_diverged(tensor: Tensor, hook_point: str) -> None:
    """A DataError that names the hook point if not all values are finite."""
    # A sum is faster, and finite only if all values are; numpy last: for maps it would double the memory.
    if not tensor.sum().isfinite() and not tensor.isfinite().all():
        named.finite(
            xr.DataArray(numbers(tensor), dims=of_activation(tuple(tensor.shape), hook_point), name=hook_point)
        )


def logits_of(output: Any, labels: Tensor | None = None) -> Tensor:
    """A model's output, if it is logits [example, class], finite and with a class for each of ``labels``; otherwise
    a DataError.
    """
    if not isinstance(output, Tensor) or output.ndim != 2:
        came = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise DataError(f"the model returned {came}; logits [example, class] are needed")
    if labels is not None and int(labels.max()) >= output.shape[1]:
        raise DataError(
            f"the model has {output.shape[1]} classes; the labels go up to {int(labels.max())}. Both must belong to one task"
        )
    refuse_diverged(output, "logits")
    return output


def logits_in_batches(lens: HookedModel, pixels: Tensor, labels: Tensor) -> Tensor:
    """Logits of all images [example, class], batch by batch; errors as `logits_of`."""
    return torch.cat([logits_of(lens(x), y) for x, y in zip(pixels.split(BATCH), labels.split(BATCH), strict=True)])


def batches(model: nn.Module, images: ImageSet, layer: str) -> Iterator[tuple[slice, Downstream, Tensor]]:
    """(slice of the images, the network after ``layer`` for them, their labels), batch by batch; no gradients."""
    pixels, labels = tensors(model, images)
    for some in slices(len(labels), BATCH):
        yield some, downstream(model, pixels[some], layer, labels[some]), labels[some]


def tensors(model: nn.Module, images: ImageSet) -> tuple[Tensor, Tensor]:
    """Pixels and labels on the model's device, pixels in its precision."""
    pixels, labels = images.tensor(), images.label_tensor()
    one = next((p for p in model.parameters() if p.is_floating_point()), pixels)
    return pixels.to(one), labels.to(one.device)


def unit_values(model: nn.Module, images: ImageSet, layer: str) -> Tensor:
    """The values at ``layer`` for all images, [example, unit, …]."""
    lens, pixels = hooked(model), tensors(model, images)[0]
    found = [lens.run_with_cache(some, names_filter=layer, stop_at=layer)[0] for some in pixels.split(BATCH)]
    axis_of(found[0], layer)
    return torch.cat(found)


def axis_of(acts: Tensor, layer: str) -> str:
    """``unit`` or ``channel``; a HookError for values that have neither."""
    axis = {2: "unit", 4: "channel"}.get(acts.ndim)
    dims = of_activation(tuple(acts.shape), layer)
    if axis is None or axis not in dims:
        raise HookError(f"{layer!r} holds [{', '.join(dims)}]; only units or channels can be changed")
    return axis


def _next_map(lens: Any, layer: str) -> tuple[str, nn.Module] | None:
    """(hook point after it, map) of the linear map that receives ``layer``, at most pooled; None if another module comes
    first, if hooks are attached that should see everything, or if the forward pass is not the package's own.
    """
    if (
        not _own_pass(lens)
        or layer not in lens.hook_points
        or not layer.endswith(("hook_post", "hook_norm", "hook_pool"))
    ):
        return None
    _, number, point = layer.split(".")
    here = lens.layers[int(number)]
    following = int(number) + 1
    if point == "hook_post" and here.hook_norm is not None:
        return None
    if following == len(lens.layers):
        return "logits", lens.output
    after = lens.layers[following]
    if after.norm is not None and after.norm_first:
        return None
    return f"layers.{following}.hook_pre", after.weights


def _own_pass(lens: Any) -> bool:
    """True if the forward pass is the package's own and no hook observes it."""
    if not isinstance(lens, Network) or type(lens).forward is not Network.forward:
        return False
    watched = any(m._forward_hooks or m._forward_pre_hooks for m in lens.modules())
    return not (watched or any(point.attached for point in lens.hook_points.values()))


def _outgoing(weights: Tensor, chosen: Any) -> Tensor:
    """The columns [out, unit, …] that belong to some units; for a mix, the sum of all, each times its number, [out, 1, …],
    and for several mixes [draw, unit] several, [draw, out, 1, …].
    """
    if isinstance(chosen, Tensor) and chosen.is_floating_point():
        return torch.tensordot(chosen, weights, ([-1], [1])).unsqueeze(1 - weights.ndim)
    return weights[:, chosen]


def _through(weights: Any, units: int) -> Callable[[Tensor, Any], Tensor]:
    """The map without its bias, for the inputs that belong to some units."""
    if isinstance(weights, nn.Linear):
        columns = weights.weight.unflatten(1, (units, -1))
        return lambda moved, chosen: moved.flatten(1) @ _outgoing(columns, chosen).flatten(-2).mT
    where = weights.stride, weights.padding, weights.dilation
    # same memory format as the network's own: sums of both are fast
    return lambda moved, chosen: nn.functional.conv2d(
        moved, _outgoing(weights.weight, chosen), None, *where
    ).contiguous(memory_format=torch.channels_last)


def _adding(
    change: Callable[[Tensor, Any], Tensor], weights: Any = None
) -> Callable[[Tensor, Tensor], Callable[[Any], Tensor]]:
    """``change`` added to ``base``; for one channel through the kernels of a plain convolution in the same product: channels last, as
    as in the network's own maps.
    """
    if not isinstance(weights, nn.Conv2d) or isinstance(weights.padding, str):
        return lambda base, moved: lambda unit: base + change(moved, unit)
    if (weights.dilation, weights.groups, weights.padding_mode) != ((1, 1), 1, "zeros"):
        return _adding(change)
    (height, width), stride, (below, right) = weights.kernel_size, weights.stride, weights.padding

    def add(base: Tensor, moved: Tensor) -> Callable[[Any], Tensor]:
        padded = nn.functional.pad(moved[:, 0], (right, right, below, below))
        windows = padded.unfold(1, height, stride[0]).unfold(2, width, stride[1])
        patches = windows.permute(3, 4, 0, 1, 2).reshape(height * width, -1)  # [place in the kernel, place in a map]
        rows = base.movedim(1, -1)

        def through(unit: Any) -> Tensor:
            sums = torch.addmm(rows.flatten(0, 2), patches.T, _outgoing(weights.weight, unit).flatten(1).T)
            return sums.view(rows.shape).movedim(-1, 1)

        return through

    return add


def _in_place(acts: Tensor) -> Callable[[Tensor, Any], Tensor]:
    def put(moved: Tensor, chosen: Any) -> Tensor:
        if isinstance(chosen, Tensor) and chosen.is_floating_point():
            return moved * chosen.reshape(-1, *(1,) * (acts.ndim - 2))
        whole = acts.new_zeros(len(moved), *acts.shape[1:])
        whole[:, chosen] = moved
        return whole

    return put


def _from_the_point(lens: Any, pixels: Tensor, layer: str) -> Callable[[Tensor], Tensor]:
    if _own_pass(lens):
        return lambda tensor: lens.run_from(layer, tensor)

    def again(tensor: Tensor) -> Tensor:
        hooks = ([(layer, interventions.patch(part))] for part in tensor.split(len(pixels)))
        return torch.cat([lens.run_with_hooks(pixels, fwd_hooks=one) for one in hooks])

    return again


def numbers(tensor: Tensor) -> np.ndarray:
    """The tensor as a float64 numpy array."""
    return tensor.detach().cpu().double().numpy()


def by_class(values: np.ndarray, images: ImageSet) -> np.ndarray:
    """Means of ``values`` [..., example] over the images of each class, [..., class]; NaN for a class without images."""
    counts = np.bincount(images.labels, minlength=images.classes)
    return values @ np.eye(images.classes)[images.labels] / np.where(counts, counts, np.nan)
