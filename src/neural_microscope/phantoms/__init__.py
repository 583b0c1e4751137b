"""Phantoms: data and networks with planted truth, and empty ones. `calibrate` runs every instrument on both, `calibrate_pages` all claims
of a page.
"""

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
from .instrument import ALLOWED, DECLARED, Instrument

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
