"""`microscope report` on every kind of runs: seeds of one network, a sweep, a module, many classes, many layers, many runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import neural_microscope as nm
from command_line import microscope
from elements import Elements
from neural_microscope import report
from neural_microscope.analysis.findings import findings
from neural_microscope.measure import rules
from neural_microscope.models import build
from neural_microscope.report import cards, paper
from neural_microscope.report.page import Page

RECORD = nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=40, norms_every=0)


def images(count: int, classes: int, seed: int) -> nm.data.ImageSet:
    """8 x 8 pixels of noise on a pattern of each class."""
    patterns = np.random.default_rng(0).integers(0, 150, (classes, 8, 8))
    labels = np.arange(count) % classes
    noise = np.random.default_rng(seed).integers(0, 100, (count, 8, 8))
    return nm.data.ImageSet((patterns[labels] + noise).astype(np.uint8), labels.astype(np.int64), classes, "made up")


def data(classes: int = 3) -> nm.data.Dataset:
    return nm.data.Dataset("made up", images(10 * classes, classes, 1), images(max(60, 3 * classes), classes, 2))


def train(folder: Path, model: Any, *, classes: int = 3, seed: int = 0, **settings: Any) -> Path:
    training = nm.TrainConfig(epochs=2, batch_size=10, learning_rate=0.01, seed=seed)
    observers = [nm.Recorder(folder, replace(RECORD, **settings))]
    nm.train(model, data(classes), training, observers=observers)
    return folder


def mlp(seed: int = 0, classes: int = 3, hidden: tuple[int, ...] = (4,)) -> nm.MLP:
    return nm.MLP(nm.MLPConfig(image_shape=(8, 8), classes=classes, hidden=hidden), seed)


def cnn() -> nm.CNN:
    return nm.CNN(nm.CNNConfig(image_shape=(8, 8), classes=3, channels=(2,), head=()))


def foreign() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("seeds")
    return [train(folder / f"seed-{seed}", mlp(seed), seed=seed) for seed in range(5)]


def reported(*words: object, output: Path) -> str:
    done = microscope("report", *words, "-o", output)
    assert done.returncode == 0, done.stderr
    text = output.read_text("utf-8")
    assert "nan" not in text.split("<script")[0].lower().split()
    return text


@pytest.mark.usefixtures("undrawn")
def test_five_seeds_are_one_network_with_k_of_n(seeds: list[Path], tmp_path: Path) -> None:
    text = reported(*seeds, output=tmp_path / "page.html")
    assert "of 5 seeds" in text
    ends = [float(nm.Run.open(one).log["test_accuracy"][-1]) for one in seeds]
    assert f"5 seeds, with test accuracies from {min(ends):.2%} to {max(ends):.2%};" in text
    assert "Do units recur on other seeds?" in text
    assert {*re.findall(r'href="#([^"]*)"', text)} <= {*re.findall(r' id="([^"]*)"', text)}
    assert {claim["network"] for claim in Elements(text).stored.values()} <= {"MLP", "", "calibration"}


KINDS: dict[str, Callable[[Path], list[Path]]] = {
    "an MLP and a CNN": lambda at: [train(at / "mlp", mlp()), train(at / "cnn", cnn())],
    "a module": lambda at: [train(at / "module", foreign())],
    "a module beside an MLP": lambda at: [train(at / "mlp", mlp()), train(at / "module", foreign())],
    "100 classes": lambda at: [train(at / "many", mlp(classes=100), classes=100, probe_size=300)],
    "20 layers": lambda at: [train(at / "deep", mlp(hidden=(3,) * 20))],
    "12 runs": lambda at: [train(at / f"{n}", mlp(n % 6, hidden=(3 + n // 6,)), seed=n % 6) for n in range(12)],
}
QUICK = ("a module beside an MLP",)


@pytest.mark.usefixtures("unsaved")
@pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k in QUICK else [pytest.mark.slow]) for k in KINDS])
def test_every_kind_of_runs_has_a_report(kind: str, tmp_path: Path) -> None:
    text = reported(*KINDS[kind](tmp_path), output=tmp_path / "page.html")
    assert "What happens inside" in text
    assert 'data-claim=""' not in text
    assert Elements(text).stored


def test_a_title_names_few_networks_and_counts_many_and_a_line_of_a_card_lists_few_places() -> None:
    looks = [[SimpleNamespace(name=f"MLP {number}")] for number in range(4)]
    few, many = (Page(looks[:n], (), (), {}, None).title for n in (2, 4))  # type: ignore[arg-type]
    assert (few, many) == ("What happens inside the MLP 0 and the MLP 1", "What happens inside 4 networks")
    assert cards._listed(list("abcde"), ", ") == "a, b, c, d, e"
    assert cards._listed(list("abcdef"), ", ") == "a, b, c, d, 2 more"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings of two seeds each, of which one network is missing."""
    folder = tmp_path_factory.mktemp("swept")
    base = nm.MLPConfig(image_shape=(8, 8), classes=3, hidden=(4,))
    asked = nm.sweep.Sweep(base, data="digits", seeds=(0, 1), settings={"hidden": ((4,), (3,))})
    nm.sweep.claim(asked, str(folder))
    for job in nm.sweep.plan(asked):
        for seed in job.seeds:
            if (job.settings["hidden"], seed) != ((3,), 1):
                train(folder / "runs" / job.name(seed), build(job.network, seed), seed=seed)
    return folder


@pytest.mark.usefixtures("undrawn")
def test_a_sweeps_report_is_a_table_of_its_settings(swept: Path, tmp_path: Path) -> None:
    done = microscope("report", swept, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "1 of 4 networks are not trained yet" in done.stdout
    text = (tmp_path / "page.html").read_text("utf-8")
    assert "nan" not in text.split("<script")[0].lower().split()
    rows = text.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
    assert [row.split("</td>")[0].removeprefix("<td>") for row in rows] == ["4", "3"]
    assert [row.count("<polyline") for row in rows] == [2, 1], "a curve for each seed"
    stored = Elements(text).stored
    assert {claim["network"] for claim in stored.values()} == {"hidden 4", "hidden 3"}
    assert {one for row in rows for one in _named(row)} <= set(stored)


def _named(row: str) -> list[str]:
    return [one for part in row.split('data-claim="')[1:] for one in part.split('"')[0].split()]


def test_a_sweep_among_runs_and_an_empty_one_are_refused_in_words(
    swept: Path, seeds: list[Path], tmp_path: Path
) -> None:
    assert "give it alone" in microscope("report", swept, seeds[0], "-o", tmp_path / "page.html").stderr
    nm.sweep.claim(nm.sweep.Sweep(nm.MLPConfig(), data="digits"), str(tmp_path / "empty"))
    assert "no trained network yet" in microscope("report", tmp_path / "empty", "-o", tmp_path / "page.html").stderr


def test_claims_are_a_table_and_a_document_for_programs(seeds: list[Path], tmp_path: Path) -> None:
    runs = [nm.Run.open(one) for one in seeds[:2]]
    table = report.claims(runs)
    assert list(table.data_vars) == list(paper.COLUMNS)
    reported(*seeds[:2], "--format", "json", output=tmp_path / "claims.json")
    document = json.loads((tmp_path / "claims.json").read_text("utf-8"))
    assert [claim["id"] for claim in document["claims"]] == table["claim"].values.tolist()
    for claim, row in zip(document["claims"], table.to_dataframe().itertuples(), strict=True):
        assert (claim["sentence"], claim["verdict"], len(claim["seeds"])) == (row.sentence, row.verdict, row.seeds)
        value = claim["numbers"].get(claim["effect"])
        assert np.isnan(row.effect) if value is None else row.effect == value
    assert document["bibtex"] == report.bibtex()
    assert document["class_names"] == {}


def test_the_methods_say_what_was_done_with_which_null(seeds: list[Path]) -> None:
    looks = [nm.analysis.look.first_look(nm.Run.open(one)) for one in seeds[:2]]
    text = report.methods(looks)
    assert "hidden layers of width 4" in text
    assert "for 2 epochs with Adam, learning rate 0.01" in text
    assert ", seeds 0, 1;" in text
    assert "40 class-balanced test images" in text
    found = findings(looks)
    asked = [rule for _, rule in rules() if any(claim.rule == rule.name for claim in found)]
    parts = re.split(r" \(\d+\) ", text)[1:]
    assert [part.partition("?")[0] + "?" for part in parts] == [rule.question for rule in asked]
    for part, rule in zip(parts, asked, strict=True):
        nulls = {claim.null for claim in found if claim.rule == rule.name}
        assert all(one in part for null in nulls for one in null.split("; "))
    assert nm.__version__ in text


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("write", [report.write, report.write_json])
def test_a_report_says_how_far_it_is_until_all_is_done(write: Any, seeds: list[Path], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    for one in seeds[:2]:
        (one / nm.run.RESULTS).unlink(missing_ok=True)
    write([nm.Run.open(one) for one in seeds[:2]], tmp_path / "page", progress=lambda *said: told.append(said))
    parts = {part: [(done, total) for one, done, total in told if one == part] for part, _, _ in told}
    drawn = write is report.write  # then the first of the seeds, whose results are all computed
    whole = {f"seed-0, {what}" for what in ("layers.0", "the whole network")}
    assert whole & set(parts) == (whole if drawn else set())
    assert {f"seed-{seed}, claims" for seed in range(drawn, 2)} <= set(parts)
    assert ("drawing MLP" in parts) is drawn
    for part, said in parts.items():
        total = said[-1][1]
        assert said == [(done, total) for done in range(1, total + 1)], part


def test_a_report_takes_longer_unless_valid_results_are_kept(seeds: list[Path]) -> None:
    run = nm.Run.open(seeds[0])
    nm.report.claims([run])
    kept, results = report.expected([run]), seeds[0] / nm.run.RESULTS
    results.write_bytes(results.read_bytes()[:-1])
    stale = report.expected([run])
    results.unlink()
    assert report.expected([run]) == stale > kept


@pytest.mark.parametrize(("seconds", "said"), [(60.0, ""), (60.5, "about 2 minutes"), (150.0, "about 3 minutes")])
def test_a_report_that_takes_more_than_a_minute_says_so_at_the_start(
    seconds: float, said: str, seeds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "expected", lambda runs: seconds)
    monkeypatch.setattr(report, "write_json", lambda runs, path, progress: path)
    out = microscope("report", *seeds[:2], "--format", "json", "-o", tmp_path / "claims.json").stdout.splitlines()
    assert out[0] == f"2 runs to analyze: {said} on one core" if said else "minute" not in "".join(out)


def test_a_module_that_takes_images_in_color(tmp_path: Path) -> None:
    gray = data(classes=3)
    tint = np.random.default_rng(0).random((3, 3))

    def colored(part: nm.data.ImageSet) -> nm.data.ImageSet:
        pixels = (part.images[..., None] * tint[part.labels][:, None, None]).astype(np.uint8)
        return nm.data.ImageSet(pixels, part.labels, 3, part.name)

    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 3)
    )
    colors = nm.data.Dataset("colors", colored(gray.train), colored(gray.test))
    recorder = nm.Recorder(tmp_path / "run", RECORD)
    nm.train(model, colors, nm.TrainConfig(epochs=3, batch_size=10, learning_rate=0.01), observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    assert run.probe.tensor().shape[1:] == (3, 8, 8)
    page = report.write([run], tmp_path / "page.html").read_text("utf-8")
    assert "Trained on colors" in page
    assert nm.explorer.write([run], tmp_path / "explorer.html", models=[model]).exists()
