"""Trainings by Lightning and by Hugging Face's Trainer, recorded; and a run as TensorBoard's event files, read by TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
DIGITS = nm.data.load("digits")
GIVEN: dict[str, Any] = {"probe": DIGITS.test.tensor(), "labels": DIGITS.test.labels, "every": 5}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))


def by_hand(steps: int) -> nn.Module:
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for images, labels in list(batches())[:steps]:
        optimizer.zero_grad()
        functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return net


def batches() -> DataLoader[Any]:
    return DataLoader(TensorDataset(DIGITS.train.tensor()[:640], DIGITS.train.label_tensor()[:640]), batch_size=32)


def fit(folder: Path, fails_at: int | None = None, **settings: Any) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Classifier(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.net(images)

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            if number == fails_at:
                raise ValueError("a bug")
            logits = self(batch[0])
            self.log("accuracy", (logits.argmax(1) == batch[1]).float().mean())
            return functional.cross_entropy(logits, batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[nm.interop.lightning_callback(folder, **GIVEN)],
        **settings,
    )
    trainer.fit(Classifier(), batches())


def test_lightning(tmp_path: Path) -> None:
    fit(tmp_path / "run")
    run = nm.Run.open(tmp_path / "run")
    assert (run.status, run.steps) == ("finished", [0, 5, 10, 15, 20])
    assert all(
        weight.allclose(run.weights()[f"net.{name}"], atol=1e-6) for name, weight in by_hand(20).state_dict().items()
    )
    assert run.training["loss"].notnull().all()
    assert 0 < float(run.training["accuracy"][-1]) <= 1
    assert run.training["learning_rate"].values == pytest.approx(0.1)
    assert (run.gradients["grad_norm"] > 0).all()
    assert {"net.1.hook_out", "net.2.hook_out"} <= set(run.hook_points)


def test_lightning_with_accumulated_gradients_counts_updates(tmp_path: Path) -> None:
    fit(tmp_path / "run", accumulate_grad_batches=4)
    assert nm.Run.open(tmp_path / "run").steps == [0, 5]


def test_a_fit_that_fails_is_recorded_until_then(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a bug"):
        fit(tmp_path / "run", fails_at=7)
    run = nm.Run.open(tmp_path / "run")
    assert run.status == "failed at step 7: ValueError: a bug"
    assert len(run.training["loss"]) == 7


def test_the_trainer_of_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=20,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            num_labels=3,
        )
    )
    tokens = torch.randint(1, 20, (90, 6), generator=torch.Generator().manual_seed(0))
    labels = tokens[:, 0] % 3
    rows = [{"input_ids": words, "labels": label} for words, label in zip(tokens, labels, strict=True)]
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=12,
        per_device_train_batch_size=16,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
    )
    trainer = transformers.Trainer(model=model, args=settings, train_dataset=rows)
    trainer.add_callback(
        nm.interop.trainer_callback(tmp_path / "run", probe=tokens[:30], labels=labels[:30], classes=3, every=4)
    )
    trainer.train()
    run = nm.Run.open(tmp_path / "run")
    assert (run.status, run.steps) == ("finished", [0, 4, 8, 12])
    assert all(weight.equal(run.weights()[name]) for name, weight in model.state_dict().items())
    told = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert run.training["loss"].values == pytest.approx(told)
    with torch.no_grad():
        logits = model.eval()(tokens[:30][run.probe_indices]).logits
    assert np.allclose(run.log["classifier.hook_out"][-1], logits, atol=1e-6)


def test_tensorboard_reads_what_was_recorded(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, probe_size=100))
    mlp = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(mlp, DIGITS, nm.TrainConfig(epochs=2), observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    events = EventAccumulator(
        str(nm.interop.to_tensorboard(run, tmp_path / "events")), size_guidance={"scalars": 0, "histograms": 0}
    )
    events.Reload()
    found = events.Scalars("train/loss")
    assert [one.step for one in found] == run.training["step"].values.tolist()
    assert [one.value for one in found] == pytest.approx(run.training["loss"].values, rel=1e-6)
    assert [one.value for one in events.Scalars("test/accuracy")] == pytest.approx(run.log["test_accuracy"].values)
    spread = events.Histograms("weights/output.weight")
    assert [one.step for one in spread] == run.steps
    assert spread[-1].histogram_value.num == 160
    assert spread[-1].histogram_value.sum == pytest.approx(float(run.weights()["output.weight"].sum()), abs=1e-4)
    (folder,) = (tmp_path / "events").glob("*/layers.0.hook_post")
    points = np.loadtxt(folder / "tensors.tsv")
    assert np.allclose(points, run.activations("layers.0.hook_post")[-1], atol=1e-5)
    assert np.loadtxt(folder / "metadata.tsv").tolist() == run.probe.labels.tolist()
    assert (folder / "sprite.png").exists()
