"""Fixtures that more than one test folder uses."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

IN_CI = os.environ.get("CI", "").lower() == "true"


def _absent(what: str) -> None:
    """In CI nothing that matters may skip: it fails instead."""
    if IN_CI:
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"no {what} here")


def pytest_collection_finish() -> None:
    """Modules and tests that are loaded by now stay to the end: the garbage collector need not go through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """``shared(name, make)``: a path that all workers of this session share. Whoever asks first has ``make(path)`` make it, the
    others wait for that; nobody may change what lies there.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)

    def of(name: str, make: Callable[[Path], object]) -> Path:
        path, made = folder / name, folder / f"{name}.made"
        with FileLock(folder / f"{name}.lock"):
            if not made.exists():
                make(path)
                made.touch()
        return path

    return of


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report has no figures."""
    from undrawn import draw_nothing

    draw_nothing(monkeypatch)


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of a report are made, and not drawn."""
    from undrawn import save_nothing

    save_nothing(monkeypatch)


@pytest.fixture
def looked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was opened once is looked at once, however many pages and calls ask for its measures."""
    from neural_microscope.analysis.look import looks

    monkeypatch.setattr(looks, "begun", functools.cache(looks.begun))


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder that holds the four MNIST files."""
    root = os.environ.get("NEURAL_MICROSCOPE_DATA")
    folder = Path(root) / "mnist" if root else None
    if folder is None or not (folder / "train-images-idx3-ubyte.gz").exists():
        _absent("MNIST (set NEURAL_MICROSCOPE_DATA to the folder that holds mnist/)")
    assert folder is not None
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        _absent("Chromium (install your system's package)")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def firefox() -> list[str]:
    """The command that drives an installed Firefox through a page, whose path and steps are still to be given: web/drive.mjs."""
    path, web = shutil.which("firefox-esr") or shutil.which("firefox"), Path(__file__).parents[1] / "web"
    node = shutil.which("node", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if path is None or node is None:
        _absent("Firefox (install your system's package) or Node.js")
    if not (web / "node_modules").is_dir():
        _absent("web/node_modules (make web)")
    return [str(node), str(web / "drive.mjs"), "firefox", str(path)]


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """One Chromium for all tests of a worker: Playwright starts once in a process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
        yield browser
        browser.close()
