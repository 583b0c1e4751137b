"""Neurons, layers and networks made of Values, after Karpathy's micrograd."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from .engine import Value

ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "tanh": Value.tanh,
    "relu": Value.relu,
    "sigmoid": Value.sigmoid,
    "linear": lambda value: value,
}


class Module:
    """Something with parameters."""

    def parameters(self) -> list[Value]:
        """The Values that training changes."""
        return []

    def zero_grad(self) -> None:
        """Sets the gradient of every parameter to 0."""
        for parameter in self.parameters():
            parameter.grad = 0.0

    def __repr__(self) -> str:
        return f"{type(self).__name__} with {len(self.parameters())} parameters"


class Neuron(Module):
    """``activation(b + w0 * x0 + w1 * x1 + ...)`` of ``n_inputs`` numbers or Values.

    Args:
        n_inputs: Number of inputs.
        activation: ``tanh``, ``relu``, ``sigmoid`` or ``linear``.
        rng: Draws weights and bias uniformly within ±1 / sqrt(n_inputs), as torch.nn.Linear does; None:
            ``random.Random(0)``.

    >>> from neural_microscope.scalar import Neuron
    >>> Neuron(3)
    Neuron with 4 parameters
    """

    def __init__(self, n_inputs: int, activation: str = "tanh", rng: random.Random | None = None) -> None:
        rng = rng or random.Random(0)
        bound = 1 / math.sqrt(_count("n_inputs", n_inputs))
        self.activation = _known(activation)
        self.w = [Value(rng.uniform(-bound, bound), label=f"w{i}") for i in range(n_inputs)]
        self.b = Value(rng.uniform(-bound, bound), label="b")

    def __call__(self, inputs: Sequence[Value | float]) -> Value:
        if len(inputs) != len(self.w):
            raise ValueError(f"{len(inputs)} inputs came; this neuron takes {len(self.w)}, one for each weight")
        total = sum((w * x for w, x in zip(self.w, inputs, strict=True)), start=self.b)
        return ACTIVATIONS[self.activation](total)

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]


class Layer(Module):
    """Neurons that see the same inputs; a call gives a list of one Value from each.

    Args:
        n_inputs: Number of inputs.
        n_outputs: Number of neurons.
        activation: ``tanh``, ``relu``, ``sigmoid`` or ``linear``.
        rng: Draws the parameters, as in `Neuron`.
    """

    def __init__(
        self, n_inputs: int, n_outputs: int, activation: str = "tanh", rng: random.Random | None = None
    ) -> None:
        rng = rng or random.Random(0)  # one for all: with one each, the neurons would be alike
        self.neurons = [Neuron(n_inputs, activation, rng) for _ in range(_count("n_outputs", n_outputs))]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self) -> list[Value]:
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP(Module):
    """Layers in a row: ``MLP(2, [16, 16, 1])`` takes 2 inputs and gives a list of 1 output.

    The last layer is linear, those before it have ``activation``.

    Args:
        n_inputs: Number of inputs.
        sizes: Neurons of each layer.
        activation: ``tanh``, ``relu``, ``sigmoid`` or ``linear``.
        seed: Seed of the parameters.

    >>> from neural_microscope.scalar import MLP
    >>> MLP(2, [16, 16, 1])
    MLP with 337 parameters
    """

    def __init__(self, n_inputs: int, sizes: Sequence[int], activation: str = "tanh", seed: int = 0) -> None:
        if not sizes:
            raise ValueError("sizes is empty; an MLP needs one size a layer, such as [16, 16, 1]")
        rng, widths = random.Random(seed), [n_inputs, *sizes]
        activations = [_known(activation)] * (len(sizes) - 1) + ["linear"]
        self.layers = [Layer(widths[i], widths[i + 1], activations[i], rng) for i in range(len(sizes))]

    def __call__(self, inputs: Sequence[Value | float]) -> list[Value]:
        outputs = self.layers[0](inputs)
        for layer in self.layers[1:]:
            outputs = layer(outputs)
        return outputs

    def parameters(self) -> list[Value]:
        return [parameter for layer in self.layers for parameter in layer.parameters()]


def _known(activation: str) -> str:
    if activation not in ACTIVATIONS:
        raise ValueError(f"no activation {activation!r}; there are: {', '.join(ACTIVATIONS)}")
    return activation


def _count(name: str, n: int) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{name}={n!r}; it must be a whole number of 1 or more")
    return n
