"""Plots of replays: a change of training beside its null branches, and who took over."""

from __future__ import annotations

import numpy as np
import xarray as xr

from . import forms, style
from .style import Plot, Theme, draws


@draws
def change_of_learning(table: xr.Dataset, *, theme: Theme) -> Plot:
    """The change of a score since the fork, mean over orders, over the band of the null branches.

    Args:
        table: Result of `analysis.development.change_of_learning`.

    >>> forked = nm.replay(kept, at=12, change=nm.changes.Withhold(classes=7), branches=2, nulls=2)
    >>> change = nm.analysis.development.change_of_learning(forked.scores.loss)
    >>> nm.plots.change_of_learning(change).alt
    'Loss of the branches minus that of their twins, against the steps since the fork, over the band of the null branches. ...'
    """
    figure, (axes,) = style.new("narrow", 2.6, theme)
    since = table.assign_coords(step=table["step"] - int(table["step"][0]))
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    bands = bool(np.isfinite(table["change_null_low"]).any())
    null = "null branches" if bands else None
    forms.over_steps(axes, [("branches", since, "change")], null=null, title="Branch − twin, test loss (nats)")
    axes.set_xlabel("steps since the fork")
    axes.legend(loc="best")
    end = float(table["change"][-1])
    return figure.says(
        "Loss of the branches minus that of their twins, against the steps since the fork, over the band of the null branches. "
        f"At the end {end:.3g} nats."
    )


@draws
def takeover(table: xr.Dataset, *, theme: Theme) -> Plot:
    """The rise of each unit's ablation effect over its twin's, over the null of the largest rise.

    Args:
        table: Result of `analysis.development.takeover`.

    >>> forked = nm.replay(kept, at=12, change=nm.changes.Ablate("layers.0", 3), branches=2, nulls=2)
    >>> rise = nm.analysis.development.takeover(forked.effects("layers.0"), 3)
    >>> nm.plots.takeover(rise).alt
    'The rise of the ablation effect of every unit over its twin, in falling order, ...'
    """
    figure, (axes,) = style.new("narrow", 2.6, theme)
    title = "Rise of the ablation effect (nats)"
    forms.units(axes, table, "rise", named=3, null="largest rise in null branches", title=title)
    axes.legend(loc="best")
    most = float(table["rise"].max())
    return figure.says(
        f"The rise of the ablation effect of every unit over its twin, in falling order, over the null of the largest rise. The largest is "
        f"{most:.3g} nats."
    )
