"""What can be said about recorded runs, in sentences that a person can check.

Each question is asked of every network alike. A sentence carries its numbers, its null, on how many seeds it holds, and the
call that gives the numbers again.
"""

from .population import findings, populations
from .sentence import Finding, number

__all__ = ["Finding", "findings", "number", "populations"]
