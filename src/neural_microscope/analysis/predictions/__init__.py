"""Measures of predictions: confusion between classes, margins, learning order and forgetting, calibration."""

from .counts import confusion, confusion_over_time
from .margin import margins
from .order import learning_order
from .reliability import calibration_error

__all__ = ["calibration_error", "confusion", "confusion_over_time", "learning_order", "margins"]
