"""Every picture draws what it was given, in both themes, with words for those who can't see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from neural_microscope import plots
from neural_microscope.analysis import dynamics, geometry, predictions, selectivity
from neural_microscope.plots import forms, style

RNG = np.random.default_rng(0)
STEPS = np.array([0, 1, 4, 16, 64])
LABELS = np.arange(60) % 10


def acts(units: int = 64) -> xr.DataArray:
    values = RNG.normal(size=(5, 60, units)).clip(0)
    values[..., 0] = 0  # one dead unit
    coords = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")


def effects(units: int = 64) -> xr.Dataset:
    increase = RNG.uniform(0, 0.1, units)
    return xr.Dataset(
        {
            "loss_increase": ("unit", increase),
            "loss_increase_low": ("unit", increase - 0.01),
            "loss_increase_high": ("unit", increase + 0.01),
        }
    )


def curve() -> xr.Dataset:
    return xr.Dataset(
        {
            "train_loss": ("bin", [2.0, 1.0, 0.5]),
            "train_error": ("bin", [0.9, 0.3, 0.1]),
            "test_loss": ("snapshot", [2.3, 2.0, 1.5, 0.8, 0.4]),
            "test_error": ("snapshot", [0.9, 0.8, 0.4, 0.2, 0.1]),
        },
        coords={"at": ("bin", [1.0, 8.0, 50.0]), "step": ("snapshot", STEPS)},
    )


def logits() -> xr.DataArray:
    return xr.DataArray(RNG.normal(size=(60, 10)), dims=("example", "class"), coords={"label": ("example", LABELS)})


A = acts()
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "learning_curves": lambda **k: plots.learning_curves({"MLP": curve(), "CNN": curve()}, **k),
    "activity_over_time": lambda **k: plots.activity_over_time({"layers.0.hook_post": dynamics.activity(A)}, **k),
    "histograms_over_time": lambda **k: plots.histograms_over_time({"layers.0.hook_pre": dynamics.histograms(A)}, **k),
    "unit_states": lambda **k: plots.unit_states({"layers.0.hook_post": dynamics.activity(A)}, **k),
    "pca_over_time": lambda **k: plots.pca_over_time(
        {"layers.0.hook_post": geometry.pca(A)}, {"layers.0.hook_post": geometry.pca(A.isel(snapshot=[0]))}, [0, 4], **k
    ),
    "weights": lambda **k: plots.weights(
        RNG.normal(size=(5, 9, 9)), RNG.normal(size=(5, 9, 9)), np.eye(9, dtype=bool), across=4, **k
    ),
    "kernels": lambda **k: plots.weights(RNG.normal(size=(5, 3, 3)), RNG.normal(size=(5, 3, 3)), **k),
    "class_means": lambda **k: plots.class_means(
        selectivity.class_means(A.isel(snapshot=-1)), selectivity.class_means(A.isel(snapshot=0)), **k
    ),
    "selectivity_by_auc": lambda **k: plots.selectivity(
        selectivity.class_selectivity(A, draws=20), effects(), by="auc", **k
    ),
    "selectivity": lambda **k: plots.selectivity(
        selectivity.class_selectivity(A, draws=20),
        effects(),
        selectivity.class_selectivity(A.isel(snapshot=0), draws=20),
        **k,
    ),
    "confusion": lambda **k: plots.confusion(predictions.confusion(logits()), **k),
    "top_images": lambda **k: plots.top_images(
        RNG.integers(0, 255, (60, 8, 8)).astype(np.uint8), selectivity.top_examples(A, n=3), **k
    ),
    "one_image": lambda **k: plots.one_image(
        RNG.uniform(size=(8, 8)),
        {
            "MLP": {"layers.0": RNG.uniform(size=12)},
            "CNN": {"0": RNG.normal(size=(5, 8, 8)), "1": RNG.uniform(size=(7, 4, 4)), "2": np.zeros(9)},
        },
        {"MLP": np.full(10, 0.1), "CNN": np.eye(10)[3]},
        **k,
    ),
    "feature_maps": lambda **k: plots.feature_maps(RNG.uniform(size=(5, 8, 8)), RNG.integers(0, 255, (8, 8)), **k),
}


def test_drawing_leaves_matplotlibs_own_settings_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    PICTURES["confusion"](theme="dark")
    assert dict(mpl.rcParams) == before


def luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_can_be_told_from_the_paper(theme: style.ThemeName) -> None:
    theme = style.Theme.named(theme)
    for text in (theme.ink, theme.quiet):
        assert contrast(text, theme.paper) >= 4.5
    for mark in (theme.null, theme.selected, theme.positive, theme.negative):
        assert contrast(mark, theme.paper) >= 2.9  # WCAG asks 3; rounding


def test_named_points_do_not_cover_each_other() -> None:
    theme = style.Theme.named("light")
    _, (axes,) = style.new("middle", 3, theme)
    axes.scatter([0, 0.01, 1], [0, 0.01, 1])
    forms.label_points(axes, {"10": (0, 0), "11": (0.01, 0.01), "12": (1, 1)})
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_names_cover_no_mark() -> None:
    _, (axes,) = style.new("middle", 3, style.Theme.named("light"))
    marks = np.array([[0, 0], [0.1, 0.06], [1, 1]])  # the second lies where a name of the first would stand
    axes.scatter(*marks.T)
    forms.label_points(axes, {"one": (0, 0)}, around=marks)
    (name,) = axes.texts
    assert not any(name.get_window_extent().contains(*mark) for mark in axes.transData.transform(marks))


@pytest.mark.parametrize("by", ["selectivity", "auc"])
def test_units_stand_at_the_measure_that_is_named_below_them(by: Any) -> None:
    table = selectivity.class_selectivity(A, draws=20)
    figure = plots.selectivity(table, effects(), by=by)
    (axes,) = figure.axes
    drawn = np.concatenate([np.asarray(one.get_offsets()) for one in axes.collections if one.get_zorder() == 3])
    assert np.allclose(np.sort(drawn[:, 0]), np.sort(table[by].values[np.isfinite(table[by])]))
    assert axes.get_xlabel().startswith({"selectivity": "class selectivity on", "auc": "AUC on"}[by])


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_titles_and_axes_name_layers_in_short(name: str) -> None:
    figure = PICTURES[name]()
    texts = [
        figure.get_suptitle(),
        *(text for axes in figure.axes for text in (axes.get_title("left"), axes.get_title(), axes.get_xlabel())),
    ]
    assert not [text for text in texts if ".hook_p" in text]


def test_pictures_in_color_keep_their_colors() -> None:
    theme = style.Theme.named("light")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    tiles = forms.chosen_images(images, np.array([[2, -1], [0, 1]]))
    sheet = forms.mosaic(tiles, 2, theme.digit_map, (0, 1), theme, gap=1)
    assert np.allclose(sheet[:4, :5], np.insert(images[2] / 255, 3, 1, axis=-1))
    assert np.allclose(sheet[5:, 6:], np.insert(images[1] / 255, 3, 1, axis=-1))
    assert np.allclose(sheet[:4, 6:], theme.digit_map.get_bad()), "there is no such image"


def test_feature_maps_of_one_row_are_drawn() -> None:
    assert plots.feature_maps(RNG.uniform(size=(5, 9)), RNG.integers(0, 255, (8, 8))).alt.startswith(
        "One image and its 5 maps"
    )


def test_names_that_lines_lead_to_lie_inside_the_axes_and_cover_no_mark() -> None:
    _, (axes,) = style.new("middle", 3, style.Theme.named("light"))
    marks = np.array([[0, 0], [0.1, 0.06], [1, 1], [1, 0.9]])
    axes.scatter(*marks.T)
    forms.label_points(axes, {"unit 100": (1, 1), "unit 101": (1, 0.9), "unit 102": (0, 0)}, around=marks, joined=True)
    inside = axes.get_window_extent()
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 3
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    assert not any(box.contains(*mark) for box in boxes for mark in axes.transData.transform(marks))
    assert all(text.arrow_patch is not None for text in axes.texts)


LOG = np.unique(np.r_[0, np.round(2 ** np.arange(0, 12, 0.5)), 3752]).astype(int)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (LOG, ["0", "10", "100", "1,000", "3,752"]),
        (np.arange(0, 3001, 100), ["0", "500", "1,000", "1,500", "2,000", "2,500", "3,000"]),
        (np.array([0, 1, 4]), ["0", "1", "4"]),
        (np.array([0]), ["0"]),
    ],
)
def test_an_axis_of_snapshots_is_labeled_with_powers_of_ten_where_they_fit(steps: np.ndarray, said: list[str]) -> None:
    _, (axes,) = style.new("middle", 3, style.Theme.named("light"))
    forms.step_ticks(axes, steps)
    assert [text.get_text() for text in axes.get_xticklabels()] == said
    for place, text in zip(axes.get_xticks(), said, strict=True):  # between the snapshots before and after that step
        step = int(text.replace(",", ""))
        assert steps[int(np.floor(place))] <= step <= steps[int(np.ceil(place))]


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "0.001"), (1e-6, "$10^{-6}$"), (2e-5, "2·$10^{-5}$"), (1000, "1,000")]
)
def test_a_small_number_on_a_log_axis_is_a_power_of_ten(value: float, text: str) -> None:
    assert forms._plain(value) == text


def test_a_name_at_a_curves_end_does_not_lie_below_its_panel() -> None:
    @style.draws
    def low(*, theme: style.Theme) -> plots.Plot:
        figure, (axes,) = style.new("narrow", 2, theme)
        axes.plot([0, 1], [0, 0], label="labels shuffled")
        axes.set_ylim(0, 1)
        forms.name_ends(axes)
        return figure.says("A line at 0.")

    (axes,) = low().axes
    (name,) = axes.texts
    assert name.get_window_extent().y0 >= axes.get_window_extent().y0 - 0.5
