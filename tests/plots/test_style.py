"""A drawing for a page: one for both themes, its words untouched."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from neural_microscope.plots import TOKENS
from neural_microscope.plots.style import BAND, Plot, Theme, as_image, as_svg, draws, has_band, has_pixels, new
from neural_microscope.report.html import image


@draws
def lines(*, text: str = "rule of thumb 0.00123", pixels: bool = False, marks: int = 3, theme: Theme) -> Plot:
    figure, (axes,) = new("narrow", 2.0, theme)
    axes.plot([0, 1.234567, 2], [0.1, 0.2, 0.1234567], color=theme.positive, label=text)
    axes.fill_between([0, 2], [0, 0], [0.1, 0.1], color=theme.null, alpha=0.3)
    axes.scatter(np.linspace(0, 2, marks), np.full(marks, 0.1), color=theme.of_class(3))
    if pixels:
        axes.imshow(np.zeros((2, 2)))
    axes.legend()
    return figure


def test_what_is_written_in_a_drawing_keeps_its_digits() -> None:
    assert "rule of thumb 0.00123" in as_svg(lines())


def test_a_drawing_is_whole_xml_in_the_pages_colors_without_fonts_or_addresses_of_its_own() -> None:
    drawing = as_svg(lines())
    ElementTree.fromstring(drawing)
    assert {name for name in ("ink", "paper", "positive", "null") if f"var(--{name})" in drawing} == {
        "ink",
        "paper",
        "positive",
        "null",
    }
    assert not [color for color in TOKENS["light"].values() if color.lower() in drawing.lower()]
    assert TOKENS["classes"][3] in drawing.lower()
    assert "http" not in drawing
    assert "font-family" not in drawing


def test_places_are_rounded_to_a_hundredth_of_a_point() -> None:
    tags = "".join(re.findall(r"<[^>]+>", as_svg(lines())))
    assert not re.search(r"\d\.\d{3,}", tags)


def test_a_drawing_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Plot] = []
    monkeypatch.setattr(Plot, "draw", lambda self, renderer: (drawn.append(self), Figure.draw(self, renderer)))
    figure = lines()
    as_svg(figure)
    assert drawn == [figure]


@pytest.mark.parametrize("automatic", [True, False])
def test_a_figure_is_out_of_memory_when_it_is_drawn_and_the_collector_as_before(automatic: bool) -> None:
    made: list[weakref.ref[Plot]] = []

    def draw(**theme: Any) -> Plot:
        made.append(weakref.ref(figure := lines(**theme)))
        return figure

    (gc.enable if automatic else gc.disable)()
    try:
        image(draw, lambda plot: "")
        assert gc.isenabled() is automatic
        assert [one() for one in made] == [None]
    finally:
        gc.enable()


def test_the_area_of_a_null_is_known_and_stronger_on_the_dark_ground() -> None:
    figure = lines()
    assert has_band(figure)
    address = as_image(as_svg(figure))
    assert "opacity:var(--band)" in address
    assert [*map(float, re.findall(r"--band:([0-9.]+);", address))] == [BAND["light"], BAND["dark"]]
    for area in figure.axes[0].collections:
        area.set_facecolor(figure.theme.amount)
    assert not has_band(figure)


@pytest.mark.parametrize(("settings", "expected"), [({}, False), ({"pixels": True}, True), ({"marks": 2000}, True)])
def test_pictures_and_clouds_of_marks_stay_pixels(settings: dict, expected: bool) -> None:
    assert has_pixels(lines(**settings)) is expected
