"""Activations as a step of a scikit-learn pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from torch import nn

from ..doors import door
from ..errors import DataError
from ..hooks import activations


class Activations(TransformerMixin, BaseEstimator):
    """Turns images into a layer's activations: ``make_pipeline(Activations(model, "layers.1.hook_post"), PCA(2))``.

    Takes [example, row, col] or, as scikit-learn has it, [example, pixel], floats in 0..1 or whole numbers in 0..255; gives float32
    [example, feature], maps laid out one after the other. It learns nothing: ``fit`` only notes the image's shape. With
    ``image_shape`` None, flat images are taken to be square. Errors: DataError for images of another form.
    """

    @door
    def __init__(self, model: nn.Module, hook_point: str, image_shape: tuple[int, int] | None = None) -> None:
        self.model, self.hook_point, self.image_shape = model, hook_point, image_shape

    @door
    def fit(self, X: Any, y: Any = None) -> Activations:
        self.n_features_in_ = int(np.prod(np.asarray(X).shape[1:]))
        return self

    @door
    def transform(self, X: Any) -> np.ndarray:
        images = torch.from_numpy(self._images(np.asarray(X)))[:, None]
        found = activations(self.model, images, [self.hook_point])[self.hook_point]
        return np.asarray(found.values, np.float32).reshape(len(images), -1)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def _images(self, given: np.ndarray) -> np.ndarray:
        if given.ndim == 2:
            side = round(given.shape[1] ** 0.5)
            shape = self.image_shape or (side, side)
            if shape[0] * shape[1] != given.shape[1]:
                raise DataError(f"{given.shape[1]} pixels are not a square; give image_shape=(rows, cols)")
            given = given.reshape(-1, *shape)
        if given.ndim != 3:
            raise DataError(f"images are [example, row, col] or [example, pixel]; got {list(given.shape)}")
        if given.dtype.kind in "iu" and given.size and not 0 <= given.min() <= given.max() <= 255:
            raise DataError(
                f"images are floats in 0..1 or whole numbers in 0..255; {given.dtype} from {given.min()} to {given.max()} came: make "
                "them floats, 0 black and 1 white"
            )
        return (given / 255 if given.dtype.kind in "iu" else given).astype(np.float32)
