"""Causality makes its claims where something is planted, also where its phantoms' own truth is another."""

from __future__ import annotations

import numpy as np

from neural_microscope.analysis import causal
from neural_microscope.analysis.causal.planted import LAYER, MANY, coded, one_reader, wired
from neural_microscope.interventions import zero
from neural_microscope.phantoms import instruments


def test_each_public_measure_that_claims_has_an_instrument() -> None:
    assert {f"causal.{name}" for name in causal.__all__} - {i.measure for i in instruments()} == {
        "causal.ablate_directions",  # the null itself
        "causal.ablated_logits",  # claims nothing
    }


def test_the_reader_is_claimed_by_its_dose_and_another_unit_by_neither_dose_nor_shift() -> None:
    reader, data = one_reader(MANY), coded(1, MANY)
    doses = [causal.dose_response(reader, data, LAYER, unit, factors=(0.0,)) for unit in (0, 1)]
    assert [bool(table["loss_increase_shown"].any()) for table in doses] == [True, False]
    assert not causal.confusion_shift(reader, data, [(LAYER, zero(unit=1))])["moved_shown"]


def test_an_order_that_takes_the_readers_first_stands_out() -> None:
    out, data = np.zeros((2, MANY)), coded(1, MANY)
    out[:, :10] = [[-1], [1]]
    data.images[:, 0, :10] = 255 * data.labels[:, None]
    readers = wired(np.eye(MANY), out, bias=np.array([2.0, -2.0]))
    order = {"it": np.arange(MANY)}
    table = causal.cumulative_ablation(readers, data, LAYER, order, shares=(0, 0.25, 0.5, 1), draws=59, seed=1)
    assert table["auc_shown"].all()
