# %% [markdown]
# # What has each unit become?
#
# *Principal components, t-SNE, selectivity, top images and drift, each beside what it would show where there is nothing to see.*
#
# **You will be able to**
#
# * apply PCA to a layer's activations, by hand and over time, and say how much of the picture is the data's own;
# * ask what a unit prefers, without fooling yourself: choose on one half of the images, judge on the other;
# * tell a drift of the representation from a change of its axes;
# * take a published finding, rebuild its network, and look again.
#
# **Minutes:** 60 to read and run, 45 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) and [02](02_Train_on_MNIST_and_Log.ipynb).
#
# Many of the terms in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("03")

# %%
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from neural_microscope.analysis import causal, geometry, selectivity, similarity

training = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), training)
others = [lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(training, seed=seed)) for seed in (1, 2, 3, 4)]
first, last = "layers.0.hook_post", "layers.1.hook_post"
lives = {name: run.activations(name) for name in (first, last)}  # each [snapshot, example, unit]
trained, untrained = lives[last][-1], lives[last][0]
print(
    f"{last}: {dict(zip(lives[last].dims, lives[last].shape, strict=True))}; test accuracy {float(run.log['test_accuracy'][-1]):.3f}"
)

# %% [markdown]
# ## 1. A layer as a cloud of points
#
# For each image, a layer of 64 units is a point in a space of 64 dimensions. Nobody sees 64 dimensions, so one looks along the two directions in which the cloud is widest: its first two *principal
# components*. By hand: take away the mean, and ask the singular value decomposition.

# %%
X = trained.values - trained.values.mean(0)
U, S, directions = np.linalg.svd(X, full_matrices=False)
scores = X @ directions[:2].T  # [example, 2]
explained = S**2 / (S**2).sum()

table = geometry.pca(trained, components=2)
assert np.allclose(explained[:2], table["explained"], atol=1e-4)
for k in range(2):  # a direction has no sign: either way along it is the same line
    found = table["score"].values.reshape(-1, 2)[:, k]
    assert np.allclose(np.abs(found), np.abs(scores[:, k]), atol=1e-2)

# %% [markdown]
# Two numbers of 64 are kept. **What share of the layer's variance do they hold?**

# %%
mine = 0.7  # your guess
lesson.guess("two components", mine)

# %% tags=["varies"]
lesson.reveal("two components", round(float(explained[:2].sum()), 2))
wide = geometry.pca(trained, components=16)
lesson.say(f"""The two widest directions hold {explained[:2].sum():.0%}, so the picture below leaves out {1 - explained[:2].sum():.0%} of what is there. Is even that much more than chance? Shuffle each unit's values over the images: every unit keeps
its spread, and nothing is left in common. Then the first would hold up to {float(wide["explained_by_chance"][0]):.1%} in 95 % of the shuffles; the first {int(wide["above_chance"])} components each exceed such a limit of their own.""")
nm.plots.explained_variance({last: wide})

# %% [markdown]
# *What to see:* the black line falls below the grey one, which is what shuffled units give, after a handful of components.
#
# ## 2. The cloud over time
#
# Now the whole life, on one pair of axes a layer. **How much of the order in this picture will be there before any training?** As a share of the variance in the picture that lies between the digits
# (1 would be ten separate points, 0 no order):

# %%
mine = 0.0  # your guess
lesson.guess("order before", mine)

# %% tags=["varies"]
at_the_end = {name: geometry.pca(acts) for name, acts in lives.items()}
own_axes = {name: geometry.pca(acts[[0]]) for name, acts in lives.items()}
between = {
    when: float(geometry.between_classes(t[last])[-1]) for when, t in (("trained", at_the_end), ("untrained", own_axes))
}
chance = (lesson.data.classes - 1) / (len(run.probe) - 1)
lesson.reveal("order before", round(between["untrained"], 2))
lesson.say(f"""Trained, {between["trained"]:.0%} of the variance in the plane lies between the digits; untrained, given its own best axes, {between["untrained"]:.0%}; for
random labels it would be about {chance:.1%} (n = {len(run.probe):,} images).""")
assert not lesson.full or between["trained"] > between["untrained"] > 0.2
steps = [
    0,
    *(int(np.searchsorted(run.steps, share * run.steps[-1])) for share in (0.005, 0.02, 0.1)),
    len(run.steps) - 1,
]
nm.plots.pca_over_time(at_the_end, own_axes, steps)

# %% [markdown]
# *What to see:* the first column is the untrained network on its own best axes. It is no formless cloud: images of one digit look alike, and most networks keep some of that. What
# learning adds is the difference between that order and the last column's. (The small dot beside it is the same untrained network on the *final* axes and scale: it is not small because there is nothing in it, but
# because activations grow.)
#
# ## 3. t-SNE: beautiful, and to be doubted
#
# *t-SNE* lays points out so that neighbours stay neighbours. It draws islands, and it draws them in noise too. Hence two questions: are neighbours in the layout neighbours in the layer
# (*trustworthiness*, 1 is perfect), and does another seed draw the same?

# %% tags=["varies"]
few = run.probe.balanced(lesson.pick(500, 150))
layers = nm.activations(run.model(), few)
layout = geometry.embed(layers[last], seeds=(0, 1))
lesson.say(f"""Trustworthiness {float(layout["trustworthiness"][0]):.2f} (points dealt out at random: {float(layout["trustworthiness_null_high"][0]):.2f}). Of an image's ten neighbours in one layout,
{float(layout["agreement"][0, 1]):.0%} are its neighbours in the other.""")
nm.plots.embedding(layout)

# %% [markdown]
# *What to see:* the same islands twice, in other places. Where they lie, how large they are, and how far apart, means nothing; of the neighbourhoods between islands, only what comes back with another seed. The line below says
# how many of an image's nearest neighbours in the layer are kept as neighbours in the plane.
#
# A picture of islands is no number. The *silhouette* is one (how much nearer an image is to its own class than to the next, −1 to 1), and the share of an image's ten nearest neighbours that are of its digit
# is another:

# %% tags=["varies"]
together = geometry.clusters(lives[last], at=[0, -1])
for when, i in (("untrained", 0), ("trained", 1)):
    row = together.isel(snapshot=i)
    print(
        f"{when:10} silhouette {float(row['silhouette']):+.2f} (shuffled labels {float(row['silhouette_null_low']):+.2f} to {float(row['silhouette_null_high']):+.2f});"
        f"  neighbours of the same digit {float(row['purity']):.0%} (shuffled {float(row['purity_null_high']):.0%} at most)"
    )
assert not lesson.full or float(together["purity"][0]) > 0.5

# %% [markdown]
# On all of MNIST more than half of the neighbours are right *before* training. Against shuffled labels that would be a triumph.
#
# ### Exercise 1: neighbours of the same digit
# *Difficulty ●●○○ · 10 minutes*
#
# Write `purity(x, labels, k)`: the share of the `k` nearest neighbours (ordinary distance, the point itself left out) that have the point's label, averaged over all points. `x` is an array [example, unit].

# %% [markdown] tags=["hint"]
# All squared distances at once: `((x[:, None] - x[None]) ** 2).sum(-1)`. Put infinity on the diagonal, and `argsort` each row.


# %% tags=["stub"]
def purity(x, labels, k):
    raise NotImplementedError("return one number between 0 and 1")


# %% tags=["solution"]
def purity(x, labels, k):
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    near = distance.argsort(1)[:, :k]
    return float((labels[near] == labels[:, None]).mean())


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    x = np.array([[0.0, 0.0], [0.0, 1.0], [5.0, 5.0], [5.0, 6.0], [0.0, 2.5]])
    found = purity(x, np.array([0, 0, 1, 1, 1]), 1)
    assert found is not None, "nothing came back"
    assert found != 1.0, "every point is its own nearest neighbour: leave it out"
    assert abs(found - 4 / 5) < 1e-9, (
        f"of five planted points four have a nearest neighbour of their own label, so 0.8, not {found}"
    )
    assert abs(purity(x, np.array([0, 0, 1, 1, 0]), 2) - 0.8) < 1e-9, (
        "with two neighbours each, 8 of the 10 have the point's label"
    )


# %% [markdown]
# ## 4. Which digit does a unit prefer?
#
# *Class selectivity* (Morcos et al. 2018): of each unit, take the mean for its favourite class and the mean of the other classes' means; their difference over their sum is 0 for a unit without preference and 1 for
# one that answers to nothing else. By hand, and there is a trap in it, so look twice:

# %%
means = trained.groupby("label").mean().values  # [class, unit]
favourite = means.argmax(0)
top = means.max(0)
rest = (means.sum(0) - top) / (len(means) - 1)
by_hand = (top - rest) / (top + rest + 1e-3)
library = selectivity.selectivity_by_class(trained).max("class")
assert np.allclose(by_hand, library, atol=1e-6, equal_nan=True)

# %% [markdown]
# The trap: the class was *chosen* because it came out highest on these images, and then *judged* on the same images. Take labels in random order, so that there is nothing to find, on 200 images. **What selectivity does the
# average unit have then?**

# %%
mine = 0.0  # your guess
lesson.guess("nothing", mine)


# %% tags=["varies"]
def chosen_and_judged(acts, choose, judge):
    """Selectivity of each unit for the class that is highest on the images ``choose``, measured on the images ``judge``."""
    chosen = acts[choose].groupby("label").mean().values.argmax(0)
    means = acts[judge].groupby("label").mean().values
    top = means[chosen, np.arange(means.shape[1])]
    rest = (means.sum(0) - top) / (len(means) - 1)
    return (top - rest) / (top + rest + 1e-3)


rng = np.random.default_rng(0)
small = trained[:200] if len(trained) >= 200 else trained
small = small[:, (small > 0).mean("example").values > 0.05]
same, split = [], []
for _ in range(50):
    nothing = small.assign_coords(label=("example", rng.permutation(small.label.values)))
    a, b = nm.statistics.halves(nothing.label.values, seed=0)
    everything = np.arange(len(nothing))
    same.append(chosen_and_judged(nothing, everything, everything).mean())
    split.append(chosen_and_judged(nothing, a, b).mean())
lesson.reveal("nothing", round(float(np.mean(same)), 2))
lesson.say(f"""Chosen and judged on the same {len(small)} images: {np.mean(same):.2f}. Chosen on one half, judged on the other: {np.mean(split):+.2f}. (50 random orders of the labels.) The first is a
selectivity made of nothing.""")
assert np.mean(same) > 0.05
assert abs(np.mean(split)) < 0.05

# %% [markdown]
# The library's `class_selectivity` always splits. It also *gates*: a unit that fires for hardly any image gets no selectivity, because the few images decide everything. Here is each unit's selectivity beside what
# cutting the unit out costs, with what shuffled labels give in grey, and the untrained network's units as grey marks:

# %% tags=["varies"]
of_units = selectivity.class_selectivity(lives[last])
of_untrained = selectivity.class_selectivity(untrained)
effects = causal.ablate_all(run.model(), run.probe, last)
n_trained, n_untrained = (int((t["selectivity_q"] < 0.05).sum()) for t in (of_units, of_untrained))
rho, low, high = nm.statistics.spearman(of_units["selectivity"].values, effects["loss_increase"].values)
lesson.say(f"""{n_trained} of {trained.sizes["unit"]} units prefer a digit beyond shuffled labels (false-discovery rate 5 %). Of the *untrained* network's units {n_untrained} do. The mean selectivity
is {float(of_units["selectivity"].mean()):.2f} against {float(of_untrained["selectivity"].mean()):.2f}: that difference is what was learnt. And the rank correlation of selectivity with the loss that cutting out adds is
{rho:+.2f} (95 % interval over units {low:+.2f} to {high:+.2f}).""")
assert not lesson.full or n_untrained > 30
nm.plots.selectivity(of_units, effects, of_untrained)

# %% [markdown]
# *What to see:* to the right the units that prefer one digit, upwards those that cost accuracy when cut out; each is drawn as the digit it prefers, and the black numbers name the costliest units. Nothing shows that the two go together: being selective is one
# thing and being needed another. [Notebook
# 04](04_Causal_Interventions.ipynb) takes that up.
#
# ## 5. Curves and pictures of single units
#
# One favourite class hides much: of a unit that answers to 4 *and* 9 it is only one of two. The whole *tuning curve* shows it:

# %% tags=["varies"]
curves = selectivity.tuning(trained)
nm.plots.tuning(curves, selectivity.tuning(untrained))

# %% [markdown]
# *What to see:* the eight units with most variance between the digits. Digits far above the grey band excite the unit beyond chance; most units answer to several. The grey line is the same unit before training, each line scaled to its own
# highest point.
#
# And the images themselves: those that excite a unit most. Only looking at the strongest is another trap, for it shows a unit at its most extreme. So each unit also gets images from the middle
# and the low end of what it does when it is on.

# %% tags=["varies"]
ranked = np.argsort(-np.nan_to_num(of_units["selectivity"].values, nan=-1))
shown = [int(unit) for unit in (*ranked[:3], *ranked[len(ranked) // 2 : len(ranked) // 2 + 3])]
strips = selectivity.quantile_examples(trained)
nm.plots.quantile_strips(run.probe.images, strips, units=shown)

# %% [markdown]
# *What to see:* the three most selective units above, three middling ones below. From left to right, from the images that excite a unit most to those that hardly do; the small numbers are activations. A unit that looks like a "detector" on its strongest images is often a mixture
# two columns to the right.
#
# **Before you look at one:** take the most selective unit. **What share of the images on which it is on are of its favourite digit?**

# %%
mine = 0.9  # your guess
lesson.guess("detector", mine)

# %% tags=["varies"]
unit = shown[0]
on = trained[:, unit].values > 0
digit = int(of_units["preferred"][unit])
share = float((trained.label.values[on] == digit).mean())
base = float((trained.label.values == digit).mean())
strong = trained[:, unit].values > trained[:, unit].values.max() / 2
lesson.reveal("detector", round(share, 2))
lesson.say(f"""It is on for {on.sum()} of {len(on):,} images, and {share:.0%} of those show a {digit} (by chance {base:.0%}). It is also on for {(~(trained.label.values[on] == digit)).sum()} images of other digits. Above half of its highest
activation it is on for {int(strong.sum())} images, of which {float((trained.label.values[strong] == digit).mean()):.0%} show a {digit}. Strong and weak activations of one unit can mean different things; its strongest images show only the first.""")

# %% [markdown]
# ### Exercise 2: precision and recall
# *Difficulty ●●○○ · 10 minutes*
#
# Write `as_detector(activation, labels, digit, threshold)`: treat "activation above threshold" as an alarm for the digit, and return `(precision, recall)`: which share of the alarms is right, and which share of the digit's images raises
# one. Without any alarm, precision is NaN.

# %% [markdown] tags=["hint"]
# `alarm = activation > threshold`; both numbers divide the count of `alarm & (labels == digit)`, by different things.


# %% tags=["stub"]
def as_detector(activation, labels, digit, threshold):
    raise NotImplementedError("return (precision, recall), two shares")


# %% tags=["solution"]
def as_detector(activation, labels, digit, threshold):
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    activation, labels = np.array([3.0, 2.0, 1.0, 0.0, 0.0]), np.array([7, 7, 1, 7, 1])
    found = as_detector(activation, labels, 7, 0.5)
    assert found is not None and len(found) == 2, "two numbers should come back"
    assert abs(found[0] - 2 / 3) < 1e-9, f"three alarms, two of them for a 7: precision 0.667, not {found[0]:.3f}"
    assert abs(found[1] - 2 / 3) < 1e-9, f"three 7s, two of them raise an alarm: recall 0.667, not {found[1]:.3f}"
    assert tuple(as_detector(activation, labels, 7, 1.0)) == (1.0, 2 / 3), (
        "at a threshold of 1 the activation of exactly 1 is not above it"
    )
    assert tuple(as_detector(activation, labels, 7, 1.5)) == (1.0, 2 / 3), (
        "at a threshold of 1.5 the two alarms are both right"
    )
    assert np.isnan(as_detector(activation, labels, 7, 9.0)[0]), "without an alarm precision is not a number"


# %% [markdown]
# ## 6. Since when?
#
# With the whole life at hand one can ask when a unit found its digit, and whether it ever changed its mind.

# %% tags=["varies"]
story = selectivity.over_time(lives[last])
since = story["since"].values
known = np.isfinite(since)
lesson.say(f"""{known.sum()} of {len(since)} units end with a class beyond chance. Half of them have held it since step {np.median(since[known]):,.0f} of {run.steps[-1]:,};
{int((story["changes"].values > 0).sum())} units changed their class at least once on the way.""")
nm.plots.selectivity_over_time(story)

# %% [markdown]
# *What to see:* a row for each unit, in the colour of the digit it prefers at each moment, faint where that is not beyond chance. Colours are there from the first column on, and many change
# in the middle: what a random unit happened to prefer is seldom what it ends with.
#
# ## 7. Drift
#
# A representation moves while it is learnt. But a layer whose axes merely turn says the same in another language; what matters is whether other *images* become alike. The library splits the
# movement exactly: shift of the mean, scaling, rotation, and *function*, the part that no rotation and scaling takes back.
#
# By hand, the simplest kind of drift: how much does each unit still answer like itself? The correlation of its activations at one snapshot with its own at the end.

# %%
half = len(run.steps) // 2
then, now = lives[last][half].values, lives[last][-1].values
alive = (then.std(0) > 0) & (now.std(0) > 0)
by_hand = [np.corrcoef(then[:, j], now[:, j])[0, 1] for j in np.flatnonzero(alive)]
by_unit = similarity.unit_drift(lives[last])
assert np.allclose(by_hand, by_unit["correlation"][half].values[alive], atol=1e-4)

# %% [markdown]
# **From the end of the first epoch to the end of training: what is the correlation of the median unit with its later self?**

# %%
mine = 0.8  # your guess
lesson.guess("itself", mine)

# %% tags=["varies"]
epoch = int(np.argmin(np.abs(lives[last]["epoch"].values - 1)))
after_one = float(np.nanmedian(by_unit["correlation"][epoch]))
at_start = float(np.nanmedian(by_unit["correlation"][0]))
lesson.reveal("itself", round(after_one, 2))
lesson.say(f"""After one epoch the median unit has a correlation of {after_one:.2f} with what it will be; before training {at_start:.2f}. Another unit of the same layer reaches
{float(np.nanmedian(by_unit["correlation_null_high"][epoch])):.2f} (97.5 % of them are below): that is the chance level here.""")
assert not lesson.full or after_one > at_start
nm.plots.unit_drift(by_unit)

# %% [markdown]
# *What to see:* each row is a unit, orange where it answers as it will at the end, grey where no more than another unit would. On all of MNIST most units are told from the others within the
# first epoch, though many settle on their final digit only later (section 6).

# %% tags=["varies"]
moved = similarity.drift(lives[last])
lesson.say(f"""From the untrained network to the end {float(moved["function"][0]):.0%} of the layer's variance has changed in function; from the end of the first epoch, {float(moved["function"][epoch]):.0%}. On these images a layer that stands still gives
exactly 0, and one that has nothing in common with its end {float(moved["function_null_low"][epoch]):.0%} or more.""")
nm.plots.drift(moved)

# %% [markdown]
# *What to see:* how far the layer is from its final self, on the left in shares: *change of shape* is what was called function, above it what a rotation mends. In the middle two measures of likeness over time (CKA is
# made by hand in [notebook 05](05_CNN_vs_MLP.ipynb)), on the right how far the five leading directions have still to turn. All end at 0, or at 1, by construction.
#
# ## 8. Does it hold on another seed?
#
# All of the above is one network. A new seed gives nearly the same share of right neighbours. But does it give the same *units*? Match each unit of this
# network with the unit of another whose activations correlate most with its own, and ask whether they do so more than the axes of a randomly rotated layer,
# given the zeros and the skew that any ReLU unit has, and more than the units of one network do among themselves.

# %% tags=["varies"]
numbers = [float(geometry.clusters(one.activations(last)[[-1]], draws=1)["purity"][0]) for one in (run, *others)]
mean, low, high = nm.statistics.over_seeds(np.array(numbers))
lesson.say(
    f"Neighbours of the same digit, over {len(numbers)} seeds: {mean:.1%} (95 % interval {low:.1%} to {high:.1%})."
)
found_again = {}
for name in (first, last):
    table = similarity.replication([one.activations(name)[-1] for one in (run, *others)], draws=lesson.pick(400, 100))
    found_again[name] = float((table["replicated"] / table["of"]).mean())
lesson.say(
    f"""A unit of {first} is found again in {found_again[first]:.0%} of the other networks; one of {last} in {found_again[last]:.0%}, where false alarms alone would give up to 5 %."""
)
assert not lesson.full or max(found_again.values()) < 0.2

# %% [markdown]
# On all of MNIST hardly any unit is shown to be found again. Most have a counterpart in the other network that correlates with them, but are not shown to be more alike than units of one network are. *Statements about "unit 14" of a layer are statements about one seed*; those about the
# layer as a whole can be more.
#
# ### Exercise 3: a null of your own
# *Difficulty ●●●○ · 15 minutes*
#
# Two networks, the same images. A unit of `a` is matched with the unit of `b` it correlates with most. Write `best_match(a, b)`, the highest correlation of each unit of `a` with any unit of `b` (arrays [example, unit]), and
# `by_chance(a, b, seed)`, the same after the images of `b` have been put in random order.

# %% [markdown] tags=["hint"]
# Standardise the columns of both (mean 0, spread 1); then `a.T @ b / len(a)` holds all correlations. A unit that never changes has spread 0: set its correlations to 0.


# %% tags=["stub"]
def best_match(a, b):
    raise NotImplementedError("return one correlation for each unit of a")


def by_chance(a, b, seed):
    raise NotImplementedError("return the same with b's images in random order")


# %% tags=["solution"]
def best_match(a, b):
    def standard(x):
        spread = x.std(0)
        return (x - x.mean(0)) / np.where(spread > 0, spread, np.inf)

    return (standard(a).T @ standard(b) / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(400, 5))
    b = np.concatenate(
        [3 * a[:, ::-1] + 1, np.ones((400, 1))], 1
    )  # a's units in another order and scale, and a dead one
    found = best_match(a, b)
    assert found is not None and found.shape == (5,), "five units of a, so five numbers"
    assert np.isfinite(found).all(), "a unit that never changes makes NaN: what is its spread"
    assert np.allclose(found, 1), (
        f"each unit of a is in b, scaled and in another place: 1 for all five, not {np.round(found, 2)}"
    )
    against = best_match(np.concatenate([a, -a.sum(1, keepdims=True)], 1), a)[5]
    assert against < 0.3, (
        f"a unit that is off when the others are on matches none of them, and {against:.2f} came: the sign counts"
    )
    chance = by_chance(a, b, seed=0)
    assert chance.max() < 0.3, f"with b's images in random order nothing should match; {chance.max():.2f} came"
    assert (by_chance(a, a, 0) != by_chance(a, a, 1)).any(), "another seed should give another order"


# %% [markdown]
# Try it on `trained.values` and another run's layer. Nearly every living unit beats shuffled images by far; try untrained networks as well. That null is too weak: it asks whether the two networks saw the same images. `match_units`
# compares with a rotated basis whose axes are given the values of real units by rank, which asks whether there are *units*, and with the matches within one network.
#
# ## 9. A published network, looked at again
#
# This project grew from two notebooks by Erik Holmes, [interpreting_mnist](https://github.com/eriktholmes/interpreting_mnist), who trained one small network and looked into it with open curiosity.
# Seed, batches and settings are known, so the network can be rebuilt to the digit: 784–32–16–10, plain gradient descent.

# %%
height, width = lesson.data.image_shape
sizes = (height * width * 32, 32, 32 * 16, 16, 16 * lesson.data.classes, lesson.data.classes)
n_train = len(lesson.data.train)


def original_order(epoch):
    """The batches of an epoch as that notebook's loader drew them: from the generator that had drawn the weights before."""
    generator = torch.Generator().manual_seed(31416)
    for size in sizes:
        torch.empty(size).uniform_(generator=generator)
    draws = torch.stack([torch.empty((), dtype=torch.int64).random_(generator=generator) for _ in range(2 * epoch + 2)])
    return torch.randperm(n_train, generator=torch.Generator().manual_seed(int(draws[-1]))).split(64)


slow = nm.TrainConfig(epochs=20, batch_size=64, optimizer="sgd", learning_rate=0.01, seed=31416)
original = lesson.run("original", nm.MLPConfig(hidden=(32, 16)), slow, sampler=original_order)
model = original.model()
acts = nm.activations(model, lesson.data.test)[last]

# %% tags=["varies"]
result = nm.evaluate(model, lesson.data.test)
n_steps = -(-n_train // 64)
weights = [64] * (n_steps - 1) + [n_train - 64 * (n_steps - 1)]  # the last batch is smaller
loss_of_first_epoch = float(np.average(original.training["loss"][:n_steps], weights=weights))
lesson.say(
    f"Published: test accuracy 94.80 %, loss of the first epoch 1.7227. Here: {result.accuracy:.2%} and {loss_of_first_epoch:.4f}."
)
assert not lesson.full or (abs(result.accuracy - 0.9480) < 0.0025 and abs(loss_of_first_epoch - 1.7227) < 0.001)

# %% [markdown]
# Its most selective unit for the digit 2 has a selectivity near 0.9. **How many of the test images change their answer when that unit is cut out?**

# %%
mine = 300  # your guess
lesson.guess("published", mine)

# %% tags=["varies"]
by_class = selectivity.selectivity_by_class(acts)
star = int(by_class.sel({"class": 2}).argmax("unit"))
with model.hooks([(last, nm.interventions.zero(unit=star))]):
    without = nm.evaluate(model, lesson.data.test)
changed = int((without.predictions != result.predictions).sum())
density = float((acts[:, star] > 0).mean())
lesson.reveal("published", changed)
lesson.say(f"""Unit {star} has a selectivity of {float(by_class.sel({"class": 2})[star]):.2f} for the 2, and is on for {density:.1%} of the images. Cutting it out changes {changed} of {len(acts):,} answers. So its list for the 2 is led by a unit that
hardly ever speaks; hence the gate at 1 %.""")
assert not lesson.full or (density < 0.01 and changed <= 20)

# %% [markdown]
# A second finding, the "mean gradient of the true logit" at the last hidden layer, you have met in [01](01_MLP_for_Interpretability.ipynb): it is the row of output weights and needs no data. A third, that activations
# *drift* from epoch to epoch, was drawn on another batch each time. How much of such a drift is only the batch?

# %% tags=["varies"]
life = original.activations(last)
epochs = life[np.flatnonzero(life["epoch"].values % 1 == 0)]
moves = np.abs(np.diff(epochs.values.mean(1), axis=0))[len(epochs) // 2 :].mean(0)  # [unit], on fixed images
batches = np.array(
    [acts.values[50 * i : 50 * (i + 1)].mean(0) for i in range(min(20, len(acts) // 50))]
)  # at the end, where nothing moves
busiest = int(acts.mean("example").argmax("unit"))
lesson.say(f"""Its most active unit moves by {moves[busiest]:.2f} from one epoch to the next, on fixed images, in the second half of training. Between batches of 50 images at the last epoch, where nothing moves at all, its mean has
a standard deviation of {batches[:, busiest].std():.2f}. For this unit, a curve drawn from single batches shows mostly the batches.""")
assert not lesson.full or batches[:, busiest].std() > 2 * moves[busiest]

# %% [markdown]
# None of this makes light of those notebooks: the questions were the right ones, and they were published with enough detail to be asked again. The [whole list](../docs/original.md), experiment by experiment, is in the documents.
#
# ### Exercise 4: gate it yourself
# *Difficulty ●●○○ · 10 minutes*
#
# Write `gated_top(acts, digit, least, n)`: the `n` most selective units for a digit (by `selectivity.selectivity_by_class`), leaving out units that are above 0 for less than a share `least` of the images. A list of unit numbers, most selective first.

# %% [markdown] tags=["hint"]
# Sort all units by selectivity, then leave out those that are on too seldom, and only then take the first n. `.sel({"class": digit})` takes one class.


# %% tags=["stub"]
def gated_top(acts, digit, least, n):
    raise NotImplementedError("return a list of unit numbers, most selective first")


# %% tags=["solution"]
def gated_top(acts, digit, least, n):
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    order = [int(unit) for unit in np.argsort(-value, kind="stable") if on[unit] >= least]
    return order[:n]


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    values = np.zeros((100, 3))
    labels = np.arange(100) % 10
    values[0, 0] = 99.0  # on for one image, a 0, and strongly
    values[labels == 0, 1] = 1.0  # on for every 0
    values[labels <= 1, 2] = 1.0  # on for every 0 and every 1
    planted = xr.DataArray(values, dims=("example", "unit"), coords={"label": ("example", labels)})
    found = gated_top(planted, 0, 0.0, 3)
    assert found is not None, "nothing came back"
    assert found in ([0, 1, 2], [1, 0, 2]), (
        f"without a gate the unit that answers 0 and 1 alike is the least selective; {found} came"
    )
    assert gated_top(planted, 0, 0.05, 3) == [1, 2], (
        "unit 0 is on for 1 % of the images only: with a gate at 5 % it is out, and two are left"
    )


# %% [markdown]
# ## What you have seen
#
# * Two principal components hold part of a layer. Much of the order in them is there before training.
# * t-SNE's islands are to be trusted as far as another seed and the neighbours agree.
# * Choosing and judging on the same images makes selectivity out of nothing. Shuffled labels are a weak null, the untrained network a strong one.
# * A unit's strongest images flatter it. Units find themselves early. Those of a second layer do not come back on another seed.
# * A rare unit can lead a list and do nothing.
#
# **Next:** [04, is what we see what matters](04_Causal_Interventions.ipynb)?
#
# **Further reading.** A. Morcos et al., "On the importance of single directions for generalization", ICLR 2018. L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", *JMLR* 9 (2008). M. Wattenberg, F.
# Viégas and I. Johnson, "How to use t-SNE effectively", *Distill* (2016). J. Horn, "A rationale and test for the number of factors in factor analysis", *Psychometrika* 30 (1965). S. Kornblith et al.,
# "Similarity of neural network representations revisited", ICML 2019. N. Kriegeskorte et al., "Circular analysis in systems neuroscience: the dangers of double dipping", *Nature Neuroscience* 12 (2009).
