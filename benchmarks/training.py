"""What an epoch costs beside plain torch and the bare matrix products, and what recording adds."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm

from .timing import interleaved, table


def plain_epoch(data: nm.data.Dataset, batch: int) -> None:
    """One epoch as most tutorials write it."""
    loader = DataLoader(TensorDataset(data.train.tensor(), data.train.label_tensor()), batch, shuffle=True)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def bare_products(examples: int, batch: int) -> None:
    """The matrix products of an epoch of 784-128-64-10 and nothing else: forward, and both gradients of each layer but the images'."""
    x, widths = torch.rand(batch, 784), (784, 128, 64, 10)
    weights = [torch.rand(b, a) for a, b in pairwise(widths)]
    outs = [torch.rand(batch, b) for b in widths[1:]]
    for _ in range(examples // batch):
        a = x
        for weight, out in zip(weights, outs, strict=True):
            torch.mm(a, weight.T)
            torch.mm(out.T, a)
            if a is not x:
                torch.mm(out, weight)
            a = out


def run() -> list[str]:
    torch.set_num_threads(1)
    data = nm.data.load("mnist")
    one = nm.TrainConfig(epochs=1)
    medians = interleaved(
        {
            "bare matrix products": lambda: bare_products(len(data.train), 128),
            "nm.train": lambda: nm.train(nm.MLP(), data, one),
            "plain torch, DataLoader": lambda: plain_epoch(data, 128),
        },
        3,
    )
    parts = [
        table(
            "An epoch of 784-128-64-10, Adam, batch 128", medians, "bare matrix products", {"nm.train": "≤ 3.2 (later)"}
        )
    ]
    for title, make, config, aim in (
        ("MLP 784-128-64-10, 10 epochs", nm.MLP, replace(one, epochs=10), "≤ 1.35"),
        ("CNN 16-32-64, 3 epochs", nm.CNN, replace(one, epochs=3), "≤ 1.1"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            runs = iter(range(100))

            def recorded(make=make, config=config, folder=folder, runs=runs) -> None:  # type: ignore[no-untyped-def]
                nm.train(make(), data, config, observers=[nm.Recorder(Path(folder) / str(next(runs)))])

            medians = interleaved(
                {"unrecorded": lambda make=make, config=config: nm.train(make(), data, config), "recorded": recorded}, 2
            )
        parts.append(table(f"Recording: {title}", medians, "unrecorded", {"recorded": aim}))
    return parts
