"""Small healthy documents of every kind, and the run that they are made from."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import neural_microscope as nm
from neural_microscope import phantoms, sweep
from neural_microscope.data import Dataset, ImageSet
from neural_microscope.data.idx import FILES
from neural_microscope.interop import to_hub
from neural_microscope.run import log
from neural_microscope.training import Observer, Training

ROWS = 4
"""Steps in a chunk of scalars, so that one is written in the middle of a run of `STEPS` steps."""
STEPS = 6
RECORD = nm.RecordConfig(per_octave=0, steps=(2,), probe_size=21, norms_every=2)  # snapshots at 0, 2, 3, 6
PICTURES = ("png", "png", "bmp", "gif", "pgm", "jpg", "tiff")
"""Suffixes of the pictures of each class's training folder."""


def images(count: int, seed: int, side: int = 4) -> ImageSet:
    """Noise with one bright row for each of 3 classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 120, (count, side, side))
    pixels[np.arange(count), labels] += 100
    return ImageSet(pixels.astype(np.uint8), labels.astype(np.int64), 3, "made up")


def data() -> Dataset:
    return Dataset("made up", images(90, 0), images(30, 1))


def network(seed: int = 0) -> nm.MLP:
    return nm.MLP(nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), dropout=0.3, norm="batch"), seed=seed)


CONFIG = nm.TrainConfig(epochs=2, batch_size=30, learning_rate=0.01, label_noise=0.2, seed=3)


def write(folder: Path, *observers: Observer) -> None:
    """A whole run: Adam, momentum of batch norm, dropout and label noise."""
    torch.set_num_threads(1)
    rows, log.ROWS = log.ROWS, ROWS
    try:
        nm.train(network(), data(), CONFIG, observers=[nm.Recorder(folder, RECORD), *observers])
    finally:
        log.ROWS = rows


class Stop(Observer):
    """Interrupts training after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, training: Training) -> None:
        if training.step >= self.step:
            raise KeyboardInterrupt


def stopped(folder: Path, step: int = 5) -> None:
    """A run interrupted after a step, whose last rows of scalars lie in its state file."""
    try:
        write(folder, Stop(step))
    except KeyboardInterrupt:
        return
    raise AssertionError("training went on")


def cache(folder: Path) -> None:
    _, kept = network().eval().run_with_cache(images(3, 1).tensor())
    kept.save(folder / "cache.safetensors")


def hub(folder: Path) -> None:
    write(folder.with_name(f"{folder.name}.run"))
    to_hub(nm.Run.open(folder.with_name(f"{folder.name}.run")), folder)


def swept(folder: Path) -> None:
    asked = sweep.Sweep(
        nm.MLPConfig(hidden=(4,)), data="digits", seeds=(0, 1), settings={"learning_rate": (0.001, 0.01)}
    )
    sweep.claim(asked, folder)


def record(folder: Path) -> None:
    phantoms.save(phantoms.open_record(), folder / "record.json")


def idx(folder: Path, packed: bool = False) -> None:
    made = data()
    arrays = (made.train.images, made.train.labels, made.test.images, made.test.labels)
    for name, array in zip(FILES, arrays, strict=True):
        content = (
            struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
        )
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)


def idx_gz(folder: Path) -> None:
    idx(folder, packed=True)


def pictures(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for one in ("0", "1"):
            (folder / part / one).mkdir(parents=True)
            for number, suffix in enumerate(PICTURES if part == "train" else ("png",)):
                Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(folder / part / one / f"{number}.{suffix}")


# --- an author who makes all hashes right again -----------------------------------------------------------------------------


def canonical(values: Any) -> bytes:
    return json.dumps(values, sort_keys=True).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def chained(lines: list[Any]) -> bytes:
    """A commit record whose lines follow from one another, whatever they say."""
    found, previous = b"", digest(b"")
    for values in lines:
        if isinstance(values, dict):
            values = {key: value for key, value in values.items() if key != "sha256"} | {"previous": previous}
            values["sha256"] = digest(canonical(values))
        line = canonical(values) + b"\n"
        found, previous = found + line, digest(line)
    return found


def reseal_run(folder: Path, lines: list[Any]) -> None:
    """Rewrites the commit record with the hash that each file of the run has now."""
    for line in lines:
        named = line.get("files") if isinstance(line, dict) else None
        if not isinstance(named, dict):
            continue
        for name in named:
            path = (
                folder / name
                if name.isprintable() and len(name) < 200 and not name.startswith(("/", "..", "~"))
                else folder
            )
            if path.is_file() and path.stat().st_size < 1 << 21 and path.resolve().is_relative_to(folder.resolve()):
                named[name] = digest(path.read_bytes())
    (folder / "commits.jsonl").write_bytes(chained(lines))


def reseal(content: bytes) -> bytes:
    """A document that holds its own SHA-256 in a field ``sha256``, with the right one for what it holds now."""
    found = re.search(rb'sha256\\*": *\\*"([0-9a-f]{64})', content)
    if not found:
        return content
    blank = content.replace(found[1], b"0" * 64, 1)
    return content.replace(found[1], digest(blank).encode(), 1)
