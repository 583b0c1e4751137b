"""The function that training minimizes: cross-entropy of logits, another task's loss, or one of the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..data import Task
from ..errors import DataError
from ..hooks import HookedModel, lent

IGNORED = -100
"""The label of an example that torch's cross-entropy leaves out."""
Loss = Callable[[Any, Any], Any]
"""loss(outputs, targets) -> one number that can be differentiated."""


@dataclass(frozen=True)
class Objective:
    """The loss of a task."""

    task: Task
    """The task of the model."""
    own: Loss | None = None
    """The caller's own loss; None: that of the task."""

    @property
    def known(self) -> bool:
        """True if there is a loss."""
        return self.own is not None or self.task in _LOSSES or self.task == "classification"

    @property
    def classifies(self) -> bool:
        """True if outputs are logits [example, class], and a prediction is right or wrong."""
        return self.task == "classification"

    def outputs(self, model: nn.Module, inputs: Tensor) -> Any:
        """Outputs of the model: for a classification the logits, otherwise all of them."""
        return logits_of(model, inputs) if self.classifies else output_of(model, inputs)

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of outputs, one number; of one's own as the caller's function gives it."""
        if self.own is not None:
            return _one_number(self.own(outputs, targets))
        if self.classifies:
            return _cross_entropy(outputs, _labels(targets))
        if self.task not in _LOSSES:
            raise DataError("the task 'other' has no loss: give loss=, a function of outputs and targets")
        outputs = _tensor_of(outputs, self.task)
        return _LOSSES[self.task](outputs, _like(targets, outputs))


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """The model's logits [example, class]; a DataError if it gives none."""
    given = output_of(model, images)
    given = given.get("logits", given) if isinstance(given, Mapping) else getattr(given, "logits", given)
    if not isinstance(given, Tensor) or given.ndim != 2:
        what = f"a tensor of shape {list(given.shape)}" if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise DataError(
            f"{type(model).__name__} gave {what}; a module that is trained or scored here gives logits [example, class]: wrap it "
            "in one that does, or give task='other' and a loss="
        )
    return given


def output_of(model: nn.Module, inputs: Tensor) -> Any:
    """Outputs of the model for inputs, which it may overwrite."""
    return model(inputs if isinstance(model, HookedModel) else lent(inputs))


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    try:
        return nn.functional.cross_entropy(logits, labels)
    except IndexError:
        outside = labels[((labels < 0) & (labels != IGNORED)) | (labels >= logits.shape[1])][0]
        raise DataError(
            f"an example has the label {int(outside)}; the model gives {logits.shape[1]} logits, so labels are 0..{logits.shape[1] - 1}"
        ) from None


def _labels(targets: Any) -> Tensor:
    if not isinstance(targets, Tensor) or targets.is_floating_point() or targets.ndim != 1:
        came = (
            f"{targets.dtype} {list(targets.shape)}" if isinstance(targets, Tensor) else f"a {type(targets).__name__}"
        )
        raise DataError(
            f"the targets of a classification are classes, int64 [example]; {came.removeprefix('torch.')} came: give task= or loss="
        )
    return targets


def _tensor_of(outputs: Any, task: str) -> Tensor:
    given = outputs.get("logits", outputs) if isinstance(outputs, Mapping) else getattr(outputs, "logits", outputs)
    if not isinstance(given, Tensor):
        raise DataError(f"the model gave a {type(given).__name__}; the loss of a {task} takes one tensor: give loss=")
    return given.float() if given.dtype.itemsize < 4 else given


def _like(targets: Any, outputs: Tensor) -> Tensor:
    """The targets in the outputs' shape. The two may differ by axes of length 1, and one may be flat.

    Torch would broadcast [n] against [n, 1], and another order of the axes would compare other numbers.
    """
    came = list(targets.shape) if isinstance(targets, Tensor) else type(targets).__name__
    if not isinstance(targets, Tensor) or targets.numel() != outputs.numel() or len(targets) != len(outputs):
        raise DataError(f"the model gave {list(outputs.shape)} and the targets are {came}; both hold as many numbers")
    given, wanted = ([n for n in one.shape[1:] if n > 1] for one in (outputs, targets))
    if given != wanted and min(len(given), len(wanted)) > 1:
        raise DataError(
            f"the model gave {list(outputs.shape)} and the targets are {came}; the axes must have one order"
        )
    return targets.reshape(outputs.shape).to(outputs.dtype)


def _one_number(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise DataError(f"the loss gave {came}; loss(outputs, targets) gives a tensor of one number, the batch's mean")
    return value.reshape(())


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "regression": nn.functional.mse_loss,
    "reconstruction": nn.functional.mse_loss,
    "multi-label": nn.functional.binary_cross_entropy_with_logits,
}
"""The loss of each task but classification: mean squared error, or binary cross-entropy of logits."""
CROSS_ENTROPY = Objective("classification")
