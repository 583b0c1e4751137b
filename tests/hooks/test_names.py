"""Names stay true: a module replaced, or at two places, is found at each use, and files and errors have the user's names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from nets import Twice, small_images, small_mlp
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope import hooked
from neural_microscope.analysis import attribution
from neural_microscope.errors import HookError, UnknownName
from neural_microscope.hooks import bare

IMAGES = small_images()


class Shared(nn.Module):
    """One ReLU at two places."""

    def __init__(self) -> None:
        super().__init__()
        relu = nn.ReLU()
        self.early, self.late = nn.Sequential(nn.Linear(9, 6), relu), nn.Sequential(nn.Linear(6, 4), relu)

    def forward(self, x: Tensor) -> Tensor:
        return self.late(self.early(x.flatten(1)))


def test_a_layer_replaced_or_added_after_first_use_is_found() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 4))
    lens = hooked(net)
    lens.run_with_cache(IMAGES)
    net[1] = nn.Linear(9, 7)
    net.append(nn.Tanh())
    cache = lens.run_with_cache(IMAGES)[1]
    assert cache["1.hook_out"].shape == (7, 7)
    assert cache["2.hook_out"].equal(net(IMAGES))
    net[1] = nn.Sequential(nn.Linear(9, 3))
    assert set(lens.hook_points) == {"hook_out", "0.hook_out", "1.hook_out", "1.0.hook_out", "2.hook_out"}


def test_so_is_a_hook_point_of_a_models_own() -> None:
    model = small_mlp()
    model.run_with_cache(IMAGES)
    model.layers[1].hook_post = nm.HookPoint()
    assert model.run_with_cache(IMAGES)[1]["layers.1.hook_post"].shape == (7, 5)


def test_a_module_at_two_places_has_both_names_and_is_cached_once_unless_named() -> None:
    lens = hooked(Shared())
    cache = lens.run_with_cache(IMAGES)[1]
    assert "early.1.hook_out@1" in cache
    assert not [name for name in cache if name.startswith("late.1")]
    named = lens.run_with_cache(IMAGES, names_filter="late.1.hook_out")[1]
    assert named["late.1.hook_out@0"].equal(cache["early.1.hook_out@0"])
    assert named["late.1.hook_out@1"].equal(cache["early.1.hook_out@1"])
    chosen = lens.run_with_cache(IMAGES, names_filter=lambda name: name.startswith("late.1"))[1]
    assert set(chosen) == {"late.1.hook_out@0", "late.1.hook_out@1"}
    doubled = lens.run_with_hooks(IMAGES, fwd_hooks=[("late.1.hook_out@1", lambda tensor, hook: tensor * 2)])
    assert doubled.equal(2 * lens(IMAGES))


@pytest.mark.parametrize("look", ["stop_at", "saliency"])
def test_where_a_module_runs_twice_the_call_is_named(look: str) -> None:
    lens = hooked(Twice())

    def at(name: str) -> Tensor:
        if look == "stop_at":
            return lens.run_with_hooks(IMAGES, stop_at=name)
        return torch.from_numpy(attribution.saliency(lens, IMAGES, target=(name, 1))["attribution"].values)

    with pytest.raises(UnknownName, match=r"reached 2 times.*choose one of: relu\.hook_out@0, relu\.hook_out@1"):
        at("relu.hook_out")
    assert not at("relu.hook_out@0").equal(at("relu.hook_out@1"))
    assert at("first.hook_out").equal(at("first.hook_out@0"))


def test_finding_out_how_often_a_module_runs_leaves_no_trace() -> None:
    seen: list[str] = []
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Dropout(), nn.Linear(9, 4))
    lens, before = hooked(net), torch.get_rng_state()
    with lens.hooks([("3.hook_out", lambda tensor, hook: seen.append(hook.name))]):
        lens.run_with_hooks(IMAGES, stop_at="0.hook_out")
        assert not seen
        lens(IMAGES)
    assert seen == ["3.hook_out"]
    assert int(net[1].num_batches_tracked) == 1
    torch.set_rng_state(before)


def test_a_name_with_a_slash_becomes_a_file(tmp_path: Path) -> None:
    net = nn.Sequential()
    for name in ("layers/0", "a:b", "..%2F"):
        net.register_module(name.replace(".", "_"), nn.Flatten())
    found = nm.activations(net, IMAGES, folder=tmp_path)
    assert set(found) == {"hook_out", "layers/0.hook_out", "a:b.hook_out", "__%2F.hook_out"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "__%252F.hook_out.npy",
        "a%3Ab.hook_out.npy",
        "hook_out.npy",
        "layers%2F0.hook_out.npy",
    ]


def scripted() -> object:
    return torch.jit.script(nn.Sequential(nn.Linear(9, 4)))


def exported() -> object:
    return torch.export.export(nn.Sequential(nn.Flatten(), nn.Linear(9, 4)), (IMAGES,))


def exported_module() -> object:
    return exported().module()  # type: ignore[attr-defined]


def quantized() -> object:
    return nn.Sequential(torch.ao.nn.quantized.Linear(9, 4))


def keras() -> object:
    return type("Model", (nn.Module,), {"__module__": "keras.src.models.model"})()


CLOSED = {
    scripted: "ScriptModule.*was scripted",
    exported: "ExportedProgram.*was exported",
    exported_module: "was exported",
    quantized: "'0' is statically quantized",
    keras: "Keras",
}


@pytest.mark.filterwarnings("ignore")  # torch's own, about formats that it will drop
@pytest.mark.parametrize("made", CLOSED)
def test_what_has_no_parts_to_hook_is_refused_by_name(made: object) -> None:
    with pytest.raises(HookError, match=CLOSED[made]):  # type: ignore[index]
        hooked(made())  # type: ignore[operator]


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_part_is_no_hook_point_and_its_name_says_why(tmp_path: object) -> None:
    inner = torch.jit.script(nn.Sequential(nn.Linear(9, 4), nn.ReLU()))
    net = nn.Sequential(nn.Flatten(), inner, nn.Linear(4, 2))
    lens = hooked(net)
    assert [*lens.hook_points] == ["hook_out", "0.hook_out", "2.hook_out"]
    out, cache = lens.run_with_cache(IMAGES)
    assert torch.equal(cache["2.hook_out"], net(IMAGES))
    assert torch.equal(out, net(IMAGES))
    for name in ("1.hook_out", "1.0.hook_out", "1.hook_in"):
        with pytest.raises(
            HookError, match=f"'{name}' belongs to a scripted module, .* put the module that was scripted"
        ):
            lens.run_with_cache(IMAGES, names_filter=name)


def test_a_graph_that_calls_its_submodules_is_hooked() -> None:
    lens = hooked(torch.fx.symbolic_trace(Twice()))
    assert "relu.hook_out@1" in lens.run_with_cache(IMAGES)[1]


class Digits(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 6), nn.Linear(6, 10))


@pytest.mark.parametrize("wrapped", [hooked, nn.DataParallel, lambda net: hooked(nn.DataParallel(net))])
def test_what_is_recorded_has_the_names_of_the_users_module(tmp_path: Path, wrapped: Callable[..., nn.Module]) -> None:
    net, data = Digits(), nm.data.load("digits")
    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=20))
    nm.train(wrapped(net), data, nm.TrainConfig(epochs=1), observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    assert set(run.hook_points) == set(hooked(net).hook_points)
    assert run.model(into=Digits()).state_dict()["1.weight"].equal(net[1].weight)


def test_a_compiled_module_is_recorded_by_the_names_of_the_module_that_was_compiled() -> None:
    net = Digits()
    assert bare(torch.compile(net)) is net
    assert bare(hooked(nn.DataParallel(net))) is net
