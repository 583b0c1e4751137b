"""A run's entire training in one pass over its log, with memory for two snapshots of one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import xarray as xr

from .. import named
from ..measure import measure
from ..run import Run
from . import geometry, selectivity, similarity


@measure(
    "streaming",
    title="Measures of a log read once",
    null="those of `similarity.cka`, `geometry.pca` and `selectivity.over_time`",
    replicates="image",
    interval="none",
    family="as there",
)
def stream(
    run: Run,
    hook_points: Sequence[str] = (),
    *,
    reference: int = -1,
    components: int = 2,
    draws: int = 20,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda part, done, total: None,
) -> dict[str, xr.Dataset]:
    """CKA, principal components and class selectivity of a run's layers at every snapshot.

    For logs larger than memory, and for a cluster worker that is given one run of many: each snapshot of a layer is
    read once, measured and released, together with the reference snapshot. Convolutional layers are read as the mean of
    each map.

    Args:
        run: A recorded run.
        hook_points: Names of hook points; empty: those recorded that end in hook_post, or all if none does.
        reference: Step of the snapshot to compare with; -1: the last.
        components: Number of leading components.
        draws: Number of draws of each null.
        seed: Seed of the nulls' draws.
        progress: Function of the hook point, how many snapshots are done, and their total.

    Returns:
        A table [snapshot, …] by hook point. Each snapshot's variables are those that the measures give for it alone,
        with their nulls. Quantities that join snapshots, such as ``since`` or scores on one basis, are not included.

        * ``cka`` [snapshot] with the reference (`similarity.cka`).
        * ``explained``, ``eigen_gap`` and ``above_chance`` [snapshot, component] of its own leading components
          (`geometry.pca`).
        * ``preferred``, ``selectivity``, ``auc`` and ``auc_shown`` [snapshot, unit] of its units
          (`selectivity.over_time`).

    Raises:
        UnknownName: A hook point that was not recorded.

    >>> tables = nm.analysis.streaming.stream(run, ["layers.1.hook_post"], draws=5)
    >>> tables["layers.1.hook_post"]["cka"].dims
    ('snapshot',)
    """
    names = list(hook_points) or [name for name in run.hook_points if name.endswith("hook_post")] or run.hook_points
    found = {}
    for name in names:
        acts = run.activations(name)
        fixed = acts.isel(snapshot=int(named.snapshots(acts, reference)[0])).load()
        count, rows = acts.sizes["snapshot"], []
        for number in range(count):
            now = acts.isel(snapshot=number).drop_vars(["step", "epoch"]).load()
            units = selectivity.over_time(now.expand_dims("snapshot"), seed=seed)
            parts = [
                similarity.cka(now, fixed, draws=draws, seed=seed),
                geometry.pca(now, components=components, draws=draws, seed=seed).drop_vars(["score", "direction"]),
                units.isel(snapshot=0).drop_vars(["since", "changes"]),
            ]
            rows.append(xr.merge(parts, compat="override", combine_attrs="drop"))
            progress(name, number + 1, count)
        table = xr.concat(rows, "snapshot").assign_coords(step=acts["step"], epoch=acts["epoch"])
        found[name] = table.assign_attrs(hook_point=name, n_examples=acts.sizes["example"], reference=reference)
    return found
