"""The order in which training sees the images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..doors import told
from ..errors import DataError


@told
def batches(n: int, batch_size: int, *, seed: int, epoch: int, drop_last: bool = False) -> Iterator[Tensor]:
    """The indices 0..n-1, int64 [example], each once, shuffled, a batch at a time; the last batch may be smaller.

    A pure function of its arguments: no state is kept or read, so training can resume in the middle of any epoch.

    Args:
        n: Number of examples.
        batch_size: Examples in a batch.
        seed: Seed of the order.
        epoch: Number of the epoch, from 0; each has its own order.
        drop_last: True to leave out a last batch that is smaller.

    Raises:
        DataError: ``n`` or ``batch_size`` is below 1, or ``seed`` or ``epoch`` below 0.

    >>> [len(batch) for batch in nm.data.batches(10, 4, seed=0, epoch=0)]
    [4, 4, 2]
    """
    for name, value, least in (("n", n, 1), ("batch_size", batch_size, 1), ("seed", seed, 0), ("epoch", epoch, 0)):
        if value < least:
            raise DataError(f"batches: {name} is {value}; it must be at least {least}")
    mixed = np.random.SeedSequence(seed, spawn_key=(epoch,))  # seed + epoch would repeat epochs between seeds
    order = np.random.default_rng(mixed).permutation(n)
    kept = n - n % batch_size if drop_last else n
    return iter(torch.from_numpy(order[:kept]).split(batch_size) if kept else ())
