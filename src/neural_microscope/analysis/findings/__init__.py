"""What is claimed about recorded runs: sentences with their numbers, their nulls and their verdicts.

Every rule is asked of every network alike, and judged here, once: report, explorer, command line and notebooks show the claims and decide
nothing.
"""

from . import layers, networks, units
from .population import claims_of, findings, populations

__all__ = ["claims_of", "findings", "layers", "networks", "populations", "units"]
