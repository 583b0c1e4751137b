"""Logits and labels, checked."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError


def checked(logits: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """(logits [snapshot, example, class] in float64, one snapshot if there is no such axis; labels [example])."""
    labels = named.labels(logits)
    over_time = "snapshot" in logits.dims
    values = named.values(logits, *(["snapshot"] if over_time else []), "example", "class")
    values = values if over_time else values[None]
    classes = values.shape[2]
    if classes < 2 or labels.max() >= classes:
        raise DataError(
            f"the logits have {classes} classes; the labels go up to {labels.max()}. Both must belong to one task"
        )
    return values, labels
