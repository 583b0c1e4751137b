"""Cohen et al. (2021): under full-batch gradient descent of rate eta the sharpness rises to 2 / eta and hovers there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.analysis import dynamics

pytestmark = [pytest.mark.mnist, pytest.mark.slow]

RATE = 0.2
READ_AT = (1000, 1500, 2000, 2500, 3000)


class Centered(nn.Module):
    """A network that sees images less their mean."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 10)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images - self.mean)


def test_sharpness_rises_to_two_over_the_rate_and_hovers_there(mnist_folder: Path) -> None:
    images = nm.data.load("mnist", folder=mnist_folder).train.balanced(500, seed=0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Centered(images.tensor().mean(0))
    centered, targets = images.tensor() - model.mean, nn.functional.one_hot(images.label_tensor(), 10).float()
    start = float(dynamics.sharpness(model, images, loss="mse", seed=0)["sharpness"])
    found = []
    for step in range(1, READ_AT[-1] + 1):
        loss = (model.body(centered) - targets).square().sum(1).mean() / 2
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= RATE * gradient
        if step in READ_AT:
            table = dynamics.sharpness(model, images, loss="mse", seed=0)
            assert bool(table["converged"])
            found.append(float(table["sharpness"]))
    print("sharpness", start, found)
    assert start < 0.8 * 2 / RATE
    np.testing.assert_array_less(9.5, found)
    np.testing.assert_array_less(found, 10.8)
