"""Several MLPs trained together: the same batches for all, every layer one stacked product.

Activations lie [seed, width, example], so that the first layer, whose input all share, is one matrix product over all networks, as is
its gradient; further layers are batched products. Each network's parameters, gradients and optimiser state are views into the
stacked tensors: observers see an ordinary network, and the recorder an ordinary training.

The plain loop is the oracle. On one thread the first steps agree to float32 rounding (1e-6 relative); after that a rounding
difference may flip a ReLU, and weights drift apart as those of two machines do. Tests hold both.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..config import MLPConfig, NetworkConfig, TrainConfig
from ..data import Dataset
from ..models import MLP
from .epochs import Epochs
from .loop import History, Observer, Training, check, environment, learning_rate, optimizer_of, reason_of, tell_end
from .scores import evaluate

GROUP = 16
"""Networks trained together: with more, the activations no longer fit the cache (benchmarks)."""


def stackable(config: NetworkConfig) -> bool:
    """Whether networks of this kind can be trained together."""
    return isinstance(config, MLPConfig) and config.norm == "none" and config.dropout == 0


class Stack:
    """The parameters of several like MLPs as one tensor a layer, of which theirs become views."""

    def __init__(self, models: Sequence[MLP]) -> None:
        self.models = models
        self.config = models[0].config
        names = [name for name, _ in models[0].named_parameters()]
        self.parameters = {}
        for name in names:
            own = [model.get_parameter(name) for model in models]
            stacked = nn.Parameter(torch.stack([parameter.detach() for parameter in own]))
            stacked.grad = torch.zeros_like(stacked)
            for number, parameter in enumerate(own):
                parameter.data, parameter.grad = stacked.data[number], stacked.grad[number]
            self.parameters[name] = stacked
        maps = [f"layers.{i}.linear" for i in range(len(self.config.hidden))] + ["output"]
        self.maps = [(self.parameters[f"{name}.weight"], self.parameters.get(f"{name}.bias")) for name in maps]

    def optimizer(self, config: TrainConfig, device: str) -> tuple[torch.optim.Optimizer, list[torch.optim.Optimizer]]:
        """One optimiser of the stacked parameters, and one for each network whose state is a view into it."""
        whole = optimizer_of(list(self.parameters.values()), config)
        each = [optimizer_of(list(model.parameters()), config) for model in self.models]
        slots = {"sgd": ["momentum_buffer"] if config.momentum else []}.get(config.optimizer, ["exp_avg", "exp_avg_sq"])
        for name, stacked in self.parameters.items():
            state: dict[str, Any] = {slot: torch.zeros_like(stacked) for slot in slots}
            step = {"step": torch.zeros((), device=device)} if config.optimizer != "sgd" else {}
            if state:
                whole.state[stacked] = state | step
            for number, (model, own) in enumerate(zip(self.models, each, strict=True)):
                if state:
                    own.state[model.get_parameter(name)] = {
                        slot: tensor[number] for slot, tensor in state.items()
                    } | step
        return whole, each

    @torch.no_grad()
    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and share read rightly of each network on a batch [example, …], both [seed]; the gradients are in place after it."""
        x = images.flatten(1)
        if self.config.pixel_mean != 0 or self.config.pixel_std != 1:
            x = (x - self.config.pixel_mean) / self.config.pixel_std
        inputs, before = [x.T], []
        for number, (weight, bias) in enumerate(self.maps):
            z = _first(weight, x) if number == 0 else torch.bmm(weight, inputs[-1])
            if bias is not None:
                z += bias[:, :, None]
            before.append(z)
            if number < len(self.maps) - 1:
                inputs.append(_bend(self.config.activation, z))
        logits = before[-1]  # [seed, class, example]
        shares = torch.log_softmax(logits, 1)
        index = labels.expand(len(logits), 1, -1)
        loss = -shares.gather(1, index).mean((1, 2))
        right = ((logits.argmax(1) == labels) & ~logits.isnan().any(1)).float().mean(1)
        slope = shares.exp_()
        slope.scatter_add_(1, index, slope.new_full((1, 1, 1), -1.0).expand(index.shape))
        slope /= len(labels)
        for number in range(len(self.maps) - 1, -1, -1):
            weight, bias = self.maps[number]
            if number == 0:
                torch.mm(slope.reshape(-1, len(labels)), x, out=cast(Tensor, weight.grad).view(-1, x.shape[1]))
            else:
                torch.bmm(slope, inputs[number].transpose(1, 2), out=cast(Tensor, weight.grad))
            if bias is not None:
                torch.sum(slope, 2, out=cast(Tensor, bias.grad))
            if number:
                slope = _unbend(
                    self.config.activation, torch.bmm(weight.transpose(1, 2), slope), before[number - 1], inputs[number]
                )
        return loss, right

    def release(self, number: int) -> None:
        """Gives a network its parameters for itself, as they are now."""
        for parameter in self.models[number].parameters():
            parameter.data, parameter.grad = parameter.data.clone(), None


def _first(weight: Tensor, x: Tensor) -> Tensor:
    """All networks' first maps of one input are one product."""
    seeds, width, pixels = weight.shape
    return torch.mm(weight.view(-1, pixels), x.T).view(seeds, width, len(x))


def _bend(activation: str, z: Tensor) -> Tensor:
    return {"relu": torch.relu, "tanh": torch.tanh, "gelu": nn.functional.gelu}[activation](z)


def _unbend(activation: str, slope: Tensor, z: Tensor, a: Tensor) -> Tensor:
    """The slope in front of the nonlinearity, from the one behind it."""
    if activation == "relu":
        return torch.ops.aten.threshold_backward(slope, a, 0)
    if activation == "tanh":
        return torch.ops.aten.tanh_backward(slope, a)
    return torch.ops.aten.gelu_backward(slope, z)


def train_stacked(
    models: Sequence[nn.Module], data: Dataset, config: TrainConfig, observers: Sequence[Sequence[Observer]]
) -> list[History]:
    """As `train`, for several like MLPs that see the same batches; ``observers`` are those of each.

    A network whose loss is no longer finite stops with the weights it has then; the others go on.
    """
    began = time.perf_counter()
    for model in models:
        check(model, data)
        model.to(config.device)
    with environment(config):
        stack = Stack(cast(Sequence[MLP], models))
        whole, each = stack.optimizer(config, config.device)
        source = Epochs(data, config, None)
        trainings = [
            Training(model, data, config, own, source.steps_per_epoch, False)
            for model, own in zip(models, each, strict=True)
        ]
        for model in models:
            model.train()
        status = _steps(stack, whole, trainings, source, observers)
        seconds = time.perf_counter() - began
        told = []
        for training, how in zip(trainings, status, strict=True):
            if how != "finished":
                warnings.warn(
                    f"training of seed {training.model.seed} {how}: the loss is not finite. A lower learning rate often helps",
                    stacklevel=3,
                )
            rows = {name: np.asarray(values, np.float64) for name, values in training.rows.items()}
            steps = np.arange(1, 1 + len(rows["loss"]))
            told.append(
                History(status=how, step=steps, **rows, test=evaluate(training.model, data.test), seconds=seconds)
            )
    return told


def _steps(
    stack: Stack,
    whole: torch.optim.Optimizer,
    trainings: Sequence[Training],
    source: Epochs,
    observers: Sequence[Sequence[Observer]],
) -> list[str]:
    """The loop; how each network ended. Observers hear of the end exactly once, whatever it was."""
    status, config = [""] * len(trainings), trainings[0].config
    try:
        for training, watching in zip(trainings, observers, strict=True):
            for observer in watching:
                observer.started(training)
        for step, (images, labels) in enumerate(source.after(0)):
            rate = learning_rate(config, step, trainings[0].total_steps)
            for optimizer in (whole, *(training.optimizer for training in trainings)):
                for group in optimizer.param_groups:
                    group["lr"] = rate
            losses, rights = (part.tolist() for part in stack.step(images, labels))
            for number, (training, loss, right) in enumerate(zip(trainings, losses, rights, strict=True)):
                if status[number]:
                    continue
                for name, value in zip(("loss", "accuracy", "learning_rate"), (loss, right, rate), strict=True):
                    training.rows[name].append(value)
                if not math.isfinite(loss):
                    status[number] = f"diverged at step {step + 1}"
                    stack.release(number)
                    tell_end(training, list(observers[number]), status[number])
            if all(status):
                break
            going = [number for number, how in enumerate(status) if not how]
            for number in going:
                for observer in observers[number]:
                    observer.before_update(trainings[number])
            whole.step()
            for number in going:
                trainings[number].step += 1
                for observer in observers[number]:
                    observer.stepped(trainings[number])
    except BaseException as error:
        for number, training in enumerate(trainings):
            if not status[number]:
                tell_end(training, list(observers[number]), reason_of(error, training.step))
        raise
    for number, training in enumerate(trainings):
        stack.release(number)
        if not status[number]:
            status[number] = "finished"
            tell_end(training, list(observers[number]), "finished")
    return status
