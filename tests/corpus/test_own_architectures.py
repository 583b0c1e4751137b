"""The corpus's networks in plain torch, in a light form; and the page that make test-corpus wrote."""

from __future__ import annotations

from collections import Counter

import pytest
from architectures import Architecture
from corpus_checks import Row, looked_at
from corpus_page import CHECKS, PAGE, rows_of
from own_architectures import OWN

NO_GRADIENTS = {"DenseNet, reentrant checkpoint"}
"""Networks that hide their gradients."""


@pytest.mark.parametrize("architecture", OWN, ids=[one.name for one in OWN])
def test_activations_gradients_and_an_ablation_are_those_of_plain_hooks(architecture: Architecture) -> None:
    row = looked_at(Row(architecture))
    assert row.activations == "equal"
    assert row.ablation == "equal"
    assert (not row.gradients) == (architecture.name in NO_GRADIENTS), row.reasons


def test_the_page_has_enough_networks_and_a_reason_for_each_refusal() -> None:
    text = PAGE.read_text("utf-8")
    rows, refusals = rows_of(text, "| family |"), rows_of(text, "## Refusals")
    families = Counter(row[0] for row in rows)
    assert len(rows) >= 40
    assert len(families) >= 12
    assert max(families.values()) <= 5
    assert len({row[1] for row in rows}) == len(rows)
    for _, name, points, *cells in rows:
        assert int(points) > 0
        for check, cell in zip(CHECKS, cells, strict=True):
            reasons = [reason for one, step, reason in refusals if (one, step) == (name, check)]
            assert bool(cell != "refused") != bool(reasons and all(reasons)), (name, check)
    assert all(row[3] == row[5] == "equal" for row in rows)


def test_the_page_is_of_these_networks() -> None:
    there = {row[1] for row in rows_of(PAGE.read_text("utf-8"), "| family |")}
    assert {one.name for one in OWN} <= there
