"""to_transformer_lens: a genuine HookedRootModule of the current release, with its own methods, and our numbers."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

import neural_microscope as nm

pytestmark = pytest.mark.interop
transformer_lens = pytest.importorskip("transformer_lens", reason="make test-interop has it")

IMAGES = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "mlp": lambda: nm.MLP(nm.MLPConfig(hidden=(32, 16), pixel_mean=0.13, pixel_std=0.3), seed=1),
    "deep mlp, normed": lambda: nm.MLP(
        nm.MLPConfig(hidden=(12, 12, 12), norm="layer", norm_position="after", dropout=0.2)
    ),
    "cnn": lambda: nm.CNN(nm.CNNConfig(channels=(4, 6), head=(16,), norm="batch"), seed=2),
}
OURS = {"hook_input": "input", "hook_logits": "logits"}


@pytest.fixture(params=NETWORKS)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    model = NETWORKS[request.param]().eval()
    return model, nm.interop.to_transformer_lens(model)


def ours(name: str) -> str:
    """Our name of one of their hook points."""
    return OURS.get(name) or name.replace("blocks.", "layers.").replace(".mlp.", ".")


def test_it_is_theirs_and_every_hook_point_holds_our_numbers(pair: tuple[Any, Any]) -> None:
    model, lens = pair
    assert isinstance(lens, transformer_lens.HookedRootModule)
    out, cache = model.run_with_cache(IMAGES)
    theirs_out, theirs = lens.run_with_cache(IMAGES)
    assert {ours(name) for name in theirs} == set(cache)
    assert torch.equal(out, theirs_out)
    for name, tensor in theirs.items():
        torch.testing.assert_close(tensor, cache[ours(name)], atol=1e-6, rtol=0, msg=name)


def test_their_activation_cache_is_asked_by_layer(pair: tuple[Any, Any]) -> None:
    model, lens = pair
    _, cache = model.run_with_cache(IMAGES)
    theirs = nm.interop.activation_cache(lens.run_with_cache(IMAGES)[1], lens)
    assert isinstance(theirs, transformer_lens.ActivationCache)
    last = len(model.layers) - 1
    assert lens.cfg.n_layers == last + 1
    torch.testing.assert_close(theirs["post", -1], cache[f"layers.{last}.hook_post"])
    torch.testing.assert_close(theirs["pre", 0], cache["layers.0.hook_pre"])
    torch.testing.assert_close(theirs["mlp_post", 1], cache["layers.1.hook_post"])


def test_gradients_are_the_same(pair: tuple[Any, Any]) -> None:
    model, lens = pair
    _, cache = model.run_with_cache(IMAGES, incl_bwd=True, loss=lambda out: out[:, 3].sum())
    cache_theirs, fwd, bwd = lens.get_caching_hooks(incl_bwd=True)
    with lens.hooks(fwd, bwd):
        lens(IMAGES)[:, 3].sum().backward()
    for layer in range(len(model.layers)):
        torch.testing.assert_close(
            cache_theirs[f"blocks.{layer}.mlp.hook_post_grad"],
            cache[f"layers.{layer}.hook_post_grad"],
            atol=1e-6,
            rtol=0,
        )


def test_hooks_change_what_ours_change(pair: tuple[Any, Any]) -> None:
    model, lens = pair

    def cut(tensor: torch.Tensor, hook: Any) -> torch.Tensor:
        tensor[:, 3] = 0
        return tensor

    expected = model.run_with_hooks(IMAGES, fwd_hooks=[("layers.1.hook_post", cut)])
    torch.testing.assert_close(lens.run_with_hooks(IMAGES, fwd_hooks=[("blocks.1.mlp.hook_post", cut)]), expected)
    with lens.hooks([("blocks.1.mlp.hook_post", cut)]):
        torch.testing.assert_close(lens(IMAGES), expected)
    torch.testing.assert_close(lens(IMAGES), model(IMAGES))


def test_their_patching_runs_on_it_and_finds_what_ours_finds() -> None:
    import pandas as pd

    model = NETWORKS["mlp"]().eval()
    lens = nm.interop.to_transformer_lens(model)
    clean, corrupted = IMAGES[:1], IMAGES[1:2]
    cache = nm.interop.activation_cache(lens.run_with_cache(clean)[1], lens)

    def setter(activation: torch.Tensor, index: Any, clean_activation: torch.Tensor) -> torch.Tensor:
        activation[:, index[1]] = clean_activation[:, index[1]]
        return activation

    units = pd.DataFrame([(0, unit) for unit in range(32)], columns=["layer", "unit"])
    with torch.no_grad():
        theirs = transformer_lens.patching.generic_activation_patch(
            lens, corrupted, cache, lambda logits: logits[0, 3], setter, "post", index_df=units
        )
    for unit in range(32):
        with torch.no_grad():
            patched = model.run_with_hooks(
                corrupted,
                fwd_hooks=[("layers.0.hook_post", nm.interventions.patch(cache["post", 0], unit=unit))],
            )
        assert float(theirs.flatten()[unit]) == pytest.approx(float(patched[0, 3]), abs=1e-6)


def test_weights_are_a_copy_and_names_and_mode_are_told() -> None:
    model = NETWORKS["deep mlp, normed"]()
    lens = nm.interop.to_transformer_lens(model)
    assert lens.training
    assert not nm.interop.to_transformer_lens(model.eval()).training
    with torch.no_grad():
        lens.blocks[0].mlp.linear.weight.zero_()
    assert model.layers[0].linear.weight.abs().sum() > 0
    assert "blocks.2.mlp.norm.weight" in lens.state_dict()
    assert {name.split(".")[0] for name in lens.state_dict()} == {"blocks", "output"}


METHODS = {
    "run_with_cache": {"names_filter", "device", "incl_bwd"},
    "run_with_hooks": {"fwd_hooks", "bwd_hooks"},
    "hooks": {"fwd_hooks", "bwd_hooks"},
    "add_hook": {"name", "hook", "dir", "is_permanent"},
    "reset_hooks": {"direction", "including_permanent"},
}
"""The arguments that both take."""
THEIRS_ALONE = {
    "run_with_cache": {"remove_batch_dim", "reset_hooks_end", "clear_contexts", "pos_slice"},
    "run_with_hooks": {"reset_hooks_end", "clear_contexts"},
    "hooks": {"reset_hooks_end", "clear_contexts"},
    "add_hook": {"level", "prepend"},
    "reset_hooks": {"clear_contexts", "level"},
}
"""Not taken on purpose: pos_slice slices the batch of an image network, remove_batch_dim hides an axis that has a name here, there is no
hook.ctx to clear, and ours always end what they began, in the order in which it was attached."""
OURS_ALONE = {
    "run_with_cache": {"loss", "stop_at"},
    "run_with_hooks": {"stop_at", "strict"},
    "hooks": {"strict"},
    "add_hook": {"strict"},
    "reset_hooks": set[str](),
}
"""A loss for gradients, an early end, and a way to lift the checks."""


@pytest.mark.parametrize("method", METHODS)
def test_signatures_differ_where_the_lists_above_say_so_and_nowhere_else(method: str) -> None:
    def keywords(function: Any) -> set[str]:
        found = inspect.signature(function).parameters.values()
        return {p.name for p in found if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}

    mine, theirs = (
        keywords(getattr(nm.HookedModel, method)),
        keywords(getattr(transformer_lens.HookedRootModule, method)),
    )
    assert mine & theirs == METHODS[method]
    assert theirs - mine == THEIRS_ALONE[method]
    assert mine - theirs == OURS_ALONE[method]
