"""Edits of a trained network, each with its price and judged by networks that were really trained that way.

Forget a class, repair a confusion, prune, steer: each edit is a small object that `edited` applies to a run's network, leaving the run
as it is, and that `judge` compares with networks retrained from their initialization.

>>> nm.edits.Forget(classes=7, how="units", units=6)
Forget(classes=7, images=None, how='units', units=6, layer=None, epochs=3)
"""

from .judging import Judgment, edited, judge, retrain
from .kinds import Edit, Forget, Prune, Repair, Steer

__all__ = ["Edit", "Forget", "Judgment", "Prune", "Repair", "Steer", "edited", "judge", "retrain"]
