"""What the default analysis of a run costs: everything `analysis.look.first_look` does, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import neural_microscope as nm
from neural_microscope import demonstration
from neural_microscope.models import build

AIMS = {"mlp": 60, "cnn": 120}
MEASURED = """
import json, resource, sys, time
import torch
import neural_microscope as nm
from neural_microscope.analysis.look import first_look
torch.set_num_threads(1)
spent = {}
def progress(part, done, total, last=[time.process_time()]):
    now = time.process_time()
    spent[part] = spent.get(part, 0) + now - last[0]
    last[0] = now
first_look(nm.Run.open(sys.argv[1]), progress)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": time.process_time(), "peak": peak, "spent": spent}))
"""


def run() -> list[str]:
    data = nm.data.load("mnist")
    rows = [
        "\n### The default analysis of a run (1,000 probe images)\n",
        "The two networks of `make demo`. CPU seconds of a fresh process, starting Python and torch included.\n",
        "| run | snapshots | CPU s | aim | peak memory, GB | aim |",
        "|---|---|---|---|---|---|",
    ]
    parts = ["\n| part | " + " | ".join(f"{kind.upper()}, CPU s" for kind in AIMS) + " |", "|---|---|---|"]
    spent: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, (network, training) in demonstration.settings(data, 0, short=False).items():
            path = Path(folder) / kind
            nm.train(build(network, 0), data, training, observers=[nm.Recorder(path)])
            done = subprocess.run(
                [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            spent[kind] = found["spent"]
            snapshots = len(nm.Run.open(path).steps)
            rows.append(
                f"| {kind.upper()} | {snapshots} | {found['seconds']:.1f} | ≤ {AIMS[kind]} | {found['peak']:.2f} | ≤ 2 |"
            )
    for part in dict.fromkeys(part for times in spent.values() for part in times):
        cells = (f"{times[part]:.2f}" if part in times else "" for times in spent.values())
        parts.append(f"| {part} | " + " | ".join(cells) + " |")
    return ["\n".join(rows), "\n".join(parts)]
