"""The results of a look, computed in steps that a few processes can share, and kept in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from ...doors import door
from ...processes import Steps, one_by_one
from ...run import Run
from . import kept
from .looks import FirstLook, LayerLook, Progress, Unmeasured, asked_for, begun

OF_LAYERS = ("causal.cumulative_ablation",)
"""Results of a network that are computed from those of its layers."""


def recalled(run: Run) -> FirstLook:
    """`begun`, with the results that are kept in the run's folder where they are still valid."""
    look = begun(run)
    _recall(look, kept.key(run))
    return look


@door
def first_look(run: Run, progress: Progress | None = None) -> FirstLook:
    """Results of every measure of the default analysis.

    Of a run of a module, what it can't give is in ``missing``.

    Args:
        run: A recorded run.
        progress: Function of a layer or the whole network, how many of its measures are done, and their total; None:
            none.

    Raises:
        RunError: A run with too few probe images (`FEWEST_IMAGES`).

    >>> look = nm.analysis.look.first_look(run)
    >>> look["predictions.confusion"]["images"].dims, look.layers[-1]["causal.ablate_all"]["loss_increase"].dims
    (('class', 'predicted'), ('unit',))
    """
    return one_by_one(looking(run), progress or (lambda part, done, total: None))


def looking(run: Run, *, keep: bool = False) -> Steps:
    """Steps of `first_look`: the layers need nothing of each other, and the network as a whole little of them.

    Args:
        run: A recorded run.
        keep: True to keep the results in the run's folder, and to take them from there where they are still valid.

    Raises:
        RunError: A run with too few probe images (`FEWEST_IMAGES`).
    """
    look, mark = begun(run), kept.key(run) if keep else None
    if _recall(look, mark) == sum(len(list(asked_for(at.scope))) for at in (look, *look.layers)):
        return look
    later = [name for name in asked_for("network") if name in OF_LAYERS]
    first = [name for name in asked_for("network") if name not in OF_LAYERS]
    jobs = [partial(_taken, layer, layer.short, list(asked_for("layer"))) for layer in look.layers]
    *layers, whole = yield [*jobs, partial(_taken, look, "the whole network", first)]
    for at, (results, missing) in zip([*look.layers, look], [*layers, whole], strict=True):
        at.results, at.missing = results, missing
    ((look.results, look.missing),) = yield [partial(_taken, look, "all layers together", later)]
    _keep(look, mark)
    return look


def looked_for(run: Run, ask: Callable[[FirstLook, Progress], None]) -> Steps:
    """Steps of a look with what ``ask`` asks of it, which is kept in the run's folder with what is there already.

    Args:
        run: A recorded run.
        ask: Function of the look and of a function that tells progress; it must be picklable.

    Raises:
        RunError: A run with too few probe images (`FEWEST_IMAGES`).
    """
    look, mark = begun(run), kept.key(run)
    known = _recall(look, mark)
    (found,) = yield [partial(_asked, look, ask)]
    for at, (results, missing) in zip((look, *look.layers), found, strict=True):
        at.results, at.missing = results, missing
    if _count(look) > known:
        _keep(look, mark)
    return look


def _asked(look: FirstLook, ask: Callable[[FirstLook, Progress], None], tell: Progress) -> list[tuple[Any, Any]]:
    ask(look, tell)
    return [(at.results, at.missing) for at in (look, *look.layers)]


def _keep(look: FirstLook, mark: str | None) -> None:
    """Keeps the results in the run's folder if they can be; the look holds them as they will be read, so that a page does not hang on
    whether they were there.
    """
    content = kept.encoded({at_name(at): at.results for at in (look, *look.layers)}, mark) if mark else None
    if mark and content:
        kept.write(look.run, content)
        _put(look, kept.decoded(content, mark))


def _count(look: FirstLook) -> int:
    return sum(len(at.results) for at in (look, *look.layers))


def at_name(at: object) -> str:
    """The hook point; of a network nothing."""
    return getattr(at, "hook_point", "")


def _recall(look: FirstLook, mark: str | None) -> int:
    """Gives a look the results that are kept with this mark, and returns their number; 0 if there are none that are valid."""
    found = kept.read(look.run, mark) if mark else None
    if found is None or not _fits(look, found):
        return 0
    _put(look, found)
    return _count(look)


def _fits(look: FirstLook, found: Mapping[str, Mapping[str, Any]]) -> bool:
    """True if these are results of the network and its layers, all or some."""
    asked = {at_name(at): set(asked_for(at.scope)) for at in (look, *look.layers)}
    return asked.keys() == found.keys() and all(results.keys() <= asked[name] for name, results in found.items())


def _put(look: FirstLook, found: Mapping[str, dict[str, Any]]) -> None:
    for at in (look, *look.layers):
        at.results = found[at_name(at)]


def _taken(
    look: FirstLook | LayerLook, part: str, names: Sequence[str], tell: Progress
) -> tuple[dict[str, Any], dict[str, str]]:
    for done, name in enumerate(names):
        with suppress(Unmeasured):
            look[name]
        tell(part, done + 1, len(names))
    return look.results, look.missing
