"""Reports without pictures, for tests of the words around them: figures take most of a page's time."""

from __future__ import annotations

import importlib

import pytest

from neural_microscope.report import html

drawing = importlib.import_module("neural_microscope.report.drawing")  # a function there has the same name


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """From now on a report has captions and no figures."""
    patch.setattr(drawing, "image", lambda draw, both=False: '<img src="data:," alt="No figure.">')


def save_nothing(patch: pytest.MonkeyPatch) -> None:
    """From now on figures are made and described, and not drawn: for networks whose figures may fail."""
    patch.setattr(html, "as_svg", lambda plot: "<svg></svg>")
    patch.setattr(html, "_encode", lambda plot: ("", 1, 1))
