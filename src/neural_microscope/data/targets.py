"""The numbers that a model is to give for each image, from columns of a table or the second of a pair of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .reading import Part, Reading, array_of, ask

TARGETED = ("regression", "multi-label")
"""Tasks whose targets are numbers for each example."""


def with_targets(parts: Sequence[Part], reading: Reading) -> list[Part]:
    """The parts with targets as the task asks: those of a regression or multi-label task may have come as labels."""
    moved = reading.task in TARGETED and all(part.targets is None for part in parts)
    made = [Part(one.images, None, (), one.changes, one.labels) if moved else one for one in parts]
    for what in ("labels", "targets"):
        if len({getattr(part, what) is None for part in made}) > 1:
            raise DataError(f"one part has {what} and the other has none")
    return made


def targets_of(parts: Sequence[Part], reading: Reading, changes: list[str]) -> list[Tensor | None]:
    """float32 [example] or [example, target] of each part; None where there are none."""
    if parts[0].targets is None:
        return [None] * len(parts)
    arrays = [_numbers(array_of(part.targets, "targets")) for part in parts]
    if len({array.shape[1:] for array in arrays}) > 1:
        raise DataError(f"the targets of the parts have the shapes {' and '.join(str([*a.shape]) for a in arrays)}")
    binary = all(bool(np.isin(array, (0, 1)).all()) for array in arrays)
    if binary and reading.task is None:
        raise ask("targets that are all 0 or 1", [("task='multi-label'", ""), ("task='regression'", "")])
    if reading.task == "multi-label":
        arrays = [array.reshape(len(array), -1) if array.ndim == 1 else array for array in arrays]
    count = arrays[0].shape[1] if arrays[0].ndim > 1 else 1
    changes.append(
        f"{count:,} numbers for each image are targets" if count > 1 else "one number for each image is its target"
    )
    return [torch.from_numpy(array) for array in arrays]


def _numbers(array: np.ndarray) -> np.ndarray:
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"targets are numbers, one row for each image: {error}") from None
    if array.ndim not in (1, 2) or array.dtype.kind == "c" or not array.size:
        raise DataError(f"targets are numbers [example] or [example, target]; {array.dtype} {list(array.shape)} came")
    bad = np.flatnonzero(~np.isfinite(numbers.reshape(len(numbers), -1)).all(1))
    if len(bad):
        raise DataError(
            f"{len(bad)} targets are NaN or infinite, the first is of example {bad[0]}: leave such images out"
        )
    return numbers.astype(np.float32)
