"""Growth of time and memory with width, images, snapshots and seeds, with fitted exponents.

Each point is measured in a fork of a process that has only imported what it needs, on images of ten random patterns with
noise. The first call gives the peak memory beyond the baseline, the next n calls the CPU time, which excludes waiting for
the disk.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats

import neural_microscope as nm
from neural_microscope.analysis import causal, look
from neural_microscope.recording import Recorder

from .timing import Form, digits, markdown, peak_memory, told

STEPS, SMALL = 64, 3
"""Steps of a training that is recorded; a size at which everything is tried once, so that no first call is measured."""
FITTED = 5.0
"""MB from which on memory enters a fit: less is a matter of pages."""
Work = Callable[[], object]


@dataclass(frozen=True)
class Point:
    size: int
    seconds: list[float]
    memory: float
    """MB"""
    disk: float
    """MB left in the folder"""


def images(n: int) -> nm.data.ImageSet:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 10
    noise, patterns = rng.integers(0, 128, (n, 28, 28), np.uint8), rng.integers(0, 128, (10, 28, 28), np.uint8)
    return nm.data.ImageSet(patterns[labels] + noise, labels)


def data(train: int, test: int = 20) -> nm.data.Dataset:
    return nm.data.Dataset("patterns", images(train), images(test))


def width(size: int, folder: Path, examples: int) -> Work:
    some, config = data(examples), nm.MLPConfig(hidden=(size,))
    return lambda: nm.train(nm.MLP(config), some, nm.TrainConfig(epochs=1))


def activations(size: int, folder: Path, examples: int) -> Work:
    many, model = images(size), nm.MLP(nm.MLPConfig(hidden=(512, 256)))
    return lambda: nm.activations(model, many)


def ablation(size: int, folder: Path, examples: int) -> Work:
    many, model = images(size), nm.MLP()
    return lambda: causal.ablate_all(model, many, "layers.0.hook_post")


def recording(size: int, folder: Path, examples: int) -> Work:
    """Seconds that a training of 64 small steps takes longer when it is recorded; leaves the runs in the folder."""
    some, training = data(STEPS * 32, 400), nm.TrainConfig(epochs=1, batch_size=32)
    steps = tuple(int(step) for step in np.linspace(0, STEPS, size))
    config = nm.RecordConfig(per_octave=0, every_epoch=False, steps=steps, probe_size=200, norms_every=0)
    numbers = itertools.count()

    def train() -> float:
        start = time.process_time()
        nm.train(nm.MLP(), some, training)
        middle = time.process_time()
        nm.train(nm.MLP(), some, training, observers=[Recorder(folder / str(next(numbers)), config)])
        return time.process_time() - middle - (middle - start)

    return train


def looking(size: int, folder: Path, examples: int) -> Work:
    recording(size, folder, examples)()
    run = nm.Run.open(folder / "0")
    assert len(run.steps) == size, run.steps
    return lambda: look.first_look(run)


def seeds(size: int, folder: Path, examples: int) -> Work:
    some, one = data(examples), nm.TrainConfig(epochs=1)
    return lambda: nm.train_population(nm.MLPConfig(), some, one, seeds=range(size), order="shared")


@dataclass(frozen=True)
class Curve:
    title: str
    work: Callable[[int, Path, int], Work]
    """(size, an empty folder, training images where the size is none) -> what is measured."""
    sizes: tuple[int, ...]
    quick: tuple[int, ...] = (3, 6, 12)
    rounds: int = 3
    """0: the one call gives memory and time, and nothing is tried before it."""


CURVES = {
    "width": Curve("50 steps of 784-width-10, Adam, batch 128", width, (64, 128, 256, 512, 1024, 2048)),
    "images": Curve(
        "activations at all hook points of 784-512-256-10",
        activations,
        (1000, 2000, 4000, 8000, 16000, 32000),
        quick=(20, 40, 80),
    ),
    "images, cut": Curve(
        "ablate_all of the 128 units of 784-128-64-10", ablation, (250, 500, 1000, 2000, 4000), quick=(20, 40, 80)
    ),
    "snapshots": Curve(
        "recording 784-128-64-10 on 200 probe images, beyond the training",
        recording,
        (4, 8, 16, 32, 64),
        quick=(2, 3, 4),
    ),
    "snapshots, read": Curve(
        "the default analysis of such a run, analysis.look", looking, (4, 8, 16, 32), quick=(3,), rounds=0
    ),
    "seeds": Curve(
        'train_population(order="shared") of 784-128-64-10, 50 steps, batch 128', seeds, (1, 4, 16, 64), quick=(1, 2, 4)
    ),
}


def measured(name: str, size: int, rounds: int, examples: int) -> Point:
    work, seconds = CURVES[name].work, []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as folder:
        if rounds:
            work(SMALL, Path(first), 2 * SMALL)()  # so that what is loaded when first needed is there
        call = work(size, Path(folder), examples)
        before = peak_memory()
        seconds.append(_timed(call))
        memory = peak_memory() - before
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
        seconds += [_timed(call) for _ in range(rounds)]
    return Point(size, seconds[1:] or seconds, memory, disk)


def _timed(call: Work) -> float:
    """CPU seconds: what the call says, or what it took."""
    start = time.process_time()
    own = call()
    return own if isinstance(own, float) else time.process_time() - start


def exponent(sizes: list[int], values: list[float]) -> str:
    """The slope of the logarithms by least squares ± its standard error, and that of the last two alone."""
    kept = [(size, value) for size, value in zip(sizes, values, strict=True) if value > 0]
    if len(kept) < 3:
        return "not fitted: fewer than three points are large enough to tell"
    x, y = np.log(kept).T
    fit = stats.linregress(x, y)
    return f"{fit.slope:.2f} ± {fit.stderr:.2f}, over the last step {(y[-1] - y[-2]) / (x[-1] - x[-2]):.2f}"


def drawn(name: str, points: list[Point]) -> str:
    what = CURVES[name].title
    axis, sizes = name.split(",")[0], [point.size for point in points]
    heads = [axis, "n", "CPU ms", "range", "peak memory, MB", *(["folder, MB"] if name == "snapshots" else [])]
    rows = []
    for point in points:
        disk = [digits(point.disk)] if name == "snapshots" else []
        memory = digits(point.memory) if point.memory >= 0.1 else "< 0.1"
        rows.append([f"{point.size:,}", str(len(point.seconds)), *told(point.seconds, 1000), memory, *disk])
    fits = {
        "time": [float(np.median(point.seconds)) for point in points],
        "memory": [point.memory if point.memory >= FITTED else 0 for point in points],
        **({"folder": [point.disk for point in points]} if name == "snapshots" else {}),
    }
    words = [f"{kind}: {exponent(sizes, values)}" for kind, values in fits.items()]
    return (
        markdown(f"Against {axis}: {what}", heads, rows) + f"\n\nThe exponent of {axis} in " + "; in ".join(words) + "."
    )


def run(form: Form) -> list[str]:
    command = [sys.executable, "-m", __name__, *(["--quick"] if form.quick else [])]
    root = Path(__file__).parents[1]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=root).stdout.splitlines()
    found: dict[str, list[Point]] = {name: [] for name in CURVES}
    for line in lines:
        name, point = json.loads(line)
        found[name].append(Point(**point))
    return [drawn(name, points) for name, points in found.items()]


def main(form: Form) -> None:
    torch.set_num_threads(1)
    nm.train(nm.MLP(), data(2 * SMALL), nm.TrainConfig(epochs=1))  # with the next line loads, once for all forks,
    nm.activations(nm.MLP(), images(2 * SMALL))  # what is loaded when first needed
    for name, curve in CURVES.items():
        rounds, examples = form.pick((curve.rounds, 6400), (0, 256))
        for size in form.pick(curve.sizes, curve.quick):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                point = pool.apply(measured, (name, size, rounds, examples))
            print(json.dumps([name, asdict(point)]), flush=True)


if __name__ == "__main__":
    main(Form("--quick" in sys.argv))
