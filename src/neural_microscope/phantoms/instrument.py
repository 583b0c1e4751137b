"""What calibration asks of an instrument: to read a planted truth, and to keep silent where nothing is planted."""

from __future__ import annotations

from ..measure import ALLOWED, DECLARED, Instrument

__all__ = ["ALLOWED", "DECLARED", "Instrument"]
