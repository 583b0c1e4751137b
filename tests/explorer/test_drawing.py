"""A drawing is centered and scaled as MNIST's digits were: beside a reading in Python, and on MNIST itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_page import ARRAY, FLOATS, address, array, draw, given, in_page, predicts
from playwright.sync_api import Page
from scipy.ndimage import center_of_mass

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

SIDE = 280
# None is its own mirror image: its center would lie between two pixels, where rounding may go either way.
STROKES = {
    "a one": [[120, 70, 150, 40, 120, 240]],
    "a seven with its bar": [[60, 60, 220, 60, 110, 250], [90, 150, 190, 150]],
    "a dot in a corner": [[3, 277]],
    "wide and flat": [[10, 100, 200, 105, 270, 125]],
    "a spiral": [[int(140 + t * np.cos(t / 9)) if k == 0 else int(140 + t * np.sin(t / 9)) for t in range(0, 110, 3) for k in (0, 1)]],
}  # fmt: skip


def area_mean(cells: np.ndarray, pixels: int) -> np.ndarray:
    """Rows of ``cells`` as ``pixels`` rows, each the mean over the area it covers: differences of the running integral."""
    integral = np.concatenate([np.zeros((1, cells.shape[1])), cells.cumsum(0)])
    edges = np.linspace(0, len(cells), pixels + 1)
    at = np.array([np.interp(edges, np.arange(len(cells) + 1), column) for column in integral.T]).T
    return np.diff(at, axis=0) / (len(cells) / pixels)


def as_mnist(cells: np.ndarray) -> np.ndarray:
    """LeCun et al. (1998), section III.A: the box of the ink scaled into 20 × 20 with its ratio kept, then the center of mass
    put into the middle of 28 × 28, which in the published files is pixel (14, 14).
    """
    rows, cols = np.nonzero(cells.any(1))[0], np.nonzero(cells.any(0))[0]
    box = cells[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    height, width = (max(1, round(n * 20 / max(box.shape))) for n in box.shape)
    small = area_mean(area_mean(box, height).T, width).T
    top, left = (round(14 - place) for place in center_of_mass(small))
    wide = np.zeros((84, 84))
    wide[28 + top : 28 + top + height, 28 + left : 28 + left + width] = small
    return wide[28:56, 28:56]


def inked(page: Page, strokes: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(cells [280, 280], what the networks are given [28, 28])."""
    cells, pixels = page.evaluate(
        f"""strokes => {{
            const {{Ink, centered, lab}} = microscope, ink = Ink.of(strokes);
            return [({ARRAY})(ink.cells), ({ARRAY})(centered(ink.cells, {SIDE}, 28, 28, lab.usual))]; }}""",
        strokes,
    )
    return array(cells).reshape(SIDE, SIDE), array(pixels).reshape(28, 28)


def test_a_drawing_is_centered_and_scaled_as_the_reference_does(explorer: Path, opened: Callable[..., Page]) -> None:
    page = opened(explorer)
    assert page.evaluate("microscope.lab.usual") == {
        "side": 20,
        "row": 14,
        "col": 14,
    }  # found from the images themselves
    for name, strokes in STROKES.items():
        cells, pixels = inked(page, strokes)
        np.testing.assert_allclose(pixels, as_mnist(cells.astype(float)), atol=1e-5, err_msg=name)
        rows, cols = np.nonzero(pixels)
        assert max(np.ptp(rows), np.ptp(cols)) + 1 == 20, name


def test_mnists_own_digits_enlarged_come_back_as_they_were(
    explorer: Path, opened: Callable[..., Page], runs: list[nm.Run]
) -> None:
    images = runs[0].probe.images[:200] / np.float32(255)
    found = opened(explorer).evaluate(
        f"""text => {{
            const all = ({FLOATS})(text), out = new Float32Array(all.length), large = new Float32Array({SIDE * SIDE});
            for (let i = 0; i < all.length; i += 784) {{
                for (let r = 0; r < {SIDE}; r++)
                    for (let c = 0; c < {SIDE}; c++)
                        large[r * {SIDE} + c] = all[i + Math.floor(r / 10) * 28 + Math.floor(c / 10)];
                out.set(microscope.centered(large, {SIDE}, 28, 28, microscope.lab.usual), i);
            }}
            return ({ARRAY})(out); }}""",
        given(images),
    )
    back = array(found).reshape(images.shape)
    same = [np.abs(a - b).max() < 1e-5 for a, b in zip(images, back, strict=True)]
    sides = [max(np.ptp(rows), np.ptp(cols)) + 1 for rows, cols in map(np.nonzero, images)]
    assert same == [side == 20 for side in sides]  # one of a thousand is smaller
    assert np.mean(same) > 0.99


def test_what_is_drawn_is_read_as_torch_reads_it(
    explorer: Path, opened: Callable[..., Page], runs: list[nm.Run]
) -> None:
    page = opened(explorer)
    draw(page, (0.25, 0.2), (0.75, 0.2), (0.4, 0.9))
    strokes: Any = address(page, r"d=\w{8}")
    values = [int(strokes.split("d=")[1][i : i + 2], 36) for i in range(0, len(strokes.split("d=")[1]), 2)]
    _, pixels = inked(page, [values])
    for network, run in enumerate(runs):
        with torch.no_grad():
            logits = in_page(page, run, network)(torch.from_numpy(pixels.copy())[None, None])
        predicts(page, network, int(logits.argmax()))
