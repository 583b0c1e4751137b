"""Replays: one change at one step of a recorded training, and the training continued with and without it.

The original is forked at a snapshot whose state was kept. A *twin* continues unchanged, a *branch* with the change; both in several
orders of the batches, since another order alone changes a network by about as much as many changes do. A branch is compared with the
twin of its own order, trained in the same stack. *Null* branches have a random change of the same kind and size elsewhere: other units
of the layer, another class, random images.

Twins and branches are ordinary run folders that name their parent; of null branches only the scores and the effects of units are kept.
"""

from .claims import claims
from .deciding import decided
from .making import replay
from .onset import onsets
from .result import Replay, named_change, replays_of, told

__all__ = ["Replay", "claims", "decided", "named_change", "onsets", "replay", "replays_of", "told"]
