# %% [markdown]
# # More features than units?
#
# *A toy network with fewer units than things to store, the tool that takes them apart again, and what that tool finds in a real network.*
#
# I'd love to open a network and find one unit for each thing it knows. Mostly that isn't what I find. So in this notebook we build a world in which we know all the things there are, watch a
# network squeeze them into too few units, and build the tool that gets them out. Only then do we point the tool at a real layer.
#
# **You will be able to**
#
# * train the toy model of *superposition*, and say when a network stores more features than it has units, and where that fails;
# * write a *sparse autoencoder* by hand, and test it first where the truth is known;
# * judge a dictionary of a real layer by controls that it could fail, some of which it does fail.
#
# **Minutes:** 70 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) for hooks and
# [03](03_Analyze_Activations.ipynb) for class selectivity.
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("07")

# %% [markdown]
# ## 1. Five features, two units
#
# One explanation for units that respond to unrelated things is [*superposition*](../docs/glossary.md): the network has more features than units, and stores them in directions that overlap.
# In a large network this is hard to test, because we don't know what its features are. So let's make a world in which we do, the toy model of Elhage and others (2022).
#
# An input x has five *features*. Each is on with probability p, independently of the others, and then has a strength between 0 and 1. The network squeezes x into two numbers, h = W x, and
# must rebuild x from them: x′ = ReLU(Wᵀh + b).
#
# So W has two rows and five columns. Column i is the **direction** in which feature i is written into the plane, and also the direction in which it is read. Not all features count
# alike: errors in the first count fully, and those in each next one 10% less than in the one before.
#
# Let's build one such network and train it. Inside is the training loop of notebook 00, with the optimizer *Adam*, which gives each
# weight a step size of its own. In our first world every feature is always on (p = 1):

# %%
import numpy as np
import torch

STEPS = lesson.pick(2000, 1300)


def rate(step, steps):
    """The learning rate: 0.01, and toward 0 in the last third."""
    return 0.01 * min(1, 3 * (1 - step / steps))


generator = torch.Generator().manual_seed(0)
p, importance = 1.0, 0.9 ** torch.arange(5)
W = (0.3 * torch.randn(2, 5, generator=generator)).requires_grad_()  # [unit, feature]
b = torch.zeros(5, requires_grad=True)
optimizer = torch.optim.Adam([W, b])
for step in range(STEPS):
    strength = torch.rand(128, 5, generator=generator)
    x = strength * (torch.rand(128, 5, generator=generator) < p)  # [example, feature]: 0 where a feature is off
    h = x @ W.T  # [example, unit]: all that is left of five numbers is two
    rebuilt = torch.relu(h @ W + b)
    loss = (importance * (x - rebuilt) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.param_groups[0]["lr"] = rate(step, STEPS)
    optimizer.step()
one_toy = W.detach()
print("W, a column for each feature:")
print(np.array2string(one_toy.numpy(), precision=2, suppress_small=True, floatmode="fixed"))
print("lengths of the columns:", np.array2string(one_toy.norm(dim=0).numpy(), precision=2, floatmode="fixed"))

# %% [markdown]
# *What to look at:* which columns are long, and which nearly 0. A column of zeros means that the network doesn't store this feature at all.
#
# We will need many such networks: for several p, each from several seeds. So here is the same once more for many networks at once; each tensor has one more axis in front, and `.mT` swaps the last two.


# %%
def inputs(p, examples, features, generator):
    """Features [network, example, feature]; each is on with its network's probability p [network, 1, 1]."""
    size = (len(p), examples, features)
    return torch.rand(size, generator=generator) * (torch.rand(size, generator=generator) < p)


def reconstruct(x, W, b):
    """x′ = ReLU(Wᵀ W x + b), for many networks at once: x [network, example, feature], W [network, unit, feature]."""
    return torch.relu(x @ W.mT @ W + b)


def loss_of(x, W, b, importance):
    """The weighted squared error of each network, [network]."""
    return (importance * (x - reconstruct(x, W, b)).square()).mean((1, 2))


def train_toys(probabilities, features, units, seeds, W=None, steps=STEPS):
    """Trains a network for each probability and seed. W: directions that are given and not learned."""
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor(probabilities).repeat_interleave(seeds)[:, None, None]
    learned = W is None
    if learned:
        W = 0.3 * torch.randn(len(p), units, features, generator=generator)
        W.requires_grad_()
    b = torch.zeros(len(p), 1, features, requires_grad=True)
    importance = 0.9 ** torch.arange(features)
    optimizer = torch.optim.Adam([W, b] if learned else [b])
    for step in range(steps):
        loss = loss_of(inputs(p, 128, features, generator), W, b, importance).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate(step, steps)
        optimizer.step()
    with torch.no_grad():
        final = loss_of(inputs(p, 4000, features, generator), W, b, importance)
    shape = (len(probabilities), seeds)
    return W.detach().unflatten(0, shape), b.detach().unflatten(0, shape), final.unflatten(0, shape).numpy()


again, _, _ = train_toys((1.0,), features=5, units=2, seeds=1)
apart = float((again[0, 0] - one_toy).abs().max())
assert apart < 1e-3, apart
agree = "agree to the last digit" if apart == 0 else f"differ by {apart:.0e} at most"
print(f"one network of the many, from the same seed as ours: the weights {agree}")


# %% [markdown]
# A plane has room for two directions at right angles. So two features can be stored without any loss. Call a feature *kept* if its column in W is longer than ½.
#
# Now we let the features be on ever more rarely, from always (p = 1) down to one case of fifty. **How many of the five features will a network with two units keep at p = 0.05?**

# %%
mine = 2  # your guess
lesson.guess("kept", mine)

# %% tags=["varies"]
probabilities = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
W, b, loss = train_toys(probabilities, features=5, units=2, seeds=5)  # [probability, seed, unit, feature]
kept = (W.norm(dim=2) > 0.5).sum(2).numpy()
rare = probabilities.index(0.05)
assert np.median(kept[0]) == 2
assert np.median(kept[rare]) == 5
best = loss.argmin(1)


def directions_of(columns, title, surface=None):
    """The columns [feature, 2] as arrows from the origin, each with its feature's number at the end."""
    drawn = nm.plots.plane(1.15 * columns, np.arange(5), title=title, surface=surface, x="first unit", y="second unit")
    for column in columns:
        drawn.axes[0].annotate("", column, (0, 0), arrowprops={"arrowstyle": "->"})
    drawn.axes[0].set_aspect("equal", adjustable="box")
    drawn.axes[0].set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6))
    return drawn


def picture(p):
    """The directions of the best network at p."""
    i = probabilities.index(p)
    return directions_of(W[i, best[i]].T.numpy(), f"p = {p}: {kept[i, best[i]]} features kept")


if lesson.reveal("kept", int(np.median(kept[rare]))):
    for i, p in enumerate(probabilities):
        print(f"p = {p:<5} features kept, five seeds: {kept[i]}")
    for p in (1.0, 0.3, 0.05):
        display(picture(p))

# %% [markdown]
# *What to look at:* each picture is one network's plane (of five seeds, the one with the lowest loss). An arrow is a feature's column of W; an arrow of nearly no length is a feature that was
# not kept.
#
# Features that are always on: two are at right angles, and the others are given up. On in three cases of ten: pairs face each other on one line. Rarely on (*sparse*): all five are kept,
# like the corners of a regular pentagon.
#
# Does it matter where the arrows point? Let's turn one of the pictures by 40 degrees:

# %% tags=["varies"]
angle = torch.deg2rad(torch.tensor(40.0))
turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
x = inputs(torch.tensor([[[0.05]]]), 4000, 5, torch.Generator().manual_seed(2))
weight, bias = 0.9 ** torch.arange(5), b[rare, best[rare]]
before, after = (float(loss_of(x, w[None], bias, weight)) for w in (W[rare, best[rare]], turn @ W[rare, best[rare]]))
assert abs(before - after) < 1e-6
print(f"loss {before:.5f} before the turn, {after:.5f} after it")

# %% [markdown]
# The loss is the same. So whether a direction falls on an axis, where a single *unit* stands for the feature, is left to chance: to the initial weights.

# %% [markdown]
# ## 2. Is that good, or just possible?
#
# Any five directions fit into a plane. So we need a [*null*](../docs/glossary.md): what would we get without any learning of directions? We take two.
#
# First, **random directions** of length 1, for which only the biases are trained. Second, the best that a linear method could do, *principal components*. As all features vary alike and the first
# count most, it keeps the two most important features exactly and replaces the others by their mean. Its error needs no training; we can write it down.

# %% tags=["varies"]
importance = 0.9 ** np.arange(5)
generator = torch.Generator().manual_seed(1)
directions = torch.randn(len(probabilities) * 5, 2, 5, generator=generator)
_, _, random_loss = train_toys(probabilities, 5, 2, 5, W=directions / directions.norm(dim=1, keepdim=True))

p = np.array(probabilities)
once_in = 1 / p
variance = p / 3 - p**2 / 4  # E[x²] − E[x]² of a feature that is on with probability p, with strength 0..1
linear_loss = variance * importance[2:].sum() / 5
nothing_loss = variance * importance.sum() / 5  # every feature replaced by its mean

x = inputs(torch.tensor([0.3])[:, None, None], 200_000, 5, generator)[0].double().numpy()
weighted = (x - x.mean(0)) * np.sqrt(importance)
left = np.linalg.svd(weighted, full_matrices=False)[1][2:] ** 2  # beyond the two leading components
assert abs(left.sum() / x.size / linear_loss[2] - 1) < 0.05  # components by the library agree with the formula

nm.plots.lines(
    {"trained": (once_in, (loss / nothing_loss[:, None]).T), "two components": (once_in, linear_loss / nothing_loss)},
    null={"random directions": (once_in, *np.percentile(random_loss / nothing_loss[:, None], [2.5, 97.5], axis=1))},
    log_x=True,
    x="a feature is on once in … inputs (1 / p)",
    y="error left (1: as bad as the mean)",
    title="Overlap pays where features are rare",
)

# %% tags=["varies"]
gain = loss.mean(1) / linear_loss
lesson.say(f"""*What to look at:* where the lines part. An error of 1 is that of replacing each feature by its mean; above it a network is worse than that. The error of the trained networks over that of two principal components, as a mean of 5 seeds, is {gain[0]:.2f} at p = 1 and
{gain[rare]:.2f} at p = 0.05. For random directions it is {random_loss[0].mean() / linear_loss[0]:.2f} and {random_loss[rare].mean() / linear_loss[rare]:.2f}.""")
assert abs(gain[0] - 1) < 0.1
assert gain[rare] < 0.5
assert (loss[rare].mean() < random_loss[rare]).all()

# %% [markdown]
# So where features are always on, our networks do what principal components do. Where features are rare, to overlap at all already helps, and trained directions have a lower error than
# random ones.

# %% [markdown]
# **Does it hold on another seed, and at another size?** Five seeds stand behind each point (the thin lines). Now we take 20 features in 5 units, where there is no picture. In its place we use one
# number: the squared lengths of all columns, summed, over the number of units. It is 1 where each kept feature has a dimension of its own, and grows the more features share one. (It measures
# crowding and does not count features: columns may be longer than 1.)

# %% tags=["varies"]
W20, _, loss20 = train_toys(probabilities, features=20, units=5, seeds=3, steps=lesson.pick(2000, 700))
share5 = W.square().sum((2, 3)).numpy() / 2
share20 = W20.square().sum((2, 3)).numpy() / 5
nm.plots.lines(
    {"5 features in 2 units": (once_in, share5.T), "20 features in 5 units": (once_in, share20.T)},
    marks={"one each": 1.0},
    log_x=True,
    x="a feature is on once in … inputs (1 / p)",
    y="squared lengths of the columns / units",
    title="The rarer the features, the more of them share a dimension",
)

# %% tags=["varies"]
assert (np.abs(share5[0] - 1) < 0.2).all()
assert (np.abs(share20[0] - 1) < 0.2).all()
assert share5[rare].min() > 2
assert share20[rare].min() > 2
lesson.say(f"""In all {share5.shape[1] + share20.shape[1]} networks the number is about {share20[0].mean():.1f} at p = 1. At p = 0.05 it is between
{min(share5[rare].min(), share20[rare].min()):.1f} and {max(share5[rare].max(), share20[rare].max()):.1f}.""")

# %% [markdown]
# *What to look at:* both sizes and all seeds go the same way: the rarer the features, the more crowded the dimensions. There is no gray band here, because an untrained network may have columns
# of any length. What we compare with is p = 1.
#
# ## 3. The price: interference
#
# Five directions in a plane can't be at right angles. So when feature 0 is on, the others are read too, a little. That is [*interference*](../docs/glossary.md). WᵀW says how much of it there
# is: entry (i, j) is what feature j, at strength 1, adds to the reading of i, before the bias and the ReLU.

# %% tags=["varies"]
V, c = W[rare, best[rare]], b[rare, best[rare], 0]  # the network of the pentagon
overlap = V.T @ V
print("WᵀW:")
print(np.array2string(overlap.numpy(), precision=2, suppress_small=True, floatmode="fixed"))
print("b:", np.array2string(c.numpy(), precision=2, floatmode="fixed"))
alone = torch.eye(5)  # each feature on alone, with strength 1
by_hand = torch.stack([torch.relu(overlap[:, j] + c) for j in range(5)])
assert torch.allclose(by_hand, reconstruct(alone[None], V[None], c)[0], atol=1e-6)
print("x′ when feature 0 is on alone:", np.array2string(by_hand[0].numpy(), precision=2, floatmode="fixed"))

# %% [markdown]
# Read one column of WᵀW. The entry on the diagonal is above 1. Two entries are well below 0, and the ReLU sets them to 0, so they add no error. The other two are somewhat above 0, and the **negative bias** takes
# most of that away. What is left is the price.
#
# Here is the plane once more, colored by the reading of feature 0 before the ReLU: orange where it is above 0 and read as on, blue where the ReLU sets it to 0.

# %% tags=["varies"]
side = np.linspace(-1.6, 1.6, 81)
plane = torch.tensor(np.stack(np.meshgrid(side, side), -1), dtype=torch.float32)  # [row, col, 2]
drawn = directions_of(V.T.numpy(), "Where feature 0 is read as on", (side, side, (plane @ V[:, 0] + c[0]).numpy()))
drawn.axes[1].set_ylabel("reading before the ReLU")
drawn

# %% [markdown]
# *What to look at:* the line between the two colors, and on which side of it the origin lies. The two neighbors of feature 0 lie close to that line.
#
# So this is what the nonlinearity is for. The other features lie in the blue half or close to its border, and there the ReLU sets the reading to 0. Without a ReLU each of them would be an error
# (exercise 4 of [00](00_MLP_from_scratch_PyTorch.ipynb) says why).

# %% [markdown]
# But if several features are on at once, their vectors add up, and the sum can land anywhere. The network bets that this is rare.
#
# Let's compare the pentagon with a network that keeps just two features exactly and predicts 0 for the others, with 1, 2, 3, 4, or 5 features on at once, all of strength 1. (Errors are weighted as in
# training, and all choices of that many features count alike.) **For which of these numbers is the pentagon the worse of the two?**

# %%
mine = [3, 4, 5]  # your guess
lesson.guess("crowd", mine)

# %% tags=["varies"]
from itertools import combinations


def crowd(size, W, b):
    """The mean weighted error over all ways to have ``size`` of five features on."""
    x = torch.tensor([[float(i in on) for i in range(5)] for on in combinations(range(5), size)])
    return float(loss_of(x[None], W[None], b[None], torch.tensor(importance))[0])


two = torch.eye(5)[:2]  # the directions of a network that keeps features 0 and 1 only
at_once = range(1, 6)
exact = [crowd(size, two, torch.zeros(5)) for size in at_once]


def worse_at(W, b):
    """The numbers of features on at once at which these directions have the larger error."""
    return [size for size, kept_two in zip(at_once, exact, strict=True) if crowd(size, W, b) > kept_two]


pentagon = [crowd(size, V, c) for size in at_once]
worse = worse_at(V, c)
assert pentagon[0] < exact[0]
assert pentagon[-1] > exact[-1]
if lesson.reveal("crowd", worse):
    display(
        nm.plots.lines(
            {"pentagon": (at_once, pentagon), "two features kept": (at_once, exact)},
            x="features on at once",
            y="weighted squared error",
            title="Superposition is a bet that few are on",
        )
    )
    for size, a, z in zip(at_once, pentagon, exact, strict=True):
        print(
            f"{size} on: pentagon {a:.3f}, two kept {z:.3f}   {'pentagon worse' if a > z else 'pentagon better'} by {abs(a - z):.3f}"
        )
    turns = sum(
        (a > z) != (later_a > later_z)
        for a, z, later_a, later_z in zip(pentagon, exact, pentagon[1:], exact[1:], strict=False)
    )
    lesson.say(
        f"""*What to look at:* the two lines cross {turns} {"time" if turns == 1 else "times"}. {"So more features on at once is not simply worse for the pentagon: in the middle both networks miss about as much" if turns > 1 else "From there on the pentagon stays on the same side"}."""
    )
    lesson.say(
        f"""At p = 0.05, {100 * (1 - 0.95**5 - 5 * 0.05 * 0.95**4):.1f}% of the inputs have more than one feature on. Only in these can the pentagon be the worse of the two."""
    )
    print(
        "the pentagons of the other seeds are worse at:",
        *(worse_at(W[rare, seed], b[rare, seed, 0]) for seed in range(5) if seed != best[rare]),
    )

# %% [markdown]
# I had expected one crossing: the pentagon better up to some number of features, and worse from there on. The whole curve shows that this need not be so; a mean over all inputs would have hidden it.

# %% [markdown]
# ### Exercise 1: how much of a dimension does a feature get?
# *Difficulty ●●○○ · 10 minutes*
#
# Elhage and others give feature i the share D_i = |W_i|² / Σ_j (Ŵ_i · W_j)², where W_i is its column and Ŵ_i is that column scaled to length 1; the sum runs over all j, i too. It is
# 1 if the feature has a dimension of its own, and ½ if it shares one with a second feature. Write `dimensions(W)`: from W [unit, feature] the shares [feature], as a tensor. A column of zeros gets 0.

# %% [markdown] tags=["hint"]
# `W / W.norm(dim=0).clamp(min=1e-12)` are the columns at length 1. The transpose of that times W is the table of all Ŵ_i · W_j: square it, and sum over j.


# %% tags=["stub"]
def dimensions(W):
    raise NotImplementedError("return a tensor with one share for each column of W")


# %% tags=["solution"]
def dimensions(W):
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    together = (unit.T @ W).square().sum(1)
    return W.square().sum(0) / together.clamp(min=1e-12)


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    turn = 2 * np.pi * torch.arange(5) / 5
    cases = {
        "three features at right angles": torch.eye(3),
        "two features that face each other on one line": torch.tensor([[2.0, -2.0]]),
        "one kept feature and one of length 0": torch.tensor([[3.0, 0.0], [0.0, 0.0]]),
        "five corners": 1.3 * torch.stack([turn.cos(), turn.sin()]),
        "three at right angles, of lengths 1, 0.001 and 0.00001": torch.diag(torch.tensor([1.0, 1e-3, 1e-5])),
        "one feature": torch.tensor([[1.0], [2.0]]),
        "three features of length 0": torch.zeros(2, 3),
    }
    for units, features in ((2, 5), (5, 20), (3, 3), (1, 4), (6, 2)):
        made = torch.from_numpy(rng.normal(size=(units, features)) * rng.uniform(0.2, 3, features)).float()
        made[:, int(rng.integers(features))] = 0.0
        cases[f"{features} random features in {units} units, one of length 0"] = made
    for name, W in cases.items():
        with lessons.unchanged(W=W):
            found = dimensions(W)
        assert torch.is_tensor(found), f"{name}: found {type(found).__name__}, asked for is a tensor"
        assert found.shape == W.shape[1:], (
            f"{name}: {W.shape[1]} columns should give as many shares, not {tuple(found.shape)}"
        )
        assert not found.isnan().any(), f"{name}: a column of zeros should get 0, and gets nan"
        true = []
        for column in W.T:
            onto = [float(column @ other / column.norm()) ** 2 for other in W.T] if column.norm() > 0 else [1.0]
            true.append(float(column @ column) / sum(onto))
        assert torch.allclose(found.float(), torch.tensor(true), atol=1e-4), (
            f"{name}: the shares are {[round(t, 4) for t in true]}, not {[round(f, 4) for f in found.tolist()]}: is only Ŵ_i scaled to length 1, "
            "is each product squared, and does the sum run over all j"
        )


# %% tags=["right"]
def dimensions(W):  # column by column
    shares = torch.zeros(W.shape[1])
    for i in range(W.shape[1]):
        length = W[:, i].norm()
        if length > 0:
            shares[i] = length**2 / ((W[:, i] / length) @ W).square().sum()
    return shares


# %% tags=["right"]
def dimensions(W):  # numpy, through the table of products
    table = (W.T @ W).double().numpy()
    own, rows = np.diag(table), (table**2).sum(1)
    return torch.from_numpy(np.divide(own**2, rows, out=np.zeros(len(own)), where=rows > 0))


# %% tags=["right"]
def dimensions(W):  # einsum
    unit = torch.nn.functional.normalize(W, dim=0)
    return torch.nan_to_num((W * W).sum(0) / torch.einsum("ui,uj->ij", unit, W).pow(2).sum(-1), nan=0.0)


# %% tags=["wrong"]
def dimensions(W):  # both columns scaled
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / (unit.T @ unit).square().sum(1).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # neither scaled
    return W.square().sum(0) / (W.T @ W).square().sum(1).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # not squared
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / (unit.T @ W).abs().sum(1).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # leaves i out of the sum
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / ((unit.T @ W).square().sum(1) - W.square().sum(0)).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # zeros give nan
    unit = W / W.norm(dim=0)
    return W.square().sum(0) / (unit.T @ W).square().sum(1)


# %% tags=["wrong"]
def dimensions(W):  # units over features, whatever the directions
    return torch.full((W.shape[1],), W.shape[0] / W.shape[1])


# %% tags=["wrong"]
def dimensions(W):  # sums over i
    unit = W / W.norm(dim=0).clamp(min=1e-12)
    return W.square().sum(0) / (unit.T @ W).square().sum(0).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # rows in place of columns
    unit = W / W.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return W.square().sum(1) / (unit @ W.T).square().sum(1).clamp(min=1e-12)


# %% tags=["wrong"]
def dimensions(W):  # changes W
    length = W.square().sum(0)
    together = ((W / W.norm(dim=0).clamp(min=1e-12)).T @ W).square().sum(1)
    W /= W.norm(dim=0).clamp(min=1e-12)
    return length / together.clamp(min=1e-12)


# %% [markdown]
# ## 4. Taking it apart again: a sparse autoencoder
#
# In the toy we know the features. In a real network we only see the activations h. Can we find the directions from h alone? Units don't show them, and principal components are at right
# angles, of which a plane has two. What helps is that features are *sparse*: few are on at a time.
#
# A [*TopK sparse autoencoder*](../docs/glossary.md) (SAE) has many more *latents* than h has units. Its encoder gives each latent a number, only the k largest are let through, and the decoder
# must rebuild h from these few: as a sum of k directions out of its *dictionary*.
#
# We try it on planted truth first. Each example is a sum of two out of 24 random directions, in 16 units. If the method can't find those, we don't need to try it on a network.

# %%
from neural_microscope.analysis import dictionary, selectivity
from neural_microscope.analysis.dictionary.sae import planted

truth, examples = planted(seed=0)  # directions [24, 16], activations [example, 16]
h = torch.from_numpy(examples.values).float()
print(f"{len(truth)} directions, {tuple(h.shape)} activations")

# %% [markdown]
# Let's write one. It isn't much: a matrix down, a matrix up, and between them the choice of the k largest.


# %%
def hand_sae(h, latents, k, steps=1000, seed=0):
    """The dictionary [latent, unit] that a TopK autoencoder learns from activations h [example, unit]."""
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(latents, h.shape[1], generator=generator)
    down /= down.norm(dim=1, keepdim=True)
    up = down.T.clone().requires_grad_()  # the encoder, [unit, latent]
    down.requires_grad_()  # the decoder: the dictionary
    optimizer = torch.optim.Adam([up, down], 0.005)
    for _ in range(steps):
        batch = h[torch.randint(len(h), (128,), generator=generator)]
        strength = batch @ up
        top = strength.topk(k, dim=1)
        z = torch.zeros_like(strength).scatter(1, top.indices, top.values.relu())  # all but the k largest are 0
        loss = (batch - z @ down).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            down /= down.norm(dim=1, keepdim=True)  # otherwise strengths shrink and directions grow
    return down.detach().numpy()


def recovered(found):
    """For each planted direction the highest cosine with any direction that was found; the mean over all."""
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    return float((truth @ found.T).max(1).mean())


# %% [markdown]
# How well did we recover the truth? For each planted direction we take the most similar one in the dictionary, by the *cosine* of the angle between them: 1 is the same direction, 0 a right angle. But 32 directions in only 16 dimensions are
# many tries. **What mean cosine do 32 *random* directions reach?**

# %%
mine = 0.1  # your guess
lesson.guess("random", mine)

# %% tags=["varies"]
by_chance = [recovered(nm.statistics.random_directions(32, 16, seed=100 + i)) for i in range(200)]
low, high = np.percentile(by_chance, [2.5, 97.5])
seeds = range(lesson.pick(3, 2))
steps = lesson.pick(1000, 600)
by_hand = [recovered(hand_sae(h, latents=32, k=2, steps=steps, seed=seed)) for seed in seeds]
by_planted = [recovered(dictionary.train_sae(examples, 32, 2, steps=steps, seed=seed).W_dec.numpy()) for seed in seeds]
centered = h - h.mean(0)
components = torch.linalg.svd(centered, full_matrices=False).Vh.numpy()
assert min(by_hand + by_planted) > high + 0.15
if lesson.reveal("random", float(np.mean(by_chance))):
    print(f"random directions {low:.2f} to {high:.2f} (95% of 200 sets)")
    print(f"principal components, both signs: {recovered(np.concatenate([components, -components])):.2f}")
    print("by hand, each seed:    ", *(f"{value:.2f}" for value in by_hand))
    print("the library, each seed:", *(f"{value:.2f}" for value in by_planted))

# %% [markdown]
# Did the first line surprise you? Random directions look half right, so a cosine of 0.5 to a dictionary is no finding at all. Principal components are at right angles, and what we planted is
# not. Both autoencoders find the planted directions, on each seed.

# %% [markdown]
# The library does the same sum as ours. It adds biases and a way to revive latents that have died, which a real layer needs. Line by line:

# %% tags=["varies"]
sae = dictionary.train_sae(examples, 32, 2, seed=0)
pre = (h - sae.b_dec) @ sae.W_enc + sae.b_enc
top = pre.topk(2, dim=1)
z = torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())
rebuilt = z @ sae.W_dec + sae.b_dec
assert torch.allclose(rebuilt, sae(h), atol=1e-5)

unexplained = float((h - rebuilt).square().sum() / centered.square().sum())
table = dictionary.evaluate_sae(sae, examples)
assert abs(unexplained - float(table["fvu"])) < 1e-3
print(f"variance unexplained: {unexplained:.3f} by hand, {float(table['fvu']):.3f} by the library; ", end="")
print(f"random dictionaries {float(table['fvu_null_low']):.2f} to {float(table['fvu_null_high']):.2f}")

# %% [markdown]
# ### Exercise 2: the choice of the k largest
# *Difficulty ●●○○ · 10 minutes*
#
# Write `top_k(pre, k)`: from encoder outputs [example, latent] the latents. In each row the k largest values stay in their place if they are above 0; everything else is 0.
# If equal values compete for the last place, any of them may stay, but no more than k.

# %% [markdown] tags=["hint"]
# `pre.topk(k, dim=1)` gives values and their places, and `torch.zeros_like(pre).scatter(1, places, values)` writes them there. Where fewer than k values are above 0, fewer than k stay.


# %% tags=["stub"]
def top_k(pre, k):
    raise NotImplementedError("return a tensor of the same shape with at most k values above 0 in each row")


# %% tags=["solution"]
def top_k(pre, k):
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    cases = [(torch.tensor([[1.0, 1.0, 1.0, 0.0], [3.0, -1.0, -1.0, -1.0], [2.0, 5.0, 2.0, 2.0]]), 2)]
    for shape, k, shift in (
        ((2, 4), 2, 0),
        ((6, 10), 3, -1),
        ((5, 7), 1, 1),
        ((4, 5), 5, 0),
        ((8, 40), 8, 1),
        ((3, 6), 2, -3),
        ((1, 6), 3, 0),
    ):
        pre = torch.from_numpy(rng.normal(shift, 2.0, shape))
        cases += [(pre.float(), k), (pre * 1e-9, k)]  # float32, and small numbers in float64
    for pre, k in cases:
        with lessons.unchanged(pre=pre):
            found = top_k(pre, k)
        case = f"k = {k} of {pre.shape[1]} latents"
        assert torch.is_tensor(found) and found.shape == pre.shape, (
            f"{case}: the result should be a tensor as large as pre"
        )
        assert (found >= 0).all(), f"{case}: a value below 0 stayed, {float(found.min()):.2g}"
        for row, out in zip(pre.tolist(), found.tolist(), strict=True):
            becomes = (
                f"{case}: the row {[float(f'{x:.3g}') for x in row][:7]} becomes {[float(f'{x:.3g}') for x in out][:7]}"
            )
            stay = sum(x > 0 for x in out)
            assert stay <= k, f"{becomes}: {stay} values stay, and at most {k} may"
            assert all(new in (0, old) for old, new in zip(row, out, strict=True)), (
                f"{becomes}: each value that stays should stay in its own place, unchanged to its last digit"
            )
            largest = [max(x, 0.0) for x in sorted(row, reverse=True)]
            assert sorted(out, reverse=True)[:k] == largest[:k], (
                f"{becomes}: do all of the k largest of each row stay that are above 0"
            )


# %% tags=["right"]
def top_k(pre, k):  # row by row
    out = torch.zeros_like(pre)
    for i, row in enumerate(pre):
        for j in row.argsort(descending=True)[:k]:
            if row[j] > 0:
                out[i, j] = row[j]
    return out


# %% tags=["wrong"]
def top_k(pre, k):  # by a threshold for each row: too many stay where values are equal
    least = pre.sort(dim=1).values[:, [-k]]
    return torch.where((pre >= least) & (pre > 0), pre, torch.tensor(0.0))


# %% tags=["right"]
def top_k(pre, k):  # by ranks, in numpy
    ranks = (-pre.numpy()).argsort(1).argsort(1)
    return torch.from_numpy(np.where(ranks < k, np.maximum(pre.numpy(), 0), 0))


# %% tags=["wrong"]
def top_k(pre, k):  # negative values stay
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values)


# %% tags=["wrong"]
def top_k(pre, k):  # the largest in size
    top = pre.abs().topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, pre.gather(1, top.indices).relu())


# %% tags=["wrong"]
def top_k(pre, k):  # over the examples
    top = pre.topk(min(k, len(pre)), dim=0)
    return torch.zeros_like(pre).scatter(0, top.indices, top.values.relu())


# %% tags=["wrong"]
def top_k(pre, k):  # the values at the front
    top = pre.topk(k, dim=1)
    out = torch.zeros_like(pre)
    out[:, :k] = top.values.relu()
    return out


# %% tags=["wrong"]
def top_k(pre, k):  # everything above 0
    return pre.relu()


# %% tags=["wrong"]
def top_k(pre, k):  # always two
    top = pre.topk(2, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())


# %% tags=["wrong"]
def top_k(pre, k):  # the smallest
    top = pre.topk(k, dim=1, largest=False)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())


# %% tags=["wrong"]
def top_k(pre, k):  # marks in place of values
    top = pre.topk(k, dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, (top.values > 0).float())


# %% tags=["wrong"]
def top_k(pre, k):  # changes pre
    least = pre.topk(k, dim=1).values[:, -1:]
    pre[pre < least] = 0
    return pre.relu_()


# %% tags=["wrong"]
def top_k(pre, k):  # one too many
    top = pre.topk(min(k + 1, pre.shape[1]), dim=1)
    return torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())


# %% [markdown]
# ## 5. A real layer
#
# Now the first hidden layer of a recorded MLP: 128 units with a ReLU. We train a dictionary of 256 latents, of which 8 are on for an image. It learns from training images, and we judge it on test
# images that it never saw.

# %% tags=["varies"]
recipe = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), recipe)
model = run.model()
layer = "layers.0.hook_post"
LATENTS, K, SAE_STEPS = 256, 8, lesson.pick(1000, 300)

train = lesson.data.train.balanced(lesson.pick(20_000, 1000), seed=0)
half = len(train) // 2
test = lesson.data.test.balanced(lesson.pick(1000, 300), seed=1)
acts = nm.activations(model, train, layer)[layer]
unseen = nm.activations(model, test, layer)[layer]

sae = dictionary.train_sae(acts[:half], LATENTS, K, steps=SAE_STEPS)  # the other half is for another seed
kept = dictionary.evaluate_sae(sae, unseen, model, test, layer)
print(
    f"variance unexplained: {float(kept['fvu']):.3f} ({float(kept['fvu_low']):.3f} to {float(kept['fvu_high']):.3f}), n = {len(test)} images"
)
print(
    f"  random dictionaries, as large and as sparse: {float(kept['fvu_null_low']):.2f} to {float(kept['fvu_null_high']):.2f}"
)
print(f"  {K} principal components of these images: {float(kept['fvu_pca']):.2f}")

# %% [markdown]
# The dictionary leaves less of the variance unexplained than random dictionaries and principal components do. A word of caution about the null: after a ReLU all activations are 0 or above, and random directions point anywhere. So a random dictionary is easier to
# beat than one that knows this much.
#
# Is what is left out important to the network? We put the rebuilt activations in the layer's place and let the network go on. [*Cross-entropy recovered*](../docs/glossary.md) is 1 if the loss is
# then as low as before, and 0 if it is as high as with the layer's mean in its place. By hand, with a hook:

# %% tags=["varies"]
images, labels = test.tensor(), test.label_tensor()


def loss_with(replacement):
    """The mean cross-entropy when ``replacement`` changes the layer's activations."""
    with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: replacement(tensor))]):
        return float(torch.nn.functional.cross_entropy(model(images), labels))


clean, copied = loss_with(lambda tensor: tensor), loss_with(lambda tensor: sae(tensor))
floor = loss_with(lambda tensor: tensor.mean(0, keepdim=True).expand_as(tensor))
by_hand = (floor - copied) / (floor - clean)
by_library = kept.sel(floor="mean")
assert abs(by_hand - float(by_library["recovered"])) < 1e-3
print(f"cross-entropy: {clean:.3f} as it is, {copied:.3f} with the copy, {floor:.2f} with the mean")
print(
    f"recovered: {by_hand:.3f}; random dictionaries {float(by_library['recovered_null_low']):.2f} to {float(by_library['recovered_null_high']):.2f}"
)
assert not lesson.full or (
    by_hand > 0.95 and float(kept["fvu"]) < min(float(kept["fvu_null_low"]), float(kept["fvu_pca"]))
)

# %% tags=["varies"]
lesson.say(f"""The copy recovers {by_hand:.1%} of the cross-entropy. Before you are impressed: untrained random directions recover up to
{float(by_library["recovered_null_high"]):.0%}. So this number alone says little about the directions that were learned.""")
display(nm.plots.latent_density(kept))
lesson.say(f"""*What to look at:* how often each latent is on. {float(kept["dead_share"]):.0%} of the latents are on for none of these {len(test):,} images (they are *dead*).
A latent that is on for nearly every image would act as a bias and not as a feature.""")

# %% [markdown]
# ## 6. Do the latents mean anything?
#
# So far the dictionary *compresses* well. The hope was for more: that each latent stands for *one thing*, more cleanly than a unit does. For MNIST the obvious things are the ten classes.
#
# For each unit or latent we take its best class (chosen on one half of the images), and ask how well it separates that class from the rest (on the other half). The [*AUC*](../docs/glossary.md) is the
# probability that an image of the class has a higher activation than another image; at 0.5 the activation says nothing about the class.

# %% tags=["varies"]
judged = dictionary.purity(sae, unseen)
auc = {str(basis): float(value) for basis, value in zip(judged["basis"].values, judged["auc"].values, strict=True)}
print(f"mean AUC of the layer's units: {auc['units']:.3f}")


def tells(values, mine):
    """The probability that an image of ``mine`` has a higher value than another image, ties half."""
    own, others = values[mine][:, None], values[~mine]
    return (own > others).mean() + (own == others).mean() / 2


said = unseen["label"].values
order = nm.statistics.canonical_order(said, unseen.values.astype(float))  # the library's order, for the same halves
choose, judge = (order[half] for half in nm.statistics.halves(said[order]))
by_hand = []
for unit in unseen.values.T:
    if unit[choose].max() > 0 and unit[judge].max() > 0:  # the dead are left out
        best_class = max(range(10), key=lambda label: tells(unit[choose], said[choose] == label))
        by_hand.append(tells(unit[judge], said[judge] == best_class))
assert abs(np.mean(by_hand) - auc["units"]) < 1e-3


# %% [markdown]
# That is the number to beat. **What is the mean AUC of the dictionary's latents?**

# %%
mine = 0.9  # your guess
lesson.guess("auc", mine)

# %% tags=["varies"]
assert not lesson.full or auc["latents"] < auc["units"] - 0.1
if lesson.reveal("auc", auc["latents"]):
    print(f"of a random dictionary's latents: {auc['random']:.3f}, of principal components: {auc['components']:.3f}")
    display(nm.plots.dictionary_controls(judged))
    shares = {basis: float(judged["share"].sel(basis=basis)) for basis in ("units", "latents")}
    lesson.say(f"""*What to look at:* compare units and latents on both sides. On the left, the AUC is {auc["units"]:.2f} for units and {auc["latents"]:.2f} for latents. On the right, by another measure, it is
{shares["units"]:.2f} for units and {shares["latents"]:.2f} for latents. {"Both come from the same latents, and they point in opposite directions." if (auc["units"] - auc["latents"]) * (shares["units"] - shares["latents"]) < 0 else "Both measures agree here."}""")

# %% [markdown]
# I wanted the dictionary to win, and by AUC it does not. So let's find out what the two measures see before we believe either.
#
# A latent that is on for few images is silent on most images of *its own* class, and AUC counts two images with the same activation, here 0, as a half. So a sparse latent can't have a high AUC, however clean it is. The
# right-hand measure is the share of an element's activation that falls on its class. It has the opposite fault: being on for few images already raises it.
#
# That is why the random dictionary is *as sparse* as ours. But the units are not. So we make them: let each image keep only its 8 strongest units, just as the dictionary keeps its 8 strongest
# latents. That is a dictionary whose directions are the units themselves.

# %% tags=["varies"]
width = unseen.sizes["unit"]


def sparse_units(k):
    """The units as a dictionary of their own: each image keeps its k strongest."""
    units = dictionary.TopKSAE(width, width, k)
    with torch.no_grad():
        units.W_enc.copy_(torch.eye(width))
        units.W_dec.copy_(torch.eye(width))
    return units


by_units = dictionary.purity(sparse_units(K), unseen)
print("                      mean AUC    share on its class")
for name, part in {
    "units": judged.sel(basis="units"),
    "units, 8 an image": by_units.sel(basis="latents"),
    "latents, 8 an image": judged.sel(basis="latents"),
    "random, 8 an image": judged.sel(basis="random"),
}.items():
    ends = [
        f"{float(part[what]):.2f} ({float(part[f'{what}_low']):.2f} to {float(part[f'{what}_high']):.2f})"
        for what in ("auc", "share")
    ]
    print(f"{name:20}  {ends[0]}   {ends[1]}")
advantage = float(judged["share"].sel(basis="latents") - by_units["share"].sel(basis="latents"))
gap = float(by_units["auc"].sel(basis="latents") - judged["auc"].sel(basis="latents"))
assert not lesson.full or abs(gap) < 0.12
assert not lesson.full or advantage > 0.03

# %% tags=["varies"]
of_units = {what: float(by_units[what].sel(basis="latents")) for what in ("auc", "share")}
lesson.say(f"""By AUC, the layer's units are {auc["units"] - auc["latents"]:.2f} above the latents. Once they are as sparse as the latents, they are {abs(gap):.2f} {"above" if gap > 0 else "below"} them.
By share, the latents are {abs(advantage):.2f} {"above" if advantage > 0 else "below"} units that are as sparse.""")
lesson.say(f"""So by AUC sparsity itself explains {1 - gap / (auc["units"] - auc["latents"]):.0%} of the difference, and by share the latents are
{"somewhat cleaner" if advantage > 0 else "not cleaner"} about a class than units that are on as rarely. With only one of the two numbers, you could have claimed either.""")

# %% [markdown]
# ### Does it depend on size and k?
#
# Another objection: perhaps 256 and 8 are a bad choice. So we try others, with the random dictionary of each as its null.

# %% tags=["varies"]
sizes, ks = (64, 256), lesson.pick((2, 8, 32), (2, 32))
grid = {}
for latents in sizes:
    for k in ks:
        learned = dictionary.train_sae(acts[:half], latents, k, steps=SAE_STEPS // 2)
        grid[latents, k] = dictionary.purity(learned, unseen, draws=19, resamples=50)


def over_k(latents, what, basis):
    return [float(grid[latents, k][what].sel(basis=basis)) for k in ks]


most = max(max(over_k(latents, "auc", "latents")) for latents in sizes)
nm.plots.lines(
    {f"{latents} latents": (ks, over_k(latents, "auc", "latents")) for latents in sizes},
    null={f"random, {n}": (ks, over_k(n, "auc_low", "random"), over_k(n, "auc_high", "random")) for n in sizes},
    marks={"the layer's units": auc["units"]},
    log_x=True,
    x="latents on for an image, k",
    y="mean AUC",
    title="No learned dictionary here reaches the units" if most < auc["units"] else "Some reach the units",
)

# %% tags=["varies"]
assert not lesson.full or most < auc["units"] + 0.05
most_random = max(max(over_k(n, "auc", "random")) for n in sizes)
ahead = {(n, k): float(grid[n, k]["auc_over_random"].sel(basis="latents")) for n in sizes for k in ks}
lesson.say(f"""*What to look at:* the highest point of the learned dictionaries, against the level line. The best of the {len(grid)} dictionaries has {most:.2f}, the units have {auc["units"]:.2f}, and the best random
dictionary has {most_random:.2f}{", more than the units" if most_random > auc["units"] else ""}. In gray are random dictionaries of the two sizes, with intervals over images. In {sum(gain < 0 for gain in ahead.values())} of {len(grid)} cases the random dictionary has a higher AUC than the learned one.""")
rising = all(over_k(n, "auc", "random")[-1] > over_k(n, "auc", "random")[0] for n in sizes)
lesson.say(
    "The random dictionaries rise with k as well, so a higher AUC at a larger k can't be credited to the directions."
    if rising
    else "The random dictionaries do not rise with k here."
)

# %% [markdown]
# ### What the latents look like
#
# Enough of numbers. We can carry the decoder direction of a latent back to the pixels through the layer's weights, and look at its top-activating images. The eight latents shown are those
# that are on for the most images; a choice of the prettiest would prove nothing.

# %% tags=["varies", "card"]
weights = model.layers[0].linear.weight.detach().numpy().reshape(width, *test.image_shape)
latents = dictionary.encode(sae, unseen)
order = selectivity.top_examples(latents.rename(latent="unit"), n=8)
busiest = np.argsort(-kept["density"].values, kind="stable")[:8]
nm.plots.dictionary(test.images, order, dictionary.decoder_pictures(sae, weights), latents=busiest.tolist())

# %% [markdown]
# *What to look at:* each row is a latent: first the pixels that its direction adds (orange) or takes away (blue), then its eight strongest images. Is a row one digit, or one stroke? A direction that is
# finer than a class, or that several classes share, does not get its due from measures made of classes.
#
# ### Does it come back?
#
# A direction that belongs to the network should be found again by another dictionary, with another seed and *other* images. The null: the best match among as many random directions with the same
# covariance as the activations, because directions learned from one layer all lean the same way.

# %% tags=["varies"]
second = dictionary.train_sae(acts[half:], LATENTS, K, seed=1, steps=SAE_STEPS)
again = dictionary.stability(sae, second, acts[: min(half, 5000)], draws=99)
nm.plots.stability(again)

# %% tags=["varies"]
beyond = int(nm.statistics.shown(again["cosine_q"]).sum())
lesson.say(f"""*What to look at:* how much of the distribution lies beyond the gray. For {beyond} of {LATENTS} directions it is shown that they come back (q < 0.05: corrected for {LATENTS} tests), and the mean cosine is
{float(again["mean_cosine"]):.2f}, against up to {float(again["mean_cosine_null_high"]):.2f} in the null. On the planted truth above, recovery was {min(by_planted):.2f} to {max(by_planted):.2f}.""")
assert not lesson.full or nm.statistics.shown(again["mean_cosine_p"])

# %% [markdown]
# A dictionary is partly about the network and partly about its seed. Before you give a latent a name, check that it comes back.
#
# **Does it hold on another seed?** We repeat the judgment of section 6 on another network.

# %% tags=["varies"]
from dataclasses import replace

other = lesson.run("mlp-seed1", nm.MLPConfig(), replace(recipe, seed=1)).model()
other_unseen = nm.activations(other, test, layer)[layer]
other_sae = dictionary.train_sae(nm.activations(other, train, layer)[layer][:half], LATENTS, K, steps=SAE_STEPS)
other_kept = dictionary.evaluate_sae(other_sae, other_unseen, draws=9)
other_judged = dictionary.purity(other_sae, other_unseen, draws=19, resamples=20)
other_units = dictionary.purity(sparse_units(K), other_unseen, draws=19, resamples=20)
print(f"variance unexplained {float(other_kept['fvu']):.3f}; random {float(other_kept['fvu_null_low']):.2f} or more")
for name in ("units", "latents", "random"):
    print(
        f"{name:8} AUC {float(other_judged['auc'].sel(basis=name)):.2f}, share {float(other_judged['share'].sel(basis=name)):.2f}"
    )
print(
    f"units, 8 an image: AUC {float(other_units['auc'].sel(basis='latents')):.2f}, share {float(other_units['share'].sel(basis='latents')):.2f}"
)
same = bool(other_judged["auc"].sel(basis="latents") < other_judged["auc"].sel(basis="units"))
lesson.say("By AUC, units beat latents on this seed too." if same else "On this seed the order is another one.")
assert not lesson.full or same

# %% [markdown]
# ### Exercise 3: the control that decides
# *Difficulty ●●●○ · 15 minutes*
#
# Any data can be compressed a little. Is there more to compress in this layer than in one whose units have nothing to do with each other? Write `apart(acts, seed)`: a copy of the activations (a numpy
# array [example, unit]) in which each unit's values are shuffled over all images, each unit by itself. Every unit keeps its values, exactly; only what they had to do with each other is gone.
# The same seed gives the same order, another seed another one.

# %% [markdown] tags=["hint"]
# `np.random.default_rng(seed).permuted(acts, axis=0)` shuffles each column on its own. `rng.permutation(acts)` moves whole rows, which changes nothing here.


# %% tags=["stub"]
def apart(acts, seed):
    raise NotImplementedError("return an array of the same shape, each column in an order of its own")


# %% tags=["solution"]
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts, axis=0)


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    for examples, units in ((2000, 4), (2000, 4), (1500, 9), (3000, 2)):
        linked = rng.standard_normal((examples, 1)) + 0.1 * rng.standard_normal((examples, units)) + np.arange(units)
        with lessons.unchanged(acts=linked):
            orders = [apart(linked, seed) for seed in range(10)]
            found, again, other = orders[0], apart(linked, 0), apart(2 * linked, 0) / 2
            few = [apart(linked[:40], seed).tobytes() for seed in (*range(500), 1000, 65536, 1 << 20)]
        assert isinstance(found, np.ndarray) and found.shape == linked.shape, (
            f"from an array of shape {linked.shape} one of the same shape should come"
        )
        assert np.array_equal(np.sort(found, axis=0), np.sort(linked, axis=0)), (
            "a unit has not exactly the values that it had: shuffle over the images, within each unit, and keep every digit"
        )
        stay = np.mean([order == linked for order in orders]) * examples
        assert 0.2 < stay < 3, (
            f"if every order is as likely as any other, one value of each unit stays in its place on average, and {stay:.1f} do here"
        )
        strongest = np.abs(np.corrcoef(found.T) - np.eye(units)).max()
        assert strongest < 0.2, (
            f"of {units} units two still correlate, at {strongest:.2f}: does each have an order of its own"
        )
        place = np.empty(linked.shape, int)  # where each value is now
        np.put_along_axis(place, linked.argsort(0), found.argsort(0), 0)
        far = np.abs(place - np.arange(examples)[:, None]).mean(0).min()
        assert far > examples / 4, (
            f"of {examples} images a shuffle moves a value by {examples / 3:.0f} places on average, yours by {far:.0f}: shuffle over all images"
        )
        together = max(np.bincount(step).max() for step in np.diff(place, axis=0).T % examples) / examples
        assert together < 0.1, f"{together:.0%} of the values only moved on with the next one: shuffle them"
        assert np.array_equal(found, again), "the same seed should give the same order again"
        assert np.array_equal(found, other), "the same seed should give the same order for other values too"
        assert len(set(few)) == len(few), f"{len(few)} seeds gave {len(set(few))} different orders: use the whole seed"
    silent = np.where(rng.random((2000, 1)) < 0.5, 0, rng.random((2000, 3)))  # on the same half of the images
    share = (apart(silent, 0) == 0).all(1).mean()
    assert share < 0.2, (
        f"three units are 0 on the same half of the images; after the shuffle all three should be in 12%, and are in {share:.0%}: values of 0 "
        "change places too"
    )
    shuffled, others = (one.copy(data=apart(one.values, seed)) for seed, one in enumerate((acts, unseen)))
    unlinked = dictionary.train_sae(shuffled[:half], LATENTS, K, steps=SAE_STEPS)
    fvu = float(dictionary.evaluate_sae(unlinked, others, draws=1)["fvu"])
    print(
        f"variance unexplained: {float(kept['fvu']):.2f} in the layer, {fvu:.2f} with its units apart, {SAE_STEPS:,} steps each"
    )


# %% tags=["right"]
def apart(acts, seed):  # column by column
    generator = np.random.default_rng(seed)
    return np.stack([generator.permutation(column) for column in acts.T], axis=1)


# %% tags=["right"]
def apart(acts, seed):  # torch
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(acts.shape, generator=generator).argsort(0).numpy()
    return np.take_along_axis(acts, order, axis=0)


# %% tags=["wrong"]
def apart(acts, seed):  # whole rows
    return np.random.default_rng(seed).permutation(acts)


# %% tags=["wrong"]
def apart(acts, seed):  # within each image
    return np.random.default_rng(seed).permuted(acts, axis=1)


# %% tags=["wrong"]
def apart(acts, seed):  # everything among everything
    return np.random.default_rng(seed).permuted(acts)


# %% tags=["wrong"]
def apart(acts, seed):  # changes what was given
    np.random.default_rng(seed).permuted(acts, axis=0, out=acts)
    return acts


# %% tags=["wrong"]
def apart(acts, seed):  # one seed for all columns: the same order
    return np.stack([np.random.default_rng(seed).permutation(column) for column in acts.T], axis=1)


# %% tags=["wrong"]
def apart(acts, seed):  # always the same seed
    return np.random.default_rng(0).permuted(acts, axis=0)


# %% tags=["wrong"]
def apart(acts, seed):  # another order at each call
    return np.random.default_rng().permuted(acts, axis=0)


# %% tags=["wrong"]
def apart(acts, seed):  # draws with replacement
    generator = np.random.default_rng(seed)
    return np.stack([generator.choice(column, len(column)) for column in acts.T], axis=1)


# %% tags=["wrong"]
def apart(acts, seed):  # the first unit stays
    out = np.random.default_rng(seed).permuted(acts, axis=0)
    out[:, 0] = acts[:, 0]
    return out


# %% tags=["wrong"]
def apart(acts, seed):  # noise with the same mean and spread
    return np.random.default_rng(seed).normal(acts.mean(0), acts.std(0), acts.shape)


# %% [markdown]
# Once you have solved it, the check prints the comparison, with equally long training of both. Is it learning that links the units? The untrained network is the control:

# %% tags=["varies"]
start = run.model(run.steps[0])
start_acts, start_unseen = (nm.activations(start, images, layer)[layer] for images in (train, test))
of_start = dictionary.train_sae(start_acts[:half], LATENTS, K, steps=SAE_STEPS)
fvu_start = float(dictionary.evaluate_sae(of_start, start_unseen, draws=1)["fvu"])
print(f"variance unexplained: {float(kept['fvu']):.2f} in the trained layer, {fvu_start:.2f} in the untrained one")
lesson.say(
    "So training adds to what links the units."
    if float(kept["fvu"]) < fvu_start
    else "So it is not shown that training adds to what links the units."
)

# %% [markdown]
# But the untrained layer's number is lower than that of units set apart as well. It looks at digits too, and they alone make its units go together. So compare with the untrained layer before you call
# a low number a discovery about what was learned.
#
# ### Exercise 4: how much is recovered?
# *Difficulty ●●●● · 15 minutes*
#
# Write `recovered_by(replacement, model, layer, images, labels)`: the cross-entropy recovered when the function `replacement` is applied to the layer's activations, with **zero** activations as the
# floor. It should work for any model and layer of this library, and leave the model as it was: its hooks, its weights, its mode.

# %% [markdown] tags=["hint"]
# Three losses: as it is, with the replacement, with zeros. `model.hooks([(layer, hook)])` takes hook functions of two arguments, the tensor and the hook. Then (floor − copied) / (floor − clean).


# %% tags=["stub"]
def recovered_by(replacement, model, layer, images, labels):
    raise NotImplementedError("return one number: 1 where nothing is lost, 0 where it is as bad as zeros")


# %% tags=["solution"]
def recovered_by(replacement, model, layer, images, labels):
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied, floor = loss(lambda tensor: tensor), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    def entropy(network, at, change, x, y):
        with torch.no_grad(), network.hooks([(at, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(network(x), y))

    def small():
        settings = nm.MLPConfig(hidden=(20, 30, 10), image_shape=test.image_shape)
        return nm.MLP(settings, seed=int(rng.integers(1000)))

    convolutional = nm.CNN(nm.CNNConfig(channels=(3, 4), image_shape=test.image_shape))
    few = rng.permutation(len(images))
    for name, network, at, part in (
        ("the MLP", run.model().eval(), layer, slice(None)),
        ("the MLP", run.model().eval(), "layers.1.hook_post", few[:137]),
        ("a small network", small().train(), "layers.2.hook_post", few[:200]),
        ("a small network", small().eval(), "layers.0.hook_pre", few[:61]),
        ("another small network", small().train(), "layers.0.hook_pre", few[:61]),
        ("a small CNN", convolutional.eval(), "layers.1.hook_post", few[:50]),
        ("the same CNN", convolutional, "layers.1.hook_post", few[50:90]),
    ):
        x, y = images[part], labels[part]
        network.add_hook("layers.0.hook_pre", lambda tensor, hook: None)  # another's, that changes nothing
        before, floor = (entropy(network, at, change, x, y) for change in (lambda t: t, torch.zeros_like))
        changes = {"as they are": lambda t: t, "set to zero": lambda t: t * 0, "halved": lambda t: t / 2}
        changes |= {"of the dictionary": sae.forward} if at == layer else {"turned around": lambda t: -3 * t}
        for what, change in changes.items():
            true = (floor - entropy(network, at, change, x, y)) / (floor - before)
            with torch.no_grad(), lessons.unchanged(network, images=x, labels=y):
                found = recovered_by(change, network, at, x, y)
            assert found is not None and np.ndim(found) == 0, f"one number is asked for; found {found}"
            assert abs(float(found) - true) < 1e-3 * max(1, abs(true)), (
                f"{name}, {at}, activations {what}, {len(x)} images: recovered is {true:.3f}, not {float(found):.3f}: is the floor that of zeros, and do "
                "model, layer, replacement and each image count"
            )
    strongest = recovered_by(sparse_units(K).forward, model, layer, images, labels)
    print(f"the 8 strongest units of each image, the rest 0: {strongest:.2f} recovered")


# %% tags=["right"]
def recovered_by(replacement, model, layer, images, labels):  # three hooks by name
    losses = {}
    for name, change in {"clean": None, "copied": replacement, "floor": lambda t: 0 * t}.items():
        hooks = [(layer, lambda tensor, hook, change=change: change(tensor))] if change else []
        with torch.no_grad(), model.hooks(hooks):
            losses[name] = torch.nn.functional.cross_entropy(model(images), labels)
    return (losses["floor"] - losses["copied"]) / (losses["floor"] - losses["clean"])


# %% tags=["right"]
def recovered_by(replacement, model, layer, images, labels):  # log-probabilities in numpy
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            logits = model(images).double().numpy()
        p = (
            logits
            - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
            - logits.max(1, keepdims=True)
        )
        return -p[np.arange(len(p)), labels.numpy()].mean()

    floor = loss(lambda tensor: torch.zeros(tensor.shape))
    return 1 - (loss(replacement) - loss(lambda tensor: tensor)) / (floor - loss(lambda tensor: tensor))


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # the layer is always the first
    def loss(change):
        with torch.no_grad(), model.hooks([("layers.0.hook_post", lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied, floor = loss(lambda tensor: tensor), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # the mean as the floor
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied = loss(lambda tensor: tensor), loss(replacement)
    floor = loss(lambda tensor: tensor.mean(0, keepdim=True).expand_as(tensor))
    return (floor - copied) / (floor - clean)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # upside down
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied, floor = loss(lambda tensor: tensor), loss(replacement), loss(torch.zeros_like)
    return (copied - clean) / (floor - clean)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # the share of the loss
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    return loss(lambda tensor: tensor) / loss(replacement)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # accuracies
    def right(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float((model(images).argmax(1) == labels).float().mean())

    clean, copied, floor = right(lambda tensor: tensor), right(replacement), right(torch.zeros_like)
    return (copied - floor) / (clean - floor)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # the first hundred images
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images[:40]), labels[:40]))

    clean, copied, floor = loss(lambda tensor: tensor), loss(replacement), loss(torch.zeros_like)
    return (floor - copied) / (floor - clean)


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # the replacement is ignored
    return 1.0


# %% tags=["wrong"]
def recovered_by(replacement, model, layer, images, labels):  # never above 1, never below 0: hides what gets worse
    def loss(change):
        with torch.no_grad(), model.hooks([(layer, lambda tensor, hook: change(tensor))]):
            return float(torch.nn.functional.cross_entropy(model(images), labels))

    clean, copied, floor = loss(lambda tensor: tensor), loss(replacement), loss(torch.zeros_like)
    return float(np.clip((floor - copied) / (floor - clean), 0, 0.99))


# %% [markdown]
# Once you have solved it, its last line is a control too: it keeps each image's eight strongest *units* and sets the others to 0. That is the same sparsity with no dictionary at all.
#
# ## What you have seen
#
# * A network can keep more features than it has units if they are rarely on together. It pays with interference, and a ReLU with a negative bias keeps the price low. With features that are always on it does
#   what principal components do.
# * The network loses when several features are on at once, but not for every such number: the two error curves cross more than once.
# * A TopK autoencoder finds planted directions from activations alone. Random directions look half right, so look at the null first.
# * On the MLP's first layer a dictionary copies well, and by AUC its latents separate classes less well than the layer's own units. Units that are as sparse come close to the latents by
#   AUC and stay below them by share. Only a part of the latents comes back on another seed.
# * Good reconstruction shows that activations can be compressed. It does not show that the latents are what the network computes with.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#07-more-features-than-units), in the documentation.
#
# **Next:** [08, training phenomena](08_Training_Phenomena.ipynb): what theory says about learning, and whether we can see it.
#
# **Further reading.** N. Elhage et al., "Toy Models of Superposition", *Transformer Circuits Thread* (2022). B. Olshausen and D. Field, "Emergence of simple-cell receptive field properties by learning a
# sparse code for natural images", *Nature* 381 (1996). A. Makhzani and B. Frey, "k-Sparse Autoencoders", arXiv:1312.5663 (2013). T. Bricken et al., "Towards Monosemanticity: Decomposing Language Models With
# Dictionary Learning", *Transformer Circuits Thread* (2023). L. Gao et al., "Scaling and evaluating sparse autoencoders", arXiv:2406.04093 (2024).
