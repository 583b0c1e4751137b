"""One small recorded MLP and CNN on the bundled digits, and the page about them."""

from __future__ import annotations

from pathlib import Path

import pytest

import neural_microscope as nm
from neural_microscope.analysis.look import FirstLook, first_look
from neural_microscope.report import compose


@pytest.fixture(scope="session")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[FirstLook]:
    folder = tmp_path_factory.mktemp("runs")
    digits = nm.data.load("digits")
    models = {
        "mlp": nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16, 12))),
        "cnn": nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 6), head=(10,))),
    }
    for name, model in models.items():
        nm.train(model, digits, nm.TrainConfig(epochs=4, learning_rate=5e-3), observers=[nm.Recorder(folder / name)])
    return [first_look(nm.Run.open(folder / name)) for name in models]


@pytest.fixture(scope="session")
def page(looks: list[FirstLook], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compose(looks, tmp_path_factory.mktemp("page") / "report.html")
