"""Plots of predictions and linear probes: confusion matrix, learning order, calibration, probe accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws


@draws
def confusion(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Confusion matrix with its counts; the correct predictions are gray, so that the errors are seen.

    Args:
        table: Result of `analysis.predictions.confusion`.

    >>> nm.plots.confusion(nm.analysis.predictions.confusion(run.activations("logits")[-1])).alt
    'Confusion matrix of 60 images, ... of them classified correctly.'
    """
    counts = table["images"].values
    errors = np.where(np.eye(len(counts), dtype=bool), np.nan, counts)
    limits = (0.0, max(1.0, float(np.nanmax(errors))))
    figure, (axes,) = style.new("middle", 2.9 if style.narrow() else 3.9, theme)
    image = forms.matrix(axes, errors, limits, names=[style.called(c) for c in range(len(counts))])
    forms.write(image, {place: str(count) for place, count in np.ndenumerate(counts) if count}, fontsize=7.5)
    axes.set(xlabel="predicted class", ylabel="true class")
    bar = forms.color_bar(axes, theme.amount_map, limits, "misclassified images")
    bar.locator = MaxNLocator(integer=True)
    return figure.says(
        f"Confusion matrix of {table.attrs['n_examples']} images, {table.attrs['n_right']} of them classified correctly."
    )


@draws
def image_lives(table: xr.Dataset, images: np.ndarray, *, hardest: int = 24, theme: Theme) -> Plot:
    """Learning order: every image a row, misclassified (filled) or correctly classified at each snapshot.

    Images are sorted by when they were learned. With it the hardest, misclassified at the most snapshots, each with its
    class and its final prediction; and the rank of each class in the order, with its interval, against shuffled labels
    (gray).

    Args:
        table: Result of `analysis.predictions.learning_order`.
        images: Images [example, row, col] or [example, row, col, 3], 0..255.
        hardest: Number of hardest images.

    >>> order = nm.analysis.predictions.learning_order(run.activations("logits"), draws=20)
    >>> nm.plots.image_lives(order, run.probe.images).alt
    "When each of 60 images is misclassified over the snapshots, ..."
    """
    right = table["right"].transpose("example", "snapshot").values
    learned = np.nan_to_num(table["learned_at"].values, nan=np.inf)
    wrongs = (~right).sum(1)
    if style.narrow():
        figure = style.empty("narrow", 6.1, theme)
        panels = figure.subplot_mosaic("A;B;C", height_ratios=(1.1, 1.35, 0.9))
    else:
        figure = style.empty("wide", 4.6, theme)
        panels = figure.subplot_mosaic("AB;AC", width_ratios=(1.05, 1), height_ratios=(1.75, 1))
    left = panels["A"]
    colors = ListedColormap([theme.paper, theme.amount])
    shown = ~right[np.lexsort((wrongs, learned))]
    forms.matrix(left, shown, (0, 1), colors=colors, aspect="auto", interpolation="none")
    left.set(title="Each image, until it is learned", ylabel=f"{count(len(right), 'images')}, one a row")
    left.set_yticks([0, len(right) - 1], ["learned\nfirst", "learned\nlast"])
    keys = [Patch(facecolor=color, edgecolor=theme.quiet, linewidth=0.6) for color in (theme.amount, theme.paper)]
    under = {"frameon": True, "facecolor": theme.paper, "edgecolor": "none"}
    left.legend(keys, ["misclassified", "correct"], loc="upper right", **under)
    forms.step_ticks(left, table["step"].values)
    _hardest(panels["B"], table, images, np.argsort(-wrongs, kind="stable")[:hardest])
    _class_order(panels["C"], table)
    return figure.says(
        f"When each of {len(right)} images is misclassified over the snapshots, those learned first on top. With it the "
        f"{min(hardest, len(right))} images that were misclassified at the most snapshots, with true and predicted class; and each "
        "class's rank in the learning order, against shuffled labels."
    )


def _class_order(axes: Axes, table: xr.Dataset) -> None:
    """Each class's rank in the learning order, its interval and its null."""
    classes = np.arange(table.sizes["class"])
    forms.dots(axes, table, "class_order")
    axes.set_ylim(1.02, -0.02)
    axes.set_yticks([0, 0.5, 1], ["first", "middle", "last"])
    forms.class_ticks(axes.xaxis, len(classes))
    axes.spines["bottom"].set_visible(False)
    axes.set_title("Mean position in the learning order\n(gray: labels shuffled)")
    if np.isnan(float(table["between_p"])):
        forms.say_missing(axes, "no order: all images are right from\nthe same snapshot on, or none is")


def _hardest(axes: Axes, table: xr.Dataset, images: np.ndarray, chosen: np.ndarray) -> None:
    """Thumbnails with the class under each, and its final prediction if that is wrong."""
    across, (height, width) = 6, images.shape[1:3]
    gap = max(2, round(0.36 * height))
    forms.images(axes, images[chosen] / 255, across, gap=gap)
    axes.set_ylim(axes.get_ylim()[0] + gap, None)
    truth, last = table["label"].values[chosen], table["said"].transpose("snapshot", "example").values[-1, chosen]
    for number, (label, predicted) in enumerate(zip(truth, last, strict=True)):
        place = (number % across) * (width + gap) + width / 2, (number // across) * (height + gap) + height + gap / 2
        text = style.mark(label) if label == predicted else f"{style.mark(label)}, not {style.mark(predicted)}"
        axes.text(*place, text, ha="center", va="center", fontsize=6.5)
    style.plot_of(axes).numbered = True
    axes.set_anchor("N")
    axes.set_title("Wrong at the most snapshots\n(6, not 1: a 6 predicted as 1)")


@draws
def reliability(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Calibration: confidence and accuracy in groups of equal count; over snapshots, also the calibration error.

    Gray: the range of a perfectly calibrated network of the same confidences.

    Args:
        table: Result of `analysis.predictions.calibration_error`.

    >>> error = nm.analysis.predictions.calibration_error(run.activations("logits"), bins=5, draws=20)
    >>> nm.plots.reliability(error).alt
    'Confidence and accuracy of 60 images in 5 groups of equal count; ...'
    """
    over_time = "snapshot" in table.dims
    last = table.isel(snapshot=-1) if over_time else table
    size: dict[str, Any] = {"columns": 2, "width_ratios": (1.35, 1)} if over_time else {}
    figure, (axes, *others) = style.new("wide" if over_time else "middle", 3.0, theme, **size)
    groups = np.arange(last.sizes["bin"])
    forms.dots(axes, last, "accuracy", factor=100, null="if perfectly calibrated", label="accuracy")
    line: dict[str, Any] = {"color": theme.quiet, "linewidth": 1.1, "drawstyle": "steps-mid"}
    axes.plot(groups, 100 * last["confidence"].values, label="confidence", **line)
    axes.set_xticks([0, len(groups) - 1], ["least", "most"])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.legend(loc="lower right")
    axes.grid(True, axis="y")
    axes.set(title="Confidence and accuracy", xlabel=f"images in {len(groups)} equal groups, least confident first")
    for panel in others:
        title = "Calibration error while learning\n(percentage points)"
        forms.over_steps(panel, [("", table, "ece")], factor=100, title=title, ylim=(0, None))
    ece, low, high = (style.told(100 * float(last[f"ece{end}"])) for end in ("", "_null_low", "_null_high"))
    return figure.says(
        f"Confidence and accuracy of {table.attrs['n_examples']} images in {len(groups)} groups of equal count; "
        f"calibration error {ece} percentage points, of a perfectly calibrated network (gray) {low} to {high}."
    )


@draws
def probes(table: xr.Dataset, *, label: str = "class", theme: Theme) -> Plot:
    """Accuracy of a probe of each layer (panels) over training, with its interval; gray band: shuffled labels.

    The gray line across is the untrained network at step 0; the dashed line, how well a probe of this layer memorizes
    random labels.

    Args:
        table: Result of `analysis.probes.probe_layers`.
        label: What was probed, in words.

    >>> table = nm.analysis.probes.probe_layers({"layers.1": acts}, snapshots=1, controls=1, draws=20)
    >>> nm.plots.probes(table).alt
    'Share of held-out images whose class a linear probe of layers.1 classifies correctly, ...'
    """
    figure, panels = style.new("wide", 2.9, theme, columns=table.sizes["layer"], sharey=True)
    for number, axes in enumerate(panels):
        one = table.isel(layer=number)
        steps, accuracy = one["step"].values, one["accuracy"].values
        if len(steps) > 1 and steps[0] == 0:
            axes.axhline(100 * accuracy[0], color=theme.null, linewidth=1, label="untrained network")
        memorized: dict[str, Any] = {"color": theme.quiet, "linewidth": 1, "label": "random labels, training images"}
        axes.plot(steps, 100 * one["control_train"].values, "--", **memorized)
        title, curves = style.short(str(one["layer"].values)), [("held-out images, 95%", one, "accuracy")]
        words: dict[str, Any] = {"title": title, "xlabel": "optimizer step", "ylim": (0, 102)}
        forms.over_steps(axes, curves, factor=100, null="shuffled labels, 95%", **words)
    panels[0].set_ylabel(f"{label}: a linear probe's accuracy (%)")
    forms.legend_below(figure, panels[0])
    return figure.says(
        f"Share of held-out images whose {label} a linear probe of {', '.join(map(str, table['layer'].values))} classifies correctly, "
        "over training; gray: what shuffled labels give, and the untrained network; dashed: random labels, memorized."
    )
