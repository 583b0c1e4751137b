"""The settings of a network, of its training and of its recording: what the command line and ``run.json`` are made of."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

from .errors import MicroscopeError, unknown

Activation = Literal["relu", "tanh", "gelu"]
Norm = Literal["none", "layer", "batch"]


class ConfigError(MicroscopeError, ValueError):
    """A setting that can't be."""


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ConfigError(text)


def _one_of(name: str, value: object, options: tuple[str, ...]) -> None:
    _require(value in options, f"{name} is {value!r}; it is one of {', '.join(options)}")


@dataclass(frozen=True)
class _NetworkConfig:
    """What an MLP and a CNN have in common."""

    image_shape: tuple[int, int] = (28, 28)
    """Rows and columns of an image."""
    classes: int = 10
    """How many classes the logits tell apart."""
    activation: Activation = "relu"
    """The nonlinearity between hook_pre and hook_post."""
    norm: Norm = "none"
    """Normalisation in every hidden layer: none, layer or batch."""
    norm_position: Literal["before", "after"] = "before"
    """Whether normalisation comes before or after the nonlinearity."""
    dropout: float = 0.0
    """Share of a hidden layer's outputs dropped while training, 0 to below 1."""
    init_scale: float = 1.0
    """Factor on every initial weight and bias (PyTorch's default initialisation is 1)."""
    bias: bool = True
    """Whether linear and convolutional maps have a bias."""
    pixel_mean: float = 0.0
    """Subtracted from the pixels inside the model."""
    pixel_std: float = 1.0
    """The pixels are divided by it inside the model, after pixel_mean is subtracted."""

    def __post_init__(self) -> None:
        _require(
            len(self.image_shape) == 2 and all(n > 0 for n in self.image_shape),
            f"image_shape is {self.image_shape!r}; it is (rows, columns), both above 0",
        )
        _require(self.classes >= 2, f"classes is {self.classes}; it is at least 2")
        _one_of("activation", self.activation, ("relu", "tanh", "gelu"))
        _one_of("norm", self.norm, ("none", "layer", "batch"))
        _one_of("norm_position", self.norm_position, ("before", "after"))
        _require(0 <= self.dropout < 1, f"dropout is {self.dropout}; it is a share from 0 to below 1")
        _require(
            self.pixel_std > 0 and math.isfinite(self.pixel_std) and math.isfinite(self.pixel_mean),
            f"pixel_mean, pixel_std are {self.pixel_mean}, {self.pixel_std}; both are finite and pixel_std is above 0",
        )


def _positive(name: str, values: tuple[int, ...]) -> None:
    _require(
        all(isinstance(v, int) and v > 0 for v in values), f"{name} is {values!r}; each entry is an integer above 0"
    )


@dataclass(frozen=True)
class MLPConfig(_NetworkConfig):
    """A multi-layer perceptron: hidden layers of the given widths, then logits."""

    hidden: tuple[int, ...] = (128, 64)
    """Width of each hidden layer; empty makes a linear classifier."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("hidden", self.hidden)


@dataclass(frozen=True)
class CNNConfig(_NetworkConfig):
    """A convolutional network: convolutional layers, each with an optional pooling, then dense layers, then logits."""

    channels: tuple[int, ...] = (16, 32)
    """Channels of each convolutional layer."""
    kernel: int = 3
    """Side of each kernel; odd, so that padding keeps the image's size."""
    pool: Literal["max", "average", "none"] = "max"
    """Pooling after each convolutional layer, two by two."""
    head: tuple[int, ...] = (64,)
    """Widths of the dense hidden layers after the convolutions; may be empty."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("channels", self.channels)
        _positive("head", self.head)
        _require(len(self.channels) >= 1, "channels is empty; a CNN has at least one convolutional layer")
        _require(self.kernel > 0 and self.kernel % 2 == 1, f"kernel is {self.kernel}; it is odd and above 0")
        _one_of("pool", self.pool, ("max", "average", "none"))
        smallest = min(self.image_shape) // (1 if self.pool == "none" else 2 ** len(self.channels))
        _require(
            smallest >= 1,
            f"{len(self.channels)} poolings leave nothing of an image of {self.image_shape}; use fewer channels or pool='none'",
        )


NetworkConfig = MLPConfig | CNNConfig


def fitted(network: NetworkConfig, image_shape: tuple[int, int], classes: int) -> NetworkConfig:
    """The network for such data. A shape or a class count other than the default was asked for, and stays: where it does not fit,
    training says so.
    """
    default = type(network)()
    own: dict[str, Any] = {"image_shape": image_shape, "classes": classes}
    return dataclasses.replace(network, **{k: v for k, v in own.items() if getattr(network, k) == getattr(default, k)})


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained."""

    epochs: int = 10
    """Passes over the training images; 0 records the untrained network only."""
    batch_size: int = 128
    """Images a step; the last batch of an epoch may hold fewer."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    """The optimiser."""
    learning_rate: float = 1e-3
    """The peak learning rate."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """How the learning rate changes: constant; cosine to zero; step divides it by 10 after half and three quarters."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from zero."""
    momentum: float = 0.0
    """Momentum of sgd."""
    weight_decay: float = 0.0
    """L2 penalty (sgd, adam) or decoupled weight decay (adamw)."""
    label_noise: float = 0.0
    """Share of training labels replaced, once and for the whole run, by a label drawn uniformly from all classes."""
    seed: int = 0
    """Seed of the order of batches, of dropout and of label noise. The initial weights have the model's own seed."""
    threads: int = 1
    """CPU threads. The same seed and thread count give the same bits."""
    device: str = "cpu"
    """Where to compute, as PyTorch names it: cpu, cuda, mps."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What a step's products are computed in; weights, optimiser and everything recorded are float32 either way."""

    def __post_init__(self) -> None:
        _require(self.epochs >= 0, f"epochs is {self.epochs}; it is 0 or more")
        _require(self.batch_size > 0, f"batch_size is {self.batch_size}; it is above 0")
        _one_of("optimizer", self.optimizer, ("sgd", "adam", "adamw"))
        _one_of("schedule", self.schedule, ("constant", "cosine", "step"))
        _one_of("precision", self.precision, ("float32", "bfloat16"))
        for name in ("learning_rate", "momentum", "weight_decay"):
            value = getattr(self, name)
            _require(value >= 0 and math.isfinite(value), f"{name} is {value}; it is finite and not below 0")
        _require(
            not self.momentum or self.optimizer == "sgd",
            f"momentum is {self.momentum} but the optimizer is {self.optimizer!r}; only sgd has momentum here",
        )
        _require(self.warmup_steps >= 0, f"warmup_steps is {self.warmup_steps}; it is 0 or more")
        _require(0 <= self.label_noise <= 1, f"label_noise is {self.label_noise}; it is a share from 0 to 1")
        _require(self.threads >= 1, f"threads is {self.threads}; it is 1 or more")


@dataclass(frozen=True)
class RecordConfig:
    """What is recorded of a run, and when."""

    per_octave: int = 2
    """Snapshots for each doubling of the step, from step 0 on; 0 leaves only the epochs and the explicit steps."""
    every_epoch: bool = True
    """Whether each epoch's end is a snapshot too."""
    steps: tuple[int, ...] = ()
    """Further steps to snapshot."""
    hook_points: tuple[str, ...] = ()
    """Hook points to record; empty means all but the input."""
    probe_size: int = 1000
    """Test images whose activations are recorded, fixed for the run's life; as many of each class as of any other, as far as the test
    set has them. A class that is rare there gives all it has, which is said and noted, and takes nothing from the others."""
    gallery_size: int = 10
    """Probe images whose whole feature maps are kept (convolutional layers); the first of each class in turn."""
    norms_every: int = 10
    """Every so many steps, gradient norm and update-to-weight ratio of each parameter; 0 for never."""

    def __post_init__(self) -> None:
        for name in ("per_octave", "gallery_size", "norms_every"):
            _require(getattr(self, name) >= 0, f"{name} is {getattr(self, name)}; it is 0 or more")
        _require(self.probe_size > 0, f"probe_size is {self.probe_size}; it is above 0")
        _require(all(s >= 0 for s in self.steps), f"steps is {self.steps!r}; each entry is 0 or more")


_KINDS: dict[str, type[Any]] = {
    "mlp": MLPConfig,
    "cnn": CNNConfig,
    "train": TrainConfig,
    "record": RecordConfig,
}


def to_json(config: Any) -> dict[str, Any]:
    """A config as plain JSON values, with ``kind`` naming its class."""
    kind = next((k for k, cls in _KINDS.items() if type(config) is cls), None)
    if kind is None:
        raise ConfigError(f"{type(config).__name__} is not one of {', '.join(c.__name__ for c in _KINDS.values())}")
    return {"kind": kind, **dataclasses.asdict(config)}


def from_json(values: dict[str, Any]) -> Any:
    """The config that `to_json` wrote. An unknown kind or field is an error that offers the nearest name."""
    values = dict(values)
    kind = values.pop("kind", None)
    if kind not in _KINDS:
        raise unknown("kind of config", kind, _KINDS)
    names = [field.name for field in dataclasses.fields(_KINDS[kind])]
    for name in values:
        if name not in names:
            raise unknown(f"setting of {_KINDS[kind].__name__}", name, names)
    return _KINDS[kind](**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
