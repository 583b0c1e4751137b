"""The schema of run.json, checked before anything else of a run is read."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .. import documents
from ..axes import VOCABULARY
from ..config import LoopConfig, NetworkConfig, RecordConfig, TrainConfig, from_json
from ..data import Task
from ..documents import Count, Digest, Shape, Text
from ..errors import MicroscopeError, RunError

FORMAT_VERSION = 1

_MOST_STEPS = 1 << 27
_MOST_VALUES = 1 << 30
"""The most numbers at one hook point for one image."""

_Step = Annotated[int, Meta(ge=0, le=_MOST_STEPS)]


class _Version(Struct):
    format_version: int


class _Data(Struct):
    name: Text
    sha256: Digest
    note: Text


class _Machine(Struct):
    processor: Text
    cores: Count | None
    threads: Count


class _Versions(Struct):
    torch: Text


class _Network(Struct):
    """A model built from a config and a seed."""

    seed: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class _Module(Struct):
    """A foreign module."""

    name: Text = field(name="class")


class _Place(Struct):
    """The network's number among those that were trained together."""

    number: Annotated[int, Meta(ge=0)]
    of: Annotated[int, Meta(ge=2, le=64)]

    def __post_init__(self) -> None:
        if self.number >= self.of:
            raise ValueError(f"number {self.number} of {self.of} networks counts from 0")


class _Parent(Struct):
    """The run that a branch of a replay was forked from."""

    run: Text
    description: Digest
    at: _Step
    order: Annotated[int, Meta(ge=0)] | None
    changes: tuple[dict[str, Any], ...]


class _Recorded(Struct):
    """The recorder's settings that are used when a run is read."""

    norms_every: Count
    probe_size: Count


class _Description(Struct):
    created: Text
    model: dict[str, Any]
    train: dict[str, Any]
    record: dict[str, Any]
    data: _Data
    sampler: Literal["default", "custom", "batches"]
    schedule: Annotated[tuple[_Step, ...], Meta(max_length=1 << 20)]
    total_steps: _Step
    steps_per_epoch: Annotated[int, Meta(ge=0, le=_MOST_STEPS)]
    hook_points: Annotated[dict[Text, Shape], Meta(max_length=10_000)]
    gallery: tuple[Count, ...]
    parameters: tuple[Text, ...]
    constant_pixels: tuple[Count, ...]
    versions: _Versions
    machine: _Machine
    together: _Place | None = None
    parent: _Parent | None = None
    snapshots: Annotated[int, Meta(ge=1, le=1 << 20)] | None = None
    """The most snapshots of a loop of the caller's own, which has no schedule."""
    resumable: bool = True
    task: Task = "classification"
    loss: Literal["task", "own"] = "task"
    axes: dict[Text, tuple[Text, ...]] = field(default_factory=dict)
    """The axes of hook points that do not follow from their number."""
    stated_axes: dict[Text, tuple[Text, ...]] = field(default_factory=dict)
    """The axes of the module's hook points that its user named."""

    def __post_init__(self) -> None:
        for name, words in self.axes.items():
            shape = self.hook_points.get(name)
            if shape is None or len(words) != len(shape) + 1 or words[0] != "example" or len({*words}) < len(words):
                raise ValueError(f"axes of {name!r} do not name those of a hook point")
        for name, words in {**self.axes, **self.stated_axes}.items():
            if not set(words) <= set(VOCABULARY):
                raise ValueError(f"axes of {name!r} have other names than {', '.join(VOCABULARY)}")
        if (self.snapshots is None) != bool(self.schedule):
            raise ValueError("a run has a schedule, or the most snapshots of a loop")
        if any(early >= late for early, late in pairwise((-1, *self.schedule))) or (
            self.schedule and self.schedule[-1] != self.total_steps
        ):
            raise ValueError("the steps of a schedule ascend to total_steps")
        for name, shape in self.hook_points.items():
            if math.prod(max(1, n) for n in shape) > _MOST_VALUES:
                raise ValueError(f"hook point {name!r} has the shape {list(shape)}, which is too large")


def read(content: bytes, name: object) -> dict[str, Any]:
    """run.json as plain values. A RunError names the file and the invalid entry."""
    version = documents.decode(content, _Version, name, RunError).format_version
    if version != FORMAT_VERSION:
        raise RunError(f"{name} has format version {version}; this release reads {FORMAT_VERSION}")
    check(content, name)
    return documents.decode(content, dict[str, Any], name, RunError)


def check(content: bytes, name: object) -> None:
    """A RunError unless the content is a valid run.json of this format, within its bounds."""
    about = documents.decode(content, _Description, name, RunError)
    try:
        if about.snapshots is not None:
            _config(about.train, LoopConfig)
        elif about.total_steps != (epochs := _config(about.train, TrainConfig).epochs) * about.steps_per_epoch:
            raise RunError(f"{epochs} epochs of {about.steps_per_epoch} steps are not {about.total_steps} steps")
        _config(about.record, RecordConfig)
        documents.convert(about.record, _Recorded, "its record", RunError)
        if about.model.get("kind") == "module":
            documents.convert(about.model, _Module, "its model", RunError)
        else:
            documents.convert(about.model, _Network, "its model", RunError)
            network(about.model)
    except MicroscopeError as error:
        raise RunError(f"{name} is not what a recorder writes: {error}") from None


def network(model: dict[str, Any]) -> NetworkConfig:
    """The config of a recorded MLP or CNN."""
    return _config({name: value for name, value in model.items() if name != "seed"}, NetworkConfig)


def _config(values: dict[str, Any], kind: Any) -> Any:
    config = from_json(values)
    if not isinstance(config, kind):
        raise RunError(f"a config of kind {values['kind']!r} lies in another's place")
    return config
