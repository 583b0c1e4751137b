"""The layout of the log: its arrays, their axes and units, and the reductions of activations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """The step of each snapshot; in a loop, of each that there is."""
    steps_per_epoch: int
    """Optimizer steps in an epoch; 0 if unknown."""
    total_steps: int
    """Optimizer steps in the whole training."""
    labels: np.ndarray | None
    """The labels of the probe images, [example]; None: they have none."""
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
    most: int | None = None
    """The most snapshots of a loop, whose steps are written as they come; None: those of the schedule, written at creation."""
    task: str = "classification"
    """The network's task."""
    axes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The axes of hook points that do not follow from their number."""
    tokens: int | str = "mean"
    """The tokens of a sequence that are stored, see `RecordConfig`."""

    @property
    def snapshots(self) -> int:
        """The length of the snapshot axis."""
        return len(self.schedule) if self.most is None else self.most

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
            if not tensor.ndim or len(tensor) != len(self.test_index):
                raise RunError(
                    f"hook point {name!r} holds {list(tensor.shape)} for {len(self.test_index)} images, not a row for each; "
                    "leave it out with RecordConfig(hook_points=…)"
                )
            groups[""] |= self._activation(name, place, tensor)
        return groups

    def coordinates(self) -> dict[str, np.ndarray]:
        """The coordinates of the log, by name: in a loop the steps are written with each row, otherwise at creation."""
        steps, every = np.asarray(self.schedule), np.arange(1, self.total_steps + 1)
        found = {
            "step": steps,
            "epoch": steps / (self.steps_per_epoch or np.nan),
            **({} if self.labels is None else {"label": self.labels}),
            "test_index": self.test_index,
            "training/step": every,
        }
        if self.norms_every:
            found["gradients/step"] = every[:: self.norms_every]
        return {name: values for name, values in found.items() if len(values)}

    def created(self) -> dict[str, np.ndarray]:
        """The coordinates written at creation."""
        grown = {"step", "epoch", "training/step", "gradients/step"} if self.most else set()
        return {name: values for name, values in self.coordinates().items() if name not in grown}

    def _snapshots(self) -> dict[str, ArraySpec]:
        n, examples, whole = (self.snapshots,), (len(self.test_index),), self.most is None
        snapshot, example = ("snapshot",), ("example",)
        loss, units = self._loss("on all test images")
        found = {
            "step": ArraySpec(snapshot, n, "optimizer steps completed", dtype="int64", whole=whole),
            "epoch": ArraySpec(snapshot, n, "passes over the training images", dtype="float64", whole=whole),
            "label": ArraySpec(example, examples, "label of the probe image", dtype="int64", whole=True),
            "test_index": ArraySpec(example, examples, "its index in the test set", dtype="int64", whole=True),
            "seconds": ArraySpec(snapshot, n, "wall-clock time since this process started the run", "s", "float64"),
            "test_loss": ArraySpec(snapshot, n, loss, units, "float64"),
            "test_accuracy": ArraySpec(snapshot, n, "share of all test images classified correctly", dtype="float64"),
            "test_accuracy_by_class": ArraySpec(
                ("snapshot", "class"), (*n, self.classes), "share of a class's test images classified correctly", "1", "float64"
            ),
        }  # fmt: skip
        return {name: spec for name, spec in found.items() if self.labels is not None or name not in OF_CLASSES}

    def _loss(self, where: str) -> tuple[str, str]:
        """(a loss in words, its unit)."""
        return (f"mean cross-entropy {where}", "nats") if self.task == "classification" else (f"loss {where}", "1")

    def _training(self) -> dict[str, ArraySpec]:
        dims, n = ("step",), (self.total_steps,)
        loss, units = self._loss("of the step's batch, before the update")
        return {
            "step": ArraySpec(dims, n, "optimizer step, from 1", dtype="int64", whole=self.most is None),
            "loss": ArraySpec(dims, n, loss, units, "float64"),
            "accuracy": ArraySpec(dims, n, "share of the step's batch classified correctly", dtype="float64"),
            "learning_rate": ArraySpec(dims, n, "learning rate of the step", dtype="float64"),
        }

    def _gradients(self) -> dict[str, ArraySpec]:
        dims = ("step", "parameter")
        shape = (len(range(0, self.total_steps, self.norms_every)), len(self.parameters))
        ratio = "L2 norm of the update over that of the weights before it; absent where those are zero"
        return {
            "step": ArraySpec(dims[:1], shape[:1], "optimizer step, from 1", dtype="int64", whole=self.most is None),
            "grad_norm": ArraySpec(dims, shape, "L2 norm of the loss gradient", dtype="float64"),
            "update_ratio": ArraySpec(dims, shape, ratio, dtype="float64"),
        }

    def _activation(self, name: str, place: str, tensor: Tensor) -> dict[str, ArraySpec]:
        """The arrays filled by `reduced`, over all snapshots."""
        shape = tuple(tensor.shape)
        dims = tuple(self.axes.get(name) or axes.of_activation(shape, name if shape[-1] == self.classes else ""))
        dtype = str(_array(tensor[:0]).dtype)

        def spec(dims: Sequence[str], shape: tuple[int, ...], about: str) -> ArraySpec:
            named = (dim if dim == "example_gallery" else axes.in_log(dim, name) for dim in dims)
            return ArraySpec(("snapshot", *named), (self.snapshots, *shape), about, dtype=dtype)

        over = _over(tensor, dims, self.tokens)
        if not over:
            of = f"token {self.tokens} of " if "token" in dims and isinstance(self.tokens, int) else ""
            kept = [axis for axis in range(len(dims)) if not (of and dims[axis] == "token")]
            about = f"activation at {of}{name} for each probe image"
            return {place: spec([dims[axis] for axis in kept], tuple(shape[axis] for axis in kept), about)}
        kept = [axis for axis in range(len(dims)) if axis not in over]
        what = "map" if "row" in dims else "sequence" if "token" in dims else "pattern"
        specs = {
            f"{place}.{how}": spec(
                [dims[axis] for axis in kept],
                tuple(shape[axis] for axis in kept),
                f"{how} over each {what} of {name} for each probe image",
            )
            for how in ("mean", "max")
        }
        if self.gallery:
            about = f"whole {what}s of {name} for the gallery"
            specs[f"{place}.maps"] = spec(("example_gallery", *dims[1:]), (len(self.gallery), *shape[1:]), about)
        return specs


OF_CLASSES = ("label", "test_accuracy_by_class")
"""Arrays of a log that a run without class labels lacks."""
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
    widths = (
        "unit",
        "channel",
        "row",
        "col",
        "token",
        "head",
        "query",
        "key",
        "layer",
        *(f"axis_{i}" for i in range(1, 8)),
    )
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


def reduced(
    name: str, tensor: Tensor, gallery: Sequence[int], dims: Sequence[str] = (), tokens: int | str = "mean"
) -> dict[str, np.ndarray]:
    """The stored values of one hook point, by their names in the log.

    The activations, or for feature maps each channel's mean and maximum and a few full maps; likewise for sequences.

    Args:
        name: The hook point's name in the log.
        tensor: Values [example, …] there.
        gallery: Indices of the images whose full maps are stored.
        dims: Names of the axes; empty: those that their number implies.
        tokens: The tokens of a sequence that are stored, see `RecordConfig`.

    Raises:
        RunError: A token that a sequence does not have.
    """
    dims = tuple(dims) or axes.of_activation(tuple(tensor.shape))
    over = _over(tensor, dims, tokens)
    if "token" in dims and isinstance(tokens, int):
        size = tensor.shape[dims.index("token")]
        if not -size <= tokens < size:
            raise RunError(f"RecordConfig(tokens={tokens}): {name} has tokens 0 to {size - 1}")
        tensor = tensor.select(dims.index("token"), tokens)
    if not over:
        return {name: _array(tensor)}
    if over != (2, 3):
        arrays = {f"{name}.mean": _array(tensor.mean(over)), f"{name}.max": _array(tensor.amax(over))}
        return arrays | ({f"{name}.maps": _array(tensor[list(gallery)])} if gallery else {})
    # amax, whose values are the same, is five times slower on 16 channels-last maps.
    pooled = tensor.is_floating_point()
    highest = nn.functional.max_pool2d(tensor, tensor.shape[2:]).flatten(1) if pooled else tensor.amax((2, 3))
    arrays = {f"{name}.mean": _array(tensor.mean((2, 3))), f"{name}.max": _array(highest)}
    return arrays | ({f"{name}.maps": _array(tensor[list(gallery)])} if gallery else {})


def _over(tensor: Tensor, dims: Sequence[str], tokens: int | str) -> tuple[int, ...]:
    """The axes over which the stored values are means and maxima; empty if they are stored whole, or for one token."""
    if ("token" in dims and tokens != "mean") or not (tensor.is_floating_point() or tuple(dims[2:]) == ("row", "col")):
        return ()
    return tuple(dims.index(dim) for dim in axes.positions(dims))


def _array(tensor: Tensor) -> np.ndarray:
    """float32 or float64 unchanged, narrower floats as float32, integers as int64."""
    if not tensor.is_floating_point():
        return tensor.to(torch.int64).numpy()
    return (tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()).numpy()
