"""The quick ways of a changed unit against the plain one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import neural_microscope as nm
from neural_microscope.analysis.causal.directions import right
from neural_microscope.analysis.causal.downstream import Downstream, downstream
from neural_microscope.models import build

DIGITS = nm.data.load("digits").test.subset(slice(0, 60))
SMALL = {"image_shape": (8, 8), "classes": 10, "init_scale": 2.0}
NETS = {
    "one layer after": nm.MLPConfig(hidden=(6, 5), **SMALL),
    "two after": nm.MLPConfig(hidden=(6, 5, 4), **SMALL),
    "tanh": nm.MLPConfig(hidden=(6, 5), activation="tanh", bias=False, dropout=0.3, **SMALL),
    "gelu": nm.MLPConfig(hidden=(6, 5), activation="gelu", **SMALL),
    "normed": nm.MLPConfig(hidden=(6, 5), norm="layer", **SMALL),
    "cnn": nm.CNNConfig(channels=(3, 4), head=(5,), **SMALL),
    "average": nm.CNNConfig(channels=(3, 4), head=(), pool="average", kernel=5, **SMALL),
}
LAYERS = ("layers.0.hook_post", "layers.1.hook_post")
PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-13)]


def both_ways(net: str, layer: str, dtype: torch.dtype) -> tuple[Downstream, Downstream]:
    """(the quick way, the plain one)."""
    model = build(NETS[net], 3).eval().to(dtype)
    with torch.no_grad():
        down = downstream(model, DIGITS.tensor().to(dtype), layer)
    return down, replace(down, dense=None, add=lambda base, moved: lambda unit: base + down.change(moved, unit))


def joined(parts: Iterable[tuple[slice, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Logits and norms of all units."""
    _, logits, norms = zip(*parts, strict=True)
    return torch.cat(logits), torch.cat(norms)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_the_quick_way_is_the_plain_one(net: str, layer: str, dtype: torch.dtype, tolerance: float) -> None:
    quick, plain = both_ways(net, layer, dtype)
    last = layer == LAYERS[1] and net in ("gelu", "normed")  # nothing but a sum of columns follows
    assert (quick.dense is not None) == (net in ("one layer after", "two after", "tanh") or last)
    with torch.no_grad():
        values = quick.acts.roll(1, 0)
        expected, norms = joined(plain.each_unit(values))
        for found, by in zip(joined(quick.each_unit(values)), (expected, norms), strict=True):
            torch.testing.assert_close(found, by, atol=tolerance, rtol=0)
        assert (expected - plain.logits).abs().max() > 10 * tolerance
        if quick.axis == "unit":  # a direction of maps is a mix of moves, which enter one by one
            ways, strengths = torch.randn(3, quick.units, dtype=dtype), torch.rand(2, len(quick.acts), dtype=dtype)
            moved, by = (torch.cat([logits for _, logits in down.along(ways, strengths)]) for down in (quick, plain))
            torch.testing.assert_close(moved, by, atol=tolerance, rtol=0)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_a_unit_changed_beforehand_stays_changed(net: str, dtype: torch.dtype, tolerance: float) -> None:
    quick, _ = both_ways(net, LAYERS[0], dtype)
    with torch.no_grad():
        values = quick.acts.roll(1, 0)
        found, norms = joined(quick.changed(0, values[:, 0]).each_unit(values, first=1))
        assert len(found) == len(norms) == quick.units - 1
        for unit, logits in enumerate(found, start=1):
            expected = quick.replaced([0, unit], values[:, [0, unit]])
            torch.testing.assert_close(logits, expected, atol=tolerance, rtol=0)


def test_large_layers_are_asked_in_pieces_that_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for net in ("one layer after", "normed", "cnn"):
        whole, _ = both_ways(net, LAYERS[0], torch.float64)
        monkeypatch.setattr("neural_microscope.analysis.causal.downstream.AT_ONCE", 7 * 5)
        monkeypatch.setattr("neural_microscope.analysis.causal.dense.LOGITS_AT_ONCE", 60 * 10 * 2)
        pieces, _ = both_ways(net, LAYERS[0], torch.float64)
        with torch.no_grad():
            zeros = torch.zeros_like(whole.acts)
            found = list(pieces.each_unit(zeros))
            monkeypatch.undo()
            expected, _ = joined(whole.each_unit(zeros))
        assert len(found) > 1
        assert [units.start for units, _, _ in found[1:]] == [units.stop for units, _, _ in found[:-1]]
        torch.testing.assert_close(joined(found)[0], expected, atol=1e-13, rtol=0)


def test_an_answer_is_right_as_argmax_says_also_where_logits_are_equal() -> None:
    logits = torch.randint(0, 3, (40, 30, 5), generator=torch.Generator().manual_seed(0)).float()
    labels = torch.arange(30) % 5
    assert torch.equal(right(labels)(logits), logits.argmax(-1) == labels)
    distinct = torch.randn(40, 30, 5, generator=torch.Generator().manual_seed(1))
    assert torch.equal(right(labels)(distinct), distinct.argmax(-1) == labels)
