"""A whole neural network library on single numbers: no torch, no numpy, only Python.

Start here. A Value remembers how it was computed, so ``backward`` can say how the result depends on every part:

>>> from neural_microscope.scalar import MLP, Neuron, Value, draw_graph
>>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
>>> y = a * b + a**2
>>> y.backward()
>>> y
Value(data=-2.0, grad=1.0)
>>> a, b  # dy/da = b + 2a, dy/db = a
(Value(data=2.0, grad=1.0, label='a'), Value(data=-3.0, grad=2.0, label='b'))

The claim can be checked by hand: a step of 0.001 in a moves y by about 0.001 times a.grad.

>>> moved = Value(2.001) * b + Value(2.001) ** 2
>>> round((moved.data - y.data) / 0.001, 2)
1.0

A neuron is such an expression, and an MLP is neurons in layers. To learn is to compute a loss, to ask each parameter
for its gradient, and to move it a little the other way. Here is one network that learns exclusive or:

>>> model = MLP(2, [4, 1], activation="tanh", seed=0)
>>> examples = [((0, 0), -1), ((0, 1), 1), ((1, 0), 1), ((1, 1), -1)]
>>> for step in range(201):
...     loss = sum((model(inputs)[0] - target) ** 2 for inputs, target in examples)
...     model.zero_grad()
...     loss.backward()
...     for parameter in model.parameters():
...         parameter.data -= 0.05 * parameter.grad
...     if step % 100 == 0:
...         print(f"step {step:3}  loss {loss.data:.4f}")
step   0  loss 4.2909
step 100  loss 0.2193
step 200  loss 0.0000
>>> [round(model(inputs)[0].data, 2) for inputs, _ in examples]
[-1.0, 1.0, 1.0, -1.0]

``draw_graph(y)`` shows the expression with every number and gradient; in a notebook it appears by itself.

>>> picture = draw_graph(Neuron(3)([1.0, -2.0, 0.5]))
>>> str(picture)[:4]
'<svg'

Read ``engine.py`` first, then ``nn.py``. The names are those of Andrej Karpathy's micrograd
(https://github.com/karpathy/micrograd).
"""

from __future__ import annotations

from .draw import Drawing, draw_graph
from .engine import Value
from .nn import MLP, Layer, Module, Neuron

__all__ = ["MLP", "Drawing", "Layer", "Module", "Neuron", "Value", "draw_graph"]
