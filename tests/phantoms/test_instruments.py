"""Every instrument of the register reads what is planted with several seeds, and is silent on empty phantoms."""

from __future__ import annotations

import pytest

from neural_microscope.phantoms import Instrument, instruments

by_name = pytest.mark.parametrize("instrument", instruments(), ids=lambda one: one.name.replace(" ", "-"))


@by_name
def test_the_planted_truth_is_read_with_any_seed(instrument: Instrument) -> None:
    for seed in range(3):
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance


@by_name
def test_empty_phantoms_raise_no_more_alarms_than_declared(instrument: Instrument) -> None:
    alarms = [instrument.alarm(seed) for seed in range(1000, 1020)]
    if sum(alarms) > 2:  # then 40 decide: at the declared rate of 5% more than 6 come by chance in 3 tests of 1,000
        alarms += [instrument.alarm(seed) for seed in range(1020, 1040)]
    assert sum(alarms) <= 6


AREAS = ("attribution.", "causal.", "dynamics.", "geometry.", "similarity.")
OTHERWISE = {"neural collapse NC3", "neural collapse NC4", "TwoNN dimension"}
OTHERWISE |= {"activation maximization", "map against random networks (share outside)"}
OTHERWISE |= {"dose and response", "cumulative ablation"}
OTHERWISE |= {"drift of a unit"}
"""Those whose planted truth is no claim; the tests of the phantoms of these areas plant another."""
LOUD = [one for one in instruments(AREAS) if one.name not in OTHERWISE]


@pytest.mark.parametrize("instrument", LOUD, ids=lambda one: one.name.replace(" ", "-"))
def test_an_alarm_sounds_where_something_is_planted(instrument: Instrument) -> None:
    assert all(instrument.alarm(seed, planted=True) for seed in range(3))
