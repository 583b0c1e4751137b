"""What a network's layers make of the images: how active they are, their shape, and how it changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.look import FirstLook, LayerLook
from ..claim import number
from ..plots.geometry import MOST
from ..plots.style import share, told
from .html import ONE, escape, folded, picture, scrolling, table


def layers(look: FirstLook) -> str:
    n = look["predictions.confusion"].attrs["n_examples"]
    parts = (_activity, _histograms, _states, _pca, _dimension, _clusters, _collapse, _drift, _similarity)
    return "".join(part(look, n) for part in parts)


def _range(ends: Iterable[float]) -> str:
    low, high = ends
    return "–" if np.isnan(low) else f"{number(low)} to {number(high)}"


def _maps(look: FirstLook) -> str:
    return " (of a channel: over its whole map)" if any(layer.axis == "channel" for layer in look.layers) else ""


def _activity(look: FirstLook, n: int) -> str:
    tables = {layer.hook_point: layer["dynamics.activity/mean"] for layer in look.layers}
    rows = [
        (layer.hook_point, int(step), float(mean.mean()), float(mean.max()))
        for layer in look.layers
        for step, mean in zip(
            layer["dynamics.activity/mean"]["step"].values, layer["dynamics.activity/mean"]["mean"].values, strict=True
        )
    ]
    return "<h3>How strongly each unit fires, from the random start to the end</h3>" + picture(
        lambda theme: plots.activity_over_time(tables, theme=theme),
        f"Each row a unit, each column a snapshot; mean over {n:,} probe images{_maps(look)}. {ONE}",
        table=table(("layer", "step", "mean over units", "highest unit"), rows, "Mean activation"),
    )


def _histograms(look: FirstLook, n: int) -> str:
    tables = {layer["dynamics.histograms"].attrs["hook_point"]: layer["dynamics.histograms"] for layer in look.layers}
    rows = [
        (name, int(step), float(s), 100 * float(z), 100 * float(o))
        for name, t in tables.items()
        for step, s, z, o in zip(
            t["step"].values, t["spread"].values, t["zero"].values, t["outside"].values, strict=True
        )
    ]
    name, last = list(tables.items())[-1]
    start, end = (float(last["spread"][i]) for i in (0, -1))
    headline = f"What the nonlinearity of {name.rpartition('.')[0]} receives: its spread {_goes(start, end)}"
    return f"<h3>{escape(headline)}</h3>" + picture(
        lambda theme: plots.histograms_over_time(tables, theme=theme),
        f"Each column is a histogram of one snapshot, over {n:,} probe images and all units{_maps(look)}. The line marks 0, "
        f"below which a ReLU passes nothing on. {ONE}",
        table=table(
            ("layer", "step", "standard deviation", "exactly 0 (%)", "outside the picture (%)"),
            rows,
            "Spread, and shares of values",
        ),
    )


def _states(look: FirstLook, n: int) -> str:
    tables = {layer.hook_point: layer["dynamics.activity"] for layer in look.layers}
    rows = []
    for layer in look.layers:
        counts = [layer["dynamics.activity"][state].sum(layer.axis).values for state in ("always_on", "low", "dead")]
        rows += [
            (layer.hook_point, int(s), *(int(c[i]) for c in counts))
            for i, s in enumerate(layer["dynamics.activity"]["step"].values)
        ]
    dead = sum(int(layer["dynamics.activity"]["dead"].isel(snapshot=-1).sum()) for layer in look.layers)
    total = sum(layer.size for layer in look.layers)
    lives = {layer.hook_point: layer["dynamics.lives"] for layer in look.layers}
    silent = any((~layer["dynamics.lives"]["alive"]).any() for layer in look.layers)
    head = f"<h3>{dead} of {total} units end up dead: they fire for no probe image</h3>"
    shares = picture(
        lambda theme: plots.unit_states(tables, theme=theme),
        f"Always on: above 0 for more than 99 % of {n:,} probe images; dead: for none. A channel is on where "
        f"any position of its map is. {ONE}",
        table=table(("layer", "step", "always on", "on for < 1 %", "dead"), rows, "Units in each state"),
    )
    if not silent:
        return head + shares
    most = 100 * look.layers[0]["dynamics.lives"].attrs["silent_below"]
    return f"{head}{shares}" + picture(
        lambda theme: plots.unit_lives(lives, theme=theme),
        f"Units that were silent at some snapshot; {n:,} probe images, of which silence on all still allows up to {most:.2g} % of such "
        f"images to excite a unit (95 %). {ONE}",
        table=table(
            ("layer", "unit", "first fires at step", "silent since step", "went silent", "came back"),
            [
                (
                    layer.hook_point,
                    u,
                    float(t["born_at"][u]),
                    float(t["died_at"][u]),
                    int(t["deaths"][u]),
                    int(t["revivals"][u]),
                )
                for layer in look.layers
                for t in (layer["dynamics.lives"],)
                for u in np.flatnonzero(~t["alive"].transpose("snapshot", ...).values.all(0))
            ],
            "Units that were silent at some snapshot",
        ),
    )


def _some(n: int) -> str:
    """How many of the images a small map shows: every second, third, … of many."""
    shown = len(range(0, n, -(-n // MOST)))
    return f"{n:,}" if shown == n else f"{shown} of {n:,}"


def _pca(look: FirstLook, n: int) -> str:
    results = {layer.hook_point: layer["geometry.pca"] for layer in look.layers}
    untrained = {layer.hook_point: layer["geometry.pca/untrained"] for layer in look.layers}
    steps = look.run.steps
    wanted = sorted({0, *(int(np.searchsorted(steps, s)) for s in (64,) if s < steps[-1]), len(steps) - 1})
    rows = [
        (layer.hook_point, which, k + 1, 100 * float(t["explained"][k]), 100 * float(t["explained_by_chance"][k]))
        for layer in look.layers
        for which, t in (("trained", layer["geometry.pca"]), ("untrained", layer["geometry.pca/untrained"]))
        for k in range(t.sizes["component"])
    ]
    last = look.layers[-1]
    headline = (
        f"In the last hidden layer {share(float(last['geometry.pca']['between'][-1]))} of the spread on the map lies between digits "
        f"(untrained: {share(float(last['geometry.pca/untrained']['between'][0]))})"
        if np.isfinite(float(last["geometry.pca"]["between"][-1]))
        else "The last hidden layer answers every image alike at the end: there is no map of it"
    )
    warned = sorted({str(t.attrs["warning"]) for t in results.values() if t.attrs.get("warning")})
    return f"<h3>{headline}</h3>" + picture(
        lambda theme: plots.pca_over_time(results, untrained, wanted, theme=theme),
        f"{_some(n)} probe images, each drawn as its digit, on the two directions in which a layer's activations vary most. The first "
        "column gives the untrained network axes of its own: some order is there before learning, because images of one digit look alike. "
        f"The other columns share the axes fitted at the end. {escape(' '.join(warned))} {ONE}",
        table=table(
            ("layer", "network", "component", "variance explained (%)", "by chance (%)"),
            rows,
            "By chance: 95th percentile after shuffling each unit's values over the images",
        ),
    )


def _dimension(look: FirstLook, n: int) -> str:
    results = {layer.hook_point: layer["geometry.dimension"] for layer in look.layers}
    last = look.layers[-1]["geometry.dimension"]["participation_ratio"]
    rows = [
        (
            name,
            int(t["step"][i]),
            *(float(t[m][i]) for m in ("participation_ratio", "effective_rank", "components_90", "two_nn")),
        )
        for name, t in results.items()
        for i in (0, -1)
    ]
    return (
        f"<h3>The last hidden layer fills {told(float(last[-1]), 3)} dimensions (untrained: {told(float(last[0]), 3)})</h3>"
        + picture(
            lambda theme: plots.dimension_over_time(results, theme=theme),
            f"Participation ratio and its kin, of {n:,} probe images. Grey: each unit's values shuffled over the images, which keeps every "
            f"unit and takes away what they have in common. {ONE}",
            table=table(
                ("layer", "step", "participation ratio", "effective rank", "components for 90 %", "TwoNN dimension"),
                rows,
                "Before and after",
            ),
        )
    )


def _clusters(look: FirstLook, n: int) -> str:
    rows = []
    for layer in look.layers:
        t = layer["geometry.clusters"]
        for i in range(t.sizes["snapshot"]):
            one = t.isel(snapshot=i)
            cells = []
            for name in ("silhouette", "purity"):
                cells += [
                    float(one[name]),
                    _range(float(one[f"{name}_null_{end}"]) for end in ("low", "high")),
                ]
            rows.append((layer.hook_point, int(one["step"]), *cells))
    head = ("layer", "step", "silhouette", "labels shuffled", "neighbours of one class", "labels shuffled")
    caption = f"Whether images of a class lie together: {n:,} probe images, 10 nearest neighbours. {ONE}"
    return folded("Do images of a class lie together? The numbers", scrolling(table(head, rows, caption), "Neighbours"))


def _collapse(look: FirstLook, n: int) -> str:
    result = look["geometry.neural_collapse"]
    if result is None:
        return ""
    names = ("nc1", "nc1_trace", "sb_condition", "nc2_norms", "nc2_angles", "nc3", "nc4")
    rows = [(int(result["step"][i]), *(float(result[m][i]) for m in names)) for i in range(result.sizes["snapshot"])]
    start, end = (float(result["nc1_trace"][i]) for i in (0, -1))
    head = f"The spread within classes {_goes(start, end)} times the spread between them"
    if np.isnan(end):
        head = "Neural collapse is not defined: the last hidden layer answers every image alike at the end"
    return f"<h3>{head}</h3>" + picture(
        lambda theme: plots.collapse_over_time(result, theme=theme),
        "Neural collapse (Papyan et al. 2020) in the last hidden layer: were training to go on far beyond the last error, all "
        f"would go to 0. Grey: labels shuffled. {n:,} probe images that were not trained on. {ONE}",
        table=table(
            ("step", "NC1", "tr Sw / tr Sb", "condition of Sb", "NC2 norms", "NC2 angles", "NC3", "NC4"),
            rows,
            "Neural collapse",
        ),
    )


def _goes(start: float, end: float) -> str:
    if np.isnan(start) or told(start) == told(end):
        return f"is {told(end)}"
    return f"{'falls' if end < start else 'rises'} from {told(start)} to {told(end)}"


def _drift(look: FirstLook, n: int) -> str:
    return "".join(_drift_of(layer, n) for layer in look.layers)


def _drift_of(layer: LayerLook, n: int) -> str:
    result = layer["similarity.drift"]
    names = ("cka", "procrustes", "rotation", "function", "scaling", "shift")
    rows = [(int(result["step"][i]), *(float(result[m][i]) for m in names)) for i in range(result.sizes["snapshot"])]
    found = float(result["function"][0])
    head = f"{layer.short}: {share(found)} of its final shape was found by learning"
    if len(rows) < 2:
        head = f"{layer.short}: one snapshot, so nothing can have moved"
    elif np.isnan(found):
        head = f"{layer.short}: no shape to follow, for at the start or the end it answers every image alike or has one unit"
    drawn = picture(
        lambda theme: plots.drift(result, theme=theme),
        f"Distance of the layer from itself at the end, on the same {n:,} probe images, split into what a rotation mends and what it "
        f"does not. CKA is never shown alone: the Procrustes distance stands beside it. {ONE}",
        table=table(
            ("step", "CKA", "Procrustes", "rotation", "function", "scaling", "shift of the mean"),
            rows,
            "Drift, seen from the end",
        ),
    )
    return f"<h3>{escape(head)}</h3>{drawn}<p>{_selves(layer)}</p>"


def _selves(layer: LayerLook) -> str:
    """Since when the units resemble their later selves."""
    table = layer["similarity.unit_drift"]
    alike = (table["correlation_q"] < 0.05).transpose("snapshot", ...).values.mean(1)
    most = np.flatnonzero(alike > 0.5)
    at = f"from step {int(table['step'][most[0]]):,} on" if len(most) else "at no snapshot"
    return (
        f"{at.capitalize()}, more than half of the {layer.axis}s answer more like their own later selves than like another {layer.axis} "
        f"(correlation over the images, 5 % false-discovery rate); before training {100 * alike[0]:.0f} % do."
    )


def _similarity(look: FirstLook, n: int) -> str:
    if look["similarity.matrix"] is None or look["similarity.matrix"].sizes["layer"] < 2:
        return ""
    return "<h3>How alike the layers are</h3>" + similar(look["similarity.matrix"], n)


def similar(result: xr.Dataset, n: int, rows: str = "layer", columns: str = "layer") -> str:
    """Layers against layers, by three measures."""
    numbers = [
        (
            str(result["layer"][i].values),
            str(result["layer_b"][j].values),
            *(float(result[m][i, j]) for m in ("cka", "procrustes", "svcca")),
            _range(float(result[f"cka_null_{end}"][i, j]) for end in ("low", "high")),
        )
        for i in range(result.sizes["layer"])
        for j in range(result.sizes["layer_b"])
    ]
    return picture(
        lambda theme: plots.similarity_matrix(result, rows=rows, columns=columns, theme=theme),
        f"Debiased CKA, Procrustes distance (0: the same shape) and SVCCA of {n:,} probe images, beside what shuffled images give. {ONE}",
        table=table((rows, columns, "CKA", "Procrustes", "SVCCA", "CKA by chance"), numbers, "Layers compared"),
    )
