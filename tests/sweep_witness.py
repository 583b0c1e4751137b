"""Preloaded by a Dask worker: notes each run that the worker has brought to its place, in the file that WITNESS names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from neural_microscope.sweep import work


def dask_setup(worker: Any) -> None:
    def noting(folder: Path, system: Any, root: str) -> None:
        uploaded(folder, system, root)
        with Path(os.environ["WITNESS"]).open("a") as file:
            file.write(f"{folder.name}\n")

    uploaded = work.upload
    work.upload = noting
