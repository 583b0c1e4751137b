"""Moving pictures: every snapshot a frame, on fixed axes and colors, written whole or not at all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neural_microscope import plots
from neural_microscope.analysis import geometry, predictions
from neural_microscope.errors import DataError
from neural_microscope.plots import style
from neural_microscope.plots.animate import _frames

RNG = np.random.default_rng(0)
STEPS = np.array([0, 1, 4, 16])
LABELS = np.arange(60) % 10
COORDS = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
ACTS = xr.DataArray(
    RNG.normal(size=(4, 60, 12)).clip(0) * (1 + np.arange(4))[:, None, None],
    dims=("snapshot", "example", "unit"),
    coords=COORDS,
    name="layers.0.hook_post",
)
LOGITS = xr.DataArray(RNG.normal(size=(4, 60, 10)), dims=("snapshot", "example", "class"), coords=COORDS)
MAPS = geometry.pca(ACTS)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_snapshot_is_a_frame_on_the_themes_paper_and_the_last_is_held(
    theme: style.ThemeName, tmp_path: Path
) -> None:
    path = plots.animate(MAPS, tmp_path / "moving.gif", theme=theme, fps=10, hold=1.5)
    with Image.open(path) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (4, 0)
        durations, frames = [], []
        for number in range(4):
            moving.seek(number)
            durations.append(moving.info["duration"])
            frames.append(np.asarray(moving.convert("RGB")).astype(int))
    assert durations == [100, 100, 100, 1500]
    paper = [int(style.Theme.named(theme).paper[i : i + 2], 16) for i in (1, 3, 5)]
    assert all(np.abs(frame[0, 0] - paper).max() <= 4 for frame in frames)
    assert all((a != b).any() for a, b in pairwise(frames))
    assert [p.name for p in tmp_path.iterdir()] == ["moving.gif"]


def test_axes_and_colors_are_the_same_in_every_frame_and_each_says_its_step() -> None:
    first, *rest = figures = list(_frames(MAPS, "light"))
    for figure in figures:
        figure.canvas.draw()
    for figure in rest:
        one, other = first.axes[0], figure.axes[0]
        assert one.get_xlim() == other.get_xlim()
        assert one.get_ylim() == other.get_ylim()
        np.testing.assert_allclose(one.get_position().bounds, other.get_position().bounds, atol=1e-6)
    titles = [figure.axes[0].get_title(loc="left") for figure in figures]
    assert "untrained" in titles[0]
    assert "step 16" in titles[-1]


def test_any_plots_can_be_frames(tmp_path: Path) -> None:
    frames = (plots.confusion(predictions.confusion(LOGITS.isel(snapshot=number))) for number in range(4))
    with Image.open(plots.animate(frames, tmp_path / "c.gif")) as moving:
        assert moving.n_frames == 4


def test_what_can_not_move_is_refused_in_words_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "none.gif"
    with pytest.raises(DataError, match="two or more snapshots"):
        plots.animate(MAPS.isel(snapshot=[0]), path)
    with pytest.raises(DataError, match="no axis 'snapshot'"):
        plots.animate(MAPS.isel(snapshot=0), path)
    with pytest.raises(DataError, match="no moving picture"):
        plots.animate(MAPS[["explained"]], path)
    theme = style.Theme.named("light")
    with pytest.raises(DataError, match="have one"):
        plots.animate([style.empty(2, 2, theme), style.empty(3, 2, theme)], path)
    assert not list(tmp_path.iterdir())


def test_an_older_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plots.animate(MAPS, tmp_path / "w.gif")
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        plots.animate(MAPS, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.gif"]
