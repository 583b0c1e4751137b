"""Evaluation of a network on a set of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import devices
from ..data import ImageSet
from ..doors import door
from ..hooks import evaluation
from .objective import CROSS_ENTROPY, Loss, Objective


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a network on a set of images."""

    loss: float
    """Mean cross-entropy, in nats; of another task its loss."""
    accuracy: float
    """Share of the images classified correctly, 0..1; NaN of another task than classification."""
    accuracy_by_class: np.ndarray
    """The same share of each class's images, [class]; NaN for a class without images."""
    logits: Tensor = field(repr=False)
    """Logits, [example, class]; of another task the outputs."""

    @property
    def predictions(self) -> Tensor:
        """The class of the highest logit, [example]."""
        return self.logits.argmax(1)


@door
def evaluate(
    model: nn.Module, images: ImageSet, *, batch_size: int | None = None, loss: Loss | None = None
) -> Evaluation:
    """Scores of a network on a set of images, in evaluation mode without gradients.

    An image whose logits hold a NaN counts as wrong. A task other than classification has no accuracy.

    Args:
        model: Network that gives logits [example, class], or what the task of the images asks for.
        images: Images and their labels or targets.
        batch_size: Images per forward pass; None: 64 where there are convolutions on a processor, otherwise 500.
        loss: Function of the outputs and targets that gives one number; None: the loss of the task.

    Raises:
        DataError: A model that does not give logits [example, class], or outputs that the loss can't take.

    >>> nm.evaluate(model, digits.test).logits.shape
    torch.Size([360, 10])
    """
    return evaluated(model, images, Objective(images.task or "other", loss), batch_size)


def evaluated(model: nn.Module, images: ImageSet, objective: Objective, batch_size: int | None = None) -> Evaluation:
    """Scores by any loss."""
    return score(model, images.tensor(), images.target_tensor(), images.classes or None, batch_size, objective)


@door
def score(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None,
    classes: int | None,
    batch_size: int | None = None,
    objective: Objective = CROSS_ENTROPY,
) -> Evaluation:
    """Scores of a network on images that are tensors already, as by `evaluate`.

    Args:
        model: The network.
        images: Its inputs, [example, …].
        targets: Class of each image, int64 [example], or what else the loss takes.
        classes: Number of classes; None: there are none.
        batch_size: Images per forward pass; None: 64 where there are convolutions on a processor, otherwise 500.
        objective: The loss; by default cross-entropy.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if batch_size is None:
        # Maps of many images exceed a processor's cache, and their memory is allocated again each time: up to twice the time.
        maps = device.type == "cpu" and any(p.ndim == 4 for p in model.parameters())
        batch_size = 64 if maps else 500
    with torch.no_grad(), evaluation(model):
        outputs = _outputs(model, images, batch_size, objective)
        if objective.own is not None:  # it may hold tensors on the model's device
            loss = objective.loss(outputs, None if targets is None else targets.to(device))
        else:
            outputs = outputs.cpu() if isinstance(outputs, Tensor) else outputs
            loss = objective.loss(outputs, targets) if objective.known else torch.tensor(math.nan)
    if not objective.classifies or targets is None:
        outputs = outputs.cpu() if isinstance(outputs, Tensor) else outputs
        return Evaluation(float(loss), math.nan, np.full(classes or 0, math.nan), outputs)
    logits, classes = outputs.cpu(), classes or 0
    hits = right(logits, targets).double()
    counts = torch.bincount(targets, minlength=classes).double()
    by_class = torch.bincount(targets, weights=hits, minlength=classes) / counts
    return Evaluation(float(loss), float(hits.mean()), by_class.numpy(), logits)


def _outputs(model: nn.Module, images: Tensor, batch_size: int, objective: Objective) -> Any:
    """The outputs for all images; those that are not one tensor can't be joined, and come from one pass."""
    parts = [objective.outputs(model, devices.like(model, part)) for part in images.split(batch_size)]
    if not all(isinstance(part, Tensor) for part in parts):
        return objective.outputs(model, devices.like(model, images))
    joined = torch.cat(parts)
    return joined.float() if joined.is_floating_point() and joined.dtype.itemsize < 4 else joined


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """True for correctly classified examples, [example]: the first of the highest logits is the label's, and none is NaN."""
    # argmax takes ten times as long where the classes are not the last axis. Both take NaN for the highest.
    highest = logits.max(1)
    return (highest.indices == labels) & ~highest.values.isnan()


def in_log(loss: float, accuracy: float, by_class: np.ndarray) -> dict[str, Any]:
    """Scores on the test images by their names in the log, without those of classes where there are none."""
    scores = {"test_loss": loss, "test_accuracy": accuracy}
    return scores | ({"test_accuracy_by_class": by_class} if len(by_class) else {})
