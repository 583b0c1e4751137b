"""The result of a replay: a folder of run folders, and the scores of all networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import safetensors.torch
import torch
import xarray as xr
from msgspec import Meta, Struct, to_builtins
from torch import Tensor

from .. import changes, documents, files
from ..changes import Change
from ..changes.units import UnitChange
from ..config import ConfigError
from ..documents import Count, Digest, Text
from ..doors import door
from ..errors import RunError, unknown
from ..run import Run

ABOUT = "replay.json"
Role = Literal["twin", "branch"]


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of a replay: the content of replay.json."""

    parent: Text
    """The name of the folder of the run that was forked."""
    description: Digest
    """SHA-256 of its run.json."""
    at: Count
    """Step of the fork."""
    until: Count
    """The last step."""
    orders: Annotated[tuple[int | None, ...], Meta(min_length=1, max_length=1 << 10)]
    """The seed of each order of the batches; None: the order of the original."""
    changes: tuple[dict[str, Any], ...] = ()
    """The changes of the branches."""
    nulls: tuple[tuple[dict[str, Any], ...], ...] = ()
    """The changes of each null branch."""
    schedule: Literal["continued", "restarted"] = "continued"
    """The schedule of the learning rate, of twins and branches."""
    layers: tuple[Text, ...] = ()
    """The layers whose units' effects are measured."""
    steps: Annotated[tuple[Count, ...], Meta(min_length=1)]
    """The steps at which all networks are measured, from the fork on."""
    record: dict[str, Any]
    """Settings of recording."""

    @property
    def networks(self) -> list[str]:
        """The networks of each order: twin, branch, and null branches."""
        return ["twin", *(["branch"] if self.changes else []), *(f"null {number}" for number in range(len(self.nulls)))]


@dataclass(eq=False, repr=False)
class Replay:
    """A replay, or the complete orders of one that was interrupted. `replay` makes one, `Replay.open` reads it.

    >>> nm.replay(kept, "runs/ablated", at=12, change=nm.changes.Ablate("layers.0", 3), branches=2, nulls=2)
    Replay('...ablated': Ablate at step 12 of ..., to step 24; 2 of 2 orders, 2 null branches each)
    """

    folder: Path
    """Its folder."""
    settings: Settings
    """Its settings."""

    @classmethod
    @door
    def open(cls, folder: str | Path) -> Replay:
        """The replay in a folder.

        Args:
            folder: A folder that `replay` made.

        Raises:
            RunError: No replay there, or one whose files were altered.
        """
        folder = files.place(folder).absolute()
        if not (folder / ABOUT).is_file():
            raise RunError(f"{folder} is not a replay: it has no {ABOUT}")
        settings = documents.read(folder / ABOUT, Settings, RunError, folder)
        for values in (settings.changes, *settings.nulls):
            changes.from_json(values, folder / ABOUT)
        return cls(folder, settings)

    def __repr__(self) -> str:
        told = " + ".join(type(change).__name__ for change in self.changes) or "no change"
        nulls = f", {len(self.settings.nulls)} null branches each" if self.settings.nulls else ""
        return (
            f"Replay({str(self.folder)!r}: {told} at step {self.settings.at} of {self.settings.parent}, to step {self.settings.until}; "
            f"{len(self.complete)} of {len(self.settings.orders)} orders{nulls})"
        )

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes of the branches; empty: none."""
        return changes.from_json(self.settings.changes, self.folder / ABOUT)

    @property
    def title(self) -> str:
        """Its changes and steps in words: ``Ablate layers.0 unit 2, from step 8 to 18``."""
        held = self.settings
        words = " and ".join(_words(change) for change in self.changes) or "no change"
        return f"{words}, from step {held.at:,} to {held.until:,}"

    @property
    def complete(self) -> list[int]:
        """The numbers of the complete orders, from 0."""
        return [number for number in range(len(self.settings.orders)) if (self.folder / scores_of(number)).exists()]

    def run(self, role: Role, order: int) -> Run:
        """A twin or a branch.

        Args:
            role: ``twin`` or ``branch``.
            order: Number of the order, from 0.

        Raises:
            RunError: None there, or one that was altered.
        """
        return Run.open(self.folder / f"{role}-{order}")

    @property
    def twins(self) -> list[Run]:
        """The twins of the complete orders."""
        return [self.run("twin", number) for number in self.complete]

    @property
    def branches(self) -> list[Run]:
        """The branches of the complete orders, if anything was changed."""
        return [self.run("branch", number) for number in self.complete] if self.settings.changes else []

    @door
    def difference(self, original: Run) -> dict[str, float]:
        """The largest difference between the twin of the original's order and the original, at their common snapshots from the fork on:
        of the loss on the test images, and of a weight. Both are 0 where it was trained in the original's form.

        Args:
            original: The run that was forked.

        Raises:
            RunError: No twin has the original's order, or another run.
        """
        twin = self.run("twin", 0)
        if original.record.files()["run.json"] != self.settings.description:
            raise RunError(f"{original.folder} is not the run that was forked: its run.json differs")
        if twin.parent is None or twin.parent["order"] is not None:
            raise RunError(
                f"no twin of {self.folder} has the order of the original: that is nm.replay(…, orders='same')"
            )
        steps = [step for step in twin.steps if step in original.steps and step >= self.settings.at]
        losses = [run.log["test_loss"].values[[run.steps.index(step) for step in steps]] for run in (twin, original)]
        weights = max(
            float((tensor - original.weights(step)[name]).abs().max())
            for step in steps
            for name, tensor in twin.weights(step).items()
        )
        return {"loss": float(np.abs(losses[0] - losses[1]).max()), "weights": weights}

    @cached_property
    def scores(self) -> xr.Dataset:
        """``loss``, ``accuracy`` [order, network, snapshot] and ``accuracy_by_class`` […, class] on the test images, of the complete
        orders; ``network`` names twin, branch and null branches, ``step`` the steps.

        Raises:
            RunError: No order is complete, or a file was altered.
        """
        dims = ("order", "network", "snapshot")
        shapes = {
            name: (*dims, "class")[: tensor.ndim + 1] for name, tensor in self._held[0].items() if "." not in name
        }
        return self._dataset({name: (axes, [held[name] for held in self._held]) for name, axes in shapes.items()})

    @door
    def effects(self, layer: str) -> xr.DataArray:
        """The rise of the loss on the probe images when a unit is set to 0, in nats: [order, network, snapshot, unit].

        Args:
            layer: One of ``settings.layers``.

        Raises:
            UnknownName: A layer that was not measured.
        """
        if layer not in self.settings.layers:
            raise unknown("measured layer", layer, self.settings.layers)
        name = f"effect.{layer}"
        dims = ("order", "network", "snapshot", "unit")
        return self._dataset({"effect": (dims, [held[name] for held in self._held])})["effect"]

    def _dataset(self, variables: dict[str, tuple[tuple[str, ...], list[Tensor]]]) -> xr.Dataset:
        held = {name: (dims, torch.stack(tensors).double().numpy()) for name, (dims, tensors) in variables.items()}
        coordinates = {
            "order": self.complete,
            "network": self.settings.networks,
            "step": ("snapshot", list(self.settings.steps)),
        }
        return xr.Dataset(held, coordinates)

    @cached_property
    def _held(self) -> list[dict[str, Tensor]]:
        """The scores of each complete order."""
        if not self.complete:
            raise RunError(f"no order of {self.folder} is complete; the same call of nm.replay continues it")
        return [_read(self.folder, number, self.settings) for number in self.complete]


def scores_of(order: int) -> str:
    """The file of an order's scores."""
    return f"order-{order}.safetensors"


def write_about(folder: Path, settings: Settings) -> None:
    """Writes replay.json."""
    with files.whole(folder / ABOUT) as path:
        path.write_text(json.dumps(to_builtins(settings), indent=1))


def write_scores(folder: Path, order: int, scores: dict[str, Tensor]) -> None:
    """Writes the scores of an order, which is then complete."""
    with files.whole(folder / scores_of(order)) as path:
        path.write_bytes(safetensors.torch.save({name: tensor.contiguous() for name, tensor in scores.items()}))


def _read(folder: Path, order: int, settings: Settings) -> dict[str, Tensor]:
    path = folder / scores_of(order)
    with files.opened(path, folder) as file:
        content = file.read()
    documents.header(content, path, RunError)
    held = safetensors.torch.load(content)
    wanted = {"loss", "accuracy", "accuracy_by_class", *(f"effect.{layer}" for layer in settings.layers)}
    shape = (len(settings.networks), len(settings.steps))
    if {*held} != wanted or any(tuple(tensor.shape[:2]) != shape for tensor in held.values()):
        raise RunError(f"{path} does not hold the scores of {shape[0]} networks at {shape[1]} steps")
    return held


@door
def replays_of(run: Run) -> list[Replay]:
    """The replays of a run in the folder next to it, by name.

    Args:
        run: The run.
    """
    return [Replay.open(path) for path in folders_of(run)]


def folders_of(run: Run) -> list[Path]:
    """The folders of a run's replays, by name."""
    return sorted(path.parent for path in beside(run).glob(f"*/{ABOUT}"))


def _words(change: Change) -> str:
    """A change in a few words."""
    kind, numbers = change.where
    what = type(change).__name__
    few = ", ".join(f"{number:,}" for number in sorted(numbers)[:4]) + (", …" if len(numbers) > 4 else "")
    if hasattr(change, "layer"):
        return f"{what} {kind} unit {few}" if len(numbers) == 1 else f"{what} {kind} units {few}"
    return f"{what} {kind} {few}".strip()


def beside(run: Run) -> Path:
    """The folder of a run's replays."""
    return run.folder.with_name(f"{run.folder.name}.replays")


def named(at: int, parts: Iterable[Change], orders: str) -> str:
    """A folder's name for a replay."""
    words = []
    for change in parts:
        kind, numbers = change.where
        about = [kind] * bool(kind) + ["-".join(map(str, sorted(numbers)[:4]))] * bool(numbers)
        words.append("-".join([type(change).__name__.lower(), *about]))
    return "-".join([f"at-{at}", *(words or ["unchanged"]), *([orders] if orders == "same" else [])])


@door
def named_change(kind: type[UnitChange], text: str, since: int | None, until: int | None) -> Change:
    """A unit change from the command line's ``layers.1:3,19``.

    Args:
        kind: The change.
        text: Layer and numbers of units.
        since: The first step at which it holds; None: from the fork on.
        until: The first step at which it no longer holds; None: to the end.

    Raises:
        ConfigError: Other text.
    """
    layer, _, numbers = text.rpartition(":")
    units = numbers.split(",")
    if not layer or not all(unit.isdecimal() for unit in units):
        raise ConfigError(f"{text!r} names no units; write layer:unit, such as layers.1:19, or layers.1:3,19")
    chosen = tuple(int(unit) for unit in units)
    return kind(layer, chosen[0] if len(chosen) == 1 else chosen, since=since, until=until)


@door
def told(replay: Replay, run: Run | str | Path) -> Iterator[str]:
    """A replay in lines: at each step the loss of the twins, and how far branches and null branches are from them.

    Args:
        replay: The replay.
        run: The run that was forked, or its folder.
    """
    yield str(replay)
    if replay.twins[0].parent["order"] is None:  # type: ignore[index]
        far = replay.difference(run if isinstance(run, Run) else Run.open(run))
        yield f"The twin differs from the original by at most {far['loss']:.3g} nats of test loss, and {far['weights']:.3g} in a weight."
    loss = replay.scores.loss
    twins = loss.sel(network="twin", drop=True)
    far = loss - twins
    nulls = far.sel(network=[name for name in replay.settings.networks if name.startswith("null")]).mean("order")
    yield "  ".join(
        f"{head:>14}"
        for head in (
            "step",
            "twins' loss",
            "sd over orders",
            *(["change"] if replay.settings.changes else []),
            *(["null, from", "to"] if nulls.size else []),
        )
    )
    for number, step in enumerate(replay.settings.steps):
        here = twins.isel(snapshot=number)
        cells = [f"{step:,}", f"{float(here.mean()):.4f}", f"{float(here.std(ddof=1)):.4f}" if here.size > 1 else "–"]
        if replay.settings.changes:
            cells.append(f"{float(far.sel(network='branch').isel(snapshot=number).mean()):+.4f}")
        if nulls.size:
            cells += [
                f"{float(end):+.4f}" for end in (nulls.isel(snapshot=number).min(), nulls.isel(snapshot=number).max())
            ]
        yield "  ".join(f"{cell:>14}" for cell in cells)
