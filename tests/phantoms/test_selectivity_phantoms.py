"""Instruments for specialisation read what is planted, are silent on empty layers, and would speak if there were something."""

from __future__ import annotations

import numpy as np
import pytest

from neural_microscope.phantoms import selectivity as phantom
from neural_microscope.phantoms.calibration import calibrate
from neural_microscope.phantoms.instrument import Instrument

by_name = pytest.mark.parametrize("instrument", phantom.INSTRUMENTS, ids=lambda i: i.name)


@by_name
def test_the_planted_truth_is_read_with_any_seed(instrument: Instrument) -> None:
    for seed in range(3):
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance


@by_name
def test_empty_phantoms_raise_no_more_alarms_than_declared(instrument: Instrument) -> None:
    found = calibrate([instrument], empties=40, seed=1000)
    assert float(found["false_alarms"][0]) <= 6 / 40  # 5 % declared; more than 6 of 40 come by chance in 3 of 1,000


@pytest.mark.parametrize("name", ["selectivity", "auc", "mutual_information", "precision", "monosemanticity"])
def test_the_measures_of_a_table_make_their_claim_where_one_unit_prefers_a_class(name: str) -> None:
    assert all(phantom.claimed(phantom.prefers(seed, 5, 400), name, seed) for seed in range(3))


def test_the_other_instruments_make_theirs() -> None:
    assert phantom.tuned(phantom.prefers(0, 3, 200), 0)
    lives = np.random.default_rng(0).exponential(1, (3, 120, 4)) + 3.0 * (np.arange(120) % 4 == 2)[:, None]
    assert phantom.settled(phantom.layer(lives), 0)
    assert phantom.agrees(phantom.measured(0, 0.8, 40), 0)
    units = np.random.default_rng(0).normal(size=(400, 4)) + 2 * np.eye(4)[np.arange(400) % 4]
    assert phantom.privileged(phantom.layer(units), 0)
