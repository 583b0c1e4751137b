"""Addresses in the explorer that lies beside a report: exactly the unit, the set and the snapshot of a claim."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.findings import strength
from ..analysis.look import FirstLook
from ..claim import Claim

NAME = "explorer.html"
MOST = 8
"""Units for which a claim is shown that an address ablates, at most."""
MATTERS, TOGETHER = "a unit matters", "selective units matter together"
"""Rules about sets of units."""
LEARNED = "classes are learned at different times"
"""A rule whose link shows which images, drawn as the digits of their classes, are classified correctly."""


@dataclass(frozen=True, eq=False)
class Explorer:
    """The explorer's networks, as far as an address names them: `web/src/state.ts` reads it."""

    networks: Sequence[dict[str, Any]]
    looks: Mapping[str, FirstLook] = field(default_factory=dict)
    """Looks at the networks, by name."""

    def unit(self, network: str, hook_point: str, unit: int) -> str:
        """The address of a unit's card; empty where the explorer has no such unit."""
        place = self._place(network, hook_point)
        return f"{NAME}#s={place}.{unit}" if place else ""

    def claim(self, claim: Claim, claims: Sequence[Claim]) -> str:
        """The address of what a claim is about: its unit, ablated where that is the question; the units of a set, ablated; or the map of
        its layer, at the snapshot that it speaks of. Empty where the explorer has no such place. ``claims``: all of the page.
        """
        hook_point = claim.hook_point or self._last(claim.network)
        place = self._place(claim.network, hook_point)
        if not place:
            return ""
        parts = [self._time(claim)]
        if claim.unit is not None:
            parts += [f"s={place}.{claim.unit}"]
            if claim.effect == "loss":
                parts += [f"c={place}.{claim.unit}z", self._image(claim)]
        else:
            parts += [self._set(claim, claims), f"m={place}.{'error' if claim.rule == LEARNED else 'class'}"]
        return f"{NAME}#{'&'.join(part for part in parts if part)}"

    def _set(self, claim: Claim, claims: Sequence[Claim]) -> str:
        """The units that a claim about several speaks of: those for which it is shown, or the most selective ones."""
        units: list[tuple[str, int | None]] = []
        if claim.rule == TOGETHER:
            units = self._most_selective(claim.network)
        elif claim.rule == MATTERS:
            about = claim.rule, claim.network, claim.hook_point
            own = [c for c in claims if c.unit is not None and c.shown and (c.rule, c.network, c.hook_point) == about]
            units = [(c.hook_point, c.unit) for c in sorted(own, key=strength, reverse=True)[:MOST]]
        places = [f"{place}.{unit}z" for name, unit in units if (place := self._place(claim.network, name))]
        return f"c={'_'.join(places)}" if places else ""

    def _most_selective(self, network: str) -> list[tuple[str, int | None]]:
        """Each layer's units of highest AUC, as many as where the ablation curve differs most from that of random orders."""
        look = self.looks.get(network)
        curves = look.get("causal.cumulative_ablation") if look else None
        if look is None or curves is None:
            return []
        gap = (curves["accuracy"].sel(order="highest AUC first") - curves["random_accuracy"].mean("draw")).values
        share = float(curves["share"][np.abs(gap).argmax()])
        found: list[tuple[str, int | None]] = []
        for layer in look.layers:
            auc = layer["selectivity.class_selectivity"]["auc"].values
            order = np.argsort(-np.nan_to_num(auc, nan=-np.inf), kind="stable")
            found += [(layer.hook_point, int(unit)) for unit in order[: round(share * layer.size)]]
        return found

    def _image(self, claim: Claim) -> str:
        """The image whose loss the ablation of a claim's unit raises most."""
        look = self.looks.get(claim.network)
        layer = next((one for one in look.layers if one.hook_point == claim.hook_point), None) if look else None
        effects = layer.get("causal.ablate_all") if layer else None
        return "" if effects is None else f"i={int(effects['loss_change'].values[claim.unit].argmax())}"

    def _time(self, claim: Claim) -> str:
        """The page's snapshot nearest to the step that a claim speaks of; nothing for the last one, where the page opens."""
        if claim.rule == "geometry is present at initialization":
            step = 0.0
        elif (step := float(claim.numbers.get("first_at", np.nan))) != step:
            return ""
        network = next(one for one in self.networks if one["name"] == claim.network)
        moments, steps = max(len(one["steps"]) for one in self.networks), np.asarray(network["steps"])
        own = np.round(np.arange(moments) / max(1, moments - 1) * (len(steps) - 1)).astype(int)
        moment = int(np.abs(steps[own] - step).argmin())
        return f"t={moment}" if moment < moments - 1 else ""

    def _place(self, network: str, hook_point: str) -> str:
        """``network.layer``, as the explorer counts."""
        for number, one in enumerate(self.networks):
            if one["name"] == network and hook_point in one["layers"]:
                return f"{number}.{one['layers'].index(hook_point)}"
        return ""

    def _last(self, network: str) -> str:
        return next((one["layers"][-1] for one in self.networks if one["name"] == network and one["layers"]), "")


def beside(page: Path, looks: Sequence[FirstLook]) -> Explorer | None:
    """The explorer in the folder of a page, as far as it shows the same networks; None where there is none."""
    path = page.with_name(NAME)
    if not path.is_file():
        return None
    found = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', path.read_text("utf-8", "replace"), re.S
    )
    known = {look.name: look.run for look in looks}
    try:
        networks = json.loads(found[1])["networks"] if found else []
        same = [one | {"name": one["name"] if _shows(one, known.get(one["name"])) else ""} for one in networks]
    except (ValueError, KeyError, TypeError, AttributeError):  # another page, or one of another version
        return None
    return Explorer(same, {look.name: look for look in looks}) if any(one["name"] for one in same) else None


def _shows(network: dict[str, Any], run: Any) -> bool:
    """True if a network of the explorer is a run's: of its seed, with snapshots of it up to the last one."""
    if run is None:
        return False
    steps = network["steps"]
    return (
        network["seed"] == run.description["model"].get("seed")
        and {*steps} <= {*run.steps}
        and steps[-1] == run.steps[-1]
    )
