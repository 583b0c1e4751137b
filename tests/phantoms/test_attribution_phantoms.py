"""The instruments of attribution read their phantoms, keep silent on empty ones, and speak where something is planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis import attribution as measures
from neural_microscope.phantoms import attribution
from neural_microscope.phantoms.attribution import INSTRUMENTS
from neural_microscope.phantoms.instrument import Instrument

EXACT = [i for i in INSTRUMENTS if "p < 0.05" not in i.empty]
SEEDS = range(3)


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_the_planted_truth_is_read_whatever_the_seed(instrument: Instrument) -> None:
    for seed in SEEDS:
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance


@pytest.mark.parametrize("instrument", EXACT, ids=lambda i: i.name)
def test_an_exact_instrument_is_silent_on_every_empty_phantom(instrument: Instrument) -> None:
    assert not any(instrument.alarm(seed) for seed in range(8))


def parts(model: nm.MLP, x: torch.Tensor) -> np.ndarray:
    """What each pixel adds to logit 0 over logit 1, which decides the probability."""
    weight = model.output.weight.detach()
    return (x[:, 0] * (weight[0] - weight[1]).view(4, 4)).numpy()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_alarm_can_fire(seed: int) -> None:
    for method in (measures.saliency, measures.smooth_grad, measures.gradient_times_input, attribution.one_pixel):
        assert attribution.sees(method, attribution.reader(seed), seed)
    assert attribution.lit(seed)[1] > 0
    for way in ("deletion", "insertion"):
        assert attribution.beats_random_order(way, seed, parts)
    assert attribution.depends_on_weights(measures.saliency, seed)
    planted = attribution.linear(seed)
    with torch.no_grad():
        planted.get_parameter("1.weight")[:] = torch.eye(36)[:11].sum(0)  # each weighs more than any random one can
    assert attribution.unlike_random(planted, seed)
    assert attribution.goes_further(seed, planted=True)
    seen = measures.grad_cam(attribution.Pooled(seed), attribution.pixels(seed), "1.hook_out", target=0)
    assert seen["attribution"].any()
