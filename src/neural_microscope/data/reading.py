"""Images and labels as they came, and the readings of them that the caller decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .imageset import Task

Label = str | int | Literal[False] | None
"""Name or number of the column of labels; None: by its usual name, or the first; False: there are no labels."""


@dataclass(frozen=True)
class Reading:
    """The readings of arrays that the caller decides; see `convert`."""

    axes: str = ""
    shape: tuple[int, int] | None = None
    black: float | None = None
    white: float | None = None
    first_label: int | None = None
    class_names: tuple[str, ...] = ()
    transpose: bool | None = None
    task: Task | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of a table that hold no pixels: that of labels, if there is one, and those of targets."""

    label: Label = None
    targets: tuple[str | int, ...] = ()

    @property
    def unlabeled(self) -> bool:
        """True where the caller said that there are no labels."""
        return self.label is False


@dataclass
class Part:
    """Images, labels and targets as they came; None where there are none."""

    images: Any
    labels: Any
    class_names: tuple[str, ...] = ()
    changes: list[str] = field(default_factory=list)
    targets: Any = None


def ask(what: str, readings: Sequence[tuple[str, str]]) -> DataError:
    ways = " or ".join(f"{code} ({meaning})" if meaning else code for code, meaning in readings)
    return DataError(f"{what} can be read in more than one way: pass {ways}")


def array_of(value: Any, what: str) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(f"{what} are not all of one shape") from None
    if what == "images" and (array.dtype.kind not in "biuf" or array.ndim < 2 or not array.size):
        raise DataError(f"images are numbers along two axes at least; {array.dtype} {list(array.shape)} came")
    return array
