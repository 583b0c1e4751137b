"""Pictures of interventions: what units are worth, doses, patches between images, pairs of units, and how a network fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator

from . import forms, style
from .style import Plot, Theme, draws


@draws
def ablation(table: xr.Dataset, *, named: int = 5, theme: Theme) -> Plot:
    """What ablating each unit adds to the loss, sorted, with intervals; gray: random directions of the same norm.

    ``table``: `analysis.causal.ablate_all`. ``named``: how many of those that add most are named.
    """
    axis, layer = _axis(table, "loss_increase"), table.attrs["hook_point"]
    figure = style.new("wide", 3.2, theme)
    axes = figure.subplots()
    order = forms.units(
        axes,
        table,
        "loss_increase",
        named=named,
        title=f"Loss without each {axis}, and with random directions of the same norm",
        xlabel=f"{table[axis].size} {axis}s of {layer}, largest first",
        ylabel="loss added when ablated (nats)",
    )
    forms.note(
        axes,
        f"dot: mean over {table.attrs['n_examples']} images, line: 95% interval\n"
        "gray: 95% of random directions of the same norm",
    )
    most, least = (style.told(float(table["loss_increase"][order[end]]), 3) for end in (0, -1))
    figure.alt = (
        f"What ablating each {axis} of {layer} adds to the loss, largest first, from {most} to {least} nats; "
        "a gray band shows random directions of the same norm."
    )
    return figure


@draws
def dose_response(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Loss, and the accuracy on each class, as units are turned from off to several times their value; gray: random other
    units of the layer.

    ``table``: `analysis.causal.dose_response`. The three classes that change most are in color and named.
    """
    figure = style.new("wide", 3.0, theme)
    left, right = figure.subplots(1, 2)
    factor, units = table["factor"].values, ", ".join(map(str, table.attrs["unit"]))
    forms.curve(left, factor, table, "loss_increase", marker="o")
    left.set(ylabel="loss added (nats)", title=f"{style.short(table.attrs['hook_point'])}, unit {units}")
    forms.note(left, "gray: random other units\nlines: 95% over images", "upper center")
    by_class = 100 * table["accuracy_by_class"].values
    moved = np.nan_to_num(by_class.max(0) - by_class.min(0))
    most = [int(label) for label in np.argsort(-moved)[:3] if moved[label] > 0]
    right.plot(factor, by_class, color=theme.grid, linewidth=1)
    for label in most:
        right.plot(factor, by_class[:, label], color=theme.of_class(label), linewidth=1.8)
    right.set(ylabel="classified correctly (%)", title="Accuracy on each class")
    for axes in (left, right):
        axes.axvline(1, color=theme.quiet, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xlabel("the unit's value × (0: ablated, 1: unchanged)")
    right.margins(x=0.08)
    forms.label_points(right, {str(c): (float(factor[-1]), float(by_class[-1, c])) for c in most})
    figure.alt = (
        f"Loss and accuracy of each class when unit {units} of {table.attrs['hook_point']} is multiplied by {factor[0]:g} to "
        f"{factor[-1]:g}; loss added at 0: {style.told(float(table['loss_increase'][0]), 3)} nats; a gray band shows random other units."
    )
    return figure


@draws
def patching(table: xr.Dataset, *, named: int = 3, theme: Theme) -> Plot:
    """How much of the difference between two sets of images each unit brings back, and how much it breaks, sorted; gray:
    random directions of the same norm. ``table``: `analysis.causal.patch_between`.
    """
    axis = _axis(table, "denoising")
    figure = style.new("wide", 3.1, theme)
    left, right = figure.subplots(1, 2)
    words: dict[str, Any] = {"named": named, "factor": 100.0, "xlabel": f"{table[axis].size} {axis}s, strongest first"}
    title = "Clean value into the corrupted run"
    order = forms.units(left, table, "denoising", title=title, ylabel="difference brought back (%)", **words)
    words |= {"title": "Corrupted value into the clean run", "ylabel": "difference left (%)"}
    forms.units(right, table, "noising", ascending=True, level=100, **words)
    forms.note(left, "line: 95% over pairs\ngray: 95% of random directions\nof the same norm")
    best = f" Strongest: {order[0]}." if table["denoising"].notnull().any() else ""
    figure.alt = (
        f"Activation patching of each {axis} of {table.attrs['hook_point']} between {table.attrs['n_examples']} pairs of images, in "
        f"both directions, sorted, with 95% intervals over pairs; gray: random directions of the same norm.{best}"
    )
    return figure


@draws
def attribution_vs_patching(table: xr.Dataset, *, named: int = 4, theme: Theme) -> Plot:
    """The first-order estimate of each unit's patch against the exact one; on the line they agree. ``table``:
    `analysis.causal.attribution_patching`.
    """
    axis = _axis(table, "exact")
    figure = style.new("narrow", 3.3, theme)
    axes = figure.subplots()
    x, y = 100 * table["exact"].values, 100 * table["estimate"].values
    axes.axline((0, 0), slope=1, color=theme.quiet, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.plot(x, y, "o", color=theme.ink, markersize=3.5, alpha=0.8)
    r, low, high, null = (
        style.told(float(table[f"correlation{end}"]), 3) for end in ("", "_low", "_high", "_null_high")
    )
    axes.set(
        title=f"Estimated and exact patches of {table[axis].size} {axis}s",
        xlabel="exact patch (% of the difference)",
        ylabel="first-order estimate (%)",
    )
    forms.note(axes, f"r = {r} ({low} to {high})\nshuffled units: below {null}\ndashed: equal", "lower right")
    far = [int(u) for u in np.argsort(-np.nan_to_num(np.abs(x)), kind="stable")[:named] if np.isfinite(x[u])]
    forms.label_points(axes, {str(u): (float(x[u]), float(y[u])) for u in far})
    figure.alt = (
        f"First-order estimate against exact activation patch of each {axis} of {table.attrs['hook_point']}; correlation "
        f"{r}, 95% interval {low} to {high}, shuffled units below {null}."
    )
    return figure


@draws
def cumulative_ablation(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Accuracy against the share of units ablated, for each named order; gray: random orders. ``table``:
    `analysis.causal.cumulative_ablation`.
    """
    figure = style.new("middle", 3.2, theme)
    axes = figure.subplots()
    share = 100 * table["share"].values
    auc = style.told(float(table["random_auc"].mean()))
    label = f"{table.sizes['draw']} random orders (AUC {auc})"
    forms.null_band(axes, share, table, "accuracy", factor=100, label=label)
    axes.plot(share, 100 * table["random_accuracy"].mean("draw"), color=theme.null, linewidth=1)
    said = [f"{name} {style.told(float(auc))}" for name, auc in zip(table["order"].values, table["auc"], strict=True)]
    for number, (name, line) in enumerate(zip(said, forms.LINES * len(said), strict=False)):
        label = f"{table['order'].values[number]} (AUC {name.rpartition(' ')[2]})"
        axes.plot(share, 100 * table["accuracy"][number], color=theme.ink, linestyle=line, label=label)
    axes.set(
        title="Accuracy as units are ablated one after another",
        xlabel=f"share of the {table.attrs['units']} units ablated (%)",
        ylabel="classified correctly (%)",
    )
    axes.grid(True, axis="y")
    axes.legend(loc="best")
    low, high = (style.told(float(table[f"auc_null_{end}"])) for end in ("low", "high"))
    figure.alt = (
        f"Accuracy against the share of units of {table.attrs['hook_point']} ablated. Area under the curve: "
        f"{'; '.join([', '.join(said)] * bool(said) + [f'random orders {low} to {high}'])}."
    )
    return figure


@draws
def confusion_shift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Which images an intervention moves from class to class: counts after minus before. Bold: beyond what random units do;
    numbers in plain type are as large, and random units move as many. ``table``: `analysis.causal.confusion_shift`.
    """
    shift = table["shift"].values
    limit = forms.limit_of(shift)
    figure = style.new("middle", 4.0, theme)
    axes = figure.subplots()
    image = forms.matrix(axes, shift, (-limit, limit), names=range(len(shift)), label="images more (+) or fewer (−)")
    outside = (shift < table["shift_null_low"].values) | (shift > table["shift_null_high"].values)
    if table["shift_null_low"].isnull().all():
        outside = shift != 0
    for weight, where in (("bold", outside), ("normal", ~outside & (np.abs(shift) >= max(1.0, limit / 4)))):
        texts = {(row, col): f"{int(shift[row, col]):+d}".replace("-", "−") for row, col in np.argwhere(where)}
        forms.write(image, texts, fontsize=7.5, weight=weight)
    moved, high = style.share(float(table["moved"]), 1), style.share(float(table["moved_null_high"]), 1)
    beside = "" if high == "not known" else f"(random units: up to {high})"
    axes.set(
        title=f"Images that change their predicted class: {moved}\n{beside}".rstrip(),
        xlabel="predicted class",
        ylabel="true class",
    )
    figure.alt = (
        f"Confusion after minus before an intervention, true class by predicted class; {moved} of the images change their "
        f"predicted class {beside}; numbers are bold where random units do not reach."
    )
    return figure


@draws
def direct_logit_attribution(
    table: xr.Dataset, example: int, classes: tuple[int, int] | None = None, *, most: int = 12, theme: Theme
) -> Plot:
    """Which units speak for and against two classes on one image, those with the largest contributions; the rest summed.

    ``table``: `analysis.causal.direct_logit_attribution`; ``classes``: the two highest logits unless given.
    """
    axis = _axis(table, "evidence")
    logits = table["logits"][example].values
    first, second = classes or tuple(int(c) for c in np.argsort(-logits)[:2])
    parts = table["contribution"][example].values[:, [first, second]]
    order = np.argsort(-np.abs(parts).max(1), kind="stable")[:most]
    others = parts.sum(0) - parts[order].sum(0)
    bars = np.concatenate([parts[order], others[None], table["rest"][example].values[None, [first, second]]])
    names = [f"{axis} {unit}" for unit in order] + [f"{len(parts) - len(order)} others", "rest (biases)"]
    limit = 1.15 * forms.limit_of(bars)
    figure = style.new("wide", 0.9 + 0.2 * len(bars), theme)
    for axes, label, values in zip(figure.subplots(1, 2, sharey=True), (first, second), bars.T, strict=True):
        axes.barh(names, values, color=np.where(values > 0, theme.positive, theme.negative), height=0.7)
        axes.axvline(0, color=theme.quiet, linewidth=0.6)
        axes.set(
            xlim=(-limit, limit),
            xlabel="contribution to the logit (for +, against −)",
            title=f"Class {label}: the bars add up to {style.told(logits[label])}",
        )
    figure.axes[0].invert_yaxis()
    figure.alt = (
        f"Contributions of the {axis}s of {table.attrs['hook_point']} to the logits of classes {first} and {second} on image "
        f"{example} (class {int(table['label'][example])}); the largest is {axis} {order[0]}'s; all bars add up to the logit."
    )
    return figure


@draws
def interactions(table: xr.Dataset, *, named: int = 4, theme: Theme) -> Plot:
    """What two units ablated together add to the loss beyond the sum of the two alone: every pair as a tile, and beside that sum.

    ``table``: `analysis.causal.interactions`. Orange: the two stand in for each other; blue: they need each other; gray dots lie
    within their null. The units of the tiles are sorted by what each adds alone; their colors end at the 99.5th percentile of
    all sizes. ``named``: how many of the strongest pairs are named.
    """
    axis, layer = str(table["interaction"].dims[0]), table.attrs["hook_point"]
    alone = table["loss_increase"].values
    one, other = np.triu_indices(len(alone), 1)
    value, beyond = (table[name].values[one, other] for name in ("interaction", "interaction_shown"))
    redundant, needed = beyond & (value > 0), beyond & (value < 0)
    figure = style.new("wide", 3.7, theme)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    order = np.argsort(-np.nan_to_num(alone), kind="stable")
    limit = forms.limit_of(table["interaction"].values, 99.5)
    tiles = table["interaction"].values[np.ix_(order, order)]
    forms.matrix(left, tiles, (-limit, limit), label="nats, clipped")
    for ticks in (left.xaxis, left.yaxis):
        ticks.set_major_locator(MaxNLocator(5, integer=True))
    title = "Every pair, ablated together" if len(value) else f"One {axis} has no pairs"
    left.set(xlabel=f"{len(alone)} {axis}s of {layer},\nlargest alone first", title=title)
    sums = alone[one] + alone[other]
    for chosen, color in ((~beyond, theme.null), (redundant, theme.positive), (needed, theme.negative)):
        right.plot(sums[chosen], value[chosen], ".", color=color, markersize=2.5, alpha=0.7)
    right.axhline(0, color=theme.quiet, linewidth=0.6)
    right.set(
        xlabel=f"loss added by the two alone, summed (nats)\ngray: within the null, {table.attrs['n_examples']} images",
        ylabel="loss added together − that sum (nats)",
        title="Beyond the sum of the two alone",
    )
    right.margins(0.08, 0.15)
    forms.note(right, f"{redundant.sum():,} pairs above their null", "upper left")
    forms.note(right, f"{needed.sum():,} pairs below their null", "lower left")
    strongest = [i for i in np.argsort(-np.nan_to_num(np.abs(value)), kind="stable")[:named] if beyond[i]]
    forms.label_points(right, {f"{one[i]}, {other[i]}": (float(sums[i]), float(value[i])) for i in strongest})
    figure.alt = (
        f"What ablating two {axis}s of {layer} together adds to the loss beyond the sum of the two alone. Of {len(value):,} "
        f"pairs {redundant.sum():,} lie above their null and {needed.sum():,} below; the others lie within."
    )
    if strongest:
        a, b, most = one[strongest[0]], other[strongest[0]], style.told(float(value[strongest[0]]), 2)
        figure.alt += f" The strongest: {axis}s {a} and {b}, {most} nats."
    return figure


def _axis(table: xr.Dataset, variable: str) -> str:
    return "channel" if "channel" in table[variable].dims else "unit"
