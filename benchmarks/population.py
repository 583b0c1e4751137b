"""The time of training many seeds of one MLP together, compared with one plain PyTorch run and with the bare matrix products; and that
of networks with batches of their own, compared with the same networks with shared ones.

CPU time with one thread; wall-clock time with two, which is meaningful only on an otherwise idle machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

import neural_microscope as nm
from neural_microscope.training import train_branches
from neural_microscope.training.feed import Feed, order_of

from .timing import Form, digits, interleaved, markdown, medians, table, told
from .training import bare_products, plain_epoch

SIZES = (1, 4, 16, 64)
BARE, PLAIN = "bare products of one network", "one network, plain torch, DataLoader"
NETWORKS = {"784-128-64-10": (128, 64), "784-32-16-10": (32, 16)}
CLOCKS = {1: ("CPU", time.process_time), 2: ("clock", time.perf_counter)}


def run(form: Form) -> list[str]:
    try:
        return [part(form, threads) for threads in CLOCKS for part in (_measured, _orders)]
    finally:
        torch.set_num_threads(1)


def _measured(form: Form, threads: int) -> str:
    data, one, (word, clock) = _settings(form, threads)
    sizes = form.pick(SIZES, (1, 4))

    def together(seeds: int) -> None:
        nm.train_population(nm.MLPConfig(), data, one, seeds=range(seeds), order="shared")

    times = interleaved(
        {
            BARE: lambda: bare_products(len(data.train), 128),
            PLAIN: lambda: plain_epoch(data, 128),
            **{f"{n} seeds, nm.train_population": lambda n=n: together(n) for n in sizes},
        },
        form.pick(3, 1),
        clock=clock,
    )
    middle = medians(times)
    lines = [
        "| seeds together | ÷ their bare products | aim | ÷ ONE plain torch run | aim |",
        "|---|---|---|---|---|",
    ]
    for n in sizes:
        spent = middle[f"{n} seeds, nm.train_population"]
        aims = ("≤ 1.3", "≤ 6") if n == 16 else ("", "")
        lines.append(
            f"| {n} | {spent / (n * middle[BARE]):.2f} | {aims[0]} | {spent / middle[PLAIN]:.2f} | {aims[1]} |"
        )
    title = f"Seeds of 784-128-64-10 together, an epoch, Adam, batch 128, {_counted(threads)}"
    return table(title, times, PLAIN, {}, clock=word) + "\n\n" + "\n".join(lines)


def _orders(form: Form, threads: int) -> str:
    """Networks that are trained together, on batches of their own and on shared ones in turn."""
    data, one, (word, clock) = _settings(form, threads)
    many = form.pick(16, 4)

    def shared(network: nm.MLPConfig) -> None:
        nm.train_population(network, data, one, seeds=range(many), order="shared")

    def own(network: nm.MLPConfig) -> None:
        models = [nm.MLP(network, seed=seed) for seed in range(many)]
        train_branches(models, data, one, feeds=[Feed(order_of(data, one, seed)) for seed in range(many)])

    rows = []
    for name, hidden in NETWORKS.items():
        network = nm.MLPConfig(hidden=hidden)
        ways = {"shared": lambda network=network: shared(network), "own": lambda network=network: own(network)}
        times = interleaved(ways, form.pick(5, 1), clock=clock)
        each, together = times["own"], times["shared"]
        ratios = (min(each) / min(together), median(each) / median(together))
        spent = [cell for way in (together, each) for cell in told(way, 1000)]
        rows.append([name, str(len(each)), *spent, *map(digits, ratios), "≤ 1.25"])
    title = f"{many} networks together, own batches against shared ones, an epoch, Adam, batch 128, {_counted(threads)}"
    heads = [
        f"shared, {word} ms",
        "range",
        f"own, {word} ms",
        "range",
        "own ÷ shared, best",
        "own ÷ shared, median",
        "aim",
    ]
    return markdown(title, ["network", "n", *heads], rows)


def _settings(form: Form, threads: int) -> tuple[nm.data.Dataset, nm.TrainConfig, tuple[str, Callable[[], float]]]:
    torch.set_num_threads(threads)
    data = form.data
    data = nm.data.Dataset(data.name, data.train, data.test.subset(slice(0, 100)))  # scoring at the end is not training
    return data, nm.TrainConfig(epochs=1, threads=threads), CLOCKS[threads]


def _counted(threads: int) -> str:
    return f"{threads} thread" + "s" * (threads > 1)
