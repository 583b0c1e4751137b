# %% [markdown]
# # More features than units?
#
# *A toy network that stores five things in two numbers, the tool that takes them apart again, and what that tool finds in a real
# network.*
#
# **You will be able to**
#
# * train the toy model of superposition, and say when a network stores more features than it has units, and what that costs;
# * write a sparse autoencoder by hand, and test it first where the truth is known;
# * judge a dictionary of a real layer by controls that it could fail, some of which it does fail.
#
# **Minutes:** 50 to read and run, 45 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) for hooks and
# [03](03_Analyze_Activations.ipynb) for what it means that a unit tells a class.
#
# Before each answer the notebook asks for your guess and keeps it. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Words in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("07")

# %% [markdown]
# ## 1. Five things, two numbers
#
# It would be convenient if each unit of a network stood for one thing. Often it does not: one unit answers to several things that have
# nothing to do with each other. One explanation is *superposition*: the network has more to say than it has units, and lets the meanings
# overlap. In a large network that is hard to test, because nobody knows what the "things" are. So here is a world in which we know, the
# toy model of Elhage and others (2022).
#
# An input x has five *features*. Each is on with probability p, independently of the others, and then has a strength between 0 and 1. The
# network squeezes x into two numbers, h = W x, and must give x back from them: x′ = ReLU(Wᵀh + b). So W has two rows and five columns:
# column i is the **direction** in which feature i is written into the plane, and also the direction in which it is read. Not all features
# are worth the same: errors in the first count fully, those in each next one a tenth less.

# %%
import numpy as np
import torch


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


STEPS = lesson.pick(2000, 1300)


def train_toys(probabilities, features, units, seeds, W=None, steps=STEPS):
    """Trains a network for each probability and seed. W: directions that are given and not learnt."""
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor(probabilities).repeat_interleave(seeds)[:, None, None]
    learnt = W is None
    if learnt:
        W = 0.3 * torch.randn(len(p), units, features, generator=generator)
        W.requires_grad_()
    b = torch.zeros(len(p), 1, features, requires_grad=True)
    importance = 0.9 ** torch.arange(features)
    optimizer = torch.optim.Adam([W, b] if learnt else [b], 0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, 3 * (1 - step / steps))  # towards 0 in the last third
        loss = loss_of(inputs(p, 128, features, generator), W, b, importance).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        final = loss_of(inputs(p, 4000, features, generator), W, b, importance)
    shape = (len(probabilities), seeds)
    return W.detach().unflatten(0, shape), b.detach().unflatten(0, shape), final.unflatten(0, shape).numpy()


# %% [markdown]
# A line through the origin has room for one direction, a plane for two at right angles. So two features can be kept apart without any
# loss. Call a feature *kept* if its column in W is longer than ½. First let every feature be on always (p = 1), then let each be on in
# one case of twenty (p = 0.05). **How many of the five features will a network with two units keep when they are that rare?**

# %%
mine = 2  # your guess
lesson.guess("kept", mine)

# %% tags=["varies"]
probabilities = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
W, b, loss = train_toys(probabilities, features=5, units=2, seeds=5)  # [probability, seed, unit, feature]
kept = (W.norm(dim=2) > 0.5).sum(2).numpy()
for i, p in enumerate(probabilities):
    print(f"p = {p:<5} features kept, five seeds: {kept[i]}")
rare = probabilities.index(0.05)
lesson.reveal("kept", int(np.median(kept[rare])))
assert np.median(kept[0]) == 2
assert np.median(kept[rare]) == 5

# %% [markdown]
# All five, in two numbers. How does it look? Each picture is one network's plane (of five seeds, the one with the lowest loss). A digit
# stands at the end of its feature's column; the cross is the origin. Digits on the cross or close to it were not kept.

# %% tags=["varies"]
best = loss.argmin(1)


def picture(p):
    """The directions of the best network at p."""
    i = probabilities.index(p)
    columns = W[i, best[i]].T.numpy()  # [feature, 2]
    return nm.plots.plane(
        np.concatenate([columns, [[0, 0]]]),
        np.arange(6),
        names=["0", "1", "2", "3", "4", "+"],
        title=f"p = {p}: {kept[i, best[i]]} features kept",
        x="first unit",
        y="second unit",
    )


picture(1.0)

# %% tags=["varies"]
picture(0.3)

# %% tags=["varies"]
picture(0.05)

# %% [markdown]
# *What to see:* dense features: two at right angles, the others given up. Less dense: pairs that face each other on one line. Rare
# features: all five, like the corners of a regular pentagon. Turn a picture, and the loss stays the same: whether a direction falls on an
# axis, so that a *unit* stands for a feature, is up to the seed.
#
# ## 2. Is that good, or just possible?
#
# Any five directions fit into a plane. So two nulls. First: **random directions** of length 1, of which only the biases are learnt.
# Second: the best that a linear method could do, *principal components*. As all features vary alike and the first counts most, that
# means: keep the two most important features exactly and replace the others by their mean. What that costs needs no training; it can be
# written down.

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
    y="error left (1: nothing kept)",
    title="Overlap pays where features are rare",
)

# %% [markdown]
# *What to see:* on the left, where features are always on, the trained networks do what principal components do, and no better. The rarer
# features are, the more they gain. Random directions gain too, but much less: to overlap at all is cheap when features are rare, and
# training finds an arrangement that overlaps little.

# %% tags=["varies"]
gain = loss.mean(1) / linear_loss
lesson.say(f"""Error of the trained networks over that of two principal components, mean of 5 seeds: {gain[0]:.2f} at p = 1,
{gain[rare]:.2f} at p = 0.05. For random directions it is {random_loss[0].mean() / linear_loss[0]:.2f} and
{random_loss[rare].mean() / linear_loss[rare]:.2f}.""")
assert abs(gain[0] - 1) < 0.1
assert gain[rare] < 0.5
assert (loss[rare].mean() < random_loss[rare]).all()

# %% [markdown]
# **Does it hold on another seed, and at another size?** Five seeds were behind each point (thin lines above). Now 20 features in 5 units,
# where there is no picture. In its place one number: the sum of the squared lengths of all columns, over the number of units: about how
# many features share one dimension. It is 1 where each has a dimension to itself.

# %% tags=["varies"]
W20, _, loss20 = train_toys(probabilities, features=20, units=5, seeds=3, steps=lesson.pick(2000, 700))
share5 = W.square().sum((2, 3)).numpy() / 2
share20 = W20.square().sum((2, 3)).numpy() / 5
nm.plots.lines(
    {"5 features in 2 units": (once_in, share5.T), "20 features in 5 units": (once_in, share20.T)},
    marks={"one each": 1.0},
    log_x=True,
    x="a feature is on once in … inputs (1 / p)",
    y="features for each dimension",
    title="The rarer, the more share a dimension",
)

# %% tags=["varies"]
assert (np.abs(share5[0] - 1) < 0.2).all()
assert (np.abs(share20[0] - 1) < 0.2).all()
assert share5[rare].min() > 2
assert share20[rare].min() > 2
lesson.say(f"""At p = 1 all {share5.shape[1] + share20.shape[1]} networks have one feature a dimension, at p = 0.05 between
{min(share5[rare].min(), share20[rare].min()):.1f} and {max(share5[rare].max(), share20[rare].max()):.1f}.""")

# %% [markdown]
# *What to see:* both sizes and all seeds go the same way. There is no null band here: an untrained network may have columns of any
# length. The null of this claim is p = 1.
#
# ## 3. The price: interference
#
# Five directions in a plane can't be at right angles. When feature 0 is on, the others are read too, a little. WᵀW says how much: entry
# (i, j) is what a feature j of strength 1 adds to the reading of i, before the bias and the ReLU.

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
# Read one column. The diagonal is above 1. Two entries are well below 0: the ReLU makes them 0, so they cost nothing. The other two are
# somewhat above 0, and the **negative bias** takes most of them away. What is left is the price. Here is the plane once more, coloured by
# what is read of feature 0: orange where it is read as on, blue where the ReLU silences it.

# %% tags=["varies"]
side = np.linspace(-1.6, 1.6, 81)
plane = torch.tensor(np.stack(np.meshgrid(side, side), -1), dtype=torch.float32)  # [row, col, 2]
nm.plots.plane(
    np.concatenate([V.T.numpy(), [[0, 0]]]),
    np.arange(6),
    names=["0", "1", "2", "3", "4", "+"],
    surface=(side, side, (plane @ V[:, 0] + c[0]).numpy()),
    title="Where feature 0 is read as on",
    x="first unit",
    y="second unit",
)

# %% [markdown]
# *What to see:* the line runs between feature 0 and the rest, with the origin on its blue side. Its two neighbours, if on alone, lie on
# the line or just beyond it. That is what the bend is for: without a ReLU there would be no blue half to hide things in, and overlap
# would not pay (exercise 4 of [00](00_MLP_from_scratch_PyTorch.ipynb) says why).
#
# But if several features are on at once, their vectors add up, and a sum can land anywhere. The network bets that this is rare. **With
# how many features on at once, all of strength 1, does the pentagon become worse than a network that keeps just two features exactly and
# says 0 for the others?** (Errors weighted as in training; all choices of that many features count alike.)

# %%
mine = 5  # your guess
lesson.guess("crowd", mine)

# %% tags=["varies"]
from itertools import combinations


def crowd(size, W, b):
    """The mean weighted error over all ways to have ``size`` of five features on."""
    x = torch.tensor([[float(i in on) for i in range(5)] for on in combinations(range(5), size)])
    return float(loss_of(x[None], W[None], b[None], torch.tensor(importance))[0])


two = torch.eye(5)[:2]  # the directions of a network that keeps features 0 and 1 only
at_once = np.arange(1, 6)
pentagon = [crowd(size, V, c) for size in at_once]
exact = [crowd(size, two, torch.zeros(5)) for size in at_once]
worse = [size for size, a, z in zip(at_once, pentagon, exact, strict=True) if a > z]
lesson.reveal("crowd", int(worse[0]) if worse else "never")
nm.plots.lines(
    {"pentagon": (at_once, pentagon), "two features kept": (at_once, exact)},
    x="features on at once",
    y="weighted squared error",
    title="Superposition is a bet that few are on",
)

# %% tags=["varies"]
lesson.say(f"""*What to see:* with one feature on, the pentagon's error is {pentagon[0] / exact[0]:.2f} times that of the
two kept features; with all five on it is {pentagon[-1] / exact[-1]:.1f} times. At p = 0.05,
{100 * (1 - 0.95**5 - 5 * 0.05 * 0.95**4):.1f} % of the inputs have more than one feature on, so the bet is won.""")
assert pentagon[0] < exact[0]
assert pentagon[-1] > exact[-1]

# %% [markdown]
# ### Exercise 1: how much of a dimension has a feature?
# *Difficulty ●●○○ · 10 minutes*
#
# Elhage and others give feature i the share D_i = |W_i|² / Σ_j (Ŵ_i · W_j)², where W_i is its column and Ŵ_i that column scaled to length
# 1; the sum runs over all j, i too. Write `dimensions(W)`: from W [unit, feature] the shares [feature]. A column of zeros gets 0.

# %% [markdown] tags=["hint"]
# `W / W.norm(dim=0).clamp(min=1e-12)` are the columns at length 1. The transpose of that times W is the table of all Ŵ_i · W_j: square
# it, and sum over j.


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
    found = dimensions(torch.eye(3))
    assert isinstance(found, torch.Tensor) and found.shape == (3,), "three columns should give a tensor of three shares"
    assert torch.allclose(found, torch.ones(3)), (
        f"features at right angles have a dimension each; found {found.tolist()}"
    )
    found = dimensions(torch.tensor([[2.0, -2.0]]))
    assert torch.allclose(found, torch.tensor([0.5, 0.5])), (
        f"two features that face each other on one line share it, half each, however long they are; found {found.tolist()}"
    )
    found = dimensions(torch.tensor([[3.0, 0.0], [0.0, 0.0]]))
    assert not found.isnan().any(), "a column of zeros should get 0, and gets nan"
    assert torch.allclose(found, torch.tensor([1.0, 0.0])), (
        f"one kept feature and one of length 0: found {found.tolist()}"
    )
    turn = 2 * np.pi * torch.arange(5) / 5
    found = dimensions(1.3 * torch.stack([turn.cos(), turn.sin()]))
    assert torch.allclose(found, torch.full((5,), 0.4)), f"five corners share two dimensions; found {found.tolist()}"
    lengths = torch.tensor([[1.0, 2.0]])
    assert torch.allclose(dimensions(lengths), torch.tensor([0.2, 0.8])), (
        f"of columns 1 and 2 on one line the longer should have the larger share, by the squares; found {dimensions(lengths).tolist()}"
    )


# %% [markdown]
# ## 4. Taking it apart again: a sparse autoencoder
#
# In the toy we know the features. In a real network we see only the activations h. Can the directions be found from h alone? They can't
# be read off the units, and principal components are at right angles, of which a plane has two. What helps is that features are *sparse*:
# few are on at a time.
#
# A *TopK sparse autoencoder* (SAE) has many more *latents* than h has units. Its encoder gives each latent a number, only the k largest
# are let through, and the decoder must rebuild h from these few: a sum of k directions out of its *dictionary*. First on planted truth.
# Each example is a sum of two out of 24 random directions, in 16 units. If the method can't find those, it need not be tried on a
# network.

# %%
from neural_microscope.analysis import dictionary, selectivity
from neural_microscope.analysis.dictionary.sae import planted

truth, examples = planted(seed=0)  # directions [24, 16], activations [example, 16]
h = torch.from_numpy(examples.values).float()
print(f"{len(truth)} directions, {tuple(h.shape)} activations")

# %% [markdown]
# By hand it is not much: a matrix down, a matrix up, and between them the choice of the k largest.


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
            down /= down.norm(dim=1, keepdim=True)  # else small strengths and long directions
    return down.detach().numpy()


def recovered(found):
    """For each planted direction the highest cosine with any direction that was found; the mean over all."""
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    return float((truth @ found.T).max(1).mean())


# %% [markdown]
# How well was the truth recovered? For each planted direction take the most similar one in the dictionary, by cosine; 1 is the same. But
# 32 directions in only 16 dimensions are many tries. **What mean cosine do 32 *random* directions reach?**

# %%
mine = 0.1  # your guess
lesson.guess("random", mine)

# %% tags=["varies"]
by_chance = [recovered(nm.statistics.random_directions(32, 16, seed=100 + i)) for i in range(200)]
low, high = np.percentile(by_chance, [2.5, 97.5])
lesson.reveal("random", float(np.mean(by_chance)))

seeds = range(lesson.pick(3, 2))
steps = lesson.pick(1000, 600)
by_hand = [recovered(hand_sae(h, latents=32, k=2, steps=steps, seed=seed)) for seed in seeds]
by_library = [recovered(dictionary.train_sae(examples, 32, 2, steps=steps, seed=seed).W_dec.numpy()) for seed in seeds]
centred = h - h.mean(0)
components = torch.linalg.svd(centred, full_matrices=False).Vh.numpy()
print(f"random directions {low:.2f} to {high:.2f} (95 % of 200 sets)")
print(f"principal components, both signs: {recovered(np.concatenate([components, -components])):.2f}")
print("by hand, each seed:    ", *(f"{value:.2f}" for value in by_hand))
print("the library, each seed:", *(f"{value:.2f}" for value in by_library))
assert min(by_hand + by_library) > high + 0.15

# %% [markdown]
# Random directions look half right. A cosine of 0.5 to a dictionary is therefore no finding at all. Principal components do little
# better: they are at right angles, and what was planted is not. Both autoencoders find what was planted, on each seed. On this easy truth
# ours is as good as the library's, which adds biases and a way to wake latents that have died; a real layer needs both.
#
# Apart from these the library does the same sum. Line by line:

# %% tags=["varies"]
sae = dictionary.train_sae(examples, 32, 2, seed=0)
pre = (h - sae.b_dec) @ sae.W_enc + sae.b_enc
top = pre.topk(2, dim=1)
z = torch.zeros_like(pre).scatter(1, top.indices, top.values.relu())
rebuilt = z @ sae.W_dec + sae.b_dec
assert torch.allclose(rebuilt, sae(h), atol=1e-5)

unexplained = float((h - rebuilt).square().sum() / centred.square().sum())
table = dictionary.evaluate_sae(sae, examples)
assert abs(unexplained - float(table["fvu"])) < 1e-3
print(f"variance unexplained: {unexplained:.3f} by hand, {float(table['fvu']):.3f} by the library; ", end="")
print(f"random dictionaries {float(table['fvu_null_low']):.2f} to {float(table['fvu_null_high']):.2f}")

# %% [markdown]
# ### Exercise 2: the choice of the k largest
# *Difficulty ●●○○ · 10 minutes*
#
# Write `top_k(pre, k)`: from encoder outputs [example, latent] the latents: in each row the k largest values stay where they are if they
# are above 0; everything else is 0.

# %% [markdown] tags=["hint"]
# `pre.topk(k, dim=1)` gives values and their places. `torch.zeros_like(pre).scatter(1, places, values)` puts them back. Where fewer than
# k values are above 0, fewer than k stay.


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
    pre = torch.tensor([[0.5, -9.0, 3.0, 1.0], [-1.0, -2.0, 0.1, -3.0]])
    found = top_k(pre, 2)
    assert isinstance(found, torch.Tensor) and found.shape == pre.shape, "the result should be a tensor as large as pre"
    assert found[0, 1] == 0, "a large negative value stayed: the largest values are meant, not the largest in size"
    assert (found >= 0).all(), "a value below 0 stayed: in the second row only one value is above 0"
    assert found.count_nonzero(dim=1).tolist() == [2, 1], (
        f"nonzero values in each row: {found.count_nonzero(dim=1).tolist()}"
    )
    assert found[0].tolist() == [0.0, 0.0, 3.0, 1.0], (
        f"the first row becomes {found[0].tolist()}: does each value stay in its place"
    )
    assert top_k(pre, 1)[0].tolist() == [0.0, 0.0, 3.0, 0.0], "with k = 1 one value of the first row should stay"


# %% [markdown]
# ## 5. A real layer
#
# Now the first hidden layer of the recorded MLP: 128 units with a ReLU. A dictionary of 256 latents of which 8 are on for an image,
# learnt from training images and judged on test images it never saw.

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
# Eight numbers out of 256 rebuild a layer of 128 units nearly whole, and far better than eight principal components. Is what is left out
# important to the network? Put the rebuilt activations in the layer's place and let the network go on. *Cross-entropy recovered* is 1 if
# it then answers as well as before, and 0 if it does as badly as with the layer's mean in its place. By hand, with a hook:

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
assert not lesson.full or by_hand > 0.95

# %% tags=["varies"]
lesson.say(f"""The copy gives back {by_hand:.1%} of the loss. Before you are impressed: random directions that nothing has
taught give back up to {float(by_library["recovered_null_high"]):.0%}. A layer that is more than wide enough for ten digits
survives rough copies.""")
nm.plots.latent_density(kept)

# %% tags=["varies"]
lesson.say(f"""*What to see:* how often each latent is on. {float(kept["dead_share"]):.0%} of the latents are on for none of
these {len(test):,} images (they are *dead*); most of the others are on for a few images in a hundred. A latent on for
nearly every image would be a kind of bias and no feature.""")

# %% [markdown]
# ## 6. Do the latents mean anything?
#
# So far the dictionary *compresses* well. The hope was for more: that latents would say *one thing each*, more cleanly than units do. For
# MNIST the obvious things are the ten classes. Take for each element the class it answers to best (chosen on one half of the images) and
# ask how well it tells that class from the rest (on the other half): the *AUC* is the chance that an image of the class excites it more
# than another image; 0.5 says nothing.

# %% tags=["varies"]
judged = dictionary.purity(sae, unseen)
auc = {str(basis): float(value) for basis, value in zip(judged["basis"].values, judged["auc"].values, strict=True)}
print(f"mean AUC of the layer's units: {auc['units']:.3f}")


def tells(values, mine):
    """The chance that an image of ``mine`` has a higher value than another image, ties half."""
    own, others = values[mine][:, None], values[~mine]
    return (own > others).mean() + (own == others).mean() / 2


said = unseen["label"].values
order = nm.statistics.canonical_order(said, unseen.values.astype(float))  # whatever order the images come in
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
lesson.reveal("auc", auc["latents"])
print(f"of a random dictionary's latents: {auc['random']:.3f}, of principal components: {auc['components']:.3f}")
assert not lesson.full or auc["latents"] < auc["units"] - 0.1
nm.plots.dictionary_controls(judged)

# %% [markdown]
# *What to see:* (on all of MNIST) on the left, latents are far **below** units, and not much above a random dictionary. On the right, by
# another measure, they are far **above** units. Both come from the same latents.
#
# This is a negative result, and it stays one: by AUC a sparse dictionary of this layer does not beat the layer's own units. But it also
# asks for thought. A latent that is on for 3 % of the images is silent on most images of *its own* class, and for two silent images AUC
# tosses a coin: a sparse element can't have a high AUC, however clean it is. The right-hand measure, the share of an element's activation
# that falls on its class, has the opposite fault: being on for few images already raises it. That is why the random dictionary is *as
# sparse*. And the units are not. So make them: let each image keep only its 8 strongest units, just as the dictionary keeps its 8
# strongest latents. That control is not in the library; a dictionary with the units as its directions gives it.

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
lesson.say(f"""Made as sparse as the latents, units fall to an AUC of {float(by_units["auc"].sel(basis="latents")):.2f}:
{"nearly all" if gap < 0.12 else "much"} of the difference was sparsity. By share they rise to
{float(by_units["share"].sel(basis="latents")):.2f}, and the latents are
{"still above them" if advantage > 0 else "not above them"}, by {advantage:+.2f}. So here is what can be said: when a latent
speaks, it is {"cleaner" if advantage > 0 else "no cleaner"} about a class than a unit cut down to the same few words.
Whoever quoted only one of the two numbers could have claimed either.""")

# %% [markdown]
# ### Does it depend on size and k?
#
# Another objection: perhaps 256 and 8 are a bad choice. So others, with the random dictionary of each as its null.

# %% tags=["varies"]
sizes, ks = (64, 256), lesson.pick((2, 8, 32), (2, 32))
grid = {}
for latents in sizes:
    for k in ks:
        learnt = dictionary.train_sae(acts[:half], latents, k, steps=SAE_STEPS // 2)
        grid[latents, k] = dictionary.purity(learnt, unseen, draws=19, resamples=50)


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
    title="No dictionary here reaches the units" if most < auc["units"] else "Some reach the units",
)

# %% tags=["varies"]
assert not lesson.full or most < auc["units"] + 0.05
ahead = {(n, k): float(grid[n, k]["auc_over_random"].sel(basis="latents")) for n in sizes for k in ks}
lesson.say(f"""*What to see:* the best of the {len(grid)} dictionaries has {most:.2f}, the units have {auc["units"]:.2f}.
Grey are random dictionaries of the two sizes, with intervals over images: they rise with k as well, and in
{sum(gain < 0 for gain in ahead.values())} of {len(grid)} cases lie above the learnt ones. A higher AUC at a larger k comes
mostly from being on more often, whatever the directions.""")

# %% [markdown]
# ### What the latents look like
#
# Numbers aside: the decoder direction of a latent can be carried back to the pixels through the layer's weights, and the images that
# excite it most can be looked at. The eight latents shown are those on for the most images; a choice of the prettiest would prove
# nothing.

# %% tags=["varies"]
weights = model.layers[0].linear.weight.detach().numpy().reshape(width, *test.image_shape)
latents = dictionary.encode(sae, unseen)
order = selectivity.top_examples(latents.rename(latent="unit"), n=8)
busiest = np.argsort(-kept["density"].values, kind="stable")[:8]
nm.plots.dictionary(test.images, order, dictionary.decoder_pictures(sae, weights), latents=busiest.tolist())

# %% [markdown]
# *What to see:* each row is a latent: first the pixels its direction adds (orange) or takes away (blue), then its eight strongest images.
# Many rows hold one digit, often in one handwriting: a slant, a loop. That is finer than a class, which is another reason why a measure
# made of classes may not do a latent justice.
#
# ### Does it come back?
#
# A direction that is really in the network should be found again by another dictionary, with another seed and *other* images. The null:
# the best match among as many random directions with the same covariance as the activations, for directions learnt from one layer all
# lean the same way.

# %% tags=["varies"]
second = dictionary.train_sae(acts[half:], LATENTS, K, seed=1, steps=SAE_STEPS)
again = dictionary.stability(sae, second, acts[: min(half, 5000)], draws=99)
nm.plots.stability(again)

# %% tags=["varies"]
beyond = int((again["cosine_q"] < 0.05).sum())
lesson.say(f"""*What to see:* {beyond} of {LATENTS} directions come back beyond chance, with a mean cosine of
{float(again["mean_cosine"]):.2f} where chance gives up to {float(again["mean_cosine_null_high"]):.2f}. Compare the planted
truth above, where recovery was near 1. A dictionary is partly about the network and partly about its seed; a latent that
does not come back should not be given a name.""")
assert not lesson.full or float(again["mean_cosine_p"]) < 0.05

# %% [markdown]
# **Does it hold on another seed?** The whole of section 6 on another network.

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
# Any data can be compressed a little. Is there more to compress in this layer than in one whose units have nothing to do with each other?
# Write `apart(acts, seed)`: a copy of the activations (a numpy array [example, unit]) in which each unit's values are shuffled over the
# images, each unit by itself. Every unit keeps its values; what they had to do with each other is gone.

# %% [markdown] tags=["hint"]
# `np.random.default_rng(seed).permuted(acts, axis=0)` shuffles each column on its own. `rng.permutation(acts)` moves whole rows, which
# changes nothing here.


# %% tags=["stub"]
def apart(acts, seed):
    raise NotImplementedError("return an array of the same shape, each column in an order of its own")


# %% tags=["solution"]
def apart(acts, seed):
    return np.random.default_rng(seed).permuted(acts, axis=0)


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    rng = np.random.default_rng(5)
    common = rng.standard_normal((2000, 1))
    linked = common + 0.1 * rng.standard_normal((2000, 4))
    before = linked.copy()
    found = apart(linked, 0)
    assert isinstance(found, np.ndarray) and found.shape == linked.shape, (
        "the result should be an array as large as acts"
    )
    assert np.array_equal(linked, before), "acts itself was changed: work on a copy"
    assert not np.array_equal(found, linked), "nothing was moved"
    assert np.allclose(np.sort(found, axis=0), np.sort(linked, axis=0)), (
        "a unit has other values than before: shuffle over the images, within each unit"
    )
    strongest = np.abs(np.corrcoef(found.T) - np.eye(4)).max()
    assert strongest < 0.2, f"units still correlate, up to {strongest:.2f}: are all moved in the same order"
    assert not np.array_equal(found, apart(linked, 1)), "another seed should give another order"
    shuffled = acts.copy(data=apart(acts.values, 0))
    unlinked = dictionary.train_sae(shuffled[:half], LATENTS, K, steps=SAE_STEPS // 2)
    fvu = float(dictionary.evaluate_sae(unlinked, unseen.copy(data=apart(unseen.values, 1)), draws=1)["fvu"])
    print(f"variance unexplained: {float(kept['fvu']):.2f} in the layer, {fvu:.2f} with its units apart")


# %% [markdown]
# Solved, the check prints the answer. What the dictionary compresses is that units go together, which is true of any layer that looks at
# digits, the untrained one too.
#
# ### Exercise 4: how much is recovered?
# *Difficulty ●●●● · 15 minutes*
#
# Write `recovered_by(replacement, model, layer, images, labels)`: the cross-entropy recovered when the function `replacement` is put on
# the layer's activations, with **zero** activations as the floor. It should work for any model and layer of this library.

# %% [markdown] tags=["hint"]
# Three losses: as it is, with the replacement, with zeros. `model.hooks([(layer, hook)])` takes hook functions of two arguments, the
# tensor and the hook. Then (floor − copied) / (floor − clean).


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
    def score(replacement, at=layer):
        return recovered_by(replacement, model, at, images, labels)

    same, nothing = score(lambda tensor: tensor), score(torch.zeros_like)
    assert isinstance(same, float), f"it gives a {type(same).__name__}; one float is asked for"
    assert abs(same - 1) < 1e-6, f"activations left as they are should give 1, not {same:.3f}"
    assert abs(nothing) < 1e-6, f"zeros should give 0, not {nothing:.3f}"
    expected = float(kept["recovered"].sel(floor="zero"))
    assert abs(score(sae.forward) - expected) < 1e-3, (
        f"for the dictionary it gives {score(sae.forward):.4f}, and evaluate_sae has another value: is the floor that of zeros, not of the mean"
    )
    later = score(lambda tensor: 0.5 * tensor, at="layers.1.hook_post")
    with torch.no_grad():
        _, cache = model.run_with_cache(images)
        deep = cache["layers.1.hook_post"]
        a, z, f = (float(torch.nn.functional.cross_entropy(model.output(s * deep), labels)) for s in (1.0, 0.5, 0.0))
    assert abs(later - (f - z) / (f - a)) < 1e-3, (
        "at another layer it gives another value than it should: does it use the layer it is given"
    )
    print(f"the 8 strongest units of each image, the rest 0: {score(sparse_units(K).forward):.2f} recovered")


# %% [markdown]
# Solved, its last line is a control too: keep each image's eight strongest *units* and throw the other 120 away. That is the same
# sparsity with no dictionary at all.
#
# ## What you have seen
#
# * A network can keep more features than it has units if they are rarely on together. It pays with interference, and a ReLU with a
#   negative bias keeps the price low. With dense features it does what principal components do.
# * A TopK autoencoder finds planted directions from activations alone. Random directions get half way there by chance, so the chance
#   level comes first.
# * On the MLP's first layer a dictionary copies very well, and by AUC its latents tell classes much worse than the layer's own units.
#   Most of that is sparsity itself: with more latents on the AUC rises, and a random dictionary's as well. Beside units made as sparse,
#   latents speak rarely and more cleanly. Only part of them comes back on another seed.
# * Good reconstruction shows that activations can be compressed. It does not show that the latents are what the network computes with.
#
# **Next:** [08, training phenomena](08_Training_Phenomena.ipynb): what theory says about learning, and whether it can be seen.
#
# **Further reading.** N. Elhage et al., "Toy Models of Superposition", *Transformer Circuits Thread* (2022). B. Olshausen and D. Field,
# "Emergence of simple-cell receptive field properties by learning a sparse code for natural images", *Nature* 381 (1996). A. Makhzani and
# B. Frey, "k-Sparse Autoencoders", arXiv:1312.5663 (2013). T. Bricken et al., "Towards Monosemanticity: Decomposing Language Models With
# Dictionary Learning", *Transformer Circuits Thread* (2023). L. Gao et al., "Scaling and evaluating sparse autoencoders",
# arXiv:2406.04093 (2024).
