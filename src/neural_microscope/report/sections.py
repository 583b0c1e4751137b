"""The parts of the page, in reading order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .. import plots
from ..analysis.findings import Finding, FirstLook
from ..run import Run
from .html import SEED, anchor, escape, picture, scrolling, table

DATA = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "kmnist": "KMNIST", "digits": "scikit-learn's digits"}


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
        *((f"#{anchor(n)}", f"Inside the {n}") for n in names),
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
