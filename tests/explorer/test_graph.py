"""The list of operations says what the network does: a plain numpy reading of it gives torch's numbers at every hook point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf
from torch import nn

import neural_microscope as nm
from neural_microscope.explorer import UnsupportedLayer, operations

SHAPE = (8, 8)
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
}


def windows(x: np.ndarray, op: dict[str, Any], fill: float) -> np.ndarray:
    """[channel, row, col, kernel row, kernel col]."""
    (pr, pc), (sr, sc) = op["padding"], op["stride"]
    x = np.pad(x, ((0, 0), (pr, pr), (pc, pc)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, tuple(op["kernel"]), axis=(1, 2))
    return view[:, ::sr, ::sc]


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
    x, seen = image[0].double().numpy(), {}
    for op in operations(model):
        if op["kind"] == "hook":
            seen[op["name"]] = x
        else:
            x = step(x, op, weights)
    np.testing.assert_allclose(seen["logits"], logits[0], atol=1e-5)
    expected = [hook for hook in cache if hook in seen]
    assert len(expected) >= len(seen) - 2
    for hook in expected:
        np.testing.assert_allclose(seen[hook], cache[hook][0], atol=1e-5, err_msg=hook)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Sigmoid(), "'1', a Sigmoid"),
        (nn.Conv2d(1, 2, 3, dilation=2), "'1': of convolutions"),
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


def test_a_module_of_unknown_forward_pass_is_refused() -> None:
    class Own(nn.Module):
        pass

    with pytest.raises(UnsupportedLayer, match="forward pass of a Own"):
        operations(Own())
