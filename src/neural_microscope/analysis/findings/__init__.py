"""Claims about recorded runs: sentences with their numbers, nulls and verdicts.

Every rule is asked of every network in the same way and judged here, once: report, explorer, command line and notebooks show the claims and
decide nothing.
"""

from . import layers, networks, units
from .descriptions import descriptions
from .population import claims_of, headlines, judging, populations, seeds
from .printed import findings
from .summary import bands, strength, strongest, verdicts

__all__ = [
    "bands",
    "claims_of",
    "descriptions",
    "findings",
    "headlines",
    "judging",
    "layers",
    "networks",
    "populations",
    "seeds",
    "strength",
    "strongest",
    "units",
    "verdicts",
]
