# %% [markdown]
# # How do we look inside without disturbing?
#
# *Hook points: from PyTorch's bare hooks, with all their traps, to `run_with_cache`.*
#
# In [00](00_MLP_from_scratch_PyTorch.ipynb) we built a network. Now we want to see what happens in the middle of it, while it runs as always. We do it with PyTorch alone first, fall into four traps
# together, and then build the small device that avoids them.
#
# **You will be able to**
#
# * read any activation of any layer, and its gradient, while the network runs as always;
# * change one, and restore everything;
# * recognize the four ways in which home-made hooks go wrong without a word.
#
# **Minutes:** 30 to read and run, 40 more for the exercises. **You need:** [00](00_MLP_from_scratch_PyTorch.ipynb), or some PyTorch.
#
# The network here is *untrained* all the way through, on purpose. Looking is a skill of its own, and what random weights already do is the yardstick for everything later. Terms are
# explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("01")

# %% [markdown]
# ## 1. Numbers that vanish
#
# Here is a plain network for digits, as you would write it anywhere: an image goes in, passes two hidden layers, and ten *logits* come out, one number for each digit.

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
# Between the two, 192 numbers were computed for each image and thrown away: the *activations* of the hidden *units*. They are what this project is about.
#
# Each hidden unit is a weighted sum of what it sees, and its ReLU turns negative sums into 0. **In an untrained network, for what share of the images is an average unit of the first layer above 0?**

# %%
mine = 0.5  # your guess
lesson.guess("on", mine)

# %% [markdown]
# We could write the forward pass again and keep what we want. Many notebooks do, once for each question, and then the copies drift apart. PyTorch has a better way: a *forward
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
# **Does it hold on another seed?** Random weights are as often negative as positive, so we may expect about a half. But "about" should be a number with its spread:

# %%
shares = []
for seed in range(10):
    torch.manual_seed(seed)
    first = nn.Linear(pixels, 128)
    shares.append(float((first(x.flatten(1)) > 0).float().mean()))
if lesson.reveal("on"):
    near = all(0.35 < share < 0.65 for share in shares)
    lesson.say(f"""Over {len(shares)} random first layers the share lies between {min(shares):.2f} and {max(shares):.2f}.
    {"So “about a half” holds for each of them." if near else "So on these images it is not always about a half."}""")
assert not lesson.full or all(0.35 < share < 0.65 for share in shares)

# %% [markdown]
# Why not exactly a half? All digits have their ink in similar places. If a unit's weights are mostly negative there, it is off for nearly every image. Let's check that: is a unit that is below 0 on the *average* image
# on for fewer images? (`first` is now the layer of the last seed.)

# %%
with torch.no_grad():
    to_the_mean = first(x.flatten(1).mean(0, keepdim=True))[0]
    each_on = (first(x.flatten(1)) > 0).float().mean(0)
lesson.say(f"""Of the {len(each_on)} units, {int((to_the_mean < 0).sum())} are below 0 on the average image; these are on for {float(each_on[to_the_mean < 0].mean()):.0%} of the images, the others for
{float(each_on[to_the_mean >= 0].mean()):.0%}. So the average image alone tells us a good deal about how often a unit is on.""")
assert each_on[to_the_mean < 0].mean() < each_on[to_the_mean >= 0].mean()

# %% [markdown]
# ## 2. Four traps
#
# Hooks are simple, and they fail silently. We walk into each trap once, so that you know it when you see it.
#
# **Trap 1: the hook that stays.** A hook that you don't remove runs forever. If you run a notebook's cell three times, you have three of them.

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
# The hook kept the tensor, not its values, and the next module wrote over them. The cure is a copy, `output.clone()`, at the price of memory.
#
# **Trap 3: the shape that fits by accident.** A hook may return a tensor, which then replaces the output. Say we want to replace every image's activations by the mean over the images. We write
# `output.mean(0)`, and forget that this removes the first axis. No error comes, because the next layer takes a single example too:

# %%
handle = plain[2].register_forward_hook(lambda module, inputs, output: output.mean(0))
print(f"{len(x)} images in, logits of shape {tuple(plain(x).shape)} out")
handle.remove()

# %% [markdown]
# **Trap 4: the name that is nowhere.** We collect by name, and expect a module called `layer1`. Here it is called `1`:

# %%
collected = {}
for name, module in plain.named_modules():
    if name == "layer1":
        module.register_forward_hook(lambda module, inputs, output: collected.update(layer1=output))
plain(x)
print("collected:", collected)

# %% [markdown]
# Nothing was collected, and no error came. If we had wanted to *change* the layer, nothing would have been changed, and we would have concluded that the layer "has no effect".
#
# ### Exercise 1: a hook that goes away
# *Difficulty ●●○○ · 10 minutes*
#
# Write `looked_at(module, model, x)`: run `model(x)`, and return a *copy* of what `module` put out. No hook of yours may be left behind, even if the forward pass fails halfway; its error should
# still reach the caller, and hooks of others should stay.

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
@lesson.check
def exercise_1(rng):
    everywhere = torch.nn.modules.module
    for graph, place, width in ((False, 1, 5), (True, 2, 7), (True, 3, 4), (True, 1, 6)):
        torch.manual_seed(int(rng.integers(1 << 30)))
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(12, width), nn.ReLU(inplace=True), nn.Linear(width, 3), nn.Identity()
        )
        given, calls, failing, error = torch.randn(8, 3, 4), [], [], ValueError("the model fails")

        def other(module, inputs, output, calls=calls, failing=failing, error=error):  # a hook of another user
            calls.append(module)
            if module in failing:
                failing.clear()  # a second pass would not fail
                raise error

        for module in (net[0], net[place], net[-1], net):
            module.register_forward_hook(other)
        with torch.no_grad():
            true = given.flatten(1)
            for module in net[1 : place + 1]:
                true = module.forward(true.clone())
        hooks = dict(everywhere._global_forward_hooks), dict(everywhere._global_forward_pre_hooks)
        with lessons.unchanged(net, x=given), torch.set_grad_enabled(graph):
            found = looked_at(net[place], net, given)
        assert calls == [net[0], net[place], net[-1], net], (
            f"the whole model should run once, with the hooks of others: four of them, and {len(calls)} calls came"
        )
        for module in (net[-1], net[0]):  # behind what is looked at, and before it
            failing[:], failed = [module], None
            with lessons.unchanged(**{"after a forward pass that failed, the network": net}):
                try:
                    looked_at(net[place], net, given)
                except Exception as met:
                    failed = met
            assert failed is error, (
                f"the forward pass failed with {error!r}, and the caller got {failed!r}: let the error pass as it is"
            )
        assert hooks == (everywhere._global_forward_hooks, everywhere._global_forward_pre_hooks), (
            "a hook is still there, on all modules at once"
        )
        shape = found if found is None else found.shape
        assert shape == true.shape, f"module {place} puts out {[*true.shape]}, and {shape and [*shape]} came back"
        assert torch.allclose(torch.as_tensor(found), true, atol=1e-5), (
            f"what came back is not what module {place} ({type(net[place]).__name__}) put out: is it a copy of the values, which the next module may write over"
        )


# %% tags=["right"]
def looked_at(module, model, x):
    found = {}

    def hook(module, inputs, output):
        found["it"] = output.detach().clone()

    handle = module.register_forward_hook(hook)
    try:
        model(x)
        return found["it"]
    finally:
        handle.remove()


# %% tags=["right"]
def looked_at(module, model, x):  # a handle is also a context
    found = []
    with module.register_forward_hook(lambda module, inputs, output: found.append(torch.tensor(output.tolist()))):
        model(x)
    return found[-1]


# %% tags=["right"]
def looked_at(module, model, x):  # removes and raises again
    kept = None

    def hook(module, inputs, output):
        nonlocal kept
        kept = output.detach().numpy().copy()

    handle = module.register_forward_hook(hook)
    try:
        model(x)
    except BaseException:
        handle.remove()
        raise
    handle.remove()
    return torch.from_numpy(kept)


# %% tags=["wrong"]
def looked_at(module, model, x):  # the tensor, not a copy
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(output.detach()))
    try:
        with torch.no_grad():
            model(x)
    finally:
        handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # never removed
    found = []
    module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    model(x)
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # not removed where the pass fails
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    model(x)
    handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # removes everybody's hooks
    found = []
    module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    try:
        model(x)
    finally:
        module._forward_hooks.clear()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # swallows the error
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    try:
        model(x)
    except Exception:
        return None
    finally:
        handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # the input of the module
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(inputs[0].clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # the output of the model
    return model(x).clone()


# %% tags=["wrong"]
def looked_at(module, model, x):  # always the first linear layer
    found = []
    handle = model[1].register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    try:
        model(x)
    finally:
        handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # runs the model twice
    found = []
    handle = module.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    try:
        model(x)
        model(x)
    finally:
        handle.remove()
    return found[0]


# %% tags=["wrong"]
def looked_at(module, model, x):  # takes the model apart, past everybody's hooks
    out = x
    for part in model:
        out = part.forward(out.clone())
        if part is module:
            return out


# %% [markdown]
# ## 3. Hook points
#
# The cure is to prepare the model: when we write it, we mark the places where one may look. A **hook point** is a module that gives back what came, unchanged. But it has a name, and
# functions can be attached to it. Let's build one:


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
# The models of this library (`nm`, which the first cell imported) are built this way. `hook_pre` stands before a layer's *activation function* (here the ReLU), `hook_post` behind it:

# %%
model = nm.MLP(nm.MLPConfig(image_shape=images.image_shape, hidden=(128, 64)), seed=0).eval()  # eval: as after training
print(*model.hook_points, sep="\n")

# %% [markdown]
# One call runs the network and keeps everything, in a *cache*. Does looking change anything? We check that to the last bit, and that the cache holds what a bare hook sees.
# (`cache["post", -1]` is short for the `hook_post` of the last hidden layer.)

# %%
logits, cache = model.run_with_cache(x)
assert torch.equal(logits, model(x))  # looking has changed nothing

handle = model.layers[0].activation.register_forward_hook(keep)
model(x)
handle.remove()
assert torch.equal(cache["layers.0.hook_post"], seen["hidden"])
print(cache)
print("the last hidden layer:", tuple(cache["post", -1].shape))

# %% tags=["card"]
layers = {name: cache[name][0].detach().numpy() for name in ("layers.0.hook_post", "layers.1.hook_post")}
nm.plots.one_image(images.images[0] / 255, {"one image": layers}, {"one image": logits[0].detach().softmax(0).numpy()})

# %% [markdown]
# *What to look at:* one image, and all that an untrained network makes of it. Each square is a unit, empty at 0 and darkest at the layer's highest activation; the places in the grid have
# no meaning. Many units are off. On the right, the *softmax* has turned the ten logits into probabilities that sum to 1 (02 says how), and they are nearly equal: this network does not
# know the digit yet.

# %% [markdown]
# The words are those of TransformerLens, which has the same idea for language models ([notebook 06](06_Toward_TransformerLens.ipynb) goes there). And what became of the four traps? Let's walk
# into each of them again, and into a fifth: pixels in 0..255 where the model expects 0..1. (`run_with_hooks` attaches functions for one run; `names_filter` says what to keep.)

# %% tags=["varies"]
from neural_microscope.errors import MicroscopeError


def attempt(trap, what):
    try:
        what()
    except (MicroscopeError, ValueError) as error:
        print(f"{trap}: {type(error).__name__}: {error}")


def to_the_mean_image(tensor, hook):
    return tensor.mean(0)


left = sum(len(point.attached) for point in model.hook_points.values())
before = cache["layers.0.hook_pre"]
print(f"1, a hook that stays: {left} functions are attached after run_with_cache")
print(f"2, values that change: {float((before < 0).float().mean()):.0%} of the cache before the ReLU is negative")
attempt("3, a wrong shape", lambda: model.run_with_hooks(x, fwd_hooks=[("layers.0.hook_post", to_the_mean_image)]))
attempt("4, a wrong name", lambda: model.run_with_cache(x, names_filter="layer.0.hook_post"))
attempt("5, pixels in 0..255", lambda: model(x * 255))
assert left == 0

# %% [markdown]
# So nothing is left behind, the negative numbers are still there, and the three mistakes are errors that say what to do.
#
# ## 4. Gradients too
#
# An activation says what a unit did. The *gradient* at that place says how fast some number, say the logit of the true digit, would rise with it. We compute it by hand with `torch.autograd.grad`, and in one call:

# %%
labels = images.label_tensor()


def true_logit(logits):
    return logits.gather(1, labels[:, None]).sum()


pre = model.layers[0].weights(x.flatten(1))
post = torch.relu(pre)
rest = model.output(torch.relu(model.layers[1].weights(post)))
(by_hand,) = torch.autograd.grad(true_logit(rest), post)

_, cache = model.run_with_cache(x, incl_bwd=True, loss=true_logit)
gradient = cache["layers.0.hook_post_grad"]
assert torch.allclose(by_hand, gradient, atol=1e-7)
print("gradients of", tuple(gradient.shape), "activations: the same by hand and in the cache")

# %% [markdown]
# Now the last hidden layer. **Take all images of the digit 7. What is the largest difference between the gradients of their true logit there?** (The gradients themselves are up to about 0.1 in size.)

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
# Let's pause here. The logit is a *weighted sum* of the last hidden layer, so its gradient there is the row of weights, whatever the image. If somebody reports a "mean gradient over all 7s" at the last layer,
# that is just a row of the weight matrix: you can read it off without any image.
#
# One layer further back it is different: the ReLU in between passes the signal for some images and not for others.

# %%
earlier = cache["layers.0.hook_post_grad"][labels == 7]
if lesson.reveal("gradient"):
    print(f"one layer further back, the largest difference is {float((earlier - earlier[0]).abs().max()):.3f}")

# %% [markdown]
# ### Exercise 2: evidence for a 7
# *Difficulty ●●●○ · 15 minutes*
#
# What does depend on the image is gradient × activation: how much each unit *adds* to the logit. Write `contributions(model, cache, digit)`, the contributions [example, unit] of the last
# hidden layer to the logit of `digit`, from the weights `model.output.weight` [10, 64] and the cache. Leave both as they are.

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
    for n, widths, activation in (
        (150, (12, 8), "relu"),
        (15, (9, 11), "relu"),
        (15, (9, 11), "tanh"),
        (7, (64, 64), "relu"),
    ):
        settings, width = nm.MLPConfig(image_shape=images.image_shape, hidden=widths, activation=activation), widths[-1]
        net = nm.MLP(settings, seed=int(rng.integers(1000))).eval()
        for digit in (int(rng.integers(10)), 7, 0):
            net.output.weight.data += 0.1  # training goes on
            out, kept = net.run_with_cache(x[torch.tensor(rng.permutation(len(x))[:n])])
            with lessons.unchanged(net, cache=kept):
                found = contributions(net, kept, digit)
            assert hasattr(found, "shape"), f"a {type(found).__name__} came back; return a tensor"
            assert tuple(found.shape) == (n, width), (
                f"{n} images and {width} units make ({n}, {width}), not {tuple(found.shape)}"
            )
            acts, weights = kept["post", -1].detach(), net.output.weight[digit].detach()
            found = torch.as_tensor(found).detach().to(acts.dtype)
            worst = float((found.sum(1) + net.output.bias[digit].detach() - out[:, digit].detach()).abs().max())
            assert worst < 1e-4, (
                f"for the digit {digit} of a network with {activation}, summed over units and with the bias they should be its logit; they miss it by up to {worst:.2g}"
            )
            i, j = divmod(int((found - acts * weights).abs().argmax()), width)
            assert torch.allclose(found, acts * weights, atol=1e-5), (
                f"the sums are right, their parts are not: unit {j} with activation {float(acts[i, j]):.5f} and weight {float(weights[j]):.5f} came as {float(found[i, j]):.5f}"
            )


# %% tags=["right"]
def contributions(model, cache, digit):  # written out
    acts, weights = cache["layers.1.hook_post"].detach(), model.output.weight.detach()
    return torch.stack([acts[:, unit] * weights[digit, unit] for unit in range(acts.shape[1])], 1)


# %% tags=["right"]
def contributions(model, cache, digit):  # in numpy
    return cache["post", -1].detach().numpy() * model.output.weight.detach().numpy()[digit][None]


# %% tags=["right"]
def contributions(model, cache, digit):  # through a diagonal matrix, gradients and all
    return cache["post", -1] @ torch.diag(model.output.weight[digit])


# %% tags=["wrong"]
def contributions(model, cache, digit):  # always the 7
    return cache["post", -1] * model.output.weight[7].detach()


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the gradient alone
    return model.output.weight[digit].detach().expand_as(cache["post", -1])


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the activations alone
    return cache["post", -1]


# %% tags=["wrong"]
def contributions(model, cache, digit):  # before the ReLU
    return cache["layers.1.hook_pre"] * model.output.weight[digit].detach()


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the bias in equal shares
    acts = cache["post", -1]
    return acts * model.output.weight[digit].detach() + model.output.bias[digit].detach() / acts.shape[1]


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the bias in every unit
    return cache["post", -1] * model.output.weight[digit].detach() + model.output.bias[digit].detach()


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the sum, already
    return (cache["post", -1] * model.output.weight[digit].detach()).sum(1)


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the mean over images
    acts = cache["post", -1]
    return (acts * model.output.weight[digit].detach()).mean(0).expand_as(acts)


# %% tags=["wrong"]
def contributions(model, cache, digit):  # the logit in equal shares
    acts = cache["post", -1]
    total = acts @ model.output.weight[digit].detach()
    return (total / acts.shape[1])[:, None].expand_as(acts)


# %% tags=["wrong"]
def contributions(model, cache, digit):  # sizes without signs
    return (cache["post", -1] * model.output.weight[digit].detach()).abs()


# %% [markdown]
# ## 5. Change one, and restore it
#
# What a hook point shows, it can also set. By hand: a function gets the tensor, changes a copy, and returns it. While the block lasts, the network runs with the change; after the block, without.


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
# Setting a unit to 0 for every image is called an *ablation*. Note what this one does *not* show. The network is untrained, and still the ablation changes its logits. So an effect alone does not show that a unit has
# learned anything. For that we have to compare it with something, and [notebook 04](04_Causal_Interventions.ipynb) is about with what.
#
# ### Exercise 3: turn a unit up
# *Difficulty ●●○○ · 10 minutes*
#
# Write `clamp(unit, value)`, which returns a hook function that sets that unit to `value` for every image. It must not change the tensor it was given, and what it returns has the same type. The library calls
# it as `function(tensor, hook=point)`.

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
    points, before = [*model.hook_points.values()], {}
    for n, units in ((4, 6), (7, 3), (5, 64), (1, 8)):
        unit = int(rng.integers(units))
        functions = [(value, clamp(unit, value)) for value in (float(rng.normal()), 2.0, -1.5, 0.0)]
        clamp((unit + 1) % units, 9.0)  # of another unit, and not used
        for k, (value, function) in enumerate(functions * 2):  # each is used twice, on batches of two sizes
            assert callable(function), f"clamp gives {function!r}; it should give a function"
            given = torch.tensor(rng.normal(size=(n + k, units)) * 3).to(
                torch.float64 if k in (1, 4) else torch.float32
            )
            given[0, unit] = 0.0  # off, as a ReLU leaves it
            given[-1, unit], given[0, (unit + 1) % units] = torch.inf if k == 6 else 1.0, -torch.inf
            with lessons.unchanged(tensor=given, **before):
                back = function(given, hook=points[k % len(points)])
            assert torch.is_tensor(back) and back.shape == given.shape and back.dtype == given.dtype, (
                f"a tensor {[*given.shape]} of {given.dtype} came in; {f'{[*back.shape]} of {back.dtype}' if torch.is_tensor(back) else back} came back"
            )
            wrong = back[:, unit] != torch.full_like(back[:, unit], value)
            assert not wrong.any(), (
                f"clamp({unit}, {value:.9g}), made before three others and used on batch number {k // 4 + 1}, should set unit {unit} to {value:.9g} for every image, in {given.dtype}; where it was {float(given[wrong, unit][0]):.2f} it came as {float(back[wrong, unit][0]):.9g}"
            )
            rest = [other for other in range(units) if other != unit]
            assert torch.equal(back[:, rest], given[:, rest]), f"clamp({unit}, …) has changed other units than {unit}"
            before = {"the tensor of the call before": back}
            with lessons.unchanged(**before):
                later = function(given.fill_(5.0), hook=points[0])  # the same tensor, with other numbers
            assert torch.equal(later[:, rest], given[:, rest]), (
                "a tensor came again with other numbers, and old ones came back"
            )
    with torch.no_grad(), model.hooks([("layers.1.hook_post", clamp(5, 2.0))]):
        shift = model(x) - cache["logits"]
    expected = (2.0 - cache["layers.1.hook_post"][:, 5])[:, None] * model.output.weight[:, 5]
    assert torch.allclose(shift, expected.detach(), atol=1e-4), (
        "the logits do not change by the weights times the change of unit 5"
    )


# %% tags=["right"]
def clamp(unit, value):  # with a mask
    def function(tensor, hook):
        mask = torch.arange(tensor.shape[1]) == unit
        return torch.where(mask, torch.tensor(value, dtype=tensor.dtype), tensor)

    return function


# %% tags=["right"]
def clamp(unit, value):  # joined from three parts
    return lambda tensor, hook: torch.cat(
        [tensor[:, :unit], torch.full_like(tensor[:, :1], value), tensor[:, unit + 1 :]], 1
    )


# %% tags=["right"]
def clamp(unit, value):  # the library's own words
    def function(tensor, hook):
        return tensor.index_fill(1, torch.tensor([unit]), value)

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # in place
    def function(tensor, hook):
        tensor[:, unit] = value
        return tensor

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # nothing comes back
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = value

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # at most the value
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=value)
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # at least the value
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(min=value)
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # always 2
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = 2.0
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # adds the value
    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] += value
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # all units
    def function(tensor, hook):
        return torch.full_like(tensor, value)

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # an image, not a unit
    def function(tensor, hook):
        changed = tensor.clone()
        changed[unit % len(tensor)] = value
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # the other units become 0
    def function(tensor, hook):
        changed = torch.zeros_like(tensor)
        changed[:, unit] = value
        return changed

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # only that unit's column comes back
    def function(tensor, hook):
        return torch.full_like(tensor[:, :1], value)

    return function


# %% tags=["wrong"]
def clamp(unit, value):  # keeps the last request for everybody
    clamp.unit, clamp.value = unit, value

    def function(tensor, hook):
        changed = tensor.clone()
        changed[:, clamp.unit] = clamp.value
        return changed

    return function


# %% [markdown]
# ## 6. Any module, and many images
#
# What about a network that has no hook points? `nm.hooked` takes any `nn.Module` and gives each of its modules one, behind its output, with the same methods. It also avoids trap 2: what stands before an
# in-place ReLU is kept as it was.

# %%
lens = nm.hooked(thrifty)
with torch.no_grad():
    _, theirs = lens.run_with_cache(x)
print(*theirs, sep="\n")
print(f"before the in-place ReLU, {float((theirs['1.hook_out'] < 0).float().mean()):.0%} are negative")

# %% [markdown]
# For all images of a dataset, `nm.activations` runs in batches and gives *named* arrays: axes have names, and each image knows its label. So questions read like sentences.
#
# Let's ask one of this untrained network. Take a unit: its activation differs from image to image. One part of this *variance* is there because a 3 and a 7 give different averages. The rest is the difference among
# the 3s, among the 7s, and so on. **What share of an average unit's variance is the first part, between the digits: 0%, 20%, 60%?**

# %%
mine = 0.0  # your guess
lesson.guess("untrained", mine)

# %% tags=["varies"]
import numpy as np

acts = nm.activations(model, lesson.data.test)["layers.1.hook_post"]  # [example, unit]


def between_digits(acts):
    """Of each unit: the variance of the digits' means over the variance of all images."""
    means = acts.groupby("label").mean()
    return means.var("label") / acts.var("example")


found = between_digits(acts)
on = acts.var("example") > 0
rng = np.random.default_rng(0)
shuffled = [
    float(between_digits(acts.assign_coords(label=("example", rng.permutation(acts.label.values)))).where(on).mean())
    for _ in range(20)
]
average = float(found.where(on).mean())
if lesson.reveal("untrained", round(average, 2)):
    lesson.say(f"""In this untrained network, {average:.0%} of an average unit's variance lies between the digits (n = {acts.sizes["example"]:,} images). With labels in random order
    it is {max(shuffled):.1%} at most in {len(shuffled)} draws. {"So its units respond to the digits, although nothing was learned." if average > max(shuffled) else ""}""")
assert not lesson.full or average > 0.08

# %% tags=["varies"]
tuning = nm.analysis.selectivity.tuning(acts, draws=100)
nm.plots.tuning(tuning)

# %% [markdown]
# *What to look at:* the digits outside the gray band. Each panel is the *tuning curve* of a unit, its mean activation for each digit, divided by the highest of the ten. The gray band is where the means lie when the labels
# are shuffled. These eight units differ most between digits.
#
# For how many of the 64 units is that more than chance? Three words help, here and in all notebooks:
#
# * The *null* is what a measure gives when there is nothing to find. Here: the same units with shuffled labels, drawn many times.
# * The *p value* is the share of these draws that reach at least what we found, where the one we found counts as a draw too (so p is never 0). If p is small, chance rarely gives such a result.
# * With 64 units we ask 64 times. By chance alone about 3 of them have p < 0.05, since 5% of 64 is 3.2. So the library corrects p for the number of questions; the corrected p is called *q*. We say that an effect is *shown*
#   if q < 0.05, and otherwise *not shown*, which is not evidence that there is none.

# %% tags=["varies"]
beyond = int(tuning["explained_shown"].sum())
lesson.say(
    f"""For {beyond} of {acts.sizes["unit"]} units of this untrained network it is shown that they respond to the digits beyond shuffled labels (q < 0.05, 100 draws)."""
)

# %% [markdown]
# Keep this fact, we come back to it in every notebook: *random weights already "prefer" digits*. Images of one digit look alike, and a random weighted sum of pixels keeps some of that likeness.
#
# So if you compare a trained network's units only with shuffled labels, you have shown that the images come in classes, and not that anything was learned. Shuffled labels are one null. The null that matters here is the
# untrained network, and it will stand next to every claim of this kind.
#
# ### Exercise 4: which units are never on?
# *Difficulty ●○○○ · 5 minutes*
#
# A unit that is 0 for every image is *dead*: it does nothing and, since its gradient is 0 too, learns nothing. Write `dead(acts)`, the number of dead units of a named array [example, unit], an integer.

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

    for n, units, silent in ((3, 4, 1), (20, 8, 3), (12, 30, 0), (9, 5, 5), (20, 8, 1), (150, 6, 2)):
        values = rng.exponential(size=(n, units)) * (rng.random((n, units)) < 0.3)
        values[rng.integers(n, size=units), np.arange(units)] = 1.0
        values[:, -1] = 2.0  # on for every image, and always alike
        order = rng.permutation(units - 1)
        values[:, order[-1]] = 0.0
        values[-1, order[-1]] = 1e-9  # on, though for the last image only and faintly
        values[:, order[-2]] = 0.0
        values[:2, order[-2]] = 1.0, -1.0  # on, though its sum is 0
        values[:, order[:silent] if silent < units else slice(None)] = 0.0
        values[0] *= np.where(values[0] == 0, -1, 1)  # -0.0 is 0 too
        planted = xr.DataArray(values, dims=("example", "unit"))
        true = sum(all(value == 0 for value in column) for column in values.T)
        with lessons.unchanged(acts=planted):
            found = dead(planted)
        assert isinstance(found, int | np.integer) and not isinstance(found, bool), (
            f"one integer should come back, not a {type(found).__name__}"
        )
        assert found == true, f"of {units} planted units, {true} are 0 for all {n} images, and {found} came"


# %% tags=["right"]
def dead(acts):  # counted one by one
    return sum(1 for unit in range(acts.sizes["unit"]) if float(acts.isel(unit=unit).max()) <= 0)


# %% tags=["right"]
def dead(acts):
    return (acts.values.max(axis=0) == 0).sum()


# %% tags=["right"]
def dead(acts):  # in torch
    return torch.tensor(acts.values).eq(0).all(0).sum().item()


# %% tags=["wrong"]
def dead(acts):  # those that are on
    return int((acts > 0).any("example").sum())


# %% tags=["wrong"]
def dead(acts):  # off for any image, not for all
    return int((acts == 0).any("example").sum())


# %% tags=["wrong"]
def dead(acts):  # images, not units
    return int((~(acts > 0).any("unit")).sum())


# %% tags=["wrong"]
def dead(acts):  # a share
    return float((~(acts > 0).any("example")).mean())


# %% tags=["wrong"]
def dead(acts):  # all zeros, of whatever unit
    return int((acts == 0).sum())


# %% tags=["wrong"]
def dead(acts):  # rarely and weakly on
    return int((acts.mean("example") < 0.001).sum())


# %% tags=["wrong"]
def dead(acts):  # constant, though it may be on
    return int((acts.std("example") == 0).sum())


# %% tags=["wrong"]
def dead(acts):  # the first image only
    return int((acts[0] == 0).sum())


# %% tags=["wrong"]
def dead(acts):  # which units, not how many
    return np.flatnonzero((~(acts > 0).any("example")).values)


# %% [markdown]
# ## What you have seen
#
# * A hook is a function that a module calls. Bare hooks stay attached, keep tensors that change later, let wrong shapes pass and miss names, all without an error.
# * A hook point is a named place made for looking. `run_with_cache` reads, `hooks` changes and restores, `incl_bwd` adds gradients.
# * At the last hidden layer the gradient of a logit is a row of weights. Gradient × activation is what a unit adds.
# * An untrained network's units already prefer digits. From here on, that is the null for what training has changed.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#01-how-do-we-look-inside-without-disturbing), in the documentation.
#
# **Next:** [02, what happens while it learns](02_Train_on_MNIST_and_Log.ipynb).
#
# **Further reading.** N. Nanda and J. Bloom, *TransformerLens* (2022), for the hook points and their words. J. Fiotto-Kaufman et al., "NNsight and NDIF: Democratizing access to
# open-weight foundation model internals", ICLR 2025. J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, for the untrained network as a control. PyTorch's documentation
# of `torch.nn.Module.register_forward_hook`.
