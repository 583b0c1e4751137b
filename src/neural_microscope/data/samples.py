"""Data sets that give one (image, label) at a time, such as torch's, torchvision's or Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError
from .reading import Part

IMAGES = ("image", "img", "pixel_values", "images", "x")
LABELS = ("label", "labels", "fine_label", "target", "class", "y")


def is_such(source: Any) -> bool:
    """True for an object with a length whose items are taken by number."""
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def read_samples(source: Any, transposed: bool | None = None, unlabeled: bool = False) -> Part:
    """All images of ``source`` and, unless it is ``unlabeled``, their labels and the names of the classes it has."""
    if type(source).__name__ == "EMNIST" and transposed is None:
        raise DataError(
            "EMNIST's files hold each image with rows and columns swapped: pass transpose=True to swap them back, or transpose=False "
            "where your transform does it"
        )
    images: list[np.ndarray] = []
    labels: list[Any] = []
    for number in range(len(source)):
        item = source[number]
        image, label = (_image(item, number), None) if unlabeled else _pair(item, number)
        pixels = _pixels(image, number)
        if images and pixels.shape != images[0].shape:
            raise DataError(
                f"example {number} has the shape {list(pixels.shape)}, those before it {list(images[0].shape)}; all need one "
                "size and one number of channels"
            )
        images.append(pixels)
        labels.append(label.item() if isinstance(label, Tensor | np.generic) and np.ndim(label) == 0 else label)
    if not images:
        raise DataError(f"this {type(source).__name__} holds no example")
    return Part(np.stack(images), None) if unlabeled else Part(np.stack(images), np.asarray(labels), _names(source))


def _image(item: Any, number: int) -> Any:
    """The image of an example: itself, the first of a tuple, or one of a dict by its usual name."""
    if isinstance(item, Mapping):
        item = next((item[key] for key in IMAGES if key in item), item)
    item = item[0] if isinstance(item, tuple | list) and item else item
    if isinstance(item, Mapping | tuple | list):
        raise DataError(f"example {number} is a {type(item).__name__} without an image")
    return item


def _pair(item: Any, number: int) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[key] for key in IMAGES if key in item), None)
        label = next((item[key] for key in LABELS if key in item), None)
        if image is not None and label is not None:
            return image, label
        raise DataError(
            f"example {number} holds {', '.join(map(str, item))}; an example needs {' or '.join(IMAGES[:3])}, and {' or '.join(LABELS[:2])}"
        )
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise DataError(
        f"example {number} is a {type(item).__name__}; an example is (image, label), or a dict of both; label=False takes images alone"
    )


def _pixels(image: Any, number: int) -> np.ndarray:
    if isinstance(image, Tensor):
        return (image.detach().cpu().float() if image.is_floating_point() else image.detach().cpu()).numpy()
    mode = getattr(image, "mode", None)  # of a picture of Pillow
    if mode in ("1", "L", "RGB"):
        return np.asarray(image.convert("L") if mode == "1" else image)
    if mode in ("P", "RGBA", "CMYK") and "transparency" not in image.info:
        colors = np.asarray(image.convert("RGBA"))
        if (colors[..., 3] == 255).all():
            return colors[..., :3]
    if mode is not None:
        raise DataError(f"example {number} is a picture of mode {mode}; convert it to L or RGB first")
    array = np.asarray(image)
    if array.ndim not in (1, 2, 3) or array.dtype.kind not in "biuf":
        raise DataError(f"example {number} is no image: {array.dtype} {list(array.shape)} came")
    return array


def _names(source: Any) -> tuple[str, ...]:
    """The names of the classes as torchvision or Hugging Face keep them; none where they are only numbers."""
    features = getattr(source, "features", None)
    label = next((features[key] for key in LABELS if key in features), None) if isinstance(features, Mapping) else None
    names = getattr(label, "names", None) or getattr(source, "classes", None) or ()
    names = tuple(names) if all(isinstance(name, str) for name in names) else ()
    return () if names == tuple(map(str, range(len(names)))) else names
