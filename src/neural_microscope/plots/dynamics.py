"""Pictures of learning: loss and accuracy, gradients, weight spectra, the activity and the lives of every unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap

from . import forms, style
from .style import Plot, Theme, draws


@draws
def learning_curves(curves: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Loss and share of errors against the step, networks on the same axes: `analysis.dynamics.learning_curve` of
    each.
    """
    figure = style.new("wide", 2.9, theme)
    panels = figure.subplots(1, 2)
    for axes, name, factor, title in zip(
        panels, ("loss", "error"), (1, 100), ("Loss (nats)", "Error (%)"), strict=True
    ):
        for curve, line in zip(curves.values(), forms.LINES * len(curves), strict=False):
            axes.plot(curve["at"], factor * curve[f"train_{name}"], color=theme.null, linestyle=line, linewidth=1.1)
        tests = [(f"{network}, test images", curve, f"test_{name}") for network, curve in curves.items()]
        forms.over_steps(axes, tests, factor=factor, log=True)
        axes.set_title(title)
    panels[0].lines[0].set_label("training batches")
    panels[0].legend(loc="lower left")
    ends = ", ".join(f"{name} {style.share(float(c['test_error'][-1]), 2)}" for name, c in curves.items())
    figure.alt = (
        f"Loss and error (share misclassified) against the optimizer step, log axes. Test error at the end: {ends}."
    )
    return figure


@draws
def activity_over_time(activities: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Heatmaps snapshot × unit of each unit's mean activation, one panel a layer: `analysis.dynamics.activity` of
    each.
    """
    figure = style.new("wide", 0.9 + 1.9 * len(activities), theme)
    panels = figure.subplots(len(activities), 1, squeeze=False)[:, 0]
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        mean = table["mean"].transpose(..., "snapshot").values
        known = mean[np.isfinite(mean)]
        low, high = min(0.0, float(known.min(initial=0))), float(known.max(initial=0))
        limits = (low, high if high > low else low + 1)
        forms.matrix(axes, mean, limits, label="mean activation", colors=theme.amount_map, aspect="auto")
        kind = _axis(table)
        silent = "" if known.any() else ", all silent"
        axes.set(ylabel=kind, title=f"{name}: {len(mean)} {kind}s in their fixed order{silent}", xticks=[])
        axes.set_yticks(sorted({0, len(mean) - 1}))
    forms.step_ticks(panels[-1], next(iter(activities.values()))["step"].values)
    figure.alt = f"Mean activation of every unit at every snapshot, for {', '.join(activities)}; the first column is the untrained network."
    return figure


@draws
def histograms_over_time(tables: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The distribution of activations at each snapshot: `analysis.dynamics.histograms` of each layer."""
    figure = style.new("wide", 0.9 + 1.6 * len(tables), theme)
    panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        share, centre = table["share"].transpose("bin", "snapshot").values, table["centre"].values
        half = (centre[1] - centre[0]) / 2
        place: dict[str, Any] = {
            "extent": (-0.5, share.shape[1] - 0.5, centre[0] - half, centre[-1] + half),
            "origin": "lower",
        }
        shown = np.log10(np.where(share > 0, share, 1e-9))  # below the scale's end: the paper
        limits = (-4, max(-1.0, np.nanmax(shown)))
        forms.matrix(axes, shown, limits, colors=theme.amount_map, aspect="auto", **place)
        bar = forms.color_bar(axes, theme.amount_map, limits, "share of values")
        bar.set_ticks([-4, -3, -2, -1], labels=["0.01%", "0.1%", "1%", "10%"])
        axes.axhline(0, color=theme.quiet, linewidth=0.6)
        axes.set(ylabel="activation", title=name, xticks=[])
    forms.step_ticks(panels[-1], next(iter(tables.values()))["step"].values)
    figure.alt = (
        f"Histograms of the activations of {', '.join(tables)} at every snapshot, darker for more frequent values."
    )
    return figure


@draws
def unit_states(activities: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """How many units are dead, of ultra-low density or always on, against the step: `analysis.dynamics.activity` of
    each layer.
    """
    figure = style.new("wide", 2.5, theme)
    panels = figure.subplots(1, len(activities), sharey=True, squeeze=False)[0]
    states = {"always_on": "always on", "low": "on for < 1%", "dead": "dead"}
    for axes, (name, table) in zip(panels, activities.items(), strict=True):
        axis = _axis(table)
        shares = table[list(states)].mean(axis)
        forms.over_steps(axes, [(label, shares, state) for state, label in states.items()], factor=100)
        axes.set(title=f"{style.short(name)} ({table.sizes[axis]} {axis}s)", ylim=(-3, 103))
    panels[0].set_ylabel("share of units (%)")
    panels[-1].legend(loc="upper right")
    figure.alt = "Share of units that are always on, on for less than 1% of the images, or dead, against the step, one panel a layer."
    return figure


@draws
def gradient_flow(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Gradient norm and update-to-weight ratio of each layer's weights and bias against the step, the spread between
    batches as a band: `analysis.dynamics.gradient_flow`.
    """
    names = [str(name) for name in table["parameter"].values]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    figure = style.new("wide", 3.9, theme)
    panels = figure.subplots(2, len(layers), sharex=True, sharey="row", squeeze=False)
    at, rule = table["at"].values, table.attrs["rule_of_thumb"]
    for column, layer in zip(panels.T, layers, strict=True):
        own = [name for name in names if name.rpartition(".")[0] == layer]
        for axes, what in zip(column, ("grad_norm", "update_ratio"), strict=True):
            for name, line in zip(own, forms.LINES * len(own), strict=False):
                one, label = table.sel(parameter=name), name.rpartition(".")[2]
                forms.curve(axes, at, one, what, line=line, label=label, area=True)
            forms.log_axis(axes)
            axes.grid(True, axis="y")
        label = f"rule of thumb {rule:g}"
        column[1].axhline(rule, color=theme.null, linestyle=forms.LINES[2], linewidth=1.4, label=label)
        column[0].set_title(layer)
        forms.step_axis(column[1], float(at[-1]))
        column[1].set(xlabel="optimizer step", xlim=(0.9, None))
    panels[0, 0].set_ylabel("norm of the gradient")
    panels[1, 0].set_ylabel("update / weights")
    fullest = max(panels[1], key=lambda axes: len(axes.lines))
    forms.legend_below(figure, fullest)
    figure.alt = (
        f"Gradient norm and update-to-weight ratio of {', '.join(layers)} against the step, log axes; the line is the median of "
        f"a stretch of steps, the band the middle 95% of its steps. The dotted gray line at {rule:g} is a rule of thumb, not a null."
    )
    return figure


@draws
def weight_spectra(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Singular values of each weight matrix before and after training beside those of its shuffled entries, and its
    stable rank over time: `analysis.dynamics.weight_spectra`.
    """
    names = [str(name) for name in table["parameter"].values]
    figure = style.new("wide", 4.2, theme)
    panels = figure.subplots(2, len(names), squeeze=False)
    first, final = (int(table["step"][end]) for end in (0, -1))
    for (upper, lower), name in zip(panels.T, names, strict=True):
        one = table.sel(parameter=name)
        spectrum = one.isel(rank=~one["singular_value"].isel(snapshot=-1).isnull().values)
        number = np.arange(1, spectrum.sizes["rank"] + 1)
        before = spectrum["singular_value"].isel(snapshot=0)
        dotted = {"color": theme.ink, "linestyle": forms.LINES[2], "linewidth": 1.1}
        upper.plot(number, before, label=f"at step {first}", **dotted)
        words: dict[str, Any] = {"label": f"at step {final:,}", "null": "its entries shuffled"}
        forms.curve(upper, number, spectrum.isel(snapshot=-1), "singular_value", **words)
        upper.set_xscale("log")
        ticks = [k for k in (1, 3, 10, 30, 100, 300, 1000) if k <= len(number)]
        upper.set_xticks(ticks, [str(k) for k in ticks])
        upper.set_xticks([], minor=True)
        title = f"{name.removesuffix('.weight')}\n{int(one['outliers'][-1])} above the null"
        upper.set(title=title, xlabel="rank (1: largest)", ylim=(0, None))
        upper.grid(True, axis="y")
        forms.over_steps(lower, [("", one, "stable_rank")])
        lower.set(xlabel="optimizer step", ylim=(0, None))
        for tick in lower.get_xticklabels()[1::2]:
            tick.set_visible(False)
    panels[0, 0].set_ylabel("singular value")
    panels[1, 0].set_ylabel("stable rank")
    forms.legend_below(figure, panels[0, -1])
    counts = ", ".join(f"{name} {int(n)}" for name, n in zip(names, table["outliers"][-1].values, strict=True))
    figure.alt = (
        "Singular values of each weight matrix, first and last snapshot, and its stable rank over the steps; gray: the same "
        f"entries in random places. Singular values above what shuffling gives at the end: {counts}."
    )
    return figure


@draws
def unit_lives(tables: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Which units are silent at which snapshot, one row a unit that was ever silent, hatched gray where it is:
    `analysis.dynamics.lives` of each layer.
    """
    alive = {name: table["alive"].transpose(..., "snapshot").values for name, table in tables.items()}
    shown = {name: _by_death(tables[name])[(~values[_by_death(tables[name])]).any(1)] for name, values in alive.items()}
    heights = [max(0.5, 0.09 * len(rows)) for rows in shown.values()]
    figure = style.new("wide", 0.75 + sum(heights) + 0.4 * len(heights), theme)
    panels = figure.subplots(len(tables), 1, height_ratios=heights, squeeze=False)[:, 0]
    said = []
    for axes, (name, rows) in zip(panels, shown.items(), strict=True):
        values, kind = alive[name][rows], _axis(tables[name])
        if len(rows):
            colors = ListedColormap([theme.absent, theme.amount])
            forms.matrix(axes, values, (0, 1), colors=colors, aspect="auto")
            forms.hatch(axes, ~values)
        else:
            forms.quiet(axes)
            forms.say_missing(axes, f"no {kind} was ever silent")
        each = max(1, -(-len(rows) // 24))
        axes.set_yticks(range(0, len(rows), each), [str(row) for row in rows[::each]], fontsize=6)
        axes.set_xlim(-0.5, alive[name].shape[1] - 0.5)
        dead, total = int((~alive[name][:, -1]).sum()), len(alive[name])
        late = int((tables[name]["born_at"] > tables[name]["step"][0]).sum())
        text = (
            f"{dead} of {total} {kind}s end silent, {late} first fire while learning, {total - len(rows)} always fire"
        )
        said.append(f"{name}: {text}")
        axes.set(ylabel=kind, title=f"{style.short(name)}: {text}", xticks=[])
    forms.step_ticks(panels[-1], next(iter(tables.values()))["step"].values)
    figure.alt = (
        "Each row a unit that was ever silent, sorted by when it falls silent for good; filled where it fires for some image, "
        f"hatched gray where for none. {'; '.join(said)}."
    )
    return figure


def _by_death(table: xr.Dataset) -> np.ndarray:
    """Units that never fired, then those that fell silent, by when, then those that live, by birth."""
    died, born = (np.nan_to_num(table[name].values, nan=np.inf) for name in ("died_at", "born_at"))
    return np.lexsort((born, died, ~np.isinf(born)))


def _axis(table: xr.Dataset) -> str:
    return "channel" if "channel" in table.dims else "unit"


@draws
def class_learning(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Test accuracy of each class against the step, the digit standing on its line: `analysis.dynamics.learning_by_class`.

    The scale widens towards 100%, where the classes still differ at the end; what is below 3% is drawn at 3%. Gray:
    every class classified as well as all together, where the table has it.
    """
    figure = style.new("wide", 4.0, theme)
    axes = figure.subplots()
    shown = table[[name for name in table if str(name).startswith("accuracy")]].clip(0.03, 0.9985)
    accuracy = shown["accuracy"].transpose("snapshot", "class").values
    steps, classes = table["step"].values, accuracy.shape[1]
    if "accuracy_null_low" in table:
        forms.null_band(axes, steps, shown.median("class"), "accuracy", label="all classes alike (95%)")
        axes.legend(loc="lower right")
    axes.set_yscale("logit")
    forms.step_axis(axes, float(steps[-1]))
    for label in range(classes):
        axes.plot(steps, accuracy[:, label], color=theme.of_class(label), linewidth=1.1)
        places = range(label % 5, len(steps), 5)  # each digit at snapshots of its own, so that few cover each other
        points = np.stack([steps[places], accuracy[places, label]], 1)
        forms.digits(axes, points, np.full(len(places), label), size=42, zorder=3)
    ticks = [0.1, 0.5, 0.9, 0.97, 0.99, 0.997]
    axes.set_yticks(ticks, [f"{100 * t:g}%" for t in ticks])
    axes.set_yticks([], minor=True)
    axes.set(ylim=(0.025, 0.9988), ylabel="test accuracy of the class")
    axes.grid(True, axis="y")
    figure.alt = f"Test accuracy of each of {classes} classes against the step, on a scale that widens towards 100%."
    return figure
