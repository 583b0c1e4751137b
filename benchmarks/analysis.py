"""The time of the default analysis of a run, everything `analysis.look.first_look` does, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import neural_microscope as nm
from neural_microscope import demonstration
from neural_microscope.analysis.look import first_look
from neural_microscope.models import build

from .timing import Form, digits, markdown, median, peak_memory, told

AIMS = {"mlp": 60, "cnn": 120}
TITLE = "The default analysis of a run (1,000 probe images), the two networks of `make demo`"
WHOLE = "CPU s, starting Python and torch included"


def run(form: Form) -> list[str]:
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in form.pick(("mlp", "cnn"), ("mlp",))}
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder) / kind for kind in found}
        settings = demonstration.settings(form.data, 0, short=form.quick)
        for kind, path in paths.items():
            network, training = settings[kind]
            record = nm.RecordConfig(per_octave=form.pick(2, 0), probe_size=form.pick(1000, 40))
            nm.train(build(network, 0), form.data, training, observers=[nm.Recorder(path, record)])
        for _ in range(form.pick(3, 1)):
            for kind, path in paths.items():
                found[kind].append(_in_a_process(path))
        snapshots = {kind: len(nm.Run.open(path).steps) for kind, path in paths.items()}
    rows, heads = [], ["run", "snapshots", "n", WHOLE, "range", "aim", "peak memory, MB", "aim"]
    for kind, results in found.items():
        seconds = told([one["seconds"] for one in results])
        memory = digits(max(one["peak"] for one in results))
        rows.append(
            [kind.upper(), str(snapshots[kind]), str(len(results)), *seconds, f"≤ {AIMS[kind]}", memory, "≤ 2,000"]
        )
    return [markdown(TITLE, heads, rows), _parts(found)]


def _parts(found: dict[str, list[dict[str, Any]]]) -> str:
    names = dict.fromkeys(part for results in found.values() for part in results[0]["spent"])
    rows = []
    for part in names:
        spent = ([one["spent"][part] for one in results if part in one["spent"]] for results in found.values())
        rows.append([part, *(digits(median(values)) if values else "" for values in spent)])
    return markdown("Its parts, medians", ["part", *(f"{kind.upper()}, CPU s" for kind in found)], rows)


def _in_a_process(path: Path) -> dict[str, Any]:
    command, root = [sys.executable, "-m", __name__, str(path)], Path(__file__).parents[1]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root)
    return json.loads(done.stdout.splitlines()[-1])


def main(path: str) -> None:
    torch.set_num_threads(1)
    spent: dict[str, float] = {}
    last = time.process_time()

    def progress(part: str, done: int, total: int) -> None:
        nonlocal last
        now = time.process_time()
        spent[part] = spent.get(part, 0) + now - last
        last = now

    first_look(nm.Run.open(path), progress)
    print(json.dumps({"seconds": time.process_time(), "peak": peak_memory(), "spent": spent}))


if __name__ == "__main__":
    main(sys.argv[1])
