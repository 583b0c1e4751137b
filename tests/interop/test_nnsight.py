"""Our networks and hooked modules inside nnsight's trace."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from others import LeNet

import neural_microscope as nm

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings(
        "ignore:Module .* has a submodule named:UserWarning"
    ),  # our hook point is called `input`
]
nnsight = pytest.importorskip("nnsight", reason="make test-interop has it")
IMAGES = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "model", [nm.MLP(nm.MLPConfig(hidden=(16, 12))), nm.CNN(nm.CNNConfig(channels=(3,), head=(8,)))], ids=["mlp", "cnn"]
)
def test_a_trace_reads_and_cuts_what_ours_reads_and_cuts(model: Any) -> None:
    model.eval()
    logits, cache = model.run_with_cache(IMAGES)
    traced = nnsight.NNsight(model)
    with torch.no_grad(), traced.trace(IMAGES):
        seen = traced.layers[1].activation.output.save()
        out = traced.output.save()
    torch.testing.assert_close(seen, cache["layers.1.hook_post"])
    torch.testing.assert_close(out, logits)
    with torch.no_grad(), traced.trace(IMAGES):
        traced.layers[1].activation.output[:, 3] = 0
        cut = traced.output.save()
    expected = model.run_with_hooks(IMAGES, fwd_hooks=[("layers.1.hook_post", nm.interventions.zero(unit=3))])
    torch.testing.assert_close(cut, expected)
    torch.testing.assert_close(model(IMAGES), logits)  # nothing is left behind


def test_a_hooked_module_is_traced_as_the_module_it_wraps() -> None:
    torch.manual_seed(0)
    lens = nm.hooked(LeNet().eval())
    logits, cache = lens.run_with_cache(IMAGES)
    traced = nnsight.NNsight(lens)
    with torch.no_grad(), traced.trace(IMAGES):
        seen = traced.module.conv2.output.save()
        out = traced.output.save()
    torch.testing.assert_close(seen, cache["conv2.hook_out"])
    torch.testing.assert_close(out, logits)
