"""Probes make their claims where a label is planted."""

from __future__ import annotations

from neural_microscope.analysis import probes


def test_the_alarm_sounds_where_a_label_is_planted() -> None:
    for seed in range(5):
        table = probes.linear_probe(probes._planted(seed, 2.0, 60, 2), controls=1, draws=99, seed=seed)
        assert table["accuracy_shown"].any()
        assert table["gain_low"][-1] > 0
