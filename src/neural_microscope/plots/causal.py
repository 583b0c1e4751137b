"""Plots of interventions: ablation, dose-response, patching, interactions, and cumulative ablation."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.ticker import MaxNLocator

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws

NAMED = 5
"""The number of largest values that are labeled with their unit."""
TALL = 1.25
"""A null is cut off at so many times the height of all values with their intervals: it would press them flat."""


@draws
def ablation(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Loss increase from ablating each unit, sorted, with intervals; gray: random directions of equal norm.

    Args:
        table: Result of `analysis.causal.ablate_all`; the units with the largest increase are labeled.

    >>> effects = nm.analysis.causal.ablate_all(run.model(), run.probe, "layers.1.hook_post")
    >>> nm.plots.ablation(effects).alt
    'Loss increase from ablating each unit of layers.1.hook_post, largest first, ...'
    """
    axis, layer = style.axis_of(table["loss_increase"]), table.attrs["hook_point"]
    figure, (axes,) = style.new("wide", 3.2, theme)
    high, reach = (
        float(table[name if name in table else "loss_increase"].max())
        for name in ("loss_increase_high", "loss_increase_null_high")
    )
    top = TALL * high
    cut = f"\n▲: the gray goes on, up to {style.told(reach)}" if reach > top > 0 else ""
    below = table.assign(loss_increase_null_high=table["loss_increase_null_high"].clip(max=top)) if cut else table
    order = forms.units(
        axes,
        below,
        "loss_increase",
        named=NAMED,
        words=f"dot: mean over {table.attrs['n_examples']:,} images, line: 95% interval\n"
        "gray: 95% of random directions of equal norm",
        title=f"Loss increase from ablating each {axis}, and along random directions",
        xlabel=f"{count(table[axis].size, f'{axis}s')} of {style.short(layer)}, largest first{cut}",
        ylabel="loss increase when ablated (nats)",
    )
    if cut:
        (beyond,) = np.nonzero(table["loss_increase_null_high"].values[order] > top)
        axes.plot(beyond, np.full(len(beyond), top), "^", color=theme.null, markersize=4)
        axes.set_ylim(top=1.2 * top)  # room for the words
    most, least = (style.told(float(table["loss_increase"][order[end]]), 3) for end in (0, -1))
    return figure.says(
        f"Loss increase from ablating each {axis} of {layer}, largest first, from {most} to {least} nats; "
        "a gray band shows random directions of equal norm."
    )


@draws
def dose_response(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Loss, and the accuracy on each class, as units are scaled from 0 to several times their value.

    Gray: random other units of the layer. The three classes that change most are in color and named.

    Args:
        table: Result of `analysis.causal.dose_response`.

    >>> doses = nm.analysis.causal.dose_response(run.model(), run.probe, "layers.1.hook_post", 3, draws=5)
    >>> nm.plots.dose_response(doses).alt
    'Loss and accuracy of each class when unit 3 of layers.1.hook_post is multiplied by ...'
    """
    figure, (left, right) = style.new("wide", 3.0, theme, columns=2)
    factor, units = table["factor"].values, ", ".join(map(str, table.attrs["unit"]))
    kind = str(table.attrs.get("axis", "unit"))
    forms.curve(left, factor, table, "loss_increase", marker="o")
    left.set(ylabel="loss increase (nats)", title=f"{style.short(table.attrs['hook_point'])}, {kind} {units}")
    forms.note(left, f"gray: random other {kind}s\nlines: 95% over images", "upper center")
    by_class = 100 * table["accuracy_by_class"].values
    moved = np.nan_to_num(by_class.max(0) - by_class.min(0))
    most = [int(label) for label in np.argsort(-moved)[:3] if moved[label] > 0]
    right.plot(factor, by_class, color=theme.grid, linewidth=1)
    for label in most:
        right.plot(factor, by_class[:, label], color=theme.of_class(label), linewidth=1.8)
    right.set(ylabel="classified correctly (%)", title="Accuracy on each class")
    for axes in (left, right):
        axes.axvline(1, color=theme.quiet, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.set_xlabel(f"the {kind}'s value × (0: ablated, 1: unchanged)")
    right.margins(x=0.08)
    forms.label_points(right, {style.called(c): (float(factor[-1]), float(by_class[-1, c])) for c in most})
    return figure.says(
        f"Loss and accuracy of each class when {kind} {units} of {table.attrs['hook_point']} is multiplied by {factor[0]:g} to "
        f"{factor[-1]:g}; loss increase at 0: {style.told(float(table['loss_increase'][0]), 3)} nats; a gray band shows random other "
        f"{kind}s."
    )


@draws
def patching(table: xr.Dataset, *, theme: Theme) -> Plot:
    """The share of the difference between two sets of images that each unit restores, and removes, sorted.

    Gray: random directions of equal norm.

    Args:
        table: Result of `analysis.causal.patch_between`.

    >>> one, other = run.probe.subset(range(10)), run.probe.subset(range(10, 20))
    >>> table = nm.analysis.causal.patch_between(run.model(), one, other, "layers.1.hook_post")
    >>> nm.plots.patching(table).alt
    'Activation patching of each unit of layers.1.hook_post between ...'
    """
    axis = style.axis_of(table["denoising"])
    figure, (left, right) = style.new("wide", 3.1, theme, columns=2)
    labels: dict[str, Any] = {
        "named": 3,
        "factor": 100.0,
        "xlabel": f"{count(table[axis].size, f'{axis}s')}, strongest first",
    }
    labels |= {"title": "Clean value into the corrupted run", "ylabel": "difference restored (%)"}
    words = "line: 95% over pairs\ngray: 95% of random directions\nof the same norm"
    order = forms.units(left, table, "denoising", words=words, **labels)
    labels |= {"title": "Corrupted value into the clean run", "ylabel": "difference remaining (%)"}
    forms.units(right, table, "noising", ascending=True, level=100, **labels)
    best = f" Strongest: {order[0]}." if table["denoising"].notnull().any() else ""
    return figure.says(
        f"Activation patching of each {axis} of {table.attrs['hook_point']} between {table.attrs['n_examples']} pairs of images, in "
        f"both directions, sorted, with 95% intervals over pairs; gray: random directions of the same norm.{best}"
    )


@draws
def attribution_vs_patching(table: xr.Dataset, *, theme: Theme) -> Plot:
    """The first-order estimate of each unit's patch against the exact one; on the dashed line they agree.

    Args:
        table: Result of `analysis.causal.attribution_patching`.

    >>> one, other = run.probe.subset(range(10)), run.probe.subset(range(10, 20))
    >>> table = nm.analysis.causal.attribution_patching(run.model(), one, other, "layers.1.hook_post", draws=20)
    >>> nm.plots.attribution_vs_patching(table).alt
    'First-order estimate against exact activation patch of each unit of layers.1.hook_post...'
    """
    axis = style.axis_of(table["exact"])
    figure, (axes,) = style.new("narrow", 3.3, theme)
    x, y = 100 * table["exact"].values, 100 * table["estimate"].values
    axes.axline((0, 0), slope=1, color=theme.quiet, linewidth=0.7, linestyle=(0, (4, 2)))
    axes.plot(x, y, "o", color=theme.ink, markersize=3.5, alpha=0.8)
    r, low, high, null = (
        style.told(float(table[f"correlation{end}"]), 3) for end in ("", "_low", "_high", "_null_high")
    )
    axes.set(
        title=f"Patches of {axis}s",
        xlabel="exact patch (% of the difference)",
        ylabel="first-order estimate (%)",
    )
    forms.note(axes, f"r = {r} ({low} to {high})\nshuffled units: below {null}\ndashed: equal", "lower right")
    forms.label_points(axes, forms.farthest(np.abs(x), x, y, NAMED))
    return figure.says(
        f"First-order estimate against exact activation patch of each {axis} of {table.attrs['hook_point']}; correlation "
        f"{r}, 95% interval {low} to {high}, shuffled units below {null}."
    )


@draws
def cumulative_ablation(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Accuracy against the share of units ablated, for each named order; gray: random orders.

    Args:
        table: Result of `analysis.causal.cumulative_ablation`.

    >>> orders = {"by number": range(8)}
    >>> table = nm.analysis.causal.cumulative_ablation(run.model(), run.probe, "layers.1.hook_post", orders)
    >>> nm.plots.cumulative_ablation(table).alt
    'Accuracy against the share of units of layers.1.hook_post ablated, ...'
    """
    figure, (axes,) = style.new("middle", 3.2, theme)
    share = 100 * table["share"].values
    orders = [
        f"{name} (mean {style.fixed(100 * float(table['auc'][i]), 0)}%)" for i, name in enumerate(table["order"].values)
    ]
    alike = "same share" in table.attrs["null"]
    of = "each layer's units" if alike else f"the {count(table.attrs['units'], 'units')}"
    label = f"{table.sizes['draw']} random orders (mean {style.fixed(100 * float(table['random_auc'].mean()), 0)}%)"
    forms.null_band(axes, share, table, "accuracy", factor=100, label=label)
    axes.plot(share, 100 * table["random_accuracy"].mean("draw"), color=theme.null, linewidth=1)
    for number, (order, line) in enumerate(zip(orders, forms.LINES * len(orders), strict=False)):
        forms.curve(axes, share, table[["accuracy"]].isel(order=number), "accuracy", factor=100, line=line, label=order)
    axes.set(
        title="Accuracy as units are ablated one after another",
        xlabel=f"share of {of} ablated (%)",
        ylabel="classified correctly (%)",
    )
    if style.narrow():
        forms.legend_below(figure, axes)
    else:
        axes.legend(loc="best")
    return figure.says(
        f"Accuracy against the share of units of {table.attrs['hook_point']} ablated, and the mean of each curve: "
        f"{', '.join([*orders, label])}."
    )


@draws
def confusion_shift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Confusion shift: counts after minus before an intervention, true class by predicted class.

    Bold numbers lie beyond random units; numbers in plain type do not, though random units move as many.

    Args:
        table: Result of `analysis.causal.confusion_shift`.

    >>> hook = ("layers.1.hook_post", nm.interventions.zero(unit=3))
    >>> table = nm.analysis.causal.confusion_shift(run.model(), run.probe, [hook], hook_point=hook[0], draws=5)
    >>> nm.plots.confusion_shift(table).alt
    'Confusion after minus before an intervention, true class by predicted class; ...'
    """
    shift = table["shift"].values
    limit = forms.limit_of(shift)
    figure, (axes,) = style.new("middle", 4.0, theme)
    image = forms.matrix(
        axes,
        shift,
        (-limit, limit),
        names=[style.called(c) for c in range(len(shift))],
        label="images more (+) or fewer (−)",
    )
    outside = (shift < table["shift_null_low"].values) | (shift > table["shift_null_high"].values)
    if table["shift_null_low"].isnull().all():
        outside = shift != 0
    for weight, where in (("bold", outside), ("normal", ~outside & (np.abs(shift) >= max(1.0, limit / 4)))):
        texts = {(row, col): f"{int(shift[row, col]):+d}".replace("-", "−") for row, col in np.argwhere(where)}
        forms.write(image, texts, fontsize=7.5, weight=weight)
    axes.set(title="Images that change their predicted class", xlabel="predicted class", ylabel="true class")
    moved, high = (style.share(float(table[name]), 1) for name in ("moved", "moved_null_high"))
    return figure.says(
        f"Confusion after minus before an intervention, true class by predicted class; {moved} of the images change their "
        f"predicted class (random units: up to {high}); bold numbers exceed random units."
    )


@draws
def direct_logit_attribution(
    table: xr.Dataset, example: int, classes: tuple[int, int] | None = None, *, theme: Theme
) -> Plot:
    """Contributions of units to the logits of two classes on one image, the largest ones; the rest summed.

    Args:
        table: Result of `analysis.causal.direct_logit_attribution`.
        example: Number of the image in the table.
        classes: The two classes; None: those of the two highest logits.

    >>> parts = nm.analysis.causal.direct_logit_attribution(run.model(), run.probe, draws=5)
    >>> nm.plots.direct_logit_attribution(parts, example=0).alt
    "Contributions of the units of layers.1.hook_post to the logits of classes ... on image 0 ..."
    """
    axis = style.axis_of(table["evidence"])
    logits = table["logits"][example].values
    first, second = classes or tuple(int(c) for c in np.argsort(-logits)[:2])
    parts = table["contribution"][example].values[:, [first, second]]
    order = np.argsort(-np.abs(parts).max(1), kind="stable")[:12]
    others = parts.sum(0) - parts[order].sum(0)
    bars = np.concatenate([parts[order], others[None], table["rest"][example].values[None, [first, second]]])
    names = [f"{axis} {unit}" for unit in order] + [f"{len(parts) - len(order)} others", "rest (biases)"]
    limit = 1.15 * forms.limit_of(bars)
    figure, panels = style.new("wide", 0.9 + 0.2 * len(bars), theme, columns=2, sharey=True)
    for axes, label, values in zip(panels, (first, second), bars.T, strict=True):
        axes.barh(names, values, color=np.where(values > 0, theme.positive, theme.negative), height=0.7)
        axes.axvline(0, color=theme.quiet, linewidth=0.6)
        axes.set(
            xlim=(-limit, limit),
            xlabel="contribution to the logit (for +, against −)",
            title=f"Class {style.called(label)}: the bars add up to {style.told(logits[label])}",
        )
    figure.axes[0].invert_yaxis()
    return figure.says(
        f"Contributions of the {axis}s of {table.attrs['hook_point']} to the logits of classes {first} and {second} on image "
        f"{example} (class {int(table['label'][example])}); the largest is {axis} {order[0]}'s; all bars add up to the logit."
    )


@draws
def interactions(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Loss increase from ablating two units together, beyond the sum of both alone: a tile for every pair.

    With it the same against that sum. Orange: the two are redundant; blue: they depend on each other; gray dots lie
    within their null. The units of the tiles are sorted by each one's loss increase alone; their colors end at the
    99.5th percentile of all sizes. The strongest pairs beyond their null are named.

    Args:
        table: Result of `analysis.causal.interactions`.

    >>> pairs = nm.analysis.causal.interactions(run.model(), run.probe, "layers.1.hook_post")
    >>> nm.plots.interactions(pairs).alt
    'Loss increase from ablating two units of layers.1.hook_post together ...'
    """
    axis, layer = str(table["interaction"].dims[0]), table.attrs["hook_point"]
    alone = table["loss_increase"].values
    one, other = np.triu_indices(len(alone), 1)
    value, beyond = (table[name].values[one, other] for name in ("interaction", "interaction_shown"))
    figure, (left, right) = style.new("wide", 3.7, theme, columns=2, width_ratios=(1, 1.05))
    order = np.argsort(-np.nan_to_num(alone), kind="stable")
    limit = forms.limit_of(table["interaction"].values, 99.5)
    tiles = table["interaction"].values[np.ix_(order, order)]
    forms.matrix(left, tiles, (-limit, limit), label="nats, clipped")
    for ticks in (left.xaxis, left.yaxis):
        ticks.set_major_locator(MaxNLocator(5, integer=True))
    title = "Every pair, ablated together" if len(value) else f"One {axis} has no pairs"
    left.set(xlabel=f"{count(len(alone), f'{axis}s')} of {style.short(layer)},\nlargest alone first", title=title)
    sums = alone[one] + alone[other]
    sides = {theme.null: ~beyond, theme.positive: beyond & (value > 0), theme.negative: beyond & (value < 0)}
    for color, chosen in sides.items():
        right.plot(sums[chosen], value[chosen], ".", color=color, markersize=2.5, alpha=0.7)
    right.axhline(0, color=theme.quiet, linewidth=0.6)
    right.set(
        xlabel=f"sum of the two alone (nats)\ngray: within the null, {table.attrs['n_examples']} images",
        ylabel="loss increase together − that sum (nats)",
        title="Beyond the sum of the two alone",
    )
    right.margins(0.08, 0.15)
    pairs = [f"{a}, {b}" for a, b in zip(one, other, strict=True)]
    strongest = forms.farthest(np.where(beyond, np.abs(value), np.nan), sums, value, 4, pairs)
    forms.label_points(right, strongest)
    named = "".join(
        f" The strongest: {axis}s {pair}, {style.told(y)} nats." for pair, (_, y) in [*strongest.items()][:1]
    )
    return figure.says(
        f"Loss increase from ablating two {axis}s of {layer} together beyond the sum of the two alone, for {len(value):,} pairs; "
        f"gray where a pair lies within its null.{named}"
    )
