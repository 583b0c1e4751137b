"""The activation cache: keys, slices, named arrays, files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets import small_images, small_mlp
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from neural_microscope import ActivationCache, CNNConfig, hooked
from neural_microscope.errors import HookError, UnknownName
from neural_microscope.models import CNN


@pytest.fixture(scope="module")
def cnn() -> CNN:
    return CNN(CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,))).eval()


@pytest.fixture(scope="module")
def cache(cnn: CNN) -> ActivationCache:
    images = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return cnn.run_with_cache(images, incl_bwd=True, loss=lambda logits: logits[:, 1].sum())[1]


def bit_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    return list(left) == list(right) and all(
        left[n].dtype == right[n].dtype and torch.equal(left[n], right[n]) for n in left
    )


def test_a_pair_means_kind_and_layer(cache: ActivationCache) -> None:
    for layer, negative in ((0, -3), (1, -2), (2, -1)):
        assert cache["post", layer] is cache["post", negative] is cache[f"layers.{layer}.hook_post"]
        assert cache["pre_grad", layer] is cache["pre_grad", negative] is cache[f"layers.{layer}.hook_pre_grad"]
    assert cache["pool", -1] is cache["layers.1.hook_pool"]  # the last layer that has one
    assert ("post", 2) in cache
    assert ("post", 3) not in cache
    assert ("pool", 2) not in cache
    assert "logits" in cache
    assert 3 not in cache
    assert cache.get("nothing") is None


def test_it_is_a_mapping_in_the_order_of_the_forward_pass(cache: ActivationCache, cnn: CNN) -> None:
    assert isinstance(cache, Mapping)
    points = list(cnn.hook_points)
    assert list(cache) == list(cache.keys()) == [*points, *(f"{p}_grad" for p in points)]
    assert len(cache) == len(cache.values()) == 2 * len(points)
    assert repr(cache).startswith(f"ActivationCache of {len(cache)}:\n  input: [4, 1, 4, 4] float32\n")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("layers.0.hook_pots", "did you mean 'layers.0.hook_post'"),
        (("pots", 0), "no kind of hook point 'pots'.*did you mean 'post'"),
        (("post", 3), "layer 3 has no hook_post; layers 0, 1, 2 have"),
        (("post", -4), "layer -4 has no hook_post; layers 0, 1, 2 have"),
        (("pool", 2), "layer 2 has no hook_pool; layers 0, 1 have"),
        (("logits", 0), "no kind of hook point 'logits'"),
        (7, r"a key is a name, or a pair like \('post', 0\).*got 7"),
        (("post", "0"), r"got \('post', '0'\)"),
        (("post", 0, 1), "a key is a name, or a pair"),
    ],
)
def test_a_wrong_key_says_what_is_possible(cache: ActivationCache, key: object, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        cache[key]  # type: ignore[index]


def test_an_uncached_last_layer_is_an_error_and_never_another_layers_tensor() -> None:
    model = small_mlp()
    _, cache = model.run_with_cache(small_images(), names_filter=["layers.0.hook_post", "layers.1.hook_pre"])
    for key in (("post", -1), ("post", 1), "layers.1.hook_post"):
        with pytest.raises(UnknownName, match=r"'layers\.1\.hook_post' is not in this cache; it holds"):
            cache[key]
    assert cache["post", -2] is cache["layers.0.hook_post"]
    with pytest.raises(UnknownName, match=r"'layers\.1\.hook_pre_grad' is not in this cache"):
        cache["pre_grad", -1]


def test_a_pair_that_may_mean_two_modules_is_an_error() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(9, 5), nn.ReLU()), nn.Linear(5, 2))
    _, cache = hooked(net).run_with_cache(small_images())
    with pytest.raises(UnknownName, match=r"may mean 1\.hook_out or 1\.0\.hook_out or 1\.1\.hook_out; give the name"):
        cache["out", 1]
    assert cache["out", 2] is cache["out", -1] is cache["2.hook_out"]


def test_to_converts_every_tensor(cache: ActivationCache) -> None:
    half = cache.to(torch.float16)
    assert {t.dtype for t in half.values()} == {torch.float16}
    assert {t.device.type for t in cache.to("meta").values()} == {"meta"}
    assert torch.equal(half["logits"], cache["logits"].half())
    assert half["post", -1] is half["layers.2.hook_post"]


@settings(deadline=None, max_examples=40)
@given(
    which=st.one_of(
        st.integers(-4, 3),
        st.slices(4).filter(lambda s: s.step is None or s.step > 0),  # torch has no other steps
        st.lists(st.integers(-4, 3), max_size=5),
        st.lists(st.booleans(), min_size=4, max_size=4).map(lambda flags: torch.tensor(flags)),
    )
)
def test_slices_take_examples_out_of_every_tensor(which: object) -> None:
    tensors = {"input": torch.rand(4, 1, 2, 2), "layers.0.hook_post": torch.rand(4, 3), "logits": torch.rand(4, 2)}
    taken = ActivationCache(tensors).apply_slice_to_batch_dim(which)
    index = which.numpy() if isinstance(which, Tensor) else np.array(which, int) if isinstance(which, list) else which
    for name, tensor in tensors.items():
        assert np.array_equal(taken[name].numpy(), tensor.numpy()[index])
    assert taken.has_batch_dim is not isinstance(which, int)
    assert list(taken.to_xarray()) == list(tensors)


def test_a_single_example_cannot_be_sliced_again(cache: ActivationCache) -> None:
    one = cache.apply_slice_to_batch_dim(2)
    assert one["layers.2.hook_post"].shape == (5,)
    with pytest.raises(HookError, match="no example axis left"):
        one.apply_slice_to_batch_dim(0)


@pytest.mark.parametrize("single", [False, True])
def test_named_arrays_have_the_axes_of_a_log(cache: ActivationCache, single: bool) -> None:
    some = cache.apply_slice_to_batch_dim(1 if single else slice(None))
    table = some.to_xarray()
    example = () if single else ("example",)
    pool = "layers.1.hook_pool"
    for suffix in ("", "_grad"):  # a gradient lines up with its activation
        assert table["logits" + suffix].dims == (*example, "class")
        assert table[f"layers.2.hook_post{suffix}"].dims == (*example, "unit_layers.2.hook_post")
        assert table[pool + suffix].dims == (*example, f"channel_{pool}", f"row_{pool}", f"col_{pool}")
    assert table.attrs == {"training_mode": 0}
    for name, tensor in some.items():
        assert np.array_equal(table[name].values, tensor.numpy())


def test_odd_tensors_become_arrays_too() -> None:
    tensors = {"scalar": torch.tensor(2.0), "brain": torch.rand(3, 2).bfloat16(), "cube": torch.rand(3, 2, 2)}
    table = ActivationCache(tensors).to_xarray()
    assert table["scalar"].dims == ()
    assert table["brain"].dtype == np.float32
    assert np.array_equal(table["brain"].values, tensors["brain"].float().numpy())
    assert table["cube"].dims == ("example", "axis_1_cube", "axis_2_cube")


def test_the_axes_of_a_foreign_modules_maps_are_not_guessed() -> None:
    cache = ActivationCache({"last.hook_out@0": torch.rand(3, 4, 4, 5), "dense.hook_out": torch.rand(3, 2)})
    axes = [f"axis_{place}_last.hook_out@0" for place in (1, 2, 3)]
    assert cache.to_xarray()["last.hook_out@0"].dims == ("example", *axes)
    assert cache.apply_slice_to_batch_dim(0).to_xarray()["last.hook_out@0"].dims == tuple(axes)
    assert cache.to_xarray()["dense.hook_out"].dims == ("example", "unit_dense.hook_out")


tensors = st.dictionaries(
    st.sampled_from(["input", "layers.0.hook_post", "relu.hook_out@0", "relu.hook_out@1", "logits_grad"]),
    st.builds(
        lambda shape, dtype, seed: torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype).mT,
        st.lists(st.integers(0, 3), min_size=2, max_size=4),
        st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.complex64]),
        st.integers(0, 99),
    ),
    min_size=1,
)


@settings(deadline=None, max_examples=40)
@given(tensors=tensors, training=st.booleans())
def test_a_saved_cache_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor], training: bool
) -> None:
    path = tmp_path_factory.mktemp("caches") / "cache.safetensors"
    cache = ActivationCache(tensors, ("input", "layers.0.hook_post"), training)
    cache.save(path)
    loaded = ActivationCache.load(path)
    assert bit_equal(cache, loaded)
    assert (loaded.hook_points, loaded.training) == (cache.hook_points, training)
    assert loaded.has_batch_dim


def test_the_file_holds_the_tensors_and_nothing_of_the_model(tmp_path: Path, cnn: CNN) -> None:
    _, cache = cnn.run_with_cache(torch.rand(2, 1, 4, 4), names_filter=["logits", "layers.0.hook_post"])
    path = tmp_path / "cache.safetensors"
    cache.save(str(path))
    assert set(load_file(path)) == {"logits", "layers.0.hook_post"}
    assert path.stat().st_size < sum(t.nbytes for t in cache.values()) + 1000
    loaded = ActivationCache.load(path)
    assert bit_equal(cache, loaded)
    assert loaded["post", 0] is loaded["layers.0.hook_post"]
    with pytest.raises(UnknownName, match=r"'layers\.2\.hook_post' is not in this cache"):
        loaded["post", -1]
    one = cache.apply_slice_to_batch_dim(0)
    one.save(path)
    assert ActivationCache.load(path).has_batch_dim is False


def test_any_other_file_is_named_in_the_error(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "weights.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"by": "somebody"})
    (tmp_path / "text.safetensors").write_text("no tensors here, only words")
    for name in ("weights", "other", "text"):
        with pytest.raises(HookError, match=rf"{name}\.safetensors is not (an ActivationCache|a safetensors file)"):
            ActivationCache.load(tmp_path / f"{name}.safetensors")
    with pytest.raises(FileNotFoundError):
        ActivationCache.load(tmp_path / "missing.safetensors")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ActivationCache]:
    """A small cache and its file, whose content the tests below change."""
    path = tmp_path_factory.mktemp("written") / "cache.safetensors"
    cache = ActivationCache(
        {"input": torch.arange(3.0), "a": torch.tensor([[True]]), "b@1": torch.zeros(0, 2)}, ("input", "a", "b")
    )
    cache.save(path)
    return path, cache


def same_or_one_error(path: Path, content: bytes, cache: ActivationCache) -> bool:
    """True if changed content is refused; if not, the values read are equal."""
    changed = path.with_name("changed.safetensors")
    changed.write_bytes(content)
    try:
        found = ActivationCache.load(changed)
    except HookError as error:
        assert "changed.safetensors" in str(error)  # noqa: PT017
        return True
    assert bit_equal(found, cache)
    assert (found.hook_points, found.training, found.has_batch_dim) == (cache.hook_points, False, True)
    return False


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_file_of_other_bytes_is_an_error_that_names_it(
    written: tuple[Path, ActivationCache], data: st.DataObject
) -> None:
    path, cache = written
    content = bytearray(path.read_bytes())
    at, mask = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    content[at] ^= mask
    assert same_or_one_error(path, bytes(content), cache)
    assert same_or_one_error(path, path.read_bytes()[:at], cache)


FIELDS = st.sampled_from(["order", "hook_points", "training", "has_batch_dim", "sha256", "more"])


@settings(deadline=None, max_examples=100)
@given(
    changes=st.dictionaries(
        FIELDS, st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text() | st.integers())
    )
)
def test_what_a_file_says_of_itself_is_checked(
    written: tuple[Path, ActivationCache], changes: dict[str, object]
) -> None:
    path, cache = written
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["neural_microscope_cache"])
    del about["sha256"]  # as in a file of an older release
    content = save(dict(cache), {"neural_microscope_cache": json.dumps(about)})
    assert not same_or_one_error(path, content, cache)
    changed = save(dict(cache), {"neural_microscope_cache": json.dumps({**about, **changes})})
    try:
        path.with_name("x.safetensors").write_bytes(changed)
        ActivationCache.load(path.with_name("x.safetensors"))
    except HookError as error:
        assert "x.safetensors" in str(error)  # noqa: PT017


def test_a_cache_says_when_the_model_was_training() -> None:
    model, images = small_mlp().train(), small_images()
    _, cache = model.run_with_cache(images)
    assert cache.training
    assert "(training mode)" in repr(cache)
    assert cache.to_xarray().attrs == {"training_mode": 1}
    assert not model.eval().run_with_cache(images)[1].training
    plain = nn.Linear(9, 2)
    lens = hooked(nn.Sequential(nn.Flatten(), plain))
    lens.module.eval()  # behind the wrapper's back
    assert not lens.run_with_cache(images)[1].training
