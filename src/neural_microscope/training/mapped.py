"""The step of several like networks at once by ``torch.func``: whatever has no buffers and draws no random numbers."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from .scores import right
from .together import Batch, Stack, Step, shares_of


def mapped(stack: Stack) -> Step:
    """One step of networks without batch normalization and dropout: the gradient function of one, mapped over the seeds."""

    def loss_of(
        parameters: dict[str, Tensor], images: Tensor, labels: Tensor, part: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        logits = functional_call(stack.models[0], parameters, (images,))
        if part is None:
            return nn.functional.cross_entropy(logits, labels), logits
        return (nn.functional.cross_entropy(logits, labels, reduction="none") * part).sum(), logits

    def step(batch: Batch) -> tuple[Tensor, Tensor]:
        parameters = {name: parameter.detach() for name, parameter in stack.parameters.items()}
        images, labels, weights, own = batch
        part = None if weights is None else shares_of(weights)
        over = (0, 0 if own else None, 0 if labels.ndim == 2 else None, None if part is None else 0)
        slopes, (loss, logits) = vmap(grad_and_value(loss_of, has_aux=True), over)(parameters, images, labels, part)
        for name, parameter in stack.parameters.items():
            cast(Tensor, parameter.grad).copy_(slopes[name])
        hits = torch.stack(
            [right(each, of) for each, of in zip(logits, labels.expand(len(logits), -1), strict=True)]
        ).float()
        return loss, hits.mean(1) if part is None else (hits * part).sum(1)

    return step
