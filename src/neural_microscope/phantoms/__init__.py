"""Phantoms: data and networks with planted truth, and empty ones.

`calibrate` runs every instrument on both; `calibrate_pages` tests all claims of a page.
"""

from ..measure import ALLOWED, DECLARED, Instrument
from .calibration import (
    calibrate,
    calibrate_pages,
    failures,
    instruments,
    open_record,
    outdated,
    page_rate,
    recalibrate,
    save,
)

__all__ = [
    "ALLOWED",
    "DECLARED",
    "Instrument",
    "calibrate",
    "calibrate_pages",
    "failures",
    "instruments",
    "open_record",
    "outdated",
    "page_rate",
    "recalibrate",
    "save",
]
