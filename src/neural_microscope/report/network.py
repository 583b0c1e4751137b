"""The part of the page about one network: its weights, its layers, its units, its errors."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.findings import FirstLook, LayerLook, number
from .html import SEED, anchor, escape, picture, table


def network(look: FirstLook, name: str) -> str:
    layers = {layer.hook_point: layer for layer in look.layers}
    n = look.confusion.attrs["n_examples"]
    parts = [f'<h2 id="{anchor(name)}">Inside the {escape(name)}</h2>']
    if not layers:
        return "".join(parts) + "<p>This network has no hidden layer.</p>" + _confusion(look, n)
    parts += [_first_weights(look), _activity(look, n), _histograms(look, n), _states(look, n), _pca(look, n)]
    for layer in look.layers:
        parts.append(_units(look, layer, n))
    parts.append(_confusion(look, n))
    return "".join(parts)


def _first_weights(look: FirstLook) -> str:
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
    shown = min(128, len(trained))
    grew = np.linalg.norm(trained.reshape(len(trained), -1), axis=1) / np.linalg.norm(
        untrained.reshape(len(untrained), -1), axis=1
    )
    grey = (
        f" Grey: the {int(constant.sum())} pixels that are the same in every training image, whose weights are still random."
        if constant is not None and constant.any()
        else ""
    )
    return f"<h3>The first layer's weights grew to {np.median(grew):.1f} times their size (median unit)</h3>" + picture(
        lambda theme: plots.weights(trained[:shown], untrained[:shown], constant, theme=theme),
        f"Orange adds to a unit, blue takes away, on one scale for both. Shown: {shown} of {len(trained)}.{grey} {SEED}",
        table=table(
            ("unit", "norm trained", "norm untrained"),
            [
                (i, float(np.linalg.norm(a)), float(np.linalg.norm(b)))
                for i, (a, b) in enumerate(zip(trained, untrained, strict=True))
            ],
            "L2 norm of each unit's incoming weights",
        ),
    )


def _activity(look: FirstLook, n: int) -> str:
    tables = {layer.hook_point: layer.mean_activity for layer in look.layers}
    rows = [
        (layer.hook_point, int(step), float(mean.mean()), float(mean.max()))
        for layer in look.layers
        for step, mean in zip(layer.mean_activity["step"].values, layer.mean_activity["mean"].values, strict=True)
    ]
    return "<h3>How strongly each unit fires, from the random start to the end</h3>" + picture(
        lambda theme: plots.activity_over_time(tables, theme=theme),
        f"Each row a unit, each column a snapshot; mean over {n:,} probe images{_maps(look)}. {SEED}",
        table=table(("layer", "step", "mean over units", "highest unit"), rows, "Mean activation"),
    )


def _maps(look: FirstLook) -> str:
    return " (of a channel: over its whole map)" if any(layer.axis == "channel" for layer in look.layers) else ""


def _histograms(look: FirstLook, n: int) -> str:
    tables = {layer.histograms.attrs["hook_point"]: layer.histograms for layer in look.layers}
    rows = [
        (name, int(step), float(s), 100 * float(z), 100 * float(o))
        for name, t in tables.items()
        for step, s, z, o in zip(
            t["step"].values, t["spread"].values, t["zero"].values, t["outside"].values, strict=True
        )
    ]
    name, last = list(tables.items())[-1]
    start, end = (float(last["spread"][i]) for i in (0, -1))
    headline = (
        f"What the nonlinearity of {name.rpartition('.')[0]} receives: its spread goes from {start:.2g} to {end:.2g}"
    )
    return f"<h3>{escape(headline)}</h3>" + picture(
        lambda theme: plots.histograms_over_time(tables, theme=theme),
        f"Each column is a histogram of one snapshot, over {n:,} probe images and all units{_maps(look)}. The line marks 0, "
        f"below which a ReLU passes nothing on. {SEED}",
        table=table(
            ("layer", "step", "standard deviation", "exactly 0 (%)", "outside the picture (%)"),
            rows,
            "Spread, and shares of values",
        ),
    )


def _states(look: FirstLook, n: int) -> str:
    tables = {layer.hook_point: layer.activity for layer in look.layers}
    rows = []
    for layer in look.layers:
        counts = [layer.activity[state].sum(layer.axis).values for state in ("always_on", "low", "dead")]
        rows += [
            (layer.hook_point, int(s), *(int(c[i]) for c in counts))
            for i, s in enumerate(layer.activity["step"].values)
        ]
    dead = sum(int(layer.activity["dead"].isel(snapshot=-1).sum()) for layer in look.layers)
    total = sum(layer.size for layer in look.layers)
    return f"<h3>{dead} of {total} units end up dead: they fire for no probe image</h3>" + picture(
        lambda theme: plots.unit_states(tables, theme=theme),
        f"Always on: above 0 for more than 99 % of {n:,} probe images; dead: for none. A channel is on where "
        f"any position of its map is. {SEED}",
        table=table(("layer", "step", "always on", "on for < 1 %", "dead"), rows, "Units in each state"),
    )


def _pca(look: FirstLook, n: int) -> str:
    results = {layer.hook_point: layer.pca for layer in look.layers}
    untrained = {layer.hook_point: layer.pca_untrained for layer in look.layers}
    steps = look.run.steps
    wanted = sorted({0, *(int(np.searchsorted(steps, s)) for s in (64, 512) if s < steps[-1]), len(steps) - 1})
    rows = [
        (layer.hook_point, which, k + 1, 100 * float(t["explained"][k]), 100 * float(t["explained_by_chance"][k]))
        for layer in look.layers
        for which, t in (("trained", layer.pca), ("untrained", layer.pca_untrained))
        for k in range(t.sizes["component"])
    ]
    last = look.layers[-1]
    headline = (
        f"In the last hidden layer {100 * last.between:.0f} % of the spread on the map lies between digits "
        f"(untrained: {100 * last.between_untrained:.0f} %)"
    )
    return f"<h3>{headline}</h3>" + picture(
        lambda theme: plots.pca_over_time(results, untrained, wanted, theme=theme),
        f"{n:,} probe images, each drawn as its digit, on the two directions in which a layer's activations vary most. The first column "
        "gives the untrained network axes of its own: some order is there before learning, because images of one digit look alike. "
        f"The other columns share the axes fitted at the end. {SEED}",
        table=table(
            ("layer", "network", "component", "variance explained (%)", "by chance (%)"),
            rows,
            "By chance: 95th percentile after shuffling each unit's values over the images",
        ),
    )


def _units(look: FirstLook, layer: LayerLook, n: int) -> str:
    short = escape(layer.hook_point.removesuffix(".hook_post"))
    word = layer.axis
    s, e = layer.selectivity, layer.effects
    rows = [
        (
            u,
            int(s["preferred"][u]) if s["preferred"][u] >= 0 else "dead",
            float(s["density"][u]),
            float(s["selectivity"][u]),
            _range(s["selectivity_null_low"][u], s["selectivity_null_high"][u], 2),
            float(s["auc"][u]),
            100 * float(e["accuracy_drop"][u]),
            _range(100 * e["accuracy_drop_low"][u], 100 * e["accuracy_drop_high"][u], 1),
            float(e["loss_increase"][u]),
        )
        for u in range(layer.size)
    ]
    numbers = table(
        (
            word,
            "class",
            "density",
            "selectivity",
            "by chance",
            "AUC",
            "accuracy lost (points)",
            "interval",
            "loss added (nat)",
        ),
        rows,
        f"Every {word} of {layer.hook_point}; density: share of images above 0",
    )
    costly = int((e["accuracy_drop_q"] < 0.05).sum())
    other = layer.selectivity_untrained
    beyond = f"{int((other['selectivity_q'] < 0.05).sum())} of {layer.size}"
    scatter = picture(
        lambda theme: plots.selectivity(s, e, layer.selectivity_untrained, theme=theme),
        f"Grey band: what shuffled labels give (median {word}); grey ticks: the untrained network's {word}s, {beyond} of them "
        f"beyond their own band. Selectivity is chosen on one half of {n:,} probe images and judged on the other; the line through each "
        f"digit is a 95 % interval over images. {SEED}",
        table=numbers,
    )
    means = picture(
        lambda theme: plots.class_means(layer.means, layer.means_untrained, theme=theme),
        f"Mean over {n:,} probe images{_maps(look)}; dead {word}s are grey. "
        "Sorting alone draws a diagonal, in the untrained network too: what differs "
        f"is how dark the rest is. {SEED}",
    )
    top = picture(
        lambda theme: plots.top_images(look.run.probe.images, layer.top, theme=theme),
        f"The six of {n:,} probe images that excite each {word} most{_maps(look)}: a small part of all it answers to. {SEED}",
    )
    return (
        f"<h3>{short}: {costly} of {layer.size} {word}s cost accuracy beyond chance when cut out alone</h3>{scatter}"
        f"<h3>{short}: which class each {word} answers to</h3>{means}"
        f"{_feature_maps(look, layer)}"
        f"<h3>{short}: the images each {word} likes most</h3>{top}"
    )


def _range(low: xr.DataArray, high: xr.DataArray, digits: int) -> str:
    return f"{number(float(low), digits)} to {number(float(high), digits)}"


def _feature_maps(look: FirstLook, layer: LayerLook) -> str:
    gallery = look.run.description["gallery"]
    if layer.axis != "channel" or not gallery:
        return ""
    maps = look.run.activations(layer.hook_point, "maps").isel(snapshot=-1).values
    place = min(7, len(gallery) - 1)
    image = look.run.probe.images[gallery[place]]
    short = escape(layer.hook_point.removesuffix(".hook_post"))
    return f"<h3>{short}: what each channel makes of one image</h3>" + picture(
        lambda theme: plots.feature_maps(maps[place], image, theme=theme),
        f"One of the {len(gallery)} images whose whole maps were kept. {SEED}",
    )


def _confusion(look: FirstLook, n: int) -> str:
    counts = look.confusion["images"].values
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
    return f"<h3>{seen}</h3>" + picture(
        lambda theme: plots.confusion(look.confusion, theme=theme),
        f"{n:,} probe images, {look.confusion.attrs['n_right']} read rightly (grey). A count of 3 or fewer can be luck. {SEED}",
        table=numbers,
        middle=True,
    )
