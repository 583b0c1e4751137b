"""The target of an attribution: one number for each image, as a function of its pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from ... import named
from ...data import ImageSet
from ...errors import DataError, HookError, unknown
from ...hooks import HookedModel, evaluation, hooked
from ...measure import measure

Images = ImageSet | Tensor
"""An ImageSet, or float images [example, 1, row, col] in 0..1."""

Target = int | Sequence[int] | np.ndarray | Tensor | tuple[str, int] | None
"""The number that is explained, one for each image:

None: the logit of the image's own label (the images are then an ImageSet). A class: its logit, for all images. Classes
[example]: a logit for each image. A pair ``("layers.1.hook_post", 14)``: unit 14 of that hook point; of a channel the mean
of its map.
"""

Baseline = str | float | np.ndarray | Tensor
"""Values for absent pixels: ``"black"``, ``"mean"`` (the mean of the images given), ``"blur"`` (each image, blurred), one
brightness for all pixels, or an image [row, col].
"""

BATCH = 1000
"""Images in one pass; the results do not depend on it beyond rounding."""

of_pixels = partial(
    measure,
    "attribution",
    null="none of its own: random weights by `against_untrained` and `sanity_check`, pixels in random order by `deletion_insertion`",
    replicates="image",
    interval="none",
)
"""Registers a method that gives each image a map."""

BLUR = 1 / 8
"""The standard deviation of ``"blur"``, in heights of the image."""


@dataclass(frozen=True)
class Subject:
    """A model, its input images, and the output that is explained for each."""

    lens: HookedModel
    pixels: Tensor
    labels: np.ndarray | None
    hook_point: str
    units: Tensor
    words: str

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def unit(self) -> str:
        """The unit of measurement of the number."""
        return "activation" if self.hook_point else "logit"

    def __call__(self, pixels: Tensor, which: Tensor) -> Tensor:
        """The number for each of ``pixels`` [n, 1, row, col], which belong to the examples ``which`` [n]."""
        return self.pick(self.output(pixels), which)

    def output(self, pixels: Tensor) -> Tensor:
        """The model's output, or its hook point's value, in evaluation mode."""
        with evaluation(self.lens):
            return self.lens.run_with_hooks(pixels, stop_at=self.hook_point) if self.hook_point else self.lens(pixels)

    def pick(self, output: Tensor, which: Tensor) -> Tensor:
        """The explained number of each row of an ``output``."""
        return by_unit(output, self.hook_point or "the output").gather(1, self.units[which, None])[:, 0]

    def gradient(self, pixels: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """(d number / d pixels, number); zero where the number does not depend on the pixels."""
        pixels = pixels.detach().requires_grad_()
        with torch.enable_grad():
            value = self(pixels, which)
            if not value.requires_grad:
                return torch.zeros_like(pixels), value
            (found,) = torch.autograd.grad(value.sum(), pixels, materialize_grads=True)
        return found, value.detach()

    def at(self, hook_point: str, pixels: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(value of a hook point on the way, d number / d value, number)."""
        with torch.enable_grad(), evaluation(self.lens):
            output, cache = self.lens.run_with_cache(
                pixels,
                names_filter=hook_point,
                incl_bwd=True,
                loss=lambda output: self.pick(output, which).sum(),
                stop_at=self.hook_point or None,
            )
        return cache[hook_point], cache[f"{hook_point}_grad"], self.pick(output, which).detach()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(pixels, which) of at most BATCH examples at a time."""
        yield from zip(self.pixels.split(BATCH), self.everyone.split(BATCH), strict=True)

    @property
    def everyone(self) -> Tensor:
        return torch.arange(len(self), device=self.pixels.device)

    def values(self, pixels: Tensor, which: Tensor, *, probability: bool = False) -> Tensor:
        """The number for any number of images, or its softmax, without gradients, BATCH at a time."""
        found = []
        with torch.no_grad():
            for some, here in zip(pixels.split(BATCH), which.split(BATCH), strict=True):
                output = self.output(some)
                found.append(self.pick(output.softmax(1) if probability else output, here))
        return torch.cat(found)

    def coords(self) -> dict[str, Any]:
        return {} if self.labels is None else {"label": ("example", self.labels)}

    @property
    def about(self) -> dict[str, Any]:
        """Attributes of every result."""
        return {"n_examples": len(self), "hook_point": self.hook_point, "target": self.words}

    def table(self, maps: Tensor, value: Tensor, units: str, **attrs: Any) -> xr.Dataset:
        """``attribution`` [example, row, col] and ``value`` [example]; a map that is not finite is a DataError."""
        array = xr.DataArray(
            maps.reshape(len(self), *maps.shape[-2:]).numpy(force=True),
            dims=("example", "row", "col"),
            name="the attribution",
            attrs={"units": units},
        )
        named.finite(array)
        return xr.Dataset(
            {"attribution": array, "value": ("example", value.cpu().numpy(), {"units": self.unit})},
            coords=self.coords(),
            attrs={**self.about, **attrs},
        )


def subject(model: nn.Module, images: Images, target: Target = None) -> Subject:
    """Model, images and target, checked and combined. Errors: DataError for invalid images or an invalid target,
    HookError for a unit that does not exist, UnknownName with the nearest hook point for a wrong name.
    """
    lens, pixels = hooked(model), as_parameters(model, tensor(images))
    labels = images.labels if isinstance(images, ImageSet) else None
    point, units, words = _meant(target, labels, len(pixels))
    explained = Subject(lens, pixels, labels, point, units.to(pixels.device), words)
    with torch.no_grad():
        width = by_unit(explained.output(pixels[:1]), point or "the output").shape[1]
    outside = units[(units < 0) | (units >= width)]
    if len(outside) and point:
        raise HookError(f"{point!r} has units 0 to {width - 1}; there is no unit {int(outside[0])}")
    if len(outside):
        raise DataError(f"the model has classes 0 to {width - 1}; there is no class {int(outside[0])}")
    return explained


def as_parameters(model: nn.Module, pixels: Tensor) -> Tensor:
    """Pixels on the model's device and in its precision."""
    parameter = next((p for p in model.parameters() if p.is_floating_point()), pixels)
    return pixels.to(parameter.device, parameter.dtype)


def tensor(images: Images) -> Tensor:
    """[example, 1, row, col], float and finite, at least one; otherwise a DataError."""
    pixels = images.tensor() if isinstance(images, ImageSet) else images
    if not isinstance(pixels, Tensor) or not pixels.is_floating_point() or pixels.ndim != 4 or pixels.shape[1] != 1:
        came = list(pixels.shape) if isinstance(pixels, Tensor) else type(pixels).__name__
        kind = f" of {str(pixels.dtype).removeprefix('torch.')}" if isinstance(pixels, Tensor) else ""
        raise DataError(f"images must be an ImageSet or a float tensor [example, 1, row, col]; got {came}{kind}")
    if not len(pixels):
        raise DataError("there are no images; an attribution needs at least one")
    if not torch.isfinite(pixels).all():
        raise DataError("the images are not all finite; replace NaN and infinite pixels")
    return pixels.detach()


def by_unit(output: Any, what: str) -> Tensor:
    """[example, unit or class] of an output, maps reduced to their mean; otherwise a HookError."""
    if isinstance(output, Tensor) and output.ndim == 4:
        return output.mean((2, 3))
    if not isinstance(output, Tensor) or output.ndim != 2:
        came = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise HookError(
            f"{what} holds {came}; an attribution needs numbers of [example, unit] or [example, channel, row, col]"
        )
    return output


def _meant(target: Target, labels: np.ndarray | None, n: int) -> tuple[str, Tensor, str]:
    """(hook point or "", the unit or class of each example, the target in words)."""
    if isinstance(target, tuple) and len(target) == 2 and isinstance(target[0], str):
        return target[0], torch.full((n,), int(target[1])), f"{target[0]} unit {int(target[1])}"
    if target is None:
        if labels is None:
            raise DataError("a tensor of images has no labels: give target=, a class, classes or (hook point, unit)")
        return "", torch.from_numpy(labels.copy()), "logit of each image's label"
    classes = np.asarray(target.cpu() if isinstance(target, Tensor) else target)
    if classes.dtype.kind not in "iu" or classes.shape not in ((), (n,)):
        raise DataError(
            f"target is {target!r}; it must be None (the labels), a class, {n} classes, or a pair (hook point, unit)"
        )
    words = f"logit {int(classes)}" if classes.ndim == 0 else "a logit for each image"
    return "", torch.from_numpy(np.broadcast_to(classes, (n,)).astype(np.int64)), words


def absent(baseline: Baseline, pixels: Tensor) -> Tensor:
    """Values for absent pixels of each image, like ``pixels`` [example, 1, row, col]."""
    if isinstance(baseline, str):
        if baseline == "black":
            return torch.zeros_like(pixels)
        if baseline == "mean":
            return pixels.mean(0, keepdim=True).expand_as(pixels)
        if baseline == "blur":
            width = BLUR * pixels.shape[2]
            blurred = gaussian_filter(pixels.cpu().numpy(), (0, 0, width, width), mode="nearest")
            return torch.from_numpy(blurred).to(pixels)
        raise unknown("baseline", baseline, ("black", "mean", "blur"), "or give a brightness or an image [row, col]")
    given = torch.as_tensor(np.asarray(baseline.cpu() if isinstance(baseline, Tensor) else baseline)).to(pixels)
    if given.ndim not in (0, 2) or (given.ndim == 2 and given.shape != pixels.shape[2:]):
        raise DataError(
            f"the baseline has shape {list(given.shape)}; it must be one number or {list(pixels.shape[2:])}"
        )
    if not torch.isfinite(given).all():
        raise DataError("the baseline is not finite; give pixels in 0..1")
    return given.expand_as(pixels)
