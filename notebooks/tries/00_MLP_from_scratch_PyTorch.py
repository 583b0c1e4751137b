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
