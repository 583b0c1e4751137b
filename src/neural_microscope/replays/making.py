"""Making a replay: which networks there are, and their training, order by order."""

from __future__ import annotations

import copy
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from msgspec import to_builtins
from torch import Tensor, nn

from .. import changes as kinds
from .. import config, devices, files
from ..changes import APART, Change, Duplicate, Schedule, changes_of
from ..changes.change import Fork
from ..changes.units import UnitChange, width
from ..config import ConfigError, RecordConfig, TrainConfig
from ..data import Dataset
from ..doors import door
from ..errors import RunError
from ..hooks import bare, evaluation
from ..models import Network, build
from ..recording import Recorder, checked_inputs, circumstances, schedule
from ..run import Run, RunWriter
from ..run.fork import Widened, fork
from ..training import Observer, Training, continue_in_place, train_branches
from ..training.feed import Feed, order_of
from ..training.together import GROUP
from .result import ABOUT, Replay, Settings, beside, named, write_about, write_scores

PARTIAL_FILE = re.compile(r"\.[0-9a-f]{32}\.partial(?:\.\w+)?")
PARTIAL_RUN = re.compile(r"\.(?:twin|branch)-[0-9]+\.partial")
"""Names of what a killed replay leaves."""

Tell = Callable[[str, int, int], None]
"""tell(what, steps done, of how many)."""


@door
def replay(
    run: Run | str | Path,
    folder: str | Path | None = None,
    *,
    at: int,
    change: Change | Iterable[Change] | None = None,
    branches: int | None = None,
    orders: Literal["new", "same"] = "new",
    nulls: int = 20,
    until: int | None = None,
    lr_schedule: Literal["continued", "restarted"] = "continued",
    record: RecordConfig | None = None,
    data: Dataset | None = None,
    model: nn.Module | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> Replay:
    """Forks a recorded training at a snapshot, and trains it on with and without a change.

    Each order of the batches has a twin without the change, a branch with it, and null branches with random changes of the same kind
    and size elsewhere, all trained in one stack where the kind of network allows it. A unit lost, for example, is compared with its
    twin, with the spread of the twins over orders, and with other units of its layer lost at the same step.

    Without a change, on the original's order, the twin equals the original bit for bit, trained in the form in which the original was
    (alone, or in its place of a stack). In a stack of another size it is equal up to rounding, which training amplifies.

    A replay that was interrupted is continued by the same call: complete orders are kept, and the others start again at the fork.

    Args:
        run: The run, or its folder.
        folder: Folder to create; None: one named after the change in ``<run's folder>.replays``.
        at: Step of a snapshot whose state is kept, see `RecordConfig.keep_states`.
        change: What the branches change, see `nm.changes`; None: nothing, and there are only twins.
        branches: Number of orders; None: 8 new ones, or the same one.
        orders: ``new``: each order shuffles the images by a seed of its own from the fork on; ``same``: that of the original.
        nulls: Null branches of each order, as far as there are different ones; with fewer than 20 nothing can be
            shown. Changes of the optimizer have none.
        until: The last step; None: the original's. Beyond it the rate stays that of its last step.
        lr_schedule: The schedule of the learning rate for twins and branches: ``continued``, that of the original by its steps, or
            ``restarted``, a whole one over the steps that are left.
        record: Settings of recording; its steps count from the fork. None: a snapshot each time the steps since the fork double,
            and the run's hook points.
        data: The training and test images; None: the set that `load` knows by the recorded name.
        model: For a run of a foreign module, one to load the weights into.
        seed: Seed of the null branches.
        tell: Function of a name, the steps done and all steps, called in progress.

    Raises:
        RunError: No state is kept at ``at``, which names the nearest that are; a run on batches or a loss of the caller's own, or without
            classes; a folder that holds something else.
        ConfigError: A change that this network or these images don't allow; settings that contradict each other.

    >>> forked = nm.replay(kept, at=12, change=nm.changes.Withhold(classes=7), branches=2, nulls=0)
    >>> forked.scores.accuracy_by_class.dims
    ('order', 'network', 'snapshot', 'class')
    """
    run = run if isinstance(run, Run) else Run.open(run)
    data = inputs(run, data, model)
    run.state(at)
    parts = changes_of(change)
    networks = network_at(run, at, model, None)
    for part in parts:
        part.check(networks, data.train)
    settings = _settings(run, at, parts, branches, orders, nulls, until, lr_schedule, record, data, networks, seed)
    place = files.place(folder or beside(run) / named(at, parts, orders)).absolute()
    _claim(place, settings)
    making = Making(run, place, settings, data, model, tell)
    for pack in making.packs:
        if not all((place / f"order-{number}.safetensors").exists() for number in pack):
            making.train(pack)
    return Replay.open(place)


def inputs(run: Run, data: Dataset | None, model: nn.Module | None) -> Dataset:
    """The images; a RunError for a run that can't be forked."""
    if run.description["train"]["kind"] == "loop":
        raise RunError(f"{run.folder} records a training loop of the caller's own, which only that loop can repeat")
    if run.task != "classification":
        raise RunError(f"{run.folder} is a {run.task} task; a replay compares accuracies of classes")
    if run.parent is not None:
        raise RunError(
            f"{run.folder} is a branch of a replay of {run.parent['run']}: fork that run, with the changes of both"
        )
    if run.description["sampler"] != "default":
        raise RunError(f"{run.folder} was trained on batches in an order of the caller's own, which is not known here")
    return checked_inputs(run.folder, run.description, data, model, None, None)


def _settings(
    run: Run,
    at: int,
    parts: Sequence[Change],
    branches: int | None,
    orders: str,
    nulls: int,
    until: int | None,
    lr_schedule: Literal["continued", "restarted"],
    record: RecordConfig | None,
    data: Dataset,
    model: nn.Module,
    seed: int,
) -> Settings:
    total = run.description["total_steps"]
    until = total if until is None else until
    if until <= at:
        raise ConfigError(f"until is {until}; it must come after the fork at step {at}")
    for name, value, least in (("branches", branches, 1), ("nulls", nulls, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")
    if orders == "same" and (branches or 1) > 1:
        raise ConfigError(f"{branches} branches on the same order would all be equal; give branches=1, or orders='new'")
    count = branches or (1 if orders == "same" else 8)
    held = run.description["train"]
    seeds = (held["seed"],) if orders == "same" else tuple(_seeds(held["seed"], count))
    base = config.from_json(run.description["record"])
    kept = replace(
        record or replace(base, per_octave=1, every_epoch=False, steps=(), every=0),
        keep_states=True,
        norms_every=base.norms_every,
    )
    kept = kept if kept.hook_points else replace(kept, hook_points=tuple(run.hook_points))
    steps = [at + step for step in schedule(kept, until - at, run.description["steps_per_epoch"])]
    own = isinstance(model, Network)
    layers = [part.layer for part in parts if isinstance(part, UnitChange)]
    if not layers and own:
        layers = [f"layers.{number}" for number in range(len(model.layers))]  # type: ignore[arg-type]
    return Settings(
        parent=run.folder.name,
        description=run.record.files()["run.json"],
        at=at,
        until=until,
        orders=seeds,
        changes=tuple(kinds.to_json(parts)),
        nulls=tuple(tuple(kinds.to_json(null)) for null in _nulls(parts, nulls, model, data, seed)),
        schedule=lr_schedule,
        layers=tuple(dict.fromkeys(layers)),
        steps=tuple(steps),
        record=config.to_json(kept),
    )


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds of new orders: not the original's."""
    return [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(abs(seed), spawn_key=(1,)).spawn(count)]


def _elsewhere(parts: Sequence[Change], random: np.random.Generator, model: Any, data: Dataset) -> tuple[Change, ...]:
    """A random change of the same kinds and sizes elsewhere; parts about the same units, or the same images, stay so."""
    places: dict[tuple[str, frozenset[int]], Change] = {}
    found = []
    for part in parts:
        like = places.get(part.where)
        one = part.matched(random, model, data.train) if like is None else part.moved(like)
        places.setdefault(part.where, one or part)
        found.append(one or part)
    return tuple(found)


def _nulls(parts: Sequence[Change], count: int, model: Any, data: Dataset, seed: int) -> list[tuple[Change, ...]]:
    """Different random changes of the same kinds and sizes elsewhere."""
    found: dict[tuple[Any, ...], tuple[Change, ...]] = {}
    random = np.random.default_rng(seed)
    for _ in range(20 * count):
        drawn = _elsewhere(parts, random, model, data)
        if len(found) == count or drawn == tuple(parts):
            break
        found.setdefault(tuple(part.where for part in drawn), drawn)
    return list(found.values())


def _claim(folder: Path, settings: Settings) -> None:
    """A folder for the replay: new, or of the same one. A RunError otherwise."""
    for left in folder.glob(".*"):  # of a killed writer; whatever else lies here is not ours
        if left.is_dir() and not left.is_symlink() and PARTIAL_RUN.fullmatch(left.name) and (folder / ABOUT).is_file():
            shutil.rmtree(left)
        elif left.is_file() and PARTIAL_FILE.fullmatch(left.name):
            left.unlink()
    if (folder / ABOUT).is_file():
        held = Replay.open(folder).settings
        there, asked = (json.loads(json.dumps(to_builtins(one))) for one in (held, settings))
        if there != asked:
            other = next(name for name in asked if there[name] != asked[name])
            raise RunError(
                f"{folder} holds another replay: its {other} is {there[other]!r}, asked for {asked[other]!r}; give another folder"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is not empty: give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_about(folder, settings)


@dataclass(eq=False)
class Making:
    """A replay in progress."""

    run: Run
    folder: Path
    settings: Settings
    data: Dataset
    model: nn.Module | None
    tell: Tell | None

    def __post_init__(self) -> None:
        about, settings = self.run.description, self.settings
        self.original: TrainConfig = config.from_json(about["train"])
        epochs = max(self.original.epochs, math.ceil(settings.until / about["steps_per_epoch"]))
        self.config = replace(self.original, epochs=epochs)
        self.fork = Fork(settings.at, settings.until, self.original, about["total_steps"])
        self.plain = not settings.changes and settings.orders == (self.original.seed,)
        self.parts = {
            "twin": (),
            "branch": Replay(self.folder, settings).changes,
            **{
                f"null {number}": kinds.from_json(null, self.folder / ABOUT)
                for number, null in enumerate(settings.nulls)
            },
        }
        copied = [part for parts in self.parts.values() for part in parts if isinstance(part, Duplicate)]
        self.widened = _widened(self.run, copied[0].layer) if copied else None

    @property
    def packs(self) -> list[list[int]]:
        """The orders that are trained in one stack."""
        each = max(1, GROUP // len(self.settings.networks))
        numbers = range(len(self.settings.orders))
        return [list(numbers[first : first + each]) for first in range(0, len(numbers), each)]

    def train(self, pack: Sequence[int]) -> None:
        """Trains the networks of some orders, and writes their scores."""
        state = self.run.state(self.settings.at)
        if self.widened is not None:
            state = self.widened.state(state, self.run.description["parameters"])
        models, feeds, observers, watches, writers = [], [], [], {}, []
        try:
            for order in pack:
                seed = self.settings.orders[order]
                sampler = order_of(self.data, self.config, self.original.seed if seed is None else seed)
                for role in self.settings.networks:
                    model, parts = network_at(self.run, self.settings.at, self.model, self.widened), self.parts[role]
                    watch = watches[order, role] = _Watch(self.settings, self.run, self.data)
                    own: list[Observer] = [
                        *self._schedule(),
                        *filter(None, (part.observer(self.fork) for part in parts)),
                        watch,
                    ]
                    if role in ("twin", "branch"):
                        writers.append(self._writer(role, order))
                        own.append(Recorder.again(writers[-1], Run.at(writers[-1].folder, writers[-1].record)))
                    models.append(model)
                    feeds.append(Feed(sampler, [feed for part in parts if (feed := part.feed(self.data.train))]))
                    observers.append(
                        [*own, _Ending(self.settings, self.tell if not models[1:] else None, f"order {pack[0] + 1}")]
                    )
            self._fit(models, feeds, observers, (self.settings.at, state))
        finally:
            for writer in writers:
                writer.close()
        for order in pack:
            taken = [watches[order, role].taken for role in self.settings.networks]
            names = dict.fromkeys(name for scores in taken for name in scores)
            write_scores(self.folder, order, {name: torch.stack([scores[name] for scores in taken]) for name in names})

    def _fit(
        self,
        models: list[Any],
        feeds: list[Feed],
        observers: list[list[Observer]],
        state: tuple[int, dict[str, Tensor]],
    ) -> None:
        together = self.run.description.get("together")
        if together and self.plain and len(models) == 1:
            place = (together["number"], together["of"])
            continue_in_place(models[0], self.data, self.config, observers[0], place, state)
            return
        settings = bool(self._schedule()) or any(
            isinstance(part, APART) for parts in self.parts.values() for part in parts
        )
        train_branches(
            models,
            self.data,
            self.config,
            feeds=feeds,
            observers=observers,
            resume_from=[state] * len(models),
            apart=settings,
            at_once=len(models),
        )

    def _schedule(self) -> list[Observer]:
        """The schedule of the learning rate, where it is not the one that the config gives by itself."""
        beyond = self.config.epochs != self.original.epochs
        restarted = self.settings.schedule == "restarted"
        return [Schedule(self.settings.schedule).observer(self.fork)] if beyond or restarted else []

    def _writer(self, role: str, order: int) -> RunWriter:
        """The writer of a child that stands at the fork."""
        folder = self.folder / f"{role}-{order}"
        if not folder.exists():  # a killed writer leaves a partial folder, or a whole one
            partial = folder.with_name(f".{folder.name}.partial")
            fork(self.run, partial, self.settings.at, self._about(role, order), self.widened)
            partial.rename(folder)
        writer = RunWriter.reopen(folder)
        steps = Run.at(writer.folder, writer.record).steps
        while steps[-1] > self.settings.at:
            writer.record, steps = writer.record.without_last_snapshot(), steps[:-1]
        writer.take_back()
        return writer

    def _about(self, role: str, order: int) -> dict[str, Any]:
        """The content of a child's run.json."""
        run, settings = self.run, self.settings
        seed = settings.orders[order]
        same = seed == self.original.seed
        about = {name: value for name, value in run.description.items() if name not in ("together", "initial_weights")}
        if self.plain and "together" in run.description:
            about["together"] = run.description["together"]
        total = self.config.epochs * about["steps_per_epoch"]
        before = [step for step in (0,) if step < settings.at and step in run.kept_states]
        if self.widened is not None:
            about["model"] = {**config.to_json(_wider(run.config, self.widened.layer)), "seed": about["model"]["seed"]}
            about["hook_points"] = {n: self.widened.shape(n, shape) for n, shape in about["hook_points"].items()}
        kept = config.from_json(settings.record)
        return {
            **about,
            **circumstances(self.config),
            "train": config.to_json(self.config),
            "record": settings.record,
            "sampler": "default" if same else "custom",
            "hook_points": {name: about["hook_points"][name] for name in kept.hook_points},
            "schedule": [*before, *settings.steps, *([total] if settings.until < total else [])],
            "total_steps": total,
            "parent": {
                "run": settings.parent,
                "description": settings.description,
                "at": settings.at,
                "order": None if same else seed,
                "changes": list(settings.changes) if role == "branch" else [],
            },
        }


def network_at(run: Run, at: int, model: nn.Module | None, widened: Widened | None) -> Any:
    """The network at the fork, to be trained."""
    if widened is None:
        own = run.model(at, into=None if model is None else copy.deepcopy(bare(model)))
    else:
        own = build(_wider(run.config, widened.layer), run.description["model"]["seed"])
        own.load_state_dict({name: widened.tensor(name, tensor) for name, tensor in run.weights(at).items()})
    for name, parameter in own.named_parameters():
        parameter.requires_grad_(name in run.description["parameters"])
    return own


def _wider(held: Any, layer: str) -> Any:
    """The config of a network with one more unit in a hidden layer."""
    number = int(layer.split(".")[1])
    field = "hidden" if hasattr(held, "hidden") else "channels" if number < len(held.channels) else "head"
    place = number - (len(held.channels) if field == "head" else 0)
    sizes = list(getattr(held, field))
    sizes[place] += 1
    return replace(held, **{field: tuple(sizes)})


def _widened(run: Run, layer: str) -> Widened:
    own = run.model(run.steps[0])
    number = int(layer.split(".")[1]) + 1
    following = f"layers.{number}.{own.layers[number].kind}" if number < len(own.layers) else "output"
    read = own.get_submodule(following).weight
    columns = read.shape[1] // width(own, layer) if read.ndim == 2 else 1
    return Widened(layer, f"{layer}.{own.get_submodule(layer).kind}", following, columns)


class _Ending(Observer):
    """Ends the training at the replay's last step, and tells of progress."""

    def __init__(self, settings: Settings, tell: Tell | None, name: str) -> None:
        self.settings, self.tell, self.name = settings, tell, name

    def stepped(self, training: Training) -> None:
        if self.tell is not None and (training.step % 20 == 0 or training.step == self.settings.until):
            self.tell(self.name, training.step - self.settings.at, self.settings.until - self.settings.at)
        if training.step == self.settings.until < training.total_steps:
            training.stop("the end of a replay")


class _Watch(Observer):
    """Takes the scores of a network, and the effects of its units, at each step of the replay."""

    def __init__(self, settings: Settings, run: Run, data: Dataset) -> None:
        self.settings, self.probe, self.test = settings, run.probe, data.test
        self.rows: list[dict[str, Tensor]] = []

    def started(self, training: Training) -> None:
        self.images = devices.like(training.model, self.probe.tensor())
        self.labels = self.probe.label_tensor().to(self.images.device)
        self.tests, self.targets = devices.like(training.model, self.test.tensor()), self.test.target_tensor()
        self.stepped(training)

    def stepped(self, training: Training) -> None:
        if training.step not in self.settings.steps:
            return
        scores = training.scores(self.tests, self.targets)
        row = {
            name.removeprefix("test_"): torch.as_tensor(value, dtype=torch.float64) for name, value in scores.items()
        }
        for layer in self.settings.layers:
            row[f"effect.{layer}"] = effects(training.model, layer, self.images, self.labels)
        self.rows.append(row)

    @property
    def taken(self) -> dict[str, Tensor]:
        """The scores, [snapshot, …] each; NaN after a divergence."""
        missing = len(self.settings.steps) - len(self.rows)
        empty = {name: torch.full_like(value, math.nan) for name, value in self.rows[0].items()}
        rows = self.rows + [empty] * missing
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


@torch.no_grad()
def effects(model: Any, layer: str, images: Tensor, labels: Tensor) -> Tensor:
    """The rise of the mean cross-entropy when each unit of a hidden layer is set to 0, in nats: float64 [unit].

    Args:
        model: One of our networks.
        layer: ``layers.1``.
        images: Images [example, channel, row, col].
        labels: Their classes, int64 [example].
    """
    point = [name for name in model.hook_points if name.startswith(f"{layer}.")][-1]
    with evaluation(model):
        _, cache = model.run_with_cache(images, names_filter=point)
        held = cache[point]
        whole = _loss(model.run_from(point, held), labels)
        found = []
        for unit in range(held.shape[1]):
            without = held.clone()
            without[:, unit] = 0
            found.append(_loss(model.run_from(point, without), labels) - whole)
    return torch.stack(found).cpu()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.double(), labels)
