"""The step of several plain MLPs at once, forward and backward by hand: every layer one stacked product.

Activations lie [seed, width, example], so that the first layer, whose input all share, is one matrix product over all networks, as is
its gradient; further layers are batched products.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ..config import MLPConfig
from .scores import right
from .together import Batch, Stack, Step, shares_of


def stacked(stack: Stack) -> Step:
    """One step of MLPs without normalization and dropout."""
    config: MLPConfig = stack.models[0].config
    names = [f"layers.{i}.linear" for i in range(len(config.hidden))] + ["output"]
    maps = [(stack.parameters[f"{name}.weight"], stack.parameters.get(f"{name}.bias")) for name in names]

    @torch.no_grad()
    def step(batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels, weights, own = batch
        x = images.flatten(2 if own else 1)
        if config.pixel_mean != 0 or config.pixel_std != 1:
            x = (x - config.pixel_mean) / config.pixel_std
        inputs, before = [x.transpose(-1, -2)], []
        for number, (weight, bias) in enumerate(maps):
            z = torch.matmul(weight, inputs[-1])  # all networks' first maps of one shared input are one product
            if bias is not None:
                z += bias[:, :, None]
            before.append(z)
            if number < len(maps) - 1:
                inputs.append(BEND[config.activation](z))
        logits = before[-1]  # [seed, class, example]
        shares = torch.log_softmax(logits, 1)
        index = labels.expand(len(logits), labels.shape[-1])[:, None]
        told, hits = -shares.gather(1, index)[:, 0], right(logits, index[:, 0]).float()
        part = None if weights is None else shares_of(weights).expand_as(told)
        loss, share = (each.mean(1) if part is None else (each * part).sum(1) for each in (told, hits))
        slope = shares.exp_()
        slope.scatter_add_(1, index, slope.new_full((1, 1, 1), -1.0).expand(index.shape))
        slope = slope.div_(labels.shape[-1]) if part is None else slope.mul_(part[:, None])
        for number in range(len(maps) - 1, -1, -1):
            weight, bias = maps[number]
            if number == 0 and not own:
                torch.mm(slope.reshape(-1, len(x)), x, out=cast(Tensor, weight.grad).view(-1, x.shape[1]))
            else:
                torch.bmm(slope, inputs[number].transpose(1, 2), out=cast(Tensor, weight.grad))
            if bias is not None:
                torch.sum(slope, 2, out=cast(Tensor, bias.grad))
            if number:
                slope = torch.bmm(weight.transpose(1, 2), slope)
                slope = _unbend(config.activation, slope, before[number - 1], inputs[number])
        return loss, share

    return step


BEND = {"relu": torch.relu, "tanh": torch.tanh, "gelu": nn.functional.gelu}


def _unbend(activation: str, slope: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """The slope in front of the nonlinearity, from the one behind it."""
    if activation == "relu":
        return torch.ops.aten.threshold_backward(slope, a, 0)
    if activation == "tanh":
        return torch.ops.aten.tanh_backward(slope, a)
    return torch.ops.aten.gelu_backward(slope, z)
