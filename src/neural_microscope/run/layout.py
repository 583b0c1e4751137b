"""The layout of the log: its arrays, their axes and units, and the reductions of activations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count

import numpy as np
import torch
from torch import Tensor, nn

from .. import axes
from ..errors import RunError
from .log import ArraySpec


@dataclass(frozen=True)
class Layout:
    """The sizes of a log."""

    schedule: Sequence[int]
    """The step of each snapshot."""
    steps_per_epoch: int
    """Optimizer steps in an epoch."""
    total_steps: int
    """Optimizer steps in the whole training."""
    labels: np.ndarray
    """The labels of the probe images, [example]."""
    test_index: np.ndarray
    """The index of each probe image in the test set, [example]."""
    classes: int
    """Number of classes."""
    gallery: Sequence[int]
    """The probe images whose full feature maps are stored."""
    parameters: Sequence[str]
    """Names of the trained parameters."""
    norms_every: int
    """Interval in steps of the gradient norms; 0 for never."""

    def groups(self, activations: Mapping[str, Tensor]) -> dict[str, dict[str, ArraySpec]]:
        """Every array of the log, by group and name.

        Args:
            activations: Values [example, …] of the probe images by hook point.

        Raises:
            RunError: A hook point without a row for each image.
        """
        groups = {"": self._snapshots(), "training": self._training()}
        if self.norms_every:
            groups["gradients"] = self._gradients()
        for (name, tensor), place in zip(activations.items(), places(activations).values(), strict=True):
            if not tensor.ndim or len(tensor) != len(self.labels):
                raise RunError(
                    f"hook point {name!r} holds {list(tensor.shape)} for {len(self.labels)} images, not a row for each; "
                    "leave it out with RecordConfig(hook_points=…)"
                )
            groups[""] |= self._activation(name, place, tensor)
        return groups

    def coordinates(self) -> dict[str, np.ndarray]:
        """The arrays written at creation."""
        steps, every = np.asarray(self.schedule), np.arange(1, self.total_steps + 1)
        found = {
            "step": steps,
            "epoch": steps / self.steps_per_epoch,
            "label": self.labels,
            "test_index": self.test_index,
            "training/step": every,
        }
        if self.norms_every:
            found["gradients/step"] = every[:: self.norms_every]
        return {name: values for name, values in found.items() if len(values)}

    def _snapshots(self) -> dict[str, ArraySpec]:
        n, examples = (len(self.schedule),), (len(self.labels),)
        snapshot, example = ("snapshot",), ("example",)
        return {
            "step": ArraySpec(snapshot, n, "optimizer steps completed", dtype="int64", whole=True),
            "epoch": ArraySpec(snapshot, n, "passes over the training images", dtype="float64", whole=True),
            "label": ArraySpec(example, examples, "label of the probe image", dtype="int64", whole=True),
            "test_index": ArraySpec(example, examples, "its index in the test set", dtype="int64", whole=True),
            "seconds": ArraySpec(snapshot, n, "wall-clock time since this process started the run", "s", "float64"),
            "test_loss": ArraySpec(snapshot, n, "mean cross-entropy on all test images", "nats", "float64"),
            "test_accuracy": ArraySpec(snapshot, n, "share of all test images classified correctly", dtype="float64"),
            "test_accuracy_by_class": ArraySpec(
                ("snapshot", "class"), (*n, self.classes), "share of a class's test images classified correctly", "1", "float64"
            ),
        }  # fmt: skip

    def _training(self) -> dict[str, ArraySpec]:
        dims, n = ("step",), (self.total_steps,)
        return {
            "step": ArraySpec(dims, n, "optimizer step, from 1", dtype="int64", whole=True),
            "loss": ArraySpec(dims, n, "mean cross-entropy of the step's batch, before the update", "nats", "float64"),
            "accuracy": ArraySpec(dims, n, "share of the step's batch classified correctly", dtype="float64"),
            "learning_rate": ArraySpec(dims, n, "learning rate of the step", dtype="float64"),
        }

    def _gradients(self) -> dict[str, ArraySpec]:
        dims = ("step", "parameter")
        shape = (len(range(0, self.total_steps, self.norms_every)), len(self.parameters))
        ratio = "L2 norm of the update over that of the weights before it; absent where those are zero"
        return {
            "step": ArraySpec(dims[:1], shape[:1], "optimizer step, from 1", dtype="int64", whole=True),
            "grad_norm": ArraySpec(dims, shape, "L2 norm of the loss gradient", dtype="float64"),
            "update_ratio": ArraySpec(dims, shape, ratio, dtype="float64"),
        }

    def _activation(self, name: str, place: str, tensor: Tensor) -> dict[str, ArraySpec]:
        """The arrays filled by `reduced`, over all snapshots."""
        shape = tuple(tensor.shape)
        dims = axes.of_activation(shape, name if shape[-1] == self.classes else "")
        dtype = str(_array(tensor[:0]).dtype)

        def spec(dims: Sequence[str], shape: tuple[int, ...], about: str) -> ArraySpec:
            named = (dim if dim == "example_gallery" else axes.in_log(dim, name) for dim in dims)
            return ArraySpec(("snapshot", *named), (len(self.schedule), *shape), about, dtype=dtype)

        if tensor.ndim != 4:
            return {place: spec(dims, shape, f"activation at {name} for each probe image")}
        specs = {
            f"{place}.{how}": spec(dims[:2], shape[:2], f"{how} over each map of {name} for each probe image")
            for how in ("mean", "max")
        }
        if self.gallery:
            about = f"whole maps of {name} for the gallery"
            specs[f"{place}.maps"] = spec(("example_gallery", *dims[1:]), (len(self.gallery), *shape[1:]), about)
        return specs


REDUCTIONS = ("mean", "max", "maps")
"""The reductions of feature maps."""

_OWN = (
    *(
        "snapshot",
        "example",
        "example_gallery",
        "class",
        "step",
        "epoch",
        "label",
        "test_index",
        "seconds",
        "test_loss",
    ),
    *("test_accuracy", "test_accuracy_by_class", "training", "gradients", "zarr.json"),
)
"""Names in the root of the log, and of its axes, that no hook point can use there."""
_ODD = re.compile(
    r"""[%/\\:*?"<>|\x00-\x1f\x7f]|\A[. ]|[. ]\Z|\A(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|\Z)""", re.IGNORECASE
)
_LONGEST = 200
"""The most bytes of a name in the log; file systems take 255, including what is added to it."""


def places(hook_points: Iterable[str]) -> dict[str, str]:
    """The name of each hook point in the log, valid on every file system: usually its own.

    Characters that a file name can't hold are escaped as in a URL (``%2F`` for a slash). A name that is taken already,
    ignoring case, gets a suffix ``%1``, ``%2``, … The result depends only on the hook points and their order, which
    run.json holds.

    Args:
        hook_points: Names of the hook points, in the model's order.
    """
    found = {name: _place(name) for name in hook_points}
    widths = ("unit", "channel", "row", "col", *(f"axis_{i}" for i in range(1, 8)))
    taken = {*_OWN, *(_folded(axes.in_log(axis, name)) for name in found for axis in widths)}
    taken |= {_folded(f"{place}.{how}") for place in found.values() for how in REDUCTIONS}
    for name, place in found.items():
        free = (f"{place}%{number}" if number else place for number in count())
        found[name] = next(one for one in free if _folded(one) not in taken)
        taken.add(_folded(found[name]))
    return found


def _place(name: str) -> str:
    """A hook point's name as a file name: escaped, and if long, its beginning and its hash."""
    escaped = _ODD.sub(lambda odd: "".join(f"%{byte:02X}" for byte in odd[0].encode()), name) or "%"
    if len(escaped.encode()) <= _LONGEST:
        return escaped
    return f"{escaped.encode()[: _LONGEST - 17].decode(errors='ignore')}%{sha256(name.encode()).hexdigest()[:16]}"


def _folded(name: str) -> str:
    """A name as compared by case-insensitive file systems."""
    return unicodedata.normalize("NFC", name).casefold()


def reduced(name: str, tensor: Tensor, gallery: Sequence[int]) -> dict[str, np.ndarray]:
    """The stored values of one hook point, by their names in the log.

    The activations, or for feature maps each channel's mean and maximum and a few full maps.

    Args:
        name: The hook point's name in the log.
        tensor: Values [example, …] there.
        gallery: Indices of the images whose full maps are stored.
    """
    if tensor.ndim != 4:
        return {name: _array(tensor)}
    # amax, whose values are the same, is five times slower on 16 channels-last maps.
    pooled = tensor.is_floating_point()
    highest = nn.functional.max_pool2d(tensor, tensor.shape[2:]).flatten(1) if pooled else tensor.amax((2, 3))
    arrays = {f"{name}.mean": _array(tensor.mean((2, 3))), f"{name}.max": _array(highest)}
    return arrays | ({f"{name}.maps": _array(tensor[list(gallery)])} if gallery else {})


def _array(tensor: Tensor) -> np.ndarray:
    """float32 or float64 unchanged, narrower floats as float32, integers as int64."""
    if not tensor.is_floating_point():
        return tensor.to(torch.int64).numpy()
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()).numpy()
