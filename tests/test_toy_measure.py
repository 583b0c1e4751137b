"""A measure is added by one file: what it declares is found in calibration, tables, report, payload and on the card of a unit."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import xarray as xr
from playwright.sync_api import Browser, expect

import neural_microscope as nm
from command_line import microscope
from neural_microscope.analysis.look import first_look
from neural_microscope.explorer.payload import payload
from neural_microscope.measure import MEASURES
from neural_microscope.report import compose, html
from neural_microscope.wording import fill, probability, significant

TOY = '''
"""The drive of a unit: its mean activation, beside activations of random sign."""

import numpy as np
import xarray as xr

from neural_microscope import statistics
from neural_microscope.claim import say, tested
from neural_microscope.measure import measure, of
from neural_microscope.plots import forms, style


@measure(
    "toy",
    title="Drive of a unit",
    null="{draws} draws of random signs",
    replicates="toy image",
    interval="t interval over toy images",
    source="nobody, of seed {seed}",
    family="units of a toy layer",
    unit="drive",
    units="bananas",
)
def drive(acts, *, draws=40, seed=3):
    """Mean over the images, less a half: [unit], in bananas."""
    x = acts.transpose("example", ...).values.astype(float) - 0.5
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, len(x)))
    interval = statistics.mean_interval(x.sum(0), (x**2).sum(0), len(x))
    null = signs @ np.abs(x) / len(x)
    return xr.Dataset(statistics.beside("drive", x.mean(0), null, acts.dims[-1], units="bananas", interval=interval))


@of(drive).on("layer")
def _driven(layer):
    return drive(layer.trained)


@of(drive).rule(
    "a unit has drive",
    "Which unit has drive?",
    columns={"drive of it": "{drive:4}", "its null": "{drive_null_low:4} to {drive_null_high:4}"},
)
def _has(layer):
    table = layer["toy.drive"]
    middle = float(table["drive"].median())
    for unit in range(layer.size):
        one = {end: float(table[f"drive{end}"][unit]) for end in ("", "_low", "_high", "_null_low", "_null_high")}
        yield tested(
            unit=unit,
            yes="unit {unit:,} has {drive:4} bananas of drive.",
            no="unit {unit:,} is not shown to have drive: {drive:4} bananas.",
            numbers={"unit": unit, **{f"drive{end}": value for end, value in one.items()}},
            effect="drive",
            evidence="95% interval {drive_low:4} to {drive_high:4}; random signs {drive_null_low:4} to {drive_null_high:4}.",
            null=table.attrs["null"],
            p=1e-9 if one[""] > middle else 0.3,
            n=table.attrs["n_examples"],
            units="bananas",
        )


@of(drive).describe("layer", part="units")
def _mean(layer):
    yield say("the mean drive", "its units have {mean:4} bananas of drive on average.", mean=float(layer["toy.drive"]["drive"].mean()))


@style.draws
def bunches(table, *, theme):
    figure, (axes,) = style.new("middle", 2, theme)
    forms.units(axes, table, "drive")
    figure.alt = f"The drive of {table.sizes['unit']} units, the largest {float(table['drive'].max()):.4f} bananas."
    return figure


of(drive).picture(bunches, "Bunches of bananas.")


@of(drive).calibrated_on("ones", 0.5, 1e-9, empty="random signs; an alarm: any unit")
def _phantom(seed, planted):
    noise = np.random.default_rng(seed).choice([-1.0, 1.0], (60, 2)) + 0.5
    return xr.DataArray(np.ones((60, 2)) if planted else noise, dims=("example", "unit"))
'''
NAME = "toy.drive"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The file above, read; the register is as before when its tests are done."""
    before = dict(MEASURES)
    path = tmp_path_factory.mktemp("toy") / "toy_of_a_test.py"
    path.write_text(TOY, "utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(MEASURES) - set(before) == {NAME}
    yield module
    del MEASURES[NAME], sys.modules[path.stem]
    assert before == MEASURES


@pytest.fixture(scope="module")
def look(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("looked") / "run"
    record = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=100, gallery_size=0)
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(5,)))
    nm.train(model, nm.data.load("digits"), nm.TrainConfig(epochs=1), observers=[nm.Recorder(folder, record)])
    return first_look(nm.Run.open(folder))


@pytest.fixture(scope="module")
def table(toy: ModuleType, look: Any) -> xr.Dataset:
    """The formula's result, called as a user would."""
    return toy.drive(look.run.activations("layers.0.hook_post").isel(snapshot=-1))


@pytest.fixture(scope="module")
def page(look: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report; of its pictures only the toy's is drawn."""
    drawn = html.as_svg
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "as_svg", lambda plot: drawn(plot) if "bananas" in plot.alt else "<svg></svg>")
        patch.setattr(html, "_encode", lambda plot: ("", 1, 1))
        return compose([look], tmp_path_factory.mktemp("page") / "report.html").read_text("utf-8")


def test_calibrate_runs_its_instrument_by_name(toy: ModuleType) -> None:
    ended = microscope("calibrate", NAME, "--empties", 60, "--workers", 1)
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"Drive of a unit +0\.5 +0\.5 +0 .* ones$", ended.stdout, re.MULTILINE)
    assert "1 instrument passed: planted truth recovered, no excess alarms on 60 empty phantoms each" in ended.stdout


def test_the_tables_of_the_documentation_have_its_line_with_the_draws_in_words(toy: ModuleType) -> None:
    tables = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "tables.py"))
    made = tables["filled"]("<!-- measures: toy -->\n<!-- end -->\n<!-- rules -->\n<!-- end -->")
    line = "| `drive` | 40 draws of random signs | toy image | t interval over toy images | units of a toy layer |"
    assert made.splitlines()[:5] == [
        "<!-- measures: toy -->",
        *tables["HEADS"]["measures"].splitlines(),
        line,
        "<!-- end -->",
    ]
    assert f"| a unit has drive | `{NAME}` | untrained MLP, untrained CNN, random labels, shuffled labels | – |" in made


def test_a_result_explains_itself(table: xr.Dataset) -> None:
    assert table.attrs == {
        "null": "40 draws of random signs",
        "interval": "t interval over toy images",
        "source": "nobody, of seed 3",
        "seed": 3,
        "hook_point": "layers.0.hook_post",
        "n_examples": 100,
    }


def test_the_report_says_its_claims_draws_its_picture_and_tables_its_values(
    toy: ModuleType, page: str, table: xr.Dataset
) -> None:
    section = re.search('<section id="network-toy-drive">.*?</section>', page, re.S)
    assert section is not None
    own = section[0]
    mean = fill("Its units have {mean:4} bananas of drive on average.", {"mean": float(table["drive"].mean())})
    assert '<li data-claim="MLP/layers.0/the-mean-drive">' in own
    assert mean in own
    assert re.search(rf'alt="Drive of a unit, MLP layers\.0\. [^"]*{re.escape(mean[1:])}', own)
    assert "Bunches of bananas. Null (gray): 40 draws of random signs. 100 images.</figcaption>" in own
    for unit in range(5):
        value, *ends = (
            significant(float(table[f"drive{end}"][unit])) for end in ("", "_low", "_high", "_null_low", "_null_high")
        )
        row = [value, *(low if low == high else f"{low} to {high}" for low, high in (ends[:2], ends[2:]))]
        assert re.search(" +".join(map(re.escape, [str(unit), *row])), own), (unit, row)


def test_the_reports_table_of_units_has_its_columns_and_verdicts(page: str, table: xr.Dataset) -> None:
    for unit in range(5):
        key = f"MLP/layers.0/unit-{unit}/a-unit-has-drive"
        one = {
            name: float(table[f"drive{end}"][unit])
            for name, end in zip("xlh", ("", "_null_low", "_null_high"), strict=True)
        }
        verdict = "shown" if one["x"] > float(table["drive"].median()) else "not shown"
        cells = fill("<td>{x:4}</td><td>{l:4} to {h:4}</td>", one)
        assert re.search(
            f'{re.escape(cells)}<td data-claim="{key}" class="verdict {verdict.replace(" ", "-")}">{verdict}, [^<]+</td>',
            page,
        )
    assert "2 of 5 judged units are shown to have drive" in page


def test_the_explorers_data_hold_its_values_interval_null_and_odds(look: Any, table: xr.Dataset) -> None:
    (network,) = payload([look], snapshots=1)["networks"]
    (one,) = [one for one in network["measures"]["layers.0.hook_post"] if one["id"] == "toy.drive/drive"]
    columns = {"value": "", "low": "_low", "high": "_high", "nullLow": "_null_low", "nullHigh": "_null_high"}
    for key, end in columns.items():
        np.testing.assert_allclose(one[key], table[f"drive{end}"].values, rtol=1e-5)
    assert {key: one[key] for key in ("title", "label", "units", "null", "n")} == {
        "title": "Drive of a unit",
        "label": "drive",
        "units": "bananas",
        "null": "40 draws of random signs",
        "n": 100,
    }
    assert one["odds"] == [probability(float(p), 1 / 41, 40) for p in table["drive_p"].values]


@pytest.mark.browser
def test_a_units_card_shows_value_interval_null_and_claim(
    look: Any, table: xr.Dataset, browser: Browser, tmp_path: Path
) -> None:
    path = nm.explorer.write([look], tmp_path / "explorer.html", snapshots=1)
    tab = browser.new_context(offline=True).new_page()
    unit = int(table["drive"].values.argmax())
    tab.goto(f"{path.as_uri()}#s=0.0.{unit}")
    place = tab.locator(f'.card [data-measure="{NAME}/drive"]')
    place.wait_for()

    def numbers(text: str) -> list[float]:
        return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("−", "-"))]

    columns = {end: table[f"drive{end}"].values for end in ("", "_low", "_high", "_null_low", "_null_high")}
    value, *ends = (float(column[unit]) for column in columns.values())
    expect(place).to_contain_text("Drive of a unit 100 images")
    expect(place).to_contain_text("bananas")
    assert numbers(place.locator("strong.value").inner_text()) == pytest.approx([value], rel=5e-3)
    assert numbers(place.locator(".interval").inner_text()) == pytest.approx(ends[:2], rel=5e-3)
    assert numbers(place.locator(".null-band").inner_text()) == pytest.approx(ends[2:], rel=5e-3)
    spread = np.concatenate([columns[end] for end in ("", "_null_low", "_null_high")])
    scale = 152 / np.ptp(spread)
    band, dot = place.locator(".onnull rect"), place.locator(".onnull circle")
    drawn = [float(part.get_attribute(name) or "nan") for part, name in ((band, "x"), (band, "width"), (dot, "cx"))]
    expected = [4 + scale * (ends[2] - spread.min()), scale * (ends[3] - ends[2]), 4 + scale * (value - spread.min())]
    assert drawn == pytest.approx(expected, abs=0.01)
    expect(tab.get_by_text("40 draws of random signs").first).to_be_attached()
    claim = tab.locator(f'.card [data-claim="MLP/layers.0/unit-{unit}/a-unit-has-drive"]')
    expect(claim.locator(".mark")).to_have_text("shown")
    said = fill("Unit {unit:,} has {drive:4} bananas of drive.", {"unit": unit, "drive": value})
    assert claim.locator(".sentence").inner_text() == said
    tab.context.close()
