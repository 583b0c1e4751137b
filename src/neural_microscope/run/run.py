"""Reading a run folder."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
import safetensors.torch
import xarray as xr
from safetensors import safe_open
from torch import Tensor, nn

from .. import axes, config
from ..data import ImageSet
from ..errors import RunError, unknown
from ..models import build
from . import commits
from .verify import Problem, verify

FORMAT_VERSION = 1
Reduction = Literal["mean", "max", "maps"]


class Run:
    """A recorded run, as far as it is committed. `Run.open` makes one; nothing here writes.

    ``description`` is run.json; ``probe`` the images whose activations were recorded; ``log`` those activations over time.
    """

    def __init__(
        self, folder: Path, record: commits.Record, description: dict[str, Any], probe: ImageSet, indices: np.ndarray
    ) -> None:
        self.folder = folder
        self.record = record
        self.description = description
        self.probe = probe
        self.probe_indices = indices
        """Where each probe image stands in the test set, [example]."""

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in ``folder``. A missing, altered or foreign file is a RunError that names it, never a wrong array."""
        folder = Path(folder)
        if not (folder / "run.json").is_file():
            raise RunError(f"{folder} is not a run folder: it has no run.json")
        record = commits.read(folder)
        if record.problem and not record.torn:
            raise RunError(f"{folder}/{commits.NAME} {record.problem}: `microscope verify {folder}` says more")
        files = record.files()
        description = json.loads(_checked(folder, "run.json", files))
        if description.get("format_version") != FORMAT_VERSION:
            raise RunError(
                f"{folder} has format version {description.get('format_version')}; this release reads {FORMAT_VERSION}"
            )
        missing = [path for path in files if not (folder / path).is_file()]
        if missing:
            raise RunError(
                f"{folder} has lost {missing[0]}" + (f" and {len(missing) - 1} more files" if len(missing) > 1 else "")
            )
        if not any(commit.kind == "snapshot" for commit in record.commits):
            raise RunError(f"{folder} holds no whole snapshot yet")
        arrays = safetensors.numpy.load(_checked(folder, "probe.safetensors", files))
        with safe_open(str(folder / "probe.safetensors"), framework="np") as file:
            about = file.metadata()
        probe = ImageSet(arrays["images"], arrays["labels"], int(about["classes"]), about["name"])
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
    def config(self) -> config.NetworkConfig:
        """The network's config; a module that was not built from one has none, which is a RunError."""
        values = dict(self.description["model"])
        if values["kind"] == "module":
            raise RunError(f"{self.folder} records a {values['class']}, which has no config here")
        values.pop("seed")
        return config.from_json(values)

    @property
    def train_config(self) -> config.TrainConfig:
        return config.from_json(self.description["train"])

    @cached_property
    def log(self) -> xr.Dataset:
        """Everything on the snapshot axis, lazily: activations and logits of the probe images, test scores."""
        data = xr.open_zarr(self.folder / "log.zarr", consolidated=True, chunks=None)
        data = data.set_coords([name for name in ("step", "epoch", "label", "test_index", "seconds") if name in data])
        return data.isel(snapshot=slice(0, self.last.snapshots))

    @cached_property
    def training(self) -> xr.Dataset:
        """Loss, accuracy and learning rate of every step done: [step]."""
        return self._steps("training", self.last.rows)

    @cached_property
    def gradients(self) -> xr.Dataset:
        """Gradient norms and update-to-weight ratios: [step, parameter], for every so many steps."""
        every = self.description["record"]["norms_every"]
        data = self._steps("gradients", -(-self.last.rows // every) if every else 0)
        return data.assign_coords(parameter=self.description["parameters"])

    def _steps(self, group: str, rows: int) -> xr.Dataset:
        data = xr.open_zarr(self.folder / "log.zarr", group=group, consolidated=False, chunks=None).load()
        prefix = f"tail.{group}."
        state = self.state() if self.last.step in self.steps and self.last.rows == self.last.step else {}
        tail = {name.removeprefix(prefix): t.numpy() for name, t in state.items() if name.startswith(prefix)}
        start = rows - len(next(iter(tail.values()))) if tail else rows
        for name, values in tail.items():  # rows whose chunk is not full yet lie in the state file
            data[name][start:rows] = values
        return data.isel(step=slice(0, rows)).set_coords("step")

    def state(self) -> dict[str, Tensor]:
        """What exact resume needs beside the weights, as of the last snapshot."""
        return safetensors.torch.load(
            _checked(self.folder, f"state/{self.last.step:08d}.safetensors", self.record.files())
        )

    def activations(self, hook_point: str, reduction: Reduction = "mean") -> xr.DataArray:
        """[snapshot, example, unit] of a dense layer; of a convolutional one [snapshot, example, channel] (each map's ``mean`` or
        ``max``) or, with ``maps``, [snapshot, example, channel, row, col] of the gallery's images. Labels are the coordinate ``label``.
        """
        if hook_point not in self.description["hook_points"]:
            raise unknown("recorded hook point", hook_point, self.hook_points)
        if hook_point in self.log:
            name = hook_point
        elif reduction in ("mean", "max", "maps"):
            name = f"{hook_point}.{reduction}"
        else:
            raise unknown("reduction", reduction, ["mean", "max", "maps"])
        array = self.log[name]
        array = array.rename(
            {
                dim: axes.from_log(str(dim), hook_point)
                for dim in array.dims
                if str(dim) != axes.from_log(str(dim), hook_point)
            }
        )
        if "example_gallery" in array.dims:
            array = array.rename(example_gallery="example")
            gallery = self.description["gallery"]
            array = array.assign_coords(label=("example", self.probe.labels[gallery]))
        return array.rename(hook_point)

    def weights(self, step: int | None = None) -> dict[str, Tensor]:
        """The state dict after ``step`` optimiser steps; None for the last snapshot. Checked against its hash."""
        step = self.steps[-1] if step is None else step
        if step not in self.steps:
            raise unknown("snapshot at step", step, map(str, self.steps))
        return safetensors.torch.load(_checked(self.folder, f"weights/{step:08d}.safetensors", self.record.files()))

    def model(self, step: int | None = None, into: nn.Module | None = None) -> Any:
        """The network after ``step`` steps, in evaluation mode; a recorded foreign module needs an instance to load ``into``."""
        if into is None:
            into = build(self.config, self.description["model"]["seed"])
        into.load_state_dict(self.weights(step))
        return into.eval()

    def verify(self) -> list[Problem]:
        """Every file that is not as it was written."""
        return verify(self.folder)


def _checked(folder: Path, path: str, files: dict[str, str]) -> bytes:
    """A file's bytes, if they are those that were committed."""
    if path not in files:
        raise RunError(f"{folder / path} is not in the commit record")
    try:
        content = (folder / path).read_bytes()
    except OSError as error:
        raise RunError(f"{folder / path} can't be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != files[path]:
        raise RunError(f"{folder / path} is not what was written: its SHA-256 has changed")
    return content
