"""The batches of one network among several: an order of its own, and images left out, relabelled or altered for some of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..data import Dataset, batches
from ..errors import DataError
from .epochs import Epochs, Sampler
from .together import Batch


class DataChange:
    """A change of the training data; this one changes nothing. The first batch comes after step 0."""

    def active(self, step: int) -> bool:
        """True if it holds for the batch after ``step`` steps."""
        return True

    def order(self, epoch: list[Tensor]) -> list[Tensor]:
        """The index batches of an epoch at whose first batch it is active."""
        return epoch

    def weights(self, indices: Tensor, weights: Tensor | None) -> Tensor | None:
        """The weight of each image of a batch in the loss, [example]; 0: as if it were not in the batch."""
        return weights

    def labels(self, indices: Tensor, labels: Tensor) -> Tensor:
        """The labels of a batch, int64 [example]."""
        return labels

    def images(self, indices: Tensor, images: Tensor) -> Tensor:
        """The images of a batch, [example, …]; the given tensor is not changed."""
        return images


@dataclass(eq=False)
class Feed:
    """The training data of one network. The loss of a batch is the mean over its images, weighted."""

    sampler: Sampler
    """The index batches of each epoch."""
    changes: Sequence[DataChange] = ()
    """Changes of the data, in this order."""

    def active(self, step: int) -> list[DataChange]:
        """The changes that hold for the batch after ``step`` steps."""
        return [change for change in self.changes if change.active(step)]

    def order(self, epoch: int, steps_per_epoch: int) -> list[Tensor]:
        """The index batches of an epoch."""
        found = list(self.sampler(epoch))
        for change in self.active(epoch * steps_per_epoch):
            found = change.order(found)
        return found

    def batch(self, step: int, indices: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Images, labels and weights of a batch as this network sees it."""
        weights = None
        for change in self.active(step):
            weights = change.weights(indices, weights)
            labels, images = change.labels(indices, labels), change.images(indices, images)
        if weights is not None and not weights.any():
            raise _nothing_left(step, len(indices))
        return images, labels, weights


def _nothing_left(step: int, size: int) -> DataError:
    return DataError(f"all {size} images of the batch after step {step} are left out; keep some of each")


def order_of(data: Dataset, config: TrainConfig, seed: int) -> Sampler:
    """The order in which `train` would take the images with this seed.

    Args:
        data: Training and test images.
        config: Settings of training.
        seed: Seed of the shuffle.
    """
    size = len(data.train)
    return lambda epoch: batches(size, config.batch_size, seed=seed, epoch=epoch, drop_last=config.drop_last)


class Fed(Epochs):
    """The batches of a network that is trained by itself, those of `Epochs` if nothing is changed."""

    def __init__(self, data: Dataset, config: TrainConfig, feed: Feed, model: nn.Module) -> None:
        super().__init__(data, config, None, model)
        self.feed = feed

    def after(self, step: int) -> Iterator[tuple[Tensor, Tensor]]:
        every = self.steps_per_epoch
        for epoch in range(step // every, self.epochs):
            for done, indices in enumerate(self.feed.order(epoch, every), epoch * every):
                if done >= step:
                    yield self._own(done, indices.to(self.images.device))

    def _own(self, step: int, indices: Tensor) -> tuple[Tensor, Tensor]:
        images, labels, weights = self.feed.batch(step, indices, *self._gather(indices))
        if weights is None:
            return images, labels
        if not weights.any():
            raise _nothing_left(step, len(indices))
        if not weights.eq(weights.bool()).all():
            raise DataError("images of weights other than 0 and 1 need networks that are trained together")
        return images[weights > 0], labels[weights > 0]


class Feeds(Epochs):
    """The batches of several networks that are trained together."""

    def __init__(self, data: Dataset, config: TrainConfig, feeds: Sequence[Feed], model: nn.Module) -> None:
        super().__init__(data, config, None, model)
        self.feeds = feeds
        self.shared = all(feed.sampler is feeds[0].sampler for feed in feeds)

    def after(self, step: int) -> Iterator[Batch]:  # type: ignore[override]
        every = self.steps_per_epoch
        for epoch in range(step // every, self.epochs):
            alike = self.shared and not any(feed.active(epoch * every) for feed in self.feeds)
            orders = [feed.order(epoch, every) for feed in (self.feeds[:1] if alike else self.feeds)]
            for done, each in enumerate(zip(*orders, strict=True), epoch * every):
                if done >= step:
                    yield self._together(done, each)

    def _together(self, step: int, each: tuple[Tensor, ...]) -> Batch:
        one = self.shared and all(indices is each[0] or indices.equal(each[0]) for indices in each)
        indices = (each[0] if one else torch.stack(each)).to(self.images.device)
        images, labels = self._gather(indices.flatten())
        if not one:
            images, labels = images.view(*indices.shape, *images.shape[1:]), labels.view(indices.shape)
        if not any(feed.active(step) for feed in self.feeds):
            return Batch(images, labels, None, not one)
        parts = [[part] * len(self.feeds) if one else part for part in (indices, images, labels)]
        told = [(x, feed.batch(step, i, x, y)) for feed, i, x, y in zip(self.feeds, *parts, strict=True)]
        own = not one or any(changed is not x for x, (changed, _, _) in told)
        if own:
            images = torch.stack([changed for _, (changed, _, _) in told])
        if not one or any(changed is not labels for _, (_, changed, _) in told):
            labels = torch.stack([changed for _, (_, changed, _) in told])
        ones = torch.ones(indices.shape[-1], device=indices.device)
        weights = [weights for _, (_, _, weights) in told]
        whole = None if all(w is None for w in weights) else torch.stack([ones if w is None else w for w in weights])
        return Batch(images, labels, whole, own)
