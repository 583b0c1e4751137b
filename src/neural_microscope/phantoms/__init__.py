"""Phantoms: data and networks with planted truth, and empty ones. `calibrate` runs every instrument on both."""

from .calibration import INSTRUMENTS, calibrate, open_record, save
from .instrument import ALLOWED, DECLARED, Instrument

__all__ = ["ALLOWED", "DECLARED", "INSTRUMENTS", "Instrument", "calibrate", "open_record", "save"]
