"""Claims about a replay: sentences with their verdict against the null branches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..analysis.development import change_of_learning, takeover
from ..changes import Ablate
from ..claim import Claim, judge
from ..config import ConfigError
from ..doors import door
from ..errors import MicroscopeError
from ..run import Run
from .result import Replay, folders_of

TAKES_OVER = "a unit takes over"
CHANGES = "a change of training changes the loss"


class Judged(NamedTuple):
    """A replay with its claims."""

    folder: Path
    replay: Replay | None
    """None where its folder can't be read."""
    claims: list[Claim]
    wrong: str
    """The error of one that can't be read or judged; else empty."""


def judged(run: Run) -> list[Judged]:
    """The complete replays beside a run that forked this very run and changed something; one that is damaged or diverged costs no page."""
    return [found for folder in folders_of(run) if (found := _judged(run, folder))]


def _judged(run: Run, folder: Path) -> Judged | None:
    one = None
    try:
        one = Replay.open(folder)
        if one.settings.description != run.record.files()["run.json"] or not (one.settings.changes and one.complete):
            return None
        return Judged(folder, one, claims(one), "")
    except MicroscopeError as error:
        return Judged(folder, one, [], f"Not measured: {error}")


@door
def claims(replay: Replay) -> list[Claim]:
    """The claims that a replay supports: for lost units, a takeover of their work; for other changes, their effect on the test loss.

    One claim is tested. A takeover is that of the unit with the largest rise, and further units whose rise is shown; their p
    is family-wise over the layer's units. Each claim is judged by itself, not as part of a report's page.

    Args:
        replay: A replay with a change.

    Raises:
        ConfigError: A replay without a change.

    >>> forked = nm.replay(kept, "runs/claimed", at=12, change=nm.changes.Ablate("layers.0", 3), branches=2, nulls=2)
    >>> [claim.verdict for claim in nm.replays.claims(forked)]
    ['not shown', 'description']
    """
    if not replay.changes:
        raise ConfigError(f"{replay.folder} changes nothing, so there is nothing to claim; give nm.replay a change=")
    lost = [change for change in replay.changes if isinstance(change, Ablate)]
    found = list(_takeovers(replay, lost[0])) if lost else []
    found.append(_change(replay, describes=bool(lost)))
    return [judge([claim], families=1)[0] for claim in found]


def _takeovers(replay: Replay, change: Ablate) -> Iterator[Claim]:
    table = takeover(replay.effects(change.layer), change.chosen)
    rise = np.nan_to_num(table["rise"].values, nan=-np.inf)
    for unit in np.argsort(-rise, kind="stable").tolist():
        if np.isfinite(rise[unit]) and (unit == rise.argmax() or bool(table["rise_shown"][unit])):
            yield _takeover(replay, change, table, unit)


def _takeover(replay: Replay, change: Ablate, table: xr.Dataset, unit: int) -> Claim:
    here = table.isel(unit=unit)
    units = ", ".join(f"{one:,}" for one in sorted(change.chosen))
    which = f"unit {units}" if len(change.chosen) == 1 else f"units {units}"
    nulls = here["rise_p"].attrs["draws"]
    return Claim(
        rule=TAKES_OVER,
        measure="development.takeover",
        network=replay.settings.parent,
        yes=f"unit {{unit:,}} takes over the work of the lost {which}: its ablation raises the loss by {{rise:g}} nats more than in the "
        "twins, in {orders:,} of {of_orders:,} orders, by step {by:,}.",
        no=f"that a unit takes over the work of the lost {which} is not shown. The largest rise of an ablation effect, of unit "
        "{unit:,}, is {rise:g} nats.",
        numbers={
            "unit": unit,
            **{
                name: float(here[name]) for name in ("rise", "rise_low", "rise_high", "rise_null_low", "rise_null_high")
            },
            "orders": int(here["orders"]),
            "of_orders": table.attrs["of_orders"],
            "by": float(here["by"]),
            "lost_effect": table.attrs["lost_effect"],
            "at": replay.settings.at,
        },
        effect="rise",
        evidence="95% over orders {rise_low:g} to {rise_high:g}; largest rise of any unit in null branches {rise_null_low:g} to "
        "{rise_null_high:g}. The lost work: {lost_effect:g} nats." + _caution(table),
        null=table.attrs["null"],
        p=float(here["rise_p"]),
        n=table.attrs["of_orders"],
        of="orders",
        units="nats",
        hook_point=f"{change.layer}.hook_post",
        unit=unit,
        floor=1 / (1 + nulls),
        draws=nulls,
        call=f'nm.analysis.development.takeover(replay.effects("{change.layer}"), {change.chosen})',
    )


def _change(replay: Replay, describes: bool) -> Claim:
    table = change_of_learning(replay.scores.loss)
    here = table.isel(snapshot=-1)
    nulls = here["change_p"].attrs["draws"]
    return Claim(
        rule=CHANGES,
        measure="development.change_of_learning",
        network=replay.settings.parent,
        yes="after the change of training at step {at:,}, the test loss {change:rises4} nats against the twins at step {step:,}.",
        no="that the change of training at step {at:,} changes the test loss by more than null branches is not shown: it {change:rises4} "
        "nats against the twins at step {step:,}.",
        numbers={
            "at": replay.settings.at,
            "step": int(here["step"]),
            "order_sd": float(here["order_sd"]),
            **{
                name: float(here[name])
                for name in ("change", "change_low", "change_high", "change_null_low", "change_null_high")
            },
        },
        effect="change",
        evidence="95% over orders {change_low:g} to {change_high:g}; null branches {change_null_low:g} to {change_null_high:g}; "
        "standard deviation of the twins over orders {order_sd:g}." + _caution(table),
        null=table.attrs["null"],
        p=float(here["change_p"]),
        n=table.attrs["orders"],
        of="orders",
        units="nats",
        floor=1 / (1 + nulls),
        draws=nulls,
        call="nm.analysis.development.change_of_learning(replay.scores.loss)",
        describes=describes,
    )


def _caution(table: xr.Dataset) -> str:
    words = table.attrs.get("caution", "")
    return f" {words[0].upper()}{words[1:]}." if words else ""
