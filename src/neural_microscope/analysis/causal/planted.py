"""Hand-wired networks whose units have known effects, and random ones whose units are exchangeable with any direction."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from ...config import MLPConfig
from ...data import ImageSet
from ...models import MLP

LAYER, LAST = "layers.0.hook_post", "layers.1.hook_post"
UNITS, EXAMPLES = 8, 40
FEW = 4
"""Units of the layers whose nulls are slow: fewer units need fewer draws for one of them to be found."""
MANY = 45
"""Units of the layers in which one unit is compared with all others: fewer can't reach p < 0.05."""


def images(seed: int, pixels: int = UNITS) -> ImageSet:
    """Noise with labels of two classes that are independent of it."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 256, (EXAMPLES, 1, pixels)).astype(np.uint8)
    return ImageSet(drawn, rng.permutation(np.arange(EXAMPLES) % 2).astype(np.int64), 2, "noise")


def coded(seed: int, pixels: int = UNITS) -> ImageSet:
    """Noise whose first pixel is lit in class 1 and dark in class 0."""
    noise = images(seed, pixels)
    noise.images[:, 0, 0] = 255 * noise.labels
    return noise


def pair(seed: int, pixels: int = UNITS) -> tuple[ImageSet, ImageSet]:
    """Clean images of class 1 and corrupted ones of class 0 that differ in every pixel."""
    clean, corrupted = images(seed, pixels), images(seed + 10_000, pixels)
    return tuple(ImageSet(i.images, np.full(len(i), c, np.int64), 2) for i, c in ((clean, 1), (corrupted, 0)))  # type: ignore[return-value]


def coded_pair(seed: int, pixels: int = UNITS) -> tuple[ImageSet, ImageSet]:
    """The same, but only the first pixel depends on the class."""
    clean, corrupted = pair(seed, pixels)
    clean.images[:, 0, 0], corrupted.images[:, 0, 0] = 255, 0
    return clean, corrupted


def wired(*weights: np.ndarray, bias: np.ndarray | float = 0.0) -> MLP:
    """A ReLU network in float64 with these weights [out, in], no biases but those of the logits."""
    sizes = [len(w) for w in weights]
    shape = (1, weights[0].shape[1])
    model = MLP(MLPConfig(image_shape=shape, classes=sizes[-1], hidden=tuple(sizes[:-1]))).double()
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    for name, weight in zip([n for n in state if n.endswith("weight")], weights, strict=True):
        state[name] = torch.from_numpy(np.asarray(weight, float))
    state["output.bias"] = state["output.bias"] + torch.as_tensor(bias)
    model.load_state_dict(state)
    return model


def one_reader(pixels: int = UNITS) -> MLP:
    """Unit 0 alone separates the classes: logits ± 6 * (pixel 0 - 1/2)."""
    out = np.zeros((2, pixels))
    out[:, 0] = -6, 6
    return wired(np.eye(pixels), out, bias=np.array([3.0, -3.0]))


def random(seed: int, units: int = UNITS, *more: int) -> MLP:
    """One unit for each pixel, then weights without a preferred direction: units are exchangeable with directions."""
    rng = np.random.default_rng(seed)
    sizes = [units, *more, 2]
    return wired(np.eye(units), *(rng.standard_normal((b, a)) for a, b in pairwise(sizes)))


def silent(seed: int) -> MLP:
    """A random network whose hidden units are all dead."""
    model = random(seed, UNITS, 4)
    torch.nn.init.constant_(model.get_parameter("layers.0.linear.bias"), -50)
    return model


def reader(seed: int, planted: bool, pixels: int = UNITS) -> tuple[MLP, ImageSet, str]:
    """A network in which unit 0 alone separates the classes, its images and its layer; or a random one."""
    made = (one_reader(pixels), coded(seed, pixels)) if planted else (random(seed, pixels), images(seed, pixels))
    return *made, LAYER


def dead(seed: int) -> tuple[MLP, ImageSet, str]:
    """A network of dead units, its images and its layer."""
    return silent(seed), images(seed), LAYER


def dies(logit: float) -> float:
    """The cross-entropy of two classes when the true one's logit is ``logit`` higher."""
    return float(np.log1p(np.exp(-logit)))
