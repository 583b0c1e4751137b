"""The step of several like networks at once by ``torch.func``: whatever has no buffers and draws no random numbers."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from .scores import right
from .together import Stack, Step


def mapped(stack: Stack) -> Step:
    """One step of networks without batch normalization and dropout: the gradient function of one, mapped over the seeds."""

    def loss_of(parameters: dict[str, Tensor], images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = functional_call(stack.models[0], parameters, (images,))
        return nn.functional.cross_entropy(logits, labels), logits

    of_each = vmap(grad_and_value(loss_of, has_aux=True), in_dims=(0, None, None))

    def step(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        parameters = {name: parameter.detach() for name, parameter in stack.parameters.items()}
        slopes, (loss, logits) = of_each(parameters, images, labels)
        for name, parameter in stack.parameters.items():
            cast(Tensor, parameter.grad).copy_(slopes[name])
        return loss, torch.stack([right(each, labels).float().mean() for each in logits])

    return step
