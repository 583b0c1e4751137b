"""The pictures of a dictionary draw what they were given, in both themes, within their frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from neural_microscope import plots
from neural_microscope.analysis import dictionary

RNG = np.random.default_rng(0)
ACTS = xr.DataArray(
    RNG.normal(size=(120, 12)).clip(0), dims=("example", "unit"), coords={"label": ("example", np.arange(120) % 3)}
)
SAES = [dictionary.random_sae(ACTS, 20, 3, seed=seed) for seed in (0, 1)]
IMAGES = RNG.integers(0, 255, (120, 8, 8)).astype(np.uint8)
ORDER = xr.DataArray(np.argsort(-dictionary.encode(SAES[0], ACTS).values.T, 1)[:, :5], dims=("latent", "rank"))
EVALUATED = dictionary.evaluate_sae(SAES[0], ACTS, draws=3)
PURITY = dictionary.purity(SAES[0], ACTS, draws=9, resamples=9)
STABLE = dictionary.stability(*SAES, draws=39)
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "dictionary": lambda **k: plots.dictionary(IMAGES, ORDER, RNG.normal(size=(20, 8, 8)), latents=range(9), **k),
    "images only": lambda **k: plots.dictionary(IMAGES, ORDER, latents=[3, 1], **k),
    "latent_density": lambda **k: plots.latent_density(EVALUATED, **k),
    "dictionary_controls": lambda **k: plots.dictionary_controls(PURITY, **k),
    "stability": lambda **k: plots.stability(STABLE, **k),
}


def test_controls_show_each_basis_at_its_value_with_its_null() -> None:
    figure = plots.dictionary_controls(PURITY)
    for axes, name in zip(figure.axes, ("auc", "share"), strict=True):
        np.testing.assert_allclose(axes.lines[0].get_xdata(), PURITY[name].values)
        assert len(axes.collections) == 1
        assert sum(patch.get_width() > 0 for patch in axes.patches) == 4
    assert figure.axes[0].get_yticklabels()[0].get_text() == "units"
    assert "shuffled labels, 95%" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_stability_draws_all_latents_in_falling_order() -> None:
    line = plots.stability(STABLE).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), np.sort(STABLE["cosine"].values)[::-1])


def test_a_dictionary_of_dead_latents_can_be_drawn() -> None:
    dead = EVALUATED.assign(density=0 * EVALUATED["density"])
    assert "20 never do" in plots.latent_density(dead).alt


def test_each_decoder_picture_has_a_scale_of_its_own() -> None:
    pattern = RNG.normal(size=(8, 8))
    sheets = [
        plots.dictionary(IMAGES, ORDER, np.broadcast_to(size * pattern, (20, 8, 8)), latents=[3]).axes[0].images[0]
        for size in (1, 1000)
    ]
    first, second = (np.asarray(sheet.get_array()) for sheet in sheets)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.ptp(first[:8, :8, 0]) > 0.3, "the picture is there"
