"""Similarity makes its claims where units are shared, also where its phantoms' own truth is another."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_microscope.analysis.similarity import unit_drift
from neural_microscope.analysis.similarity.planted import normal, side
from neural_microscope.phantoms import similarity as phantoms


def unit_for_unit(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    x = phantoms.units_of(seed, 80, 6)
    return side(x), side(x[:, ::-1] + 0.05 * normal(seed, 80, 6))


def test_an_alarm_sounds_where_units_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "_same_space", unit_for_unit)
    assert all(phantoms._match_alarm(seed) for seed in range(2))


def test_an_alarm_sounds_where_units_come_back_in_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "_same_space", unit_for_unit)
    monkeypatch.setattr(phantoms, "turned", lambda seed, size: np.eye(size))
    assert all(phantoms._replication_alarm(seed) for seed in range(2))


def test_units_that_keep_to_themselves_are_told_from_the_others() -> None:
    now = normal(0, 100, 40)
    found = unit_drift(side(np.stack([now + 0.1 * normal(1, 100, 40), now])))
    assert found["correlation_shown"][0].all()
