"""Measures of dictionaries make their claims where something was learned."""

from __future__ import annotations

import numpy as np

from neural_microscope.analysis import dictionary
from neural_microscope.analysis.dictionary.sae import LATENTS, planted


def test_the_alarms_sound_on_a_dictionary_that_was_learned() -> None:
    directions, acts = planted(1)
    first, second = (
        dictionary.train_sae(acts.isel(example=half), LATENTS, 2, seed=seed, steps=400)
        for seed, half in enumerate((slice(0, 1000), slice(1000, None)))
    )
    assert dictionary.evaluate_sae(first, acts, draws=39)["fvu_shown"]
    assert dictionary.stability(first, second, draws=59)["mean_cosine_shown"]
    found = (acts.values @ np.linalg.pinv(directions)).argmax(1) % 3
    table = dictionary.purity(first, acts.assign_coords(label=("example", found)), draws=39, resamples=1)
    assert table["auc_shown"].sel(basis="latents")
