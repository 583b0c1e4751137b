"""``make bench``: prints every table and writes them to benchmarks/RESULTS.md. ``--quick`` only tries the harness."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import torch

from . import analysis, causal, curves, explorer, hooks, measures, peers, population, training
from .timing import Form

MODULES = (hooks, training, population, causal, measures, analysis, curves, explorer)
QUICK = "**The quick form: sizes are not those that the titles name, and no number here says anything about speed.**"


def head(form: Form) -> str:
    found = peers.installed()
    there = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    absent = ", ".join(name for name, number in found.items() if not number)
    python = f"Python {platform.python_version()}, torch {torch.__version__}"
    gpu = "there is one, left alone" if torch.cuda.is_available() else "none was there"
    lines = {
        "made": f"by `make bench` on {date.today()}",
        "processor": f"{processor()}, {os.cpu_count()} cores{memory()}; {platform.system()} {platform.machine()}",
        "software": f"{python}, {torch.get_num_threads()} thread" + "s" * (torch.get_num_threads() > 1),
        "peers": there + (f"; not installed, so not measured: {absent}" if absent else ""),
        "device": f"all of it on the processor; nothing was measured on a GPU ({gpu})",
        "times": "CPU time of the process, medians of n interleaved repeats after one that does not count, and their range. "
        "The explorer's are by the clock. Ratios, of medians, carry over to other machines better than times do.",
    }
    rows = [f"* {name}: {line}" for name, line in lines.items()]
    return "\n".join(["# Benchmarks\n", *([QUICK + "\n"] if form.quick else []), *rows])


def processor() -> str:
    """The model, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


def memory() -> str:
    """``, k GB``, where the system tells."""
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (ValueError, OSError):
        return ""


def parts(form: Form) -> Iterator[str]:
    torch.set_num_threads(1)
    yield head(form)
    for module in MODULES:
        yield f"\n## {module.__name__.split('.')[-1]}\n\n{(module.__doc__ or '').strip()}"
        yield from module.run(form)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repeat, on scikit-learn's digits")
    parser.add_argument("--out", type=Path, help="the file to write; the quick form writes none unless asked")
    asked = parser.parse_args(arguments)
    out = asked.out or (None if asked.quick else Path(__file__).with_name("RESULTS.md"))
    told = []
    for part in parts(Form(asked.quick)):
        told.append(part)
        print(part, flush=True)
    if out:
        out.write_text("\n".join(told) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
