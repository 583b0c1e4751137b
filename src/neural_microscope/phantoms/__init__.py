"""Phantoms: data and networks with planted truth, and empty ones. `calibrate` runs every instrument on both."""

from .calibration import INSTRUMENTS, calibrate
from .instrument import ALLOWED, DECLARED, Instrument

__all__ = ["ALLOWED", "DECLARED", "INSTRUMENTS", "Instrument", "calibrate"]
