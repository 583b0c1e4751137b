"""The page about a network that was trained for another task than classification."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import neural_microscope as nm
from neural_microscope.report.tasks import OF_CLASSES, unlabeled


def sums(count: int, seed: int) -> nm.data.ImageSet:
    inputs = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return nm.data.examples(inputs, targets=inputs[:, :2].sum(1), name="sums")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    folder = tmp_path_factory.mktemp("page") / "run"
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))
    recorder = nm.Recorder(folder, nm.RecordConfig(per_octave=0, probe_size=40))
    data = nm.data.Dataset("sums", sums(128, 0), sums(60, 1))
    nm.train(model, data, nm.TrainConfig(epochs=4, batch_size=16, learning_rate=0.02), observers=[recorder])
    return nm.Run.open(folder)


def test_the_page_of_a_regression_says_its_task_its_loss_and_what_lacks_classes(run: nm.Run, tmp_path: Path) -> None:
    look = nm.analysis.look.first_look(run)
    page = nm.report.compose([look], tmp_path / "page.html").read_text("utf-8")
    text = unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style|svg).*?</\1>", "", page, flags=re.DOTALL)))
    text = re.sub(r"\s+", " ", text)
    lacking = unlabeled(look)
    assert {"Class selectivity (AUC)", "Confusion matrix", "Accuracy per class"} & {*lacking}
    assert (
        "The Sequential was trained for a regression. The probe has no class labels, so these measures are left out: "
        f"{'; '.join(lacking)}." in text
    )
    loss = float(run.log["test_loss"][-1])
    assert f"test loss {loss:.3f} at step 32." in text
    assert "test accuracy" not in text.split("About this page")[0].lower()
    assert "Test loss over training" in text
    assert "Not measured: it needs class labels, and the probe has none." in text
    assert "it lacks" not in text
    assert "was trained for a regression on sums" in text
    assert "class-balanced" not in text.split("Terms")[-2]
    assert "Is part of the final geometry present at initialization?" in text


def test_what_was_measured_is_what_it_is_with_labels(run: nm.Run) -> None:
    look = nm.analysis.look.first_look(run)
    for layer in look.layers[:2]:
        drift = nm.analysis.similarity.drift(run.activations(layer.hook_point))
        assert layer["similarity.drift"]["function"].equals(drift["function"])
    assert not {"similarity.drift", "dynamics.activity"} & {*look.layers[0].missing}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_as_many_outputs_as_classes_are_logits_only_of_a_classification(tmp_path: Path, task: nm.data.Task) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(60, 6, generator=generator), torch.randn(60, 3, generator=generator)
    given: dict[str, Any] = {"targets": targets if task == "regression" else None, "class_names": ("a", "b", "c")}
    part = nm.data.examples(inputs, torch.arange(60) % 3, **given)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, probe_size=60))
    nm.train(
        model, nm.data.Dataset("places", part, part), nm.TrainConfig(epochs=2, batch_size=20), observers=[recorder]
    )
    look = nm.analysis.look.first_look(nm.Run.open(tmp_path / "run"))
    page = nm.report.compose([look], tmp_path / "page.html").read_text("utf-8")
    refused = page.count("Not measured: this takes predicted classes, and the network was trained for a regression")
    assert {*OF_CLASSES} <= {*look.results}  # by their shape alone they could be logits
    assert refused == (len(OF_CLASSES) if task == "regression" else 0)
    measures = {*nm.report.claims([look])["measure"].values.tolist()}
    assert bool(measures & {*OF_CLASSES}) == (task == "classification")
    document = json.loads(nm.report.write_json([look], tmp_path / "claims.json").read_text("utf-8"))
    assert document["class_names"] == {"Sequential": ["a", "b", "c"]}
    assert "selectivity.class_selectivity" not in look.layers[0].missing
