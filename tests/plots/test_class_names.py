"""Names of classes in figures and on a report's page, in place of their numbers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import neural_microscope as nm
import small_runs
from neural_microscope.plots import style

NAMES = ("T-shirt", "$4", "ankle boot")
SHORT = ("a", "ki", "su")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    folder = tmp_path_factory.mktemp("named") / "run"
    data = small_runs.data()
    parts = {part: dataclasses.replace(getattr(data, part), class_names=NAMES) for part in ("train", "test")}
    recorder = nm.Recorder(folder, dataclasses.replace(small_runs.RECORD, probe_size=24))
    named = dataclasses.replace(data, **parts)
    nm.train(small_runs.mlp(), named, nm.TrainConfig(epochs=2, batch_size=30), observers=[recorder])
    return nm.Run.open(folder)


def texts(plot: nm.plots.Plot) -> list[str]:
    every = [
        label.get_text() for axes in plot.axes for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels()
    ]
    return every + ([plot._supxlabel.get_text()] if plot._supxlabel else [])


def test_matrices_and_axes_of_classes_carry_their_names(run: nm.Run) -> None:
    logits = run.activations("logits")
    tables = {
        "confusion": nm.analysis.predictions.confusion(logits[-1]),
        "class_learning": nm.analysis.dynamics.learning_by_class(run.log),
    }
    for form, table in tables.items():
        plot = getattr(nm.plots, form)(table, class_names=run.probe.class_names)
        assert {"T-shirt", r"\$4", "ankle boot"} <= {*texts(plot)}
        plot.canvas.draw()  # a dollar sign is no formula
        assert "T-shirt" not in texts(getattr(nm.plots, form)(table))


def test_points_carry_short_names_and_a_key_explains_their_numbers_otherwise(run: nm.Run) -> None:
    table = nm.analysis.selectivity.tuning(run.activations("layers.0.hook_post")[-1], draws=5)
    long = nm.plots.tuning(table, class_names=NAMES)
    assert texts(long)[-1].endswith(r"0 T-shirt · 1 \$4 · 2 ankle boot")
    long.canvas.draw()
    short = nm.plots.tuning(table, class_names=SHORT)
    assert "·" not in texts(short)[-1]
    short.canvas.draw()
    with style.classes_called(SHORT):
        assert [style.mark(label) for label in (0, 2, 7)] == ["a", "su", "7"]


def test_sentences_say_names_after_numbers_of_classes() -> None:
    with style.classes_called(NAMES):
        assert style.with_names("unit 2 prefers class 0 (AUC 1)") == "unit 2 prefers class 0 (T-shirt) (AUC 1)"
        assert style.with_names("Classes 0, 1 and 2 of 3") == "Classes 0 (T-shirt), 1 ($4) and 2 (ankle boot) of 3"
        assert (
            style.with_names("class 1 is misclassified as 2: 6") == "class 1 ($4) is misclassified as 2 (ankle boot): 6"
        )
        assert style.with_names("3 classes, class 9") == "3 classes, class 9"
    assert style.with_names("class 1") == "class 1"


def test_a_report_names_the_classes(run: nm.Run, tmp_path: Path) -> None:
    page = nm.report.write([run], tmp_path / "report.html").read_text("utf-8")
    words = re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S))
    named = re.findall(r"[Cc]lass(?:es)? \d+ \((?:T-shirt|\$4|ankle boot)\)", words)
    bare = re.findall(r"[Cc]lass(?:es)? [0-2]\b(?! \()", words)
    assert named
    assert not bare


def test_names_beyond_the_classes_are_not_guessed() -> None:
    with style.classes_called(("a",)):
        assert [style.called(label) for label in (0, 1, -1)] == ["a", "1", "-1"]
    assert np.unique([style.called(k) for k in range(3)]).tolist() == ["0", "1", "2"]
