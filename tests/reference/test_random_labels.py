"""Networks that memorize random labels break sooner as units are ablated (Morcos et al. 2018)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.data import ImageSet

LAYERS = ["layers.0.hook_post", "layers.1.hook_post"]


def corrupted(images: ImageSet, share: float, seed: int) -> ImageSet:
    """A share of the labels drawn at random from all classes."""
    rng = np.random.default_rng(seed)
    labels = images.labels.copy()
    hit = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[hit] = rng.integers(0, images.classes, len(hit))
    return ImageSet(images.images, labels, images.classes)


def memorized(images: ImageSet, seed: int) -> nm.MLP:
    """A 2 x 128 ReLU network trained with Adam until it classifies every training image correctly."""
    model = nm.MLP(nm.MLPConfig(hidden=(128, 128)), seed=seed)
    x, y = images.tensor(), images.label_tensor()
    optimizer, generator = torch.optim.Adam(model.parameters(), 2e-3), torch.Generator().manual_seed(seed)
    for _ in range(400):
        for batch in torch.randperm(len(y), generator=generator).split(100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            if (model(x).argmax(1) == y).all():
                return model
    raise AssertionError("the network has not memorized its labels")


@pytest.mark.slow
@pytest.mark.mnist
def test_the_more_labels_are_random_the_sooner_the_network_fails(mnist_folder: Path) -> None:
    train = nm.data.load(mnist_folder).train
    auc = []
    for share in (0.0, 0.4, 1.0):
        curves = []
        for seed in range(3):
            images = corrupted(train.balanced(2000, seed=seed), share, seed)
            table = causal.cumulative_ablation(memorized(images, seed), images, LAYERS, draws=6, seed=seed)
            assert float(table["random_accuracy"][0, 0]) == 1
            curves.append(float(table["random_auc"].mean()))
        auc.append(np.mean(curves))
    assert auc[0] > auc[1] > auc[2]
    assert auc[0] - auc[2] > 0.1
    np.testing.assert_allclose(auc, [0.673, 0.482, 0.420], atol=0.06)
