"""``make bench``: prints every table and writes them to benchmarks/results.md."""

from __future__ import annotations

import os
import platform
from datetime import date
from pathlib import Path

import torch

from . import analysis, explorer, hooks, population, training


def main() -> None:
    head = (
        f"# Benchmarks\n\nMade by `make bench` on {date.today()}: {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, torch {torch.__version__}, one thread. Medians of interleaved repeats, CPU time of the "
        "process. Ratios carry over to other machines better than times do."
    )
    parts = [head]
    print(head)
    for module in (hooks, training, population, analysis, explorer):
        for part in module.run():
            parts.append(part)
            print(part, flush=True)
    Path(__file__).with_name("results.md").write_text("\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
