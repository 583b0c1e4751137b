"""Many networks on Dask: what is planned, and that nothing is lost, done twice, or taken for whole when it is half."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs.zstd import Zstd

import neural_microscope as nm
import small_runs
from command_line import microscope
from neural_microscope import documents
from neural_microscope.config import ConfigError
from neural_microscope.errors import DataError, FileError, MicroscopeError, RunError, UnknownName
from neural_microscope.run import log
from neural_microscope.sweep import destination, results, work

distributed = pytest.importorskip("distributed")

RECORD = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=20, norms_every=0)
SHORT = nm.TrainConfig(epochs=1)


def asked(**changes: Any) -> nm.sweep.Sweep:
    """Two seeds of two small MLPs on the bundled digits."""
    small = {"network": nm.MLPConfig(hidden=(4,)), "training": SHORT, "record": RECORD, "data": "digits"}
    return nm.sweep.Sweep(**{**small, "seeds": (0, 1), "settings": {"hidden": ((4,), (3, 2))}, **changes})


def names(sweep: nm.sweep.Sweep) -> list[str]:
    return [name for job in nm.sweep.plan(sweep) for name in job.names]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A scheduler and one worker in this process, so that a test can change what the worker does."""
    local = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with distributed.Client(**local) as client:
        yield client


# --- the plan ----------------------------------------------------------------------------------------------------------------


def test_the_plan_is_every_combination_with_every_seed() -> None:
    sweep = asked(settings={"hidden": [[4], []], "learning_rate": [0.1, 0.2], "bias": [True]})
    jobs = nm.sweep.plan(sweep)
    assert len(jobs) == 2 * 2 * 2
    assert [job.seeds for job in jobs] == [(0,), (1,)] * 4
    assert [job.network.hidden for job in jobs] == [(4,)] * 4 + [()] * 4
    assert [job.training.learning_rate for job in jobs] == [0.1, 0.1, 0.2, 0.2] * 2
    assert jobs[0].names == ["hidden=4_learning_rate=0.1_bias=True_seed=0"]
    assert jobs[-1].names == ["hidden=none_learning_rate=0.2_bias=True_seed=1"]
    assert len(set(names(sweep))) == len(jobs)


def test_with_nothing_to_vary_the_plan_is_the_seeds() -> None:
    assert names(asked(settings={}, seeds=range(3))) == ["seed=0", "seed=1", "seed=2"]


def test_seeds_that_share_their_batches_go_in_groups_of_16_where_they_can_be_stacked() -> None:
    shared = asked(seeds=range(20), order="shared", settings={"norm": ("none", "batch")})
    sizes = {"none": [16, 4], "batch": [1] * 20}
    for norm, expected in sizes.items():
        assert [len(job.seeds) for job in nm.sweep.plan(shared) if job.network.norm == norm] == expected


def test_no_field_belongs_to_both_configs() -> None:
    for network in (nm.MLPConfig, nm.CNNConfig):
        assert not {f.name for f in fields(network)} & {f.name for f in fields(nm.TrainConfig)}


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["hidden=128,64", "hidden=32,16", "hidden="], {"hidden": [(128, 64), (32, 16), ()]}),
        (["learning_rate=0.001,3e-3", "learning_rate=1"], {"learning_rate": [0.001, 0.003, 1.0]}),
        (["bias=true,False", "epochs=1,2"], {"bias": [True, False], "epochs": [1, 2]}),
        (["optimizer=sgd,adam", "device=cpu"], {"optimizer": ["sgd", "adam"], "device": ["cpu"]}),
    ],
)
def test_words_are_read_by_the_type_of_their_field(words: list[str], settings: dict[str, list[Any]]) -> None:
    assert nm.sweep.parse(words, nm.MLPConfig()) == settings


@pytest.mark.parametrize(
    ("word", "error", "text"),
    [
        ("hiden=3", UnknownName, "did you mean 'hidden'"),
        ("channels=3", UnknownName, "no setting 'channels'"),
        ("seed=3", UnknownName, "seeds are given separately"),
        ("hidden", ConfigError, "field=value"),
        ("hidden=a", ConfigError, "whole numbers with commas"),
        ("epochs=1.5", ConfigError, "values of type int"),
        ("bias=maybe", ConfigError, "true or false"),
    ],
)
def test_a_word_that_can_not_be_read_says_why(word: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        nm.sweep.parse([word], nm.MLPConfig())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seeds": (1, 1)}, "seeds is .* one or more different values"),
        ({"seeds": ()}, "one or more different values"),
        ({"settings": {"epochs": (1, 1)}}, "epochs is .* one or more different values"),
        ({"settings": {"epoch": (1,)}}, "did you mean 'epochs'"),
        ({"order": "same"}, "no order 'same'"),
        ({"training": nm.TrainConfig(seed=3)}, "each network has its own"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(MicroscopeError, match=text):
        asked(**changes)


def test_a_combination_that_can_not_be_is_named_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"optimizer=adam momentum=0\.9 can't be .*only sgd"):
        nm.sweep.plan(asked(settings={"optimizer": ("sgd", "adam"), "momentum": (0.0, 0.9)}))


# --- doing it ----------------------------------------------------------------------------------------------------------------


def test_each_run_is_what_training_alone_records_and_a_second_call_does_nothing(tmp_path: Path, client: Any) -> None:
    sweep, counted = asked(), []
    outcome = nm.sweep.run(sweep, tmp_path / "s", client, progress=lambda *count: counted.append(count))
    assert outcome == nm.sweep.Outcome([], names(sweep), {}, [])
    assert counted == [("networks", done, 4) for done in range(5)]
    digits = nm.data.load("digits")
    for job in nm.sweep.plan(sweep):
        network, seed = replace(job.network, image_shape=(8, 8)), job.seeds[0]
        alone = tmp_path / f"alone-{job.names[0]}"
        nm.train(nm.MLP(network, seed=seed), digits, replace(SHORT, seed=seed), observers=[nm.Recorder(alone, RECORD)])
        run = nm.Run.open(tmp_path / "s" / "runs" / job.names[0])
        assert run.verify() == []
        assert small_runs.contents(run.folder) == small_runs.contents(alone)
    before = stamps(tmp_path / "s")
    counted.clear()
    again = nm.sweep.run(sweep, tmp_path / "s", client, progress=lambda *count: counted.append(count))
    assert counted == [("networks", 4, 4)]
    assert again == nm.sweep.Outcome(names(sweep), [], {}, [])
    for job in nm.sweep.plan(sweep):  # nor does a worker that is told to do again what another has done
        work.train_job(job, sweep, str(tmp_path / "s"))
    assert stamps(tmp_path / "s") == before
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["runs", "sweep.json"]


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_resuming_does_what_is_missing_and_nothing_else(tmp_path: Path, client: Any) -> None:
    sweep = asked(settings={}, seeds=range(3))
    nm.sweep.run(sweep, tmp_path, client)
    runs = tmp_path / "runs"
    (runs / "seed=1" / "commits.jsonl").unlink()  # as an upload leaves it that was stopped
    record = (runs / "seed=2" / "commits.jsonl").read_bytes()
    (runs / "seed=2" / "commits.jsonl").write_bytes(record[:-1])  # or one whose last file is half there
    kept = stamps(runs / "seed=0")
    outcome = nm.sweep.run(sweep, tmp_path, client)
    assert outcome == nm.sweep.Outcome(["seed=0"], ["seed=1", "seed=2"], {}, [])
    assert stamps(runs / "seed=0") == kept
    assert all(nm.Run.open(run).verify() == [] for run in runs.iterdir())


def test_seeds_that_share_their_batches_are_what_a_population_is(tmp_path: Path, client: Any) -> None:
    sweep = asked(settings={}, seeds=range(3), order="shared", training=nm.TrainConfig(epochs=1, seed=5))
    nm.sweep.run(sweep, tmp_path, client)
    network = nm.MLPConfig(image_shape=(8, 8), hidden=(4,))
    population = nm.train_population(network, nm.data.load("digits"), sweep.training, seeds=sweep.seeds, order="shared")
    for seed, (model, _) in population.items():
        run = nm.Run.open(tmp_path / "runs" / f"seed={seed}")
        assert run.verify() == []
        assert run.train_config.seed == 5
        assert all((weight == model.state_dict()[name]).all() for name, weight in run.weights().items())


def test_a_task_that_fails_is_tried_again(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def failing_twice(name: str) -> Any:
        tries.append(name)
        if len(tries) < 3:
            raise DataError("the disk is asleep")
        return nm.data.load(name)

    monkeypatch.setattr(work, "_data", failing_twice)
    sweep = asked(settings={}, seeds=(0,))
    outcome = nm.sweep.run(sweep, tmp_path, client, retries=1)
    assert outcome.failed == {"seed=0": "DataError: the disk is asleep"}
    assert len(tries) == 2
    assert nm.sweep.run(sweep, tmp_path, client, retries=1).trained == ["seed=0"]


def test_what_fails_each_time_is_listed_and_the_rest_is_done(tmp_path: Path, client: Any) -> None:
    sweep = asked(
        settings={"classes": (3, 10), "learning_rate": (0.01, 1e30)}, training=replace(SHORT, optimizer="sgd")
    )
    outcome = nm.sweep.run(sweep, tmp_path, client)
    good, bad = [n for n in names(sweep) if "classes=10" in n], [n for n in names(sweep) if "classes=3" in n]
    assert outcome.trained == good
    assert list(outcome.failed) == bad
    assert all(reason.startswith("DataError: the model has 3 classes") for reason in outcome.failed.values())
    assert outcome.diverged == [n for n in good if "1e+30" in n]
    nowhere = nm.sweep.run(asked(data=str(tmp_path / "nowhere")), tmp_path / "other", client)
    assert len(nowhere.failed) == 4
    table = nm.sweep.table(tmp_path)
    assert table["status"].values.tolist() == ["missing"] * 4 + ["finished"] * 2 + ["diverged"] * 2
    assert np.isnan(table["test_loss"]).values.tolist() == [True] * 4 + [False] * 2 + [True] * 2


def test_a_run_whose_place_only_the_worker_sees_has_failed(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "upload", lambda folder, system, root: None)
    outcome = nm.sweep.run(asked(settings={}, seeds=(0,)), tmp_path, client)
    assert "all machines share" in outcome.failed["seed=0"]


def test_an_interruption_leaves_what_is_finished(tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, allowed = asked(settings={}, seeds=range(6)), threading.Semaphore(3)

    def when_allowed(name: str) -> Any:
        allowed.acquire()
        return nm.data.load(name)

    def stop(name: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(work, "_data", when_allowed)
    with pytest.raises(KeyboardInterrupt):
        nm.sweep.run(sweep, tmp_path, client, progress=stop)
    allowed.release(6)
    wait_for(lambda: not any(client.processing().values()))
    assert 2 <= len(list((tmp_path / "runs").iterdir())) < 6
    outcome = nm.sweep.run(sweep, tmp_path, client)
    assert len(outcome.found) >= 2
    assert sorted(outcome.found + outcome.trained) == names(sweep)
    assert all(nm.Run.open(run).verify() == [] for run in (tmp_path / "runs").iterdir())


def test_a_folder_whose_claim_was_killed_is_claimed_again_and_anything_else_in_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "s" / "runs").mkdir(parents=True)
    (tmp_path / "s" / f".{'0' * 32}.partial.json").write_text("{")
    (tmp_path / "s" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match=r"it holds thesis\.txt"):
        nm.sweep.claim(asked(), tmp_path / "s")
    (tmp_path / "s" / "thesis.txt").rename(tmp_path / "s" / "runs" / "thesis.txt")
    with pytest.raises(RunError, match="it holds runs"):
        nm.sweep.claim(asked(), tmp_path / "s")
    (tmp_path / "s" / "runs" / "thesis.txt").unlink()
    nm.sweep.claim(asked(), tmp_path / "s")
    (tmp_path / "s" / "runs").rmdir()  # as a kill right after sweep.json leaves it
    nm.sweep.claim(asked(), tmp_path / "s")
    assert (tmp_path / "s" / "runs").is_dir()
    assert nm.sweep.read(tmp_path / "s") == asked()


def test_a_folder_of_another_sweep_or_of_something_else_is_refused(tmp_path: Path, client: Any) -> None:
    sweep = asked(settings={"epochs": (0,), "hidden": ((2,),)})
    nm.sweep.run(sweep, tmp_path / "s", client)
    assert nm.sweep.read(tmp_path / "s") == sweep
    others = {"seeds": asked(settings=sweep.settings, seeds=(0,)), "data": replace(sweep, data="mnist")}
    others["settings"] = replace(sweep, settings={"hidden": ((2,),), "epochs": (0,)})  # runs would have other names
    for part, other in others.items():
        with pytest.raises(RunError, match=f"another sweep: its {part} is"):
            nm.sweep.run(other, tmp_path / "s", client)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    with pytest.raises(RunError, match="not empty"):
        nm.sweep.run(sweep, tmp_path / "full", client)
    with pytest.raises(RunError, match="not the folder of a sweep"):
        nm.sweep.table(tmp_path / "full")
    with pytest.raises(RunError, match="can't hold a sweep"):
        nm.sweep.run(sweep, "nowhere://x", client)


@pytest.fixture(scope="module")
def claimed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("claimed")
    nm.sweep.claim(asked(settings={"hidden": ((4,), (3, 2)), "learning_rate": (0.01, 0.1)}), folder)
    return folder


def with_sweep_json(claimed: Path, content: bytes) -> Path:
    folder = claimed.with_name("changed")
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_bytes(content)
    return folder


@pytest.mark.parametrize("version", [1, 2])
def test_only_a_sweep_of_an_older_release_has_no_seal(claimed: Path, version: int) -> None:
    about = json.loads((claimed / "sweep.json").read_text()) | {"format_version": version}
    del about["sha256"]
    folder = with_sweep_json(claimed, json.dumps(about).encode())
    with (
        contextlib.nullcontext() if version == 1 else pytest.raises(RunError, match=r"sweep\.json.* sha256 is missing")
    ):
        nm.sweep.read(folder)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_other_byte_of_sweep_json_is_an_error_that_names_it(claimed: Path, data: st.DataObject) -> None:
    content = bytearray((claimed / "sweep.json").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    for other in (bytes(content), bytes(content[:at])):
        with pytest.raises(RunError, match=r"changed/sweep\.json"):
            nm.sweep.read(with_sweep_json(claimed, other))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["hidden", "kind", "device", "x"]), inner)
    ),
)
PARTS = ["network", "training", "record", "data", "seeds", "settings", "order", "x"]


@settings(deadline=None, max_examples=150)
@given(changes=st.dictionaries(st.sampled_from(PARTS), JSON, min_size=1, max_size=2), whole=JSON)
def test_a_sweep_that_somebody_else_asked_for_is_one_or_an_error(
    claimed: Path, changes: dict[str, Any], whole: object
) -> None:
    about = json.loads((claimed / "sweep.json").read_text())
    about["sha256"] = documents.UNSEALED
    for other in ({**about, "asked": {**about["asked"], **changes}}, whole, {}):
        folder = with_sweep_json(claimed, documents.sealed(json.dumps(other).encode()))
        try:
            nm.sweep.plan(nm.sweep.read(folder))
        except RunError as error:
            assert "changed/sweep.json" in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"learning_rate": ("fast",)}, "learning_rate is 'fast'; that can't be: Expected `float`"),
        ({"hidden": ((4, "x"),)}, "hidden is .*Expected `int`"),
        ({"hidden": ((4,) * 200,)}, "a run's folder would be called 'hidden=4-4.* too long"),
        ({"device": ("cpu\0",)}, "device is 'cpu"),
    ],
)
def test_settings_that_name_no_folder_or_have_another_type_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        nm.sweep.plan(asked(settings=settings))


def test_more_networks_than_a_sweep_can_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="70,000 networks; a sweep may have at most"):
        asked(seeds=range(70), settings={"learning_rate": [float(i) for i in range(1000)]})


def test_what_can_not_be_brought_to_its_place_is_found_before_anything_is_trained(tmp_path: Path) -> None:
    sweep = asked()
    nm.sweep.claim(sweep, tmp_path)
    letter = tmp_path / "runs" / names(sweep)[-1] / "letter"
    letter.parent.mkdir()
    letter.touch()
    with pytest.raises(RunError, match="holds 'letter', which no run holds: move it away"):
        nm.sweep.run(sweep, tmp_path, NoClient())


class NoClient:
    """Trains nothing."""


def test_nothing_is_deleted_that_no_run_holds(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "a" / "seed=0")
    system, root = destination.place(tmp_path / "s")
    letter = tmp_path / "s" / "runs" / "seed=0" / "letter"
    copy = tmp_path / "s" / "uploads" / f"seed=0.{'0' * 32}"
    for folder in (letter.parent, copy, copy.with_name("mine")):
        folder.mkdir(parents=True)
    letter.touch()
    with pytest.raises(RunError, match="holds 'letter', which no run holds: move it away"):
        destination.upload(tmp_path / "a" / "seed=0", system, root)
    destination.clear_uploads(root, ["seed=0"])
    assert letter.exists()
    assert [path.name for path in (tmp_path / "s" / "uploads").iterdir()] == ["mine"]


@pytest.mark.parametrize("content", [b"", b"x" * 20, Zstd(level=1).encode(np.zeros(1 << 22))])
def test_a_chunk_that_holds_no_number_is_an_error_and_takes_no_memory(content: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(RunError, match="runs/c"):
        log.scalar(content, "runs/c")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("link", ["sweep.json", "runs", "runs/seed=0", "runs/seed=0/commits.jsonl"])
def test_nothing_of_a_sweep_is_read_through_a_link(tmp_path: Path, link: str) -> None:
    sweep = asked(settings={}, seeds=(0,))
    system, root = destination.claim(sweep, tmp_path / "s")
    small_runs.train(tmp_path / "s" / "runs" / "seed=0")
    assert list(destination.endings(system, root, ["seed=0"]))
    path = tmp_path / "s" / link
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match=f"s/{link}: expected a (file|folder), found a link"):
        nm.sweep.table(tmp_path / "s")["status"].compute(scheduler="synchronous")


# --- other destinations ------------------------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://sweep"
    system = fsspec.filesystem("memory")
    if system.exists("/sweep"):
        system.rm("/sweep", recursive=True)


def test_runs_go_to_a_url_and_come_back_whole(memory: str, tmp_path: Path, client: Any) -> None:
    sweep = asked()
    assert nm.sweep.run(sweep, memory, client).trained == names(sweep)
    assert nm.sweep.run(sweep, memory, client).found == names(sweep)
    assert nm.sweep.table(memory)["status"].values.tolist() == ["finished"] * 4
    fsspec.filesystem("memory").get("/sweep/", str(tmp_path), recursive=True)
    for name in names(sweep):
        run = nm.Run.open(tmp_path / "runs" / name)
        assert run.verify() == []
        row = nm.sweep.table(memory).sel(run=name)
        for number in ("test_accuracy", "test_loss"):
            assert float(row[number]) == float(run.log[number][-1])


def test_an_upload_that_breaks_off_anywhere_does_not_look_finished(
    memory: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, sweep = fsspec.filesystem("memory"), asked(settings={}, seeds=(0,))
    put_file = type(system).put_file

    def break_off(when: Any) -> None:
        done: list[str] = []

        def breaking(self: Any, source: str, target: str, *rest: Any, **more: Any) -> None:
            if when(len(done), target):
                raise ConnectionError("the line is dead")
            done.append(target)
            put_file(self, source, target, *rest, **more)

        monkeypatch.setattr(type(system), "put_file", breaking)

    at_file = [lambda count, target, n=n: count == n for n in (0, 1, 5, 10)]
    for when in (*at_file, lambda count, target: target.endswith("commits.jsonl")):
        break_off(when)
        outcome = nm.sweep.run(sweep, memory, client, retries=0)
        assert outcome.failed == {"seed=0": "ConnectionError: the line is dead"}
        assert nm.sweep.table(memory)["status"].values.tolist() == ["missing"]
    monkeypatch.undo()
    assert nm.sweep.run(sweep, memory, client).trained == ["seed=0"]


def test_a_copy_that_never_comes_to_its_place_does_not_look_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_runs.train(tmp_path / "a" / "seed=0")
    system, root = destination.place(tmp_path / "s")
    (tmp_path / "s" / "runs").mkdir(parents=True)

    def full(source: str, target: str) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", full)
        with pytest.raises(OSError, match="no space left"):
            destination.upload(tmp_path / "a" / "seed=0", system, root)
    assert not list((tmp_path / "s" / "runs").iterdir())
    destination.upload(tmp_path / "a" / "seed=0", system, root)
    assert list(destination.endings(system, root, ["seed=0"])) == ["seed=0"]


def test_of_two_that_bring_the_same_run_the_first_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        small_runs.train(tmp_path / name / "seed=0")
    system, root = destination.place(tmp_path / "s")
    (tmp_path / "s" / "runs").mkdir(parents=True)
    for name in ("a", "b"):
        destination.upload(tmp_path / name / "seed=0", system, root)
    run = nm.Run.open(tmp_path / "s" / "runs" / "seed=0")
    assert run.verify() == []
    first = tmp_path / "a" / "seed=0" / "commits.jsonl"
    assert (run.folder / "commits.jsonl").read_bytes() == first.read_bytes()
    assert not list((tmp_path / "s" / "uploads").iterdir())


# --- the table ---------------------------------------------------------------------------------------------------------------


def test_the_table_reads_when_asked_and_says_what_the_runs_say(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "CHUNK", 3)
    sweep = asked(settings={"hidden": ((4,), (3, 2)), "learning_rate": (0.01, 0.02)})
    destination.claim(sweep, tmp_path)
    table = nm.sweep.table(tmp_path)
    assert table["test_accuracy"].chunks == ((3, 3, 2),)
    assert set(table["status"].values) == {"missing"}
    nm.sweep.run(sweep, tmp_path, client)
    assert table["hidden"].values.tolist() == ["4"] * 4 + ["3-2"] * 4
    assert table["learning_rate"].values.tolist() == [0.01, 0.01, 0.02, 0.02] * 2
    assert table["seed"].values.tolist() == [0, 1] * 4
    runs = [nm.Run.open(tmp_path / "runs" / name) for name in table["run"].values]
    for number in ("test_accuracy", "test_loss"):
        assert table[number].values.tolist() == [float(run.log[number][-1]) for run in runs]
    chunk = sorted((runs[0].folder / "log.zarr" / "test_loss").glob("c.*"), key=lambda path: int(path.suffix[1:]))[-1]
    chunk.write_bytes(bytes([*chunk.read_bytes()[:-1], 0]))
    with pytest.raises(RunError, match="not what was written"):
        table["test_loss"].compute()


# --- real processes ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[int]]]:
    """(the address of a scheduler, the process ids of its two workers), each a process of its own; workers note what they finish."""
    file = tmp_path / "scheduler.json"
    here = Path(__file__).parent
    scheduler = ["dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    worker = [
        "dask_worker",
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--local-directory",
        tmp_path / "workers",
    ]
    preload = ["--preload", here / "sweep_witness.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WITNESS": str(tmp_path / "witness")}
    with contextlib.ExitStack() as stack:
        processes = []
        for words in (scheduler, [*worker, *preload], [*worker, *preload]):
            command = [sys.executable, "-m", f"distributed.cli.{words[0]}", *words[1:], "--scheduler-file", file]
            process = subprocess.Popen(
                list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            processes.append(process)
            stack.callback(process.wait)
            stack.callback(process.kill)
        wait_for(file.exists)
        address = json.loads(file.read_text())["address"]
        yield address, [process.pid for process in processes[1:]]


def wait_for(condition: Any, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path, cluster: tuple[str, list[int]]) -> None:
    address, workers = cluster
    sweep = asked(settings={}, seeds=range(6), training=nm.TrainConfig(epochs=25))
    runs, killed = tmp_path / "s" / "runs", []

    def kill(name: str, done: int, total: int) -> None:
        if done >= 1 and not killed:  # there is work left for both, and both are at it
            wait_for(lambda: all(client.processing().values()))
            os.kill(workers[0], signal.SIGKILL)
            killed.append(done)

    with nm.sweep.connect(scheduler=address) as client:
        client.wait_for_workers(2, timeout=300)
        outcome = nm.sweep.run(sweep, tmp_path / "s", client, progress=kill)
        assert killed == [1]
        assert sorted(outcome.trained) == names(sweep)
        assert not outcome.failed
        assert len(client.scheduler_info()["workers"]) == 1
        assert sorted(path.name for path in runs.iterdir()) == names(sweep)
        assert all(nm.Run.open(run).verify() == [] for run in runs.iterdir())
        assert all(nm.Run.open(run).status == "finished" for run in runs.iterdir())
        assert not (tmp_path / "s" / "uploads").exists()
        before = stamps(runs)
        assert nm.sweep.run(sweep, tmp_path / "s", client).found == names(sweep)
        assert stamps(runs) == before
    noted = (tmp_path / "witness").read_text().split()
    assert len(set(noted)) == len(noted), "a run was done twice"
    assert set(noted) <= set(names(sweep))


def test_a_worker_that_is_slow_to_end_loses_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def __init__(self, **settings: object) -> None:
            pass

        def close(self) -> None:
            raise TimeoutError("a nanny waited in vain")

        def __exit__(self, *error: object) -> None:
            self.close()

        def __enter__(self) -> Slow:
            return self

    monkeypatch.setattr(distributed, "LocalCluster", Slow)
    monkeypatch.setattr(distributed, "Client", lambda cluster: contextlib.nullcontext("the client"))
    with nm.sweep.connect(workers=1) as client:
        pass
    assert client == "the client"


def test_the_command_trains_in_processes_lists_what_failed_and_exits_with_1(tmp_path: Path) -> None:
    words = [
        "--data",
        "digits",
        "--epochs",
        "1",
        "--seeds",
        "0",
        "1",
        "--set",
        "hidden=4",
        "classes=10,3",
        "--workers",
        "1",
    ]
    done = microscope("sweep", "mlp", *words, "--out", tmp_path / "s")
    assert done.returncode == 1
    assert "2 trained, 0 already present" in done.stdout
    assert "hidden=4_classes=3_seed=0: DataError: the model has 3 classes" in done.stdout
    assert done.stderr == "microscope: 2 networks failed; the same command retries them\n"
    assert nm.sweep.table(tmp_path / "s")["status"].values.tolist() == ["finished"] * 2 + ["missing"] * 2
