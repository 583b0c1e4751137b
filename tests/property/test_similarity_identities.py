"""Identities of similarity that hold for any activations."""

from __future__ import annotations

import numpy as np
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neural_microscope.analysis import similarity


def side(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("snapshot", "example", "unit")[3 - values.ndim :])


@st.composite
def layers(draw: st.DrawFn) -> np.ndarray:
    """Activations of any width and spread, some units dead, some copies."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, p = draw(st.integers(16, 40)), draw(st.integers(2, 12))
    x = rng.normal(size=(n, p)) * 10.0 ** rng.uniform(-2, 2, p)
    if draw(st.booleans()):
        x = np.maximum(x, 0)
    if draw(st.booleans()):
        x[:, 0] = 0
    if p > 2 and draw(st.booleans()):
        x[:, 1] = x[:, 2]
    return x


@settings(deadline=None, max_examples=15)
@given(layers(), st.integers(0, 1000), st.floats(0.01, 100))
def test_rotation_scaling_and_shift_leave_cka_and_procrustes_alone(x: np.ndarray, seed: int, scale: float) -> None:
    turn = stats.ortho_group.rvs(x.shape[1], random_state=seed)
    moved = side(scale * x @ turn + np.arange(x.shape[1]))
    assert float(similarity.cka(side(x), moved, debiased=False, draws=1)["cka"]) > 1 - 1e-10
    assert float(similarity.procrustes(side(x), moved, draws=1)["procrustes"]) < 1e-5


@settings(deadline=None, max_examples=15)
@given(layers(), st.integers(0, 1000))
def test_measures_are_symmetric_and_within_their_ranges(x: np.ndarray, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=(len(x), 5)) + x[:, :1]
    there, back = similarity.compare(side(x), side(y), draws=1), similarity.compare(side(y), side(x), draws=1)
    for name in ("cka", "procrustes", "cca", "svcca", "rsa"):
        np.testing.assert_allclose(there[name], back[name], atol=1e-7)
    for name, high in (("procrustes", 2**0.5), ("cca", 1), ("svcca", 1), ("pwcca", 1)):
        assert -1e-12 <= float(there[name]) <= high + 1e-12


@settings(deadline=None, max_examples=15)
@given(layers(), st.integers(0, 1000))
def test_the_parts_of_a_movement_add_up_and_none_is_negative(x: np.ndarray, seed: int) -> None:
    later = x + np.random.default_rng(seed).normal(size=x.shape) * x.std()
    table = similarity.drift(side(np.stack([later, x])), components=1, draws=1)
    parts = np.array([float(table[name][0]) for name in ("shift", "scaling", "rotation", "function")])
    movement = float(table["movement"][0])
    assert abs(parts.sum() - movement) <= 1e-12 * max(1, movement)
    assert (parts >= -1e-9 * max(1, movement)).all()
    assert parts[2] <= 1
    assert parts[3] <= 1
