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
    """A scikit-learn transformer from images to a layer's activations; it learns nothing.

    Args:
        model: Any torch module.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        image_shape: (rows, columns) of a flat image; None: flat images are square.

    >>> from sklearn.decomposition import PCA
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(nm.interop.Activations(model, "layers.1.hook_post"), PCA(2))
    >>> pipeline.fit_transform(images[:20].reshape(20, -1)).shape
    (20, 2)
    """

    @door
    def __init__(self, model: nn.Module, hook_point: str, image_shape: tuple[int, int] | None = None) -> None:
        self.model, self.hook_point, self.image_shape = model, hook_point, image_shape

    @door
    def fit(self, X: Any, y: Any = None) -> Activations:
        """The transformer itself, which notes the shape of an image.

        Args:
            X: Images, as in `transform`.
            y: Ignored.
        """
        self.n_features_in_ = int(np.prod(np.asarray(X).shape[1:]))
        return self

    @door
    def transform(self, X: Any) -> np.ndarray:
        """Activations, float32 [example, feature], the positions of a feature map laid out one after the other.

        Args:
            X: Images [example, row, col] or, as scikit-learn has them, [example, pixel]: floats in 0..1 or whole
                numbers in 0..255.

        Raises:
            DataError: Images of another form.
        """
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
