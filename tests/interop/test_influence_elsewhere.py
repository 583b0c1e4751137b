"""Side by side with captum and dattri: the same influence of training images, on the same snapshots, and the same score of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require"),
]  # captum's
IMAGES, TARGETS, BATCH, EPOCHS, RATE = 60, 20, 10, 4, 0.2
CONFIGS = {
    "mlp": nm.MLPConfig(image_shape=(8, 8), hidden=(12, 8)),
    "cnn": nm.CNNConfig(image_shape=(8, 8), channels=(3, 4), head=(6,)),
    "linear": nm.MLPConfig(image_shape=(8, 8), hidden=(), bias=False),
}


@pytest.fixture(scope="module")
def data() -> nm.data.Dataset:
    digits = nm.data.load("digits")
    return nm.data.Dataset("a few digits", digits.train.subset(slice(IMAGES)), digits.test.balanced(TARGETS))


@pytest.fixture(scope="module", params=CONFIGS)
def run(request: pytest.FixtureRequest, data: nm.data.Dataset, tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    """Under a rate that falls, so that every snapshot has a weight of its own."""
    folder = tmp_path_factory.mktemp("influence") / request.param
    config = nm.TrainConfig(epochs=EPOCHS, batch_size=BATCH, optimizer="sgd", learning_rate=RATE, schedule="cosine")
    record = nm.RecordConfig(per_octave=1, probe_size=20, norms_every=0)
    nm.train(nm.models.build(CONFIGS[request.param], 0), data, config, observers=[nm.Recorder(folder, record)])
    return nm.Run.open(folder)


def rates(run: nm.Run) -> dict[int, float]:
    """The sum of the learning rates, those of a cosine, of the steps from each snapshot to the next."""
    total = EPOCHS * IMAGES // BATCH
    each = RATE / 2 * (1 + np.cos(np.pi * np.arange(total) / total))
    assert run.steps[-1] == total
    return {first: float(each[first:then].sum()) for first, then in pairwise(run.steps)}


def tensors(images: nm.data.ImageSet) -> TensorDataset:
    return TensorDataset(images.tensor().double(), images.label_tensor())


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """log p / (1 - p) of each image's label, as TRAK writes it: its logit above the logsumexp of the others."""
    own = nn.functional.one_hot(labels, logits.shape[-1]).bool()
    return logits[own] - logits.masked_fill(own, -torch.inf).logsumexp(-1)


def same(ours: xr.DataArray, theirs: Tensor, tolerance: float = 1e-4) -> None:
    """Equal to a share of the largest: ours are products in float32, theirs in float64."""
    expected = theirs.detach().numpy()
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# --- captum ---------------------------------------------------------------------------------------------------------------------


class Sum(nn.Module):
    """A number of each image, summed over images: captum takes it apart again."""

    reduction = "sum"

    def __init__(self, number: Any) -> None:
        super().__init__()
        self.number = number

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.number(logits, labels).sum()


LOSS = Sum(nn.CrossEntropyLoss(reduction="none"))


def captums(kind: str, run: nm.Run, data: nm.data.Dataset, weights: dict[int, float], asked: Any = LOSS) -> Tensor:
    """Captum's influence [target, example] over the snapshots, each with its weight."""
    influence = pytest.importorskip("captum.influence", reason="make test-interop has it")

    def load(model: nn.Module, step: str) -> float:
        model.load_state_dict(run.weights(int(step)))
        return weights[int(step)]

    model, steps = run.model().double(), [str(step) for step in weights]
    method = getattr(influence, kind)(
        model,
        train_dataset=tensors(data.train),
        checkpoints=steps,
        checkpoints_load_func=load,
        loss_fn=LOSS,
        test_loss_fn=asked,
        batch_size=25,
        **({"final_fc_layer": model.output} if kind == "TracInCPFast" else {"sample_wise_grads_per_batch": True}),
    )
    return method.influence(tensors(data.test)[:])


@pytest.mark.parametrize("number", ["loss", "margin"])
def test_tracin_is_captums(run: nm.Run, data: nm.data.Dataset, number: Any) -> None:
    asked = {"loss": LOSS, "margin": Sum(margin)}[number]
    theirs = captums("TracInCP", run, data, rates(run), asked)
    question = nm.influence.Prediction(tuple(range(TARGETS)), number)
    same(nm.influence.estimate(run, question, method="tracin", data=data) * -IMAGES, theirs)


def test_the_last_snapshot_is_captums_of_one_checkpoint(run: nm.Run, data: nm.data.Dataset) -> None:
    weights = {run.steps[-1]: sum(rates(run).values())}
    theirs = captums("TracInCP", run, data, weights)
    question = nm.influence.Prediction(tuple(range(TARGETS)), "loss")
    same(nm.influence.estimate(run, question, method="last", data=data) * -IMAGES, theirs)


@pytest.mark.parametrize("run", ["linear"], indirect=True)
def test_tracin_of_one_layer_is_captums_fast_one(run: nm.Run, data: nm.data.Dataset) -> None:
    """Theirs is of the last layer's weights only, without its bias: here there is nothing else."""
    theirs = captums("TracInCPFast", run, data, rates(run))
    question = nm.influence.Prediction(tuple(range(TARGETS)), "loss")
    same(nm.influence.estimate(run, question, method="tracin", data=data) * -IMAGES, theirs)


# --- dattri ---------------------------------------------------------------------------------------------------------------------


WHOLE = {"proj_type": "identity", "proj_dim": 1, "proj_max_batch_size": 8}
"""No random projection: dattri's features are the gradients themselves, as ours are."""


def task(model: nn.Module, loss: Any, target: Any, weights: list[dict[str, Tensor]]) -> Any:
    """An AttributionTask of numbers of single images."""
    tasks = pytest.importorskip("dattri.task", reason="make test-interop has it")

    def of(number: Any) -> Any:
        def one(parameters: dict[str, Tensor], pair: tuple[Tensor, Tensor]) -> Tensor:
            image, label = pair
            logits = functional_call(model, parameters, image[None])
            return number(logits, label[None])

        return one

    return tasks.AttributionTask(of(loss), model, weights, target_func=of(target))


def loader(images: nm.data.ImageSet) -> DataLoader[Any]:
    return DataLoader(tensors(images), batch_size=16)


def logit_above(logits: Tensor, label: Tensor) -> Tensor:
    """`margin` of one image without indexing by a mask, which ``vmap`` has none for."""
    shares = logits.log_softmax(-1).gather(1, label[:, None])[0, 0]
    return shares - torch.log1p(-shares.exp())


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits, label)


def test_tracin_is_dattris(run: nm.Run, data: nm.data.Dataset) -> None:
    algorithm = pytest.importorskip("dattri.algorithm", reason="make test-interop has it")
    weights = rates(run)
    model = run.model(0).double()
    about = task(model, cross_entropy, logit_above, [run.weights(step) for step in weights])
    method = algorithm.TracInAttributor(about, torch.tensor([*weights.values()]), False, projector_kwargs=WHOLE)
    theirs = method.attribute(loader(data.train), loader(data.test)).T
    ours = nm.influence.estimate(run, nm.influence.Prediction(tuple(range(TARGETS))), method="tracin", data=data)
    same(ours * -IMAGES, theirs)


def test_the_kernel_is_dattris_trak_without_a_projection(run: nm.Run, data: nm.data.Dataset) -> None:
    """Ours adds a share of the kernel's mean diagonal; theirs a number, to products of gradients over √(number of weights)."""
    algorithm = pytest.importorskip("dattri.algorithm", reason="make test-interop has it")
    model = run.model().double()
    about = task(model, logit_above, logit_above, [run.weights()])
    weights, _ = about.get_param(0)
    gradients = about.get_grad_loss_func(in_dims=(None, 0))(weights, tensors(data.train)[:]).detach()
    added = 0.1 * float((gradients**2).sum(1).mean()) / len(weights)

    def right(parameters: dict[str, Tensor], pair: tuple[Tensor, Tensor]) -> Tensor:
        return torch.exp(-cross_entropy(functional_call(model, parameters, pair[0][None]), pair[1][None]))

    trak = algorithm.TRAKAttributor(about, right, WHOLE, regularization=added)
    trak.cache(loader(data.train))
    ours = nm.influence.estimate(run, nm.influence.Prediction(tuple(range(TARGETS))), data=data, damping=0.1)
    same(ours, trak.attribute(loader(data.test)).T, 1e-3)


def test_agreement_is_dattris_linear_datamodeling_score(data: nm.data.Dataset) -> None:
    """Theirs sums over the images that stay, and ours over those left out, with the opposite sign."""
    metric = pytest.importorskip("dattri.metric", reason="make test-interop has it")
    rng = np.random.default_rng(0)
    influence, truth = rng.normal(size=(TARGETS, IMAGES)), rng.normal(size=(16, TARGETS))
    sets = nm.influence.halves(data.train, n=16)
    truth += 0.2 * np.stack([-influence[:, one].sum(1) for one in sets])
    kept = np.stack([np.setdiff1d(np.arange(IMAGES), one) for one in sets])
    theirs, _ = metric.lds(torch.from_numpy(influence.T), (torch.from_numpy(truth), torch.from_numpy(kept)))
    left_out, measured = (
        xr.DataArray(one, dims=("set", "target"))
        for one in (np.stack([-influence[:, one].sum(1) for one in sets]), truth)
    )
    found = nm.analysis.influence.agreement(left_out, measured, draws=39, resamples=20)
    np.testing.assert_allclose(found["by_target"], theirs, atol=1e-12)
    assert float(found["agreement"]) > 0.3
