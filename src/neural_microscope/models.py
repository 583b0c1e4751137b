"""The two networks: an MLP and a CNN with the same hook points, so every analysis runs on both.

Hook points, in order: ``input`` (the images, 0..1), then for each hidden layer ``layers.{i}.hook_pre`` (input of the
nonlinearity), ``layers.{i}.hook_post`` (its output), ``layers.{i}.hook_norm`` (only if normalization
comes after it) and ``layers.{i}.hook_pool`` (only after pooling), then ``logits``. Dense layers hold [example, unit],
convolutional ones [example, channel, row, col].
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .config import CNNConfig, MLPConfig, NetworkConfig
from .data import advice
from .doors import typed
from .errors import DataError, unknown
from .hooks import HookedModel, HookPoint, lent
from .hooks.point import Tree, watched

_ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
NEGATIVE = (
    "a model takes images in 0..1, and some values here are below 0: if they run from -1 to 1, give (images + 1) / 2; pixel "
    "normalization is part of the model's config (reported once)"
)
_POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class HiddenLayer(nn.Module):
    """A map, then normalization and nonlinearity in the configured order, then pooling and dropout.

    Args:
        weights: The map itself.
        size: Shape of its output without the example axis: (unit,) or (channel, row, col).
        config: Settings of the network.
        pool: ``max``, ``average`` or ``none``.
    """

    def __init__(
        self, weights: nn.Linear | nn.Conv2d, size: tuple[int, ...], config: NetworkConfig, pool: str = "none"
    ) -> None:
        super().__init__()
        self.kind = "conv" if isinstance(weights, nn.Conv2d) else "linear"
        self.add_module(self.kind, weights)
        self.norm = _norm(config.norm, size)
        self.norm_first = config.norm_position == "before"
        self.hook_pre = HookPoint()
        self.activation = _ACTIVATIONS[config.activation]()
        self.hook_post = HookPoint()
        self.hook_norm = HookPoint() if self.norm is not None and not self.norm_first else None
        self.pool = _POOLS[pool](2) if pool != "none" else None
        self.hook_pool = HookPoint() if self.pool is not None else None
        self.dropout = nn.Dropout(config.dropout) if config.dropout else None

    @property
    def weights(self) -> nn.Linear | nn.Conv2d:
        """The map itself: the child ``linear`` or ``conv``."""
        return getattr(self, self.kind)

    def forward(self, x: Tensor, after: str = "") -> Tensor:
        """The input of the next layer.

        Args:
            x: Input of the layer, or the value at the hook point ``after``.
            after: ``hook_pre``, ``hook_post``, ``hook_norm`` or ``hook_pool`` of this layer; empty: the whole layer.
        """
        if not after:
            x = getattr(self, self.kind)(x)
            if self.norm is not None and self.norm_first:
                x = self.norm(x)
            x = self.hook_pre(x)
        early = after in ("", "hook_pre") and self._pools_early()
        if early and self.pool is not None:
            x = self.activation(_pooled(self.pool, x))
        elif after in ("", "hook_pre"):
            x = self.hook_post(self.activation(x))
        if self.norm is not None and self.hook_norm is not None and after in ("", "hook_pre", "hook_post"):
            x = self.hook_norm(self.norm(x))
        if self.pool is not None and self.hook_pool is not None and after != "hook_pool":
            x = self.hook_pool(x if early else _pooled(self.pool, x))
        return x if self.dropout is None else self.dropout(x)

    def _pools_early(self) -> bool:
        """True if pooling may come before the nonlinearity, which saves three quarters of its work: the maximum of rectified values
        is the rectified maximum, and the same position gets the gradient. Only if no hook observes the values in between.
        """
        kinds = type(self.pool), type(self.activation), type(self.hook_post)
        if kinds != (nn.MaxPool2d, nn.ReLU, HookPoint) or self.hook_norm is not None:
            return False
        return not any(watched(module) for module in (self.pool, self.activation, self.hook_post))


def _pooled(pool: Any, x: Tensor) -> Tensor:
    """``pool(x)`` of a `MaxPool2d`; without gradients, which need the place of each maximum, bitwise the same in a third of the time."""
    if torch.is_grad_enabled() or x.device.type != "cpu" or type(pool) is not nn.MaxPool2d or watched(pool):
        return pool(x)
    if (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode) != (2, 2, 0, 1, False):
        return pool(x)
    rows, cols = (size // 2 * 2 for size in x.shape[2:])
    x = torch.maximum(x[:, :, 0:rows:2], x[:, :, 1:rows:2])
    return torch.maximum(x[..., 0:cols:2], x[..., 1:cols:2])


def _flat(x: Tensor) -> Tensor:
    return x if x.ndim == 2 else x.flatten(1)


def _norm(kind: str, size: tuple[int, ...]) -> nn.Module | None:
    if kind == "none":
        return None
    if kind == "layer":
        return nn.LayerNorm(size)
    return nn.BatchNorm1d(size[0]) if len(size) == 1 else nn.BatchNorm2d(size[0])


class Network(HookedModel):
    """The common part of MLP and CNN: input checks, pixel normalization, hidden layers in sequence, logits.

    Args:
        config: Settings of the network.
        seed: Seed of the initial weights.
    """

    copy_cached: ClassVar[bool] = False  # none of our own layers edits a tensor in place
    config: Any
    _told_of_negative = False

    def __init__(self, config: NetworkConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.seed = operator.index(seed)
        self.input = HookPoint()
        self.layers = nn.ModuleList()

    def _finish(self, width: int, hidden: Sequence[int]) -> None:
        """Dense hidden layers after a map with ``width`` outputs, and the output layer."""
        for units in hidden:
            linear = nn.Linear(width, units, bias=self.config.bias)
            self.layers.append(HiddenLayer(linear, (units,), self.config))
            width = units
        self.output = nn.Linear(width, self.config.classes, bias=self.config.bias)
        self.logits = HookPoint()
        if self.config.init_scale != 1:
            with torch.no_grad():
                for module in self.modules():
                    for parameter in module.parameters() if isinstance(module, nn.Linear | nn.Conv2d) else ():
                        parameter.mul_(self.config.init_scale)

    def _edits(self, tree: Tree) -> bool:
        ours = ("torch", "neural_microscope")
        return super()._edits(tree) or any(type(m).__module__.split(".")[0] not in ours for m in tree.first.values())

    def forward(self, images: Tensor) -> Tensor:
        """Logits [example, class]. Values below 0 raise a UserWarning, once.

        Args:
            images: Floats in 0..1, [example, channel, row, col].

        Raises:
            DataError: Anything else.
        """
        if check_images(images, self.config.image_shape, self.config.image_channels) < 0 and not self._told_of_negative:
            self._told_of_negative = True
            warnings.warn(NEGATIVE, UserWarning, stacklevel=4)
        return self._from_input(self.input(images))

    def run_from(self, hook_point: str, tensor: Tensor) -> Tensor:
        """Logits [example, class] of the forward pass from a hook point on.

        Hooks at later points fire, those at ``hook_point`` itself do not.

        Args:
            hook_point: Name of a hook point, such as ``layers.1.hook_post``.
            tensor: The value there, [example, …].

        Raises:
            UnknownName: A name that is not a hook point.

        >>> _, cache = model.run_with_cache(images)
        >>> model.run_from("layers.1.hook_post", cache["post", 1]).equal(cache["logits"])
        True
        """
        if hook_point not in self.hook_points:
            raise unknown("hook point", hook_point, self.hook_points)
        if self._current()[2]:
            tensor = lent(tensor)
        if hook_point == "input":
            return self._from_input(tensor)
        if hook_point == "logits":
            return tensor
        _, number, point = hook_point.split(".")
        return self._layers(self.layers[int(number)](tensor, point), int(number) + 1)

    def _from_input(self, x: Tensor) -> Tensor:
        if self.config.pixel_mean != 0 or self.config.pixel_std != 1:
            x = (x - self.config.pixel_mean) / self.config.pixel_std
        return self._layers(self._shape(x))

    def _layers(self, x: Tensor, first: int = 0) -> Tensor:
        for number, layer in enumerate(self.layers):
            if number >= first:  # slicing a ModuleList would create a module at every pass
                x = layer(_flat(x) if layer.kind == "linear" else x)
        return self.logits(self.output(_flat(x)))

    def _shape(self, x: Tensor) -> Tensor:
        return x


class MLP(Network):
    """A multi-layer perceptron with named hook points; the same config and seed give the same weights.

    With ``init_scale`` 1 the weights equal those of ``torch.manual_seed(seed)`` followed by one ``nn.Linear`` after
    another.

    Args:
        config: Settings of the network; None: the defaults of `MLPConfig`.
        seed: Seed of the initial weights.

    >>> nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)), seed=0)(images).shape == (len(images), 10)
    True
    """

    @typed
    def __init__(self, config: MLPConfig | None = None, seed: int = 0) -> None:
        config = config or MLPConfig()
        super().__init__(config, seed)
        with _seeded(self.seed):
            self._finish(config.image_channels * math.prod(config.image_shape), config.hidden)

    def _shape(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class CNN(Network):
    """Convolutional layers that keep the image's size, each with a halving pooling, then dense layers and logits.

    The weights come from the seed as in `MLP`: ``nn.Conv2d`` after ``nn.Conv2d``, then ``nn.Linear`` after
    ``nn.Linear``.

    Args:
        config: Settings of the network; None: the defaults of `CNNConfig`.
        seed: Seed of the initial weights.

    >>> cnn = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4,), head=(16,)))
    >>> cnn.run_with_cache(images[:1])[1]["pool", 0].shape
    torch.Size([1, 4, 4, 4])
    """

    @typed
    def __init__(self, config: CNNConfig | None = None, seed: int = 0) -> None:
        config = config or CNNConfig()
        super().__init__(config, seed)
        rows, cols = config.image_shape
        before = config.image_channels
        with _seeded(self.seed):
            for channels in config.channels:
                convolution = nn.Conv2d(before, channels, config.kernel, padding=config.kernel // 2, bias=config.bias)
                self.layers.append(HiddenLayer(convolution, (channels, rows, cols), config, config.pool))
                before = channels
                if config.pool != "none":
                    rows, cols = rows // 2, cols // 2
            self._finish(before * rows * cols, config.head)
        # The same values in another memory format, in which convolutions on a CPU are about twice as fast.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@typed
def build(config: NetworkConfig, seed: int = 0) -> Network:
    """The network that a config describes.

    Args:
        config: Settings of the network.
        seed: Seed of the initial weights.
    """
    return MLP(config, seed) if isinstance(config, MLPConfig) else CNN(config, seed)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """PyTorch's CPU generator starts from a seed inside the block; its state outside is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the other devices' generators too
        yield


def check_images(images: Any, image_shape: tuple[int, int], image_channels: int = 1) -> float:
    """The lowest value of ``images``, after checking that they are valid input.

    Does nothing inside a compiled model, where it would split the graph; values that can't be read, as inside
    ``torch.func.vmap``, are not checked. The value is then 0, as it is without images.

    Args:
        images: Float tensor [example, channel, row, col], no value above 1, all finite.
        image_shape: (rows, columns) of an image.
        image_channels: Channels of an image.

    Raises:
        DataError: Anything else.
    """
    if torch.compiler.is_compiling():
        return 0.0
    if not isinstance(images, Tensor):
        ways = {"ndarray": ", and so does torch.from_numpy(images)", "list": ", and so does torch.tensor(images)"}
        way = f"An ImageSet gives one: digits.test.tensor(){ways.get(type(images).__name__, '')}"
        raise DataError(f"a model takes a torch tensor; got {type(images).__name__}. {way}")
    if not images.is_floating_point():
        dtype = str(images.dtype).removeprefix("torch.")
        raise DataError(f"a model takes float images in 0..1; got {dtype}; {advice.tensor_values(images)}")
    if images.ndim != 4 or images.shape[1:] != (image_channels, *image_shape):
        rows, cols = image_shape
        raise DataError(
            f"this model takes images of shape [example, {image_channels}, {rows}, {cols}]; got {list(images.shape)}: "
            f"{advice.tensor_axes(tuple(images.shape), rows, cols, image_channels)}"
        )
    if not images.numel() or images.is_meta:
        return 0.0
    try:
        lowest, highest = (part.item() for part in images.detach().aminmax())
    except RuntimeError:  # inside vmap
        return 0.0
    if not (highest <= 1 and math.isfinite(lowest)):
        raise DataError(_out_of_range(images, lowest, highest))
    return lowest


def _out_of_range(images: Tensor, lowest: float, highest: float) -> str:
    if not math.isfinite(lowest + highest):
        return f"a model takes images in 0..1; {advice.not_finite(images)}"
    way = "Divide pixels 0..255 by 255" if lowest >= 0 else "Undo their normalization (images * std + mean)"
    return (
        f"a model takes images in 0..1; the highest value here is {highest:.4g}, the lowest {lowest:.4g}. {way}; pixel "
        "normalization is part of the model's config (pixel_mean, pixel_std)"
    )
