"""Many networks on Dask: seeds times any settings, each network an ordinary run folder at any fsspec URL or local path::

    asked = nm.sweep.Sweep(nm.MLPConfig(), data="digits", seeds=range(4), settings={"learning_rate": (0.001, 0.003)})
    with nm.sweep.connect(workers=2) as client:          # or connect(scheduler="tcp://…")
        outcome = nm.sweep.run(asked, "sweeps/rates", client)
    table = nm.sweep.table("sweeps/rates")               # [run], read on demand

A sweep's folder holds ``sweep.json``, its settings, and ``runs/<name>/``. Finished runs are recognized there and nowhere
else: by the last line of their ``commits.jsonl``, which is uploaded last. Needs the extra
``sweep``; planning and parsing do not.
"""

from __future__ import annotations

from .destination import claim, read
from .jobs import Job, Sweep, parse, plan
from .results import table
from .work import Outcome, connect, run, train_job

__all__ = ["Job", "Outcome", "Sweep", "claim", "connect", "parse", "plan", "read", "run", "table", "train_job"]
