"""Pages about empty and planted networks: what lies in them, how claims are counted, and when a calibration is done again."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import neural_microscope as nm
from neural_microscope import cli
from neural_microscope import measure as register
from neural_microscope.claim import Claim, judge
from neural_microscope.errors import DataError, MicroscopeError, UnknownName
from neural_microscope.measure import EMPTY_KINDS, MEASURES, Instrument, rules
from neural_microscope.phantoms import (
    calibrate,
    calibrate_pages,
    failures,
    fingerprint,
    instruments,
    open_record,
    outdated,
    page_rate,
    pages,
    recalibrate,
)

calibrations = importlib.import_module("neural_microscope.phantoms.calibration")
NAMES = [rule.name for _, rule in rules()]


@pytest.fixture
def registered() -> Iterator[None]:
    """Whatever a test registers is gone after it."""
    before = dict(MEASURES)
    yield
    MEASURES.clear()
    MEASURES.update(before)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that take a second."""
    monkeypatch.setattr(pages, "MLP_BUILD", nm.MLPConfig(image_shape=(8, 8), hidden=(6,)))
    monkeypatch.setattr(pages, "IMAGES", 120)
    monkeypatch.setattr(pages, "RECORD", nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=60, norms_every=0))


def claim(p: float = 0.5, rule: str = "a unit matters", **words: Any) -> Claim:
    numbers = {"x": 0.5}
    return Claim(rule, "toy.measure", "MLP", "yes.", "no.", numbers, "x", "", "nothing", p, n=9, **words)


# --- networks ----------------------------------------------------------------------------------------------------------------


def test_labels_are_permuted_as_the_kind_says_and_each_seed_draws_its_own_images() -> None:
    true = pages.images("true labels", 3)
    assert (np.bincount(true.train.labels) == 40).all()
    assert (np.bincount(true.test.labels) == 40).all()
    pixels = {image.tobytes() for image in true.train.images}
    assert sum(image.tobytes() in pixels for image in true.test.images) == 0
    for kind, sides in {"random labels": ("train", "test"), "shuffled labels": ("test",), "untrained MLP": ()}.items():
        data = pages.images(kind, 3)
        for side in ("train", "test"):
            drawn, usual = getattr(data, side), getattr(true, side)
            assert (drawn.images == usual.images).all()
            assert (np.bincount(drawn.labels) == 40).all()
            right = (drawn.labels == usual.labels).mean()
            assert right < 0.2 if side in sides else right == 1
    assert not np.array_equal(pages.images("true labels", 4).test.images, true.test.images)


def test_a_network_of_each_kind_learns_what_it_is_said_to_learn(tmp_path: Path) -> None:
    accuracy = {}
    for kind in EMPTY_KINDS:
        made, planted = pages.network(kind, 0)
        run = pages.recorded(kind, 0, made, tmp_path / kind)
        assert not planted
        assert run.description["model"]["kind"] == ("cnn" if kind == "untrained CNN" else "mlp")
        rows = run.training["accuracy"].values
        accuracy[kind] = (rows[-7:].mean() if len(rows) else None, float(run.log["test_accuracy"][-1]))
    assert accuracy["untrained MLP"][0] is accuracy["untrained CNN"][0] is None
    assert accuracy["random labels"][0] > 0.9, "it memorizes them"
    assert accuracy["shuffled labels"][0] > 0.9
    assert all(test < 0.25 for _, test in accuracy.values())
    assert pages.network("random labels", 3)[0].config == pages.CNN_BUILD


@pytest.mark.parametrize("k", pages.PLANTED)
def test_a_planted_unit_carries_its_class_alone_and_an_idle_one_prefers_one_and_does_nothing(
    k: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(pages.EPOCHS, "true labels", 8)
    kind = f"{k} of 64"
    made, planted = pages.network(kind, 1)
    run = pages.recorded(kind, 1, made, tmp_path / "run")
    test, model = pages.images(kind, 1).test, run.model()
    carrying, idle = planted["carries"], planted["idle"]
    assert len(set(carrying + idle)) == 2 * k

    def right(unit: int | None) -> np.ndarray:
        hooks = [] if unit is None else [("layers.0.hook_post", nm.interventions.zero(unit=unit))]
        with torch.no_grad(), model.hooks(hooks):
            answers = model(test.tensor()).argmax(1).numpy()
        return np.array([(answers[test.labels == label] == label).mean() for label in range(10)])

    before, lost = right(None), []
    for unit in carrying:
        after = right(unit)
        lost.append(int((before - after).argmax()))
        assert before[lost[-1]] > 0.5
        assert after[lost[-1]] < 0.2
    assert len(set(lost)) == k, "each its own"
    acts = nm.activations(model, test, ["layers.0.hook_post"])["layers.0.hook_post"]
    auc = nm.analysis.selectivity.class_selectivity(acts)["auc"]
    for unit in idle:
        assert np.array_equal(right(unit), before)
        assert auc[unit] > 0.9


def test_a_page_asks_every_rule_and_counts_its_claims(small: None) -> None:
    found = pages.page("untrained MLP", 0)
    assert list(found) == NAMES
    assert found == pages.page("untrained MLP", 0)
    assert all(
        0 <= tests < 20 and 0 <= least <= 1 and shown <= max(1, tests) for tests, least, shown, _ in found.values()
    )


def test_claims_are_counted_by_tests_least_p_and_whether_the_draws_could_show_anything() -> None:
    def counted(*claims: Claim) -> list[float]:
        return pages.counted(judge(claims, len(NAMES)))

    assert counted() == [0, 1, 0, 0]
    tests, least, shown, able = counted(claim(0.02), claim(0.5), claim(np.nan))
    assert (tests, shown, able) == (2, 0, 1)
    assert least == pytest.approx(0.04), "Holm's correction within the rule, without that over the rules"
    assert counted(claim(1e-9), claim(0.5))[2] == 1
    assert counted(claim(0.1, floor=0.01))[3] == 0, "a floor of 0.01 is above 0.05 divided by the number of rules"
    assert counted(claim(0.1, floor=0.001))[3] == 1
    assert counted(*(claim(0.1, floor=0.001) for _ in range(20)))[3] == 0, "20 tests need a lower one"


# --- the register ------------------------------------------------------------------------------------------------------------


def test_a_measure_that_a_test_registers_is_calibrated_and_its_rule_asked(small: None, registered: None) -> None:
    @register.measure("toy", title="toy mean", null="none", replicates="image", interval="none")
    def mean(x: xr.DataArray, *, seed: int = 0) -> xr.Dataset:
        return xr.Dataset({"mean": x.mean("example"), "mean_shown": x.mean("example") > 0.5})

    toy = register.of(mean)

    @toy.calibrated_on(
        "ones",
        1.0,
        0.01,
        empty="zeros",
        read=lambda found: float(found["mean"][0]),
        alarm=lambda found: bool(found["mean_shown"].any()),
    )
    def ones(seed: int, planted: bool) -> xr.DataArray:
        return xr.DataArray(np.full((4, 2), float(planted)), dims=("example", "unit"))

    @toy.rule("a toy is there", "Is it?", scope="network")
    def always(look: Any) -> list[Claim]:
        return [claim(1e-9, rule="a toy is there")]

    result = calibrate(["toy."], empties=5)
    assert list(result["instrument"].values) == ["toy mean"]
    assert bool((result["recovered"] & result["silent"]).all())
    found = pages.page("untrained MLP", 0)
    assert list(found) == [*NAMES, "a toy is there"]
    assert found["a toy is there"] == [1, 1e-9, 1, 1]


@pytest.mark.parametrize("as_named", [False, True])
def test_a_phantom_gives_arguments_by_place_or_by_name_and_its_truth_may_be_what_was_drawn(
    as_named: bool, registered: None
) -> None:
    @register.measure("toy", title="toy sum", null="none", replicates="image", interval="none")
    def total(a: np.ndarray, b: np.ndarray, *, factor: float = 1.0) -> xr.Dataset:
        return xr.Dataset({"sum": factor * (a + b).sum(), "sum_shown": bool((a + b).any())})

    @register.of(total).calibrated_on(
        "numbers", lambda a, b: 2 * (a.sum() + b.sum()), 0, empty="zeros", read="sum", factor=2
    )
    def drawn(seed: int, planted: bool) -> Any:
        a, b = planted * np.random.default_rng(seed).integers(1, 9, (2, 3))
        return {"a": a, "b": b} if as_named else (a, b)

    (made,) = register.of(total).instruments
    truth, measured = made.read(3)
    assert truth == measured == 2 * np.random.default_rng(3).integers(1, 9, (2, 3)).sum()
    assert not made.alarm(3)
    assert made.read.__module__ == __name__, "the fingerprint looks there"


def test_instruments_are_chosen_by_the_beginning_of_a_name_and_a_wrong_name_offers_the_nearest() -> None:
    every = instruments()
    assert {i.measure for i in instruments(["geometry."])} == {
        i.measure for i in every if i.measure.startswith("geometry.")
    }
    assert [i.name for i in instruments(["class selectivity (AUC)"])] == ["class selectivity (AUC)"]
    assert len(instruments()) == len({i.name for i in every}) > 90
    with pytest.raises(UnknownName, match=r"did you mean 'geometry\.dimension'"):
        instruments(["geometry.dimensoin"])


def test_the_command_measures_what_is_named_and_fails_where_something_does(capsys: pytest.CaptureFixture[str]) -> None:
    cli.calibrate(("selectivity.quantile_examples",), empties=2)
    told = capsys.readouterr().out
    assert "1 instrument passed" in told
    assert "pages" not in told
    with pytest.raises(MicroscopeError, match="pages is -1; it must be 0 or more"):
        cli.calibrate((), empties=1, pages=-1, workers=1)


def test_the_command_prints_pages_rules_and_planted_units(
    pretended: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.calibrate(("pages",), pages=3, workers=1)
    told = capsys.readouterr().out
    assert re.search("untrained MLP +any +3 +0 false", told)
    assert re.search("a unit matters +yes +3 +0 +0 +0.5", told)
    assert re.search("a unit matters, carries: 8 of 64 +4 +4 +0.5", told)
    assert "of 12 trial reports on networks with nothing to find, 0 (0.00%) made a false claim (allowed: 5%" in told
    pretended["mute"] = ("random labels",)
    with pytest.raises(MicroscopeError, match="can never be shown"):
        cli.calibrate(("pages",), pages=3, workers=1)


# --- counting pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Pages without networks: ``bad`` [kind] seeds on which the first rule claims, ``mute`` kinds on which it could not."""
    state: dict[str, Any] = {"bad": {}, "mute": (), "made": [], "missed": 0}

    def page(kind: str, seed: int) -> dict[str, list[float]]:
        state["made"].append((kind, seed))
        found: dict[str, list[float]] = {name: [4, 0.5, 0, 1] for name in NAMES}
        if seed in state["bad"].get(kind, ()):
            found["a unit matters"] = [4, 1e-6, 1, 1]
        if kind in state["mute"]:
            found["a unit matters"] = [4, 0.5, 0, 0]
        if kind in pages.PLANTED_KINDS:
            found |= {"a unit matters, carries": [4, 4 - state["missed"], 2.0], "a unit matters, idle": [4, 0, 0.0]}
        return found

    monkeypatch.setattr(calibrations, "page", page)
    return state


def test_a_page_with_a_false_claim_is_counted_once_and_18_of_200_are_allowed(pretended: dict[str, Any]) -> None:
    pretended["bad"] = {"untrained MLP": range(18), "true labels": range(2)}
    record = calibrate_pages(200, 2)
    assert record["pages"].sel(kind="untrained CNN") == 200
    assert record["pages"].sel(kind="true labels") == 2
    assert record["pages_false"].sel(kind=["untrained MLP", "untrained CNN", "true labels"]).values.tolist() == [
        18,
        0,
        0,
    ]
    assert record["claimed"].sel(kind="true labels", rule="a unit matters") == 2
    assert not failures(record)
    record = record.assign_attrs(version="1.2")
    assert page_rate(record).startswith(
        "A check of the method: of 800 trial reports on networks with nothing to find, 18 (2.25%) made a false claim "
        "(allowed: 5%; measured with version 1.2)"
    )
    pretended["bad"]["untrained MLP"] = range(19)
    assert any("19 of 200 pages" in text for text in failures(calibrate_pages(200, 2)))


def test_a_rule_that_could_never_fire_fails_and_so_do_planted_units_that_are_missed(pretended: dict[str, Any]) -> None:
    pretended["mute"] = ("random labels",)
    (text,) = failures(calibrate_pages(3, 3))
    assert text == "'a unit matters' can never be shown on random labels (tested on 3 of 3 pages)"
    pretended |= {"mute": (), "missed": 1}
    assert failures(calibrate_pages(2, 5)) == [
        f"a unit matters, carries: {k} of 64: shown for 15 of 20 units" for k in pages.PLANTED
    ]


def test_a_record_without_pages_says_no_rate() -> None:
    assert page_rate(calibrate([], empties=1)) == ""


# --- again -------------------------------------------------------------------------------------------------------------------


def test_an_interrupted_calibration_goes_on_and_a_finished_one_is_not_done_again(
    pretended: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    one = Instrument("toy", "none", "", "", lambda seed: (read.append(seed), (1.0, 1.0))[1], 0.1, lambda seed: False)
    monkeypatch.setattr(calibrations, "instruments", lambda names=(): [one])
    output, seen = tmp_path / "record.json", []

    def stop(name: str, done: int, total: int) -> None:
        seen.append((name, done, total))
        if (name, done) == ("pages", 5):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recalibrate(empties=2, pages=3, output=output, progress=stop)
    assert not output.exists()
    with output.with_suffix(".jsonl").open("a") as file:
        file.write('["cut o')  # as a kill leaves it
    first = list(pretended["made"])
    record = recalibrate(empties=2, pages=3, output=output)
    assert len(pretended["made"]) == len(set(pretended["made"])) == record["pages"].sum() == 3 * 4 + 4
    assert len(first) == 5
    assert read == [0]
    output.with_suffix(".jsonl").unlink()
    again = recalibrate(empties=2, pages=3, output=output)
    assert len(pretended["made"]) == 16
    xr.testing.assert_identical(again, record)
    xr.testing.assert_identical(open_record(output), record)
    monkeypatch.setattr(fingerprint, "of_rules", lambda: "other rules")
    recalibrate(empties=2, pages=3, output=output)
    assert len(pretended["made"]) == 32
    assert ("pages", 0, 16) in seen
    with pytest.raises(DataError, match="leave out the names"):
        recalibrate(["toy"], output=output)
    assert "pages" not in recalibrate(["toy"], empties=2, pages=0)


def test_a_record_is_outdated_where_a_measure_or_a_rule_is_another_than_it_was_measured_on(
    pretended: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrations, "_read", lambda *of: [1.0, 1.0, 0.0])
    record = recalibrate(empties=1, pages=1)
    changed = "selectivity.class_selectivity"
    assert outdated(record) == []
    assert outdated(record.assign_attrs(rules_hash="")) == ["rules"]
    assert outdated(record.sel(instrument=record["measure"] != changed)) == [changed]
    of = fingerprint.of_measure
    monkeypatch.setattr(fingerprint, "of_measure", lambda measure: "new" if measure.name == changed else of(measure))
    assert outdated(record) == [changed]


@pytest.mark.slow
def test_side_by_side_instruments_read_what_they_read_one_after_the_other() -> None:
    chosen = ["selectivity.quantile_examples", "selectivity.selectivity_by_class"]
    xr.testing.assert_identical(calibrate(chosen, empties=2, workers=2), calibrate(chosen, empties=2))


MODULE = '''
from neural_microscope import statistics

FACTOR = 2  # a comment

def helper(x):
    """A docstring."""
    return FACTOR * x

def toy(x):
    if not len(x):
        raise ValueError(f"no x … of {len(x)}" "; give some")  # ∑ of nothing
    return statistics.p_values(helper(x), x)

def other(x):
    return 3 * x
'''


@pytest.fixture
def hashed_again() -> Iterator[None]:
    """Sources that a test has altered are read again after it."""
    yield
    for cached in (fingerprint._parts, fingerprint._bare):
        cached.cache_clear()


def test_a_measures_hash_changes_with_what_it_is_made_of_and_with_nothing_else(
    hashed_again: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registered: None
) -> None:
    monkeypatch.syspath_prepend(tmp_path)

    def mark(old: str = "", new: str = "") -> str:
        (tmp_path / "toy_measure.py").write_text(MODULE.replace(old, new))
        sys.modules.pop("toy_measure", None)
        importlib.invalidate_caches()
        toy = importlib.import_module("toy_measure")
        made = register.Measure(toy.toy, "toy", "toy", "none", "image", "none")
        for cached in (fingerprint._parts, fingerprint._bare, fingerprint._source):
            cached.cache_clear()
        return fingerprint.of_measure(made)

    usual = mark()
    assert mark() == usual
    assert mark("# a comment", "# another") == mark('"""A docstring."""', '"""Other\n\n    words."""') == usual
    assert mark("give some", 'give"\n        " one') == mark("no x …", "there is no x of") == usual, "what it only says"
    assert mark("3 * x", "4 * x") == usual, "what it does not use"
    assert mark("FACTOR = 2", "FACTOR = 5") != usual
    assert mark("return FACTOR * x", "return FACTOR + x") != usual
    source = fingerprint._source

    def edited(module: str) -> str:
        return source(module).replace("(1 + reached.sum(0))", "(0 + reached.sum(0))")

    edited.cache_clear = source.cache_clear  # type: ignore[attr-defined]
    monkeypatch.setattr(fingerprint, "_source", edited)
    assert mark() != usual, "a function of statistics that it uses"


def test_the_rules_hash_changes_with_the_measures_that_they_rest_on(
    hashed_again: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mark(module: str = "", old: str = "", new: str = "") -> str:
        monkeypatch.setattr(
            fingerprint,
            "_source",
            lambda name: source(name).replace(old, new) if name.endswith(module) and old else source(name),
        )
        for cached in (fingerprint._parts, fingerprint._bare):
            cached.cache_clear()
        return fingerprint.of_rules()

    source = fingerprint._source
    usual = mark()
    assert mark() == usual
    assert mark("analysis.causal.ablation", "ROUNDING = 1e-6", "ROUNDING = 1e-5") != usual
    assert mark("neural_microscope.claim", "q < ALPHA", "q <= ALPHA") != usual
    assert mark("look.untrained", "NETWORKS = 20", "NETWORKS = 19") != usual
    assert mark("phantoms.pages", "IMAGES = 400", "IMAGES = 500") != usual
    assert mark("selectivity.images", "return", "return  ") == usual
    asked = "class_selectivity(at.trained)"
    assert mark("selectivity.units", asked, asked.replace("trained", "acts.isel(snapshot=0)")) != usual
