"""Calibration calls a bad instrument bad, and the release's record is what its instruments give."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neural_microscope as nm
from neural_microscope import documents
from neural_microscope.errors import DataError
from neural_microscope.measure import EMPTY_KINDS, Measure
from neural_microscope.phantoms import (
    ALLOWED,
    Instrument,
    calibrate,
    failures,
    instruments,
    open_record,
    outdated,
    save,
)
from neural_microscope.phantoms.calibration import claims
from neural_microscope.phantoms.record import Kept


def instrument(error: float = 0.0, every: int = 20, **words: str) -> Instrument:
    """Reads its truth, 2.0, with an error, and gives a false alarm on every so many-th empty phantom."""
    texts = {"name": "toy", "measure": "none", "planted": "two", "empty": "nothing", **words}
    return Instrument(
        **texts, read=lambda seed: (2.0, 2.0 + error), tolerance=0.1, alarm=lambda seed: seed % every == 0
    )


def test_a_good_instrument_passes_and_its_numbers_are_what_it_read() -> None:
    result = calibrate([instrument(error=0.05)], empties=40)
    row = result.isel(instrument=0)
    assert (float(row["truth"]), float(row["measured"])) == (2.0, 2.05)
    assert float(row["error"]) == pytest.approx(0.05)
    assert float(row["false_alarms"]) == 2 / 40
    assert bool(row["recovered"] & row["silent"])


def test_an_instrument_that_misses_its_truth_or_reads_nothing_is_not_recovered() -> None:
    assert not calibrate([instrument(error=0.2)], empties=20)["recovered"].any()
    assert not calibrate([instrument(error=np.nan)], empties=20)["recovered"].any()


def test_an_instrument_that_cries_wolf_is_not_silent() -> None:
    assert ALLOWED == 0.09
    assert not calibrate([instrument(every=10)], empties=200)["silent"].any()
    assert calibrate([instrument(every=20)], empties=200)["silent"].all()


def test_each_empty_phantom_has_a_seed_of_its_own() -> None:
    seen: list[int] = []
    nosy = Instrument("toy", "none", "", "", lambda seed: (0.0, 0.0), 1.0, lambda seed: bool(seen.append(seed)))
    calibrate([nosy], empties=30, seed=7)
    assert seen == list(range(7, 37))


def test_an_exact_instrument_looks_at_one_empty_phantom_for_all_seeds() -> None:
    measure = Measure(lambda value: value, "none", title="toy", null="", replicates="", interval="")
    seen: list[int] = []

    @measure.calibrated_on("one", 1, 0, empty="nothing", read=float, alarm=bool, exact=True)
    def _made(seed: int, planted: bool) -> float:
        seen.append(seed)
        return float(planted)

    (exact,) = measure.instruments
    assert not calibrate([exact], empties=5, seed=3)["false_alarms"].any()
    assert seen == [0, 3]
    assert exact.alarm(4, planted=True)


def test_an_instrument_reads_and_hears_the_variables_that_it_names() -> None:
    def table(value: float) -> xr.Dataset:
        return xr.Dataset({"x": value, "x_shown": False, "y": 2 * value, "y_shown": True})

    measure = Measure(table, "none", title="toy", null="", replicates="", interval="", unit="x")
    for named in ({}, {"read": "y"}, {"alarm": "y_shown"}):
        measure.calibrated_on("a value", 1, 0, empty="nothing", **named)(lambda seed, planted: 3.0)
    assert [one.read(0) for one in measure.instruments] == [(1, 3), (1, 6), (1, 3)]
    assert [one.alarm(0) for one in measure.instruments] == [False, True, True]


def test_a_calibration_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    result = calibrate([instrument(), instrument(error=0.2, name="other")], empties=3)
    xr.testing.assert_identical(open_record(save(result, tmp_path / "c.json")), result)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match="not a calibration"):
        open_record(tmp_path / "bad.json")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release's record, which has instruments and pages, written again."""
    return save(open_record(), tmp_path_factory.mktemp("kept") / "record.json")


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_other_byte_of_a_record_is_an_error_that_names_it(kept: Path, data: st.DataObject) -> None:
    content = bytearray(kept.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    for other in (bytes(content), bytes(content[:at])):
        kept.with_name("changed.json").write_bytes(other)
        with pytest.raises(DataError, match=r"changed\.json is not a calibration"):
            open_record(kept.with_name("changed.json"))


@pytest.mark.parametrize("older", [False, True])
def test_only_records_of_older_releases_have_no_seal(kept: Path, older: bool) -> None:
    whole = json.loads(kept.read_text())
    del whole["sha256"]
    if older:
        del whole["coords"]["hash"], whole["attrs"]["rules_hash"]
    path = kept.with_name("unsealed.json")
    path.write_text(json.dumps(whole))
    with nullcontext() if older else pytest.raises(DataError, match=r"unsealed\.json.* sha256 is missing"):
        open_record(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["dims", "attrs", "data", "kind", "rule"]), inner)
    ),
)
PLACES = (
    "", "coords", "attrs", "dims", "data_vars", "coords rule", "data_vars asked", "attrs seed", "data_vars pages data", "dims kind",
    "data_vars least_p data", "coords kind dims", "coords kind data 3", "coords plant data 3",
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(place=st.sampled_from(PLACES), new=JSON)
def test_a_record_that_somebody_else_wrote_can_be_used_or_is_an_error(kept: Path, place: str, new: object) -> None:
    whole: Any = json.loads(kept.read_text())
    whole["sha256"] = documents.UNSEALED
    at, keys = whole, [int(key) if key.isdecimal() else key for key in place.split()]
    for key in keys[:-1]:
        at = at[key]
    if keys:
        at[keys[-1]] = new
    path = kept.with_name("other.json")
    path.write_bytes(documents.sealed(json.dumps(whole if place else new).encode()))
    try:
        record = open_record(path)
    except DataError as error:
        assert "other.json" in str(error)  # noqa: PT017
    else:
        assert isinstance(failures(record), list)
        assert all(claim.sentence for claim in claims(record))
        outdated(record)


LINES = (
    b"[]\n", b"3\n", b"{}\n", b'["k", null]\n', b'["k", [1, "x"]]\n', b'["k", {"a": 1}]\n', b'[["k"], [1]]\n', b'["k", [1.0], "0"]\n',
    b'["k', b"\xff\n", b"[" * 100_000 + b"\n",
)  # fmt: skip


def test_a_line_that_calibration_did_not_write_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    Kept(path).add("mine", [1.0, float("nan")])
    written = path.read_bytes()
    path.write_bytes(b"".join(LINES[:8]) + written + b'["older", [2.0]]\n' + b"\n".join(LINES[8:]))
    found = Kept(path)
    assert list(found) == ["mine", "older"]
    assert found["mine"][0] == 1
    for at in range(len(written)):  # a digit that is another would be believed without the mark
        path.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
        assert str(Kept(path)) in ("{}", "{'mine': [1.0, nan]}")


def test_a_line_after_one_that_was_cut_off_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    path.write_bytes(b'["killed", [1.')
    Kept(path).add("next", [2.0])
    assert Kept(path) == {"next": [2.0]}


def test_instruments_have_names_of_their_own_and_name_public_measures() -> None:
    names = [i.name for i in instruments()]
    assert len(set(names)) == len(names)
    for i in instruments():
        module, _, function = i.measure.partition(".")
        assert callable(getattr(getattr(nm.analysis, module), function)), i.name


def test_the_releases_record_was_measured_on_the_measures_and_rules_of_today_and_all_passed() -> None:
    record = open_record()
    assert outdated(record) == [], "run make calibration"
    assert failures(record) == []
    assert dict(zip(record["instrument"].values, record["planted"].values, strict=True)) == {
        i.name: i.planted for i in instruments()
    }
    assert record.attrs["n_empty"] == 200
    assert record["pages"].sel(kind=list(EMPTY_KINDS)).values.tolist() == [200] * len(EMPTY_KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", instruments(), ids=[i.name.replace(" ", "-") for i in instruments()])
def test_every_instrument_recovers_its_truth_and_is_silent_on_200_empty_phantoms_as_the_record_says(
    chosen: Instrument,
) -> None:
    result = calibrate([chosen]).isel(instrument=0)
    assert bool(result["recovered"]), float(result["error"])
    assert bool(result["silent"]), float(result["false_alarms"])
    record = open_record().sel(instrument=chosen.name)
    exact = chosen.tolerance < 1e-9  # what is left is rounding, which differs from processor to processor
    assert abs(float(record["measured"] - result["measured"])) <= chosen.tolerance / (1 if exact else 4)
    assert abs(float(record["false_alarms"] - result["false_alarms"])) <= 0.02
