"""Probes make their claims where a label is planted."""

from __future__ import annotations

import pytest

from neural_microscope.phantoms import probes


@pytest.mark.parametrize("claims", [probes.claims_accuracy, probes.claims_gain])
def test_the_alarm_sounds_where_a_label_is_planted(claims: object) -> None:
    assert all(claims(probes.layer(seed, apart=2.0), seed) for seed in range(5))  # type: ignore[operator]
