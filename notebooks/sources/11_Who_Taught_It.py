# %% [markdown]
# # Who taught it that?
#
# *We take a prediction, ask which training images are behind it, and then check: we train the network again without them.*
#
# A network knows nothing but its training images. So when it takes a 9 for a 5, some of them must have taught it that, if it was not the draw of its initial weights. Can we find them? There are formulas that give every training image a number, its *influence*, and they
# give it in a second. That is the easy half, and it is where most stories about influence end.
#
# The other half is to find out whether the numbers are right. For a small network that is possible: leave the images out, train again, and look. You will see that this truth is itself noisy, that some questions can't be
# answered at all, and that a test is worth as much as its control. At the end we turn it around. If we *edit* a network so that it forgets a class, is it now like a network that never saw that class?
#
# **You will be able to**
#
# * compute the influence of one image by hand, as the product of two gradients, without forming a gradient;
# * check an estimate of influence with networks that were retrained, and read its agreement between a null and a *ceiling*;
# * say when a question about influence can't be answered, and why;
# * judge an edit by networks that were really trained that way, and by their distance from one another.
#
# **Minutes:** 50 to read and run, 45 more for the exercises. **You need:** [02](02_Train_on_MNIST_and_Log.ipynb) for gradients and snapshots,
# [04](04_Causal_Interventions.ipynb) for ablation; [10](10_Interventions_on_Learning.ipynb) helps.
#
# Before each answer we ask for your guess, and the notebook shows nothing until you have made one. Our own guesses stand here as examples, right or wrong; the version in `exercises/` leaves them to you.
# Terms are explained where they first appear, and again in the [glossary](../docs/glossary.md).

# %% tags=["setup"]
from neural_microscope import lessons

lesson = lessons.start("11")

# %% [markdown]
# ## 1. One image, one step
#
# The network is small and has few teachers: 32 units, then 16, then ten logits, trained on two thousand digits (fewer in the short forms). We use plain gradient descent, because then we can say what a single image does
# in a single step.

# %%
import copy
import itertools
from dataclasses import replace

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch.nn import functional

some = nm.data.Dataset(
    "two thousand",
    lesson.data.train.balanced(lesson.pick(2000, 600), seed=0),
    lesson.data.test.balanced(lesson.pick(1000, 300), seed=0),
)
# lesson.run takes a quarter of the epochs in the short form and three times as many with the digits
training = nm.TrainConfig(
    epochs={"full": 10, "short": 48, "digits": 4}[lesson.form],
    batch_size=lesson.pick(50, 20),
    optimizer="sgd",
    learning_rate=0.1,
    seed=0,
)
record = nm.RecordConfig(
    per_octave=1, every_epoch=False, hook_points=("logits",), probe_size=lesson.pick(500, 200), norms_every=0
)
network = nm.MLPConfig(hidden=(32, 16))
run = replace(lesson, data=some).run("taught", network, training, record)
model, n = run.model(), len(some.train)
images, labels = some.train.tensor(), some.train.label_tensor()
with torch.no_grad():
    probabilities = model(some.test.tensor()).softmax(1).numpy()
correct = probabilities.argmax(1) == some.test.labels
assert correct.mean() > 0.7
print(f"{n:,} training images, {run.steps[-1]} steps; test accuracy {100 * correct.mean():.0f}%")

# %% [markdown]
# We want a prediction that could have gone the other way: an image that the network misclassifies by the smallest difference, with its own class in second place.

# %% tags=["varies"]
ranked = np.sort(probabilities, axis=1)
own = np.take_along_axis(probabilities, some.test.labels[:, None].astype(int), axis=1)[:, 0]
hesitant = ~correct & (own == ranked[:, -2])
image = int(np.where(hesitant, ranked[:, -1] - own, np.inf).argmin())
true, predicted = int(some.test.labels[image]), int(probabilities[image].argmax())
_, cache = model.run_with_cache(some.test.subset([image]).tensor())
inside = {f"layers.{at}": cache[f"layers.{at}.hook_post"][0].detach().numpy() for at in (0, 1)}
display(nm.plots.one_image(some.test.images[image] / 255, {"MLP": inside}, {"MLP": probabilities[image]}))
lesson.say(f"""*What to look at:* the two longest bars. Test image {image} is of class {true}; the network predicts {predicted} (p = {probabilities[image, predicted]:.2f}), and {true} comes second
(p = {own[image]:.2f}).""")

# %% [markdown]
# As the number to explain we take the [*margin*](../docs/glossary.md) of the image as the literature on influence has it: log(p / (1 − p)), with p the probability of its own class. It is the logit of that class minus log Σ exp of all other logits (not minus the
# highest other, as in the other notebooks): above 0 the class has more than half of the probability.
#
# Now, what does a training image do to it? In one step of gradient descent on that image alone all weights move by −rate × (gradient of the image's loss). And to first order, the margin moves by (gradient of the margin) · (movement of the weights).
# So one number decides: the dot product of two gradients, that of the margin and that of the image's loss. Let's do it with a network early in its training, after 32 steps, and then really take the step.

# %% tags=["varies"]
early, rate = 32, 1e-3


def margin_of(network):
    """log p / (1 - p) of the image's class."""
    logits = network(some.test.subset([image]).tensor().to(next(network.parameters()).dtype))[0]
    others = torch.arange(len(logits)) != true
    return logits[true] - logits[others].logsumexp(0)


def gradient(network, number):
    """The gradient of a number by all weights, as one long vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(number, [*network.parameters()])])


young = run.model(early).double()  # float64: the steps are tiny
of_margin = gradient(young, margin_of(young))
third = next(label for label in range(10) if label not in (true, predicted))
teachers = {f"class {label}": int(np.flatnonzero(some.train.labels == label)[0]) for label in (true, predicted, third)}
told, found = [], []
for name, number in teachers.items():
    loss = functional.cross_entropy(young(images[[number]].double()), labels[[number]])
    step = -rate * gradient(young, loss)
    told.append(float(of_margin @ step))
    moved = copy.deepcopy(young)
    torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(young.parameters()) + step, moved.parameters()
    )
    found.append((margin_of(moved) - margin_of(young)).item())
    print(
        f"{name} (training image {number}): -rate x product is {told[-1]:+.2e}, the step changes the margin by {found[-1]:+.2e}"
    )
assert np.abs(np.subtract(told, found)).max() < 0.05 * np.abs(found).max()

# %% [markdown]
# The product of the gradients, times −rate, is what the step does. That is all there is to the influence of an image in one step; everything else is about many steps.
#
# Images of the true class should raise the margin. And the images of the *other* classes? The step on an image of another class raises that class's logit. **What share of the images of other classes raises the margin
# nevertheless, in percent?**

# %%
mine = 5  # your guess
lesson.guess("others", mine)

# %% tags=["varies"]
target = nm.influence.Prediction(image)
at_early = nm.influence.estimate(run, target, method="last", step=early, data=some)[0]  # [example]
other = some.train.labels != true
raising = 100 * float((at_early.values[other] > 0).mean())
if lesson.reveal("others", raising):
    by_class = at_early.groupby("label").map(lambda one: 100 * (one > 0).mean("example"))
    print(
        "images that raise the margin, by class:",
        "  ".join(f"{int(c)}: {float(v):.0f}%" for c, v in zip(by_class["label"], by_class, strict=True)),
    )
    most = " and ".join(str(int(c)) for c, v in zip(by_class["label"], by_class, strict=True) if v > 50 and c != true)
    lesson.say(f"""{"Far from none" if raising > 10 else "Few"}: an image teaches more than its own class. {f"Most images of {most} raise the margin. " if most else ""}All classes share the hidden
layers; whether that is the reason was not tested here.""")

# %% [markdown]
# `estimate(method="last")` did that for all images at once.
#
# ### Exercise 1: a product without gradients
# *Difficulty ●●○○ · 15 minutes*
#
# How does `estimate` get the products for all images, without a gradient by all the weights for each? The gradient of a number by the weights of one linear layer is a table: the slope δ at the layer's output, times the layer's input h. Add the bias, whose gradient is δ. The
# dot product of two such gradients never needs the tables.
#
# Write `product(slopes, inputs, slopes_b, inputs_b)`. Each of the four is a list with a vector for each linear layer: for the first example the slopes δ at the layer's outputs and the layer's inputs h, then the same of the second. Every
# layer has a bias. Return the dot product of the two gradients by *all* weights and biases, as one number, without the −rate.

# %% [markdown] tags=["hint"]
# For one layer the gradient by the weights is the outer product δhᵀ. The sum of the products of all its entries with those of δ′h′ᵀ is (δ·δ′)(h·h′). What do the biases add to it?


# %% tags=["stub"]
def product(slopes, inputs, slopes_b, inputs_b):
    raise NotImplementedError("return the product of the two gradients, a sum over the layers")


# %% tags=["solution"]
def product(slopes, inputs, slopes_b, inputs_b):
    layers = zip(slopes, inputs, slopes_b, inputs_b, strict=True)
    return sum(float(d @ e) * (float(h @ k) + 1) for d, h, e, k in layers)


# %% tags=["check"]
@lesson.check
def exercise_1(rng):
    for widths in ((5, 4, 3), (6, 2), (3, 7, 7, 2), (4, 1, 5), (1, 1)):
        maps = [torch.nn.Linear(a, b).double() for a, b in itertools.pairwise(widths)]
        with torch.no_grad():
            for part in maps:
                for weight in part.parameters():
                    weight.copy_(torch.from_numpy(rng.normal(size=tuple(weight.shape))))
        sides = []
        for _ in range(2):
            h, seen, outputs = torch.from_numpy(rng.normal(size=widths[0])), [], []
            for part in maps:
                seen.append(h.detach())
                outputs.append(part(h))
                h = torch.tanh(outputs[-1])
            number = (h * torch.from_numpy(rng.normal(size=widths[-1]))).sum()
            slopes = torch.autograd.grad(number, outputs, retain_graph=True)
            whole = torch.autograd.grad(number, [weight for part in maps for weight in part.parameters()])
            sides.append(([*slopes], seen, torch.cat([one.flatten() for one in whole])))
        (slopes, seen, whole), (slopes_b, seen_b, whole_b) = sides
        flat = {
            f"{name}[{at}]": one
            for name, many in zip(
                ("slopes", "inputs", "slopes_b", "inputs_b"), (slopes, seen, slopes_b, seen_b), strict=True
            )
            for at, one in enumerate(many)
        }
        with lessons.unchanged(**flat):
            found = product(slopes, seen, slopes_b, seen_b)
        assert found is not None and np.ndim(found) == 0, f"one number is asked for; found {found}"
        wanted = float(whole @ whole_b)
        assert abs(float(found) - wanted) < 1e-9 * max(1, abs(wanted)), (
            f"layers of widths {widths}: the product of the gradients is {wanted:.4f}, not {float(found):.4f}: is it a sum over all layers, with the "
            "biases"
        )


# %% tags=["right"]
def product(slopes, inputs, slopes_b, inputs_b):  # forms the gradients
    total = 0.0
    for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True):
        total += (torch.outer(d, h) * torch.outer(e, k)).sum() + (d * e).sum()
    return total


# %% tags=["right"]
def product(slopes, inputs, slopes_b, inputs_b):  # the bias as the weight of an input of 1
    def whole(slopes, inputs):
        one = torch.ones(1, dtype=torch.float64)
        return torch.cat([torch.outer(d, torch.cat([h, one])).flatten() for d, h in zip(slopes, inputs, strict=True)])

    return whole(slopes, inputs) @ whole(slopes_b, inputs_b)


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # no biases
    return sum(float((d @ e) * (h @ k)) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True))


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # 1 for the bias, without its slopes
    return sum(float((d @ e) * (h @ k) + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True))


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # the last layer only
    return float((slopes[-1] @ slopes_b[-1]) * (inputs[-1] @ inputs_b[-1] + 1))


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # the first layer only
    return float((slopes[0] @ slopes_b[0]) * (inputs[0] @ inputs_b[0] + 1))


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # a sum where a product belongs
    return sum(float(d @ e + h @ k + 1) for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True))


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # a cosine
    total, one, other = 0.0, 0.0, 0.0
    for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True):
        total += float((d @ e) * (h @ k + 1))
        one += float((d @ d) * (h @ h + 1))
        other += float((e @ e) * (k @ k + 1))
    return total / (one * other) ** 0.5


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # multiplies the layers
    total = 1.0
    for d, h, e, k in zip(slopes, inputs, slopes_b, inputs_b, strict=True):
        total *= float((d @ e) * (h @ k + 1))
    return total


# %% tags=["wrong"]
def product(slopes, inputs, slopes_b, inputs_b):  # the first example with itself
    return sum(float((d @ d) * (h @ h + 1)) for d, h in zip(slopes, inputs, strict=True))


# %% [markdown]
# Are ours and the library's the same number? An image is in one batch of each epoch, and there it is one of many. Over the first 32 steps, as if every image had had its share of them, that makes minus the product, times the sum of their rates, divided by the number of training images.

# %%
rates = float(run.training["learning_rate"].values[:early].sum())
by_hand = np.array(told) / rate * rates / n
by_library = at_early.values[[*teachers.values()]]
assert np.allclose(by_hand, by_library, rtol=1e-3, atol=1e-3 * np.abs(by_hand).max())
print(f"the same for all {len(teachers)} images, within 0.1%")

# %% [markdown]
# ## 2. All steps, all images
#
# A training is many steps, and at each the gradients are others. *TracIn* adds the products up over the recorded snapshots. *Last* takes one snapshot for all of them, here the finished network. The *kernel* replaces the network by its linear approximation
# and asks how that one's best fit would answer: images that say the same thing twice share the credit. And *pixels* looks at no network at all: the cosine between two pictures, with a minus if their labels differ. That one is our baseline.
#
# Who made the network hesitate? TracIn gives a list. **Of the ten training images that lower the margin most, how many are of the class that was predicted?**

# %%
mine = 10  # your guess
lesson.guess("harmful", mine)

# %% tags=["varies", "card"]
estimates = {method: nm.influence.estimate(run, target, method=method, data=some)[0] for method in nm.influence.METHODS}
order = {method: np.argsort(one.values) for method, one in estimates.items()}
lowering = order["tracin"][:10]
if lesson.reveal("harmful", int((some.train.labels[lowering] == predicted).sum())):
    display(nm.plots.influential_images(estimates["tracin"], some.train.images, n=10))
    for method, one in order.items():
        raise_it, lower_it = (some.train.labels[part].tolist() for part in (one[::-1][:10], one[:10]))
        print(f"{method:7} labels of the ten that raise it most: {raise_it}, lower it most: {lower_it}")
    shared = {method: len({*one[:10]} & {*lowering}) for method, one in order.items() if method != "tracin"}
    lesson.say(f"""*What to look at:* do the pictures look like something between {true} and {predicted}? A story is easily told. But of TracIn's ten most harmful images {", ".join(f"{one} shares {count}" for one, count in shared.items())}.
{"The methods do not all name the same images." if max(shared.values()) < 8 else "The methods agree."}""")

# %% [markdown]
# Each list can be defended by looking at it. None of them can be *shown* by looking at it: they are all arithmetic on the network that we have, and the question is about a network that we don't have, the one that never saw these images.
#
# ## 3. The truth: train without them
#
# So we train that network. The images get weight 0 in the loss of their batches and everything else stays: the same initial weights, the same batches in the same order. The *effect* of a set of images is the margin without it, minus the margin with it, so an image with an influence of +2 has an estimated effect of −2. We do that for
# eight seeds, which set initial weights and order, because we don't want to know what the images did to *this* draw of random numbers (TracIn saw one network, ours; what it says should hold for the others). And we do it for random sets of ten images too.
#
# **By how much does the margin change without the ten images that lower it most, by TracIn?** (Above 0: without them the network is surer of the true class.)

# %%
mine = 0.5  # your guess
lesson.guess("without", mine)

# %% tags=["varies"]
rng = np.random.default_rng(0)
raising_most = order["tracin"][::-1]
random_sets = [rng.choice(n, 10, replace=False) for _ in range(9)]
left_out = {
    "the one that raises it most": raising_most[:1],
    "the ten that raise it most": raising_most[:10],
    "the one that lowers it most": lowering[:1],
    "the ten that lower it most": lowering,
} | {f"ten random images ({number})": one for number, one in enumerate(random_sets, 1)}
truth = nm.influence.retrain(run, [*left_out.values()], target, seeds=8, data=some)
effect = (truth["value"] - truth["whole"])[..., 0]  # [set, seed]
mean = dict(zip(left_out, effect.mean("seed").values, strict=True))
error = dict(zip(left_out, (effect.std("seed", ddof=1) / np.sqrt(8)).values, strict=True))
if lesson.reveal("without", float(mean["the ten that lower it most"])):
    for name in [*left_out][:4]:
        print(
            f"without {name:27}: margin {mean[name]:+.2f} ± {error[name]:.2f}  (TracIn estimates {-float(estimates['tracin'][left_out[name]].sum()):+.1f})"
        )
    by_chance = np.array([mean[name] for name in left_out if "random" in name])
    print(f"without ten random images, 9 sets   : margin {by_chance.min():+.2f} to {by_chance.max():+.2f}")
    own_sd, order_sd = (
        float(one.std("seed", ddof=1).item()) for one in (truth["whole"], truth["reordered"] - truth["whole"])
    )
    up, down = (mean[f"the ten that {what} it most"] for what in ("raise", "lower"))
    if down > by_chance.max():
        direction = "more than without any of the random sets, and in the direction that TracIn says"
    elif down < by_chance.min():
        direction = "more than without any of the random sets, and *not* in the direction that TracIn says"
    else:
        direction = "no more than without random ones"
    size = abs(float(estimates["tracin"][raising_most[:10]].sum()) / up)
    lesson.say(f"""Without the ten that raise the margin it {"falls" if up < 0 else "rises"} by {abs(up):.2f}{", more than without any of the random sets" if up < by_chance.min() else ""}.
Without the ten that lower it, it {"falls" if down < 0 else "rises"} by {abs(down):.2f}: {direction}. (Mean of 8 seeds ± standard error.)
{"The sizes are far off, too: for the ten that raise it, TracIn says " + f"{size:.0f} times what was measured." if size > 2 else ""}
And look at the noise: networks of other seeds, trained on all images, have margins with a standard deviation of {own_sd:.2f}; another order of the batches alone changes it with one of {order_sd:.2f}.""")

# %% [markdown]
# One half of a list can be right and the other not. A list with ten names doesn't tell you which half you are looking at.
#
# ## 4. How true is the truth?
#
# Before we blame the estimates: how well do we know the effects? They differ between seeds. If another eight seeds gave other effects, no estimate could agree with both.
#
# So we compare the truth with itself. Take many sets. Split the seeds into two halves, take the mean effect of each set in each half, and correlate the two over the sets, by ranks. That is r, how well *half* the seeds agree with the other half. All seeds together are
# more reliable than half of them: Spearman and Brown give the *reliability* 2r / (1 + r).
#
# Now imagine a perfect estimate, one that knows the effect in the mean over all the seeds in the world. It still doesn't agree perfectly with our few seeds: its correlation with them is √reliability, and nothing that doesn't see our seeds can expect more. That is the *ceiling*. (An estimate that sees a single network can expect less.)
#
# ### Exercise 2: the ceiling
# *Difficulty ●●○○ · 10 minutes*
#
# Write `ceiling(effects)` for an array [set, seed] with an even number of seeds. The first half of the seeds is one half, the rest the other. Return the ceiling; 0 if the halves don't correlate above 0.

# %% [markdown] tags=["hint"]
# `stats.spearmanr(a, b).statistic` is the rank correlation. Means over seeds first, ranks after. The root comes last.


# %% tags=["stub"]
def ceiling(effects):
    raise NotImplementedError("return the square root of the reliability")


# %% tags=["solution"]
def ceiling(effects):
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0


# %% tags=["check"]
@lesson.check
def exercise_2(rng):
    def ranks(x):
        return [sum(other < one for other in x) for one in x]

    cases = [(12, 2, 1.0), (20, 6, 0.5), (40, 8, 2.0), (9, 4, 1.0), (30, 4, 0.2), (25, 10, 3.0)]
    made = [rng.normal(size=(sets, 1)) * 1.0 + rng.normal(size=(sets, seeds)) * noise for sets, seeds, noise in cases]
    made += [np.exp(3 * made[2]), np.exp(2 * made[1]) - 50]
    opposed = rng.normal(size=(15, 1)) * np.array([1.0, 1.0, -1.0, -1.0]) + 0.1 * rng.normal(size=(15, 4))
    for effects in [*made, opposed]:
        with lessons.unchanged(effects=effects):
            found = ceiling(effects)
        assert found is not None and np.ndim(found) == 0, f"one number is asked for; found {found}"
        sets, seeds = effects.shape
        sides = [
            [sum(row[at] for at in part) for row in effects] for part in (range(seeds // 2), range(seeds // 2, seeds))
        ]
        a, b = (np.array(ranks(side)) - (sets - 1) / 2 for side in sides)
        r = float((a * b).sum() / ((a * a).sum() * (b * b).sum()) ** 0.5)
        wanted = (2 * r / (1 + r)) ** 0.5 if r > 0 else 0.0
        assert np.isfinite(float(found)), (
            f"halves that correlate at {r:.2f} have a ceiling of {wanted:.3f}, not {found}"
        )
        assert abs(float(found) - wanted) < 1e-9, (
            f"{sets} sets, {seeds} seeds, halves that correlate at {r:.3f} by ranks: the ceiling is {wanted:.3f}, not {float(found):.3f}: are the "
            "halves' means ranked, is the correlation extended to all seeds, and is the root taken"
        )


# %% tags=["right"]
def ceiling(effects):  # ranks, then numpy's correlation
    one, other = np.split(np.asarray(effects), 2, axis=1)
    ranks = [stats.rankdata(side.mean(1)) for side in (one, other)]
    r = max(np.corrcoef(*ranks)[0, 1], 0)
    return (2 * r / (1 + r)) ** 0.5


# %% tags=["right"]
def ceiling(effects):  # sums in place of means, the general formula
    k = effects.shape[1] // 2
    a, b = effects[:, :k].sum(1).argsort().argsort(), effects[:, k:].sum(1).argsort().argsort()
    n = len(a)
    r = 1 - 6 * ((a - b) ** 2).sum() / (n * (n * n - 1))
    lengthened = 2.0
    return float(np.sqrt(lengthened * r / (1 + (lengthened - 1) * r))) if r > 0 else 0


# %% tags=["wrong"]
def ceiling(effects):  # the reliability itself
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return max(2 * r / (1 + r), 0)


# %% tags=["wrong"]
def ceiling(effects):  # not extended to all seeds
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    return max(r, 0) ** 0.5


# %% tags=["wrong"]
def ceiling(effects):  # values in place of ranks
    half = effects.shape[1] // 2
    r = np.corrcoef(effects[:, :half].mean(1), effects[:, half:].mean(1))[0, 1]
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0


# %% tags=["wrong"]
def ceiling(effects):  # halves of the sets
    half = len(effects) // 2
    r = stats.spearmanr(effects[:half].mean(0), effects[-half:].mean(0)).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0


# %% tags=["wrong"]
def ceiling(effects):  # two seeds only
    r = stats.spearmanr(effects[:, 0], effects[:, -1]).statistic
    return np.sqrt(2 * r / (1 + r)) if r > 0 else 0.0


# %% tags=["wrong"]
def ceiling(effects):  # extended from one seed to all
    half = effects.shape[1] // 2
    r = stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic
    k = effects.shape[1]
    return np.sqrt(k * r / (1 + (k - 1) * r)) if r > 0 else 0.0


# %% tags=["wrong"]
def ceiling(effects):  # a negative correlation counts as well
    half = effects.shape[1] // 2
    r = abs(stats.spearmanr(effects[:, :half].mean(1), effects[:, half:].mean(1)).statistic)
    return np.sqrt(2 * r / (1 + r))


# %% [markdown]
# Now for many predictions at once: the margins of 100 test images. And for two questions: what does a random *half* of the training images do, and what does *one* random image do? For each we leave out 32 sets in turn, with four seeds. Eight of them choose the kernel's one setting, its damping; the other 24 judge all methods. The
# library computes the reliability over all splits of the seeds, and the ceiling.
#
# **What is the ceiling for single images, from 0 to 1?**

# %%
mine = 0.5  # your guess
lesson.guess("single", mine)

# %% tags=["varies"]
hundred = nm.influence.Prediction(tuple(range(100)))
ask = {"halves": nm.influence.halves(some.train, n=32), "single images": nm.influence.singles(some.train, n=32)}
verified = {name: nm.influence.verify(run, sets, hundred, seeds=4, data=some) for name, sets in ask.items()}
single = verified["single images"]
assert not lesson.full or single["ceiling"] < verified["halves"]["ceiling"]
if lesson.reveal("single", float(single["ceiling"])):
    for name, one in verified.items():
        print(
            f"{name:13}: two seeds agree at {float(one['between_seeds']):.2f}, two and two at {float(one['between_halves']):.2f}, reliability of 4 seeds {float(one['reliability']):.2f}, ceiling {float(one['ceiling']):.2f} "
            f"(95% {float(one['ceiling_low']):.2f} to {float(one['ceiling_high']):.2f})"
        )
    refused = single.attrs["reason"]
    lesson.say(f"""{f"So the question about single images is refused, before any estimate is looked at: {refused}. That is a result, too." if refused else "Here, with few training images, the question about single images can be asked."}
Leaving out one random image changes a margin with a standard deviation of {float(single["effect_sd"]):.2f}; another order of the batches with one of {float(single["order_sd"]):.2f}.
The second cancels where each network is compared with itself on the same seed. What is left: the effects differ from seed to seed.""")

# %% [markdown]
# Mind what can be refused here: to *rank* ordinary single images by what they do. That one certain image does much may still be shown, with enough seeds; in section 6 we plant some that should.
#
# ## 5. Which estimate is right?
#
# Halves can be asked about. For each half and each test image, an estimate says what leaving it out would do: minus the sum of the influences of its images. Its *agreement* with the truth is the rank correlation over the sets, by test image, and then the mean over these.
#
# What would an estimate get that knows nothing? Not exactly 0, and not the same on every draw. So the null gives the estimate's effects to the wrong sets.
#
# ### Exercise 3: agreement with the wrong sets
# *Difficulty ●●●○ · 10 minutes*
#
# Write `p_of_agreement(estimated, measured, draws, rng)`. Both arrays are [set, target]. The agreement is the mean over targets of the rank correlation over sets. For the null, permute the sets of `estimated`, the same permutation for all targets (a set that makes one
# image worse often makes others worse as well, so targets are no independent witnesses), `draws` times. Return the agreement and p = (1 + number of draws with an agreement at least as high) / (1 + draws).

# %% [markdown] tags=["hint"]
# `estimated[rng.permutation(len(estimated))]` permutes whole rows. Rank once, before the loop: `stats.rankdata(x, axis=0)`. The mean of products of standardized ranks is their correlation.


# %% tags=["stub"]
def p_of_agreement(estimated, measured, draws, rng):
    raise NotImplementedError("return the agreement and its p")


# %% tags=["solution"]
def p_of_agreement(estimated, measured, draws, rng):
    def standard(x):
        ranks = stats.rankdata(x, axis=0)
        return (ranks - ranks.mean(0)) / ranks.std(0)

    a, b = standard(estimated), standard(measured)
    value = (a * b).mean()
    null = [(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)]
    return value, (1 + sum(one >= value for one in null)) / (1 + draws)


# %% tags=["check"]
@lesson.check
def exercise_3(rng):
    def asked(estimated, measured, draws):
        with lessons.unchanged(estimated=estimated, measured=measured):
            found = p_of_agreement(estimated, measured, draws, np.random.default_rng(int(rng.integers(10**6))))
        assert found is not None and np.shape(found) == (2,), f"two numbers are asked for; found {found}"
        pairs = zip(estimated.T, measured.T, strict=True)
        true = np.mean([stats.spearmanr(one, other).statistic for one, other in pairs])
        assert abs(float(found[0]) - true) < 1e-9, (
            f"{estimated.shape[0]} sets, {estimated.shape[1]} targets: the agreement is {true:.4f}, not {float(found[0]):.4f}: is it a rank "
            "correlation over the sets, by target, and then the mean"
        )
        return float(found[1])

    for sets, targets in ((12, 3), (9, 5), (30, 4), (8, 6)):
        x = rng.normal(size=(sets, targets)) * rng.uniform(0.1, 9, targets) + rng.normal(0, 20, targets)
        asked(x, (x - x.mean(0)) / x.std(0) + rng.normal(size=(sets, targets)) + rng.normal(0, 5, targets), 19)
    for sets, targets, draws in ((12, 3, 49), (16, 1, 99), (10, 8, 19)):
        x = np.exp(2 * rng.normal(size=(sets, targets)))
        p = asked(x, x**3 + 5, draws)
        assert abs(p - 1 / (1 + draws)) < 1e-9, f"a perfect estimate, {draws} draws: p is 1 / {1 + draws}, not {p:.4f}"
        p = asked(x, -x, draws)
        assert abs(p - 1) < 1e-9, (
            f"an estimate in the reverse order: every draw is at least as high, so that p is 1, not {p:.4f}"
        )
    flat = np.tile(np.array([[0.0], [0.0], [0.0], [1.0]]), (1, 2))
    ps = [asked(flat, flat, 399) for _ in range(3)]
    assert all(0.17 < p < 0.34 for p in ps), (
        f"one set of four differs: a quarter of the permutations agrees as well as the estimate does, so that p is near 0.25, not {ps[0]:.3f}"
    )
    one = rng.normal(size=(12, 1))
    many = np.repeat(one, 30, axis=1)
    noisy = one + 2.0 * rng.normal(size=(400, 12, 1))
    close = [each for each in noisy if 0.32 < stats.spearmanr(each[:, 0], one[:, 0]).statistic < 0.4][:4]
    for each in close:
        p = asked(np.repeat(each, 30, axis=1), many, 199)
        assert 0.05 < p < 0.25, (
            f"30 targets that are copies of one, 12 sets, a correlation near 0.35: p is near 0.13, as for one target, not {p:.3f}: is the same "
            "permutation taken for all targets, and is the test one-sided"
        )


# %% tags=["right"]
def p_of_agreement(estimated, measured, draws, rng):  # scipy for each target
    def mean(a):
        return np.mean([stats.spearmanr(a[:, at], measured[:, at]).statistic for at in range(a.shape[1])])

    value = mean(estimated)
    higher = sum(mean(rng.permutation(estimated, axis=0)) >= value - 1e-12 for _ in range(draws))
    return value, (1 + higher) / (1 + draws)


# %% tags=["right"]
def p_of_agreement(estimated, measured, draws, rng):  # the measured sets permuted
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / np.linalg.norm(x - x.mean(0), axis=0) for x in (a, b))
    value = (a * b).sum(0).mean()
    null = np.array([(a * b[rng.permutation(len(b))]).sum(0).mean() for _ in range(draws)])
    return np.array([value, (1 + (null >= value).sum()) / (1 + draws)])


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # another permutation for each target
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    value = (a * b).mean()
    null = [(rng.permuted(a, axis=0) * b).mean() for _ in range(draws)]
    return value, (1 + sum(one >= value for one in null)) / (1 + draws)


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # without the 1s
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    value = (a * b).mean()
    return value, np.mean([(a[rng.permutation(len(a))] * b).mean() >= value for _ in range(draws)])


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # values in place of ranks
    a, b = ((x - x.mean(0)) / x.std(0) for x in (estimated, measured))
    value = (a * b).mean()
    null = [(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)]
    return value, (1 + sum(one >= value for one in null)) / (1 + draws)


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # both sides
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    value = (a * b).mean()
    null = [(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)]
    return value, (1 + sum(abs(one) >= abs(value) for one in null)) / (1 + draws)


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # all targets in one long list
    a, b = (stats.rankdata(x) for x in (estimated, measured))
    value = np.corrcoef(a, b)[0, 1]
    rows = np.arange(estimated.size).reshape(estimated.shape)
    null = [np.corrcoef(a[rows[rng.permutation(len(rows))].ravel()], b)[0, 1] for _ in range(draws)]
    return value, (1 + sum(one >= value for one in null)) / (1 + draws)


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # over the targets of each set
    a, b = (stats.rankdata(x, axis=1) for x in (estimated, measured))
    a, b = ((x - x.mean(1, keepdims=True)) / (x.std(1, keepdims=True) + 1e-9) for x in (a, b))
    value = (a * b).mean()
    null = [(a[:, rng.permutation(a.shape[1])] * b).mean() for _ in range(draws)]
    return value, (1 + sum(one >= value for one in null)) / (1 + draws)


# %% tags=["wrong"]
def p_of_agreement(estimated, measured, draws, rng):  # only higher ones count
    a, b = (stats.rankdata(x, axis=0) for x in (estimated, measured))
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    value = (a * b).mean()
    null = [(a[rng.permutation(len(a))] * b).mean() for _ in range(draws)]
    return value, (1 + sum(one > value + 1e-9 for one in null)) / (1 + draws)


# %% [markdown]
# **Which of the four agrees best with retraining: `kernel`, `tracin`, `last` or `pixels`?**

# %%
mine = "tracin"  # your guess
lesson.guess("best", mine)

# %% tags=["varies"]
halves = verified["halves"]
assert not lesson.full or (halves["verdict"].sel(estimate=["kernel", "pixels"]) == "shown").all()
best = str(halves["estimate"][int(halves["agreement"].values.argmax())].values)
if lesson.reveal("best", best):
    display(nm.plots.influence_agreement(halves))
    top, base = (float(halves["agreement"].sel(estimate=one)) for one in (best, "pixels"))
    low = float(halves["agreement_low"].sel(estimate=best))
    high = float(halves["agreement_high"].sel(estimate="pixels"))
    if best == "pixels":
        compared = "That one looks at no network."
    else:
        apart = "do not overlap" if low > high else "overlap"
        compared = f"Pixels, which look at no network, have {base:.2f}; the intervals of the two {apart}."
    lesson.say(
        f"""*What to look at:* each dot between its gray band, which is agreement with the wrong sets, and the dashed line. The best is {best}: {top:.2f}, under a ceiling of {float(halves["ceiling"]):.2f}. {compared}"""
    )
    for claim in nm.influence.claims(halves):
        lesson.say(f"*{claim.verdict}:* {claim.sentence} {claim.reasons}")

# %% [markdown]
# Read a number like that three times. Compared with permuted sets, you see whether there is anything at all. Compared with the ceiling, you see what is left unexplained. And compared with pixels, you see how much of it needed the network at all. "It agrees with retraining" is true of an estimate that never opened the network.
#
# The agreement is about *ranks*, over many halves, for *this* network, trained for *this* long. The same estimate may have a wrong list for one image, as you may have seen in section 3. (p is corrected for the four methods.)
#
# ## 6. Planted mistakes
#
# There is a popular way to show that influence works. Plant mistakes: copy test images into the training images, with a wrong label. Each copy should be the most harmful training image of its own test image. Let's do it with twenty test images that the network classifies
# correctly, giving each copy the label that was second. **For how many of the twenty is the copy the most harmful of all images, by pixel similarity alone?**

# %%
mine = 10  # your guess
lesson.guess("copies", mine)

# %%
planted = 20
chosen = np.sort(np.random.default_rng(1).choice(np.flatnonzero(correct), planted, replace=False))
second = probabilities[chosen].argsort(1)[:, -2]
pictures = np.concatenate([some.train.images, some.test.images[chosen]])
given = np.concatenate([some.train.labels, second])
mistaken = nm.data.Dataset("with mistakes", nm.data.ImageSet(pictures, given, 10, "with mistakes"), some.test)
misled = replace(lesson, data=mistaken).run("misled", network, training, record)
copies = n + np.arange(planted)
victims = nm.influence.Prediction(tuple(chosen.tolist()))
marked = xr.DataArray(np.arange(n + planted) == copies[:, None], dims=("target", "example"))
harms = {
    method: nm.analysis.influence.harm(nm.influence.estimate(misled, victims, method=method, data=mistaken), marked)
    for method in nm.influence.METHODS
}

# %% tags=["varies"]
hits = {method: round(planted * float(one["found"])) for method, one in harms.items()}
assert hits["pixels"] == planted
if lesson.reveal("copies", hits["pixels"]):
    for method, one in harms.items():
        p = float(one["harm_p"])
        beside = f"p {'≤' if p <= 1 / 200 else '='} {p:.3f} (199 random sets of the same labels)"
        print(
            f"{method:7}: {hits[method]:2} of {planted} copies are the most harmful image of their test image; copies rank lower than random images: {beside}"
        )
    lesson.say(f"""Of course: a copy has the highest similarity that there is, 1, and the wrong label makes it −1. That the copies harm more than random images of the same labels is
{"shown for all four methods" if all(bool(one["harm_shown"]) for one in harms.values()) else "not shown for all methods"}, and the one that looks at no network finds all {planted}. So who passes this test need not know the *network*; who fails it misses what retraining finds, as we see next.""")

# %% [markdown]
# A planted answer is a good test only if a method that can't know the answer fails it. Ask of each test: who else passes?
#
# But the copies are good for one thing. Here we *know* which single image should matter. We train without each copy, one at a time.

# %% tags=["varies"]
without = nm.influence.retrain(misled, [[one] for one in copies], victims, seeds=4, data=mistaken)
changes = (without["value"] - without["whole"]).mean("seed").values  # [copy left out, test image]
of_own, of_others = np.diag(changes), changes[~np.eye(planted, dtype=bool)]
found_again = int((changes.argmax(0) == np.arange(planted)).sum())
lesson.say(f"""Without its copy the margin of a test image {"rises" if of_own.mean() > 0 else "falls"} by {abs(of_own.mean()):.2f} on average (lowest {of_own.min():+.2f}, highest {of_own.max():+.2f}); without the copy of another test image it changes by
{np.abs(of_others).mean():.2f}. Of {planted} test images {found_again} gain most from losing their own copy. So single images *can* matter, and retraining finds them; what is hard is to rank ordinary ones.""")

# %% [markdown]
# ## 7. An edit, and what it is compared with
#
# Now the other direction. A network shall *forget* a class: no more sevens. Three ways come to mind. Switch off the logit, so that 7 is never predicted. Ablate the six units of the last hidden layer that serve sevens most. Or train on for three epochs without any sevens.
#
# All three make sevens rarer. But "it no longer predicts 7" and "it is like a network that never saw a 7" are two claims. For the second we need such networks: eight of them, from other seeds, trained without sevens. The edited network should be as near to them as they are to *each other*; nobody can ask for more.
#
# How far apart are two networks? The *total variation* of two predictions is half the sum over the classes of |p − q|: 0 if they agree, 1 if they exclude each other. The distance of two networks is its mean over the images.
#
# ### Exercise 4: distance and spread
# *Difficulty ●●○○ · 10 minutes*
#
# Write `spread(edited, retrained)`: `edited` has probabilities [image, class], `retrained` is a list of such arrays, two or more. Return two numbers: the mean distance of the edited network from the retrained ones, and the mean distance of the retrained ones from one another, over all pairs.

# %% [markdown] tags=["hint"]
# `itertools.combinations(retrained, 2)` gives each pair once. A network and itself are no pair. The mean of the distances is not the distance from the mean.


# %% tags=["stub"]
def spread(edited, retrained):
    raise NotImplementedError(
        "return the edited network's mean distance, and that of the retrained ones from one another"
    )


# %% tags=["solution"]
def spread(edited, retrained):
    def distance(p, q):
        return np.abs(p - q).sum(1).mean() / 2

    pairs = [distance(p, q) for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return np.mean([distance(edited, one) for one in retrained]), np.mean(pairs)


# %% tags=["check"]
@lesson.check
def exercise_4(rng):
    def network(count, classes, sharp):
        made = np.exp(sharp * rng.normal(size=(count, classes)))
        return made / made.sum(1, keepdims=True)

    cases = [(7, 3, 2), (20, 10, 8), (1, 2, 3), (30, 5, 4), (11, 4, 5)]
    made = [([network(i, c, 2.0) for _ in range(k)], network(i, c, 1.0)) for i, c, k in cases]
    certain = [np.eye(3)[rng.integers(0, 3, 9)] for _ in range(4)]
    made += [(certain[1:], certain[0]), ([certain[1]] * 3, certain[1]), (made[1][0][::-1], made[1][0][2])]
    for retrained, edited in made:
        flat = {f"retrained[{at}]": one for at, one in enumerate(retrained)}
        with lessons.unchanged(edited=edited, **flat):
            found = spread(edited, retrained)
        assert found is not None and np.shape(found) == (2,), f"two numbers are asked for; found {found}"

        def between(p, q):
            return (
                sum(abs(float(a) - float(b)) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True))
                / 2
                / len(p)
            )

        far = sum(between(edited, one) for one in retrained) / len(retrained)
        own = [between(p, q) for at, p in enumerate(retrained) for q in retrained[:at]]
        wanted = far, sum(own) / len(own)
        for number, true, what in zip(
            found, wanted, ("of the edited network", "of the retrained networks from one another"), strict=True
        ):
            assert abs(float(number) - true) < 1e-9, (
                f"{len(retrained)} networks, {len(edited)} images: the mean distance {what} is {true:.4f}, not {float(number):.4f}: is it half the "
                "sum over classes, the mean over images, and then the mean over networks or pairs"
            )


# %% tags=["right"]
def spread(edited, retrained):  # what one has more than the other
    def distance(p, q):
        return np.maximum(p - q, 0).sum() / len(p)

    far = [distance(edited, one) for one in retrained]
    own = [distance(*pair) for pair in itertools.combinations(retrained, 2)]
    return sum(far) / len(far), sum(own) / len(own)


# %% tags=["right"]
def spread(edited, retrained):  # all pairs both ways, without the diagonal
    all_of = np.stack(retrained)
    k = len(all_of)
    table = np.abs(all_of[:, None] - all_of[None]).sum(-1).mean(-1) / 2
    return np.abs(all_of - edited).sum(-1).mean() / 2, table.sum() / (k * (k - 1))


# %% tags=["wrong"]
def spread(edited, retrained):  # without the half
    pairs = [np.abs(p - q).sum(1).mean() for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return np.mean([np.abs(edited - one).sum(1).mean() for one in retrained]), np.mean(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # each network is also paired with itself
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p in retrained for q in retrained]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # the distance from the mean network
    middle = np.mean(retrained, axis=0)
    own = np.mean([np.abs(one - middle).sum(1).mean() / 2 for one in retrained])
    return np.abs(edited - middle).sum(1).mean() / 2, own


# %% tags=["wrong"]
def spread(edited, retrained):  # the share of other predictions
    pairs = [(p.argmax(1) != q.argmax(1)).mean() for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return np.mean([(edited.argmax(1) != one.argmax(1)).mean() for one in retrained]), np.mean(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # the mean over classes
    pairs = [np.abs(p - q).mean() / 2 for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return np.mean([np.abs(edited - one).mean() / 2 for one in retrained]), np.mean(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # the largest distances
    pairs = [np.abs(p - q).sum(1).mean() / 2 for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return max(np.abs(edited - one).sum(1).mean() / 2 for one in retrained), max(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # neighbors in the list only
    pairs = [np.abs(p - q).sum(1).mean() / 2 for p, q in itertools.pairwise(retrained)]
    return np.mean([np.abs(edited - one).sum(1).mean() / 2 for one in retrained]), np.mean(pairs)


# %% tags=["wrong"]
def spread(edited, retrained):  # a root of squares
    def distance(p, q):
        return np.sqrt(((p - q) ** 2).sum(1)).mean()

    pairs = [distance(p, q) for at, p in enumerate(retrained) for q in retrained[at + 1 :]]
    return np.mean([distance(edited, one) for one in retrained]), np.mean(pairs)


# %% [markdown]
# `nm.edits.judge` compares the predictions on all test images (`logits`), those on sevens alone (`goal`), and each hidden layer, where the distance is 1 − linear CKA (a similarity of two layers' activations on the same images: 1 if they are equal up to a rotation and a scale). An edit *lies within the spread* if it is shown to be near enough in each of these; it *lies beyond* if in at least one it is farther than one more retrained network would be.
# Between the two nothing is shown. Beside it stand random edits of equal size: what does *any* edit do?
#
# **With the logit of 7 switched off, does the network lie within the spread of those that never saw a 7, beyond it, or is neither shown?** (`within`, `beyond` or `neither is shown`)

# %%
mine = "within"  # your guess
lesson.guess("logit", mine)

# %% tags=["varies"]
digit = 7
retrained = nm.edits.retrain(run, nm.edits.Forget(digit), data=some)  # eight networks that never saw a 7
judged = {
    how: nm.edits.judge(run, nm.edits.Forget(digit, how=how), retrained=retrained, data=some)
    for how in ("logit", "units", "train")
}


def verdict_of(judgment):
    """Within, beyond, or neither is shown."""
    within, beyond = judgment.claims[:2]
    return "within" if within.shown else "beyond" if beyond.shown else "neither is shown"


if lesson.reveal("logit", verdict_of(judged["logit"])):
    print("mean distance from networks that never saw a 7 (their own from one another)")
    print(f"{'':7}" + "".join(f"{row:>18}" for row in judged["logit"].distance["layer"].values))
    for how, one in judged.items():
        rows = zip(one.distance["distance"].values, one.distance["own"].values, strict=True)
        print(f"{how:7}" + "".join(f"{far:10.2f} ({near:.2f}) " for far, near in rows) + f"  {verdict_of(one)}")
    for how, one in judged.items():
        now, theirs = float(one.price["accuracy"]), one.price["accuracy_retrained"].values
        print(
            f"{how:7} sevens predicted as 7: {100 * float(one.price['share']):.0f}%; accuracy on all others {100 * now:.0f}% (retrained {100 * theirs.min():.0f} to {100 * theirs.max():.0f}%)"
        )
    other_accuracy = {how: float(one.price["accuracy"] - one.price["accuracy_before"]) for how, one in judged.items()}
    left = 100 * float(judged["train"].price["share"])
    lesson.say(
        f"""The six ablated units {"cost" if other_accuracy["units"] < 0 else "gain"} {100 * abs(other_accuracy["units"]):.0f} points of accuracy on all other classes. Three epochs without sevens leave {left:.0f}% of them predicted as 7."""
    )
    lesson.say(
        f"*{judged['logit'].claims[0].verdict}:* {judged['logit'].claims[0].sentence} {judged['logit'].claims[0].reasons}"
    )
    lesson.say(
        f"*{judged['logit'].claims[1].verdict}:* {judged['logit'].claims[1].sentence} {judged['logit'].claims[1].reasons}"
    )

# %% [markdown]
# Read the table by columns. Whatever the first edit's predictions are, its hidden layers are what they were before: it never touched them, so what they know about sevens is still there. Would a few steps of training bring the sevens back? Try it.
#
# Mind the words once more. *Not shown to lie within* is not *beyond*: between the two nothing is shown.
#
# ## What you have seen
#
# * The influence of an image in one step is the product of two gradients, and for a linear layer that is (δ·δ′)(h·h′ + 1): no gradient is formed.
# * Four estimates name partly different images. Which of them is right can't be seen in the network that we have.
# * The truth comes from networks that were trained without the images. It has a reliability over seeds, and its root is the ceiling for every estimate. Where it is low, the question is refused.
# * An agreement is read between permuted sets and the ceiling, and beside a baseline that looks at no network.
# * Mislabeled copies are found by pixel similarity alone: before you trust a test, ask who else passes it.
# * An edit that reaches its goal may still be farther from networks that were trained that way than these are from one another.
#
# **What was not shown:** that any of this holds for larger networks, for other data, or for a longer training; that an estimate gives the right *size* of an effect; that what the edited network no longer says is no longer in it.
#
# **Check yourself:** [five questions with answers](../docs/quizzes.md#11-who-taught-it-that), in the documentation.
#
# **Next:** ask about a confusion, `nm.influence.Confusion(4, 9)`, or about a unit, `nm.influence.Activation("layers.1", 3)` with `vary="order"`: a unit has an identity only within one initialization. Does `nm.edits.Repair(4, 9)` do better than `Forget`?
#
# **Further reading.** G. Pruthi, F. Liu, S. Kale and M. Sundararajan, "Estimating training data influence by tracing gradient descent", *NeurIPS* 2020. S. M. Park, K. Georgiev, A. Ilyas, G. Leclerc and A. Madry, "TRAK: attributing model behavior at scale", *ICML* 2023.
# C. Spearman, "The proof and measurement of association between two things", *American Journal of Psychology* 15 (1904). T. T. Nguyen et al., "A survey of machine unlearning", arXiv:2209.02299 (2022).
