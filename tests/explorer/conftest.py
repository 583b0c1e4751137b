"""Two small networks on MNIST, recorded once, their explorer, and a browser with networking off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import neural_microscope as nm

RECORD = nm.RecordConfig(per_octave=1, every_epoch=False)


@pytest.fixture(scope="session")
def digits(mnist_folder: Path) -> Any:
    whole = nm.data.load(str(mnist_folder))
    return nm.data.Dataset("mnist", whole.train.subset(slice(0, 12_000)), whole.test)


@pytest.fixture(scope="session")
def runs(digits: Any, tmp_path_factory: pytest.TempPathFactory) -> list[nm.Run]:
    folder = tmp_path_factory.mktemp("explored")
    training = nm.TrainConfig(epochs=2, learning_rate=3e-3)
    models = {"mlp": nm.MLP(), "cnn": nm.CNN(nm.CNNConfig(channels=(8, 16), head=(32,)))}
    for name, model in models.items():
        nm.train(model, digits, training, observers=[nm.Recorder(folder / name, RECORD)])
    return [nm.Run.open(folder / name) for name in models]


@pytest.fixture(scope="session")
def explorer(runs: list[nm.Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nm.explorer.write(runs, tmp_path_factory.mktemp("page") / "explorer.html", snapshots=4)


Opener = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Opens a page from disk with networking off; at the end it must have said nothing and asked for nothing."""
    contexts, said = [], list[str]()

    def open_(
        page: Path, state: str = "", *, width: int = 1280, height: int = 900, scheme: str = "light", **more: Any
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=True, **more
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else said.append(request.url),
        )
        tab.goto(page.as_uri() + state)
        tab.wait_for_selector("html[data-ready]", timeout=60_000)  # the policy allows no wait_for_function
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert said == []
