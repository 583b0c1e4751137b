"""``python -m benchmarks.sweep``: what a recorded network of a sweep costs in processor time and in bytes, and what 10,000 would.

One task of a sweep as a worker does it, training, recording and bringing the run to its place, in this process and on one thread.
Not part of ``make bench``: it needs the extra ``sweep``.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch

import neural_microscope as nm
from neural_microscope.sweep import destination

REPEATS, EPOCHS, NETWORKS, TOGETHER = 3, 10, 10_000, {"own": 1, "shared": 16}
"""``TOGETHER``: networks a task."""
SPARSE = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=200, norms_every=0)


def measured(order: str, record: nm.RecordConfig) -> tuple[list[float], float]:
    """(processor seconds a network, of each repeat; megabytes a network)."""
    seconds, megabytes = [], 0.0
    for _ in range(REPEATS):
        training = nm.TrainConfig(epochs=EPOCHS)
        asked = nm.sweep.Sweep(nm.MLPConfig(), training, record, "mnist", range(TOGETHER[order]), order=order)
        (job,) = nm.sweep.plan(asked)
        with tempfile.TemporaryDirectory() as folder:
            destination.claim(*destination.place(folder), asked)
            began = time.process_time()
            nm.sweep.train_job(job, asked, folder)
            seconds.append((time.process_time() - began) / TOGETHER[order])
            files = [path for path in Path(folder, "runs").rglob("*") if path.is_file()]
            megabytes = sum(path.stat().st_size for path in files) / 1e6 / TOGETHER[order]
    return seconds, megabytes


def main() -> None:
    torch.set_num_threads(1)
    nm.sweep.work._data("mnist")  # a worker reads it once
    print(f"784-128-64-10, MNIST, {EPOCHS} epochs; {platform.machine()}, torch {torch.__version__}, one thread")
    print(
        "| order, networks a task | recorded | n | s a network (range) | MB a network | 10,000: processor hours | GB |"
    )
    print("|---|---|---|---|---|---|---|")
    for order, size in TOGETHER.items():
        for what, record in {"by default": nm.RecordConfig(), "sparsely": SPARSE}.items():
            seconds, megabytes = measured(order, record)
            middle, low, high = statistics.median(seconds), min(seconds), max(seconds)
            print(
                f"| {order}, {size} | {what} | {REPEATS} | {middle:.2f} ({low:.2f} to {high:.2f}) | {megabytes:.1f} | "
                f"{middle * NETWORKS / 3600:.0f} | {megabytes * NETWORKS / 1e3:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
