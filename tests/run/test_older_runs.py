"""Runs recorded by earlier versions, committed under tests/fixtures: this version opens, verifies, resumes, reports and explores them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import neural_microscope as nm
from forging import forged
from neural_microscope.errors import RunError
from neural_microscope.run import verify

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures").glob("run-*"))


@pytest.fixture(params=FIXTURES, ids=lambda folder: folder.name)
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the runs that one version recorded."""
    return Path(shutil.copytree(request.param, tmp_path / "runs"))


def test_there_are_older_runs() -> None:
    assert [folder.name for folder in FIXTURES] == ["run-0.1"]


def test_it_is_opened_and_every_byte_is_verified(runs: Path) -> None:
    run = nm.Run.open(runs / "finished")
    assert (run.status, run.steps) == ("finished", [0, 4, 23, 46, 69])
    assert run.config == nm.MLPConfig(image_shape=(8, 8), hidden=(16, 8))
    assert run.train_config == nm.TrainConfig(epochs=3, batch_size=64, learning_rate=0.02)
    assert run.activations("layers.0.hook_post").shape == (5, 60, 16)
    assert run.training.sizes["step"] == 69
    assert np.isfinite(run.gradients["grad_norm"]).all()
    assert verify(runs / "finished") == verify(runs / "interrupted") == []
    score = nm.evaluate(run.model(), nm.data.load("digits").test)
    assert score.accuracy == pytest.approx(float(run.log["test_accuracy"][-1]), abs=0.01)


def test_it_is_resumed_to_the_same_end(runs: Path) -> None:
    with pytest.raises(RunError, match="nothing to resume"):
        nm.resume(runs / "finished")
    assert nm.Run.open(runs / "interrupted").status == "interrupted at step 60"
    nm.resume(runs / "interrupted")
    run, whole = nm.Run.open(runs / "interrupted"), nm.Run.open(runs / "finished")
    assert (run.status, run.steps, run.verify()) == ("finished", whole.steps, [])
    for name, weights in run.weights().items():  # another processor may round otherwise
        np.testing.assert_allclose(weights, whole.weights()[name], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(run.training["loss"], whole.training["loss"], rtol=1e-3)


@pytest.mark.parametrize("seed", [0, 5])
def test_one_that_may_be_of_a_shared_order_says_so_when_it_is_resumed(
    runs: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    about = json.loads((runs / "interrupted" / "run.json").read_text("utf-8"))
    about["model"]["seed"] = seed
    forged(runs / "interrupted", "run.json", json.dumps(about).encode())
    nm.resume(runs / "interrupted")
    assert ("order='shared'" in capsys.readouterr().err) is (seed != about["train"]["seed"])


@pytest.mark.usefixtures("unsaved")
def test_it_is_reported(runs: Path, tmp_path: Path) -> None:
    page = nm.report.write([nm.Run.open(runs / "finished")], tmp_path / "report.html").read_text("utf-8")
    assert "What happens inside the MLP" in page
    assert "finished" in page


def test_it_is_explored(runs: Path, tmp_path: Path) -> None:
    page = nm.explorer.write([nm.Run.open(runs / "finished")], tmp_path / "explorer.html")
    assert "layers.1" in page.read_text("utf-8")


def test_it_names_no_place_of_the_machine_it_was_made_on(runs: Path) -> None:
    for path in (path for path in runs.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl")):
        assert not re.search(r"""["'\s](/|~|[A-Za-z]:\\)[^"'\s]""", path.read_text("utf-8")), path
    assert sum(path.stat().st_size for path in runs.rglob("*") if path.is_file()) < 400_000
