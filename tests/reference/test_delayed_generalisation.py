"""Liu et al. (2022, Omnigrok): large initial weights delay generalization long after the training images are learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import neural_microscope as nm
from neural_microscope.training import evaluate

pytestmark = [pytest.mark.mnist, pytest.mark.slow]


def accuracies(data: nm.data.Dataset, scale: float, read_at: tuple[int, ...]) -> list[tuple[float, float]]:
    """(training, test) accuracy at some steps of a network whose initial weights are ``scale`` times the usual."""
    train, test = data.train.balanced(1000, seed=0), data.test
    model = nm.MLP(nm.MLPConfig(hidden=(200, 200), init_scale=scale), seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.5)
    pixels, labels = train.tensor(), train.label_tensor()
    targets = nn.functional.one_hot(labels, 10).float()
    order = torch.Generator().manual_seed(0)
    found = []
    for step in range(1, read_at[-1] + 1):
        if step % 5 == 1:  # five batches of 200 are an epoch
            batches = torch.randperm(1000, generator=order).split(200)
        batch = batches[(step - 1) % 5]
        loss = nn.functional.mse_loss(model(pixels[batch]), targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in read_at:
            found.append((evaluate(model, train).accuracy, evaluate(model, test).accuracy))
    return found


def test_large_initial_weights_delay_generalization(mnist_folder: Path) -> None:
    data = nm.data.load("mnist", folder=mnist_folder)
    (train, test), (_, late) = accuracies(data, 8.0, (1000, 4000))
    print("scale 8", train, test, late)
    assert train - test >= 0.4
    assert late >= 0.78


def test_usual_initial_weights_do_not_delay_it(mnist_folder: Path) -> None:
    ((train, test),) = accuracies(nm.data.load("mnist", folder=mnist_folder), 1.0, (200,))
    print("scale 1", train, test)
    assert train >= 0.99
    assert test >= 0.85
