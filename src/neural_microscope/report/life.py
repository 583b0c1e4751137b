"""How a network learnt: its weights, gradients, classes, the images that were hard, its errors."""

from __future__ import annotations

import numpy as np

from .. import plots
from ..analysis.look import FirstLook
from ..plots.style import told
from .html import ONE, escape, picture, table


def life(look: FirstLook) -> str:
    n = look["predictions.confusion"].attrs["n_examples"]
    parts = [_weights(look), _gradients(look), _spectra(look), _classes(look), _images(look, n), _confusion(look, n)]
    return "".join([*parts, _reliability(look, n)])


def _weights(look: FirstLook) -> str:
    if not look.layers:
        return ""
    run = look.run
    end, start = run.weights(), run.weights(0)
    name = next(name for name in run.description["parameters"] if end[name].ndim in (2, 4))
    trained, untrained = end[name].numpy(), start[name].numpy()
    constant = None
    if trained.ndim == 2:
        shape = run.probe.image_shape
        constant = np.zeros(shape, bool)
        constant.reshape(-1)[run.description["constant_pixels"]] = True
        trained, untrained = (w.reshape(-1, *shape) for w in (trained, untrained))
    else:
        trained, untrained = (w.reshape(-1, *w.shape[2:]) for w in (trained, untrained))
    shown = min(16, len(trained))
    sizes = [np.linalg.norm(w.reshape(len(w), -1), axis=1) for w in (trained, untrained)]
    grew = float(np.median(sizes[0] / np.where(sizes[1] > 0, sizes[1], np.nan)))
    head = f"The first layer's weights grew to {told(grew, 3)} times their size (median unit)"
    if len(run.steps) < 2:
        head = "The first layer's weights, before any training"
    grey = (
        f" Grey: the {int(constant.sum())} pixels that are the same in every training image, whose weights are still random."
        if constant is not None and constant.any()
        else ""
    )
    return f"<h3>{head}</h3>" + picture(
        lambda theme: plots.weights(trained[:shown], untrained[:shown], constant, theme=theme),
        f"Orange adds to a unit, blue takes away, on one scale for both. Shown: {shown} of {len(trained)}.{grey} {ONE}",
        table=table(
            ("unit", "norm trained", "norm untrained"),
            [(i, float(a), float(b)) for i, (a, b) in enumerate(zip(*sizes, strict=True))],
            "L2 norm of each unit's incoming weights",
        ),
    )


def _gradients(look: FirstLook) -> str:
    flow = look["dynamics.gradient_flow"]
    if flow is None:
        return ""
    known = flow["update_ratio"].values[np.isfinite(flow["update_ratio"].values)]
    ratio = float(np.median(known)) if len(known) else np.nan
    rows = [
        (str(name), float(at), float(flow["grad_norm"][i, j]), float(flow["update_ratio"][i, j]))
        for j, name in enumerate(flow["parameter"].values)
        for i, at in enumerate(flow["at"].values)
    ]
    return f"<h3>A step moves the weights by {told(100 * ratio)} % of their size, typically</h3>" + picture(
        lambda theme: plots.gradient_flow(flow, theme=theme),
        "Median over log-spaced stretches of steps; the band is the spread between batches (2.5 to 97.5 %). "
        f"A ratio near 0.001 is a rule of thumb, not a null. {ONE}",
        table=table(("parameter", "step", "gradient norm", "update / weight"), rows, "Medians over stretches of steps"),
    )


def _spectra(look: FirstLook) -> str:
    spectra = look["dynamics.weight_spectra"]
    rows = []
    for j, name in enumerate(spectra["parameter"].values):
        for i in (0, -1):
            one = spectra.isel(snapshot=i, parameter=j)
            null = " to ".join(told(float(one[f"stable_rank_null_{end}"]), 3) for end in ("low", "high"))
            rows.append(
                (str(name), int(one["step"]), float(one["top"]), float(one["stable_rank"]), null, int(one["outliers"]))
            )
    first, last = (float(spectra["stable_rank"][i, 0]) for i in (0, -1))
    verb = "narrows" if last < first else "widens"
    head = f"The first weight matrix {verb} from a stable rank of {told(first, 3)} to {told(last, 3)}"
    if told(first, 3) == told(last, 3):
        head = f"The first weight matrix has a stable rank of {told(first, 3)}"
    return f"<h3>{head}</h3>" + picture(
        lambda theme: plots.weight_spectra(spectra, theme=theme),
        "Grey: the same entries in random places, which is what a matrix without structure of the same size and spread would "
        f"show. Stable rank: the sum of the squared singular values over the largest of them. {ONE}",
        table=table(
            (
                "matrix",
                "step",
                "largest singular value",
                "stable rank",
                "entries shuffled",
                "singular values beyond chance",
            ),
            rows,
            "Before and after training",
        ),
    )


def _classes(look: FirstLook) -> str:
    result = look["dynamics.learning_by_class"]
    at = result["reached_at"].values
    rows = [
        (str(c), float(at[c]), 100 * float(result["accuracy"][0, c]), 100 * float(result["accuracy"][-1, c]))
        for c in range(len(at))
    ]
    known = np.flatnonzero(np.isfinite(at))
    said = (
        f"Class {known[at[known].argmin()]} is the first to be read well for good, class {known[at[known].argmax()]} the last"
        if len(known) > 1
        else "How well each class is read"
    )
    return f"<h3>{said}</h3>" + picture(
        lambda theme: plots.class_learning(result, theme=theme),
        f"All test images at each snapshot; read well: 90 % or more, to the end. {ONE}",
        table=table(
            ("class", "read well since step", "untrained (%)", "at the end (%)"), rows, "Test accuracy of each class"
        ),
    )


def _images(look: FirstLook, n: int) -> str:
    order = look["predictions.learning_order"]
    never, forgotten = int(np.isnan(order["learnt_at"].values).sum()), int((order["forgotten"] > 0).sum())
    head = f"{never} of {n:,} probe images are never learnt for good, {forgotten} are forgotten at least once"
    if len(look.run.steps) < 2:
        head = f"{n - never} of {n:,} probe images are read rightly before any training"
    return f"<h3>{head}</h3>" + picture(
        lambda theme: plots.image_lives(order, look.run.probe.images, theme=theme),
        f"{n:,} probe images that were not trained on. What happens between two snapshots is not seen. {ONE}",
        table=table(
            ("class", "half learnt by step", "place in the order (0 first)", "with shuffled labels"),
            [
                (
                    str(c),
                    float(order["class_learnt_at"][c]),
                    float(order["class_order"][c]),
                    " to ".join(told(float(order[f"class_order_null_{end}"][c])) for end in ("low", "high")),
                )
                for c in range(order.sizes["class"])
            ],
            "When each class is learnt",
        ),
    )


def _confusion(look: FirstLook, n: int) -> str:
    counts = look["predictions.confusion"]["images"].values
    wrong = counts - np.diag(np.diag(counts))
    true, said = np.unravel_index(wrong.argmax(), wrong.shape)
    seen = (
        f"Most often, {true} is taken for {said}: {wrong.max()} of {counts[true].sum()} images"
        if wrong.any()
        else "No probe image is misread"
    )
    numbers = table(
        ("is \\ says", *map(str, range(len(counts)))),
        [(str(i), *map(int, row)) for i, row in enumerate(counts)],
        "Images",
    )
    return f"<h3>{escape(seen)}</h3>" + picture(
        lambda theme: plots.confusion(look["predictions.confusion"], theme=theme),
        f"{n:,} probe images, {look['predictions.confusion'].attrs['n_right']} read rightly (grey). A count of 3 or "
        f"fewer can be luck. {ONE}",
        table=numbers,
        middle=True,
    )


def _reliability(look: FirstLook, n: int) -> str:
    result = look["predictions.calibration_error"]
    last = result.isel(snapshot=-1) if "snapshot" in result.dims else result
    low, high = (told(float(last[f"ece_null_{end}"])) for end in ("low", "high"))
    rows = [
        (i + 1, int(last["images"][i]), 100 * float(last["confidence"][i]), 100 * float(last["accuracy"][i]))
        for i in range(last.sizes["bin"])
    ]
    head = f"Calibration error {told(float(last['ece']))}; a perfectly calibrated network would show {low} to {high}"
    return f"<h3>{head}</h3>" + picture(
        lambda theme: plots.reliability(result, theme=theme),
        f"{n:,} probe images in groups of equal count, the least sure first. Grey: labels drawn from the network's own "
        f"probabilities. {ONE}",
        table=table(("group", "images", "sure (%)", "right (%)"), rows, "Sure and right, at the end"),
    )
