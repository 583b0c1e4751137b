"""The scalar engine against torch in float64, and where it must refuse."""

from __future__ import annotations

import gc
import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neural_microscope.scalar import Value

REFUSALS = (ValueError, ZeroDivisionError, OverflowError)


def tensor(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float64, requires_grad=True)


def in_torch(function: Callable[..., Any], *numbers: float) -> list[float]:
    """The result of ``function``, then its gradient in each of ``numbers``."""
    inputs = [tensor(number) for number in numbers]
    result = function(*inputs)
    result.backward()
    return [result.item(), *(x.grad.item() for x in inputs)]


def in_values(function: Callable[..., Any], *numbers: float) -> list[float]:
    inputs = [Value(number) for number in numbers]
    result = function(*inputs)
    result.backward()
    return [result.data, *(x.grad for x in inputs)]


def agree(function: Callable[..., Any], *numbers: float) -> None:
    """Ours equals torch's wherever torch's is finite; ours refuses only where something of torch's is not."""
    theirs = in_torch(function, *numbers)
    try:
        ours = in_values(function, *numbers)
    except REFUSALS:
        assert not all(map(math.isfinite, theirs)), f"refused, but torch has {theirs}"
        return
    for mine, other in zip(ours, theirs, strict=True):
        if math.isfinite(other):
            assert mine == pytest.approx(other, rel=1e-12, abs=1e-300)


EDGES = [-1000.0, -30.0, -2.0, -1.0, -1e-200, 0.0, 1e-200, 1e-9, 0.5, 1.0, 2.0, 30.0, 700.0, 1000.0, 1e200]
UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.log(),
    "tanh": lambda x: x.tanh(),
    "relu": lambda x: x.relu(),
    "sigmoid": lambda x: x.sigmoid(),
    "neg": lambda x: -x,
    "2 + x": lambda x: 2 + x,
    "2 - x": lambda x: 2 - x,
    "2 * x": lambda x: 2 * x,
    "2 / x": lambda x: 2 / x,
    "2 ** x": lambda x: 2**x,
    "0.5 ** x": lambda x: 0.5**x,
    "0 ** x": lambda x: 0**x,
    "x + 2": lambda x: x + 2,
    "x - 2": lambda x: x - 2,
    "x * 2": lambda x: x * 2,
    "x / 2": lambda x: x / 2,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
}


@pytest.mark.parametrize("name", UNARY)
def test_an_operation_on_one_value_agrees_with_torch_at_edge_values(name: str) -> None:
    for x in EDGES:
        agree(UNARY[name], x)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, -1, -2, 0.5, 1 / 3, 1.5, 2.5, -0.5])
def test_a_power_with_a_number_as_exponent_agrees_with_torch_at_edge_values(exponent: float) -> None:
    for x in EDGES:
        agree(lambda v: v**exponent, x)


@pytest.mark.parametrize("name", BINARY)
def test_an_operation_on_two_values_agrees_with_torch_at_edge_values(name: str) -> None:
    for x, y in itertools.product(EDGES, EDGES):
        agree(BINARY[name], x, y)


@pytest.mark.parametrize("name", BINARY)
def test_a_value_combined_with_itself_agrees_with_torch(name: str) -> None:
    for x in (0.5, 1.0, 3.0):
        agree(lambda v: BINARY[name](v, v), x)


@pytest.mark.parametrize(
    ("result", "gradients"),
    [
        (lambda x: x.relu(), (0.0, 0.0)),
        (lambda x: x**0, (1.0, 0.0)),
        (lambda x: x**1, (0.0, 1.0)),
        (lambda x: x**2, (0.0, 0.0)),
        (lambda x: x**0.5, (0.0, math.inf)),
        (lambda x: x**x, (1.0, 0.0)),
        (lambda x: (x - 1).relu() ** 0.5, (0.0, 0.0)),
    ],
)
def test_slopes_at_zero_are_those_documented_and_those_of_torch(result: Any, gradients: tuple[float, float]) -> None:
    assert tuple(in_values(result, 0.0)) == gradients
    assert tuple(in_torch(result, 0.0)) == gradients


# Each step is (operation, two places in the pool); one that would leave the domain is skipped.
STEPS: list[tuple[Callable[[Any, Any], Any], Callable[[float, float], bool]]] = [
    (lambda a, b: a + b, lambda a, b: True),
    (lambda a, b: a - b, lambda a, b: True),
    (lambda a, b: a * b, lambda a, b: True),
    (lambda a, b: a / b, lambda a, b: abs(b) > 0.1),
    (lambda a, b: a**b, lambda a, b: a > 0.1 and abs(b) < 4),
    (lambda a, b: -a, lambda a, b: True),
    (lambda a, b: a.exp(), lambda a, b: a < 4),
    (lambda a, b: a.log(), lambda a, b: a > 0.1),
    (lambda a, b: a.tanh(), lambda a, b: abs(a) < 4),
    (lambda a, b: a.sigmoid(), lambda a, b: abs(a) < 5),
    (lambda a, b: a.relu(), lambda a, b: abs(a) > 1e-6),  # at the kink a rounding error would decide
    (lambda a, b: a**3, lambda a, b: True),
    (lambda a, b: a**-1.5, lambda a, b: a > 0.1),
    (lambda a, b: 2 + a, lambda a, b: True),
    (lambda a, b: 2 - a, lambda a, b: True),
    (lambda a, b: 2 * a, lambda a, b: True),
    (lambda a, b: 2 / a, lambda a, b: abs(a) > 0.1),
    (lambda a, b: 2**a, lambda a, b: abs(a) < 6),
]
PLACE = st.integers(0, 30)


@settings(deadline=None, max_examples=150)
@given(
    leaves=st.lists(st.floats(-2, 2), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, len(STEPS) - 1), PLACE, PLACE), min_size=1, max_size=14),
)
def test_gradients_agree_with_torch_at_every_node_of_a_random_expression(
    leaves: list[float], steps: list[tuple[int, int, int]]
) -> None:
    ours, theirs = [Value(leaf) for leaf in leaves], [tensor(leaf) for leaf in leaves]
    for which, i, j in steps:
        operation, inside = STEPS[which]
        i, j = i % len(ours), j % len(ours)
        if not inside(ours[i].data, ours[j].data):
            continue
        result = operation(ours[i], ours[j])
        if abs(result.data) < 100:
            ours.append(result)
            theirs.append(operation(theirs[i], theirs[j]))
            theirs[-1].retain_grad()
    sum((ours[i] * (i + 1) for i in range(len(ours))), start=Value(0)).backward()
    torch.stack([theirs[i] * (i + 1) for i in range(len(theirs))]).sum().backward()
    largest = max(abs(t.grad.item()) for t in theirs)
    for value, t in zip(ours, theirs, strict=True):
        assert value.data == pytest.approx(t.item(), rel=1e-9, abs=1e-9)
        assert value.grad == pytest.approx(t.grad.item(), rel=1e-9, abs=1e-9 * max(1.0, largest))


def test_gradients_of_several_calls_add_up_as_in_torch_also_below_a_shared_result() -> None:
    def gradients(x: Any, keep: Callable[[Any], None], grad: Callable[[Any], float]) -> list[float]:
        shared = x * x
        first, second = shared * 3, shared.exp()
        for node in (shared, first, second):
            keep(node)
        backward = {True: lambda r: r.backward(), False: lambda r: r.backward(retain_graph=True)}[isinstance(x, Value)]
        for root in (first, second, first):
            backward(root)
        return [grad(node) for node in (x, shared, first, second)]

    ours = gradients(Value(0.7), lambda node: None, lambda node: node.grad)
    theirs = gradients(tensor(0.7), lambda node: node.retain_grad(), lambda node: node.grad.item())
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_backward_on_a_leaf_gives_one_each_time() -> None:
    x = Value(3)
    x.backward()
    x.backward()
    assert x.grad == 2.0


def test_backward_can_be_taken_by_hand_one_step_at_a_time() -> None:
    x = Value(0.5)
    square = x * x
    result = square.tanh()
    result.grad = 1.0
    result._backward()
    square._backward()
    assert x.grad == pytest.approx(in_torch(lambda t: (t * t).tanh(), 0.5)[1], rel=1e-12)


LONG_CHAIN = """
import sys, threading
from neural_microscope.scalar import Value

def run():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    print(y.data, x.grad)
    del y
    print("deleted")

threading.stack_size(256 * 1024)  # so that a recursion, also one in C, does not go by unseen
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_a_chain_of_100_000_nodes_is_differentiated_and_deleted_on_a_small_stack() -> None:
    done = subprocess.run([sys.executable, "-c", LONG_CHAIN], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["100001.0", "100001.0", "deleted"], "")


def test_an_expression_is_freed_at_once_without_the_garbage_collector() -> None:
    def living() -> int:
        return sum(type(thing) is Value for thing in gc.get_objects())  # isinstance would wake lazy objects

    gc.collect()
    gc.disable()
    try:
        before = living()
        x = Value(0.5)
        y = (x * x + 2).tanh() ** 2
        y.backward()
        assert living() > before
        del x, y
        assert living() == before
    finally:
        gc.enable()


def test_inputs_and_operation_carry_micrograds_names() -> None:
    x, y = Value(2.0, label="x"), Value(3.0)
    assert ((x * y)._prev, (x * y)._op) == ((x, y), "*")
    assert ((x * x)._prev, (x**2)._prev, (x**2)._op, (x**y)._op) == ((x, x), (x,), "**2", "**")
    assert (x._prev, x._op, x.label, y.label) == ((), "", "x", "")


def test_the_repr_shows_data_grad_and_a_label_where_there_is_one() -> None:
    assert repr(Value(2)) == "Value(data=2.0, grad=0.0)"
    assert repr(Value(-0.5, label="w")) == "Value(data=-0.5, grad=0.0, label='w')"


def test_a_misspelled_attribute_is_refused() -> None:
    with pytest.raises(AttributeError):
        Value(1).lable = "x"


@pytest.mark.parametrize("number", [2, 2.0, Fraction(2), np.float32(2), np.int64(2)])
def test_every_kind_of_real_number_is_taken_as_a_float(number: Any) -> None:
    assert type(Value(number).data) is float
    assert (Value(3) * number).data == 6.0


@pytest.mark.parametrize("wrong", [True, "3", None, 1j, [1.0], Value(1), np.bool_(True)])
def test_what_is_no_real_number_is_refused_by_kind(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"one real number.*{type(wrong).__name__}"):
        Value(wrong)


@pytest.mark.parametrize("wrong", [True, "3", None])
@pytest.mark.parametrize("name", BINARY)
def test_an_operand_that_is_no_real_number_is_refused_on_both_sides(name: str, wrong: Any) -> None:
    for operands in ((Value(2), wrong), (wrong, Value(2))):
        with pytest.raises(TypeError, match="one real number"):
            BINARY[name](*operands)


@pytest.mark.parametrize(
    ("error", "text", "operation"),
    [
        (ValueError, r"log\(-1\.5\).*above 0", lambda: Value(-1.5).log()),
        (ValueError, r"log\(0\.0\).*above 0", lambda: Value(0).log()),
        (OverflowError, r"exp\(1000\.0\).*709\.78", lambda: Value(1000).exp()),
        (ValueError, r"pow\(-8\.0, 0\.5\).*whole exponents", lambda: Value(-8) ** 0.5),
        (ValueError, r"pow\(0\.0, -1\.0\).*0 takes none below 0", lambda: Value(0) ** -1),
        (OverflowError, r"pow\(1e\+200, 2\.0\)", lambda: Value(1e200) ** 2),
        (ValueError, r"data=-2\.0.*data=3\.0.*use a number", lambda: Value(-2) ** Value(3)),
        (ValueError, r"data=-2\.0.*data=3\.0.*use a number", lambda: (-2) ** Value(3)),
        (ZeroDivisionError, "division", lambda: Value(1) / 0),
    ],
)
def test_an_operation_outside_its_domain_says_what_came(
    error: type[Exception], text: str, operation: Callable[[], Value]
) -> None:
    with pytest.raises(error, match=text):
        operation()
