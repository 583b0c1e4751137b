"""Experiments on learning: what one change of a training does, which units take over the work of lost ones, and from when on the outcome
is decided.

They take what a replay holds, ``Replay.scores`` and ``Replay.effects``, or errors along lines between networks.
"""

from .barriers import barrier
from .branches import change_of_learning
from .takeovers import takeover

__all__ = ["barrier", "change_of_learning", "takeover"]
