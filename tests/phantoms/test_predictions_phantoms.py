"""The alarms of predictions fire where something is planted."""

from __future__ import annotations

import numpy as np
import pytest

from neural_microscope.analysis import predictions
from neural_microscope.analysis.predictions import counts, margin, order, reliability


@pytest.mark.parametrize("seed", range(5))
def test_an_alarm_fires_where_something_is_planted(seed: int) -> None:
    assert predictions.margins(margin._apart(seed, True))["margin"].any()
    images = predictions.confusion_over_time(counts._misread(seed, True))["images"][0].values
    assert images.sum() > np.trace(images)
    assert predictions.learning_order(order._lapses(seed, True), draws=1)["forgotten"].any()
    table = predictions.learning_order(order._later(seed, True)["logits"], draws=59, seed=seed)
    assert table["between_shown"]
    assert table["class_order_shown"].any()
    sharpened = reliability._confident(seed, sharpened=4.0)
    table = predictions.calibration_error(sharpened, bins=5, draws=99, seed=seed)
    assert table["ece_shown"]
    assert table["brier_shown"]
