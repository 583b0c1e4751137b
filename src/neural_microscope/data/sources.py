"""Whatever holds images and labels, as a `Dataset`: which reader it needs, which parts it has, and what is held out of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import DataError, unknown
from ..files import place, shown
from . import emnist, idx, pictures, samples, tables
from .convert import together
from .imageset import Dataset
from .published import KNOWN
from .reading import Columns, Part, Reading

BOTH = ("train", "test")


def read(source: Any, test: Any, columns: Columns, reading: Reading) -> Dataset:
    """The data set in ``source``, with ``test`` as its test part or the share of it."""
    if isinstance(source, str | os.PathLike):
        path = _path(source)
        name = shown(path.resolve().name.removesuffix(path.suffix if path.is_file() else ""))
        whole = _folder(path, name, test, columns, reading) if path.is_dir() else None
        if whole is not None:
            return whole
    else:
        name = "arrays" if isinstance(source, tuple | list | Mapping) else type(source).__name__
    parts = _parts(source, columns, reading)
    if test is not None and not isinstance(test, float):
        more = _parts(test, columns, reading)
        if [*parts, *more] != ["", ""]:
            raise DataError(
                f"{name} has the parts {', '.join(parts)}, and test= comes with another; give one test part"
            )
        parts = {"train": parts[""], "test": more[""]}
    if isinstance(test, float) or "" in parts:
        return _held_out(parts, test, name, reading)
    missing = [part for part in BOTH if part not in parts]
    if missing:
        raise DataError(f"{name} has no {missing[0]} part; it has {', '.join(parts)}")
    found, changes = together([parts[part] for part in BOTH], reading, [f"{name} {part}" for part in BOTH])
    _warn(changes)
    return Dataset(name, found[0], found[1], changes=changes)


def _path(source: str | os.PathLike[str]) -> Path:
    path = place(Path(source).expanduser())
    a_word = isinstance(source, str) and path.name == source
    if a_word and not (source and (path.exists() or emnist.splits(path))):  # Path("") would be the working folder
        raise unknown("data set", source, [*KNOWN, "digits"], "(or pass the path of a folder or a file)")
    return path


def _folder(path: Path, name: str, test: Any, columns: Columns, reading: Reading) -> Dataset | None:
    """The data set of a folder whose readers need no conversion; None for any other."""
    four = any(idx.find(path, file) for file in idx.FILES)
    if not four and (emnist.splits(path) or pictures.is_one_part(path) or columns.unlabeled):
        return None
    if pictures.is_such(path):
        made = pictures.read_pictures(path, name)
    elif four or not any(path.glob("*.[cn][sp][vz]")):
        made = idx.read_folder(path, name)
    else:
        return None
    said = columns != Columns() and not columns.unlabeled
    if test is not None or said or replace(reading, class_names=()) != Reading():
        raise DataError(f"{path} has both parts, and is read in one way: leave out all arguments but class_names")
    if columns.unlabeled:
        bare: dict[str, Any] = {part: replace(getattr(made, part), labels=None, task=None) for part in BOTH}
        return replace(made, **bare)
    if not reading.class_names:
        return made
    parts: dict[str, Any] = {part: replace(getattr(made, part), class_names=reading.class_names) for part in BOTH}
    return replace(made, **parts)


def _parts(source: Any, columns: Columns, reading: Reading) -> dict[str, Part]:
    """The parts of a source by name: "train" and "test", or one called ""; without labels where that was asked for."""
    found = _parts_of(source, columns, reading)
    for part in found.values():
        if columns.unlabeled and part.labels is not None:
            part.labels, part.class_names = None, ()
            part.changes.append("labels were left out, as asked by label=False")
    return found


def _parts_of(source: Any, columns: Columns, reading: Reading) -> dict[str, Part]:
    if isinstance(source, str | os.PathLike):
        return _file(_path(source), columns)
    if isinstance(source, Mapping) and {*BOTH} <= {*source}:
        found = {}
        for part in BOTH:
            one = _parts(source[part], columns, reading)
            if [*one] != [""]:
                raise DataError(f"the {part} part holds {', '.join(one)}; it needs one set of images and labels")
            found[part] = one[""]
        _left_out(found["train"], [key for key in source if key not in BOTH])
        return found
    if isinstance(source, Mapping):
        return tables.named_parts(source, "the arrays", columns)
    if hasattr(source, "columns") and hasattr(source, "dtypes"):
        return {"": tables.read_frame(source, columns)}
    if columns.targets:
        raise DataError(
            "targets= names columns of a table; of arrays, task= makes the second of (images, targets) targets"
        )
    if isinstance(source, np.ndarray | Tensor) and columns.unlabeled:
        return {"": Part(source, None)}
    if isinstance(source, tuple | list) and len(source) == 2:
        if all(isinstance(part, tuple | list) and len(part) == 2 for part in source) and (
            source[1][1] is None or np.ndim(source[1][1])
        ):
            return {name: Part(*part) for name, part in zip(BOTH, source, strict=True)}
        if columns.unlabeled and source[1] is not None and np.ndim(source[1]) > 1:
            raise DataError(
                "two arrays came with label=False: pass the images alone, and test= with those of the test part"
            )
        return {"": Part(*source)}
    if samples.is_such(source) and not isinstance(source, np.ndarray | Tensor):
        return {"": samples.read_samples(source, reading.transpose, columns.unlabeled)}
    way = (
        ": its labels must come with it, as (images, labels); label=False if there are none"
        if isinstance(source, np.ndarray | Tensor)
        else ""
    )
    way = way or (": take its dataset" if hasattr(source, "dataset") else "")
    raise DataError(
        f"a {type(source).__name__} came{way or '; a source is a name, a path, (images, labels), a data frame, or a data set of pairs'}"
    )


def _left_out(part: Part, names: list[Any]) -> None:
    if names:
        part.changes.append(f"left out: {', '.join(map(str, names))}")


def _file(path: Path, columns: Columns) -> dict[str, Part]:
    if emnist.splits(path):
        return emnist.read(path)
    if (
        path.is_dir()
        and columns.unlabeled
        and not columns.targets
        and (pictures.is_such(path) or pictures.is_one_part(path))
    ):
        return pictures.read_unlabeled(path)
    if path.is_dir():
        return (
            {"": pictures.read_part(path, columns)} if pictures.is_one_part(path) else _folder_of_files(path, columns)
        )
    if not os.path.lexists(path):
        raise DataError(f"there is no folder {path}" if not path.suffix else f"there is no {path}")
    kind = path.suffix.lower()
    if kind == ".csv":
        return {"": tables.read_csv(path, columns)}
    if kind == ".npz":
        return tables.named_parts(tables.read_npz(path), path.name, columns)
    raise DataError(
        f"{path} is none of the files that are read: npz, csv, or folders of pictures or IDX files (MNIST's own form)"
    )


def _folder_of_files(folder: Path, columns: Columns) -> dict[str, Part]:
    """The parts of a folder of npz or CSV files."""
    npz, csv = sorted(folder.glob("*.npz")), sorted(folder.glob("*.csv"))
    if any(path.name.endswith("-train-imgs.npz") for path in npz):
        return tables.kuzushiji(folder)
    if len(npz) == 1 and not csv:
        return _file(npz[0], columns)
    found = {part: [path for path in csv if part in path.stem.lower()] for part in BOTH}
    if not npz and len(csv) == 2 and all(len(paths) == 1 for paths in found.values()):
        return {part: tables.read_csv(paths[0], columns) for part, paths in found.items()}
    held = ", ".join(path.name for path in [*npz, *csv][:8])
    raise DataError(f"{folder} holds {held}: pass the path of one, and test= for the other part")


def _held_out(parts: Mapping[str, Part], test: Any, name: str, reading: Reading) -> Dataset:
    """One part, with a share of each class held out of it."""
    if [*parts] != [""]:
        raise DataError(f"{name} has the parts {', '.join(parts)}; leave test= out")
    if test is None:
        raise DataError(
            f"{name} has one part: pass test= with a test part, or test=0.2 to hold out a fifth of each class"
        )
    if not 0 < test < 1:
        raise DataError(f"test is {test:g}; a share lies between 0 and 1")
    (whole,), changes = together([parts[""]], reading, [name])
    order = np.random.default_rng(0).permutation(len(whole))
    rank = np.empty(len(whole), np.int64)
    groups = whole._groups  # the classes, or one group where there are none
    for c in np.unique(groups):
        of_class = order[groups[order] == c]
        rank[of_class] = np.arange(len(of_class))
    held = rank < np.round(test * np.bincount(groups))[groups]
    if held.all() or not held.any():
        raise DataError(f"test={test:g} of {len(whole)} images leaves one part empty; pass another share")
    made = [replace(whole.subset(rows), name=f"{name} {part}") for rows, part in ((~held, "train"), (held, "test"))]
    share = f"{test:.0%}{' of each class' if whole.classes else ''}"
    changes += (f"{held.sum():,} of {len(whole):,} images, {share}, were held out for testing",)
    _warn(changes)
    return Dataset(name, made[0], made[1], changes=changes)


def _warn(changes: tuple[str, ...]) -> None:
    for change in changes:
        if change.startswith("left out"):
            warnings.warn(change, UserWarning, stacklevel=5)
