"""The network of the notebooks, trained once a session, by the first block of docs/original.md."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from original import run_block


@pytest.fixture(scope="session")
def network(mnist_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names that the block makes: data, model, history, run and the means to train another."""
    names: dict[str, Any] = {}
    with contextlib.chdir(tmp_path_factory.mktemp("original")):
        run_block(0, names)
    return names
