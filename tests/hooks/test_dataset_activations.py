"""activations(): a whole data set, batch by batch, in memory or on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import InPlace, Odd, Residual, Twice, census, size, small_images, small_mlp
from torch import Tensor, nn

from neural_microscope import CNNConfig, MLPConfig, activations, hooked
from neural_microscope.data import ImageSet
from neural_microscope.errors import DataError, HookError, UnknownName
from neural_microscope.hooks import evaluation
from neural_microscope.models import CNN, MLP

MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: small_mlp(dropout=0.5, norm="batch"),
    "cnn": lambda: CNN(CNNConfig(image_shape=(3, 3), classes=4, channels=(2,), head=(5,), dropout=0.3)),
    "in place": InPlace,
    "residual": Residual,
    "twice": Twice,
    "odd": Odd,
}


@settings(deadline=None, max_examples=80)
@given(kind=st.sampled_from(sorted(MODELS)), length=st.integers(1, 9), batch=st.integers(1, 10), disk=st.booleans())
def test_any_batch_size_gives_each_batchs_bits_and_nearly_those_of_one_big_pass(
    tmp_path_factory: pytest.TempPathFactory, kind: str, length: int, batch: int, disk: bool
) -> None:
    torch.manual_seed(0)
    model, images = MODELS[kind](), small_images(length)
    lens = hooked(model)
    folder = tmp_path_factory.mktemp("acts") / "new" if disk else None
    found = activations(model, images, batch_size=batch, folder=folder)
    with torch.no_grad(), evaluation(model):
        _, whole = lens.run_with_cache(images)
        parts = [lens.run_with_cache(part)[1] for part in images.split(batch)]
    assert set(found) == set(whole)
    for name, array in found.items():
        assert np.array_equal(array.values, torch.cat([part[name] for part in parts]).numpy())
        np.testing.assert_allclose(array.values, whole[name].numpy(), atol=1e-6)
        assert array.dims[0] == "example"
        assert array.name == array.attrs["hook_point"] == name
        if folder:
            stored = np.load(folder / f"{name}.npy", mmap_mode="r")
            assert np.array_equal(stored, array.values)
    if folder:
        assert {path.name for path in folder.iterdir()} == {f"{name}.npy" for name in found}


def test_axes_and_labels_are_named() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 3), dtype=np.uint8)
    digits = ImageSet(pixels, np.array([3, 1, 0, 2, 1, 0]), classes=4)
    for model in (small_mlp(), MODELS["cnn"]()):
        found = activations(model, digits, batch_size=4)
        for array in found.values():
            assert np.array_equal(array["label"].values, digits.labels)
            assert array["label"].dims == ("example",)
        assert found["logits"].dims == ("example", "class")
        assert found["input"].dims == ("example", "channel", "row", "col")
        np.testing.assert_allclose(found["input"].values[:, 0], pixels / 255, atol=1e-7)
    assert found["layers.0.hook_pool"].dims == ("example", "channel", "row", "col")
    assert found["layers.1.hook_post"].dims == ("example", "unit")
    assert "label" not in activations(model, digits.tensor())["logits"].coords


def test_a_filter_chooses_hook_points() -> None:
    model, images = small_mlp(), small_images()
    assert list(activations(model, images, "logits")) == ["logits"]
    assert list(activations(model, images, lambda n: n.endswith("pre"))) == ["layers.0.hook_pre", "layers.1.hook_pre"]
    found = activations(hooked(Twice()), images, ["relu.hook_out@1", "hook_out"], batch_size=3)
    assert list(found) == ["relu.hook_out@1", "hook_out"]
    with pytest.raises(UnknownName, match="did you mean 'logits'"):
        activations(model, images, "logit")
    with pytest.raises(UnknownName, match="empty collection"):
        activations(model, images, [])


def test_arrays_on_disk_are_memory_mapped_files(tmp_path: Path) -> None:
    found = activations(small_mlp(), small_images(), folder=tmp_path / "a" / "b")
    array = found["layers.0.hook_post"].values
    while not isinstance(array, np.memmap):
        array = array.base
        assert array is not None
    assert Path(array.filename) == tmp_path / "a" / "b" / "layers.0.hook_post.npy"


def test_reused_modules_get_numbered_names_and_files(tmp_path: Path) -> None:
    net, images = Twice(), small_images()
    found = activations(net, images, batch_size=3, folder=tmp_path)
    first = net.first(images.flatten(1)).clamp(min=0)
    np.testing.assert_allclose(found["relu.hook_out@0"].values, first.detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(
        np.load(tmp_path / "relu.hook_out@1.npy"), net.second(first).clamp(min=0).detach().numpy(), atol=1e-6
    )
    assert not (tmp_path / "relu.hook_out.npy").exists()


def test_an_occupied_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "logits.npy").write_bytes(b"precious")
    with pytest.raises(HookError, match=r"already holds logits\.npy; give an empty folder"):
        activations(small_mlp(), small_images(), folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["logits.npy"]
    assert (tmp_path / "logits.npy").read_bytes() == b"precious"


@settings(deadline=None, max_examples=40)
@given(data=st.data(), kind=st.sampled_from(["mlp", "cnn", "odd"]), fails=st.booleans())
def test_every_submodule_keeps_the_mode_it_had_also_after_an_exception(
    data: st.DataObject, kind: str, fails: bool
) -> None:
    model, images = MODELS[kind](), small_images(5)
    for module in model.modules():
        module.training = data.draw(st.booleans())
    before = [module.training for module in model.modules()]
    during: list[bool] = []
    model.register_forward_hook(lambda *_: during.extend(m.training for m in model.modules()))
    attached = census(model)
    if fails:
        last = list(model.modules())[-1]
        last.register_forward_pre_hook(lambda *_: 1 / 0)
        hooked(model)._sites()["logits" if kind != "odd" else "hook_out"].module.register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            activations(model, images, batch_size=2)
    else:
        activations(model, images, batch_size=2)
        assert census(model) == attached
    assert [module.training for module in model.modules()] == before
    assert not any(during)


@pytest.mark.parametrize(
    ("images", "settings", "error", "said"),
    [
        (torch.zeros(0, 1, 3, 3), {}, HookError, "there are no images"),
        (torch.tensor(1.0), {}, HookError, "there are no images"),
        (small_images(), {"batch_size": 0}, HookError, "batch_size is 0; it must be at least 1"),
        (small_images().numpy(), {}, DataError, "takes an ImageSet or a torch tensor of images; got ndarray"),
        (small_images() * 255, {}, DataError, "Divide pixels 0..255 by 255"),
    ],
)
def test_wrong_input_is_an_error(images: object, settings: dict, error: type, said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        activations(small_mlp(), images, **settings, folder=tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


class Moody(nn.Module):
    """Submodules whose output is no array [example, …], or only sometimes."""

    def __init__(self) -> None:
        super().__init__()
        self.always, self.rarely, self.table = nn.Linear(9, 3), nn.Linear(3, 3), nn.Embedding(2, 3)
        self.total, self.growing = Total(), Growing()

    def forward(self, x: Tensor) -> Tensor:
        out = self.always(x.flatten(1))
        if len(x) == 3:
            out = self.rarely(out)
        return out + self.table(torch.tensor([1])) + self.total(out) + self.growing(out).sum(1, keepdim=True)


class Total(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum()


class Growing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, : len(x)] if len(x) < 3 else x


@pytest.mark.parametrize("folder", [False, True])
def test_what_no_array_can_hold_is_left_out_or_an_error_where_named(tmp_path: Path, folder: bool) -> None:
    net, images = Moody(), small_images(7)
    where = tmp_path / "acts" if folder else None
    kept = activations(net, images, batch_size=3, folder=where)
    assert set(kept) == {"hook_out", "always.hook_out"}
    if folder:
        assert {path.name for path in where.iterdir()} == {"hook_out.npy", "always.hook_out.npy"}
    for name, said in (
        ("rarely.hook_out", "reached for only 6 of 7 images"),
        ("table.hook_out", r"held \[1, 3\].*no array \[example"),
        ("total.hook_out", r"held \[\]"),
        ("growing.hook_out", r"held \[1, 1\]"),
    ):
        with pytest.raises(HookError, match=said):
            activations(net, images, name, batch_size=3, folder=tmp_path / name if folder else None)
    with pytest.raises(HookError, match=r"saw a tuple"):
        activations(Odd(), images, "pair.hook_out")
    with pytest.raises(HookError, match=r"never reached unused\.hook_out"):
        activations(Odd(), images, "unused.hook_out")
    with pytest.raises(HookError, match="nothing to keep"):
        activations(net, images, lambda name: name.startswith("t"))
    assert size(census(net)) == 0
    assert not list(tmp_path.rglob("*.part"))


def test_other_dtypes_are_kept_and_bfloat16_becomes_float32() -> None:
    images = small_images().double()
    assert activations(small_mlp().double(), images)["logits"].dtype == np.float64
    model = small_mlp().bfloat16()
    found = activations(model, small_images().bfloat16())["logits"]
    assert found.dtype == np.float32
    with torch.no_grad():
        assert np.array_equal(found.values, model(small_images().bfloat16()).float().numpy())


def test_activations_needs_no_gradients_and_leaves_none() -> None:
    model = MLP(MLPConfig(image_shape=(3, 3), hidden=()))
    images = small_images().requires_grad_(True)
    found = activations(model, images)
    assert list(found) == ["input", "logits"]
    assert images.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_image_that_is_not_all_numbers_is_named_for_a_module_that_would_take_it(value: float) -> None:
    images = torch.zeros(3, 1, 4, 4)
    images[1, 0, 2, 2] = value
    with pytest.raises(DataError, match="image 1 holds NaN or infinite pixels"):
        activations(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), images)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    with pytest.raises(HookError, match="kept is a file; give a folder"):
        activations(small_mlp(), small_images(6), folder=tmp_path / "kept")
