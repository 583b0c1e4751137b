"""What calibration asks of an instrument: to read a planted truth, and to keep silent where nothing is planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DECLARED, ALLOWED = 0.05, 0.08
"""The declared rate of false alarms, and the highest that passes on some hundred empty phantoms."""


@dataclass(frozen=True)
class Instrument:
    """A measure, a phantom with planted truth for it, and an empty phantom."""

    name: str
    """In the field's words: "class selectivity (AUC)"."""
    measure: str
    """The public function: "selectivity.class_selectivity"."""
    planted: str
    """What the phantom holds, in a few words."""
    empty: str
    """What the empty phantom is, and what counts as an alarm."""
    read: Callable[[int], tuple[float, float]]
    """seed -> (the truth, what was measured)."""
    tolerance: float
    """How far the measured value may lie from the truth, in its own unit."""
    alarm: Callable[[int], bool]
    """seed -> whether the instrument claims to see something in an empty phantom drawn with this seed."""
    unit: str = "1"
