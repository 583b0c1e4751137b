"""The log as others see it: a Zarr store that any reader opens, whose chunks are those that zarr itself writes."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.run import ArraySpec, Layout, log, reduced
from neural_microscope.run.rows import Rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log") / "run"
    small_runs.train(folder)
    return folder


# --- chunks -----------------------------------------------------------------------------------------------------------------

SPECS = {
    "float32": ArraySpec(("snapshot", "example", "unit"), (3, 40, 5), "numbers"),
    "float64": ArraySpec(("step",), (10,), "numbers", dtype="float64"),
    "int64": ArraySpec(("snapshot", "example"), (2, 7), "numbers", dtype="int64"),
    "maps": ArraySpec(("snapshot", "example", "channel", "row", "col"), (2, 3, 4, 5, 6), "numbers"),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("kind", ["noise", "zeros", "absent", "short"])
def test_a_chunk_is_byte_for_byte_what_zarr_writes(tmp_path: Path, monkeypatch: Any, name: str, kind: str) -> None:
    monkeypatch.setattr(log, "ROWS", 4)
    spec = SPECS[name]
    path = tmp_path / "log.zarr"
    ours = log.create(path, {"": {name: spec}}, {})[name]
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.open_group(path, mode="r+")[name]
    rows = np.random.default_rng(0).normal(size=array.chunks).astype(spec.dtype)
    if kind == "zeros":
        rows[:] = 0
    elif kind == "absent":
        rows[:] = array.fill_value
    elif kind == "short":
        rows = rows[: max(1, len(rows) // 2)]
    number = 0 if kind == "short" else array.shape[0] // array.chunks[0] - 1
    content = ours.packed(rows)
    start = number * array.chunks[0]
    array[start : start + len(rows)] = rows
    assert (path / ours.path(number)).read_bytes() == content
    np.testing.assert_array_equal(ours.unpacked(content, "x")[: len(rows)], rows)


def test_the_last_chunk_is_filled_up_with_what_reads_as_absent(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(log, "ROWS", 4)
    path = tmp_path / "log.zarr"
    loss = log.create(path, {"training": {"loss": SPECS["float64"]}}, {})["training/loss"]
    (path / loss.path(2)).write_bytes(loss.packed([1.0]))
    found = xr.open_zarr(path, group="training", consolidated=False).loss.to_numpy()
    np.testing.assert_array_equal(found, [*[math.nan] * 8, 1.0, math.nan])


@pytest.mark.parametrize("values", [np.zeros((1, 40, 4)), np.zeros((2, 40, 5)), np.zeros((1, 1, 5)), np.zeros(5)])
def test_values_of_another_shape_are_an_error(tmp_path: Path, values: Any) -> None:
    array = log.create(tmp_path / "log.zarr", {"": {"x": SPECS["float32"]}}, {})["x"]
    with pytest.raises(ValueError, match=r"x takes chunks of \(1, 40, 5\)"):
        array.packed(values)


def test_making_a_log_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log.create(tmp_path / "log.zarr", {"": {"x": SPECS["float32"]}}, {})


# --- as any reader sees it --------------------------------------------------------------------------------------------------


def test_plain_xarray_opens_it_with_named_axes_coordinates_and_units(folder: Path) -> None:
    data = xr.open_zarr(folder / "log.zarr")
    assert data["layers.0.hook_post"].dims == ("snapshot", "example", "unit_layers.0.hook_post")
    assert data["logits"].dims == ("snapshot", "example", "class")
    assert dict(data.sizes) == {
        "snapshot": 8,
        "example": 12,
        "class": 3,
        "unit_layers.0.hook_pre": 5,
        "unit_layers.0.hook_post": 5,
    }
    assert data.step.to_numpy().tolist() == [0, 1, 2, 4, 8, 9, 16, 18]
    np.testing.assert_allclose(data.epoch, np.array([0, 1, 2, 4, 8, 9, 16, 18]) / 9)
    assert data.test_loss.attrs["units"] == "nats"
    assert data.seconds.attrs["units"] == "s"
    assert all(array.attrs["long_name"] and array.attrs["units"] for array in data.variables.values())
    assert data.attrs["title"] == "neural-microscope run"
    training = xr.open_zarr(folder / "log.zarr", group="training", consolidated=False)
    assert training.loss.dims == ("step",)
    assert training.step.to_numpy().tolist() == list(range(1, 19))
    assert np.isfinite(training.loss).all()


def test_nothing_is_absent_from_a_finished_log(folder: Path) -> None:
    for group in (None, "training", "gradients"):
        data = xr.open_zarr(folder / "log.zarr", group=group, consolidated=False)
        for name, array in data.variables.items():
            assert np.isfinite(array.to_numpy()).all(), (group, name)


def test_a_last_chunk_that_is_not_full_is_written_too(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(log, "ROWS", 4)
    told = small_runs.train(tmp_path / "run")  # 18 steps
    run = nm.Run.open(tmp_path / "run")
    plain = xr.open_zarr(tmp_path / "run/log.zarr", group="training", consolidated=False)
    assert plain.loss.to_numpy().tolist() == run.training.loss.to_numpy().tolist() == told.loss.tolist()
    assert np.isfinite(run.gradients.grad_norm).all()
    assert run.gradients.sizes["step"] == 5


def test_every_array_is_compressed_with_a_checksum(folder: Path) -> None:
    described = [json.loads(path.read_text()) for path in (folder / "log.zarr").rglob("zarr.json")]
    arrays = [about for about in described if about["node_type"] == "array"]
    assert len(arrays) > 12
    for about in arrays:
        assert about["codecs"][-1] == {"name": "zstd", "configuration": {"level": 1, "checksum": True}}
        assert all(about["dimension_names"])


# --- layout -----------------------------------------------------------------------------------------------------------------


def layout(**changes: Any) -> Layout:
    values = {
        "schedule": [0, 3, 6],
        "steps_per_epoch": 3,
        "total_steps": 6,
        "labels": np.array([2, 0, 1, 0]),
        "test_index": np.arange(4),
        "classes": 3,
        "gallery": [1, 3],
        "parameters": ["a", "b"],
        "norms_every": 2,
    }
    return Layout(**{**values, **changes})


def test_feature_maps_are_kept_as_mean_and_maximum_and_whole_for_the_gallery() -> None:
    maps = torch.arange(4 * 2 * 3 * 3, dtype=torch.float32).reshape(4, 2, 3, 3)
    kept = reduced("conv", maps, [1, 3])
    np.testing.assert_array_equal(kept["conv.mean"], maps.flatten(2).mean(2))
    np.testing.assert_array_equal(kept["conv.max"], maps.flatten(2).max(2).values)
    np.testing.assert_array_equal(kept["conv.maps"], maps[[1, 3]])
    specs = layout().groups({"conv": maps})[""]
    for name, array in kept.items():
        assert specs[name].shape == (3, *array.shape)
        assert specs[name].dtype == array.dtype
    assert specs["conv.maps"].dims == ("snapshot", "example_gallery", "channel_conv", "row_conv", "col_conv")
    assert set(reduced("conv", maps, [])) == {"conv.mean", "conv.max"}


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (torch.float32, "float32"),
        (torch.float64, "float64"),
        (torch.bfloat16, "float32"),
        (torch.float16, "float32"),
        (torch.bool, "int64"),
        (torch.int32, "int64"),
    ],
)
def test_numbers_are_kept_at_their_width_or_a_greater_one(dtype: torch.dtype, kept: str) -> None:
    tensor = torch.ones(4, 2).to(dtype)
    assert str(reduced("x", tensor, [])["x"].dtype) == layout().groups({"x": tensor})[""]["x"].dtype == kept


def test_no_hook_point_hides_something_of_the_log() -> None:
    own = layout().groups({})
    names = [
        *own,
        *own[""],
        "training/loss",
        "conv.mean",
        "conv",
        *{dim for spec in own[""].values() for dim in spec.dims},
    ]
    names = list(dict.fromkeys(filter(None, names)))
    found = layout().groups({name: torch.zeros(4, 2, 3, 3) if name == "conv" else torch.zeros(4, 2) for name in names})
    assert {name: found[""][name] for name in own[""]} == own[""]
    assert len(found[""]) == len(own[""]) + len(names) + 2
    assert not set(found[""]) & {"training", "gradients", "zarr.json"}


def test_logits_of_another_number_of_columns_than_classes_have_units() -> None:
    assert layout().groups({"logits": torch.zeros(4, 3)})[""]["logits"].dims == ("snapshot", "example", "class")
    assert layout().groups({"logits": torch.zeros(4, 5)})[""]["logits"].dims == ("snapshot", "example", "unit_logits")


@pytest.mark.parametrize("shape", [(), (3, 2), (1, 4)])
def test_a_hook_point_without_a_row_for_each_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RunError, match="for 4 images, not a row for each; leave it out"):
        layout().groups({"x": torch.zeros(shape)})


def test_without_norms_there_is_no_group_of_gradients() -> None:
    assert set(layout(norms_every=0).groups({})) == {"", "training"}


# --- rows -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", range(12))
def test_rows_that_were_put_away_and_taken_out_again_become_the_same_chunks(stop: int) -> None:
    def fill(rows: Rows, start: int, end: int) -> None:
        for i in range(start, end):
            rows.add({"a": float(i), "b": [float(i), -float(i)]})

    def new(written: dict[Any, Any]) -> Rows:
        return Rows("g", ("a", "b"), lambda name, number, values: written.update({(name, number): list(values)}), 4)

    straight: dict[Any, Any] = {}
    rows = new(straight)
    fill(rows, 0, 11)
    rows.flush()
    assert straight["g/a", 1] == [4, 5, 6, 7]
    assert straight["g/a", 2] == [8, 9, 10]

    stopped: dict[Any, Any] = {}
    rows = new(stopped)
    fill(rows, 0, stop)
    tail = rows.tail()
    rows = new(stopped)
    rows.restore(stop, tail)
    fill(rows, stop, 11)
    rows.flush()
    rows.flush()  # a second time writes nothing
    assert stopped == straight


def test_a_run_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small_runs.train(tmp_path / "run")
        run = nm.Run.open(tmp_path / "run")
        run.log.load()
        assert run.training.sizes["step"] == 18
        assert run.gradients.sizes["step"] == 5
