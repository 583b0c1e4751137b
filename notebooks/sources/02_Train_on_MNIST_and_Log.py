# %% [markdown]
# # What happens while it learns?
#
# *A training loop and a recorder, both by hand first, and then what can be read in a recorded training run.*
#
# I learn by building. In [00](00_MLP_from_scratch_PyTorch.ipynb) we built a network and its training loop; in [01](01_MLP_for_Interpretability.ipynb) we looked
# inside an untrained one. Now we put the two together: we train, we write down what happens inside while we do, and then we read it.
#
# **You will be able to**
#
# * write a training loop, and show that it is the one the library runs;
# * build a recorder in a few lines, and show that the library's recorder writes down the same numbers;
# * read loss curves, activation heatmaps and gradients, and find dead units;
# * say what the size of the initial weights and a normalization do, with an interval over seeds.
#
# **Minutes:** 45 to read and run, 35 more for the exercises. **You need:** [00](00_MLP_from_scratch_PyTorch.ipynb) and [01](01_MLP_for_Interpretability.ipynb).
#
# Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("02")

# %%
from dataclasses import replace

import numpy as np
import torch
import xarray as xr

from neural_microscope.analysis import dynamics, predictions

data = lesson.data

# %% [markdown]
# ## 1. What the network is given
#
# Let's look at the data before the network does. How bright are the images, and how many are there of each digit?

# %%
train_pixels = data.train.images / 255
counts = np.bincount(data.train.labels)
lesson.say(f"""Scaled to 0..1, the pixels have mean {train_pixels.mean():.4f} and standard deviation {train_pixels.std():.4f}; {(train_pixels == 0).mean():.0%} of
them are exactly 0. The rarest digit is {counts.argmin()} ({counts.min():,} images), the most frequent {counts.argmax()} ({counts.max():,}). If you always predict {counts.argmax()}, you
are correct on {counts.max() / counts.sum():.1%} of them: that is the chance level for an accuracy.""")
assert not lesson.full or (abs(train_pixels.mean() - 0.1307) < 1e-4 and abs(train_pixels.std() - 0.3081) < 1e-4)

# %% [markdown]
# ## 2. How wrong is it? The loss
#
# The network gives ten *logits*, one number for each digit. The *softmax* turns them into probabilities that sum to 1. The loss of an image is −log of the
# probability that the true digit gets: 0 if the network is sure and correct, large if it is sure and wrong.
#
# Averaged over images, this is the *cross-entropy*. Here it is by hand, and by PyTorch:

# %%
config = nm.MLPConfig(image_shape=data.image_shape, hidden=(128, 64))
model = nm.MLP(config, seed=0)
images, labels = data.test.tensor(), data.test.label_tensor()
with torch.no_grad():
    logits = model(images)

probabilities = logits.exp() / logits.exp().sum(1, keepdim=True)
by_hand = -probabilities[torch.arange(len(labels)), labels].log().mean()
assert torch.isclose(by_hand, torch.nn.functional.cross_entropy(logits, labels), atol=1e-5)

# %% [markdown]
# This network is untrained, so it gives each of the ten digits about the same probability. **What is its loss?** (What is −log of that probability? The unit is the *nat*, because we take the natural logarithm.)

# %%
mine = 1.0  # your guess
lesson.guess("loss at first", mine)

# %%
if lesson.reveal("loss at first", round(float(by_hand), 2)):
    print(f"log 10 = {np.log(10):.3f}; accuracy {float((logits.argmax(1) == labels).float().mean()):.1%}")
assert abs(float(by_hand) - np.log(10)) < 0.1

# %% [markdown]
# A probability of 1/10 for each digit gives a loss of log 10. When you see a loss far above that in an *untrained* network, suspect initial weights that are
# too large: such a network is sure of something at random. We will try it in section 10.
#
# ## 3. The loop
#
# All of training is this: take a batch of images in random order, compute the loss, find its gradient, and move every weight a little against it.


# %%
def epoch_by_hand(model, images, labels, rate, seed, watch=lambda step: None):
    """One pass over the training images by plain gradient descent in batches of 128; returns the loss of each step."""
    losses = []
    watch(0)
    for step, batch in enumerate(nm.data.batches(len(images), 128, seed=seed, epoch=0), start=1):
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(float(loss.detach()))
        watch(step)
    return losses


ours = nm.MLP(config, seed=0)
losses = epoch_by_hand(ours, data.train.tensor(), data.train.label_tensor(), rate=0.1, seed=0)

theirs = nm.MLP(config, seed=0)
plain = nm.TrainConfig(epochs=1, optimizer="sgd", learning_rate=0.1, seed=0)
history = nm.train(theirs, data, plain)
gap = max(float((a - b).detach().abs().max()) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
assert gap < 1e-3, gap
assert np.allclose(losses, history.loss, atol=1e-3)
print(f"{len(losses)} steps by hand and by nm.train: losses and weights agree to a thousandth")

# %% [markdown]
# So this loop is what `nm.train` runs; what is left is rounding. The library adds other optimizers, a schedule for the learning rate, and *observers*: objects
# that are called at each step and change nothing. Our loop is prepared for one: its argument `watch` is a function that it calls at each step.
#
# **After this single pass over the training images, what share of new images does the network classify correctly?**

# %%
mine = 0.7  # your guess
lesson.guess("one epoch", mine)

# %% tags=["varies"]
if lesson.reveal("one epoch", round(history.test.accuracy, 3)):
    print(f"the loss fell from {losses[0]:.2f} to {np.mean(losses[-20:]):.2f} (mean of the last 20 batches)")
assert not lesson.full or 0.88 < history.test.accuracy < 0.95

# %% [markdown]
# ## 4. A recorder by hand
#
# At the end of training we hold the last weights, and everything that led to them is gone. So let's keep it. Every now and then we take a *snapshot*: a copy of the
# weights, and the *activations* (what each hidden unit gives) for a fixed set of test images, the *probe images*.
#
# You know from 01 how to get activations: a hook that keeps a copy. The rest of a recorder is a dictionary:


# %%
class SmallRecorder:
    def __init__(self, model, images, steps):
        self.model, self.images, self.steps = model, images, set(steps)
        self.weights, self.activations = {}, {}

    def __call__(self, step):
        if step not in self.steps:
            return
        self.weights[step] = {name: value.detach().clone() for name, value in self.model.named_parameters()}
        _, cache = self.model.run_with_cache(self.images)
        self.activations[step] = {name: value.detach().clone() for name, value in cache.items()}


# %% [markdown]
# Which steps? Often at first, when everything changes, then ever more rarely: 0, 1, 2, 4, 8, … Now the library's recorder, on the same training. It writes into a
# folder; `lesson.run` trains with it, or opens what was trained before.

# %%
plain_run = lesson.run("by-hand", nm.MLPConfig(hidden=(128, 64)), plain)
model = nm.MLP(config, seed=0)
recorder = SmallRecorder(model, plain_run.probe.tensor(), [0, *(2**k for k in range(10))])
epoch_by_hand(model, data.train.tensor(), data.train.label_tensor(), rate=0.1, seed=0, watch=recorder)

both = sorted(set(recorder.weights) & set(plain_run.steps))
layer = "layers.1.hook_post"
worst = 0.0
for step in both:
    index = list(plain_run.steps).index(step)
    theirs = plain_run.activations(layer)[index].values
    worst = max(worst, float(np.abs(recorder.activations[step][layer].numpy() - theirs).max()))
assert len(both) > 3
assert worst < 1e-3
lesson.say(
    f"""At {len(both)} steps ({", ".join(map(str, both))}) our recorder and the library's hold the same activations, {theirs.size:,} each, to {worst:.0e}."""
)

# %% [markdown]
# That is all a recorder is. Two things in ours are easy to get wrong. Without `clone()`, every snapshot would be the same tensor. And the probe images must be *fixed*: with another batch
# each time, you could not tell a change of the network from a change of the images.
#
# ## 5. The run folder
#
# The library's recorder also survives a crash, keeps gradients, and writes formats that others can read. Below is the run that we study from here on.
#
# It has three settings that our loop did not have. *AdamW* is gradient descent with a memory of past gradients (*momentum*) and a step size of its own for each weight. *Weight decay* pulls each weight
# a little toward 0 at each step. And with the *cosine* schedule, the learning rate goes down smoothly to 0.

# %%
training = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), training)
print("status:", run.status)
print(f"{len(run.steps)} snapshots, at steps", *run.steps[:12], "…", run.steps[-1])
for path in sorted(run.folder.iterdir()):
    if path.suffix != ".lock":
        print(" ", path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# You need no library of ours to read any of it. `run.json` holds the settings, the weights are `safetensors` files, and the log is a Zarr store, a folder of arrays
# that `xarray` opens by itself:

# %%
log = xr.open_zarr(run.folder / "log.zarr")
for name, array in log.data_vars.items():
    print(f"{name:24} {dict(zip(array.dims, array.shape, strict=True))}")

# %% [markdown]
# And you need not trust it. Load the weights of any snapshot, run the network again, and compare with what the log holds:

# %%
middle = len(run.steps) // 2
again = run.model(step=run.steps[middle])
_, cache = again.run_with_cache(run.probe.tensor())
logged = run.activations("layers.1.hook_post")[middle]
worst = float(np.abs(cache["layers.1.hook_post"].detach().numpy() - logged.values).max())
assert worst < 1e-4
assert run.verify() == []
print(f"step {run.steps[middle]}: the log and the weights agree; all files verified")

# %% [markdown]
# ## 6. Loss curves
#
# This is the first picture anybody draws. **After how many steps does the network classify half of the test images correctly?** (A *step* is one update of the
# weights, here from a batch of 128 images.)

# %%
mine = 200  # your guess
lesson.guess("half", mine)

# %% tags=["varies"]
accuracy = run.log["test_accuracy"].values
half = int(run.log["step"].values[np.flatnonzero(accuracy >= 0.5)[0]])
curve = dynamics.learning_curve(run.training, run.log)
test_error, train_error = curve["test_error"].values[-1], curve["train_error"].values[-1]
if lesson.reveal("half", half):
    lesson.say(f"""Half of them by step {half:,} of {run.steps[-1]:,}: that is the first {half / run.steps[-1]:.1%} of training. At the end, test accuracy is {accuracy[-1]:.1%}
    on {len(data.test):,} images; {test_error:.2%} of the test images and {train_error:.2%} of the images in the last training batches are misclassified.""")
    display(nm.plots.learning_curves({"MLP": curve}))
assert not lesson.full or test_error > train_error

# %% [markdown]
# *What to look at:* the gap at the right end, between the gray line (the batches it learns from) and the black one (test images). Toward the end, the network still improves on the images it learns from, and
# hardly on new ones. Both axes are logarithmic, which gives the first steps room and squeezes the last third of training into a narrow strip.

# %% [markdown]
# **Does it hold on another seed?** We train the same network from four other initializations. From the five accuracies we compute their mean and its 95% *interval*: the range in which the mean over very many seeds
# would lie, found by a method that is correct in 95% of such cases.

# %% tags=["varies"]
runs = [run, *(lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(training, seed=seed)) for seed in (1, 2, 3, 4))]
final = np.array([float(one.log["test_accuracy"][-1]) for one in runs])
mean, low, high = nm.statistics.over_seeds(final)
halves = [int(one.log["step"].values[np.flatnonzero(one.log["test_accuracy"].values >= 0.5)[0]]) for one in runs]
lesson.say(f"""Over {len(runs)} seeds the test accuracy is {mean:.2%} (95% interval {low:.2%} to {high:.2%}), and it reaches 50% at step {min(halves)} to {max(halves)}. The accuracy
of one network is itself uncertain by about ±{1.96 * np.sqrt(mean * (1 - mean) / len(data.test)):.2%}, because it was measured on {len(data.test):,} test images and not on all that there could be.""")
assert not lesson.full or (low > 0.97 and max(halves) < 200)

# %% [markdown]
# ### Exercise 1: which digit is learned first?
# *Difficulty ●●○○ · 10 minutes*
#
# `run.log["test_accuracy_by_class"]` is [snapshot, class], with the coordinate `step`. Write `learned_at(log, threshold)`: for each class, the step of the first snapshot at which its accuracy
# is at least `threshold` (an array with one number for each class; NaN where that never happens).

# %% [markdown] tags=["hint"]
# `(accuracy >= threshold)` is an array of True and False, [snapshot, class]. `argmax` over the snapshots gives the first True, and also 0 where there is none: ask `any` too.


# %% tags=["stub"]
def learned_at(log, threshold):
    raise NotImplementedError("return an array with one step for each class")


# %% tags=["solution"]
def learned_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    steps = log["step"].values[reached.argmax(0)].astype(float)
    return np.where(reached.any(0), steps, np.nan)


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    for snapshots, classes, threshold in ((5, 3, 0.5), (7, 10, 0.6), (6, 4, 0.3), (9, 5, 0.4), (5, 3, 0.5)):
        table = rng.integers(0, 9, size=(snapshots, classes)) / 10
        table[:, 0] = rng.uniform(0, threshold - 0.05, snapshots)  # never
        table[:, 1] = 0.0
        table[0, 1] = threshold  # exactly at the threshold, at the start, and never again
        table[:, 2] = 0.0
        table[1, 2] = threshold - 1e-6  # nearly
        table[2, 2] = table[-1, 2] = 0.95  # reached, lost, and reached again
        steps = np.cumsum(rng.integers(1, 50, snapshots))
        steps -= steps[0] if snapshots % 2 else 1  # most runs begin at step 0
        columns = {
            "test_accuracy_by_class": (("snapshot", "class"), table),
            "test_accuracy": ("snapshot", table.mean(1)),
        }
        planted = xr.Dataset(columns, coords={"step": ("snapshot", steps)})
        for asked in (threshold, 0.0):
            with lessons.unchanged(log=planted):
                found = learned_at(planted, asked)
            assert found is not None and np.shape(found) == (classes,), (
                f"{classes} classes were planted; one number for each should come back, not {found}"
            )
            assert np.asarray(found).dtype.kind == "f" or not asked, (
                f"numbers should come back, and NaN for never, not {found}"
            )
            for c, got in enumerate(np.asarray(found, float)):
                first = next((float(steps[s]) for s in range(snapshots) if table[s, c] >= asked), np.nan)
                row = ", ".join(f"{value:.7g}" for value in table[:, c])
                assert np.array_equal(got, first, equal_nan=True), (
                    f"with the accuracies {row} at the steps {', '.join(map(str, steps))}, a threshold of {asked} is first reached at {first:g}, not {got:g}"
                )


# %% tags=["right"]
def learned_at(log, threshold):
    accuracy, steps = log["test_accuracy_by_class"].values, log["step"].values
    found = []
    for c in range(accuracy.shape[1]):
        hits = [int(step) for step, value in zip(steps, accuracy[:, c], strict=True) if value >= threshold]
        found.append(hits[0] if hits else float("nan"))
    return found


# %% tags=["right"]
def learned_at(log, threshold):  # in xarray's own words
    accuracy = log["test_accuracy_by_class"]
    return log["step"].where(accuracy >= threshold).min("snapshot").values


# %% tags=["right"]
def learned_at(log, threshold):  # in torch
    accuracy = torch.tensor(log["test_accuracy_by_class"].values)
    steps = torch.tensor(log["step"].values).double()[:, None]
    first = torch.where(accuracy >= threshold, steps, torch.inf).amin(0)
    return torch.where(first.isinf(), torch.nan, first)


# %% tags=["wrong"]
def learned_at(log, threshold):  # the number of the snapshot, not its step
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.where(reached.any(0), reached.argmax(0), np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # above, not at least
    reached = log["test_accuracy_by_class"].values > threshold
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)], np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # the first step where it never happens
    reached = log["test_accuracy_by_class"].values >= threshold
    return log["step"].values[reached.argmax(0)].astype(float)


# %% tags=["wrong"]
def learned_at(log, threshold):  # the threshold is always one half
    reached = log["test_accuracy_by_class"].values >= 0.5
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)], np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # a class reached at the start counts as never
    reached = log["test_accuracy_by_class"].values >= threshold
    first = reached.argmax(0)
    return np.where(first > 0, log["step"].values[first], np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # since when it stays, not when it is first reached
    reached = log["test_accuracy_by_class"].values >= threshold
    stays = np.logical_and.accumulate(reached[::-1], axis=0)[::-1]
    return np.where(stays.any(0), log["step"].values[stays.argmax(0)], np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # the last time, not the first
    reached = log["test_accuracy_by_class"].values >= threshold
    last = len(reached) - 1 - reached[::-1].argmax(0)
    return np.where(reached.any(0), log["step"].values[last], np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # the accuracy of all classes together
    reached = log["test_accuracy"].values >= threshold
    step = log["step"].values[reached.argmax()] if reached.any() else np.nan
    return np.full(log["test_accuracy_by_class"].shape[1], step, float)


# %% tags=["wrong"]
def learned_at(log, threshold):  # snapshots and classes confused
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.where(reached.any(1), log["step"].values, np.nan)


# %% tags=["wrong"]
def learned_at(log, threshold):  # -1 in place of NaN
    reached = log["test_accuracy_by_class"].values >= threshold
    return np.where(reached.any(0), log["step"].values[reached.argmax(0)], -1)


# %% [markdown]
# The library's `learning_by_class` does the same with an interval, and also asks from when on a class *stays* learned:

# %% tags=["varies", "card"]
by_class = dynamics.learning_by_class(run.log, counts=np.bincount(data.test.labels, minlength=data.classes))
nm.plots.class_learning(by_class)

# %% [markdown]
# *What to look at:* the first column, where the network is still untrained. One digit is dark there already. (At the right stands the accuracy at the end, bold where a class differs from all classes together by more than
# chance.) Does the network know that digit without any training? Let's ask what an untrained network predicts:

# %%
for seed, one in enumerate(runs):
    predicted = np.bincount(one.activations("logits")[0].values.argmax(1), minlength=data.classes)
    print(
        f"untrained, seed {seed}: predicts {predicted.argmax()} for {predicted.max() / predicted.sum():.0%} of the probe images"
    )

# %% [markdown]
# An untrained network predicts one digit far too often, and is then "correct" on much of that class; on another seed it is mostly another digit. So the accuracy
# of one class can come from a bias, although nothing was learned about that class.
#
# ## 7. Activation heatmaps
#
# Now we look inside. Each row is a unit, each column a snapshot. The darker the cell, the higher the unit's mean activation over the probe images.

# %% tags=["varies"]
hidden = ("layers.0.hook_post", "layers.1.hook_post")
activity = {name: dynamics.activity(run.activations(name)) for name in hidden}
size = run.activations(hidden[1]).mean(("example", "unit"))
peak = int(size.values.argmax())
lesson.say(
    f"""In the second layer the mean activation is {float(size[0]):.2f} at initialization, highest at step {int(run.steps[peak]):,} ({float(size[peak]):.2f}), and {float(size[-1]):.2f} at the end."""
)
nm.plots.activity_over_time(activity)

# %% [markdown]
# *What to look at:* the pale left edge, where activations are still small, and the rows that stay pale to the right end: units that hardly respond to any image. Means hide the spread, so here are all
# activations at once:

# %%
nm.plots.histograms_over_time({name: dynamics.histograms(run.activations(name)) for name in hidden})

# %% [markdown]
# *What to look at:* each column is the distribution at one snapshot. It spreads upward, while a large share stays at exactly 0: at each snapshot, many units are off.

# %% [markdown]
# How many are on at once? That share is called the *density*. At initialization it is about a half, as in 01. **At the end of training, for what share of the images is an average unit of the first
# layer above 0?**

# %%
mine = 0.5  # your guess
lesson.guess("density", mine)

# %% tags=["varies"]
densities = [
    dynamics.activity(one.activations("layers.0.hook_post").isel(snapshot=[0, -1]))["density"].mean("unit").values
    for one in runs
]
start, end = densities[0]
fell = sum(after < before for before, after in densities)
if lesson.reveal("density", round(float(end), 2)):
    mixed = f"It falls in {fell} of {len(runs)} networks and rises in the others, so there is no rule here."
    all_alike = {
        0: f"One might expect that units become pickier while they learn. Here it is the opposite: the share rises in all {len(runs)} networks.",
        len(runs): f"It falls in all {len(runs)} networks: the units become pickier while they learn.",
    }
    lesson.say(f"""From {start:.2f} to {end:.2f} here. On the other seeds: {", ".join(f"{before:.2f} to {after:.2f}" for before, after in densities[1:])}.
    {all_alike.get(fell, mixed)}""")

# %% [markdown]
# ## 8. Gradients
#
# Every tenth step the recorder also keeps how large the gradient of each parameter is. Once more we do the first one by hand: the same network, the same first batch, the norm (the length) of one
# gradient.

# %%
first = run.model(step=0)
batch = next(iter(nm.data.batches(len(data.train), training.batch_size, seed=training.seed, epoch=0)))
loss = torch.nn.functional.cross_entropy(first(data.train.tensor()[batch]), data.train.label_tensor()[batch])
loss.backward()
name = "layers.0.linear.weight"
norm_by_hand = float(dict(first.named_parameters())[name].grad.norm())
recorded = float(run.gradients["grad_norm"].sel(parameter=name)[0])
assert np.isclose(norm_by_hand, recorded, rtol=1e-3)
print(f"norm of the gradient of {name} at step 1: by hand {norm_by_hand:.4f}, recorded {recorded:.4f}")

# %% tags=["varies"]
weight_names = [name for name in run.gradients["parameter"].values if name.endswith("weight")]
typical = run.gradients["update_ratio"].sel(parameter=weight_names).median("step").values
near = (typical > 0.001 / 3).all() and (typical < 0.003).all()
lesson.say(f"""In half of the recorded steps, one step changes the three weight matrices by more than {", ".join(f"{value:.2%}" for value in typical)} of their size.
A common rule of thumb is 0.1%; this training is {"near it" if near else "not near it"}.""")
nm.plots.gradient_flow(dynamics.gradient_flow(run.gradients))

# %% [markdown]
# *What to look at:* above, the length of each layer's gradient; below, the *update-to-weight ratio*, by how much one step changes the weights in relation to their size. The lines are medians, the bands hold 95% of
# the steps. The ratio starts far above the rule of thumb (dotted) and falls; the plunge at the right end is the schedule, which takes the learning rate down to 0.
#
# ### Exercise 2: how far have the weights moved?
# *Difficulty ●●○○ · 10 minutes*
#
# `run.weights(step)` gives the weights of a snapshot by name. Write `moved(run, name)`: for every snapshot, the distance (the norm of the difference) of that weight from its value at the
# first snapshot, divided by the norm of that first value.

# %% [markdown] tags=["hint"]
# `start = run.weights(run.steps[0])[name]`. For a tensor, `.norm()` is the square root of the sum of squares.


# %% tags=["stub"]
def moved(run, name):
    raise NotImplementedError("return a list with one number for each snapshot")


# %% tags=["solution"]
def moved(run, name):
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).norm() / start.norm()) for step in run.steps]


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    shapes = {"v": (3, 2), "w": (2, 4), "bias": (5,), "kernels": (2, 1, 3, 3)}

    class Planted:
        def __init__(self, steps):
            self.steps = steps
            self.held = {
                step: {name: torch.tensor(rng.normal(size=shape)) for name, shape in shapes.items()} for step in steps
            }
            for one in self.held.values():
                one["bias"] *= 1e-4  # small, as a bias may be

        def weights(self, step=None):
            step = self.steps[-1] if step is None else step
            assert step in self.held, f"step {step} was asked for; the snapshots are {self.steps}"
            return self.held[step]

    for steps in ((0, 1, 5), (3, 4, 8, 20), (0, 1, 5), (0, 2)):
        run = Planted(steps)
        for name, shape in shapes.items():
            with lessons.unchanged(**{"the run's own weights": run.held}):
                found = moved(run, name)
            assert found is not None and len(found) == len(steps), (
                f"{len(steps)} snapshots were planted, so {len(steps)} numbers should come back, not {found}"
            )
            values = {step: run.held[step][name].numpy() for step in steps}
            start = values[steps[0]]
            for step, got in zip(steps, found, strict=True):
                true = np.sqrt(((values[step] - start) ** 2).sum()) / np.sqrt((start**2).sum())
                assert np.ndim(got) == 0, (
                    f"for the weight {name!r} {[*shape]}, a table came for step {step} in place of one number"
                )
                assert abs(float(got) - true) <= 1e-5 * true, (
                    f"from step {steps[0]} to {step}, the weight {name!r} {[*shape]} moves {true:.6g} times its first norm; {float(got):.6g} came"
                )


# %% tags=["right"]
def moved(run, name):
    weights = np.stack([run.weights(step)[name].numpy().ravel() for step in run.steps])
    return np.linalg.norm(weights - weights[0], axis=1) / np.linalg.norm(weights[0])


# %% tags=["right"]
def moved(run, name):
    found, start = [], None
    for step in run.steps:
        now = run.weights(step)[name].float()
        start = now if start is None else start
        found.append(((now - start).square().sum() / start.square().sum()) ** 0.5)
    return found


# %% tags=["wrong"]
def moved(run, name):  # from the snapshot before
    found, before = [], run.weights(run.steps[0])[name]
    for step in run.steps:
        now = run.weights(step)[name]
        found.append(float((now - before).norm() / run.weights(run.steps[0])[name].norm()))
        before = now
    return found


# %% tags=["wrong"]
def moved(run, name):  # not divided
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # divided by the norm of today's weight
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).norm() / run.weights(step)[name].norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # a difference of norms
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name].norm() - start.norm()).abs() / start.norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # squared distances
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).square().sum() / start.square().sum()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # always the same weight
    start = run.weights(run.steps[0])["w"]
    return [float((run.weights(step)["w"] - start).norm() / start.norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # absolute values in place of squares
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).abs().sum() / start.abs().sum()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # takes for granted that the first snapshot is step 0
    start = run.weights(0)[name]
    return [float((run.weights(step)[name] - start).norm() / start.norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # subtracts in place
    start = run.weights(run.steps[0])[name].clone()
    return [float(run.weights(step)[name].sub_(start).norm() / start.norm()) for step in run.steps]


# %% tags=["wrong"]
def moved(run, name):  # leaves out the first snapshot
    start = run.weights(run.steps[0])[name]
    return [float((run.weights(step)[name] - start).norm() / start.norm()) for step in run.steps[1:]]


# %% [markdown]
# ## 9. Dead units
#
# A ReLU unit that is off for every image is *dead*. It gets no gradient while that lasts, so it cannot help itself: only weight decay, momentum or a change in an earlier layer can wake it.
#
# A learning rate that is too high makes dead units, because one large step can push a unit's sum below 0 for every image. We train the same network for half as many epochs, with a learning rate 20 times
# higher. **What share of the units of its first layer is dead at the end?**

# %%
mine = 0.1  # your guess
lesson.guess("dead", mine)

# %% tags=["varies"]
hot = lesson.run("mlp-hot", nm.MLPConfig(), replace(training, learning_rate=4e-2, epochs=4))
states = {
    "learning rate 0.002": dynamics.activity(run.activations(hidden[0])),
    "learning rate 0.04": dynamics.activity(hot.activations(hidden[0])),
}
dead = {name: float(table["dead"].isel(snapshot=-1).mean()) for name, table in states.items()}
lives = dynamics.lives(hot.activations(hidden[0]))
silent = lives["died_at"].values[np.isfinite(lives["died_at"].values)]
woke = int((lives["revivals"].values > 0).sum())
if lesson.reveal("dead", round(dead["learning rate 0.04"], 2)):
    lesson.say(f"""Dead at the end: {dead["learning rate 0.002"]:.0%} of the units with the usual rate, {dead["learning rate 0.04"]:.0%} with the high one, on {len(run.probe):,} images.
    We trained one network with each rate, so this is a description, without a test over seeds.""")
    display(nm.plots.unit_states(states))
assert not lesson.full or dead["learning rate 0.04"] > dead["learning rate 0.002"]

# %% [markdown]
# *What to look at:* the dotted line in the two panels, the share of units that are dead. (Dashed: on for less than 1% of the images. Solid: on for more than 99%.)
#
# We looked at 1,000 probe images only. A unit that is silent on all of them may still be on for up to 3 of 1,000 other images (at 95%; this is called the rule of three). Now, when do the units die?

# %% tags=["varies"]
if lesson.reveal("dead"):
    when = f", half of these by step {np.median(silent):,.0f} of {hot.steps[-1]:,}" if len(silent) else ""
    lesson.say(
        f"With the high rate, {len(silent)} units fell silent to the end after having been on{when}. {woke} were silent at some snapshot and woke up later."
    )
    display(nm.plots.unit_lives({"learning rate 0.04": lives}))

# %% [markdown]
# *What to look at:* each row is a unit that was ever silent, blue while it is above 0 for some image, hatched while it is silent. Most rows turn hatched within the first steps and stay so.
#
# ## 10. How large should the first weights be?
#
# If each layer makes its signal a little smaller, many layers make it vanish. A little larger, and it explodes. Let's watch it: ten layers of 100 units with random weights of
# several sizes (as a multiple of 1/√inputs). The size of a layer's activations is their root mean square.

# %%
generator = torch.Generator().manual_seed(0)
signal = torch.randn(500, 100, generator=generator)
spread = {}
for name, size in (("0.6", 0.6), ("1", 1.0), ("√2", 2**0.5), ("2", 2.0)):
    layer_input, sizes = signal, [1.0]
    for _ in range(10):
        weights = torch.randn(100, 100, generator=generator) * size / 100**0.5
        layer_input = torch.relu(layer_input @ weights)
        sizes.append(float(layer_input.square().mean().sqrt()))
    spread[name] = (range(11), sizes)
lesson.say(
    "After ten layers: " + ", ".join(f"{sizes[-1]:.2g} with size {name}" for name, (_, sizes) in spread.items()) + "."
)
nm.plots.lines(spread, x="layers passed", y="root mean square", log_y=True, title="√2 keeps the signal's size best")

# %% [markdown]
# *What to look at:* the lines are nearly straight on this logarithmic axis, so each layer multiplies the signal by about the same factor; with √2 that factor is about 1. The reason: a ReLU sets half of the numbers
# to 0, so the mean square halves, and weights that are √2 times larger double it again. That is *He initialization* (He et al. 2015).
#
# And in training? We take the same network on fewer images for two epochs, and multiply its initial weights by a factor. We also try a *normalization* in each layer. *Layer
# normalization* gives the units of one image mean 0 and standard deviation 1; *batch normalization* does so for one unit over the images of a batch.
#
# Five seeds each, because a single network may be luck:

# %%
some = nm.data.Dataset(
    "some", data.train.balanced(lesson.pick(10_000, 1_000), seed=0), data.test.balanced(lesson.pick(5_000, 300), seed=0)
)
variants = {
    "usual": config,
    "a tenth": replace(config, init_scale=0.1),
    "five times": replace(config, init_scale=5.0),
    "layer norm": replace(config, norm="layer"),
    "batch norm": replace(config, norm="batch"),
    "five times, layer norm": replace(config, init_scale=5.0, norm="layer"),
}


def accuracies(config, seeds):
    quick = nm.TrainConfig(epochs=2, optimizer="adam", learning_rate=1e-3)
    return [nm.train(nm.MLP(config, seed=seed), some, replace(quick, seed=seed)).test.accuracy for seed in seeds]


found = {name: np.array(accuracies(variant, range(5))) for name, variant in variants.items()}
with torch.no_grad():
    usual, five = (
        float(torch.nn.functional.cross_entropy(nm.MLP(variants[name], seed=0)(images), labels))
        for name in ("usual", "five times")
    )
lesson.say(f"""Untrained, the loss is {usual:.2f} nats with the usual weights and {five:.2f} nats with weights five times as large.
{"So with large weights, the untrained network is sure of something at random, as we said in section 2." if five > usual + 0.5 else ""}""")

# %% [markdown]
# "Usual" is PyTorch's default, 0.58 in the units of the picture, so "five times" is 2.9. **Compared with it, by how many percentage points does test accuracy change with weights five times as large?**

# %%
mine = -10.0  # your guess
lesson.guess("five times", mine)


# %% tags=["varies"]
def against(name, other="usual"):
    """The mean change of accuracy in points over seeds, its 95% interval, and whether that interval leaves out 0."""
    mean, low, high = (100 * float(value) for value in nm.statistics.over_seeds(found[name] - found[other]))
    return mean, low, high, "shown" if nm.statistics.excludes(low, high) else "not shown"


if lesson.reveal("five times", round(against("five times")[0], 1)):
    lesson.say(f"usual: {found['usual'].mean():.1%} (mean of {len(found['usual'])} seeds)")
    for name in [*found][1:]:
        mean, low, high, verdict = against(name)
        lesson.say(f"{name}: {mean:+.1f} points (95% interval {low:+.1f} to {high:+.1f}): a difference is {verdict}")
    mean, low, high, verdict = against("five times, layer norm", "layer norm")
    lesson.say(f"""And does a layer norm make up for large weights? Compared with layer norm and usual weights, five times as large they {"lower" if mean < 0 else "raise"} the accuracy by {abs(mean):.1f} points
    (95% interval {low:+.1f} to {high:+.1f}). {"So it does not make up for them." if high < 0 else "A drop is not shown."}""")
assert not lesson.full or found["a tenth"].mean() < found["usual"].mean()

# %% [markdown]
# Look at the line "five times" with the picture above in mind: the signal grows, so we would expect trouble. But this network has three layers and not ten, and Adam makes steps of about the same
# size whatever the gradients are. A theory about signals does not tell us about accuracies, so we measure.
#
# "Not shown" means that five seeds can't tell. It is no evidence that nothing differs. What a normalization does to single *units* is a question for [notebook 08](08_Training_Phenomena.ipynb).

# %% [markdown]
# ### Exercise 3: is the difference real?
# *Difficulty ●●●○ · 15 minutes*
#
# Two settings, the same n seeds, one accuracy each. In 01 we met the p value: the share of chance outcomes that are at least as extreme as what we found. Here is how to get chance outcomes: if the settings do not differ,
# each seed's difference could as well have the other sign. So we flip the signs in all 2ⁿ possible ways.
#
# Write `sign_flips(a, b)`: the share of all 2ⁿ ways whose mean difference is at least as large, in absolute value, as the one found. Some ways tie
# with it, so allow 1e-12 for rounding.

# %% [markdown] tags=["hint"]
# `itertools.product((1, -1), repeat=n)` gives all ways to choose signs. Compare absolute means, with a small tolerance such as 1e-12, so that the way that was found counts itself.


# %% tags=["stub"]
def sign_flips(a, b):
    raise NotImplementedError("return a share between 0 and 1")


# %% tags=["solution"]
def sign_flips(a, b):
    import itertools

    difference = np.asarray(a) - np.asarray(b)
    means = [abs(np.mean(difference * signs)) for signs in itertools.product((1, -1), repeat=len(difference))]
    return float(np.mean(np.array(means) >= abs(difference.mean()) - 1e-12))


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    cases = [
        ([5.0, 6.0, 7.0, 8.0], [4.0] * 4),
        ([3.0, -1.0, 2.0], [0.0] * 3),
        ([1.0, 2.0], [1.0, 2.0]),
        ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]),
        ([5.0, 6.0, 7.0, 8.0], [4.0, 9.0, 4.0, 5.0]),
        ([5.0, 0.0001, 0.0], [0.0] * 3),  # a way that is nearly as extreme
        ([0.9703, 0.9713, 0.9729, 0.9704, 0.9711], [0.9707, 0.9722, 0.9701, 0.971, 0.9702]),  # two ways tie
    ]
    cases += [([*rng.normal(size=n)], [*rng.normal(rng.uniform(-1, 1), size=n)]) for n in (3, 4, 5, 6, 7, 8, 11)]
    cases += [
        ([*(rng.integers(9700, top, n) / 1e4)], [*(rng.integers(9700, top, n) / 1e4)])
        for n, top in ((4, 9750), (9, 9750), (8, 9715), (8, 9715), (8, 9715))  # in the last three, many ways tie
    ]
    for a, b in cases:
        n = len(a)
        difference = [x - y for x, y in zip(a, b, strict=True)]
        sums = [sum(d if way >> i & 1 else -d for i, d in enumerate(difference)) for way in range(2**n)]
        extreme = sum(abs(total) >= abs(sum(difference)) - 1e-9 for total in sums)
        a, b = (a, b) if rng.random() < 0.5 else (np.array(a), np.array(b))
        with lessons.unchanged(a=a, b=b):
            p = sign_flips(a, b)
        assert p is not None, "nothing came back"
        shown = ", ".join(f"{d:.4g}" for d in difference)
        assert p > 0, (
            f"p is {p} for the differences {shown}: the way that was really found is one of the ways, and counts"
        )
        assert abs(p - extreme / 2**n) < 1e-6, (
            f"for the differences {shown}, {extreme} of the {2**n} ways are at least as far from 0 as the one found, ties counted: p = {extreme / 2**n:.4f}, not {p:.4f}"
        )


# %% tags=["right"]
def sign_flips(a, b):  # sums in place of means
    difference = torch.tensor(np.array(a) - np.array(b))
    n = len(difference)
    signs = torch.tensor([[1.0 if way >> i & 1 else -1.0 for i in range(n)] for way in range(2**n)]).double()
    return ((signs @ difference).abs() >= difference.sum().abs() - 1e-9).double().mean()


# %% tags=["right"]
def sign_flips(a, b):  # one seed after the other
    sums, total = [0.0], 0.0
    for x, y in zip(a, b, strict=True):
        sums = [s + sign * (x - y) for s in sums for sign in (1, -1)]
        total += x - y
    return sum(abs(s) >= abs(total) - 1e-12 for s in sums) / len(sums)


# %% tags=["wrong"]
def sign_flips(a, b):  # one-sided
    import itertools

    d = np.asarray(a) - np.asarray(b)
    return float(np.mean([np.mean(d * s) >= d.mean() - 1e-12 for s in itertools.product((1, -1), repeat=len(d))]))


# %% tags=["wrong"]
def sign_flips(a, b):  # leaves out the way that was found
    import itertools

    d = np.asarray(a) - np.asarray(b)
    ways = list(itertools.product((1, -1), repeat=len(d)))[1:]
    return float(np.mean([abs(np.mean(d * s)) >= abs(d.mean()) - 1e-12 for s in ways]))


# %% tags=["wrong"]
def sign_flips(a, b):  # strictly more extreme
    import itertools

    d = np.asarray(a) - np.asarray(b)
    ways = itertools.product((1, -1), repeat=len(d))
    return float(np.mean([abs(np.mean(d * s)) > abs(d.mean()) + 1e-12 for s in ways]))


# %% tags=["wrong"]
def sign_flips(a, b):  # the smallest p that n seeds allow, whatever they say
    return 2 / 2 ** len(a)


# %% tags=["wrong"]
def sign_flips(a, b):  # a t-test
    from scipy.stats import ttest_rel

    p = float(ttest_rel(a, b).pvalue)
    return 1.0 if np.isnan(p) else p


# %% tags=["wrong"]
def sign_flips(a, b):  # two hundred random flips
    d, draw = np.asarray(a) - np.asarray(b), np.random.default_rng(0)
    means = [abs(np.mean(d * draw.choice((1, -1), len(d)))) for _ in range(200)]
    return float(np.mean(np.array(means) >= abs(d.mean()) - 1e-12))


# %% tags=["wrong"]
def sign_flips(a, b):  # at most as extreme
    import itertools

    d = np.asarray(a) - np.asarray(b)
    ways = itertools.product((1, -1), repeat=len(d))
    return float(np.mean([abs(np.mean(d * s)) <= abs(d.mean()) + 1e-12 for s in ways]))


# %% tags=["wrong"]
def sign_flips(a, b):  # the first setting alone
    import itertools

    d = np.asarray(a)
    ways = itertools.product((1, -1), repeat=len(d))
    return float(np.mean([abs(np.mean(d * s)) >= abs(d.mean()) - 1e-12 for s in ways]))


# %% tags=["wrong"]
def sign_flips(a, b):  # medians in place of means
    import itertools

    d = np.asarray(a) - np.asarray(b)
    ways = itertools.product((1, -1), repeat=len(d))
    return float(np.mean([abs(np.median(d * s)) >= abs(np.median(d)) - 1e-12 for s in ways]))


# %% [markdown]
# *A handful of seeds can't show much*, and now we know how little. With four seeds there are 16 ways. Even if all four agree, two ways are that extreme, all plus and all minus: p can't be below 2/16 = 0.125. With five seeds
# it can't be below 2/32 = 0.0625. (The intervals above can leave out 0 with five seeds because they assume more: that the differences are distributed in a bell curve.)
#
# ## 11. Which images were hard, and when
#
# The probe images are fixed, so each has a history of its own: from when on it is classified correctly, and how often it is *forgotten* on the way (correct at one snapshot, wrong at the next).

# %% tags=["varies"]
order = predictions.learning_order(run.activations("logits"))
learned = order["learned_at"].values
never, forgot = int(np.isnan(learned).sum()), int((order["forgotten"].values > 0).sum())
earliest = int(order["class_order"].values.argmin())
favorite = int(np.bincount(run.activations("logits")[0].values.argmax(1)).argmax())
lesson.say(f"""Half of the {len(learned):,} probe images are learned for good by step {np.nanmedian(learned):,.0f} of {run.steps[-1]:,}; {never} are misclassified at the end; {forgot} were
forgotten at least once. The class learned first is {earliest}{", but that is the class which the untrained network predicts for most images, so part of its lead may be a bias" if earliest == favorite else ""}.""")
nm.plots.image_lives(order, run.probe.images)

# %% [markdown]
# *What to look at:* on the left, each row is an image, blue while it is misclassified. Upper right are the hardest images: "6, not 1" is a 6 that is predicted as 1 at the end, and a digit alone means that the image
# is classified correctly in the end. Would you have known them? Below stands each class's mean place in the order of learning with its 95% interval; classes outside the gray band are learned earlier or later than
# labels in random order would be.
#
# ## What you have seen
#
# * A training loop is four lines, and a recorder is a dictionary of copies. The library's give the same numbers as ours.
# * An untrained network's loss is near log 10, and most of the accuracy comes within the first steps.
# * Anything in the log can be computed again from the weights.
# * A learning rate that is too high kills units.
# * Initial weights of √2/√inputs keep the size of a ReLU network's signal. A difference between two settings is compared with the spread over seeds.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#02-what-happens-while-it-learns), in the documentation.
#
# **Next:** [03, what has each unit become](03_Analyze_Activations.ipynb)?
#
# **Further reading.** K. He et al., "Delving deep into rectifiers", ICCV 2015. X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
# 2010. S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015. J. Ba, J. Kiros and G. Hinton, "Layer normalization" (2016). M. Toneva et al., "An empirical study of example
# forgetting during deep neural network learning", ICLR 2019. Y. LeCun et al., "Gradient-based learning applied to document recognition", *Proceedings of the IEEE* 86 (1998), for MNIST.
