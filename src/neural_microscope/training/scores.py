"""Evaluation of a network on a set of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from .. import devices
from ..data import ImageSet
from ..doors import door
from ..errors import DataError
from ..hooks import HookedModel, evaluation, lent


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a network on a set of images."""

    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """Share of the images classified correctly, 0..1."""
    accuracy_by_class: np.ndarray
    """The same share of each class's images, [class]; NaN for a class without images."""
    logits: Tensor
    """Logits, [example, class]."""

    @property
    def predictions(self) -> Tensor:
        """The class of the highest logit, [example]."""
        return self.logits.argmax(1)


@door
def evaluate(model: nn.Module, images: ImageSet, *, batch_size: int | None = None) -> Evaluation:
    """Scores of a network on a set of images, in evaluation mode without gradients.

    An image whose logits hold a NaN counts as wrong.

    Args:
        model: Network that gives logits [example, class].
        images: Images and their labels.
        batch_size: Images per forward pass; None: 64 where there are convolutions on a processor, otherwise 500.

    Raises:
        DataError: A model that does not give logits [example, class].

    >>> nm.evaluate(model, digits.test).logits.shape
    torch.Size([360, 10])
    """
    return score(model, images.tensor(), images.label_tensor(), images.classes, batch_size)


@door
def score(model: nn.Module, images: Tensor, labels: Tensor, classes: int, batch_size: int | None = None) -> Evaluation:
    """Scores of a network on images that are tensors already, as by `evaluate`.

    Args:
        model: Network that gives logits [example, class].
        images: Floats in 0..1, [example, 1, row, col].
        labels: Class of each image, int64 [example].
        classes: Number of classes.
        batch_size: Images per forward pass; None: 64 where there are convolutions on a processor, otherwise 500.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if batch_size is None:
        # Maps of many images exceed a processor's cache, and their memory is allocated again each time: up to twice the time.
        maps = device.type == "cpu" and any(p.ndim == 4 for p in model.parameters())
        batch_size = 64 if maps else 500
    with torch.no_grad(), evaluation(model):
        logits = torch.cat([logits_of(model, devices.like(model, part)).cpu() for part in images.split(batch_size)])
    logits = logits.float() if logits.dtype.itemsize < 4 else logits
    loss = nn.functional.cross_entropy(logits, labels)
    hits = right(logits, labels).double()
    counts = torch.bincount(labels, minlength=classes).double()
    by_class = torch.bincount(labels, weights=hits, minlength=classes) / counts
    return Evaluation(float(loss), float(hits.mean()), by_class.numpy(), logits)


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    given = model(images if isinstance(model, HookedModel) else lent(images))
    if not isinstance(given, Tensor) or given.ndim != 2:
        what = f"a tensor of shape {list(given.shape)}" if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise DataError(
            f"{type(model).__name__} gave {what}; a module that is trained or scored here gives logits [example, class]: wrap it "
            "in one that does"
        )
    return given


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """True for correctly classified examples, [example]. argmax treats NaN as the highest logit: it would count as a prediction."""
    return (logits.argmax(1) == labels) & ~logits.isnan().any(1)
