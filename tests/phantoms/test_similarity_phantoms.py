"""The instruments of similarity read what was planted, keep silent on empty phantoms, and can raise an alarm."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neural_microscope.analysis import similarity
from neural_microscope.phantoms import Instrument
from neural_microscope.phantoms import similarity as phantoms

NAMES = [instrument.name for instrument in phantoms.INSTRUMENTS]


@pytest.mark.parametrize("instrument", phantoms.INSTRUMENTS, ids=NAMES)
def test_an_instrument_reads_its_planted_truth_with_other_seeds_too(instrument: Instrument) -> None:
    for seed in (0, 1):
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance, seed


@pytest.mark.parametrize("instrument", phantoms.INSTRUMENTS, ids=NAMES)
def test_an_instrument_keeps_silent_on_most_empty_phantoms(instrument: Instrument) -> None:
    alarms = [instrument.alarm(seed) for seed in range(6)]
    assert sum(alarms) <= 3  # of 6 at 5 %, four or more come once in 12,000


def related(seed: int, n: int = 60, sizes: tuple[int, int] = (6, 8)) -> tuple[xr.DataArray, xr.DataArray]:
    """In the place of two unrelated layers: the second holds the first."""
    x = phantoms.normal(seed, n, sizes[0])
    y = 0.3 * phantoms.normal(seed + 1, n, sizes[1])
    y[:, : sizes[0]] += x[:, : sizes[1]]
    return phantoms.side(x), phantoms.side(y)


OF_PAIRS = [i for i in phantoms.INSTRUMENTS if i.empty.startswith(("unrelated", "a layer and"))]


@pytest.mark.parametrize("instrument", OF_PAIRS, ids=[i.name for i in OF_PAIRS])
def test_the_same_alarm_sounds_where_layers_are_related(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantoms, "unrelated", related)
    assert sum(instrument.alarm(seed) for seed in range(2)) == 2


def unit_for_unit(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    x = phantoms.units_of(seed, 80, 6)
    return phantoms.side(x), phantoms.side(x[:, ::-1] + 0.05 * phantoms.normal(seed, 80, 6))


@pytest.mark.parametrize("alarm", [phantoms._match_alarm])
def test_the_same_alarm_sounds_where_units_are_shared(
    alarm: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantoms, "_same_space", unit_for_unit)
    assert all(alarm(seed) for seed in range(2))


def test_the_same_alarm_sounds_where_units_come_back_in_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phantoms, "_same_space", unit_for_unit)
    monkeypatch.setattr(phantoms, "turned", lambda seed, size: np.eye(size))
    assert all(phantoms._replication_alarm(seed) for seed in range(2))


def test_the_same_alarm_sounds_where_a_layer_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    def turning(seed: int) -> np.ndarray:
        x = phantoms.normal(seed, 100, 6) * np.linspace(3, 0.5, 6)
        return np.stack([x, x[:, ::-1]])

    monkeypatch.setattr(phantoms, "_still", turning)
    assert all(phantoms._floor_alarm(seed) for seed in range(2))


def test_every_public_measure_has_an_instrument() -> None:
    measured = {instrument.measure.removeprefix("similarity.") for instrument in phantoms.INSTRUMENTS}
    assert measured == set(similarity.__all__)
