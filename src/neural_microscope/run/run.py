"""Reading a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import safetensors.torch
import torch
import xarray as xr
from msgspec import Struct
from torch import Tensor, nn

from .. import axes, documents, files
from ..axes import Token
from ..config import LoopConfig, NetworkConfig, TrainConfig, from_json
from ..data import Dataset, ImageSet, Task
from ..doors import door
from ..errors import DataError, RunError, reason, unknown
from ..models import build
from . import commits, description
from .fits import Blueprint, check_state
from .layout import Layout, places
from .log import Array
from .metadata import Metadata
from .store import STORE, Backend, Recorded
from .verify import Problem, checked, no_run, present, verify

Reduction = Literal["mean", "max", "maps"]


@dataclass(eq=False, repr=False)
class Run:
    """A recorded run, up to its last commit. `Run.open` returns one; nothing here writes.

    >>> run
    Run('...': mlp, ... snapshots to step ... of ..., finished)
    """

    folder: Path
    """The run folder."""
    record: commits.Record
    """The commit record."""
    description: dict[str, Any]
    """The content of run.json."""
    probe: ImageSet
    """The images whose activations were recorded."""
    probe_indices: np.ndarray
    """The index of each probe image in the test set, [example]."""

    @classmethod
    @door
    def open(cls, folder: str | Path) -> Run:
        """The run in ``folder``.

        Args:
            folder: A run folder.

        Raises:
            RunError: A missing, altered or foreign file, by name; never a wrong array.

        >>> nm.Run.open(run.folder).status
        'finished'
        """
        folder = files.place(folder).absolute()
        if not (folder / "run.json").is_file():
            raise no_run(folder)
        record = commits.read(folder)
        if record.fault in ("tail", "damage"):
            hint = "; `microscope resume` redoes the last snapshot" if record.fault == "tail" else ""
            raise RunError(
                f"{folder / commits.NAME}: {record.problem}. `microscope verify {folder}` lists the damage{hint}"
            )
        return cls.at(folder, record)

    @classmethod
    def at(cls, folder: Path, record: commits.Record) -> Run:
        """The run at the time when ``record`` was its commit record.

        Args:
            folder: A run folder.
            record: Its commit record, or the beginning of it.

        Raises:
            RunError: A missing, altered or foreign file, by name.
        """
        if not record.snapshots:
            raise RunError(
                f"{folder} holds no complete snapshot yet, according to its {commits.NAME}; if nothing is writing it any more, "
                f"`microscope resume {folder}` starts it over"
            )
        there = present(folder)
        about = description.read(checked(folder, "run.json", record), folder / "run.json")
        _agree(record, about, folder)
        # States are left out: a run that is being written removes them, and only resume needs all of them.
        missing = [path for path in record.files() if not path.startswith("state/") and path not in there]
        if missing:
            more = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
            raise RunError(f"{folder} has lost {missing[0]}{more}")
        probe, indices = _probe(checked(folder, "probe.safetensors", record), folder / "probe.safetensors")
        if max(about["gallery"], default=0) >= len(probe):
            raise RunError(f"{folder / 'run.json'} has a gallery beyond the {len(probe)} probe images")
        if max(about["constant_pixels"], default=0) >= probe.images[0].size:
            raise RunError(f"{folder / 'run.json'} has pixels beyond those of the probe images")
        return cls(folder, record, about, probe, indices)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {self.summary()})"

    def summary(self) -> str:
        """The kind of network, the number of snapshots, the last step and the status, in words."""
        planned = self.description["train"].get("planned_steps", self.description["total_steps"])
        shown = f"{len(self.steps)} snapshots to step {self.steps[-1]}" + (f" of {planned}" if planned else "")
        return f"{self.description['model']['kind']}, {shown}, {self.status}"

    @property
    def last(self) -> commits.Commit:
        """The last commit."""
        return self.record.commits[-1]

    @property
    def status(self) -> str:
        """``running`` (or killed), ``finished``, ``diverged at step k``, ``stopped early at step k: …``,
        ``interrupted at step k``, ``failed at step k: …``.
        """
        return self.last.status

    @property
    def steps(self) -> list[int]:
        """The step of each committed snapshot."""
        return _steps(self.record, self.description)

    @property
    def parent(self) -> dict[str, Any] | None:
        """Of a branch of a replay: the run that it was forked from, the step, the order and the changes, see `replays`; otherwise None."""
        return self.description.get("parent")

    @property
    def resumable(self) -> bool:
        """True if its training could be continued from the last snapshot: False for a loop that gave no state."""
        return bool(self.description.get("resumable", True))

    @property
    def task(self) -> Task:
        """The network's task: ``classification``, ``regression``, ``multi-label``, ``reconstruction`` or ``other``."""
        return cast(Task, self.description.get("task", "classification"))

    @property
    def hook_points(self) -> list[str]:
        """The recorded hook points."""
        return list(self.description["hook_points"])

    @property
    def config(self) -> NetworkConfig:
        """The network's config; a module that was not built from one has none, which is a RunError."""
        about = self.description["model"]
        if about["kind"] == "module":
            raise RunError(f"{self.folder} records a {about['class']}, which has no config here")
        return description.network(about)

    @property
    def train_config(self) -> TrainConfig | LoopConfig:
        """The settings of training, or what is known of the caller's own loop."""
        return from_json(self.description["train"])

    @door
    def made_from(self, network: NetworkConfig, training: TrainConfig, data: Dataset) -> bool:
        """True if these settings give exactly this run, whichever device ``auto`` or ``gpu`` selected.

        Args:
            network: Settings of the network.
            training: Settings of training.
            data: Training and test images.
        """
        if training.device in ("auto", "gpu"):
            training = replace(training, device=self.train_config.device)
        return (self.train_config, self.description["data"]["sha256"]) == (
            training,
            data.sha256,
        ) and self.config == network

    @cached_property
    def log(self) -> xr.Dataset:
        """Everything on the snapshot axis, lazily: activations and logits of the probe images, test scores.

        Each file is compared with its hash when it is read, and cached; one that is missing or was altered is a
        RunError that names it.
        """
        recorded = {
            name: Recorded(
                self.folder,
                self.record,
                array,
                self.last.snapshots if array.spec.dims[0] == "snapshot" else array.spec.shape[0],
            )
            for name, array in self.arrays.items()
            if "/" not in name
        }
        attributes = self.metadata.attributes
        data = xr.open_dataset(self.folder / STORE, engine=Backend, arrays=recorded, attributes=attributes)
        coordinates = ["step", "epoch", "label", "test_index", "seconds"]
        return self._check(data).set_coords([name for name in coordinates if name in data])

    @cached_property
    def metadata(self) -> Metadata:
        """The log's metadata."""
        path = f"{STORE}/zarr.json"
        return Metadata.read(checked(self.folder, path, self.record), self.folder / path)

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The arrays of the log, which must be those of this run's recorder; other metadata are a RunError."""
        return self.metadata.arrays(self.layout.groups(self.like(self.description["hook_points"])))

    @door
    def like(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
        """Tensors without memory, of this log's types, with the values of the probe images at hook points of such shapes.

        Args:
            shapes: Shape for one image, by hook point.
        """
        dtypes = {n: getattr(torch, self.metadata.dtype(place, f"{place}.mean")) for n, place in self.places.items()}
        return {n: torch.empty((), dtype=dtypes[n]).expand(len(self.probe), *shape) for n, shape in shapes.items()}

    @cached_property
    def layout(self) -> Layout:
        """The sizes of the log."""
        return layout_of(self.description, self.probe, self.probe_indices, self.steps)

    def _check(self, data: xr.Dataset, group: str = "") -> xr.Dataset:
        """``data``, if its coordinates match run.json and the probe."""
        for path, expected in self.layout.coordinates().items():
            above, _, name = path.rpartition("/")
            if above == group:
                found = data[name].to_numpy()  # separately, because array_equal counts an error as a difference
                if not np.array_equal(found, expected[: len(found)], equal_nan=True):
                    raise RunError(f"{self.folder / STORE / path} does not match run.json and the probe")
        return data

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """The axes of hook points that do not follow from their number, such as those of sequences."""
        return {name: tuple(words) for name, words in self.description.get("axes", {}).items()}

    @property
    def stated_axes(self) -> dict[str, tuple[str, ...]]:
        """The axes that `hooked` was given for the recorded module, for ``nm.hooked(module, axes=run.stated_axes)``."""
        return {name: tuple(words) for name, words in self.description.get("stated_axes", {}).items()}

    @cached_property
    def places(self) -> dict[str, str]:
        """The name of each hook point in the log; see `layout.places`."""
        return places(self.hook_points)

    @cached_property
    def training(self) -> xr.Dataset:
        """Loss, accuracy and learning rate of every step done: [step]."""
        return self._steps("training", self.last.rows)

    @cached_property
    def gradients(self) -> xr.Dataset:
        """Gradient norms and update-to-weight ratios: [step, parameter], at regular intervals of steps.

        A run recorded with ``norms_every=0`` has none, which is a RunError.
        """
        every = self.description["record"]["norms_every"]
        if not every:
            raise RunError(f"{self.folder} has no gradient norms: it was recorded with RecordConfig(norms_every=0)")
        updates = self.last.rows - self.status.startswith("diverged")  # the step that diverged has a loss, no update
        data = self._steps("gradients", -(-updates // every))
        return data.assign_coords(parameter=self.description["parameters"])

    def _steps(self, group: str, rows: int) -> xr.Dataset:
        """The first ``rows`` of a group: from its chunks, and those whose chunk is not full yet from the state file."""
        ended = self.status == "finished" or self.status.startswith("diverged")
        ended = ended or (not self.resumable and self.status != "running")
        state = {} if ended else self.state()
        found = {}
        for name, array in self.arrays.items():
            if name.startswith(f"{group}/"):
                tail = state.get(f"tail.{name.replace('/', '.')}", torch.zeros(0)).numpy()
                if len(tail) > rows or tail.shape[1:] != array.spec.shape[1 : tail.ndim]:
                    raise RunError(f"{self.folder / self._state} holds rows of {name} that this run does not have")
                stored = Recorded(self.folder, self.record, array, rows - len(tail))
                values = stored.read((slice(None),) * len(array.chunks))
                found[name.removeprefix(f"{group}/")] = stored.variable(
                    np.concatenate([values, tail.astype(values.dtype)]) if len(tail) else values
                )
        return self._check(xr.Dataset(found), group).set_coords("step")

    @property
    def kept_states(self) -> list[int]:
        """The steps of the snapshots whose state for exact resume is on disk: the last two, or all with ``keep_states``."""
        held = self.record.files()
        return [step for step in self.steps if _state(step) in held]

    @door
    def state(self, step: int | None = None) -> dict[str, Tensor]:
        """The state for exact resume in addition to the weights: the optimizer's tensors and the random generators.

        Args:
            step: Step of a recorded snapshot; None: the last.

        Raises:
            RunError: A snapshot without one; the message names the nearest that have one.

        >>> sorted(run.state())[:2]
        ['optimizer.0.exp_avg', 'optimizer.0.exp_avg_sq']
        """
        kept = self.kept_states
        if step is not None and step not in kept:
            near = {
                max((held for held in kept if held < step), default=None),
                min((held for held in kept if held > step), default=None),
            }
            there = " and ".join(f"step {held}" for held in sorted(one for one in near if one is not None)) or "none"
            raise RunError(
                f"{self.folder} keeps no state at step {step}; the nearest that it keeps: {there}. Record with "
                f"RecordConfig(keep_states=True, steps=({step},)) to keep it"
            )
        return self._tensors(self._state if step is None else _state(step))

    @property
    def _state(self) -> str:
        return _state(self.last.step)

    def _tensors(self, path: str) -> dict[str, Tensor]:
        content = checked(self.folder, path, self.record)
        documents.header(content, self.folder / path, RunError)
        return safetensors.torch.load(content)

    @door
    def activations(
        self, hook_point: str, reduction: Reduction = "mean", *, token: Token | None = None
    ) -> xr.DataArray:
        """Activations of the probe images over training; labels are the coordinate ``label``.

        Args:
            hook_point: Name of a hook point, such as ``layers.1.hook_post``.
            reduction: For a convolutional layer, each map's ``mean`` or ``max``, or the whole ``maps`` of the gallery's
                images; likewise for the tokens of a sequence.
            token: Of a sequence one token, below 0 from the end, their ``mean``, the highest (``max``), or ``all`` as
                examples of their own; None: ``reduction``.

        Returns:
            [snapshot, example, unit] of a dense layer; [snapshot, example, channel] of a convolutional one, with
            ``maps`` [snapshot, example, channel, row, col]; with ``maps`` of a sequence [snapshot, example, token, unit].

        Raises:
            UnknownName: A hook point that was not recorded, or another reduction.
            RunError: A run without maps, or without these tokens; a file that is missing or was altered.

        >>> run.activations("layers.1.hook_post").dims
        ('snapshot', 'example', 'unit')
        """
        if hook_point not in self.description["hook_points"]:
            raise unknown("recorded hook point", hook_point, self.hook_points)
        if reduction not in get_args(Reduction):
            raise unknown("reduction", reduction, get_args(Reduction))
        if token in ("mean", "max"):
            reduction, token = token, None
        if token is not None and "token" not in self.axes.get(hook_point, ()):
            raise RunError(f"{hook_point} holds no tokens: leave token out")
        kept = self.description["record"].get("tokens", "mean")
        if token is not None and kept not in ("all", token):
            has = "the mean and maximum over the tokens" if kept == "mean" else f"token {kept}"
            raise RunError(
                f"{self.folder} holds only {has} of {hook_point}: record with RecordConfig(tokens={token!r}), or all tokens with "
                'tokens="all"'
            )
        place = self.places[hook_point]
        name = place if place in self.log else f"{place}.{reduction}"
        if name not in self.log:
            raise RunError(
                f"{self.folder} has no maps of {hook_point}: it was recorded with RecordConfig(gallery_size=0)"
            )
        array = self.log[name]
        names = {str(dim): axes.from_log(str(dim), hook_point) for dim in array.dims}
        array = array.rename({old: new for old, new in names.items() if old != new})
        if "example_gallery" in array.dims:
            array = array.rename(example_gallery="example")
            if self.probe.labels is not None:
                labels = self.probe.labels[self.description["gallery"]]
                array = array.assign_coords(label=("example", labels))
        elif "token" in array.dims and token == "all":
            array = axes.tokens_as_examples(array)
        elif "token" in array.dims and (token is not None or reduction != "maps"):
            how = reduction if token is None else token
            array = array.isel(token=how) if isinstance(how, int) else getattr(array, how)("token", keep_attrs=True)
        return array.rename(hook_point)

    @door
    def weights(self, step: int | None = None) -> dict[str, Tensor]:
        """The state dict at a snapshot, checked against its hash.

        Args:
            step: Step of a recorded snapshot; None: the last.

        Raises:
            UnknownName: A step that was not recorded.
            RunError: A file that is missing or was altered.

        >>> run.weights(step=0)["output.bias"].shape
        torch.Size([10])
        """
        return self._tensors(self._weights(step))

    def _weights(self, step: int | None) -> str:
        step = self.steps[-1] if step is None else step
        if step not in self.steps:
            raise unknown("snapshot at step", step, map(str, self.steps))
        return f"weights/{step:08d}.safetensors"

    @door
    def model(self, step: int | None = None, into: nn.Module | None = None) -> Any:
        """The network at a snapshot, in evaluation mode.

        Args:
            step: Step of a recorded snapshot; None: the last.
            into: Instance to load the weights into, needed for a recorded foreign module; None: a new network.

        Raises:
            UnknownName: A step that was not recorded.
            RunError: A file that is missing or was altered, or weights that do not fit.

        >>> run.model(step=0)(images).shape == (len(images), 10)
        True
        """
        weights, path = self.weights(step), self.folder / self._weights(step)
        if into is None:
            self._blueprint.check(weights, path)
            into = build(self.config, self.description["model"]["seed"])
        try:
            into.load_state_dict(weights)
        except RuntimeError as error:
            raise RunError(f"{path} does not fit the module: {reason(error)}") from None
        return into.eval()

    @cached_property
    def _blueprint(self) -> Blueprint:
        """The network of run.json. A RunError if no network matches, or if it does not fit the probe."""
        config, probe, path = self.config, self.probe, self.folder / "run.json"
        expected = (tuple(config.image_shape), config.image_channels, config.classes)
        if expected != (probe.image_shape, probe.image_channels, probe.classes):
            raise RunError(f"{path} describes a network for other images or classes than those of the probe")
        try:
            blueprint = Blueprint.of(config)
        except (ArithmeticError, RuntimeError, ValueError) as error:
            raise RunError(f"{path} does not describe a network: {reason(error)}") from None
        for name, shape in self.description["hook_points"].items():
            if blueprint.points.get(name, shape) != shape:
                raise RunError(f"{path} says that {name} holds {shape}; its network gives {blueprint.points[name]}")
        return blueprint

    @door
    def check_state(self, model: nn.Module) -> None:
        """A RunError unless training can continue from the last snapshot.

        The trained parameters, the optimizer's state, the random generators and the buffered rows must be those of this
        run.

        Args:
            model: Network that would be trained.
        """
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        if [*trained] != self.description["parameters"]:
            raise RunError(f"{self.folder / 'run.json'} names parameters other than the trained ones of the network")
        state, path, training = self.state(), self.folder / self._state, self.train_config
        if isinstance(training, TrainConfig):
            check_state(state, [*trained.values()], training, path)
        every, rows = self.description["record"]["norms_every"], self.last.rows
        counts = {"training": rows, **({"gradients": -(-rows // every)} if every else {})}
        for name, array in self.arrays.items():
            count = counts.get(name.partition("/")[0])
            if count is not None and not array.spec.whole:
                tail = state.get(f"tail.{name.replace('/', '.')}", torch.zeros(0, *array.spec.shape[1:]))
                if tail.shape != (count % array.chunks[0], *array.spec.shape[1:]):
                    raise RunError(
                        f"{path} holds {list(tail.shape)} of {name}; {count % array.chunks[0]} rows wait there"
                    )

    def verify(self) -> list[Problem]:
        """Every file that has changed since it was written.

        >>> run.verify()
        []
        """
        return verify(self.folder)


def _agree(record: commits.Record, about: dict[str, Any], folder: Path) -> None:
    """A RunError if the commit record and run.json contradict each other."""
    last, steps = record.commits[-1], _steps(record, about)
    ascending = all(early < late for early, late in pairwise([-1, *steps]))
    if (last.snapshots, last.step) != (len(steps), steps[-1]) or not last.step <= last.rows <= about["total_steps"]:
        raise RunError(f"{folder / commits.NAME} contradicts the schedule of run.json")
    if not ascending or len(steps) > (about.get("snapshots") or len(steps)):
        raise RunError(f"{folder / commits.NAME} has snapshots of the steps {steps}, which no loop writes")


def _steps(record: commits.Record, about: dict[str, Any]) -> list[int]:
    """The step of each committed snapshot: that of the schedule, or in a loop of the commit."""
    if about["schedule"]:
        return about["schedule"][: record.snapshots]
    return [commit.step for commit in record.commits if commit.kind == "snapshot"]


def layout_of(about: Mapping[str, Any], probe: ImageSet, indices: np.ndarray, steps: Sequence[int] = ()) -> Layout:
    """The layout of a log.

    Args:
        about: The content of its run.json.
        probe: The probe images.
        indices: Their indices in the test set, [example].
        steps: The steps of its snapshots, if it has no schedule.
    """
    return Layout(
        about["schedule"] or steps,
        about["steps_per_epoch"],
        about["total_steps"],
        probe.labels,
        indices,
        probe.classes,
        about["gallery"],
        about["parameters"],
        about["record"]["norms_every"],
        about.get("snapshots"),
        about.get("task", "classification"),
        about.get("axes", {}),
        about["record"].get("tokens", "mean"),
    )


def _state(step: int) -> str:
    """The path of the state of a snapshot."""
    return f"state/{step:08d}.safetensors"


class _AboutProbe(Struct, forbid_unknown_fields=True):
    classes: int
    name: documents.Text
    class_names: tuple[documents.Text, ...] = ()
    task: Task = "classification"


def _probe(content: bytes, path: Path) -> tuple[ImageSet, np.ndarray]:
    """(the probe images, their indices in the test set)."""
    header = documents.header(content, path, RunError)
    about = documents.decode(header.metadata.get("probe", "").encode(), _AboutProbe, path, RunError)
    kinds = {name: one.dtype for name, one in header.tensors.items() if name not in ("inputs", "targets")}
    if {"labels": "I64", **kinds} != {"images": "U8", "labels": "I64", "indices": "I64"}:
        raise RunError(f"{path} does not hold images, labels and indices")
    tensors = safetensors.torch.load(content)
    inputs, targets = (tensors.pop(name, None) for name in ("inputs", "targets"))
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    labels = arrays.get("labels")
    try:
        probe = ImageSet(
            arrays["images"],
            labels,
            about.classes,
            about.name,
            inputs,
            about.class_names,
            targets=targets,
            task=about.task,
        )
    except DataError as error:
        raise RunError(f"{path}: {error}") from None
    if arrays["indices"].shape != (len(probe),):
        raise RunError(f"{path} holds {len(probe)} images, and indices of the shape {arrays['indices'].shape}")
    return probe, arrays["indices"]
