"""Probes read a planted label, keep silent without one, and are able to speak."""

from __future__ import annotations

import pytest

from neural_microscope.phantoms import probes
from neural_microscope.phantoms.calibration import calibrate


def test_probes_read_what_is_planted_and_keep_silent_where_nothing_is() -> None:
    table = calibrate(probes.INSTRUMENTS, empties=20)
    assert table["recovered"].all()
    assert (table["false_alarms"] <= 0.2).all()  # 5 % declared; more than 4 of 20 come by chance once in 400 times


@pytest.mark.parametrize("claims", [probes.claims_accuracy, probes.claims_gain])
def test_the_alarm_sounds_where_a_label_is_planted(claims: object) -> None:
    assert all(claims(probes.layer(seed, apart=2.0), seed) for seed in range(5))  # type: ignore[operator]
