"""A network as the list of operations that the page's own forward pass knows; what it does not know is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from ..errors import MicroscopeError
from ..models import HiddenLayer, Network

Op = dict[str, Any]

SUPPORTED = "Linear, Conv2d, ReLU, Tanh, GELU, MaxPool2d, AvgPool2d, Flatten, BatchNorm, LayerNorm, Dropout, Identity, Sequential"


class UnsupportedLayer(MicroscopeError, TypeError):
    """A layer that the page can't compute."""


def operations(model: nn.Module) -> list[Op]:
    """What happens to one example [1, row, col] in evaluation mode, in order.

    Tensors are named as in the state dict; ``hook`` entries carry the names of the hook points. Of our own networks and of
    ``nn.Sequential`` (nested too); anything else, and any other layer, is an UnsupportedLayer that names it.
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
    for kind, make in _MAKERS.items():
        if type(module) is kind:
            return make(module, name)
    raise UnsupportedLayer(f"the explorer can't compute {name!r}, a {type(module).__name__}; it knows {SUPPORTED}")


def _refuse(name: str, why: str) -> None:
    raise UnsupportedLayer(f"the explorer can't compute {name!r}: {why}")


def _nothing(module: Any, name: str) -> list[Op]:
    return []


def _linear(module: nn.Linear, name: str) -> list[Op]:
    return [{"kind": "linear", **_parameters(module, name)}]


def _conv(module: nn.Conv2d, name: str) -> list[Op]:
    if module.groups != 1 or module.dilation != (1, 1) or module.padding_mode != "zeros":
        _refuse(name, "of convolutions it knows those without groups and dilation, padded with zeros")
    padding = (0, 0) if module.padding == "valid" else module.padding
    if padding == "same":
        sides = module.kernel_size
        if any(side % 2 == 0 for side in sides):
            _refuse(name, f"padding 'same' of an even kernel {sides} is not symmetric")
        padding = tuple(side // 2 for side in sides)
    return [{"kind": "conv2d", **_parameters(module, name), "stride": list(module.stride), "padding": list(padding)}]


def _gelu(module: nn.GELU, name: str) -> list[Op]:
    return [{"kind": "gelu", "approximate": module.approximate}]


def _pool(kind: str) -> Callable[[Any, str], list[Op]]:
    def make(module: Any, name: str) -> list[Op]:
        if module.ceil_mode or getattr(module, "dilation", 1) not in (1, (1, 1)):
            _refuse(name, "of poolings it knows those without ceil_mode and dilation")
        if getattr(module, "return_indices", False) or getattr(module, "divisor_override", None):
            _refuse(name, "of poolings it knows those without return_indices and divisor_override")
        if not getattr(module, "count_include_pad", True) and _pair(module.padding) != [0, 0]:
            _refuse(name, "an average that leaves padding out")
        stride = module.kernel_size if module.stride is None else module.stride
        sizes = {"kernel": _pair(module.kernel_size), "stride": _pair(stride), "padding": _pair(module.padding)}
        return [{"kind": kind, **sizes}]

    return make


def _flatten(module: nn.Flatten, name: str) -> list[Op]:
    if (module.start_dim, module.end_dim) != (1, -1):
        _refuse(name, "it flattens everything but the examples: Flatten(1, -1)")
    return [{"kind": "flatten"}]


def _batch_norm(module: Any, name: str) -> list[Op]:
    if not module.track_running_stats:
        _refuse(name, "without running statistics its answer depends on the batch")
    found = {"mean": f"{name}.running_mean", "variance": f"{name}.running_var", "eps": module.eps}
    return [{"kind": "batchnorm", **_parameters(module, name), **found}]


def _layer_norm(module: nn.LayerNorm, name: str) -> list[Op]:
    size = 1
    for side in module.normalized_shape:
        size *= side
    return [{"kind": "layernorm", **_parameters(module, name), "eps": module.eps, "size": size}]


def _parameters(module: Any, name: str) -> Op:
    return {part: None if getattr(module, part) is None else f"{name}.{part}" for part in ("weight", "bias")}


def _pair(value: Any) -> list[int]:
    return list(value) if isinstance(value, tuple) else [value, value]


_MAKERS: dict[type[nn.Module], Callable[[Any, str], list[Op]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.ReLU: lambda module, name: [{"kind": "relu"}],
    nn.Tanh: lambda module, name: [{"kind": "tanh"}],
    nn.GELU: _gelu,
    nn.MaxPool2d: _pool("maxpool"),
    nn.AvgPool2d: _pool("avgpool"),
    nn.Flatten: _flatten,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.Dropout: _nothing,
    nn.Dropout2d: _nothing,
    nn.Identity: _nothing,
}
