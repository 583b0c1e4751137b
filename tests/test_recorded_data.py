"""Whatever trains a run again takes only its own data, and no path that a run's author wrote into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import neural_microscope as nm
import small_runs
from neural_microscope.data import Dataset
from neural_microscope.errors import RunError

AGAIN: dict[str, Callable[[nm.Run, Any], Any]] = {
    "replay": lambda run, data: nm.replay(run, at=8, branches=1, nulls=0, data=data),
    "decided": lambda run, data: nm.replays.decided(run, pairs=1, at=(8,), data=data),
    "influence": lambda run, data: nm.influence.estimate(run, nm.influence.Prediction(0), data=data),
    "edits": lambda run, data: nm.edits.edited(run, nm.edits.Forget(classes=1), data=data),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    """A run whose data have the name of a path."""
    folder = tmp_path_factory.mktemp("named") / "mlp"
    record = nm.RecordConfig(per_octave=1, probe_size=12, keep_states=True)
    held = small_runs.data()
    data = Dataset("../elsewhere/images", held.train, held.test)
    config = nm.TrainConfig(epochs=2, batch_size=10)
    nm.train(small_runs.mlp(hidden=(6,)), data, config, observers=[nm.Recorder(folder, record)])
    return nm.Run.open(folder)


@pytest.mark.parametrize("how", AGAIN)
def test_a_path_in_a_run_is_not_loaded(run: nm.Run, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*given: Any, **options: Any) -> None:
        pytest.fail(f"loaded {given}")

    for module in ("recording", "data"):
        monkeypatch.setattr(f"neural_microscope.{module}.load", load)
    with pytest.raises(RunError, match=r"'../elsewhere/images' is no name of data. Give the data it was trained on"):
        AGAIN[how](run, None)


@pytest.mark.parametrize("how", AGAIN)
def test_other_data_are_refused(run: nm.Run, how: str) -> None:
    with pytest.raises(RunError, match="their checksums differ"):
        AGAIN[how](run, small_runs.data(train=80))
