"""Reading a run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import safetensors.numpy
import safetensors.torch
import xarray as xr
from torch import Tensor, nn

from .. import axes
from ..config import NetworkConfig, TrainConfig, from_json
from ..data import Dataset, ImageSet
from ..errors import RunError, unknown
from ..models import build
from . import commits
from .verify import Problem, checked, difference, present, verify

FORMAT_VERSION = 1
Reduction = Literal["mean", "max", "maps"]


@dataclass(eq=False, repr=False)
class Run:
    """A recorded run, as far as it is committed. `Run.open` makes one; nothing here writes.

    ``description`` is run.json; ``probe`` the images whose activations were recorded; ``log`` those activations over time.
    """

    folder: Path
    record: commits.Record
    description: dict[str, Any]
    probe: ImageSet
    probe_indices: np.ndarray
    """Where each probe image stands in the test set, [example]."""

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in ``folder``. A missing, altered or foreign file is a RunError that names it, never a wrong array."""
        folder = Path(folder).absolute()
        if not (folder / "run.json").is_file():
            raise RunError(f"{folder} is not a run folder: it has no run.json")
        record = commits.read(folder)
        if record.fault in ("tail", "damage"):
            hint = "; `microscope resume` redoes the last snapshot" if record.fault == "tail" else ""
            raise RunError(
                f"{folder / commits.NAME}: {record.problem}. `microscope verify {folder}` says what is whole{hint}"
            )
        return cls.at(folder, record)

    @classmethod
    def at(cls, folder: Path, record: commits.Record) -> Run:
        """The run as it was when ``record`` was its commit record."""
        if not record.snapshots:
            raise RunError(f"{folder} holds no whole snapshot yet, says its {commits.NAME}")
        there = present(folder)
        description = json.loads(checked(folder, "run.json", record))
        if description.get("format_version") != FORMAT_VERSION:
            raise RunError(
                f"{folder} has format version {description.get('format_version')}; this release reads {FORMAT_VERSION}"
            )
        # States are left out: a run that is being written removes them, and only resume needs them all.
        missing = [path for path in record.files() if not path.startswith("state/") and path not in there]
        if missing:
            more = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
            raise RunError(f"{folder} has lost {missing[0]}{more}")
        content = checked(folder, "probe.safetensors", record)
        arrays = safetensors.numpy.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        probe = ImageSet(arrays["images"], arrays["labels"], **json.loads(header["__metadata__"]["probe"]))
        return cls(folder, record, description, probe, arrays["indices"])

    def __repr__(self) -> str:
        shown = f"{len(self.steps)} snapshots to step {self.steps[-1]} of {self.description['total_steps']}"
        return f"Run({str(self.folder)!r}: {self.description['model']['kind']}, {shown}, {self.status})"

    @property
    def last(self) -> commits.Commit:
        return self.record.commits[-1]

    @property
    def status(self) -> str:
        """``running`` (or killed), ``finished``, ``diverged at step k``, ``interrupted at step k``, ``failed at step k: …``."""
        return self.last.status

    @property
    def steps(self) -> list[int]:
        """The step of each committed snapshot."""
        return self.description["schedule"][: self.last.snapshots]

    @property
    def hook_points(self) -> list[str]:
        """The recorded hook points."""
        return list(self.description["hook_points"])

    @property
    def config(self) -> NetworkConfig:
        """The network's config; a module that was not built from one has none, which is a RunError."""
        values = dict(self.description["model"])
        if values["kind"] == "module":
            raise RunError(f"{self.folder} records a {values['class']}, which has no config here")
        values.pop("seed")
        return from_json(values)

    @property
    def train_config(self) -> TrainConfig:
        return from_json(self.description["train"])

    def made_from(self, network: NetworkConfig, training: TrainConfig, data: Dataset) -> bool:
        """Whether it is, or will be, just what these make."""
        return (self.train_config, self.description["data"]["sha256"]) == (
            training,
            data.sha256,
        ) and self.config == network

    @cached_property
    def log(self) -> xr.Dataset:
        """Everything on the snapshot axis, lazily: activations and logits of the probe images, test scores.

        Each file it is read from is compared with its hash first; one that was altered is a RunError that names it.
        """
        self._check("log.zarr/", but=("log.zarr/training/", "log.zarr/gradients/"))
        data = xr.open_zarr(self.folder / "log.zarr", consolidated=True, chunks=None)
        data = data.set_coords(["step", "epoch", "label", "test_index", "seconds"])
        return data.isel(snapshot=slice(0, self.last.snapshots))

    @cached_property
    def training(self) -> xr.Dataset:
        """Loss, accuracy and learning rate of every step done: [step]."""
        return self._steps("training", self.last.rows)

    @cached_property
    def gradients(self) -> xr.Dataset:
        """Gradient norms and update-to-weight ratios: [step, parameter], for every so many steps.

        A run that was recorded with ``norms_every=0`` has none, which is a RunError.
        """
        every = self.description["record"]["norms_every"]
        if not every:
            raise RunError(f"{self.folder} has no gradient norms: it was recorded with RecordConfig(norms_every=0)")
        updates = self.last.rows - self.status.startswith("diverged")  # the step that diverged has a loss, no update
        data = self._steps("gradients", -(-updates // every))
        return data.assign_coords(parameter=self.description["parameters"])

    def _steps(self, group: str, rows: int) -> xr.Dataset:
        self._check(f"log.zarr/{group}/")
        data = xr.open_zarr(self.folder / "log.zarr", group=group, consolidated=False, chunks=None).load()
        ended = self.status == "finished" or self.status.startswith("diverged")
        prefix = f"tail.{group}."
        for name, tensor in ({} if ended else self.state()).items():
            if name.startswith(prefix):  # rows whose chunk is not full yet lie in the state file
                data[name.removeprefix(prefix)][rows - len(tensor) : rows] = tensor.numpy()
        return data.isel(step=slice(0, rows)).set_coords("step")

    def _check(self, start: str, but: tuple[str, ...] = ()) -> None:
        for path, expected in self.record.files().items():
            if path.startswith(start) and not path.startswith(but or "-"):
                what = difference(self.folder, path, expected)
                if what:
                    raise RunError(f"{self.folder / path} is {what}")

    def state(self) -> dict[str, Tensor]:
        """What exact resume needs beside the weights, as of the last snapshot."""
        return safetensors.torch.load(checked(self.folder, f"state/{self.last.step:08d}.safetensors", self.record))

    def activations(self, hook_point: str, reduction: Reduction = "mean") -> xr.DataArray:
        """[snapshot, example, unit] of a dense layer; of a convolutional one [snapshot, example, channel] (each map's ``mean`` or
        ``max``) or, with ``maps``, [snapshot, example, channel, row, col] of the gallery's images. Labels are the coordinate ``label``.
        """
        if hook_point not in self.description["hook_points"]:
            raise unknown("recorded hook point", hook_point, self.hook_points)
        if reduction not in get_args(Reduction):
            raise unknown("reduction", reduction, get_args(Reduction))
        name = hook_point if hook_point in self.log else f"{hook_point}.{reduction}"
        if name not in self.log:
            raise RunError(
                f"{self.folder} has no maps of {hook_point}: it was recorded with RecordConfig(gallery_size=0)"
            )
        array = self.log[name]
        names = {str(dim): axes.from_log(str(dim), hook_point) for dim in array.dims}
        array = array.rename({old: new for old, new in names.items() if old != new})
        if "example_gallery" in array.dims:
            labels = self.probe.labels[self.description["gallery"]]
            array = array.rename(example_gallery="example").assign_coords(label=("example", labels))
        return array.rename(hook_point)

    def weights(self, step: int | None = None) -> dict[str, Tensor]:
        """The state dict after ``step`` optimiser steps; None for the last snapshot. Checked against its hash."""
        step = self.steps[-1] if step is None else step
        if step not in self.steps:
            raise unknown("snapshot at step", step, map(str, self.steps))
        return safetensors.torch.load(checked(self.folder, f"weights/{step:08d}.safetensors", self.record))

    def model(self, step: int | None = None, into: nn.Module | None = None) -> Any:
        """The network after ``step`` steps, in evaluation mode; a recorded foreign module needs an instance to load ``into``."""
        if into is None:
            into = build(self.config, self.description["model"]["seed"])
        into.load_state_dict(self.weights(step))
        return into.eval()

    def verify(self) -> list[Problem]:
        """Every file that is not as it was written."""
        return verify(self.folder)
