"""Reports without pictures, for tests of the words around them: drawing takes most of a page's time."""

from __future__ import annotations

import pytest

from neural_microscope.report import html


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """From now on figures are made and described, and not drawn."""
    patch.setattr(html, "as_svg", lambda plot: "<svg></svg>")
    patch.setattr(html, "_encode", lambda plot: ("", 1, 1))
