"""The base of all changes, and their composition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import ConfigError, TrainConfig
from ..data import ImageSet
from ..doors import door
from ..training import Observer
from ..training.feed import DataChange

Numbers = int | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a training; the base of all."""

    since: int | None = None
    """The first step at which it holds; None: from the fork on."""
    until: int | None = None
    """The first step at which it no longer holds; None: to the end."""

    def __post_init__(self) -> None:
        for name, value in (("since", self.since), ("until", self.until)):
            require(value is None or value >= 0, f"{name} is {value}; it must be 0 or more, or None")
        if self.since is not None and self.until is not None:
            require(self.since < self.until, f"it holds from step {self.since} until before {self.until}: never")

    def __add__(self, other: Change | tuple[Change, ...]) -> tuple[Change, ...]:
        return (self, *changes_of(other))

    def __radd__(self, other: tuple[Change, ...]) -> tuple[Change, ...]:
        return (*other, self)

    def holds(self, step: int) -> bool:
        """True while it holds.

        Args:
            step: Updates done.
        """
        return (self.since or 0) <= step and (self.until is None or step < self.until)

    def observer(self, fork: Fork) -> Observer | None:
        """The observer that applies it to a network in training; None for a change of data.

        Args:
            fork: The place of the fork.
        """
        return None

    def feed(self, images: ImageSet) -> DataChange | None:
        """Its effect on the batches; None if there is none.

        Args:
            images: The training images.
        """
        return None

    def check(self, network: Any, images: ImageSet) -> None:
        """A ConfigError if it can't be made in this network or these images.

        Args:
            network: The network at the fork.
            images: The training images.
        """

    def matched(self, random: np.random.Generator, network: Any, images: ImageSet) -> Change | None:
        """A random change of the same kind and size elsewhere, the null; None if there is none of this kind.

        Args:
            random: A random generator.
            network: The network at the fork.
            images: The training images.
        """
        return None

    def moved(self, other: Change) -> Change:
        """This change at the place of another one.

        Args:
            other: A change about units, or classes or images, as this one.
        """
        return self

    @property
    def where(self) -> tuple[str, frozenset[int]]:
        """A layer and its units, or classes or images; two draws differ in it."""
        return "", frozenset()


@dataclass(frozen=True)
class Fork:
    """The place of a fork in a training."""

    step: int
    """Optimizer steps done."""
    end: int
    """Optimizer steps in the whole training after it."""
    config: TrainConfig
    """The settings of the original training."""
    total_steps: int
    """Its optimizer steps."""


@door
def changes_of(change: Change | Iterable[Change] | None) -> tuple[Change, ...]:
    """A change, several, or none, as a tuple.

    Args:
        change: A change, several, or None.
    """
    return () if change is None else (change,) if isinstance(change, Change) else tuple(change)


def numbers_of(numbers: Numbers | None) -> tuple[int, ...]:
    return () if numbers is None else (numbers,) if isinstance(numbers, int) else numbers


def require(condition: bool, text: str) -> None:
    if not condition:
        raise ConfigError(text)
