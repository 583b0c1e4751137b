"""An untrusted run folder: nothing outside it is read, written or deleted, whatever its record and its links say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import neural_microscope as nm
import small_runs
from forging import forge
from neural_microscope.errors import RunError
from neural_microscope.run import Layout, RunWriter, commits, verify
from neural_microscope.training import Observer, Training

DATA = small_runs.data()
ZEROS = "0" * 64


class Stopping(Observer):
    def stepped(self, training: Training) -> None:
        if training.step == 5:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("foreign") / "run"
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(folder, observers=[Stopping()])
    return folder


@pytest.fixture
def folder(interrupted: Path, tmp_path: Path) -> Path:
    (tmp_path / "victim.txt").write_text("precious")
    return Path(shutil.copytree(interrupted, tmp_path / "box" / "run"))


def everything(root: Path) -> dict[str, bytes | str]:
    """The content of every file below a folder, and where its links lead."""
    paths = sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    paths = [path for path in paths if path.name != "run.lock" or path.is_symlink()]
    return {str(p.relative_to(root)): str(p.readlink()) if p.is_symlink() else p.read_bytes() for p in paths}


def check_refused(folder: Path, words: str, *, also_verify: bool = True) -> None:
    """Reading and continuing are one RunError; nothing has changed, in the folder or around it."""
    before = everything(folder.parents[1])
    uses: list[Callable[[], Any]] = [lambda: nm.Run.open(folder), lambda: nm.resume(folder, data=DATA)]
    uses += [lambda: RunWriter.reopen(folder), *([lambda: verify(folder)] if also_verify else [])]
    for use in uses:
        with pytest.raises(RunError) as caught:
            use()
        assert words in str(caught.value)
    assert everything(folder.parents[1]) == before


OUTSIDE = [
    "state/../../../victim.txt",
    "../../victim.txt",
    "/etc/passwd",
    "//server/share/x",
    "C:/Users/x",
    "C:\\Users\\x",
    "state\\..\\..\\victim.txt",
    "state/..\\..\\victim.txt",
    "weights/../run.json",
    "log.zarr/../../victim/c.0",
    "log.zarr/../c.0",
    "log.zarr/C:/c.0",
    "log.zarr/training/../c.0",
    "log.zarr/./c.0",
    "log.zarr//c.0",
    "log.zarr/\x00/c.0",
    "log.zarr/a/b/c.0",
    "log.zarr/loss/c.0/x",
    "log.zarr/loss/c.٠",
    "state/00000001.safetensors\x00",
    "state/00000001.safetensors\n",
    "state/٠٠٠٠٠٠٠١.safetensors",
    "state/1.safetensors",
    "State/00000001.safetensors",
    "state/00000001.SAFETENSORS",
    "./state/00000001.safetensors",
    "state//00000001.safetensors",
    "state/00000001.safetensors/",
    "state/00000001.safetensors.partial",
    "commits.jsonl",
    "run.lock",
    "notes.txt",
    "state",
    ".",
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_record_may_name_only_what_a_writer_makes(folder: Path, name: str) -> None:
    for place in (0, -1):
        copy = Path(shutil.copytree(folder, folder.parents[1] / "copies" / str(place)))
        forge(copy, lambda lines, at=place: lines[at]["files"].update({name: ZEROS}))
        check_refused(copy, repr(name))
        assert commits.last((copy / commits.NAME).read_bytes()) is None or place == 0


@pytest.mark.parametrize("name", [*OUTSIDE[:4], "run.json", "weights/00000001.safetensors", 3, None, ["x"], {"a": 1}])
def test_a_record_may_take_back_only_states(folder: Path, name: Any) -> None:
    forge(folder, lambda lines: lines[-1].update(removed=[name]))
    check_refused(folder, repr(name))


@pytest.mark.parametrize("digest", [3, None, "", "0" * 63, "0" * 65, "F" * 64, ["0" * 64]])
def test_a_hash_is_one(folder: Path, digest: Any) -> None:
    forge(folder, lambda lines: lines[1]["files"].update({"state/00000000.safetensors": digest}))
    check_refused(folder, f"'state/00000000.safetensors' with the hash {digest!r}")


@pytest.mark.parametrize(
    "change",
    [
        {"step": "../../../victim"},
        {"step": -1},
        {"step": True},
        {"rows": 2.5},
        {"snapshots": None},
        {"status": ""},
        {"status": ["running"]},
        {"kind": "holiday"},
        {"files": ["state/00000001.safetensors"]},
        {"files": "state/00000001.safetensors"},
        {"files": {"log.zarr/\ud800/c.0": ZEROS}},
        {"step": 1 << 70},
        {"status": "x" * 100_000},
        {"time": 3},
        {"removed": 3},
        {"extra": 1},
    ],
)
def test_a_line_of_other_fields_or_types_is_damage(folder: Path, change: dict[str, Any]) -> None:
    forge(folder, lambda lines: lines[1].update(change))
    assert verify(folder)[0].path == commits.NAME
    for use in (nm.Run.open, lambda path: nm.resume(path, data=DATA)):
        with pytest.raises(RunError, match=commits.NAME):
            use(folder)


def test_what_every_version_of_the_writer_makes_is_known(interrupted: Path) -> None:
    record = commits.read(interrupted)
    assert record.fault == ""
    assert len(record.files()) > 50
    assert record.removed()


def test_a_state_with_a_hash_of_zeros_is_deleted_only_in_its_place(folder: Path) -> None:
    forge(folder, lambda lines: lines[1]["files"].update({"state/00000009.safetensors": ZEROS}))
    before = (folder.parents[1] / "victim.txt").read_text()
    nm.resume(folder, data=DATA)
    assert (folder.parents[1] / "victim.txt").read_text() == before


def test_resume_deletes_only_what_this_runs_writer_makes(folder: Path) -> None:
    stray = ["weights/00000099.safetensors", "log.zarr/logits/c.99.0.0", "log.zarr/logits/c.5.0.0.partial"]
    foreign = ["log.zarr/notes/c.0", "log.zarr/logits/notes.txt", "weights/mine.safetensors", "log.zarr/c.0"]
    for name in (*stray, *foreign):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    nm.resume(folder, data=DATA)
    assert [name for name in (*stray, *foreign) if (folder / name).exists()] == foreign


# --- links ------------------------------------------------------------------------------------------------------------------

OWN = [
    "run.json",
    "probe.safetensors",
    commits.NAME,
    "run.lock",
    "weights",
    "weights/00000000.safetensors",
    "state",
    "log.zarr",
    "log.zarr/zarr.json",
    "log.zarr/logits",
    "log.zarr/logits/c.0.0.0",
    "log.zarr/training/loss",
]


@pytest.mark.parametrize("name", OWN)
def test_a_link_in_the_place_of_a_runs_own_file_or_folder_is_refused(folder: Path, name: str) -> None:
    assert (folder / name).exists()
    elsewhere = folder.parents[1] / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    problems = [] if name in (commits.NAME, "run.lock") else verify(folder)
    assert bool(problems) == (name not in (commits.NAME, "run.lock"))
    check_refused(folder, name, also_verify=name == commits.NAME)


@pytest.mark.parametrize(
    "name",
    [
        "weights/00000099.safetensors",
        "weights/00000099.safetensors.partial",
        "state/00000008.safetensors.partial",
        "log.zarr/logits/c.5.0.0",
        "log.zarr/logits/c.5.0.0.partial",
        "log.zarr/extra",
        "weights/deep",
    ],
)
def test_a_link_beside_a_runs_own_files_is_refused(folder: Path, name: str) -> None:
    for target in ("victim.txt", "box", "nowhere"):
        (folder / name).symlink_to(folder.parents[1] / target)
        assert [problem.path for problem in verify(folder)] == [name]
        check_refused(folder, name, also_verify=False)
        (folder / name).unlink()


def test_a_lock_that_is_a_link_does_not_empty_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim.txt").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.lock").symlink_to(tmp_path / "victim.txt")
    with pytest.raises(RunError, match=r"run\.lock"):
        small_runs.train(tmp_path / "run")
    assert (tmp_path / "victim.txt").read_text() == "precious"


def test_a_link_that_is_none_of_a_runs_own_is_left_alone_and_verify_names_it(folder: Path) -> None:
    (folder / "notes").symlink_to(folder.parents[1] / "victim.txt")
    assert [problem.path for problem in verify(folder)] == ["notes"]
    nm.resume(folder, data=DATA)
    assert (folder / "notes").read_text() == "precious"


def test_a_runs_folder_may_itself_be_reached_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    nm.resume(tmp_path / "latest", data=DATA)
    assert nm.Run.open(tmp_path / "latest").status == "finished"
    assert verify(tmp_path / "latest") == []
    small_runs.train(tmp_path / "whole")
    assert small_runs.contents(folder) == small_runs.contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["..", "C:x", "a\\b", "a\x00b", "a/b", ".", ""])
def test_a_hook_point_is_recorded_under_a_name_that_a_record_may_name(name: str) -> None:
    layout = Layout([0], 1, 1, DATA.test.labels, DATA.test.labels, 3, [], [], 1)
    arrays = layout.groups({name: DATA.test.tensor().flatten(1)})[""]
    assert all(commits.names_a_file(f"log.zarr/{array}/c.0.0") for array in arrays)
