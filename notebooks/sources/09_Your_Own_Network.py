# %% [markdown]
# # What about my network, my data, my question?
#
# *Three doors: bring a module, bring a data set, bring a question. The third is the hardest, because a measure of one's own can see things
# that are not there.*
#
# **You will be able to**
#
# * look inside any PyTorch module by name, record its training, and change it;
# * make a data set from a folder of pictures;
# * write a measure with its null and its interval, and test it on data whose truth you planted;
# * catch a measure that finds structure in noise, and report a finding so that others can judge it.
#
# **Minutes:** 60 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) and
# [04](04_Causal_Interventions.ipynb).
#
# Words in *slanted letters* are in the [glossary](../docs/glossary.md).

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
from neural_microscope.statistics import bootstrap, false_discovery, halves, null_band, p_values, spearman

scratch_folder = tempfile.TemporaryDirectory()  # goes when the notebook ends
scratch = Path(scratch_folder.name)

# %% [markdown]
# ## 1. Bring a module
#
# Here is a module as one finds them: a convolution, a second one whose result is *added* to what came in (a skip connection), a dense
# layer, an output. Nothing in it knows of this library.


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
# `nm.hooked` copies nothing and changes nothing. It gives each submodule's result a name, `….hook_out`; plain `hook_out` is the result of
# the whole. These are the *hook points*.
#
# **Under which of these names can the sum after the skip connection be read?** (Write a name, or "none".)

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
# `second.hook_out` is what the convolution returned, before the ReLU and before the addition. **What is computed with functions and
# operators has no name.** A look at the wrong place goes unnoticed, because it gives numbers too. The remedy is one line: `nn.Identity`
# does nothing, and has a name.


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
# By hand one has to remember `remove()`: a forgotten hook stays in the module and changes later results, or fills the memory. And a name
# with a slip of the pen is an error here, and not silence:

# %%
try:
    model.run_with_cache(pixels, names_filter="joint.hook_out")
except nm.errors.MicroscopeError as error:
    print(type(error).__name__ + ":", str(error)[:110], "…")

# %% [markdown]
# ### Exercise 1: hook a module
# *Difficulty ●●○○ · 15 minutes*
#
# Write `on_share(module, pixels)`: for every `nn.ReLU` of any module, the share of its outputs that are above 0 on these images. The answer
# is a dictionary, from the hook point's name to the share. `module.named_modules()` gives the path and the submodule of each.

# %% [markdown] tags=["hint"]
# First the names: `f"{path}.hook_out"` for each path whose submodule passes `isinstance(part, nn.ReLU)`. Then one
# `nm.hooked(module).run_with_cache(pixels, names_filter=names)`.


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
    inner = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    planted = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU(), inner, nn.Tanh())
    with torch.no_grad():
        planted[1].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1, 0, 0, 0]]))
        planted[1].bias.zero_()
        inner[0].weight.copy_(torch.eye(2))
        inner[0].bias.copy_(torch.tensor([1.0, 1.0]))
    found = on_share(planted, torch.ones(3, 1, 2, 2))
    assert isinstance(found, dict), f"a dictionary should come back, and a {type(found).__name__} came"
    assert "4.hook_out" not in found, "the Tanh is no ReLU, and is in the answer"
    assert "1.hook_out" not in found, "a Linear is no ReLU, and is in the answer"
    assert "2.hook_out" in found, f"the planted module has a ReLU at 2.hook_out; the answer has {sorted(found)}"
    assert "3.1.hook_out" in found, "a ReLU inside an inner Sequential is missing: does the search go all the way down"
    assert len(found) == 2, f"two ReLUs were planted, and the answer has {len(found)}"
    assert abs(found["2.hook_out"] - 0.5) < 1e-6, (
        f"one of two units is on for every image, so 0.5, and {found['2.hook_out']:.3f} came: is it a share, above 0"
    )
    assert abs(found["3.1.hook_out"] - 1) < 1e-6, (
        f"the inner ReLU's units are always on, so 1, and {found['3.1.hook_out']:.3f} came"
    )


# %% [markdown]
# ## 2. Record it
#
# The library's loop trains any module that takes images and returns logits. The recorder needs to know nothing about it. We keep three hook
# points. To open the recorded network again, an instance is needed that the weights can be loaded `into`: a run folder holds weights, and
# not your class's code.


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
print("loaded weights give the recorded activations; every file is as it was written:", run.verify() == [])
lesson.say(
    f"It reads {float(run.log['test_accuracy'][-1]):.1%} of {len(part.test):,} test images rightly, and {float(run.log['test_accuracy'][0]):.1%} before training."
)

# %% [markdown]
# All measures that take named arrays work as before: `run.activations("joined.hook_out")` is [snapshot, example, channel]. So do those that
# take a module and images. What does not work is the report, which needs our own MLP or CNN.
#
# ## 3. Bring a data set
#
# MNIST has a drawback for a beginner in measures: nobody knows the truth about it. So we draw data whose truth we know. Three shapes, at
# random places, in random sizes, and with random **brightness**. How much *ink* an image has (its mean pixel) is then something that the
# image shows and the label does not ask for.


# %%
SIDE = 16


def draw(shape, rng):
    """One grey picture of 16 × 16 pixels."""
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
nm.plots.top_images(shapes.test.images, xr.DataArray(rows, dims=("unit", "rank")), columns=1)

# %% [markdown]
# *What to see:* one row a class, 0 circles, 1 squares, 2 triangles; the same shape comes dark and pale, large and small. A folder of PNG
# files in `train/<class>/` and `test/<class>/` is all that `nm.data.load` asks for: grey, 8 bits, one size. Write yours so, and go on from
# here.

# %% tags=["varies"]
ink = shapes.test.tensor().mean((1, 2, 3)).numpy().astype(float)
means = [ink[shapes.test.labels == label].mean() for label in range(3)]
between = (
    sum((shapes.test.labels == label).mean() * (mean - ink.mean()) ** 2 for label, mean in enumerate(means)) / ink.var()
)
lesson.say(f"""Ink by class: {", ".join(f"{kind} {mean:.3f}" for kind, mean in zip(kinds, means, strict=True))}. So {between:.0%} of the variance of ink
lies *between* the shapes. Keep this in mind: ink and shape are not independent here, as they seldom are.""")
assert 0.1 < between < 0.6

# %% tags=["varies"]
EPOCHS = lesson.pick(15, 6)
life = trained(Named, shapes, "shapes", seed=0, epochs=EPOCHS, hook_points=kept)
network = life.model(into=Named(shapes.image_shape, shapes.classes, 0))
lesson.say(
    f"The same class of module, trained on the shapes: {float(life.log['test_accuracy'][-1]):.1%} of {len(shapes.test)} test images rightly; chance is 33%."
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
# *What to see:* a *linear probe* can read off every layer whether an image has little, some or much ink, far above the grey band of
# shuffled labels, though nobody asked the network for ink. Now compare with the grey line, the untrained network: random features carry ink
# as well, in the first layers just as well. Readable is not the same as learnt, and not the same as used.

# %% tags=["varies"]
for name, table in tables.items():
    one = table.isel(layer=-1, snapshot=-1)
    accuracy, low, high, null_high, gain = (
        float(one[key]) for key in ("accuracy", "accuracy_low", "accuracy_high", "accuracy_null_high", "gain")
    )
    lesson.say(f"""The dense layer, probed for {name}: {accuracy:.0%} rightly (95 % interval over {one.attrs["n_judged"]} judging images {low:.0%} to
{high:.0%}; shuffled labels up to {null_high:.0%}); over the untrained network a gain of {100 * gain:+.0f} points.""")

# %% [markdown]
# ## 4. Bring a question
#
# A probe asks the layer. The question is now about single units: **does a unit answer to ink rather than to shape?** There is no measure
# for it in the library, so we write one. First by hand, for one unit. The obvious way is to correlate its activation with the ink:

# %% tags=["varies"]
layer = "relu_dense.hook_out"
acts = nm.activations(network, shapes.test, layer)[layer]  # [example, unit]
x, labels = acts.values.astype(float), shapes.test.labels
one = int(x.std(0).argmax())
r = np.corrcoef(x[:, one], ink)[0, 1]
rng = np.random.default_rng(0)
shuffled = [np.corrcoef(x[:, one], rng.permutation(ink))[0, 1] for _ in range(500)]
low, high = np.percentile(shuffled, [2.5, 97.5])
print(f"unit {one}: correlation with ink {r:+.2f}; with ink in random order {low:+.2f} to {high:+.2f}")

# %% [markdown]
# Outside its null. Is that an ink unit? Before believing it, we ask the measure something whose answer we know. A *phantom* is data with a
# planted truth. An **empty** phantom for this question: units that know the *shape* and nothing else, and images whose ink differs between
# the shapes, as ours does. In it there is no ink unit. The measure may raise a false alarm in 5 % of such phantoms, no more. Our rule for
# an alarm: *any* unit of the layer below q = 0.05.


# %%
def phantom(seed, ink_in_unit=0.0, examples=150, units=16):
    """Units that answer to shape; the first also to ink, correlated with it by ink_in_unit within each shape."""
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
alarms = [bool((plain(*phantom(seed))["ink_q"] < 0.05).any()) for seed in range(100)]
lesson.reveal("plain alarms", sum(alarms))
assert sum(alarms) > 50

# %% [markdown]
# The measure is not wrong about the numbers; it is wrong about the question. A unit that answers to squares correlates with ink, because
# squares have more of it. Random order breaks *both* links, ink with the unit and ink with the shape. **A null must destroy the one thing
# that is claimed, and keep all the rest.** Claimed is: ink matters *beyond* shape. So shapes keep their ink, and ink is shuffled only among
# images of the same shape.
#
# ### Exercise 2: write the null
# *Difficulty ●●○○ · 10 minutes*
#
# Write `shuffle_within(values, labels, rng)`: a copy of `values` in which the values of each label are in random order among themselves.
# `rng` is a generator of NumPy.

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
    values, group = np.arange(60.0), np.array([0, 1, 2] * 20)
    kept, rng = values.copy(), np.random.default_rng(3)
    found = shuffle_within(values, group, rng)
    assert found is not None, "nothing came back"
    assert np.shape(found) == (60,), f"60 values went in, and an array of shape {np.shape(found)} came out"
    assert np.array_equal(values, kept), "the values that came in were changed: work on a copy"
    assert sorted(found) == sorted(values), (
        "the values are not the same as before in another order: are some drawn twice"
    )
    for label in range(3):
        assert sorted(found[group == label]) == sorted(values[group == label]), (
            "values have moved from one label to another, so that the labels do not keep theirs"
        )
        assert (found[group == label] != values[group == label]).any(), f"label {label}'s values are in their old order"
    other = shuffle_within(values, group, rng)
    assert not np.array_equal(found, other), (
        "two calls with one generator gave the same order: is a new seed set inside"
    )
    places = np.array([shuffle_within(values, group, rng)[0] for _ in range(2000)])
    share = np.mean(places == 0)
    assert 0.02 < share < 0.09, f"the first of 20 should stay in place in 5 % of the draws; it does in {share:.1%}"


# %% [markdown]
# ## 5. The measure, its null, its interval
#
# Now in the form that all measures here have: named arrays in, a table out, in which `ink` stands beside its interval, its null band, and
# its p and q. Means of each shape are taken away from both sides first, so that what is left is the correlation *within* shapes.


# %%
def without_shape(values, labels):
    """What is left of [example, …] when each shape's mean is taken away."""
    found = np.asarray(values, float).copy()
    for label in np.unique(labels):
        found[labels == label] -= found[labels == label].mean(0)
    return found


def ink_beyond_shape(acts, ink, *, draws=499, intervals=True, seed=0):
    """Correlation of each unit with ink among images of one shape, -1..1, [unit].

    Null: ink shuffled within each shape. Interval: bootstrap over images. NaN for a unit that never changes.
    """
    labels, rng = named.labels(acts), np.random.default_rng(seed)
    x, z = without_shape(named.matrix(acts), labels), without_shape(ink, labels)
    size = np.sqrt((x**2).sum(0) * (z**2).sum())
    size[size < 1e-12] = np.nan
    value = z @ x / size
    orders = np.empty((draws, len(z)), int)
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


by_hand = np.corrcoef(without_shape(x[:, one], labels), without_shape(ink, labels))[0, 1]
assert abs(float(ink_beyond_shape(acts, ink, draws=9)["ink"][one]) - by_hand) < 1e-9

# %% [markdown]
# Calibration asks two things. On a phantom with a *planted* correlation of 0.6 it must read 0.6. On 200 *empty* ones it must keep silent,
# but for the declared 5 % (more than 8 % fails). The library's own `calibrate` does that for any instrument, also for ours:


# %%
def instrument(name, measure):
    return Instrument(
        name=name,
        measure="notebook 09",
        planted="a unit correlated with ink by 0.6 within each shape",
        empty="units that know the shape, images whose ink differs between shapes; alarm: any q < 0.05",
        read=lambda seed: (0.6, float(measure(*phantom(seed, 0.6, examples=3000), draws=9)["ink"][0])),
        tolerance=0.05,
        alarm=lambda seed: bool((measure(*phantom(seed), draws=799)["ink_q"] < 0.05).any()),
    )


def ours(acts, ink, draws):
    return ink_beyond_shape(acts, ink, draws=draws, intervals=False)


result = calibrate([instrument("plain correlation", plain), instrument("beyond shape", ours)], empties=200)
for name in result["instrument"].values:
    one_result = result.sel(instrument=name)
    print(
        f"{name:18} planted {float(one_result['truth']):.2f}, read {float(one_result['measured']):.3f}; "
        f"false alarms on {result.attrs['n_empty']} empty phantoms: {float(one_result['false_alarms']):.1%}; "
        f"{'passes' if bool(one_result['recovered']) and bool(one_result['silent']) else 'fails'}"
    )
assert bool(result["recovered"].sel(instrument="beyond shape")) and bool(
    result["silent"].sel(instrument="beyond shape")
)
assert not bool(result["silent"].sel(instrument="plain correlation"))

# %% [markdown]
# The number of draws is part of a measure. With 16 units and a two-sided test, one unit alone can reach q < 0.05 only with 639 draws or
# more; with 199 the measure would be silent because it *can't* speak.
#
# A measure that never speaks passes every test of silence. So there is a third thing to ask: how weak an effect does it see? That is its
# *power*. With 150 images, on phantoms with a single ink unit:

# %%
strengths = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
tries = lesson.pick(60, 30)
power = [
    np.mean([float(ours(*phantom(seed, strength), 799)["ink_q"][0]) < 0.05 for seed in range(1000, 1000 + tries)])
    for strength in strengths
]
nm.plots.lines(
    {"the unit is found": (strengths, power)},
    x="planted correlation with ink within shapes",
    y=f"share of {tries} phantoms",
    title="With 150 images and 16 units, 0.2 is mostly missed",
    marks={"declared false alarms, 5 %": 0.05},
)

# %% [markdown]
# *What to see:* at 0 the line lies at the declared rate or below; a strong effect is always found; in between lies what this many images
# can't decide. "Not found" below about 0.3 means little here.

# %%
assert power[0] < 0.12 and power[2] < 0.6 and power[-1] > 0.9
lesson.say(f"Planted 0.2 is found in {power[2]:.0%} of the phantoms, 0.4 in {power[4]:.0%}.")

# %% [markdown]
# ### Exercise 3: how much does it see?
# *Difficulty ●●○○ · 10 minutes*
#
# Write `seen(alarm, strengths, tries)`: for each strength, the share of `tries` phantoms on which the instrument alarms. `alarm(seed,
# strength)` is True or False. **Each phantom is to have a seed of its own, also across the strengths**: with the same random numbers at two
# strengths, the two shares would err together.

# %% [markdown] tags=["hint"]
# A running number makes seeds that never come twice: `number * tries + attempt`, where `number` counts the strengths and `attempt` the
# phantoms of one strength.


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
    asked = []

    def alarm(seed, strength):
        asked.append((seed, strength))
        return bool(np.random.default_rng(seed).random() < strength)  # rings with the chance `strength`

    found = seen(alarm, [0.0, 0.3, 1.0], 400)
    assert found is not None, "nothing came back"
    assert len(found) == 3, f"three strengths were asked, and {len(found)} shares came"
    assert len(asked) == 1200, f"3 strengths with 400 phantoms are 1,200 readings; {len(asked)} were made"
    assert all(sum(strength == wanted for _, strength in asked) == 400 for wanted in (0.0, 0.3, 1.0)), (
        "some strength was not read 400 times"
    )
    assert len({seed for seed, _ in asked}) > 3, "a few seeds were used again and again, so that all phantoms are one"
    assert len({seed for seed, _ in asked}) == 1200, (
        f"1,200 phantoms were read with {len({seed for seed, _ in asked})} different seeds; each needs its own"
    )
    assert found[0] == 0, f"it never rings at strength 0, and {found[0]:.2f} came"
    assert found[2] == 1, f"it always rings at strength 1, and {found[2]:.2f} came: is it a share"
    assert abs(found[1] - 0.3) < 0.08, f"it rings with a chance of 0.3, and {found[1]:.2f} came"


# %% [markdown]
# ## 6. A measure that finds structure in noise
#
# Here is a mistake that survives a good null. Someone looks through the layer, finds the unit that correlates most with ink, and then tests
# *that unit*, with the right null, on the same images. One test, so no correction. The sentence reads well: "the layer has an ink unit (p =
# 0.01)".
#
# **A layer of 16 units without any ink unit: in what share of empty phantoms does this procedure find one?**

# %%
mine = 0.1  # your guess
lesson.guess("best of 16", mine)


# %%
def best_on_the_same(acts, ink):
    table = ours(acts, ink, 99)
    best = int(np.abs(table["ink"].values).argmax())
    return float(table["ink_p"][best]) < 0.05


def best_on_the_other_half(acts, ink):
    first, second = halves(acts["label"].values)
    best = int(np.abs(ours(acts.isel(example=first), ink[first], 1)["ink"].values).argmax())
    return float(ours(acts.isel(example=second, unit=[best]), ink[second], 99)["ink_p"][0]) < 0.05


sizes, empties = (1, 2, 4, 8, 16, 32), lesson.pick(200, 60)
alarms = {
    name: [float(np.mean([way(*phantom(seed, units=size)) for seed in range(empties)])) for size in sizes]
    for name, way in (
        ("chosen and judged on the same images", best_on_the_same),
        ("judged on the other half", best_on_the_other_half),
    )
}
lesson.reveal("best of 16", alarms["chosen and judged on the same images"][4])
nm.plots.lines(
    {
        name.replace("chosen and judged on the same images", "same images").replace("judged on the ", ""): (
            sizes,
            share,
        )
        for name, share in alarms.items()
    },
    x="units in the layer, none of which answers to ink",
    y=f"share of {empties} empty phantoms",
    title="The more units, the surer one is found in noise",
    marks={"declared, 5 %": 0.05},
    log_x=True,
)

# %% [markdown]
# *What to see:* the upper line climbs with the number of units that were looked through. The lower one stays about the declared 5 %,
# whatever the choice, because the second half had no part in it.

# %%
same, other = (shares[4] for shares in alarms.values())
assert same > 0.25 and max(alarms["judged on the other half"]) < 0.13
lesson.say(f"""With 16 units the procedure alarms on {same:.0%} of the empty phantoms (were the tests exact and independent, it would be 1 − 0.95¹⁶ =
{1 - 0.95**16:.0%}), and on {other:.0%} once the chosen unit is judged on the other half. The phantom unmasks it; on real data both would
have looked alike.""")

# %% [markdown]
# The same mistake has many faces: the best layer, the best snapshot, the best threshold, the best seed, a preferred class. Two cures:
# correct for all that was looked at (q values), or judge on images that had no part in the choice.
#
# ### Exercise 4: find the bug
# *Difficulty ●●●○ · 15 minutes*
#
# The next cell is a measure with a bug. It gives a p value for one unit: does it answer more to its favourite class than to the others? The
# null shuffles the labels. It alarms far too often. Find out why, and write `favours`, its mended form.


# %%
def favours_with_a_bug(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)
    favourite = max(classes, key=lambda label: x[labels == label].mean())
    value = x[labels == favourite].mean() - x[labels != favourite].mean()
    null = []
    for _ in range(draws):
        fake = rng.permutation(labels)
        null.append(x[fake == favourite].mean() - x[fake != favourite].mean())
    return (1 + sum(other >= value for other in null)) / (1 + draws)


rng, six = np.random.default_rng(12), np.arange(60) % 6
alarms = [favours_with_a_bug(rng.standard_normal(60), six, 59, seed) <= 0.05 for seed in range(200)]
print(f"on 200 units without a favourite it alarms in {np.mean(alarms):.0%}")
assert np.mean(alarms) > 0.15

# %% [markdown] tags=["hint"]
# Ask of each line in the loop: is the shuffled world treated exactly as the real one was?


# %% tags=["stub"]
def favours(x, labels, draws, seed):
    return favours_with_a_bug(x, labels, draws, seed)  # write its mended form here


# %% tags=["solution"]
def favours(x, labels, draws, seed):
    rng, classes = np.random.default_rng(seed), np.unique(labels)

    def lead(labels):
        favourite = max(classes, key=lambda label: x[labels == label].mean())  # chosen anew in each shuffle
        return x[labels == favourite].mean() - x[labels != favourite].mean()

    value = lead(labels)
    null = [lead(rng.permutation(labels)) for _ in range(draws)]
    return (1 + sum(other >= value for other in null)) / (1 + draws)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    group, rng = np.arange(60) % 6, np.random.default_rng(11)
    p = favours(rng.standard_normal(60) + 3.0 * (group == 4), group, 99, 0)
    assert p is not None, "nothing came back"
    assert 0 < p <= 1, f"a p value lies above 0 and is at most 1; {p} came"
    assert p <= 0.05, f"a planted favourite (three standard deviations) should be found, and p = {p:.2f} came"
    empty = [favours(rng.standard_normal(60), group, 59, seed) for seed in range(300)]
    rate = np.mean(np.array(empty) <= 0.05)
    assert rate < 0.1, (
        f"on 300 units without a favourite it alarms in {rate:.0%}, and 5 % are declared: is a shuffled world treated as the real one"
    )
    assert np.mean(empty) < 0.65, (
        f"on units without a favourite p should be 0.5 on average; it is {np.mean(empty):.2f}, so it now sees too little"
    )


# %% [markdown]
# ## 7. The answer
#
# The instrument is calibrated; now it may look at the network. 16 units of the dense layer, 600 test images. Beside the trained network
# stands the *untrained* one: random weights add pixels up, so that some of its units should answer to ink as well.
#
# **How many of the 16 units answer to ink beyond shape?**

# %%
mine = 8  # your guess
lesson.guess("ink units", mine)

# %% tags=["varies"]
table = ink_beyond_shape(acts, ink, draws=1999)
found = table["ink_q"].values < 0.05
lesson.reveal("ink units", int(found.sum()))
taste = selectivity.tuning(acts, draws=100)["explained"].values  # share of the variance that lies between the shapes
alive = np.isfinite(table["ink"].values) & np.isfinite(taste)
favourite = acts.groupby("label").mean("example").argmax("label").values
for_ink = (1 - taste) * table["ink"].values ** 2  # of what is left within shapes, the part that goes with ink
nm.plots.plane(
    np.column_stack([for_ink, taste])[alive],
    favourite[alive],
    names=["C", "S", "T"],
    x="variance that ink explains within shapes (share)",
    y="variance between shapes (share)",
    title="What each unit varies with",
)

# %% [markdown]
# *What to see:* each letter is a living unit, written as the shape it answers to most (C circle, S square, T triangle). The higher, the
# more of it is about shape; the farther to the right, the more about ink. What is missing to 1 is neither. Look whether there are two kinds
# of units, or one cloud.

# %% tags=["varies"]
untrained = nm.activations(life.model(step=0, into=Named(shapes.image_shape, shapes.classes, 0)), shapes.test, layer)[
    layer
]
table_untrained = ink_beyond_shape(untrained, ink, draws=1999)
top = int(np.nanargmax(np.abs(table["ink"].values)))
low, high, null_low, null_high = (float(table[f"ink_{end}"][top]) for end in ("low", "high", "null_low", "null_high"))
start = int((table_untrained["ink_q"] < 0.05).sum()), int(table_untrained["ink"].notnull().sum())
verdict = "Learning has changed how many do."
if 2 * found.sum() > alive.sum() and 2 * start[0] > start[1]:
    verdict = "Most units carry ink, and most did before any learning: random weights add up pixels."
lesson.say(f"""{int(found.sum())} of {int(alive.sum())} living units answer to ink beyond shape (q < 0.05, n = {len(shapes.test)} test images), and
{start[0]} of {start[1]} in the untrained network. The strongest has r = {float(table["ink"][top]):+.2f} (95 % interval over images
{low:+.2f} to {high:+.2f}; null {null_low:+.2f} to {null_high:+.2f}). {verdict}""")
assert not lesson.full or found.sum() >= 3

# %% [markdown]
# A correlation, even a calibrated one, is no cause. Here more is possible, because ink is ours to change: dim every image by a third, and
# leave its shape alone. A unit that answers to ink should follow.

# %% tags=["varies"]
with torch.no_grad():
    _, dimmed = nm.hooked(network).run_with_cache(shapes.test.tensor() * 2 / 3, names_filter=layer)
change = (dimmed[layer].numpy() - acts.values).mean(0)
rho, low, high = spearman(table["ink"].values, change)
verdict = "The two are not shown to go together: ink also grows with size, and dimming changes brightness alone."
if high < 0:
    verdict = "Units that rise with ink fall when the image is dimmed, and more so the more they do: the measure means what it says."
lesson.say(f"""Rank correlation, over units, of our measure with what dimming does: {rho:+.2f} (95 % interval over {int(alive.sum())} units {low:+.2f} to
{high:+.2f}). {verdict}""")

# %% [markdown]
# And do they matter? `ablate_all` takes any module. (For one that it does not know it must run all of it again for each random direction,
# so this is slower than for our own networks.)

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
lesson.say(f"""{int((effects["loss_increase_q"] < 0.05).sum())} of {len(loss)} units cost more than a random direction of the same norm (n = {len(some)}
images). The strongest ink unit costs {loss[top]:+.3f} nat. Between the size of the correlation with ink and the cost: rho {rho:+.2f}
({low:+.2f} to {high:+.2f}), {"so that nothing shows that ink units matter more, or less" if low < 0 < high else "in this one network"}.""")
nm.plots.ablation(effects)

# %% [markdown]
# *What to see:* a dot above its grey box would be a unit that is needed as a unit. Being needed and answering to ink are two lists.
#
# **Does it hold on another seed?** The same module from other random starts, trained on the same pictures:

# %% tags=["varies"]
counts = [((int(found.sum()), int(alive.sum())), start)]  # ((ink units, living units) trained, the same untrained)
for seed in lesson.pick((1, 2, 3), (1,)):
    other_run = trained(Named, shapes, f"shapes-seed{seed}", seed, epochs=EPOCHS, hook_points=(layer,))
    pair = []
    for step in (None, 0):
        other = other_run.model(step, into=Named(shapes.image_shape, shapes.classes, seed))
        one_table = ink_beyond_shape(nm.activations(other, shapes.test, layer)[layer], ink, draws=1999, intervals=False)
        pair.append((int((one_table["ink_q"] < 0.05).sum()), int(one_table["ink"].notnull().sum())))
    counts.append(tuple(pair))
    accuracy = float(other_run.log["test_accuracy"][-1])
    print(
        f"seed {seed}: {accuracy:.1%} rightly; ink units among the living: {pair[0][0]} of {pair[0][1]}, "
        f"untrained {pair[1][0]} of {pair[1][1]}"
    )
most = sum(2 * count > living for (count, living), _ in counts)
gained = sum(now[0] / max(now[1], 1) > before[0] / max(before[1], 1) for now, before in counts)
lesson.say(f"""More than half of the living units answer to ink beyond shape: in {most} of {len(counts)} seeds. A larger share of them than in the
untrained network: in {gained} of {len(counts)}. {len(counts)} networks, one architecture, one data set; fewer than five give no interval
over seeds.""")
assert not lesson.full or most >= 2

# %% [markdown]
# ## 8. Touch it
#
# The explorer computes a network in your browser, so it has to know how. It follows our MLP and CNN and any `nn.Sequential` of the usual
# layers. A forward pass written in Python, as our skip connection, it can't follow, and says so rather than show something wrong:


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
# *What to see:* the page opens on one picture and each layer's answer. Draw a pale square and then a bright one, and watch which units of
# the dense layer follow the ink and which the shape.
#
# ## 9. Before you report a finding
#
# 1. **n.** Of images, of units, of networks, each said. Which of them is the *unit of replication*?
# 2. **Null.** What does it destroy, and does it keep all the rest? Say it in one sentence.
# 3. **Untrained network.** How much of the finding has nothing to do with learning?
# 4. **Choice.** What was picked after looking: unit, layer, threshold, snapshot? Judged on which images?
# 5. **How many looks.** q values, or one test that was fixed beforehand.
# 6. **Size, with its interval.** A p value is no size. Over what is the interval taken?
# 7. **Calibration.** False alarms on empty phantoms, recovery of a planted truth, and the weakest effect it sees.
# 8. **Seeds.** In k of n. With one network, say so.
# 9. **Cause.** Was something changed, or only watched?
# 10. **What it can't tell.** The sentence that a careful opponent would add.
#
# Ours, in that form:

# %% tags=["varies"]
lesson.say(f"""*Of the living units of the dense layer, {" / ".join(f"{count} of {living}" for (count, living), _ in counts)} ({len(counts)} seeds)
correlate with an image's ink among images of one shape, q < 0.05 within a layer, against ink shuffled within shapes; n =
{len(shapes.test)} test images each. In the same networks before training it is
{" / ".join(f"{count} of {living}" for _, (count, living) in counts)}. No unit was picked. On 200 empty phantoms the measure alarms in
{float(result["false_alarms"].sel(instrument="beyond shape")):.1%}, it reads a planted 0.6 as
{float(result["measured"].sel(instrument="beyond shape")):.2f}, and at 150 images it misses 0.2 more often than not. It can't tell
brightness from size, both of which make ink; it says nothing of other architectures, nor of what the network needs ink for.*""")

# %% [markdown]
# ## What you have seen
#
# * `nm.hooked` gives every submodule's result a name. What is computed without a module has none; `nn.Identity` gives it one.
# * A foreign module is trained, recorded, read back with `into=`, probed and ablated with the same calls.
# * A folder of pictures is a data set. One that you draw yourself has a truth you know.
# * A null destroys what is claimed and keeps the rest. Shuffling ink freely claimed too much; shuffling it within shapes did not.
# * A measure is trusted after it has found what was planted and kept silent where nothing was. Choosing and judging on the same images does
#   not keep silent.
#
# **Next:** your own network. The [list of measures and their nulls](../docs/measures.md) says what there is already.
#
# **Further reading.** N. Kriegeskorte, W. Simmons, P. Bellgowan and C. Baker, "Circular analysis in systems neuroscience: the dangers of
# double dipping", *Nature Neuroscience* 12 (2009). Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", *Journal of the
# Royal Statistical Society B* 57 (1995). B. Phipson and G. Smyth, "Permutation p-values should never be zero", *Statistical Applications in
# Genetics and Molecular Biology* 9 (2010). J. Hewitt and P. Liang, "Designing and interpreting probes with control tasks", *EMNLP* (2019).
# J. Adebayo et al., "Sanity checks for saliency maps", *NeurIPS* (2018). C. Bennett, M. Miller and G. Wolford, "Neural correlates of
# interspecies perspective taking in the post-mortem Atlantic salmon", *NeuroImage* 47 (2009).
