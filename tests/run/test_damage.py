"""Whatever is done to a file of a run: verify names it, and reading gives the recorded data or an error, never something else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crashing
import neural_microscope as nm
from neural_microscope.errors import RunError
from neural_microscope.run import commits, verify
from neural_microscope.training import Observer, Training


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage") / "finished"
    crashing.write(folder)
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run stopped after step 3 of 6: its last rows of scalars lie in the state file."""

    class Stopping(Observer):
        def stepped(self, training: Training) -> None:
            if training.step == 5:
                raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("damage") / "stopped"
    with pytest.raises(KeyboardInterrupt):
        crashing.write(folder, Stopping())
    assert nm.Run.open(folder).verify() == []
    return folder


def files(folder: Path) -> list[str]:
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return [name for name in found if name != "run.lock"]


@contextmanager
def altered(path: Path, content: bytes | None) -> Iterator[None]:
    """The file with another content, or without the file, while the block lasts."""
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def flipped(content: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << bit
    return bytes(changed)


def damages(content: bytes, chance: random.Random) -> Iterator[bytes | None]:
    """A bit of the first byte, of the last and of two others flipped; cut by a byte, by half, to nothing; deleted."""
    for position in (0, len(content) - 1, chance.randrange(len(content)), chance.randrange(len(content))):
        yield flipped(content, position, chance.randrange(8))
    yield content[:-1]
    yield content[: len(content) // 2]
    yield b""
    yield None


# --- verify -----------------------------------------------------------------------------------------------------------------


def test_a_run_that_nothing_happened_to_has_no_problems(finished: Path, stopped: Path) -> None:
    assert verify(finished) == []
    assert nm.Run.open(stopped).verify() == []


def test_every_kind_of_damage_to_every_file_is_reported_with_its_name(finished: Path) -> None:
    chance = random.Random(0)
    names = files(finished)
    assert len(names) > 50
    for name in names:
        path = finished / name
        for content in damages(path.read_bytes(), chance):
            with altered(path, content):
                problems = verify(finished)
            assert problems[0].path == name
            assert str(problems[0]).startswith(f"{name}: ")
    assert verify(finished) == []


def test_every_bit_of_a_byte_counts(finished: Path) -> None:
    for name in ("run.json", "probe.safetensors", "weights/00000006.safetensors", "log.zarr/logits/zarr.json"):
        if not (finished / name).exists():
            continue
        content = (finished / name).read_bytes()
        for bit in range(8):
            with altered(finished / name, flipped(content, len(content) // 3, bit)):
                assert [p.path for p in verify(finished)] == [name]


@pytest.mark.parametrize("name", ["notes.txt", "weights/00000001.safetensors", "log.zarr/extra/c.0", "state/x/y"])
def test_a_file_that_nobody_recorded_is_reported_with_its_name(finished: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    (problem,) = verify(folder)
    assert (problem.path, problem.kind) == (name, "interrupted")


@pytest.mark.parametrize("content", [b"", None])
def test_a_record_without_a_line_is_damage_only_where_a_later_snapshot_was_written(
    finished: Path, tmp_path: Path, content: bytes | None
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    with altered(folder / commits.NAME, content):
        assert verify(folder)[0].kind == "damage"
        for path in (folder / "weights").glob("*[1-9].safetensors"):
            path.unlink()
        assert {problem.kind for problem in verify(folder)} == {"interrupted"}


def test_two_problems_are_both_reported(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "run.json").write_text("{}")
    (folder / "weights/00000002.safetensors").unlink()
    assert {p.path for p in verify(folder)} == {"run.json", "weights/00000002.safetensors"}
    assert {p.kind for p in verify(folder)} == {"damage"}


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no folder"):
        verify(tmp_path / "nothing")


# --- the commit record ------------------------------------------------------------------------------------------------------


def check_lines(folder: Path, positions: Callable[[int, int], Any], bits: int = 8) -> None:
    """Flips so many bits, in turn, in each line of the commit record, at the positions given for its start and end."""
    content = (folder / commits.NAME).read_bytes()
    start = 0
    for line in content.splitlines(keepends=True):
        for position in positions(start, start + len(line)):
            for bit in [position + i for i in range(bits)]:
                with altered(folder / commits.NAME, flipped(content, position, bit % 8)):
                    record = commits.read(folder)
                    assert record.fault, (position, bit)
                    assert sum(map(len, record.lines)) <= start
        start += len(line)


def test_any_flipped_bit_of_the_commit_record_is_seen(finished: Path) -> None:
    chance = random.Random(1)
    check_lines(finished, lambda a, b: [a, b - 2, b - 1, *(chance.randrange(a, b) for _ in range(6))])


@pytest.mark.slow
def test_a_flipped_bit_in_any_byte_of_the_commit_record_is_seen(finished: Path) -> None:
    check_lines(finished, range, bits=1)


def test_lines_that_are_lost_are_reported(finished: Path) -> None:
    lines = (finished / commits.NAME).read_bytes().splitlines(keepends=True)
    for first in range(len(lines)):
        for last in range(first + 1, len(lines) + 1):
            with altered(finished / commits.NAME, b"".join(lines[:first] + lines[last:])):
                assert verify(finished), (first, last)


def test_lines_in_another_order_or_from_another_run_are_reported(finished: Path, stopped: Path) -> None:
    lines = (finished / commits.NAME).read_bytes().splitlines(keepends=True)
    others = (stopped / commits.NAME).read_bytes().splitlines(keepends=True)
    for content in ([*lines[:2], lines[3], lines[2]], [*lines[:2], *others[2:]], [*lines, lines[-1]]):
        with altered(finished / commits.NAME, b"".join(content)):
            assert verify(finished)[0].path == commits.NAME
            with pytest.raises(RunError, match=commits.NAME):
                nm.Run.open(finished)


def test_a_damaged_last_line_is_not_taken_for_one_that_is_still_being_written(finished: Path) -> None:
    content = (finished / commits.NAME).read_bytes()
    chance = random.Random(2)
    last = content.rstrip(b"\n").rfind(b"\n") + 1
    for _ in range(20):
        with altered(finished / commits.NAME, flipped(content, chance.randrange(last, len(content) - 1), 0)):
            with pytest.raises(
                RunError, match=r"commits\.jsonl: line \d of \d is damaged.*resume` redoes the last snapshot"
            ):
                nm.Run.open(finished)
            assert verify(finished)[0].kind == "damage"
    for cut in (1, 100):  # as a killed writer leaves it
        with altered(finished / commits.NAME, content[:-cut]):
            assert nm.Run.open(finished).steps == [0, 2, 3]
            assert verify(finished)[0].kind == "interrupted"


def test_a_hash_that_was_changed_together_with_its_file_is_reported(finished: Path) -> None:
    # Someone edits a file, and its hash in the record, but not the hashes of the lines.
    path, record = finished / "run.json", finished / commits.NAME
    old = commits.sha256(path)
    with altered(path, path.read_bytes() + b" "):
        changed = record.read_bytes().replace(old.encode(), commits.sha256(path).encode())
        with altered(record, changed):
            assert verify(finished)[0].path == commits.NAME


# --- reading ----------------------------------------------------------------------------------------------------------------


def everything(folder: Path) -> dict[str, Any]:
    """All that can be read from a run, as plain arrays."""
    run = nm.Run.open(folder)
    found: dict[str, Any] = {"status": run.status, "steps": run.steps, "description": run.description}
    found |= {"probe": run.probe.images, "labels": run.probe.labels, "indices": run.probe_indices}
    for group, data in {"log": run.log, "training": run.training, "gradients": run.gradients}.items():
        found |= {f"{group} {name}": array.to_numpy() for name, array in data.variables.items()}
    for step in run.steps:
        found |= {f"{step} {name}": tensor.numpy() for name, tensor in run.weights(step).items()}
    for point in run.hook_points:
        found[f"activations {point}"] = run.activations(point).to_numpy()
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    def equal(a: Any, b: Any) -> bool:
        if isinstance(a, np.ndarray):
            return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        return bool(a == b)

    return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)


def beginning(whole: dict[str, Any], part: dict[str, Any]) -> bool:
    """True if a part of a run is what was recorded first."""
    if part["status"] != "running" or part["steps"] != whole["steps"][: len(part["steps"])]:
        return False
    return all(
        part[key].tobytes() == whole[key].tobytes()[: part[key].nbytes]
        for key in part
        if isinstance(part[key], np.ndarray)
    )


damage = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0)),
    st.tuples(st.just("delete"), st.just(0.0), st.just(0)),
    st.tuples(st.just("zeros"), st.floats(0, 1, exclude_max=True), st.just(0)),
    st.tuples(st.just("swap"), st.floats(0, 1, exclude_max=True), st.just(0)),
)


WHOLE: dict[Path, dict[str, Any]] = {}


def fuzz(folder: Path, choice: float, how: tuple[str, float, int]) -> None:
    names = files(folder)
    name = names[int(choice * len(names))]
    path, (kind, where, bit) = folder / name, how
    content = path.read_bytes()
    position = int(where * len(content))
    changed = {
        "flip": flipped(content, position, bit),
        "cut": content[:position],
        "delete": None,
        "zeros": content[:position] + bytes(len(content) - position),
        "swap": (folder / names[int(where * len(names))]).read_bytes(),
    }[kind]
    if folder not in WHOLE:
        WHOLE[folder] = everything(folder)
    whole = WHOLE[folder]
    with altered(path, changed):
        try:
            found = everything(folder)
        except RunError as error:
            # Where lines are cut off the record, the state that the last line left needs may be deleted by now.
            named = name in str(error) or (
                name == commits.NAME and kind in ("cut", "zeros") and "/state/" in str(error)
            )
            assert named, error  # noqa: PT017
            return
    if name == commits.NAME and found["status"] == "running":  # cut where a killed writer might have stopped
        assert kind in ("cut", "zeros") or (kind == "flip" and position == len(content) - 1)
        assert beginning(whole, found)
    else:
        assert same(found, whole)


WHICH = st.one_of(st.just(0.0), st.floats(0, 1, exclude_max=True))  # 0 is the commit record, which is worth many tries
FUZZ = settings(max_examples=100, deadline=None)


@FUZZ
@given(choice=WHICH, how=damage)
def test_reading_a_damaged_finished_run_is_right_or_an_error(finished: Path, choice: float, how: Any) -> None:
    fuzz(finished, choice, how)


@FUZZ
@given(choice=WHICH, how=damage)
def test_reading_a_damaged_stopped_run_is_right_or_an_error(stopped: Path, choice: float, how: Any) -> None:
    fuzz(stopped, choice, how)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(which=st.booleans(), choice=WHICH, how=damage)
def test_reading_a_damaged_run_is_right_or_an_error_many_times(
    finished: Path, stopped: Path, which: bool, choice: float, how: Any
) -> None:
    fuzz(finished if which else stopped, choice, how)


def test_a_lost_chunk_is_noticed_before_it_reads_as_absent(finished: Path) -> None:
    chunks = [name for name in files(finished) if "/c." in name]
    assert len(chunks) > 20
    for name in chunks:
        with altered(finished / name, None), pytest.raises(RunError, match=f"has lost {name}"):
            nm.Run.open(finished)


def test_what_is_read_from_a_stopped_run_includes_the_rows_in_its_state_file(stopped: Path, finished: Path) -> None:
    part, whole = nm.Run.open(stopped), nm.Run.open(finished)
    assert part.status == "interrupted at step 5"
    assert part.steps == [0, 2, 3]
    assert part.training.loss.to_numpy().tolist() == whole.training.loss[:3].to_numpy().tolist()
    assert part.gradients.grad_norm.to_numpy().tolist() == whole.gradients.grad_norm[:2].to_numpy().tolist()
    assert part.gradients.step.to_numpy().tolist() == [1, 3]
