"""Training batches that the caller makes: a DataLoader, or any iterable of (inputs, targets)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .. import devices
from ..config import TrainConfig
from ..data import ImageSet
from ..errors import DataError
from .objective import Objective

Batch = Any
"""(inputs [example, …], targets); for a reconstruction the inputs alone will do."""


@dataclass(frozen=True)
class HeldOut:
    """The part of a data set that a training keeps where the caller makes the batches: the examples on which it is tested."""

    test: ImageSet
    """Test examples."""
    name: str = "own data"
    """Name of the data set."""
    note: str = ""
    """One line that the user must read; empty if there is none."""
    constant_pixels: tuple[int, ...] = ()
    """Pixels that are 0 on every training image; unknown here."""

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.test.classes

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the test examples."""
        return self.test.sha256


class Batches:
    """The caller's batches, epoch after epoch, on the model's device.

    Args:
        loader: A DataLoader, or another iterable with a length, that can be iterated again.
        config: Settings of training.
        model: The network.
        objective: The loss.
    """

    def __init__(self, loader: Iterable[Batch], config: TrainConfig, model: nn.Module, objective: Objective) -> None:
        self.loader, self.model, self.objective, self.epochs = loader, model, objective, config.epochs
        try:
            self.steps_per_epoch = len(loader)  # type: ignore[arg-type]
        except TypeError:
            raise DataError(
                f"this {type(loader).__name__} has no length, and training plans its steps: give a DataLoader, a list of batches, or "
                "record a loop of your own with nm.record"
            ) from None
        if not self.steps_per_epoch:
            raise DataError(f"this {type(loader).__name__} has no batches; training needs at least one")

    def after(self, step: int) -> Iterator[tuple[Tensor, Any]]:
        """Every batch; the order of earlier ones is the caller's, so training starts with the first."""
        assert not step
        for epoch in range(self.epochs):
            count = 0
            for count, batch in enumerate(self.loader, 1):
                if count > self.steps_per_epoch:
                    break
                yield self._on_device(batch)
            if count != self.steps_per_epoch:
                raise DataError(
                    f"epoch {epoch} had {count} batches, and the length is {self.steps_per_epoch}: each epoch has as many"
                )

    def _on_device(self, batch: Batch) -> tuple[Tensor, Any]:
        inputs, targets = self._pair(batch)
        inputs = devices.like(self.model, inputs)
        if self.objective.task == "reconstruction":
            return inputs, inputs
        return inputs, targets.to(inputs.device) if isinstance(targets, Tensor) else targets

    def _pair(self, batch: Batch) -> tuple[Tensor, Any]:
        alone = self.objective.task == "reconstruction"
        if isinstance(batch, Tensor) and alone:
            batch = (batch, None)
        pair = not isinstance(batch, Tensor | Mapping | str) and hasattr(batch, "__len__")
        if not pair or (len(batch) != 2 and not (alone and len(batch) == 1)) or not isinstance(batch[0], Tensor):
            came = f"{type(batch).__name__}{f' of {len(batch)}' if pair else ''}"
            raise DataError(
                f"a batch is a {came}; it must be (inputs, targets), the inputs a tensor [example, …]: bring it to that form in the "
                "DataLoader's collate_fn, or record a loop of your own with nm.record"
            )
        return batch[0], batch[1] if len(batch) == 2 else None
