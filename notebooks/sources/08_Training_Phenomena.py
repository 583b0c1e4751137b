# %% [markdown]
# # Can we see the theory?
#
# *Five things that are said of how networks learn, each looked for in a network small enough to look at, each beside what would be there
# by chance.*
#
# **You will be able to**
#
# * measure neural collapse and the sharpness of a loss by hand, and know what both mean;
# * make a network that learns its images by heart long before it understands any, and one that never understands;
# * say what normalisation and dropout do to units, over seeds, and where three seeds are too few to say it.
#
# **Minutes:** 55 to read and run, 45 more for the exercises. **You need:** [02](02_Train_on_MNIST_and_Log.ipynb) for runs and snapshots;
# [04](04_Causal_Interventions.ipynb) helps with cutting units out.
#
# Before each answer the notebook asks for your guess and keeps it. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Words in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("08")

# %% [markdown]
# ## 1. Neural collapse: every class becomes a point
#
# What happens to a network that goes on training after it reads every training image rightly? Papyan, Han and Donoho (2020) found that
# the last hidden layer tidies itself up: all images of a class move to one point, and the points spread out evenly. They called it
# *neural collapse*. It is easy to see on a thousand images.
#
# Nearly all networks of this notebook are trained on a thousand images only, and their activations on these same images are recorded.
# That takes seconds, and with few images most of what is looked for here shows sooner.

# %% tags=["varies"]
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

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
    f"{len(run.steps)} snapshots, to step {run.steps[-1]}; training images read rightly at the end: {accuracy[-1]:.1%}"
)

# %% [markdown]
# The measure, NC1, compares two spreads: how far the images of a class lie from their class mean (*within*), and how far the class means
# lie from each other (*between*). With covariances S_w and S_b, each class counting alike: NC1 = trace(S_w · S_b⁺) / classes, where ⁺ is
# the pseudo-inverse. If every class is one point it is 0. By hand:


# %%
def nc1(x, labels):
    """trace(S_w · pinv(S_b)) / classes, of activations [example, unit]."""
    classes = np.unique(labels)
    means = np.stack([x[labels == label].mean(0) for label in classes])
    centred = means - means.mean(0)
    between = centred.T @ centred / len(classes)
    spread = [x[labels == label] - mean for label, mean in zip(classes, means, strict=True)]
    within = sum(part.T @ part / len(part) for part in spread) / len(classes)
    return np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / len(classes)


# %% [markdown]
# The untrained network's value stands first. **How many times smaller is NC1 at the end of training?**

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
lesson.reveal("collapse", by_hand[0] / by_hand[1])
print(f"NC1 {by_hand[0]:.2f} untrained, {by_hand[1]:.4f} at the end;", end=" ")
print(f"labels shuffled: {float(collapse['nc1_null_low'][-1]):.0f} or more")
assert by_hand[1] < by_hand[0] / 3
assert not lesson.full or by_hand[1] < 0.05

# %% tags=["varies"]
nm.plots.collapse_over_time(collapse)

# %% [markdown]
# *What to see:* upper left, the spread within the classes goes down by orders of magnitude, while shuffled labels (grey) show nothing of
# the kind. Lower left, the output weights turn until they point where the class means do.
#
# Look at the upper right before you believe it. The class means go to a *simplex*, all angles between them equal. But at first they are
# no nearer to it than the means of *shuffled* labels, and those are not far from it: random directions in many dimensions are at nearly
# equal angles anyway. Only what lies below the grey band was learnt.
#
# So far only training images were measured. Now the same on images the network never saw.

# %% tags=["varies"]
model = run.model()
fresh = nm.activations(model, unseen, (last, "logits"))
on_unseen = geometry.neural_collapse(fresh[last], logits=fresh["logits"])
lesson.say(f"""On {len(unseen):,} unseen images NC1 is {float(on_unseen["nc1"][0]):.3f},
{float(on_unseen["nc1"][0]) / by_hand[1]:.0f} times that of the training images, and
{nm.evaluate(model, unseen).accuracy:.1%} of them are read rightly. Collapse is
{"mostly something that happens to the images trained on" if float(on_unseen["nc1"][0]) > 3 * by_hand[1] else "seen on both"}.""")
assert not lesson.full or float(on_unseen["nc1"][0]) > 3 * by_hand[1]

# %% [markdown]
# **Does it hold on another seed?** Another start, half the epochs.

# %% tags=["varies"]
other = run_of("collapse-seed1", three_layers, replace(tidy, epochs=100, seed=1), quick=24)
ends = [nc1(other.activations(last).values[i].astype(float), other.probe.labels) for i in (0, -1)]
print(f"seed 1: NC1 {ends[0]:.2f} untrained, {ends[1]:.4f} at the end")
assert ends[1] < ends[0] / 2
assert not lesson.full or ends[1] < 0.05

# %% [markdown]
# ### Exercise 1: the angles of a simplex
# *Difficulty ●●○○ · 10 minutes*
#
# Ten points as far from each other as possible, seen from their middle, have all the same angle: its cosine is −1/9. Write
# `cosines(means)`: from class means [class, unit] the cosines between all pairs of classes, seen from the mean of the means. Return a
# flat array with one number for each pair (i, j) with i < j.

# %% [markdown] tags=["hint"]
# Subtract `means.mean(0)`, scale each row to length 1, multiply with the transpose. `np.triu_indices(len(means), 1)` are the pairs above
# the diagonal.


# %% tags=["stub"]
def cosines(means):
    raise NotImplementedError("return one cosine for each pair of classes")


# %% tags=["solution"]
def cosines(means):
    centred = means - means.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return (unit @ unit.T)[np.triu_indices(len(means), 1)]


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    corners = np.eye(4) + 5.0
    found = np.asarray(cosines(corners))
    assert found.shape == (6,), f"four classes have six pairs; found an array of shape {found.shape}"
    assert not np.allclose(found, corners[0] @ corners[1] / (corners[0] @ corners[0])), (
        "these are the angles seen from the origin; they are asked for as seen from the middle of the classes"
    )
    assert np.allclose(found, -1 / 3), (
        f"four corners of a simplex have cosine -1/3; found {np.round(found, 3).tolist()}"
    )
    bent = np.array([[2.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert np.allclose(np.sort(cosines(bent)), [-np.sqrt(0.5), -np.sqrt(0.5), 0.0]), (
        "for means of unequal length the cosines are off: is each row scaled to length 1"
    )
    means = np.stack([acts.values[-1][run.probe.labels == label].mean(0) for label in range(10)])
    found = np.asarray(cosines(means))
    print(f"the network's class means: {found.min():.2f} to {found.max():.2f}; a simplex: {-1 / 9:.2f}")


# %% [markdown]
# ## 2. The edge of stability
#
# How large a step can gradient descent take? Take the simplest loss, a parabola with curvature s: L(w) = s w² / 2. A step of rate η makes
# w into w − η s w = (1 − η s) w. If η s is above 2, then w comes out larger than it was, with the other sign, and each step makes it
# worse. So descent is stable while the curvature is below 2/η.
#
# A network's loss has a curvature in every direction of its weights; the largest is its *sharpness*. You would choose a rate small enough
# for the loss at hand. Cohen and others (2021) watched the sharpness while plain gradient descent runs, and found something that
# classical theory did not expect.
#
# First the measure. The sharpness is the largest *eigenvalue* of the matrix of second derivatives, the Hessian H. With thousands of
# weights H can't be written down; but H·v for a vector v costs two backward passes, and *power iteration* needs no more: multiply a
# random vector by H again and again, scale it back to length 1, and it turns towards the steepest direction.

# %%
from torch import nn

five_hundred = lesson.data.train.balanced(lesson.pick(500, 200), seed=0)
pixels, targets = five_hundred.tensor().flatten(1), nn.functional.one_hot(five_hundred.label_tensor(), 10).float()
mean_image = pixels.mean(0)


class Centred(nn.Module):
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


model = Centred(seed=0)
count = sum(parameter.numel() for parameter in model.parameters())
v = torch.randn(count, generator=torch.Generator().manual_seed(0))
v /= v.norm()
at_random = float(v @ times_hessian(model, v))  # the curvature in a random direction
for _ in range(60):
    image = times_hessian(model, v)
    by_hand = float(v @ image)
    v = image / image.norm()
library = dynamics.sharpness(model, five_hundred, loss="mse")
assert abs(by_hand / float(library["sharpness"]) - 1) < 0.02
print(
    f"{count:,} weights; sharpness {by_hand:.2f} by power iteration, {float(library['sharpness']):.2f} by the library"
)
print(f"in a random direction: {at_random:.4f}")

# %% [markdown]
# The null says something: in a random direction the loss is nearly flat. All the curvature is in few directions.
#
# Now train with plain gradient descent, all images at every step, no tricks, at three rates: η = 0.1, 0.2 and 0.4, for which 2/η is 20,
# 10 and 5. A smaller rate gets proportionally more steps. **Where will the sharpness be in the end at η = 0.2?**

# %%
mine = 2  # your guess
lesson.guess("edge", mine)


# %% tags=["varies"]
TIME = lesson.pick(280, 110)


def descend(rate, seed=0, time=TIME):
    """(time, sharpness, loss) along full-batch gradient descent; time is rate times steps."""
    model = Centred(seed)
    parameters = list(model.parameters())
    steps = round(time / rate)
    read_at = set(np.linspace(0, steps, lesson.pick(15, 10)).round().astype(int).tolist())
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
    return *np.array(found).T, np.array(losses)


paths = {rate: descend(rate) for rate in (0.1, 0.2, 0.4)}
settled = {rate: float(sharp[-4:].mean()) for rate, (_, sharp, _) in paths.items()}
lesson.reveal("edge", settled[0.2])
arrived = abs(settled[0.2] - 10) < 1.5 and abs(settled[0.4] - 5) < 1
nm.plots.lines(
    {f"η = {rate}": (time, sharp) for rate, (time, sharp, _) in paths.items()},
    marks={f"2 / {rate}": 2 / rate for rate in (0.2, 0.4)},
    x="steps × rate",
    y="sharpness",
    title="The sharpness climbs to 2 / η and stops there" if arrived else "The sharpness climbs",
)

# %% tags=["varies"]
ups = {rate: float((np.diff(losses) > 0).mean()) for rate, (_, _, losses) in paths.items()}
lesson.say(f"""*What to see:* from the same start
{"each path climbs until it meets its own level" if arrived else "the paths climb; in this short run not all of them reach their level"}.
Mean of the last four readings: {settled[0.2]:.1f} at η = 0.2, where 2/η is 10, and {settled[0.4]:.1f} at η = 0.4, where it
is 5. The path of η = 0.1 is the null, with the same start and the same images: it ends at
{settled[0.1]:.1f}{", past the level at which the others stopped. Nothing in the loss itself stops them there; their steps do" if settled[0.1] > settled[0.2] + 1 else ""}.""")
lesson.say(f"""At the edge the loss need not fall at every step: it rose in {ups[0.2]:.0%} of the steps at η = 0.2 and in
{ups[0.4]:.0%} at η = 0.4 ({ups[0.1]:.0%} at 0.1). And yet it fell in the long run, from {paths[0.4][2][0]:.2f} to
{paths[0.4][2][-1]:.3f}.""")
assert not lesson.full or 9 < settled[0.2] < 11.5
assert not lesson.full or 4.5 < settled[0.4] < 6
assert not lesson.full or settled[0.1] > 11.5

# %% [markdown]
# By the parabola it should have blown up; but a network's loss is no parabola. Where it gets too steep, the weights swing from side to
# side across the valley, and the swinging itself drives them to where the valley is wider. The rate you choose decides how sharp a
# solution you get.
#
# **Does it hold on another seed?**

# %% tags=["varies"]
time, sharp, _ = descend(0.4, seed=1)
print(f"seed 1, η = 0.4: sharpness {sharp[0]:.1f} at the start, {sharp[-4:].mean():.1f} at the end; 2/η = 5")
assert not lesson.full or 4.5 < sharp[-4:].mean() < 6

# %% [markdown]
# ### Exercise 2: curvature without calculus
# *Difficulty ●●●○ · 15 minutes*
#
# Trust nobody: write `curvature(loss, w, v)`, the curvature of the function `loss` at the point w (a flat float64 tensor) along the
# direction v, by three values of `loss` only: a small step ahead, a step back, and here. v may have any length; its direction is what
# counts. Take a step of 0.0001.

# %% [markdown] tags=["hint"]
# (L(w + εu) − 2 L(w) + L(w − εu)) / ε², where u is v at length 1.


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
    scale = torch.tensor([3.0, -1.0], dtype=torch.float64)

    def bowl(w):
        return (scale * w.square()).sum() / 2 + w[0]

    here, ahead = torch.tensor([0.3, 0.2], dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = curvature(bowl, here, ahead)
    assert isinstance(found, float), f"it gives a {type(found).__name__}; one float is asked for"
    assert abs(found - 3) < 1e-4, f"along the first axis this bowl has curvature 3; found {found:.4f}"
    assert abs(curvature(bowl, here, 10 * ahead) - 3) < 1e-4, (
        "a longer v gives another value: scale it to length 1 first"
    )
    across = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert abs(curvature(bowl, here, across) + 1) < 1e-4, "along the second axis the bowl bends downwards: −1"
    ends = Centred(seed=0).double()
    start = torch.cat([parameter.detach().flatten() for parameter in ends.parameters()])

    def loss(w):
        nn.utils.vector_to_parameters(w, ends.parameters())
        with torch.no_grad():
            return loss_of_double(ends)

    def loss_of_double(network):
        return (network(pixels.double()) - targets.double()).square().sum(1).mean() / 2

    found = curvature(loss, start, v.double())
    assert abs(found / by_hand - 1) < 0.02, (
        f"along the steepest direction of the network it gives {found:.3f}, power iteration {by_hand:.3f}"
    )
    print(f"along the steepest direction: {found:.3f} by three losses, {by_hand:.3f} by power iteration")


# %% [markdown]
# ## 3. First by heart, then by reason
#
# Usually training and test accuracy rise together. They need not. Power and others (2022) saw small networks reach perfect training
# accuracy and, long after, all of a sudden, good test accuracy; they called it *grokking*. Liu and others (2022) found a way to make it
# happen on MNIST: begin with **weights eight times too large**, and let weight decay shrink them.
#
# A thousand training images, squared error, AdamW, batches of 200. The network reads 60 % of its training images after some hundred
# steps. **How many steps later does it read 60 % of the *test* images?**

# %%
mine = 50  # your guess
lesson.guess("delay", mine)


# %% tags=["varies"]
def delayed(scale, seed, steps):
    """(step, training accuracy, test accuracy, length of all weights as one vector) of a network with large initial weights."""
    images = lesson.data.train.balanced(len(thousand), seed=seed)
    config = nm.MLPConfig(hidden=(200, 200), init_scale=scale, image_shape=images.image_shape)
    model = nm.MLP(config, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.5)
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
    """The first step read at which the accuracy is above the level; nan for never."""
    above = np.flatnonzero(accuracies > level)
    return steps[above[0]] if len(above) else np.nan


large = delayed(8.0, seed=0, steps=lesson.pick(3200, 1000))
usual = delayed(1.0, seed=0, steps=60)
delays = {
    name: reached(path[0], path[2]) - reached(path[0], path[1])
    for name, path in {"large": large, "usual": usual}.items()
}
later = delays["large"]
lesson.reveal("delay", f"{later:,.0f}" if np.isfinite(later) else "never in this short run")
print(f"with the usual initial weights: {delays['usual']:.0f} (read at steps 1, 2, 3, 4, 6, 8, 11 and so on)")

# %% tags=["varies"]
nm.plots.lines(
    {
        "training images": (large[0], 100 * large[1]),
        "test images": (large[0], 100 * large[2]),
        "test, usual weights": (usual[0], 100 * usual[2]),
    },
    marks={"chance": 10},
    log_x=True,
    x="optimiser step",
    y="images read rightly (%)",
    title="Learnt by heart first, understood later"
    if (large[1] - large[2]).max() > 0.3
    else "Training and test images",
)

# %% tags=["varies"]
gap = large[1] - large[2]
widest = int(gap.argmax())
lesson.say(f"""*What to see:* at step {large[0][widest]:,.0f} the network with large weights reads {large[1][widest]:.0%} of
its training images and {large[2][widest]:.0%} of the test images ({len(unseen):,} of them; by chance 10 %). At the end it
reads {large[2][-1]:.0%}. With the usual initial weights, the control (drawn for its first {usual[0][-1]:.0f} steps), test
images come along from the beginning: {usual[1][-1]:.0%} and {usual[2][-1]:.0%}.""")
lesson.say(f"""The weights, as one vector, begin {large[3][0] / usual[3][0]:.0f} times as long as usual and are
{large[3][0] / large[3][-1]:.1f} times shorter at the end. Shrinking them takes the time. That weight decay is what brings
the understanding is what Liu and others say; this run alone does not show it. The control would be the same without decay.""")
assert not lesson.full or gap.max() > 0.3
assert not lesson.full or delays["large"] > 200
assert not lesson.full or delays["usual"] < 20
assert not lesson.full or large[2][-1] > 0.75

# %% [markdown]
# The name promises suddenness. Look at the axis: it is logarithmic. On a plain axis both rises would take a while.
#
# **Does it hold on another seed?** Other weights and other thousand images, trained to where the gap was widest.

# %% tags=["varies"]
again = delayed(8.0, seed=1, steps=int(large[0][widest]))
print(f"seed 1 at step {again[0][-1]:,.0f}: training images {again[1][-1]:.0%}, test images {again[2][-1]:.0%}")
assert not lesson.full or again[1][-1] - again[2][-1] > 0.3

# %% [markdown]
# ## 4. Random labels
#
# Zhang and others (2017) gave every training image a random label. There is nothing to understand; the network can only learn by heart,
# and it can: it reads every training image "rightly". So whatever keeps networks from merely memorising, it is not that they can't.
#
# Here each label is replaced with probability ½, once and for all; of these, one in ten gets its true label back by luck. So a bit less
# than half of the images carry a **false** label. Two questions to each snapshot: how many of the falsely labelled are read as their
# *given*, false label? How many as the *truth*, which the network was never told? At the end it will say the given label for all. **But
# at its best moment, what share of the falsely labelled images does it read as the truth?** (Chance: 0.1.)

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
lesson.reveal("truth", float(as_truth.max()))

rng = np.random.default_rng(0)
low, high = np.percentile(
    [(said[:, false] == rng.permutation(true[false])).mean(1) for _ in range(200)], [2.5, 97.5], axis=0
)
nm.plots.lines(
    {"read as the truth": (steps, 100 * as_truth), "read as told": (steps, 100 * as_given)},
    null={"shuffled": (steps, 100 * low, 100 * high)},
    steps=True,
    x="step",
    y="falsely labelled images (%)",
    title="It knows the truth before it is talked out of it",
)

# %% tags=["varies"]
peak = int(as_truth.argmax())
scores = [nm.evaluate(half.model(step), unseen).accuracy for step in (half.steps[peak], half.steps[-1])]
lesson.say(f"""*What to see:* {false.sum()} images carry a false label. At step {steps[peak]} the network reads
{as_truth[peak]:.0%} of them as what they are, though it is told otherwise at every step, and {as_given[peak]:.0%} as what
it was told. At the end it is {as_truth[-1]:.0%} and {as_given[-1]:.0%}. On unseen images its accuracy goes from
{scores[0]:.0%} at that step to {scores[1]:.0%}:
{"learning by heart undoes what was understood" if scores[0] > scores[1] else "in this short run nothing is lost yet"}.
Grey: the true labels shuffled among these images.""")
assert as_truth[peak] > high[peak]
assert not lesson.full or (as_truth[peak] > 0.55 and as_given[-1] > 0.95)
assert not lesson.full or scores[0] > scores[1] + 0.1

# %% [markdown]
# **Does it hold on another seed?** Other weights, other false labels.

# %% tags=["varies"]
other, other_given = noisy(0.5, seed=1)
other_true = other.probe.labels
wrong = other_given != other_true
other_said = other.activations("logits").values.argmax(2)[:, wrong]
found = (other_said == other_true[wrong]).mean(1)
print(
    f"seed 1: {found.max():.0%} of {wrong.sum()} read as the truth at step {other.steps[found.argmax()]}, {found[-1]:.0%} at the end"
)
assert not lesson.full or (found.max() > 0.55 and found[-1] < 0.2)

# %% [markdown]
# Why? A pattern that many images share moves the weights the same way at every step; a single false label pulls alone, and in a direction
# of its own. What is common is learnt first (Arpit and others, 2017).
#
# ### Early and late examples
#
# That suggests a use: images with false labels are learnt late. An image's *margin* is the logit of its given label minus the highest
# other. Here it is for both kinds, in the mean.

# %% tags=["varies"]
logits = half.activations("logits")
margin = predictions.margins(logits.assign_coords(label=("example", given)))["margin"].values  # [snapshot, example]
by_hand = []
for row, label in zip(logits.values[-1], given, strict=True):
    by_hand.append(row[label] - np.delete(row, label).max())
assert np.allclose(by_hand, margin[-1], atol=1e-4)


draws = [rng.permutation(false) for _ in range(200)]
gaps = [margin[:, ~d].mean(1) - margin[:, d].mean(1) for d in draws]
difference = margin[:, ~false].mean(1) - margin[:, false].mean(1)
nm.plots.lines(
    {"true label": (steps, margin[:, ~false].mean(1)), "false label": (steps, margin[:, false].mean(1))},
    marks={"read as told": 0.0},
    steps=True,
    x="step",
    y="mean margin of the given label",
    title="False labels are learnt last",
)

# %% tags=["varies"]
half_way = int(np.argmin(np.abs((said == given).mean(1) - 0.7)))  # where 70 % of all images are read as told
bound = float(np.percentile(np.abs(gaps), 97.5, axis=0)[half_way])
lesson.say(f"""*What to see:* the two lines part early and stay apart. At step {steps[half_way]} the mean margin of truly
labelled images is {difference[half_way]:.1f} above that of the others; for random divisions of the images it is at most
{bound:.2f} (95 % of 200).""")
assert difference[half_way] > bound

# %% [markdown]
# Without any false labels there are early and late images too. Those that come last are worth looking at:

# %% tags=["varies"]
clean, _ = noisy(0.0, seed=0)
nm.plots.image_lives(predictions.learning_order(clean.activations("logits")), clean.probe.images, hardest=18)

# %% [markdown]
# *What to see:* each row on the left is a training image, filled where it is read wrongly. Most are learnt once and for all; some are
# lost again at a later snapshot. Of the hard ones on the right many are badly written. Would you have read all of them?
#
# ### Exercise 3: find the false labels
# *Difficulty ●●●○ · 15 minutes*
#
# Write `suspects(margin, n)`: from margins of the given labels over training [snapshot, example] the n images whose labels you trust
# least, as an array of example numbers. In the end every image is learnt, so the last snapshot tells little; the whole history does.

# %% [markdown] tags=["hint"]
# The mean over the snapshots is low for an image that was learnt late. `np.argsort` gives the lowest first.


# %% tags=["stub"]
def suspects(margin, n):
    raise NotImplementedError("return the numbers of n examples")


# %% tags=["solution"]
def suspects(margin, n):
    return np.argsort(margin.mean(0), kind="stable")[:n]


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    history = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, -2.0, 2.0, -3.0], [2.0, -1.0, 3.0, -2.0], [2.0, 3.0, 2.5, 4.0]])
    found = np.asarray(suspects(history, 2))
    assert found.shape == (2,), f"two examples were asked for; found an array of shape {found.shape}"
    assert set(found.tolist()) != {0, 2}, "these two were learnt first; the least trusted are those learnt last"
    assert set(found.tolist()) == {1, 3}, (
        f"found {sorted(found.tolist())}: two others of these four were read wrongly for two snapshots; is the whole history used"
    )
    found = np.asarray(suspects(margin, int(false.sum())))
    assert len(np.unique(found)) == false.sum(), "the same image was named twice"
    right, chance = float(false[found].mean()), float(false.mean())
    assert right > 1.5 * chance, f"of those named {right:.0%} carry a false label, by chance {chance:.0%}"
    print(f"of {len(found)} suspects {right:.0%} carry a false label; by chance {chance:.0%}")


# %% [markdown]
# ### What memorising does inside
#
# Now **all** labels random, and for comparison none. Do the hidden layers differ? Two looks, over three seeds. First: are images of one
# *true* class near each other in the last hidden layer? *Neighbour purity* is the share of an image's ten nearest neighbours that are of
# its class.


# %% tags=["varies"]
def purity(x, labels):
    """Share of the ten nearest neighbours with an image's own label, in the mean over all images."""
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
    nearest = distance.topk(10, largest=False).indices.numpy()
    return (labels[nearest] == labels[:, None]).mean()


hidden = clean.activations("layers.1.hook_post")
by_hand = purity(torch.from_numpy(hidden.values[-1]).double(), clean.probe.labels)
assert abs(by_hand - float(geometry.clusters(hidden, at=[-1], draws=1)["purity"][0])) < 0.005

SEEDS = lesson.pick((0, 1, 2), (0, 1))

by_heart = [noisy(1.0, seed) for seed in SEEDS]
honest = [(clean, clean.probe.labels), *(noisy(0.0, seed) for seed in SEEDS[1:])]
layers = ["layers.0.hook_post", "layers.1.hook_post"]
for name, runs in (("true labels", honest), ("random labels", by_heart)):
    for run, told in runs:
        hidden = run.activations(layers[1])
        read = (run.activations("logits").values[-1].argmax(1) == told).mean()
        near = geometry.clusters(hidden, at=[0, -1])
        near_told = geometry.clusters(hidden.assign_coords(label=("example", told)), at=[-1], draws=2)
        print(
            f"{name}: {read:6.1%} read as told; neighbours of the true class {float(near['purity'][1]):.0%}, of the told class "
            f"{float(near_told['purity'][0]):.0%} (untrained {float(near['purity'][0]):.0%}, by chance {float(near['purity_null_high'][1]):.0%} or less)"
        )
        assert not lesson.full or read > 0.97

# %% [markdown]
# A network that learnt random labels by heart has *less* order by true class than the same network had untrained, where images that look
# alike lie close. It has pulled apart what looks alike, because it had to. And the images of one told class are nearer to each other than
# chance allows.
#
# Second look, after Morcos and others (2018): cut out units, at random, and watch the *training* accuracy fall. A network that found
# something common can spare units. **Which keeps more of its accuracy as units go: true labels or random labels?** Write one of the two.

# %%
mine = "random labels"  # your guess
lesson.guess("fragile", mine)


# %% tags=["varies"]
def spare(run, told, layers, orders=6):
    """Cumulative ablation in random orders, on the labels the network was told."""
    return causal.cumulative_ablation(
        run.model(), nm.data.ImageSet(run.probe.images, told), layers, draws=orders, seed=0
    )


cut = {
    "true labels": [spare(*pair, layers) for pair in honest],
    "random labels": [spare(*pair, layers) for pair in by_heart],
}
area = {name: np.array([float(table["random_auc"].mean()) for table in tables]) for name, tables in cut.items()}
lesson.reveal("fragile", max(area, key=lambda name: area[name].mean()))


def curve(tables, upto=0.7):
    """(units cut out, accuracy [seed, share]) in percent; beyond ``upto`` all curves fall together."""
    shown = tables[0]["share"].values <= upto
    accuracy = np.stack([table["random_accuracy"].mean("draw").values[shown] for table in tables])
    return 100 * tables[0]["share"].values[shown], 100 * accuracy


nm.plots.lines(
    {name: curve(tables) for name, tables in cut.items()},
    marks={"chance": 10},
    x="units cut out, in random order (%)",
    y="training images read as told (%)",
    title="What was learnt by heart breaks sooner",
)

# %% tags=["varies"]
apart = area["true labels"].min() - area["random labels"].max()
lesson.say(f"""*What to see:* dark lines are means of {len(SEEDS)} networks, thin ones single networks (each the mean of 6
random orders). Area under the curve: {", ".join(f"{a:.2f}" for a in area["true labels"])} with true labels and
{", ".join(f"{a:.2f}" for a in area["random labels"])} with random ones.
{"Every network of the one kind lies above every one of the other." if apart > 0 else "The two kinds overlap here."}""")
assert not lesson.full or apart > 0.05

# %% [markdown]
# ## 5. Normalisation and dropout: what do they do to units?
#
# Both are added to networks because they help training. What happens to the *units*? *Layer normalisation* gives the sums that reach a
# layer mean 0 and spread 1 for every image, over the units; *batch normalisation* does so for every unit, over the images of a batch.
# *Dropout* silences random units, here half of them, at every step of training. Four kinds of network of one size, then, one of them
# plain; three seeds each, on a few thousand images.
#
# A network with dropout has, in a way, practised the experiment above. **Which of the four keeps most of its accuracy as units are cut
# out?**

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
print(f"n = {len(unseen):,} unseen images; one number for each seed, or the mean over {len(SEEDS)}")
print("             accuracy on unseen images   selectivity (untrained)   dead units   area under ablation")
for name, row in rows.items():
    accuracy, select, before, dead, under = row.T
    print(
        f"{name:11}  {'  '.join(f'{a:.1%}' for a in accuracy):26}  {select.mean():.2f} ({before.mean():.2f})"
        f"               {dead.mean():4.1f}         {'  '.join(f'{u:.2f}' for u in under)}"
    )
winner = max(rows, key=lambda name: rows[name][:, 4].mean())
lesson.reveal("spare", winner)

# %% tags=["varies"]
curves = {name: curve([table for _, table in found]) for name, found in looked.items()}
at, of_plain = curves.pop("plain")
nm.plots.lines(
    {name: (at, accuracies.mean(0)) for name, (_, accuracies) in curves.items()},
    null={"plain": (at, of_plain.min(0), of_plain.max(0))},
    x="units cut out, in random order (%)",
    y="unseen images read rightly (%)",
    title=f"{winner.capitalize()} lets most units go",
)

# %% tags=["varies"]
ahead = rows["dropout"][:, 4].min() - max(rows[name][:, 4].max() for name in rows if name != "dropout")
words = "Each network with dropout has a larger area under its curve than any other network: no unit is trusted alone, so few are missed"
if ahead <= 0:
    words = "The networks with dropout do not all lie above the others here"
lesson.say(f"""*What to see:* lines are means of {len(SEEDS)} networks, the grey band runs from the lowest to the highest of
the plain ones. {words}.""")
assert not lesson.full or rows["dropout"][:, 4].mean() > max(
    rows[name][:, 4].max() for name in rows if name != "dropout"
)


# %% [markdown]
# Now the table, with caution. Selectivity must be read beside the untrained network's, in brackets. Dead units are counted on unseen
# images, in the first layer. And accuracy: three numbers a kind. Is the highest mean the best kind, or the luckiest? Networks of one seed
# share their order of batches and, but for the normalisation, their initial weights, so they can be compared in pairs:

# %% tags=["varies"]
for name in ("layer norm", "batch norm", "dropout"):
    for column, what in ((0, "accuracy"), (1, "selectivity")):
        change = rows[name][:, column] - rows["plain"][:, column]
        signs = "all of one sign" if abs(np.sign(change).sum()) == len(change) else "of both signs"
        shown = "  ".join(f"{100 * c:+.1f} pt" if column == 0 else f"{c:+.3f}" for c in change)
        print(f"{name:10} less plain, {what:11}: {shown}   {signs}")
print(f"with {len(SEEDS)} seeds, all of one sign happens by chance in 1 of {2 ** (len(SEEDS) - 1)} cases")
after, before = rows["plain"][:, 1].mean(), rows["plain"][:, 2].mean()
lesson.say(f"""Plain networks have a mean selectivity of {after:.2f}, and had {before:.2f} before training:
{"learning has not made their units more selective in the mean" if after < before + 0.03 else "learning has made their units more selective"}.
The differences above are between kinds of trained network.""")

# %% [markdown]
# With three seeds it is one case in four: three that agree in sign are no proof. What they can show is an effect that is much larger than
# the seeds' own spread, as that of dropout on the ablation curve is in the full form (and not in the quick forms, which train for fewer
# steps: that too is a condition of the finding). For differences of a few tenths of a point it takes many more networks.
#
# ### Exercise 4: how many seeds?
# *Difficulty ●●○○ · 10 minutes*
#
# Write `by_sign(differences)`: for paired differences of two kinds of network, one for each seed, the chance that as many or more seeds
# would agree in sign if each sign were a coin toss (two-sided; differences of exactly 0 do not count).

# %% [markdown] tags=["hint"]
# With n seeds and m of the commoner sign the tail is Σ C(n, i) / 2ⁿ for i from m to n, twice, and never more than 1. `math.comb(n, i)`.


# %% tags=["stub"]
def by_sign(differences):
    raise NotImplementedError("return a probability, between 0 and 1")


# %% tags=["solution"]
import math


def by_sign(differences):
    signs = np.sign([d for d in differences if d != 0])
    n = len(signs)
    most = max((signs > 0).sum(), (signs < 0).sum()) if n else 0
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(int(most), n + 1)) / 2**n)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    from scipy import stats

    found = by_sign([0.1, 0.2, 0.3])
    assert found != 0.125, "an eighth is the chance that all three are above 0; they might as well all be below"
    assert abs(found - 0.25) < 1e-9, f"three of three agree by chance in a quarter of the cases; found {found}"
    assert abs(by_sign([-0.1, -0.2, -0.3]) - 0.25) < 1e-9, "three differences below 0 agree as much as three above"
    for ups in range(9):
        expected = stats.binomtest(ups, 8).pvalue
        found = by_sign([0.5] * ups + [-0.5] * (8 - ups))
        assert abs(found - expected) < 1e-9, (
            f"{ups} of 8 above 0: found {found:.4f}; is it the chance of as many or more, and at most 1"
        )
    assert abs(by_sign([0.0, 0.1, 0.2, 0.3]) - 0.25) < 1e-9, "a difference of exactly 0 has no sign: leave it out"
    fewest = next(n for n in range(1, 20) if by_sign([1.0] * n) < 0.05)
    print(f"it takes {fewest} seeds that all agree to fall below 0.05")


# %% [markdown]
# ## What you have seen
#
# * Training past the last error pulls the images of a class into a point, on training images far more than on unseen ones. Part of the
#   equal angles of the class means is there by chance.
# * Full-batch gradient descent makes the loss sharper until steps are just too large, 2/η, and stays there.
# * Large initial weights let a network learn by heart first, and understand a thousand steps later, as weight decay shrinks them.
# * A network can learn random labels. With half of them random it knows the truth first, and loses it. What is learnt by heart needs more
#   of the units.
# * Dropout makes units dispensable. Smaller differences between kinds of networks can't be told from three seeds.
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
