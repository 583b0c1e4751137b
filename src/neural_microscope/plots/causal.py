"""Pictures of interventions: what units are worth, doses, patches between images, and how a network fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import style
from .style import Look, Plot, draws


@draws
def ablation(table: xr.Dataset, *, named: int = 5, look: Look) -> Plot:
    """What cutting out each unit adds to the loss, sorted, with intervals; grey: random directions of the same norm.

    ``table``: `analysis.causal.ablate_all`. ``named``: how many of the costliest are named.
    """
    axis, layer = _axis(table, "loss_increase"), table.attrs["hook_point"]
    order = np.argsort(-table["loss_increase"].values, kind="stable")
    value, low, high, null_low, null_high = (
        table[f"loss_increase{end}"].values[order] for end in ("", "_low", "_high", "_null_low", "_null_high")
    )
    places = np.arange(len(order))
    figure = style.new("wide", 3.2, look)
    axes = figure.subplots()
    axes.fill_between(places, null_low, null_high, color=look.null, alpha=0.3, linewidth=0, step="mid")
    axes.axhline(0, color=look.quiet, linewidth=0.6)
    style.intervals(axes, places, low, high, color=look.quiet, linewidth=0.8)
    axes.plot(places, value, "o", color=look.ink, markersize=3.2, linestyle="none")
    axes.set_xlabel(f"{len(order)} {axis}s of {layer}, costliest first")
    axes.set_ylabel("loss added when cut out (nat)")
    axes.set_title(f"Loss without each {axis}, and with random directions of the same norm")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    style.label_points(axes, {str(order[i]): (float(i), float(value[i])) for i in range(min(named, len(order)))}, look)
    _say(
        axes,
        f"dot: mean over {table.attrs['n_examples']} images, line: 95 % interval\n"
        "gray: 95% of random directions of the same norm",
        look,
    )
    figure.alt = (
        f"What cutting out each {axis} of {layer} adds to the loss, costliest first, from {style.told(value[0], 3)} to "
        f"{style.told(value[-1], 3)} nats; a gray band shows random directions of the same norm."
    )
    return figure


@draws
def dose_response(table: xr.Dataset, *, look: Look) -> Plot:
    """Loss, and the accuracy on each class, as units are turned from off to several times their value; grey: random other
    units of the layer.

    ``table``: `analysis.causal.dose_response`. The classes that change most are in colour and named.
    """
    figure = style.new("wide", 3.0, look)
    left, right = figure.subplots(1, 2)
    factor, units = table["factor"].values, ", ".join(map(str, table.attrs["unit"]))
    left.fill_between(
        factor,
        table["loss_increase_null_low"],
        table["loss_increase_null_high"],
        color=look.null,
        alpha=0.3,
        linewidth=0,
    )
    style.intervals(
        left, factor, table["loss_increase_low"], table["loss_increase_high"], color=look.quiet, linewidth=0.8
    )
    left.plot(factor, table["loss_increase"], "o-", color=look.ink, markersize=3)
    left.set_ylabel("loss added (nat)")
    left.set_title(f"{table.attrs['hook_point'].removesuffix('.hook_post')}, unit {units}")
    _say(left, "grey: random other units\nlines: 95 % over images", look, "upper center")
    by_class = 100 * table["accuracy_by_class"].values
    moved = np.nan_to_num(by_class.max(0) - by_class.min(0)) if len(by_class) else np.zeros(0)
    for label in range(by_class.shape[1]):
        strong = moved[label] > 0 and label in np.argsort(-moved)[:3]
        right.plot(
            factor,
            by_class[:, label],
            color=look.of_class(label) if strong else look.grid,
            linewidth=1.8 if strong else 1,
            zorder=3 if strong else 1,
        )
    right.set_ylabel("images read rightly (%)")
    most = int(moved.argmax())
    right.set_title(f"Class {most} changes most" if moved[most] > 0 else "No class changes")
    ends = {str(c): (float(factor[-1]), float(by_class[-1, c])) for c in np.argsort(-moved)[:3] if moved[c] > 0}
    for axes in (left, right):
        axes.axvline(1, color=look.quiet, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xlabel("the unit's value × (0: cut out, 1: as it is)")
    right.margins(x=0.08)
    style.label_points(right, ends, look)
    figure.alt = (
        f"Loss and accuracy of each class when unit {units} of {table.attrs['hook_point']} is multiplied by {factor[0]:g} to "
        f"{factor[-1]:g}; loss added at 0: {style.told(float(table['loss_increase'][0]), 3)} nat; a grey band shows random other units."
    )
    return figure


@draws
def patching(table: xr.Dataset, *, named: int = 3, look: Look) -> Plot:
    """How much of the difference between two sets of images each unit brings back, and how much it breaks, sorted; grey:
    random directions of the same norm. ``table``: `analysis.causal.patch_between`.
    """
    axis = _axis(table, "denoising")
    figure = style.new("wide", 3.1, look)
    for axes, name, title in zip(
        figure.subplots(1, 2),
        ("denoising", "noising"),
        ("Clean value into the corrupted run", "Corrupted value into the clean run"),
        strict=True,
    ):
        start, sign = (0, 1) if name == "denoising" else (1, -1)
        whole = {end: 100 * table[f"{name}{end}"].values for end in ("", "_low", "_high", "_null_low", "_null_high")}
        order = np.argsort(-sign * np.nan_to_num(whole[""], nan=-sign * np.inf), kind="stable")
        places = np.arange(len(order))
        axes.fill_between(
            places,
            whole["_null_low"][order],
            whole["_null_high"][order],
            color=look.null,
            alpha=0.3,
            linewidth=0,
            step="mid",
        )
        axes.axhline(100 * start, color=look.quiet, linewidth=0.6)
        style.intervals(axes, places, whole["_low"][order], whole["_high"][order], color=look.quiet, linewidth=0.8)
        axes.plot(places, whole[""][order], "o", color=look.ink, markersize=3)
        points = {str(order[i]): (float(i), float(whole[""][order[i]])) for i in range(min(named, len(order)))}
        axes.set_title(title)
        axes.set_xlabel(f"{len(order)} {axis}s, strongest first")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel("difference brought back (%)" if name == "denoising" else "difference left (%)")
        style.label_points(axes, points, look)
    _say(figure.axes[0], "line: 95 % over pairs\ngrey: 95 % of random directions\nof the same norm", look)
    best = int(np.nanargmax(table["denoising"])) if table["denoising"].notnull().any() else -1
    figure.alt = (
        f"Activation patching of each {axis} of {table.attrs['hook_point']} between {table.attrs['n_examples']} pairs of images, in "
        f"both directions, sorted, with 95 % intervals over pairs; grey: random directions of the same norm. Strongest: {best}."
    )
    return figure


@draws
def attribution_vs_patching(table: xr.Dataset, *, named: int = 4, look: Look) -> Plot:
    """The first-order estimate of each unit's patch against the exact one; on the line they agree. ``table``:
    `analysis.causal.attribution_patching`.
    """
    axis = _axis(table, "exact")
    figure = style.new("narrow", 3.3, look)
    axes = figure.subplots()
    x, y = 100 * table["exact"].values, 100 * table["estimate"].values
    both = np.concatenate([x, y])
    ends = [float(np.nanmin(both)), float(np.nanmax(both))] if np.isfinite(both).any() else [0.0, 1.0]
    axes.plot(ends, ends, color=look.quiet, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.plot(x, y, "o", color=look.ink, markersize=3.5, alpha=0.8)
    far = np.argsort(-np.nan_to_num(np.abs(x)))[:named]
    axes.set_xlabel("exact patch (% of the difference)")
    axes.set_ylabel("first-order estimate (%)")
    r, low, high, null = (float(table[f"correlation{end}"]) for end in ("", "_low", "_high", "_null_high"))
    verdict = "The gradient tells the patches" if low > null else "The gradient misses the patches"
    axes.set_title("No patch changes anything" if np.isnan(r) else verdict)
    _say(
        axes,
        f"r = {style.told(r, 3)} ({style.told(low, 3)} to {style.told(high, 3)})\nshuffled units: below {style.told(null)}\n"
        "dashed: equal",
        look,
        "lower right",
    )
    style.label_points(axes, {str(u): (float(x[u]), float(y[u])) for u in far if np.isfinite(x[u])}, look)
    figure.alt = (
        f"First-order estimate against exact activation patch of each {axis} of {table.attrs['hook_point']}; correlation "
        f"{style.told(r, 3)}, 95 % interval {style.told(low, 3)} to {style.told(high, 3)}, shuffled units below {style.told(null)}."
    )
    return figure


@draws
def cumulative_ablation(table: xr.Dataset, *, look: Look) -> Plot:
    """Accuracy against the share of units cut out, for each named order; grey: random orders. ``table``:
    `analysis.causal.cumulative_ablation`.
    """
    figure = style.new("middle", 3.2, look)
    axes = figure.subplots()
    share = 100 * table["share"].values
    axes.fill_between(
        share,
        100 * table["accuracy_null_low"],
        100 * table["accuracy_null_high"],
        color=look.null,
        alpha=0.3,
        linewidth=0,
        label=f"{table.sizes['draw']} random orders (AUC {style.told(float(table['random_auc'].mean()))})",
    )
    axes.plot(share, 100 * table["random_accuracy"].mean("draw"), color=look.null, linewidth=1)
    for number, name in enumerate(table["order"].values):
        auc = float(table["auc"][number])
        axes.plot(
            share,
            100 * table["accuracy"][number],
            color=look.ink,
            linestyle=_LINES[number % len(_LINES)],
            label=f"{name} (AUC {style.told(auc)})",
        )
    axes.set_xlabel(f"share of the {table.attrs['units']} units cut out (%)")
    axes.set_ylabel("images read rightly (%)")
    axes.set_title("How the network fails as units are cut out")
    axes.grid(True, axis="y")
    axes.legend(loc="best")
    said = ", ".join(
        f"{n} {style.told(float(a))}" for n, a in zip(table["order"].values, table["auc"].values, strict=True)
    )
    figure.alt = (
        f"Accuracy against the share of units of {table.attrs['hook_point']} cut out. Area under the curve: "
        f"{said + '; ' if said else ''}random orders {style.told(float(table['auc_null_low']))} to "
        f"{style.told(float(table['auc_null_high']))}."
    )
    return figure


@draws
def confusion_shift(table: xr.Dataset, *, look: Look) -> Plot:
    """Which images an intervention moves from class to class: counts after minus before. Bold: beyond what random units do;
    numbers in plain type are as large, and random units move as many. ``table``: `analysis.causal.confusion_shift`.
    """
    shift = table["shift"].values
    limit = float(np.nan_to_num(np.abs(shift)).max()) or 1.0
    figure = style.new("middle", 4.0, look)
    axes = figure.subplots()
    axes.imshow(shift, cmap=look.signed_map, vmin=-limit, vmax=limit)
    outside = (shift < table["shift_null_low"].values) | (shift > table["shift_null_high"].values)
    if table["shift_null_low"].isnull().all():
        outside = shift != 0
    for row, col in np.argwhere(outside | (np.abs(shift) >= max(1.0, limit / 4))):
        text = f"{int(shift[row, col]):+d}".replace("-", "−")
        weight = "bold" if outside[row, col] else "normal"
        axes.text(col, row, text, ha="center", va="center", fontsize=7.5, color=look.ink, weight=weight)
    style.quiet(axes, ticks=True)
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks(range(len(shift)), [str(c) for c in range(len(shift))])
    axes.set_xlabel("read as")
    axes.set_ylabel("class")
    moved, high = style.share(float(table["moved"]), 1), float(table["moved_null_high"])
    beside = "" if np.isnan(high) else f"(random units: up to {style.share(high, 1)})"
    axes.set_title(f"{moved} of the images are read differently\n{beside}".rstrip())
    style.colour_bar(figure, axes, look.signed_map, (-limit, limit), "images more (+) or fewer (−)")
    figure.alt = (
        f"Confusion after minus before an intervention, class by predicted class; {moved} of the images are read "
        f"differently {beside}; numbers are bold where random units do not reach."
    )
    return figure


@draws
def direct_logit_attribution(
    table: xr.Dataset, example: int, classes: tuple[int, int] | None = None, *, most: int = 12, look: Look
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
    rows = np.concatenate([parts[order], others[None], table["rest"][example].values[None, [first, second]]])
    names = [f"{axis} {unit}" for unit in order] + [f"{len(parts) - len(order)} others", "rest (biases)"]
    limit = float(np.nan_to_num(np.abs(rows)).max()) * 1.15 or 1.0
    figure = style.new("wide", 0.9 + 0.2 * len(rows), look)
    places = np.arange(len(rows))
    for column, (axes, label) in enumerate(zip(figure.subplots(1, 2, sharey=True), (first, second), strict=True)):
        values = rows[:, column]
        colours = [look.positive if v > 0 else look.negative for v in values]
        axes.barh(places, values, color=colours, height=0.7)
        axes.axvline(0, color=look.quiet, linewidth=0.6)
        axes.set_xlim(-limit, limit)
        axes.set_xlabel("contribution to the logit (for +, against −)")
        axes.set_title(f"Class {label}: the bars add up to {style.told(logits[label])}")
    figure.axes[0].set_yticks(places, names)
    figure.axes[0].invert_yaxis()
    strongest = order[int(np.abs(parts[order]).max(1).argmax())]
    figure.alt = (
        f"Contributions of the {axis}s of {table.attrs['hook_point']} to the logits of classes {first} and {second} on image "
        f"{example} (class {int(table['label'][example])}); the largest is {axis} {strongest}'s; all bars add up to the logit."
    )
    return figure


_LINES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (1, 1.2)), "-.")


def _axis(table: xr.Dataset, variable: str) -> str:
    return "channel" if "channel" in table[variable].dims else "unit"


def _say(axes: Axes, text: str, look: Look, place: str = "upper right") -> None:
    """A few words in a corner of the axes."""
    y, (x, side) = (0.97 if "upper" in place else 0.03), ((0.98, "right") if "right" in place else (0.5, "center"))
    va = "top" if "upper" in place else "bottom"
    axes.text(x, y, text, transform=axes.transAxes, ha=side, va=va, fontsize=7.5, color=look.quiet)
