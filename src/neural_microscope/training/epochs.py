"""The training images of each step: their order, and their labels or targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from .. import devices
from ..config import TrainConfig
from ..data import Dataset, ImageSet, batches
from ..doors import door
from ..errors import DataError

Sampler = Callable[[int], Iterable[Tensor]]
"""The batches of an epoch: sampler(epoch) gives int64 indices into the training images, as many batches in every epoch."""


class Epochs:
    """The training images as batches of tensors, gathered into buffers that are used again."""

    def __init__(self, data: Dataset, config: TrainConfig, sampler: Sampler | None, model: nn.Module) -> None:
        size = len(data.train)
        self.sampler: Sampler = sampler or (
            lambda epoch: batches(size, config.batch_size, seed=config.seed, epoch=epoch, drop_last=config.drop_last)
        )
        self.epochs = config.epochs
        self.images = devices.like(model, data.train.tensor())
        self.targets = _targets(data.train, config).to(config.device)
        self.buffer = torch.empty(0, device=config.device)
        # A sampler may draw from a generator as it goes, so epoch 0 is requested once and kept.
        self.first = [] if sampler is None else self._checked(0)
        whole = size // config.batch_size if config.drop_last else -(-size // config.batch_size)
        self.steps_per_epoch = whole if sampler is None else len(self.first)
        if not self.steps_per_epoch and sampler is None:
            raise DataError(f"drop_last leaves no batch of {config.batch_size:,} of the {size:,} training images")
        if not self.steps_per_epoch:
            raise DataError("the sampler gave no batches in epoch 0; it gives index tensors into the training images")

    def after(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every batch from the one after ``step`` on."""
        for epoch in range(step // self.steps_per_epoch, self.epochs):
            order = self._order(epoch)
            start = step - epoch * self.steps_per_epoch if epoch == step // self.steps_per_epoch else 0
            for indices in order[start:]:
                yield self._gather(indices.to(self.images.device))

    def _order(self, epoch: int) -> list[Tensor]:
        if not self.first:
            return list(self.sampler(epoch))
        order = self._checked(epoch) if epoch else self.first
        if len(order) != self.steps_per_epoch:
            raise DataError(
                f"the sampler gave {len(order)} batches in epoch {epoch}, {self.steps_per_epoch} in epoch 0; each has as many"
            )
        return order

    def _checked(self, epoch: int) -> list[Tensor]:
        """The batches of a caller's sampler."""
        order = [torch.as_tensor(indices) for indices in self.sampler(epoch)]
        for indices in order:
            if indices.ndim != 1 or not len(indices) or indices.dtype not in (torch.int64, torch.int32):
                came = f"{str(indices.dtype).removeprefix('torch.')} {list(indices.shape)}"
                raise DataError(
                    f"a batch of the sampler is {came}; it must be int64 [example], with at least one example"
                )
            outside = indices[(indices < 0) | (indices >= len(self.images))]
            if len(outside):
                raise DataError(
                    f"the sampler gave index {int(outside[0])}; training images are 0..{len(self.images) - 1}"
                )
        return order

    def _gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        # A fresh images[indices] takes several times as long: its memory pages are new each time.
        shape = (len(indices), *self.images.shape[1:])
        if len(self.buffer) < len(indices):
            self.buffer = torch.empty(shape, dtype=self.images.dtype, device=self.images.device)
        images = torch.index_select(self.images, 0, indices, out=self.buffer[: len(indices)])
        return images, self.targets[indices]


def _targets(images: ImageSet, config: TrainConfig) -> Tensor:
    """The result that a model is to give for each training image."""
    if images.task == "classification":
        return noisy_labels(images, config)
    if config.label_noise:
        raise DataError(f"label_noise is {config.label_noise}, and a {images.task} task has no labels to replace")
    targets = images.target_tensor()
    return torch.zeros(len(images)) if targets is None else targets


@door
def noisy_labels(images: ImageSet, config: TrainConfig) -> Tensor:
    """The training labels, int64 [example], with a share of them replaced.

    The new labels are drawn uniformly from all classes, so some stay correct by chance.

    Args:
        images: Training images.
        config: Settings of training: ``label_noise`` is the share, and ``seed`` draws it.

    >>> from neural_microscope.training import noisy_labels
    >>> noisy_labels(digits.train, nm.TrainConfig(label_noise=0.0)).equal(digits.train.label_tensor())
    True
    """
    # A separate stream: with the seed's main stream, which images get a new label would depend on the initial weights.
    generator = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(0, 0)))
    replaced = generator.random(len(images)) < config.label_noise
    drawn = generator.integers(images.classes, size=len(images))
    return torch.from_numpy(np.where(replaced, drawn, images.labels))
