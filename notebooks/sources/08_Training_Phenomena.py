# %% [markdown]
# # Can we see the theory?
#
# *Five things that are said about how networks learn. We look for each in a network small enough to take apart, and we run the control that could prove us wrong.*
#
# When I read that "networks grok" or that "training lives at the edge of stability", I want to build the smallest network that does it. Then I take away the one thing
# that is supposed to cause it. If the effect stays, the explanation was wrong. That is how we work here.
#
# **You will be able to**
#
# * measure *neural collapse* and the *sharpness* of a loss by hand, and say what both mean;
# * build a network that memorizes its images long before it generalizes, and take away what makes it generalize;
# * train on random labels, and see when a network fits true labels and when false ones;
# * say what normalization and dropout do to units, over seeds, and where three seeds are too few to say it.
#
# **Minutes:** 85 to read and run, 50 more for the exercises. **You need:** [02](02_Train_on_MNIST_and_Log.ipynb) for runs and snapshots;
# [04](04_Causal_Interventions.ipynb) helps with ablating units.
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("08")

# %% [markdown]
# ## 1. Neural collapse: every class becomes a point
#
# Suppose a network already classifies every training image correctly, and we simply go on training. What is left to learn? Papyan, Han and Donoho (2020) found that the
# last hidden layer tidies itself up. All images of a class move to one point, and the points spread out evenly. They called it
# [*neural collapse*](../docs/glossary.md).
#
# Let's see it on a thousand images. Nearly all networks of this notebook train on a thousand images only, and we record their activations on these same images. (This one has batch normalization, which section 5 explains.) That takes
# seconds, and with few images most effects show sooner.

# %% tags=["varies"]
import math
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from neural_microscope import statistics
from neural_microscope.analysis import causal, dynamics, geometry, predictions, selectivity
from neural_microscope.training import noisy_labels

thousand = lesson.data.train.balanced(lesson.pick(1000, 500), seed=0)
unseen = lesson.data.test.balanced(lesson.pick(1000, 300), seed=0)
small = replace(lesson, data=nm.data.Dataset("a thousand", thousand, thousand))  # recorded on its training images
record = nm.RecordConfig(every_epoch=False, probe_size=len(thousand), norms_every=0)


def run_of(name, network, training, quick):
    """A recorded run on the thousand images, with ``quick`` epochs in the quick forms."""
    # lesson.run takes a quarter of the epochs in the short form and three times as many with the digits
    epochs = {"full": training.epochs, "short": 4 * quick, "digits": quick // 3}[lesson.form]
    return small.run(name, network, replace(training, epochs=epochs), record)


tidy = nm.TrainConfig(epochs=200, optimizer="sgd", learning_rate=0.05, momentum=0.9, weight_decay=5e-3, schedule="step")
three_layers = nm.MLPConfig(hidden=(256, 256, 256), norm="batch")
run = run_of("collapse", three_layers, tidy, quick=36)
last = "layers.2.hook_post"
accuracy = (run.activations("logits").values.argmax(2) == run.probe.labels).mean(1)
print(
    f"{len(run.steps)} snapshots, the last at step {run.steps[-1]:,}; training accuracy at the end: {accuracy[-1]:.1%}"
)

# %% [markdown]
# A *snapshot* is the network as recorded at one step of training. In each we ask how tight the classes are.
#
# The measure is called NC1. It compares two spreads: how far the images of a class lie from their class mean (*within*), and how far the class means lie from each other
# (*between*). With a single unit it would be the variance within the classes, divided by the variance of the class means. If every class is one point, it is 0.
#
# With many units the variances become matrices, the covariances S_w and S_b, and the quotient becomes NC1 = trace(S_w · S_b⁺) / classes: the same, added up over all
# directions in which the class means differ. (S_b⁺, the *pseudo-inverse*, divides in these directions only.) Let's write it ourselves:


# %%
def nc1(x, labels):
    """trace(S_w · pinv(S_b)) / classes, of activations [example, unit]."""
    classes = np.unique(labels)
    means = np.stack([x[labels == label].mean(0) for label in classes])
    centered = means - means.mean(0)
    between = centered.T @ centered / len(classes)
    spread = [x[labels == label] - mean for label, mean in zip(classes, means, strict=True)]
    within = sum(part.T @ part / len(part) for part in spread) / len(classes)
    return np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / len(classes)


# %% [markdown]
# We compare the network with itself before training. **How many times smaller is NC1 at the end of training?**

# %%
mine = 10  # your guess
lesson.guess("collapse", mine)

# %% tags=["varies"]
acts = run.activations(last)
weights = xr.DataArray(
    np.stack([run.weights(step)["output.weight"].numpy() for step in run.steps]), dims=("snapshot", "class", "unit")
)
collapse = geometry.neural_collapse(acts, weights, logits=run.activations("logits"))

by_hand = [nc1(acts.values[i].astype(float), run.probe.labels) for i in (0, -1)]
assert abs(by_hand[0] / float(collapse["nc1"][0]) - 1) < 1e-3
assert abs(by_hand[1] / float(collapse["nc1"][-1]) - 1) < 1e-3
assert by_hand[1] < by_hand[0] / 3
assert not lesson.full or by_hand[1] < 0.05
shuffled = float(collapse["nc1_null_low"][-1])
if lesson.reveal("collapse", by_hand[0] / by_hand[1]):
    print(f"NC1 {by_hand[0]:.2f} untrained, {by_hand[1]:.4f} at the end; with shuffled labels {shuffled:.0f} or more")
    display(nm.plots.collapse_over_time(collapse))

# %% [markdown]
# *What to look at:* the black lines against the gray, which is the *null*: the same measure with shuffled labels.
#
# * Upper left: NC1 falls by orders of magnitude. (The dashed line is a simpler form of it: all variance within the classes over all variance between them.)
# * Lower left: the output weights turn until they point where the class means do.
# * Lower right: the network soon predicts, for nearly every image, the class whose mean is nearest.
# * Upper right: the class means approach a *simplex*, in which all lengths and all angles are equal. Look twice here. Random directions in many dimensions are at nearly equal
#   angles anyway, so shuffled labels come close too. We may only count what lies below the gray band.
#
# So the theory holds on these images: each class becomes nearly one point. The lines go back up for a moment late in training, which no theory asked for; it is one run, so we leave it.

# %% [markdown]
# So far we have measured training images. **How many times larger is NC1 on images that the network never saw?**

# %%
mine = 2  # your guess
lesson.guess("unseen", mine)

# %% tags=["varies"]
model = run.model()
fresh = nm.activations(model, unseen, (last, "logits"))
on_unseen = float(geometry.neural_collapse(fresh[last], logits=fresh["logits"])["nc1"][0])
assert not lesson.full or on_unseen > 3 * by_hand[1]
if lesson.reveal("unseen", on_unseen / by_hand[1]):
    lesson.say(f"""On {len(unseen):,} unseen images NC1 is {on_unseen:.3f}, against {by_hand[1]:.4f} on the training images. The network classifies
{nm.evaluate(model, unseen).accuracy:.1%} of the unseen ones correctly. {"Most of the collapse happens to the images we trained on" if on_unseen > 3 * by_hand[1] else "The collapse is seen on both"}.""")

# %% [markdown]
# **Does it hold on another seed?** We change the initialization and, to save time, train half as long.

# %% tags=["varies"]
other = run_of("collapse-seed1", three_layers, replace(tidy, epochs=100, seed=1), quick=24)
ends = [nc1(other.activations(last).values[i].astype(float), other.probe.labels) for i in (0, -1)]
print(f"seed 1: NC1 {ends[0]:.2f} untrained, {ends[1]:.4f} at the end")
if ends[1] < by_hand[1]:
    lesson.say("That is even lower than after the longer training. With one run of each we can't say why.")
assert ends[1] < ends[0] / 2
assert not lesson.full or ends[1] < 0.05

# %% [markdown]
# ### Exercise 1: the angles of a simplex
# *Difficulty ●●○○ · 10 minutes*
#
# Take ten points that are as far from each other as possible. Seen from their middle, any two of them are at the same angle, and its cosine is −1/9. How close are our class
# means to that?
#
# Write `cosines(means)`: from class means [class, unit], the cosines between all pairs of classes, seen from the mean of the means. Return a flat array, or a list, with one number for
# each pair (i, j) with i < j, in the order (0, 1), (0, 2), …, (1, 2), ….

# %% [markdown] tags=["hint"]
# Subtract `means.mean(0)`, scale each row to length 1, multiply with the transpose. `np.triu_indices(len(means), 1)` are the pairs above the diagonal.


# %% tags=["stub"]
def cosines(means):
    raise NotImplementedError("return one cosine for each pair of classes")


# %% tags=["solution"]
def cosines(means):
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    for classes, units in ((4, 6), (3, 2), (10, 25), (5, 40), (2, 7)):
        means = rng.normal(3.0, 1.0, (classes, units)) * rng.uniform(0.5, 3, (classes, 1)) * 10.0 ** (3 - classes)
        with lessons.unchanged(means=means):
            found = cosines(means)
        assert found is not None, "nothing comes back: return the cosines"
        found = np.asarray(found, float)
        pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
        assert found.shape == (len(pairs),), (
            f"{classes} classes have {len(pairs)} pairs; found an array of shape {found.shape}"
        )
        seen = [means[k] - sum(means) / classes for k in range(classes)]
        true = [sum(seen[i] * seen[j]) / (sum(seen[i] ** 2) * sum(seen[j] ** 2)) ** 0.5 for i, j in pairs]
        worst = int(np.abs(found - true).argmax())
        assert np.allclose(found, true, atol=1e-5), (
            f"between classes {pairs[worst]} of {classes} the cosine is {true[worst]:.6f}, not {found[worst]:.6f}: is it seen from the middle of "
            "the classes, is each row scaled to its own length, and are the pairs in order"
        )
    corners = np.asarray(cosines(np.eye(4) + 5.0))
    assert np.allclose(corners, -1 / 3, atol=1e-5), (
        f"four corners of a simplex have the cosine −1/3; found {np.round(corners, 3).tolist()}"
    )
    means = np.stack([acts.values[-1][run.probe.labels == label].mean(0) for label in range(10)])
    found = np.asarray(cosines(means))
    print(f"the network's class means: {found.min():.2f} to {found.max():.2f}; a simplex: {-1 / 9:.2f}")


# %% tags=["right"]
def cosines(means):  # pair by pair
    seen = [row - np.mean(means, axis=0) for row in means]
    return np.array([a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(seen) for b in seen[i + 1 :]])


# %% tags=["right"]
def cosines(means):  # torch
    x = torch.as_tensor(means, dtype=torch.float64)
    x = torch.nn.functional.normalize(x - x.mean(0), dim=1)
    i, j = torch.triu_indices(len(x), len(x), 1)
    return (x[i] * x[j]).sum(1)


# %% tags=["right"]
def cosines(means):  # scipy, a list
    from scipy.spatial.distance import pdist

    return (1 - pdist(means - means.mean(0), "cosine")).tolist()


# %% tags=["wrong"]
def cosines(means):  # seen from the origin
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # no scaling
    centered = means - means.mean(0)
    return (centered @ centered.T)[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # always the simplex
    classes = len(means)
    return np.full(classes * (classes - 1) // 2, -1 / (classes - 1))


# %% tags=["wrong"]
def cosines(means):  # the diagonal is among the pairs
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means))]


# %% tags=["wrong"]
def cosines(means):  # one length for all rows
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1).mean()
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # takes the mean of each class away, in place of the mean of the classes
    centered = means - means.mean(1, keepdims=True)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # angles
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return np.arccos(np.clip(unit @ unit.T, -1, 1))[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # changes what was given
    means -= means.mean(0)
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["wrong"]
def cosines(means):  # the first four classes only
    centered = means - means.mean(0)
    unit = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return (unit @ unit.T)[: min(10, len(means)), : min(4, len(means))][np.triu_indices(min(4, len(means)), 1)]


# %% [markdown]
# ## 2. The edge of stability
#
# How large a step can gradient descent take? Start with the simplest loss, a parabola with curvature s: L(w) = s w² / 2. A step of rate η (eta) turns w into w − η s w =
# (1 − η s) w. If η s is above 2, then w comes out larger than it was and with the other sign, and each step makes it worse. So descent is stable only while the
# curvature is below 2/η.
#
# A network's loss has a curvature in every direction of its weights. The largest of them is its [*sharpness*](../docs/glossary.md). You would choose a rate small enough
# for the loss at hand. Cohen and others (2021) watched the sharpness while plain gradient descent ran, and found something that classical theory did not expect.
#
# First the measure. All second derivatives of the loss form a matrix, the *Hessian* H. Along a direction v of length 1 the curvature is v · (H v), and the largest of all these
# curvatures is called the largest *eigenvalue* of H. That is the sharpness.
#
# With thousands of weights we can't write H down. But H v for one vector v takes just two backward passes, and that is all we need. We multiply a random vector by H again and
# again, and scale it back to length 1 each time. Each step stretches its part along the most curved direction most, so it turns there. This is *power iteration*.

# %%
import copy

from torch import nn

five_hundred = lesson.data.train.balanced(lesson.pick(500, 200), seed=0)
pixels, targets = five_hundred.tensor().flatten(1), nn.functional.one_hot(five_hundred.label_tensor(), 10).float()
mean_image = pixels.mean(0)


class Centered(nn.Module):
    """A tanh network that sees images less their mean."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(
            nn.Linear(len(mean_image), 50), nn.Tanh(), nn.Linear(50, 50), nn.Tanh(), nn.Linear(50, 10)
        )

    def forward(self, images):
        return self.body(images.flatten(1) - mean_image)


def loss_of(model):
    return (model(pixels) - targets).square().sum(1).mean() / 2


def times_hessian(model, v):
    """H·v, for v as one flat vector of all parameters."""
    parameters = list(model.parameters())
    slopes = torch.autograd.grad(loss_of(model), parameters, create_graph=True)
    along = torch.cat([slope.flatten() for slope in slopes]) @ v
    return torch.cat([part.flatten() for part in torch.autograd.grad(along, parameters)])


model = Centered(seed=0)
count = sum(parameter.numel() for parameter in model.parameters())
v = torch.randn(count, generator=torch.Generator().manual_seed(0))
v /= v.norm()
at_random = float(v @ times_hessian(model, v))  # the curvature in a random direction
for _ in range(60):
    image = times_hessian(model, v)
    sharpness_by_hand = float(v @ image)
    v = image / image.norm()
library = dynamics.sharpness(model, five_hundred, loss="mse")
assert abs(sharpness_by_hand / float(library["sharpness"]) - 1) < 0.02
print(
    f"{count:,} weights; sharpness {sharpness_by_hand:.2f} by power iteration, {float(library['sharpness']):.2f} by the library"
)
print(f"in a random direction: {at_random:.4f}")

# %% [markdown]
# In a random direction the loss is nearly flat. So the most curved direction is a special one, and we needed the iteration to find it.
#
# Now we train with plain gradient descent, on all images at every step (*full-batch*), at three rates: η = 0.1, 0.2 and 0.4. A smaller rate gets proportionally more steps. **Where will the sharpness be in the end at η = 0.2?**

# %%
mine = 2  # your guess
lesson.guess("edge", mine)


# %% tags=["varies"]
TIME, READINGS = lesson.pick((280, 15), (110, 10))


def descend(rate, seed=0, time=TIME, start=None, readings=READINGS):
    """(time, sharpness, loss, model) along full-batch gradient descent from ``start``; time is rate times steps."""
    model = copy.deepcopy(start) if start else Centered(seed)
    parameters = list(model.parameters())
    steps = round(time / rate)
    read_at = set(np.linspace(0, steps, readings).round().astype(int).tolist())
    found, losses = [], []
    for step in range(steps + 1):
        loss = loss_of(model)
        losses.append(loss.item())
        if step in read_at:
            found.append((rate * step, float(dynamics.sharpness(model, five_hundred, loss="mse")["sharpness"])))
        slopes = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter -= rate * slope
    return *np.array(found).T, np.array(losses), model


paths = {rate: descend(rate) for rate in (0.1, 0.2, 0.4)}
settled = {rate: float(path[1][-4:].mean()) for rate, path in paths.items()}
ups = {rate: float((np.diff(path[2]) > 0).mean()) for rate, path in paths.items()}
arrived = abs(settled[0.2] - 10) < 1.5 and abs(settled[0.4] - 5) < 1
assert not lesson.full or 9 < settled[0.2] < 11.5
assert not lesson.full or 4.5 < settled[0.4] < 6
assert not lesson.full or settled[0.1] > 11.5
if lesson.reveal("edge", settled[0.2]):
    display(
        nm.plots.lines(
            {f"η = {rate}": path[:2] for rate, path in paths.items()},
            marks={f"2 / {rate}": 2 / rate for rate in (0.2, 0.4)},
            x="steps × rate",
            y="sharpness",
            title="The sharpness climbs to 2 / η and stays near it" if arrived else "The sharpness climbs",
        )
    )
    lesson.say(f"""*What to look at:* from the same initialization {"two of the paths climb until they meet their own level" if arrived else "the paths climb; in this short run not all of them reach their level"}.
The mean of the last four readings is {settled[0.2]:.1f} at η = 0.2, where 2/η is 10, and {settled[0.4]:.1f} at η = 0.4, where it is 5. At η = 0.1, where it is 20, the last
reading is {paths[0.1][1][-1]:.1f}{": this path has only just reached its level" if 19 < paths[0.1][1][-1] < 21 else ""}.""")
    above = [rate for rate in (0.2, 0.4) if settled[rate] > 2 / rate]
    if arrived and above:
        lesson.say(
            f"""Look closely: at η = {" and ".join(map(str, above))} the sharpness stays a little *above* 2/η. Cohen and others saw the same."""
        )
    lesson.say(f"""The loss does not fall at every step: it rises in {ups[0.2]:.0%} of the steps at η = 0.2 and in {ups[0.4]:.0%} at η = 0.4 ({ups[0.1]:.0%} at 0.1). And yet
over the whole path at η = 0.4 it goes from {paths[0.4][2][0]:.2f} to {paths[0.4][2][-1]:.3f}.""")

# %% [markdown]
# On the parabola, any curvature above 2/η would make the weights grow without end. Here the loss goes up and down, and falls in the long run. Something holds the sharpness at 2/η. Is it the steps, or did the loss happen to be that
# sharp where the path ended?

# %% [markdown]
# Let's take the cause away. We go on from the network that ended at η = 0.4, once with the same rate and once with η = 0.05, whose own edge is at 40. If the large steps held
# the sharpness down, it should start to climb again. **Where will it be after the same time at η = 0.05?**

# %%
mine = 5  # your guess
lesson.guess("switch", mine)

# %% tags=["varies"]
at_the_edge = paths[0.4][3]
on = {rate: descend(rate, time=TIME / 4, start=at_the_edge, readings=8) for rate in (0.4, 0.05)}
climbed = float(on[0.05][1][-1]), float(on[0.4][1][-3:].mean())
if lesson.reveal("switch", climbed[0]):
    display(
        nm.plots.lines(
            {f"on with η = {rate}": path[:2] for rate, path in on.items()},
            marks={"2 / 0.4": 5.0},
            x="steps × rate since the switch",
            y="sharpness",
            title="With smaller steps the sharpness climbs again"
            if climbed[0] > climbed[1] + 1
            else "After the switch to smaller steps",
        )
    )
    lesson.say(f"""*What to look at:* the two lines, which start from the same weights. With η = 0.05 the sharpness ends at {climbed[0]:.1f}, with η = 0.4 it stays at {climbed[1]:.1f}.
{"So the loss would have let it climb, and it was the size of the steps that held it" if climbed[0] > climbed[1] + 1 else "In this run the switch makes no large difference, so it does not tell what held the sharpness"}.""")

# %% [markdown]
# How can steps hold a sharpness? Here is the smallest loss I know that shows it, with two weights: L(x, y) = x² y² / 2. It is a valley along y, and across the valley its
# curvature is y². We start close to the floor, at x = 0.01, where the valley is steep, y = 4.

# %%
for rate in (0.1, 0.2):
    x, y, farthest = 0.01, 4.0, 0.0
    for _ in range(200):
        x, y = x - rate * x * y * y, y - rate * x * x * y
        farthest = max(farthest, abs(x))
    print(
        f"η = {rate}: 2/η = {2 / rate:2.0f}, curvature 16.00 at the start, {y * y:.2f} at the end; |x| was at most {farthest:.2f}"
    )

# %% [markdown]
# With η = 0.1 the curvature of 16 is below the edge, x shrinks, and y stays where it is. With η = 0.2 it is above the edge: x swings from side to side and grows. But the
# slope along y is x² y, so the wider the swing, the harder it pushes y down, until the curvature is below 2/η and the swing dies out.
#
# That is a mechanism in a toy of two weights. In the network we have shown that the steps hold the sharpness; that they do it by this mechanism, we have not.
#
# **Does it hold on another seed?**

# %% tags=["varies"]
time, sharp, *_ = descend(0.4, seed=1)
print(f"seed 1, η = 0.4: sharpness {sharp[0]:.1f} at the start, {sharp[-4:].mean():.1f} at the end; 2/η = 5")
assert not lesson.full or 4.5 < sharp[-4:].mean() < 6

# %% [markdown]
# ### Exercise 2: curvature without calculus
# *Difficulty ●●●○ · 15 minutes*
#
# Let's check the sharpness without any derivative. Write `curvature(loss, w, v)`: the curvature of the function `loss` at the point w (a flat float64 tensor) along the
# direction v, from values of `loss` alone, at three points: w, a step of 0.0001 ahead, and a step of 0.0001 back. v may have any length; only its direction counts.

# %% [markdown] tags=["hint"]
# (L(w + εu) − 2 L(w) + L(w − εu)) / ε², where u is v scaled to length 1.


# %% tags=["stub"]
def curvature(loss, w, v):
    raise NotImplementedError("return one number, the curvature along v")


# %% tags=["solution"]
def curvature(loss, w, v):
    step = 1e-4 * v / v.norm()
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-8)


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    for size, bent in ((2, 1), (3, -1), (5, 1), (8, -1), (2, -1)):  # bent upward or downward
        made = torch.from_numpy(rng.normal(size=(size, size)))
        matrix, slope = made + made.T + bent * 30 * torch.eye(size), torch.from_numpy(rng.normal(size=size))
        asked = []

        def bowl(w, matrix=matrix, slope=slope, asked=asked):
            asked.append((w.detach().clone(), w.requires_grad))
            return w @ matrix @ w / 2 + slope @ w + (w**4).sum()

        here, ahead = (torch.from_numpy(rng.normal(size=size)) for _ in range(2))
        ahead = ahead * float(10 ** rng.uniform(-9, 2))
        curvature(bowl, here - 1, ahead)  # another point first, of the same function
        asked.clear()
        with lessons.unchanged(w=here, v=ahead):
            found = curvature(bowl, here, ahead)
        assert found is not None and np.ndim(found) == 0, f"one number is asked for, not {found}"
        u = ahead / ahead.norm()
        true = float(u @ matrix @ u + (12 * here**2 * u * u).sum())
        assert abs(float(found) - true) < 1e-3 * (1 + abs(true)), (
            f"along a direction of length {float(ahead.norm()):.3g} the curvature is {true:.3f}, not {float(found):.3f}: is v scaled to length 1, "
            "are there a step ahead, a step back and twice the middle, and is it divided by the step squared"
        )
        assert not any(slopes for _, slopes in asked), "loss is asked for a gradient: use its values alone"
        steps = [float((w - here) @ u) for w, _ in asked]
        for step in steps:
            assert min(abs(step - wanted) for wanted in (-1e-4, 0, 1e-4)) < 1e-9, (
                f"loss is asked {abs(step):.3g} from w: take a step of 0.0001 ahead, one back, and w itself"
            )
        assert max(steps) > 0 > min(steps), "loss is asked on one side of w only: take a step ahead and a step back"
    ends = Centered(seed=0).double()
    start = torch.cat([parameter.detach().flatten() for parameter in ends.parameters()])

    def loss(w):
        nn.utils.vector_to_parameters(w, ends.parameters())
        with torch.no_grad():
            return (ends(pixels.double()) - targets.double()).square().sum(1).mean() / 2

    found = float(curvature(loss, start, v.double()))
    assert abs(found / sharpness_by_hand - 1) < 0.02, (
        f"along the steepest direction of the network it gives {found:.3f}, power iteration {sharpness_by_hand:.3f}"
    )
    print(f"along the steepest direction: {found:.3f} from three losses, {sharpness_by_hand:.3f} by power iteration")


# %% tags=["right"]
def curvature(loss, w, v):  # the slope of the slope
    h = 1e-4
    u = v / torch.sqrt((v**2).sum())
    ahead = (loss(w + h * u) - loss(w)) / h
    behind = (loss(w) - loss(w - h * u)) / h
    return (ahead - behind) / h


# %% tags=["right"]
def curvature(loss, w, v):  # numbers of Python
    u = torch.nn.functional.normalize(v, dim=0)
    back, here, ahead = (float(loss(w + k * 1e-4 * u)) for k in (-1, 0, 1))
    return (back + ahead - 2 * here) / 1e-4**2


# %% tags=["wrong"]
def curvature(loss, w, v):  # five values, two of them farther away
    u = v / torch.linalg.norm(v) * 1e-4
    far, near = loss(w + 2 * u) + loss(w - 2 * u), loss(w + u) + loss(w - u)
    return float((16 * near - far - 30 * loss(w)) / 12e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # v at its own length, divided as if it were 1
    step = 1e-4 * v
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # two, and four, in place of a step back
    step = 1e-4 * v / v.norm()
    return float((loss(w + 2 * step) - 2 * loss(w + step)) / 1e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # ahead only: curvature a little elsewhere, forgets the middle's factor
    step = 1e-4 * v / v.norm()
    return float((loss(w + step) - loss(w) + loss(w - step)) / 1e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # the slope
    step = 1e-4 * v / v.norm()
    return float((loss(w + step) - loss(w - step)) / 2e-4)


# %% tags=["wrong"]
def curvature(loss, w, v):  # half of it
    step = 1e-4 * v / v.norm()
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 2e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # its size, whatever its sign
    step = 1e-4 * v / v.norm()
    return abs(float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-8))


# %% tags=["wrong"]
def curvature(loss, w, v):  # a step that is too large
    step = 0.1 * v / v.norm()
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 0.01)


# %% tags=["wrong"]
def curvature(loss, w, v):  # along v with its largest entry at 1
    step = 1e-4 * v / v.abs().max()
    return float((loss(w + step) - 2 * loss(w) + loss(w - step)) / 1e-8)


# %% tags=["wrong"]
def curvature(loss, w, v):  # moves w itself
    step = 1e-4 * v / v.norm()
    here = loss(w)
    ahead = loss(w.add_(step))
    return float((ahead - 2 * here + loss(w - 2 * step)) / 1e-8)


# %% [markdown]
# ## 3. Memorize first, generalize later
#
# Usually training and test accuracy rise together. They don't have to. Power and others (2022) saw small networks reach perfect training accuracy and, long after that, good
# test accuracy. They called it [*grokking*](../docs/glossary.md), or *delayed generalization*. Liu and others (2022) found a way to make it happen on MNIST: begin with
# **weights eight times too large**, and let weight decay shrink them.
#
# *Weight decay* makes every weight a little smaller at each step. We take a thousand training images, squared error, AdamW, and batches of 200. The network classifies 60%
# of its training images correctly after some hundred steps. **How many steps later does it do so with 60% of the *test* images?**

# %%
mine = 50  # your guess
lesson.guess("delay", mine)


# %% tags=["varies", "card"]
def delayed(scale, seed, steps, decay=0.5):
    """(step, training accuracy, test accuracy, length of all weights as one vector) of a network, its initial weights times ``scale``."""
    images = lesson.data.train.balanced(len(thousand), seed=seed)
    config = nm.MLPConfig(hidden=(200, 200), init_scale=scale, image_shape=images.image_shape)
    model = nm.MLP(config, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)
    x, wanted = images.tensor(), nn.functional.one_hot(images.label_tensor(), 10).float()
    order = torch.Generator().manual_seed(seed)
    read_at = {round(1.35**i) for i in range(100)} | {steps}
    found = []
    step = 0
    while step < steps:
        for batch in torch.randperm(len(x), generator=order).split(200):
            loss = nn.functional.mse_loss(model(x[batch]), wanted[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step in read_at:
                length = float(nn.utils.parameters_to_vector(model.parameters()).detach().norm())
                found.append((step, nm.evaluate(model, images).accuracy, nm.evaluate(model, unseen).accuracy, length))
    return np.array(found).T


def reached(steps, accuracies, level=0.6):
    """The first measured step with an accuracy above the level; nan for never."""
    above = np.flatnonzero(accuracies > level)
    return steps[above[0]] if len(above) else np.nan


large = delayed(8.0, seed=0, steps=lesson.pick(3200, 1000))
usual = delayed(1.0, seed=0, steps=60)
delays = {
    name: reached(path[0], path[2]) - reached(path[0], path[1])
    for name, path in {"large": large, "usual": usual}.items()
}
later = delays["large"]
gap = large[1] - large[2]
widest = int(gap.argmax())
assert not lesson.full or gap.max() > 0.3
assert not lesson.full or delays["large"] > 200
assert not lesson.full or delays["usual"] < 20
assert not lesson.full or large[2][-1] > 0.75
if lesson.reveal("delay", f"{later:,.0f}" if np.isfinite(later) else "never in this short run"):
    print(f"with the usual initial weights: {delays['usual']:.0f} (measured at steps 1, 2, 3, 4, 6, 8, 11 and so on)")
    display(
        nm.plots.lines(
            {
                "training images": (large[0], 100 * large[1]),
                "test images": (large[0], 100 * large[2]),
                "test, usual weights": (usual[0], 100 * usual[2]),
            },
            marks={"chance level": 10},
            log_x=True,
            x="optimizer step",
            y="accuracy (%)",
            title="It memorizes first and generalizes later" if gap.max() > 0.3 else "Training and test images",
        )
    )
    lesson.say(f"""*What to look at:* at step {large[0][widest]:,.0f} the network with large weights has a training accuracy of {large[1][widest]:.0%} and a test accuracy of
{large[2][widest]:.0%} ({len(unseen):,} test images; chance level 10%). At the end its test accuracy is {large[2][-1]:.0%}. With the usual initial weights, drawn for their first
{usual[0][-1]:.0f} steps, the two rise side by side, to {usual[1][-1]:.0%} and {usual[2][-1]:.0%}.""")
    lesson.say(
        f"""All weights as one vector begin {large[3][0] / usual[3][0]:.0f} times as long as usual, and shrink to {large[3][-1] / large[3][0]:.0%} of that."""
    )
    first, later = (reached(large[0], large[2], level) for level in (0.2, 0.6))
    if np.isfinite(later):
        lesson.say(f"""How sudden is the rise? The test accuracy is above 20% from step {first:,.0f} on and above 60% from step {later:,.0f} on: the rise takes {later - first:,.0f} steps.
The axis is logarithmic and makes it look shorter.""")

# %% [markdown]
# The word "grokking" promises suddenness. Look at the axis before you believe it.

# %% [markdown]
# And what brings the test accuracy up? The weights shrink, and the test accuracy rises; two things that happen together are not yet cause and effect. So we take the weight decay
# away and leave everything else as it was: the same weights, images and order. We also give it three times as long. **What will its test accuracy be at the end?**

# %%
mine = 0.6  # your guess
lesson.guess("decay", mine)

# %% tags=["varies"]
without = delayed(8.0, seed=0, steps=lesson.pick(9600, 2000), decay=0.0)
late = without[0] >= large[0][widest]
if lesson.reveal("decay", without[2][-1]):
    display(
        nm.plots.lines(
            {
                "with weight decay": (large[0], 100 * large[2]),
                "without": (without[0], 100 * without[2]),
                "without, training images": (without[0], 100 * without[1]),
            },
            marks={"chance level": 10},
            log_x=True,
            x="optimizer step",
            y="accuracy (%)",
            title="Without weight decay it stays memorized"
            if without[2][-1] < 0.5
            else "With and without weight decay",
        )
    )
    lesson.say(f"""*What to look at:* without weight decay the training accuracy reaches {without[1][-1]:.0%}, and from step {without[0][late][0]:,.0f} to step {without[0][-1]:,.0f} the test
accuracy stays between {without[2][late].min():.0%} and {without[2][late].max():.0%}. With weight decay it is {large[2][-1]:.0%} at step {large[0][-1]:,.0f}. Without it, the weights end
at {without[3][-1] / without[3][0]:.0%} of their length at the start.""")
    lesson.say(
        "With everything else equal, weight decay is what lets this network generalize."
        if large[2][-1] - without[2].max() > 0.3
        else "In this short run the two differ too little to say what weight decay does."
    )

# %% [markdown]
# **Does it hold on another seed?** We take other weights and other thousand images: with weight decay and without it.

# %% tags=["varies"]
again = delayed(8.0, seed=1, steps=lesson.pick(3200, 1000))
never = delayed(8.0, seed=1, steps=lesson.pick(3200, 1000), decay=0.0)
print(
    f"seed 1 at step {again[0][widest]:,.0f}: training accuracy {again[1][widest]:.0%}, test accuracy {again[2][widest]:.0%}"
)
print(
    f"seed 1 at step {again[0][-1]:,.0f}: test accuracy {again[2][-1]:.0%} with weight decay, {never[2][-1]:.0%} without"
)
assert not lesson.full or again[1][widest] - again[2][widest] > 0.3
assert not lesson.full or again[2][-1] - never[2][-1] > 0.3

# %% [markdown]
# ## 4. Random labels
#
# Zhang and others (2017) gave every training image a random label. There is nothing to generalize, so a network can only *memorize*: fit each image by what is peculiar to it.
# It can do that: its training accuracy on the random labels reaches 100%. So when networks don't just memorize, it isn't for lack of ability.
#
# Let's watch it happen. We replace each label with probability ½, once and for all; of these, one in ten gets its true label back by luck. So a bit less than half of the
# images carry a **false** label. At each snapshot we ask two things about them: for how many does the network predict the *given*, false label, and for how many the *true*
# one, which it was never given?
#
# At the end it will predict the given label for nearly all. **But at its best snapshot, for what share of the falsely labeled images does it predict the truth?** (Chance: 0.1.)

# %%
mine = 0.3  # your guess
lesson.guess("truth", mine)

# %% tags=["varies"]
plain = nm.TrainConfig(epochs=100, batch_size=100, learning_rate=2e-3)
wide = nm.MLPConfig(hidden=(128, 128))


def noisy(share, seed):
    """(run, the labels it was given for its probe images) with a share of the labels replaced."""
    run = run_of(f"labels-{share:g}-{seed}", wide, replace(plain, label_noise=share, seed=seed), quick=81)
    return run, noisy_labels(thousand, run.train_config).numpy()[run.probe_indices]


half, given = noisy(0.5, seed=0)
true = half.probe.labels
false = given != true
said = half.activations("logits").values.argmax(2)  # [snapshot, example]
as_truth, as_given = (said == true)[:, false].mean(1), (said == given)[:, false].mean(1)
steps = np.array(half.steps)

rng = np.random.default_rng(0)
low, high = np.percentile(
    [(said[:, false] == rng.permutation(true[false])).mean(1) for _ in range(200)], [2.5, 97.5], axis=0
)
peak = int(as_truth.argmax())
scores = [nm.evaluate(half.model(step), unseen).accuracy for step in (half.steps[peak], half.steps[-1])]
assert as_truth[peak] > high[peak]
assert not lesson.full or (as_truth[peak] > 0.55 and as_given[-1] > 0.95)
assert not lesson.full or scores[0] > scores[1] + 0.1
if lesson.reveal("truth", float(as_truth.max())):
    display(
        nm.plots.lines(
            {"predicted true label": (steps, 100 * as_truth), "predicted given label": (steps, 100 * as_given)},
            null={"shuffled": (steps, 100 * low, 100 * high)},
            steps=True,
            x="step",
            y="falsely labeled images (%)",
            title="It fits the true labels before the false ones",
        )
    )
    lesson.say(f"""*What to look at:* {false.sum()} images carry a false label. At step {steps[peak]} the network predicts the truth for {as_truth[peak]:.0%} of them, though every
step trains it otherwise, and the given label for {as_given[peak]:.0%}. At the end it is {as_truth[-1]:.0%} and {as_given[-1]:.0%}. In gray: the true labels shuffled among
these images.""")
    lesson.say(f"""Its accuracy on unseen images goes from {scores[0]:.0%} at that step to {scores[1]:.0%} at the end:
{"memorizing undoes a part of what was general" if scores[0] > scores[1] else "in this short run nothing is undone yet"}.""")

# %% [markdown]
# **Does it hold on another seed?** We change the weights and the false labels.

# %% tags=["varies"]
other, other_given = noisy(0.5, seed=1)
other_true = other.probe.labels
wrong = other_given != other_true
other_said = other.activations("logits").values.argmax(2)[:, wrong]
found = (other_said == other_true[wrong]).mean(1)
print(
    f"seed 1: the truth for {found.max():.0%} of {wrong.sum()} at step {other.steps[found.argmax()]}, for {found[-1]:.0%} at the end"
)
assert not lesson.full or (found.max() > 0.55 and found[-1] < 0.2)

# %% [markdown]
# Why? The usual explanation (Arpit and others, 2017): a pattern that many images share moves the weights the same way at every step, while a single false label pulls
# alone, in a direction of its own. So what is common is fitted first. We can test one part of it: images with false labels should be learned late.
#
# ### Early and late examples
#
# An image's [*margin*](../docs/glossary.md) is here the logit of its *given* label minus the highest other logit. It is above 0 where the network predicts the given label. Let's draw
# the mean margin of both kinds of images.

# %% tags=["varies"]
logits = half.activations("logits")
margin = predictions.margins(logits.assign_coords(label=("example", given)))["margin"].values  # [snapshot, example]
by_hand = []
for row, label in zip(logits.values[-1], given, strict=True):
    by_hand.append(row[label] - np.delete(row, label).max())
assert np.allclose(by_hand, margin[-1], atol=1e-4)


gaps = [margin[:, ~d].mean(1) - margin[:, d].mean(1) for d in (rng.permutation(false) for _ in range(200))]
difference = margin[:, ~false].mean(1) - margin[:, false].mean(1)
half_way = int(np.argmin(np.abs((said == given).mean(1) - 0.7)))  # where 70% of all given labels are predicted
bound = float(np.percentile(np.abs(gaps), 97.5, axis=0)[half_way])
assert difference[half_way] > bound
display(
    nm.plots.lines(
        {"true label": (steps, margin[:, ~false].mean(1)), "false label": (steps, margin[:, false].mean(1))},
        marks={"predicted": 0.0},
        steps=True,
        x="step",
        y="mean margin of the given label",
        title="False labels are learned last",
    )
)
lesson.say(f"""*What to look at:* where each line crosses 0. At step {steps[half_way]} the mean margin of truly labeled images is {difference[half_way]:.1f} above that of the
falsely labeled ones; for random divisions of the images it is at most {bound:.2f} (95% of 200).""")

# %% [markdown]
# Without any false labels there are early and late images too. Those that come last are worth a look:

# %% tags=["varies"]
clean, _ = noisy(0.0, seed=0)
nm.plots.image_lives(predictions.learning_order(clean.activations("logits")), clean.probe.images, hardest=18)

# %% [markdown]
# *What to look at:* each row on the left is a training image, filled where it is misclassified. Rows that are white at the far left are images on which the untrained network happens to be right;
# where they are filled after that, the image was forgotten. On the right are the images that are misclassified at the most snapshots. Would you have classified all of them correctly? Below
# them, some digits are learned earlier than others (the gray band shows shuffled labels).
#
# ### Exercise 3: find the false labels
# *Difficulty ●●●○ · 15 minutes*
#
# This has a use: it finds wrong labels in a data set. Write `suspects(margin, n)`: from margins of the given labels over training [snapshot, example], the n images with the lowest
# mean margin over all snapshots, lowest first, as example numbers. (In the end every image is learned, so the last snapshot alone tells little.)

# %% [markdown] tags=["hint"]
# `margin.mean(0)` is the mean over the snapshots. `np.argsort` puts the lowest first.


# %% tags=["stub"]
def suspects(margin, n):
    raise NotImplementedError("return the numbers of n examples")


# %% tags=["solution"]
def suspects(margin, n):
    return np.argsort(margin.mean(0), kind="stable")[:n]


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    for snapshots, examples, n in ((9, 30, 7), (9, 30, 7), (4, 6, 2), (15, 12, 12), (3, 50, 1), (20, 4000, 500)):
        history = rng.normal(size=(snapshots, examples)).cumsum(0) * rng.uniform(0.2, 3, examples) / n**3
        history[:, -1] = history[:, history.mean(0).argmin()]  # a twin: either may come first
        with lessons.unchanged(margin=history):
            found = suspects(history, n)
        assert found is not None, "nothing comes back: return the numbers of the examples"
        found = np.asarray(found)
        assert found.shape == (n,), f"{n} of {examples} examples were asked for; found an array of shape {found.shape}"
        assert np.issubdtype(found.dtype, np.integer), f"example numbers are whole numbers; found {found.tolist()[:3]}"
        assert len(set(found.tolist())) == n, "the same image was named twice"
        assert found.min() >= 0 and found.max() < examples, (
            f"there are only examples 0 to {examples - 1}; found {found.tolist()}"
        )
        means = [sum(history[:, i]) / snapshots for i in range(examples)]
        named = sorted(means[i] for i in found)
        assert np.allclose(named, sorted(means)[:n], 1e-9, 0), (
            f"the {n} lowest of {examples} mean margins go from {min(means):.3g} to {sorted(means)[n - 1]:.3g}; those of your suspects from "
            f"{named[0]:.3g} to {named[-1]:.3g}: is it the mean over all snapshots, and are the lowest taken"
        )
        assert np.allclose([means[i] for i in found], sorted(means)[:n], 1e-9, 0), (
            "these are the right ones, but in another order: the lowest mean over all snapshots should come first"
        )
    assert len(suspects(margin, 0)) == 0, "0 examples were asked for, and some came"
    found = np.asarray(suspects(margin, int(false.sum())))
    right, chance = float(false[found].mean()), float(false.mean())
    assert right > 1.5 * chance, f"of those named {right:.0%} carry a false label, by chance {chance:.0%}"
    print(f"of {len(found)} suspects {right:.0%} carry a false label; by chance {chance:.0%}")


# %% tags=["right"]
def suspects(margin, n):  # Python
    sums = margin.sum(axis=0)
    return sorted(range(margin.shape[1]), key=lambda i: sums[i])[:n]


# %% tags=["right"]
def suspects(margin, n):  # torch
    return torch.as_tensor(np.array(margin)).mean(0).topk(n, largest=False, sorted=True).indices


# %% tags=["right"]
def suspects(margin, n):  # the highest doubt
    return np.argsort(-np.average(-margin, axis=0) * 1.0)[np.arange(n)]


# %% tags=["wrong"]
def suspects(margin, n):  # the last snapshot
    return np.argsort(margin[-1], kind="stable")[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # the first snapshot
    return np.argsort(margin[0], kind="stable")[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # those learned first
    return np.argsort(-margin.mean(0), kind="stable")[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # the lowest margin ever
    return np.argsort(margin.min(0), kind="stable")[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # always two
    return np.argsort(margin.mean(0), kind="stable")[:2]


# %% tags=["wrong"]
def suspects(margin, n):  # the highest comes first
    return np.argsort(margin.mean(0), kind="stable")[:n][::-1]


# %% tags=["wrong"]
def suspects(margin, n):  # ranks in place of examples
    return np.argsort(np.argsort(margin.mean(0)))[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # the margins in place of their examples
    return np.sort(margin.mean(0))[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # snapshots in place of examples
    return np.argsort(margin.mean(1), kind="stable")[:n]


# %% tags=["wrong"]
def suspects(margin, n):  # how often it is below 0
    return np.argsort(-(margin < 0).mean(0), kind="stable")[:n]


# %% [markdown]
# ### What does memorizing do inside?
#
# Now **all** labels are random, and for comparison none. Do the hidden layers differ? We look twice, over three seeds. First: are images of one *true* class near each
# other in the last hidden layer? [*Neighbor purity*](../docs/glossary.md) is the share of an image's ten nearest neighbors that are of its class. The untrained network is the
# control: images that look alike lie close in it already. **Does training on random labels raise the purity of the true classes above the untrained network's, or lower it?** Write
# `"raises"` or `"lowers"`.

# %%
mine = "raises"  # your guess
lesson.guess("purity", mine)


# %% tags=["varies"]
def purity(x, labels):
    """Share of the ten nearest neighbors with an image's own label, in the mean over all images."""
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
    nearest = distance.topk(10, largest=False).indices.numpy()
    return (labels[nearest] == labels[:, None]).mean()


hidden = clean.activations("layers.1.hook_post")
by_hand = purity(torch.from_numpy(hidden.values[-1]).double(), clean.probe.labels)
assert abs(by_hand - float(geometry.clusters(hidden, at=[-1], draws=1)["purity"][0])) < 0.005

SEEDS = lesson.pick((0, 1, 2), (0, 1))

memorized = [noisy(1.0, seed) for seed in SEEDS]
honest = [(clean, clean.probe.labels), *(noisy(0.0, seed) for seed in SEEDS[1:])]
layers = ["layers.0.hook_post", "layers.1.hook_post"]
near = {}
for name, runs in (("true labels", honest), ("random labels", memorized)):
    near[name] = []
    for run, taught in runs:
        hidden = run.activations(layers[1])
        fitted = (run.activations("logits").values[-1].argmax(1) == taught).mean()
        of_true = geometry.clusters(hidden, at=[0, -1])
        of_given = geometry.clusters(hidden.assign_coords(label=("example", taught)), at=[-1], draws=2)
        chance = float(of_true["purity_null_high"][1])
        near[name].append([fitted, *of_true["purity"].values[:2], float(of_given["purity"][0]), chance])
        assert not lesson.full or fitted > 0.97
    near[name] = np.array(near[name])
changes = near["random labels"][:, 2] - near["random labels"][:, 1]
if lesson.reveal("purity", "lowers" if (changes < 0).all() else "raises" if (changes > 0).all() else "both occur"):
    for name, rows in near.items():
        for fitted, before, after, given_class, chance in rows:
            print(
                f"{name}: training accuracy {fitted:6.1%}; neighbors of the true class {after:.0%} (untrained {before:.0%}, shuffled {chance:.0%} or less), "
                f"of the given class {given_class:.0%}"
            )
    goes = "lower" if (changes < 0).all() else "higher" if (changes > 0).all() else "on both sides of it"
    given_class = near["random labels"][:, 3]
    lesson.say(f"""*What to look at:* the last number of each line. With random labels, {given_class.min():.0%} to {given_class.max():.0%} of an image's neighbors have the same *given* label.
{"So the network has sorted the images by their labels and not by their looks." if (given_class > near["random labels"][:, 2]).all() else ""}""")
    lesson.say(
        f"""After training on random labels the purity of the true classes is {goes} than in the same networks untrained: by {", ".join(f"{100 * c:+.0f} points" for c in changes)}."""
    )

# %% [markdown]
# Think about what random labels ask for: to separate images that look alike.

# %% [markdown]
# For the second look we follow Morcos and others (2018): ablate units (set them to 0) in random order, and watch the *training* accuracy fall. The area under that curve is large if the
# network can spare many. **Which networks keep more of their accuracy, those with true labels or those with random labels?** Write one of the two.

# %%
mine = "random labels"  # your guess
lesson.guess("fragile", mine)


# %% tags=["varies"]
def spare(run, taught, layers, orders=6):
    """Cumulative ablation in random orders, on the labels that the network was trained on."""
    return causal.cumulative_ablation(
        run.model(), nm.data.ImageSet(run.probe.images, taught), layers, draws=orders, seed=0
    )


def curve(tables, upto=0.7):
    """(units ablated, accuracy [seed, share]) in percent; beyond ``upto`` all curves fall together."""
    shown = tables[0]["share"].values <= upto
    accuracy = np.stack([table["random_accuracy"].mean("draw").values[shown] for table in tables])
    return 100 * tables[0]["share"].values[shown], 100 * accuracy


ablated = {
    "true labels": [spare(*pair, layers) for pair in honest],
    "random labels": [spare(*pair, layers) for pair in memorized],
}
area = {name: np.array([float(table["random_auc"].mean()) for table in tables]) for name, tables in ablated.items()}
apart = area["true labels"].min() - area["random labels"].max()
assert not lesson.full or apart > 0.05
if lesson.reveal("fragile", max(area, key=lambda name: area[name].mean())):
    display(
        nm.plots.lines(
            {name: curve(tables) for name, tables in ablated.items()},
            marks={"chance level": 10},
            x="units ablated, in random order (%)",
            y="training accuracy (%)",
            title="What was memorized breaks sooner" if apart > 0 else "True and random labels under ablation",
        )
    )
    lesson.say(f"""*What to look at:* dark lines are means of {len(SEEDS)} networks, thin ones single networks (each the mean of 6 random orders). The areas under the curves are
{", ".join(f"{a:.2f}" for a in area["true labels"])} with true labels and {", ".join(f"{a:.2f}" for a in area["random labels"])} with random ones.
{"Every network of the one kind lies above every one of the other." if apart > 0 else "The two kinds overlap here."}""")

# %% [markdown]
# ## 5. Normalization and dropout: what do they do to units?
#
# People add both to networks because they help training. But what happens to the *units*?
#
# * *Layer normalization* gives the inputs of a layer mean 0 and standard deviation 1 for every image, over the units.
# * *Batch normalization* does so for every unit, over the images of a batch.
# * *Dropout* sets random units, here half of them, to zero at every training step.
#
# We train four kinds of network of one size, one of them plain, with three seeds each, on a few thousand images. A network with dropout has, in a way, rehearsed the ablation that
# we do to it. **Which of the four keeps most of its accuracy as units are ablated?** And which least: make up your mind about that as well.

# %%
mine = "dropout"  # your guess
lesson.guess("spare", mine)

# %% tags=["varies"]
some = lesson.data.train.balanced(lesson.pick(3000, 500), seed=0)
medium = replace(lesson, data=nm.data.Dataset("some", some, unseen))  # recorded on unseen images
brief = nm.TrainConfig(epochs=lesson.pick(12, {"short": 32, "digits": 5}.get(lesson.form)), batch_size=100)
kinds = {
    "plain": {},
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "dropout": {"dropout": 0.5},
}
brief_record = replace(record, per_octave=1, probe_size=len(unseen))
runs = {
    name: [
        medium.run(
            f"{name.replace(' ', '-')}-{seed}", nm.MLPConfig(**settings), replace(brief, seed=seed), brief_record
        )
        for seed in SEEDS
    ]
    for name, settings in kinds.items()
}


def look(run):
    """Test accuracy; of the first layer: mean selectivity (and untrained), dead units; area under cumulative ablation."""
    acts = run.activations(layers[0])
    trained, untrained = (
        selectivity.class_selectivity(acts.isel(snapshot=at), draws=1)["selectivity"].mean() for at in (-1, 0)
    )
    dead = dynamics.activity(acts.isel(snapshot=-1))["dead"].sum()
    table = causal.cumulative_ablation(run.model(), run.probe, layers, draws=6)
    right = (run.activations("logits").values[-1].argmax(1) == run.probe.labels).mean()
    return [float(value) for value in (right, trained, untrained, dead, table["random_auc"].mean())], table


looked = {name: [look(run) for run in of_kind] for name, of_kind in runs.items()}
rows = {name: np.array([numbers for numbers, _ in found]) for name, found in looked.items()}  # [seed, number]
under = {name: row[:, 4] for name, row in rows.items()}
winner = max(under, key=lambda name: under[name].mean())
ahead = under["dropout"].min() - max(values.max() for name, values in under.items() if name != "dropout")
assert not lesson.full or under["dropout"].mean() > max(v.max() for name, v in under.items() if name != "dropout")
assert not lesson.full or under["batch norm"].max() < under["plain"].min()
curves = {name: curve([table for _, table in found]) for name, found in looked.items()}
ablated_share, of_plain = curves.pop("plain")


def against_plain(name):
    """The areas under one kind's curves beside those of the plain networks, in words."""
    side = (
        "all below"
        if under[name].max() < under["plain"].min()
        else "all above"
        if under[name].min() > under["plain"].max()
        else "among"
    )
    return f"{name}: {', '.join(f'{u:.2f}' for u in under[name])}, {side} the plain ones"


if lesson.reveal("spare", winner):
    display(
        nm.plots.lines(
            {name: (at, accuracies.mean(0)) for name, (at, accuracies) in curves.items()},
            null={"plain": (ablated_share, of_plain.min(0), of_plain.max(0))},
            x="units ablated, in random order (%)",
            y="accuracy on unseen images (%)",
            title=f"Most accuracy is kept with {winner}",
        )
    )
    lesson.say(f"""*What to look at:* lines are means of {len(SEEDS)} networks; the gray band runs from the lowest to the highest of the plain ones. Lines *below* the band count as much as
those above it. Areas under the curve: plain: {", ".join(f"{u:.2f}" for u in under["plain"])}; {"; ".join(against_plain(name) for name in curves)}.""")

# %% [markdown]
# Dropout gives what it promises: the network loses little until many units are gone. Batch normalization surprised me. Those networks start higher than the plain ones, and once half of the units are gone they have less accuracy left.
# We have not tested why.
#
# Now the units themselves. [*Class selectivity*](../docs/glossary.md) says how much more a unit responds to its class
# than to the others; read it beside the untrained network's, in brackets. A *dead* unit is above zero for none of the unseen images.

# %% tags=["varies"]
print(
    f"n = {len(unseen):,} unseen images; one number for each seed, or the mean over {len(SEEDS)}; selectivity and dead units in the first layer"
)
print("             accuracy on unseen images   selectivity (untrained)   dead units   area under ablation")
for name, row in rows.items():
    accuracy, select, before, dead, areas = row.T
    print(
        f"{name:11}  {'  '.join(f'{a:.1%}' for a in accuracy):26}  {select.mean():.2f} ({before.mean():.2f})"
        f"               {dead.mean():4.1f}         {'  '.join(f'{u:.2f}' for u in areas)}"
    )
risen = [name for name, row in rows.items() if (row[:, 1] > row[:, 2] + 0.05).all()]
still = [name for name in rows if name not in risen]
deaths = {name: row[:, 3].mean() for name, row in rows.items()}
fewest = [name for name in rows if deaths[name] == min(deaths.values())]
lesson.say(f"""In units that are trained with {", ".join(risen) or "none of these"}, selectivity rises by more than 0.05 on every seed{f"; in {', '.join(still)} it does not" if still else ""}.
The most dead units are found with {max(deaths, key=deaths.get)}, the fewest with {" and ".join(fewest)}.""")

# %% [markdown]
# Three networks of one kind differ too, by chance alone. Are the kinds farther apart than that? Networks of one seed share the order of their batches and, but for the normalization, their initial weights. So we can compare
# them in pairs, and ask how often all pairs would agree in sign if each sign were a coin toss.

# %% tags=["varies"]
by_coin = 2 / 2 ** len(SEEDS)
for name in ("layer norm", "batch norm", "dropout"):
    for column, what in ((0, "accuracy"), (1, "selectivity"), (4, "area")):
        change = rows[name][:, column] - rows["plain"][:, column]
        agree = abs(np.sign(change).sum()) == len(change)
        each = "  ".join(f"{100 * c:+.1f} pt" if column == 0 else f"{c:+.3f}" for c in change)
        print(f"{name:10} less plain, {what:11}: {each}   {'all of one sign' if agree else 'of both signs'}")
verdict = "shown" if statistics.shown(by_coin) else "not shown"
print(
    f"with {len(SEEDS)} seeds, all of one sign happens by chance with p = {by_coin:.2f}: by its sign alone, {verdict}"
)

# %% [markdown]
# With three seeds, agreement in sign alone can never count as shown. What three seeds can do is point at an effect that is much larger than their own spread. For differences of a few
# tenths of a point you need many more networks. And these are small networks that train briefly: in the quick forms of this notebook, which take fewer steps, the order of the four
# may differ.
#
# ### Exercise 4: how many seeds?
# *Difficulty ●●○○ · 10 minutes*
#
# Write `by_sign(differences)`: for an array of paired differences of two kinds of network, one for each seed, the chance that as many or more seeds would agree in sign if each sign were a
# coin toss. Count both sides, leave out differences of exactly 0, and return 1.0 if no difference is left.

# %% [markdown] tags=["hint"]
# With n seeds and m of the commoner sign the tail is Σ C(n, i) / 2ⁿ for i from m to n; twice that, and never more than 1. `math.comb(n, i)`.


# %% tags=["stub"]
def by_sign(differences):
    raise NotImplementedError("return a probability, between 0 and 1")


# %% tags=["solution"]
def by_sign(differences):
    signs = np.sign([d for d in differences if d != 0])
    n = len(signs)
    most = max((signs > 0).sum(), (signs < 0).sum()) if n else 0
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(int(most), n + 1)) / 2**n)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    from scipy import stats

    cases = [(3, 0, 0), (0, 3, 0), (2, 1, 1), (4, 4, 0), (7, 2, 3), (0, 6, 1), (1, 0, 0), (12, 3, 0), (60, 40, 0)]
    for ups, downs, zeros in [*cases, (1, 1, 0), (2, 2, 0), (0, 0, 2), (0, 0, 0)]:
        size = 10 ** rng.uniform(-30, 1, ups + downs + zeros) * ([1.0] * ups + [-1.0] * downs + [0.0] * zeros)
        given = rng.permutation(size)
        with lessons.unchanged(differences=given):
            found = by_sign(given)
        true = stats.binomtest(ups, ups + downs).pvalue if ups + downs else 1.0
        case = f"{ups} above 0, {downs} below, {zeros} exactly 0"
        assert found is not None and np.ndim(found) == 0, f"one probability is asked for; found {found}"
        assert 0 <= found <= 1 + 1e-9, f"{case}: found {found:.3f}; a probability is at most 1"
        assert abs(float(found) - true) < 1e-6, (
            f"{case}: the chance is {true:.4f}, not {float(found):.4f}: is it the chance of as many or more, on both sides, and "
            "are only differences of exactly 0 left out"
        )
    fewest = next((n for n in range(1, 20) if nm.statistics.shown(by_sign(np.ones(n)))), None)
    print(f"it takes {fewest} seeds that all agree to fall below 0.05")


# %% tags=["right"]
def by_sign(differences):  # scipy
    from scipy.stats import binomtest

    signs = [d > 0 for d in differences if d != 0]
    return binomtest(sum(signs), len(signs)).pvalue if signs else 1.0


# %% tags=["right"]
def by_sign(differences):  # every pattern of signs, counted
    signs = [1 if d > 0 else -1 for d in differences if d]
    sums = {0: 1}
    for _ in signs:
        after = {}
        for total, count in sums.items():
            for step in (-1, 1):
                after[total + step] = after.get(total + step, 0) + count
        sums = after
    return sum(count for total, count in sums.items() if abs(total) >= abs(sum(signs))) / 2 ** len(signs)


# %% tags=["right"]
def by_sign(differences):  # from the rarer side
    from scipy.stats import binom

    d = np.asarray(differences)
    up, down = int((d > 0).sum()), int((d < 0).sum())
    return np.minimum(1.0, 2 * binom.cdf(min(up, down), up + down, 0.5))


# %% tags=["wrong"]
def by_sign(differences):  # one side
    signs = np.sign([d for d in differences if d != 0])
    n, most = len(signs), max((signs > 0).sum(), (signs < 0).sum())
    return sum(math.comb(n, i) for i in range(int(most), n + 1)) / 2**n


# %% tags=["wrong"]
def by_sign(differences):  # exactly as many
    signs = np.sign([d for d in differences if d != 0])
    n, most = len(signs), max((signs > 0).sum(), (signs < 0).sum())
    return min(1.0, 2 * math.comb(n, int(most)) / 2**n)


# %% tags=["wrong"]
def by_sign(differences):  # the zeros count
    n = len(differences)
    most = max(sum(d > 0 for d in differences), sum(d < 0 for d in differences))
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(most, n + 1)) / 2**n)


# %% tags=["wrong"]
def by_sign(differences):  # more than 1
    signs = np.sign([d for d in differences if d != 0])
    n, most = len(signs), max((signs > 0).sum(), (signs < 0).sum()) if len(signs) else 0
    return 2 * sum(math.comb(n, i) for i in range(int(most), n + 1)) / 2**n


# %% tags=["wrong"]
def by_sign(differences):  # only the ups
    ups = [d for d in differences if d > 0]
    n = len([d for d in differences if d != 0])
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(len(ups), n + 1)) / 2**n)


# %% tags=["wrong"]
def by_sign(differences):  # as if all agreed
    n = len([d for d in differences if d != 0])
    return min(1.0, 2 / 2**n)


# %% tags=["wrong"]
def by_sign(differences):  # the sizes count
    from scipy.stats import wilcoxon

    return wilcoxon([d for d in differences if d != 0]).pvalue if any(differences) else 1.0


# %% tags=["wrong"]
def by_sign(differences):  # three seeds, whatever comes
    return 0.25


# %% [markdown]
# Run the check and read its last line. Many published comparisons have three seeds or one.

# %% [markdown]
# ## What you have seen
#
# * Training past the last error pulls the images of a class into a point, on training images far more than on unseen ones. The angles between class means become equal, but
#   with shuffled labels they nearly are as well.
# * Full-batch gradient descent makes the loss sharper until the sharpness reaches about 2/η, where steps become too large. Take the large steps away, and the sharpness climbs again.
# * With large initial weights a network memorizes first and generalizes much later. Without weight decay it stays memorized.
# * A network can fit random labels. With half of them random it fits the true ones first and the false ones later. What was memorized breaks sooner under ablation.
# * With dropout, networks keep more of their accuracy when units are ablated; with batch normalization they keep less than plain ones. Differences that are no larger than those between
#   seeds can't be judged from three seeds.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#08-can-we-see-the-theory), in the documentation.
#
# **Next:** [09](09_Your_Own_Network.ipynb): the same instruments on a network of your own.
#
# **Further reading.** V. Papyan, X. Y. Han and D. Donoho, "Prevalence of neural collapse during the terminal phase of deep learning
# training", *PNAS* 117 (2020). J. Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", *ICLR*
# 2021. A. Power et al., "Grokking: generalization beyond overfitting on small algorithmic datasets", arXiv:2201.02177 (2022). Z. Liu, E.
# Michaud and M. Tegmark, "Omnigrok: grokking beyond algorithmic data", arXiv:2210.01117 (2022). C. Zhang et al., "Understanding deep
# learning requires rethinking generalization", *ICLR* 2017. D. Arpit et al., "A closer look at memorization in deep networks", *ICML*
# 2017. M. Toneva et al., "An empirical study of example forgetting during deep neural network learning", *ICLR* 2019. A. Morcos et al.,
# "On the importance of single directions for generalization", *ICLR* 2018.
