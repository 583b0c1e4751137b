# %% [markdown]
# # Is what we see what matters?
#
# *Cut a unit out, turn it up, put another image's value in its place: what does the network then say, and what would chance have said?*
#
# **You will be able to**
#
# * change what a network computes with a hook, and measure what the change costs;
# * choose between zero, mean and resample ablation, and say what each of them asks;
# * hold a cost against the right control, a random direction of the same length;
# * patch a unit between two images, and write a logit as a sum over units.
#
# **Minutes:** 60 to read and run, 50 more for the exercises. **You need:** [01](01_MLP_for_Interpretability.ipynb);
# [03](03_Analyze_Activations.ipynb) helps.
#
# Words in *slanted letters* are in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("04")

# %%
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from neural_microscope.analysis import causal, selectivity
from neural_microscope.statistics import bootstrap_mean, halves, spearman

data = lesson.data

# %% [markdown]
# ## 1. One unit out, by hand
#
# A unit that answers to the 4 and to nothing else looks as if it were there to recognise a 4. That is a thing we *saw*. Whether the network
# makes use of it is another question, and it has another method: change the unit, leave all else alone, and see whether the answer changes.
#
# The network is the MLP of the earlier notebooks. We look at its second hidden layer, on the fixed *probe images*.

# %% tags=["varies"]
training = nm.TrainConfig(epochs=8, optimizer="adamw", schedule="cosine", weight_decay=0.1, learning_rate=2e-3)
run = lesson.run("mlp", nm.MLPConfig(), training)
model, images, layer = run.model(), run.probe, "layers.1.hook_post"
pixels, labels = images.tensor(), images.label_tensor()

acts = nm.activations(model, images, layer)[layer]  # [example, unit]
units = acts.sizes["unit"]
tastes = selectivity.class_selectivity(acts)
favourite = int(np.nanargmax(tastes["auc"]))
digit = int(tastes["preferred"][favourite])
lesson.say(f"""Of {units} units, unit {favourite} tells its digit best from the others: an image of class {digit} excites it more than another image in
{float(tastes["auc"][favourite]):.1%} of all cases (*AUC*; with shuffled labels {float(tastes["auc_null_low"][favourite]):.0%} to
{float(tastes["auc_null_high"][favourite]):.0%}).""")

# %% [markdown]
# It looks important. We set it to 0 for every image, which is called *zero ablation*, or cutting it out. A *hook* is a function that is
# called in the middle of the forward pass. What it returns takes the place of what passed.
#
# **How many percentage points of accuracy does the network lose without this unit?**

# %%
mine = 5.0  # your guess
lesson.guess("best unit", mine)


# %% tags=["varies"]
def cut_out(tensor, hook):
    changed = tensor.clone()
    changed[:, favourite] = 0
    return changed


def answers(hooks=()):
    """(loss in nat, accuracy) on the probe images while the hooks are attached."""
    with torch.no_grad(), model.hooks(hooks):
        logits = model(pixels)
    return float(cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())


loss, accuracy = answers()
loss_without, accuracy_without = answers([(layer, cut_out)])
lesson.reveal("best unit", round(100 * (accuracy - accuracy_without), 1))
print(f"loss      {loss:.4f} → {loss_without:.4f} nat")
print(f"accuracy  {accuracy:.1%} → {accuracy_without:.1%} of {len(images):,} images")
assert answers() == (loss, accuracy), "what was attached is gone"

# %% [markdown]
# The accuracy is a coarse scale: an image counts only if its answer tips over. The loss is finer, because it also sees an answer become
# less sure. So from here on *cost* means the loss that is added.
#
# ### Exercise 1: an intervention of your own
# *Difficulty ●○○○ · 10 minutes*
#
# Write `ceiling(unit, top)`. It returns a hook function that cuts one unit's values off at `top`: what lies above becomes `top`, what lies
# below stays. All other units stay as they are. This is a gentle ablation: it takes away how strongly a unit can speak, and not that it
# speaks.

# %% [markdown] tags=["hint"]
# A function that returns a function: `def ceiling(unit, top):` and in it `def hook_fn(tensor, hook):`. `changed[:, unit].clamp(max=top)`
# does the cutting. Clone first, and return what you changed.


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
    hook_fn = ceiling(1, 2.0)
    assert callable(hook_fn), f"a hook function should come back, and a {type(hook_fn).__name__} came"
    given = torch.tensor([[5.0, 5.0, 5.0], [1.0, 1.0, 1.0]])
    kept = given.clone()
    found = hook_fn(given, None)
    assert found is not None, "the hook function returns nothing, so nothing would take the tensor's place"
    assert found.shape == given.shape, f"the hook got {list(given.shape)} and gave {list(found.shape)}"
    assert float(found[0, 1]) == 2, f"5 lies above the ceiling of 2 and became {float(found[0, 1])}"
    assert float(found[1, 1]) == 1, f"1 lies below the ceiling of 2 and became {float(found[1, 1])}"
    assert torch.equal(found[:, [0, 2]], kept[:, [0, 2]]), "units that were not named have changed too"
    assert torch.equal(given, kept), "the tensor that came in was changed in place; others may still need it: clone it"
    assert answers([(layer, ceiling(favourite, 0.0))]) == answers([(layer, cut_out)]), (
        "with a ceiling of 0, a unit behind a ReLU should be as good as cut out"
    )


# %% [markdown]
# ## 2. Every unit, and the control
#
# One unit is an anecdote. The library cuts out each unit of a layer in turn. First by hand, to see that it does nothing else:

# %%
by_hand = np.array([answers([(layer, nm.interventions.zero(unit=unit))])[0] - loss for unit in range(units)])
effects = causal.ablate_all(model, images, layer, draws=2000)
worst = float(np.abs(by_hand - effects["loss_increase"].values).max())
assert worst < 1e-5, worst
print(f"{units} units cut out one by one: by hand and by ablate_all the same cost, to 5 decimals")

# %% [markdown]
# Now the question that is forgotten most often. Say a cut costs 0.01 nat. Is that because *this unit* was cut, or because *anything* was
# moved that far? To cut a unit out moves each image's point in the layer's space: along the unit's axis, by as much as the unit was on. So
# the fair control moves each image **just as far, in a direction that no unit owns**. That is a *random direction of equal norm*. By hand,
# for the unit that costs most and one such direction:

# %% tags=["varies"]
costliest = int(effects["loss_increase"].values.argmax())
direction = np.random.default_rng(0).standard_normal(units)
direction = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)


def sideways(tensor, hook):
    how_far = tensor[:, [costliest]].abs()  # as far as cutting the unit out moves this image
    return tensor + how_far * direction


one_control = answers([(layer, sideways)])[0] - loss
library = causal.ablate_directions(model, images, layer, directions=direction.numpy()[None])
library = float(library["loss_increase"][0, costliest])
assert abs(library - one_control) < 0.002 + 0.1 * abs(one_control), (library, one_control)
print(f"unit {costliest} cut out: {effects['loss_increase'].values[costliest]:+.4f} nat")
print(f"as far along one random direction: {one_control:+.4f} nat (the library, by interpolation: {library:+.4f})")

# %% [markdown]
# One direction may cost more or less by luck, so `ablate_all` draws many, here 2,000. **Of the units of this layer, how many cost more than
# a random direction does?** (A unit counts if that holds after correction for having looked at all of them: q < 0.05, *false-discovery
# rate*. One unit alone among 64 can get there only with more than 1,280 draws.)

# %%
mine = 20  # your guess
lesson.guess("beyond directions", mine)

# %% tags=["varies"]
beyond = int((effects["loss_increase_q"] < 0.05).sum())
lesson.reveal("beyond directions", beyond)
nm.plots.ablation(effects)

# %% [markdown]
# *What to see:* dots inside the grey band cost no more than any push of that length. A dot may well lie above 0, and so be real, and still
# be nothing special.

# %% tags=["varies"]
above_zero = int((effects["loss_increase_low"] > 0).sum())
dead = int((acts.values.max(0) <= 0).sum())
lesson.say(f"""{above_zero} of {units} units have a cost whose 95 % interval over {len(images):,} images lies above 0, and
{"none" if beyond == 0 else beyond} of them {"stands" if beyond < 2 else "stand"} out from random directions.
{f"{dead} units are dead: they are never on, and cutting them out costs exactly nothing." if dead else "No unit is dead."} The dearest
single cut takes {100 * float(effects["accuracy_drop"].max()):.1f} points of accuracy.""")
assert (np.abs(effects["loss_increase"].values[acts.values.max(0) <= 0]) < 1e-6).all()
assert not lesson.full or (beyond <= 6 and float(effects["accuracy_drop"].max()) < 0.03)

# %% [markdown]
# On all of MNIST that is the plain result, and a negative one. This network spreads what it knows. No unit is indispensable, and what is
# lost with one is no more than what is lost with any other nudge of that size.
#
# One more trap, while we are here. The dearest of 64 was chosen for being the dearest on these images. Choose it on one half of the images,
# and ask the other half:

# %% tags=["varies"]
choose, judge = halves(images.labels)
changes = effects["loss_change"].values
winner = int(changes[:, choose].mean(1).argmax())
low, high = bootstrap_mean(changes[winner, judge])
lesson.say(f"""On {len(choose):,} images unit {winner} is the dearest: {changes[winner, choose].mean():+.4f} nat. On {len(judge):,} others, that had no
part in the choice, the same cut changes the loss by {changes[winner, judge].mean():+.4f} nat (95 % interval {low:+.4f} to {high:+.4f}).
{"It is dear, though the lead over the others may have been luck." if low > 0 else "Nothing shows that it is dear at all: its lead was luck."}""")

# %% [markdown]
# Who measures on the images that made the choice flatters the winner. So from section 5 on, a unit or an order is chosen on one half of
# *all* test images, which are many more, and judged on the other half:

# %% tags=["varies"]
choosing, judging = (data.test.subset(half) for half in halves(data.test.labels))
chosen_costs = causal.ablate_all(model, choosing, layer, draws=20)["loss_increase"].values
dear = int(chosen_costs.argmax())
lesson.say(
    f"Chosen on {len(choosing):,} images, unit {dear} is the dearest ({chosen_costs[dear]:+.4f} nat). It is the patient of sections 5 and 6."
)

# %% [markdown]
# ## 3. Zero, mean, or another image's value?
#
# Zero is one thing among others to put in a unit's place, and each asks another question.
#
# * *Zero:* what if the unit never spoke? If it is hardly ever at 0, the network meets something it has never seen, and the cost is partly
#   surprise.
# * *Mean:* what if it always said the same? Only what it says about *this* image is lost.
# * *Resample:* what if it spoke of another image, drawn at random? Each value is one that occurs, but it may now be a lie.
#
# Mean ablation by hand, for the same unit:


# %% tags=["varies"]
def always_the_mean(tensor, hook):
    changed = tensor.clone()
    changed[:, costliest] = float(acts[:, costliest].mean())
    return changed


methods = {
    name: causal.ablate_all(model, images, layer, method=name, draws=2000) for name in ("zero", "mean", "resample")
}
mean_by_hand = answers([(layer, always_the_mean)])[0] - loss
assert abs(mean_by_hand - float(methods["mean"]["loss_increase"][costliest])) < 1e-5
costs = {name: table["loss_increase"].values for name, table in methods.items()}
nm.plots.lines(
    {name: (np.arange(1, units + 1), np.sort(cost)[::-1]) for name, cost in costs.items()},
    x="units, each line's own costliest first",
    y="loss added (nat)",
    title="What a unit costs depends on what takes its place",
    marks={"no cost": 0.0},
)

# %% [markdown]
# *What to see:* three lines of the same network and the same units. They differ most at the left, among the units that would be called
# important.

# %% tags=["varies"]
order = sorted(costs, key=lambda name: -costs[name].mean())
agree = {name: spearman(costs["zero"], costs[name]) for name in ("mean", "resample")}
lesson.say(f"""On average a unit costs {", ".join(f"{1000 * costs[name].mean():.1f} thousandths of a nat by {name}" for name in order)}. Do they at least
name the same units? The rank correlation of zero with mean is {agree["mean"][0]:.2f} (95 % interval over {units} units
{agree["mean"][1]:.2f} to {agree["mean"][2]:.2f}), with resample {agree["resample"][0]:.2f} ({agree["resample"][1]:.2f} to
{agree["resample"][2]:.2f}). Whoever says "important" has to say in which sense. Units beyond random directions:
{", ".join(f"{int((methods[name]['loss_increase_q'] < 0.05).sum())} by {name}" for name in costs)}.""")
assert not lesson.full or costs["mean"].mean() < costs["zero"].mean()

# %% [markdown]
# Behind a ReLU a 0 is a value that the unit often has anyway, so zero ablation is less strange here than elsewhere. Behind a tanh, or in
# the middle of a skip connection, prefer the mean.
#
# ### Exercise 2: mean ablation
# *Difficulty ●●○○ · 10 minutes*
#
# Write `mean_ablation(reference, unit)`. It returns a hook function that puts the unit's mean **over the reference activations** (a tensor
# [example, unit]) in the unit's place. The images that pass later may be others.

# %% [markdown] tags=["hint"]
# Take the mean outside the hook function, from `reference[:, unit]`. If you take it inside, from the tensor that passes, then the result
# for one image depends on which other images are in its batch.


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
    reference = torch.tensor([[0.0, 1.0, 9.0], [0.0, 4.0, 9.0], [0.0, 7.0, 9.0]])  # the middle unit's mean is 4
    hook_fn = mean_ablation(reference, 1)
    assert callable(hook_fn), f"a hook function should come back, and a {type(hook_fn).__name__} came"
    batch = torch.tensor([[7.0, 100.0, 7.0], [7.0, 200.0, 7.0]])
    found = hook_fn(batch.clone(), None)
    assert found is not None, "the hook function returns nothing"
    assert found.shape == batch.shape, f"the hook got {list(batch.shape)} and gave {list(found.shape)}"
    assert not torch.allclose(found[:, 1], torch.tensor(150.0)), (
        "the mean was taken of the images that pass, so that an image's answer depends on its neighbours"
    )
    assert torch.allclose(found[:, 1], torch.tensor(4.0)), (
        f"the unit's mean over the reference is 4, and {found[:, 1].tolist()} came: over which axis was it taken"
    )
    assert torch.equal(found[:, [0, 2]], batch[:, [0, 2]]), "units that were not named have changed too"
    there = torch.from_numpy(acts.values)
    cost = answers([(layer, mean_ablation(there, costliest))])[0] - loss
    assert abs(cost - mean_by_hand) < 1e-5, f"on the network it costs {cost:.5f} nat; by hand it was {mean_by_hand:.5f}"


# %% [markdown]
# ## 4. Is selective important?
#
# Now to the title. A *selective* unit answers to one class. Morcos and others (2018) asked whether selective units matter more. Each unit
# gets two numbers: how selective it is, and what cutting it out costs.
#
# **What is the rank correlation of the two, from −1 to 1?**

# %%
mine = 0.5  # your guess
lesson.guess("selective is important", mine)

# %% tags=["varies"]
untrained = nm.activations(run.model(step=0), images, layer)[layer]
rho, low, high = spearman(tastes["selectivity"].values, effects["loss_increase"].values)
lesson.reveal("selective is important", round(rho, 2))
nm.plots.selectivity(tastes, effects, selectivity.class_selectivity(untrained))

# %% [markdown]
# *What to see:* each unit is drawn as the digit it prefers. If selective units mattered more, the cloud would rise to the right. The grey
# ticks are the units of the untrained network, which prefer digits too.

# %% tags=["varies"]
counted = int(np.isfinite(tastes["selectivity"]).sum())
verdict = "The interval holds 0, so that nothing shows that selective units matter more, or less."
if not low < 0 < high:
    verdict = f"The interval does not hold 0: in this one network selective units cost {'more' if rho > 0 else 'less'}."
lesson.say(f"""Spearman's rho between selectivity and cost is {rho:.2f}, 95 % interval over {counted} units {low:.2f} to {high:.2f}. {verdict} What is
easy to see and what matters are two measurements.""")
assert not lesson.full or abs(rho) < 0.6

# %% [markdown]
# ## 5. Doses
#
# A cut is one dose of a treatment: the unit's value times 0. A *dose and response* curve gives others, from nothing to three times as much.
# The grey band is the null: other units of the same layer, scaled alike.

# %% tags=["varies"]
doses = causal.dose_response(model, judging, layer, unit=dear)
nm.plots.dose_response(doses)

# %% [markdown]
# *What to see:* at dose 1 nothing is changed and the cost is exactly 0. On the left the unit is turned down, on the right up; the scale of
# the right-hand picture shows how little of it reaches the answers.

# %% tags=["varies"]
off, most = doses.isel(bin=0), doses.isel(bin=-1)
worse = float(most["loss_increase"]) > float(off["loss_increase"])
lesson.say(f"""Without unit {dear} the loss on the {len(judging):,} images it was not chosen on changes by {float(off["loss_increase"]):+.4f} nat (95 %
interval {float(off["loss_increase_low"]):+.4f} to {float(off["loss_increase_high"]):+.4f}); at {float(most["factor"]):g} times its value
by {float(most["loss_increase"]):+.4f} nat. Beside it stand {doses.attrs["null"]}: the share of them that cost as much is
{float(off["loss_increase_p"]):.0%} at dose 0 and {float(most["loss_increase_p"]):.0%} at dose {float(most["factor"]):g} (p, one-sided,
itself counted). Three times as much of this unit costs {"more" if worse else "less"} than its absence.""")
assert float(doses["loss_increase"].sel(bin=doses["factor"].values == 1).item()) == 0

# %% [markdown]
# ## 6. What is it taken for instead?
#
# A loss is one number. The *confusion shift* says which images change sides: counts after the cut minus counts before. The null: each unit
# of the layer in its turn.

# %% tags=["varies"]
shift = causal.confusion_shift(model, judging, [(layer, nm.interventions.zero(unit=dear))])
nm.plots.confusion_shift(shift)

# %% [markdown]
# *What to see:* each row is a digit, and sums to 0, for an image that leaves one column must arrive in another. Blue on the diagonal is
# lost; orange beside it says what those images are now read as.

# %% tags=["varies"]
by_row = shift["shift"].values
assert (by_row.sum(1) == 0).all()
aside = by_row - np.diag(np.diag(by_row))
row, column = np.unravel_index(aside.argmax(), aside.shape)
lesson.say(f"""{float(shift["moved"]):.2%} of {len(judging):,} test images are read differently; over all units of the layer it is
{float(shift["moved_null_low"]):.2%} to {float(shift["moved_null_high"]):.2%}. The largest move: {int(aside.max())} more
{"images are" if aside.max() != 1 else "image is"} of class {row} and read as {column}.""")

# %% [markdown]
# ## 7. Many at once
#
# If no unit is indispensable, how many can go? *Cumulative ablation* cuts out one after the other, in some order. An order needs choosing:
# here the costliest first, and the most selective first. It is chosen on one half of the images, and the accuracy is measured on the other.
# Beside them go 40 random orders.
#
# **In a random order, what share of the units must be cut out before fewer than 90 % of the images are read rightly?**

# %%
mine = 0.2  # your guess
lesson.guess("how many", mine)


# %% tags=["varies"]
def falls(network, n=1000):
    """Cumulative ablation in two orders chosen on one half of the test images; and the areas of 40 orders of living units."""
    there = nm.activations(network, choosing, layer)[layer]
    cost = causal.ablate_all(network, choosing, layer, draws=20)["loss_increase"].values
    taste = selectivity.class_selectivity(there, draws=20)["selectivity"].fillna(-1).values
    some = judging.balanced(min(n, judging.most_balanced))
    orders = {"costliest first": np.argsort(-cost), "most selective first": np.argsort(-taste)}
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
lesson.reveal("how many", round(enough, 2))
nm.plots.cumulative_ablation(fall)

# %% [markdown]
# *What to see:* the grey band stays high for long: in a random order a good part of the layer can go. A line below the band is an order
# that knows where it hurts.
#
# But look at the null. A random order spends some of its cuts on units that hardly ever fire, which cost nothing. An order by cost or by
# selectivity leaves those for the end. So a stricter null shuffles only the *living* units, those that fire for 1 % of the images or more:

# %% tags=["varies"]
band, strict = (float(fall["auc_null_low"]), float(fall["auc_null_high"])), np.percentile(living, [2.5, 97.5])
words = []
for name in fall["order"].values:
    area = float(fall["auc"].sel(order=name))
    p = (1 + (living <= area).sum()) / (1 + len(living))
    lies = "below neither" if area >= band[0] else "below the first only" if area >= strict[0] else "below both"
    words.append(f"{name} {area:.2f}, {lies} (among the living p = {p:.2f}, one-sided)")
lesson.say(f"""The area under the curve is {band[0]:.2f} to {band[1]:.2f} for random orders, and {strict[0]:.2f} to {strict[1]:.2f} for random orders of
living units ({silent} hardly ever fire). {"; ".join(words)}. (n = {fall.attrs["n_examples"]:,} images that chose no order.)""")
assert not lesson.full or (0.15 < enough < 0.85 and strict[0] < band[0])
assert not lesson.full or float(fall["auc"].sel(order="most selective first")) < band[0]
assert not lesson.full or float(fall["accuracy"].sel(order="costliest first")[5]) < 0.85

# %% [markdown]
# So single cuts were too gentle a question. On all of MNIST, each cut alone costs next to nothing, and a well chosen half of the layer
# costs a large part of the answers. And the order by selectivity does more harm than a random one, although in single cuts selectivity and
# cost were not shown to be related. Both are true of this network; they are two questions. What makes single cuts so cheap? Either the
# answers have a margin that one cut does not use up, or other units stand in for the one that is gone.
#
# ### Exercise 3: two at once
# *Difficulty ●●○○ · 15 minutes*
#
# Two units that say the same can stand in for each other: each alone costs nothing, both together a lot. Write `pair_costs(model, images,
# layer, i, j)`. It returns three numbers, the *accuracy* lost (a share, 0..1) without unit i, without unit j, and without both. `images` is
# an image set, with `tensor()` and `label_tensor()`.

# %% [markdown] tags=["hint"]
# `nm.interventions.zero(unit=[i, j])` cuts out both. Write a small function that gives the accuracy for a list of hooks, and call it four
# times: for none, i, j, and both.


# %% tags=["stub"]
def pair_costs(model, images, layer, i, j):
    raise NotImplementedError("return (cost of i, cost of j, cost of both)")


# %% tags=["solution"]
def pair_costs(model, images, layer, i, j):
    def accuracy(hooks):
        with torch.no_grad(), model.hooks(hooks):
            return float((model(images.tensor()).argmax(1) == images.label_tensor()).float().mean())

    zero = nm.interventions.zero
    whole = accuracy([])
    return tuple(whole - accuracy([(layer, zero(unit=cut))]) for cut in (i, j, [i, j]))


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    # Planted: units 0 and 1 both say "white", and either is enough; unit 2 says it alone for half-bright images.
    planted = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        planted[1].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]))
        planted[1].bias.zero_()
        planted[3].weight.copy_(torch.tensor([[0.0, 0, 0], [1, 1, 1]]))
        planted[3].bias.copy_(torch.tensor([0.5, 0.0]))
    four = np.zeros((4, 2, 2), np.uint8)
    four[2, 0] = 255  # lights units 0 and 1
    four[3, 1, 0] = 255  # lights unit 2
    some = nm.data.ImageSet(four, np.array([0, 0, 1, 1]), classes=2)
    found = pair_costs(nm.hooked(planted), some, "2.hook_out", 0, 1)
    assert found is not None and len(found) == 3, f"three numbers should come back, and {found} came"
    one, other, both = (float(x) for x in found)
    assert (one, other) == (0, 0), f"either unit alone is enough, so each costs 0; {one} and {other} came"
    assert both != 0, "both together cost 0: were they cut out in one and the same forward pass"
    assert both > 0, f"a cost is accuracy before minus after, so above 0; {both} came"
    assert abs(both - 0.25) < 1e-6, f"without both, one of the four images is lost, so 0.25; {both} came"
    one, other, both = pair_costs(nm.hooked(planted), some, "2.hook_out", 1, 2)
    assert (one, other, both) == (0, 0.25, 0.25), (
        f"units 1 and 2 are no such pair: planted is (0, 0.25, 0.25), and {(one, other, both)} came"
    )


# %% [markdown]
# Now for all pairs of the layer. After this layer comes only a matrix, so that to cut two units out takes the contributions of both from
# the logits. The *excess* is the cost of both minus the two single costs. Where each stands in for the other it is above 0. So it is, a
# little, for any two pushes that go the same way, because the loss is curved; hence all pairs as the null. The pair with the largest excess
# is chosen on one half of the images and judged on the other.

# %% tags=["varies"]
weight, bias = (part.detach() for part in (model.output.weight, model.output.bias))
hidden = torch.from_numpy(acts.values)
base = hidden @ weight.T + bias  # [example, class]
parts = hidden[:, :, None] * weight.T[None]  # [example, unit, class]: what each unit gives each logit


def nats(logits):
    return -logits.log_softmax(-1)[torch.arange(len(labels)), ..., labels]


with torch.no_grad():
    alone = torch.stack([nats(base - parts[:, i]) for i in range(units)]) - nats(base)  # [unit, example]
    first, second = np.triu_indices(units, 1)
    both = torch.stack([nats(base - parts[:, i] - parts[:, j]) for i, j in zip(first, second, strict=True)]) - nats(
        base
    )
assert np.abs(alone.numpy() - effects["loss_change"].values).max() < 1e-4
excess = both.numpy() - alone[first].numpy() - alone[second].numpy()  # [pair, example]
top = int(excess[:, choose].mean(1).argmax())
judged = excess[top, judge]
low, high = bootstrap_mean(judged)
pair_low, pair_high = np.percentile(excess[:, judge].mean(1), [2.5, 97.5])
verdict = "That does not set it apart from ordinary pairs on new images."
if low > pair_high:
    verdict = "More than an ordinary pair: these two stand in for each other, in part."
lesson.say(f"""Of {len(first):,} pairs, {(excess[:, judge].mean(1) > 0).mean():.0%} cost more together than the sum of both. The pair chosen, units
{first[top]} and {second[top]}, costs {1000 * both[top, judge].mean():.1f} thousandths of a nat together, and
{1000 * alone[first[top], judge].mean():.1f} and {1000 * alone[second[top], judge].mean():.1f} alone; the excess is
{1000 * judged.mean():.1f} (95 % interval over {len(judge):,} images {1000 * low:.1f} to {1000 * high:.1f}; the middle 95 % of all pairs
{1000 * pair_low:.1f} to {1000 * pair_high:.1f}). {verdict}""")

# %% [markdown]
# ## 8. Where single units do matter, and where one stands out
#
# Was it the method that finds nothing? Two other networks show that it can. The first has a *bottleneck*: a layer of four units, through
# which all must pass.
#
# **How many points of accuracy does the dearest of its four units cost?**

# %%
mine = 30.0  # your guess
lesson.guess("bottleneck", mine)

# %% tags=["varies"]
narrow = lesson.run("mlp-narrow", nm.MLPConfig(hidden=(64, 4)), training)
narrow_effects = causal.ablate_all(narrow.model(), narrow.probe, layer)
dearest = 100 * float(narrow_effects["accuracy_drop"].max())
lesson.reveal("bottleneck", round(dearest, 1))
nm.plots.ablation(narrow_effects)

# %% [markdown]
# *What to see:* the scale. On all of MNIST a cut costs several nat here, hundreds of times what it cost in the wide layer. And look at the
# grey boxes, which have grown as much.

# %% tags=["varies"]
narrow_beyond = int((narrow_effects["loss_increase_q"] < 0.05).sum())
lesson.say(f"""This network reads {narrow_effects.attrs["accuracy"]:.1%} rightly. One unit cut out costs
{100 * float(narrow_effects["accuracy_drop"].min()):.0f} to {dearest:.0f} points. Of the four,
{"none costs" if narrow_beyond == 0 else f"{narrow_beyond} cost"} more than a random direction of the same norm (least q
{float(narrow_effects["loss_increase_q"].min()):.2f}): in a layer this narrow *every* direction matters. That a unit is needed, and that
it is needed *as a unit*, are two claims, and the control tells them apart.""")
assert not lesson.full or (
    dearest > 15 and float(narrow_effects["loss_increase"].max()) > 100 * float(effects["loss_increase"].max())
)

# %% [markdown]
# The second is a convolutional network. Its *channels* are built to be units: one kernel each, the same at every place of the image.

# %% tags=["varies"]
settings = {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 0.1, "learning_rate": 3e-3}
draws = lesson.pick(400, 200)  # one of 16 channels could pass alone from 320 on
cnn = lesson.run("cnn", nm.CNNConfig(), nm.TrainConfig(epochs=3, warmup_steps=lesson.pick(100, 10), **settings))
some = cnn.probe.balanced(lesson.pick(500, 100))
channels = causal.ablate_all(cnn.model(), some, "layers.0.hook_post", draws=draws)
nm.plots.ablation(channels)

# %% [markdown]
# *What to see:* dots above their grey boxes are channels that cost more than a push of that length along no channel.

# %% tags=["varies"]
before = causal.ablate_all(cnn.model(step=0), some, "layers.0.hook_post", draws=draws)
stand_out = int((channels["loss_increase_q"] < 0.05).sum())
verdict = "In this quick form none does."
if stand_out:
    verdict = (
        "So the control can be passed: the MLP's silence in section 2 is a result, and no blindness of the method."
    )
lesson.say(f"""{stand_out} of {channels.sizes["channel"]} channels of the first convolution stand out (q < 0.05, n = {channels.attrs["n_examples"]}
images, one network). {verdict} An untrained network's channels, asked the same: {int((before["loss_increase_q"] < 0.05).sum())}.""")
assert not lesson.full or stand_out >= 1

# %% [markdown]
# ### Exercise 4: a random control
# *Difficulty ●●●○ · 15 minutes*
#
# You have chosen a set of units for a good reason, and it costs a lot to cut them out. Would any set of that size? Write
# `control_p(cost_of, chosen, units, draws, seed)`: the share of random sets, **of as many different units** out of 0..units−1, that cost at
# least as much as the chosen set. `cost_of(list_of_units)` gives a set's cost. The chosen set itself is counted as one more draw, so that
# the p value is never 0.

# %% [markdown] tags=["hint"]
# `np.random.default_rng(seed).choice(units, size=len(chosen), replace=False)` draws one set. With k of the draws at or above the chosen
# cost, p = (1 + k) / (1 + draws).


# %% tags=["stub"]
def control_p(cost_of, chosen, units, draws, seed):
    raise NotImplementedError("return one number above 0 and at most 1")


# %% tags=["solution"]
def control_p(cost_of, chosen, units, draws, seed):
    rng = np.random.default_rng(seed)
    cost = cost_of(chosen)
    drawn = [cost_of(rng.choice(units, size=len(chosen), replace=False).tolist()) for _ in range(draws)]
    return (1 + sum(other >= cost for other in drawn)) / (1 + draws)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    asked = []

    def all_alike(some):
        asked.append([int(unit) for unit in some])
        return 1.0

    found = control_p(all_alike, [3, 5, 8], 10, 200, 0)
    assert found is not None, "nothing came back"
    assert len(asked) >= 200, f"200 random sets should have been asked for their cost; {len(asked)} were"
    assert all(len(some) == 3 for some in asked), "the chosen set has 3 units, and some random sets have not"
    assert all(len(set(some)) == 3 for some in asked), (
        "in some random sets a unit comes twice: draw without replacement"
    )
    assert {unit for some in asked for unit in some} == set(range(10)), (
        "some of the 10 units are never drawn, or others are"
    )
    assert abs(found - 1) < 1e-9, (
        f"where all sets cost the same, all reach the chosen one, so p is 1 and not {found:.3f}"
    )
    # Of the 45 pairs of 0..9 only the pair 8, 9 itself has a sum of 17 or more.
    found = control_p(lambda some: float(sum(some)), [8, 9], 10, 4000, 1)
    assert found > 0, "p is 0, which no number of draws can show: count the chosen set as one more draw"
    assert abs(found - 1 / 45) < 0.01, f"one of 45 pairs costs as much, so p is near {1 / 45:.3f}, and {found:.3f} came"
    few = control_p(lambda some: float(sum(some)), [97, 98, 99], 100, 9, 2)
    assert abs(few - 0.1) < 1e-9, f"9 draws that all cost less give p = 1/10, and {few:.3f} came"


# %% [markdown]
# ## 9. Patching: which unit carries the difference?
#
# An ablation breaks something. *Patching* transplants: it takes a unit's value from the run on one image and puts it into the run on
# another. Take a 3 and an 8. The question to the network is the *logit* of the 3 minus that of the 8: high on the 3, low on the 8.
#
# * *Denoising:* a value of the 3 goes into the run on the 8. How much of the difference comes back?
# * *Noising:* a value of the 8 goes into the run on the 3. How much of it is left?
#
# By hand, for one pair, for each unit of the last layer:

# %% tags=["varies"]
threes, eights = (
    data.test.subset(np.flatnonzero(data.test.labels == label)[: lesson.pick(100, 30)]) for label in (3, 8)
)
clean, corrupted = threes.tensor()[:1], eights.tensor()[:1]


def ask(image, hooks=()):
    with torch.no_grad(), model.hooks(hooks):
        logits = model(image)[0]
    return float(logits[3] - logits[8])


with torch.no_grad():
    _, of_three = model.run_with_cache(clean)
    _, of_eight = model.run_with_cache(corrupted)
high_end, low_end = ask(clean), ask(corrupted)
denoised, noised = [], []
for unit in range(units):
    into_eight = nm.interventions.patch(of_three[layer], unit=unit)
    into_three = nm.interventions.patch(of_eight[layer], unit=unit)
    denoised.append((ask(corrupted, [(layer, into_eight)]) - low_end) / (high_end - low_end))
    noised.append((ask(clean, [(layer, into_three)]) - low_end) / (high_end - low_end))
pair = causal.patch_between(model, threes.subset([0]), eights.subset([0]), layer, draws=50)
assert np.abs(np.array(denoised) - pair["denoising"].values).max() < 1e-3
assert np.abs(np.array(noised) - pair["noising"].values).max() < 1e-3
strong = int(np.argmax(denoised))
print(f"the 3 gives {high_end:+.2f}, the 8 gives {low_end:+.2f}")
print(f"unit {strong} brings back most: {denoised[strong]:.1%}; patched the other way, {noised[strong]:.1%} is left")
print(f"all {units} units together: {sum(denoised):.3f}")

# %% [markdown]
# The shares sum to 1, and noising is 1 minus denoising. That is no finding: after this layer the network is linear, so the two questions
# are one. In the first layer, with a nonlinearity behind it, they part. Over many pairs:

# %% tags=["varies"]
many = 6000  # one unit of 128 can pass alone from 5,120 draws on
patched = causal.patch_between(model, threes, eights, "layers.0.hook_post", draws=many)
nm.plots.patching(patched)

# %% [markdown]
# *What to see:* on the left, how much of the difference one unit brings back; on the right, how much is left when it is spoilt. If one unit
# carried the difference between 3 and 8, one dot would stand far from the others.

# %% tags=["varies"]
strongest = int(patched["denoising"].values.argmax())
apart = int((patched["denoising_q"] < 0.05).sum())
lesson.say(f"""The strongest of {patched.sizes["unit"]} units brings back {float(patched["denoising"][strongest]):.1%} of the difference (95 % interval
over {patched.attrs["n_examples"]} pairs {float(patched["denoising_low"][strongest]):.1%} to
{float(patched["denoising_high"][strongest]):.1%}; random directions {float(patched["denoising_null_low"][strongest]):.1%} to
{float(patched["denoising_null_high"][strongest]):.1%}). After correction for {patched.sizes["unit"]} units, {apart or "none"}
{"is" if apart < 2 else "are"} beyond random directions (least q {float(patched["denoising_q"].min()):.2f}). The single shares sum to
{float(patched["denoising"].sum()):.2f} and not to 1, because the next ReLU bends. The interval is over these pairs of one network; what
carries 3 against 8 may say nothing about a 4.""")
assert abs(float(patched["denoising_whole"]) - 1) < 1e-3

# %% [markdown]
# ## 10. A logit is a sum
#
# For the last layer there is an account that needs no intervention. A logit *is* a sum: weight times activation over the units, plus the
# bias. That is *direct logit attribution*, and by hand it is one line:

# %% tags=["varies"]
contributions = hidden[:, :, None] * weight.T[None]  # [example, unit, class]
with torch.no_grad():
    assert torch.allclose(contributions.sum(1) + bias, model(pixels), atol=1e-4)
direct = causal.direct_logit_attribution(model, images)
assert np.abs(direct["contribution"].values - contributions.numpy()).max() < 1e-4

logits = direct["logits"].values
sure = np.sort(logits, 1)[:, -1] - np.sort(logits, 1)[:, -2]
closest = int(np.where(logits.argmax(1) == images.labels, sure, np.inf).argmin())  # right, but only just
print(f"image {closest}, class {images.labels[closest]}: the two highest logits lie {sure[closest]:.3f} apart")
nm.plots.direct_logit_attribution(direct, closest)

# %% [markdown]
# *What to see:* the image that is read rightly by the smallest margin. The bars on each side add up to the logit; units speak for one class
# (orange) and against the other (blue), and no single one decides.

# %% tags=["varies"]
telling = int((direct["evidence_q"] < 0.05).sum())
several = int(((direct["evidence_q"] < 0.05).sum("class") >= 2).sum())
lesson.say(f"""Of {direct["evidence"].size} pairs of unit and class, {telling} contribute more, or less, to a class's logit on its own images than on
others, beyond shuffled labels (q < 0.05, n = {len(images):,}). Of {units} units, {several} speak so to two classes or more. Contributions
are exact and an ablation is exact, and still they answer two questions: what a unit *says*, and what is *lost* without it. A large
contribution to a logit that leads by far can go at no cost.""")

# %% [markdown]
# **Does it hold on another seed?** Networks that differ in nothing but their seed are asked three of the questions above. A finding of one
# network is an anecdote, with however many images.

# %% tags=["varies"]
runs = [
    run,
    *(
        lesson.run(f"mlp-seed{seed}", nm.MLPConfig(), replace(training, seed=seed))
        for seed in lesson.pick((1, 2, 3), (1,))
    ),
]
none_stands_out, unrelated, harm = [], [], {"costliest first": 0, "most selective first": 0}
for one in runs:
    network = one.model()
    there = nm.activations(network, images, layer)[layer]
    cuts = causal.ablate_all(network, images, layer, draws=2000)
    taste = selectivity.class_selectivity(there, draws=20)["selectivity"].values
    _, low, high = spearman(taste, cuts["loss_increase"].values)
    table, living, _ = falls(network, n=500)
    least = np.percentile(living, 2.5)
    none_stands_out.append(int((cuts["loss_increase_q"] < 0.05).sum()) == 0)
    unrelated.append(low < 0 < high)
    for name in harm:
        harm[name] += float(table["auc"].sel(order=name)) < least
    areas = ", ".join(f"{name} {float(table['auc'].sel(order=name)):.2f}" for name in harm)
    print(
        f"seed {one.train_config.seed}: least q {float(cuts['loss_increase_q'].min()):.2f}; rho {low:+.2f} to {high:+.2f}; "
        f"{areas} (living, random: {least:.2f} or more)"
    )
lesson.say(f"""No unit costs more than a random direction: in {sum(none_stands_out)} of {len(runs)} seeds. Selectivity and the cost of single cuts are
not shown to be related: in {sum(unrelated)} of {len(runs)}. Cut cumulatively, more harm than random orders of living units: costliest
first in {harm["costliest first"]} of {len(runs)}, most selective first in {harm["most selective first"]} of {len(runs)}. {len(runs)}
networks are too few for an interval over seeds, and these are of one width and one training.""")
assert not lesson.full or (sum(none_stands_out) >= 2 and sum(unrelated) >= 2)

# %% [markdown]
# `nm.analysis.findings.findings(runs)` asks these and other questions in one call, and says on how many seeds each holds; it takes half a
# minute a network.
#
# ## 11. Touch it
#
# Cutting out is better touched than read. The next cell writes a page that holds the network and computes in your browser: draw a digit,
# click a unit, cut it out, hold it, put another image's value in its place, and see the accuracy and its control change at once. Under its
# picture is the link.

# %% tags=["varies"]
nm.explorer.show(run, lesson.folder / "04-cut-out.html", snapshots=6)

# %% [markdown]
# *What to see:* the page opens on one image, with the activations of both layers and the answer. Try to change the answer with as few cuts
# as you can, and count what the same number of random units does.
#
# ## What you have seen
#
# * A hook changes one thing and leaves all else; the cost of a change is a loss, and it is finer than accuracy.
# * Zero, mean and resample ask different questions, and name partly different units.
# * A cost is held against a random direction of the same length. On all of MNIST the MLP's units did not stand out; in the four-unit
#   bottleneck each was needed, and not shown to be more than a direction; in the CNN some channels stood out.
# * In single cuts, selectivity was not shown to go with importance. In cumulative cuts it was another matter. Seeing is not mattering, and
#   "mattering" has more than one meaning.
# * Single cuts miss what units do together. Units, orders and pairs are chosen on one half of the images and judged on the other, else luck
#   is taken for importance.
# * Patching says which units carry a difference between *these* images; direct logit attribution says what a unit adds to a logit. Neither
#   says what the network was built to need.
#
# **Next:** [05, a CNN beside an MLP](05_CNN_vs_MLP.ipynb).
#
# **Further reading.** A. Morcos, D. Barrett, N. Rabinowitz and M. Botvinick, "On the importance of single directions for generalization",
# *ICLR* (2018). R. Meyes et al., "Ablation studies in artificial neural networks", arXiv:1901.08644 (2019). K. Wang et al.,
# "Interpretability in the wild", *ICLR* (2023). F. Zhang and N. Nanda, "Towards best practices of activation patching in language models",
# *ICLR* (2024). T. McGrath et al., "The Hydra effect", arXiv:2307.15771 (2023). J. Pearl, *Causality*, 2nd edition, Cambridge University
# Press (2009).
