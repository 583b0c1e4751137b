"""Pictures of learning: loss and accuracy, gradients, weight spectra, the activity and the lives of every unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle

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
        style.log_axis(axes)
        axes.grid(True, axis="y")
        axes.set_title(title)
    handles, labels = left.get_legend_handles_labels()
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(f"{label}, test images")
    grey = left.plot([], [], color=look.null, linewidth=1.1, label="training batches")
    left.legend(handles=[*handles, *grey], loc="lower left")
    ends = ", ".join(f"{name} {style.share(float(c['test_error'][-1]), 2)}" for name, c in curves.items())
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
        known = mean[np.isfinite(mean)]
        low, high = min(0.0, float(known.min(initial=0))), float(known.max(initial=0))
        image = axes.imshow(mean, aspect="auto", cmap=look.amount_map, vmin=low, vmax=high if high > low else low + 1)
        style.quiet(axes, ticks=True)
        kind = "channel" if "channel" in table.dims else "unit"
        axes.set_ylabel(kind)
        axes.set_title(
            f"{name}: {len(mean)} {kind}s in their fixed order{'' if (known != 0).any() else ', all silent'}"
        )
        axes.set_yticks(sorted({0, len(mean) - 1}))
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


@draws
def gradient_flow(table: xr.Dataset, *, look: Look) -> Plot:
    """Gradient norm and update-to-weight ratio of each layer's weights and bias against the step, the spread between
    batches as a band: `analysis.dynamics.gradient_flow`.
    """
    names = [str(name) for name in table["parameter"].values]
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    figure = style.new("wide", 3.9, look)
    panels = figure.subplots(2, len(layers), sharex=True, sharey="row", squeeze=False)
    for column, layer in enumerate(layers):
        own = [name for name in names if name.rpartition(".")[0] == layer]
        for name, line in zip(own, _LINES * len(own), strict=False):
            for axes, what in zip(panels[:, column], ("grad_norm", "update_ratio"), strict=True):
                one = table.sel(parameter=name)
                axes.fill_between(
                    table["at"], one[f"{what}_low"], one[f"{what}_high"], color=look.ink, alpha=0.12, linewidth=0
                )
                label = name.rpartition(".")[2]
                axes.plot(table["at"], one[what], color=look.ink, linestyle=line, linewidth=1.1, label=label)
        panels[1, column].axhline(table.attrs["rule_of_thumb"], color=look.null, linestyle=_LINES[2], linewidth=1.4)
        panels[0, column].set_title(layer)
        style.step_axis(panels[1, column], float(table["at"][-1]))
        panels[1, column].set_xlabel("optimiser step")
        panels[1, column].set_xlim(0.9, None)
        for axes in panels[:, column]:
            style.log_axis(axes)
            axes.grid(True, axis="y")
    panels[0, 0].set_ylabel("norm of the gradient")
    panels[1, 0].set_ylabel("update / weights")
    rule = panels[1, 0].lines[-1]
    rule.set_label(f"rule of thumb {table.attrs['rule_of_thumb']:g}")
    named = list(dict.fromkeys(line.get_label() for line in panels[0, 0].lines))
    handles = [next(line for line in panels[0, 0].lines if line.get_label() == name) for name in named]
    figure.legend(handles=[*handles, rule], loc="outside lower center", ncols=len(named) + 1)
    figure.alt = (
        f"Gradient norm and update-to-weight ratio of {', '.join(layers)} against the step, log axes; the line is the median of "
        f"a stretch of steps, the band the middle 95 % of its steps. The dotted grey line at "
        f"{table.attrs['rule_of_thumb']:g} is a rule of thumb, not a null."
    )
    return figure


@draws
def weight_spectra(table: xr.Dataset, *, look: Look) -> Plot:
    """Singular values of each weight matrix before and after training beside those of its shuffled entries, and its
    stable rank over time: `analysis.dynamics.weight_spectra`.
    """
    names = [str(name) for name in table["parameter"].values]
    figure = style.new("wide", 4.2, look)
    panels = figure.subplots(2, len(names), squeeze=False)
    final = int(table["step"][-1])
    for column, name in enumerate(names):
        one = table.sel(parameter=name)
        values = one["singular_value"].transpose("snapshot", "rank").values
        kept = ~np.isnan(values[-1])
        number = np.arange(1, kept.sum() + 1)
        upper, lower = panels[:, column]
        low, high = (one[f"singular_value_null_{end}"].values[kept] for end in ("low", "high"))
        upper.fill_between(number, low, high, color=look.null, alpha=0.45, linewidth=0, label="its entries shuffled")
        first = f"at step {int(table['step'][0])}"
        upper.plot(number, values[0, kept], color=look.ink, linestyle=_LINES[2], linewidth=1.1, label=first)
        upper.plot(number, values[-1, kept], color=look.ink, linewidth=1.1, label=f"at step {final:,}")
        upper.set_ylim(0, None)
        upper.set_xscale("log")
        ticks = [k for k in (1, 3, 10, 30, 100, 300, 1000) if k <= len(number)]
        upper.set_xticks(ticks, [str(k) for k in ticks])
        upper.set_xticks([], minor=True)
        upper.set_title(f"{name.removesuffix('.weight')}\n{int(one['outliers'][-1])} stand out")
        upper.set_xlabel("rank (1: largest)")
        bounds = one["stable_rank_null_low"], one["stable_rank_null_high"]
        lower.fill_between(table["step"], *bounds, color=look.null, alpha=0.45, linewidth=0)
        lower.plot(table["step"], one["stable_rank"], color=look.ink)
        lower.set_ylim(0, None)
        style.step_axis(lower, float(final))
        for label in lower.get_xticklabels()[1::2]:
            label.set_visible(False)
        for axes in (upper, lower):
            axes.grid(True, axis="y")
        lower.set_xlabel("optimiser step")
    panels[0, 0].set_ylabel("singular value")
    panels[1, 0].set_ylabel("stable rank")
    handles, labels = panels[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    counts = ", ".join(f"{name} {int(n)}" for name, n in zip(names, table["outliers"][-1].values, strict=True))
    figure.alt = (
        "Singular values of each weight matrix, first and last snapshot, and its stable rank over the steps; grey: the same "
        f"entries in random places. Singular values above what shuffling gives at the end: {counts}."
    )
    return figure


@draws
def unit_lives(tables: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """Which units are silent at which snapshot, one row a unit that was ever silent, hatched grey where it is:
    `analysis.dynamics.lives` of each layer.
    """
    alive = {name: table["alive"].transpose(..., "snapshot").values for name, table in tables.items()}
    shown = {name: _by_death(tables[name])[(~values[_by_death(tables[name])]).any(1)] for name, values in alive.items()}
    heights = [max(0.5, 0.09 * len(rows)) for rows in shown.values()]
    figure = style.new("wide", 0.75 + sum(heights) + 0.4 * len(heights), look)
    panels = np.atleast_1d(figure.subplots(len(tables), 1, height_ratios=heights))
    said = []
    for axes, (name, rows) in zip(panels, shown.items(), strict=True):
        values, kind = alive[name][rows], "channel" if "channel" in tables[name].dims else "unit"
        extent = (-0.5, alive[name].shape[1] - 0.5, max(len(rows), 1) - 0.5, -0.5)
        silent = np.ma.masked_where(values, np.zeros(values.shape))
        style.quiet(axes, ticks=True)
        axes.set_xlim(extent[:2])
        axes.set_ylim(extent[2:])
        if len(rows):
            axes.imshow(
                np.ma.masked_where(~values, np.zeros(values.shape)),
                aspect="auto",
                cmap=ListedColormap([look.amount]),
                extent=extent,
            )
            axes.imshow(silent, aspect="auto", cmap=ListedColormap([look.absent]), extent=extent)
            _hatch(axes, ~values, look)
        else:
            axes.text(0.5, 0.5, f"no {kind} was ever silent", transform=axes.transAxes, ha="center", va="center")
        each = max(1, -(-len(rows) // 24))
        axes.set_yticks(range(0, len(rows), each), [str(rows[i]) for i in range(0, len(rows), each)], fontsize=6)
        axes.set_ylabel(kind)
        axes.set_xticks([])
        dead = int((~alive[name][:, -1]).sum())
        late = int((tables[name]["born_at"] > tables[name]["step"][0]).sum())
        total = len(alive[name])
        text = (
            f"{dead} of {total} {kind}s end silent, {late} first fire while learning, {total - len(rows)} always fire"
        )
        said.append(f"{name}: {text}")
        axes.set_title(f"{name.removesuffix('.hook_post')}: {text}")
    style.step_ticks(panels[-1], next(iter(tables.values()))["step"].values)
    figure.alt = (
        "Each row a unit that was ever silent, sorted by when it falls silent for good; filled where it fires for some image, "
        f"hatched grey where for none. {'; '.join(said)}."
    )
    return figure


def _by_death(table: xr.Dataset) -> np.ndarray:
    """Units that never fired, then those that fell silent, by when, then those that live, by birth."""
    died, born = (np.nan_to_num(table[name].values, nan=np.inf) for name in ("died_at", "born_at"))
    return np.lexsort((born, died, ~np.isinf(born)))


def _hatch(axes: Axes, where: np.ndarray, look: Look) -> None:
    """Strokes over each unbroken stretch of a row."""
    for row, silent in enumerate(where):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(int), [0]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            box = Rectangle((start - 0.5, row - 0.5), end - start, 1, fill=False, hatch="////", linewidth=0)
            box.set_edgecolor(look.quiet)
            axes.add_patch(box)


@draws
def class_learning(table: xr.Dataset, *, look: Look) -> Plot:
    """Test accuracy of each class against the step, the digit standing on its line: `analysis.dynamics.learning_by_class`.

    The scale widens towards 100 %, where the classes still differ at the end; what is below 3 % is drawn at 3 %. Grey:
    every class read as well as all together, where the table has it.
    """
    figure = style.new("wide", 4.0, look)
    axes = figure.subplots()
    accuracy = table["accuracy"].transpose("snapshot", "class").values.clip(0.03, 0.9985)
    steps, classes = table["step"].values, accuracy.shape[1]
    if "accuracy_null_low" in table:
        low, high = (table[f"accuracy_null_{end}"].median("class").clip(0.03, 0.9985) for end in ("low", "high"))
        axes.fill_between(steps, low, high, color=look.null, alpha=0.4, linewidth=0, label="all classes alike (95 %)")
        axes.legend(loc="lower right")
    axes.set_yscale("logit")
    style.step_axis(axes, float(steps[-1]))
    for label in range(classes):
        axes.plot(steps, accuracy[:, label], color=look.of_class(label), linewidth=1.1)
        places = range(label % 5, len(steps), 5)  # each digit at snapshots of its own, so that few cover each other
        axes.plot(
            steps[places],
            accuracy[places, label],
            marker=f"${label}$",
            linestyle="",
            color=look.of_class(label),
            ms=6.5,
        )
    ticks = [0.1, 0.5, 0.9, 0.97, 0.99, 0.997]
    axes.set_yticks(ticks, [f"{100 * t:g} %" for t in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(0.025, 0.9988)
    axes.grid(True, axis="y")
    axes.set_ylabel("test accuracy of the class")
    figure.alt = f"Test accuracy of each of {classes} classes against the step, on a scale that widens towards 100%."
    return figure
