"""What the network says: confusion between classes."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..errors import DataError


def confusion(logits: xr.DataArray) -> xr.Dataset:
    """How often each class (rows) was read as each class (columns): ``images`` [class, predicted], integers.

    ``logits`` [example, class] with the coordinate ``label``. Rows sum to the class's number of examples. Logits that
    are not all finite are a DataError: the highest of several NaN would silently be class 0.
    """
    if "label" not in logits.coords:
        raise DataError(
            "the logits have no coordinate 'label'; take them from a run or from nm.activations(model, an ImageSet)"
        )
    values = logits.transpose("example", "class").values
    if not np.isfinite(values).all():
        raise DataError("the logits are not all finite: this network has diverged")
    classes = values.shape[1]
    count = np.zeros((classes, classes), int)
    np.add.at(count, (logits["label"].values, values.argmax(1)), 1)
    right = int(np.trace(count))
    return xr.Dataset(
        {"images": (("class", "predicted"), count)},
        attrs={"n_examples": int(count.sum()), "n_right": right, "accuracy": right / int(count.sum())},
    )
