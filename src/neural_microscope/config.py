"""Settings of a network, its training and its recording: the source of the command line's options and of ``run.json``."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from . import doors
from .doors import door
from .errors import MicroscopeError, unknown

Activation = Literal["relu", "tanh", "gelu"]
Norm = Literal["none", "layer", "batch"]
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
"""The names of the optimizers as prose writes them."""


class ConfigError(MicroscopeError, ValueError):
    """An invalid setting."""


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ConfigError(text)


_MOST = 1 << 40
_EACH = (
    lambda v: len(v) <= 1000 and all(isinstance(n, int) and 0 < n <= 1 << 24 for n in v),
    "each entry must be a whole number from 1 to 16,777,216, for at most 1,000 layers",
)
_COUNT = (lambda v: 0 <= v <= _MOST, "it must be 0 or more")
_POSITIVE = (lambda v: 0 < v <= _MOST, "it must be 1 or more")
_FINITE = (lambda v: v >= 0 and math.isfinite(v), "it must be 0 or more, and finite")
_CAN_BE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "image_shape": (
        lambda v: len(v) == 2 and all(0 < n <= 1 << 16 for n in v),
        "it must be (rows, columns), both above 0 and at most 65,536",
    ),
    "image_channels": (lambda v: 1 <= v <= 1024, "it must be from 1 to 1,024"),
    "classes": (lambda v: 2 <= v <= 1 << 16, "it must be at least 2 and at most 65,536"),
    "dropout": (lambda v: 0 <= v < 1, "it must be a share from 0 to below 1"),
    "kernel": (lambda v: 0 < v < 1000 and v % 2 == 1, "it must be odd, above 0 and below 1,000"),
    "label_noise": (lambda v: 0 <= v <= 1, "it must be a share from 0 to 1"),
    "threads": (lambda v: 1 <= v <= 1024, "it must be from 1 to 1,024"),
    "seed": (lambda v: -(1 << 63) <= v < 1 << 63, "it must be an integer of 64 bits"),
    "tokens": (lambda v: isinstance(v, int) or v in ("mean", "all"), "it must be a token's number, mean or all"),
    "steps": (lambda v: all(n >= 0 for n in v), "each entry must be 0 or more"),
    "device": (
        re.compile(r"auto|gpu|(cpu|cuda|mps|xpu)(:[0-9]+)?").fullmatch,
        "it must be auto, gpu, cpu, cuda, mps or xpu, or cuda:1 if there are several",
    ),
    "channels": _EACH,
    **dict.fromkeys(("hidden", "head"), (_EACH[0], f"{_EACH[1]}; leave it empty for no hidden layer")),
    **dict.fromkeys(
        (
            "epochs",
            "warmup_steps",
            "per_octave",
            "gallery_size",
            "norms_every",
            "every",
            "planned_steps",
            "steps_per_epoch",
        ),
        _COUNT,
    ),
    **dict.fromkeys(("batch_size", "probe_size"), _POSITIVE),
    **dict.fromkeys(("learning_rate", "momentum", "weight_decay", "max_megabytes"), _FINITE),
}
"""The check of each setting by its name, and that check in words."""


@functools.cache
def _kinds(settings: type) -> dict[str, Any]:
    return get_type_hints(settings)


class Checked:
    """Settings that are checked when they are created."""

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            _require(doors.fits(value, kind), f"{name} is {doors.came(value)}; it must be {doors.wanted(kind)}")
            options = get_args(kind) if get_origin(kind) is Literal else (value,)
            _require(value in options, f"{name} is {value!r}; it must be one of {', '.join(map(str, options))}")
            good, words = _CAN_BE.get(name, (lambda value: True, ""))
            if (good, words) in (_COUNT, _POSITIVE) and value > _MOST:
                words = f"it must be at most {_MOST:,}"
            _require(good(value), f"{name} is {value!r}; {words}")


@dataclass(frozen=True)
class _NetworkConfig(Checked):
    """The settings common to an MLP and a CNN."""

    image_shape: tuple[int, int] = (28, 28)
    """Rows and columns of an image."""
    image_channels: int = 1
    """Channels of an image: 1 gray, 3 in color, or any other number."""
    classes: int = 10
    """The number of classes."""
    activation: Activation = "relu"
    """The nonlinearity. hook_pre is recorded before it, hook_post after it."""
    norm: Norm = "none"
    """Normalization in every hidden layer: none, layer or batch."""
    norm_position: Literal["before", "after"] = "before"
    """The position of normalization: before or after the nonlinearity."""
    dropout: float = 0.0
    """Share of a hidden layer's outputs dropped while training, 0 to below 1."""
    init_scale: float = 1.0
    """Factor on every initial weight and bias (PyTorch's default initialization is 1)."""
    bias: bool = True
    """Linear and convolutional maps have a bias."""
    pixel_mean: float = 0.0
    """Subtracted from the pixels inside the model."""
    pixel_std: float = 1.0
    """The pixels are divided by this value inside the model, after pixel_mean is subtracted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            self.pixel_std > 0 and math.isfinite(self.pixel_std) and math.isfinite(self.pixel_mean),
            f"pixel_mean, pixel_std are {self.pixel_mean}, {self.pixel_std}; both must be finite and pixel_std above 0",
        )


@dataclass(frozen=True)
class MLPConfig(_NetworkConfig):
    """A multi-layer perceptron: hidden layers of the given widths, then logits.

    Raises:
        ConfigError: An invalid setting.

    >>> nm.MLPConfig(image_shape=(8, 8), hidden=(32, 16)).activation
    'relu'
    """

    hidden: tuple[int, ...] = (128, 64)
    """Width of each hidden layer; empty makes a linear classifier."""


@dataclass(frozen=True)
class CNNConfig(_NetworkConfig):
    """A convolutional network: convolutional layers, each with an optional pooling, then dense layers, then logits.

    Raises:
        ConfigError: An invalid setting.

    >>> nm.CNNConfig(channels=(8, 16), pool="average").kernel
    3
    """

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
        _require(len(self.channels) >= 1, "channels is empty; a CNN needs at least one convolutional layer")
        smallest = min(self.image_shape) // (1 if self.pool == "none" else 2 ** len(self.channels))
        _require(
            smallest >= 1,
            f"{len(self.channels)} poolings leave nothing of an image of {self.image_shape}; use fewer channels or pool='none'",
        )


NetworkConfig = MLPConfig | CNNConfig


@door
def fitted(
    network: NetworkConfig, image_shape: tuple[int, int], classes: int, image_channels: int = 1
) -> NetworkConfig:
    """The network for such data.

    A shape, a class count or a number of channels other than the default was set by the caller, and is kept: if it does not fit, training
    raises an error.

    Args:
        network: Settings of the network.
        image_shape: (rows, columns) of an image.
        classes: Number of classes.
        image_channels: Channels of an image.
    """
    default = type(network)()
    own: dict[str, Any] = {"image_shape": image_shape, "classes": classes, "image_channels": image_channels}
    return dataclasses.replace(network, **{k: v for k, v in own.items() if getattr(network, k) == getattr(default, k)})


@dataclass(frozen=True)
class TrainConfig(Checked):
    """Settings of training.

    Raises:
        ConfigError: An invalid setting.

    >>> nm.TrainConfig(epochs=20, optimizer="sgd", learning_rate=0.1, momentum=0.9).batch_size
    128
    """

    epochs: int = 10
    """Passes over the training images; 0 records the untrained network only."""
    batch_size: int = 128
    """Images per step; the last batch of an epoch may hold fewer, see drop_last."""
    drop_last: bool = False
    """Leave out the last batch of an epoch where it holds fewer images than the others."""
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"
    """The optimizer."""
    learning_rate: float = 1e-3
    """The peak learning rate."""
    schedule: Literal["constant", "cosine", "step"] = "constant"
    """The learning-rate schedule: constant; cosine to zero; step divides it by 10 after half and three quarters."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from zero."""
    momentum: float = 0.0
    """Momentum of sgd."""
    weight_decay: float = 0.0
    """L2 penalty (sgd, adam) or decoupled weight decay (adamw)."""
    label_noise: float = 0.0
    """Share of training labels replaced, once and for the whole run, by a label drawn uniformly from all classes."""
    seed: int = 0
    """Seed of the order of batches, of dropout and of label noise. The initial weights follow the seed given to the model."""
    threads: int = 1
    """CPU threads. The same seed and thread count give the same bits."""
    device: str = "cpu"
    """The device, as PyTorch names it: cpu, cuda, mps; auto for the fastest available, gpu for the fastest that is not the CPU. A run
    stores the name of the device used."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The precision of a step's products; weights, optimizer state and everything recorded are float32 in any case."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", str(self.device).lower())
        super().__post_init__()
        _require(
            not self.momentum or self.optimizer == "sgd",
            f"momentum is {self.momentum} but the optimizer is {self.optimizer!r}; only sgd uses momentum here",
        )


@dataclass(frozen=True)
class RecordConfig(Checked):
    """Settings of recording.

    Raises:
        ConfigError: An invalid setting.

    >>> nm.RecordConfig(per_octave=1, hook_points=("layers.1.hook_post",)).every_epoch
    True
    """

    per_octave: int = 2
    """Snapshots for each doubling of the step number, from step 0 on; 0 leaves only the epochs and the explicit steps."""
    every_epoch: bool = True
    """Each epoch's end is a snapshot too."""
    steps: tuple[int, ...] = ()
    """Further steps to snapshot."""
    every: int = 0
    """A snapshot each time so many steps are done; 0 for none."""
    hook_points: tuple[str, ...] = ()
    """Hook points to record. By default all except the input that hold a tensor with a row for each image."""
    probe_size: int = 1000
    """Number of probe images: the test images whose activations are recorded at every snapshot. They are balanced over the classes;
    a class with too few images gives all it has, which is reported and noted."""
    gallery_size: int = 10
    """Probe images whose whole feature maps are kept (convolutional layers); the first of each class in turn."""
    norms_every: int = 10
    """Interval in steps for gradient norm and update-to-weight ratio of each parameter; 0 for never."""
    max_megabytes: float = 100
    """The size limit of a snapshot, in MB before compression; a larger one is an error at the start of training."""
    tokens: int | Literal["mean", "all"] = "mean"
    """For networks on sequences. mean: mean and maximum over the tokens, and for the gallery every token; all: every token;
    a number: that token (-1 is the last)."""
    keep_states: bool = False
    """Keep the state for exact resume at every snapshot, so that `replay` can fork the training there; the last two are always kept.
    With Adam it takes twice the space of the weights."""


@dataclass(frozen=True)
class LoopConfig(Checked):
    """The settings of a training loop of the caller's own that `nm.record` recorded, as far as they are known.

    Raises:
        ConfigError: An invalid setting.
    """

    planned_steps: int = 0
    """Optimizer steps that were planned; 0 if nobody said."""
    steps_per_epoch: int = 0
    """Optimizer steps in an epoch; 0 if nobody said."""
    optimizer: str = ""
    """Name of the optimizer's class, if it was given at the start."""
    learning_rate: float = 0.0
    """Its learning rate at the start; 0 if nobody said."""
    seed: int = 0
    """PyTorch's seed at the start."""
    device: str = "cpu"
    """The device of the model's parameters."""
    threads: int = 1
    """CPU threads."""


_KINDS: dict[str, type[Any]] = {
    "mlp": MLPConfig,
    "cnn": CNNConfig,
    "train": TrainConfig,
    "record": RecordConfig,
    "loop": LoopConfig,
}


@door
def to_json(config: Any) -> dict[str, Any]:
    """A config as plain JSON values, with ``kind`` naming its class.

    Args:
        config: An MLPConfig, CNNConfig, TrainConfig, RecordConfig or LoopConfig.

    Raises:
        ConfigError: Anything else.
    """
    kind = next((k for k, cls in _KINDS.items() if type(config) is cls), None)
    if kind is None:
        raise ConfigError(f"{type(config).__name__} is not one of {', '.join(c.__name__ for c in _KINDS.values())}")
    return {"kind": kind, **dataclasses.asdict(config)}


@door
def from_json(values: dict[str, Any]) -> Any:
    """The config written by `to_json`.

    Args:
        values: Its plain values.

    Raises:
        UnknownName: An unknown kind or field; the message suggests the nearest name.
        ConfigError: An invalid setting.
    """
    from . import documents  # its library is slow to import, and `--help` does not need it

    values = dict(values)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise unknown("kind of config", kind, _KINDS)
    names = [field.name for field in dataclasses.fields(_KINDS[kind])]
    for name in values:
        if name not in names:
            raise unknown(f"setting of {_KINDS[kind].__name__}", name, names)
    return documents.convert(values, _KINDS[kind], f"the config of kind {kind!r}", ConfigError)
