"""Attention patterns of torch's attention layer, and of modules that call the fused kernel: read and changed as by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import neural_microscope as nm
import small_runs
from neural_microscope.errors import HookError

IMAGES = small_runs.images(6, 0, side=8)
X = IMAGES.tensor()
HEADS, WIDTH = 2, 8


class Fused(nn.Module):
    """Self-attention by torch's fused kernel, and the same in single steps."""

    def __init__(self, by_hand: bool = False, **options: Any) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.by_hand, self.options, self.change = by_hand, options, lambda pattern: pattern

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        if not self.by_hand:
            return self.proj(
                functional.scaled_dot_product_attention(q, k, v, **self.options).transpose(1, 2).flatten(2)
            )
        scores = q @ k.transpose(-2, -1) * self.options.get("scale", 1 / math.sqrt(q.shape[-1]))
        mask = self.options.get("attn_mask")
        if self.options.get("is_causal"):
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        self.pattern = scores.softmax(-1)
        return self.proj((self.change(self.pattern) @ v).transpose(1, 2).flatten(2))


class Net(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention, self.out = attention, nn.Linear(WIDTH, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.squeeze(1)
        if isinstance(self.attention, nn.MultiheadAttention):
            rows = rows if self.attention.batch_first else rows.transpose(0, 1)
            found = self.attention(rows, rows, rows, need_weights=False)
            assert found[1] is None
            return self.out(found[0].mean(1 if self.attention.batch_first else 0))
        return self.out(self.attention(rows).mean(1))


MASK = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
OPTIONS = [
    {},
    {"is_causal": True},
    {"attn_mask": MASK},
    {"attn_mask": (MASK > 0.3) | torch.eye(8).bool()},
    {"scale": 0.1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "causal", "added", "boolean", "scale"])
def test_the_fused_kernels_pattern(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, by_hand = Net(Fused(**options)).eval(), Net(Fused(True, **options)).eval()
    by_hand.load_state_dict(model.state_dict())
    right = by_hand(X)
    lens = nm.hooked(model)
    output, cache = lens.run_with_cache(X, names_filter="attention.hook_pattern")
    assert output.equal(model(X))  # what is only read changes nothing
    assert cache["attention.hook_pattern"].allclose(by_hand.attention.pattern, atol=1e-6)
    found = nm.activations(model, IMAGES, "attention.hook_pattern")["attention.hook_pattern"]
    assert found.dims == ("example", "head", "query", "key")
    assert right.allclose(output, atol=1e-6)

    def first_key(pattern: Tensor, hook: Any) -> None:
        assert hook.axes == found.dims
        pattern[..., 1:] = 0

    by_hand.attention.change = lambda pattern: pattern * (torch.arange(8) == 0)
    assert lens.run_with_hooks(X, fwd_hooks=[("attention.hook_pattern", first_key)]).allclose(by_hand(X), atol=1e-6)
    assert model(X).equal(output)
    assert not model.attention._forward_hooks
    assert not model.attention._forward_pre_hooks


@pytest.mark.parametrize("batch_first", [True, False])
def test_torchs_attention_layer(batch_first: bool) -> None:
    torch.manual_seed(0)
    model = Net(nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first)).eval()
    lens, rows = nm.hooked(model), X.squeeze(1) if batch_first else X.squeeze(1).transpose(0, 1)
    pattern = model.attention(rows, rows, rows, average_attn_weights=False)[1]
    output, cache = lens.run_with_cache(X, names_filter="attention.hook_pattern")
    assert cache["attention.hook_pattern"].allclose(pattern, atol=1e-7)
    assert output.allclose(model(X), atol=1e-6)
    same = lens.run_with_hooks(X, fwd_hooks=[("attention.hook_pattern", lambda value, hook: value)])
    assert same.allclose(output, atol=1e-6)
    _, _, v = nn.functional.linear(X.squeeze(1), model.attention.in_proj_weight, model.attention.in_proj_bias).chunk(
        3, -1
    )
    v = v.unflatten(-1, (HEADS, -1)).transpose(1, 2)
    base = nn.functional.cross_entropy(output, IMAGES.label_tensor(), reduction="none")
    effects = nm.analysis.causal.ablate_all(model, IMAGES, "attention.hook_pattern")["loss_change"]
    assert effects.dims == ("head", "example")
    for head in range(HEADS):
        kept = pattern * (torch.arange(HEADS) != head)[:, None, None]
        logits = model.out(model.attention.out_proj((kept @ v).transpose(1, 2).flatten(2)).mean(1))
        loss = nn.functional.cross_entropy(logits, IMAGES.label_tensor(), reduction="none")
        assert torch.from_numpy(effects[head].values).float().allclose(loss - base, atol=1e-5)


def test_an_encoders_patterns_and_two_functions_at_one() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(WIDTH, HEADS, 9, 0.0, batch_first=True), 2).eval()
    lens, rows, seen = nm.hooked(encoder), X.squeeze(1), []
    names = [f"layers.{layer}.self_attn.hook_pattern" for layer in (0, 1)]
    output, cache = lens.run_with_cache(rows, names_filter=names)
    assert output.allclose(encoder(rows), atol=1e-6)
    assert all(cache[name].sum(-1).allclose(torch.ones(6, HEADS, 8)) for name in names)
    hooks = [(names[0], lambda value, hook: 0 * value), (names[0], lambda value, hook: seen.append(value))]
    lens.run_with_hooks(rows, fwd_hooks=hooks)
    assert seen[0].count_nonzero() == 0


def test_no_pattern_is_said_and_an_error_leaves_nothing() -> None:
    model = Net(Fused(by_hand=True))
    with pytest.raises(
        HookError, match=r"never reached attention\.hook_pattern: .* calls torch's scaled_dot_product_attention"
    ):
        nm.hooked(model).run_with_cache(X, names_filter="attention.hook_pattern")
    for attention in (Fused(), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)):
        lens = nm.hooked(Net(attention))
        with pytest.raises((RuntimeError, AssertionError)):
            lens.run_with_cache(X[..., :5], names_filter="attention.hook_pattern")
        assert torch.overrides._len_torch_function_stack() == 0
        assert not attention._forward_hooks
    odd = Net(nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, add_zero_attn=True)).eval()
    assert (
        nm.hooked(odd).run_with_cache(X, names_filter="attention.hook_pattern")[1]["attention.hook_pattern"].shape[-1]
        == 9
    )
    with pytest.raises(HookError, match="add_zero_attn"):
        nm.hooked(odd).run_with_hooks(X, fwd_hooks=[("attention.hook_pattern", lambda value, hook: value)])
