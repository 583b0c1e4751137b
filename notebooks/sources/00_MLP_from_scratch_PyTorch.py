# %% [markdown]
# # What is a gradient?
#
# *From one number to a network that tells a 0 from a 1, with an engine of our own, and then the same in PyTorch.*
#
# **You will be able to**
#
# * say what a gradient is, and check one without trusting anybody;
# * write the automatic differentiation behind every deep learning library in thirty lines;
# * build a neuron, a layer and an MLP from it, and train them;
# * say line by line what PyTorch does for you, because you did it by hand first.
#
# **Minutes:** 45 to read and run, 40 more for the exercises. **You need:** Python, and the derivative of x² from school.
#
# Before each answer the notebook asks for your guess and keeps it. Our own guesses stand here as examples, right or wrong; the
# version in `exercises/` leaves them to you. Many of the terms in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("00")

# %% [markdown]
# ## 1. A slope, without any theory
#
# Take a function of one number. How fast does its value change when the number changes a little? Move it a little, and look.


# %%
def f(x):
    return 3 * x**2 - 4 * x + 5


for step in (1.0, 0.1, 0.001, 0.00001):
    print(f"step {step:<8}  (f(2 + step) − f(2)) / step = {(f(2 + step) - f(2)) / step:.5f}")

# %% [markdown]
# The number settles as the step shrinks: near x = 2, the function rises eight times as fast as x. That number is the *derivative*. When a
# function has many inputs, one such number for each of them, all together, is the **gradient**. Nothing more is meant by the word.
#
# Before you go on: somewhere this function stops falling and begins to rise. There the slope is 0. **At which x?**

# %%
mine = 0.5  # your guess
lesson.guess("flat", mine)

# %%
candidates = [i / 1000 for i in range(-2000, 2000)]
flat = min(candidates, key=lambda x: abs((f(x + 1e-6) - f(x)) / 1e-6))
lesson.reveal("flat", flat)

# %% [markdown]
# To *learn* is to do this for a function that says how wrong a network is: to find the inputs, the weights, at which the error stops falling. But a
# small network has a hundred thousand weights. To move each of them in turn and to run the network again is a hundred thousand
# runs for one step of learning. There is a better way, and it needs one run.
#
# ## 2. Numbers that remember
#
# The better way is the chain rule. If `y` comes from `x` and `z` from `y`, then slopes multiply: dz/dx = dz/dy · dy/dx. So let every number remember
# which numbers it was made of, and with which slope. Then walk back from the result and multiply. Here is all of it, for sums and products:


# %%
class Number:
    def __init__(self, data, made_of=()):
        self.data = data
        self.grad = 0.0
        self.made_of = made_of  # pairs: (an input, the slope of this number in that input)

    def __add__(self, other):
        return Number(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Number(self.data * other.data, [(self, other.data), (other, self.data)])

    def backward(self):
        order, seen = [], set()

        def visit(number):
            if number not in seen:
                seen.add(number)
                for source, _ in number.made_of:
                    visit(source)
                order.append(number)

        visit(self)
        self.grad = 1.0
        for number in reversed(order):  # each only after everything made of it
            for source, slope in number.made_of:
                source.grad += slope * number.grad


# %% [markdown]
# In a sum, the result moves as fast as each part, so both slopes are 1. In a product `a · b`, moving `a` moves the result `b` times as fast. Nothing
# else was put in. Now a number is used twice, `y = a·b + a`. With a = 2 and b = −3: **what is dy/da?**

# %%
mine = -3  # your guess
lesson.guess("twice", mine)

# %%
a, b = Number(2.0), Number(-3.0)
y = a * b + a
y.backward()
lesson.reveal("twice", a.grad)
nudged = (2.001 * -3.0 + 2.001) - y.data
print(f"by a nudge of 0.001 in a: {nudged / 0.001:.3f};   dy/db: {b.grad}")

# %% [markdown]
# The usual mistake is to see one of the two ways in which `a` reaches `y`. Gradients of all ways **add up**, which is why `backward` says `+=`.
# That one character is also the commonest bug in training loops: who forgets to set gradients back to 0 adds today's to yesterday's.
#
# ### Exercise 1: a number that can be raised to a power
# *Difficulty ●●○○ · 10 minutes*
#
# Write `power(x, n)`, a Number with x's value to the n-th power (n is an ordinary number) that knows its slope in x.

# %% [markdown] tags=["hint"]
# The slope of xⁿ is n · xⁿ⁻¹. A Number is made with `Number(value, [(input, slope)])`.


# %% tags=["stub"]
def power(x, n):
    raise NotImplementedError("return Number(value, [(x, slope)])")


# %% tags=["solution"]
def power(x, n):
    return Number(x.data**n, [(x, n * x.data ** (n - 1))])


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    x = Number(3.0)
    y = power(x, 2)
    assert isinstance(y, Number), f"power gives a {type(y).__name__}; it should give a Number"
    assert y.data == 9.0, f"3 to the power of 2 comes out as {y.data}"
    y.backward()
    assert x.grad != 0.0, "x gets no gradient: is x among what the result was made of"
    assert x.grad == 6.0, f"the slope of x² at 3 is 6, not {x.grad}: a nudge of 0.001 moves 9 to {3.001**2:.6f}"
    x = Number(2.0)
    (power(x, 3) + x).backward()
    assert x.grad == 13.0, f"the slope of x³ + x at 2 comes out as {x.grad}; it is 12 + 1"
    x = Number(4.0)
    root = power(x, 0.5)
    root.backward()
    assert (root.data, x.grad) == (2.0, 0.25), (
        f"n may be 0.5: the root of 4 is 2, and its slope 0.25; here {root.data} and {x.grad}"
    )


# %% [markdown]
# ## 3. The same, grown up
#
# `neural_microscope.scalar` is this engine with the other operations, in one readable file that needs nothing but Python. It follows
# [micrograd](https://github.com/karpathy/micrograd) by Andrej Karpathy. Its `Value` draws what it remembers. Here is one neuron:
# two inputs, each times its weight, plus a bias, squeezed by `tanh` into −1..1. In each box stand the number and, below, how fast the output changes with it.

# %%
from neural_microscope.scalar import MLP, Neuron, Value, draw_graph

x0, x1 = Value(2.0, label="x0"), Value(0.5, label="x1")
w0, w1, bias = Value(-0.5, label="w0"), Value(1.0, label="w1"), Value(0.8, label="b")
out = (x0 * w0 + x1 * w1 + bias).tanh()
out.label = "out"
out.backward()
draw_graph(out)

# %% [markdown]
# Read it from right to left. The output's own slope is 1. Before `tanh` it is 1 − out², because `tanh` is flatter where its result is near ±1. The sums
# pass that on unchanged. The products exchange: the slope of `w0` carries `x0`, and the slope of `x0` carries `w0`.
#
# Two things are worth seeing in this small picture, for they stay true in the largest network. *A weight learns only as much as its input is on*: had `x0` been 0, `w0` would not
# move. And *a neuron pushed to the flat end of its bend learns nothing* (it is *saturated*): there 1 − out² is near 0.
#
# ### Exercise 2: trust nobody
# *Difficulty ●●○○ · 10 minutes*
#
# Write `nudge(function, inputs)`, the gradient of a function of several plain numbers by moving each in turn, for checking engines like ours. Use a step of 0.000001 to both sides.

# %% [markdown] tags=["hint"]
# For input i: copy the list, add the step to its i-th entry, and call; the same with the step taken away; divide the difference by twice the step.


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
    found = nudge(lambda x, y: x * y, [2.0, 5.0])
    assert found is not None and len(found) == 2, f"two inputs came, so two slopes should come back, not {found}"
    assert abs(found[0] - 5) < 1e-4, f"x·y at (2, 5) rises 5 times as fast as x; nudge says {found[0]:.4f}"
    assert abs(found[1] - 2) < 1e-4, f"x·y at (2, 5) rises 2 times as fast as y; nudge says {found[1]:.4f}"
    curved = nudge(lambda x: 1e4 * x * x, [3.0])[0]
    assert abs(curved - 6e4) < 1e-3, (
        f"where a function bends, one side is not enough: 10000·x² at 3 has slope 60000, nudge says {curved:.4f}"
    )
    neuron = Neuron(2)
    inputs = [Value(0.3), Value(-0.7)]
    neuron(inputs).backward()
    by_nudge = nudge(lambda x, y: neuron([x, y]).data, [0.3, -0.7])
    worst = max(abs(value.grad - slope) for value, slope in zip(inputs, by_nudge, strict=True))
    assert worst < 1e-6, f"for a neuron the engine and nudge differ by {worst}; is the function called with all inputs"


# %% [markdown]
# ## 4. A real task: 0 or 1?
#
# Now a network that has something to learn. To see the whole task in one picture, two numbers are taken from each image: how much ink there is in its
# upper left quarter, and in its lower left quarter. A 0 has some in both; a 1 stands in the middle and leans to the right.

# %%
import numpy as np


def two_numbers(images):
    """How much ink is in the upper left and the lower left quarter, scaled to mean 0 and spread 1: [example, 2]."""
    half = images.shape[2] // 2
    ink = np.stack([images[:, :half, :half].mean((1, 2)), images[:, half:, :half].mean((1, 2))], 1)
    return (ink - ink.mean(0)) / ink.std(0)


def zeros_and_ones(some, n):
    chosen = [np.flatnonzero(some.labels == label)[: n // 2] for label in (0, 1)]
    part = some.subset(np.concatenate(chosen))
    return two_numbers(part.images), part.labels


train_points, train_labels = zeros_and_ones(lesson.data.train, 80)
test_points, test_labels = zeros_and_ones(lesson.data.test, lesson.pick(1000, 100))
nm.plots.plane(
    train_points, train_labels, title="Two numbers nearly tell 0 from 1", x="ink, upper left", y="ink, lower left"
)

# %% [markdown]
# *What to see:* the 0s lie to the upper right, for they have ink in both quarters. The 1s lie at the left and along the bottom, and a few mix with narrow 0s.
# **What share of new images will a small network of our own read rightly?**

# %%
mine = 0.9  # your guess
lesson.guess("right", mine)

# %% [markdown]
# The network: two inputs, a layer of six neurons, one output. It is to say +1 for a 1 and −1 for a 0; above 0 counts as 1. The *loss* is the mean squared distance to these, and one step of learning is
# four lines: compute the loss, set all gradients to 0, go backward, move each parameter a little against its slope.

# %%
model = MLP(2, [6, 1], activation="tanh", seed=0)
targets = [1.0 if label == 1 else -1.0 for label in train_labels]


def loss_of(model):
    errors = [(model(point)[0] - target) ** 2 for point, target in zip(train_points.tolist(), targets, strict=True)]
    return sum(errors) * (1 / len(errors))


losses = []
for _ in range(60):
    loss = loss_of(model)
    model.zero_grad()
    loss.backward()
    for parameter in model.parameters():
        parameter.data -= 0.3 * parameter.grad
    losses.append(loss.data)

print(
    f"{len(model.parameters())} parameters; loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} steps"
)
nm.plots.lines({"training images": (range(60), losses)}, x="step", y="mean squared error", title="It learns")

# %%
side = np.linspace(-3, 3, 41)
answers = np.array([[model([x, y])[0].data for x in side] for y in side])
nm.plots.plane(
    train_points,
    train_labels,
    surface=(side, side, answers),
    title="The border it found, a little bent",
    x="ink, upper left",
    y="ink, lower left",
)

# %% [markdown]
# *What to see:* orange is where the network says 1, blue where it says 0, and the line between is its border. Now for images it has never seen. A share alone says nothing, so beside it
# stands what is got right by chance: the same answers, held against labels in random order.

# %%
said = np.array([int(model(point)[0].data > 0) for point in test_points.tolist()])
right = float((said == test_labels).mean())
rng = np.random.default_rng(0)
by_chance = [float((said == rng.permutation(test_labels)).mean()) for _ in range(1000)]
low, high = np.percentile(by_chance, [2.5, 97.5])
lesson.reveal("right", right)
lesson.say(f"""Of {len(test_labels):,} new images it reads {right:.1%} rightly; with labels in random order it would be {low:.0%} to {high:.0%}. Two numbers
of an image carry a good deal about whether it is a 0 or a 1, and not all: the other pixels are for the next notebooks.""")
assert right > high
assert not lesson.full or right > 0.9

# %% [markdown]
# **Does it hold on another seed?** The weights at the start are random. If the share depended on them, the sentence above would be about one lucky network.

# %%
shares = []
for seed in range(1, 4):
    other = MLP(2, [6, 1], activation="tanh", seed=seed)
    for _ in range(lesson.pick(60, 20)):
        loss = loss_of(other)
        other.zero_grad()
        loss.backward()
        for parameter in other.parameters():
            parameter.data -= 0.3 * parameter.grad
    shares.append(
        float(
            np.mean(
                [(other(p)[0].data > 0) == (t == 1) for p, t in zip(test_points.tolist(), test_labels, strict=True)]
            )
        )
    )
print("three other seeds:", ", ".join(f"{share:.1%}" for share in shares))

# %% [markdown]
# ## 5. The same by hand, in tensors
#
# Our engine takes some thousand steps of Python for one image. A tensor library does the same arithmetic on whole arrays. Here is the same network with
# its gradients written out: no automatic differentiation at all, only the rules above for a whole layer at once. The weights are copied from the first network, as
# it was before learning.

# %%
import torch

fresh = MLP(2, [6, 1], activation="tanh", seed=0)
hidden, output = fresh.layers
W1 = torch.tensor([[w.data for w in neuron.w] for neuron in hidden.neurons], dtype=torch.float64)  # [6, 2]
b1 = torch.tensor([neuron.b.data for neuron in hidden.neurons], dtype=torch.float64)  # [6]
W2 = torch.tensor([[w.data for w in neuron.w] for neuron in output.neurons], dtype=torch.float64)  # [1, 6]
b2 = torch.tensor([neuron.b.data for neuron in output.neurons], dtype=torch.float64)  # [1]
X = torch.tensor(train_points, dtype=torch.float64)  # [80, 2]
T = torch.tensor(targets, dtype=torch.float64)[:, None]  # [80, 1]

h = torch.tanh(X @ W1.T + b1)  # [80, 6]: all neurons on all images
y = h @ W2.T + b2  # [80, 1]
loss_by_hand = ((y - T) ** 2).mean()

dy = 2 * (y - T) / len(X)  # how the loss changes with each answer
dW2, db2 = dy.T @ h, dy.sum(0)  # a weight's slope carries its input
dh = dy @ W2  # the answer's slope, sent back through the weights
dz = dh * (1 - h**2)  # through tanh
dW1, db1 = dz.T @ X, dz.sum(0)

# %% [markdown]
# Compare with the neuron's picture: `dW2` carries the input `h`, `dh` carries the weights, and `1 − h²` is the flatness of `tanh`. Sums over images appear because one
# weight serves all of them, and gradients of all ways add up.
#
# ## 6. The same with `nn.Module`
#
# Last, as everybody writes it. `nn.Linear` holds the weights, `backward()` does what we wrote by hand.

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
fresh.zero_grad()
scalar_loss.backward()

scalar_gradients = [parameter.grad for parameter in fresh.parameters()]
hand_gradients = torch.cat([torch.cat([dW1, db1[:, None]], 1).flatten(), torch.cat([dW2, db2[:, None]], 1).flatten()])
p = dict(torch_model.named_parameters())
torch_gradients = torch.cat(
    [
        torch.cat([p[f"{layer}.weight"].grad, p[f"{layer}.bias"].grad[:, None]], 1).flatten()
        for layer in ("hidden", "output")
    ]
)
print("first five slopes")
print("  our engine  ", *(f"{value:+.12f}" for value in scalar_gradients[:5]))
print("  by hand     ", *(f"{value:+.12f}" for value in hand_gradients[:5].tolist()))
print("  nn.Module   ", *(f"{value:+.12f}" for value in torch_gradients[:5].tolist()))
worst = max(
    float((hand_gradients - torch_gradients).abs().max()),
    float((hand_gradients - torch.tensor(scalar_gradients, dtype=torch.float64)).abs().max()),
    abs(scalar_loss.data - float(loss_by_hand)),
    abs(scalar_loss.data - float(loss_torch.detach())),
)
assert worst < 1e-12
lesson.say(f"Three ways, {len(scalar_gradients)} slopes and the loss: all agree to 12 decimals.")

# %% [markdown]
# ### Exercise 3: the step that learns
# *Difficulty ●●●○ · 15 minutes*
#
# Write `learn(model, X, T, steps, rate)`: train an `nn.Module` with plain gradient descent, without `torch.optim`, and return the list of losses, each taken *before* its step. The same four lines as for our
# own engine, in PyTorch's words.

# %% [markdown] tags=["hint"]
# `model.zero_grad()` sets the gradients back. The update must not itself be remembered: write it inside `with torch.no_grad():`, as `parameter -= rate * parameter.grad`.


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
    with torch.no_grad():
        for parameter, ours in zip(torch_model.parameters(), (W1, b1, W2, b2), strict=True):
            parameter.copy_(ours)
    found = learn(torch_model, X, T, steps=60, rate=0.3)
    assert found is not None and len(found) == 60, (
        f"60 steps should give 60 losses, not {found if found is None else len(found)}"
    )
    assert found[-1] < found[0], (
        f"the loss went from {found[0]:.3f} to {found[-1]:.3f}: is the step against the slope, and not along it"
    )
    gaps = np.abs(np.array(found) - losses)
    apart = int(np.argmax(gaps > 1e-6))
    assert gaps.max() < 1e-6, (
        f"from loss number {apart} on they part from our engine's ({found[apart]:.6f}, not {losses[apart]:.6f}): "
        "is each taken before its step, and are gradients set to 0 each time"
    )


# %% [markdown]
# Solved, this is more than a resemblance: over 60 steps the losses of `nn.Module` and of our own engine are the same to six decimals.
#
# ### Exercise 4: break it
# *Difficulty ●●●● · 10 minutes*
#
# Why is a bend such as `tanh`, a *nonlinearity*, needed at all? Write `collapse(W1, b1, W2, b2)`: the single weight matrix and bias that do the same as two layers with *no* `tanh` between them.

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
    W, b = collapse(W1, b1, W2, b2)
    assert W.shape == (1, 2), f"from 2 inputs to 1 output, W has shape (1, 2), not {tuple(W.shape)}"
    two = (X @ W1.T + b1) @ W2.T + b2
    one = X @ W.T + b
    assert torch.allclose(one, two), (
        f"one layer and two differ by up to {(one - two).abs().max():.3g}: does b carry b1 through W2"
    )


# %% [markdown]
# Layers without a nonlinearity between them are one layer. Everything deep networks can do more, they owe to the bend.
#
# ## What you have seen
#
# * A gradient is how fast a result changes with each of its inputs. A nudge finds it, slowly; the chain rule finds all of them in one walk back.
# * Gradients of several ways add up. A weight learns in proportion to its input, and not at all behind a saturated neuron.
# * The scalar engine, tensors by hand and `nn.Module` give the same numbers; only the speed differs.
# * A share of right answers is held against its chance level, and on other seeds.
#
# **Next:** [01, how to look inside](01_MLP_for_Interpretability.ipynb) such a network without disturbing it.
#
# **Further reading.** A. Karpathy, *micrograd* and the lecture "The spelled-out intro to neural networks and backpropagation" (2022). D. Rumelhart, G. Hinton and R. Williams, "Learning
# representations by back-propagating errors", *Nature* 323 (1986). M. Nielsen, *Neural Networks and Deep Learning*, chapter 2 (2015). A. Baydin et al., "Automatic differentiation in
# machine learning: a survey", *JMLR* 18 (2018).
