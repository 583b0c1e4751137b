"""The section of a run with children: what changed, beside its twins and null branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from .. import plots
from ..analysis.development import change_of_learning, takeover
from ..analysis.look import FirstLook
from ..changes import Ablate
from ..claim import Claim
from ..replays import Replay
from ..replays.claims import Judged, judged
from ..wording import count
from .html import escape, folded, heading, image, naming, slug, told, worded

Told = tuple[Replay | None, list[Claim], str]
"""A replay, its claims, and the error; no replay where its folder can't be read."""


def replayed(looks: Sequence[FirstLook]) -> dict[str, list[Told]]:
    """The complete replays of each network's run that change something, with their claims, by the network's name."""
    found = {look.name: [_named(one, look.name) for one in judged(look.run)] for look in looks}
    return {name: every for name, every in found.items() if every}


def _named(one: Judged, name: str) -> Told:
    return one.replay, [replace(claim, network=name) for claim in one.claims], one.wrong


def section(found: Mapping[str, Sequence[Told]]) -> str:
    """The section; empty without replays."""
    if not found:
        return ""
    parts = "".join(_replay(name, one, claims, wrong) for name, every in found.items() for one, claims, wrong in every)
    about = (
        "Training was forked at a step and continued with a change (branches) and without it (twins), both in several orders of the "
        "batches; null branches have a random change of the same kind and size. Each replay is judged by itself, not with the page's "
        "other claims."
    )
    return f"{heading(2, 'replays', 'Trained otherwise')}<p>{escape(about)}</p>{parts}"


def _replay(name: str, one: Replay | None, claims: Sequence[Claim], wrong: str) -> str:
    if one is None:
        return f'<p class="loud">{escape(wrong)}</p>'
    held = one.settings
    title = f"{name}: {one.title}"
    key = slug(f"replay-{name}-{one.folder.name}")
    orders = f"{count(len(one.complete), 'orders')}, {count(len(held.nulls), 'null branches')} in each."
    if wrong:
        return f'{heading(3, key, title)}<p class="quiet">{escape(orders)}</p><p class="loud">{escape(wrong)}</p>'
    pictures = [
        image(partial(plots.change_of_learning, change_of_learning(one.scores.loss)), lambda plot: _caption(one))
    ]
    for lost in (change for change in one.changes if isinstance(change, Ablate)):
        table = takeover(one.effects(lost.layer), lost.chosen)
        words = f"Rise of each unit's ablation effect in {lost.layer} at step {held.until:,}: branch minus twin, mean over orders."
        pictures.append(image(partial(plots.takeover, table), partial(_said, words)))
    figures = "".join(f"<figure{naming(claims)}>{worded(drawn, claims, title)}</figure>" for drawn in pictures)
    listed = "".join(told(claim, whole=True, where=False) for claim in claims)
    code = f"<pre><code>nm.Replay.open({escape(repr(str(one.folder)))})</code></pre>"
    return (
        f'{heading(3, key, title)}<p class="quiet">{escape(orders)}</p><ul class="claims">{listed}</ul>'
        f'<div class="networks">{figures}</div>{folded("In Python", code)}'
    )


def _said(words: str, plot: plots.Plot) -> str:
    return escape(words)


def _caption(one: Replay) -> str:
    """Of the curve."""
    spread = one.scores.loss.sel(network="twin").isel(snapshot=-1)
    sd = f" Another order alone: standard deviation {float(spread.std(ddof=1)):.3g} nats." if spread.size > 1 else ""
    return escape(f"Test loss of the branches minus that of the twins of their orders, mean over orders.{sd}")
