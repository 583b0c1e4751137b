"""The commands as a user types them, on the bundled digits: no network is needed. Signals go to processes of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neural_microscope as nm
from command_line import microscope
from neural_microscope import demonstration, processes
from neural_microscope.data import source
from undrawn import draw_nothing

SMALL = ["--data", "digits", "--hidden", "8", "--epochs", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "mlp"
    done = microscope("train", "mlp", *SMALL, "--seed", 3, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    return folder


def test_train_records_what_was_asked_for(run: Path) -> None:
    found = nm.Run.open(run)
    assert found.status == "finished"
    assert found.config == nm.MLPConfig(image_shape=(8, 8), hidden=(8,))
    assert found.train_config == nm.TrainConfig(epochs=2, seed=3)
    assert found.description["model"]["seed"] == 3


def test_train_makes_a_cnn_too(tmp_path: Path) -> None:
    words = ["--data", "digits", "--channels", "2", "--head", "--epochs", "1", "--out", tmp_path / "cnn"]
    done = microscope("train", "cnn", *words)
    assert done.returncode == 0, done.stderr
    assert nm.Run.open(tmp_path / "cnn").config == nm.CNNConfig(image_shape=(8, 8), channels=(2,), head=())


def test_an_occupied_folder_is_refused_in_one_line(run: Path) -> None:
    done = microscope("train", "mlp", *SMALL, "--out", run)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "microscope resume" in done.stderr


def test_verify_says_yes_and_names_the_file_when_no(run: Path, tmp_path: Path) -> None:
    done = microscope("verify", run)
    assert done.returncode == 0
    assert "all files verified" in done.stdout
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", run, copy], check=True)
    weights = sorted((copy / "weights").iterdir())[0]
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = microscope("verify", copy)
    assert done.returncode == 1
    assert f"weights/{weights.name}" in done.stdout


def test_a_file_that_a_stopped_writer_left_is_listed_and_no_damage(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", run, copy], check=True)
    (copy / "weights" / "00000007.safetensors.partial").write_bytes(b"half")
    (copy / "notes.txt").write_text("mine")
    done = microscope("verify", copy)
    assert done.returncode == 0, done.stderr
    assert "weights/00000007.safetensors.partial: not part of this run: a writer that was stopped" in done.stdout
    assert "notes.txt: not part of this run" in done.stdout
    assert "all files verified" in done.stdout


@pytest.mark.usefixtures("undrawn")
def test_report_writes_a_page(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    done = microscope("report", "-o", page, run)
    assert done.returncode == 0, done.stderr
    assert "What happens inside the MLP" in page.read_text("utf-8")
    assert done.stdout == f"NOTE: {page.parent} is a new folder\n{page}\n"
    assert microscope("report", run, "-o", page).stdout == f"{page}\n"


def test_resume_of_a_finished_run_and_folders_that_are_none_fail_in_one_line(run: Path, tmp_path: Path) -> None:
    for words in (["resume", run], ["resume", tmp_path], ["report", tmp_path], ["verify", tmp_path / "nowhere"]):
        done = microscope(*words)
        assert done.returncode == 1, words
        assert len(done.stderr.strip().splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_process_ends_with_the_code_and_the_line_of_its_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "neural_microscope.cli", "verify", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"microscope: there is no folder {tmp_path / 'nowhere'}\n"


def test_wrong_usage_exits_with_2() -> None:
    for words in (
        ["develop"],
        ["train", "mlp"],
        ["train", "rnn", "--out", "x"],
        ["train", "mlp", "--epochs", "many", "--out", "x"],
    ):
        assert microscope(*words).returncode == 2, words


def test_an_option_given_twice_is_refused_since_its_first_values_would_be_lost(tmp_path: Path) -> None:
    done = microscope("sweep", "mlp", "--set", "hidden=4", "--set", "epochs=1,2", "--out", tmp_path / "x")
    assert (done.returncode, done.stderr) == (
        2,
        "microscope: --set is given 2 times; give it once, with all its values after it. See: microscope sweep mlp --help\n",
    )


def test_settings_that_can_not_be_are_one_line(tmp_path: Path) -> None:
    done = microscope("train", "mlp", *SMALL, "--dropout", 1.5, "--out", tmp_path / "x")
    assert done.returncode in (1, 2)
    assert "dropout" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_a_diverged_run_exits_with_1_and_keeps_what_there_was(tmp_path: Path) -> None:
    done = microscope("train", "mlp", *SMALL, "--optimizer", "sgd", "--learning-rate", 1e30, "--out", tmp_path / "x")
    assert done.returncode == 1
    assert "diverged at step" in done.stderr
    assert nm.Run.open(tmp_path / "x").status.startswith("diverged at step")


def test_ctrl_c_exits_with_130_keeps_the_run_and_resume_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [
        "train",
        "mlp",
        "--data",
        "digits",
        "--hidden",
        "8",
        "--epochs",
        "100",
        "--no-every-epoch",
        "--out",
        folder,
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "neural_microscope.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background jobs ignore it, and so do theirs
    )
    commits = folder / "commits.jsonl"
    while child.poll() is None and (not commits.exists() or commits.read_text().count('"snapshot"') < 6):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=120)
    assert child.returncode == 130, said
    assert "microscope resume" in said
    assert "Traceback" not in said
    assert nm.Run.open(folder).status.startswith("interrupted at step")
    done = microscope("resume", folder)
    assert done.returncode == 0, done.stderr
    assert nm.Run.open(folder).status == "finished"


def test_a_run_on_data_of_a_path_is_continued_with_that_path(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    arrays = {
        f"{part}_{what}": getattr(getattr(digits, part), what)
        for part in ("train", "test")
        for what in ("images", "labels")
    }
    np.savez(tmp_path / "own.npz", **arrays)

    class Stopping(nm.training.Observer):
        def stepped(self, training: nm.training.InProgress) -> None:
            raise KeyboardInterrupt

    mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(4,)))
    own, folder = nm.data.load(tmp_path / "own.npz"), tmp_path / "run"
    with contextlib.suppress(KeyboardInterrupt):
        nm.train(mlp, own, nm.TrainConfig(epochs=1), observers=[nm.Recorder(folder), Stopping()])
    failed = microscope("resume", folder)
    assert failed.returncode == 1
    assert failed.stderr.endswith("Give the data it was trained on: --data …\n")
    assert microscope("resume", folder, "--data", tmp_path / "own.npz").returncode == 0
    assert nm.Run.open(folder).status == "finished"


def passed_on(thing: Any) -> Any:
    """As it comes out at the other end of a pipe between processes."""
    return pickle.loads(pickle.dumps(thing))


def one_after_the_other(work: Mapping[str, processes.Steps], tell: Callable[..., None]) -> dict[str, Any]:
    """`processes.side_by_side` in this process, which has everything imported; jobs and results can be sent to another."""

    def passing(steps: processes.Steps) -> processes.Steps:
        results: list[Any] | None = None
        while True:
            try:
                jobs = next(steps) if results is None else steps.send(results)
            except StopIteration as end:
                return end.value
            results = [passed_on(found) for found in (yield [passed_on(job) for job in jobs])]

    return {name: processes.one_by_one(passing(steps), partial(tell, name)) for name, steps in work.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_demo_with_seeds_counts_its_claims_over_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"mlp": nm.MLPConfig(hidden=(4,)), "cnn": nm.CNNConfig(channels=(2,), head=())}
    quick = nm.TrainConfig(batch_size=32, learning_rate=0.02)
    monkeypatch.setattr(demonstration, "FULL", {kind: (network, quick) for kind, network in small.items()})
    monkeypatch.setattr(processes, "side_by_side", one_after_the_other)
    out = tmp_path / "demo"
    done = microscope("demo", "--short", "--data", "digits", "--seed", "3", "--seeds", "2", "--out", out)
    assert done.returncode == 0, done.stderr
    seeds = {name: nm.Run.open(out / name).description["model"]["seed"] for name in ("mlp", "mlp-4", "cnn", "cnn-4")}
    assert seeds == {"mlp": 3, "mlp-4": 4, "cnn": 3, "cnn-4": 4}
    assert "Findings, on 2 seeds each" in done.stdout
    assert "of 2 seeds" in (out / "report.html").read_text("utf-8")
    assert microscope("demo", "--seeds", "0").returncode == 1


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_demo_without_mnist_uses_the_digits_loudly_ends_with_the_page_and_reuses_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """A machine without a network: the mirrors are pointed at a closed local port. The networks are small, and in the short form."""
    nowhere = dataclasses.replace(source.KNOWN["mnist"], mirrors=("http://127.0.0.1:9/",))
    monkeypatch.setitem(source.KNOWN, "mnist", nowhere)
    monkeypatch.setenv("NEURAL_MICROSCOPE_DATA", str(tmp_path / "empty"))
    small = {"mlp": nm.MLPConfig(hidden=(12,)), "cnn": nm.CNNConfig(channels=(3,), head=())}
    quick = nm.TrainConfig(batch_size=8, learning_rate=0.02)
    monkeypatch.setattr(demonstration, "FULL", {kind: (network, quick) for kind, network in small.items()})
    if not workers:
        monkeypatch.setattr(processes, "side_by_side", one_after_the_other)
        draw_nothing(monkeypatch)
    out = tmp_path / "demo"
    done = microscope("demo", "--short", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "NOT mnist" in done.stdout
    assert re.search(r"^- MLP: test accuracy [\d.]+%, above chance", done.stdout, re.M)
    page = out / "report.html"
    assert str(page) in done.stdout
    text = page.read_text("utf-8")
    assert 'class="loud"' in text
    assert str(out / "explorer.html") in done.stdout
    assert "NOT mnist" in (out / "explorer.html").read_text("utf-8")
    assert nm.Run.open(out / "mlp").description["data"]["name"] == "digits"
    said: list[str] = []
    digits = nm.data.load("digits")
    few = nm.data.Dataset("digits", digits.train.subset(slice(0, len(digits.train) // 6)), digits.test)
    for kind, config in demonstration.settings(few, 0, True).items():
        demonstration.trained(out / kind, *config, few, lambda line, *_: said.append(line))
    assert sum("already trained" in line for line in said) == 2
    other = microscope("demo", "--data", "digits", "--short", "--seed", 1, "--out", out)
    assert other.returncode == 1
    assert "a run with other settings" in other.stderr
