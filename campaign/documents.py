"""Every document that the package reads, with a healthy example, its mutations, and its reader."""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]

import neural_microscope as nm
from neural_microscope import explorer, phantoms, report, sweep
from neural_microscope.data import Dataset, load
from neural_microscope.data.idx import FILES
from neural_microscope.interop import from_hub

from . import examples, mutations
from .mutations import Chance

Change = Callable[[bytes, Chance], bytes]


@dataclass(frozen=True)
class Document:
    """One kind of document."""

    build: Callable[[Path], None]
    """Makes a healthy example in a folder."""
    read: Callable[[Path], Any]
    """Reads it, as plain data."""
    files: tuple[str, ...]
    """Patterns of the files that are damaged."""
    structured: Change | None = None
    """A change that keeps the form of the file and changes what it says."""
    seal: Callable[[Path, Path], None] | None = None
    """Makes the hashes right again after a change, as a hostile author would: (folder, changed file)."""
    checked: bool = True
    """True if the form holds hashes or checksums, so that damage can be detected."""
    expected: Callable[[Path], Any] | None = None
    """Another reader, for files without hashes: what the bytes say."""
    writes: bool = False
    """True if reading it writes into its folder."""
    alone: bool = False
    """True if the user names the very file, so that a link in its place is theirs."""
    share: float = 1.0
    """Mutations, against the other documents'."""
    seconds: float = 2.0


# --- reading ----------------------------------------------------------------------------------------------------------------


def whole_run(folder: Path) -> Any:
    """All that can be read from a run."""
    run = nm.Run.open(folder)
    found: dict[str, Any] = {"status": run.status, "steps": run.steps, "description": run.description}
    found |= {"probe": run.probe.images, "labels": run.probe.labels, "indices": run.probe_indices}
    groups: dict[str, xr.Dataset] = {"log": run.log, "training": run.training, "gradients": run.gradients}
    for group, held in groups.items():
        found |= {f"{group} {name}": variable.to_numpy() for name, variable in held.variables.items()}
    for step in run.steps:
        found |= {f"{step} {name}": tensor.numpy() for name, tensor in run.weights(step).items()}
    for point in run.hook_points:
        found[f"activations {point}"] = run.activations(point).to_numpy()
    return found


def verified(folder: Path) -> Any:
    """ "healthy", or an error of verify's own words: damage is what it is there to tell."""
    problems = nm.Run.open(folder).verify() if (folder / "run.json").is_file() else []
    problems = problems or nm.run.verify(folder)
    if problems:
        raise nm.errors.RunError("; ".join(f"{folder / p.path}: {p.what}" for p in problems))
    return "healthy"


def resumed(folder: Path) -> Any:
    """The content of a run after it was resumed, without times. A training that goes on without end is cut."""
    with suppress(KeyboardInterrupt):
        nm.resume(folder, data=examples.data(), observers=[examples.Stop(10 * examples.STEPS)])
    found = whole_run(folder)
    return {name: value for name, value in found.items() if "seconds" not in name and name != "description"}


def reported(folder: Path) -> Any:
    """A report and an explorer page, of which only that they are made counts."""
    for write, name in ((report.write, "report.html"), (explorer.write, "explorer.html")):
        write([nm.Run.open(folder)], folder / "pages" / name)
    return "made"


def cached(folder: Path) -> Any:
    kept = nm.ActivationCache.load(folder / "cache.safetensors")
    return {
        "tensors": {name: tensor.numpy() for name, tensor in kept.items()},
        "points": kept.hook_points,
        "mode": kept.training,
    }


def hubbed(folder: Path) -> Any:
    model = from_hub(folder)
    return {"config": repr(model.config), "seed": model.seed} | {
        name: t.numpy() for name, t in model.state_dict().items()
    }


def swept(folder: Path) -> Any:
    asked = sweep.read(folder)
    return json.dumps(asked.to_json()), [str(job) for job in sweep.plan(asked)]


def recorded(folder: Path) -> Any:
    return phantoms.open_record(folder / "record.json").to_dict()


def loaded(folder: Path) -> Any:
    """The pictures of a folder; that they are sound is asked here, since their files can't say whether they are the same."""
    found: Dataset = load(str(folder))
    for part in (found.train, found.test):
        assert part.images.dtype == np.uint8
        assert part.labels.dtype == np.int64
        assert len(part.images) == len(part.labels) > 0
        assert 0 <= part.labels.min() <= part.labels.max() < part.classes
    return [found.train.images, found.train.labels, found.test.images, found.test.labels]


def by_struct(folder: Path) -> Any:
    """Four IDX files as their headers say, by nothing of the package."""
    found = []
    for name in FILES:
        path = folder / name
        content = path.read_bytes() if path.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, 4)
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
        found.append(values if axes == 3 else values.astype(np.int64))
    return found


# --- sealing ----------------------------------------------------------------------------------------------------------------


def seal_run(folder: Path, path: Path) -> None:
    with suppress(ValueError, OSError, RecursionError):
        examples.reseal_run(folder, [json.loads(line) for line in (folder / "commits.jsonl").read_bytes().splitlines()])


def seal_own(folder: Path, path: Path) -> None:
    path.write_bytes(examples.reseal(path.read_bytes()))


def seal_hub(folder: Path, path: Path) -> None:
    config = folder / "config.json"
    if path.name == "model.safetensors":
        about = json.loads(config.read_bytes())
        about["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        config.write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    seal_own(folder, config)


# --- changes that keep a form -----------------------------------------------------------------------------------------------


def as_commits(content: bytes, chance: Chance) -> bytes:
    """One line of a commit record with another value, or lines lost, doubled or moved; whoever seals makes the chain again."""
    lines = [json.loads(line) for line in content.splitlines()]
    at = chance.randrange(len(lines))
    match chance.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[chance.randrange(len(lines))])
        case 2:
            chance.shuffle(lines)
        case _:
            lines[at] = mutations.changed(lines[at], chance)
    return b"".join(mutations.dumped(line, sort_keys=True) + b"\n" for line in lines)


_BOMB = bytes(Zstd(level=1).encode(bytes(1 << 26)))


def as_chunk(content: bytes, chance: Chance) -> bytes:
    """A chunk of another size, of other values, or of a frame whose header lies."""
    match chance.randrange(4):
        case 0:
            return _BOMB
        case 1:
            return bytes(Zstd(level=1, checksum=True).encode(chance.randbytes(chance.choice((1, 8, 24, 120, 4096)))))
        case 2:
            return content[:4] + chance.randbytes(9) + content[13:]
        case _:
            return bytes(Zstd(level=1).encode(bytes(8))) + content


_RUN = {"build": examples.write, "read": whole_run, "share": 0.5}
_TENSORS = ("probe.safetensors", "weights/*", "state/*")
_STOPPED = ("run.json", "commits.jsonl", *_TENSORS, "log.zarr/*")


def as_run(content: bytes, chance: Chance) -> bytes:
    """By the form that the file has."""
    if content.startswith(b"\x28\xb5\x2f\xfd"):
        return as_chunk(content, chance)
    if content[8:9] == b"{":
        return mutations.as_tensors(content, chance)
    lines = content.count(b'"previous"')
    return as_commits(content, chance) if lines else mutations.as_json(content, chance)


def _both(name: str, **about: Any) -> dict[str, Document]:
    """A document with plain damage, and by an author who makes its hashes right."""
    seal = about.pop("seal")
    return {name: Document(**about), f"{name}, resealed": Document(**about, seal=seal)}


DOCUMENTS: dict[str, Document] = {
    **_both("run.json", **_RUN, files=("run.json",), structured=mutations.as_json, seal=seal_run),
    **_both("commits.jsonl", **_RUN, files=("commits.jsonl",), structured=as_commits, seal=seal_run),
    **_both("zarr metadata", **_RUN, files=("*/zarr.json",), structured=mutations.as_json, seal=seal_run),
    **_both("chunks", **_RUN, files=("*/c.*",), structured=as_chunk, seal=seal_run),
    **_both("tensors", build=examples.stopped, read=whole_run, files=_TENSORS, structured=mutations.as_tensors, seal=seal_run, share=0.5),
    "verify": Document(examples.write, verified, ("*",), as_run, share=0.2),
    "verify, resealed": Document(examples.write, verified, ("*",), as_run, seal_run, share=0.2),
    **_both("resume", build=examples.stopped, read=resumed, files=_STOPPED, structured=as_run, seal=seal_run, writes=True, share=0.1),
    "report and explorer, resealed": Document(
        examples.write, reported, ("run.json", *_TENSORS, "log.zarr/*"), as_run, seal_run, writes=True, share=0.001, seconds=60
    ),
    **_both("cache", build=examples.cache, read=cached, files=("*.safetensors",), structured=mutations.as_tensors, seal=seal_own,
            alone=True, share=3),
    **_both("hub: config", build=examples.hub, read=hubbed, files=("config.json",), structured=mutations.as_json, seal=seal_hub, share=3),
    **_both("hub: weights", build=examples.hub, read=hubbed, files=("model.*",), structured=mutations.as_tensors, seal=seal_hub, share=3),
    **_both("sweep.json", build=examples.swept, read=swept, files=("sweep.json",), structured=mutations.as_json, seal=seal_own, share=3),
    **_both("calibration record", build=examples.record, read=recorded, files=("record.json",), structured=mutations.as_json,
            seal=seal_own, alone=True, share=2),
    "IDX": Document(examples.idx, loaded, ("*",), mutations.as_idx, checked=False, expected=by_struct, share=3),
    "IDX, gzipped": Document(examples.idx_gz, loaded, ("*",), mutations.as_gzip, checked=False, expected=by_struct, share=3),
    "pictures": Document(examples.pictures, loaded, ("*",), mutations.as_picture, checked=False, share=2),
}  # fmt: skip


# --- one case ---------------------------------------------------------------------------------------------------------------


def files(folder: Path, patterns: Iterable[str]) -> list[str]:
    held = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "run.lock")
    return [name for name in held if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def mutate(
    document: Document, folder: Path, outside: Path, held: list[str], chance: Chance
) -> tuple[set[str], str, bool]:
    """Damages the example in ``folder``: (the files, what was done, whether other data would be right)."""
    name = chance.choice(held)
    path = folder / name
    content = path.read_bytes()
    kind = chance.random()
    if kind < 0.12:
        what = mutations.replaced(path, outside, chance)
        return {name}, f"{name}: {what}", what == "nothing" and not document.checked
    touched = {name}
    if kind < 0.17 and len(held) > 1:
        other = chance.choice(held)
        path.write_bytes((folder / other).read_bytes())
        (folder / other).write_bytes(content)
        what = f"swapped with {other}"
        touched.add(other)
    elif document.structured and kind < (0.85 if document.seal else 0.5):
        path.write_bytes(document.structured(content, chance))
        what = document.structured.__name__
    else:
        change = chance.choice(mutations.BYTES)
        path.write_bytes(change(content, chance))
        what = change.__name__
    if document.seal:
        document.seal(folder, path)
        touched |= {"commits.jsonl", "config.json"}
    return touched, f"{name}: {what}", document.seal is not None or not document.checked


def fingerprint(data: Any) -> str:
    """Of plain data: equal where they are equal to the bit."""
    found = hashlib.sha256()
    waiting = [data]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [part for key in sorted(one, key=str) for part in (str(key), one[key])]
        elif isinstance(one, list | tuple):
            waiting += [f"[{len(one)}]", *one]
        elif isinstance(one, np.ndarray):
            found.update(f"{one.dtype}{one.shape}".encode() + one.tobytes())
        else:
            found.update(repr(one).encode())
    return found.hexdigest()


def chance_of(name: str, seed: int) -> Chance:
    return random.Random(f"{name}:{seed}")


def killed_while_writing(data: Any, healthy: Any) -> bool:
    """True for the beginning of a run, as a killed writer leaves it."""
    if not (isinstance(data, dict) and "steps" in data and data["status"] == "running"):
        return False
    return bool(data["steps"] == healthy["steps"][: len(data["steps"])])
