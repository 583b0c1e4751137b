"""Arguments of measures are checked once, and refused by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

from neural_microscope import named
from neural_microscope.errors import DataError, UnknownName


def acts(shape: tuple[int, ...] = (2, 4, 3), dims: tuple[str, ...] = ("snapshot", "example", "unit")) -> xr.DataArray:
    array = xr.DataArray(
        np.arange(np.prod(shape), dtype=np.float32).reshape(shape), dims=dims, name="layers.0.hook_post"
    )
    if "snapshot" in dims:
        array = array.assign_coords(step=("snapshot", [0, 128]))
    return array.assign_coords(label=("example", [0, 1, 0, 1]))


def test_arrays_come_out_in_float64_and_in_the_order_asked_for() -> None:
    array = named.values(acts(), "unit", "example", "snapshot")
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, acts().values.transpose(2, 1, 0))


def test_the_last_snapshot_is_what_a_measure_of_one_moment_sees() -> None:
    np.testing.assert_array_equal(named.matrix(acts()), acts().values[-1])


def test_a_diverged_snapshot_is_refused_by_hook_point_and_step() -> None:
    bad = acts()
    bad.values[1, 2, 0] = np.nan
    with pytest.raises(DataError, match=r"layers\.0\.hook_post at step 128: .*diverged"):
        named.values(bad, "snapshot", "example", "unit")
    with pytest.raises(DataError, match="at step 128"):
        named.matrix(bad)
    bad.values[1, 2, 0] = np.inf
    with pytest.raises(
        DataError, match=r"not all values are finite \(1 of 12 are not, the first at example 2, unit 0\)"
    ):
        named.flat(bad)
    named.matrix(bad.isel(snapshot=[0]))


def test_empty_input_is_an_error_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="'example' is empty"):
            named.matrix(acts().isel(example=[]))
        with pytest.raises(DataError, match="'unit' is empty"):
            named.matrix(acts().isel(unit=[]))


def test_axes_that_do_not_fit_are_named() -> None:
    with pytest.raises(DataError, match=r"\[snapshot, example, unit\]; they must be \[example, unit\]"):
        named.values(acts(), "example", "unit")
    with pytest.raises(DataError, match="one of them must be unit or channel"):
        named.matrix(acts((4, 3), ("example", "class")))


def test_whole_maps_are_flattened_or_refused_with_the_way_to_reduce_them() -> None:
    maps = acts((4, 2, 3, 3), ("example", "channel", "row", "col"))
    assert named.flat(maps).shape == (4, 18)
    with pytest.raises(DataError, match=r"acts\.mean"):
        named.matrix(maps)


def test_labels_are_integers_from_zero_or_an_error() -> None:
    np.testing.assert_array_equal(named.labels(acts()), [0, 1, 0, 1])
    with pytest.raises(DataError, match=r"needs class labels.*coordinate 'label'"):
        named.labels(acts().drop_vars("label"))
    for wrong in ([0.0, 1.0, 0.0, 1.0], [-1, 0, 1, 0]):
        with pytest.raises(DataError, match="integers from 0"):
            named.labels(acts().assign_coords(label=("example", wrong)))


def test_activations_of_other_images_are_not_compared() -> None:
    named.same_examples(acts(), acts())
    with pytest.raises(DataError, match=r"4 examples, .* 3"):
        named.same_examples(acts(), acts().isel(example=[0, 1, 2]))
    with pytest.raises(DataError, match="different labels"):
        named.same_examples(acts(), acts().assign_coords(label=("example", [1, 0, 1, 0])))


def test_snapshots_are_asked_for_by_the_steps_they_were_recorded_at() -> None:
    assert named.snapshots(acts(), [128, 0, 128]).tolist() == [0, 1]
    assert named.snapshots(acts(), 128).tolist() == named.snapshots(acts(), -1).tolist() == [1]
    assert named.snapshots(acts(), None).tolist() == [0, 1]
    assert named.snapshots(acts(), ()).tolist() == []
    assert named.snapshots(acts().drop_vars("step"), (1,)).tolist() == [1]
    assert named.snapshots(acts()[1], 128).tolist() == [0]
    for wrong in (1, -3):
        with pytest.raises(UnknownName, match=f"no snapshot at step {wrong}; there are: 0, 128"):
            named.snapshots(acts(), [0, wrong])
