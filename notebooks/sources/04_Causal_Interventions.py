# %% [markdown]
# # Is what we see what matters?
#
# *Ablate a unit, turn it up, patch in another image's value: how do the network's predictions change, and how much of that would any change of the same size do?*
#
# In [03](03_Analyze_Activations.ipynb) we watched units prefer one digit or another. Watching is not enough for me. When I want to know what a part of a machine does, I take
# it out and see whether the machine still runs. So here we change one thing inside the network, leave everything else alone, and measure.
#
# **You will be able to**
#
# * change what a network computes with a hook, and measure how much that raises the loss;
# * choose between zero, mean and resample ablation, and say which question each of them asks;
# * compare a loss increase with a control, such as random directions of the same length, and say which control it was;
# * patch a unit from one image into another, and write a logit as a sum over units.
#
# **Minutes:** 65 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb); [03](03_Analyze_Activations.ipynb) helps.
#
# The notebook shows no answer before you have guessed. Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("04")

# %%
import itertools
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from neural_microscope.analysis import causal, selectivity
from neural_microscope.statistics import bootstrap_mean, halves, spearman

data = lesson.data

# %% [markdown]
# ## 1. Ablate one unit, by hand
#
# Some units respond to one digit and hardly to any other. Such a unit looks as if it were there to recognize that digit. Does the network *use* it?
#
# Our network is the MLP of the earlier notebooks. We look at its second hidden layer, on the *probe images*: a fixed, class-balanced part of the test images. To find the unit
# that separates its digit best we take the *AUC*: the probability that an image of its class activates it more than an image of another class does.

# %% tags=["varies"]
training = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), training)
model, images, layer = run.model(), run.probe, "layers.1.hook_post"
pixels, labels = images.tensor(), images.label_tensor()

acts = nm.activations(model, images, layer)[layer]  # [example, unit]
units = acts.sizes["unit"]
tuning = selectivity.class_selectivity(acts)
selective_unit = int(np.nanargmax(tuning["auc"]))
digit = int(tuning["preferred"][selective_unit])
lesson.say(f"""Of {units} units, unit {selective_unit} separates its digit best from the others. In {float(tuning["auc"][selective_unit]):.1%} of all pairs,
the image of class {digit} activates it more than the image of another class. With shuffled labels it would be
{float(tuning["auc_null_low"][selective_unit]):.0%} to {float(tuning["auc_null_high"][selective_unit]):.0%}.""")

# %% [markdown]
# Now we *ablate* it: we set it to 0 for every image and run the rest of the network again. We do that with a *hook*, a function that is called in the middle of the forward
# pass. What it returns replaces what came in.
#
# **By how many percentage points does the accuracy fall without this unit?**

# %%
mine = 5.0  # your guess
lesson.guess("best unit", mine)


# %% tags=["varies"]
def set_to_zero(tensor, hook):
    changed = tensor.clone()
    changed[:, selective_unit] = 0
    return changed


def evaluate(hooks=()):
    """(loss in nats, accuracy) on the probe images while the hooks are attached."""
    with torch.no_grad(), model.hooks(hooks):
        logits = model(pixels)
    return float(cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())


loss, accuracy = evaluate()
loss_without, accuracy_without = evaluate([(layer, set_to_zero)])
assert evaluate() == (loss, accuracy), "the hook is gone again"
if lesson.reveal("best unit", round(100 * (accuracy - accuracy_without), 1)):
    print(f"loss      {loss:.4f} → {loss_without:.4f} nats")
    print(f"accuracy  {accuracy:.1%} → {accuracy_without:.1%} of {len(images):,} images")
    lesson.say(
        "So the unit that separates its digit best is hardly missed."
        if accuracy - accuracy_without < 0.02
        else "So here the unit that separates its digit best is missed."
    )

# %% [markdown]
# Accuracy is a coarse scale: an image counts only when its prediction flips. The loss also sees a prediction become less sure. So from here on we measure the *loss increase*, in
# nats: by how much an ablation raises the mean of −log p of the true class.
#
# ### Exercise 1: an intervention of your own
# *Difficulty ●○○○ · 10 minutes*
#
# Write `ceiling(unit, top)`. It returns a hook function that limits one unit: values above `top` become `top`, values below stay as they are, and so do all other units. This is
# a gentle ablation. The unit may still be active, but only up to a limit.

# %% [markdown] tags=["hint"]
# A function that returns a function: `def ceiling(unit, top):` and in it `def hook_fn(tensor, hook):`. `changed[:, unit].clamp(max=top)` sets the limit. Clone first, and return
# what you changed.


# %% tags=["stub"]
def ceiling(unit, top):
    raise NotImplementedError("return a function of (tensor, hook) that returns the changed tensor")


# %% tags=["solution"]
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)
        return changed

    return hook_fn


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    point = model.hook_points[layer]
    for width, dtype in ((3, torch.float32), (5, torch.float64), (12, torch.float32)):
        asked = [(int(unit), float(rng.normal())) for unit in rng.permutation(width)[:2]]
        first, second = (ceiling(unit, top) for unit, top in asked)
        for n, hook_fn, (unit, top) in ((6, first, asked[0]), (7, second, asked[1]), (9, first, asked[0])):
            assert callable(hook_fn), f"a hook function should come back, not a {type(hook_fn).__name__}"
            given = torch.tensor(rng.normal(scale=3, size=(n, width))).to(dtype)
            given[:3, unit] = torch.tensor([top + 1, top - 1, top + 5e-4])
            with lessons.unchanged(**{"the tensor that came in": given}):
                found = hook_fn(given, point)
            assert torch.is_tensor(found), (
                f"the hook function returns {found}; it should return the changed tensor, which replaces the first"
            )
            with lessons.unchanged(**{"what came back for the last batch": found}):
                turned, alone = hook_fn(given.flip(0), point), hook_fn(given[:1], point)
            assert (found.shape, found.dtype) == (given.shape, dtype), (
                f"the hook got {list(given.shape)} in {dtype} and returned {list(found.shape)} in {found.dtype}"
            )
            for was, now in zip(given[:, unit].tolist(), found[:, unit].tolist(), strict=True):
                assert abs(now - min(was, top)) < 1e-5, (
                    f"{was:.4f} lies {'above' if was > top else 'below'} the ceiling of {top:.4f}, and became {now:.4f}; two ceilings were made, for "
                    f"units {asked[0][0]} and {asked[1][0]}, and the {'first' if hook_fn is first else 'second'} was used"
                )
            others = [i for i in range(width) if i != unit]
            assert torch.allclose(found[:, others], given[:, others]), (
                f"only unit {unit} was named; others have changed"
            )
            assert torch.equal(alone, found[:1]), "an image by itself gives another result than in its batch"
            assert torch.equal(turned.flip(0), found), "images in the opposite order give other results"
    by_ceiling = evaluate([(layer, ceiling(selective_unit, 0.0))])
    assert abs(by_ceiling[0] - evaluate([(layer, set_to_zero)])[0]) < 1e-5, (
        "with a ceiling of 0, a unit after a ReLU should be the same as ablated"
    )


# %% tags=["right"]
def ceiling(unit, top):
    def hook_fn(tensor, hook):
        high = torch.full_like(tensor, float("inf"))
        high[:, unit] = top
        return torch.minimum(tensor, high)

    return hook_fn


# %% tags=["right"]
def ceiling(unit, top):  # numpy, and a lambda
    def limited(values):
        values = values.copy()
        values[values[:, unit] > top, unit] = top
        return torch.from_numpy(values)

    return lambda tensor, hook: limited(tensor.detach().numpy())


# %% tags=["right"]
def ceiling(unit, top):
    class Ceiling:
        def __call__(self, tensor, hook):
            named = torch.arange(tensor.shape[1]) == unit
            return torch.where(named & (tensor > top), torch.tensor(top), tensor)

    return Ceiling()


# %% tags=["wrong"]
def ceiling(unit, top):  # clamps from below as well
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(0, max(top, 0))
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # clamps to −top..top
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(-abs(top), abs(top))
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # every unit gets the ceiling
    return lambda tensor, hook: tensor.clamp(max=top)


# %% tags=["wrong"]
def ceiling(unit, top):  # a floor
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(min=top)
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # everything becomes the ceiling
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = top
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # changes the tensor in place
    def hook_fn(tensor, hook):
        tensor[:, unit] = tensor[:, unit].clamp(max=top)
        return tensor

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # returns nothing
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=top)

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # what lies above becomes 0
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[changed[:, unit] > top, unit] = 0.0
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # an image in place of a unit
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[unit % len(changed)] = changed[unit % len(changed)].clamp(max=top)
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # always unit 1
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, 1] = changed[:, 1].clamp(max=top)
        return changed

    return hook_fn


# %% tags=["wrong"]
def ceiling(unit, top):  # returns the unit alone
    return lambda tensor, hook: tensor[:, unit].clamp(max=top)


# %% tags=["wrong"]
def ceiling(unit, top):  # the ceiling is rounded
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = changed[:, unit].clamp(max=int(top))
        return changed

    return hook_fn


# %% [markdown]
# ## 2. Every unit, and the control
#
# The library's `ablate_all` ablates each unit of a layer in turn. Let's first do it by hand, to see that there is nothing more to it.

# %%
by_hand = np.array([evaluate([(layer, nm.interventions.zero(unit=unit))])[0] - loss for unit in range(units)])
effects = causal.ablate_all(model, images, layer, draws=2000)
apart = float(np.abs(by_hand - effects["loss_increase"].values).max())
assert apart < 1e-5, apart
lesson.say(
    f"{units} units ablated one by one: by hand and by `ablate_all` the loss increases differ by less than 1e-5 nats."
)

# %% [markdown]
# Say the loss increases by 0.01 nats. Is that because *this unit* was ablated, or because *anything* was moved that far?
#
# To ablate a unit is to move each image's point in the layer's space, along the unit's axis, by as much as the unit was active. So the fair control moves each image **just as
# far in a direction that belongs to no unit**: a *random direction* of equal norm. By hand, for the unit with the largest loss increase:

# %% tags=["varies"]
top_unit = int(effects["loss_increase"].values.argmax())
direction = np.random.default_rng(0).standard_normal(units)
direction = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)


def sideways(tensor, hook):
    how_far = tensor[:, [top_unit]].abs()  # as far as ablating the unit moves this image
    return tensor + how_far * direction


one_control = evaluate([(layer, sideways)])[0] - loss
library = causal.ablate_directions(model, images, layer, directions=direction.numpy()[None])
library = float(library["loss_increase"][0, top_unit])
assert abs(library - one_control) < 0.002 + 0.1 * abs(one_control), (library, one_control)
lesson.say(f"""Ablating unit {top_unit} changes the loss by {effects["loss_increase"].values[top_unit]:+.4f} nats; as far along one random direction, it is
{one_control:+.4f} nats (the library, by interpolation: {library:+.4f}).""")

# %% [markdown]
# One direction may raise the loss more or less by luck, so `ablate_all` draws many, here 2,000. Their distribution is the *null*: what we would see if units were nothing
# special. A unit's *p value* is the share of directions that raise the loss at least as much as the unit does (the unit counts as one more draw).
#
# Among 64 units, some have a small p by luck. So each p is corrected for the number of units, and is then called *q*. A unit counts if its q is below 0.05, a *false-discovery rate* of 5%: of
# the units that are reported, at most 5% are expected to be false. (p can't be below 1 / 2,001, and the smallest of 64 is multiplied by 64. So at least 64 / 0.05 = 1,280 draws are needed before any unit can count alone.)
#
# **How many units of this layer raise the loss more than random directions do?**

# %%
mine = 20  # your guess
lesson.guess("beyond directions", mine)

# %% tags=["varies"]
beyond = int(nm.statistics.shown(effects["loss_increase_q"]).sum())
above_zero = int((effects["loss_increase_low"] > 0).sum())
dead = int((acts.values.max(0) <= 0).sum())
if lesson.reveal("beyond directions", beyond):
    display(nm.plots.ablation(effects))
    lesson.say(f"""{above_zero} of {units} units have a loss increase whose 95% interval over {len(images):,} images lies above 0. Beyond random directions:
    {beyond or "none"}. So what ablating a unit does is {"more, for these," if beyond else "not shown to be more"} than what any push of that length does. {f"{dead} units are dead, above 0 for no image: to ablate them changes exactly nothing." if dead else "No unit is dead."} The largest
    accuracy drop of any unit is {100 * float(effects["accuracy_drop"].max()):.1f} points.""")
assert (np.abs(effects["loss_increase"].values[acts.values.max(0) <= 0]) < 1e-6).all()
assert not lesson.full or (beyond <= 6 and float(effects["accuracy_drop"].max()) < 0.03)

# %% [markdown]
# *What to look at:* the gray band is the null. A dot inside it raises the loss no more than most pushes of that length. A dot may lie well above 0, and so be real, and still be
# inside.
#
# ### The verdict, with its nulls
#
# The library decides such claims in one place, by one rule. It asks more than we did: does the loss increase hold on other images, and next to the unit of the same rank in untrained networks? First in one plain sentence, then with all of its nulls:

# %% tags=["varies"]
look = nm.analysis.look.first_look(run)  # every measure of the default analysis, computed once
claims = nm.analysis.findings.findings(look)
matters = [
    claim for claim in claims if claim.rule == "a unit matters" and claim.hook_point == layer and claim.unit is not None
]
of_top = next(claim for claim in matters if claim.unit == top_unit)
passing, raised = sum(claim.shown for claim in matters), float(effects["loss_increase"][top_unit])
reached = float(effects["loss_increase_null_high"][top_unit])
lesson.say(f"""Ablating unit {top_unit} raises the loss by {raised:.3f} nats. Random directions of the same length raise it by up to {reached:.3f} nats (97.5% of them by less).
{"So this unit does more than they do" if raised > reached else "So this could be any direction"}, and that it matters by itself is **{of_top.verdict}**. Of the {len(matters)} units of this layer, {passing or "none"} {"pass" if passing > 1 else "passes"} all tests.""")
lesson.say(f"*In full:* {of_top.text}")

# %% [markdown]
# *Not shown* is not the same as *shown to be nothing*: near its end the long form says which effect would have been large enough to be shown.
#
# The control has a weakness. After a ReLU no activation is below 0, so all points lie in one corner of the space, the positive *orthant*. A random direction leads out of it, to
# values that the network never sees. I feared that the loss rises there only because they are strange. A second control stays inside: where an activation reaches 0, it stops.

# %% tags=["varies"]
inside = causal.ablate_directions(model, images, layer, draws=lesson.pick(200, 50), within="orthant")["loss_increase"]
outside = causal.ablate_directions(model, images, layer, draws=1000)["loss_increase"]
increase = effects["loss_increase"].values
above = {
    name: int((increase > np.percentile(null.values, 97.5, axis=0) + 1e-9).sum())
    for name, null in {"all directions": outside, "directions within the orthant": inside}.items()
}
lesson.say(f"""Mean loss increase of a direction: {1000 * float(outside.mean()):.2f} thousandths of a nat if it may leave the orthant,
{1000 * float(inside.mean()):.2f} if it stays. Units above the middle 95% of the null, one by one and without a correction: {above["all directions"]} of {units} for all directions,
{above["directions within the orthant"]} for those within the orthant. {"So directions that leave the orthant do more harm, as I feared." if float(outside.mean()) > float(inside.mean()) else "So directions that leave the orthant do no more harm than those that stay: the fear is not confirmed here."}""")

# %% [markdown]
# These are two controls, and a text about ablations should name the one it used. From here on it is the first.
#
# One more trap. We picked the unit with the largest loss increase *because* it was largest on these images. Let's choose it on one half of the images and ask the other half:

# %% tags=["varies"]
choose, judge = halves(images.labels)
changes = effects["loss_change"].values
winner = int(changes[:, choose].mean(1).argmax())
low, high = bootstrap_mean(changes[winner, judge])
lesson.say(f"""On {len(choose):,} images unit {winner} has the largest loss increase: {changes[winner, choose].mean():+.4f} nats. On {len(judge):,} others, which had no
part in the choice, ablating it changes the loss by {changes[winner, judge].mean():+.4f} nats (95% interval {low:+.4f} to {high:+.4f}).
{"An increase remains, though its lead over the others may have been luck." if nm.statistics.excludes(low, high) and low > 0 else "An increase is not shown there."}""")

# %% [markdown]
# On the images that made the choice, the winner tends to look better than it is. So from section 5 on, we choose a unit or an order on one half of *all* test images, which are many more, and judge it on the other half:

# %% tags=["varies"]
choosing, judging = (data.test.subset(half) for half in halves(data.test.labels))
chosen_increase = causal.ablate_all(model, choosing, layer, draws=20)["loss_increase"].values
patient = int(chosen_increase.argmax())
lesson.say(
    f"Chosen on {len(choosing):,} images, unit {patient} has the largest loss increase ({chosen_increase[patient]:+.4f} nats). It is the `patient` of sections 5 and 6."
)

# %% [markdown]
# ## 3. Zero, mean, or another image's value?
#
# Zero is only one of the things we can put in a unit's place, and each of them asks a different question.
#
# * *Zero ablation:* what if the unit were never active? If it is hardly ever at 0, the network meets something that it has never seen, and part of the loss increase is surprise.
# * *Mean ablation:* what if it always had its mean? Only its information about *this* image is gone.
# * *Resample ablation:* what if it had its value on another image, drawn at random? Each value does occur, but now it may be misleading.
#
# Here is mean ablation by hand, for the unit with the largest loss increase in section 2, and then all three for every unit:


# %% tags=["varies"]
def always_the_mean(tensor, hook):
    changed = tensor.clone()
    changed[:, top_unit] = float(acts[:, top_unit].mean())
    return changed


methods = {
    name: causal.ablate_all(model, images, layer, method=name, draws=2000) for name in ("zero", "mean", "resample")
}
mean_by_hand = evaluate([(layer, always_the_mean)])[0] - loss
assert abs(mean_by_hand - float(methods["mean"]["loss_increase"][top_unit])) < 1e-5
increases = {name: table["loss_increase"].values for name, table in methods.items()}
nm.plots.lines(
    {name: (np.arange(1, units + 1), np.sort(values)) for name, values in increases.items()},
    x="units, each line in its own rising order",
    y="loss increase (nats)",
    title="The loss increase depends on what replaces the unit",
    marks={"no increase": 0.0},
)

# %% [markdown]
# *What to look at:* the right end, where the units are that we would call important, and how far the three lines lie apart there.

# %% tags=["varies"]
order = sorted(increases, key=lambda name: -increases[name].mean())
agree = {name: spearman(increases["zero"], increases[name]) for name in ("mean", "resample")}
lesson.say(f"""The mean over the units, in thousandths of a nat: {", ".join(f"{1000 * increases[name].mean():.1f} by {name}" for name in order)}. Do the three at least
name the same units? The rank correlation of zero with mean is {agree["mean"][0]:.2f} (95% interval over {units} units
{agree["mean"][1]:.2f} to {agree["mean"][2]:.2f}), with resample {agree["resample"][0]:.2f} ({agree["resample"][1]:.2f} to
{agree["resample"][2]:.2f}). Units beyond random directions (q < 0.05):
{", ".join(f"{int(nm.statistics.shown(methods[name]['loss_increase_q']).sum())} by {name}" for name in increases)}.
So the three {"name partly different units" if max(agree[name][0] for name in agree) < 0.9 else "name nearly the same units"}.""")
assert not lesson.full or increases["mean"].mean() < increases["zero"].mean()

# %% [markdown]
# So say which of the three questions "important" answers. After a ReLU, 0 is a value that a unit often has anyway, so zero ablation is less strange here than elsewhere. After a tanh I prefer the mean.
#
# ### Exercise 2: mean ablation
# *Difficulty ●●○○ · 10 minutes*
#
# Write `mean_ablation(reference, unit)`. It returns a hook function that puts the unit's mean **over the reference activations** (a tensor [example, unit]) in the unit's place. The
# images that pass later may be others.

# %% [markdown] tags=["hint"]
# Take the mean outside the hook function, from `reference[:, unit]`. If you take it inside, from the tensor that passes, the result for one image depends on which other images
# are in its batch.


# %% tags=["stub"]
def mean_ablation(reference, unit):
    raise NotImplementedError("return a function of (tensor, hook) that returns the changed tensor")


# %% tags=["solution"]
def mean_ablation(reference, unit):
    average = reference[:, unit].mean()

    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = average
        return changed

    return hook_fn


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    def drawn(n, width):
        return torch.tensor(rng.normal(1, 3, size=(n, width)), dtype=torch.float32)

    for n, width in ((5, 4), (12, 3), (8, 9), (1500, 6)):
        unit, references = int(rng.integers(width)), [drawn(n, width), drawn(n, width)]
        with lessons.unchanged(reference=references[0], **{"the second reference": references[1]}):
            hooks = [mean_ablation(reference, unit) for reference in references]
            for which in (0, 1, 0):
                hook_fn, batch, wanted = hooks[which], drawn(7, width), float(references[which][:, unit].mean())
                assert callable(hook_fn), f"a hook function should come back, not a {type(hook_fn).__name__}"
                with lessons.unchanged(**{"the tensor that came in": batch}):
                    found = hook_fn(batch, model.hook_points[layer])
                assert torch.is_tensor(found), "the hook function should return a tensor, which replaces the first"
                with lessons.unchanged(**{"what came back for the last batch": found}):
                    one, _ = (hook_fn(some, model.hook_points[layer]) for some in (batch[:1], batch - 1))
                assert found.shape == batch.shape, (
                    f"the hook got {list(batch.shape)}, with a reference of {n} images, and returned {list(found.shape)}"
                )
                others = [i for i in range(width) if i != unit]
                assert torch.allclose(found[:, others], batch[:, others]), (
                    f"only unit {unit} was named; other units have changed"
                )
                assert not torch.allclose(found[:, unit], batch[:, unit].mean(), atol=1e-4), (
                    "the mean was taken over the images that pass, so an image's result depends on its neighbors in the batch"
                )
                assert torch.allclose(found[:, unit], torch.tensor(wanted), atol=1e-4), (
                    f"the mean of unit {unit} over its reference of {n} images is {wanted:.3f}, and {found[0, unit]:.3f} came from the "
                    f"{('first', 'second')[which]} of two hook functions"
                )
                assert torch.allclose(one, found[:1], atol=1e-5), (
                    "an image by itself gives another result than in its batch"
                )
    increase = evaluate([(layer, mean_ablation(torch.from_numpy(acts.values), top_unit))])[0] - loss
    assert abs(increase - mean_by_hand) < 1e-4, (
        f"on the network the loss increases by {increase:.5f} nats; by hand it was {mean_by_hand:.5f}"
    )


# %% tags=["right"]
def mean_ablation(reference, unit):  # numpy
    average = float(np.mean(reference.numpy()[:, unit]))

    def hook_fn(tensor, hook):
        values = tensor.detach().numpy().copy()
        values[:, unit] = average
        return torch.from_numpy(values)

    return hook_fn


# %% tags=["right"]
def mean_ablation(reference, unit):  # the mean inside, but of the reference
    def hook_fn(tensor, hook):
        named = torch.arange(tensor.shape[1]) == unit
        return torch.where(named, reference.sum(0) / len(reference), tensor)

    return hook_fn


# %% tags=["right"]
def mean_ablation(reference, unit):
    value = torch.mean(reference, dim=0)[unit]
    return lambda tensor, hook: tensor.index_fill(1, torch.tensor([unit]), float(value))


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the mean of the images that pass
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = tensor[:, unit].mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # edits its input
    average = reference[:, unit].mean()

    def hook_fn(tensor, hook):
        tensor[:, unit] = average
        return tensor

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the mean over all units
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference.mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the mean over the wrong axis
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference[unit % len(reference)].mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the median
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference[:, unit].median()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # zero ablation
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = 0
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # every unit gets its mean
    return lambda tensor, hook: reference.mean(0).expand_as(tensor).clone()


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the mean where the unit is active only
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        column = reference[:, unit]
        changed[:, unit] = column[column > 0].mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # takes the mean away
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] -= reference[:, unit].mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # always unit 1
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, 1] = reference[:, 1].mean()
        return changed

    return hook_fn


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # returns the tensor, not a function
    changed = reference.clone()
    changed[:, unit] = reference[:, unit].mean()
    return changed


# %% tags=["wrong"]
def mean_ablation(reference, unit):  # the hook returns nothing
    def hook_fn(tensor, hook):
        changed = tensor.clone()
        changed[:, unit] = reference[:, unit].mean()

    return hook_fn


# %% [markdown]
# ## 4. Do selective units matter more?
#
# A *selective* unit responds to one class more than to the others. Morcos and others (2018) asked whether such units matter more. Each unit gets two numbers: its
# AUC (section 1), and the loss increase when it is ablated.
#
# **What is the rank correlation of the two, from −1 to 1?**

# %%
mine = 0.5  # your guess
lesson.guess("selective is important", mine)

# %% tags=["varies"]
untrained = nm.activations(run.model(step=0), images, layer)[layer]
rho, low, high = spearman(tuning["auc"].values, effects["loss_increase"].values)
link = next(c for c in claims if c.rule == "selectivity and effect go together" and c.hook_point == layer)
if lesson.reveal("selective is important", round(rho, 2)):
    display(nm.plots.selectivity(tuning, effects, selectivity.class_selectivity(untrained)))
    lesson.say(
        f"""The rank correlation is {rho:+.2f} (95% interval over units {low:+.2f} to {high:+.2f}; 0: no relation). That selective units matter more, or less, is **{link.verdict}**."""
    )
    lesson.say(f"*In full:* {link.text}")
assert abs(rho - link.numbers["rho"]) < 0.05

# %% [markdown]
# *What to look at:* each unit is drawn as the digit it prefers, with a 95% interval; the four highest are named. If selective units mattered more, the cloud would rise to the right. (The axis is the *class selectivity* of
# [03](03_Analyze_Activations.ipynb), another measure of the same thing as AUC. Gray ticks: the units of the untrained network.)
#
# The last lines are the library's claim, with its nulls. What is easy to see and what matters are two different measurements.
#
# ## 5. Doses
#
# From here on we treat unit `patient`, chosen on one half of the test images at the end of section 2. An ablation is one dose of a treatment: the unit's value times 0. A *dose-response* curve tries others, from nothing to three times as much. The gray band is the null: other units
# of the same layer, scaled in the same way.

# %% tags=["varies"]
doses = causal.dose_response(model, judging, layer, unit=patient)
nm.plots.dose_response(doses)

# %% [markdown]
# *What to look at:* at dose 1 nothing is changed, and the loss increase is exactly 0. To the left the unit is turned down, to the right up. Does the line leave the band? On the right, the same doses by class: which
# classes gain when the unit is turned up, and which lose?
#
# This control is not that of section 2. There we asked whether ablating a unit does more than *any push* of that length; here, whether scaling this unit does more than scaling *other units*. A unit may pass one and fail the other.

# %% tags=["varies"]
off, most = doses.isel(bin=0), doses.isel(bin=-1)
worse = float(most["loss_increase"]) > float(off["loss_increase"])
lesson.say(f"""Without unit {patient} the loss on the {len(judging):,} images it was not chosen on changes by {float(off["loss_increase"]):+.4f} nats (95%
interval {float(off["loss_increase_low"]):+.4f} to {float(off["loss_increase_high"]):+.4f}); at {float(most["factor"]):g} times its value
by {float(most["loss_increase"]):+.4f} nats. The null is {doses.attrs["null"]}; the *one-sided* p, the share of units that do as much or more (this one counted), is
{float(off["loss_increase_p"]):.2f} at dose 0 and {float(most["loss_increase_p"]):.2f} at dose {float(most["factor"]):g}.
So {float(most["factor"]):g} times this unit raises the loss {"more" if worse else "less"} than its absence does, and at dose 0 it is {"" if float(off["loss_increase_p"]) < 0.05 else "not "}shown to do more than other units.""")
assert float(doses["loss_increase"].sel(bin=doses["factor"].values == 1).item()) == 0

# %% [markdown]
# ## 6. Which images change sides?
#
# A loss is one number. The *confusion shift* shows which predictions change: the confusion matrix after the ablation minus the one before. Its null is each unit of the layer in its
# turn.

# %% tags=["varies", "card"]
shift = causal.confusion_shift(model, judging, [(layer, nm.interventions.zero(unit=patient))])
nm.plots.confusion_shift(shift)

# %% [markdown]
# *What to look at:* each row is a digit and sums to 0, because an image that leaves one column must arrive in another. Blue on the diagonal: images that are now misclassified. Orange
# beside it: what they are classified as. A bold number lies outside the middle 95% of the layer's units.

# %% tags=["varies"]
by_row = shift["shift"].values
assert (by_row.sum(1) == 0).all()
aside = by_row - np.diag(np.diag(by_row))
row, column = np.unravel_index(aside.argmax(), aside.shape)
lesson.say(f"""The prediction changes for {float(shift["moved"]):.2%} of {len(judging):,} test images; over all units of the layer that share is
{float(shift["moved_null_low"]):.2%} to {float(shift["moved_null_high"]):.2%}. The largest shift: {int(aside.max())} more
{"images" if aside.max() != 1 else "image"} of class {row} classified as {column}.""")

# %% [markdown]
# ## 7. Many at once
#
# If no single unit is indispensable, how many can go? *Cumulative ablation* ablates one after the other, in some order. We try two orders: by loss increase, and by selectivity. They
# are chosen on one half of the images, and the accuracy is measured on the other. Their control is 40 random orders.
#
# **In a random order, what share of the units must be ablated before the accuracy falls below 90%?**

# %%
mine = 0.2  # your guess
lesson.guess("how many", mine)


# %% tags=["varies"]
def falls(network, n=1000):
    """Cumulative ablation in two orders chosen on one half of the test images; and the areas of 40 orders of living units."""
    there = nm.activations(network, choosing, layer)[layer]
    increase = causal.ablate_all(network, choosing, layer, draws=20)["loss_increase"].values
    index = selectivity.class_selectivity(there, draws=20)["selectivity"].fillna(-1).values
    some = judging.balanced(min(n, judging.most_balanced))
    orders = {"by loss increase": np.argsort(-increase), "by selectivity": np.argsort(-index)}
    table = causal.cumulative_ablation(network, some, layer, orders, draws=40)
    rng, alive = np.random.default_rng(1), (there.values > 0).mean(0) >= 0.01
    living = [np.concatenate([rng.permutation(np.flatnonzero(alive)), np.flatnonzero(~alive)]) for _ in range(40)]
    stricter = causal.cumulative_ablation(
        network, some, layer, {str(i): order for i, order in enumerate(living)}, draws=1
    )
    return table, stricter["auc"].values, int((~alive).sum())


fall, living, silent = falls(model)
at_random = fall["random_accuracy"].mean("draw").values
enough = float(fall["share"].values[np.flatnonzero(at_random < 0.9)[0]])
if lesson.reveal("how many", round(enough, 2)):
    display(nm.plots.cumulative_ablation(fall))

# %% [markdown]
# *What to look at:* how far the gray band of random orders stays high. A line below the band is an order that finds the units the network can't do without.
#
# **But is the null fair?** A random order spends some of its steps on units that are hardly ever active, and those change nothing. An order by loss increase or by selectivity leaves
# them for the end. So let's have a stricter null, which shuffles only the *living* units: those active for at least 1% of the images. We compare the area under each curve, with shares from 0 to 1: it is the mean accuracy, and 1 for one that stays at 100% (the legend gives it in percent).

# %% tags=["varies"]
band, strict = (float(fall["auc_null_low"]), float(fall["auc_null_high"])), np.percentile(living, [2.5, 97.5])
words = []
for name in fall["order"].values:
    area = float(fall["auc"].sel(order=name))
    p = (1 + (living <= area).sum()) / (1 + len(living))
    bound = "≤" if (living <= area).sum() == 0 else "="
    lies = "below neither" if area >= band[0] else "below the first only" if area >= strict[0] else "below both"
    words.append(
        f"{name} it is {area:.2f}, {lies} (among the living p {bound} {p:.3f}, one-sided, {len(living)} draws)"
    )
left = float(fall["accuracy"].sel(order="by loss increase")[np.abs(fall["share"].values - 0.5).argmin()])
lesson.say(f"""The area is {band[0]:.2f} to {band[1]:.2f} for random orders, and {strict[0]:.2f} to {strict[1]:.2f} for random orders of
living units ({silent} are hardly ever active). Ordered {", and ".join(words)}. (n = {fall.attrs["n_examples"]:,} images that chose no order.)
So ablating a well-chosen half of the layer leaves an accuracy of {left:.0%}, though ablating a single unit takes at most {100 * float(effects["accuracy_drop"].max()):.1f} points.""")
assert not lesson.full or (0.15 < enough < 0.85 and strict[0] < band[0])
assert not lesson.full or float(fall["auc"].sel(order="by selectivity")) < band[0]
assert not lesson.full or float(fall["accuracy"].sel(order="by loss increase")[5]) < 0.85

# %% [markdown]
# Why can a network do without each of its units? Either its predictions have a margin that one ablation doesn't use up, or other units stand in for the one that is gone. Let's look at the second.
#
# ### Exercise 3: two at once
# *Difficulty ●●○○ · 15 minutes*
#
# Two units with the same information can stand in for each other: each alone can go, both together can't. Write `pair_drops(model, images, layer, i, j)`. It returns three numbers:
# the *accuracy drop* (a share, 0..1; negative where the accuracy rises) without unit i, without unit j, and without both. `images` is an image set, with `tensor()` and
# `label_tensor()`. Leave the model as it was.

# %% [markdown] tags=["hint"]
# `nm.interventions.zero(unit=[i, j])` ablates both. Write a small function that gives the accuracy for a list of hooks, and call it four times: for none, i, j, and both.


# %% tags=["stub"]
def pair_drops(model, images, layer, i, j):
    raise NotImplementedError("return (drop without i, drop without j, drop without both)")


# %% tags=["solution"]
def pair_drops(model, images, layer, i, j):
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero = nm.interventions.zero
    whole = accuracy([])
    return tuple(whole - accuracy([(layer, zero(unit=ablated))]) for ablated in (i, j, [i, j]))


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    def case(place, n, without):
        """A random network, images, and two units. Most labels are what it predicts, 0: as it is, or 1: without unit i."""
        for _ in range(500):
            torch.manual_seed(int(rng.integers(1 << 30)))
            one, two, three = (torch.nn.Linear(*sizes) for sizes in ((4, 5), (5, 4), (4, 3)))
            planted = torch.nn.Sequential(torch.nn.Flatten(), one, torch.nn.ReLU(), two, torch.nn.ReLU(), three)
            pixels, predicted = rng.integers(0, 256, size=(n, 2, 2)).astype(np.uint8), []
            with torch.no_grad():
                hidden = planted[: place + 1](nm.data.ImageSet(pixels, np.zeros(n, int), classes=3).tensor())
                i, j = (int(unit) for unit in rng.permutation(hidden.shape[1])[:2])
                for gone in ([], [i], [j], [i, j]):
                    kept = hidden.clone()
                    kept[:, gone] = 0
                    predicted.append(planted[place + 1 :](kept).argmax(1).numpy())
            labels = np.where(rng.random(n) < 0.8, predicted[without], rng.integers(0, 3, n))
            whole, *after = (float(np.mean(one == labels)) for one in predicted)
            a, b, both = drops = [whole - one for one in after]
            if both not in (a, b, a + b) and a != b and 0 not in drops and (min(drops) < 0) == without:
                return planted, nm.data.ImageSet(pixels, labels, classes=3), f"{place}.hook_out", i, j, drops
        raise RuntimeError("no case was found")

    for place, n, without in ((2, 40, 0), (4, 60, 0), (2, 40, 1)):
        planted, some, layer, i, j, wanted = case(place, n, without)
        looking = nm.hooked(planted.train(place == 2))
        looking.add_hook("5.hook_out", lambda tensor, hook: None)  # another's, that changes nothing
        with lessons.unchanged(planted):
            found = pair_drops(looking, some, layer, i, j)
        found = np.atleast_1d(np.asarray(found, dtype=object)).tolist()
        assert len(found) == 3, f"three numbers should come back, not {len(found)}"
        for name, got, true in zip((f"unit {i}", f"unit {j}", "both"), found, wanted, strict=True):
            assert abs(float(got) - true) < 1e-4, (
                f"at {layer}, without {name}, the accuracy drop is {true:.3f}, and {float(got):.3f} came: is it accuracy before minus after, "
                "at that layer, of those units, and are both ablated in one forward pass"
            )


# %% tags=["right"]
def pair_drops(model, images, layer, i, j):  # a hook of one's own, and numpy
    x, y = images.tensor(), images.labels

    def accuracy(*gone):
        def hook_fn(tensor, hook):
            mask = torch.ones(tensor.shape[1])
            mask[list(gone)] = 0
            return tensor * mask

        with torch.no_grad():
            logits = model.run_with_hooks(x, fwd_hooks=[(layer, hook_fn)])
        return np.mean(logits.numpy().argmax(1) == y)

    return [accuracy() - accuracy(i), accuracy() - accuracy(j), accuracy() - accuracy(i, j)]


# %% tags=["right"]
def pair_drops(model, images, layer, i, j):  # two hooks at once, and the error in place of the accuracy
    def error(units):
        with model.hooks([(layer, nm.interventions.zero(unit=unit)) for unit in units]):
            return (model(images.tensor()).argmax(1) != images.label_tensor()).double().mean().item()

    return error([i]) - error([]), error([j]) - error([]), error([i, j]) - error([])


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # both: the sum of the two
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    one, other = (accuracy([]) - accuracy([(layer, nm.interventions.zero(unit=unit))]) for unit in (i, j))
    return one, other, one + other


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # both: the larger of the two
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    one, other = (accuracy([]) - accuracy([(layer, nm.interventions.zero(unit=unit))]) for unit in (i, j))
    return one, other, max(one, other)


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # after minus before
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero = nm.interventions.zero
    return tuple(accuracy([(layer, zero(unit=gone))]) - accuracy([]) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # the accuracy that is left
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    return tuple(accuracy([(layer, nm.interventions.zero(unit=gone))]) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # the layer is the first one, whatever is asked
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero = nm.interventions.zero
    return tuple(accuracy([]) - accuracy([("2.hook_out", zero(unit=gone))]) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # predictions that change, without the labels
    def predicted(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return model(images.tensor()).argmax(1)

    zero = nm.interventions.zero
    return tuple(
        float((predicted([]) != predicted([(layer, zero(unit=gone))])).float().mean()) for gone in (i, j, [i, j])
    )


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # in points
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero = nm.interventions.zero
    return tuple(100 * (accuracy([]) - accuracy([(layer, zero(unit=gone))])) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # the loss in place of the accuracy
    def loss_of(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float(cross_entropy(model(images.tensor()), images.label_tensor()))

    zero = nm.interventions.zero
    return tuple(loss_of([(layer, zero(unit=gone))]) - loss_of([]) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # a count of images
    def correct(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return int((model(images.tensor()).argmax(1) == images.label_tensor()).sum())

    zero = nm.interventions.zero
    return tuple(correct([]) - correct([(layer, zero(unit=gone))]) for gone in (i, j, [i, j]))


# %% tags=["wrong"]
def pair_drops(model, images, layer, i, j):  # both without the singles
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    return accuracy([]) - accuracy([(layer, nm.interventions.zero(unit=[i, j]))])


# %% [markdown]
# Now for all pairs of the layer. After this layer only a matrix follows, so ablating two units takes the contributions of both from the logits. The *excess* is the loss increase of
# both minus the two single ones. Where two units stand in for each other, it is above 0.
#
# But a little excess comes with any two pushes in the same direction, because the loss is curved. So all pairs together are the null. We choose the pair with the largest excess on
# one half of the images and judge it on the other.

# %% tags=["varies"]
weight, bias = (part.detach() for part in (model.output.weight, model.output.bias))
hidden = torch.from_numpy(acts.values)
base = hidden @ weight.T + bias  # [example, class]
parts = hidden[:, :, None] * weight.T[None]  # [example, unit, class]: what each unit adds to each logit


def nats(logits):
    return cross_entropy(logits, labels, reduction="none")  # the loss of each image


with torch.no_grad():
    alone = torch.stack([nats(base - parts[:, i]) for i in range(units)]) - nats(base)  # [unit, example]
    first, second = np.triu_indices(units, 1)  # each pair once
    pairs = [nats(base - parts[:, i] - parts[:, j]) for i, j in zip(first, second, strict=True)]
    both = torch.stack(pairs) - nats(base)  # [pair, example]
assert np.abs(alone.numpy() - effects["loss_change"].values).max() < 1e-4
excess = both.numpy() - alone[first].numpy() - alone[second].numpy()  # [pair, example]
top = int(excess[:, choose].mean(1).argmax())
judged = excess[top, judge]
low, high = bootstrap_mean(judged)
pair_low, pair_high = np.percentile(excess[:, judge].mean(1), [2.5, 97.5])
lesson.say(f"""Of {len(first):,} pairs, {(excess[:, judge].mean(1) > 0).mean():.0%} raise the loss more together than the sum of both. The pair chosen, units
{first[top]} and {second[top]}, raises it by {1000 * both[top, judge].mean():.1f} thousandths of a nat together, and by
{1000 * alone[first[top], judge].mean():.1f} and {1000 * alone[second[top], judge].mean():.1f} alone. The excess is
{1000 * judged.mean():.1f} (95% interval over {len(judge):,} images {1000 * low:.1f} to {1000 * high:.1f}; the middle 95% of all pairs
{1000 * pair_low:.1f} to {1000 * pair_high:.1f}). {"So these two partly stand in for each other, more than ordinary pairs do." if nm.statistics.excludes(low, high, pair_high) and low > pair_high else "So it is not shown that these two stand in for each other more than ordinary pairs do."}
{"For most pairs there is no excess at all, so pairs that stand in for each other are not the general reason; the margin may be." if (excess[:, judge].mean(1) > 0).mean() < 0.5 else "An excess above 0 is common among pairs, so standing in for each other may be a part of the reason."}""")

# %% [markdown]
# ## 8. Where single units do matter, and where one stands out
#
# Did we find so little because our method is blind? Two other networks help us to find out. The first has a *bottleneck*: a layer of four units, through which everything must pass.
#
# **By how many points does the accuracy fall when we ablate the most important of its four units?**

# %%
mine = 30.0  # your guess
lesson.guess("bottleneck", mine)

# %% tags=["varies"]
narrow = lesson.run("mlp-narrow", nm.MLPConfig(hidden=(64, 4)), training)
narrow_effects = causal.ablate_all(narrow.model(), narrow.probe, layer)
largest = 100 * float(narrow_effects["accuracy_drop"].max())
ratio = float(narrow_effects["loss_increase"].max()) / float(effects["loss_increase"].max())
narrow_beyond = int(nm.statistics.shown(narrow_effects["loss_increase_q"]).sum())
if lesson.reveal("bottleneck", round(largest, 1)):
    display(nm.plots.ablation(narrow_effects))
    lesson.say(f"""This network's accuracy is {narrow_effects.attrs["accuracy"]:.1%}. Ablating one unit lowers it by
    {100 * float(narrow_effects["accuracy_drop"].min()):.0f} to {largest:.0f} points, and raises the loss up to {ratio:,.0f} times as much as any unit of the wide layer did.
    Beyond a random direction of the same norm (q < 0.05): {narrow_beyond or "none"} of the four (smallest q {float(narrow_effects["loss_increase_q"].min()):.2f}).
    {"So the network needs these units, and more than other directions of the layer." if narrow_beyond else "So the network needs these four numbers, but it is not shown that it needs them along these four axes."}""")
assert not lesson.full or (largest > 15 and ratio > 100)

# %% [markdown]
# *What to look at:* first the scale of the loss increase, then the gray boxes. They have grown with the dots, because in a layer this narrow every direction is needed.
#
# The second network is convolutional. Its *channels* are built to be units: one kernel each, the same at every place of the image.

# %% tags=["varies"]
settings = {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 0.1, "learning_rate": 3e-3}
draws = lesson.pick(400, 200)  # one of 16 channels could pass alone from 320 on
cnn = lesson.run("cnn-short", nm.CNNConfig(), nm.TrainConfig(epochs=1, warmup_steps=lesson.pick(100, 10), **settings))
some = cnn.probe.balanced(lesson.pick(300, 100))
channels = causal.ablate_all(cnn.model(), some, "layers.0.hook_post", draws=draws)
nm.plots.ablation(channels)

# %% [markdown]
# *What to look at:* dots above their gray boxes, at the left end: channels that raise the loss more than mixes of channels with the same norm do. (Some boxes are higher than the picture.)

# %% tags=["varies"]
before = causal.ablate_all(cnn.model(step=0), some, "layers.0.hook_post", draws=draws)
outstanding = np.flatnonzero(nm.statistics.shown(channels["loss_increase_q"])).tolist()
stand_out = len(outstanding)
lesson.say(f"""{stand_out or "None"} of {channels.sizes["channel"]} channels of the first convolution {"stand" if stand_out != 1 else "stands"} out{f" (number {' and '.join(map(str, outstanding))})" if outstanding else ""} (q < 0.05, n = {channels.attrs["n_examples"]}
images, one network); in the untrained network {int(nm.statistics.shown(before["loss_increase_q"]).sum()) or "none"}.
{"So the control can be passed, and the method is not blind." if stand_out else "So this form shows no case in which the control is passed."}""")
assert not lesson.full or stand_out >= 1

# %% [markdown]
# ### Exercise 4: a random control
# *Difficulty ●●●○ · 15 minutes*
#
# You chose a set of units for a good reason, and ablating it raises the loss a lot. Would any set of that size do? Write `control_p(effect_of, chosen, units, draws, seed)`: the share
# of random sets, **of as many different units** out of 0..units−1, with at least the effect of the chosen set. `effect_of(list_of_units)` gives the effect of a set. Count the
# chosen set itself as one more draw, so that p is never 0.

# %% [markdown] tags=["hint"]
# `np.random.default_rng(seed).choice(units, size=len(chosen), replace=False)` draws one set. With k of the draws at or above the effect of the chosen set, p = (1 + k) / (1 + draws).


# %% tags=["stub"]
def control_p(effect_of, chosen, units, draws, seed):
    raise NotImplementedError("return one number above 0 and at most 1")


# %% tags=["solution"]
def control_p(effect_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    def ask(effect, chosen, units, draws, seed):
        """p, and the sets that were asked about."""
        asked = []

        def effect_of(some):
            asked.append(tuple(sorted(int(unit) for unit in some)))
            return effect(asked[-1])

        with lessons.unchanged(chosen=chosen):
            p = control_p(effect_of, chosen, units, draws, seed)
        assert p is not None and asked, "a p should come back, by effect_of, which alone knows the effect of a set"
        return float(p), asked

    weights = rng.integers(-4, 5, 12).tolist()
    cases = [
        (lambda some: float(0 in some), [0, 5], 10),
        (lambda some: float(some[1] - some[0] in (1, 9)), [3, 4], 10),
        *((lambda some: float(sum(some)), chosen, 10) for chosen in ([8, 9], [0, 4])),
        *((lambda some: sum(weights[unit] for unit in some) / 1e6, list(range(k)), u) for k, u in ((3, 9), (5, 12))),
        (lambda some: 1.0, [1, 4], 7),
    ]
    for effect, chosen, units in cases:
        sets = list(itertools.combinations(range(units), len(chosen)))
        reach = float(np.mean([effect(some) >= effect(chosen) for some in sets]))
        for draws in (7, 3000):
            p, asked = ask(effect, chosen, units, draws, 3)
            assert {len(some) for some in asked} | {len(set(some)) for some in asked} == {len(chosen)}, (
                f"some random sets have not {len(chosen)} different units, as the chosen set has: draw without replacement"
            )
            assert abs(p * (1 + draws) - round(p * (1 + draws))) < 1e-6 and 0 < p <= 1, (
                f"p should be (1 + k) / (1 + {draws}), with k of {draws} draws at or above the chosen set's effect; {p:.5f} came"
            )
        drawn = {unit for some in asked if some != tuple(chosen) for unit in some}
        assert drawn == set(range(units)), (
            f"of the units 0 to {units - 1}, with {chosen} chosen, the random sets hold only {sorted(drawn)}: any unit may be drawn, a chosen one too"
        )
        assert abs(p - reach) < 5 * (reach * (1 - reach) / draws) ** 0.5 + 2 * (1 - reach) / draws + 1e-9, (
            f"{reach:.1%} of all {len(sets)} sets of {len(chosen)} units have at least the effect of the chosen one, so p should be near {reach:.3f}; {p:.6g} came: are all sets equally likely, and do equal effects count"
        )
    drawn = [frozenset(ask(lambda some: 1.0, [0, 2, 3, 7, 9], 12, 40, seed)[1]) for seed in (0, 1, 2, 3, 0)]
    assert drawn[0] == drawn[-1] and len(set(drawn)) == 4, (
        "the same seed should give the same random sets, and seeds 0, 1, 2 and 3 four different lists of them"
    )


# %% tags=["right"]
def control_p(effect_of, chosen, units, draws, seed):
    import random

    dice, wanted, reached = random.Random(seed), effect_of(chosen), 1
    for _ in range(draws):
        reached += effect_of(dice.sample(range(units), len(chosen))) >= wanted
    return reached / (draws + 1)


# %% tags=["right"]
def control_p(effect_of, chosen, units, draws, seed):  # torch, and the chosen set as the first of the draws
    dice = torch.Generator().manual_seed(seed)
    sets = [list(chosen)] + [torch.randperm(units, generator=dice)[: len(chosen)].tolist() for _ in range(draws)]
    found = np.array([effect_of(one) for one in sets])
    return np.mean(found >= found[0])


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # the chosen set is not counted
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    return np.mean([effect_of(rng.choice(units, len(chosen), replace=False).tolist()) >= effect for _ in range(draws)])


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # ties do not count
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other > effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # a unit may come twice
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen)).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # three units, whatever the chosen set has
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, 3, replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # the other tail
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other <= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # only units that were not chosen
    rng = np.random.default_rng(seed)
    effect, others = effect_of(chosen), [unit for unit in range(units) if unit not in chosen]
    drawn = [effect_of(rng.choice(others, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # the seed is ignored
    rng = np.random.default_rng()
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # one seed for all
    rng = np.random.default_rng(0)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # always 1,000 draws
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(1000)]
    return (1 + sum(other >= effect for other in drawn)) / 1001


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # units in a row
    rng = np.random.default_rng(seed)
    effect, k = effect_of(chosen), len(chosen)
    starts = [int(rng.integers(units)) for _ in range(draws)]
    drawn = [effect_of([(start + i) % units for i in range(k)]) for start in starts]
    return (1 + sum(other >= effect for other in drawn)) / (1 + draws)


# %% tags=["wrong"]
def control_p(effect_of, chosen, units, draws, seed):  # adds one above only
    rng = np.random.default_rng(seed)
    effect = effect_of(chosen)
    drawn = [effect_of(rng.choice(units, len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= effect for other in drawn)) / draws


# %% [markdown]
# ## 9. Patching: which unit carries the difference?
#
# *Activation patching* transplants: it takes a unit's value from the run on one image and puts it into the run on another. Take a 3 and an 8. We ask the
# network for the *logit* (its output for a class) of the 3 minus that of the 8: high on the 3, low on the 8.
#
# * *Denoising:* a value of the 3 goes into the run on the 8. How much of the difference returns?
# * *Noising:* a value of the 8 goes into the run on the 3. How much of it is left?
#
# By hand, for one pair, for each unit of the last layer:

# %% tags=["varies"]
threes, eights = (
    data.test.subset(np.flatnonzero(data.test.labels == label)[: lesson.pick(100, 30)]) for label in (3, 8)
)
clean, corrupted = threes.tensor()[:1], eights.tensor()[:1]


def difference(image, hooks=()):
    with torch.no_grad(), model.hooks(hooks):
        logits = model(image)[0]
    return float(logits[3] - logits[8])


with torch.no_grad():
    _, of_three = model.run_with_cache(clean)
    _, of_eight = model.run_with_cache(corrupted)
high_end, low_end = difference(clean), difference(corrupted)
denoised, noised = [], []
for unit in range(units):
    into_eight = nm.interventions.patch(of_three[layer], unit=unit)
    into_three = nm.interventions.patch(of_eight[layer], unit=unit)
    denoised.append((difference(corrupted, [(layer, into_eight)]) - low_end) / (high_end - low_end))
    noised.append((difference(clean, [(layer, into_three)]) - low_end) / (high_end - low_end))
pair = causal.patch_between(model, threes.subset([0]), eights.subset([0]), layer, draws=50)
assert np.abs(np.array(denoised) - pair["denoising"].values).max() < 1e-3
assert np.abs(np.array(noised) - pair["noising"].values).max() < 1e-3
strong = int(np.argmax(denoised))
lesson.say(f"""The 3 gives {high_end:+.2f}, the 8 gives {low_end:+.2f}. Unit {strong} restores most: {denoised[strong]:.1%}; patched the other way, {noised[strong]:.1%} is left.
All {units} units together restore {sum(denoised):.3f}.""")

# %% [markdown]
# The shares sum to 1, and noising is 1 minus denoising. That isn't a finding. After this layer the network is linear, so the two questions are one. In the first layer, with a
# nonlinearity after it, they part. Over many pairs:

# %% tags=["varies"]
many = 6000  # one unit of 128 can pass alone from 5,120 draws on
patched = causal.patch_between(model, threes, eights, "layers.0.hook_post", draws=many)
nm.plots.patching(patched)

# %% [markdown]
# *What to look at:* on the left, how much of the difference one unit restores; on the right, how much is left when it is corrupted. If one unit carried the difference between 3 and
# 8, one dot would stand far from all others.

# %% tags=["varies"]
strongest = int(patched["denoising"].values.argmax())
found = int(nm.statistics.shown(patched["denoising_q"]).sum())
lesson.say(f"""The strongest of {patched.sizes["unit"]} units restores {float(patched["denoising"][strongest]):.1%} of the difference (95% interval
over {patched.attrs["n_examples"]} pairs {float(patched["denoising_low"][strongest]):.1%} to
{float(patched["denoising_high"][strongest]):.1%}; random directions {float(patched["denoising_null_low"][strongest]):.1%} to
{float(patched["denoising_null_high"][strongest]):.1%}). After correction for {patched.sizes["unit"]} units, {found or "none"}
{"is" if found < 2 else "are"} beyond random directions (smallest q {float(patched["denoising_q"].min()):.2f}).
{"A dot may lie outside its own band and not count: among so many units some do by luck, and q corrects for that." if not found else "So these units carry more of the difference than directions of the same norm do."} The single shares sum to
{float(patched["denoising"].sum()):.2f} and not to 1, because a ReLU follows. The interval is over these pairs of one network; it says nothing about other digits.""")
assert abs(float(patched["denoising_whole"]) - 1) < 1e-3

# %% [markdown]
# ## 10. A logit is a sum
#
# For the last layer we need no intervention at all. A logit *is* a sum: weight times activation over the units, plus the bias. This is called *direct logit attribution*, and we already
# have it by hand: it is `parts` of section 7.

# %% tags=["varies"]
with torch.no_grad():
    assert torch.allclose(parts.sum(1) + bias, model(pixels), atol=1e-4)
direct = causal.direct_logit_attribution(model, images)
assert np.abs(direct["contribution"].values - parts.numpy()).max() < 1e-4

logits = direct["logits"].values
lead = np.sort(logits, 1)[:, -1] - np.sort(logits, 1)[:, -2]
closest = int(np.where(logits.argmax(1) == images.labels, lead, np.inf).argmin())  # correct, but only just
print(f"image {closest}, class {images.labels[closest]}: the two highest logits lie {lead[closest]:.3f} apart")
nm.plots.direct_logit_attribution(direct, closest)

# %% [markdown]
# *What to look at:* this is the image that is classified correctly by the smallest margin. The bars on each side add up to that class's logit. Does any single unit decide?

# %% tags=["varies"]
ahead, behind = np.argsort(-logits[closest])[:2]
gap = (parts[closest, :, ahead] - parts[closest, :, behind]).numpy()  # what each unit adds to the lead
alone_decide = int((gap > lead[closest]).sum())
lesson.say(f"""Class {ahead} leads class {behind} by {lead[closest]:.3f}. Of {units} units, {alone_decide or "none"} {"add" if alone_decide > 1 else "adds"} more than that to the lead.
{f"So any one of them decides: without it, class {behind} would lead." if alone_decide else "So no single unit decides this image."}""")

# %% [markdown]
# On the other images the lead is larger. So let's ask all of them: which units contribute to a class beyond chance?

# %% tags=["varies"]
pairs_found = direct["evidence_q"] < 0.05
lesson.say(f"""Of {direct["evidence"].size} pairs of unit and class, {int(pairs_found.sum())} contribute more, or less, to a class's logit on its own images than on
others, beyond shuffled labels (q < 0.05, n = {len(images):,}). Of {units} units, {int((pairs_found.sum("class") >= 2).sum())} do so for two classes or more.""")

# %% [markdown]
# What a unit *adds* and what is *missing* without it are two questions: a large contribution to a logit that leads by far can go without a single prediction changing.
#
# **Does it hold on another seed?** We train networks that differ in nothing but their seed, and ask three of our questions again: does a unit stand out, do selective units matter more, and which order does most harm? (For
# speed the areas come from 500 images, so that of seed 0 may differ a little from the one above.)

# %% tags=["varies"]
runs = [
    run,
    *(
        lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(training, seed=seed))
        for seed in lesson.pick((1, 2, 3), (1,))
    ),
]
some_stand_out, related, harm = 0, 0, {"by loss increase": 0, "by selectivity": 0}
for one in runs:
    network = one.model()
    there = nm.activations(network, images, layer)[layer]
    ablated = causal.ablate_all(network, images, layer, draws=2000)
    rho, low, high = spearman(
        selectivity.class_selectivity(there, draws=20)["auc"].values, ablated["loss_increase"].values
    )
    table, living, _ = falls(network, n=500)
    least = np.percentile(living, 2.5)
    some_stand_out += bool(nm.statistics.shown(ablated["loss_increase_q"]).any())
    related += bool(nm.statistics.excludes(low, high))
    for name in harm:
        harm[name] += float(table["auc"].sel(order=name)) < least
    areas = ", ".join(f"{name} {float(table['auc'].sel(order=name)):.2f}" for name in harm)
    lesson.say(
        f"seed {one.train_config.seed}: smallest q {float(ablated['loss_increase_q'].min()):.2f}; correlation {rho:+.2f} ({low:+.2f} to {high:+.2f}); "
        f"area {areas} (living, random: {least:.2f} or more)"
    )
lesson.say(f"""Out of {len(runs)} seeds: a unit stands out from random directions in {some_stand_out}. The interval of the correlation of AUC with loss increase excludes 0 in {related}.
Cumulative ablation does more harm than random orders of living units in {harm["by loss increase"]} by loss increase, and in {harm["by selectivity"]} by selectivity. {len(runs)}
networks are too few for an interval over seeds, and all of them have one width and one training.""")

# %% [markdown]
# `nm.analysis.findings.findings(runs)` asks these and other questions in one call, and says on how many seeds each claim is shown.
#
# ## 11. Touch it
#
# Ablation is more fun by hand. The next cell writes a page that holds the network and computes in your browser. Draw a digit, click a unit, ablate it, clamp it, patch it from another
# image, and watch the accuracy and its control change at once.

# %% tags=["varies"]
nm.explorer.show(look, lesson.folder / "04-ablation.html", snapshots=6)

# %% [markdown]
# *What to look at:* the page opens on one image, with the activations of both layers and the prediction. Try to change the prediction with as few ablations as you can, and see what
# as many random units do.
#
# ## What you have seen
#
# * A hook changes one thing and leaves everything else alone. The loss increase measures it on a finer scale than accuracy.
# * Zero, mean and resample ablation ask different questions, and may name different units.
# * A loss increase means little without a control, and a text should name it: random directions of the same length, or those within the orthant.
# * A network can need all directions of a layer, and so each unit, without needing the units more than other directions.
# * Whether a unit is selective and whether ablating it matters are two measurements. The library's claim says whether they are shown to go together.
# * Units, orders and pairs are chosen on one half of the images and judged on the other. Otherwise luck looks like importance.
# * Patching says which units carry a difference between *these* images; direct logit attribution says what a unit adds to a logit.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#04-is-what-we-see-what-matters), in the documentation.
#
# **Next:** [05, a CNN beside an MLP](05_CNN_vs_MLP.ipynb).
#
# **Further reading.** A. Morcos, D. Barrett, N. Rabinowitz and M. Botvinick, "On the importance of single directions for generalization", *ICLR* (2018). R. Meyes et al., "Ablation studies in
# artificial neural networks", arXiv:1901.08644 (2019). K. Wang et al., "Interpretability in the wild", *ICLR* (2023). F. Zhang and N. Nanda, "Towards best practices of activation patching in
# language models", *ICLR* (2024). T. McGrath et al., "The Hydra effect", arXiv:2307.15771 (2023). J. Pearl, *Causality*, 2nd edition, Cambridge University Press (2009).
