"""Networks wired by hand, whose units have known effects, and random ones whose units are as good as any direction."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..analysis import causal
from ..analysis.causal.directions import Within
from ..config import CNNConfig, MLPConfig
from ..data import ImageSet
from ..interventions import zero
from ..models import CNN, MLP, Network
from .instrument import Instrument

LAYER, LAST = "layers.0.hook_post", "layers.1.hook_post"
UNITS, EXAMPLES = 8, 40
FEW = 4
"""Units of the layers whose nulls are dear: the fewer units, the fewer draws one of them needs to be found."""
ALARM = 0.05


def images(seed: int, pixels: int = UNITS, n: int = EXAMPLES, classes: int = 2) -> ImageSet:
    """Noise with labels that nothing links to it."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 256, (n, 1, pixels)).astype(np.uint8)
    return ImageSet(drawn, rng.permutation(np.arange(n) % classes).astype(np.int64), classes, "noise")


def coded(seed: int, pixels: int = UNITS, n: int = EXAMPLES) -> ImageSet:
    """Noise whose first pixel is lit in class 1 and dark in class 0."""
    noise = images(seed, pixels, n)
    noise.images[:, 0, 0] = 255 * noise.labels
    return noise


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


def random(seed: int, units: int = UNITS, *more: int) -> MLP:
    """One unit for each pixel, then weights without a preferred direction: no unit is more than a direction."""
    rng = np.random.default_rng(seed)
    sizes = [units, *more, 2]
    return wired(np.eye(units), *(rng.standard_normal((b, a)) for a, b in pairwise(sizes)))


def one_reader(strength: float = 6.0, pixels: int = UNITS) -> MLP:
    """Unit 0 alone tells the classes apart: logits ± strength * (pixel 0 - 1/2)."""
    out = np.zeros((2, pixels))
    out[:, 0] = -strength, strength
    return wired(np.eye(pixels), out, bias=np.array([strength / 2, -strength / 2]))


def untrained(seed: int) -> CNN:
    """Two convolutions with random weights."""
    return CNN(CNNConfig(image_shape=(1, 2 * UNITS), classes=2, channels=(FEW, FEW), pool="none", head=()), seed=seed)


def one_channel(strength: float = 6.0) -> CNN:
    """Every channel holds the image, and channel 0 alone reaches the logits: ± strength * (pixel 0 - 1/2)."""
    config = CNNConfig(image_shape=(1, UNITS), classes=2, channels=(FEW,), pool="none", head=())
    model = CNN(config, seed=0).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.get_parameter("layers.0.conv.weight")[:, 0, 1, 1] = 1
        model.get_parameter("output.weight")[:, 0] = torch.tensor([-strength, strength])
        model.get_parameter("output.bias").copy_(torch.tensor([strength / 2, -strength / 2]))
    return model


def silent(seed: int) -> MLP:
    """A random network whose hidden units are all dead."""
    model = random(seed, UNITS, 4)
    torch.nn.init.constant_(model.get_parameter("layers.0.linear.bias"), -50)
    return model


def significant(table: xr.Dataset, name: str) -> bool:
    """Whether anything of this name is claimed."""
    return bool((table[name] < ALARM).any())


def dies(logit: float) -> float:
    """The cross-entropy of the right one of two classes, ``logit`` ahead of the other."""
    return float(np.log1p(np.exp(-logit)))


def _ablation(seed: int) -> tuple[float, float]:
    # Without unit 0 every image gets the logits 3 and -3: class 1 then loses, class 0 as before.
    effects = causal.ablate_all(one_reader(), coded(seed), LAYER, draws=1)
    return (dies(-6) - dies(6)) / 2, float(effects["loss_increase"][0])


def costly_units(model: Network, data: ImageSet, seed: int, layer: str = LAYER, within: Within = "space") -> int:
    """How many units are said to raise the loss more than random directions."""
    table = causal.ablate_all(model, data, layer, draws=199, within=within, seed=seed)
    return int((table["loss_increase_q"] < ALARM).sum())


def costly(model: Network, data: ImageSet, seed: int, layer: str = LAYER, within: Within = "space") -> bool:
    """Whether any unit is said to raise the loss more than random directions."""
    return costly_units(model, data, seed, layer, within) > 0


def loses(model: MLP, data: ImageSet, seed: int) -> bool:
    """Whether any unit is said to lose images."""
    return significant(causal.ablate_all(model, data, LAYER, draws=1, seed=seed), "accuracy_drop_q")


def responds(model: MLP, data: ImageSet, unit: int, seed: int) -> bool:
    """Whether turning a unit off is said to cost more than turning other units off."""
    table = causal.dose_response(model, data, LAYER, unit, factors=(0.0,), seed=seed)
    return significant(table, "loss_increase_q")


def pair(seed: int, pixels: int = UNITS) -> tuple[ImageSet, ImageSet]:
    """Clean images of class 1 and corrupted ones of class 0 that differ in every pixel."""
    clean, corrupted = images(seed, pixels), images(seed + 10_000, pixels)
    return tuple(ImageSet(i.images, np.full(len(i), c, np.int64), 2) for i, c in ((clean, 1), (corrupted, 0)))  # type: ignore[return-value]


def coded_pair(seed: int, pixels: int = UNITS) -> tuple[ImageSet, ImageSet]:
    """The same, where only the first pixel tells the class."""
    clean, corrupted = pair(seed, pixels)
    clean.images[:, 0, 0], corrupted.images[:, 0, 0] = 255, 0
    return clean, corrupted


def restores(model: MLP, pairs: tuple[ImageSet, ImageSet], seed: int) -> bool:
    """Whether any unit is said to hold more of the difference than random directions."""
    return significant(causal.patch_between(model, *pairs, LAYER, draws=199, seed=seed), "denoising_q")


def _attribution(seed: int) -> tuple[float, float]:
    table = causal.attribution_patching(random(seed), *pair(seed), LAYER, draws=1)
    return float(table["exact"].values @ table["exact"].values), float(table["estimate"].values @ table["exact"].values)


def _logits(seed: int) -> tuple[float, float]:
    model, data = random(seed), images(seed)
    table = causal.direct_logit_attribution(model, data, draws=1)
    with torch.no_grad():
        truth = model(_tensor(data))[0, 0]
    return float(truth), float((table["contribution"].sum("unit") + table["rest"])[0, 0])


def _tensor(data: ImageSet) -> Tensor:
    return data.tensor().double()


def speaks(model: MLP, data: ImageSet, seed: int) -> bool:
    """Whether any unit is said to speak for or against a class."""
    return significant(causal.direct_logit_attribution(model, data, LAYER, draws=199, seed=seed), "evidence_q")


def path_network(seed: int, connected: bool = True) -> MLP:
    """Unit 0 reaches logit 1 through unit 0 (2 × 1) and unit 1 (3 × 5) of the next layer, or not at all."""
    middle = np.abs(np.random.default_rng(seed).standard_normal((2, UNITS)))
    middle[:, 0] = (2, 3) if connected else 0
    return wired(np.eye(UNITS), middle, np.array([[0.0, 0.0], [1.0, 5.0]]))


def path(model: MLP, seed: int) -> np.ndarray:
    """Effect of the path from unit 0 on both units of the next layer; the pairs differ in pixel 0 alone."""
    clean, corrupted = coded_pair(seed)
    corrupted.images[:, 0, 1:] = clean.images[:, 0, 1:]
    return causal.path_patching(
        model, clean, corrupted, (LAYER, 0), (LAST, None), metric=lambda logits: logits[:, 1], draws=1
    )["effect"].values


def _through(seed: int) -> tuple[float, float]:
    return 15 / 17, float(path(path_network(seed), seed)[1])


def unconnected(seed: int) -> bool:
    """Whether a path is claimed from a unit without any."""
    clean, corrupted = pair(seed)
    table = causal.path_patching(
        path_network(seed, connected=False), clean, corrupted, (LAYER, 0), (LAST, None), draws=1
    )
    return bool(table["effect"].any())


def _curve(seed: int) -> tuple[float, float]:
    # Right on all images until the reader goes; then on one class of two.
    order = np.arange(UNITS)[::-1]
    table = causal.cumulative_ablation(
        one_reader(), coded(seed), LAYER, {"reader last": order}, shares=(0, 0.5, 0.75, 1), draws=1
    )
    return 1 - 0.25 / 4, float(table["auc"][0])


def stands_out(model: MLP, data: ImageSet, order: np.ndarray, seed: int) -> bool:
    """Whether an order is said to do more or less harm than random ones."""
    table = causal.cumulative_ablation(model, data, LAYER, {"it": order}, shares=(0, 0.25, 0.5, 1), draws=59, seed=seed)
    return significant(table, "auc_q")


def shifts(model: MLP, data: ImageSet, unit: int, seed: int) -> bool:
    """Whether cutting out a unit is said to move more images than cutting out others."""
    return significant(causal.confusion_shift(model, data, [(LAYER, zero(unit=unit))], seed=seed), "moved_p")


def _shift(seed: int) -> tuple[float, float]:
    table = causal.confusion_shift(one_reader(), coded(seed), [(LAYER, zero(unit=0))])
    return EXAMPLES / 2, float(table["shift"][1, 0])


def doubled(pixels: int = UNITS) -> MLP:
    """Units 0 and 1 both read pixel 0, and either is enough: logits ± (6 * min(1, unit 0 + unit 1) - 3)."""
    first, either = np.eye(pixels), np.zeros((2, pixels))
    first[1] = first[0]
    either[:, :2] = 1
    model = wired(first, either, np.array([[-6.0, 6.0], [6.0, -6.0]]), bias=np.array([3.0, -3.0]))
    with torch.no_grad():
        model.get_parameter("layers.1.linear.bias")[1] = -1  # relu(s) - relu(s - 1) is min(1, s)
    return model


def undecided(seed: int) -> MLP:
    """Random, and all but even between the classes: with labels that nothing links to the images, two units interact on each
    image, but as often to its good as to its harm.
    """
    model = random(seed, UNITS, 4)
    with torch.no_grad():
        model.get_parameter("output.weight").mul_(0.01)
    return model


def interact(model: MLP, data: ImageSet) -> bool:
    """Whether any two units are said to be redundant, or to need each other."""
    return significant(causal.interactions(model, data, LAYER), "interaction_q")


def _pair(seed: int) -> tuple[float, float]:
    # One of them gone changes nothing; both gone is as if pixel 0 were dark.
    table = causal.interactions(doubled(), coded(seed), LAYER)
    return (dies(-6) - dies(6)) / 2, float(table["interaction"][0, 1])


def _claimed(seed: int) -> tuple[float, float]:
    table = causal.interactions(doubled(), coded(seed), LAYER)
    claimed = np.argwhere(np.triu(table["interaction_q"].values < ALARM))
    return 1.0, float(claimed.tolist() == [[0, 1]])


def _silent_pairs(seed: int) -> bool:
    table = causal.interactions(silent(seed), images(seed), LAYER)
    return bool(np.nan_to_num(table["interaction"].values).any())


MANY = 45
"""Units of the layers in which one unit is compared with all others: fewer could not reach p < 0.05."""


def _of_the_last(seed: int) -> bool:
    table = causal.attribution_patching(silent(seed), *pair(seed), LAYER, draws=1)
    return bool(table["estimate"].notnull().any())


INSTRUMENTS = [
    Instrument(
        "ablation (loss added)",
        "causal.ablate_all",
        "a unit that alone tells two classes apart; its cost in closed form",
        "a layer of dead units; alarm: any change that is not 0",
        _ablation,
        1e-12,
        lambda seed: bool(causal.ablate_all(silent(seed), images(seed), LAYER, draws=1)["loss_change"].any()),
        "nat",
    ),
    Instrument(
        "ablation against random directions",
        "causal.ablate_all",
        "a unit that alone tells two classes apart among eight",
        "isotropic random weights and labels; alarm: q < 0.05 for a unit",
        lambda seed: (1.0, costly_units(one_reader(), coded(seed), seed)),
        0.0,
        lambda seed: costly(random(seed), images(seed), seed),
        "units",
    ),
    Instrument(
        "ablation against directions within the orthant",
        "causal.ablate_all",
        "a unit that alone tells two classes apart among eight",
        "isotropic random weights and labels; alarm: q < 0.05 for a unit",
        lambda seed: (1.0, costly_units(one_reader(), coded(seed), seed, within="orthant")),
        0.0,
        lambda seed: costly(random(seed), images(seed), seed, within="orthant"),
        "units",
    ),
    Instrument(
        "ablation of channels against random mixes of channels",
        "causal.ablate_all",
        "a channel that alone tells two classes apart among four with the same map",
        "an untrained network of two convolutions; alarm: q < 0.05 for a channel of the second",
        lambda seed: (1.0, costly_units(one_channel(), coded(seed), seed)),
        0.0,
        lambda seed: costly(untrained(seed), images(seed, 2 * UNITS), seed, LAST),
        "channels",
    ),
    Instrument(
        "ablation and labels",
        "causal.label_dependence",
        "a unit whose ablation moves the logits of one class by 6 and -6",
        "random weights and labels; alarm: q < 0.05 for a unit",
        lambda seed: (
            3.0,
            float(causal.label_dependence(one_reader(), coded(seed), LAYER)["loss_beyond_labels"][0]),
        ),
        1e-12,
        lambda seed: significant(causal.label_dependence(random(seed), images(seed), LAYER), "loss_beyond_labels_q"),
        "nat",
    ),
    Instrument(
        "ablation (images lost)",
        "causal.ablate_all",
        "a unit without which one of two classes is lost",
        "isotropic random weights and labels; alarm: q < 0.05 for a unit",
        lambda seed: (
            0.5,
            float(causal.ablate_all(one_reader(), coded(seed), LAYER, draws=1)["accuracy_drop"][0]),
        ),
        0.0,
        lambda seed: loses(random(seed), images(seed), seed),
        "share of images",
    ),
    Instrument(
        "dose and response",
        "causal.dose_response",
        "a unit whose doubling adds 6 to a known logit difference",
        "one of 45 units that are all alike; alarm: q < 0.05 when turned off",
        lambda seed: (
            (dies(18) - dies(6)) / 2,
            float(causal.dose_response(one_reader(), coded(seed), LAYER, 0, factors=(2.0,))["loss_increase"][0]),
        ),
        1e-12,
        lambda seed: responds(random(seed, MANY), images(seed, MANY), seed % MANY, seed),
        "nat",
    ),
    Instrument(
        "interaction of two units",
        "causal.interactions",
        "two units that stand in for each other: nothing lost without one, all without both",
        "a layer of dead units; alarm: any interaction that is not 0",
        _pair,
        1e-12,
        _silent_pairs,
        "nat",
    ),
    Instrument(
        "interaction that holds on other images",
        "causal.interactions",
        "the same pair among 28: it is claimed, and no other",
        "a random network that all but tosses a coin, and random labels; alarm: q < 0.05 for a pair",
        _claimed,
        0.0,
        lambda seed: interact(undecided(seed), images(seed)),
        "pairs",
    ),
    Instrument(
        "activation patching",
        "causal.patch_between",
        "one unit holds all of the difference",
        "isotropic random weights, other images; alarm: q < 0.05 for a unit",
        lambda seed: (
            1.0,
            float(causal.patch_between(one_reader(), *coded_pair(seed), LAYER, draws=1)["denoising"][0]),
        ),
        1e-12,
        lambda seed: restores(random(seed, FEW), pair(seed, FEW), seed),
        "share of the difference",
    ),
    Instrument(
        "attribution patching",
        "causal.attribution_patching",
        "the last layer, where it is exact: estimate · exact = exact · exact",
        "a layer of dead units; alarm: any estimate",
        _attribution,
        1e-12,
        _of_the_last,
    ),
    Instrument(
        "direct logit attribution (sum)",
        "causal.direct_logit_attribution",
        "the logits of a random network",
        "a layer of dead units; alarm: any contribution that is not 0",
        _logits,
        1e-12,
        lambda seed: bool(
            causal.direct_logit_attribution(silent(seed), images(seed), LAYER, draws=1)["contribution"].any()
        ),
        "logit",
    ),
    Instrument(
        "direct logit attribution (evidence)",
        "causal.direct_logit_attribution",
        "a unit of value 1 in one class and 0 in the other, with weight 6",
        "random weights and labels; alarm: q < 0.05 for a unit and a class",
        lambda seed: (
            6.0,
            float(causal.direct_logit_attribution(one_reader(), coded(seed), draws=1)["evidence"][0, 1]),
        ),
        1e-12,
        lambda seed: speaks(random(seed, FEW), images(seed, FEW), seed),
        "logit",
    ),
    Instrument(
        "path patching",
        "causal.path_patching",
        "a path of weights 3 × 5 beside one of 2 × 1",
        "a unit without connections; alarm: any effect that is not 0",
        _through,
        1e-12,
        unconnected,
        "share of the difference",
    ),
    Instrument(
        "cumulative ablation",
        "causal.cumulative_ablation",
        "accuracy that falls only when the last of eight units goes",
        "a random order; alarm: q < 0.05 among 59 random orders",
        _curve,
        1e-12,
        lambda seed: stands_out(random(seed), images(seed), np.random.default_rng(seed + 999).permutation(UNITS), seed),
        "area",
    ),
    Instrument(
        "confusion shift",
        "causal.confusion_shift",
        "a unit without which all images of one class are read as the other",
        "one of 45 units that are all alike; alarm: p < 0.05 for the images moved",
        _shift,
        0.0,
        lambda seed: shifts(random(seed, MANY), images(seed, MANY), seed % MANY, seed),
        "images",
    ),
]
