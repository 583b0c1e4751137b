"""One pass over a log gives what the measures give of the whole of it, with memory for two snapshots."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
import small_runs
from neural_microscope.errors import UnknownName

measures = nm.analysis
NAME = "layers.0.hook_post"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    folder = tmp_path_factory.mktemp("stream") / "run"
    record = nm.RecordConfig(per_octave=1, probe_size=30)
    small_runs.train(folder, model=small_runs.mlp(hidden=(6, 5)), record=record)
    return nm.Run.open(folder)


def test_it_is_what_the_measures_give_of_the_whole_log(run: nm.Run) -> None:
    told: list[tuple[str, int, int]] = []
    found = measures.streaming.stream(run, draws=5, reference=0, progress=lambda *count: told.append(count))
    assert list(found) == ["layers.0.hook_post", "layers.1.hook_post"]
    assert told[-1] == ("layers.1.hook_post", len(run.steps), len(run.steps))
    for name, table in found.items():
        acts = run.activations(name)
        assert table["step"].values.tolist() == run.steps
        over_time = measures.selectivity.over_time(acts)
        for variable in ("preferred", "selectivity", "auc", "auc_q", "auc_shown", "gated"):
            np.testing.assert_array_equal(table[variable], over_time[variable])
        drift = measures.similarity.drift(acts, reference=0, components=2, draws=5)
        np.testing.assert_allclose(table["cka"], drift["cka"], rtol=1e-9)
        for number in range(len(run.steps)):
            pca = measures.geometry.pca(acts, components=2, fit_at=run.steps[number], draws=5)
            for variable in ("explained", "explained_p", "explained_null_high", "eigen_gap"):
                np.testing.assert_allclose(table[variable][number], pca[variable], rtol=1e-9)


def test_memory_does_not_grow_with_the_snapshots() -> None:
    def peak(snapshots: int) -> int:
        tracemalloc.start()
        table = measures.streaming.stream(made(snapshots), draws=1)[NAME]
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert table.sizes["snapshot"] == snapshots
        return most

    few, many = peak(2), peak(12)
    one = 2000 * 40 * 4
    assert many - few < 2 * one  # ten snapshots more


def made(snapshots: int) -> Any:
    """As much of a run as is read, each snapshot made when it is asked for."""

    class Lazy(xr.backends.BackendArray):
        shape, dtype = (snapshots, 2000, 40), np.dtype(np.float32)

        def __getitem__(self, key: Any) -> np.ndarray:
            def one(key: tuple[Any, ...]) -> np.ndarray:
                assert isinstance(key[0], int), "more than one snapshot was asked for"
                return np.abs(np.random.default_rng(key[0]).standard_normal(self.shape[1:], np.float32))[key[1:]]

            return xr.core.indexing.explicit_indexing_adapter(
                key, self.shape, xr.core.indexing.IndexingSupport.BASIC, one
            )

    data = xr.Variable(("snapshot", "example", "unit"), xr.core.indexing.LazilyIndexedArray(Lazy()))
    steps, labels = np.arange(snapshots), np.arange(2000) % 10
    coords = {"step": ("snapshot", steps), "epoch": ("snapshot", steps), "label": ("example", labels)}
    acts = xr.DataArray(data, coords=coords, name=NAME)
    return SimpleNamespace(hook_points=[NAME], activations=lambda name: acts)


def test_what_was_not_recorded_is_refused(run: nm.Run) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        measures.streaming.stream(run, ["layers.0.hook_pos"])
