"""Reports without pictures, for tests of the words around them: figures take most of a page's time."""

from __future__ import annotations

import importlib

import pytest

from neural_microscope.plots import style
from neural_microscope.report import html

drawing = importlib.import_module("neural_microscope.report.drawing")  # a function there has the same name


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """From now on a report has captions and no figures."""
    nothing = style.empty("narrow", 1, style.Theme.named("light"))
    patch.setattr(
        drawing,
        "image",
        lambda draw, caption, both=False: (
            f'<img src="data:," alt="No figure."><figcaption>{caption(nothing)}</figcaption>'
        ),
    )


def save_nothing(patch: pytest.MonkeyPatch) -> None:
    """From now on figures are made and described, and not drawn: for networks whose figures may fail."""
    patch.setattr(html, "as_svg", lambda plot: "<svg></svg>")
    patch.setattr(html, "_encode", lambda plot: ("", 1, 1))
