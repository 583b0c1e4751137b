"""Descriptions of results that no rule tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...claim import Claim, say
from ...config import OPTIMIZERS
from ...doors import door
from ...measure import Measure, every
from ..look import FirstLook, Pair, Unmeasured, unpictured

PICTURED = "dynamics.weight_spectra"
"""The measure that describes and shows a network's first weights as pictures of its inputs."""


@door
def descriptions(at: FirstLook | Pair, claims: Sequence[Claim] = ()) -> list[Claim]:
    """Descriptions, without a test, of a network and its layers, or of a pair.

    A measure with a picture that neither a claim nor a description mentions is named. A description of a unit's ablation adds whether it
    is shown to matter.

    Args:
        at: Look at a network or a pair.
        claims: Claims, as `findings` returns them.
    """
    found: list[Claim] = []
    places: list[Any] = [at, *(at.layers if isinstance(at, FirstLook) else ())]
    known = {(c.measure, c.network, c.hook_point) for c in claims}
    for measure in every():
        for place in places:
            hook_point, axis = getattr(place, "hook_point", ""), getattr(place, "axis", "unit")
            told = [_judged(_optimizer(one), at.name, hook_point, claims) for one in _told(measure, place)]
            mentioned = any(one[:2] == (measure.name, at.name) and hook_point in ("", one[2]) for one in known)
            if not told and not mentioned and measure.pictures and measure.scope == place.scope:
                told = [say(f"{measure.name} is described", f"{measure.title.lower()} is described.")]
            found += [
                replace(
                    one, measure=measure.name, network=at.name, hook_point=hook_point, axis=axis, n=len(place.run.probe)
                )
                for one in told
            ]
    return found


def _optimizer(told: Claim) -> Claim:
    """The description with the optimizer's name as the field writes it."""
    if (name := told.numbers.get("optimizer")) not in OPTIMIZERS:
        return told
    return replace(told, numbers={**told.numbers, "optimizer": OPTIMIZERS[str(name)]})


def _judged(told: Claim, network: str, hook_point: str, claims: Sequence[Claim]) -> Claim:
    """The description with the verdict on its unit, where it is of one and `claims` has it."""
    if "unit" not in told.numbers:
        return told
    place = network, hook_point, told.numbers["unit"], "a unit matters"
    judged = next((c for c in claims if (c.network, c.hook_point, c.unit, c.rule) == place), None)
    return replace(told, yes=f"{told.yes} The {judged.axis} is {judged.verdict} to matter.") if judged else told


def _told(measure: Measure, at: Any) -> Iterator[Claim]:
    """A measure's descriptions of a network or layer; for a foreign module, the reason that it was not measured."""
    if measure.name == PICTURED and at.scope == "network" and (reason := unpictured(at.run)):
        yield say("the first layer's weights", "not shown as pictures of the inputs: {reason}.", reason=reason)
        return
    try:
        for description in measure.descriptions:
            if description.scope == at.scope:
                yield from description.claims(at)
    except Unmeasured:
        pass
    except TypeError:  # of a description of classes, in a run without labels
        if at.run.probe.labels is not None:
            raise
    if reason := at.missing.get(measure.name):
        yield say(f"{measure.name} is not measured", "not measured: {reason}", reason=reason.rstrip(".") + ".")
