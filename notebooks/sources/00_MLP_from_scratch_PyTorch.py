# %% [markdown]
# # What is a gradient?
#
# *From one number to a network that tells a 0 from a 1, with an engine of our own, and then the same in PyTorch.*
#
# I learn by building. So before we look inside a neural network, we build one, and we build everything that it stands on: numbers that know
# their own slope, a neuron, a layer, a network, and the loop that trains it. All of this we write ourselves; only images, plots and, later, PyTorch are
# imported.
#
# **You will be able to**
#
# * say what a gradient is, and check one yourself;
# * explain, line by line, the automatic differentiation behind every deep learning library (fewer than forty lines);
# * build a neuron, a layer and an MLP from it, and train them;
# * say line by line what PyTorch does for you, because you did it by hand first.
#
# **Minutes:** 45 to read and run, 45 more for the exercises. **You need:** Python, and the derivative of x² from school.
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Our own guesses stand here as examples, right
# or wrong; the version in `exercises/` leaves them to you. Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("00")

# %% [markdown]
# Five helpers appear in the cells of all notebooks, and `nm`, which is the library itself. `lesson.guess` keeps your guess, and `lesson.reveal` shows it next to what was found. `lesson.say` prints
# a sentence with the numbers that the cell has computed. `lesson.pick(a, b)` is `a`, or `b` where the notebook runs in a shorter form, for example because MNIST
# can't be downloaded; `lesson.full` says which of the two it is. (From 02 on, `lesson.run` trains a network, or opens it if you have trained it before.)
#
# ## 1. A slope, without any theory
#
# Let's start with a function of one number. How fast does its value change when the number changes a little? We can move the number a little, and look.


# %%
def f(x):
    return 3 * x**2 - 4 * x + 5


for step in (1.0, 0.1, 0.001, 0.00001):
    print(f"step {step:<8}  (f(2 + step) − f(2)) / step = {(f(2 + step) - f(2)) / step:.5f}")

# %% [markdown]
# The smaller the step, the closer we come to one number: near x = 2, this function rises eight times as fast as x. That number is the *derivative*.
# When a function has many inputs, it has one such number for each of them. All of them together are the **gradient**, and that is all the word means.
#
# Somewhere this function stops falling and begins to rise. There its slope is 0. **At which x?**

# %%
mine = 0.5  # your guess
lesson.guess("flat", mine)

# %%
candidates = [i / 1000 for i in range(-2000, 2000)]
flat = min(candidates, key=lambda x: abs((f(x + 1e-6) - f(x)) / 1e-6))
lesson.reveal("flat", flat)

# %% [markdown]
# From school you know why: the derivative is 6x − 4, and that is 0 at x = 2/3.
#
# Learning works the same way. A network has many adjustable numbers, its *weights*. A function, the *loss*, says how wrong the network is with these
# weights. We look for the weights at which the loss stops falling.
#
# But even a small network has a hundred thousand weights. If we nudge each of them and run the network again, one step of learning takes a hundred
# thousand runs. There is a better way: one run forward, and one walk back.

# %% [markdown]
# ## 2. Numbers that remember
#
# The better way is the *chain rule*. If `y` is computed from `x`, and `z` from `y`, then slopes multiply: dz/dx = dz/dy · dy/dx.
#
# So let's build numbers that remember two things: which numbers they were computed from, and their slope with respect to each. Then we can walk back from the
# result and multiply. Micrograd, whose idea this is, calls such a number a `Value`, and so do we:

# %%
import math


class Value:
    """A number that remembers what it was computed from."""

    def __init__(self, data, made_of=()):
        self.data = data
        self.grad = 0.0
        self.made_of = made_of  # pairs: (an input, the slope of this number with respect to it)

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def __sub__(self, other):
        return self + other * -1

    __radd__ = __add__  # for 2 + x, where Python asks x
    __rmul__ = __mul__

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, [(self, 1 - t * t)])

    def relu(self):
        return Value(max(self.data, 0.0), [(self, 1.0 if self.data > 0 else 0.0)])

    def backward(self):
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for source, _ in value.made_of:
                    visit(source)
                order.append(value)

        visit(self)
        self.grad = 1.0
        for value in reversed(order):  # each one after everything that was computed from it
            for source, slope in value.made_of:
                source.grad += slope * value.grad


# %% [markdown]
# That's the whole engine. Read it once more, operation by operation:
#
# * In a sum, the result moves exactly as fast as each part, so both slopes are 1.
# * In a product `a · b`, a nudge of `a` moves the result `b` times as far. So the slope with respect to `a` is `b`, and the slope with respect to `b` is `a`.
# * `tanh` squeezes any number into −1..1. It is steep in the middle and flat at the ends: its slope is 1 − tanh².
# * `relu` lets positive numbers pass and turns negative ones into 0, so its slope is 1 or 0.
# * `backward` first puts all numbers in a list in which each one comes after everything it was made of (`visit` does that). Then it walks through the list
#   from the end. The result itself has slope 1, and each number hands its slope, times the stored one, to the numbers it was made of.
#
# Now a number is used twice: `y = a·b + a`. With a = 2 and b = −3: **what is dy/da?**

# %%
mine = -3  # your guess
lesson.guess("twice", mine)

# %%
a, b = Value(2.0), Value(-3.0)
y = a * b + a
y.backward()
nudged = (2.001 * -3.0 + 2.001) - y.data
if lesson.reveal("twice", a.grad):
    print(f"A nudge of 0.001 in a moves y {nudged / 0.001:.3f} times as far.")

# %% [markdown]
# If your guess was −3, you saw one of the two ways in which `a` reaches `y`; that is an easy mistake. Gradients of all ways **add up**, which is why
# `backward` says `+=`.
#
# Those two characters are also behind the most common bug in training loops: gradients accumulate unless you set them back to 0 before the next step.

# %% [markdown]
# ### Exercise 1: a power
# *Difficulty ●●○○ · 10 minutes*
#
# Our `Value` can't do x² yet, except as `x * x`. Write `power(x, n)`: a Value that is x to the power of n, where n is an ordinary number, and that
# knows its slope with respect to x.

# %% [markdown] tags=["hint"]
# The slope of xⁿ is n · xⁿ⁻¹. A Value is made with `Value(number, [(input, slope)])`.


# %% tags=["stub"]
def power(x, n):
    raise NotImplementedError("return Value(number, [(x, slope)])")


# %% tags=["solution"]
def power(x, n):
    return Value(x.data**n, [(x, n * x.data ** (n - 1))])


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    cases = [(3.0, 2), (2.0, 3), (4.0, 0.5), (-1.5, 3), (-1.5, 2), (0.0, 2), (2.0, -1), (0.01, -1), (1e-4, 3)]
    cases += [(0.0, 1)] + [(float(rng.uniform(0.5, 3)), float(rng.uniform(-2, 3))) for _ in range(5)]
    for at, n in cases:
        given, other = Value(at), Value(at)  # another Value with the same number
        x = given * 1.0  # x may itself be a result
        x.data += 1.0
        power(other, n), power(x, n), power(x, n + 1)
        x.data, x.grad = at, 7.0  # a step of training has moved it
        y = power(x, n)
        assert isinstance(y, Value), f"power gives a {type(y).__name__}; it should give a Value"
        assert math.isclose(y.data, at**n, rel_tol=1e-9), (
            f"{at:g} to the power of {n:g} is {at**n:g}, not {y.data:g} (before, this x was {at + 1:g})"
        )
        assert (x.data, x.grad) == (at, 7.0), "x itself has changed: power should leave its input alone"
        x.grad = 0.0
        z = y * 3.0 + x  # x reaches z in two ways
        z.backward()
        assert other.grad == 0, "a slope came back to another Value, of which another power was taken"
        h = 1e-6
        slope = 3 * ((at + h) ** n - (at - h) ** n) / (2 * h) + 1
        assert x.grad != 1.0 or slope == 1.0, (
            "no gradient comes back through the power: is x among what the result is made of"
        )
        assert math.isclose(x.grad, slope, rel_tol=1e-6), (
            f"for n = {n:g} at x = {at:g}, a nudge moves 3·xⁿ + x {slope:.7g} times as far; backward gives {x.grad:.7g}"
        )
        assert given.grad == x.grad, "the slope reaches x, and no longer what x was made of"


# %% tags=["right"]
def power(x, n):  # the slope by a nudge
    h = 1e-6
    return Value(x.data**n, [(x, ((x.data + h) ** n - (x.data - h) ** n) / (2 * h))])


# %% tags=["right"]
def power(x, n):
    slope = n * math.pow(x.data, n - 1)
    return Value(math.pow(x.data, n), ((x, slope),))


# %% tags=["right"]
def power(x, n):
    out = Value(x.data**n)
    out.made_of = [(x, n * x.data ** (n - 1))]
    return out


# %% tags=["wrong"]
def power(x, n):  # a plain number
    return x.data**n


# %% tags=["wrong"]
def power(x, n):  # the exponent of the slope stays n
    return Value(x.data**n, [(x, n * x.data**n)])


# %% tags=["wrong"]
def power(x, n):  # forgets what it was made of
    return Value(x.data**n)


# %% tags=["wrong"]
def power(x, n):  # the factor n is missing
    return Value(x.data**n, [(x, x.data ** (n - 1))])


# %% tags=["wrong"]
def power(x, n):  # only squares have the right slope
    return Value(x.data**n, [(x, 2 * x.data)])


# %% tags=["wrong"]
def power(x, n):  # only whole exponents
    return Value(x.data ** int(n), [(x, int(n) * x.data ** (int(n) - 1))])


# %% tags=["wrong"]
def power(x, n):  # repeated products: a fraction as exponent is rounded
    result = Value(1.0)
    for _ in range(round(n)):
        result = result * x
    return result


# %% tags=["wrong"]
def power(x, n):  # drops the sign
    return Value(abs(x.data) ** n, [(x, n * abs(x.data) ** (n - 1))])


# %% tags=["wrong"]
def power(x, n):  # a division by x, which stops at 0
    return Value(x.data**n, [(x, n * x.data**n / x.data)])


# %% tags=["wrong"]
def power(x, n):  # changes its input
    x.data = x.data**n
    return x


# %% [markdown]
# ## 3. A neuron, a layer, a network
#
# A *neuron* multiplies each input by a weight, adds everything up together with one more number, the *bias*, and passes the sum through an *activation
# function*, here `tanh`. A *layer* is several neurons that see the same inputs. A *multilayer perceptron* (MLP) is layers in a row.
#
# With our numbers, each of the three is a few lines. The weights start at random: if all neurons of a layer began alike, each would get the same gradient at
# every step, and they would stay alike.

# %%
import random


class Neuron:
    def __init__(self, n_inputs, rng, squash=True):
        bound = 1 / math.sqrt(n_inputs)  # the more inputs, the smaller each weight: the sum keeps its size
        self.w = [Value(rng.uniform(-bound, bound)) for _ in range(n_inputs)]
        self.b = Value(rng.uniform(-bound, bound))
        self.squash = squash

    def __call__(self, inputs):
        total = sum((w * x for w, x in zip(self.w, inputs, strict=True)), start=self.b)
        return total.tanh() if self.squash else total

    def parameters(self):
        return [*self.w, self.b]


class Layer:
    def __init__(self, n_inputs, n_outputs, rng, squash=True):
        self.neurons = [Neuron(n_inputs, rng, squash) for _ in range(n_outputs)]

    def __call__(self, inputs):
        return [neuron(inputs) for neuron in self.neurons]

    def parameters(self):
        return [parameter for neuron in self.neurons for parameter in neuron.parameters()]


class MLP:
    def __init__(self, n_inputs, sizes, seed=0):
        rng, widths = random.Random(seed), [n_inputs, *sizes]
        last = len(sizes) - 1  # the last layer is not squeezed: its outputs may be any number
        self.layers = [Layer(widths[i], widths[i + 1], rng, squash=i < last) for i in range(len(sizes))]

    def __call__(self, inputs):
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def parameters(self):
        return [parameter for layer in self.layers for parameter in layer.parameters()]


neuron = Neuron(2, random.Random(0))
inputs = [Value(2.0), Value(0.5)]
out = neuron(inputs)
out.backward()
print(f"output {out.data:+.4f}")
for name, value in zip(["w0", "w1", "b", "x0", "x1"], [*neuron.parameters(), *inputs], strict=True):
    print(f"{name:>3} = {value.data:+.4f}   slope of the output {value.grad:+.4f}")

# %% [markdown]
# Compare the slopes of `w0` and `w1`: their ratio is that of the inputs, 2 to 0.5. **A weight learns in proportion to its input**, so if an input is 0, its
# weight does not move at all.
#
# And if the sum is far from 0, `tanh` is flat and every slope is nearly 0: the neuron is *saturated* and learns next to nothing. Both facts hold in the
# largest network too.

# %% [markdown]
# ### Exercise 2: check the engine by nudging
# *Difficulty ●●○○ · 10 minutes*
#
# How do we know that our engine is right? We nudge. Write `nudge(function, inputs)`: the gradient of a function of several plain numbers, found by moving
# each input by 0.000001 to both sides. It calls `function(*inputs)`, with one argument for each input. We will use it to check the engine, so it can't ask the engine itself.

# %% [markdown] tags=["hint"]
# For input i: copy the list, add the step to its i-th entry, and call the function; do the same with the step taken away; divide the difference by twice the step.


# %% tags=["stub"]
def nudge(function, inputs):
    raise NotImplementedError("return a list with one slope for each input")


# %% tags=["solution"]
def nudge(function, inputs):
    slopes = []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += 1e-6
        down[i] -= 1e-6
        slopes.append((function(*up) - function(*down)) / 2e-6)
    return slopes


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    places = [[float(value) for value in rng.uniform(-2, 2, 3).round(3)] for _ in range(4)]
    for at in [*places, places[0], [2.0, 2.0, 1.0], [0.0, -1.0, 0.0], [1, 2, 3]]:
        p, q, r = (float(value) for value in rng.uniform(-3, 3, 3) * (0.001 if at == places[1] else 1))
        calls = []

        def function(x, y, z, p=p, q=q, r=r, calls=calls):
            calls.append((x, y, z))
            return p * x * y + q * y * y + r * x * z

        with lessons.unchanged(inputs=at):
            found = nudge(function, at)
        assert hasattr(found, "__len__") and len(found) == 3, (
            f"three inputs came, so three slopes should come back, not {found}"
        )
        assert not any(isinstance(one, Value) for call in calls for one in call), (
            "the function was called with a Value: nudge is to check the engine, so give plain numbers"
        )
        for call in calls:
            moves = [abs(one - other) for one, other in zip(call, at, strict=True) if one != other]
            assert len(moves) <= 1 and all(math.isclose(move, 1e-6, rel_tol=1e-3) for move in moves), (
                f"from {at}, one input at a time should move by 0.000001; the function was called with {[*map(float, call)]}"
            )
        x, y, z = at
        for name, got, true in zip("xyz", found, (p * y + r * z, p * x + 2 * q * y, r * x), strict=True):
            assert abs(got - true) < 1e-6, (
                f"{p:.3g}·x·y + {q:.3g}·y² + {r:.3g}·x·z has the slope {true:.6f} with respect to {name} at {at}; nudge gives {got:.6f}"
            )
    curved = nudge(lambda x: 1e4 * x * x, [3.0])[0]
    assert abs(curved - 6e4) < 1e-3, (
        f"where a function bends, one side is not enough: 10000·x² at 3 has the slope 60000, nudge gives {curved:.4f}"
    )
    values = [Value(0.3), Value(-0.7)]
    neuron(values).backward()
    by_nudge = nudge(lambda x, y: neuron([x, y]).data, [0.3, -0.7])
    worst = max(abs(value.grad - slope) for value, slope in zip(values, by_nudge, strict=True))
    assert worst < 1e-6, f"for a neuron the engine and nudge differ by {worst}"


# %% tags=["right"]
def nudge(function, inputs):
    h = 1e-6

    def moved(i, by):
        return function(*[x + by * (j == i) for j, x in enumerate(inputs)])

    return [(moved(i, h) - moved(i, -h)) / (2 * h) for i in range(len(inputs))]


# %% tags=["right"]
def nudge(function, inputs):
    import numpy

    at = numpy.array(inputs, float)
    steps = 1e-6 * numpy.eye(len(at))
    return numpy.array([(function(*(at + step)) - function(*(at - step))) / 2e-6 for step in steps])


# %% tags=["right"]
def nudge(function, inputs):  # slices in place of copies
    h, slopes = 1e-6, []
    for i in range(len(inputs)):
        before, after = inputs[:i], inputs[i + 1 :]
        slopes.append((function(*before, inputs[i] + h, *after) - function(*before, inputs[i] - h, *after)) / (2 * h))
    return tuple(slopes)


# %% tags=["wrong"]
def nudge(function, inputs):  # one side only
    base = function(*inputs)
    return [(function(*[x + 1e-6 * (j == i) for j, x in enumerate(inputs)]) - base) / 1e-6 for i in range(len(inputs))]


# %% tags=["wrong"]
def nudge(function, inputs):  # divides by one step, not two
    slopes = []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += 1e-6
        down[i] -= 1e-6
        slopes.append((function(*up) - function(*down)) / 1e-6)
    return slopes


# %% tags=["wrong"]
def nudge(function, inputs):  # moves every input at once
    up, down = [x + 1e-6 for x in inputs], [x - 1e-6 for x in inputs]
    return [(function(*up) - function(*down)) / 2e-6] * len(inputs)


# %% tags=["wrong"]
def nudge(function, inputs):  # a step so large that curves become chords
    slopes = []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += 0.01
        down[i] -= 0.01
        slopes.append((function(*up) - function(*down)) / 0.02)
    return slopes


# %% tags=["wrong"]
def nudge(function, inputs):  # the steps stay in the caller's list
    slopes = []
    for i in range(len(inputs)):
        inputs[i] += 1e-6
        up = function(*inputs)
        inputs[i] -= 2e-6
        slopes.append((up - function(*inputs)) / 2e-6)
    return slopes


# %% tags=["wrong"]
def nudge(function, inputs):  # the slope of the first input for all
    up, down = list(inputs), list(inputs)
    up[0] += 1e-6
    down[0] -= 1e-6
    return [(function(*up) - function(*down)) / 2e-6 for _ in inputs]


# %% tags=["wrong"]
def nudge(function, inputs):  # the sign is turned
    slopes = []
    for i in range(len(inputs)):
        up, down = list(inputs), list(inputs)
        up[i] += 1e-6
        down[i] -= 1e-6
        slopes.append((function(*down) - function(*up)) / 2e-6)
    return slopes


# %% tags=["wrong"]
def nudge(function, inputs):  # only two inputs
    x, y, *rest = [*inputs, 0.0]
    rest = rest[:-1]
    return [
        (function(x + 1e-6, *inputs[1:]) - function(x - 1e-6, *inputs[1:])) / 2e-6,
        (function(x, y + 1e-6, *inputs[2:]) - function(x, y - 1e-6, *inputs[2:])) / 2e-6 if len(inputs) > 1 else 0.0,
    ][: len(inputs)]


# %% [markdown]
# ## 4. A real task: 0 or 1?
#
# Now we give the network something to learn. We take just two numbers from each image: how much ink there is in its upper left quarter, and in its lower
# left quarter.

# %%
import matplotlib.pyplot as plt
import numpy as np

half = lesson.data.image_shape[1] // 2
_, panels = plt.subplots(1, 2, figsize=(4, 2))
for axes, label in zip(panels, (0, 1), strict=True):
    axes.imshow(lesson.data.train.images[lesson.data.train.labels == label][0], cmap="gray_r")
    axes.axvline(half - 0.5)
    axes.axhline(half - 0.5, xmax=0.5)
    axes.set(xticks=[], yticks=[], title=f"a {label}")

# %% [markdown]
# *What to look at:* the two quarters on the left of each image. A 0 has ink in both. A 1 is one stroke in the middle, often leaning to the right: the upper
# left stays nearly empty, and the foot may reach into the lower left. With these two numbers we can draw each image as a point:


# %%
def two_numbers(images):
    """The ink in the upper left and in the lower left quarter, scaled to mean 0 and standard deviation 1: [example, 2]."""
    ink = np.stack([images[:, :half, :half].mean((1, 2)), images[:, half:, :half].mean((1, 2))], 1)
    return (ink - ink.mean(0)) / ink.std(0)


def zeros_and_ones(some, n):
    chosen = [np.flatnonzero(some.labels == label)[: n // 2] for label in (0, 1)]
    part = some.subset(np.concatenate(chosen))
    return two_numbers(part.images), part.labels


train_points, train_labels = zeros_and_ones(lesson.data.train, 80)
test_points, test_labels = zeros_and_ones(lesson.data.test, lesson.pick(1000, 100))
nm.plots.plane(train_points, train_labels, title="Each image as two numbers", x="ink, upper left", y="ink, lower left")

# %% [markdown]
# *What to look at:* the 0s lie to the upper right, because they have ink in both quarters. The 1s lie at the left and along the bottom, and a few of them mix
# with narrow 0s.
#
# Our network has two inputs, a layer of six neurons, and one output. We want +1 for a 1 and −1 for a 0; an output above 0 counts as a 1. It will learn from
# these 80 images.
#
# **What share of new images will it classify correctly?** Half of them are 0s, so blind guessing gives 0.5.

# %%
mine = 0.9  # your guess
lesson.guess("accuracy", mine)

# %% [markdown]
# The loss is the mean squared distance of the outputs to +1 and −1. And here is the *training loop*, which you will meet everywhere from now on. Each step has
# four parts: compute the loss, set all gradients to 0, go backward, move every *parameter* (weight or bias) a little against its slope.

# %%
targets = [1.0 if label == 1 else -1.0 for label in train_labels]
pairs = list(zip(train_points.tolist(), targets, strict=True))


def loss_of(model):
    errors = [model(point)[0] - target for point, target in pairs]
    return sum(error * error for error in errors) * (1 / len(errors))


def train(model, steps, rate=0.3):
    losses = []
    for _ in range(steps):
        loss = loss_of(model)
        for parameter in model.parameters():
            parameter.grad = 0.0
        loss.backward()
        for parameter in model.parameters():
            parameter.data -= rate * parameter.grad
        losses.append(loss.data)
    return losses


model = MLP(2, [6, 1], seed=0)
losses = train(model, 60)
print(
    f"{len(model.parameters())} parameters; the loss falls from {losses[0]:.3f} to {losses[-1]:.3f} in {len(losses)} steps"
)
nm.plots.lines({"training images": (range(60), losses)}, x="step", y="mean squared error", title="It learns")

# %% [markdown]
# *What to look at:* the loss before each step. So where in the plane does the network now draw its border between 0s and 1s?

# %% tags=["card"]
side = np.linspace(-3, 3, 41)
answers = np.array([[model([x, y])[0].data for x in side] for y in side])
nm.plots.plane(
    train_points,
    train_labels,
    surface=(side, side, answers),
    title="The border that it found",
    x="ink, upper left",
    y="ink, lower left",
)

# %% [markdown]
# *What to look at:* where the plane is orange, the network's output is above 0 and it predicts a 1; where it is blue, it predicts a 0. The line between them
# is its *decision boundary*.
#
# Now for images that it has never seen. An accuracy alone says little, so we compare it with chance: we keep the predictions and put the labels in random
# order, 1,000 times. What a measure gives when there is nothing to find is called its *null*. You will meet one in every notebook.

# %%
predicted = np.array([int(model(point)[0].data > 0) for point in test_points.tolist()])
accuracy = float((predicted == test_labels).mean())
rng = np.random.default_rng(0)
by_chance = [float((predicted == rng.permutation(test_labels)).mean()) for _ in range(1000)]
low, high = np.percentile(by_chance, [2.5, 97.5])
if lesson.reveal("accuracy", accuracy):
    lesson.say(f"""Of {len(test_labels):,} new images it classifies {accuracy:.1%} correctly. In 950 of the 1,000 random orders the accuracy lies between {low:.0%} and
{high:.0%}, and {accuracy:.1%} is above that. So two numbers of an image already say a good deal about whether it is a 0 or a 1. What they leave out is in the other pixels, which are for the next notebooks.""")
assert accuracy > high
assert not lesson.full or accuracy > 0.9

# %% [markdown]
# **Does it hold on another seed?** A *seed* is the number that fixes all random choices, so another seed gives other starting weights. If the accuracy depended
# on them, the sentence above would be about one lucky network. So we train three more.

# %%
shares = []
for seed in range(1, 4):
    other = MLP(2, [6, 1], seed=seed)
    train(other, lesson.pick(60, 20))
    right = [(other(p)[0].data > 0) == (t == 1) for p, t in zip(test_points.tolist(), test_labels, strict=True)]
    shares.append(float(np.mean(right)))
if lesson.reveal("accuracy"):
    found = ", ".join(f"{share:.1%}" for share in shares)
    lucky = "Not all of these are above chance, so it depends on the start."
    fine = "All of these are above chance too, so it did not need a lucky start."
    lesson.say(f"Three other seeds: {found}. {fine if min(shares) > high else lucky}")

# %% [markdown]
# ## 5. The same by hand, in tensors
#
# Our engine computes one number at a time, in Python, and that is slow. A *tensor* library does the same arithmetic on whole arrays at once. Let's write the
# same network that way, and its gradients too: no automatic differentiation at all, only the rules above, for a whole layer at a time.
#
# We copy the weights from a fresh network of ours, so that we can compare number for number. (`@` multiplies matrices, `.T` swaps rows and columns, and
# `[:, None]` turns a list into a column.)

# %%
import torch

fresh = MLP(2, [6, 1], seed=0)


def weights_of(layer):
    W = torch.tensor([[w.data for w in neuron.w] for neuron in layer.neurons], dtype=torch.float64)
    b = torch.tensor([neuron.b.data for neuron in layer.neurons], dtype=torch.float64)
    return W, b


(W1, b1), (W2, b2) = map(weights_of, fresh.layers)  # [6, 2], [6], [1, 6], [1]
X = torch.tensor(train_points, dtype=torch.float64)  # [80, 2]
T = torch.tensor(targets, dtype=torch.float64)[:, None]  # [80, 1]


def by_hand(W1, b1, W2, b2):
    """The loss, and its gradient with respect to each weight matrix and bias."""
    h = torch.tanh(X @ W1.T + b1)  # [80, 6]: all neurons on all images
    y = h @ W2.T + b2  # [80, 1]
    loss = ((y - T) ** 2).mean()
    dy = 2 * (y - T) / len(X)  # how the loss changes with each output
    dW2, db2 = dy.T @ h, dy.sum(0)  # a weight's slope: its neuron's slope times its input, added up over images
    dh = dy @ W2  # the output's slope, sent back through the weights
    dz = dh * (1 - h**2)  # through tanh
    dW1, db1 = dz.T @ X, dz.sum(0)
    return loss, (dW1, db1, dW2, db2)


loss_by_hand, hand_gradients = by_hand(W1, b1, W2, b2)

# %% [markdown]
# You have seen each of these lines before, in the neuron: the input `h` is a factor of `dW2`, the weights are a factor of `dh`, and `1 − h²` is the slope of
# `tanh`. The sums over images appear because one weight serves all of them, and gradients of all ways add up.

# %% [markdown]
# ## 6. The same with `nn.Module`
#
# And now as everybody writes it. `nn.Linear` holds the weights and the bias; `backward()` does what we just wrote by hand.

# %%
from torch import nn


class TorchMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 6)
        self.output = nn.Linear(6, 1)

    def forward(self, x):
        return self.output(torch.tanh(self.hidden(x)))


torch_model = TorchMLP().double()
with torch.no_grad():
    for parameter, ours in zip(torch_model.parameters(), (W1, b1, W2, b2), strict=True):
        parameter.copy_(ours)
loss_torch = nn.functional.mse_loss(torch_model(X), T)
loss_torch.backward()

scalar_loss = loss_of(fresh)
scalar_loss.backward()


def in_our_order(dW1, db1, dW2, db2):
    """The slopes neuron by neuron, as `parameters()` lists them."""
    return torch.cat([torch.cat([W, b[:, None]], 1).flatten() for W, b in ((dW1, db1), (dW2, db2))])


three = {
    "our engine": torch.tensor([parameter.grad for parameter in fresh.parameters()], dtype=torch.float64),
    "by hand": in_our_order(*hand_gradients),
    "nn.Module": in_our_order(*(parameter.grad for parameter in torch_model.parameters())),
}
print("the first five slopes")
for name, slopes in three.items():
    print(f"  {name:<11}", *(f"{slope:+.12f}" for slope in slopes[:5].tolist()))
worst = max(float((slopes - three["by hand"]).abs().max()) for slopes in three.values())
worst_loss = max(abs(scalar_loss.data - float(loss.detach())) for loss in (loss_by_hand, loss_torch))
assert max(worst, worst_loss) < 1e-12
lesson.say(
    f"Three ways, {len(three['by hand'])} slopes and one loss. The largest difference between any two of them is below 10⁻¹²."
)

# %% [markdown]
# They give the same numbers. How long does each way take for one loss and its gradients?

# %% tags=["varies"]
import timeit

ways = {
    "our engine": lambda: loss_of(fresh).backward(),
    "by hand": lambda: by_hand(W1, b1, W2, b2),
    "nn.Module": lambda: nn.functional.mse_loss(torch_model(X), T).backward(),
}
seconds = {name: min(timeit.repeat(way, number=1, repeat=20)) for name, way in ways.items()}
for name, time in seconds.items():
    print(f"{name:<11} {1000 * time:7.2f} milliseconds")
ratio = seconds["our engine"] / seconds["by hand"]
faster = f"By hand in tensors we are {ratio:,.0f} times as fast as with our engine, and the gradients are the same."
lesson.say(faster if ratio > 1 else "On this computer the tensors are not faster than our engine.")

# %% [markdown]
# ### Exercise 3: the step that learns
# *Difficulty ●●●○ · 15 minutes*
#
# Write `learn(model, X, T, steps, rate)`: train an `nn.Module` by plain gradient descent on the mean squared error, without `torch.optim`. Return the list of
# losses, each taken *before* its step. These are the same four parts as in our own loop, in PyTorch's words. The model may be any `nn.Module`, and its parameters may come with gradients
# from an earlier use.

# %% [markdown] tags=["hint"]
# `model.zero_grad()` sets the gradients back to 0. The update itself must not be remembered: write it inside `with torch.no_grad():`, as `parameter -= rate * parameter.grad`.


# %% tags=["stub"]
def learn(model, X, T, steps, rate):
    raise NotImplementedError("return a list with the loss of each step")


# %% tags=["solution"]
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    import contextlib
    import copy
    import sys

    def watch(frame, event, argument):  # runs at each call of a function
        if frame.f_globals.get("__name__", "").startswith("torch.optim"):
            optimizers.append(frame.f_code.co_name)

    cases = [(30, 1, 1, 0.3), (100, 3, 1, 0.05), (7, 2, 1, 0.15)]
    cases += [(20, 2, 100, 1e-4), (20, 2, 1, 1e-7), (40, 1, 1, 0.7)]  # long gradients; a flat loss; one that rises
    for n, outputs, size, rate in cases:
        dtype, near = (torch.float32, 1e-5) if n == 7 else (torch.float64, 1e-9)
        torch.manual_seed(int(rng.integers(1 << 30)))
        twice, again = nn.Linear(3, 3), nn.Linear(3, 3)
        again.weight = twice.weight  # one parameter in two places
        parts = nn.Sequential(twice, nn.PReLU(3)), nn.Tanh(), again, nn.Linear(3, outputs)
        given, optimizers = nn.Sequential(*parts).to(dtype), []
        X, T = torch.randn(n, 3, dtype=dtype), size * torch.randn(n, outputs, dtype=dtype)
        reference, own, true = copy.deepcopy(given), [*given.parameters()], []
        sgd = torch.optim.SGD(reference.parameters(), lr=rate)
        for _ in range(12):
            sgd.zero_grad()
            loss = nn.functional.mse_loss(reference(X), T)
            true.append(loss.item())
            loss.backward()
            sgd.step()
        for parameter in own:
            parameter.grad = torch.ones_like(parameter)  # from an earlier use
        with contextlib.ExitStack() as stack, lessons.unchanged(X=X, T=T):
            stack.callback(sys.setprofile, None)
            sys.setprofile(watch)
            found = [learn(given, X, T, steps=steps, rate=rate) for steps in (2, 0, 10)]  # each goes on from the last
        assert not optimizers, "this uses torch.optim: write the update yourself"
        came = [losses if losses is None else len(losses) for losses in found]
        assert came == [2, 0, 10], f"2, 0 and 10 steps should give as many losses, not {came}"
        came = [float(loss) for losses in found for loss in losses]
        for number, (one, other) in enumerate(zip(came, true, strict=True)):
            assert abs(one - other) < near, (
                f"{n} points, {outputs} outputs, rate {rate}: loss {number} is {one:.10g} and should be {other:.10g}: is it the mean over all, taken before the step; "
                f"are gradients set to 0 before each backward; does each parameter move once by the rate against its slope{', and is nothing left of the call before' * (number > 1)}"
            )
        assert given.training, "the model came in training mode, and is in another mode after the call"
        for one, now, other in zip(own, given.parameters(), reference.parameters(), strict=True):
            assert one is now, "the model holds new parameters: change the values of its own, which others may hold too"
            assert now.dtype == dtype, f"the model's parameters were {dtype} and are {now.dtype} now"
            assert now.requires_grad, "the model's parameters want no gradients any more: nobody can train it further"
            gap = float((now - other).abs().max().detach())
            assert gap < near, f"after 12 steps the parameters are up to {gap:.3g} away from where they should be"


# %% tags=["right"]
def learn(model, X, T, steps, rate):
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).mean()
        for p, slope in zip(model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True):
            p.data = p.data - rate * slope
        losses.append(loss.detach().numpy())
    return losses


# %% tags=["right"]
def learn(model, X, T, steps, rate):  # sets the gradients back after the step
    losses = []
    for p in model.parameters():
        p.grad = None
    for _ in range(steps):
        loss = torch.mean(torch.square(T - model(X)))
        loss.backward()
        losses.append(loss.detach())
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-rate)
            p.grad = None
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # torch.optim, which the exercise rules out
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=rate), []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # never sets the gradients back
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # the loss after the step
    losses = []
    for _ in range(steps):
        model.zero_grad()
        nn.functional.mse_loss(model(X), T).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(nn.functional.mse_loss(model(X), T).item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # climbs
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # the rate of the example, whatever is asked
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.3 * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # biases stay where they are
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # trains a copy
    import copy

    model, losses = copy.deepcopy(model), []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # always sixty steps
    losses = []
    for _ in range(60):
        loss = nn.functional.mse_loss(model(X), T)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% tags=["wrong"]
def learn(model, X, T, steps, rate):  # the sum of the squares in place of their mean
    losses = []
    for _ in range(steps):
        loss = ((model(X) - T) ** 2).sum()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(loss.item())
    return losses


# %% [markdown]
# ## 7. The library's engine is yours
#
# `neural_microscope.scalar` is the same engine with more operations (division, powers, exp, log and so on), in readable files that need nothing but Python. It follows
# [micrograd](https://github.com/karpathy/micrograd) by Andrej Karpathy. If it really is what we wrote, then the same seed must give the same network, and 60 steps the same
# losses.

# %%
from neural_microscope import scalar

theirs = scalar.MLP(2, [6, 1], activation="tanh", seed=0)
losses_of_the_library = train(theirs, 60)
apart = max(abs(one - other) for one, other in zip(losses, losses_of_the_library, strict=True))
start_apart = max(
    abs(p.data - q.data) for p, q in zip(fresh.parameters(), scalar.MLP(2, [6, 1]).parameters(), strict=True)
)
assert max(apart, start_apart) < 1e-12
agree = "to the last digit" if max(apart, start_apart) == 0 else f"to {max(apart, start_apart):.0e}"
lesson.say(
    f"Our loop trained the library's network without a change. The weights at the start and the losses over {len(losses)} steps agree {agree}."
)

# %% [markdown]
# Its `Value` can also draw what it remembers. Here is one neuron with two inputs. Each box shows a number (`data`) and, to the right of it, the slope of the
# output with respect to that number (`grad`).

# %%
x0, x1 = scalar.Value(2.0, label="x0"), scalar.Value(0.5, label="x1")
w0, w1, bias = scalar.Value(-0.5, label="w0"), scalar.Value(1.0, label="w1"), scalar.Value(0.8, label="b")
out = (x0 * w0 + x1 * w1 + bias).tanh()
out.label = "out"
out.backward()
scalar.draw_graph(out)

# %% [markdown]
# *What to look at:* read it from right to left. The output's slope with respect to itself is 1. Before `tanh` it is 1 − out². The sums pass that on unchanged.
# At each product, it is multiplied by the other factor: by `x0` on the way to `w0`, and by `w0` on the way to `x0`.

# %% [markdown]
# ### Exercise 4: what the nonlinearity is for
# *Difficulty ●●●● · 10 minutes*
#
# Why do we need an activation function such as `tanh`, a *nonlinearity*, at all? Write `collapse(W1, b1, W2, b2)`: the single weight matrix and bias that do the same
# as two layers with *no* `tanh` between them, in the same precision.

# %% [markdown] tags=["hint"]
# Write out W2 (W1 x + b1) + b2, and sort it into what multiplies x and what does not.


# %% tags=["stub"]
def collapse(W1, b1, W2, b2):
    raise NotImplementedError("return (W, b), one weight matrix and one bias")


# %% tags=["solution"]
def collapse(W1, b1, W2, b2):
    return W2 @ W1, W2 @ b1 + b2


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    earlier = {}
    for n_inputs, width, n_outputs in ((2, 6, 1), (3, 3, 3), (3, 3, 3), (5, 4, 2), (4, 3, 2)):
        dtype, near = (torch.float32, 1e-4) if n_inputs == 4 else (torch.float64, 1e-10)
        A, a, B, b = (
            torch.tensor(rng.normal(size=shape), dtype=dtype)
            for shape in ((width, n_inputs), width, (n_outputs, width), n_outputs)
        )
        collapse(A, a, B, b)
        A += 1.0  # training goes on, in the same tensors
        with lessons.unchanged(W1=A, b1=a, W2=B, b2=b, **earlier):
            found = collapse(A, a, B, b)
        assert isinstance(found, tuple | list) and len(found) == 2, (
            "two things should come back: one weight matrix and one bias"
        )
        W, shift = (torch.as_tensor(one) for one in found)
        for name, came, shape in (("W", W, (n_outputs, n_inputs)), ("the bias", shift, (n_outputs,))):
            assert tuple(came.shape) == shape, (
                f"from {n_inputs} inputs to {n_outputs} outputs, {name} has shape {shape}, not {tuple(came.shape)}"
            )
            assert came.dtype == dtype, f"weights in {dtype} went in, and {name} came back in {came.dtype}"
        points = torch.tensor(rng.normal(size=(20, n_inputs)), dtype=dtype)
        two, one = (points @ A.T + a) @ B.T + b, points @ W.T + shift
        assert torch.allclose(one, two, rtol=near, atol=near), (
            f"one layer and two differ by up to {(one - two).abs().max():.3g}: does the bias carry b1 through W2, and b2 too"
        )
        earlier = {"W of the call before": W, "bias of the call before": shift}


# %% tags=["right"]
def collapse(W1, b1, W2, b2):
    return torch.einsum("oh,hi->oi", W2, W1), b1 @ W2.T + b2


# %% tags=["right"]
def collapse(W1, b1, W2, b2):  # by asking the two layers
    eye = torch.eye(W1.shape[1], dtype=W1.dtype)
    zero = torch.zeros(1, W1.shape[1], dtype=W1.dtype)
    two = lambda x: (x @ W1.T + b1) @ W2.T + b2  # noqa: E731
    return [(two(eye) - two(zero)).T, two(zero)[0]]


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # b1 does not pass through W2
    return W2 @ W1, b2


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # b2 is forgotten
    return W2 @ W1, W2 @ b1


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # the transpose
    return (W2 @ W1).T, W2 @ b1 + b2


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # the biases add up as numbers
    return W2 @ W1, W2 @ b1 + b2.sum()


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # for the example's shapes only
    return (W2 @ W1)[:1], (W2 @ b1 + b2)[:1]


# %% tags=["wrong"]
def collapse(W1, b1, W2, b2):  # changes what was given
    W1 *= 1.0
    b1 += 1.0
    return W2 @ W1, W2 @ (b1 - 1.0) + b2


# %% [markdown]
# So layers without a nonlinearity between them are a single layer, however many you stack. Everything that a deep network can do beyond that, it owes to its activation functions.
#
# ## What you have seen
#
# * A gradient is how fast a result changes with each of its inputs. A nudge finds it slowly; the chain rule finds all of it in one walk back.
# * Gradients of several ways add up. A weight learns in proportion to its input, and next to nothing behind a saturated neuron.
# * You built a neuron, a layer, an MLP and the loop that trains them. Your engine, tensors by hand, `nn.Module` and the library's engine give the same numbers; only their speed differs.
# * An accuracy alone says little. We compare it with its null, what it is when there is nothing to find, and with other seeds.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#00-what-is-a-gradient), in the documentation.
#
# **Next:** [01, how to look inside](01_MLP_for_Interpretability.ipynb) such a network without disturbing it.
#
# **Further reading.** A. Karpathy, *micrograd* and the lecture "The spelled-out intro to neural networks and backpropagation" (2022). D. Rumelhart, G. Hinton and R. Williams, "Learning
# representations by back-propagating errors", *Nature* 323 (1986). M. Nielsen, *Neural Networks and Deep Learning*, chapter 2 (2015). A. Baydin et al., "Automatic differentiation in
# machine learning: a survey", *JMLR* 18 (2018).
