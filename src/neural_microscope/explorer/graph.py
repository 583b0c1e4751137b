"""A network as the list of operations that the page's forward pass supports; others are refused by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from ..doors import door
from ..errors import MicroscopeError
from ..models import HiddenLayer, Network

Op = dict[str, Any]

SUPPORTED = "Linear, Conv2d, ReLU, Tanh, GELU, MaxPool2d, AvgPool2d, Flatten, BatchNorm, LayerNorm, Dropout, Identity, Sequential"


class UnsupportedLayer(MicroscopeError, TypeError):
    """A layer that the page can't compute."""


@door
def operations(model: nn.Module) -> list[Op]:
    """The operations on one example [1, row, col] in evaluation mode, in order.

    Tensors are named as in the state dict; ``hook`` entries carry the names of the hook points.

    Args:
        model: An `MLP`, a `CNN`, or an ``nn.Sequential`` (nested too).

    Raises:
        UnsupportedLayer: Another module, or a layer that the page can't compute; it is named.

    >>> [op["kind"] for op in nm.explorer.operations(model)][:4]
    ['hook', 'flatten', 'linear', 'hook']
    """
    if isinstance(model, Network):
        return list(_network(model))
    if isinstance(model, nn.Sequential):
        return [_hook("input"), *_sequential(model, ""), _hook("logits")]
    raise UnsupportedLayer(
        f"the explorer can't follow the forward pass of a {type(model).__name__}; it takes our MLP and CNN and "
        f"nn.Sequential of {SUPPORTED}"
    )


def _network(model: Network) -> Iterator[Op]:
    config = model.config
    yield _hook("input")
    if config.pixel_mean != 0 or config.pixel_std != 1:
        yield {"kind": "normalize", "mean": config.pixel_mean, "std": config.pixel_std}
    for number, layer in enumerate(model.layers):
        assert isinstance(layer, HiddenLayer)
        yield from _hidden(layer, f"layers.{number}")
    yield {"kind": "flatten"}
    yield from _layer(model.output, "output")
    yield _hook("logits")


def _hidden(layer: HiddenLayer, name: str) -> Iterator[Op]:
    if layer.kind == "linear":
        yield {"kind": "flatten"}
    yield from _layer(layer.weights, f"{name}.{layer.kind}")
    norm = list(_layer(layer.norm, f"{name}.norm")) if layer.norm is not None else []
    yield from norm if layer.norm_first else []
    yield _hook(f"{name}.hook_pre")
    yield from _layer(layer.activation, f"{name}.activation")
    yield _hook(f"{name}.hook_post")
    if layer.hook_norm is not None:
        yield from norm
        yield _hook(f"{name}.hook_norm")
    if layer.pool is not None:
        yield from _layer(layer.pool, f"{name}.pool")
        yield _hook(f"{name}.hook_pool")


def _sequential(model: nn.Sequential, above: str) -> Iterator[Op]:
    for name, child in model.named_children():
        path = f"{above}{name}"
        if isinstance(child, nn.Sequential):
            yield from _sequential(child, f"{path}.")
        else:
            yield from _layer(child, path)
        yield _hook(f"{path}.hook_out")


def _hook(name: str) -> Op:
    return {"kind": "hook", "name": name}


def _layer(module: nn.Module, name: str) -> list[Op]:
    if type(module) in _NOTHING:
        return []
    if type(module) not in _KINDS:
        raise UnsupportedLayer(f"the explorer can't compute {name!r}, a {type(module).__name__}; it knows {SUPPORTED}")
    kind, settings = _KINDS[type(module)]
    parts = [part for part in ("weight", "bias") if hasattr(module, part)]
    parameters = {part: None if getattr(module, part) is None else f"{name}.{part}" for part in parts}
    return [{"kind": kind, **parameters, **settings(module, name)}]


def _only(name: str, known: bool, why: str) -> None:
    if not known:
        raise UnsupportedLayer(f"the explorer can't compute {name!r}: {why}")


def _conv(module: nn.Conv2d, name: str) -> Op:
    plain = module.groups == 1 and module.dilation == (1, 1) and module.padding_mode == "zeros"
    _only(name, plain, "of convolutions it knows those without groups and dilation, padded with zeros")
    padding = (0, 0) if module.padding == "valid" else module.padding
    if padding == "same":
        sides = module.kernel_size
        _only(name, all(side % 2 for side in sides), f"padding 'same' of an even kernel {sides} is not symmetric")
        padding = tuple(side // 2 for side in sides)
    return {"stride": list(module.stride), "padding": list(padding)}


def _pool(module: Any, name: str) -> Op:
    has = {"dilation": 1, "return_indices": False, "divisor_override": None, "count_include_pad": True} | vars(module)
    plain = not has["ceil_mode"] and has["dilation"] in (1, (1, 1))
    _only(name, plain, "of poolings it knows those without ceil_mode and dilation")
    plain = not (has["return_indices"] or has["divisor_override"])
    _only(name, plain, "of poolings it knows those without return_indices and divisor_override")
    sizes = {"kernel": module.kernel_size, "stride": module.stride, "padding": module.padding}
    pairs = {word: list(size) if isinstance(size, tuple) else [size, size] for word, size in sizes.items()}
    _only(name, has["count_include_pad"] or pairs["padding"] == [0, 0], "an average that leaves padding out")
    return pairs


def _flatten(module: nn.Flatten, name: str) -> Op:
    whole = (module.start_dim, module.end_dim) == (1, -1)
    _only(name, whole, "it flattens everything but the examples: Flatten(1, -1)")
    return {}


def _batch_norm(module: Any, name: str) -> Op:
    _only(name, module.track_running_stats, "without running statistics its answer depends on the batch")
    return {"mean": f"{name}.running_mean", "variance": f"{name}.running_var", "eps": module.eps}


_KINDS: dict[type[nn.Module], tuple[str, Callable[[Any, str], Op]]] = {
    nn.Linear: ("linear", lambda module, name: {}),
    nn.Conv2d: ("conv2d", _conv),
    nn.ReLU: ("relu", lambda module, name: {}),
    nn.Tanh: ("tanh", lambda module, name: {}),
    nn.GELU: ("gelu", lambda module, name: {"approximate": module.approximate}),
    nn.MaxPool2d: ("maxpool", _pool),
    nn.AvgPool2d: ("avgpool", _pool),
    nn.Flatten: ("flatten", _flatten),
    nn.BatchNorm1d: ("batchnorm", _batch_norm),
    nn.BatchNorm2d: ("batchnorm", _batch_norm),
    nn.LayerNorm: ("layernorm", lambda module, name: {"eps": module.eps, "size": math.prod(module.normalized_shape)}),
}
"""The kind of each layer's operation, and its attributes besides parameters."""

_NOTHING = (nn.Dropout, nn.Dropout2d, nn.Identity)
