"""The time of training many seeds of one MLP together, compared with one plain PyTorch run and with the bare matrix products.

CPU time with one thread; wall-clock time with two, which is meaningful only on an otherwise idle machine.
"""

from __future__ import annotations

import time

import torch

import neural_microscope as nm
from neural_microscope.training import train_branches
from neural_microscope.training.feed import Feed, order_of

from .timing import Form, interleaved, medians, table
from .training import bare_products, plain_epoch

SIZES = (1, 4, 16, 64)
BARE, PLAIN = "bare products of one network", "one network, plain torch, DataLoader"
CLOCKS = {1: ("CPU", time.process_time), 2: ("clock", time.perf_counter)}


def run(form: Form) -> list[str]:
    try:
        return [_measured(form, threads) for threads in CLOCKS]
    finally:
        torch.set_num_threads(1)


def _measured(form: Form, threads: int) -> str:
    torch.set_num_threads(threads)
    data = form.data
    data = nm.data.Dataset(data.name, data.train, data.test.subset(slice(0, 100)))  # scoring at the end is not training
    one, (word, clock) = nm.TrainConfig(epochs=1, threads=threads), CLOCKS[threads]
    sizes = form.pick(SIZES, (1, 4))

    def together(seeds: int) -> None:
        nm.train_population(nm.MLPConfig(), data, one, seeds=range(seeds), order="shared")

    def own_batches(networks: int) -> None:
        models = [nm.MLP(seed=seed) for seed in range(networks)]
        feeds = [Feed(order_of(data, one, seed)) for seed in range(networks)]
        train_branches(models, data, one, feeds=feeds)

    many = sizes[1:][-2 if len(sizes) > 2 else -1]
    own = f"{many} networks with batches of their own"
    times = interleaved(
        {
            BARE: lambda: bare_products(len(data.train), 128),
            PLAIN: lambda: plain_epoch(data, 128),
            **{f"{n} seeds, nm.train_population": lambda n=n: together(n) for n in sizes},
            own: lambda: own_batches(many),
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
    ratio = middle[own] / middle[f"{many} seeds, nm.train_population"]
    lines += ["", f"{own} take {ratio:.2f} times as long as with shared ones (aim ≤ 1.25)."]
    counted = f"{threads} thread" + "s" * (threads > 1)
    title = f"Seeds of 784-128-64-10 together, an epoch, Adam, batch 128, {counted}"
    return table(title, times, PLAIN, {}, clock=word) + "\n\n" + "\n".join(lines)
