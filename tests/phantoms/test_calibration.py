"""Calibration calls a bad instrument bad, and the release's record is what its instruments give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
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


def test_a_calibration_written_and_read_again_is_the_same(tmp_path: Path) -> None:
    result = calibrate([instrument(), instrument(error=0.2, name="other")], empties=3)
    xr.testing.assert_identical(open_record(save(result, tmp_path / "c.json")), result)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match="no calibration"):
        open_record(tmp_path / "bad.json")


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
