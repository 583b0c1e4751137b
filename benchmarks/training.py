"""The time of an epoch, compared with plain PyTorch and with the bare matrix products, and the overhead of recording."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm
from neural_microscope.models import build

from .timing import Form, interleaved, table


def plain_epoch(data: nm.data.Dataset, batch: int) -> None:
    """One epoch as most tutorials write it."""
    _plain(
        nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)),
        data,
        batch,
    )


def _plain(model: nn.Module, data: nm.data.Dataset, batch: int) -> None:
    loader = DataLoader(TensorDataset(data.train.tensor(), data.train.label_tensor()), batch, shuffle=True)
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


def plain_cnn_epoch(data: nm.data.Dataset, batch: int) -> None:
    """As `plain_epoch`, for convolutions of 16 and 32 channels."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * 49, 10)),
    )
    _plain(model, data, batch)


CONVOLUTIONS = nm.CNNConfig(channels=(16, 32), head=())


def run(form: Form) -> list[str]:
    torch.set_num_threads(1)
    data, one = form.data, nm.TrainConfig(epochs=1)
    half = replace(one, precision="bfloat16")
    times = interleaved(
        {
            "bare matrix products": lambda: bare_products(len(data.train), 128),
            "nm.train": lambda: nm.train(nm.MLP(), data, one),
            "nm.train, bfloat16": lambda: nm.train(nm.MLP(), data, half),
            "plain torch, DataLoader": lambda: plain_epoch(data, 128),
        },
        form.pick(5, 1),
    )
    title, plain = "An epoch of 784-128-64-10, Adam, batch 128", "plain torch, DataLoader"
    parts = [table(title, times, plain, {"nm.train": "≤ 3.2 × the limit"}, limit="bare matrix products")]
    times = interleaved(
        {
            plain: lambda: plain_cnn_epoch(data, 128),
            "nm.train": lambda: nm.train(nm.CNN(CONVOLUTIONS), data, one),
            "nm.train, bfloat16": lambda: nm.train(nm.CNN(CONVOLUTIONS), data, half),
        },
        form.pick(3, 1),
    )
    title, aims = "An epoch of a CNN 16-32, Adam, batch 128", {"nm.train": "≤ 0.75", "nm.train, bfloat16": "≤ 0.5"}
    parts.append(table(title, times, plain, aims))
    parts += [
        _precision(kind, network, form) for kind, network in (("MLP", nm.MLPConfig()), ("CNN 16-32", CONVOLUTIONS))
    ]
    for title, make, rounds in (("MLP 784-128-64-10", nm.MLP, 3), ("CNN 16-32-64", nm.CNN, 1)):
        config = replace(one, epochs=form.pick(10, 1))
        with tempfile.TemporaryDirectory() as folder:
            runs = iter(range(100))

            def recorded(make=make, config=config, folder=folder, runs=runs) -> None:  # type: ignore[no-untyped-def]
                nm.train(make(), data, config, observers=[nm.Recorder(Path(folder) / str(next(runs)))])

            recorded(config=replace(one, epochs=0))  # imports what writes
            variants = {
                "unrecorded": lambda make=make, config=config: nm.train(make(), data, config),
                "recorded": recorded,
            }
            times = interleaved(variants, form.pick(rounds, 1), warm=False)
        parts.append(table(f"Recording: {title}, {config.epochs} epochs", times, "unrecorded", {"recorded": "≤ 1.25"}))
    return parts


def _precision(kind: str, network: nm.MLPConfig | nm.CNNConfig, form: Form) -> str:
    """The change of accuracy and recorded activations by bfloat16, and by another order of the batches."""
    data, seeds, epochs = form.data, form.pick((0, 1, 2), (0,)), form.pick(3, 1)
    probe = data.test.balanced(form.pick(1000, 100))
    layers: dict[str, list[list[xr.DataArray]]] = {}
    accuracies: dict[str, list[float]] = {}
    for seed in seeds:
        variants = {
            "float32": nm.TrainConfig(epochs=epochs, seed=seed),
            "bfloat16": nm.TrainConfig(epochs=epochs, seed=seed, precision="bfloat16"),
            "float32, another order of batches": nm.TrainConfig(epochs=epochs, seed=seed + 100),
        }
        for name, training in variants.items():
            model = build(network, seed)
            accuracies.setdefault(name, []).append(100 * nm.train(model, data, training).test.accuracy)
            acts = nm.activations(model, probe, lambda point: point.endswith("hook_post"))
            layers.setdefault(name, []).append(list(acts.values()))
    lines = [
        f"\n### bfloat16: {kind}, {epochs} epochs, n = {len(seeds)} seeds\n",
        "| trained in | test accuracy, % (range) | distance from float32's activations, share of variance, by layer | CKA with them |",
        "|---|---|---|---|",
    ]
    for name, found in accuracies.items():
        pairs = [list(zip(a, b, strict=True)) for a, b in zip(layers["float32"], layers[name], strict=True)]
        moved = np.mean([[_apart(a, b) for a, b in seed] for seed in pairs], 0)
        alike = np.mean(
            [[float(nm.analysis.similarity.cka(a, b, draws=1)["cka"]) for a, b in seed] for seed in pairs], 0
        )
        spread = f"{np.mean(found):.2f} ({min(found):.2f} to {max(found):.2f})"
        lines.append(
            f"| {name} | {spread} | {', '.join(f'{v:.4f}' for v in moved)} | {', '.join(f'{v:.4f}' for v in alike)} |"
        )
    return "\n".join(lines)


def _apart(a: xr.DataArray, b: xr.DataArray) -> float:
    return float(((a - b) ** 2).sum() / ((a - a.mean("example")) ** 2).sum())
