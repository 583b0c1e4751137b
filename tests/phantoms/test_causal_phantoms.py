"""The instruments of causality read what is planted, keep silent on what is empty, and are able to speak."""

from __future__ import annotations

import numpy as np
import pytest

from neural_microscope.analysis import causal as measures
from neural_microscope.phantoms import causal
from neural_microscope.phantoms.instrument import Instrument


@pytest.mark.parametrize("instrument", causal.INSTRUMENTS, ids=lambda i: i.name)
def test_an_instrument_reads_the_planted_truth_at_several_seeds(instrument: Instrument) -> None:
    for seed in (0, 7):
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance


def test_each_public_measure_that_claims_has_an_instrument() -> None:
    assert {f"causal.{name}" for name in measures.__all__} - {i.measure for i in causal.INSTRUMENTS} == {
        "causal.ablate_directions",  # the null itself
        "causal.ablated_logits",  # claims nothing
    }


def test_with_something_planted_the_claim_is_made() -> None:
    reader, few = causal.one_reader(), causal.one_reader(pixels=causal.FEW)
    assert causal.costly(reader, causal.coded(1), 1)
    assert causal.costly(reader, causal.coded(1), 1, within="orthant")
    assert causal.costly(causal.one_channel(), causal.coded(1), 1)
    assert causal.loses(reader, causal.coded(1), 1)
    assert causal.restores(few, causal.coded_pair(1, causal.FEW), 1)
    assert causal.speaks(few, causal.coded(1, causal.FEW), 1)
    many, data = causal.one_reader(pixels=causal.MANY), causal.coded(1, causal.MANY)
    assert causal.responds(many, data, 0, 1)
    assert causal.shifts(many, data, 0, 1)
    assert causal.interact(causal.doubled(), causal.coded(1))
    assert not causal.responds(many, data, 1, 1)
    assert not causal.shifts(many, data, 1, 1)


def test_an_order_that_takes_the_readers_first_stands_out() -> None:
    out, data = np.zeros((2, causal.MANY)), causal.coded(1, causal.MANY)
    out[:, :10] = [[-1], [1]]
    data.images[:, 0, :10] = 255 * data.labels[:, None]
    readers = causal.wired(np.eye(causal.MANY), out, bias=np.array([2.0, -2.0]))
    assert causal.stands_out(readers, data, np.arange(causal.MANY), 1)


def test_exact_instruments_can_see_a_unit_that_lives() -> None:
    assert causal.path(causal.path_network(1), 1).any()
    live = causal.random(1)
    assert measures.ablate_all(live, causal.images(1), causal.LAYER, draws=1)["loss_change"].any()
    pairs = measures.interactions(live, causal.images(1), causal.LAYER)["interaction"]
    assert pairs.fillna(0).any()
    assert measures.direct_logit_attribution(live, causal.images(1), causal.LAYER, draws=1)["contribution"].any()
    assert measures.attribution_patching(live, *causal.pair(1), causal.LAYER, draws=1)["estimate"].notnull().any()
