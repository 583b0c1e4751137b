"""Two small recorded MLPs and CNNs on the bundled digits, and the default analysis of each."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neural_microscope as nm
from neural_microscope.analysis.look import FirstLook, first_look

Shared = Callable[[str, Callable[[Path], object]], Path]

REPORTED: dict[str, Any] = {
    "mlp": nm.MLPConfig(image_shape=(8, 8), hidden=(16, 12)),
    "cnn": nm.CNNConfig(image_shape=(8, 8), channels=(4, 6), head=(10,)),
}
CLAIMED: dict[str, Any] = {
    "mlp": nm.MLPConfig(image_shape=(8, 8), hidden=(24, 6)),
    "cnn": nm.CNNConfig(image_shape=(8, 8), channels=(4,), head=(8,)),
}


def look_at_all(folder: Path, configs: dict[str, Any], training: nm.TrainConfig, record: nm.RecordConfig) -> None:
    """Keeps the looks beside their runs."""
    looks = []
    for name, config in configs.items():
        model, recorder = nm.models.build(config, 0), nm.Recorder(folder / name, record)
        nm.train(model, nm.data.load("digits"), training, observers=[recorder])
        looks.append(first_look(nm.Run.open(folder / name)))
    (folder / "looks.pickle").write_bytes(pickle.dumps(looks))


def looks_in(folder: Path) -> list[FirstLook]:
    found: list[FirstLook] = pickle.loads((folder / "looks.pickle").read_bytes())
    return found


def looked_at(shared: Shared) -> list[FirstLook]:
    """The looks, which are made once for all tests."""
    training, record = nm.TrainConfig(epochs=4, learning_rate=5e-3), nm.RecordConfig()
    return looks_in(shared("reported", lambda folder: look_at_all(folder, REPORTED, training, record)))


def claimed(shared: Shared) -> Path:
    """The folder of other runs, with fewer snapshots, and of the looks at them."""
    training, record = nm.TrainConfig(epochs=6, learning_rate=3e-3), nm.RecordConfig(per_octave=1, every_epoch=False)
    return shared("claimed", lambda folder: look_at_all(folder, CLAIMED, training, record))
