"""Pictures of what the network says: what it confuses, which images were hard and when, how sure it should be."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.ticker import MaxNLocator

from . import forms, style
from .style import Plot, Theme, draws


@draws
def confusion(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Confusion matrix with its counts; the correct predictions are gray, so that the errors are seen:
    `analysis.predictions.confusion`.
    """
    counts = table["images"].values
    errors = np.where(np.eye(len(counts), dtype=bool), np.nan, counts)
    limits = (0.0, max(1.0, float(np.nanmax(errors))))
    figure = style.new("middle", 3.9, theme)
    axes = figure.subplots()
    image = forms.matrix(axes, errors, limits, names=range(len(counts)))
    forms.write(image, {place: str(count) for place, count in np.ndenumerate(counts) if count}, fontsize=7.5)
    axes.set(xlabel="predicted class", ylabel="true class")
    bar = forms.color_bar(axes, theme.amount_map, limits, "misclassified images")
    bar.locator = MaxNLocator(integer=True)
    figure.alt = f"Confusion matrix of {table.attrs['n_examples']} images, {table.attrs['n_right']} of them classified correctly."
    return figure


@draws
def image_lives(table: xr.Dataset, images: np.ndarray, *, hardest: int = 24, theme: Theme) -> Plot:
    """Which images were hard, and when: every image a row, classified correctly (paper) or not (filled) at each snapshot,
    sorted by when it was learned; beside it the hardest, each with its class and what it is predicted as in the end, and where
    each class stands in the order, with its interval, against shuffled labels (gray).

    ``table``: `analysis.predictions.learning_order`; ``images`` [example, row, col]. Hardest: misclassified at the most
    snapshots.
    """
    right = table["right"].transpose("example", "snapshot").values
    learned = np.nan_to_num(table["learnt_at"].values, nan=np.inf)
    wrongs = (~right).sum(1)
    figure = style.new("wide", 4.6, theme)
    panels = figure.subplot_mosaic("AB;AC", width_ratios=(1.05, 1), height_ratios=(1.75, 1))
    left = panels["A"]
    colors = ListedColormap([theme.paper, theme.amount])
    shown = ~right[np.lexsort((wrongs, learned))]
    forms.matrix(left, shown, (0, 1), colors=colors, aspect="auto", interpolation="none")
    never, often = int(np.isinf(learned).sum()), int((table["forgotten"] > 0).sum())
    left.set_title(f"{often} of {len(right)} images were forgotten\nat least once, {never} are wrong at the end")
    left.set_ylabel("images, those learned first on top")
    left.set_yticks([0, len(right) - 1], ["1", f"{len(right):,}"])
    forms.step_ticks(left, table["step"].values)
    box = {"facecolor": theme.paper, "edgecolor": "none", "pad": 2}
    left.text(0.03, 0.035, "filled: misclassified", transform=left.transAxes, fontsize=7.5, va="bottom", bbox=box)
    _hardest(panels["B"], table, images, np.argsort(-wrongs, kind="stable")[:hardest])
    _class_order(panels["C"], table)
    figure.alt = (
        f"When each of {len(right)} images is misclassified over the snapshots, those learned first on top; "
        f"{often} were right and then wrong again at least once, {never} are wrong at the end. Beside it the "
        f"{min(hardest, len(right))} images that were misclassified at the most snapshots, with true and predicted class; and each "
        "class's place in the order of learning, against shuffled labels."
    )
    return figure


def _class_order(axes: Axes, table: xr.Dataset) -> None:
    """Each class's place in the order of learning, its interval and its null."""
    classes = np.arange(table.sizes["class"])
    forms.null_band(axes, classes, table, "class_order", step="mid")
    forms.interval(axes, classes, table, "class_order", color=style.theme_of(axes).ink)
    axes.plot(classes, table["class_order"].values, "o", color=style.theme_of(axes).ink, markersize=3)
    axes.set_ylim(1.02, -0.02)
    axes.set_yticks([0, 0.5, 1], ["first", "middle", "last"])
    axes.set_xticks(classes, [str(label) for label in classes])
    axes.spines["bottom"].set_visible(False)
    if np.isnan(float(table["between_p"])):
        axes.set_title("All images are classified correctly from the\nsame snapshot on, or none is: there is no order")
    else:
        axes.set_title("When each class is learned\n(gray: labels shuffled)")


def _hardest(axes: Axes, table: xr.Dataset, images: np.ndarray, chosen: np.ndarray) -> None:
    """Thumbnails with the class under each, and what it is predicted as in the end where that is wrong."""
    across, (height, width) = 6, images.shape[1:]
    gap = max(2, round(0.36 * height))
    forms.images(axes, images[chosen] / 255, across, gap=gap)
    axes.set_ylim(axes.get_ylim()[0] + gap, None)
    truth, said = table["label"].values[chosen], table["said"].transpose("snapshot", "example").values[-1, chosen]
    for number, (label, predicted) in enumerate(zip(truth, said, strict=True)):
        place = (number % across) * (width + gap) + width / 2, (number // across) * (height + gap) + height + gap / 2
        text = f"{label}" if label == predicted else f"{label}, not {predicted}"
        axes.text(*place, text, ha="center", va="center", fontsize=6.5)
    axes.set_anchor("N")
    axes.set_title("Wrong at the most snapshots\n(true class, not final prediction)")


@draws
def reliability(table: xr.Dataset, *, theme: Theme) -> Plot:
    """How sure the network is and how often it is right, in groups of equal count; beside it, where the table has
    snapshots, the calibration error over the steps: `analysis.predictions.calibration_error`.

    Gray: the range of a perfectly calibrated network of the same confidences.
    """
    over_time = "snapshot" in table.dims
    last = table.isel(snapshot=-1) if over_time else table
    figure = style.new("wide" if over_time else "middle", 3.0, theme)
    panels = figure.subplots(1, 1 + over_time, squeeze=False, width_ratios=(1.35, 1)[: 1 + over_time])[0]
    groups = np.arange(last.sizes["bin"])
    axes = panels[0]
    forms.null_band(axes, groups, last, "accuracy", factor=100, step="mid", label="if perfectly calibrated")
    steps = {"color": theme.quiet, "linewidth": 1.1, "drawstyle": "steps-mid"}
    axes.plot(groups, 100 * last["confidence"].values, label="confidence", **steps)
    axes.plot(groups, 100 * last["accuracy"].values, "o", color=theme.ink, markersize=4, label="accuracy")
    axes.set_xticks([0, len(groups) - 1], ["least", "most"])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.legend(loc="lower right")
    axes.grid(True, axis="y")
    ece, low, high = (style.told(100 * float(last[f"ece{end}"])) for end in ("", "_null_low", "_null_high"))
    axes.set(
        title=f"Calibration error {ece} percentage points\n(if perfectly calibrated {low} to {high})",
        xlabel=f"images in {len(groups)} equal groups, least confident first",
    )
    if over_time:
        forms.over_steps(panels[1], [("", table, "ece")], factor=100)
        panels[1].set(ylim=(0, None), title="Calibration error while learning\n(percentage points)")
    figure.alt = (
        f"Confidence and accuracy of {table.attrs['n_examples']} images in {len(groups)} groups of equal count; "
        f"calibration error {ece} percentage points, of a perfectly calibrated network (gray) {low} to {high}."
    )
    return figure
