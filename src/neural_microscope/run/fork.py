"""A branch of a run: a new run folder that holds the beginning of the run and stands at a snapshot, to be continued otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..doors import door
from ..errors import RunError
from .run import Run, layout_of
from .store import Recorded
from .writer import RunWriter


@dataclass(frozen=True)
class Widened:
    """A run's network with one more unit at the end of a hidden layer, dead: all its weights are 0."""

    layer: str
    """The layer: ``layers.1``."""
    map: str
    """Its map: ``layers.1.linear``."""
    following: str
    """The map that reads it: ``output``."""
    columns: int
    """The weights that read a unit of it there: more than 1 for a flattened map."""

    def tensor(self, name: str, tensor: Tensor) -> Tensor:
        """A parameter, or a tensor of the optimizer for it."""
        if not tensor.ndim or name.rpartition(".")[0] not in (self.map, self.following):
            return tensor
        if name.startswith(f"{self.map}."):
            return torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])
        return (
            torch.cat([tensor, tensor.new_zeros(len(tensor), self.columns, *tensor.shape[2:])], 1)
            if tensor.ndim > 1
            else tensor
        )

    def state(self, state: Mapping[str, Tensor], parameters: Sequence[str]) -> dict[str, Tensor]:
        """A `Training.state`; ``parameters`` are the names of the trained parameters."""
        owners = {name: parameters[int(name.split(".")[1])] for name in state if name.startswith("optimizer.")}
        return {name: self.tensor(owners.get(name, ""), tensor) for name, tensor in state.items()}

    def shape(self, hook_point: str, shape: Sequence[int]) -> list[int]:
        """The shape at a hook point for one image."""
        return [shape[0] + 1, *shape[1:]] if hook_point.startswith(f"{self.layer}.") else list(shape)

    def values(self, place: str, values: np.ndarray) -> np.ndarray:
        """Recorded values [example, unit, …] at a place of the log: of the new unit 0."""
        if not place.startswith(f"{self.layer}."):
            return values
        return np.concatenate([values, np.zeros_like(values[:, :1])], 1)


@door
def fork(run: Run, folder: str | Path, at: int, about: Mapping[str, Any], widened: Widened | None = None) -> None:
    """Writes a run folder that stands at a snapshot of ``run``, as if its training had been interrupted there.

    Args:
        run: The run.
        folder: Folder to create.
        at: Step of the snapshot, whose state must be kept.
        about: Content of its run.json, with a schedule whose steps up to ``at`` are snapshots of the run.
        widened: The wider network that it holds, if it does.

    Raises:
        RunError: No state is kept at that step; a folder that holds anything.
    """
    kept = [step for step in about["schedule"] if step <= at]
    states = {step: _state(run, step, about["parameters"], widened) for step in kept}
    if at not in states:
        raise RunError(f"the schedule of {folder} lacks the step {at} of its fork")
    layout = layout_of(about, run.probe, run.probe_indices)
    groups = layout.groups(run.like(about["hook_points"]))
    writer = RunWriter.create(folder, about, run.probe, run.probe_indices, groups, layout.created())
    try:
        _copy(run, writer, about, states, widened)
    finally:
        writer.close()


def _state(run: Run, step: int, parameters: Sequence[str], widened: Widened | None) -> dict[str, Tensor]:
    """The state at a snapshot, without the rows of the run's own tables."""
    state = {name: tensor for name, tensor in run.state(step).items() if not name.startswith("tail.")}
    return state if widened is None else widened.state(state, parameters)


def _copy(
    run: Run,
    writer: RunWriter,
    about: Mapping[str, Any],
    states: Mapping[int, Mapping[str, Tensor]],
    widened: Widened | None,
) -> None:
    """Writes the snapshots of these steps, with the rows up to each."""
    writer.keep_states = about["record"]["keep_states"]
    every = about["record"]["norms_every"]
    tables = {"training": (run.training, lambda step: step)}
    if every:
        tables["gradients"] = (run.gradients, lambda step: -(-step // every))
    rows = {name: writer.rows(name, [str(column) for column in held.data_vars]) for name, (held, _) in tables.items()}
    columns = {name: {str(c): held[c].values.tolist() for c in held.data_vars} for name, (held, _) in tables.items()}
    arrays = {
        name: Recorded(run.folder, run.record, array, len(run.steps))
        for name, array in run.arrays.items()
        if name in writer.arrays and array.spec.dims[0] == "snapshot" and not array.spec.whole
    }
    for index, (step, state) in enumerate(states.items()):
        for name, (_, count) in tables.items():
            for row in range(rows[name].count, count(step)):
                rows[name].add({column: values[row] for column, values in columns[name].items()})
        number = run.steps.index(step)
        taken = {n: stored.read((number, *[slice(None)] * (len(stored.shape) - 1))) for n, stored in arrays.items()}
        weights = run.weights(step)
        if widened is not None:
            taken = {name: widened.values(name, values) for name, values in taken.items()}
            weights = {name: widened.tensor(name, tensor) for name, tensor in weights.items()}
        tails = {name: tail for table in rows.values() for name, tail in table.tail().items()}
        writer.snapshot(index, step, step, taken, weights, {**state, **tails}, "running")
