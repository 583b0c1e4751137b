# %% [markdown]
# # What has each unit become?
#
# *Principal components, t-SNE, selectivity, top-activating images and drift, each next to what it shows where there is nothing to see.*
#
# In [02](02_Train_on_MNIST_and_Log.ipynb) we recorded a whole training run. Now we open it and ask what the units of a hidden layer do. Most tools we first build by hand. Then we turn each of them on
# something in which there is nothing to find, so that we know what it shows there.
#
# **You will be able to**
#
# * apply PCA to a layer's activations, by hand and over time, and say how much of the picture is there before training;
# * ask what a unit prefers without fooling yourself: choose on one half of the images, judge on the other;
# * separate a drift of the representation from a rotation of its axes;
# * take a published finding, rebuild its network, and look again.
#
# **Minutes:** 50 to read and run, 45 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) and [02](02_Train_on_MNIST_and_Log.ipynb).
#
# Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

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
histories = {name: run.activations(name) for name in (first, last)}  # each [snapshot, example, unit]
trained, untrained = histories[last][-1], histories[last][0]
print(
    f"{last}: {dict(zip(histories[last].dims, histories[last].shape, strict=True))}; test accuracy {float(run.log['test_accuracy'][-1]):.3f}"
)

# %% [markdown]
# ## 1. A layer as a cloud of points
#
# For each image, a layer of 64 units is a point in a space of 64 dimensions. Nobody can picture that. So we look along the two directions in which the cloud is widest: its first two *principal
# components*. Finding them is called PCA, and it takes two lines: subtract the mean, and ask for the *singular value decomposition*. `np.linalg.svd` returns the directions, widest first (`directions`), and how
# wide the cloud is along each (`S`, whose square is proportional to the variance).

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
# We keep two numbers of 64. **What share of the layer's variance do they hold?**

# %%
mine = 0.7  # your guess
lesson.guess("two components", mine)

# %% tags=["varies"]
wide = geometry.pca(trained, components=16)
if lesson.reveal("two components", round(float(explained[:2].sum()), 2)):
    lesson.say(f"""So a picture along these two leaves out {1 - explained[:2].sum():.0%} of what is there. And how much would two directions hold if there were nothing to see? We shuffle each unit's values over the images:
    every unit keeps its spread, and nothing is left in common. Then the first component holds up to {float(wide["explained_by_chance"][0]):.1%} in 95% of the shuffles. {int(wide["above_chance"])} components of the trained layer exceed their
    own limit.""")
    display(nm.plots.explained_variance({last: wide}))

# %% [markdown]
# *What to look at:* the place where the black line falls below the gray one, which comes from the shuffled units.

# %% [markdown]
# ## 2. The cloud over time
#
# Now the whole training run, on one pair of axes for each layer. The digits will lie in separate patches. **How much of that order is there before any training?** We measure it as the share of the variance in
# the plane that lies between the digits: 1 would be ten separate points, 0 no order.

# %%
mine = 0.0  # your guess
lesson.guess("order before", mine)

# %% tags=["varies"]
at_the_end = {name: geometry.pca(acts) for name, acts in histories.items()}
own_axes = {name: geometry.pca(acts[[0]]) for name, acts in histories.items()}
between = {
    when: float(geometry.between_classes(t[last])[-1]) for when, t in (("trained", at_the_end), ("untrained", own_axes))
}
chance = (lesson.data.classes - 1) / (len(run.probe) - 1)
steps = [
    0,
    *(int(np.searchsorted(run.steps, share * run.steps[-1])) for share in (0.005, 0.02, 0.1)),
    len(run.steps) - 1,
]
if lesson.reveal("order before", round(between["untrained"], 2)):
    lesson.say(f"""Trained, {between["trained"]:.0%} of the variance in the plane lies between the digits. Untrained, on its own best axes, it is {between["untrained"]:.0%}. For random labels it would be about {chance:.1%}
    (n = {len(run.probe):,} images).""")
    display(nm.plots.pca_over_time(at_the_end, own_axes, steps))
assert not lesson.full or between["trained"] > between["untrained"] > 0.2

# %% [markdown]
# *What to look at:* the first column, the untrained network on its own best axes. It is no formless cloud. Images of one digit look alike, and random weights keep some of that. What
# training adds is the difference between the first column and the last.
#
# (The small dot in the second column is the same untrained network on the *final* axes and scale. It looks empty because activations grow in training.)

# %% [markdown]
# ## 3. t-SNE: beautiful, and to be doubted
#
# *t-SNE* is a layout in the plane that aims to keep neighbors together. It gives up sizes and distances for that, so we ask before we trust it. Are neighbors in the layout also neighbors in
# the layer? *Trustworthiness* says how rarely a stranger stands among them, where 1 is never. And does another seed draw the same?

# %% tags=["varies"]
few = run.probe.balanced(lesson.pick(500, 150))
layers = nm.activations(run.model(), few)
layout = geometry.embed(layers[last], seeds=(0, 1))
lesson.say(f"""Trustworthiness {float(layout["trustworthiness"][0]):.2f} (points placed at random: {float(layout["trustworthiness_null_high"][0]):.2f}). Of an image's ten nearest neighbors in the layer,
{float(layout["knn_preservation"][0]):.0%} are among its ten in the layout; of its ten in one layout, {float(layout["agreement"][0, 1]):.0%} are among its ten in the other.""")
nm.plots.embedding(layout)

# %% [markdown]
# *What to look at:* the same islands twice, in other places. Where an island lies, how large it is and how far it is from the next means nothing; trust only what comes back with another seed.
#
# An island can't be compared, but a number can. Here are two. The *silhouette* says how much closer an image is to its own class than to the next one, from −1 to 1. The *neighbor purity* is the share of an
# image's ten nearest neighbors that show its digit.
#
# **What is the neighbor purity of the *untrained* layer?**

# %%
mine = 0.1  # your guess
lesson.guess("purity", mine)

# %% tags=["varies"]
together = geometry.clusters(histories[last], at=[0, -1])
if lesson.reveal("purity", round(float(together["purity"][0]), 2)):
    for when, i in (("untrained", 0), ("trained", 1)):
        row = together.isel(snapshot=i)
        lesson.say(f"""{when}: silhouette {float(row["silhouette"]):+.2f} (shuffled labels {float(row["silhouette_null_low"]):+.2f} to
        {float(row["silhouette_null_high"]):+.2f}); purity {float(row["purity"]):.0%} (shuffled labels up to {float(row["purity_null_high"]):.0%})""")
assert not lesson.full or float(together["purity"][0]) > 0.5

# %% [markdown]
# Compare the first line with its shuffled labels: against them, an untrained network looks like a discovery. That is why the untrained network is the stronger null.

# %% [markdown]
# ### Exercise 1: neighbors of the same digit
# *Difficulty ●●○○ · 10 minutes*
#
# Write `purity(x, labels, k)`: the share of the `k` nearest neighbors (ordinary distance, the point itself left out) that have the point's label, averaged over all points. `x` is an array [example, unit]; two
# points may lie at the same place.

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
    cases = [(20, 5, 3, 0.7), (12, 3, 1, 1.0), (40, 4, 2, 1.5), (20, 5, 3, 1.0), (30, 6, 5, 1.0), (15, 2, 10, 0.5)]
    for n, units, k, spread in cases:
        labels = rng.choice(4, size=n, p=[0.5, 0.25, 0.15, 0.1])
        x = rng.normal(size=(4, units))[labels] + spread * rng.normal(size=(n, units)) * rng.uniform(0.3, 2, units)
        x = 1 + 0.003 * x if k == 5 else x
        with lessons.unchanged(x=x, labels=labels):
            found = purity(x, labels, k)
        assert found is not None and np.ndim(found) == 0, f"one number should come back, not {found}"
        right = alone = 0
        for i in range(n):
            order = sorted(range(n), key=lambda j: float(np.sqrt(((x[i] - x[j]) ** 2).sum())))
            alone += sum(labels[j] == labels[i] for j in order[:k])
            right += sum(labels[j] == labels[i] for j in [j for j in order if j != i][:k])
        itself = (
            ": each point is counted as its own neighbor, so leave it out"
            if k > 1 and abs(found - alone / (n * k)) < 1e-6
            else ""
        )
        assert abs(found - right / (n * k)) < 1e-6, (
            f"of the {k} nearest neighbors of {n} random points, {right} of {n * k} have the point's label: {right / (n * k):.4f}, not {found:.4f}{itself}"
        )
    twins, labels = np.repeat(rng.normal(size=(6, 4)), 2, axis=0), np.tile([0, 1], 6)
    found = purity(twins, labels, 1)
    assert abs(found) < 1e-6, (
        f"each of 12 points has a twin at the same place with another label, so the purity for k = 1 is 0, not {found:.4f}: leave out the point itself, and keep its twin"
    )


# %% tags=["right"]
def purity(x, labels, k):  # point by point
    shares = []
    for i, point in enumerate(x):
        distance = np.linalg.norm(x - point, axis=1)
        near = [j for j in np.argsort(distance) if j != i][:k]
        shares.append(np.mean([labels[j] == labels[i] for j in near]))
    return np.mean(shares)


# %% tags=["right"]
def purity(x, labels, k):  # in torch
    points, of = torch.tensor(x), torch.tensor(labels)
    near = torch.cdist(points, points).fill_diagonal_(torch.inf).topk(k, largest=False).indices
    return (of[near] == of[:, None]).double().mean()


# %% tags=["right"]
def purity(x, labels, k):
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)
    return (labels[near] == labels[:, None]).mean()


# %% tags=["wrong"]
def purity(x, labels, k):  # counts the point itself
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    return float((labels[distance.argsort(1)[:, :k]] == labels[:, None]).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # leaves out the nearest, which a twin may be
    points, of = torch.tensor(x), torch.tensor(labels)
    near = torch.cdist(points, points).topk(k + 1, largest=False).indices[:, 1:]
    return (of[near] == of[:, None]).double().mean()


# %% tags=["wrong"]
def purity(x, labels, k):  # always one neighbor
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argmin(1)] == labels).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # one neighbor too few: the point is left out twice
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argsort(1)[:, 1 : k + 1]] == labels[:, None]).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # the farthest
    distance = -((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argsort(1)[:, :k]] == labels[:, None]).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # distances along the first unit only
    distance = (x[:, None, 0] - x[None, :, 0]) ** 2
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argsort(1)[:, :k]] == labels[:, None]).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # absolute differences, not ordinary distance
    distance = np.abs(x[:, None] - x[None]).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argsort(1)[:, :k]] == labels[:, None]).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # a majority vote
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    same = labels[distance.argsort(1)[:, :k]] == labels[:, None]
    return float((same.mean(1) > 0.5).mean())


# %% tags=["wrong"]
def purity(x, labels, k):  # every class counts alike, whatever its size
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    same = (labels[distance.argsort(1)[:, :k]] == labels[:, None]).mean(1)
    return float(np.mean([same[labels == c].mean() for c in np.unique(labels)]))


# %% tags=["wrong"]
def purity(x, labels, k):  # a count in place of a share
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argsort(1)[:, :k]] == labels[:, None]).sum())


# %% [markdown]
# ## 4. Which digit does a unit prefer?
#
# Take a unit's mean activation for each digit. Its *class selectivity* (Morcos et al. 2018) compares the highest with the mean of the others: their difference over their sum. It is 0 for a unit without
# preference and 1 for a unit that is on for one digit only. By hand (the small number in the sum avoids 0 / 0):

# %%
means = trained.groupby("label").mean().values  # [class, unit]
preferred = means.argmax(0)
top = means.max(0)
rest = (means.sum(0) - top) / (len(means) - 1)
by_hand = (top - rest) / (top + rest + 1e-3)
library = selectivity.selectivity_by_class(trained).max("class")
assert np.allclose(by_hand, library, atol=1e-6, equal_nan=True)

# %% [markdown]
# Nothing is wrong with these lines, and still there is a trap. We *chose* the digit because it came out highest on these images, and then we *judged* it on the same images. To see what that does, we put the labels in random order. Now there is nothing to
# find. On 200 images, **what selectivity does the average unit have?**

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
if lesson.reveal("nothing", round(float(np.mean(same)), 2)):
    lesson.say(
        f"""Chosen and judged on the same {len(small)} images: {np.mean(same):.2f}. Chosen on one half, judged on the other: {np.mean(split):+.2f}. (Means over 50 random orders of the labels, and over the {small.sizes["unit"]} units that are on for more than 5% of the images.)"""
    )
assert np.mean(same) > 0.05
assert abs(np.mean(split)) < 0.05

# %% [markdown]
# The first number is a selectivity made of nothing. Choosing and judging on the same data is called *double dipping*, and the cure is the second number: split the images.

# %% [markdown]
# The library's `class_selectivity` always splits. It also *gates*: a unit that fires for hardly any image gets no selectivity, because a few images would decide everything.
#
# Let's hold each unit's selectivity against what the network loses without it. To *ablate* a unit is to set it to 0 for every image; the *loss increase* is by how much that raises the loss. Do selective units matter
# more? **What is the rank correlation of the two over units?** (1: the same order, 0: no relation.)

# %%
mine = 0.6  # your guess
lesson.guess("needed", mine)

# %% tags=["varies"]
of_units = selectivity.class_selectivity(histories[last])
of_untrained = selectivity.class_selectivity(untrained)
effects = causal.ablate_all(run.model(), run.probe, last)
n_trained, n_untrained = (int(nm.statistics.shown(t["selectivity_q"]).sum()) for t in (of_units, of_untrained))
rho, low, high = nm.statistics.spearman(of_units["selectivity"].values, effects["loss_increase"].values)
if lesson.reveal("needed", round(float(rho), 2)):
    lesson.say(
        f"""The correlation is {rho:+.2f} (95% interval over units {low:+.2f} to {high:+.2f}), so a relation is {"shown" if nm.statistics.excludes(low, high) else "not shown"} in this network."""
    )
    lesson.say(f"""{n_trained} of {trained.sizes["unit"]} units prefer a digit beyond shuffled labels (at a *false-discovery rate* of 5%: among these, about one in twenty may be a false positive). Of the *untrained*
    network's units, {n_untrained} do. The mean selectivity is {float(of_units["selectivity"].mean()):.2f} trained and {float(of_untrained["selectivity"].mean()):.2f} untrained.
    {"So a unit that prefers a digit is no sign that anything was learned." if n_untrained > n_trained / 2 else "So most of these preferences come with training."}""")
    display(nm.plots.selectivity(of_units, effects, of_untrained))
assert not lesson.full or n_untrained > 30

# %% [markdown]
# *What to look at:* the units far to the right, which are selective, and the units far up, whose ablation raises the loss most. Are they the same? Each is drawn as the digit it prefers, with a 95% interval over images; the four highest are
# named. Gray: the range of shuffled labels, and below, the untrained network's units.
#
# To be selective is one thing, to be needed is another. [Notebook 04](04_Causal_Interventions.ipynb) is about the second.

# %% [markdown]
# ## 5. Curves and pictures of single units
#
# One preferred digit hides much: if a unit is on for 4 *and* 9, it names only one of the two. The *tuning curve*, the mean activation for each digit, shows both:

# %% tags=["varies"]
curves = selectivity.tuning(trained)
nm.plots.tuning(curves, selectivity.tuning(untrained))

# %% [markdown]
# *What to look at:* how many digits of one unit lie above its gray band, which comes from shuffled labels. The gray line is the same unit before training, scaled to its own highest point.
#
# Now the images themselves. It is tempting to look at the *top-activating images* only, those with the highest activations. But they show a unit at its most extreme, so we also take images from the middle and the low end.

# %% tags=["varies"]
ranked = np.argsort(-np.nan_to_num(of_units["selectivity"].values, nan=-1))
shown = [int(unit) for unit in (*ranked[:3], *ranked[len(ranked) // 2 : len(ranked) // 2 + 3])]
strips = selectivity.quantile_examples(trained)
nm.plots.quantile_strips(run.probe.images, strips, units=shown)

# %% [markdown]
# *What to look at:* go from left to right, from a unit's strongest images to those for which it is hardly on (the small numbers are activations; at the *75% quantile*, three quarters of the images for which the unit is on activate it less). Do
# you still see the same digit two columns on? The three most selective units are above, three from the middle below.
#
# Take the most selective unit of all. **Of the images for which it is on, what share shows its preferred digit?**

# %%
mine = 0.9  # your guess
lesson.guess("detector", mine)

# %% tags=["varies"]
unit = shown[0]
on = trained[:, unit].values > 0
digit = int(of_units["preferred"][unit])
is_digit = trained.label.values == digit
share = float(is_digit[on].mean())
strong = trained[:, unit].values > trained[:, unit].values.max() / 2
if lesson.reveal("detector", round(share, 2)):
    lesson.say(f"""It is on for {on.sum()} of {len(on):,} images, and {share:.0%} of those show a {digit} (a random image does with {is_digit.mean():.0%}). For {int((~is_digit[on]).sum())} images of other digits it is on as well. Above half of its highest
    activation there are {int(strong.sum())} images, of which {float(is_digit[strong].mean()):.0%} show a {digit}.
    {f"So its strongest images make it look like a detector of the {digit}, and most images that activate it show something else." if share < 0.5 < is_digit[strong].mean() else "Here its weak activations tell much the same as its strong ones."}""")

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
    levels = [-3.0, -1.2, 0.0, 1.0, 1.3, 1.46, 1.52, 1.7, 2.0, 3.0, 4.0]
    cases = [(12, 3, 0), (30, 0, 2), (40, 9, 1.5), (30, 4, 1.5), (5, 7, 4), (25, 1, -1), (40, 3, 9), (12, 3, 1.3)]
    for n, digit, threshold in cases:
        labels = rng.permutation(np.concatenate([[digit, (digit + 1) % 10], rng.choice([digit, 2, 5, 8], n - 2)]))
        activation = rng.choice([*levels, threshold], n)  # some lie exactly at the threshold
        activation[:2] = 1.52, 1.7
        if threshold == 1.5:
            activation[2] = 1.5 + 1e-9  # just above it
        if digit == 4:  # alarms, and all of them false
            activation[labels == digit] = 1.4
        with lessons.unchanged(activation=activation, labels=labels):
            found = as_detector(activation, labels, digit, threshold)
        assert found is not None and len(found) == 2, f"two numbers should come back, not {found}"
        alarms = [i for i in range(n) if activation[i] > threshold]
        hits, digits = sum(labels[i] == digit for i in alarms), sum(labels == digit)
        case = f"{len(alarms)} of {n} activations are above {threshold:g}; {hits} of them, of {digits} images in all, show a {digit}"
        assert None not in list(found), f"{case}: None came, where a number or np.nan should stand"
        precision, recall = (float(one) for one in found)
        if alarms:
            assert abs(precision - hits / len(alarms)) < 1e-6, (
                f"{case}: precision {hits / len(alarms):.7g}, not {precision:.7g}"
            )
        else:
            assert np.isnan(precision), f"{case}: without an alarm precision is NaN, and {precision:g} came"
        assert abs(recall - hits / digits) < 1e-6, f"{case}: recall {hits / digits:.7g}, not {recall:.7g}"


# %% tags=["right"]
def as_detector(activation, labels, digit, threshold):  # counted one by one
    hits = alarms = digits = 0
    for value, label in zip(activation, labels, strict=True):
        alarms += value > threshold
        digits += label == digit
        hits += value > threshold and label == digit
    return (hits / alarms if alarms else float("nan")), hits / digits


# %% tags=["right"]
def as_detector(activation, labels, digit, threshold):  # means of masks
    with np.errstate(invalid="ignore"):
        alarm, true = np.asarray(activation > threshold), labels == digit
        return np.array([np.divide((alarm & true).sum(), alarm.sum()), alarm[true].mean()])


# %% tags=["right"]
def as_detector(activation, labels, digit, threshold):  # in torch, where 0 / 0 is NaN
    alarm, true = torch.tensor(activation) > threshold, torch.tensor(labels) == digit
    return [(alarm & true).sum() / alarm.sum(), (alarm & true).sum() / true.sum()]


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # threshold ignored
    alarm, true = activation > 0, labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # always the digit 7
    alarm, true = activation > threshold, labels == 7
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / max(true.sum(), 1)


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # recall always two thirds
    alarm, true = activation > threshold, labels == digit
    return ((alarm & true).sum() / alarm.sum() if alarm.any() else np.nan), 2 / 3


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # at least, not above
    alarm, true = activation >= threshold, labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # the two are swapped
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return right / true.sum(), (right / alarm.sum() if alarm.any() else np.nan)


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # precision 0 where there is no alarm
    alarm, true = activation > threshold, labels == digit
    right = (alarm & true).sum()
    return right / max(alarm.sum(), 1), right / true.sum()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # the accuracy in place of precision
    alarm, true = activation > threshold, labels == digit
    return (float((alarm == true).mean()) if alarm.any() else np.nan), (alarm & true).sum() / true.sum()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # shares of all images
    alarm, true = activation > threshold, labels == digit
    return ((alarm & true).mean() if alarm.any() else np.nan), (alarm & true).mean()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # alarms for every other digit
    alarm, true = activation > threshold, labels != digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()


# %% tags=["wrong"]
def as_detector(activation, labels, digit, threshold):  # a quiet unit as alarm
    alarm, true = activation < threshold, labels == digit
    right = (alarm & true).sum()
    return (right / alarm.sum() if alarm.any() else np.nan), right / true.sum()


# %% [markdown]
# ## 6. Since when?
#
# We have the whole training run, so we can also ask when a unit found its digit, and whether it ever changed it.

# %% tags=["varies", "card"]
story = selectivity.over_time(histories[last])
nm.plots.selectivity_over_time(story)

# %% [markdown]
# *What to look at:* the colors in the first column, at initialization, and in the last. Each row is a unit, in the color of the digit it prefers at each snapshot, faint where that is not beyond shuffled labels.
#
# Does a unit end with the digit that it began with? Some do by luck, so we need a null: we deal out the final digits among the units at random.

# %% tags=["varies"]
since = story["since"].values
known = np.isfinite(since)
settled = float(np.median(since[known]))
changes = int((story["changes"].values > 0).sum())
begin, final = (story["preferred"].values[i][story["auc_shown"].values[[0, -1]].all(0)] for i in (0, -1))
same = int((begin == final).sum())
deal = np.random.default_rng(0)
lucky = np.percentile([(begin == deal.permutation(final)).sum() for _ in range(1000)], 97.5)
lesson.say(f"""{known.sum()} of {len(since)} units end with a digit beyond shuffled labels. Half of them have held it since step {settled:,.0f} of {run.steps[-1]:,} or earlier. {changes} units changed their
digit at least once on the way. {len(begin)} units have a digit both at initialization and at the end, and for {same} of them it is the same one; with digits dealt out at random it would be up to {lucky:.0f} (97.5% of 1,000 draws).""")
lesson.say(
    f"""So half of these units settle {"within the first tenth of training" if settled <= run.steps[-1] / 10 else "only after the first tenth of training"}, and {"the digit they begin with says something about the one they end with" if same > lucky else "it is not shown that the digit they begin with has to do with the one they end with"}."""
)

# %% [markdown]
# ## 7. Drift
#
# While the network learns, the layer's answers to the same images change. This is called *drift*. The simplest question about it: how similar is each unit to its later self? We correlate its activations at one
# snapshot with its own at the end.

# %%
half = len(run.steps) // 2
then, now = histories[last][half].values, histories[last][-1].values
alive = (then.std(0) > 0) & (now.std(0) > 0)
by_hand = [np.corrcoef(then[:, j], now[:, j])[0, 1] for j in np.flatnonzero(alive)]
by_unit = similarity.unit_drift(histories[last])
assert np.allclose(by_hand, by_unit["correlation"][half].values[alive], atol=1e-4)

# %% [markdown]
# **From the end of the first epoch to the end of training: what is the correlation of the median unit with its later self?**

# %%
mine = 0.8  # your guess
lesson.guess("itself", mine)

# %% tags=["varies"]
epoch = int(np.argmin(np.abs(histories[last]["epoch"].values - 1)))
after_one = float(np.nanmedian(by_unit["correlation"][epoch]))
at_start = float(np.nanmedian(by_unit["correlation"][0]))
if lesson.reveal("itself", round(after_one, 2)):
    lesson.say(
        f"""After one epoch it is {after_one:.2f}, at initialization {at_start:.2f}. The null here is another unit of the same layer: of those, 97.5% lie below {float(np.nanmedian(by_unit["correlation_null_high"][epoch])):.2f}."""
    )
    display(nm.plots.unit_drift(by_unit))
assert not lesson.full or after_one > at_start

# %% [markdown]
# *What to look at:* where each row turns from gray to orange. Each row is a unit; gray means that its correlation with its later self is within the range of other units.

# %% [markdown]
# But a unit is only one axis of the layer. If all points of the cloud turn together, every unit changes, and yet nothing is lost: the next layer can turn them back. If the 4s move from the 9s to the 7s, no turning brings
# them back. So we turn and scale one cloud until it fits the other as well as it can (the *Procrustes* fit). What remains is the *change of shape*; the library calls it `function`. By hand, from the
# snapshot above to the end:

# %% tags=["varies"]
start, end = (cloud - cloud.mean(0) for cloud in (then, now))
fit = np.linalg.svd(start.T @ end, compute_uv=False).sum() / (np.linalg.norm(start) * np.linalg.norm(end))  # 1: fits
drifted = similarity.drift(histories[last])
assert abs((1 - fit**2) - float(drifted["function"][half])) < 1e-4
lesson.say(f"""From step {run.steps[half]:,} to the end, {1 - fit**2:.0%} of the layer's variance is change of shape; from initialization {float(drifted["function"][0]):.0%}, from the end of the first epoch {float(drifted["function"][epoch]):.0%}.
A layer that stands still gives 0, and on these images one that has nothing in common with its end {float(drifted["function_null_low"][epoch]):.0%} or more.""")
nm.plots.drift(drifted)

# %% [markdown]
# *What to look at:* the left panel. At the bottom is the change of shape, above it what a rotation removes. In the middle, *CKA* is 1 if the same images lie close together in both clouds ([notebook 05](05_CNN_vs_MLP.ipynb) builds it by hand), and the *Procrustes distance* is 0 if
# a rotation makes them equal. On the right is the angle between the five widest directions then and at the end. All compare with the end: change and distance end at 0, CKA at 1, and the angle at its floor, the angle that other images of the same network give.

# %% [markdown]
# ## 8. Does it hold on another seed?
#
# All of this is one network. Does a network from another seed look the same? First the layer as a whole:

# %% tags=["varies"]
numbers = [float(geometry.clusters(one.activations(last)[[-1]], draws=1)["purity"][0]) for one in (run, *others)]
mean, low, high = nm.statistics.over_seeds(np.array(numbers))
lesson.say(f"Neighbor purity over {len(numbers)} seeds: {mean:.1%} (95% interval {low:.1%} to {high:.1%}).")

# %% [markdown]
# So much for the layer as a whole. Are its *units* the same, too?
#
# We match each unit of this network with the unit of another network whose activations correlate most with its own. By chance something always correlates, so the match must beat two nulls. One is the best match within one network. For the other
# we mix the units at random into as many weighted sums, a *rotated basis*. It holds the same information, but its axes are mixtures and no longer units. If mixtures match as well as units do, we have found the layer again, and not its units.
#
# **For what share of the other networks is a unit of the last hidden layer found again?**

# %%
mine = 0.5  # your guess
lesson.guess("again", mine)

# %% tags=["varies"]
found_again = {}
for name in (first, last):
    table = similarity.replication([one.activations(name)[-1] for one in (run, *others)], draws=lesson.pick(400, 100))
    found_again[name] = float((table["replicated"] / table["of"]).mean())
if lesson.reveal("again", round(found_again[last], 2)):
    lesson.say(
        f"""A unit of {first} is found again in {found_again[first]:.0%} of the other networks, one of {last} in {found_again[last]:.0%}; false positives alone would give up to 5%.
        {"So a statement about “unit 14” of a layer is a statement about one seed." if max(found_again.values()) <= 0.05 else "So some units come back, more of them than false positives alone."}"""
    )
assert not lesson.full or max(found_again.values()) < 0.2

# %% [markdown]
# ### Exercise 3: a null of your own
# *Difficulty ●●●○ · 15 minutes*
#
# Two networks, the same images. A unit of `a` is matched with the unit of `b` it correlates with most. Write `best_match(a, b)`, the highest correlation of each unit of `a` with any unit of `b` (arrays [example, unit]), and
# `by_chance(a, b, seed)`, the same after the images of `b` have been put in a random order that `seed` decides (whole rows: what the units of `b` have in common stays). A unit that never changes correlates 0 with
# every other.

# %% [markdown] tags=["hint"]
# Standardize the columns of both (mean 0, standard deviation 1); then `a.T @ b / len(a)` holds all correlations. A unit that never changes has standard deviation 0: set its correlations to 0.


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
    for n, units_a, units_b, dead in ((60, 5, 3, False), (90, 3, 6, True), (50, 6, 1, False), (40, 4, 2, True)):
        a = rng.normal(1, 2, size=(n, units_a))
        b = 5 * a @ rng.normal(size=(units_a, units_b)) + rng.normal(3, 4, size=(n, units_b))
        a[:, -1] = -b[:, -1]  # the opposite of a unit of b
        a[:, 1] *= 1e-6  # faint
        if dead:
            a[:, 0], b[:, 0] = 0.0, 2.0
        with lessons.unchanged(a=a, b=b):
            found = best_match(a, b)
        assert found is not None and np.shape(found) == (units_a,), (
            f"a has {units_a} units, so {units_a} numbers should come back, not {found}"
        )
        for unit, (x, got) in enumerate(zip(a.T, np.asarray(found, dtype=float), strict=True)):
            true = max(0.0 if 0 in (x.std(), y.std()) else float(np.corrcoef(x, y)[0, 1]) for y in b.T)
            same = "; unit 0 of a and unit 0 of b never change, so they correlate 0 with every unit" if dead else ""
            assert abs(got - true) < 1e-5, (
                f"unit {unit} of a correlates at most {true:.7g} with a unit of b, and {got:.7g} came{same}"
            )
    a, b = np.eye(40), rng.normal(size=(40, 3))  # unit i of a is on for image i only, so its match tells an image of b
    plain, orders = np.asarray(best_match(a, b), dtype=float), []
    for seed in (*range(30), 0):
        with lessons.unchanged(a=a, b=b):
            chance = np.asarray(by_chance(a, b, seed), dtype=float)
        assert chance.shape == (40,), f"a has 40 units here, so 40 numbers should come back, not {chance.shape}"
        assert np.allclose(np.sort(chance), np.sort(plain)), (
            "each unit of a is on for one image only, so another order of b's images should give the same 40 matches in another order: put whole rows in random order, each row once"
        )
        orders.append([int(np.abs(plain - one).argmin()) for one in chance])
    stay = 40 * np.mean([np.arange(40) == order for order in orders])
    apart = np.mean([np.bincount(np.diff(order) % 40).max() / 39 for order in orders])
    assert 0.2 < stay < 12 and apart < 0.3, (
        f"in a random order one image stays in its place on average, and {stay:.1f} of 40 do here; {apart:.0%} are followed by the image the same number of places on"
    )
    assert np.allclose(np.sort(by_chance(a, -b, 0)), np.sort(best_match(a, -b))), (
        "for -b in place of b, by_chance with the same seed gives matches that are not those of -b"
    )
    assert orders[0] == orders[-1], "the same seed should give the same order"
    assert len({tuple(order) for order in orders}) == 30, "the seeds 0 to 29 should give thirty different orders"


# %% tags=["right"]
def best_match(a, b):
    found = []
    for x in a.T:
        of = [0.0 if y.std() == 0 or x.std() == 0 else float(np.corrcoef(x, y)[0, 1]) for y in b.T]
        found.append(max(of))
    return found


def by_chance(a, b, seed):
    order = torch.randperm(len(b), generator=torch.Generator().manual_seed(seed))
    return best_match(a, b[order.numpy()])


# %% tags=["right"]
def best_match(a, b):  # in torch
    x, y = (torch.tensor(one) - torch.tensor(one).mean(0) for one in (a, b))
    norms = x.norm(dim=0)[:, None] * y.norm(dim=0)
    return torch.nan_to_num(x.T @ y / norms).amax(1)


def by_chance(a, b, seed):  # the images of a move, which is the same
    rows = np.arange(len(a))
    np.random.default_rng(seed).shuffle(rows)
    return best_match(a[rows], b)


# %% tags=["wrong"]
def best_match(a, b):  # the sign does not count
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return np.abs(x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # not divided by the standard deviations
    return ((a - a.mean(0)).T @ (b - b.mean(0)) / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # the mean is left in
    return (a.T @ b / np.sqrt((a**2).sum(0)[:, None] * (b**2).sum(0))).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # a dead unit makes NaN
    with np.errstate(all="ignore"):
        x, y = ((one - one.mean(0)) / one.std(0) for one in (a, b))
        return (x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # for each unit of b
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return (x.T @ y / len(a)).max(0)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # unit by unit in place of the best
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    found = x.T @ y / len(a)
    return np.array([found[i, i % found.shape[1]] for i in range(len(found))])


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # chance: the images are not moved, only the units
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return (x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permutation(b, axis=1))


# %% tags=["wrong"]
def best_match(a, b):  # chance: always the same order
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return (x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(0).permutation(b))


# %% tags=["wrong"]
def best_match(a, b):  # chance: each unit in an order of its own
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return (x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return best_match(a, np.random.default_rng(seed).permuted(b, axis=0))


# %% tags=["wrong"]
def best_match(a, b):  # chance: nothing at all
    x, y = ((one - one.mean(0)) / np.where(one.std(0) > 0, one.std(0), np.inf) for one in (a, b))
    return (x.T @ y / len(a)).max(1)


def by_chance(a, b, seed):
    return np.zeros(a.shape[1])


# %% [markdown]
# How strong is that null? Let's turn it on two trained networks, and on two untrained ones, in which nothing was learned that could be found again:

# %% tags=["varies"]
beat = {}
for when, snapshot in (("trained", -1), ("untrained", 0)):
    a, b = (one.activations(last)[snapshot].values for one in (run, others[0]))
    a, b = a[:, a.std(0) > 0], b[:, b.std(0) > 0]

    def matches(b, a=a):
        return np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :].max(1)

    limit = np.quantile([matches(rng.permutation(b)) for _ in range(20)], 0.95, axis=0)
    beat[when] = float((matches(b) > limit).mean())
    print(f"{when:10} {beat[when]:.0%} of the living units beat 95% of the orders of the images")
lesson.say(
    f"""Even untrained networks match in {beat["untrained"]:.0%} of their units, only because both were shown the same images. So this null is far too easy to beat."""
    if beat["untrained"] > 0.2
    else "Untrained networks hardly match, so here this null is not too easy to beat."
)

# %% [markdown]
# So choose a null that differs from your data in what you claim, and in nothing else. The library's `match_units` claims that there are *units*, so it compares with the rotated basis of section 8.
#
# ## 9. A published network, looked at again
#
# This project grew from two notebooks by Erik Holmes, [interpreting_mnist](https://github.com/eriktholmes/interpreting_mnist), who trained one small network and looked into it with open curiosity.
# Seed, batches and settings are known, so we can rebuild the network almost exactly: 784–32–16–10, plain gradient descent. (You may skip the next cell: it only repeats the random order in which that notebook's loader drew its batches.)

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
    f"Published: test accuracy 94.80%, loss of the first epoch 1.7227. Here: {result.accuracy:.2%} and {loss_of_first_epoch:.4f}."
)
assert not lesson.full or (abs(result.accuracy - 0.9480) < 0.0025 and abs(loss_of_first_epoch - 1.7227) < 0.001)

# %% [markdown]
# One of its units leads the list for the digit 2. Let's ablate it. **For how many of the test images does the prediction change?**

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
if lesson.reveal("published", changed):
    lesson.say(
        f"""Unit {star} has a selectivity of {float(by_class.sel({"class": 2})[star]):.2f} for the 2, and is on for {density:.1%} of the images. Ablating it changes {changed} of {len(acts):,} predictions.
        {"So the unit that leads the list hardly ever fires. That is what the library's gate is for: below 1% of the images, no selectivity." if density < 0.01 else "So on these images the leader of the list is not one that hardly ever fires, as it is on all of MNIST."}"""
    )
assert not lesson.full or (density < 0.01 and changed <= 20)

# %% [markdown]
# A second finding, the "mean gradient of the true logit" at the last hidden layer, you met in [01](01_MLP_for_Interpretability.ipynb): it is the row of output weights and needs no data.
#
# A third is that activations *drift* from epoch to epoch. It was drawn on another batch of images each time. How much of such a drift is only the batch?

# %% tags=["varies"]
history = original.activations(last)
epochs = history[np.flatnonzero(history["epoch"].values % 1 == 0)]
moves = np.abs(np.diff(epochs.values.mean(1), axis=0))[len(epochs) // 2 :].mean(0)  # [unit], on fixed images
batches = np.array(
    [acts.values[50 * i : 50 * (i + 1)].mean(0) for i in range(min(20, len(acts) // 50))]
)  # at the end, where nothing moves
busiest = int(acts.mean("example").argmax("unit"))
larger = batches[:, busiest].std() / moves[busiest]
lesson.say(f"""Its most active unit moves by {moves[busiest]:.2f} from one epoch to the next, on fixed images, in the second half of training. Between batches of 50 images at the last epoch, where nothing moves at all, its mean has
a standard deviation of {batches[:, busiest].std():.2f}: {larger:.1f} times as much.
{"So most of a drift that is drawn on other images each time is the images." if larger > 1 else "So here the choice of the images matters less than the training."}""")
assert not lesson.full or larger > 2

# %% [markdown]
# None of this makes light of those notebooks. They asked good questions, and published enough detail that we can ask them again. The [whole list](../docs/original.md), experiment by experiment, is in the documentation.
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
    for classes, units, images in ((10, 7, 120), (4, 9, 130), (5, 8, 100), (10, 7, 120)):
        labels = rng.permutation(
            np.minimum(np.arange(images) % (2 * classes), classes - 1)
        )  # half are of the last class
        level = rng.uniform(0.2, 3, size=(classes, units))
        values = level[labels] * rng.uniform(0.5, 1.5, size=(images, units))
        often = rng.permutation([1.0, 0.9, 0.5, 0.25, 0.246, 0.1, 0.02, *rng.uniform(0.05, 1, units - 7)])
        for unit, share in enumerate(often):
            off = rng.permutation(images)[round(share * images) :]
            values[off, unit] = -0.001 if share in (0.5, 0.9) else 0.0  # below 0 is not on, either
        planted = xr.DataArray(values, dims=("example", "unit"), coords={"label": ("example", labels)})
        on = (values > 0).mean(0)
        for digit in (0, classes - 1):
            selective = selectivity.selectivity_by_class(planted).sel({"class": digit}).values
            for least, n in ((0.0, 3), (0.25, 2), (0.25, units), (0.6, 1), (0.6, units), (0.3, 3), (0.3, 0)):
                order = sorted(range(units), key=lambda u, s=selective: -s[u])
                true = [unit for unit in order if on[unit] >= least][:n]
                with lessons.unchanged(acts=planted):
                    found = gated_top(planted, digit, least, n)
                assert found is not None, "nothing came back"
                found = [int(unit) for unit in found]
                rows = "; ".join(f"unit {u}: {selective[u]:.2f}, on for {on[u]:.1%}" for u in range(units))
                assert found == true, (
                    f"class {digit}, n = {n}, at least {least:.0%}: {true} was expected and {found} came. The selectivities are {rows}"
                )


# %% tags=["right"]
def gated_top(acts, digit, least, n):  # a sort in plain Python
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    density = (acts.values > 0).sum(0) / len(acts)
    units = [unit for unit in range(len(value)) if not density[unit] < least]
    return sorted(units, key=lambda unit: value[unit], reverse=True)[:n]


# %% tags=["right"]
def gated_top(acts, digit, least, n):  # keeps what passes first, and then ranks it
    passes = np.flatnonzero((acts > 0).mean("example").values >= least)
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values[passes]
    return passes[value.argsort()[::-1][:n]]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # takes the first n, and then gates
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value)[:n] if on[unit] >= least]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # digit ignored
    value = selectivity.selectivity_by_class(acts).sel({"class": 2}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= least][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # n ignored
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= least]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # no gate
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    return [int(unit) for unit in np.argsort(-value)][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # the gate is always 1%
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= 0.01][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # a unit exactly at the gate is left out
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] > least][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # least selective first
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(value) if on[unit] >= least][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # on for that digit's images, not for all
    value = selectivity.selectivity_by_class(acts).sel({"class": digit}).values
    on = (acts[acts.label.values == digit] > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= least][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # by mean activation in place of selectivity
    value = acts.groupby("label").mean().sel(label=digit).values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= least][:n]


# %% tags=["wrong"]
def gated_top(acts, digit, least, n):  # the best class of each unit, whichever it is
    value = selectivity.selectivity_by_class(acts).max("class").values
    on = (acts > 0).mean("example").values
    return [int(unit) for unit in np.argsort(-value) if on[unit] >= least][:n]


# %% [markdown]
# ## What you have seen
#
# * Two principal components hold part of a layer, and much of the order in them is there before training.
# * Trust t-SNE's islands as far as another seed and the neighbors in the layer agree.
# * A layer may turn without changing what it says. What no rotation and scaling removes is its change of shape.
# * Choosing and judging on the same images makes selectivity out of nothing. Shuffled labels are a weak null, the untrained network a strong one.
# * A unit's strongest images make it look more selective than it is. Whether a unit comes back on another seed is a question with a null of its own.
# * A rare unit can lead a list, and ablating it changes next to nothing.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#03-what-has-each-unit-become), in the documentation.
#
# **Next:** [04, is what we see what matters](04_Causal_Interventions.ipynb)?
#
# **Further reading.** A. Morcos et al., "On the importance of single directions for generalization", ICLR 2018. L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", *JMLR* 9 (2008). M. Wattenberg, F.
# Viégas and I. Johnson, "How to use t-SNE effectively", *Distill* (2016). J. Horn, "A rationale and test for the number of factors in factor analysis", *Psychometrika* 30 (1965). S. Kornblith et al.,
# "Similarity of neural network representations revisited", ICML 2019. N. Kriegeskorte et al., "Circular analysis in systems neuroscience: the dangers of double dipping", *Nature Neuroscience* 12 (2009).
