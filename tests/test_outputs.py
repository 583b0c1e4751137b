"""An output's path is tried before the work begins; the file is whole or absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import neural_microscope as nm
import small_runs
from command_line import microscope
from neural_microscope import demonstration, explorer, files, phantoms, plots, report, sweep
from neural_microscope.errors import FileError
from neural_microscope.explorer import page as explorer_page
from neural_microscope.hooks import ActivationCache
from neural_microscope.phantoms import calibration
from neural_microscope.report import paper


def locked(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (folder / "locked").mkdir(mode=0o500)
    return folder / "locked" / "page.html"


def made(path: Path, make: Callable[[Path], Any]) -> Path:
    make(path)
    return path


BAD: dict[str, Callable[[Path], Path]] = {
    "a folder": lambda folder: made(folder / "taken", os.mkdir),
    "a link to a folder": lambda folder: made(folder / "taken", lambda path: path.symlink_to(folder)),
    "a FIFO": lambda folder: made(folder / "taken", os.mkfifo),
    "a device": lambda folder: Path("/dev/null"),
    "below a file": lambda folder: made(folder / "file", Path.touch) / "page.html",
    "far below a file": lambda folder: made(folder / "file", Path.touch) / "deeper" / "page.html",
    "a long name": lambda folder: folder / f"{'x' * 300}.html",
    "a long folder": lambda folder: folder / ("x" * 300) / "page.html",
    "where nothing can be made": lambda folder: Path("/proc/page.html"),
    "a locked folder": locked,
}


FOLDERS = ("a folder", "a link to a folder")
"""Outputs that are fine for a command that writes into a folder."""


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return BAD[request.param](tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "run"
    record = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=21)
    small_runs.train(folder, model=small_runs.mlp(), record=record)
    return folder


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes long fails."""

    def begun(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has begun")

    for where, name in (
        (paper, "looking"),
        (report, "populations"),
        (explorer_page, "payload"),
        (calibration, "calibrate"),
        (demonstration, "load_or_digits"),
        (sweep, "connect"),
        (plots.animate.__globals__, "_pixels"),
    ):
        monkeypatch.setitem(where, name, begun) if isinstance(where, dict) else monkeypatch.setattr(where, name, begun)


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "report": lambda run, path: ["report", run, "-o", path],
    "report of two": lambda run, path: ["report", run, run, "--output", path],
    "explore": lambda run, path: ["explore", run, "-o", path],
    "calibrate": lambda run, path: ["calibrate", "--empties", 1, "-o", path],
    "demo": lambda run, path: ["demo", "--data", "digits", "--out", path],
    "sweep": lambda run, path: ["sweep", "mlp", "--data", "digits", "--out", path],
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("bad", "command"),
    [(name, one) for one in COMMANDS for name in BAD if one not in ("demo", "sweep") or name not in FOLDERS],
    indirect=["bad"],
)
def test_a_command_says_in_one_line_where_it_can_not_write_before_it_begins(
    bad: Path, run: Path, tmp_path: Path, command: str
) -> None:
    ended = microscope(*COMMANDS[command](run, bad))
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("microscope: ")
    assert bad.name[:200] in line
    assert not [name for name in left(tmp_path) if "partial" in name]
    assert Path("/dev/null").is_char_device()


WRITERS: dict[str, Callable[[Path, Path], Any]] = {
    "report.write": lambda run, path: report.write([nm.Run.open(run)], path),
    "report.compose": lambda run, path: report.compose([], path),
    "explorer.write": lambda run, path: explorer.write([nm.Run.open(run)], path),
    "explorer.show": lambda run, path: explorer.show([nm.Run.open(run)], path),
    "phantoms.save": lambda run, path: phantoms.save(xr.Dataset(), path),
    "plots.animate": lambda run, path: plots.animate(xr.Dataset(), path),
    "ActivationCache.save": lambda run, path: ActivationCache({"a": torch.zeros(2, 3)}).save(path),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_says_in_one_error_where_it_can_not_write_before_it_begins(
    bad: Path, run: Path, tmp_path: Path, writer: str
) -> None:
    with pytest.raises(FileError) as caught:
        WRITERS[writer](run, bad)
    assert bad.name[:200] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [name for name in left(tmp_path) if "partial" in name]


def test_a_hub_folder_that_can_not_be_is_one_error(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper", tmp_path / ("x" * 300), Path("/proc/hub")):
        with pytest.raises(FileError, match="it can't be written"):
            nm.interop.to_hub(nm.Run.open(run), path)


def test_a_recorder_says_of_any_folder_in_one_error_that_it_can_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "run", tmp_path / ("x" * 300), Path("/proc/run")):
        with pytest.raises(nm.errors.RunError, match="can't be created"):
            small_runs.train(path)


def test_a_sweeps_folder_that_holds_something_else_gets_nothing(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    ended = microscope("sweep", "mlp", "--data", "digits", "--out", tmp_path)
    assert (ended.returncode, left(tmp_path)) == (1, ["thesis.txt"])


# --- what is written --------------------------------------------------------------------------------------------------------


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "page.html"
    assert files.writable(path) == path
    assert left(tmp_path) == ["a", "a/b"]
    with files.whole(path) as partial:
        partial.write_text("whole")
    assert left(tmp_path) == ["a", "a/b", "a/b/page.html"]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode  # and not only for its owner, as temporary files are


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_where_writing_fails_the_page_before_stays_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")

    def write() -> None:
        with files.whole(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert (path.read_text(), left(tmp_path)) == ("before", ["page.html"])


def test_a_full_disk_is_one_error_that_names_the_page(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"page\.html: it can't be written: No space left"):  # noqa: SIM117
        with files.whole(tmp_path / "page.html"), open("/dev/full", "w") as full:
            full.write("x")
    assert left(tmp_path) == []


def test_two_writers_of_one_page_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with files.whole(path) as first, files.whole(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (path.read_text(), left(tmp_path)) == ("first", ["page.html"])


def test_trying_leaves_what_is_there_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    before = path.stat()
    files.writable(path)
    assert path.stat() == before
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    files.writable(tmp_path / "link")
    with pytest.raises(FileError, match="null"):
        files.writable(tmp_path / "a\0b")


def test_what_the_writers_write_is_there_and_alone(run: Path, tmp_path: Path) -> None:
    cache = ActivationCache({"a": torch.arange(6.0).reshape(2, 3)})
    cache.save(tmp_path / "deep" / "cache.safetensors")
    np.testing.assert_array_equal(ActivationCache.load(tmp_path / "deep" / "cache.safetensors")["a"], cache["a"])
    nm.interop.to_hub(nm.Run.open(run), tmp_path / "hub")
    assert left(tmp_path / "hub") == ["README.md", "config.json", "model.safetensors"]
    assert left(tmp_path / "deep") == ["cache.safetensors"]
