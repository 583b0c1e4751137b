"""``make bench``: prints every table and writes them to benchmarks/RESULTS.md. ``--quick`` only tries the harness.

``python -m benchmarks training`` measures that part again and replaces it in the file. Each part names its machine and software.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import torch

from . import analysis, causal, curves, explorer, hooks, influence, measures, peers, population, report, training
from .timing import Form

MODULES = (hooks, training, population, influence, causal, measures, analysis, report, curves, explorer)
QUICK = "**The quick form: sizes are not those that the titles name, and no number here says anything about speed.**"


def head(form: Form) -> str:
    lines = {
        "device": "CPU only",
        "times": "CPU time of the process, medians and ranges of n interleaved repeats after one warm-up. The times of reports, of "
        "the explorer and with two threads are wall-clock times. Ratios (of medians) transfer to other machines better than times do.",
    }
    rows = [f"* {name}: {line}" for name, line in lines.items()]
    return "\n".join(["# Benchmarks\n", *([QUICK + "\n"] if form.quick else []), *rows])


def measured_on(module: ModuleType) -> str:
    """The day, the machine and the software of a part."""
    threads = torch.get_num_threads()
    software = [
        f"Python {platform.python_version()}",
        f"torch {torch.__version__}",
        f"{threads} thread" + "s" * (threads > 1),
    ]
    if hasattr(module, "peers"):
        found = peers.installed()
        software += [f"{name} {number}" for name, number in found.items() if number]
        absent = ", ".join(name for name, number in found.items() if not number)
        software += [f"not installed, so not measured: {absent}"] if absent else []
    machine = f"{processor()}, {os.cpu_count()} cores{memory()}; {platform.system()} {platform.machine()}"
    return f"Measured on {date.today()}: {machine}; {', '.join(software)}."


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


def name_of(module: ModuleType) -> str:
    return module.__name__.split(".")[-1]


def part(module: ModuleType, form: Form) -> Iterator[str]:
    torch.set_num_threads(1)
    yield f"\n## {name_of(module)}\n\n{(module.__doc__ or '').strip()}\n\n{measured_on(module)}"
    yield from module.run(form)


def before(out: Path | None, form: Form) -> dict[str, str]:
    """The parts that RESULTS.md holds, by name, and its head as ``""``."""
    if out is None:
        return {}
    top, *there = re.split(r"\n(?=\n## )", out.read_text("utf-8").rstrip("\n"))
    if (QUICK in top) != form.quick:
        sys.exit(
            f"{out} is of the {'full' if form.quick else 'quick'} form: measure everything again, or name another file"
        )
    return {"": top, **{one.removeprefix("\n## ").partition("\n")[0]: one for one in there}}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", help="all, unless named", choices=[[], *map(name_of, MODULES)])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one repeat, on scikit-learn's digits")
    parser.add_argument("--out", type=Path, help="the file to write; the quick form writes none unless asked")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    out = asked.out or (None if asked.quick else Path(__file__).with_name("RESULTS.md"))
    form = Form(asked.quick)
    told = before(out, form) if asked.parts else {"": head(form)}
    print(told.get("", head(form)), flush=True)
    for module in MODULES:
        if asked.parts and name_of(module) not in asked.parts:
            continue
        lines = []
        for line in part(module, form):
            lines.append(line)
            print(line, flush=True)
        told[name_of(module)] = "\n".join(lines)
    if out:
        order = ["", *map(name_of, MODULES)]
        out.write_text("\n".join(told[name] for name in order if name in told) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
