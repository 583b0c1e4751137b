# %% [markdown]
# # What about my network, my data, my question?
#
# *Three doors: bring a module, bring a data set, bring a question. The third is the hardest, because a measure of your own can see things that are not there.*
#
# Up to now we have looked at networks that this library built. I wrote it to look at *my* networks, and you will want to look at yours. So in this last walk we bring everything ourselves:
# the module, the pictures, the question, and the measure that answers it. And before we believe that measure, we try to catch it lying.
#
# **You will be able to**
#
# * look inside any PyTorch module by name, record its training, and change it;
# * make a data set from a folder of pictures;
# * write a measure with its null and its interval, and test it on data whose truth you planted;
# * catch a measure that finds structure in noise, and report a finding so that others can judge it.
#
# **Minutes:** 65 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) and
# [04](04_Causal_Interventions.ipynb).
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Terms are explained where they first appear, and again in the
# [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("09")

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from PIL import Image
from torch import nn
from torch.nn import functional

from neural_microscope import named
from neural_microscope.analysis import causal, probes, selectivity
from neural_microscope.phantoms import Instrument, calibrate
from neural_microscope.statistics import bootstrap, false_discovery, halves, null_band, p_values, shown, spearman

scratch_folder = tempfile.TemporaryDirectory()  # goes when the notebook ends
scratch = Path(scratch_folder.name)

# %% [markdown]
# ## 1. Bring a module
#
# Here is a module as you might find one: a convolution, a second one whose result is *added* to its input (a skip connection), a dense layer, an output. It knows nothing of this library.


# %%
class Skipping(nn.Module):
    def __init__(self, image_shape, classes, seed):
        super().__init__()
        torch.manual_seed(seed)
        half = [side // 2 for side in image_shape]
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.relu_first = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.dense = nn.Linear(8 * half[0] * half[1], 16)
        self.relu_dense = nn.ReLU()
        self.output = nn.Linear(16, classes)

    def forward(self, x):
        x = self.pool(self.relu_first(self.first(x)))
        x = x + functional.relu(self.second(x))  # the skip
        return self.output(self.relu_dense(self.dense(x.flatten(1))))


module = Skipping(lesson.data.image_shape, lesson.data.classes, seed=0).eval()
model = nm.hooked(module)
print(*model.hook_points)

# %% [markdown]
# `nm.hooked` copies nothing and changes nothing. It gives each submodule's result a name, `….hook_out`; plain `hook_out` is the result of the whole. These are the
# [*hook points*](../docs/glossary.md): places at which we can read activations and change them.
#
# **Under which of these names can we read the sum after the skip connection?** (Write a name, or "none".)

# %%
mine = "second.hook_out"  # your guess
lesson.guess("the sum", mine)

# %%
pixels = lesson.data.test.subset(slice(0, 20)).tensor()
with torch.no_grad():
    x = module.pool(module.relu_first(module.first(pixels)))
    the_sum = x + functional.relu(module.second(x))
_, cache = model.run_with_cache(pixels)
same = [name for name in cache if cache[name].shape == the_sum.shape and torch.equal(cache[name], the_sum)]
lesson.reveal("the sum", same[0] if same else "none")

# %% [markdown]
# `second.hook_out` is what the convolution returns, before the ReLU and before the addition. **What is computed with functions and operators has no name.** You wouldn't notice that you look
# at the wrong place, because it gives numbers too.
#
# The remedy is one line: `nn.Identity` does nothing, and has a name.


# %%
class Named(Skipping):
    def __init__(self, image_shape, classes, seed):
        super().__init__(image_shape, classes, seed)
        self.relu_second, self.joined = nn.ReLU(), nn.Identity()

    def forward(self, x):
        x = self.pool(self.relu_first(self.first(x)))
        x = self.joined(x + self.relu_second(self.second(x)))
        return self.output(self.relu_dense(self.dense(x.flatten(1))))


module = Named(lesson.data.image_shape, lesson.data.classes, seed=0).eval()
model = nm.hooked(module)
_, cache = model.run_with_cache(pixels, names_filter="joined.hook_out")
assert torch.equal(cache["joined.hook_out"], the_sum)

# by hand, with nothing but PyTorch
seen = []
handle = module.joined.register_forward_hook(lambda layer, args, result: seen.append(result.detach().clone()))
with torch.no_grad():
    module(pixels)
handle.remove()
assert torch.equal(seen[0], cache["joined.hook_out"])
print("joined.hook_out:", list(cache["joined.hook_out"].shape), "- by hand and by hooked the same")

# %% [markdown]
# By hand you have to remember `remove()`: a forgotten hook stays in the module and changes later results, or fills the memory. With `hooked` you don't. And if you mistype a name, you get an error:

# %%
try:
    model.run_with_cache(pixels, names_filter="joint.hook_out")
except nm.errors.MicroscopeError as error:
    print(type(error).__name__ + ":", str(error)[:110], "…")

# %% [markdown]
# ### Exercise 1: hook a module
# *Difficulty ●●○○ · 15 minutes*
#
# Write `on_share(module, pixels)`: for every `nn.ReLU` inside a module (each is used once), the share of its outputs that are above 0 over all these images. The answer is a dictionary, from the hook
# point's name to the share. Leave the module as it was: its hooks, its parameters, its mode. `module.named_modules()` gives the path and the submodule of each.

# %% [markdown] tags=["hint"]
# First the names: `f"{path}.hook_out"` for each path whose submodule passes `isinstance(part, nn.ReLU)`. Then one `nm.hooked(module).run_with_cache(pixels, names_filter=names)`.


# %% tags=["stub"]
def on_share(module, pixels):
    raise NotImplementedError("return a dictionary: hook point's name -> share above 0")


# %% tags=["solution"]
def on_share(module, pixels):
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    with torch.no_grad():
        _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    for units, deep, scale in ((2, False, 1), (6, True, 1), (9, False, 1e-12), (5, True, 1)):
        torch.manual_seed(int(rng.integers(1 << 30)))
        inner = nn.Sequential(nn.Linear(units, 7), nn.ReLU())
        planted = nn.Sequential(
            nn.Flatten(), nn.Linear(4, units), nn.ReLU(), inner, nn.LeakyReLU(), nn.Linear(7, 3), nn.Sigmoid()
        )
        if deep:
            planted.append(nn.Sequential(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), nn.Tanh()))
        planted.train(deep)
        inner.eval()
        inner[1].register_forward_hook(lambda *given: None)  # another's, that changes nothing
        with torch.no_grad():
            planted[1].weight.mul_(scale)
            planted[1].bias.mul_(scale)
        pixels = torch.from_numpy(rng.normal(0, 2, (int(rng.integers(5, 40)), 1, 2, 2))).float()
        with torch.no_grad():
            outputs = {"2.hook_out": planted[:3](pixels), "3.1.hook_out": planted[:4](pixels)}
            if deep:
                outputs["7.0.1.hook_out"] = planted[7][0](planted[:7](pixels))
        true = {name: sum(value > 0 for value in out.flatten().tolist()) / out.numel() for name, out in outputs.items()}
        with lessons.unchanged(planted, pixels=pixels):
            on_share(planted, pixels - 1)  # other images first
            found = on_share(planted, pixels)
        assert isinstance(found, dict), f"a dictionary should come back, and a {type(found).__name__} came"
        extra = sorted(set(found) - set(true), key=str)
        assert not extra, f"{extra[0]} is in the answer, and no nn.ReLU has that hook point"
        missing = sorted(set(true) - set(found))
        assert not missing, (
            f"the module has a ReLU at {missing[0]}; the answer has {sorted(found)}: does the search go all the way down"
        )
        for name, share in true.items():
            assert abs(float(found[name]) - share) < 1e-5, (
                f"at {name}, on {len(pixels)} images, {share:.3f} of the outputs are above 0, not {float(found[name]):.3f}"
            )


# %% tags=["right"]
def on_share(module, pixels):  # hooks of PyTorch
    shares, handles = {}, []
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            name = f"{path}.hook_out"
            handles.append(
                part.register_forward_hook(
                    lambda part, args, out, name=name: shares.__setitem__(name, (out > 0).double().mean())
                )
            )
    try:
        module(pixels)
    finally:
        for handle in handles:
            handle.remove()
    return shares


# %% tags=["right"]
def on_share(module, pixels):  # the whole cache, and numpy
    _, cache = nm.hooked(module).run_with_cache(pixels)
    parts = dict(module.named_modules())
    return {
        name: np.count_nonzero(cache[name].detach().numpy() > 0) / cache[name].numel()
        for name in cache
        if type(parts.get(name.removesuffix(".hook_out"))) is nn.ReLU
    }


# %% tags=["wrong"]
def on_share(module, pixels):  # the first image only
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name][0] > 0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # does not go down
    names = [f"{path}.hook_out" for path, part in module.named_children() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # every nonlinearity
    kinds = (nn.ReLU, nn.Tanh, nn.Sigmoid)
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, kinds)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # at 0 or above
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] >= 0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # counts in place of shares
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).sum()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # the mean activation
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float(cache[name].mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # the share of units that are ever on
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name: float((cache[name] > 0).any(0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # paths in place of hook points
    names = [f"{path}.hook_out" for path, part in module.named_modules() if isinstance(part, nn.ReLU)]
    _, cache = nm.hooked(module).run_with_cache(pixels, names_filter=names)
    return {name.removesuffix(".hook_out"): float((cache[name] > 0).float().mean()) for name in names}


# %% tags=["wrong"]
def on_share(module, pixels):  # leaves its hooks behind
    shares = {}
    for path, part in module.named_modules():
        if isinstance(part, nn.ReLU):
            name = f"{path}.hook_out"
            part.register_forward_hook(
                lambda part, args, out, name=name: shares.update({name: float((out > 0).float().mean())})
            )
    module(pixels)
    return shares


# %% [markdown]
# ## 2. Record it
#
# The library's loop trains any module that takes images and returns logits, and the recorder follows it. We keep three hook points. Two passes over a part of MNIST are enough to see that it works; from the
# next section on we use other data.
#
# A run folder holds weights, and not the code of your class. So to open a recorded network again, we pass an instance that the weights can be loaded `into`.


# %% tags=["varies"]
def trained(build, data, name, seed, epochs, hook_points, probe_size=600):
    """Trains what build(shape, classes, seed) makes, with a recorder; returns the run."""
    settings = nm.TrainConfig(
        epochs=epochs, optimizer="adamw", learning_rate=2e-3, schedule="cosine", batch_size=64, seed=seed
    )
    keep = nm.RecordConfig(
        per_octave=1, every_epoch=False, hook_points=hook_points, probe_size=min(probe_size, data.test.most_balanced)
    )
    network = build(data.image_shape, data.classes, seed)
    nm.train(network, data, settings, observers=[nm.Recorder(scratch / "runs" / name, keep)])
    return nm.Run.open(scratch / "runs" / name)


part = nm.data.Dataset(lesson.data.name, lesson.data.train.balanced(lesson.pick(6000, 1000)), lesson.data.test)
kept = ("relu_first.hook_out", "joined.hook_out", "relu_dense.hook_out")
run = trained(Named, part, "digits", seed=0, epochs=lesson.pick(2, 6), hook_points=kept)
again = run.model(into=Named(part.image_shape, part.classes, seed=1))  # another seed: its weights are overwritten
_, cache = nm.hooked(again).run_with_cache(run.probe.tensor())
logged = run.activations("relu_dense.hook_out")[-1].values
assert np.abs(cache["relu_dense.hook_out"].numpy() - logged).max() < 1e-4
print(f"{run.status}, {len(run.steps)} snapshots from step {run.steps[0]} to {run.steps[-1]}")
print("loaded weights give the recorded activations; all files verified:", run.verify() == [])
lesson.say(
    f"Test accuracy: {float(run.log['test_accuracy'][-1]):.1%} on {len(part.test):,} images, and {float(run.log['test_accuracy'][0]):.1%} before training."
)

# %% [markdown]
# All measures that take named arrays work as before: `run.activations("joined.hook_out")` is [snapshot, example, channel]. So do those that take a module and images. Only the HTML page that
# `microscope report` writes needs our own MLP or CNN.
#
# ## 3. Bring a data set
#
# MNIST has a drawback if you want to test a measure: we don't know the truth about it. So let's draw data of which we do. Three shapes, at random places, in random sizes, and with random
# **brightness**.
#
# How much *ink* an image has (its mean pixel) is then something that the image shows and the label does not ask for.


# %%
SIDE = 16


def draw(shape, rng):
    """One gray picture of 16 × 16 pixels."""
    size, light = rng.uniform(3.0, 5.5), rng.uniform(0.4, 1.0)
    middle = rng.uniform(size + 0.5, SIDE - 1.5 - size, 2)
    row, col = np.mgrid[:SIDE, :SIDE] - middle[:, None, None]
    far = {
        "circle": np.hypot(row, col),
        "square": np.maximum(abs(row), abs(col)),
        "triangle": np.maximum(row, 2 * abs(col) - row) * 0.9,
    }[shape]
    inside = np.clip(size - far + 0.5, 0, 1)  # soft edges
    return (255 * np.clip(light * inside + rng.normal(0, 0.03, far.shape), 0, 1)).astype(np.uint8)


rng = np.random.default_rng(0)
for where, count in (("train", 400), ("test", 200)):
    for shape in ("circle", "square", "triangle"):
        folder = scratch / "shapes" / where / shape
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(draw(shape, rng)).save(folder / f"{number:03}.png")

shapes = nm.data.load(scratch / "shapes")
kinds = ("circle", "square", "triangle")  # the folders' names, in order
print(
    f"{len(shapes.train):,} training and {len(shapes.test):,} test pictures, {shapes.classes} classes, {shapes.image_shape}"
)
rows = [np.flatnonzero(shapes.test.labels == label)[:12] for label in range(3)]
nm.plots.top_images(
    shapes.test.images, xr.DataArray(rows, dims=("shape", "rank"), coords={"shape": list(kinds)}), columns=1
)

# %% [markdown]
# *What to look at:* one row for each class; the same shape comes dark and pale, large and small. A folder of PNG files in `train/<class>/` and `test/<class>/` is all that
# `nm.data.load` asks for: gray, 8 bits, one size. Bring yours in this form, and go on from here.

# %% tags=["varies"]
ink = shapes.test.tensor().mean((1, 2, 3)).numpy().astype(float)
means = [ink[shapes.test.labels == label].mean() for label in range(3)]
between = (
    sum((shapes.test.labels == label).mean() * (mean - ink.mean()) ** 2 for label, mean in enumerate(means)) / ink.var()
)
lesson.say(f"""Ink by class: {", ".join(f"{kind} {mean:.3f}" for kind, mean in zip(kinds, means, strict=True))}. So {between:.0%} of the variance of ink
lies *between* the shapes. Keep this in mind: ink and shape are not independent here.""")
assert 0.1 < between < 0.6

# %% tags=["varies"]
EPOCHS = lesson.pick(15, 6)
life = trained(Named, shapes, "shapes", seed=0, epochs=EPOCHS, hook_points=kept)
network = life.model(into=Named(shapes.image_shape, shapes.classes, 0))
lesson.say(
    f"The same class of module, trained on the shapes: test accuracy {float(life.log['test_accuracy'][-1]):.1%} on {len(shapes.test)} images; chance level 33%."
)
little_some_much = np.digitize(ink[life.probe_indices], np.quantile(ink, [1 / 3, 2 / 3]))
readable = {"shape": None, "ink": little_some_much}
tables = {
    name: probes.probe_layers(
        {layer: life.activations(layer) for layer in kept}, values, snapshots=lesson.pick(4, 2), draws=200
    )
    for name, values in readable.items()
}
nm.plots.probes(tables["ink"], label="ink")

# %% [markdown]
# A [*linear probe*](../docs/glossary.md) is a linear classifier trained on a layer's activations; here it predicts whether an image has little, some or much ink, though the network was never trained on ink.
#
# *What to look at:* how far the black line lies above the gray line at the same height over the whole panel, which is the untrained network; in the first two panels it lies on it. The gray band is what shuffled
# labels give. (The dashed line is the probe's accuracy on its own training images when their labels are random: how much it can memorize.)
#
# So an untrained network's features carry ink as well. What a probe can read has not necessarily been learned, and need not be used.

# %% tags=["varies"]
for name, table in tables.items():
    one = table.isel(layer=-1, snapshot=-1)
    accuracy, low, high, null_high, gain = (
        float(one[key]) for key in ("accuracy", "accuracy_low", "accuracy_high", "accuracy_null_high", "gain")
    )
    lesson.say(f"""The dense layer, probed for {name}: accuracy {accuracy:.0%} (95% interval over {one.attrs["n_judged"]} judging images {low:.0%} to {high:.0%}; shuffled labels up to
{null_high:.0%}); compared with the untrained network {100 * gain:+.0f} points.""")

# %% [markdown]
# ## 4. Bring a question
#
# A probe asks the layer. Our question is about single units: **does a unit respond to ink rather than to shape?** The library has no measure for it, so we write one. First by hand, for one unit. The
# obvious way is to correlate its activation with the ink:

# %% tags=["varies"]
layer = "relu_dense.hook_out"
acts = nm.activations(network, shapes.test, layer)[layer]  # [example, unit]
x, labels = acts.values.astype(float), shapes.test.labels
one = int(x.std(0).argmax())
r = np.corrcoef(x[:, one], ink)[0, 1]
rng = np.random.default_rng(0)
shuffled = [np.corrcoef(x[:, one], rng.permutation(ink))[0, 1] for _ in range(500)]
low, high = np.percentile(shuffled, [2.5, 97.5])
lesson.say(f"Unit {one}: correlation with ink {r:+.2f}; with ink in random order {low:+.2f} to {high:+.2f}.")

# %% [markdown]
# That is outside its null. Have we found an ink unit? Before we believe it, we put to the measure a case whose answer we know. A [*phantom*](../docs/glossary.md) is data with a planted answer.
#
# An **empty** phantom for this question: units that respond to *shape* and nothing else, and images whose ink differs between the shapes, as ours does. In it there is no ink unit. The measure may
# raise a false alarm in 5% of such phantoms. Our rule for an alarm: for *any* unit of the layer an ink effect is shown (q < 0.05, corrected for the number of units).


# %%
def phantom(seed, ink_in_unit=0.0, examples=150, units=16):
    """Units that respond to shape; the first also to ink, correlated with it by ink_in_unit within each shape."""
    rng = np.random.default_rng(seed)
    label = np.arange(examples) % 3
    within = rng.standard_normal(examples)
    own_ink = 1.0 * label + within  # the shapes differ in ink
    noise = rng.standard_normal((examples, units))
    noise[:, 0] = ink_in_unit * within + np.sqrt(1 - ink_in_unit**2) * noise[:, 0]
    taste = rng.standard_normal((3, units))  # each unit's mean for each shape
    acts = xr.DataArray(taste[label] + noise, dims=("example", "unit"), coords={"label": ("example", label)})
    return acts, own_ink


def plain(acts, ink, draws=199, seed=0):
    """Correlation of each unit with ink; null: ink in random order."""
    x, rng = named.matrix(acts), np.random.default_rng(seed)
    x, z = x - x.mean(0), ink - ink.mean()
    size = np.sqrt((x**2).sum(0) * (z**2).sum())
    value = z @ x / size
    null = np.stack([rng.permutation(z) @ x / size for _ in range(draws)])
    return xr.Dataset({"ink": ("unit", value), "ink_q": ("unit", false_discovery(p_values(value, null, side="both")))})


acts_by_hand = xr.DataArray(x[:, [one]], dims=("example", "unit"), coords={"label": ("example", labels)})
assert abs(float(plain(acts_by_hand, ink)["ink"][0]) - r) < 1e-9

# %% [markdown]
# **In how many of 100 empty phantoms does this measure claim to have found an ink unit?**

# %%
mine = 5  # your guess
lesson.guess("plain alarms", mine)

# %%
alarms = [bool(shown(plain(*phantom(seed))["ink_q"]).any()) for seed in range(100)]
lesson.reveal("plain alarms", sum(alarms))
assert sum(alarms) > 50

# %% [markdown]
# The numbers of the measure are right; they answer another question than ours. A unit that responds to squares correlates with ink, because the shapes differ in ink. Random order breaks *both*
# links, ink with the unit and ink with the shape.
#
# **A null must destroy the one thing that is claimed, and keep all the rest.** We claim that ink matters *beyond* shape. So each shape must keep its ink, and we may shuffle ink only among images of the
# same shape.
#
# ### Exercise 2: write the null
# *Difficulty ●●○○ · 10 minutes*
#
# Write `shuffle_within(values, labels, rng)`: a copy of `values` in which the values of each label are in random order among themselves, each label by itself. Every order is as likely as any other.
# `rng` is a generator of NumPy, and all chance comes from it.

# %% [markdown] tags=["hint"]
# For each label: `members = np.flatnonzero(labels == label)`, and `found[members] = rng.permutation(values[members])`. Begin with a copy.


# %% tags=["stub"]
def shuffle_within(values, labels, rng):
    raise NotImplementedError("return an array as long as values")


# %% tags=["solution"]
def shuffle_within(values, labels, rng):
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    import itertools

    for sizes in ((20, 20, 20), (31, 12, 17, 25), (15, 40)):
        group = rng.permutation(np.repeat(rng.permutation(np.arange(-9, 30))[: len(sizes)], sizes))
        values, n = rng.permutation(len(group)) + rng.random(), len(group)
        with lessons.unchanged(values=values, labels=group):
            found, other = (shuffle_within(values, group, rng) for _ in range(2))
        assert np.shape(found) == (n,), f"{n} values went in, and an array of shape {np.shape(found)} came out"
        for label in np.unique(group):
            kept, now = values[group == label], np.asarray(found)[group == label]
            assert np.array_equal(np.sort(now), np.sort(kept)), (
                f"label {label} of {np.unique(group).tolist()} has not the values that it had, in another order: were some drawn twice, or moved from one label to another"
            )
            assert np.mean(now == kept) < 0.5, (
                f"label {label} of {np.unique(group).tolist()}: most values stay in place"
            )
        assert not np.array_equal(found, other), (
            "two calls with one generator gave the same order: is a new seed set inside"
        )
        again = [shuffle_within(values, group, np.random.default_rng(5)) for _ in range(2)]
        assert np.array_equal(*again), "the same generator should give the same order again: is rng used"
    places = np.array([shuffle_within(np.arange(60.0), np.arange(60) % 3, rng) for _ in range(1000)])
    threes = [
        shuffle_within(np.arange(600.0), np.arange(600) // 3, rng) for _ in range(100)
    ]  # 200 labels of three values
    assert len({draw.tobytes() for draw in places}) > 995, "of 1,000 orders some came again: is every order possible"
    ranks = places.reshape(-1, 20, 3) // 3  # [draw, place, label]: which of its label's 20 values stands there
    steps, orders = np.diff(ranks, axis=1), np.reshape(threes, (-1, 3)) % 3
    shares = [
        (f"a value of 20, number {at}, should stay in place", places[:, at] == at, 0.05, 0.03) for at in (0, 1, 57, 59)
    ]
    shares += [
        ("a value should be followed by the next one of its label", steps == 1, 0.05, 0.01),
        ("a value should be followed by a later one of its label", steps > 0, 0.5, 0.01),
        ("two labels should have the same of their 20 values at a place", ranks[:, :, 0] == ranks[:, :, 1], 0.05, 0.03),
        *(
            (f"of three values the order {one} should come", (orders == one).all(1), 1 / 6, 0.0125)
            for one in itertools.permutations(range(3))
        ),
    ]
    for what, found, true, near in shares:
        assert abs(np.mean(found) - true) < near, (
            f"{what} in {true:.1%} of the draws, and does in {np.mean(found):.1%}: has each label an order of its own, and is every order as likely as any other"
        )


# %% tags=["right"]
def shuffle_within(values, labels, rng):  # a sort with random keys
    found = np.empty_like(values)
    order = np.lexsort((rng.random(len(values)), labels))
    found[np.argsort(labels, kind="stable")] = values[order]
    return found


# %% tags=["right"]
def shuffle_within(values, labels, rng):  # lists
    found = list(values)
    for label in sorted(set(labels.tolist())):
        places = [i for i, one in enumerate(labels) if one == label]
        for place, source in zip(places, rng.permutation(places), strict=True):
            found[place] = values[source]
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # among all
    return rng.permutation(values)


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # changes what was given
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        values[members] = rng.permutation(values[members])
    return values


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # drawn with replacement
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.choice(values[members], len(members))
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # a seed of its own
    found, rng = values.copy(), np.random.default_rng(0)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # ignores rng
    found, rng = values.copy(), np.random.default_rng()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # labels 0, 1 and 2 only
    found = values.copy()
    for label in range(3):
        members = np.flatnonzero(labels == label)
        found[members] = rng.permutation(values[members])
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # moved on by one
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = np.roll(values[members], int(rng.integers(1, 3)))
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # reversed
    found = values.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        found[members] = values[members][::-1]
    return found


# %% tags=["wrong"]
def shuffle_within(values, labels, rng):  # a copy
    return values.copy()


# %% [markdown]
# ## 5. The measure, its null, its interval
#
# First by hand again, for one unit, as a loop that anyone can read. We take the mean of each shape away from both sides, so that the correlation *within* shapes is left.


# %% tags=["varies"]
def without_shape(values, labels):
    """Values [example, …] minus the mean of their shape."""
    found = np.asarray(values, float).copy()
    for label in np.unique(labels):
        found[labels == label] -= found[labels == label].mean(0)
    return found


unit_within, ink_within = without_shape(x[:, one], labels), without_shape(ink, labels)
r_within = np.corrcoef(unit_within, ink_within)[0, 1]
rng, by_loop = np.random.default_rng(0), []
for _ in range(499):
    dealt = ink_within.copy()
    for label in np.unique(labels):  # each shape keeps its ink, in another order
        dealt[labels == label] = rng.permutation(ink_within[labels == label])
    by_loop.append(np.corrcoef(unit_within, dealt)[0, 1])
low, high = np.percentile(by_loop, [2.5, 97.5])
lesson.say(
    f"""Unit {one}: correlation with ink within shapes {r_within:+.2f}; with ink shuffled within shapes {low:+.2f} to {high:+.2f}."""
)

# %% [markdown]
# That is one unit of one layer. To test the measure we will need millions of such correlations, too many for this loop. So we write it once more in whole arrays: all units and all shuffles at once. It also gets the form that
# all measures here have: named arrays in, a table out, in which `ink` stands next to its interval, its null band, and its p and q.
# The interval comes from a *bootstrap*: draw as many images again, with replacement, measure, and repeat; the middle 95% of what comes out is the interval.


# %%
def ink_beyond_shape(acts, ink, *, draws=499, intervals=True, seed=0):
    """Correlation of each unit with ink among images of one shape, -1..1, [unit].

    Null: ink shuffled within each shape. Interval: bootstrap over images. NaN for a unit that never changes.
    """
    labels, rng = named.labels(acts), np.random.default_rng(seed)
    x, z = without_shape(named.matrix(acts), labels), without_shape(ink, labels)
    size = np.sqrt((x**2).sum(0) * (z**2).sum())
    size[size < 1e-12] = np.nan
    value = z @ x / size
    orders = np.empty((draws, len(z)), int)  # in each row the images' numbers, as shuffle_within would give them
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        orders[:, members] = rng.permuted(np.tile(members, (draws, 1)), axis=1)
    null = z[orders] @ x / size
    p = p_values(value, null, side="both")
    found = {"ink": value, "ink_p": p, "ink_q": false_discovery(p)}
    found["ink_null_low"], found["ink_null_high"] = null_band(null)
    if intervals:

        def again(pick):
            return z[pick] @ x[pick] / np.sqrt((x[pick] ** 2).sum(0) * (z[pick] ** 2).sum() + 1e-12)

        found["ink_low"], found["ink_high"] = bootstrap(again, len(z), 200, seed)
    return xr.Dataset(
        {name: ("unit", values) for name, values in found.items()},
        attrs={"n_examples": len(z), "null": f"{draws} shuffles of ink within each shape"},
    )


of_unit = ink_beyond_shape(acts, ink, intervals=False).isel(unit=one)
assert abs(float(of_unit["ink"]) - r_within) < 1e-9
assert abs(float(of_unit["ink_null_high"]) - high) < 0.03  # other shuffles, the same null

# %% [markdown]
# [*Calibration*](../docs/glossary.md) asks two things. On a phantom with a *planted* correlation of 0.6, the measure must give 0.6. On 200 *empty* ones it must stay silent, but for the declared 5% (more
# than 8% fails). The library's own `calibrate` does that for any measure, ours too:


# %%
def instrument(name, measure):
    return Instrument(
        name=name,
        measure="notebook 09",
        planted="a unit correlated with ink by 0.6 within each shape",
        empty="units that know the shape, images whose ink differs between shapes; alarm: any q < 0.05",
        read=lambda seed: (0.6, float(measure(*phantom(seed, 0.6, examples=3000), draws=9)["ink"][0])),
        tolerance=0.05,
        alarm=lambda seed: bool(shown(measure(*phantom(seed), draws=799)["ink_q"]).any()),
    )


def ours(acts, ink, draws):
    return ink_beyond_shape(acts, ink, draws=draws, intervals=False)


result = calibrate([instrument("plain correlation", plain), instrument("beyond shape", ours)], empties=200)
for name in result["instrument"].values:
    one_result = result.sel(instrument=name)
    print(
        f"{name:18} planted {float(one_result['truth']):.2f}, measured {float(one_result['measured']):.3f}; "
        f"false alarms on {result.attrs['n_empty']} empty phantoms: {float(one_result['false_alarms']):.1%}; "
        f"{'passes' if bool(one_result['recovered']) and bool(one_result['silent']) else 'fails'}"
    )
assert bool(result["recovered"].sel(instrument="beyond shape")) and bool(
    result["silent"].sel(instrument="beyond shape")
)
assert not bool(result["silent"].sel(instrument="plain correlation"))

# %% [markdown]
# The number of draws is part of a measure. With 16 units and a two-sided test, one unit alone can reach q < 0.05 only with 640 draws or more (2 sides × 16 units / 0.05); with 199 the measure would be silent
# because it *can't* raise an alarm.
#
# A measure that never finds anything would pass the test of silence too. So we ask a third thing: how weak an effect does it see? That is its [*power*](../docs/glossary.md). With 150 images, on phantoms with a
# single ink unit:

# %%
strengths = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
tries = lesson.pick(60, 30)
power = [
    np.mean([bool(shown(ours(*phantom(seed, strength), 799)["ink_q"][0])) for seed in range(1000, 1000 + tries)])
    for strength in strengths
]
assert power[0] < 0.12 and power[2] < 0.6 and power[-1] > 0.9
display(
    nm.plots.lines(
        {"the unit is found": (strengths, power)},
        x="planted correlation with ink within shapes",
        y=f"share of {tries} phantoms",
        title="Power with 150 images and 16 units",
        marks={"declared false alarms, 5%": 0.05},
    )
)
lesson.say(f"""*What to look at:* where the line leaves the declared rate, and where it arrives at 1. It finds a planted 0.2 in {power[2]:.0%} of the phantoms, 0.4 in {power[4]:.0%}, 0.6 in {power[-1]:.0%}.
So on 150 images, not finding a weak effect says little about whether it is there.""")

# %% [markdown]
# ### Exercise 3: how much does it see?
# *Difficulty ●●○○ · 10 minutes*
#
# Write `seen(alarm, strengths, tries)`: for each strength, the share of `tries` phantoms on which the measure alarms. `alarm(seed, strength)` is True or False; the seed is a whole number from 0 on.
# **Each phantom must have a seed of its own, also across the strengths**: with the same random numbers at two strengths, the two shares would err together. And the same call must give the same shares again.

# %% [markdown] tags=["hint"]
# A running number makes seeds that never come twice: `number * tries + attempt`, where `number` counts the strengths and `attempt` the phantoms of one strength.


# %% tags=["stub"]
def seen(alarm, strengths, tries):
    raise NotImplementedError("return a list with one share for each strength")


# %% tags=["solution"]
def seen(alarm, strengths, tries):
    return [
        float(np.mean([alarm(number * tries + attempt, strength) for attempt in range(tries)]))
        for number, strength in enumerate(strengths)
    ]


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    for strengths, tries in (
        ([0.0, 0.3, 1.0], 400),
        ([0.7, 0.1], 150),
        ([0.5], 30),
        ([1.0, 0.6, 0.2, 0.0, 0.9], 60),
        ([0.4, 0.9, 0.4], 50),
        ([0.31, 0.3], 150),
        ([0.2, 0.5], 30_000),
    ):
        asked = []

        def alarm(seed, strength, asked=asked):
            assert isinstance(seed, int | np.integer) and seed >= 0, f"a seed is a whole number from 0 on, not {seed}"
            asked.append((int(seed), strength, hash((int(seed), 1)) % 1000 < 1000 * strength))
            return asked[-1][-1]

        found = seen(alarm, list(strengths), tries)
        case = f"{len(strengths)} strengths with {tries} phantoms each"
        assert np.shape(found) == (len(strengths),), (
            f"one share for each of {len(strengths)} strengths is asked for, not {found}"
        )
        assert len(asked) == len(strengths) * tries, (
            f"{case} are {len(strengths) * tries:,} readings; {len(asked):,} were made"
        )
        different = len({seed for seed, _, _ in asked})
        assert different == len(asked), (
            f"{case}: {len(asked):,} phantoms were read with {different:,} different seeds; each needs its own"
        )
        for wanted in strengths:
            rang = [rings for _, strength, rings in asked if strength == wanted]
            shares = [float(share) for share, strength in zip(found, strengths, strict=True) if strength == wanted]
            assert len(rang) == tries * len(shares), f"{case}: strength {wanted} was read {len(rang)} times"
            assert abs(np.mean(shares) - np.mean(rang)) < 1e-6, (
                f"at strength {wanted} it rang in {np.mean(rang):.3f} of the phantoms, and {np.mean(shares):.3f} came: is it a share, in the order of the strengths"
            )
        with lessons.unchanged(strengths=strengths):
            again = seen(alarm, strengths, tries)
        assert np.array_equal(np.asarray(found, float), np.asarray(again, float)), (
            f"{case}: the same call gave other shares the second time: are the seeds the same at each call"
        )


# %% tags=["right"]
def seen(alarm, strengths, tries):  # a counter
    shares, seed = [], 7
    for strength in strengths:
        rang = 0
        for _ in range(tries):
            rang += alarm(seed, strength)
            seed += 1
        shares.append(rang / tries)
    return shares


# %% tags=["right"]
def seen(alarm, strengths, tries):  # a table of seeds
    seeds = np.arange(len(strengths) * tries).reshape(-1, tries)
    return np.array(
        [[alarm(seed, strength) for seed in row] for row, strength in zip(seeds.tolist(), strengths, strict=True)]
    ).mean(1)


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # the same seeds at each strength
    return [float(np.mean([alarm(attempt, strength) for attempt in range(tries)])) for strength in strengths]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # one seed
    return [float(np.mean([alarm(0, strength) for _ in range(tries)])) for strength in strengths]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # counts
    return [sum(alarm(n * tries + i, strength) for i in range(tries)) for n, strength in enumerate(strengths)]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # seeds that overlap
    return [float(np.mean([alarm(n + i, strength) for i in range(tries)])) for n, strength in enumerate(strengths)]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # a hundred, whatever is asked
    return [float(np.mean([alarm(n * 100 + i, strength) for i in range(100)])) for n, strength in enumerate(strengths)]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # one share for all
    return float(
        np.mean([alarm(n * tries + i, strength) for n, strength in enumerate(strengths) for i in range(tries)])
    )


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # sorted
    return sorted(
        float(np.mean([alarm(n * tries + i, strength) for i in range(tries)])) for n, strength in enumerate(strengths)
    )


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # the share that stays silent
    return [
        float(np.mean([not alarm(n * tries + i, strength) for i in range(tries)]))
        for n, strength in enumerate(strengths)
    ]


# %% tags=["wrong"]
def seen(alarm, strengths, tries):  # asks nothing
    return list(strengths)


# %% [markdown]
# ## 6. A measure that finds structure in noise
#
# Here is a mistake that survives a good null. Suppose you look through the layer, find the unit that correlates most with ink, and then test *that unit*, with the right null, on the same images. It
# is one test, so you don't correct for the others. The sentence reads well: "the layer has an ink unit (p = 0.01)".
#
# **In a layer of 16 units without any ink unit, in what share of empty phantoms does this procedure find one?**

# %%
mine = 0.1  # your guess
lesson.guess("best of 16", mine)


# %% tags=["card"]
def best_on_the_same(acts, ink):
    table = ours(acts, ink, 99)
    best = int(np.abs(table["ink"].values).argmax())
    return bool(shown(table["ink_p"][best]))


def best_on_the_other_half(acts, ink):
    first, second = halves(acts["label"].values)
    best = int(np.abs(ours(acts.isel(example=first), ink[first], 1)["ink"].values).argmax())
    return bool(shown(ours(acts.isel(example=second, unit=[best]), ink[second], 99)["ink_p"][0]))


sizes, empties = (1, 2, 4, 8, 16, 32), lesson.pick(200, 60)
alarms = {
    name: [float(np.mean([way(*phantom(seed, units=size)) for seed in range(empties)])) for size in sizes]
    for name, way in (
        ("same images", best_on_the_same),
        ("other half", best_on_the_other_half),
    )
}
same, other = (shares[4] for shares in alarms.values())
assert same > 0.25 and max(alarms["other half"]) < 0.13
if lesson.reveal("best of 16", same):
    display(
        nm.plots.lines(
            {name: (sizes, share) for name, share in alarms.items()},
            x="units in the layer, none of which responds to ink",
            y=f"share of {empties} empty phantoms",
            title="The more units you look through, the more alarms",
            marks={"declared, 5%": 0.05},
            log_x=True,
        )
    )
    lesson.say(f"""*What to look at:* the upper line climbs with the number of units that were looked through; the other is from a unit that is chosen on one half of the images and judged on the other
half. With 16 units they are at {same:.0%} and {other:.0%}. (With independent tests that alarm in 5%, the first
would be 1 − 0.95¹⁶ = {1 - 0.95**16:.0%}. With 99 draws a two-sided p is 0.02, 0.04, 0.06 and so on, so ours alarm in 4%: {1 - 0.96**16:.0%}.)""")

# %% [markdown]
# The same mistake has many forms: the best layer, the best snapshot, the best threshold, the best seed, a preferred class. There are two cures: correct for all that you looked at (q values), or judge on
# images that had no part in the choice.
#
# ### Exercise 4: find the bug
# *Difficulty ●●●○ · 15 minutes*
#
# The next cell is a measure with a bug. It gives a p value for one unit: does it respond more to its preferred class, the one with the highest mean, than to the others? The null shuffles the labels,
# and it alarms far too often. Find out why, and write `prefers`, the repaired form. It should work for any labels, for classes of any sizes and for values of any scale.


# %%
def prefers_with_a_bug(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    preferred = max(classes, key=lambda label: x[labels == label].mean())
    value = x[labels == preferred].mean() - x[labels != preferred].mean()
    null = []
    for _ in range(draws):
        fake = rng.permutation(labels)
        null.append(x[fake == preferred].mean() - x[fake != preferred].mean())
    return (1 + sum(other >= value for other in null)) / (1 + draws)


rng, six = np.random.default_rng(12), np.arange(60) % 6
alarms = [bool(shown(prefers_with_a_bug(rng.standard_normal(60), six, 79, seed))) for seed in range(200)]
print(f"on 200 units without a preferred class it alarms in {np.mean(alarms):.0%}")
assert np.mean(alarms) > 0.15

# %% [markdown] tags=["hint"]
# Ask of each line in the loop: is the shuffled world treated exactly as the real one was?


# %% tags=["stub"]
def prefers(x, labels, draws, seed):
    return prefers_with_a_bug(x, labels, draws, seed)  # write its repaired form here


# %% tags=["solution"]
def prefers(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)

    def lead(labels):
        preferred = max(classes, key=lambda label: x[labels == label].mean())  # chosen again in each shuffle
        return x[labels == preferred].mean() - x[labels != preferred].mean()

    value = lead(labels)
    null = [lead(rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    for classes, each, effect in ((6, 10, 3.0), (4, 15, 2.5), (3, 12, 30.0)):
        names = rng.permutation(20)[:classes]
        group = rng.permutation(np.repeat(names, each + np.arange(classes)))
        x = rng.standard_normal(len(group)) + effect * (group == names[0]) + 50  # a small class, all values above 0
        with lessons.unchanged(x=x, labels=group):
            p = prefers(x, group, 99, 0)
        assert p is not None and np.ndim(p) == 0, "one p value should come back"
        assert 0 < p <= 0.05, (
            f"a planted preference ({effect:.0f} standard deviations, {classes} classes) should be found, and p = {p:.2f} came"
        )
    for draws in (19, 1999):
        least = prefers(x, group, draws, 0)
        assert abs(least - 1 / (draws + 1)) < 1e-9, (
            f"with {draws} draws the smallest p is {1 / (draws + 1):.4f}; {least:.4f} came for a huge effect: is the real labeling counted, and draws used"
        )

    def mean(draws, plant, labels):
        """The mean p of twelve noisy units to which a pattern is added."""
        return np.mean([prefers(rng.standard_normal(60) + plant, labels, draws, seed) for seed in range(12)])

    group, in_order, one = np.arange(60) % 6, np.arange(60) // 10, np.arange(20.0) == 7
    marked = rng.permutation(np.arange(100, 106))[group]  # labels may be any numbers
    scaled = [prefers(rng.standard_normal(60) * (1, 2**30, 2**-30)[i % 3], marked, 59, i) for i in range(300)]
    one_image = 2.5 * (in_order == 4) + 9 * (np.arange(60) == 55)
    few_images = 10.0 * (np.arange(60) // 4 == 10) - (in_order == 4)
    for what, (low, high, p) in {
        "p of a unit that is always 1 (equal values count)": (1, 1, prefers(np.ones(60), group, 99, 0)),
        "the mean p of units that respond less to one class": (0.1, 1, mean(59, -3 * (group == 1), group)),
        "the mean p where two classes of six respond more": (0, 0.2, mean(99, 2.5 * (in_order > 3), in_order)),
        "the mean p where one class responds more, one image of another most": (0, 0.2, mean(99, one_image, in_order)),
        "the mean p where four images of ten make a class's mean the highest": (0, 0.3, mean(99, few_images, in_order)),
        "p where one image of 20 is above 0, in a class of two": (
            0.07,
            1,
            prefers(one * 1.0, one | np.roll(one, 5), 1999, 0),
        ),
        "the share of alarms on 300 units without a preferred class": (0, 0.1, np.mean(np.array(scaled) <= 0.05)),
        "the mean p of 300 units without a preferred class": (0.4, 0.6, np.mean(scaled)),
    }.items():
        assert low <= p <= high, (
            f"{what} should lie between {low} and {high}, not at {p:.3f}: is a shuffled world treated as the real one, and the class with the highest "
            "mean held against all others"
        )
    x = rng.standard_normal(60)
    p = [prefers(x * scale, group, 59, seed) for scale in (1, 1, 128) for seed in range(8)]
    assert p[:8] == p[8:16], "the same seed should give the same p again"
    assert p[:8] == p[16:], "a unit whose values are all 128 times larger should have the same p"
    assert len({float(value) for value in p[:8]}) > 1, "eight seeds give exactly the same p: is there a random null"


# %% tags=["right"]
def prefers(x, labels, draws, seed):  # arrays
    rng = np.random.default_rng(seed)
    _, index = np.unique(labels, return_inverse=True)
    counts = np.bincount(index)

    def lead(order):
        sums = np.bincount(index, weights=x[order])
        at = (sums / counts).argmax()
        return sums[at] / counts[at] - (sums.sum() - sums[at]) / (counts.sum() - counts[at])

    null = np.array([lead(rng.permutation(len(x))) for _ in range(draws)])
    return (1 + (null >= lead(np.arange(len(x))) - 1e-12).sum()) / (1 + draws)


# %% tags=["right"]
def prefers(x, labels, draws, seed):  # the values are shuffled, the labels stay
    rng = np.random.default_rng(seed)

    def lead(values):
        means = {label: values[labels == label].mean() for label in set(labels.tolist())}
        best = max(means, key=means.get)
        return means[best] - values[labels != best].mean()

    leads = [lead(x)] + [lead(rng.permutation(x)) for _ in range(draws)]
    return float(np.mean([one >= leads[0] for one in leads]))


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # a fixed threshold and no null
    classes = np.unique(labels)
    best = max(classes, key=lambda label: x[labels == label].mean())
    lead = x[labels == best].mean() - x[labels != best].mean()
    return 1 / (1 + draws) if lead > 1 else 0.5


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # the same p twice as large
    return min(1.0, 2 * prefers_with_a_bug(x, labels, draws, seed))


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # times the number of classes: sees too little
    return min(1.0, len(np.unique(labels)) * prefers_with_a_bug(x, labels, draws, seed))


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # p can be 0
    rng, classes = np.random.default_rng(seed), np.unique(labels)

    def lead(labels):
        best = max(classes, key=lambda label: x[labels == label].mean())
        return x[labels == best].mean() - x[labels != best].mean()

    value = lead(labels)
    return sum(lead(rng.permutation(labels)) >= value for _ in range(draws)) / draws


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # another seed at each call
    rng, classes = np.random.default_rng(), np.unique(labels)

    def lead(labels):
        best = max(classes, key=lambda label: x[labels == label].mean())
        return x[labels == best].mean() - x[labels != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng.permutation(labels)) >= value for _ in range(draws))) / (1 + draws)


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # the wrong tail
    rng, classes = np.random.default_rng(seed), np.unique(labels)

    def lead(labels):
        best = max(classes, key=lambda label: x[labels == label].mean())
        return x[labels == best].mean() - x[labels != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng.permutation(labels)) <= value for _ in range(draws))) / (1 + draws)


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # never alarms
    return 1.0


# %% tags=["wrong"]
def prefers(x, labels, draws, seed):  # always 99 draws
    rng, classes = np.random.default_rng(seed), np.unique(labels)

    def lead(labels):
        best = max(classes, key=lambda label: x[labels == label].mean())
        return x[labels == best].mean() - x[labels != best].mean()

    value = lead(labels)
    return (1 + sum(lead(rng.permutation(labels)) >= value for _ in range(99))) / 100


# %% [markdown]
# ## 7. The answer
#
# Our measure is calibrated; now it may look at the network. We have 16 units of the dense layer and 600 test images. The *untrained* network is the control: random weights add pixels up, so some of its
# units may respond to ink as well. A unit that is *dead*, with an activation of 0 for every image, can't count.
#
# **For how many of the 16 units is it shown that they respond to ink beyond shape?**

# %%
mine = 8  # your guess
lesson.guess("ink units", mine)

# %% tags=["varies"]
table = ink_beyond_shape(acts, ink, draws=1999)
found = shown(table["ink_q"])
taste = selectivity.tuning(acts, draws=100)["explained"].values  # share of the variance that lies between the shapes
alive = np.isfinite(table["ink"].values) & np.isfinite(taste)
preferred = acts.groupby("label").mean("example").argmax("label").values
for_ink = (1 - taste) * table["ink"].values ** 2  # of what is left within shapes, the part that goes with ink
untrained_net = life.model(step=0, into=Named(shapes.image_shape, shapes.classes, 0))
untrained = nm.activations(untrained_net, shapes.test, layer)[layer]
table_untrained = ink_beyond_shape(untrained, ink, draws=1999)
top = int(np.nanargmax(np.abs(table["ink"].values)))
low, high, null_low, null_high = (float(table[f"ink_{end}"][top]) for end in ("low", "high", "null_low", "null_high"))
start = int(shown(table_untrained["ink_q"]).sum()), int(table_untrained["ink"].notnull().sum())
assert not lesson.full or found.sum() >= 3
if lesson.reveal("ink units", int(found.sum())):
    display(
        nm.plots.plane(
            np.column_stack([for_ink, taste])[alive],
            (preferred + 3 * found)[alive],
            names=["c", "s", "t", "C", "S", "T"],
            x="variance that ink explains within shapes (share)",
            y="variance between shapes (share)",
            title="What each unit varies with",
        )
    )
    lesson.say("""*What to look at:* each letter is a living unit, written as the shape with its highest mean activation (c circle, s square, t triangle), and as a capital if it is shown to respond to ink. The higher
it stands, the more of its variance is about shape; the farther to the right, the more about ink.""")
    lesson.say(f"""For {int(found.sum())} of {int(alive.sum())} living units it is shown that they respond to ink beyond shape (q < 0.05, n = {len(shapes.test)} test images), and for {start[0]} of {start[1]} in the
untrained network. The strongest has r = {float(table["ink"][top]):+.2f} (95% interval over images {low:+.2f} to {high:+.2f}; null {null_low:+.2f} to {null_high:+.2f}).
In {int((for_ink[alive] > 0.2).sum())} units ink explains more than a fifth of the variance.""")
    grows = found.sum() / alive.sum() > start[0] / start[1]
    lesson.say(
        "The share of ink units is larger than before training. Below we see whether other seeds agree."
        if grows
        else "The share of ink units is no larger than before training. So in this network we can't credit learning with them."
    )

# %% [markdown]
# A correlation, even a calibrated one, is no cause. Here we can do more, because ink is ours to change: we dim every image by a third, and leave its shape alone. A unit that responds to ink should follow.

# %% tags=["varies"]
with torch.no_grad():
    _, dimmed = nm.hooked(network).run_with_cache(shapes.test.tensor() * 2 / 3, names_filter=layer)
change = (dimmed[layer].numpy() - acts.values).mean(0)
rho, low, high = spearman(table["ink"].values, change)
verdict = "An agreement is not shown: ink also grows with size, and dimming changes brightness alone."
if high < 0:
    verdict = "So units that rise with ink tend to fall when we dim the images, in this one network."
lesson.say(
    f"""Rank correlation, over units, of our measure with the effect of dimming: {rho:+.2f} (95% interval over {int(alive.sum())} units {low:+.2f} to {high:+.2f}). {verdict}"""
)

# %% [markdown]
# And does the network need them? We [*ablate*](../docs/glossary.md) each unit, that is, set it to 0, and compare with random directions of equal norm. `ablate_all` takes any module. (If it does not know the module,
# it runs all of it again for each random direction, so this is slower than for our own networks.)

# %% tags=["varies"]
some = shapes.test.balanced(150)
effects = causal.ablate_all(network, some, layer, draws=lesson.pick(320, 40))
loss = effects["loss_increase"].values
with torch.no_grad(), nm.hooked(network).hooks([(layer, nm.interventions.zero(unit=top))]):
    without = float(functional.cross_entropy(network(some.tensor()), some.label_tensor()))
with torch.no_grad():
    whole = float(functional.cross_entropy(network(some.tensor()), some.label_tensor()))
assert abs(without - whole - loss[top]) < 1e-4, "by hand and by ablate_all the same"
rho, low, high = spearman(np.abs(table["ink"].values), loss)
lesson.say(f"""For {int(shown(effects["loss_increase_q"]).sum())} of {len(loss)} units it is shown that ablating them raises the loss by more than a random direction of equal norm does (n = {len(some)} images). Ablating the
strongest ink unit changes the loss by {loss[top]:+.3f} nats. Between the size of the correlation with ink and the loss increase, rho is {rho:+.2f} ({low:+.2f} to {high:+.2f}), so a relation is
{"shown, in this one network" if nm.statistics.excludes(low, high) else "not shown"}.""")
display(nm.plots.ablation(effects))

# %% [markdown]
# *What to look at:* whether any dot stands above its gray box. Such a unit would be needed as a unit. Random directions may leave the space in which activations after a ReLU lie, where
# all values are 0 or above; ablating a unit never does. Keep that in mind when you compare the two.
#
# **Does it hold on another seed?** The same module from other initial weights, trained on the same pictures:

# %% tags=["varies"]
counts = [((int(found.sum()), int(alive.sum())), start)]  # ((ink units, living units) trained, the same untrained)
for seed in lesson.pick((1, 2, 3), (1,)):
    other_run = trained(Named, shapes, f"shapes-seed{seed}", seed, epochs=EPOCHS, hook_points=(layer,))
    pair = []
    for step in (None, 0):
        other = other_run.model(step, into=Named(shapes.image_shape, shapes.classes, seed))
        one_table = ink_beyond_shape(nm.activations(other, shapes.test, layer)[layer], ink, draws=1999, intervals=False)
        pair.append((int(shown(one_table["ink_q"]).sum()), int(one_table["ink"].notnull().sum())))
    counts.append(tuple(pair))
    accuracy = float(other_run.log["test_accuracy"][-1])
    print(
        f"seed {seed}: accuracy {accuracy:.1%}; ink units among the living: {pair[0][0]} of {pair[0][1]}, "
        f"untrained {pair[1][0]} of {pair[1][1]}"
    )
most, most_before = (sum(2 * pair[when][0] > pair[when][1] for pair in counts) for when in (0, 1))
gained = sum(now[0] / max(now[1], 1) > before[0] / max(before[1], 1) for now, before in counts)
lesson.say(f"""More than half of the living units respond to ink beyond shape in {most} of {len(counts)} networks, and in {most_before} of {len(counts)} before
training. The share is larger after training in {gained} of {len(counts)}. Even if it were larger in all of them, a coin would do as well with p = {2 / 2 ** len(counts):.3g}. So that training raises the share is
not shown.""")
assert not lesson.full or most >= 2

# %% [markdown]
# ## 8. Touch it
#
# The [*explorer*](../docs/glossary.md) computes a network in your browser, so it has to know each step. It follows our MLP and CNN and any `nn.Sequential` of the usual layers. It can't follow a forward pass written in
# Python, as our skip connection is, and refuses it:


# %% tags=["varies"]
def sequential(image_shape, classes, seed):
    torch.manual_seed(seed)
    half = [side // 2 for side in image_shape]
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * half[0] * half[1], 16),
        nn.ReLU(),
        nn.Linear(16, classes),
    )


try:
    nm.explorer.operations(network)
except nm.explorer.UnsupportedLayer as error:
    print(error)
followed = trained(
    sequential,
    shapes,
    "sequential",
    seed=0,
    epochs=EPOCHS,
    hook_points=("5.hook_out",),
    probe_size=lesson.pick(120, 60),
)
page = lesson.folder / "09-shapes.html"
nm.explorer.show(followed, page, snapshots=6, models=[sequential(shapes.image_shape, shapes.classes, 0)])

# %% [markdown]
# *What to look at:* the page opens on one picture and each layer's activations, orange above 0 and blue below. The layers have the numbers that they have in the `Sequential`. Step to a pale square and then to a bright one, and watch which units of the dense layer follow the ink and which the shape.
#
# ## 9. Before you report a finding
#
# This is the list that I go through before I believe myself:
#
# 1. **n.** Of images, of units, of networks, each stated. Which of them would you have to repeat to be sure?
# 2. **Null.** What does it destroy, and does it keep all the rest? Write it in one sentence.
# 3. **Untrained network.** How much of the finding has nothing to do with learning?
# 4. **Choice.** What did you pick after looking: unit, layer, threshold, snapshot? On which images did you judge it?
# 5. **How many looks.** q values, or one test that was fixed beforehand.
# 6. **Size, with its interval.** A p value is no size. Over what is the interval taken?
# 7. **Calibration.** False alarms on empty phantoms, recovery of a planted truth, and the weakest effect it sees.
# 8. **Seeds.** In k of n. With one network, state that it is one.
# 9. **Cause.** Did you change something, or only watch?
# 10. **What it can't tell.** The sentence that a careful opponent would add.
#
# Ours, in that form:

# %% tags=["varies"]
lesson.say(f"""*In {most} of {len(counts)} networks more than half of the living units of the dense layer respond to an image's ink beyond its shape, and in
{most_before} of {len(counts)} they did before training. Seed by seed: {", ".join(f"{count} of {living}" for (count, living), _ in counts)} (before training:
{", ".join(f"{count} of {living}" for _, (count, living) in counts)}). They correlate with ink among images of one shape, q < 0.05 within a layer, against ink shuffled within
shapes; n = {len(shapes.test)} test images each. No unit was picked. On 200 empty phantoms the measure alarms in
{float(result["false_alarms"].sel(instrument="beyond shape")):.1%}, it measures a planted 0.6 as
{float(result["measured"].sel(instrument="beyond shape")):.2f}, and at 150 images it finds a planted 0.2 in {power[2]:.0%}. It can't tell
brightness from size, both of which make ink; it makes no statement about other architectures, nor of what the network needs ink for.*""")

# %% [markdown]
# ## What you have seen
#
# * `nm.hooked` gives every submodule's result a name. What is computed without a module has none; `nn.Identity` gives it one.
# * You trained a module of your own, recorded it, opened it again with `into=`, probed and ablated it with the same calls.
# * A folder of pictures is a data set. If you draw it yourself, you know its truth.
# * A null destroys what is claimed and keeps the rest. Shuffling ink freely destroyed too much; shuffling it within shapes did not.
# * You can trust a measure after it has found what was planted and stayed silent where nothing was. If you choose and judge on the same images, it does not stay silent.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#09-what-about-my-network-my-data-my-question), in the documentation.
#
# **Next:** your own network. The [list of measures and their nulls](../docs/measures.md) says what there is already.
#
# **Further reading.** N. Kriegeskorte, W. Simmons, P. Bellgowan and C. Baker, "Circular analysis in systems neuroscience: the dangers of
# double dipping", *Nature Neuroscience* 12 (2009). Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", *Journal of the
# Royal Statistical Society B* 57 (1995). B. Phipson and G. Smyth, "Permutation p-values should never be zero", *Statistical Applications in
# Genetics and Molecular Biology* 9 (2010). J. Hewitt and P. Liang, "Designing and interpreting probes with control tasks", *EMNLP* (2019).
# J. Adebayo et al., "Sanity checks for saliency maps", *NeurIPS* (2018). C. Bennett, M. Miller and G. Wolford, "Neural correlates of
# interspecies perspective taking in the post-mortem Atlantic salmon", *NeuroImage* 47 (2009).
