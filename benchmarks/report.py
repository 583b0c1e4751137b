"""From recorded runs to the written page: one process, one thread, nothing kept from before; beside a loop of bare matrix products."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import neural_microscope as nm
from neural_microscope import demonstration, phantoms, report
from neural_microscope.models import build
from neural_microscope.run import RESULTS

from .timing import Form, digits, markdown

AIMS = {
    "the MLP": 8,
    "the CNN": 12,
    "five seeds of the MLP": 25,
    "twelve runs": 60,
    "the MLP again, its results kept": None,
}
TITLE = "A report (1,000 probe images), the networks of `make demo`"
PRODUCTS = 20
"""Products of two 2048 x 2048 float32 matrices: 344 GFLOP, what a machine like the one of the aims does in 2.1 s on one thread."""


def run(form: Form) -> list[str]:
    rows, turns = [], form.pick(PRODUCTS, 1)
    with tempfile.TemporaryDirectory() as folder:
        for name, paths in _recorded(Path(folder), form).items():
            found = [_in_a_process(paths, "kept" in name, turns) for _ in range(form.pick(3, 1))]
            best = min(found, key=lambda one: one["seconds"])
            aim = f"≤ {AIMS[name]}" if AIMS[name] else ""
            ratio = digits(best["seconds"] / best["products"])
            rows.append([name, str(len(found)), digits(best["seconds"]), digits(best["products"]), ratio, aim])
    heads = ["runs", "n", "best, s by the clock", f"{turns} products of 2048³ then, s", "ratio", "aim, s"]
    return [markdown(TITLE, heads, rows)]


def _recorded(folder: Path, form: Form) -> dict[str, list[Path]]:
    """The runs of each row. Of twelve, six seeds of two learning rates."""
    record = nm.RecordConfig(per_octave=form.pick(2, 0), probe_size=form.pick(1000, 40))

    def made(name: str, kind: str, seed: int = 0, rate: float = 1.0) -> Path:
        short = form.quick or (kind == "mlp" and name != kind)  # of many a short training, which has fewer snapshots
        network, training = demonstration.settings(form.data, seed, short=short)[kind]
        network = nm.MLPConfig(hidden=(4,)) if form.quick else network
        training = replace(training, learning_rate=rate * training.learning_rate)
        nm.train(build(network, seed), form.data, training, observers=[nm.Recorder(folder / name, record)])
        return folder / name

    one = made("mlp", "mlp")
    found = {"the MLP": [one], "the MLP again, its results kept": [one]}
    if not form.quick:
        found["the CNN"] = [made("cnn", "cnn")]
        twelve = [made(f"{seed}-{rate}", "mlp", seed, rate) for rate in (1.0, 0.5) for seed in range(6)]
        found |= {"five seeds of the MLP": twelve[:5], "twelve runs": twelve}
    return found


def _in_a_process(paths: list[Path], kept: bool, turns: int) -> dict[str, Any]:
    if not kept:
        for path in paths:
            (path / RESULTS).unlink(missing_ok=True)
    command, root = [sys.executable, "-m", __name__, str(turns), *map(str, paths)], Path(__file__).parents[1]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    return json.loads(done.stdout.splitlines()[-1])


def main(turns: int, paths: list[str]) -> None:
    torch.set_num_threads(1)
    square = torch.rand(2048, 2048)
    began = time.perf_counter()
    for _ in range(turns):
        square @ square
    products = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        report.write(
            [nm.Run.open(path) for path in paths], Path(folder) / "page.html", calibration=phantoms.open_record()
        )
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "products": products}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
