"""The run folder: a recorded training run, and the only source that later steps read."""

from .commits import Commit
from .description import FORMAT_VERSION
from .layout import Layout, places, reduced
from .log import ArraySpec
from .population import network_names, same_but_seed
from .run import Run
from .verify import RESULTS, Problem, verify
from .writer import RunWriter

__all__ = [
    "FORMAT_VERSION",
    "RESULTS",
    "ArraySpec",
    "Commit",
    "Layout",
    "Problem",
    "Run",
    "RunWriter",
    "network_names",
    "places",
    "reduced",
    "same_but_seed",
    "verify",
]
