"""Checks for silent mistakes in a network before training, on a few images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .. import devices
from ..errors import HookError
from ..hooks import evaluation, lent
from ..hooks.point import refuse_compiled
from ..models import Network

FEW = 8


def traps(model: nn.Module, images: Tensor, *, classifies: bool = True) -> list[str]:
    """One sentence for each: outputs that are probabilities already; and modules that in evaluation mode are random, or mix the images.

    ``images``: [example, …], a few of the test set; at least four are needed. ``classifies``: False where
    probabilities are no mistake. Random generators and buffers are restored.
    """
    if isinstance(model, Network) or len(images) < 4 or any(map(is_lazy, model.parameters())):
        return []
    try:
        refuse_compiled(model)  # which would be compiled again for so few images
        once, again, half = _passes(model, devices.like(model, images))
    except (HookError, RuntimeError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError):
        return []  # errors are raised when training runs it
    random = [name for name in once if _differ(once[name], again.get(name), 1e-4)]
    mixed = [n for n in once if n not in random and n in half and _differ(once[n][: len(half[n])], half[n], 1e-2)]
    ends = _ends(model, once) if classifies else ()
    return [*ends, *_random(model, random), *_mixed(model, mixed)]


def _passes(model: nn.Module, images: Tensor) -> Iterator[dict[str, Tensor]]:
    """The output of each module: for the images, for the same again, and for the first half of them."""
    gpu = [images.device] if images.device.type == "cuda" else []
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=gpu), torch.no_grad(), evaluation(model):
        try:
            for some in (images, images, images[: len(images) // 2]):
                yield _outputs(model, some)
        finally:
            for buffer, before in kept:
                buffer.copy_(before)


def _outputs(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The first output of each module that is a tensor with a row for each image, in the order in which they are done."""
    found: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, given: object, output: object) -> None:
        if not isinstance(output, Tensor) or output.layout != torch.strided or output.is_nested:
            return
        if output.shape[:1] == (len(images),) and output.is_floating_point():
            found.setdefault(name, output.detach().clone())

    handles = [module.register_forward_hook(partial(note, name)) for name, module in model.named_modules()]
    try:
        model(lent(images))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _differ(one: Tensor, other: Tensor | None, tolerance: float) -> bool:
    if other is None or one.shape != other.shape or not one.numel():
        return False
    scale = float(one.abs().nan_to_num(0, 0, 0).max())
    return not torch.allclose(one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _ends(model: nn.Module, outputs: dict[str, Tensor]) -> Iterator[str]:
    logits = outputs.get("")
    if logits is None or logits.ndim != 2 or logits.shape[1] < 2:
        return
    ends = [name for name, output in outputs.items() if output.shape == logits.shape and torch.equal(output, logits)]
    where, sums = _called(model, ends[0]), logits.double().exp().sum(1)
    if (logits >= 0).all() and torch.allclose(logits.double().sum(1), torch.ones_like(sums), atol=1e-2):
        yield (
            f"{where} gives probabilities, but cross-entropy takes logits: a softmax of a softmax, whose loss stays far above 0. "
            "Remove the softmax from the network, and apply it to the network's output"
        )
    elif torch.allclose(sums, torch.ones_like(sums), atol=1e-2):
        yield (
            f"{where} gives log-probabilities, and cross-entropy takes logits: the loss is the same without it, and the recording "
            "would hold logits. Remove the log-softmax from the network"
        )


def _random(model: nn.Module, names: list[str]) -> Iterator[str]:
    if names:
        yield (
            f"{_called(model, names[0])} gives different outputs each time, in evaluation mode too, and so do test scores, activations and "
            "measures. A functional dropout needs training=self.training, and a module must leave its training flag to model.eval()"
        )


def _mixed(model: nn.Module, names: list[str]) -> Iterator[str]:
    if names:
        yield (
            f"{_called(model, names[0])} gives an image different outputs in different batches, in evaluation mode too, as batch "
            "statistics do: test scores and activations depend on the batch. Batch normalization needs track_running_stats=True, "
            "and its training flag from model.eval()"
        )


def _called(model: nn.Module, name: str) -> str:
    kind = type(model.get_submodule(name)).__name__
    return f"module {name!r} ({kind})" if name else f"the forward pass of {kind}"
