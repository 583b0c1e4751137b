"""Many networks on Dask: seeds times any settings, each network an ordinary run folder at any fsspec URL or local path::

    asked = nm.sweep.Sweep(nm.MLPConfig(), data="digits", seeds=range(4), settings={"learning_rate": (0.001, 0.003)})
    with nm.sweep.connect(workers=2) as client:          # or connect(scheduler="tcp://…")
        outcome = nm.sweep.run(asked, "sweeps/rates", client)
    table = nm.sweep.table("sweeps/rates")               # [run], read when asked for

A sweep's folder holds ``sweep.json``, what was asked for, and ``runs/<name>/``. What is finished is read from there and nowhere
else: a run is, once the last line of its ``commits.jsonl`` says so, and that file comes to its place last. Needs the extra
``sweep``; planning and parsing do without.
"""

from __future__ import annotations

from .destination import claim, read
from .jobs import Job, Sweep, parse, plan
from .results import table
from .work import Outcome, connect, run, train_job

__all__ = ["Job", "Outcome", "Sweep", "claim", "connect", "parse", "plan", "read", "run", "table", "train_job"]
