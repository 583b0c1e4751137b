"""One small recorded MLP and CNN on the bundled digits, and the page about them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import neural_microscope as nm
from neural_microscope.analysis.look import FirstLook, first_look
from neural_microscope.report import compose, html

Shared = Callable[[str, Callable[[Path], object]], Path]
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


@pytest.fixture(scope="session")
def looks(shared: Shared) -> list[FirstLook]:
    found: list[FirstLook] = pickle.loads((shared("reported", look_at_all) / "looks.pickle").read_bytes())
    return found


@pytest.fixture(scope="session")
def page(looks: list[FirstLook], shared: Shared) -> Path:
    return shared("report.html", lambda path: compose(looks, path))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and described, and not drawn: for tests of the words around them, since drawing takes most of a page's time."""
    monkeypatch.setattr(html, "as_svg", lambda plot: "<svg></svg>")
    monkeypatch.setattr(html, "_encode", lambda plot: ("", 1, 1))
