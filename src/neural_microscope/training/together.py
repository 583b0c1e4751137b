"""Several networks of one architecture trained together on the same batches. The plain loop is the reference.

The computation of each step, losses and gradients of all networks at once, is `stacked` (products by hand, plain MLPs)
or `mapped` (``torch.func``, the rest). Each network's parameters, gradients and optimizer state are views into stacked tensors:
observers see an ordinary network, and the recorder an ordinary training.

On one thread the first steps agree with the plain loop to float32 rounding (1e-6 relative); after that a rounding difference may flip
a ReLU, and weights drift apart as those of two machines do. Tests hold both.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..data import Dataset
from ..models import Network
from . import loop
from .epochs import Epochs
from .loop import History, Observer, Training

GROUP = 16
"""Networks trained together: with more, the activations exceed the cache (benchmarks)."""


class Batch(NamedTuple):
    """A batch of several networks."""

    images: Tensor
    """[example, …], shared by all networks; or [network, example, …]."""
    labels: Tensor
    """int64 [example] or [network, example]."""
    weights: Tensor | None = None
    """The weight of each image in the mean loss of the batch, [network, example]; None: all 1."""
    own: bool = False
    """True if each network has images of its own."""


def shares_of(weights: Tensor) -> Tensor:
    """Weights of a batch's images as shares of their sum, [..., example]; all 0 where every image is left out: no gradient."""
    return weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)


Resumed = tuple[int, dict[str, Tensor]]
"""(optimizer steps done, `Training.state` at that point)."""

Step = Callable[[Batch], tuple[Tensor, Tensor]]
"""Each network's loss and accuracy, both [network]; gradients are set afterward."""


class Stack:
    """The parameters of several like networks as one tensor a layer, of which theirs become views."""

    def __init__(self, models: Sequence[Network]) -> None:
        self.models = models
        names = [name for name, _ in models[0].named_parameters()]
        self.parameters = {}
        for name in names:
            own = [model.get_parameter(name) for model in models]
            stacked = nn.Parameter(torch.stack([parameter.detach() for parameter in own]))
            stacked.grad = torch.zeros_like(stacked)
            for number, parameter in enumerate(own):
                parameter.data, parameter.grad = stacked.data[number], stacked.grad[number]
            self.parameters[name] = stacked

    def optimizer(
        self, config: TrainConfig, device: str, apart: bool = False
    ) -> tuple[torch.optim.Optimizer, list[torch.optim.Optimizer]]:
        """One optimizer of the stacked parameters, and one for each network whose state is a view into it.

        Args:
            config: Settings of training.
            device: The device of the parameters.
            apart: True if those of the networks will take the steps, each by its own rates.
        """
        whole = loop.optimizer_of(list(self.parameters.values()), config)
        each = [loop.optimizer_of(list(model.parameters()), config) for model in self.models]
        slots = {"sgd": ["momentum_buffer"] if config.momentum else []}.get(config.optimizer, ["exp_avg", "exp_avg_sq"])
        for name, stacked in self.parameters.items():
            state: dict[str, Any] = {slot: torch.zeros_like(stacked) for slot in slots}
            step = {"step": torch.zeros((), device=device)} if config.optimizer != "sgd" else {}
            if state:
                whole.state[stacked] = state | step
            for number, (model, own) in enumerate(zip(self.models, each, strict=True)):
                if state:
                    count = {slot: tensor.clone() for slot, tensor in step.items()} if apart else step
                    own.state[model.get_parameter(name)] = {
                        slot: tensor[number] for slot, tensor in state.items()
                    } | count
        return whole, each

    def restore(self, each: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
        """Gives a network's optimizer, in place, the tensors of a `Training.state`."""
        parameters = [parameter for group in each.param_groups for parameter in group["params"]]
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                each.state[parameters[int(index)]][key].copy_(tensor)

    def release(self, number: int) -> None:
        """Gives a network its parameters for itself, as they are now."""
        for parameter in self.models[number].parameters():
            parameter.data, parameter.grad = parameter.data.clone(), None


def train_together(
    models: Sequence[Network],
    data: Dataset,
    config: TrainConfig,
    observers: Sequence[Sequence[Observer]],
    step_of: Callable[[Stack], Step],
    *,
    source: Epochs | None = None,
    resume_from: Sequence[Resumed] = (),
    apart: bool = False,
) -> list[History]:
    """As `train`, for several like networks; ``observers`` are those of each.

    A network whose loss is no longer finite stops with its current weights; the others continue.

    Args:
        models: Networks of one config.
        data: Training and test images.
        config: Settings of training.
        observers: Callbacks of each network.
        step_of: The computation of a step.
        source: The batches; None: those of the config's seed, for all.
        resume_from: (optimizer steps done, `Training.state` at that point) of each; empty: from the beginning.
        apart: True if an observer changes the rate or the weight decay of single networks.
    """
    return _train(models, data, config, observers, step_of, [*range(len(models))], resume_from, source, apart)


def train_in_place(
    model: Network,
    data: Dataset,
    config: TrainConfig,
    observers: Sequence[Observer],
    step_of: Callable[[Stack], Step],
    place: tuple[int, int],
    resume_from: Resumed | None,
) -> History:
    """One of several networks that were trained together, by itself, from a `Training.state` on: with copies of it in the places of the
    others every product has the shape that it had there, and so every number the same bits. It takes the time of all of them.
    """
    number, of = place
    models = [model if i == number else copy.deepcopy(model) for i in range(of)]
    watching = [observers if i == number else () for i in range(of)]
    resumed = [resume_from] * of if resume_from is not None else []
    return _train(models, data, config, watching, step_of, [number], resumed)[0]


def _train(
    models: Sequence[Network],
    data: Dataset,
    config: TrainConfig,
    observers: Sequence[Sequence[Observer]],
    step_of: Callable[[Stack], Step],
    wanted: Sequence[int],
    resume_from: Sequence[Resumed] = (),
    source: Epochs | None = None,
    apart: bool = False,
) -> list[History]:
    """The history of each requested network."""
    began = time.perf_counter()
    config = loop.placed(config)
    for model in models:
        loop.check(model, data)
        model.to(config.device)
    with loop.environment(config):
        stack = Stack(models)
        whole, each = stack.optimizer(config, config.device, apart)
        source = source or Epochs(data, config, None, models[0])
        trainings = [
            Training(model, data, config, own, source.steps_per_epoch, False, place=(number, len(models)))
            for number, (model, own) in enumerate(zip(models, each, strict=True))
        ]
        for training, (step, state) in zip(trainings, resume_from, strict=bool(resume_from)):
            training.step = training.first_row = step
            stack.restore(training.optimizer, state)
            loop.set_random_state(state, config)
        for model in models:
            model.train()
        status = _steps(stack, step_of(stack), each if apart else [whole], trainings, source, observers)
        seconds = time.perf_counter() - began
        return [
            loop.history(trainings[i], status[i], seconds, f" of seed {models[i].seed}", stacklevel=6) for i in wanted
        ]


def _steps(
    stack: Stack,
    step_all: Step,
    optimizers: Sequence[torch.optim.Optimizer],
    trainings: Sequence[Training],
    source: Epochs,
    observers: Sequence[Sequence[Observer]],
) -> list[str]:
    """The loop, and each network's status. Observers are notified of the end exactly once."""
    status, config = [""] * len(trainings), trainings[0].config
    try:
        for training, watching in zip(trainings, observers, strict=True):
            for observer in watching:
                observer.started(training)
        begin = trainings[0].step
        for step, batch in enumerate(source.after(begin), begin):
            rate = loop.learning_rate(config, step, trainings[0].total_steps)
            for optimizer in {*optimizers, *(training.optimizer for training in trainings)}:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            losses, rights = (part.tolist() for part in step_all(Batch(*batch)))
            for number, (training, loss, right) in enumerate(zip(trainings, losses, rights, strict=True)):
                if status[number]:
                    continue
                for name, value in zip(("loss", "accuracy", "learning_rate"), (loss, right, rate), strict=True):
                    training.rows[name].append(value)
                if not math.isfinite(loss):
                    status[number] = f"diverged at step {step + 1}"
                    stack.release(number)
                    loop.tell_end(training, list(observers[number]), status[number])
            if all(status):
                break
            going = [number for number, how in enumerate(status) if not how]
            for number in going:
                for observer in observers[number]:
                    observer.before_update(trainings[number])
            for optimizer in optimizers:
                optimizer.step()
            for number in going:
                trainings[number].step += 1
                for observer in observers[number]:
                    observer.stepped(trainings[number])
                if why := trainings[number].early:
                    status[number] = why
                    stack.release(number)
                    loop.tell_end(trainings[number], list(observers[number]), why)
            if all(status):
                break
    except BaseException as error:
        for number, training in enumerate(trainings):
            if not status[number]:
                loop.tell_end(training, list(observers[number]), loop.reason_of(error, training.step))
        raise
    for number, training in enumerate(trainings):
        stack.release(number)
        if not status[number]:
            status[number] = "finished"
            loop.tell_end(training, list(observers[number]), "finished")
    return status
