"""Runs that take a tenth of a second: made-up images, a small network, and how to compare two run folders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

import neural_microscope as nm
from neural_microscope.data import Dataset, ImageSet
from neural_microscope.training import History

CLOCKS = ("commits.jsonl", "run.json", "run.lock")
"""Files that tell the time, or nothing."""


def images(count: int, seed: int, classes: int = 3, side: int = 4) -> ImageSet:
    """Noise with one bright row for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    pixels = rng.integers(0, 120, (count, side, side))
    pixels[np.arange(count), labels] += 100
    return ImageSet(pixels.astype(np.uint8), labels.astype(np.int64), classes, "made up")


def data(train: int = 90, test: int = 30) -> Dataset:
    return Dataset("made up", images(train, 0), images(test, 1))


def mlp(seed: int = 0, **settings: Any) -> nm.MLP:
    return nm.MLP(nm.MLPConfig(**{"image_shape": (4, 4), "classes": 3, "hidden": (5,), **settings}), seed=seed)


def train(
    folder: Path | None, *, model: Any = None, observers: Any = (), record: Any = None, **settings: Any
) -> History:
    """18 steps in 2 epochs with Adam and dropout, recorded at steps 0, 1, 2, 4, 8, 9, 16, 18, in the folder if there is one."""
    config = nm.TrainConfig(**{"epochs": 2, "batch_size": 10, "learning_rate": 0.01, "seed": 3, **settings})
    recorders = [nm.Recorder(folder, record or RECORD)] if folder is not None else []
    model = model or mlp(dropout=0.2)
    return nm.train(model, data(), config, observers=[*recorders, *observers])


RECORD = nm.RecordConfig(per_octave=1, probe_size=12, norms_every=4)


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a run that does not depend on the clock."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    timeless = {name: path for name, path in found.items() if name not in CLOCKS and "/seconds/c" not in name}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in timeless.items()}
