# %% [markdown]
# # What happens while it learns?
#
# *The training loop written out, a recorder that keeps the network's whole life, and what can be read in it.*
#
# **You will be able to**
#
# * write a training loop, and show that it is the one the library runs;
# * record a run, find everything in its folder, and open its log with nothing but `xarray`;
# * read loss curves, activation heatmaps and gradients, and find dead units;
# * say what the size of the initial weights and a normalisation do, with an interval over seeds.
#
# **Minutes:** 50 to read and run, 40 more for the exercises. **You need:** [00](00_MLP_from_scratch_PyTorch.ipynb) and [01](01_MLP_for_Interpretability.ipynb).
#
# Many of the terms in *slanted letters* are in the [glossary](../docs/glossary.md).

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
# ## 1. What it is given
#
# Look at the data before the network does. First how bright the images are, then how many there are of each digit.

# %%
train_pixels = data.train.images / 255
counts = np.bincount(data.train.labels)
lesson.say(f"""The pixels, scaled to 0..1, have mean {train_pixels.mean():.4f} and standard deviation {train_pixels.std():.4f}; {(train_pixels == 0).mean():.0%} of
them are exactly 0. The rarest digit is {counts.argmin()} ({counts.min():,} images), the commonest {counts.argmax()} ({counts.max():,}). Who always said {counts.argmax()}
would be right for {counts.max() / counts.sum():.1%}.""")
assert not lesson.full or (abs(train_pixels.mean() - 0.1307) < 1e-4 and abs(train_pixels.std() - 0.3081) < 1e-4)

# %% [markdown]
# ## 2. How wrong is it? The loss
#
# The network gives ten *logits*. Soft-max turns them into shares that sum to 1, and the loss of an image is minus the logarithm of the share given to the right digit: 0 if it was
# sure and right, large if it was sure and wrong. Averaged over images this is the *cross-entropy*. By hand, and by the library:

# %%
config = nm.MLPConfig(image_shape=data.image_shape, hidden=(128, 64))
model = nm.MLP(config, seed=0)
images, labels = data.test.tensor(), data.test.label_tensor()
with torch.no_grad():
    logits = model(images)

shares = logits.exp() / logits.exp().sum(1, keepdim=True)
by_hand = -shares[torch.arange(len(labels)), labels].log().mean()
assert torch.isclose(by_hand, torch.nn.functional.cross_entropy(logits, labels), atol=1e-5)

# %% [markdown]
# This network has learnt nothing. **What is its loss?** (Its unit is the nat; think of ten digits and no idea.)

# %%
mine = 1.0  # your guess
lesson.guess("loss at first", mine)

# %%
lesson.reveal("loss at first", round(float(by_hand), 2))
print(f"ln 10 = {np.log(10):.3f}; accuracy {float((logits.argmax(1) == labels).float().mean()):.1%}")
assert abs(float(by_hand) - np.log(10)) < 0.1

# %% [markdown]
# A share of 1/10 for each digit costs ln 10. A loss far above it *before* training is a sign of initial weights that are too large: the network is sure of something, at random.
#
# ## 3. The loop
#
# All of training is this: take a batch of images in random order, compute the loss, find its gradient, move every weight a little against it.


# %%
def epoch_by_hand(model, images, labels, rate, seed):
    """One pass over the training images by plain gradient descent in batches of 128; returns the loss of each step."""
    losses = []
    for batch in nm.data.batches(len(images), 128, seed=seed, epoch=0):
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= rate * parameter.grad
        losses.append(float(loss.detach()))
    return losses


ours = nm.MLP(config, seed=0)
losses = epoch_by_hand(ours, data.train.tensor(), data.train.label_tensor(), rate=0.1, seed=0)

theirs = nm.MLP(config, seed=0)
history = nm.train(theirs, data, nm.TrainConfig(epochs=1, optimizer="sgd", learning_rate=0.1, seed=0))
gap = max(float((a - b).detach().abs().max()) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
assert gap < 1e-3, gap
assert np.allclose(losses, history.loss, atol=1e-3)
print(
    f"{len(losses)} steps by hand and by nm.train: losses and weights agree to a thousandth, which is what rounding leaves"
)

# %% [markdown]
# So this loop is what `nm.train` does. It adds other optimisers, a schedule for the learning rate, and *observers*, which are told what happens and change nothing. One of them is the recorder.
#
# **What share of new images does this network read rightly after a single pass over the training images?**

# %%
mine = 0.7  # your guess
lesson.guess("one epoch", mine)

# %% tags=["varies"]
lesson.reveal("one epoch", round(history.test.accuracy, 3))
assert not lesson.full or 0.88 < history.test.accuracy < 0.95

# %% [markdown]
# ## 4. The recorder and its folder
#
# A network at its end is a corpse; what is interesting is its life. The recorder takes *snapshots*: often at first, when everything changes, then ever more rarely, at each epoch's end,
# and always before the first step. `lesson.run` trains with a recorder, or opens what was trained before.

# %%
training = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), training)
print("status:", run.status)
print(f"{len(run.steps)} snapshots, at steps", *run.steps[:12], "…", run.steps[-1])
for path in sorted(run.folder.iterdir()):
    if path.suffix != ".lock":
        print(" ", path.name + ("/" if path.is_dir() else ""))

# %% [markdown]
# Every part can be read without this library. `run.json` says how it came to be, the weights are in the common `safetensors` form, and the log is a Zarr store that `xarray` opens
# by itself:

# %%
log = xr.open_zarr(run.folder / "log.zarr")
for name, array in log.data_vars.items():
    print(f"{name:24} {dict(zip(array.dims, array.shape, strict=True))}")

# %% [markdown]
# The activations are those of one fixed set of test images, the *probe* set, at each snapshot. That the images are fixed matters: on another batch each time, one could not tell a change
# of the network from a change of the images.
#
# Nothing is taken on trust. The weights of any snapshot can be loaded and run again, and must give what the log holds:

# %%
middle = len(run.steps) // 2
again = run.model(step=run.steps[middle])
_, cache = again.run_with_cache(run.probe.tensor())
logged = run.activations("layers.1.hook_post")[middle]
worst = float(np.abs(cache["layers.1.hook_post"].detach().numpy() - logged.values).max())
assert worst < 1e-4
print(
    f"step {run.steps[middle]}: the log and the weights agree;", "every file is as it was written:", run.verify() == []
)

# %% [markdown]
# ## 5. Loss curves
#
# The first picture anybody draws. **After how many steps does the network read half of the test images rightly?** (A step is one batch of 128 images.)

# %%
mine = 200  # your guess
lesson.guess("half", mine)

# %% tags=["varies"]
accuracy = run.log["test_accuracy"].values
half = int(run.log["step"].values[np.flatnonzero(accuracy >= 0.5)[0]])
lesson.reveal("half", half)
curve = dynamics.learning_curve(run.training, run.log)
lesson.say(f"""At the end {accuracy[-1]:.1%} of {len(data.test):,} test images are read rightly. Half of them were by step {half:,} of {run.steps[-1]:,}: that is
the first {half / run.steps[-1]:.1%} of its training.""")
nm.plots.learning_curves({"MLP": curve})

# %% [markdown]
# *What to see:* both axes are logarithmic, so that the first steps have room. The grey line is the loss on the batches it learns from, the black one on test images. On all of MNIST they part
# late: both go on to fall, the training batches faster. (On a log axis the last third of the steps is a narrow strip.)

# %% tags=["varies"]
gap_at_end = float(curve["test_error"][-1]) - float(curve["train_error"][-1])
lesson.say(
    f"At the end {curve['test_error'].values[-1]:.2%} of the test images and {curve['train_error'].values[-1]:.2%} of the last training batches are read wrongly."
)
assert not lesson.full or gap_at_end > 0

# %% [markdown]
# **Does it hold on another seed?** The same, from four other random starts:

# %% tags=["varies"]
runs = [run, *(lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(training, seed=seed)) for seed in (1, 2, 3, 4))]
final = np.array([float(one.log["test_accuracy"][-1]) for one in runs])
mean, low, high = nm.statistics.over_seeds(final)
halves = [int(one.log["step"].values[np.flatnonzero(one.log["test_accuracy"].values >= 0.5)[0]]) for one in runs]
lesson.say(f"""Over {len(runs)} seeds the accuracy is {mean:.2%} (95 % interval {low:.2%} to {high:.2%}), and half of the images are read by step {min(halves)} to {max(halves)}. Within one
seed, the {len(data.test):,} test images leave an uncertainty of about {1.96 * np.sqrt(mean * (1 - mean) / len(data.test)):.2%}; to compare two networks takes the same images for both, and several seeds.""")
assert not lesson.full or (low > 0.97 and max(halves) < 200)

# %% [markdown]
# ### Exercise 1: which digit is learnt first?
# *Difficulty ●●○○ · 10 minutes*
#
# `run.log["test_accuracy_by_class"]` is [snapshot, class], with the coordinate `step`. Write `learnt_at(log, threshold)`: for each class, the step of the first snapshot at which its accuracy
# is at least `threshold` (an array of ten; NaN where that never happens).

# %% [markdown] tags=["hint"]
# `(accuracy >= threshold)` is an array of True and False, [snapshot, class]. `argmax` over the snapshots gives the first True, and also 0 where there is none: ask `any` too.


# %% tags=["stub"]
def learnt_at(log, threshold):
    raise NotImplementedError("return an array with one step for each class")


# %% tags=["solution"]
def learnt_at(log, threshold):
    reached = log["test_accuracy_by_class"].values >= threshold
    steps = log["step"].values[reached.argmax(0)].astype(float)
    return np.where(reached.any(0), steps, np.nan)


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    planted = xr.Dataset(
        {"test_accuracy_by_class": (("snapshot", "class"), [[0.1, 0.9, 0.2], [0.5, 0.4, 0.3], [0.7, 0.9, 0.4]])},
        coords={"step": ("snapshot", [0, 8, 64])},
    )
    found = learnt_at(planted, 0.5)
    assert found is not None, "nothing came back"
    assert len(found) == 3, f"three classes were planted; {len(found)} answers came"
    assert found[0] == 8, (
        f"the first class is at least at 0.5 from step 8 on; {found[0]} came: a step is asked for, and exactly 0.5 counts"
    )
    assert found[1] == 0, f"the second class is at 0.9 from the start: step 0, not {found[1]}"
    assert np.isnan(found[2]), f"the third class never gets to 0.5; that should be NaN, not {found[2]}"


# %% [markdown]
# The library's `learning_by_class` does it with an interval, and asks since when a class *stays* learnt:

# %% tags=["varies"]
by_class = dynamics.learning_by_class(run.log, counts=np.bincount(data.test.labels, minlength=data.classes))
nm.plots.class_learning(by_class)

# %% [markdown]
# *What to see:* each line is a digit, marked with itself. They do not rise together. But beware of the one that leads at the left: an untrained network says the same digit to nearly every image, and is then "right" for all of
# that class. On another seed another digit leads. The accuracy of one class can be bias and no knowledge:
#
# ## 6. Activation heatmaps
#
# Now inside. Each row is a unit, each column a snapshot; the darker, the higher the unit's mean over the probe images.

# %%
hidden = ("layers.0.hook_post", "layers.1.hook_post")
activity = {name: dynamics.activity(run.activations(name)) for name in hidden}
nm.plots.activity_over_time(activity)

# %% [markdown]
# *What to see:* at the left the untrained network, pale: its activations are small. On all of MNIST the rows darken until about step 90, and then many fade again. Some stay pale for the whole life. Histograms show the same for all activations at once:

# %%
nm.plots.histograms_over_time({name: dynamics.histograms(run.activations(name)) for name in hidden})

# %% [markdown]
# *What to see:* each column is the distribution at one snapshot. The activations spread upwards in the first steps, while a large share stays at exactly 0: at any moment many units are off.
#
# How many are on at once? **At the end of training, for what share of the images is an average unit of the first layer above 0? Before training it was about a half.**

# %%
mine = 0.5  # your guess
lesson.guess("sparser", mine)

# %% tags=["varies"]
density = activity["layers.0.hook_post"]["density"].mean("unit").values
lesson.reveal("sparser", round(float(density[-1]), 2))
others = [
    float(dynamics.activity(one.activations("layers.0.hook_post").isel(snapshot=[-1]))["density"].mean())
    for one in runs[1:]
]
lesson.say(
    f"From {density[0]:.2f} to {density[-1]:.2f} here, and to {', '.join(f'{value:.2f}' for value in others)} in the four other seeds: {'fewer' if density[-1] < density[0] else 'no fewer'} units share each image."
)

# %% [markdown]
# ## 7. Gradients
#
# The recorder also keeps, every tenth step, how large the gradient of each parameter is. By hand for the very first step: the same network, the same first batch, the norm of one gradient.

# %%
first = run.model(step=0)
batch = next(iter(nm.data.batches(len(data.train), training.batch_size, seed=training.seed, epoch=0)))
loss = torch.nn.functional.cross_entropy(first(data.train.tensor()[batch]), data.train.label_tensor()[batch])
loss.backward()
name = "layers.0.linear.weight"
by_hand = float(dict(first.named_parameters())[name].grad.norm())
recorded = float(run.gradients["grad_norm"].sel(parameter=name)[0])
assert np.isclose(by_hand, recorded, rtol=1e-3)
print(f"norm of the gradient of {name} at step 1: by hand {by_hand:.4f}, recorded {recorded:.4f}")

# %%
nm.plots.gradient_flow(dynamics.gradient_flow(run.gradients))

# %% [markdown]
# *What to see:* above, the size of the gradients; below, the *update-to-weight ratio*, how much a step changes a weight in relation to its size. A common rule of thumb wants it near 0.001. Most
# of its fall comes while the learning rate is nearly constant; only the plunge at the end is the schedule's, which takes the rate down to 0.
#
# ### Exercise 2: how far has it walked?
# *Difficulty ●●○○ · 10 minutes*
#
# `run.weights(step)` gives the weights of a snapshot by name. Write `moved(run, name)`: for every snapshot, the distance (the norm of the difference) of that weight from its
# initial value, divided by the norm of the initial value.

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
    class Planted:
        steps = (0, 1, 5)

        def weights(self, step):
            return {"w": torch.tensor([3.0, 4.0]) + step}

    found = moved(Planted(), "w")
    assert found is not None, "nothing came back"
    assert len(found) == 3, f"three snapshots were planted; {len(found)} numbers came"
    assert abs(found[0]) < 1e-9, f"at the first snapshot nothing has moved; that gives {found[0]}"
    assert abs(found[1] - 2**0.5 / 5) < 1e-6, (
        f"from (3, 4) to (4, 5) it is a distance of 1.414 over a norm of 5, not {found[1]:.4f}"
    )
    assert abs(found[2] - 50**0.5 / 5) < 1e-6, "the third is measured from the first snapshot, not from the one before"


# %% [markdown]
# ## 8. Dead units
#
# A ReLU unit that is off for every image is *dead*: it gets no gradient while that lasts. Only a change in the layers before it, weight decay or the optimiser's momentum can wake it, and
# sometimes does. Learning rates that are too high make dead units: one large step throws the bias far below 0. The same network again, for half as many epochs, with a learning rate 20 times
# higher. **What share of the units of its first layer will be dead at the end?**

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
lesson.reveal("dead", round(dead["learning rate 0.04"], 2))
lesson.say(f"""Dead at the end: {dead["learning rate 0.002"]:.0%} of the units with the usual rate, {dead["learning rate 0.04"]:.0%} with the high one, on {len(run.probe):,} images.
One network each.""")
assert not lesson.full or dead["learning rate 0.04"] > dead["learning rate 0.002"]
nm.plots.unit_states(states)

# %% [markdown]
# *What to see:* the two rates side by side: the share of units that never fire, dotted, beside those that fire rarely and those that always do. "Never" is on the probe images only: a unit that is silent on 1,000 images
# may still fire on up to 0.3 % of others (95 %, the rule of three: 3/1000).

# %% tags=["varies"]
lives = dynamics.lives(hot.activations(hidden[0]))
silent = np.flatnonzero(np.isfinite(lives["died_at"].values))
lesson.say(
    f"With the high rate, {len(silent)} units fell silent for good after having been on; half of those by step {np.median(lives['died_at'].values[silent]) if len(silent) else 0:,.0f}."
)
nm.plots.unit_lives({"learning rate 0.04": lives})

# %% [markdown]
# *What to see:* one row for each unit that was ever silent, hatched where it is. Most die within a few steps of the start; a few rows come back to life, and some of these for good.
#
# ## 9. How large should the first weights be?
#
# If each layer makes its signal a little smaller, many layers make it vanish; a little larger, and it explodes. By hand, for ten layers of 100 units with weights of several sizes
# (as a multiple of `1/√inputs`), the size of the activations (their root mean square) after each layer:

# %%
generator = torch.Generator().manual_seed(0)
signal = torch.randn(500, 100, generator=generator)
spread = {}
for name, size in (("0.6", 0.6), ("1", 1.0), ("√2", 2**0.5), ("2", 2.0)):
    layer_input, found = signal, [1.0]
    for _ in range(10):
        weights = torch.randn(100, 100, generator=generator) * size / 100**0.5
        layer_input = torch.relu(layer_input @ weights)
        found.append(float(layer_input.square().mean().sqrt()))
    spread[name] = (range(11), found)
nm.plots.lines(
    spread, x="layers passed", y="root mean square", log_y=True, title="Only √2 nearly keeps the signal's size"
)

# %% [markdown]
# *What to see:* a ReLU takes away half of the signal's power, so weights must be √2 times larger to make up for it. That is He initialisation (He et al. 2015); what is lost all the same is owed to the finite width. With any other size the signal changes by a
# constant factor in every layer. (PyTorch's default for a linear layer, the "usual" below, is 0.58: its weights are uniform within ±1/√inputs.)
#
# And in training? The same network as before, on 10,000 images for two epochs, with its initial weights multiplied by a factor, and with a *normalisation* in each layer: *layer norm* brings the sums of one image to mean 0 and spread 1, *batch norm* those of one unit over the images of a batch. Five seeds each, because one would be an anecdote:

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

# %% tags=["varies"]
for name, values in found.items():
    mean, low, high = nm.statistics.over_seeds(values)
    print(f"{name:24} {mean:.1%}   (95 % over 5 seeds: {low:.1%} to {high:.1%})")
gain = found["layer norm"] - found["usual"]
mean, low, high = nm.statistics.over_seeds(gain)
lesson.say(f"""Layer norm against none, on the same seeds: {100 * mean:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}). The interval
{"leaves out 0, so this is more than luck of the seed" if low > 0 or high < 0 else "holds 0, so nothing is shown"}.""")
assert not lesson.full or found["a tenth"].mean() < found["usual"].mean()

# %% [markdown]
# Weights a tenth of the usual size cost accuracy after so short a training; why, we have not shown. Weights five times the usual cost nothing *here*: this network has three layers and not ten, and Adam makes
# steps of the same size whatever the gradients are. The picture above would have led one to expect more: a theory about signals is not yet a finding about accuracies. A normalisation helps on all
# five seeds; but it does not make up for everything, or the last line would equal the one of layer norm alone. What it does to single *units* is a question for [notebook 08](08_Training_Phenomena.ipynb).
#
# ### Exercise 3: is the difference real?
# *Difficulty ●●●○ · 15 minutes*
#
# Two settings, the same seeds, a handful of accuracies each. Write `sign_flips(a, b)`: the p value of the hypothesis that the settings do not differ, by flipping the sign of each seed's difference in all
# possible ways. Of all 2ⁿ ways, what share has a mean difference at least as large, in absolute value, as the one found?

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
    p = sign_flips([5.0, 6.0, 7.0, 8.0], [4.0, 4.0, 4.0, 4.0])
    assert p is not None, "nothing came back"
    assert p > 0, "p is 0: the way that was really found is one of the ways, and counts itself"
    assert p == 2 / 16, (
        f"with four differences of one sign, 2 of 16 ways are as extreme: all plus and all minus; {p} came"
    )
    mixed = sign_flips([3.0, -1.0, 2.0], [0.0, 0.0, 0.0])
    assert mixed == 4 / 8, (
        f"of 3, −1 and 2 the mean is 4/3; 4 of the 8 ways are as far from 0 (±6/3, ±4/3), so 0.5, not {mixed}"
    )
    assert sign_flips([1.0, 2.0], [1.0, 2.0]) == 1.0, "where nothing differs, every way is as extreme, so p is 1"


# %% [markdown]
# Note the answer for four seeds: even if all four agree, p cannot be below 1/8. *A handful of seeds can't prove much*, and this says how much.
#
# ## 10. Which images were hard, and when
#
# Since the probe images are fixed, each has a life of its own: when it was first read rightly for good, and how often it was forgotten in between.

# %% tags=["varies"]
order = predictions.learning_order(run.activations("logits"))
nm.plots.image_lives(order, run.probe.images)

# %% [markdown]
# *What to see:* at the left one row an image, filled where it is read wrongly; most turn pale within the first steps and stay so. Upper right the hardest ones, with what they are and as what they end
# read; some you would misread too. Below them, where each class stands in the order, against shuffled labels.
#
# ## What you have seen
#
# * A training loop is four lines. The loss begins near ln 10 and most of the accuracy comes within the first steps.
# * The recorder keeps snapshots of one fixed set of images, and anything in the log can be computed again from the weights.
# * Activations grow, then many fade; a learning rate too high kills many units, some of them for good.
# * √2 keeps a ReLU network's signal alive. Differences between settings are held against the spread over seeds.
#
# **Next:** [03, what has each unit become](03_Analyze_Activations.ipynb)?
#
# **Further reading.** K. He et al., "Delving deep into rectifiers", ICCV 2015. X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
# 2010. S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015. J. Ba, J. Kiros and G. Hinton, "Layer normalization" (2016). M. Toneva et al., "An empirical study of example
# forgetting during deep neural network learning", ICLR 2019. Y. LeCun et al., "Gradient-based learning applied to document recognition", *Proceedings of the IEEE* 86 (1998), for MNIST.
