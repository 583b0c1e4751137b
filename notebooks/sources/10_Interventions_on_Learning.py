# %% [markdown]
# # What if it had learned otherwise?
#
# *We take a training that has happened, go back to one step of it, change one thing, and train on. Then we compare with a twin in which nothing was changed.*
#
# In the [fourth notebook](04_Causal_Interventions.ipynb) we removed a unit from a finished network and looked at the damage. But a network that loses a unit *while it learns* can do something about
# it. Does it? Who does the work then? I can't ask a finished network. I have to go back, take the unit away, and let it learn again.
#
# That is cheap here: a small network trains in seconds, and its recording holds everything that is needed to go on from an earlier step. What is not cheap is to be right. Whatever you change, the
# loss at the end will be different, because *anything* that you change makes it different. So most of this notebook is about what to compare with.
#
# **You will be able to**
#
# * go back to a step of a recorded training, and prove that a replay without a change is the original, bit for bit;
# * take a unit away in the middle of training, and tell its effect from that of another order of the images;
# * say whether others took over a lost unit's work, by which step and in how many orders, or that it is not shown;
# * avoid two false conclusions: "what was withheld was never learned", and a critical period that is only a learning rate.
#
# **Minutes:** 50 to read and run, 40 more for the exercises. **You need:** [02](02_Train_on_MNIST_and_Log.ipynb) for runs and snapshots,
# [04](04_Causal_Interventions.ipynb) for ablation.
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Our own guesses stand here as examples, right or wrong; the version in `exercises/` leaves them to you.
# Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("10")

# %% [markdown]
# ## 1. Go back, change nothing
#
# The network is small: 32 units, then 16, then ten logits, trained on five thousand digits (fewer in the short forms). `keep_states=True` is the one new setting. It keeps, at every snapshot, not only the weights but all that
# training needs to go on from there: the optimizer's memory of past gradients, and the place in the order of the images.

# %%
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from neural_microscope.analysis import development

some = nm.data.Dataset(
    "five thousand",
    lesson.data.train.balanced(lesson.pick(5000, 1000), seed=0),
    lesson.data.test.balanced(lesson.pick(1000, 300), seed=0),
)
here = replace(lesson, data=some)
network = nm.MLPConfig(hidden=(32, 16))
# lesson.run takes a quarter of the epochs in the short form and three times as many with the digits
training = nm.TrainConfig(epochs=lesson.pick(10, 120 if lesson.form == "short" else 10), batch_size=100, seed=0)
record = nm.RecordConfig(
    per_octave=1,
    every_epoch=False,
    hook_points=("logits",),
    probe_size=lesson.pick(500, 200),
    norms_every=0,
    keep_states=True,
)
run = here.run("forked", network, training, record)
end = run.steps[-1]
print(f"{end} steps; we can go back to any of {run.steps}")

# %% [markdown]
# To *replay* means: load the weights and the state of a step, and train on. First we change nothing and keep the order of the images. If the recording is complete, we must arrive at the same network. A child that was
# trained without a change is called a *twin*.
#
# **How far from the original is the twin at the end?** Guess the largest difference between any two of their weights.

# %%
mine = 1e-7  # your guess
lesson.guess("unchanged", mine)

# %%
early = 32
unchanged = nm.replay(run, at=early, orders="same", data=some)
twin = unchanged.run("twin", 0)
farthest = max(float((run.weights(end)[name] - w).abs().max()) for name, w in twin.weights(end).items())
assert farthest == 0
if lesson.reveal("unchanged", farthest):
    print(f"{sum(w.numel() for w in twin.weights(end).values()):,} weights, {end - early} steps after step {early}")

# %% [markdown]
# Not a small difference: none. On this machine every sum was rounded in the same way in both. That is worth a test of its own, because everything below rests on it. If the twin were only *close* to the original, a
# difference between a twin and a changed network could be the replay's own.
#
# ### Exercise 1: where do two trainings part?
# *Difficulty ●●○○ · 10 minutes*
#
# Write your own comparison, `first_difference(one, other)`. Each is a dictionary from a step to the weights at that step, and these are a dictionary from a name to a tensor. Return the first step that both have and
# at which they are not the same *bit for bit*; `None` if there is no such step. Other names, another dtype or another shape are a difference. So is −0.0 against 0.0. A NaN with the same bits in both is none.

# %% [markdown] tags=["hint"]
# `tensor.numpy().tobytes()` has the bits, and `tensor.dtype` and `tensor.shape` the rest. Steps need not come in order, and step 0 is a step.


# %% tags=["stub"]
def first_difference(one, other):
    raise NotImplementedError("return the first common step at which any bit differs, or None")


# %% tags=["solution"]
def first_difference(one, other):
    def content(weights):
        return {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in weights.items()}

    common = sorted(set(one) & set(other))
    return next((step for step in common if content(one[step]) != content(other[step])), None)


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    def fresh(steps):
        made = {
            step: {
                "layers.0.weight": torch.from_numpy(rng.normal(size=(3, 4))).float(),
                "layers.0.bias": torch.from_numpy(rng.normal(size=3)).float(),
            }
            for step in steps
        }
        for weights in made.values():
            weights["layers.0.weight"][0, 0], weights["layers.0.bias"][1] = float("nan"), 0.0
        return made

    def copied(made):
        return {step: {name: w.clone() for name, w in weights.items()} for step, weights in made.items()}

    def asked(one, other, true, what):
        flat = {
            f"{which}{step}{name}": w
            for which, made in (("one", one), ("other", other))
            for step, weights in made.items()
            for name, w in weights.items()
        }
        kept = [list(one), list(other)]
        with lessons.unchanged(**flat):
            found = first_difference(one, other)
        assert [list(one), list(other)] == kept, "the dictionaries have changed: work on copies"
        same = found is None if true is None else found is not None and not isinstance(found, bool) and found == true
        assert same, f"{what}: the first difference is {'none' if true is None else f'at step {true}'}; found {found}"

    for steps in ((0, 1, 2, 4), (64, 8, 0, 16), (5,)):
        one = fresh(steps)
        asked(one, copied(one), None, "an exact copy, with NaN in it")
        for at in steps:
            other = copied(one)
            for later in [step for step in steps if step >= at]:
                bias = other[later]["layers.0.bias"]
                bias[2] = torch.nextafter(bias[2], torch.tensor(9.0))
            asked(one, other, at, f"one bit of a bias differs from step {at} on, steps in the order {list(steps)}")
            asked(other, one, at, f"the same, the other way round, from step {at} on")
    one = fresh((0, 3, 6))
    changed = {
        "0.0 against -0.0 at step 3": lambda w: w["layers.0.bias"].__setitem__(1, -0.0),
        "at step 3 one weight lacks in the second": lambda w: w.pop("layers.0.bias"),
        "at step 3 the second has one name more": lambda w: w.update(more=torch.zeros(1)),
        "at step 3 another shape": lambda w: w.update({"layers.0.weight": w["layers.0.weight"].reshape(4, 3)}),
        "at step 3 other names": lambda w: w.update(other=w.pop("layers.0.bias")),
        "at step 3 another number type": lambda w: w.update({"layers.0.bias": w["layers.0.bias"].view(torch.int32)}),
    }
    for what, change in changed.items():
        other = copied(one)
        change(other[3])
        asked(one, other, 3, what)
    other = {step: weights for step, weights in copied(one).items() if step != 3} | fresh((9,))
    asked(one, other, None, "steps 3 and 9 are in one of them only, and the others are equal")
    other[6]["layers.0.weight"][2, 3] += 1
    asked(one, other, 6, "step 3 is in one of them only, and step 6 differs")
    asked({1: one[0]}, {2: other[6]}, None, "no step is in both")


# %% tags=["right"]
def first_difference(one, other):  # a loop, and integers in place of bytes
    for step in sorted(one.keys() & other.keys()):
        a, b = one[step], other[step]
        if a.keys() != b.keys():
            return step
        for name in a:
            x, y = a[name], b[name]
            if x.dtype != y.dtype or x.shape != y.shape:
                return step
            if not np.array_equal(x.contiguous().numpy().view(np.int32), y.contiguous().numpy().view(np.int32)):
                return step
    return None


# %% tags=["right"]
def first_difference(one, other):  # the least of all
    def bits(w):
        return str(w.dtype), list(w.shape), w.numpy().tobytes().hex()

    parted = [
        step
        for step in one
        if step in other
        and sorted((n, bits(w)) for n, w in one[step].items()) != sorted((n, bits(w)) for n, w in other[step].items())
    ]
    return min(parted) if parted else None


# %% tags=["wrong"]
def first_difference(one, other):  # nearly equal is equal
    for step in sorted(set(one) & set(other)):
        if any(not torch.allclose(w, other[step][name], equal_nan=True) for name, w in one[step].items()):
            return step
    return None


# %% tags=["wrong"]
def first_difference(one, other):  # a NaN differs from itself
    for step in sorted(set(one) & set(other)):
        if one[step].keys() != other[step].keys():
            return step
        if any(not torch.equal(w, other[step][name]) for name, w in one[step].items()):
            return step
    return None


# %% tags=["wrong"]
def first_difference(one, other):  # the last one
    def content(weights):
        return {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in weights.items()}

    return max((s for s in set(one) & set(other) if content(one[s]) != content(other[s])), default=None)


# %% tags=["wrong"]
def first_difference(one, other):  # step 0 counts as none
    def content(weights):
        return {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in weights.items()}

    found = min((s for s in set(one) & set(other) if content(one[s]) != content(other[s])), default=0)
    return found or None


# %% tags=["wrong"]
def first_difference(one, other):  # in the order of the dictionary
    def content(weights):
        return {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in weights.items()}

    return next((s for s in one if s in other and content(one[s]) != content(other[s])), None)


# %% tags=["wrong"]
def first_difference(one, other):  # the bytes alone, without shape and dtype
    def content(weights):
        return {name: w.numpy().tobytes() for name, w in weights.items()}

    return next((s for s in sorted(set(one) & set(other)) if content(one[s]) != content(other[s])), None)


# %% tags=["wrong"]
def first_difference(one, other):  # a step that only one of them has is a difference
    def content(weights):
        return {name: (w.dtype, w.shape, w.numpy().tobytes()) for name, w in weights.items()}

    for step in sorted(set(one) | set(other)):
        if step not in one or step not in other or content(one[step]) != content(other[step]):
            return step
    return None


# %% [markdown]
# Now put it to work, in a new cell: `first_difference({step: run.weights(step) for step in run.steps}, {step: twin.weights(step) for step in twin.steps})`. Does it say `None`?

# %% [markdown]
# ## 2. One unit is lost
#
# Now we change something. Let's take a unit that matters. We set each unit of the first layer to zero at step 32, as in the fourth notebook, and see by how much the loss rises: the unit's
# [*ablation*](../docs/glossary.md) effect.


# %% tags=["varies"]
def ablation_effects(model, layer, images, labels):
    """The rise of the loss when each unit is set to 0, in nats, [unit]."""
    point = f"{layer}.hook_post"
    with torch.no_grad():
        _, cache = model.run_with_cache(images, names_filter=point)
        whole = functional.cross_entropy(model.run_from(point, cache[point]), labels)
        rises = []
        for unit in range(cache[point].shape[1]):
            without = cache[point].clone()
            without[:, unit] = 0
            rises.append(functional.cross_entropy(model.run_from(point, without), labels) - whole)
    return torch.stack(rises).numpy()


layer = "layers.0"
probe = run.probe.tensor(), run.probe.label_tensor()
then, finished = (ablation_effects(run.model(step), layer, *probe) for step in (early, end))
unit = int(then.argmax())
print(f"at step {early} unit {unit} matters most: without it the loss is {then[unit]:.3f} nats higher")
print(f"the same unit in the finished network: {finished[unit]:+.3f} nats")

# %% [markdown]
# In the replay the unit is *lost* at step 32: its weights are 0 and stay 0. The network that loses it is called a *branch*. And it trains on to the end with one unit less.
#
# What do we compare it with? With its twin, of course. But there is a catch. Suppose I had shuffled the images in another order: nothing lost, and the loss at the end would be different too. One branch and one twin are two
# numbers, and two numbers always differ. So we take eight orders (three in the short forms). In each order there is one twin, one branch, and twenty more networks, each of which lost *another*, random unit of the layer at the
# same step. Those are the [*null*](../docs/glossary.md) branches.

# %%
orders = lesson.pick(8, 3)
forked = nm.replay(run, at=early, change=nm.changes.Ablate(layer, unit), branches=orders, nulls=20, data=some)
loss = forked.scores.loss  # [order, network, snapshot]
steps = np.array(forked.settings.steps)
print(f"{loss.sizes['order']} orders of {loss.sizes['network']} networks; measured at steps {steps.tolist()}")

# %% [markdown]
# At once the loss is higher, because nothing has been relearned yet. **What share of that rise is left at the end of training, in percent?**

# %%
mine = 50  # your guess
lesson.guess("left", mine)

# %% tags=["varies"]
twins, branches = loss.sel(network="twin").values, loss.sel(network="branch").values  # [order, snapshot]
change = development.change_of_learning(loss)  # the branch less the twin of its order, with its null
at_once, at_end = (float(change["change"][at]) for at in (0, -1))
left = 100 * at_end / at_once
assert not lesson.full or left < 50
if lesson.reveal("left", left):
    display(
        nm.plots.lines(
            {"unit lost": (steps, branches - twins)},
            null={"other units lost": (steps, change["change_null_low"].values, change["change_null_high"].values)},
            x=f"step (the unit was lost at step {early})",
            y="loss of the branch − its twin (nats)",
            title="A loss in mid-training, and what is left of it",
            log_x=True,
        )
    )
    recovered = "The network learns to do without the unit" if left < 50 else "Most of the damage stays to the end"
    recovered = "The damage grows as the network trains on" if left > 100 else recovered
    lesson.say(f"""*What to look at:* the black line is the mean over {orders} orders, each thin line one order; does it come back to 0, and into the gray band? At once the unit's loss costs {at_once:.3f} nats,
at the end {at_end:+.3f}. {recovered}. Taken from the *finished* network the same unit costs {finished[unit]:+.3f} nats. That the loss at the end differs by more than after the loss of a random other unit
is {"shown" if bool(change["change_shown"][-1]) else "not shown"} (p = {float(change["change_p"][-1]):.2f}, 20 draws).""")

# %% [markdown]
# Two questions that sound alike have two answers. "Does the finished network need this unit?" is about a network that has no time to adapt. "Would the network have needed it?" is about one that has.
#
# ### The trap of one twin
#
# What if we had made one twin and one branch, as one would? **In how many of the orders is the loss at the end *lower* without the unit than with it?**

# %%
mine = 1  # your guess
lesson.guess("one twin", mine)

# %% tags=["varies"]
last = branches[:, -1] - twins[:, -1]
lower = int((last < 0).sum())
if lesson.reveal("one twin", lower):
    print("branch − twin at the end, order by order:", "  ".join(f"{one:+.4f}" for one in last))
    print(
        "twins alone, each − their mean:          ",
        "  ".join(f"{one:+.4f}" for one in twins[:, -1] - twins[:, -1].mean()),
    )
    spread, size = twins[:, -1].std(ddof=1), abs(last.mean())
    told = "by more than the lost unit does" if spread > size else "by less than the lost unit does"
    both = "With one twin you could have told either story, and believed it." if 0 < lower < orders else ""
    lesson.say(
        f"""Another order alone moves the loss by {spread:.4f} nats (standard deviation of the twins), {told} on average ({size:.4f}). {both}"""
    )

# %% [markdown]
# ### Exercise 2: does it help to pair them?
# *Difficulty ●●○○ · 10 minutes*
#
# A branch and its twin saw the same images in the same order. If the order moves both in the same direction, their difference is steadier than each of them.
#
# Write `paired(branch, twin)` for two arrays with one loss for each order, in the same sequence. Return three numbers: the mean of branch − twin; the standard error of this mean if we use the pairs, which is the standard
# deviation of the differences over √n; and the standard error if we forget which belongs to which, √(variance of the branches / n + variance of the twins / n). Variances and standard deviations divide by n − 1.

# %% [markdown] tags=["hint"]
# `np.std(x, ddof=1)` divides by n − 1, and so does `np.var(x, ddof=1)`. The third number must not change when you shuffle one of the arrays; the second must.


# %% tags=["stub"]
def paired(branch, twin):
    raise NotImplementedError("return the mean difference and its two standard errors")


# %% tags=["solution"]
def paired(branch, twin):
    far = np.asarray(branch) - np.asarray(twin)
    apart = np.var(branch, ddof=1) + np.var(twin, ddof=1)
    return far.mean(), far.std(ddof=1) / np.sqrt(len(far)), np.sqrt(apart / len(far))


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    for n, shared, own in ((8, 1.0, 0.1), (2, 0.3, 0.3), (5, 0.0, 2.0), (30, 5.0, 0.01), (3, 0.1, 1.0)):
        order = rng.normal(0, shared, n)
        twin = 0.3 + order + rng.normal(0, own, n)
        branch = 0.3 + rng.normal(0, 1) + order + rng.normal(0, 2 * own, n)
        with lessons.unchanged(branch=branch, twin=twin):
            found = paired(branch, twin)
        assert found is not None and len(found) == 3, "three numbers are asked for"
        mean, pairs, free = (float(one) for one in found)
        far = [b - t for b, t in zip(branch, twin, strict=True)]
        middle = sum(far) / n
        true = (sum((one - middle) ** 2 for one in far) / (n - 1) / n) ** 0.5
        means = sum(branch) / n, sum(twin) / n
        variances = [sum((x - m) ** 2 for x in xs) / (n - 1) for xs, m in zip((branch, twin), means, strict=True)]
        loose = (sum(variances) / n) ** 0.5
        case = f"{n} orders"
        assert abs(mean - middle) < 1e-9, f"{case}: the mean of branch - twin is {middle:.4f}, not {mean:.4f}"
        assert abs(pairs - true) < 1e-9, (
            f"{case}: with pairs the standard error is {true:.4f}, not {pairs:.4f}: is it the spread of the differences, over n - 1, "
            "and of their mean"
        )
        assert abs(free - loose) < 1e-9, (
            f"{case}: without pairs the standard error is {loose:.4f}, not {free:.4f}: does each group have its own variance, over n - 1"
        )


# %% tags=["right"]
def paired(branch, twin):  # sums by hand
    n = len(branch)
    far = [b - t for b, t in zip(branch, twin, strict=True)]
    mean = sum(far) / n

    def variance(x):
        return sum((one - sum(x) / n) ** 2 for one in x) / (n - 1)

    return mean, (variance(far) / n) ** 0.5, (variance(branch) / n + variance(twin) / n) ** 0.5


# %% tags=["right"]
def paired(branch, twin):  # scipy
    from scipy import stats

    far = np.subtract(branch, twin)
    return np.array([far.mean(), stats.sem(far), np.hypot(stats.sem(branch), stats.sem(twin))])


# %% tags=["wrong"]
def paired(branch, twin):  # divides by n
    far = branch - twin
    n = len(far)
    return far.mean(), far.std() / n**0.5, ((branch.var() + twin.var()) / n) ** 0.5


# %% tags=["wrong"]
def paired(branch, twin):  # spreads of single orders, not of the mean
    far = branch - twin
    return far.mean(), far.std(ddof=1), (branch.var(ddof=1) + twin.var(ddof=1)) ** 0.5


# %% tags=["wrong"]
def paired(branch, twin):  # the twin less the branch
    far = twin - branch
    n = len(far)
    return far.mean(), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5


# %% tags=["wrong"]
def paired(branch, twin):  # the two standard errors in the other order
    far = branch - twin
    n = len(far)
    return far.mean(), ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5, far.std(ddof=1) / n**0.5


# %% tags=["wrong"]
def paired(branch, twin):  # all values as one group
    far = branch - twin
    n = len(far)
    return far.mean(), far.std(ddof=1) / n**0.5, (2 * np.concatenate([branch, twin]).var(ddof=1) / n) ** 0.5


# %% tags=["wrong"]
def paired(branch, twin):  # as if all groups were paired
    far = branch - twin
    error = far.std(ddof=1) / len(far) ** 0.5
    return far.mean(), error, error


# %% tags=["wrong"]
def paired(branch, twin):  # sorts first, which makes other pairs
    far = np.sort(branch) - np.sort(twin)
    n = len(far)
    return far.mean(), far.std(ddof=1) / n**0.5, ((branch.var(ddof=1) + twin.var(ddof=1)) / n) ** 0.5


# %% [markdown]
# So does pairing help in our replay? We correlate branches and twins over the orders: 1 means that the order moves both alike, 0 that it doesn't matter which twin you take.

# %% tags=["varies"]
alike = [float(np.corrcoef(branches[:, at], twins[:, at])[0, 1]) for at in range(1, len(steps))]
soon, late = alike[2], alike[-1]
lesson.say(f"""At step {steps[3]}, soon after the fork, the correlation of branches and twins over the {orders} orders is {soon:+.2f}; at the end it is {late:+.2f}.
{"The two have gone their own ways, and pairs help less and less: one change in the weights, and the same images no longer have the same effect." if late < soon - 0.3 else "Pairs hold to the end here."}
A mean over orders is right in both cases; what a pair can't give you is a statement about a single network.""")

# %% [markdown]
# ## 3. Who took over?
#
# A branch has a unit less than its twin. If it ends about as well, other units must be doing the work. How would we see that?
#
# If a unit has taken over work, then *ablating it* now does more harm than ablating the same unit in the twin. So we ablate every unit, in every network, at every recorded step, and subtract. The replay has done the first part:
# `effects(layer)` holds the ablation effects. Let's do the second by hand. The *rise* of a unit is its ablation effect in the branch less that in the twin of the same order.

# %%
effects = forked.effects(layer).values  # [order, network, snapshot, unit], nats; networks: twin, branch, null branches
rise = effects[:, 1:] - effects[:, :1]  # over the twin of the same order
lost = [unit, *(null[0]["units"] for null in forked.settings.nulls)]  # which unit each network lost
for number, gone in enumerate(lost):
    rise[:, number, :, gone] = 0  # the lost unit itself takes over nothing

# %% [markdown]
# In each order one of the units has risen most. **How many different units are that, over all orders?** If one unit is the natural heir, the answer is 1.

# %%
mine = 2  # your guess
lesson.guess("heirs", mine)

# %% tags=["varies"]
heirs = rise[:, 0, -1].argmax(1)
if lesson.reveal("heirs", len(set(heirs.tolist()))):
    print("the unit that has risen most at the end, order by order:", *heirs.tolist())
    largest = rise[:, 0, -1].max(1)
    lesson.say(
        f"""The lost unit would have had an effect of {effects[:, 0, -1, unit].mean():.3f} nats in the twins. The largest rise in each order is {largest.min():.3f} to {largest.max():.3f} nats."""
    )

# %% [markdown]
# A single order would have given us a name, and a story to go with it. So we ask the question that doesn't depend on a name: did the others, *all together*, rise? We add up the rises of all units. And we need a null, because after
# the loss of *any* unit the others move a little. That is what the twenty null branches are for: the same sum, after the loss of a random other unit.
#
# One p value is for one question. We choose ours before we look: the sum at the *end*. Only if that is shown do we go back, step by step, as long as it stays shown. So we never search for the best step.


# %% [markdown]
# ### Exercise 3: by when?
# *Difficulty ●○○○ · 10 minutes*
#
# Write `by_when(p, steps)`: from a p value for each step, both sequences in the order of time, the first step from which p is below 0.05 *without a break to the end*. Return `None` if the last p is not below 0.05. A p that is NaN is not
# below.

# %% [markdown] tags=["hint"]
# Go backwards, remember the step, and stop at the first p that is not below 0.05.


# %% tags=["stub"]
def by_when(p, steps):
    raise NotImplementedError("return a step, or None")


# %% tags=["solution"]
def by_when(p, steps):
    found = None
    for value, step in zip(p[::-1], steps[::-1], strict=True):
        if not value < 0.05:
            break
        found = step
    return found


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    def asked(p, steps, true):
        p, steps = np.array(p, float), np.array(steps)
        with lessons.unchanged(p=p, steps=steps):
            found = by_when(p, steps)
        same = found is None if true is None else found is not None and not isinstance(found, bool) and found == true
        assert same, f"p {p.round(3).tolist()} at steps {steps.tolist()}: the answer is {true}, not {found}"

    asked([0.2, 0.03, 0.01], [1, 2, 4], 2)
    asked([0.01, 0.2, 0.01, 0.01], [0, 3, 9, 27], 9)
    asked([0.01, 0.01], [0, 5], 0)
    asked([0.01, 0.2], [0, 5], None)
    asked([0.5, 0.05], [1, 2], None)
    asked([0.05, 0.049999], [1, 2], 2)
    asked([0.0], [7], 7)
    asked([0.3], [7], None)
    asked([0.01, np.nan, 0.01], [1, 2, 3], 3)
    asked([0.01, np.nan], [1, 2], None)
    for n in (2, 3, 5, 9, 9, 9, 14, 14):
        steps = np.sort(rng.choice(np.arange(1000), n, replace=False))
        p = rng.choice([0.001, 0.04, 0.06, 0.7, 1.0], n, p=[0.4, 0.35, 0.1, 0.1, 0.05])
        true = next((int(steps[at]) for at in range(n) if all(one < 0.05 for one in p[at:])), None)
        asked(p, steps, true)


# %% tags=["right"]
def by_when(p, steps):  # from the front, asking for all that follow
    for at, step in enumerate(steps):
        if (np.asarray(p)[at:] < 0.05).all():
            return int(step)
    return None


# %% tags=["right"]
def by_when(p, steps):  # numpy
    stays = np.logical_and.accumulate((np.asarray(p) < 0.05)[::-1])[::-1]
    return steps[int(stays.argmax())] if stays[-1] else None


# %% tags=["wrong"]
def by_when(p, steps):  # the first p below, whatever follows
    return next((step for value, step in zip(p, steps, strict=True) if value < 0.05), None)


# %% tags=["wrong"]
def by_when(p, steps):  # 0.05 itself counts
    found = None
    for value, step in zip(p[::-1], steps[::-1], strict=True):
        if not value <= 0.05:
            break
        found = step
    return found


# %% tags=["wrong"]
def by_when(p, steps):  # a NaN does not break
    found = None
    for value, step in zip(p[::-1], steps[::-1], strict=True):
        if value >= 0.05:
            break
        found = step
    return found


# %% tags=["wrong"]
def by_when(p, steps):  # the place in place of the step
    found = None
    for at in range(len(p) - 1, -1, -1):
        if not p[at] < 0.05:
            break
        found = at
    return found


# %% tags=["wrong"]
def by_when(p, steps):  # skips the steps that are not below
    found = None
    for value, step in zip(p[::-1], steps[::-1], strict=True):
        if value < 0.05:
            found = step
    return found


# %% tags=["wrong"]
def by_when(p, steps):  # the last step that is not below
    found = None
    for value, step in zip(p, steps, strict=True):
        if not value < 0.05:
            found = step
    return found


# %% tags=["wrong"]
def by_when(p, steps):  # says step 0 is None
    found = 0
    for value, step in zip(p[::-1], steps[::-1], strict=True):
        if not value < 0.05:
            break
        found = step
    return found or None


# %% [markdown]
# **Do the others take over, by the rule that we have chosen: shown, or not shown?**

# %%
mine = "shown"  # your guess
lesson.guess("takeover", mine)

# %% tags=["varies", "card"]
total = rise.sum(-1)  # [order, branch and null branches, snapshot]
mean = total.mean(0)
p = nm.statistics.p_values(mean[0], mean[1:])  # (1 + null branches that rise as much) / (1 + 20)
beyond = nm.statistics.shown(p)
by = next((int(steps[at]) for at in range(len(steps)) if beyond[at:].all()), None)
in_orders = sum(bool(nm.statistics.shown(nm.statistics.p_values(one[0, -1], one[1:, -1]))) for one in total)
low, high = nm.statistics.null_band(mean[1:])
if lesson.reveal("takeover", "not shown" if by is None else "shown"):
    display(
        nm.plots.lines(
            {"this unit lost": (steps, total[:, 0])},
            null={"random others": (steps, low, high)},
            x=f"step (the unit was lost at step {early})",
            y="rise of all ablation effects (nats)",
            title="The rest of the layer after a loss",
            log_x=True,
        )
    )
    if by is None:
        lesson.say(f"""*What to look at:* the black line and the gray band, which has the same sum after random other losses. That others would have taken over is not shown: at the end the effects of the others are {mean[0, -1]:+.3f} nats
higher in all than in the twins, and of 20 random losses {int((mean[1:, -1] >= mean[0, -1]).sum())} reach that (p = {p[-1]:.2f}).""")
    else:
        lesson.say(f"""*What to look at:* when does the black line leave the gray band, which has the same sum after random other losses? **Had unit {unit} been lost at step {early}, others would have taken over by step {by}, in {in_orders} of {orders} orders**:
at the end ablating them, one by one, costs {mean[0, -1]:.3f} nats more in all than in the twins, more than after any of 20 random losses (p ≤ {1 / 21:.3f}, 20 draws). "In {in_orders} of {orders}" counts the orders in which this also holds by itself.""")

# %% [markdown]
# Read that sentence slowly. It is about this network and this step, and about the *layer*: it doesn't say that one unit took over. And a sum of single ablations is not an amount of work in any strict sense, since two units that
# do the same job hide each other's effect. What we can say is that the layer's other units matter more than they would have, and by more than after the loss of just any unit. Our unit was chosen because it matters most, so
# that much may simply be *because* it had the most work to give away.
#
# The library asks the narrower question, whether some *single* unit takes over. It compares the largest rise with the largest rises after random losses. That takes you from a unit that matters to the sentence in three cells: the one in
# which we chose the unit, the one with `nm.replay`, and this one.

# %% tags=["varies"]
for claim in nm.replays.claims(forked):
    lesson.say(f"*{claim.verdict}:* {claim.sentence} {claim.reasons}")

# %% [markdown]
# If the two verdicts differ, that is no contradiction: a layer can take over what no single unit does. But mind that we have now asked two questions at 5% each. Ask enough of them, and one will be shown by chance.
#
# ## 4. A class is withheld
#
# Another change, and perhaps the first that you would have tried: leave out all the images of one class for a while. We leave out the sevens for a fifth of the training: at the start, in the middle, or at the end. Everything else stays, and
# each branch has its twin. **What is the accuracy on sevens at the end if they were withheld from the *start*, in percent?** And if from the last fifth? Make up your mind about both.

# %%
mine = 70  # your guess
lesson.guess("withheld", mine)

# %% tags=["varies"]
digit, fifth = 7, end // 5
windows = {"at the start": 0, "in the middle": 2 * fifth, "at the end": end - fifth}
often = nm.RecordConfig(
    per_octave=0,
    every_epoch=False,
    steps=tuple(range(0, end, end // 10)),
    hook_points=("logits",),
    probe_size=100,
    norms_every=0,
)
few = lesson.pick(4, 2)
withheld = {}
for name, since in windows.items():
    left_out = nm.changes.Withhold(classes=digit, since=since, until=since + fifth)
    folder = f"{run.folder}.replays/withheld-{name.replace(' ', '-')}"
    made = nm.replay(run, folder, at=0, change=left_out, branches=few, nulls=0, data=some, record=often)
    withheld[name] = 100 * made.scores.accuracy_by_class.isel({"class": digit})
of_twins = withheld["at the start"].sel(network="twin").values
ends = {name: withheld[name].sel(network="branch").values[:, -1] for name in windows}
forgot = ends["at the end"].max() < ends["at the start"].min()
assert not lesson.full or forgot
if lesson.reveal("withheld", float(ends["at the start"].mean())):
    at = np.array(made.settings.steps)
    display(
        nm.plots.lines(
            {f"out {name}": (at, held.sel(network="branch").values.mean(0)) for name, held in withheld.items()},
            null={"twins": (at, of_twins.min(0), of_twins.max(0))},
            x="step",
            y=f"accuracy on class {digit} (%)",
            title="A class is left out for a fifth of the training",
        )
    )
    print(f"accuracy on class {digit} at the end, mean and range of {few} orders; twins {of_twins[:, -1].mean():.0f}%")
    for name, found in ends.items():
        print(f"  withheld {name:13} {found.mean():5.1f}%  ({found.min():.0f} to {found.max():.0f}%)")
    lesson.say(f"""*What to look at:* how fast each line falls, and how fast it comes back once the sevens are there again; the gray band is the range of the twins.
{"Withheld at the start, the class is caught up with. Withheld at the end, it is forgotten" if forgot else "Here the place of the gap makes no clear difference"}:
{ends["at the start"].mean():.0f}% against {ends["at the end"].mean():.0f}%, with the same number of images left out.""")

# %% [markdown]
# Now imagine that you had only the last experiment. "Without its images in that phase, the class is not learned": so that phase is important for sevens? No. The network had learned them, and then it *forgot* them, because every step without a seven
# pushes the sevens' logit down. Whatever you withhold last looks important.
#
# ### A critical period that is none
#
# Kittens that see nothing in their first weeks never see well. Do networks have such a *critical period*? The experiment seems easy: blur all images for a while, early or late, and look at the accuracy at the end.
#
# But "late" changes two more things. There is less training left to repair the damage. And if the learning rate falls during training, as it usually does, the repair has to be made with a smaller rate. So we run three designs, all on a run with
# a *cosine* schedule, in which the rate falls to 0.
#
# 1. *To the end:* blur early or late, and look at the end of training. This is what one would do.
# 2. *Equal training left:* as 1, but look the same number of steps after the blur began.
# 3. *Restarted:* as 2, and the schedule of the rate starts again at the fork. So each blur has the same training and the same rates after it.
#
# In each we measure how many points of accuracy the blur takes, against twins with the same schedule. (The late blur is the same experiment in 1 and 2; only the early one is looked at sooner.) **By how many points does the late blur seem to harm more than the early one, in design 1?** (Less than 0: the early one harms more.)

# %%
mine = 5  # your guess
lesson.guess("critical", mine)

# %% tags=["varies"]
falling = here.run("cosine", network, replace(training, schedule="cosine", learning_rate=2e-3), record)
onsets = 0, 256
span, rest = (end - onsets[1]) * 3 // 5, end - onsets[1]
everything = tuple(range(some.classes))
designs = {
    "to the end": lambda at: (end, "continued"),
    "equal training left": lambda at: (at + rest, "continued"),
    "restarted": lambda at: (at + rest, "restarted"),
}
lean = nm.RecordConfig(per_octave=0, every_epoch=False, hook_points=("logits",), probe_size=100, norms_every=0)


def harm(at, until, schedule):
    """Points of accuracy that the blur takes, [order]."""
    blur = nm.changes.Blur(classes=everything, sigma=some.image_shape[0] / 9, since=at, until=at + span)
    folder = f"{falling.folder}.replays/blur-{at}-{until}-{schedule}"
    made = nm.replay(
        falling,
        folder,
        at=at,
        change=blur,
        until=until,
        lr_schedule=schedule,
        branches=few,
        nulls=0,
        data=some,
        record=lean,
    )
    accuracy = 100 * made.scores.accuracy.isel(snapshot=-1)
    return (accuracy.sel(network="twin") - accuracy.sel(network="branch")).values


harms = {name: [harm(at, *design(at)) for at in onsets] for name, design in designs.items()}
seems = {name: late.mean() - first.mean() for name, (first, late) in harms.items()}
if lesson.reveal("critical", float(seems["to the end"])):
    print(f"points of accuracy lost to {span} steps of blur; mean over {few} orders (lowest to highest)")
    for name, pair in harms.items():
        cells = [
            f"from step {at:3}: {h.mean():5.1f} ({h.min():.1f} to {h.max():.1f})"
            for at, h in zip(onsets, pair, strict=True)
        ]
        print(f"  {name:20} {'   '.join(cells)}   late − early {seems[name]:+.1f}")
    first, differ = [pair[0].mean() for pair in harms.values()], max(seems.values()) - min(seems.values())
    told = "The answer depends on the design" if differ > 1 else "The three designs agree within a point"
    schedule = (
        "the schedule alone decides that much" if abs(first[2] - first[1]) > 1 else "the schedule matters little here"
    )
    lesson.say(f"""How many more points of accuracy the late blur takes than the early one: {", ".join(f"{one:+.1f} ({name})" for name, one in seems.items())}. {told}.
Look at the early blur alone, with equal training left: it costs {first[1]:.1f} points under the continued schedule and {first[2]:.1f} under the restarted one. The images, the blur and the number of steps are the same; {schedule}.""")

# %% [markdown]
# Why should the schedule matter? After the early blur the continued rate is still high. The restarted one has to fall to 0 in the steps that are left, and a network without a rate can't repair anything. And even the
# fairest design is no proof of a period: an early blur meets a network that knows nothing yet, a late one a trained network. So before you speak of a period, *cross* the schedule with it: run both, each with the same training
# left, and say what else differs.
#
# ## 5. When is the outcome decided?
#
# One more use of a replay, and for once we change nothing but the order. Take two twins on two orders. At the end they are two different networks. Are they two *solutions*, or two places in one valley?
#
# Walk in a straight line from one to the other, through the space of weights. At each point of the line there is a network, with a test error. If the error rises in between, there is a mountain between the two, an
# *error barrier*. If it doesn't, they are linearly connected, and the order made no real difference. Frankle and others (2020) fork at later and later steps and ask from when on the twins stay connected. From then on, they say, the outcome is decided.
#
# ### Exercise 4: the height of a barrier
# *Difficulty ●●○○ · 10 minutes*
#
# Write `barrier(errors)`: for the errors at evenly spaced points of the line, the first and the last of them at its ends, how far the curve rises above the *straight* line between the errors at the ends, at most. It is 0 if it rises nowhere.

# %% [markdown] tags=["hint"]
# `np.linspace(0, 1, len(errors))` is the share of the way. The straight line is (1 − share) · first + share · last.


# %% tags=["stub"]
def barrier(errors):
    raise NotImplementedError("return the largest rise above the straight line between the ends")


# %% tags=["solution"]
def barrier(errors):
    errors = np.asarray(errors, float)
    share = np.linspace(0, 1, len(errors))
    straight = (1 - share) * errors[0] + share * errors[-1]
    return (errors - straight).max()


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    cases = [[0.1, 0.1, 0.1], [0.0, 1.0], [0.4, 0.0, 0.1], [0.0, 0.6, 1.0], [1.0, 0.6, 0.0], [0.2, 0.5, 0.3, 0.9, 0.2]]
    cases += [
        (rng.uniform(0, 1) + rng.normal(0, 0.2, n) + rng.normal(0, 1) * np.linspace(0, 1, n)).tolist()
        for n in (3, 5, 11, 11, 11, 20, 20)
    ]
    cases += [[3 * one for one in cases[-1]], [one - 5 for one in cases[-1]], cases[-1][::-1]]
    for case in cases:
        given = np.array(case)
        with lessons.unchanged(errors=given):
            found = barrier(given)
        assert found is not None and np.ndim(found) == 0, f"one number is asked for; found {found}"
        last = len(case) - 1
        true = max(e - case[0] - (case[-1] - case[0]) * at / last for at, e in enumerate(case))
        assert abs(float(found) - max(true, 0)) < 1e-9, (
            f"errors {np.round(case, 3).tolist()}: the barrier is {max(true, 0):.4f}, not {float(found):.4f}: is it measured from the straight "
            "line between the ends, at each point"
        )


# %% tags=["right"]
def barrier(errors):  # point by point
    n = len(errors) - 1
    return max(e - (errors[0] * (n - i) + errors[n] * i) / n for i, e in enumerate(errors))


# %% tags=["right"]
def barrier(errors):  # numpy's interpolation
    at = np.arange(len(errors))
    above = np.asarray(errors) - np.interp(at, at[[0, -1]], np.asarray(errors)[[0, -1]])
    return np.maximum(above, 0).max()


# %% tags=["wrong"]
def barrier(errors):  # the whole range
    return np.max(errors) - np.min(errors)


# %% tags=["wrong"]
def barrier(errors):  # above the mean of the ends
    return max(np.max(errors) - (errors[0] + errors[-1]) / 2, 0)


# %% tags=["wrong"]
def barrier(errors):  # above the higher end
    return max(np.max(errors) - max(errors[0], errors[-1]), 0)


# %% tags=["wrong"]
def barrier(errors):  # the middle alone
    return max(errors[len(errors) // 2] - (errors[0] + errors[-1]) / 2, 0)


# %% tags=["wrong"]
def barrier(errors):  # a dip counts as well
    share = np.linspace(0, 1, len(errors))
    return np.abs(errors - (1 - share) * errors[0] - share * errors[-1]).max()


# %% tags=["wrong"]
def barrier(errors):  # the line the other way round
    share = np.linspace(0, 1, len(errors))
    return (errors - share * errors[0] - (1 - share) * errors[-1]).max()


# %% tags=["wrong"]
def barrier(errors):  # the mean rise
    share = np.linspace(0, 1, len(errors))
    return max((errors - (1 - share) * errors[0] - share * errors[-1]).mean(), 0)


# %% [markdown]
# The library forks pairs of twins at several steps and measures the barrier of each pair. Its null is the latest fork: if the outcome is decided there, that barrier is what you get from noise alone.
# **From which of these steps on is no barrier shown: 0, 8 or 64?**

# %%
mine = 64  # your guess
lesson.guess("decided", mine)

# %% tags=["varies"]
pairs = lesson.pick(8, 6)
decided = nm.replays.decided(run, pairs=pairs, at=(0, 8, 64), data=some)
curves = 100 * decided["errors"]  # [fork, pair, share]
answer = decided.attrs["decided"]
if lesson.reveal("decided", "no barrier is shown at any" if np.isnan(answer) else int(answer)):
    display(
        nm.plots.lines(
            {
                f"forked at {int(step)}": (curves["share"].values, curves[at].mean("pair").values)
                for at, step in enumerate(decided["step"].values)
            },
            x="way from one twin to the other",
            y="test error (%)",
            title="The error between twins",
        )
    )
    for at, step in enumerate(decided["step"].values[:-1]):
        row = {name: float(decided[name][at]) for name in ("barrier", "barrier_low", "barrier_high", "barrier_q")}
        verdict = "shown" if bool(decided["barrier_shown"][at]) else "not shown"
        print(
            f"forked at step {int(step):2}: barrier {100 * row['barrier']:.1f} points (95% over {pairs} pairs {100 * row['barrier_low']:.1f} to "
            f"{100 * row['barrier_high']:.1f}); above that of step {int(decided['step'][-1])}: {verdict}, q = {row['barrier_q']:.3f}"
        )
    lesson.say(f"""*What to look at:* the lines are means over {pairs} pairs of twins; does the error rise between the ends?
{"No barrier is shown at any of these steps: by this measure, on these pairs, the outcome may be decided from the start" if np.isnan(answer) else f"Forked before step {int(answer)}, twins end in different valleys. From step {int(answer)} on a barrier is not shown"}. Twins that are forked
later also have less training left in which to part, so a small barrier late is partly a matter of time.""")

# %% [markdown]
# Compare this with section 2. A lost unit was made up for, whether the outcome was decided or not: *which* solution a network finds is one thing, and how *good* it is another.
#
# ## What you have seen
#
# * A replay without a change is the original, bit for bit. Only then does a change mean anything.
# * A unit lost in mid-training and the same unit ablated at the end are two experiments. A network that goes on learning can make up for a loss.
# * Another order of the images alone moves a network. One twin is not enough: pair by order, average over orders, and compare with the same change made elsewhere.
# * "Others took over" is a claim with a null: the others must rise by more than after random losses. One order always names an heir.
# * What is withheld last looks most important, because it is forgotten. Before you speak of a critical period, give each onset the same training left, and cross the schedule.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#10-what-if-it-had-learned-otherwise), in the documentation.
#
# **Next:** fork a run of your own: `microscope replay RUN --at STEP --ablate layers.1:19` does from the command line what we did here.
#
# **Further reading.** J. Frankle, G. K. Dziugaite, D. M. Roy and M. Carbin, "Linear mode connectivity and the lottery ticket hypothesis", *ICML* 2020. A. Achille, M. Rovere and S. Soatto, "Critical learning periods in deep
# networks", *ICLR* 2019. R. M. French, "Catastrophic forgetting in connectionist networks", *Trends in Cognitive Sciences* 3 (1999). T. McGrath et al., "The Hydra effect: emergent self-repair in language model
# computations", arXiv:2307.15771 (2023).
