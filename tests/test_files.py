"""Only regular files are read: a FIFO, a socket, a device or a folder in a file's place ends at once, in one error that names it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import neural_microscope as nm
import small_runs
from neural_microscope import cli, files, lessons, phantoms, sweep
from neural_microscope.data import idx
from neural_microscope.data.published import digest
from neural_microscope.errors import FileError, MicroscopeError, RunError
from neural_microscope.hooks import ActivationCache
from neural_microscope.run import RunWriter, verify

DATA = small_runs.data()


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """An endless wait fails instead."""

    def ring(*_: Any) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def make_socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)  # a socket's path is short
    before = os.open(".", os.O_RDONLY)
    try:
        os.fchdir(folder)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.fchdir(before)
        os.close(folder)
        os.close(before)


THINGS: dict[str, Callable[[Path], Any]] = {
    "FIFO": os.mkfifo,
    "socket": make_socket,
    "folder": os.mkdir,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "link to a FIFO": lambda path: (os.mkfifo(f"{path}.fifo"), path.symlink_to(f"{path}.fifo")),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(f"{path}.nothing"),
    "hole": lambda path: (path.touch(), os.truncate(path, 1 << 42)),
}


@pytest.fixture(params=THINGS)
def put(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Puts something that is no file in the place of a file, or of nothing."""

    def in_place_of(path: Path) -> Path:
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        THINGS[request.param](path)
        return path

    return in_place_of


# --- what all readers use ---------------------------------------------------------------------------------------------------


def test_what_is_no_file_is_not_opened(put: Callable[[Path], Path], tmp_path: Path) -> None:
    path = put(tmp_path / "here")
    for below in (None, tmp_path):
        with pytest.raises(OSError, match="here"):
            files.opened(path, below)
    with pytest.raises(OSError, match="here"):
        files.read(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [("FIFO", "found a FIFO"), ("socket", "found a socket"), ("folder", "found a folder"), ("hole", "bytes")],
)
def test_the_error_is_the_projects_own_and_says_what_is_there(tmp_path: Path, name: str, words: str) -> None:
    THINGS[name](tmp_path / "here")
    with pytest.raises(FileError, match=f"here: .*{words}") as caught:
        files.read(tmp_path / "here")
    assert isinstance(caught.value, MicroscopeError)


def test_a_device_is_not_even_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *args: pytest.fail("opened"))
    with pytest.raises(FileError, match="/dev/zero: expected a file, found a device"):
        files.opened("/dev/zero")


def test_what_becomes_a_fifo_between_looking_and_opening_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    then = (tmp_path / "file").stat()
    monkeypatch.setattr(Path, "stat", lambda self, **options: then)
    with pytest.raises(FileError, match="expected a file, found a FIFO"):
        files.opened(tmp_path / "fifo")


def test_a_file_and_a_link_to_it_are_read_the_link_not_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert files.read(tmp_path / "link") == files.read(tmp_path / "file") == b"content"
    with pytest.raises(FileError, match="link: expected a file, found a link"):
        files.opened(tmp_path / "link", tmp_path)


# --- the readers ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "run"
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(folder, observers=[Stopping()])
    return folder


class Stopping(nm.training.Observer):
    def stepped(self, training: nm.training.Training) -> None:
        if training.step == 5:
            raise KeyboardInterrupt


IN_A_RUN = [
    "run.json",
    "probe.safetensors",
    "commits.jsonl",
    "run.lock",
    "weights/00000004.safetensors",
    "state/00000004.safetensors",
    "log.zarr/zarr.json",
    "log.zarr/logits/c.3.0.0",
    "log.zarr/logits/c.4.0.0",  # nobody's yet
    "log.zarr/.zattrs",
    "weights/00000008.safetensors.partial",
]


@pytest.mark.parametrize("name", IN_A_RUN)
def test_a_run_is_verified_read_and_continued_without_waiting(
    put: Callable[[Path], Path], recorded: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(recorded, tmp_path / "run"))
    put(folder / name)
    try:
        named = any(name in str(problem) for problem in verify(folder))
    except RunError as error:
        named = name in str(error)
    assert named or name == "run.lock" or (folder / name).is_dir()
    for use in (nm.Run.open, lambda path: nm.resume(path, data=DATA), RunWriter.reopen):
        try:
            used = use(folder)
        except RunError as error:
            assert str(folder) in str(error)  # noqa: PT017
        else:
            assert not isinstance(used, RunWriter) or used.close() is None


def test_a_lock_that_is_no_file_is_refused_at_once(put: Callable[[Path], Path], tmp_path: Path) -> None:
    put(tmp_path / "run" / "run.lock")
    try:
        small_runs.train(tmp_path / "run")
    except RunError as error:
        assert "run" in str(error)  # noqa: PT017
    assert "run.lock" in os.listdir(tmp_path / "run")


def test_verify_on_the_command_line_ends_with_1(recorded: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(recorded, tmp_path / "run"))
    (folder / "weights/00000004.safetensors").unlink()
    os.mkfifo(folder / "weights/00000004.safetensors")
    with pytest.raises(MicroscopeError, match="1 file changed or missing since recording"):
        cli.verify(folder)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".bmp"])
def test_a_class_folder_is_read_without_waiting(put: Callable[[Path], Path], tmp_path: Path, suffix: str) -> None:
    for name in ("train/a/0", "train/b/0", "test/a/0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / f"{name}.png")
    put(tmp_path / "train" / "a" / f"1{suffix}")
    with pytest.raises(nm.errors.DataError, match=rf"train/a/1\{suffix}"):
        nm.data.load(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read_without_waiting(put: Callable[[Path], Path], tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path / f"train-images-idx3-ubyte{suffix}")
    for read in (lambda: idx.read(path, 3), lambda: nm.data.load(tmp_path), lambda: digest(path, "sha256:0")):
        with pytest.raises(nm.errors.DataError, match="train-images-idx3-ubyte"):
            read()


def test_what_stands_alone_is_read_without_waiting(put: Callable[[Path], Path], tmp_path: Path) -> None:
    path = put(tmp_path / "here")
    for load in (ActivationCache.load, phantoms.open_record):
        with pytest.raises(OSError, match="here"):
            load(path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_hub_folder_is_read_without_waiting(
    put: Callable[[Path], Path], recorded: Path, tmp_path: Path, name: str
) -> None:
    folder = nm.interop.to_hub(nm.Run.open(recorded), tmp_path / "hub")
    put(folder / name)
    with pytest.raises((OSError, RunError), match=name):
        nm.interop.from_hub(folder)


def test_a_sweep_is_read_without_waiting(put: Callable[[Path], Path], tmp_path: Path) -> None:
    from neural_microscope.sweep import destination

    put(tmp_path / "sweep.json")
    with pytest.raises((OSError, RunError)):
        sweep.read(tmp_path)
    put(tmp_path / "runs" / "seed=0" / "commits.jsonl")
    system, root = destination.place(tmp_path)
    with pytest.raises(OSError, match=r"commits\.jsonl"):
        destination.endings(system, root, ["seed=0"])


def test_guesses_of_a_lesson_are_read_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "answers.json")
    with pytest.raises(FileError, match=r"answers\.json: expected a file, found a FIFO"):
        lessons.Lesson("01", "digits", DATA, tmp_path).reveal("one", 1)


STEERING = ["\u202e", "\u2066", "\u200f", "\x1b", "\x00", "\x85", "\u2028", "\udcff", "\U000e0041"]


@pytest.mark.parametrize("character", STEERING)
def test_a_name_cannot_steer_what_shows_it(character: str) -> None:
    from neural_microscope.explorer import page

    name = f"a{character}b"
    assert files.shown(name) == f"a\\u{ord(character):04x}b"
    data = {"title": name, "networks": [{"name": name, name: [1, name]}]}
    written = page.document(data, "", "")
    assert character not in written
    told = json.loads(written.split('id="data">')[1].split("<")[0])
    assert told == {
        "title": files.shown(name),
        "networks": [{"name": files.shown(name), files.shown(name): [1, files.shown(name)]}],
    }


@pytest.mark.parametrize("name", ["mnist", "Ziffern_für_ñandú", "数字", "ספרות", "👩‍🔬 digits", "a b\tc", "C:\\u202e"])
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert files.shown(name) == name


@pytest.mark.parametrize(
    "read", [ActivationCache.load, phantoms.open_record, nm.interop.from_hub, nm.sweep.read, nm.data.load]
)
def test_where_nothing_is_or_a_link_to_itself_is_one_error(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "missing", tmp_path / "loop", tmp_path / "loop" / "file"):
        with pytest.raises(MicroscopeError, match=re.escape(str(path))):
            read(path)


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "a\0b"])
def test_a_name_that_nothing_can_have_is_one_error_everywhere(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    model = nm.MLP(nm.MLPConfig(image_shape=DATA.image_shape, classes=DATA.classes, hidden=(3,)))
    for use in (
        lambda: nm.data.load(place),
        lambda: nm.data.load("mnist", folder=place, download=False),
        lambda: nm.Run.open(place),
        lambda: verify(place),
        lambda: nm.resume(place),
        lambda: nm.train(model, DATA, nm.TrainConfig(epochs=1), observers=[nm.Recorder(place)]),
        lambda: nm.activations(model, DATA.test, folder=place),
        lambda: ActivationCache.load(place),
        lambda: nm.interop.from_hub(place),
        lambda: phantoms.open_record(place),
        lambda: sweep.read(place),
        lambda: files.writable(place),
    ):
        with pytest.raises(nm.errors.MicroscopeError, match=r"too long|null byte"):
            use()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"01": 3}', b'{"01": {"guesses": 3}}', b"\xff", b"[" * 100_000])
def test_guesses_that_no_lesson_kept_are_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answers.json").write_bytes(content)
    with pytest.raises(nm.errors.DataError, match=r"answers\.json is not a valid document"):
        lessons.Lesson("01", "digits", DATA, tmp_path).reveal("one", 1)
