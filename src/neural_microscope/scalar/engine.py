"""Reverse-mode automatic differentiation on single numbers.

Every operation computes one number and, for each of its inputs, one *slope*: how fast the result changes with that
input. ``backward`` walks from the result to the leaves and multiplies slopes along the way. That is the chain rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real


class Value:
    """A number that remembers how it was computed, after Karpathy's micrograd.

    ``grad`` is what ``backward`` found (0 before). ``_prev`` holds the inputs of the operation ``_op`` that made it;
    both are empty for a leaf. Gradients are torch's wherever torch's are finite: relu has slope 0 at 0; ``0 ** 0`` is 1
    with slope 0. A root such as ``x ** 0.5`` has slope inf at 0. ``x ** y`` with a Value ``y`` needs ``x >= 0``.

    Args:
        data: The number.
        label: A name for drawings.

    Raises:
        ValueError: Out of its domain an operation raises what Python's floats raise, ZeroDivisionError and
            OverflowError too.

    >>> from neural_microscope.scalar import Value
    >>> x = Value(3.0)
    >>> (x**2).backward()
    >>> x.grad
    6.0
    """

    __slots__ = ("_inputs", "_op", "data", "grad", "label")

    def __init__(self, data: float, label: str = "") -> None:
        self.data = _number(data)
        self.grad = 0.0
        self.label = label
        self._op = ""
        self._inputs: tuple[tuple[Value, float], ...] = ()  # each with the slope of this value in it

    def __repr__(self) -> str:
        label = f", label={self.label!r}" if self.label else ""
        return f"Value(data={self.data}, grad={self.grad}{label})"

    @property
    def _prev(self) -> tuple[Value, ...]:
        return tuple(value for value, _ in self._inputs)

    def __add__(self, other: Value | float) -> Value:
        other = _value(other)
        return _result(self.data + other.data, "+", (self, 1.0), (other, 1.0))

    def __sub__(self, other: Value | float) -> Value:
        other = _value(other)
        return _result(self.data - other.data, "-", (self, 1.0), (other, -1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = _value(other)
        return _result(self.data * other.data, "*", (self, other.data), (other, self.data))

    def __truediv__(self, other: Value | float) -> Value:
        other = _value(other)
        data = self.data / other.data
        return _result(data, "/", (self, 1.0 / other.data), (other, -data / other.data))

    def __pow__(self, other: Value | float) -> Value:
        exponent = _value(other)
        data, slope = _power(self.data, exponent.data), _power_slope(self.data, exponent.data)
        if exponent is not other:  # a plain number, which needs no slope
            return _result(data, f"**{exponent.data:g}", (self, slope))
        if self.data < 0:
            raise ValueError(f"{self!r} ** {other!r}: no slope in the exponent below base 0; use a number as exponent")
        return _result(data, "**", (self, slope), (other, data * math.log(self.data) if self.data else 0.0))

    def __neg__(self) -> Value:
        return _result(-self.data, "neg", (self, -1.0))

    def __rsub__(self, other: float) -> Value:
        return _value(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return _value(other) / self

    def __rpow__(self, other: float) -> Value:
        return _value(other) ** self

    __radd__ = __add__
    __rmul__ = __mul__

    def exp(self) -> Value:
        """e to the power of this value."""
        data = _checked(math.exp, self.data, rule="exp takes numbers up to about 709.78")
        return _result(data, "exp", (self, data))

    def log(self) -> Value:
        """The natural logarithm."""
        data = _checked(math.log, self.data, rule="log takes numbers above 0")
        return _result(data, "log", (self, 1.0 / self.data))

    def tanh(self) -> Value:
        """The hyperbolic tangent."""
        data = math.tanh(self.data)
        return _result(data, "tanh", (self, 1.0 - data * data))

    def sigmoid(self) -> Value:
        """1 / (1 + e to the power of minus this value)."""
        small = math.exp(-abs(self.data))  # never above 1, so it can't overflow
        data = (1.0 if self.data >= 0 else small) / (1.0 + small)
        return _result(data, "sigmoid", (self, data * (1.0 - data)))

    def relu(self) -> Value:
        """This value, or 0 below 0."""
        return _result(max(self.data, 0.0), "relu", (self, 1.0 if self.data > 0 else 0.0))

    def _backward(self) -> None:
        """One step of the chain rule: each input's ``grad`` grows by its slope times this ``grad``."""
        for value, slope in self._inputs:
            if slope:  # 0 times an infinite gradient would be nan; what has no effect has gradient 0
                value.grad += slope * self.grad

    def backward(self) -> None:
        """Add d(self)/d(value) to the ``grad`` of every value that self was computed from, self included.

        Calls add up, as in torch; set ``grad`` to 0 (or call ``Module.zero_grad``) to start again.
        """
        order = topological_order(self)
        earlier = [value.grad for value in order]
        for value in order:  # what an earlier call left must not flow down a second time
            value.grad = 0.0
        self.grad = 1.0
        for value in reversed(order):
            value._backward()
        for value, grad in zip(order, earlier, strict=True):
            value.grad += grad


def topological_order(root: Value) -> list[Value]:
    """Everything that ``root`` was computed from, once each, inputs before results, ``root`` last."""
    order: list[Value] = []
    seen: set[Value] = set()
    todo = [(root, False)]  # a stack of our own: recursion would end at 1,000 nodes
    while todo:
        value, inputs_done = todo.pop()
        if inputs_done:
            order.append(value)
        elif value not in seen:
            seen.add(value)
            todo.append((value, True))
            todo.extend((before, False) for before, _ in reversed(value._inputs))
    return order


def _result(data: float, op: str, *inputs: tuple[Value, float]) -> Value:
    """The Value ``data`` that ``op`` made from ``inputs``, each a Value and the slope of the result in it."""
    result = Value(data)
    result._op, result._inputs = op, inputs
    return result


def _value(operand: Value | float) -> Value:
    return operand if isinstance(operand, Value) else Value(operand)


def _number(data: float) -> float:
    if type(data) is float:  # the usual case, and the check below takes longer than an addition
        return data
    if isinstance(data, bool) or not isinstance(data, Real):
        raise TypeError(f"a Value holds one real number, such as 2 or -0.5; came {data!r} ({type(data).__name__})")
    return float(data)


def _checked(function: Callable[..., float], *numbers: float, rule: str) -> float:
    """``function(*numbers)``, where an error repeats the numbers and states the rule."""
    try:
        return function(*numbers)
    except (ValueError, OverflowError) as error:
        raise type(error)(f"{function.__name__}({', '.join(map(str, numbers))}): {error}; {rule}") from None


def _power(base: float, exponent: float) -> float:
    return _checked(math.pow, base, exponent, rule="a base below 0 takes whole exponents, 0 takes none below 0")


def _power_slope(base: float, exponent: float) -> float:
    """d(base ** exponent) / d(base)."""
    if exponent == 0:
        return 0.0
    if base == 0 and exponent < 1:
        return math.inf
    return exponent * _power(base, exponent - 1)
