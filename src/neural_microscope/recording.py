"""The recorder: an observer of training that writes a run folder. And resuming interrupted runs."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
import xarray
import zarr
from torch import Tensor, nn

from . import __version__, config, devices, documents, files, recordable
from .config import LoopConfig, RecordConfig, TrainConfig
from .data import Dataset, ImageSet, load
from .doors import door
from .errors import DataError, RunError, UnknownName
from .hooks import ActivationCache, bare, evaluation, hooked
from .hooks.wrap import stated
from .models import Network, build
from .run import FORMAT_VERSION, Layout, Run, RunWriter, beginning, places, reduced
from .run.description import network
from .training import History, Loss, Observer, Sampler, continue_in_place, train
from .training.loop import InProgress


@door
def schedule(record: RecordConfig, total_steps: int, steps_per_epoch: int) -> list[int]:
    """Steps to record: 0, log-spaced and regular steps, epoch ends, the last step, and any requested steps in range.

    Args:
        record: Settings of recording.
        total_steps: Optimizer steps in the whole training.
        steps_per_epoch: Optimizer steps in an epoch; 0 if unknown.
    """
    steps = {0, total_steps, *(s for s in record.steps if s <= total_steps)}
    if record.every:
        steps.update(range(0, total_steps + 1, record.every))
    if record.every_epoch and steps_per_epoch:
        steps.update(range(0, total_steps + 1, steps_per_epoch))
    if record.per_octave and total_steps:
        octaves = math.floor(math.log2(total_steps) * record.per_octave)
        steps.update(round(2 ** (i / record.per_octave)) for i in range(octaves + 1))
    return sorted(steps)


class Recorder(Observer):
    """An observer that records a training run into a new run folder.

    Every step: loss, accuracy, learning rate. Every tenth step: gradient norm and update-to-weight ratio of each
    parameter. At each snapshot of the schedule: weights, the optimizer's state, activations and logits of a fixed probe
    set, and loss and accuracy on all test images. Dense layers are recorded whole; feature maps as each channel's mean
    and maximum, and whole for a small gallery. Recording does not change what is learned.

    For a foreign module, every hook point is recorded that holds one tensor of real numbers with a row for each image;
    others that the images reach are left out, with names and reasons in a UserWarning and in ``left_out`` of run.json.
    The run's size is ``size``, known from the start.

    Args:
        folder: Folder to create.
        record: Settings of recording; None: the defaults of `RecordConfig`.
        tell: Function that receives the run's size in one line.

    Raises:
        RunError: At the start of training: a folder that holds a run or other files, or a snapshot above the size
            limit.

    >>> mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    >>> recorder = nm.Recorder("runs/mlp", nm.RecordConfig(per_octave=0))
    >>> history = nm.train(mlp, digits, nm.TrainConfig(epochs=1), observers=[recorder])
    >>> nm.Run.open("runs/mlp").steps
    [0, 12]
    """

    @door
    def __init__(
        self, folder: str | Path, record: RecordConfig | None = None, *, tell: Callable[[str], None] | None = None
    ) -> None:
        self.folder = Path(folder)
        self.tell = tell
        self.record = record or RecordConfig()
        self.writer: RunWriter | None = None
        self.resumed: tuple[Run, dict[str, Tensor]] | None = None
        self.axes: dict[str, tuple[str, ...]] = {}
        self.stated: dict[str, tuple[str, ...]] = {}

    @classmethod
    def again(cls, writer: RunWriter, run: Run) -> Recorder:
        """The recorder that continues a run.

        Args:
            writer: Its writer, reopened.
            run: The run at the writer's record.
        """
        recorder = cls(run.folder, config.from_json(run.description["record"]))
        writer.arrays = run.arrays
        recorder.writer, recorder.snapshots = writer, len(run.steps)
        recorder.probe, recorder.gallery, recorder.names = run.probe, run.description["gallery"], run.hook_points
        recorder.shapes, recorder.stated = run.description["hook_points"], run.stated_axes
        recorder.resumed, recorder.taken = (run, run.state()), run.last.step
        return recorder

    def claim(self) -> Path:
        writer = RunWriter.claim(self.folder)
        writer.close()
        return writer.folder

    # --- callbacks of training -------------------------------------------------------------------------------------------------

    def started(self, training: InProgress) -> None:
        self.began = time.perf_counter()
        self.module = bare(training.model)
        self.stated = stated(training.model) or self.stated
        self.lens = hooked(self.module, self.stated or None)
        self.parameters = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        held = self.resumed[0].description["schedule"] if self.resumed else []
        self.schedule = held or schedule(self.record, training.total_steps, training.steps_per_epoch)
        self.due = frozenset(self.schedule)
        if self.resumed is None:
            self._choose(training)
        self._keep(training)
        if self.resumed is None:
            with _own_randomness(training):
                cache = self._recordable(self._look(), training)
            self.names, self.shapes = list(cache), {name: list(tensor.shape[1:]) for name, tensor in cache.items()}
            self._create(training, cache)
        assert self.writer is not None
        every = self.record.norms_every
        step = ("step",) if training.most else ()
        self.writer.keep_states = self.record.keep_states
        self.training_rows = self.writer.rows("training", (*step, "loss", "accuracy", "learning_rate"))
        self.gradient_rows = self.writer.rows("gradients", (*step, "grad_norm", "update_ratio") if every else ())
        self._before(training)
        if self.resumed is not None:
            run, state = self.resumed
            self.training_rows.restore(run.last.rows, state)
            self.gradient_rows.restore(-(-run.last.rows // every) if every else 0, state)
            return
        self.snapshots = 0
        self._snapshot(training)

    def stepped(self, training: InProgress) -> None:
        if self._norms_due(training.step - 1):
            norms = _norms([p.grad for p in self.parameters.values()])
            now = zip(self.parameters.values(), self.before, strict=True)
            moved = _norms([after.detach() - before for after, before in now])
            ratios = [m / s if s > 0 else math.nan for m, s in zip(moved, _norms(self.before), strict=True)]
            self.gradient_rows.add({"step": training.step, "grad_norm": norms, "update_ratio": ratios})
        self._add_row(training)
        if training.step in self.due:
            self._snapshot(training)
        self._before(training)

    def stopped(self, training: InProgress, status: str) -> None:
        if self.writer is None:
            return
        try:
            if status.startswith("diverged"):
                self._add_row(training)
                self._ended(status)
            elif status != "finished" and not training.resumable:
                self._ended(status)
            elif status != "finished":
                self.writer.stop(status)
        except (OSError, RunError) as error:  # a full disk must not hide the reason that training stopped
            print(f"{self.folder}: could not record how the run ended ({error})", file=sys.stderr)
        finally:
            self.writer.close()
            self.writer = None

    # --- writing -----------------------------------------------------------------------------------------------------

    def _before(self, training: InProgress) -> None:
        """The weights before an update whose size will be recorded."""
        if self._norms_due(training.step):
            self.before = [p.detach().clone() for p in self.parameters.values()]

    def _last(self, training: InProgress, status: str) -> None:
        """Takes the last snapshot of a loop, unless one was just taken or no room is left for it, and commits its status.

        Args:
            training: The loop.
            status: The run's status, see `Run.status`.
        """
        assert self.writer is not None
        scheduled = sum(step > training.step for step in self.schedule)
        if self.taken != training.step and self.snapshots + scheduled < (training.most or 0):
            self._snapshot(training, status)
        elif status == "finished" or not training.resumable:
            self._ended(status)
        else:
            self.writer.stop(status)

    def _ended(self, status: str) -> None:
        """Commits the end of a run that can't continue, with the rows since its last snapshot.

        Args:
            status: The run's status, see `Run.status`.
        """
        assert self.writer is not None
        self.training_rows.flush()
        self.gradient_rows.flush()
        self.writer.diverged(self.training_rows.count, status)

    def _norms_due(self, step: int) -> bool:
        return bool(self.record.norms_every) and step % self.record.norms_every == 0

    def _add_row(self, training: InProgress) -> None:
        self.training_rows.add({"step": training.step, **{name: values[-1] for name, values in training.rows.items()}})

    def _look(self) -> ActivationCache:
        """Activations of the probe images now."""
        with torch.no_grad(), evaluation(self.lens):
            _, cache = self.lens.run_with_cache(self.images, names_filter=self.names or None)
        tensors = {name: tensor for name, tensor in cache.items() if self.names or name != "input"}
        if not isinstance(self.module, Network):
            tensors, self.axes = recordable.in_order(self.lens, tensors)
        return ActivationCache(tensors).to("cpu")

    def _snapshot(self, training: InProgress, status: str = "running") -> None:
        assert self.writer is not None
        with _own_randomness(training):
            looked = self._look()
            arrays: dict[str, Any] = training.scores(self.test_images, self.test_targets)
        arrays["seconds"] = time.perf_counter() - self.began
        if training.most:
            arrays |= {"step": training.step, "epoch": training.step / (training.steps_per_epoch or math.nan)}
        at = places(self.names)
        for name, tensor in looked.items():
            if list(tensor.shape) != [len(self.probe), *self.shapes[name]]:
                raise RunError(
                    f"hook point {name} gave {[len(self.probe), *self.shapes[name]]} at the first snapshot and gives {list(tensor.shape)} "
                    "now; leave it out with RecordConfig(hook_points=…)"
                )
            arrays |= reduced(at[name], tensor, self.gallery, self.axes.get(name, ()), self.record.tokens)
        if not training.most and self.snapshots + 1 == len(self.schedule):
            status = "finished"
        if status == "finished" or (status != "running" and not training.resumable):
            self.training_rows.flush()
            self.gradient_rows.flush()
        state = {**training.state(), **self.training_rows.tail(), **self.gradient_rows.tail()}
        weights, rows = self.module.state_dict(), self.training_rows.count
        self.writer.snapshot(self.snapshots, training.step, rows, arrays, weights, state, status)
        self.snapshots += 1
        self.taken = training.step

    # --- once per run ---------------------------------------------------------------------------------------------------

    def _choose(self, training: InProgress) -> None:
        """Chooses the probe images and the hook points for the run."""
        test = training.data.test
        self.probe_indices = test.balanced_indices(min(self.record.probe_size, test.most_balanced))
        self.probe = test.subset(self.probe_indices)
        notes = (_uneven(self.probe, test), _fewer(self.record, self.probe, test)) if test.classes else ()
        self.note = " ".join(filter(None, notes))
        if self.note:
            warnings.warn(self.note, UserWarning, stacklevel=4)
        labels = np.zeros(len(self.probe), int) if self.probe.labels is None else self.probe.labels
        self.gallery = _gallery(labels, self.record.gallery_size)
        self.names = list(self.record.hook_points)

    def _recordable(self, cache: ActivationCache, training: InProgress) -> ActivationCache:
        """The recordable part of a cache. The rest is reported and noted, or an error if it was requested by name."""
        model = self.module
        stateful = [name for name, value in model.state_dict().items() if not isinstance(value, Tensor)]
        if stateful:
            raise RunError(
                f"{stateful[0]} of this {type(model).__name__} is not a tensor, and a run folder holds only tensors: its get_extra_state "
                "must return one"
            )
        self.left_out = (
            {} if isinstance(model, Network) else recordable.left_out(self.lens, self.images, cache, self.names)
        )
        asked = [name for name in self.left_out if self.record.hook_points and name in cache]
        if asked:
            raise RunError(
                f"hook point {asked[0]} {self.left_out[asked[0]]}; leave it out of RecordConfig(hook_points=…)"
            )
        if self.record.hook_points:
            self.left_out = {}
        if self.left_out:
            warnings.warn(recordable.told(self.left_out), UserWarning, stacklevel=6)
        kept = {name: tensor for name, tensor in cache.items() if name not in self.left_out}
        self.axes = {name: dims for name, dims in self.axes.items() if name in kept}
        if not kept:
            raise RunError(f"nothing of this {type(model).__name__} can be recorded: {recordable.told(self.left_out)}")
        return ActivationCache(kept)

    def _keep(self, training: InProgress) -> None:
        """The images as tensors: creating them at each snapshot would take as long as the forward pass."""
        test = training.data.test
        self.images = devices.like(training.model, self.probe.tensor())
        self.test_images, self.test_targets = devices.like(training.model, test.tensor()), test.target_tensor()

    def _create(self, training: InProgress, cache: ActivationCache) -> None:
        layout = Layout(
            self.schedule,
            training.steps_per_epoch,
            training.total_steps,
            self.probe.labels,
            self.probe_indices,
            self.probe.classes,
            self.gallery,
            list(self.parameters),
            self.record.norms_every,
            training.most,
            training.objective.task,
            self.axes,
            self.record.tokens,
        )
        groups, coordinates = layout.groups(cache), layout.created()
        planned = len(self.schedule) if training.planned else 1
        self.size, much = recordable.size(self.record, groups[""], self.module.state_dict(), planned)
        text = f"{self.size}. {recordable.SMALLER}" if much else self.size
        if self.tell is not None:
            self.tell(text)
        elif much:
            warnings.warn(text, UserWarning, stacklevel=6)
        description = self._describe(training, cache)
        self.writer = RunWriter.create(self.folder, description, self.probe, self.probe_indices, groups, coordinates)

    def _describe(self, training: InProgress, cache: ActivationCache) -> dict[str, Any]:
        model, note = self.module, f"{training.data.note} {self.note}".strip()
        own = isinstance(model, Network) and training.objective.classifies  # else its outputs are no logits
        if isinstance(model, Network) and own:
            about = {**config.to_json(model.config), "seed": model.seed}
        else:
            about = {"kind": "module", "class": type(model).__qualname__}
        return {
            "format_version": FORMAT_VERSION,
            "model": about,
            "task": training.objective.task,
            **({"loss": "own"} if training.objective.own else {}),
            **({"initial_weights": _digest(model)} if own else {}),
            **({"together": dict(zip(("number", "of"), training.place, strict=True))} if training.place else {}),
            "train": config.to_json(training.config),
            "record": config.to_json(self.record),
            "data": {"name": documents.plain(training.data.name), "sha256": training.data.sha256, "note": note},
            "sampler": _order(training),
            **({"snapshots": training.most} if training.most else {}),
            **({} if training.resumable and not training.most else {"resumable": training.resumable}),
            "schedule": [] if training.most else self.schedule,
            "total_steps": training.total_steps,
            "steps_per_epoch": training.steps_per_epoch,
            "hook_points": self.shapes,
            **({"left_out": self.left_out} if self.left_out else {}),
            **({"axes": {name: list(dims) for name, dims in self.axes.items()}} if self.axes else {}),
            **({"stated_axes": {name: list(dims) for name, dims in self.stated.items()}} if self.stated else {}),
            "gallery": self.gallery,
            "parameters": list(self.parameters),
            # The gradient of a weight from a pixel that is 0 on every image is 0: pictures gray it out.
            "constant_pixels": training.data.constant_pixels,
            **circumstances(training.config),
        }


@door
def resume(
    folder: str | Path,
    *,
    data: Dataset | None = None,
    model: nn.Module | None = None,
    sampler: Sampler | None = None,
    loss: Loss | None = None,
    observers: Sequence[Observer] = (),
) -> History:
    """Continues an interrupted run to its end, with bitwise the same result as without the interruption (except times).

    A refused run is unchanged. A run that was killed before its first snapshot starts over, if it was made from a
    config.

    Args:
        folder: A run folder.
        data: Training and test images; None: the set that `load` knows by the recorded name.
        model: Module to load the weights into; None: built from its config, if it has one here.
        sampler: Custom sampler of the run, if it used one; it must give the same batches for an epoch at every call.
        loss: The loss of the run, if it had one of its own; that it is the same can't be checked.
        observers: Further observers of the training.

    Raises:
        RunError: A run that is finished, has diverged, or used other data or batches of the caller's own; damage, except
            in the last snapshot, which is recorded again.

    >>> from neural_microscope.training import Observer
    >>> class Stopping(Observer):
    ...     def stepped(self, training):
    ...         raise KeyboardInterrupt
    >>> mlp, recorder = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,))), nm.Recorder("runs/stopped")
    >>> try:
    ...     nm.train(mlp, digits, nm.TrainConfig(epochs=1), observers=[recorder, Stopping()])
    ... except KeyboardInterrupt:
    ...     print(nm.resume("runs/stopped", data=digits).status)
    finished
    """
    folder = files.place(folder).absolute()
    about = beginning.to_start_over(folder)
    if about is not None and about["train"]["kind"] == "loop":
        raise RunError(
            f"nothing was recorded in {folder}, which a training loop of the caller's own began: run it again"
        )
    if about is not None:
        return _start_over(folder, about, data, sampler, loss, observers)
    writer = RunWriter.reopen(folder)
    try:
        run = Run.at(writer.folder, writer.record)
        if run.parent is not None:
            raise RunError(
                f"{run.folder} is a branch of a replay of {run.parent['run']}; the same call of nm.replay, or of `microscope replay`, "
                "continues it"
            )
        if run.description["train"]["kind"] == "loop":
            raise RunError(
                f"{run.folder} records a training loop of the caller's own, and only that loop can continue it: "
                "nm.record(…, state=…, resume=True)"
            )
        if run.status == "finished" or run.status.startswith("diverged"):
            raise RunError(f"{run.folder} has {run.status}; there is nothing to resume")
        data = checked_inputs(run.folder, run.description, data, model, sampler, loss)
        recorder = Recorder.again(writer, run)
        state = run.state()
        own = run.model(into=None if model is None else bare(model))
        for name, parameter in own.named_parameters():
            parameter.requires_grad_(name in run.description["parameters"])
        run.check_state(own)
        model = own if model is None else model
        writer.take_back()
        resume_from = (run.last.step, state)
        return _train(model, data, run.description, [recorder, *observers], sampler, loss, resume_from)
    finally:
        writer.close()


def _start_over(
    folder: Path,
    about: dict[str, Any],
    data: Dataset | None,
    sampler: Sampler | None,
    loss: Loss | None,
    observers: Sequence[Observer],
) -> History:
    """Trains a run from its beginning, as described in its run.json."""
    model = None if about["model"]["kind"] == "module" else build(network(about["model"]), about["model"]["seed"])
    if model is None or _digest(model) != about.get("initial_weights"):
        raise RunError(
            f"nothing was recorded in {folder}, and only the script that was to train it has its initial weights: run the script "
            "again, which starts the run over"
        )
    data = checked_inputs(folder, about, data, model, sampler, loss)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in about["parameters"])
    print(f"note: nothing was recorded in {files.shown(str(folder))}: it starts over", file=sys.stderr)
    recorder = Recorder(folder, config.from_json(about["record"]))
    return _train(model, data, about, [recorder, *observers], sampler, loss)


def _train(
    model: Any,
    data: Dataset,
    about: dict[str, Any],
    observers: Sequence[Observer],
    sampler: Sampler | None,
    loss: Loss | None,
    resume_from: tuple[int, dict[str, Tensor]] | None = None,
) -> History:
    """Trains as described in run.json."""
    settings = config.from_json(about["train"])
    if together := about.get("together"):
        print(
            f"note: it was trained together with {together['of'] - 1} other networks; for the same bits it is continued in its place "
            "among copies, which takes the time of all of them",
            file=sys.stderr,
        )
        place = (together["number"], together["of"])
        return continue_in_place(model, data, settings, observers, place, resume_from)
    seed = about["train"]["seed"]
    if "initial_weights" not in about and about["model"].get("seed", seed) != seed:
        print(
            "note: an older release recorded it, which did not write down whether it was trained in a population of order='shared'; "
            "if it was, the rest is equal up to rounding, otherwise to the bit",
            file=sys.stderr,
        )
    task = about.get("task")
    return train(
        model, data, settings, task=task, loss=loss, observers=observers, sampler=sampler, resume_from=resume_from
    )


@door
def circumstances(training: TrainConfig | LoopConfig) -> dict[str, Any]:
    """The time, the releases and the machine with which a run is recorded, for its run.json.

    Args:
        training: Settings of training.
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "neural-microscope": __version__,
            **{module.__name__: str(module.__version__) for module in (torch, np, zarr, xarray, safetensors)},
        },
        "machine": {
            "python": platform.python_version(),
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": training.threads,
            "gpu": torch.cuda.get_device_name() if training.device.startswith("cuda") else "",
        },
    }


def _digest(model: nn.Module) -> str:
    """The SHA-256 of a model's weights."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@door
def checked_inputs(
    folder: Path,
    about: dict[str, Any],
    data: Dataset | None,
    model: nn.Module | None,
    sampler: Sampler | None,
    loss: Loss | None,
) -> Dataset:
    """The data to continue a run with. Anything that would make a different run is a RunError.

    Args:
        folder: The run folder.
        about: The content of its run.json.
        data: Training and test images; None: the set that `load` knows by the recorded name.
        model: Module to load the weights into; None: built from its config.
        sampler: Custom sampler of the run, if it used one.
        loss: The loss of the run, if it had one of its own.
    """
    if about["sampler"] == "batches":
        raise RunError(
            f"{folder} was trained on batches of the caller's own, whose order is not known here, so that it can't be continued exactly. "
            "A run on a Dataset, or a loop recorded with nm.record(…, state=…), can"
        )
    if (about.get("loss") == "own") != (loss is not None):
        own = "a loss of its own; give it: " if loss is None else "the loss of its task; leave out "
        raise RunError(f"{folder} was trained with {own}loss=")
    if about["sampler"] == "custom" and sampler is None:
        raise RunError(
            f"{folder} was trained with a sampler of its own; give it: nm.resume({str(folder)!r}, sampler=…)"
        )
    if about["model"]["kind"] == "module" and model is None:
        raise RunError(
            f"{folder} records a {about['model']['class']}, which has no config here; give one to load the weights into: "
            f"nm.resume({str(folder)!r}, model=…)"
        )
    data = recorded_data(folder, about, data)
    recorded = about["versions"]["torch"]
    if torch.__version__ != recorded:
        print(f"note: recorded with torch {recorded}, resumed with {torch.__version__}", file=sys.stderr)
    return data


@door
def recorded_data(folder: Path, about: dict[str, Any], data: Dataset | None) -> Dataset:
    """The data that a run was trained on; any other is a RunError.

    Args:
        folder: The run folder.
        about: The content of its run.json.
        data: Training and test images; None: the set that `load` knows by the recorded name, which may not be a path: the run's author
            chose it.
    """
    if data is None:
        name = about["data"]["name"]
        try:
            if not re.fullmatch(r"\w[\w .-]*", name):
                raise RunError(f"{name!r} is no name of data")
            data = load(name)
        except (RunError, DataError, UnknownName) as error:
            raise RunError(f"{folder}: {error}. Give the data it was trained on: data=…") from None
    if data.sha256 != about["data"]["sha256"]:
        name = about["data"]["name"]
        other = (
            f"{name}; the images of {data.name} are not those"
            if data.name != name
            else f"other images of the name {name}"
        )
        raise RunError(
            f"{folder} was trained on {other} (their checksums differ). Give the images it was trained on, or no data"
        )
    return data


def _order(training: InProgress) -> str:
    """The origin of the order of batches, see run.json."""
    if not (training.most or training.resumable):
        return "batches"
    return "custom" if training.custom_sampler else "default"


def _own_randomness(training: InProgress) -> Any:
    """A module may be random in evaluation mode too: recording must not change its training."""
    device = torch.device(training.config.device)
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def _uneven(probe: ImageSet, test: ImageSet) -> str:
    """One line on the classes of which the test set has too few images for an equal share of the probe; else nothing."""
    held, all_of = (np.bincount(one.labels, minlength=one.classes) for one in (probe, test))
    few = np.flatnonzero((held == all_of) & ((held == 0) | (held < held.max() - 1)))
    if not len(few):
        return ""
    counts = [f"class {c} has {held[c] or 'none'}" for c in few[:10]] + [f"{len(few) - 10} more classes"] * (
        len(few) > 10
    )
    return f"the test set has too few images of some classes for a balanced probe: {', '.join(counts)}; others up to {held.max()}"


def _fewer(record: RecordConfig, probe: ImageSet, test: ImageSet) -> str:
    """One line where more probe images were asked for, and are there, than all classes can give alike; else nothing."""
    if record.probe_size == RecordConfig().probe_size or len(probe) >= min(record.probe_size, len(test)):
        return ""
    return (
        f"the probe holds {len(probe):,} of the {len(test):,} test images, not {record.probe_size:,}: as many of each class as of "
        "any other"
    )


def _gallery(labels: np.ndarray, size: int) -> list[int]:
    """Probe images in the order: the first of each class, the second of each class, …"""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return [int(i) for i in np.lexsort((labels, turn))[:size]]


def _norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """The L2 norm of each tensor; NaN for what is not there."""
    found = [torch.linalg.vector_norm(t) if t is not None else torch.tensor(math.nan) for t in tensors]
    return torch.stack([norm.to("cpu", torch.float64) for norm in found]).tolist()
