"""The work of ``microscope demo``: two networks are trained, recorded and analyzed, and the report and the explorer are written."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path

from . import explorer, files, phantoms, processes, report
from .analysis.findings import findings, judging, strongest
from .analysis.findings.summary import GENERAL
from .analysis.look import FirstLook, looking
from .config import CNNConfig, MLPConfig, NetworkConfig, TrainConfig
from .data import Dataset, load, load_or_digits
from .data.published import KNOWN
from .errors import RunError
from .models import build
from .recording import Recorder, resume
from .run import Run, commits
from .training import Telling, train

Tell = Callable[[str, int, int, str], None]
"""tell(activity, done, total, state): for a progress bar."""

_COMMON = TrainConfig(optimizer="adamw", schedule="cosine", weight_decay=0.1)
FULL: dict[str, tuple[NetworkConfig, TrainConfig]] = {
    "mlp": (MLPConfig(), replace(_COMMON, epochs=8, learning_rate=2e-3)),
    "cnn": (CNNConfig(), replace(_COMMON, epochs=3, learning_rate=3e-3, warmup_steps=100)),
}
SHORT_SHARE = 6


def run(
    out: Path,
    name: str,
    seed: int,
    short: bool,
    *,
    show: Callable[[str], None],
    bars: AbstractContextManager[Tell],
    seeds: int = 1,
) -> tuple[list[FirstLook], list[Path], list[str]]:
    """(claims about each network, the paths of the report and the explorer, notes about the data).

    The two networks are trained in parallel; analysis and drawing are done by the same two processes, on one
    thread each. With ``seeds`` networks of each kind, the pages show the first of each, and the claims count over all.
    """
    given = None if name in KNOWN else load(name)  # a wrong name fails before a folder is made
    for page in ("explorer.html", "report.html"):
        files.writable(out / page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the warning is the data's note, printed here and at the end
        data = load_or_digits(name) if given is None else given
    if data.note:
        show(f"NOTE: {data.note}")
    if short:
        few = slice(0, max(1, len(data.train) // SHORT_SHARE))
        note = f"short form: one epoch on {len(data.train) // SHORT_SHARE:,} training images; the full form is more accurate"
        data = Dataset(data.name, data.train.subset(few), data.test, f"{data.note} {note}".strip())
    configs = {
        (kind, turn): config for turn in range(seeds) for kind, config in settings(data, seed + turn, short).items()
    }
    places = {(kind, turn): out / (f"{kind}-{seed + turn}" if turn else kind) for kind, turn in configs}
    for one, config in configs.items():
        found(places[one], *config, data)
    work = {
        kind.upper() + (f" seed {seed + turn}" if turn else ""): _work(
            places[kind, turn], *config, data, drawn=not turn
        )
        for (kind, turn), config in configs.items()
    }
    with bars as bar:
        sections = Counter[str]()

        def tell(kind: str, what: str, done: int = 0, total: int = 0, state: str = "") -> None:
            if what == "drawing":  # sections are done in any order
                sections[kind] += done
                done = sections[kind]
            if total:
                bar(f"{kind}: {what}", done, total, state)
            else:
                show(what)

        seen = processes.side_by_side(work, tell)
    show("writing the pages")
    looks = [look for look, _ in seen.values()]
    drawn = {kind: inside for kind, (_, inside) in seen.items() if inside}
    pages = [
        explorer.write(looks, out / "explorer.html"),
        report.compose(looks, out / "report.html", calibration=phantoms.open_record(), drawn=drawn),
    ]
    return looks, pages, [data.note] if data.note else []


def _work(
    folder: Path, network: NetworkConfig, training: TrainConfig, data: Dataset, *, drawn: bool
) -> processes.Steps:
    """One network: trained if necessary, analyzed, and its part of the report drawn if it has one."""
    yield [partial(trained, folder, network, training, data)]
    run = Run.open(folder)
    look = yield from (looking(run, keep=True) if drawn else judging(run))
    return look, ((yield from report.drawing(look)) if drawn else {})


def settings(data: Dataset, seed: int, short: bool) -> dict[str, tuple[NetworkConfig, TrainConfig]]:
    """Network and training of the MLP and the CNN, fitted to the data: small sets get more epochs."""
    fitted: dict[str, tuple[NetworkConfig, TrainConfig]] = {}
    for kind, (network, training) in FULL.items():
        epochs = 1 if short else training.epochs * max(1, round(10_000 / len(data.train)))
        warmup = min(training.warmup_steps, len(data.train) * epochs // training.batch_size // 4)
        fitted[kind] = (
            replace(network, image_shape=data.image_shape, classes=data.classes),
            replace(training, epochs=epochs, seed=seed, warmup_steps=warmup),
        )
    return fitted


def told(looks: list[FirstLook]) -> list[str]:
    """Test accuracies, then the claims on the report's cards, the clearest first."""
    claims = findings(looks)
    accuracies = [claim for claim in claims if claim.rule == GENERAL and claim.shown]
    return [f"{claim.where}: {claim.sentence}" for claim in accuracies + strongest(claims)]


def found(folder: Path, network: NetworkConfig, training: TrainConfig, data: Dataset) -> Run | None:
    """The run with exactly these settings in a folder; None if one can start. A RunError if the folder holds anything else."""
    if not commits.read(folder).snapshots:  # nothing, or the beginning of a run, which starts over
        Recorder(folder).claim()
        return None
    run = Run.open(folder)
    if not run.made_from(network, training, data):
        raise RunError(
            f"{run.folder} holds a run with other settings than this demo's; choose another folder with --out"
        )
    return run


def trained(
    folder: Path, network: NetworkConfig, training: TrainConfig, data: Dataset, tell: Callable[..., None]
) -> None:
    """A finished run with exactly these settings: found, continued, or trained."""
    bar, run = Telling("training", tell), found(folder, network, training, data)
    if run is None:
        train(build(network, training.seed), data, training, observers=[Recorder(folder), bar])
    elif run.status == "finished":
        tell(f"{folder}: already trained")
    else:
        tell(f"{folder}: continuing at step {run.steps[-1]}")
        resume(folder, data=data, observers=[bar])
