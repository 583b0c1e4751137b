"""Instruments for specialization make their claims where something is planted."""

from __future__ import annotations

import numpy as np
import xarray as xr

from neural_microscope.analysis import selectivity
from neural_microscope.analysis.selectivity.planted import DRAWS, layer, prefers


def test_the_measures_of_a_table_make_their_claim_where_one_unit_prefers_a_class() -> None:
    for seed in range(3):
        table = selectivity.class_selectivity(prefers(seed, 5, 400), draws=DRAWS, seed=seed)
        for name in ("selectivity", "auc", "mutual_information", "precision", "monosemanticity"):
            assert table[f"{name}_shown"].any(), name


def test_the_other_instruments_make_theirs() -> None:
    assert selectivity.tuning(prefers(0, 3, 200), draws=DRAWS)["explained_shown"].any()
    lives = np.random.default_rng(0).exponential(1, (3, 120, 4)) + 3.0 * (np.arange(120) % 4 == 2)[:, None]
    assert selectivity.over_time(layer(lives))["since"].notnull().any()
    same = xr.DataArray(np.random.default_rng(0).standard_normal(40), dims="unit")
    table = xr.Dataset({name: same for name in ("selectivity", "auc", "mutual_information", "precision")})
    assert selectivity.agreement(table, draws=299)["agreement_shown"].any()
    units = np.random.default_rng(0).normal(size=(400, 4)) + 2 * np.eye(4)[np.arange(400) % 4]
    assert selectivity.basis_comparison(layer(units), draws=40)["auc_shown"][0]
