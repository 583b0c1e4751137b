"""Plots of training: loss and accuracy, gradients, weight spectra, and the activity of every unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws


def classified(curve: xr.Dataset) -> bool:
    """True if a learning curve has an accuracy."""
    return bool(np.isfinite(curve["test_error"]).any())


@draws
def learning_curves(curves: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Loss and error, the share of misclassified images, against the step, networks on the same axes.

    Where no network has an accuracy, the loss alone.

    Args:
        curves: Result of `analysis.dynamics.learning_curve` by the network's name.

    >>> curve = nm.analysis.dynamics.learning_curve(run.training, run.log)
    >>> nm.plots.learning_curves({"MLP": curve}).alt
    'Loss and error (share misclassified) against the optimizer step, log axes. ...'
    """
    errors = any(classified(curve) for curve in curves.values())
    figure, panels = style.new("wide" if errors else "narrow", 2.9, theme, columns=2 if errors else 1)
    titles = ("Loss (nats)", "Error (%)") if errors else ("Loss",)
    for axes, name, factor, title in zip(panels, ("loss", "error"), (1, 100), titles, strict=False):
        for curve, line in zip(curves.values(), forms.LINES * len(curves), strict=False):
            axes.plot(curve["at"], factor * curve[f"train_{name}"], color=theme.null, linestyle=line, linewidth=1.1)
        tests = [(f"{network}, test images", curve, f"test_{name}") for network, curve in curves.items()]
        forms.over_steps(axes, tests, factor=factor, log=True, title=title)
    panels[0].lines[0].set_label("training batches")
    panels[0].legend(loc="lower left")
    if not errors:
        losses = ", ".join(f"{name} {float(c['test_loss'][-1]):.3g}" for name, c in curves.items())
        return figure.says(f"Loss against the optimizer step, log axes. Test loss at the end: {losses}.")
    ends = ", ".join(f"{name} {style.share(float(c['test_error'][-1]), 2)}" for name, c in curves.items())
    return figure.says(
        f"Loss and error (share misclassified) against the optimizer step, log axes. Test error at the end: {ends}."
    )


@draws
def activity_over_time(activities: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Heatmaps snapshot × unit of each unit's mean activation, one panel a layer.

    Args:
        activities: Result of `analysis.dynamics.activity` by the layer's name.

    >>> nm.plots.activity_over_time({"layers.1": nm.analysis.dynamics.activity(acts)}).alt
    'Mean activation of every unit at every snapshot, for layers.1; ...'
    """
    figure, panels = style.new("wide", 0.9 + 1.9 * len(activities), theme, rows=len(activities))
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        mean = table["mean"].transpose(..., "snapshot").values
        known = mean[np.isfinite(mean)]
        low, high = min(0.0, float(known.min(initial=0))), float(known.max(initial=0))
        limits = (low, high if high > low else low + 1)
        forms.matrix(axes, mean, limits, label="mean activation", colors=theme.amount_map, aspect="auto")
        kind = style.axis_of(table)
        silent = "" if known.any() else ", all silent"
        axes.set(ylabel=kind, title=f"{style.short(name)}: {len(mean)} {kind}s in their fixed order{silent}", xticks=[])
        axes.set_yticks(sorted({0, len(mean) - 1}))
    forms.step_ticks(panels[-1], table["step"].values)
    return figure.says(
        f"Mean activation of every unit at every snapshot, for {', '.join(activities)}; the first column is the untrained network."
    )


@draws
def histograms_over_time(tables: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The distribution of activations at each snapshot, one panel a layer.

    Args:
        tables: Result of `analysis.dynamics.histograms` by the layer's name.

    >>> nm.plots.histograms_over_time({"layers.1": nm.analysis.dynamics.histograms(acts)}).alt
    'Histograms of the activations of layers.1 at every snapshot, ...'
    """
    figure, panels = style.new("wide", 0.9 + 1.6 * len(tables), theme, rows=len(tables))
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        share, center = table["share"].transpose("bin", "snapshot").values, table["center"].values
        half = (center[1] - center[0]) / 2
        extent = (-0.5, share.shape[1] - 0.5, center[0] - half, center[-1] + half)
        shown = np.log10(np.where(share > 0, share, 1e-9))  # below the scale's end: the background
        limits = (-4, max(-1.0, np.nanmax(shown)))
        forms.matrix(axes, shown, limits, colors=theme.amount_map, aspect="auto", extent=extent, origin="lower")
        bar = forms.color_bar(axes, theme.amount_map, limits, "share of values")
        bar.set_ticks([-4, -3, -2, -1], labels=["0.01%", "0.1%", "1%", "10%"])
        for color, width in ((theme.paper, 2.4), (theme.ink, 0.9)):  # seen on dark cells and on light ones
            axes.axhline(0, color=color, linewidth=width)
        axes.set(ylabel="activation", title=style.short(name), xticks=[])
    forms.step_ticks(panels[-1], table["step"].values)
    return figure.says(
        f"Histograms of the activations of {', '.join(tables)} at every snapshot, darker for more frequent values."
    )


@draws
def unit_states(activities: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The share of dead, ultra-low-density and always-on units against the step, one panel a layer.

    Args:
        activities: Result of `analysis.dynamics.activity` by the layer's name.

    >>> nm.plots.unit_states({"layers.1": nm.analysis.dynamics.activity(acts)}).alt
    'Share of units that are always on, on for less than 1% of the images, or dead, ...'
    """
    figure, panels = style.new("wide", 2.7, theme, columns=len(activities), sharey=True)
    states = {"always_on": "always on", "low": "on for < 1%", "dead": "dead"}
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        axis = style.axis_of(table)
        shares = table[list(states)].mean(axis)
        title = f"{style.short(name)} ({count(table.sizes[axis], f'{axis}s')})"
        curves = [(label, shares, state) for state, label in states.items()]
        short: dict[str, Any] = {"xlabel": "optimizer step"} if len(activities) > style.BESIDE else {}
        forms.over_steps(axes, curves, factor=100, title=title, ylim=(-3, 103), **short)
    forms.outer_labels(panels)
    panels[0].set_ylabel("share of units (%)")
    forms.legend_below(figure, panels[0])
    return figure.says(
        "Share of units that are always on, on for less than 1% of the images, or dead, against the step, one panel a layer."
    )


@draws
def gradient_flow(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Gradient norm and update-to-weight ratio of each layer's weights and bias against the step.

    A band shows the middle 95% of a bin of steps.

    Args:
        table: Result of `analysis.dynamics.gradient_flow`.

    >>> nm.plots.gradient_flow(nm.analysis.dynamics.gradient_flow(run.gradients)).alt
    'Gradient norm and update-to-weight ratio of layers.0.linear, ...'
    """
    names = [str(name) for name in table["parameter"].values]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    figure, panels = style.new("wide", 3.9, theme, rows=2, columns=len(layers), sharex=True, sharey="row")
    lower, rule = panels[len(layers) :], table.attrs["rule_of_thumb"]
    table = table.assign_coords(step=table["at"])
    for layer, *column in zip(layers, panels, lower, strict=False):
        own = [name for name in names if name.rpartition(".")[0] == layer]
        for axes, what in zip(column, ("grad_norm", "update_ratio"), strict=True):
            each = [table.sel(parameter=name) for name in own]
            for one in each:
                axes.fill_between(one["step"], *forms.ends(one, what), color=theme.amount, alpha=0.25, linewidth=0)
            curves = [(name.rpartition(".")[2], one[[what]], what) for name, one in zip(own, each, strict=True)]
            forms.over_steps(axes, curves, log=True, xlabel="")
        label = f"rule of thumb for update / weights: {rule:g}"
        column[1].axhline(rule, color=theme.null, linestyle=forms.LINES[2], linewidth=1.4, label=label)
        column[0].set_title(layer)
        column[1].set(xlabel="optimizer step", xlim=(0.9, None))
    for axes in panels:  # when all have been drawn: they share their axes
        forms.fewer_ticks(axes)
    forms.outer_labels(panels)
    grid = panels[0].get_gridspec()
    named = 0 if grid is not None and grid.nrows == 2 else len(layers) // 2  # not cut by the upper edge
    panels[named].set_ylabel("norm of the gradient")
    lower[named].set_ylabel("update / weights")
    forms.legend_below(figure, max(lower, key=lambda axes: len(axes.lines)))
    return figure.says(
        f"Gradient norm and update-to-weight ratio of {', '.join(layers)} against the step, log axes; the line is the median of "
        "a bin of steps, the band the middle 95% of its steps. "
        f"The dotted gray line at {rule:g} is a rule of thumb, not a null."
    )


@draws
def weight_spectra(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Singular values of each weight matrix before and after training, and its stable rank over the steps.

    Gray: the singular values of its shuffled entries.

    Args:
        table: Result of `analysis.dynamics.weight_spectra`.
    """
    names = [str(name) for name in table["parameter"].values]
    figure, panels = style.new("wide", 4.2, theme, rows=2, columns=len(names))
    first, final = (int(table["step"][end]) for end in (0, -1))
    for name, upper, lower in zip(names, panels, panels[len(names) :], strict=False):
        one = table.sel(parameter=name)
        spectrum = one.isel(rank=~one["singular_value"].isel(snapshot=-1).isnull().values)
        number = np.arange(1, spectrum.sizes["rank"] + 1)
        before = spectrum[["singular_value"]].isel(snapshot=0)
        forms.curve(upper, number, before, "singular_value", line=forms.LINES[2], label=f"at step {first}")
        words: dict[str, Any] = {"label": f"at step {final:,}", "null": "its entries shuffled"}
        forms.curve(upper, number, spectrum.isel(snapshot=-1), "singular_value", **words)
        upper.set_xscale("log")
        forms.plain_log(upper.xaxis, 1, len(number))
        upper.set(title=name.removesuffix(".weight"), xlabel="rank (1: largest)", ylim=(0, None))
        forms.over_steps(lower, [("", one, "stable_rank")], xlabel="optimizer step", ylim=(0, None))
        forms.fewer_ticks(lower)
    panels[0].set_ylabel("singular value")
    panels[len(names)].set_ylabel("stable rank")
    forms.legend_below(figure, panels[len(names) - 1])
    return figure.says(
        f"Singular values of {', '.join(names)}, first and last snapshot, and their stable rank over the steps; gray: the same "
        "entries in random positions."
    )


ROWS = 28
"""The most rows of units of which each is named."""


@draws
def unit_lives(tables: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Silent units at each snapshot, one row per unit that was ever silent, hatched gray where it is.

    Args:
        tables: Result of `analysis.dynamics.lives` by the layer's name.

    >>> nm.plots.unit_lives({"layers.1": nm.analysis.dynamics.lives(acts)}).alt
    'Each row a unit of layers.1 that was ever silent, ...'
    """
    alive = {name: table["alive"].transpose(..., "snapshot").values for name, table in tables.items()}
    shown = {name: _by_death(tables[name])[(~values[_by_death(tables[name])]).any(1)] for name, values in alive.items()}
    heights = [min(2.6, max(0.5, 0.09 * len(rows))) for rows in shown.values()]
    height = 1.0 + sum(heights) + 0.4 * len(heights)
    figure, panels = style.new("wide", height, theme, rows=len(tables), height_ratios=heights)
    for axes, (name, rows) in zip(panels, shown.items(), strict=True):
        table, values = tables[name], alive[name][rows]
        kind = style.axis_of(table)
        if len(rows):
            colors = ListedColormap([theme.absent, theme.amount])
            forms.matrix(axes, values, (0, 1), colors=colors, aspect="auto")
            forms.hatch(axes, ~values)
        else:
            forms.quiet(axes)
            forms.say_missing(axes, f"no {kind} was ever silent")
        each = max(1, -(-len(rows) // ROWS))
        axes.set_yticks(range(0, len(rows), each), [str(row) for row in rows[::each]], fontsize=6)
        left_out = f" (1 of {each} named)" if each > 1 else ""
        axes.set(
            xlim=(-0.5, alive[name].shape[1] - 0.5), ylabel=f"{kind}{left_out}", title=style.short(name), xticks=[]
        )
    forms.step_ticks(panels[-1], table["step"].values)
    fires, silent = Patch(facecolor=theme.amount), Patch(facecolor=theme.absent, edgecolor=theme.null, hatch="/////")
    names = ["above 0 for some image", "silent"]
    figure.legend([fires, silent], names, loc="outside lower center", ncols=2, fontsize=7.5)
    return figure.says(
        f"Each row a unit of {', '.join(tables)} that was ever silent, sorted by when it falls silent permanently; filled where it "
        "fires for some image, hatched gray where for none."
    )


def _by_death(table: xr.Dataset) -> np.ndarray:
    """Units that never fired, then those that fell silent, by when, then those that live, by birth."""
    died, born = (np.nan_to_num(table[name].values, nan=np.inf) for name in ("died_at", "born_at"))
    return np.lexsort((born, died, ~np.isinf(born)))


@draws
def class_learning(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Test accuracy of each class (row) at each snapshot (column), with the last one as a number.

    The number is bold where it is outside the range of a class as accurate as all classes together, if the table has
    that range.

    Args:
        table: Result of `analysis.dynamics.learning_by_class`.

    >>> nm.plots.class_learning(nm.analysis.dynamics.learning_by_class(run.log)).alt
    'Heatmap of the test accuracy of each of 10 classes at every snapshot; at the end from ...'
    """
    accuracy = 100 * table["accuracy"].transpose("class", "snapshot").values
    classes, last = len(accuracy), accuracy[:, -1]
    figure, (axes,) = style.new("wide", 0.9 + 0.22 * min(classes, 40), theme)
    forms.matrix(axes, accuracy, (0, 100), label="test accuracy (%)", aspect="auto")
    forms.step_ticks(axes, table["step"].values)
    axes.set(ylabel="class", title="Test accuracy of each class, at the end in numbers")
    some = range(0, classes, -(-classes // 20))
    axes.set_yticks(some, [style.called(c) for c in some])
    outside = np.zeros(classes, bool)
    if "accuracy_null_low" in table:
        low, high = (100 * end for end in forms.ends(table.isel(snapshot=-1), "accuracy_null"))
        outside = (last < low) | (last > high)
    for label in axes.get_yticks():
        words: dict[str, Any] = {"va": "center", "fontsize": 7.5, "weight": "bold" if outside[int(label)] else "normal"}
        axes.text(accuracy.shape[1] - 0.3, label, style.share(last[int(label)] / 100, 1), **words)
    lowest, highest = (style.share(float(end) / 100, 1) for end in (np.nanmin(last), np.nanmax(last)))
    return figure.says(
        f"Heatmap of the test accuracy of each of {classes} classes at every snapshot; at the end from {lowest} to {highest}."
    )
