"""Similarity makes its claims where something is planted, also where its phantoms' own truth is another."""

from __future__ import annotations

import numpy as np

from neural_microscope.analysis.similarity import unit_drift
from neural_microscope.analysis.similarity.planted import as_acts, normal


def test_units_that_keep_to_themselves_are_told_from_the_others() -> None:
    now = normal(0, 100, 40)
    found = unit_drift(as_acts(np.stack([now + 0.1 * normal(1, 100, 40), now])))
    assert found["correlation_shown"][0].all()
