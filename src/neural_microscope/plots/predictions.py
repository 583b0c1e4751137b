"""Pictures of what the network says: what it confuses, which images were hard and when, how sure it should be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from . import style
from .style import Look, Plot, draws


@draws
def confusion(table: xr.Dataset, *, look: Look) -> Plot:
    """Confusion matrix with its counts; the right answers are grey, so that the errors are seen:
    `analysis.predictions.confusion`.
    """
    counts = table["images"].values
    errors = counts.astype(float)
    np.fill_diagonal(errors, np.nan)
    figure = style.new("middle", 3.9, look)
    axes = figure.subplots()
    image = axes.imshow(errors, cmap=look.amount_map, vmin=0, vmax=max(1.0, float(np.nanmax(errors))))
    for (true, said), count in np.ndenumerate(counts):
        if count:
            strong = true != said and count > 0.6 * max(1.0, float(np.nanmax(errors)))
            axes.text(
                said, true, str(count), ha="center", va="center", fontsize=7.5, color=look.paper if strong else look.ink
            )
    classes = range(len(counts))
    axes.set_xticks(classes, [str(c) for c in classes])
    axes.set_yticks(classes, [str(c) for c in classes])
    axes.set_xlabel("what the network says")
    axes.set_ylabel("what it is")
    style.quiet(axes, ticks=True)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, label="images read wrongly")
    bar.locator = MaxNLocator(integer=True)
    bar.outline.set_visible(False)
    figure.alt = (
        f"Confusion matrix of {table.attrs['n_examples']} images, {table.attrs['n_right']} of them read rightly."
    )
    return figure


@draws
def confusion_over_time(table: xr.Dataset, snapshots: Sequence[int] = (), *, look: Look) -> Plot:
    """Confusion matrices at a few snapshots on one scale, the right answers grey: `analysis.predictions.confusion_over_time`.

    ``snapshots``: which; by default the first, the last and three between.
    """
    last = table.sizes["snapshot"] - 1
    chosen = list(snapshots) or sorted({round(last * i / 4) for i in range(5)})
    counts = table["images"].transpose("snapshot", "class", "predicted").values[chosen].astype(float)
    classes = counts.shape[1]
    counts[:, range(classes), range(classes)] = np.nan
    figure = style.new("wide", 2.0, look)
    panels = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    top = max(1.0, float(np.nanmax(counts)))
    for axes, errors, snapshot in zip(panels, counts, chosen, strict=True):
        # the root keeps the few errors of the end visible beside the many of the start
        image = axes.imshow(np.sqrt(errors), cmap=look.amount_map, vmin=0, vmax=np.sqrt(top))
        wrong = style.share(1 - float(table["accuracy"][snapshot]), 1)
        axes.set_title(f"step {int(table['step'][snapshot]):,}\n{wrong} wrong")
        axes.set_xticks(range(0, classes, 2), [str(c) for c in range(0, classes, 2)])
        axes.set_yticks(range(0, classes, 2), [str(c) for c in range(0, classes, 2)])
        style.quiet(axes, ticks=True)
    panels[0].set_ylabel("what it is")
    panels[len(chosen) // 2].set_xlabel("what the network says")
    bar = figure.colorbar(image, ax=list(panels), fraction=0.012, pad=0.01, label="images read wrongly")
    bar.outline.set_visible(False)
    ticks = sorted({0, *(k for k in (1, 5, 20, 50, 100, 300, 1000) if k < 0.8 * top), int(top)})
    bar.set_ticks([np.sqrt(t) for t in ticks], labels=[str(t) for t in ticks])
    figure.alt = (
        f"Confusion matrices of {table.attrs['n_examples']} images at steps "
        f"{', '.join(str(int(s)) for s in table['step'][chosen].values)}, on one scale; the right answers are grey."
    )
    return figure


@draws
def image_lives(table: xr.Dataset, images: np.ndarray, *, hardest: int = 24, look: Look) -> Plot:
    """Which images were hard, and when: every image a row, read rightly (paper) or wrongly (filled) at each snapshot,
    sorted by when it was learnt; beside it the hardest, each with its truth and what it is read as in the end, and where
    each class stands in the order, with its interval, against shuffled labels (grey).

    ``table``: `analysis.predictions.learning_order`; ``images`` [example, row, col]. Hardest: read wrongly at the most
    snapshots.
    """
    right = table["right"].transpose("example", "snapshot").values
    learnt = np.nan_to_num(table["learnt_at"].values, nan=np.inf)
    wrongs = (~right).sum(1)
    order = np.lexsort((wrongs, learnt))
    figure = style.new("wide", 4.6, look)
    panels = figure.subplot_mosaic(
        [["lives", "hard"], ["lives", "order"]], width_ratios=(1.05, 1), height_ratios=(1.75, 1)
    )
    left = panels["lives"]
    left.imshow(
        ~right[order],
        aspect="auto",
        cmap=ListedColormap([look.paper, look.amount]),
        vmin=0,
        vmax=1,
        interpolation="none",
    )
    style.quiet(left, ticks=True)
    never, often = int(np.isinf(learnt).sum()), int((table["forgotten"] > 0).sum())
    left.set_title(f"{often} of {len(right)} images were forgotten\nat least once, {never} are wrong at the end")
    left.set_ylabel("images, those learnt first on top")
    left.set_yticks([0, len(right) - 1], ["1", f"{len(right):,}"])
    style.step_ticks(left, table["step"].values)
    left.text(
        0.03,
        0.035,
        "filled: read wrongly",
        transform=left.transAxes,
        color=look.ink,
        fontsize=8,
        bbox={"facecolor": look.paper, "edgecolor": "none", "pad": 2.5},
    )
    _class_order(panels["order"], table, look)
    _hardest(panels["hard"], table, images, np.argsort(-wrongs, kind="stable")[:hardest], look)
    figure.alt = (
        f"{len(right)} images, each a row, at {right.shape[1]} snapshots, filled where read wrongly, those learnt first on top; "
        f"{often} were right and then wrong again at least once, {never} are wrong at the end. Beside it the "
        f"{min(hardest, len(right))} images that were read wrongly at the most snapshots, with truth and reading; and each "
        "class's place in the order of learning, against shuffled labels."
    )
    return figure


def _class_order(axes: Axes, table: xr.Dataset, look: Look) -> None:
    """Each class's place in the order of learning, its interval and its null."""
    for label, one in enumerate(table["class_order"].values):
        place, null = (
            [float(table[f"class_order{kind}_{end}"][label]) for end in ("low", "high")] for kind in ("", "_null")
        )
        axes.fill_between([label - 0.5, label + 0.5], null[0], null[1], color=look.null, alpha=0.4, linewidth=0)
        axes.plot([label - 0.2] * 2, place, color=look.ink, linewidth=0.9)
        axes.plot(label - 0.2, one, "o", color=look.ink, markersize=3)
        axes.plot(label + 0.2, one, marker=f"${label}$", markersize=6.5, color=look.of_class(label), markeredgewidth=0)
    axes.set_ylim(1.02, -0.02)
    axes.set_yticks([0, 0.5, 1], ["first", "middle", "last"])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    if np.isnan(float(table["between_p"])):
        axes.set_title("All images are classified correctly from the\nsame snapshot on, or none is: there is no order")
    else:
        axes.set_title("When each class is learned\n(gray: labels shuffled)")


def _hardest(axes: Axes, table: xr.Dataset, images: np.ndarray, chosen: np.ndarray, look: Look) -> None:
    """Thumbnails with the truth under each, and what it ends read as where that is wrong."""
    across, (height, width) = 6, images.shape[1:]
    gap = max(2, round(0.36 * height))
    sheet = style.mosaic(images[chosen] / 255, across, look.digit_map, (0, 1), look, gap=gap)
    axes.imshow(np.concatenate([sheet, np.tile(sheet[:1, :1], (gap, sheet.shape[1], 1))]))
    truth, said = table["label"].values[chosen], table["said"].transpose("snapshot", "example").values[-1, chosen]
    for number, (label, reading) in enumerate(zip(truth, said, strict=True)):
        place = (number % across) * (width + gap) + width / 2, (number // across) * (height + gap) + height + gap / 2
        text = f"{label}" if label == reading else f"{label}, read {reading}"
        axes.text(*place, text, ha="center", va="center", fontsize=6.5, color=look.ink)
    style.quiet(axes)
    axes.set_anchor("N")
    axes.set_title("Wrong at the most snapshots\n(what it is, what it ends read as)")


@draws
def reliability(table: xr.Dataset, *, look: Look) -> Plot:
    """How sure the network is and how often it is right, in groups of equal count; beside it, where the table has
    snapshots, the calibration error over the steps: `analysis.predictions.calibration_error`.

    Grey: the range of a perfectly calibrated network of the same confidences.
    """
    over_time = "snapshot" in table.dims
    last = table.isel(snapshot=-1) if over_time else table
    figure = style.new("wide" if over_time else "middle", 3.0, look)
    panels = figure.subplots(1, 1 + over_time, squeeze=False, width_ratios=(1.35, 1)[: 1 + over_time])[0]
    groups = np.arange(last.sizes["bin"])
    axes = panels[0]
    low, high = 100 * last["accuracy_null_low"], 100 * last["accuracy_null_high"]
    axes.fill_between(
        groups, low, high, color=look.null, alpha=0.4, linewidth=0, step="mid", label="if perfectly calibrated"
    )
    axes.plot(
        groups, 100 * last["confidence"], color=look.quiet, linewidth=1.1, label="how sure it is", drawstyle="steps-mid"
    )
    axes.plot(groups, 100 * last["accuracy"], "o", color=look.ink, markersize=4, label="how often it is right")
    axes.set_xlabel(f"images in {len(groups)} equal groups, least sure first")
    axes.set_xticks([0, len(groups) - 1], ["least", "most"])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    axes.legend(loc="lower right")
    axes.grid(True, axis="y")
    ece, p = 100 * float(last["ece"]), float(last["ece_p"])
    verdict = "more than chance allows" if p < 0.05 else "no more than chance allows"
    axes.set_title(f"Off by {style.told(ece)} points on average,\n{verdict} (p = {style.told(p)})")
    if over_time:
        beside, steps = panels[1], table["step"].values
        beside.fill_between(
            steps, 100 * table["ece_null_low"], 100 * table["ece_null_high"], color=look.null, alpha=0.4, linewidth=0
        )
        beside.plot(steps, 100 * table["ece"], color=look.ink)
        style.step_axis(beside, float(steps[-1]))
        beside.set_ylim(0, None)
        beside.set_title("Calibration error while learning\n(percentage points)")
        beside.grid(True, axis="y")
    figure.alt = (
        f"Confidence and share read rightly of {table.attrs['n_examples']} images in {len(groups)} groups of equal count; "
        f"calibration error {style.told(ece)} percentage points, p {style.told(p)} against a perfectly calibrated network (grey)."
    )
    return figure
