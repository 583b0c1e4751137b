"""Pictures of learning: loss and accuracy, activity of every unit, histograms, silent units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from . import style
from .style import Look, Plot, draws

_LINES = ("-", (0, (4, 1.6)), (0, (1, 1.2)), "-.")


@draws
def learning_curves(curves: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """Loss and share of errors against the step, networks on the same axes: `analysis.dynamics.learning_curve` of
    each.
    """
    figure = style.new("wide", 2.9, look)
    left, right = figure.subplots(1, 2)
    for (name, curve), line in zip(curves.items(), _LINES * len(curves), strict=False):
        for axes, what, factor in ((left, "loss", 1.0), (right, "error", 100.0)):
            axes.plot(curve["at"], factor * curve[f"train_{what}"], color=look.null, linestyle=line, linewidth=1.1)
            axes.plot(curve["step"], factor * curve[f"test_{what}"], color=look.ink, linestyle=line, label=name)
    for axes, title in ((left, "Loss (nat)"), (right, "Images read wrongly (%)")):
        style.step_axis(axes, max(float(curve["step"][-1]) for curve in curves.values()))
        axes.set_yscale("log")
        axes.grid(True, axis="y")
        axes.set_title(title)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    handles, labels = left.get_legend_handles_labels()
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(f"{label}, test images")
    grey = left.plot([], [], color=look.null, linewidth=1.1, label="training batches")
    left.legend(handles=[*handles, *grey], loc="lower left")
    ends = ", ".join(f"{name} {100 * float(c['test_error'][-1]):.2f} %" for name, c in curves.items())
    figure.alt = f"Loss and share of images read wrongly against the optimiser step, log axes. At the end, of the test images: {ends}."
    return figure


@draws
def activity_over_time(activities: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """Heatmaps snapshot × unit of each unit's mean activation, one panel a layer: `analysis.dynamics.activity` of
    each.
    """
    figure = style.new("wide", 0.9 + 1.9 * len(activities), look)
    panels = np.atleast_1d(figure.subplots(len(activities), 1))
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        mean = table["mean"].transpose(..., "snapshot").values
        top = float(np.nanmax(mean)) or 1.0
        image = axes.imshow(mean, aspect="auto", cmap=look.amount_map, vmin=min(0.0, float(np.nanmin(mean))), vmax=top)
        style.quiet(axes, ticks=True)
        kind = "channel" if "channel" in table.dims else "unit"
        axes.set_ylabel(kind)
        axes.set_title(f"{name}: {len(mean)} {kind}s in their fixed order")
        axes.set_yticks([0, len(mean) - 1])
        axes.set_xticks([])
        figure.colorbar(image, ax=axes, label="mean activation", pad=0.01, fraction=0.04).outline.set_visible(False)
    style.step_ticks(panels[-1], next(iter(activities.values()))["step"].values)
    figure.alt = f"Mean activation of every unit at every snapshot, for {', '.join(activities)}; the first column is the untrained network."
    return figure


@draws
def histograms_over_time(tables: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """The distribution of activations at each snapshot: `analysis.dynamics.histograms` of each layer."""
    figure = style.new("wide", 0.9 + 1.6 * len(tables), look)
    panels = np.atleast_1d(figure.subplots(len(tables), 1))
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        share = table["share"].transpose("bin", "snapshot").values
        centre = table["centre"].values
        half = (centre[1] - centre[0]) / 2
        extent = (-0.5, share.shape[1] - 0.5, centre[0] - half, centre[-1] + half)
        shown = np.log10(np.where(share > 0, share, 1e-9))  # below the scale's end: the paper
        image = axes.imshow(
            shown,
            aspect="auto",
            origin="lower",
            cmap=look.amount_map,
            extent=extent,
            vmin=-4,
            vmax=max(-1.0, np.nanmax(shown)),
        )
        style.quiet(axes, ticks=True)
        axes.axhline(0, color=look.quiet, linewidth=0.6)
        axes.set_ylabel("activation")
        axes.set_title(name)
        axes.set_xticks([])
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.04, label="share of values")
        bar.outline.set_visible(False)
        bar.set_ticks([-4, -3, -2, -1], labels=["0.01 %", "0.1 %", "1 %", "10 %"])
    style.step_ticks(panels[-1], next(iter(tables.values()))["step"].values)
    figure.alt = (
        f"Histograms of the activations of {', '.join(tables)} at every snapshot, darker for more frequent values."
    )
    return figure


@draws
def unit_states(activities: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """How many units are dead, of ultra-low density or always on, against the step: `analysis.dynamics.activity` of
    each layer.
    """
    figure = style.new("wide", 2.5, look)
    panels = np.atleast_1d(figure.subplots(1, len(activities), sharey=True))
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        axis = next(d for d in ("unit", "channel") if d in table["dead"].dims)
        total = table.sizes[axis]
        for state, line, label in (
            ("always_on", "-", "always on"),
            ("low", _LINES[1], "on for < 1 %"),
            ("dead", _LINES[2], "dead"),
        ):
            values = 100 * table[state].sum(axis) / total
            axes.plot(table["step"], values, color=look.ink, linestyle=line, label=label)
        style.step_axis(axes, float(table["step"][-1]))
        axes.set_title(f"{name.removesuffix('.hook_post')} ({total} {axis}s)")
        axes.set_ylim(-3, 103)
        axes.grid(True, axis="y")
    panels[0].set_ylabel("share of units (%)")
    panels[-1].legend(loc="upper right")
    figure.alt = "Share of units that are always on, on for less than 1 % of the images, or dead, against the step, one panel a layer."
    return figure
