# %% [markdown]
# # What does convolution change?
#
# *Two networks of one size, one task. We ask both the same questions, and of each difference: is it due to convolution, or to something else?*
#
# Everybody says that convolution is made for images. I believe it more when I have slid a kernel over a picture myself, and then looked for the place where it stops helping. So we do
# both.
#
# **You will be able to**
#
# * compute a convolution, a Grad-CAM map and a similarity of layers by hand, and say what each assumes;
# * say what a network that shares its weights over places can do that another can't, and what it can't do either;
# * compare two networks fairly: images paired, seeds repeated, and an untrained network next to each claim.
#
# **Minutes:** 60 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) for hooks and caches; [03](03_Analyze_Activations.ipynb) and
# [04](04_Causal_Interventions.ipynb) help.
#
# The notebook shows no answer before you have guessed. Our own guesses stand here as examples, right or wrong; the version in `exercises/` leaves them to you. Terms are explained
# where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("05")

# %% [markdown]
# ## 1. Two networks of nearly one size
#
# Both get the same images. The MLP sees a row of pixels and has no idea which of them are neighbors. The CNN begins with two layers of *convolution*: small windows of weights,
# *kernels*, that slide over the image. Each kernel makes a picture of its own, a *channel*.
#
# After each such layer, *pooling* keeps the highest of every two by two numbers. Then comes a dense layer as in the MLP, and the *logits*, one output for each class.

# %% tags=["varies"]
from dataclasses import replace

import numpy as np
import torch

recipe = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
recipe_cnn = nm.TrainConfig(
    epochs=3,
    optimizer="adamw",
    schedule="cosine",
    weight_decay=0.1,
    learning_rate=3e-3,
    warmup_steps=lesson.pick(100, 10),
)
run_mlp = lesson.run("mlp", nm.MLPConfig(), recipe)
run_cnn = lesson.run("cnn", nm.CNNConfig(), recipe_cnn)  # about a minute, the first time
mlp, cnn = run_mlp.model(), run_cnn.model()
for name, model in {"MLP": mlp, "CNN": cnn}.items():
    print(
        name, *(f"{point} {tuple(p.shape)}" for point, p in model.named_parameters() if "weight" in point), sep="\n   "
    )

# %% [markdown]
# A kernel has three by three weights for each channel that it looks at. Let's count what that makes.

# %%
size = {name: sum(p.numel() for p in model.parameters()) for name, model in {"MLP": mlp, "CNN": cnn}.items()}
in_kernels = sum(p.numel() for name, p in cnn.named_parameters() if ".conv." in name)
by_hand = sum(into * 3 * 3 * out + out for into, out in ((1, 16), (16, 32)))  # weights and one bias for each channel
assert in_kernels == by_hand
assert not lesson.full or abs(size["MLP"] - size["CNN"]) / size["MLP"] < 0.1
print(
    f"MLP {size['MLP']:,} parameters; CNN {size['CNN']:,}, of which {in_kernels:,} or {in_kernels / size['CNN']:.1%} are in kernels"
)
assert not lesson.full or in_kernels / size["CNN"] < 0.1

# %% [markdown]
# Few. A kernel's weights are used at every place, so a larger image needs no more of them. Nearly all of the CNN's parameters are in its dense layer, which looks like the MLP's.
#
# Now their accuracy. Both classified the *same* images, so we take the difference image by image. Its 95% *interval* says how far it could be off by the choice of images: we draw
# as many images as there are, with repetitions, again and again, and look where 95% of the differences lie.

# %% tags=["varies"]
test = lesson.data.test
right = {
    name: (nm.evaluate(model, test).predictions.numpy() == test.labels)
    for name, model in {"MLP": mlp, "CNN": cnn}.items()
}
gain = right["CNN"].astype(float) - right["MLP"]
low, high = nm.statistics.bootstrap_mean(gain)
for name, found in right.items():
    ends = nm.statistics.bootstrap_mean(found.astype(float))
    print(f"{name}: test accuracy {found.mean():.2%}, 95% interval {ends[0]:.2%} to {ends[1]:.2%} (n = {len(found):,})")
print(f"CNN minus MLP: {100 * gain.mean():+.2f} points, 95% interval {100 * low:+.2f} to {100 * high:+.2f}")
better = "the CNN is better" if low > 0 else "the MLP is better" if high < 0 else "it is not shown that one is better"
lesson.say(f"Of these two networks {better}: the interval {'excludes' if low > 0 or high < 0 else 'holds'} 0.")
assert not lesson.full or low > 0

# %% [markdown]
# **Does it hold on another seed?** That interval is about other images. It says nothing about other networks of the same kind, with other initial weights (another *seed*).
#
# So let's train two more MLPs and one more CNN. To save time, this CNN gets one epoch only, and we compare all five after one epoch.

# %% tags=["varies"]
others = {
    f"MLP, seed {seed}": lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(recipe, seed=seed)) for seed in (1, 2)
}
others["CNN, seed 1"] = lesson.run("cnn-seed1-short", nm.CNNConfig(), replace(recipe_cnn, seed=1, epochs=1))
everyone = {"MLP, seed 0": run_mlp, "CNN, seed 0": run_cnn, **others}
once, end = {}, {}
for name, run in everyone.items():
    log = run.log["test_accuracy"]
    once[name], end[name] = (float(log[int(np.argmin(np.abs(run.log["epoch"].values - at)))]) for at in (1, 1e9))
    print(f"{name}: {once[name]:.2%} after one epoch, {end[name]:.2%} at the end of {run.train_config.epochs}")
mlps, cnns = ([score for name, score in once.items() if name.startswith(kind)] for kind in ("MLP", "CNN"))
lesson.say(f"""After one epoch the worst CNN lies {100 * (min(cnns) - max(mlps)):+.1f} points from the best MLP, and the MLPs differ among themselves by
{100 * (max(mlps) - min(mlps)):.1f}. {"Both CNNs are above all three MLPs" if min(cnns) > max(mlps) else "The two kinds overlap"}. Five networks are few: this is a sign, not a law.""")

# %% [markdown]
# One unfairness is left. In its one epoch the second CNN's learning rate fell all the way to zero, which helps; the others were still in the middle of their training.
#
# ## 2. A convolution by hand
#
# Take one kernel and one image. Lay the window of three by three weights over the upper left corner, multiply, sum, add the bias, and write the number down. Move one to the right,
# and again. At the border we pad the image with zeros, so the result has the image's size.

# %%
images = test.balanced(lesson.pick(500, 200), seed=0)
x = images.tensor()  # [example, 1, row, col] in 0..1
rows, cols = images.image_shape
layer = cnn.layers[0].conv


def slide(image, kernel, bias):
    """One kernel [3, 3] over one image [row, col]."""
    padded = torch.zeros(rows + 2, cols + 2)
    padded[1:-1, 1:-1] = image
    result = torch.zeros(rows, cols)
    for r in range(rows):
        for c in range(cols):
            result[r, c] = (padded[r : r + 3, c : c + 3] * kernel).sum() + bias
    return result


with torch.no_grad():
    by_hand = torch.stack([slide(x[0, 0], layer.weight[k, 0], layer.bias[k]) for k in range(2)])
    logits, cache = cnn.run_with_cache(x)
library = cache["layers.0.hook_pre"][0, :2]
assert torch.allclose(by_hand, library, atol=1e-5)
print("two channels of one image, by hand and in the network:", tuple(by_hand.shape), "numbers that agree")

# %% [markdown]
# (Strictly speaking this is a *cross-correlation*: a mathematician's convolution rotates the kernel first. For weights that are learned it makes no difference.)
#
# Here are all channels of the first layer on that image, after the ReLU:

# %% tags=["varies"]
nm.plots.feature_maps(cache["layers.0.hook_post"][0].numpy(), images.images[0])

# %% [markdown]
# *What to look at:* each channel draws the digit with another pen. Look for channels that are dark along one side of a stroke, and for some that fill the ink or the paper. A blank
# channel is 0 everywhere on this image.

# %% tags=["varies"]
nm.plots.weights(
    cnn.layers[0].conv.weight.detach()[:, 0].numpy(), run_cnn.model(step=0).layers[0].conv.weight.detach()[:, 0].numpy()
)

# %% [markdown]
# *What to look at:* kernels with orange on one side and blue on the other respond to an edge. But compare with the kernels at initialization below: in nine random numbers you find an
# edge as well.
#
# In the MLP, a unit of the first layer has as many weights as there are pixels:

# %% tags=["varies"]
shape = (16, rows, cols)
never = lesson.data.train.images.max(0) == 0  # pixels without ink in any training image
nm.plots.weights(
    mlp.layers[0].linear.weight.detach()[:16].reshape(shape).numpy(),
    run_mlp.model(step=0).layers[0].linear.weight.detach()[:16].reshape(shape).numpy(),
    never,
    across=8,
)

# %% [markdown]
# *What to look at:* each MLP unit has a template as large as the image. Gray are the pixels that have no ink in any training image, so nothing is learned there. A nearly empty template
# is a unit whose weights are all close to 0. So an MLP unit asks one question about the whole picture; a kernel asks one small question everywhere.
#
# What follows from "everywhere"? We move the digit one pixel down and to the right. Then we compare the CNN's new map with its old map, moved in the same way. **How large is the
# difference: 0 (the same), 0.1, 0.5, or 1 (as large as between the maps of two different images)?** (We leave out the border.)

# %%
mine = 0.1  # your guess
lesson.guess("equivariant", mine)


# %%
def shifted(x, down, right):
    """Images or maps [example, channel, row, col], moved; what comes in at the edge is 0."""
    m = max(abs(down), abs(right))
    h, w = x.shape[2:]
    wide = torch.nn.functional.pad(x, (m, m, m, m))
    return wide[:, :, m - down : m - down + h, m - right : m - right + w]


with torch.no_grad():
    _, moved = cnn.run_with_cache(shifted(x, 1, 1))
    _, moved_fresh = run_cnn.model(step=0).run_with_cache(shifted(x, 1, 1))
    _, cache_fresh = run_cnn.model(step=0).run_with_cache(x)
inside = (..., slice(2, -2), slice(2, -2))


def apart(before, after):
    """The distance of the maps after the move from the moved maps, over that from another image's."""
    old, new = shifted(before["layers.0.hook_pre"], 1, 1)[inside], after["layers.0.hook_pre"][inside]
    return float((new - old).norm() / (old.roll(1, 0) - old).norm())


equivariant, equivariant_fresh = apart(cache, moved), apart(cache_fresh, moved_fresh)
if lesson.reveal("equivariant", round(equivariant, 4)):
    print(f"untrained: {equivariant_fresh:.4f}")
assert max(equivariant, equivariant_fresh) < 1e-4

# %% [markdown]
# Only rounding is left, in the untrained network too. *The map of a moved image is the moved map*. This is called *equivariance*, and it comes from sharing weights alone.
#
# It is not *invariance*: the maps do move. And it ends at the border and at the pooling. Pooling keeps the highest of four numbers, and after a step of one pixel it forms other groups
# of four.
#
# ### Exercise 1: count the parameters
# *Difficulty ●○○○ · 5 minutes*
#
# Write `parameters(side, channels, head, classes)`: how many parameters a CNN like ours has, a whole number, for images of side × side pixels. Kernels are three by three; every
# channel, unit and class has a bias; a pooling after each convolutional layer halves the side (an odd side is rounded down); `channels` has one number for each convolutional layer;
# `head` is the width of the one dense hidden layer.

# %% [markdown] tags=["hint"]
# Walk through the layers and keep two numbers: how many channels come in (1 at first), and the side of the maps. The dense layer sees channels × side × side numbers.


# %% tags=["stub"]
def parameters(side, channels, head, classes):
    raise NotImplementedError("return the number of all weights and biases, an integer")


# %% tags=["solution"]
def parameters(side, channels, head, classes):
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now
        before, side = now, side // 2
    total += before * side * side * head + head
    return total + head * classes + classes


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    def built(side, channels, head, classes):
        """The same network of PyTorch's modules, counted."""
        parts, into = [], (1, *channels)
        for one, other in zip(into, channels, strict=False):
            parts += [torch.nn.Conv2d(one, other, 3, padding=1), torch.nn.MaxPool2d(2)]
        seen = torch.nn.Sequential(*parts)(torch.zeros(1, 1, side, side)).numel()
        parts += [torch.nn.Flatten(), torch.nn.Linear(seen, head), torch.nn.Linear(head, classes)]
        return sum(p.numel() for p in torch.nn.Sequential(*parts).parameters())

    cases = [(4, (1,), 1, 2), (5, (1,), 1, 2), (8, (2, 3), 4, 10), (8, (2, 3), 7, 10), (8, (2, 3), 4, 3)]
    cases += [(33, (1, 2, 3, 2, 1), 2, 3), (100, (8, 16), 2001, 10)]  # deep; and more than float32 counts
    for _ in range(7):
        channels = tuple(int(n) for n in rng.integers(1, 7, rng.integers(1, 4)))
        cases.append((int(rng.integers(8, 24)), channels, int(rng.integers(1, 9)), int(rng.integers(2, 12))))
    for side, channels, head, classes in cases:
        found, wanted = parameters(side, channels, head, classes), built(side, channels, head, classes)
        assert isinstance(found, (int, np.integer)), (
            f"a whole number should come back, and a {type(found).__name__} came: {found!r}"
        )
        assert found == wanted, (
            f"{side} × {side} pixels, channels {channels}, {head} dense units, {classes} classes: built in PyTorch it has {wanted:,} "
            f"parameters, and {found:,} came: does a kernel see all channels before it, has every channel, unit and class a bias, and is each half side "
            "rounded down"
        )
    ours = sum(p.numel() for p in cnn.parameters())
    assert parameters(rows, (16, 32), 64, 10) == ours, f"our CNN has {ours:,} parameters"


# %% tags=["right"]
def parameters(side, channels, head, classes):
    kernels = sum((9 * a + 1) * b for a, b in zip((1, *channels), channels, strict=False))
    left = side >> len(channels)
    return kernels + (channels[-1] * left**2 + 1) * head + (head + 1) * classes


# %% tags=["right"]
def parameters(side, channels, head, classes):  # numpy numbers, and a recursion
    if len(channels) == 0:
        return (side * side + 1) * head + (head + 1) * classes

    def rest(into, side, left):
        if not left:
            return np.int64(into * side * side * head + head + head * classes + classes)
        return into * 9 * left[0] + left[0] + rest(left[0], side // 2, left[1:])

    return rest(1, side, list(channels))


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # no biases
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now
        before, side = now, side // 2
    return total + before * side * side * head + head * classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # the pooling is forgotten
    total, before = 0, 1
    for now in channels:
        total, before = total + before * 9 * now + now, now
    return total + before * side * side * head + head + head * classes + classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # an odd side is rounded up
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now
        before, side = now, (side + 1) // 2
    return total + before * side * side * head + head + head * classes + classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # the side is not rounded
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now
        before, side = now, side / 2
    return int(total + before * side * side * head + head + head * classes + classes)


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # each kernel sees one channel
    total = sum(9 * now + now for now in channels)
    side = side // 2 ** len(channels)
    return total + channels[-1] * side * side * head + head + head * classes + classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # one bias for each kernel and channel it sees
    total, before = 0, 1
    for now in channels:
        total += before * 10 * now
        before, side = now, side // 2
    return total + before * side * side * head + head + head * classes + classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # ten classes, whatever is asked
    total, before = 0, 1
    for now in channels:
        total += before * 9 * now + now
        before, side = now, side // 2
    return total + before * side * side * head + head + head * 10 + 10


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # kernels of five by five
    total, before = 0, 1
    for now in channels:
        total += before * 25 * now + now
        before, side = now, side // 2
    return total + before * side * side * head + head + head * classes + classes


# %% tags=["wrong"]
def parameters(side, channels, head, classes):  # two convolutional layers, whatever is asked
    one, two = channels[0], channels[-1]
    return 10 * one + (9 * one + 1) * two + (two * (side // 4) ** 2 + 1) * head + (head + 1) * classes


# %% [markdown]
# ### Exercise 2: pooling, and what it forgets
# *Difficulty ●●○○ · 10 minutes*
#
# Write `pool(maps)`: of a tensor of maps [example, channel, row, col], the highest number of each group of two by two, again as a tensor. The numbers of rows and columns are even.
# Do it without PyTorch's own pooling.

# %% [markdown] tags=["hint"]
# `maps[:, :, 0::2, 0::2]` is the upper left number of each group. There are four such corners. `torch.maximum` takes two tensors; `torch.stack(…).amax(0)` any number.


# %% tags=["stub"]
def pool(maps):
    raise NotImplementedError("return maps of half the height and width")


# %% tags=["solution"]
def pool(maps):
    corners = [maps[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)]
    return torch.stack(corners).amax(0)


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    import contextlib
    from unittest import mock

    from torch.utils._python_dispatch import TorchDispatchMode

    class NoPooling(TorchDispatchMode):
        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            assert "pool" not in str(op), f"this uses PyTorch's own pooling ({op}): build it yourself"
            return op(*args, **(kwargs or {}))

    def unseen(*given):
        raise AssertionError(
            "this starts a thread or leaves PyTorch's modes, so the check can't see its work: do without"
        )

    for shape, middle in (((1, 1, 2, 4), 0), ((3, 2, 6, 4), 0), ((2, 5, 4, 8), -1e200), ((4, 3, 10, 10), 9)):
        maps = torch.tensor(rng.normal(middle, 2 + abs(middle) / 5, shape))  # float64
        maps = maps.float() if middle == 0 else maps
        with NoPooling(), contextlib.ExitStack() as patches, lessons.unchanged(maps=maps):
            for hidden in (
                "threading.Thread.start",
                "_thread.start_new_thread",
                "torch.utils._python_dispatch._pop_mode",
            ):
                patches.enter_context(mock.patch(hidden, unseen))
            found = pool(maps)
        assert torch.is_tensor(found), f"a tensor should come back, and a {type(found).__name__} came"
        half = (*shape[:2], shape[2] // 2, shape[3] // 2)
        assert tuple(found.shape) == half, f"maps of shape {shape} become {half}, not {tuple(found.shape)}"
        for place in np.ndindex(*half):
            example, channel, r, c = place
            group = maps[example, channel, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].flatten().tolist()
            assert float(found[place]) == max(group), (
                f"the group {', '.join(f'{one:.7g}' for one in group)} became {float(found[place]):.7g} ({maps.dtype})"
            )
    ours = pool(cache["layers.0.hook_post"])
    assert torch.allclose(ours, cache["layers.0.hook_pool"]), "it differs from the network's own pooling"


# %% tags=["right"]
def pool(maps):
    n, channels, h, w = maps.shape
    return maps.reshape(n, channels, h // 2, 2, w // 2, 2).amax((3, 5))


# %% tags=["right"]
def pool(maps):  # numpy
    values = maps.detach().numpy()
    rows = np.maximum(values[:, :, ::2], values[:, :, 1::2])
    return torch.from_numpy(np.maximum(rows[..., ::2], rows[..., 1::2]))


# %% tags=["right"]
def pool(maps):
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4).max(-1).values


# %% tags=["wrong"]
def pool(maps):  # PyTorch's own
    return torch.nn.functional.max_pool2d(maps, 2)


# %% tags=["wrong"]
def pool(maps):  # PyTorch's own, as a module
    return torch.nn.MaxPool2d(2)(maps)


# %% tags=["wrong"]
def pool(maps):  # the mean
    corners = [maps[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)]
    return torch.stack(corners).mean(0)


# %% tags=["wrong"]
def pool(maps):  # the lowest
    corners = [maps[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)]
    return torch.stack(corners).amin(0)


# %% tags=["wrong"]
def pool(maps):  # the upper left corner
    return maps[:, :, ::2, ::2]


# %% tags=["wrong"]
def pool(maps):  # two corners of four
    return torch.maximum(maps[:, :, ::2, ::2], maps[:, :, 1::2, 1::2])


# %% tags=["wrong"]
def pool(maps):  # never below 0
    corners = [maps[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)]
    return torch.stack(corners).amax(0).relu()


# %% tags=["wrong"]
def pool(maps):  # the largest in magnitude
    corners = torch.stack([maps[:, :, r::2, c::2] for r in (0, 1) for c in (0, 1)])
    return corners.abs().amax(0)


# %% tags=["wrong"]
def pool(maps):  # every group of two by two, also those that overlap
    corners = [maps[:, :, r : maps.shape[2] - 1 + r, c : maps.shape[3] - 1 + c] for r in (0, 1) for c in (0, 1)]
    return torch.stack(corners).amax(0)


# %% tags=["wrong"]
def pool(maps):  # the four quarters of the map in place of neighbors
    h, w = maps.shape[2] // 2, maps.shape[3] // 2
    quarters = [maps[:, :, r : r + h, c : c + w] for r in (0, h) for c in (0, w)]
    return torch.stack(quarters).amax(0)


# %% [markdown]
# ## 3. A digit that has moved
#
# Equivariance sounds as if a CNN should not care where a digit is. But MNIST's digits are all centered, so neither network has ever seen a moved one. Let's move test images by 1 to 4
# pixels, in eight directions.
#
# **What is the CNN's accuracy on images moved by 4 pixels?** (By 2, if your images are the small ones of 8 × 8.)

# %%
mine = 0.9  # your guess
lesson.guess("moved", mine)

# %% tags=["varies"]
part = test.balanced(lesson.pick(1000, 200), seed=1)
pixels, labels = part.tensor(), part.label_tensor()
most = 4 if rows > 8 else 2
directions = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if (d, r) != (0, 0)]


def accuracy_moved(model, by):
    """The share of the eight directions in which an image, moved by so many pixels, is classified correctly: [example]."""
    with torch.no_grad():
        correct = [model(shifted(pixels, by * d, by * r)).argmax(1) == labels for d, r in directions]
    return torch.stack(correct).float().mean(0).numpy()


steps = list(range(most + 1))
kinds = {
    "MLP": [mlp, *(others[f"MLP, seed {seed}"].model() for seed in (1, 2))],
    "CNN": [cnn, others["CNN, seed 1"].model()],
}
scores = {
    kind: np.array([[accuracy_moved(model, by) for by in steps] for model in models]) for kind, models in kinds.items()
}
if lesson.reveal("moved", round(float(scores["CNN"][0, most].mean()), 2)):
    for by in steps:
        gain = scores["CNN"][0, by] - scores["MLP"][0, by]
        low, high = nm.statistics.bootstrap_mean(gain)
        print(
            f"moved by {by}: MLP {scores['MLP'][0, by].mean():.1%}, CNN {scores['CNN'][0, by].mean():.1%}; "
            f"CNN minus MLP {100 * gain.mean():+.1f} points, 95% interval {100 * low:+.1f} to {100 * high:+.1f} (n = {len(gain):,})"
        )
    display(
        nm.plots.lines(
            {kind: (steps, 100 * found.mean(2)) for kind, found in scores.items()},
            x="moved by (pixels, in each of eight directions)",
            y="accuracy (%)",
            title="A digit that has moved",
            marks={"chance": 10},
        )
    )
    lost, ahead = 100 * (scores["CNN"][0, 0] - scores["CNN"][0, most]).mean(), low > 0
    lesson.say(f"""At the largest distance the CNN is {"still ahead of" if ahead else "not shown to be ahead of"} the MLP, and it has lost {lost:.0f} points itself.
    {"So convolution gave it *an advantage, not immunity*." if ahead and lost > 5 else "So here convolution is not shown to help much."}""")
assert not lesson.full or scores["CNN"][0, 2].mean() - scores["MLP"][0, 2].mean() > 0.1
assert not lesson.full or scores["CNN"][0, most].mean() < 0.8

# %% [markdown]
# *What to look at:* black is the mean of each kind, gray each network (three MLPs, two CNNs), and below them is the chance level. The CNN holds out a pixel or two longer, and then its
# accuracy falls as well.

# %% [markdown]
# Why not more? Let's see where the movement ends up. How far do a layer's activations move when the image moves by one pixel? Again we measure it in distances between two different
# images: 0 would be invariance; at 1 the moved image might as well be another one.

# %% tags=["varies"]
points = {
    "MLP": ["input", "layers.0.hook_post", "layers.1.hook_post"],
    "CNN": ["input", "layers.0.hook_pool", "layers.1.hook_pool", "layers.2.hook_post"],
}
fresh = {"MLP": run_mlp.model(step=0), "CNN": run_cnn.model(step=0)}


def unsteady(model, names, by=1):
    """Mean distance of an image's activations to those of its moved self, over that to the next image's; for each layer."""
    with torch.no_grad():
        _, here = model.run_with_cache(x, names_filter=names)
        result = np.zeros(len(names))
        for d, r in directions:
            _, there = model.run_with_cache(shifted(x, by * d, by * r), names_filter=names)
            for i, name in enumerate(names):
                a, b = here[name].flatten(1), there[name].flatten(1)
                other = a.roll(1, 0)  # the image before, as another image
                result[i] += float((a - b).norm(dim=1).mean() / (a - other).norm(dim=1).mean())
    return result / len(directions)


moves = {kind: unsteady(model, points[kind]) for kind, model in {"MLP": mlp, "CNN": cnn}.items()}
moves_fresh = {kind: unsteady(model, points[kind]) for kind, model in fresh.items()}
for kind, names in points.items():
    for name, trained, untrained in zip(names, moves[kind], moves_fresh[kind], strict=True):
        print(f"{kind}  {name:<20} trained {trained:.2f}   untrained {untrained:.2f}")
parts = -np.diff(moves["CNN"]) / (moves["CNN"][0] - moves["CNN"][-1])
lesson.say(f"""A step of one pixel takes the image itself {moves["CNN"][0]:.2f} of the way to another image. In the CNN's last hidden layer it is {moves["CNN"][-1]:.2f}. Of this
decrease the first convolution with its pooling does {parts[0]:.0%}, the second {parts[1]:.0%}, and the dense layer {parts[2]:.0%}:
{"the dense layer does most" if parts.argmax() == 2 else "the dense layer does not do most"}.""")
assert not lesson.full or (moves_fresh["CNN"][1:] > 0.6 * moves["CNN"][0]).all()
assert not lesson.full or moves["CNN"][2] > 1.2 * moves["CNN"][3]

# %% [markdown]
# Look at the right column first. *Untrained*, neither network is much steadier than the pixels are: sharing weights and pooling alone bring little.
#
# Then at the *trained* CNN. Its maps still move with the image, as equivariance says. The dense layer has a weight for each place of the maps: from there on the CNN is an MLP of maps. It
# would have to learn for each place that a digit is the same digit, and it saw digits only in the middle.
#
# ### Exercise 3: the direction that hurts
# *Difficulty ●●●○ · 15 minutes*
#
# The figure averages over eight directions. Write `by_direction(model, x, labels, by)`: the accuracy for each direction in `directions`, in their order, as a list or an array, when all
# images are moved by `by` pixels. A diagonal moves by that many in both axes, and what leaves the image is gone. You may use `shifted`. Leave the model as it was.

# %% [markdown] tags=["hint"]
# For each `(d, r)` in `directions`: move by `by * d` down and `by * r` to the right, take the highest logit of each image, compare with the labels. No gradients are needed.


# %% tags=["stub"]
def by_direction(model, x, labels, by):
    raise NotImplementedError("return a list with one accuracy for each direction")


# %% tags=["solution"]
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        with torch.no_grad():
            predicted = model(shifted(x, by * d, by * r)).argmax(1)
        found.append(float((predicted == labels).float().mean()))
    return found


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    side = 9
    where = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(side**2, side**2))  # predicts a dot's place
    with torch.no_grad():
        where[1].weight.copy_(torch.eye(side**2))
        where[1].bias.copy_(torch.linspace(0.1, 0, side**2))  # no two logits are equal; without a dot, place 0 leads
    for by, n in ((1, 24), (2, 30), (3, 257), (0, 9), (1, 40)):
        where.train(n == 30)
        dots, places, wanted = torch.zeros(n, 1, side, side), [], np.zeros((n, len(directions)))
        for i in range(n):
            r, c = (int(one) for one in rng.integers(0, side, 2))
            dots[i, 0, r, c] = 1
            d, e = directions[int(rng.integers(len(directions)))]
            places.append(
                (r + by * d) % side * side + (c + by * e) % side
            )  # of a dot that leaves: where it would return
            for k, (down, across) in enumerate(directions):
                row, col = r + by * down, c + by * across
                gone = not (0 <= row < side and 0 <= col < side)
                wanted[i, k] = places[i] == (0 if gone else row * side + col)
        order, planted = [*directions], torch.tensor(places)
        try:
            with lessons.unchanged(where, x=dots, labels=planted, directions=directions):
                found = by_direction(where, dots, planted, by=by)
        finally:
            directions[:] = order
        assert np.shape(found) == (len(directions),), (
            f"there are {len(directions)} directions, so as many accuracies should come back, not {found}"
        )
        found, wanted = [float(one) for one in found], wanted.mean(0)
        k = int(np.abs(np.array(found) - wanted).argmax())
        assert abs(found[k] - wanted[k]) < 1e-4, (
            f"{n} planted dots moved by {by}: for direction {directions[k]} (down, right) the accuracy is {wanted[k]:.3f}, and "
            f"{found[k]:.3f} came: check sign, axes, order, `by`, and what happens at the border"
        )
    mean = float(np.mean([float(one) for one in by_direction(mlp, pixels, labels, 1)]))
    assert abs(mean - scores["MLP"][0, 1].mean()) < 1e-4, (
        "the mean over the directions differs from the figure's value at 1"
    )


# %% tags=["right"]
def by_direction(model, x, labels, by):  # numpy
    found = []
    for d, r in directions:
        moved = np.zeros_like(x.numpy())
        h, w = x.shape[2:]
        for row in range(h):
            for col in range(w):
                if 0 <= row + by * d < h and 0 <= col + by * r < w:
                    moved[:, :, row + by * d, col + by * r] = x.numpy()[:, :, row, col]
        predicted = model(torch.from_numpy(moved)).detach().numpy().argmax(1)
        found.append(np.mean(predicted == labels.numpy()))
    return np.array(found)


# %% tags=["right"]
def by_direction(model, x, labels, by):  # one forward pass for all
    with torch.no_grad():
        logits = model(torch.cat([shifted(x, by * d, by * r) for d, r in directions]))
    correct = logits.argmax(1).reshape(len(directions), -1) == labels
    return correct.double().mean(1)


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # up in place of down
    return [float((model(shifted(x, -by * d, -by * r)).argmax(1) == labels).float().mean()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # rows and columns exchanged
    return [float((model(shifted(x, by * r, by * d)).argmax(1) == labels).float().mean()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # always by one pixel
    return [float((model(shifted(x, d, r)).argmax(1) == labels).float().mean()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # what leaves at one side returns at the other
    moved = [x.roll((by * d, by * r), (2, 3)) for d, r in directions]
    return [float((model(one).argmax(1) == labels).float().mean()) for one in moved]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # the error
    return [float((model(shifted(x, by * d, by * r)).argmax(1) != labels).float().mean()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # the mean over the directions
    return float(
        np.mean([float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions])
    )


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # each move starts where the last one ended
    found = []
    for d, r in directions:
        x = shifted(x, by * d, by * r)
        found.append(float((model(x).argmax(1) == labels).float().mean()))
    return found


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # the prediction without a move in place of the label
    before = model(x).argmax(1)
    return [float((model(shifted(x, by * d, by * r)).argmax(1) == before).float().mean()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # a count
    return [int((model(shifted(x, by * d, by * r)).argmax(1) == labels).sum()) for d, r in directions]


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # sorted
    found = [float((model(shifted(x, by * d, by * r)).argmax(1) == labels).float().mean()) for d, r in directions]
    return sorted(found)


# %% tags=["wrong"]
def by_direction(model, x, labels, by):  # diagonals are shortened
    found = []
    for d, r in directions:
        step = by if 0 in (d, r) else round(by / 2**0.5)
        found.append(float((model(shifted(x, step * d, step * r)).argmax(1) == labels).float().mean()))
    return found


# %% [markdown]
# ## 4. What does a unit prefer, and does it matter?
#
# A unit of the MLP is one number; a *channel* of the CNN is a whole map, and for its preference we take the map's mean. *Class selectivity* is how much more a unit responds to its
# preferred class than to the others. The class is chosen on one half of the images and judged on the other. To *ablate* is to set the unit, or the whole map, to 0; the *loss increase*
# says how much that hurts.
#
# **Is selectivity a sign of importance? Guess the rank correlation of selectivity and loss increase over the 32 channels of the second layer** (1: the most selective are the most
# important; 0: no relation; −1: the reverse).

# %%
mine = 0.6  # your guess
lesson.guess("rank", mine)

# %% tags=["varies"]
probe = run_mlp.probe
assert np.array_equal(probe.images, run_cnn.probe.images)  # both runs recorded the same images
last = {"MLP": (run_mlp, mlp, "layers.1.hook_post"), "CNN": (run_cnn, cnn, "layers.1.hook_post")}
tables, untrained_tables, effects = {}, {}, {}
for kind, (run, model, name) in last.items():
    acts = run.activations(name)  # [snapshot, example, unit or channel]
    tables[kind] = nm.analysis.selectivity.class_selectivity(acts)
    untrained_tables[kind] = nm.analysis.selectivity.class_selectivity(acts.isel(snapshot=0))
    effects[kind] = nm.analysis.causal.ablate_all(model, probe, name)

# By hand, for the channel with the largest loss increase: set its map to 0, and look at the loss.
top_channel = int(effects["CNN"]["loss_increase"].values.argmax())
with torch.no_grad():
    before = torch.nn.functional.cross_entropy(cnn(probe.tensor()), probe.label_tensor())
    without = (torch.arange(32) != top_channel)[:, None, None]
    with cnn.hooks([("layers.1.hook_post", lambda tensor, hook: tensor * without)]):
        after = torch.nn.functional.cross_entropy(cnn(probe.tensor()), probe.label_tensor())
assert abs(float(after - before) - float(effects["CNN"]["loss_increase"][top_channel])) < 1e-4

ranks = {
    kind: nm.statistics.spearman(tables[kind]["selectivity"].values, effects[kind]["loss_increase"].values)
    for kind in last
}
if lesson.reveal("rank", round(ranks["CNN"][0], 2)):
    for kind, (rho, low, high) in ranks.items():
        shown = (
            "excludes 0, in this one network" if nm.statistics.excludes(low, high) else "holds 0: not shown either way"
        )
        print(f"{kind}: rank correlation {rho:+.2f}; the 95% interval over units, {low:+.2f} to {high:+.2f}, {shown}")
    clear = [kind for kind, (_, low, high) in ranks.items() if nm.statistics.excludes(low, high)]
    where = f"in the {' and the '.join(clear)}" if clear else "in neither network"
    lesson.say(f"A relation of selectivity and importance is shown {where}.")
    display(nm.plots.selectivity(tables["CNN"], effects["CNN"], untrained_tables["CNN"]))
    display(nm.plots.selectivity(tables["MLP"], effects["MLP"], untrained_tables["MLP"]))

# %% [markdown]
# *What to look at, CNN above, MLP below:* from left to right, selectivity. The digits to the right of the gray band are units that prefer a class beyond shuffled labels. But some gray
# ticks, the units of the *untrained* networks, lie there too. So preferring a class is no sign of learning by itself; the medians say how far the units as a whole have moved. Look also at
# which digit is preferred:

# %% tags=["varies"]
ink = probe.images.reshape(len(probe), -1).mean(1)
inkiest = int(np.argmax([ink[probe.labels == digit].mean() for digit in np.unique(probe.labels)]))
for kind, table in tables.items():
    axis = table["selectivity"].dims[0]
    prefer, before = (int((some["preferred"] == inkiest).sum()) for some in (table, untrained_tables[kind]))
    medians = [float(some["selectivity"].median()) for some in (table, untrained_tables[kind])]
    assert not lesson.full or medians[0] > medians[1]
    print(
        f"{kind}: {prefer} of {table.sizes[axis]} {axis}s prefer the {inkiest}, the digit with the most ink (untrained {before}); "
        f"median selectivity {medians[0]:.2f}, untrained {medians[1]:.2f}: training {'raised' if medians[0] > medians[1] else 'did not raise'} it"
    )

# %% [markdown]
# A map's mean grows with the ink in the image, and the digits differ in ink. So a channel that "prefers" the digit with the most ink may only measure ink.
#
# That is due to a choice of *ours*. We took the mean of a map to get one number, and so threw away where things are, which is what the map was for. So compare each network's
# selectivity with its own untrained network, and not with the other's.
#
# Now importance. Ablating a channel moves each image's activations by some distance. Would a move of that distance in *any* direction hurt as much? That is the null:

# %% tags=["varies"]
nm.plots.ablation(effects["CNN"])

# %% [markdown]
# *What to look at:* the channels, sorted by their loss increase. Gray is the null, random mixes of the channels that move each image just as far. For a point inside the gray, it is
# not shown that the channel matters more than such a mix. To count those outside, we correct for the many channels: with a *false-discovery rate* of 5%, of those that are reported one
# in twenty is expected to be false.

# %% tags=["varies"]
for kind in last:
    table, effect, axis = tables[kind], effects[kind], tables[kind]["selectivity"].dims[0]
    prefer, beyond = (
        int(nm.statistics.shown(table["selectivity_q"]).sum()),
        int(nm.statistics.shown(effect["loss_increase_q"]).sum()),
    )
    first = int(effect["accuracy_drop"].values.argmax())
    drop, low, high = (100 * float(effect[f"accuracy_drop{end}"][first]) for end in ("", "_low", "_high"))
    lesson.say(f"""**{kind}** ({effect.attrs["hook_point"]}, n = {effect.attrs["n_examples"]:,} images): {prefer} of {table.sizes[axis]} {axis}s prefer a digit beyond shuffled labels.
    Shown to raise the loss more than a random direction when ablated: {beyond or "none"}. Accuracy falls by at most {drop:.1f} points (95% interval {low:.1f} to {high:.1f};
    the largest of many, so probably too high). The null: {effect.attrs["null"]}.""")

# %% [markdown]
# Two cautions. After a ReLU no activation is below 0, but a random direction also leads there, to values that the network never sees; [04](04_Causal_Interventions.ipynb) compares this
# control with one that stays above 0. And one of 32 maps is a larger part of a layer than one of 64 units. So compare each network with its own null, and not the two with each other.
#
# ## 5. Where does the CNN look? Grad-CAM by hand
#
# A map says *where*, and *Grad-CAM* uses that. Weight each map by how much the logit would rise with it (its gradient, averaged over places), sum the maps, and keep what is above 0.
# Four lines, and then the library's one:

# %% tags=["varies"]
ten = probe.subset([int(np.flatnonzero(probe.labels == digit)[0]) for digit in np.unique(probe.labels)])
name = "layers.1.hook_post"


def of_true_class(logits):
    return logits.gather(1, ten.label_tensor()[:, None]).sum()


_, seen = cnn.run_with_cache(ten.tensor(), names_filter=name, incl_bwd=True, loss=of_true_class)
maps, slopes = seen[name], seen[f"{name}_grad"]  # [example, channel, row, col]
weight = slopes.mean((2, 3), keepdim=True)
heat = (weight * maps).sum(1).relu()

attribution = nm.analysis.attribution
library = attribution.grad_cam(cnn, ten, name, upsample=False)
assert np.allclose(heat.numpy(), library["attribution"].values, atol=1e-5)
print(f"by hand and by library: maps of {tuple(heat.shape[1:])} places, equal")

# %% [markdown]
# A picture of where a network looks convinces easily. So below it we draw at once what a CNN with random weights gives:

# %% tags=["varies"]
from functools import partial

method = partial(attribution.grad_cam, hook_point=name)


def one_size(maps):
    """Each map over its own highest place, so that faint ones are seen."""
    return maps / maps.max(("row", "col")).clip(1e-12)


looks, looks_fresh = (one_size(method(network, ten)["attribution"]) for network in (cnn, fresh["CNN"]))
nm.plots.attributions(ten.images, {"Grad-CAM": looks}, {"Grad-CAM": looks_fresh})

# %% [markdown]
# *What to look at:* above, where the trained CNN looks; below, where one "looks" that has learned nothing. Each map is scaled to its own highest place, so a faint one looks as strong
# as any; a blank one is 0 everywhere. You may find the upper row sharper. But random networks differ among themselves as well, so two rows decide nothing. Two tests follow.

# %% tags=["varies"]
sanity = attribution.sanity_check(method, cnn, ten, draws=lesson.pick(39, 9))
nm.plots.sanity({"Grad-CAM": sanity})

# %% [markdown]
# *What to look at:* from left to right we replace more of the weights by random ones, from the last layer down. Does the map change? The dotted line at 1 is what a method would give
# that ignores the weights, such as an edge detector: its map never changes. The gray band is where wholly random networks end up.

# %% tags=["varies"]
against = attribution.against_untrained(method, cnn, ten, draws=lesson.pick(39, 19))
outside, p = float(against["mean_outside"]), float(against["mean_outside_p"])
floor = 1 / (against.sizes["draw"] + 1)
lesson.say(f"""First test: with wholly random weights the maps still have a rank correlation of {float(sanity["similarity"][-1]):.2f} with the trained ones; the image itself has
{float(sanity["like_image"]):.2f}.""")
lesson.say(f"""Second test: {against.sizes["draw"]} random CNNs give a range for each pixel, and {outside:.0%} of the trained map's pixels lie outside it. If we hold one random CNN against the
others, it is up to {float(against["mean_outside_null_high"]):.0%} (p {"≤" if p <= floor + 1e-9 else "="} {p:.3f}, {against.sizes["draw"]} draws, n = {len(ten)} images).
{"So it is shown that these maps depend on the training." if nm.statistics.shown(p) else "So it is not shown that these maps differ from those of untrained networks."}""")

# %% [markdown]
# Had the map differed from those of random networks, it would tell us something about the training. Whether it is *right* is another question: then we would have to cover the spots and
# see whether the prediction changes. We don't do that here.
#
# ## 6. Do the two networks represent images alike?
#
# Unit 5 of one network has nothing to do with unit 5 of the other. But we can ask whether two layers find the *same pairs of images* similar. *Centered kernel alignment* (*CKA*) does
# that: take the table of all dot products between images in one layer, the same in the other, and correlate the two tables. 1 means the same table up to a factor. By hand:

# %% tags=["varies"]
a = run_mlp.activations("layers.1.hook_post").isel(snapshot=-1)
b = run_cnn.activations("layers.2.hook_post").isel(snapshot=-1)


def cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)  # each unit's mean over the images taken away
    one, other = x @ x.T, y @ y.T  # image by image
    return (one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum())


similarity = nm.analysis.similarity
plain = cka(a.values.astype(float), b.values.astype(float))
assert abs(plain - float(similarity.cka(a, b, debiased=False, draws=5)["cka"])) < 1e-6
print("by hand and by the library: the same plain CKA")

# %% [markdown]
# The plain form has a trap: with few images and many units, unrelated layers look alike. Random numbers show it.

# %% tags=["varies"]
import xarray as xr

noise = np.random.default_rng(0)
for n in (20, 100, 1000):
    one, other = (xr.DataArray(noise.normal(size=(n, 64)), dims=("example", "unit")) for _ in range(2))
    biased, unbiased = (float(similarity.cka(one, other, debiased=way, draws=5)["cka"]) for way in (False, True))
    print(f"{n:>5} images, 64 units of pure noise on each side: plain {biased:.2f}, debiased {unbiased:+.2f}")

# %% [markdown]
# So from here on we use the debiased one (you write it in exercise 4). And we compare with two untrained networks, and with two MLPs of different seeds, which should be as similar as
# two networks can be.
#
# **What is the CKA of the last hidden layers of the MLP and the CNN, from 0 (unrelated) to 1?**

# %%
mine = 0.3  # your guess
lesson.guess("cka", mine)

# %% tags=["varies"]
named = {
    "MLP": {"dense 0": "layers.0.hook_post", "dense 1": "layers.1.hook_post"},
    "CNN": {"conv 0": "layers.0.hook_pool", "conv 1": "layers.1.hook_pool", "dense 2": "layers.2.hook_post"},
}
final = {"MLP": "dense 1", "CNN": "dense 2"}  # the last hidden layer of each


def layers_of(model, kind):
    """The layers' activations for the probe images; maps whole, flattened."""
    found = nm.activations(model, probe.subset(slice(0, lesson.pick(500, 200))), list(named[kind].values()))
    return {label: found[name] for label, name in named[kind].items()}


def likeness(one, kind, other, other_kind):
    sides = layers_of(one, kind)[final[kind]], layers_of(other, other_kind)[final[other_kind]]
    found = similarity.cka(*sides, draws=50)
    return float(found["cka"]), float(found["cka_low"]), float(found["cka_high"])


draws = lesson.pick(20, 5)
trained = similarity.matrix(layers_of(mlp, "MLP"), layers_of(cnn, "CNN"), draws=draws)
twin, third = others["MLP, seed 1"].model(), others["MLP, seed 2"].model()
values = {
    "MLP and CNN": likeness(mlp, "MLP", cnn, "CNN"),
    "MLP of seed 1 and CNN": likeness(twin, "MLP", cnn, "CNN"),
    "MLP of seed 2 and CNN": likeness(third, "MLP", cnn, "CNN"),
    "MLP and CNN, both untrained": likeness(fresh["MLP"], "MLP", fresh["CNN"], "CNN"),
    "MLP and MLP of seed 1": likeness(mlp, "MLP", twin, "MLP"),
    "MLP and MLP of seed 2": likeness(mlp, "MLP", third, "MLP"),
}
both, none, same = (
    values[words][0] for words in ("MLP and CNN", "MLP and CNN, both untrained", "MLP and MLP of seed 1")
)
if lesson.reveal("cka", round(both, 2)):
    display(nm.plots.similarity_matrix(trained[["cka", "cka_null_high"]], rows="MLP", columns="CNN"))
    for words, (value, low, high) in values.items():
        print(f"{words:<28} CKA {value:.2f}, 95% interval over images {low:.2f} to {high:.2f}")
    lesson.say(f"""Untrained, the two already have a CKA of {none:.2f}: they see the same images. Training {"raises" if both > none else "does not raise"} it: to {both:.2f}. Two MLPs of
    different seeds reach {same:.2f}. {"So the MLP and the CNN are less alike than two MLPs." if same > both else "So it is not shown that the MLP and the CNN are less alike than two MLPs."}""")
assert not lesson.full or (none + 0.1 < both and both + 0.03 < same)

# %% [markdown]
# *What to look at:* the large numbers are the CKA of each pair of layers, the small ones a bound for shuffled images. That is a weak null: to exceed it, both networks only have to see
# the same pictures. The comparisons in the list are harder.
#
# In one respect, last hidden layers have to be alike. Both must separate the ten digits. If both put the images of one digit close together, their tables of dot products look alike,
# however they got there.
#
# ### Exercise 4: a CKA that is not fooled by noise
# *Difficulty ●●●● · 20 minutes*
#
# The plain sum counts each image with itself, and that diagonal is large even in noise. Song et al. (2012) leave it out and correct the rest. Write `debiased(x, y)` for float64
# arrays [example, unit], and compute in float64 too: with K = x xᵀ and L = y yᵀ, both with their diagonals set to 0, and n images, h(K, L) is
#
# ```
#            Σᵢⱼ Kᵢⱼ Lᵢⱼ  +  Σᵢⱼ Kᵢⱼ · Σᵢⱼ Lᵢⱼ / ((n − 1)(n − 2))  −  2 / (n − 2) · Σᵢ (Σⱼ Kᵢⱼ)(Σⱼ Lᵢⱼ)
# h(K, L) = ─────────────────────────────────────────────────────────────────────────────────────────────
#                                              n (n − 3)
# ```
#
# and the result is h(K, L) / √(h(K, K) · h(L, L)).

# %% [markdown] tags=["hint"]
# `np.fill_diagonal(table, 0)` changes the table in place. Write h as an inner function of two tables a and b, from `(a * b).sum()`, `a.sum()`, `a.sum(1)`. You need no centering: the
# two corrections do it.


# %% tags=["stub"]
def debiased(x, y):
    raise NotImplementedError("return one number, about 0 for noise and 1 for the same layer")


# %% tags=["solution"]
def debiased(x, y):
    n = len(x)
    tables = []
    for side in (x, y):
        table = side @ side.T
        np.fill_diagonal(table, 0)
        tables.append(table)

    def h(a, b):
        corrected = a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) @ b.sum(1))
        return ((a * b).sum() + corrected) / (n * (n - 3))

    one, other = tables
    return h(one, other) / np.sqrt(h(one, one) * h(other, other))


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    for n, width, width_y, shared in ((30, 50, 50, 0), (12, 20, 7, 0), (40, 6, 9, 1), (25, 30, 12, 2), (25, 30, 12, 2)):
        common = rng.normal(size=(n, 2))
        x, y = (rng.normal(size=(n, w)) + 0.5 + shared * common @ rng.normal(size=(2, w)) for w in (width, width_y))
        with lessons.unchanged(x=x, y=y):
            found = debiased(x, y)
        assert found is not None and np.ndim(found) == 0, f"one number should come back, not {found}"
        assert abs(found - cka(x, y)) > 1e-6, (
            "this is the plain CKA: is the diagonal set to 0, and are the two corrections added"
        )
        wanted = float(
            similarity.cka(*(xr.DataArray(side, dims=("example", "unit")) for side in (x, y)), draws=5)["cka"]
        )
        assert abs(found - wanted) < 1e-9, (
            f"{n} images, {width} and {width_y} units{', pure noise' if not shared else ''}: {found:.4g} came, {found - wanted:+.1g} from what the formula gives in float64; "
            "compare term by term"
        )
        turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
        assert abs(debiased(x, 1e-4 * x @ turn) - 1) < 1e-9, (
            "a layer and the same layer, rotated and scaled, should give 1"
        )
        apart = abs(debiased(x + 5, y) - found)
        assert apart < 1e-9, (
            f"adding 5 to every unit changes the result by {apart:.1e}: check the corrections, and that you compute in float64"
        )


# %% tags=["right"]
def debiased(x, y):  # tables centered so that the mean over pairs of different images is 0
    def centered(side):
        n, table = len(side), side @ side.T
        table = table - np.diag(np.diag(table))
        rows, total = table.sum(0) / (n - 2), table.sum() / ((n - 1) * (n - 2))
        table = table - rows - rows[:, None] + total
        return table - np.diag(np.diag(table))

    one, other = centered(x), centered(y)
    return (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())


# %% tags=["right"]
def debiased(x, y):  # torch
    n = len(x)
    K, L = (torch.from_numpy(side).double() @ torch.from_numpy(side).double().T for side in (x, y))
    K, L = (table - torch.diag(torch.diag(table)) for table in (K, L))

    def h(a, b):
        total = torch.einsum("ij,ij->", a, b) + a.sum() * b.sum() / (n - 1) / (n - 2)
        return total - 2 * torch.dot(a.sum(0), b.sum(0)) / (n - 2)

    return (h(K, L) / (h(K, K) * h(L, L)).sqrt()).item()


# %% tags=["wrong"]
def debiased(x, y):  # the plain CKA
    return cka(x, y)


# %% tags=["wrong"]
def debiased(x, y):  # centers, and leaves the diagonal out without the corrections
    def table(side):
        side = side - side.mean(0)
        found = side @ side.T
        np.fill_diagonal(found, 0)
        return found

    one, other = table(x), table(y)
    return (one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum())


# %% tags=["wrong"]
def debiased(x, y):  # the diagonal stays
    n, K, L = len(x), x @ x.T, y @ y.T

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) @ b.sum(1))

    return h(K, L) / np.sqrt(h(K, K) * h(L, L))


# %% tags=["wrong"]
def debiased(x, y):  # the factor 2 is missing
    n = len(x)
    K, L = (side @ side.T * (1 - np.eye(n)) for side in (x, y))

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 1 / (n - 2) * (a.sum(1) @ b.sum(1))

    return h(K, L) / np.sqrt(np.abs(h(K, K) * h(L, L)))


# %% tags=["wrong"]
def debiased(x, y):  # n in place of n − 1 and n − 2
    n = len(x)
    K, L = (side @ side.T * (1 - np.eye(n)) for side in (x, y))

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / n**2 - 2 / n * (a.sum(1) @ b.sum(1))

    return h(K, L) / np.sqrt(np.abs(h(K, K) * h(L, L)))


# %% tags=["wrong"]
def debiased(x, y):  # not scaled
    n = len(x)
    K, L = (side @ side.T * (1 - np.eye(n)) for side in (x, y))
    total = (K * L).sum() + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (K.sum(1) @ L.sum(1))
    return total / (n * (n - 3))


# %% tags=["wrong"]
def debiased(x, y):  # without the root
    n = len(x)
    K, L = (side @ side.T * (1 - np.eye(n)) for side in (x, y))

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) @ b.sum(1))

    return h(K, L) / (h(K, K) * h(L, L))


# %% tags=["wrong"]
def debiased(x, y):  # unrelated means nothing: always 0 for noise
    return 0.0


# %% tags=["wrong"]
def debiased(x, y):  # the magnitude
    n = len(x)
    K, L = (side @ side.T * (1 - np.eye(n)) for side in (x, y))

    def h(a, b):
        return (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (a.sum(1) @ b.sum(1))

    return abs(h(K, L)) / np.sqrt(h(K, K) * h(L, L)) + 0.001


# %% [markdown]
# ## 7. Where do both err?
#
# If the two networks classify images by different means, they should fail on different images. If hard images are hard for everybody, their errors coincide.
#
# **Of the images that the CNN misclassifies, what share does the MLP misclassify too?**

# %%
mine = 0.3  # your guess
lesson.guess("errors", mine)

# %% tags=["varies"]
wrong = {kind: ~found for kind, found in right.items()}
wrong["MLP, seed 1"] = nm.evaluate(others["MLP, seed 1"].model(), test).predictions.numpy() != test.labels
rng = np.random.default_rng(0)


def in_common(one, other, draws=500):
    """(images that both misclassify, the same after the errors of one are shuffled among the images of each digit)"""
    null = np.zeros(draws)
    for digit in np.unique(test.labels):
        of_digit = test.labels == digit
        null += [(one[of_digit] & rng.permutation(other[of_digit])).sum() for _ in range(draws)]
    return int((one & other).sum()), np.percentile(null, [2.5, 97.5])


n, (low, high) = in_common(wrong["CNN"], wrong["MLP"])
twins_share = int((wrong["MLP, seed 1"] & wrong["MLP"]).sum()) / max(1, int(wrong["MLP, seed 1"].sum()))
share = n / max(1, int(wrong["CNN"].sum()))
if lesson.reveal("errors", round(share, 2)):
    print(
        f"CNN misclassifies {wrong['CNN'].sum()}, MLP {wrong['MLP'].sum()}, both {n}; errors shuffled within each digit: {low:.0f} to {high:.0f}"
    )
    lesson.say(f"""{"They err together more often than such shuffles do" if n > high else "It is not shown that they err together more often than such shuffles do"}. Our MLP misclassifies
    {share:.2f} of what the CNN does, and {twins_share:.2f} of what another MLP does.
    {"It shares less with the CNN, and only that difference can be due to the architecture." if share < twins_share else "So no difference due to the architecture is shown."}""")
assert not lesson.full or n > high

# %% [markdown]
# The null already takes into account that some digits are harder than others: errors are shuffled within each digit. What the networks share beyond it comes from single images. And part
# of what the CNN shares less may be due to its making fewer errors.

# %% [markdown]
# Here are images that both misclassify, with Grad-CAM for the true class and for the predicted one:

# %% tags=["varies", "card"]
hard = test.subset(np.flatnonzero(wrong["CNN"] & wrong["MLP"])[:8]) if n else ten
predicted = {kind: nm.evaluate(model, hard).predictions for kind, model in {"MLP": mlp, "CNN": cnn}.items()}
for kind, found in predicted.items():
    print(f"{kind} predicts:", *found.tolist())
print("labels:", *hard.labels.tolist())

for_true, for_predicted = method(cnn, hard)["attribution"], method(cnn, hard, target=predicted["CNN"])["attribution"]
nm.plots.attributions(hard.images, {"true class": one_size(for_true), "predicted": one_size(for_predicted)})

# %% [markdown]
# *What to look at:* would you have got these right? Each map again has its own scale, so a spot on bare paper may be next to nothing. And Grad-CAM says where, not what it was there
# that made the difference.
#
# ## 8. Touch both
#
# Run the next cell to open both networks in the explorer, below it. Draw a digit slimmer, flatter or more slanted each time, and watch which network's prediction gives way first. (The page
# centers and scales every drawing as MNIST's images were, so it can't show a digit that has moved.)

# %% tags=["varies"]
nm.explorer.show([run_mlp, run_cnn], lesson.folder / "pages" / "05_explorer.html")

# %% [markdown]
# *What to look at:* one image, and what each network makes of it: the units of the MLP above, the maps and units of the CNN below, and both predictions.
#
# ## What you have seen
#
# * A convolution is one small question asked everywhere. The map of a moved image is the moved map, without any training; that is equivariance, not invariance.
# * Few of the CNN's parameters are in kernels. In its dense layer position matters again, and its accuracy falls too when digits are moved far enough.
# * Units and channels prefer digits, and so do those of untrained networks. Preference and importance are different questions.
# * A Grad-CAM map has to be compared with those of random networks before it says anything about training.
# * Layers of different networks are alike partly because the images are. Compare with untrained networks and with another seed.
# * The two networks err on the same images more often than errors shuffled within each digit do.
#
# What is *not* shown: all this is one task with centered digits, one architecture of each kind, and few seeds.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#05-what-does-convolution-change), in the documentation.
#
# **Next:** [06, how this carries over](06_Toward_TransformerLens.ipynb) to the tools and words of language models.
#
# **Further reading.** Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition", *Proceedings of the IEEE* 86 (1998). M. Zeiler and R.
# Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV
# 2017. J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. S. Kornblith et al., "Similarity of neural network representations revisited", ICML 2019. A. Azulay and Y. Weiss,
# "Why do deep convolutional networks generalize so poorly to small image transformations?", *JMLR* 20 (2019). R. Zhang, "Making convolutional networks shift-invariant again", ICML 2019. R.
# Geirhos, K. Meding and F. Wichmann, "Beyond accuracy: quantifying trial-by-trial behavior of CNNs and humans by measuring error consistency", NeurIPS 2020.
