"""A sweep's settings, and its list of jobs. Nothing here reads or writes."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from ..config import ConfigError, NetworkConfig, RecordConfig, TrainConfig, from_json, to_json
from ..doors import door
from ..errors import unknown
from ..training.population import Order, way
from ..training.together import GROUP

MOST_NETWORKS = 1 << 16
_NAME = re.compile(r"[\w.=+-]{1,200}", re.ASCII)
"""The longest name of a run's folder."""


@door
@dataclass(frozen=True)
class Sweep:
    """The settings of a sweep: a network for each seed and each combination of ``settings``.

    Raises:
        ConfigError: Repeated or missing values.
        UnknownName: A field that neither config has.

    >>> asked = nm.sweep.Sweep(nm.MLPConfig(), seeds=range(4), settings={"learning_rate": (0.001, 0.003)})
    >>> len(nm.sweep.plan(asked))
    8
    """

    network: NetworkConfig
    """Settings of the network."""
    training: TrainConfig = TrainConfig()  # noqa: RUF009  (frozen)
    """Settings of training."""
    record: RecordConfig = RecordConfig()  # noqa: RUF009
    """Settings of recording."""
    data: str = "mnist"
    """An argument of `load` that the workers can reach."""
    seeds: Sequence[int] = (0,)
    """Seeds, each once."""
    settings: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values by field of either config."""
    order: Order = "own"
    """As in `train_population`: with ``shared`` the seeds of a setting see the batches of ``training.seed`` and are
    trained in groups of 16, if possible; with ``own`` a seed sets the order of its batches too.
    """

    def __post_init__(self) -> None:
        plain = {name: tuple(map(_plain, values)) for name, values in self.settings.items()}
        object.__setattr__(self, "settings", plain)
        object.__setattr__(self, "seeds", tuple(map(int, self.seeds)))
        if self.order not in get_args(Order):
            raise unknown("order", self.order, get_args(Order))
        for name, values in {"seeds": self.seeds, **plain}.items():
            if name != "seeds":
                _check_kind(name, values, kind_of(name, self.network))
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name} is {values!r}; it must be one or more different values")
        count = math.prod(map(len, (self.seeds, *plain.values())))
        if count > MOST_NETWORKS:
            raise ConfigError(f"{count:,} networks; a sweep may have at most {MOST_NETWORKS:,}")
        if self.order == "own" and self.training.seed:
            raise ConfigError(
                f"seed is {self.training.seed}, but each network has its own: give seeds, or order 'shared' to let all of a "
                "setting see the batches of that seed"
            )

    def to_json(self) -> dict[str, Any]:
        """The content of ``sweep.json``."""
        configs = {name: to_json(getattr(self, name)) for name in ("network", "training", "record")}
        return {**{f.name: getattr(self, f.name) for f in fields(self)}, **configs}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Sweep:
        """The sweep written by `to_json`.

        Args:
            values: Its plain values.
        """
        configs = {name: from_json(values[name]) for name in ("network", "training", "record")}
        return cls(**{**values, **configs})


@dataclass(frozen=True)
class Job:
    """One task: the networks of some seeds with one choice of settings."""

    settings: dict[str, Any]
    """The chosen value of each field."""
    network: NetworkConfig
    """Settings of the network, with the chosen values."""
    training: TrainConfig
    """Settings of training, with the chosen values."""
    seeds: tuple[int, ...]
    """Seeds of its networks."""

    def name(self, seed: int) -> str:
        """The run's folder, such as ``hidden=32-16_learning_rate=0.001_seed=3``.

        Args:
            seed: Seed of the network.
        """
        return "_".join(f"{key}={word(value)}" for key, value in {**self.settings, "seed": seed}.items())

    @property
    def names(self) -> list[str]:
        """The folders of its runs."""
        return [self.name(seed) for seed in self.seeds]


@door
def plan(asked: Sweep) -> list[Job]:
    """The jobs, settings in the order given, the last one changing fastest, then seeds.

    Args:
        asked: Settings of the sweep.

    Raises:
        ConfigError: An invalid combination, or one whose folder can't have its name.

    >>> [job.name(0) for job in nm.sweep.plan(nm.sweep.Sweep(nm.MLPConfig(), settings={"hidden": [(16,), (32, 16)]}))]
    ['hidden=16_seed=0', 'hidden=32-16_seed=0']
    """
    jobs = []
    for values in itertools.product(*asked.settings.values()):
        chosen = dict(zip(asked.settings, values, strict=True))
        try:
            network, training = _changed(asked.network, chosen), _changed(asked.training, chosen)
        except ConfigError as error:
            listed = " ".join(f"{name}={word(value)}" for name, value in chosen.items())
            raise ConfigError(f"{listed} can't be ({error}); leave it out: nothing was started") from None
        size = GROUP if asked.order == "shared" and way(network, training) else 1
        groups = (tuple(asked.seeds[first : first + size]) for first in range(0, len(asked.seeds), size))
        jobs += [Job(chosen, network, training, group) for group in groups]
        for name in jobs[-1].names:
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"a run's folder would be called {name[:300]!r}; such a name is too long or no name: leave it out"
                )
    return jobs


@door
def parse(words: Sequence[str], network: NetworkConfig) -> dict[str, list[Any]]:
    """Settings from words ``field=value``, by the field's type.

    A comma separates values (``learning_rate=0.001,0.003``), but in list-valued fields the entries of one value: give
    one word per value (``hidden=128,64 hidden=32,16``; ``hidden=`` for no layer). A field may be repeated.

    Args:
        words: Words ``field=value``.
        network: Settings of the network, whose kind decides the fields.

    Raises:
        ConfigError: A word without ``=``, or a value of another type.
        UnknownName: A field that neither config has.

    >>> nm.sweep.parse(["hidden=128,64", "hidden=", "learning_rate=0.001,0.003"], nm.MLPConfig())
    {'hidden': [(128, 64), ()], 'learning_rate': [0.001, 0.003]}
    """
    settings: dict[str, list[Any]] = {}
    for given in words:
        name, equals, text = given.partition("=")
        if not equals:
            raise ConfigError(f"--set {given}: a setting must be field=value, such as learning_rate=0.001,0.003")
        kind = kind_of(name, network)
        for part in [text] if get_origin(kind) is tuple else text.split(","):
            settings.setdefault(name, []).append(_value(name, kind, part))
    return settings


def kind_of(name: str, network: NetworkConfig) -> Any:
    """The type of a field of the network's or the training's config, except ``seed``: that is set by `Sweep.seeds`."""
    kinds = {**get_type_hints(type(network)), **get_type_hints(TrainConfig)}
    del kinds["seed"]
    if name not in kinds:
        raise unknown("setting", name, kinds, "(seeds are given separately)" if name == "seed" else "")
    return kinds[name]


def _check_kind(name: str, values: Sequence[Any], kind: Any) -> None:
    for value in values:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name} is {value!r}; that can't be: {error}") from None


def _value(name: str, kind: Any, text: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if get_origin(kind) is tuple:
            return tuple(int(part) for part in text.split(",") if part)
        return text if get_origin(kind) is Literal else kind(text)
    except (ValueError, KeyError):
        what = "whole numbers with commas" if get_origin(kind) is tuple else {bool: "true or false"}.get(kind)
        raise ConfigError(f"--set {name}={text}: it takes {what or f'values of type {kind.__name__}'}") from None


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def word(value: Any) -> str:
    """A value in the name of a folder."""
    text = "-".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
    return text.replace("/", "-").replace(":", "-")


def _changed(config: Any, chosen: dict[str, Any]) -> Any:
    own = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in chosen.items() if name in own})
