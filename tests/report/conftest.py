"""One small recorded MLP and CNN on the bundled digits, and the page about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from looked_at import looked_at
from neural_microscope.analysis.look import FirstLook
from neural_microscope.report import compose

Shared = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def looks(shared: Shared) -> list[FirstLook]:
    return looked_at(shared)


@pytest.fixture(scope="session")
def page(looks: list[FirstLook], shared: Shared) -> Path:
    return shared("report.html", lambda path: compose(looks, path))
