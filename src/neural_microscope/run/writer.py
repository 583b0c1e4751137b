"""Writing a run folder: create, add a snapshot, stop, continue. One writer at a time; committed files are never rewritten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from .. import documents, files
from ..data import ImageSet
from ..errors import RunError
from . import beginning, commits, description, log
from .commits import Commit, Record
from .rows import Rows
from .verify import LOCK, difference, present

KEPT_STATES = 2
"""States for exact resume that stay on disk unless all are kept: the last snapshot's, and one as a fallback."""


class RunWriter:
    """A writer that holds the folder's lock from `create` or `reopen` until `close`.

    Args:
        folder: A run folder.
        lock: Its lock, held.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.lock = lock
        self.record = Record((), ())
        self.chain = self.record.chain
        self.fresh: dict[str, str] = {}  # files written since the last commit
        self.states: list[str] = []
        self.keep_states = False
        """True to keep the states of all snapshots on disk."""
        self.arrays: dict[str, log.Array] = {}

    @classmethod
    def create(
        cls,
        folder: str | Path,
        about: Mapping[str, Any],
        probe: ImageSet,
        probe_indices: np.ndarray,
        groups: Mapping[str, Mapping[str, log.ArraySpec]],
        coordinates: Mapping[str, np.ndarray],
    ) -> RunWriter:
        """A writer for a new run folder, or one in which a killed writer recorded nothing.

        Args:
            folder: Folder to create.
            about: Content of run.json.
            probe: Images whose activations will be recorded.
            probe_indices: Their indices in the test set, [example].
            groups: Every array of the log, as of `Layout.groups`.
            coordinates: Values of the arrays written now, as of `Layout.coordinates`.

        Raises:
            RunError: A folder that holds anything else; a recorded run is never overwritten.
        """
        writer = cls.claim(folder)
        folder = writer.folder
        try:
            beginning.remove(folder, beginning.leftovers(folder))
            writer._write("run.json", _readable(json.dumps(about, indent=1).encode(), folder / "run.json"))
            writer._write("probe.safetensors", _probe_bytes(probe, probe_indices))
            attributes = {"title": "neural-microscope run", "format_version": about["format_version"]}
            with files.naming(folder / "log.zarr"):
                writer.arrays = log.create(folder / "log.zarr", groups, attributes)
                for path in sorted((folder / "log.zarr").rglob("zarr.json")):
                    writer._note(path)
            for name, values in coordinates.items():
                writer.write(name, 0, values)
            writer._commit(Commit("created"))
        except BaseException:
            writer._undo_create()
            raise
        return writer

    @classmethod
    def claim(cls, folder: str | Path) -> RunWriter:
        """A writer that holds the lock of a folder in which a run can begin; the folder is created.

        Args:
            folder: Folder to create.

        Raises:
            RunError: No run can begin there, with the reason.
        """
        folder = Path(folder).absolute()
        try:
            files.place(folder)
            beginning.leftovers(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder} can't be created: {error.strerror}; give another folder") from None
        writer = cls(folder, _lock(folder))
        try:
            beginning.leftovers(folder)  # again: another writer may have run before we held the lock
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def reopen(cls, folder: str | Path) -> RunWriter:
        """A writer for an existing run, at its last complete snapshot (`record`).

        Nothing is changed before `take_back`. The caller sets ``arrays``, the arrays to write to.

        Args:
            folder: A run folder.

        Raises:
            RunError: Damage that can't be repaired by recording again, or a link in a file's place, by name.
        """
        folder = files.place(folder).absolute()
        if not (folder / commits.NAME).exists():
            raise RunError(f"{folder} is not a run folder, or nothing was recorded in it: it has no {commits.NAME}")
        present(folder)
        writer = cls(folder, _lock(folder))
        try:
            writer.record = _last_whole(folder)
        except BaseException:
            writer.close()
            raise
        return writer

    def take_back(self) -> None:
        """Restores the folder to `record`: truncates what comes after it and deletes the files that it does not name."""
        with (self.folder / commits.NAME).open("r+b") as file:
            file.truncate(self.record.length)
        current = self.record.files()
        for name, kind in list(files.walk(self.folder)):
            if kind == "file" and name not in current and self._makes(name.removesuffix(".partial")):
                (self.folder / name).unlink()
        self.chain = self.record.chain
        self.states = [path for path in current if path.startswith("state/")]
        self.fresh.clear()

    def _makes(self, path: str) -> bool:
        """True if this run's writer adds a file of that path after creation."""
        log_path = path.removeprefix("log.zarr/")
        return bool(commits.WRITTEN.fullmatch(path)) and (
            log_path == path or log_path.rpartition("/")[0] in self.arrays
        )

    def write(self, name: str, chunk: int, values: Any) -> None:
        """Writes one chunk of one array of the log.

        Args:
            name: The array's path in the log.
            chunk: Number of the chunk along the first axis.
            values: Its rows.

        Raises:
            RunError: Values that do not fit the array.
        """
        array = self.arrays[name]
        try:
            content = array.packed(values)
        except ValueError as error:
            raise RunError(
                f"{self.folder / 'log.zarr' / name} was created for another network or other data: {error}"
            ) from None
        self._write(f"log.zarr/{array.path(chunk)}", content)

    def rows(self, group: str, columns: Sequence[str]) -> Rows:
        """A table whose rows become chunks of these arrays of the log.

        Args:
            group: ``training`` or ``gradients``.
            columns: Names of the arrays in the group.
        """
        length = min((self.arrays[f"{group}/{name}"].chunks[0] for name in columns), default=1)
        return Rows(group, columns, self.write, length)

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
        """Writes a snapshot to disk; it counts once its line is in the commit record.

        Args:
            index: Number of the snapshot, from 0.
            step: Optimizer steps done.
            rows: Number of steps whose scalars are on disk.
            arrays: Values of the arrays of the log at this snapshot, by name.
            weights: The model's state dict.
            state: The state for the next step, see `Training.state`.
            status: The run's status, see `Run.status`.
        """
        for name, values in arrays.items():
            self.write(name, index, np.asarray(values)[None])
        self._write(f"weights/{step:08d}.safetensors", _tensor_bytes(weights))
        path = f"state/{step:08d}.safetensors"
        self._write(path, _tensor_bytes(state))
        gone_from = 0 if self.keep_states else max(0, len(self.states) + 1 - KEPT_STATES)
        old, kept = self.states[:gone_from], self.states[gone_from:]
        self._commit(Commit("snapshot", index + 1, step, rows, status, removed=tuple(old)))
        self.states = [*kept, path]
        for gone in old:
            (self.folder / gone).unlink(missing_ok=True)

    def diverged(self, rows: int, status: str) -> None:
        """Commits the end of a run that can't continue, with the rows written since its last snapshot.

        Args:
            rows: Number of steps whose scalars are on disk.
            status: The run's status, see `Run.status`.
        """
        self._commit(
            replace(commits.read(self.folder).commits[-1], kind="stopped", rows=rows, status=status, removed=())
        )

    def stop(self, status: str) -> None:
        """Commits the end of a run that can continue, after discarding what its last snapshot does not include.

        Args:
            status: The run's status, see `Run.status`.
        """
        record = commits.read(
            self.folder
        )  # the disk is authoritative: we may have been stopped in the middle of a commit
        if record.fault == "damage":
            raise RunError(f"{self.folder / commits.NAME}: {record.problem}")
        self.record = record
        self.take_back()
        if record.commits[-1].status != "finished":
            self._commit(replace(record.commits[-1], kind="stopped", status=documents.plain(status), removed=()))

    def close(self) -> None:
        """Releases the folder's lock."""
        self.lock.release()

    def _undo_create(self) -> None:
        """Empties a folder in which nothing was recorded."""
        for _ in range(5):  # where one of the log's writes failed, others may still go on in its threads
            with suppress(RunError, OSError):
                beginning.remove(self.folder, beginning.leftovers(self.folder))
                break
            time.sleep(0.05)
        self.close()

    def _write(self, name: str, content: bytes) -> None:
        """A whole file or none: written next to its place, flushed to disk, then moved there."""
        path = self.folder / name
        partial = path.with_name(f"{path.name}.partial")
        with files.naming(path):
            path.parent.mkdir(exist_ok=True)
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        self.fresh[name] = sha256(content).hexdigest()

    def _note(self, path: Path) -> None:
        """Registers a file that another writer has written."""
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        self.fresh[path.relative_to(self.folder).as_posix()] = commits.sha256(path)

    def _commit(self, commit: Commit) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with files.naming(self.folder / commits.NAME):
            self.chain = commits.append(self.folder, replace(commit, files=dict(self.fresh)), now, self.chain)
        self.fresh.clear()


def _readable(content: bytes, path: Path) -> bytes:
    """The content of a run.json, if it can be read back."""
    try:
        description.check(content, path)
    except RunError as error:
        raise RunError(f"nothing is recorded, because it could not be read back: {error}") from None
    return content


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    try:
        if os.path.lexists(lock.lock_file):
            files.opened(lock.lock_file, folder).close()  # a lock that is a link would truncate the file it points to
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(f"{folder} is being written by another process; wait for it, or choose another folder") from None
    except OSError as error:
        raise RunError(f"{error.filename or folder} can't be written: {error.strerror}") from None
    return lock


def _last_whole(folder: Path) -> Record:
    """The commit record up to the last snapshot whose files are all unchanged: the last, or the one before it."""
    record = commits.read(folder)
    if record.fault == "damage":
        raise RunError(f"{folder / commits.NAME}: {record.problem}; the run can't be continued")
    if not record.snapshots:
        raise RunError(
            f"{folder} holds no complete snapshot to continue from; the command that trains it starts it over"
        )
    broken = {path: what for path, expected in record.files().items() if (what := difference(folder, path, expected))}
    for candidate in (record, record.without_last_snapshot()):
        if candidate.snapshots and not _needed(candidate) & set(broken):
            return candidate
    listed = ", ".join(f"{path} {what}" for path, what in broken.items())
    raise RunError(
        f"{folder} is damaged in what was recorded earlier ({listed}): it can be read, but not continued. "
        f"`microscope verify {folder}` lists it"
    )


def _needed(record: Record) -> set[str]:
    """The files that resume needs: all except the states of snapshots before the last."""
    state = f"state/{record.commits[-1].step:08d}.safetensors"
    return {path for path in record.files() if path == state or not path.startswith("state/")}


def _tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    return safetensors.torch.save(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    )


def _probe_bytes(probe: ImageSet, indices: np.ndarray) -> bytes:
    # One key: safetensors writes several in a different order each time.
    task = {} if probe.task == "classification" else {"task": probe.task}
    named = task | ({"class_names": probe.class_names} if probe.class_names else {})
    about = {"probe": json.dumps({"classes": probe.classes, "name": documents.plain(probe.name), **named})}
    arrays = {"images": probe.images, "labels": probe.labels, "indices": indices}
    held = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items() if a is not None}
    own = {"inputs": probe.inputs, "targets": probe.targets}
    return safetensors.torch.save(held | {name: t.contiguous() for name, t in own.items() if t is not None}, about)
