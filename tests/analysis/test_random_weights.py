"""Random networks keep nothing of a model's weights, whatever lies between its parameters and the weights in use."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import neural_microscope as nm
from neural_microscope.analysis import attribution
from neural_microscope.analysis.attribution import random_weights
from neural_microscope.errors import DataError

PIXELS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))


def convolutional() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def each(change: Callable[[nn.Module], object], make: Callable[[], nn.Sequential] = plain) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        model = make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the older forms are deprecated
            for module in model:
                if hasattr(module, "weight"):
                    change(module)
        return model

    return made


def spectral(module: nn.Module) -> None:
    """Old spectral norm as training leaves it."""
    spectral_norm(module)
    module.train()
    for _ in range(30):
        module(torch.rand(2, *((1, 8, 8) if isinstance(module, nn.Conv2d) else (module.weight.shape[1],))))


def norms() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(144, 10))
    model.train()
    model(PIXELS)
    return model


def frozen() -> nn.Module:
    model = plain()
    model.requires_grad_(False)
    return model


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x.flatten(1))))


def whole_mlp() -> nm.MLP:
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(7,)), seed=0)
    prune.l1_unstructured(model.layers[0].linear, "weight", 0.5)
    return model


KINDS: dict[str, Callable[[], nn.Module]] = {
    "weight norm": each(parametrizations.weight_norm),
    "weight norm of kernels": each(parametrizations.weight_norm, convolutional),
    "old weight norm": each(weight_norm),
    "old weight norm of all": each(lambda module: weight_norm(module, dim=None)),  # type: ignore[arg-type]
    "spectral norm": each(parametrizations.spectral_norm),
    "old spectral norm": each(spectral),
    "old spectral norm of kernels": each(spectral, convolutional),
    "orthogonal": each(parametrizations.orthogonal),
    "pruned": each(lambda module: prune.l1_unstructured(module, "weight", 0.4)),
    "pruned twice, bias too": each(
        lambda module: [prune.random_unstructured(module, name, 0.3) for name in ("weight", "weight", "bias")]
    ),
    "statistics": norms,
    "frozen": frozen,
    "tied": Tied,
    "pruned network of the package": whole_mlp,
    "lstm": lambda: nn.Sequential(nn.Flatten(), nn.LSTM(64, 5)),
}


def used(model: nn.Module) -> dict[str, Tensor]:
    """The weights in use, after a forward pass."""
    model.eval()
    with torch.no_grad():
        model(PIXELS)
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            found[name] = module.weight.detach().clone()
    return found


@pytest.fixture(autouse=True)
def global_generator() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_a_random_network_has_other_weights_in_use_and_its_seed_alone_sets_them(kind: str) -> None:
    model = KINDS[kind]()
    before, state = used(model), copy.deepcopy(model.state_dict())
    trained = random_weights._copy(model)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.mul_(3).add_(0.1)
    one, other, again = (random_weights.fresh(net, seed) for net, seed in ((model, 5), (model, 6), (trained, 5)))
    for name, weight in used(one).items():
        assert not torch.isclose(weight, before[name]).all()
        assert not torch.isclose(weight, used(other)[name]).all()
        assert torch.equal(weight, used(again)[name]), "a trace of the weights it had"
    outputs = [net(PIXELS) for net in (model, one)]
    assert not torch.allclose(*(out[0] if isinstance(out, tuple) else out for out in outputs))
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", ["spectral norm", "old spectral norm", "old spectral norm of kernels"])
def test_a_spectral_norm_is_1_also_for_random_weights(kind: str) -> None:
    for weight in used(random_weights.fresh(KINDS[kind](), 3)).values():
        assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1, rel=0.05)


def test_random_weights_are_those_of_a_new_network_where_a_norm_changes_nothing() -> None:
    for kind in ("weight norm", "old weight norm"):
        one, two = (used(random_weights.fresh(model, 3)) for model in (plain(), KINDS[kind]()))
        for name, weight in one.items():
            torch.testing.assert_close(two[name], weight)


def test_masks_stay() -> None:
    model = KINDS["pruned"]()
    for name, weight in used(random_weights.fresh(model, 3)).items():
        assert torch.equal(weight == 0, model.get_submodule(name).weight_mask == 0)


def test_the_statistics_of_a_norm_start_over() -> None:
    model = norms()
    new = random_weights.fresh(model, 3)
    assert random_weights.layers(model) == ["0", "1", "3"]
    assert not new[1].running_mean.any()
    assert model[1].running_mean.any()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lstm"])
def test_at_the_end_of_a_cascade_the_network_is_the_random_one(kind: str) -> None:
    model = KINDS[kind]()
    random = random_weights.fresh(model, 5)
    names = random_weights.layers(model)[::-1]
    for net in random_weights.cascade(model, random, names):
        weights = used(net)
    for name, weight in used(random).items():
        assert torch.equal(weights[name], weight)


def test_a_method_that_reads_the_weights_is_not_called_insensitive() -> None:
    for kind in ("old weight norm", "pruned", "weight norm"):
        table = attribution.sanity_check(attribution.saliency, KINDS[kind](), PIXELS, target=1, draws=3)
        assert not table["insensitive"]
        assert float(table["similarity"][-1]) < 0.9


class Stubborn(nn.Linear):
    """A layer that leaves its weights as they are."""

    def reset_parameters(self) -> None:
        if not hasattr(self, "made"):
            super().reset_parameters()
            self.made = True


class Half(nn.Linear):
    """A layer that draws new weights and forgets its bias."""

    def __init__(self) -> None:
        super().__init__(64, 10)
        nn.init.normal_(self.bias)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight)


class Slow(nn.Linear):
    """A layer that moves toward random weights."""

    def __init__(self) -> None:
        super().__init__(64, 10)
        nn.init.normal_(self.weight)

    def reset_parameters(self) -> None:
        self.weight.data.mul_(0.5).add_(torch.randn_like(self.weight))
        nn.init.zeros_(self.bias)


class Scale(nn.Module):
    """One number, which a reset leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def reset_parameters(self) -> None: ...

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Twice(nn.Module):
    """A parametrization without an inverse."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: Stubborn(64, 10), "'1.weight' keeps its value"),
        (lambda: Half(), "'1.bias' keeps"),
        (lambda: Slow(), "'1.weight' keeps"),
        (lambda: nn.Sequential(nn.Linear(64, 10), Scale()), "'1.1.weight' keeps"),
        (lambda: weight_norm(Stubborn(64, 10, bias=False)), "'1.weight_g' keeps"),
        (lambda: prune.identity(Stubborn(64, 10), "weight"), "'1.bias' keeps"),
        (lambda: parametrize.register_parametrization(nn.Linear(64, 10), "weight", Twice()), "right_inverse"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_network_that_keeps_something_is_refused_by_name(layer: Callable[[], nn.Module], named: str) -> None:
    model = nn.Sequential(nn.Flatten(), layer())
    with pytest.raises(DataError, match=named):
        random_weights.fresh(model, 3)
    with pytest.raises(DataError, match=named):
        attribution.sanity_check(attribution.saliency, model, PIXELS, target=0, draws=1)


def test_weights_that_are_drawn_and_are_those_of_the_model_are_no_control() -> None:
    class Same(nn.Linear):
        def reset_parameters(self) -> None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    with pytest.raises(DataError, match="nothing in it is random"):
        random_weights.fresh(nn.Sequential(nn.Flatten(), Same(64, 10)), 3)


def test_a_layer_that_takes_no_weights_from_another_is_refused() -> None:
    class Deaf(nn.Linear):
        def _load_from_state_dict(self, *args: object) -> None: ...

    model = nn.Sequential(nn.Flatten(), Deaf(64, 10))
    with pytest.raises(DataError, match=r"'1\.weight' does not take"):
        list(random_weights.cascade(model, random_weights.fresh(model, 3), ["1"]))
