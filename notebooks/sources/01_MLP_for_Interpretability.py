# %% [markdown]
# # How do we look inside without disturbing?
#
# *Hook points: from PyTorch's bare hooks, with all their traps, to `run_with_cache`.*
#
# **You will be able to**
#
# * read any activation of any layer, and its gradient, while the network runs as always;
# * change one, and put everything back;
# * recognise the four ways in which home-made hooks go wrong without a word.
#
# **Minutes:** 40 to read and run, 40 more for the exercises. **You need:** [00](00_MLP_from_scratch_PyTorch.ipynb), or some PyTorch.
#
# The network here is *untrained* all the way through. That is on purpose: looking is a skill of its own, and what random weights already do is the yardstick for everything
# later. Many of the terms in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("01")

# %% [markdown]
# ## 1. Numbers that vanish
#
# Here is a plain network for digits, as one would write it anywhere: an image, two hidden layers, ten *logits*, one for each digit.

# %%
import torch
from torch import nn

images = lesson.data.test.balanced(lesson.pick(500, 200), seed=0)  # as many of each digit
x = images.tensor()  # float32 [example, 1, row, col] in 0..1
pixels = x[0].numel()

torch.manual_seed(0)
plain = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
logits = plain(x)
print(f"in: {tuple(x.shape)}   out: {tuple(logits.shape)}")

# %% [markdown]
# Between the two, 192 numbers an image were computed and thrown away: the *activations* of the hidden *units*. They are what this project is about. Each hidden unit is
# a weighted sum of what it sees, cut off below 0 by the ReLU. **In an untrained network, for what share of the images is an average unit of the first layer above 0?**

# %%
mine = 0.5  # your guess
lesson.guess("on", mine)

# %% [markdown]
# One could write the forward pass anew and keep what one wants. Many notebooks do, once for each question, and then the copies drift apart. PyTorch has a better way: a *forward
# hook*, a function that a module calls with its output each time it runs.

# %%
seen = {}


def keep(module, inputs, output):
    seen["hidden"] = output.detach()


handle = plain[2].register_forward_hook(keep)  # module 2 is the first ReLU
plain(x)
handle.remove()
share_on = float((seen["hidden"] > 0).float().mean())
lesson.reveal("on", round(share_on, 2))

# %% [markdown]
# **Does it hold on another seed?** Random weights are as often negative as positive, so about half is what one would expect. But "about" should be a number with its spread:

# %%
shares = []
for seed in range(10):
    torch.manual_seed(seed)
    first = nn.Linear(pixels, 128)
    shares.append(float((first(x.flatten(1)) > 0).float().mean()))
lesson.say(f"""Over 10 random first layers the share lies between {min(shares):.2f} and {max(shares):.2f}. It is not exactly a half for any of them, because all digits have their
ink in the same places: a unit whose weights are mostly negative there is off for nearly every image. The images share a direction, and single units inherit it.""")
assert not lesson.full or all(0.35 < share < 0.65 for share in shares)

# %% [markdown]
# ## 2. Four traps
#
# Hooks are simple, and fail silently. Each of these has cost somebody a week.
#
# **Trap 1: the hook that stays.** A hook that is not removed runs for ever. In a notebook, running the cell twice gives two of them.

# %%
calls = []
for _ in range(3):  # a cell, run three times
    plain[2].register_forward_hook(lambda module, inputs, output: calls.append(1))
plain(x)
print(f"one forward pass, {len(calls)} calls")
plain[2]._forward_hooks.clear()

# %% [markdown]
# **Trap 2: the tensor that changes after you looked.** Many networks say `nn.ReLU(inplace=True)` to save memory. Keep the output of the layer *before* it, which has negative
# numbers. **What share of the kept numbers will be negative?**

# %%
mine = 0.5  # your guess
lesson.guess("negative", mine)

# %%
torch.manual_seed(0)
thrifty = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU(inplace=True), nn.Linear(128, 10))
kept = {}
handle = thrifty[1].register_forward_hook(lambda module, inputs, output: kept.update(before=output))
with torch.no_grad():
    thrifty(x)
handle.remove()
negative = float((kept["before"] < 0).float().mean())
lesson.reveal("negative", negative)
assert negative == 0

# %% [markdown]
# None. The hook kept the tensor, not its values, and the next module wrote over them. The cure is a copy, `output.clone()`, at the price of memory.
#
# **Trap 3: the shape that fits by accident.** A hook may return a tensor, which then replaces the output. To replace every image's activations by the mean over the images, one
# writes `output.mean(0)`, and forgets that this has lost the first axis. No error comes, because the next layer takes a single example too:

# %%
handle = plain[2].register_forward_hook(lambda module, inputs, output: output.mean(0))
print(f"{len(x)} images in, logits of shape {tuple(plain(x).shape)} out")
handle.remove()

# %% [markdown]
# **Trap 4: the name that is nowhere.** Who collects hooks by name, `if name == "layer1"`, gets nothing at all when the layer is called `layers.1`: an empty dictionary, or an
# intervention that never happened and therefore "has no effect". That looks like a finding.
#
# ### Exercise 1: a hook that goes away
# *Difficulty ●●○○ · 10 minutes*
#
# Write `looked_at(module, model, x)`: run `model(x)`, and return a *copy* of what `module` put out. No hook may be left behind, even if the forward pass fails half way.

# %% [markdown] tags=["hint"]
# `try: … finally: handle.remove()` runs the last line whatever happens.


# %% tags=["stub"]
def looked_at(module, model, x):
    raise NotImplementedError("register a hook, run, remove the hook, return the copy")


# %% tags=["solution"]
def looked_at(module, model, x):
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]


# %% tags=["check"]
import contextlib


@lesson.check
def exercise_1(rng):
    out = looked_at(plain[1], plain, x)
    assert out is not None, "nothing came back: return the kept tensor"
    assert out.shape == (len(x), 128), f"{len(x)} images and 128 units make ({len(x)}, 128), not {tuple(out.shape)}"
    assert not plain[1]._forward_hooks, "a hook is still on the module after the call"
    before = looked_at(thrifty[1], thrifty, x)
    assert (before < 0).any(), (
        "nothing is negative before an in-place ReLU: the tensor was kept, not a copy of its values"
    )
    with contextlib.suppress(RuntimeError):
        looked_at(plain[1], plain, x[:, :, 1:])  # fails in the forward pass
    left = len(plain[1]._forward_hooks)
    plain[1]._forward_hooks.clear()
    assert not left, "after a forward pass that failed, the hook is still there: what runs even then"


# %% [markdown]
# ## 3. Hook points
#
# The cure begins with deciding *in the model* where one may look. A **hook point** is a module that does nothing: it gives back what came. But it has a name, and it is a place to
# attach things. By hand it is this:


# %%
class Place(nn.Module):
    def __init__(self):
        super().__init__()
        self.function = None

    def forward(self, tensor):
        if self.function is None:
            return tensor
        changed = self.function(tensor)
        return tensor if changed is None else changed


class SmallMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(pixels, 128), nn.Linear(128, 10)
        self.before, self.after = Place(), Place()

    def forward(self, x):
        return self.second(self.after(torch.relu(self.before(self.first(x.flatten(1))))))


small = SmallMLP()
small.after.function = lambda tensor: seen.update(after=tensor.clone())
small(x)
small.after.function = None
print("seen at the place 'after':", tuple(seen["after"].shape))

# %% [markdown]
# The models of this library are built so. `hook_pre` stands before a layer's nonlinearity, `hook_post` behind it:

# %%
model = nm.MLP(nm.MLPConfig(image_shape=images.image_shape, hidden=(128, 64)), seed=0).eval()
print(*model.hook_points, sep="\n")

# %% [markdown]
# And one call runs the network and keeps everything, with the answer untouched. That "untouched" can be checked to the last bit, and that the cache holds what a bare hook sees too:

# %%
logits, cache = model.run_with_cache(x)
assert torch.equal(logits, model(x))  # looking has changed nothing

handle = model.layers[0].activation.register_forward_hook(keep)
model(x)
handle.remove()
assert torch.equal(cache["layers.0.hook_post"], seen["hidden"])
print(cache)
print("the last hidden layer:", tuple(cache["post", -1].shape))

# %%
layers = {name: cache[name][0].detach().numpy() for name in ("layers.0.hook_post", "layers.1.hook_post")}
nm.plots.one_image(images.images[0] / 255, {"one image": layers}, {"one image": logits[0].detach().softmax(0).numpy()})

# %% [markdown]
# *What to see:* one image, and all that an untrained network makes of it: about half of the units are on, and the ten answers are nearly alike, because nothing has been learnt.

# %% [markdown]
# The words are those of TransformerLens, which has the same idea for language models ([notebook 06](06_Toward_TransformerLens.ipynb) goes there). And the four traps? A hook that
# `run_with_cache` or a block attaches is gone afterwards; a name that is nowhere and a shape that fits by accident are errors, and so are pixels in 0..255; what stood before a ReLU is kept as it was:

# %% tags=["varies"]
from neural_microscope.errors import MicroscopeError


def attempt(what):
    try:
        what()
    except (MicroscopeError, ValueError) as error:
        print(f"{type(error).__name__}: {error}\n")


attempt(lambda: model.run_with_cache(x, names_filter="layer.0.hook_post"))
attempt(lambda: model.run_with_hooks(x, fwd_hooks=[("layers.0.hook_post", lambda tensor, hook: tensor.mean(0))]))
attempt(lambda: model(x * 255))
before = cache["layers.0.hook_pre"]
print(f"before the ReLU, {float((before < 0).float().mean()):.0%} of the numbers in the cache are negative")

# %% [markdown]
# ## 4. Gradients too
#
# An activation says what a unit did. The *gradient* at that place says how much it would matter: how fast some number, say the logit of the right digit, would
# rise with it. By hand, with `torch.autograd.grad`, and in one call:

# %%
labels = images.label_tensor()


def right_logit(logits):
    return logits.gather(1, labels[:, None]).sum()


pre = model.layers[0].weights(x.flatten(1))
post = torch.relu(pre)
rest = model.output(torch.relu(model.layers[1].weights(post)))
(by_hand,) = torch.autograd.grad(right_logit(rest), post)

_, cache = model.run_with_cache(x, incl_bwd=True, loss=right_logit)
gradient = cache["layers.0.hook_post_grad"]
assert torch.allclose(by_hand, gradient, atol=1e-7)
print("gradients of", tuple(gradient.shape), "activations: by hand and by cache they agree")

# %% [markdown]
# Now the last hidden layer. **Take all images of the digit 7. What is the largest difference between the gradients of their right logit there?** (The gradients themselves are up to about 0.1 in size.)

# %%
mine = 0.05  # your guess
lesson.guess("gradient", mine)

# %%
last = cache["layers.1.hook_post_grad"]
sevens = last[labels == 7]
difference = float((sevens - sevens[0]).abs().max())
lesson.reveal("gradient", difference)
row = model.output.weight[7].detach()
assert torch.allclose(sevens[0], row, atol=1e-6)

# %% [markdown]
# Not at all, and this is worth a pause. The logit is a *weighted sum* of the last hidden layer, so its gradient there is the row of weights, whatever the image. A "mean
# gradient over all 7s" at that place looks like a measurement, and needs no data whatever. One layer further back it is different: the ReLU in between is open for some images and closed
# for others.
#
# ### Exercise 2: what speaks for a 7
# *Difficulty ●●●○ · 15 minutes*
#
# What does depend on the image is gradient × activation: how much each unit *adds* to the logit. Write `contributions(model, cache, digit)`, the contributions [example, unit] of the last
# hidden layer to the logit of `digit`, from the weights `model.output.weight` [10, 64] and the cache.

# %% [markdown] tags=["hint"]
# The logit is the sum over units of weight × activation, plus the bias. Each term of that sum is a contribution.


# %% tags=["stub"]
def contributions(model, cache, digit):
    raise NotImplementedError("return a tensor [example, unit] of what each unit adds")


# %% tags=["solution"]
def contributions(model, cache, digit):
    return cache["post", -1] * model.output.weight[digit].detach()


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    found = contributions(model, cache, 7)
    assert found is not None, "nothing came back"
    assert found.shape == (len(x), 64), f"{len(x)} images and 64 units make ({len(x)}, 64), not {tuple(found.shape)}"
    total = found.sum(1) + model.output.bias[7]
    worst = float((total - logits[:, 7]).detach().abs().max())
    assert worst < 1e-4, (
        f"summed over units, and with the bias, they should be the logit; they miss it by up to {worst:.3f}"
    )
    other = contributions(model, cache, 2).sum(1) + model.output.bias[2]
    assert torch.allclose(other, logits[:, 2], atol=1e-4), (
        "for the digit 2 they are not those of the 2: is `digit` used"
    )


# %% [markdown]
# ## 5. To change one, and put it back
#
# What a hook point shows it can also set. By hand: a function that gets the tensor, changes a copy, and returns it. While the block lasts, the network runs with the change; after it, without.


# %%
def silence_unit_3(tensor, hook):
    changed = tensor.clone()
    changed[:, 3] = 0
    return changed


with torch.no_grad():
    before = model(x)
    with model.hooks([("layers.1.hook_post", silence_unit_3)]):
        without = model(x)
    with model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=3))]):
        by_library = model(x)
    after = model(x)
assert torch.equal(without, by_library)
assert torch.equal(before, after)
print(
    f"largest change of a logit: {float((without - before).abs().max()):.3f}; after the block: {float((after - before).abs().max())}"
)

# %% [markdown]
# Note what this does *not* show. The network is untrained, and still cutting a unit out moves its logits. An effect alone is no sign that a unit has been taught anything; what it is compared with decides.
# [Notebook 04](04_Causal_Interventions.ipynb) is about that comparison.
#
# ### Exercise 3: turn a unit up
# *Difficulty ●●○○ · 10 minutes*
#
# Write `clamp(unit, value)`, which returns a hook function that sets that unit to `value` for every image. It must not change the tensor it was given.

# %% [markdown] tags=["hint"]
# A function that returns a function: inside, `changed = tensor.clone()`. The arguments are called `tensor` and `hook`.


# %% tags=["stub"]
def clamp(unit, value):
    raise NotImplementedError("return a function (tensor, hook) -> tensor")


# %% tags=["solution"]
def clamp(unit, value):
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value
        return changed

    return function


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    function = clamp(5, 2.0)
    assert callable(function), f"clamp gives {function!r}; it should give a function"
    given = torch.zeros(4, 64)
    back = function(given, hook=None)
    assert back is not None, "the inner function gives nothing back: it should return the changed tensor"
    assert (given == 0).all(), "the tensor that came in was changed: copy it first"
    assert back.shape == (4, 64), f"the shape should stay (4, 64), not {tuple(back.shape)}"
    assert (back[:, 5] == 2).all(), "unit 5 should be 2 for all four images"
    assert back.sum() == 8, "other units than 5 have changed"
    with torch.no_grad(), model.hooks([("layers.1.hook_post", clamp(5, 2.0))]):
        shift = model(x) - cache["logits"]
    expected = (2.0 - cache["layers.1.hook_post"][:, 5])[:, None] * model.output.weight[:, 5]
    assert torch.allclose(shift, expected.detach(), atol=1e-4), (
        "the logits do not move by the weights times what unit 5 changed"
    )


# %% [markdown]
# ## 6. Any module, and many images
#
# A network nobody wrote for looking has no hook points. `nm.hooked` gives each of its modules one, behind its output, with the same methods. Trap 2 is taken care of: what stands before an in-place
# ReLU is kept as it was.

# %%
lens = nm.hooked(thrifty)
with torch.no_grad():
    _, theirs = lens.run_with_cache(x)
print(*theirs, sep="\n")
print(f"before the in-place ReLU, {float((theirs['1.hook_out'] < 0).float().mean()):.0%} are negative")

# %% [markdown]
# For all images of a data set, `nm.activations` goes through them in batches and gives *named* arrays: axes have names, and each image knows its label. So questions read like
# sentences. One is worth asking of this untrained network: is there a unit that answers some digits more than others? **By how much does the average unit's answer vary between the
# digits, as a share of its whole variance: 0 %, 20 %, 60 %?**

# %%
mine = 0.0  # your guess
lesson.guess("untrained", mine)

# %% tags=["varies"]
acts = nm.activations(model, lesson.data.test)["layers.1.hook_post"]
print(acts.dims, acts.shape)


def between_digits(acts):
    """Of each unit: the variance of the digits' means over the variance of all images."""
    means = acts.groupby("label").mean()
    return means.var("label") / acts.var("example")


found = between_digits(acts)
on = acts.var("example") > 0
rng_labels = acts.label.values.copy()
import numpy as np

rng = np.random.default_rng(0)
shuffled = [
    float(between_digits(acts.assign_coords(label=("example", rng.permutation(rng_labels)))).where(on).mean())
    for _ in range(20)
]
average = float(found.where(on).mean())
lesson.reveal("untrained", round(average, 2))
lesson.say(f"""In this network, which has learnt nothing, {average:.0%} of an average unit's variance lies between the digits (n = {acts.sizes["example"]:,} images). With labels in random order
it would be {max(shuffled):.1%} at most in 20 draws.""")
assert not lesson.full or average > 0.08

# %% tags=["varies"]
tuning = nm.analysis.selectivity.tuning(acts, draws=100)
nm.plots.tuning(tuning)

# %% [markdown]
# *What to see:* the curves of the eight units that vary most between digits: how strongly each answers to each digit, and the grey band of what any digits would give. Many points lie far outside it, and nobody taught them.
#
# This is the most useful fact of the whole course. *Random weights already "prefer" digits*, far beyond shuffled labels, because images of one digit look alike and most projections keep
# some of that. Who shows that the units of a trained network prefer digits, and compares with shuffled labels only, has shown that MNIST has classes. The null that matters is the untrained network, and
# it will stand beside every claim of that kind.
#
# ### Exercise 4: who is never on?
# *Difficulty ●○○○ · 5 minutes*
#
# A unit that is 0 for every image is *dead*: it does nothing and, since its gradient is 0 too, learns nothing. Write `dead(acts)`, the number of dead units of a named array [example, unit].

# %% [markdown] tags=["hint"]
# `(acts > 0).any("example")` is True for each unit that is ever on.


# %% tags=["stub"]
def dead(acts):
    raise NotImplementedError("return how many units are never on, an integer")


# %% tags=["solution"]
def dead(acts):
    return int((~(acts > 0).any("example")).sum())


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    import xarray as xr

    planted = xr.DataArray([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.1]], dims=("example", "unit"))
    found = dead(planted)
    assert found is not None, "nothing came back"
    assert found == 1, f"of the three planted units one is never on, not {found}"
    assert dead(planted * 0) == 3, "in an array of zeros all three are dead"


# %% [markdown]
# ## What you have seen
#
# * A hook is a function that a module calls. Bare hooks stay, see tensors that change, hide wrong shapes and miss names, all in silence.
# * A hook point is a named place made for looking. `run_with_cache` reads, `hooks` changes and puts back, `incl_bwd` adds gradients.
# * At the last hidden layer the gradient of a logit is a row of weights. Gradient × activation is what a unit adds.
# * An untrained network's units already prefer digits. That is the null for what comes.
#
# **Next:** [02, what happens while it learns](02_Train_on_MNIST_and_Log.ipynb).
#
# **Further reading.** N. Nanda and J. Bloom, *TransformerLens* (2022), for the hook points and their words. J. Fiotto-Kaufman et al., "NNsight and NDIF: Democratizing access to
# open-weight foundation model internals", ICLR 2025. J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, for the untrained network as a control. PyTorch's documentation
# of `torch.nn.Module.register_forward_hook`.
