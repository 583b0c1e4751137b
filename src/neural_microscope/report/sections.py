"""The parts of the page, in reading order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.look import FirstLook, Pair
from ..claim import Claim, number
from ..run import Run
from .html import ONE, anchor, escape, folded, folding, picture, scrolling, table
from .layers import similar

DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}


def head(looks: Sequence[FirstLook], names: Sequence[str], calibrated: bool) -> str:
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
        *((f"#{anchor(n)}", f"Inside the {n}") for n in names),
        *([("#side", "Side by side")] if len(names) > 1 else []),
        *([("#calibration", "Calibration")] if calibrated else []),
        ("#about", "About"),
    ]
    nav = "".join(f'<li><a href="{link}">{escape(text)}</a></li>' for link, text in links)
    return (
        f"<header><h1>What happens inside {escape(' and '.join('the ' + n for n in names))}</h1>"
        f"<p>Trained on {escape(DATA.get(data['name'], data['name']))} and recorded from before the first step on; at the end, "
        f"{escape(accuracies)} of the test images rightly.</p>"
        f'{loud}<nav aria-label="Contents"><ol>{nav}</ol></nav></header><main>'
    )


def summary(looks: Sequence[FirstLook], names: Sequence[str], found: Sequence[Claim], sizes: Sequence[int]) -> str:
    """The findings; ``sizes``: how many networks each of the ``looks`` stands for."""
    held, rest = ([f for f in found if f.shown is holds] for holds in (True, False))
    calls = "".join(
        f"<li>{escape(f'{f.where}: {f.sentence}')} <code>{escape(f.call)}</code></li>" for f in found if f.call
    )
    nothing = "<p>Nothing that was asked came out beyond its null.</p>"
    seeds = ", ".join(
        f"the {name}: {size} seed{'s' if size > 1 else ''}" for name, size in zip(names, sizes, strict=True)
    )
    replicated = max(sizes) > 1
    alone = "" if replicated else " None of it is replicated: another seed may differ more than the intervals say."
    return (
        '<h2 id="found">What was found</h2><p>Claims that beat their null; the small print gives each number beside what chance, or '
        f"the untrained network, gives ({escape(seeds)}).{alone} “One seed” below a picture: this network alone.</p>"
        f"{_claims(held, replicated) if held else nothing}{_glance(looks, names)}"
        f"{folded(f'Looked for and not found ({len(rest)})', _claims(rest, replicated))}"
        f"{folded('The calls that give these numbers again', f'<ul>{calls}</ul>')}"
    )


def _claims(found: Sequence[Claim], replicated: bool) -> str:
    """Claims under the network or layer that they are about; ``replicated``: whether to say on how many seeds."""
    parts = []
    for where in dict.fromkeys(f.where for f in found):
        items = "".join(
            f"<li><strong>{escape(f.sentence[:1].upper() + f.sentence[1:])}</strong> "
            f'<span class="quiet">{escape(f.reasons)}{escape(" " + f.replicated) if replicated else ""}</span></li>'
            for f in found
            if f.where == where
        )
        parts.append(f'<h3>{escape(where)}</h3><ul class="claims">{items}</ul>')
    return "".join(parts)


def _glance(looks: Sequence[FirstLook], names: Sequence[str]) -> str:
    rows = []
    for name, look in zip(names, looks, strict=True):
        for layer in look.layers:
            dead, always = (layer["dynamics.activity"][state].sum(layer.axis).values for state in ("dead", "always_on"))
            rows.append(
                (
                    f"{name} {layer.hook_point.removesuffix('.hook_post')}",
                    f"{layer.size} {layer.axis}s",
                    f"{dead[-1]} ({dead[0]})",
                    f"{always[-1]} ({always[0]})",
                    _both(
                        layer["selectivity.class_selectivity"]["selectivity"],
                        layer["selectivity.class_selectivity/untrained"]["selectivity"],
                    ),
                    f"{number(100 * float(layer['geometry.pca']['between'][-1]), 0)} "
                    f"({number(100 * float(layer['geometry.pca/untrained']['between'][0]), 0)})",
                    int((layer["causal.ablate_all"]["accuracy_drop_q"] < 0.05).sum()),
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
    curves = {name: look["dynamics.learning_curve"] for name, look in zip(names, looks, strict=True)}
    rows = []
    for name, curve in curves.items():
        rows += [
            (name, int(s), float(loss), 100 * float(error))
            for s, loss, error in zip(curve["step"], curve["test_loss"], curve["test_error"], strict=True)
        ]
    sizes = ", ".join(f"{name}: {_training_words(look.run)}" for name, look in zip(names, looks, strict=True))
    parts = picture(
        lambda theme: plots.learning_curves(curves, theme=theme),
        f"Both axes are logarithmic. Strong lines: all test images; grey: the batches trained on, over log-spaced stretches. {ONE}",
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


def side_by_side(pairs: Sequence[Pair], names: Sequence[str]) -> str:
    """The networks against each other."""
    if len(names) < 2:
        return ""
    parts = ['<h2 id="side">Side by side</h2>']
    for pair, name in zip(pairs, names[1:], strict=False):
        n = pair.first["predictions.confusion"].attrs["n_examples"]
        trained, untrained = (float(result["cka"].max()) for result in (pair.trained, pair.untrained))
        parts.append(
            f"<h3>The most alike layers of {escape(names[0])} and {escape(name)} reach a CKA of {trained:.2f} "
            f"(untrained: {untrained:.2f})</h3>{similar(pair.trained, n, names[0], name)}"
            f"{folded('The same before training', similar(pair.untrained, n, names[0], name))}"
        )
    if not pairs:
        parts.append("<p>The networks were probed with different images, so their layers are not compared.</p>")
    return "".join(parts)


def calibrated(result: xr.Dataset | None) -> str:
    """How the instruments did on planted truth and on empty phantoms."""
    if result is None:
        return ""
    good = result["recovered"] & result["silent"]
    rows = []
    for i, name in enumerate(result["instrument"].values):
        row = result.isel(instrument=i)
        numbers = (float(row[key]) for key in ("truth", "measured", "error", "tolerance"))
        rows.append(
            (
                str(name),
                str(row["planted"].values),
                *numbers,
                100 * float(row["false_alarms"]),
                "" if good[i] else "fails",
            )
        )
    head = ("instrument", "planted", "truth", "measured", "error", "allowed", "false alarms (%)", "")
    n = result.attrs["n_empty"]
    caption = f"False alarms: share of {n} empty phantoms in which something was claimed; 5 % are declared, 8 % allowed"
    return (
        f'<h2 id="calibration">Calibration</h2><p>{int(good.sum())} of {len(rows)} instruments recover a truth that was planted for them '
        f"and keep silent on {n} phantoms in which there is nothing to find. <code>microscope calibrate</code> does this again.</p>"
        f"{folding(head, rows, caption, 'Calibration')}"
    )


def about(looks: Sequence[FirstLook]) -> str:
    """Every run behind the page, those of other seeds too, and the words that it uses."""
    rows = []
    for look in looks:
        d = look.run.description
        m = d["machine"]
        rows.append(
            (
                look.name,
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
        "by chance, null": "What the measure gives where there is nothing to find: shuffled labels or images, random directions, the "
        "untrained network. Grey in every picture.",
        "function, rotation": "A layer's change, split: rotating its activations changes no image's likeness to another "
        "(rotation); what no rotation mends is a change of which images are alike (function).",
        "random direction": "A direction in a layer's space that no unit owns, moved along as far as cutting out the unit "
        "moves each image.",
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
