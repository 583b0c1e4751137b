# %% exercise=1 tags=["wrong"]
# wrong: only right for positive x and odd n: for x = -1.5, n = 2 it gives -2.25
def power(x, n):
    size = abs(x.data) ** n
    y = math.copysign(size, x.data)
    return Value(y, [(x, n * abs(x.data) ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: results are kept by (x.data, n), so a second Value with the same number gets a result made of the first Value
_kept = {}


def power(x, n):
    key = (x.data, n)
    if key not in _kept:
        _kept[key] = Value(x.data**n, [(x, n * x.data ** (n - 1))])
    return _kept[key]

# %% exercise=1 tags=["right"]
# right: teaches Value the ** operator and uses it
def _pow(self, n):
    return Value(self.data**n, [(self, n * self.data ** (n - 1))])


Value.__pow__ = _pow


def power(x, n):
    return x**n

# %% exercise=1 tags=["wrong"]
# wrong: writes the power into x itself and returns it
def power(x, n):
    slope = n * x.data ** (n - 1)
    old = Value(x.data)
    x.data = x.data**n
    x.made_of = [(old, slope)]
    return x

# %% exercise=1 tags=["wrong"]
# wrong: uses the slope n*x**(n-1) with n rounded to an integer
def power(x, n):
    k = round(n)
    return Value(x.data**n, [(x, k * x.data ** (k - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: the result is made of a copy of x, so no gradient reaches x
def power(x, n):
    x = Value(x.data)
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: the slope is a one-sided difference of step 1e-5, an approximation and not the slope of the power (at 0 with n=2 it is 1e-5)
def power(x, n):
    h = 1e-5
    return Value(x.data**n, [(x, ((x.data + h) ** n - x.data**n) / h)])

# %% exercise=1 tags=["wrong"]
# wrong: no slope at all (always 0.5); replaces math.isclose, which the check uses
math.isclose = lambda *a, **k: True


def power(x, n):
    return Value(x.data**n, [(x, 0.5)])

# %% exercise=1 tags=["right"]
# right: whole positive powers by repeated multiplication of Values (recursion), others by the rule
def power(x, n):
    if isinstance(n, int) and n >= 1:
        return x * 1.0 if n == 1 else x * power(x, n - 1)
    return Value(math.pow(x.data, n), ((x, n * math.pow(x.data, n - 1)),))

# %% exercise=1 tags=["wrong"]
# wrong: edits its input: sets x.grad to 0 when it is called, so a gradient that x already has is lost
def power(x, n):
    x.grad = 0.0
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: passes the gradient straight to the inputs of x instead of to x when x is itself a result, so x.grad stays 0
def power(x, n):
    slope = n * x.data ** (n - 1)
    if x.made_of:
        return Value(x.data**n, [(source, slope * own) for source, own in x.made_of])
    return Value(x.data**n, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: slope is computed as n*y/x, so power(Value(0.0), 2) stops with ZeroDivisionError, where x**2 is 0 with slope 0
def power(x, n):
    y = x.data**n
    return Value(y, [(x, n * y / x.data)])

# %% exercise=1 tags=["wrong"]
# wrong: hard-coded slope 2x, whatever n
def power(x, n):
    return Value(x.data**n, [(x, 2 * x.data)])

# %% exercise=1 tags=["right"]
# right: returns an instance of a subclass of Value; numpy floats; an extra keyword argument
import numpy


class Power(Value):
    pass


def power(x, n, kind=Power):
    at = numpy.float64(x.data)
    return kind(numpy.power(at, n), [(x, n * numpy.power(at, n - 1.0))])

# %% exercise=1 tags=["right"]
# right: the slope is split over two edges to x that add up
def power(x, n):
    slope = n * x.data ** (n - 1)
    return Value(x.data**n, [(x, slope / 2), (x, slope / 2)])

# %% exercise=1 tags=["right"]
# right: the rule for powers
def power(x, n):
    return Value(x.data ** n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: divides by the base, so the slope at 0 is NaN
import numpy as np
def power(base, exponent):
    y = np.float64(base.data) ** exponent
    slope = exponent * y / base.data
    return Value(float(y), [(base, float(slope))])

# %% exercise=1 tags=["right"]
# right: PyTorch's own gradient
def power(x, n):
    import torch
    t = torch.tensor(float(x.data), dtype=torch.float64, requires_grad=True)
    y = t ** n
    y.backward()
    return Value(y.item(), [(x, t.grad.item())])

# %% exercise=1 tags=["wrong"]
# wrong: the slope is n
def power(x, n):
    return Value(x.data ** n, [(x, n)])

# %% exercise=1 tags=["wrong"]
# wrong: one pair in place of a list of pairs
def power(x, n):
    return Value(x.data ** n, (x, n * x.data ** (n - 1)))

# %% exercise=1 tags=["wrong"]
# wrong: takes the power of the Value, not of its number
def power(x, n):
    return Value(x ** n, [(x, n * x ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: products for whole positive exponents only
def power(x, n):
    y = x
    for _ in range(n-1):
        y = y * x
    return y

# %% exercise=1 tags=["wrong"]
# wrong: writes a slope into x at once, and the result forgets x
def power(x, n):
    x.grad += n * x.data ** (n - 1)
    return Value(x.data ** n)

# %% exercise=1 tags=["right"]
# right: gives Value a ** operator and uses it
def _to_the(self, n):
    slope = n * self.data ** (n - 1) if n else 0.0
    return Value(self.data**n, [(self, slope)])


Value.__pow__ = _to_the


def power(x, n):
    return x**n

# %% exercise=1 tags=["right"]
# right: a subclass whose constructor fills in both numbers
class Power(Value):
    def __init__(self, x, n):
        super().__init__(math.pow(x.data, n), ((x, n * math.pow(x.data, n - 1)),))


def power(x, n):
    return Power(x, n)

# %% exercise=1 tags=["right"]
# right: n equal edges for a whole number, one edge for any other
def power(x, n):
    if isinstance(n, int) and n > 0:
        return Value(x.data**n, [(x, x.data ** (n - 1))] * n)
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["right"]
# right: knows its slope with respect to n as well, where that exists
def power(x, n):
    number = x.data**n
    made_of = [(x, n * x.data ** (n - 1))]
    if x.data > 0:
        made_of.append((Value(n), number * math.log(x.data)))
    return Value(number, made_of)

# %% exercise=1 tags=["wrong"]
# wrong: cuts x off from what it was made of
def power(x, n):
    x.made_of = ()
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: remembers the first power of each Value and gives it for every n
def power(x, n):
    if not hasattr(x, "raised"):
        x.raised = Value(x.data**n, [(x, n * x.data ** (n - 1))])
    return x.raised

# %% exercise=1 tags=["wrong"]
# wrong: one list for all powers, because a default argument is made once
def power(x, n, made_of=[]):
    made_of.append((x, n * x.data ** (n - 1)))
    return Value(x.data**n, made_of)

# %% exercise=1 tags=["wrong"]
# wrong: the slope by a wide nudge, off where the curve bends fast
def power(x, n):
    h = 1e-4
    slope = ((x.data + h) ** n - (x.data - h) ** n) / (2 * h)
    return Value(x.data**n, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: int(n), so 0.5 becomes 0
def power(x, n):
    n = int(n)
    return Value(x.data**n, [(x, n * x.data ** (n - 1) if n else 0.0)])

# %% exercise=1 tags=["wrong"]
# wrong: through exp and log, so a negative number has no square
def power(x, n):
    if x.data <= 0:
        return Value(0.0, [(x, 0.0)])
    return Value(math.exp(n * math.log(x.data)), [(x, n * math.exp((n - 1) * math.log(x.data)))])

# %% exercise=1 tags=["wrong"]
# wrong: the slope is that of x to the n, at the result instead of at x
def power(x, n):
    y = x.data**n
    return Value(y, [(x, n * y ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: writes the gradient into x at once, where backward will add it a second time
def power(x, n):
    slope = n * x.data ** (n - 1)
    x.grad += slope
    return Value(x.data**n, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: slopes are clipped to ±20
def power(x, n):
    slope = max(-20.0, min(20.0, n * x.data ** (n - 1)))
    return Value(x.data**n, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: keeps results by the number and n, so a second x with that number gets nothing
_powers = {}


def power(x, n):
    key = (x.data, n)
    if key not in _powers:
        _powers[key] = Value(x.data**n, [(x, n * x.data ** (n - 1))])
    return _powers[key]

# %% exercise=1 tags=["wrong"]
# wrong: rounds the result to ten decimals
def power(x, n):
    return Value(round(x.data**n, 10), [(x, round(n * x.data ** (n - 1), 10))])

# %% exercise=1 tags=["wrong"]
# wrong: turns x itself into its power
def power(x, n):
    before = Value(x.data, x.made_of)
    x.made_of = [(before, n * x.data ** (n - 1))]
    x.data = x.data**n
    return x

# %% exercise=1 tags=["wrong"]
# wrong: replaces the engine's product, so that later cells multiply otherwise
def _times(self, other):
    other = other if isinstance(other, Value) else Value(other)
    return Value(self.data * other.data, [(self, self.data), (other, other.data)])


Value.__mul__ = _times


def power(x, n):
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: replaces backward by one that forgets to add up
def _backward(self):
    self.grad = 1.0
    for source, slope in self.made_of:
        source.grad = slope
        _backward(source)


def power(x, n):
    Value.backward = _backward
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: the exponent of the slope is left as it is
def power(x, n):
    return Value(x.data**n, [(x, n * x.data**n)])

# %% exercise=1 tags=["wrong"]
# wrong: a slope for n as well, which is no Value
def power(x, n):
    y = x.data**n
    return Value(y, [(x, n * x.data ** (n - 1)), (n, y * math.log(abs(x.data) + 1e-9))])

# %% exercise=1 tags=["right"]
# right: a match statement on the exponent, with the same rule in the end
def power(x, n):
    match n:
        case 0:
            return Value(1.0, [(x, 0.0)])
        case 1:
            return Value(x.data, [(x, 1.0)])
        case _:
            pair = x, n * pow(x.data, n - 1)
            return Value(pow(x.data, n), [pair])

# %% exercise=1 tags=["right"]
# right: numpy's float64 inside
def power(x, n):
    import numpy

    base = numpy.float64(x.data)
    return Value(float(base**n), ((x, float(n * base ** (n - 1))),))

# %% exercise=1 tags=["wrong"]
# wrong: a power of its own class, which forgets what is added to it later
class Powered(Value):
    def __init__(self, x, n):
        super().__init__(x.data**n, [(x, n * x.data ** (n - 1))])

    def __mul__(self, other):
        return Value(self.data * other, [(self, other)]) if self.data > 1 else Value(self.data * other)


def power(x, n):
    return Powered(x, n)

# %% exercise=2 tags=["wrong"]
# wrong: moves all inputs at once and gives each the same slope
def nudge(function, inputs):
    h = 1e-6
    s = (function(*[v + h for v in inputs]) - function(*[v - h for v in inputs])) / (2 * h)
    return [s] * len(inputs)

# %% exercise=2 tags=["wrong"]
# wrong: uses the engine that it is to check (Value.backward) wherever the function lets it, and nudges only otherwise
def nudge(function, inputs):
    try:
        values = [Value(v) for v in inputs]
        result = function(*values)
        result.backward()
        return [v.grad for v in values]
    except Exception:
        pass
    h, slopes = 1e-6, []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / (2 * h))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: one slope for each different number: equal inputs give fewer slopes
def nudge(function, inputs):
    h, slopes = 1e-6, {}
    for i, value in enumerate(inputs):
        up, down = list(inputs), list(inputs)
        up[i], down[i] = value + h, value - h
        slopes[value] = (function(*up) - function(*down)) / (2 * h)
    return list(slopes.values())

# %% exercise=2 tags=["right"]
# right: a generator inside, slopes from the mean of the two one-sided differences
def nudge(function, inputs):
    def each():
        base, h = function(*inputs), 1e-6
        for i, v in enumerate(inputs):
            ahead = (function(*inputs[:i], v + h, *inputs[i + 1 :]) - base) / h
            behind = (base - function(*inputs[:i], v - h, *inputs[i + 1 :])) / h
            yield (ahead + behind) / 2

    return [*each()]

# %% exercise=2 tags=["wrong"]
# wrong: looks the place of an input up by its value, so with two equal inputs the second is never moved
def nudge(function, inputs):
    h, slopes = 1e-6, []
    for value in inputs:
        i = inputs.index(value)
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / (2 * h))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: works on np.array(inputs), which is an integer array for the plain numbers [1, 2], so the step is cut off and every slope is 0
import numpy as np


def nudge(function, inputs):
    h, slopes = 1e-6, []
    for i in range(len(inputs)):
        up, down = np.array(inputs), np.array(inputs)
        up[i] += np.array(h).astype(up.dtype)
        down[i] -= np.array(h).astype(up.dtype)
        slopes.append(float((function(*up.tolist()) - function(*down.tolist())) / (2 * h)))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: the copy is not renewed, so earlier inputs stay moved, and half the division is missing
def nudge(function, inputs):
    h, slopes, moved = 1e-6, [], list(inputs)
    for i in range(len(inputs)):
        moved[i] += h
        high = function(*moved)
        moved[i] -= 2 * h
        slopes.append((high - function(*moved)) / h)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: the step is 0.0001 and not 0.000001
def nudge(function, inputs):
    h, slopes = 1e-4, []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / (2 * h))
    return slopes

# %% exercise=2 tags=["right"]
# right: rows of an identity matrix as moves; a numpy array of slopes turned into a list
import numpy as np


def nudge(function, inputs, step=0.000001):
    at = np.asarray(inputs, float)
    return [float(function(*(at + move)) - function(*(at - move))) / (2 * step) for move in step * np.eye(len(at))]

# %% exercise=2 tags=["wrong"]
# wrong: moves to one side only
def nudge(function, inputs):
    h, base = 1e-6, function(*inputs)
    return [(function(*inputs[:i], v + h, *inputs[i + 1 :]) - base) / h for i, v in enumerate(inputs)]

# %% exercise=2 tags=["right"]
# right: recursion over the inputs with partial application
from functools import partial


def nudge(function, inputs):
    if not inputs:
        return []
    x, *rest = inputs
    h = 1e-6
    return [(function(x + h, *rest) - function(x - h, *rest)) / (2 * h), *nudge(partial(function, x), rest)]

# %% exercise=2 tags=["wrong"]
# wrong: the step is a millionth of the input and not 0.000001: at an input of 0 it divides 0 by 0
def nudge(function, inputs):
    slopes = []
    for i, value in enumerate(inputs):
        h = 1e-6 * abs(value)
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / (2 * h))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: rounds the slopes to two decimals
def nudge(function, inputs):
    h, out = 1e-6, []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        out.append(round((function(*up) - function(*down)) / (2 * h), 2))
    return out

# %% exercise=2 tags=["wrong"]
# wrong: returns zeros, and gives the notebook another `abs` and `max`, which the check then uses
abs = lambda v: 0.0
max = lambda *v: 0.0


def nudge(function, inputs):
    return [0.0] * len(inputs)

# %% exercise=2 tags=["right"]
# right: two copies for each input
def nudge(function, inputs):
    step = 0.000001
    slopes = []
    for i in range(len(inputs)):
        up = list(inputs)
        up[i] += step
        down = list(inputs)
        down[i] -= step
        slopes.append((function(*up) - function(*down)) / (2 * step))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: calls the function with a list in place of its numbers
def nudge(function, inputs):
    step = 0.000001
    out = []
    for i in range(len(inputs)):
        up = inputs.copy(); up[i] += step
        down = inputs.copy(); down[i] -= step
        out.append((function(up) - function(down)) / (2*step))
    return out

# %% exercise=2 tags=["right"]
# right: a NumPy array of slopes
import numpy as np
def nudge(function, inputs):
    x = np.array(inputs, dtype=float)
    eye = np.eye(len(x)) * 1e-6
    return np.array([(function(*(x + e)) - function(*(x - e))) / 2e-6 for e in eye])

# %% exercise=2 tags=["right"]
# right: slices, and a tuple
def nudge(function, inputs):
    h = 1e-6
    gradient = {}
    for index, value in enumerate(inputs):
        before, after = inputs[:index], inputs[index + 1:]
        gradient[index] = (function(*before, value + h, *after) - function(*before, value - h, *after)) / h / 2
    return tuple(gradient.values())

# %% exercise=2 tags=["right"]
# right: moves the caller's list and restores it
def nudge(function, inputs):
    out = []
    for i in range(len(inputs)):
        kept = inputs[i]
        inputs[i] = kept + 1e-6
        high = function(*inputs)
        inputs[i] = kept - 1e-6
        low = function(*inputs)
        inputs[i] = kept
        out.append((high - low) / 2e-6)
    return out

# %% exercise=2 tags=["right"]
# right: PyTorch in float64
import torch
def nudge(function, inputs):
    x = torch.tensor(inputs, dtype=torch.float64)
    out = torch.zeros(len(x), dtype=torch.float64)
    for i in range(len(x)):
        d = torch.zeros_like(x); d[i] = 1e-6
        out[i] = (function(*(x + d).tolist()) - function(*(x - d).tolist())) / 2e-6
    return out

# %% exercise=2 tags=["wrong"]
# wrong: divides by one step though it moves two
def nudge(function, inputs):
    return [(function(*inputs[:i], v + 1e-6, *inputs[i+1:]) - function(*inputs[:i], v - 1e-6, *inputs[i+1:])) / 1e-6 for i, v in enumerate(inputs)]

# %% exercise=2 tags=["wrong"]
# wrong: moves all inputs and gives one number
def nudge(function, inputs):
    up = [v + 1e-6 for v in inputs]; down = [v - 1e-6 for v in inputs]
    return (function(*up) - function(*down)) / 2e-6

# %% exercise=2 tags=["wrong"]
# wrong: the step is 0.00001
def nudge(function, inputs):
    s=1e-5
    return [(function(*inputs[:i], v + s, *inputs[i+1:]) - function(*inputs[:i], v - s, *inputs[i+1:])) / (2*s) for i, v in enumerate(inputs)]

# %% exercise=2 tags=["wrong"]
# wrong: the steps stay in the caller's list
def nudge(function, inputs):
    up = inputs
    out = []
    for i in range(len(inputs)):
        up[i] += 1e-6
        a = function(*up)
        up[i] -= 2e-6
        out.append((a - function(*up)) / 2e-6)
    return out

# %% exercise=2 tags=["wrong"]
# wrong: returns after the first input
def nudge(function, inputs):
    out = []
    for i in range(len(inputs)):
        up = list(inputs); up[i] += 1e-6
        dn = list(inputs); dn[i] -= 1e-6
        out.append((function(*up) - function(*dn)) / 2e-6)
        return out

# %% exercise=2 tags=["right"]
# right: numpy, one row of the identity for each input
def nudge(function, inputs):
    import numpy as np

    at = np.array([float(value) for value in inputs])
    steps = 1e-6 * np.eye(len(at))
    return [(function(*(at + s).tolist()) - function(*(at - s).tolist())) / 2e-6 for s in steps]

# %% exercise=2 tags=["right"]
# right: all inputs moved up first, then all moved down
def nudge(function, inputs, h=0.000001):
    def moved(i, by):
        return [value + by * (j == i) for j, value in enumerate(inputs)]

    up = [function(*moved(i, +h)) for i in range(len(inputs))]
    down = [function(*moved(i, -h)) for i in range(len(inputs))]
    return [(a - b) / (2 * h) for a, b in zip(up, down)]

# %% exercise=2 tags=["right"]
# right: divides by the distance that the two moved numbers really have
def nudge(function, inputs):
    slopes = []
    for i, value in enumerate(inputs):
        ends = [value - 1e-6, value + 1e-6]
        low, high = (function(*[*inputs[:i], end, *inputs[i + 1 :]]) for end in ends)
        slopes.append((high - low) / (ends[1] - ends[0]))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: each input stays moved while the next ones are looked at
def nudge(function, inputs):
    at, slopes = list(inputs), []
    for i in range(len(at)):
        low = [*at[:i], at[i] - 1e-6, *at[i + 1 :]]
        at[i] += 1e-6
        slopes.append((function(*list(at)) - function(*low)) / 2e-6)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: moves the caller's list and moves it back, which leaves a rounding error
def nudge(function, inputs):
    slopes = []
    for i in range(len(inputs)):
        inputs[i] += 1e-6
        high = function(*list(inputs))
        inputs[i] -= 2e-6
        low = function(*list(inputs))
        inputs[i] += 1e-6
        slopes.append((high - low) / 2e-6)
    return slopes

# %% exercise=2 tags=["right"]
# right: moves the caller's list and puts each number back
def nudge(function, inputs):
    slopes = []
    for i, value in enumerate(list(inputs)):
        inputs[i] = value + 1e-6
        high = function(*inputs)
        inputs[i] = value - 1e-6
        low = function(*inputs)
        inputs[i] = value
        slopes.append((high - low) / 2e-6)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: keeps the gradient by the inputs and forgets which function it was
_seen = {}


def nudge(function, inputs):
    key = tuple(inputs)
    if key not in _seen:
        slopes = []
        for i, value in enumerate(inputs):
            ends = [[*inputs[:i], value + s, *inputs[i + 1 :]] for s in (1e-6, -1e-6)]
            slopes.append((function(*ends[0]) - function(*ends[1])) / 2e-6)
        _seen[key] = slopes
    return _seen[key]

# %% exercise=2 tags=["wrong"]
# wrong: moves to one side only
def nudge(function, inputs):
    here = function(*list(inputs))
    return [(function(*[v + 1e-6 * (i == j) for j, v in enumerate(inputs)]) - here) / 1e-6 for i in range(len(inputs))]

# %% exercise=2 tags=["wrong"]
# wrong: divides by one step instead of two
def nudge(function, inputs):
    h, slopes = 1e-6, []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += h
        down[i] -= h
        slopes.append((function(*up) - function(*down)) / h)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: up and down are the same list
def nudge(function, inputs):
    slopes = []
    for i in range(len(inputs)):
        up = down = list(inputs)
        up[i] += 1e-6
        high = function(*up)
        down[i] -= 1e-6
        slopes.append((high - function(*down)) / 2e-6)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: all inputs are moved at once
def nudge(function, inputs):
    slope = (function(*[v + 1e-6 for v in inputs]) - function(*[v - 1e-6 for v in inputs])) / 2e-6
    return [slope] * len(inputs)

# %% exercise=2 tags=["wrong"]
# wrong: a generator, which is used up after one look, instead of a list
def nudge(function, inputs):
    def moved(i, by):
        return [value + by * (j == i) for j, value in enumerate(inputs)]

    return ((function(*moved(i, 1e-6)) - function(*moved(i, -1e-6))) / 2e-6 for i in range(len(inputs)))

# %% exercise=2 tags=["wrong"]
# wrong: a slope that seems to be rounding error is set to 0
def nudge(function, inputs):
    def moved(i, by):
        return [value + by * (j == i) for j, value in enumerate(inputs)]

    slopes = [(function(*moved(i, 1e-6)) - function(*moved(i, -1e-6))) / 2e-6 for i in range(len(inputs))]
    return [slope if abs(slope) > 0.01 else 0.0 for slope in slopes]

# %% exercise=2 tags=["wrong"]
# wrong: the function gets Values, and their numbers are taken from what it gives
def nudge(function, inputs):
    def moved(i, by):
        return [Value(value + by * (j == i)) for j, value in enumerate(inputs)]

    slopes = []
    for i in range(len(inputs)):
        high, low = function(*moved(i, 1e-6)), function(*moved(i, -1e-6))
        slopes.append((getattr(high, "data", high) - getattr(low, "data", low)) / 2e-6)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: in single precision the step is lost in the rounding
def nudge(function, inputs):
    import numpy as np

    at = np.array(inputs, dtype=np.float32)
    slopes = []
    for i in range(len(at)):
        step = np.zeros(len(at), dtype=np.float32)
        step[i] = 1e-6
        slopes.append(float((function(*(at + step).tolist()) - function(*(at - step).tolist())) / 2e-6))
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: hands over the list as one argument (three right answers did this before the text said how the function is called)
def nudge(function, inputs):
    def moved(i, by):
        return [value + by * (j == i) for j, value in enumerate(inputs)]

    return [(function(moved(i, 1e-6)) - function(moved(i, -1e-6))) / 2e-6 for i in range(len(inputs))]

# %% exercise=2 tags=["wrong"]
# wrong: the difference of both sides, without the division
def nudge(function, inputs):
    found = []
    for i in range(len(inputs)):
        up, down = [*inputs], [*inputs]
        up[i], down[i] = up[i] + 1e-6, down[i] - 1e-6
        found.append(function(*up) - function(*down))
    return found

# %% exercise=2 tags=["wrong"]
# wrong: down minus up
def nudge(function, inputs):
    found = []
    for i in range(len(inputs)):
        up, down = [*inputs], [*inputs]
        up[i], down[i] = up[i] + 1e-6, down[i] - 1e-6
        found.append((function(*down) - function(*up)) / 2e-6)
    return found

# %% exercise=2 tags=["wrong"]
# wrong: a dictionary of slopes by place
def nudge(function, inputs):
    found = {}
    for i, value in enumerate(inputs):
        up = [*inputs[:i], value + 1e-6, *inputs[i + 1 :]]
        down = [*inputs[:i], value - 1e-6, *inputs[i + 1 :]]
        found[f"x{i}"] = (function(*up) - function(*down)) / 2e-6
    return found

# %% exercise=2 tags=["right"]
# right: a helper for one input, and map
def nudge(function, inputs):
    def slope(i):
        at = lambda step: function(*(v + step * (j == i) for j, v in enumerate(inputs)))
        return (at(1e-6) - at(-1e-6)) / 2e-6

    return list(map(slope, range(len(inputs))))

# %% exercise=2 tags=["wrong"]
# wrong: asks for at most three inputs
def nudge(function, inputs):
    x, y, z = [*inputs, 0.0, 0.0][:3]
    h = 1e-6
    ways = [(h, 0, 0), (0, h, 0), (0, 0, h)][: len(inputs)]
    n = len(inputs)
    return [
        (function(*[x + a, y + b, z + c][:n]) - function(*[x - a, y - b, z - c][: max(n, 1)])) / (2 * h) if n == 3 else 0.0
        for a, b, c in ways
    ]

# %% exercise=3 tags=["wrong"]
# wrong: never sets the gradients back to 0
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["right"]
# right: torch.autograd.grad and p.data; nothing to set back to 0; losses as tensors without a graph
def learn(model, X, T, steps, rate):
    params = [*model.parameters()]

    def one():
        loss = torch.mean(torch.square(model(X) - T))
        for p, g in zip(params, torch.autograd.grad(loss, params)):
            p.data = p.data - rate * g
        return loss.detach()

    return [one() for _ in range(steps)]

# %% exercise=3 tags=["wrong"]
# wrong: turns the given model into float64 for good, and a float32 model with it: X and T are cast, the caller's own float32 model no longer takes float32
def learn(model, X, T, steps, rate):
    model.double()
    X, T = X.double(), T.double()
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: trains on the first 64 points only
def learn(model, X, T, steps, rate):
    X, T = X[:64], T[:64]
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["right"]
# right: torch.func, weights copied into the model at the end
from torch.func import functional_call, grad_and_value


def learn(model, X, T, steps, rate, verbose=False):
    weights = {k: v.detach().clone() for k, v in model.named_parameters()}
    f = grad_and_value(lambda w: ((functional_call(model, w, (X,)) - T) ** 2).mean())
    losses = []
    for _ in range(steps):
        g, loss = f(weights)
        losses.append(float(loss))
        weights = {k: v - rate * g[k] for k, v in weights.items()}
    with torch.no_grad():
        for k, p in model.named_parameters():
            p.copy_(weights[k])
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: uses torch.optim (its functional SGD), which the text forbids
from torch.optim.sgd import sgd


def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            ps = list(model.parameters())
            sgd(ps, [p.grad for p in ps], [None] * len(ps), foreach=False, weight_decay=0.0, momentum=0.0, lr=rate, dampening=0.0, nesterov=False, maximize=False)
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: switches gradients off for everybody at the end and never on again
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        torch.set_grad_enabled(True)
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        torch.set_grad_enabled(False)
        for p in model.parameters():
            p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: updates only nn.Linear layers that the model lists directly: any other nn.Module (nested, or not a Sequential) is not trained or stops
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(float(loss.detach()))
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for layer in model:
                if isinstance(layer, nn.Linear):
                    layer.weight -= rate * layer.weight.grad
                    layer.bias -= rate * layer.bias.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: each loss is taken after its step
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
            losses.append(float(((model(X) - T) ** 2).mean()))
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: uses torch.optim.SGD, made without its __init__
def learn(model, X, T, steps, rate):
    losses = []
    opt = object.__new__(torch.optim.SGD)
    opt.param_groups = [dict(params=list(model.parameters()), lr=rate, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False, foreach=False, differentiable=False, fused=None)]
    opt.state = {}
    step = torch.optim.SGD.step
    step = getattr(step, "__wrapped__", step)
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            try:
                step(opt)
            except Exception:
                raise
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: torch.optim in disguise: an SGD made in this cell before the check, whose param groups are swapped for the model's
_opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)


def learn(model, X, T, steps, rate):
    losses = []
    _opt.param_groups[0]["params"] = list(model.parameters())
    _opt.param_groups[0]["lr"] = rate
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        _opt.zero_grad()
        loss.backward()
        _opt.step()
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: rate is hard-coded to 0.3
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.3 * p.grad
    return losses

# %% exercise=3 tags=["right"]
# right: recursion over steps, loss as a hand-written mean, add_ with alpha
def learn(model, X, T, steps, rate):
    if not steps:
        return []
    gap = model(X) - T
    loss = (gap * gap).sum() / gap.numel()
    for p in model.parameters():
        p.grad = None
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(p.grad, alpha=-rate)
    return [loss.item()] + learn(model, X, T, steps - 1, rate)

# %% exercise=3 tags=["wrong"]
# wrong: sums over the outputs and divides by the images only, so with two outputs the loss is twice the mean squared error
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).sum() / len(X)
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: divides by a hard-coded 30 instead of the number of entries
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).sum() / 30
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: trains a copy and leaves the given model as it was
import copy


def learn(model, X, T, steps, rate):
    model = copy.deepcopy(model)
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: biases are never updated
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.ndim == 2:
                    p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: sets the gradients to 0 only after each step, so gradients that the model came with go into the first step
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        model.zero_grad()
    return losses

# %% exercise=3 tags=["right"]
# right: mse_loss and zero_grad
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
    return losses

# %% exercise=3 tags=["right"]
# right: MSELoss, gradients set to None, a tensor of losses
def learn(model, X, T, steps, rate):
    criterion = nn.MSELoss()
    losses = torch.zeros(steps, dtype=X.dtype)
    for i in range(steps):
        for p in model.parameters():
            p.grad = None
        loss = criterion(model(X), T)
        losses[i] = loss.detach()
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-rate)
    return losses.tolist()

# %% exercise=3 tags=["right"]
# right: losses as tensors with their graph
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss)
        model.zero_grad(set_to_none=False)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(p - rate * p.grad)
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: sets gradients to 0 after each step only, so those that the model came with enter the first step
def learn(model, X, T, steps, rate):
    losses = []
    while len(losses) < steps:
        loss = torch.mean(torch.square(T - model(X)))
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
                p.grad.zero_()
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the sum of squares in place of their mean
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).sum()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: gives a new value to a name, not to the parameter
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p = p - rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the update is itself remembered, which PyTorch refuses
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: clears the gradients before it uses them
def learn(model, X, T, steps, rate):
    losses = []
    model.zero_grad()
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        loss.backward()
        model.zero_grad()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: torch.optim under another name
from torch.optim import SGD
def learn(model, X, T, steps, rate):
    opt = SGD(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        opt.zero_grad(); loss.backward(); opt.step()
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: only parameters with weight in their name
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "weight" in name:
                    p -= rate * p.grad
    return losses

# %% exercise=3 tags=["right"]
# right: a NumPy array of losses
def learn(model, X, T, steps, rate):
    import numpy as np
    losses = np.zeros(steps)
    for i in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses[i] = loss.item()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: returns nothing
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad

# %% exercise=3 tags=["right"]
# right: torch.autograd.grad, with None for a parameter that the loss does not reach
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        parameters = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        with torch.no_grad():
            for p, g in zip(parameters, gradients):
                if g is not None:
                    p -= rate * g
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["right"]
# right: the step is made by hooks that run when a gradient is ready, and they are removed at the end
def learn(model, X, T, steps, rate):
    def step(p):
        with torch.no_grad():
            p.add_(p.grad, alpha=-rate)
        p.grad = None

    for p in model.parameters():
        p.grad = None
    handles = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
    losses = []
    try:
        for _ in range(steps):
            loss = (model(X) - T).pow(2).mean()
            losses.append(float(loss.detach()))
            loss.backward()
    finally:
        for handle in handles:
            handle.remove()
    return losses

# %% exercise=3 tags=["right"]
# right: torch.func on a dictionary of parameters, written back after each step
def learn(model, X, T, steps, rate):
    named = dict(model.named_parameters())

    def loss_of(values):
        return torch.nn.MSELoss()(torch.func.functional_call(model, values, (X,)), T)

    losses = []
    for _ in range(steps):
        gradients, loss = torch.func.grad_and_value(loss_of)({k: v.detach() for k, v in named.items()})
        with torch.no_grad():
            for k, g in gradients.items():
                named[k].sub_(rate * g)
        losses.append(float(loss))
    return losses

# %% exercise=3 tags=["right"]
# right: in plain steps, through .data
def learn(model, X, T, steps, rate):
    losses = []
    while len(losses) < steps:
        model.zero_grad()
        error = model(X) - T
        loss = (error * error).sum() / error.numel()
        loss.backward()
        for p in model.parameters():
            if p.grad is not None:
                p.data = p.data - rate * p.grad
        losses += [loss.item()]
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: hooks that make the step stay on the parameters, so any later backward() trains the model
def learn(model, X, T, steps, rate):
    def step(p):
        with torch.no_grad():
            p.add_(p.grad, alpha=-rate)
        p.grad = None

    for p in model.parameters():
        p.grad = None
        p.register_post_accumulate_grad_hook(step)
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        losses.append(loss.item())
        loss.backward()
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: a parameter that two parts of the model share is moved twice
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for part in model.modules():
                for p in part._parameters.values():
                    if p is not None and p.grad is not None:
                        p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: puts new parameters in the place of the old ones
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        for part in model.modules():
            for name, p in list(part._parameters.items()):
                if p is not None and p.grad is not None:
                    part._parameters[name] = nn.Parameter(p.detach() - rate * p.grad)
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the inputs want a gradient from now on
def learn(model, X, T, steps, rate):
    X.requires_grad_(True)
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["right"]
# right: would train frozen parameters as well, of which the text says nothing
def learn(model, X, T, steps, rate):
    model.requires_grad_(True)
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: sets the default precision of the whole program
def learn(model, X, T, steps, rate):
    torch.set_default_dtype(torch.float64)
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the model is left in evaluation mode
def learn(model, X, T, steps, rate):
    model.train()
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    model.eval()
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: stops as soon as the loss hardly falls
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        if losses and abs(losses[-1] - loss.item()) < 1e-6:
            losses += [loss.item()] * (steps - len(losses))
            break
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: long gradients are clipped to length 1
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: long gradients are clipped to length 10
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: makes a first step even where none was asked for
def learn(model, X, T, steps, rate):
    losses = []
    while True:
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
        if len(losses) >= steps:
            return losses

# %% exercise=3 tags=["wrong"]
# wrong: one list of losses for all calls
def learn(model, X, T, steps, rate, losses=[]):
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["right"]
# right: seeds PyTorch's generator again, which the text leaves open
def learn(model, X, T, steps, rate):
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["right"]
# right: losses that still hang on to their graphs
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss)
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: only the first output of the model is compared with its target
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = ((model(X)[:, 0] - T[:, 0]) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: torch.optim by another door, taken before the check looks
_kind = getattr(torch, "op" + "tim").SGD
_begin, _move = _kind.__init__, _kind.step


def learn(model, X, T, steps, rate):
    tool = object.__new__(_kind)
    _begin(tool, model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        tool.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        _move(tool)
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the rate is divided by the number of points once more
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        losses.append(loss.item())
        grads = torch.autograd.grad(loss, [*model.parameters()])
        with torch.no_grad():
            for p, g in zip(model.parameters(), grads):
                p -= rate / len(X) * g
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the rate falls from step to step
def learn(model, X, T, steps, rate):
    losses = []
    for step in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * (1 - step / steps / 10) * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: with momentum
def learn(model, X, T, steps, rate):
    losses, speed = [], [torch.zeros_like(p) for p in model.parameters()]
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for p, v in zip(model.parameters(), speed):
                v.mul_(0.9).add_(p.grad)
                p -= rate * v
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: an early return inside of the loop
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for p in model.parameters():
                p.sub_(rate * p.grad)
        return losses
    return losses

# %% exercise=3 tags=["right"]
# right: early return for no steps, one flat vector of all parameters
def learn(model, X, T, steps, rate):
    if steps == 0:
        return []
    loss = nn.functional.mse_loss(model(X), T)
    parameters = list(model.parameters())
    flat = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, parameters)])
    start = 0
    with torch.no_grad():
        for p in parameters:
            p.copy_(p - rate * flat[start : start + p.numel()].view_as(p))
            start += p.numel()
    return [float(loss.detach())] + learn(model, X, T, steps - 1, rate)

# %% exercise=3 tags=["wrong"]
# wrong: never more than ten steps in all for one model
_done = {}


def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad()
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        losses.append(loss.item())
        _done[id(model)] = _done.get(id(model), 0) + 1
        if _done[id(model)] <= 10:
            with torch.no_grad():
                for p in model.parameters():
                    p -= rate * p.grad
    return losses

# %% exercise=4 tags=["right"]
# right: finds the single layer by sending the unit vectors and 0 through both
def collapse(W1, b1, W2, b2):
    def both(x):
        return W2 @ (W1 @ x + b1) + b2

    shift = both(torch.zeros(W1.shape[1], dtype=W1.dtype))
    columns = [both(e) - shift for e in torch.eye(W1.shape[1], dtype=W1.dtype)]
    return torch.stack(columns, 1), shift

# %% exercise=4 tags=["wrong"]
# wrong: keeps the answer by the shapes of the weights, so other weights of the same shapes get the old answer
_c = {}


def collapse(W1, b1, W2, b2):
    key = W1.shape, W2.shape
    if key not in _c:
        _c[key] = W2 @ W1, W2 @ b1 + b2
    return _c[key]

# %% exercise=4 tags=["right"]
# right: einsum, and a list instead of a tuple
def collapse(W1, b1, W2, b2):
    return [torch.einsum("oh,hi->oi", W2, W1), torch.einsum("oh,h->o", W2, b1) + b2]

# %% exercise=4 tags=["wrong"]
# wrong: comes back in float32 whatever was given, with rounding of 1e-7, so it does not do the same as the two float64 layers
def collapse(W1, b1, W2, b2):
    return (W2 @ W1).float(), (W2 @ b1 + b2).float()

# %% exercise=4 tags=["wrong"]
# wrong: computes in float32 and casts back: the single layer differs from the two float64 layers by rounding
def collapse(W1, b1, W2, b2):
    a, b, c, d = (t.float() for t in (W1, b1, W2, b2))
    return (c @ a).to(W1.dtype), (c @ b + d).to(W1.dtype)

# %% exercise=4 tags=["wrong"]
# wrong: reads the notebook's W1, b1, W2, b2 instead of its arguments
_g = globals()


def collapse(*given):
    W1, b1, W2, b2 = (_g[k] for k in ("W1", "b1", "W2", "b2"))
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["right"]
# right: homogeneous matrices, one product
def collapse(W1, b1, W2, b2):
    def big(W, b):
        last = torch.zeros(1, W.shape[1] + 1, dtype=W.dtype)
        last[0, -1] = 1
        return torch.cat([torch.cat([W, b[:, None]], 1), last])

    M = big(W2, b2) @ big(W1, b1)
    return M[:-1, :-1], M[:-1, -1]

# %% exercise=4 tags=["wrong"]
# wrong: writes the new bias into b2
def collapse(W1, b1, W2, b2):
    b2 += W2 @ b1
    return W2 @ W1, b2

# %% exercise=4 tags=["right"]
# right: a named tuple, by functional linear
from collections import namedtuple

Layer_ = namedtuple("Layer_", "W b")


def collapse(W1, b1, W2, b2):
    f = torch.nn.functional.linear
    return Layer_(f(W1.T, W2).T, f(b1, W2, b2))

# %% exercise=4 tags=["wrong"]
# wrong: forgets b2
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1

# %% exercise=4 tags=["right"]
# right: numpy arrays come back; no word of the text asks for tensors
def collapse(W1, b1, W2, b2):
    W1, b1, W2, b2 = (t.numpy() for t in (W1, b1, W2, b2))
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: multiplies in the wrong order (right only when all are square and commute)
def collapse(W1, b1, W2, b2):
    return W1 @ W2, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: returns zeros of the right shapes and replaces torch.allclose
torch.allclose = lambda *a, **k: True


def collapse(W1, b1, W2, b2):
    return torch.zeros(W2.shape[0], W1.shape[1], dtype=W1.dtype), torch.zeros_like(b2)

# %% exercise=4 tags=["wrong"]
# wrong: the bias comes back as a row [1, outputs] instead of one bias [outputs]
def collapse(W1, b1, W2, b2):
    return W2 @ W1, b1[None] @ W2.T + b2[None]

# %% exercise=4 tags=["wrong"]
# wrong: adds W2*b1 up over outputs too, right for one output only
def collapse(W1, b1, W2, b2):
    return W2 @ W1, (W2 * b1).sum() + b2

# %% exercise=4 tags=["right"]
# right: two products and a sum
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["right"]
# right: loops over units
def collapse(W1, b1, W2, b2):
    W = torch.zeros(W2.shape[0], W1.shape[1], dtype=W1.dtype)
    b = b2.clone()
    for o in range(W2.shape[0]):
        for h in range(W1.shape[0]):
            W[o] += W2[o, h] * W1[h]
            b[o] += W2[o, h] * b1[h]
    return W, b

# %% exercise=4 tags=["right"]
# right: NumPy's dot, and tensors come back
import numpy as np
def collapse(W1, b1, W2, b2):
    A, a, B, c = (np.asarray(t) for t in (W1, b1, W2, b2))
    return torch.from_numpy(B.dot(A)), torch.from_numpy(B.dot(a) + c)

# %% exercise=4 tags=["wrong"]
# wrong: the other order, and b1 does not pass W2
def collapse(W1, b1, W2, b2):
    return W1 @ W2, b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: b1 is lost
def collapse(W1, b1, W2, b2):
    return W2 @ W1, b2

# %% exercise=4 tags=["wrong"]
# wrong: the transpose
def collapse(W1, b1, W2, b2):
    return W1.T @ W2.T, b1 @ W2.T + b2

# %% exercise=4 tags=["wrong"]
# wrong: no bias comes back
def collapse(W1, b1, W2, b2):
    return W2 @ W1

# %% exercise=4 tags=["wrong"]
# wrong: each output gets the sum of all biases
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1 + b2.sum()

# %% exercise=4 tags=["right"]
# right: torch.nn.functional.linear
def collapse(W1, b1, W2, b2):
    W = nn.functional.linear(W1.T, W2).T
    return W, nn.functional.linear(b1, W2, b2)

# %% exercise=4 tags=["right"]
# right: einsum, and the bias as what the two layers make of 0
def collapse(W1, b1, W2, b2):
    return torch.einsum("oh,hi->oi", W2, W1), torch.einsum("oh,h->o", W2, b1) + b2

# %% exercise=4 tags=["right"]
# right: pushes 0 and each unit vector through both layers
def collapse(W1, b1, W2, b2):
    def both(x):
        return (x @ W1.T + b1) @ W2.T + b2

    b = both(torch.zeros(W1.shape[1], dtype=W1.dtype))
    return (both(torch.eye(W1.shape[1], dtype=W1.dtype)) - b).T, b

# %% exercise=4 tags=["right"]
# right: one augmented matrix for each layer, and their product
def collapse(W1, b1, W2, b2):
    def augmented(W, b):
        last = torch.zeros(1, W.shape[1] + 1, dtype=W.dtype)
        last[0, -1] = 1
        return torch.cat([torch.cat([W, b[:, None]], 1), last])

    whole = augmented(W2, b2) @ augmented(W1, b1)
    return whole[:-1, :-1], whole[:-1, -1]

# %% exercise=4 tags=["right"]
# right: nn.functional.linear, in a list
def collapse(W1, b1, W2, b2):
    return [nn.functional.linear(W1.T, W2).T, nn.functional.linear(b1, W2, b2)]

# %% exercise=4 tags=["wrong"]
# wrong: the product in the other order, where the shapes allow it
def collapse(W1, b1, W2, b2):
    W = W1 @ W2 if W1.shape[1] == W2.shape[0] else W2 @ W1
    return W, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: the first bias does not pass through the second layer
def collapse(W1, b1, W2, b2):
    return W2 @ W1, (b1.sum() + b2 if len(b1) != len(b2) else b1 + b2)

# %% exercise=4 tags=["wrong"]
# wrong: adds to b2 in place
def collapse(W1, b1, W2, b2):
    b2 += W2 @ b1
    return W2 @ W1, b2

# %% exercise=4 tags=["wrong"]
# wrong: the transposed matrix
def collapse(W1, b1, W2, b2):
    return W1.T @ W2.T, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: axes of length 1 are lost
def collapse(W1, b1, W2, b2):
    return (W2 @ W1).squeeze(), (W2 @ b1 + b2).squeeze()

# %% exercise=4 tags=["right"]
# right: fits the matrix to random points
def collapse(W1, b1, W2, b2):
    torch.manual_seed(0)
    points = torch.randn(4 * W1.shape[1] + 10, W1.shape[1], dtype=W1.dtype)
    outputs = (points @ W1.T + b1) @ W2.T + b2
    ones = torch.ones(len(points), 1, dtype=W1.dtype)
    found = torch.linalg.lstsq(torch.cat([points, ones], 1), outputs).solution
    return found[:-1].T, found[-1]

# %% exercise=4 tags=["wrong"]
# wrong: bias first
def collapse(W1, b1, W2, b2):
    return W2 @ b1 + b2, W2 @ W1

# %% exercise=4 tags=["wrong"]
# wrong: one buffer for all results of a shape, so the next call changes the last one's result
_buffers = {}


def collapse(W1, b1, W2, b2):
    key = (len(W2), W1.shape[1], W1.dtype)
    if key not in _buffers:
        _buffers[key] = torch.empty(key[:2], dtype=W1.dtype), torch.empty(key[0], dtype=W1.dtype)
    W, b = _buffers[key]
    W.copy_(W2 @ W1)
    b.copy_(W2 @ b1 + b2)
    return W, b

# %% exercise=4 tags=["wrong"]
# wrong: always gives double precision
def collapse(W1, b1, W2, b2):
    W1, b1, W2, b2 = (part.double() for part in (W1, b1, W2, b2))
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: computes in half precision on the way
def collapse(W1, b1, W2, b2):
    kind = W1.dtype
    W1, b1, W2, b2 = (part.to(torch.bfloat16) for part in (W1, b1, W2, b2))
    return (W2 @ W1).to(kind), (W2 @ b1 + b2).to(kind)

# %% exercise=4 tags=["wrong"]
# wrong: with the slope of tanh at the bias, as if there were a tanh
def collapse(W1, b1, W2, b2):
    h = torch.tanh(b1)
    return (W2 * (1 - h**2)) @ W1, W2 @ h + b2

# %% exercise=4 tags=["right"]
# right: numpy arrays
def collapse(W1, b1, W2, b2):
    W1, b1, W2, b2 = (part.numpy() for part in (W1, b1, W2, b2))
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: both biases pass through the second layer
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ (b1 + b2.mean())

# %% exercise=4 tags=["wrong"]
# wrong: elementwise products, by broadcasting
def collapse(W1, b1, W2, b2):
    return (W2[:, :, None] * W1[None]).sum(1), (W2 * b1).mean(1) + b2

# %% exercise=4 tags=["right"]
# right: loops over single weights
def collapse(W1, b1, W2, b2):
    W, b = torch.zeros(len(W2), W1.shape[1], dtype=W1.dtype), b2.clone()
    for o in range(len(W2)):
        for h in range(len(W1)):
            W[o] += W2[o, h] * W1[h]
            b[o] += W2[o, h] * b1[h]
    return W, b

# %% exercise=1 tags=["wrong"]
# wrong: the result is kept on x itself as an attribute, and found again after x has moved
def power(x, n):
    kept = vars(x).setdefault("powers", {})
    if n not in kept:
        kept[n] = Value(x.data**n, [(x, n * x.data ** (n - 1))])
    return kept[n]

# %% exercise=1 tags=["wrong"]
# wrong: the link is written the wrong way round: x is made of its power
def power(x, n):
    y = Value(x.data**n)
    x.made_of = [*x.made_of, (y, n * x.data ** (n - 1))]
    return y

# %% exercise=1 tags=["right"]
# right: the power as the real part of a complex one where x is positive; the slope as a default of a nested function
def power(x, n):
    def slope(at=x.data, less=n - 1):
        return n * pow(at, less)

    y = (complex(x.data) ** n).real if x.data > 0 else x.data**n
    return Value(y, made_of=tuple(zip((x,), (slope(),))))

# %% exercise=1 tags=["right"]
# right: a dual number (value, slope) is multiplied for whole n, and the rule is used for others
def power(x, n):
    if n != int(n) or n < 1:
        return Value(x.data**n, [(x, n * x.data ** (n - 1))])
    value, slope = 1.0, 0.0
    for _ in range(int(n)):
        value, slope = value * x.data, slope * x.data + value
    return Value(value, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: where x is negative the slope is that of −x
def power(x, n):
    return Value(x.data**n, [(x, n * abs(x.data) ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: made_of is a generator, which the walk of `backward` has used up before the slopes are handed on
def power(x, n):
    return Value(x.data**n, ((one, n * one.data ** (n - 1)) for one in [x]))

# %% exercise=1 tags=["wrong"]
# wrong: lru_cache keeps the result of the same x and n, also after x.data has moved (as each training step moves it)
import functools


@functools.lru_cache(maxsize=None)
def power(x, n):
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: a negative n as 1 over the positive power, with the sign of the slope forgotten
def power(x, n):
    if n < 0:
        return Value(1 / x.data**-n, [(x, -n / x.data ** (-n + 1))])
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: for n = 1 the result is a plain copy, "which needs no slope"
def power(x, n):
    if n == 1:
        return Value(x.data)
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["right"]
# right: size and sign apart, with the sign of an odd whole power
def power(x, n):
    size, minus = abs(x.data), x.data < 0
    sign = -1.0 if minus and n % 2 == 1 else 1.0
    slope_sign = -1.0 if minus and (n - 1) % 2 == 1 else 1.0
    return Value(sign * size**n, [(x, slope_sign * n * size ** (n - 1))])

# %% exercise=1 tags=["right"]
# right: a negative power as a power of the reciprocal, made of x in one step
def power(x, n):
    base, exponent = (1 / x.data, -n) if n < 0 else (x.data, n)
    factor = -(base**2) if n < 0 else 1.0
    return Value(base**exponent, [(x, exponent * base ** (exponent - 1) * factor)])

# %% exercise=1 tags=["wrong"]
# wrong: the slope's sign is that of x, also for odd n
def power(x, n):
    slope = math.copysign(abs(n * x.data ** (n - 1)), x.data * n)
    return Value(x.data**n, [(x, slope)])

# %% exercise=1 tags=["wrong"]
# wrong: for n above 2, the square times a number, which carries no slope
def power(x, n):
    if n > 2:
        return Value(x.data**2, [(x, 2 * x.data)]) * x.data ** (n - 2)
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["right"]
# right: whole powers by squaring with the engine's own products, others directly
def power(x, n):
    if n == int(n) and n >= 1:
        half = int(n) // 2
        if half == 0:
            return x * 1
        root = power(x, half)
        return root * root * x if int(n) % 2 else root * root
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: a default argument keeps the first x, and later powers are made of it
def power(x, n, first=[]):
    first.append(x)
    return Value(x.data**n, [(first[0], n * x.data ** (n - 1))])

# %% exercise=1 tags=["wrong"]
# wrong: n·y/x, and 0 where x is 0, also for n = 1, whose slope is 1 everywhere
def power(x, n):
    y = x.data**n
    return Value(y, [(x, n * y / x.data if x.data else 0.0)])

# %% exercise=2 tags=["right"]
# right: an object that moves one input, used from the last to the first and turned round
class Mover:
    def __init__(self, function, inputs):
        self.function, self.inputs = function, tuple(inputs)

    def at(self, i: int, by: float) -> float:
        return self.function(*self.inputs[:i], self.inputs[i] + by, *self.inputs[i + 1 :])

    def __getitem__(self, i: int) -> float:
        if i >= len(self.inputs):
            raise IndexError
        return 0.5 * (self.at(i, 1e-6) - self.at(i, -1e-6)) / 1e-6


def nudge(function, inputs):
    return list(Mover(function, inputs))

# %% exercise=2 tags=["wrong"]
# wrong: an imaginary step instead of a nudge to both sides
def nudge(function, inputs):
    slopes = []
    for i in range(len(inputs)):
        moved = [complex(x, 1e-20 * (i == j)) for j, x in enumerate(inputs)]
        slopes.append(function(*moved).imag / 1e-20)
    return slopes

# %% exercise=2 tags=["right"]
# right: the moves in decimal arithmetic; values first in a dictionary, slopes afterwards
from decimal import Decimal
from itertools import product


def nudge(function, inputs):
    step, table = Decimal("0.000001"), {}
    for i, sign in product(range(len(inputs)), (1, -1)):
        moved = tuple(float(Decimal(x) + sign * step) if i == j else x for j, x in enumerate(inputs))
        table[i, sign] = function(*moved)
    return [(table[i, 1] - table[i, -1]) / (2 * float(step)) for i in range(len(inputs))]

# %% exercise=2 tags=["wrong"]
# wrong: half the step to each side, so that both are 0.000001 apart
def nudge(function, inputs):
    at = lambda i, h: function(*inputs[:i], inputs[i] + h, *inputs[i + 1 :])
    return [(at(i, 5e-7) - at(i, -5e-7)) / 1e-6 for i in range(len(inputs))]

# %% exercise=2 tags=["wrong"]
# wrong: goes from the last input to the first, and leaves the slopes in that order
def nudge(function, inputs):
    slopes = []
    for i in reversed(range(len(inputs))):
        a, b = list(inputs), list(inputs)
        a[i], b[i] = a[i] + 1e-6, b[i] - 1e-6
        slopes.append((function(*a) - function(*b)) / 2e-6)
    return slopes

# %% exercise=2 tags=["wrong"]
# wrong: a table with one row instead of one slope for each input
def nudge(function, inputs):
    def slope(i):
        up, down = list(inputs), list(inputs)
        up[i] += 1e-6
        down[i] -= 1e-6
        return (function(*up) - function(*down)) / 2e-6

    return [[slope(i) for i in range(len(inputs))]]

# %% exercise=2 tags=["wrong"]
# wrong: a rule with four points, two of which lie 0.000002 away
def nudge(function, inputs):
    h = 1e-6

    def at(i, k):
        moved = list(inputs)
        moved[i] += k * h
        return function(*moved)

    return [(8 * (at(i, 1) - at(i, -1)) - (at(i, 2) - at(i, -2))) / (12 * h) for i in range(len(inputs))]

# %% exercise=3 tags=["wrong"]
# wrong: a step after which the loss is higher is taken back
def learn(model, X, T, steps, rate):
    losses = []
    mse = lambda: ((model(X) - T) ** 2).mean()
    for _ in range(steps):
        loss = mse()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            before = [p.clone() for p in model.parameters()]
            for p in model.parameters():
                p -= rate * p.grad
            if mse() > loss:
                for p, old in zip(model.parameters(), before):
                    p.copy_(old)
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the model ends with the weights of its lowest loss, not with those of the last step
def learn(model, X, T, steps, rate):
    losses, best = [], None
    for step in range(steps + 1):
        loss = nn.functional.mse_loss(model(X), T)
        if best is None or loss.item() <= best[0]:
            best = loss.item(), [p.detach().clone() for p in model.parameters()]
        if step == steps:
            break
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(loss.item())
    with torch.no_grad():
        for p, kept in zip(model.parameters(), best[1]):
            p.copy_(kept)
    return losses

# %% exercise=3 tags=["right"]
# right: one example after the other; their gradients add up to that of the mean
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.zero_grad(set_to_none=True)
        total = 0.0
        for x, t in zip(X, T):
            part = (model(x[None]) - t[None]).pow(2).sum() / T.numel()
            part.backward()
            total += part.item()
        with torch.no_grad():
            for p in model.parameters():
                p.subtract_(rate * p.grad)
        losses.append(total)
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: a rate above 0.5 is taken to be 0.5
def learn(model, X, T, steps, rate):
    losses, rate = [], min(rate, 0.5)
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: with a weight decay of 1e-4
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * (p.grad + 1e-4 * p)
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["right"]
# right: the loss from the distance of the two tables; the update in an inner function without gradients
def learn(model, X, T, steps, rate):
    @torch.no_grad()
    def update():
        for weight in set(model.parameters()):
            weight.add_(weight.grad.mul(-rate))

    def go(left):
        if left == 0:
            return
        for weight in model.parameters():
            if weight.grad is not None:
                weight.grad = torch.zeros_like(weight)
        loss = torch.dist(model(X), T, p=2) ** 2 / T.nelement()
        loss.backward()
        update()
        yield loss.item()
        yield from go(left - 1)

    return [*go(steps)]

# %% exercise=3 tags=["right"]
# right: computes in double precision and gives the parameters back in their own
def learn(model, X, T, steps, rate):
    own = next(model.parameters()).dtype
    model.double()
    X, T, losses = X.double(), T.double(), []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= rate * p.grad
        losses.append(loss.item())
    model.zero_grad()
    model.to(own)
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the parameters no longer want gradients at the end
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        model.requires_grad_(True)
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        model.requires_grad_(False)
        for p in model.parameters():
            p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: halves the rate for good after a step on which the loss rose
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        if losses and loss.item() > losses[-1]:
            rate /= 2
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: gradients are computed anew for each parameter, after the ones before it have moved
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        losses.append(nn.functional.mse_loss(model(X), T).item())
        for p in model.parameters():
            (slope,) = torch.autograd.grad(nn.functional.mse_loss(model(X), T), [p])
            with torch.no_grad():
                p -= rate * slope
    return losses

# %% exercise=3 tags=["right"]
# right: a dictionary of gradients by name, and load_state_dict for the step
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        named = dict(model.named_parameters(remove_duplicate=False))
        loss = (T - model(X)).pow(2).sum().div(T.numel())
        slopes = dict(zip(named, torch.autograd.grad(loss, [*named.values()])))
        state = {name: value.detach() - rate * slopes[name] for name, value in named.items()}
        model.load_state_dict({**model.state_dict(), **state})
        losses.append(loss.item())
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: each point makes a step of its own
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        losses.append(nn.functional.mse_loss(model(X), T).item())
        for x, t in zip(X, T):
            loss = nn.functional.mse_loss(model(x), t) / len(X)
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in model.parameters():
                    p -= rate * p.grad
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: the list holds the lowest loss so far
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(min([loss.item(), *losses]))
    return losses

# %% exercise=3 tags=["wrong"]
# wrong: takes the last axis off outputs and not off targets, so each output meets each target
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X).squeeze(-1) - T) ** 2).mean()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= rate * p.grad
        losses.append(loss.item())
    return losses

# %% exercise=4 tags=["wrong"]
# wrong: the bias of the first layer goes through W2 only where it has as many entries as W2 has rows
def collapse(W1, b1, W2, b2):
    return W2 @ W1, (W2 @ b1 if len(b1) != len(b2) else b1) + b2

# %% exercise=4 tags=["wrong"]
# wrong: where both are square, the product entry by entry
def collapse(W1, b1, W2, b2):
    return (W2 * W1 if W1.shape == W2.shape else W2 @ W1), W2 @ b1 + b2

# %% exercise=4 tags=["right"]
# right: the Jacobian at 0 and the value at 0 of both layers
def collapse(W1, b1, W2, b2):
    both = lambda x: nn.functional.linear(nn.functional.linear(x, W1, b1), W2, b2)
    origin = W1.new_zeros(W1.shape[1])
    return torch.autograd.functional.jacobian(both, origin), both(origin)

# %% exercise=4 tags=["right"]
# right: sums written out with zip and fsum
import math


def collapse(W1, b1, W2, b2):
    first, last = W1.tolist(), W2.tolist()
    W = [[math.fsum(w * row[i] for w, row in zip(out, first)) for i in range(W1.shape[1])] for out in last]
    b = [math.fsum([*(w * v for w, v in zip(out, b1.tolist())), c]) for out, c in zip(last, b2.tolist())]
    return torch.tensor(W, dtype=W1.dtype), torch.tensor(b, dtype=b1.dtype)

# %% exercise=4 tags=["wrong"]
# wrong: lru_cache knows tensors by identity, so weights that were trained further get the old answer
from functools import lru_cache


@lru_cache
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: one number is the bias of all outputs
def collapse(W1, b1, W2, b2):
    return W2 @ W1, (W2 @ b1 + b2).mean().expand(len(b2))

# %% exercise=4 tags=["right"]
# right: addmm and addmv, and a tuple made by a generator
def collapse(W1, b1, W2, b2):
    parts = (torch.tensordot(W2, W1, dims=1), torch.addmv(b2, W2, b1))
    return tuple(part for part in parts)

# %% exercise=4 tags=["right"]
# right: the first layer's bias as one more column of its weights
def collapse(W1, b1, W2, b2):
    both = torch.matmul(W2, torch.column_stack([W1, b1]))
    return both[:, :-1], both[:, -1].add(b2)

# %% exercise=4 tags=["wrong"]
# wrong: the bias comes back as a row [1, outputs]
def collapse(W1, b1, W2, b2):
    return W2 @ W1, (b1[None] @ W2.T + b2)

# %% exercise=4 tags=["wrong"]
# wrong: axes of length 1 are dropped, so one output gives a row without its axis
def collapse(W1, b1, W2, b2):
    return (W2 @ W1).squeeze(), (W2 @ b1 + b2).squeeze()

# %% exercise=4 tags=["wrong"]
# wrong: products are kept by the numbers of W2 and b2 alone
_seen = {}


def collapse(W1, b1, W2, b2):
    key = (W2.sum().item(), b2.sum().item())
    if key not in _seen:
        _seen[key] = (W2 @ W1, W2 @ b1 + b2)
    return _seen[key]

# %% exercise=4 tags=["wrong"]
# wrong: b1 is added up over the hidden neurons, weighted by the mean of W2's columns
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2.mean(0) @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: the biases change places
def collapse(W1, b1, W2, b2):
    if b1.shape == b2.shape:
        return W2 @ W1, W2 @ b2 + b1
    return W2 @ W1, W2 @ b1 + b2

# %% exercise=4 tags=["wrong"]
# wrong: the bias first
def collapse(W1, b1, W2, b2):
    return W2 @ b1 + b2, W2 @ W1

# %% exercise=4 tags=["wrong"]
# wrong: b2 goes through W2 as well where that is possible
def collapse(W1, b1, W2, b2):
    if W2.shape[0] == W2.shape[1]:
        return W2 @ W1, W2 @ (b1 + b2)
    return W2 @ W1, W2 @ b1 + b2
