"""The parts of the page, in reading order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.findings import Finding, FirstLook, LayerLook, number
from ..run import Run
from .html import escape, picture, scrolling, table

DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}
SEED = "One network, one seed: not replicated."


def head(looks: Sequence[FirstLook], names: Sequence[str]) -> str:
    accuracies = " and ".join(
        f"the {n} reads {100 * float(look.run.log['test_accuracy'][-1]):.2f} %"
        for n, look in zip(names, looks, strict=True)
    )
    data = looks[0].run.description["data"]
    notes = sorted({look.run.description["data"]["note"] for look in looks} - {""})
    loud = "".join(f'<p class="loud">{escape(note)}</p>' for note in notes)
    links = [
        ("#found", "What was found"),
        ("#training", "Training"),
        *((f"#{_id(n)}", f"Inside the {n}") for n in names),
        ("#about", "About"),
    ]
    nav = "".join(f'<li><a href="{link}">{escape(text)}</a></li>' for link, text in links)
    return (
        f"<header><h1>What happens inside {escape(' and '.join('the ' + n for n in names))}</h1>"
        f"<p>Trained on {escape(DATA.get(data['name'], data['name']))} and recorded from before the first step on; at the end, "
        f"{escape(accuracies)} of the test images rightly.</p>"
        f'{loud}<nav aria-label="Contents"><ol>{nav}</ol></nav></header><main>'
    )


def summary(looks: Sequence[FirstLook], names: Sequence[str], found: Sequence[Finding]) -> str:
    def items(holds: bool) -> str:
        return "".join(f"<li>{escape(f.text)}</li>" for f in found if f.holds is holds)

    calls = "".join(f"<li>{escape(f.text.split(':')[0])}: <code>{escape(f.call)}</code></li>" for f in found)
    nothing = "<p>Nothing that was asked came out beyond its null.</p>"
    return (
        f'<h2 id="found">What was found</h2><p>Each number stands beside what chance, or the untrained network, gives. {SEED}</p>'
        f"{'<ol>' + items(True) + '</ol>' if items(True) else nothing}{_glance(looks, names)}"
        f"<details><summary>Looked for and not found ({sum(not f.holds for f in found)})</summary><ol>{items(False)}</ol></details>"
        f"<details><summary>The calls that give these numbers again</summary><ul>{calls}</ul></details>"
    )


def _glance(looks: Sequence[FirstLook], names: Sequence[str]) -> str:
    rows = []
    for name, look in zip(names, looks, strict=True):
        for layer in look.layers:
            dead, always = (layer.activity[state].sum(layer.axis).values for state in ("dead", "always_on"))
            rows.append(
                (
                    f"{name} {layer.hook_point.removesuffix('.hook_post')}",
                    f"{layer.size} {layer.axis}s",
                    f"{dead[-1]} ({dead[0]})",
                    f"{always[-1]} ({always[0]})",
                    _both(layer.selectivity["selectivity"], layer.selectivity_untrained["selectivity"]),
                    f"{100 * layer.between:.0f} ({100 * layer.between_untrained:.0f})",
                    int((layer.effects["accuracy_drop_q"] < 0.05).sum()),
                )
            )
    head = ("layer", "size", "dead", "always on", "median selectivity", "map between digits (%)", "costly alone")
    caption = (
        "In brackets: the untrained network. Map between digits: how much of the spread on the two principal components lies between "
        "the digits' means. Costly alone: units without which accuracy falls by more than chance (5 % false-discovery rate)."
    )
    return scrolling(table(head, rows, caption), "Layers at a glance")


def _both(trained: xr.DataArray, untrained: xr.DataArray) -> str:
    return " ".join(
        form.format("–" if np.isnan(v).all() else f"{np.nanmedian(v):.2f}")
        for form, v in (("{}", trained.values), ("({})", untrained.values))
    )


def training(looks: Sequence[FirstLook], names: Sequence[str]) -> str:
    curves = {name: look.curve for name, look in zip(names, looks, strict=True)}
    rows = []
    for name, curve in curves.items():
        rows += [
            (name, int(s), float(loss), 100 * float(error))
            for s, loss, error in zip(curve["step"], curve["test_loss"], curve["test_error"], strict=True)
        ]
    sizes = ", ".join(f"{name}: {_training_words(look.run)}" for name, look in zip(names, looks, strict=True))
    parts = picture(
        lambda theme: plots.learning_curves(curves, theme=theme),
        f"Both axes are logarithmic. Black: all test images; grey: the batches trained on, averaged over log-spaced stretches. {SEED}",
        table=table(
            ("network", "step", "test loss (nat)", "read wrongly (%)"), rows, "At each snapshot, all test images"
        ),
    )
    return f'<h2 id="training">Training</h2><p>{escape(sizes)}.</p><h3>{escape(_order(curves))}</h3>{parts}'


def _training_words(run: Run) -> str:
    c = run.train_config
    steps = run.description["steps_per_epoch"]
    return f"{c.epochs} epochs of {steps} steps, {c.optimizer}, learning rate {c.learning_rate:g} ({c.schedule})"


def _order(curves: dict) -> str:
    ends = {name: 100 * float(curve["test_error"][-1]) for name, curve in curves.items()}
    ranked = sorted(ends, key=ends.__getitem__)
    said = ", ".join(f"the {name} misreads {ends[name]:.2f} %" for name in ranked)
    return said[0].upper() + said[1:] + " of the test images at the end"


def network(look: FirstLook, name: str) -> str:
    layers = {layer.hook_point: layer for layer in look.layers}
    n = look.confusion.attrs["n_examples"]
    parts = [f'<h2 id="{_id(name)}">Inside the {escape(name)}</h2>']
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
        f"Mean over {n:,} probe images{_maps(look)}. Sorting alone draws a diagonal, in the untrained network too: what differs "
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


def about(looks: Sequence[FirstLook], names: Sequence[str]) -> str:
    rows = []
    for name, look in zip(names, looks, strict=True):
        d = look.run.description
        m = d["machine"]
        rows.append(
            (
                name,
                look.run.status,
                d["model"].get("seed", "–"),
                d["train"]["seed"],
                d["versions"]["torch"],
                m["threads"],
                f"{m['processor']}, {m['cores']} cores",
            )
        )
    words = {
        "probe images": "A fixed, class-balanced part of the test images whose activations were recorded at every snapshot.",
        "unit, channel": "One number of a layer for each image; in a convolutional layer, one whole map.",
        "dead": "Above 0 for no probe image.",
        "selectivity": "How much more a unit answers to its class than to the others: (m − rest) / (m + rest), from −1 to 1 "
        "(Morcos et al. 2018).",
        "AUC": "The chance that an image of the unit's class excites it more than an image of another; 0.5 is none.",
        "cut out": "The unit's activation is set to 0 for every image (zero ablation), and the network answers again.",
        "principal component": "A direction in which a layer's activations vary most over the images.",
        "interval": "95 %, over images drawn anew (bootstrap). Another seed would differ more than other images do.",
    }
    glossary = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in words.items())
    runs = table(
        ("network", "status", "weights' seed", "order's seed", "torch", "threads", "machine"), rows, "The runs"
    )
    return (
        f'<h2 id="about">About this page</h2>{scrolling(runs, "The runs")}<h3>Words</h3><dl>{glossary}</dl>'
        '<p class="quiet">Made by neural-microscope. This file holds everything it shows and asks for nothing from elsewhere.</p></main>'
    )


def _id(name: str) -> str:
    return "net-" + "".join(c if c.isalnum() else "-" for c in name.lower())
