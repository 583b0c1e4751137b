"""Two small networks on MNIST, recorded once, their explorer, and a browser with networking off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import neural_microscope as nm

SMALL = {"mlp": nm.MLPConfig(hidden=(32, 16)), "cnn": nm.CNNConfig(channels=(4, 8), head=(16,))}
WIDE = {"mlp": nm.MLPConfig(), "cnn": nm.CNNConfig(channels=(8, 16), head=(32,))}

Shared = Callable[[str, Callable[[Path], object]], Path]


def record(folder: Path, networks: dict[str, Any], mnist: Path, probe_size: int) -> None:
    whole = nm.data.load(str(mnist))
    part = nm.data.Dataset("mnist", whole.train.subset(slice(0, 12_000)), whole.test)
    for name, config in networks.items():
        model = nm.MLP(config) if isinstance(config, nm.MLPConfig) else nm.CNN(config)
        recorder = nm.Recorder(folder / name, nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=probe_size))
        nm.train(model, part, nm.TrainConfig(epochs=2, learning_rate=6e-3), observers=[recorder])


@pytest.fixture(scope="session")
def runs(shared: Shared, mnist_folder: Path) -> list[nm.Run]:
    folder = shared("explored", lambda folder: record(folder, SMALL, mnist_folder, probe_size=300))
    return [nm.Run.open(folder / name) for name in SMALL]


@pytest.fixture(scope="session")
def explorer(runs: list[nm.Run], shared: Shared) -> Path:
    return shared("explorer.html", lambda path: nm.explorer.write(runs, path, snapshots=4))


@pytest.fixture(scope="session")
def wide_runs(shared: Shared, mnist_folder: Path) -> list[nm.Run]:
    """Networks as wide, and as many images, as most readers will have."""
    folder = shared("explored wide", lambda folder: record(folder, WIDE, mnist_folder, probe_size=1000))
    return [nm.Run.open(folder / name) for name in WIDE]


@pytest.fixture(scope="session")
def wide_explorer(wide_runs: list[nm.Run], shared: Shared) -> Path:
    return shared("wide explorer.html", lambda path: nm.explorer.write(wide_runs, path, snapshots=4))


Opener = Callable[..., Page]


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> Iterator[list[Page]]:
    """Empty tabs of a window with networking off, to be used again: a page in a new window takes three times as long."""
    free: list[Page] = []
    yield free
    for tab in free:
        tab.context.close()


@pytest.fixture
def opened(browser: Browser, tabs: list[Page]) -> Iterator[Opener]:
    """Opens a page from disk with networking off; at the end it must have said nothing and asked for nothing."""
    mine: list[tuple[Page, bool]] = []
    said: list[str] = []

    def hear_of(what: Any) -> None:
        said.append(getattr(what, "text", None) or str(what))

    def hear_request(request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:", "about:")):
            said.append(request.url)

    heard = {"console": hear_of, "pageerror": hear_of, "request": hear_request}

    def open_(
        page: Path, state: str = "", *, width: int = 1280, height: int = 900, scheme: str = "light", **more: Any
    ) -> Page:
        again = tabs.pop() if tabs and not more else None
        tab = again or browser.new_context(offline=True, **more).new_page()
        mine.append((tab, not more))
        for event, hear in heard.items():
            tab.on(event, hear)
        tab.set_viewport_size({"width": width, "height": height})
        tab.emulate_media(color_scheme=scheme)
        tab.goto(page.as_uri() + state)
        tab.wait_for_selector("html[data-ready]", timeout=60_000)  # the policy allows no wait_for_function
        return tab

    yield open_
    for tab, again in mine:
        if again and not tab.is_closed():
            tab.mouse.move(0, 0)
            tab.goto("about:blank")
            for event, hear in heard.items():
                tab.remove_listener(event, hear)
            tabs.append(tab)
        else:
            tab.context.close()
    assert said == []
