"""The network this project grew from (eriktholmes/interpreting_mnist), rebuilt through the public API.

Its losses and training accuracies come out digit for digit. Its test accuracy came out two images lower (94.78 %, not
94.80 %) on the machine this was written on, where plain PyTorch code gives those same two images less: the last bits
of a matrix product depend on the processor. Hence a tolerance of 0.25 points for a class, as for its lists of units
95 % overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

import neural_microscope as nm

pytestmark = pytest.mark.mnist

SEED = 31416
PUBLISHED_TRAINING = {0: ("1.7227", 44.3167), 5: (".3368", 90.4050), 10: (".2477", 92.9117), 15: (".1990", 94.2500)}
PUBLISHED_CLASSES = [98.27, 97.89, 95.06, 92.18, 94.91, 94.28, 95.51, 94.55, 92.61, 92.37]
SELECTIVE = "6,8,12 0,3,1 15,13,9 4,6,5 5,2,8 3,7,6 8,13,10 14,4,12 7,0,1 14,5,7"
GRADIENT = "10,9,7 2,7,6 7,1,5 0,2,10 9,6,14 1,2,0 12,5,14 7,10,8 5,4,8 13,10,4"
LAYER = "layers.1.hook_post"


class OriginalOrder:
    """The batches that its DataLoader drew from the global generator after the model was made."""

    def __init__(self) -> None:
        state = torch.get_rng_state()
        torch.manual_seed(SEED)
        for inputs, outputs in ((784, 32), (32, 16), (16, 10)):
            torch.nn.Linear(inputs, outputs)
        self.generator = torch.Generator()
        self.generator.set_state(torch.get_rng_state())
        torch.set_rng_state(state)

    def __call__(self, epoch: int) -> Iterable[torch.Tensor]:
        self._draw()  # the loader's base seed, which one process does not use
        return torch.randperm(60_000, generator=torch.Generator().manual_seed(self._draw())).split(64)

    def _draw(self) -> int:
        return int(torch.empty((), dtype=torch.int64).random_(generator=self.generator))


@pytest.fixture(scope="module")
def data(mnist_folder: Path) -> nm.data.Dataset:
    return nm.data.load("mnist", folder=mnist_folder)


@pytest.fixture(scope="module")
def trained(data: nm.data.Dataset) -> tuple[nm.MLP, nm.training.History]:
    model = nm.MLP(nm.MLPConfig(hidden=(32, 16)), seed=SEED)
    config = nm.TrainConfig(epochs=20, batch_size=64, optimizer="sgd", learning_rate=0.01)
    return model, nm.train(model, data, config, sampler=OriginalOrder())


def lists(text: str) -> list[list[int]]:
    return [[int(unit) for unit in part.split(",")] for part in text.split()]


def overlap(found: np.ndarray, published: list[list[int]]) -> float:
    """Share of the published entries, 3 for each class, that are among the 3 found."""
    shared = [len(set(map(int, a)) & set(b)) for a, b in zip(found, published, strict=True)]
    return sum(shared) / sum(len(b) for b in published)


def test_running_loss_and_accuracy_are_the_published_digits(trained: tuple[nm.MLP, nm.training.History]) -> None:
    history = trained[1]
    sizes = np.full(938, 64)
    sizes[-1] = 32
    losses, accuracies = (values.reshape(20, 938) @ sizes / 60_000 for values in (history.loss, history.accuracy))
    for epoch, (loss, accuracy) in PUBLISHED_TRAINING.items():
        assert f"{losses[epoch]:.4f}".lstrip("0") == loss
        assert round(100 * accuracies[epoch], 4) == accuracy


def test_test_accuracy_and_classes_are_the_published_ones(trained: tuple[nm.MLP, nm.training.History]) -> None:
    test = trained[1].test
    assert 100 * test.accuracy == pytest.approx(94.80, abs=0.03)
    np.testing.assert_allclose(100 * test.accuracy_by_class, PUBLISHED_CLASSES, atol=0.25)


def test_the_selectivity_lists_are_the_published_ones(
    trained: tuple[nm.MLP, nm.training.History], data: nm.data.Dataset
) -> None:
    acts = nm.activations(trained[0], data.test, LAYER)[LAYER]
    table = nm.analysis.selectivity.selectivity_by_class(acts)
    assert overlap(np.argsort(-table.values, 1)[:, :3], lists(SELECTIVE)) >= 0.95


def test_the_gradient_lists_are_the_published_ones(
    trained: tuple[nm.MLP, nm.training.History], data: nm.data.Dataset
) -> None:
    labels = data.test.label_tensor()

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")

    _, cache = trained[0].eval().run_with_cache(data.test.tensor(), names_filter=LAYER, incl_bwd=True, loss=loss)
    gradients = np.stack([cache["post_grad", -1][labels == label].mean(0) for label in range(10)])
    assert overlap(np.argsort(-gradients, 1)[:, :3], lists(GRADIENT)) >= 0.95
