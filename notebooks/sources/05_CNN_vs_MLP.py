# %% [markdown]
# # What does convolution change?
#
# *Two networks of one size, one task. The same questions put to both, and for each answer: is that about convolution, or about something
# else?*
#
# **You will be able to**
#
# * compute a convolution, a Grad-CAM map and a similarity of layers by hand, and say what each assumes;
# * say what a network that shares its weights over places can do that another can't, and what it can't either;
# * compare two networks fairly: images paired, seeds repeated, and an untrained network beside each claim.
#
# **Minutes:** 50 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb) for hooks and caches;
# [03](03_Analyze_Activations.ipynb) and [04](04_Causal_Interventions.ipynb) help.
#
# Before each answer the notebook asks for your guess and keeps it. Our own guesses stand here as examples, right or wrong; the version in
# `exercises/` leaves them to you. Words in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("05")

# %% [markdown]
# ## 1. Two networks of nearly one size
#
# Both get the same images. The MLP sees a row of pixels, and has no idea which of them are neighbours. The CNN begins with two layers of
# *convolution*: small windows of weights, *kernels*, that slide over the image. Each kernel makes a picture of its own, a *channel*.
# After each such layer, *pooling* keeps the highest of every two by two numbers. Then comes a dense layer as in the MLP, and the
# *logits*.

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
# Count the weights of one kernel: three by three numbers for each channel it looks at. What share of all the CNN's parameters are in its
# two convolutional layers?

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
# Few, for images of this size. A kernel's weights are used at every place of the image, and so cost nothing more for a larger one. Nearly
# all of the CNN's parameters are in the dense layer behind, which looks like the MLP's. On MNIST the two networks are of nearly one size,
# which makes the comparison a fair one in that respect.
#
# Now their accuracy. Both answered the *same* images, so the difference is taken image by image. Its *interval* comes from drawing the
# images anew.

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
    print(f"{name}: {found.mean():.2%} read rightly, 95 % interval {ends[0]:.2%} to {ends[1]:.2%} (n = {len(found):,})")
print(f"CNN less MLP: {100 * gain.mean():+.2f} points, 95 % interval {100 * low:+.2f} to {100 * high:+.2f}")
assert not lesson.full or low > 0

# %% [markdown]
# **Does it hold on another seed?** That interval is about other images. It says nothing about other networks of the same build, and two
# networks are no sample of two *kinds* of network. So two more MLPs, and one more CNN, which for the sake of time is trained for one
# epoch only. To be fair to the MLPs, here they all are at one moment: after each training image was seen once.

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
{100 * (max(mlps) - min(mlps)):.1f}. {"So both CNNs are above all three MLPs" if min(cnns) > max(mlps) else "So the two kinds are not cleanly apart"}; five networks are few, and this is a sign, no law.""")

# %% [markdown]
# One unfairness is left: in its one epoch the second CNN's learning rate fell all the way to zero, which helps; the others were still in
# the middle. The quick forms train too briefly to say anything about accuracy: there the CNN may well be behind.
#
# ## 2. A convolution by hand
#
# Take one kernel and one image. Lay the window of three by three weights over the upper left corner, multiply, sum, add the bias, and
# write the number down. Move one to the right; again. At the border the image is padded with zeros, so that the result has the image's
# size.

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
# (Strictly this is a *cross-correlation*: a mathematician's convolution turns the kernel round first. For weights that are learnt it
# makes no difference.)
#
# Below, all channels of the first layer on that image, after the ReLU.

# %% tags=["varies"]
nm.plots.feature_maps(cache["layers.0.hook_post"][0].numpy(), images.images[0])

# %% [markdown]
# *What to see:* each channel is a picture of the digit, drawn with another pen: some are dark along one side of a stroke, some fill the
# ink, some the paper.

# %% tags=["varies"]
nm.plots.weights(
    cnn.layers[0].conv.weight.detach()[:, 0].numpy(), run_cnn.model(step=0).layers[0].conv.weight.detach()[:, 0].numpy()
)

# %% [markdown]
# *What to see:* kernels with orange on one side and blue on the other answer to an edge; but look at the lower row before you say so:
# among nine random numbers one finds an edge as well, and some kernels have hardly changed. Of the MLP, a unit of the first layer has as
# many weights as there are pixels:

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
# *What to see:* templates as large as the image. Each MLP unit asks one question about the whole picture; each kernel asks one small
# question everywhere. A pale template, where there is one, is a unit whose weights training let shrink.
#
# What follows from "everywhere"? Move the digit one pixel down and to the right. **By how much will the CNN's first map differ from the
# old map, moved likewise? As a share of how much the maps of two different images differ: 0, 0.1, 0.5, 1?** (Leaving out the border.)

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
inside = (..., slice(2, -2), slice(2, -2))
old, new = shifted(cache["layers.0.hook_pre"], 1, 1)[inside], moved["layers.0.hook_pre"][inside]
another = old.roll(1, 0)  # the next image in place of this one
equivariant = float((new - old).norm() / (another - old).norm())
lesson.reveal("equivariant", round(equivariant, 4))
assert equivariant < 1e-4

# %% [markdown]
# Nothing but rounding. *The map of a moved image is the moved map*; this is called *equivariance*, and nobody trained it: it would be as
# true of random kernels, since it follows from sharing weights alone. It is not *invariance*: the maps do move. And it is only promised
# up to the border, and up to pooling, which keeps one number of four: after a step of one pixel other groups of four are formed.
#
# ### Exercise 1: count the parameters
# *Difficulty ●○○○ · 5 minutes*
#
# Write `parameters(side, channels, head, classes)`: how many parameters a CNN like ours has, for images of side × side pixels. Kernels
# are three by three, every channel, unit and class has a bias, each convolutional layer is followed by a pooling that halves the side (an
# odd side is rounded down), and `head` is the width of the one dense hidden layer.

# %% [markdown] tags=["hint"]
# Walk through the layers and keep two numbers: how many channels come in (1 at first), and the side of the maps. The dense layer sees
# channels × side × side numbers.


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
    found = parameters(side=4, channels=(1,), head=1, classes=2)
    assert found is not None, "nothing came back"
    assert found != 31, "one kernel over 4 × 4 pixels: is the side halved by the pooling before the dense layer sees it"
    assert found == 19, (
        f"for a single channel over 4 × 4 pixels, 1 dense unit and 2 classes it is 10 + 5 + 4 = 19, not {found}"
    )
    assert parameters(5, (1,), 1, 2) == 19, "a side of 5 is halved to 2: the odd row and column are left out"
    two = parameters(8, (2, 3), 4, 10)
    assert two == 20 + 57 + 52 + 50, (
        f"(2, 3) channels over 8 × 8, 4 units, 10 classes: {two}; a kernel of layer 2 sees all of layer 1"
    )
    ours = sum(p.numel() for p in cnn.parameters())
    assert parameters(rows, (16, 32), 64, 10) == ours, f"our CNN has {ours:,} parameters"


# %% [markdown]
# ### Exercise 2: pooling, and what it forgets
# *Difficulty ●●○○ · 10 minutes*
#
# Write `pool(maps)`: of maps [example, channel, row, col], the highest of each group of two by two. Rows and columns are even here.
# Without `torch.nn`.

# %% [markdown] tags=["hint"]
# `maps[:, :, 0::2, 0::2]` is the upper left number of each group. There are four such corners. `torch.maximum` takes two tensors;
# `torch.stack(…).amax(0)` any number.


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
    tiny = torch.tensor([[[[1.0, 5.0, 0.0, 0.0], [2.0, 3.0, 0.0, 4.0]]]])
    found = pool(tiny)
    assert found is not None, "nothing came back"
    assert found.shape == (1, 1, 1, 2), f"maps of 2 × 4 become maps of 1 × 2; the shape is {tuple(found.shape)}"
    assert found.flatten().tolist() != [2.75, 1.0], "that is the mean of each group; the highest is asked for"
    assert found.flatten().tolist() == [5.0, 4.0], (
        f"the groups (1 5 2 3) and (0 0 0 4) become {found.flatten().tolist()}"
    )
    assert pool(-tiny).flatten().tolist() == [-1.0, 0.0], (
        "of numbers below 0 too the highest counts: is something padded with 0"
    )
    assert torch.equal(pool(cache["layers.0.hook_post"]), cache["layers.0.hook_pool"]), (
        "it differs from the network's own pooling"
    )


# %% [markdown]
# ## 3. A digit that has moved
#
# Equivariance sounds as if a CNN should not care where a digit stands. MNIST's digits are all centred, so neither network was ever shown
# a moved one. Move all test images by 1 to 4 pixels, in eight directions. **Of images moved by 4 pixels (2 for the small digits), what
# share does the CNN read rightly?**

# %%
mine = 0.9  # your guess
lesson.guess("moved", mine)

# %% tags=["varies"]
part = test.balanced(lesson.pick(1000, 200), seed=1)
pixels, labels = part.tensor(), part.label_tensor()
most = 4 if rows > 8 else 2
directions = [(d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if (d, r) != (0, 0)]


def moved_right(model, by):
    """Whether each image is read rightly when moved by so many pixels: the share of eight directions, [example]."""
    with torch.no_grad():
        answers = [model(shifted(pixels, by * d, by * r)).argmax(1) == labels for d, r in directions]
    return torch.stack(answers).float().mean(0).numpy()


steps = list(range(most + 1))
kinds = {
    "MLP": [mlp, *(others[f"MLP, seed {seed}"].model() for seed in (1, 2))],
    "CNN": [cnn, others["CNN, seed 1"].model()],
}
answers = {
    kind: np.array([[moved_right(model, by) for by in steps] for model in models]) for kind, models in kinds.items()
}
for by in steps:
    gain = answers["CNN"][0, by] - answers["MLP"][0, by]
    low, high = nm.statistics.bootstrap_mean(gain)
    print(
        f"moved by {by}: MLP {answers['MLP'][0, by].mean():.1%}, CNN {answers['CNN'][0, by].mean():.1%}; "
        f"CNN less MLP {100 * gain.mean():+.1f} points, 95 % {100 * low:+.1f} to {100 * high:+.1f} (n = {len(gain):,})"
    )
lesson.reveal("moved", round(float(answers["CNN"][0, most].mean()), 2))
assert not lesson.full or answers["CNN"][0, 2].mean() - answers["MLP"][0, 2].mean() > 0.1
assert not lesson.full or answers["CNN"][0, most].mean() < 0.8

# %% tags=["varies"]
nm.plots.lines(
    {kind: (steps, 100 * found.mean(2)) for kind, found in answers.items()},
    x="moved by (pixels, in each of eight directions)",
    y="images read rightly (%)",
    title="Both lose their way, the MLP sooner" if lesson.full else "A digit that has moved",
    marks={"chance": 10},
)

# %% [markdown]
# *What to see:* black the mean of each kind, grey each network (three MLPs, two CNNs), and below them chance. On all of MNIST the CNN
# holds out a pixel or two longer, and then falls as well. What convolution gave is *an advantage, not an immunity*.
#
# Why not more? Look where the movement ends up. For each layer: how far does its answer move when the image moves by one pixel, as a
# share of how far two different images lie apart? 0 would be invariance; at 1 the moved image might as well be another one. Untrained
# networks stand beside.

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
                result[i] += float((a - b).norm(dim=1).mean() / (a - a.roll(1, 0)).norm(dim=1).mean())
    return result / len(directions)


moves = {kind: unsteady(model, points[kind]) for kind, model in {"MLP": mlp, "CNN": cnn}.items()}
moves_fresh = {kind: unsteady(model, points[kind]) for kind, model in fresh.items()}
for kind, names in points.items():
    for name, trained, untrained in zip(names, moves[kind], moves_fresh[kind], strict=True):
        print(f"{kind}  {name:<20} trained {trained:.2f}   untrained {untrained:.2f}")
lesson.say(f"""One pixel already moves the image itself {moves["CNN"][0]:.2f} of the way to another image. In the last hidden layer it is {moves["CNN"][-1]:.2f} in the CNN
and {moves["MLP"][-1]:.2f} in the MLP; before training {moves_fresh["CNN"][-1]:.2f} and {moves_fresh["MLP"][-1]:.2f}.""")

# %% [markdown]
# Two things in this table are worth a second look. On all of MNIST, *untrained*, neither network is much steadier than the pixels are:
# sharing weights and pooling alone buy little. And in the *trained* CNN the maps of the convolutional layers still move a good part of
# the way that the pixels do, as equivariance leads one to expect; the large step comes in the dense layer, as in the MLP. That layer has
# a weight for each place: there the CNN is an MLP of maps, and knows again where things are.

# %% tags=["varies"]
assert not lesson.full or (moves_fresh["CNN"][1:] > 0.6 * moves["CNN"][0]).all()
assert not lesson.full or moves["CNN"][2] > 1.2 * moves["CNN"][3]
parts = -np.diff(moves["CNN"]) / (moves["CNN"][0] - moves["CNN"][-1])
lesson.say(
    f"""Of the way from the pixels' {moves["CNN"][0]:.2f} down to {moves["CNN"][-1]:.2f}, the first convolution with its pooling goes {parts[0]:.0%}, the second {parts[1]:.0%}, the dense layer {parts[2]:.0%}."""
)

# %% [markdown]
# ### Exercise 3: the direction that hurts
# *Difficulty ●●●○ · 15 minutes*
#
# The figure averages over eight directions. Write `by_direction(model, x, labels, by)`: the accuracy for each direction in `directions`,
# in their order, as a list of numbers, when all images are moved by `by` pixels. A diagonal moves by that many in both axes. You may use
# `shifted`.

# %% [markdown] tags=["hint"]
# For each `(d, r)` in `directions`: move by `by * d` down and `by * r` to the right, take the highest logit of each image, compare with
# the labels. No gradients are needed.


# %% tags=["stub"]
def by_direction(model, x, labels, by):
    raise NotImplementedError("return a list with one accuracy for each direction")


# %% tags=["solution"]
def by_direction(model, x, labels, by):
    found = []
    for d, r in directions:
        with torch.no_grad():
            said = model(shifted(x, by * d, by * r)).argmax(1)
        found.append(float((said == labels).float().mean()))
    return found


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    class Row(torch.nn.Module):  # says in which row the single pixel of an image lies
        def forward(self, images):
            return images.flatten(1, 2).amax(2) * 1.0

    dots = torch.zeros(2, 1, 5, 5)
    dots[0, 0, 2, 2], dots[1, 0, 2, 1] = 1, 1
    found = by_direction(Row(), dots, torch.tensor([3, 3]), by=1)
    assert found is not None, "nothing came back"
    assert len(found) == len(directions), f"there are {len(directions)} directions, and {len(found)} numbers came back"
    wanted = [1.0 if d == 1 else 0.0 for d, _ in directions]
    up = [1.0 if d == -1 else 0.0 for d, _ in directions]
    across = [1.0 if r == 1 else 0.0 for _, r in directions]
    assert list(found) != up, "a dot in row 2, moved down by 1, is in row 3: is the sign of the move turned round"
    assert list(found) != across, "down and right are exchanged: the first number of a direction counts rows"
    assert np.allclose(found, wanted), (
        f"on two planted dots the shares should be {wanted}, not {[float(f) for f in found]}"
    )
    far = by_direction(Row(), dots[:1], torch.tensor([4]), by=2)
    assert np.allclose(far, wanted), "moved by 2, a dot in row 2 should be in row 4: is `by` used"
    mean = float(np.mean(by_direction(mlp, pixels, labels, 1)))
    assert abs(mean - answers["MLP"][0, 1].mean()) < 1e-4, (
        "the mean over the directions differs from the figure's value at 1"
    )


# %% [markdown]
# ## 4. What is a unit for, and what does it cost to lose it?
#
# A unit of the MLP is a number, a *channel* of the CNN a whole map; for its preference we take the map's mean. *Class selectivity* is how
# much more a unit answers its favourite digit than the others, the favourite chosen on one half of the images and judged on the other.
# *Cutting out* sets the unit, or the whole map, to 0. Before you look: **over the 32 channels of the second layer, is selectivity a sign
# of importance? Guess the rank correlation of selectivity and loss, −1 to 1.**

# %%
mine = 0.6  # your guess
lesson.guess("rank", mine)

# %% tags=["varies"]
probe = run_mlp.probe
assert np.array_equal(probe.images, run_cnn.probe.images)  # both runs recorded the same images
last = {"MLP": (run_mlp, mlp, "layers.1.hook_post"), "CNN": (run_cnn, cnn, "layers.1.hook_post")}
tables, untaught, costs = {}, {}, {}
for kind, (run, model, name) in last.items():
    acts = run.activations(name)  # [snapshot, example, unit or channel]
    tables[kind] = nm.analysis.selectivity.class_selectivity(acts)
    untaught[kind] = nm.analysis.selectivity.class_selectivity(acts.isel(snapshot=0))
    costs[kind] = nm.analysis.causal.ablate_all(model, probe, name)

# By hand, for the channel that costs most: set its map to 0, and look at the loss.
worst = int(costs["CNN"]["loss_increase"].values.argmax())
with torch.no_grad():
    before = torch.nn.functional.cross_entropy(cnn(probe.tensor()), probe.label_tensor())
    with cnn.hooks([("layers.1.hook_post", lambda tensor, hook: tensor * (torch.arange(32) != worst)[:, None, None])]):
        after = torch.nn.functional.cross_entropy(cnn(probe.tensor()), probe.label_tensor())
assert abs(float(after - before) - float(costs["CNN"]["loss_increase"][worst])) < 1e-4

ranks = {}
for kind in last:
    rho, low, high = nm.statistics.spearman(tables[kind]["selectivity"].values, costs[kind]["loss_increase"].values)
    ranks[kind] = rho
    print(f"{kind}: rank correlation of selectivity and loss {rho:+.2f}, 95 % over units {low:+.2f} to {high:+.2f}")
lesson.reveal("rank", round(ranks["CNN"], 2))

# %% [markdown]
# If the interval holds 0, nothing is shown either way, and with 32 channels it is wide. Selectivity and importance are two questions, in
# both networks.

# %% tags=["varies"]
nm.plots.selectivity(tables["CNN"], costs["CNN"], untaught["CNN"])

# %% tags=["varies"]
nm.plots.selectivity(tables["MLP"], costs["MLP"], untaught["MLP"])

# %% [markdown]
# *What to see, CNN above, MLP below:* nearly every digit lies to the right of the grey band, and so do many of the grey ticks below,
# which are the units of the *untrained* networks. Only where the digits lie beyond the ticks has learning added a preference. And look
# which digit the channels prefer.

# %% tags=["varies"]
ink = probe.images.reshape(len(probe), -1).mean(1)
inkiest = int(np.argmax([ink[probe.labels == digit].mean() for digit in np.unique(probe.labels)]))
for kind, table in tables.items():
    axis = table["selectivity"].dims[0]
    prefer, before = (int((some["preferred"] == inkiest).sum()) for some in (table, untaught[kind]))
    medians = [float(some["selectivity"].median()) for some in (table, untaught[kind])]
    assert not lesson.full or medians[0] > medians[1]
    print(
        f"{kind}: {prefer} of {table.sizes[axis]} {axis}s prefer the {inkiest}, the digit with the most ink (untrained {before}); "
        f"median selectivity {medians[0]:.2f}, untrained {medians[1]:.2f}"
    )

# %% [markdown]
# A map's mean over all its places grows with the ink on the page, and the digits differ in ink. So a channel that "prefers" the inkiest
# digit may be no more than a gauge of ink. That is a choice of *ours*: we took the mean of a map to make one number of it, and so threw
# away where things are, which is what the map was for. A dense unit has no such excuse and no such handicap. The two networks'
# selectivities are therefore not to be compared with each other, only each with its own untrained network.
#
# Now the cost, beside that of a random direction of the same norm, which no unit owns:

# %% tags=["varies"]
nm.plots.ablation(costs["CNN"])

# %% tags=["varies"]
for kind in last:
    table, cost, axis = tables[kind], costs[kind], tables[kind]["selectivity"].dims[0]
    beyond, dear = int((table["selectivity_q"] < 0.05).sum()), int((cost["loss_increase_q"] < 0.05).sum())
    dearest = int(cost["accuracy_drop"].values.argmax())
    lost, low, high = (float(cost[f"accuracy_drop{end}"][dearest]) for end in ("", "_low", "_high"))
    lesson.say(f"""**{kind}** ({cost.attrs["hook_point"]}, n = {cost.attrs["n_examples"]:,} images): {beyond} of {table.sizes[axis]} {axis}s prefer a digit beyond shuffled labels, and {dear}
    cost more than a random direction of the same norm. The dearest costs {lost:.1%} of the images (95 % {low:.1%} to {high:.1%}, chosen as the highest, so flattered).""")

# %% [markdown]
# *What to see in the figure:* the channels sorted by what they cost; grey is what random directions of the same norm cost (random mixes of the channels, each with the channel's own map).
# A point inside the grey is a channel that matters no more than any direction of that length.
#
# Do not compare the two networks' costs number by number: one of 32 maps is a larger part of a layer than one of 64 units. What may be
# compared is each with its own null.
#
# ## 5. Where does the CNN look? Grad-CAM by hand
#
# A map says *where*. *Grad-CAM* uses that: weight each map by how much the logit would rise with it (its gradient, averaged over places),
# sum the maps, and keep what is above 0. Four lines, and then the library's one:

# %% tags=["varies"]
ten = probe.subset([int(np.flatnonzero(probe.labels == digit)[0]) for digit in np.unique(probe.labels)])
name = "layers.1.hook_post"


def of_right_digit(logits):
    return logits.gather(1, ten.label_tensor()[:, None]).sum()


_, seen = cnn.run_with_cache(ten.tensor(), names_filter=name, incl_bwd=True, loss=of_right_digit)
maps, slopes = seen[name], seen[f"{name}_grad"]  # [example, channel, row, col]
weight = slopes.mean((2, 3), keepdim=True)
heat = (weight * maps).sum(1).relu()

attribution = nm.analysis.attribution
library = attribution.grad_cam(cnn, ten, name, upsample=False)
assert np.allclose(heat.numpy(), library["attribution"].values, atol=1e-5)
print(f"by hand and by library: maps of {tuple(heat.shape[1:])} places, equal")

# %% [markdown]
# A picture with a warm spot convinces everybody. So at once the question: how alike are the maps of our CNN and those of CNNs with random
# weights?

# %% tags=["varies"]
from functools import partial

method = partial(attribution.grad_cam, hook_point=name)


def one_size(maps):
    """Each map over its own highest place, so that faint ones are seen."""
    return maps / maps.max(("row", "col")).clip(1e-12)


looks, looks_fresh = (one_size(method(network, ten)["attribution"]) for network in (cnn, fresh["CNN"]))
nm.plots.attributions(ten.images, {"Grad-CAM": looks}, {"Grad-CAM": looks_fresh})

# %% [markdown]
# *What to see:* above the digits, in the middle where the trained CNN looks, below where one that has learnt nothing "looks". Each map is
# scaled to its own highest place, so a faint one looks as strong as any; an empty one says that nothing in these maps speaks for the
# digit. Without the labels at the left, could you tell which row is which?

# %% tags=["varies"]
sanity = attribution.sanity_check(method, cnn, ten, draws=lesson.pick(39, 9))
nm.plots.sanity({"Grad-CAM": sanity})

# %% [markdown]
# *What to see:* how much of the map is left as the weights are replaced by random ones, from the top down. The grey band is where wholly
# random networks end up: a map that stays above it still owes something to the layers below. The dotted line is an edge detector, which
# needs no network at all.

# %% tags=["varies"]
against = attribution.against_untrained(method, cnn, ten, draws=lesson.pick(39, 19))
apart, p = float(against["mean_outside"]), float(against["mean_outside_p"])
lesson.say(f"""With wholly random weights the maps still have a rank correlation of {
    float(sanity["similarity"][-1]):.2f} with the trained ones; the image itself has
{float(sanity["like_image"]):.2f}. A second test asks pixel by pixel: {apart:.0%} of the pixels lie outside what {
    against.sizes["draw"]
} random CNNs give, where one of them among the others has up to
{float(against["mean_outside_null_high"]):.0%} (p = {p:.3f}, n = {len(ten)} images). {
    "So these maps do tell of the training."
    if p < 0.05
    else "By this test the maps can't be told from those of networks that have learnt nothing."
}""")

# %% [markdown]
# A map that *differs* from random networks' is about the network. It need not be right about it: that would take covering up the warm
# spots, as in [notebook 04](04_Causal_Interventions.ipynb).
#
# ## 6. Do the two networks see images alike?
#
# Units of two networks have nothing to do with each other, not even their number. But one can ask whether the two layers call the *same
# pairs of images* alike. *Centred kernel alignment* (*CKA*) does: take the table of all dot products between images in the one layer, the
# same in the other, and correlate the two tables. By hand:

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
print(f"by hand {plain:.3f}, and the library's plain CKA is the same")

# %% [markdown]
# The plain form has a trap: with few images and many units, unrelated layers look alike. Random numbers show it.

# %% tags=["varies"]
import xarray as xr

noise = np.random.default_rng(0)
for n in (20, 100, 1000):
    one, other = (xr.DataArray(noise.normal(size=(n, 64)), dims=("example", "unit")) for _ in range(2))
    biased, debiased = (float(similarity.cka(one, other, debiased=way, draws=5)["cka"]) for way in (False, True))
    print(f"{n:>5} images, 64 units of pure noise on each side: plain {biased:.2f}, debiased {debiased:+.2f}")

# %% [markdown]
# So from here on it is the debiased one. **How alike are the last hidden layers of the MLP and the CNN, from 0 (unrelated) to 1?**

# %%
mine = 0.3  # your guess
lesson.guess("cka", mine)

# %% tags=["varies"]
named = {
    "MLP": {"dense 0": "layers.0.hook_post", "dense 1": "layers.1.hook_post"},
    "CNN": {"conv 0": "layers.0.hook_pool", "conv 1": "layers.1.hook_pool", "dense 2": "layers.2.hook_post"},
}


def layers_of(model, kind):
    """The layers' answers to the probe images; maps whole, laid out in a row."""
    found = nm.activations(model, probe.subset(slice(0, lesson.pick(500, 200))), list(named[kind].values()))
    return {label: found[name] for label, name in named[kind].items()}


draws = lesson.pick(20, 5)
trained = similarity.matrix(layers_of(mlp, "MLP"), layers_of(cnn, "CNN"), draws=draws)
lesson.reveal("cka", round(float(trained["cka"].sel(layer="dense 1", layer_b="dense 2")), 2))
nm.plots.similarity_matrix(trained, rows="MLP", columns="CNN")

# %% [markdown]
# *What to see:* large numbers are the likeness, small ones what shuffled images stay within. Everything is far above shuffled images, by
# three measures. But that null is weak: it asks only whether both networks were shown the same pictures. Two harder ones follow: networks
# that have learnt nothing, and an MLP of another seed, which should be as like as two networks can be.

# %% tags=["varies"]
untrained = similarity.matrix(layers_of(fresh["MLP"], "MLP"), layers_of(fresh["CNN"], "CNN"), draws=draws)
final = {"MLP": "dense 1", "CNN": "dense 2"}  # the last hidden layer of each


def likeness(one, kind, other, other_kind):
    sides = layers_of(one, kind)[final[kind]], layers_of(other, other_kind)[final[other_kind]]
    found = similarity.cka(*sides, draws=50)
    return float(found["cka"]), float(found["cka_low"]), float(found["cka_high"])


twin, third = others["MLP, seed 1"].model(), others["MLP, seed 2"].model()
values = {
    "MLP and CNN": likeness(mlp, "MLP", cnn, "CNN"),
    "MLP of seed 1 and CNN": likeness(twin, "MLP", cnn, "CNN"),
    "MLP of seed 2 and CNN": likeness(third, "MLP", cnn, "CNN"),
    "MLP and CNN, both untrained": likeness(fresh["MLP"], "MLP", fresh["CNN"], "CNN"),
    "MLP and MLP of seed 1": likeness(mlp, "MLP", twin, "MLP"),
    "MLP and MLP of seed 2": likeness(mlp, "MLP", third, "MLP"),
}
for words, (value, low, high) in values.items():
    print(f"{words:<28} CKA {value:.2f}, 95 % over images {low:.2f} to {high:.2f}")

# %% tags=["varies"]
nm.plots.similarity_matrix(untrained, rows="untrained MLP", columns="untrained CNN")

# %% tags=["varies"]
both, none, same = (
    values[words][0] for words in ("MLP and CNN", "MLP and CNN, both untrained", "MLP and MLP of seed 1")
)
assert not lesson.full or (none + 0.1 < both and both + 0.03 < same)
lesson.say(f"""*What to see:* two networks that have learnt nothing are alike too, because the images are: {none:.2f} between their last hidden layers. Trained, it is {both:.2f};
two MLPs of different seeds reach {same:.2f}. {"Training has brought the two kinds nearer to each other" if both > none else "Training has not brought the two kinds nearer"}, and
{"a CNN is less like an MLP than an MLP of another seed is" if both < same else "a CNN is as like an MLP as another MLP is"}.""")

# %% [markdown]
# Last hidden layers have to be alike in one respect: both must tell the ten digits apart, and networks that do it well put images of one
# digit together. A high value there says little about *how* they got there.
#
# ### Exercise 4: a CKA that is not fooled by noise
# *Difficulty ●●●● · 20 minutes*
#
# The plain sum counts each image with itself, and that diagonal is large even in noise. Song et al. (2012) leave it out and correct the
# rest. Write `debiased(x, y)` for arrays [example, unit]: with K = x xᵀ and L = y yᵀ, both with their diagonals set to 0, and n images,
# h(K, L) is
#
# ```
#            Σᵢⱼ Kᵢⱼ Lᵢⱼ  +  Σᵢⱼ Kᵢⱼ · Σᵢⱼ Lᵢⱼ / ((n − 1)(n − 2))  −  2 / (n − 2) · Σᵢ (Σⱼ Kᵢⱼ)(Σⱼ Lᵢⱼ)
# h(K, L) = ─────────────────────────────────────────────────────────────────────────────────────────────
#                                              n (n − 3)
# ```
#
# and the answer is h(K, L) / √(h(K, K) · h(L, L)).

# %% [markdown] tags=["hint"]
# `np.fill_diagonal(table, 0)` changes the table in place. Write h as an inner function of two tables a and b, from `(a * b).sum()`,
# `a.sum()`, `a.sum(1)`. No centring is needed: the two corrections do it.


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
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 50)), rng.normal(size=(30, 50))
    found = debiased(x, y)
    assert found is not None, "nothing came back"
    assert abs(found - cka(x, y)) > 1e-6, (
        "this is the plain CKA: is the diagonal set to 0, and are the two corrections added"
    )
    assert abs(found) < 0.3, f"on pure noise it gives {found:.2f}, and should be about 0"
    turn = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    assert abs(debiased(x, 3 * x @ turn) - 1) < 1e-9, "a layer and the same layer, turned and scaled, should give 1"
    assert abs(debiased(x + 5, y) - found) < 1e-6, (
        "adding a constant to every unit changed it: check the factors of the two corrections"
    )
    one, other = (xr.DataArray(side, dims=("example", "unit")) for side in (x, y))
    wanted = float(similarity.cka(one, other, draws=5)["cka"])
    assert abs(found - wanted) < 1e-9, "on noise it is not the library's value: compare term by term with the formula"


# %% [markdown]
# ## 7. Where do both err?
#
# If the two networks read images by different means, they should stumble over different images. If hard images are hard for everybody,
# their errors coincide. **Of the images that the CNN reads wrongly, what share does the MLP read wrongly too?**

# %%
mine = 0.3  # your guess
lesson.guess("errors", mine)

# %% tags=["varies"]
wrong = {kind: ~found for kind, found in right.items()}
wrong["MLP, seed 1"] = nm.evaluate(others["MLP, seed 1"].model(), test).predictions.numpy() != test.labels
rng = np.random.default_rng(0)


def in_common(one, other, draws=500):
    """(images that both read wrongly, the same after the errors of one are dealt out anew among the images of each digit)"""
    chance = np.zeros(draws)
    for digit in np.unique(test.labels):
        of_digit = test.labels == digit
        chance += [(one[of_digit] & rng.permutation(other[of_digit])).sum() for _ in range(draws)]
    return int((one & other).sum()), np.percentile(chance, [2.5, 97.5])


for one, other in (("CNN", "MLP"), ("MLP, seed 1", "MLP")):
    n, (low, high) = in_common(wrong[one], wrong[other])
    print(
        f"{one} wrong: {wrong[one].sum()}, {other} wrong: {wrong[other].sum()}, both: {n}; by chance, digit by digit: {low:.0f} to {high:.0f}"
    )
n, (low, high) = in_common(wrong["CNN"], wrong["MLP"])
lesson.reveal("errors", round(n / max(1, int(wrong["CNN"].sum())), 2))
twins_share = int((wrong["MLP, seed 1"] & wrong["MLP"]).sum()) / max(1, int(wrong["MLP, seed 1"].sum()))
print(f"of the other MLP's errors the MLP shares {twins_share:.2f}")
assert not lesson.full or n > high

# %% [markdown]
# Chance here already takes into account that some digits are harder than others. What is shared beyond it comes from the images: some are
# hard for both. Beside it stands what two networks of one kind share; only what the CNN shares *less* than that can be owed to its build
# (and part of it to its making fewer errors). Here are images that both misread, with Grad-CAM for the right digit and for the one that
# the CNN said.

# %% tags=["varies"]
hard = test.subset(np.flatnonzero(wrong["CNN"] & wrong["MLP"])[:8]) if n else ten
said = {kind: nm.evaluate(model, hard).predictions for kind, model in {"MLP": mlp, "CNN": cnn}.items()}
for kind, found in said.items():
    print(f"{kind} says:", *found.tolist())
print("they are:", *hard.labels.tolist())

is_so, was_said = method(cnn, hard)["attribution"], method(cnn, hard, target=said["CNN"])["attribution"]
nm.plots.attributions(hard.images, {"for what it is": one_size(is_so), "for what it said": one_size(was_said)})

# %% [markdown]
# *What to see:* some of these digits a human would hesitate over too. Each map again has its own scale, so that a spot on bare paper may
# be next to nothing. Grad-CAM tells where, and not what it was there that made the difference.
#
# ## 8. Touch both
#
# Side by side in the explorer: draw a digit off the centre and watch which network gives up first. In a notebook that is running the page
# stands in a frame; where it is only read, a picture and a link are left.

# %% tags=["varies"]
nm.explorer.show([run_mlp, run_cnn], lesson.folder / "pages" / "05_explorer.html")

# %% [markdown]
# *What to see:* one image, and everything each network makes of it: units of the MLP above, maps and units of the CNN below, and what
# they read.
#
# ## What you have seen
#
# * A convolution is one small question asked everywhere. The map of a moved image is the moved map, to rounding, without any training;
#   that is equivariance, not invariance.
# * Both networks have nearly the same number of parameters, and in the CNN few of them are in kernels. The dense layer behind knows
#   places again, and the CNN too fails on digits moved far enough.
# * Units and channels prefer digits; so do those of untrained networks, less. Preference and importance are different questions. Costs
#   stand beside random directions.
# * A Grad-CAM map is worth as much as it differs from that of a random network.
# * Layers of different networks look alike partly because the images are. Untrained pairs and another seed are the yardsticks.
# * Two networks err together more than chance would have it.
#
# What was *not* shown: all this is one task with centred digits, one architecture of each kind, and few seeds.
#
# **Next:** [06, how this carries over](06_Toward_TransformerLens.ipynb) to the tools and words of language models.
#
# **Further reading.** Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
# *Proceedings of the IEEE* 86 (1998). M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. R.
# Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017. J. Adebayo et al.,
# "Sanity checks for saliency maps", NeurIPS 2018. S. Kornblith et al., "Similarity of neural network representations revisited", ICML
# 2019. A. Azulay and Y. Weiss, "Why do deep convolutional networks generalize so poorly to small image transformations?", *JMLR* 20
# (2019). R. Zhang, "Making convolutional networks shift-invariant again", ICML 2019. R. Geirhos, K. Meding and F. Wichmann, "Beyond
# accuracy: quantifying trial-by-trial behaviour of CNNs and humans by measuring error consistency", NeurIPS 2020.
