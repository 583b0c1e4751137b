"""The page about the notebooks that this project grew from: its code, the numbers in its prose, and what was published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = (Path(__file__).parents[2] / "docs" / "original.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SELECTIVE = "6,8,12 0,3,1 15,13,9 4,6,5 5,2,8 3,7,6 8,13,10 14,4,12 7,0,1 14,5,7"
GRADIENT = "10,9,7 2,7,6 7,1,5 0,2,10 9,6,14 1,2,0 12,5,14 7,10,8 5,4,8 13,10,4"


def run_block(number: int, names: dict[str, Any]) -> None:
    """Runs one of the page's blocks, as a reader who came from above would."""
    exec(compile(BLOCKS[number], f"docs/original.md, block {number}", "exec"), names)


def stated(sentence: str) -> list[float]:
    """The numbers that the page gives where ``sentence`` has a #; the page has it once."""
    words = " ".join(PAGE.split()).replace("−", "-")  # the page writes a real minus
    found = re.findall(re.escape(sentence).replace(r"\#", r"(-?[\d.]*\d)"), words)
    assert len(found) == 1, f"{sentence!r} stands {len(found)} times on the page"
    return [float(number) for number in (found[0] if isinstance(found[0], tuple) else found)]


def lists(text: str) -> list[list[int]]:
    return [[int(unit) for unit in part.split(",")] for part in text.split()]


def overlap(found: np.ndarray, published: str) -> float:
    """Share of the published entries, 3 for each class, that are among the 3 found."""
    shared = [len(set(map(int, a)) & set(b)) for a, b in zip(found, lists(published), strict=True)]
    return sum(shared) / (3 * len(shared))
