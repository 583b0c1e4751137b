"""The step at which the outcome of a training is decided: children of different orders, and the error on the line between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from .. import config, devices
from ..analysis.development import barrier
from ..config import ConfigError
from ..data import Dataset
from ..doors import door
from ..errors import RunError
from ..run import Run
from ..training import score, train_branches
from ..training.feed import Feed, order_of
from .making import Tell, inputs, network_at

SHARES = 11
"""Points on the line between two networks, the ends counted."""


@door
def decided(
    run: Run | str | Path | Sequence[Run],
    *,
    pairs: int = 4,
    at: Sequence[int] | None = None,
    data: Dataset | None = None,
    draws: int = 999,
    seed: int = 0,
    tell: Tell | None = None,
) -> xr.Dataset:
    """At which step of a training networks that go on from there in different orders stay linearly connected.

    From each step pairs of children are trained to the end, the two of a pair on different orders of the batches. Where
    the straight line between their weights crosses a barrier of test error, they have reached different solutions: at
    that step the outcome was not decided yet. The children are not recorded. Where the kind of network allows it, those of
    a step are trained in one stack.

    Args:
        run: The run, or its folder; or several runs of one kind of network with the same settings and kept steps, for
            more than one initialization.
        pairs: Pairs of children from each step of each run.
        at: Steps of snapshots whose state is kept, two or more; the last of them is the null. None: all those in the
            first half of the training.
        data: The training and test images; None: the set that `load` knows by the recorded name.
        draws: Number of draws of the null.
        seed: Seed of the orders and of the null's draws.
        tell: Function of a name, the forks done and all forks, called in progress.

    Returns:
        The result of `analysis.development.barrier`, the coordinate ``step`` on fork, with ``errors`` [fork, pair,
        share], shares of the test images. The attribute ``decided`` is the first step after the last one whose barrier is
        shown to exceed that of the last step; NaN if none is. Children of a later step have less training left in which to
        move apart, so a small barrier near the end says little.

    Raises:
        RunError: No state is kept at a step, which names the nearest that are; a run that can't be forked.
        ConfigError: Fewer than two steps or pairs; runs of different kinds; batch normalization, whose statistics are
            not defined between two networks.

    Source: Frankle et al. 2020, linear mode connectivity.

    >>> found = nm.replays.decided(kept, pairs=3, at=(0, 12))
    >>> found["barrier"].dims, found["step"].values
    (('fork',), array([ 0, 12]))
    """
    runs = _alike(run)
    first = runs[0]
    images = inputs(first, data, None)
    total = first.description["total_steps"]
    steps = sorted({*([step for step in first.kept_states if 2 * step <= total] if at is None else at)})
    if len(steps) < 2 or pairs * len(runs) < 2:
        raise ConfigError(
            f"{len(steps)} steps and {pairs * len(runs)} pairs; two of each are needed: of the steps the last is the null"
        )
    for one in runs:
        for step in steps:
            one.state(step)
    seeds = np.random.SeedSequence(seed).generate_state(2 * pairs * len(runs)).tolist()
    errors = []
    for number, step in enumerate(steps):
        if tell is not None:
            tell(f"fork at step {step}", number, len(steps))
        parents = [one for one in runs for _ in range(2 * pairs)]
        children = _children(parents, step, seeds, images)
        errors.append(list(_lines(children, images)))
    table = xr.DataArray(
        errors,
        {"step": ("fork", steps), "share": np.linspace(0, 1, SHARES)},
        ("fork", "pair", "share"),
        attrs={"units": "share of images"},
    )
    found = barrier(table, draws=draws, seed=seed)
    return found.assign(errors=table)


def _alike(run: Run | str | Path | Sequence[Run]) -> list[Run]:
    runs = list(run) if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    found = [one if isinstance(one, Run) else Run.open(one) for one in runs]
    if not found:
        raise ConfigError("there are no runs; give one or more")
    about = [_kind(one) for one in found]
    for one, other in zip(found, about, strict=True):
        if other != about[0]:
            name = next(name for name in other if other[name] != about[0][name])
            raise ConfigError(f"{one.folder.name} and {found[0].folder.name} differ in {name}; give runs of one kind")
    if getattr(found[0].config, "norm", "none") == "batch":
        raise ConfigError(f"{found[0].folder.name} has batch normalization, whose statistics are not defined on a line")
    return found


def _kind(run: Run) -> dict[str, Any]:
    """The part of a description that runs must have in common: everything but their seeds."""
    about = run.description
    held = {name: about[name] for name in ("model", "train", "total_steps", "data")}
    return {
        n: {k: v for k, v in one.items() if k != "seed"} if isinstance(one, dict) else one for n, one in held.items()
    }


def _children(parents: Sequence[Run], step: int, seeds: Sequence[int], data: Dataset) -> list[Any]:
    """Networks trained from a step of their parents to the end, each on an order of its own."""
    settings = config.from_json(parents[0].description["train"])
    models = [network_at(parent, step, None, None) for parent in parents]
    states = {id(parent): (step, parent.state(step)) for parent in parents}
    told = train_branches(
        models,
        data,
        replace(settings, seed=0),
        feeds=[Feed(order_of(data, settings, seed)) for seed in seeds],
        resume_from=[states[id(parent)] for parent in parents],
    )
    ended = [history.status for history in told if history.status != "finished"]
    if ended:
        raise RunError(f"{len(ended)} of {len(told)} children of step {step} did not finish: {ended[0]}")
    return models


def _lines(children: Sequence[Any], data: Dataset) -> Iterator[list[float]]:
    """The test errors on the line between each two children, [share]."""
    images, targets = devices.like(children[0], data.test.tensor()), data.test.target_tensor()
    for one, other in zip(children[::2], children[1::2], strict=True):
        ends = [{name: value.clone() for name, value in child.state_dict().items()} for child in (one, other)]
        found = []
        for share in np.linspace(0, 1, SHARES).tolist():
            one.load_state_dict({name: _between(value, ends[1][name], share) for name, value in ends[0].items()})
            found.append(1 - score(one, images, targets, data.test.classes).accuracy)
        yield found


def _between(one: Tensor, other: Tensor, share: float) -> Tensor:
    return torch.lerp(one, other, share) if one.is_floating_point() else one
