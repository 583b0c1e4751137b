"""hooked() and the recorder on networks that nobody here wrote for them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from others import LeNet, Named, ResNet18, Reused, TwoInputs, VisionTransformer
from torch import Tensor, nn

import neural_microscope as nm
from neural_microscope.data import Dataset, ImageSet

IMAGES = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def digits(size: int = 28, classes: int = 10, count: int = 60) -> Dataset:
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % classes).astype(np.int64)
    images = rng.integers(0, 90, (count, size, size)).astype(np.uint8)
    images[np.arange(count), labels % size] += 160
    return Dataset(
        "made up", ImageSet(images, labels, classes), ImageSet(images[::-1].copy(), labels[::-1].copy(), classes)
    )


def by_torch(model: nn.Module, path: str, *args: Any, **kwargs: Any) -> list[Tensor]:
    """The tensor that torch's own hook sees at a module, copied before anything after it may edit it."""
    seen: list[Tensor] = []
    handle = model.get_submodule(path).register_forward_hook(lambda module, given, out: seen.append(out.clone()))
    with torch.no_grad():
        model(*args, **kwargs)
    handle.remove()
    return seen


@pytest.mark.parametrize("kind", [LeNet, ResNet18, VisionTransformer])
def test_every_module_is_read_as_torchs_own_hooks_read_it(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = kind().eval()
    with torch.no_grad():
        logits = model(IMAGES)
        again, cache = nm.hooked(model).run_with_cache(IMAGES)
    torch.testing.assert_close(again, logits)
    for path, module in model.named_modules():
        if path and not isinstance(module, nn.ModuleList):
            seen = by_torch(model, path, IMAGES)
            for call, expected in enumerate(seen):
                name = f"{path}.hook_out" if len(seen) == 1 else f"{path}.hook_out@{call}"
                torch.testing.assert_close(cache[name], expected, msg=name)


def test_in_place_relus_of_a_resnet_leave_what_stands_before_them_alone() -> None:
    torch.manual_seed(0)
    model = ResNet18(width=8).eval()
    _, cache = nm.hooked(model).run_with_cache(IMAGES)
    for name in ("bn1.hook_out", "layer1.0.bn1.hook_out", "layer3.1.bn2.hook_out"):
        assert (cache[name] < 0).any(), name  # TransformerLens and nnsight lose these: the ReLU after them is in place
    assert (cache["layer1.0.relu.hook_out@1"] >= 0).all()


def test_attention_patterns_are_hook_points_that_can_be_changed() -> None:
    torch.manual_seed(0)
    model = nm.hooked(VisionTransformer().eval())
    logits, cache = model.run_with_cache(IMAGES)
    pattern = cache["attentions.1.pattern.hook_out"]
    assert pattern.shape == (6, 3, 16, 16)
    torch.testing.assert_close(pattern.sum(-1), torch.ones(6, 3, 16))

    def even(tensor: Tensor, hook: Any) -> Tensor:
        return torch.full_like(tensor, 1 / 16)

    changed = model.run_with_hooks(IMAGES, fwd_hooks=[("attentions.1.pattern.hook_out", even)])
    assert (changed - logits).abs().max() > 1e-4


def test_a_layer_that_runs_three_times_is_kept_call_by_call_and_one_call_can_be_cut() -> None:
    torch.manual_seed(0)
    model = Reused()
    lens = nm.hooked(model)
    _, cache = lens.run_with_cache(IMAGES)
    assert [name for name in cache if name.startswith("again")] == [f"again.hook_out@{k}" for k in range(3)]
    for call, expected in enumerate(by_torch(model, "again", IMAGES)):
        torch.testing.assert_close(cache[f"again.hook_out@{call}"], expected)
    out = lens.run_with_hooks(IMAGES, fwd_hooks=[("again.hook_out@2", lambda tensor, hook: torch.zeros_like(tensor))])
    torch.testing.assert_close(out, model.last.bias.expand(6, 10))


def test_several_inputs_pass_through_by_place_and_by_keyword() -> None:
    model = TwoInputs()
    number = torch.rand(6, 1)
    out, cache = nm.hooked(model).run_with_cache(IMAGES, number=number)
    torch.testing.assert_close(out, model(IMAGES, number=number))
    torch.testing.assert_close(cache["number.hook_out"], model.number(number))


def test_dict_and_tuple_outputs_pass_through_and_have_named_parts() -> None:
    model = Named()
    lens = nm.hooked(model)
    out, cache = lens.run_with_cache(IMAGES)
    torch.testing.assert_close(out["logits"], model(IMAGES)["logits"])
    memory = ["memory.hook_out.0", "memory.hook_out.1"]
    assert list(cache) == ["body.hook_out", *memory, "head.hook_out", "hook_out.logits", "hook_out.features"]
    torch.testing.assert_close(cache["hook_out.features"], out["features"])
    gradients = lens.run_with_cache(IMAGES, incl_bwd=True, loss=lambda out: out["logits"].sum())[1]
    assert gradients["body.hook_out_grad"].shape == (6, 12)
    for name, kind, part in (("memory.hook_out", "tuple", "0"), ("hook_out", "dict", "logits")):
        with pytest.raises(nm.errors.HookError, match=f"'{name}' saw a {kind}, not a tensor: .*{name}.{part}"):
            lens.run_with_cache(IMAGES, names_filter=name)


@pytest.mark.parametrize("kind", [LeNet, lambda: ResNet18(width=4), VisionTransformer, Reused])
def test_their_life_is_recorded_and_read_back(tmp_path: Path, kind: Any) -> None:
    torch.manual_seed(0)
    model = kind()
    config = nm.RecordConfig(per_octave=1, probe_size=20)
    nm.train(
        model, digits(), nm.TrainConfig(epochs=1, batch_size=20), observers=[nm.Recorder(tmp_path / "run", config)]
    )
    run = nm.Run.open(tmp_path / "run")
    assert run.verify() == []
    torch.manual_seed(1)
    back = run.model(into=kind())
    expected = nm.activations(back, run.probe)
    assert set(run.hook_points) == set(expected)
    for name in run.hook_points:
        logged, now = run.activations(name)[-1], expected[name]
        if now.dims[1:] == ("channel", "row", "col"):
            now = now.mean(("row", "col"))
        assert logged.shape[0] == now.shape[0] == 20
        if logged.shape == now.shape:
            np.testing.assert_allclose(logged, now, atol=2e-3, rtol=2e-3, err_msg=name)


@pytest.mark.parametrize(("size", "classes"), [(9, 4), (33, 17)])
def test_idx_folders_of_other_sizes_and_class_counts(tmp_path: Path, size: int, classes: int) -> None:
    made = digits(size, classes, 10 * classes)
    for part, images in (("train", made.train), ("t10k", made.test)):
        for kind, array in (("images-idx3", images.images), ("labels-idx1", images.labels.astype(np.uint8))):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
            (tmp_path / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())
    data = nm.data.load(tmp_path)
    assert (data.train.image_shape, data.train.classes) == ((size, size), classes)
    model = nm.CNN(nm.CNNConfig(image_shape=(size, size), classes=classes, channels=(4,), head=()))
    nm.train(model, data, nm.TrainConfig(epochs=1, batch_size=10))
    assert np.isfinite(nm.evaluate(model, data.test).loss)


@pytest.mark.filterwarnings("default")  # torch.compile warns about itself
def test_what_cannot_work_says_why_in_one_line() -> None:
    with pytest.raises(
        nm.errors.HookError, match=r"hooked\(\) takes a torch module; got builtin_function_or_method"
    ) as no_module:
        nm.hooked(torch.relu)  # type: ignore[arg-type]
    with pytest.raises(nm.errors.HookError, match=r"torch\.compile would silently ignore a hook") as compiled:
        nm.hooked(torch.compile(LeNet()))
    with pytest.raises(nm.errors.UnknownName, match=r"no hook point 'conv3\.hook_out'; .* did you mean") as name:
        nm.hooked(LeNet()).run_with_cache(IMAGES, names_filter="conv3.hook_out")
    pair = nn.GRU(28, 8, batch_first=True)
    with pytest.raises(
        nm.errors.DataError, match=r"Sequential gave a tuple; .* gives logits \[example, class\]: wrap it"
    ) as a_dict:
        nm.train(nn.Sequential(nn.Flatten(1, 2), pair), digits(), nm.TrainConfig(epochs=1))
    with pytest.raises(TypeError, match=r"missing 1 required keyword-only argument: 'number'") as an_input:
        nm.train(TwoInputs(), digits(), nm.TrainConfig(epochs=1))
    for raised in (no_module, compiled, name, a_dict, an_input):
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_transformers_vit_has_tokens_and_attention_patterns(attention: str) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    about = transformers.ViTConfig(**sizes, image_size=(8, 6), patch_size=2, num_channels=1, num_labels=3)
    torch.manual_seed(0)
    vit = transformers.ViTForImageClassification._from_config(about, attn_implementation=attention).eval()
    lens, images = nm.hooked(vit), IMAGES[..., :8, :6]
    by_hand = {"output_attentions": True} if attention == "eager" else {}
    with torch.no_grad():
        output, cache = lens.run_with_cache(images, **by_hand)
        assert cache["hook_out.logits"].equal(vit(images, **by_hand).logits)
    (point, *_) = [name for name in lens.hook_points if name.endswith("attention.hook_out")]
    if attention == "eager":
        assert cache["hook_out.attentions.0"].equal(output.attentions[0])
        assert cache[f"{point}.1"].equal(output.attentions[0])
    else:
        eager = transformers.ViTForImageClassification._from_config(deepcopy(about), attn_implementation="eager").eval()
        eager.load_state_dict(vit.state_dict())
        name = point.replace("hook_out", "hook_pattern")
        pattern = lens.run_with_cache(images, names_filter=name)[1][name]
        assert pattern.allclose(eager(images, output_attentions=True).attentions[0], atol=1e-6)
    tokens = nm.activations(vit, images)
    assert {tokens[name].dims for name in tokens if tokens[name].ndim == 3} == {("example", "token", "unit")}


def test_units_of_a_vits_tokens_are_ablated_as_by_hand() -> None:
    torch.manual_seed(0)
    model, data = VisionTransformer().eval(), digits(count=12).test
    name = next(name for name, acts in nm.activations(model, data).items() if "token" in acts.dims)
    effects = nm.analysis.causal.ablate_all(model, data, f"{name}[0]")["loss_change"]
    images, labels = data.tensor(), data.label_tensor()
    loss = lambda: nn.functional.cross_entropy(model(images), labels, reduction="none").detach()  # noqa: E731
    before = loss()
    for unit in range(0, effects.sizes["unit"], 5):

        def cut(module: nn.Module, given: Any, output: Tensor, unit: int = unit) -> Tensor:
            kept = output.clone()
            kept[:, 0, unit] = 0
            return kept

        handle = model.get_submodule(name.removesuffix(".hook_out")).register_forward_hook(cut)
        np.testing.assert_allclose(effects[unit], loss() - before, atol=1e-5)
        handle.remove()
