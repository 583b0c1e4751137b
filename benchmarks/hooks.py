"""The overhead of reading activations, compared with a plain forward pass: 784-512-256-10, ReLU, four hook points saved."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

import neural_microscope as nm

from . import peers
from .timing import Form, interleaved, table

NAMES = ["layers.0.hook_pre", "layers.0.hook_post", "layers.1.hook_pre", "layers.1.hook_post"]
POINTS = range(1, 5)
"""The same four in plain torch."""
OUTPUTS = [f"{i}.hook_out" for i in POINTS]


def run(form: Form) -> list[str]:
    torch.set_num_threads(1)
    model = nm.MLP(nm.MLPConfig(hidden=(512, 256))).eval()
    plain = peers.sequential(model)
    foreign = nm.hooked(plain)
    readers: dict[str, peers.Read] = {
        "plain torch forward": plain,
        "our model, nothing hooked": model,
        "run_with_cache": lambda x: model.run_with_cache(x, names_filter=NAMES),
        "hooked(plain torch)": lambda x: foreign.run_with_cache(x, names_filter=OUTPUTS),
        **peers.readers(plain, POINTS),
    }
    parts = []
    for title, images, repeats, aim in (
        ("One batch of 1,024 images", torch.rand(form.pick(1024, 32), 1, 28, 28), form.pick(3, 1), "≤ 1.08"),
        ("One image", torch.rand(1, 1, 28, 28), form.pick(100, 1), "overhead ≤ half of TransformerLens's"),
    ):
        variants = {name: functools.partial(_again, read, images, repeats) for name, read in readers.items()}
        with torch.no_grad():
            times = interleaved(variants, form.pick(25, 1))
        each = {name: [t / repeats for t in values] for name, values in times.items()}
        parts.append(table(title, each, "plain torch forward", {"run_with_cache": aim}))
    return [*parts, _many(form, model, readers)]


def _again(read: peers.Read, images: Tensor, repeats: int) -> None:
    for _ in range(repeats):
        read(images)  # and let it go: kept results would make the next call pay for new memory


def _many(form: Form, model: nm.MLP, readers: dict[str, peers.Read]) -> str:
    """All images in batches; what the readers return of a batch stays until the end."""
    many = torch.rand(form.pick(10_000, 100), 1, 28, 28)
    readers = {n: r for n, r in readers.items() if "our model" not in n and "cache" not in n.split()[0]}
    variants = {name: lambda read=read: [read(batch) for batch in many.split(1024)] for name, read in readers.items()}
    with torch.no_grad():
        times = interleaved(variants | {"nm.activations": lambda: nm.activations(model, many, NAMES)}, form.pick(9, 1))
    title = "Activations of 10,000 images, 1,024 at a time"
    return table(title, times, "plain torch forward", {"nm.activations": "≤ 1.20"})
