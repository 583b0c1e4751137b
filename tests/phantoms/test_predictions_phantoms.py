"""The alarms of predictions fire where something is planted."""

from __future__ import annotations

import numpy as np
import pytest

from neural_microscope.analysis import predictions


@pytest.mark.parametrize("seed", range(5))
def test_an_alarm_fires_where_something_is_planted(seed: int) -> None:
    assert predictions.margins(predictions._apart(seed, True))["margin"].any()
    counts = predictions.confusion_over_time(predictions._misread(seed, True))["images"][0].values
    assert counts.sum() > np.trace(counts)
    assert predictions.learning_order(predictions._lapses(seed, True), draws=1)["forgotten"].any()
    order = predictions.learning_order(predictions._later(seed, True)["logits"], draws=59, seed=seed)
    assert order["between_shown"]
    assert order["class_order_shown"].any()
    sharpened = predictions._confident(seed, sharpened=4.0)
    table = predictions.calibration_error(sharpened, bins=5, draws=99, seed=seed)
    assert table["ece_shown"]
    assert table["brier_shown"]
