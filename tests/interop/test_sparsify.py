"""Activations of our networks as the source of EleutherAI's sparsify, a library of TopK sparse autoencoders."""

from __future__ import annotations

import pytest
import torch

import neural_microscope as nm

pytestmark = pytest.mark.interop
sparsify = pytest.importorskip("sparsify", reason="make test-interop has it")


@pytest.mark.parametrize(
    ("model", "hook_point"),
    [
        (nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(32,))), "layers.0.hook_post"),
        (
            nm.hooked(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.Tanh())),
            "2.hook_out",
        ),
    ],
    ids=["mlp", "hooked module"],
)
def test_a_sparse_autoencoder_learns_from_our_activations(model: torch.nn.Module, hook_point: str) -> None:
    digits = nm.data.load("digits")
    acts = torch.from_numpy(nm.activations(model, digits.train, hook_point)[hook_point].values)
    held_out = torch.from_numpy(nm.activations(model, digits.test, hook_point)[hook_point].values)
    torch.manual_seed(0)
    coder = sparsify.SparseCoder(acts.shape[1], sparsify.SparseCoderConfig(expansion_factor=4, k=8))
    before = float(coder(held_out).fvu.detach())
    optimizer = torch.optim.Adam(coder.parameters(), lr=3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        coder(acts[torch.randint(len(acts), (256,))]).fvu.backward()
        optimizer.step()
        coder.set_decoder_norm_to_unit_norm()
    after = coder(held_out)
    assert float(after.fvu.detach()) < 0.5 * before
    assert after.latent_acts.shape == (len(held_out), 8)
