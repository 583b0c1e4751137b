"""Pictures of geometry show the values and nulls they were given, in both themes, with nothing cut off or covered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection

from neural_microscope import plots
from neural_microscope.analysis import geometry
from neural_microscope.plots import style
from neural_microscope.plots.overview import _apart
from neural_microscope.statistics import networks

STEPS = np.array([0, 1, 8, 64])
LABELS = np.arange(80) % 4


def acts(units: int, seed: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 80, units)) + np.arange(4)[:, None, None] * np.eye(4, units)[LABELS]
    coords = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")


LAYERS = {f"layers.{i}.hook_post": acts(units, i) for i, units in enumerate((12, 8, 6))}
LAST = LAYERS["layers.2.hook_post"]
PCA = {name: geometry.pca(a, components=6) for name, a in LAYERS.items()}
DIMENSION = {name: geometry.dimension(a, draws=3) for name, a in LAYERS.items()}
CLUSTERS = {name: geometry.clusters(a, k=3, draws=5) for name, a in LAYERS.items()}
CONTROLS = {
    name: xr.Dataset(
        {"purity": 0.3 + 0.2 * i, "purity_untrained": ("network", 0.1 * i + np.linspace(0.2, 0.3, 20))},
        attrs={"n_examples": 30},
    )
    for i, name in enumerate(LAYERS)
}
WEIGHTS = xr.DataArray(np.random.default_rng(0).normal(size=(4, 4, 6)), dims=("snapshot", "class", "unit"))
COLLAPSE = geometry.neural_collapse(LAST, WEIGHTS, draws=5)
SUBSPACES = geometry.subspaces(
    LAYERS["layers.0.hook_post"], {"planted": np.arange(4), "others": np.arange(11, 3, -1)}, sizes=(2, 3, 4), draws=40
)


def layouts() -> xr.Dataset:
    places = xr.DataArray(
        np.random.default_rng(0).normal(size=(3, 80, 2)),
        dims=("seed", "example", "component"),
        coords={"seed": [0, 1, 5]},
    )
    judged = geometry.faithfulness(LAST, places, k=5)
    return judged.assign(embedding=places).assign_attrs(method="t-sne", **judged.attrs)


def over_time(basis: str) -> Callable[..., plots.Plot]:
    results, untrained = {"last": geometry.pca(LAST, basis=basis)}, {"last": geometry.pca(LAST.isel(snapshot=[0]))}
    return lambda **k: plots.pca_over_time(results, untrained, [0, 3], **k)


EMBEDDED = layouts()
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "explained_variance": lambda **k: plots.explained_variance(PCA, **k),
    "dimension_over_time": lambda **k: plots.dimension_over_time(DIMENSION, **k),
    "collapse_over_time": lambda **k: plots.collapse_over_time(COLLAPSE, **k),
    "clusters_over_time": lambda **k: plots.clusters_over_time(CLUSTERS, **k),
    "clusters_over_time against untrained networks": lambda **k: plots.clusters_over_time(CLUSTERS, CONTROLS, **k),
    "embedding": lambda **k: plots.embedding(EMBEDDED, **k),
    "one_embedding": lambda **k: plots.embedding(EMBEDDED.isel(seed=[0], seed_b=[0]), **k),
    "subspaces": lambda **k: plots.subspaces(SUBSPACES, **k),
    "pca_over_time_aligned": over_time("aligned"),
}


def lines(axes: object, color: str) -> list[np.ndarray]:
    return [line.get_ydata() for line in axes.lines if line.get_color() == color and len(line.get_ydata())]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("picture", "panel", "name", "tables"),
    [
        ("dimension_over_time", 0, "participation_ratio", DIMENSION),
        ("dimension_over_time", 3, "two_nn", DIMENSION),
        ("clusters_over_time", 0, "silhouette", CLUSTERS),
        ("collapse_over_time", 2, "nc3", {"": COLLAPSE}),
    ],
)
def test_the_lines_are_the_values_and_a_gray_band_is_their_null(
    picture: str, panel: int, name: str, tables: dict[str, xr.Dataset]
) -> None:
    axes = PICTURES[picture](theme="light").axes[panel]
    drawn = lines(axes, style.Theme.named("light").ink)
    assert len(drawn) == len(tables)
    for line, table in zip(drawn, tables.values(), strict=True):
        np.testing.assert_allclose(line, table[name])
    bands = [c for c in axes.collections if isinstance(c, PolyCollection)]
    for band, table in zip(bands, tables.values(), strict=False):
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(float(table[f"{name}_null_low"].min()))
        assert heights.max() == pytest.approx(float(table[f"{name}_null_high"].max()))


def test_filled_dots_are_the_sets_that_beat_random_units() -> None:
    figure = PICTURES["subspaces"](theme="light")
    theme = style.Theme.named("light")
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    filled = sum(len(line.get_xdata()) for line in dots if line.get_markerfacecolor() == theme.ink)
    beaten = int((SUBSPACES["silhouette_q"] < 0.05).sum())
    assert filled == beaten > 0


def test_components_without_variance_do_not_stretch_the_axis() -> None:
    array = acts(5)
    array[..., 3:] = 0.0
    axes = plots.explained_variance({"layers.0.hook_post": geometry.pca(array, components=5)}).axes[0]
    assert axes.get_ylim()[0] > 0.005


def test_a_measure_that_could_not_be_taken_says_so() -> None:
    axes = PICTURES["collapse_over_time"](theme="light").axes[3]
    assert "not measured" in [text.get_text() for text in axes.texts]


def test_purity_stands_over_that_of_untrained_networks_on_the_same_images() -> None:
    figure = plots.clusters_over_time(CLUSTERS, CONTROLS)
    axes = figure.axes[2]
    assert axes.lines[0].get_xdata().tolist() == pytest.approx([30, 50, 70])
    for bar, one in zip(axes.patches, CONTROLS.values(), strict=True):
        law = networks(one["purity"].values, one["purity_untrained"].values)
        assert [bar.get_x(), bar.get_x() + bar.get_width()] == pytest.approx([100 * law.low, 100 * law.high])
    assert axes.get_xlabel().replace("\n", " ").endswith("(%) on 30 images; gray: 20 untrained networks")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["layers.0", "layers.1", "layers.2"]


def test_digits_at_the_means_of_classes_do_not_cover_each_other() -> None:
    places = np.random.default_rng(0).normal(size=(10, 2))
    moved = _apart(places)
    assert np.linalg.norm(places[:, None] - places, axis=-1)[np.triu_indices(10, 1)].min() < 0.5
    assert np.linalg.norm(moved[:, None] - moved, axis=-1)[np.triu_indices(10, 1)].min() > 0.95
    far = 9 * np.arange(10)[:, None] * np.ones(2)
    np.testing.assert_array_equal(_apart(far), far)


def test_the_legend_of_dimensions_has_a_line_for_each_layer_and_for_its_shuffled_units() -> None:
    (legend,) = plots.dimension_over_time(DIMENSION).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [f"layers.{i}{end}" for end in ("", ", units shuffled") for i in range(3)]
    ink, gray = legend.get_lines()[0], legend.get_lines()[3]
    assert (ink.get_linestyle(), ink.get_color() == gray.get_color()) == (gray.get_linestyle(), False)


def test_the_legend_of_dimensions_names_each_of_many_layers_once_beside_their_line() -> None:
    many = {f"layers.{i}.hook_post": DIMENSION["layers.0.hook_post"] for i in range(20)}
    (legend,) = plots.dimension_over_time(many).legends
    *layers, gray = [text.get_text() for text in legend.get_texts()]
    assert sorted(", ".join(layers).split(", ")) == sorted(f"layers.{i}" for i in range(20))
    assert layers[0] == "layers.0, layers.6, layers.12, layers.18"
    assert (gray, len(legend.get_lines())) == ("gray: units shuffled", len(layers) + 1)
