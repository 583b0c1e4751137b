"""The operators of `make mutants` change what they say, one place at a time, and leave a file that parses."""

from __future__ import annotations

import ast

import pytest
from mutants.operators import mutations

TEXT = '''"""A docstring with 0.05."""
import os

def f(a: int = 3, *, b: float = 0.5) -> float:
    """Not this: a < b."""
    if not a < b and a:
        raise ValueError("1 < 2")
    draw(low, high)
    return -x["x_null_low"] + (a if b else 1) * 2
'''


def test_each_operator_has_its_places_and_every_mutant_parses() -> None:
    found = mutations("x.py", TEXT)
    assert {m.operator for m in found} == {
        *(
            "comparison",
            "direction",
            "arithmetic",
            "and/or",
            "not",
            "sign",
            "number",
            "branches",
            "arguments",
            "statement",
            "word",
        )
    }
    for mutation in found:
        changed = mutation.applied(TEXT)
        ast.parse(changed)
        assert changed != TEXT
        assert '"""Not this: a < b."""' in changed
        assert '"1 < 2"' in changed
        assert TEXT.splitlines()[mutation.line - 1] not in changed.splitlines()


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        ("comparison", "    if not a <= b and a:"),
        ("not", "    if a < b and a:"),
        ("arguments", "    draw(high, low)"),
        ("statement", "    pass"),
        ("branches", '    return -x["x_null_low"] + (1 if b else a) * 2'),
    ],
)
def test_what_a_mutation_leaves(operator: str, line: str) -> None:
    assert any(line in m.applied(TEXT).splitlines() for m in mutations("x.py", TEXT) if m.operator == operator)


def test_an_interval_is_taken_for_a_null() -> None:
    words = {m.new for m in mutations("x.py", TEXT) if m.operator == "word"}
    assert "'x_null_high'" in words
    assert "'x_low'" in words
