"""Recorded runs with the data they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from ..config import TrainConfig
from ..data import Dataset
from ..errors import DataError, RunError
from ..recording import recorded_data
from ..run import Run
from ..training import noisy_labels


def runs_of(run: Run | Sequence[Run]) -> list[Run]:
    """The runs, which must be of one config, or an error that says what no influence can be estimated for."""
    runs = [run] if isinstance(run, Run) else list(run)
    if not runs:
        raise DataError("there is no run; give one, or several that differ in their seeds only")
    for one in runs:
        if not isinstance(one.train_config, TrainConfig):
            raise RunError(f"{one.folder} records a training loop of the caller's own, which nothing here can repeat")
        if one.task != "classification":
            raise RunError(f"{one.folder} has the task {one.task}; influence is of networks that classify")
        if one.description["sampler"] in ("custom", "batches"):
            raise RunError(f"{one.folder} was trained on batches of the caller's own, whose order is not known here")
        if (one.config, _settings(one), one.description["data"]["sha256"]) != (
            runs[0].config,
            _settings(runs[0]),
            runs[0].description["data"]["sha256"],
        ):
            raise DataError(
                f"{one.folder} and {runs[0].folder} differ in more than their seeds; ask about each by itself"
            )
    return runs


def settings(run: Run) -> TrainConfig:
    """The settings of a run's training."""
    found = run.train_config
    assert isinstance(found, TrainConfig)
    return found


def _settings(run: Run) -> TrainConfig:
    return replace(settings(run), seed=0)


def data_of(run: Run, data: Dataset | None) -> Dataset:
    """The data that a run was trained on: those given, if they are, or those that `load` knows by the recorded name."""
    return recorded_data(run.folder, run.description, data)


def labels_of(run: Run, data: Dataset) -> Tensor:
    """The labels that the images had in training, int64 [example]."""
    return noisy_labels(data.train, settings(run))
