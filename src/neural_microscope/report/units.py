"""A layer's units: one table of all of them, then pictures of what they answer to and what they are worth."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.look import FirstLook, LayerLook
from ..claim import number
from .html import ONE, escape, folding, picture, table, tiles


def units(look: FirstLook, place: int) -> str:
    """Those of one layer."""
    layer = look.layers[place]
    short, word, n = escape(layer.short), layer.axis, look["predictions.confusion"].attrs["n_examples"]
    costly = int((layer["causal.ablate_all"]["accuracy_drop_q"] < 0.05).sum())
    settled = int(np.isfinite(layer["selectivity.over_time"]["since"].values).sum())
    return (
        f"<h3>{short}: {costly} of {layer.size} {word}s cost accuracy beyond chance when cut out alone</h3>"
        f"{_table(look, layer)}{_scatter(layer, n)}{_effects(layer, n)}"
        f"<h3>{short}: {settled} of {layer.size} {word}s end with a class that they prefer beyond chance</h3>"
        f"{_lives(layer, n)}{_means(layer, n)}{_agreement(layer)}"
        f"{_feature_maps(look, layer)}"
        f"<h3>{short}: what excites the costliest {word}s, from most to least</h3>{_strips(look, layer, n)}"
    )


def _table(look: FirstLook, layer: LayerLook) -> str:
    """Every unit, the costliest first."""
    word, s, e = layer.axis, layer["selectivity.class_selectivity"], layer["causal.ablate_all"]
    chosen, images = layer["selectivity.top_examples"].values, look.run.probe.images / 255
    mean = np.stack(
        [images[row[row >= 0]].mean(0) if (row >= 0).any() else np.zeros(images.shape[1:]) for row in chosen]
    )
    sheet, tile = tiles(mean)
    rows: list[tuple[object, ...]] = []
    for u in np.argsort(-e["loss_increase"].values, kind="stable"):
        since, preferred, ever = (
            float(layer["selectivity.over_time"]["since"][u]),
            int(s["preferred"][u]),
            bool((chosen[u] >= 0).any()),
        )
        likes = tile(u, f"the {chosen.shape[1]} images that excite {word} {u} most, averaged") if ever else "dead"
        selectivity = float(s["selectivity"][u]), _null(s, "selectivity", u), float(s["auc"][u])
        lost = 100 * float(e["accuracy_drop"][u]), _range(e, "accuracy_drop", u, "", 1, 100)
        added = float(e["loss_increase"][u]), _null(e, "loss_increase", u, 3)
        first = int(u), likes, str(preferred) if preferred >= 0 else "–", 100 * float(s["density"][u])
        rows.append((*first, *selectivity, "–" if np.isnan(since) else f"{int(since):,}", *lost, *added))
    head = (word, "likes", "class", "on (%)", "selectivity", "by chance", "AUC", "since step")
    caption = (
        f"Every {word} of {layer.hook_point}, the costliest first. Likes: its {chosen.shape[1]} strongest probe images, averaged. "
        "On: share of images above 0; one that is hardly ever on is not judged (–). By chance: shuffled labels. Accuracy in "
        "percentage points, with its 95 % interval over images. Loss in nat. Random direction: the loss added by one of the same norm"
    )
    causal = ("accuracy lost", "interval", "loss added", "random direction")
    return f'<div style="{sheet}">{folding((*head, *causal), rows, caption, f"The {word}s of {layer.short}")}</div>'


def _null(result: xr.Dataset, name: str, place: int, digits: int = 2) -> str:
    return _range(result, name, place, "_null", digits)


def _range(result: xr.Dataset, name: str, place: int, kind: str, digits: int, times: float = 1) -> str:
    low, high = (times * float(result[f"{name}{kind}_{end}"][place]) for end in ("low", "high"))
    return "–" if np.isnan(low) else f"{number(low, digits)} to {number(high, digits)}"


def _scatter(layer: LayerLook, n: int) -> str:
    word, other = layer.axis, layer["selectivity.class_selectivity/untrained"]
    beyond = f"{int((other['selectivity_q'] < 0.05).sum())} of {layer.size}"
    return picture(
        lambda theme: plots.selectivity(
            layer["selectivity.class_selectivity"], layer["causal.ablate_all"], other, theme=theme
        ),
        f"Is the selective {word} the important one? Grey band: what shuffled labels give (median {word}); grey ticks: the untrained "
        f"network's {word}s, {beyond} of them beyond their own band. Selectivity is chosen on one half of {n:,} probe images and "
        f"judged on the other; the line through each digit is a 95 % interval over images. {ONE}",
    )


def _effects(layer: LayerLook, n: int) -> str:
    word = layer.axis
    dose = layer["causal.dose_response"]
    more = ""
    if dose is not None:
        factors, costs = dose["factor"].values, dose["loss_increase"].values
        rows = [
            (float(f), float(costs[i]), _null(dose, "loss_increase", i, 3), 100 * float(dose["accuracy"][i]))
            for i, f in enumerate(factors)
        ]
        more = picture(
            lambda theme: plots.dose_response(dose, theme=theme),
            f"The costliest {word} made weaker and stronger: 0 cuts it out, 1 changes nothing. Grey: other {word}s treated alike. "
            f"{n:,} probe images. {ONE}",
            table=table(("factor", "loss added (nat)", f"other {word}s", "accuracy (%)"), rows, "Dose and response"),
        )
    return more + picture(
        lambda theme: plots.ablation(layer["causal.ablate_all"], theme=theme),
        f"What cutting out each {word} alone adds to the loss, on {n:,} probe images, with 95 % intervals over images. Grey: random "
        f"directions, moved along as far as the {word} would move each image. {ONE}",
    )


def _lives(layer: LayerLook, n: int) -> str:
    changed = int((layer["selectivity.over_time"]["changes"] > 0).sum())
    return picture(
        lambda theme: plots.selectivity_over_time(layer["selectivity.over_time"], theme=theme),
        f"The class each {layer.axis} prefers, snapshot by snapshot, chosen on one half of {n:,} probe images and judged on the other; "
        f"faint: not beyond chance. {changed} of {layer.size} changed their class on the way. {ONE}",
    )


def _means(layer: LayerLook, n: int) -> str:
    return picture(
        lambda theme: plots.class_means(
            layer["selectivity.class_means"], layer["selectivity.class_means/untrained"], theme=theme
        ),
        f"Mean over {n:,} probe images{maps(layer)}; dead {layer.axis}s are grey. Sorting alone draws a diagonal, in the untrained "
        f"network too: what differs is how dark the rest is. {ONE}",
    )


def maps(layer: LayerLook) -> str:
    return " (of a channel: over its whole map)" if layer.axis == "channel" else ""


def _agreement(layer: LayerLook) -> str:
    """Whether it matters which measure of selectivity one takes."""
    other = [str(name) for name in layer["selectivity.agreement"]["measure"].values if str(name) != "selectivity"]
    rho = {
        name: float(layer["selectivity.agreement"]["agreement"].sel(measure="selectivity", measure_b=name))
        for name in other
    }
    said = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in rho.items() if not np.isnan(value))
    return (
        f"<p>Other measures rank the {layer.axis}s like the selectivity index does, by rank correlation: {said}.</p>"
        if said
        else ""
    )


def _feature_maps(look: FirstLook, layer: LayerLook) -> str:
    gallery = look.run.description["gallery"]
    if layer.axis != "channel" or not gallery:
        return ""
    shown = look.run.activations(layer.hook_point, "maps").isel(snapshot=-1).values
    place = min(7, len(gallery) - 1)
    image = look.run.probe.images[gallery[place]]
    return f"<h3>{escape(layer.short)}: what each channel makes of one image</h3>" + picture(
        lambda theme: plots.feature_maps(shown[place], image, theme=theme),
        f"One of the {len(gallery)} images whose whole maps were kept. {ONE}",
    )


def _strips(look: FirstLook, layer: LayerLook, n: int) -> str:
    alive = layer["selectivity.quantile_examples"]["active"].values > 0
    costly = [
        int(u) for u in np.argsort(-layer["causal.ablate_all"]["loss_increase"].values, kind="stable") if alive[u]
    ][:4]
    if not costly:
        return "<p>None is ever on.</p>"
    return picture(
        lambda theme: plots.quantile_strips(
            look.run.probe.images, layer["selectivity.quantile_examples"], units=costly, theme=theme
        ),
        f"Of {n:,} probe images{maps(layer)}. The strongest images alone are a small part of all a {layer.axis} answers to. {ONE}",
    )


def together(look: FirstLook) -> str:
    curves = look["causal.cumulative_ablation"]
    if curves is None:
        return ""
    rows = [
        (str(name), 100 * float(curves["auc"][i]), float(curves["auc_p"][i]))
        for i, name in enumerate(curves["order"].values)
    ]
    low, high = (100 * float(curves[f"auc_null_{end}"]) for end in ("low", "high"))
    return "<h3>All layers: what is left when units are cut out one after the other</h3>" + picture(
        lambda theme: plots.cumulative_ablation(curves, theme=theme),
        f"{curves.attrs['n_examples']} probe images that no order was chosen on; grey: {curves.sizes['draw']} random orders. {ONE}",
        table=table(
            ("order", "mean accuracy over the way (%)", "p"), rows, f"Random orders: {low:.1f} to {high:.1f} %"
        ),
    )
