"""The list of operations says what the network does: a plain numpy reading of it gives torch's numbers at every hook point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn
from torch.nn import functional as F

import neural_microscope as nm
from neural_microscope.explorer import UnsupportedLayer, operations

SHAPE = (8, 8)


class Block(nn.Module):
    """A residual block: its input, or a convolution of it, is added to what two convolutions make of it."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, stride=stride, padding=2, dilation=2, bias=False)
        self.norm = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)  # called twice
        self.second = nn.Conv2d(out, out, 3, padding="same")
        self.short = nn.Conv2d(channels, out, 1, stride=stride) if (channels, stride) != (out, 1) else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.second(self.relu(self.norm(self.first(x))))
        made += x if self.short is None else self.short(x)
        return self.relu(made)


class Residual(nn.Module):
    """Blocks between functions of ``torch.nn.functional`` and methods of tensors; with ``unseen``, a sum that no module gives."""

    def __init__(self, unseen: bool = False) -> None:
        super().__init__()
        self.unseen = unseen
        torch.manual_seed(3)
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.blocks = nn.Sequential(Block(3, 3), Block(3, 4, stride=2))
        self.hidden, self.output = nn.Linear(4, 6), nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.dropout(F.silu(self.stem(x)), 0.3, self.training)
        x = F.adaptive_avg_pool2d(self.blocks(x), 1)
        x = F.leaky_relu(self.hidden(x.view(x.size(0), -1)), 0.2)
        return self.output(x + torch.sigmoid(x) if self.unseen else x)


SEQUENTIAL = nn.Sequential(
    nn.Conv2d(1, 3, 3, stride=2, padding=1),
    nn.BatchNorm2d(3),
    nn.GELU(approximate="tanh"),
    nn.AvgPool2d(2),
    nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(12, 7), nn.LayerNorm(7), nn.Tanh()),
    nn.Linear(7, 10, bias=False),
)
NETWORKS: dict[str, nn.Module] = {
    "mlp": nm.MLP(nm.MLPConfig(image_shape=SHAPE, hidden=(6, 5), pixel_mean=0.1, pixel_std=0.3), seed=1),
    "linear": nm.MLP(nm.MLPConfig(image_shape=SHAPE, hidden=())),
    "layer norm after": nm.MLP(
        nm.MLPConfig(
            image_shape=SHAPE, hidden=(6,), norm="layer", norm_position="after", activation="gelu", dropout=0.2
        )
    ),
    "cnn": nm.CNN(nm.CNNConfig(image_shape=SHAPE, channels=(3, 4), head=(5,)), seed=2),
    "cnn batch norm": nm.CNN(
        nm.CNNConfig(
            image_shape=SHAPE, channels=(3,), head=(), norm="batch", pool="average", activation="tanh", kernel=5
        )
    ),
    "sequential": SEQUENTIAL,
    "residual": Residual(),
    "unseen sum": Residual(unseen=True),
    "activations": nn.Sequential(
        nn.Conv2d(1, 2, 3, dilation=(2, 1), stride=(1, 2), padding=(1, 0)),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 5),
        nn.LeakyReLU(0.3),
        nn.Linear(5, 5),
        nn.Sigmoid(),
        nn.Linear(5, 10),
    ),
}


def windows(x: np.ndarray, op: dict[str, Any], fill: float) -> np.ndarray:
    """[channel, row, col, kernel row, kernel col]."""
    (pr, pc), (sr, sc) = op["padding"], op["stride"] or (1, 1)
    x = np.pad(x, ((0, 0), (pr, pr), (pc, pc)), constant_values=fill)
    dr, dc = op.get("dilation", (1, 1))
    kr, kc = op["kernel"] or x.shape[1:]
    view = np.lib.stride_tricks.sliding_window_view(x, (dr * (kr - 1) + 1, dc * (kc - 1) + 1), axis=(1, 2))
    return view[:, :: sr or 1, :: sc or 1, ::dr, ::dc]


def step(x: np.ndarray, op: dict[str, Any], weights: dict[str, np.ndarray]) -> np.ndarray:
    get = {k: weights[v] for k, v in op.items() if k in ("weight", "bias", "mean", "variance") and isinstance(v, str)}
    weight, bias = get.get("weight"), get.get("bias")
    match op["kind"]:
        case "normalize":
            return (x - op["mean"]) / op["std"]
        case "flatten":
            return x.reshape(-1)
        case "linear":
            return weight @ x + (0 if bias is None else bias)
        case "conv2d":
            seen = windows(x, {**op, "kernel": weight.shape[2:]}, 0.0)
            return np.einsum("crskl,ockl->ors", seen, weight) + (0 if bias is None else bias[:, None, None])
        case "relu":
            return np.maximum(x, 0)
        case "tanh":
            return np.tanh(x)
        case "sigmoid":
            return 1 / (1 + np.exp(-x))
        case "silu":
            return x / (1 + np.exp(-x))
        case "leakyrelu":
            return np.where(x > 0, x, op["slope"] * x)
        case "gelu" if op["approximate"] == "tanh":
            return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        case "gelu":
            return 0.5 * x * (1 + erf(x / np.sqrt(2)))
        case "maxpool":
            return windows(x, op, -np.inf).max((3, 4))
        case "avgpool":
            return windows(x, op, 0.0).mean((3, 4))
        case "batchnorm":
            shape = (-1,) + (1,) * (x.ndim - 1)
            scaled = (x - get["mean"].reshape(shape)) / np.sqrt(get["variance"].reshape(shape) + op["eps"])
            return scaled * weight.reshape(shape) + bias.reshape(shape)
        case "layernorm":
            rows = x.reshape(-1, op["size"])
            rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + op["eps"])
            return rows.reshape(x.shape) * weight + bias
    raise AssertionError(op)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_operations_give_torchs_numbers_at_every_hook_point(name: str) -> None:
    model = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.buffers():  # statistics that are not the trivial ones
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    image = torch.rand((1, 1, *SHAPE), generator=generator)
    with torch.no_grad():
        logits, cache = nm.hooked(model.eval()).run_with_cache(image)
    weights = {key: tensor.double().numpy() for key, tensor in model.state_dict().items()}
    values, seen = {-1: image[0].double().numpy()}, {}
    for place, op in enumerate(operations(model)):
        x = values[op.get("from", place - 1)]
        if op["kind"] == "hook":
            seen[op["name"]] = x
        elif op["kind"] == "add":
            x = x + values[op["with"]]
        else:
            x = step(x, op, weights)
        values[place] = x
    np.testing.assert_allclose(seen["logits"], logits[0], atol=1e-5)
    expected = [hook for hook in cache if hook in seen]
    assert len(expected) >= len(seen) - 2
    for hook in expected:
        np.testing.assert_allclose(seen[hook], cache[hook][0], atol=1e-5, err_msg=hook)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Softplus(), "'1', a Softplus"),
        (nn.Conv2d(2, 2, 3, groups=2), "'1': of convolutions"),
        (nn.AdaptiveAvgPool2d(2), "'1': of adaptive poolings"),
        (nn.MaxPool2d(2, ceil_mode=True), "'1': of poolings"),
        (nn.BatchNorm2d(1, track_running_stats=False), "'1': without running statistics"),
        (nn.Flatten(0), "'1': it flattens"),
        (nn.Conv2d(1, 2, 2, padding="same"), "'1': padding 'same'"),
        (nn.LSTM(3, 3), "'1', a LSTM"),
    ],
)
def test_what_the_page_cannot_compute_is_refused_by_name(layer: nn.Module, words: str) -> None:
    with pytest.raises(UnsupportedLayer, match=words):
        operations(nn.Sequential(nn.Identity(), layer))


class Own(nn.Module):
    """A module with a forward pass of one's choice."""

    def __init__(self, forward: Any) -> None:
        super().__init__()
        self.scale, self.layer, self.way = nn.Parameter(torch.ones(())), nn.Linear(8, 8), forward

    def forward(self, x: torch.Tensor) -> Any:
        return self.way(self, x)


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda _, x: x if x.sum() > 0 else -x, "can't follow the forward pass of a Own: .*control flow"),
        (lambda _, x: torch.cat([x, x]), r"can't compute cat\("),
        (lambda _, x: x * 2, r"can't compute mul\(x, 2\) in the forward pass of a Own; it knows Linear"),
        (lambda _, x: x + 1, r"can't compute add\(x, 1\)"),
        (lambda own, x: x + own.scale, "can't compute scale"),
        (lambda own, x: (own.layer(x), x), "no single tensor"),
        (lambda _, x: x.flatten(2), r"can't compute flatten\(x, 2\)"),
        (lambda _, x: x.mean(1), r"can't compute mean\(x, 1\)"),
    ],
)
def test_what_a_forward_pass_does_that_the_page_cannot_is_named(forward: Any, words: str) -> None:
    with pytest.raises(UnsupportedLayer, match=words):
        operations(Own(forward))


def test_a_module_without_a_forward_pass_is_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="forward pass of a Module"):
        operations(nn.Module())
