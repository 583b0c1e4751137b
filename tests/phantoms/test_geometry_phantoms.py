"""Geometry reads its phantoms, keeps silent on empty ones, and speaks where something is planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neural_microscope.phantoms import Instrument, calibrate
from neural_microscope.phantoms import geometry as phantoms

NAMES = [instrument.name for instrument in phantoms.INSTRUMENTS]
PLANTED: dict[str, Callable[[], bool]] = {
    "components": lambda: phantoms.claims_components(0, phantoms.rank_three(0, 100)),
    "components, streamed": lambda: phantoms.claims_components_streamed(0, phantoms.rank_three(0, 100)),
    **{
        measure: (lambda m=measure: phantoms.claims_dimension(0, phantoms.rank_three(0, 100), m))  # type: ignore[misc]
        for measure in ("participation_ratio", "effective_rank", "components_90", "two_nn")
    },
    **{
        measure: (lambda m=measure: phantoms.claims_collapse(0, phantoms.collapsed(0), m))  # type: ignore[misc]
        for measure in ("nc1", "nc1_trace", "nc2_norms", "nc2_angles")
    },
    **{
        measure: (lambda m=measure: phantoms.claims_clusters(0, phantoms.some_units_hold_the_classes(0), m))  # type: ignore[misc]
        for measure in ("silhouette", "purity")
    },
    "subspaces": lambda: phantoms.claims_subspaces(0, phantoms.some_units_hold_the_classes(0)),
    **{
        measure: (lambda m=measure: claims_layout(m))  # type: ignore[misc]
        for measure in ("trustworthiness", "knn_preservation", "agreement")
    },
}


def plane() -> tuple[xr.DataArray, xr.DataArray]:
    flat = np.random.default_rng(0).normal(size=(60, 2))
    return phantoms.cloud(flat), phantoms.layouts(flat, 1 - flat)


def claims_layout(measure: str) -> bool:
    acts, places = plane()
    return phantoms.claims_layout(0, acts, measure, places)


@pytest.mark.parametrize("instrument", phantoms.INSTRUMENTS, ids=NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_instrument_reads_what_was_planted(instrument: Instrument, seed: int) -> None:
    truth, measured = instrument.read(seed)
    assert abs(measured - truth) <= instrument.tolerance


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_claimed(name: str) -> None:
    assert PLANTED[name]()


@pytest.mark.parametrize("instrument", phantoms.INSTRUMENTS, ids=NAMES)
def test_empty_phantoms_are_seldom_claimed(instrument: Instrument) -> None:
    alarms = float(calibrate([instrument], empties=20)["false_alarms"][0])
    assert alarms <= 0.25  # 5 % declared; 5 of 20 or fewer come by chance in 99.97 % of such tests


@pytest.mark.parametrize("measure", ["nc3", "nc4"])
def test_an_output_that_mirrors_the_classes_is_claimed(measure: str) -> None:
    acts = phantoms.collapsed(0)
    means = np.stack([acts.values[acts["label"].values == c].mean(0) for c in range(phantoms.CLASSES)])
    centred = means - means.mean(0)
    weights = xr.DataArray(centred, dims=("class", "unit"))
    bias = xr.DataArray(-centred @ means.mean(0), dims="class")
    found = phantoms.geometry.neural_collapse(acts, weights, bias, draws=199)
    assert float(found[f"{measure}_p"][0]) < 0.05


def test_the_planted_rank_has_the_variances_it_says() -> None:
    values = np.linalg.eigvalsh(np.cov(phantoms.rank_three(3).values.T))[::-1]
    np.testing.assert_allclose(values[:3], (25.01, 9.01, 4.01), rtol=0.01)
    assert values[3] < 0.02
