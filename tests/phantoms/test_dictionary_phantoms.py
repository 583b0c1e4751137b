"""Dictionaries recover what is planted; their measures keep silent on empty ones, and are able to speak."""

from __future__ import annotations

import numpy as np
import torch

from neural_microscope.analysis import dictionary as measures
from neural_microscope.phantoms import dictionary
from neural_microscope.phantoms.calibration import calibrate


def test_dictionaries_read_what_is_planted_and_keep_silent_where_nothing_is() -> None:
    table = calibrate(dictionary.INSTRUMENTS, empties=20)
    assert table["recovered"].all()
    assert (table["false_alarms"] <= 0.2).all()  # 5 % declared; more than 4 of 20 come by chance once in 400 times


def test_the_alarms_sound_on_a_dictionary_that_was_learnt() -> None:
    directions, acts = dictionary.planted(1)
    first, second = (
        measures.train_sae(acts.isel(example=half), dictionary.LATENTS, 2, seed=seed, steps=400)
        for seed, half in enumerate((slice(0, 1000), slice(1000, None)))
    )
    assert dictionary.claims_reconstruction(first, acts, 0)
    assert dictionary.claims_stability(first, second, 0)
    found = (acts.values @ np.linalg.pinv(directions)).argmax(1) % 3
    with torch.no_grad():
        assert dictionary.claims_purity(first, acts.assign_coords(label=("example", found)), 0)
