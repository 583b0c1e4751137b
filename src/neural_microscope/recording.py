"""The recorder: an observer of training that keeps the network's life in a run folder. And going on after a stop."""

from __future__ import annotations

import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import axes, config
from .config import RecordConfig
from .data import Dataset, load
from .errors import RunError
from .hooks import ActivationCache, evaluation, hooked
from .models import Network
from .run import FORMAT_VERSION, ArraySpec, Commit, Run, RunWriter
from .run.log import ROWS
from .training import History, Observer, Sampler, Training, evaluate, train


def schedule(record: RecordConfig, total_steps: int, steps_per_epoch: int) -> list[int]:
    """The steps to snapshot: 0, log-spaced from 1, each epoch's end, the last, and those asked for."""
    steps = {0, total_steps, *(s for s in record.steps if s <= total_steps)}
    if record.every_epoch:
        steps.update(range(0, total_steps + 1, steps_per_epoch))
    if record.per_octave and total_steps:
        octaves = math.floor(math.log2(total_steps) * record.per_octave)
        steps.update(round(2 ** (i / record.per_octave)) for i in range(octaves + 1))
    return sorted(steps)


class Recorder(Observer):
    """Records a training into a new run folder: ``nm.train(model, data, observers=[nm.Recorder("runs/mlp")])``.

    Every step: loss, accuracy, learning rate. Every tenth step: gradient norm and update-to-weight ratio of each parameter. At each snapshot of the
    schedule: weights, the optimiser's state, activations and logits of a fixed probe set, and loss and accuracy on all test images. Dense
    layers are recorded whole; feature maps as each channel's mean and maximum, and whole for a small gallery.
    """

    def __init__(self, folder: str | Path, record: RecordConfig | None = None) -> None:
        self.folder = Path(folder)
        self.record = record or RecordConfig()
        self.writer: RunWriter | None = None
        self.snapshots = 0
        self.resumed: Commit | None = None
        self.state: dict[str, Tensor] = {}

    # --- what training tells -------------------------------------------------------------------------------------------------

    def started(self, training: Training) -> None:
        self.began = time.perf_counter()
        self.lens = hooked(training.model)
        self.parameters = {n: p for n, p in training.model.named_parameters() if p.requires_grad}
        self.schedule = schedule(self.record, training.total_steps, training.steps_per_epoch)
        every = self.record.norms_every
        self.tables = {"training": _Table("training", ("loss", "accuracy", "learning_rate"))}
        if every:
            self.tables["gradients"] = _Table("gradients", ("grad_norm", "update_ratio"))
        if self.resumed is not None:
            assert self.writer is not None
            for name, table in self.tables.items():
                rows = self.resumed.rows if name == "training" else -(-self.resumed.rows // every)
                table.restore(rows, self.state)
            return
        size = min(self.record.probe_size, training.data.test.most_balanced)
        self.probe_indices = training.data.test.balanced_indices(size, seed=0)
        self.probe = training.data.test.subset(self.probe_indices)
        self.gallery = _gallery(self.probe.labels, self.record.gallery_size)
        self.names = list(self.record.hook_points) or [n for n in self.lens.hook_points if n != "input"]
        cache = self._look()
        self.writer = RunWriter.create(
            self.folder,
            self._describe(training, cache),
            self.probe,
            self.probe_indices,
            self._groups(training, cache),
            self._coordinates(training),
        )
        self._snapshot(training)

    def before_update(self, training: Training) -> None:
        if "gradients" in self.tables and training.step % self.record.norms_every == 0:
            self.before = [p.detach().clone() for p in self.parameters.values()]
            self.grad_norms = [_norm(p.grad) for p in self.parameters.values()]

    def stepped(self, training: Training) -> None:
        assert self.writer is not None
        if "gradients" in self.tables and (training.step - 1) % self.record.norms_every == 0:
            moved = [
                _norm(after.detach() - before) / size if (size := _norm(before)) > 0 else math.nan
                for after, before in zip(self.parameters.values(), self.before, strict=True)
            ]
            self.tables["gradients"].add(self.writer, {"grad_norm": self.grad_norms, "update_ratio": moved})
        self._add_row(training)
        if self.snapshots < len(self.schedule) and training.step == self.schedule[self.snapshots]:
            self._snapshot(training)

    def stopped(self, training: Training, status: str) -> None:
        if self.writer is None:
            return
        try:
            if status.startswith("diverged"):
                self._add_row(training)
                for table in self.tables.values():
                    table.flush(self.writer)
            if status != "finished":
                rows = self.tables["training"].rows if status.startswith("diverged") else self.writer.last.rows
                self.writer.stop(self.writer.last, rows, status)
        except OSError as error:  # a full disk must not hide why training stopped
            print(f"{self.folder}: could not note how the run ended ({error})", file=sys.stderr)
        finally:
            self.writer.close()

    # --- what is written -----------------------------------------------------------------------------------------------------

    def _add_row(self, training: Training) -> None:
        assert self.writer is not None
        self.tables["training"].add(self.writer, {name: values[-1] for name, values in training.rows.items()})

    def _look(self) -> ActivationCache:
        """Activations of the probe images now."""
        device = next(self.lens.parameters()).device
        with torch.no_grad(), evaluation(self.lens):
            _, cache = self.lens.run_with_cache(self.probe.tensor().to(device), names_filter=self.names)
        return cache.to("cpu")

    def _snapshot(self, training: Training) -> None:
        assert self.writer is not None
        index, step = self.snapshots, training.step
        arrays: dict[str, Any] = {}
        for name, tensor in self._look().items():
            arrays.update(_reduced(name, tensor, self.gallery))
        test = evaluate(training.model, training.data.test)
        arrays |= {
            "test_loss": test.loss,
            "test_accuracy": test.accuracy,
            "test_accuracy_by_class": test.accuracy_by_class,
        }
        arrays["seconds"] = time.perf_counter() - self.began
        status = "finished" if index + 1 == len(self.schedule) else "running"
        if status == "finished":
            for table in self.tables.values():
                table.flush(self.writer)
        state = {**training.state(), **{k: v for table in self.tables.values() for k, v in table.tail().items()}}
        weights = training.model.state_dict()
        self.writer.snapshot(index, step, self.tables["training"].rows, arrays, weights, state, status)
        self.snapshots += 1
        training.model.train()

    # --- what is said once ---------------------------------------------------------------------------------------------------

    def _describe(self, training: Training, cache: ActivationCache) -> dict[str, Any]:
        model = training.model
        if isinstance(model, Network):
            about = {**config.to_json(model.config), "seed": model.seed}
        else:
            about = {"kind": "module", "class": type(model).__qualname__}
        return {
            "format_version": FORMAT_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": about,
            "train": config.to_json(training.config),
            "record": config.to_json(self.record),
            "data": {"name": training.data.name, "sha256": training.data.sha256, "note": training.data.note},
            "sampler": "custom" if training.custom_sampler else "default",
            "schedule": self.schedule,
            "total_steps": training.total_steps,
            "steps_per_epoch": training.steps_per_epoch,
            "hook_points": {name: list(tensor.shape[1:]) for name, tensor in cache.items()},
            "gallery": self.gallery,
            "parameters": list(self.parameters),
            # Weights of a pixel that never changes in training keep their random start: pictures grey them out.
            "constant_pixels": np.flatnonzero(np.ptp(training.data.train.images, axis=0) == 0).tolist(),
            "versions": {
                name: version(name) for name in ("neural-microscope", "torch", "numpy", "zarr", "xarray", "safetensors")
            },
            "machine": {
                "python": platform.python_version(),
                "system": platform.system(),
                "processor": platform.machine(),
                "cores": os.cpu_count(),
                "threads": training.config.threads,
                "gpu": torch.cuda.get_device_name() if training.config.device.startswith("cuda") else "",
            },
        }

    def _groups(self, training: Training, cache: ActivationCache) -> dict[str, dict[str, ArraySpec]]:
        n, classes = len(self.schedule), self.probe.classes
        root = {
            "step": ArraySpec(("snapshot",), (n,), "optimiser steps done", dtype="int64", whole=True),
            "epoch": ArraySpec(("snapshot",), (n,), "passes over the training images", dtype="float64", whole=True),
            "label": ArraySpec(("example",), (len(self.probe),), "label of the probe image", dtype="int64", whole=True),
            "test_index": ArraySpec(
                ("example",), (len(self.probe),), "its place in the test set", dtype="int64", whole=True
            ),
            "seconds": ArraySpec(
                ("snapshot",), (n,), "wall-clock time since this process began the run", "s", "float64"
            ),
            "test_loss": ArraySpec(("snapshot",), (n,), "mean cross-entropy on all test images", "nat", "float64"),
            "test_accuracy": ArraySpec(
                ("snapshot",), (n,), "share of all test images classified rightly", "1", "float64"
            ),
            "test_accuracy_by_class": ArraySpec(
                ("snapshot", "class"), (n, classes), "share of a class's test images classified rightly", "1", "float64"
            ),
        }
        for name, tensor in cache.items():
            root |= _specs(name, tensor, n, len(self.gallery))
        total = training.total_steps
        steps = {"step": ArraySpec(("step",), (total,), "optimiser step, from 1", dtype="int64", whole=True)}
        groups = {
            "": root,
            "training": steps
            | {
                "loss": ArraySpec(
                    ("step",), (total,), "mean cross-entropy of the step's batch, before the update", "nat", "float64"
                ),
                "accuracy": ArraySpec(
                    ("step",), (total,), "share of the step's batch classified rightly", "1", "float64"
                ),
                "learning_rate": ArraySpec(("step",), (total,), "learning rate of the step", "1", "float64"),
            },
        }
        if self.record.norms_every:
            shape = (len(range(0, total, self.record.norms_every)), len(self.parameters))
            groups["gradients"] = {
                "step": ArraySpec(("step",), shape[:1], "optimiser step, from 1", dtype="int64", whole=True),
                "grad_norm": ArraySpec(("step", "parameter"), shape, "L2 norm of the loss gradient", "1", "float64"),
                "update_ratio": ArraySpec(
                    ("step", "parameter"),
                    shape,
                    "L2 norm of the update over that of the weights before it",
                    "1",
                    "float64",
                ),
            }
        return groups

    def _coordinates(self, training: Training) -> dict[str, np.ndarray]:
        steps = np.asarray(self.schedule)
        every = np.arange(1, training.total_steps + 1)
        found = {
            "step": steps,
            "epoch": steps / training.steps_per_epoch,
            "label": self.probe.labels,
            "test_index": self.probe_indices,
            "training/step": every,
        }
        if self.record.norms_every:
            found["gradients/step"] = every[:: self.record.norms_every]
        return {name: values for name, values in found.items() if len(values)}


class _Table:
    """Rows of one group, kept until a chunk is full, so that no chunk is written twice."""

    def __init__(self, group: str, columns: Sequence[str]) -> None:
        self.group = group
        self.columns: dict[str, list[Any]] = {name: [] for name in columns}
        self.rows = 0

    def add(self, writer: RunWriter, row: dict[str, Any]) -> None:
        for name, value in row.items():
            self.columns[name].append(value)
        self.rows += 1
        if self.rows % ROWS == 0:
            self.flush(writer)

    def flush(self, writer: RunWriter) -> None:
        """Writes what is there as the chunk it belongs to."""
        for name, values in self.columns.items():
            if values:
                writer.write(f"{self.group}/{name}", (self.rows - 1) // ROWS, values)
                self.columns[name] = []

    def tail(self) -> dict[str, Tensor]:
        """The rows that are in no chunk yet, as they go into the state file."""
        return {
            f"tail.{self.group}.{name}": torch.tensor(values, dtype=torch.float64)
            for name, values in self.columns.items()
            if values
        }

    def restore(self, rows: int, state: dict[str, Tensor]) -> None:
        self.rows = rows
        for name in self.columns:
            tail = state.get(f"tail.{self.group}.{name}")
            self.columns[name] = [] if tail is None else tail.tolist()


def resume(
    folder: str | Path,
    *,
    data: Dataset | None = None,
    sampler: Sampler | None = None,
    observers: Sequence[Observer] = (),
) -> History:
    """Continues an interrupted run to its end, bit for bit as if nothing had happened (the clock apart).

    ``data`` and ``sampler`` are needed only where the run was made with data that `load` does not know by name, or with a sampler of its own.
    A run that is finished, has diverged, or was made from other data is a RunError.
    """
    recorder, state, model = _reopen(Path(folder))
    assert recorder.writer is not None
    try:
        description = Run.open(folder).description
        if description["sampler"] == "custom" and sampler is None:
            raise RunError(
                f"{folder} was trained with a sampler of its own; give it: nm.resume({str(folder)!r}, sampler=…)"
            )
        data = data or load(description["data"]["name"])
        if data.sha256 != description["data"]["sha256"]:
            raise RunError(f"{folder} was trained on other images than this {data.name}: the hashes differ")
        if torch.__version__.split("+")[0] != description["versions"]["torch"].split("+")[0]:
            print(
                f"note: recorded with torch {description['versions']['torch']}, resumed with {torch.__version__}",
                file=sys.stderr,
            )
    except BaseException:
        recorder.writer.close()
        raise
    step = recorder.resumed.step if recorder.resumed else 0
    train_config = config.from_json(description["train"])
    return train(
        model, data, train_config, observers=[recorder, *observers], sampler=sampler, resume_from=(step, state)
    )


def _reopen(folder: Path) -> tuple[Recorder, dict[str, Tensor], nn.Module]:
    """(a recorder that goes on writing, the state to go on from, the network at that step)."""
    status = Run.open(folder).status
    if status == "finished" or status.startswith("diverged"):
        raise RunError(f"{folder} has {status}; there is nothing to resume")
    writer, commit = RunWriter.reopen(folder)
    try:
        run = Run.open(folder)
        recorder = Recorder(folder, config.from_json(run.description["record"]))
        recorder.writer = writer
        recorder.probe, recorder.probe_indices = run.probe, run.probe_indices
        recorder.gallery = run.description["gallery"]
        recorder.names = run.hook_points
        recorder.snapshots, recorder.resumed = commit.snapshots, commit
        recorder.state = run.state()
        return recorder, recorder.state, run.model()
    except BaseException:
        writer.close()
        raise


def _gallery(labels: np.ndarray, size: int) -> list[int]:
    """Probe images in the order: the first of each class, the second of each class, …"""
    turn = np.zeros(len(labels), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return [int(i) for i in np.lexsort((labels, turn))[:size]]


def _reduced(name: str, tensor: Tensor, gallery: list[int]) -> dict[str, np.ndarray]:
    """What is kept of one hook point: the activations, or of feature maps each channel's mean and maximum and a few whole ones."""
    if tensor.ndim != 4:
        return {name: tensor.numpy()}
    arrays = {f"{name}.mean": tensor.mean((2, 3)).numpy(), f"{name}.max": tensor.amax((2, 3)).numpy()}
    return arrays | ({f"{name}.maps": tensor[gallery].numpy()} if gallery else {})


def _specs(name: str, tensor: Tensor, snapshots: int, gallery: int) -> dict[str, ArraySpec]:
    """The arrays that `_reduced` fills, over all snapshots."""

    def spec(dims: tuple[str, ...], shape: tuple[int, ...], about: str) -> ArraySpec:
        return ArraySpec(("snapshot", *(axes.in_log(d, name) for d in dims)), (snapshots, *shape), about)

    shape, dims = tuple(tensor.shape), axes.of_activation(tuple(tensor.shape), name)
    if tensor.ndim != 4:
        return {name: spec(dims, shape, f"activation at {name} for each probe image")}
    specs = {
        f"{name}.{how}": spec(dims[:2], shape[:2], f"{how} over each map of {name} for each probe image")
        for how in ("mean", "max")
    }
    if gallery:
        dims = ("example_gallery", *dims[1:])
        specs[f"{name}.maps"] = spec(dims, (gallery, *shape[1:]), f"whole maps of {name} for the gallery")
    return specs


def _norm(tensor: Tensor | None) -> float:
    return math.nan if tensor is None else float(torch.linalg.vector_norm(tensor))
