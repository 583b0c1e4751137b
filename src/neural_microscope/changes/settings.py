"""Changes of the optimizer's settings: rate, schedule, weight decay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from ..doors import typed
from ..training import Observer, Training, learning_rate
from .change import Change, Fork, require


@typed
@dataclass(frozen=True)
class LearningRate(Change):
    """The learning rate times a factor.

    >>> nm.changes.LearningRate(0.5, since=400).holds(399)
    False
    """

    factor: float
    """The factor, 0 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.factor < math.inf, f"factor is {self.factor}; it must be 0 or more, and finite")

    def observer(self, fork: Fork) -> Observer:
        return _Setting(self, "lr", lambda rate, step: rate * self.factor)


@typed
@dataclass(frozen=True)
class WeightDecay(Change):
    """Another weight decay."""

    value: float
    """The weight decay, 0 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.value < math.inf, f"value is {self.value}; it must be 0 or more, and finite")

    def observer(self, fork: Fork) -> Observer:
        return _Setting(self, "weight_decay", lambda decay, step: self.value)


@typed
@dataclass(frozen=True)
class Schedule(Change):
    """The schedule of the learning rate: that of the original training by its steps, or one that starts again at the fork."""

    how: Literal["continued", "restarted"] = "continued"
    """The schedule."""

    def observer(self, fork: Fork) -> Observer:
        first, steps = (0, fork.total_steps) if self.how == "continued" else (fork.step, fork.end - fork.step)
        return _Setting(self, "lr", lambda rate, step: learning_rate(fork.config, min(step - first, steps - 1), steps))


class _Setting(Observer):
    """Sets an optimizer's setting before each update: a function of its value and the step."""

    def __init__(self, change: Change, name: str, value: Any) -> None:
        self.change, self.name, self.value = change, name, value

    def started(self, training: Training) -> None:
        self.usual = training.optimizer.param_groups[0][self.name]

    def before_update(self, training: Training) -> None:
        for group in training.optimizer.param_groups:
            if self.change.holds(training.step):
                group[self.name] = self.value(group[self.name], training.step)
        if self.name == "lr":
            training.rows["learning_rate"][-1] = training.optimizer.param_groups[0]["lr"]

    def stepped(self, training: Training) -> None:
        for group in training.optimizer.param_groups:
            group[self.name] = self.usual  # before any other change sets it for the next step
