"""Drawings, read back: every band, interval and value at its own place, trained and untrained by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb

from looked_at import looked_at
from neural_microscope import plots
from neural_microscope.analysis.look import FirstLook, pairs
from neural_microscope.measure import MEASURES, Measure, Picture, on_pages
from neural_microscope.plots import forms, style
from neural_microscope.report.drawing import _default

THEME = style.Theme.named("light")
ENDS = {"": 5.0, "_low": 3.0, "_high": 8.0, "_null_low": -2.0, "_null_high": 1.0}
TABLE = xr.Dataset(
    {f"x{end}": ("unit", value + np.array([0.3, 0.2, 0.1])) for end, value in ENDS.items()},
).assign_coords(step=("unit", [0, 1, 4]))
FORMS: dict[str, Callable[[Axes], object]] = {
    "curve": lambda axes: forms.curve(axes, range(3), TABLE, "x"),
    "dots": lambda axes: forms.dots(axes, TABLE, "x"),
    "over steps": lambda axes: forms.over_steps(axes, [("it", TABLE, "x")]),
    "units": lambda axes: forms.units(axes, TABLE, "x"),
    "rows": lambda axes: forms.rows(axes, TABLE, "x", "abc"),
}


def read(axes: Axes, label: str = "") -> dict[str, np.ndarray]:
    """The points [n, 2] of what is drawn: values, what is gray beside them, ends of intervals and of nulls. Of labeled lines those with
    the label, if there are any.
    """
    found: dict[str, list[np.ndarray]] = {kind: [np.zeros((0, 2))] for kind in ("value", "gray", "interval", "null")}
    named = [line for line in axes.lines if label and str(line.get_label()).startswith(label)]
    for line in axes.lines:
        gray = np.allclose(to_rgb(line.get_color()), to_rgb(THEME.null))
        if gray or line in named or not named:
            found["gray" if gray else "value"].append(np.asarray(line.get_xydata(), float))
    for artist in [one for one in axes.collections if not one.get_hatch()]:
        points = np.concatenate([path.vertices for path in artist.get_paths()] or [np.zeros((0, 2))])
        face = artist.get_facecolor()
        if isinstance(artist, PolyCollection):
            found["null" if np.allclose(face[0][:3], to_rgb(THEME.null)) else "interval"].append(points)
        elif isinstance(artist, LineCollection) or (isinstance(artist, PathCollection) and not len(face)):
            found["interval"].append(points)
        elif isinstance(artist, PathCollection):
            found["value"].append(np.asarray(artist.get_offsets(), float))
    for patch in axes.patches:
        if np.allclose(patch.get_facecolor()[:3], to_rgb(THEME.null)):
            (low, high), row = patch.get_bbox().intervalx, patch.get_bbox().intervaly.mean()
            found["null"].append(np.array([[low, row], [high, row]]))
    return {kind: np.concatenate(parts) for kind, parts in found.items()}


def stands(
    axes: Axes, table: xr.Dataset, name: str, factor: float = 1.0, label: str = "", value: str = "value"
) -> bool:
    """True if each known value of a variable is drawn, with its interval and its null, those that the table has."""
    of = {"": value, "_low": "interval", "_high": "interval", "_null_low": "null", "_null_high": "null"}
    columns = {
        end: factor * table[name + end].broadcast_like(table[name]).transpose(*table[name].dims).values.ravel()
        for end in of
        if name + end in table
    }
    drawn = read(axes, label)
    ways = (drawn, {kind: points[:, ::-1] for kind, points in drawn.items()})  # rows stand upright
    known = np.flatnonzero(np.isfinite(columns[""]))
    return len(known) > 0 and any(
        all(_stands({of_end: column[i] for of_end, column in columns.items()}, of, way) for i in known) for way in ways
    )


def _stands(ends: dict[str, float], of: dict[str, str], drawn: dict[str, np.ndarray]) -> bool:
    def places(end: str) -> np.ndarray:
        points = drawn[of[end]]
        return points[np.isclose(points[:, 1], ends[end], rtol=1e-6, atol=1e-12), 0]

    others = [places(end) for end in ends if end and np.isfinite(ends[end])]
    return any(all((np.abs(found - place) <= 0.5).any() for found in others) for place in places(""))


@pytest.mark.parametrize("name", FORMS)
def test_null_interval_and_value_are_drawn_each_at_its_own_place(name: str) -> None:
    _, (axes,) = style.new("middle", 3, THEME)
    FORMS[name](axes)
    assert stands(axes, TABLE, "x")
    for one, other in (("_null_low", "_low"), ("_null_high", "_high"), ("", "_high")):
        swapped = TABLE.assign({f"x{one}": TABLE[f"x{other}"], f"x{other}": TABLE[f"x{one}"]})
        assert not stands(axes, swapped, "x")
    assert not stands(axes, TABLE.isel(unit=[1, 0, 2]).assign(x=TABLE["x"]), "x")


CURVES: dict[str, dict[str, float]] = {
    "ablation": {"loss_increase": 1},
    "basis_comparison": {"auc": 1, "mutual_information": 1},
    "clusters_over_time": {"silhouette": 1, "purity": 100},
    "collapse_over_time": {"nc1": 1, "nc1_trace": 1, "nc2_norms": 1, "nc2_angles": 1, "nc3": 1, "nc4": 100},
    "cumulative_ablation": {"accuracy": 100},
    "dimension_over_time": {"participation_ratio": 1, "effective_rank": 1, "components_90": 1, "two_nn": 1},
    "dose_response": {"loss_increase": 1},
    "drift": {"cka": 1, "procrustes": 1, "subspace_angle": 180 / np.pi},
    "gradient_flow": {"grad_norm": 1, "update_ratio": 1},
    "image_lives": {"class_order": 1},
    "reliability": {"accuracy": 100, "ece": 100},
    "weight_spectra": {"singular_value": 1, "stable_rank": 1},
}
"""Form, variable, and by what it is multiplied: drawn over its null with its interval."""

LABELS = {
    "nc1": "NC1",
    "nc1_trace": "tr",
    "nc2_norms": "NC2, lengths",
    "nc2_angles": "NC2, angles",
    "cka": "CKA",
    "procrustes": "Pro",
}
"""Labels of the curves of a panel with several."""


def tables(given: Mapping[str, Any]) -> Iterator[tuple[str, xr.Dataset]]:
    for one in given.values():
        each = one if isinstance(one, Mapping) and not isinstance(one, xr.Dataset) else {"": one}
        yield from ((name, table) for name, table in each.items() if isinstance(table, xr.Dataset))


def see_curves(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for layer, table in tables(given):
        for name, factor in CURVES[form].items():
            for part in one_by_one(form, table, name):
                if part[name].notnull().any():
                    label = style.short(layer) or LABELS.get(name, "")
                    assert any(stands(axes, part, name, factor, label) for axes in figure.axes), (layer, name)


def one_by_one(form: str, table: xr.Dataset, name: str) -> Iterator[xr.Dataset]:
    """The tables that stand in one panel each, as they are drawn."""
    if form == "ablation":
        highest = max(table[name].max().item() for name in ("loss_increase", "loss_increase_high") if name in table)
        table = table.assign(loss_increase_null_high=table["loss_increase_null_high"].clip(max=1.25 * highest))
    if form == "reliability" and name == "accuracy":
        table = table.isel(snapshot=-1)
    if name == "singular_value":
        table = table.isel(snapshot=-1)
    if name == "subspace_angle":
        table = table.rename({f"{name}_floor_{end}": f"{name}_null_{end}" for end in ("low", "high")})
    if form == "collapse_over_time" or "parameter" not in table[name].dims:
        yield table
    else:
        yield from (table.sel(parameter=one) for one in table["parameter"].values)


def arrays(figure: plots.Plot) -> list[np.ndarray]:
    return [np.ma.filled(np.ma.asarray(i.get_array(), float), np.nan) for axes in figure.axes for i in axes.images]


def see_cells(*values: Any) -> Callable[..., None]:
    """Each image of the figure holds what one of ``values`` gives for one of the tables, in their order."""

    def see(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
        expected = [value(table) for _, table in tables(given) for value in values]
        for found, cells in zip(arrays(figure), expected, strict=True):
            np.testing.assert_allclose(found, cells)

    return see


def see_learning(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for axes, name, factor in zip(figure.axes, ("loss", "error"), (1, 100), strict=True):
        gray = read(axes)["gray"][:, 1]
        np.testing.assert_allclose(
            gray, factor * np.concatenate([c[f"train_{name}"] for c in given["curves"].values()])
        )
        for network, curve in given["curves"].items():
            drawn = read(axes, f"{network}, test")["value"][:, 1]
            np.testing.assert_allclose(drawn, factor * curve[f"test_{name}"])


def see_states(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for axes, (layer, table) in zip(figure.axes, given["activities"].items(), strict=True):
        assert axes.get_title("left").startswith(style.short(layer))
        for name, label in (("always_on", "always on"), ("low", "on for"), ("dead", "dead")):
            shares = 100 * table[name].mean(style.axis_of(table))
            np.testing.assert_allclose(read(axes, label)["value"][:, 1], shares)


def see_drift(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    table = given["table"]
    see_curves(form, figure, given)
    assert stands(figure.axes[0], table, "function", value="interval")
    stacked = xr.Dataset({"x": table["function"] + table["rotation"]})
    assert stands(figure.axes[0], stacked, "x", value="interval")


def see_selectivity(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    drawn, table = read(figure.axes[0]), given["table"]
    expected = np.stack([table["selectivity"], given["effects"]["loss_increase"]], 1)
    known = np.isfinite(expected).all(1)
    assert {tuple(p) for p in expected[known].tolist()} <= {tuple(p) for p in drawn["value"].tolist()}
    for end in ("low", "high"):
        heights = given["effects"][f"loss_increase_{end}"].values[known]
        assert np.isin(np.round(heights, 9), np.round(drawn["interval"][:, 1], 9)).all()
    np.testing.assert_allclose(drawn["gray"][:, 0], given["untrained"]["selectivity"])
    (band,) = [patch for patch in figure.axes[0].patches if patch.get_alpha() == 0.3]
    ends = [np.nanmedian(table[f"selectivity_null_{end}"]) for end in ("low", "high")]
    np.testing.assert_allclose([band.get_x(), band.get_x() + band.get_width()], ends)


def see_means(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for axes, title in zip(figure.axes, ("Trained", "Untrained"), strict=False):
        means = given[title.lower()].transpose("class", ...).values
        scaled = means / np.where(means.max(0) > 0, means.max(0), np.nan)
        found = np.ma.filled(np.ma.asarray(axes.images[0].get_array(), float), np.nan)
        assert axes.get_title("left") == title
        np.testing.assert_allclose(*(np.nan_to_num(cells[:, np.lexsort(cells)], nan=-1) for cells in (found, scaled)))


def see_weights(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for axes, title, key in zip(
        figure.axes, ("Trained", "The same units untrained"), ("trained", "untrained"), strict=False
    ):
        assert axes.get_title("left") == title
        block = 24 // given[key].shape[1]
        tile = np.asarray(axes.images[0].get_array())[: block * given[key].shape[1] : block, :]
        tile = tile[:, : block * given[key].shape[2] : block]
        seen = (tile[..., 0] - tile[..., 2]) - (to_rgb(THEME.paper)[0] - to_rgb(THEME.paper)[2])  # orange less blue
        free = ~given["constant"] if given["constant"] is not None else np.ones(seen.shape, bool)
        assert np.corrcoef(seen[free], given[key][0][free])[0, 1] > 0.9


def see_maps(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    columns = 1 + len(given["snapshots"])
    for row, (layer, result) in enumerate(given["results"].items()):
        for axes, source, at in zip(
            figure.axes[row * columns :],
            [given["untrained"][layer], *[result] * (columns - 1)],
            [0, *given["snapshots"]],
            strict=False,
        ):
            places = source["score"].transpose("snapshot", "example", "component").values[at, :, :2]
            drawn = read(axes)["value"]
            inside = (drawn > drawn.min(0)).all(1) & (drawn < drawn.max(0)).all(1)  # those at the edge are clipped
            assert {tuple(p) for p in drawn[inside].tolist()} <= {tuple(p) for p in places.tolist()}
            assert inside.sum() > 20


def see_first_tile(images: Callable[[Mapping[str, Any]], np.ndarray]) -> Callable[..., None]:
    def see(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
        tile, sheet = images(given), np.asarray(figure.axes[0].images[0].get_array())
        np.testing.assert_allclose(sheet[: tile.shape[0], : tile.shape[1]], THEME.digit_map(tile / 255), atol=0.01)

    return see


def see_confusion(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    written = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in figure.axes[0].texts}
    counts = given["table"]["images"].values
    assert written == {place: str(count) for place, count in np.ndenumerate(counts) if count}


def see_preferred(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    lives, shown = given["lives"], np.asarray(figure.axes[0].images[0].get_array())
    for snapshot in range(shown.shape[1]):
        strong = [tuple(np.round(color, 4)) for color in shown[:, snapshot]]
        now = lives.isel(snapshot=snapshot)
        sure = now["auc_shown"].values & ~now["gated"].values
        for label in np.unique(now["preferred"].values[sure]):
            color = tuple(np.round(to_rgb(THEME.of_class(int(label))), 4))
            assert strong.count(color) == int((now["preferred"].values[sure] == label).sum())


def see_lives(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    for axes, (layer, table) in zip(figure.axes, given["tables"].items(), strict=True):
        assert axes.get_title("left") == style.short(layer)
        alive = table["alive"].transpose(..., "snapshot").values
        silent = alive[~alive.all(1)]
        rows = [np.asarray(image.get_array(), bool) for image in axes.images]
        assert sorted(map(tuple, np.concatenate(rows or [silent[:0]]))) == sorted(map(tuple, silent))


def see_similarity(form: str, figure: plots.Plot, given: Mapping[str, Any]) -> None:
    table = given["table"].transpose("layer", "layer_b", ...)
    names = {"CKA": "cka", "Procrustes distance": "procrustes", "SVCCA": "svcca"}
    for axes in figure.axes:
        name = names[axes.get_title("left")]
        np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), table[name])
        end, sign = ("low", "≥") if name == "procrustes" else ("high", "≤")
        written = {(round(t.get_position()[1]), round(t.get_position()[0]), t.get_text()) for t in axes.texts}
        for place, bound in np.ndenumerate(table[f"{name}_null_{end}"].values):
            if given.get("rows") is None and place[0] == place[1]:  # a layer with itself needs no bound
                assert not [text for *at, text in written if tuple(at) == place and text.startswith(sign)]
            else:
                digits = style.fixed(bound) if abs(bound) >= 0.005 else style.told(bound, 1)
                assert (*place, f"{sign} {digits}") in written


def correlations(table: xr.Dataset) -> np.ndarray:
    """The correlations that are shown; all of them where a layer has too few units for a test."""
    value, beyond = (table[n].transpose(..., "snapshot").values for n in ("correlation", "correlation_shown"))
    tested = np.isfinite(value).sum(0).max() > 20
    return np.where(beyond, value, np.nan) if tested else value


SEEN: dict[str, Callable[..., None]] = {
    **dict.fromkeys(CURVES, see_curves),
    "activity_over_time": see_cells(lambda table: table["mean"].transpose(..., "snapshot")),
    "class_learning": see_cells(lambda table: 100 * table["accuracy"].transpose("class", "snapshot")),
    "class_means": see_means,
    "confusion": see_confusion,
    "drift": see_drift,
    "feature_maps": see_first_tile(lambda given: given["image"]),
    "histograms_over_time": see_cells(
        lambda table: np.log10(table["share"].transpose("bin", "snapshot").values.clip(1e-9))
    ),
    "learning_curves": see_learning,
    "pca_over_time": see_maps,
    "quantile_strips": see_first_tile(
        lambda given: given["images"][
            int(given["strips"].isel({given["strips"]["active"].dims[0]: given["units"][0]})["examples"][0, 0])
        ]
    ),
    "selectivity": see_selectivity,
    "selectivity_over_time": see_preferred,
    "similarity_matrix": see_similarity,
    "top_images": see_first_tile(lambda given: given["images"][int(given["order"][0, 0])]),
    "unit_drift": see_cells(correlations),
    "unit_lives": see_lives,
    "unit_states": see_states,
    "weights": see_weights,
}


@pytest.fixture(scope="module")
def looks(shared: Callable[[str, Callable[[Path], object]], Path]) -> list[FirstLook]:
    return looked_at(shared)


def drawn(looks: list[FirstLook], measure: Measure, picture: Picture) -> Iterator[tuple[plots.Plot, Mapping[str, Any]]]:
    """The picture at each place of the pages that has it, and what was given to draw it."""
    form = getattr(plots, str(picture.form))
    for at in [*looks, *(layer for look in looks for layer in look.layers), *pairs(looks)]:
        if picture.scope == "page" and at is looks[0]:
            args: Any = ({look.name: look[measure.name] for look in looks},)
        elif (picture.scope or measure.scope) != at.scope:
            continue
        else:
            args = _default(measure, at) if picture.takes is None else picture.takes(at)
        args, options = ((), args) if isinstance(args, Mapping) else (args, {})
        if all(value is not None for value in (*args, *options.values())) or "constant" in options:
            yield form(*args, **options), inspect.signature(form).bind_partial(*args, **options).arguments


@pytest.mark.parametrize(
    ("measure", "number"),
    [(one.name, number) for one in on_pages() for number, _ in enumerate(one.pictures)],
)
def test_every_registered_picture_shows_its_tables_each_value_in_its_place(
    measure: str, number: int, looks: list[FirstLook]
) -> None:
    picture = MEASURES[measure].pictures[number]
    seen = 0
    for figure, given in drawn(looks, MEASURES[measure], picture):
        SEEN[str(picture.form)](str(picture.form), figure, given)
        seen += 1
    assert seen


def made(names: Mapping[str, float], dims: Mapping[str, Any]) -> xr.Dataset:
    """Variables with interval and null, all numbers different."""
    rng, sizes = np.random.default_rng(0), [len(values) for values in dims.values()]
    table = {f"{name}{end}": (tuple(dims), rng.uniform(0.1, 0.9, sizes)) for name in names for end in ENDS}
    coords = {"step": ("snapshot", dims["snapshot"])} if "snapshot" in dims else {}
    return xr.Dataset(table, {**dims, **coords}, {"hook_point": "layers.0.hook_post", "n_examples": 9})


def without_interval(table: xr.Dataset) -> xr.Dataset:
    return table.drop_vars([name for name in table if "null" not in str(name) and str(name)[-3:] in ("low", "igh")])


ASKED: dict[str, tuple[dict[str, float], dict[str, Any], Callable[[xr.Dataset], xr.Dataset]]] = {
    "patching": ({"denoising": 100, "noising": 100}, {"unit": range(6)}, lambda table: table),
    "stability": ({"cosine": 1}, {"latent": range(6)}, without_interval),
    "dictionary_controls": (
        {"auc": 1, "share": 1},
        {"basis": ["units", "components", "latents", "random"]},
        lambda table: table,
    ),
    "probes": (
        {"accuracy": 100},
        {"layer": ["a"], "snapshot": [0, 1, 4]},
        lambda table: table.assign(control_train=table["accuracy"] * 0 + 0.95),
    ),
    "explained_variance": ({"explained": 100}, {"component": range(4)}, without_interval),
    "sanity": (
        {"similarity": 1},
        {"layer": ["a", "b", "c"]},
        lambda table: table.assign({f"similarity_null_{end}": value for end, value in (("low", -0.1), ("high", 0.1))}),
    ),
}
"""Pictures on no page: the variables of each, its axes, and what its table is like."""


@pytest.mark.parametrize("form", ASKED)
def test_a_picture_on_request_shows_each_value_in_its_place(form: str) -> None:
    names, dims, like = ASKED[form]
    table = like(made(names, dims))
    figure = getattr(plots, form)({"layers.0": table} if form in ("explained_variance", "sanity") else table)
    for name, factor in names.items():
        assert any(stands(axes, table, name, factor) for axes in figure.axes), name
