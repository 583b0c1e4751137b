"""Checks that a run's tensors fit its network and its training, before a network is built or trained with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..config import NetworkConfig, TrainConfig
from ..errors import RunError
from ..models import build

SMALL = 1 << 24
"""The most values of a network and its maps that are allocated, whatever a file declares."""


@dataclass(frozen=True)
class Blueprint:
    """The shapes of a network of some config, without allocating its values."""

    weights: dict[str, Tensor]
    points: dict[str, list[int]]
    """The shape of each hook point for one image."""

    @classmethod
    def of(cls, config: NetworkConfig) -> Blueprint:
        with torch.device("meta"):
            model = build(config)
        weights = model.state_dict()
        # The first product on the meta device takes a second, because torch then loads more modules.
        maps = sum(len(one) for one in weights.values() if one.ndim == 4)
        size = (
            sum(one.numel() for one in weights.values())
            + (maps + config.image_channels) * config.image_shape[0] * config.image_shape[1]
        )
        with torch.device("meta" if size > SMALL else "cpu"):
            model = build(config).eval()
            image = torch.zeros(1, config.image_channels, *config.image_shape)
        points = {"input": list(image.shape[1:])}
        for name in model.hook_points:
            model.get_submodule(name).register_forward_hook(
                lambda module, given, out, name=name: points.update({name: list(out.shape[1:])})
            )
        with torch.no_grad():
            model.run_from("input", image)
        return cls(weights, points)

    def check(self, weights: Mapping[str, Tensor], path: Path) -> None:
        """A RunError unless these are the weights of such a network."""
        for name in dict.fromkeys((*self.weights, *weights)):
            ours, theirs = (_about(tensors.get(name)) for tensors in (self.weights, weights))
            if ours != theirs:
                raise RunError(f"{path} holds for {name!r} {theirs}; the network of its run.json has {ours}")


def check_state(state: Mapping[str, Tensor], parameters: Sequence[Tensor], training: TrainConfig, path: Path) -> None:
    """A RunError unless an optimizer of that training, on these parameters, and the random generators can continue from ``state``.

    A fused optimizer does not check shapes before it writes to memory.
    """
    sgd = training.optimizer == "sgd"
    moments = {"momentum_buffer"} if sgd and training.momentum else set() if sgd else {"exp_avg", "exp_avg_sq"}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.startswith("optimizer."):
            text, _, slot = name.removeprefix("optimizer.").partition(".")
            slots.setdefault(int(text) if re.fullmatch("[0-9]{1,9}", text) else -1, {})[slot] = tensor
    for number, found in slots.items():
        if not 0 <= number < len(parameters) or found.keys() != moments | (set() if sgd else {"step"}):
            raise RunError(f"{path} holds {', '.join(found)} of parameter {number}, which this training does not have")
        for slot, tensor in found.items():
            if tensor.shape != (parameters[number].shape if slot in moments else ()) or not tensor.is_floating_point():
                raise RunError(f"{path} holds for {slot} of parameter {number} {_about(tensor)}, which does not fit it")
    try:
        torch.Generator().set_state(state["rng.cpu"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise RunError(f"{path} holds no state of the random generator: {error}") from None


def _about(tensor: Tensor | None) -> str:
    if tensor is None:
        return "nothing"
    return f"{'numbers' if tensor.is_floating_point() else 'integers'} {list(tensor.shape)}"
