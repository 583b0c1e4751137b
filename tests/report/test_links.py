"""Links from the report open the explorer on what their claim speaks of."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from neural_microscope import interventions
from neural_microscope.analysis.causal.curves import JUDGED
from neural_microscope.analysis.findings import findings
from neural_microscope.analysis.look import FirstLook
from neural_microscope.explorer.payload import spread
from neural_microscope.report.html import slug
from neural_microscope.report.links import Explorer
from neural_microscope.statistics import halves


@pytest.fixture
def explorer(looks: list[FirstLook]) -> Explorer:
    shown = [
        {"name": look.name, "layers": [layer.hook_point for layer in look.layers], "steps": look.run.steps}
        for look in looks
    ]
    return Explorer(shown, {look.name: look for look in looks})


def test_the_most_selective_units_of_a_link_lower_accuracy_as_the_curve_says(
    looks: list[FirstLook], explorer: Explorer
) -> None:
    for look in looks:
        units = explorer._most_selective(look.name)
        curves, model = look["causal.cumulative_ablation"], look.run.model()
        place = int(np.abs(curves["share"].values - len(units) / sum(layer.size for layer in look.layers)).argmin())
        judged = look.run.probe.subset(halves(look.run.probe.labels)[1])
        images = judged.balanced(min(JUDGED, judged.most_balanced))
        axes = {
            layer.hook_point: layer["selectivity.class_selectivity"]["selectivity"].dims[0] for layer in look.layers
        }
        cuts = [(name, interventions.zero(**{str(axes[name]): unit})) for name, unit in units]
        with torch.no_grad(), model.hooks(cuts):
            right = model(images.tensor()).argmax(1) == images.label_tensor()
        assert len(units) > 1
        assert float(right.float().mean()) == pytest.approx(
            float(curves["accuracy"].sel(order="highest AUC first")[place]), abs=1e-6
        )


def test_a_link_that_ablates_a_unit_opens_on_the_image_that_needs_it_most(
    looks: list[FirstLook], explorer: Explorer
) -> None:
    claims = findings(looks)
    tried = [one for one in claims if one.unit is not None and one.effect == "loss"][:4]
    assert tried
    for claim in tried:
        look = next(one for one in looks if one.name == claim.network)
        layer = next(one for one in look.layers if one.hook_point == claim.hook_point)
        effects, model, images = layer["causal.ablate_all"], look.run.model(), look.run.probe
        with torch.no_grad():
            whole = model(images.tensor())
            with model.hooks([(claim.hook_point, interventions.zero(**{claim.axis: claim.unit}))]):
                cut = model(images.tensor())
        losses = [
            torch.nn.functional.cross_entropy(one, images.label_tensor(), reduction="none") for one in (whole, cut)
        ]
        place = int(explorer._image(claim).removeprefix("i="))
        assert effects.sizes["example"] == len(images)
        rise = losses[1] - losses[0]
        assert float(rise[place]) == pytest.approx(float(rise.max()), abs=1e-4)


def test_the_link_about_the_order_of_classes_shows_at_the_step_of_its_headline_which_images_are_correct(
    looks: list[FirstLook],
) -> None:
    claims = findings(looks)
    shown = []
    for look in looks:
        told = [float(c.numbers.get("first_at", np.nan)) for c in claims if c.network == look.name]
        steps = spread(look.run.steps, 6, told)
        shown.append({"name": look.name, "layers": [layer.hook_point for layer in look.layers], "steps": steps})
    explorer = Explorer(shown)
    (rule,) = {c.rule for c in claims if "first_at" in c.numbers}
    for claim in (c for c in claims if c.rule == rule):
        network = next(number for number, one in enumerate(shown) if one["name"] == claim.network)
        steps = shown[network]["steps"]
        parts = dict(part.split("=") for part in explorer.claim(claim, claims).partition("#")[2].split("&"))
        assert len(steps) == 6, "as many as the page has places on its time axis"
        assert steps[int(parts["t"])] == claim.numbers["first_at"]
        assert parts["m"] == f"{network}.{len(shown[network]['layers']) - 1}.error"


def test_a_question_has_one_card_which_tells_where_it_is_shown_and_where_not(
    looks: list[FirstLook], page: Path
) -> None:
    text = page.read_text("utf-8")
    cards = re.findall(r'(?s)<article class="card" .*?</article>', text)
    asked = [re.findall(r'id="(?:finding|missed)-([\w-]+)"', card) for card in cards]
    assert all(len(one) == 1 for one in asked)
    assert len({one[0] for one in asked}) == len(asked)
    below = text[text.index('id="not-shown"') : text.index('id="atlas"')]
    partly, claims = 0, [one for one in findings(looks) if one.unit is None and not one.describes]
    for (key,), card in zip(asked, cards, strict=True):
        own = [one for one in claims if slug(one.rule) == key]
        missed, shown = ([one for one in own if one.shown == is_shown] for is_shown in (False, True))
        assert {one.id for one in missed} <= {
            *re.findall(r'class="strip short(?: plain)?" data-claim="([^" ]*)"', card)
        }
        both = bool(missed and shown) and f'id="finding-{key}"' in card
        partly += both
        assert (">Not shown" in card) == both
        if f'id="missed-{key}"' in card:
            line = card.partition(">Shown: ")[2].partition(".</p>")[0]
            assert bool(line) == bool(shown)
            assert all(part in line for one in shown for part in one.where.split())
    assert f"> {partly} cards under Shown also name places " in below
    assert partly > 1


def test_a_card_of_what_is_shown_names_where_else_it_is(looks: list[FirstLook], page: Path) -> None:
    claims = [one for one in findings(looks) if one.unit is None and not one.describes and one.shown]
    found = 0
    for card in re.findall(r"(?s)<article class=\"card\" .*?</article>", page.read_text("utf-8")):
        for claim in [one for one in claims if card.startswith(f'<article class="card" data-claim="{one.id}">')]:
            others = {one.where for one in claims if one.rule == claim.rule} - {claim.where}
            line = card.partition(">Also shown: ")[2].partition(".</p>")[0]
            if f'id="finding-{slug(claim.rule)}"' in card:
                assert bool(line) == bool(others)
                assert all(part in line for place in others for part in place.split())
                found += bool(others)
    assert found
