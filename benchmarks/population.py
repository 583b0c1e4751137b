"""What many seeds of one MLP cost, trained together, beside one plain torch run and their bare matrix products."""

from __future__ import annotations

import torch

import neural_microscope as nm

from .timing import Form, interleaved, medians, table
from .training import bare_products, plain_epoch

SIZES = (1, 4, 16, 64)


def run(form: Form) -> list[str]:
    torch.set_num_threads(1)
    data = form.data
    data = nm.data.Dataset(data.name, data.train, data.test.subset(slice(0, 100)))  # scoring at the end is not training
    one = nm.TrainConfig(epochs=1)

    def together(seeds: int) -> None:
        nm.train_population(nm.MLPConfig(), data, one, seeds=range(seeds), order="shared")

    times = interleaved(
        {
            "bare products of one network": lambda: bare_products(len(data.train), 128),
            "one network, plain torch, DataLoader": lambda: plain_epoch(data, 128),
            **{f"{n} seeds, nm.train_population": lambda n=n: together(n) for n in SIZES},
        },
        form.pick(3, 1),
    )
    middle = medians(times)
    bare, plain = middle["bare products of one network"], middle["one network, plain torch, DataLoader"]
    lines = [
        "| seeds together | ÷ their bare products | aim | ÷ ONE plain torch run | aim |",
        "|---|---|---|---|---|",
    ]
    for n in SIZES:
        spent = middle[f"{n} seeds, nm.train_population"]
        aims = ("≤ 1.3", "≤ 6") if n == 16 else ("", "")
        lines.append(f"| {n} | {spent / (n * bare):.2f} | {aims[0]} | {spent / plain:.2f} | {aims[1]} |")
    title = "Seeds of 784-128-64-10 together, an epoch, Adam, batch 128"
    return [table(title, times, "one network, plain torch, DataLoader", {}), "\n" + "\n".join(lines)]
