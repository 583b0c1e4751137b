"""Every picture is drawn in both themes, on their paper, with words, no label cut off and none over another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import test_attribution_plots
import test_causal_plots
import test_dictionary_plots
import test_dynamics_plots
import test_geometry_plots
import test_influence_plots
import test_plots
import test_predictions_plots
import test_similarity_plots
import test_units_plots
from matplotlib.colors import to_rgb

from neural_microscope.plots import style

MODULES = (
    test_attribution_plots,
    test_causal_plots,
    test_dictionary_plots,
    test_dynamics_plots,
    test_geometry_plots,
    test_influence_plots,
    test_plots,
    test_predictions_plots,
    test_similarity_plots,
    test_units_plots,
)
PICTURES = {name: picture for module in MODULES for name, picture in module.PICTURES.items()}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_marks_on_its_themes_paper_words_and_no_label_cut_off_or_covered(
    name: str, theme: style.ThemeName
) -> None:
    figure = PICTURES[name](theme=theme)
    figure.canvas.draw()
    shown = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    paper = np.array(to_rgb(style.Theme.named(theme).paper))
    np.testing.assert_allclose(shown[0, 0], paper, atol=0.01)
    assert 0.005 < (np.abs(shown - paper).max(-1) > 0.15).mean() < 0.95
    assert len(figure.alt) > 40
    assert "nan" not in figure.alt
    width, height = figure.canvas.get_width_height()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    labels = [figure._suptitle, figure._supxlabel, figure._supylabel]
    labels += [t for axes in panels for t in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label)]
    written = [t for t in labels if t is not None and t.get_text() and t.get_visible()]
    for text in [*written, *(t for axes in panels for t in axes.texts if t.get_text() and t.get_visible())]:
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for one, other in combinations(written, 2):
        assert not one.get_window_extent().overlaps(other.get_window_extent()), (one, other)
