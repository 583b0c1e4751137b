"""The effect of a change as a function of its onset, with equal training left after each, under each schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import xarray as xr

from ..analysis.development import change_of_learning
from ..changes import Change, changes_of
from ..config import ConfigError
from ..data import Dataset
from ..doors import door
from ..errors import unknown
from ..run import Run
from .making import Tell, replay
from .result import Replay, beside, named

Score = Literal["accuracy", "loss"]


@door
def onsets(
    run: Run | str | Path,
    change: Change | Iterable[Change],
    folder: str | Path | None = None,
    *,
    at: Sequence[int],
    left: int | None = None,
    schedules: Sequence[Literal["continued", "restarted"]] = ("continued", "restarted"),
    value: Score = "accuracy",
    branches: int = 8,
    nulls: int = 0,
    data: Dataset | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> xr.Dataset:
    """The effect of the same change at different onsets, each with equal training left and under each schedule of the rate.

    A change late in training has less training after it, and a smaller learning rate: both look like a critical period.
    So each onset is followed by the same number of steps, and the schedule is crossed with it. A period is critical
    only if the effect depends on the onset where the schedule restarts, too.

    Args:
        run: The run, or its folder.
        change: The change; its ``since`` and ``until`` count from the onset.
        folder: Folder of the replays, one for each onset and schedule; None: that of the run's replays.
        at: The onsets: steps of snapshots whose state is kept.
        left: Steps of training from each onset on; None: to the original's end from the last onset.
        schedules: Schedules of the learning rate, see `replay`. Beyond the original's end a continued one stays at its last rate.
        value: The score on the test images.
        branches: Number of orders.
        nulls: Null branches of each order.
        data: The training and test images; None: the set that `load` knows by the recorded name.
        seed: Seed of the null branches.
        tell: Function of a name, the steps done and all steps, called in progress.

    Returns:
        ``change`` [schedule, fork], its interval, null and p, and ``order_sd``, as `analysis.development.change_of_learning` gives
        them ``left`` steps after each onset; ``twin`` [schedule, fork]: the twins' score, mean over orders. The coordinate
        ``step`` of a fork is the onset.

    Raises:
        ConfigError: No onset or no schedule; otherwise as `replay`.
        RunError: As `replay`.

    >>> blurred = nm.changes.Blur(classes=(0, 1, 2), until=4)
    >>> found = nm.replays.onsets(kept, blurred, "runs/onsets", at=(0, 12), left=12, branches=2)
    >>> found["change"].dims, found["schedule"].values
    (('schedule', 'fork'), array(['continued', 'restarted'], dtype='<U9'))
    """
    run = run if isinstance(run, Run) else Run.open(run)
    steps, given = sorted({*at}), changes_of(change)
    if not steps or not schedules:
        raise ConfigError(f"at is {list(at)} and schedules are {list(schedules)}; give one or more of each")
    left = run.description["total_steps"] - steps[-1] if left is None else left
    rows = []
    for schedule in schedules:
        tables = []
        for step in steps:
            parts = [_from(part, step) for part in given]
            made = replay(
                run,
                Path(folder or beside(run)) / f"{named(step, parts, 'new')}-{left}-{schedule}",
                at=step,
                change=parts,
                branches=branches,
                nulls=nulls,
                until=step + left,
                lr_schedule=schedule,
                data=data,
                seed=seed,
                tell=tell,
            )
            tables.append(_last(made, value))
        rows.append(xr.concat(tables, "fork", combine_attrs="override"))
    found = xr.concat(rows, "schedule", combine_attrs="override")
    return found.assign_coords(schedule=list(schedules), step=("fork", steps)).assign_attrs(left=left, score=value)


def _from(change: Change, step: int) -> Change:
    """A change whose steps counted from the onset."""
    return replace(
        change,
        since=None if change.since is None else step + change.since,
        until=None if change.until is None else step + change.until,
    )


def _last(made: Replay, value: Score) -> xr.Dataset:
    if value not in made.scores:
        raise unknown("score", value, ("accuracy", "loss"))
    scores = made.scores[value]
    twin = scores.sel(network="twin", drop=True).mean("order")
    return change_of_learning(scores).assign(twin=twin).isel(snapshot=-1).drop_vars("step")
