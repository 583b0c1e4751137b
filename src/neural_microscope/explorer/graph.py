"""A network as the list of operations that the page's forward pass supports; others are refused by name.

Modules other than our own are traced with ``torch.fx``, not exported with ``torch.export``: hook points are outputs of modules,
which a trace calls by name, while an export decomposes them into some hundred kinds of operators and binds the graph to one size of
batch. What a trace can't follow, branches on values, would not be one list of operations either.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from ..doors import door
from ..errors import MicroscopeError
from ..models import HiddenLayer, Network

Op = dict[str, Any]

SUPPORTED = (
    "Linear, Conv2d, ReLU, LeakyReLU, Sigmoid, SiLU, Tanh, GELU, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d(1), Flatten, BatchNorm, "
    "LayerNorm, Dropout, Identity, and sums of two of their outputs"
)


class UnsupportedLayer(MicroscopeError, TypeError):
    """A layer that the page can't compute."""


@door
def operations(model: nn.Module) -> list[Op]:
    """The operations on one example [channel, row, col] in evaluation mode, in order.

    Tensors are named as in the state dict; ``hook`` entries carry the names of the hook points. An operation reads the output of the one
    before it, or of the one whose index it has under ``from``; ``add`` also of the one under ``with``.

    Args:
        model: An `MLP`, a `CNN`, or a module whose forward pass ``torch.fx`` can trace.

    Raises:
        UnsupportedLayer: A forward pass that can't be traced, or a layer that the page can't compute; it is named.

    >>> [op["kind"] for op in nm.explorer.operations(model)][:4]
    ['hook', 'flatten', 'linear', 'hook']
    """
    if isinstance(model, Network):
        return list(_network(model))
    return _Traced(model).ops


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


class _Calls(fx.Tracer):
    """A tracer that remembers which nodes are outputs of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[tuple[fx.Node, str]] = []

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        made = super().call_module(m, forward, args, kwargs)
        if isinstance(made, fx.Proxy):
            self.outputs.append((made.node, self.path_of_module(m)))
        return made


class _Traced:
    """The operations of a module's forward pass; those of modules called several times have hook points ``name@0``, ``name@1``."""

    def __init__(self, model: nn.Module) -> None:
        calls = _Calls()
        try:
            graph = calls.trace(model)
        except Exception as error:  # whatever its forward pass raises on a proxy
            why = (str(error) or type(error).__name__).splitlines()[0]
            raise UnsupportedLayer(
                f"the explorer can't follow the forward pass of a {type(model).__name__}: {why}"
            ) from error
        self.ops: list[Op] = [_hook("input")]
        self.model, self.places = model, dict[fx.Node, int]()
        times, seen = Counter(path for _, path in calls.outputs), Counter[str]()
        hooks: dict[fx.Node, list[str]] = {}
        for node, path in calls.outputs:
            call = f"@{seen[path]}" if times[path] > 1 else ""
            seen[path] += 1
            hooks.setdefault(node, []).append(f"{path}.hook_out{call}")
        for node in graph.nodes:
            if node.op != "output":
                self._add(node)
                self._emit(node, [_hook(name) for name in hooks.get(node, [])])
                continue
            (made,) = node.args
            if made not in self.places:
                raise UnsupportedLayer(
                    f"the explorer can't follow a {type(model).__name__}, whose output is no single tensor of logits"
                )
            self.places[node] = self.places[made]
            self._emit(node, [_hook("logits")])

    def _emit(self, node: fx.Node, ops: list[Op]) -> None:
        """Appends operations, each on the output of the one before; the first on the node's last one."""
        for op in ops:
            place = self.places[node]
            self.ops.append(op if place == len(self.ops) - 1 else op | {"from": place})
            self.places[node] = len(self.ops) - 1

    def _add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if self.places and not node.args:
                raise UnsupportedLayer(
                    f"the explorer can't compute a {type(self.model).__name__}, which takes more than images"
                )
            if not self.places:
                self.places[node] = 0
            return
        if node.op == "get_attr" or (node.op == "call_module" and node.args[:1] != tuple(node.all_input_nodes)):
            raise self._unknown(node)
        if not any(one in self.places for one in node.all_input_nodes) or node.target in ("size", getattr):
            return  # a size, which only flattening reads
        given = [one for one in node.args if isinstance(one, fx.Node) and one in self.places]
        if node.args[0] not in given:
            raise self._unknown(node)
        self.places[node] = self.places[given[0]]
        if node.op == "call_module":
            self._emit(node, _layer(self.model.get_submodule(str(node.target)), str(node.target)))
        elif node.target in _SUMS:
            if len(given) != 2 or node.kwargs:
                raise self._unknown(node)
            self.ops.append({"kind": "add", "with": self.places[given[1]]} | self._source(self.places[given[0]]))
            self.places[node] = len(self.ops) - 1
        else:
            self._emit(node, self._function(node))

    def _source(self, place: int) -> Op:
        return {} if place == len(self.ops) - 1 else {"from": place}

    def _function(self, node: fx.Node) -> list[Op]:
        rest, options = (
            node.args[1:],
            {name: value for name, value in node.kwargs.items() if name not in ("inplace", "training")},
        )
        if node.target in _FLATTEN:
            sizes = rest[0] if len(rest) == 1 and isinstance(rest[0], tuple | list) else rest
            if (tuple(sizes) or tuple(options.values())) not in ((1,), (1, -1)) and not (
                len(sizes) == 2 and sizes[1] == -1
            ):
                raise self._unknown(node)
            return [{"kind": "flatten"}]
        if node.target in ("mean", torch.mean):
            over = options.pop("dim", rest[0] if rest else None)
            keep = options.pop("keepdim", rest[1] if len(rest) > 1 else False)
            if sorted(over if isinstance(over, tuple | list) else []) not in ([2, 3], [-2, -1]) or options:
                raise self._unknown(node)
            return [dict(_WHOLE), *([] if keep else [{"kind": "flatten"}])]
        if node.target in _DROPPED:
            return []
        if node.target not in _FUNCTIONS or any(isinstance(one, fx.Node) for one in (*rest, *options.values())):
            raise self._unknown(node)
        return _layer(_FUNCTIONS[node.target](*rest, **options), str(node.name))

    def _unknown(self, node: fx.Node) -> UnsupportedLayer:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        words = ", ".join(one.name if isinstance(one, fx.Node) else repr(one) for one in node.args)
        return UnsupportedLayer(
            f"the explorer can't compute {name}({words}) in the forward pass of a {type(self.model).__name__}; it knows {SUPPORTED}"
        )


def _only(name: str, known: bool, why: str) -> None:
    if not known:
        raise UnsupportedLayer(f"the explorer can't compute {name!r}: {why}")


def _conv(module: nn.Conv2d, name: str) -> Op:
    plain = module.groups == 1 and module.padding_mode == "zeros"
    _only(name, plain, "of convolutions it knows those without groups, padded with zeros")
    padding = (0, 0) if module.padding == "valid" else module.padding
    if padding == "same":
        sides = [step * (side - 1) for step, side in zip(module.dilation, module.kernel_size, strict=True)]
        _only(
            name,
            not any(side % 2 for side in sides),
            f"padding 'same' of an even kernel {module.kernel_size} is not symmetric",
        )
        padding = tuple(side // 2 for side in sides)
    dilated = {} if module.dilation == (1, 1) else {"dilation": list(module.dilation)}
    return {"stride": list(module.stride), "padding": list(padding), **dilated}


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


_WHOLE: Op = {"kind": "avgpool", "kernel": [], "stride": [], "padding": [0, 0]}
"""The average of a whole map: the page knows how large it is."""


def _whole(module: nn.AdaptiveAvgPool2d, name: str) -> Op:
    _only(
        name,
        module.output_size in (1, (1, 1)),
        "of adaptive poolings it knows the average of a whole map, AdaptiveAvgPool2d(1)",
    )
    return {word: size for word, size in _WHOLE.items() if word != "kind"}


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
    nn.LeakyReLU: ("leakyrelu", lambda module, name: {"slope": module.negative_slope}),
    nn.Sigmoid: ("sigmoid", lambda module, name: {}),
    nn.SiLU: ("silu", lambda module, name: {}),
    nn.Tanh: ("tanh", lambda module, name: {}),
    nn.GELU: ("gelu", lambda module, name: {"approximate": module.approximate}),
    nn.MaxPool2d: ("maxpool", _pool),
    nn.AvgPool2d: ("avgpool", _pool),
    nn.AdaptiveAvgPool2d: ("avgpool", _whole),
    nn.Flatten: ("flatten", _flatten),
    nn.BatchNorm1d: ("batchnorm", _batch_norm),
    nn.BatchNorm2d: ("batchnorm", _batch_norm),
    nn.LayerNorm: ("layernorm", lambda module, name: {"eps": module.eps, "size": math.prod(module.normalized_shape)}),
}
"""The kind of each layer's operation, and its attributes besides parameters."""

_NOTHING = (nn.Dropout, nn.Dropout2d, nn.Identity)

_SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")
_FLATTEN = (torch.flatten, "flatten", "view", "reshape")
_DROPPED = (F.dropout, F.dropout2d, "contiguous")
_FUNCTIONS: dict[Any, Callable[..., nn.Module]] = {
    **dict.fromkeys((F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"), nn.ReLU),
    **dict.fromkeys((F.leaky_relu,), nn.LeakyReLU),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, "sigmoid"), nn.Sigmoid),
    **dict.fromkeys((F.tanh, torch.tanh, "tanh"), nn.Tanh),
    **dict.fromkeys((F.silu,), nn.SiLU),
    **dict.fromkeys((F.gelu,), nn.GELU),
    **dict.fromkeys((F.max_pool2d,), nn.MaxPool2d),
    **dict.fromkeys((F.avg_pool2d,), nn.AvgPool2d),
    **dict.fromkeys((F.adaptive_avg_pool2d,), nn.AdaptiveAvgPool2d),
}
"""The layer that a function or method equals, built from its arguments."""
