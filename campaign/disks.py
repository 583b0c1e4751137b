"""A disk that fills up, and every byte of a run flipped."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import neural_microscope as nm
from neural_microscope.run import commits, verify
from neural_microscope.run.verify import difference

from . import examples
from .kills import contents, gone_on, replaced

# --- a full disk ------------------------------------------------------------------------------------------------------------


@dataclass
class Full:
    """The results of disks that filled up."""

    how: str = ""
    disks: int = 0
    filled: int = 0
    problems: list[str] = field(default_factory=list)


def fill(base: Path, step: int = 12_288) -> Full:
    """Trains on disks of every size from almost nothing to enough; each is made larger then, and the run resumed."""
    examples.write(base / "enough")
    whole = contents(base / "enough")
    disk, found = base / "disk", Full("file systems in memory (tmpfs) of a few kB more each")
    disk.mkdir()
    for size in range(step, 4_000_000, step):
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            return Full("no file system could be mounted here; tests/run/test_full_disk.py has each write fail")
        try:
            found.disks += 1
            error = _filled(disk / "run")
            if error is None:
                return found
            found.filled += 1
            subprocess.run(["mount", "-o", "remount,size=64M", str(disk)], capture_output=True, check=True)
            problem = _after_full(disk / "run", error, whole)
            if problem:
                found.problems.append(f"{size} bytes: {problem}")
        finally:
            subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
    return found


def _filled(folder: Path) -> BaseException | None:
    with open(os.devnull, "w") as null, replaced((sys, "stderr", null)):
        try:
            examples.write(folder)
        except (OSError, nm.errors.MicroscopeError) as error:
            return error
    return None


def _after_full(folder: Path, error: BaseException, whole: dict[str, str]) -> str:
    full = isinstance(error, nm.errors.MicroscopeError) or getattr(error, "errno", 0) == errno.ENOSPC
    if not full:
        return f"{type(error).__name__}: {error}"
    if folder.exists() and (folder / commits.NAME).exists():
        damage = [str(p) for p in verify(folder) if p.kind == "damage"]
        if damage:
            return damage[0]
    if folder.exists():
        gone_on(folder, partial(examples.write, folder), examples.data())
    else:
        examples.write(folder)
    return "" if contents(folder) == whole else "the run that was resumed is another"


# --- every byte -------------------------------------------------------------------------------------------------------------


@dataclass
class Flips:
    """The results of flipping every byte."""

    files: int = 0
    flips: int = 0
    whole: int = 0
    """Of those, checked through the whole of `verify` too."""
    missed: list[str] = field(default_factory=list)


def flip_every_byte(base: Path, seed: int, sample: int = 199) -> Flips:
    """One bit of every byte of every file of a run, in turn: the file's own check, which `verify` makes, must tell; every ``sample``-th
    goes through the whole of `verify` too, and every byte of the commit record through reading it.
    """
    folder, chance, found = base / "flipped", random.Random(seed), Flips()
    examples.write(folder)
    hashes = commits.read(folder).files()
    for name in (*hashes, commits.NAME):
        content = bytearray((folder / name).read_bytes())
        found.files += 1
        with (folder / name).open("r+b", buffering=0) as file:
            for place in range(len(content)):
                changed = content[place] ^ 1 << chance.randrange(8)
                os.pwrite(file.fileno(), bytes([changed]), place)
                told = bool(
                    commits.read(folder).problem if name == commits.NAME else difference(folder, name, hashes[name])
                )
                found.flips += 1
                if found.flips % sample == 0:
                    found.whole += 1
                    told = told and [p.path for p in verify(folder)][:1] == [name]
                if not told:
                    found.missed.append(f"{name}, byte {place}")
                os.pwrite(file.fileno(), content[place : place + 1], place)
    return found
