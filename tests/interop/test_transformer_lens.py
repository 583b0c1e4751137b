"""Side by side with TransformerLens: the same words, the same numbers on the same weights."""

from __future__ import annotations

import inspect

import pytest
import torch

import neural_microscope as nm

pytestmark = pytest.mark.interop
transformer_lens = pytest.importorskip("transformer_lens", reason="make test-interop has it")
HookPoint = pytest.importorskip("transformer_lens.hook_points").HookPoint

SHARED = {
    "run_with_cache": ["names_filter", "device", "incl_bwd"],
    "run_with_hooks": ["fwd_hooks", "bwd_hooks"],
    "hooks": ["fwd_hooks", "bwd_hooks"],
    "add_hook": ["name", "hook", "dir", "is_permanent"],
    "reset_hooks": ["direction", "including_permanent"],
}
"""Keywords of theirs that ours take too. Not taken on purpose: pos_slice (it slices the batch of an image network), remove_batch_dim,
clear_contexts (hook.ctx is not here), level, prepend, reset_hooks_end (ours always end what they began)."""


class Lens(transformer_lens.HookedRootModule):
    """Our MLP's weights in a genuine HookedRootModule."""

    def __init__(self, model: nm.MLP) -> None:
        super().__init__()
        self.first, self.second, self.last = model.layers[0].linear, model.layers[1].linear, model.output
        self.pre, self.post = HookPoint(), HookPoint()
        self.setup()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.post(torch.relu(self.pre(self.first(images.flatten(1)))))
        return self.last(torch.relu(self.second(x)))


@pytest.fixture
def pair() -> tuple[nm.MLP, Lens, torch.Tensor]:
    model = nm.MLP(nm.MLPConfig(hidden=(32, 16))).eval()
    return model, Lens(model).eval(), torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", SHARED)
def test_method_and_keyword_names_are_theirs(method: str) -> None:
    ours = inspect.signature(getattr(nm.HookedModel, method)).parameters
    theirs = inspect.signature(getattr(transformer_lens.HookedRootModule, method)).parameters
    for keyword in SHARED[method]:
        assert keyword in ours
        assert keyword in theirs


def test_caches_hold_the_same_numbers(pair: tuple[nm.MLP, Lens, torch.Tensor]) -> None:
    model, lens, images = pair
    ours_out, ours = model.run_with_cache(images)
    theirs_out, theirs = lens.run_with_cache(images)
    torch.testing.assert_close(ours_out, theirs_out)
    torch.testing.assert_close(ours["layers.0.hook_pre"], theirs["pre"])
    torch.testing.assert_close(ours["post", 0], theirs["post"])


def test_a_hook_written_for_them_works_here_unchanged(pair: tuple[nm.MLP, Lens, torch.Tensor]) -> None:
    model, lens, images = pair

    def ablate(tensor: torch.Tensor, hook: object) -> torch.Tensor:
        tensor[:, 14] = 0
        return tensor

    ours = model.run_with_hooks(images, fwd_hooks=[("layers.0.hook_post", ablate)])
    theirs = lens.run_with_hooks(images, fwd_hooks=[("post", ablate)])
    torch.testing.assert_close(ours, theirs)
