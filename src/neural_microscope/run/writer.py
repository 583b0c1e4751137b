"""Writing a run folder: create, add a snapshot, stop, go on. One writer at a time; nothing committed is written again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..data import ImageSet
from ..errors import RunError
from . import commits, log
from .commits import Commit
from .verify import verify

KEPT_STATES = 2
"""States for exact resume that stay on disk: the last snapshot's, and one to fall back on."""


class RunWriter:
    """Holds the folder's lock from `create` or `reopen` until `close`."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.lock = lock
        self.fresh: dict[str, str] = {}  # files written since the last commit
        self.states: list[str] = []
        self.log: log.LogWriter

    @classmethod
    def create(
        cls,
        folder: str | Path,
        description: Mapping[str, Any],
        probe: ImageSet,
        probe_indices: np.ndarray,
        groups: Mapping[str, Mapping[str, log.ArraySpec]],
        coordinates: Mapping[str, np.ndarray],
    ) -> RunWriter:
        """A new run folder. One that exists and is not empty is refused: a recorded run is never overwritten."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        writer = cls(folder, _lock(folder))
        try:
            others = sorted(p.name for p in folder.iterdir() if p.name != "run.lock")
            if others:
                raise RunError(
                    f"{folder} is not empty (it holds {others[0]}): give a new folder, or continue with `microscope resume {folder}`"
                )
            writer._write("run.json", json.dumps(description, indent=1, sort_keys=True).encode())
            writer._write("probe.safetensors", _probe_bytes(probe, probe_indices))
            log.create(
                folder / "log.zarr",
                groups,
                {"title": "neural-microscope run", "format_version": description["format_version"]},
            )
            writer.log = log.LogWriter(folder / "log.zarr")
            for path in sorted((folder / "log.zarr").rglob("zarr.json")):
                writer._note(path.relative_to(folder).as_posix())
            for name, values in coordinates.items():
                writer.write(name, 0, values)
            writer._commit(Commit("created"))
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def reopen(cls, folder: str | Path) -> tuple[RunWriter, Commit]:
        """An existing run, taken back to its last whole snapshot. Damage that can't be redone is a RunError that names the file."""
        folder = Path(folder)
        if not (folder / "run.json").exists():
            raise RunError(f"{folder} is not a run folder: it has no run.json")
        writer = cls(folder, _lock(folder))
        try:
            record = _last_whole(folder)
            _truncate(folder, record.length)
            current = record.files()
            writer.states = [path for path in current if path.startswith("state/")]
            for path in folder.rglob("*"):
                relative = path.relative_to(folder).as_posix()
                if path.suffix == ".partial" or (relative.startswith("state/") and relative not in current):
                    path.unlink()
            writer.log = log.LogWriter(folder / "log.zarr")
        except BaseException:
            writer.close()
            raise
        return writer, record.commits[-1]

    def write(self, name: str, chunk: int, values: Any) -> None:
        """One chunk of one array of the log."""
        self._note(f"log.zarr/{self.log.write(name, chunk, values)}")

    def snapshot(
        self,
        index: int,
        step: int,
        rows: int,
        arrays: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        status: str,
    ) -> None:
        """Puts snapshot number ``index`` on disk; it counts from the moment its line is in the commit record."""
        for name, values in arrays.items():
            self.write(name, index, np.asarray(values)[None])
        self._write(f"weights/{step:08d}.safetensors", _tensor_bytes(weights))
        path = f"state/{step:08d}.safetensors"
        self._write(path, _tensor_bytes(state))
        self.states = [*(p for p in self.states if p != path), path]
        old, self.states = self.states[:-KEPT_STATES], self.states[-KEPT_STATES:]
        self._commit(Commit("snapshot", index + 1, step, rows, status, removed=tuple(old)))
        for gone in old:
            (self.folder / gone).unlink(missing_ok=True)

    def stop(self, last: Commit, rows: int, status: str) -> None:
        """Commits how a run ended that did not finish."""
        self._commit(Commit("stopped", last.snapshots, last.step, rows, status))

    def close(self) -> None:
        self.lock.release()

    def _write(self, name: str, content: bytes) -> None:
        """A whole file or none: written beside its place, then moved there."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_bytes(content)
        os.replace(partial, path)
        self._note(name)

    def _note(self, name: str) -> None:
        self.fresh[name] = commits.sha256(self.folder / name)

    def _commit(self, commit: Commit) -> None:
        self.last = Commit(**{**commit.__dict__, "files": dict(self.fresh)})
        commits.append(self.folder, self.last, datetime.now(UTC).isoformat(timespec="seconds"))
        self.fresh.clear()


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"{folder} is being written by another process; wait for it, or choose another folder") from None
    return lock


def _last_whole(folder: Path) -> commits.Record:
    """The commit record up to the last snapshot whose files are all as they were written."""
    record = commits.read(folder)
    if record.problem and not record.torn:
        raise RunError(
            f"{folder}/{commits.NAME} is {record.problem}; the run can't be continued"
            if not record.commits
            else _damaged(folder, record.problem)
        )
    if not any(commit.kind == "snapshot" for commit in record.commits):
        raise RunError(f"{folder} holds no whole snapshot to go on from; delete the folder and train again")
    damage = [p.path for p in verify(folder, record) if p.kind == "damage"]
    recent = {path for commit in record.commits[-1:] for path in commit.files}
    if damage and set(damage) <= recent and sum(c.kind == "snapshot" for c in record.commits[:-1]):
        return _without_last(folder, record)
    if damage:
        raise RunError(_damaged(folder, ", ".join(damage)))
    return record


def _damaged(folder: Path, what: str) -> str:
    return f"{folder} is damaged ({what}) in what was recorded earlier: it can be read, but not continued. `microscope verify {folder}` lists it"


def _without_last(folder: Path, record: commits.Record) -> commits.Record:
    lines = (folder / commits.NAME).read_bytes().splitlines(keepends=True)[: len(record.commits) - 1]
    return commits.Record(record.commits[:-1], sum(map(len, lines)))


def _truncate(folder: Path, length: int) -> None:
    path = folder / commits.NAME
    if path.stat().st_size != length:
        with path.open("r+b") as file:
            file.truncate(length)


def _tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _probe_bytes(probe: ImageSet, indices: np.ndarray) -> bytes:
    return safetensors.numpy.save(
        {"images": np.ascontiguousarray(probe.images), "labels": probe.labels, "indices": indices},
        metadata={"classes": str(probe.classes), "name": probe.name},
    )
