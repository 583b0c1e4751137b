"""Findings over seeds: who belongs together, how many hold, and whether a planted twin is found again."""

from __future__ import annotations

import importlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import special, stats

import neural_microscope as nm
from neural_microscope.analysis.findings import descriptions, findings, populations, strength, strongest, verdicts
from neural_microscope.analysis.findings.networks import controlled
from neural_microscope.analysis.findings.printed import within
from neural_microscope.analysis.findings.units import _auc_above
from neural_microscope.analysis.look import FirstLook, Unmeasured, first_look
from neural_microscope.analysis.look.looks import some
from neural_microscope.claim import Claim, judge
from neural_microscope.measure import MEASURES
from neural_microscope.wording import fill

RECORD = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=300)


def record(folder: Path, seed: int, epochs: int = 6, **network: object) -> nm.Run:
    config = nm.MLPConfig(**{"image_shape": (8, 8), "hidden": (12,), **network})
    training = nm.TrainConfig(epochs=epochs, learning_rate=5e-3, seed=seed)
    nm.train(nm.MLP(config, seed), nm.data.load("digits"), training, observers=[nm.Recorder(folder, RECORD)])
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[FirstLook]:
    """Two seeds of one network, and a wider one."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [record(folder / "a", 0), record(folder / "b", 1), record(folder / "wide", 0, hidden=(14,))]
    return [first_look(run) for run in runs]


def test_runs_that_differ_in_their_seeds_only_are_one_population(looks: list[FirstLook]) -> None:
    a, b, wide = looks
    assert [[look.run.folder.name for look in group] for group in populations([a, wide, b])] == [["a", "b"], ["wide"]]
    assert len(populations([a, a])) == 2, "one network given twice is no second seed"


def test_one_network_is_an_anecdote_and_says_so(looks: list[FirstLook]) -> None:
    told = findings(looks[0])
    assert all(c.replicated == "One seed, not replicated." and c.text.endswith(c.replicated) for c in told)
    assert all(c.seeds == (0,) for c in told)
    assert all(c.null for c in told)


def test_a_population_counts_on_how_many_seeds_each_claim_is_shown(looks: list[FirstLook]) -> None:
    together = findings(looks[:2])
    alone = [{c.id: c for c in findings(look)} for look in looks[:2]]
    for claim in (c for c in together if c.unit is None and c.rule != "units recur on other seeds"):
        held = sum(own[claim.id].shown for own in alone if claim.id in own)
        assert claim.held == held
        assert claim.shown == (alone[0][claim.id].shown and held == 2)
        assert claim.replicated == f"Shown on {held} of 2 seeds; with nothing to find, on at most 1 (in 95% of cases)."
        assert claim.numbers == alone[0][claim.id].numbers
    units = [c for c in together if c.unit is not None]
    assert units
    assert all(re.search("in [01] of 1 other seeds", c.replicated) for c in units)
    assert [c.rule for c in together].count("units recur on other seeds") == 1


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_claims_of_six_untrained_networks_say_nothing_of_any_unit(seed: int, tmp_path: Path) -> None:
    run = record(tmp_path / str(seed), seed, epochs=0, hidden=(64, 32))
    assert not [c.sentence for c in findings(run) if c.shown and c.unit is not None]


def test_every_claim_prints_its_numbers_and_nothing_else(looks: list[FirstLook]) -> None:
    for claim in findings(looks):
        kept = claim.to_json()
        assert fill(kept["yes"] if kept["shown"] else kept["no"], claim.numbers) == claim.sentence == kept["sentence"]
        words = re.sub(r"\{[^}]*\}|95%|5%|50%", "", claim.yes + claim.no + claim.evidence)
        assert not re.search(r"\d", words), words
        assert "{" not in claim.text
        low, high = (claim.numbers.get(f"{claim.effect}_null_{end}", 0.0) for end in ("low", "high"))
        assert not low > high
        assert claim.verdict == ("shown" if claim.corrected < 0.05 else "not shown")
        assert json.loads(json.dumps(kept, allow_nan=False)) == kept


def test_a_twin_whose_units_stand_in_another_order_has_every_unit_again(looks: list[FirstLook], tmp_path: Path) -> None:
    acts = looks[0].run.activations("layers.0.hook_post").isel(snapshot=-1)
    order = np.random.default_rng(0).permutation(acts.sizes["unit"])
    result = nm.analysis.similarity.replication([acts, acts.isel(unit=order)])
    alive = ~np.isnan(result["replicated"].values)
    assert (result["replicated"].values[alive] == 1).all()


@pytest.mark.parametrize("own", [-0.3, 0.3])
def test_a_two_sided_test_says_what_it_would_have_shown_on_either_side(own: float) -> None:
    spread = np.linspace(-0.2, 0.2, 7)
    control = xr.Dataset(
        {"x": own, "x_untrained": ("network", spread), "x_shuffled": ("draw", 2 * spread)},
        attrs={"n_examples": 9, "null": ""},
    )

    class Layer(dict[str, Any]):
        run = SimpleNamespace(probe=range(9))

    words = {"yes": "{x:2}.", "no": "", "units": "1"}
    claim = controlled(
        Layer({"controls.untrained_networks": control}), "x", side="both", numbers={}, evidence="", **words
    )  # type: ignore[arg-type]
    bound = stats.t.isf(0.05 / 2, 6) * 2 * spread.std(ddof=1) * np.sqrt(1 + 1 / 7)
    (claim,) = judge([claim], families=1)
    assert claim.least == pytest.approx(np.sign(own) * bound)
    assert claim.opposite == pytest.approx(-claim.least)
    low, high = (fill("{x:2}", {"x": sign * bound}) for sign in (-1, 1))
    told = f"It would have been shown at {low} or below, or at {high} or above"
    assert f"{told}." in claim.reasons
    assert f"{told} (AUC)." in replace(claim, units="AUC").reasons


def test_a_null_ends_where_its_measure_ends() -> None:
    """Student's law has no bounds; a rank correlation, an AUC and a share have."""
    wide = {"x_null_low": -1.264, "x_null_high": 1.5, "other": 7.0}
    for units, low in (("rank correlation", -1.0), ("AUC", 0.0), ("share of neighbors", 0.0), ("nats", -1.264)):
        numbers = within(replace(planted("a", 0.4, **wide), units=units)).numbers
        assert numbers["x_null_low"] == low
        assert numbers["x_null_high"] == (1.5 if units == "nats" else 1.0)
        assert (numbers["x"], numbers["other"]) == (0.4, 7.0)


def test_a_description_of_a_units_ablation_says_whether_it_is_shown_to_matter(looks: list[FirstLook]) -> None:
    claims = findings(looks[0])
    told = [c for c in descriptions(looks[0], claims) if c.rule == "dose and response"]
    assert told
    for one in told:
        (judged,) = (
            c
            for c in claims
            if (c.rule, c.network, c.hook_point, c.unit)
            == ("a unit matters", one.network, one.hook_point, one.numbers["unit"])
        )
        assert one.sentence.endswith(f" The {judged.axis} is {judged.verdict} to matter.")


def test_a_units_claims_say_the_numbers_of_the_measures(looks: list[FirstLook]) -> None:
    look = looks[0]
    layer = look.layers[0]
    told = [c for c in findings(look) if c.unit is not None]
    assert {c.rule for c in told} == {"a unit matters", "a unit prefers a class"}
    effects, table = layer["causal.ablate_all"], layer["selectivity.class_selectivity"]
    images, labels, model = look.run.probe, look.run.probe.labels, look.run.model()
    for claim in told:
        if claim.rule == "a unit prefers a class":
            assert claim.numbers["auc"] == float(table["auc"][claim.unit])
            assert claim.numbers["preferred"] == int(table["preferred"][claim.unit])
            continue
        assert claim.numbers["loss"] == float(effects["loss_increase"][claim.unit])
        label = claim.numbers["class"]
        with torch.no_grad():
            before = (model(images.tensor()).argmax(1).numpy() == labels)[labels == label].mean()
            with model.hooks([(layer.hook_point, nm.interventions.zero(unit=claim.unit))]):
                after = (model(images.tensor()).argmax(1).numpy() == labels)[labels == label].mean()
        assert claim.numbers["drop"] == pytest.approx(before - after)
        lost = "Accuracy drops most on class " if before > after else "No class loses accuracy."
        assert lost in claim.evidence


def test_a_runs_default_analysis_tells_how_far_it_is(looks: list[FirstLook]) -> None:
    seen: list[tuple[str, int, int]] = []
    first_look(looks[0].run, lambda *said: seen.append(said))
    assert {part for part, _, _ in seen} >= {"the whole network", "layers.0", "all layers together"}
    assert all(0 < done <= total for _, done, total in seen)


def test_of_a_modules_run_all_is_measured_that_needs_no_module(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 6), torch.nn.ReLU(), torch.nn.Linear(6, 10))
    nm.train(net, nm.data.load("digits"), nm.TrainConfig(epochs=1), observers=[nm.Recorder(tmp_path / "run", RECORD)])
    look = first_look(nm.Run.open(tmp_path / "run"))
    assert look.name == "Sequential"
    assert [layer.hook_point for layer in look.layers] == ["0.hook_out", "1.hook_out", "2.hook_out"]
    assert {"predictions.confusion", "similarity.matrix"} <= set(look.results)
    layer = look.layers[1]
    assert {"selectivity.class_selectivity", "geometry.pca", "similarity.drift"} <= set(layer.results)
    assert "takes the module itself" in layer.missing["causal.ablate_all"]
    assert str(tmp_path) not in "".join((*look.missing.values(), *layer.missing.values()))
    with pytest.raises(Unmeasured, match="weights of a Sequential"):
        layer["causal.ablate_all"]
    claims = findings([look])
    assert "the network generalizes" in {claim.rule for claim in claims}
    told = [claim for claim in descriptions(look, claims) if claim.sentence.startswith("not measured: ")]
    assert ("causal.ablate_all", "1.hook_out") in {(claim.measure, claim.hook_point) for claim in told}


def test_where_no_two_classes_are_learned_no_order_of_them_is_shown(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    shuffled = replace(digits.test, labels=np.random.default_rng(5).permutation(digits.test.labels))
    training = nm.TrainConfig(epochs=4, learning_rate=5e-3)
    net = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12,)), 0)
    nm.train(net, replace(digits, test=shuffled), training, observers=[nm.Recorder(tmp_path / "run", RECORD)])
    (claim,) = (
        c for c in findings(nm.Run.open(tmp_path / "run")) if c.rule == "classes are learned at different times"
    )
    assert not claim.shown
    assert claim.p == 1
    assert claim.numbers["never"] == 10 - claim.numbers["known"]
    assert np.isnan([claim.numbers[name] for name in ("first", "first_at", "last", "last_at")]).all()
    assert claim.sentence == "no class is shown to be learned earlier than others."
    assert np.isnan(claim.least), "no such effect would have been shown"


# What a page tells first.


def planted(
    rule: str, x: float, *, layer: str = "", unit: int | None = None, shown: bool = True, **numbers: float
) -> Claim:
    """A claim of effect x over a null of 0 to 2, or what ``numbers`` say."""
    words: dict[str, Any] = {
        "yes": "x.",
        "no": "not shown.",
        "evidence": "",
        "null": "",
        "effect": "x",
        "p": 0.0,
        "n": 9,
        "unit": unit,
    }
    claim = Claim("", "", "", numbers={"x": x, "x_null_low": 0.0, "x_null_high": 2.0, **numbers}, **words)
    return replace(claim, rule=rule, network="MLP", hook_point=layer, shown=shown)


def test_a_strength_is_the_distance_from_the_nearest_null_on_the_judging_half() -> None:
    assert strength(planted("a", 4.0)) == 3.0
    assert strength(planted("a", -2.0)) == 3.0
    assert strength(planted("a", 4.0, x_shuffled_low=1.0, x_shuffled_high=5.0)) == 0.5
    assert strength(planted("a", 4.0, x_judged=3.0)) == 2.0
    assert np.isnan(strength(planted("a", 4.0, x_null_low=np.nan)))


def test_the_strongest_findings_are_one_for_each_question_and_none_that_accuracy_beats_chance() -> None:
    claims = [
        planted("a", 5.0, layer="l0"),
        planted("a", 9.0, layer="l1"),
        planted("b", 7.0),
        planted("c", 99.0, shown=False),
    ]
    claims += [planted(rule, 99.0) for rule in ("the network generalizes", "geometry is present at initialization")]
    claims += [planted(f"rule {i}", 3.0 + i / 100) for i in range(9)]
    told = strongest(claims)
    assert [(c.rule, c.hook_point) for c in told[:2]] == [("a", "l1"), ("b", "")]
    assert len(told) == len({c.rule for c in told}) == 7
    assert [strength(c) for c in told] == sorted(map(strength, told), reverse=True)


def test_the_unit_that_is_told_is_chosen_on_the_half_on_which_it_is_not_judged() -> None:
    halves = {0: (9.0, 3.0), 1: (8.0, 50.0), 2: (1.0, 90.0)}
    units = [planted("a", 9.0, unit=u, x_chosen=chosen, x_judged=judged) for u, (chosen, judged) in halves.items()]
    (told,) = strongest(units)
    assert (told.unit, strength(told)) == (0, 2.0)
    ordered = [replace(claim, place=place) for claim, place in zip(units, (2, 0, 1), strict=True)]
    assert [c.unit for c in strongest(ordered)] == [1]
    assert strongest([replace(one, shown=one.unit != 0) for one in units]) == [], (
        "the first is not shown, so none is told"
    )


def test_a_verdict_counts_the_questions_that_have_an_answer() -> None:
    general = replace(planted("the network generalizes", 0.9, accuracy=0.97), yes="test accuracy {accuracy:2%}.")
    claims = [
        general,
        planted("a", 9.0, layer="l0"),
        planted("a", 1.0, layer="l1", shown=False),
        planted("b", 1.0, shown=False),
    ]
    (told,) = verdicts(claims)
    assert told.sentence == "test accuracy 97.00%; 1 of 2 other questions shows an effect, most clearly that in l0, x."
    (module,) = verdicts(claims[1:])
    assert module.sentence == "1 of 2 questions shows an effect, most clearly that in l0, x."
    stronger = replace(planted("c", 20.0), yes="{{x}} is {x:g}.")
    (two,) = verdicts([*claims, stronger])
    assert two.sentence.endswith("2 of 3 other questions show an effect, most clearly that {x} is 20."), (
        "the strongest, its braces kept"
    )
    (none,) = verdicts([general, claims[3]])
    assert none.sentence == "test accuracy 97.00%; no effect is shown for 1 other question."
    (alone,) = verdicts([general])
    assert alone.sentence == "test accuracy 97.00%; no other question was asked."


def test_the_halves_of_a_unit_are_those_of_its_measure(looks: list[FirstLook]) -> None:
    claims = [c for c in findings(looks[0]) if c.unit is not None]
    for c in (c for c in claims if c.rule == "a unit prefers a class"):
        assert c.numbers["auc"] == pytest.approx((float(c.numbers["auc_chosen"]) + float(c.numbers["auc_judged"])) / 2)
    assert any(c.numbers["loss_judged"] != c.numbers["loss"] for c in claims if c.rule == "a unit matters")


# What a description says is chosen by its numbers.


def described(measure: str, table: xr.Dataset, **about: Any) -> str:
    """The sentence of a measure's description of a result."""
    at = type("At", (), {"axis": "unit", "size": 3, "__getitem__": lambda self, name: table, **about})()
    (claim,) = (one for description in MEASURES[measure].descriptions for one in description.claims(at))
    return claim.sentence


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], "no probe image is misclassified."),
        ([[0, 0, 0], [3, 0, 0], [0, 1, 0]], "most often class 1 is misclassified as 0: 3 of its 12 images."),
        ([[0, 0, 0], [3, 0, 0], [0, 3, 0]], "most often misclassified: 1 as 0, 2 as 1 (3 images each)."),
        ([[0, 1, 1], [1, 0, 1], [1, 1, 0]], "6 pairs of classes are confused most often (1 image each)."),
    ],
)
def test_the_confusions_that_are_most_frequent_are_all_named(wrong: list[list[int]], said: str) -> None:
    counts = np.array(wrong) + np.diag([9, 9, 9])
    table = xr.Dataset({"images": (("class", "predicted"), counts)})
    assert described("predictions.confusion", table) == said


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ([0.5, 0.9, 0.9], "class 0 has the lowest test accuracy (50.0%), classes 1 and 2 the highest (90.0%)."),
        ([0.5, 0.5, 0.9], "classes 0 and 1 have the lowest test accuracy (50.0%), class 2 the highest (90.0%)."),
        ([0.9, 0.9, 0.9], "all classes have the same test accuracy (90.0%)."),
    ],
)
def test_the_classes_with_the_lowest_accuracy_are_all_named(end: list[float], said: str) -> None:
    table = xr.Dataset({"accuracy": (("snapshot", "class"), np.array([[0.1, 0.1, 0.1], end]))})
    assert described("dynamics.learning_by_class", table) == f"at the last snapshot {said}"


@pytest.mark.parametrize(
    ("alive", "said"),
    [
        ([[1, 1, 1], [1, 1, 1]], "no unit is silent at any snapshot."),
        (
            [[1, 0, 0], [0, 1, 0]],
            "3 of 3 units are silent at some snapshot; at the last, 1 of these is active and 2 silent ",
        ),
        (
            [[1, 1, 1], [1, 1, 0]],
            "1 of 3 units is silent at some snapshot; at the last, 0 of these are active and 1 silent ",
        ),
    ],
)
def test_the_silent_units_are_counted_once_each(alive: list[list[int]], said: str) -> None:
    table = xr.Dataset({"alive": (("snapshot", "unit"), np.array(alive, bool))})
    assert described("dynamics.lives", table).startswith(said)


def test_a_description_writes_the_optimizer_as_the_field_does(looks: list[FirstLook]) -> None:
    (told,) = (one for one in descriptions(looks[0]) if one.rule == "the training")
    assert looks[0].run.train_config.optimizer == "adam"
    assert " with Adam, learning rate 0.005 " in told.sentence


def test_the_loss_increase_of_a_unit_stands_beside_the_loss_of_the_network(looks: list[FirstLook]) -> None:
    look = looks[0]
    run, told = look.run, [c for c in findings(look) if c.rule == "a unit matters" and c.unit is not None]
    with torch.no_grad():
        logits = run.model()(run.probe.tensor())
    own = float(torch.nn.functional.cross_entropy(logits, run.probe.label_tensor()))
    for claim in told:
        assert claim.numbers["own"] == pytest.approx(own, rel=1e-5)
        assert all(fill(told, claim.numbers).endswith(f" nats, from {own:.3f}.") for told in (claim.yes, claim.no))


def test_the_geometry_at_initialization_is_told_without_its_first_component_too(looks: list[FirstLook]) -> None:
    look = looks[0]
    (claim,) = (c for c in findings(look) if c.rule == "geometry is present at initialization")
    left, shares = [], []
    for at in (0, -1):
        own = look.run.activations("layers.0.hook_post").values[at].astype(float)
        u, s, v = np.linalg.svd(own - own.mean(0), full_matrices=False)
        left.append((u[:, 1:] * s[1:]) @ v[1:])
        shares.append(s[0] ** 2 / (s**2).sum())
    nuclear = np.linalg.svd(left[0].T @ left[1], compute_uv=False).sum()
    present = (nuclear / np.linalg.norm(left[0]) / np.linalg.norm(left[1])) ** 2
    assert claim.numbers["apart"] == pytest.approx(present, rel=1e-6)
    assert claim.numbers["first"] == pytest.approx(shares[1], rel=1e-6)
    assert f"without the first principal component {present:.1%}." in claim.sentence
    assert f"The first principal component holds {shares[1]:.1%} of the final variance; without it" in claim.reasons


def test_the_geometry_of_a_single_direction_is_told_without_a_rest(looks: list[FirstLook]) -> None:
    layer = looks[0].layers[0]
    name = "similarity.drift/without the first component"
    none = xr.full_like(layer[name], np.nan).assign(removed=("snapshot", [1.0, 1.0]))
    only = replace(layer, results={**layer.results, name: none})
    (claim,) = nm.analysis.findings.layers.present(only)
    assert fill(claim.yes, claim.numbers).endswith("more than in shuffled images.")
    assert "holds 100.0% of the final variance. " in fill(claim.evidence, claim.numbers)


def test_selective_units_are_compared_with_others_of_their_layer(looks: list[FirstLook]) -> None:
    (claim,) = (c for c in findings(looks[0]) if c.rule == "selective units matter together")
    assert claim.null == "41 random orders, each with the same share of every layer (Student's t)"
    assert "by_layer=True" in claim.call


@pytest.mark.parametrize("snapshots", [1, 2, 15, 16, 17, 40])
def test_a_costly_curve_has_at_most_16_points_evenly_spread_from_the_first_snapshot_to_the_last(snapshots: int) -> None:
    chosen = some(snapshots)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, snapshots - 1, min(snapshots, 16))
    assert len(set(np.diff(chosen))) <= 2


def test_the_default_analysis_computes_costly_curves_on_those_snapshots(looks: list[FirstLook]) -> None:
    look = looks[0]
    steps = [look.run.steps[number] for number in some(len(look.run.steps))]
    for table in (look["dynamics.weight_spectra"], *(layer["similarity.drift"] for layer in look.layers)):
        assert table["step"].values.tolist() == steps


def test_doses_are_given_on_a_balanced_part_of_the_images(
    looks: list[FirstLook], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module("neural_microscope.analysis.causal.dose"), "IMAGES", 40)
    layer = replace(looks[0].layers[0], results={"causal.ablate_all": looks[0].layers[0]["causal.ablate_all"]})
    counts = np.bincount(layer.run.probe.labels)
    assert counts.min() >= 4
    assert 40 <= layer["causal.dose_response"].attrs["n_examples"] < counts.sum()


def test_an_auc_that_no_unit_can_have_is_no_threshold() -> None:
    assert _auc_above(300, special.logit(0.99)) == pytest.approx(0.99)
    assert _auc_above(300, special.logit(0.999)) == math.inf
