"""One small recorded MLP and CNN on the bundled digits, and the default analysis of each."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neural_microscope as nm
from neural_microscope.analysis.look import FirstLook, first_look

MODELS: dict[str, Callable[[], Any]] = {
    "mlp": lambda: nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16, 12))),
    "cnn": lambda: nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 6), head=(10,))),
}


def look_at_all(folder: Path) -> None:
    """Keeps the looks beside their runs."""
    looks = []
    for name, make in MODELS.items():
        recorder = nm.Recorder(folder / name)
        nm.train(make(), nm.data.load("digits"), nm.TrainConfig(epochs=4, learning_rate=5e-3), observers=[recorder])
        looks.append(first_look(nm.Run.open(folder / name)))
    (folder / "looks.pickle").write_bytes(pickle.dumps(looks))


def looked_at(shared: Callable[[str, Callable[[Path], object]], Path]) -> list[FirstLook]:
    """The looks, which are made once for all tests."""
    found: list[FirstLook] = pickle.loads((shared("reported", look_at_all) / "looks.pickle").read_bytes())
    return found
