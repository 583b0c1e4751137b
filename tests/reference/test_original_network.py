"""The network this project grew from (eriktholmes/interpreting_mnist), rebuilt through the public API.

Its losses and training accuracies come out digit for digit on the machine this was written on; its test accuracy came out
two images lower there (94.78%, not 94.80%), where plain PyTorch code gives those same two images less: the last bits of a
matrix product depend on the processor. On another processor 3 of the 60,000 training images came out otherwise at epoch 15.
The tolerances are therefore 0.0002 for a loss, 0.02 points (12 images) for a training accuracy, 0.25 points for a class, and 95%
overlap for its lists of units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from original import GRADIENT, SELECTIVE, overlap

import neural_microscope as nm

pytestmark = [pytest.mark.mnist, pytest.mark.slow]  # a published fact, and a training of 20 epochs on all of MNIST

PUBLISHED_TRAINING = {0: (1.7227, 44.3167), 5: (0.3368, 90.4050), 10: (0.2477, 92.9117), 15: (0.1990, 94.2500)}
PUBLISHED_CLASSES = [98.27, 97.89, 95.06, 92.18, 94.91, 94.28, 95.51, 94.55, 92.61, 92.37]
LAYER = "layers.1.hook_post"


def test_running_loss_and_accuracy_are_the_published_ones(network: dict[str, Any]) -> None:
    history = network["history"]
    sizes = np.full(938, 64)
    sizes[-1] = 32
    losses, accuracies = (values.reshape(20, 938) @ sizes / 60_000 for values in (history.loss, history.accuracy))
    for epoch, (loss, accuracy) in PUBLISHED_TRAINING.items():
        assert losses[epoch] == pytest.approx(loss, abs=2e-4)
        assert 100 * accuracies[epoch] == pytest.approx(accuracy, abs=0.02)


def test_test_accuracy_and_classes_are_the_published_ones(network: dict[str, Any]) -> None:
    test = network["history"].test
    assert 100 * test.accuracy == pytest.approx(94.80, abs=0.03)
    np.testing.assert_allclose(100 * test.accuracy_by_class, PUBLISHED_CLASSES, atol=0.25)


def test_the_selectivity_lists_are_the_published_ones(network: dict[str, Any]) -> None:
    acts = nm.activations(network["model"], network["data"].test, LAYER)[LAYER]
    table = nm.analysis.selectivity.selectivity_by_class(acts)
    assert overlap(np.argsort(-table.values, 1)[:, :3], SELECTIVE) >= 0.95


def test_the_gradient_lists_are_the_published_ones(network: dict[str, Any]) -> None:
    images = network["data"].test
    labels = images.label_tensor()

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")

    model = network["model"].eval()
    _, cache = model.run_with_cache(images.tensor(), names_filter=LAYER, incl_bwd=True, loss=loss)
    gradients = np.stack([cache["post_grad", -1][labels == label].mean(0) for label in range(10)])
    assert overlap(np.argsort(-gradients, 1)[:, :3], GRADIENT) >= 0.95
