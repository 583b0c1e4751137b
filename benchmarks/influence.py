"""Influence of training images, verified: 784-32-16-10, 5,000 MNIST images, SGD, 288 networks retrained for each kind of set.

Each line is a question that anyone can ask again: sets of training images are left out, and the margins of 100 test images are ranked by
their change, for each image over the sets. The truth is the mean over six retrained seeds; its reliability and ceiling stand beside
the agreement of each estimate, with 95% intervals over sets and targets. Where the ceiling is below 0.5 or not shown, estimates are not
asked. A seed sets the initial weights, in one order of batches or in an order of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import xarray as xr

import neural_microscope as nm

from .timing import Form, digits, markdown

NETWORK = nm.MLPConfig(hidden=(32, 16))
TRAINING = nm.TrainConfig(epochs=5, batch_size=50, optimizer="sgd", learning_rate=0.1)
SEEDS, SETS, TARGETS, IMAGES, RUNS, ROUNDS = 6, 48, 100, 5000, 3, 3


def run(form: Form) -> Iterator[str]:
    images = form.pick(IMAGES, 300)
    data = nm.data.Dataset(form.data.name, form.data.train.subset(slice(0, images)), form.data.test)
    with tempfile.TemporaryDirectory() as folder:
        runs = recorded(data, Path(folder))
        yield from _tables(form, data, runs)


def recorded(data: nm.data.Dataset, folder: Path) -> list[nm.Run]:
    """Networks of three initial weights, trained in one order of batches."""
    record = nm.RecordConfig(per_octave=1, probe_size=100, norms_every=0)
    for seed in range(RUNS):
        nm.train(nm.MLP(NETWORK, seed=seed), data, TRAINING, observers=[nm.Recorder(folder / str(seed), record)])
    return [nm.Run.open(folder / str(seed)) for seed in range(RUNS)]


def _tables(form: Form, data: nm.data.Dataset, runs: list[nm.Run]) -> Iterator[str]:
    sets, count = form.pick(SETS, 24), form.pick(SEEDS, 2)
    targets = nm.influence.Prediction(tuple(range(form.pick(TARGETS, 10))))
    kinds = {
        "half": nm.influence.halves(data.train, n=sets),
        "50 alike": nm.influence.alike(data.train, size=50, n=sets),
        "one image": nm.influence.singles(data.train, n=sets),
    }
    settings = {"data": data, "seeds": count, "targets": targets}
    seconds, loops = [], []
    for _ in range(form.pick(ROUNDS, 1)):
        loops.append(spent(fixed_work))
        start = time.process_time()
        half = nm.influence.verify(runs[0], kinds["half"], vary="weights", **settings)
        seconds.append(time.process_time() - start)
    yield markdown(
        f"{sets * count} networks retrained without a half, and all estimates, one thread",
        ["what", "n", "CPU s, best", "range", "aim"],
        [
            ["retraining and estimates", str(len(seconds)), *best(seconds), "≤ 120"],
            ["loop of fixed work", str(len(loops)), *best(loops), ""],
        ],
    )
    several = nm.influence.verify(runs, kinds["half"], vary="weights", **settings)
    found = {"half, one order": half, "half, one order; estimates of three networks": several}
    for name, each in kinds.items():
        found[f"{name}, own orders"] = nm.influence.verify(runs[0], each, vary="both", **settings)
    yield markdown(
        "Rank agreement with the retrained networks",
        ["left out", "two seeds", "two halves of the seeds", "reliability", "ceiling", *nm.influence.METHODS],
        [row(name, each) for name, each in found.items()],
    )
    yield markdown(
        "Size of the effects on a margin, standard deviations of single networks",
        ["left out", "over sets", "another order of batches"],
        [[name, digits(float(one["effect_sd"])), digits(float(one["order_sd"]))] for name, one in found.items()],
    )


def row(name: str, found: xr.Dataset) -> list[str]:
    """A line: the truth with itself, and each estimate with the truth, with intervals."""
    estimates = [interval(found.sel(estimate=method), "agreement") for method in nm.influence.METHODS]
    itself = [f"{float(found[one]):.2f}" for one in ("between_seeds", "between_halves")]
    told = ["not asked"] * len(estimates) if found.attrs["reason"] else estimates
    return [name, *itself, interval(found, "reliability"), interval(found, "ceiling"), *told]


def interval(found: xr.Dataset, name: str) -> str:
    value, low, high = (float(found[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def best(seconds: list[float]) -> tuple[str, str]:
    return digits(min(seconds)), f"{digits(min(seconds))} to {digits(max(seconds))}"


def fixed_work() -> None:
    """Products of matrices, 20 GFLOP."""
    x = torch.ones(1000, 1000)
    for _ in range(10):
        x = x @ x * 1e-3


def spent(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
